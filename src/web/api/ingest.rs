//! Results from outside: `/results` of passive submitters, `/agent/…` of agents.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use stentor_core::catalog::{Check, View};
use stentor_core::engine::{ResultSource, Took};
use stentor_core::model::{ObjectKey, Value};
use stentor_core::{Span, Timestamp};

use super::dto::OrderState;
use super::extract::{InJson, InJsonList, InPath, InQuery};
use super::objects::describe;
use super::{dto, json};
use crate::engine::{AgentBatch, AgentResult, KeyedResult, Receipt, Refused};
use crate::nagios::passive;
use crate::runbook::Ended;
use crate::runbook::agents::{Offered, Rejected, Takes, Tale};
use crate::web::WebState;
use crate::web::auth::{Role, Session};
use crate::web::problem::Problem;

/// Clocks of senders may run ahead of ours by this much; more is refused, since such a result would hide real ones.
const AHEAD_MAX: Span = Span::from_mins(5);
/// Results of one request that wait for their turn together.
const WAITING_MAX: usize = 256;
/// Results of one push; an agent that has more sends more pushes.
const BATCH_MAX: usize = 10_000;
const ID_BYTES_MAX: usize = 200;

#[derive(Serialize)]
struct ResultsAnswer {
    accepted: usize,
    rejected: Vec<RejectedResult>,
}

#[derive(Serialize)]
struct RejectedResult {
    /// Position in the request, from 0.
    index: usize,
    message: String,
}

pub async fn results(
    State(state): State<WebState>,
    session: Session,
    InJsonList(requests): InJsonList<dto::ResultRequest>,
) -> Result<Response, Problem> {
    session.require(Role::Operator)?;
    if requests.len() > BATCH_MAX {
        return Err(Problem::invalid(format!("at most {BATCH_MAX} results a request")));
    }
    let now = state.clock.now();
    let mut rejected = Vec::new();
    let mut good = Vec::new();
    for (index, request) in requests.into_iter().enumerate() {
        match keyed(request, now) {
            Ok(result) => good.push((index, result)),
            Err(message) => rejected.push(RejectedResult { index, message }),
        }
    }
    let outcomes: Vec<_> = stream::iter(good)
        .map(|(index, result)| {
            let engine = state.engine.clone();
            async move { (index, submit(&engine, result).await) }
        })
        .buffered(WAITING_MAX)
        .collect()
        .await;
    let mut accepted = 0;
    for (index, outcome) in outcomes {
        match outcome? {
            Ok(()) => accepted += 1,
            Err(message) => rejected.push(RejectedResult { index, message }),
        }
    }
    rejected.sort_by_key(|r| r.index);
    Ok(json(StatusCode::OK, &ResultsAnswer { accepted, rejected }))
}

/// Hands in one result; `Ok(Err)` says why the engine has no use for it.
///
/// # Errors
/// The writer has stopped.
pub async fn submit(engine: &crate::engine::Handle, result: KeyedResult) -> Result<Result<(), String>, Refused> {
    let object = result.object.clone();
    Ok(match engine.submit(result).await? {
        Receipt::Applied => Ok(()),
        Receipt::UnknownObject => Err(format!("there is no {}", describe(&object))),
    })
}

fn keyed(request: dto::ResultRequest, now: Timestamp) -> Result<KeyedResult, String> {
    let observation = match request.service {
        None => passive::of_host(request.code, &request.output)
            .ok_or_else(|| format!("`code` of a host is 0 (UP), 1 (DOWN) or 2 (UNREACHABLE), not {}", request.code))?,
        Some(_) => passive::of_service(request.code, &request.output),
    };
    if request.id.as_ref().is_some_and(|id| id.is_empty() || id.len() > ID_BYTES_MAX) {
        return Err(format!("`id` must be 1 to {ID_BYTES_MAX} bytes"));
    }
    Ok(KeyedResult {
        object: ObjectKey { host: request.host.into(), service: request.service.map(Arc::from) },
        observed_at: observed_at(request.observed_at.as_ref(), now)?,
        source: ResultSource::Passive,
        observation: Arc::new(observation),
        id: request.id.map(Arc::from),
        took: Took::default(),
    })
}

/// When it was seen, never later than now: a sender's fast clock must not let a result outlive newer ones.
fn observed_at(when: Option<&dto::When>, now: Timestamp) -> Result<Timestamp, String> {
    let Some(when) = when else { return Ok(now) };
    let at = when.instant().map_err(|e| format!("`observed_at`: {e}"))?;
    if at > now + AHEAD_MAX {
        return Err(format!("`observed_at` {at} lies in the future; check the sender's clock"));
    }
    if at < Timestamp::ZERO {
        return Err("`observed_at` lies before 1970".to_owned());
    }
    Ok(at.min(now))
}

#[derive(Serialize)]
struct AgentAnswer<'a> {
    accepted: usize,
    repeated: bool,
    unknown: Vec<dto::Key<'a>>,
    /// Commands of runbooks that wait for this host's own agent.
    orders: Vec<Offered>,
    /// Ids of orders under way that are not wanted any more.
    stop: Vec<Arc<str>>,
}

pub async fn agent_results(
    State(state): State<WebState>,
    session: Session,
    InJson(push): InJson<dto::AgentPush>,
) -> Result<Response, Problem> {
    session.require_agent(&push.agent)?;
    if push.results.len() > BATCH_MAX {
        return Err(Problem::invalid(format!("at most {BATCH_MAX} results a push")));
    }
    if push.boot.is_empty() || push.boot.len() > ID_BYTES_MAX {
        return Err(Problem::invalid(format!("`boot` must be 1 to {ID_BYTES_MAX} bytes")));
    }
    if state.engine.snapshot().host(&push.agent).is_none() {
        return Err(Problem::not_found(format!("host `{}`", push.agent)));
    }
    let now = state.clock.now();
    let mut results = Vec::with_capacity(push.results.len());
    for (index, result) in push.results.into_iter().enumerate() {
        if result.host != push.agent {
            return Err(Problem::forbidden(format!(
                "result {index} is about `{}`, but agent `{}` may only speak of its own host",
                result.host, push.agent
            )));
        }
        let wrong = |why: String| Problem::invalid(format!("result {index}: {why}"));
        let sequence = result.sequence;
        let result = KeyedResult {
            object: ObjectKey { host: result.host.into(), service: result.service.map(Arc::from) },
            observed_at: observed_at(Some(&result.observed_at), now).map_err(wrong)?,
            source: ResultSource::Agent,
            observation: Arc::new(passive::bound(result.observation)),
            id: None,
            took: Took::default(),
        };
        results.push(AgentResult { sequence, result });
    }
    if push.dropped > 0 && push.waiting > 0 {
        tracing::warn!(host.name = %push.agent, dropped = push.dropped, "the agent's spool was full: results are lost");
    }
    let takes = match push.commands {
        _ if !session.is_agent_of(&push.agent) => Takes::Foreign,
        None => Takes::Old,
        Some(commands) if commands.start.is_empty() || commands.start.len() > ID_BYTES_MAX => {
            return Err(Problem::invalid(format!("`start` must be 1 to {ID_BYTES_MAX} bytes")));
        }
        Some(commands) => Takes::these(commands.start.into(), commands.allow),
    };
    let agent: Arc<str> = push.agent.into();
    let batch = AgentBatch {
        agent: Arc::clone(&agent),
        boot: push.boot.into(),
        sequence: push.sequence,
        has_more: push.waiting > 0,
        results,
    };
    let done = state.engine.agent_batch(batch).await?;
    let waiting = state.agents.heard(&agent, takes);
    let answer = AgentAnswer {
        accepted: done.accepted,
        repeated: done.repeated,
        unknown: done.unknown.iter().map(dto::Key::from).collect(),
        orders: waiting.orders,
        stop: waiting.stop,
    };
    Ok(json(StatusCode::OK, &answer))
}

/// What the agent of a host tells of an order that it was given: that it begins, that it will not, how it ended.
pub async fn agent_order(
    State(state): State<WebState>,
    session: Session,
    InPath(id): InPath<String>,
    InJson(told): InJson<dto::AgentOrder>,
) -> Result<Response, Problem> {
    if !session.is_agent_of(&told.agent) {
        let host = &told.agent;
        return Err(Problem::forbidden(format!(
            "only the agent of `{host}`, with a token or certificate of its own, may"
        )));
    }
    let tale = match told.state {
        OrderState::Begun => Tale::Begun,
        OrderState::Refused => Tale::Refused(told.output),
        OrderState::Done => Tale::Ended(Ended { well: true, output: told.output }),
        OrderState::Failed => Tale::Ended(Ended { well: false, output: told.output }),
    };
    match state.agents.tells(&told.agent, &id, &told.start.into(), tale) {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(Rejected::Unknown) => Err(Problem::not_found(format!("order `{id}`, or not any more"))),
        Err(why) => Err(Problem::new(StatusCode::CONFLICT, "conflict", why.to_string())),
    }
}

#[derive(Deserialize)]
pub struct AgentQuery {
    host: String,
}

/// The host-side checks of one host, for its agent to run.
pub async fn agent_checks(
    State(state): State<WebState>,
    session: Session,
    InQuery(query): InQuery<AgentQuery>,
) -> Result<Response, Problem> {
    session.require_agent(&query.host)?;
    let snapshot = state.engine.snapshot();
    let catalog = &snapshot.catalog;
    let id = snapshot.host(&query.host).ok_or_else(|| Problem::not_found(format!("host `{}`", query.host)))?;
    let host = &catalog.hosts[id.index()];
    let checks = host.services.iter().filter_map(|service| {
        let service = &catalog.services[service.index()];
        let check = &catalog.checks[service.check.index()];
        // Checks of a host that nobody looks at from inside stay undone rather than done by a stray agent.
        let its_agents = host.view == View::Agent && check.host_side && !check.probe.is_empty();
        its_agents.then(|| agent_check(&service.name, check, &service.params))
    });
    let items: Vec<_> = checks.collect();
    Ok(json(StatusCode::OK, &dto::List { seq: snapshot.seq, items, next: None }))
}

fn agent_check<'a>(service: &'a str, check: &'a Check, own: &Value) -> dto::AgentCheck<'a> {
    dto::AgentCheck {
        service,
        probe: &check.probe,
        params: laid_over(&check.params, own),
        every_ms: check.every.as_millis(),
        timeout_ms: check.timeout.as_millis(),
    }
}

/// The check's parameters with the service's own in their place.
fn laid_over(params: &Value, own: &Value) -> Value {
    let mut all: BTreeMap<String, Value> = params.map().cloned().unwrap_or_default();
    if let Some(own) = own.map() {
        all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    Value::Map(all)
}
