//! `/history`: what happened, newest first, from the store.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use stentor_core::Timestamp;

use super::extract::InQuery;
use super::{LIMIT_DEFAULT, LIMIT_MAX, dto, json};
use crate::store;
use crate::web::WebState;
use crate::web::auth::Session;
use crate::web::problem::Problem;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct HistoryQuery {
    host: Option<String>,
    service: Option<String>,
    incident: Option<u64>,
    since: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

pub async fn list(
    State(state): State<WebState>,
    _session: Session,
    InQuery(query): InQuery<HistoryQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let since = match &query.since {
        None => None,
        Some(text) => Some(Timestamp::from_rfc3339(text).map_err(|e| Problem::invalid(format!("`since`: {e}")))?),
    };
    let before = query.after.as_deref().map(parse_cursor).transpose()?;
    let wanted = store::HistoryQuery {
        host: query.host,
        service: query.service,
        incident: query.incident,
        since,
        availability: false,
        before,
        // One more than asked for tells whether there is a next page.
        limit: u32::try_from(limit + 1).unwrap_or(u32::MAX),
    };
    let mut rows = state.store.history(&wanted).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| format!("{}.{}", row.seq, row.ordinal));
    let items: Vec<_> = rows.iter().map(dto::HistoryItem::from).collect();
    Ok(json(StatusCode::OK, &dto::List { seq: state.engine.snapshot().seq, items, next }))
}

fn parse_cursor(text: &str) -> Result<(u64, u32), Problem> {
    let parts = text.split_once('.').and_then(|(seq, ordinal)| Some((seq.parse().ok()?, ordinal.parse().ok()?)));
    parts.ok_or_else(|| Problem::invalid("`after` must be the `next` of an earlier answer"))
}
