//! `lvs`, `vgs` and `pvs` with `--reportformat json` (lvmreport(7), lvs(8)): volumes, pools, snapshots, and disks that are gone.

use serde_json::Value;

use crate::tool_json::{self, JsonError};

/// Columns that are asked for; all of them are in LVM 2.02.158 (2016), the first that prints JSON.
pub const LV_COLUMNS: &str = "vg_name,lv_name,lv_attr,segtype,lv_size,data_percent,metadata_percent,sync_percent,raid_sync_action,lv_health_status";
pub const VG_COLUMNS: &str = "vg_name,vg_attr,vg_size,vg_free,vg_missing_pv_count,pv_count";
pub const PV_COLUMNS: &str = "pv_name,vg_name,pv_attr,pv_uuid";

/// A volume group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub name: String,
    pub size_bytes: Option<f64>,
    pub free_bytes: Option<f64>,
    /// Disks of it that are not there.
    pub missing: u64,
    pub is_partial: bool,
}

/// A disk, or what is known of one that is gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disk {
    /// `[unknown]` where the device is gone.
    pub name: String,
    pub group: String,
    pub uuid: String,
    pub is_missing: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Plain,
    Raid,
    /// The old kind of mirror.
    Mirror,
    Snapshot,
    ThinPool,
    Cache,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    pub group: String,
    pub name: String,
    pub kind: Kind,
    /// `raid1`, `thin-pool`, `linear`.
    pub segment: String,
    pub is_active: bool,
    /// Fullness of a snapshot, pool or cache.
    pub data_pct: Option<f64>,
    pub metadata_pct: Option<f64>,
    /// How much of a RAID is in sync.
    pub sync_pct: Option<f64>,
    /// `idle`, `resync`, `recover`, `check`, `repair`, `reshape`.
    pub action: String,
    /// `partial`, `refresh needed`, `mismatches exist`, `failed`, `out_of_data`, `metadata_read_only`; empty = well.
    pub health: String,
    /// A snapshot that overflowed is lost.
    pub is_invalid: bool,
    /// A pool whose metadata wants thin_check.
    pub needs_check: bool,
}

impl Volume {
    /// `vg0/root`
    pub fn path(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    /// In the words of the signal `raid`; `missing` = disks of its group that are gone.
    pub fn raid_word(&self, missing: u64) -> &'static str {
        let in_sync = self.sync_pct.is_none_or(|pct| pct >= 100.0);
        let works = matches!(self.action.as_str(), "resync" | "recover" | "repair" | "reshape");
        match self.health.as_str() {
            "partial" if !self.is_active => "OfLn",
            // Which images are gone is not told; of RAID 6 one may be.
            "partial" if self.segment.starts_with("raid6") && missing <= 1 => "Pdgd",
            "partial" | "refresh needed" => "Dgrd",
            "failed" | "unknown" => "OfLn",
            _ if !in_sync && works => "Rbld",
            // A new array that is not in sync yet has no second good copy either.
            _ if !in_sync => "Rbld",
            _ => "Optl",
        }
    }

    /// Data cannot be read, or is lost for good.
    pub fn is_lost(&self) -> bool {
        let redundant = matches!(self.kind, Kind::Raid | Kind::Mirror);
        match self.health.as_str() {
            "partial" => !redundant || !self.is_active,
            "failed" | "unknown" => true,
            _ => false,
        }
    }

    /// A pool that takes no writes any more.
    pub fn is_read_only(&self) -> bool {
        matches!(self.health.as_str(), "out_of_data" | "metadata_read_only")
    }
}

/// # Errors
/// It is no report.
pub fn parse_volumes(text: &str) -> Result<Vec<Volume>, JsonError> {
    Ok(rows(text, "lv")?.iter().map(volume).collect())
}

/// # Errors
/// It is no report.
pub fn parse_groups(text: &str) -> Result<Vec<Group>, JsonError> {
    let group = |row: &Value| {
        let attributes = word(row, "vg_attr");
        let is_partial = attributes.chars().nth(3) == Some('p');
        let missing = number(row, "vg_missing_pv_count").map_or(u64::from(is_partial), |count| count as u64);
        let (size_bytes, free_bytes) = (number(row, "vg_size"), number(row, "vg_free"));
        Group { name: word(row, "vg_name"), size_bytes, free_bytes, missing, is_partial }
    };
    Ok(rows(text, "vg")?.iter().map(group).collect())
}

/// # Errors
/// It is no report.
pub fn parse_disks(text: &str) -> Result<Vec<Disk>, JsonError> {
    let disk = |row: &Value| {
        let name = word(row, "pv_name");
        let is_missing = word(row, "pv_attr").chars().nth(2) == Some('m') || name.starts_with("[unknown");
        Disk { name, group: word(row, "vg_name"), uuid: word(row, "pv_uuid"), is_missing }
    };
    Ok(rows(text, "pv")?.iter().map(disk).collect())
}

/// `{"report":[{"lv":[…]}]}`
fn rows(text: &str, key: &str) -> Result<Vec<Value>, JsonError> {
    let document: Value = tool_json::document(text)?;
    let reports = document.get("report").and_then(Value::as_array);
    let reports = reports.ok_or_else(|| JsonError::Shape("no member `report`".into()))?;
    let of = |report: &Value| report.get(key).and_then(Value::as_array).cloned();
    let rows: Vec<Vec<Value>> = reports.iter().filter_map(of).collect();
    if rows.is_empty() { Err(JsonError::Shape(format!("no list `{key}`"))) } else { Ok(rows.concat()) }
}

fn word(row: &Value, key: &str) -> String {
    row.get(key).and_then(Value::as_str).unwrap_or_default().trim().to_owned()
}

/// Values are texts in `json`, numbers in `json_std`; one that does not apply is empty.
fn number(row: &Value, key: &str) -> Option<f64> {
    match row.get(key)? {
        Value::String(text) => tool_json::number(text),
        value => value.as_f64(),
    }
}

fn percent(row: &Value, key: &str) -> Option<f64> {
    number(row, key).filter(|pct| (0.0..=100.0).contains(pct))
}

fn volume(row: &Value) -> Volume {
    let attributes: Vec<char> = word(row, "lv_attr").chars().collect();
    let letter = |at: usize| attributes.get(at).copied().unwrap_or('-');
    let segment = word(row, "segtype");
    let kind = match letter(0) {
        't' => Kind::ThinPool,
        's' | 'S' => Kind::Snapshot,
        'm' | 'M' => Kind::Mirror,
        'C' => Kind::Cache,
        // An origin of snapshots may be a RAID as well.
        _ if segment.starts_with("raid") => Kind::Raid,
        _ => Kind::Plain,
    };
    let health = match (word(row, "lv_health_status"), letter(8)) {
        (said, _) if !said.is_empty() => said,
        (_, 'p') => "partial".to_owned(),
        (_, 'r') => "refresh needed".to_owned(),
        (_, 'm') => "mismatches exist".to_owned(),
        (_, 'F') => "failed".to_owned(),
        (_, 'D') => "out_of_data".to_owned(),
        (_, 'M') => "metadata_read_only".to_owned(),
        (_, 'X') => "unknown".to_owned(),
        _ => String::new(),
    };
    let sync = percent(row, "sync_percent").or_else(|| percent(row, "copy_percent"));
    Volume {
        group: word(row, "vg_name"),
        name: word(row, "lv_name"),
        kind,
        segment,
        // (a)ctive, (s)uspended, and states that show trouble of an active one; `-` and (h)istorical are not.
        is_active: !matches!(letter(4), '-' | 'h'),
        data_pct: percent(row, "data_percent"),
        metadata_pct: percent(row, "metadata_percent"),
        sync_pct: sync.filter(|_| matches!(kind, Kind::Raid | Kind::Mirror)),
        action: word(row, "raid_sync_action"),
        health,
        is_invalid: matches!(letter(4), 'I' | 'S'),
        needs_check: matches!(letter(4), 'c' | 'C'),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hand-written after lvs(8) and lvmreport(7): a RAID 1 that lost a disk, one that recovers, a full pool, snapshots.
    const LVS: &str = r#"  WARNING: Couldn't find device with uuid abc.
  {
      "report": [ { "lv": [
  {"vg_name":"vg0","lv_name":"root","lv_attr":"rwi-aor-p-","segtype":"raid1","lv_size":"1073741824","data_percent":"",
   "metadata_percent":"","sync_percent":"100.00","raid_sync_action":"idle","lv_health_status":"partial"},
  {"vg_name":"vg0","lv_name":"home","lv_attr":"rwi-aor---","segtype":"raid5","sync_percent":"37,50","raid_sync_action":"recover"},
  {"vg_name":"vg0","lv_name":"pool","lv_attr":"twi-aotzD-","segtype":"thin-pool","data_percent":"100.00","metadata_percent":"12.34"},
  {"vg_name":"vg0","lv_name":"snap","lv_attr":"swi-I-s---","segtype":"linear","data_percent":"100.00"},
  {"vg_name":"vg0","lv_name":"plain","lv_attr":"-wi-----p-","segtype":"linear","lv_health_status":"partial"},
  {"vg_name":"vg0","lv_name":"r6","lv_attr":"rwi-aor-p-","segtype":"raid6_zr","sync_percent":"100.00"} ] } ]
  }"#;

    #[test]
    fn what_is_wrong_with_each_volume_is_told_apart() {
        let volumes = parse_volumes(LVS).expect("a report");
        let told: Vec<(String, Kind, &str, bool)> =
            volumes.iter().map(|one| (one.path(), one.kind, one.raid_word(1), one.is_lost())).collect();
        let expected = [
            ("vg0/root", Kind::Raid, "Dgrd", false),
            ("vg0/home", Kind::Raid, "Rbld", false),
            ("vg0/pool", Kind::ThinPool, "Optl", false),
            ("vg0/snap", Kind::Snapshot, "Optl", false),
            ("vg0/plain", Kind::Plain, "OfLn", true),
            ("vg0/r6", Kind::Raid, "Pdgd", false),
        ];
        assert_eq!(told, expected.map(|(path, kind, word, lost)| (path.to_owned(), kind, word, lost)));
        let pool = &volumes[2];
        assert_eq!((pool.data_pct, pool.metadata_pct, pool.is_read_only()), (Some(100.0), Some(12.34), true));
        assert_eq!((volumes[1].sync_pct, volumes[3].is_invalid, volumes[5].raid_word(2)), (Some(37.5), true, "Dgrd"));
    }

    macro_rules! printed {
        ($name:literal) => {
            include_str!(concat!("../tests/data/lvm/", $name, ".json"))
        };
    }

    /// What real tools printed; see the folder's README.
    #[test]
    fn a_real_mirror_that_lost_a_disk_is_degraded() {
        let reports = [
            (printed!("vgs_well"), printed!("lvs_well"), printed!("pvs_well"), 0, "Optl"),
            (printed!("vgs_partial"), printed!("lvs_partial"), printed!("pvs_partial"), 1, "Dgrd"),
        ];
        for (vgs, lvs, pvs, missing, word) in reports {
            let (groups, volumes) = (parse_groups(vgs).expect("groups"), parse_volumes(lvs).expect("volumes"));
            let gone = parse_disks(pvs).expect("disks").iter().filter(|disk| disk.is_missing).count();
            assert_eq!((groups[0].missing, gone as u64, groups[0].is_partial), (missing, missing, missing > 0));
            assert_eq!((volumes[0].kind, volumes[0].is_active, volumes[0].is_lost()), (Kind::Raid, true, false));
            assert_eq!((volumes[0].raid_word(missing), volumes[0].sync_pct), (word, Some(100.0)));
        }
    }

    #[test]
    fn groups_and_disks_that_are_gone_are_told() {
        let groups = r#"{"report":[{"vg":[{"vg_name":"vg0","vg_attr":"wz-pn-","vg_size":"2147483648B","vg_free":"0B",
            "vg_missing_pv_count":"1"},{"vg_name":"vg1","vg_attr":"wz--n-","vg_size":8.5,"vg_missing_pv_count":0}]}]}"#;
        let told: Vec<(u64, bool, Option<f64>)> =
            parse_groups(groups).expect("a report").iter().map(|g| (g.missing, g.is_partial, g.size_bytes)).collect();
        assert_eq!(told, [(1, true, Some(2_147_483_648.0)), (0, false, Some(8.5))]);
        let disks = r#"{"report":[{"pv":[{"pv_name":"/dev/sda2","vg_name":"vg0","pv_attr":"a--"},
            {"pv_name":"[unknown]","vg_name":"vg0","pv_attr":"a-m","pv_uuid":"abc"}]}]}"#;
        let gone: Vec<bool> = parse_disks(disks).expect("a report").iter().map(|disk| disk.is_missing).collect();
        assert_eq!(gone, [false, true]);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for text in ["", "  No volume groups found", "{}", r#"{"report":[{"vg":[]}]}"#] {
            assert!(parse_volumes(text).is_err(), "{text}");
        }
        assert_eq!(parse_volumes(r#"{"report":[{"lv":[]}]}"#), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\{|\\}|\\[|\\]|\"report\"|\"lv\"|\"lv_attr\"|:|,|\"é\"|[0-9]{1,9}|\\PC){0,40}") {
            let _ = (parse_volumes(&text), parse_groups(&text), parse_disks(&text));
        }

        #[test]
        fn any_truncation_reads_or_refuses(cut in 0usize..1300) {
            let _ = parse_volumes(LVS.get(..cut).unwrap_or(LVS));
        }
    }
}
