//! Lost redundancy of one host: power supplies, disks, links, paths, fans, sensors (domain classes H01 to H36).
//!
//! Lost redundancy is always a verdict and never "service down"; severity follows what is left.

use super::draft::{Board, Draft, target};
use super::signal::Signal;
use super::verdict::{Class, Severity, TargetKind, Visibility};
use super::world::World;
use crate::model::Value;

/// One reading that reports a loss.
pub(super) struct Fault<'a> {
    pub class: Class,
    pub subtype: &'static str,
    pub severity: Severity,
    pub visibility: Visibility,
    pub runbook: &'static str,
    pub redundancy: Option<(u32, u32)>,
    pub signal: &'a Signal,
    /// It comes and goes.
    pub flaps: bool,
}

impl<'a> Fault<'a> {
    fn lost(subtype: &'static str, severity: Severity, runbook: &'static str, signal: &'a Signal) -> Self {
        Fault {
            class: Class::RedundancyLost,
            subtype,
            severity,
            visibility: Visibility::Invisible,
            runbook,
            redundancy: None,
            signal,
            flaps: false,
        }
    }

    fn at_risk(subtype: &'static str, severity: Severity, runbook: &'static str, signal: &'a Signal) -> Self {
        Fault { class: Class::ResourceAtRisk, ..Fault::lost(subtype, severity, runbook, signal) }
    }

    fn left(mut self, left: f64, of: f64) -> Self {
        if of > 0.0 && left >= 0.0 && of < f64::from(u32::MAX) {
            self.redundancy = Some((left as u32, of as u32));
        }
        self
    }
}

fn number(signal: &Signal, key: &str) -> Option<f64> {
    signal.value.get(key).and_then(Value::number).filter(|number| number.is_finite())
}

fn has_offset(signal: &Signal, offsets: &[f64]) -> bool {
    let list = signal.value.get("offsets").and_then(Value::list).unwrap_or_default();
    list.iter().filter_map(Value::number).any(|offset| offsets.contains(&offset))
}

/// `level`, `state` or the bare text of a sensor.
fn word(signal: &Signal) -> &str {
    let member = |key: &str| signal.value.get(key).and_then(Value::text);
    signal.value.text().or_else(|| member("level")).or_else(|| member("state")).unwrap_or_default()
}

fn is_word(signal: &Signal, words: &[&str]) -> bool {
    words.iter().any(|known| word(signal).eq_ignore_ascii_case(known))
}

/// All faults of a host; the caller decides which a shared cause explains.
pub(super) fn faults<'a>(world: &'a World, index: usize) -> Vec<Fault<'a>> {
    let host = &world.hosts[index];
    let mut faults = Vec::new();
    for signal in host.worst.as_deref().unwrap_or(&host.facts).iter() {
        let fault = match &*signal.sig {
            "bmc" if signal.value.text() == Some("unreachable") && !host.life.signs.is_empty() => {
                Some(Fault::lost("bmc_unreachable", Severity::Warning, "RB-H13", signal))
            }
            _ => reading(signal),
        };
        faults.extend(fault);
    }
    let supplies = host.facts.all("psu").count();
    let failed = faults.iter().filter(|fault| &*fault.signal.sig == "psu").count();
    if supplies >= 2 {
        for fault in faults.iter_mut().filter(|fault| &*fault.signal.sig == "psu") {
            fault.redundancy = Some(((supplies - failed) as u32, supplies as u32));
        }
    }
    faults
}

/// What one record by itself says is lost.
fn reading(signal: &Signal) -> Option<Fault<'_>> {
    match &*signal.sig {
        "psu" => psu(signal),
        "raid" => raid(signal),
        "bond" => bond(signal),
        "path" => path(signal),
        "fan" => fan(signal),
        "temp" => temperature(signal),
        "mem" => memory(signal),
        "smart" => smart(signal),
        _ => None,
    }
}

/// Whether a hardware record shows anything amiss; `None` for what is no such record.
pub(super) fn is_amiss(signal: &Signal) -> Option<bool> {
    let says = |key: &str, word: &str| signal.value.get(key).and_then(Value::text) == Some(word);
    Some(match &*signal.sig {
        "psu" | "raid" | "bond" | "path" | "fan" | "temp" | "mem" | "smart" => reading(signal).is_some(),
        "link" => signal.value.map()?.values().any(|port| port.text() == Some("down")),
        "switch" => !says("state", "up"),
        // CISCO-STACKWISE-MIB: 4 is ready. RFC 1628: 3 is normal.
        "stack" => number(signal, "cswSwitchState") != Some(4.0),
        "ups" => number(signal, "upsOutputSource") != Some(3.0),
        "drbd" => !(says("cs", "Connected") && says("ds", "UpToDate/UpToDate")),
        _ => return None,
    })
}

/// IPMI sensor type 08h: 1 failed, 2 predictive, 3 and 4 input lost, 5 out of range, 6 configuration.
fn psu(signal: &Signal) -> Option<Fault<'_>> {
    if has_offset(signal, &[1.0]) || is_word(signal, &["failed", "crit"]) {
        Some(Fault::lost("psu_failed", Severity::Major, "RB-H01", signal))
    } else if has_offset(signal, &[3.0, 4.0]) || is_word(signal, &["input_lost"]) {
        Some(Fault::lost("psu_input", Severity::Major, "RB-H02", signal))
    } else if has_offset(signal, &[5.0]) {
        Some(Fault::lost("psu_input", Severity::Warning, "RB-H02", signal))
    } else if has_offset(signal, &[2.0, 6.0]) {
        Some(Fault::lost("psu_failed", Severity::Warning, "RB-H01", signal))
    } else {
        None
    }
}

fn raid(signal: &Signal) -> Option<Fault<'_>> {
    let text = |key: &str| signal.value.get(key).and_then(Value::text).unwrap_or_default();
    let state = text("state");
    if is_one_of(state, &["OfLn", "Failed", "inactive"]) {
        return Some(Fault {
            class: Class::ResourceUnavailable,
            visibility: Visibility::Visible,
            ..Fault::lost("disk", Severity::Critical, "RB-H18", signal)
        });
    }
    let rebuilding = signal.value.get("rebuilding").and_then(Value::list).is_some_and(|list| !list.is_empty());
    if rebuilding || is_one_of(state, &["Rbld", "Rec", "Recovering", "Rebuilding"]) {
        return Some(Fault::lost("raid_rebuilding", Severity::Warning, "RB-H16", signal));
    }
    if is_one_of(state, &["Pdgd"]) {
        return Some(Fault::lost("raid_degraded", Severity::Warning, "RB-H17", signal));
    }
    if is_one_of(state, &["Dgrd", "degraded"]) {
        let failed = signal.value.get("pd_failed").and_then(Value::list).map_or(0, <[Value]>::len);
        let spare_left = text("level").eq_ignore_ascii_case("RAID6") && failed == 1;
        let severity = if spare_left { Severity::Warning } else { Severity::Major };
        return Some(Fault::lost("raid_degraded", severity, "RB-H15", signal));
    }
    let battery = [text("battery"), text("bbu")].into_iter().find(|word| !word.is_empty())?;
    let well = is_one_of(battery, &["ok", "Opt", "Optimal", "Learning", "Recharging"]);
    (!well).then(|| Fault::lost("raid_battery", Severity::Warning, "RB-H20", signal))
}

fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|candidate| word.eq_ignore_ascii_case(candidate))
}

fn bond(signal: &Signal) -> Option<Fault<'_>> {
    let (slaves, up) = (number(signal, "slaves")?, number(signal, "up")?);
    if up <= 0.0 && slaves > 0.0 {
        let fault = Fault {
            class: Class::Network,
            visibility: Visibility::Visible,
            ..Fault::lost("host_links", Severity::Critical, "RB-H25", signal)
        };
        return Some(fault.left(0.0, slaves));
    }
    if up < slaves {
        let severity = if up <= 1.0 { Severity::Major } else { Severity::Warning };
        return Some(Fault::lost("bond_slave", severity, "RB-H24", signal).left(up, slaves));
    }
    let ports = number(signal, "ports")?;
    if ports >= slaves {
        return None;
    }
    let mut ids: Vec<String> = signal
        .value
        .get("aggregators")
        .and_then(Value::list)
        .unwrap_or_default()
        .iter()
        .map(Value::to_string)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    // Slaves that hear nobody never share an aggregator: to name that would be to name the effect.
    let nobody = signal.value.get("partner").and_then(Value::text) == Some("00:00:00:00:00:00");
    let fault = if ids.len() > 1 && !nobody {
        Fault::lost("lacp_mismatch", Severity::Major, "RB-H26", signal)
    } else {
        Fault::lost("lacp_partner", Severity::Major, "RB-H27", signal)
    };
    Some(fault.left(ports, slaves))
}

fn path(signal: &Signal) -> Option<Fault<'_>> {
    let (active, total) = (number(signal, "active")?, number(signal, "total")?);
    if active >= total {
        return None;
    }
    if active <= 0.0 {
        let fault = Fault {
            class: Class::ResourceUnavailable,
            visibility: Visibility::Visible,
            ..Fault::lost("san_path", Severity::Critical, "RB-H36", signal)
        };
        return Some(fault.left(0.0, total));
    }
    let controllers = number(signal, "controllers_active");
    // With three left of four a controller is gone as well, and the array has failed over.
    let some_gone = controllers.zip(number(signal, "controllers_total")).is_some_and(|(left, of)| left < of);
    let fault = if controllers == Some(1.0) {
        Fault::lost("path", Severity::Major, "RB-H35", signal)
    } else if some_gone {
        Fault::lost("path", Severity::Warning, "RB-H35", signal)
    } else {
        let severity = if active <= 1.0 { Severity::Major } else { Severity::Warning };
        Fault::lost("path", severity, "RB-H34", signal)
    };
    Some(fault.left(active, total))
}

/// Sensor type 04h, threshold offsets 2 and 4 (lower critical, non-recoverable); generic redundancy 1 and 5.
/// Offset 0 stays out: it is "lower non-critical" of a threshold sensor and "fully redundant" of the other.
fn fan(signal: &Signal) -> Option<Fault<'_>> {
    let lost = has_offset(signal, &[1.0, 5.0]);
    let slow = has_offset(signal, &[2.0, 4.0])
        || is_word(signal, &["warn", "warning", "crit", "critical", "failed", "lcr", "lnr"]);
    (lost || slow).then(|| {
        let severity = if lost { Severity::Major } else { Severity::Warning };
        Fault::lost("fan", severity, "RB-H08", signal)
    })
}

/// Sensor type 01h: 7 upper non-critical, 9 upper critical, 11 upper non-recoverable.
fn temperature(signal: &Signal) -> Option<Fault<'_>> {
    if has_offset(signal, &[9.0, 11.0]) || is_word(signal, &["crit", "critical", "ucr", "unr"]) {
        Some(Fault::at_risk("temperature", Severity::Critical, "RB-H09", signal))
    } else if has_offset(signal, &[7.0]) || is_word(signal, &["warn", "warning", "major", "unc"]) {
        Some(Fault::at_risk("temperature", Severity::Warning, "RB-H09", signal))
    } else {
        None
    }
}

/// Sensor type 0Ch: 0 correctable, 1 uncorrectable, 5 correctable limit reached.
fn memory(signal: &Signal) -> Option<Fault<'_>> {
    if has_offset(signal, &[1.0]) || is_word(signal, &["crit", "critical", "uncorrectable"]) {
        Some(Fault::at_risk("memory_ecc", Severity::Critical, "RB-H11", signal))
    } else if has_offset(signal, &[5.0]) || is_word(signal, &["major"]) {
        Some(Fault::at_risk("memory_ecc", Severity::Major, "RB-H10", signal))
    } else if has_offset(signal, &[0.0]) || is_word(signal, &["warn", "warning", "correctable"]) {
        Some(Fault::at_risk("memory_ecc", Severity::Warning, "RB-H10", signal))
    } else {
        None
    }
}

fn smart(signal: &Signal) -> Option<Fault<'_>> {
    let failed = signal.value.get("passed").and_then(Value::bool) == Some(false);
    (failed || is_word(signal, &["warn", "crit", "failing", "failed"]))
        .then(|| Fault::at_risk("smart", Severity::Warning, "RB-H21", signal))
}

/// Planned or not, these endanger the machine or its data.
pub(super) fn pages_in_maintenance(fault: &Fault<'_>) -> bool {
    let non_recoverable = has_offset(fault.signal, &[11.0]) || is_word(fault.signal, &["unr"]);
    (fault.subtype == "disk" && fault.class == Class::ResourceUnavailable)
        || (fault.subtype == "temperature" && non_recoverable)
}

/// One verdict per host and kind of loss.
pub(super) fn raise<'a>(world: &'a World, board: &mut Board<'a>, index: usize, faults: Vec<Fault<'a>>) {
    let mut open = faults;
    open.sort_by(|a, b| (a.class, a.subtype).cmp(&(b.class, b.subtype)));
    let name = &world.hosts[index].name;
    let mut last: Option<usize> = None;
    for fault in open {
        if let Some(id) = last
            && (board.drafts[id].class, board.drafts[id].subtype)
                == (if fault.flaps { Class::Flapping } else { fault.class }, fault.subtype)
        {
            let draft = &mut board.drafts[id];
            draft.support.push(fault.signal);
            draft.redundancy = draft.redundancy.or(fault.redundancy);
            if draft.weight.is_none_or(|(severity, _)| severity < fault.severity) {
                draft.weight = Some((fault.severity, fault.visibility));
                draft.runbook = Some(fault.runbook.into());
            }
            continue;
        }
        let class = if fault.flaps { Class::Flapping } else { fault.class };
        let mut draft = Draft::new(target(TargetKind::Hardware, name), class, fault.subtype, 0.93)
            .weighing(fault.severity, fault.visibility)
            .with_runbook(fault.runbook)
            .backed_by([fault.signal]);
        if fault.class == Class::RedundancyLost {
            draft = draft.not(Class::ServerDown, "the host still runs on what is left");
        }
        draft.redundancy = fault.redundancy;
        last = Some(board.add(draft));
    }
}
