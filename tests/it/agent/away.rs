//! What an agent sees while its hub is away: told later with its own times, by a later agent too, and no page for what is over.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use stentor_core::Timestamp;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::running::{Running, brief, stentor, until};

/// The worker is looked at twice a second.
const CONFIG: &str = r#"
[timing]
pace = 10
[[host]]
name = "box"
address = "127.0.0.1"
check = "none"
view = "agent"
[host.checks.load]
enabled = false
[host.checks.memory]
enabled = false
[host.checks.disk]
enabled = false
[host.checks.processes]
enabled = false
[host.checks.uptime]
enabled = false
[[service]]
host = ["box"]
name = "worker"
probe = "process"
params = { pattern = "^sleep 86399.5" }
every = "5s"
attempts = 1
rules = [{ when = 'process != "running"', state = "CRITICAL", source = "the test" }]
"#;

/// One address for the agent, wherever its hub is; nobody answers there while the hub is away.
pub struct Door {
    pub url: String,
    port: Arc<AtomicU16>,
}

impl Door {
    pub async fn open() -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let port = Arc::new(AtomicU16::new(0));
        let to = Arc::clone(&port);
        tokio::spawn(async move {
            loop {
                let (mut agent, _) = listener.accept().await.unwrap();
                let port = to.load(Ordering::SeqCst);
                tokio::spawn(async move {
                    if let Ok(mut hub) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ = tokio::io::copy_bidirectional(&mut agent, &mut hub).await;
                    }
                });
            }
        });
        Door { url, port }
    }

    pub fn lead_to(&self, hub: Option<&Running>) {
        let port = hub.map_or(0, |hub| hub.url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap());
        self.port.store(port, Ordering::SeqCst);
    }
}

fn worker() -> Child {
    Command::new("sleep").arg("86399.5").kill_on_drop(true).spawn().unwrap()
}

fn start_agent(door: &Door, token: &str, folder: &Path) -> Child {
    let token_file = folder.join("agent.token");
    std::fs::write(&token_file, token).unwrap();
    let (token_file, spool) = (token_file.display().to_string(), folder.join("spool").display().to_string());
    let arguments = ["agent", "--hub", &door.url, "--token-file", &token_file, "--host", "box", "--spool", &spool];
    stentor(&arguments, folder).spawn().unwrap()
}

/// Everything in the spool, as text: results are written there as JSON.
fn spooled(folder: &Path) -> String {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("spool")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()).collect()
}

/// Results that the spool took after its last mention of `before`.
fn since(folder: &Path, before: &str, word: &str) -> Result<(), String> {
    let text = spooled(folder);
    let from = text.rfind(before).unwrap_or(0);
    let found = text.get(from..).unwrap_or_default().matches(word).count();
    if found >= 3 { Ok(()) } else { Err(format!("{found} of {word}")) }
}

async fn worker_is_ok(hub: &Running) -> Result<(), Value> {
    let service = hub.service("box", "worker").await;
    if service["state"] == "OK" && service["stale"] == false { Ok(()) } else { Err(service) }
}

/// States of the worker in history, oldest first: state and time.
async fn history(hub: &Running) -> Vec<(String, Timestamp)> {
    let list = hub.get("api/v1/history?host=box&service=worker&limit=1000").await;
    let items = list["items"].as_array().unwrap().iter().rev();
    let states = items.filter(|item| item["kind"] == "service_state");
    let word = |item: &Value| item["text"].as_str().unwrap().split(';').next().unwrap().to_owned();
    states.map(|item| (word(item), Timestamp::from_rfc3339(item["at"].as_str().unwrap()).unwrap())).collect()
}

fn now() -> Timestamp {
    stentor::clock::Clock::Machine.now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_came_and_went_while_the_hub_was_away_is_history_and_no_page() {
    let place: TempDir = tempfile::tempdir().unwrap();
    let mut working = worker();
    let hub = Running::serve(CONFIG, tempfile::tempdir().unwrap()).await;
    let (token, door) = (hub.token.clone(), Door::open().await);
    door.lead_to(Some(&hub));
    let mut agent = start_agent(&door, &token, place.path());
    until("the worker is seen", async || worker_is_ok(&hub).await).await;

    let folder = hub.stop_and_keep().await;
    door.lead_to(None);
    let failed = now();
    working.kill().await.unwrap();
    until("three polls see the failure", async || since(place.path(), "nothing", "\"absent\"")).await;
    let mended = now();
    let _working = worker();
    until("three polls see it mended", async || since(place.path(), "\"absent\"", "\"running\"")).await;
    // kill -9; the next agent takes up what this one could not tell.
    agent.kill().await.unwrap();
    let kept = spooled(place.path()).matches("\"absent\"").count();
    let mut agent = start_agent(&door, &token, place.path());
    let back = now();
    let hub = Running::serve_as(CONFIG, "", folder, Some(token.clone())).await;
    door.lead_to(Some(&hub));

    until("everything is told", async || {
        let told = history(&hub).await;
        let ends = told.iter().any(|(state, _)| state == "CRITICAL") && told.last().is_some_and(|(s, _)| s == "OK");
        if ends { worker_is_ok(&hub).await.map_err(|service| vec![(service.to_string(), now())]) } else { Err(told) }
    })
    .await;
    let told = history(&hub).await;
    let states: Vec<&str> = told.iter().map(|(state, _)| state.as_str()).collect();
    assert_eq!(states, ["CRITICAL", "OK"], "{kept} polls saw the failure: {told:?}");
    let (critical, well) = (told[0].1, told[1].1);
    assert!(failed <= critical && critical <= mended, "{critical} not in {failed}..{mended}");
    assert!(mended <= well && well <= back, "{well} not in {mended}..{back}");
    // Several holds and ticks later there is still nothing to page about.
    let seen = hub.service("box", "worker").await["last_check"].clone();
    until("ten more polls", async || {
        let now = hub.service("box", "worker").await["last_check"].clone();
        let secs = |value: &Value| Timestamp::from_rfc3339(value.as_str().unwrap()).unwrap();
        if secs(&now).since(secs(&seen)).as_millis() > 5000 { Ok(()) } else { Err(now) }
    })
    .await;
    let incidents = hub.incidents().await;
    assert!(incidents.is_empty(), "{}", incidents.iter().map(brief).collect::<String>());
    agent.kill().await.unwrap();
    hub.stop().await;
}
