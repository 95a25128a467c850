//! The resolved objects in the format of Nagios's `objects.precache` and `objects.cache`. Texts are followed by a blank
//! there, lists and numbers are not.

use std::convert::Infallible;
use std::fmt::{Display, Write};

use super::model::{
    Concern, Contact, Dependency, Escalated, Escalation, Group, Hearing, Host, Id, Objects, Recipients, Service,
    Settings, Timeperiod, Variable,
};
use super::options::{self, Family, OptionSet};

/// So much is gathered before it is handed out.
const PIECE_BYTES: usize = 64 * 1024;

/// All objects as text.
pub fn dump(objects: &Objects) -> String {
    let mut text = String::new();
    let Ok(()) = dump_to(objects, |piece| {
        text.push_str(piece);
        Ok::<(), Infallible>(())
    });
    text
}

/// All objects as text, in pieces: of a large site it is never in memory as a whole.
///
/// # Errors
/// What `take` says; nothing more is handed to it then.
pub fn dump_to<E>(objects: &Objects, mut take: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    let mut out = Dump { text: String::with_capacity(2 * PIECE_BYTES), objects };
    objects.timeperiods.iter().for_each(|period| out.timeperiod(period));
    for command in &objects.commands {
        out.block("command", |out| {
            out.text("command_name", &command.name);
            out.text("command_line", &command.line);
        });
    }
    let contacts = |id: Id| objects.contacts.get(id as usize).map_or("", |contact| &contact.name);
    objects.contactgroups.iter().for_each(|group| {
        out.block("contactgroup", |out| {
            out.text("contactgroup_name", &group.name);
            out.text("alias", &group.alias);
            out.list("members", &group.members, contacts);
        });
    });
    for group in &objects.hostgroups {
        let members: Vec<&str> = group.members.iter().map(|id| out.host_name(*id)).collect();
        out.group("hostgroup", group, &members.join(","));
    }
    for group in &objects.servicegroups {
        let members: Vec<String> = group.members.iter().map(|id| out.service_pair(*id).join(",")).collect();
        out.group("servicegroup", group, &members.join(","));
    }
    out.each(&objects.contacts, Dump::contact, &mut take)?;
    out.each(&objects.hosts, Dump::host, &mut take)?;
    out.each(&objects.services, Dump::service, &mut take)?;
    out.each(&objects.service_dependencies, Dump::service_dependency, &mut take)?;
    out.each(&objects.service_escalations, Dump::service_escalation, &mut take)?;
    out.each(&objects.host_dependencies, Dump::host_dependency, &mut take)?;
    out.each(&objects.host_escalations, Dump::host_escalation, &mut take)?;
    take(&out.text)
}

struct Dump<'o> {
    text: String,
    objects: &'o Objects,
}

/// What differs between the settings of a host and of a service.
struct Effective<'e> {
    recipients: Recipients,
    period: Option<Id>,
    interval: f64,
    states: &'e [&'e str],
    notification: &'e Family,
    flapping: &'e Family,
    stalking: &'e Family,
}

impl<'o> Dump<'o> {
    fn each<T, E>(
        &mut self,
        objects: &[T],
        write: impl Fn(&mut Self, &T),
        take: &mut impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        for object in objects {
            write(self, object);
            if self.text.len() >= PIECE_BYTES {
                take(&self.text)?;
                self.text.clear();
            }
        }
        Ok(())
    }

    fn block(&mut self, kind: &str, body: impl FnOnce(&mut Self)) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "define {kind} {{");
        body(self);
        self.text.push_str("\t}\n\n");
    }

    fn text(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.text, "\t{key}\t{value} ");
    }

    fn value(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.text, "\t{key}\t{value}");
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.value(key, u8::from(value));
    }

    fn units(&mut self, key: &str, value: f64) {
        // Nearly all are whole, and digits of fractions are dear.
        if value.fract() == 0.0 && value.abs() < 1e15 {
            self.value(key, format_args!("{}.000000", value as i64));
        } else {
            self.value(key, format_args!("{value:.6}"));
        }
    }

    fn option(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn list<'n>(&mut self, key: &str, ids: &[Id], name: impl Fn(Id) -> &'n str) {
        if !ids.is_empty() {
            let names: Vec<&str> = ids.iter().map(|id| name(*id)).collect();
            self.value(key, names.join(","));
        }
    }

    fn host_name(&self, id: Id) -> &'o str {
        self.objects.host(id).map_or("", |host| &host.name)
    }

    fn service_pair(&self, id: Id) -> [&'o str; 2] {
        let service = self.objects.services.get(id as usize);
        service.map_or(["", ""], |service| [self.host_name(service.host), &service.description])
    }

    fn period(&mut self, key: &str, id: Option<Id>) {
        let objects = self.objects;
        self.option(key, id.and_then(|id| objects.timeperiods.get(id as usize)).map(|period| &*period.name));
    }

    fn timeperiod(&mut self, period: &Timeperiod) {
        let objects = self.objects;
        self.block("timeperiod", |out| {
            out.value("timeperiod_name", &period.name);
            out.value("alias", &period.alias);
            let mut lines: Vec<&str> = period.lines.iter().map(|(line, _)| line.as_str()).collect();
            lines.sort_by_key(|line| super::dates::weekday(line).unwrap_or(usize::MAX));
            for line in lines {
                let days = super::dates::days_of(line);
                let hours = line.get(days.len()..).unwrap_or_default().trim();
                out.value(days, hours);
            }
            let name = |id: Id| objects.timeperiods.get(id as usize).map_or("", |period| &*period.name);
            out.list("exclude", &period.exclude, name);
        });
    }

    fn group(&mut self, kind: &str, group: &Group, members: &str) {
        self.block(kind, |out| {
            out.text(&format!("{kind}_name"), &group.name);
            out.text("alias", &group.alias);
            out.option("members", Some(members).filter(|members| !members.is_empty()));
            out.option("notes", group.notes.as_deref());
            out.option("notes_url", group.notes_url.as_deref());
            out.option("action_url", group.action_url.as_deref());
        });
    }

    fn hearing(&mut self, what: &str, hearing: &Hearing) {
        let commands: Vec<&str> = hearing.commands.iter().map(|call| &*call.text).collect();
        if !commands.is_empty() {
            self.value(&format!("{what}_notification_commands"), commands.join(","));
        }
    }

    fn contact(&mut self, contact: &Contact) {
        self.block("contact", |out| {
            out.text("contact_name", &contact.name);
            out.text("alias", &contact.alias);
            out.period("service_notification_period", contact.service.period);
            out.period("host_notification_period", contact.host.period);
            let letters = |options: Option<OptionSet>, family| options.unwrap_or_default().letters(family);
            out.text("service_notification_options", &letters(contact.service.options, &options::SERVICE_NOTIFICATION));
            out.text("host_notification_options", &letters(contact.host.options, &options::HOST_NOTIFICATION));
            out.hearing("service", &contact.service);
            out.hearing("host", &contact.host);
            out.option("email", contact.email.as_deref());
            out.option("pager", contact.pager.as_deref());
            for (address, number) in contact.addresses.iter().zip(1..) {
                out.option(&format!("address{number}"), address.as_deref());
            }
            out.value("minimum_importance", contact.minimum_importance);
            out.flag("host_notifications_enabled", contact.host.enabled);
            out.flag("service_notifications_enabled", contact.service.enabled);
            out.flag("can_submit_commands", contact.can_submit_commands);
            out.flag("retain_status_information", contact.retain_status_information);
            out.flag("retain_nonstatus_information", contact.retain_nonstatus_information);
            out.variables(&contact.variables);
        });
    }

    fn variables(&mut self, variables: &[Variable]) {
        for variable in variables {
            let _ = writeln!(self.text, "\t_{}\t{}", variable.name, variable.value);
        }
    }

    fn recipients(&mut self, recipients: &Recipients) {
        let objects = self.objects;
        let contact = |id: Id| objects.contacts.get(id as usize).map_or("", |contact| &*contact.name);
        let group = |id: Id| objects.contactgroups.get(id as usize).map_or("", |group| &*group.name);
        self.list("contacts", &recipients.contacts, contact);
        self.list("contact_groups", &recipients.contact_groups, group);
    }

    fn host(&mut self, host: &Host) {
        let objects = self.objects;
        self.block("host", |out| {
            out.text("host_name", &host.name);
            out.option("display_name", Some(&*host.display_name).filter(|name| *name != &*host.name));
            out.text("alias", &host.alias);
            out.text("address", &host.address);
            out.list("parents", &host.parents, |id| objects.host(id).map_or("", |host| &host.name));
            let effective = Effective {
                recipients: host.settings.recipients(),
                period: host.settings.notification_period.flatten(),
                interval: host.settings.notification_interval.unwrap_or(super::model::NOTIFICATION_INTERVAL),
                states: &["o", "d", "u"],
                notification: &options::HOST_NOTIFICATION,
                flapping: &options::HOST_FLAPPING,
                stalking: &options::HOST_STALKING,
            };
            out.settings(&host.settings, &effective, |_| {});
        });
    }

    fn service(&mut self, service: &Service) {
        let objects = self.objects;
        self.block("service", |out| {
            out.text("host_name", out.host_name(service.host));
            out.text("service_description", &service.description);
            let shown = service.display_name.as_deref().filter(|name| *name != &*service.description);
            out.option("display_name", shown);
            let parents: Vec<String> = service.parents.iter().map(|id| out.service_pair(*id).join(",")).collect();
            if !parents.is_empty() {
                out.value("parents", parents.join(","));
            }
            let effective = Effective {
                recipients: objects.recipients(service),
                period: objects.notification_period(service),
                interval: objects.notification_interval(service),
                states: &["o", "w", "c", "u"],
                notification: &options::SERVICE_NOTIFICATION,
                flapping: &options::SERVICE_FLAPPING,
                stalking: &options::SERVICE_STALKING,
            };
            let settings = &service.settings;
            out.settings(settings, &effective, |out| {
                out.value("is_volatile", settings.is_volatile);
                out.flag("parallelize_check", settings.parallelize_check);
            });
        });
    }

    fn settings(&mut self, settings: &Settings, effective: &Effective<'_>, of_service: impl FnOnce(&mut Self)) {
        self.period("check_period", settings.check_period);
        self.option("check_command", settings.check_command.as_ref().map(|call| &*call.text));
        self.option("event_handler", settings.event_handler.as_ref().map(|call| &*call.text));
        self.period("event_handler_period", settings.event_handler_period);
        self.recipients(&effective.recipients);
        self.period("notification_period", effective.period);
        self.value("initial_state", effective.states.get(usize::from(settings.initial_state)).unwrap_or(&"o"));
        self.value("importance", settings.importance);
        self.units("check_interval", settings.check_interval);
        self.units("retry_interval", settings.retry_interval);
        self.value("max_check_attempts", settings.max_check_attempts);
        of_service(self);
        self.flag("active_checks_enabled", settings.active_checks_enabled);
        self.flag("passive_checks_enabled", settings.passive_checks_enabled);
        self.flag("obsess", settings.obsess);
        self.flag("event_handler_enabled", settings.event_handler_enabled);
        self.units("low_flap_threshold", settings.low_flap_threshold);
        self.units("high_flap_threshold", settings.high_flap_threshold);
        self.flag("flap_detection_enabled", settings.flap_detection_enabled);
        self.value("flap_detection_options", settings.flap_detection_options.letters(effective.flapping));
        self.value("freshness_threshold", settings.freshness_threshold);
        self.flag("check_freshness", settings.check_freshness);
        if let Some(timeout) = settings.check_timeout {
            self.value("check_timeout", timeout);
        }
        self.value("notification_options", settings.notification_options.letters(effective.notification));
        self.flag("notifications_enabled", settings.notifications_enabled);
        self.units("notification_interval", effective.interval);
        self.units("first_notification_delay", settings.first_notification_delay);
        self.value("stalking_options", settings.stalking_options.letters(effective.stalking));
        self.flag("process_perf_data", settings.process_perf_data);
        self.extras(settings);
        self.flag("retain_status_information", settings.retain_status_information);
        self.flag("retain_nonstatus_information", settings.retain_nonstatus_information);
        self.variables(&settings.variables);
    }

    fn extras(&mut self, settings: &Settings) {
        self.option("icon_image", settings.icon_image.as_deref());
        self.option("icon_image_alt", settings.icon_image_alt.as_deref());
        self.option("vrml_image", settings.vrml_image.as_deref());
        self.option("statusmap_image", settings.statusmap_image.as_deref());
        if let Some([x, y]) = settings.coords_2d {
            self.value("2d_coords", format_args!("{x:.0},{y:.0}"));
        }
        if let Some([x, y, z]) = settings.coords_3d {
            self.value("3d_coords", format_args!("{x:.6},{y:.6},{z:.6}"));
        }
        self.option("notes", settings.notes.as_deref());
        self.option("notes_url", settings.notes_url.as_deref());
        self.option("action_url", settings.action_url.as_deref());
    }

    fn failure(&mut self, rule: &Dependency, family: &Family) {
        self.period("dependency_period", rule.period);
        self.flag("inherits_parent", rule.inherits_parent);
        let key = match rule.concern {
            Concern::Execution => "execution_failure_options",
            Concern::Notification => "notification_failure_options",
        };
        self.value(key, rule.failure_options.letters(family));
    }

    fn host_dependency(&mut self, rule: &Dependency) {
        let (master, dependent) = (self.host_name(rule.master), self.host_name(rule.dependent));
        self.block("hostdependency", |out| {
            out.text("host_name", master);
            out.text("dependent_host_name", dependent);
            out.failure(rule, &options::HOST_DEPENDENCY);
        });
    }

    fn service_dependency(&mut self, rule: &Dependency) {
        let ([host, master], [dependent_host, dependent]) =
            (self.service_pair(rule.master), self.service_pair(rule.dependent));
        self.block("servicedependency", |out| {
            out.text("host_name", host);
            out.text("service_description", master);
            out.text("dependent_host_name", dependent_host);
            out.text("dependent_service_description", dependent);
            out.failure(rule, &options::SERVICE_DEPENDENCY);
        });
    }

    fn escalation(&mut self, escalation: &Escalation, effective: &Escalated, family: &Family) {
        let terms = &escalation.terms;
        self.value("first_notification", terms.first_notification);
        // As Nagios prints what was never set.
        let last = terms.last_notification.map_or_else(|| "-2".to_owned(), |last| last.to_string());
        self.value("last_notification", last);
        self.units("notification_interval", effective.interval);
        self.period("escalation_period", effective.period);
        self.value("escalation_options", terms.options.letters(family));
        self.recipients(&effective.recipients);
    }

    fn host_escalation(&mut self, escalation: &Escalation) {
        let effective = self.objects.host_escalation(escalation);
        let host = self.host_name(escalation.object);
        self.block("hostescalation", |out| {
            out.text("host_name", host);
            out.escalation(escalation, &effective, &options::HOST_ESCALATION);
        });
    }

    fn service_escalation(&mut self, escalation: &Escalation) {
        let effective = self.objects.service_escalation(escalation);
        let [host, description] = self.service_pair(escalation.object);
        self.block("serviceescalation", |out| {
            out.text("host_name", host);
            out.text("service_description", description);
            out.escalation(escalation, &effective, &options::SERVICE_ESCALATION);
        });
    }
}
