//! Server-rendered pages: one file each builds a view model from a snapshot, one template prints it.
//!
//! Pages never write; forms go through [`actions`]. Everything here works without JavaScript.

pub mod actions;
pub mod availability;
pub mod cell;
pub mod design;
pub mod downtimes;
pub mod drills;
pub mod hosts;
pub mod incident;
pub mod incidents;
pub mod login;
pub mod matrix;
pub mod object;
pub mod overview;
pub mod runbook;
pub mod runbooks;
pub mod services;
pub mod shell;
pub mod time_left;
pub mod topology;
pub mod what_if;

#[cfg(test)]
mod estate_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use stentor_core::Timestamp;
use stentor_core::diagnosis::FailureType;
use stentor_core::id::ObjectId;
use stentor_core::snapshot::Snapshot;

use super::WebState;
use super::assets;
use super::auth::Session;
use super::sse;
use crate::runbook::agents::Agents;
use crate::store::HistoryQuery;
use shell::{Ctx, Scope, Section, Shell};

/// A page waits this long for history or the outbox, then says that it could not read them.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// Changes shown on the page of a service.
const HISTORY_ROWS: u32 = 50;
/// Forms carry a note and a few names.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// Nothing from elsewhere, nothing inline: what a page may load and where its forms may go.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                   form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// All pages, their forms, the assets and the live stream.
pub fn routes() -> Router<WebState> {
    Router::new()
        .route("/", get(root))
        .route("/c/{cloud}", get(show_overview))
        .route("/c/{cloud}/incidents", get(show_incidents))
        .route("/c/{cloud}/matrix", get(show_matrix))
        .route("/c/{cloud}/matrix/{component}/{failure_type}", get(show_cell))
        .route("/design", get(home_design))
        .route("/topology", get(home_topology))
        .route("/c/{cloud}/design", get(show_design))
        .route("/c/{cloud}/topology", get(show_topology))
        .route("/c/{cloud}/hosts", get(show_hosts))
        .route("/c/{cloud}/services", get(show_services))
        .route("/c/{cloud}/downtimes", get(show_downtimes))
        .route("/c/{cloud}/drills", get(drills::show))
        .route("/c/{cloud}/availability", get(availability::show))
        .route("/c/{cloud}/what-if", get(what_if::show))
        .route("/availability", get(|state, session| at_home("/availability", state, session)))
        .route("/what-if", get(|state, session| at_home("/what-if", state, session)))
        .route("/i/{number}", get(show_incident))
        .route("/i/{number}/ack", post(actions::ack_incident).get(incident_again))
        .route("/i/{number}/unack", post(actions::unack_incident).get(incident_again))
        .route("/i/{number}/note", post(actions::note_incident).get(incident_again))
        .route("/i/{number}/run", post(runbook::start).get(incident_again))
        .route("/runbooks", get(runbooks::list))
        .route("/runbooks/{id}", get(runbooks::show))
        .route("/runbooks/{id}/start", post(runbooks::start).get(runbooks::again))
        .route("/runs/{number}", get(runbook::show))
        .route("/runs/{number}/act", post(runbook::act).get(runbook::again))
        .route("/h/{host}", get(show_host))
        .route("/h/{host}/{service}", get(show_service))
        // A service may be called like one of these verbs: reading it stays possible.
        .route("/h/{host}/ack", post(actions::ack_host).get(|s, u, p, a| named("ack", s, u, p, a)))
        .route("/h/{host}/unack", post(actions::unack_host).get(|s, u, p, a| named("unack", s, u, p, a)))
        .route("/h/{host}/downtime", post(actions::plan_host).get(|s, u, p, a| named("downtime", s, u, p, a)))
        .route("/h/{host}/check", post(actions::check_host).get(|s, u, p, a| named("check", s, u, p, a)))
        .route("/h/{host}/{service}/ack", post(actions::ack_service))
        .route("/h/{host}/{service}/unack", post(actions::unack_service))
        .route("/h/{host}/{service}/downtime", post(actions::plan_service))
        .route("/h/{host}/{service}/check", post(actions::check_service))
        .route("/drills", post(drills::record).get(|state, session| at_home("/drills", state, session)))
        .route("/downtimes", post(actions::plan_any))
        .route("/downtimes/{id}/cancel", post(actions::cancel))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn(as_page))
        .merge(sse::routes())
        .route("/static/{name}", get(assets::serve))
        .layer(middleware::from_fn(security_headers))
}

/// Security headers for everything that a browser shows.
pub async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Same-origin and not none: filters in addresses stay here, and forms keep their origin.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("permissions-policy", HeaderValue::from_static("camera=(), geolocation=(), microphone=()"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        // States of a minute ago must not come back with the back button as if they were current.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Refusals made for programs become pages for people.
pub async fn as_page(request: Request, next: Next) -> Response {
    /// Problem details are a few lines.
    const PROBLEM_BYTES_MAX: usize = 64 * 1024;
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_page = kind.starts_with(b"text/html");
    if !(status.is_client_error() || status.is_server_error()) || is_page {
        return response;
    }
    let is_problem = kind.starts_with(b"application/problem+json");
    let body = axum::body::to_bytes(response.into_body(), PROBLEM_BYTES_MAX).await.unwrap_or_default();
    let what = match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(problem) if is_problem => problem.get("detail").and_then(|detail| detail.as_str()).map(str::to_owned),
        _ => std::str::from_utf8(&body).ok().filter(|text| !text.is_empty()).map(str::to_owned),
    };
    let what = what.unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason was given").to_owned());
    let what = format!("{}.", super::words::sentence(what.trim_end_matches('.')));
    (status, Html(login::refusal(status, &what))).into_response()
}

/// The parameters that pages read; unknown ones are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    after: Option<String>,
    done: Option<String>,
    host: String,
}

/// What every page starts from.
pub struct Visit {
    pub snapshot: Arc<Snapshot>,
    agents: Arc<Agents>,
    pub now: Timestamp,
    pub scope: Scope,
    session: Session,
    /// The demo has pages of its own.
    is_demo: bool,
}

impl Visit {
    fn at(state: &WebState, session: Session, cloud: &str) -> Result<Visit, Missing> {
        let snapshot = state.engine.snapshot();
        let Some(scope) = Scope::find(&snapshot, cloud) else {
            return Err(missing(&format!("No cloud is called “{cloud}”.")));
        };
        Ok(Visit {
            now: state.clock.now(),
            scope,
            session,
            snapshot,
            agents: Arc::clone(&state.agents),
            is_demo: state.demo.is_some(),
        })
    }

    /// For pages that belong to no cloud.
    pub fn home(state: &WebState, session: Session) -> Visit {
        let snapshot = state.engine.snapshot();
        let scope = Scope::home(&snapshot);
        Visit {
            now: state.clock.now(),
            scope,
            session,
            snapshot,
            agents: Arc::clone(&state.agents),
            is_demo: state.demo.is_some(),
        }
    }

    pub fn ctx(&self) -> Ctx<'_> {
        Ctx {
            snapshot: &self.snapshot,
            agents: &self.agents,
            now: self.now,
            scope: &self.scope,
            me: &self.session.user,
        }
    }

    fn shell(&self, section: Section, live: &[&str], more: &str, asked: &Asked) -> Shell {
        self.bare_shell(section, live, more).after(asked.done.as_deref())
    }

    /// Without a word on what was done before.
    pub fn bare_shell(&self, section: Section, live: &[&str], more: &str) -> Shell {
        let shell = Shell::build(self.ctx(), &self.session, section, live, more);
        if self.is_demo { shell.with_demo(section == Section::Demo) } else { shell }
    }
}

/// A page that says what is not there.
struct Missing(String);

impl IntoResponse for Missing {
    fn into_response(self) -> Response {
        (StatusCode::NOT_FOUND, Html(login::refusal(StatusCode::NOT_FOUND, &self.0))).into_response()
    }
}

fn missing(what: &str) -> Missing {
    Missing(what.to_owned())
}

/// A page as an answer.
pub fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "a page could not be printed");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            (status, Html(login::refusal(status, "The page could not be printed."))).into_response()
        }
    }
}

/// The filter as a further parameter of the stream.
fn live_query(asked: &Asked) -> String {
    let mut more = String::new();
    if !asked.q.is_empty() {
        more.push_str(&format!("&q={}", super::links::encode(&asked.q)));
    }
    if let Some(after) = &asked.after {
        more.push_str(&format!("&after={}", super::links::encode(after)));
    }
    more
}

/// A page of one cloud, or of all: whose session, which cloud, what was asked.
pub struct Scoped {
    visit: Visit,
    asked: Asked,
}

impl FromRequestParts<WebState> for Scoped {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Scoped, Response> {
        let session = Session::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let cloud = Path::<String>::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let asked = Query::<Asked>::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let visit = Visit::at(state, session, &cloud).map_err(IntoResponse::into_response)?;
        Ok(Scoped { visit, asked: asked.0 })
    }
}

async fn root(State(state): State<WebState>, _session: Session) -> Redirect {
    Redirect::to(&Scope::home(&state.engine.snapshot()).path(""))
}

/// A page of the only cloud, or of all.
async fn at_home(rest: &'static str, State(state): State<WebState>, _session: Session) -> Redirect {
    Redirect::to(&Scope::home(&state.engine.snapshot()).path(rest))
}

async fn show_overview(Scoped { visit, asked }: Scoped) -> Response {
    // Without a cloud the overview lists what is watched instead.
    let mut live = vec!["core", "incidents", "risk", "matrix", "sites"];
    if visit.snapshot.catalog.clouds.is_empty() {
        live.extend(["hosts", "services"]);
    }
    let shell = visit.shell(Section::Overview, &live, "", &asked);
    html(&overview::build(visit.ctx(), shell))
}

async fn show_incidents(Scoped { visit, asked }: Scoped) -> Response {
    let shell = visit.shell(Section::Incidents, &["unhandled", "handled"], &live_query(&asked), &asked);
    html(&incidents::build(visit.ctx(), shell, &asked.q))
}

async fn show_matrix(Scoped { visit, asked }: Scoped) -> Response {
    let shell = visit.shell(Section::Matrix, &["fullmatrix"], "", &asked);
    html(&matrix::build(visit.ctx(), shell))
}

async fn show_cell(
    State(state): State<WebState>,
    session: Session,
    Path((cloud, component, failure_type)): Path<(String, String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Missing> {
    let visit = Visit::at(&state, session, &cloud)?;
    let kind = FailureType::ALL.into_iter().find(|known| known.as_str() == failure_type);
    let Some(kind) = kind else {
        return Err(missing("A cell is about software, server or resource."));
    };
    // In the scope of all clouds the first cloud with such a component is meant.
    let found = overview::clouds_of(visit.ctx()).into_iter().find_map(|id| {
        let shell = visit.shell(Section::Matrix, &[], "", &asked);
        cell::build(visit.ctx(), shell, id, &component, kind)
    });
    match found {
        Some(page) => Ok(html(&page)),
        None => Err(missing(&format!("No platform here has a component “{component}”."))),
    }
}

async fn home_design(State(state): State<WebState>, _session: Session) -> Redirect {
    Redirect::to(&Scope::home(&state.engine.snapshot()).path("/design"))
}

async fn home_topology(State(state): State<WebState>, _session: Session) -> Redirect {
    Redirect::to(&Scope::home(&state.engine.snapshot()).path("/topology"))
}

async fn show_design(Scoped { visit, asked }: Scoped) -> Response {
    let shell = visit.shell(Section::Design, &["design"], "", &asked);
    html(&design::build(visit.ctx(), shell))
}

async fn show_topology(Scoped { visit, asked }: Scoped) -> Response {
    let shell = visit.shell(Section::Topology, &["topology"], "", &asked);
    html(&topology::build(visit.ctx(), shell))
}

async fn show_hosts(Scoped { visit, asked }: Scoped) -> Response {
    let shell = visit.shell(Section::Hosts, &["hosts"], &live_query(&asked), &asked);
    html(&hosts::build(visit.ctx(), shell, &asked.q, asked.after.as_deref()))
}

async fn show_services(Scoped { visit, asked }: Scoped) -> Response {
    let shell = visit.shell(Section::Services, &["services"], &live_query(&asked), &asked);
    html(&services::build(visit.ctx(), shell, &asked.q, asked.after.as_deref()))
}

async fn show_downtimes(Scoped { visit, asked }: Scoped) -> Response {
    let shell = visit.shell(Section::Downtimes, &[], "", &asked);
    html(&downtimes::build(visit.ctx(), shell, &asked.host))
}

/// A GET of a form's target (a reload after an error) leads to the incident and does nothing.
async fn incident_again(Path(number): Path<u64>) -> Redirect {
    Redirect::to(&format!("/i/{number}"))
}

async fn show_incident(
    State(state): State<WebState>,
    session: Session,
    Path(number): Path<u64>,
    Query(asked): Query<Asked>,
) -> Result<Response, Missing> {
    let snapshot = state.engine.snapshot();
    let Some(found) = snapshot.incidents.get(&number).cloned() else {
        let what = format!("There is no INC-{number} any more, or there never was; old ones are in the history only.");
        return Err(missing(&what));
    };
    let scope = found.cloud.as_deref().and_then(|cloud| Scope::find(&snapshot, cloud));
    let scope = scope.unwrap_or_else(|| Scope::home(&snapshot));
    let notices = match tokio::time::timeout(STORE_PATIENCE, state.store.outbox_keys(Some(number))).await {
        Ok(Ok(keys)) => incident::Notices::from_keys(keys),
        Ok(Err(error)) => {
            tracing::warn!(error = %error, incident.id = number, "the outbox could not be read for a page");
            incident::Notices::Unreadable("What was sent cannot be read: the database does not answer.".to_owned())
        }
        Err(_) => incident::Notices::Unreadable("What was sent cannot be read: the database is too slow.".to_owned()),
    };
    let visit = Visit {
        now: state.clock.now(),
        scope,
        session,
        snapshot,
        agents: Arc::clone(&state.agents),
        is_demo: state.demo.is_some(),
    };
    let more = format!("&i={number}");
    let mut live = vec!["head", "left", "cause", "timeline"];
    live.extend(runbook::newest_for(&visit.snapshot, number).map(|_| "run"));
    let shell = visit.shell(Section::Incidents, &live, &more, &asked);
    Ok(html(&incident::build(visit.ctx(), shell, &found, notices)))
}

async fn show_host(
    State(state): State<WebState>,
    session: Session,
    Path(host): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Missing> {
    let snapshot = state.engine.snapshot();
    let Some(id) = snapshot.host(&host) else {
        return Err(missing(&format!("No host is called “{host}”.")));
    };
    show_object(state, session, snapshot, ObjectId::Host(id), asked).await
}

async fn show_service(
    State(state): State<WebState>,
    session: Session,
    Path((host, service)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Missing> {
    let snapshot = state.engine.snapshot();
    let Some(id) = snapshot.service(&host, &service) else {
        return Err(missing(&format!("“{host}” has no service called “{service}”.")));
    };
    show_object(state, session, snapshot, ObjectId::Service(id), asked).await
}

async fn named(
    service: &'static str,
    state: State<WebState>,
    session: Session,
    Path(host): Path<String>,
    asked: Query<Asked>,
) -> Result<Response, Missing> {
    show_service(state, session, Path((host, service.to_owned())), asked).await
}

/// `snapshot` is the one that `object` was found in: ids mean nothing in another.
async fn show_object(
    state: WebState,
    session: Session,
    snapshot: Arc<Snapshot>,
    object: ObjectId,
    asked: Asked,
) -> Result<Response, Missing> {
    let key = snapshot.catalog.object_key(object);
    let query = HistoryQuery {
        host: Some(key.host.to_string()),
        service: key.service.as_ref().map(|service| service.to_string()),
        limit: HISTORY_ROWS,
        ..HistoryQuery::default()
    };
    let now = state.clock.now();
    let history = match tokio::time::timeout(STORE_PATIENCE, state.store.history(&query)).await {
        Ok(Ok(rows)) => object::History::from_rows(&rows, now, key.service.is_none()),
        Ok(Err(error)) => {
            tracing::warn!(error = %error, host.name = %key.host, "history could not be read for a page");
            object::History::Unreadable("History cannot be read: the database does not answer.".to_owned())
        }
        Err(_) => object::History::Unreadable("History cannot be read: the database is too slow.".to_owned()),
    };
    let host = match object {
        ObjectId::Host(host) => host,
        ObjectId::Service(service) => snapshot.catalog.services[service.index()].host,
    };
    let scope = Scope::of_cloud(&snapshot, snapshot.catalog.hosts[host.index()].cloud);
    let section = if key.service.is_some() { Section::Services } else { Section::Hosts };
    let mut more = format!("&h={}", super::links::encode(&key.host));
    if let Some(service) = &key.service {
        more.push_str(&format!("&s={}", super::links::encode(service)));
    }
    let visit =
        Visit { now, scope, session, snapshot, agents: Arc::clone(&state.agents), is_demo: state.demo.is_some() };
    let shell = visit.shell(section, &["state", "output"], &more, &asked);
    Ok(html(&object::build(visit.ctx(), shell, object, history)))
}
