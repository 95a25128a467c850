//! What tests of probes share: an environment over a simulated host, a run by kind through the registry, and fact access.

use std::sync::Arc;
use std::time::Duration;

use stentor_core::Timestamp;
use stentor_core::model::{Observation, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::sim_view::SimView;
use super::{Deadline, ErasedProbe, HostView, Network, ProbeEnv, ProbeError, Target, find};
use crate::clock::Clock;

/// 2026-11-21T02:00:00Z.
pub const NOW_S: i64 = 1_795_226_400;

pub fn env(view: Arc<dyn HostView>) -> ProbeEnv {
    ProbeEnv { net: Network::real(), view, clock: Clock::manual(Timestamp::from_secs(NOW_S)) }
}

pub fn plain_env() -> ProbeEnv {
    env(Arc::new(SimView::new()))
}

pub fn target(address: &str) -> Target {
    Target { host: "h1".into(), address: address.into(), bmc: None }
}

pub fn within(millis: u64) -> Deadline {
    Instant::now() + Duration::from_millis(millis)
}

/// What a busy machine may add to a deadline before a test calls it overrun; a probe that hangs, hangs for longer.
const SLACK: Duration = Duration::from_secs(10);

pub fn is_overrun(deadline: Deadline) -> bool {
    Instant::now() > deadline + SLACK
}

/// Builds a probe by kind, through the registry as the service does.
pub fn build(kind: &str, params: &str, env: &ProbeEnv) -> Result<Arc<dyn ErasedProbe>, super::BuildError> {
    let params: Value = serde_json::from_str(params).expect("parameters of the test are JSON");
    (find(kind).expect("registered").build)(&params, env)
}

/// Runs a host-side probe on a view.
pub async fn run_on(kind: &str, params: &str, view: Arc<dyn HostView>) -> Result<Observation, ProbeError> {
    let probe = build(kind, params, &env(view)).expect("parameters of the test fit");
    probe.run(&target("192.0.2.1"), within(5000)).await
}

/// Runs a host-side probe on a host that has these files and nothing else.
pub async fn run_on_files(kind: &str, params: &str, files: &[(&str, &str)]) -> Result<Observation, ProbeError> {
    let view = SimView::new();
    for (path, contents) in files {
        view.put(path, contents);
    }
    run_on(kind, params, Arc::new(view)).await
}

/// Runs a network probe against loopback.
pub async fn run_at(kind: &str, params: &str, millis: u64) -> Result<Observation, ProbeError> {
    let probe = build(kind, params, &plain_env()).expect("parameters of the test fit");
    probe.run(&target("127.0.0.1"), within(millis)).await
}

pub fn text(seen: &Observation, fact: &str) -> String {
    seen.facts.get(fact).map(ToString::to_string).unwrap_or_default()
}

pub fn number(seen: &Observation, fact: &str) -> f64 {
    seen.facts.get(fact).and_then(Value::number).unwrap_or(f64::NAN)
}

/// A small web server on loopback: path, status and body of each page; the port.
pub async fn serve_pages(pages: &[(&'static str, &'static str, &'static str)]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    let pages = pages.to_vec();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
            let path = asked.split_whitespace().nth(1).unwrap_or_default();
            let page = pages.iter().find(|(own, ..)| *own == path);
            let (status, body) = page.map_or(("404 Not Found", ""), |(_, status, body)| (status, body));
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}
