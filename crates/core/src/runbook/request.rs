//! What people, the executor and Stentor itself ask of runs, and who may ask for what.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::Action;

/// What somebody may do; each right includes those before it.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    View,
    /// Start, carry out, skip, finish and abort; run commands of the allow-list.
    Operate,
    /// Switch machines off and on.
    Power,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Right::View => "view",
            Right::Operate => "operate",
            Right::Power => "power",
        })
    }
}

impl Right {
    /// What carrying out a step of this kind needs.
    pub const fn of(action: &Action) -> Right {
        match action {
            Action::Manual
            | Action::Check { .. }
            | Action::WaitFor { .. }
            | Action::Command { .. }
            | Action::Approve => Right::Operate,
            Action::Power { .. } => Right::Power,
        }
    }
}

/// Who asks, and with what right as the shell found it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Asker {
    pub name: Arc<str>,
    pub right: Right,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRequest {
    pub by: Asker,
    pub action: RunAction,
}

/// `attempt` names the attempt that the sender means: 1 for the first. `None` = whichever is next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RunAction {
    /// The runbook of an incident's verdict.
    Start {
        incident: u64,
    },
    /// The same, by Stentor itself.
    StartByItself {
        incident: u64,
    },
    /// Planned work on a named target.
    StartProcedure {
        runbook: Arc<str>,
        host: Arc<str>,
        component: Option<Arc<str>>,
    },
    Begin {
        run: u64,
        step: u16,
        attempt: Option<u32>,
    },
    /// A person did it.
    Done {
        run: u64,
        step: u16,
        attempt: Option<u32>,
        note: Arc<str>,
    },
    Fail {
        run: u64,
        step: u16,
        attempt: Option<u32>,
        note: Arc<str>,
    },
    Skip {
        run: u64,
        step: u16,
        reason: Arc<str>,
    },
    Approve {
        run: u64,
        step: u16,
        attempt: Option<u32>,
    },
    /// What the step did was undone by hand, as its text says.
    RollBack {
        run: u64,
        step: u16,
        note: Arc<str>,
    },
    Finish {
        run: u64,
    },
    Abort {
        run: u64,
        why: Arc<str>,
    },
    /// The executor tells how a command or power step ended.
    Report {
        run: u64,
        step: u16,
        attempt: u32,
        well: bool,
        output: Arc<str>,
    },
}

impl RunAction {
    /// One word for audit and history.
    pub const fn word(&self) -> &'static str {
        match self {
            RunAction::Start { .. } | RunAction::StartByItself { .. } | RunAction::StartProcedure { .. } => "start",
            RunAction::Begin { .. } => "begin",
            RunAction::Done { .. } => "done",
            RunAction::Fail { .. } => "fail",
            RunAction::Skip { .. } => "skip",
            RunAction::Approve { .. } => "approve",
            RunAction::RollBack { .. } => "rollback",
            RunAction::Finish { .. } => "finish",
            RunAction::Abort { .. } => "abort",
            RunAction::Report { .. } => "report",
        }
    }

    pub const fn run(&self) -> Option<u64> {
        match self {
            RunAction::Start { .. } | RunAction::StartByItself { .. } | RunAction::StartProcedure { .. } => None,
            RunAction::Begin { run, .. }
            | RunAction::Done { run, .. }
            | RunAction::Fail { run, .. }
            | RunAction::Skip { run, .. }
            | RunAction::Approve { run, .. }
            | RunAction::RollBack { run, .. }
            | RunAction::Finish { run }
            | RunAction::Abort { run, .. }
            | RunAction::Report { run, .. } => Some(*run),
        }
    }

    pub const fn step(&self) -> Option<u16> {
        match self {
            RunAction::Begin { step, .. }
            | RunAction::Done { step, .. }
            | RunAction::Fail { step, .. }
            | RunAction::Skip { step, .. }
            | RunAction::Approve { step, .. }
            | RunAction::RollBack { step, .. }
            | RunAction::Report { step, .. } => Some(*step),
            RunAction::Start { .. }
            | RunAction::StartByItself { .. }
            | RunAction::StartProcedure { .. }
            | RunAction::Finish { .. }
            | RunAction::Abort { .. } => None,
        }
    }
}
