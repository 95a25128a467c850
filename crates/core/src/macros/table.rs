//! The names of all macros and what each of them is about. Custom variables, arguments and users have no row here: their
//! names are open.

use crate::model::{HostState, ServiceState};

/// A macro by what it needs: where its object is missing from the context, its text stays as it is.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Macro {
    Host(Host),
    OfHost(Object),
    Service(Service),
    OfService(Object),
    HostGroup(Group),
    ServiceGroup(Group),
    ContactGroup(Group),
    Contact(Contact),
    /// Filled in notifications of an acknowledgement, otherwise empty.
    HostAck(Remark),
    ServiceAck(Remark),
    /// Filled in notifications, otherwise empty.
    Notification(Notification),
    /// Counts over all objects.
    Summary(Summary),
    Moment(Moment),
    /// About a timeperiod, only on demand.
    Period(Period),
    /// What the object of the context is worth, Naemon's name.
    ProblemValue,
    Process(Process),
}

/// What a host and a service both have.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Object {
    DisplayName,
    State,
    StateId,
    LastState,
    LastStateId,
    StateType,
    Attempt,
    MaxAttempts,
    EventId,
    LastEventId,
    ProblemId,
    LastProblemId,
    Latency,
    ExecutionTime,
    Duration,
    DurationSec,
    Downtime,
    PercentChange,
    GroupName,
    GroupNames,
    LastCheck,
    LastStateChange,
    Output,
    LongOutput,
    PerfData,
    CheckCommand,
    CheckType,
    NotificationNumber,
    NotificationId,
    ActionUrl,
    NotesUrl,
    Notes,
    Importance,
    InfoUrl,
    NotificationEnabled,
    NotificationPeriod,
    CheckSource,
    ProblemStart,
    ProblemEnd,
    ProblemDuration,
    ProblemDurationSec,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Host {
    Name,
    Alias,
    Address,
    LastUp,
    LastDown,
    LastUnreachable,
    Services,
    ServicesIn(ServiceState),
    ImportanceWithServices,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Service {
    Description,
    IsVolatile,
    Last(ServiceState),
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Group {
    Alias,
    Members,
    MemberAddresses,
    Notes,
    NotesUrl,
    ActionUrl,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Contact {
    Name,
    Alias,
    Email,
    Pager,
    /// 1 to 6.
    Address(u8),
    GroupName,
    GroupNames,
}

/// Who said what.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Remark {
    Author,
    AuthorName,
    AuthorAlias,
    Comment,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Notification {
    Type,
    Number,
    IsEscalated,
    Recipients,
    Remark(Remark),
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Summary {
    Hosts(HostState),
    HostsUnhandled(HostState),
    HostProblems,
    HostProblemsUnhandled,
    Services(ServiceState),
    ServicesUnhandled(ServiceState),
    ServiceProblems,
    ServiceProblemsUnhandled,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Moment {
    LongDateTime,
    ShortDateTime,
    Date,
    Time,
    Epoch,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Period {
    IsValidTime,
    NextValidTime,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Process {
    StartTime,
    EventStartTime,
    AdminEmail,
    AdminPager,
    MainConfigFile,
    StatusDataFile,
    RetentionDataFile,
    ObjectCacheFile,
    TempFile,
    TempPath,
    LogFile,
    ResourceFile,
    CommandFile,
    HostPerfDataFile,
    ServicePerfDataFile,
}

impl Macro {
    /// The macro of that exact name.
    pub fn find(name: &str) -> Option<Macro> {
        let row = TABLE.binary_search_by_key(&name, |row| row.0).ok()?;
        TABLE.get(row).map(|row| row.1)
    }

    /// Every name with its macro, in the order of the names.
    pub fn all() -> impl Iterator<Item = (&'static str, Macro)> {
        TABLE.iter().copied()
    }

    /// Whether the value came from outside, so that characters a shell would interpret are taken from it.
    pub fn is_output(self) -> bool {
        match self {
            Macro::OfHost(object) | Macro::OfService(object) => {
                matches!(object, Object::Output | Object::LongOutput | Object::PerfData)
            }
            // Typed by a person. Nagios cleans them for acknowledgements alone, though the same text comes with every
            // other kind of notification.
            Macro::HostAck(remark) | Macro::ServiceAck(remark) | Macro::Notification(Notification::Remark(remark)) => {
                matches!(remark, Remark::Author | Remark::Comment)
            }
            Macro::Host(_)
            | Macro::Service(_)
            | Macro::HostGroup(_)
            | Macro::ServiceGroup(_)
            | Macro::ContactGroup(_)
            | Macro::Contact(_)
            | Macro::Notification(
                Notification::Type | Notification::Number | Notification::IsEscalated | Notification::Recipients,
            )
            | Macro::Summary(_)
            | Macro::Moment(_)
            | Macro::Period(_)
            | Macro::ProblemValue
            | Macro::Process(_) => false,
        }
    }
}

/// In the order of the names.
#[rustfmt::skip]
const TABLE: &[(&str, Macro)] = &[
    ("ADMINEMAIL", Macro::Process(Process::AdminEmail)),
    ("ADMINPAGER", Macro::Process(Process::AdminPager)),
    ("COMMANDFILE", Macro::Process(Process::CommandFile)),
    ("CONTACTADDRESS1", Macro::Contact(Contact::Address(1))),
    ("CONTACTADDRESS2", Macro::Contact(Contact::Address(2))),
    ("CONTACTADDRESS3", Macro::Contact(Contact::Address(3))),
    ("CONTACTADDRESS4", Macro::Contact(Contact::Address(4))),
    ("CONTACTADDRESS5", Macro::Contact(Contact::Address(5))),
    ("CONTACTADDRESS6", Macro::Contact(Contact::Address(6))),
    ("CONTACTALIAS", Macro::Contact(Contact::Alias)),
    ("CONTACTEMAIL", Macro::Contact(Contact::Email)),
    ("CONTACTGROUPALIAS", Macro::ContactGroup(Group::Alias)),
    ("CONTACTGROUPMEMBERS", Macro::ContactGroup(Group::Members)),
    ("CONTACTGROUPNAME", Macro::Contact(Contact::GroupName)),
    ("CONTACTGROUPNAMES", Macro::Contact(Contact::GroupNames)),
    ("CONTACTNAME", Macro::Contact(Contact::Name)),
    ("CONTACTPAGER", Macro::Contact(Contact::Pager)),
    ("DATE", Macro::Moment(Moment::Date)),
    ("EVENTSTARTTIME", Macro::Process(Process::EventStartTime)),
    ("HOSTACKAUTHOR", Macro::HostAck(Remark::Author)),
    ("HOSTACKAUTHORALIAS", Macro::HostAck(Remark::AuthorAlias)),
    ("HOSTACKAUTHORNAME", Macro::HostAck(Remark::AuthorName)),
    ("HOSTACKCOMMENT", Macro::HostAck(Remark::Comment)),
    ("HOSTACTIONURL", Macro::OfHost(Object::ActionUrl)),
    ("HOSTADDRESS", Macro::Host(Host::Address)),
    ("HOSTALIAS", Macro::Host(Host::Alias)),
    ("HOSTANDSERVICESIMPORTANCE", Macro::Host(Host::ImportanceWithServices)),
    ("HOSTATTEMPT", Macro::OfHost(Object::Attempt)),
    ("HOSTCHECKCOMMAND", Macro::OfHost(Object::CheckCommand)),
    ("HOSTCHECKSOURCE", Macro::OfHost(Object::CheckSource)),
    ("HOSTCHECKTYPE", Macro::OfHost(Object::CheckType)),
    ("HOSTDISPLAYNAME", Macro::OfHost(Object::DisplayName)),
    ("HOSTDOWNTIME", Macro::OfHost(Object::Downtime)),
    ("HOSTDURATION", Macro::OfHost(Object::Duration)),
    ("HOSTDURATIONSEC", Macro::OfHost(Object::DurationSec)),
    ("HOSTEVENTID", Macro::OfHost(Object::EventId)),
    ("HOSTEXECUTIONTIME", Macro::OfHost(Object::ExecutionTime)),
    ("HOSTGROUPACTIONURL", Macro::HostGroup(Group::ActionUrl)),
    ("HOSTGROUPALIAS", Macro::HostGroup(Group::Alias)),
    ("HOSTGROUPMEMBERADDRESSES", Macro::HostGroup(Group::MemberAddresses)),
    ("HOSTGROUPMEMBERS", Macro::HostGroup(Group::Members)),
    ("HOSTGROUPNAME", Macro::OfHost(Object::GroupName)),
    ("HOSTGROUPNAMES", Macro::OfHost(Object::GroupNames)),
    ("HOSTGROUPNOTES", Macro::HostGroup(Group::Notes)),
    ("HOSTGROUPNOTESURL", Macro::HostGroup(Group::NotesUrl)),
    ("HOSTIMPORTANCE", Macro::OfHost(Object::Importance)),
    ("HOSTINFOURL", Macro::OfHost(Object::InfoUrl)),
    ("HOSTLATENCY", Macro::OfHost(Object::Latency)),
    ("HOSTNAME", Macro::Host(Host::Name)),
    ("HOSTNOTES", Macro::OfHost(Object::Notes)),
    ("HOSTNOTESURL", Macro::OfHost(Object::NotesUrl)),
    ("HOSTNOTIFICATIONENABLED", Macro::OfHost(Object::NotificationEnabled)),
    ("HOSTNOTIFICATIONID", Macro::OfHost(Object::NotificationId)),
    ("HOSTNOTIFICATIONNUMBER", Macro::OfHost(Object::NotificationNumber)),
    ("HOSTNOTIFICATIONPERIOD", Macro::OfHost(Object::NotificationPeriod)),
    ("HOSTOUTPUT", Macro::OfHost(Object::Output)),
    ("HOSTPERCENTCHANGE", Macro::OfHost(Object::PercentChange)),
    ("HOSTPERFDATA", Macro::OfHost(Object::PerfData)),
    ("HOSTPERFDATAFILE", Macro::Process(Process::HostPerfDataFile)),
    ("HOSTPROBLEMDURATION", Macro::OfHost(Object::ProblemDuration)),
    ("HOSTPROBLEMDURATIONSEC", Macro::OfHost(Object::ProblemDurationSec)),
    ("HOSTPROBLEMEND", Macro::OfHost(Object::ProblemEnd)),
    ("HOSTPROBLEMID", Macro::OfHost(Object::ProblemId)),
    ("HOSTPROBLEMSTART", Macro::OfHost(Object::ProblemStart)),
    ("HOSTSTATE", Macro::OfHost(Object::State)),
    ("HOSTSTATEID", Macro::OfHost(Object::StateId)),
    ("HOSTSTATETYPE", Macro::OfHost(Object::StateType)),
    ("HOSTVALUE", Macro::OfHost(Object::Importance)),
    ("ISVALIDTIME", Macro::Period(Period::IsValidTime)),
    ("LASTHOSTCHECK", Macro::OfHost(Object::LastCheck)),
    ("LASTHOSTDOWN", Macro::Host(Host::LastDown)),
    ("LASTHOSTEVENTID", Macro::OfHost(Object::LastEventId)),
    ("LASTHOSTPROBLEMID", Macro::OfHost(Object::LastProblemId)),
    ("LASTHOSTSTATE", Macro::OfHost(Object::LastState)),
    ("LASTHOSTSTATECHANGE", Macro::OfHost(Object::LastStateChange)),
    ("LASTHOSTSTATEID", Macro::OfHost(Object::LastStateId)),
    ("LASTHOSTUNREACHABLE", Macro::Host(Host::LastUnreachable)),
    ("LASTHOSTUP", Macro::Host(Host::LastUp)),
    ("LASTSERVICECHECK", Macro::OfService(Object::LastCheck)),
    ("LASTSERVICECRITICAL", Macro::Service(Service::Last(ServiceState::Critical))),
    ("LASTSERVICEEVENTID", Macro::OfService(Object::LastEventId)),
    ("LASTSERVICEOK", Macro::Service(Service::Last(ServiceState::Ok))),
    ("LASTSERVICEPROBLEMID", Macro::OfService(Object::LastProblemId)),
    ("LASTSERVICESTATE", Macro::OfService(Object::LastState)),
    ("LASTSERVICESTATECHANGE", Macro::OfService(Object::LastStateChange)),
    ("LASTSERVICESTATEID", Macro::OfService(Object::LastStateId)),
    ("LASTSERVICEUNKNOWN", Macro::Service(Service::Last(ServiceState::Unknown))),
    ("LASTSERVICEWARNING", Macro::Service(Service::Last(ServiceState::Warning))),
    ("LOGFILE", Macro::Process(Process::LogFile)),
    ("LONGDATETIME", Macro::Moment(Moment::LongDateTime)),
    ("LONGHOSTOUTPUT", Macro::OfHost(Object::LongOutput)),
    ("LONGSERVICEOUTPUT", Macro::OfService(Object::LongOutput)),
    ("MAINCONFIGFILE", Macro::Process(Process::MainConfigFile)),
    ("MAXHOSTATTEMPTS", Macro::OfHost(Object::MaxAttempts)),
    ("MAXSERVICEATTEMPTS", Macro::OfService(Object::MaxAttempts)),
    ("NEXTVALIDTIME", Macro::Period(Period::NextValidTime)),
    ("NOTIFICATIONAUTHOR", Macro::Notification(Notification::Remark(Remark::Author))),
    ("NOTIFICATIONAUTHORALIAS", Macro::Notification(Notification::Remark(Remark::AuthorAlias))),
    ("NOTIFICATIONAUTHORNAME", Macro::Notification(Notification::Remark(Remark::AuthorName))),
    ("NOTIFICATIONCOMMENT", Macro::Notification(Notification::Remark(Remark::Comment))),
    ("NOTIFICATIONISESCALATED", Macro::Notification(Notification::IsEscalated)),
    ("NOTIFICATIONNUMBER", Macro::Notification(Notification::Number)),
    ("NOTIFICATIONRECIPIENTS", Macro::Notification(Notification::Recipients)),
    ("NOTIFICATIONTYPE", Macro::Notification(Notification::Type)),
    ("OBJECTCACHEFILE", Macro::Process(Process::ObjectCacheFile)),
    ("PROBLEMVALUE", Macro::ProblemValue),
    ("PROCESSSTARTTIME", Macro::Process(Process::StartTime)),
    ("RESOURCEFILE", Macro::Process(Process::ResourceFile)),
    ("RETENTIONDATAFILE", Macro::Process(Process::RetentionDataFile)),
    ("SERVICEACKAUTHOR", Macro::ServiceAck(Remark::Author)),
    ("SERVICEACKAUTHORALIAS", Macro::ServiceAck(Remark::AuthorAlias)),
    ("SERVICEACKAUTHORNAME", Macro::ServiceAck(Remark::AuthorName)),
    ("SERVICEACKCOMMENT", Macro::ServiceAck(Remark::Comment)),
    ("SERVICEACTIONURL", Macro::OfService(Object::ActionUrl)),
    ("SERVICEATTEMPT", Macro::OfService(Object::Attempt)),
    ("SERVICECHECKCOMMAND", Macro::OfService(Object::CheckCommand)),
    ("SERVICECHECKSOURCE", Macro::OfService(Object::CheckSource)),
    ("SERVICECHECKTYPE", Macro::OfService(Object::CheckType)),
    ("SERVICEDESC", Macro::Service(Service::Description)),
    ("SERVICEDISPLAYNAME", Macro::OfService(Object::DisplayName)),
    ("SERVICEDOWNTIME", Macro::OfService(Object::Downtime)),
    ("SERVICEDURATION", Macro::OfService(Object::Duration)),
    ("SERVICEDURATIONSEC", Macro::OfService(Object::DurationSec)),
    ("SERVICEEVENTID", Macro::OfService(Object::EventId)),
    ("SERVICEEXECUTIONTIME", Macro::OfService(Object::ExecutionTime)),
    ("SERVICEGROUPACTIONURL", Macro::ServiceGroup(Group::ActionUrl)),
    ("SERVICEGROUPALIAS", Macro::ServiceGroup(Group::Alias)),
    ("SERVICEGROUPMEMBERS", Macro::ServiceGroup(Group::Members)),
    ("SERVICEGROUPNAME", Macro::OfService(Object::GroupName)),
    ("SERVICEGROUPNAMES", Macro::OfService(Object::GroupNames)),
    ("SERVICEGROUPNOTES", Macro::ServiceGroup(Group::Notes)),
    ("SERVICEGROUPNOTESURL", Macro::ServiceGroup(Group::NotesUrl)),
    ("SERVICEIMPORTANCE", Macro::OfService(Object::Importance)),
    ("SERVICEINFOURL", Macro::OfService(Object::InfoUrl)),
    ("SERVICEISVOLATILE", Macro::Service(Service::IsVolatile)),
    ("SERVICELATENCY", Macro::OfService(Object::Latency)),
    ("SERVICENOTES", Macro::OfService(Object::Notes)),
    ("SERVICENOTESURL", Macro::OfService(Object::NotesUrl)),
    ("SERVICENOTIFICATIONENABLED", Macro::OfService(Object::NotificationEnabled)),
    ("SERVICENOTIFICATIONID", Macro::OfService(Object::NotificationId)),
    ("SERVICENOTIFICATIONNUMBER", Macro::OfService(Object::NotificationNumber)),
    ("SERVICENOTIFICATIONPERIOD", Macro::OfService(Object::NotificationPeriod)),
    ("SERVICEOUTPUT", Macro::OfService(Object::Output)),
    ("SERVICEPERCENTCHANGE", Macro::OfService(Object::PercentChange)),
    ("SERVICEPERFDATA", Macro::OfService(Object::PerfData)),
    ("SERVICEPERFDATAFILE", Macro::Process(Process::ServicePerfDataFile)),
    ("SERVICEPROBLEMDURATION", Macro::OfService(Object::ProblemDuration)),
    ("SERVICEPROBLEMDURATIONSEC", Macro::OfService(Object::ProblemDurationSec)),
    ("SERVICEPROBLEMEND", Macro::OfService(Object::ProblemEnd)),
    ("SERVICEPROBLEMID", Macro::OfService(Object::ProblemId)),
    ("SERVICEPROBLEMSTART", Macro::OfService(Object::ProblemStart)),
    ("SERVICESTATE", Macro::OfService(Object::State)),
    ("SERVICESTATEID", Macro::OfService(Object::StateId)),
    ("SERVICESTATETYPE", Macro::OfService(Object::StateType)),
    ("SERVICEVALUE", Macro::OfService(Object::Importance)),
    ("SHORTDATETIME", Macro::Moment(Moment::ShortDateTime)),
    ("STATUSDATAFILE", Macro::Process(Process::StatusDataFile)),
    ("TEMPFILE", Macro::Process(Process::TempFile)),
    ("TEMPPATH", Macro::Process(Process::TempPath)),
    ("TIME", Macro::Moment(Moment::Time)),
    ("TIMET", Macro::Moment(Moment::Epoch)),
    ("TOTALHOSTPROBLEMS", Macro::Summary(Summary::HostProblems)),
    ("TOTALHOSTPROBLEMSUNHANDLED", Macro::Summary(Summary::HostProblemsUnhandled)),
    ("TOTALHOSTSDOWN", Macro::Summary(Summary::Hosts(HostState::Down))),
    ("TOTALHOSTSDOWNUNHANDLED", Macro::Summary(Summary::HostsUnhandled(HostState::Down))),
    ("TOTALHOSTSERVICES", Macro::Host(Host::Services)),
    ("TOTALHOSTSERVICESCRITICAL", Macro::Host(Host::ServicesIn(ServiceState::Critical))),
    ("TOTALHOSTSERVICESOK", Macro::Host(Host::ServicesIn(ServiceState::Ok))),
    ("TOTALHOSTSERVICESUNKNOWN", Macro::Host(Host::ServicesIn(ServiceState::Unknown))),
    ("TOTALHOSTSERVICESWARNING", Macro::Host(Host::ServicesIn(ServiceState::Warning))),
    ("TOTALHOSTSUNREACHABLE", Macro::Summary(Summary::Hosts(HostState::Unreachable))),
    ("TOTALHOSTSUNREACHABLEUNHANDLED", Macro::Summary(Summary::HostsUnhandled(HostState::Unreachable))),
    ("TOTALHOSTSUP", Macro::Summary(Summary::Hosts(HostState::Up))),
    ("TOTALSERVICEPROBLEMS", Macro::Summary(Summary::ServiceProblems)),
    ("TOTALSERVICEPROBLEMSUNHANDLED", Macro::Summary(Summary::ServiceProblemsUnhandled)),
    ("TOTALSERVICESCRITICAL", Macro::Summary(Summary::Services(ServiceState::Critical))),
    ("TOTALSERVICESCRITICALUNHANDLED", Macro::Summary(Summary::ServicesUnhandled(ServiceState::Critical))),
    ("TOTALSERVICESOK", Macro::Summary(Summary::Services(ServiceState::Ok))),
    ("TOTALSERVICESUNKNOWN", Macro::Summary(Summary::Services(ServiceState::Unknown))),
    ("TOTALSERVICESUNKNOWNUNHANDLED", Macro::Summary(Summary::ServicesUnhandled(ServiceState::Unknown))),
    ("TOTALSERVICESWARNING", Macro::Summary(Summary::Services(ServiceState::Warning))),
    ("TOTALSERVICESWARNINGUNHANDLED", Macro::Summary(Summary::ServicesUnhandled(ServiceState::Warning))),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_stands_once() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        for (name, found) in Macro::all() {
            assert_eq!(Macro::find(name), Some(found), "{name}");
        }
        assert_eq!((Macro::find("hostname"), Macro::find("HOSTNAM"), Macro::find("")), (None, None, None));
    }
}
