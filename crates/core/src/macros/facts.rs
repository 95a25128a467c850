//! What macros are made of: plain borrowed data about the objects of a context, and the [`World`] that finds others.

use crate::Timestamp;
use crate::model::{HostState, ServiceState, StateKind};

/// What a host and a service both have. Instants are zero where there is none; texts are empty where they are not set.
#[derive(Copy, Clone, Debug, Default)]
pub struct ObjectFacts<'a> {
    pub display_name: &'a str,
    pub kind: StateKind,
    pub attempt: u32,
    pub max_attempts: u32,
    pub event_id: u64,
    pub last_event_id: u64,
    pub problem_id: u64,
    pub last_problem_id: u64,
    /// In seconds.
    pub latency: f64,
    /// In seconds.
    pub execution_time: f64,
    pub last_state_change: Timestamp,
    pub last_check: Timestamp,
    pub downtime_depth: u32,
    /// 0 to 100.
    pub percent_change: f64,
    /// As Nagios keeps it: `;` has become `:`.
    pub output: &'a str,
    /// With real line feeds.
    pub long_output: &'a str,
    pub perf_data: &'a str,
    pub check_command: &'a str,
    pub is_passive: bool,
    pub notification_number: u32,
    pub notification_id: u64,
    pub action_url: &'a str,
    pub notes_url: &'a str,
    pub notes: &'a str,
    pub importance: u32,
    pub notifications_enabled: bool,
    pub notification_period: &'a str,
    pub check_source: &'a str,
    /// Begin and end of the newest problem.
    pub problem_start: Timestamp,
    pub problem_end: Timestamp,
}

#[derive(Copy, Clone, Debug, Default)]
pub struct HostFacts<'a> {
    pub name: &'a str,
    pub alias: &'a str,
    pub address: &'a str,
    pub state: HostState,
    pub last_state: HostState,
    pub last_up: Timestamp,
    pub last_down: Timestamp,
    pub last_unreachable: Timestamp,
    pub object: ObjectFacts<'a>,
}

#[derive(Copy, Clone, Debug, Default)]
pub struct ServiceFacts<'a> {
    pub host: &'a str,
    pub description: &'a str,
    pub state: ServiceState,
    pub last_state: ServiceState,
    pub last_ok: Timestamp,
    pub last_warning: Timestamp,
    pub last_critical: Timestamp,
    pub last_unknown: Timestamp,
    pub is_volatile: bool,
    pub object: ObjectFacts<'a>,
}

#[derive(Copy, Clone, Debug, Default)]
pub struct ContactFacts<'a> {
    pub name: &'a str,
    pub alias: &'a str,
    pub email: &'a str,
    pub pager: &'a str,
    pub addresses: [&'a str; 6],
}

/// A group of hosts, services or contacts.
#[derive(Copy, Clone, Debug, Default)]
pub struct GroupFacts<'a> {
    pub name: &'a str,
    pub alias: &'a str,
    pub notes: &'a str,
    pub notes_url: &'a str,
    pub action_url: &'a str,
}

/// Who said something, and what.
#[derive(Copy, Clone, Debug, Default)]
pub struct RemarkFacts<'a> {
    pub author: &'a str,
    /// Name and alias of the contact that the author is; empty if he is none.
    pub author_name: &'a str,
    pub author_alias: &'a str,
    pub comment: &'a str,
}

#[derive(Copy, Clone, Debug, Default)]
pub struct NotificationFacts<'a> {
    /// `PROBLEM`, `RECOVERY`, `ACKNOWLEDGEMENT`, ...
    pub kind: &'a str,
    pub number: u32,
    pub is_escalated: bool,
    /// Names with commas between.
    pub recipients: &'a str,
    pub remark: RemarkFacts<'a>,
}

impl NotificationFacts<'_> {
    pub fn is_acknowledgement(&self) -> bool {
        self.kind == "ACKNOWLEDGEMENT"
    }
}

/// `date_format` of the main configuration.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum DateFormat {
    #[default]
    Us,
    Euro,
    Iso8601,
    StrictIso8601,
}

/// The program and its main configuration.
#[derive(Copy, Clone, Debug, Default)]
pub struct ProgramFacts<'a> {
    pub started: Timestamp,
    pub event_loop_started: Timestamp,
    /// IANA zone name.
    pub zone: &'a str,
    pub date_format: DateFormat,
    /// Base URL of the pages.
    pub url: &'a str,
    pub admin_email: &'a str,
    pub admin_pager: &'a str,
    pub main_config_file: &'a str,
    pub status_file: &'a str,
    pub retention_file: &'a str,
    pub object_cache_file: &'a str,
    pub temp_file: &'a str,
    pub temp_path: &'a str,
    pub log_file: &'a str,
    pub resource_file: &'a str,
    pub command_file: &'a str,
    pub host_perfdata_file: &'a str,
    pub service_perfdata_file: &'a str,
    /// `$USER1$` is the first; a short list leaves the others empty.
    pub users: &'a [&'a str],
}

/// Counts over all objects. "Unhandled": not acknowledged, not in downtime, checks enabled, and for a service its host
/// up.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// By state code: up, down, unreachable.
    pub hosts: [u64; 3],
    pub hosts_unhandled: [u64; 3],
    /// By state code: OK, WARNING, CRITICAL, UNKNOWN.
    pub services: [u64; 4],
    pub services_unhandled: [u64; 4],
}

/// The owner of custom variables.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Owner<'n> {
    Host(&'n str),
    Service(&'n str, &'n str),
    Contact(&'n str),
}

/// Finds objects that are not in the context. Visitors are called in the order in which the configuration registers.
pub trait World {
    fn host<'a>(&'a self, name: &str) -> Option<HostFacts<'a>>;
    fn service<'a>(&'a self, host: &str, description: &str) -> Option<ServiceFacts<'a>>;
    fn contact<'a>(&'a self, name: &str) -> Option<ContactFacts<'a>>;

    fn host_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>>;
    fn service_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>>;
    fn contact_group<'a>(&'a self, name: &str) -> Option<GroupFacts<'a>>;

    fn hosts_in<'a>(&'a self, group: &str, visit: &mut dyn FnMut(HostFacts<'a>));
    fn services_in<'a>(&'a self, group: &str, visit: &mut dyn FnMut(ServiceFacts<'a>));
    fn contacts_in<'a>(&'a self, group: &str, visit: &mut dyn FnMut(ContactFacts<'a>));

    fn services_of<'a>(&'a self, host: &str, visit: &mut dyn FnMut(ServiceFacts<'a>));
    /// The groups that hold an object; those of a contact are contact groups.
    fn groups_of<'a>(&'a self, member: Owner<'_>, visit: &mut dyn FnMut(GroupFacts<'a>));
    /// Names in upper case without the underscore, and values.
    fn variables_of<'a>(&'a self, owner: Owner<'_>, visit: &mut dyn FnMut(&'a str, &'a str));

    fn totals(&self) -> Totals;

    /// `None`: there is no such timeperiod.
    fn in_period(&self, name: &str, at: Timestamp) -> Option<bool>;
    /// The inner `None`: no instant follows that is inside.
    fn next_valid(&self, name: &str, at: Timestamp) -> Option<Option<Timestamp>>;
}

/// A world in which nothing is found: for a context that is all there is.
#[derive(Copy, Clone, Debug, Default)]
pub struct NoWorld;

impl World for NoWorld {
    fn host<'a>(&'a self, _: &str) -> Option<HostFacts<'a>> {
        None
    }

    fn service<'a>(&'a self, _: &str, _: &str) -> Option<ServiceFacts<'a>> {
        None
    }

    fn contact<'a>(&'a self, _: &str) -> Option<ContactFacts<'a>> {
        None
    }

    fn host_group<'a>(&'a self, _: &str) -> Option<GroupFacts<'a>> {
        None
    }

    fn service_group<'a>(&'a self, _: &str) -> Option<GroupFacts<'a>> {
        None
    }

    fn contact_group<'a>(&'a self, _: &str) -> Option<GroupFacts<'a>> {
        None
    }

    fn hosts_in<'a>(&'a self, _: &str, _: &mut dyn FnMut(HostFacts<'a>)) {}
    fn services_in<'a>(&'a self, _: &str, _: &mut dyn FnMut(ServiceFacts<'a>)) {}
    fn contacts_in<'a>(&'a self, _: &str, _: &mut dyn FnMut(ContactFacts<'a>)) {}
    fn services_of<'a>(&'a self, _: &str, _: &mut dyn FnMut(ServiceFacts<'a>)) {}
    fn groups_of<'a>(&'a self, _: Owner<'_>, _: &mut dyn FnMut(GroupFacts<'a>)) {}
    fn variables_of<'a>(&'a self, _: Owner<'_>, _: &mut dyn FnMut(&'a str, &'a str)) {}

    fn totals(&self) -> Totals {
        Totals::default()
    }

    fn in_period(&self, _: &str, _: Timestamp) -> Option<bool> {
        None
    }

    fn next_valid(&self, _: &str, _: Timestamp) -> Option<Option<Timestamp>> {
        None
    }
}
