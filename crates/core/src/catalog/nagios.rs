//! What a Nagios object tree adds to the world: directives beyond the check, commands, groups, dependencies,
//! escalations, and the program's own switches (specification 02). Empty tables where there is no such tree.

use std::collections::BTreeMap;
use std::ops::{BitOr, BitOrAssign};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Span;
use crate::id::{
    AppearanceId, CommandId, ContactGroupId, ContactId, DirectivesId, HostGroupId, HostId, ObjectId, ServiceGroupId,
    ServiceId, TimeperiodId,
};

/// The Nagios side of the catalog. Tables said to be parallel may be shorter than the one they go with: the rest are
/// objects that Stentor's own configuration made, with the default directives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Nagios {
    pub program: Program,
    pub commands: Vec<CommandLine>,
    /// Each set of directives once, however many objects share it.
    pub directives: Vec<Directives>,
    pub appearances: Vec<Appearance>,
    /// Parallel to [`crate::catalog::Catalog::hosts`].
    pub hosts: Vec<Member>,
    /// Parallel to [`crate::catalog::Catalog::services`].
    pub services: Vec<Member>,
    /// Parallel to [`crate::catalog::Catalog::contacts`]; `None` = a contact of Stentor's own routes.
    pub contacts: Vec<Option<NagiosContact>>,
    pub hostgroups: Vec<Group<HostId>>,
    pub servicegroups: Vec<Group<ServiceId>>,
    pub contactgroups: Vec<Group<ContactId>>,
    /// Services that a service leans on (`parents`); most have none.
    pub service_parents: BTreeMap<ServiceId, Vec<ServiceId>>,
    pub dependencies: Vec<Dependency>,
    pub escalations: Vec<Escalation>,
    #[serde(skip)]
    pub index: NagiosIndex,
}

/// Lookups derived from the tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NagiosIndex {
    pub command: BTreeMap<Arc<str>, CommandId>,
    pub hostgroup: BTreeMap<Arc<str>, HostGroupId>,
    pub servicegroup: BTreeMap<Arc<str>, ServiceGroupId>,
    pub contactgroup: BTreeMap<Arc<str>, ContactGroupId>,
    /// Positions in `dependencies` by the dependent object.
    pub dependencies: BTreeMap<ObjectId, Vec<u32>>,
    /// Positions in `escalations` by their object.
    pub escalations: BTreeMap<ObjectId, Vec<u32>>,
    /// Groups of each object that has any.
    pub groups_of_host: BTreeMap<HostId, Vec<HostGroupId>>,
    pub groups_of_service: BTreeMap<ServiceId, Vec<ServiceGroupId>>,
    pub groups_of_contact: BTreeMap<ContactId, Vec<ContactGroupId>>,
}

/// How one host or service is configured beyond its check.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub directives: DirectivesId,
    pub appearance: AppearanceId,
}

/// A `define command`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandLine {
    pub name: Arc<str>,
    /// With macros, as written.
    pub line: Arc<str>,
}

/// A command with its arguments, as a `check_command` or `event_handler` names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandCall {
    pub command: CommandId,
    /// `check_ping!100,20%!500,60%`: name and arguments as written.
    pub text: Arc<str>,
}

/// A set of states and of other things a notification or a stalk can be about; one bit a letter of an `options` list.
#[derive(Copy, Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Options(pub u16);

impl Options {
    pub const NONE: Options = Options(0);
    /// `o`: OK or UP.
    pub const OK: Options = Options(1);
    /// `w` of a service, `d` of a host: the bit is `1 << state code`, as are the next two.
    pub const WARNING: Options = Options(2);
    pub const DOWN: Options = Options(2);
    /// `c` of a service, `u` of a host.
    pub const CRITICAL: Options = Options(4);
    pub const UNREACHABLE: Options = Options(4);
    /// `u` of a service.
    pub const UNKNOWN: Options = Options(8);
    /// `p`: never checked.
    pub const PENDING: Options = Options(16);
    /// `r`: recoveries.
    pub const RECOVERY: Options = Options(32);
    /// `f`: flapping starts and stops.
    pub const FLAPPING: Options = Options(64);
    /// `s`: downtime starts, ends, is cancelled.
    pub const DOWNTIME: Options = Options(128);
    /// `N` of stalking: a line also for each notification.
    pub const NOTIFIED: Options = Options(256);
    /// Every state of a host.
    pub const HOST_STATES: Options = Options(1 | 2 | 4);
    /// Every state of a service.
    pub const SERVICE_STATES: Options = Options(1 | 2 | 4 | 8);
    /// `notification_options` that are not set: everything.
    pub const ALL: Options = Options(0x00ff);

    /// The bit of a state by its code: 0..=2 of a host, 0..=3 of a service.
    pub const fn of_state(code: u8) -> Options {
        Options(1 << (code & 3))
    }

    pub const fn has(self, other: Options) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Options {
    type Output = Options;
    fn bitor(self, other: Options) -> Options {
        Options(self.0 | other.0)
    }
}

impl BitOrAssign for Options {
    fn bitor_assign(&mut self, other: Options) {
        self.0 |= other.0;
    }
}

/// Yes-or-no directives of an object; each can be switched at run time by an external command.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Switches {
    pub active_checks: bool,
    pub passive_checks: bool,
    pub notifications: bool,
    pub event_handler: bool,
    pub flap_detection: bool,
    pub perfdata: bool,
    pub obsess: bool,
    pub check_freshness: bool,
    pub retain_status: bool,
    pub retain_nonstatus: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Switches {
            active_checks: true,
            passive_checks: true,
            notifications: true,
            event_handler: true,
            flap_detection: true,
            perfdata: true,
            obsess: true,
            check_freshness: false,
            retain_status: true,
            retain_nonstatus: true,
        }
    }
}

/// Everything about a host or service that is neither its check nor its looks. Attempts, intervals and the check
/// command are in its [`crate::catalog::Check`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Directives {
    pub switches: Switches,
    /// State code before the first result.
    pub initial_state: u8,
    pub volatile: bool,
    /// `None` = always.
    pub check_period: Option<TimeperiodId>,
    /// Zero = from the check interval.
    pub freshness_threshold: Span,
    pub event_handler: Option<CommandCall>,
    pub event_handler_period: Option<TimeperiodId>,
    /// Percent; 0 = the program's.
    pub flap_low: f32,
    pub flap_high: f32,
    /// States that count into the history of flapping.
    pub flap_options: Options,
    pub stalking: Options,
    pub notification_period: Option<TimeperiodId>,
    /// Zero = notify once.
    pub notification_interval: Span,
    pub first_notification_delay: Span,
    pub notification_options: Options,
    /// Contacts named, then members of the groups named, each once.
    pub contacts: Vec<ContactId>,
    pub contact_groups: Vec<ContactGroupId>,
    pub importance: u32,
}

impl Default for Directives {
    /// Specification 02, section 2; nobody is notified.
    fn default() -> Self {
        Directives {
            switches: Switches::default(),
            initial_state: 0,
            volatile: false,
            check_period: None,
            freshness_threshold: Span::ZERO,
            event_handler: None,
            event_handler_period: None,
            flap_low: 0.0,
            flap_high: 0.0,
            flap_options: Options::SERVICE_STATES,
            stalking: Options::NONE,
            notification_period: None,
            notification_interval: Span::from_mins(30),
            first_notification_delay: Span::ZERO,
            notification_options: Options::ALL,
            contacts: Vec::new(),
            contact_groups: Vec::new(),
            importance: 0,
        }
    }
}

/// What people and macros read of an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Appearance {
    pub alias: Arc<str>,
    /// `None` = its own name.
    pub display_name: Option<Arc<str>>,
    pub notes: Arc<str>,
    pub notes_url: Arc<str>,
    pub action_url: Arc<str>,
    pub icon_image: Arc<str>,
    pub icon_image_alt: Arc<str>,
    /// Custom variables, names in capitals without the leading `_`.
    pub vars: BTreeMap<Arc<str>, Arc<str>>,
}

/// A contact that is notified by commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NagiosContact {
    pub email: Arc<str>,
    pub pager: Arc<str>,
    /// `address1` … `address6`.
    pub addresses: [Arc<str>; 6],
    pub host: ContactSide,
    pub service: ContactSide,
    pub can_submit_commands: bool,
    pub retain_status: bool,
    pub retain_nonstatus: bool,
    pub minimum_importance: u32,
    pub vars: BTreeMap<Arc<str>, Arc<str>>,
}

/// How a contact is told of hosts, or of services.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContactSide {
    pub enabled: bool,
    pub period: Option<TimeperiodId>,
    pub options: Options,
    pub commands: Vec<CommandCall>,
}

/// A host, service or contact group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group<I> {
    pub name: Arc<str>,
    pub alias: Arc<str>,
    pub members: Vec<I>,
    pub notes: Arc<str>,
    pub notes_url: Arc<str>,
    pub action_url: Arc<str>,
}

/// `dependent` is neither checked nor notified about while `master` is in a state of the criteria.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dependency {
    pub master: ObjectId,
    pub dependent: ObjectId,
    /// Empty = no execution dependency.
    pub execution: Options,
    /// Empty = no notification dependency.
    pub notification: Options,
    pub inherits_parent: bool,
    pub period: Option<TimeperiodId>,
    /// The group of masters that stand in for each other; `None` = this one alone decides, as in Nagios.
    pub redundancy: Option<Redundancy>,
}

/// Dependencies of one object with the same `name` fail together, while fewer than `min_available` of them hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Redundancy {
    pub name: Arc<str>,
    pub min_available: u32,
}

/// Who is told instead, from the `first` to the `last` notification of a problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    pub object: ObjectId,
    pub first: u32,
    /// 0 = no end.
    pub last: u32,
    /// `None` = the object's own.
    pub interval: Option<Span>,
    pub period: Option<TimeperiodId>,
    pub options: Options,
    pub contacts: Vec<ContactId>,
    pub contact_groups: Vec<ContactGroupId>,
}

/// Switches and limits of the whole program (specification 02, section 7); every one that the engine reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    pub enable_notifications: bool,
    pub execute_service_checks: bool,
    pub execute_host_checks: bool,
    pub accept_passive_service_checks: bool,
    pub accept_passive_host_checks: bool,
    pub enable_event_handlers: bool,
    pub obsess_over_services: bool,
    pub obsess_over_hosts: bool,
    pub check_service_freshness: bool,
    pub check_host_freshness: bool,
    pub enable_flap_detection: bool,
    pub process_performance_data: bool,
    /// Seconds that an interval of 1 means.
    pub interval_length: Span,
    /// Percent.
    pub low_service_flap: f32,
    pub high_service_flap: f32,
    pub low_host_flap: f32,
    pub high_host_flap: f32,
    pub soft_state_dependencies: bool,
    pub aggressive_host_checking: bool,
    pub translate_passive_host_checks: bool,
    pub passive_host_checks_are_soft: bool,
    pub host_down_disables_service_checks: bool,
    pub predictive_host_dependency_checks: bool,
    pub predictive_service_dependency_checks: bool,
    pub cached_host_check_horizon: Span,
    pub cached_service_check_horizon: Span,
    pub additional_freshness_latency: Span,
    /// State code that a service gets when its check times out.
    pub service_check_timeout_state: u8,
    /// State that a check not run for a dependency, a parent, or a host that is down sets; `None` = leaves it.
    pub service_skip_dependency_state: Option<u8>,
    pub service_skip_parent_state: Option<u8>,
    pub service_skip_host_down_state: Option<u8>,
    pub host_skip_dependency_state: Option<u8>,
    pub global_host_event_handler: Option<CommandCall>,
    pub global_service_event_handler: Option<CommandCall>,
    pub ochp_command: Option<CommandCall>,
    pub ocsp_command: Option<CommandCall>,
    pub host_perfdata_command: Option<CommandCall>,
    pub service_perfdata_command: Option<CommandCall>,
    pub host_perfdata_process_empty_results: bool,
    pub service_perfdata_process_empty_results: bool,
    /// Line of the perfdata file for each result, with macros; `None` = there is no such file.
    pub host_perfdata_template: Option<Arc<str>>,
    pub service_perfdata_template: Option<Arc<str>>,
    pub host_perfdata_file_command: Option<CommandCall>,
    pub service_perfdata_file_command: Option<CommandCall>,
    pub log_notifications: bool,
    pub log_service_retries: bool,
    pub log_host_retries: bool,
    pub log_event_handlers: bool,
    pub log_external_commands: bool,
    pub log_passive_checks: bool,
    pub log_initial_states: bool,
    pub log_current_states: bool,
    /// A recovery that falls into a downtime is kept for the first OK result after it; else it is sent.
    pub defer_recovery: bool,
    /// Imported objects notify their contacts as Nagios does; else only incidents notify.
    pub notify_exact: bool,
    pub illegal_macro_output_chars: Arc<str>,
    pub date_format: DateFormat,
    pub large_installation_tweaks: bool,
    pub environment_macros: bool,
    /// `$USERn$` by n.
    pub user_macros: BTreeMap<u16, Arc<str>>,
    /// IANA zone of dates in macros and logs.
    pub zone: Arc<str>,
    pub admin_email: Arc<str>,
    pub admin_pager: Arc<str>,
    /// `LOGFILE`, `STATUSDATAFILE`, …: paths that macros give.
    pub files: BTreeMap<Arc<str>, Arc<str>>,
}

/// `date_format`.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateFormat {
    #[default]
    Us,
    Euro,
    Iso8601,
    StrictIso8601,
}

impl Default for Program {
    /// The defaults of Nagios Core 4.5.
    fn default() -> Self {
        Program {
            enable_notifications: true,
            execute_service_checks: true,
            execute_host_checks: true,
            accept_passive_service_checks: true,
            accept_passive_host_checks: true,
            enable_event_handlers: true,
            obsess_over_services: false,
            obsess_over_hosts: false,
            check_service_freshness: true,
            check_host_freshness: false,
            enable_flap_detection: false,
            process_performance_data: false,
            interval_length: Span::from_secs(60),
            low_service_flap: 20.0,
            high_service_flap: 30.0,
            low_host_flap: 20.0,
            high_host_flap: 30.0,
            soft_state_dependencies: false,
            aggressive_host_checking: false,
            translate_passive_host_checks: false,
            passive_host_checks_are_soft: false,
            host_down_disables_service_checks: false,
            predictive_host_dependency_checks: true,
            predictive_service_dependency_checks: true,
            cached_host_check_horizon: Span::from_secs(15),
            cached_service_check_horizon: Span::from_secs(15),
            additional_freshness_latency: Span::from_secs(15),
            service_check_timeout_state: 2,
            service_skip_dependency_state: None,
            service_skip_parent_state: None,
            service_skip_host_down_state: None,
            host_skip_dependency_state: None,
            global_host_event_handler: None,
            global_service_event_handler: None,
            ochp_command: None,
            ocsp_command: None,
            host_perfdata_command: None,
            service_perfdata_command: None,
            host_perfdata_process_empty_results: true,
            service_perfdata_process_empty_results: true,
            host_perfdata_template: None,
            service_perfdata_template: None,
            host_perfdata_file_command: None,
            service_perfdata_file_command: None,
            log_notifications: true,
            log_service_retries: false,
            log_host_retries: false,
            log_event_handlers: true,
            log_external_commands: true,
            log_passive_checks: true,
            log_initial_states: false,
            log_current_states: true,
            defer_recovery: true,
            notify_exact: true,
            illegal_macro_output_chars: Arc::default(),
            date_format: DateFormat::Us,
            large_installation_tweaks: false,
            environment_macros: false,
            user_macros: BTreeMap::new(),
            zone: "UTC".into(),
            admin_email: Arc::default(),
            admin_pager: Arc::default(),
            files: BTreeMap::new(),
        }
    }
}

impl Nagios {
    /// Whether there is a Nagios tree at all.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.services.is_empty()
    }

    /// How an object is configured; `None` for one of Stentor's own configuration.
    pub fn member(&self, object: ObjectId) -> Option<Member> {
        match object {
            ObjectId::Host(id) => self.hosts.get(id.index()).copied(),
            ObjectId::Service(id) => self.services.get(id.index()).copied(),
        }
    }

    pub fn directives(&self, object: ObjectId) -> Option<&Directives> {
        self.member(object).map(|member| &self.directives[member.directives.index()])
    }

    pub fn appearance(&self, object: ObjectId) -> Option<&Appearance> {
        self.member(object).map(|member| &self.appearances[member.appearance.index()])
    }

    /// Rebuilds the lookups; [`crate::catalog::Catalog::reindex`] calls it.
    pub fn reindex(&mut self) {
        let mut index = NagiosIndex::default();
        for (i, command) in self.commands.iter().enumerate() {
            index.command.insert(Arc::clone(&command.name), CommandId::from_index(i));
        }
        for (i, dependency) in self.dependencies.iter().enumerate() {
            index.dependencies.entry(dependency.dependent).or_default().push(position(i));
        }
        for (i, escalation) in self.escalations.iter().enumerate() {
            index.escalations.entry(escalation.object).or_default().push(position(i));
        }
        (index.hostgroup, index.groups_of_host) = index_groups(&self.hostgroups, HostGroupId::from_index);
        (index.servicegroup, index.groups_of_service) = index_groups(&self.servicegroups, ServiceGroupId::from_index);
        (index.contactgroup, index.groups_of_contact) = index_groups(&self.contactgroups, ContactGroupId::from_index);
        self.index = index;
    }
}

/// Groups by name, and the groups of each member.
type GroupIndex<G, M> = (BTreeMap<Arc<str>, G>, BTreeMap<M, Vec<G>>);

fn index_groups<G: Copy, M: Copy + Ord>(groups: &[Group<M>], id: impl Fn(usize) -> G) -> GroupIndex<G, M> {
    let (mut by_name, mut of_member) = (BTreeMap::new(), BTreeMap::<M, Vec<G>>::new());
    for (i, group) in groups.iter().enumerate() {
        by_name.insert(Arc::clone(&group.name), id(i));
        for member in &group.members {
            of_member.entry(*member).or_default().push(id(i));
        }
    }
    (by_name, of_member)
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
