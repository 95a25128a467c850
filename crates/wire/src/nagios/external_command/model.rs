//! What an external command asks for, with the names that its line gave. Whether these exist is for others to say.

/// A host, or a service on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object {
    pub host: String,
    pub service: Option<String>,
}

/// What is asked for. Times are epoch seconds within years 1970 to 9999.
#[derive(Clone, Debug, PartialEq)]
pub enum ExternalCommand {
    /// `_NAME`: meant for a module; accepted, and nothing to be done.
    Custom,
    Switch {
        scope: Scope,
        switch: Switch,
        on: bool,
    },
    Change {
        object: Object,
        change: Change,
    },
    ChangeContact {
        contact: String,
        change: ContactChange,
    },
    /// Empty = none.
    GlobalEventHandler {
        side: Side,
        command: String,
    },
    ClearFlapping(Object),
    ScheduleCheck {
        scope: Scope,
        at: i64,
        forced: Forced,
        note: Option<Note>,
    },
    ProcessResult(PassiveResult),
    Acknowledge(Acknowledge),
    RemoveAcknowledgement(Object),
    AddComment {
        object: Object,
        persistent: bool,
        note: Note,
    },
    DeleteComment {
        id: u64,
        of: Side,
    },
    DeleteAllComments(Object),
    ScheduleDowntime(ScheduleDowntime),
    DeleteDowntime {
        id: u64,
        of: Side,
    },
    DeleteDowntimesBy(DowntimeFilter),
    /// No notification before `until`.
    DelayNotification {
        scope: Scope,
        until: i64,
    },
    SetNotificationNumber {
        object: Object,
        number: u32,
    },
    SendCustomNotification {
        object: Object,
        options: CustomOptions,
        note: Note,
    },
    ProcessFile {
        path: String,
        delete: bool,
    },
    Program(ProgramCommand),
    /// A line for the log.
    Log(String),
}

/// The objects that a command is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    Program(Side),
    Object(Object),
    ServicesOf(String),
    HostgroupHosts(String),
    HostgroupServices(String),
    ServicegroupHosts(String),
    ServicegroupServices(String),
    /// All hosts below this one, and their services.
    Beyond(String),
    /// The host and all below it, no services.
    HostAndChildren(String),
    Contact(String, Side),
    Contactgroup(String, Side),
}

/// Hosts or services; of the program also both at once.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Side {
    Hosts,
    Services,
    Both,
}

/// What can be switched on and off.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Switch {
    ActiveChecks,
    PassiveChecks,
    Notifications,
    EventHandler,
    FlapDetection,
    Perfdata,
    Obsess,
    Freshness,
}

/// Another value of a directive; empty commands mean none.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    CheckCommand(String),
    EventHandler(String),
    CheckPeriod(String),
    NotificationPeriod(String),
    EventHandlerPeriod(String),
    CheckInterval(f64),
    RetryInterval(f64),
    MaxAttempts(u16),
    /// The name in capitals, without the leading `_`.
    CustomVar {
        name: String,
        value: String,
    },
    ModifiedAttributes(u32),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ContactChange {
    /// Of hosts or of services.
    Period {
        side: Side,
        period: String,
    },
    CustomVar {
        name: String,
        value: String,
    },
    ModifiedAttributes(u32),
    /// Of hosts or of services.
    SideAttributes {
        side: Side,
        mask: u32,
    },
}

/// Whether a check runs although it is switched off or out of its period.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Forced {
    Yes,
    No,
}

/// Who says something, and what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    pub author: String,
    pub comment: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Acknowledge {
    pub object: Object,
    /// `2` in the field; everything else is a normal acknowledgement.
    pub sticky: bool,
    pub notify: bool,
    pub persistent: bool,
    /// When it ends by itself (Naemon's `_EXPIRE`).
    pub until: Option<i64>,
    pub author: String,
    pub comment: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScheduleDowntime {
    pub scope: Scope,
    /// The downtimes of hosts below start when the first one starts.
    pub triggers_children: bool,
    pub start: i64,
    pub end: i64,
    pub fixed: bool,
    pub trigger_id: u64,
    /// Seconds; means something only for flexible downtimes.
    pub duration: i64,
    pub author: String,
    pub comment: String,
}

/// All downtimes that fit everything given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DowntimeFilter {
    pub hostgroup: Option<String>,
    pub host: Option<String>,
    pub service: Option<String>,
    pub start: Option<i64>,
    pub comment: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PassiveResult {
    pub object: Object,
    /// Service: 0..=3, everything else is UNKNOWN. Host: 0 UP, 1 DOWN, 2 UNREACHABLE.
    pub code: i32,
    /// Plugin text with its newlines restored.
    pub output: String,
}

/// The bits of `SEND_CUSTOM_…`.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct CustomOptions {
    /// Bit 1: also to contacts of escalations.
    pub broadcast: bool,
    /// Bit 2: whatever filters say.
    pub forced: bool,
    /// Bit 4: counts as a notification.
    pub increment: bool,
}

/// What concerns the process; `at` = not before.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum ProgramCommand {
    Restart { at: Option<i64> },
    Shutdown { at: Option<i64> },
    SaveState,
    ReadState,
}
