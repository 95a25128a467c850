//! `/hosts` and `/services`: list, one, acknowledge, check now.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json as value;
use stentor_core::engine::Command;
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::model::ObjectKey;
use stentor_core::snapshot::Snapshot;

use super::extract::{IdempotencyKey, InJson, InPath, InQuery};
use super::incidents::read_ack;
use super::select::filter;
use super::{ListQuery, dto, json, page};
use crate::web::WebState;
use crate::web::auth::{Role, Session};
use crate::web::links::encode;
use crate::web::notices::Notices;
use crate::web::problem::Problem;
use crate::web::subject;

pub async fn hosts(
    State(state): State<WebState>,
    session: Session,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Response, Problem> {
    let snapshot = state.engine.snapshot();
    let start = match &query.after {
        None => 0,
        Some(name) => snapshot.host(name).ok_or_else(lost_cursor)?.index() + 1,
    };
    let filter = filter(&query.q)?;
    let now = state.clock.now();
    let selects = |id: &HostId| filter.matches(&subject::host(&snapshot, *id, now), &session.user);
    let rows = (start..snapshot.hosts.len()).map(HostId::from_index).filter(selects);
    let name = |id: &HostId| snapshot.catalog.hosts[id.index()].name.to_string();
    Ok(json(StatusCode::OK, &page(snapshot.seq, query.limit(), rows, name, |id| dto::Host::new(&snapshot, *id))))
}

pub async fn services(
    State(state): State<WebState>,
    session: Session,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Response, Problem> {
    let snapshot = state.engine.snapshot();
    let start = match &query.after {
        None => 0,
        Some(cursor) => cursor_service(&snapshot, cursor).ok_or_else(lost_cursor)?.index() + 1,
    };
    let filter = filter(&query.q)?;
    let now = state.clock.now();
    let selects = |id: &ServiceId| filter.matches(&subject::service(&snapshot, *id, now), &session.user);
    let rows = (start..snapshot.services.len()).map(ServiceId::from_index).filter(selects);
    let cursor = |id: &ServiceId| {
        let key = snapshot.catalog.object_key(ObjectId::Service(*id));
        format!("{}/{}", encode(&key.host), encode(key.service.as_deref().unwrap_or_default()))
    };
    Ok(json(StatusCode::OK, &page(snapshot.seq, query.limit(), rows, cursor, |id| dto::Service::new(&snapshot, *id))))
}

/// The row a cursor names, found by comparing encoded names: nothing here decodes what a client sent.
fn cursor_service(snapshot: &Snapshot, cursor: &str) -> Option<ServiceId> {
    let (host, service) = cursor.split_once('/')?;
    let catalog = &snapshot.catalog;
    let host = catalog.hosts.iter().find(|h| encode(&h.name) == host)?;
    host.services.iter().copied().find(|id| encode(&catalog.services[id.index()].name) == service)
}

fn lost_cursor() -> Problem {
    Problem::new(
        StatusCode::GONE,
        "lost-cursor",
        "`after` names nothing that is configured now; start at the first page",
    )
}

/// The path of a host, or of a service on it.
#[derive(Deserialize)]
pub struct Named {
    host: String,
    service: Option<String>,
}

impl Named {
    fn key(self) -> ObjectKey {
        ObjectKey { host: self.host.into(), service: self.service.map(Arc::from) }
    }
}

pub async fn one(
    State(state): State<WebState>,
    _session: Session,
    InPath(named): InPath<Named>,
) -> Result<Response, Problem> {
    answer(&state, &named.key())
}

/// Which stage of the notification logic decides what, now; empty for an object of Stentor's own configuration.
pub async fn notices(
    State(state): State<WebState>,
    _session: Session,
    InPath(named): InPath<Named>,
) -> Result<Response, Problem> {
    let (snapshot, key) = (state.engine.snapshot(), named.key());
    let object = snapshot.catalog.object_id(&key).ok_or_else(|| Problem::not_found(describe(&key)))?;
    let items: Vec<Notices> = Notices::of(&snapshot, object).into_iter().collect();
    Ok(json(StatusCode::OK, &dto::List { seq: snapshot.seq, items, next: None }))
}

pub async fn ack(
    State(state): State<WebState>,
    session: Session,
    InPath(named): InPath<Named>,
    id: IdempotencyKey,
    InJson(request): InJson<dto::AckRequest>,
) -> Result<Response, Problem> {
    let object = operated(&state, &session, named)?;
    let (ack, notify) = read_ack(&request, &session.user, state.clock.now())?;
    state
        .engine
        .command(Command::AckObject { object: object.clone(), ack, notify, persistent: false }, id.id())
        .await?;
    answer(&state, &object)
}

pub async fn unack(
    State(state): State<WebState>,
    session: Session,
    InPath(named): InPath<Named>,
    id: IdempotencyKey,
) -> Result<Response, Problem> {
    let object = operated(&state, &session, named)?;
    state.engine.command(Command::UnackObject { object: object.clone(), by: session.user }, id.id()).await?;
    answer(&state, &object)
}

pub async fn check(
    State(state): State<WebState>,
    session: Session,
    InPath(named): InPath<Named>,
    id: IdempotencyKey,
) -> Result<Response, Problem> {
    let object = operated(&state, &session, named)?;
    state.engine.command(Command::CheckNow { object: object.clone(), by: session.user }, id.id()).await?;
    let body = value!({"host": &*object.host, "service": object.service.as_deref(), "scheduled": true});
    Ok(json(StatusCode::ACCEPTED, &body))
}

/// The object that somebody acts on who may.
fn operated(state: &WebState, session: &Session, named: Named) -> Result<ObjectKey, Problem> {
    session.require(Role::Operator)?;
    let object = named.key();
    known(state, &object)?;
    Ok(object)
}

fn known(state: &WebState, object: &ObjectKey) -> Result<ObjectId, Problem> {
    let found = state.engine.snapshot().catalog.object_id(object);
    found.ok_or_else(|| Problem::not_found(describe(object)))
}

/// In words for people.
pub fn describe(object: &ObjectKey) -> String {
    match &object.service {
        None => format!("host `{}`", object.host),
        Some(service) => format!("service `{service}` on host `{}`", object.host),
    }
}

fn answer(state: &WebState, object: &ObjectKey) -> Result<Response, Problem> {
    let snapshot = state.engine.snapshot();
    match snapshot.catalog.object_id(object) {
        None => Err(Problem::not_found(describe(object))),
        Some(ObjectId::Host(id)) => Ok(json(StatusCode::OK, &dto::Host::new(&snapshot, id))),
        Some(ObjectId::Service(id)) => Ok(json(StatusCode::OK, &dto::Service::new(&snapshot, id))),
    }
}
