//! The storage of simulated hosts as the kernel and its tools tell it: md arrays, paths to a SAN, a replicated disk.

use std::collections::BTreeMap;

use super::plan::HostPlan;
use crate::probes::view::ToolRun;

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wounds {
    pub disk_failed: bool,
    pub controller_lost: bool,
    pub paths_lost: bool,
    pub peer_lost: bool,
    pub split_brain: bool,
}

/// Adds the files and the words of tools of this host's storage.
pub fn put(
    plan: &HostPlan,
    wounds: Wounds,
    files: &mut BTreeMap<String, String>,
    tools: &mut BTreeMap<String, ToolRun>,
) {
    let mut says = |line: &str, text: String| {
        tools.insert(line.to_owned(), ToolRun { code: Some(0), stdout: text, stderr: String::new() });
    };
    if plan.is_physical() {
        put_md(wounds.disk_failed, files);
    }
    if plan.has_san() {
        says("multipathd show maps json", multipath(wounds));
    }
    if plan.has_drbd() {
        files.insert("/proc/drbd".to_owned(), drbd(wounds));
        says(
            "drbdsetup status --verbose --statistics",
            "bukkits role:Primary suspended:no\n  volume:0 minor:0 disk:UpToDate\n".to_owned(),
        );
        says("dmesg", if wounds.split_brain { SPLIT_BRAIN } else { "" }.to_owned());
    }
}

fn put_md(failed: bool, files: &mut BTreeMap<String, String>) {
    files.insert("/proc/mdstat".to_owned(), mdstat(failed));
    for (name, value) in [
        ("array_state", "clean"),
        ("degraded", if failed { "1" } else { "0" }),
        ("sync_action", "idle"),
        ("raid_disks", "2"),
        ("level", "raid1"),
    ] {
        files.insert(format!("/sys/block/md0/md/{name}"), format!("{value}\n"));
    }
}

fn mdstat(degraded: bool) -> String {
    let line = if degraded {
        "md0 : active raid1 sdb1[1](F) sda1[0]\n      976630464 blocks super 1.2 [2/1] [U_]"
    } else {
        "md0 : active raid1 sdb1[1] sda1[0]\n      976630464 blocks super 1.2 [2/2] [UU]"
    };
    format!("Personalities : [raid1] \n{line}\n      \nunused devices: <none>\n")
}

/// One LUN by two adapters and two controllers, as libmultipath/print.c prints it.
fn multipath(wounds: Wounds) -> String {
    let path = |device: &str, adapter: &str, controller: &str, is_second: bool| {
        let failed = wounds.paths_lost || (wounds.controller_lost && is_second);
        let (dm, checker) = if failed { ("failed", "faulty") } else { ("active", "ready") };
        format!(
            r#"{{"dev":"{device}","dm_st":"{dm}","dev_st":"running","chk_st":"{checker}","host_wwpn":"{adapter}","target_wwpn":"{controller}"}}"#
        )
    };
    let (one, two) = ("0x50060e8010000001", "0x50060e8010000002");
    let (left, right) = ("0x2100000000000001", "0x2100000000000002");
    let paths = [
        path("sdc", left, one, false),
        path("sdd", right, one, false),
        path("sde", left, two, true),
        path("sdf", right, two, true),
    ];
    format!(
        r#"{{"major_version":0,"minor_version":1,"maps":[{{"name":"volumes","uuid":"360060e8010053b900000000000000001","sysfs":"dm-2","vend":"DEMO","prod":"SAN","features":"1 queue_if_no_path","path_groups":[{{"dm_st":"active","paths":[{}]}}]}}]}}"#,
        paths.join(",")
    )
}

fn drbd(wounds: Wounds) -> String {
    let state = match (wounds.split_brain, wounds.peer_lost) {
        (true, _) => "cs:StandAlone ro:Primary/Unknown ds:UpToDate/DUnknown   r-----",
        (false, true) => "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C r-----",
        (false, false) => "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----",
    };
    let behind = if wounds.split_brain || wounds.peer_lost { 40_960 } else { 0 };
    format!(
        "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: F73C670A7EC572DB9CF3E5B \n 0: {state}\n    \
         ns:65496 nr:0 dw:0 dr:65496 al:8 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:{behind}\n"
    )
}

const SPLIT_BRAIN: &str = "[84210.334871] block drbd0: Split-Brain detected but unresolved, dropping connection!\n";
