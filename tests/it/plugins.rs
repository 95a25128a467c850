//! Debian's monitoring-plugins, unmodified, through the `exec` probe. They must be installed: a test that skips itself
//! proves nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stentor::clock::Clock;
use stentor::probes::{Blind, Network, ProbeEnv, Target, find};
use stentor_core::model::{Measurement, Observation, Outcome, ServiceState, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

const PLUGINS: &str = "/usr/lib/nagios/plugins";

/// Runs `plugin arguments` against 127.0.0.1 and returns the state it reported with everything else.
async fn run(plugin: &str, arguments: &str) -> (ServiceState, Observation) {
    let program = Path::new(PLUGINS).join(plugin);
    assert!(
        program.is_file(),
        "{} is missing: install the packages monitoring-plugins-basic and monitoring-plugins-standard",
        program.display()
    );
    let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: Clock::Machine };
    let params: Value = [("command", format!("{} {arguments}", program.display()))].into_iter().collect();
    let probe = (find("exec").expect("exec is registered").build)(&params, &env).expect("a valid command line");
    let target = Target { host: "here".into(), address: "127.0.0.1".into(), bmc: None };
    let seen = probe.run(&target, Instant::now() + Duration::from_secs(60)).await.expect("the plugin starts");
    match seen.outcome {
        Outcome::Reported(state) => (state, seen),
        Outcome::Observed | Outcome::Failed(_) | Outcome::ReportedHost(_) => {
            panic!("{plugin} reported no state: {seen:?}")
        }
    }
}

fn measurement<'a>(seen: &'a Observation, label: &str) -> &'a Measurement {
    let found = seen.measurements.iter().find(|measurement| &*measurement.label == label);
    found.unwrap_or_else(|| panic!("no measurement `{label}` in {seen:?}"))
}

/// Listens on a free port of loopback and answers each connection with `answer`, after the request if it has one.
pub async fn serve(reads_request: bool, answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let mut request = [0; 1024];
            if !reads_request {
                let _ = peer.write_all(answer).await;
            }
            let _ = peer.read(&mut request).await;
            if reads_request {
                let _ = peer.write_all(answer).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn check_disk_reports_space_with_its_thresholds() {
    let (state, seen) = run("check_disk", "-w 0% -c 0% -p /").await;
    assert_eq!(state, ServiceState::Ok, "{seen:?}");
    assert!(seen.text.starts_with("DISK OK"), "{}", seen.text);
    let root = measurement(&seen, "/");
    assert!(root.value.is_some_and(|used| used > 0.0) && root.max.is_some_and(|all| all > 0.0), "{root:?}");
    assert!(!root.unit.is_empty() && !root.crit.is_empty(), "{root:?}");
    assert!(!seen.facts.contains_key("perfdata"), "some perfdata was refused: {seen:?}");
}

#[tokio::test]
async fn check_http_talks_to_a_server_and_sees_its_errors() {
    let fine = serve(true, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi").await;
    let (state, seen) = run("check_http", &format!("-H $HOSTNAME$ -I $HOSTADDRESS$ -p {} -s hi", fine.port())).await;
    assert_eq!(state, ServiceState::Ok, "{seen:?}");
    assert_eq!(&*measurement(&seen, "time").unit, "s");
    assert_eq!(&*measurement(&seen, "size").unit, "B");

    let broken = serve(true, b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let (state, seen) = run("check_http", &format!("-I $HOSTADDRESS$ -p {}", broken.port())).await;
    assert_eq!(state, ServiceState::Critical, "{seen:?}");
    assert!(seen.text.contains("500"), "{}", seen.text);
}

#[tokio::test]
async fn check_ssh_reads_a_banner_and_a_refused_port_is_critical() {
    let ssh = serve(false, b"SSH-2.0-OpenSSH_9.2p1 Test\r\n").await;
    let (state, seen) = run("check_ssh", &format!("-p {} $HOSTADDRESS$", ssh.port())).await;
    assert_eq!(state, ServiceState::Ok, "{seen:?}");
    assert!(seen.text.contains("OpenSSH_9.2p1"), "{}", seen.text);

    let closed = TcpListener::bind("127.0.0.1:0").await.expect("loopback").local_addr().expect("bound");
    let (state, seen) = run("check_ssh", &format!("-p {} $HOSTADDRESS$", closed.port())).await;
    assert_eq!(state, ServiceState::Critical, "{seen:?}");
}

#[tokio::test]
async fn check_procs_counts_and_judges_processes() {
    let (state, seen) = run("check_procs", "-w 1: -c 1:").await;
    assert_eq!(state, ServiceState::Ok, "{seen:?}");
    assert!(measurement(&seen, "procs").value.is_some_and(|count| count >= 1.0), "{seen:?}");
    let (state, seen) = run("check_procs", "-c 1: -a 'no such process anywhere'").await;
    assert_eq!(state, ServiceState::Critical, "{seen:?}");
}

#[tokio::test]
async fn check_load_measures_three_loads() {
    let (state, seen) = run("check_load", "-w 9000,9000,9000 -c 9999,9999,9999").await;
    assert_eq!(state, ServiceState::Ok, "{seen:?}");
    for label in ["load1", "load5", "load15"] {
        assert!(measurement(&seen, label).value.is_some(), "{seen:?}");
    }
}

#[tokio::test]
async fn a_plugin_used_wrongly_is_unknown() {
    let (state, seen) = run("check_http", "--no-such-option").await;
    assert_eq!(state, ServiceState::Unknown, "{seen:?}");
}
