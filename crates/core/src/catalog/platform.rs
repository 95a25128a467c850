//! A platform's knowledge as data: component types, matrix cells, runbooks. Read from a check pack.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diagnosis::FailureType;

/// One platform (`eucalyptus`, `hardware`) with everything its pack says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Platform {
    pub key: Arc<str>,
    pub version: Arc<str>,
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
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub kind: StepKind,
    /// Markdown (inline code and emphasis only).
    pub text: String,
    pub command: Option<String>,
    pub when: Option<String>,
    pub gate: Option<String>,
    pub rollback: Option<String>,
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
