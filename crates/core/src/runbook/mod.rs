//! Runbooks that run: steps with their states, approvals, deadlines and rollback, and the verification that gates the end.
//!
//! Pure: time, facts and the outcome of what was done outside come in as arguments. Nothing here decides that a step went
//! well because nothing was heard of it.

pub mod audit;
pub mod automatic;
pub mod facts;
pub mod named;
pub mod order;
pub mod policy;
pub mod refusal;
pub mod request;
pub mod steps;
#[cfg(test)]
mod tests;
pub mod verification;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::catalog::Runbook;

pub use audit::AuditEntry;
pub use order::{Order, OrderKind, RunOrder};
pub use policy::{RunPolicy, TwoPersons};
pub use refusal::RunError;
pub use request::{Asker, Right, RunAction, RunRequest};
pub use verification::{Verification, Watch};

/// Bytes of one step's output that are kept.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024;
/// Ended runs that stay in the read model; older ones live in history and audit only.
pub const ENDED_KEPT: usize = 200;
/// Who acts where no person does.
pub const STENTOR: &str = "stentor";

/// One run of a runbook: for an incident, or as planned work on a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Spoken as RUN-3.
    pub number: u64,
    /// As it was when the run began: a reload does not change what is under way.
    pub runbook: Arc<Runbook>,
    pub incident: Option<u64>,
    pub target: RunTarget,
    pub phase: RunPhase,
    /// Started without a person.
    pub automatic: bool,
    pub started_by: Arc<str>,
    pub started_at: Timestamp,
    pub ended_by: Option<Arc<str>>,
    pub ended_at: Option<Timestamp>,
    /// Why it was aborted or opened again; empty otherwise.
    pub why: Arc<str>,
    /// Parallel to the steps of the runbook.
    pub steps: Vec<StepRun>,
    pub verification: Verification,
    /// Id of the downtime that it opened.
    pub downtime: Option<u64>,
    /// Newest time anything about it changed.
    pub changed: Timestamp,
}

/// What a run is about, by name.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct RunTarget {
    pub host: Option<Arc<str>>,
    pub component: Option<Arc<str>>,
    pub cloud: Option<Arc<str>>,
}

impl fmt::Display for RunTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.component, &self.host, &self.cloud) {
            (Some(component), Some(host), _) => write!(f, "{component} on {host}"),
            (None, Some(host), _) => f.write_str(host),
            (Some(component), None, _) => f.write_str(component),
            (None, None, Some(cloud)) => write!(f, "cloud {cloud}"),
            (None, None, None) => f.write_str("the site"),
        }
    }
}

#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPhase {
    /// Steps are left.
    Running,
    /// Every step is settled; results of the verification are counted.
    Verifying,
    Finished,
    /// A verification check failed after it was finished: it wants to be verified again.
    Reopened,
    Aborted,
}

impl RunPhase {
    pub const fn as_str(self) -> &'static str {
        match self {
            RunPhase::Running => "running",
            RunPhase::Verifying => "verifying",
            RunPhase::Finished => "finished",
            RunPhase::Reopened => "reopened",
            RunPhase::Aborted => "aborted",
        }
    }

    /// Still somebody's work.
    pub const fn is_live(self) -> bool {
        matches!(self, RunPhase::Running | RunPhase::Verifying | RunPhase::Reopened)
    }
}

/// How far one step is.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// An earlier step is not settled.
    Waiting,
    Ready,
    /// Somebody wants to start it, another person must agree.
    Asked,
    Running,
    Done,
    Failed,
    Skipped,
    RolledBack,
}

impl StepState {
    pub const fn as_str(self) -> &'static str {
        match self {
            StepState::Waiting => "waiting",
            StepState::Ready => "ready",
            StepState::Asked => "asked",
            StepState::Running => "running",
            StepState::Done => "done",
            StepState::Failed => "failed",
            StepState::Skipped => "skipped",
            StepState::RolledBack => "rolled_back",
        }
    }

    /// The next step may start.
    pub const fn is_settled(self) -> bool {
        matches!(self, StepState::Done | StepState::Skipped)
    }
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRun {
    pub state: StepState,
    /// Rises with each start: a request that names another attempt is stale.
    pub attempt: u32,
    /// Who started it, or settled it without a start.
    pub by: Option<Arc<str>>,
    pub approved_by: Option<Arc<str>>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Not ended then = failed.
    pub deadline: Option<Timestamp>,
    /// When its checks were asked for last.
    pub asked_at: Option<Timestamp>,
    /// What it printed, or what its checks said; at most [`OUTPUT_BYTES_MAX`].
    pub output: Arc<str>,
    /// Why it failed or was skipped, or the note of who did it.
    pub note: Arc<str>,
}

impl StepRun {
    fn new(state: StepState) -> StepRun {
        StepRun {
            state,
            attempt: 0,
            by: None,
            approved_by: None,
            started_at: None,
            ended_at: None,
            deadline: None,
            asked_at: None,
            output: Arc::default(),
            note: Arc::default(),
        }
    }
}

/// What a run is made from.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub number: u64,
    pub runbook: Arc<Runbook>,
    pub incident: Option<u64>,
    pub target: RunTarget,
    pub by: Arc<str>,
    pub at: Timestamp,
    pub automatic: bool,
    pub verification: Verification,
}

impl Run {
    pub fn new(new: NewRun) -> Run {
        let first = |index: usize| if index == 0 { StepState::Ready } else { StepState::Waiting };
        let steps = (0..new.runbook.steps.len()).map(|index| StepRun::new(first(index))).collect();
        let mut run = Run {
            number: new.number,
            runbook: new.runbook,
            incident: new.incident,
            target: new.target,
            phase: RunPhase::Running,
            automatic: new.automatic,
            started_by: new.by,
            started_at: new.at,
            ended_by: None,
            ended_at: None,
            why: Arc::default(),
            steps,
            verification: new.verification,
            downtime: None,
            changed: new.at,
        };
        run.settle(new.at);
        run
    }

    /// `RUN-3`
    pub fn name(&self) -> String {
        format!("RUN-{}", self.number)
    }

    /// The first step that is not settled, from 1; escalation is nobody's next step.
    pub fn next_step(&self) -> Option<u16> {
        let mut open = (0..self.steps.len()).filter(|index| !self.is_settled(*index));
        open.next().and_then(|index| u16::try_from(index + 1).ok())
    }
}

/// Text within [`OUTPUT_BYTES_MAX`], cut at a character with a mark.
pub fn capped(text: &str) -> Arc<str> {
    const MARK: &str = "\n[cut: the rest was not kept]";
    if text.len() <= OUTPUT_BYTES_MAX {
        return text.into();
    }
    let mut end = OUTPUT_BYTES_MAX - MARK.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MARK}", &text[..end]).into()
}
