//! `MegaCli -LDInfo`, `-PDList`, `-AdpBbuCmd`, `-PDRbld`: text of the older LSI tool.

use super::{Array, ArrayState, Battery, Controller, Disk, DiskState, Level, number_after, pair, percent_in};

/// Reads `-LDInfo -Lall -aALL`, `-PDList -aALL` and `-AdpBbuCmd -GetBbuStatus -aALL`.
pub fn parse(arrays: &str, disks: &str, battery: &str) -> Vec<Controller> {
    let mut found = Vec::new();
    read_arrays(arrays, &mut found);
    read_disks(disks, &mut found);
    read_battery(battery, &mut found);
    found.iter_mut().for_each(Controller::settle);
    found
}

/// `Adapter 0 -- Virtual Drive Information:`, `Adapter #0`, `BBU status for Adapter: 0`
fn adapter<'f>(line: &str, found: &'f mut Vec<Controller>) -> Option<&'f mut Controller> {
    let is_head = line.starts_with("Adapter ") || line.starts_with("BBU status for Adapter");
    let id = is_head.then(|| number_after(line, "Adapter")).flatten()?;
    if !found.iter().any(|one| one.id == id) {
        found.push(Controller { id: id.clone(), ..Controller::default() });
    }
    found.iter_mut().find(|one| one.id == id)
}

/// Every `key : value` with the controller in whose part of the print it stands.
fn each_pair(text: &str, found: &mut Vec<Controller>, mut take: impl FnMut(&mut Controller, &str, &str)) {
    let mut at = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(one) = adapter(line, found) {
            at.clone_from(&one.id);
            continue;
        }
        let Some(one) = found.iter_mut().find(|one| one.id == at) else { continue };
        if let Some((key, value)) = pair(line) {
            take(one, key, value);
        }
    }
}

fn read_arrays(text: &str, found: &mut Vec<Controller>) {
    each_pair(text, found, |one, key, value| {
        if key == "Virtual Drive" || key == "Virtual Disk" {
            let id = value.split_whitespace().next().unwrap_or_default().to_owned();
            one.arrays.push(Array { group: id.clone(), id, ..Array::default() });
            return;
        }
        let Some(array) = one.arrays.last_mut() else { return };
        match key {
            "RAID Level" => array.level = Level::parse(value),
            "State" => {
                array.raw_state = value.to_owned();
                (array.state, array.lost) = match value {
                    "Optimal" => (ArrayState::Optimal, None),
                    "Degraded" => (ArrayState::Degraded, None),
                    "Partially Degraded" => (ArrayState::Degraded, Some(1)),
                    "Offline" | "Failed" => (ArrayState::Failed, None),
                    _ => (ArrayState::Unknown, None),
                };
            }
            "Number Of Drives" => array.width = value.parse().ok(),
            // A mirror of several spans is RAID 10, however its level is written.
            "Span Depth" if value.parse().is_ok_and(|depth: u32| depth > 1) => {
                array.level = match array.level {
                    Level::Raid1 => Level::Raid10,
                    Level::Raid5 => Level::Raid50,
                    Level::Raid6 => Level::Raid60,
                    other => other,
                };
            }
            _ => {}
        }
    });
}

fn read_disks(text: &str, found: &mut Vec<Controller>) {
    let mut enclosure = String::new();
    each_pair(text, found, |one, key, value| match key {
        "Enclosure Device ID" => enclosure = value.to_owned(),
        "Slot Number" => {
            let id = format!("{enclosure}:{value}");
            let (state, raw_state) = (DiskState::Unknown, String::new());
            one.disks.push(Disk { id, state, raw_state, group: String::new(), progress_pct: None });
        }
        _ => {
            if let Some(disk) = one.disks.last_mut() {
                read_disk(key, value, disk);
            }
        }
    });
}

fn read_disk(key: &str, value: &str, disk: &mut Disk) {
    match key {
        "Drive's position" => {
            // `DiskGroup: 0, Span: 0, Arm: 1`
            disk.group = number_after(value, "DiskGroup").unwrap_or_default();
        }
        "Firmware state" => {
            disk.raw_state = value.to_owned();
            let state = value.split(',').next().unwrap_or_default();
            // A disk that predicted its failure before stays so while it works.
            let predicted = disk.state == DiskState::Predicted && state == "Online";
            disk.state = match state {
                _ if predicted => DiskState::Predicted,
                "Online" => DiskState::Online,
                "Hotspare" => DiskState::Spare,
                "Rebuild" | "Copyback" => DiskState::Rebuilding,
                "Failed" | "Offline" | "Unconfigured(bad)" => DiskState::Failed,
                "Missing" => DiskState::Missing,
                "Unconfigured(good)" | "JBOD" => DiskState::Unused,
                _ => DiskState::Unknown,
            };
        }
        "Predictive Failure Count" if value.parse().is_ok_and(|count: u64| count > 0) => {
            if matches!(disk.state, DiskState::Unknown | DiskState::Online) {
                disk.state = DiskState::Predicted;
            }
        }
        "Foreign State" if value == "Foreign" && disk.state == DiskState::Unused => disk.state = DiskState::Foreign,
        _ => {}
    }
}

fn read_battery(text: &str, found: &mut Vec<Controller>) {
    each_pair(text, found, |one, key, value| match (key, value) {
        ("Battery State", state) => {
            let well = ["optimal", "operational", "learning", "charging"];
            let is_well = well.iter().any(|word| state.to_lowercase().starts_with(word));
            one.battery = Some(Battery { state: state.to_owned(), is_well });
        }
        (key, "Yes") if key.starts_with("Battery Replacement required") || key == "Battery Pack Missing" => {
            one.battery = Some(Battery { state: key.to_owned(), is_well: false });
        }
        _ => {}
    });
}

/// Reads `-PDRbld -ShowProg -PhysDrv [E:S,…] -aALL` into what [`parse`] gave:
/// `Rebuild Progress on Device at Enclosure 252, Slot 1 Completed 12% in 3 Minutes.`
pub fn add_rebuilds(text: &str, controllers: &mut [Controller]) {
    for line in text.lines().filter(|line| line.contains("Rebuild Progress")) {
        let (Some(enclosure), Some(slot)) = (number_after(line, "Enclosure"), number_after(line, "Slot")) else {
            continue;
        };
        let id = format!("{enclosure}:{slot}");
        for one in controllers.iter_mut() {
            for disk in one.disks.iter_mut().filter(|disk| disk.id == id && disk.state == DiskState::Rebuilding) {
                disk.progress_pct = percent_in(line);
                for array in one.arrays.iter_mut().filter(|array| array.group == disk.group) {
                    array.progress_pct = disk.progress_pct;
                }
            }
        }
    }
}
