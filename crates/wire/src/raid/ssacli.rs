//! `ssacli ctrl all show config` and `… show status`, also of hpssacli and hpacucli: text.

use super::{Array, ArrayState, Battery, Controller, Disk, DiskState, Level, pair, percent_in};

/// Reads `ctrl all show config`.
pub fn parse_config(text: &str) -> Vec<Controller> {
    let mut found: Vec<Controller> = Vec::new();
    let mut group = String::new();
    for line in text.lines() {
        let words = line.trim();
        if words.is_empty() {
            continue;
        }
        if !line.starts_with([' ', '\t'])
            && let Some(controller) = head(words)
        {
            found.push(controller);
            group.clear();
            continue;
        }
        let Some(controller) = found.last_mut() else { continue };
        let lower = words.to_lowercase();
        if lower.starts_with("array ") {
            let letter = words.split_whitespace().nth(1).unwrap_or_default();
            group = letter.trim_end_matches(',').to_owned();
        } else if lower.starts_with("unassigned") || lower.starts_with("hba drives") {
            group.clear();
        } else if lower.starts_with("logicaldrive ") {
            controller.arrays.extend(array(words, &group));
        } else if lower.starts_with("physicaldrive ") {
            controller.disks.extend(disk(words, &group));
        }
    }
    found.iter_mut().for_each(Controller::settle);
    found
}

/// Reads `ctrl all show status` into what [`parse_config`] gave.
pub fn add_status(text: &str, controllers: &mut [Controller]) {
    let mut at: Option<usize> = None;
    for line in text.lines() {
        if !line.starts_with([' ', '\t'])
            && let Some(named) = head(line.trim())
        {
            at = controllers.iter().position(|one| one.id == named.id);
            continue;
        }
        let (Some(one), Some((key, value))) = (at.and_then(|at| controllers.get_mut(at)), pair(line)) else { continue };
        let is_ok = value == "OK";
        match key {
            "Controller Status" | "Cache Status" if !is_ok && value != "Not Configured" => {
                one.complaint.get_or_insert_with(|| format!("{key} {value}"));
            }
            "Battery/Capacitor Status" | "Battery Status" | "Capacitor Status" => {
                let is_well = is_ok || value.starts_with("Recharging");
                one.battery = Some(Battery { state: value.to_owned(), is_well });
            }
            _ => {}
        }
    }
}

/// `Smart Array P440ar in Slot 0 (Embedded)   (sn: PDNLH0)`
fn head(line: &str) -> Option<Controller> {
    let (model, rest) = line.split_once(" in Slot ")?;
    let slot = rest.split_whitespace().next()?;
    Some(Controller { id: slot.to_owned(), model: model.trim().to_owned(), ..Controller::default() })
}

/// The name before and the fields inside of the brackets.
fn fields(line: &str) -> Option<(&str, Vec<&str>)> {
    let (name, rest) = line.split_once('(')?;
    let inside = rest.rsplit_once(')').map_or(rest, |(inside, _)| inside);
    let name = name.split_whitespace().nth(1)?;
    Some((name, inside.split(',').map(str::trim).collect()))
}

/// `logicaldrive 2 (558.7 GB, RAID 1+0, Recovering, 26% complete)`
fn array(line: &str, group: &str) -> Option<Array> {
    let (id, fields) = fields(line)?;
    let level = fields.iter().position(|field| field.to_uppercase().starts_with("RAID"));
    let raw = level.map_or(&fields[..], |at| fields.get(at + 1..).unwrap_or_default()).join(", ");
    let lower = raw.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let state = if lower == "ok" || any(&["expanding", "initializ", "queued for expansion", "transforming", "encrypt"])
    {
        ArrayState::Optimal
    } else if any(&["recovering", "rebuilding"]) {
        ArrayState::Rebuilding
    } else if any(&["interim recovery", "ready for rebuild", "ready for recovery"]) {
        ArrayState::Degraded
    } else if any(&["failed", "wrong", "disabled", "not available", "overheat", "not yet available", "unavailable"]) {
        ArrayState::Failed
    } else {
        ArrayState::Unknown
    };
    Some(Array {
        id: id.to_owned(),
        level: level.and_then(|at| fields.get(at)).map_or(Level::Other, |field| Level::parse(field)),
        state,
        progress_pct: (state == ArrayState::Rebuilding).then(|| percent_in(&raw)).flatten(),
        raw_state: raw,
        group: group.to_owned(),
        ..Array::default()
    })
}

/// `physicaldrive 1I:3:3 (port 1I:box 3:bay 3, SAS, 300 GB, Failed, active spare)`
fn disk(line: &str, group: &str) -> Option<Disk> {
    let (id, fields) = fields(line)?;
    // Behind the size; the size itself is `??? GB` for a disk that is gone.
    let size = fields.iter().rposition(|field| ["MB", "GB", "TB", "PB"].iter().any(|unit| field.ends_with(unit)));
    let rest = size.map_or(&fields[..], |at| fields.get(at + 1..).unwrap_or_default());
    let raw = rest.join(", ");
    let lower = raw.to_lowercase();
    let state = if lower.contains("predictive failure") {
        DiskState::Predicted
    } else if lower.contains("failed") {
        DiskState::Failed
    } else if lower.contains("missing") {
        DiskState::Missing
    } else if lower.contains("rebuilding") || lower.contains("active spare") {
        // A spare that took over works for its array until the disk is replaced.
        if lower.contains("active spare") { DiskState::Online } else { DiskState::Rebuilding }
    } else if lower.contains("spare") {
        DiskState::Spare
    } else if lower.starts_with("ok") {
        if group.is_empty() { DiskState::Unused } else { DiskState::Online }
    } else {
        DiskState::Unknown
    };
    Some(Disk { id: id.to_owned(), state, raw_state: raw, group: group.to_owned(), progress_pct: None })
}
