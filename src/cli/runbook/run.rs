//! `stentor runbook run`: leads a person through a runbook step by step, does what Stentor does itself, waits until it is
//! verified well.

use std::io::{BufRead, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value as Json, json};
use tokio::time::sleep;

use super::super::ack::incident_number;
use super::super::client::{Client, ClientArgs, field, shown};
use super::print_block;
use crate::web::links::encode;

/// Between two looks at a step that is under way.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub struct RunArgs {
    /// INC-17 for the runbook of its cause, or the id of a procedure
    #[arg(value_name = "INCIDENT|RUNBOOK")]
    pub what: String,
    /// Target of a procedure
    #[arg(long)]
    pub host: Option<String>,
    /// Its component, where the procedure is about one
    #[arg(long)]
    pub component: Option<String>,
    /// Only say what would be done, where, and whether it may be done now
    #[arg(long)]
    pub dry_run: bool,
    /// Ask nothing: manual steps count as done. For drills and tests
    #[arg(long)]
    pub yes_manual: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// # Errors
/// It cannot be started, or the service cannot be reached.
pub async fn run(args: &RunArgs, input: &mut dyn BufRead, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let (path, body) = match incident_number(&args.what) {
        Some(number) => (format!("/incidents/{number}/run"), json!({"dry_run": args.dry_run})),
        None => {
            let host =
                args.host.as_ref().context("a procedure needs --host; of an incident give its number, INC-17")?;
            let body = json!({"host": host, "component": args.component, "dry_run": args.dry_run});
            (format!("/runbooks/{}/run", encode(&args.what)), body)
        }
    };
    if args.dry_run {
        return plan(&client.post(&path, &body).await?, out);
    }
    let begun = match under_way(&client, args).await? {
        Some(run) => {
            writeln!(
                out,
                "{} is under way, begun by {}: going on with it.",
                field(&run, "name"),
                field(&run, "started_by")
            )?;
            run
        }
        None => client.post(&path, &body).await?,
    };
    writeln!(out, "{}  {}: {}", field(&begun, "name"), field(&begun, "runbook"), field(&begun, "title"))?;
    writeln!(out, "for {}", field(&begun, "target"))?;
    print_target(&client, &begun, out).await?;
    Lead { client, run: begun["number"].as_u64().unwrap_or_default(), yes: args.yes_manual, input, out }.all().await
}

/// What HOST stands for in the commands.
async fn print_target(client: &Client, run: &Json, out: &mut dyn Write) -> anyhow::Result<()> {
    let Some(host) = run["host"].as_str() else { return Ok(()) };
    // Only a help: a host that has just gone from the configuration has no address.
    let known = client.get(&format!("/hosts/{}", encode(host))).await.unwrap_or_default();
    match known["address"].as_str() {
        Some(address) => writeln!(out, "HOST is {}, address {}", shown(host), shown(address))?,
        None => writeln!(out, "HOST is {}", shown(host))?,
    }
    Ok(())
}

/// The run that has been begun already for this incident, or of this procedure at this target.
async fn under_way(client: &Client, args: &RunArgs) -> anyhow::Result<Option<Json>> {
    let live = client.get("/runs?live=true").await?;
    let is_it = |run: &&Json| match incident_number(&args.what) {
        Some(number) => run["incident"] == number,
        None => {
            run["incident"].is_null()
                && run["runbook"] == *args.what
                && run["host"].as_str() == args.host.as_deref()
                && run["component"].as_str() == args.component.as_deref()
        }
    };
    Ok(live["items"].as_array().and_then(|runs| runs.iter().find(is_it)).cloned())
}

/// What would be done where; 1 if something of it may not be done now.
fn plan(plan: &Json, out: &mut dyn Write) -> anyhow::Result<u8> {
    writeln!(out, "{}: {} (dry run)", field(plan, "runbook"), field(plan, "title"))?;
    writeln!(out, "for {}\n", field(plan, "target"))?;
    let mut stands = 0;
    for step in plan["steps"].as_array().into_iter().flatten() {
        print_step(step, out)?;
        stands += usize::from(!step["refused"].is_null());
        stands += step["needs"].as_array().map_or(0, |n| n.iter().filter(|n| n["holds"] != true).count());
    }
    let checks = plan["verification"]["checks"].as_array().into_iter().flatten();
    let names: Vec<String> = checks.map(check_name).collect();
    let intervals = &plan["verification"]["intervals"];
    if names.is_empty() {
        writeln!(out, "No check is there to verify it with.")?;
    } else {
        writeln!(out, "Over when {} are well {intervals} times in a row.", names.join(", "))?;
    }
    for name in plan["verification"]["unwatched"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        writeln!(out, "Not there to verify with: {}", shown(name))?;
    }
    Ok(u8::from(stands > 0))
}

fn check_name(check: &Json) -> String {
    match check["service"].as_str() {
        Some(service) => format!("{}/{}", field(check, "host"), shown(service)),
        None => field(check, "host").into_owned(),
    }
}

pub(super) fn print_step(step: &Json, out: &mut dyn Write) -> anyhow::Result<()> {
    let text = |key: &str| step[key].as_str().filter(|text| !text.is_empty());
    let second = if step["second_person"] == true { ", needs a second person" } else { "" };
    let state = text("state").map(shown).unwrap_or_default();
    writeln!(out, "{}. {} [{}{second}] {state}", step["step"], field(step, "kind"), field(step, "do"))?;
    // What acts is told its condition before the command, what looks after it.
    let acts = matches!(text("kind"), Some("fix" | "contain"));
    let before = if acts { "gate" } else { "" };
    for (label, key) in [("", "text"), ("When: ", "when"), ("Go on only if: ", before)] {
        if let Some(text) = text(key) {
            paragraphs(out, label, text)?;
        }
    }
    // Each line is a command of its own: run together they would be another one.
    for line in text("command").into_iter().flat_map(str::lines) {
        writeln!(out, "     $ {}", shown(line))?;
    }
    let after = if acts { "" } else { "gate" };
    for (label, key) in [("Go on if: ", after), ("To undo: ", "rollback")] {
        if let Some(text) = text(key) {
            paragraphs(out, label, text)?;
        }
    }
    for (mark, key) in [(itself(step), "runs"), ("Refused: ", "refused"), ("Note: ", "note")] {
        if let Some(text) = text(key) {
            writeln!(out, "   {mark}{}", shown(text))?;
        }
    }
    for need in step["needs"].as_array().into_iter().flatten() {
        let holds = match need["holds"].as_bool() {
            Some(true) => "holds".to_owned(),
            Some(false) => "does not hold".to_owned(),
            None => format!("is not known: {}", field(need, "why")),
        };
        writeln!(out, "   Needs: {} — {holds}", field(need, "condition"))?;
    }
    for line in step["output"].as_str().unwrap_or_default().lines() {
        writeln!(out, "     | {}", shown(line))?;
    }
    Ok(())
}

fn paragraphs(out: &mut dyn Write, label: &str, text: &str) -> anyhow::Result<()> {
    for (number, paragraph) in text.lines().enumerate() {
        let label = if number == 0 { label } else { "" };
        print_block(out, "   ", &format!("{label}{}", shown(paragraph)))?;
    }
    Ok(())
}

/// What Stentor does itself at a step of this kind.
fn itself(step: &Json) -> &'static str {
    match step["do"].as_str() {
        Some("check") => "Stentor looks at: ",
        Some("wait_for") => "Stentor waits for: ",
        Some("power") => "Stentor switches: ",
        _ => "Stentor runs: ",
    }
}

const DONE: &str = "d = done";

/// What moves a step on. A second person is asked for first: who says "done" to such a step has done it already.
fn prompt(step: &Json) -> &'static str {
    match (step["do"] == "manual", step["second_person"] == true && step["state"] != "running") {
        (_, true) => "g = ask the second person",
        (true, false) => DONE,
        (false, false) => "g = go",
    }
}

/// What a person answered.
enum Answer {
    Done,
    Skip(String),
    Failed(String),
    Leave,
}

/// One run, led from a terminal.
struct Lead<'a> {
    client: Client,
    run: u64,
    yes: bool,
    input: &'a mut dyn BufRead,
    out: &'a mut dyn Write,
}

impl Lead<'_> {
    async fn all(mut self) -> anyhow::Result<u8> {
        loop {
            let now = self.client.get(&format!("/runs/{}", self.run)).await?;
            let Some(number) = now["next_step"].as_u64() else { break };
            let index = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
            let step = now["steps"][index].clone();
            writeln!(self.out)?;
            print_step(&step, self.out)?;
            let by_hand = step["do"] == "manual";
            let goes_on = match &*field(&step, "state") {
                // Approved: now a person does it, and says so.
                "running" if by_hand => self.one(number, &step).await?,
                "running" | "asked" => self.wait(number).await?,
                _ => self.one(number, &step).await?,
            };
            if !goes_on {
                writeln!(
                    self.out,
                    "\nRUN-{} stays open: `stentor runbook status RUN-{}` shows it.",
                    self.run, self.run
                )?;
                return Ok(1);
            }
        }
        self.verify().await
    }

    /// One step from ready to settled; false = it is left as it is.
    async fn one(&mut self, number: u64, step: &Json) -> anyhow::Result<bool> {
        let go = prompt(step);
        let manual = go == DONE;
        let failed = step["state"] == "failed";
        if self.yes && failed {
            return Ok(false);
        }
        if !self.yes && !step["refused"].is_null() {
            writeln!(
                self.out,
                "   Stentor may not do this one: do it by hand as it stands above, then `s done by hand`."
            )?;
        }
        let answer = if self.yes { Answer::Done } else { self.ask(go)? };
        let (action, body) = match answer {
            Answer::Leave => return Ok(false),
            Answer::Done if manual => {
                let note = if self.yes { "taken as done" } else { "" };
                ("done", json!({"note": note}))
            }
            Answer::Done => ("begin", json!({"attempt": step["attempt"].as_u64().unwrap_or(0) + 1})),
            Answer::Skip(reason) => ("skip", json!({"reason": reason})),
            Answer::Failed(note) => ("fail", json!({"note": note})),
        };
        let path = format!("/runs/{}/steps/{number}/{action}", self.run);
        match self.client.post(&path, &body).await {
            Ok(_) if action == "begin" || action == "done" => self.wait(number).await,
            Ok(_) => Ok(true),
            Err(error) => {
                writeln!(self.out, "   Refused: {error}")?;
                if self.yes {
                    let run = self.run;
                    let skip = format!("stentor runbook step RUN-{run} {number} skip --note WHY");
                    writeln!(self.out, "   Done in another way? `{skip}`")?;
                }
                Ok(!self.yes)
            }
        }
    }

    fn ask(&mut self, go: &str) -> anyhow::Result<Answer> {
        loop {
            write!(self.out, "   [{go}, s WHY = skip, f WHAT = failed, q = leave it] ")?;
            self.out.flush()?;
            let mut line = String::new();
            if self.input.read_line(&mut line).context("standard input cannot be read")? == 0 {
                return Ok(Answer::Leave);
            }
            let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            match word {
                "d" | "g" | "y" => return Ok(Answer::Done),
                "s" if !rest.is_empty() => return Ok(Answer::Skip(rest.to_owned())),
                "s" => writeln!(self.out, "   say why, for example: s does not apply")?,
                "f" => return Ok(Answer::Failed(rest.to_owned())),
                "q" => return Ok(Answer::Leave),
                _ => {}
            }
        }
    }

    /// Until the step is settled or failed; says once whom it waits for.
    async fn wait(&mut self, number: u64) -> anyhow::Result<bool> {
        let mut told = false;
        loop {
            let now = self.client.get(&format!("/runs/{}", self.run)).await?;
            let step = &now["steps"][usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1)];
            match step["state"].as_str().unwrap_or_default() {
                "done" | "skipped" => {
                    for line in step["output"].as_str().unwrap_or_default().lines() {
                        writeln!(self.out, "     | {}", shown(line))?;
                    }
                    writeln!(self.out, "   done")?;
                    return Ok(true);
                }
                "asked" if !told => {
                    told = true;
                    writeln!(
                        self.out,
                        "   Another person must approve, with his own token: `stentor runbook approve RUN-{} {number}`",
                        self.run
                    )?;
                    writeln!(
                        self.out,
                        "   (nobody there, or not wanted: Ctrl-C, then `stentor runbook step RUN-{} {number} skip --note WHY`)",
                        self.run
                    )?;
                }
                "running" if step["do"] == "manual" => {
                    writeln!(self.out, "   approved by {}: now do it", field(step, "approved_by"))?;
                    return Ok(true);
                }
                "asked" | "running" => {}
                _ => {
                    for line in step["output"].as_str().unwrap_or_default().lines() {
                        writeln!(self.out, "     | {}", shown(line))?;
                    }
                    writeln!(self.out, "   failed: {}", field(step, "note"))?;
                    return Ok(!self.yes);
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What the runbook says for when nothing helps; its step is never asked for.
    fn whom_to_call(&mut self, now: &Json) -> anyhow::Result<()> {
        let last = now["steps"].as_array().and_then(|steps| steps.last());
        if let Some(step) = last.filter(|step| step["kind"] == "escalate" && step["state"] == "ready") {
            writeln!(self.out, "   If it does not get well (Ctrl-C leaves the run open):")?;
            print_step(step, self.out)?;
        }
        Ok(())
    }

    /// Waits for the verification, then finishes.
    async fn verify(&mut self) -> anyhow::Result<u8> {
        let mut shown_before = String::new();
        let mut told_whom = false;
        loop {
            let now = self.client.get(&format!("/runs/{}", self.run)).await?;
            if now["may_finish"] == true {
                match self.client.post(&format!("/runs/{}/finish", self.run), &json!({})).await {
                    Ok(_) => {
                        writeln!(self.out, "\nRUN-{} finished: verified well.", self.run)?;
                        return Ok(0);
                    }
                    // A result may have come in between.
                    Err(error) => writeln!(self.out, "   not yet: {error}")?,
                }
            }
            if !matches!(now["phase"].as_str(), Some("running" | "verifying" | "reopened")) {
                bail!("RUN-{} is {}", self.run, field(&now, "phase"));
            }
            let verification = &now["verification"];
            let line = format!("verification: {} of {} well", verification["well"], verification["intervals"]);
            if line != shown_before {
                writeln!(self.out, "   {line}")?;
                for missing in now["missing"].as_array().into_iter().flatten().filter_map(Json::as_str) {
                    writeln!(self.out, "     - {}", shown(missing))?;
                }
                shown_before = line;
            }
            if !told_whom {
                told_whom = true;
                self.whom_to_call(&now)?;
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(step: &Json) -> String {
        let mut out = Vec::new();
        print_step(step, &mut out).expect("printed");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn each_command_of_a_step_stands_on_a_line_of_its_own() {
        let step = json!({
            "step": 2, "kind": "fix", "do": "manual", "state": "ready", "text": "On HOST.\nHOST is h1.", "when": "It is off.",
            "gate": "It is empty.", "command": "mkfs.ext4 /dev/x\nmount /x",
        });
        assert_eq!(
            printed(&step),
            "2. fix [manual] ready\n   On HOST.\n   HOST is h1.\n   When: It is off.\n   Go on only if: It is empty.\n     \
             $ mkfs.ext4 /dev/x\n     $ mount /x\n"
        );
    }

    #[test]
    fn what_a_step_looks_for_stands_behind_its_command() {
        let step = json!({
            "step": 1, "kind": "verify", "do": "check", "state": "ready", "text": "Look.", "gate": "It is there.", "command": "ls",
            "runs": "h1/port",
        });
        assert_eq!(
            printed(&step),
            "1. verify [check] ready\n   Look.\n     $ ls\n   Go on if: It is there.\n   Stentor looks at: h1/port\n"
        );
    }

    #[test]
    fn a_second_person_is_asked_before_anything_is_done() {
        let step = |does: &str, second: bool, state: &str| json!({"do": does, "second_person": second, "state": state});
        let cases = [
            (step("manual", false, "ready"), "d = done"),
            (step("manual", true, "ready"), "g = ask the second person"),
            (step("manual", true, "running"), "d = done"),
            (step("power", true, "ready"), "g = ask the second person"),
            (step("command", false, "failed"), "g = go"),
        ];
        for (step, expected) in cases {
            assert_eq!(prompt(&step), expected, "{step}");
        }
    }
}
