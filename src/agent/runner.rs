//! Runs the checks that the hub named, each on its cadence and never twice at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stentor_core::model::{Observation, UnknownCause};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::hub::{CheckItem, PushedResult};
use super::{AgentConfig, phase, seed_of};
use crate::clock::Clock;
use crate::probes::{self, ErasedProbe, HostView, Network, ProbeEnv, Target};

/// Probes that run at the same time.
const RUNNING_MAX: usize = 16;
/// A new check runs within this time; hosts with many checks do not run them all in one instant.
const FIRST_RUN_MS_MAX: u64 = 2000;
/// Below this an interval is taken for a mistake.
const EVERY_MS_MIN: u64 = 10;
const TIMEOUT_MS_MAX: u64 = 600_000;
/// For a probe that does not keep its deadline itself.
const GRACE: Duration = Duration::from_millis(500);

/// One check with its probe and its next run.
struct Planned {
    item: CheckItem,
    /// Or why there is none; told at each run.
    probe: Result<Arc<dyn ErasedProbe>, String>,
    due: Instant,
    is_running: bool,
}

struct Runner {
    host: Arc<str>,
    env: ProbeEnv,
    target: Target,
    plan: BTreeMap<Arc<str>, Planned>,
    running: JoinSet<PushedResult>,
    /// Which service a task runs, for tasks that end abnormally.
    services: BTreeMap<tokio::task::Id, Arc<str>>,
}

/// Runs until `stop` is cancelled; then the running probes are given up.
pub async fn run(
    config: &AgentConfig,
    view: Arc<dyn HostView>,
    clock: Clock,
    mut checks: watch::Receiver<Arc<Vec<CheckItem>>>,
    results: mpsc::Sender<PushedResult>,
    stop: &CancellationToken,
) {
    let mut runner = Runner {
        host: Arc::clone(&config.host),
        env: ProbeEnv { net: Network::real(), view, clock },
        target: Target { host: Arc::clone(&config.host), address: "127.0.0.1".into(), bmc: None },
        plan: BTreeMap::new(),
        running: JoinSet::new(),
        services: BTreeMap::new(),
    };
    let mut has_hub = true;
    loop {
        let next = runner.next_due();
        tokio::select! {
            () = stop.cancelled() => break,
            changed = checks.changed(), if has_hub => match changed {
                Ok(()) => {
                    let items = Arc::clone(&checks.borrow_and_update());
                    runner.replan(&items);
                }
                Err(_) => has_hub = false,
            },
            Some(ended) = runner.running.join_next_with_id() => {
                let result = runner.ended(ended);
                // Only a stopped pusher has gone; then this ends too.
                if let Some(result) = result && results.send(result).await.is_err() {
                    break;
                }
            }
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => runner.start_due(),
        }
    }
    runner.running.shutdown().await;
}

impl Runner {
    /// When the next check is to start; `None` while all run, none is known, or enough run already.
    fn next_due(&self) -> Option<Instant> {
        if self.running.len() >= RUNNING_MAX {
            return None;
        }
        self.plan.values().filter(|planned| !planned.is_running).map(|planned| planned.due).min()
    }

    /// Takes a new list over. A check that did not change keeps its next run and its probe.
    fn replan(&mut self, items: &[CheckItem]) {
        let mut plan = BTreeMap::new();
        for item in items {
            let kept = self.plan.remove(&item.service);
            let planned = match kept {
                Some(planned) if planned.item == *item => planned,
                kept => Planned {
                    due: first_due(&self.host, item),
                    probe: self.build(item),
                    is_running: kept.is_some_and(|planned| planned.is_running),
                    item: item.clone(),
                },
            };
            plan.insert(Arc::clone(&item.service), planned);
        }
        self.plan = plan;
    }

    /// Checks may ask this host about itself, nothing else: no connections to elsewhere, and commands only as orders.
    fn build(&self, item: &CheckItem) -> Result<Arc<dyn ErasedProbe>, String> {
        let entry = probes::find(&item.probe)
            .ok_or_else(|| format!("this agent has no probe `{}`; is it older than the hub?", item.probe))?;
        if !entry.host_side {
            return Err(format!("an agent runs only probes that look at its own host, not `{}`", item.probe));
        }
        (entry.build)(&item.params, &self.env).map_err(|error| error.message)
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        for (service, planned) in &mut self.plan {
            if planned.is_running || planned.due > now || self.running.len() >= RUNNING_MAX {
                continue;
            }
            planned.is_running = true;
            planned.due = next_run(planned.due, every(&planned.item), now);
            let timeout = Duration::from_millis(planned.item.timeout_ms.clamp(1, TIMEOUT_MS_MAX));
            let (probe, target) = (planned.probe.clone(), self.target.clone());
            let (clock, host) = (self.env.clock.clone(), Arc::clone(&self.host));
            let name = Arc::clone(service);
            let task = self.running.spawn(async move {
                let observation = match probe {
                    Ok(probe) => observe(probe.as_ref(), &target, timeout).await,
                    Err(why) => Observation::failed(UnknownCause::ProbeError, why),
                };
                PushedResult { sequence: 0, host, service: name, observed_at: clock.now(), observation }
            });
            self.services.insert(task.id(), Arc::clone(service));
        }
    }

    /// The result of a task, or of its panic; `None` for a check that is no longer planned.
    fn ended(
        &mut self,
        ended: Result<(tokio::task::Id, PushedResult), tokio::task::JoinError>,
    ) -> Option<PushedResult> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let service = self.services.remove(&id)?;
        let planned = self.plan.get_mut(&service)?;
        planned.is_running = false;
        match ended {
            Ok((_, result)) => Some(result),
            Err(error) => {
                warn!(service.key = %service, probe.kind = %planned.item.probe, error = %error, "a probe ended abnormally");
                let observation = Observation::failed(UnknownCause::ProbeError, format!("the probe broke: {error}"));
                let (host, observed_at) = (Arc::clone(&self.host), self.env.clock.now());
                Some(PushedResult { sequence: 0, host, service, observed_at, observation })
            }
        }
    }
}

async fn observe(probe: &dyn ErasedProbe, target: &Target, timeout: Duration) -> Observation {
    let deadline = Instant::now() + timeout;
    match timeout_at(deadline + GRACE, probe.run(target, deadline)).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) => Observation::failed(error.cause(), error.to_string()),
        Err(_) => Observation::failed(UnknownCause::Timeout, "the probe did not keep its deadline"),
    }
}

fn every(item: &CheckItem) -> Duration {
    Duration::from_millis(item.every_ms.max(EVERY_MS_MIN))
}

/// Spread over the first interval, the same way at each start.
fn first_due(host: &str, item: &CheckItem) -> Instant {
    let spread = item.every_ms.min(FIRST_RUN_MS_MAX);
    Instant::now() + Duration::from_millis(phase(seed_of(host), seed_of(&item.service), spread))
}

/// The next run on the check's own beat; runs that were missed are not made up for.
fn next_run(due: Instant, every: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due).as_nanos();
    let beats = late / every.as_nanos().max(1) + 1;
    due + every.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_beats_are_not_made_up_for() {
        let due = Instant::now();
        let every = Duration::from_secs(10);
        for (late_s, next_s) in [(0, 10), (3, 10), (10, 20), (35, 40)] {
            assert_eq!(next_run(due, every, due + Duration::from_secs(late_s)), due + Duration::from_secs(next_s));
        }
    }

    #[test]
    fn first_runs_are_spread_within_their_limit() {
        let item = |service: &str, every_ms| CheckItem {
            service: service.into(),
            probe: "load".into(),
            params: stentor_core::model::Value::Null,
            every_ms,
            timeout_ms: 1000,
        };
        let begun = Instant::now();
        let mut offsets: Vec<u128> = (0..50)
            .map(|n| first_due("h", &item(&format!("s{n}"), 60_000)).duration_since(begun).as_millis() / 100)
            .collect();
        assert!(offsets.iter().all(|tenths| *tenths <= 20));
        offsets.sort_unstable();
        offsets.dedup();
        assert!(offsets.len() > 10, "not spread: {offsets:?}");
    }
}
