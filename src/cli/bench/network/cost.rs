//! What a process spends: CPU time and memory, as the kernel counts them.

use anyhow::Context;
use serde::Serialize;

/// CPU time, user and system.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cost {
    pub cpu_s: f64,
}

impl Cost {
    pub fn since(&self, before: &Cost) -> Cost {
        Cost { cpu_s: self.cpu_s - before.cpu_s }
    }
}

/// Of a process with all its threads; `children` = of those it waited for.
pub struct Stat {
    pub own: Cost,
    pub children: Cost,
}

/// proc(5): fields 14 to 17 of `stat` are ticks; the second is a name that may hold anything but ends at the last `)`.
pub fn of(process: &str) -> anyhow::Result<Stat> {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let (_, rest) = text.rsplit_once(')').context("a strange stat")?;
    let fields: Vec<f64> = rest.split_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    let [user, system, children_user, children_system] = fields.as_slice() else { anyhow::bail!("a strange stat") };
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let cost = |ticks_spent: f64| Cost { cpu_s: ticks_spent / ticks };
    Ok(Stat { own: cost(user + system), children: cost(children_user + children_system) })
}

pub struct Memory {
    pub rss_mib: u64,
    pub rss_mib_max: u64,
}

/// Resident memory of this process, now and at most.
pub fn memory() -> Memory {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.unwrap_or(0) / 1024
    };
    Memory { rss_mib: mib("VmRSS:"), rss_mib_max: mib("VmHWM:") }
}

/// How busy the machine is: figures of a shared one say less.
pub fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
