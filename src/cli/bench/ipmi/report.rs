//! The figures as a table for people and as JSON for scripts.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::peers::PeerFigures;
use super::{Polls, Window};

/// Goals, with what they are about.
const SENSORS_PER_CPU_S_OVER_FREEIPMI: f64 = 50.0;
const BMCS_PER_S: f64 = 1000.0;
const FLEET_CORES: f64 = 0.5;
const FLEET_MB: f64 = 300.0;
/// How much hung controllers may add to the others' p99 and still "not move" it: what a busy machine does by itself.
const P99_SLACK: Duration = Duration::from_millis(50);

pub struct Report {
    pub bmcs: usize,
    pub sensors: usize,
    pub(super) cold: Window,
    pub(super) warm: Window,
    pub(super) healthy: Polls,
    pub(super) beside_hung: Polls,
    pub(super) beside_dead: Polls,
    /// With the bytes of memory it added.
    pub(super) fleet: Option<(Window, u64)>,
    pub fleet_bmcs: usize,
    pub resident: u64,
    pub peers: Vec<PeerFigures>,
    pub load: String,
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

impl Report {
    fn sensors_per_cpu_s(&self) -> f64 {
        self.warm.polls.sensors as f64 / self.warm.cpu_s
    }

    fn bmcs_per_s(&self) -> f64 {
        self.warm.polls.count as f64 / self.warm.polls.wall.as_secs_f64()
    }

    fn sweeps(&self) -> f64 {
        self.warm.polls.count as f64 / self.bmcs as f64
    }

    /// How many times as many readings a CPU-second gives as with FreeIPMI.
    fn over_freeipmi(&self) -> Option<f64> {
        let peer = self.peers.iter().find(|peer| peer.name == "ipmi-sensors")?;
        Some(self.sensors_per_cpu_s() / peer.sensors_per_cpu_s())
    }

    fn fleet_cores(&self) -> Option<f64> {
        self.fleet.as_ref().map(|(window, _)| window.cpu_s / window.wall.as_secs_f64())
    }

    fn failed(&self) -> usize {
        let polls = [&self.cold.polls, &self.warm.polls, &self.healthy, &self.beside_hung, &self.beside_dead];
        let fleet = self.fleet.as_ref().map_or(0, |(window, _)| window.polls.failed);
        polls.iter().map(|polls| polls.failed).sum::<usize>() + fleet
    }

    pub fn json(&self) -> serde_json::Value {
        let peers = self.peers.iter().map(|peer| {
            json!({
                "name": peer.name,
                "command": peer.command,
                "sensors": peer.sensors,
                "cpu_ms_per_sweep": peer.cpu_ms_per_sweep,
                "wall_ms_per_sweep": peer.wall_ms_per_sweep,
                "sensors_per_cpu_s": peer.sensors_per_cpu_s(),
            })
        });
        let p99 = |polls: &Polls| ms(polls.percentile(99.0));
        json!({
            "bench": "ipmi",
            "build": if cfg!(debug_assertions) { "debug" } else { "release" },
            "bmcs": self.bmcs,
            "sensors_each": self.sensors,
            "cold_sweep_s": self.cold.polls.wall.as_secs_f64(),
            "cold_cpu_ms_per_bmc": self.cold.cpu_s * 1000.0 / self.bmcs as f64,
            "warm_sweeps": self.sweeps(),
            "warm_sweep_s": self.warm.polls.wall.as_secs_f64() / self.sweeps(),
            "bmcs_per_s": self.bmcs_per_s(),
            "cpu_ms_per_bmc": self.warm.cpu_s * 1000.0 / self.warm.polls.count as f64,
            "simulators_cpu_ms_per_bmc": self.warm.simulators_cpu_s * 1000.0 / self.warm.polls.count as f64,
            "sensors_per_cpu_s": self.sensors_per_cpu_s(),
            "over_freeipmi": self.over_freeipmi(),
            "p99_ms": { "all_healthy": p99(&self.healthy), "ten_percent_hang": p99(&self.beside_hung),
                "ten_percent_given_up": p99(&self.beside_dead) },
            "fleet": self.fleet.as_ref().map(|(window, bytes)| json!({
                "bmcs": self.fleet_bmcs,
                "seconds": window.wall.as_secs_f64(),
                "cores": self.fleet_cores(),
                "mb": mb(*bytes),
                "p99_ms": p99(&window.polls),
            })),
            "resident_mb": mb(self.resident),
            "failed": self.failed(),
            "peers": peers.collect::<Vec<_>>(),
            "load": self.load.trim(),
            "goal": { "over_freeipmi": SENSORS_PER_CPU_S_OVER_FREEIPMI, "bmcs_per_s": BMCS_PER_S,
                "fleet_cores": FLEET_CORES, "fleet_mb": FLEET_MB },
        })
    }

    pub fn table(&self) -> String {
        let build = if cfg!(debug_assertions) { "debug build, not for comparison" } else { "release" };
        let mut rows: Vec<[String; 3]> = vec![
            row("sensor readings per CPU-second", format!("{:.0}", self.sensors_per_cpu_s()), String::new()),
            row(
                "BMCs per second",
                format!("{:.0}", self.bmcs_per_s()),
                judged(self.bmcs_per_s() >= BMCS_PER_S, "1,000"),
            ),
            row(
                "wall of a warm sweep, s",
                format!("{:.2}", self.warm.polls.wall.as_secs_f64() / self.sweeps()),
                "".into(),
            ),
            row(
                "wall of the first sweep (login, records), s",
                format!("{:.2}", self.cold.polls.wall.as_secs_f64()),
                "".into(),
            ),
            row(
                "CPU of a warm poll, ms",
                format!("{:.3}", self.warm.cpu_s * 1000.0 / self.warm.polls.count as f64),
                "".into(),
            ),
            row(
                "CPU of the simulators a poll, ms",
                format!("{:.3}", self.warm.simulators_cpu_s * 1000.0 / self.warm.polls.count as f64),
                "".into(),
            ),
        ];
        let base = self.healthy.percentile(99.0);
        rows.push(row("p99 of a poll, all healthy, ms", format!("{:.1}", ms(base)), String::new()));
        for (what, polls) in [("10% begin to hang", &self.beside_hung), ("10% have been hanging", &self.beside_dead)] {
            let p99 = polls.percentile(99.0);
            let goal = judged(p99 <= base + P99_SLACK, "not moved");
            rows.push(row(&format!("p99 of the healthy 90%, {what}, ms"), format!("{:.1}", ms(p99)), goal));
        }
        if let (Some((window, bytes)), Some(cores)) = (&self.fleet, self.fleet_cores()) {
            let what = format!("{} BMCs every {:.0} s", self.fleet_bmcs, window.polls.wall.as_secs_f64());
            rows.push(row(&format!("{what}, cores"), format!("{cores:.3}"), judged(cores < FLEET_CORES, "< 0.5")));
            let is_good = mb(*bytes) < FLEET_MB;
            rows.push(row(&format!("{what}, MB"), format!("{:.0}", mb(*bytes)), judged(is_good, "< 300")));
            let p99 = ms(window.polls.percentile(99.0));
            rows.push(row(&format!("{what}, p99, ms"), format!("{p99:.1}"), String::new()));
        }
        rows.push(row("memory of the whole process, MB", format!("{:.0}", mb(self.resident)), String::new()));
        rows.push(row("polls that failed", self.failed().to_string(), judged(self.failed() == 0, "0")));
        for peer in &self.peers {
            rows.push(row(
                &format!("{}: CPU of a sweep, ms", peer.name),
                format!("{:.1}", peer.cpu_ms_per_sweep),
                "".into(),
            ));
            let figure = format!("{:.0}", peer.sensors_per_cpu_s());
            rows.push(row(&format!("{}: sensor readings per CPU-second", peer.name), figure, String::new()));
        }
        if let Some(ratio) = self.over_freeipmi() {
            let goal = judged(ratio >= SENSORS_PER_CPU_S_OVER_FREEIPMI, "50");
            rows.push(row("readings per CPU-second, Stentor ÷ FreeIPMI", format!("{ratio:.0}"), goal));
        }
        let title = format!(
            "{} simulated BMCs x {} sensors, suite 17, {build}; load of the machine {}\n",
            self.bmcs,
            self.sensors,
            self.load.trim()
        );
        rows.iter().fold(title, |mut text, [what, figure, goal]| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {what:<58} | {figure:>10} | {goal:<20} |");
            text
        })
    }
}

fn row(what: &str, figure: String, goal: String) -> [String; 3] {
    [what.to_owned(), figure, goal]
}

fn judged(is_reached: bool, goal: &str) -> String {
    format!("{goal}: {}", if is_reached { "reached" } else { "MISSED" })
}
