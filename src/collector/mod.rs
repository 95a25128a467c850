//! The collector: runs the due checks of a catalog and posts what they saw to the engine. Decides only when and where
//! a probe runs, never what its result means; retries happen because the engine asks for them.

mod comparison;
mod lanes;
mod metrics;
mod once;
mod plan;
mod plugin;
mod run;
mod runner;
mod spread;

use std::num::NonZeroUsize;
use std::sync::Arc;

use stentor_core::catalog::Catalog;
use stentor_core::engine::CheckRequest;
use stentor_core::model::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::engine;
use crate::probes::ssh_link::Ssh;
use crate::probes::{self, BuildError, ErasedProbe, ProbeEnv};

pub use once::{Look, once};
pub use spread::{Delay, Imported};

/// Orders that may wait; the runner never waits for the engine, so they are taken at once.
const ORDERS_MAX: usize = 1024;

/// Builds the probe of a kind from its parameters.
pub type Factory = Box<dyn Fn(&str, &Value, &ProbeEnv) -> Result<Arc<dyn ErasedProbe>, BuildError> + Send>;

/// The factory of everything in [`probes::REGISTRY`].
pub fn registry() -> Factory {
    Box::new(|kind, params, env| match probes::find(kind) {
        Some(entry) => (entry.build)(params, env),
        None => Err(BuildError { message: format!("there is no probe `{kind}`") }),
    })
}

/// How much runs at once.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Native probes: each costs a socket and a little memory.
    pub native: usize,
    /// Plugins: each costs a process.
    pub exec: usize,
    /// Native probes whose last run took nearly all its time: beside the others, never among them.
    pub slow: usize,
    /// Checks of one host, so that monitoring never becomes its load.
    pub per_host: usize,
}

impl Default for Limits {
    /// Plugins mostly wait for the network, so many more than cores may live.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Limits { native: 256, exec: (32 * cores).clamp(64, 256), slow: 256, per_host: 8 }
    }
}

/// What the collector works with.
pub struct Parts {
    pub catalog: Arc<Catalog>,
    pub env: ProbeEnv,
    pub engine: engine::Handle,
    pub clock: Clock,
    pub limits: Limits,
    pub factory: Factory,
    /// `None` = no host is reached over SSH.
    pub ssh: Option<Arc<Ssh>>,
    pub imported: Imported,
}

/// The collector has stopped.
#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the collector has stopped")]
pub struct Stopped;

/// How others talk to the collector. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CollectorHandle {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    Reload(Arc<Catalog>),
    Request(Vec<CheckRequest>),
    Obey(Imported),
}

impl CollectorHandle {
    /// Schedules by another catalog from now on; runs that have begun end as they are.
    ///
    /// # Errors
    /// The collector has stopped.
    pub async fn reload(&self, catalog: Arc<Catalog>) -> Result<(), Stopped> {
        self.orders.send(Order::Reload(catalog)).await.map_err(|_| Stopped)
    }

    /// Holds for the next catalog: what its Nagios tree says about times.
    ///
    /// # Errors
    /// The collector has stopped.
    pub async fn obey(&self, imported: Imported) -> Result<(), Stopped> {
        self.orders.send(Order::Obey(imported)).await.map_err(|_| Stopped)
    }

    /// Runs checks at other times than their phase. Ids are those of the catalog last given.
    ///
    /// # Errors
    /// The collector has stopped.
    pub async fn request(&self, checks: Vec<CheckRequest>) -> Result<(), Stopped> {
        self.orders.send(Order::Request(checks)).await.map_err(|_| Stopped)
    }
}

/// The running collector; whoever holds it stops it.
pub struct Collector {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Collector {
    /// Starts it. Its own figures go to `metrics`.
    ///
    /// # Errors
    /// A figure of that name is registered already.
    pub fn start(
        parts: Parts,
        metrics: &prometheus::Registry,
    ) -> Result<(CollectorHandle, Collector), prometheus::Error> {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let stop = CancellationToken::new();
        let runner = runner::Runner::new(parts, metrics::Metrics::register(metrics)?);
        let task = tokio::spawn(runner.serve(inbox, stop.clone()));
        Ok((CollectorHandle { orders }, Collector { task, stop }))
    }

    /// Starts no more checks, ends those that run (plugins with their process groups), and waits for it.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(e) = self.task.await {
            tracing::error!(error = %e, "the collector did not stop cleanly");
        }
    }

    /// True once it has ended, also when nobody stopped it.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

#[cfg(test)]
mod tests;
