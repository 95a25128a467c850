//! `/traps`: SNMP traps that came in lately, and what became of each.

use std::net::IpAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::extract::InQuery;
use super::{ListQuery, dto, json};
use crate::traps::board::Seen;
use crate::web::WebState;
use crate::web::auth::Session;

#[derive(Serialize)]
struct Item<'a> {
    at: String,
    from: Option<IpAddr>,
    host: Option<&'a str>,
    trap: &'a str,
    outcome: &'static str,
    rule: Option<&'a str>,
    text: &'a str,
}

impl<'a> Item<'a> {
    fn of(seen: &'a Seen) -> Item<'a> {
        Item {
            at: seen.at.to_rfc3339(),
            from: seen.from,
            host: seen.host.as_deref(),
            trap: &seen.trap,
            outcome: seen.fate.word(),
            rule: seen.rule.as_deref(),
            text: &seen.text,
        }
    }
}

/// The newest first.
pub async fn list(State(state): State<WebState>, _session: Session, InQuery(query): InQuery<ListQuery>) -> Response {
    let newest = state.traps.newest();
    let items: Vec<Item<'_>> = newest.iter().take(query.limit()).map(|seen| Item::of(seen)).collect();
    json(StatusCode::OK, &dto::List { seq: state.engine.snapshot().seq, items, next: None })
}
