//! `/drills`: what recoveries were drilled, which are due; and the record of one more.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use stentor_core::Timestamp;
use stentor_wire::drill::Drill;

use super::extract::{IdempotencyKey, InJson, InQuery};
use super::{dto, json};
use crate::web::WebState;
use crate::web::auth::Session;
use crate::web::drills::{self, Row, Wanted};
use crate::web::problem::Problem;

#[derive(Serialize)]
struct Item<'a> {
    of: &'a str,
    title: &'a str,
    platform: &'a str,
    standing: &'static str,
    overdue: bool,
    due_at: Option<String>,
    every_s: Option<i64>,
    owner: &'a str,
    host: Option<&'a str>,
    service: Option<&'a str>,
    last: Option<Record<'a>>,
    verified_by: Option<Record<'a>>,
}

#[derive(Serialize)]
struct Record<'a> {
    at: String,
    by: &'a str,
    passed: bool,
    rto_s: Option<u64>,
    rpo_s: Option<u64>,
    figures: String,
    note: &'a str,
}

impl<'a> Record<'a> {
    fn of(drill: &'a Drill) -> Record<'a> {
        Record {
            at: Timestamp::from_secs(drill.at_s).to_rfc3339(),
            by: &drill.by,
            passed: drill.passed,
            rto_s: drill.rto_s,
            rpo_s: drill.rpo_s,
            figures: drill.figures(),
            note: &drill.note,
        }
    }
}

impl<'a> Item<'a> {
    fn of(row: &'a Row) -> Item<'a> {
        let plan = row.plan.as_ref();
        Item {
            of: &row.of,
            title: &row.title,
            platform: &row.platform,
            standing: row.standing.as_str(),
            overdue: row.standing.is_overdue(),
            due_at: row.due_at.map(Timestamp::to_rfc3339),
            every_s: plan.map(|plan| plan.every.as_millis() / 1000),
            owner: plan.map_or("", |plan| &plan.owner),
            host: plan.map(|plan| &*plan.service.host),
            service: plan.and_then(|plan| plan.service.service.as_deref()),
            last: row.last.as_ref().map(Record::of),
            verified_by: row.passed.as_ref().map(Record::of),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DrillsQuery {
    all: bool,
}

/// Overdue first.
pub async fn list(
    State(state): State<WebState>,
    _session: Session,
    InQuery(query): InQuery<DrillsQuery>,
) -> Result<Response, Problem> {
    let records = drills::records(&state).await?;
    let snapshot = state.engine.snapshot();
    let wanted = if query.all { Wanted::All } else { Wanted::Known };
    let rows = drills::rows(&snapshot, &records, state.clock.now(), wanted);
    let items: Vec<Item<'_>> = rows.iter().map(Item::of).collect();
    Ok(json(StatusCode::OK, &dto::List { seq: snapshot.seq, items, next: None }))
}

/// What was drilled and what it took.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillRequest {
    cell: Option<String>,
    runbook: Option<String>,
    /// Default: it was restored.
    passed: Option<bool>,
    rto_s: Option<u64>,
    rpo_s: Option<u64>,
    /// When it ended; default: now.
    at: Option<String>,
    /// Who did it; default: whoever records it.
    by: Option<String>,
    #[serde(default)]
    note: String,
}

pub async fn record(
    State(state): State<WebState>,
    session: Session,
    key: IdempotencyKey,
    InJson(request): InJson<DrillRequest>,
) -> Result<Response, Problem> {
    let of = match (request.cell, request.runbook) {
        (Some(cell), None) => cell,
        (None, Some(runbook)) => runbook,
        (Some(_), Some(_)) | (None, None) => return Err(Problem::invalid("give either `cell` or `runbook`")),
    };
    let at = match &request.at {
        None => state.clock.now(),
        Some(text) => Timestamp::from_rfc3339(text).map_err(|error| Problem::invalid(format!("`at`: {error}")))?,
    };
    let drill = Drill {
        of: of.clone(),
        at_s: at.as_secs(),
        by: request.by.unwrap_or_else(|| session.user.to_string()),
        passed: request.passed.unwrap_or(true),
        rto_s: request.rto_s,
        rpo_s: request.rpo_s,
        note: request.note.trim().to_owned(),
    };
    drills::record(&state, &session, drill, key.id()).await?;
    let records = drills::records(&state).await?;
    let rows = drills::rows(&state.engine.snapshot(), &records, state.clock.now(), Wanted::Known);
    let row = rows.iter().find(|row| row.of == of);
    let row = row.ok_or_else(|| Problem::unavailable("the record is kept, and cannot be read back"))?;
    Ok(json(StatusCode::CREATED, &Item::of(row)))
}
