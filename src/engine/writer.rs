//! The writer task: drain, journal, apply, commit, publish. The only holder of `&mut Engine`.
//!
//! Losing persistence degrades and never silences: without journal or store it goes on from memory, says so on every
//! page, and makes up for it when they are back (invariant 11).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{IntCounter, IntGauge, Registry};
use stentor_core::catalog::Catalog;
use stentor_core::engine::retained::Retained;
use stentor_core::engine::switch::Side;
use stentor_core::engine::{AgentSeen, CheckRequest, CheckResult, Effects, Engine, Event, Input, Reply};
use stentor_core::id::ObjectId;
use stentor_core::model::{CommandRun, Notification, ObjectKey};
use stentor_core::runbook::{AuditEntry, RunOrder};
use stentor_core::{Span, Timestamp};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use super::restore::StartError;
use super::restore::{Restored, restore};
use super::{Accepted, AgentBatch, AgentResult, Handle, KeyedResult, Post, Published, Receipt, Refused};
use crate::clock::Clock;
use crate::journal::{Journal, Turn};
use crate::store::{SharedStore, anchor};

/// Time between ticks at pace 1.
const TICK: Span = Span::from_secs(1);
/// No pace makes ticks closer than this.
const TICK_MIN: Duration = Duration::from_millis(50);
/// Ticks further apart than this: the process did not run, whatever the reason. Up to there the time counts, so that a
/// machine which is merely slow comes to its conclusions; the checks themselves are slow then, at any pace.
const GAP_MIN: Span = Span::from_secs(5);
/// A snapshot costs a copy of two columns: at most four a second.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// Results that nobody waits for are gathered so long: a turn costs a synced write, whatever it holds.
const GATHER: Duration = Duration::from_millis(20);
/// Turns that wait for a lost store; the oldest history is dropped first, never a notification.
const UNCOMMITTED_MAX: usize = 10_000;
const JOURNAL_RETRY_EVERY: Duration = Duration::from_secs(5);
/// A restart that did more turns again than this saves a checkpoint at once: a process that dies again and again must
/// not start more slowly each time.
const REPLAY_MAX: u64 = 1000;

/// What the writer needs of the world.
pub struct Parts {
    pub journal: Arc<dyn Journal>,
    pub store: SharedStore,
    pub clock: Clock,
    pub registry: Arc<Registry>,
    /// Woken after notifications have reached the outbox.
    pub outbox: Arc<Notify>,
    /// How long journal turns are kept beyond the newest checkpoint.
    pub journal_keep: Span,
    pub checkpoint_every: Span,
    /// Inputs that may wait; a full inbox pushes back on its senders.
    pub inbox: usize,
    /// Inputs of one turn at most: bounds the time until a reply.
    pub turn_inputs: usize,
    /// Where notifications go that the outbox could not take.
    pub unrecorded: mpsc::Sender<Notification>,
    /// What another monitor left; used only if there is neither checkpoint nor journal.
    pub retained: Option<Arc<Retained>>,
    /// Who carries out steps of runbooks; `None` = nobody, and such steps fail at their deadline.
    pub orders: Option<mpsc::Sender<RunOrder>>,
    /// Who runs event handlers and writes `nagios.log`; `None` = nobody.
    pub aside: Option<mpsc::Sender<Aside>>,
}

/// What one turn wants done beside pages: once, and without an answer.
#[derive(Debug)]
pub struct Aside {
    pub at: Timestamp,
    /// Lines of `nagios.log`.
    pub log: Vec<String>,
    /// Event handlers, obsessive and perfdata commands.
    pub runs: Vec<CommandRun>,
    /// Lines of the files of performance data.
    pub perfdata: Vec<(Side, String)>,
}

/// Receives what the collector must know, in the order it was decided.
#[derive(Debug)]
pub enum ToCollector {
    Catalog(Arc<Catalog>),
    Checks(Vec<CheckRequest>),
}

/// Room for orders to the collector; a full queue drops reschedules, never catalogs: every check still has its phase.
const TO_COLLECTOR_MAX: usize = 4096;

/// The running writer.
pub struct Running {
    pub handle: Handle,
    pub to_collector: mpsc::Receiver<ToCollector>,
    pub task: JoinHandle<()>,
}

/// Restores the engine (checkpoint, then journal), loads `catalog` if it differs, and starts the task.
///
/// # Errors
/// Journal or checkpoint cannot be read; nothing was changed.
pub async fn start(mut parts: Parts, catalog: Arc<Catalog>) -> Result<Running, StartError> {
    let (inbox_tx, inbox) = mpsc::channel(parts.inbox.max(1));
    let (results_tx, results) = mpsc::channel(parts.inbox.max(1));
    let (published, _) = broadcast::channel(1024);
    let (to_collector, from_writer) = mpsc::channel(TO_COLLECTOR_MAX);
    let Restored { engine, replayed } = restore(&parts).await?;
    let audit = anchor::look(&*parts.store, engine.seq(), parts.clock.now()).await;
    // What is missing is in the log and in the audit itself.
    audit.map_err(StartError::Audit)?;
    let snapshot = Arc::new(ArcSwap::from_pointee(engine.snapshot()));
    let handle =
        Handle { inbox: inbox_tx, results: results_tx, snapshot: Arc::clone(&snapshot), published: published.clone() };
    let metrics = Metrics::new(&parts.registry);
    let ticked_at = engine.at();
    let is_first = engine.seq() == 0;
    // Taken out: what was taken over is of no use any more.
    let retained = parts.retained.take().filter(|_| is_first);
    let mut writer = Writer {
        engine,
        ticked_at,
        parts,
        inbox,
        results,
        snapshot,
        published,
        to_collector,
        metrics,
        uncommitted: VecDeque::new(),
        journal_lost: None,
        store_lost: None,
        refused: None,
        journal_retry_at: Instant::now(),
        next_checkpoint: Instant::now(),
        dirty: true,
        published_at: Instant::now(),
    };
    writer.pass_over().await;
    if *catalog == **writer.engine.catalog() {
        writer.engine.adopt(Arc::clone(&catalog));
        writer.send_catalog(catalog).await;
    } else {
        // In one turn: a process that dies in between must not find a world without its past.
        let inputs =
            std::iter::once(Input::Catalog(Arc::clone(&catalog))).chain(retained.map(Input::Retained)).collect();
        writer.work(Gathered { inputs, catalog: Some(catalog), ..Gathered::default() }).await;
    }
    if replayed <= REPLAY_MAX {
        writer.next_checkpoint += writer.parts.checkpoint_every.to_std();
    }
    writer.publish();
    let task = tokio::spawn(writer.run());
    Ok(Running { handle, to_collector: from_writer, task })
}

struct Metrics {
    inputs: IntCounter,
    inbox: IntGauge,
    sequence: IntGauge,
    degraded: IntGauge,
    aside_dropped: IntCounter,
}

impl Metrics {
    fn new(registry: &Registry) -> Metrics {
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help).expect("a constant metric name is valid");
            // A second writer in one process (tests) shares the registry; its metric is then its own.
            let _ = registry.register(Box::new(metric.clone()));
            metric
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help).expect("a constant metric name is valid");
            let _ = registry.register(Box::new(metric.clone()));
            metric
        };
        Metrics {
            inputs: counter("stentor_engine_inputs_total", "Inputs applied by the engine."),
            inbox: gauge("stentor_engine_inbox_length", "Inputs that wait for the engine."),
            sequence: gauge("stentor_journal_sequence", "Newest journal sequence."),
            aside_dropped: counter(
                "stentor_handlers_dropped_total",
                "Event handlers and lines of nagios.log dropped because their worker was behind.",
            ),
            degraded: gauge("stentor_engine_degraded", "1 while journal or store is lost."),
        }
    }
}

/// A turn that the store has not taken yet.
struct Uncommitted {
    seq: u64,
    events: Vec<Event>,
    notifications: Vec<Notification>,
    audit: Vec<AuditEntry>,
}

struct Writer {
    engine: Engine,
    parts: Parts,
    inbox: mpsc::Receiver<Post>,
    /// Results that nobody waits for.
    results: mpsc::Receiver<KeyedResult>,
    snapshot: Arc<ArcSwap<stentor_core::snapshot::Snapshot>>,
    published: broadcast::Sender<Published>,
    to_collector: mpsc::Sender<ToCollector>,
    metrics: Metrics,
    uncommitted: VecDeque<Uncommitted>,
    /// Why the journal takes nothing.
    journal_lost: Option<Arc<str>>,
    /// Why the store takes nothing.
    store_lost: Option<Arc<str>>,
    /// Why the configuration on disk is not the one in force.
    refused: Option<Arc<str>>,
    /// A lost journal is tried again at this time.
    journal_retry_at: Instant,
    next_checkpoint: Instant,
    dirty: bool,
    published_at: Instant,
    /// Wall time of the newest tick, of the newest input after a restart; zero before the very first.
    ticked_at: Timestamp,
}

/// Everything that the inputs of one turn asked for.
struct Applied {
    events: Vec<Event>,
    notifications: Vec<Notification>,
    checks: Vec<CheckRequest>,
    orders: Vec<RunOrder>,
    audit: Vec<AuditEntry>,
    aside: Aside,
}

/// Who waits for what at the end of a turn.
enum Waiting {
    Result(oneshot::Sender<Receipt>, Receipt),
    Agent(oneshot::Sender<Result<Accepted, Refused>>, Accepted),
    Command(oneshot::Sender<Result<Reply, Refused>>, usize),
    Catalog(oneshot::Sender<()>),
    Flush(oneshot::Sender<u64>),
}

/// A turn being put together.
#[derive(Default)]
struct Gathered {
    inputs: Vec<Input>,
    waiting: Vec<Waiting>,
    catalog: Option<Arc<Catalog>>,
    /// Whether the configuration on disk was refused, and why.
    refused: Option<Option<Arc<str>>>,
    /// Pushes of this very turn, which the engine does not know yet.
    pushes: Vec<(Arc<str>, Arc<str>, u64)>,
}

impl Writer {
    async fn run(mut self) {
        let mut next_tick = Instant::now();
        let mut calm = Instant::now();
        loop {
            let publish_at = if self.dirty { self.published_at + PUBLISH_EVERY } else { next_tick };
            let (now, wake) = (Instant::now(), next_tick.min(publish_at));
            let gathers = now < calm;
            let mut posts = Vec::new();
            tokio::select! {
                biased;
                post = self.inbox.recv() => match post {
                    Some(post) => {
                        // What was posted before it goes before it.
                        self.take_results(self.results.len(), &mut posts).await;
                        posts.push(post);
                    }
                    None => break,
                },
                result = self.results.recv(), if !gathers => posts.extend(result.map(|r| Post::Result(r, None))),
                () = tokio::time::sleep_until(if gathers { wake.min(calm) } else { wake }) => {}
            }
            while posts.len() < self.parts.turn_inputs
                && let Ok(post) = self.inbox.try_recv()
            {
                posts.push(post);
            }
            if Instant::now() >= calm {
                self.take_results(self.parts.turn_inputs.saturating_sub(posts.len()), &mut posts).await;
            }
            let stop = posts.iter().position(|post| matches!(post, Post::Stop(_)));
            let stopping = stop.map(|at| posts.remove(at));
            let tick_due = Instant::now() >= next_tick;
            if !posts.is_empty() {
                self.turn(posts).await;
                calm = Instant::now() + GATHER;
            }
            if tick_due {
                self.tick().await;
                next_tick = Instant::now() + self.tick_every();
            }
            if self.dirty && self.published_at.elapsed() >= PUBLISH_EVERY {
                self.publish();
            }
            if Instant::now() >= self.next_checkpoint {
                self.checkpoint().await;
                self.next_checkpoint = Instant::now() + self.parts.checkpoint_every.to_std();
            }
            if let Some(Post::Stop(done)) = stopping {
                self.checkpoint().await;
                self.publish();
                let _ = done.send(());
                break;
            }
        }
    }

    /// Takes up to `most` results that nobody waits for; what is more than one turn's worth is worked at once.
    async fn take_results(&mut self, most: usize, posts: &mut Vec<Post>) {
        for _ in 0..most {
            let Ok(result) = self.results.try_recv() else { return };
            posts.push(Post::Result(result, None));
            if posts.len() >= self.parts.turn_inputs {
                self.turn(std::mem::take(posts)).await;
            }
        }
    }

    /// Tells the engine of the time since its last input, if that was not just a tick. By the wall clock: the other one
    /// stands still while the machine sleeps.
    async fn pass_over(&mut self) {
        let now = self.parts.clock.now();
        let since = std::mem::replace(&mut self.ticked_at, now);
        let gap = now.since(since) - GAP_MIN;
        if since == Timestamp::ZERO || gap <= Span::ZERO {
            return;
        }
        tracing::info!(gap_ms = gap.as_millis(), "this process did not run for {gap}: that time counts for nothing");
        let gathered = Gathered { inputs: vec![Input::Gap(gap)], ..Gathered::default() };
        self.work(gathered).await;
    }

    fn tick_every(&self) -> Duration {
        TICK.at_pace(self.engine.catalog().timing.pace).to_std().max(TICK_MIN)
    }

    async fn tick(&mut self) {
        self.pass_over().await;
        let gathered = Gathered { inputs: vec![Input::Tick], ..Gathered::default() };
        self.work(gathered).await;
    }

    async fn turn(&mut self, posts: Vec<Post>) {
        let mut gathered = Gathered::default();
        for post in posts {
            // A new catalog changes what names mean, and what is saved is what came before: that goes first.
            if matches!(post, Post::Catalog(..) | Post::Save(_)) && !gathered.inputs.is_empty() {
                let before = std::mem::take(&mut gathered);
                self.work(before).await;
            }
            if let Post::Save(reply) = post {
                let saved = self.save_checkpoint().await;
                // A receiver that has gone away does not want its answer any more.
                let _ = reply.send(saved);
                continue;
            }
            let is_catalog = matches!(post, Post::Catalog(..));
            self.gather(post, &mut gathered);
            if is_catalog {
                let loaded = std::mem::take(&mut gathered);
                self.work(loaded).await;
            }
        }
        if !gathered.inputs.is_empty() || !gathered.waiting.is_empty() || gathered.refused.is_some() {
            self.work(gathered).await;
        }
    }

    fn gather(&self, post: Post, turn: &mut Gathered) {
        match post {
            Post::Result(result, reply) => {
                let known = self.resolve(result, &mut turn.inputs);
                if let Some(reply) = reply {
                    turn.waiting.push(Waiting::Result(reply, known));
                }
            }
            Post::AgentBatch(batch, reply) => self.gather_push(batch, reply, turn),
            Post::Command(input, reply) => {
                turn.waiting.push(Waiting::Command(reply, turn.inputs.len()));
                turn.inputs.push(Input::Command(input));
            }
            Post::Delivery(delivery) => turn.inputs.push(Input::Delivery(delivery)),
            Post::Catalog(catalog, reply) => {
                turn.inputs.push(Input::Catalog(Arc::clone(&catalog)));
                turn.catalog = Some(catalog);
                turn.waiting.push(Waiting::Catalog(reply));
            }
            Post::Flush(reply) => turn.waiting.push(Waiting::Flush(reply)),
            Post::Refused(why) => turn.refused = Some(why),
            Post::Save(_) | Post::Stop(_) => {}
        }
    }

    fn gather_push(&self, batch: AgentBatch, reply: oneshot::Sender<Result<Accepted, Refused>>, turn: &mut Gathered) {
        if self.is_told(&batch.agent, &batch.boot, batch.sequence, turn) {
            let repeated = Accepted { accepted: 0, repeated: true, unknown: Vec::new() };
            turn.waiting.push(Waiting::Agent(reply, repeated));
            return;
        }
        let mut unknown: Vec<ObjectKey> = Vec::new();
        if batch.has_more {
            turn.inputs.push(Input::AgentBehind(Arc::clone(&batch.agent)));
        }
        let before = turn.inputs.len();
        for AgentResult { sequence, result } in batch.results {
            if sequence.is_some_and(|sequence| self.is_told(&batch.agent, &batch.boot, sequence, turn)) {
                continue;
            }
            let key = result.object.clone();
            if self.resolve(result, &mut turn.inputs) == Receipt::UnknownObject {
                unknown.push(key);
            }
        }
        let accepted = turn.inputs.len() - before;
        turn.pushes.push((Arc::clone(&batch.agent), Arc::clone(&batch.boot), batch.sequence));
        let seen = AgentSeen { agent: batch.agent, boot: batch.boot, sequence: batch.sequence };
        turn.inputs.push(Input::AgentSeen(seen));
        turn.waiting.push(Waiting::Agent(reply, Accepted { accepted, repeated: false, unknown }));
    }

    /// Whether this or a newer one of that boot of the agent was taken before, in this turn or an earlier one.
    fn is_told(&self, agent: &str, boot: &str, sequence: u64, turn: &Gathered) -> bool {
        let mut in_turn = turn.pushes.iter();
        in_turn.any(|(of, started, seq)| **of == *agent && **started == *boot && *seq >= sequence)
            || self.engine.is_repeated_push(agent, boot, sequence)
    }

    fn resolve(&self, result: KeyedResult, inputs: &mut Vec<Input>) -> Receipt {
        let Some(object) = self.engine.catalog().object_id(&result.object) else { return Receipt::UnknownObject };
        inputs.push(Input::Result(CheckResult {
            object,
            observed_at: result.observed_at,
            source: result.source,
            observation: result.observation,
            id: result.id,
            took: result.took,
        }));
        Receipt::Applied
    }

    /// One turn: journal, apply, commit, publish if somebody waits, answer.
    async fn work(&mut self, gathered: Gathered) {
        let Gathered { inputs, waiting, catalog, refused, .. } = gathered;
        if let Some(refused) = refused {
            self.refused = refused;
            self.dirty = true;
        }
        let mut replies: Vec<Option<Result<Reply, Refused>>> = Vec::with_capacity(inputs.len());
        if !inputs.is_empty() {
            let turn = Turn { seq: self.engine.seq() + 1, at: self.parts.clock.now(), inputs };
            self.write_ahead(&turn).await;
            let Applied { events, notifications, checks, orders, audit, aside } = self.apply(&turn, &mut replies);
            self.dirty = true;
            self.hand_aside(aside);
            if let Some(catalog) = catalog {
                self.send_catalog(catalog).await;
            }
            if !checks.is_empty() && self.to_collector.try_send(ToCollector::Checks(checks)).is_err() {
                tracing::warn!("the collector is behind: reschedules were dropped, checks keep their phase");
            }
            // Recorded before it is done.
            self.commit(Uncommitted { seq: turn.seq, events, notifications, audit }, turn.at).await;
            self.hand_orders(orders);
        }
        if waiting.iter().any(|w| !matches!(w, Waiting::Result(..) | Waiting::Agent(..))) {
            self.publish();
        }
        let seq = self.engine.seq();
        for waiter in waiting {
            // A receiver that has gone away does not want its answer any more.
            match waiter {
                Waiting::Result(reply, receipt) => drop(reply.send(receipt)),
                Waiting::Agent(reply, accepted) => drop(reply.send(Ok(accepted))),
                Waiting::Command(reply, index) => {
                    let answer = replies.get_mut(index).and_then(Option::take).unwrap_or(Err(Refused::Stopping));
                    drop(reply.send(answer));
                }
                Waiting::Catalog(reply) => drop(reply.send(())),
                Waiting::Flush(reply) => drop(reply.send(seq)),
            }
        }
    }

    async fn write_ahead(&mut self, turn: &Turn) {
        if self.journal_lost.is_some() && !self.restart_journal().await {
            return;
        }
        match self.parts.journal.append(turn).await {
            Ok(()) => {
                self.metrics.sequence.set(i64::try_from(turn.seq).unwrap_or(i64::MAX));
                if self.journal_lost.take().is_some() {
                    tracing::info!(seq = turn.seq, "journal is back");
                }
            }
            Err(error) => {
                if self.journal_lost.is_none() {
                    tracing::error!(error = %Chain(&error), seq = turn.seq, "journal lost: going on from memory");
                }
                self.lose_journal(&error);
            }
        }
    }

    fn lose_journal(&mut self, error: &crate::journal::JournalError) {
        self.journal_retry_at = Instant::now() + JOURNAL_RETRY_EVERY;
        self.journal_lost = Some(format!("journal lost: {}", Chain(error)).into());
    }

    /// Turns were applied that the journal does not hold. Once a checkpoint holds their effect, the old journal is
    /// worthless, and an empty one takes up at any sequence. True if appending makes sense now.
    async fn restart_journal(&mut self) -> bool {
        if Instant::now() < self.journal_retry_at {
            return false;
        }
        self.journal_retry_at = Instant::now() + JOURNAL_RETRY_EVERY;
        if !self.save_checkpoint().await {
            return false;
        }
        match self.parts.journal.clear().await {
            Ok(()) => true,
            Err(error) => {
                self.lose_journal(&error);
                false
            }
        }
    }

    fn apply(&mut self, turn: &Turn, replies: &mut Vec<Option<Result<Reply, Refused>>>) -> Applied {
        self.engine.begin_turn(turn.seq);
        let site = Arc::clone(&self.engine.catalog().site);
        let mut applied = Applied {
            events: Vec::new(),
            notifications: Vec::new(),
            checks: Vec::new(),
            orders: Vec::new(),
            audit: Vec::new(),
            aside: Aside { at: turn.at, log: Vec::new(), runs: Vec::new(), perfdata: Vec::new() },
        };
        for input in &turn.inputs {
            // What was withheld is told in words by the events.
            let done = self.engine.apply(turn.at, input);
            let Effects { notifications, events, notices, runs, log, perfdata, checks, orders, audit, reply, .. } =
                done;
            applied.events.extend(events);
            applied.notifications.extend(notifications);
            applied.notifications.extend(notices.into_iter().map(|notice| Notification::of_notice(notice, &site)));
            applied.checks.extend(checks);
            applied.orders.extend(orders);
            applied.audit.extend(audit);
            applied.aside.log.extend(log);
            applied.aside.runs.extend(runs);
            applied.aside.perfdata.extend(perfdata);
            replies.push(reply.map(|reply| reply.map_err(Refused::from)));
        }
        self.metrics.inputs.inc_by(turn.inputs.len() as u64);
        self.metrics.inbox.set(i64::try_from(self.inbox.len()).unwrap_or(i64::MAX));
        applied
    }

    fn hand_aside(&self, aside: Aside) {
        if aside.log.is_empty() && aside.runs.is_empty() && aside.perfdata.is_empty() {
            return;
        }
        if let Some(sender) = &self.parts.aside
            && let Err(error) = sender.try_send(aside)
        {
            let (lines, runs) = match error {
                mpsc::error::TrySendError::Full(aside) | mpsc::error::TrySendError::Closed(aside) => {
                    (aside.log.len() + aside.perfdata.len(), aside.runs.len())
                }
            };
            self.metrics.aside_dropped.inc_by((lines + runs) as u64);
            tracing::warn!(
                lines,
                runs,
                "handlers are behind: {runs} event handlers and {lines} lines of files were dropped"
            );
        }
    }

    fn hand_orders(&self, orders: Vec<RunOrder>) {
        for order in orders {
            if let Some(sender) = &self.parts.orders
                && sender.try_send(order).is_err()
            {
                tracing::error!(
                    "the executor of runbooks is behind: a step was not carried out and fails at its deadline"
                );
            }
        }
    }

    async fn commit(&mut self, turn: Uncommitted, at: Timestamp) {
        let seq = turn.seq;
        if !turn.events.is_empty() || !turn.notifications.is_empty() || !turn.audit.is_empty() {
            self.uncommitted.push_back(turn);
        }
        let mut woke = false;
        while let Some(next) = self.uncommitted.front() {
            let done = self.parts.store.commit_turn(next.seq, &next.events, &next.notifications).await;
            let done = match done {
                Ok(()) => self.parts.store.append_audit(next.seq, &next.audit).await,
                error => error,
            };
            match done {
                Ok(()) => {
                    woke |= !next.notifications.is_empty();
                    let done = self.uncommitted.pop_front();
                    if let Some(done) = done {
                        let events = Arc::new(done.events);
                        // Nobody watching is fine.
                        let _ = self.published.send(Published { seq: done.seq, events });
                    }
                    if self.uncommitted.is_empty() && self.store_lost.take().is_some() {
                        tracing::info!(seq, "store is back");
                    }
                }
                Err(error) => {
                    self.lose_store(&error, at).await;
                    break;
                }
            }
        }
        if woke {
            self.parts.outbox.notify_one();
        }
    }

    /// The store is gone: page from memory, keep what fits for later.
    async fn lose_store(&mut self, error: &crate::store::StoreError, at: Timestamp) {
        if self.store_lost.is_none() {
            tracing::error!(error = %Chain(error), %at, "store lost: paging from memory");
        }
        self.store_lost = Some(format!("store lost: {}", Chain(error)).into());
        if let Some(newest) = self.uncommitted.back_mut() {
            for notification in std::mem::take(&mut newest.notifications) {
                if self.parts.unrecorded.send(notification).await.is_err() {
                    tracing::error!("the notifier is gone: a page could not be handed over");
                }
            }
        }
        while self.uncommitted.len() > UNCOMMITTED_MAX {
            self.uncommitted.pop_front();
        }
    }

    async fn send_catalog(&mut self, catalog: Arc<Catalog>) {
        if self.to_collector.send(ToCollector::Catalog(catalog)).await.is_err() {
            tracing::debug!("no collector takes catalogs");
        }
    }

    fn publish(&mut self) {
        let mut snapshot = self.engine.snapshot();
        snapshot.degraded = match (&self.journal_lost, &self.store_lost) {
            (Some(journal), Some(store)) => Some(format!("{journal}; {store}").into()),
            (one, other) => one.as_ref().or(other.as_ref()).map(Arc::clone),
        };
        snapshot.refused.clone_from(&self.refused);
        let degraded = i64::from(snapshot.degraded.is_some());
        self.snapshot.store(Arc::new(snapshot));
        // After the snapshot: whoever reads the metric finds the pages saying the same.
        self.metrics.degraded.set(degraded);
        self.dirty = false;
        self.published_at = Instant::now();
    }

    async fn checkpoint(&mut self) {
        if !self.save_checkpoint().await {
            return;
        }
        let before = self.parts.clock.now() - self.parts.journal_keep;
        if let Err(error) = self.parts.journal.prune(self.engine.seq(), before).await {
            tracing::warn!(error = %Chain(&error), "cannot prune the journal");
        }
    }

    /// Saves the engine as it is; false (and a log line) if the store would not take it.
    async fn save_checkpoint(&mut self) -> bool {
        let checkpoint = self.engine.checkpoint();
        let (seq, at) = (checkpoint.seq, self.parts.clock.now());
        let encode = move || {
            let bytes = postcard::to_allocvec(&checkpoint);
            drop(checkpoint);
            crate::memory::give_back();
            bytes
        };
        let encoded = tokio::task::spawn_blocking(encode).await;
        let bytes = match encoded {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                tracing::error!(%error, seq, "cannot encode a checkpoint");
                return false;
            }
            Err(error) => {
                tracing::error!(%error, seq, "the checkpoint encoder failed");
                return false;
            }
        };
        match self.parts.store.save_checkpoint(seq, at, &bytes).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(error = %Chain(&error), seq, "cannot save a checkpoint; the journal is kept");
                false
            }
        }
    }
}

impl Handle {
    /// Replaces the configured world; returns when it is in force.
    ///
    /// # Errors
    /// The writer has stopped.
    pub async fn load(&self, catalog: Arc<Catalog>) -> Result<(), Refused> {
        let (tx, rx) = oneshot::channel();
        self.inbox.send(Post::Catalog(catalog, tx)).await.map_err(|_| Refused::Stopping)?;
        rx.await.map_err(|_| Refused::Stopping)
    }

    /// Says on every page why the configuration on disk is not the one in force; `None` = it is again.
    pub async fn refuse_configuration(&self, why: Option<Arc<str>>) {
        // A writer that has stopped publishes nothing any more.
        let _ = self.inbox.send(Post::Refused(why)).await;
    }

    /// Stops the writer after everything posted before; a checkpoint is saved.
    pub async fn stop(&self) {
        let (tx, rx) = oneshot::channel();
        if self.inbox.send(Post::Stop(tx)).await.is_ok() {
            // An error means that the writer is gone already, which is what was asked for.
            let _ = rx.await;
        }
    }

    /// The object's id in the present catalog.
    pub fn object(&self, key: &ObjectKey) -> Option<ObjectId> {
        self.snapshot().catalog.object_id(key)
    }
}

/// Prints an error with all its causes.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
