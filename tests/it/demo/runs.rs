//! Mending a fault by the runbook of its incident: nothing ends before the verification was seen.

use serde_json::{Value, json};

use crate::running::{Running, number, stentor, within_patience};

/// Why a step is left out: the simulated hosts have agents and no shell.
const NO_WAY_IN: &str = "the demo's hosts let nobody in";

/// Why a check among the steps is left out that has failed twice: it looks for the failure, and that was mended from outside.
const MENDED: &str = "what it looks for was mended already";

/// What a run has shown.
pub struct Gated {
    /// Steps that were carried out, and of how many.
    pub steps: (usize, usize),
    /// Good results in a row that each watched check gave before the end.
    pub intervals: u64,
}

/// The token of another administrator, for what takes two.
pub async fn second_person(demo: &Running) -> String {
    let folder = demo.folder.path();
    let config = folder.join("state/demo.toml").display().to_string();
    let add = ["user", "add", "second", "--role", "admin", "--config", &config];
    let added = stentor(&add, folder).output().await.unwrap();
    assert!(added.status.success(), "{added:?}");
    let made = stentor(&["user", "token", "second", "--config", &config], folder).output().await.unwrap();
    let printed = String::from_utf8(made.stdout).unwrap();
    printed.split_whitespace().max_by_key(|word| word.len()).unwrap_or_else(|| panic!("{printed}")).to_owned()
}

/// Starts the runbook, tries to end it too early, mends the fault as its steps say, and ends it when it may end.
pub async fn mend(demo: &Running, second: &str, fault: &str, incident: &Value) -> Result<Gated, String> {
    let run = expect(201, demo.send_json(&format!("api/v1/incidents/{}/run", number(incident)), &json!({})).await)?;
    let run = run["number"].as_u64().ok_or_else(|| format!("no number: {run}"))?;
    settle_steps(demo, second, run, Patience::OneTry).await?;
    refused(demo, run, &["INC-", "verification: ", "step "]).await.map_err(|why| format!("while it fails: {why}"))?;
    demo.post(&format!("demo/heal/{fault}")).await?;
    settle_steps(demo, second, run, Patience::UntilItWorks).await?;
    // Its own words say what is missing; a busy machine may have counted enough before it is asked.
    within_patience("the run may end", async || {
        let (status, answer) = demo.send_json(&format!("api/v1/runs/{run}/finish"), &json!({})).await;
        if status == 200 { Ok(()) } else { Err(answer) }
    })
    .await?;
    let ended = demo.get(&format!("api/v1/runs/{run}")).await;
    let verification = &ended["verification"];
    let (well, intervals) = (verification["well"].as_u64(), verification["intervals"].as_u64());
    let watched = verification["checks"].as_array().map_or(0, Vec::len);
    if ended["phase"] != "finished" || well < intervals || intervals < Some(2) || watched == 0 {
        return Err(format!("finished without verification: {ended}"));
    }
    told_on_timeline(demo, run, number(incident)).await?;
    let steps = ended["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let done = steps.iter().filter(|step| step["state"] == "done").count();
    Ok(Gated { steps: (done, steps.len()), intervals: intervals.unwrap_or_default() })
}

#[derive(Copy, Clone, Eq, PartialEq)]
enum Patience {
    /// A step that cannot be done while the fault is there stays open.
    OneTry,
    UntilItWorks,
}

/// Carries out the steps in their order.
async fn settle_steps(demo: &Running, second: &str, run: u64, patience: Patience) -> Result<(), String> {
    if patience == Patience::OneTry {
        while let Some(step) = next(demo, run).await {
            if carry_out(demo, second, run, &step).await.is_err() {
                break;
            }
        }
        return Ok(());
    }
    within_patience("every step is settled", async || match next(demo, run).await {
        None => Ok(()),
        Some(step) => match carry_out(demo, second, run, &step).await {
            Ok(()) => Err("more steps".to_owned()),
            Err(why) => Err(why),
        },
    })
    .await
}

/// The next step, if there is one left.
async fn next(demo: &Running, run: u64) -> Option<Value> {
    let run = demo.get(&format!("api/v1/runs/{run}")).await;
    let next = run["next_step"].as_u64()?;
    run["steps"].as_array()?.iter().find(|step| step["step"] == next).cloned()
}

/// One try at one step; those that settle by themselves are waited for by whoever asks again.
async fn carry_out(demo: &Running, second: &str, run: u64, step: &Value) -> Result<(), String> {
    let (action, body) = match (step["do"].as_str(), step["state"].as_str()) {
        (Some("command" | "power"), _) => ("skip", json!({ "reason": NO_WAY_IN })),
        (_, Some("asked")) => ("approve", json!({})),
        (Some("approve"), _) => ("begin", json!({})),
        (Some("check" | "wait_for"), Some("failed")) if step["attempt"].as_u64() >= Some(2) => {
            ("skip", json!({ "reason": MENDED }))
        }
        (Some("check" | "wait_for"), Some("running")) => return Err(format!("is being tried: {step}")),
        (Some("check" | "wait_for"), _) => ("begin", json!({})),
        _ => ("done", json!({ "note": "done" })),
    };
    let path = format!("api/v1/runs/{run}/steps/{}/{action}", step["step"]);
    // Who asked may not approve.
    let who = if action == "approve" { second } else { &demo.token };
    let (status, answer) = demo.send_json_as(who, &path, &body).await;
    match (status, action) {
        (200, "begin") if step["do"] != "approve" => Err(format!("was begun: {step}")),
        (200, _) => Ok(()),
        (status, _) => Err(format!("{action} of {step}: {status} {answer}")),
    }
}

/// An end is refused, and says one of these.
async fn refused(demo: &Running, run: u64, why: &[&str]) -> Result<(), String> {
    let (status, answer) = demo.send_json(&format!("api/v1/runs/{run}/finish"), &json!({})).await;
    let says = answer.to_string();
    let is_said = why.iter().any(|why| says.contains(why));
    if status == 409 && is_said { Ok(()) } else { Err(format!("{status} without any of {why:?}: {says}")) }
}

/// What the run did stands on the timeline of its incident.
async fn told_on_timeline(demo: &Running, run: u64, incident: u64) -> Result<(), String> {
    let incident = demo.get(&format!("api/v1/incidents/{incident}")).await;
    let timeline = incident["timeline"].as_array().map_or(&[][..], Vec::as_slice);
    let own = |entry: &&Value| {
        entry["kind"] == "runbook"
            && entry["text"].as_str().is_some_and(|text| text.starts_with(&format!("RUN-{run}:")))
    };
    let said: Vec<&Value> = timeline.iter().filter(own).collect();
    let finished = said.iter().any(|entry| entry["text"].as_str().is_some_and(|text| text.contains("finished")));
    if finished { Ok(()) } else { Err(format!("nothing of the end of RUN-{run} among {said:?}")) }
}

fn expect(wanted: u16, (status, answer): (u16, Value)) -> Result<Value, String> {
    if status == wanted { Ok(answer) } else { Err(format!("{status} instead of {wanted}: {answer}")) }
}
