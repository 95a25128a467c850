//! `/downtimes`: list, schedule, cancel.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use stentor_core::engine::{Command, Reply, input};
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::model::{Covers, Downtime, DowntimeKind, ObjectKey};
use stentor_core::snapshot::Snapshot;
use stentor_core::{Span, Timestamp};

use super::extract::{IdempotencyKey, InJson, InPath, InQuery};
use super::incidents::comment;
use super::objects::describe;
use super::select::filter;
use super::{ListQuery, dto, json, page};
use crate::web::WebState;
use crate::web::auth::{Role, Session};
use crate::web::problem::Problem;
use crate::web::subject;

/// One request plans at most this many windows: a filter that selects more is probably not what was meant.
const TARGETS_MAX: usize = 1000;
/// A window longer than this is a typing error.
const LENGTH_MAX: Span = Span::from_hours(24 * 366);

/// By id. `?q=` asks of the object that the window is on.
pub async fn list(
    State(state): State<WebState>,
    session: Session,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Response, Problem> {
    let snapshot = state.engine.snapshot();
    let after = match &query.after {
        None => 0,
        Some(text) => text.parse::<u64>().map_err(|_| Problem::invalid("`after` must be the id of a downtime"))?,
    };
    let filter = filter(&query.q)?;
    let now = state.clock.now();
    let selects = |downtime: &&Downtime| {
        filter.terms.is_empty()
            || snapshot.catalog.object_id(&downtime.target).is_some_and(|object| {
                filter.matches(&subject::RowSubject { snapshot: &snapshot, object, now }, &session.user)
            })
    };
    let rows = snapshot.downtimes.range(after.saturating_add(1)..).map(|(_, downtime)| downtime).filter(selects);
    let list = page(snapshot.seq, query.limit(), rows, |d| d.id.to_string(), |d| dto::Downtime::from(*d));
    Ok(json(StatusCode::OK, &list))
}

pub async fn schedule(
    State(state): State<WebState>,
    session: Session,
    key: IdempotencyKey,
    InJson(request): InJson<dto::DowntimeRequest>,
) -> Result<Response, Problem> {
    session.require(Role::Operator)?;
    let snapshot = state.engine.snapshot();
    let now = state.clock.now();
    let (start, end) = window(&request, now)?;
    let kind = kind(&request)?;
    if let Some(id) = request.triggered_by
        && !snapshot.downtimes.contains_key(&id)
    {
        return Err(Problem::not_found(format!("downtime {id} to start with")));
    }
    let comment = comment(&request.comment)?;
    let targets = targets(&request, &snapshot, now, &session.user)?;
    let is_list = request.q.is_some() || request.services_only;
    let mut ids = Vec::with_capacity(targets.len());
    for (index, (target, covers)) in targets.into_iter().enumerate() {
        let wanted = input::DowntimeRequest {
            target,
            covers,
            kind,
            triggered_by: request.triggered_by,
            spread: request.children.spread(),
            start,
            end,
            author: session.user.clone(),
            comment: comment.clone(),
        };
        let id = if is_list { key.part(index) } else { key.id() };
        let reply = state.engine.command(Command::ScheduleDowntime(wanted.clone()), id).await?;
        ids.push((reply, wanted));
    }
    let snapshot = state.engine.snapshot();
    let planned: Vec<&Downtime> = ids.iter().filter_map(|(reply, wanted)| find(&snapshot, reply, wanted)).collect();
    if is_list {
        let items: Vec<_> = planned.into_iter().map(dto::Downtime::from).collect();
        return Ok(json(StatusCode::CREATED, &dto::List { seq: snapshot.seq, items, next: None }));
    }
    match planned.first() {
        Some(downtime) => {
            let mut response = json(StatusCode::CREATED, &dto::Downtime::from(*downtime));
            let location = header::HeaderValue::from_str(&format!("/api/v1/downtimes/{}", downtime.id));
            response.headers_mut().insert(header::LOCATION, location.expect("a path with a number is a header value"));
            Ok(response)
        }
        None => Err(Problem::new(StatusCode::CONFLICT, "conflict", "this downtime was planned before and is over")),
    }
}

/// The downtime a command made; for a repeated command the one it had made the first time.
fn find<'a>(snapshot: &'a Snapshot, reply: &Reply, wanted: &input::DowntimeRequest) -> Option<&'a Downtime> {
    match reply {
        Reply::DowntimeScheduled(id) => snapshot.downtimes.get(id),
        Reply::Repeated | Reply::Done | Reply::TestsSent(_) | Reply::CommentAdded(_) | Reply::Run(_) => {
            (snapshot.downtimes.values().rev())
                .find(|d| d.target == wanted.target && d.author == wanted.author && d.comment == wanted.comment)
        }
    }
}

/// # Errors
/// The times cannot be read, or make no window that is still to come.
fn window(request: &dto::DowntimeRequest, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let read = |name: &str, text: &String| {
        Timestamp::from_rfc3339(text).map_err(|e| Problem::invalid(format!("`{name}`: {e}")))
    };
    let start = request.start.as_ref().map_or(Ok(now), |text| read("start", text))?;
    let end = match (&request.end, request.duration) {
        (Some(text), None) => read("end", text)?,
        (Some(text), Some(_)) if request.fixed == Some(false) => read("end", text)?,
        (None, Some(seconds)) if seconds > 0 => start + Span::from_secs(seconds),
        (None, Some(_)) => return Err(Problem::invalid("`duration` must be above 0 seconds")),
        (None, None) | (Some(_), Some(_)) => return Err(Problem::invalid("give either `end` or `duration`")),
    };
    if end <= start || end <= now {
        return Err(Problem::invalid("the end must lie after the start and in the future"));
    }
    if end.since(start) > LENGTH_MAX {
        return Err(Problem::invalid("a downtime may last at most 366 days"));
    }
    Ok((start, end))
}

/// # Errors
/// A flexible downtime without the window it may start in, or without its length.
fn kind(request: &dto::DowntimeRequest) -> Result<DowntimeKind, Problem> {
    match (request.fixed, &request.end, request.duration) {
        (None | Some(true), _, _) => Ok(DowntimeKind::Fixed),
        (Some(false), Some(_), Some(seconds)) if (1..=LENGTH_MAX.as_millis() / 1000).contains(&seconds) => {
            Ok(DowntimeKind::Flexible { duration: Span::from_secs(seconds) })
        }
        (Some(false), Some(_), Some(_)) => {
            Err(Problem::invalid("`duration` must be above 0 seconds and within 366 days"))
        }
        (Some(false), _, _) => Err(Problem::invalid("a flexible downtime needs `end` and `duration`")),
    }
}

type Window = (ObjectKey, Covers);

fn targets(
    request: &dto::DowntimeRequest,
    snapshot: &Snapshot,
    now: Timestamp,
    me: &str,
) -> Result<Vec<Window>, Problem> {
    match (&request.host, &request.service, &request.q) {
        (Some(host), service, None) => {
            let target = ObjectKey { host: host.as_str().into(), service: service.as_deref().map(Into::into) };
            let Some(object) = snapshot.catalog.object_id(&target) else {
                return Err(Problem::not_found(describe(&target)));
            };
            let of_host = request.services_only || request.children != dto::Children::None;
            if of_host && target.service.is_some() {
                return Err(Problem::invalid("`children` and `services_only` are of a host, not of a service"));
            }
            if request.services_only {
                return services_of(snapshot, object, request);
            }
            let whole = target.service.is_none() && request.services != Some(false);
            Ok(vec![(target, if whole { Covers::HostAndServices } else { Covers::ObjectOnly })])
        }
        (None, None, Some(_)) if request.services_only || request.children != dto::Children::None => {
            Err(Problem::invalid("`children` and `services_only` need a `host`"))
        }
        (None, None, Some(q)) if !q.trim().is_empty() => selected(q, snapshot, now, me),
        _ => Err(Problem::invalid("give either `host` (and `service`), or `q`")),
    }
}

fn services_of(snapshot: &Snapshot, object: ObjectId, request: &dto::DowntimeRequest) -> Result<Vec<Window>, Problem> {
    if request.children != dto::Children::None {
        return Err(Problem::invalid("give either `children` or `services_only`"));
    }
    let services = match object {
        ObjectId::Host(id) => &*snapshot.catalog.hosts[id.index()].services,
        ObjectId::Service(_) => &[],
    };
    if services.is_empty() {
        return Err(Problem::invalid("the host has no services"));
    }
    let window = |id: &ServiceId| (snapshot.catalog.object_key(ObjectId::Service(*id)), Covers::ObjectOnly);
    Ok(services.iter().map(window).collect())
}

/// Hosts that the filter selects, with their services; of other hosts the services it selects.
fn selected(q: &str, snapshot: &Snapshot, now: Timestamp, me: &str) -> Result<Vec<Window>, Problem> {
    let filter = filter(q)?;
    let hosts: Vec<bool> = (0..snapshot.hosts.len())
        .map(|i| filter.matches(&subject::host(snapshot, HostId::from_index(i), now), me))
        .collect();
    let whole =
        hosts.iter().enumerate().filter(|(_, selected)| **selected).map(|(i, _)| {
            (snapshot.catalog.object_key(ObjectId::Host(HostId::from_index(i))), Covers::HostAndServices)
        });
    let single = (snapshot.catalog.services.iter().enumerate())
        .filter(|(_, service)| !hosts[service.host.index()])
        .map(|(i, _)| ServiceId::from_index(i))
        .filter(|id| filter.matches(&subject::service(snapshot, *id, now), me))
        .map(|id| (snapshot.catalog.object_key(ObjectId::Service(id)), Covers::ObjectOnly));
    let windows: Vec<Window> = whole.chain(single).take(TARGETS_MAX + 1).collect();
    match windows.len() {
        0 => Err(Problem::not_found("host or service that `q` selects")),
        n if n > TARGETS_MAX => {
            Err(Problem::invalid(format!("`q` selects more than {TARGETS_MAX} hosts and services")))
        }
        _ => Ok(windows),
    }
}

pub async fn cancel(
    State(state): State<WebState>,
    session: Session,
    InPath(id): InPath<String>,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    session.require(Role::Operator)?;
    let id = id.parse().map_err(|_| Problem::invalid("a downtime is named by its number"))?;
    state.engine.command(Command::CancelDowntime { id, by: session.user }, key.id()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
