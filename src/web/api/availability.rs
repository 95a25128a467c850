//! `/availability`, `/core` and `/pairs`: how services stand, stood, and who sees whom.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use stentor_core::Span;
use stentor_core::availability::Redundancy;
use stentor_core::availability::history::{Downtimes, Subject};
use stentor_core::availability::pairs::ZonePairs;
use stentor_core::diagnosis::CoreState;
use stentor_core::snapshot::Snapshot;
use stentor_core::whatif::{self, World};

use super::extract::{InJson, InQuery};
use super::{dto, json};
use crate::web::WebState;
use crate::web::auth::Session;
use crate::web::availability::{Report, Service, Wanted, Window, pairs_of, report};
use crate::web::problem::Problem;
use crate::web::words::nearest;

/// Changes of a Core that `/core` carries.
const CORE_CHANGES_MAX: usize = 50;
/// Things that one what-if assumes at once.
const ASSUMED_MAX: usize = 100;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AvailabilityQuery {
    window: Option<String>,
    downtimes: Option<String>,
}

impl AvailabilityQuery {
    fn wanted(&self, state: &WebState) -> Result<Wanted, Problem> {
        let window = match self.window.as_deref() {
            None => Window::Month,
            Some(word) => {
                Window::read(word).ok_or_else(|| Problem::invalid("`window` is day, week, month or quarter"))?
            }
        };
        let downtimes = match self.downtimes.as_deref() {
            None | Some("leave_out") => Downtimes::LeftOut,
            Some("count") => Downtimes::Count,
            Some(_) => return Err(Problem::invalid("`downtimes` is leave_out or count")),
        };
        Ok(Wanted { window, downtimes, now: state.clock.now() })
    }
}

#[derive(Serialize)]
struct Item<'a> {
    kind: &'static str,
    name: &'a str,
    display: &'a str,
    cloud: Option<&'a str>,
    state: &'static str,
    since: Option<String>,
    planned: bool,
    because: &'a [String],
    words: &'a [String],
    redundancy: Option<Redundancy>,
    expression: Option<&'a str>,
    slo: Option<f64>,
    from: Option<String>,
    to: Option<String>,
    percent: Option<f64>,
    seconds: Seconds,
    outages: usize,
    /// Numbers of live incidents that take it down or degrade it.
    hit_by: Vec<u64>,
    budget: Option<BudgetItem>,
    stretches: Vec<StretchItem<'a>>,
}

#[derive(Serialize)]
struct Seconds {
    available: f64,
    degraded: f64,
    unavailable: f64,
    planned: f64,
    unknown: f64,
}

#[derive(Serialize)]
struct BudgetItem {
    allowed_s: f64,
    used_s: f64,
    left_s: f64,
}

#[derive(Serialize)]
struct StretchItem<'a> {
    from: Option<String>,
    to: Option<String>,
    state: &'static str,
    planned: bool,
    because: &'a str,
}

fn seconds(span: Span) -> f64 {
    span.as_secs_f64()
}

fn item<'a>(snapshot: &Snapshot, report: &Report, service: &'a Service) -> Item<'a> {
    let times = &service.times;
    Item {
        kind: match service.subject {
            Subject::Core => "core",
            Subject::Business => "business",
        },
        name: &service.name,
        display: &service.display,
        cloud: service.cloud.as_deref(),
        state: service.state.as_str(),
        since: dto::time(service.since),
        planned: service.planned,
        because: &service.because,
        words: &service.words,
        redundancy: service.redundancy,
        expression: service.expression.as_deref(),
        slo: service.slo,
        from: dto::time(report.from),
        to: dto::time(report.wanted.now),
        percent: service.percent,
        seconds: Seconds {
            available: seconds(times.available),
            degraded: seconds(times.degraded),
            unavailable: seconds(times.unavailable),
            planned: seconds(times.planned),
            unknown: seconds(times.unknown),
        },
        outages: service.outages,
        hit_by: service.hit_by(snapshot),
        budget: service.budget.map(|budget| BudgetItem {
            allowed_s: seconds(budget.allowed),
            used_s: seconds(budget.used),
            left_s: budget.left_ms() as f64 / 1000.0,
        }),
        stretches: service
            .stretches
            .iter()
            .map(|stretch| StretchItem {
                from: dto::time(stretch.from),
                to: dto::time(stretch.to),
                state: stretch.state.as_str(),
                planned: stretch.planned,
                because: &stretch.because,
            })
            .collect(),
    }
}

pub async fn list(
    Extract(state): Extract<WebState>,
    _session: Session,
    InQuery(query): InQuery<AvailabilityQuery>,
) -> Result<Response, Problem> {
    let wanted = query.wanted(&state)?;
    let snapshot = state.engine.snapshot();
    let report = report(&state.store, &snapshot, wanted).await;
    if let Some(why) = report.unreadable {
        return Err(Problem::unavailable(why));
    }
    let items: Vec<Item<'_>> = report.services.iter().map(|service| item(&snapshot, &report, service)).collect();
    Ok(json(StatusCode::OK, &dto::List { seq: snapshot.seq, items, next: None }))
}

#[derive(Serialize)]
struct CoreItem<'a> {
    cloud: &'a str,
    state: &'static str,
    since: Option<String>,
    /// `full`, or `lost` when some piece of the Core has no spare left.
    redundancy: &'static str,
    because: &'a [String],
    planned: bool,
    expression: Option<&'a str>,
    /// The smallest set of failed pieces.
    pieces: &'a [String],
    survives: Option<Redundancy>,
    /// Newest first; `null` while the database does not answer.
    history: Option<Vec<ChangeItem<'a>>>,
}

#[derive(Serialize)]
struct ChangeItem<'a> {
    at: Option<String>,
    state: &'static str,
    planned: bool,
    because: &'a str,
}

pub async fn core(Extract(state): Extract<WebState>, _session: Session) -> Response {
    let snapshot = state.engine.snapshot();
    let wanted = Wanted { window: Window::Month, downtimes: Downtimes::LeftOut, now: state.clock.now() };
    let report = report(&state.store, &snapshot, wanted).await;
    let cores = report.services.iter().filter(|service| service.subject == Subject::Core);
    let items = cores.zip(snapshot.clouds.iter()).map(|(service, status)| CoreItem {
        cloud: &service.name,
        state: CoreState::from(service.state).as_str(),
        since: dto::time(service.since),
        redundancy: if status.diagnosis.redundancy_lost { "lost" } else { "full" },
        because: &service.words,
        planned: service.planned,
        expression: service.expression.as_deref(),
        pieces: &service.because,
        survives: service.redundancy,
        history: report.unreadable.is_none().then(|| {
            let newest = service.changes.iter().take(CORE_CHANGES_MAX);
            newest
                .map(|change| ChangeItem {
                    at: dto::time(change.at),
                    state: change.state.as_str(),
                    planned: change.planned,
                    because: &change.because,
                })
                .collect()
        }),
    });
    let items: Vec<CoreItem<'_>> = items.collect();
    json(StatusCode::OK, &dto::List { seq: snapshot.seq, items, next: None })
}

#[derive(Serialize)]
struct PairsItem<'a> {
    cloud: &'a str,
    zones: Vec<ZonePairs>,
}

pub async fn all_pairs(Extract(state): Extract<WebState>, _session: Session) -> Response {
    let snapshot = state.engine.snapshot();
    let items: Vec<PairsItem<'_>> =
        pairs_of(&snapshot).into_iter().map(|(cloud, zones)| PairsItem { cloud, zones }).collect();
    json(StatusCode::OK, &dto::List { seq: snapshot.seq, items, next: None })
}

/// What to assume, on which world.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    #[serde(default)]
    assume: Vec<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    world: Which,
}

#[derive(Copy, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    #[default]
    Healthy,
    Present,
}

pub async fn what_if(
    Extract(state): Extract<WebState>,
    _session: Session,
    InJson(question): InJson<Question>,
) -> Result<Response, Problem> {
    if question.all != question.assume.is_empty() {
        return Err(Problem::invalid("give `assume` with what fails, or `all`: true"));
    }
    if question.assume.len() > ASSUMED_MAX {
        return Err(Problem::invalid(format!("at most {ASSUMED_MAX} things fail at once")));
    }
    let snapshot = state.engine.snapshot();
    let elements = question.assume.iter().map(|text| whatif::Element::parse(text)).collect::<Result<Vec<_>, _>>();
    let elements = elements.map_err(|error| refused(&error))?;
    // Hundreds of diagnoses: not on a thread that others wait for.
    let answers = tokio::task::spawn_blocking(move || {
        let world = match question.world {
            Which::Healthy => World::healthy(&snapshot.catalog, snapshot.at),
            Which::Present => World::present(&snapshot),
        };
        let answers = if question.all { Ok(world.ask_all()) } else { world.ask(&elements).map(|answer| vec![answer]) };
        answers.map(|items| (snapshot.seq, items))
    });
    let (seq, items) = match answers.await {
        Ok(answers) => answers.map_err(|error| refused(&error))?,
        Err(error) => {
            tracing::error!(error = %error, "a what-if did not end");
            return Err(Problem::unavailable("the answer could not be computed"));
        }
    };
    Ok(json(StatusCode::OK, &dto::List { seq, items, next: None }))
}

fn refused(error: &whatif::UnknownElement) -> Problem {
    match error {
        whatif::UnknownElement::Form(_) => Problem::invalid(error.to_string()),
        whatif::UnknownElement::Name { name, known, .. } => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let help = nearest(name, &known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Problem::invalid(format!("{error}{help}"))
        }
    }
}
