//! The figures as a table for people and as JSON for scripts.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::peers::PeerFigures;
use super::{Polls, Window, Windows};

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
    pub(super) windows: Windows,
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
        let windows = self.windows.healthy.iter().chain(&self.windows.beside_hung);
        let all = [&self.cold.polls, &self.warm.polls].into_iter().chain(windows);
        all.chain(self.fleet.as_ref().map(|(window, _)| &window.polls)).map(|polls| polls.failed).sum()
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
            "p99_ms": {
                "all_healthy": self.windows.healthy.iter().map(p99).collect::<Vec<_>>(),
                "ten_percent_hang": self.windows.beside_hung.iter().map(p99).collect::<Vec<_>>(),
            },
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
        let load = self.load.trim();
        let title = format!(
            "{} simulated BMCs x {} sensors, suite 17, {build}; load of the machine {load}\n",
            self.bmcs, self.sensors
        );
        let rows = [self.rows_of_sweeps(), self.rows_of_hung(), self.rows_of_fleet(), self.rows_of_peers()];
        rows.into_iter().flatten().fold(title, |mut text, [what, figure, goal]| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {what:<58} | {figure:>10} | {goal:<20} |");
            text
        })
    }

    fn rows_of_sweeps(&self) -> Vec<Row> {
        let Window { polls, cpu_s, simulators_cpu_s, .. } = &self.warm;
        let (sweep_s, count) = (polls.wall.as_secs_f64() / self.sweeps(), polls.count as f64);
        let rate = judged(self.bmcs_per_s() >= BMCS_PER_S, "1,000");
        vec![
            row("sensor readings per CPU-second", format!("{:.0}", self.sensors_per_cpu_s())),
            with_goal("BMCs per second", format!("{:.0}", self.bmcs_per_s()), rate),
            row("wall of a warm sweep, s", format!("{sweep_s:.2}")),
            row("wall of the first sweep (login, records), s", format!("{:.2}", self.cold.polls.wall.as_secs_f64())),
            row("CPU of a warm poll, ms", format!("{:.3}", cpu_s * 1000.0 / count)),
            row("CPU of the simulators a poll, ms", format!("{:.3}", simulators_cpu_s * 1000.0 / count)),
        ]
    }

    fn rows_of_hung(&self) -> Vec<Row> {
        let figure = |windows: &[Polls], percent| {
            let mut sorted: Vec<Duration> = windows.iter().map(|polls| polls.percentile(percent)).collect();
            sorted.sort();
            sorted.get(sorted.len() / 2).copied().unwrap_or_default()
        };
        let (healthy, hung) = (&self.windows.healthy, &self.windows.beside_hung);
        let (base, p99) = (figure(healthy, 99.0), figure(hung, 99.0));
        let goal = judged(p99 <= base + P99_SLACK, "not moved");
        let both = |percent| format!("{:.1}", ms(figure(hung, percent)));
        vec![
            row("p50 of a poll, all healthy, ms", format!("{:.1}", ms(figure(healthy, 50.0)))),
            row("p50 of the healthy 90% while 10% hang, ms", both(50.0)),
            row("p99 of a poll, all healthy, ms", format!("{:.1}", ms(base))),
            with_goal("p99 of the healthy 90% while 10% hang, ms", both(99.0), goal),
        ]
    }

    fn rows_of_fleet(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        if let (Some((window, bytes)), Some(cores)) = (&self.fleet, self.fleet_cores()) {
            let what = format!("{} BMCs every {:.0} s", self.fleet_bmcs, window.polls.wall.as_secs_f64());
            let (goal, p99) = (judged(cores < FLEET_CORES, "< 0.5"), ms(window.polls.percentile(99.0)));
            rows.push(with_goal(&format!("{what}, cores"), format!("{cores:.3}"), goal));
            let goal = judged(mb(*bytes) < FLEET_MB, "< 300");
            rows.push(with_goal(&format!("{what}, MB"), format!("{:.0}", mb(*bytes)), goal));
            rows.push(row(&format!("{what}, p99, ms"), format!("{p99:.1}")));
        }
        rows.push(row("memory of the whole process, MB", format!("{:.0}", mb(self.resident))));
        rows.push(with_goal("polls that failed", self.failed().to_string(), judged(self.failed() == 0, "0")));
        rows
    }

    fn rows_of_peers(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for peer in &self.peers {
            let (name, figure) = (peer.name, format!("{:.0}", peer.sensors_per_cpu_s()));
            rows.push(row(&format!("{name}: CPU of a sweep, ms"), format!("{:.1}", peer.cpu_ms_per_sweep)));
            rows.push(row(&format!("{name}: sensor readings per CPU-second"), figure));
        }
        if let Some(ratio) = self.over_freeipmi() {
            let goal = judged(ratio >= SENSORS_PER_CPU_S_OVER_FREEIPMI, "50");
            rows.push(with_goal("readings per CPU-second, Stentor ÷ FreeIPMI", format!("{ratio:.0}"), goal));
        }
        rows
    }
}

/// What, figure, goal.
type Row = [String; 3];

fn row(what: &str, figure: String) -> Row {
    [what.to_owned(), figure, String::new()]
}

fn with_goal(what: &str, figure: String, goal: String) -> Row {
    [what.to_owned(), figure, goal]
}

fn judged(is_reached: bool, goal: &str) -> String {
    format!("{goal}: {}", if is_reached { "reached" } else { "MISSED" })
}
