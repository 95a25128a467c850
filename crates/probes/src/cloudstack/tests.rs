//! The probe against a fake management server that checks signatures, cuts lists into pages and refuses as the real one does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use stentor_core::model::{Observation, Value};
use stentor_wire::cloudstack::{Keys, query};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::alerts::Heard;
use super::call::{ALERTS, Listing, Reach};

use super::super::testing::{build, number, plain_env, run_at, target, text, within};

/// How the fake treats those who ask.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Normal,
    /// Without keys, as the integration API.
    Open,
    /// Its role lacks the commands.
    Locked(&'static [&'static str]),
    /// A status and a body for everybody.
    Says(u16, &'static str),
    /// Cuts every document in half.
    Half,
    /// Counts three more than it ever shows.
    Overcounting,
}

struct Fake {
    port: u16,
    calls: Arc<AtomicUsize>,
    folder: TempDir,
}

fn keys() -> Keys {
    Keys { api_key: "an-api-key".into(), secret_key: "a-secret".into() }
}

/// Answers of 4.16 to 4.20 as apache/cloudstack-go (Apache License 2.0) has them in its test data and types.
fn cloud() -> BTreeMap<&'static str, (&'static str, Vec<Json>)> {
    let mut cloud = machines();
    cloud.append(&mut stores_and_settings());
    cloud
}

fn machines() -> BTreeMap<&'static str, (&'static str, Vec<Json>)> {
    let host = |name: &str, address: &str, state: &str, resource: &str, ha: &str, power: &str| {
        json!({"name": name, "ipaddress": address, "state": state, "resourcestate": resource, "type": "Routing", "hahost": false,
            "hypervisor": "KVM", "zonename": "z1", "clustername": "c1", "id": format!("id-{name}"), "version": "4.19.1.0",
            "hostha": {"haenable": true, "haprovider": "kvmhaprovider", "hastate": ha},
            "outofbandmanagement": {"enabled": true, "powerstate": power}})
    };
    let system_vm = |name: &str, kind: &str, state: &str, agent: &str, on: &str| {
        json!({"id": name, "name": name, "systemvmtype": kind, "state": state, "agentstate": agent, "hostname": on,
            "zonename": "z1", "publicip": "192.0.2.90", "linklocalip": "169.254.1.9"})
    };
    let router = |name: &str, state: &str, redundant: &str, failed: bool| {
        json!({"id": name, "name": name, "state": state, "isredundantrouter": !redundant.is_empty(), "redundantstate": redundant,
            "healthchecksfailed": failed, "hostname": "kvm1", "zonename": "z1", "guestnetworkname": "n1", "requiresupgrade": false})
    };
    BTreeMap::from([
        (
            "listHosts",
            (
                "host",
                vec![
                    host("kvm1.example.org", "192.0.2.11", "Up", "Enabled", "Available", "On"),
                    host("kvm2", "192.0.2.12", "Alert", "Enabled", "Fencing", "Unknown"),
                    host("kvm3", "192.0.2.13", "Up", "PrepareForMaintenance", "Ineligible", "On"),
                ],
            ),
        ),
        (
            "listSystemVms",
            (
                "systemvm",
                vec![
                    system_vm("s-7-VM", "secondarystoragevm", "Running", "Disconnected", "kvm1.example.org"),
                    system_vm("v-8-VM", "consoleproxy", "Running", "Up", "kvm3"),
                    system_vm("v-9-VM", "consoleproxy", "Stopped", "Disconnected", ""),
                ],
            ),
        ),
        (
            "listRouters",
            (
                "router",
                vec![router("r-4-VM", "Running", "MASTER", false), router("r-5-VM", "Running", "PRIMARY", true)],
            ),
        ),
    ])
}

/// Sentences as databases of CloudStack have them in its own tests; newest first, as the server sorts them. One is of
/// yesterday, one of another host whose name begins alike.
fn alerts() -> (&'static str, Vec<Json>) {
    let alert = |id: &str, kind: u64, name: &str, sent: &str, words: &str| json!({"id": id, "type": kind, "name": name, "sent": sent, "description": words});
    let of_host = "Host is down, name: kvm2 (id:2), availability zone: z1, pod: p1";
    let of_other = "Host is down, name: kvm20 (id:20), availability zone: z1, pod: p1";
    let of_vm = "Unable to restart s-7-VM which was running on host name: kvm2(id:2), availability zone: z1, pod: p1";
    let all = vec![
        alert("a4", 19, "ALERT.SERVICE.SSVM", "2026-11-21T02:59:50+0100", of_vm),
        alert("a3", 7, "ALERT.COMPUTE.HOST", "2026-11-21T02:58:10+0100", of_host),
        alert("a2", 7, "ALERT.COMPUTE.HOST", "2026-11-21T02:58:05+0100", of_other),
        alert("a1", 7, "ALERT.COMPUTE.HOST", "2026-11-20T02:00:00+0100", of_host),
    ];
    ("alert", all)
}

/// The rest of the same cloud.
fn stores_and_settings() -> BTreeMap<&'static str, (&'static str, Vec<Json>)> {
    BTreeMap::from([
        (ALERTS, alerts()),
        (
            "listStoragePools",
            (
                "storagepool",
                vec![
                    json!({"name": "testPrimary1", "id": "3fd44942", "ipaddress": "10.1.1.2", "state": "Up", "scope": "CLUSTER",
                "type": "NetworkFilesystem", "disksizeused": 900, "disksizetotal": 1000, "disksizeallocated": 1500, "zonename": "z1"}),
                ],
            ),
        ),
        (
            "listImageStores",
            (
                "imagestore",
                vec![
                    json!({"name": "s1", "url": "nfs://10.70.4.150/export/secondary2", "protocol": "nfs", "scope": "ZONE", "readonly": false,
                "zonename": "z1", "id": "06f9"}),
                ],
            ),
        ),
        (
            "listManagementServers",
            (
                "managementserver",
                vec![
                    json!({"name": "ms1", "state": "Up", "ipaddress": "192.0.2.5", "version": "4.19.1.0", "agentscount": 3, "id": "a"}),
                    json!({"name": "ms2", "state": "Down", "ipaddress": "192.0.2.6", "version": "4.19.1.0", "id": "b"}),
                ],
            ),
        ),
        (
            "listConfigurations",
            (
                "configuration",
                vec![
                    json!({"category": "Advanced", "name": "host", "value": "192.0.2.5", "isdynamic": false}),
                    json!({"category": "Advanced", "name": "ha.tag", "value": "ha_host"}),
                    json!({"category": "Advanced", "name": "ping.timeout"}),
                ],
            ),
        ),
        (
            "listVirtualMachines",
            (
                "virtualmachine",
                vec![
                    json!({"id": "v1", "name": "web", "instancename": "i-2-3-VM", "haenable": true, "hostname": "kvm2", "state": "Running"}),
                    json!({"id": "v2", "name": "db", "instancename": "i-2-4-VM", "haenable": true, "state": "Stopped"}),
                ],
            ),
        ),
        (
            "listVolumes",
            ("volume", vec![json!({"virtualmachineid": "v1", "storagetype": "local", "storage": "kvm2 Local"})]),
        ),
    ])
}

/// What a server answers to this query string: status and body.
fn answer(mood: Mood, asked: &str) -> (u16, String) {
    if let Mood::Says(status, body) = mood {
        return (status, body.to_owned());
    }
    let pairs: Vec<(String, String)> = asked
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace("%20", " ").replace("%2F", "/").replace("%3D", "=")))
        .collect();
    let of = |name: &str| pairs.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value.as_str());
    let command = of("command");
    let inner = format!("{}response", command.to_lowercase());
    let refuse = |status: u64, words: &str| {
        (status as u16, json!({&inner: {"uuidList": [], "errorcode": status, "errortext": words}}).to_string())
    };
    let own: Vec<(&str, &str)> = pairs
        .iter()
        .filter(|(name, _)| !["command", "response", "apiKey", "signature"].contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    if mood != Mood::Open && query(command, &own, Some(&keys())) != asked {
        return refuse(401, "unable to verify user credentials and/or request signature");
    }
    if matches!(mood, Mood::Locked(locked) if locked.contains(&command)) {
        return refuse(432, "The given command does not exist or it is not available for user");
    }
    let Some((item, all)) = cloud().remove(command) else { return refuse(432, "no such command") };
    let all: Vec<Json> = match (command, of("projectid")) {
        ("listRouters", "-1") => Vec::new(),
        ("listConfigurations", _) => all.into_iter().filter(|one| one["name"] == of("name")).collect(),
        _ => all,
    };
    let (page, size): (usize, usize) = (of("page").parse().expect("a page"), of("pagesize").parse().expect("a size"));
    if size > 500 {
        return refuse(431, "Page size can not exceed max page size: 500");
    }
    let count = all.len() + if mood == Mood::Overcounting { 3 } else { 0 };
    let shown: Vec<Json> = all.into_iter().skip((page - 1) * size).take(size).collect();
    let document = if count == 0 || shown.is_empty() && mood != Mood::Overcounting {
        json!({ inner: {} })
    } else {
        json!({inner: {"count": count, item: shown}})
    };
    let document = document.to_string();
    let end = if mood == Mood::Half { document.len() / 2 } else { document.len() };
    (200, document[..end].to_owned())
}

async fn fake(mood: Mood) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; 8192];
            let read = stream.read(&mut asked).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
            let path = asked.split_whitespace().nth(1).unwrap_or_default();
            counted.fetch_add(1, Ordering::Relaxed);
            let (status, body) = match path.split_once('?') {
                Some(("/client/api", query)) => answer(mood, query),
                _ => (404, "<html>".to_owned()),
            };
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("key"), format!("{}\n", keys().api_key)).expect("written");
    std::fs::write(folder.path().join("secret"), format!("{}\n", keys().secret_key)).expect("written");
    Fake { port, calls, folder }
}

impl Fake {
    fn params(&self, more: &str) -> String {
        let file = |name: &str| -> PathBuf { self.folder.path().join(name) };
        let (key, secret) = (file("key"), file("secret"));
        let keys = format!(r#""api_key_file":"{}","secret_key_file":"{}""#, key.display(), secret.display());
        format!(r#"{{"address":"127.0.0.1","port":{},{keys}{more}}}"#, self.port)
    }

    async fn look(&self, more: &str) -> Observation {
        run_at("cloudstack", &self.params(more), 5000).await.expect("observed")
    }
}

#[tokio::test]
async fn the_whole_cloud_is_told() {
    let seen = fake(Mood::Normal).await.look(r#","vms":true"#).await;
    let expected = [
        ("api", "ok"),
        ("hosts", "3"),
        ("hosts_up", "2"),
        ("hosts_down", "[kvm2]"),
        ("hosts_maintenance", "[kvm3]"),
        ("ha", "out"),
        ("ha_busy", "[kvm2 Fencing]"),
        ("system_vms_down", "[v-9-VM]"),
        ("system_vms_disconnected", "[s-7-VM]"),
        ("routers_unhealthy", "[r-5-VM]"),
        ("pools_down", "[]"),
        ("pool_used_pct_max", "90"),
        ("image_stores_of_zone_min", "1"),
        ("management_servers_down", "[ms2]"),
        ("incomplete", "[]"),
    ];
    for (fact, value) in expected {
        assert_eq!(text(&seen, fact), value, "{fact} of {seen:?}");
    }
    let ha_out = text(&seen, "ha_out");
    assert!(ha_out.contains("ha.tag") && ha_out.contains("the power of kvm2 is not known"), "{ha_out}");
    let settings = seen.facts.get("settings").expect("settings");
    assert_eq!(settings.get("host").and_then(Value::text), Some("192.0.2.5"));
    assert_eq!(settings.get("ha.tag").and_then(Value::text), Some("ha_host"));
    assert_eq!(settings.get("ping.timeout").and_then(Value::text), Some(""));
    assert!(
        text(&seen, "ha_vms").contains("local") && text(&seen, "ha_vms").contains("true"),
        "{}",
        text(&seen, "ha_vms")
    );
}

#[tokio::test]
async fn a_host_is_found_by_name_short_name_or_address() {
    let fake = fake(Mood::Normal).await;
    for name in ["kvm1", "KVM1.example.org", "192.0.2.11", "id-kvm1.example.org"] {
        let seen = fake.look(&format!(r#","ask":"host","name":"{name}""#)).await;
        assert_eq!((text(&seen, "state").as_str(), text(&seen, "ha_state").as_str()), ("Up", "Available"), "{name}");
    }
    let seen = fake.look(r#","ask":"host","name":"kvm3""#).await;
    assert_eq!(text(&seen, "maintenance"), "true");
    let seen = fake.look(r#","ask":"host","name":"kvm9""#).await;
    assert_eq!(text(&seen, "found"), "false");
    assert!(!seen.facts.contains_key("state"));
}

/// `ha.tag` is `ha_host`, and no host has it.
#[tokio::test]
async fn a_host_whose_guests_nobody_would_start_elsewhere_says_so() {
    let fake = fake(Mood::Normal).await;
    let seen = fake.look(r#","ask":"host","name":"kvm1""#).await;
    assert_eq!(text(&seen, "healing"), "out");
    assert_eq!(text(&seen, "healing_why"), "[no other host of cluster c1 that is up has the tag `ha_host` of ha.tag]");
    let seen = fake.look("").await;
    assert_eq!(text(&seen, "hosts_unhealed"), "[kvm1.example.org, kvm2, kvm3]");
}

/// The tag is not for everybody to read: then only what the list of hosts says counts.
#[tokio::test]
async fn what_is_told_beside_a_host_may_be_refused() {
    let fake = fake(Mood::Locked(&["listConfigurations", "listAlerts"])).await;
    let seen = fake.look(r#","ask":"host","name":"kvm2""#).await;
    assert_eq!((text(&seen, "api"), text(&seen, "incomplete")), ("ok".to_owned(), "[]".to_owned()));
    assert_eq!(text(&seen, "healing_why"), "[the power of kvm2 is not known: it could not be fenced]");
    assert!(!seen.facts.contains_key("alert"), "{seen:?}");
    let seen = fake.look(r#","ask":"host","name":"kvm1""#).await;
    assert_eq!(text(&seen, "healing"), "out", "kvm2 is down, kvm3 about to be in maintenance");
    let seen = fake.look("").await;
    assert_eq!(text(&seen, "incomplete"), "[listConfigurations]", "as before there were alerts");
    assert!(!seen.facts.contains_key("alerts"), "{seen:?}");
}

#[tokio::test]
async fn alerts_of_the_last_minutes_stand_beside_what_they_name() {
    let fake = fake(Mood::Normal).await;
    let told = text(&fake.look(r#","ask":"host","name":"kvm2""#).await, "alert");
    assert!(told.starts_with("[SSVM 2026-11-21T02:59:50+01:00: Unable to restart s-7-VM"), "{told}");
    assert!(told.contains("HOST 2026-11-21T02:58:10+01:00: Host is down, name: kvm2 (id:2)"), "{told}");
    assert!(!told.contains("kvm20") && !told.contains("2026-11-20"), "{told}");
    let told = text(&fake.look(r#","ask":"system_vm","name":"secondarystoragevm""#).await, "alert");
    assert!(told.contains("s-7-VM") && !told.contains("HOST"), "{told}");
    for quiet in [r#","ask":"host","name":"kvm1""#, r#","ask":"router","name":"r-4-VM""#] {
        let seen = fake.look(quiet).await;
        assert!(!seen.facts.contains_key("alert"), "{quiet}: {seen:?}");
    }
}

#[test]
fn of_the_cloud_only_what_came_since_the_last_look_is_told() {
    let (heard, newest) = (Heard::default(), alerts().1);
    let look = |who: &str, items: &[Json]| {
        let listing = Listing {
            command: ALERTS,
            reach: Reach::Newest(100),
            items: items.to_vec(),
            count: Some(4000),
            refusal: None,
        };
        heard.of_cloud(Observation::observed(""), &[listing], &Arc::from(who))
    };
    assert_eq!(number(&look("ms1", &newest[2..]), "alerts_new"), 0.0, "nobody knows what is new at a first look");
    let seen = look("ms1", &newest);
    assert_eq!(number(&seen, "alerts_new"), 2.0);
    let told = text(&seen, "alerts");
    assert!(told.contains("SSVM") && told.contains("kvm2 (id:2)") && !told.contains("kvm20"), "{told}");
    assert_eq!(number(&look("ms1", &newest), "alerts_new"), 0.0);
    assert_eq!(number(&look("ms2", &newest), "alerts_new"), 0.0, "another target has a last look of its own");
    // Sent again: the same id with another time.
    let mut again = newest;
    again[3]["sent"] = json!("2026-11-21T02:59:59+0100");
    assert_eq!(number(&look("ms1", &again), "alerts_new"), 1.0);
}

#[tokio::test]
async fn things_are_told_one_by_one() {
    let fake = fake(Mood::Normal).await;
    let table = [
        ("system_vm", "secondarystoragevm", "agent_state", "Disconnected"),
        ("system_vm", "s-7-VM", "vm_on", "kvm1.example.org"),
        // The worst of two.
        ("system_vm", "consoleproxy", "instance_state", "Stopped"),
        ("system_vm", "consoleproxy", "alike_running", "1"),
        ("system_vm", "v-8-VM", "instance_state", "Running"),
        ("router", "r-5-VM", "health_checks_failed", "true"),
        ("router", "r-5-VM", "primaries", "2"),
        ("router", "r-4-VM", "redundant_state", "MASTER"),
        ("pool", "testPrimary1", "used_pct", "90"),
        ("pool", "10.1.1.2", "allocated_pct", "150"),
        ("image_store", "10.70.4.150", "stores_of_zone", "1"),
        ("management_server", "ms2", "state", "Down"),
        ("management_server", "ms1", "servers_up", "1"),
    ];
    for (ask, name, fact, value) in table {
        let seen = fake.look(&format!(r#","ask":"{ask}","name":"{name}""#)).await;
        assert_eq!(text(&seen, fact), value, "{ask} {name}: {seen:?}");
    }
}

#[tokio::test]
async fn lists_are_read_over_all_their_pages() {
    let fake = fake(Mood::Normal).await;
    let seen = fake.look(r#","ask":"host","name":"kvm3","page_size":1"#).await;
    assert_eq!(text(&seen, "state"), "Up");
    // Three pages of hosts; one setting; of the alerts only the newest page.
    assert_eq!(fake.calls.load(Ordering::Relaxed), 5);
    let seen = fake.look(r#","ask":"host","page_size":501"#).await;
    assert_eq!(text(&seen, "api"), "bad_call");
}

#[tokio::test]
async fn from_a_list_that_is_cut_short_nothing_is_missing() {
    let fake = fake(Mood::Overcounting).await;
    let seen = fake.look(r#","ask":"host","name":"kvm9""#).await;
    assert_eq!(text(&seen, "incomplete"), "[listHosts]");
    assert!(!seen.facts.contains_key("found"), "{seen:?}");
}

#[tokio::test]
async fn refusals_and_pages_of_others_are_told_apart() {
    for (mood, word) in [
        (Mood::Says(401, r#"{"listhostsresponse":{"errorcode":401,"errortext":"no"}}"#), "denied"),
        (Mood::Says(431, r#"{"listhostsresponse":{"errorcode":431,"errortext":"no"}}"#), "bad_call"),
        (Mood::Says(530, r#"{"listhostsresponse":{"errorcode":530,"errortext":"DB Exception"}}"#), "error"),
        (Mood::Says(503, "<html><body><h1>503 Service Unavailable</h1></body></html>"), "error"),
        (Mood::Says(200, "<!DOCTYPE html><html><head><title>Apache CloudStack</title>"), "invalid"),
        (Mood::Half, "invalid"),
        (Mood::Locked(&["listHosts"]), "not_allowed"),
    ] {
        let seen = fake(mood).await.look(r#","ask":"host","name":"kvm1""#).await;
        assert_eq!(text(&seen, "api"), word, "{mood:?}: {seen:?}");
        assert!(!seen.facts.contains_key("found") && !seen.facts.contains_key("state"), "{seen:?}");
        assert_eq!(text(&seen, "port"), "open");
    }
}

#[tokio::test]
async fn one_list_that_is_not_allowed_leaves_the_others() {
    let seen = fake(Mood::Locked(&["listHosts", "listConfigurations"])).await.look("").await;
    assert_eq!(text(&seen, "api"), "ok");
    assert_eq!(text(&seen, "incomplete"), "[listHosts, listConfigurations]");
    assert!(!seen.facts.contains_key("hosts") && !seen.facts.contains_key("ha"), "nothing is made up: {seen:?}");
    assert_eq!(number(&seen, "management_servers_up"), 1.0);
}

#[tokio::test]
async fn the_integration_api_needs_no_keys_and_the_other_refuses_without() {
    let without = |port: u16| format!(r#"{{"port":{port},"ask":"management_server","name":"ms1"}}"#);
    let open = fake(Mood::Open).await;
    let seen = run_at("cloudstack", &without(open.port), 5000).await.expect("observed");
    assert_eq!(text(&seen, "state"), "Up");
    let locked = fake(Mood::Normal).await;
    let seen = run_at("cloudstack", &without(locked.port), 5000).await.expect("observed");
    assert_eq!(text(&seen, "api"), "denied");
}

/// A wrong secret, a missing file, and keys that must not show.
#[tokio::test]
async fn keys_are_read_at_each_look_and_never_shown() {
    let fake = fake(Mood::Normal).await;
    std::fs::write(fake.folder.path().join("secret"), "another").expect("written");
    let seen = fake.look(r#","ask":"host","name":"kvm1""#).await;
    assert_eq!(text(&seen, "api"), "denied");
    assert!(!format!("{seen:?}").contains("another") && !format!("{seen:?}").contains("an-api-key"), "{seen:?}");
    std::fs::remove_file(fake.folder.path().join("secret")).expect("removed");
    assert!(run_at("cloudstack", &fake.params(""), 1000).await.is_err(), "our own trouble, not the cloud's");
}

#[tokio::test]
async fn looks_with_equal_parameters_share_a_list() {
    let fake = fake(Mood::Normal).await;
    let probe = build("cloudstack", &fake.params(r#","ask":"host""#), &plain_env()).expect("built");
    for name in ["192.0.2.11", "192.0.2.12", "192.0.2.13"] {
        let seen = probe.run(&target(name), within(5000)).await.expect("observed");
        assert_eq!(text(&seen, "found"), "true", "{name}");
    }
    assert_eq!(fake.calls.load(Ordering::Relaxed), 3, "hosts, ha.tag and alerts once for all of them");
}

#[test]
fn parameters_that_contradict_are_refused() {
    for params in [
        r#"{"api_key_file":"/x"}"#,
        r#"{"port":0}"#,
        r#"{"path":"client"}"#,
        r#"{"path":"/client?x"}"#,
        r#"{"page_size":0}"#,
        r#"{"ask":"moon"}"#,
    ] {
        assert!(build("cloudstack", params, &plain_env()).is_err(), "{params}");
    }
}
