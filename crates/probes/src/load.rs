//! `load`: how many tasks run or wait, over 1, 5 and 15 minutes, absolute and per processor.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;

use super::look::{Lane, look};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

pub struct Load {
    view: Arc<dyn HostView>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl Probe for Load {
    const KIND: &'static str = "load";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/load.md");
    type Config = Config;

    fn build(_: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(Load { view: Arc::clone(&env.view) })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let (loadavg, stat) = look(&self.view, Lane::Kernel, deadline, |view| {
            Ok((view.read("/proc/loadavg")?, view.read("/proc/stat").unwrap_or_default()))
        })
        .await?;
        read(&loadavg, &stat).ok_or_else(|| ProbeError::Failed("/proc/loadavg holds no three numbers".into()))
    }
}

/// What the texts of /proc/loadavg and /proc/stat say.
pub fn read(loadavg: &str, stat: &str) -> Option<Observation> {
    Some(observe(parse_loadavg(loadavg)?, processors(stat)))
}

fn observe(averages: [f64; 3], cpus: usize) -> Observation {
    let [one, five, fifteen] = averages;
    let mut seen = Observation::observed(format!("load {one:.2}, {five:.2}, {fifteen:.2} on {cpus} processors"));
    for (name, value) in [("load1", one), ("load5", five), ("load15", fifteen)] {
        seen = seen.fact(name, value).measure(name, value, "");
    }
    if cpus == 0 {
        seen.text = format!("load {one:.2}, {five:.2}, {fifteen:.2}").into();
        return seen;
    }
    seen = seen.fact("cpus", cpus);
    for (name, value) in [("load1_per_cpu", one), ("load5_per_cpu", five), ("load15_per_cpu", fifteen)] {
        let each = value / cpus as f64;
        seen = seen.fact(name, each).measure(name, each, "");
    }
    seen
}

fn parse_loadavg(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().ok().filter(|n| n.is_finite()));
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// Online processors: the lines `cpu0`, `cpu1`, … of /proc/stat.
fn processors(stat: &str) -> usize {
    stat.lines()
        .filter(|line| {
            line.strip_prefix("cpu").and_then(|rest| rest.chars().next()).is_some_and(|c| c.is_ascii_digit())
        })
        .count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{number, run_on_files};

    #[tokio::test]
    async fn the_load_is_told_per_processor() {
        let seen = run_on_files(
            "load",
            "{}",
            &[("/proc/loadavg", "4.00 2.00 1.00 3/500 777\n"), ("/proc/stat", "cpu 1 2\ncpu0 1\ncpu1 1\nintr 5\n")],
        )
        .await
        .expect("observed");
        assert_eq!(number(&seen, "load5"), 2.0);
        assert_eq!(number(&seen, "load1_per_cpu"), 2.0);
        assert_eq!(seen.measurements.len(), 6);
    }

    #[tokio::test]
    async fn a_host_without_loadavg_is_unknown_not_idle() {
        assert!(matches!(run_on_files("load", "{}", &[]).await, Err(ProbeError::Failed(_))));
        assert!(matches!(run_on_files("load", "{}", &[("/proc/loadavg", "a b c")]).await, Err(ProbeError::Failed(_))));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = (parse_loadavg(&text), processors(&text));
        }
    }
}
