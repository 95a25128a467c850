//! One run of one check: whatever the probe does, exactly one result is posted.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use stentor_core::engine::{ResultSource, Took};
use stentor_core::model::{ObjectKey, Observation, UnknownCause};
use stentor_core::{Span, Timestamp};
use tokio::time::{Instant, timeout_at};

use super::plan::Job;
use crate::clock::Clock;
use crate::engine::{self, KeyedResult};
use crate::probes::{BuildError, ErasedProbe};

/// A probe that has not returned this long after its deadline is dropped.
const OVERRUN_MAX: Duration = Duration::from_secs(2);
/// A run that was over and taken up so much later yet was not run at all for a while: paused, or starved.
const STALL: Duration = Duration::from_secs(1);

/// How long a run took, of the time it had.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Pace {
    Quick,
    /// Nearly all of it: the peer hangs.
    Slow,
}

/// A run that took more of its time than this is slow: what is silent is given up at its deadline, or somewhat before it.
const SLOW_FROM: f64 = 0.5;

/// Runs a check and posts what it saw; waits while the engine's inbox is full. `latency`: how long it waited for its turn.
pub async fn run(
    job: Job,
    latency: Span,
    probe: Result<Arc<dyn ErasedProbe>, BuildError>,
    clock: Clock,
    engine: engine::Handle,
) -> Pace {
    let mut observed_at = clock.now();
    let mut begun = Instant::now();
    let observation = match probe {
        Ok(probe) => {
            let mut observation = observe(&*probe, &job).await;
            // The deadline passed while nobody could have seen an answer: that says nothing about the peer. Once is
            // enough: a process that is starved again and again must still say something.
            if begun.elapsed() > job.timeout + OVERRUN_MAX + STALL {
                tracing::info!(service.key = ?job.object, "this process stood still during a check: it is run again");
                observed_at = clock.now();
                begun = Instant::now();
                observation = observe(&*probe, &job).await;
            }
            observation
        }
        Err(e) => Observation::failed(UnknownCause::ProbeError, format!("the check cannot run: {e}")),
    };
    let elapsed = begun.elapsed();
    let took = Took { latency, run: Span::from(elapsed) };
    let pace = if elapsed >= job.timeout.mul_f64(SLOW_FROM) { Pace::Slow } else { Pace::Quick };
    post(result(job.object, observed_at, observation, took), engine).await;
    pace
}

/// What an active check saw.
pub fn result(object: ObjectKey, observed_at: Timestamp, observation: Observation, took: Took) -> KeyedResult {
    let source = ResultSource::Active;
    KeyedResult { object, observed_at, source, observation: Arc::new(observation), id: None, took }
}

/// Hands a result in, and waits while the engine has no room.
pub async fn post(result: KeyedResult, engine: engine::Handle) {
    if engine.report(result).await.is_err() {
        tracing::debug!("a result came after the engine had stopped");
    }
}

pub async fn observe(probe: &dyn ErasedProbe, job: &Job) -> Observation {
    let deadline = Instant::now() + job.timeout;
    let run = AssertUnwindSafe(async { probe.run(&job.target, deadline).await }).catch_unwind();
    match timeout_at(deadline + OVERRUN_MAX, run).await {
        Ok(Ok(Ok(observation))) => observation,
        Ok(Ok(Err(e))) => Observation::failed(e.cause(), e.to_string()),
        Ok(Err(panic)) => {
            let text = format!("the probe panicked: {}", panic_text(&*panic));
            tracing::error!(service.key = ?job.object, "{text}");
            Observation::failed(UnknownCause::ProbeError, text)
        }
        Err(_) => Observation::failed(
            UnknownCause::Timeout,
            format!("the probe did not return by its deadline of {} s", job.timeout.as_secs_f64()),
        ),
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
