//! `/commands`: Nagios external commands, one a line, as commands and results of the engine.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use stentor_core::engine::{Command, ResultSource, input};
use stentor_core::id::ObjectId;
use stentor_core::model::{Ack, Covers, ObjectKey, Sticky};
use stentor_core::{Span, Timestamp};
use stentor_wire::nagios::external_command::{
    self as wire, Acknowledge, DowntimeKind, DowntimeTarget, ExternalCommand, PassiveResult, ScheduleDowntime,
};

use super::extract::{IdempotencyKey, InText};
use super::incidents::COMMENT_BYTES_MAX;
use super::objects::describe;
use super::{ingest, json, passive};
use crate::engine::{KeyedResult, Refused};
use crate::web::WebState;
use crate::web::auth::{Role, Session};
use crate::web::problem::Problem;

/// Lines of one request; each waits for its turn.
const LINES_MAX: usize = 10_000;
/// A forced check further ahead than this is refused rather than done at once.
const CHECK_AHEAD_MAX: Span = Span::from_mins(1);

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct CommandsAnswer {
    pub accepted: usize,
    pub rejected: Vec<RejectedLine>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct RejectedLine {
    /// From 1.
    pub line: usize,
    pub message: String,
}

pub async fn submit(
    State(state): State<WebState>,
    session: Session,
    key: IdempotencyKey,
    InText(text): InText,
) -> Result<Response, Problem> {
    session.require(Role::Operator)?;
    if text.lines().count() > LINES_MAX {
        return Err(Problem::invalid(format!("at most {LINES_MAX} lines a request")));
    }
    let mut answer = CommandsAnswer::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match run_line(&state, line, &session.user, &key, index).await {
            Ok(()) => answer.accepted += 1,
            Err(Wrong::Line(message)) => answer.rejected.push(RejectedLine { line: index + 1, message }),
            Err(Wrong::Stopping) => return Err(Refused::Stopping.into()),
        }
    }
    Ok(json(StatusCode::OK, &answer))
}

enum Wrong {
    Line(String),
    Stopping,
}

impl From<Refused> for Wrong {
    fn from(refused: Refused) -> Wrong {
        match refused {
            Refused::Stopping => Wrong::Stopping,
            Refused::Command(error) => Wrong::Line(error.to_string()),
        }
    }
}

impl From<String> for Wrong {
    fn from(message: String) -> Wrong {
        Wrong::Line(message)
    }
}

async fn run_line(
    state: &WebState,
    line: &str,
    user: &Arc<str>,
    key: &IdempotencyKey,
    index: usize,
) -> Result<(), Wrong> {
    let line = wire::parse(line).map_err(|e| e.to_string())?;
    let now = state.clock.now();
    let entered_at = line.entered_at.map_or(now, Timestamp::from_secs).min(now).max(Timestamp::ZERO);
    let command = match line.command {
        ExternalCommand::Acknowledge(ack) => acknowledge(ack, user, entered_at)?,
        ExternalCommand::RemoveAcknowledgement(object) => {
            Command::UnackObject { object: key_of(object), by: Arc::clone(user) }
        }
        ExternalCommand::ScheduleDowntime(wanted) => return schedule(state, wanted, user, key, index).await,
        ExternalCommand::DeleteDowntime { id, of } => delete_downtime(state, id, of, user)?,
        ExternalCommand::ProcessResult(result) => {
            return Ok(ingest::submit(&state.engine, keyed(state, result, entered_at)?).await??);
        }
        ExternalCommand::ScheduleForcedCheck { object, at } => {
            if Timestamp::from_secs(at) > now + CHECK_AHEAD_MAX {
                return Err("checks can be forced now, not at a later time".to_owned().into());
            }
            Command::CheckNow { object: key_of(object), by: Arc::clone(user) }
        }
    };
    state.engine.command(command, key.part(index)).await?;
    Ok(())
}

fn key_of(object: wire::Object) -> ObjectKey {
    ObjectKey { host: object.host.into(), service: object.service.map(Arc::from) }
}

/// The author that the line names, and whose token it was sent with where these differ.
fn author(named: &str, user: &Arc<str>) -> Arc<str> {
    if named.is_empty() || named == &**user { Arc::clone(user) } else { format!("{named} (via {user})").into() }
}

fn comment(text: &str) -> Result<Arc<str>, String> {
    if text.len() > COMMENT_BYTES_MAX {
        return Err(format!("comments are at most {COMMENT_BYTES_MAX} bytes"));
    }
    Ok(text.into())
}

fn acknowledge(wanted: Acknowledge, user: &Arc<str>, at: Timestamp) -> Result<Command, Wrong> {
    let ack = Ack {
        by: author(&wanted.author, user),
        comment: comment(&wanted.comment)?,
        at,
        until: None,
        sticky: if wanted.sticky { Sticky::Yes } else { Sticky::No },
    };
    let notify = if wanted.notify { input::Notify::Yes } else { input::Notify::No };
    Ok(Command::AckObject { object: key_of(wanted.object), ack, notify })
}

async fn schedule(
    state: &WebState,
    wanted: ScheduleDowntime,
    user: &Arc<str>,
    key: &IdempotencyKey,
    index: usize,
) -> Result<(), Wrong> {
    if !wanted.fixed || wanted.trigger_id != 0 {
        return Err("flexible and triggered downtimes are not supported: send fixed=1 and trigger_id=0"
            .to_owned()
            .into());
    }
    let (start, end) = (Timestamp::from_secs(wanted.start), Timestamp::from_secs(wanted.end));
    if end <= start || end <= state.clock.now() {
        return Err("the end must lie after the start and in the future".to_owned().into());
    }
    let author = author(&wanted.author, user);
    let comment = comment(&wanted.comment)?;
    for (part, target) in targets(state, wanted.target)?.into_iter().enumerate() {
        // A host's own window only: the services are SCHEDULE_HOST_SVC_DOWNTIME's.
        let request = input::DowntimeRequest {
            target,
            covers: Covers::ObjectOnly,
            start,
            end,
            author: Arc::clone(&author),
            comment: Arc::clone(&comment),
        };
        let id = key.part(index).map(|id| format!("{id}/{part}").into());
        state.engine.command(Command::ScheduleDowntime(request), id).await?;
    }
    Ok(())
}

fn targets(state: &WebState, target: DowntimeTarget) -> Result<Vec<ObjectKey>, Wrong> {
    match target {
        DowntimeTarget::Object(object) => Ok(vec![key_of(object)]),
        DowntimeTarget::ServicesOf(host) => {
            let snapshot = state.engine.snapshot();
            let id = snapshot.host(&host).ok_or_else(|| format!("there is no host `{host}`"))?;
            let services = &snapshot.catalog.hosts[id.index()].services;
            Ok(services.iter().map(|id| snapshot.catalog.object_key(ObjectId::Service(*id))).collect())
        }
    }
}

/// Ids are shared by hosts and services; the name of the command must fit what the id is on.
fn delete_downtime(state: &WebState, id: u64, of: DowntimeKind, user: &Arc<str>) -> Result<Command, Wrong> {
    let snapshot = state.engine.snapshot();
    if let Some(downtime) = snapshot.downtimes.get(&id) {
        let is_service = downtime.target.service.is_some();
        if is_service != (of == DowntimeKind::Service) {
            return Err(format!("downtime {id} is on {}", describe(&downtime.target)).into());
        }
    }
    Ok(Command::CancelDowntime { id, by: Arc::clone(user) })
}

/// The host is looked up by name, then by address, as Nagios does.
fn keyed(state: &WebState, result: PassiveResult, at: Timestamp) -> Result<KeyedResult, Wrong> {
    let mut object = key_of(result.object);
    let snapshot = state.engine.snapshot();
    if snapshot.host(&object.host).is_none()
        && let Some(host) = snapshot.catalog.hosts.iter().find(|host| host.address == object.host)
    {
        object.host = Arc::clone(&host.name);
    }
    let observation = match object.service {
        Some(_) => passive::of_service(result.code, &result.output),
        None => {
            passive::of_host(result.code, &result.output).ok_or_else(|| "a host's state is 0, 1 or 2".to_owned())?
        }
    };
    Ok(KeyedResult {
        object,
        observed_at: at,
        source: ResultSource::Passive,
        observation: Arc::new(observation),
        id: None,
    })
}
