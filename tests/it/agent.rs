//! `stentor serve` and a real `stentor agent` beside it: this machine seen through the hub, and the agent's silence.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "agent/away.rs"]
mod away;
#[path = "agent/certificates.rs"]
mod certificates;
#[path = "agent/commands.rs"]
mod commands;

use std::path::Path;

use serde_json::Value;
use tokio::process::Child;

use crate::running::{Running, brief, is_live, stentor, until};

const CONFIG: &str = r#"
[timing]
pace = 10
[[host]]
name = "box"
address = "127.0.0.1"
check = "none"
view = "agent"
# How busy the machine is that runs the tests is no matter of the tests.
[host.checks.load]
params = { limits = { warn = 10000, crit = 10000 } }
[host.checks.memory]
params = { limits = { warn = 101, crit = 101 } }
[host.checks.disk]
params = { limits = { warn = 101, crit = 101 } }
[host.checks.processes]
params = { limits = { warn = 10000000, crit = 10000000 } }
"#;

const SEEN_FROM_INSIDE: [&str; 6] = ["agent", "disk", "load", "memory", "processes", "uptime"];

fn start_agent(hub: &Running, token_file: &Path) -> Child {
    let token_file = token_file.display().to_string();
    let arguments = ["agent", "--hub", &hub.url, "--token-file", &token_file, "--host", "box"];
    stentor(&arguments, hub.folder.path()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_reports_its_machine_and_its_silence_is_one_incident() {
    let hub = Running::serve(CONFIG, tempfile::tempdir().unwrap()).await;
    let token_file = hub.folder.path().join("agent.token");
    std::fs::write(&token_file, &hub.token).unwrap();
    let mut agent = start_agent(&hub, &token_file);
    until("the agent has told everything", async || told(&hub).await).await;
    this_machine(&hub).await;

    agent.kill().await.unwrap();
    let number = hub
        .until_incidents("the agent's silence is noticed", |incidents| match incidents {
            [only] => Ok(only["number"].clone()),
            others => Err(others.len()),
        })
        .await;
    until("all that the agent told is stale and belongs to its incident", async || {
        let services = hub.services().await;
        let fits = |service: &Value| {
            service["stale"] == true && service["state"] == "UNKNOWN" && service["incident"] == number
        };
        let others: Vec<Value> = services.into_iter().filter(|service| !fits(service)).collect();
        if others.is_empty() { Ok(()) } else { Err(others) }
    })
    .await;
    let incident = only(&hub).await;
    assert_eq!(incident["title"], "agent on box", "{}", brief(&incident));
    assert_eq!(incident["target"]["component"], "agent", "{}", brief(&incident));

    let mut agent = start_agent(&hub, &token_file);
    until("the agent is heard again", async || told(&hub).await).await;
    until("its incident is resolved", async || {
        let incident = only(&hub).await;
        if is_live(&incident) { Err(brief(&incident)) } else { Ok(()) }
    })
    .await;
    agent.kill().await.unwrap();
    hub.stop().await;
}

/// The one incident there ever was.
async fn only(hub: &Running) -> Value {
    match hub.incidents().await.as_slice() {
        [only] => only.clone(),
        several => panic!("{} incidents:{}", several.len(), several.iter().map(brief).collect::<String>()),
    }
}

/// Every service from inside has a fresh result and is well.
async fn told(hub: &Running) -> Result<(), Vec<String>> {
    let services = hub.services().await;
    let names: Vec<_> = services.iter().filter_map(|service| service["service"].as_str()).collect();
    assert_eq!(names.len(), SEEN_FROM_INSIDE.len(), "{names:?}");
    assert!(SEEN_FROM_INSIDE.iter().all(|name| names.contains(name)), "{names:?}");
    let missing = services.iter().filter(|service| service["state"] != "OK" || service["stale"] == true);
    let missing: Vec<String> = missing.map(|s| format!("{} {} {}", s["service"], s["state"], s["output"])).collect();
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

/// What the hub shows is what this machine says of itself.
async fn this_machine(hub: &Running) {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).expect("MemTotal");
    let total_bytes = 1024.0 * total.trim().trim_end_matches(" kB").parse::<f64>().unwrap();
    let memory = hub.service("box", "memory").await;
    let items = memory["perfdata"].as_array().expect("a list");
    assert!(
        items.iter().any(|item| item["max"] == total_bytes || item["value"] == total_bytes),
        "{total_bytes} {memory}"
    );

    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    let now: f64 = text.split(' ').next().expect("seconds").parse().unwrap();
    let uptime = hub.service("box", "uptime").await;
    let seen = uptime["perfdata"][0]["value"].as_f64().unwrap_or_else(|| panic!("no value: {uptime}"));
    assert!(seen > 0.0 && seen <= now && now - seen < 600.0, "{seen} s, now {now} s");
}
