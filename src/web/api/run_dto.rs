//! Runs of runbooks and their audit as the API tells them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stentor_core::Timestamp;
use stentor_core::catalog::{Action, PowerAction, Step, StepKind, View};
use stentor_core::id::ObjectId;
use stentor_core::model::Observation;
use stentor_core::runbook::facts::{self, Sight};
use stentor_core::runbook::named::with_names;
use stentor_core::runbook::order::{self, Names};
use stentor_core::runbook::{self, Right, StepRun};
use stentor_core::snapshot::Snapshot;

use crate::runbook::agents::Agents;
use crate::store::audit::{AuditRecord, Chain, hex};

#[derive(Debug, Serialize)]
pub struct Run {
    pub number: u64,
    /// `RUN-3`
    pub name: String,
    pub runbook: Arc<str>,
    pub title: String,
    pub incident: Option<u64>,
    pub target: String,
    pub host: Option<Arc<str>>,
    pub component: Option<Arc<str>>,
    pub phase: &'static str,
    pub automatic: bool,
    pub started_by: Arc<str>,
    pub started_at: String,
    pub ended_by: Option<Arc<str>>,
    pub ended_at: Option<String>,
    pub why: Arc<str>,
    pub downtime: Option<u64>,
    pub next_step: Option<u16>,
    pub steps: Vec<RunStep>,
    pub verification: Verification,
    /// Nothing stands against the end.
    pub may_finish: bool,
    /// What does.
    pub missing: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct RunStep {
    pub step: usize,
    pub kind: &'static str,
    pub r#do: &'static str,
    pub text: String,
    pub command: Option<String>,
    pub when: Option<String>,
    pub gate: Option<String>,
    pub rollback: Option<String>,
    /// What would be done, on which host, in words; `refused` says why not.
    pub runs: Option<String>,
    pub refused: Option<String>,
    pub needs: Vec<Need>,
    /// Right of who carries it out.
    pub right: Right,
    pub second_person: bool,
    pub state: &'static str,
    pub attempt: u32,
    pub by: Option<Arc<str>>,
    pub approved_by: Option<Arc<str>>,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    pub deadline: Option<String>,
    pub output: Arc<str>,
    pub note: Arc<str>,
}

/// A condition of a step, now.
#[derive(Debug, Serialize)]
pub struct Need {
    pub condition: Arc<str>,
    /// `null` = not known.
    pub holds: Option<bool>,
    pub why: String,
}

#[derive(Debug, Serialize)]
pub struct Verification {
    /// Results observed after this count.
    pub since: Option<String>,
    pub well: u16,
    pub intervals: u16,
    pub checks: Vec<WatchedCheck>,
    /// Checks that the runbook names and the target does not have.
    pub unwatched: Vec<Arc<str>>,
}

#[derive(Debug, Serialize)]
pub struct WatchedCheck {
    pub host: Arc<str>,
    pub service: Option<Arc<str>>,
    pub well: u16,
    pub state: &'static str,
    pub said: Arc<str>,
}

pub fn run(snapshot: &Snapshot, agents: &Agents, run: &runbook::Run) -> Run {
    let sight = Sight::of(snapshot);
    let incident = run.incident.and_then(|number| snapshot.incidents.get(&number));
    let live = facts::live(&sight, &run.target, incident.map(|incident| &**incident));
    let missing =
        if run.phase.is_live() { run.missing(facts::not_yet_well(&sight, run, |_| false)) } else { Vec::new() };
    let steps = run.runbook.steps.iter().zip(&run.steps).enumerate();
    Run {
        number: run.number,
        name: run.name(),
        runbook: Arc::clone(&run.runbook.id),
        title: run.runbook.title.clone(),
        incident: run.incident,
        target: run.target.to_string(),
        host: run.target.host.clone(),
        component: run.target.component.clone(),
        phase: run.phase.as_str(),
        automatic: run.automatic,
        started_by: Arc::clone(&run.started_by),
        started_at: run.started_at.to_rfc3339(),
        ended_by: run.ended_by.clone(),
        ended_at: time(run.ended_at),
        why: Arc::clone(&run.why),
        downtime: run.downtime,
        next_step: if run.phase.is_live() { run.next_step() } else { None },
        steps: steps
            .map(|(index, (step, state))| run_step((snapshot, agents), run, &live, (index, step, state)))
            .collect(),
        verification: verification(snapshot, run),
        may_finish: run.phase.is_live() && missing.is_empty(),
        missing,
    }
}

fn run_step(
    (snapshot, agents): (&Snapshot, &Agents),
    run: &runbook::Run,
    live: &Observation,
    (index, step, state): (usize, &Step, &StepRun),
) -> RunStep {
    let needs = step.needs.iter().map(|need| {
        let (holds, why) = match need.holds(live) {
            Ok(holds) => (Some(holds), String::new()),
            Err(why) => (None, why),
        };
        Need { condition: Arc::clone(&need.text), holds, why }
    });
    // What an agent says now is no matter of what is over.
    let is_open = run.phase.is_live() && !state.state.is_settled();
    let (runs, refused) = match what((snapshot, is_open.then_some(agents)), run, step) {
        Ok(runs) => (runs, None),
        Err(why) => (None, Some(why)),
    };
    RunStep {
        step: index + 1,
        kind: kind_word(step.kind),
        r#do: do_word(&step.action),
        text: step.text.clone(),
        command: step.command.as_deref().map(|command| with_names(&snapshot.catalog, &run.target, command)),
        when: step.when.clone(),
        gate: step.gate.clone(),
        rollback: step.rollback.clone(),
        runs,
        refused,
        needs: needs.collect(),
        right: Right::of(&step.action),
        second_person: snapshot.catalog.runs.needs_second(step),
        state: state.state.as_str(),
        attempt: state.attempt,
        by: state.by.clone(),
        approved_by: state.approved_by.clone(),
        started_at: time(state.started_at),
        ended_at: time(state.ended_at),
        deadline: time(state.deadline),
        output: Arc::clone(&state.output),
        note: Arc::clone(&state.note),
    }
}

/// What a step would do, and where.
fn what(
    (snapshot, agents): (&Snapshot, Option<&Agents>),
    run: &runbook::Run,
    step: &Step,
) -> Result<Option<String>, String> {
    let catalog = &snapshot.catalog;
    let host = run.target.host.as_deref().unwrap_or("?");
    match &step.action {
        Action::Manual => Ok(None),
        Action::Approve => Ok(Some("another person agrees".to_owned())),
        Action::Check { checks, until } | Action::WaitFor { checks, until } => {
            let objects = checks.iter().flat_map(|name| facts::objects_of(catalog, &run.target, name));
            let names: Vec<String> = objects.map(|object| name_of(snapshot, object)).collect();
            let missing = checks.iter().find(|name| facts::objects_of(catalog, &run.target, name).is_empty());
            if let Some(missing) = missing {
                return Err(format!("{} has no check {missing}", run.target));
            }
            let until = until.as_ref().map(|until| until.text.to_string());
            let parts: Vec<String> = names.into_iter().chain(until).collect();
            Ok(Some(parts.join(", ")))
        }
        Action::Command { run: words } => {
            let words = order::command(words, &Names::of(run, catalog), &catalog.runs)?;
            order::order(run, step, catalog)?;
            let by_agent = catalog.host_id(host).is_some_and(|id| catalog.hosts[id.index()].view == View::Agent);
            if let Some(why) = agents.filter(|_| by_agent).and_then(|agents| agents.objection(host, &words)) {
                return Err(why);
            }
            let by = if by_agent { ", by its agent" } else { "" };
            let words: Vec<String> = words.iter().map(|word| shown_word(word)).collect();
            Ok(Some(format!("on {host}{by}: {}", words.join(" "))))
        }
        Action::Power { power } => {
            order::order(run, step, catalog)?;
            Ok(Some(format!("{host}: power {}", power_word(*power))))
        }
    }
}

/// One word as a shell would read it back, for people: no shell ever does.
fn shown_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(Timestamp::to_rfc3339)
}

fn name_of(snapshot: &Snapshot, object: ObjectId) -> String {
    runbook::verification::name_of(&snapshot.catalog.object_key(object))
}

fn verification(snapshot: &Snapshot, run: &runbook::Run) -> Verification {
    let (well, intervals) = run.verification.progress();
    let checks = run.verification.watches.iter().map(|watch| {
        let state = match snapshot.catalog.object_id(&watch.object) {
            None => "gone",
            Some(object) => {
                let row = snapshot.row(object);
                match object {
                    _ if row.is_pending() => "pending",
                    ObjectId::Host(_) => row.host_state().as_str(),
                    ObjectId::Service(_) => row.service_state().as_str(),
                }
            }
        };
        WatchedCheck {
            host: Arc::clone(&watch.object.host),
            service: watch.object.service.clone(),
            well: watch.well,
            state,
            said: Arc::clone(&watch.said),
        }
    });
    Verification {
        since: time(run.verification.since),
        well,
        intervals,
        checks: checks.collect(),
        unwatched: run.verification.unwatched.clone(),
    }
}

pub const fn kind_word(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Verify => "verify",
        StepKind::Contain => "contain",
        StepKind::Fix => "fix",
        StepKind::Confirm => "confirm",
        StepKind::Escalate => "escalate",
    }
}

pub const fn do_word(action: &Action) -> &'static str {
    match action {
        Action::Manual => "manual",
        Action::Check { .. } => "check",
        Action::WaitFor { .. } => "wait_for",
        Action::Command { .. } => "command",
        Action::Power { .. } => "power",
        Action::Approve => "approve",
    }
}

const fn power_word(power: PowerAction) -> &'static str {
    match power {
        PowerAction::On => "on",
        PowerAction::Off => "off",
        PowerAction::Cycle => "cycle",
    }
}

/// One record with its place in the chain; whoever reads all can verify it (`stentor runbook audit --verify`).
#[derive(Debug, Serialize, Deserialize)]
pub struct Audit {
    pub number: u64,
    pub at: String,
    pub who: Arc<str>,
    pub action: Arc<str>,
    pub run: Option<u64>,
    pub incident: Option<u64>,
    pub runbook: Arc<str>,
    pub step: Option<u16>,
    pub target: Arc<str>,
    pub done: bool,
    pub text: Arc<str>,
    /// Lower-case hexadecimal SHA-256.
    pub previous: String,
    pub hash: String,
}

impl From<&AuditRecord> for Audit {
    fn from(record: &AuditRecord) -> Audit {
        let entry = record.entry.clone();
        Audit {
            number: record.number,
            at: entry.at.to_rfc3339(),
            who: entry.who,
            action: entry.action,
            run: entry.run,
            incident: entry.incident,
            runbook: entry.runbook,
            step: entry.step,
            target: entry.target,
            done: entry.done,
            text: entry.text,
            previous: hex(&record.previous),
            hash: hex(&record.hash),
        }
    }
}

/// A page of the audit.
#[derive(Debug, Serialize)]
pub struct AuditList {
    pub seq: u64,
    pub items: Vec<Audit>,
    /// For `?after=`; null on the last page.
    pub next: Option<String>,
    /// The newest record as it was kept outside the database before this page was read; null if that is not done.
    pub anchor: Option<AuditAnchor>,
}

#[derive(Debug, Serialize)]
pub struct AuditAnchor {
    pub number: u64,
    pub hash: String,
}

impl From<Chain> for AuditAnchor {
    fn from(head: Chain) -> AuditAnchor {
        AuditAnchor { number: head.newest, hash: hex(&head.hash) }
    }
}

/// `POST /incidents/{n}/run`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StartRequest {
    /// Only says what would be done.
    pub dry_run: bool,
}

/// `POST /runbooks/{id}/run`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcedureRequest {
    pub host: String,
    #[serde(default)]
    pub component: Option<String>,
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /runs/{id}/steps/{k}/{action}`: each action reads what it needs.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepRequest {
    /// The attempt that is meant, from 1; a repeated request changes nothing, an old one is refused.
    pub attempt: Option<u32>,
    pub note: String,
    pub reason: String,
}

/// `POST /runs/{id}/abort`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AbortRequest {
    pub why: String,
}
