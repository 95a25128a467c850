//! Delivers results in order. A push keeps its sequence and its bytes until the hub has acknowledged it; what is not
//! acknowledged waits in the spool.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::hub::{Hub, HubError, Push, PushedResult};
use super::order::Orders;
use super::spool::{Batch, SYNC_EVERY, Spool};
use super::{AgentConfig, AgentReport, Backoff, seed_of};

/// For delivering what is left when the agent stops.
const LAST_DELIVERY: Duration = Duration::from_secs(3);
/// Results that go to the spool in one go.
const TAKEN_AT_ONCE_MAX: usize = 256;

type Flight = Pin<Box<dyn Future<Output = Result<Orders, HubError>> + Send>>;

/// One push on its way.
struct OnItsWay {
    sequence: u64,
    /// What the spool may forget then; `None` = a sign of life.
    number: Option<u64>,
    results: u64,
    body: Arc<[u8]>,
}

pub struct Pusher {
    hub: Hub,
    boot: Arc<str>,
    /// What the hub's newest answer asks for.
    orders: watch::Sender<Orders>,
    push_every: Duration,
    linger: Duration,
    backoff: Backoff,
    seed: u64,
    spool: Desk,
    /// Not acknowledged yet.
    push: Option<OnItsWay>,
    flight: Option<Flight>,
    /// Of the next result or sign of life.
    sequence: u64,
    failures: u32,
    next_push: Instant,
    report: AgentReport,
}

/// The spool, used on threads that may block: a disk may take its time.
struct Desk(Option<Spool>);

impl Desk {
    async fn with<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Spool) -> T + Send + 'static) -> Option<T> {
        let mut spool = self.0.take()?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&mut spool);
            (spool, result)
        });
        match done.await {
            Ok((spool, result)) => {
                self.0 = Some(spool);
                Some(result)
            }
            Err(error) => {
                error!(error = %error, "the spool broke: results are lost");
                None
            }
        }
    }

    fn waiting(&self) -> u64 {
        self.0.as_ref().map_or(0, |spool| spool.len() as u64)
    }

    fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, Spool::dropped)
    }
}

impl Pusher {
    pub fn new(
        config: &AgentConfig,
        hub: Hub,
        (boot, orders): (Arc<str>, watch::Sender<Orders>),
        spool: Spool,
    ) -> Pusher {
        Pusher {
            hub,
            boot,
            orders,
            push_every: config.push_every,
            linger: config.linger,
            backoff: config.backoff,
            seed: seed_of(&config.host),
            spool: Desk(Some(spool)),
            push: None,
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
        let mut taken = Vec::with_capacity(TAKEN_AT_ONCE_MAX);
        let mut next_sync = Instant::now() + SYNC_EVERY;
        loop {
            tokio::select! {
                n = results.recv_many(&mut taken, TAKEN_AT_ONCE_MAX) => match n {
                    0 => break,
                    _ => self.take(std::mem::take(&mut taken)).await,
                },
                outcome = fly(&mut self.flight) => self.landed(outcome).await,
                () = sleep_until(self.next_push), if self.flight.is_none() => self.start().await,
                () = sleep_until(next_sync) => {
                    self.spool.with(Spool::sync_if_due).await;
                    next_sync = Instant::now() + SYNC_EVERY;
                }
            }
        }
        debug_assert!(stop.is_cancelled(), "the runner ends only when it is told to");
        self.finish(Instant::now() + LAST_DELIVERY).await;
        self.spool.with(Spool::close).await;
        self.report.unsent += self.spool.waiting();
        self.report.dropped += self.spool.dropped();
        self.report
    }

    async fn take(&mut self, results: Vec<PushedResult>) {
        let mut written = Vec::with_capacity(results.len());
        for mut result in results {
            result.sequence = self.sequence;
            match serde_json::to_vec(&result) {
                Ok(json) => {
                    written.push((self.sequence, json));
                    self.sequence += 1;
                }
                Err(error) => {
                    error!(error = %error, service.key = %result.service, "a result cannot be written as JSON");
                    self.report.dropped += 1;
                }
            }
        }
        let boot = Arc::clone(&self.boot);
        let kept = self.spool.with(move |spool| {
            written.iter().for_each(|(sequence, json)| spool.add(&boot, *sequence, json));
        });
        kept.await;
        // While the hub is away its back-off decides, not our results.
        if self.failures == 0 {
            self.next_push = self.next_push.min(Instant::now() + self.linger);
        }
    }

    /// Sends the push that was not acknowledged yet, else the oldest results, or none at all as a sign of life.
    async fn start(&mut self) {
        let push = match self.push.take() {
            Some(push) => push,
            None => {
                let batch = self.spool.with(Spool::batch).await.flatten();
                match self.pack(batch) {
                    Ok(push) => push,
                    Err(error) => {
                        error!(error = %error, "a push cannot be written as JSON");
                        self.next_push = Instant::now() + self.push_every;
                        return;
                    }
                }
            }
        };
        let (hub, body) = (self.hub.clone(), Arc::clone(&push.body));
        self.push = Some(push);
        self.flight = Some(Box::pin(async move { hub.push(body).await }));
    }

    fn pack(&mut self, batch: Option<Batch>) -> Result<OnItsWay, HubError> {
        let (waiting, dropped) = (self.spool.waiting(), self.spool.dropped());
        let Some(batch) = batch else {
            let sequence = self.sequence;
            self.sequence += 1;
            let push = Push { start: &self.boot, boot: &self.boot, sequence, waiting: 0, dropped, results: &[] };
            return Ok(OnItsWay { sequence, number: None, results: 0, body: self.hub.body(&push)? });
        };
        let results = batch.results.len() as u64;
        let waiting = waiting.saturating_sub(results);
        let push = Push {
            start: &self.boot,
            boot: &batch.boot,
            sequence: batch.sequence,
            waiting,
            dropped,
            results: &batch.results,
        };
        let body = self.hub.body(&push)?;
        Ok(OnItsWay { sequence: batch.sequence, number: Some(batch.number), results, body })
    }

    async fn landed(&mut self, outcome: Result<Orders, HubError>) {
        self.flight = None;
        match outcome {
            Ok(orders) => {
                self.orders.send_if_modified(|known| std::mem::replace(known, orders) != *known);
                if self.failures > 0 {
                    info!(failures = self.failures, "the hub takes results again");
                }
                self.failures = 0;
                if let Some(push) = self.push.take() {
                    self.report.batches += 1;
                    self.report.results += push.results;
                    self.forget(push.number).await;
                }
                self.next_push =
                    Instant::now() + if self.spool.waiting() == 0 { self.push_every } else { Duration::ZERO };
            }
            Err(error @ HubError::Never { .. }) => {
                if let Some(push) = self.push.take() {
                    error!(error = %error, sequence = push.sequence, results = push.results, "a push is dropped");
                    self.report.dropped += push.results;
                    self.forget(push.number).await;
                }
                self.next_push = Instant::now() + self.push_every;
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures == 1 {
                    warn!(error = %error, "the hub does not take results; they are kept and sent again");
                }
                self.next_push = Instant::now() + self.backoff.after(self.failures, self.seed);
            }
        }
    }

    async fn forget(&mut self, number: Option<u64>) {
        if let Some(number) = number {
            self.spool.with(move |spool| spool.taken(number)).await;
        }
    }

    async fn finish(&mut self, deadline: Instant) {
        while self.push.is_some() || self.spool.waiting() > 0 {
            if self.flight.is_none() {
                if self.failures > 0 {
                    sleep_until(self.next_push.min(deadline)).await;
                }
                self.start().await;
            }
            match timeout_at(deadline, fly(&mut self.flight)).await {
                Ok(outcome) => self.landed(outcome).await,
                Err(_) => {
                    warn!("the hub did not take the last results in time");
                    return;
                }
            }
        }
    }
}

/// The flight's outcome; never, if nothing flies.
async fn fly(flight: &mut Option<Flight>) -> Result<Orders, HubError> {
    match flight {
        Some(flight) => flight.await,
        None => std::future::pending().await,
    }
}
