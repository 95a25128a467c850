//! `/healthz` (the process lives) and `/readyz` (it can do its work), for service managers and load balancers.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::time::timeout;

use super::WebState;

/// A part that does not answer in this time counts as unreachable; balancers ask every few seconds.
const ANSWER_MAX: Duration = Duration::from_secs(2);

pub fn routes() -> Router<WebState> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

async fn healthz() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    seq: u64,
    /// What is missing, in words without names of hosts: this page is public.
    problems: Vec<&'static str>,
}

async fn readyz(State(state): State<WebState>) -> Response {
    let mut problems = Vec::new();
    let (store, writer) =
        tokio::join!(timeout(ANSWER_MAX, state.store.user_count()), timeout(ANSWER_MAX, state.engine.flush()));
    if !matches!(store, Ok(Ok(_))) {
        problems.push("the database does not answer");
    }
    if !matches!(writer, Ok(Ok(_))) {
        problems.push("the engine does not answer");
    }
    let snapshot = state.engine.snapshot();
    // The catalog is the first input of every journal: an empty one is loaded, too.
    if snapshot.seq == 0 {
        problems.push("no configuration is loaded");
    }
    if snapshot.degraded.is_some() {
        problems.push("journal or database cannot be written");
    }
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    super::api::json(status, &Ready { ready: problems.is_empty(), seq: snapshot.seq, problems })
}
