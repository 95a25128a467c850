//! `storcli64 /call show J` and its sisters perccli, JSON (Broadcom StorCLI reference manual).

use serde_json::Value;

use super::{Array, ArrayState, Battery, Controller, Disk, DiskState, Level};
use crate::tool_json::{self, JsonError};

/// Reads `/call show J`.
///
/// # Errors
/// It is no JSON, or the tool says that the command failed.
pub fn parse(text: &str) -> Result<Vec<Controller>, JsonError> {
    let document: Value = tool_json::document(text)?;
    let all = list(&document, "Controllers");
    let mut found = Vec::new();
    for one in all {
        let status = one.get("Command Status").unwrap_or(&Value::Null);
        let data = one.get("Response Data").unwrap_or(&Value::Null);
        if word(status, "Status") == "Failure" && !data.is_object() {
            let why = word(status, "Description");
            if why.to_lowercase().contains("no controller") || why.to_lowercase().contains("controller 0 not found") {
                continue;
            }
            return Err(JsonError::Shape(format!("the tool says: {why}")));
        }
        found.push(controller(status, data));
    }
    Ok(found)
}

/// Reads `/call/eall/sall show rebuild J` into what [`parse`] gave.
pub fn add_rebuilds(text: &str, controllers: &mut [Controller]) {
    let Ok(document) = tool_json::document::<Value>(text) else { return };
    for row in list(&document, "Controllers").iter().flat_map(|one| list(one, "Response Data")) {
        let Some(pct) = number(row, "Progress%") else { continue };
        let place = word(row, "Drive-ID");
        let mut parts = place.trim_start_matches('/').split('/');
        let (Some(c), Some(e)) = (parts.next(), parts.next()) else { continue };
        let id = match parts.next() {
            Some(s) => format!("{}:{}", e.trim_start_matches('e'), s.trim_start_matches('s')),
            None => format!(":{}", e.trim_start_matches('s')),
        };
        for one in controllers.iter_mut().filter(|one| one.id == c.trim_start_matches('c')) {
            for disk in one.disks.iter_mut().filter(|disk| disk.id.trim() == id && disk.state == DiskState::Rebuilding)
            {
                disk.progress_pct = Some(pct.clamp(0.0, 100.0));
            }
            one.settle();
            for array in &mut one.arrays {
                let own =
                    one.disks.iter().filter(|disk| disk.group == array.group).filter_map(|disk| disk.progress_pct);
                array.progress_pct = own.reduce(f64::min).or(array.progress_pct);
            }
        }
    }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn word(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn number(value: &Value, key: &str) -> Option<f64> {
    match value.get(key)? {
        Value::String(text) => tool_json::number(text),
        value => value.as_f64().filter(|number| number.is_finite()),
    }
}

fn controller(status: &Value, data: &Value) -> Controller {
    let mut one = Controller {
        id: word(status, "Controller"),
        model: word(data, "Product Name"),
        complaint: complaint(data),
        arrays: list(data, "VD LIST").iter().map(array).collect(),
        disks: list(data, "PD LIST").iter().map(disk).collect(),
        battery: battery(data),
    };
    if one.model.is_empty() {
        one.model = word(data.get("Basics").unwrap_or(&Value::Null), "Model");
    }
    one.settle();
    one
}

fn complaint(data: &Value) -> Option<String> {
    let status = data.get("Status")?;
    let state = word(status, "Controller Status");
    if !state.is_empty() && !matches!(state.as_str(), "Optimal" | "OK" | "Needs Attention") {
        return Some(format!("status {state}"));
    }
    let errors = number(status, "Memory Uncorrectable Errors").filter(|count| *count > 0.0);
    errors.map(|count| format!("{count} uncorrectable memory errors"))
}

fn array(row: &Value) -> Array {
    let raw = word(row, "State");
    let state = match raw.as_str() {
        "Optl" => ArrayState::Optimal,
        "Dgrd" | "Pdgd" => ArrayState::Degraded,
        "Rec" => ArrayState::Rebuilding,
        "OfLn" | "Failed" => ArrayState::Failed,
        _ => ArrayState::Unknown,
    };
    let place = word(row, "DG/VD");
    let (group, id) = place.split_once('/').unwrap_or(("", &place));
    let level = Level::parse(&word(row, "TYPE"));
    // Partially degraded is what RAID 6 is with one disk gone, and a RAID 60 that can still bear one.
    let lost = (raw == "Pdgd").then_some(1);
    Array { id: id.to_owned(), level, state, raw_state: raw, lost, group: group.to_owned(), ..Array::default() }
}

fn disk(row: &Value) -> Disk {
    let raw = word(row, "State");
    let group = word(row, "DG");
    let is_foreign = group == "F";
    let state = match raw.as_str() {
        "Rbld" | "Cpybck" | "CBShld" => DiskState::Rebuilding,
        "Offln" | "UBad" | "UBUnsp" | "Failed" => DiskState::Failed,
        "Msng" => DiskState::Missing,
        _ if is_foreign => DiskState::Foreign,
        "Onln" | "CFShld" | "DShld" => DiskState::Online,
        "GHS" | "DHS" | "HSPShld" => DiskState::Spare,
        "UGood" | "JBOD" | "UGShld" | "UGUnsp" => DiskState::Unused,
        _ => DiskState::Unknown,
    };
    let group = if group == "-" || is_foreign { String::new() } else { group };
    Disk { id: word(row, "EID:Slt"), state, raw_state: raw, group, progress_pct: None }
}

fn battery(data: &Value) -> Option<Battery> {
    let row = ["Cachevault_Info", "BBU_Info"].iter().find_map(|key| list(data, key).first())?;
    let state = word(row, "State");
    let well = ["optimal", "optl", "opt", "ok", "charging", "learning"];
    let is_well = well.iter().any(|word| state.to_lowercase().starts_with(word));
    Some(Battery { state, is_well })
}
