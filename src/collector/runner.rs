//! The collector's one task: takes due checks from the schedule, starts them as places allow, obeys orders.
//! Never waits for the engine: the runs do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use stentor_core::catalog::Catalog;
use stentor_core::engine::gate::{Forced, SkipReason};
use stentor_core::engine::{CheckRequest, Command, Took};
use stentor_core::id::ObjectId;
use stentor_core::model::ObjectKey;
use stentor_core::schedule::{Carried, LATE_AFTER, Schedule, Why};
use stentor_core::snapshot::Snapshot;
use stentor_core::{Span, Timestamp};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::lanes::{Candidate, Lane, Lanes};
use super::metrics::Metrics;
use super::plan::{Builder, Plan};
use super::plugin::{self, Ended};
use super::run::{Pace, post, result, run};
use super::spread::Imported;
use super::{Order, Parts};
use crate::clock::Clock;
use crate::engine;
use crate::probes::exec::Run;

/// A run is lost when it is over its deadline by so much (specification 03, 1.5).
const ORPHANED_AFTER: Span = Span::from_secs(600);
/// How often lost runs are looked for; a check that is lost again waits this long.
const LOOK_FOR_ORPHANS: Span = Span::from_secs(60);

/// Time that never jumps, on the scale of the wall clock at start: setting the clock must not make all checks due.
struct Steady {
    wall_at_start: Timestamp,
    start: Instant,
}

impl Steady {
    fn now(&self) -> Timestamp {
        self.wall_at_start + Span::from(self.start.elapsed())
    }

    fn instant(&self, at: Timestamp) -> Instant {
        self.start + (at - self.wall_at_start).to_std()
    }
}

/// What ends is taken at most so often, all of it at once: at thousands of checks a second to be woken for each would
/// cost more than what is to be done.
const PASS_EVERY: Duration = Duration::from_millis(2);
/// Ends of plugins taken at once.
const ENDS_MAX: usize = 256;
/// How long plugins that were killed at the stop may take to die.
const DYING_MAX: Duration = Duration::from_secs(2);

/// A check that runs now.
struct Running {
    object: ObjectKey,
    lane: Lane,
    host: Arc<str>,
    due: Timestamp,
    /// When it should have been over for so long that nobody waits for it any more.
    orphaned_at: Timestamp,
    how: How,
}

/// What runs it.
enum How {
    Task(AbortHandle),
    Plugin {
        observed_at: Timestamp,
        begun: Instant,
        latency: Span,
        /// Dropped = killed.
        _run: Option<Run>,
    },
}

#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
enum RunId {
    Task(Id),
    Plugin(u64),
}

pub struct Runner {
    plan: Plan,
    schedule: Schedule,
    /// By key, because slots change with the catalog. Steady time.
    last_runs: HashMap<ObjectKey, Timestamp>,
    lanes: Lanes,
    /// Asked for whatever holds them back, and not started yet.
    forced: HashSet<ObjectKey>,
    /// Whose last run was slow.
    slow: HashSet<ObjectKey>,
    builder: Builder,
    /// Each tells how a check went, if it ran one.
    tasks: JoinSet<Option<Pace>>,
    running: HashMap<RunId, Running>,
    newest_plugin: u64,
    ended: (mpsc::Sender<Ended>, mpsc::Receiver<Ended>),
    steady: Steady,
    clock: Clock,
    engine: engine::Handle,
    metrics: Metrics,
    imported: Imported,
    /// Checks that were lost, and when.
    orphaned: HashMap<ObjectKey, Timestamp>,
    next_look: Timestamp,
}

impl Runner {
    pub fn new(parts: Parts, metrics: Metrics) -> Runner {
        let steady = Steady { wall_at_start: parts.clock.now(), start: Instant::now() };
        let plan = Plan::new(parts.catalog);
        let now = steady.now();
        let snapshot = parts.engine.snapshot();
        let last_seen = |key: &ObjectKey| {
            let row = snapshot.row(snapshot.catalog.object_id(key)?);
            // A time in the future is the mark of a clock that was set back.
            (!row.is_pending()).then(|| row.last_check.min(now))
        };
        let schedule = Schedule::new(plan.entries(now, &parts.imported, last_seen), now);
        Runner {
            plan,
            schedule,
            last_runs: HashMap::new(),
            lanes: Lanes::new(parts.limits),
            forced: HashSet::new(),
            slow: HashSet::new(),
            builder: Builder::new(parts.factory, parts.env, parts.ssh).with_engine(parts.engine.clone()),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            newest_plugin: 0,
            // One for each that may run.
            ended: mpsc::channel(parts.limits.exec.max(1)),
            steady,
            clock: parts.clock,
            engine: parts.engine,
            metrics,
            imported: parts.imported,
            orphaned: HashMap::new(),
            next_look: now + LOOK_FOR_ORPHANS,
        }
    }

    pub async fn serve(mut self, mut orders: mpsc::Receiver<Order>, stop: CancellationToken) {
        let mut ends = Vec::with_capacity(ENDS_MAX);
        loop {
            self.look_for_orphans();
            self.start_due();
            let calm = Instant::now() + PASS_EVERY;
            let look = (!self.running.is_empty()).then_some(self.next_look);
            let next = [self.schedule.next_at(), look].into_iter().flatten().min();
            let wake = next.map(|at| self.steady.instant(at).max(calm));
            let ended = async {
                sleep_until(calm).await;
                tokio::select! {
                    Some(ended) = self.tasks.join_next_with_id() => Some(ended),
                    _ = self.ended.1.recv_many(&mut ends, ENDS_MAX) => None,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                order = orders.recv() => match order {
                    Some(Order::Reload(catalog)) => self.reload(catalog),
                    Some(Order::Request(checks)) => self.request(&checks),
                    Some(Order::Obey(imported)) => self.imported = imported,
                    None => break,
                },
                ended = ended => {
                    let mut next = ended;
                    while let Some(ended) = next {
                        self.task_ended(ended);
                        next = self.tasks.try_join_next_with_id();
                    }
                }
                () = sleep_until(wake.unwrap_or(calm)), if wake.is_some() => {}
            }
            for end in ends.drain(..) {
                self.plugin_ended(end);
            }
        }
        self.tasks.shutdown().await;
        for run in self.running.values() {
            self.metrics.ended(run.lane);
        }
        self.kill_plugins().await;
    }

    /// Returns when they are gone.
    async fn kill_plugins(&mut self) {
        let mut left = self.running.keys().filter(|id| matches!(id, RunId::Plugin(_))).count();
        self.running.clear();
        let gone = async {
            while left > 0 && self.ended.1.recv().await.is_some() {
                left -= 1;
            }
        };
        if tokio::time::timeout(DYING_MAX, gone).await.is_err() {
            tracing::warn!(left, "plugins that were killed have not ended");
        }
    }

    fn start_due(&mut self) {
        let now = self.steady.now();
        while let Some(due) = self.schedule.pop(now) {
            let Some((lane, host)) = self.plan.place(due.slot) else { continue };
            if let Err(again_in) = self.may_run(due.slot) {
                match again_in {
                    Some(wait) => self.schedule.put_off_until(due.slot, now + wait),
                    None => self.schedule.finish(due.slot, now),
                }
                continue;
            }
            let lane = self.lane_now(due.slot, lane);
            if let Some(candidate) = self.lanes.admit(Candidate { due, lane, host }) {
                self.start_all(vec![candidate]);
            }
        }
    }

    /// The lane of a slot, as its last run went.
    fn lane_now(&self, slot: u32, lane: Lane) -> Lane {
        let is_slow = || self.plan.key(slot).is_some_and(|key| self.slow.contains(&key));
        if lane == Lane::Native && !self.slow.is_empty() && is_slow() { Lane::Slow } else { lane }
    }

    /// Whether a check that is due runs: it was forced, or nothing holds it back. Asked at its start, and its interval
    /// with it, so that what a command changed takes effect without another plan. An error says when to ask again, if not
    /// at its next phase.
    fn may_run(&mut self, slot: u32) -> Result<(), Option<Span>> {
        let Some(key) = self.plan.key(slot) else { return Err(None) };
        let forced = self.forced.remove(&key);
        let snapshot = self.engine.snapshot();
        let wall = self.clock.now();
        let Some(object) = snapshot.catalog.object_id(&key) else { return Ok(()) };
        self.schedule.set_every(slot, snapshot.check_interval(object));
        if forced {
            return Ok(());
        }
        snapshot.gate(wall).check_allowed(object, Forced::No).map_err(|skip| {
            if let (Some(state), Some(why)) = (skip.state, skip.why.words(object)) {
                self.tell_skipped(&snapshot, object, state, why);
            }
            // A check that is rare and a period that is short might never meet.
            (skip.why == SkipReason::OutsidePeriod).then(|| skip.again_at - wall + self.plan.stagger(slot))
        })
    }

    /// The engine is told what state a check that is not run gives its object, unless the object shows it already.
    fn tell_skipped(&mut self, snapshot: &Snapshot, object: ObjectId, state: u8, why: &'static str) {
        let shown = match object {
            ObjectId::Host(id) => snapshot.host_details.get(id.index()),
            ObjectId::Service(id) => snapshot.service_details.get(id.index()),
        };
        let says_why = shown.and_then(|detail| detail.observation.as_ref()).is_some_and(|o| o.text.contains(why));
        let row = snapshot.row(object);
        let is_shown = row.state == state && says_why;
        if !row.is_pending() && !is_shown {
            let object = snapshot.catalog.object_key(object);
            self.tell(Command::SkipCheck { object, state, why: why.into() });
        }
    }

    /// Hands the engine a command without waiting for it.
    fn tell(&mut self, command: Command) {
        let engine = self.engine.clone();
        self.tasks.spawn(async move {
            if let Err(error) = engine.command(command, None).await {
                tracing::debug!(%error, "the engine did not take what the collector had to tell");
            }
            None
        });
    }

    /// Starts candidates that have places; one that waited too long gives its place to the next.
    fn start_all(&mut self, mut candidates: Vec<Candidate>) {
        let now = self.steady.now();
        while let Some(candidate) = candidates.pop() {
            let Candidate { due, lane, ref host } = candidate;
            if due.why == Why::Phase && now - due.due > LATE_AFTER {
                self.metrics.missed(lane);
                self.schedule.miss(due, now);
                candidates.extend(self.lanes.release(lane, host));
            } else if !self.start(&candidate, now) {
                candidates.extend(self.lanes.release(lane, host));
            }
        }
    }

    /// False if there is nothing to run.
    fn start(&mut self, candidate: &Candidate, now: Timestamp) -> bool {
        let slot = candidate.due.slot;
        let Some(job) = self.plan.job(slot) else { return false };
        let latency = (now - candidate.due.due).max(Span::ZERO);
        self.metrics.started(candidate.lane, latency.to_std());
        let (object, host) = (job.object.clone(), Arc::clone(&candidate.host));
        let orphaned_at = now + Span::from(job.timeout) + ORPHANED_AFTER;
        let (id, how) = if self.plan.is_command(slot) {
            self.newest_plugin += 1;
            let (id, observed_at, begun) = (self.newest_plugin, self.clock.now(), Instant::now());
            let ended = self.ended.0.clone();
            let run = plugin::begin(&object, &self.engine.snapshot(), observed_at, job.timeout, id, ended);
            (RunId::Plugin(id), How::Plugin { observed_at, begun, latency, _run: run })
        } else {
            let probe = self.plan.probe(slot, &mut self.builder);
            let run = run(job, latency, probe, self.clock.clone(), self.engine.clone());
            let task = self.tasks.spawn(async move { Some(run.await) });
            (RunId::Task(task.id()), How::Task(task))
        };
        let lane = candidate.lane;
        self.running.insert(id, Running { object, lane, host, due: candidate.due.due, orphaned_at, how });
        true
    }

    /// Reports what a plugin saw. While the engine has no room for it the run has not ended: its place stays taken.
    fn plugin_ended(&mut self, ended: Ended) {
        let Some(mut check) = self.running.remove(&RunId::Plugin(ended.id)) else { return };
        let (Some(observation), How::Plugin { observed_at, begun, latency, .. }) = (ended.observation, &check.how)
        else {
            tracing::error!(service.key = ?check.object, "a plugin ended without a result");
            return self.over(check, true);
        };
        let took = Took { latency: *latency, run: Span::from(begun.elapsed()) };
        match self.engine.try_report(result(check.object.clone(), *observed_at, observation, took)) {
            Ok(()) => self.over(check, false),
            Err(result) => {
                let post = post(result, self.engine.clone());
                let task = self.tasks.spawn(async move {
                    post.await;
                    None
                });
                let id = RunId::Task(task.id());
                check.how = How::Task(task);
                self.running.insert(id, check);
            }
        }
    }

    fn task_ended(&mut self, ended: Result<(Id, Option<Pace>), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(e) => e.id(),
        };
        let Some(run) = self.running.remove(&RunId::Task(id)) else { return };
        match &ended {
            Ok((_, Some(Pace::Slow))) => _ = self.slow.insert(run.object.clone()),
            Ok((_, Some(Pace::Quick))) if !self.slow.is_empty() => _ = self.slow.remove(&run.object),
            Ok((_, Some(Pace::Quick) | None)) | Err(_) => {}
        }
        let is_lost = ended.is_err();
        if let Err(e) = ended {
            tracing::error!(service.key = ?run.object, error = %e, "a run ended without a result");
        }
        self.over(run, is_lost);
    }

    /// Gives up runs whose results should have come long ago.
    fn look_for_orphans(&mut self) {
        let now = self.steady.now();
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK_FOR_ORPHANS;
        let lost: Vec<RunId> =
            self.running.iter().filter(|(_, run)| run.orphaned_at < now).map(|(id, _)| *id).collect();
        for id in lost {
            let Some(run) = self.running.remove(&id) else { continue };
            tracing::error!(service.key = ?run.object, "a run neither ended nor kept its deadline: it is given up");
            if let How::Task(task) = &run.how {
                task.abort();
            }
            self.over(run, true);
        }
    }

    /// A run is over; one without a result is an orphan, and run again.
    fn over(&mut self, run: Running, is_lost: bool) {
        self.metrics.ended(run.lane);
        let now = self.steady.now();
        // The catalog may have changed since: the object may have another slot, or none.
        if let Some(slot) = self.plan.slot_of_key(&run.object) {
            self.schedule.finish(slot, now);
            if is_lost {
                self.run_orphan(slot, &run, now);
            }
            self.last_runs.insert(run.object, now);
        }
        let next = self.lanes.release(run.lane, &run.host);
        self.start_all(next);
    }

    /// A check whose result never came is run at once, and of an imported object Nagios's line says so; one that is lost
    /// again and again must not take the place of others.
    fn run_orphan(&mut self, slot: u32, run: &Running, now: Timestamp) {
        let snapshot = self.engine.snapshot();
        let object = snapshot.catalog.object_id(&run.object);
        let is_imported = object.is_some_and(|object| snapshot.catalog.nagios.member(object).is_some());
        let is_wanted = match &run.object.service {
            Some(_) => self.imported.orphaned_services,
            None => self.imported.orphaned_hosts,
        };
        if is_imported && !is_wanted {
            return;
        }
        let before = self.orphaned.insert(run.object.clone(), now);
        let due = before.map_or(now, |before| now.max(before + LOOK_FOR_ORPHANS));
        self.schedule.request(slot, due, now);
        if let Some(object) = object.filter(|_| is_imported) {
            let last_check = snapshot.row(object).last_check.as_secs();
            self.tell(Command::Log { text: orphan_line(run, last_check).into() });
        }
    }

    fn request(&mut self, checks: &[CheckRequest]) {
        let (now, wall) = (self.steady.now(), self.clock.now());
        for check in checks {
            if let Some(slot) = self.plan.slot(check.object) {
                // Only what runs here: nothing else would ever be taken out again.
                if check.forced && self.plan.place(slot).is_some() {
                    self.forced.extend(self.plan.key(slot));
                }
                self.schedule.request(slot, now + (check.due - wall), now);
            }
        }
    }

    /// Takes another plan: what waits waits on, for its time or for its place; what runs runs on.
    fn reload(&mut self, catalog: Arc<Catalog>) {
        // The first one comes twice: with the start, and in the order of what the engine has done.
        if self.plan.is_of(&catalog) {
            return;
        }
        let now = self.steady.now();
        self.builder.next_generation();
        let old = std::mem::replace(&mut self.plan, Plan::new(catalog));
        let snapshot = self.engine.snapshot();
        let last_seen = |key: &ObjectKey| {
            let of_engine = || {
                let row = snapshot.row(snapshot.catalog.object_id(key)?);
                (!row.is_pending()).then(|| row.last_check.min(now))
            };
            self.last_runs.get(key).copied().or_else(of_engine)
        };
        let carried = self.plan.entries(now, &self.imported, last_seen).into_iter().map(|entry| {
            let was = self.plan.key(entry.slot).and_then(|key| old.slot_of_key(&key));
            Carried { entry, was }
        });
        self.schedule = self.schedule.reloaded(carried, now);
        for run in self.running.values() {
            if let Some(slot) = self.plan.slot_of_key(&run.object) {
                self.schedule.mark_running(slot);
            }
        }
        self.wait_again(&old);
        let plan = &self.plan;
        self.last_runs.retain(|key, _| plan.slot_of_key(key).is_some());
        self.forced.retain(|key| plan.slot_of_key(key).is_some());
        self.slow.retain(|key| plan.slot_of_key(key).is_some());
        self.orphaned.retain(|key, _| plan.slot_of_key(key).is_some());
    }

    /// Those who waited for a place under the old plan do so under the new one, if it has them.
    fn wait_again(&mut self, old: &Plan) {
        for mut candidate in self.lanes.take_waiting() {
            let slot = old.key(candidate.due.slot).and_then(|key| self.plan.slot_of_key(&key));
            let Some((slot, (lane, _))) = slot.and_then(|slot| Some((slot, self.plan.place(slot)?))) else { continue };
            candidate.due.slot = slot;
            candidate.lane = self.lane_now(slot, lane);
            if let Some(candidate) = self.lanes.admit(candidate) {
                self.start_all(vec![candidate]);
            }
        }
    }
}

/// The line of Nagios for a check whose result never came.
fn orphan_line(run: &Running, last_check: i64) -> String {
    let host = &run.object.host;
    match &run.object.service {
        Some(service) => format!(
            "Warning: The check of service '{service}' on host '{host}' looks like it was orphaned (results never came \
             back; last_check={last_check}; next_check={}).  I'm scheduling an immediate check of the service...",
            run.due.as_secs()
        ),
        None => format!(
            "Warning: The check of host '{host}' looks like it was orphaned (results never came back).  I'm scheduling \
             an immediate check of the host..."
        ),
    }
}
