//! IPMI end to end: our client against our simulated controller, and both against programs written by others.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "ipmi/bench.rs"]
mod bench;
#[path = "ipmi/beyond.rs"]
mod beyond;
#[path = "ipmi/client.rs"]
mod client;
#[path = "ipmi/control.rs"]
mod control;
#[path = "ipmi/equality.rs"]
mod equality;
#[path = "ipmi/hostile.rs"]
mod hostile;
#[path = "ipmi/peer.rs"]
mod peer;
#[path = "ipmi/sensors.rs"]
mod sensors;
#[path = "ipmi/simulator.rs"]
pub mod simulator;
#[path = "ipmi/tools.rs"]
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use stentor::clock::Clock;
use stentor::demo::bmc::{BmcIdentity, SimulatedBmc};
use stentor::probes::ipmi::{BmcAddress, BmcPoll, SensorSeen};
use stentor_core::Timestamp;
use stentor_wire::ipmi::console::Credentials;
use stentor_wire::ipmi::{Privilege, Suite};
use tokio::time::Instant;

/// Longest wait for anything; a healthy poll takes milliseconds, the rest is patience for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// 2026-11-21 12:00:00 UTC.
const NOON: i64 = 1_795_262_400_000;

const USER: &str = "monitor";
const PASSWORD: &str = "exactly twenty bytes";

fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

fn login(addr: SocketAddr, user: &str, password: &str) -> BmcAddress {
    BmcAddress::new(addr, Credentials::new(user.as_bytes(), password.as_bytes(), None).unwrap())
}

/// A controller that takes each suite that can be chosen.
fn identity() -> BmcIdentity {
    let identity = BmcIdentity::with_user(USER, PASSWORD).and_user("admin", "secret", Privilege::Administrator);
    BmcIdentity { suites: Suite::ALL.to_vec(), ..identity }
}

async fn simulated() -> SimulatedBmc {
    simulated_as(identity()).await
}

async fn simulated_as(identity: BmcIdentity) -> SimulatedBmc {
    let clock = Clock::manual(Timestamp::from_millis(NOON));
    SimulatedBmc::start("127.0.0.1:0".parse().unwrap(), identity, clock).await.unwrap()
}

fn sensor<'a>(poll: &'a BmcPoll, name: &str) -> &'a SensorSeen {
    poll.sensors.iter().find(|sensor| sensor.name == name).unwrap_or_else(|| panic!("no sensor `{name}` in {poll:#?}"))
}

/// Where a program is; a missing one fails the test, because skipping would hide that nothing was checked.
fn program(name: &str, package: &str) -> PathBuf {
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"]
        .iter()
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed: apt-get install {package} (scripts/test does)"))
}
