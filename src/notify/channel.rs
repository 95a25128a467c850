//! One channel's queue: takes what is due, sends a bounded number at once, records how each attempt ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use stentor_core::model::{Delivery, DeliveryOutcome, Notification, Reason};
use stentor_core::{Span, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};

use super::policy::{RateLimiter, Retry};
use super::{STORE_PAUSE, Shared, UNRECORDED_MAX, chain, compose, delivery};
use crate::notifiers::{Notifier, Receipt, SendError};
use crate::store::{OutboxRow, StoreError};

/// No attempt may take longer, whatever its notifier's own timeout says.
const SEND_DEADLINE: Duration = Duration::from_secs(180);
/// Longest sleep: a wall clock that jumps must not stretch a wait for long.
const SLEEP_MAX: Duration = Duration::from_secs(15);
const SLEEP_MIN: Duration = Duration::from_millis(5);
/// Threads remembered for pages that the store cannot tell the thread of.
const THREADS_MAX: usize = 10_000;

type Sent = Result<Receipt, SendError>;
/// Incident, contact: within one channel, what is delivered in order.
type Thread = (i64, Arc<str>);

pub(super) struct Channel {
    name: String,
    notifier: Arc<dyn Notifier>,
    shared: Arc<Shared>,
    bell: watch::Receiver<()>,
    from_writer: mpsc::Receiver<Notification>,
    /// Pages that no outbox holds, in their order, with the time of their next attempt.
    unrecorded: Vec<(Timestamp, OutboxRow)>,
    flying: HashMap<Id, Flight>,
    sends: JoinSet<Sent>,
    unsettled: Vec<Settlement>,
    rate: RateLimiter,
    threads: BTreeMap<Thread, String>,
    /// The store failed; not asked again before.
    store_rests_until: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Flight {
    row: OutboxRow,
    recorded: bool,
}

/// An attempt whose outcome is not yet where it belongs. It stays until the store has it: forgetting that a receiver
/// accepted a message would send it twice.
#[derive(Debug)]
struct Settlement {
    flight: Flight,
    outcome: Outcome,
    at: Timestamp,
    stored: bool,
    reported: bool,
}

#[derive(Debug)]
enum Outcome {
    End(DeliveryOutcome),
    Again { due: Timestamp, error: String },
}

impl Channel {
    pub(super) fn new(
        name: &str,
        notifier: Arc<dyn Notifier>,
        shared: Arc<Shared>,
        bell: watch::Receiver<()>,
        from_writer: mpsc::Receiver<Notification>,
    ) -> Channel {
        Channel {
            name: name.to_owned(),
            notifier,
            rate: RateLimiter::new(&shared.limits),
            shared,
            bell,
            from_writer,
            unrecorded: Vec::new(),
            flying: HashMap::new(),
            sends: JoinSet::new(),
            unsettled: Vec::new(),
            threads: BTreeMap::new(),
            store_rests_until: None,
        }
    }

    pub(super) async fn run(mut self) {
        let stop = self.shared.stop.clone();
        while !stop.is_cancelled() {
            self.settle().await;
            let next = self.launch().await;
            let sleep = next.since(self.shared.clock.now()).to_std().clamp(SLEEP_MIN, SLEEP_MAX);
            tokio::select! {
                () = stop.cancelled() => break,
                Some(joined) = self.sends.join_next_with_id() => self.landed(joined),
                Some(page) = self.from_writer.recv() => self.take_unrecorded(page),
                rung = self.bell.changed() => if rung.is_err() { break },
                () = tokio::time::sleep(sleep) => {}
            }
        }
        while let Some(joined) = self.sends.join_next_with_id().await {
            self.landed(joined);
        }
        self.store_rests_until = None;
        self.settle().await;
        for settlement in &self.unsettled {
            let key = &settlement.flight.row.notification.key;
            tracing::error!(notification.key = %key, "stopping without a record of `{key}`: it may be sent again");
        }
    }

    fn take_unrecorded(&mut self, page: Notification) {
        if self.unrecorded.len() >= UNRECORDED_MAX {
            tracing::error!(notification.key = %page.key, "store lost and memory full: `{}` is dropped", page.key);
            self.count("dropped");
            return;
        }
        let thread = self.threads.get(&thread_of(&page)).cloned().unwrap_or_else(|| page.key.to_string());
        self.unrecorded.push((self.shared.clock.now(), OutboxRow { notification: page, thread, attempts: 0 }));
    }

    /// Starts what is due and may start; returns when to look again.
    async fn launch(&mut self) -> Timestamp {
        let now = self.shared.clock.now();
        let free = self.shared.limits.concurrency.saturating_sub(self.flying.len());
        let room = self.rate.room(now).min(free);
        if room == 0 {
            // A landing frees a place and wakes the loop by itself.
            return if free == 0 { now + Span::from(SLEEP_MAX) } else { self.rate.free_at(now) };
        }
        let mut started = 0;
        for flight in self.due_unrecorded(now, room) {
            self.send(flight, now);
            started += 1;
        }
        if started < room && self.store_rests_until.is_none_or(|until| until <= now) {
            match self.due_recorded(now, room - started).await {
                Ok(flights) => {
                    self.store_rests_until = None;
                    for flight in flights {
                        self.send(flight, now);
                    }
                }
                Err(error) => self.rest(&error, now),
            }
        }
        self.next_look(now).await
    }

    async fn next_look(&mut self, now: Timestamp) -> Timestamp {
        let mut next = now + Span::from(SLEEP_MAX);
        for (due, _) in &self.unrecorded {
            next = next.min((*due).max(now));
        }
        match self.store_rests_until {
            Some(until) => next = next.min(until),
            None => match self.shared.store.outbox_pending().await {
                // What is due now but was not started is in flight or waits for one; its landing wakes the loop.
                Ok(pending) => {
                    let due = pending.iter().find(|(channel, _)| *channel == self.name).map(|(_, due)| *due);
                    next = next.min(due.filter(|due| *due > now).unwrap_or(next));
                }
                Err(error) => self.rest(&error, now),
            },
        }
        if !self.unsettled.is_empty() {
            next = next.min(now + Span::from(STORE_PAUSE));
        }
        next
    }

    fn rest(&mut self, error: &StoreError, now: Timestamp) {
        if self.store_rests_until.is_none() {
            tracing::error!(error = %chain(error), channel = %self.name, "outbox of {} out of reach", self.name);
        }
        self.store_rests_until = Some(now + Span::from(STORE_PAUSE));
    }

    /// Keys and threads that are under way.
    fn busy(&self) -> (BTreeSet<&str>, BTreeSet<Thread>) {
        let flying = self.flying.values().map(|flight| &flight.row.notification);
        let unsettled = self.unsettled.iter().map(|settlement| &settlement.flight.row.notification);
        let keys = flying.clone().chain(unsettled).map(|notification| &*notification.key);
        let waiting = self.unrecorded.iter().map(|(_, row)| &*row.notification.key);
        (keys.chain(waiting).collect(), flying.map(thread_of).collect())
    }

    fn due_unrecorded(&mut self, now: Timestamp, room: usize) -> Vec<Flight> {
        let mut busy = self.busy().1;
        let mut flights = Vec::new();
        self.unrecorded.retain(|(due, row)| {
            // Also one that is not due yet keeps its successors waiting: a recovery never overtakes its problem.
            let first = busy.insert(thread_of(&row.notification));
            let start = first && *due <= now && flights.len() < room;
            if start {
                flights.push(Flight { row: row.clone(), recorded: false });
            }
            !start
        });
        flights
    }

    async fn due_recorded(&mut self, now: Timestamp, room: usize) -> Result<Vec<Flight>, StoreError> {
        // Rows under way still look pending: ask for so many more.
        let limit = u32::try_from(room + self.flying.len() + self.unsettled.len()).unwrap_or(u32::MAX);
        let rows = self.shared.store.outbox_due_on(&self.name, now, limit).await?;
        let (keys, threads) = self.busy();
        let flights: Vec<Flight> = rows
            .into_iter()
            .filter(|row| !keys.contains(&*row.notification.key) && !threads.contains(&thread_of(&row.notification)))
            .take(room)
            .map(|row| Flight { row, recorded: true })
            .collect();
        if self.threads.len() > THREADS_MAX {
            self.threads.clear();
        }
        for flight in &flights {
            self.threads.insert(thread_of(&flight.row.notification), flight.row.thread.clone());
        }
        Ok(flights)
    }

    fn send(&mut self, flight: Flight, now: Timestamp) {
        self.rate.take(now);
        let message = compose::message(&flight.row, &self.shared.engine.catalog());
        let notifier = Arc::clone(&self.notifier);
        let task = self.sends.spawn(async move {
            tokio::time::timeout(SEND_DEADLINE, notifier.send(&message)).await.unwrap_or_else(|_| {
                let message = format!("no answer within {} s", SEND_DEADLINE.as_secs());
                Err(SendError::Transient { message, retry_after: None })
            })
        });
        self.flying.insert(task.id(), flight);
    }

    fn landed(&mut self, joined: Result<(Id, Sent), tokio::task::JoinError>) {
        let (id, sent) = match joined {
            Ok(landed) => landed,
            Err(error) => {
                let message = format!("the notifier failed: {error}");
                (error.id(), Err(SendError::Transient { message, retry_after: None }))
            }
        };
        let Some(flight) = self.flying.remove(&id) else { return };
        let at = self.shared.clock.now();
        let outcome = self.judge(&flight, sent, at);
        self.unsettled.push(Settlement { flight, outcome, at, stored: false, reported: false });
    }

    fn judge(&self, flight: &Flight, sent: Sent, at: Timestamp) -> Outcome {
        let notification = &flight.row.notification;
        let key = &*notification.key;
        match sent {
            Ok(Receipt(receipt)) => {
                tracing::info!(notification.key = %key, incident.id = notification.incident.number, "sent {key}");
                self.count("sent");
                Outcome::End(DeliveryOutcome::Accepted(receipt))
            }
            Err(SendError::Permanent { message }) => {
                tracing::error!(notification.key = %key, "{key} was refused for good: {message}");
                self.count("failed");
                Outcome::End(DeliveryOutcome::Failed(message))
            }
            Err(SendError::Transient { message, retry_after }) => {
                if notification.reason == Reason::Test {
                    // Whoever tries a channel wants to know now, and the next try is theirs.
                    self.count("failed");
                    return Outcome::End(DeliveryOutcome::Failed(message));
                }
                let attempts = flight.row.attempts.saturating_add(1);
                let created_at = notification.created_at;
                match self.shared.retry.next(&Retry { key, attempts, created_at, now: at, retry_after }) {
                    Some(due) => {
                        tracing::warn!(notification.key = %key, attempts, "{key} not delivered, again at {due}: {message}");
                        self.count("retried");
                        Outcome::Again { due, error: message }
                    }
                    None => {
                        tracing::error!(notification.key = %key, attempts, "{key} given up: {message}");
                        self.count("failed");
                        let text = format!("given up after {attempts} attempts: {message}");
                        Outcome::End(DeliveryOutcome::Failed(text))
                    }
                }
            }
        }
    }

    /// Brings outcomes to the store and then to the engine; what the store cannot take now is kept for later.
    async fn settle(&mut self) {
        let now = self.shared.clock.now();
        let mut waiting = std::mem::take(&mut self.unsettled);
        for settlement in &mut waiting {
            if settlement.stored || self.store_rests_until.is_some_and(|until| until > now) {
                continue;
            }
            match record(&self.shared, settlement).await {
                Ok(()) => settlement.stored = true,
                Err(error) => self.rest(&error, now),
            }
        }
        self.report(&mut waiting).await;
        for settlement in waiting {
            match settlement {
                Settlement { stored: true, .. } => {}
                Settlement { flight: Flight { row, recorded: false }, outcome: Outcome::Again { due, .. }, .. } => {
                    let row = OutboxRow { attempts: row.attempts.saturating_add(1), ..row };
                    self.unrecorded.insert(0, (due, row));
                }
                unstored => self.unsettled.push(unstored),
            }
        }
    }

    /// The engine hears of an end even while the store is lost; the mark that it did follows when the store has it.
    async fn report(&mut self, settlements: &mut [Settlement]) {
        let deliveries: Vec<Delivery> =
            settlements.iter().filter(|s| !s.reported).filter_map(Settlement::end).collect();
        if !deliveries.is_empty() && self.shared.report(deliveries).await {
            settlements.iter_mut().for_each(|settlement| settlement.reported = true);
        }
        for settlement in settlements.iter().filter(|s| s.stored && s.reported) {
            let Some(delivery) = settlement.end() else { continue };
            if let Err(error) = self.shared.store.outbox_outcome_told(&delivery.key).await {
                tracing::warn!(error = %chain(&error), "an outcome will be told again after a restart");
            }
        }
    }

    fn count(&self, outcome: &str) {
        self.shared.outcomes.with_label_values(&[self.notifier.channel(), outcome]).inc();
    }
}

impl Settlement {
    fn end(&self) -> Option<Delivery> {
        match &self.outcome {
            Outcome::End(outcome) => Some(delivery(&self.flight.row.notification, outcome.clone())),
            Outcome::Again { .. } => None,
        }
    }
}

async fn record(shared: &Shared, settlement: &Settlement) -> Result<(), StoreError> {
    let notification = &settlement.flight.row.notification;
    if !settlement.flight.recorded {
        // Otherwise a restart, which does the journal's last turns again, would take it for a new page.
        shared.store.commit_turn(notification.seq, &[], std::slice::from_ref(notification)).await?;
    }
    match &settlement.outcome {
        Outcome::End(DeliveryOutcome::Accepted(receipt)) => {
            shared.store.outbox_sent(&notification.key, settlement.at, receipt).await
        }
        Outcome::End(DeliveryOutcome::Failed(error)) => {
            shared.store.outbox_failed(&notification.key, settlement.at, error).await
        }
        Outcome::Again { due, error } => shared.store.outbox_retry(&notification.key, *due, error).await,
    }
}

fn thread_of(notification: &Notification) -> Thread {
    (notification.thread_number(), Arc::clone(&notification.contact))
}
