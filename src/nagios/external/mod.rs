//! One external command line to what the engine is asked. Decides nothing about who may send it.

mod notices;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::catalog::Catalog;
use stentor_core::engine::Command;
use stentor_core::model::{Comment, Downtime, ObjectKey, Observation};
use stentor_core::{Span, Timestamp};
use stentor_wire::nagios::external_command::{self as wire, ExternalCommand, PassiveResult, ProgramCommand};

use super::passive;
use words::{change_of, contact_change_of, forced_of, key_of, scope_of, side_of};

pub use notices::COMMENT_BYTES_MAX;

/// What a line is read against.
pub struct World<'a> {
    pub catalog: &'a Catalog,
    pub downtimes: &'a BTreeMap<u64, Downtime>,
    pub comments: &'a BTreeMap<u64, Comment>,
    pub now: Timestamp,
    /// Who sends it; empty where nobody is known, as in a recording.
    pub user: &'a Arc<str>,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// All of them, in this order; more than one where a line means several things.
    Commands(Vec<Command>),
    Result {
        object: ObjectKey,
        observed_at: Timestamp,
        observation: Observation,
    },
    /// For the process.
    Program(ProgramCommand),
    /// Further lines are in a file.
    File {
        path: String,
        delete: bool,
    },
}

/// Reads one line.
///
/// # Errors
/// Why it cannot be carried out, for the person who sent it.
pub fn order(line: &str, world: &World<'_>) -> Result<Order, String> {
    let line = wire::parse(line).map_err(|e| e.to_string())?;
    let entered_at = entered_at(line.entered_at, world.now);
    let one = |command| Ok(Order::Commands(vec![command]));
    match line.command {
        ExternalCommand::Custom => one(Command::Nothing),
        ExternalCommand::Switch { scope, switch, on } => words::switch(scope, switch, on).and_then(one),
        ExternalCommand::Change { object, change } => {
            one(Command::Change { object: key_of(object), change: change_of(change) })
        }
        ExternalCommand::ChangeContact { contact, change } => {
            one(Command::ChangeContact { contact: contact.into(), change: contact_change_of(change)? })
        }
        ExternalCommand::GlobalEventHandler { side, command } => {
            let side = side_of(side).ok_or(words::NO_SUCH_SWITCH)?;
            one(Command::GlobalEventHandler { side, command: command.into() })
        }
        ExternalCommand::ClearFlapping(object) => one(Command::ClearFlapping { object: key_of(object) }),
        ExternalCommand::ScheduleCheck { scope, at, forced, note } => {
            let noted = note.map(|note| notices::noted(world, &scope, note)).transpose()?.flatten();
            let scope = scope_of(scope).ok_or(words::NO_SUCH_SWITCH)?;
            let at = Timestamp::from_secs(at);
            let check = Command::ScheduleChecks { scope, at, forced: forced_of(forced) };
            Ok(Order::Commands(std::iter::once(check).chain(noted).collect()))
        }
        ExternalCommand::ProcessResult(result) => keyed(world.catalog, result, entered_at),
        ExternalCommand::ProcessFile { path, delete } => Ok(Order::File { path, delete }),
        ExternalCommand::Program(command) => Ok(Order::Program(command)),
        ExternalCommand::Log(text) => one(Command::Log { text: text.into() }),
        notice => notices::commands(notice, world, entered_at).map(Order::Commands),
    }
}

/// `NAME;arguments` as logs show a line: without its time, without control characters, and not for ever.
pub fn words_of(line: &str) -> Arc<str> {
    /// What Nagios itself takes of a line at most.
    const CHARS_MAX: usize = 16_384;
    let visible = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    wire::without_time(line).chars().map(visible).take(CHARS_MAX).collect::<String>().into()
}

/// `service web on host a`, `host a`.
pub fn describe(key: &ObjectKey) -> String {
    match &key.service {
        Some(service) => format!("service `{service}` on host `{}`", key.host),
        None => format!("host `{}`", key.host),
    }
}

/// A line says only the second: it is taken for its end, or a result of this second would count as older than one
/// that came by another way a moment before. Never the future.
fn entered_at(seconds: Option<i64>, now: Timestamp) -> Timestamp {
    const REST_OF_SECOND: Span = Span::from_millis(999);
    seconds.map_or(now, |seconds| (Timestamp::from_secs(seconds) + REST_OF_SECOND).min(now))
}

/// The host is looked up by name, then by address, as Nagios does.
fn keyed(catalog: &Catalog, result: PassiveResult, at: Timestamp) -> Result<Order, String> {
    let mut object = key_of(result.object);
    if catalog.host_id(&object.host).is_none()
        && let Some(id) = catalog.host_by_address(&object.host)
    {
        object.host = Arc::clone(&catalog.hosts[id.index()].name);
    }
    let observation = match object.service {
        Some(_) => passive::of_service(result.code, &result.output),
        None => {
            passive::of_host(result.code, &result.output).ok_or_else(|| "a host's state is 0, 1 or 2".to_owned())?
        }
    };
    Ok(Order::Result { object, observed_at: at, observation })
}
