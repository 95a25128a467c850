//! A platform's knowledge as data: component types, matrix cells, runbooks. Read from a check pack.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Span;
use crate::availability;
use crate::diagnosis::FailureType;
use crate::rules::Expr;

/// One platform (`eucalyptus`, `hardware`) with everything its pack says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Platform {
    pub key: Arc<str>,
    pub version: Arc<str>,
    /// What the Core of such a cloud needs, unless the cloud says otherwise.
    #[serde(default)]
    pub core: Option<availability::Expr>,
    pub components: Vec<ComponentType>,
    pub cells: Vec<Cell>,
    pub runbooks: Vec<Runbook>,
}

/// Row of the failure matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentType {
    pub key: Arc<str>,
    pub name: Arc<str>,
    /// Part of the cloud's Core.
    pub core: bool,
    pub units: Vec<Arc<str>>,
    pub processes: Vec<Arc<str>>,
    pub ports: Vec<u16>,
    /// Runs inside the shared JVM of its host.
    pub jvm: bool,
    /// `active_active`, `active_passive`, `single`, `many`.
    pub redundancy_kind: Arc<str>,
    /// Instances needed for the service.
    pub redundancy_min: u32,
    pub depends_on: Vec<Arc<str>>,
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct CellKey {
    pub platform: Arc<str>,
    pub component: Arc<str>,
    pub failure_type: FailureType,
}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.platform, self.component, self.failure_type.as_str())
    }
}

/// (component, failure type): how it is told, what users notice, how it is restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub key: CellKey,
    pub told_by: Vec<String>,
    /// System behaviour as users see it.
    pub behaviour: String,
    pub still_works: String,
    pub impact: String,
    /// Id of the runbook.
    pub runbook: Arc<str>,
    pub verify: Vec<String>,
    /// Text such as `5-15 min`; empty if unknown.
    pub expected_time: String,
    pub data_risk: String,
    pub escalate: String,
    pub founded: Founded,
    pub sources: Vec<String>,
}

/// How well a cell is founded.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Founded {
    Seed,
    Doc,
    Source,
    Inference,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runbook {
    pub id: Arc<str>,
    pub title: String,
    pub steps: Vec<Step>,
    /// How long a run keeps its target in downtime; zero = it opens none.
    #[serde(default)]
    pub downtime: Span,
    /// Checks of the target (`clc/port`, `host/ping`) that must be well before a run may be finished, besides those that
    /// spoke for the incident.
    #[serde(default)]
    pub verification: Vec<Arc<str>>,
    /// How many results in a row must be well.
    #[serde(default = "three")]
    pub intervals: u16,
    /// The runbook may be started without a person, if the administrator allows it too.
    #[serde(default)]
    pub automatic: bool,
    /// Planned work on a named target, not the answer to a failure.
    #[serde(default)]
    pub procedure: bool,
}

const fn three() -> u16 {
    3
}

impl Runbook {
    /// Only text: no downtime, no gates of its own.
    pub fn of_steps(id: &str, title: &str, steps: Vec<Step>) -> Self {
        Runbook {
            id: id.into(),
            title: title.to_owned(),
            steps,
            downtime: Span::ZERO,
            verification: Vec::new(),
            intervals: three(),
            automatic: false,
            procedure: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub kind: StepKind,
    /// Markdown (inline code and emphasis only).
    pub text: String,
    /// For people to copy; what a run executes itself is in `action`.
    pub command: Option<String>,
    /// In words: the step applies only then.
    pub when: Option<String>,
    /// In words: what must hold before it.
    pub gate: Option<String>,
    pub rollback: Option<String>,
    #[serde(default)]
    pub action: Action,
    /// Conditions on the live signals of the target that must hold before the step may start.
    #[serde(default)]
    pub needs: Vec<Expr>,
    /// Deadline of a wait or a command; zero = the default of its action.
    #[serde(default)]
    pub within: Span,
    /// Another person than the one who runs the step must approve it.
    #[serde(default)]
    pub two_person: bool,
}

impl Step {
    /// A person does it and says so.
    pub fn manual(kind: StepKind, text: &str) -> Self {
        Step {
            kind,
            text: text.to_owned(),
            command: None,
            when: None,
            gate: None,
            rollback: None,
            action: Action::Manual,
            needs: Vec::new(),
            within: Span::ZERO,
            two_person: false,
        }
    }
}

/// What a run does at a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A person does it and says so.
    #[default]
    Manual,
    /// Asks for these checks of the target now; done when all are OK and the condition holds.
    Check {
        checks: Vec<Arc<str>>,
        until: Option<Expr>,
    },
    /// The same, patiently, until the deadline.
    WaitFor {
        checks: Vec<Arc<str>>,
        until: Option<Expr>,
    },
    /// A program of the allow-list with its arguments, on the target host. `{host}` and the like stand for data, never for shell.
    Command {
        run: Vec<Arc<str>>,
    },
    Power {
        power: PowerAction,
    },
    /// Another person looks and agrees.
    Approve,
}

/// Of the target host, by its BMC.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerAction {
    On,
    Off,
    Cycle,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    Verify,
    Contain,
    Fix,
    Confirm,
    Escalate,
}
