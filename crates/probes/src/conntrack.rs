//! `conntrack`: how full the table of tracked connections is, and whether packets were dropped for it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use stentor_core::model::{Measurement, Observation, Value};
use tokio::time::Instant;

use super::look::{Lane, look};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const STATISTICS: &str = "/proc/net/stat/nf_conntrack";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

pub struct Conntrack {
    view: Arc<dyn HostView>,
    /// Packets dropped so far, and when that was read.
    last: Mutex<Option<(Instant, u64)>>,
}

impl Probe for Conntrack {
    const KIND: &'static str = "conntrack";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/conntrack.md");
    type Config = Config;

    fn build(_: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(Conntrack { view: Arc::clone(&env.view), last: Mutex::default() })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let read = look(&self.view, Lane::Kernel, deadline, |view| {
            let count = match view.read(COUNT) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            // Statistics per CPU are an option of the kernel.
            let statistics = match view.read(STATISTICS) {
                Ok(text) => Some(text),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => None,
                Err(error) => return Err(error),
            };
            Ok(Some((count, view.read(MAX)?, statistics)))
        })
        .await?;
        let Some((count, max, statistics)) = read else {
            return Ok(Observation::observed("this host tracks no connections").fact("tracking", Value::Bool(false)));
        };
        let number = |path: &str, text: &str| {
            let number = text.trim().parse::<u64>();
            number.map_err(|_| ProbeError::Failed(format!("{path} holds no number but `{}`", text.trim())))
        };
        let (count, max) = (number(COUNT, &count)?, number(MAX, &max)?);
        Ok(self.observe(count, max, statistics.as_deref().and_then(dropped)))
    }
}

/// Packets for which there was no room: `drop`, `early_drop` (an old connection had to go) and `insert_failed` of all CPUs.
fn dropped(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next()?.split_whitespace().collect();
    let wanted: Vec<usize> = columns
        .iter()
        .enumerate()
        .filter(|(_, name)| matches!(**name, "drop" | "early_drop"))
        .map(|(at, _)| at)
        .collect();
    if wanted.is_empty() {
        return None;
    }
    let mut sum = 0u64;
    for line in lines {
        let fields: Vec<&str> = line.split_whitespace().collect();
        for at in &wanted {
            sum = sum.saturating_add(u64::from_str_radix(fields.get(*at)?, 16).ok()?);
        }
    }
    Some(sum)
}

impl Conntrack {
    fn observe(&self, count: u64, max: u64, dropped: Option<u64>) -> Observation {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *last, dropped.map(|dropped| (now, dropped)));
        drop(last);
        // One that went back was reset with the module.
        let per_min = dropped.zip(before).and_then(|(dropped, (at, was))| {
            let seconds = (now - at).as_secs_f64();
            let grown = dropped.checked_sub(was)?;
            (seconds > 0.0).then_some(grown as f64 * 60.0 / seconds)
        });
        let fill_pct = if max == 0 { 0.0 } else { count as f64 * 100.0 / max as f64 };
        let lost =
            per_min.filter(|rate| *rate > 0.0).map_or_else(String::new, |rate| format!("; {rate:.1} dropped a minute"));
        let mut seen = Observation::observed(format!("{count} of {max} connections tracked ({fill_pct:.1} %){lost}"))
            .fact("tracking", Value::Bool(true))
            .fact("count", count as usize)
            .fact("max", max as usize)
            .fact("fill_pct", fill_pct);
        if let Some(rate) = per_min {
            seen = seen.fact("drops_per_min", rate);
        }
        seen.measurements.push(Measurement {
            min: Some(0.0),
            max: Some(max as f64),
            ..Measurement::new("connections", count as f64, "")
        });
        match dropped {
            Some(dropped) => seen.measure("dropped", dropped as f64, "c"),
            None => seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::SimView;
    use crate::testing::{build, env, number, run_on_files, target, text, within};

    const HEAD: &str =
        "entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop\n";

    #[tokio::test]
    async fn fill_and_drops_are_told() {
        let view = Arc::new(SimView::new());
        view.put(COUNT, "900\n");
        view.put(MAX, "1000\n");
        view.put(
            STATISTICS,
            &format!("{HEAD}00 0 0 0 0 0 0 0 0 0 00000001 00000002\n00 0 0 0 0 0 0 0 0 0 00000000 0000000a\n"),
        );
        let probe = build("conntrack", "{}", &env(Arc::clone(&view) as Arc<dyn HostView>)).expect("built");
        let first = probe.run(&target("192.0.2.1"), within(5000)).await.expect("observed");
        assert_eq!((number(&first, "fill_pct"), first.facts.contains_key("drops_per_min")), (90.0, false));
        assert_eq!(first.measurements[1].value, Some(13.0));
        view.put(STATISTICS, &format!("{HEAD}00 0 0 0 0 0 0 0 0 0 00000009 00000014\n"));
        let second = probe.run(&target("192.0.2.1"), within(5000)).await.expect("observed");
        assert!(number(&second, "drops_per_min") > 0.0, "{second:?}");
        view.put(STATISTICS, &format!("{HEAD}00 0 0 0 0 0 0 0 0 0 00000000 00000000\n"));
        let reset = probe.run(&target("192.0.2.1"), within(5000)).await.expect("observed");
        assert!(!reset.facts.contains_key("drops_per_min"));
    }

    #[tokio::test]
    async fn a_host_without_tracking_says_so_and_garbage_is_told() {
        let seen = run_on_files("conntrack", "{}", &[("/proc/uptime", "1")]).await.expect("observed");
        assert_eq!(text(&seen, "tracking"), "false");
        assert!(run_on_files("conntrack", "{}", &[(COUNT, "many"), (MAX, "1")]).await.is_err());
        assert_eq!((dropped(""), dropped("a b\n"), dropped(&format!("{HEAD}zz\n"))), (None, None, None));
    }
}
