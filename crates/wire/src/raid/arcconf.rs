//! `arcconf getconfig N AL` of Adaptec and Microchip controllers: text.

use super::{Array, ArrayState, Battery, Controller, Disk, DiskState, Level, number_after, pair, percent_in};

/// Where a line stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Controller,
    Battery,
    Array,
    Disk,
    Other,
}

/// Number of controllers, of `arcconf list` or `getversion`: `Controllers found: 1`.
pub fn controllers(text: &str) -> Option<u32> {
    text.lines().find_map(|line| number_after(line, "Controllers found")).and_then(|digits| digits.parse().ok())
}

/// Reads `getconfig N AL`, and `getstatus N` for what goes on.
pub fn parse(id: &str, config: &str, status: &str) -> Controller {
    let mut one = Controller { id: id.to_owned(), ..Controller::default() };
    let mut part = Part::Other;
    for line in config.lines().map(str::trim) {
        part = next_part(part, line, &mut one);
        let Some((key, value)) = pair(line) else { continue };
        match part {
            Part::Controller => read_controller(key, value, &mut one),
            Part::Battery => read_battery(key, value, &mut one),
            Part::Array => read_array(key, value, &mut one),
            Part::Disk => read_disk(key, value, &mut one),
            Part::Other => {}
        }
    }
    read_status(status, &mut one);
    one.settle();
    one
}

fn next_part(part: Part, line: &str, one: &mut Controller) -> Part {
    let lower = line.to_lowercase();
    if lower.starts_with("logical device number") || lower.starts_with("logical drive number") {
        let id = number_after(&lower, "number").unwrap_or_default();
        one.arrays.push(Array { id: id.clone(), group: id, ..Array::default() });
        return Part::Array;
    }
    if let Some(number) = lower.strip_prefix("device #") {
        let (state, raw_state) = (DiskState::Unknown, String::new());
        one.disks.push(Disk {
            id: number.trim().to_owned(),
            state,
            raw_state,
            group: String::new(),
            progress_pct: None,
        });
        return Part::Disk;
    }
    match lower.as_str() {
        "controller information" => Part::Controller,
        // Enclosures and expanders have states of their own.
        _ if lower.starts_with("device is a") && !lower.contains("hard drive") && !lower.contains("ssd") => {
            one.disks.pop();
            Part::Other
        }
        _ if lower.contains("battery information") || lower.contains("zmm") && !lower.contains(':') => Part::Battery,
        _ if lower.contains("cache backup unit information") || lower.contains("green backup") => Part::Battery,
        _ if lower.ends_with("version information") || lower.ends_with("settings") && !lower.contains(':') => {
            Part::Other
        }
        "logical device information" | "logical drive information" | "physical device information" => Part::Other,
        _ if lower.ends_with("information") && !lower.contains(':') && part != Part::Array && part != Part::Disk => {
            Part::Other
        }
        _ => part,
    }
}

fn read_controller(key: &str, value: &str, one: &mut Controller) {
    match key {
        "Controller Model" => one.model = value.to_owned(),
        "Controller Status" if !matches!(value, "Optimal" | "Okay" | "OK") => {
            one.complaint = Some(format!("{key} {value}"));
        }
        _ => {}
    }
}

fn read_battery(key: &str, value: &str, one: &mut Controller) {
    if !matches!(key, "Status" | "Overall Backup Unit Status" | "Backup Unit Status" | "Battery Status") {
        return;
    }
    let lower = value.to_lowercase();
    if lower.starts_with("not installed") || lower.starts_with("not present") {
        return;
    }
    let well = ["optimal", "ready", "ok", "charging", "zmm optimal", "normal"];
    one.battery = Some(Battery { state: value.to_owned(), is_well: well.iter().any(|word| lower.starts_with(word)) });
}

fn read_array(key: &str, value: &str, one: &mut Controller) {
    let Some(array) = one.arrays.last_mut() else { return };
    match key.to_lowercase().as_str() {
        "raid level" => array.level = Level::parse(value.split_whitespace().next().unwrap_or_default()),
        "status of logical device" | "status of logical drive" => {
            array.raw_state = value.to_owned();
            let lower = value.to_lowercase();
            (array.state, array.lost) = match lower.as_str() {
                "optimal" | "impacted" => (ArrayState::Optimal, None),
                _ if lower.contains("fault tolerant") => (ArrayState::Degraded, Some(1)),
                _ if lower.contains("rebuilding") => (ArrayState::Rebuilding, None),
                _ if lower.contains("degraded") || lower.contains("suboptimal") => (ArrayState::Degraded, None),
                _ if lower.contains("failed") || lower.contains("offline") || lower.contains("missing") => {
                    (ArrayState::Failed, None)
                }
                _ => (ArrayState::Unknown, None),
            };
        }
        name if name.starts_with("segment") || name.starts_with("group") && name.contains("segment") => {
            // `Segment 0 : Present (Controller:1,Enclosure:0,Slot:0) SERIAL`
            let lost =
                ["missing", "inconsistent", "rebuilding"].iter().any(|word| value.to_lowercase().starts_with(word));
            array.width = Some(array.width.unwrap_or(0).saturating_add(1));
            if lost && array.lost.is_none_or(|_| !array.raw_state.to_lowercase().contains("fault tolerant")) {
                array.lost = Some(array.lost.unwrap_or(0).saturating_add(1));
            }
        }
        _ => {}
    }
}

fn read_disk(key: &str, value: &str, one: &mut Controller) {
    let Some(disk) = one.disks.last_mut() else { return };
    match key {
        "State" => {
            disk.raw_state = value.to_owned();
            let lower = value.to_lowercase();
            disk.state = match lower.as_str() {
                _ if lower.starts_with("online") || lower.starts_with("optimal") => DiskState::Online,
                _ if lower.contains("hot spare") || lower.contains("hot-spare") => DiskState::Spare,
                _ if lower.contains("rebuilding") => DiskState::Rebuilding,
                _ if lower.contains("failed") || lower.contains("offline") || lower.contains("inconsistent") => {
                    DiskState::Failed
                }
                _ if lower.contains("missing") => DiskState::Missing,
                _ if lower.contains("ready") || lower.contains("raw") || lower.contains("jbod") => DiskState::Unused,
                _ => DiskState::Unknown,
            };
        }
        "S.M.A.R.T. warnings" if value.parse().is_ok_and(|count: u64| count > 0) => predicted(disk),
        "S.M.A.R.T." if value == "Yes" => predicted(disk),
        _ => {}
    }
}

fn predicted(disk: &mut Disk) {
    if matches!(disk.state, DiskState::Online | DiskState::Spare | DiskState::Unused) {
        disk.state = DiskState::Predicted;
    }
}

/// `Current operation : Rebuild`, `Logical device : 0`, `Percentage complete : 12`
fn read_status(text: &str, one: &mut Controller) {
    let (mut device, mut rebuilds) = (String::new(), false);
    for (key, value) in text.lines().filter_map(|line| pair(line.trim())) {
        match key {
            "Logical device" | "Logical drive" => {
                device = value.split_whitespace().next().unwrap_or_default().to_owned()
            }
            "Current operation" => rebuilds = value.to_lowercase().contains("rebuild"),
            "Percentage complete" if rebuilds => {
                let pct = percent_in(&format!("{value}%"));
                for array in one.arrays.iter_mut().filter(|array| array.id == device) {
                    array.progress_pct = pct;
                    if array.state == ArrayState::Degraded {
                        array.state = ArrayState::Rebuilding;
                    }
                }
            }
            _ => {}
        }
    }
}
