//! `/runbooks`, `/runs`, `/audit`: start, carry out, approve, finish. The engine decides, refuses and records.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use stentor_core::catalog::{Platform, Runbook, Step};
use stentor_core::engine::{Command, Reply};
use stentor_core::runbook::facts::Sight;
use stentor_core::runbook::{self, Asker, NewRun, RunAction, RunRequest, RunTarget};
use stentor_core::snapshot::Snapshot;

use super::extract::{IdempotencyKey, InJson, InPath, InQuery};
use super::run_dto::{self, AbortRequest, Audit, AuditAnchor, AuditList, ProcedureRequest, StartRequest, StepRequest};
use super::{LIMIT_MAX, dto, json, page};
use crate::engine::Refused;
use crate::nagios::external::COMMENT_BYTES_MAX;
use crate::runbook::agents::Agents;
use crate::web::WebState;
use crate::web::auth::{Role, Session};
use crate::web::problem::Problem;

/// A runbook as data, with the cells it mends.
#[derive(Serialize)]
struct Book<'a> {
    id: &'a str,
    title: &'a str,
    platform: &'a str,
    cells: Vec<String>,
    procedure: bool,
    automatic: bool,
    downtime_s: i64,
    verification: &'a [Arc<str>],
    intervals: u16,
    steps: Vec<BookStep<'a>>,
}

#[derive(Serialize)]
struct BookStep<'a> {
    step: usize,
    kind: &'static str,
    r#do: &'static str,
    text: &'a str,
    command: Option<&'a str>,
    when: Option<&'a str>,
    gate: Option<&'a str>,
    rollback: Option<&'a str>,
    needs: Vec<&'a str>,
    second_person: bool,
}

pub async fn runbooks(State(state): State<WebState>, _session: Session) -> Response {
    let snapshot = state.engine.snapshot();
    let platforms = snapshot.catalog.platforms.iter();
    let books = platforms.flat_map(|platform| platform.runbooks.iter().map(|book| shown(&snapshot, platform, book)));
    json(StatusCode::OK, &dto::List { seq: snapshot.seq, items: books.collect::<Vec<_>>(), next: None })
}

fn shown<'a>(snapshot: &'a Snapshot, platform: &'a Platform, book: &'a Runbook) -> Book<'a> {
    let cells = platform.cells.iter().filter(|cell| cell.runbook == book.id).map(|cell| cell.key.to_string());
    let step = |(index, step): (usize, &'a Step)| BookStep {
        step: index + 1,
        kind: run_dto::kind_word(step.kind),
        r#do: run_dto::do_word(&step.action),
        text: &step.text,
        command: step.command.as_deref(),
        when: step.when.as_deref(),
        gate: step.gate.as_deref(),
        rollback: step.rollback.as_deref(),
        needs: step.needs.iter().map(|need| &*need.text).collect(),
        second_person: snapshot.catalog.runs.needs_second(step),
    };
    Book {
        id: &book.id,
        title: &book.title,
        platform: &platform.key,
        cells: cells.collect(),
        procedure: book.procedure,
        automatic: book.automatic,
        downtime_s: book.downtime.as_millis() / 1000,
        verification: &book.verification,
        intervals: book.intervals,
        steps: book.steps.iter().enumerate().map(step).collect(),
    }
}

pub async fn runbook(
    State(state): State<WebState>,
    _session: Session,
    InPath(id): InPath<String>,
) -> Result<Response, Problem> {
    let snapshot = state.engine.snapshot();
    let mut all = snapshot.catalog.platforms.iter().flat_map(|p| p.runbooks.iter().map(move |book| (p, book)));
    let found = all.find(|(_, book)| *book.id == *id);
    let (platform, book) = found.ok_or_else(|| Problem::not_found(format!("runbook `{id}`")))?;
    Ok(json(StatusCode::OK, &shown(&snapshot, platform, book)))
}

/// Filters of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RunsQuery {
    incident: Option<u64>,
    live: bool,
    limit: Option<usize>,
    after: Option<u64>,
}

/// Newest first.
pub async fn list(State(state): State<WebState>, _session: Session, InQuery(query): InQuery<RunsQuery>) -> Response {
    let snapshot = state.engine.snapshot();
    let limit = query.limit.unwrap_or(super::LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let selects = |run: &&Arc<runbook::Run>| {
        query.incident.is_none_or(|number| run.incident == Some(number)) && (!query.live || run.phase.is_live())
    };
    let rows = snapshot.runs.range(..query.after.unwrap_or(u64::MAX)).rev().map(|(_, run)| run).filter(selects);
    let list = page(
        snapshot.seq,
        limit,
        rows,
        |run| run.number.to_string(),
        |run| run_dto::run(&snapshot, &state.agents, run),
    );
    json(StatusCode::OK, &list)
}

pub async fn one(
    State(state): State<WebState>,
    _session: Session,
    InPath(run): InPath<String>,
) -> Result<Response, Problem> {
    answer(&state, number(&run)?, StatusCode::OK)
}

pub async fn start(
    State(state): State<WebState>,
    session: Session,
    InPath(incident): InPath<String>,
    key: IdempotencyKey,
    InJson(request): InJson<StartRequest>,
) -> Result<Response, Problem> {
    let digits = incident.strip_prefix("INC-").unwrap_or(&incident);
    let incident = digits.parse().map_err(|_| Problem::invalid("an incident is named by its number, such as 17"))?;
    if request.dry_run {
        return plan_for_incident((&state.engine.snapshot(), &state.agents), incident, &session);
    }
    started(&state, &session, RunAction::Start { incident }, key).await
}

pub async fn start_procedure(
    State(state): State<WebState>,
    session: Session,
    InPath(id): InPath<String>,
    key: IdempotencyKey,
    InJson(request): InJson<ProcedureRequest>,
) -> Result<Response, Problem> {
    let (host, component): (Arc<str>, Option<Arc<str>>) = (request.host.into(), request.component.map(Into::into));
    if request.dry_run {
        let snapshot = state.engine.snapshot();
        let found = runbook::facts::procedure(&snapshot.catalog, &id, &host, component.as_deref());
        let (book, target) = found.map_err(|error| Problem::from(Refused::Command(error.into())))?;
        return Ok(json(StatusCode::OK, &plan((&snapshot, &state.agents), book, None, target, &session)));
    }
    started(&state, &session, RunAction::StartProcedure { runbook: id.into(), host, component }, key).await
}

async fn started(
    state: &WebState,
    session: &Session,
    action: RunAction,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    let incident = if let RunAction::Start { incident } = &action { Some(*incident) } else { None };
    match ask(state, session, action, key.id()).await? {
        Reply::Run(number) => answer(state, number, StatusCode::CREATED),
        // The same request came again: the run that it started is the newest of its incident.
        Reply::Repeated | Reply::Done | Reply::DowntimeScheduled(_) | Reply::CommentAdded(_) | Reply::TestsSent(_) => {
            let snapshot = state.engine.snapshot();
            let newest = snapshot.runs.values().rev().find(|run| incident.is_none() || run.incident == incident);
            let run = newest.ok_or_else(|| Problem::not_found("such run any more"))?;
            Ok(json(StatusCode::OK, &run_dto::run(&snapshot, &state.agents, run)))
        }
    }
}

fn plan_for_incident(
    (snapshot, agents): (&Snapshot, &Agents),
    number: u64,
    session: &Session,
) -> Result<Response, Problem> {
    let incident = snapshot.incidents.get(&number).ok_or_else(|| Problem::not_found(format!("INC-{number}")))?;
    let id = &incident.verdict.runbook;
    let book = snapshot
        .catalog
        .runbook(id)
        .ok_or_else(|| Problem::new(StatusCode::CONFLICT, "conflict", format!("INC-{number} names no runbook")))?;
    let target = runbook::facts::target_of(&snapshot.catalog, incident);
    Ok(json(StatusCode::OK, &plan((snapshot, agents), book, Some(number), target, session)))
}

fn plan(
    (snapshot, agents): (&Snapshot, &Agents),
    book: &Runbook,
    incident: Option<u64>,
    target: RunTarget,
    session: &Session,
) -> run_dto::Run {
    run_dto::run(snapshot, agents, &planned(snapshot, book, incident, target, &session.user))
}

/// The run as it would begin now; its number is 0, which no run has.
pub fn planned(
    snapshot: &Snapshot,
    book: &Runbook,
    incident: Option<u64>,
    target: RunTarget,
    by: &str,
) -> runbook::Run {
    let of = incident.and_then(|number| snapshot.incidents.get(&number)).map(|incident| &**incident);
    let verification = runbook::facts::verification_of(&Sight::of(snapshot), book, &target, of);
    runbook::Run::new(NewRun {
        number: 0,
        runbook: Arc::new(book.clone()),
        incident,
        target,
        by: by.into(),
        at: snapshot.at,
        automatic: false,
        verification,
    })
}

pub async fn step(
    State(state): State<WebState>,
    session: Session,
    InPath((run, step, action)): InPath<(String, u16, String)>,
    key: IdempotencyKey,
    InJson(request): InJson<StepRequest>,
) -> Result<Response, Problem> {
    let run = number(&run)?;
    let StepRequest { attempt, note, reason } = request;
    let (note, reason) = (text(&note, "note")?, text(&reason, "reason")?);
    let action = match action.as_str() {
        "begin" => RunAction::Begin { run, step, attempt },
        "done" => RunAction::Done { run, step, attempt, note },
        "fail" => RunAction::Fail { run, step, attempt, note },
        "skip" => RunAction::Skip { run, step, reason },
        "approve" => RunAction::Approve { run, step, attempt },
        "rollback" => RunAction::RollBack { run, step, note },
        other => return Err(Problem::not_found(format!("action `{other}` of a step"))),
    };
    move_run(&state, &session, run, action, key).await
}

pub async fn finish(
    State(state): State<WebState>,
    session: Session,
    InPath(run): InPath<String>,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    let run = number(&run)?;
    move_run(&state, &session, run, RunAction::Finish { run }, key).await
}

pub async fn abort(
    State(state): State<WebState>,
    session: Session,
    InPath(run): InPath<String>,
    key: IdempotencyKey,
    InJson(request): InJson<AbortRequest>,
) -> Result<Response, Problem> {
    let run = number(&run)?;
    let why = text(&request.why, "reason")?;
    move_run(&state, &session, run, RunAction::Abort { run, why }, key).await
}

/// Asks for what moves a run, and answers with the run as it is then.
async fn move_run(
    state: &WebState,
    session: &Session,
    run: u64,
    action: RunAction,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    ask(state, session, action, key.id()).await?;
    answer(state, run, StatusCode::OK)
}

/// Hands the request to the engine with the right of who asks: what he may not do is refused there, and recorded.
///
/// # Errors
/// The engine refused.
pub async fn ask(
    state: &WebState,
    session: &Session,
    action: RunAction,
    id: Option<Arc<str>>,
) -> Result<Reply, Problem> {
    let policy = &state.engine.snapshot().catalog.runs;
    let right = policy.right_of(session.role >= Role::Operator, session.role >= Role::Admin);
    let by = Asker { name: Arc::clone(&session.user), right };
    Ok(state.engine.command(Command::Run(RunRequest { by, action }), id).await?)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuditQuery {
    after: u64,
    limit: Option<u32>,
}

/// Oldest first.
pub async fn audit(
    State(state): State<WebState>,
    session: Session,
    InQuery(query): InQuery<AuditQuery>,
) -> Result<Response, Problem> {
    session.require(Role::Operator)?;
    let limit = query.limit.unwrap_or(100).clamp(1, 1000);
    // First the anchor: what is committed meanwhile is beyond it, and nothing is missing.
    let anchor = match state.store.audit_anchor() {
        Some(anchor) => anchor.read().await?.map(AuditAnchor::from),
        None => None,
    };
    let records = state.store.audit(query.after, limit).await?;
    let full = records.len() == limit as usize;
    let next = records.last().filter(|_| full).map(|record| record.number.to_string());
    let items: Vec<Audit> = records.iter().map(Audit::from).collect();
    Ok(json(StatusCode::OK, &AuditList { seq: state.engine.snapshot().seq, items, next, anchor }))
}

fn answer(state: &WebState, number: u64, status: StatusCode) -> Result<Response, Problem> {
    let snapshot = state.engine.snapshot();
    let run = snapshot.runs.get(&number).ok_or_else(|| Problem::not_found(format!("RUN-{number}")))?;
    Ok(json(status, &run_dto::run(&snapshot, &state.agents, run)))
}

/// `3` or `RUN-3`.
fn number(text: &str) -> Result<u64, Problem> {
    let digits = text.strip_prefix("RUN-").unwrap_or(text);
    digits.parse().map_err(|_| Problem::invalid("a run is named by its number, such as 3"))
}

fn text(text: &str, what: &str) -> Result<Arc<str>, Problem> {
    if text.len() > COMMENT_BYTES_MAX {
        return Err(Problem::invalid(format!("the {what} is longer than {COMMENT_BYTES_MAX} bytes")));
    }
    Ok(text.trim().into())
}
