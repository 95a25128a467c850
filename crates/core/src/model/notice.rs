//! A notification in Nagios's way: about a host or service, to one contact, through the contact's own commands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::incident::ObjectKey;
use crate::Timestamp;
use crate::macros::Held;

/// What a notice is about (`$NOTIFICATIONTYPE$`).
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NoticeKind {
    Problem,
    Recovery,
    Acknowledgement,
    FlappingStart,
    FlappingStop,
    FlappingDisabled,
    DowntimeStart,
    DowntimeEnd,
    DowntimeCancelled,
    Custom,
}

impl NoticeKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            NoticeKind::Problem => "PROBLEM",
            NoticeKind::Recovery => "RECOVERY",
            NoticeKind::Acknowledgement => "ACKNOWLEDGEMENT",
            NoticeKind::FlappingStart => "FLAPPINGSTART",
            NoticeKind::FlappingStop => "FLAPPINGSTOP",
            NoticeKind::FlappingDisabled => "FLAPPINGDISABLED",
            NoticeKind::DowntimeStart => "DOWNTIMESTART",
            NoticeKind::DowntimeEnd => "DOWNTIMEEND",
            NoticeKind::DowntimeCancelled => "DOWNTIMECANCELLED",
            NoticeKind::Custom => "CUSTOM",
        }
    }
}

/// One notice to one contact. `key` is derived, never random: `INSTANCE/HOST[/SERVICE]/ID/KIND/CONTACT`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    pub key: Arc<str>,
    /// `$SERVICENOTIFICATIONID$`: one for all contacts of the same notification.
    pub id: u64,
    pub kind: NoticeKind,
    pub object: ObjectKey,
    pub contact: Arc<str>,
    /// `CRITICAL`, `UP`, …
    pub state: Arc<str>,
    /// `$NOTIFICATIONNUMBER$`
    pub number: u32,
    pub escalated: bool,
    pub output: Arc<str>,
    pub author: Arc<str>,
    pub comment: Arc<str>,
    /// The contact's commands, macros expanded at the moment of the decision.
    pub commands: Vec<CommandRun>,
    /// Stages passed, for those who ask why.
    pub because: Arc<str>,
    /// Journal sequence that caused it.
    pub seq: u64,
    pub created_at: Timestamp,
}

impl Notice {
    /// The state as log lines show it: of what is no problem or recovery with its kind, `CUSTOM (OK)`.
    pub fn shown_state(&self) -> String {
        match self.kind {
            NoticeKind::Problem | NoticeKind::Recovery => self.state.to_string(),
            NoticeKind::Acknowledgement
            | NoticeKind::FlappingStart
            | NoticeKind::FlappingStop
            | NoticeKind::FlappingDisabled
            | NoticeKind::DowntimeStart
            | NoticeKind::DowntimeEnd
            | NoticeKind::DowntimeCancelled
            | NoticeKind::Custom => format!("{} ({})", self.kind.as_str(), self.state),
        }
    }
}

/// A command line to be run once: a notification command, an event handler, an obsessive or perfdata command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandRun {
    /// Name of the `define command`.
    pub name: Arc<str>,
    /// Macros filled in; what plugins printed is kept apart, so that it can never be more than a value.
    pub line: Held,
    /// `NAGIOS_*` variables, where environment macros are on.
    pub environment: Vec<(Arc<str>, Arc<str>)>,
}

/// A notice that was not sent: to nobody (`contact` = `None`) or not to one contact.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldNotice {
    pub kind: NoticeKind,
    pub object: ObjectKey,
    pub contact: Option<Arc<str>>,
    pub state: Arc<str>,
    pub number: u32,
    /// The test that stopped it, in the words of the specification: `soft`, `acknowledged`, `downtime`, `period`, ….
    pub stage: &'static str,
    pub why: String,
    pub at: Timestamp,
}
