//! The agent against a small hub that fails in every way a hub can.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};
use stentor_core::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch as watch_channel;

use super::*;
use crate::probes::view::{FsUsage, Process, Unit};

/// What the hub does with the n-th push.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Fault {
    None,
    /// Takes it, and answers.
    Busy,
    /// Takes it, but the answer never comes.
    LostAnswer,
    /// Takes it, and breaks while answering.
    Broken,
    /// Will never take it.
    Invalid,
}

#[derive(Clone)]
struct FakeHub {
    faults: Arc<Vec<Fault>>,
    /// Every push as it came, acknowledged or not.
    log: Arc<Mutex<Vec<(Fault, Bytes)>>>,
    pushes: Arc<watch_channel::Sender<usize>>,
    checks: Arc<Value>,
    /// Takes no push.
    away: Arc<AtomicBool>,
}

impl FakeHub {
    async fn start(faults: Vec<Fault>, checks: Value) -> (FakeHub, String) {
        let hub = FakeHub {
            faults: Arc::new(faults),
            log: Arc::default(),
            pushes: Arc::new(watch_channel::Sender::new(0)),
            checks: Arc::new(checks),
            away: Arc::default(),
        };
        let router = axum::Router::new()
            .route("/api/v1/agent/checks", get(checks_route))
            .route("/api/v1/agent/results", post(results_route))
            .with_state(hub.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (hub, url)
    }

    /// Pushes with a well-formed body, by sequence; a sequence with two contents is a panic.
    fn by_sequence(&self) -> BTreeMap<u64, Value> {
        let mut seen: BTreeMap<u64, Bytes> = BTreeMap::new();
        for (_, body) in self.log.lock().expect("log").iter() {
            let push: Value = serde_json::from_slice(body).expect("JSON");
            let sequence = push["sequence"].as_u64().expect("a sequence");
            if let Some(before) = seen.insert(sequence, body.clone()) {
                assert_eq!(before, *body, "sequence {sequence} came with two contents");
            }
        }
        seen.into_iter().map(|(n, body)| (n, serde_json::from_slice(&body).expect("JSON"))).collect()
    }

    /// The numbers that the counting view gave out, in the order of the sequences.
    fn numbers(&self) -> Vec<u64> {
        let results =
            self.by_sequence().into_values().flat_map(|push| push["results"].as_array().cloned().expect("list"));
        results.filter_map(|result| result["observation"]["facts"]["uptime_s"].as_u64()).collect()
    }

    fn refuse_pushes(&self, on: bool) {
        self.away.store(on, Ordering::SeqCst);
    }

    /// Boots in the order in which they came.
    fn boots(&self) -> Vec<String> {
        let mut boots: Vec<String> = self.by_boot().into_iter().map(|(boot, _)| boot).collect();
        boots.dedup();
        boots
    }

    /// Boot and number of each result, as they came.
    fn by_boot(&self) -> Vec<(String, u64)> {
        let log = self.log.lock().expect("log");
        let pushes = log.iter().map(|(_, body)| serde_json::from_slice::<Value>(body).expect("JSON"));
        let results = pushes.flat_map(|push| {
            let boot = push["boot"].as_str().expect("boot").to_owned();
            let results = push["results"].as_array().cloned().expect("list");
            results.into_iter().map(move |result| (boot.clone(), result))
        });
        let number = |result: &Value| result["observation"]["facts"]["uptime_s"].as_u64();
        results.filter_map(|(boot, result)| number(&result).map(|n| (boot, n))).collect()
    }

    async fn until(&self, what: &str, holds: impl Fn(&FakeHub) -> bool) {
        let mut pushes = self.pushes.subscribe();
        let reached = async {
            while !holds(self) {
                pushes.changed().await.expect("the hub lives");
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(30), reached).await;
        reached.unwrap_or_else(|_| {
            let (boots, told) = (self.boots(), self.by_boot());
            panic!(
                "waited for {what}; boots {boots:?}, {} results: {:?}",
                told.len(),
                told.iter().take(40).collect::<Vec<_>>()
            )
        });
    }
}

fn sequence_of(body: &Bytes) -> u64 {
    let push: Value = serde_json::from_slice(body).expect("JSON");
    push["sequence"].as_u64().expect("a sequence")
}

async fn checks_route(
    State(hub): State<FakeHub>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    if headers.get("authorization").and_then(|v| v.to_str().ok()) != Some("Bearer s3cret") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    assert_eq!(query.get("host").map(String::as_str), Some("nc1"));
    Ok(hub.checks.to_string())
}

async fn results_route(State(hub): State<FakeHub>, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    assert_eq!(headers.get("authorization").and_then(|v| v.to_str().ok()), Some("Bearer s3cret"));
    let fault = {
        let mut log = hub.log.lock().expect("log");
        let away = hub.away.load(Ordering::SeqCst).then_some(Fault::Busy);
        let fault = hub.faults.get(log.len()).copied().or(away).unwrap_or(Fault::None);
        log.push((fault, body));
        fault
    };
    hub.pushes.send_modify(|n| *n += 1);
    match fault {
        Fault::None => (StatusCode::OK, r#"{"accepted":1,"repeated":false,"unknown":[]}"#),
        Fault::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        Fault::LostAnswer => std::future::pending().await,
        Fault::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "oops"),
        Fault::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "no"),
    }
}

/// Gives 1, 2, 3, … as its uptime, so that a lost result leaves a gap.
#[derive(Default)]
struct Counting {
    next: AtomicU64,
}

impl HostView for Counting {
    fn read(&self, path: &str) -> io::Result<String> {
        if path == "/proc/sys/kernel/random/boot_id" {
            Ok("b00t\n".into())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
    fn list(&self, _: &str) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::NotFound.into())
    }
    fn file_systems(&self, _: &[String]) -> io::Result<Vec<FsUsage>> {
        Ok(Vec::new())
    }
    fn processes(&self) -> io::Result<Vec<Process>> {
        panic!("a view that breaks")
    }
    fn unit(&self, _: &str) -> io::Result<Option<Unit>> {
        Ok(None)
    }
    fn uptime_s(&self) -> io::Result<f64> {
        Ok((self.next.fetch_add(1, Ordering::SeqCst) + 1) as f64)
    }
}

fn check(service: &str, probe: &str, params: Value) -> Value {
    // Printing the panic of a probe takes a second where backtraces are wanted and the machine is busy.
    json!({"service": service, "probe": probe, "params": params, "every_ms": 15, "timeout_ms": 30_000})
}

fn list(items: &[Value]) -> Value {
    json!({"version": "1", "items": items})
}

fn quick(url: &str) -> AgentConfig {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    AgentConfig {
        push_every: Duration::from_millis(40),
        linger: Duration::from_millis(5),
        refresh_every: Duration::from_millis(50),
        request_timeout: Duration::from_millis(400),
        backoff: Backoff { first: Duration::from_millis(5), longest: Duration::from_millis(50) },
        ..AgentConfig::new(&format!("{url}/"), Token::new("s3cret\n"), "nc1")
    }
}

struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<AgentReport, AgentError>>,
    view: Arc<Counting>,
}

fn start(config: AgentConfig) -> Running {
    let (stop, view) = (CancellationToken::new(), Arc::new(Counting::default()));
    let clock = Clock::manual(Timestamp::from_secs(1_795_226_400));
    let task = tokio::spawn(Agent::run(config, Arc::clone(&view) as Arc<dyn HostView>, clock, stop.clone()));
    Running { stop, task, view }
}

impl Running {
    async fn stop(self) -> AgentReport {
        self.stop.cancel();
        self.task.await.expect("joined").expect("ran")
    }
}

#[tokio::test]
async fn nothing_is_lost_and_no_sequence_has_two_contents_whatever_the_hub_does() {
    use Fault::{Broken, Busy, LostAnswer, None as Good};
    let faults = vec![
        Busy, Good, LostAnswer, Good, Busy, Busy, Broken, Good, Good, LostAnswer, LostAnswer, Good, Broken, Busy, Good,
    ];
    let (hub, url) = FakeHub::start(faults, list(&[check("uptime", "uptime", json!({}))])).await;
    let agent = start(quick(&url));
    hub.until("60 results", |hub| hub.numbers().len() >= 60).await;
    let view = Arc::clone(&agent.view);
    let report = agent.stop().await;
    let numbers = hub.numbers();
    // In order and without a gap; at most the run that the stop cut short is missing.
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(view.next.load(Ordering::SeqCst) - numbers.len() as u64 <= 1, "results were lost");
    // Sequences rise with the results, and a sign of life has one of its own.
    let sequences: Vec<u64> = hub.log.lock().expect("log").iter().map(|(_, body)| sequence_of(body)).collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    assert_eq!((report.dropped, report.unsent, report.results), (0, 0, numbers.len() as u64));
}

#[tokio::test]
async fn an_idle_agent_still_shows_that_it_lives() {
    let (hub, url) = FakeHub::start(Vec::new(), list(&[])).await;
    let agent = start(quick(&url));
    hub.until("five signs of life", |hub| hub.by_sequence().len() >= 5).await;
    let pushes = hub.by_sequence();
    assert!(pushes.values().all(|push| push["results"].as_array().is_some_and(Vec::is_empty)));
    let boot = pushes.first_key_value().expect("a push").1["boot"].as_str().expect("boot").to_owned();
    assert!(boot.starts_with("b00t-") && boot.len() == "b00t-".len() + 16, "{boot}");
    assert!(pushes.values().all(|push| push["boot"] == boot.as_str() && push["agent"] == "nc1"));
    agent.stop().await;
}

#[tokio::test]
async fn a_batch_that_can_never_be_taken_is_dropped_and_the_next_goes_on() {
    let faults = vec![Fault::None, Fault::Invalid, Fault::None];
    let (hub, url) = FakeHub::start(faults, list(&[check("uptime", "uptime", json!({}))])).await;
    let agent = start(quick(&url));
    hub.until("pushes after the refusal", |hub| hub.by_sequence().len() >= 6).await;
    let log = hub.log.lock().expect("log").clone();
    let invalid = log.iter().filter(|(fault, _)| *fault == Fault::Invalid).count();
    assert_eq!(invalid, 1);
    assert_eq!(log.len(), hub.by_sequence().len(), "a batch was repeated");
    agent.stop().await;
}

#[tokio::test]
async fn checks_that_cannot_run_say_so() {
    let checks = list(&[
        check("a", "no_such_probe", json!({})),
        check("b", "exec", json!({"command": ["/bin/true"]})),
        check("c", "process", json!({"pattern": "("})),
        check("d", "process", json!({"pattern": "x"})),
        check("e", "load", json!({})),
    ]);
    let (hub, url) = FakeHub::start(Vec::new(), checks).await;
    let agent = start(quick(&url));
    let texts = |hub: &FakeHub| -> BTreeMap<String, String> {
        let results =
            hub.by_sequence().into_values().flat_map(|push| push["results"].as_array().cloned().expect("list"));
        results
            .map(|result| {
                assert_eq!(result["observation"]["outcome"], json!({"Failed": "probe_error"}), "{result}");
                assert_eq!(result["observed_at"], "2026-11-21T02:00:00.000Z");
                let text = |value: &Value| value.as_str().expect("text").to_owned();
                (text(&result["service"]), text(&result["observation"]["text"]))
            })
            .collect()
    };
    hub.until("all five", |hub| texts(hub).len() == 5).await;
    let texts = texts(&hub);
    for (service, part) in
        [("a", "no_such_probe"), ("b", "own host"), ("c", "pattern"), ("d", "abnormally"), ("e", "not found")]
    {
        assert!(texts[service].contains(part), "{service}: {}", texts[service]);
    }
    agent.stop().await;
}

#[tokio::test]
async fn what_is_pushed_reads_back_as_an_observation() {
    let (hub, url) = FakeHub::start(Vec::new(), list(&[check("uptime", "uptime", json!({}))])).await;
    let agent = start(quick(&url));
    hub.until("a result", |hub| !hub.numbers().is_empty()).await;
    agent.stop().await;
    let push = hub.by_sequence().into_values().find(|push| push["results"][0].is_object()).expect("a result");
    let seen: stentor_core::model::Observation =
        serde_json::from_value(push["results"][0]["observation"].clone()).expect("an observation");
    assert_eq!(seen.outcome, stentor_core::model::Outcome::Observed);
    assert_eq!(seen.measurements[0].unit.as_ref(), "s");
}

#[tokio::test]
async fn a_hub_that_is_away_costs_only_what_does_not_fit() {
    // Nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let addr = closed.local_addr().expect("address");
    let (hub, url) = FakeHub::start(vec![Fault::Busy; 40], list(&[check("uptime", "uptime", json!({}))])).await;
    drop(closed);
    let agent = start(AgentConfig { spool: SpoolConfig { folder: None, bytes_max: 1 }, ..quick(&url) });
    hub.until("the hub to recover", |hub| hub.numbers().len() > 30).await;
    let report = agent.stop().await;
    assert_eq!((report.dropped, report.results), (0, hub.numbers().len() as u64));
    // An agent whose hub never answers still stops.
    let lonely = start(quick(&format!("http://{addr}")));
    assert_eq!(lonely.stop().await.batches, 0);
}

#[tokio::test]
async fn what_one_agent_could_not_tell_the_next_one_tells_first() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = SpoolConfig { folder: Some(folder.path().to_owned()), bytes_max: 1 << 20 };
    let (hub, url) = FakeHub::start(Vec::new(), list(&[check("uptime", "uptime", json!({}))])).await;
    hub.refuse_pushes(true);
    let first = start(AgentConfig { spool: spool.clone(), ..quick(&url) });
    let view = Arc::clone(&first.view);
    hub.until("ten runs", |_| view.next.load(Ordering::SeqCst) > 10).await;
    // As kill -9 ends it: nothing is closed.
    first.task.abort();
    assert!(first.task.await.is_err_and(|error| error.is_cancelled()));
    // A write to the spool that was under way still ends, which no process would do; until then the spool is held.
    let lock = std::fs::File::open(folder.path().join("lock")).expect("the lock of the spool");
    while lock.try_lock().is_err() {
        tokio::task::yield_now().await;
    }
    drop(lock);
    let ran = view.next.load(Ordering::SeqCst);
    hub.log.lock().expect("log").clear();
    hub.refuse_pushes(false);
    let second = start(AgentConfig { spool, ..quick(&url) });
    hub.until("results of the second", |hub| hub.boots().len() == 2 && hub.by_boot().len() > 12).await;
    second.stop().await;
    let (boots, told) = (hub.boots(), hub.by_boot());
    let of_first: Vec<u64> = told.iter().filter(|(boot, _)| *boot == boots[0]).map(|(_, n)| *n).collect();
    assert_eq!(of_first, (1..=of_first.len() as u64).collect::<Vec<_>>());
    assert!(ran - of_first.len() as u64 <= 1, "{ran} ran, {} were told", of_first.len());
    assert!(told.iter().skip(of_first.len()).all(|(boot, _)| *boot == boots[1]), "boots are mixed: {told:?}");
    let log = hub.log.lock().expect("log").clone();
    let pushes: Vec<Value> = log.iter().map(|(_, body)| serde_json::from_slice(body).expect("JSON")).collect();
    assert_eq!(pushes.last().expect("a push")["waiting"], 0);
}

#[test]
fn back_off_doubles_up_to_its_limit_and_differs_between_hosts() {
    let backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };
    for (failures, least, most) in [(1, 50, 100), (2, 100, 200), (4, 400, 800), (7, 2500, 5000), (60, 2500, 5000)] {
        let wait = backoff.after(failures, 7);
        assert!(wait >= Duration::from_millis(least) && wait <= Duration::from_millis(most), "{failures}: {wait:?}");
    }
    assert_ne!(backoff.after(7, seed_of("a")), backoff.after(7, seed_of("b")));
}

#[test]
fn a_token_is_never_printed() {
    let config = AgentConfig::new("http://h", Token::new("s3cret"), "x");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn a_hub_that_is_no_url_is_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for hub in ["", "hub:8460x/", "ftp://hub"] {
        assert!(matches!(Hub::new(&AgentConfig::new(hub, Token::new("t"), "x")), Err(HubError::Url(_))), "{hub}");
    }
}
