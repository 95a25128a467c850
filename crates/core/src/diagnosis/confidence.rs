//! How sure a verdict is: the row of the truth table, corrected by the planes that agree or contradict.

use super::flapping::FLAPPING;
use super::hardware;
use super::signal::Signal;
use super::timing::Timing;
use crate::Timestamp;
use crate::model::Value;

/// Independent ways of knowing (specification 10, section 5).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Plane {
    Network,
    Application,
    Host,
    Controller,
    OutOfBand,
    Hardware,
    Other,
}

impl Plane {
    pub fn of(signal: &Signal) -> Plane {
        match &*signal.sig {
            "ping" | "ssh" | "port" => Plane::Network,
            "http" | "heartbeat" | "probe" => Plane::Application,
            "agent" | "process" | "exit_code" | "resource" | "fault" | "log" | "split_brain" | "uptime_s"
            | "guests" => Plane::Host,
            "service_state" | "instance_state" => Plane::Controller,
            "bmc" | "power" | "sel" => Plane::OutOfBand,
            "link" | "bond" | "raid" | "psu" | "ups" | "path" | "drbd" | "switch" | "stack" | "fan" | "temp"
            | "mem" | "smart" => Plane::Hardware,
            _ => Plane::Other,
        }
    }

    /// Whether the fact itself reports trouble, rather than showing that something else is well.
    pub fn tells_trouble(signal: &Signal) -> bool {
        match (&*signal.sig, &signal.value) {
            ("uptime_s" | "maintenance" | "guests" | "healing" | "alert", _) => false,
            (_, Value::Text(text)) => {
                !["ok", "open", "running", "on", "enabled", "alive"].iter().any(|good| text.eq_ignore_ascii_case(good))
            }
            (_, Value::Map(_)) if hardware::is_amiss(signal) == Some(false) => false,
            (_, Value::Map(map)) => map.get("level").and_then(Value::text) != Some("ok"),
            ("http", Value::Number(code)) => *code >= 400.0,
            (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_)) => true,
        }
    }
}

const PER_AGREEING_PLANE: f64 = 0.03;
const CONTRADICTED: f64 = 0.2;
const AGED: f64 = 0.1;
const CEILING: f64 = 0.99;
/// Below this a verdict is not believed and becomes `unknown`.
pub(super) const BELIEVED: f64 = 0.5;
/// Of a verdict that a signal which is missing could overturn; whatever agrees with it, it is no certainty.
pub(super) const GUESS: f64 = 0.75;
/// Below this nobody is paged critically.
pub(super) const CRITICAL: f64 = 0.6;

/// The inputs of the arithmetic of section 5.
pub(super) struct Weighing<'a, 'b> {
    pub base: f64,
    pub row_planes: usize,
    pub support: &'b [&'a Signal],
    pub contradicted: bool,
}

impl Weighing<'_, '_> {
    pub fn confidence(&self, at: Timestamp, timing: &Timing) -> f64 {
        let counts = |signal: &&&Signal| Plane::tells_trouble(signal) && *signal.sig != *FLAPPING;
        let mut planes: Vec<Plane> = self.support.iter().filter(counts).map(|signal| Plane::of(signal)).collect();
        planes.sort_unstable();
        planes.dedup();
        let further = planes.len().saturating_sub(self.row_planes);
        let mut sum = self.base + PER_AGREEING_PLANE * further as f64;
        if self.contradicted {
            sum -= CONTRADICTED;
        }
        let newest = self.support.iter().map(|signal| signal.observed_at).max();
        if newest.is_some_and(|newest| at.since(newest) > timing.ageing) {
            sum -= AGED;
        }
        // Whole hundredths, so that adding planes in another order cannot show.
        (sum.clamp(0.0, CEILING) * 100.0).round() / 100.0
    }
}
