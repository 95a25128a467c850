//! A scenario: signals as people write them, and what the classifier alone says of them, without engine or network.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stentor_core::catalog::Catalog;
use stentor_core::diagnosis::{
    Class, CoreState, Diagnosis, Evidence, Impact, Missing, Rejected, Severity, Signal, Suppressed, Target, Timing,
    Topology, Verdict, Visibility, diagnose,
};
use stentor_core::model::Value;
use stentor_core::{Span, Timestamp};

/// Scenarios carry ages, not instants; any fixed present gives the same answer.
const VIRTUAL_NOW: Timestamp = Timestamp::from_secs(1_795_226_531);

/// Why a scenario cannot be classified.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    #[error("the scenario brings a topology of its own; leave it out, or the configuration")]
    TwoTopologies,
    #[error(
        "the scenario has no `topology` on line 1; add one, or give a configuration to take it from (--config FILE)"
    )]
    NoTopology,
    #[error("the configuration has no cloud `{name}`; it has: {known}")]
    NoCloud { name: String, known: String },
    #[error("the configuration has several clouds ({known}); name one: \"cloud\": NAME")]
    ManyClouds { known: String },
}

/// Signals, and what they are about.
#[derive(Clone, Debug, Deserialize)]
pub struct Scenario {
    topology: Option<Topology>,
    /// Which cloud of the configuration it is about.
    cloud: Option<String>,
    #[serde(default)]
    signals: Vec<SignalLine>,
}

/// A signal as people write it: an age instead of instants, scalars for names.
#[derive(Clone, Debug, Deserialize)]
struct SignalLine {
    host: Option<Arc<str>>,
    component: Option<Arc<str>>,
    sig: Arc<str>,
    #[serde(default)]
    value: Value,
    vantage: Option<Arc<str>>,
    #[serde(default)]
    age_s: f64,
    /// Age of the value itself, where the writer knows it.
    changed_s: Option<f64>,
    #[serde(default)]
    every_s: f64,
}

impl Scenario {
    pub const fn has_topology(&self) -> bool {
        self.topology.is_some()
    }

    /// What the classifier says. The topology is the scenario's own, or that of its cloud in `catalog`, and then at the
    /// pace of that configuration.
    ///
    /// # Errors
    /// There is no topology, or more than one.
    pub fn classify(self, catalog: Option<&Catalog>) -> Result<Diagnosis, ScenarioError> {
        let timing = catalog.map_or_else(Timing::default, |catalog| Timing::default().at_pace(catalog.timing.pace));
        let topology = match (self.topology, catalog) {
            (Some(topology), None) => topology,
            (None, Some(catalog)) => topology_of(catalog, self.cloud)?,
            (Some(_), Some(_)) => return Err(ScenarioError::TwoTopologies),
            (None, None) => return Err(ScenarioError::NoTopology),
        };
        let signals: Vec<Signal> = self.signals.into_iter().map(signal).collect();
        Ok(diagnose(&topology, &signals, VIRTUAL_NOW, &timing))
    }
}

/// A diagnosis as it is printed and sent.
#[derive(Serialize)]
pub struct Answer<'a> {
    alerts: Vec<Alert<'a>>,
    suppressed: &'a [Suppressed],
    core: CoreState,
    core_because: &'a [String],
    redundancy_lost: bool,
    unknown: Vec<Unknown<'a>>,
}

impl<'a> From<&'a Diagnosis> for Answer<'a> {
    fn from(diagnosis: &'a Diagnosis) -> Self {
        Answer {
            alerts: diagnosis.verdicts.iter().map(alert).collect(),
            suppressed: &diagnosis.suppressed,
            core: diagnosis.core,
            core_because: &diagnosis.core_because,
            redundancy_lost: diagnosis.redundancy_lost,
            unknown: diagnosis.unknown.iter().map(unknown).collect(),
        }
    }
}

#[derive(Serialize)]
struct Alert<'a> {
    target: &'a Target,
    class: Class,
    subtype: &'a str,
    severity: Severity,
    visibility: Visibility,
    impact: Impact,
    confidence: f64,
    core: CoreState,
    cell: Option<&'a str>,
    cells: &'a [Arc<str>],
    runbook: &'a str,
    redundancy: Option<(u32, u32)>,
    suppressed: &'a [Suppressed],
    evidence: &'a [Evidence],
    rejected: &'a [Rejected],
}

#[derive(Serialize)]
struct Unknown<'a> {
    target: &'a Target,
    class: Class,
    missing: &'a [String],
}

/// The named cloud, or the only one; without clouds, all hosts together, as the engine sees them.
fn topology_of(catalog: &Catalog, cloud: Option<String>) -> Result<Topology, ScenarioError> {
    let names = || catalog.clouds.iter().map(|cloud| &*cloud.name).collect::<Vec<_>>().join(", ");
    match (cloud, catalog.clouds.as_slice()) {
        (Some(name), clouds) => match clouds.iter().find(|cloud| *cloud.name == *name) {
            Some(cloud) => Ok(cloud.topology.clone()),
            None => Err(ScenarioError::NoCloud { name, known: names() }),
        },
        (None, [only]) => Ok(only.topology.clone()),
        (None, []) => {
            let hosts = catalog.hosts.iter().map(|host| (Arc::clone(&host.name), Vec::new())).collect();
            Ok(Topology { hosts, ..Topology::default() })
        }
        (None, _) => Err(ScenarioError::ManyClouds { known: names() }),
    }
}

fn seconds(seconds: f64) -> Span {
    Span::from_millis((seconds * 1000.0) as i64)
}

fn signal(line: SignalLine) -> Signal {
    let observed_at = VIRTUAL_NOW - seconds(line.age_s);
    Signal {
        host: line.host,
        component: line.component,
        sig: line.sig,
        value: line.value,
        vantage: line.vantage,
        observed_at,
        changed_at: line.changed_s.map_or(observed_at, |age| VIRTUAL_NOW - seconds(age)),
        every: seconds(line.every_s.max(0.0)),
    }
}

fn alert(verdict: &Verdict) -> Alert<'_> {
    Alert {
        target: &verdict.target,
        class: verdict.class,
        subtype: &verdict.subtype,
        severity: verdict.severity,
        visibility: verdict.visibility,
        impact: verdict.impact,
        confidence: verdict.confidence,
        core: verdict.core,
        cell: verdict.cell.as_deref(),
        cells: &verdict.cells,
        runbook: &verdict.runbook,
        redundancy: verdict.redundancy,
        suppressed: &verdict.suppressed,
        evidence: &verdict.evidence,
        rejected: &verdict.rejected,
    }
}

fn unknown(missing: &Missing) -> Unknown<'_> {
    Unknown { target: &missing.target, class: Class::Unknown, missing: &missing.missing }
}
