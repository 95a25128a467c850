//! `[[drill]]` on a real service: due until one is recorded by the command line, then well at once; audited, on its page, kept.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use serde_json::{Value, json};

use crate::running::{Running, stentor, until};

const CONFIG: &str = r#"
[timing]
pace = 60
[[host]]
name = "hub"
address = "127.0.0.1"
check = "none"
view = "local"
[[drill]]
cell = "eucalyptus/clc/server"
due = "90d"
owner = "cloud team"
"#;

const CELL: &str = "eucalyptus/clc/server";

async fn due(hub: &Running, state: &str) -> Value {
    until(&format!("the drill is {state}"), async || {
        let service = hub.service("hub", "drill%20eucalyptus%2Fclc%2Fserver").await;
        if service["state"] == state { Ok(service) } else { Err(service["output"].clone()) }
    })
    .await
}

/// What `stentor drill` prints, asking the service.
async fn drill(hub: &Running, words: &[&str]) -> (bool, String) {
    let token_file = hub.folder.path().join("token");
    std::fs::write(&token_file, &hub.token).unwrap();
    let token_file = token_file.display().to_string();
    let arguments = [&["drill"], words, &["--url", &hub.url, "--token-file", &token_file]].concat();
    let output = stentor(&arguments, hub.folder.path()).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_is_due_until_a_drill_of_it_passed() {
    let hub = Running::serve(CONFIG, tempfile::tempdir().unwrap()).await;
    let never = due(&hub, "WARNING").await;
    assert_eq!(never["output"], "eucalyptus/clc/server was never drilled (cloud team sees to it)");
    let (well, listed) = drill(&hub, &["list"]).await;
    assert!(well && listed.contains("unverified; OVERDUE, cloud team"), "{listed}");

    let (well, said) = drill(&hub, &["record", "--cell", CELL, "--failed", "--by", "ben", "--note", "no tape"]).await;
    assert!(well && said.contains("failed") && said.contains("by ben"), "{said}");
    let (well, said) = drill(&hub, &["record", "--cell", "eucalyptus/clc/serve"]).await;
    assert!(!well && said.contains("there is no cell or runbook `eucalyptus/clc/serve`"), "{said}");
    let failed = hub.get("api/v1/drills").await["items"][0].clone();
    assert_eq!((&failed["standing"], &failed["overdue"]), (&json!("failed"), &json!(true)), "{failed}");

    let (well, said) = drill(&hub, &["record", "--cell", CELL, "--rto", "2h", "--rpo", "0"]).await;
    assert!(well && said.contains("RTO 2 h, RPO 0"), "{said}");
    let done = due(&hub, "OK").await;
    assert!(done["output"].as_str().unwrap().contains("restored 0 days ago"), "{done}");
    let (_, listed) = drill(&hub, &["list"]).await;
    assert!(listed.contains("verified by drill") && listed.contains("RTO 2 h, RPO 0; due 2"), "{listed}");

    let audit = hub.get("api/v1/audit?limit=100").await;
    let lines: Vec<String> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| format!("{} {} {}", record["action"], record["target"], record["text"]))
        .collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].starts_with("\"drill\" \"eucalyptus/clc/server\" \"failed") && lines[0].contains("by ben: no tape")
    );
    let hub = hub.restarted().await;
    let kept = hub.get("api/v1/drills").await["items"][0].clone();
    assert_eq!((&kept["standing"], &kept["last"]["rto_s"]), (&json!("done"), &json!(7200)), "{kept}");
    let page = hub.text("c/all/drills").await;
    assert!(page.contains(CELL) && page.contains("cloud team") && page.contains("2 h"), "{page}");
    hub.stop().await;
}
