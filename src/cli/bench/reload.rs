//! `stentor bench reload`: a service under load whose configuration is read again and again; how late its checks are,
//! and whether one is lost or runs twice.
//!
//! Everything is the real thing (writer, journal, database, collector, reading of files) except what a check does. When
//! each check is due is computed here from its name and interval alone, so that a schedule that errs cannot vouch for
//! itself.

mod config;
mod judge;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use stentor_core::model::{ObjectKey, Observation, ServiceState};
use stentor_core::{Span, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use self::config::{Change, Plan};
use self::judge::{Run, Verdict, judge};
use crate::app::{self, Options, Service};
use crate::clock::Clock;
use crate::config as configuration;
use crate::probes::{BuildError, Deadline, ErasedProbe, ProbeError, Target};

/// Runs that may wait to be noted; hours of them.
const RUNS_MAX: usize = 1 << 22;
/// Every check has run for the first time after this long (15 s are promised), and the next turn has begun.
const WARM_UP: Duration = Duration::from_secs(16);
/// What is due at the end may be this late, and be seen.
const AFTER: Duration = Duration::from_secs(3);
/// Results that have been posted are counted within this.
const COUNTED_WITHIN: Duration = Duration::from_secs(20);
/// Later than this is a failure.
const LATE_MAX: Span = Span::from_secs(1);

#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Seconds of load that are judged
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(5..=86_400))]
    pub seconds: u32,
    /// Reloads in that time, evenly spread: every fifth unchanged, every fifth refused, the others with changes
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub reloads: u32,
    /// Checks a second
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rate: u32,
    /// Interval of every check, seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=3600))]
    pub every: u32,
}

/// Exit status 1 if a check was later than a second, lost or doubled.
///
/// # Errors
/// The service does not start, or takes a configuration otherwise than meant.
pub fn run(args: &ReloadArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let (answer, is_good) = runtime.block_on(measure(args))?;
    writeln!(out, "{answer}").context("cannot write the answer")?;
    Ok(u8::from(!is_good))
}

async fn measure(args: &ReloadArgs) -> anyhow::Result<(serde_json::Value, bool)> {
    let folder = tempfile::Builder::new().prefix("stentor-bench-").tempdir().context("no temporary folder")?;
    let path = folder.path().join("stentor.toml");
    let mut plan = Plan::new(args.rate * args.every, Span::from_secs(args.every.into()));
    plan.write(&path)?;
    let loaded = configuration::load(&path).map_err(|found| anyhow::anyhow!("the benchmark's own:\n{found}"))?;
    let (noted, mut notes) = mpsc::channel(RUNS_MAX);
    let watch = Watch { wall: Clock::Machine.now(), start: Instant::now() };
    let options = Options { factory: recorders(noted, watch), ..Options::default() };
    let service = app::start(loaded, options).await.context("the service does not start")?;

    sleep_until(Instant::now() + WARM_UP).await;
    let (from, begin) = (watch.now(), Instant::now());
    let lasting = Duration::from_secs(args.seconds.into());
    let mut reloads = Reloads::default();
    for number in 0..args.reloads {
        sleep_until(begin + lasting.mul_f64((f64::from(number) + 0.5) / f64::from(args.reloads))).await;
        reloads.one(&mut plan, number, &path, &service, watch).await?;
    }
    sleep_until(begin + lasting).await;
    let until = watch.now();
    sleep_until(Instant::now() + AFTER).await;

    let mut runs: Vec<Run> = Vec::new();
    while let Ok(run) = notes.try_recv() {
        runs.push(run);
    }
    let verdict = judge(&plan, &runs, from, until);
    let results_lost = results_lost(&plan, &runs, &service).await;
    service.stop().await;
    let is_good = verdict.late_max <= LATE_MAX && verdict.lost + verdict.doubled + verdict.unasked + results_lost == 0;
    Ok((answer(args, &plan, &verdict, &reloads, results_lost), is_good))
}

fn answer(
    args: &ReloadArgs,
    plan: &Plan,
    verdict: &Verdict,
    reloads: &Reloads,
    results_lost: usize,
) -> serde_json::Value {
    json!({
        "bench": "reload",
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "services": plan.steady_count(),
        "every_s": args.every,
        "seconds": args.seconds,
        "checks_due": verdict.due,
        "checks_per_second": verdict.due as f64 / f64::from(args.seconds),
        "reloads": { "unchanged": reloads.unchanged, "changed": reloads.changed, "refused": reloads.refused },
        "reload_ms_max": reloads.longest.as_millis() as u64,
        "late_ms_max": verdict.late_max.as_millis(),
        "late_ms_p99": verdict.late_p99.as_millis(),
        "late": verdict.late,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "unasked": verdict.unasked,
        "results_lost": results_lost,
        "goal": { "late_ms_max": LATE_MAX.as_millis(), "lost": 0, "doubled": 0 },
    })
}

/// Steady time on the scale of the wall clock.
#[derive(Copy, Clone)]
struct Watch {
    wall: Timestamp,
    start: Instant,
}

impl Watch {
    fn now(self) -> Timestamp {
        self.wall + Span::from(self.start.elapsed())
    }
}

#[derive(Default)]
struct Reloads {
    unchanged: u32,
    changed: u32,
    refused: u32,
    longest: Duration,
}

impl Reloads {
    async fn one(
        &mut self,
        plan: &mut Plan,
        number: u32,
        path: &Path,
        service: &Service,
        watch: Watch,
    ) -> anyhow::Result<()> {
        let change = Change::of_turn(number);
        plan.change(change);
        plan.write(path)?;
        let began = Instant::now();
        let answer = service.reload(path).await;
        self.longest = self.longest.max(began.elapsed());
        match (change, answer) {
            (Change::Bad, Err(_)) => self.refused += 1,
            (Change::Bad, Ok(())) => bail!("a bad configuration was taken"),
            (_, Err(error)) => return Err(error.context("a good configuration was refused")),
            (Change::Nothing, Ok(())) => self.unchanged += 1,
            (Change::Add | Change::Alter | Change::Remove, Ok(())) => self.changed += 1,
        }
        plan.in_force(watch.now());
        Ok(())
    }
}

/// Probes that answer at once and note that they ran.
fn recorders(noted: mpsc::Sender<Run>, watch: Watch) -> crate::collector::Factory {
    Box::new(move |_, params, _| {
        let id = config::id_of(params).ok_or_else(|| BuildError { message: "not a check of this benchmark".into() })?;
        Ok(Arc::new(Recorder { id, noted: noted.clone(), watch }))
    })
}

struct Recorder {
    id: u32,
    noted: mpsc::Sender<Run>,
    watch: Watch,
}

impl ErasedProbe for Recorder {
    fn run<'a>(
        &'a self,
        _: &'a Target,
        _: Deadline,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Observation, ProbeError>> + Send + 'a>> {
        Box::pin(async move {
            let at = self.watch.now();
            // A run that finds no room is counted as lost, which is the safe side.
            let _ = self.noted.try_send(Run { id: self.id, at });
            Ok(Observation::reported(ServiceState::Ok, format!("run at {}", at.as_millis())))
        })
    }
}

/// Steady services whose newest run the engine does not know.
async fn results_lost(plan: &Plan, runs: &[Run], service: &Service) -> usize {
    let newest = judge::newest(runs, plan.steady_count());
    let patience = Instant::now() + COUNTED_WITHIN;
    loop {
        let snapshot = service.engine.snapshot();
        let unknown = |(id, at): &(usize, &Option<Timestamp>)| {
            let Some(at) = at else { return true };
            let (host, name) = config::names(*id as u32);
            let key = ObjectKey { host: host.into(), service: Some(name.into()) };
            let row = snapshot.catalog.object_id(&key).map(|object| *snapshot.row(object));
            // The collector reads its own clock just before the probe does.
            row.is_none_or(|row| row.last_check + judge::TOLERANCE < *at)
        };
        let lost = newest.iter().enumerate().filter(unknown).count();
        if lost == 0 || Instant::now() > patience {
            return lost;
        }
        sleep_until(Instant::now() + Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_service_under_reloads_gives_one_json_object() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let args = ReloadArgs { seconds: 5, reloads: 5, rate: 20, every: 2 };
        let mut out = Vec::new();
        let status = run(&args, &mut out).expect("the service runs");
        let answer: serde_json::Value = serde_json::from_slice(&out).expect("one JSON object");
        assert_eq!(answer["reloads"], json!({ "unchanged": 1, "changed": 3, "refused": 1 }));
        assert!(answer["checks_due"].as_u64().is_some_and(|due| due >= 80), "{answer}");
        // How late they are is the machine's business in a test; that none is lost or doubled is not.
        for key in ["lost", "doubled", "unasked", "results_lost"] {
            assert!(answer["late"] != 0 || answer[key] == 0, "{key}: {answer}");
        }
        assert!(status <= 1);
    }
}
