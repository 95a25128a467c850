//! Why a request about a run was refused, in words for who sent it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::request::Right;
use super::{RunPhase, StepState};

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum RunError {
    #[error("there is no run RUN-{0}")]
    NoRun(u64),
    #[error("RUN-{run} has no step {step}")]
    NoStep { run: u64, step: u16 },
    #[error("there is no runbook `{0}`")]
    NoRunbook(Arc<str>),
    #[error("there is no host `{0}`")]
    NoHost(Arc<str>),
    #[error("INC-{0} names no runbook: nobody has written one for this cause")]
    NothingToRun(u64),
    #[error("`{who}` may {has}, but this needs the right to {needs}")]
    Forbidden { who: Arc<str>, has: Right, needs: Right },
    #[error("`{0}` asked for this step: another person must approve it")]
    SamePerson(Arc<str>),
    #[error("RUN-{run} of {runbook} is under way for {what}: finish or abort it first")]
    UnderWay { run: u64, runbook: Arc<str>, what: String },
    #[error("RUN-{run} is {}: nothing can be done in it any more", phase.as_str())]
    Ended { run: u64, phase: RunPhase },
    #[error("step {step} is {}: {why}", state.as_str())]
    NotNow { step: u16, state: StepState, why: String },
    #[error("stale: attempt {sent} of step {step} was meant, and attempt {now} is the newest; look again")]
    Stale { step: u16, sent: u32, now: u32 },
    #[error("step {step} may not start: {}", why.join("; "))]
    Needs { step: u16, why: Vec<String> },
    #[error("step {step} is not allowed: {why}")]
    NotAllowed { step: u16, why: String },
    #[error("RUN-{run} cannot be finished: {}", missing.join("; "))]
    Missing { run: u64, missing: Vec<String> },
    #[error("{0}")]
    Invalid(String),
}

/// The few kinds that lead to different answers.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum RefusalKind {
    NotFound,
    Forbidden,
    Conflict,
    Invalid,
}

impl RunError {
    pub const fn kind(&self) -> RefusalKind {
        match self {
            RunError::NoRun(_) | RunError::NoStep { .. } | RunError::NoRunbook(_) | RunError::NoHost(_) => {
                RefusalKind::NotFound
            }
            RunError::Forbidden { .. } | RunError::SamePerson(_) => RefusalKind::Forbidden,
            RunError::NothingToRun(_)
            | RunError::UnderWay { .. }
            | RunError::Ended { .. }
            | RunError::NotNow { .. }
            | RunError::Stale { .. }
            | RunError::Needs { .. }
            | RunError::NotAllowed { .. }
            | RunError::Missing { .. } => RefusalKind::Conflict,
            RunError::Invalid(_) => RefusalKind::Invalid,
        }
    }
}
