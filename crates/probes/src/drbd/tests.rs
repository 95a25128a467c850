//! Captured states of DRBD 8.4, documents of DRBD 9, and what happens between looks.

use stentor_core::Span;

use super::*;
use crate::sim_view::{SimHost, SimView};
use crate::testing::{build, env, number, target, text, within};
use crate::view::ToolRun;

macro_rules! capture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/data/captures/", $name, ".txt"))
    };
}

fn host(proc: &str, tools: &[(&str, &str)]) -> Arc<SimView> {
    let said = |text: &str| ToolRun { code: Some(0), stdout: text.into(), stderr: String::new() };
    let tools = tools.iter().map(|(line, text)| ((*line).to_owned(), said(text))).collect();
    let files = BTreeMap::from([("/proc/drbd".to_owned(), proc.to_owned())]);
    Arc::new(SimView::of(SimHost { files, tools, ..SimHost::default() }))
}

async fn run(params: &str, view: Arc<SimView>) -> Result<Observation, ProbeError> {
    let probe = build("drbd", params, &env(view)).expect("built");
    probe.run(&target("h"), within(5000)).await
}

#[tokio::test]
async fn captured_states_have_their_finding() {
    for (proc, finding) in [
        (capture!("proc_drbd_healthy"), "ok"),
        (capture!("proc_drbd_after_sb_recovery"), "ok"),
        (capture!("proc_drbd_disconnected"), "stand_alone"),
        (capture!("proc_drbd_diskless"), "diskless"),
        (capture!("proc_drbd_inconsistent"), "inconsistent"),
        (capture!("proc_drbd_splitbrain"), "stand_alone"),
        (capture!("proc_drbd_syncing"), "resync"),
        (capture!("proc_drbd_wfconnection"), "peer_lost"),
    ] {
        let seen = run(r#"{"names":{"0":"r0","1":"r1"}}"#, host(proc, &[])).await.expect("observed");
        assert_eq!(text(&seen, "finding"), finding, "{proc}");
    }
}

#[tokio::test]
async fn a_split_brain_is_told_with_the_kernels_line() {
    let log = [("dmesg", capture!("drbd_dmesg_splitbrain"))];
    let seen = run("{}", host(capture!("proc_drbd_splitbrain"), &log)).await.expect("observed");
    assert_eq!((text(&seen, "finding"), text(&seen, "split_brain")), ("split_brain".into(), "[drbd0, drbd1]".into()));
    assert!(text(&seen, "log").contains("Split-Brain detected"));
    let seen = run("{}", host(capture!("proc_drbd_disconnected"), &[("dmesg", "")])).await.expect("observed");
    assert_eq!((text(&seen, "finding"), text(&seen, "log_readable")), ("stand_alone".into(), "true".into()));
}

#[tokio::test]
async fn a_split_brain_stays_told_when_its_line_has_left_the_log() {
    let view = host(capture!("proc_drbd_splitbrain"), &[("dmesg", capture!("drbd_dmesg_splitbrain"))]);
    let probe = build("drbd", "{}", &env(Arc::clone(&view) as Arc<dyn HostView>)).expect("built");
    for (change, expected) in [(None, "split_brain"), (Some("dmesg"), "split_brain"), (Some("healed"), "ok")] {
        view.change(|host| match change {
            Some("dmesg") => host.tools.clear(),
            Some(_) => drop(host.files.insert("/proc/drbd".into(), capture!("proc_drbd_after_sb_recovery").into())),
            None => {}
        });
        let seen = probe.run(&target("h"), within(5000)).await.expect("observed");
        assert_eq!(text(&seen, "finding"), expected, "{change:?}");
    }
}

#[tokio::test]
async fn the_names_of_resources_come_from_the_tool() {
    let status = "r0 role:Primary suspended:no\n  volume:0 minor:0 disk:UpToDate\n  peer role:Secondary\n    \
            volume:0 replication:Established peer-disk:UpToDate\n";
    let tools = [("drbdsetup status --verbose --statistics", status)];
    let seen = run("{}", host(capture!("proc_drbd_healthy"), &tools)).await.expect("observed");
    let first = &seen.facts["drbd"].list().expect("a list")[0];
    let words = ["res", "cs", "ro", "ds"].map(|key| first.get(key).and_then(Value::text).unwrap_or_default());
    assert_eq!(words, ["drbd1", "Connected", "Secondary/Primary", "UpToDate/UpToDate"]);
    let second = &seen.facts["drbd"].list().expect("a list")[1];
    assert_eq!(second.get("res").and_then(Value::text), Some("r0"));
}

#[tokio::test]
async fn a_resync_that_does_not_move_is_stalled_and_one_that_does_tells_when_it_ends() {
    let line = |kib: u64| {
        format!(
            "version: 8.4.11\n 0: cs:SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----\n oos:{kib}\n"
        )
    };
    let view = host(&line(1000), &[]);
    let env = env(Arc::clone(&view) as Arc<dyn HostView>);
    let probe = build("drbd", r#"{"stalled_s":60}"#, &env).expect("built");
    for (kib, finding, left) in [
        (1000, "resync", None),
        (800, "resync", Some(120.0)),
        (800, "resync", Some(240.0)),
        (800, "resync_stalled", None),
        (700, "resync", None),
    ] {
        view.put("/proc/drbd", &line(kib));
        let seen = probe.run(&target("h"), within(5000)).await.expect("observed");
        assert_eq!(text(&seen, "finding"), finding, "{kib}");
        if let Some(left) = left {
            assert_eq!(number(&seen, "resync_left_s"), left);
        }
        env.clock.advance(Span::from_secs(30));
    }
}

#[tokio::test]
async fn what_happened_between_two_looks_is_told_for_a_while() {
    let begin = capture!("drbdsetup_events2");
    let view = host(capture!("proc_drbd_healthy"), &[("drbdsetup events2", begin)]);
    let env = env(Arc::clone(&view) as Arc<dyn HostView>);
    let params = r#"{"names":{"0":"r0","1":"r1"},"remember_s":60}"#;
    let probe = build("drbd", params, &env).expect("built");
    let more = "change connection name:r0 conn-name:peer connection:Timeout role:Unknown\n\
            call helper name:r0 conn-name:peer helper:initial-split-brain\n\
            change connection name:r0 conn-name:peer connection:Connected role:Secondary\n";
    for (events, losses, split) in [
        (begin.to_owned(), 0.0, "[]"),
        (format!("{begin}{more}"), 1.0, "[r0]"),
        (begin.to_owned(), 1.0, "[r0]"),
        (begin.to_owned(), 0.0, "[]"),
    ] {
        let run = ToolRun { code: Some(0), stdout: events, stderr: String::new() };
        view.change(|host| drop(host.tools.insert("drbdsetup events2".into(), run.clone())));
        let seen = probe.run(&target("h"), within(5000)).await.expect("observed");
        assert_eq!((text(&seen, "finding"), number(&seen, "connection_losses")), ("ok".into(), losses));
        assert_eq!(text(&seen, "split_brain_lately"), split);
        assert_eq!(seen.text.contains("lately split: r0"), split == "[r0]", "{}", seen.text);
        env.clock.advance(Span::from_secs(45));
    }
}

#[tokio::test]
async fn a_split_brain_is_told_by_the_events_where_the_log_may_not_be_read() {
    let view = host(capture!("proc_drbd_healthy"), &[("drbdsetup events2", capture!("drbdsetup_events2"))]);
    let params = r#"{"names":{"0":"r0","1":"r1"}}"#;
    let probe = build("drbd", params, &env(Arc::clone(&view) as Arc<dyn HostView>)).expect("built");
    let split = capture!("drbdsetup_events2_splitbrain").to_owned();
    for (proc, events, finding) in [
        (capture!("proc_drbd_healthy"), capture!("drbdsetup_events2"), "ok"),
        (capture!("proc_drbd_splitbrain"), &split, "split_brain"),
        // What was heard is heard once; the resource is still disconnected.
        (capture!("proc_drbd_splitbrain"), capture!("drbdsetup_events2"), "split_brain"),
        (capture!("proc_drbd_healthy"), capture!("drbdsetup_events2"), "ok"),
        // Cut by hand later on: no split brain.
        (capture!("proc_drbd_disconnected"), capture!("drbdsetup_events2"), "stand_alone"),
    ] {
        view.put("/proc/drbd", proc);
        let run = ToolRun { code: Some(0), stdout: events.to_owned(), stderr: String::new() };
        view.change(|host| drop(host.tools.insert("drbdsetup events2".into(), run.clone())));
        let seen = probe.run(&target("h"), within(5000)).await.expect("observed");
        assert_eq!(text(&seen, "finding"), finding);
    }
}

#[tokio::test]
async fn the_split_of_one_resource_is_not_the_others() {
    let proc = capture!("proc_drbd_splitbrain").replacen("0: cs:StandAlone", "0: cs:Connected", 1);
    let log = [("dmesg", capture!("drbd_dmesg_splitbrain"))];
    let seen = run(r#"{"names":{"0":"r0","1":"r1"}}"#, host(&proc, &log)).await.expect("observed");
    let split = seen.facts["split"].list().expect("a list");
    let found = |at: usize| split[at].get("found").and_then(Value::bool);
    assert_eq!((split.len(), found(0), found(1)), (2, Some(false), Some(true)));
    assert!(split[1].get("line").is_some());
}

const NINE: &str = "version: 9.1.4 (api:2/proto:110-121)\n";

#[tokio::test]
async fn drbd_9_is_asked_in_json_and_then_in_text() {
    let json = r#"Banner
[{"name":"r0","role":"Primary","devices":[{"volume":0,"minor":0,"disk-state":"UpToDate"}],"connections":[{"name":"b","connection-state":"Connected","peer-role":"Primary","peer_devices":[{"volume":0,"replication-state":"Established","peer-disk-state":"UpToDate"}]}]}]"#;
    let seen = run("{}", host(NINE, &[("drbdsetup status --json", json)])).await.expect("observed");
    assert_eq!(text(&seen, "finding"), "dual_primary");
    let seen = run(r#"{"dual_primary":true}"#, host(NINE, &[("drbdsetup status --json", json)])).await;
    assert_eq!(text(&seen.expect("observed"), "finding"), "ok");
    let tools = [
        ("drbdsetup status --json", "drbdsetup: unrecognized option"),
        ("drbdsetup status --verbose --statistics", capture!("drbdsetup_status_syncing")),
    ];
    let seen = run("{}", host(NINE, &tools)).await.expect("observed");
    assert_eq!((text(&seen, "finding"), number(&seen, "resync_pct")), ("resync".into(), 20.55));
    let error = run("{}", host(NINE, &tools[..1])).await.expect_err("no status");
    assert!(error.to_string().contains("unrecognized option"), "{error}");
    assert!(run("{}", host(NINE, &[])).await.expect_err("no tool").to_string().contains("not installed"));
}

#[tokio::test]
async fn no_module_means_no_resource_but_a_wanted_one_is_missed() {
    let view = Arc::new(SimView::new());
    let seen = run(r#"{"resources":["r0"]}"#, view).await.expect("observed");
    assert_eq!((number(&seen, "resources"), text(&seen, "missing")), (0.0, "[r0]".into()));
}
