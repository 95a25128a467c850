//! `stentor bench engine`: results applied per second on one core, and bytes a service costs.
//!
//! The same `Engine::apply` as everywhere. Observations are made before the clock starts; what is measured is judging,
//! applying, keeping and counting them.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;
use stentor_core::catalog::{Catalog, Check, Host, Service, Timing, Zone};
use stentor_core::engine::{CheckResult, Engine, Input, ResultSource, Took};
use stentor_core::id::{CheckId, HostId, ObjectId, ServiceId, ZoneId};
use stentor_core::model::{Measurement, Observation, ServiceState, Value};
use stentor_core::{Span, Timestamp};

const SERVICES_PER_HOST: usize = 50;
/// Start of virtual time; any instant will do.
const START: Timestamp = Timestamp::from_secs(1_795_000_000);

#[derive(Debug, Args)]
pub struct EngineArgs {
    /// Services in the catalog
    #[arg(long, default_value_t = 100_000)]
    pub services: usize,
    /// Times each service gets a result
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,
    /// One result in this many is a problem, the rest are OK
    #[arg(long, default_value_t = 50)]
    pub problem_every: usize,
    /// Perfdata items in each result
    #[arg(long, default_value_t = 0)]
    pub measurements: usize,
}

/// # Errors
/// The figures asked for are too small, or standard output is closed.
pub fn run(args: &EngineArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    ensure!(args.services >= SERVICES_PER_HOST, "at least {SERVICES_PER_HOST} services are needed");
    ensure!(args.rounds >= 2, "at least 2 rounds are needed");
    let before = resident_bytes()?;
    let mut engine = Engine::new();
    engine.begin_turn(1);
    engine.apply(START, &Input::Catalog(Arc::new(catalog(args.services))));
    let catalog_bytes = resident_bytes()?.saturating_sub(before);
    // A first round that is kept, dropped by nobody else: what a service costs.
    for (i, input) in round(args, 0).into_iter().enumerate() {
        engine.apply(START + Span::from_millis(i as i64 / 100), &input);
    }
    let state_bytes = resident_bytes()?.saturating_sub(before);

    let mut rounds: Vec<Vec<Input>> = (1..=2).map(|n| round(args, n)).collect();
    let (mut applied, mut spent, mut events) = (0u64, std::time::Duration::ZERO, 0u64);
    for n in 0..args.rounds {
        let at = START + Span::from_secs(60) * (n as i64 + 1);
        let inputs = &mut rounds[n % 2];
        for input in inputs.iter_mut() {
            if let Input::Result(result) = input {
                result.observed_at = at;
            }
        }
        let began = Instant::now();
        for input in &*inputs {
            events += engine.apply(at, input).events.len() as u64;
            applied += 1;
        }
        spent += began.elapsed();
    }
    let last = START + Span::from_secs(60) * args.rounds as i64;
    let tick = Instant::now();
    engine.apply(last, &Input::Tick);
    let tick = tick.elapsed();
    let publish = Instant::now();
    let snapshot = engine.snapshot();
    let late = snapshot.counters.results_late;
    ensure!(late == 0, "{late} results were too late to count: the benchmark measures nothing");
    let publish = publish.elapsed();
    let answer = json!({
        "bench": "engine",
        "services": args.services,
        "hosts": snapshot.hosts.len(),
        "measurements_per_result": args.measurements,
        "problem_every": args.problem_every,
        "results": applied,
        "events": events,
        "results_per_second": (applied as f64 / spent.as_secs_f64()).round(),
        "nanoseconds_per_result": (spent.as_nanos() as f64 / applied as f64).round(),
        "bytes_per_service": state_bytes / args.services as u64,
        "of_which_catalog": catalog_bytes / args.services as u64,
        "tick_milliseconds": tick.as_secs_f64() * 1e3,
        "snapshot_milliseconds": publish.as_secs_f64() * 1e3,
    });
    writeln!(out, "{answer}")?;
    Ok(0)
}

/// Real-looking results of one round: text with a number that changes, as plugins print it.
fn round(args: &EngineArgs, n: usize) -> Vec<Input> {
    (0..args.services)
        .map(|i| {
            let bad = args.problem_every > 0 && (i + n).is_multiple_of(args.problem_every);
            let state = if bad { ServiceState::Critical } else { ServiceState::Ok };
            let text = format!("{state} - rta {}.{:03} ms, lost 0%", i % 7, (i * 31 + n * 17) % 1000);
            let mut observation = Observation::reported(state, text);
            observation.measurements =
                (0..args.measurements).map(|m| Measurement::new(["rta", "pl"][m % 2], m as f64, "ms")).collect();
            Input::Result(CheckResult {
                object: ObjectId::Service(ServiceId::from_index(i)),
                observed_at: START + Span::from_secs(n as i64),
                source: ResultSource::Active,
                observation: Arc::new(observation),
                id: None,
                took: Took::default(),
            })
        })
        .collect()
}

pub(super) fn catalog(services: usize) -> Catalog {
    let check = Check {
        name: "bench".into(),
        probe: "exec".into(),
        params: Value::Null,
        every: Span::from_secs(60),
        retry: Span::from_secs(15),
        timeout: Span::from_secs(10),
        attempts: 3,
        rules: Vec::new(),
        signals: Vec::new(),
        host_side: false,
        freshness: Span::from_secs(600),
    };
    let mut catalog = Catalog {
        timing: Timing::default(),
        zones: vec![Zone { name: "main".into(), cloud: None }],
        checks: vec![check],
        ..Catalog::default()
    };
    for i in 0..services {
        if i % SERVICES_PER_HOST == 0 {
            let name: Arc<str> = format!("host-{:05}.example.org", i / SERVICES_PER_HOST).into();
            catalog.hosts.push(Host::bare(&name, ZoneId(0)));
        }
        let host = HostId::from_index(catalog.hosts.len() - 1);
        catalog.hosts[host.index()].services.push(ServiceId::from_index(i));
        catalog.services.push(Service {
            host,
            name: format!("service {:02}", i % SERVICES_PER_HOST).into(),
            check: CheckId(0),
            params: Value::Null,
            component: None,
        });
    }
    catalog.reindex();
    catalog
}

/// Memory of this process that is in RAM.
fn resident_bytes() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").context("/proc/self/statm cannot be read")?;
    let pages: u64 =
        statm.split(' ').nth(1).and_then(|field| field.parse().ok()).context("statm has no second field")?;
    Ok(pages * rustix::param::page_size() as u64)
}
