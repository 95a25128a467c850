//! The collector's one task: takes due checks from the schedule, starts them as places allow, obeys orders.
//! Never waits for the engine: the runs do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use stentor_core::catalog::Catalog;
use stentor_core::engine::CheckRequest;
use stentor_core::engine::gate::{Forced, SkipReason};
use stentor_core::model::ObjectKey;
use stentor_core::schedule::{Carried, LATE_AFTER, Schedule, Why};
use stentor_core::{Span, Timestamp};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::lanes::{Candidate, Lane, Lanes};
use super::metrics::Metrics;
use super::plan::{Builder, Plan};
use super::plugin::Plugin;
use super::run::{Work, run};
use super::{Order, Parts};
use crate::clock::Clock;
use crate::engine;

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

/// A check that runs now.
struct Running {
    object: ObjectKey,
    lane: Lane,
    host: Arc<str>,
}

pub struct Runner {
    plan: Plan,
    schedule: Schedule,
    /// By key, because slots change with the catalog. Steady time.
    last_runs: HashMap<ObjectKey, Timestamp>,
    lanes: Lanes,
    /// Asked for whatever holds them back, and not started yet.
    forced: HashSet<ObjectKey>,
    builder: Builder,
    tasks: JoinSet<()>,
    running: HashMap<Id, Running>,
    steady: Steady,
    clock: Clock,
    engine: engine::Handle,
    metrics: Metrics,
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
        let schedule = Schedule::new(plan.entries(now, last_seen), now);
        Runner {
            plan,
            schedule,
            last_runs: HashMap::new(),
            lanes: Lanes::new(parts.limits),
            forced: HashSet::new(),
            builder: Builder::new(parts.factory, parts.env),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            steady,
            clock: parts.clock,
            engine: parts.engine,
            metrics,
        }
    }

    pub async fn serve(mut self, mut orders: mpsc::Receiver<Order>, stop: CancellationToken) {
        loop {
            self.start_due();
            let wake = self.schedule.next_at().map(|at| self.steady.instant(at));
            tokio::select! {
                () = stop.cancelled() => break,
                order = orders.recv() => match order {
                    Some(Order::Reload(catalog)) => self.reload(catalog),
                    Some(Order::Request(checks)) => self.request(&checks),
                    None => break,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
        self.tasks.shutdown().await;
        for run in self.running.values() {
            self.metrics.ended(run.lane);
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
            if let Some(candidate) = self.lanes.admit(Candidate { due, lane, host }) {
                self.start_all(vec![candidate]);
            }
        }
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
            // A check that is rare and a period that is short might never meet.
            (skip.why == SkipReason::OutsidePeriod).then(|| skip.again_at - wall + self.plan.stagger(slot))
        })
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
        let work = if self.plan.is_command(slot) {
            Work::Plugin(Plugin::of(&job.object, &self.engine.snapshot(), self.clock.now()))
        } else {
            Work::Probe(self.plan.probe(slot, &mut self.builder))
        };
        let latency = (now - candidate.due.due).max(Span::ZERO);
        self.metrics.started(candidate.lane, latency.to_std());
        let object = job.object.clone();
        let task = self.tasks.spawn(run(job, latency, work, self.clock.clone(), self.engine.clone()));
        let running = Running { object, lane: candidate.lane, host: Arc::clone(&candidate.host) };
        self.running.insert(task.id(), running);
        true
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(e) => e.id(),
        };
        let Some(run) = self.running.remove(&id) else { return };
        if let Err(e) = ended {
            tracing::error!(service.key = ?run.object, error = %e, "a run ended without a result");
        }
        self.metrics.ended(run.lane);
        let now = self.steady.now();
        // The catalog may have changed since: the object may have another slot, or none.
        if let Some(slot) = self.plan.slot_of_key(&run.object) {
            self.schedule.finish(slot, now);
            self.last_runs.insert(run.object, now);
        }
        let next = self.lanes.release(run.lane, &run.host);
        self.start_all(next);
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
        let carried = self.plan.entries(now, last_seen).into_iter().map(|entry| {
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
    }

    /// Those who waited for a place under the old plan do so under the new one, if it has them.
    fn wait_again(&mut self, old: &Plan) {
        for mut candidate in self.lanes.take_waiting() {
            let slot = old.key(candidate.due.slot).and_then(|key| self.plan.slot_of_key(&key));
            let Some((slot, (lane, _))) = slot.and_then(|slot| Some((slot, self.plan.place(slot)?))) else { continue };
            candidate.due.slot = slot;
            candidate.lane = lane;
            if let Some(candidate) = self.lanes.admit(candidate) {
                self.start_all(vec![candidate]);
            }
        }
    }
}
