//! Injecting and healing over HTTP: what the command line, the page and the tests use.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use stentor_core::diagnosis::TargetKind;
use stentor_core::model::{Incident, Phase};

use super::fault::{Expect, Fault, Kind};
use super::mailbox::Mailbox;
use super::page;
use super::plan::is_known;
use super::sim::Sim;
use crate::web::WebState;
use crate::web::api::dto;
use crate::web::auth::{Role, Session};
use crate::web::problem::Problem;

/// `?wait=1` gives up after this; at the slowest pace a server failure takes three minutes.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// A line of `stentor demo list`.
#[derive(Debug, Serialize)]
pub struct Line {
    pub name: String,
    pub target: String,
    pub says: String,
    pub expect: Expect,
    pub active: bool,
}

/// What the handlers of the demo work on.
#[derive(Clone)]
pub(super) struct Demo {
    pub sim: Sim,
    pub mailbox: Mailbox,
}

#[derive(Debug, Default, Deserialize)]
struct Wait {
    #[serde(default)]
    wait: Option<u8>,
}

/// Routes below `/demo`.
pub fn routes(sim: Sim, mailbox: Mailbox) -> Router<WebState> {
    let demo = Demo { sim, mailbox };
    let list = demo.clone();
    let state = demo.clone();
    let inject = demo.clone();
    let heal = demo.clone();
    let all = demo.clone();
    Router::new()
        .merge(page::routes(demo.clone()))
        .route(
            "/faults",
            get(move |session: Session| async move {
                allowed(&session)?;
                Ok::<_, Problem>(Json(lines(&list.sim).await))
            }),
        )
        .route(
            "/state",
            get(move |session: Session| async move {
                allowed(&session)?;
                Ok::<_, Problem>(Json(active(&state.sim).await))
            }),
        )
        .route(
            "/mails",
            get(move |session: Session| async move {
                allowed(&session)?;
                Ok::<_, Problem>(Json((*demo.mailbox.all()).clone()))
            }),
        )
        .route(
            "/inject/{*name}",
            post(move |web: State<WebState>, session: Session, name: Path<String>, wait: Query<Wait>| async move {
                change(&inject.sim, &web, &session, &name, Act::Inject, &wait).await
            }),
        )
        .route(
            "/heal/{*name}",
            post(move |web: State<WebState>, session: Session, name: Path<String>, wait: Query<Wait>| async move {
                change(&heal.sim, &web, &session, &name, Act::Heal, &wait).await
            }),
        )
        .route(
            "/heal-all",
            post(move |web: State<WebState>, session: Session, wait: Query<Wait>| async move {
                allowed(&session)?;
                all.sim.heal_all().await;
                if wait.wait == Some(1) {
                    until(&web, |live| live.is_empty().then_some(())).await;
                }
                Ok::<_, Problem>(Json(lines(&all.sim).await))
            }),
        )
}

pub(super) fn allowed(session: &Session) -> Result<(), Problem> {
    session.require(Role::Operator)
}

#[derive(Copy, Clone, Eq, PartialEq)]
enum Act {
    Inject,
    Heal,
}

/// Every fault with its state.
pub async fn lines(sim: &Sim) -> Vec<Line> {
    let active = sim.active().await;
    let line = |fault: &Fault| Line {
        name: fault.name(),
        target: fault.host.to_owned(),
        says: fault.says(),
        expect: fault.expect(),
        active: active.contains(fault),
    };
    Fault::all().iter().map(line).collect()
}

async fn active(sim: &Sim) -> Vec<Line> {
    lines(sim).await.into_iter().filter(|line| line.active).collect()
}

async fn change(
    sim: &Sim,
    web: &WebState,
    session: &Session,
    name: &str,
    act: Act,
    wait: &Wait,
) -> Result<Response, Problem> {
    allowed(session)?;
    let Some(fault) = Fault::find(name) else {
        return Err(Problem::not_found(format!("there is no fault `{name}`; `stentor demo list` names them")));
    };
    let before = web.engine.snapshot().incidents.clone();
    let changed = match act {
        Act::Inject => sim.inject(fault).await,
        Act::Heal => sim.heal(fault).await,
    };
    let line = lines(sim).await.into_iter().find(|line| line.name == name);
    if !changed {
        return Ok((StatusCode::CONFLICT, Json(line)).into_response());
    }
    if wait.wait != Some(1) {
        return Ok(Json(line).into_response());
    }
    let concerns = |incident: &Incident| concerns(incident, fault);
    if act == Act::Heal {
        let gone = until(web, |live| (!live.iter().any(|incident| concerns(incident))).then_some(())).await;
        return if gone.is_some() { Ok(Json(line).into_response()) } else { Err(late(name)) };
    }
    // A failure that was here not long ago opens its old incident again, and a worse one takes over the number of the first.
    let is_new = |incident: &Incident| {
        let cause =
            |incident: &Incident| (incident.phase, incident.verdict.class, Arc::clone(&incident.verdict.subtype));
        before.get(&incident.number).is_none_or(|old| cause(old) != cause(incident))
    };
    let opened = until(web, |live| live.iter().find(|i| i.phase == Phase::Open && concerns(i) && is_new(i)).cloned());
    let opened = opened.await;
    let incident = opened.ok_or_else(|| late(name))?;
    Ok(Json(dto::Incident::from(&*incident)).into_response())
}

fn late(name: &str) -> Problem {
    Problem::unavailable(format!("nothing came of `{name}` within {} s", WAIT_MAX.as_secs()))
}

/// Whether an incident is about the host that a fault strikes, or about the replica that was seen from there.
pub(super) fn concerns(incident: &Incident, fault: Fault) -> bool {
    let verdict = &incident.verdict;
    let of_replica = matches!(fault.kind, Kind::Drbd | Kind::SplitBrain) && verdict.target.kind == TargetKind::Drbd;
    verdict.target.host.as_deref() == Some(fault.host) && is_known(fault.host)
        || of_replica && verdict.evidence.iter().any(|evidence| evidence.at == fault.host)
}

/// Waits for a fact about the live incidents, looking whenever the engine says that something happened.
async fn until<T>(web: &WebState, look: impl Fn(&[Arc<Incident>]) -> Option<T>) -> Option<T> {
    let wait = async {
        let mut events = web.engine.watch();
        loop {
            let snapshot = web.engine.snapshot();
            let live: Vec<Arc<Incident>> = snapshot
                .incidents
                .values()
                .filter(|i| matches!(i.phase, Phase::Open | Phase::Recovering))
                .cloned()
                .collect();
            if let Some(found) = look(&live) {
                return found;
            }
            // Events run ahead of the published snapshot by up to a quarter of a second; a lagging reader just looks again.
            let _ = tokio::time::timeout(Duration::from_millis(250), events.recv()).await;
        }
    };
    tokio::time::timeout(WAIT_MAX, wait).await.ok()
}
