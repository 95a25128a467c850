//! An imported catalog written as Stentor's own configuration, and a list of what has no equivalent there.

mod line;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use stentor_core::Span;
use stentor_core::catalog::nagios::{Appearance, CommandLine, Dependency, Directives, Options};
use stentor_core::catalog::{Catalog, Check, Timeperiod};
use stentor_core::id::{CommandId, ContactId, HostId, ObjectId, ServiceId, TimeperiodId};
use stentor_core::macros::view::COMMAND_PARAM;
use stentor_core::model::Value;

use crate::config::hosts::{is_address, is_name};
use crate::config::probe_kinds::Trial;

/// The text of each file, and what could not be carried over.
pub struct Export {
    /// Names below the folder, the main file first.
    pub files: Vec<(&'static str, String)>,
    /// Subject and directive, one a line.
    pub lost: Vec<String>,
}

/// Writes a catalog that came from a Nagios tree alone. `from` is the name of its main file.
pub fn export(catalog: &Catalog, from: &str) -> Export {
    let mut writer = Writer {
        catalog,
        lost: Vec::new(),
        trial: Trial::new(),
        left_out: BTreeSet::new(),
        unwatched: BTreeSet::new(),
    };
    let hosts = writer.hosts();
    let services = writer.services();
    let timeperiods = writer.timeperiods();
    let people = writer.people();
    let main = writer.main(from);
    let files = vec![
        ("stentor.toml", main),
        ("conf.d/hosts.toml", hosts),
        ("conf.d/services.toml", services),
        ("conf.d/timeperiods.toml", timeperiods),
        ("conf.d/people.toml", people),
    ];
    Export { files, lost: writer.lost }
}

struct Writer<'a> {
    catalog: &'a Catalog,
    lost: Vec<String>,
    trial: Trial,
    /// Hosts that have no equivalent, with all that hangs on them.
    left_out: BTreeSet<HostId>,
    /// Services that nothing of Stentor's could look at.
    unwatched: BTreeSet<ServiceId>,
}

impl Writer<'_> {
    /// A comment in the file and a line in the list.
    fn lose(&mut self, out: &mut String, subject: &str, what: &str) {
        let line = |text: &str| text.replace(['\n', '\r'], " ");
        let _ = writeln!(out, "# not carried: {}", line(what));
        self.lost.push(format!("{}: {}", line(subject), line(what)));
    }

    fn period(&self, id: TimeperiodId) -> &str {
        &self.catalog.timeperiods[id.index()].name
    }

    fn main(&mut self, from: &str) -> String {
        let program = &self.catalog.nagios.program;
        let mut out = format!("# Written by `stentor import` from {}.\n", from.replace(['\n', '\r'], " "));
        out.push_str("# Checks that are plugins run as before; what is marked `# not carried` has no equivalent.\n\n");
        let _ = writeln!(out, "include = [\"conf.d/*.toml\"]\n");
        let _ = writeln!(out, "[site]\nname = \"main\"\ntimezone = {}\n", quoted(&program.zone));
        let mails = self.catalog.nagios.contacts.iter().flatten().any(|contact| is_mail(&contact.email));
        let sender = if is_mail(&program.admin_email) { &*program.admin_email } else { "stentor@localhost" };
        out.push_str("# Nagios gave its mail to this machine's mail server.\n");
        let _ = writeln!(out, "[notifier.email]\nenabled = {mails}\nhost = \"localhost\"\nport = 25\ntls = \"none\"");
        let _ = writeln!(out, "from = {}\n", quoted(sender));
        let call = |name: &str, call: &Option<stentor_core::catalog::nagios::CommandCall>| {
            call.as_ref().map(|call| format!("{name} {}", call.text))
        };
        let calls = [
            call("global_host_event_handler", &program.global_host_event_handler),
            call("global_service_event_handler", &program.global_service_event_handler),
            call("ochp_command", &program.ochp_command),
            call("ocsp_command", &program.ocsp_command),
            call("host_perfdata_command", &program.host_perfdata_command),
            call("service_perfdata_command", &program.service_perfdata_command),
            program.host_perfdata_template.as_ref().map(|_| "host_perfdata_file".to_owned()),
            program.service_perfdata_template.as_ref().map(|_| "service_perfdata_file".to_owned()),
        ];
        let flapping = program.enable_flap_detection.then(|| "enable_flap_detection".to_owned());
        for what in calls.into_iter().flatten().chain(flapping).collect::<Vec<_>>() {
            self.lose(&mut out, "the program", &what);
        }
        out
    }

    fn hosts(&mut self) -> String {
        let catalog = self.catalog;
        let mut out = String::from("# Hosts.\n");
        for (row, host) in catalog.hosts.iter().enumerate() {
            if !is_name(&host.name) || !is_address(&host.address) {
                self.left_out.insert(HostId::from_index(row));
            }
        }
        for (row, host) in catalog.hosts.iter().enumerate() {
            let (id, subject) = (HostId::from_index(row), format!("host {}", host.name));
            out.push('\n');
            if self.left_out.contains(&id) {
                self.lose(
                    &mut out,
                    &subject,
                    &format!("{subject}: its name or its address {} is refused", host.address),
                );
                continue;
            }
            let _ = writeln!(out, "[[host]]\nname = {}\naddress = {}", quoted(&host.name), quoted(&host.address));
            if host.display != host.name {
                let _ = writeln!(out, "display = {}", quoted(&host.display));
            }
            let (known, unknown): (Vec<HostId>, Vec<HostId>) =
                host.parents.iter().partition(|parent| !self.left_out.contains(parent));
            if !known.is_empty() {
                let names = known.iter().map(|parent| &*catalog.hosts[parent.index()].name);
                let _ = writeln!(out, "parents = {}", list(names));
            }
            for parent in unknown {
                self.lose(&mut out, &subject, &format!("parent {}", catalog.hosts[parent.index()].name));
            }
            self.common(&mut out, &subject, ObjectId::Host(id));
            let alias = catalog.nagios.appearance(ObjectId::Host(id)).map(|looks| &looks.alias);
            if let Some(alias) = alias.filter(|alias| ***alias != *host.name && ***alias != *host.display) {
                self.lose(&mut out, &subject, &format!("alias {alias}"));
            }
            self.host_check(&mut out, &subject, id);
        }
        out
    }

    fn host_check(&mut self, out: &mut String, subject: &str, host: HostId) {
        let catalog = self.catalog;
        let directives = catalog.nagios.directives(ObjectId::Host(host));
        let is_active = directives.is_none_or(|directives| directives.switches.active_checks);
        let Some(check) = catalog.check_of(ObjectId::Host(host)) else {
            out.push_str("check = \"none\"\n");
            return;
        };
        if !is_active {
            self.lose(out, subject, &format!("check_command {}: its results came from outside", check.name));
            out.push_str("check = \"none\"\n");
            return;
        }
        let line = call_of(check).and_then(|call| command_of(catalog, call)).map_or("", |command| &*command.line);
        let is_ping = ["ping", "check_icmp", "check_fping", "check_host"].iter().any(|word| line.contains(word));
        if !is_ping {
            self.lose(out, subject, &format!("check_command {}: the host is pinged instead", check.name));
        }
        out.push_str("[host.checks.ping]\n");
        self.cadence(out, subject, check);
    }

    /// How often a check runs.
    fn cadence(&mut self, out: &mut String, subject: &str, check: &Check) {
        if check.every > Span::ZERO {
            let retry = if check.retry > Span::ZERO { check.retry } else { check.every };
            let _ = writeln!(out, "every = \"{}\"\nretry = \"{retry}\"", check.every);
        } else {
            self.lose(out, subject, "check_interval 0: it is checked at Stentor's own pace");
        }
        let _ = writeln!(out, "attempts = {}", check.attempts.clamp(1, 1000));
    }

    /// What no host or service of Stentor's own configuration has.
    fn common(&mut self, out: &mut String, subject: &str, object: ObjectId) {
        let nagios = &self.catalog.nagios;
        let (Some(directives), Some(looks)) = (nagios.directives(object), nagios.appearance(object)) else { return };
        let timed = |id: TimeperiodId| Some(&self.catalog.timeperiods[id.index()]).filter(|period| !is_always(period));
        let mut lost = of_directives(directives, timed);
        lost.extend(of_appearance(looks));
        for what in lost {
            self.lose(out, subject, &what);
        }
    }

    fn services(&mut self) -> String {
        let catalog = self.catalog;
        let mut out = String::from("# Services. This file may hold passwords: values of $USERn$ are filled in.\n");
        for (row, service) in catalog.services.iter().enumerate() {
            let (id, host) = (ServiceId::from_index(row), &catalog.hosts[service.host.index()]);
            let subject = format!("service {}/{}", host.name, service.name);
            out.push('\n');
            if self.left_out.contains(&service.host) {
                self.lose(&mut out, &subject, &format!("{subject}: its host is not carried"));
                continue;
            }
            let check = &catalog.checks[service.check.index()];
            let directives = catalog.nagios.directives(ObjectId::Service(id));
            let is_active = directives.is_none_or(|directives| directives.switches.active_checks);
            let Some(how) = self.how(&mut out, &subject, id, check, is_active) else {
                self.unwatched.insert(id);
                continue;
            };
            let _ = writeln!(out, "[[service]]\nhost = {}\nname = {}", quoted(&host.name), quoted(&service.name));
            out.push_str(&how);
            self.cadence(&mut out, &subject, check);
            if is_active {
                let _ = writeln!(out, "timeout = \"{}\"", check.timeout);
            } else if let Some(directives) = directives.filter(|directives| directives.switches.check_freshness) {
                let threshold = directives.freshness_threshold;
                let threshold = if threshold > Span::ZERO { threshold } else { check.every + Span::from_secs(15) };
                let _ = writeln!(out, "freshness = \"{threshold}\"");
            }
            self.common(&mut out, &subject, ObjectId::Service(id));
        }
        out
    }

    /// The lines that say what looks; `None` if nothing of Stentor's could.
    fn how(
        &mut self,
        out: &mut String,
        subject: &str,
        service: ServiceId,
        check: &Check,
        is_active: bool,
    ) -> Option<String> {
        if !is_active {
            return Some("# Results come from outside.\nprobe = \"\"\n".to_owned());
        }
        let call = call_of(check).unwrap_or_default();
        let refusal = match line::exec_line(self.catalog, service, call) {
            Ok(line) => {
                let params = Value::Map([("command".to_owned(), Value::from(line.as_str()))].into());
                match self.trial.refusal("exec", &params) {
                    None => return Some(format!("probe = \"exec\"\nparams = {{ command = {} }}\n", quoted(&line))),
                    Some(refusal) => refusal,
                }
            }
            Err(macros) => format!("its command needs {}", macros.join(", ")),
        };
        self.lose(out, subject, &format!("{subject} with check_command {call}: {refusal}"));
        None
    }

    fn timeperiods(&mut self) -> String {
        let mut out = String::from("# Timeperiods.\n");
        for period in &self.catalog.timeperiods {
            let _ = writeln!(out, "\n[[timeperiod]]\nname = {}", quoted(&period.name));
            let windows = windows(period);
            let _ = writeln!(out, "windows = {}", list(windows.iter().map(String::as_str)));
            let dates: Vec<String> = period.exceptions.iter().map(ToString::to_string).collect();
            if !dates.is_empty() {
                let _ = writeln!(out, "dates = {}", list(dates.iter().map(String::as_str)));
            }
            if !period.exclude.is_empty() {
                let _ = writeln!(out, "exclude = {}", list(period.exclude.iter().map(|id| self.period(*id))));
            }
        }
        out
    }

    fn people(&mut self) -> String {
        let mut out = String::from("# Contacts and routes. Incidents are told, not single hosts and services.\n");
        for row in 0..self.catalog.contacts.len() {
            self.contact(&mut out, ContactId::from_index(row));
        }
        self.routes(&mut out);
        out.push('\n');
        self.rules(&mut out);
        out
    }

    fn contact(&mut self, out: &mut String, id: ContactId) {
        let contact = &self.catalog.contacts[id.index()];
        let Some(Some(nagios)) = self.catalog.nagios.contacts.get(id.index()) else { return };
        let subject = format!("contact {}", contact.name);
        let _ = writeln!(out, "\n[[contact]]\nname = {}", quoted(&contact.name));
        if contact.display != contact.name {
            let _ = writeln!(out, "display = {}", quoted(&contact.display));
        }
        let mut lost = Vec::new();
        if is_mail(&nagios.email) {
            let _ = writeln!(out, "email = {}", quoted(&nagios.email));
        } else if !nagios.email.is_empty() {
            lost.push(format!("email {}: it is no mail address", nagios.email));
        }
        match (nagios.service.period, nagios.host.period) {
            (Some(service), host) => {
                let _ = writeln!(out, "period = {}", quoted(self.period(service)));
                if let Some(host) = host.filter(|host| *host != service) {
                    lost.push(format!("host_notification_period {}", self.period(host)));
                }
            }
            (None, Some(host)) => lost.push(format!("host_notification_period {}", self.period(host))),
            (None, None) => {}
        }
        let all = Options::OK | Options::RECOVERY;
        for (name, side, states) in [
            ("host", &nagios.host, Options::DOWN | Options::UNREACHABLE | all),
            ("service", &nagios.service, Options::WARNING | Options::CRITICAL | Options::UNKNOWN | all),
        ] {
            if !side.enabled || side.options.0 & states.0 != states.0 {
                let word = if side.enabled { "options: only some states" } else { "enabled 0" };
                lost.push(format!("{name}_notifications_{word}"));
            }
            let texts = side.commands.iter().map(|call| &*call.text).filter(|text| !text.contains("mail"));
            lost.extend(texts.map(|text| format!("{name}_notification_commands {text}")));
        }
        let others = std::iter::once(&nagios.pager).chain(&nagios.addresses).filter(|text| !text.is_empty());
        lost.extend(others.map(|text| format!("pager or address {text}")));
        lost.extend(nagios.vars.iter().map(|(name, value)| format!("_{name} {value}")));
        for what in lost {
            self.lose(out, &subject, &what);
        }
    }

    /// Who is told of which hosts: a route for each contact group, and for each contact that is named directly.
    fn routes(&mut self, out: &mut String) {
        let catalog = self.catalog;
        let nagios = &catalog.nagios;
        let mut of_groups: BTreeMap<usize, BTreeSet<HostId>> = BTreeMap::new();
        let mut of_contacts: BTreeMap<ContactId, BTreeSet<HostId>> = BTreeMap::new();
        let hosts = (0..catalog.hosts.len()).map(HostId::from_index).map(|id| (ObjectId::Host(id), id));
        let services = catalog.services.iter().enumerate();
        let services = services.map(|(row, service)| (ObjectId::Service(ServiceId::from_index(row)), service.host));
        for (object, host) in hosts.chain(services) {
            let Some(directives) = nagios.directives(object).filter(|_| !self.left_out.contains(&host)) else {
                continue;
            };
            let mut of_a_group: BTreeSet<ContactId> = BTreeSet::new();
            for group in &directives.contact_groups {
                of_groups.entry(group.index()).or_default().insert(host);
                of_a_group.extend(&nagios.contactgroups[group.index()].members);
            }
            for contact in directives.contacts.iter().filter(|contact| !of_a_group.contains(contact)) {
                of_contacts.entry(*contact).or_default().insert(host);
            }
        }
        for (group, hosts) in of_groups {
            let group = &nagios.contactgroups[group];
            self.route(out, &format!("group {}", group.name), &group.members, &hosts);
        }
        for (contact, hosts) in of_contacts {
            let name = format!("contact {}", catalog.contacts[contact.index()].name);
            self.route(out, &name, &[contact], &hosts);
        }
    }

    fn route(&self, out: &mut String, name: &str, to: &[ContactId], hosts: &BTreeSet<HostId>) {
        if to.is_empty() {
            return;
        }
        let names = to.iter().map(|id| &*self.catalog.contacts[id.index()].name);
        let _ = writeln!(out, "\n[[route]]\nname = {}\nto = {}", quoted(name), list(names));
        // Without a match a route takes every incident.
        if hosts.len() < self.catalog.hosts.len() - self.left_out.len() {
            let names = hosts.iter().map(|id| &*self.catalog.hosts[id.index()].name);
            let _ = writeln!(out, "[route.match]\nhost = {}", list(names));
        }
    }

    /// What depends on what, each redundancy group as one.
    fn dependencies(&mut self, out: &mut String) {
        let catalog = self.catalog;
        let name = |object: ObjectId| {
            let key = catalog.object_key(object);
            key.service.map_or_else(|| key.host.to_string(), |service| format!("{}/{service}", key.host))
        };
        let mut groups: Vec<(&Dependency, Vec<&Dependency>)> = Vec::new();
        for rule in &catalog.nagios.dependencies {
            if !self.is_carried(rule.dependent) || !self.is_carried(rule.master) {
                let what = format!("dependency of {} on {}", name(rule.dependent), name(rule.master));
                self.lose(out, "rules", &what);
                continue;
            }
            let alike = |of: &Dependency| Dependency { master: of.master, ..rule.clone() } == *of;
            let group = rule.redundancy.as_ref().and_then(|_| groups.iter_mut().find(|(first, _)| alike(first)));
            match group {
                Some((_, members)) => members.push(rule),
                None => groups.push((rule, vec![rule])),
            }
        }
        for (rule, members) in groups {
            self.dependency(out, rule, &members.iter().map(|member| name(member.master)).collect::<Vec<_>>());
        }
    }

    fn dependency(&mut self, out: &mut String, rule: &Dependency, on: &[String]) {
        let key = self.catalog.object_key(rule.dependent);
        let criteria = rule.execution | rule.notification;
        let of_host = matches!(rule.master, ObjectId::Host(_));
        let states: &[(Options, &str)] = match of_host {
            true => &[(Options::DOWN, "down"), (Options::UNREACHABLE, "unreachable")],
            false => &[(Options::WARNING, "warning"), (Options::CRITICAL, "critical"), (Options::UNKNOWN, "unknown")],
        };
        let states: Vec<&str> = states.iter().filter(|(bit, _)| criteria.has(*bit)).map(|(_, word)| *word).collect();
        let what = format!("dependency of {} on {}", key.service.as_deref().unwrap_or(&key.host), on.join(", "));
        if states.is_empty() {
            self.lose(out, "rules", &format!("{what}: it fails in no bad state"));
            return;
        }
        if criteria.has(Options::OK) {
            self.lose(out, "rules", &format!("{what}: it fails in a good state too"));
        }
        let _ = writeln!(out, "\n[[dependency]]\nhost = {}", quoted(&key.host));
        if let Some(service) = &key.service {
            let _ = writeln!(out, "service = {}", quoted(service));
        }
        let _ = writeln!(out, "on = {}", list(on.iter().map(String::as_str)));
        if let Some(group) = &rule.redundancy {
            let _ = writeln!(out, "name = {}\nmin_available = {}", quoted(&group.name), group.min_available);
        }
        let stops = [("notifications", rule.notification), ("checks", rule.execution)];
        let stops = stops.into_iter().filter(|(_, criteria)| !criteria.is_empty()).map(|(word, _)| word);
        let _ = writeln!(out, "stops = {}\nstates = {}", list(stops), list(states.into_iter()));
        if let Some(period) = rule.period {
            let _ = writeln!(out, "period = {}", quoted(self.period(period)));
        }
        if rule.inherits_parent {
            out.push_str("inherits_parent = true\n");
        }
    }

    fn is_carried(&self, object: ObjectId) -> bool {
        match object {
            ObjectId::Host(id) => !self.left_out.contains(&id),
            ObjectId::Service(id) => {
                let host = self.catalog.services[id.index()].host;
                !self.left_out.contains(&host) && !self.unwatched.contains(&id)
            }
        }
    }

    /// What only Nagios's own notifications have.
    fn rules(&mut self, out: &mut String) {
        let catalog = self.catalog;
        let nagios = &catalog.nagios;
        let key = |object: ObjectId| {
            let key = catalog.object_key(object);
            key.service.map_or_else(|| key.host.to_string(), |service| format!("{}/{service}", key.host))
        };
        self.dependencies(out);
        for rule in &nagios.escalations {
            let last = if rule.last == 0 { "on".to_owned() } else { format!("to {}", rule.last) };
            let to: Vec<&str> = rule.contacts.iter().map(|id| &*catalog.contacts[id.index()].name).collect();
            let what = format!("escalation of {} from {} {last}: {}", key(rule.object), rule.first, to.join(", "));
            self.lose(out, "rules", &what);
        }
        for group in &nagios.hostgroups {
            self.lose(out, "groups", &format!("hostgroup {}", group.name));
        }
        for group in &nagios.servicegroups {
            self.lose(out, "groups", &format!("servicegroup {}", group.name));
        }
    }
}

/// The directives of a host or service that say something and have no equivalent.
fn of_directives<'a>(directives: &Directives, timed: impl Fn(TimeperiodId) -> Option<&'a Timeperiod>) -> Vec<String> {
    let mut lost = Vec::new();
    let periods = [("check_period", directives.check_period), ("notification_period", directives.notification_period)];
    lost.extend(periods.into_iter().filter_map(|(name, id)| Some(format!("{name} {}", timed(id?)?.name))));
    lost.extend(directives.event_handler.as_ref().map(|call| format!("event_handler {}", call.text)));
    let interval = directives.notification_interval;
    if interval != Directives::default().notification_interval {
        lost.push(format!("notification_interval {interval}: [timing] says how often incidents are told"));
    }
    let flags = [
        ("notifications_enabled 0", !directives.switches.notifications),
        ("is_volatile", directives.volatile),
        ("stalking_options", !directives.stalking.is_empty()),
        ("initial_state", directives.initial_state != 0),
        ("importance", directives.importance != 0),
        ("first_notification_delay", directives.first_notification_delay > Span::ZERO),
    ];
    lost.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_owned()));
    lost
}

fn of_appearance(looks: &Appearance) -> Vec<String> {
    let texts = [("notes", &looks.notes), ("notes_url", &looks.notes_url), ("action_url", &looks.action_url)];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let variables = looks.vars.iter().map(|(name, value)| format!("_{name} {value}"));
    texts.map(|(name, text)| format!("{name} {text}")).chain(variables).collect()
}

/// The call of a check that is a Nagios command.
fn call_of(check: &Check) -> Option<&str> {
    check.params.map()?.get(COMMAND_PARAM).and_then(Value::text)
}

fn command_of<'a>(catalog: &'a Catalog, call: &str) -> Option<&'a CommandLine> {
    let id: CommandId = *catalog.nagios.index.command.get(call.split('!').next()?)?;
    Some(&catalog.nagios.commands[id.index()])
}

/// Open at any time: as good as no period.
fn is_always(period: &Timeperiod) -> bool {
    let all_day = |day: &Vec<(u16, u16)>| day.contains(&(0, 24 * 60));
    period.weekly.iter().all(all_day) && period.exceptions.is_empty() && period.exclude.is_empty()
}

/// The week of a period, days with the same hours together.
fn windows(period: &Timeperiod) -> Vec<String> {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let mut by_hours: Vec<(String, Vec<&str>)> = Vec::new();
    for (day, ranges) in DAYS.iter().zip(&period.weekly) {
        let open = ranges.iter().filter(|(start, end)| start < end);
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let hours: Vec<String> = open.map(|(start, end)| format!("{}-{}", clock(*start), clock(*end))).collect();
        let hours = hours.join(",");
        if hours.is_empty() {
            continue;
        }
        match by_hours.iter_mut().find(|(known, _)| *known == hours) {
            Some((_, days)) => days.push(day),
            None => by_hours.push((hours, vec![day])),
        }
    }
    by_hours.into_iter().map(|(hours, days)| format!("{} {hours}", days.join(","))).collect()
}

fn is_mail(text: &str) -> bool {
    text.contains('@')
}

/// As TOML writes a text.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let texts: Vec<String> = texts.map(quoted).collect();
    format!("[{}]", texts.join(", "))
}
