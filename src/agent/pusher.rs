//! Delivers batches in order. A batch keeps its sequence and its bytes until the hub has acknowledged it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::hub::{Hub, HubError, PushedResult};
use super::spool::Spool;
use super::{AgentConfig, AgentReport, Backoff, seed_of};

/// For delivering what is left when the agent stops.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

type Flight = Pin<Box<dyn Future<Output = Result<(), HubError>> + Send>>;

/// One batch on its way.
struct Batch {
    sequence: u64,
    results: u64,
    body: Arc<[u8]>,
}

pub struct Pusher {
    hub: Hub,
    boot: Arc<str>,
    push_every: Duration,
    linger: Duration,
    backoff: Backoff,
    seed: u64,
    spool: Spool,
    /// Not acknowledged yet.
    batch: Option<Batch>,
    flight: Option<Flight>,
    /// Of the next batch.
    sequence: u64,
    failures: u32,
    next_push: Instant,
    report: AgentReport,
}

impl Pusher {
    pub fn new(config: &AgentConfig, hub: Hub, boot: Arc<str>) -> Pusher {
        Pusher {
            hub,
            boot,
            push_every: config.push_every,
            linger: config.linger,
            backoff: config.backoff,
            seed: seed_of(&config.host),
            spool: Spool::new(config.spool_max),
            batch: None,
            flight: None,
            sequence: 1,
            failures: 0,
            // The first sign of life goes out at once.
            next_push: Instant::now(),
            report: AgentReport::default(),
        }
    }

    /// Delivers until the runner is gone, then what is left, briefly.
    pub async fn run(mut self, mut results: mpsc::Receiver<PushedResult>, stop: &CancellationToken) -> AgentReport {
        loop {
            tokio::select! {
                result = results.recv() => match result {
                    Some(result) => self.take(result),
                    None => break,
                },
                outcome = fly(&mut self.flight) => self.landed(outcome),
                () = sleep_until(self.next_push), if self.flight.is_none() => self.start(),
            }
        }
        debug_assert!(stop.is_cancelled(), "the runner ends only when it is told to");
        if timeout(LAST_DELIVERY, self.finish()).await.is_err() {
            warn!("the hub did not take the last results in time");
        }
        let waiting = self.batch.as_ref().map_or(0, |batch| batch.results);
        self.report.unsent = waiting + self.spool.len() as u64;
        self.report.dropped += self.spool.dropped();
        self.report
    }

    fn take(&mut self, result: PushedResult) {
        self.spool.add(result);
        // While the hub is away its back-off decides, not our results.
        if self.failures == 0 {
            self.next_push = self.next_push.min(Instant::now() + self.linger);
        }
    }

    /// Sends the batch that was not acknowledged yet, else the next one, even if it is empty: a sign of life.
    fn start(&mut self) {
        let batch = match self.batch.take() {
            Some(batch) => batch,
            None => {
                let results = self.spool.take_batch();
                let body = match self.hub.body(&self.boot, self.sequence, &results) {
                    Ok(body) => body,
                    Err(error) => {
                        error!(error = %error, "results cannot be written as JSON and are dropped");
                        self.report.dropped += results.len() as u64;
                        self.next_push = Instant::now() + self.push_every;
                        return;
                    }
                };
                let batch = Batch { sequence: self.sequence, results: results.len() as u64, body };
                self.sequence += 1;
                batch
            }
        };
        let (hub, body) = (self.hub.clone(), Arc::clone(&batch.body));
        self.batch = Some(batch);
        self.flight = Some(Box::pin(async move { hub.push(body).await }));
    }

    fn landed(&mut self, outcome: Result<(), HubError>) {
        self.flight = None;
        let now = Instant::now();
        match outcome {
            Ok(()) => {
                if self.failures > 0 {
                    info!(failures = self.failures, "the hub takes results again");
                }
                self.failures = 0;
                if let Some(batch) = self.batch.take() {
                    self.report.batches += 1;
                    self.report.results += batch.results;
                }
                self.next_push = now + if self.spool.is_empty() { self.push_every } else { self.linger };
            }
            Err(error @ HubError::Never { .. }) => {
                if let Some(batch) = self.batch.take() {
                    error!(error = %error, sequence = batch.sequence, results = batch.results, "a batch is dropped");
                    self.report.dropped += batch.results;
                }
                self.next_push = now + self.push_every;
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures == 1 {
                    warn!(error = %error, "the hub does not take results; they are kept and sent again");
                }
                self.next_push = now + self.backoff.after(self.failures, self.seed);
            }
        }
    }

    async fn finish(&mut self) {
        while self.batch.is_some() || !self.spool.is_empty() {
            if self.flight.is_none() {
                if self.failures > 0 {
                    sleep_until(self.next_push).await;
                }
                self.start();
            }
            let outcome = fly(&mut self.flight).await;
            self.landed(outcome);
        }
    }
}

/// The flight's outcome; never, if nothing flies.
async fn fly(flight: &mut Option<Flight>) -> Result<(), HubError> {
    match flight {
        Some(flight) => flight.await,
        None => std::future::pending().await,
    }
}
