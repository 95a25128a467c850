//! Every command with its arguments and what it asks for, as data (specification 04, section 2). The reader is elsewhere.

use super::model::{Forced, Side, Switch};

/// One command.
#[derive(Copy, Clone, Debug)]
pub struct Row {
    /// In upper case.
    pub name: &'static str,
    pub arguments: &'static [Argument],
    pub(super) verb: Verb,
}

/// One argument of a command.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Argument {
    pub name: &'static str,
    pub kind: Kind,
    pub presence: Presence,
}

/// How an argument is read.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Name of an object; blanks around it do not count.
    Name,
    /// A whole number; what follows its digits does not count.
    Whole,
    /// A whole number, decimal or `0x…`.
    Mask,
    /// A number in units of `interval_length`.
    Decimal,
    /// Epoch seconds.
    Time,
    /// A word for people; `;` ends it unless it is the last argument.
    Text,
    /// The rest of the line, `;` included.
    Rest,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Presence {
    Needed,
    /// Its place must be there; empty means 0 or nothing.
    MayBeEmpty,
    /// May be left away with everything after it.
    MayBeAbsent,
}

/// What a command asks for; its arguments say of what.
#[derive(Copy, Clone, Debug)]
pub(super) enum Verb {
    Switch { reach: Reach, switch: Switch, on: bool },
    Change(Attribute),
    ChangeContact(ContactAttribute),
    GlobalEventHandler(Side),
    ClearFlapping,
    ScheduleCheck(Reach, Forced),
    ProcessResult,
    Acknowledge,
    RemoveAcknowledgement,
    AddComment,
    DeleteComment(Side),
    DeleteAllComments,
    ScheduleDowntime(Reach),
    ScheduleTriggeredDowntime,
    DeleteDowntime(Side),
    DeleteDowntimesBy,
    DelayNotification(Reach),
    SetNumber,
    SendCustom,
    ProcessFile,
    Restart,
    Shutdown,
    SaveState,
    ReadState,
    Log,
}

/// Which objects the named one stands for.
#[derive(Copy, Clone, Debug)]
pub(super) enum Reach {
    Program(Side),
    Object,
    ServicesOf,
    HostgroupHosts,
    HostgroupServices,
    ServicegroupHosts,
    ServicegroupServices,
    /// All below the host, and their services.
    Beyond,
    /// The host and all below it, no services.
    HostAndChildren,
    Contact(Side),
    Contactgroup(Side),
}

#[derive(Copy, Clone, Debug)]
pub(super) enum Attribute {
    CheckCommand,
    EventHandler,
    CheckPeriod,
    NotificationPeriod,
    EventHandlerPeriod,
    CheckInterval,
    RetryInterval,
    MaxAttempts,
    CustomVar,
    Mask,
}

#[derive(Copy, Clone, Debug)]
pub(super) enum ContactAttribute {
    HostPeriod,
    ServicePeriod,
    CustomVar,
    Mask,
    HostMask,
    ServiceMask,
}

const fn argument(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, presence: Presence::Needed }
}

const fn may_be_empty(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, presence: Presence::MayBeEmpty }
}

const fn may_be_absent(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, presence: Presence::MayBeAbsent }
}

const HOST: Argument = argument("host", Kind::Name);
const SERVICE: Argument = argument("service", Kind::Name);
const HOSTGROUP: Argument = argument("hostgroup", Kind::Name);
const SERVICEGROUP: Argument = argument("servicegroup", Kind::Name);
const CONTACT: Argument = argument("contact", Kind::Name);
const CONTACTGROUP: Argument = argument("contactgroup", Kind::Name);
const TIMEPERIOD: Argument = argument("timeperiod", Kind::Name);
/// An empty command takes the handler away, as an empty directive does.
const COMMAND: Argument = may_be_empty("command", Kind::Rest);
const VAR: Argument = argument("var", Kind::Name);
const VALUE: Argument = may_be_empty("value", Kind::Rest);
const MASK: Argument = argument("mask", Kind::Mask);
const INTERVAL: Argument = argument("interval", Kind::Decimal);
const NUMBER: Argument = argument("number", Kind::Whole);
const CODE: Argument = argument("code", Kind::Whole);
const OPTIONS: Argument = argument("options", Kind::Whole);
const STICKY: Argument = argument("sticky", Kind::Whole);
const NOTIFY: Argument = argument("notify", Kind::Whole);
const PERSISTENT: Argument = argument("persistent", Kind::Whole);
const FIXED: Argument = argument("fixed", Kind::Whole);
const TRIGGER_ID: Argument = may_be_empty("trigger_id", Kind::Whole);
const DURATION: Argument = may_be_empty("duration", Kind::Whole);
const COMMENT_ID: Argument = argument("comment_id", Kind::Whole);
const DOWNTIME_ID: Argument = argument("downtime_id", Kind::Whole);
const TIME: Argument = argument("time", Kind::Time);
const START: Argument = argument("start", Kind::Time);
const END: Argument = argument("end", Kind::Time);
const AUTHOR: Argument = may_be_empty("author", Kind::Text);
const COMMENT: Argument = may_be_empty("comment", Kind::Rest);
/// Nagios takes a result without text for one with an empty text.
const OUTPUT: Argument = may_be_absent("output", Kind::Rest);
const TEXT: Argument = argument("text", Kind::Rest);
const FILE: Argument = argument("file", Kind::Name);
const DELETE: Argument = argument("delete", Kind::Whole);
const MAYBE_HOST: Argument = may_be_absent("host", Kind::Name);
const MAYBE_SERVICE: Argument = may_be_absent("service", Kind::Name);
const MAYBE_START: Argument = may_be_absent("start", Kind::Time);
const MAYBE_TIME: Argument = may_be_absent("time", Kind::Time);
const MAYBE_AUTHOR: Argument = may_be_absent("author", Kind::Text);
const MAYBE_COMMENT: Argument = may_be_absent("comment", Kind::Rest);

const fn row(name: &'static str, arguments: &'static [Argument], verb: Verb) -> Row {
    Row { name, arguments, verb }
}

const fn on(reach: Reach, switch: Switch) -> Verb {
    Verb::Switch { reach, switch, on: true }
}

const fn off(reach: Reach, switch: Switch) -> Verb {
    Verb::Switch { reach, switch, on: false }
}

/// All of them; the two that come by the thousand are first.
pub const COMMANDS: &[Row] = &[
    row("PROCESS_SERVICE_CHECK_RESULT", &[HOST, SERVICE, CODE, OUTPUT], Verb::ProcessResult),
    row("PROCESS_HOST_CHECK_RESULT", &[HOST, CODE, OUTPUT], Verb::ProcessResult),
    row("ENABLE_NOTIFICATIONS", &[], on(Reach::Program(Side::Both), Switch::Notifications)),
    row("DISABLE_NOTIFICATIONS", &[], off(Reach::Program(Side::Both), Switch::Notifications)),
    row("RESTART_PROCESS", &[MAYBE_TIME], Verb::Restart),
    row("RESTART_PROGRAM", &[MAYBE_TIME], Verb::Restart),
    row("SHUTDOWN_PROCESS", &[MAYBE_TIME], Verb::Shutdown),
    row("SHUTDOWN_PROGRAM", &[MAYBE_TIME], Verb::Shutdown),
    row("SAVE_STATE_INFORMATION", &[], Verb::SaveState),
    row("READ_STATE_INFORMATION", &[], Verb::ReadState),
    row("START_EXECUTING_SVC_CHECKS", &[], on(Reach::Program(Side::Services), Switch::ActiveChecks)),
    row("STOP_EXECUTING_SVC_CHECKS", &[], off(Reach::Program(Side::Services), Switch::ActiveChecks)),
    row("START_ACCEPTING_PASSIVE_SVC_CHECKS", &[], on(Reach::Program(Side::Services), Switch::PassiveChecks)),
    row("STOP_ACCEPTING_PASSIVE_SVC_CHECKS", &[], off(Reach::Program(Side::Services), Switch::PassiveChecks)),
    row("ENABLE_EVENT_HANDLERS", &[], on(Reach::Program(Side::Both), Switch::EventHandler)),
    row("DISABLE_EVENT_HANDLERS", &[], off(Reach::Program(Side::Both), Switch::EventHandler)),
    row("START_OBSESSING_OVER_SVC_CHECKS", &[], on(Reach::Program(Side::Services), Switch::Obsess)),
    row("STOP_OBSESSING_OVER_SVC_CHECKS", &[], off(Reach::Program(Side::Services), Switch::Obsess)),
    row("ENABLE_FLAP_DETECTION", &[], on(Reach::Program(Side::Both), Switch::FlapDetection)),
    row("DISABLE_FLAP_DETECTION", &[], off(Reach::Program(Side::Both), Switch::FlapDetection)),
    row("ENABLE_PERFORMANCE_DATA", &[], on(Reach::Program(Side::Both), Switch::Perfdata)),
    row("DISABLE_PERFORMANCE_DATA", &[], off(Reach::Program(Side::Both), Switch::Perfdata)),
    row("START_EXECUTING_HOST_CHECKS", &[], on(Reach::Program(Side::Hosts), Switch::ActiveChecks)),
    row("STOP_EXECUTING_HOST_CHECKS", &[], off(Reach::Program(Side::Hosts), Switch::ActiveChecks)),
    row("START_ACCEPTING_PASSIVE_HOST_CHECKS", &[], on(Reach::Program(Side::Hosts), Switch::PassiveChecks)),
    row("STOP_ACCEPTING_PASSIVE_HOST_CHECKS", &[], off(Reach::Program(Side::Hosts), Switch::PassiveChecks)),
    row("START_OBSESSING_OVER_HOST_CHECKS", &[], on(Reach::Program(Side::Hosts), Switch::Obsess)),
    row("STOP_OBSESSING_OVER_HOST_CHECKS", &[], off(Reach::Program(Side::Hosts), Switch::Obsess)),
    row("ENABLE_SERVICE_FRESHNESS_CHECKS", &[], on(Reach::Program(Side::Services), Switch::Freshness)),
    row("DISABLE_SERVICE_FRESHNESS_CHECKS", &[], off(Reach::Program(Side::Services), Switch::Freshness)),
    row("ENABLE_HOST_FRESHNESS_CHECKS", &[], on(Reach::Program(Side::Hosts), Switch::Freshness)),
    row("DISABLE_HOST_FRESHNESS_CHECKS", &[], off(Reach::Program(Side::Hosts), Switch::Freshness)),
    row("ENABLE_CONTACT_HOST_NOTIFICATIONS", &[CONTACT], on(Reach::Contact(Side::Hosts), Switch::Notifications)),
    row("DISABLE_CONTACT_HOST_NOTIFICATIONS", &[CONTACT], off(Reach::Contact(Side::Hosts), Switch::Notifications)),
    row("ENABLE_CONTACT_SVC_NOTIFICATIONS", &[CONTACT], on(Reach::Contact(Side::Services), Switch::Notifications)),
    row("DISABLE_CONTACT_SVC_NOTIFICATIONS", &[CONTACT], off(Reach::Contact(Side::Services), Switch::Notifications)),
    row(
        "CHANGE_CONTACT_HOST_NOTIFICATION_TIMEPERIOD",
        &[CONTACT, TIMEPERIOD],
        Verb::ChangeContact(ContactAttribute::HostPeriod),
    ),
    row(
        "CHANGE_CONTACT_SVC_NOTIFICATION_TIMEPERIOD",
        &[CONTACT, TIMEPERIOD],
        Verb::ChangeContact(ContactAttribute::ServicePeriod),
    ),
    row("CHANGE_CONTACT_MODATTR", &[CONTACT, MASK], Verb::ChangeContact(ContactAttribute::Mask)),
    row("CHANGE_CONTACT_MODHATTR", &[CONTACT, MASK], Verb::ChangeContact(ContactAttribute::HostMask)),
    row("CHANGE_CONTACT_MODSATTR", &[CONTACT, MASK], Verb::ChangeContact(ContactAttribute::ServiceMask)),
    row("CHANGE_CUSTOM_CONTACT_VAR", &[CONTACT, VAR, VALUE], Verb::ChangeContact(ContactAttribute::CustomVar)),
    row(
        "ENABLE_CONTACTGROUP_HOST_NOTIFICATIONS",
        &[CONTACTGROUP],
        on(Reach::Contactgroup(Side::Hosts), Switch::Notifications),
    ),
    row(
        "DISABLE_CONTACTGROUP_HOST_NOTIFICATIONS",
        &[CONTACTGROUP],
        off(Reach::Contactgroup(Side::Hosts), Switch::Notifications),
    ),
    row(
        "ENABLE_CONTACTGROUP_SVC_NOTIFICATIONS",
        &[CONTACTGROUP],
        on(Reach::Contactgroup(Side::Services), Switch::Notifications),
    ),
    row(
        "DISABLE_CONTACTGROUP_SVC_NOTIFICATIONS",
        &[CONTACTGROUP],
        off(Reach::Contactgroup(Side::Services), Switch::Notifications),
    ),
    row("ENABLE_HOST_SVC_CHECKS", &[HOST], on(Reach::ServicesOf, Switch::ActiveChecks)),
    row("DISABLE_HOST_SVC_CHECKS", &[HOST], off(Reach::ServicesOf, Switch::ActiveChecks)),
    row("DEL_ALL_HOST_COMMENTS", &[HOST], Verb::DeleteAllComments),
    row("ENABLE_HOST_NOTIFICATIONS", &[HOST], on(Reach::Object, Switch::Notifications)),
    row("DISABLE_HOST_NOTIFICATIONS", &[HOST], off(Reach::Object, Switch::Notifications)),
    row("ENABLE_ALL_NOTIFICATIONS_BEYOND_HOST", &[HOST], on(Reach::Beyond, Switch::Notifications)),
    row("DISABLE_ALL_NOTIFICATIONS_BEYOND_HOST", &[HOST], off(Reach::Beyond, Switch::Notifications)),
    row("ENABLE_HOST_SVC_NOTIFICATIONS", &[HOST], on(Reach::ServicesOf, Switch::Notifications)),
    row("DISABLE_HOST_SVC_NOTIFICATIONS", &[HOST], off(Reach::ServicesOf, Switch::Notifications)),
    row("ENABLE_HOST_EVENT_HANDLER", &[HOST], on(Reach::Object, Switch::EventHandler)),
    row("DISABLE_HOST_EVENT_HANDLER", &[HOST], off(Reach::Object, Switch::EventHandler)),
    row("ENABLE_HOST_CHECK", &[HOST], on(Reach::Object, Switch::ActiveChecks)),
    row("DISABLE_HOST_CHECK", &[HOST], off(Reach::Object, Switch::ActiveChecks)),
    row("REMOVE_HOST_ACKNOWLEDGEMENT", &[HOST], Verb::RemoveAcknowledgement),
    row("ENABLE_HOST_FLAP_DETECTION", &[HOST], on(Reach::Object, Switch::FlapDetection)),
    row("DISABLE_HOST_FLAP_DETECTION", &[HOST], off(Reach::Object, Switch::FlapDetection)),
    row("ENABLE_PASSIVE_HOST_CHECKS", &[HOST], on(Reach::Object, Switch::PassiveChecks)),
    row("DISABLE_PASSIVE_HOST_CHECKS", &[HOST], off(Reach::Object, Switch::PassiveChecks)),
    row("START_OBSESSING_OVER_HOST", &[HOST], on(Reach::Object, Switch::Obsess)),
    row("STOP_OBSESSING_OVER_HOST", &[HOST], off(Reach::Object, Switch::Obsess)),
    row("ENABLE_HOST_AND_CHILD_NOTIFICATIONS", &[HOST], on(Reach::HostAndChildren, Switch::Notifications)),
    row("DISABLE_HOST_AND_CHILD_NOTIFICATIONS", &[HOST], off(Reach::HostAndChildren, Switch::Notifications)),
    row("ENABLE_SVC_CHECK", &[HOST, SERVICE], on(Reach::Object, Switch::ActiveChecks)),
    row("DISABLE_SVC_CHECK", &[HOST, SERVICE], off(Reach::Object, Switch::ActiveChecks)),
    row("DEL_ALL_SVC_COMMENTS", &[HOST, SERVICE], Verb::DeleteAllComments),
    row("ENABLE_SVC_NOTIFICATIONS", &[HOST, SERVICE], on(Reach::Object, Switch::Notifications)),
    row("DISABLE_SVC_NOTIFICATIONS", &[HOST, SERVICE], off(Reach::Object, Switch::Notifications)),
    row("ENABLE_PASSIVE_SVC_CHECKS", &[HOST, SERVICE], on(Reach::Object, Switch::PassiveChecks)),
    row("DISABLE_PASSIVE_SVC_CHECKS", &[HOST, SERVICE], off(Reach::Object, Switch::PassiveChecks)),
    row("ENABLE_SVC_EVENT_HANDLER", &[HOST, SERVICE], on(Reach::Object, Switch::EventHandler)),
    row("DISABLE_SVC_EVENT_HANDLER", &[HOST, SERVICE], off(Reach::Object, Switch::EventHandler)),
    row("REMOVE_SVC_ACKNOWLEDGEMENT", &[HOST, SERVICE], Verb::RemoveAcknowledgement),
    row("ENABLE_SVC_FLAP_DETECTION", &[HOST, SERVICE], on(Reach::Object, Switch::FlapDetection)),
    row("DISABLE_SVC_FLAP_DETECTION", &[HOST, SERVICE], off(Reach::Object, Switch::FlapDetection)),
    row("START_OBSESSING_OVER_SVC", &[HOST, SERVICE], on(Reach::Object, Switch::Obsess)),
    row("STOP_OBSESSING_OVER_SVC", &[HOST, SERVICE], off(Reach::Object, Switch::Obsess)),
    row(
        "CHANGE_SVC_NOTIFICATION_TIMEPERIOD",
        &[HOST, SERVICE, TIMEPERIOD],
        Verb::Change(Attribute::NotificationPeriod),
    ),
    row("CHANGE_SVC_CHECK_TIMEPERIOD", &[HOST, SERVICE, TIMEPERIOD], Verb::Change(Attribute::CheckPeriod)),
    row("CHANGE_SVC_EVENT_HANDLER", &[HOST, SERVICE, COMMAND], Verb::Change(Attribute::EventHandler)),
    row("CHANGE_SVC_CHECK_COMMAND", &[HOST, SERVICE, COMMAND], Verb::Change(Attribute::CheckCommand)),
    row("CHANGE_NORMAL_SVC_CHECK_INTERVAL", &[HOST, SERVICE, INTERVAL], Verb::Change(Attribute::CheckInterval)),
    row("CHANGE_RETRY_SVC_CHECK_INTERVAL", &[HOST, SERVICE, INTERVAL], Verb::Change(Attribute::RetryInterval)),
    row("CHANGE_MAX_SVC_CHECK_ATTEMPTS", &[HOST, SERVICE, NUMBER], Verb::Change(Attribute::MaxAttempts)),
    row("SET_SVC_NOTIFICATION_NUMBER", &[HOST, SERVICE, NUMBER], Verb::SetNumber),
    row("SEND_CUSTOM_SVC_NOTIFICATION", &[HOST, SERVICE, OPTIONS, AUTHOR, COMMENT], Verb::SendCustom),
    row("ADD_SVC_COMMENT", &[HOST, SERVICE, PERSISTENT, AUTHOR, COMMENT], Verb::AddComment),
    row(
        "SCHEDULE_SVC_DOWNTIME",
        &[HOST, SERVICE, START, END, FIXED, TRIGGER_ID, DURATION, AUTHOR, COMMENT],
        Verb::ScheduleDowntime(Reach::Object),
    ),
    row("ACKNOWLEDGE_SVC_PROBLEM", &[HOST, SERVICE, STICKY, NOTIFY, PERSISTENT, AUTHOR, COMMENT], Verb::Acknowledge),
    row(
        "ACKNOWLEDGE_SVC_PROBLEM_EXPIRE",
        &[HOST, SERVICE, STICKY, NOTIFY, PERSISTENT, END, AUTHOR, COMMENT],
        Verb::Acknowledge,
    ),
    row(
        "SCHEDULE_SVC_CHECK",
        &[HOST, SERVICE, TIME, MAYBE_AUTHOR, MAYBE_COMMENT],
        Verb::ScheduleCheck(Reach::Object, Forced::No),
    ),
    row("DELAY_SVC_NOTIFICATION", &[HOST, SERVICE, TIME], Verb::DelayNotification(Reach::Object)),
    row(
        "SCHEDULE_FORCED_SVC_CHECK",
        &[HOST, SERVICE, TIME, MAYBE_AUTHOR, MAYBE_COMMENT],
        Verb::ScheduleCheck(Reach::Object, Forced::Yes),
    ),
    row("CHANGE_SVC_MODATTR", &[HOST, SERVICE, MASK], Verb::Change(Attribute::Mask)),
    row("CHANGE_CUSTOM_SVC_VAR", &[HOST, SERVICE, VAR, VALUE], Verb::Change(Attribute::CustomVar)),
    row("CHANGE_HOST_NOTIFICATION_TIMEPERIOD", &[HOST, TIMEPERIOD], Verb::Change(Attribute::NotificationPeriod)),
    row("CHANGE_HOST_CHECK_TIMEPERIOD", &[HOST, TIMEPERIOD], Verb::Change(Attribute::CheckPeriod)),
    row("CHANGE_HOST_EVENT_HANDLER", &[HOST, COMMAND], Verb::Change(Attribute::EventHandler)),
    row("CHANGE_HOST_CHECK_COMMAND", &[HOST, COMMAND], Verb::Change(Attribute::CheckCommand)),
    row("CHANGE_NORMAL_HOST_CHECK_INTERVAL", &[HOST, INTERVAL], Verb::Change(Attribute::CheckInterval)),
    row("CHANGE_RETRY_HOST_CHECK_INTERVAL", &[HOST, INTERVAL], Verb::Change(Attribute::RetryInterval)),
    row("CHANGE_MAX_HOST_CHECK_ATTEMPTS", &[HOST, NUMBER], Verb::Change(Attribute::MaxAttempts)),
    row("SET_HOST_NOTIFICATION_NUMBER", &[HOST, NUMBER], Verb::SetNumber),
    row("SEND_CUSTOM_HOST_NOTIFICATION", &[HOST, OPTIONS, AUTHOR, COMMENT], Verb::SendCustom),
    row("ADD_HOST_COMMENT", &[HOST, PERSISTENT, AUTHOR, COMMENT], Verb::AddComment),
    row(
        "SCHEDULE_HOST_DOWNTIME",
        &[HOST, START, END, FIXED, TRIGGER_ID, DURATION, AUTHOR, COMMENT],
        Verb::ScheduleDowntime(Reach::Object),
    ),
    row(
        "SCHEDULE_HOST_SVC_DOWNTIME",
        &[HOST, START, END, FIXED, TRIGGER_ID, DURATION, AUTHOR, COMMENT],
        Verb::ScheduleDowntime(Reach::ServicesOf),
    ),
    row(
        "SCHEDULE_AND_PROPAGATE_TRIGGERED_HOST_DOWNTIME",
        &[HOST, START, END, FIXED, TRIGGER_ID, DURATION, AUTHOR, COMMENT],
        Verb::ScheduleTriggeredDowntime,
    ),
    row(
        "SCHEDULE_AND_PROPAGATE_HOST_DOWNTIME",
        &[HOST, START, END, FIXED, TRIGGER_ID, DURATION, AUTHOR, COMMENT],
        Verb::ScheduleDowntime(Reach::HostAndChildren),
    ),
    row("ACKNOWLEDGE_HOST_PROBLEM", &[HOST, STICKY, NOTIFY, PERSISTENT, AUTHOR, COMMENT], Verb::Acknowledge),
    row(
        "ACKNOWLEDGE_HOST_PROBLEM_EXPIRE",
        &[HOST, STICKY, NOTIFY, PERSISTENT, END, AUTHOR, COMMENT],
        Verb::Acknowledge,
    ),
    row("DELAY_HOST_NOTIFICATION", &[HOST, TIME], Verb::DelayNotification(Reach::Object)),
    row(
        "SCHEDULE_HOST_SVC_CHECKS",
        &[HOST, TIME, MAYBE_AUTHOR, MAYBE_COMMENT],
        Verb::ScheduleCheck(Reach::ServicesOf, Forced::No),
    ),
    row(
        "SCHEDULE_FORCED_HOST_SVC_CHECKS",
        &[HOST, TIME, MAYBE_AUTHOR, MAYBE_COMMENT],
        Verb::ScheduleCheck(Reach::ServicesOf, Forced::Yes),
    ),
    row(
        "SCHEDULE_HOST_CHECK",
        &[HOST, TIME, MAYBE_AUTHOR, MAYBE_COMMENT],
        Verb::ScheduleCheck(Reach::Object, Forced::No),
    ),
    row(
        "SCHEDULE_FORCED_HOST_CHECK",
        &[HOST, TIME, MAYBE_AUTHOR, MAYBE_COMMENT],
        Verb::ScheduleCheck(Reach::Object, Forced::Yes),
    ),
    row("CHANGE_HOST_MODATTR", &[HOST, MASK], Verb::Change(Attribute::Mask)),
    row("CHANGE_CUSTOM_HOST_VAR", &[HOST, VAR, VALUE], Verb::Change(Attribute::CustomVar)),
    row("ENABLE_HOSTGROUP_SVC_NOTIFICATIONS", &[HOSTGROUP], on(Reach::HostgroupServices, Switch::Notifications)),
    row("DISABLE_HOSTGROUP_SVC_NOTIFICATIONS", &[HOSTGROUP], off(Reach::HostgroupServices, Switch::Notifications)),
    row("ENABLE_HOSTGROUP_HOST_NOTIFICATIONS", &[HOSTGROUP], on(Reach::HostgroupHosts, Switch::Notifications)),
    row("DISABLE_HOSTGROUP_HOST_NOTIFICATIONS", &[HOSTGROUP], off(Reach::HostgroupHosts, Switch::Notifications)),
    row("ENABLE_HOSTGROUP_SVC_CHECKS", &[HOSTGROUP], on(Reach::HostgroupServices, Switch::ActiveChecks)),
    row("DISABLE_HOSTGROUP_SVC_CHECKS", &[HOSTGROUP], off(Reach::HostgroupServices, Switch::ActiveChecks)),
    row("ENABLE_HOSTGROUP_HOST_CHECKS", &[HOSTGROUP], on(Reach::HostgroupHosts, Switch::ActiveChecks)),
    row("DISABLE_HOSTGROUP_HOST_CHECKS", &[HOSTGROUP], off(Reach::HostgroupHosts, Switch::ActiveChecks)),
    row("ENABLE_HOSTGROUP_PASSIVE_SVC_CHECKS", &[HOSTGROUP], on(Reach::HostgroupServices, Switch::PassiveChecks)),
    row("DISABLE_HOSTGROUP_PASSIVE_SVC_CHECKS", &[HOSTGROUP], off(Reach::HostgroupServices, Switch::PassiveChecks)),
    row("ENABLE_HOSTGROUP_PASSIVE_HOST_CHECKS", &[HOSTGROUP], on(Reach::HostgroupHosts, Switch::PassiveChecks)),
    row("DISABLE_HOSTGROUP_PASSIVE_HOST_CHECKS", &[HOSTGROUP], off(Reach::HostgroupHosts, Switch::PassiveChecks)),
    row(
        "SCHEDULE_HOSTGROUP_HOST_DOWNTIME",
        &[HOSTGROUP, START, END, FIXED, TRIGGER_ID, DURATION, AUTHOR, COMMENT],
        Verb::ScheduleDowntime(Reach::HostgroupHosts),
    ),
    row(
        "SCHEDULE_HOSTGROUP_SVC_DOWNTIME",
        &[HOSTGROUP, START, END, FIXED, TRIGGER_ID, DURATION, AUTHOR, COMMENT],
        Verb::ScheduleDowntime(Reach::HostgroupServices),
    ),
    row(
        "DEL_DOWNTIME_BY_HOSTGROUP_NAME",
        &[HOSTGROUP, MAYBE_HOST, MAYBE_SERVICE, MAYBE_START, MAYBE_COMMENT],
        Verb::DeleteDowntimesBy,
    ),
    row("DEL_DOWNTIME_BY_HOST_NAME", &[HOST, MAYBE_SERVICE, MAYBE_START, MAYBE_COMMENT], Verb::DeleteDowntimesBy),
    row(
        "ENABLE_SERVICEGROUP_SVC_NOTIFICATIONS",
        &[SERVICEGROUP],
        on(Reach::ServicegroupServices, Switch::Notifications),
    ),
    row(
        "DISABLE_SERVICEGROUP_SVC_NOTIFICATIONS",
        &[SERVICEGROUP],
        off(Reach::ServicegroupServices, Switch::Notifications),
    ),
    row("ENABLE_SERVICEGROUP_HOST_NOTIFICATIONS", &[SERVICEGROUP], on(Reach::ServicegroupHosts, Switch::Notifications)),
    row(
        "DISABLE_SERVICEGROUP_HOST_NOTIFICATIONS",
        &[SERVICEGROUP],
        off(Reach::ServicegroupHosts, Switch::Notifications),
    ),
    row("ENABLE_SERVICEGROUP_SVC_CHECKS", &[SERVICEGROUP], on(Reach::ServicegroupServices, Switch::ActiveChecks)),
    row("DISABLE_SERVICEGROUP_SVC_CHECKS", &[SERVICEGROUP], off(Reach::ServicegroupServices, Switch::ActiveChecks)),
    row("ENABLE_SERVICEGROUP_HOST_CHECKS", &[SERVICEGROUP], on(Reach::ServicegroupHosts, Switch::ActiveChecks)),
    row("DISABLE_SERVICEGROUP_HOST_CHECKS", &[SERVICEGROUP], off(Reach::ServicegroupHosts, Switch::ActiveChecks)),
    row(
        "ENABLE_SERVICEGROUP_PASSIVE_SVC_CHECKS",
        &[SERVICEGROUP],
        on(Reach::ServicegroupServices, Switch::PassiveChecks),
    ),
    row(
        "DISABLE_SERVICEGROUP_PASSIVE_SVC_CHECKS",
        &[SERVICEGROUP],
        off(Reach::ServicegroupServices, Switch::PassiveChecks),
    ),
    row(
        "ENABLE_SERVICEGROUP_PASSIVE_HOST_CHECKS",
        &[SERVICEGROUP],
        on(Reach::ServicegroupHosts, Switch::PassiveChecks),
    ),
    row(
        "DISABLE_SERVICEGROUP_PASSIVE_HOST_CHECKS",
        &[SERVICEGROUP],
        off(Reach::ServicegroupHosts, Switch::PassiveChecks),
    ),
    row(
        "SCHEDULE_SERVICEGROUP_HOST_DOWNTIME",
        &[SERVICEGROUP, START, END, FIXED, TRIGGER_ID, DURATION, AUTHOR, COMMENT],
        Verb::ScheduleDowntime(Reach::ServicegroupHosts),
    ),
    row(
        "SCHEDULE_SERVICEGROUP_SVC_DOWNTIME",
        &[SERVICEGROUP, START, END, FIXED, TRIGGER_ID, DURATION, AUTHOR, COMMENT],
        Verb::ScheduleDowntime(Reach::ServicegroupServices),
    ),
    row("CHANGE_GLOBAL_HOST_EVENT_HANDLER", &[COMMAND], Verb::GlobalEventHandler(Side::Hosts)),
    row("CHANGE_GLOBAL_SVC_EVENT_HANDLER", &[COMMAND], Verb::GlobalEventHandler(Side::Services)),
    row("DEL_HOST_COMMENT", &[COMMENT_ID], Verb::DeleteComment(Side::Hosts)),
    row("DEL_SVC_COMMENT", &[COMMENT_ID], Verb::DeleteComment(Side::Services)),
    row("DEL_HOST_DOWNTIME", &[DOWNTIME_ID], Verb::DeleteDowntime(Side::Hosts)),
    row("DEL_SVC_DOWNTIME", &[DOWNTIME_ID], Verb::DeleteDowntime(Side::Services)),
    row("PROCESS_FILE", &[FILE, DELETE], Verb::ProcessFile),
    row("DEL_DOWNTIME_BY_START_TIME_COMMENT", &[MAYBE_START, MAYBE_COMMENT], Verb::DeleteDowntimesBy),
    row("LOG", &[TEXT], Verb::Log),
    row("CHANGE_HOST_EVENT_HANDLER_TIMEPERIOD", &[HOST, TIMEPERIOD], Verb::Change(Attribute::EventHandlerPeriod)),
    row(
        "CHANGE_SVC_EVENT_HANDLER_TIMEPERIOD",
        &[HOST, SERVICE, TIMEPERIOD],
        Verb::Change(Attribute::EventHandlerPeriod),
    ),
    row("CLEAR_HOST_FLAPPING_STATE", &[HOST], Verb::ClearFlapping),
    row("CLEAR_SVC_FLAPPING_STATE", &[HOST, SERVICE], Verb::ClearFlapping),
    row("ENTER_STANDBY_MODE", &[], off(Reach::Program(Side::Both), Switch::Notifications)),
    row("ENTER_ACTIVE_MODE", &[], on(Reach::Program(Side::Both), Switch::Notifications)),
    row("DELAY_HOST_SVC_NOTIFICATIONS", &[HOST, TIME], Verb::DelayNotification(Reach::ServicesOf)),
];
