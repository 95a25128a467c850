//! `uptime`: seconds since the host booted. Readable at all, it is a sign of life; small, it says that the host just restarted.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::Span;
use stentor_core::model::Observation;

use super::look::{Lane, look};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

pub struct Uptime {
    view: Arc<dyn HostView>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl Probe for Uptime {
    const KIND: &'static str = "uptime";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/uptime.md");
    type Config = Config;

    fn build(_: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(Uptime { view: Arc::clone(&env.view) })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let seconds = look(&self.view, Lane::Kernel, deadline, |view| view.uptime_s()).await?;
        if !seconds.is_finite() || seconds < 0.0 {
            return Err(ProbeError::Failed(format!("the host says it is up for {seconds} s")));
        }
        // Whole seconds: a fraction would make every result differ from the one before.
        let seconds = seconds.floor();
        Ok(Observation::observed(format!("up for {}", Span::from_secs(seconds as i64)))
            .fact("uptime_s", seconds)
            .measure("uptime", seconds, "s"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{number, run_on};

    #[tokio::test]
    async fn whole_seconds_since_boot() {
        let view = SimView::of(SimHost { uptime_s: 3661.9, ..SimHost::default() });
        let seen = run_on("uptime", "{}", Arc::new(view)).await.expect("observed");
        assert_eq!(number(&seen, "uptime_s"), 3661.0);
        assert_eq!(&*seen.text, "up for 1h1m1s");
    }

    #[tokio::test]
    async fn nonsense_is_unknown() {
        let view = SimView::of(SimHost { uptime_s: f64::NAN, ..SimHost::default() });
        assert!(matches!(run_on("uptime", "{}", Arc::new(view)).await, Err(ProbeError::Failed(_))));
    }
}
