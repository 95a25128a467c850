//! `stentor bench journal`: how many turns and inputs a second the journal makes durable on this disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use stentor_core::engine::input::CheckResult;
use stentor_core::engine::{Input, ResultSource, Took};
use stentor_core::id::{ObjectId, ServiceId};
use stentor_core::model::{Observation, ServiceState};
use stentor_core::{Span, Timestamp};

use super::{Journal, JournalError, SqliteJournal, Turn};

/// One size of turn and what it gave.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub inputs_per_turn: u32,
    pub turns: u32,
    pub turns_per_second: f64,
    pub inputs_per_second: f64,
    pub journal_bytes_per_input: f64,
    /// Reading everything back and decoding it, as a restart does.
    pub read_inputs_per_second: f64,
}

/// Appends turns of several sizes to a journal of its own under `dir`, each synced like a live one, and reads them back.
///
/// # Errors
/// The journal cannot be written there.
pub async fn run(dir: &Path) -> Result<Vec<Figure>, JournalError> {
    let mut figures = Vec::new();
    for (inputs_per_turn, turns) in [(1, 500), (16, 300), (256, 100), (1024, 40)] {
        figures.push(one(&dir.join(inputs_per_turn.to_string()), inputs_per_turn, turns).await?);
    }
    Ok(figures)
}

async fn one(dir: &Path, inputs_per_turn: u32, turns: u32) -> Result<Figure, JournalError> {
    let journal = SqliteJournal::open(dir).await?;
    let before = journal.bytes().await?;
    let start = Timestamp::from_secs(1_795_000_000);
    let batches: Vec<Turn> = (1..=turns)
        .map(|turn| Turn {
            seq: u64::from(turn),
            at: start + Span::from_secs(i64::from(turn)),
            inputs: (0..inputs_per_turn).map(|input| result(turn, input, start)).collect(),
        })
        .collect();
    let began = Instant::now();
    for turn in &batches {
        journal.append(turn).await?;
    }
    let wrote = began.elapsed().as_secs_f64();
    let bytes = journal.bytes().await?.saturating_sub(before);
    let began = Instant::now();
    let mut after = 0;
    loop {
        let page = journal.read(after, 100).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
    }
    let read = began.elapsed().as_secs_f64();
    journal.close().await;
    let inputs = f64::from(turns) * f64::from(inputs_per_turn);
    Ok(Figure {
        inputs_per_turn,
        turns,
        turns_per_second: f64::from(turns) / wrote,
        inputs_per_second: inputs / wrote,
        journal_bytes_per_input: bytes as f64 / inputs,
        read_inputs_per_second: inputs / read,
    })
}

/// An ordinary OK result: a line of output, two facts, one measurement.
fn result(turn: u32, input: u32, start: Timestamp) -> Input {
    let millis = f64::from((turn * 7 + input * 13) % 900);
    let observation =
        Observation::reported(ServiceState::Ok, format!("TCP OK - {millis} ms response time on port 8773"))
            .fact("port", "open")
            .fact("latency_ms", millis)
            .measure("time", millis / 1000.0, "s");
    Input::Result(CheckResult {
        object: ObjectId::Service(ServiceId(input * 97 % 100_000)),
        observed_at: start + Span::from_millis(i64::from(turn) * 1000 + i64::from(input)),
        source: ResultSource::Active,
        observation: Arc::new(observation),
        id: None,
        took: Took::default(),
    })
}
