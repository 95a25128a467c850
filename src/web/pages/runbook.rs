//! A run of a runbook: on its incident's page and on `/runs/{n}`. How far is it, what is next, what stands against the end?

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use stentor_core::engine::Reply;
use stentor_core::runbook::verification::name_of;
use stentor_core::runbook::{Run, RunAction, RunPhase};
use stentor_core::snapshot::Snapshot;

use super::incident::step_words;
use super::shell::{Ctx, Section, Shell};
use super::{Visit, html, login};
use crate::web::WebState;
use crate::web::api::{run_dto, runs};
use crate::web::auth::Session;
use crate::web::parts::{self as p, Mark};
use crate::web::problem::Problem;
use crate::web::words;

/// Bytes of a note.
const NOTE_BYTES_MAX: usize = 4096;

#[derive(Template)]
#[template(path = "frag_run.html")]
pub struct RunFragment {
    pub name: String,
    pub title: String,
    pub phase: &'static str,
    pub tone: &'static str,
    pub by: String,
    pub why: String,
    pub steps: Vec<StepView>,
    pub progress: String,
    pub since: String,
    pub missing: Vec<String>,
    pub unwatched: Vec<String>,
    pub live: bool,
    pub may_finish: bool,
    pub ended: String,
}

pub struct StepView {
    pub heading: String,
    pub class: &'static str,
    pub by: String,
    pub body: Option<String>,
    pub command: Option<String>,
    pub when: Option<String>,
    pub gate: Option<String>,
    pub rollback: Option<String>,
    pub runs: Option<String>,
    pub refused: Option<String>,
    pub needs: Vec<NeedView>,
    pub note: String,
    pub output: String,
    pub acts: Vec<ActView>,
}

pub struct NeedView {
    pub mark: Mark,
    pub condition: String,
    pub why: String,
}

/// A button: `begin:3:1` is the first attempt of step 3.
pub struct ActView {
    pub value: String,
    pub label: &'static str,
    pub first: bool,
    pub disabled: bool,
}

#[derive(Template)]
#[template(path = "run.html")]
pub struct RunPage {
    pub shell: Shell,
    pub run_number: u64,
    pub name: String,
    pub title: String,
    pub target: String,
    pub incident: Option<(String, String)>,
    pub fragment: RunFragment,
    pub act: bool,
}

/// The newest run for an incident.
pub fn newest_for(snapshot: &Snapshot, incident: u64) -> Option<&Arc<Run>> {
    snapshot.runs.values().rev().find(|run| run.incident == Some(incident))
}

impl RunFragment {
    pub fn build(ctx: Ctx<'_>, run: &Run) -> RunFragment {
        let told = run_dto::run(ctx.snapshot, ctx.agents, run);
        let (phase, tone) = match run.phase {
            RunPhase::Running => ("under way", "info"),
            RunPhase::Verifying => ("being verified", "info"),
            RunPhase::Finished => ("finished", "ok"),
            RunPhase::Reopened => ("opened again", "crit"),
            RunPhase::Aborted => ("given up", "warn"),
        };
        let verification = &told.verification;
        let live = run.phase.is_live();
        let progress = match verification.intervals {
            0 => "Nothing is to be verified".to_owned(),
            of => format!("Verification: {} of {of} well", verification.well),
        };
        let since = run.verification.since.map_or_else(
            || "counts when every step is settled".to_owned(),
            |at| format!("results since {}", words::clock(at, ctx.now)),
        );
        let who = if run.automatic { "by itself" } else { &*run.started_by };
        let ended = match (&run.ended_by, run.ended_at) {
            (Some(by), Some(at)) => format!("{} by {by}, {}.", words::sentence(phase), words::clock(at, ctx.now)),
            (_, _) => String::new(),
        };
        RunFragment {
            name: told.name,
            title: told.title,
            phase,
            tone,
            by: format!("{who} since {}", words::clock(run.started_at, ctx.now)),
            why: words::printable(&run.why),
            steps: told
                .steps
                .into_iter()
                .zip(&run.runbook.steps)
                .map(|(told, step)| step_view(ctx, live, told, step_words(step)))
                .collect(),
            progress,
            since: if live { since } else { String::new() },
            missing: told.missing.iter().filter(|m| !m.starts_with("step ")).map(|m| words::sentence(m)).collect(),
            unwatched: told.verification.unwatched.iter().map(ToString::to_string).collect(),
            live,
            may_finish: told.may_finish,
            ended,
        }
    }
}

impl RunFragment {
    /// The same of a run that nobody started: what would be done, and nothing to press.
    pub fn plan(ctx: Ctx<'_>, run: &Run) -> RunFragment {
        let mut fragment = RunFragment::build(ctx, run);
        fragment.steps.iter_mut().for_each(|step| step.acts.clear());
        let checks: Vec<String> = run.verification.watches.iter().map(|watch| name_of(&watch.object)).collect();
        let intervals = words::plural(usize::from(run.verification.intervals), "time", "times");
        RunFragment {
            name: "Dry run".to_owned(),
            phase: "not started",
            by: String::new(),
            progress: match checks.as_slice() {
                [] if fragment.unwatched.is_empty() => "Nothing is to be verified".to_owned(),
                [] => "Nobody here tells whether it is well".to_owned(),
                checks => format!("Over when {} was well {intervals} in a row", checks.join(", ")),
            },
            since: String::new(),
            missing: Vec::new(),
            live: false,
            may_finish: false,
            ended: "Nothing was done.".to_owned(),
            ..fragment
        }
    }
}

fn step_view(ctx: Ctx<'_>, live: bool, step: run_dto::RunStep, (heading, body): (String, Option<String>)) -> StepView {
    let escalates = step.kind == "escalate";
    let class = match step.state {
        "ready" if escalates => "",
        "done" | "skipped" => "done",
        "failed" | "rolled_back" => "fail",
        "ready" | "asked" | "running" if live => "now",
        _ => "",
    };
    let at = step.ended_at.as_ref().or(step.started_at.as_ref());
    let at = at.and_then(|text| stentor_core::Timestamp::from_rfc3339(text).ok());
    let at = at.map_or_else(String::new, |at| format!(", {}", words::clock(at, ctx.now)));
    let who = step.by.as_deref().unwrap_or_default();
    let approved = step.approved_by.as_ref().map_or_else(String::new, |by| format!(", approved by {by}"));
    let by = match step.state {
        "ready" if escalates => "only if nothing helps".to_owned(),
        "waiting" | "ready" => match (step.r#do, step.second_person) {
            ("manual", false) => String::new(),
            (_, true) => "needs a second person".to_owned(),
            (_, false) => "Stentor does it".to_owned(),
        },
        "asked" => format!("{who} asks for a second person"),
        state => format!("{} {who}{approved}{at}", words::spaced(state)),
    };
    let needs = step.needs.iter().map(|need| NeedView {
        mark: match need.holds {
            Some(true) => Mark::Ok,
            Some(false) => Mark::Crit,
            None => Mark::Unk,
        },
        condition: need.condition.to_string(),
        why: match need.holds {
            Some(true) => String::new(),
            Some(false) => "does not hold".to_owned(),
            None => format!("not known, {}", need.why),
        },
    });
    let open = matches!(step.state, "waiting" | "ready" | "asked");
    StepView {
        heading,
        class,
        by,
        body,
        command: step.command.clone().filter(|text| !text.trim().is_empty()),
        when: step.when.clone(),
        gate: step.gate.clone(),
        rollback: step.rollback.clone(),
        runs: step.runs.clone(),
        refused: step.refused.clone().filter(|_| open && live),
        needs: if open && live { needs.collect() } else { Vec::new() },
        note: words::printable(&step.note),
        output: printable_lines(&step.output),
        acts: if live { acts(&step) } else { Vec::new() },
    }
}

fn printable_lines(text: &str) -> String {
    text.lines().map(words::printable).collect::<Vec<_>>().join("\n")
}

/// What may be asked of a step now.
fn acts(step: &run_dto::RunStep) -> Vec<ActView> {
    let act = |word: &str, label, attempt: u32| ActView {
        value: format!("{word}:{}:{attempt}", step.step),
        label,
        first: false,
        disabled: false,
    };
    let next = step.attempt + 1;
    let manual = step.r#do == "manual";
    let stands = step.refused.is_some() || step.needs.iter().any(|need| need.holds != Some(true));
    let undo = step.rollback.is_some();
    let mut acts = match step.state {
        "ready" if manual => vec![
            ActView { first: step.kind != "escalate", disabled: stands, ..act("done", "Done", next) },
            act("fail", "Could not do it", step.attempt),
            act("skip", "Skip", next),
        ],
        "ready" if step.r#do == "approve" => {
            vec![ActView { first: true, disabled: stands, ..act("begin", "Ask another person", next) }]
        }
        "ready" => {
            vec![ActView { first: true, disabled: stands, ..act("begin", "Run", next) }, act("skip", "Skip", next)]
        }
        "asked" => vec![
            ActView { first: true, ..act("approve", "Approve", step.attempt) },
            act("fail", "Take it back", step.attempt),
        ],
        "running" if manual => vec![
            ActView { first: true, ..act("done", "Done", step.attempt) },
            act("fail", "Could not do it", step.attempt),
        ],
        "running" => vec![act("fail", "Stop it", step.attempt)],
        "failed" | "rolled_back" => vec![
            ActView { first: true, disabled: stands, ..act("begin", "Try again", next) },
            act("skip", "Skip", next),
        ],
        _ => Vec::new(),
    };
    if undo && matches!(step.state, "done" | "failed") {
        acts.push(act("rollback", "It was undone", step.attempt));
    }
    acts
}

pub async fn show(State(state): State<WebState>, session: Session, Path(number): Path<u64>) -> Response {
    let visit = Visit::home(&state, session);
    let Some(run) = visit.snapshot.runs.get(&number).cloned() else {
        let what = format!("There is no RUN-{number} any more, or there never was; old ones are in the audit only.");
        return (StatusCode::NOT_FOUND, Html(login::refusal(StatusCode::NOT_FOUND, &what))).into_response();
    };
    let shell = visit.bare_shell(Section::Incidents, &["run"], &format!("&r={number}"));
    let fragment = RunFragment::build(visit.ctx(), &run);
    html(&RunPage {
        act: shell.may_act && run.phase.is_live(),
        shell,
        run_number: number,
        name: run.name(),
        title: run.runbook.title.clone(),
        target: run.target.to_string(),
        incident: run.incident.map(|number| (format!("/i/{number}"), format!("INC-{number}"))),
        fragment,
    })
}

/// A page that says what was not done and why.
pub struct Refusal(Problem);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let what = words::sentence(&format!("{}.", self.0.detail.trim_end_matches('.')));
        (self.0.status, Html(login::refusal(self.0.status, &what))).into_response()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal(problem)
    }
}

/// POST `/i/{n}/run`
pub async fn start(
    State(state): State<WebState>,
    session: Session,
    Path(number): Path<u64>,
) -> Result<Response, Refusal> {
    runs::ask(&state, &session, RunAction::Start { incident: number }, None).await?;
    Ok(Redirect::to(&format!("/i/{number}?done=run#runbook")).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ActForm {
    /// `begin:3:1`, `finish`, `abort`
    r#do: String,
    note: String,
}

/// POST `/runs/{n}/act`: every button of a run.
pub async fn act(
    State(state): State<WebState>,
    session: Session,
    Path(run): Path<u64>,
    Form(form): Form<ActForm>,
) -> Result<Response, Refusal> {
    if form.note.len() > NOTE_BYTES_MAX {
        return Err(Problem::invalid(format!("the note is longer than {NOTE_BYTES_MAX} bytes")).into());
    }
    let note: Arc<str> = form.note.trim().into();
    let mut parts = form.r#do.split(':');
    let word = parts.next().unwrap_or_default();
    let step = parts.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let attempt = parts.next().and_then(|text| text.parse().ok());
    let action = match word {
        "begin" => RunAction::Begin { run, step, attempt },
        "done" => RunAction::Done { run, step, attempt, note },
        "fail" => RunAction::Fail { run, step, attempt, note },
        "skip" => RunAction::Skip { run, step, reason: note },
        "approve" => RunAction::Approve { run, step, attempt },
        "rollback" => RunAction::RollBack { run, step, note },
        "finish" => RunAction::Finish { run },
        "abort" => RunAction::Abort { run, why: note },
        _ => return Err(Problem::invalid("the form names nothing that can be done in a run").into()),
    };
    let _: Reply = runs::ask(&state, &session, action, None).await?;
    let incident = state.engine.snapshot().runs.get(&run).and_then(|run| run.incident);
    let to = incident.map_or_else(|| format!("/runs/{run}"), |number| format!("/i/{number}"));
    Ok(Redirect::to(&format!("{to}#runbook")).into_response())
}

/// A GET of the form's target (a reload after an error) leads to the run and does nothing.
pub async fn again(Path(number): Path<u64>) -> Redirect {
    Redirect::to(&format!("/runs/{number}"))
}
