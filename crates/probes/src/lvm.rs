//! `lvm`: volume groups that lost disks, RAID volumes, thin pools and snapshots that fill up, by `lvs`, `vgs` and `pvs`.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::lvm::{
    Disk, Group, Kind, LV_COLUMNS, PV_COLUMNS, VG_COLUMNS, Volume, parse_disks, parse_groups, parse_volumes,
};
use stentor_wire::tool_json::JsonError;

use super::tool::{Tool, refusal};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Volumes told one by one; the counts are of all.
const TOLD_MAX: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Volume groups that must be there.
    pub groups: Vec<String>,
    /// Comes before each tool: `["sudo", "-n"]`.
    pub prefix: Vec<String>,
}

pub struct Lvm {
    view: Arc<dyn HostView>,
    groups: Vec<String>,
    lvs: Tool,
    vgs: Tool,
    pvs: Tool,
}

#[derive(Debug, Default)]
struct Seen {
    volumes: Vec<Volume>,
    groups: Vec<Group>,
    disks: Vec<Disk>,
}

impl Probe for Lvm {
    const KIND: &'static str = "lvm";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/lvm.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let tool = |names: &'static [&'static str]| {
            let mut command = config.prefix.clone();
            if !command.is_empty() {
                command.extend(names.first().map(|name| (*name).to_owned()));
            }
            Tool::new(names, &command)
        };
        let (lvs, vgs, pvs) = (tool(&["lvs"])?, tool(&["vgs"])?, tool(&["pvs"])?);
        Ok(Lvm { view: Arc::clone(&env.view), groups: config.groups, lvs, vgs, pvs })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        // Without the tools nobody can have made a volume group.
        let Some(groups) = self.rows(&self.vgs, VG_COLUMNS, parse_groups, deadline).await? else {
            return Ok(observe(&Seen::default(), &self.groups));
        };
        let volumes = self.rows(&self.lvs, LV_COLUMNS, parse_volumes, deadline).await?.unwrap_or_default();
        let disks = self.rows(&self.pvs, PV_COLUMNS, parse_disks, deadline).await?.unwrap_or_default();
        Ok(observe(&Seen { volumes, groups, disks }, &self.groups))
    }
}

impl Lvm {
    async fn rows<T>(
        &self,
        tool: &Tool,
        columns: &str,
        parse: fn(&str) -> Result<Vec<T>, JsonError>,
        deadline: Deadline,
    ) -> Result<Option<Vec<T>>, ProbeError> {
        // Plain bytes: whatever lvm.conf says of units, and however a language writes numbers.
        let args = ["--reportformat", "json", "--units", "b", "--nosuffix", "-o", columns];
        let Some(run) = tool.run(&self.view, &args, deadline).await? else { return Ok(None) };
        match parse(&run.stdout) {
            // A missing disk makes some versions end with 5 although the report is whole.
            Ok(rows) if matches!(run.code, Some(0 | 5)) => Ok(Some(rows)),
            Ok(_) => Err(refusal(tool, &run, "it failed")),
            Err(error) => Err(refusal(tool, &run, &error.to_string())),
        }
    }
}

impl Seen {
    fn missing_of(&self, group: &str) -> u64 {
        self.groups.iter().find(|one| one.name == group).map_or(0, |one| one.missing)
    }

    fn word(&self, volume: &Volume) -> &'static str {
        volume.raid_word(self.missing_of(&volume.group))
    }

    fn raids(&self) -> impl Iterator<Item = &Volume> {
        self.volumes.iter().filter(|one| matches!(one.kind, Kind::Raid | Kind::Mirror))
    }

    fn paths(&self, meant: impl Fn(&Volume) -> bool) -> Vec<String> {
        self.volumes.iter().filter(|one| meant(one)).map(Volume::path).collect()
    }

    /// Fullness of volumes of a kind, the most of all.
    fn fullest(&self, kind: Kind, of: impl Fn(&Volume) -> Option<f64>) -> f64 {
        self.volumes.iter().filter(|one| one.kind == kind).filter_map(of).fold(0.0, f64::max)
    }

    /// A value of the signal `raid`.
    fn value(&self, volume: &Volume) -> Value {
        let mut pairs: Vec<(&str, Value)> = vec![
            ("vd", volume.path().into()),
            ("level", volume.segment.split('_').next().unwrap_or_default().to_uppercase().into()),
            ("state", self.word(volume).into()),
            ("pd_failed", Value::List(Vec::new())),
        ];
        if let Some(pct) = volume.sync_pct.filter(|pct| *pct < 100.0) {
            pairs.push(("progress", pct.into()));
        }
        pairs.into_iter().collect()
    }

    fn line(&self, volume: &Volume) -> String {
        let mut line = format!("{} ({})", volume.path(), volume.segment);
        if matches!(volume.kind, Kind::Raid | Kind::Mirror) {
            line.push_str(&format!(": {}", self.word(volume)));
            if let Some(pct) = volume.sync_pct.filter(|pct| *pct < 100.0) {
                line.push_str(&format!(", {pct} % in sync"));
            }
        }
        for (what, pct) in [("data", volume.data_pct), ("metadata", volume.metadata_pct)] {
            if let Some(pct) = pct {
                line.push_str(&format!(", {what} {pct} % full"));
            }
        }
        let notes = [
            (volume.is_lost(), "DATA NOT AVAILABLE"),
            (volume.is_invalid, "snapshot overflowed and is lost"),
            (volume.is_read_only(), "takes no writes"),
            (volume.needs_check, "wants thin_check"),
        ];
        for (_, note) in notes.into_iter().filter(|(holds, _)| *holds) {
            line.push_str(&format!(", {note}"));
        }
        if !volume.health.is_empty() {
            line.push_str(&format!(" ({})", volume.health));
        }
        line
    }

    /// Worst first.
    fn rank(&self, volume: &Volume) -> (bool, bool, bool, u8) {
        let word = match self.word(volume) {
            "Optl" => 0,
            "Pdgd" => 1,
            "Rbld" => 2,
            "Dgrd" => 3,
            _ => 4,
        };
        let full = volume.is_read_only() || volume.is_invalid || volume.needs_check;
        (!volume.is_lost(), !full, volume.health.is_empty(), 4 - word)
    }
}

fn observe(seen: &Seen, wanted: &[String]) -> Observation {
    let is_there = |name: &&String| seen.groups.iter().any(|group| group.name == **name);
    let absent: Vec<String> = wanted.iter().filter(|name| !is_there(name)).cloned().collect();
    let gone: Vec<String> = seen.groups.iter().filter(|group| group.missing > 0).map(|g| g.name.clone()).collect();
    let mut sorted: Vec<&Volume> = seen.volumes.iter().collect();
    sorted.sort_by_key(|volume| (seen.rank(volume), volume.path()));
    let trouble = sorted.first().filter(|volume| seen.rank(volume) < (true, true, true, 4));
    let mut headline = match (seen.groups.as_slice(), trouble) {
        ([], _) => "this host has no volume group".to_owned(),
        (_, Some(volume)) => seen.line(volume),
        (groups, None) => format!("{} volumes in {} groups are well", seen.volumes.len(), groups.len()),
    };
    if !gone.is_empty() {
        let count: u64 = seen.groups.iter().map(|group| group.missing).fold(0, u64::saturating_add);
        headline = format!("{count} disks of {} are gone; {headline}", gone.join(", "));
    }
    if !absent.is_empty() {
        headline = format!("missing: {}; {headline}", absent.join(", "));
    }
    let lines: Vec<String> = sorted.iter().take(TOLD_MAX).map(|volume| seen.line(volume)).collect();
    let lost_disks = seen.disks.iter().filter(|disk| disk.is_missing);
    let worst = seen.raids().map(|volume| seen.word(volume)).max_by_key(|word| rank_of(word)).unwrap_or("none");
    measured(seen, &sorted, Observation::observed(headline).long(lines.join("\n")))
        .fact("groups", seen.groups.len())
        .fact("volumes", seen.volumes.len())
        .fact("missing", absent)
        .fact("disks_gone_in", gone)
        .fact("disks_gone", lost_disks.map(|disk| format!("{} {}", disk.group, disk.uuid)).collect::<Vec<_>>())
        .fact("state", worst)
        .fact("lost", seen.paths(Volume::is_lost))
        .fact("refresh", seen.paths(|one| one.health == "refresh needed"))
        .fact("mismatches", seen.paths(|one| one.health == "mismatches exist"))
        .fact("snapshots_lost", seen.paths(|one| one.is_invalid))
        .fact("read_only", seen.paths(Volume::is_read_only))
        .fact("need_check", seen.paths(|one| one.needs_check))
        .fact("thin_data_pct_max", seen.fullest(Kind::ThinPool, |one| one.data_pct))
        .fact("thin_metadata_pct_max", seen.fullest(Kind::ThinPool, |one| one.metadata_pct))
        .fact("snapshot_pct_max", seen.fullest(Kind::Snapshot, |one| one.data_pct))
        .fact("raid", Value::List(seen.raids().map(|volume| seen.value(volume)).collect()))
}

fn rank_of(word: &str) -> usize {
    const WORDS: [&str; 5] = ["Optl", "Pdgd", "Rbld", "Dgrd", "OfLn"];
    WORDS.iter().position(|known| *known == word).unwrap_or(WORDS.len())
}

fn measured(seen: &Seen, sorted: &[&Volume], mut told: Observation) -> Observation {
    for volume in sorted.iter().take(TOLD_MAX) {
        let name = volume.path();
        for (label, pct) in [("data", volume.data_pct), ("metadata", volume.metadata_pct), ("sync", volume.sync_pct)] {
            if let Some(pct) = pct {
                told = told.measure(&format!("{label} {name}"), pct, "%");
            }
        }
    }
    for group in seen.groups.iter().take(TOLD_MAX) {
        if let Some(free) = group.free_bytes {
            told = told.measure(&format!("free {}", group.name), free, "B");
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{number, run_on, text};
    use crate::view::ToolRun;

    fn line(tool: &str, columns: &str) -> String {
        format!("{tool} --reportformat json --units b --nosuffix -o {columns}")
    }

    fn host(vgs: &str, lvs: &str, pvs: &str) -> Arc<SimView> {
        let run = |rows: &str, key: &str| ToolRun {
            code: Some(0),
            stdout: format!("  WARNING: VG vg0 is missing PV abc.\n{{\"report\":[{{\"{key}\":[{rows}]}}]}}"),
            stderr: String::new(),
        };
        let tools = [
            (line("vgs", VG_COLUMNS), run(vgs, "vg")),
            (line("lvs", LV_COLUMNS), run(lvs, "lv")),
            (line("pvs", PV_COLUMNS), run(pvs, "pv")),
        ];
        Arc::new(SimView::of(SimHost { tools: tools.into(), ..SimHost::default() }))
    }

    const WELL: &str = r#"{"vg_name":"vg0","vg_attr":"wz--n-","vg_free":"4096","vg_missing_pv_count":"0"}"#;
    const PARTIAL: &str = r#"{"vg_name":"vg0","vg_attr":"wz-pn-","vg_free":"4096","vg_missing_pv_count":"1"}"#;

    #[tokio::test]
    async fn a_lost_disk_leaves_a_mirror_and_takes_a_plain_volume() {
        let lvs = r#"{"vg_name":"vg0","lv_name":"root","lv_attr":"rwi-aor-p-","segtype":"raid1","sync_percent":"100.00"},
            {"vg_name":"vg0","lv_name":"data","lv_attr":"-wi-a---p-","segtype":"linear"}"#;
        let pvs = r#"{"pv_name":"[unknown]","vg_name":"vg0","pv_attr":"a-m","pv_uuid":"abc"}"#;
        let seen = run_on("lvm", "{}", host(PARTIAL, lvs, pvs)).await.expect("observed");
        assert_eq!((text(&seen, "state"), text(&seen, "lost")), ("Dgrd".into(), "[vg0/data]".into()));
        assert_eq!((text(&seen, "disks_gone_in"), text(&seen, "disks_gone")), ("[vg0]".into(), "[vg0 abc]".into()));
        assert!(seen.text.starts_with("1 disks of vg0 are gone; vg0/data (linear), DATA NOT"), "{}", seen.text);
        let raid = &seen.facts["raid"].list().expect("a list")[0];
        assert_eq!(raid.get("level").and_then(Value::text), Some("RAID1"));
    }

    #[tokio::test]
    async fn pools_and_snapshots_tell_how_full_they_are() {
        let lvs = r#"{"vg_name":"vg0","lv_name":"pool","lv_attr":"twi-aotz--","segtype":"thin-pool","data_percent":"91.20","metadata_percent":"40.0"},
            {"vg_name":"vg0","lv_name":"thin","lv_attr":"Vwi-aotz--","segtype":"thin","data_percent":"99.0"},
            {"vg_name":"vg0","lv_name":"snap","lv_attr":"swi-a-s---","segtype":"linear","data_percent":"55.5"}"#;
        let seen = run_on("lvm", r#"{"groups":["vg0","vg9"]}"#, host(WELL, lvs, "")).await.expect("observed");
        let pct = ["thin_data_pct_max", "thin_metadata_pct_max", "snapshot_pct_max"].map(|fact| number(&seen, fact));
        assert_eq!(pct, [91.2, 40.0, 55.5]);
        assert_eq!(
            (text(&seen, "missing"), text(&seen, "state"), text(&seen, "lost")),
            ("[vg9]".into(), "none".into(), "[]".into())
        );
        assert_eq!(
            seen.measurements.iter().find(|one| &*one.label == "free vg0").and_then(|one| one.value),
            Some(4096.0)
        );
    }

    #[tokio::test]
    async fn no_tool_is_no_group_and_a_refusal_is_never_health() {
        let none = run_on("lvm", r#"{"groups":["vg0"]}"#, Arc::new(SimView::new())).await.expect("observed");
        assert_eq!((number(&none, "groups"), text(&none, "missing")), (0.0, "[vg0]".into()));
        let denied = ToolRun {
            code: Some(5),
            stdout: String::new(),
            stderr: "  WARNING: Running as a non-root user.\n  /dev/mapper/control: open failed: Permission denied"
                .into(),
        };
        let tools = [(line("vgs", VG_COLUMNS), denied)].into();
        let seen = run_on("lvm", "{}", Arc::new(SimView::of(SimHost { tools, ..SimHost::default() }))).await;
        assert!(matches!(seen, Err(ProbeError::MissingRight(_))), "{seen:?}");
    }
}
