//! `smartctl --json` of one device: what a disk says of its health (smartmontools 7, smartctl(8)).

use serde_json::Value;

use crate::tool_json::{self, JsonError};

/// Bits of smartctl's exit status (smartctl(8), EXIT STATUS).
pub const EXIT_COMMAND_LINE: u32 = 1 << 0;
pub const EXIT_OPEN_FAILED: u32 = 1 << 1;
pub const EXIT_COMMAND_FAILED: u32 = 1 << 2;
pub const EXIT_FAILING: u32 = 1 << 3;
pub const EXIT_PREFAIL: u32 = 1 << 4;
pub const EXIT_SELF_TEST: u32 = 1 << 7;

/// Critical warning bits of NVMe (NVM Express base specification, SMART / Health Information).
const NVME_WARNINGS: [(u64, &str); 6] = [
    (1 << 0, "spare_low"),
    (1 << 1, "temperature"),
    (1 << 2, "reliability_degraded"),
    (1 << 3, "read_only"),
    (1 << 4, "backup_failed"),
    (1 << 5, "memory_region_unreliable"),
];

/// A device that `smartctl --scan` found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    pub name: String,
    /// For `-d`: `sat`, `nvme`, `megaraid,3`; empty where it is not told.
    pub kind: String,
}

/// What one disk says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disk {
    pub name: String,
    pub model: String,
    pub serial: String,
    /// Overall health; `None` if the disk did not say.
    pub passed: Option<bool>,
    pub exit_status: u32,
    pub is_asleep: bool,
    /// A virtual disk, a card reader: it has no health to tell.
    pub is_unsupported: bool,
    pub temperature_c: Option<f64>,
    pub power_on_hours: Option<f64>,
    /// Share of the rated endurance that is used; may exceed 100.
    pub wear_pct: Option<f64>,
    /// Sectors replaced by spare ones (SCSI: grown defects).
    pub reallocated: Option<u64>,
    /// Sectors that could not be read and wait to be written.
    pub pending: Option<u64>,
    pub uncorrectable: Option<u64>,
    pub media_errors: Option<u64>,
    /// Transfer errors on the cable.
    pub crc_errors: Option<u64>,
    pub spare_pct: Option<f64>,
    pub nvme_warnings: Vec<&'static str>,
    /// Bits of the critical warning that no specification names yet.
    pub nvme_unknown_bits: u64,
    /// Attributes that are at or below their threshold now.
    pub failing_now: Vec<String>,
    /// The last finished self-test failed.
    pub self_test_failed: Option<bool>,
    /// What it said, or is doing.
    pub self_test: String,
    pub self_test_running_pct: Option<f64>,
    /// What smartctl complained about.
    pub messages: Vec<String>,
}

/// Reads `smartctl --scan --json`.
///
/// # Errors
/// It is no JSON.
pub fn parse_scan(text: &str) -> Result<Vec<Device>, JsonError> {
    let document: Value = tool_json::document(text)?;
    let devices = document.get("devices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let device = |value: &Value| {
        let name = value.get("name")?.as_str()?.to_owned();
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        // Words from outside become arguments: none may be taken for an option.
        let is_fine = name.starts_with("/dev/") && !kind.starts_with('-');
        is_fine.then_some(Device { name, kind })
    };
    Ok(devices.iter().filter_map(device).collect())
}

/// Reads the document of one device.
///
/// # Errors
/// It is no JSON, or not of smartctl.
pub fn parse_disk(text: &str) -> Result<Disk, JsonError> {
    let document: Value = tool_json::document(text)?;
    let doc = Doc(&document);
    if document.get("smartctl").is_none() {
        return Err(JsonError::Shape("no member `smartctl`".into()));
    }
    let mut disk = Disk {
        name: doc.text(&["device", "name"]),
        model: or(doc.text(&["model_name"]), doc.text(&["scsi_model_name"])),
        serial: doc.text(&["serial_number"]),
        passed: doc.at(&["smart_status", "passed"]).and_then(Value::as_bool),
        exit_status: doc.count(&["smartctl", "exit_status"]).and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        temperature_c: doc.number(&["temperature", "current"]).filter(|c| (-60.0..=200.0).contains(c)),
        power_on_hours: doc.number(&["power_on_time", "hours"]),
        wear_pct: doc.number(&["endurance_used", "current_percent"]),
        spare_pct: doc.number(&["spare_available", "current_percent"]),
        ..Disk::default()
    };
    for message in doc.list(&["smartctl", "messages"]) {
        disk.messages.extend(message.get("string").and_then(Value::as_str).map(str::to_owned));
    }
    disk.is_unsupported = doc.at(&["smart_support", "available"]).and_then(Value::as_bool) == Some(false);
    let sleeps = |message: &String| {
        let upper = message.to_uppercase();
        ["STANDBY", "SLEEP"].iter().any(|word| upper.contains(word))
    };
    disk.is_asleep = disk.passed.is_none() && disk.messages.iter().any(sleeps);
    nvme(doc, &mut disk);
    scsi(doc, &mut disk);
    ata(doc, &mut disk);
    self_test(doc, &mut disk);
    Ok(disk)
}

fn or(first: String, second: String) -> String {
    if first.is_empty() { second } else { first }
}

/// A document with access by paths.
#[derive(Clone, Copy)]
struct Doc<'v>(&'v Value);

impl<'v> Doc<'v> {
    fn at(self, path: &[&str]) -> Option<&'v Value> {
        path.iter().try_fold(self.0, |value, key| value.get(key))
    }

    fn text(self, path: &[&str]) -> String {
        self.at(path).and_then(Value::as_str).unwrap_or_default().trim().to_owned()
    }

    /// Numbers come as numbers, or as texts where a version or a language made them so.
    fn number(self, path: &[&str]) -> Option<f64> {
        match self.at(path)? {
            Value::String(text) => tool_json::number(text),
            value => value.as_f64().filter(|number| number.is_finite()),
        }
    }

    fn count(self, path: &[&str]) -> Option<u64> {
        let number = self.number(path).filter(|number| *number >= 0.0)?;
        self.at(path)?.as_u64().or(Some(number as u64))
    }

    fn list(self, path: &[&str]) -> &'v [Value] {
        self.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

fn nvme(doc: Doc<'_>, disk: &mut Disk) {
    let log = "nvme_smart_health_information_log";
    if doc.at(&[log]).is_none() {
        return;
    }
    let bits = doc.count(&[log, "critical_warning"]).unwrap_or(0);
    disk.nvme_warnings = NVME_WARNINGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| *word).collect();
    disk.nvme_unknown_bits = NVME_WARNINGS.iter().fold(bits, |left, (bit, _)| left & !bit);
    disk.wear_pct = doc.number(&[log, "percentage_used"]).or(disk.wear_pct);
    disk.spare_pct = doc.number(&[log, "available_spare"]).or(disk.spare_pct);
    disk.media_errors = doc.count(&[log, "media_errors"]);
}

fn scsi(doc: Doc<'_>, disk: &mut Disk) {
    disk.reallocated = doc.count(&["scsi_grown_defect_list"]);
    disk.wear_pct = doc.number(&["scsi_percentage_used_endurance_indicator"]).or(disk.wear_pct);
    let errors = ["read", "write", "verify"];
    let all = errors.iter().filter_map(|kind| doc.count(&["scsi_error_counter_log", kind, "total_uncorrected_errors"]));
    disk.uncorrectable = all.reduce(u64::saturating_add);
}

fn ata(doc: Doc<'_>, disk: &mut Disk) {
    for value in doc.list(&["ata_smart_attributes", "table"]) {
        let attribute = Doc(value);
        // The text is formatted as the vendor counts (`12 (0 3)`); the number may pack several counters.
        let shown = attribute.text(&["raw", "string"]);
        let leading: String = shown.chars().take_while(char::is_ascii_digit).collect();
        let raw = leading.parse().ok().or_else(|| attribute.count(&["raw", "value"]));
        let health = attribute.number(&["value"]).filter(|value| (0.0..=100.0).contains(value));
        match attribute.count(&["id"]) {
            Some(5) => disk.reallocated = raw,
            Some(197) => disk.pending = raw,
            Some(187) => disk.uncorrectable = disk.uncorrectable.max(raw),
            Some(198) => disk.uncorrectable = disk.uncorrectable.max(raw),
            Some(199) => disk.crc_errors = raw,
            // Wear levelling or life left of the large vendors, all counting down from 100.
            Some(177 | 202 | 231 | 233) if disk.wear_pct.is_none() && is_life(attribute) => {
                disk.wear_pct = health.map(|left| 100.0 - left);
            }
            _ => {}
        }
        if attribute.text(&["when_failed"]) == "now" {
            disk.failing_now.push(attribute.text(&["name"]));
        }
    }
}

/// These numbers mean other things in spinning disks.
fn is_life(attribute: Doc<'_>) -> bool {
    let name = attribute.text(&["name"]).to_lowercase();
    ["wear", "life", "lifetime", "media_wearout"].iter().any(|word| name.contains(word))
}

fn self_test(doc: Doc<'_>, disk: &mut Disk) {
    let ata_now = &["ata_smart_data", "self_test", "status"];
    if let Some(left) = doc.number(&[&ata_now[..], &["remaining_percent"]].concat()) {
        disk.self_test_running_pct = Some((100.0 - left).clamp(0.0, 100.0));
    }
    disk.self_test_running_pct = disk.self_test_running_pct.or_else(|| {
        let nvme = ["nvme_self_test_log", "current_self_test_completion_percent"];
        doc.number(&nvme).map(|pct| pct.clamp(0.0, 100.0))
    });
    let logs = [
        &["ata_smart_self_test_log", "extended", "table"][..],
        &["ata_smart_self_test_log", "standard", "table"],
        &["nvme_self_test_log", "table"],
    ];
    let newest = logs.iter().find_map(|path| doc.list(path).first()).map(Doc);
    let scsi = doc.at(&["scsi_self_test_0"]).map(Doc);
    let Some(entry) = newest.or(scsi) else { return };
    let result =
        if newest.is_some() && doc.at(&["nvme_self_test_log"]).is_some() { "self_test_result" } else { "status" };
    let result = if entry.at(&[result]).is_some() { result } else { "result" };
    let value = entry.count(&[result, "value"]).unwrap_or(0);
    disk.self_test = entry.text(&[result, "string"]);
    disk.self_test_failed = match entry.at(&[result, "passed"]).and_then(Value::as_bool) {
        Some(passed) => Some(!passed),
        None if result == "status" => Some(is_failed_ata(value)),
        // NVMe and SCSI: aborted and running tests say nothing; 5..7 and 3..7 are failures.
        None if result == "self_test_result" => Some((5..=7).contains(&value)),
        None => Some((3..=7).contains(&value)),
    };
}

/// The high half of the byte: 0 done, 1 and 2 aborted, 3..8 failed, 15 runs (ATA8-ACS, table of self-test execution status).
fn is_failed_ata(status: u64) -> bool {
    (3..=8).contains(&(status >> 4))
}

impl Disk {
    /// Could not be looked at: no such device, no right, command refused.
    pub fn is_unread(&self) -> bool {
        let failed = EXIT_COMMAND_LINE | EXIT_OPEN_FAILED | EXIT_COMMAND_FAILED;
        !self.is_asleep && !self.is_unsupported && self.passed.is_none() && self.exit_status & failed != 0
    }

    /// The disk itself, or smartctl by its exit status, says that it fails.
    pub fn is_failing(&self) -> bool {
        self.passed == Some(false) || self.exit_status & EXIT_FAILING != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hand-written from smartctl 7's sources (ataprint.cpp), numbers of an ageing disk.
    const ATA: &str = r#"{"json_format_version":[1,0],"smartctl":{"version":[7,3],"exit_status":216,"messages":[]},
"device":{"name":"/dev/sda","info_name":"/dev/sda [SAT]","type":"sat","protocol":"ATA"},"model_name":"ST4000","serial_number":"Z1",
"smart_status":{"passed":false},"temperature":{"current":38},"power_on_time":{"hours":41234},
"ata_smart_data":{"self_test":{"status":{"value":249,"string":"in progress, 90% remaining","remaining_percent":90}}},
"ata_smart_attributes":{"table":[
 {"id":5,"name":"Reallocated_Sector_Ct","value":5,"thresh":10,"when_failed":"now","raw":{"value":4520,"string":"4520"}},
 {"id":194,"name":"Temperature_Celsius","value":62,"when_failed":"","raw":{"value":12884901926,"string":"38 (Min/Max 3/55)"}},
 {"id":197,"name":"Current_Pending_Sector","value":100,"when_failed":"","raw":{"value":16,"string":"16"}},
 {"id":198,"name":"Offline_Uncorrectable","value":100,"when_failed":"","raw":{"value":65544,"string":"8 (1 0)"}},
 {"id":199,"name":"UDMA_CRC_Error_Count","value":200,"when_failed":"past","raw":{"value":3,"string":"3"}}]},
"ata_smart_self_test_log":{"standard":{"count":2,"table":[
 {"type":{"value":2},"status":{"value":121,"string":"Completed: read failure","remaining_percent":90,"passed":false},"lifetime_hours":41230}]}}}"#;

    /// Hand-written from nvmeprint.cpp.
    const NVME: &str = r#"{"smartctl":{"version":[7,4],"exit_status":8},"device":{"name":"/dev/nvme0","type":"nvme","protocol":"NVMe"},
"model_name":"SSD 980","smart_status":{"passed":false,"nvme":{"value":13}},"temperature":{"current":71},
"nvme_smart_health_information_log":{"critical_warning":205,"temperature":71,"available_spare":4,"available_spare_threshold":10,
"percentage_used":112,"media_errors":7,"power_on_hours":20000},
"nvme_self_test_log":{"current_self_test_operation":{"value":1},"current_self_test_completion_percent":40,
"table":[{"self_test_code":{"value":2},"self_test_result":{"value":7,"string":"Completed: failed segments"}}]}}"#;

    /// Hand-written from scsiprint.cpp.
    const SCSI: &str = r#"{"smartctl":{"exit_status":0},"device":{"name":"/dev/sdb","protocol":"SCSI"},"scsi_model_name":"HGST X",
"smart_status":{"passed":true},"temperature":{"current":31},"scsi_grown_defect_list":12,
"scsi_error_counter_log":{"read":{"total_uncorrected_errors":2},"write":{"total_uncorrected_errors":0}},
"scsi_self_test_0":{"code":{"value":2},"result":{"value":0,"string":"Completed"}}}"#;

    #[test]
    fn an_ageing_ata_disk_reads() {
        let disk = parse_disk(ATA).expect("JSON");
        assert!(disk.is_failing() && !disk.is_unread());
        assert_eq!((disk.reallocated, disk.pending, disk.uncorrectable), (Some(4520), Some(16), Some(8)));
        assert_eq!((disk.crc_errors, disk.temperature_c, disk.power_on_hours), (Some(3), Some(38.0), Some(41234.0)));
        assert_eq!(disk.failing_now, ["Reallocated_Sector_Ct"]);
        assert_eq!((disk.self_test_failed, disk.self_test_running_pct), (Some(true), Some(10.0)));
        assert_eq!(disk.self_test, "Completed: read failure");
    }

    #[test]
    fn every_bit_of_the_nvme_warning_has_a_name() {
        let disk = parse_disk(NVME).expect("JSON");
        assert_eq!(disk.nvme_warnings, ["spare_low", "reliability_degraded", "read_only"]);
        assert_eq!((disk.nvme_unknown_bits, disk.wear_pct, disk.spare_pct), (0xC0, Some(112.0), Some(4.0)));
        assert_eq!((disk.media_errors, disk.self_test_failed), (Some(7), Some(true)));
        for (bit, word) in NVME_WARNINGS {
            let text = NVME.replace("\"critical_warning\":205", &format!("\"critical_warning\":{bit}"));
            assert_eq!(parse_disk(&text).expect("JSON").nvme_warnings, [word]);
        }
    }

    #[test]
    fn a_scsi_disk_reads() {
        let disk = parse_disk(SCSI).expect("JSON");
        assert_eq!((disk.model.as_str(), disk.passed), ("HGST X", Some(true)));
        assert_eq!((disk.reallocated, disk.uncorrectable, disk.self_test_failed), (Some(12), Some(2), Some(false)));
    }

    #[test]
    fn wear_of_sata_flash_comes_from_its_attributes() {
        for (id, name, wear) in [
            (177, "Wear_Leveling_Count", Some(7.0)),
            (231, "SSD_Life_Left", Some(7.0)),
            (233, "Media_Wearout_Indicator", Some(7.0)),
            (231, "Temperature_Celsius", None),
            (9, "Power_On_Hours", None),
        ] {
            let text = format!(
                r#"{{"smartctl":{{}},"ata_smart_attributes":{{"table":[{{"id":{id},"name":"{name}","value":93,"raw":{{"value":1}}}}]}}}}"#
            );
            assert_eq!(parse_disk(&text).expect("JSON").wear_pct, wear, "{name}");
        }
        let newer = r#"{"smartctl":{},"endurance_used":{"current_percent":4}}"#;
        assert_eq!(parse_disk(newer).expect("JSON").wear_pct, Some(4.0));
    }

    #[test]
    fn self_test_states_of_ata_are_told_apart() {
        for (value, failed) in
            [(0u64, false), (0x19, false), (0x29, false), (0x39, true), (0x79, true), (0x89, true), (0xF9, false)]
        {
            assert_eq!(is_failed_ata(value), failed, "{value:#x}");
        }
    }

    #[test]
    fn a_sleeping_disk_and_one_that_cannot_be_opened_are_not_healthy() {
        let asleep = r#"{"smartctl":{"exit_status":0,"messages":[{"string":"Device is in STANDBY mode, exit(0)","severity":"information"}]}}"#;
        let disk = parse_disk(asleep).expect("JSON");
        assert!(disk.is_asleep && !disk.is_unread() && !disk.is_failing());
        let refused = r#"{"smartctl":{"exit_status":2,"messages":[{"string":"Smartctl open device: /dev/sda failed: Permission denied","severity":"error"}]}}"#;
        let disk = parse_disk(refused).expect("JSON");
        assert!(disk.is_unread() && disk.messages[0].contains("Permission denied"));
    }

    #[test]
    fn a_scan_lists_devices_and_takes_no_option_for_one() {
        let text = "smartctl banner\n{\"smartctl\":{},\"devices\":[{\"name\":\"/dev/sda\",\"type\":\"sat\"},{\"name\":\"/dev/bus/0\",\"type\":\"megaraid,3\"},{\"name\":\"-x\"},{\"name\":\"/dev/sdb\",\"type\":\"-x\"}]}";
        let found = parse_scan(text).expect("JSON");
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], Device { name: "/dev/bus/0".into(), kind: "megaraid,3".into() });
        assert_eq!(parse_scan("{\"smartctl\":{}}"), Ok(vec![]));
        assert_eq!(parse_disk("{\"temperature\":{\"current\": 38,5}}"), Err(JsonError::DecimalComma { line: 1 }));
        assert!(matches!(parse_disk("{}"), Err(JsonError::Shape(_))));
    }

    #[test]
    fn a_virtual_disk_has_no_health() {
        let text = r#"{"smartctl":{"exit_status":4},"smart_support":{"available":false}}"#;
        let disk = parse_disk(text).expect("JSON");
        assert!(disk.is_unsupported && !disk.is_unread());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\{|\\}|\\[|\\]|\"smartctl\"|\"[a-z_]{1,9}\"|:|,|[0-9]{1,20}|\\PC){0,40}") {
            let _ = (parse_disk(&text), parse_scan(&text));
        }

        #[test]
        fn any_truncation_and_any_changed_byte_reads_or_refuses(cut in 0usize..2000, byte in any::<u8>()) {
            for text in [ATA, NVME, SCSI] {
                let _ = parse_disk(text.get(..cut).unwrap_or(text));
                let mut bytes = text.as_bytes().to_vec();
                let at = cut % bytes.len();
                bytes[at] = byte;
                let _ = parse_disk(&String::from_utf8_lossy(&bytes));
            }
        }
    }
}
