//! What forms do: acknowledge, note, downtime, check now. Plain POSTs that redirect back; the CSRF token has been
//! checked before a [`Session`] exists.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use stentor_core::engine::input::{DowntimeRequest, Notify, Spread};
use stentor_core::engine::{Command, CommandError};
use stentor_core::id::{ObjectId, ServiceId};
use stentor_core::model::{Ack, Covers, DowntimeKind, ObjectKey, Sticky};
use stentor_core::runbook::refusal::RefusalKind;
use stentor_core::{Span, Timestamp};

use super::login;
use crate::engine::Refused;
use crate::web::WebState;
use crate::web::auth::{Role, Session};
use crate::web::links::{encode, local_path};
use crate::web::problem::Problem;
use crate::web::words;
use axum::extract::Form;

/// Longest acknowledgement: one that never ends is a silenced alarm.
const ACK_MAX: Span = Span::from_hours(24 * 30);
/// Longest downtime.
const DOWNTIME_MAX: Span = Span::from_hours(24 * 366);
/// Bytes of a note or comment; longer ones belong in a ticket.
const TEXT_BYTES_MAX: usize = 4096;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AckForm {
    comment: String,
    /// `2h`, or `recovery`.
    until: String,
    sticky: String,
    notify: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NoteForm {
    text: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DowntimeForm {
    /// From the page of downtimes only.
    host: String,
    service: String,
    start: String,
    end: String,
    comment: String,
    /// `yes`: its services too; `only`: a window for each of them, none for the host.
    services: String,
    /// Not empty: flexible, lasts so long from a failure between start and end.
    duration: String,
    /// Not empty: id of the downtime that it begins and ends with.
    with: String,
    /// Hosts behind the host: `same` or `triggered`.
    children: String,
    back: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BackForm {
    back: String,
}

type Answer = Result<Response, Refusal>;

/// A page that says what was not done and why.
pub struct Refusal {
    status: StatusCode,
    what: String,
}

impl Refusal {
    pub fn invalid(what: impl Into<String>) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, what: what.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Html(login::refusal(self.status, &self.what))).into_response()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal { status: problem.status, what: words::sentence(&format!("{}.", problem.detail)) }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Refusal {
        let status = match &refused {
            Refused::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Refused::Command(CommandError::Invalid(_)) => StatusCode::BAD_REQUEST,
            Refused::Command(CommandError::Run(error)) => match error.kind() {
                RefusalKind::NotFound => StatusCode::NOT_FOUND,
                RefusalKind::Forbidden => StatusCode::FORBIDDEN,
                RefusalKind::Conflict => StatusCode::CONFLICT,
                RefusalKind::Invalid => StatusCode::BAD_REQUEST,
            },
            Refused::Command(
                CommandError::NoIncident(_)
                | CommandError::NoObject(_)
                | CommandError::NoDowntime(_)
                | CommandError::NoComment(_)
                | CommandError::NoContact(_),
            ) => StatusCode::NOT_FOUND,
            Refused::Command(
                CommandError::IncidentNotLive(_) | CommandError::NoProblem(_) | CommandError::NotImported(_),
            ) => StatusCode::CONFLICT,
        };
        Refusal { status, what: words::sentence(&format!("{refused}.")) }
    }
}

/// Carries out a command for an operator and goes back to where the form was.
async fn act(state: &WebState, session: &Session, command: Command, back: &str, done: &str) -> Answer {
    act_all(state, session, vec![command], back, done).await
}

/// As [`act`], for several commands in their order.
async fn act_all(state: &WebState, session: &Session, commands: Vec<Command>, back: &str, done: &str) -> Answer {
    session.require(Role::Operator)?;
    for command in commands {
        state.engine.command(command, None).await?;
    }
    let (path, anchor) = back.split_once('#').unwrap_or((back, ""));
    let path = local_path(path);
    let join = if path.contains('?') { '&' } else { '?' };
    let anchor = if anchor.is_empty() { String::new() } else { format!("#{}", encode(anchor)) };
    Ok(Redirect::to(&format!("{path}{join}done={done}{anchor}")).into_response())
}

fn text(input: &str, what: &str) -> Result<Arc<str>, Refusal> {
    let trimmed = input.trim();
    if trimmed.len() > TEXT_BYTES_MAX {
        return Err(Refusal::invalid(format!("The {what} is longer than {TEXT_BYTES_MAX} bytes.")));
    }
    Ok(trimmed.into())
}

fn ack(form: &AckForm, session: &Session, now: Timestamp) -> Result<(Ack, Notify), Refusal> {
    let until = match form.until.trim() {
        "recovery" => None,
        // An acknowledgement always ends: an empty field is the shortest common one, not forever.
        "" => Some(now + Span::from_hours(2)),
        span => {
            let span: Span = span.parse().map_err(|error| Refusal::invalid(format!("{error}.")))?;
            if span <= Span::ZERO || span > ACK_MAX {
                return Err(Refusal::invalid("An acknowledgement lasts at most 30 days."));
            }
            Some(now + span)
        }
    };
    let sticky = if form.sticky == "yes" { Sticky::Yes } else { Sticky::No };
    let notify = if form.notify == "yes" { Notify::Yes } else { Notify::No };
    let comment = text(&form.comment, "note")?;
    Ok((Ack { by: Arc::clone(&session.user), comment, at: now, until, sticky }, notify))
}

pub async fn ack_incident(
    State(state): State<WebState>,
    session: Session,
    Path(number): Path<u64>,
    Form(form): Form<AckForm>,
) -> Answer {
    let (ack, notify) = ack(&form, &session, state.clock.now())?;
    act(&state, &session, Command::AckIncident { number, ack, notify }, &format!("/i/{number}"), "acknowledged").await
}

pub async fn unack_incident(State(state): State<WebState>, session: Session, Path(number): Path<u64>) -> Answer {
    let command = Command::UnackIncident { number, by: Arc::clone(&session.user) };
    act(&state, &session, command, &format!("/i/{number}"), "unacknowledged").await
}

pub async fn note_incident(
    State(state): State<WebState>,
    session: Session,
    Path(number): Path<u64>,
    Form(form): Form<NoteForm>,
) -> Answer {
    let text = text(&form.text, "note")?;
    if text.is_empty() {
        return Err(Refusal::invalid("The note is empty."));
    }
    let command = Command::NoteIncident { number, by: Arc::clone(&session.user), text };
    act(&state, &session, command, &format!("/i/{number}"), "note").await
}

fn object_path(object: &ObjectKey) -> String {
    match &object.service {
        None => format!("/h/{}", encode(&object.host)),
        Some(service) => format!("/h/{}/{}", encode(&object.host), encode(service)),
    }
}

fn host_key(host: String) -> ObjectKey {
    ObjectKey { host: host.into(), service: None }
}

fn service_key((host, service): (String, String)) -> ObjectKey {
    ObjectKey { host: host.into(), service: Some(service.into()) }
}

async fn ack_object(state: WebState, session: Session, object: ObjectKey, form: AckForm) -> Answer {
    let (ack, notify) = ack(&form, &session, state.clock.now())?;
    let back = object_path(&object);
    act(&state, &session, Command::AckObject { object, ack, notify, persistent: false }, &back, "acknowledged").await
}

async fn unack_object(state: WebState, session: Session, object: ObjectKey) -> Answer {
    let back = object_path(&object);
    let command = Command::UnackObject { object, by: Arc::clone(&session.user) };
    act(&state, &session, command, &back, "unacknowledged").await
}

async fn check_object(state: WebState, session: Session, object: ObjectKey) -> Answer {
    let back = object_path(&object);
    act(&state, &session, Command::CheckNow { object, by: Arc::clone(&session.user) }, &back, "check").await
}

async fn plan(state: WebState, session: Session, target: ObjectKey, form: DowntimeForm) -> Answer {
    let moment = |input: &str, which: &str| {
        words::from_field(input).ok_or_else(|| {
            Refusal::invalid(format!("The {which} of the downtime is no date such as 2026-11-25T22:00."))
        })
    };
    let (start, end) = (moment(&form.start, "start")?, moment(&form.end, "end")?);
    if end <= start {
        return Err(Refusal::invalid("The downtime ends before it starts."));
    }
    if end <= state.clock.now() {
        return Err(Refusal::invalid("The downtime would be over already."));
    }
    if end.since(start) > DOWNTIME_MAX {
        return Err(Refusal::invalid("A downtime lasts at most a year."));
    }
    let comment = text(&form.comment, "reason")?;
    if comment.is_empty() {
        return Err(Refusal::invalid("Say why: the reason is shown to everyone who looks."));
    }
    let back = if form.back.is_empty() { object_path(&target) } else { form.back.clone() };
    let whole = target.service.is_none() && form.services == "yes";
    let request = DowntimeRequest {
        covers: if whole { Covers::HostAndServices } else { Covers::ObjectOnly },
        kind: kind(&form)?,
        triggered_by: trigger(&form, &state)?,
        spread: spread(&form, &target)?,
        target,
        start,
        end,
        author: Arc::clone(&session.user),
        comment,
    };
    act_all(&state, &session, windows(request, &form, &state)?, &back, "downtime").await
}

fn kind(form: &DowntimeForm) -> Result<DowntimeKind, Refusal> {
    let text = form.duration.trim();
    if text.is_empty() {
        return Ok(DowntimeKind::Fixed);
    }
    let duration: Span = text.parse().map_err(|error| Refusal::invalid(format!("{error}.")))?;
    if duration <= Span::ZERO || duration > DOWNTIME_MAX {
        return Err(Refusal::invalid("A flexible downtime lasts at least a moment and at most a year."));
    }
    Ok(DowntimeKind::Flexible { duration })
}

fn trigger(form: &DowntimeForm, state: &WebState) -> Result<Option<u64>, Refusal> {
    let text = form.with.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let id = text.parse().ok().filter(|id| state.engine.snapshot().downtimes.contains_key(id));
    id.map(Some).ok_or_else(|| Refusal::invalid("There is no such downtime to begin and end with."))
}

fn spread(form: &DowntimeForm, target: &ObjectKey) -> Result<Spread, Refusal> {
    let spread = match form.children.as_str() {
        "same" => Spread::Descendants,
        "triggered" => Spread::TriggeredDescendants,
        _ => return Ok(Spread::TargetOnly),
    };
    if target.service.is_some() || form.services == "only" {
        return Err(Refusal::invalid("Hosts behind it: only a downtime of a host itself may include them."));
    }
    Ok(spread)
}

/// What is to be planned: the request, or the same for each service of its host.
fn windows(request: DowntimeRequest, form: &DowntimeForm, state: &WebState) -> Result<Vec<Command>, Refusal> {
    if request.target.service.is_some() || form.services != "only" {
        return Ok(vec![Command::ScheduleDowntime(request)]);
    }
    let snapshot = state.engine.snapshot();
    let catalog = &snapshot.catalog;
    let host = catalog.host_id(&request.target.host).map(|id| &catalog.hosts[id.index()]);
    let services = host.map_or(&[][..], |host| &host.services);
    if services.is_empty() {
        return Err(Refusal::invalid("There is no such host, or it has no services."));
    }
    let window = |id: &ServiceId| {
        let target = catalog.object_key(ObjectId::Service(*id));
        Command::ScheduleDowntime(DowntimeRequest { target, ..request.clone() })
    };
    Ok(services.iter().map(window).collect())
}

pub async fn ack_host(
    State(state): State<WebState>,
    session: Session,
    Path(host): Path<String>,
    Form(form): Form<AckForm>,
) -> Answer {
    ack_object(state, session, host_key(host), form).await
}

pub async fn ack_service(
    State(state): State<WebState>,
    session: Session,
    Path(names): Path<(String, String)>,
    Form(form): Form<AckForm>,
) -> Answer {
    ack_object(state, session, service_key(names), form).await
}

pub async fn unack_host(State(state): State<WebState>, session: Session, Path(host): Path<String>) -> Answer {
    unack_object(state, session, host_key(host)).await
}

pub async fn unack_service(
    State(state): State<WebState>,
    session: Session,
    Path(names): Path<(String, String)>,
) -> Answer {
    unack_object(state, session, service_key(names)).await
}

pub async fn check_host(State(state): State<WebState>, session: Session, Path(host): Path<String>) -> Answer {
    check_object(state, session, host_key(host)).await
}

pub async fn check_service(
    State(state): State<WebState>,
    session: Session,
    Path(names): Path<(String, String)>,
) -> Answer {
    check_object(state, session, service_key(names)).await
}

pub async fn plan_host(
    State(state): State<WebState>,
    session: Session,
    Path(host): Path<String>,
    Form(form): Form<DowntimeForm>,
) -> Answer {
    plan(state, session, host_key(host), form).await
}

pub async fn plan_service(
    State(state): State<WebState>,
    session: Session,
    Path(names): Path<(String, String)>,
    Form(form): Form<DowntimeForm>,
) -> Answer {
    plan(state, session, service_key(names), form).await
}

/// POST `/downtimes`: the target is in the form.
pub async fn plan_any(State(state): State<WebState>, session: Session, Form(form): Form<DowntimeForm>) -> Answer {
    let target = match form.service.trim() {
        "" => host_key(form.host.trim().to_owned()),
        service => service_key((form.host.trim().to_owned(), service.to_owned())),
    };
    plan(state, session, target, form).await
}

pub async fn cancel(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<u64>,
    Form(form): Form<BackForm>,
) -> Answer {
    let back = if form.back.is_empty() { "/c/all/downtimes" } else { &form.back };
    let command = Command::CancelDowntime { id, by: Arc::clone(&session.user) };
    act(&state, &session, command, back, "cancelled").await
}
