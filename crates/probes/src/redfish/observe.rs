//! A poll as facts and measurements: what rules and signals read.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::model::observation::MEASUREMENTS_MAX;
use stentor_core::model::{Measurement, Observation, Value};
use stentor_wire::redfish::power::{Redundancy, RedundancySet, Supply};
use stentor_wire::redfish::storage::{Drive, DriveState};
use stentor_wire::redfish::system::Power;
use stentor_wire::redfish::thermal::{Kind, Reading};
use stentor_wire::redfish::{Health, State, Status};

use super::walk::{Poll, Store};

/// Faults named in the one-line text; all of them are in the fact `faults`.
const FAULTS_IN_TEXT: usize = 3;

/// Something that is not as it should be.
struct Fault {
    part: String,
    /// As IPMI names the type of a sensor, where it has one.
    kind: &'static str,
    severity: Severity,
    text: String,
}

/// hardware.md: lost redundancy weighs less than what affects the service.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Severity {
    Warning,
    Major,
    Critical,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Major => "major",
            Severity::Critical => "critical",
        }
    }

    fn of(health: Health) -> Option<Severity> {
        match health {
            Health::Ok => None,
            Health::Warning => Some(Severity::Warning),
            Health::Critical => Some(Severity::Critical),
        }
    }
}

fn fault(part: &str, kind: &'static str, severity: Severity, text: String) -> Fault {
    Fault { part: part.to_owned(), kind, severity, text: crate::talk::shown(&text) }
}

fn unwell(part: &str, kind: &'static str, status: Status) -> Option<Fault> {
    let severity = Severity::of(status.own().filter(|_| status.is_active())?)?;
    Some(fault(part, kind, severity, format!("{part}: {}", severity.word())))
}

/// Three decimals: more would be noise.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn faults(poll: &Poll) -> Vec<Fault> {
    let mut found: Vec<Fault> = poll.supplies.iter().filter_map(of_supply).collect();
    found.extend(poll.supply_sets.iter().filter_map(|set| of_set(set, "Power Unit")));
    found.extend(poll.readings.iter().filter_map(of_reading));
    found.extend(poll.fan_sets.iter().filter_map(|set| of_set(set, "Fan")));
    found.extend(poll.stores.iter().flat_map(of_store));
    for system in &poll.systems {
        let parts = [("memory", "Memory", system.memory), ("processors", "Processor", system.processors)];
        for (part, kind, health) in parts {
            let severity = health.and_then(Severity::of);
            found.extend(severity.map(|severity| fault(part, kind, severity, format!("{part}: {}", severity.word()))));
        }
    }
    found.extend(poll.managers.iter().filter_map(|one| unwell(&one.name, "Management Subsystem", one.status)));
    // What a rollup complains of is usually among the above; only what is not gets a fault of its own.
    let is_explained = !found.is_empty();
    let systems = poll.systems.iter().map(|one| (&one.name, one.status));
    let chassis = poll.chassis.iter().map(|one| (&one.name, one.status));
    for (name, status) in systems.chain(chassis) {
        let severity = status.worst().filter(|_| !is_explained && status.is_active()).and_then(Severity::of);
        found.extend(severity.map(|severity| fault(name, "System", severity, format!("{name}: {}", severity.word()))));
    }
    found.sort_by_key(|one| std::cmp::Reverse(one.severity));
    found
}

fn of_supply(supply: &Supply) -> Option<Fault> {
    let said = if !supply.status.is_active() { return None } else { supply.offsets() };
    let what = [(1, "failed"), (3, "input lost"), (5, "input out of range"), (2, "predictive failure")];
    let (_, text) = what.iter().find(|(offset, _)| said.contains(offset))?;
    let severity = if *text == "predictive failure" { Severity::Warning } else { Severity::Major };
    Some(fault(&supply.name, "Power Supply", severity, format!("{}: {text}", supply.name)))
}

fn left_of(set: &RedundancySet) -> String {
    match (set.left, set.of) {
        (Some(left), Some(of)) => format!("{left} of {of} left"),
        _ => set.redundancy().map_or("unknown", Redundancy::word).to_owned(),
    }
}

fn of_set(set: &RedundancySet, kind: &'static str) -> Option<Fault> {
    let severity = match set.redundancy()? {
        Redundancy::Full => return None,
        Redundancy::Degraded => Severity::Warning,
        Redundancy::Lost => Severity::Major,
        Redundancy::Insufficient => Severity::Critical,
    };
    Some(fault(&set.name, kind, severity, format!("{}: redundancy {}", set.name, left_of(set))))
}

fn of_reading(reading: &Reading) -> Option<Fault> {
    let severity = Severity::of(reading.health()?)?;
    let text = match reading.value {
        Some(value) => format!("{}: {} {} ({})", reading.name, round(value), reading.unit, severity.word()),
        None => format!("{}: {}", reading.name, severity.word()),
    };
    Some(fault(&reading.name, reading.kind.word(), severity, text))
}

fn of_store(store: &Store) -> Vec<Fault> {
    let mut found: Vec<Fault> =
        store.controllers.iter().filter_map(|one| unwell(&one.name, "Storage Controller", one.status)).collect();
    for one in &store.controllers {
        let severity = one.cache.and_then(Severity::of).map(|_| Severity::Warning);
        found.extend(
            severity.map(|severity| fault(&one.name, "Storage Cache", severity, format!("{}: cache", one.name))),
        );
    }
    for drive in &store.drives {
        found.extend(of_drive(drive));
    }
    for volume in &store.volumes {
        let (severity, text) = match volume.array(&store.drives).word() {
            "Optl" | "Unknown" => continue,
            "OfLn" => (Severity::Critical, "failed"),
            "Dgrd" => (Severity::Major, "degraded, no disk more may fail"),
            "Pdgd" => (Severity::Warning, "degraded"),
            _ => (Severity::Warning, "rebuilding"),
        };
        found.push(fault(&volume.name, "Volume", severity, format!("{}: {text}", volume.name)));
    }
    found.extend(store.pools.iter().filter_map(|pool| unwell(&pool.name, "Storage Pool", pool.status)));
    found
}

fn of_drive(drive: &Drive) -> Option<Fault> {
    let (severity, text) = match drive.state {
        DriveState::Failed => (Severity::Major, "failed"),
        _ if drive.is_predicted => (Severity::Warning, "predicts its failure"),
        DriveState::Rebuilding => (Severity::Warning, "rebuilding"),
        DriveState::Good | DriveState::Spare | DriveState::Unknown => {
            drive.status.own().filter(|health| *health > Health::Ok).map(|_| (Severity::Warning, "not well"))?
        }
    };
    Some(fault(&drive.name, "Drive Slot / Bay", severity, format!("{}: {text}", drive.name)))
}

/// The state of the host's power. A storage array has no system: then its enclosures speak.
fn power(poll: &Poll) -> Option<Power> {
    match poll.systems.as_slice() {
        [one] => one.power,
        [] => {
            let told: Vec<Power> = poll.chassis.iter().filter_map(|one| one.power).collect();
            let any_on = told.contains(&Power::On);
            (!told.is_empty()).then_some(if any_on { Power::On } else { Power::Off })
        }
        // Several hosts behind one service: which of them is meant was not said.
        _ => None,
    }
}

fn supplies(poll: &Poll) -> Value {
    let said = poll.supplies.iter().filter(|one| one.status.is_active()).map(|one| (one, one.offsets()));
    let values = said.filter(|(_, offsets)| !offsets.is_empty()).map(|(supply, offsets)| -> Value {
        let offsets: Vec<Value> = offsets.into_iter().map(|offset| Value::from(u32::from(offset))).collect();
        [("id", Value::from(supply.name.as_str())), ("offsets", offsets.into())].into_iter().collect()
    });
    values.collect::<Vec<_>>().into()
}

fn sets(sets: &[RedundancySet]) -> Value {
    let known = sets.iter().filter_map(|set| Some((set, set.redundancy()?)));
    let values = known.map(|(set, redundancy)| -> Value {
        let mut pairs = vec![("id", Value::from(set.name.as_str())), ("state", redundancy.word().into())];
        pairs.extend(set.left.map(|left| ("left", left.into())));
        pairs.extend(set.of.map(|of| ("of", of.into())));
        pairs.extend(set.needed.map(|needed| ("min", needed.into())));
        pairs.into_iter().collect()
    });
    values.collect::<Vec<_>>().into()
}

/// Values of the signal `raid`.
fn arrays(poll: &Poll) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for store in &poll.stores {
        let spares = store.drives.iter().filter(|drive| drive.state == DriveState::Spare).count();
        for volume in &store.volumes {
            let array = volume.array(&store.drives);
            let failed: Vec<String> = volume.failed(&store.drives).map(|drive| drive.name.clone()).collect();
            let mut pairs = vec![
                ("vd", Value::from(volume.name.as_str())),
                ("level", array.level.word().into()),
                ("state", array.word().into()),
                ("pd_failed", failed.into()),
                ("hotspare", spares.into()),
            ];
            pairs.extend(array.progress_pct.map(|pct| ("progress", pct.into())));
            found.push((array.word().to_owned(), pairs.into_iter().collect()));
        }
    }
    found
}

/// From good to bad.
fn worst_array(arrays: &[(String, Value)]) -> &str {
    const WORDS: [&str; 6] = ["Optl", "Pdgd", "Rbld", "Dgrd", "Unknown", "OfLn"];
    let worst = arrays.iter().max_by_key(|(word, _)| WORDS.iter().position(|known| known == word));
    worst.map_or("none", |(word, _)| word.as_str())
}

/// Values of the signal `smart`.
fn drives(poll: &Poll) -> Value {
    let values = poll.stores.iter().flat_map(|store| &store.drives).map(|drive| -> Value {
        let state = match drive.state {
            DriveState::Failed => "failed",
            _ if drive.is_predicted => "failing",
            _ => "ok",
        };
        let passed = state == "ok";
        let pairs = [("id", Value::from(drive.name.as_str())), ("passed", passed.into()), ("state", state.into())];
        pairs.into_iter().collect()
    });
    values.collect::<Vec<_>>().into()
}

fn names<'a>(poll: &'a Poll, is_meant: impl Fn(&Drive) -> bool + 'a) -> Value {
    let drives = poll.stores.iter().flat_map(|store| &store.drives);
    drives.filter(|drive| is_meant(drive)).map(|drive| drive.name.clone()).collect::<Vec<_>>().into()
}

/// The worst weight of some kinds of faults: `ok` if there is none.
fn worst_of(faults: &[Fault], kinds: &[&str]) -> Value {
    let worst = faults.iter().filter(|one| kinds.contains(&one.kind)).map(|one| one.severity).max();
    worst.map_or("ok", Severity::word).into()
}

/// The facts of a poll. A part that was not read is left out, never reported as good.
fn facts(poll: &Poll, faults: &[Fault]) -> BTreeMap<String, Value> {
    let mut facts = BTreeMap::new();
    let mut put = |name: &str, value: Value| {
        facts.insert(name.to_owned(), value);
    };
    put("bmc", "ok".into());
    put("power", power(poll).map_or("unknown", |power| if power == Power::On { "on" } else { "off" }).into());
    put("systems", poll.systems.len().into());
    put("complete", poll.unread.is_empty().into());
    put("unread", poll.unread.clone().into());
    put("redfish", poll.root.version.as_str().into());
    put("vendor", poll.root.vendor.word().into());
    if let Some(system) = poll.systems.first() {
        put("model", system.model.as_str().into());
        put("serial", system.serial.as_str().into());
    }
    if let Some(manager) = poll.managers.first() {
        put("firmware", manager.firmware.as_str().into());
    }
    let rollup = poll.systems.iter().map(|one| one.status).chain(poll.chassis.iter().map(|one| one.status));
    if let Some(health) = rollup.filter_map(Status::worst).max() {
        put("health", health.word().into());
    }
    if poll.is_power_read {
        put("psu", supplies(poll));
        put("psu_redundancy", sets(&poll.supply_sets));
    }
    if poll.is_thermal_read {
        let has = |kind: Kind| poll.readings.iter().any(|one| one.kind == kind && one.health().is_some());
        if has(Kind::Fan) {
            put("fan_worst", worst_of(faults, &["Fan"]));
            put("fan_redundancy", sets(&poll.fan_sets));
        }
        if has(Kind::Temperature) {
            put("temp_worst", worst_of(faults, &["Temperature"]));
        }
    }
    if poll.systems.iter().any(|one| one.memory.is_some()) {
        put("mem_worst", worst_of(faults, &["Memory"]));
    }
    put("faults", faults.iter().map(fault_value).collect::<Vec<_>>().into());
    // Good is only known when everything was read; bad is known at once.
    if poll.unread.is_empty() || !faults.is_empty() {
        put("worst", faults.iter().map(|one| one.severity).max().map_or("ok", Severity::word).into());
    }
    facts.extend(storage_facts(poll, faults));
    facts.extend(log_facts(poll));
    facts
}

fn storage_facts(poll: &Poll, faults: &[Fault]) -> BTreeMap<String, Value> {
    let mut facts = BTreeMap::new();
    let is_bad = faults.iter().any(|one| ["Volume", "Drive Slot / Bay"].contains(&one.kind));
    if !poll.is_storage_read && !is_bad {
        return facts;
    }
    let arrays = arrays(poll);
    let mut put = |name: &str, value: Value| {
        facts.insert(name.to_owned(), value);
    };
    put("raid_state", worst_array(&arrays).into());
    put("raid", arrays.into_iter().map(|(_, value)| value).collect::<Vec<_>>().into());
    put("smart", drives(poll));
    put("drives", poll.stores.iter().map(|store| store.drives.len()).sum::<usize>().into());
    put("drives_failed", names(poll, |drive| drive.state == DriveState::Failed));
    put("drives_predicted", names(poll, |drive| drive.is_predicted));
    put(
        "hotspares",
        poll.stores.iter().flat_map(|one| &one.drives).filter(|one| one.state == DriveState::Spare).count().into(),
    );
    let left =
        poll.stores.iter().flat_map(|store| &store.drives).filter_map(|drive| drive.life_left_pct).reduce(f64::min);
    put("life_left_pct_min", left.unwrap_or(100.0).into());
    put("storage_worst", worst_of(faults, &["Storage Controller", "Storage Cache", "Storage Pool"]));
    let used = poll.stores.iter().flat_map(|store| &store.pools).filter_map(|pool| pool.used_pct).reduce(f64::max);
    put("pool_used_pct_max", round(used.unwrap_or(0.0)).into());
    facts
}

fn log_facts(poll: &Poll) -> BTreeMap<String, Value> {
    let mut facts = BTreeMap::new();
    let Some(log) = &poll.log else { return facts };
    let new = log.new.iter().map(|entry| -> Value {
        let severity = entry.severity.map_or("ok", Health::word);
        [("text", Value::from(entry.message.as_str())), ("severity", severity.into())].into_iter().collect()
    });
    facts.insert("sel_new".to_owned(), new.collect::<Vec<_>>().into());
    facts.insert("sel_entries".to_owned(), log.entries_total.into());
    if let Some(entry) = &log.newest_serious {
        facts.insert("sel".to_owned(), entry.message.as_str().into());
        facts.insert("sel_at".to_owned(), entry.created.as_str().into());
    }
    facts
}

fn fault_value(fault: &Fault) -> Value {
    [
        ("sensor", Value::from(fault.part.as_str())),
        ("type", fault.kind.into()),
        ("severity", fault.severity.word().into()),
        ("text", fault.text.as_str().into()),
    ]
    .into_iter()
    .collect()
}

/// One measurement for each reading with a number. Thresholds the controller compares against become ranges.
fn measurements(poll: &Poll) -> Vec<Measurement> {
    let range = |low: Option<f64>, high: Option<f64>| -> Arc<str> {
        match (low, high) {
            (None, None) => "".into(),
            (low, high) => {
                let low = low.map_or("~".to_owned(), |low| round(low).to_string());
                let high = high.map_or(String::new(), |high| round(high).to_string());
                format!("{low}:{high}").into()
            }
        }
    };
    let readings = poll.readings.iter().filter(|one| one.status.is_active());
    let readings = readings.filter_map(|one| one.value.map(|value| (one, value))).map(|(one, value)| Measurement {
        label: one.name.as_str().into(),
        value: Some(round(value)),
        unit: one.unit.as_str().into(),
        warn: range(one.limits.low_warn, one.limits.high_warn),
        crit: range(one.limits.low_crit, one.limits.high_crit),
        min: None,
        max: None,
    });
    let plain = |label: String, value: f64, unit: &str| Measurement::new(&label, round(value), unit);
    let outputs =
        poll.supplies.iter().filter_map(|one| Some(plain(format!("{} output", one.name), one.output_watts?, "W")));
    let pools = poll.stores.iter().flat_map(|store| &store.pools);
    let pools = pools.filter_map(|pool| Some(plain(format!("{} used", pool.name), pool.used_pct?, "%")));
    let watts = poll.watts.map(|watts| plain("power".to_owned(), watts, "W"));
    watts.into_iter().chain(readings).chain(outputs).chain(pools).take(MEASUREMENTS_MAX).collect()
}

/// The whole observation of a poll.
pub fn observation(poll: &Poll) -> Observation {
    let faults = faults(poll);
    let power = power(poll).map_or("unknown", |power| if power == Power::On { "on" } else { "off" });
    let drives: usize = poll.stores.iter().map(|store| store.drives.len()).sum();
    let mut text = format!("power {power}, {} readings, {drives} drives", poll.readings.len());
    if poll.systems.len() > 1 {
        text.push_str(&format!(", {} systems (name one with `system`)", poll.systems.len()));
    }
    if poll.systems.iter().any(|one| one.status.state == Some(State::Updating)) {
        text.push_str(", starting or updating");
    }
    match faults.len() {
        0 => {}
        1 => text.push_str(", 1 fault"),
        count => text.push_str(&format!(", {count} faults")),
    }
    for fault in faults.iter().take(FAULTS_IN_TEXT) {
        text.push_str("; ");
        text.push_str(&fault.text);
    }
    if let Some(why) = poll.unread.first() {
        text.push_str(&format!(" (not everything was read: {})", crate::talk::shown(why)));
    }
    let mut observation = Observation::observed(text);
    observation.long_text = faults.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join("\n").into();
    observation.facts = facts(poll, &faults).into_iter().collect();
    observation.measurements = measurements(poll);
    observation
}

/// A controller that does not answer is an observation, not a fault of the probe.
pub fn unreachable(why: &str) -> Observation {
    let text = format!("BMC does not answer Redfish: {}", crate::talk::shown(why));
    Observation::observed(text).fact("bmc", "unreachable").fact("power", "unknown")
}
