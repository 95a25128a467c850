//! Every capture of DRBD 8.4 reads as it was; documents of DRBD 9 by its manual and sources.

use proptest::prelude::*;

use super::*;

macro_rules! capture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/data/captures/", $name, ".txt"))
    };
}

fn findings(replicas: &[Replica]) -> Vec<&'static str> {
    replicas.iter().map(|replica| replica.finding(false).word()).collect()
}

#[test]
fn every_captured_proc_drbd_is_classified() {
    for (text, expected) in [
        (capture!("proc_drbd_healthy"), &["ok", "ok"][..]),
        (capture!("proc_drbd_after_sb_recovery"), &["ok", "ok"]),
        (capture!("proc_drbd_disconnected"), &["peer_lost", "stand_alone"]),
        (capture!("proc_drbd_diskless"), &["peer_diskless", "diskless"]),
        (capture!("proc_drbd_inconsistent"), &["inconsistent", "inconsistent"]),
        (capture!("proc_drbd_splitbrain"), &["stand_alone", "stand_alone"]),
        (capture!("proc_drbd_syncing"), &["resync", "resync"]),
        (capture!("proc_drbd_wfconnection"), &["peer_lost"]),
    ] {
        let seen = parse_proc(text);
        assert_eq!((seen.version.as_str(), seen.tells_devices()), ("8.4.11", true));
        assert_eq!(findings(&seen.replicas), expected, "{text}");
    }
}

#[test]
fn every_captured_status_text_is_classified() {
    for (text, expected) in [
        (capture!("drbdsetup_status_healthy"), &["ok", "ok"][..]),
        (capture!("drbdadm_status"), &["ok"]),
        (capture!("drbdsetup_status_diskless"), &["peer_diskless", "diskless"]),
        (capture!("drbdsetup_status_splitbrain"), &["stand_alone", "stand_alone"]),
        (capture!("drbdsetup_status_syncing"), &["resync", "resync"]),
    ] {
        assert_eq!(findings(&parse_text(text)), expected, "{text}");
    }
}

#[test]
fn the_figures_of_a_resync_are_read() {
    let seen = parse_proc(capture!("proc_drbd_syncing"));
    let [source, target] = seen.replicas.as_slice() else { panic!("{seen:?}") };
    let expected = Resync { done_pct: Some(18.8), left_s: Some(25.0), speed_kib_s: Some(2004.0), is_stalled: false };
    assert_eq!((source.resync, target.resync), (Some(expected), Some(expected)));
    assert_eq!((source.out_of_sync_kib, source.minor), (Some(53464), Some(0)));
    assert_eq!((source.roles().as_str(), target.disks().as_str()), ("Primary/Secondary", "Inconsistent/UpToDate"));
    let text = parse_text(capture!("drbdsetup_status_syncing"));
    let done: Vec<Option<f64>> = text.iter().map(|replica| replica.resync.and_then(|resync| resync.done_pct)).collect();
    assert_eq!(done, [Some(20.55), Some(20.86)]);
    assert_eq!((text[0].resource.as_str(), text[0].peer.as_str()), ("r0", "peer"));
}

/// Hand-written from `drbd_syncer_progress` of the kernel: large devices count in M, without a line break.
#[test]
fn a_large_and_a_stalled_resync_read() {
    let text = "version: 8.4.11 (api:1/proto:86-101)\n \
        3: cs:SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate C r--u--\n    \
        ns:0 nr:1 lo:0 oos:1073741824\n\t[>....................] sync'ed:  0.1% (1048576/1048600)M\
        finish: 1234:05:06 speed: 1,234,567 (2) want: 0 K/sec (stalled)\n";
    let replica = &parse_proc(text).replicas[0];
    let resync = replica.resync.expect("a resync");
    assert_eq!((resync.done_pct, resync.is_stalled, resync.speed_kib_s), (Some(0.1), true, Some(1_234_567.0)));
    assert_eq!(resync.left_s, Some(1234.0 * 3600.0 + 5.0 * 60.0 + 6.0));
    assert_eq!(replica.finding(false), Finding::ResyncPaused, "the flag u: paused by the user");
    assert_eq!(parse_proc(&text.replace("r--u--", "r-----")).replicas[0].finding(false), Finding::ResyncStalled);
}

#[test]
fn states_of_the_table_of_the_manual_are_told_apart() {
    for (line, expected) in [
        ("cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C r-----", "no_primary"),
        ("cs:Connected ro:Primary/Primary ds:UpToDate/UpToDate C r-----", "dual_primary"),
        ("cs:WFConnection ro:Secondary/Unknown ds:Outdated/DUnknown C r-----", "peer_lost"),
        ("cs:Connected ro:Primary/Secondary ds:UpToDate/Outdated C r-----", "outdated"),
        ("cs:PausedSyncT ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----", "resync_paused"),
        ("cs:Connected ro:Primary/Secondary ds:Diskless/UpToDate C r-----", "diskless_primary"),
        ("cs:Connected ro:Primary/Secondary ds:Failed/UpToDate C r-----", "diskless_primary"),
        ("cs:Connected ro:Secondary/Primary ds:Negotiating/UpToDate C r-----", "transient"),
        ("cs:WFReportParams ro:Secondary/Unknown ds:UpToDate/DUnknown C r-----", "transient"),
        ("cs:VerifyS ro:Primary/Secondary ds:UpToDate/UpToDate C r-----", "verify"),
        ("cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C s-----", "frozen"),
        ("cs:NetworkFailure ro:Primary/Unknown ds:UpToDate/DUnknown A r-----", "peer_lost"),
    ] {
        let seen = parse_proc(&format!(" 7: {line}\n"));
        assert_eq!(findings(&seen.replicas), [expected], "{line}");
    }
    let dual = parse_proc(" 7: cs:Connected ro:Primary/Primary ds:UpToDate/UpToDate C r-----\n");
    assert_eq!(dual.replicas[0].finding(true), Finding::Ok, "where two primaries are wanted");
    assert!(!parse_proc("version: 9.1.4 (api:2/proto:110-121)\n").tells_devices());
}

/// Hand-written from drbdsetup.c of drbd-utils 9 (the three nodes of its manual; one is gone, one syncs).
const JSON: &str = r#"[{"name":"r0","node-id":0,"role":"Primary","suspended":false,"suspended-quorum":false,
 "devices":[{"volume":0,"minor":1000,"disk-state":"UpToDate","client":false,"quorum":true,"open":true}],
 "connections":[
  {"peer-node-id":1,"name":"bob","connection-state":"Connected","peer-role":"Secondary","tls":false,"paths":[],
   "peer_devices":[{"volume":0,"replication-state":"SyncSource","peer-disk-state":"Inconsistent","peer-client":false,
    "resync-suspended":"no","out-of-sync":4096,"has-sync-details":true,"percent-in-sync":37.5,
    "estimated-seconds-to-finish":12}]},
  {"peer-node-id":2,"name":"eve","connection-state":"Connecting","peer-role":"Unknown",
   "peer_devices":[{"volume":0,"replication-state":"Off","peer-disk-state":"DUnknown","resync-suspended":"no",
    "out-of-sync":0,"percent-in-sync":100.0}]}]},
 {"name":"r1","role":"Secondary","suspended":"no","devices":[{"volume":0,"minor":1001,"disk-state":"UpToDate","quorum":false}],
  "connections":[]}]"#;

#[test]
fn json_of_drbd_9_reads() {
    let seen = parse_json(JSON).expect("JSON");
    assert_eq!(findings(&seen), ["resync", "peer_lost", "frozen"]);
    let resync = seen[0].resync.expect("a resync");
    assert_eq!((resync.done_pct, resync.left_s, seen[0].out_of_sync_kib), (Some(37.5), Some(12.0), Some(4096)));
    assert_eq!((seen[1].peer.as_str(), seen[1].connection.as_str()), ("eve", "Connecting"));
    assert_eq!((seen[2].minor, seen[2].connection.as_str()), (Some(1001), "StandAlone"));
    assert!(parse_json("drbdsetup: unrecognized option '--json'").is_err());
}

/// Hand-written from drbdsetup.c (`print_resource_statistics`, `--verbose --statistics`).
#[test]
fn verbose_text_of_drbd_9_reads() {
    let text = "r0 node-id:0 role:Secondary suspended:no\n    write-ordering:flush\n  \
        volume:0 minor:1 disk:UpToDate backing_dev:/dev/sdb quorum:yes\n      size:10 read:0 written:0\n  \
        volume:1 minor:2 disk:Inconsistent quorum:yes\n      size:10 read:0 written:0\n  \
        bob node-id:1 connection:Connected role:Primary congested:no ap-in-flight:0\n    \
        volume:0 replication:Established peer-disk:UpToDate resync-suspended:no\n        received:1 sent:2 out-of-sync:0\n    \
        volume:1 replication:SyncTarget peer-disk:UpToDate resync-suspended:no done:10.00\n        received:1 sent:2 out-of-sync:777\n  \
        eve node-id:2 connection:Connecting role:Unknown\n\n";
    let seen = parse_text(text);
    assert_eq!(findings(&seen), ["ok", "peer_lost", "resync", "peer_lost"]);
    assert_eq!((seen[2].out_of_sync_kib, seen[2].minor), (Some(777), Some(2)));
    assert_eq!(seen[0].out_of_sync_kib, Some(0));
    assert_eq!(parse_text("# No currently configured DRBD found.\n"), []);
}

#[test]
fn a_split_brain_is_read_from_the_log_until_it_is_healed() {
    let log = capture!("drbd_dmesg_splitbrain");
    let line = split_brain_line(log, "r0", Some(0)).expect("told");
    assert!(line.contains("block drbd0: Split-Brain detected but unresolved"), "{line}");
    assert!(split_brain_line(log, "", Some(1)).is_some());
    assert!(split_brain_line(log, "r2", Some(10)).is_none(), "drbd1 is not drbd10");
    let healed =
        format!("{log}[   99.0] block drbd0: peer( Unknown -> Secondary ) conn( WFReportParams -> Connected ) \n");
    assert!(split_brain_line(&healed, "r0", Some(0)).is_none());
    assert!(split_brain_line(&healed, "r1", Some(1)).is_some());
    assert!(split_brain_line(capture!("drbd_dmesg_first_sync"), "r0", Some(0)).is_none());
    let nine = "[1.0] drbd r7/0 drbd7 bob: Split-Brain detected but unresolved, dropping connection!\n";
    assert!(split_brain_line(nine, "r7", None).is_some());
    let solved = "[1.0] block drbd0: Split-Brain detected, 1 primaries, automatically solved. Sync from peer node\n";
    assert!(split_brain_line(solved, "", Some(0)).is_none());
}

proptest! {
    #[test]
    fn no_text_panics(text in "( |\n|[a-z-]{1,9}:|cs:|ro:|ds:|/|volume:|peer-disk:|role:|disk:|[0-9:.,]{0,9}|\\{|\"|\\PC){0,60}") {
        let _ = (parse_proc(&text), parse_text(&text), parse_json(&text), split_brain_line(&text, "r0", Some(0)));
    }

    #[test]
    fn any_truncation_reads(cut in 0usize..1600) {
        for text in [capture!("proc_drbd_syncing"), capture!("drbdsetup_status_syncing"), JSON, capture!("drbd_dmesg_splitbrain")] {
            let text = text.get(..cut).unwrap_or(text);
            let _ = (parse_proc(text), parse_text(text), parse_json(text), split_brain_line(text, "r0", Some(0)));
        }
    }
}
