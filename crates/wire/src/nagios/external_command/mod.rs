//! External commands: `[time] NAME;argument;…` to what is asked for. Never decides whether it may be done.

mod fields;
mod model;
mod numbers;
mod read;
mod table;
#[cfg(test)]
mod tests;

pub use model::{
    Acknowledge, Change, ContactChange, CustomOptions, DowntimeFilter, ExternalCommand, Forced, Note, Object,
    PassiveResult, ProgramCommand, ScheduleDowntime, Scope, Side, Switch,
};
pub use numbers::{NUMBERS, by_cmd_typ, cmd_typ};
pub use table::{Argument, COMMANDS, Kind, Presence, Row};

use fields::Fields;

/// One line, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Epoch seconds from the brackets; entry time of acknowledgements and passive results.
    pub entered_at: Option<i64>,
    pub command: ExternalCommand,
}

/// Why a line was refused, for the person who wrote it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineError {
    #[error("the line is empty")]
    Empty,
    #[error("`[` must be followed by epoch seconds, `]`, a blank and a command")]
    Time,
    #[error("`{0}` is not a command that Stentor knows")]
    Unknown(String),
    #[error("{name} needs {arguments}")]
    TooFew { name: &'static str, arguments: String },
    #[error("{name}: `{field}` must not be empty")]
    EmptyField { name: &'static str, field: &'static str },
    #[error("{name}: `{field}` must be a number, not `{text}`")]
    NotANumber { name: &'static str, field: &'static str, text: String },
    #[error("{name}: `{field}` must be {wanted}, not `{text}`")]
    OutOfRange { name: &'static str, field: &'static str, wanted: &'static str, text: String },
    #[error("{name}: a host's state is 0 (UP), 1 (DOWN) or 2 (UNREACHABLE), not {code}")]
    HostCode { name: &'static str, code: i64 },
    #[error("{name} needs a start or a comment")]
    NoFilter { name: &'static str },
}

/// Reads one line, with or without its `[time]`.
///
/// # Errors
/// The line names no known command, or its arguments do not fit.
pub fn parse(line: &str) -> Result<Line, LineError> {
    let (entered_at, rest) = split_time(line)?;
    if rest.trim().is_empty() {
        return Err(LineError::Empty);
    }
    let (name, arguments) = split_name(rest);
    if name.starts_with('_') {
        return Ok(Line { entered_at, command: ExternalCommand::Custom });
    }
    let Some(row) = find(name) else { return Err(LineError::Unknown(shown(name))) };
    let fields = Fields::split(row, arguments)?;
    Ok(Line { entered_at, command: read::command(row, &fields)? })
}

/// `NAME;arguments` of a line, without its time: what logs show.
pub fn without_time(line: &str) -> &str {
    split_time(line).map_or(line, |(_, rest)| rest).trim()
}

/// The command of that name, in whatever case it is written.
pub fn find(name: &str) -> Option<&'static Row> {
    COMMANDS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

fn split_time(line: &str) -> Result<(Option<i64>, &str), LineError> {
    let line = line.trim_end_matches(['\r', '\n']);
    let Some(rest) = line.strip_prefix('[') else { return Ok((None, line)) };
    let (time, rest) = rest.split_once("] ").ok_or(LineError::Time)?;
    let time = time.trim();
    if time.is_empty() || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(LineError::Time);
    }
    Ok((Some(fields::instant(time.parse().unwrap_or(i64::MAX))), rest))
}

fn split_name(rest: &str) -> (&str, Option<&str>) {
    match rest.split_once(';') {
        Some((name, arguments)) => (name.trim(), Some(arguments)),
        None => (rest.trim(), None),
    }
}

/// Enough of a wrong word to recognise it.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut out: String = text.trim().chars().map(visible).take(CHARS_MAX).collect();
    if text.trim().chars().nth(CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}
