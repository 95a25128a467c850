//! What one run of a probe saw. A probe observes and never judges: rules turn this into a state.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::state::{HostState, ServiceState, UnknownCause};
use super::value::Value;

/// Everything one run produced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub outcome: Outcome,
    /// One line for people, without perfdata. Kept up to [`OUTPUT_BYTES_MAX`].
    pub text: Arc<str>,
    /// Further lines, LF-separated; empty if none.
    pub long_text: Arc<str>,
    /// Named facts that rules and signals read: `port = "refused"`, `used_pct = 91.5`.
    pub facts: Facts,
    pub measurements: Vec<Measurement>,
}

/// Output kept per result (text and long text each); longer output is cut with a mark.
pub const OUTPUT_BYTES_MAX: usize = 8 * 1024;
/// Name of the fact that holds performance data as printed, where the measurements alone would say it otherwise.
pub const PERFDATA_FACT: &str = "perfdata";
/// Measurements kept per result.
pub const MEASUREMENTS_MAX: usize = 256;

/// How the state of a run is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// Facts and measurements speak; the check's rules judge them.
    Observed,
    /// A plugin (or passive submitter) already said the state.
    Reported(ServiceState),
    /// The probe could not observe. `text` says why; never a failure of the target.
    Failed(UnknownCause),
    /// A passive submitter said the state of a host.
    ReportedHost(HostState),
}

/// One number with its unit, thresholds and bounds, as perfdata carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub label: Arc<str>,
    /// `None` = the plugin printed `U`: it could not be determined.
    pub value: Option<f64>,
    /// Unit of measurement as printed: `s`, `%`, `B`, `c`, or empty.
    pub unit: Arc<str>,
    /// Threshold range text, unparsed (`10:20`, `@5`), empty if none.
    pub warn: Arc<str>,
    pub crit: Arc<str>,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

impl Observation {
    /// An observation to be judged by rules.
    pub fn observed(text: impl Into<Arc<str>>) -> Self {
        Observation {
            outcome: Outcome::Observed,
            text: text.into(),
            long_text: Arc::default(),
            facts: Facts::new(),
            measurements: Vec::new(),
        }
    }

    /// A result that already carries its state.
    pub fn reported(state: ServiceState, text: impl Into<Arc<str>>) -> Self {
        Observation { outcome: Outcome::Reported(state), ..Observation::observed(text) }
    }

    /// A result of a host that already carries its state.
    pub fn reported_host(state: HostState, text: impl Into<Arc<str>>) -> Self {
        Observation { outcome: Outcome::ReportedHost(state), ..Observation::observed(text) }
    }

    /// The probe could not observe.
    pub fn failed(cause: UnknownCause, text: impl Into<Arc<str>>) -> Self {
        Observation { outcome: Outcome::Failed(cause), ..Observation::observed(text) }
    }

    /// Performance data as text: as the plugin printed it where that is kept, else what the measurements say.
    pub fn perfdata(&self) -> Cow<'_, str> {
        if let Some(printed) = self.facts.get(PERFDATA_FACT).and_then(Value::text) {
            return printed.into();
        }
        let items: Vec<String> = self.measurements.iter().map(Measurement::to_string).collect();
        items.join(" ").into()
    }

    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name, value.into());
        self
    }

    #[must_use]
    pub fn measure(mut self, label: &str, value: f64, unit: &str) -> Self {
        self.measurements.push(Measurement::new(label, value, unit));
        self
    }

    #[must_use]
    pub fn long(mut self, text: impl Into<Arc<str>>) -> Self {
        self.long_text = text.into();
        self
    }
}

impl Measurement {
    pub fn new(label: &str, value: f64, unit: &str) -> Self {
        Measurement {
            label: label.into(),
            value: Some(value),
            unit: unit.into(),
            warn: Arc::default(),
            crit: Arc::default(),
            min: None,
            max: None,
        }
    }
}

impl fmt::Display for Measurement {
    /// One item of performance data: `'free space'=12.5GB;10:;5:;0;100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.label.contains([' ', '=', '\'']) {
            write!(f, "'{}'=", self.label.replace('\'', "''"))?;
        } else {
            write!(f, "{}=", self.label)?;
        }
        match self.value {
            Some(value) => write!(f, "{value}{}", self.unit)?,
            None => f.write_str("U")?,
        }
        let number = |bound: Option<f64>| bound.map_or_else(String::new, |bound| bound.to_string());
        let fields = [self.warn.to_string(), self.crit.to_string(), number(self.min), number(self.max)];
        let used = fields.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
        fields.iter().take(used).try_for_each(|field| write!(f, ";{field}"))
    }
}
