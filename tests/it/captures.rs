//! Every capture of a real kernel or tool is classified as the service would: probe, rules of the pack, signals, verdict.
//! A capture that nobody put into a table here fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use stentor::clock::Clock;
use stentor::config::finding::Diagnostics;
use stentor::config::pack::{self, Pack, Template};
use stentor::probes::sim_view::{SimHost, SimView};
use stentor::probes::view::ToolRun;
use stentor::probes::{Network, ProbeEnv, Target, find};
use stentor_core::diagnosis::{Signal, Timing, Topology, Visibility, diagnose};
use stentor_core::model::{Observation, Value};
use stentor_core::rules::judge;
use stentor_core::{Span, Timestamp};
use tokio::time::Instant;

use crate::tidy::source::{files, root};

/// Where a capture is found on the host that it is of.
#[derive(Clone, Copy)]
enum At {
    File(&'static str),
    /// Lines `name: value`, each a file of this folder.
    Folder(&'static str),
    /// What this command line prints.
    Tool(&'static str),
}

/// A capture that a check reads, and what must come of it.
struct Read {
    capture: &'static str,
    at: At,
    /// What else that host shows; a name that begins with `=` is the text itself.
    with: &'static [(At, &'static str)],
    check: &'static str,
    params: &'static str,
    state: &'static str,
    /// `sig JSON`; of maps only the members named here are compared.
    signals: &'static [&'static str],
    /// `class/subtype severity visibility runbook`
    verdicts: &'static [&'static str],
}

const BOND: At = At::File("/proc/net/bonding/bond0");
const MDSTAT: At = At::File("/proc/mdstat");
const PROC_DRBD: At = At::File("/proc/drbd");
const DMESG: At = At::Tool("dmesg");
const STATUS: At = At::Tool("drbdsetup status --verbose --statistics");
const NAMES: &str = r#"{"names":{"0":"r0","1":"r1"}}"#;
/// Where only the tool tells the state; it is too old for JSON.
const NINE: &[(At, &str)] = &[
    (PROC_DRBD, "=version: 9.0.0 (api:2/proto:86-110)\n"),
    (At::Tool("drbdsetup status --json"), "=drbdsetup: unrecognized option '--json'"),
];

const fn bond(
    capture: &'static str,
    state: &'static str,
    signals: &'static [&'static str],
    verdicts: &'static [&'static str],
) -> Read {
    Read { capture, at: BOND, with: &[], check: "hardware/bond", params: "{}", state, signals, verdicts }
}

const fn md(
    capture: &'static str,
    state: &'static str,
    signals: &'static [&'static str],
    verdicts: &'static [&'static str],
) -> Read {
    Read { capture, at: MDSTAT, with: &[], check: "hardware/mdraid", params: "{}", state, signals, verdicts }
}

const fn drbd(
    capture: &'static str,
    state: &'static str,
    signals: &'static [&'static str],
    verdicts: &'static [&'static str],
) -> Read {
    Read { capture, at: PROC_DRBD, with: &[], check: "hardware/drbd", params: NAMES, state, signals, verdicts }
}

const fn status(
    capture: &'static str,
    state: &'static str,
    signals: &'static [&'static str],
    verdicts: &'static [&'static str],
) -> Read {
    Read { capture, at: STATUS, with: NINE, check: "hardware/drbd", params: "{}", state, signals, verdicts }
}

/// Two primary-capable ends of one machine: what both say when all is well.
const PAIR_OK: &[&str] = &[
    r#"drbd {"res":"r0","cs":"Connected","ro":"Primary/Secondary","ds":"UpToDate/UpToDate"}"#,
    r#"drbd {"res":"r1","cs":"Connected","ro":"Secondary/Primary","ds":"UpToDate/UpToDate"}"#,
];
const SPLIT: &str = "split_brain/drbd critical invisible RB-H38";
const PEER_LOST: &str = "redundancy_lost/drbd_connection major invisible RB-H37";
const SYNCING: &str = "redundancy_lost/drbd_disk warning invisible RB-H40";
const DISKLESS: &str = "redundancy_lost/drbd_disk major invisible RB-H39";

const BONDS: &[Read] = &[
    bond("bond_ab_healthy", "OK", &[r#"bond {"mode":"active-backup","slaves":2,"up":2,"active":"eth0"}"#], &[]),
    bond(
        "bond_ab_failover",
        "WARNING",
        &[r#"bond {"slaves":2,"up":1,"down":["eth0"],"active":"eth1"}"#],
        &["redundancy_lost/bond_slave major invisible RB-H24"],
    ),
    bond("bond_ad_healthy", "OK", &[r#"bond {"mode":"802.3ad","slaves":2,"up":2,"ports":2}"#], &[]),
    bond("bond_ad_recovered", "OK", &[r#"bond {"slaves":2,"up":2,"ports":2}"#], &[]),
    // Taken before the driver had polled the link that was pulled: it still calls both slaves up.
    bond("bond_ad_slave_down", "OK", &[r#"bond {"slaves":2,"up":2,"ports":2}"#], &[]),
    bond(
        "bond_ad_all_down",
        "CRITICAL",
        &[r#"bond {"slaves":2,"up":0,"down":["eth0","eth1"]}"#],
        &["network/host_links critical visible RB-H25"],
    ),
    bond(
        "bond_ad_nopartner",
        "WARNING",
        &[r#"bond {"slaves":2,"up":2,"ports":1,"finding":"no_partner"}"#],
        &["redundancy_lost/lacp_partner major invisible RB-H27"],
    ),
    bond(
        "bond_ad_partner_missing_one_port",
        "WARNING",
        &[r#"bond {"slaves":2,"up":2,"ports":1,"aggregators":[1,2]}"#],
        &["redundancy_lost/lacp_mismatch major invisible RB-H26"],
    ),
];

const ARRAYS: &[Read] = &[
    md("mdstat_healthy", "OK", &[r#"raid {"vd":"md0","level":"RAID1","state":"Optl","pd_failed":[]}"#], &[]),
    md("mdstat_recovered", "OK", &[r#"raid {"vd":"md0","state":"Optl"}"#], &[]),
    // A scrub is no fault.
    md("mdstat_check", "OK", &[r#"raid {"vd":"md0","state":"Optl","progress":4.7}"#], &[]),
    md(
        "mdstat_failed",
        "WARNING",
        &[r#"raid {"vd":"md0","state":"Dgrd","pd_failed":["vdb"]}"#],
        &["redundancy_lost/raid_degraded major invisible RB-H15"],
    ),
    md(
        "mdstat_degraded",
        "WARNING",
        &[r#"raid {"vd":"md0","state":"Dgrd","pd_failed":[]}"#],
        &["redundancy_lost/raid_degraded major invisible RB-H15"],
    ),
    md(
        "mdstat_recovering",
        "WARNING",
        &[r#"raid {"vd":"md0","state":"Rbld","rebuilding":["vdc"],"progress":12.5}"#],
        &["redundancy_lost/raid_rebuilding warning invisible RB-H16"],
    ),
    Read {
        capture: "md_sysfs",
        at: At::Folder("/sys/block/md0/md"),
        with: &[(MDSTAT, "mdstat_check")],
        ..md("", "OK", &[r#"raid {"vd":"md0","level":"RAID1","state":"Optl"}"#], &[])
    },
];

const PROC_DRBDS: &[Read] = &[
    drbd("proc_drbd_healthy", "OK", PAIR_OK, &[]),
    drbd("proc_drbd_after_sb_recovery", "OK", PAIR_OK, &[]),
    // The module alone: no resource is configured, and none is wanted.
    drbd("drbd_version", "OK", &[], &[]),
    Read { with: &[(DMESG, "=")], ..drbd("proc_drbd_disconnected", "WARNING", DISCONNECTED, &[PEER_LOST, PEER_LOST]) },
    drbd("proc_drbd_wfconnection", "WARNING", &[r#"drbd {"res":"r0","cs":"WFConnection"}"#], &[PEER_LOST]),
    drbd("proc_drbd_diskless", "WARNING", DISKS_GONE, &[DISKLESS, DISKLESS]),
    drbd(
        "proc_drbd_inconsistent",
        "WARNING",
        &[r#"drbd {"res":"r0","ds":"Inconsistent/Inconsistent"}"#, r#"drbd {"res":"r1"}"#],
        &[SYNCING, SYNCING],
    ),
    drbd("proc_drbd_syncing", "WARNING", SYNC, &[SYNCING, SYNCING]),
    // Without the log nobody can tell a split brain from a cut connection.
    drbd("proc_drbd_splitbrain", "WARNING", ALONE, &[PEER_LOST, PEER_LOST]),
    Read {
        capture: "drbd_dmesg_splitbrain",
        at: DMESG,
        with: &[(PROC_DRBD, "proc_drbd_splitbrain")],
        ..drbd("", "CRITICAL", ALONE_AND_SPLIT, &[SPLIT, SPLIT])
    },
    // The log of a first sync, and of a split brain that is long solved: a connection that was cut is no split brain.
    Read {
        capture: "drbd_dmesg_first_sync",
        at: DMESG,
        with: &[(PROC_DRBD, "proc_drbd_disconnected")],
        ..drbd("", "WARNING", DISCONNECTED, &[PEER_LOST, PEER_LOST])
    },
    Read {
        capture: "dmesg_tail",
        at: DMESG,
        with: &[(PROC_DRBD, "proc_drbd_disconnected")],
        ..drbd("", "WARNING", DISCONNECTED, &[PEER_LOST, PEER_LOST])
    },
];

const DISCONNECTED: &[&str] = &[
    r#"drbd {"res":"r0","cs":"WFConnection","ro":"Primary/Unknown","ds":"UpToDate/DUnknown"}"#,
    r#"drbd {"res":"r1","cs":"StandAlone","ro":"Secondary/Unknown","ds":"UpToDate/DUnknown"}"#,
];
const DISKS_GONE: &[&str] =
    &[r#"drbd {"res":"r0","ds":"UpToDate/Diskless"}"#, r#"drbd {"res":"r1","ds":"Diskless/UpToDate"}"#];
const SYNC: &[&str] = &[r#"drbd {"res":"r0","cs":"SyncSource"}"#, r#"drbd {"res":"r1","cs":"SyncTarget"}"#];
const ALONE: &[&str] = &[
    r#"drbd {"res":"r0","cs":"StandAlone","ro":"Primary/Unknown"}"#,
    r#"drbd {"res":"r1","cs":"StandAlone","ro":"Secondary/Unknown"}"#,
];
const ALONE_AND_SPLIT: &[&str] = &[
    r#"drbd {"res":"r0","cs":"StandAlone","ro":"Primary/Unknown"}"#,
    r#"drbd {"res":"r1","cs":"StandAlone","ro":"Secondary/Unknown"}"#,
    r#"split_brain {"res":"r0","found":true}"#,
    r#"split_brain {"res":"r1","found":true}"#,
];

const STATUSES: &[Read] = &[
    status("drbdsetup_status_healthy", "OK", PAIR_OK, &[]),
    status("drbdadm_status", "OK", &[r#"drbd {"res":"r0","cs":"Connected"}"#], &[]),
    status("drbdsetup_status_syncing", "WARNING", SYNC, &[SYNCING, SYNCING]),
    status("drbdsetup_status_diskless", "WARNING", DISKS_GONE, &[DISKLESS, DISKLESS]),
    // It shows no connection at all; only the log, which is not here, has the reason.
    status("drbdsetup_status_splitbrain", "WARNING", ALONE, &[PEER_LOST, PEER_LOST]),
    Read {
        capture: "drbdsetup_events2",
        at: At::Tool("drbdsetup events2"),
        with: &[(PROC_DRBD, "proc_drbd_syncing")],
        ..drbd("", "WARNING", SYNC, &[SYNCING, SYNCING])
    },
];

/// All is well now, and was not: what happened is told for an hour.
const LATELY: &[Read] = &[Read {
    capture: "drbdsetup_events2_splitbrain",
    at: At::Tool("drbdsetup events2"),
    with: &[(PROC_DRBD, "proc_drbd_healthy")],
    ..drbd("", "WARNING", PAIR_OK, &[])
}];

/// What mdadm said of the moment that a capture of /proc/mdstat is of: its words of the state, and the signal's.
const MDADM: &[(&str, &str, &str)] = &[
    ("mdadm_detail_healthy", "mdstat_healthy", "clean"),
    ("mdadm_detail_failed", "mdstat_failed", "clean, degraded"),
    ("mdadm_detail_degraded", "mdstat_degraded", "clean, degraded"),
    ("mdadm_detail_recovering", "mdstat_recovering", "clean, degraded, recovering"),
];

/// Captures that no check reads, and why.
const UNREAD: &[(&str, &str)] = &[
    ("bond_ad_ip_link", "the figures of bond_ad_healthy by netlink; /proc/net/bonding has all of them and the slaves'"),
    ("bond_ad_slave_down_iplink", "one slave by netlink; the bond's own file tells it"),
    ("bond_sysfs", "the figures of bond_ad_healthy, a file each; they leave out the LACP state of the partner"),
    ("drbd_create_md", "what drbdmeta prints when it makes metadata: no state"),
    ("drbd_primary", "empty: a role change prints nothing"),
    ("drbd_up_a", "empty: bringing a resource up prints nothing"),
    ("drbd_up_b", "empty: bringing a resource up prints nothing"),
    ("drbdsetup_show", "configuration, no state"),
    ("ethtool_eth0", "speed and duplex of slaves are in /proc/net/bonding"),
    ("ip_link", "taken before anything was set up: interfaces that are down on purpose"),
    ("ipmi_chassis", "ipmitool's text; the probe asks the controller itself, tests/it/ipmi compares its power state"),
    ("ipmi_mc_info", "ipmitool's text; the probe asks the controller itself"),
    ("ipmi_sdr", "ipmitool's text; tests/it/ipmi compares every reading of the probe with it"),
    ("ipmi_sel", "ipmitool's text; tests/it/ipmi compares every entry of the probe with it"),
    ("lsmod", "modules that were loaded; what they drive is read"),
    ("md_create", "mdadm's word that it made an array: no state"),
];

fn reads() -> impl Iterator<Item = &'static Read> {
    [BONDS, ARRAYS, PROC_DRBDS, STATUSES, LATELY].into_iter().flatten()
}

fn capture(name: &str) -> String {
    match name.strip_prefix('=') {
        Some(text) => text.to_owned(),
        None => {
            let path = root().join("tests/data/captures").join(format!("{name}.txt"));
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        }
    }
}

fn put(host: &mut SimHost, at: At, text: String) {
    match at {
        At::File(path) => drop(host.files.insert(path.to_owned(), text)),
        At::Folder(folder) => {
            let pairs = text.lines().filter_map(|line| line.split_once(": "));
            host.files.extend(pairs.map(|(name, value)| (format!("{folder}/{name}"), format!("{value}\n"))));
        }
        At::Tool(line) => {
            let refused = text.contains("unrecognized option");
            let run = ToolRun { code: Some(if refused { 20 } else { 0 }), stdout: text, stderr: String::new() };
            host.tools.insert(line.to_owned(), run);
        }
    }
}

fn packs() -> Vec<Pack> {
    let mut found = Diagnostics::default();
    let packs = pack::load(&[], &mut found);
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    packs
}

fn template<'p>(packs: &'p [Pack], name: &str) -> &'p Template {
    let all = packs.iter().flat_map(|pack| &pack.checks);
    all.into_iter().find(|template| *template.check.name == *name).unwrap_or_else(|| panic!("no check {name}"))
}

async fn observe(read: &Read, template: &Template) -> Observation {
    let mut host = SimHost::default();
    put(&mut host, read.at, capture(read.capture));
    for (at, name) in read.with {
        put(&mut host, *at, capture(name));
    }
    let own: Value = serde_json::from_str(read.params).unwrap();
    let params = template.check.params.overlaid(&own);
    let clock = Clock::manual(Timestamp::from_secs(1_795_226_400));
    let env = ProbeEnv { net: Network::real(), view: Arc::new(SimView::of(host)), clock };
    let probe = (find(&template.check.probe).unwrap().build)(&params, &env).unwrap();
    let target = Target { host: "h1".into(), address: "192.0.2.1".into(), bmc: None };
    let deadline = Instant::now() + Duration::from_secs(20);
    probe.run(&target, deadline).await.unwrap_or_else(|error| panic!("{}: {error}", read.capture))
}

/// State, signals and verdicts, as the service would have them.
async fn classify(read: &Read, template: &Template) -> (String, Vec<(String, Value)>, Vec<String>) {
    let seen = observe(read, template).await;
    let judged = judge(&template.check.rules, &template.check.params, &seen);
    let at = Timestamp::from_secs(1_795_226_400);
    let said = template
        .check
        .signals
        .iter()
        .flat_map(|spec| spec.values(&seen, &judged).into_iter().map(|value| (spec.sig.to_string(), value)));
    // That nothing has split is said of each resource.
    let is_told = |(_, value): &(String, Value)| value.get("found").and_then(Value::bool) != Some(false);
    let said: Vec<(String, Value)> = said.filter(is_told).collect();
    let signals: Vec<Signal> = said
        .iter()
        .map(|(sig, value)| Signal {
            host: Some("h1".into()),
            component: None,
            sig: sig.as_str().into(),
            value: value.clone(),
            vantage: None,
            observed_at: at,
            changed_at: at,
            every: Span::from_secs(60),
        })
        .collect();
    let topology = Topology { hosts: BTreeMap::from([("h1".into(), Vec::new())]), ..Topology::default() };
    let diagnosis = diagnose(&topology, &signals, at, &Timing::default());
    let verdicts = diagnosis.verdicts.iter().map(|verdict| {
        let (class, subtype) = (verdict.class.as_str(), &verdict.subtype);
        let (severity, visibility) = (verdict.severity.as_str(), visibility(verdict.visibility));
        format!("{class}/{subtype} {severity} {visibility} {}", verdict.runbook)
    });
    (judged.state.to_string(), said, verdicts.collect())
}

fn visibility(of: Visibility) -> &'static str {
    match of {
        Visibility::Visible => "visible",
        Visibility::Invisible => "invisible",
    }
}

/// Equal; of a map only the members that are expected.
fn agrees(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Map(got), Value::Map(expected)) => {
            expected.iter().all(|(key, value)| got.get(key).is_some_and(|got| agrees(got, value)))
        }
        _ => got == expected,
    }
}

#[tokio::test]
async fn every_capture_that_is_read_is_classified_as_it_was() {
    let packs = packs();
    let mut wrong = Vec::new();
    for read in reads() {
        let (state, said, verdicts) = classify(read, template(&packs, read.check)).await;
        let expected: Vec<(&str, Value)> = read
            .signals
            .iter()
            .map(|text| text.split_once(' ').unwrap())
            .map(|(sig, json)| (sig, serde_json::from_str(json).unwrap()))
            .collect();
        let same = said.len() == expected.len()
            && said.iter().zip(&expected).all(|((sig, got), (wanted, value))| sig == wanted && agrees(got, value));
        if state != read.state || !same || verdicts != read.verdicts {
            wrong.push(format!("{}: {state}\n  signals {said:?}\n  verdicts {verdicts:?}", read.capture));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn mdadm_and_the_kernel_tell_the_same_of_an_array() {
    let packs = packs();
    for (detail, mdstat, words) in MDADM {
        let text = capture(detail);
        let state = text.lines().find_map(|line| line.trim().strip_prefix("State : ")).unwrap().trim();
        assert_eq!(state, *words, "{detail}");
        let read = ARRAYS.iter().find(|read| read.capture == *mdstat).unwrap();
        let (_, said, _) = classify(read, template(&packs, read.check)).await;
        let word = match *words {
            "clean" => "Optl",
            "clean, degraded" => "Dgrd",
            _ => "Rbld",
        };
        let (_, raid) = &said[0];
        assert_eq!(raid.get("state").and_then(Value::text), Some(word), "{detail}");
        let rebuilt = text.lines().find_map(|line| line.trim().strip_prefix("Rebuild Status : "));
        let percent = rebuilt.map(|rest| rest.split('%').next().unwrap().parse::<f64>().unwrap());
        assert_eq!(raid.get("progress").and_then(Value::number).map(f64::trunc), percent, "{detail}");
    }
}

#[test]
fn every_capture_has_its_line_once() {
    let there: BTreeSet<String> = files("tests/data/captures")
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let unread = UNREAD.iter().map(|(name, reason)| {
        assert!(reason.len() > 20, "{name} needs a reason");
        *name
    });
    let mut listed: Vec<&str> = reads().map(|read| read.capture).chain(unread).collect();
    listed.extend(MDADM.iter().map(|(name, ..)| *name));
    listed.sort_unstable();
    let once: BTreeSet<String> = listed.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(once.len(), listed.len(), "a capture is listed twice: {listed:?}");
    assert_eq!(once, there, "left: lines of this file, right: files");
}
