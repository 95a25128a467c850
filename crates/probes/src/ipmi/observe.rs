//! A poll as facts and measurements: what rules and signals read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::observation::MEASUREMENTS_MAX;
use stentor_core::model::{Measurement, Observation, Value};
use stentor_wire::ipmi::event::{self, Severity};

use super::poll::{BmcPoll, SensorSeen, SensorState};

/// Faults named in the one-line text; all of them are in the fact `faults`.
const FAULTS_IN_TEXT: usize = 3;

/// Whose lines [`listing`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// `ipmitool sdr elist`.
    Ipmitool,
    /// `ipmi-sensors --comma-separated-output`.
    FreeIpmi,
}
/// Room for the usual range; thousands are written a second.
const RANGE_BYTES: usize = 24;

/// The word of a weight in facts.
fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "ok",
        Severity::Warning => "warning",
        Severity::Major => "major",
        Severity::Critical => "critical",
    }
}

/// What is wrong with one sensor, for people.
fn fault_text(sensor: &SensorSeen) -> String {
    match sensor.state {
        SensorState::Discrete => {
            let texts: Vec<String> = sensor
                .offsets
                .iter()
                .filter(|offset| event::severity(sensor.event_type, sensor.sensor_type, **offset) > Severity::Info)
                .map(|offset| event::offset_text(sensor.event_type, sensor.sensor_type, *offset))
                .collect();
            format!("{}: {}", sensor.name, texts.join(", "))
        }
        SensorState::Ok
        | SensorState::NonCritical
        | SensorState::Critical
        | SensorState::NonRecoverable
        | SensorState::Unavailable => match sensor.value {
            Some(value) => format!("{}: {} {} ({})", sensor.name, round(value), sensor.unit, sensor.state.word()),
            None => format!("{}: {}", sensor.name, sensor.state.word()),
        },
    }
}

/// Three decimals: a reading has eight bits, so more would be noise.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Power supplies by id. Several sensors of one supply are one supply; one that cannot be read says nothing.
fn power_supplies(poll: &BmcPoll) -> Value {
    let mut supplies: BTreeMap<String, BTreeSet<u8>> = BTreeMap::new();
    for sensor in poll.sensors.iter().filter(|s| s.is_power_supply() && s.state == SensorState::Discrete) {
        supplies.entry(sensor.power_supply_id()).or_default().extend(&sensor.offsets);
    }
    supplies.into_iter().map(|(id, offsets)| offsets_value(&id, offsets)).collect::<Vec<_>>().into()
}

fn redundancy(poll: &BmcPoll) -> Value {
    let readable = |s: &&SensorSeen| s.is_power_redundancy() && s.state == SensorState::Discrete;
    let sensors = poll.sensors.iter().filter(readable);
    sensors.map(|s| offsets_value(&s.name, s.offsets.iter().copied())).collect::<Vec<_>>().into()
}

fn offsets_value(id: &str, offsets: impl IntoIterator<Item = u8>) -> Value {
    let offsets: Vec<Value> = offsets.into_iter().map(|offset| Value::from(u32::from(offset))).collect();
    [("id", Value::from(id)), ("offsets", Value::List(offsets))].into_iter().collect()
}

/// The facts of a poll. A part that was not read is left out, never reported as good.
pub fn facts(poll: &BmcPoll) -> BTreeMap<String, Value> {
    let mut facts = BTreeMap::new();
    let mut put = |name: &str, value: Value| {
        facts.insert(name.to_owned(), value);
    };
    put("bmc", "ok".into());
    put("power", if poll.chassis.is_on { "on" } else { "off" }.into());
    put("last_power_event", poll.chassis.last_event.words().into());
    put("complete", poll.missing.is_none().into());
    put("firmware", format!("{}.{:02}", poll.device.firmware_major, poll.device.firmware_minor).into());
    put("suite", u32::from(poll.suite.id()).into());
    if let Some(entry) = &poll.log.newest_serious {
        put("sel", entry.text.clone().into());
        if let Some(at) = entry.at {
            put("sel_at", at.into());
        }
    }
    put("sel_new", poll.log.new.iter().filter(|_| !poll.log.is_history).map(log_value).collect::<Vec<_>>().into());
    put("sel_entries", u32::from(poll.log.entries_total).into());
    if poll.is_power_read {
        put("psu", power_supplies(poll));
        put("psu_redundancy", redundancy(poll));
    }
    let faults: Vec<&SensorSeen> = poll.faults().collect();
    let worst = faults.iter().map(|sensor| sensor.severity()).max().unwrap_or(Severity::Info);
    // Good is only known when everything was read; bad is known at once.
    if poll.are_sensors_read || worst > Severity::Info {
        let states = poll.sensors.iter().map(|sensor| (sensor.name.as_str(), sensor.state.word()));
        put("sensors", states.collect());
        put("faults", faults.iter().map(|sensor| fault_value(sensor)).collect::<Vec<_>>().into());
        put("worst", severity_word(worst).into());
    }
    facts
}

fn fault_value(sensor: &SensorSeen) -> Value {
    [
        ("sensor", Value::from(sensor.name.as_str())),
        ("type", event::sensor_type_name(sensor.sensor_type).into()),
        ("severity", severity_word(sensor.severity()).into()),
        ("text", fault_text(sensor).into()),
    ]
    .into_iter()
    .collect()
}

fn log_value(entry: &super::event_log::LogEntry) -> Value {
    [("text", Value::from(entry.text.as_str())), ("severity", severity_word(entry.severity).into())]
        .into_iter()
        .collect()
}

/// One measurement for each sensor with a number. Thresholds the controller compares against become ranges.
pub fn measurements(poll: &BmcPoll) -> Vec<Measurement> {
    let range = |low: Option<f64>, high: Option<f64>| -> Arc<str> {
        let mut text = String::with_capacity(RANGE_BYTES);
        // Writing to a string cannot fail.
        let _ = match (low.map(round), high.map(round)) {
            (None, None) => Ok(()),
            (None, Some(high)) => write!(text, "~:{high}"),
            (Some(low), None) => write!(text, "{low}:"),
            (Some(low), Some(high)) => write!(text, "{low}:{high}"),
        };
        text.into()
    };
    let with_value = poll.sensors.iter().filter_map(|sensor| sensor.value.map(|value| (sensor, value)));
    with_value
        .take(MEASUREMENTS_MAX)
        .map(|(sensor, value)| Measurement {
            label: sensor.name.as_str().into(),
            value: Some(round(value)),
            unit: sensor.unit.as_str().into(),
            warn: range(sensor.thresholds.lower_non_critical, sensor.thresholds.upper_non_critical),
            crit: range(sensor.thresholds.lower_critical, sensor.thresholds.upper_critical),
            min: None,
            max: None,
        })
        .collect()
}

/// The whole observation of a poll.
pub fn observation(poll: &BmcPoll) -> Observation {
    let power = if poll.chassis.is_on { "on" } else { "off" };
    let faults: Vec<String> = poll.faults().map(fault_text).collect();
    let mut text = format!("power {power}, {} sensors", poll.sensors.len());
    match faults.len() {
        0 => {}
        1 => text.push_str(", 1 fault"),
        count => text.push_str(&format!(", {count} faults")),
    }
    for fault in faults.iter().take(FAULTS_IN_TEXT) {
        text.push_str("; ");
        text.push_str(fault);
    }
    if let Some(why) = &poll.missing {
        text.push_str(&format!(" (not everything was read: {why})"));
    }
    let mut observation = Observation::observed(text);
    observation.long_text = faults.join("\n").into();
    observation.facts = facts(poll).into_iter().collect();
    observation.measurements = measurements(poll);
    observation
}

/// Each sensor as a line of another program, in the order of the controller's records.
pub fn listing(poll: &BmcPoll, style: Style) -> Vec<String> {
    let mut sensors: Vec<&SensorSeen> = poll.sensors.iter().collect();
    sensors.sort_by_key(|sensor| sensor.record.order);
    let lines = sensors.into_iter().map(|sensor| match style {
        Style::Ipmitool => sensor.listed().ipmitool(),
        Style::FreeIpmi => sensor.listed().freeipmi(),
    });
    lines.collect()
}

/// A controller that does not answer is an observation, not a fault of the probe.
pub fn unreachable() -> Observation {
    let mut observation = Observation::observed("BMC does not answer");
    observation.facts.insert("bmc".to_owned(), "unreachable".into());
    observation.facts.insert("power".to_owned(), "unknown".into());
    observation
}
