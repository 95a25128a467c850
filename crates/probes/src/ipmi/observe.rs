//! A poll as facts and measurements: what rules and signals read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::observation::MEASUREMENTS_MAX;
use stentor_core::model::{Measurement, Observation, Value};
use stentor_wire::ipmi::command::ChassisStatus;
use stentor_wire::ipmi::event::{self, Severity, event_type, sensor_type};
use stentor_wire::ipmi::sdr_locator::Entity;
use stentor_wire::ipmi::sel_detail::restart_cause;

use super::particulars::Particulars;
use super::poll::{BmcPoll, SensorSeen, SensorState};

/// Faults named in the one-line text; all of them are in the fact `faults`.
const FAULTS_IN_TEXT: usize = 3;

/// What DCMI measures of the whole host; no sensor of any maker is called so.
const POWER_LABEL: &str = "dcmi power";

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
    if let Some(suite) = poll.suite {
        put("suite", u32::from(suite.id()).into());
    }
    if let Some(entry) = &poll.log.newest_serious {
        put("sel", entry.text.clone().into());
        if let Some(at) = entry.at {
            put("sel_at", at.into());
        }
    }
    put("sel_new", poll.log.new.iter().filter(|_| !poll.log.is_history).map(log_value).collect::<Vec<_>>().into());
    put("sel_entries", u32::from(poll.log.entries_total).into());
    put("sel_used_pct", poll.log.used_pct.into());
    for (name, is_so) in [
        ("sel_overflow", poll.log.has_overflowed),
        ("sel_cleared", poll.log.was_cleared),
        ("sel_overwritten", poll.log.was_overwritten),
        ("sel_clock_stepped_back", poll.log.clock_stepped_back),
    ] {
        put(name, is_so.into());
    }
    put("chassis_faults", chassis_faults(&poll.chassis).into());
    put("restore_policy", poll.chassis.restore_policy.word().into());
    put("vanished", texts(&poll.vanished));
    put("problems", texts(&poll.problems));
    facts_of_particulars(&poll.particulars, &mut put);
    if poll.is_power_read {
        put("psu", power_supplies(poll));
        put("psu_redundancy", redundancy(poll));
    }
    if poll.are_sensors_read {
        put("redundancy", redundancy_left(poll));
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
    let told = [("text", Value::from(entry.text.as_str())), ("severity", severity_word(entry.severity).into())];
    let generator = entry.generator.as_deref().map(|generator| ("generator", Value::from(generator)));
    let raw = entry.raw.as_deref().map(|raw| ("raw", Value::from(raw)));
    let at = entry.at.map(|at| ("at", Value::from(at)));
    told.into_iter().chain(generator).chain(raw).chain(at).collect()
}

fn texts(texts: &[String]) -> Value {
    texts.iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>().into()
}

/// What the chassis itself says is wrong, in the words of `ipmitool chassis status`.
fn chassis_faults(chassis: &ChassisStatus) -> Vec<&'static str> {
    let all = [
        (chassis.power_overload, "power overload"),
        (chassis.interlock, "power interlock"),
        (chassis.main_power_fault, "main power fault"),
        (chassis.power_control_fault, "power control fault"),
        (chassis.intrusion, "chassis intrusion"),
        (chassis.drive_fault, "drive fault"),
        (chassis.fan_fault, "cooling fault"),
    ];
    all.into_iter().filter_map(|(is_so, word)| is_so.then_some(word)).collect()
}

fn facts_of_particulars(told: &Particulars, put: &mut impl FnMut(&str, Value)) {
    /// Minutes in an hour.
    const MINUTES: u64 = 60;
    if let Some(cause) = told.restart_cause.and_then(restart_cause) {
        put("restart_cause", cause.into());
    }
    if let Some(minutes) = told.power_on_minutes {
        put("power_on_hours", ((minutes / MINUTES) as f64).into());
    }
    if let Some(watchdog) = &told.watchdog {
        let members = [
            ("running", Value::from(watchdog.is_running)),
            ("use", watchdog.use_word().into()),
            ("action", watchdog.action_word().into()),
        ];
        let left = watchdog.present_ms.map(|left| ("left_s", Value::from(f64::from(left) / 1000.0)));
        put("watchdog", members.into_iter().chain(left).collect());
        put("watchdog_expired", watchdog.expired_words().into());
    }
    if let Some(watts) = told.power.as_ref().map(|power| power.now) {
        put("power_watts", u32::from(watts).into());
    }
    if let Some(watts) = told.power_limit {
        put("power_limit_watts", u32::from(watts).into());
    }
    let inventories = told.inventories.iter().map(|(name, inventory)| {
        let serial = inventory.product.as_ref().map(|product| product.serial.as_str()).unwrap_or_default();
        let board = inventory.board.as_ref().map(|board| board.serial.as_str()).unwrap_or_default();
        let members = [
            ("part", Value::from(if name.is_empty() { "system" } else { name })),
            ("is", inventory.title().into()),
            ("serial", if serial.is_empty() { board } else { serial }.into()),
            ("damaged", inventory.damage.clone().into()),
        ];
        members.into_iter().collect::<Value>()
    });
    if !told.inventories.is_empty() {
        put("inventory", inventories.collect::<Vec<_>>().into());
    }
}

/// Redundancy of each sort of part: what its sensor says, and how many parts are good of how many there are.
fn redundancy_left(poll: &BmcPoll) -> Value {
    let sensors = poll.sensors.iter().filter(|s| s.event_type == event_type::REDUNDANCY);
    let readable = sensors.filter(|s| s.state == SensorState::Discrete);
    let told = readable.map(|sensor| {
        let state = match sensor
            .offsets
            .iter()
            .max_by_key(|offset| (event::severity(sensor.event_type, sensor.sensor_type, **offset), **offset))
        {
            None | Some(0) => "full",
            Some(2 | 6 | 7) => "degraded",
            Some(1 | 3 | 4) => "lost",
            Some(_) => "insufficient",
        };
        let mut told =
            vec![("id", Value::from(sensor.name.as_str())), ("of_type", type_name(sensor)), ("state", state.into())];
        let members = poll.members(sensor);
        let is_member = |part: &SensorSeen| members.contains(&Entity { id: part.entity.0, instance: part.entity.1 });
        let of_its_sort = poll.sensors.iter().filter(|part| is_part_of(part, sensor));
        // Without an association every part of the sort counts, which is right for a host with one power domain.
        let parts: Vec<&SensorSeen> = of_its_sort.filter(|part| members.is_empty() || is_member(part)).collect();
        if !parts.is_empty() {
            let good = parts.iter().filter(|part| part.severity() == Severity::Info).count();
            told.push(("good", (good as f64).into()));
            told.push(("of", (parts.len() as f64).into()));
        }
        told.into_iter().collect::<Value>()
    });
    told.collect::<Vec<_>>().into()
}

fn type_name(sensor: &SensorSeen) -> Value {
    event::sensor_type_name(sensor.sensor_type).into()
}

/// Whether `part` is one of those whose redundancy `of` tells: supplies of power, fans of cooling, else its own type.
fn is_part_of(part: &SensorSeen, of: &SensorSeen) -> bool {
    let wanted = match of.sensor_type {
        sensor_type::POWER_UNIT | sensor_type::POWER_SUPPLY => sensor_type::POWER_SUPPLY,
        sensor_type::COOLING | sensor_type::FAN => sensor_type::FAN,
        other => other,
    };
    let is_present = match wanted {
        // An empty bay is no part.
        sensor_type::POWER_SUPPLY | sensor_type::MEMORY | sensor_type::DRIVE_SLOT => !part.offsets.is_empty(),
        _ => true,
    };
    part.sensor_type == wanted
        && part.event_type != event_type::REDUNDANCY
        && part.state != SensorState::Unavailable
        && is_present
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
    let power = poll.particulars.power.as_ref().map(|power| Measurement {
        label: POWER_LABEL.into(),
        value: Some(f64::from(power.now)),
        unit: "W".into(),
        warn: "".into(),
        crit: "".into(),
        min: Some(f64::from(power.min)),
        max: Some(f64::from(power.max)),
    });
    let sensors = with_value.take(MEASUREMENTS_MAX - 1).map(|(sensor, value)| Measurement {
        label: sensor.name.as_str().into(),
        value: Some(round(value)),
        unit: sensor.unit.as_str().into(),
        warn: range(sensor.thresholds.lower_non_critical, sensor.thresholds.upper_non_critical),
        crit: range(sensor.thresholds.lower_critical, sensor.thresholds.upper_critical),
        min: None,
        max: None,
    });
    sensors.chain(power).collect()
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
    for (what, names) in [("gone", &poll.vanished), ("not right", &poll.problems)] {
        if let Some(first) = names.first() {
            text.push_str(&format!("; {what}: {first}"));
            if names.len() > 1 {
                text.push_str(&format!(" and {} more", names.len() - 1));
            }
        }
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
