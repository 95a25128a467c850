//! The agent: runs a host's own checks on that host and pushes what they saw to the hub.
//!
//! Parts in one task: the refresher asks the hub which checks there are, the runner runs them on their cadence, the pusher
//! delivers, and where the host has opted in the commander runs commands for runbooks. It never judges, and it never lets go
//! of a batch before the hub has it.

mod allow;
mod commander;
mod hub;
pub mod order;
mod pusher;
mod runner;
mod segment;
mod spool;
mod trust;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::order::Orders;
use crate::clock::Clock;
use crate::probes::HostView;

pub use allow::{AllowList, AllowListError};
pub use hub::{CheckItem, Hub, HubError};
pub use spool::{SpoolConfig, SpoolError};
pub use trust::{HubTls, HubTlsError, Identity, Pin};

/// Results on their way from the runner to the pusher; the pusher empties it at once into its spool.
const RESULTS_IN_FLIGHT_MAX: usize = 256;

/// Some 100,000 results: a day of thirty checks every half minute.
const SPOOL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What an agent needs to know. Intervals are real time: the hub has already divided cadences by its pace.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Base URL of the hub.
    pub hub: String,
    /// `None` = the certificate says who we are.
    pub token: Option<Token>,
    pub tls: HubTls,
    /// Name of the host in the hub's catalog.
    pub host: Arc<str>,
    /// Sign of life: a push at least this often, even without results.
    pub push_every: Duration,
    /// Results wait this long for company.
    pub linger: Duration,
    /// How often the list of checks is asked for.
    pub refresh_every: Duration,
    /// Deadline of one request to the hub.
    pub request_timeout: Duration,
    pub backoff: Backoff,
    /// Results that wait while the hub is away; the oldest are dropped, and counted.
    pub spool: SpoolConfig,
    /// Commands that it runs for runbooks; empty = none.
    pub allow: AllowList,
}

impl AgentConfig {
    /// The usual intervals.
    pub fn new(hub: &str, token: Token, host: &str) -> AgentConfig {
        AgentConfig {
            hub: hub.trim_end_matches('/').to_owned(),
            token: Some(token),
            tls: HubTls::default(),
            host: host.into(),
            push_every: Duration::from_secs(2),
            linger: Duration::from_millis(200),
            refresh_every: Duration::from_secs(30),
            request_timeout: Duration::from_secs(10),
            backoff: Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(10) },
            spool: SpoolConfig { folder: None, bytes_max: SPOOL_BYTES_MAX },
            allow: AllowList::default(),
        }
    }
}

/// What proves to the hub who we are; never printed.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    pub fn new(text: &str) -> Token {
        Token(text.trim().into())
    }

    fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Waits between attempts: doubling, with jitter, never longer than the longest.
#[derive(Copy, Clone, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row. `seed` spreads agents that lost the same hub.
    pub fn after(&self, failures: u32, seed: u64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest);
        // Between half and all of it.
        let jitter = phase(seed, u64::from(failures), 1000) as u32;
        doubled / 2 + doubled / 2 * jitter / 1000
    }
}

/// A number below `below`, always the same for the same inputs (FNV-1a).
fn phase(seed: u64, salt: u64, below: u64) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(salt.to_le_bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The high bits are the better mixed ones.
    (hash >> 16) % below.max(1)
}

fn seed_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What an agent did in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentReport {
    /// Batches that the hub acknowledged.
    pub batches: u64,
    pub results: u64,
    /// Dropped because the spool was full or the hub can never take them.
    pub dropped: u64,
    /// Not acknowledged when it stopped; a spool on disk keeps them for the next start.
    pub unsent: u64,
}

/// The agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("cannot set up the connection to the hub")]
    Hub(#[source] HubError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("no random bytes for the name of this start: {0}")]
    Random(getrandom::Error),
}

/// The runtime of one host's agent.
pub struct Agent;

impl Agent {
    /// Runs until `stop` is cancelled, then delivers what is left, briefly.
    ///
    /// # Errors
    /// The agent cannot start; once it runs it never gives up.
    pub async fn run(
        config: AgentConfig,
        view: Arc<dyn HostView>,
        clock: Clock,
        stop: CancellationToken,
    ) -> Result<AgentReport, AgentError> {
        let hub = Hub::new(&config).map_err(AgentError::Hub)?;
        let boot = boot_name(view.as_ref())?;
        info!(host.name = %config.host, boot = %boot, "agent starts");
        let (checks_in, checks) = watch::channel(Arc::new(Vec::new()));
        let (results_in, results) = mpsc::channel(RESULTS_IN_FLIGHT_MAX);
        let spool = spool::Spool::open(&config.spool)?;
        let (orders_in, orders) = watch::channel(Orders::default());
        let pusher = pusher::Pusher::new(&config, hub.clone(), (Arc::clone(&boot), orders_in), spool);
        let ((), (), (), report) = tokio::join!(
            refresh(&config, &hub, checks_in, &stop),
            runner::run(&config, view, clock, checks, results_in, &stop),
            commander::run(&config, &hub, boot, orders, &stop),
            pusher.run(results, &stop),
        );
        info!(host.name = %config.host, batches = report.batches, dropped = report.dropped, "agent stopped");
        Ok(report)
    }
}

/// Names this start of this boot: sequences begin at 1 in each.
fn boot_name(view: &dyn HostView) -> Result<Arc<str>, AgentError> {
    let boot = view.read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let start = getrandom::u64().map_err(AgentError::Random)?;
    let boot = if boot.trim().is_empty() { "unknown" } else { boot.trim() };
    Ok(format!("{boot}-{start:016x}").into())
}

/// Keeps the list of checks fresh; the last known list stays in use while the hub is away.
async fn refresh(
    config: &AgentConfig,
    hub: &Hub,
    checks: watch::Sender<Arc<Vec<CheckItem>>>,
    stop: &CancellationToken,
) {
    let seed = seed_of(&config.host);
    let mut failures = 0;
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return,
            asked = hub.checks() => asked,
        };
        let wait = match asked {
            Ok(items) => {
                failures = 0;
                checks.send_if_modified(|known| {
                    let is_new = **known != items;
                    if is_new {
                        info!(host.name = %config.host, checks = items.len(), "the hub has new checks");
                        *known = Arc::new(items);
                    }
                    is_new
                });
                config.refresh_every
            }
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    warn!(host.name = %config.host, error = %error, "the hub does not tell which checks to run");
                }
                config.backoff.after(failures, seed).min(config.refresh_every)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(Instant::now() + wait) => {}
        }
    }
}

#[cfg(test)]
mod tests;
