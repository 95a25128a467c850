//! The probe against a node of Proxmox VE on loopback that knows its token, and every way in which it misbehaves; corosync's tools as
//! pve-docs shows them.

use std::io::Write;
use std::sync::Arc;

use stentor_core::model::Observation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::sim_view::{SimHost, SimView};
use crate::testing::{build, env, number, plain_env, run_on, target, text, within};
use crate::view::ToolRun;
use crate::{Blind, ProbeError};

const TOKEN: &str = "PVEAPIToken=stentor@pve!monitor=8a7f-secret";

/// A node that serves one page to whoever has the token.
async fn node(path: &'static str, status: &'static str, body: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
            let is_known = asked.lines().any(|line| line.eq_ignore_ascii_case(&format!("authorization: {TOKEN}")));
            let wanted = asked.split(' ').nth(1).unwrap_or_default();
            let (status, body) = match status {
                "hang" => {
                    let _ = stream.read(&mut asked.into_bytes()).await;
                    continue;
                }
                _ if !is_known => ("401 No ticket", ""),
                _ if wanted != path => ("501 Method 'GET' not implemented", r#"{"data":null}"#),
                status => (status, body),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: application/json;charset=UTF-8\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    port
}

async fn look(port: u16, more: &str, secret: &str) -> Observation {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "{secret}").expect("written");
    let path = file.path().display();
    let params = format!(
        r#"{{"port":{port},"token_id":"stentor@pve!monitor","token_file":"{path}","tls":false,"node":"pve1"{more}}}"#
    );
    let probe = build("proxmox", &params, &env(Arc::new(Blind))).expect("parameters fit");
    probe.run(&target("127.0.0.1"), within(1500)).await.expect("observed")
}

async fn served(path: &'static str, body: &'static str, more: &str) -> Observation {
    let seen = look(node(path, "200 OK", body).await, more, "8a7f-secret").await;
    assert_eq!((text(&seen, "proxmox"), text(&seen, "port")), ("ok".into(), "open".into()), "{seen:?}");
    seen
}

const STATUS: &str = "/api2/json/cluster/status";

#[tokio::test]
async fn quorum_is_what_the_node_itself_sees() {
    let minority = r#"{"data":[{"type":"cluster","id":"cluster","name":"rack","version":3,"nodes":3,"quorate":0},
        {"type":"node","id":"node/pve1","name":"pve1","nodeid":1,"local":1,"online":1},{"type":"node","id":"node/pve2","name":"pve2","nodeid":2,"local":0,"online":0},
        {"type":"node","id":"node/pve3","name":"pve3","nodeid":3,"local":0,"online":0}]}"#;
    let seen = served(STATUS, minority, "").await;
    assert_eq!((text(&seen, "quorum"), text(&seen, "nodes_offline")), ("no_quorum".into(), "[pve2, pve3]".into()));
    assert!(seen.text.starts_with("NO QUORUM here, it sees 1 of 3 nodes"), "{}", seen.text);
    let majority = r#"{"data":[{"type":"cluster","name":"rack","nodes":2,"quorate":1},{"type":"node","name":"pve1","local":1,"online":1},{"type":"node","name":"pve2","online":1}]}"#;
    let seen = served(STATUS, majority, "").await;
    assert_eq!(
        (text(&seen, "quorum"), text(&seen, "node"), number(&seen, "nodes_online")),
        ("quorate".into(), "pve1".into(), 2.0)
    );
    let alone = r#"{"data":[{"type":"node","name":"pve1","local":1,"online":1}]}"#;
    assert_eq!(text(&served(STATUS, alone, "").await, "quorum"), "alone");
}

#[tokio::test]
async fn each_state_of_ha_has_its_word() {
    const PATH: &str = "/api2/json/cluster/ha/status/current";
    let fenced = r#"{"data":[{"id":"quorum","type":"quorum","node":"pve1","status":"OK","quorate":1},
        {"id":"master","type":"master","node":"pve1","status":"pve1 (active, Sun Nov 22 06:00:00 2026)","timestamp":1},
        {"id":"lrm:pve1","type":"lrm","node":"pve1","status":"pve1 (maintenance mode, Sun Nov 22 06:00:00 2026)","timestamp":1},
        {"id":"lrm:pve3","type":"lrm","node":"pve3","status":"pve3 (old timestamp - dead?, Sun Nov 22 05:55:00 2026)","timestamp":1},
        {"id":"service:vm:101","type":"service","sid":"vm:101","node":"pve3","state":"fence","status":"vm:101 (pve3, fence)"},
        {"id":"service:vm:102","type":"service","sid":"vm:102","node":"pve1","state":"error","status":"vm:102 (pve1, error)"}]}"#;
    let seen = served(PATH, fenced, r#","look":"ha""#).await;
    assert_eq!(
        (text(&seen, "lrm"), text(&seen, "crm"), text(&seen, "is_master")),
        ("maintenance".into(), "active".into(), "true".into())
    );
    assert_eq!(
        (text(&seen, "fencing"), text(&seen, "failed"), number(&seen, "ha_services_here")),
        ("[vm:101]".into(), "[vm:102]".into(), 1.0)
    );
    let seen = served(PATH, fenced, r#","look":"ha","node":"PVE3""#.replace(r#","node":"PVE3""#, "").as_str()).await;
    assert_eq!(text(&seen, "ha_quorate"), "true");
    let nothing =
        r#"{"data":[{"id":"quorum","type":"quorum","node":"pve1","status":"No quorum on node 'pve1'!","quorate":0}]}"#;
    let seen = served(PATH, nothing, r#","look":"ha""#).await;
    assert_eq!(
        (text(&seen, "lrm"), text(&seen, "crm"), text(&seen, "ha_quorate")),
        ("none".into(), "none".into(), "false".into())
    );
}

#[tokio::test]
async fn storage_of_this_node_only_counts() {
    let body = r#"{"data":[{"storage":"local","node":"pve1","type":"storage","status":"available","shared":0,"disk":955,"maxdisk":1000},
        {"storage":"nas","node":"pve1","type":"storage","status":"unknown","shared":1},{"storage":"nas","node":"pve2","type":"storage","status":"available","disk":1,"maxdisk":2}]}"#;
    let seen =
        served("/api2/json/cluster/resources?type=storage", body, r#","look":"storage","wanted":["nas","backup"]"#)
            .await;
    assert_eq!(
        (text(&seen, "inactive"), text(&seen, "missing"), text(&seen, "any_active")),
        ("[nas]".into(), "[backup]".into(), "true".into())
    );
    assert_eq!((number(&seen, "used_pct_max"), text(&seen, "fullest")), (95.5, "local".into()));
}

#[tokio::test]
async fn guests_that_should_run_and_do_not_are_named() {
    let body = r#"{"data":[{"vmid":101,"node":"pve1","type":"qemu","status":"running","hastate":"started"},{"vmid":102,"node":"pve1","type":"lxc","status":"stopped"},
        {"vmid":103,"node":"pve2","type":"qemu","status":"running"},{"vmid":104,"node":"pve1","type":"qemu","status":"stopped","hastate":"started"},
        {"vmid":9000,"node":"pve1","type":"qemu","status":"stopped","template":1},{"node":"pve1","type":"node","status":"online"}]}"#;
    const PATH: &str = "/api2/json/cluster/resources";
    let seen = served(PATH, body, r#","look":"guests","wanted":["101","102","103","105"]"#).await;
    // 103 runs elsewhere, 105 is nowhere.
    assert_eq!((text(&seen, "down"), text(&seen, "ha_down")), ("[102, 105]".into(), "[104]".into()));
    assert_eq!(
        (number(&seen, "guests"), number(&seen, "running"), text(&seen, "statistics")),
        (3.0, 1.0, "fresh".into())
    );
    let grey = r#"{"data":[{"vmid":101,"node":"pve1","type":"qemu","status":"unknown"},{"node":"pve1","type":"node","status":"unknown"}]}"#;
    let seen = served(PATH, grey, r#","look":"guests","wanted":["101"]"#).await;
    assert_eq!(
        (text(&seen, "statistics"), text(&seen, "down"), number(&seen, "unknown")),
        ("none".into(), "[]".into(), 1.0)
    );
}

/// qemu-server: the list with `full`, `qmpstatus` from QEMU's `query-status`, and what it is where QEMU does not answer.
#[tokio::test]
async fn a_machine_that_stands_still_is_told_though_its_process_runs() {
    let body = r#"{"data":[{"vmid":101,"name":"web","status":"running","qmpstatus":"running","pid":4711,"uptime":9},
        {"vmid":102,"name":"db","status":"running","qmpstatus":"io-error","pid":4712},{"vmid":103,"status":"running","qmpstatus":"paused","lock":"backup"},
        {"vmid":104,"status":"running","qmpstatus":"paused"},{"vmid":105,"status":"stopped","qmpstatus":"stopped"},
        {"vmid":106,"status":"running","qmpstatus":"guest-panicked"},{"vmid":107,"status":"running"},
        {"vmid":9000,"status":"stopped","qmpstatus":"stopped","template":1}]}"#;
    let seen = served("/api2/json/nodes/localhost/qemu?full=1", body, r#","look":"vms""#).await;
    assert_eq!(["io_error", "broken", "paused"].map(|fact| text(&seen, fact)), ["[102]", "[106]", "[104]"]);
    assert_eq!((number(&seen, "vms"), number(&seen, "going")), (6.0, 2.0));
    assert!(seen.text.contains("2 of 6 virtual machines") && seen.text.contains("IO-ERROR: 102"), "{}", seen.text);
    let seen = look(
        node("/api2/json/nodes/localhost/qemu?full=1", "200 OK", r#"{"data":[{"vmid":1}]}"#).await,
        r#","look":"vms""#,
        "8a7f-secret",
    );
    assert_eq!(text(&seen.await, "proxmox"), "invalid");
}

#[tokio::test]
async fn services_and_backups_of_the_node_are_told() {
    let units = r#"{"data":[{"service":"corosync","name":"corosync","state":"dead","unit-state":"enabled"},{"service":"pvestatd","name":"pvestatd","state":"running","unit-state":"enabled"},
        {"service":"syslog","name":"syslog","state":"dead","unit-state":"not-found"}]}"#;
    const PATH: &str = "/api2/json/nodes/localhost/services";
    for (unit, process) in [("corosync", "absent"), ("pvestatd", "running"), ("pveproxy", "")] {
        let seen = served(PATH, units, &format!(r#","look":"services","unit":"{unit}""#)).await;
        assert_eq!((text(&seen, "process"), text(&seen, "dead")), (process.into(), "[corosync]".into()));
    }
    const TASKS: &str = "/api2/json/nodes/localhost/tasks?typefilter=vzdump&source=all&limit=50";
    for (body, word, age) in [
        (r#"{"data":[{"type":"vzdump","starttime":1795222000,"endtime":1795222800,"status":"OK"}]}"#, "ok", 3600.0),
        (
            r#"{"data":[{"type":"vzdump","starttime":1795225000,"endtime":1795225100,"status":"job errors"},{"type":"vzdump","starttime":1795136000,"endtime":1795140000,"status":"OK"}]}"#,
            "failed",
            86400.0,
        ),
        (r#"{"data":[{"type":"vzdump","starttime":1795226000}]}"#, "never", f64::NAN),
    ] {
        let seen = served(TASKS, body, r#","look":"backup""#).await;
        assert_eq!(text(&seen, "backup"), word);
        assert!(number(&seen, "good_age_s") == age || age.is_nan() && number(&seen, "good_age_s").is_nan(), "{seen:?}");
    }
}

#[tokio::test]
async fn every_bad_answer_is_told_by_its_word() {
    for (status, body, secret, word) in [
        ("200 OK", r#"{"data":[]}"#, "wrong", "denied"),
        ("403 Permission check failed (/, Sys.Audit)", r#"{"data":null}"#, "8a7f-secret", "denied"),
        ("500 ipcc_send_rec[1] failed: Connection refused", r#"{"data":null}"#, "8a7f-secret", "failing"),
        ("595 No route to host", "", "8a7f-secret", "failing"),
        ("503 Service Unavailable", "<html>no server</html>", "8a7f-secret", "failing"),
        ("200 OK", "<html>login</html>", "8a7f-secret", "invalid"),
        ("200 OK", r#"{"data":[{"type":"cluster","na"#, "8a7f-secret", "invalid"),
        ("200 OK", r#"{"data":[{"type":"cluster","name":"x"}]}"#, "8a7f-secret", "invalid"),
        ("200 OK", r#"{"data":null}"#, "8a7f-secret", "invalid"),
        ("hang", "", "8a7f-secret", "timeout"),
    ] {
        let seen = look(node(STATUS, status, body).await, "", secret).await;
        assert_eq!(text(&seen, "proxmox"), word, "{status}: {seen:?}");
        assert!(text(&seen, "quorum").is_empty(), "{status} tells nothing of the cluster");
    }
    let seen = look(1, "", "x").await;
    assert_eq!((text(&seen, "port"), text(&seen, "proxmox")), ("refused".into(), String::new()));
}

#[test]
fn impossible_parameters_are_refused() {
    for params in [
        r#"{"token_id":"root@pam","token_file":"/f"}"#,
        r#"{"token_id":"root!x","token_file":"/f"}"#,
        r#"{"token_id":"a@pve!x"}"#,
        r#"{"token_id":"a@pve!x","token_file":"/f","insecure":true,"port":0}"#,
        r#"{"token_id":"a@pve!x","token_file":"/f","insecure":true,"wanted":["1"]}"#,
        r#"{"token_id":"a@pve!x","token_file":"/f","insecure":true,"unit":"corosync"}"#,
        r#"{"token_id":"a@pve!x","token_file":"/f","insecure":true,"look":"moon"}"#,
    ] {
        assert!(build("proxmox", params, &plain_env()).is_err(), "{params}");
    }
}

fn host(votes: (i32, &str, &str), links: &str) -> Arc<SimView> {
    let run =
        |code, stdout: &str, stderr: &str| ToolRun { code: Some(code), stdout: stdout.into(), stderr: stderr.into() };
    let tools = [
        ("corosync-quorumtool -s".to_owned(), run(votes.0, votes.1, votes.2)),
        ("corosync-cfgtool -s".to_owned(), run(0, links, "")),
    ];
    Arc::new(SimView::of(SimHost { tools: tools.into_iter().collect(), ..SimHost::default() }))
}

#[tokio::test]
async fn links_votes_and_the_device_of_a_node_are_told() {
    let links = "LINK ID 0 udp\n\tstatus:\n\t\tnodeid:          1:\tlocalhost\n\t\tnodeid:          2:\tdisconnected\n";
    let votes = "Quorate:          No\nExpected votes:   3\nTotal votes:      1\nQuorum:           2 Activity blocked\nFlags:            Qdevice\n\
        \x20        0          0            Qdevice (votes 1)\n";
    let seen = run_on("corosync", "{}", host((2, votes, ""), links)).await.expect("observed");
    assert_eq!(
        (text(&seen, "quorum"), text(&seen, "links_down"), text(&seen, "qdevice")),
        ("no_quorum".into(), "[0]".into(), "silent".into())
    );
    assert_eq!((number(&seen, "votes"), number(&seen, "votes_needed")), (1.0, 2.0));
    let dead = host((1, "", "Cannot initialize CMAP service\n"), "");
    assert_eq!(text(&run_on("corosync", "{}", dead).await.expect("observed"), "corosync"), "silent");
    let denied = run_on("corosync", "{}", host((1, "", "permission denied"), "")).await;
    assert!(denied.is_err(), "{denied:?}");
    let without = run_on("corosync", "{}", Arc::new(SimView::new())).await;
    assert!(matches!(without, Err(ProbeError::Failed(_) | ProbeError::MissingRight(_))), "{without:?}");
}
