//! `/incidents`: list, one, acknowledge, note.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use stentor_core::Timestamp;
use stentor_core::engine::Command;
use stentor_core::engine::input::Notify;
use stentor_core::model::{Ack, Incident, Sticky};

use super::extract::{IdempotencyKey, InJson, InPath, InQuery};
use super::select::filter;
use super::{ListQuery, dto, json, page};
use crate::nagios::external::COMMENT_BYTES_MAX;
use crate::web::WebState;
use crate::web::auth::{Role, Session};
use crate::web::problem::Problem;
use crate::web::subject::IncidentSubject;

/// Newest first.
pub async fn list(
    State(state): State<WebState>,
    session: Session,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Response, Problem> {
    let snapshot = state.engine.snapshot();
    let after = match &query.after {
        None => u64::MAX,
        Some(text) => parse_number(text)?,
    };
    let filter = filter(&query.q)?;
    let now = state.clock.now();
    let selects = |incident: &&Arc<Incident>| {
        filter.matches(&IncidentSubject { snapshot: &snapshot, incident, now }, &session.user)
    };
    let rows = snapshot.incidents.range(..after).rev().map(|(_, incident)| incident).filter(selects);
    let list = page(
        snapshot.seq,
        query.limit(),
        rows,
        |i| i.number.to_string(),
        |i| dto::Incident::from(&***i).with_time_left(&snapshot, i),
    );
    Ok(json(StatusCode::OK, &list))
}

pub async fn one(
    State(state): State<WebState>,
    _session: Session,
    InPath(number): InPath<String>,
) -> Result<Response, Problem> {
    answer(&state, parse_number(&number)?)
}

pub async fn ack(
    State(state): State<WebState>,
    session: Session,
    InPath(number): InPath<String>,
    key: IdempotencyKey,
    InJson(request): InJson<dto::AckRequest>,
) -> Result<Response, Problem> {
    session.require(Role::Operator)?;
    let number = parse_number(&number)?;
    let (ack, notify) = read_ack(&request, &session.user, state.clock.now())?;
    state.engine.command(Command::AckIncident { number, ack, notify }, key.id()).await?;
    answer(&state, number)
}

pub async fn unack(
    State(state): State<WebState>,
    session: Session,
    InPath(number): InPath<String>,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    session.require(Role::Operator)?;
    let number = parse_number(&number)?;
    state.engine.command(Command::UnackIncident { number, by: session.user }, key.id()).await?;
    answer(&state, number)
}

pub async fn note(
    State(state): State<WebState>,
    session: Session,
    InPath(number): InPath<String>,
    key: IdempotencyKey,
    InJson(request): InJson<dto::NoteRequest>,
) -> Result<Response, Problem> {
    session.require(Role::Operator)?;
    let number = parse_number(&number)?;
    if request.text.trim().is_empty() {
        return Err(Problem::invalid("`text` is empty"));
    }
    let text = comment(&request.text)?;
    state.engine.command(Command::NoteIncident { number, by: session.user, text }, key.id()).await?;
    answer(&state, number)
}

fn answer(state: &WebState, number: u64) -> Result<Response, Problem> {
    let snapshot = state.engine.snapshot();
    let incident = snapshot.incidents.get(&number).ok_or_else(|| Problem::not_found(format!("INC-{number}")))?;
    Ok(json(StatusCode::OK, &dto::Incident::from(&**incident).with_time_left(&snapshot, incident)))
}

/// `17` or `INC-17`.
fn parse_number(text: &str) -> Result<u64, Problem> {
    let digits = text.strip_prefix("INC-").unwrap_or(text);
    digits.parse().map_err(|_| Problem::invalid("an incident is named by its number, such as 17"))
}

/// # Errors
/// It is too long.
pub fn comment(text: &str) -> Result<Arc<str>, Problem> {
    if text.len() > COMMENT_BYTES_MAX {
        return Err(Problem::invalid(format!("comments are at most {COMMENT_BYTES_MAX} bytes")));
    }
    Ok(text.trim().into())
}

/// # Errors
/// `until` is no instant or has passed, or the comment is too long.
pub fn read_ack(request: &dto::AckRequest, by: &Arc<str>, now: Timestamp) -> Result<(Ack, Notify), Problem> {
    let until = match &request.until {
        None => None,
        Some(text) => {
            let until = Timestamp::from_rfc3339(text).map_err(|e| Problem::invalid(format!("`until`: {e}")))?;
            if until <= now {
                return Err(Problem::invalid(format!("`until` {text} has passed")));
            }
            Some(until)
        }
    };
    let ack = Ack {
        by: Arc::clone(by),
        comment: comment(&request.comment)?,
        at: now,
        until,
        sticky: if request.sticky { Sticky::Yes } else { Sticky::No },
    };
    Ok((ack, if request.notify { Notify::Yes } else { Notify::No }))
}
