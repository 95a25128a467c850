//! Commands against a small hub that loses answers, says no, and sends every order again and again.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use stentor_core::Timestamp;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::agent::{Agent, AgentReport, Token};
use crate::clock::Clock;
use crate::probes::local_view::LocalView;

/// How the hub answers what it is told of an order: the n-th of these to the n-th, then always well.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Fault {
    Well,
    LostAnswer,
    Broken,
    No,
}

#[derive(Clone, Default)]
struct OrderingHub {
    faults: Arc<Mutex<VecDeque<Fault>>>,
    /// What each answer to a push asks for.
    answer: Arc<Mutex<Value>>,
    /// State and output of what was told of orders, as it came.
    told: Arc<Mutex<Vec<(String, String, String)>>>,
    /// The newest push.
    push: Arc<Mutex<Value>>,
    seen: Arc<watch::Sender<usize>>,
    pushes: Arc<AtomicUsize>,
}

async fn take_push(State(hub): State<OrderingHub>, body: Bytes) -> String {
    *hub.push.lock().expect("push") = serde_json::from_slice(&body).expect("JSON");
    hub.pushes.fetch_add(1, Ordering::SeqCst);
    hub.seen.send_modify(|n| *n += 1);
    hub.answer.lock().expect("answer").to_string()
}

async fn take_told(
    State(hub): State<OrderingHub>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, axum::response::Response> {
    assert_eq!(headers["authorization"], "Bearer s3cret");
    let told: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(told["agent"], "nc1");
    assert_eq!(told["start"], hub.push.lock().expect("push")["commands"]["start"]);
    let text = |key: &str| told[key].as_str().expect("text").to_owned();
    let id = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    hub.told.lock().expect("told").push((id, text("state"), text("output")));
    hub.seen.send_modify(|n| *n += 1);
    let fault = hub.faults.lock().expect("faults").pop_front();
    match fault {
        None | Some(Fault::Well) => Ok(StatusCode::NO_CONTENT),
        Some(Fault::LostAnswer) => std::future::pending().await,
        Some(Fault::Broken) => Err((StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response()),
        Some(Fault::No) => Err((StatusCode::CONFLICT, "taken back").into_response()),
    }
}

impl OrderingHub {
    async fn start(faults: &[Fault], orders: Value) -> (OrderingHub, String) {
        let hub = OrderingHub {
            faults: Arc::new(Mutex::new(faults.iter().copied().collect())),
            answer: Arc::new(Mutex::new(json!({"accepted": 0, "repeated": false, "unknown": [], "orders": orders}))),
            ..OrderingHub::default()
        };
        let router = axum::Router::new()
            .route("/api/v1/agent/checks", get(|| async { r#"{"items":[]}"# }))
            .route("/api/v1/agent/results", post(take_push))
            .route("/api/v1/agent/orders/{id}", post(take_told))
            .with_state(hub.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (hub, url)
    }

    fn states(&self) -> Vec<String> {
        self.told.lock().expect("told").iter().map(|(_, state, _)| state.clone()).collect()
    }

    fn last_output(&self) -> String {
        self.told.lock().expect("told").last().map(|(.., output)| output.clone()).unwrap_or_default()
    }

    async fn until(&self, what: &str, holds: impl Fn(&OrderingHub) -> bool) {
        let mut seen = self.seen.subscribe();
        let reached = async {
            while !holds(self) {
                seen.changed().await.expect("the hub lives");
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached)
            .await
            .unwrap_or_else(|_| panic!("waited for {what}: {:?}", self.told.lock().expect("told")));
    }

    /// So many more answers with the same orders.
    async fn until_asked_again(&self, times: usize) {
        let now = self.pushes.load(Ordering::SeqCst);
        self.until("more pushes", |hub| hub.pushes.load(Ordering::SeqCst) >= now + times).await;
    }
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<AgentReport, crate::agent::AgentError>>,
}

fn agent(url: &str, list: &str) -> Running {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = AgentConfig {
        push_every: Duration::from_millis(20),
        request_timeout: Duration::from_millis(400),
        backoff: Backoff { first: Duration::from_millis(5), longest: Duration::from_millis(50) },
        allow: AllowList::parse(list).expect("a list"),
        ..AgentConfig::new(url, Token::new("s3cret"), "nc1")
    };
    let stop = CancellationToken::new();
    let clock = Clock::manual(Timestamp::from_secs(1_795_226_400));
    Running { task: tokio::spawn(Agent::run(config, Arc::new(LocalView::default()), clock, stop.clone())), stop }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("joined").expect("ran");
    }
}

fn order(id: &str, argv: &[&str], within_ms: u64) -> Value {
    json!({"id": id, "run": 3, "step": 2, "attempt": 1, "argv": argv, "within_ms": within_ms})
}

/// A command that leaves one line for each time that it is run, and the list that allows it.
fn leaves_a_line(folder: &TempDir) -> ([String; 3], String) {
    let line = format!("echo done >> {}; echo said", folder.path().join("lines").display());
    let list = format!("commands = [[\"sh\", \"-c\", '{line}']]");
    (["sh".into(), "-c".into(), line], list)
}

fn lines(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("lines")).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn an_order_is_run_once_whatever_is_lost_and_however_often_it_is_sent() {
    use Fault::{Broken, LostAnswer, Well};
    let folder = tempfile::tempdir().expect("folder");
    let (argv, list) = leaves_a_line(&folder);
    let argv = argv.each_ref().map(String::as_str);
    let orders = json!([order("a-1", &argv, 60_000), order("a-2", &argv, 60_000)]);
    // Its leave to begin is lost and then not given; that the end was heard, too.
    let faults = [LostAnswer, Broken, Well, LostAnswer, Broken, Well];
    let (hub, url) = OrderingHub::start(&faults, orders).await;
    let agent = agent(&url, &list);
    let ended = |hub: &OrderingHub| hub.states().iter().filter(|state| *state == "done").count();
    hub.until("the end of the second", |hub| {
        hub.told.lock().expect("told").iter().any(|t| t.0 == "a-2" && t.1 == "done")
    })
    .await;
    hub.until_asked_again(5).await;
    agent.stop().await;
    assert_eq!(lines(folder.path()), 2, "each order once: {:?}", hub.told.lock().expect("told"));
    assert_eq!(hub.last_output(), "exited 0\nsaid");
    assert_eq!(ended(&hub), 4, "the end was told until it was heard");
}

#[tokio::test]
async fn what_its_own_list_does_not_allow_is_refused_and_never_begun() {
    let folder = tempfile::tempdir().expect("folder");
    let (argv, _) = leaves_a_line(&folder);
    let argv = argv.each_ref().map(String::as_str);
    let (hub, url) = OrderingHub::start(&[], json!([order("a-1", &argv, 60_000), order("a-2", &["sync"], 0)])).await;
    let agent = agent(&url, "commands = [[\"sync\"]]");
    hub.until("both refusals", |hub| hub.states().len() == 2).await;
    hub.until_asked_again(3).await;
    assert_eq!(hub.push.lock().expect("push")["commands"]["allow"], json!([["sync"]]), "the hub knows the list");
    agent.stop().await;
    let told = hub.told.lock().expect("told").clone();
    assert_eq!(hub.states(), ["refused", "refused"], "{told:?}");
    assert!(told[0].2.contains("`--commands` file does not allow [\"sh\", \"-c\", "), "{told:?}");
    assert!(told[1].2.contains("a time limit of 0 ms"), "{told:?}");
    assert_eq!(lines(folder.path()), 0);
}

#[tokio::test]
async fn without_the_leave_of_the_hub_nothing_is_run() {
    let folder = tempfile::tempdir().expect("folder");
    let (argv, list) = leaves_a_line(&folder);
    let argv = argv.each_ref().map(String::as_str);
    let (hub, url) = OrderingHub::start(&[Fault::No], json!([order("a-1", &argv, 60_000)])).await;
    let agent = agent(&url, &list);
    hub.until("the question", |hub| !hub.states().is_empty()).await;
    hub.until_asked_again(5).await;
    agent.stop().await;
    assert_eq!((hub.states(), lines(folder.path())), (vec!["begun".to_owned()], 0));
}

#[tokio::test]
async fn an_agent_whose_host_has_not_opted_in_does_not_even_answer_orders() {
    let (hub, url) = OrderingHub::start(&[], json!([order("a-1", &["sync"], 60_000)])).await;
    let agent = agent(&url, "commands = []");
    hub.until_asked_again(5).await;
    agent.stop().await;
    assert_eq!(hub.push.lock().expect("push")["commands"]["allow"], json!([]));
    assert!(hub.states().is_empty(), "{:?}", hub.states());
}

#[tokio::test]
async fn what_is_not_wanted_any_more_or_outlives_its_agent_is_killed() {
    let argv = ["sleep", "86397"];
    let (hub, url) = OrderingHub::start(&[], json!([order("a-1", &argv, 80_000_000)])).await;
    let agent = agent(&url, "commands = [[\"sleep\", \"86397\"]]");
    hub.until("its begin", |hub| hub.states() == ["begun"]).await;
    hub.answer.lock().expect("answer")["stop"] = json!(["a-1"]);
    hub.until("its end", |hub| hub.states().len() == 2).await;
    assert!(hub.last_output().contains("was stopped by Stentor: it was killed"), "{}", hub.last_output());
    *hub.answer.lock().expect("answer") = json!({"orders": [order("a-2", &argv, 80_000_000)], "stop": []});
    hub.until("the next begins", |hub| hub.states().len() == 3).await;
    agent.stop().await;
    assert_eq!(hub.states(), ["begun", "failed", "begun", "failed"]);
    assert!(hub.last_output().contains("the agent was stopped: it was killed"), "{}", hub.last_output());
}
