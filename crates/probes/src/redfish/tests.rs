//! The probes against a simulated controller with faults, against nobody, and against peers that misbehave.

mod simulated;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stentor_core::catalog::Bmc;
use stentor_core::model::{Observation, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use self::simulated::Simulated;
use super::{RedfishClient, context};
use crate::testing::{build, is_overrun, plain_env, text, within};
use crate::{Network, ProbeEnv, ProbeError, Target};

/// A host whose controller is at loopback, with the files of a login.
struct Bench {
    sim: Simulated,
    folder: tempfile::TempDir,
    env: ProbeEnv,
}

impl Bench {
    async fn new() -> Bench {
        let sim = Simulated::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let bench = Bench { sim, folder, env: plain_env() };
        bench.write("password", "secret-word\n");
        bench.write("token", "0123456789abcdef0123456789abcdef\n");
        std::fs::write(bench.folder.path().join("ca.pem"), &bench.sim.certificate).expect("written");
        bench
    }

    fn write(&self, name: &str, contents: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).expect("written");
        path.display().to_string()
    }

    fn target(&self) -> Target {
        let password_file = self.folder.path().join("password").display().to_string();
        target(password_file)
    }

    async fn run_with(&self, kind: &str, more: serde_json::Value, millis: u64) -> Result<Observation, ProbeError> {
        let mut params = json!({"port": self.sim.port, "ca_file": self.folder.path().join("ca.pem")});
        params.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        let probe = build(kind, &params.to_string(), &self.env).expect("parameters fit");
        let deadline = within(millis);
        let seen = probe.run(&self.target(), deadline).await;
        assert!(!is_overrun(deadline), "{kind} overran its deadline");
        seen
    }

    /// As a new collector: nothing is shared with earlier polls.
    async fn poll(&mut self) -> Observation {
        self.try_poll().await.expect("observed")
    }

    async fn try_poll(&mut self) -> Result<Observation, ProbeError> {
        self.env = plain_env();
        self.run_with("redfish", json!({}), 20_000).await
    }
}

fn target(password_file: String) -> Target {
    let bmc = Bmc {
        address: "127.0.0.1".into(),
        port: 623,
        user: "monitor".into(),
        password_file: password_file.into(),
        suite: None,
    };
    Target { host: "h1".into(), address: "192.0.2.1".into(), bmc: Some(bmc) }
}

fn list(seen: &Observation, fact: &str) -> Vec<String> {
    let list = seen.facts.get(fact).and_then(Value::list).unwrap_or_else(|| panic!("no list `{fact}` in {seen:#?}"));
    let json = |value: &Value| serde_json::to_string(value).expect("a value is JSON");
    list.iter().map(|value| value.text().map_or_else(|| json(value), ToOwned::to_owned)).collect()
}

fn refusal(result: Result<Observation, ProbeError>) -> String {
    match result {
        Err(ProbeError::Failed(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_healthy_server_is_seen_whole() {
    let mut bench = Bench::new().await;
    let seen = bench.poll().await;
    assert_eq!(
        (text(&seen, "bmc"), text(&seen, "power"), text(&seen, "worst")),
        ("ok".into(), "on".into(), "ok".into()),
        "{seen:#?}"
    );
    assert_eq!(text(&seen, "complete"), "true", "{}", text(&seen, "unread"));
    assert_eq!(list(&seen, "psu").len(), 2);
    assert!(list(&seen, "psu_redundancy").concat().contains("full"), "{:?}", list(&seen, "psu_redundancy"));
    assert_eq!(
        (text(&seen, "fan_worst"), text(&seen, "temp_worst"), text(&seen, "mem_worst")),
        ("ok".into(), "ok".into(), "ok".into())
    );
    assert_eq!((text(&seen, "raid_state"), text(&seen, "drives")), ("Optl".into(), "2".into()));
    assert!(list(&seen, "sel_new").is_empty(), "a first reading is history");
    assert_eq!(text(&seen, "sel_entries"), "2");
    assert!(
        seen.measurements.iter().any(|one| &*one.label == "Inlet" && one.value == Some(22.0) && &*one.crit == "~:47"),
        "{seen:#?}"
    );
    assert_eq!((text(&seen, "firmware"), text(&seen, "model")), ("7.10".into(), "ACME X1".into()));
}

#[tokio::test]
async fn each_fault_is_told_by_its_facts() {
    let mut bench = Bench::new().await;
    let psu = "/redfish/v1/Chassis/1/Power";
    bench.sim.patch(psu, "/PowerSupplies/1/Status/Health", json!("Critical"));
    bench.sim.patch(psu, "/PowerSupplies/1/LineInputStatus", json!("LossOfInput"));
    let seen = bench.poll().await;
    assert!(list(&seen, "psu").concat().contains("[0,3]"), "{:?}", list(&seen, "psu"));
    let sets = list(&seen, "psu_redundancy").concat();
    assert!(sets.contains("lost") && sets.contains("\"left\":1") && sets.contains("\"of\":2"), "{sets}");
    assert_eq!(text(&seen, "worst"), "major");

    bench.sim.patch("/redfish/v1/Chassis/1/Thermal", "/Fans/0/Status/Health", json!("Critical"));
    bench.sim.patch("/redfish/v1/Chassis/1/Thermal", "/Temperatures/0/ReadingCelsius", json!(43));
    bench.sim.patch("/redfish/v1/Systems/1", "/MemorySummary/Status/HealthRollup", json!("Warning"));
    let seen = bench.poll().await;
    assert_eq!(
        (text(&seen, "fan_worst"), text(&seen, "temp_worst"), text(&seen, "mem_worst")),
        ("critical".into(), "warning".into(), "warning".into())
    );

    bench.sim.patch("/redfish/v1/Systems/1/Storage/1/Drives/1", "/Status/Health", json!("Critical"));
    bench.sim.patch("/redfish/v1/Systems/1/Storage/1/Drives/0", "/FailurePredicted", json!(true));
    bench.sim.patch("/redfish/v1/Systems/1/Storage/1/Volumes/1", "/Status/Health", json!("Warning"));
    let seen = bench.poll().await;
    assert_eq!(text(&seen, "raid_state"), "Dgrd", "{seen:#?}");
    assert_eq!(
        (list(&seen, "drives_failed"), list(&seen, "drives_predicted")),
        (vec!["Bay 2".to_owned()], vec!["Bay 1".to_owned()])
    );
    assert!(list(&seen, "raid").concat().contains("Bay 2"), "{:?}", list(&seen, "raid"));

    bench.sim.patch("/redfish/v1/Systems/1", "/PowerState", json!("Off"));
    assert_eq!(text(&bench.poll().await, "power"), "off");
}

#[tokio::test]
async fn only_what_is_logged_after_the_first_poll_is_news() {
    let mut bench = Bench::new().await;
    bench.env.net = Network::with_redfish(RedfishClient::new(Duration::ZERO));
    let seen = bench.run_with("redfish", json!({}), 20_000).await.expect("observed");
    assert!(list(&seen, "sel_new").is_empty());
    bench.sim.log("3", "Critical", "PSU 2 lost its input");
    let seen = bench.run_with("redfish", json!({}), 20_000).await.expect("observed");
    let news = list(&seen, "sel_new");
    assert!(news.len() == 1 && news.concat().contains("critical"), "{news:?}");
    assert_eq!(text(&seen, "sel"), "PSU 2 lost its input");
    let logins = bench.sim.count("POST /redfish/v1/SessionService/Sessions");
    assert_eq!(logins, 1, "the session is kept from poll to poll");
}

#[tokio::test]
async fn polls_at_once_are_one_poll_with_one_request_in_flight() {
    let bench = Bench::new().await;
    let polls = (0..9).map(|_| bench.run_with("redfish", json!({}), 20_000));
    for seen in futures_util::future::join_all(polls).await {
        assert_eq!(text(&seen.expect("observed"), "bmc"), "ok");
    }
    assert_eq!(bench.sim.count("GET /redfish/v1/Systems/1"), 1, "{:#?}", bench.sim.asked());
    assert_eq!(bench.sim.most_in_flight(), 1);
}

#[tokio::test]
async fn a_service_that_expands_is_asked_less_often() {
    let mut bench = Bench::new().await;
    bench.poll().await;
    let plain = bench.sim.asked().len();
    bench.sim.behave(|behaviour| behaviour.expands = true);
    let seen = bench.poll().await;
    let expanded = bench.sim.asked().len() - plain;
    assert_eq!((text(&seen, "complete"), text(&seen, "drives")), ("true".into(), "2".into()), "{seen:#?}");
    assert!(expanded < plain, "{expanded} requests with $expand, {plain} without");
    bench.sim.behave(|behaviour| behaviour.fails_to_expand = true);
    let seen = bench.poll().await;
    assert_eq!(
        (text(&seen, "complete"), text(&seen, "raid_state")),
        ("true".into(), "Optl".into()),
        "offered, but broken: {seen:#?}"
    );
}

#[tokio::test]
async fn a_session_is_opened_anew_when_forgotten_and_given_back_at_the_end() {
    let bench = Bench::new().await;
    bench.run_with("redfish", json!({}), 20_000).await.expect("observed");
    assert_eq!(bench.sim.sessions(), 1);
    bench.sim.behave(|behaviour| behaviour.tokens.clear());
    let standing = bench.run_with(
        "redfish_events",
        json!({"url": "https://stentor.example", "token_file": bench.folder.path().join("token")}),
        20_000,
    );
    assert_eq!(text(&standing.await.expect("observed"), "subscription"), "created");
    assert_eq!(bench.sim.sessions(), 1);
    bench.env.net.redfish().shutdown(within(5000)).await;
    assert_eq!(bench.sim.sessions(), 0, "given back");
}

#[tokio::test]
async fn a_wrong_password_is_a_fault_of_the_check_not_of_the_controller() {
    let mut bench = Bench::new().await;
    bench.write("password", "wrong\n");
    let why = refusal(bench.try_poll().await);
    assert!(why.contains("refuses the login") && why.contains("401"), "{why}");
    assert!(!why.contains("wrong"), "a password is never shown: {why}");
    bench.write("password", "secret-word\n");
    bench.sim.behave(|behaviour| behaviour.forbids = true);
    let why = refusal(bench.try_poll().await);
    assert!(why.contains("403"), "{why}");
    bench.sim.behave(|behaviour| (behaviour.forbids, behaviour.is_full) = (false, true));
    let why = refusal(bench.try_poll().await);
    assert!(why.contains("no free session"), "{why}");
}

#[tokio::test]
async fn basic_authentication_is_used_where_it_is_chosen_or_there_are_no_sessions() {
    let bench = Bench::new().await;
    let seen = bench.run_with("redfish", json!({"basic": true}), 20_000).await.expect("observed");
    assert_eq!((text(&seen, "complete"), bench.sim.sessions()), ("true".into(), 0));
    bench.sim.behave(|behaviour| behaviour.has_no_sessions = true);
    let mut bench = bench;
    let seen = bench.poll().await;
    assert_eq!((text(&seen, "complete"), bench.sim.sessions()), ("true".into(), 0));
}

#[tokio::test]
async fn certificates_are_judged_as_chosen() {
    let bench = Bench::new().await;
    let run = |params: serde_json::Value| {
        let mut all = json!({"port": bench.sim.port});
        all.as_object_mut().expect("an object").extend(params.as_object().cloned().unwrap_or_default());
        let target = bench.target();
        async move {
            let probe = build("redfish", &all.to_string(), &plain_env()).expect("parameters fit");
            probe.run(&target, within(20_000)).await
        }
    };
    assert!(run(json!({"insecure": true})).await.is_ok());
    assert!(run(json!({"fingerprint": bench.sim.fingerprint})).await.is_ok());
    let wrong = refusal(run(json!({"fingerprint": "00".repeat(32)})).await);
    assert!(wrong.contains(&bench.sim.fingerprint), "says what it is: {wrong}");
    let unknown = refusal(run(json!({})).await);
    assert!(unknown.contains("TLS"), "{unknown}");
    let env = plain_env();
    for bad in
        [json!({"fingerprint": "12"}), json!({"insecure": true, "fingerprint": "00".repeat(32)}), json!({"port": 0})]
    {
        assert!(build("redfish", &bad.to_string(), &env).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_said() {
    let mut bench = Bench::new().await;
    bench.sim.behave(|behaviour| behaviour.broken.push("/redfish/v1/Chassis/1/Thermal".into()));
    let seen = bench.poll().await;
    assert_eq!(
        (text(&seen, "complete"), text(&seen, "power"), text(&seen, "raid_state")),
        ("false".into(), "on".into(), "Optl".into())
    );
    assert!(seen.facts.get("fan_worst").is_none() && seen.facts.get("worst").is_none(), "{seen:#?}");
    assert!(text(&seen, "unread").contains("Thermal"), "{}", text(&seen, "unread"));
    bench.sim.behave(|behaviour| behaviour.banner = true);
    let why = refusal(bench.try_poll().await);
    assert!(why.contains("no Redfish service"), "{why}");
}

/// As small web servers of controllers do it, and `sushy-static` too.
#[tokio::test]
async fn a_service_that_hangs_up_after_each_answer_is_read_and_a_cut_answer_is_not() {
    let bench = Bench::new().await;
    bench.sim.behave(|behaviour| behaviour.hangs_up = Some(0));
    let seen = bench.run_with("redfish", json!({"basic": true}), 20_000).await.expect("observed");
    assert_eq!((text(&seen, "complete"), text(&seen, "worst")), ("true".into(), "ok".into()), "{seen:#?}");
    bench.sim.behave(|behaviour| behaviour.hangs_up = Some(1));
    let mut bench = bench;
    bench.env = plain_env();
    let why = refusal(bench.run_with("redfish", json!({"basic": true}), 20_000).await);
    assert!(why.contains("no Redfish service"), "{why}");
}

#[tokio::test]
async fn a_slow_controller_still_gives_its_power_state() {
    let bench = Bench::new().await;
    bench.sim.behave(|behaviour| behaviour.hangs.push("/redfish/v1/Chassis/1/Power".into()));
    let seen = bench.run_with("redfish", json!({}), 1500).await.expect("observed");
    assert_eq!((text(&seen, "power"), text(&seen, "complete")), ("on".into(), "false".into()), "{seen:#?}");
    assert!(seen.facts.get("psu").is_none());
    bench.sim.behave(|behaviour| behaviour.hangs = vec!["/redfish/v1/Systems".into()]);
    let mut bench = bench;
    bench.env = plain_env();
    let result = bench.run_with("redfish", json!({}), 1000).await;
    assert!(matches!(result, Err(ProbeError::Timeout(_))), "it answered before: {result:?}");
}

#[tokio::test]
async fn one_of_several_systems_is_picked_by_name() {
    let mut bench = Bench::new().await;
    bench.sim.add_system("2", "node-two", "Off");
    let seen = bench.poll().await;
    assert_eq!(
        (text(&seen, "power"), text(&seen, "systems")),
        ("unknown".into(), "2".into()),
        "which one was not said"
    );
    let seen = bench.run_with("redfish", json!({"system": "node-two"}), 20_000).await.expect("observed");
    assert_eq!((text(&seen, "power"), text(&seen, "systems")), ("off".into(), "1".into()));
    let why = refusal(bench.run_with("redfish", json!({"system": "node-three"}), 20_000).await);
    assert!(why.contains("node-three"), "{why}");
}

fn link(path: &str) -> serde_json::Value {
    json!({"@odata.id": path})
}

/// Shaped after SNIA's Swordfish: an array with a pool and controllers, beside the enclosure's power and fans.
#[tokio::test]
async fn a_storage_array_is_read_with_its_pools_power_and_fans() {
    let mut bench = Bench::new().await;
    let (well, ill) = (json!({"State": "Enabled", "Health": "OK"}), json!({"State": "Enabled", "Health": "Warning"}));
    let array = "/redfish/v1/StorageSystems/a";
    bench.sim.put(
        &[
            (array, json!({"Name": "array", "Status": well, "StorageServices": link("/redfish/v1/StorageServices")})),
            (
                "/redfish/v1/StorageServices/s",
                json!({"Name": "service", "Status": well, "Controllers": link("/redfish/v1/StorageServices/s/Controllers"),
                    "StoragePools": link("/redfish/v1/StorageServices/s/StoragePools"),
                    "Drives": link("/redfish/v1/StorageServices/s/Drives"),
                    "Volumes": link("/redfish/v1/StorageServices/s/Volumes")}),
            ),
            ("/redfish/v1/StorageServices/s/Controllers/A", json!({"Name": "controller A", "Status": well})),
            ("/redfish/v1/StorageServices/s/Controllers/B", json!({"Name": "controller B", "Status": ill})),
            (
                "/redfish/v1/StorageServices/s/StoragePools/p",
                json!({"Name": "pool", "Status": well, "Capacity": {"Data": {"AllocatedBytes": 100, "ConsumedBytes": 93}}}),
            ),
            ("/redfish/v1/StorageServices/s/Drives/1", json!({"Name": "shelf 1 bay 1", "Status": well})),
            ("/redfish/v1/StorageServices/s/Volumes/1", json!({"Name": "lun1", "RAIDType": "RAID6", "Status": well})),
        ],
        &[("StorageSystems", "/redfish/v1/StorageSystems"), ("StorageServices", "/redfish/v1/StorageServices")],
    );
    bench.sim.drop_below("/redfish/v1/Systems");
    let seen = bench.poll().await;
    assert_eq!(
        (text(&seen, "complete"), text(&seen, "power")),
        ("true".into(), "on".into()),
        "by its enclosure: {seen:#?}"
    );
    assert_eq!((text(&seen, "storage_worst"), text(&seen, "pool_used_pct_max")), ("warning".into(), "93".into()));
    assert_eq!(
        (text(&seen, "raid_state"), text(&seen, "drives")),
        ("Optl".into(), "1".into()),
        "each part once: {seen:#?}"
    );
    assert_eq!((list(&seen, "psu").len(), text(&seen, "fan_worst")), (2, "ok".into()));
    assert!(text(&seen, "faults").contains("controller B"), "{}", text(&seen, "faults"));
}

/// Shaped after HPE's schemas HpeSmartStorageArrayController, -LogicalDrive and -DiskDrive.
#[tokio::test]
async fn arrays_that_a_make_keeps_apart_are_read_too() {
    let mut bench = Bench::new().await;
    let smart = "/redfish/v1/Systems/1/SmartStorage";
    let controllers = format!("{smart}/ArrayControllers");
    let (well, ill) = (json!({"State": "Enabled", "Health": "OK"}), json!({"State": "Enabled", "Health": "Warning"}));
    let oem = json!({"Hpe": {"Links": {"SmartStorage": link(smart)}}});
    bench.sim.patch("/redfish/v1/Systems/1", "/Oem", oem);
    bench.sim.put(
        &[
            (smart, json!({"Name": "Smart Storage", "Links": {"ArrayControllers": link(&controllers)}})),
            (
                &format!("{controllers}/0"),
                json!({"Model": "Smart Array P408i-a", "Status": well, "Links": {
                    "LogicalDrives": link(&format!("{controllers}/0/LogicalDrives")),
                    "PhysicalDrives": link(&format!("{controllers}/0/DiskDrives"))}}),
            ),
            (
                &format!("{controllers}/0/LogicalDrives/1"),
                json!({"LogicalDriveName": "boot", "Raid": "1", "Status": ill}),
            ),
            (
                &format!("{controllers}/0/DiskDrives/0"),
                json!({"Name": "HpeSmartStorageDiskDrive", "Location": "1I:1:1", "Status": well}),
            ),
            (
                &format!("{controllers}/0/DiskDrives/1"),
                json!({"Name": "HpeSmartStorageDiskDrive", "Location": "1I:1:2", "Status": {"Health": "Critical"}}),
            ),
        ],
        &[],
    );
    let seen = bench.poll().await;
    assert_eq!((text(&seen, "complete"), text(&seen, "raid_state")), ("true".into(), "Dgrd".into()), "{seen:#?}");
    assert_eq!(list(&seen, "drives_failed"), ["1I:1:2"]);
    assert_eq!(text(&seen, "drives"), "4");
}

#[tokio::test]
async fn a_subscription_is_made_kept_and_renewed() {
    let bench = Bench::new().await;
    let params = json!({"url": "https://stentor.example:8460/", "token_file": bench.folder.path().join("token")});
    let run = async || {
        let seen = bench.run_with("redfish_events", params.clone(), 20_000).await.expect("observed");
        assert_eq!(text(&seen, "subscribed"), "true");
        text(&seen, "subscription")
    };
    assert_eq!(run().await, "created");
    let token = context(b"0123456789abcdef0123456789abcdef", "h1");
    let made = bench.sim.subscriptions();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0]["Destination"], "https://stentor.example:8460/api/v1/redfish/events/h1");
    assert_eq!(made[0]["Context"], json!(token));
    assert_eq!(made[0]["EventTypes"], json!(["Alert"]));
    assert_eq!(run().await, "kept");
    bench.write("token", "another secret that is long enough\n");
    assert_eq!(run().await, "renewed");
    let renewed = bench.sim.subscriptions();
    assert_eq!(renewed.len(), 1, "the old one is taken back: {renewed:?}");
    assert_ne!(renewed[0]["Context"], json!(token));
    bench.write("token", "short\n");
    assert!(refusal(bench.run_with("redfish_events", params.clone(), 20_000).await).contains("shorter"));
    let env = plain_env();
    for bad in [
        json!({"url": "https://x"}),
        json!({"url": "http://x", "token_file": "x"}),
        json!({"url": "https:///x", "token_file": "x"}),
    ] {
        assert!(build("redfish_events", &bad.to_string(), &env).is_err(), "{bad}");
    }
}

/// As the conformance suite has it for probes without credentials.
#[tokio::test]
async fn peers_that_speak_no_tls_are_unreachable_within_the_deadline() {
    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("password");
    std::fs::write(&password, "x").expect("written");
    let target = target(password.display().to_string());
    for (peer, expected) in [("silent", "unreachable"), ("closing", "unreachable"), ("lying", ""), ("flooding", "")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut asked = [0; 1024];
                    match peer {
                        "closing" => {}
                        "lying" => {
                            let _ = stream.write_all(b"\xff\x00\x16\x03HTTP/1.1 200 OK\r\n\r\n").await;
                            let _ = stream.read(&mut asked).await;
                        }
                        "flooding" => while stream.write_all(&[0xa5; 1024]).await.is_ok() {},
                        _ => while stream.read(&mut asked).await.is_ok_and(|n| n > 0) {},
                    }
                });
            }
        });
        let probe =
            build("redfish", &json!({"port": port, "insecure": true}).to_string(), &plain_env()).expect("built");
        let deadline = within(600);
        let seen = probe.run(&target, deadline).await;
        assert!(!is_overrun(deadline), "{peer}");
        match (seen, expected) {
            (Ok(seen), expected) => assert_eq!(text(&seen, "bmc"), expected, "{peer}: {seen:?}"),
            // Whoever answers with something else than TLS is no BMC that fell silent.
            (Err(error), "") => assert!(matches!(error, ProbeError::Failed(_)), "{peer}: {error}"),
            (Err(error), _) => panic!("{peer}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_closed_port_and_a_dark_host_are_unreachable_not_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("password");
    std::fs::write(&password, "x").expect("written");
    let port = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("address").port();
    let mut env = plain_env();
    for dark in [false, true] {
        if dark {
            env.net = Network::with_darkness(Arc::new(|_| true));
        }
        let probe = build("redfish", &json!({"port": port, "insecure": true}).to_string(), &env).expect("built");
        let seen = probe.run(&target(password.display().to_string()), within(500)).await.expect("observed");
        assert_eq!(
            (text(&seen, "bmc"), text(&seen, "power")),
            ("unreachable".into(), "unknown".into()),
            "dark: {dark}"
        );
    }
}
