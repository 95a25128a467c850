//! The resolved objects: templates, groups and lists expanded, names turned into indices. Plain data.

use std::ops::Range;
use std::sync::Arc;

use super::options::OptionSet;
use crate::nagios::finding::Place;

/// Index into the list of its type in [`Objects`]. Each list is sorted by name.
pub type Id = u32;

/// All registered objects of a configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    pub timeperiods: Vec<Timeperiod>,
    pub commands: Vec<Command>,
    pub contacts: Vec<Contact>,
    pub contactgroups: Vec<Group>,
    pub hosts: Vec<Host>,
    pub hostgroups: Vec<Group>,
    /// Sorted by host, then by description.
    pub services: Vec<Service>,
    pub servicegroups: Vec<Group>,
    pub host_dependencies: Vec<Dependency>,
    pub service_dependencies: Vec<Dependency>,
    pub host_escalations: Vec<Escalation>,
    pub service_escalations: Vec<Escalation>,
    /// Where the services of each host begin, and a last entry for the end.
    pub(super) first_service: Vec<Id>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Timeperiod {
    pub name: Arc<str>,
    pub alias: Arc<str>,
    /// Whole lines: days, then ranges. Their own first, then those of templates.
    pub lines: Vec<(String, Place)>,
    pub exclude: Vec<Id>,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    pub name: Arc<str>,
    pub line: Arc<str>,
    pub place: Place,
}

/// A command with its arguments: `check_ping!100!200`.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandCall {
    pub command: Id,
    /// As written.
    pub text: Arc<str>,
}

impl CommandCall {
    /// What follows the name, split at each `!` that is not written `\!`.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let Some((_, rest)) = self.text.split_once('!') else { return arguments };
        let mut current = String::new();
        let mut chars = rest.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek() == Some(&'!') => current.extend(chars.next()),
                '!' => arguments.push(std::mem::take(&mut current)),
                other => current.push(other),
            }
        }
        arguments.push(current);
        arguments
    }
}

/// `_NAME value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// In upper case, without the `_`.
    pub name: Arc<str>,
    pub value: Arc<str>,
    pub place: Place,
}

/// A host group, service group or contact group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub name: Arc<str>,
    pub alias: Arc<str>,
    /// Sorted; those of groups within are in it.
    pub members: Vec<Id>,
    pub notes: Option<Arc<str>>,
    pub notes_url: Option<Arc<str>>,
    pub action_url: Option<Arc<str>>,
    pub place: Place,
}

/// What a contact wants to hear about one type of object.
#[derive(Clone, Debug, PartialEq)]
pub struct Hearing {
    pub enabled: bool,
    /// Unset means always.
    pub period: Option<Id>,
    /// Unset means that the definition does not say; Nagios then notifies of nothing.
    pub options: Option<OptionSet>,
    pub commands: Vec<CommandCall>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    pub name: Arc<str>,
    pub alias: Arc<str>,
    pub email: Option<Arc<str>>,
    pub pager: Option<Arc<str>>,
    pub addresses: [Option<Arc<str>>; 6],
    pub host: Hearing,
    pub service: Hearing,
    pub can_submit_commands: bool,
    pub retain_status_information: bool,
    pub retain_nonstatus_information: bool,
    pub minimum_importance: u32,
    /// Contact groups it is in.
    pub groups: Box<[Id]>,
    pub variables: Arc<[Variable]>,
    pub place: Place,
}

/// What a host or service definition says beyond its names. Shared by all objects that one definition or one template
/// makes alike. Intervals are in units of `interval_length`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub check_command: Option<CommandCall>,
    /// Unset means always.
    pub check_period: Option<Id>,
    pub event_handler: Option<CommandCall>,
    pub event_handler_period: Option<Id>,
    pub max_check_attempts: u32,
    pub check_interval: f64,
    pub retry_interval: f64,
    /// Seconds; unset means the global one.
    pub check_timeout: Option<u32>,
    /// Hosts: 0 up, 1 down, 2 unreachable. Services: 0 to 3.
    pub initial_state: u8,
    pub active_checks_enabled: bool,
    pub passive_checks_enabled: bool,
    pub check_freshness: bool,
    /// Seconds; 0 means automatic.
    pub freshness_threshold: u32,
    pub obsess: bool,
    pub event_handler_enabled: bool,
    pub flap_detection_enabled: bool,
    /// Percent; 0 means the global one.
    pub low_flap_threshold: f64,
    pub high_flap_threshold: f64,
    pub flap_detection_options: OptionSet,
    pub process_perf_data: bool,
    pub retain_status_information: bool,
    pub retain_nonstatus_information: bool,
    pub notifications_enabled: bool,
    /// `Some(None)` is a written `null`: always, and not inherited from the host.
    pub notification_period: Option<Option<Id>>,
    pub notification_interval: Option<f64>,
    pub first_notification_delay: f64,
    pub notification_options: OptionSet,
    pub stalking_options: OptionSet,
    pub importance: u32,
    /// Unset is not the same as empty, see [`Objects::recipients`].
    pub contacts: Option<Arc<[Id]>>,
    pub contact_groups: Option<Arc<[Id]>>,
    pub notes: Option<Arc<str>>,
    pub notes_url: Option<Arc<str>>,
    pub action_url: Option<Arc<str>>,
    pub icon_image: Option<Arc<str>>,
    pub icon_image_alt: Option<Arc<str>>,
    /// Hosts only, as are the next three.
    pub vrml_image: Option<Arc<str>>,
    pub statusmap_image: Option<Arc<str>>,
    pub coords_2d: Option<[f64; 2]>,
    pub coords_3d: Option<[f64; 3]>,
    /// Services only, as is the next.
    pub is_volatile: u32,
    pub parallelize_check: bool,
    pub variables: Arc<[Variable]>,
    pub places: Places,
}

/// Where the directives stand that later findings speak of; line 0 where one is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Places {
    pub check_command: Place,
    pub check_period: Place,
    pub event_handler: Place,
    pub notification_period: Place,
    pub contacts: Place,
}

/// Units, if neither the object nor (for a service) its host says.
pub const NOTIFICATION_INTERVAL: f64 = 30.0;

#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub name: Arc<str>,
    pub alias: Arc<str>,
    pub display_name: Arc<str>,
    pub address: Arc<str>,
    pub parents: Box<[Id]>,
    /// Host groups it is in.
    pub groups: Box<[Id]>,
    pub settings: Arc<Settings>,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub host: Id,
    pub description: Arc<str>,
    /// The description, if not given.
    pub display_name: Option<Arc<str>>,
    pub settings: Arc<Settings>,
    /// Services that this one needs.
    pub parents: Box<[Id]>,
    /// Service groups it is in.
    pub groups: Box<[Id]>,
    pub place: Place,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Concern {
    Execution,
    Notification,
}

/// One rule between two hosts, or between two services.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    pub concern: Concern,
    pub master: Id,
    pub dependent: Id,
    pub inherits_parent: bool,
    /// States of the master in which the dependent is not checked, or not notified of.
    pub failure_options: OptionSet,
    pub period: Option<Id>,
    /// Beyond Nagios: the group of masters that stand in for each other.
    pub redundancy: Option<Redundancy>,
    pub place: Place,
}

/// `redundancy_group` and `min_available` of a dependency.
#[derive(Clone, Debug, PartialEq)]
pub struct Redundancy {
    pub name: Arc<str>,
    pub min_available: u32,
}

/// What an escalation's definition says; shared by the objects it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct EscalationTerms {
    /// 0 if not written.
    pub first_notification: u32,
    /// `Some(0)` means without end. Unset never matches.
    pub last_notification: Option<u32>,
    /// Unset: the object's own.
    pub interval: Option<f64>,
    /// Unset: the object's own notification period. `Some(None)`: always.
    pub period: Option<Option<Id>>,
    pub options: OptionSet,
    /// Who is told, and whether that is in addition to the object's own contacts.
    pub contacts: Option<Vec<Id>>,
    pub contact_groups: Option<Vec<Id>>,
    pub adds_contacts: bool,
    pub adds_contact_groups: bool,
    pub place: Place,
}

/// An escalation of one host or service.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalation {
    pub object: Id,
    pub terms: Arc<EscalationTerms>,
}

/// Contacts and contact groups.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recipients {
    pub contacts: Vec<Id>,
    pub contact_groups: Vec<Id>,
}

impl Objects {
    pub fn host(&self, id: Id) -> Option<&Host> {
        self.hosts.get(id as usize)
    }

    /// The services of a host.
    pub fn services_of(&self, host: Id) -> Range<Id> {
        let at = |index: usize| self.first_service.get(index).copied().unwrap_or_default();
        at(host as usize)..at(host as usize + 1)
    }

    pub fn find_host(&self, name: &str) -> Option<Id> {
        self.hosts.binary_search_by(|host| host.name.as_ref().cmp(name)).ok().map(|index| index as Id)
    }

    pub fn find_service(&self, host: Id, description: &str) -> Option<Id> {
        let range = self.services_of(host);
        let of_host = self.services.get(range.start as usize..range.end as usize)?;
        let index = of_host.binary_search_by(|service| service.description.as_ref().cmp(description)).ok()?;
        Some(range.start + index as Id)
    }

    fn settings_of(&self, host: Id) -> Option<&Settings> {
        self.host(host).map(|host| host.settings.as_ref())
    }

    /// A service without contacts and contact groups has those of its host.
    pub fn recipients(&self, service: &Service) -> Recipients {
        let own = &service.settings;
        let from = match (&own.contacts, &own.contact_groups) {
            (None, None) => self.settings_of(service.host).unwrap_or(own),
            _ => own,
        };
        from.recipients()
    }

    /// The host's if the service does not say; unset means always.
    pub fn notification_period(&self, service: &Service) -> Option<Id> {
        let of_host = || self.settings_of(service.host).and_then(|host| host.notification_period);
        service.settings.notification_period.or_else(of_host).flatten()
    }

    /// The host's if the service does not say, in units.
    pub fn notification_interval(&self, service: &Service) -> f64 {
        let of_host = || self.settings_of(service.host).and_then(|host| host.notification_interval);
        service.settings.notification_interval.or_else(of_host).unwrap_or(NOTIFICATION_INTERVAL)
    }

    fn escalated(&self, terms: &EscalationTerms, own: &Recipients) -> Recipients {
        let is_plain = |list: &Option<Vec<Id>>, adds: bool| list.is_some() && !adds;
        let any_plain = is_plain(&terms.contacts, terms.adds_contacts)
            || is_plain(&terms.contact_groups, terms.adds_contact_groups);
        let list = |given: &Option<Vec<Id>>, adds: bool, inherited: &[Id]| {
            let mut all = given.clone().unwrap_or_default();
            if adds || (given.is_none() && !any_plain) {
                all.extend_from_slice(inherited);
                all.sort_unstable();
                all.dedup();
            }
            all
        };
        Recipients {
            contacts: list(&terms.contacts, terms.adds_contacts, &own.contacts),
            contact_groups: list(&terms.contact_groups, terms.adds_contact_groups, &own.contact_groups),
        }
    }

    /// Whom a host's escalation tells, how often and when.
    pub fn host_escalation(&self, escalation: &Escalation) -> Escalated {
        let terms = &escalation.terms;
        let (own, interval, period) = match self.settings_of(escalation.object) {
            Some(host) => (host.recipients(), host.notification_interval, host.notification_period),
            None => (Recipients::default(), None, None),
        };
        Escalated {
            recipients: self.escalated(terms, &own),
            interval: terms.interval.or(interval).unwrap_or(NOTIFICATION_INTERVAL),
            period: terms.period.or(period).flatten(),
        }
    }

    /// Whom a service's escalation tells, how often and when.
    pub fn service_escalation(&self, escalation: &Escalation) -> Escalated {
        let terms = &escalation.terms;
        let (own, interval, period) = match self.services.get(escalation.object as usize) {
            Some(service) => {
                (self.recipients(service), self.notification_interval(service), self.notification_period(service))
            }
            None => (Recipients::default(), NOTIFICATION_INTERVAL, None),
        };
        Escalated {
            recipients: self.escalated(terms, &own),
            interval: terms.interval.unwrap_or(interval),
            period: terms.period.unwrap_or(period),
        }
    }
}

/// An escalation with all that it inherits from its object.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalated {
    pub recipients: Recipients,
    pub interval: f64,
    pub period: Option<Id>,
}

impl Settings {
    pub fn recipients(&self) -> Recipients {
        Recipients {
            contacts: self.contacts.as_deref().unwrap_or_default().to_vec(),
            contact_groups: self.contact_groups.as_deref().unwrap_or_default().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_split_at_marks_that_are_not_escaped() {
        for (text, arguments) in
            [("c", &[][..]), ("c!", &[""]), ("c!a b!c", &["a b", "c"]), ("c!a\\!b!\\c", &["a!b", "\\c"])]
        {
            assert_eq!(CommandCall { command: 0, text: text.into() }.arguments(), arguments, "{text}");
        }
    }
}
