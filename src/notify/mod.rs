//! Outbox to notifiers: one queue a channel, retries with back-off, rate limits, and the outcome back to the engine.
//!
//! Delivery is at least once. A message repeats only if the process died between a receiver's acceptance and its
//! record in the outbox, and then under the same key.

mod channel;
mod compose;
pub mod policy;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prometheus::{IntCounterVec, Opts, Registry};
use stentor_core::catalog::Catalog;
use stentor_core::model::{Delivery, DeliveryOutcome, Notification};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::engine::{Handle, Refused};
use crate::notifiers::{Notifier, Notifiers, Unconfigured};
use crate::store::{OutboxEnd, SharedStore};
use channel::Channel;
use policy::{ChannelLimits, RetryPolicy};

/// Pages that wait in memory for a channel while the store is lost. Beyond it a page is counted and logged as dropped;
/// the journal still holds what caused it.
pub const UNRECORDED_MAX: usize = 10_000;
/// How often the outbox is looked at without being rung: finds channels that a reload took away.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Pause before asking a store again that just failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// Longest wait for the writer to make an outcome durable.
const REPORT_DEADLINE: Duration = Duration::from_secs(60);

/// What the worker wants of the engine.
#[async_trait]
pub trait Reports: Send + Sync {
    /// The world now in force: runbooks, base URL, name of this installation.
    fn catalog(&self) -> Arc<Catalog>;
    /// Hands outcomes to the engine; durable when it returns. A repeated outcome (same key) must be harmless.
    async fn report(&self, deliveries: Vec<Delivery>) -> Result<(), Refused>;
}

#[async_trait]
impl Reports for Handle {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.snapshot().catalog)
    }

    async fn report(&self, deliveries: Vec<Delivery>) -> Result<(), Refused> {
        for delivery in deliveries {
            self.delivery(delivery).await?;
        }
        self.flush().await.map(drop)
    }
}

/// What the worker is made of.
pub struct Parts {
    pub store: SharedStore,
    pub notifiers: Notifiers,
    pub engine: Arc<dyn Reports>,
    pub clock: Clock,
    pub registry: Arc<Registry>,
    /// Woken by the writer after notifications have reached the outbox.
    pub outbox: Arc<Notify>,
    /// Notifications that the writer could not put into the outbox because the store is lost.
    pub unrecorded: mpsc::Receiver<Notification>,
    pub retry: RetryPolicy,
    pub limits: ChannelLimits,
}

/// The running worker.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Lets messages under way finish (each has a deadline), records their outcomes and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the notification worker failed");
        }
    }
}

/// What all channels share.
struct Shared {
    store: SharedStore,
    engine: Arc<dyn Reports>,
    clock: Clock,
    retry: RetryPolicy,
    limits: ChannelLimits,
    outcomes: IntCounterVec,
    stop: CancellationToken,
}

/// Starts the worker: first tells the engine what ended before a restart, then serves the outbox.
///
/// # Errors
/// The metric is registered already.
pub fn start(parts: Parts) -> Result<Running, prometheus::Error> {
    let opts = Opts::new("stentor_notifications_total", "Attempts to deliver notifications, by channel and outcome.");
    let outcomes = IntCounterVec::new(opts, &["channel", "outcome"])?;
    parts.registry.register(Box::new(outcomes.clone()))?;
    let stop = CancellationToken::new();
    let shared = Arc::new(Shared {
        store: parts.store,
        engine: parts.engine,
        clock: parts.clock,
        retry: parts.retry,
        limits: parts.limits,
        outcomes,
        stop: stop.clone(),
    });
    let (bell, _) = watch::channel(());
    let supervisor = Supervisor {
        shared,
        notifiers: parts.notifiers,
        outbox: parts.outbox,
        unrecorded: parts.unrecorded,
        bell,
        lanes: BTreeMap::new(),
        tasks: JoinSet::new(),
    };
    Ok(Running { stop, task: tokio::spawn(supervisor.run()) })
}

struct Supervisor {
    shared: Arc<Shared>,
    notifiers: Notifiers,
    outbox: Arc<Notify>,
    unrecorded: mpsc::Receiver<Notification>,
    /// Rung for every channel at once; never lost, unlike a `Notify` with several waiters.
    bell: watch::Sender<()>,
    lanes: BTreeMap<String, mpsc::Sender<Notification>>,
    tasks: JoinSet<()>,
}

impl Supervisor {
    async fn run(mut self) {
        self.tell_old_ends().await;
        let channels: Vec<Arc<dyn Notifier>> = self.notifiers.iter().cloned().collect();
        for notifier in channels {
            let name = notifier.channel().to_owned();
            self.open_lane(&name, notifier);
        }
        let stop = self.shared.stop.clone();
        let mut writer_lives = true;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.outbox.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                page = self.unrecorded.recv(), if writer_lives => match page {
                    Some(page) => {
                        self.take_unrecorded(page);
                        continue;
                    }
                    None => writer_lives = false,
                },
            }
            self.find_lanes().await;
            self.bell.send_replace(());
        }
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a notification channel failed");
            }
        }
    }

    /// Ends that were recorded before a crash, but perhaps never reached the engine.
    async fn tell_old_ends(&self) {
        while !self.shared.stop.is_cancelled() {
            match self.shared.store.outbox_undelivered_outcomes().await {
                Ok(ends) => return self.tell(ends).await,
                Err(error) => {
                    tracing::error!(error = %chain(&error), "cannot read which notifications ended before the restart");
                    pause(STORE_PAUSE, &self.shared.stop).await;
                }
            }
        }
    }

    async fn tell(&self, ends: Vec<OutboxEnd>) {
        let deliveries: Vec<Delivery> = ends
            .iter()
            .map(|end| {
                let outcome = if end.sent {
                    DeliveryOutcome::Accepted(end.text.clone())
                } else {
                    DeliveryOutcome::Failed(end.text.clone())
                };
                delivery(&end.notification, outcome)
            })
            .collect();
        if deliveries.is_empty() || !self.shared.report(deliveries).await {
            return;
        }
        for end in ends {
            if let Err(error) = self.shared.store.outbox_outcome_told(&end.notification.key).await {
                tracing::warn!(error = %chain(&error), "an outcome will be told again after a restart");
            }
        }
    }

    fn open_lane(&mut self, name: &str, notifier: Arc<dyn Notifier>) {
        let (sender, receiver) = mpsc::channel(UNRECORDED_MAX);
        self.lanes.insert(name.to_owned(), sender);
        let channel = Channel::new(name, notifier, Arc::clone(&self.shared), self.bell.subscribe(), receiver);
        self.tasks.spawn(channel.run());
    }

    /// Rows of a channel that is not configured are tried and fail like any other, so that a reload can save them and
    /// an end is visible on the incident.
    async fn find_lanes(&mut self) {
        match self.shared.store.outbox_pending().await {
            Ok(pending) => {
                for (name, _) in pending {
                    if !self.lanes.contains_key(&name) {
                        self.open_lane(&name, Arc::new(Unconfigured));
                    }
                }
            }
            Err(error) => tracing::debug!(error = %chain(&error), "cannot look for pending channels"),
        }
    }

    fn take_unrecorded(&mut self, page: Notification) {
        let name = page.channel.to_string();
        if !self.lanes.contains_key(&name) {
            self.open_lane(&name, Arc::new(Unconfigured));
        }
        if let Some(lane) = self.lanes.get(&name)
            && let Err(error) = lane.try_send(page)
        {
            let page = error.into_inner();
            tracing::error!(notification.key = %page.key, "store lost and queue full: `{}` is dropped", page.key);
            self.shared.outcomes.with_label_values(&["memory", "dropped"]).inc();
        }
    }
}

impl Shared {
    /// Whether the engine took them durably.
    async fn report(&self, deliveries: Vec<Delivery>) -> bool {
        match tokio::time::timeout(REPORT_DEADLINE, self.engine.report(deliveries)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(%error, "outcomes will be told after the restart");
                false
            }
            Err(_) => {
                tracing::error!("the engine did not take outcomes within {} s", REPORT_DEADLINE.as_secs());
                false
            }
        }
    }
}

fn delivery(notification: &Notification, outcome: DeliveryOutcome) -> Delivery {
    Delivery {
        key: Arc::clone(&notification.key),
        incident: notification.incident.number,
        contact: Arc::clone(&notification.contact),
        channel: Arc::clone(&notification.channel),
        reason: notification.reason,
        outcome,
    }
}

async fn pause(length: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(length) => {}
        () = stop.cancelled() => {}
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
