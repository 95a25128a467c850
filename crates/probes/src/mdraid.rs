//! `mdraid`: Linux software RAID by /proc/mdstat and /sys/block/md*/md: what redundancy is left, and what rebuilds.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};

use super::look::{Lane, look};
use super::mdstat::{Array, Operation, parse_mdstat};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

pub struct MdRaid {
    view: Arc<dyn HostView>,
    arrays: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Arrays that must exist (`md0`); one that is missing counts as off-line.
    pub arrays: Vec<String>,
}

impl Probe for MdRaid {
    const KIND: &'static str = "mdraid";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/mdraid.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(MdRaid { view: Arc::clone(&env.view), arrays: config.arrays })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let mut raids = look(&self.view, Lane::Kernel, deadline, |view| {
            let text = match view.read("/proc/mdstat") {
                Ok(text) => text,
                // Without the md driver there is no such file, and no array.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(error) => return Err(error),
            };
            Ok(parse_mdstat(&text).into_iter().map(|array| Raid::of(array, view)).collect::<Vec<_>>())
        })
        .await?;
        for name in &self.arrays {
            if !raids.iter().any(|raid| raid.array.name == *name) {
                raids.push(Raid::missing(name));
            }
        }
        Ok(observe(&raids))
    }
}

/// Words of the signal `raid`, best first.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum RaidState {
    Optl,
    /// Less redundancy than wanted, but some.
    Pdgd,
    /// No redundancy left, but on its way back.
    Rbld,
    /// No redundancy left.
    Dgrd,
    /// More members lost than the level can lose.
    OfLn,
}

impl RaidState {
    fn word(self) -> &'static str {
        match self {
            RaidState::Optl => "Optl",
            RaidState::Pdgd => "Pdgd",
            RaidState::Rbld => "Rbld",
            RaidState::Dgrd => "Dgrd",
            RaidState::OfLn => "OfLn",
        }
    }
}

/// One array with its state.
#[derive(Debug)]
struct Raid {
    array: Array,
    state: RaidState,
    rebuilding: Vec<String>,
    note: Option<&'static str>,
}

impl Raid {
    fn of(array: Array, view: &dyn HostView) -> Raid {
        let sysfs = |file: &str| {
            let path = format!("/sys/block/{}/md/{file}", array.name);
            view.read(&path).ok().map(|text| text.trim().to_owned())
        };
        let array_state = sysfs("array_state").unwrap_or_default();
        let broken = array.inactive || matches!(array_state.as_str(), "inactive" | "clear" | "broken");
        // The kernel's own count wins: mdstat has no [n/m] for levels without redundancy.
        let missing = sysfs("degraded").and_then(|n| n.parse().ok()).unwrap_or_else(|| array.missing());
        let recovering = matches!(&array.operation, Some(op) if op.name == "recovery" || op.name == "reshape");
        let state = state_of(&array, missing, broken, recovering);
        let rebuilding = if recovering && missing > 0 { rebuilding_members(&array, sysfs) } else { Vec::new() };
        let note = broken.then_some("the array does not run");
        Raid { array, state, rebuilding, note }
    }

    fn missing(name: &str) -> Raid {
        let array = Array { name: name.to_owned(), inactive: true, ..Array::default() };
        Raid { array, state: RaidState::OfLn, rebuilding: Vec::new(), note: Some("this host has no such array") }
    }

    /// The value of the signal `raid`.
    fn value(&self) -> Value {
        let array = &self.array;
        let mut pairs: Vec<(&str, Value)> = vec![
            ("vd", array.name.as_str().into()),
            ("level", array.level.to_uppercase().into()),
            ("state", self.state.word().into()),
            ("pd_failed", array.failed().into()),
            ("hotspare", array.spares().into()),
        ];
        if !self.rebuilding.is_empty() {
            pairs.push(("rebuilding", self.rebuilding.clone().into()));
        }
        if let Some(progress) = array.operation.as_ref().and_then(|op| op.progress_pct) {
            pairs.push(("progress", progress.into()));
        }
        pairs.into_iter().collect()
    }

    fn line(&self) -> String {
        let array = &self.array;
        let mut line = format!("{} {}: {}", array.name, array.level, self.state.word());
        if let Some((wanted, working)) = array.members_wanted_working {
            line.push_str(&format!(", {working} of {wanted} members work"));
        }
        if !array.failed().is_empty() {
            line.push_str(&format!(", faulty: {}", array.failed().join(" ")));
        }
        if let Some(op) = &array.operation {
            line.push_str(&format!(", {}", op.describe()));
        }
        if let Some(note) = self.note {
            line.push_str(&format!(" ({note})"));
        }
        line
    }
}

/// Members that a level can lose and still give data; RAID 10 is counted by its worst case, one.
fn redundancy(array: &Array) -> usize {
    match array.level.as_str() {
        "raid1" => array.members_wanted_working.map_or(1, |(wanted, _)| wanted.saturating_sub(1)),
        "raid4" | "raid5" | "raid10" => 1,
        "raid6" => 2,
        _ => 0,
    }
}

fn state_of(array: &Array, missing: usize, broken: bool, recovering: bool) -> RaidState {
    let spare = redundancy(array);
    if broken {
        return RaidState::OfLn;
    }
    match missing {
        0 => RaidState::Optl,
        // A RAID 10 that still runs has lost at most one of each pair: it has not failed, whatever the count.
        n if n > spare && array.level != "raid10" => RaidState::OfLn,
        n if n < spare => RaidState::Pdgd,
        _ if recovering => RaidState::Rbld,
        _ => RaidState::Dgrd,
    }
}

/// The members that are being filled: by sysfs, else those with a number behind the slots of the array.
fn rebuilding_members(array: &Array, sysfs: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let wanted = array.members_wanted_working.map_or(0, |(wanted, _)| wanted);
    let filled = |member: &&super::mdstat::Member| {
        if member.faulty || member.spare {
            return false;
        }
        match sysfs(&format!("dev-{}/state", member.device)) {
            // While it is filled a member is a "spare" that has a slot.
            Some(state) => state.split(',').any(|word| word == "spare"),
            None => member.number >= wanted,
        }
    };
    array.members.iter().filter(filled).map(|member| member.device.clone()).collect()
}

fn observe(raids: &[Raid]) -> Observation {
    let Some(worst) = raids.iter().rev().max_by_key(|raid| raid.state) else {
        return Observation::observed("this host has no software RAID").fact("arrays", 0usize);
    };
    let count = |state: RaidState| raids.iter().filter(|raid| raid.state == state).count();
    let degraded = count(RaidState::Dgrd) + count(RaidState::Pdgd) + count(RaidState::Rbld);
    let long: Vec<String> = raids.iter().map(Raid::line).collect();
    let mut seen = Observation::observed(worst.line())
        .long(long.join("\n"))
        .fact("raid", worst.value())
        .fact("state", worst.state.word())
        .fact("arrays", raids.len())
        .fact("degraded", degraded)
        .fact("failed", count(RaidState::OfLn))
        .fact("spares", raids.iter().map(|raid| raid.array.spares()).sum::<usize>());
    if let Some(Operation { name, progress_pct, finish_min, .. }) = &worst.array.operation {
        seen = seen.fact("operation", name.as_str());
        if let Some(minutes) = finish_min {
            seen = seen.fact("finish_min", *minutes);
        }
        if let Some(pct) = progress_pct {
            seen = seen.fact("progress_pct", *pct);
        }
    }
    for raid in raids {
        let name = &raid.array.name;
        if let Some((wanted, working)) = raid.array.members_wanted_working {
            seen = seen.measure(&format!("missing {name}"), wanted.saturating_sub(working) as f64, "");
        }
        if let Some(pct) = raid.array.operation.as_ref().and_then(|op| op.progress_pct) {
            seen = seen.measure(&format!("progress {name}"), pct, "%");
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{number, run_on_files, text};

    async fn run(mdstat: &str) -> Observation {
        run_on_files("mdraid", "{}", &[("/proc/mdstat", mdstat)]).await.expect("observed")
    }

    macro_rules! capture {
        ($name:literal) => {
            include_str!(concat!("../../../tests/data/captures/", $name, ".txt"))
        };
    }

    #[tokio::test]
    async fn captured_arrays_read_as_they_were() {
        for (capture, state, failed) in [
            (capture!("mdstat_healthy"), "Optl", "[]"),
            (capture!("mdstat_check"), "Optl", "[]"),
            (capture!("mdstat_failed"), "Dgrd", "[vdb]"),
            (capture!("mdstat_degraded"), "Dgrd", "[]"),
            (capture!("mdstat_recovering"), "Rbld", "[]"),
            (capture!("mdstat_recovered"), "Optl", "[]"),
        ] {
            let seen = run(capture).await;
            let raid = &seen.facts["raid"];
            assert_eq!(raid.get("state").and_then(Value::text), Some(state), "{capture}");
            assert_eq!(raid.get("pd_failed").map(ToString::to_string).as_deref(), Some(failed), "{capture}");
            assert_eq!(raid.get("level").and_then(Value::text), Some("RAID1"));
            assert_eq!(raid.get("vd").and_then(Value::text), Some("md0"));
        }
    }

    #[tokio::test]
    async fn a_rebuild_names_its_disk_and_its_progress() {
        let seen = run(capture!("mdstat_recovering")).await;
        let raid = &seen.facts["raid"];
        assert_eq!(raid.get("progress").and_then(Value::number), Some(12.5));
        assert_eq!(raid.get("rebuilding").map(ToString::to_string).as_deref(), Some("[vdc]"));
        assert_eq!(number(&seen, "finish_min"), 0.4);
        assert_eq!(text(&seen, "operation"), "recovery");
    }

    /// Hand-written from drivers/md/md.c (status_unused, md_seq_show).
    const SEVERAL: &str = "Personalities : [raid1] [raid6] [raid5] [raid4]\n\
        md2 : inactive sdx1[0](S)\n      976 blocks super 1.2\n\n\
        md1 : active raid6 sdd1[3] sdc1[2] sdb1[1](F) sda1[0] sde1[4](S)\n\
        \x20     976630336 blocks super 1.2 level 6, 512k chunk, algorithm 2 [4/3] [U_UU]\n\
        \x20     bitmap: 3/8 pages [12KB], 65536KB chunk\n\n\
        md0 : active (auto-read-only) raid0 sdg1[1] sdf1[0]\n      976630336 blocks super 1.2 512k chunks\n\n\
        unused devices: <none>\n";

    #[tokio::test]
    async fn the_worst_of_several_arrays_is_the_signal() {
        let seen = run(SEVERAL).await;
        assert_eq!(seen.facts["raid"].get("vd").and_then(Value::text), Some("md2"));
        assert_eq!(text(&seen, "state"), "OfLn");
        assert_eq!((number(&seen, "arrays"), number(&seen, "degraded"), number(&seen, "failed")), (3.0, 1.0, 1.0));
        assert_eq!(seen.long_text.lines().count(), 3);
    }

    #[tokio::test]
    async fn raid6_with_one_disk_gone_is_partially_degraded() {
        let only = SEVERAL.replace("md2 : inactive sdx1[0](S)\n", "");
        let seen = run(&only).await;
        let raid = &seen.facts["raid"];
        assert_eq!(raid.get("state").and_then(Value::text), Some("Pdgd"));
        assert_eq!(raid.get("hotspare").and_then(Value::number), Some(1.0));
        assert_eq!(number(&seen, "spares"), 1.0);
    }

    #[tokio::test]
    async fn more_members_gone_than_the_level_bears_is_offline() {
        let raid5 = "md0 : active raid5 sdc1[2] sdb1[1](F) sda1[0](F)\n      9 blocks level 5 [3/1] [__U]\n";
        assert_eq!(text(&run(raid5).await, "state"), "OfLn");
        let raid10 = raid5.replace("raid5", "raid10").replace("[3/1] [__U]", "[4/2] [U_U_]");
        assert_eq!(text(&run(&raid10).await, "state"), "Dgrd");
    }

    #[tokio::test]
    async fn sysfs_overrules_mdstat() {
        let files = [
            ("/proc/mdstat", capture!("mdstat_healthy")),
            ("/sys/block/md0/md/array_state", "broken\n"),
            ("/sys/block/md0/md/degraded", "0\n"),
        ];
        let seen = run_on_files("mdraid", "{}", &files).await.expect("observed");
        assert_eq!(text(&seen, "state"), "OfLn");
    }

    #[tokio::test]
    async fn no_driver_means_no_array_but_a_wanted_array_is_missed() {
        let seen = run_on_files("mdraid", "{}", &[]).await.expect("observed");
        assert_eq!(number(&seen, "arrays"), 0.0);
        assert!(!seen.facts.contains_key("raid"));
        let seen = run_on_files("mdraid", r#"{"arrays":["md7"]}"#, &[]).await.expect("observed");
        assert_eq!(text(&seen, "state"), "OfLn");
    }
}
