//! The load: a catalog of hosts and checks, the collector that runs them, and an inbox that takes the time of results.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use stentor_core::catalog::{Catalog, Check, Host, Service, Zone};
use stentor_core::engine::program::ProgramState;
use stentor_core::id::{CheckId, HostId, ZoneId};
use stentor_core::model::{Observation, Outcome, Value};
use stentor_core::snapshot::{Counters, Detail, Row, Snapshot};
use stentor_core::{Span, Timestamp};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, timeout_at};

use super::cost::{self, Cost};
use super::simulator::address;
use crate::clock::Clock;
use crate::collector::{self, Collector, Imported, Limits};
use crate::engine::{Handle, INBOX_MAX, KeyedResult};
use crate::probes::{Blind, Network, ProbeEnv};

/// Beginnings of host names tell results apart.
const SILENT: &str = "silent-";

/// What is to be done.
pub struct Load {
    pub probe: &'static str,
    pub params: Value,
    /// Checks due a second.
    pub rate: u32,
    pub checks: u32,
    pub every: Duration,
    pub lasting: Duration,
    pub addresses: u8,
    pub per_host: u32,
    pub concurrency: usize,
    pub slow: usize,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Seen {
    pub seconds: f64,
    pub healthy: u64,
    pub silent: u64,
    /// Healthy peers that were seen otherwise.
    pub wrong: u64,
    /// Found no place in time.
    pub put_off: f64,
    /// Facts and measurements of the healthy.
    pub values: u64,
    /// From when a healthy check was due to its result, and of its run alone.
    pub whole: Percentiles,
    pub run: Percentiles,
    pub cost: Cost,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Percentiles {
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// Runs the load with so many of ten hosts silent; measures after the warm-up.
pub async fn run(load: &Load, silent_of_ten: usize, warm_up: Duration) -> anyhow::Result<Seen> {
    let catalog = Arc::new(catalog(load, silent_of_ten));
    let (engine, mut results) = engine_of(&catalog);
    let clock = Clock::Machine;
    let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: clock.clone() };
    let limits =
        Limits { native: load.concurrency, exec: 1, slow: load.slow, per_host: usize::try_from(load.per_host)? };
    let registry = prometheus::Registry::new();
    let (factory, imported) = (collector::registry(), Imported::default());
    let parts = collector::Parts { catalog, env, engine, clock, limits, factory, ssh: None, imported };
    let (_handle, collector) = Collector::start(parts, &registry).context("the collector does not start")?;
    let begin = Instant::now() + warm_up;
    while timeout_at(begin, results.recv()).await.is_ok_and(|result| result.is_some()) {}
    let (spent, put_off) = (cost::of("self")?.own, missed(&registry));
    let mut seen = Seen::default();
    let (mut whole, mut run) = (Vec::new(), Vec::new());
    let end = begin + load.lasting;
    while let Ok(Some(result)) = timeout_at(end, results.recv()).await {
        if result.object.host.starts_with(SILENT) {
            seen.silent += 1;
            continue;
        }
        seen.healthy += 1;
        seen.wrong += u64::from(!is_well(&result.observation));
        seen.values += (result.observation.facts.len() + result.observation.measurements.len()) as u64;
        whole.push((result.took.latency + result.took.run).as_secs_f64() * 1e3);
        run.push(result.took.run.as_secs_f64() * 1e3);
    }
    seen.seconds = begin.elapsed().as_secs_f64();
    seen.cost = cost::of("self")?.own.since(&spent);
    seen.put_off = missed(&registry) - put_off;
    (seen.whole, seen.run) = (percentiles(whole), percentiles(run));
    // Whoever waits for the inbox must not wait for ever.
    drop(results);
    collector.stop().await;
    Ok(seen)
}

/// The peer answered as simulated peers do.
fn is_well(seen: &Observation) -> bool {
    let fact = |name: &str| seen.facts.get(name).map(ToString::to_string);
    let http = fact("http");
    let is_open = fact("port").is_none_or(|port| port == "open") && http.is_none_or(|status| status == "200");
    seen.outcome == Outcome::Observed && is_open && fact("snmp").is_none_or(|snmp| snmp == "ok")
}

fn percentiles(mut all: Vec<f64>) -> Percentiles {
    all.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let last = all.len().saturating_sub(1);
        all.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
    };
    Percentiles { p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1.0) }
}

fn missed(registry: &prometheus::Registry) -> f64 {
    let families = registry.gather();
    let found = families.iter().find(|family| family.name() == "stentor_collector_checks_missed_total");
    found.map_or(0.0, |family| family.get_metric().iter().map(|one| one.get_counter().get_value()).sum())
}

fn catalog(load: &Load, silent_of_ten: usize) -> Catalog {
    let hosts = load.checks.div_ceil(load.per_host);
    let silent_addresses = usize::from(load.addresses).div_ceil(10);
    let host = |number: u32| {
        let number = number as usize;
        let is_silent = number % 10 < silent_of_ten;
        let at = if is_silent { (number / 10) % silent_addresses } else { number % usize::from(load.addresses) };
        let name: Arc<str> = format!("{}{number}", if is_silent { SILENT } else { "peer-" }).into();
        Host {
            address: address(is_silent, u8::try_from(at).unwrap_or(0)).to_string().into(),
            ..Host::bare(&name, ZoneId(0))
        }
    };
    let every = Span::from(load.every);
    let check = Check {
        name: format!("bench/{}", load.probe).into(),
        probe: load.probe.into(),
        params: load.params.clone(),
        every,
        retry: every,
        timeout: Span::from(load.every / 2),
        attempts: 1,
        rules: Vec::new(),
        signals: Vec::new(),
        host_side: false,
        freshness: Span::ZERO,
    };
    let service = |number: u32| Service {
        host: HostId(number / load.per_host),
        name: format!("s{}", number % load.per_host).into(),
        check: CheckId(0),
        params: Value::Null,
        component: None,
    };
    let mut catalog = Catalog {
        zones: vec![Zone { name: "bench".into(), cloud: None }],
        hosts: (0..hosts).map(host).collect(),
        services: (0..load.checks).map(service).collect(),
        checks: vec![check],
        ..Catalog::default()
    };
    catalog.reindex();
    catalog
}

/// An engine that is only an inbox.
fn engine_of(catalog: &Arc<Catalog>) -> (Handle, mpsc::Receiver<KeyedResult>) {
    let (results, inbox) = mpsc::channel(INBOX_MAX);
    let detail = Arc::new(Detail::default());
    let snapshot = Snapshot {
        seq: 0,
        at: Timestamp::ZERO,
        started: Timestamp::ZERO,
        catalog: Arc::clone(catalog),
        hosts: vec![Row::default(); catalog.hosts.len()],
        host_details: vec![Arc::clone(&detail); catalog.hosts.len()],
        services: vec![Row::default(); catalog.services.len()],
        service_details: vec![detail; catalog.services.len()],
        host_tracks: Vec::new(),
        service_tracks: Vec::new(),
        ids: Default::default(),
        newest_downtime: 0,
        program: Arc::<ProgramState>::default(),
        contact_overrides: Arc::default(),
        incidents: Arc::default(),
        downtimes: Arc::default(),
        comments: Arc::default(),
        clouds: Arc::default(),
        services_known: Arc::default(),
        agents: Arc::default(),
        runs: Arc::default(),
        counters: Counters::default(),
        degraded: None,
        refused: None,
    };
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    (Handle { inbox: mpsc::channel(1).0, results, snapshot, published: broadcast::Sender::new(1) }, inbox)
}
