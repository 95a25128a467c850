//! `[[parity]]` on a real service and a real agent: two hosts that differ in one file, one that falls silent, one incident each.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Child;

use crate::running::{Running, brief, is_live, stentor, until};

/// Both hosts are this machine; each process finds its own file in the folder it runs in.
const CONFIG: &str = r#"
[timing]
pace = 10
[[host]]
name = "one"
address = "127.0.0.1"
check = "none"
view = "local"
[[host]]
name = "two"
address = "127.0.0.1"
check = "none"
view = "agent"
[[parity]]
name = "pair"
hosts = ["one", "two"]
files = ["/proc/self/cwd/pair.conf"]
packages = ["bash"]
every = "20s"
state = "CRITICAL"
"#;

fn start_agent(hub: &Running, folder: &Path) -> Child {
    let token_file = folder.join("agent.token");
    std::fs::write(&token_file, &hub.token).unwrap();
    let token_file = token_file.display().to_string();
    let arguments = ["agent", "--hub", &hub.url, "--token-file", &token_file, "--host", "two"];
    stentor(&arguments, folder).spawn().unwrap()
}

async fn compared(hub: &Running, state: &str, said: &[&str]) -> Value {
    until(&format!("the comparison is {state}: {said:?}"), async || {
        let service = hub.service("one", "parity pair").await;
        let output = service["output"].as_str().unwrap_or_default().to_owned();
        if service["state"] == state && said.iter().all(|text| output.contains(text)) {
            Ok(service)
        } else {
            Err(format!("{} {output}", service["state"]))
        }
    })
    .await
}

/// The live incident that the comparison belongs to, once there is one.
async fn incident_of_comparison(hub: &Running) -> Value {
    until("the comparison belongs to an incident", async || {
        let number = hub.service("one", "parity pair").await["incident"].clone();
        let all = hub.incidents().await;
        all.into_iter().find(|incident| incident["number"] == number && is_live(incident)).ok_or(number)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_differs_is_named_and_a_silent_partner_is_never_ok() {
    let write = |folder: &Path, text: &str| std::fs::write(folder.join("pair.conf"), text).unwrap();
    let (own, far) = (tempfile::tempdir().unwrap(), TempDir::new().unwrap());
    write(own.path(), "foo");
    write(far.path(), "foo");
    let hub = Running::serve(CONFIG, own).await;
    compared(&hub, "UNKNOWN", &["two has told nothing yet"]).await;
    let mut agent = start_agent(&hub, far.path());
    compared(&hub, "OK", &["2 files and packages are alike on one, two"]).await;

    write(far.path(), "");
    let difference = "/proc/self/cwd/pair.conf: 2c26b46b68ff on one, e3b0c44298fc on two";
    compared(&hub, "CRITICAL", &["1 of 2 differ", difference]).await;
    let incident = incident_of_comparison(&hub).await;
    assert_eq!(incident["title"], "parity pair on one", "{}", brief(&incident));
    std::fs::remove_file(far.path().join("pair.conf")).unwrap();
    compared(&hub, "CRITICAL", &["2c26b46b68ff on one, missing on two"]).await;
    write(far.path(), "foo");
    compared(&hub, "OK", &[]).await;
    until("its incident is over", async || {
        let all = hub.incidents().await;
        let live: Vec<_> = all.iter().filter(|one| one["number"] == incident["number"] && is_live(one)).collect();
        if live.is_empty() { Ok(()) } else { Err(brief(live[0])) }
    })
    .await;

    agent.kill().await.unwrap();
    compared(&hub, "UNKNOWN", &["two has told nothing for"]).await;
    let incident = incident_of_comparison(&hub).await;
    assert_eq!(incident["title"], "agent on two", "{}", brief(&incident));
    hub.stop().await;
}
