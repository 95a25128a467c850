//! Commands of runbooks on a host with only an agent: what both lists allow, once, killed in time, told by nobody else.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;

use super::away::Door;
use crate::running::{Running, stentor, until};

const PACK: &str = r#"
[pack]
platform = "works"
version = "1"
schema = 1

[[runbook]]
id = "rb-works"
title = "Try everything"
procedure = true
steps = [
  { kind = "verify", text = "Arguments are data.", do = "command", run = ["echo", "$(id) ; {host}", "`x`"] },
  { kind = "fix", text = "It hangs.", do = "command", run = ["sh", "-c", "sleep 86299 & sleep 86298"], within = "2s" },
  { kind = "fix", text = "The host does not want it.", do = "command", run = ["id"] },
  { kind = "fix", text = "Nor does Stentor.", do = "command", run = ["rm", "-rf", "/"] },
  { kind = "fix", text = "It takes until somebody opens the gate.", do = "command", run = ["sh", "-c", "GATED"], within = "1h" },
  { kind = "confirm", text = "All is well." },
]
"#;

const CONFIG: &str = r#"
[packs]
dirs = ["packs"]
[[zone]]
name = "z"
[[host]]
name = "box"
address = "127.0.0.1"
zone = "z"
check = "none"
view = "agent"
[[host]]
name = "other"
address = "127.0.0.2"
zone = "z"
check = "none"
view = "agent"
[runbook]
commands = [["echo", "*", "*"], ["sh", "-c", "sleep 86299 & sleep 86298"], ["id"], ["sh", "-c", "GATED"]]
"#;

/// Leaves a line when it begins and one when it ends, which is when there is a gate.
fn gated(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "echo begun >> {folder}/lines; while [ ! -e {folder}/gate ]; do sleep 0.1; done; echo ended >> {folder}/lines"
    )
}

/// The hub, its door for agents, tokens of two hosts, and the list of the first.
struct Place {
    hub: Running,
    door: Door,
    folder: TempDir,
}

impl Place {
    async fn new() -> Place {
        let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let gated = gated(folder.path());
        std::fs::create_dir_all(state.path().join("packs/works")).unwrap();
        std::fs::write(state.path().join("packs/works/pack.toml"), PACK.replace("GATED", &gated)).unwrap();
        let list = format!(
            "commands = [[\"echo\", \"*\", \"*\"], [\"sh\", \"-c\", \"sleep 86299 & sleep 86298\"], [\"sh\", \"-c\", \"{gated}\"]]"
        );
        std::fs::write(folder.path().join("commands.toml"), list).unwrap();
        let hub = Running::serve(&CONFIG.replace("GATED", &gated), state).await;
        let door = Door::open().await;
        door.lead_to(Some(&hub));
        for host in ["box", "other"] {
            let config = hub.folder.path().join("stentor.toml").display().to_string();
            let token = ["user", "token", "--agent", host, "--config", &config];
            let made = stentor(&token, hub.folder.path()).output().await.unwrap();
            let printed = String::from_utf8(made.stdout).unwrap();
            let token = printed.split_whitespace().max_by_key(|word| word.len()).unwrap();
            std::fs::write(folder.path().join(host), token).unwrap();
        }
        Place { hub, door, folder }
    }

    fn token(&self, host: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(host)).unwrap()
    }

    fn agent(&self, more: &[&str]) -> Child {
        let token = self.folder.path().join("box").display().to_string();
        let arguments = ["agent", "--hub", &self.door.url, "--token-file", &token, "--host", "box"];
        stentor(&[&arguments, more].concat(), self.folder.path()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn agent_with_commands(&self) -> Child {
        let list = self.folder.path().join("commands.toml").display().to_string();
        self.agent(&["--commands", &list])
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.hub.send_json(&format!("api/v1{path}"), &body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// Until the dry run says this of the first step under that key.
    async fn until_planned(&self, key: &str, part: &str) {
        until(part, async || {
            let plan = self.post("/runbooks/rb-works/run", json!({"host": "box", "dry_run": true})).await;
            let said = plan["steps"][0][key].clone();
            if said.as_str().is_some_and(|text| text.contains(part)) { Ok(()) } else { Err(plan["steps"][0].clone()) }
        })
        .await;
    }

    /// Begins a step; how it ended.
    async fn done(&self, run: u64, step: usize) -> Value {
        self.post(&format!("/runs/{run}/steps/{step}/begin"), json!({})).await;
        self.settled(run, step).await
    }

    async fn settled(&self, run: u64, step: usize) -> Value {
        until("the step ends", async || {
            let now = self.hub.get(&format!("api/v1/runs/{run}")).await["steps"][step - 1].clone();
            if now["state"] == "running" { Err(now) } else { Ok(now) }
        })
        .await
    }

    async fn skip(&self, run: u64, step: usize) {
        self.post(&format!("/runs/{run}/steps/{step}/skip"), json!({"reason": "seen"})).await;
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("lines")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    async fn until_lines(&self, count: usize) {
        until("lines", async || if self.lines().len() >= count { Ok(()) } else { Err(self.lines()) }).await;
    }

    fn gate(&self, open: bool) {
        let gate = self.folder.path().join("gate");
        if open { std::fs::write(gate, "").unwrap() } else { std::fs::remove_file(gate).unwrap() }
    }
}

fn says(step: &Value, state: &str, part: &str) {
    let output = step["output"].as_str().unwrap_or_default();
    assert!(step["state"] == state && output.contains(part), "not {state} with {part:?}: {step}");
}

fn sleepers() -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).starts_with("sleep\0862")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_through_the_agent_if_both_lists_allow_it_and_ends_in_time() {
    let place = Place::new().await;
    place.until_planned("refused", "the agent of `box` is silent").await;
    let mut agent = place.agent(&[]);
    place.until_planned("refused", "takes no commands: start it with `--commands FILE`").await;
    let run = place.post("/runbooks/rb-works/run", json!({"host": "box"})).await["number"].as_u64().unwrap();
    says(&place.done(run, 1).await, "failed", "takes no commands: start it with `--commands FILE`");
    agent.kill().await.unwrap();

    let mut agent = place.agent_with_commands();
    place.until_planned("runs", "on box, by its agent: echo ").await;
    let echoed = place.done(run, 1).await;
    assert_eq!((&echoed["state"], &echoed["output"]), (&json!("done"), &json!("exited 0\n$(id) ; box `x`")));
    says(&place.done(run, 2).await, "failed", "did not end in time and was killed");
    until("its children are gone too", async || if sleepers() == 0 { Ok(()) } else { Err(sleepers()) }).await;
    place.skip(run, 2).await;
    says(&place.done(run, 3).await, "failed", "refused: its `--commands` file does not allow [\"id\"]");
    place.skip(run, 3).await;
    let (status, refused) = place.hub.send_json(&format!("api/v1/runs/{run}/steps/4/begin"), &json!({})).await;
    assert!(status == 409 && refused.to_string().contains("does not allow [\\\"rm\\\""), "{status} {refused}");

    let told = json!({"agent": "box", "start": "x", "state": "done", "output": "believe me"});
    let path = "api/v1/agent/orders/0000000000000000-1";
    for token in [place.token("other"), place.hub.token.clone()] {
        let (status, answer) = place.hub.send_json_as(&token, path, &told).await;
        assert!(status == 403 && answer.to_string().contains("only the agent of `box`"), "{status} {answer}");
    }
    assert_eq!(place.hub.send_json_as(&place.token("box"), path, &told).await.0, 404, "there is no such order");
    let audit = place.hub.get("api/v1/audit?limit=1000").await.to_string();
    for part in
        ["step 1 done: exited 0", "step 2 failed: did not end in time", "step 3 failed: the agent of `box` refused"]
    {
        assert!(audit.contains(part), "{part} is not in {audit}");
    }
    agent.kill().await.unwrap();
    place.hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_when_hub_or_agent_ended_is_not_known_and_never_repeated() {
    let mut place = Place::new().await;
    let mut agent = place.agent_with_commands();
    place.until_planned("runs", "by its agent").await;
    let run = place.post("/runbooks/rb-works/run", json!({"host": "box"})).await["number"].as_u64().unwrap();
    for step in 1..=4 {
        place.skip(run, step).await;
    }
    let begin = format!("/runs/{run}/steps/5/begin");
    place.post(&begin, json!({})).await;
    place.until_lines(1).await;
    let Place { hub, door, folder } = place;
    let hub = hub.restarted().await;
    door.lead_to(Some(&hub));
    place = Place { hub, door, folder };
    says(&place.settled(run, 5).await, "failed", "Stentor was restarted meanwhile: whether it was done is not known");
    place.gate(true);
    place.until_lines(2).await;
    // The agent is free again when it has heard that nobody wants that answer.
    place.until_planned("runs", "by its agent").await;
    says(&place.settled(run, 5).await, "failed", "whether it was done is not known");
    says(&place.done(run, 5).await, "done", "exited 0");
    assert_eq!(place.lines(), ["begun", "ended", "begun", "ended"]);

    place.gate(false);
    place.post(&begin, json!({"attempt": 3})).await;
    place.until_lines(5).await;
    agent.kill().await.unwrap();
    let mut agent = place.agent_with_commands();
    let unknown = "the agent was restarted meanwhile: whether it was done is not known";
    says(&place.settled(run, 5).await, "failed", unknown);
    place.gate(true);
    place.until_lines(6).await;
    says(&place.done(run, 5).await, "done", "exited 0");
    assert_eq!(place.lines(), ["begun", "ended", "begun", "ended", "begun", "ended", "begun", "ended"]);
    agent.kill().await.unwrap();
    place.hub.stop().await;
}
