//! `/notify/test`: a message through the real outbox and notifiers of a contact, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use stentor_core::engine::{Command, Reply};
use tokio::time::Instant;

use super::extract::{IdempotencyKey, InJson};
use super::json;
use crate::store::OutboxEnd;
use crate::web::WebState;
use crate::web::auth::{Role, Session};
use crate::web::problem::Problem;

/// Below the patience of the client on the command line.
const WAIT_MAX: Duration = Duration::from_secs(25);
/// Looks again without being woken: an event may be missed by a slow reader.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    contact: String,
    #[serde(default)]
    channel: Option<String>,
    /// Seconds to wait for the outcome; 25 at most and if left out.
    #[serde(default)]
    wait: Option<u64>,
}

#[derive(Debug, Serialize)]
struct TestAnswer {
    contact: String,
    results: Vec<TestResult>,
}

#[derive(Debug, Serialize)]
struct TestResult {
    key: Arc<str>,
    channel: Option<String>,
    /// `accepted`, `failed`, `pending`
    outcome: &'static str,
    /// The receiver's receipt, or the error.
    text: Option<String>,
}

pub async fn notify(
    State(state): State<WebState>,
    session: Session,
    id: IdempotencyKey,
    InJson(request): InJson<TestRequest>,
) -> Result<Response, Problem> {
    session.require(Role::Operator)?;
    let wait = request.wait.map_or(WAIT_MAX, Duration::from_secs).min(WAIT_MAX);
    let deadline = Instant::now() + wait;
    // Before the command, so that no outcome falls between.
    let mut turns = state.engine.watch();
    let command = Command::TestContact {
        contact: request.contact.as_str().into(),
        channel: request.channel.as_deref().map(Arc::from),
        by: session.user,
    };
    let keys = match state.engine.command(command, id.id()).await? {
        Reply::TestsSent(keys) => keys,
        Reply::Repeated | Reply::Done | Reply::DowntimeScheduled(_) | Reply::CommentAdded(_) | Reply::Run(_) => {
            return Err(Problem::new(StatusCode::CONFLICT, "conflict", "this test was asked for before"));
        }
    };
    let mut ends: Vec<Option<OutboxEnd>> = vec![None; keys.len()];
    loop {
        for (key, end) in keys.iter().zip(&mut ends).filter(|(_, end)| end.is_none()) {
            *end = state.store.outbox_end(key).await?;
        }
        if ends.iter().all(Option::is_some) || Instant::now() >= deadline {
            break;
        }
        let look = deadline.min(Instant::now() + LOOK_EVERY);
        tokio::select! {
            _ = turns.recv() => {}
            () = tokio::time::sleep_until(look) => {}
        }
    }
    let results = keys.into_iter().zip(ends).map(|(key, end)| result(key, end)).collect();
    Ok(json(StatusCode::OK, &TestAnswer { contact: request.contact, results }))
}

fn result(key: Arc<str>, end: Option<OutboxEnd>) -> TestResult {
    // The last part of a key is its channel.
    let channel = key.rsplit('/').next().map(str::to_owned);
    match end {
        None => TestResult { key, channel, outcome: "pending", text: None },
        Some(end) => {
            let outcome = if end.sent { "accepted" } else { "failed" };
            TestResult { key, channel, outcome, text: Some(end.text) }
        }
    }
}
