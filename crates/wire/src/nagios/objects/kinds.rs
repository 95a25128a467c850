//! The types of objects and the directives that each of them knows. Data only.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::options::{self, Family};

/// A type of object.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    Timeperiod,
    Command,
    Contact,
    Contactgroup,
    Host,
    Hostgroup,
    Service,
    Servicegroup,
    Hostdependency,
    Servicedependency,
    Hostescalation,
    Serviceescalation,
    Hostextinfo,
    Serviceextinfo,
}

pub(super) const KINDS: [(Kind, &str, &[Row]); 14] = [
    (Kind::Timeperiod, "timeperiod", TIMEPERIOD),
    (Kind::Command, "command", COMMAND),
    (Kind::Contact, "contact", CONTACT),
    (Kind::Contactgroup, "contactgroup", CONTACTGROUP),
    (Kind::Host, "host", HOST),
    (Kind::Hostgroup, "hostgroup", HOSTGROUP),
    (Kind::Service, "service", SERVICE),
    (Kind::Servicegroup, "servicegroup", SERVICEGROUP),
    (Kind::Hostdependency, "hostdependency", HOSTDEPENDENCY),
    (Kind::Servicedependency, "servicedependency", SERVICEDEPENDENCY),
    (Kind::Hostescalation, "hostescalation", HOSTESCALATION),
    (Kind::Serviceescalation, "serviceescalation", SERVICEESCALATION),
    (Kind::Hostextinfo, "hostextinfo", HOSTEXTINFO),
    (Kind::Serviceextinfo, "serviceextinfo", SERVICEEXTINFO),
];

impl Kind {
    pub(super) fn word(self) -> &'static str {
        KINDS[self as usize].1
    }

    pub(super) fn rows(self) -> &'static [Row] {
        KINDS[self as usize].2
    }

    pub(super) fn of(word: &str) -> Option<Kind> {
        KINDS.iter().find(|(_, name, _)| *name == word).map(|(kind, ..)| *kind)
    }

    /// Whether `_NAME value` is a custom variable of it.
    pub(super) fn has_variables(self) -> bool {
        matches!(self, Kind::Host | Kind::Service | Kind::Contact)
    }
}

/// What a directive means, whatever it is called in its type.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Slot {
    // What makes one object differ from the next of its definition or template.
    ObjectName,
    HostName,
    HostgroupName,
    Description,
    ServicegroupName,
    Alias,
    DisplayName,
    Address,
    Parents,
    Groups,
    Members,
    GroupMembers,
    // What objects of one template share.
    CheckCommand,
    CheckPeriod,
    EventHandler,
    EventHandlerPeriod,
    MaxCheckAttempts,
    CheckInterval,
    RetryInterval,
    CheckTimeout,
    InitialState,
    ActiveChecks,
    PassiveChecks,
    CheckFreshness,
    FreshnessThreshold,
    Obsess,
    EventHandlerEnabled,
    FlapDetection,
    LowFlap,
    HighFlap,
    FlapOptions,
    ProcessPerfData,
    RetainStatus,
    RetainNonstatus,
    NotificationsEnabled,
    NotificationPeriod,
    NotificationInterval,
    FirstNotificationDelay,
    NotificationOptions,
    StalkingOptions,
    Importance,
    Notes,
    NotesUrl,
    ActionUrl,
    IconImage,
    IconImageAlt,
    VrmlImage,
    StatusmapImage,
    Coords2d,
    Coords3d,
    Contacts,
    ContactGroups,
    IsVolatile,
    Parallelize,
    Obsolete,
    // Contacts.
    Email,
    Pager,
    Address1,
    Address2,
    Address3,
    Address4,
    Address5,
    Address6,
    HostNotificationPeriod,
    ServiceNotificationPeriod,
    HostNotificationOptions,
    ServiceNotificationOptions,
    HostNotificationCommands,
    ServiceNotificationCommands,
    HostNotificationsEnabled,
    ServiceNotificationsEnabled,
    CanSubmitCommands,
    // Commands and timeperiods.
    CommandLine,
    Exclude,
    // Dependencies and escalations.
    DependentHostName,
    DependentHostgroupName,
    DependentDescription,
    DependentServicegroupName,
    InheritsParent,
    ExecutionCriteria,
    NotificationCriteria,
    DependencyPeriod,
    RedundancyGroup,
    MinAvailable,
    FirstNotification,
    LastNotification,
    EscalationPeriod,
    EscalationOptions,
}

/// What the value of a directive looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    Text,
    /// A list of names that a leading `+` adds to what is inherited.
    List,
    /// As `List`; several lines of it in one block add up.
    Members,
    Flag,
    /// A whole number, at least this.
    Count(u32),
    /// A number of time units, not negative.
    Units,
    Percent,
    Options(&'static Family),
    /// The first state: one of these letters or the words that begin with them.
    State(&'static str),
    Coords(usize),
}

/// The names of a directive in one type, what it means and how its value looks.
pub(super) struct Row(pub &'static [&'static str], pub Slot, pub Form);

use Form::{Coords, Count, Flag, List, Members, Options, Percent, State, Text, Units};
use Slot as S;

const TIMEPERIOD: &[Row] = &[
    Row(&["timeperiod_name"], S::ObjectName, Text),
    Row(&["alias"], S::Alias, Text),
    Row(&["exclude"], S::Exclude, List),
];

const COMMAND: &[Row] = &[Row(&["command_name"], S::ObjectName, Text), Row(&["command_line"], S::CommandLine, Text)];

const CONTACT: &[Row] = &[
    Row(&["contact_name"], S::ObjectName, Text),
    Row(&["alias"], S::Alias, Text),
    Row(&["contactgroups", "contact_groups"], S::Groups, List),
    Row(&["email"], S::Email, Text),
    Row(&["pager"], S::Pager, Text),
    Row(&["address1"], S::Address1, Text),
    Row(&["address2"], S::Address2, Text),
    Row(&["address3"], S::Address3, Text),
    Row(&["address4"], S::Address4, Text),
    Row(&["address5"], S::Address5, Text),
    Row(&["address6"], S::Address6, Text),
    Row(&["host_notification_period"], S::HostNotificationPeriod, Text),
    Row(&["service_notification_period"], S::ServiceNotificationPeriod, Text),
    Row(&["host_notification_options"], S::HostNotificationOptions, Options(&options::HOST_NOTIFICATION)),
    Row(&["service_notification_options"], S::ServiceNotificationOptions, Options(&options::SERVICE_NOTIFICATION)),
    Row(&["host_notification_commands"], S::HostNotificationCommands, Text),
    Row(&["service_notification_commands"], S::ServiceNotificationCommands, Text),
    Row(&["host_notifications_enabled"], S::HostNotificationsEnabled, Flag),
    Row(&["service_notifications_enabled"], S::ServiceNotificationsEnabled, Flag),
    Row(&["can_submit_commands"], S::CanSubmitCommands, Flag),
    Row(&["retain_status_information"], S::RetainStatus, Flag),
    Row(&["retain_nonstatus_information"], S::RetainNonstatus, Flag),
    Row(&["minimum_importance", "minimum_value"], S::Importance, Count(0)),
];

const CONTACTGROUP: &[Row] = &[
    Row(&["contactgroup_name"], S::ObjectName, Text),
    Row(&["alias"], S::Alias, Text),
    Row(&["members"], S::Members, Members),
    Row(&["contactgroup_members"], S::GroupMembers, Members),
];

const HOSTGROUP: &[Row] = &[
    Row(&["hostgroup_name"], S::ObjectName, Text),
    Row(&["alias"], S::Alias, Text),
    Row(&["members"], S::Members, Members),
    Row(&["hostgroup_members"], S::GroupMembers, Members),
    Row(&["notes"], S::Notes, Text),
    Row(&["notes_url"], S::NotesUrl, Text),
    Row(&["action_url"], S::ActionUrl, Text),
];

const SERVICEGROUP: &[Row] = &[
    Row(&["servicegroup_name"], S::ObjectName, Text),
    Row(&["alias"], S::Alias, Text),
    Row(&["members"], S::Members, Members),
    Row(&["servicegroup_members"], S::GroupMembers, Members),
    Row(&["notes"], S::Notes, Text),
    Row(&["notes_url"], S::NotesUrl, Text),
    Row(&["action_url"], S::ActionUrl, Text),
];

const HOST: &[Row] = &[
    Row(&["host_name"], S::ObjectName, Text),
    Row(&["alias"], S::Alias, Text),
    Row(&["display_name"], S::DisplayName, Text),
    Row(&["address"], S::Address, Text),
    Row(&["parents"], S::Parents, List),
    Row(&["hostgroups", "host_groups"], S::Groups, List),
    Row(&["contacts"], S::Contacts, List),
    Row(&["contact_groups"], S::ContactGroups, List),
    Row(&["check_command"], S::CheckCommand, Text),
    Row(&["check_period"], S::CheckPeriod, Text),
    Row(&["event_handler"], S::EventHandler, Text),
    Row(&["event_handler_period"], S::EventHandlerPeriod, Text),
    Row(&["max_check_attempts"], S::MaxCheckAttempts, Count(1)),
    Row(&["check_interval", "normal_check_interval"], S::CheckInterval, Units),
    Row(&["retry_interval", "retry_check_interval"], S::RetryInterval, Units),
    Row(&["check_timeout"], S::CheckTimeout, Count(0)),
    Row(&["initial_state"], S::InitialState, State("odu")),
    Row(&["active_checks_enabled", "checks_enabled"], S::ActiveChecks, Flag),
    Row(&["passive_checks_enabled"], S::PassiveChecks, Flag),
    Row(&["check_freshness"], S::CheckFreshness, Flag),
    Row(&["freshness_threshold"], S::FreshnessThreshold, Count(0)),
    Row(&["obsess", "obsess_over_host"], S::Obsess, Flag),
    Row(&["event_handler_enabled"], S::EventHandlerEnabled, Flag),
    Row(&["flap_detection_enabled"], S::FlapDetection, Flag),
    Row(&["low_flap_threshold"], S::LowFlap, Percent),
    Row(&["high_flap_threshold"], S::HighFlap, Percent),
    Row(&["flap_detection_options"], S::FlapOptions, Options(&options::HOST_FLAPPING)),
    Row(&["process_perf_data"], S::ProcessPerfData, Flag),
    Row(&["retain_status_information"], S::RetainStatus, Flag),
    Row(&["retain_nonstatus_information"], S::RetainNonstatus, Flag),
    Row(&["notifications_enabled"], S::NotificationsEnabled, Flag),
    Row(&["notification_period"], S::NotificationPeriod, Text),
    Row(&["notification_interval"], S::NotificationInterval, Units),
    Row(&["first_notification_delay"], S::FirstNotificationDelay, Units),
    Row(&["notification_options"], S::NotificationOptions, Options(&options::HOST_NOTIFICATION)),
    Row(&["stalking_options"], S::StalkingOptions, Options(&options::HOST_STALKING)),
    Row(&["importance", "hourly_value"], S::Importance, Count(0)),
    Row(&["notes"], S::Notes, Text),
    Row(&["notes_url"], S::NotesUrl, Text),
    Row(&["action_url"], S::ActionUrl, Text),
    Row(&["icon_image"], S::IconImage, Text),
    Row(&["icon_image_alt"], S::IconImageAlt, Text),
    Row(&["vrml_image"], S::VrmlImage, Text),
    Row(&["statusmap_image", "gd2_image"], S::StatusmapImage, Text),
    Row(&["2d_coords"], S::Coords2d, Coords(2)),
    Row(&["3d_coords"], S::Coords3d, Coords(3)),
    Row(&["failure_prediction_enabled", "failure_prediction_options"], S::Obsolete, Text),
];

const SERVICE: &[Row] = &[
    Row(&["host_name", "host", "hosts"], S::HostName, List),
    Row(&["hostgroup_name", "hostgroups", "hostgroup"], S::HostgroupName, List),
    Row(&["service_description", "description"], S::Description, Text),
    Row(&["display_name"], S::DisplayName, Text),
    Row(&["parents"], S::Parents, List),
    Row(&["servicegroups", "service_groups"], S::Groups, List),
    Row(&["contacts"], S::Contacts, List),
    Row(&["contact_groups"], S::ContactGroups, List),
    Row(&["is_volatile"], S::IsVolatile, Count(0)),
    Row(&["parallelize_check"], S::Parallelize, Flag),
    Row(&["check_command"], S::CheckCommand, Text),
    Row(&["check_period"], S::CheckPeriod, Text),
    Row(&["event_handler"], S::EventHandler, Text),
    Row(&["event_handler_period"], S::EventHandlerPeriod, Text),
    Row(&["max_check_attempts"], S::MaxCheckAttempts, Count(1)),
    Row(&["check_interval", "normal_check_interval"], S::CheckInterval, Units),
    Row(&["retry_interval", "retry_check_interval"], S::RetryInterval, Units),
    Row(&["check_timeout"], S::CheckTimeout, Count(0)),
    Row(&["initial_state"], S::InitialState, State("owuc")),
    Row(&["active_checks_enabled", "checks_enabled"], S::ActiveChecks, Flag),
    Row(&["passive_checks_enabled"], S::PassiveChecks, Flag),
    Row(&["check_freshness"], S::CheckFreshness, Flag),
    Row(&["freshness_threshold"], S::FreshnessThreshold, Count(0)),
    Row(&["obsess", "obsess_over_service"], S::Obsess, Flag),
    Row(&["event_handler_enabled"], S::EventHandlerEnabled, Flag),
    Row(&["flap_detection_enabled"], S::FlapDetection, Flag),
    Row(&["low_flap_threshold"], S::LowFlap, Percent),
    Row(&["high_flap_threshold"], S::HighFlap, Percent),
    Row(&["flap_detection_options"], S::FlapOptions, Options(&options::SERVICE_FLAPPING)),
    Row(&["process_perf_data"], S::ProcessPerfData, Flag),
    Row(&["retain_status_information"], S::RetainStatus, Flag),
    Row(&["retain_nonstatus_information"], S::RetainNonstatus, Flag),
    Row(&["notifications_enabled"], S::NotificationsEnabled, Flag),
    Row(&["notification_period"], S::NotificationPeriod, Text),
    Row(&["notification_interval"], S::NotificationInterval, Units),
    Row(&["first_notification_delay"], S::FirstNotificationDelay, Units),
    Row(&["notification_options"], S::NotificationOptions, Options(&options::SERVICE_NOTIFICATION)),
    Row(&["stalking_options"], S::StalkingOptions, Options(&options::SERVICE_STALKING)),
    Row(&["importance", "hourly_value"], S::Importance, Count(0)),
    Row(&["notes"], S::Notes, Text),
    Row(&["notes_url"], S::NotesUrl, Text),
    Row(&["action_url"], S::ActionUrl, Text),
    Row(&["icon_image"], S::IconImage, Text),
    Row(&["icon_image_alt"], S::IconImageAlt, Text),
    Row(&["failure_prediction_enabled", "failure_prediction_options"], S::Obsolete, Text),
];

const HOSTDEPENDENCY: &[Row] = &[
    Row(&["dependent_host_name", "dependent_host"], S::DependentHostName, List),
    Row(&["dependent_hostgroup_name", "dependent_hostgroups"], S::DependentHostgroupName, List),
    Row(&["host_name", "master_host", "master_host_name", "host"], S::HostName, List),
    Row(&["hostgroup_name", "hostgroup", "hostgroups"], S::HostgroupName, List),
    Row(&["inherits_parent"], S::InheritsParent, Flag),
    Row(
        &["execution_failure_criteria", "execution_failure_options"],
        S::ExecutionCriteria,
        Options(&options::HOST_DEPENDENCY),
    ),
    Row(
        &["notification_failure_criteria", "notification_failure_options"],
        S::NotificationCriteria,
        Options(&options::HOST_DEPENDENCY),
    ),
    Row(&["dependency_period"], S::DependencyPeriod, Text),
    // Stentor's own: Nagios Core refuses both.
    Row(&["redundancy_group"], S::RedundancyGroup, Text),
    Row(&["min_available"], S::MinAvailable, Count(1)),
];

const SERVICEDEPENDENCY: &[Row] = &[
    Row(&["dependent_host_name", "dependent_host"], S::DependentHostName, List),
    Row(&["dependent_hostgroup_name", "dependent_hostgroup", "dependent_hostgroups"], S::DependentHostgroupName, List),
    Row(&["dependent_service_description", "dependent_description"], S::DependentDescription, List),
    Row(
        &["dependent_servicegroup_name", "dependent_servicegroup", "dependent_servicegroups"],
        S::DependentServicegroupName,
        List,
    ),
    Row(&["host_name", "master_host", "master_host_name", "host"], S::HostName, List),
    Row(&["hostgroup_name", "hostgroup", "hostgroups"], S::HostgroupName, List),
    Row(
        &["service_description", "master_service_description", "master_description", "description"],
        S::Description,
        List,
    ),
    Row(&["servicegroup_name", "servicegroup", "servicegroups"], S::ServicegroupName, List),
    Row(&["inherits_parent"], S::InheritsParent, Flag),
    Row(
        &["execution_failure_criteria", "execution_failure_options"],
        S::ExecutionCriteria,
        Options(&options::SERVICE_DEPENDENCY),
    ),
    Row(
        &["notification_failure_criteria", "notification_failure_options"],
        S::NotificationCriteria,
        Options(&options::SERVICE_DEPENDENCY),
    ),
    Row(&["dependency_period"], S::DependencyPeriod, Text),
    // Stentor's own: Nagios Core refuses both.
    Row(&["redundancy_group"], S::RedundancyGroup, Text),
    Row(&["min_available"], S::MinAvailable, Count(1)),
];

const HOSTESCALATION: &[Row] = &[
    Row(&["host_name", "host"], S::HostName, List),
    Row(&["hostgroup_name", "hostgroup", "hostgroups"], S::HostgroupName, List),
    Row(&["contacts"], S::Contacts, List),
    Row(&["contact_groups"], S::ContactGroups, List),
    Row(&["first_notification"], S::FirstNotification, Count(0)),
    Row(&["last_notification"], S::LastNotification, Count(0)),
    Row(&["notification_interval"], S::NotificationInterval, Units),
    Row(&["escalation_period"], S::EscalationPeriod, Text),
    Row(&["escalation_options"], S::EscalationOptions, Options(&options::HOST_ESCALATION)),
];

const SERVICEESCALATION: &[Row] = &[
    Row(&["host_name", "host"], S::HostName, List),
    Row(&["hostgroup_name", "hostgroup", "hostgroups"], S::HostgroupName, List),
    Row(&["service_description", "description"], S::Description, List),
    Row(&["servicegroup_name", "servicegroup", "servicegroups"], S::ServicegroupName, List),
    Row(&["contacts"], S::Contacts, List),
    Row(&["contact_groups"], S::ContactGroups, List),
    Row(&["first_notification"], S::FirstNotification, Count(0)),
    Row(&["last_notification"], S::LastNotification, Count(0)),
    Row(&["notification_interval"], S::NotificationInterval, Units),
    Row(&["escalation_period"], S::EscalationPeriod, Text),
    Row(&["escalation_options"], S::EscalationOptions, Options(&options::SERVICE_ESCALATION)),
];

const HOSTEXTINFO: &[Row] = &[
    Row(&["host_name"], S::HostName, List),
    Row(&["hostgroup_name", "hostgroup", "hostgroups"], S::HostgroupName, List),
    Row(&["notes"], S::Notes, Text),
    Row(&["notes_url"], S::NotesUrl, Text),
    Row(&["action_url"], S::ActionUrl, Text),
    Row(&["icon_image"], S::IconImage, Text),
    Row(&["icon_image_alt"], S::IconImageAlt, Text),
    Row(&["vrml_image"], S::VrmlImage, Text),
    Row(&["gd2_image", "statusmap_image"], S::StatusmapImage, Text),
    Row(&["2d_coords"], S::Coords2d, Coords(2)),
    Row(&["3d_coords"], S::Coords3d, Coords(3)),
];

const SERVICEEXTINFO: &[Row] = &[
    Row(&["host_name"], S::HostName, List),
    Row(&["hostgroup_name", "hostgroup", "hostgroups"], S::HostgroupName, List),
    Row(&["service_description", "description"], S::Description, Text),
    Row(&["notes"], S::Notes, Text),
    Row(&["notes_url"], S::NotesUrl, Text),
    Row(&["action_url"], S::ActionUrl, Text),
    Row(&["icon_image"], S::IconImage, Text),
    Row(&["icon_image_alt"], S::IconImageAlt, Text),
];

/// FNV-1a: quick for short names. The table is ours and fixed, so nobody can fill it with collisions.
#[derive(Clone)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }
}

/// From a directive's name to its row, for each type.
pub(super) struct Lookup {
    by_name: Vec<HashMap<&'static str, u8, BuildHasherDefault<Fnv>>>,
}

impl Lookup {
    pub fn new() -> Self {
        let names = |(_, _, rows): &(Kind, &str, &'static [Row])| {
            let rows = (0u8..).zip(rows.iter());
            rows.flat_map(|(index, row)| row.0.iter().map(move |name| (*name, index))).collect()
        };
        Lookup { by_name: KINDS.iter().map(names).collect() }
    }

    pub fn row(&self, kind: Kind, name: &str) -> Option<u8> {
        self.by_name.get(kind as usize)?.get(name).copied()
    }

    /// All names a definition of this type may use.
    pub fn names(kind: Kind) -> impl Iterator<Item = &'static str> {
        kind.rows().iter().flat_map(|row| row.0.iter().copied()).chain(["name", "use", "register"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_stands_at_its_number_and_each_name_once() {
        let lookup = Lookup::new();
        for (number, (kind, word, rows)) in KINDS.iter().enumerate() {
            assert_eq!((*kind as usize, Kind::of(word)), (number, Some(*kind)));
            let names = rows.iter().map(|row| row.0.len()).sum::<usize>();
            assert_eq!(lookup.by_name[number].len(), names, "{word} has a name twice");
            for (index, row) in rows.iter().enumerate() {
                assert!(rows[..index].iter().all(|other| other.1 != row.1), "{word} has {:?} twice", row.1);
            }
        }
        assert_eq!(lookup.row(Kind::Host, "host_groups"), lookup.row(Kind::Host, "hostgroups"));
        assert_eq!(lookup.row(Kind::Host, "Host_name"), None);
    }
}
