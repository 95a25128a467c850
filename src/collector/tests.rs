//! The collector with probes made for the purpose and an engine that is only an inbox.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use stentor_core::catalog::{Check, Host, Service, View, Zone};
use stentor_core::id::{CheckId, HostId, ObjectId, ServiceId, ZoneId};
use stentor_core::model::{Observation, Outcome, ServiceState, UnknownCause};
use stentor_core::snapshot::{Counters, Detail, Flags, Row, Snapshot};
use stentor_core::{Span, Timestamp};
use tokio::sync::{Notify, broadcast};
use tokio::time::timeout;

use super::*;
use stentor_core::engine::ResultSource;
use stentor_core::engine::program::ProgramState;

use crate::engine::{INBOX_MAX, KeyedResult, Post};
use crate::probes::{Blind, Deadline, Network, ProbeError, Target};

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
/// A result that takes this long does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the probes of a test did and may do.
#[derive(Default)]
struct Stage {
    running: Mutex<BTreeMap<String, usize>>,
    runs: AtomicUsize,
    most_at_once: AtomicUsize,
    doubled: AtomicBool,
    dropped: AtomicUsize,
    built: Mutex<Vec<Value>>,
    refuse: AtomicBool,
    go: Notify,
}

/// Behaves as its parameter `do` says: `answer`, `wait` (for [`Stage::go`]), `panic`, `hang`, `stall` (at first the
/// process stands still far beyond the deadline).
struct Actor {
    stage: Arc<Stage>,
    params: Value,
}

struct OnStage<'a>(&'a Stage, String);

impl<'a> OnStage<'a> {
    fn enter(stage: &'a Stage, name: String) -> OnStage<'a> {
        let mut running = stage.running.lock().expect("no probe panics here");
        let same = running.entry(name.clone()).or_default();
        *same += 1;
        if *same > 1 {
            stage.doubled.store(true, Ordering::SeqCst);
        }
        let all = running.values().sum();
        stage.most_at_once.fetch_max(all, Ordering::SeqCst);
        stage.runs.fetch_add(1, Ordering::SeqCst);
        OnStage(stage, name)
    }
}

impl Drop for OnStage<'_> {
    fn drop(&mut self) {
        let mut running = self.0.running.lock().expect("no probe panics here");
        running.entry(self.1.clone()).and_modify(|count| *count -= 1);
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl ErasedProbe for Actor {
    fn run<'a>(
        &'a self,
        target: &'a Target,
        _: Deadline,
    ) -> Pin<Box<dyn Future<Output = Result<Observation, ProbeError>> + Send + 'a>> {
        Box::pin(async move {
            let name = format!("{} {}", target.host, self.params);
            let _on_stage = OnStage::enter(&self.stage, name);
            match self.params.get("do").and_then(Value::text) {
                Some("wait") => self.stage.go.notified().await,
                Some("stall") if self.stage.runs.load(Ordering::SeqCst) == 1 => {
                    tokio::time::advance(Duration::from_secs(40)).await;
                    return Err(ProbeError::Timeout("no answer in time".into()));
                }
                Some("hang") => std::future::pending::<()>().await,
                Some("panic") => panic!("the actor fell"),
                Some("right") => return Err(ProbeError::MissingRight("CAP_NET_RAW is missing".into())),
                _ => {}
            }
            Ok(Observation::observed(format!("{}", self.params)))
        })
    }
}

struct World {
    stage: Arc<Stage>,
    clock: Clock,
    inbox: mpsc::Receiver<KeyedResult>,
    handle: CollectorHandle,
    collector: Collector,
    metrics: prometheus::Registry,
}

fn params(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| (*key, *value)).collect()
}

fn check(name: &str, params: Value) -> Check {
    Check {
        name: name.into(),
        probe: "actor".into(),
        params,
        every: Span::from_hours(1),
        retry: Span::from_mins(1),
        timeout: Span::from_secs(30),
        attempts: 3,
        rules: Vec::new(),
        signals: Vec::new(),
        host_side: false,
        freshness: Span::ZERO,
    }
}

fn host(name: &str, view: View) -> Host {
    Host { address: "192.0.2.1".into(), view, ..Host::bare(name, ZoneId(0)) }
}

/// A catalog of hosts and of services `(host number, name, check number, own params)`.
fn catalog(hosts: Vec<Host>, checks: Vec<Check>, services: &[(u32, String, u32, Value)]) -> Arc<Catalog> {
    let service = |(host, name, check, params): &(u32, String, u32, Value)| Service {
        host: HostId(*host),
        name: name.as_str().into(),
        check: CheckId(*check),
        params: params.clone(),
        component: None,
    };
    let mut catalog = Catalog {
        zones: vec![Zone { name: "zone".into(), cloud: None }],
        services: services.iter().map(service).collect(),
        hosts,
        checks,
        ..Catalog::default()
    };
    catalog.reindex();
    Arc::new(catalog)
}

/// One host with `count` services of one check.
fn many(count: usize, what: &str) -> Arc<Catalog> {
    let services: Vec<_> = (0..count).map(|i| (0, format!("s{i}"), 0, params(&[("id", &i.to_string())]))).collect();
    catalog(vec![host("web01", View::None)], vec![check("c", params(&[("do", what)]))], &services)
}

fn engine_of(catalog: &Arc<Catalog>) -> (engine::Handle, mpsc::Receiver<KeyedResult>) {
    let (results, posts) = mpsc::channel(INBOX_MAX);
    let detail = Arc::new(Detail::default());
    let snapshot = Snapshot {
        seq: 0,
        at: NOW,
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
        program: Arc::default(),
        contact_overrides: Arc::default(),
        incidents: Arc::default(),
        downtimes: Arc::default(),
        comments: Arc::default(),
        clouds: Arc::default(),
        runs: Arc::default(),
        services_known: Arc::default(),
        agents: Arc::default(),
        counters: Counters::default(),
        degraded: None,
        refused: None,
    };
    let published = broadcast::Sender::new(1);
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    (engine::Handle { inbox: mpsc::channel(1).0, results, snapshot, published }, posts)
}

fn start(catalog: Arc<Catalog>, limits: Limits) -> World {
    let stage = Arc::new(Stage::default());
    let factory = actors(&stage);
    start_with(catalog, limits, stage, factory)
}

fn actors(stage: &Arc<Stage>) -> Factory {
    let actors = Arc::clone(stage);
    Box::new(move |kind, params, _| {
        assert_eq!(kind, "actor");
        if actors.refuse.load(Ordering::SeqCst) {
            return Err(BuildError { message: "no such program".to_owned() });
        }
        actors.built.lock().expect("no probe panics here").push(params.clone());
        Ok(Arc::new(Actor { stage: Arc::clone(&actors), params: params.clone() }))
    })
}

fn start_with(catalog: Arc<Catalog>, limits: Limits, stage: Arc<Stage>, factory: Factory) -> World {
    let (engine, inbox) = engine_of(&catalog);
    let clock = Clock::manual(NOW);
    let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: clock.clone() };
    let metrics = prometheus::Registry::new();
    let imported = Imported::default();
    let parts = Parts { catalog, env, engine, clock: clock.clone(), limits, factory, ssh: None, imported };
    let (handle, collector) = Collector::start(parts, &metrics).expect("metrics are new");
    World { stage, clock, inbox, handle, collector, metrics }
}

const WIDE: Limits = Limits { native: 100, exec: 100, slow: 100, per_host: 100 };

impl World {
    /// Asks for services by number, now.
    async fn ask(&self, services: impl IntoIterator<Item = u32>) {
        let request = |i| CheckRequest::at(ObjectId::Service(ServiceId(i)), self.clock.now());
        self.handle.request(services.into_iter().map(request).collect()).await.expect("the collector lives");
    }

    async fn result(&mut self) -> KeyedResult {
        timeout(PATIENCE, self.inbox.recv()).await.expect("no result came").expect("the collector lives")
    }

    async fn until(&self, fact: impl Fn(&Stage) -> bool) {
        let reached = async {
            while !fact(&self.stage) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, reached).await.expect("the awaited fact did not come");
    }

    fn runs(&self) -> usize {
        self.stage.runs.load(Ordering::SeqCst)
    }
}

/// Value of a gauge, or count of a histogram.
fn metric(metrics: &prometheus::Registry, name: &str, lane: &str) -> f64 {
    let families = metrics.gather();
    let family = families.iter().find(|family| family.name() == name).expect(name);
    let of_lane = |m: &&prometheus::proto::Metric| m.get_label().iter().any(|label| label.value() == lane);
    let metric = family.get_metric().iter().find(of_lane).expect(lane);
    metric.get_gauge().get_value() + metric.get_histogram().get_sample_count() as f64
}

fn name(result: &KeyedResult) -> String {
    result.object.service.as_deref().unwrap_or("host").to_owned()
}

#[tokio::test]
async fn a_check_that_never_ran_runs_at_once_and_posts_an_active_result() {
    let mut world = start(many(1, "answer"), WIDE);
    let result = world.result().await;
    assert_eq!((result.source, result.observed_at), (ResultSource::Active, NOW));
    assert_eq!((&*result.object.host, name(&result)), ("web01", "s0".to_owned()));
    assert_eq!(result.observation.outcome, Outcome::Observed);
    let latencies = metric(&world.metrics, "stentor_collector_check_latency_seconds", "native");
    assert!((latencies - 1.0).abs() < f64::EPSILON);
    world.collector.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_during_which_this_process_stood_still_is_run_again() {
    let mut world = start(many(1, "stall"), WIDE);
    let result = world.result().await;
    assert_eq!(result.took.run, Span::ZERO, "only the run that counts is measured");
    assert_eq!((result.observation.outcome, world.runs()), (Outcome::Observed, 2), "{:?}", result.observation);
    world.collector.stop().await;
}

#[tokio::test(start_paused = true)]
async fn checks_that_hang_hold_up_no_others_but_once() {
    let hosts = (0..7).map(|i| host(&format!("web{i}"), View::None)).collect();
    let mut services: Vec<_> = (0..6).map(|i| (i, format!("hangs {i}"), 0, params(&[("do", "hang")]))).collect();
    services.push((6, "answers".to_owned(), 0, Value::Null));
    let limits = Limits { native: 2, exec: 1, slow: 3, per_host: 1 };
    let mut world = start(catalog(hosts, vec![check("c", Value::Null)], &services), limits);
    let mut seen = BTreeSet::new();
    while seen.len() < 7 {
        seen.insert(name(&world.result().await));
    }
    world.ask(0..6).await;
    world.ask([6]).await;
    assert_eq!(name(&world.result().await), "answers", "before any of those that hang is given up");
    world.collector.stop().await;
}

#[tokio::test]
async fn a_host_check_runs_like_a_service() {
    let mut up = host("web01", View::None);
    up.check = Some(CheckId(0));
    up.params = params(&[("port", "22")]);
    let mut world = start(catalog(vec![up], vec![check("c", params(&[("port", "80")]))], &[]), WIDE);
    let result = world.result().await;
    assert_eq!((result.object.service.is_none(), &*result.observation.text), (true, "{port: 22}"));
    world.collector.stop().await;
}

#[tokio::test]
async fn the_same_check_never_runs_twice_at_once_and_a_request_meanwhile_is_kept() {
    let mut world = start(many(1, "wait"), WIDE);
    world.until(|stage| stage.runs.load(Ordering::SeqCst) == 1).await;
    world.ask([0]).await;
    world.ask([0]).await;
    world.stage.go.notify_one();
    world.result().await;
    world.until(|stage| stage.runs.load(Ordering::SeqCst) == 2).await;
    world.stage.go.notify_one();
    world.result().await;
    assert!(!world.stage.doubled.load(Ordering::SeqCst));
    assert_eq!(world.runs(), 2);
    world.collector.stop().await;
}

#[tokio::test]
async fn a_panic_and_an_error_are_results_and_the_collector_goes_on() {
    let services = [
        (0, "falls".to_owned(), 0, params(&[("do", "panic")])),
        (0, "lacks".to_owned(), 0, params(&[("do", "right")])),
        (0, "fine".to_owned(), 0, Value::Null),
    ];
    let mut world = start(catalog(vec![host("web01", View::None)], vec![check("c", Value::Null)], &services), WIDE);
    world.ask([0, 1, 2]).await;
    let mut seen = BTreeMap::new();
    while seen.len() < 3 {
        let result = world.result().await;
        seen.insert(name(&result), (result.observation.outcome, result.observation.text.to_string()));
    }
    let fell = (Outcome::Failed(UnknownCause::ProbeError), "the probe panicked: the actor fell".to_owned());
    assert_eq!(seen["falls"], fell);
    assert_eq!(seen["lacks"], (Outcome::Failed(UnknownCause::MissingRight), "CAP_NET_RAW is missing".to_owned()));
    assert_eq!(seen["fine"].0, Outcome::Observed);
    world.collector.stop().await;
}

#[tokio::test]
async fn a_probe_that_cannot_be_built_says_why_and_recovers() {
    let mut world = start(many(1, "answer"), WIDE);
    // The collector's task has not run yet: this test is the runtime's only thread and has not waited.
    world.stage.refuse.store(true, Ordering::SeqCst);
    let result = world.result().await;
    assert_eq!(result.observation.outcome, Outcome::Failed(UnknownCause::ProbeError));
    assert_eq!(&*result.observation.text, "the check cannot run: no such program");
    world.stage.refuse.store(false, Ordering::SeqCst);
    world.ask([0]).await;
    assert_eq!(world.result().await.observation.outcome, Outcome::Observed);
    world.collector.stop().await;
}

#[tokio::test]
async fn a_probe_that_ignores_its_deadline_is_dropped() {
    let mut hanging = check("c", params(&[("do", "hang")]));
    hanging.timeout = Span::from_millis(100);
    let services = [(0, "s".to_owned(), 0, Value::Null)];
    let mut world = start(catalog(vec![host("web01", View::None)], vec![hanging], &services), WIDE);
    let result = world.result().await;
    assert_eq!(result.observation.outcome, Outcome::Failed(UnknownCause::Timeout));
    assert!(result.took.run >= Span::from_millis(100), "{}", result.took.run);
    assert_eq!(world.stage.dropped.load(Ordering::SeqCst), 1);
    world.collector.stop().await;
}

#[tokio::test]
async fn probes_are_built_once_for_equal_parameters_with_a_service_s_own_on_top() {
    let base = params(&[("port", "80"), ("path", "/")]);
    let services: Vec<_> = (0..20)
        .map(|i| (0, format!("s{i}"), 0, if i % 2 == 0 { Value::Null } else { params(&[("port", "81")]) }))
        .collect();
    let world_catalog = catalog(vec![host("web01", View::None)], vec![check("c", base)], &services);
    let mut world = start(Arc::clone(&world_catalog), WIDE);
    world.ask(0..20).await;
    let mut texts = BTreeSet::new();
    let mut names = BTreeSet::new();
    while names.len() < 20 {
        let result = world.result().await;
        names.insert(name(&result));
        texts.insert(result.observation.text.to_string());
    }
    assert_eq!(texts.into_iter().collect::<Vec<_>>(), ["{path: /, port: 80}", "{path: /, port: 81}"]);
    assert_eq!(world.stage.built.lock().expect("unpoisoned").len(), 2);

    world.handle.reload(world_catalog).await.expect("alive");
    world.ask([0]).await;
    world.result().await;
    assert_eq!(world.stage.built.lock().expect("unpoisoned").len(), 2, "a reload built the same probe again");
    world.collector.stop().await;
}

#[tokio::test]
async fn host_side_checks_run_here_only_for_this_machine_and_passive_ones_never() {
    let mut inside = check("inside", Value::Null);
    inside.host_side = true;
    let mut passive = check("passive", Value::Null);
    passive.probe = "".into();
    let services = [
        (0, "elsewhere".to_owned(), 0, Value::Null),
        (2, "nowhere".to_owned(), 0, Value::Null),
        (1, "passive".to_owned(), 1, Value::Null),
        (1, "here".to_owned(), 0, Value::Null),
    ];
    let hosts = vec![host("agent", View::Agent), host("local", View::Local), host("none", View::None)];
    let mut world = start(catalog(hosts, vec![inside, passive], &services), WIDE);
    assert_eq!(name(&world.result().await), "here");
    world.ask(0..4).await;
    assert_eq!(name(&world.result().await), "here");
    assert_eq!(world.runs(), 2);
    world.collector.stop().await;
}

#[tokio::test]
async fn no_more_run_at_once_than_the_limits_allow() {
    for limits in
        [Limits { native: 3, exec: 9, slow: 9, per_host: 9 }, Limits { native: 9, exec: 9, slow: 9, per_host: 3 }]
    {
        let mut world = start(many(12, "wait"), limits);
        world.ask(0..12).await;
        for _ in 0..12 {
            world.until(|stage| stage.running.lock().expect("unpoisoned").values().any(|count| *count > 0)).await;
            world.stage.go.notify_one();
            world.result().await;
        }
        assert_eq!(world.stage.most_at_once.load(Ordering::SeqCst), 3, "{limits:?}");
        world.collector.stop().await;
    }
}

#[tokio::test]
async fn a_reload_adds_and_removes_checks_and_keeps_requests() {
    let one = |service: &str| {
        let services = [(0, service.to_owned(), 0, Value::Null)];
        catalog(vec![host("web01", View::None)], vec![check("c", Value::Null)], &services)
    };
    let mut world = start(one("old"), WIDE);
    assert_eq!(name(&world.result().await), "old");
    world.handle.reload(one("new")).await.expect("alive");
    assert_eq!(name(&world.result().await), "new");

    let soon = world.clock.now() + Span::from_millis(300);
    let request = CheckRequest::at(ObjectId::Service(ServiceId(0)), soon);
    world.handle.request(vec![request]).await.expect("alive");
    world.handle.reload(one("new")).await.expect("alive");
    assert_eq!(name(&world.result().await), "new", "the retry was lost");
    assert_eq!(world.runs(), 3);
    world.collector.stop().await;
}

#[tokio::test]
async fn a_run_that_outlives_its_catalog_still_counts_as_running() {
    let mut world = start(many(1, "wait"), WIDE);
    world.until(|stage| stage.runs.load(Ordering::SeqCst) == 1).await;
    world.handle.reload(many(2, "wait")).await.expect("alive");
    world.ask([0, 1]).await;
    world.until(|stage| stage.runs.load(Ordering::SeqCst) == 2).await;
    world.stage.go.notify_waiters();
    let seen: BTreeSet<String> = [name(&world.result().await), name(&world.result().await)].into();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(!world.stage.doubled.load(Ordering::SeqCst), "the same check ran twice at once");
    world.collector.stop().await;
}

#[tokio::test]
async fn stopping_ends_what_runs_and_refuses_orders() {
    let world = start(many(1, "hang"), WIDE);
    world.until(|stage| stage.runs.load(Ordering::SeqCst) == 1).await;
    let metrics = world.metrics.clone();
    let running = || metric(&metrics, "stentor_collector_checks_running", "native");
    assert!((running() - 1.0).abs() < f64::EPSILON);
    timeout(PATIENCE, world.collector.stop()).await.expect("the collector did not stop");
    assert_eq!(world.stage.dropped.load(Ordering::SeqCst), 1);
    assert_eq!(world.handle.request(Vec::new()).await, Err(Stopped));
    assert!(running().abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_real_plugin_runs_in_its_lane_and_an_unknown_probe_says_so() {
    let mut plugin = check("plugin", params(&[("command", "/bin/echo 'OK from $HOSTADDRESS$|a=1'")]));
    plugin.probe = "exec".into();
    let mut unknown = check("unknown", Value::Null);
    unknown.probe = "telepathy".into();
    let services = [(0, "plugin".to_owned(), 0, Value::Null), (0, "unknown".to_owned(), 1, Value::Null)];
    let catalog = catalog(vec![host("web01", View::None)], vec![plugin, unknown], &services);
    let mut world = start_with(catalog, WIDE, Arc::default(), registry());
    world.ask([0, 1]).await;
    let mut seen = BTreeMap::new();
    while seen.len() < 2 {
        let result = world.result().await;
        seen.insert(name(&result), result.observation);
    }
    assert_eq!(seen["plugin"].outcome, Outcome::Reported(ServiceState::Ok));
    assert_eq!((&*seen["plugin"].text, seen["plugin"].measurements.len()), ("OK from 192.0.2.1", 1));
    assert_eq!(&*seen["unknown"].text, "the check cannot run: there is no probe `telepathy`");
    let in_lane = metric(&world.metrics, "stentor_collector_check_latency_seconds", "exec");
    assert!(in_lane >= 1.0, "the plugin ran in another lane");
    world.collector.stop().await;
}

#[tokio::test]
async fn setting_the_clock_makes_nothing_due() {
    let mut world = start(many(1, "answer"), WIDE);
    world.result().await;
    world.clock.advance(Span::from_hours(1000));
    world.ask([0]).await;
    let result = world.result().await;
    assert_eq!(result.observed_at, NOW + Span::from_hours(1000));
    assert_eq!(world.runs(), 2);
    world.collector.stop().await;
}

#[tokio::test]
async fn a_hundred_thousand_services_all_run() {
    let hosts: Vec<_> = (0..1000).map(|i| host(&format!("h{i}"), View::None)).collect();
    let services: Vec<_> = (0..100_000).map(|i| (i / 100, format!("s{}", i % 100), 0, Value::Null)).collect();
    let mut world = start(catalog(hosts, vec![check("c", Value::Null)], &services), WIDE);
    world.ask(0..100_000).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 100_000 {
        let result = world.result().await;
        seen.insert((result.object.host, result.object.service));
    }
    world.collector.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_result_never_came_is_given_up_and_run_again() {
    // An engine that takes one result and no more: whoever has another waits for ever.
    let catalog = many(2, "answer");
    let (results, mut posts) = mpsc::channel(1);
    let (engine, _) = engine_of(&catalog);
    let engine = engine::Handle { results, ..engine };
    let stage = Arc::new(Stage::default());
    let clock = Clock::manual(NOW);
    let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: clock.clone() };
    let metrics = prometheus::Registry::new();
    let (factory, imported) = (actors(&stage), Imported::default());
    let parts = Parts { catalog, env, engine, clock, limits: WIDE, factory, ssh: None, imported };
    let (_handle, collector) = Collector::start(parts, &metrics).expect("metrics are new");
    let runs = || stage.runs.load(Ordering::SeqCst);
    let reached = async {
        while runs() < 3 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let begun = tokio::time::Instant::now();
    timeout(Duration::from_secs(3_000), reached).await.expect("the lost check was not run again");
    // Its deadline of 30 s, ten minutes, and at most a minute between two looks.
    let took = begun.elapsed().as_secs();
    assert!((630..=720).contains(&took), "after {took} s");
    assert!(posts.recv().await.is_some());
    collector.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reloads_at_any_time_keep_who_runs_who_waits_and_who_is_due() {
    // One place: all others wait for it when the reload comes.
    let narrow = Limits { native: 1, exec: 1, slow: 1, per_host: 1 };
    let mut world = start(many(6, "wait"), narrow);
    world.ask(0..6).await;
    world.until(|stage| stage.runs.load(Ordering::SeqCst) == 1).await;
    let mut seen = Vec::new();
    for round in 0..6 {
        // Another catalog each time: numbers move, the last service comes and goes.
        world.handle.reload(many(6 + round % 2, "wait")).await.expect("alive");
        world.until(|stage| stage.running.lock().expect("unpoisoned").values().sum::<usize>() == 1).await;
        world.stage.go.notify_one();
        seen.push(name(&world.result().await));
    }
    seen.sort();
    let first: Vec<_> = (0..6).map(|i| format!("s{i}")).collect();
    assert_eq!(seen, first, "each once");
    assert!(!world.stage.doubled.load(Ordering::SeqCst));
    world.collector.stop().await;
}

#[tokio::test]
async fn a_check_that_the_tree_skips_tells_the_engine_the_state_that_is_configured_for_that() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let objects = "define timeperiod {\n timeperiod_name always\n alias x\n monday 00:00-24:00\n}\n\
         define command {\n command_name ok\n command_line /bin/true\n}\n\
         define contact {\n contact_name root\n host_notification_period always\n\
          service_notification_period always\n host_notification_commands ok\n service_notification_commands ok\n}\n\
         define host {\n host_name h\n address 192.0.2.1\n max_check_attempts 3\n contacts root\n\
          active_checks_enabled 0\n notification_period always\n}\n\
         define service {\n host_name h\n service_description s\n check_command ok\n max_check_attempts 3\n\
          contacts root\n notification_period always\n}\n";
    std::fs::write(folder.path().join("objects.cfg"), objects).expect("written");
    let path = folder.path().join("nagios.cfg");
    let main = "cfg_file=objects.cfg\nlog_file=nagios.log\nhost_down_disable_service_checks=1\n\
                service_skip_check_host_down_status=3\n";
    std::fs::write(&path, main).expect("written");
    let catalog = crate::config::load(&path).unwrap_or_else(|found| panic!("{found}")).catalog;
    let (mut engine, _results) = engine_of(&catalog);
    let (inbox, mut posts) = mpsc::channel(4);
    engine.inbox = inbox;
    let mut snapshot = Snapshot::clone(&engine.snapshot());
    snapshot.program = Arc::new(ProgramState { in_force: catalog.nagios.program.clone(), ..ProgramState::default() });
    let seen = |row: &mut Row, state| {
        (row.last_check, row.state) = (NOW - Span::from_hours(1), state);
        row.flags.set(Flags::CHECKED, true);
    };
    seen(&mut snapshot.hosts[0], 1);
    seen(&mut snapshot.services[0], 0);
    engine.snapshot.store(Arc::new(snapshot));
    let clock = Clock::manual(NOW);
    let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: clock.clone() };
    let imported = Imported::default();
    let parts = Parts { catalog, env, engine, clock, limits: WIDE, factory: registry(), ssh: None, imported };
    let (_handle, collector) = Collector::start(parts, &prometheus::Registry::new()).expect("metrics are new");
    match timeout(PATIENCE, posts.recv()).await.expect("nothing was told") {
        Some(Post::Command(input, _)) => {
            let object = stentor_core::model::ObjectKey { host: "h".into(), service: Some("s".into()) };
            let why = "(host is down)".into();
            assert_eq!(input.command, stentor_core::engine::Command::SkipCheck { object, state: 3, why });
        }
        other => panic!("not a command: {other:?}"),
    }
    collector.stop().await;
}
