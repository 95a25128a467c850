//! What the engine asks the shell to do, and what it states happened.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::ObjectId;
use crate::model::{CommandRun, HeldNotice, Notice, Notification, ObjectKey, Withheld};
use crate::runbook::{AuditEntry, RunOrder};

use super::input::{CommandError, Reply};
use super::switch::Side;

/// Everything one `apply` asks for.
#[derive(Debug, Default)]
pub struct Effects {
    /// To the outbox, in this order.
    pub notifications: Vec<Notification>,
    /// To history and to everyone who watches.
    pub events: Vec<Event>,
    /// What was not sent, and the stage that stopped it; `events` tells the same in words.
    pub withheld: Vec<Withheld>,
    /// In Nagios's way, to the outbox too.
    pub notices: Vec<Notice>,
    pub held_notices: Vec<HeldNotice>,
    /// Event handlers, obsessive and perfdata commands: run once, results ignored.
    pub runs: Vec<CommandRun>,
    /// Lines of `nagios.log` without their time.
    pub log: Vec<String>,
    /// Lines for the files of performance data, macros filled in.
    pub perfdata: Vec<(Side, String)>,
    /// To the collector.
    pub checks: Vec<CheckRequest>,
    /// To the executor of runbook steps, in this order.
    pub orders: Vec<RunOrder>,
    /// To the audit, in this order: what was refused too.
    pub audit: Vec<AuditEntry>,
    /// Answer to a command.
    pub reply: Option<Result<Reply, CommandError>>,
}

/// Run a check at another time than its phase says.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckRequest {
    pub object: ObjectId,
    pub due: Timestamp,
    /// Whatever is switched off, out of its period, or depended on.
    pub forced: bool,
}

impl CheckRequest {
    pub fn at(object: ObjectId, due: Timestamp) -> CheckRequest {
        CheckRequest { object, due, forced: false }
    }

    pub fn forced(object: ObjectId, due: Timestamp) -> CheckRequest {
        CheckRequest { object, due, forced: true }
    }
}

/// Something that happened; history keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub at: Timestamp,
    pub kind: EventKind,
    pub object: Option<ObjectKey>,
    pub incident: Option<u64>,
    /// One line for people.
    pub text: String,
}

#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    ServiceState,
    HostState,
    IncidentOpened,
    IncidentChanged,
    IncidentResolved,
    IncidentClosed,
    Acknowledged,
    Unacknowledged,
    DowntimeStarted,
    DowntimeEnded,
    DowntimeScheduled,
    DowntimeCancelled,
    Notified,
    NotificationFailed,
    Withheld,
    CoreChanged,
    BusinessChanged,
    /// Stentor itself did not run.
    Unwatched,
    CatalogLoaded,
    Note,
    /// Something happened in a run of a runbook.
    Runbook,
}

impl EventKind {
    /// Tells how a Core or a business service stands, or that nobody looked.
    pub const fn is_of_availability(self) -> bool {
        matches!(self, EventKind::CoreChanged | EventKind::BusinessChanged | EventKind::Unwatched)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            EventKind::ServiceState => "service_state",
            EventKind::HostState => "host_state",
            EventKind::IncidentOpened => "incident_opened",
            EventKind::IncidentChanged => "incident_changed",
            EventKind::IncidentResolved => "incident_resolved",
            EventKind::IncidentClosed => "incident_closed",
            EventKind::Acknowledged => "acknowledged",
            EventKind::Unacknowledged => "unacknowledged",
            EventKind::DowntimeStarted => "downtime_started",
            EventKind::DowntimeEnded => "downtime_ended",
            EventKind::DowntimeScheduled => "downtime_scheduled",
            EventKind::DowntimeCancelled => "downtime_cancelled",
            EventKind::Notified => "notified",
            EventKind::NotificationFailed => "notification_failed",
            EventKind::Withheld => "withheld",
            EventKind::CoreChanged => "core_changed",
            EventKind::BusinessChanged => "business_changed",
            EventKind::Unwatched => "unwatched",
            EventKind::CatalogLoaded => "catalog_loaded",
            EventKind::Note => "note",
            EventKind::Runbook => "runbook",
        }
    }
}

impl Event {
    pub fn withheld(withheld: &Withheld) -> Event {
        Event {
            at: withheld.at,
            kind: EventKind::Withheld,
            object: None,
            incident: Some(withheld.incident),
            text: format!("{}: {}", withheld.stage, withheld.why),
        }
    }

    pub fn of_incident(at: Timestamp, kind: EventKind, number: u64, text: impl Into<String>) -> Event {
        Event { at, kind, object: None, incident: Some(number), text: text.into() }
    }

    pub fn of_object(at: Timestamp, kind: EventKind, object: ObjectKey, text: impl Into<String>) -> Event {
        Event { at, kind, object: Some(object), incident: None, text: text.into() }
    }

    /// Name of the host it is about, if any.
    pub fn host(&self) -> Option<&Arc<str>> {
        self.object.as_ref().map(|key| &key.host)
    }
}
