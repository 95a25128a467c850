//! Acknowledgements, downtimes, comments and notifications asked for by a line.

use std::sync::Arc;

use stentor_core::Timestamp;
use stentor_core::engine::{Command, input};
use stentor_core::id::ObjectId;
use stentor_core::model::{Ack, Covers, Sticky};
use stentor_wire::nagios::external_command::{self as wire, Acknowledge, ExternalCommand, ScheduleDowntime, Side};

use super::words::{NO_SUCH_SWITCH, key_of, scope_of};
use super::{World, describe};

/// Longest comment kept; more belongs into a ticket.
pub const COMMENT_BYTES_MAX: usize = 4096;

pub(super) fn commands(asked: ExternalCommand, world: &World<'_>, at: Timestamp) -> Result<Vec<Command>, String> {
    Ok(match asked {
        ExternalCommand::Acknowledge(ack) => vec![acknowledge(ack, world.user, at)?],
        ExternalCommand::RemoveAcknowledgement(object) => {
            vec![Command::UnackObject { object: key_of(object), by: Arc::clone(world.user) }]
        }
        ExternalCommand::ScheduleDowntime(wanted) => schedule(world, wanted)?,
        ExternalCommand::DeleteDowntime { id, of } => vec![delete_downtime(world, id, of)?],
        _ => return Err("this command is not carried out yet".to_owned()),
    })
}

pub(super) fn noted(_world: &World<'_>, _scope: &wire::Scope, _note: wire::Note) -> Result<Vec<Command>, String> {
    Ok(Vec::new())
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
        until: wanted.until.map(Timestamp::from_secs),
        sticky: if wanted.sticky { Sticky::Yes } else { Sticky::No },
    };
    let notify = if wanted.notify { input::Notify::Yes } else { input::Notify::No };
    Ok(Command::AckObject { object: key_of(wanted.object), ack, notify })
}

fn schedule(world: &World<'_>, wanted: ScheduleDowntime) -> Result<Vec<Command>, String> {
    if !wanted.fixed || wanted.trigger_id != 0 {
        return Err("flexible and triggered downtimes are not supported: send fixed=1 and trigger_id=0".to_owned());
    }
    let (start, end) = (Timestamp::from_secs(wanted.start), Timestamp::from_secs(wanted.end));
    if end <= start || end <= world.now {
        return Err("the end must lie after the start and in the future".to_owned());
    }
    let author = author(&wanted.author, world.user);
    let comment = comment(&wanted.comment)?;
    let request = |target: ObjectId| {
        Command::ScheduleDowntime(input::DowntimeRequest {
            target: world.catalog.object_key(target),
            covers: Covers::ObjectOnly,
            start,
            end,
            author: Arc::clone(&author),
            comment: Arc::clone(&comment),
        })
    };
    let scope = scope_of(wanted.scope).ok_or(NO_SUCH_SWITCH)?;
    let targets = scope.objects(world.catalog).map_err(|e| e.to_string())?;
    Ok(targets.into_iter().map(request).collect())
}

/// Ids are shared by hosts and services; the name of the command must fit what the id is on.
fn delete_downtime(world: &World<'_>, id: u64, of: Side) -> Result<Command, String> {
    if let Some(downtime) = world.downtimes.get(&id) {
        let is_service = downtime.target.service.is_some();
        if is_service != (of == Side::Services) {
            return Err(format!("downtime {id} is on {}", describe(&downtime.target)));
        }
    }
    Ok(Command::CancelDowntime { id, by: Arc::clone(world.user) })
}
