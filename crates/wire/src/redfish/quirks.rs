//! What single vendors do their own way. Nothing outside of this file knows a vendor.

use super::power::Input;
use super::storage::DriveState;
use super::{Health, Node, Status};
use crate::raid::{ArrayState, Level};

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Vendor {
    /// iDRAC.
    Dell,
    /// iLO.
    Hpe,
    /// XCC.
    Lenovo,
    Supermicro,
    #[default]
    Other,
}

impl Vendor {
    pub(super) fn of_root(root: Node<'_>) -> Vendor {
        let mut words: Vec<String> = root.get("Oem").keys().map(str::to_ascii_lowercase).collect();
        words.extend(["Vendor", "Product", "Name"].iter().map(|key| root.get(key).owned().to_ascii_lowercase()));
        let is = |names: &[&str]| words.iter().any(|word| names.iter().any(|name| word.contains(name)));
        if is(&["dell", "idrac"]) {
            Vendor::Dell
        } else if is(&["hpe", "ilo "]) || words.iter().any(|word| word == "hp") {
            Vendor::Hpe
        } else if is(&["lenovo", "xclarity"]) {
            Vendor::Lenovo
        } else if is(&["supermicro", "smc"]) {
            Vendor::Supermicro
        } else {
            Vendor::Other
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Vendor::Dell => "Dell",
            Vendor::Hpe => "HPE",
            Vendor::Lenovo => "Lenovo",
            Vendor::Supermicro => "Supermicro",
            Vendor::Other => "",
        }
    }
}

/// Firmware without `LineInputStatus` (iDRAC, XCC, Supermicro) shows a supply without input as one that is unwell and has 0 V;
/// iLO says it in words of its own.
pub(super) fn lost_input(supply: Node<'_>, status: Status, volts: Option<f64>) -> Option<Input> {
    let words = ["Hpe", "Hp"].iter().map(|name| supply.at(&["Oem", name, "PowerSupplyStatus", "State"]));
    let said: String = words.filter_map(Node::text).collect::<String>().to_ascii_lowercase();
    let is_unwell = matches!(status.own(), Some(Health::Warning | Health::Critical));
    if said.contains("nopower") || said.contains("inputlost") || said.contains("lossofinput") {
        return Some(Input::Lost);
    }
    (is_unwell && volts == Some(0.0)).then_some(Input::Lost)
}

/// `Units` (iLO 4), `ReadingUnits`; firmware with neither means RPM where the number can be no percentage.
pub(super) fn fan_unit(fan: Node<'_>, value: f64) -> &'static str {
    match fan.any(&["ReadingUnits", "Units"]).text() {
        Some("Percent" | "%") => "%",
        Some("RPM") => "RPM",
        _ if value <= 100.0 && !fan.get("ReadingRPM").exists() => "%",
        _ => "RPM",
    }
}

/// `VolumeType`, before there was `RAIDType`.
pub(super) fn level_of_type(word: &str) -> Level {
    match word {
        "NonRedundant" => Level::Raid0,
        "Mirrored" => Level::Raid1,
        "StripedWithParity" => Level::Raid5,
        "SpannedMirrors" => Level::Raid10,
        "SpannedStripesWithParity" => Level::Raid50,
        _ => Level::Other,
    }
}

/// iDRAC knows an array's state better than its health tells.
pub(super) fn array_state(volume: Node<'_>, vendor: Vendor) -> Option<ArrayState> {
    if vendor != Vendor::Dell {
        return None;
    }
    let dell = volume.at(&["Oem", "Dell"]);
    let word = dell.any(&["DellVolume", "DellVirtualDisk"]).get("RaidStatus").text()?;
    match word {
        "Online" => None,
        "Degraded" => Some(ArrayState::Degraded),
        "Failed" | "Offline" => Some(ArrayState::Failed),
        _ => None,
    }
}

/// iDRAC's word for a drive in an array.
pub(super) fn drive_state(drive: Node<'_>, vendor: Vendor) -> Option<DriveState> {
    if vendor != Vendor::Dell {
        return None;
    }
    let dell = drive.at(&["Oem", "Dell"]).any(&["DellPhysicalDisk", "DellDrive"]);
    match (dell.get("RaidStatus").text()?, dell.get("HotSpareStatus").text().unwrap_or("No")) {
        ("Failed" | "Missing" | "Blocked", _) => Some(DriveState::Failed),
        ("Rebuilding", _) => Some(DriveState::Rebuilding),
        (_, "Dedicated" | "Global") => Some(DriveState::Spare),
        _ => None,
    }
}

/// iLO 4 and 5 keep the arrays of Smart Array controllers apart from `Storage`.
pub(super) fn smart_storage(system: Node<'_>) -> Option<String> {
    ["Hpe", "Hp"].iter().find_map(|oem| {
        let own = system.at(&["Oem", oem]);
        own.at(&["Links", "SmartStorage"]).link().or_else(|| own.at(&["SmartStorage"]).link())
    })
}

/// The collection of its controllers, each of them with drives and volumes as a `Storage` has them.
pub fn array_controllers(smart_storage: Node<'_>) -> Option<String> {
    smart_storage.at(&["Links", "ArrayControllers"]).link().or_else(|| smart_storage.get("ArrayControllers").link())
}

pub(super) fn drives_at(controller: Node<'_>) -> Option<String> {
    controller.at(&["Links", "PhysicalDrives"]).link()
}

pub(super) fn volumes_at(controller: Node<'_>) -> Option<String> {
    controller.at(&["Links", "LogicalDrives"]).link()
}

/// Port, box and bay (`1I:1:2`), where all drives have the same name.
pub(super) fn drive_name(drive: Node<'_>) -> Option<String> {
    let place = drive.get("Location").text()?;
    place.contains(':').then(|| place.to_owned())
}

/// iLO gives the wear of an SSD, iDRAC what is left, the schema what is left.
pub(super) fn life_left(drive: Node<'_>, vendor: Vendor) -> Option<f64> {
    let told = drive.get("PredictedMediaLifeLeftPercent").number();
    let worn = || {
        let used = drive.at(&["Oem", "Hpe", "WearStatus"]).get("SSDEnduranceUtilizationPercentage").number();
        used.or_else(|| drive.get("SSDEnduranceUtilizationPercentage").number()).map(|used| 100.0 - used)
    };
    told.or_else(|| worn().filter(|_| vendor == Vendor::Hpe))
}
