//! `stentor bench passive`: passive results per second from the bytes of external commands to the state they make.
//!
//! The same steps as behind the command pipe: lines are cut, parsed, looked up by name, and applied by the engine. The
//! journal has a benchmark of its own.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use serde_json::json;
use stentor_core::catalog::Catalog;
use stentor_core::engine::{CheckResult, Engine, Input, ResultSource, Took};
use stentor_core::{Span, Timestamp};

use super::engine::catalog;
use crate::nagios::external::{self, Order, World};
use crate::nagios::lines::Lines;

/// Start of virtual time; any instant will do.
const START: Timestamp = Timestamp::from_secs(1_795_000_000);
/// What a pipe gives at once.
const PIECE_BYTES: usize = 64 * 1024;

#[derive(Debug, Args)]
pub struct PassiveArgs {
    /// Services in the catalog
    #[arg(long, default_value_t = 10_000)]
    pub services: usize,
    /// Times each service gets a result
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,
    /// One result in this many is a problem, the rest are OK
    #[arg(long, default_value_t = 50)]
    pub problem_every: usize,
    /// One line in this many is garbage; 0 = none
    #[arg(long, default_value_t = 0)]
    pub garbage_every: usize,
}

/// # Errors
/// The figures asked for are too small, or standard output is closed.
pub fn run(args: &PassiveArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    ensure!(args.services >= 50 && args.rounds >= 1, "at least 50 services and 1 round are needed");
    let catalog = Arc::new(catalog(args.services));
    let mut engine = Engine::new();
    engine.begin_turn(1);
    engine.apply(START, &Input::Catalog(Arc::clone(&catalog)));
    let nobody: Arc<str> = Arc::default();
    let (mut results, mut refused, mut bytes) = (0u64, 0u64, 0u64);
    let (mut read, mut applied) = (Duration::ZERO, Duration::ZERO);
    for n in 0..args.rounds {
        let at = START + Span::from_secs(60) * (n as i64 + 1);
        let text = round(args, &catalog, n, at);
        bytes += text.len() as u64;
        let mut lines = Lines::default();
        for piece in text.as_bytes().chunks(PIECE_BYTES) {
            let began = Instant::now();
            let inputs: Vec<Option<Input>> = lines
                .push(piece)
                .lines
                .iter()
                .map(|line| {
                    let world = World {
                        catalog: &catalog,
                        downtimes: engine.downtimes(),
                        comments: engine.comments(),
                        now: at,
                        user: &nobody,
                    };
                    input(line, &world)
                })
                .collect();
            read += began.elapsed();
            let began = Instant::now();
            for input in &inputs {
                match input {
                    Some(input) => drop(engine.apply(at, input)),
                    None => refused += 1,
                }
            }
            applied += began.elapsed();
            results += inputs.iter().flatten().count() as u64;
        }
    }
    let counters = engine.snapshot().counters;
    ensure!(counters.results_applied == results, "{} of {results} results counted", counters.results_applied);
    let spent = read + applied;
    let answer = json!({
        "bench": "passive",
        "services": args.services,
        "results": results,
        "refused": refused,
        "bytes": bytes,
        "results_per_second": (results as f64 / spent.as_secs_f64()).round(),
        "nanoseconds_per_result": (spent.as_nanos() as f64 / results as f64).round(),
        "of_which_reading": (read.as_nanos() as f64 / results as f64).round(),
    });
    writeln!(out, "{answer}")?;
    Ok(0)
}

/// What the engine is told of a line; `None` = it was refused.
fn input(line: &str, world: &World<'_>) -> Option<Input> {
    let Ok(Order::Result { object, observed_at, observation }) = external::order(line, world) else { return None };
    let object = world.catalog.object_id(&object)?;
    let source = ResultSource::Passive;
    Some(Input::Result(CheckResult {
        object,
        observed_at,
        source,
        observation: Arc::new(observation),
        id: None,
        took: Took::default(),
    }))
}

/// Lines as senders of passive results write them.
fn round(args: &PassiveArgs, catalog: &Catalog, n: usize, at: Timestamp) -> String {
    let mut text = String::new();
    for (i, service) in catalog.services.iter().enumerate() {
        let host = &catalog.hosts[service.host.index()].name;
        let bad = args.problem_every > 0 && (i + n).is_multiple_of(args.problem_every);
        let (code, word) = if bad { (2, "CRITICAL") } else { (0, "OK") };
        let (rta, seconds) = ((i * 31 + n * 17) % 1000, at.as_secs());
        text.push_str(&format!(
            "[{seconds}] PROCESS_SERVICE_CHECK_RESULT;{host};{};{code};{word} - rta 0.{rta:03} ms|rta=0.{rta:03}ms;100;500;0\n",
            service.name
        ));
        if args.garbage_every > 0 && i.is_multiple_of(args.garbage_every) {
            text.push_str("[1795000000] NO_SUCH_COMMAND;to;be;refused\n");
        }
    }
    text
}
