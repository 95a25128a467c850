//! `/api/v1`: what pages can do, for programs. Reads snapshots; writes only by commands and results.

pub mod availability;
pub mod classify;
pub mod cloud;
pub mod commands;
pub mod design;
pub mod downtimes;
pub mod drills;
pub mod dto;
pub mod extract;
pub mod history;
pub mod incidents;
pub mod ingest;
pub mod matrix;
pub mod objects;
pub mod run_dto;
pub mod runs;
pub mod select;
pub mod topology;
pub mod traps;
pub mod trial;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::{Deserialize, Serialize};

use super::WebState;
use super::problem::Problem;

/// Acknowledgements, downtimes, notes.
const SMALL_BYTES_MAX: usize = 64 * 1024;
/// A push of one agent or one bulk of passive results or commands.
const BULK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Items of a list unless asked otherwise, and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// The hand-written description of everything below.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

pub fn routes() -> Router<WebState> {
    let bulk = Router::new()
        .route("/api/v1/commands", post(commands::submit))
        .route("/api/v1/results", post(ingest::results))
        .route("/api/v1/classify", post(classify::classify))
        .route("/api/v1/agent/results", post(ingest::agent_results))
        .layer(DefaultBodyLimit::max(BULK_BYTES_MAX));
    Router::new()
        .route("/api/v1/incidents", get(incidents::list))
        .route("/api/v1/incidents/{number}", get(incidents::one))
        .route("/api/v1/incidents/{number}/ack", post(incidents::ack).delete(incidents::unack))
        .route("/api/v1/incidents/{number}/notes", post(incidents::note))
        .route("/api/v1/hosts", get(objects::hosts))
        .route("/api/v1/hosts/{host}", get(objects::one))
        .route("/api/v1/hosts/{host}/notifications", get(objects::notices))
        .route("/api/v1/hosts/{host}/services/{service}/notifications", get(objects::notices))
        .route("/api/v1/hosts/{host}/ack", post(objects::ack).delete(objects::unack))
        .route("/api/v1/hosts/{host}/check", post(objects::check))
        .route("/api/v1/services", get(objects::services))
        .route("/api/v1/hosts/{host}/services/{service}", get(objects::one))
        .route("/api/v1/hosts/{host}/services/{service}/ack", post(objects::ack).delete(objects::unack))
        .route("/api/v1/hosts/{host}/services/{service}/check", post(objects::check))
        .route("/api/v1/downtimes", get(downtimes::list).post(downtimes::schedule))
        .route("/api/v1/downtimes/{id}", delete(downtimes::cancel))
        .route("/api/v1/drills", get(drills::list).post(drills::record))
        .route("/api/v1/matrix", get(matrix::list))
        .route("/api/v1/design", get(design::list))
        .route("/api/v1/topology", get(topology::show))
        .route("/api/v1/components", get(cloud::components))
        .route("/api/v1/core", get(availability::core))
        .route("/api/v1/availability", get(availability::list))
        .route("/api/v1/pairs", get(availability::all_pairs))
        .route("/api/v1/what-if", post(availability::what_if))
        .route("/api/v1/counts", get(cloud::counts))
        .route("/api/v1/incidents/{number}/run", post(runs::start))
        .route("/api/v1/runbooks", get(runs::runbooks))
        .route("/api/v1/runbooks/{id}", get(runs::runbook))
        .route("/api/v1/runbooks/{id}/run", post(runs::start_procedure))
        .route("/api/v1/runs", get(runs::list))
        .route("/api/v1/runs/{run}", get(runs::one))
        .route("/api/v1/runs/{run}/finish", post(runs::finish))
        .route("/api/v1/runs/{run}/abort", post(runs::abort))
        .route("/api/v1/runs/{run}/steps/{step}/{action}", post(runs::step))
        .route("/api/v1/audit", get(runs::audit))
        .route("/api/v1/history", get(history::list))
        .route("/api/v1/traps", get(traps::list))
        .route("/api/v1/notify/test", post(trial::notify))
        .route("/api/v1/agent/checks", get(ingest::agent_checks))
        .route("/api/v1/agent/orders/{id}", post(ingest::agent_order))
        .route("/api/v1/openapi.json", get(openapi))
        .layer(DefaultBodyLimit::max(SMALL_BYTES_MAX))
        .merge(bulk)
        .route("/api/{*rest}", axum::routing::any(no_route))
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn no_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-route", "the API has no such path; see /api/v1/openapi.json")
}

/// `?q=&limit=&after=` of every list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    pub q: String,
    pub limit: Option<usize>,
    pub after: Option<String>,
}

impl ListQuery {
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
    }
}

/// Answers as they are now: never from a cache.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (status, headers, bytes).into_response()
        }
        Err(error) => {
            tracing::error!(error = %error, "an answer could not be written as JSON");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer could not be written as JSON")
                .into_response()
        }
    }
}

/// Takes one page of what `rows` gives; `cursor` names the last row taken.
pub(crate) fn page<R, T>(
    seq: u64,
    limit: usize,
    rows: impl Iterator<Item = R>,
    cursor: impl Fn(&R) -> String,
    item: impl Fn(&R) -> T,
) -> dto::List<T> {
    let mut rows = rows.peekable();
    let mut items = Vec::new();
    let mut next = None;
    while let Some(row) = rows.next() {
        items.push(item(&row));
        if items.len() == limit {
            next = rows.peek().is_some().then(|| cursor(&row));
            break;
        }
    }
    dto::List { seq, items, next }
}
