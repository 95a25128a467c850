//! `stentor bench classify`: what one change costs the classifier in a large installation, beside starting from nothing,
//! and how long many failures at once take to become one cause.
//!
//! One cloud of Eucalyptus: zones of fifty hosts behind a switch each, every host seen from outside and inside, twenty
//! signals a host. Before every figure is told, the answer of the classifier that remembers is compared with that of the
//! one that starts from nothing.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;
use stentor_core::diagnosis::{Class, Classifier, Signal, Timing, Topology, diagnose};
use stentor_core::model::Value;
use stentor_core::{Span, Timestamp};

/// Any instant will do.
const START: Timestamp = Timestamp::from_secs(1_795_000_000);
const SIGNALS_PER_HOST: usize = 20;
const HOSTS_PER_ZONE: usize = 50;
/// Signals of a silent host that fail: ping, SSH, agent, port, controller.
const FAILING_PER_HOST: usize = 5;
const CHANGE_MAX: Duration = Duration::from_millis(1);
const FAILURES_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub struct ClassifyArgs {
    /// Signals in the installation
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2_000..=10_000_000))]
    pub signals: u32,
    /// Single changes that are measured
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub changes: u32,
    /// Components that are down all the while
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=500))]
    pub standing: u32,
    /// Signals that fail at once, all of hosts behind one switch
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(500..=1_000_000))]
    pub failures: u32,
}

/// Exit status 1 if a change took longer than a millisecond at the median, or all failures longer than a second.
///
/// # Errors
/// The two classifiers disagree, many failures are not one cause, or standard output is closed.
pub fn run(args: &ClassifyArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut site = Site::new(args.signals as usize / SIGNALS_PER_HOST, args.failures as usize / FAILING_PER_HOST);
    for i in 0..args.standing as usize {
        // In hosts that nothing else touches.
        site.crash(site.node(i, 10 + i / 50), true);
    }
    site.answer(0);
    let full = median(&(0..5).map(|i| site.anew(i)).collect::<anyhow::Result<Vec<_>>>()?);
    let idle = median(&(10..60).map(|i| site.timed(i, |_| {})).collect::<Vec<_>>());

    let mut changes = Vec::with_capacity(args.changes as usize);
    for i in 0..args.changes as usize {
        let host = site.node(i / 2, 30 + i % 20 / 2);
        changes.push(site.timed(60_000 + i as i64, |site| site.crash(host, i % 2 == 0)));
    }
    site.agree(60_000 + i64::from(args.changes))?;
    changes.sort_unstable();
    let change = median(&changes);

    let behind = site.behind.clone();
    let failures = site.timed(200_000, |site| behind.iter().for_each(|host| site.fall_silent(*host)));
    let verdicts = site.agree(200_000)?;
    ensure!(verdicts == 1 + args.standing as usize, "{verdicts} verdicts of one switch and the standing failures");
    let is_good = change <= CHANGE_MAX && failures <= FAILURES_MAX;
    let micros = |length: Duration| length.as_nanos() as f64 / 1e3;
    let at = |share: f64| micros(changes[((changes.len() - 1) as f64 * share) as usize]);
    let answer = json!({
        "bench": "classify",
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "signals": site.count,
        "hosts": site.hosts.len(),
        "standing": args.standing,
        "full_ms": micros(full) / 1e3,
        "idle_us": micros(idle),
        "changes": args.changes,
        "change_us": { "median": micros(change), "p99": at(0.99), "max": at(1.0) },
        "full_by_change": micros(full) / micros(change),
        "failures": behind.len() * FAILING_PER_HOST,
        "failures_ms": micros(failures) / 1e3,
        "failures_verdicts": verdicts - args.standing as usize,
        "goal": { "change_us": micros(CHANGE_MAX), "failures_ms": micros(FAILURES_MAX) / 1e3 },
    });
    writeln!(out, "{answer}").context("cannot write the answer")?;
    Ok(u8::from(!is_good))
}

fn median(lengths: &[Duration]) -> Duration {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

struct Site {
    topology: Topology,
    classifier: Classifier,
    hosts: Vec<(Arc<str>, Arc<str>)>,
    /// Hosts behind the one switch that will fail.
    behind: Vec<usize>,
    /// What is said at present: one source a signal.
    said: Vec<Signal>,
    count: usize,
    timing: Timing,
}

impl Site {
    fn new(hosts: usize, behind: usize) -> Site {
        let mut topology = Topology {
            platform: "eucalyptus".to_owned(),
            jvm: ["clc", "ufs", "sc", "walrus", "vb"].map(Into::into).into(),
            min_nc: Some(1),
            ..Topology::default()
        };
        let mut names: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for i in 0..hosts {
            let (zone, place) = (i / HOSTS_PER_ZONE, i % HOSTS_PER_ZONE);
            let key: Arc<str> = match (i, place) {
                (0, _) => "clc",
                (1, _) => "walrus",
                (2 | 3, _) => "ufs",
                (_, 4) => "cc",
                (_, 5) => "sc",
                _ => "nc",
            }
            .into();
            let host: Arc<str> = format!("host{i:05}").into();
            if i > 3 {
                topology.zones.entry(format!("zone{zone:04}").into()).or_default().push(Arc::clone(&host));
            }
            topology.hosts.insert(Arc::clone(&host), vec![Arc::clone(&key)]);
            names.push((host, key));
        }
        // The last ones, so that the changes before happen elsewhere.
        let behind: Vec<usize> = (hosts.saturating_sub(behind).max(hosts / 2)..hosts).collect();
        let of_switch = behind.iter().map(|host| Arc::clone(&names[*host].0)).collect();
        topology.switches.insert("core-switch".into(), "single".to_owned());
        topology.single_homed.insert("core-switch".into(), of_switch);
        let classifier = Classifier::new(&topology);
        let mut site =
            Site { topology, classifier, hosts: names, behind, said: Vec::new(), count: 0, timing: Timing::default() };
        for host in 0..hosts {
            for signal in healthy(&site.hosts[host].0, &site.hosts[host].1) {
                site.classifier.say(site.said.len() as u64, signal.host.as_ref(), [signal.clone()]);
                site.said.push(signal);
            }
        }
        site.count = site.said.len();
        site
    }

    /// A host with a node controller, in a zone of the first half.
    fn node(&self, zone: usize, place: usize) -> usize {
        let zones = (self.hosts.len() / 2 / HOSTS_PER_ZONE).max(1);
        zone % zones * HOSTS_PER_ZONE + place % HOSTS_PER_ZONE
    }

    fn say(&mut self, host: usize, sig: &str, value: &str, at: Timestamp) {
        let first = host * SIGNALS_PER_HOST;
        let Some(offset) = self.said[first..first + SIGNALS_PER_HOST].iter().position(|signal| &*signal.sig == sig)
        else {
            return;
        };
        let signal = &mut self.said[first + offset];
        (signal.value, signal.observed_at, signal.changed_at) = (Value::from(value), at, at);
        self.classifier.say((first + offset) as u64, signal.host.as_ref(), [signal.clone()]);
    }

    fn crash(&mut self, host: usize, down: bool) {
        let now = START;
        for (sig, well, bad) in [("port", "open", "refused"), ("process", "running", "absent")] {
            self.say(host, sig, if down { bad } else { well }, now);
        }
    }

    fn fall_silent(&mut self, host: usize) {
        let now = START;
        for (sig, value) in [
            ("ping", "fail"),
            ("ssh", "timeout"),
            ("agent", "stale"),
            ("port", "timeout"),
            ("service_state", "NOTREADY"),
        ] {
            self.say(host, sig, value, now);
        }
        let first = host * SIGNALS_PER_HOST;
        // The host tells nothing of itself any more.
        for i in first..first + SIGNALS_PER_HOST {
            if &*self.said[i].sig == "uptime_s" {
                self.said[i].value = Value::Null;
                let signal = &self.said[i];
                self.classifier.say(i as u64, signal.host.as_ref(), [signal.clone()]);
            }
        }
    }

    /// A moment of the benchmark, all of them well before anything grows old.
    fn moment(millis: i64) -> Timestamp {
        START + Span::from_millis(1_000 + millis / 100)
    }

    fn answer(&mut self, millis: i64) -> usize {
        self.classifier.diagnose(Self::moment(millis), &self.timing).verdicts.len()
    }

    fn timed(&mut self, millis: i64, change: impl FnOnce(&mut Site)) -> Duration {
        let began = Instant::now();
        change(self);
        self.answer(millis);
        began.elapsed()
    }

    /// How long the answer takes from nothing; it must be the same.
    fn anew(&mut self, millis: i64) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let full = diagnose(&self.topology, &self.said, Self::moment(millis), &self.timing);
        let spent = began.elapsed();
        let quick = self.classifier.diagnose(Self::moment(millis), &self.timing);
        ensure!(full == quick, "who remembers says something else than who starts from nothing");
        Ok(spent)
    }

    /// The number of causes, told alike by both; starting components are none.
    fn agree(&mut self, millis: i64) -> anyhow::Result<usize> {
        self.anew(millis)?;
        let answer = self.classifier.diagnose(Self::moment(millis), &self.timing);
        Ok(answer.verdicts.iter().filter(|verdict| verdict.class != Class::Starting).count())
    }
}

/// The twenty signals of a host that is well.
fn healthy(host: &Arc<str>, key: &Arc<str>) -> Vec<Signal> {
    let well = |part: Option<&Arc<str>>, sig: &str, every: i64, value: serde_json::Value| Signal {
        host: Some(Arc::clone(host)),
        component: part.cloned(),
        sig: sig.into(),
        value: serde_json::from_value(value).unwrap_or(Value::Null),
        vantage: None,
        observed_at: START,
        changed_at: START - Span::from_hours(200),
        every: Span::from_secs(every),
    };
    let resource = |kind: &str| json!({"kind": kind, "level": "ok", "detail": "well", "name": kind});
    let (own, of) = (|sig: &str, every, value| well(None, sig, every, value), Some(key));
    vec![
        own("ping", 60, json!("ok")),
        own("ssh", 60, json!("open")),
        own("agent", 60, json!("ok")),
        own("uptime_s", 60, json!(720_000)),
        own("bmc", 60, json!("ok")),
        own("power", 60, json!("on")),
        own("psu", 60, json!({"id": "PS1", "offsets": [0]})),
        own("psu", 60, json!({"id": "PS2", "offsets": [0]})),
        own("raid", 300, json!({"vd": "0/0", "level": "RAID1", "state": "Optl", "pd_failed": []})),
        own("bond", 60, json!({"name": "bond0", "slaves": 2, "up": 2, "down": [], "ports": 2})),
        own("link", 60, json!({"core-switch": "up"})),
        own("path", 60, json!({"map": "mpatha", "active": 4, "total": 4, "controllers_active": 2})),
        own("temp", 60, json!({"id": "Inlet", "offsets": []})),
        own("fan", 60, json!({"id": "FAN1", "offsets": []})),
        own("mem", 300, json!({"id": "DIMM_A1", "offsets": []})),
        own("smart", 300, json!({"id": "sda", "passed": true})),
        well(of, "port", 60, json!("open")),
        well(of, "process", 60, json!("running")),
        well(of, "service_state", 60, json!("ENABLED")),
        well(of, "resource", 60, resource("disk")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_classifiers_agree_and_a_dead_switch_is_one_cause() {
        let args = ClassifyArgs { signals: 6_000, changes: 40, standing: 3, failures: 500 };
        let mut out = Vec::new();
        let status = run(&args, &mut out).expect("both agree");
        let answer: serde_json::Value = serde_json::from_slice(&out).expect("one JSON object");
        assert_eq!(
            (&answer["failures_verdicts"], &answer["failures"], &answer["hosts"]),
            (&json!(1), &json!(500), &json!(300))
        );
        assert!(answer["full_by_change"].as_f64().is_some_and(|ratio| ratio > 1.0), "{answer}");
        assert!(status <= 1);
    }
}
