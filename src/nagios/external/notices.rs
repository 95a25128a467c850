//! Acknowledgements, downtimes, comments and notifications asked for by a line.

use std::sync::Arc;

use stentor_core::engine::{Command, input};
use stentor_core::model::{Ack, Covers, Downtime, DowntimeKind, ObjectKey, Sticky};
use stentor_core::{Span, Timestamp};
use stentor_wire::nagios::external_command::{
    self as wire, Acknowledge, DowntimeFilter, ExternalCommand, Note, ScheduleDowntime, Side,
};

use super::words::{NO_SUCH_SWITCH, key_of, scope_of};
use super::{World, describe};

/// Longest comment kept; more belongs into a ticket.
pub const COMMENT_BYTES_MAX: usize = 4096;

pub(super) fn commands(asked: ExternalCommand, world: &World<'_>, at: Timestamp) -> Result<Vec<Command>, String> {
    let by = || Arc::clone(world.user);
    Ok(match asked {
        ExternalCommand::Acknowledge(ack) => vec![acknowledge(ack, world.user, at)?],
        ExternalCommand::RemoveAcknowledgement(object) => {
            vec![Command::UnackObject { object: key_of(object), by: by() }]
        }
        ExternalCommand::AddComment { object, persistent, note } => {
            vec![add_comment(world, key_of(object), persistent, &note)?]
        }
        ExternalCommand::DeleteComment { id, of } => vec![delete_comment(world, id, of)?],
        ExternalCommand::DeleteAllComments(object) => {
            vec![Command::DeleteAllComments { object: key_of(object), by: by() }]
        }
        ExternalCommand::ScheduleDowntime(wanted) => schedule(world, wanted)?,
        ExternalCommand::DeleteDowntime { id, of } => vec![delete_downtime(world, id, of)?],
        ExternalCommand::DeleteDowntimesBy(filter) => delete_downtimes(world, &filter)?,
        ExternalCommand::DelayNotification { scope, until } => {
            let until = Timestamp::from_secs(until);
            let delay = |object| Command::DelayNotification { object, until };
            keys(world, scope)?.into_iter().map(delay).collect()
        }
        ExternalCommand::SetNotificationNumber { object, number } => {
            vec![Command::SetNotificationNumber { object: key_of(object), number }]
        }
        ExternalCommand::SendCustomNotification { object, options, note } => {
            let wire::CustomOptions { broadcast, forced, increment } = options;
            vec![Command::CustomNotification {
                object: key_of(object),
                options: input::CustomOptions { broadcast, forced, increment },
                author: author(&note.author, world.user),
                comment: comment(&note.comment)?,
            }]
        }
        other => return Err(format!("{other:?} is no command about notifications")),
    })
}

/// The objects of a scope by name, as they are now.
fn keys(world: &World<'_>, scope: wire::Scope) -> Result<Vec<ObjectKey>, String> {
    let scope = scope_of(scope).ok_or(NO_SUCH_SWITCH)?;
    let objects = scope.objects(world.catalog).map_err(|e| e.to_string())?;
    Ok(objects.into_iter().map(|object| world.catalog.object_key(object)).collect())
}

fn add_comment(world: &World<'_>, object: ObjectKey, persistent: bool, note: &Note) -> Result<Command, String> {
    Ok(Command::AddComment(input::CommentRequest {
        object,
        persistent,
        expires: None,
        author: author(&note.author, world.user),
        text: comment(&note.comment)?,
    }))
}

/// What was said with another command, as a comment on the object that it names.
pub(super) fn noted(world: &World<'_>, scope: &wire::Scope, note: Note) -> Result<Option<Command>, String> {
    let object = match scope {
        wire::Scope::Object(object) => key_of(object.clone()),
        wire::Scope::ServicesOf(host) => ObjectKey { host: host.as_str().into(), service: None },
        _ => return Ok(None),
    };
    add_comment(world, object, false, &note).map(Some)
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
    Ok(Command::AckObject { object: key_of(wanted.object), ack, notify, persistent: wanted.persistent })
}

fn schedule(world: &World<'_>, wanted: ScheduleDowntime) -> Result<Vec<Command>, String> {
    let (start, end) = (Timestamp::from_secs(wanted.start), Timestamp::from_secs(wanted.end));
    if end <= start || end <= world.now {
        return Err("the end must lie after the start and in the future".to_owned());
    }
    let kind = match wanted.fixed {
        true => DowntimeKind::Fixed,
        false => DowntimeKind::Flexible { duration: Span::from_secs(wanted.duration) },
    };
    // The hosts below get windows of their own, which the engine plans: it knows the id that may trigger them.
    let (targets, spread) = match wanted.scope {
        wire::Scope::HostAndChildren(host) => {
            let spread = match wanted.triggers_children {
                true => input::Spread::TriggeredDescendants,
                false => input::Spread::Descendants,
            };
            (vec![ObjectKey { host: host.into(), service: None }], spread)
        }
        scope => (keys(world, scope)?, input::Spread::TargetOnly),
    };
    let author = author(&wanted.author, world.user);
    let comment = comment(&wanted.comment)?;
    let request = |target| {
        // A host's own window only: the services are SCHEDULE_HOST_SVC_DOWNTIME's.
        Command::ScheduleDowntime(input::DowntimeRequest {
            target,
            covers: Covers::ObjectOnly,
            kind,
            triggered_by: (wanted.trigger_id != 0).then_some(wanted.trigger_id),
            spread,
            start,
            end,
            author: Arc::clone(&author),
            comment: Arc::clone(&comment),
        })
    };
    Ok(targets.into_iter().map(request).collect())
}

/// Ids are shared by hosts and services; the name of the command must fit what the id is on.
fn fits(object: &ObjectKey, of: Side) -> bool {
    match of {
        Side::Hosts => object.service.is_none(),
        Side::Services => object.service.is_some(),
        Side::Both => true,
    }
}

fn delete_downtime(world: &World<'_>, id: u64, of: Side) -> Result<Command, String> {
    match world.downtimes.get(&id) {
        Some(downtime) if !fits(&downtime.target, of) => {
            Err(format!("downtime {id} is on {}", describe(&downtime.target)))
        }
        Some(_) | None => Ok(Command::CancelDowntime { id, by: Arc::clone(world.user) }),
    }
}

fn delete_comment(world: &World<'_>, id: u64, of: Side) -> Result<Command, String> {
    match world.comments.get(&id) {
        Some(comment) if !fits(&comment.object, of) => Err(format!("comment {id} is on {}", describe(&comment.object))),
        Some(_) | None => Ok(Command::DeleteComment { id, by: Arc::clone(world.user) }),
    }
}

/// All downtimes that fit everything given: of a host without a service also those of its services.
fn delete_downtimes(world: &World<'_>, filter: &DowntimeFilter) -> Result<Vec<Command>, String> {
    let members = match &filter.hostgroup {
        Some(group) => Some(keys(world, wire::Scope::HostgroupHosts(group.clone()))?),
        None => None,
    };
    let start = filter.start.map(Timestamp::from_secs);
    let is_meant = |downtime: &&Downtime| {
        let target = &downtime.target;
        members.as_ref().is_none_or(|members| members.iter().any(|member| member.host == target.host))
            && filter.host.as_ref().is_none_or(|host| **host == *target.host)
            && filter.service.as_deref().is_none_or(|service| target.service.as_deref() == Some(service))
            && start.is_none_or(|start| start.as_secs() == downtime.start.as_secs())
            && filter.comment.as_ref().is_none_or(|comment| **comment == *downtime.comment)
    };
    let meant = world.downtimes.values().filter(is_meant);
    let cancel = |downtime: &Downtime| Command::CancelDowntime { id: downtime.id, by: Arc::clone(world.user) };
    let commands: Vec<Command> = meant.map(cancel).collect();
    if commands.is_empty() { Err("there is no such downtime".to_owned()) } else { Ok(commands) }
}
