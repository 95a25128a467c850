//! `memory`: how much memory programs can still get, and the state of swap.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Measurement, Observation};

use super::look::{Lane, look};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

pub struct Memory {
    view: Arc<dyn HostView>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl Probe for Memory {
    const KIND: &'static str = "memory";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/memory.md");
    type Config = Config;

    fn build(_: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(Memory { view: Arc::clone(&env.view) })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let text = look(&self.view, Lane::Kernel, deadline, |view| view.read("/proc/meminfo")).await?;
        read(&text).ok_or_else(|| ProbeError::Failed("/proc/meminfo names no MemTotal and MemAvailable".into()))
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct MemInfo {
    total: f64,
    available: f64,
    swap_total: f64,
    swap_free: f64,
}

/// What a text of /proc/meminfo says; `None` if it lacks the totals.
pub fn read(text: &str) -> Option<Observation> {
    parse_meminfo(text).as_ref().map(observe)
}

fn observe(info: &MemInfo) -> Observation {
    let used = (info.total - info.available).max(0.0);
    // Hundredths: more is noise.
    let share = |part: f64, whole: f64| (part / whole * 1e4).round() / 100.0;
    let used_pct = share(used, info.total);
    let swap_used = (info.swap_total - info.swap_free).max(0.0);
    let swap_pct = if info.swap_total > 0.0 { share(swap_used, info.swap_total) } else { 0.0 };
    let gib = |bytes: f64| bytes / f64::from(1 << 30);
    let text = format!(
        "memory {used_pct:.1} % used, {:.1} of {:.1} GiB available; swap {swap_pct:.1} % used",
        gib(info.available),
        gib(info.total)
    );
    let mut seen = Observation::observed(text)
        .fact("used_pct", used_pct)
        .fact("available_bytes", info.available)
        .fact("total_bytes", info.total)
        .fact("swap_used_pct", swap_pct)
        .fact("swap_total_bytes", info.swap_total)
        .measure("used_pct", used_pct, "%");
    let bytes =
        |label, value, max| Measurement { min: Some(0.0), max: Some(max), ..Measurement::new(label, value, "B") };
    seen.measurements.push(bytes("available", info.available, info.total));
    seen.measurements.push(bytes("swap_used", swap_used, info.swap_total));
    seen.measure("swap_used_pct", swap_pct, "%")
}

fn parse_meminfo(text: &str) -> Option<MemInfo> {
    let value = |key: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        // The kernel's "kB" are KiB.
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib as f64 * 1024.0)
    };
    // Before Linux 3.14 there is no MemAvailable; free plus page cache is its old approximation.
    let available = value("MemAvailable")
        .or_else(|| Some(value("MemFree")? + value("Buffers").unwrap_or(0.0) + value("Cached").unwrap_or(0.0)))?;
    Some(MemInfo {
        total: value("MemTotal").filter(|total| *total > 0.0)?,
        available,
        swap_total: value("SwapTotal").unwrap_or(0.0),
        swap_free: value("SwapFree").unwrap_or(0.0),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{number, run_on_files};

    #[tokio::test]
    async fn page_cache_counts_as_available() {
        let text = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 750 kB\nCached: 700 kB\n\
            SwapTotal: 200 kB\nSwapFree: 150 kB\n";
        let seen = run_on_files("memory", "{}", &[("/proc/meminfo", text)]).await.expect("observed");
        assert_eq!(number(&seen, "used_pct"), 25.0);
        assert_eq!(number(&seen, "swap_used_pct"), 25.0);
    }

    #[test]
    fn old_kernels_and_hosts_without_swap_still_read() {
        let info = parse_meminfo("MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 150 kB\n").expect("read");
        assert_eq!(info.available, 300.0 * 1024.0);
        assert_eq!(observe(&info).facts["swap_used_pct"].number(), Some(0.0));
    }

    #[tokio::test]
    async fn a_table_without_a_total_is_unknown() {
        for text in ["", "MemTotal: 0 kB\nMemAvailable: 0 kB\n", "MemTotal: x kB\n"] {
            assert!(run_on_files("memory", "{}", &[("/proc/meminfo", text)]).await.is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(Mem|Swap)(Total|Free|Available):\\PC{0,40}") {
            let _ = read(&text);
        }
    }
}
