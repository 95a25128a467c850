//! `/c/{cloud}/drills`: what must be tried and when, what was tried and what it took; and the form to record one.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use stentor_core::snapshot::Snapshot;
use stentor_core::{Span, Timestamp};
use stentor_wire::drill::Drill;

use super::actions::Refusal;
use super::shell::{Ctx, Scope, Section, Shell};
use super::{Asked, Scoped, html};
use crate::web::WebState;
use crate::web::auth::Session;
use crate::web::drills::{self, Row, Standing, Wanted};
use crate::web::links::{encode, local_path};
use crate::web::parts::{self as p, Mark};
use crate::web::problem::Problem;
use crate::web::words;

#[derive(Template)]
#[template(path = "drills.html")]
pub struct DrillsPage {
    pub shell: Shell,
    pub sub: String,
    /// Why nothing is known of what was done.
    pub unreadable: Option<String>,
    /// Lines that are no records, in words; empty if there are none.
    pub broken: String,
    pub rows: Vec<DrillRow>,
    pub subjects: Vec<(String, String)>,
    /// What the form is about.
    pub of: String,
    pub at: String,
    pub back: String,
}

#[derive(Clone, Debug)]
pub struct DrillRow {
    pub mark: Mark,
    pub standing: &'static str,
    pub of: String,
    pub title: String,
    pub href: String,
    pub last: Option<Last>,
    pub verified: String,
    pub due: Option<p::When>,
    pub every: String,
    pub owner: String,
    pub service: Option<String>,
}

/// The newest drill.
#[derive(Clone, Debug)]
pub struct Last {
    pub at: p::When,
    pub by: String,
    pub passed: bool,
    pub rto: String,
    pub rpo: String,
    pub note: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct About {
    of: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DrillForm {
    of: String,
    /// `yes` or `no`.
    passed: String,
    rto: String,
    rpo: String,
    at: String,
    by: String,
    note: String,
    back: String,
}

pub async fn show(
    State(state): State<WebState>,
    Scoped { visit, asked }: Scoped,
    Query(about): Query<About>,
) -> Response {
    let records = drills::records(&state).await;
    let shell = shell(&visit, &asked);
    html(&build(visit.ctx(), shell, records, &about.of))
}

fn shell(visit: &super::Visit, asked: &Asked) -> Shell {
    visit.shell(Section::Drills, &[], "", asked)
}

/// Where a cell is told of; empty for a runbook, which has no page of its own.
fn cell_href(scope: &Scope, of: &str) -> String {
    let mut parts = of.splitn(3, '/').skip(1);
    match (parts.next(), parts.next()) {
        (Some(component), Some(kind)) => scope.path(&format!("/matrix/{}/{}", encode(component), encode(kind))),
        (_, _) => String::new(),
    }
}

fn length(seconds: Option<u64>) -> String {
    let told = seconds.map(|seconds| Drill {
        of: String::new(),
        at_s: 0,
        by: String::new(),
        passed: true,
        rto_s: Some(seconds),
        rpo_s: None,
        note: String::new(),
    });
    told.map_or_else(String::new, |drill| drill.figures().trim_start_matches("RTO ").to_owned())
}

impl DrillRow {
    fn build(ctx: Ctx<'_>, row: &Row) -> DrillRow {
        let (mark, standing) = match row.standing {
            Standing::Failed => (Mark::Warn, "last one failed"),
            Standing::Never => (Mark::Warn, "never drilled"),
            Standing::Overdue => (Mark::Warn, "overdue"),
            Standing::Done => (Mark::Ok, "done"),
            Standing::Free => (Mark::Pend, "not asked for"),
        };
        let when = |at_s: i64| p::When { at: Timestamp::from_secs(at_s), now: ctx.now };
        let plan = row.plan.as_ref();
        DrillRow {
            mark,
            standing,
            of: row.of.clone(),
            title: row.title.clone(),
            href: cell_href(ctx.scope, &row.of),
            last: row.last.as_ref().map(|drill| Last {
                at: when(drill.at_s),
                by: drill.by.clone(),
                passed: drill.passed,
                rto: length(drill.rto_s),
                rpo: length(drill.rpo_s),
                note: drill.note.clone(),
            }),
            verified: match (&row.last, &row.passed) {
                (Some(last), Some(passed)) if !last.passed => verified(passed),
                (_, _) => String::new(),
            },
            // What was never restored, or not the last time, is due now.
            due: (row.due_at)
                .filter(|_| !matches!(row.standing, Standing::Failed | Standing::Never))
                .map(|at| p::When { at, now: ctx.now }),
            every: plan.map_or_else(String::new, |plan| period(plan.every)),
            owner: plan.map_or_else(String::new, |plan| plan.owner.clone()),
            service: plan.and_then(|plan| {
                let service = plan.service.service.as_deref()?;
                Some(format!("/h/{}/{}", encode(&plan.service.host), encode(service)))
            }),
        }
    }
}

/// `90 days`: as people agree on it, not in weeks.
fn period(span: Span) -> String {
    let days = span.as_millis() / Span::from_hours(24).as_millis();
    if days < 2 { words::interval(span) } else { format!("{days} days") }
}

/// `verified by drill 2026-11-01 (RTO 12 min)`
fn verified(passed: &Drill) -> String {
    let at = Timestamp::from_secs(passed.at_s).to_rfc3339();
    let day = at.get(..10).unwrap_or(&at);
    match passed.figures().as_str() {
        "" => format!("verified by drill {day}"),
        figures => format!("verified by drill {day} ({figures})"),
    }
}

fn build(ctx: Ctx<'_>, shell: Shell, records: Result<stentor_wire::drill::Records, Problem>, of: &str) -> DrillsPage {
    let (records, unreadable) = match records {
        Ok(records) => (records, None),
        Err(problem) => (Default::default(), Some(words::sentence(&format!("{}.", problem.detail)))),
    };
    let platform = ctx.scope.cloud_id().and_then(|id| ctx.snapshot.catalog.clouds.get(id.index()));
    let in_scope = |row: &&Row| {
        let other = platform.is_some_and(|cloud| cloud.platform != row.platform && !row.platform.is_empty());
        !other || row.plan.is_some()
    };
    let rows = drills::rows(ctx.snapshot, &records, ctx.now, Wanted::Known);
    let rows: Vec<&Row> = rows.iter().filter(in_scope).collect();
    let overdue = rows.iter().filter(|row| row.standing.is_overdue()).count();
    let sub = match (rows.len(), overdue) {
        (0, _) => "A restoration that nobody has tried is a hope.".to_owned(),
        (all, 0) => format!("{}, none overdue.", words::plural(all, "recovery", "recoveries")),
        (all, overdue) => {
            format!("{}, {} overdue.", words::plural(all, "recovery", "recoveries"), words::small(overdue))
        }
    };
    DrillsPage {
        back: ctx.scope.path("/drills"),
        sub,
        unreadable,
        broken: match records.broken {
            0 => String::new(),
            broken => words::plural(broken, "line", "lines"),
        },
        rows: rows.iter().map(|row| DrillRow::build(ctx, row)).collect(),
        subjects: subjects(ctx.snapshot, platform.map(|cloud| &*cloud.platform)),
        of: of.to_owned(),
        at: words::field(ctx.now),
        shell,
    }
}

/// Names of cells and runbooks to pick from, with titles.
fn subjects(snapshot: &Snapshot, platform: Option<&str>) -> Vec<(String, String)> {
    let platforms = snapshot.catalog.platforms.iter();
    // Packs that no cloud is of would hide the others.
    let used = |key: &str| match platform {
        Some(platform) => key == platform,
        None => snapshot.catalog.clouds.iter().any(|cloud| *cloud.platform == *key),
    };
    let chosen = platforms.filter(|known| used(&known.key) || snapshot.catalog.clouds.is_empty());
    let mut subjects = Vec::new();
    for known in chosen {
        subjects.extend(known.cells.iter().map(|cell| (cell.key.to_string(), String::new())));
        subjects.extend(known.runbooks.iter().map(|book| (book.id.to_string(), book.title.to_string())));
    }
    subjects
}

fn seconds(text: &str, what: &str) -> Result<Option<u64>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let span = if text == "0" { Ok(Span::ZERO) } else { text.parse::<Span>() };
    let span = span.ok().and_then(|span| u64::try_from(span.as_millis() / 1000).ok());
    let what = format!("{what} is a length such as 12m or 2h, or 0.");
    span.map(Some).ok_or_else(|| Refusal::invalid(what))
}

/// POST `/drills`.
pub async fn record(
    State(state): State<WebState>,
    session: Session,
    Form(form): Form<DrillForm>,
) -> Result<Response, Refusal> {
    let now = state.clock.now();
    let at = match form.at.trim() {
        "" => now,
        text => words::from_field(text)
            .ok_or_else(|| Refusal::invalid("The end of the drill is no date such as 2026-11-25T22:00."))?,
    };
    let by = form.by.trim();
    let drill = Drill {
        of: form.of.trim().to_owned(),
        at_s: at.as_secs(),
        by: if by.is_empty() { session.user.to_string() } else { by.to_owned() },
        passed: form.passed != "no",
        rto_s: seconds(&form.rto, "The time to restore")?,
        rpo_s: seconds(&form.rpo, "The time of lost data")?,
        note: form.note.trim().to_owned(),
    };
    drills::record(&state, &session, drill, None).await?;
    let back = if form.back.is_empty() { "/drills".to_owned() } else { local_path(&form.back).to_string() };
    Ok(Redirect::to(&format!("{back}?done=drill")).into_response())
}
