//! Resolved Nagios objects to rows of the catalog. They come before all objects of the TOML files, so that the tables of
//! [`stentor_core::catalog::Nagios`] are parallel to the first rows.

use std::collections::HashMap;
use std::sync::Arc;

use stentor_core::Span;
use stentor_core::catalog::nagios::{
    Appearance, CommandCall, CommandLine, ContactSide, Dependency, Directives, Escalation, Group, Member,
    NagiosContact, Options, Program, Redundancy, Switches,
};
use stentor_core::catalog::{Check, Contact, Host, Service, SignalSpec, SignalValue, Timeperiod, View};
use stentor_core::diagnosis::Severity;
use stentor_core::id::{
    AppearanceId, CheckId, CloudId, CommandId, ContactGroupId, ContactId, DirectivesId, HostId, ObjectId, ServiceId,
    TimeperiodId, ZoneId,
};
use stentor_core::macros::view::{COMMAND_PARAM, COMMAND_PROBE};
use stentor_core::model::Value;
use stentor_core::timeperiod::{Line, parse_any};
use stentor_wire::nagios::objects::options::OptionSet;
use stentor_wire::nagios::objects::{self as wire, Concern, Id, Objects, Recipients, Settings, Variable};

use crate::config::finding::{Diagnostics, Place};
use crate::config::objects::Builder;
use crate::config::tree::At;
use crate::config::{hosts, services};

/// Custom variables of hosts that Stentor reads: `eucalyptus/clc,eucalyptus/walrus`, a `[[zone]]`, a `[[cloud]]`.
const COMPONENTS: &str = "STENTOR_COMPONENTS";
const ZONE: &str = "STENTOR_ZONE";
const CLOUD: &str = "STENTOR_CLOUD";

/// What the conversion needs of the main configuration.
pub struct Limits {
    pub interval_length: Span,
    pub service_check_timeout: Span,
    pub host_check_timeout: Span,
    /// IANA zone of timeperiods.
    pub zone: Arc<str>,
}

/// Where a place of the tree stands among all files that were read.
pub type PlaceOf<'a> = &'a dyn Fn(stentor_wire::nagios::finding::Place) -> Place;

/// Adds every object of a tree to an empty catalog.
pub fn seed(
    objects: &Objects,
    limits: &Limits,
    program: Program,
    place_of: PlaceOf<'_>,
    builder: &mut Builder<'_>,
    found: &mut Diagnostics,
) {
    let seed = Seed { objects, limits, place_of, builder, found, checks: HashMap::new(), members: HashMap::new() };
    seed.run(program);
}

/// A check is shared by objects with the same settings, if they are of one kind.
type CheckKey = (*const Settings, bool);
/// Directives are shared by objects with the same settings and the same inherited recipients.
type MemberKey = (*const Settings, Option<*const Settings>);

struct Seed<'a, 'b> {
    objects: &'a Objects,
    limits: &'a Limits,
    place_of: PlaceOf<'a>,
    builder: &'a mut Builder<'b>,
    found: &'a mut Diagnostics,
    checks: HashMap<CheckKey, Option<CheckId>>,
    members: HashMap<MemberKey, DirectivesId>,
}

impl Seed<'_, '_> {
    fn run(mut self, program: Program) {
        self.timeperiods();
        let objects = self.objects;
        self.nagios().program = program;
        self.nagios().commands = objects
            .commands
            .iter()
            .map(|command| CommandLine { name: Arc::clone(&command.name), line: Arc::clone(&command.line) })
            .collect();
        self.contacts();
        self.hosts();
        self.services();
        self.components();
        self.groups();
        self.rules();
    }

    fn nagios(&mut self) -> &mut stentor_core::catalog::Nagios {
        &mut self.builder.catalog.nagios
    }

    fn span(&self, units: f64) -> Span {
        Span::from_millis((units * self.limits.interval_length.as_millis() as f64).round() as i64)
    }

    /// Lines were checked when they were read: one that is not understood was reported there.
    fn timeperiods(&mut self) {
        for period in &self.objects.timeperiods {
            let mut weekly: [Vec<(u16, u16)>; 7] = Default::default();
            let mut exceptions = Vec::new();
            for (text, _) in &period.lines {
                match parse_any(text) {
                    Ok(Line::Weekday { weekday, ranges }) => weekly[usize::from(weekday % 7)] = ranges,
                    Ok(Line::Date(rule)) => exceptions.push(rule),
                    Err(_) => {}
                }
            }
            self.builder.catalog.timeperiods.push(Timeperiod {
                name: Arc::clone(&period.name),
                zone: Arc::clone(&self.limits.zone),
                weekly,
                exceptions,
                exclude: period.exclude.iter().map(|id| TimeperiodId(*id)).collect(),
            });
            self.builder.periods.seed(&period.name);
        }
    }

    fn contacts(&mut self) {
        for contact in &self.objects.contacts {
            let side = |side: &wire::Hearing, all: Options| ContactSide {
                enabled: side.enabled,
                period: side.period.map(TimeperiodId),
                options: side.options.map_or(Options::NONE, |set| recovery(options(set, all), set)),
                commands: side.commands.iter().map(call).collect(),
            };
            let nagios = NagiosContact {
                email: text(&contact.email),
                pager: text(&contact.pager),
                addresses: std::array::from_fn(|i| text(&contact.addresses[i])),
                host: side(&contact.host, Options::HOST_STATES),
                service: side(&contact.service, Options::SERVICE_STATES),
                can_submit_commands: contact.can_submit_commands,
                retain_status: contact.retain_status_information,
                retain_nonstatus: contact.retain_nonstatus_information,
                minimum_importance: contact.minimum_importance,
                vars: variables(&contact.variables),
            };
            self.nagios().contacts.push(Some(nagios));
            self.builder.catalog.contacts.push(Contact {
                name: Arc::clone(&contact.name),
                display: Arc::clone(&contact.alias),
                channels: Default::default(),
                period: None,
                severity_min: Severity::Warning,
            });
            self.builder.contacts.seed(&contact.name);
        }
    }

    fn hosts(&mut self) {
        for host in &self.objects.hosts {
            let zone = self.variable(&host.settings, ZONE);
            let zone = zone.and_then(|name| self.builder.zones.find(&name, self.found)).map(ZoneId::from_index);
            let zone = zone.unwrap_or_else(|| hosts::default_zone(self.builder));
            let cloud = self.variable(&host.settings, CLOUD);
            let cloud = cloud.and_then(|name| self.builder.clouds.find(&name, self.found)).map(CloudId::from_index);
            let check = self.check(&host.settings, true);
            let directives = self.directives(&host.settings, None, Options::HOST_STATES);
            let display = (*host.display_name != *host.name).then_some(&host.display_name);
            let appearance = self.appearance(&host.settings, &host.alias, display);
            self.nagios().hosts.push(Member { directives, appearance });
            let cloud = cloud.or(self.builder.catalog.zones[zone.index()].cloud);
            self.builder.catalog.hosts.push(Host {
                name: Arc::clone(&host.name),
                display: Arc::clone(&host.display_name),
                address: Arc::clone(&host.address),
                zone,
                cloud,
                parents: host.parents.iter().map(|id| HostId(*id)).collect(),
                components: Vec::new(),
                check,
                params: Value::Null,
                view: View::None,
                bmc: None,
                services: Vec::new(),
            });
            self.builder.hosts.seed(&host.name);
        }
    }

    fn services(&mut self) {
        let objects = self.objects;
        for (row, service) in objects.services.iter().enumerate() {
            let host = HostId(service.host);
            // A service has a command, or reading would have failed; a passive one keeps it for its freshness.
            let Some(check) = self.check(&service.settings, false) else { continue };
            let of_host = objects.host(service.host).map(|host| &host.settings);
            let inherits = inherits_of_host(&service.settings);
            let directives = self.directives(&service.settings, of_host.filter(|_| inherits), Options::SERVICE_STATES);
            let display = service.display_name.as_ref().filter(|name| **name != service.description);
            let appearance = self.appearance(&service.settings, &Arc::default(), display);
            self.nagios().services.push(Member { directives, appearance });
            let id = ServiceId::from_index(row);
            if !service.parents.is_empty() {
                let parents = service.parents.iter().map(|id| ServiceId(*id)).collect();
                self.nagios().service_parents.insert(id, parents);
            }
            self.builder.catalog.hosts[host.index()].services.push(id);
            self.builder.catalog.services.push(Service {
                host,
                name: Arc::clone(&service.description),
                check,
                params: Value::Null,
                component: None,
            });
        }
    }

    /// A custom variable with its place.
    fn variable<'s>(&self, settings: &'s Settings, name: &str) -> Option<At<&'s str>> {
        let variable = settings.variables.iter().find(|known| &*known.name == name)?;
        Some(At { value: &*variable.value, at: (self.place_of)(variable.place) })
    }

    /// Components that hosts name in a custom variable, with the checks that packs have for them. After all services
    /// of the tree, whose rows are parallel to its own tables.
    fn components(&mut self) {
        let objects = self.objects;
        for (row, host) in objects.hosts.iter().enumerate() {
            let Some(At { value, at }) = self.variable(&host.settings, COMPONENTS) else { continue };
            let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
            let names: Vec<At<&str>> = names.map(|value| At { value, at: at.clone() }).collect();
            let host = HostId::from_index(row);
            hosts::attach(host, &names, self.builder, self.found);
            services::bind_components(host, &at, self.builder, self.found);
        }
    }

    /// The check of an object; `None` for a host that is assumed to be UP.
    fn check(&mut self, settings: &Arc<Settings>, of_host: bool) -> Option<CheckId> {
        let key = (Arc::as_ptr(settings), of_host);
        if let Some(known) = self.checks.get(&key) {
            return *known;
        }
        let id = settings.check_command.as_ref().map(|command| {
            let default = if of_host { self.limits.host_check_timeout } else { self.limits.service_check_timeout };
            let params = [(COMMAND_PARAM.to_owned(), Value::from(&*command.text))];
            let id = CheckId::from_index(self.builder.catalog.checks.len());
            let check = Check {
                name: Arc::clone(&command.text),
                probe: COMMAND_PROBE.into(),
                params: Value::Map(params.into()),
                every: self.span(settings.check_interval),
                retry: self.span(settings.retry_interval),
                timeout: settings.check_timeout.map_or(default, |seconds| Span::from_secs(seconds.into())),
                attempts: u16::try_from(settings.max_check_attempts).unwrap_or(u16::MAX),
                rules: Vec::new(),
                signals: if of_host { host_signals(settings) } else { Vec::new() },
                host_side: false,
                freshness: Span::ZERO,
            };
            self.builder.catalog.checks.push(check);
            id
        });
        self.checks.insert(key, id);
        id
    }

    fn directives(&mut self, settings: &Arc<Settings>, host: Option<&Arc<Settings>>, states: Options) -> DirectivesId {
        let key = (Arc::as_ptr(settings), host.map(Arc::as_ptr));
        if let Some(known) = self.members.get(&key) {
            return *known;
        }
        let of_host =
            |own: Option<Option<Id>>| own.or_else(|| host.and_then(|host| host.notification_period)).flatten();
        let from_host = settings.contacts.is_none() && settings.contact_groups.is_none();
        let recipients = host.filter(|_| from_host).unwrap_or(settings).recipients();
        let interval = settings.notification_interval.or_else(|| host.and_then(|host| host.notification_interval));
        let directives = Directives {
            switches: switches(settings),
            initial_state: settings.initial_state,
            volatile: settings.is_volatile > 0,
            check_period: settings.check_period.map(TimeperiodId),
            freshness_threshold: Span::from_secs(settings.freshness_threshold.into()),
            event_handler: settings.event_handler.as_ref().map(call),
            event_handler_period: settings.event_handler_period.map(TimeperiodId),
            flap_low: settings.low_flap_threshold as f32,
            flap_high: settings.high_flap_threshold as f32,
            flap_options: options(settings.flap_detection_options, states),
            stalking: options(settings.stalking_options, states),
            notification_period: of_host(settings.notification_period).map(TimeperiodId),
            notification_interval: self.span(interval.unwrap_or(wire::NOTIFICATION_INTERVAL)),
            first_notification_delay: self.span(settings.first_notification_delay),
            notification_options: recovery(
                options(settings.notification_options, states),
                settings.notification_options,
            ),
            contacts: self.people(&recipients),
            contact_groups: recipients.contact_groups.iter().map(|id| ContactGroupId(*id)).collect(),
            importance: settings.importance,
        };
        let table = &mut self.nagios().directives;
        // Objects of different definitions are often configured alike.
        let same = table.iter().rev().take(SAME_WITHIN).position(|known| *known == directives);
        let id = match same {
            Some(back) => DirectivesId::from_index(table.len() - 1 - back),
            None => {
                table.push(directives);
                DirectivesId::from_index(table.len() - 1)
            }
        };
        self.members.insert(key, id);
        id
    }

    /// Contacts named, then those of the groups, each once.
    fn people(&self, recipients: &Recipients) -> Vec<ContactId> {
        let of_groups = recipients.contact_groups.iter().filter_map(|id| self.objects.contactgroups.get(*id as usize));
        let all = recipients.contacts.iter().chain(of_groups.flat_map(|group| &group.members));
        let mut seen = std::collections::HashSet::new();
        all.filter(|id| seen.insert(**id)).map(|id| ContactId(*id)).collect()
    }

    fn appearance(&mut self, settings: &Settings, alias: &Arc<str>, display: Option<&Arc<str>>) -> AppearanceId {
        let appearance = Appearance {
            alias: Arc::clone(alias),
            display_name: display.cloned(),
            notes: text(&settings.notes),
            notes_url: text(&settings.notes_url),
            action_url: text(&settings.action_url),
            icon_image: text(&settings.icon_image),
            icon_image_alt: text(&settings.icon_image_alt),
            vars: variables(&settings.variables),
        };
        let table = &mut self.nagios().appearances;
        if let Some(back) = table.iter().rev().take(SAME_WITHIN).position(|known| *known == appearance) {
            return AppearanceId::from_index(table.len() - 1 - back);
        }
        table.push(appearance);
        AppearanceId::from_index(table.len() - 1)
    }

    fn groups(&mut self) {
        let objects = self.objects;
        self.nagios().hostgroups = objects.hostgroups.iter().map(|group| of_group(group, HostId)).collect();
        self.nagios().servicegroups = objects.servicegroups.iter().map(|group| of_group(group, ServiceId)).collect();
        self.nagios().contactgroups = objects.contactgroups.iter().map(|group| of_group(group, ContactId)).collect();
    }

    fn rules(&mut self) {
        let objects = self.objects;
        let host = |id: Id| ObjectId::Host(HostId(id));
        let service = |id: Id| ObjectId::Service(ServiceId(id));
        let mut dependencies = Vec::new();
        for rule in &objects.host_dependencies {
            dependencies.push(dependency(rule, host, Options::HOST_STATES));
        }
        for rule in &objects.service_dependencies {
            dependencies.push(dependency(rule, service, Options::SERVICE_STATES));
        }
        self.nagios().dependencies = dependencies;
        let hosts = objects.host_escalations.iter();
        let hosts = hosts.map(|rule| (rule, objects.host_escalation(rule), host(rule.object), Options::HOST_STATES));
        let services = objects.service_escalations.iter();
        let services = services
            .map(|rule| (rule, objects.service_escalation(rule), service(rule.object), Options::SERVICE_STATES));
        for (rule, escalated, object, states) in hosts.chain(services).collect::<Vec<_>>() {
            let terms = &rule.terms;
            // Without an end written, a range that never matches.
            let Some(last) = terms.last_notification else { continue };
            let set = options(terms.options, states);
            let escalation = Escalation {
                object,
                first: terms.first_notification,
                last,
                interval: Some(self.span(escalated.interval)),
                period: escalated.period.map(TimeperiodId),
                options: recovery(set, terms.options),
                contacts: self.people(&escalated.recipients),
                contact_groups: escalated.recipients.contact_groups.iter().map(|id| ContactGroupId(*id)).collect(),
            };
            self.nagios().escalations.push(escalation);
        }
    }
}

/// The check of a host that belongs to a cloud tells its classifier whether the host answers.
fn host_signals(settings: &Settings) -> Vec<SignalSpec> {
    let is_placed = settings.variables.iter().any(|variable| [COMPONENTS, ZONE, CLOUD].contains(&&*variable.name));
    let answers = SignalSpec {
        sig: "ping".into(),
        // A plugin's WARNING is a host that is UP.
        value: SignalValue::ByState(["ok".into(), "ok".into(), "fail".into()]),
        of_host: true,
    };
    if is_placed { vec![answers] } else { Vec::new() }
}

/// How far back equal rows are looked for: neighbours are alike, and a search through all would be quadratic.
const SAME_WITHIN: usize = 8;

/// Whether a service takes anything from its host: recipients, notification period or interval.
fn inherits_of_host(settings: &Settings) -> bool {
    (settings.contacts.is_none() && settings.contact_groups.is_none())
        || settings.notification_period.is_none()
        || settings.notification_interval.is_none()
}

fn switches(settings: &Settings) -> Switches {
    Switches {
        active_checks: settings.active_checks_enabled,
        passive_checks: settings.passive_checks_enabled,
        notifications: settings.notifications_enabled,
        event_handler: settings.event_handler_enabled,
        flap_detection: settings.flap_detection_enabled,
        perfdata: settings.process_perf_data,
        obsess: settings.obsess,
        check_freshness: settings.check_freshness,
        retain_status: settings.retain_status_information,
        retain_nonstatus: settings.retain_nonstatus_information,
    }
}

pub(super) fn call(call: &wire::CommandCall) -> CommandCall {
    CommandCall { command: CommandId(call.command), text: Arc::clone(&call.text) }
}

fn text(text: &Option<Arc<str>>) -> Arc<str> {
    text.clone().unwrap_or_default()
}

fn variables(variables: &[Variable]) -> std::collections::BTreeMap<Arc<str>, Arc<str>> {
    variables.iter().map(|variable| (Arc::clone(&variable.name), Arc::clone(&variable.value))).collect()
}

fn of_group<I>(group: &wire::Group, id: impl Fn(Id) -> I) -> Group<I> {
    Group {
        name: Arc::clone(&group.name),
        alias: Arc::clone(&group.alias),
        members: group.members.iter().map(|member| id(*member)).collect(),
        notes: text(&group.notes),
        notes_url: text(&group.notes_url),
        action_url: text(&group.action_url),
    }
}

fn dependency(rule: &wire::Dependency, object: impl Fn(Id) -> ObjectId, states: Options) -> Dependency {
    let failure = options(rule.failure_options, states);
    let of = |concern| if rule.concern == concern { failure } else { Options::NONE };
    Dependency {
        master: object(rule.master),
        dependent: object(rule.dependent),
        execution: of(Concern::Execution),
        notification: of(Concern::Notification),
        inherits_parent: rule.inherits_parent,
        period: rule.period.map(TimeperiodId),
        redundancy: rule
            .redundancy
            .as_ref()
            .map(|group| Redundancy { name: Arc::clone(&group.name), min_available: group.min_available }),
    }
}

/// The letters of an option line as bits of the core. `states` tells a host's from a service's.
fn options(set: OptionSet, states: Options) -> Options {
    let of_host = states == Options::HOST_STATES;
    let pairs: &[(OptionSet, Options)] = if of_host {
        &[(OptionSet::DOWN, Options::DOWN), (OptionSet::UNREACHABLE, Options::UNREACHABLE)]
    } else {
        &[
            (OptionSet::WARNING, Options::WARNING),
            (OptionSet::CRITICAL, Options::CRITICAL),
            (OptionSet::UNKNOWN, Options::UNKNOWN),
        ]
    };
    let common = [
        (OptionSet::OK, Options::OK),
        (OptionSet::PENDING, Options::PENDING),
        (OptionSet::FLAPPING, Options::FLAPPING),
        (OptionSet::DOWNTIME, Options::DOWNTIME),
        (OptionSet::NOTIFICATION, Options::NOTIFIED),
    ];
    let given = pairs.iter().chain(&common).filter(|(letter, _)| set.has(*letter));
    given.fold(Options::NONE, |all, (_, bit)| all | *bit)
}

/// Where `r` is a letter, it is written in the place of OK.
fn recovery(converted: Options, set: OptionSet) -> Options {
    if set.has(OptionSet::OK) { converted | Options::RECOVERY } else { converted }
}
