//! Runbooks that run, in the real program: gated by the verification, carried out on a host, switched by a controller,
//! approved by two, recorded.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::Stdio;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use stentor::clock::Clock;
use stentor::demo::bmc::{BmcIdentity, SimulatedBmc};
use stentor_wire::ipmi::Privilege;
use tokio::io::AsyncWriteExt as _;

use crate::running::{PATIENCE, Running, is_live, stentor, until};

/// One person who asks over HTTP.
struct Person {
    client: Client,
    url: String,
    token: String,
}

impl Person {
    fn of(service: &Running) -> Person {
        Person { client: Client::new(), url: service.url.clone(), token: service.token.clone() }
    }

    /// Another person of that role, made by the command line beside the running service.
    async fn another(service: &Running, name: &str, role: &str, config: &Path) -> Person {
        let folder = service.folder.path();
        let config = config.display().to_string();
        let added =
            stentor(&["user", "add", name, "--role", role, "--config", &config], folder).output().await.unwrap();
        assert!(added.status.success(), "{added:?}");
        let made = stentor(&["user", "token", name, "--config", &config], folder).output().await.unwrap();
        let printed = String::from_utf8(made.stdout).unwrap();
        let token = printed.split_whitespace().max_by_key(|word| word.len()).unwrap().to_owned();
        Person { token, ..Person::of(service) }
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}api/v1{path}", self.url)).bearer_auth(&self.token).json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap())
    }

    async fn done(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    async fn refused(&self, path: &str, body: Value, status: StatusCode) -> String {
        let (got, answer) = self.post(path, body).await;
        assert_eq!(got, status, "{path}: {answer}");
        answer["detail"].as_str().unwrap().to_owned()
    }
}

/// Waits until a step is settled or failed.
async fn settled(service: &Running, run: u64, step: usize) -> Value {
    until("the step ends", async || {
        let now = service.get(&format!("api/v1/runs/{run}")).await;
        let step = now["steps"][step - 1].clone();
        if matches!(step["state"].as_str(), Some("running" | "asked")) { Err(step) } else { Ok(step) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_finished_when_the_cloud_is_verified_well_and_not_before() {
    let demo = Running::demo(91, 30).await;
    let anna = Person::of(&demo);
    demo.post("demo/inject/clc/software?wait=1").await.unwrap();
    let incident = demo.until_incidents("one is open", |all| all.first().cloned().ok_or("none")).await;
    let number = incident["number"].as_u64().unwrap();
    let plan = anna.done(&format!("/incidents/{number}/run"), json!({"dry_run": true})).await;
    assert_eq!((&plan["number"], &plan["runbook"]), (&json!(0), &incident["runbook"]));
    assert!(!plan["verification"]["checks"].as_array().unwrap().is_empty(), "{plan}");
    let run = anna.done(&format!("/incidents/{number}/run"), json!({})).await;
    let (id, steps) = (run["number"].as_u64().unwrap(), run["steps"].as_array().unwrap().clone());
    let early = anna.refused(&format!("/runs/{id}/finish"), json!({}), StatusCode::CONFLICT).await;
    assert!(early.contains("step 1 is ready"), "{early}");
    for step in steps.iter().filter(|step| step["kind"] != "escalate") {
        let (action, body) = match step["do"].as_str().unwrap() {
            "manual" => ("done", json!({})),
            _ => ("skip", json!({"reason": "done by hand: its hosts have only an agent"})),
        };
        anna.done(&format!("/runs/{id}/steps/{}/{action}", step["step"]), body).await;
    }
    // Every step is done, and nothing is mended: nobody gets out of here by ticking boxes.
    let broken = anna.refused(&format!("/runs/{id}/finish"), json!({}), StatusCode::CONFLICT).await;
    assert!(broken.contains(&format!("INC-{number} is open")) && broken.contains("verification: "), "{broken}");
    demo.post("demo/heal/clc/software").await.unwrap();
    let well = until("it is verified", async || {
        let now = demo.get(&format!("api/v1/runs/{id}")).await;
        if now["may_finish"] == true { Ok(now) } else { Err(now["missing"].clone()) }
    })
    .await;
    assert_eq!(well["verification"]["well"], well["verification"]["intervals"]);
    let finished = anna.done(&format!("/runs/{id}/finish"), json!({})).await;
    assert_eq!(finished["phase"], "finished");
    demo.until_incidents("resolved", |all| {
        let phase = all.first().map(|incident| incident["phase"].clone());
        if phase == Some(json!("resolved")) { Ok(()) } else { Err(phase) }
    })
    .await;
    let timeline = demo.get(&format!("api/v1/incidents/{number}")).await["timeline"].to_string();
    assert!(timeline.contains("verified: every check was well"), "{timeline}");
    let token = demo.folder.path().join("token");
    std::fs::write(&token, &demo.token).unwrap();
    led_from_a_terminal(&demo, &token).await;
    let arguments = ["runbook", "audit", "--verify", "--url", &demo.url, "--token-file", &token.display().to_string()];
    let verified = stentor(&arguments, demo.folder.path()).output().await.unwrap();
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success() && said.contains("each follows the one before it"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_of_the_demo_is_powered_on_by_two_and_nobody_heals_it_by_hand() {
    let demo = Running::demo(93, 30).await;
    let anna = Person::of(&demo);
    let bob = Person::another(&demo, "bob", "admin", &demo.folder.path().join("state/demo.toml")).await;
    demo.post("demo/inject/clc/server?wait=1").await.unwrap();
    let incident = demo
        .until_incidents("the server is known to be off", |all| {
            all.iter().find(|incident| incident["subtype"] == "power_off").cloned().ok_or_else(|| all.to_vec())
        })
        .await;
    let number = incident["number"].as_u64().unwrap();
    let run = anna.done(&format!("/incidents/{number}/run"), json!({})).await;
    let (id, steps) = (run["number"].as_u64().unwrap(), run["steps"].as_array().unwrap().clone());
    let power = steps.iter().position(|step| step["do"] == "power").unwrap();
    for step in &steps[..power] {
        anna.done(&format!("/runs/{id}/steps/{}/skip", step["step"]), json!({"reason": "looked at"})).await;
    }
    let number_of_step = power + 1;
    let path = |action: &str| format!("/runs/{id}/steps/{number_of_step}/{action}");
    until("its controller says off", async || {
        let now = demo.get(&format!("api/v1/runs/{id}")).await["steps"][power].clone();
        let holds = now["needs"].as_array().unwrap().iter().all(|need| need["holds"] == true);
        if holds { Ok(()) } else { Err(now) }
    })
    .await;
    let asked = anna.done(&path("begin"), json!({})).await;
    assert_eq!(asked["steps"][power]["state"], "asked", "{asked}");
    anna.refused(&path("approve"), json!({}), StatusCode::FORBIDDEN).await;
    bob.done(&path("approve"), json!({})).await;
    let done = settled(&demo, id, number_of_step).await;
    assert_eq!(done["state"], "done", "{done}");
    assert!(done["output"].as_str().unwrap().contains("it is on"), "{done}");
    demo.until_incidents("the machine came back by that alone", |all| {
        let phase = all.iter().find(|one| one["number"] == number).map(|one| one["phase"].clone());
        if phase == Some(json!("resolved")) { Ok(()) } else { Err(phase) }
    })
    .await;
    demo.stop().await;
}

/// The command line leads through the next one: it ends when the cloud is well, and not before.
async fn led_from_a_terminal(demo: &Running, token: &Path) {
    demo.post("demo/inject/console/software?wait=1").await.unwrap();
    let open =
        demo.until_incidents("another is open", |all| all.iter().find(|i| is_live(i)).cloned().ok_or("none")).await;
    let name = format!("INC-{}", open["number"]);
    let token = token.display().to_string();
    let more = ["--url", &demo.url, "--token-file", &token];
    let plan = [&["runbook", "run", &name, "--dry-run"], &more[..]].concat();
    let plan = stentor(&plan, demo.folder.path()).output().await.unwrap();
    let said = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(said.contains("Over when") && said.contains("$ ping -c 3 console1"), "{said}");
    // Nobody who only says yes gets over a command on a host with only an agent: it stops and says where.
    let yes = [&["runbook", "run", &name, "--yes-manual"], &more[..]].concat();
    let yes = stentor(&yes, demo.folder.path()).output().await.unwrap();
    let said = String::from_utf8_lossy(&yes.stdout).into_owned();
    assert!(yes.status.code() == Some(1) && said.contains("Refused: ") && said.contains("stays open"), "{said}");
    // A person goes on where it stopped, skips that step with a reason, and waits for the rest.
    let run = [&["runbook", "run", &name], &more[..]].concat();
    let mut run = stentor(&run, demo.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keys = run.stdin.take().unwrap();
    keys.write_all(b"s restarted at the machine\ng\nd\nd\nd\n").await.unwrap();
    drop(keys);
    let skipped = async || {
        let runs = demo.get("api/v1/runs?live=true").await["items"].clone();
        if runs[0]["steps"][1]["state"] == "skipped" { Ok(()) } else { Err(runs) }
    };
    until("the command is skipped", skipped).await;
    demo.post("demo/heal/console/software").await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, run.wait_with_output()).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success() && said.contains("finished: verified well"), "{said}");
}

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
  { kind = "fix", text = "It hangs.", do = "command", run = ["sh", "-c", "sleep 86399 & sleep 86398"], within = "2s" },
  { kind = "fix", text = "Not allowed.", do = "command", run = ["rm", "-rf", "/"] },
  { kind = "fix", text = "Cycle it.", do = "power", power = "cycle", needs = ['power == "on"'] },
]
"#;

async fn works(bmc: &SimulatedBmc) -> Running {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("packs/works")).unwrap();
    std::fs::write(folder.path().join("packs/works/pack.toml"), PACK).unwrap();
    std::fs::write(folder.path().join("bmc.password"), "oppass\n").unwrap();
    let config = format!(
        "[packs]\ndirs = [\"packs\"]\n[[zone]]\nname = \"z\"\n[[host]]\nname = \"srv\"\naddress = \"127.0.0.1\"\n\
         zone = \"z\"\ncheck = \"none\"\nview = \"local\"\n[host.bmc]\naddress = \"127.0.0.1\"\nport = {}\nuser = \"op\"\n\
         password_file = \"bmc.password\"\n[runbook]\ncommands = [[\"echo\", \"*\", \"*\"], \
         [\"sh\", \"-c\", \"sleep 86399 & sleep 86398\"]]\n",
        bmc.address().port()
    );
    Running::serve(&config, folder).await
}

fn sleepers() -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).starts_with("sleep\0863")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_procedure_is_carried_out_on_its_host_and_approved_by_two() {
    let identity = BmcIdentity::with_user("monitor", "monpass").and_user("op", "oppass", Privilege::Operator);
    let bmc = SimulatedBmc::start("127.0.0.1:0".parse().unwrap(), identity, Clock::Machine).await.unwrap();
    let service = works(&bmc).await;
    let config = service.folder.path().join("stentor.toml");
    let anna = Person::of(&service);
    let bob = Person::another(&service, "bob", "admin", &config).await;
    let carl = Person::another(&service, "carl", "operator", &config).await;
    let run = anna.done("/runbooks/rb-works/run", json!({"host": "srv"})).await;
    let id = run["number"].as_u64().unwrap();
    let step = |step: u32, action: &str| format!("/runs/{id}/steps/{step}/{action}");

    anna.done(&step(1, "begin"), json!({"attempt": 1})).await;
    let echoed = settled(&service, id, 1).await;
    assert_eq!(echoed["state"], "done", "{echoed}");
    assert_eq!(echoed["output"], "exited 0\n$(id) ; srv `x`", "no shell ever saw it");
    let stale = anna.refused(&step(1, "begin"), json!({"attempt": 3}), StatusCode::CONFLICT).await;
    assert!(stale.contains("stale"), "{stale}");
    let again = anna.done(&step(1, "begin"), json!({"attempt": 1})).await;
    assert_eq!((&again["steps"][0]["state"], &again["steps"][0]["attempt"]), (&json!("done"), &json!(1)));

    anna.done(&step(2, "begin"), json!({})).await;
    let hung = settled(&service, id, 2).await;
    assert_eq!(hung["state"], "failed", "{hung}");
    assert!(hung["output"].as_str().unwrap().contains("did not end in time and was killed"), "{hung}");
    until("its children are gone too", async || if sleepers() == 0 { Ok(()) } else { Err(sleepers()) }).await;
    anna.done(&step(2, "skip"), json!({"reason": "not needed"})).await;

    let refused = anna.refused(&step(3, "begin"), json!({}), StatusCode::CONFLICT).await;
    assert!(refused.contains("does not allow [\"rm\", \"-rf\", \"/\"]"), "{refused}");
    anna.done(&step(3, "skip"), json!({"reason": "of course not"})).await;

    until("the controller was asked", async || {
        let now = service.get(&format!("api/v1/runs/{id}")).await;
        if now["steps"][3]["needs"][0]["holds"] == true { Ok(()) } else { Err(now["steps"][3].clone()) }
    })
    .await;
    let forbidden = carl.refused(&step(4, "begin"), json!({}), StatusCode::FORBIDDEN).await;
    assert!(forbidden.contains("`carl` may operate, but this needs the right to power"), "{forbidden}");
    let asked = anna.done(&step(4, "begin"), json!({})).await;
    assert_eq!(asked["steps"][3]["state"], "asked");
    anna.refused(&step(4, "approve"), json!({}), StatusCode::FORBIDDEN).await;
    carl.refused(&step(4, "approve"), json!({}), StatusCode::FORBIDDEN).await;
    let before = bmc.status().await.unwrap().log_entries;
    bob.done(&step(4, "approve"), json!({"attempt": 1})).await;
    let cycled = settled(&service, id, 4).await;
    assert_eq!(cycled["state"], "done", "{cycled}");
    assert!(cycled["output"].as_str().unwrap().contains("power cycle was accepted; it is on"), "{cycled}");
    assert!(bmc.status().await.unwrap().log_entries > before, "the machine was off in between");
    assert_eq!(anna.done(&format!("/runs/{id}/finish"), json!({})).await["phase"], "finished");

    let audit = service.get("api/v1/audit?limit=1000").await;
    let lines: Vec<String> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| format!("{} {} {}", r["who"], r["action"], r["done"]))
        .collect();
    for wanted in ["\"carl\" \"begin\" false", "\"carl\" \"approve\" false", "\"bob\" \"approve\" true"] {
        assert!(lines.iter().any(|line| line == wanted), "{wanted} is not in {lines:#?}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_at_a_restart_is_failed_and_never_taken_as_done() {
    let identity = BmcIdentity::with_user("op", "oppass");
    let bmc = SimulatedBmc::start("127.0.0.1:0".parse().unwrap(), identity, Clock::Machine).await.unwrap();
    let service = works(&bmc).await;
    let pack = service.folder.path().join("packs/works/pack.toml");
    let slow = PACK.replace("within = \"2s\"", "within = \"1h\"");
    std::fs::write(&pack, slow).unwrap();
    let service = service.restarted().await;
    let anna = Person::of(&service);
    let run = anna.done("/runbooks/rb-works/run", json!({"host": "srv"})).await;
    let id = run["number"].as_u64().unwrap();
    anna.done(&format!("/runs/{id}/steps/1/skip"), json!({"reason": "x"})).await;
    anna.done(&format!("/runs/{id}/steps/2/begin"), json!({})).await;
    let service = service.restarted().await;
    let step = settled(&service, id, 2).await;
    assert_eq!(step["state"], "failed", "{step}");
    assert!(step["output"].as_str().unwrap().contains("whether it was done is not known"), "{step}");
    service.stop().await;
}
