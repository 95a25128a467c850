//! What the exec probe costs beyond the system: the same plugin, executed by the probe and by the barest loop there
//! is, in turns, so that whatever else the machine does hits both alike.

use std::io::Write;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde_json::json;
use stentor_core::model::{Outcome, ServiceState, Value};

use crate::clock::Clock;
use crate::probes::{Blind, ErasedProbe, Network, ProbeEnv, Target, find};

/// Rounds below this make a poor median.
const ROUNDS_MIN: u32 = 5;

/// Deadline of one execution; none of them comes near.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Run where it is installed: a real plugin that does nothing but start and print.
const DUMMY: &str = "/usr/lib/nagios/plugins/check_dummy";

#[derive(Debug, Args)]
pub struct SpawnArgs {
    /// The plugin and its arguments; it must exit with 0. Default: check_dummy 0 ok, else echo.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
    /// Rounds; in each, both sides run once, and the other side goes first.
    #[arg(long, default_value_t = ROUNDS_MIN)]
    pub rounds: u32,
    /// Milliseconds each side runs in a round.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(10..))]
    pub millis: u64,
    /// Executions at once, on both sides; default: twice the cores.
    #[arg(long)]
    pub concurrency: Option<usize>,
}

pub fn run(args: &SpawnArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    ensure!(args.rounds >= ROUNDS_MIN, "at least {ROUNDS_MIN} rounds are needed for a median");
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let concurrency = args.concurrency.unwrap_or(2 * cores).max(1);
    let command = if args.command.is_empty() { default_command() } else { args.command.clone() };
    let lasting = Duration::from_millis(args.millis);

    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let probe = probe(&command)?;
    let ours = || runtime.block_on(with_probe(&probe, concurrency, lasting));
    let bare = || with_bare_loop(&command, concurrency, lasting);

    // Fills caches and shows a command that does not work before anything is measured.
    bare_once(&command)?;
    let mut rounds = Vec::new();
    for round in 0..args.rounds {
        let (bare_per_s, exec_per_s) = if round % 2 == 0 {
            let bare = bare()?;
            (bare, ours()?)
        } else {
            let ours = ours()?;
            (bare()?, ours)
        };
        rounds.push((bare_per_s, exec_per_s));
    }
    let answer = json!({
        "bench": "spawn",
        "command": command,
        "cores": cores,
        "concurrency": concurrency,
        "millis_per_side": args.millis,
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "bare_per_s": median(rounds.iter().map(|(bare, _)| *bare)),
        "exec_per_s": median(rounds.iter().map(|(_, exec)| *exec)),
        "ratios": rounds.iter().map(|(bare, exec)| exec / bare).collect::<Vec<_>>(),
        "ratio_median": median(rounds.iter().map(|(bare, exec)| exec / bare)),
        "goal": 0.8,
    });
    writeln!(out, "{answer}").context("cannot write the answer")?;
    Ok(0)
}

fn default_command() -> Vec<String> {
    let words: &[&str] = if Path::new(DUMMY).is_file() { &[DUMMY, "0", "ok"] } else { &["/bin/echo", "ok"] };
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn probe(command: &[String]) -> anyhow::Result<Arc<dyn ErasedProbe>> {
    let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: Clock::Machine };
    let words = command.iter().map(|word| word.replace('$', "$$")).collect::<Vec<_>>();
    let params: Value = [("command", Value::from(words))].into_iter().collect();
    let entry = find("exec").context("the exec probe is not registered")?;
    Ok((entry.build)(&params, &env)?)
}

/// Executions per second of the probe, `concurrency` at once on all workers.
async fn with_probe(probe: &Arc<dyn ErasedProbe>, concurrency: usize, lasting: Duration) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        let probe = Arc::clone(probe);
        workers.spawn(async move {
            let target = Target { host: "localhost".into(), address: "127.0.0.1".into(), bmc: None };
            let mut count = 0_u32;
            while start.elapsed() < lasting {
                let seen = probe.run(&target, tokio::time::Instant::now() + TIMEOUT).await?;
                ensure!(seen.outcome == Outcome::Reported(ServiceState::Ok), "the probe saw {seen:?}");
                count += 1;
            }
            Ok(count)
        });
    }
    let mut count = 0;
    while let Some(worker) = workers.join_next().await {
        count += worker.context("a worker panicked")??;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// Executions per second of `concurrency` threads that do nothing else.
fn with_bare_loop(command: &[String], concurrency: usize, lasting: Duration) -> anyhow::Result<f64> {
    let start = Instant::now();
    let worker = || {
        let mut count = 0_u32;
        while start.elapsed() < lasting {
            bare_once(command)?;
            count += 1;
        }
        Ok::<_, anyhow::Error>(count)
    };
    let counts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..concurrency).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
    });
    let mut total = 0;
    for count in counts {
        match count {
            Ok(count) => total += count?,
            Err(_) => bail!("a thread of the bare loop panicked"),
        }
    }
    Ok(f64::from(total) / start.elapsed().as_secs_f64())
}

/// `posix_spawn` (which std takes for an absolute path without a pre-exec hook), two pipes read to their end, wait.
fn bare_once(command: &[String]) -> anyhow::Result<()> {
    let (program, args) = command.split_first().context("the command is empty")?;
    let output = Command::new(program)
        .args(args)
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("LANG", "C")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} ended with {}", output.status);
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { at(middle) } else { (at(middle.saturating_sub(1)) + at(middle)) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(command: &[&str], rounds: u32) -> SpawnArgs {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        SpawnArgs { command, rounds, millis: 20, concurrency: Some(2) }
    }

    #[test]
    fn one_json_object_with_both_sides_and_their_ratios() {
        let mut out = Vec::new();
        assert_eq!(run(&args(&["/bin/echo", "a $HOSTNAME$ b"], 5), &mut out).expect("echo runs"), 0);
        let answer: serde_json::Value = serde_json::from_slice(&out).expect("one JSON object");
        assert_eq!(answer["ratios"].as_array().map(Vec::len), Some(5));
        for key in ["bare_per_s", "exec_per_s", "ratio_median"] {
            assert!(answer[key].as_f64().is_some_and(|figure| figure > 0.0), "{key}: {answer}");
        }
    }

    #[test]
    fn a_plugin_that_fails_or_is_missing_is_not_measured() {
        for command in [&["/bin/false"][..], &["/no/such/plugin"]] {
            assert!(run(&args(command, 5), &mut Vec::new()).is_err(), "{command:?}");
        }
        assert!(run(&args(&["/bin/true"], 4), &mut Vec::new()).is_err(), "too few rounds");
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert!((median([4.0, 1.0, 3.0, 2.0].into_iter()) - 2.5).abs() < f64::EPSILON);
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < f64::EPSILON);
    }
}
