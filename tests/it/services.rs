//! Probes of services against the real programs of Debian's packages, started here on loopback.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "services/databases.rs"]
mod databases;
#[path = "services/dns.rs"]
mod dns;
#[path = "services/greeting.rs"]
mod greeting;
#[path = "services/ldap.rs"]
mod ldap;
#[path = "services/libvirt.rs"]
mod libvirt;
#[path = "services/nats.rs"]
mod nats;
#[path = "services/nginx.rs"]
mod nginx;
#[path = "services/nrpe.rs"]
mod nrpe;
#[path = "services/ntp.rs"]
mod ntp;
#[path = "services/nut.rs"]
mod nut;
#[path = "services/ovn.rs"]
mod ovn;
#[path = "services/prometheus.rs"]
mod prometheus;
#[path = "services/rabbitmq.rs"]
mod rabbitmq;
#[path = "services/redis.rs"]
mod redis;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use stentor::clock::Clock;
use stentor::probes::{Blind, ErasedProbe, Network, ProbeEnv, Target, find};
use stentor_core::model::{Observation, Value};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Longest wait for a program; a healthy one takes milliseconds, the rest is patience for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a program is; a missing one fails the test, because skipping would hide that nothing was checked.
fn program(name: &str, package: &str) -> PathBuf {
    // Debian's upsd in /usr/sbin is a script that looks at the machine's own configuration.
    ["/lib/nut", "/usr/lib/nut", "/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed: apt-get install {package} (scripts/test does)"))
}

/// A port that is free now; who wants it takes it at once.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A folder that programs can read which give up being root.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

/// A certificate for 127.0.0.1, signed by itself as `openssl req -x509` does it, as `NAME.pem` and `NAME.key`.
fn certificate(folder: &Path, name: &str) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2046, 1, 1);
    write(folder, &format!("{name}.pem"), &params.self_signed(&key).unwrap().pem());
    write(folder, &format!("{name}.key"), &key.serialize_pem());
}

/// Starts a program that stays in the foreground; it is killed when dropped.
fn spawn(command: &mut Command) -> Child {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn build(kind: &str, params: serde_json::Value) -> Arc<dyn ErasedProbe> {
    let env = ProbeEnv { net: Network::real(), view: Arc::new(Blind), clock: Clock::Machine };
    let params: Value = serde_json::from_value(params).unwrap();
    (find(kind).unwrap().build)(&params, &env).unwrap_or_else(|error| panic!("{kind}: {error}"))
}

async fn look(probe: &dyn ErasedProbe) -> Observation {
    let target = Target { host: "h".into(), address: "127.0.0.1".into(), bmc: None };
    let seen = probe.run(&target, Instant::now() + Duration::from_secs(20)).await;
    seen.unwrap_or_else(|error| panic!("{error}"))
}

/// Looks until what is seen is as wanted: a program that was just started takes its time.
async fn look_until(probe: &dyn ErasedProbe, wanted: impl Fn(&Observation) -> bool) -> Observation {
    let begun = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        pace.tick().await;
        let seen = look(probe).await;
        if wanted(&seen) {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "it still sees {seen:#?}");
    }
}

async fn run(kind: &str, params: serde_json::Value) -> Observation {
    look(&*build(kind, params)).await
}

async fn run_until(kind: &str, params: serde_json::Value, wanted: impl Fn(&Observation) -> bool) -> Observation {
    look_until(&*build(kind, params), wanted).await
}

fn fact(seen: &Observation, name: &str) -> String {
    seen.facts.get(name).map(ToString::to_string).unwrap_or_default()
}
