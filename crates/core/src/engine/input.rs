//! What enters the engine. Everything here is journaled before it is applied.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::retained::Retained;
use super::switch::{Change, ContactChange, ContactScope, Forced, ProgramSwitch, Scope, Side, Switch};
use crate::catalog::Catalog;
use crate::diagnosis::Signal;
use crate::id::ObjectId;
use crate::model::{Ack, Covers, Delivery, DowntimeKind, ObjectKey, Observation};
use crate::runbook::{RunError, RunRequest};
use crate::{Span, Timestamp};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Input {
    /// The configured world, at start and at each reload that changed it.
    Catalog(Arc<Catalog>),
    Result(CheckResult),
    Command(CommandInput),
    Delivery(Delivery),
    /// An agent said it lives (sent with every push, even an empty one).
    AgentSeen(AgentSeen),
    /// Time has passed; freshness, downtimes, holds and re-notifications are looked at.
    Tick,
    /// A fact that no check here observed: recorded, or told by another vantage point.
    Signal(Signal),
    /// Until now this process did not run for so long: stopped, starved, asleep with its machine, or not started. It
    /// could hear nobody in that time, so nobody was silent, and nothing held.
    Gap(Span),
    /// What another monitor of these objects left: only at the very first start, with the first catalog.
    Retained(Arc<Retained>),
    /// The agent of this host holds newer results than those that follow: what they say may be past. Goes before the
    /// results of a push; the next [`Input::AgentSeen`] without it says that all is told.
    AgentBehind(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    pub object: ObjectId,
    /// When the probe looked; at most the time of `apply`.
    pub observed_at: Timestamp,
    pub source: ResultSource,
    pub observation: Arc<Observation>,
    /// Sender's id; a repeated id is dropped.
    pub id: Option<Arc<str>>,
    pub took: Took,
}

/// How long a check waited for its turn, and how long it ran; zero where nobody measured.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Took {
    pub latency: Span,
    pub run: Span,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultSource {
    Active,
    Passive,
    Agent,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentSeen {
    pub agent: Arc<str>,
    pub boot: Arc<str>,
    /// Sequence of the newest batch of that boot; older or equal ones are repeats.
    pub sequence: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandInput {
    pub command: Command,
    /// The external command that asked for it, `NAME;arguments`, for the log.
    pub raw: Option<Arc<str>>,
    /// Sender's id (`Idempotency-Key`); a repeated id is answered but not applied again.
    pub id: Option<Arc<str>>,
}

/// What a person or program asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    AckIncident {
        number: u64,
        ack: Ack,
        notify: Notify,
    },
    UnackIncident {
        number: u64,
        by: Arc<str>,
    },
    AckObject {
        object: ObjectKey,
        ack: Ack,
        notify: Notify,
        /// Its comment stays when the acknowledgement ends.
        persistent: bool,
    },
    UnackObject {
        object: ObjectKey,
        by: Arc<str>,
    },
    ScheduleDowntime(DowntimeRequest),
    /// That one and those that it triggers.
    CancelDowntime {
        id: u64,
        by: Arc<str>,
    },
    CheckNow {
        object: ObjectKey,
        by: Arc<str>,
    },
    NoteIncident {
        number: u64,
        by: Arc<str>,
        text: Arc<str>,
    },
    AddComment(CommentRequest),
    DeleteComment {
        id: u64,
        by: Arc<str>,
    },
    /// Of one host or one service.
    DeleteAllComments {
        object: ObjectKey,
        by: Arc<str>,
    },
    /// Tells the contacts of an imported object something now.
    CustomNotification {
        object: ObjectKey,
        options: CustomOptions,
        author: Arc<str>,
        comment: Arc<str>,
    },
    /// The present problem of an imported object is not notified again before `until`.
    DelayNotification {
        object: ObjectKey,
        until: Timestamp,
    },
    /// How many notifications of the present problem count as sent: moves it along its escalations.
    SetNotificationNumber {
        object: ObjectKey,
        number: u32,
    },
    /// Sends a message that says it is a test, on one channel of the contact or on all of them.
    TestContact {
        contact: Arc<str>,
        channel: Option<Arc<str>>,
        by: Arc<str>,
    },
    /// Of objects of a Nagios tree.
    SetSwitch {
        scope: Scope,
        switch: Switch,
        on: bool,
    },
    SetProgramSwitch {
        switch: ProgramSwitch,
        on: bool,
    },
    /// Whether contacts are told of hosts or of services.
    SetContactSwitch {
        scope: ContactScope,
        side: Side,
        on: bool,
    },
    Change {
        object: ObjectKey,
        change: Change,
    },
    ChangeContact {
        contact: Arc<str>,
        change: ContactChange,
    },
    /// `name!argument!…` of a configured command; empty = none.
    GlobalEventHandler {
        side: Side,
        command: Arc<str>,
    },
    ClearFlapping {
        object: ObjectKey,
    },
    ScheduleChecks {
        scope: Scope,
        at: Timestamp,
        forced: Forced,
    },
    /// A line for the log of whoever reads Nagios's.
    Log {
        text: Arc<str>,
    },
    /// Accepted, logged, and nothing else: meant for modules that are not there.
    Nothing,
    /// A check was not run, and the configuration gives its object this state for that.
    SkipCheck {
        object: ObjectKey,
        state: u8,
        why: Arc<str>,
    },
    /// About a run of a runbook.
    Run(RunRequest),
    /// A recovery was drilled, of this cell or runbook. The record is kept in the file of drills; here are its words, for
    /// audit and history.
    RecordDrill {
        of: Arc<str>,
        by: Arc<str>,
        text: Arc<str>,
    },
}

/// Whether an acknowledgement is told to the contacts.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    Yes,
    No,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DowntimeRequest {
    pub target: ObjectKey,
    pub covers: Covers,
    pub kind: DowntimeKind,
    /// Id of the downtime that it starts and ends with. One that does not exist is accepted, as Nagios does; nothing
    /// ever starts it.
    pub triggered_by: Option<u64>,
    pub spread: Spread,
    pub start: Timestamp,
    pub end: Timestamp,
    pub author: Arc<str>,
    pub comment: Arc<str>,
}

/// Whether a host's downtime is planned for the hosts behind it too, in entries of their own.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    #[default]
    TargetOnly,
    /// The same window for every descendant.
    Descendants,
    /// For every descendant one that the target's own triggers.
    TriggeredDescendants,
}

/// A comment to be written; `expires` = removed by itself then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommentRequest {
    pub object: ObjectKey,
    pub persistent: bool,
    pub expires: Option<Timestamp>,
    pub author: Arc<str>,
    pub text: Arc<str>,
}

/// Option bits 1, 2 and 4 of `SEND_CUSTOM_*_NOTIFICATION`.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct CustomOptions {
    /// To the contacts of the object and of every escalation.
    pub broadcast: bool,
    /// Whatever the stages say.
    pub forced: bool,
    /// Counts as a notification of the present problem.
    pub increment: bool,
}

/// What a command gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    Done,
    /// Id of the target's own downtime.
    DowntimeScheduled(u64),
    CommentAdded(u64),
    /// Keys of the notifications that went to the outbox.
    TestsSent(Vec<Arc<str>>),
    /// The id was seen before; the first answer stands.
    Repeated,
    /// Number of the run it was about.
    Run(u64),
}

/// Why a command was refused; the text is for the person who sent it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum CommandError {
    #[error("there is no incident INC-{0}")]
    NoIncident(u64),
    #[error("INC-{0} is not open any more")]
    IncidentNotLive(u64),
    #[error("there is no {0}")]
    NoObject(String),
    #[error("{0} has no problem to acknowledge")]
    NoProblem(String),
    #[error("there is no downtime {0}")]
    NoDowntime(u64),
    #[error("there is no comment {0}")]
    NoComment(u64),
    #[error("{0} is not of an imported configuration: its incidents notify")]
    NotImported(String),
    #[error("there is no contact `{0}`")]
    NoContact(Arc<str>),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Run(#[from] RunError),
}
