//! `/commands`: Nagios external commands, one a line, as commands and results of the engine.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use stentor_core::engine::{CommandInput, ResultSource, Took};

use super::extract::{IdempotencyKey, InText};
use super::{ingest, json};
use crate::engine::{KeyedResult, Refused};
use crate::nagios::external::{self, Order, World};
use crate::web::WebState;
use crate::web::auth::{Role, Session};
use crate::web::problem::Problem;

/// Lines of one request; each waits for its turn.
const LINES_MAX: usize = 10_000;

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
        match run_line(&state, line, &session, &key, index).await {
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
    session: &Session,
    key: &IdempotencyKey,
    index: usize,
) -> Result<(), Wrong> {
    let snapshot = state.engine.snapshot();
    let user = &session.user;
    let world = World {
        catalog: &snapshot.catalog,
        downtimes: &snapshot.downtimes,
        comments: &snapshot.comments,
        now: state.clock.now(),
        user,
    };
    state.desk.seen.count_command();
    match external::order(line, &world)? {
        Order::Commands(commands) => {
            // The first one carries the line's words, so that it is logged once.
            let mut raw = Some(external::words_of(line));
            for (part, command) in commands.into_iter().enumerate() {
                let id = key.part(index).map(|id| format!("{id}/{part}").into());
                state.engine.order(CommandInput { command, raw: raw.take(), id }).await?;
            }
            Ok(())
        }
        Order::Result { object, observed_at, observation } => {
            let observation = Arc::new(observation);
            let result = KeyedResult {
                object,
                observed_at,
                source: ResultSource::Passive,
                observation,
                id: None,
                took: Took::default(),
            };
            Ok(ingest::submit(&state.engine, result).await??)
        }
        Order::Program(command) => {
            if session.require(Role::Admin).is_err() {
                return Err(Wrong::Line("only an administrator may stop, restart or save".to_owned()));
            }
            Ok(state.desk.carry_out(command, &state.engine).await?)
        }
        // Whoever may act on hosts may not read and remove files of this machine.
        Order::File { .. } => Err(Wrong::Line("files of commands are taken from the command pipe only".to_owned())),
    }
}
