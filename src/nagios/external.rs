//! One external command line to what the engine is asked. Decides nothing about who may send it.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::catalog::Catalog;
use stentor_core::engine::{Command, input};
use stentor_core::id::ObjectId;
use stentor_core::model::{Ack, Covers, Downtime, DowntimeKind, ObjectKey, Observation, Sticky};
use stentor_core::{Span, Timestamp};
use stentor_wire::nagios::external_command::{
    self as wire, Acknowledge, DowntimeTarget, ExternalCommand, PassiveResult, ScheduleDowntime,
};

use super::passive;

/// Longest comment kept; more belongs into a ticket.
pub const COMMENT_BYTES_MAX: usize = 4096;
/// A forced check further ahead than this is refused rather than done at once.
const CHECK_AHEAD_MAX: Span = Span::from_mins(1);

/// What a line is read against.
pub struct World<'a> {
    pub catalog: &'a Catalog,
    pub downtimes: &'a BTreeMap<u64, Downtime>,
    pub now: Timestamp,
    /// Who sends it; empty where nobody is known, as in a recording.
    pub user: &'a Arc<str>,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// All of them, in this order; more than one where a line means several objects.
    Commands(Vec<Command>),
    Result {
        object: ObjectKey,
        observed_at: Timestamp,
        observation: Observation,
    },
}

/// Reads one line.
///
/// # Errors
/// Why it cannot be carried out, for the person who sent it.
pub fn order(line: &str, world: &World<'_>) -> Result<Order, String> {
    let line = wire::parse(line).map_err(|e| e.to_string())?;
    let entered_at = line.entered_at.map_or(world.now, Timestamp::from_secs).min(world.now).max(Timestamp::ZERO);
    let user = world.user;
    let command = match line.command {
        ExternalCommand::Acknowledge(ack) => acknowledge(ack, user, entered_at)?,
        ExternalCommand::RemoveAcknowledgement(object) => {
            Command::UnackObject { object: key_of(object), by: Arc::clone(user) }
        }
        ExternalCommand::ScheduleDowntime(wanted) => return schedule(world, wanted).map(Order::Commands),
        ExternalCommand::DeleteDowntime { id, of } => delete_downtime(world, id, of)?,
        ExternalCommand::ProcessResult(result) => return keyed(world.catalog, result, entered_at),
        ExternalCommand::ScheduleForcedCheck { object, at } => {
            if Timestamp::from_secs(at) > world.now + CHECK_AHEAD_MAX {
                return Err("checks can be forced now, not at a later time".to_owned());
            }
            Command::CheckNow { object: key_of(object), by: Arc::clone(user) }
        }
    };
    Ok(Order::Commands(vec![command]))
}

/// `service web on host a`, `host a`.
pub fn describe(key: &ObjectKey) -> String {
    match &key.service {
        Some(service) => format!("service `{service}` on host `{}`", key.host),
        None => format!("host `{}`", key.host),
    }
}

fn key_of(object: wire::Object) -> ObjectKey {
    ObjectKey { host: object.host.into(), service: object.service.map(Arc::from) }
}

/// The author that the line names, and whose token it was sent with where these differ.
fn author(named: &str, user: &Arc<str>) -> Arc<str> {
    match (named, &**user) {
        ("", _) => Arc::clone(user),
        (_, "") => named.into(),
        (_, known) if known == named => Arc::clone(user),
        (_, known) => format!("{named} (via {known})").into(),
    }
}

fn comment(text: &str) -> Result<Arc<str>, String> {
    if text.len() > COMMENT_BYTES_MAX {
        return Err(format!("comments are at most {COMMENT_BYTES_MAX} bytes"));
    }
    Ok(text.into())
}

fn acknowledge(wanted: Acknowledge, user: &Arc<str>, at: Timestamp) -> Result<Command, String> {
    let ack = Ack {
        by: author(&wanted.author, user),
        comment: comment(&wanted.comment)?,
        at,
        until: None,
        sticky: if wanted.sticky { Sticky::Yes } else { Sticky::No },
    };
    let notify = if wanted.notify { input::Notify::Yes } else { input::Notify::No };
    Ok(Command::AckObject { object: key_of(wanted.object), ack, notify, persistent: wanted.persistent })
}

fn schedule(world: &World<'_>, wanted: ScheduleDowntime) -> Result<Vec<Command>, String> {
    let (start, end) = (Timestamp::from_secs(wanted.start), Timestamp::from_secs(wanted.end));
    if end <= start || end <= world.now {
        return Err("the end must lie after the start and in the future".to_owned());
    }
    let author = author(&wanted.author, world.user);
    let comment = comment(&wanted.comment)?;
    let kind = match wanted.fixed {
        true => DowntimeKind::Fixed,
        false => DowntimeKind::Flexible { duration: Span::from_secs(wanted.duration) },
    };
    let triggered_by = (wanted.trigger_id != 0).then_some(wanted.trigger_id);
    let request = |target| {
        // A host's own window only: the services are SCHEDULE_HOST_SVC_DOWNTIME's.
        Command::ScheduleDowntime(input::DowntimeRequest {
            target,
            covers: Covers::ObjectOnly,
            kind,
            triggered_by,
            spread: input::Spread::TargetOnly,
            start,
            end,
            author: Arc::clone(&author),
            comment: Arc::clone(&comment),
        })
    };
    Ok(targets(world.catalog, wanted.target)?.into_iter().map(request).collect())
}

fn targets(catalog: &Catalog, target: DowntimeTarget) -> Result<Vec<ObjectKey>, String> {
    match target {
        DowntimeTarget::Object(object) => Ok(vec![key_of(object)]),
        DowntimeTarget::ServicesOf(host) => {
            let id = catalog.host_id(&host).ok_or_else(|| format!("there is no host `{host}`"))?;
            let services = &catalog.hosts[id.index()].services;
            Ok(services.iter().map(|id| catalog.object_key(ObjectId::Service(*id))).collect())
        }
    }
}

/// Ids are shared by hosts and services; the name of the command must fit what the id is on.
fn delete_downtime(world: &World<'_>, id: u64, of: wire::DowntimeKind) -> Result<Command, String> {
    if let Some(downtime) = world.downtimes.get(&id) {
        let is_service = downtime.target.service.is_some();
        if is_service != (of == wire::DowntimeKind::Service) {
            return Err(format!("downtime {id} is on {}", describe(&downtime.target)));
        }
    }
    Ok(Command::CancelDowntime { id, by: Arc::clone(world.user) })
}

/// The host is looked up by name, then by address, as Nagios does.
fn keyed(catalog: &Catalog, result: PassiveResult, at: Timestamp) -> Result<Order, String> {
    let mut object = key_of(result.object);
    if catalog.host_id(&object.host).is_none()
        && let Some(host) = catalog.hosts.iter().find(|host| host.address == object.host)
    {
        object.host = Arc::clone(&host.name);
    }
    let observation = match object.service {
        Some(_) => passive::of_service(result.code, &result.output),
        None => {
            passive::of_host(result.code, &result.output).ok_or_else(|| "a host's state is 0, 1 or 2".to_owned())?
        }
    };
    Ok(Order::Result { object, observed_at: at, observation })
}
