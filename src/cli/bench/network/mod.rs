//! `stentor bench tcp|http|snmp`: the collector with many checks of one native probe against simulators in a process of
//! their own, first all well, then with a tenth of the peers silent; beside it the usual plugins, one after the other.
//!
//! Real are the collector, its lanes and the probe. The engine is an inbox that counts: what it costs to apply results is
//! measured by `stentor bench engine`.

mod agent;
mod cost;
mod peers;
mod simulator;
mod world;

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::json;
use stentor_core::model::Value;

use self::cost::Cost;
use self::simulator::{Layout, Simulator};
use self::world::{Load, Seen};

pub use self::simulator::{SimulateArgs, simulate};

/// First runs are spread over 15 s; after this each check is in its turn.
const WARM_UP: Duration = Duration::from_secs(17);
/// Of ten hosts this many are silent in the second part.
const SILENT_OF_TEN: usize = 1;

/// What the simulators speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Kind {
    Tcp,
    Http,
    Snmp,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Tcp => "tcp",
            Kind::Http => "http",
            Kind::Snmp => "snmp",
        }
    }

    /// Of a check: which probe, with what. SNMP walks the tables of interfaces.
    fn probe(self) -> &'static str {
        match self {
            Kind::Tcp => "tcp",
            Kind::Http => "http",
            Kind::Snmp => "snmp_if",
        }
    }

    /// The goal, in checks a second.
    fn goal(self) -> Option<u32> {
        match self {
            Kind::Tcp => Some(20_000),
            Kind::Http | Kind::Snmp => None,
        }
    }
}

#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// Checks that are due a second
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub rate: Option<u32>,
    /// Interval of each check, seconds; it has half of it to answer
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub every: u32,
    /// Seconds that are measured, in each part
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Loopback addresses of the simulators
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u8).range(1..=250))]
    pub addresses: u8,
    /// Checks of one host
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub per_host: u32,
    /// Places for checks, as `[collector] concurrency`
    #[arg(long, default_value_t = 256)]
    pub concurrency: usize,
    /// Places for checks that were slow the last time; without it as many as `concurrency`
    #[arg(long)]
    pub slow: Option<usize>,
    /// Ports that each simulated switch has
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub ports: u16,
    /// Runs of each plugin that is there; 0 = none
    #[arg(long, default_value_t = 50)]
    pub peer_runs: u32,
}

/// Runs the benchmark of one kind.
///
/// # Errors
/// The simulators or the collector do not start.
pub fn run(kind: Kind, args: &NetworkArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    crate::probes::exec::raise_descriptor_limit();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let silent = usize::from(args.addresses).div_ceil(10);
    let layout =
        Layout { kind, healthy: args.addresses, silent: u8::try_from(silent).unwrap_or(u8::MAX), ports: args.ports };
    let simulator = Simulator::start(&layout)?;
    let load = load(kind, args, simulator.port);
    let mut parts = Vec::new();
    for silent_of_ten in [0, SILENT_OF_TEN] {
        let before = simulator.cost()?;
        let seen = runtime.block_on(world::run(&load, silent_of_ten, WARM_UP))?;
        parts.push((part(&seen, &simulator.cost()?.since(&before)), seen));
    }
    let peers = peers::run(kind, simulator.port, args.peer_runs)?;
    let spent = simulator.stop()?;
    let memory = cost::memory();
    let [well, tenth] = parts.as_slice() else { anyhow::bail!("there are two parts") };
    let answer = json!({
        "bench": kind.word(),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "cores": std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        "load_average_1m": cost::load_average(),
        "checks": load.checks,
        "every_s": args.every,
        "due_per_s": load.rate,
        "addresses": args.addresses,
        "concurrency": args.concurrency,
        "slow_places": load.slow,
        "all_well": well.0,
        "a_tenth_silent": tenth.0,
        "p99_of_the_healthy_moved_by_ms": tenth.1.whole.p99_ms - well.1.whole.p99_ms,
        "simulators": spent,
        "rss_mib": memory.rss_mib,
        "rss_mib_max": memory.rss_mib_max,
        "peers": peers,
        "goal_checks_per_s": kind.goal(),
    });
    writeln!(out, "{answer}").context("cannot write the answer")?;
    Ok(0)
}

fn load(kind: Kind, args: &NetworkArgs, port: u16) -> Load {
    let rate = args.rate.unwrap_or(match kind {
        Kind::Tcp => 20_000,
        Kind::Http => 5_000,
        Kind::Snmp => 500,
    });
    Load {
        probe: kind.probe(),
        params: [("port", Value::from(u32::from(port)))].into_iter().collect(),
        rate,
        checks: rate * args.every,
        every: Duration::from_secs(args.every.into()),
        lasting: Duration::from_secs(args.seconds.into()),
        addresses: args.addresses,
        per_host: args.per_host,
        concurrency: args.concurrency,
        slow: args.slow.unwrap_or(args.concurrency),
    }
}

/// The figures of one part.
fn part(seen: &Seen, simulators: &Cost) -> serde_json::Value {
    let done = seen.healthy + seen.silent;
    json!({
        "checks_per_s": done as f64 / seen.seconds,
        "healthy_per_s": seen.healthy as f64 / seen.seconds,
        "wrong": seen.wrong,
        "put_off": seen.put_off,
        "healthy_from_due_to_result_ms": { "p50": seen.whole.p50_ms, "p99": seen.whole.p99_ms, "max": seen.whole.max_ms },
        "healthy_run_ms": { "p50": seen.run.p50_ms, "p99": seen.run.p99_ms, "max": seen.run.max_ms },
        "values_per_s": seen.values as f64 / seen.seconds,
        "cpu_s": seen.cost.cpu_s,
        "cores": seen.cost.cpu_s / seen.seconds,
        "cpu_us_per_check": seen.cost.cpu_s * 1e6 / (done.max(1) as f64),
        "checks_per_cpu_s": done as f64 / seen.cost.cpu_s.max(0.01),
        "values_per_cpu_s": seen.values as f64 / seen.cost.cpu_s.max(0.01),
        "simulators_cpu_s": simulators.cpu_s,
    })
}

#[cfg(test)]
mod tests;
