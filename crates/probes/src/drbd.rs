//! `drbd`: replicated disks by /proc/drbd (8.x) and `drbdsetup status` (9.x): roles, connection, disks on both ends,
//! resync and whether it moves, split brain by the kernel log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use stentor_core::Timestamp;
use stentor_core::model::{Observation, Value};
use stentor_wire::drbd::events::{Happening, Kind, Reader};
use stentor_wire::drbd::{Finding, Replica, parse_json, parse_proc, parse_text, split_brain_line};

use super::follow::Follower;
use super::look::{Lane, look};
use super::tool::{Tool, missing, refusal};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};
use crate::clock::Clock;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Resources that must exist.
    pub resources: Vec<String>,
    /// Names of minors where no tool tells them: `{ "0" = "r0" }`.
    pub names: BTreeMap<String, String>,
    /// Two primaries are wanted (a cluster file system on top).
    pub dual_primary: bool,
    /// A resync that has not moved for so long is stalled.
    pub stalled_s: f64,
    /// Follow `drbdsetup events2`, so that what happens between two looks is seen.
    pub events: bool,
    /// For so long what happened is told.
    pub remember_s: f64,
    /// Replaces `drbdsetup`, with `sudo -n` before it for instance.
    pub command: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            resources: Vec::new(),
            names: BTreeMap::new(),
            dual_primary: false,
            stalled_s: 120.0,
            events: true,
            remember_s: 3600.0,
            command: Vec::new(),
        }
    }
}

/// A replica from run to run: resource, volume, peer.
type Key = (String, u32, String);

/// What is remembered of a replica.
#[derive(Clone, Debug, Default)]
struct Before {
    /// Least out of sync in this resync, and when that was first seen.
    least_kib: Option<(u64, Timestamp)>,
    /// Where this resync was first seen.
    begun: Option<(u64, Timestamp)>,
    /// The kernel's line; it may scroll out of the log before anybody repairs it.
    split_brain: Option<String>,
}

pub struct Drbd {
    view: Arc<dyn HostView>,
    clock: Clock,
    config: Config,
    tool: Tool,
    dmesg: Tool,
    before: Mutex<BTreeMap<Key, Before>>,
    events: Follower,
    past: Mutex<Past>,
}

/// What happened between looks.
#[derive(Debug, Default)]
struct Past {
    reader: Reader,
    happened: Vec<(Timestamp, Happening)>,
}

/// Kept of what happened; more in an hour says no more.
const HAPPENINGS_MAX: usize = 200;
/// Told one by one.
const HAPPENINGS_TOLD_MAX: usize = 20;

/// One replica with what was made of it.
#[derive(Debug)]
struct Judged {
    replica: Replica,
    finding: Finding,
    left_s: Option<f64>,
    split_brain: Option<String>,
}

impl Probe for Drbd {
    const KIND: &'static str = "drbd";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/drbd.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if !(config.stalled_s >= 1.0 && config.stalled_s.is_finite()) {
            return Err(BuildError { message: "`stalled_s` is at least one second".into() });
        }
        if !(config.remember_s >= 0.0 && config.remember_s.is_finite()) {
            return Err(BuildError { message: "`remember_s` is a number of seconds".into() });
        }
        let tool = Tool::new(&["drbdsetup"], &config.command)?;
        Ok(Drbd {
            view: Arc::clone(&env.view),
            clock: env.clock.clone(),
            events: Follower::new(tool.clone(), &["events2"]),
            tool,
            past: Mutex::default(),
            dmesg: Tool::new(&["dmesg"], &[])?,
            config,
            before: Mutex::default(),
        })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let replicas = self.replicas(deadline).await?;
        let (happened, new) = if replicas.is_empty() || !self.config.events { (Vec::new(), 0) } else { self.hear() };
        let fresh = happened.get(happened.len().saturating_sub(new)..).unwrap_or_default();
        let is_alone = |replica: &Replica| replica.connection == "StandAlone";
        let log = if replicas.iter().any(is_alone) { self.log(deadline).await } else { None };
        let blind = replicas.iter().any(is_alone) && log.is_none();
        let judged = self.judge(replicas, log.as_deref(), fresh);
        Ok(with_past(observe(&judged, &self.config.resources, blind), &judged, &happened))
    }
}

impl Drbd {
    async fn replicas(&self, deadline: Deadline) -> Result<Vec<Replica>, ProbeError> {
        let text = look(&self.view, Lane::Kernel, deadline, |view| match view.read("/proc/drbd") {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await?;
        // Without the module there is no such file, and no replica.
        let Some(text) = text else { return Ok(Vec::new()) };
        let told = parse_proc(&text);
        if told.tells_devices() {
            let mut replicas = told.replicas;
            if !replicas.is_empty() {
                self.name(&mut replicas, deadline).await;
            }
            return Ok(replicas);
        }
        self.status(deadline).await
    }

    /// Names for minors: from the configuration, else from the tool, else `drbd0`.
    async fn name(&self, replicas: &mut [Replica], deadline: Deadline) {
        let configured = |minor: u32| self.config.names.get(&minor.to_string()).cloned();
        let mut named: BTreeMap<u32, (String, u32)> = BTreeMap::new();
        if replicas.iter().any(|replica| replica.minor.and_then(configured).is_none()) {
            // The names are all that is wanted: without them the state of the devices is still told.
            let run = self.tool.run(&self.view, &["status", "--verbose", "--statistics"], deadline).await;
            if let Ok(Some(run)) = run {
                let known = parse_text(&run.stdout).into_iter();
                named = known.filter_map(|r| Some((r.minor?, (r.resource, r.volume)))).collect();
            }
        }
        for replica in replicas {
            let minor = replica.minor.unwrap_or_default();
            let told = named.remove(&minor);
            replica.volume = told.as_ref().map_or(0, |(_, volume)| *volume);
            let told = configured(minor).or(told.map(|(name, _)| name));
            replica.resource = told.unwrap_or_else(|| format!("drbd{minor}"));
        }
    }

    async fn status(&self, deadline: Deadline) -> Result<Vec<Replica>, ProbeError> {
        let wanted = "DRBD 9 tells its state only through drbdsetup, package drbd-utils";
        let run = self.tool.run(&self.view, &["status", "--json"], deadline).await?;
        let run = run.ok_or_else(|| missing(&self.tool, wanted))?;
        let refused = match parse_json(&run.stdout) {
            Ok(replicas) if run.code == Some(0) => return Ok(replicas),
            Ok(_) => "it failed".to_owned(),
            Err(error) => error.to_string(),
        };
        // Before 9.0.1 the tool had no JSON.
        let run_text = self.tool.run(&self.view, &["status", "--verbose", "--statistics"], deadline).await?;
        match run_text.filter(|run| run.code == Some(0)) {
            Some(text) => Ok(parse_text(&text.stdout)),
            None => Err(refusal(&self.tool, &run, &refused)),
        }
    }

    /// What happened within the time that is remembered, oldest first, and how much of it since the last look.
    fn hear(&self) -> (Vec<Happening>, usize) {
        let now = self.clock.now();
        let heard = self.events.hear(&self.view);
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.is_new {
            past.reader.restart();
        }
        let told = past.reader.feed(&heard.text);
        let new = told.len();
        past.happened.extend(told.into_iter().map(|one| (now, one)));
        let remembered = |at: &Timestamp| now.since(*at).as_secs_f64() <= self.config.remember_s;
        past.happened.retain(|(at, _)| remembered(at));
        let surplus = past.happened.len().saturating_sub(HAPPENINGS_MAX);
        past.happened.drain(..surplus);
        (past.happened.iter().map(|(_, one)| one.clone()).collect(), new)
    }

    async fn log(&self, deadline: Deadline) -> Option<String> {
        let run = self.dmesg.run(&self.view, &[], deadline).await.ok()??;
        (run.code == Some(0)).then_some(run.stdout)
    }

    /// Judges each by itself, by the log, by what happened since the last look, and by what earlier runs saw.
    fn judge(&self, replicas: Vec<Replica>, log: Option<&str>, fresh: &[Happening]) -> Vec<Judged> {
        let now = self.clock.now();
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let mut after = BTreeMap::new();
        let mut judged = Vec::new();
        for replica in replicas {
            let key = (replica.resource.clone(), replica.volume, replica.peer.clone());
            let mut memory = before.remove(&key).unwrap_or_default();
            let mut finding = replica.finding(self.config.dual_primary);
            let resync = replica.resync.unwrap_or_default();
            let mut left_s = resync.left_s;
            if replica.is_syncing() {
                let seen = replica.out_of_sync_kib.and_then(|kib| memory.progress(kib, now));
                left_s = left_s.or(seen.and_then(|progress| progress.left_s));
                let still_s = seen.map_or(0.0, |progress| progress.still_s);
                if finding == Finding::Resync && still_s >= self.config.stalled_s {
                    finding = Finding::ResyncStalled;
                }
            } else {
                (memory.least_kib, memory.begun) = (None, None);
            }
            if replica.connection == "StandAlone" {
                let line = log.and_then(|log| split_brain_line(log, &replica.resource, replica.minor));
                memory.split_brain =
                    line.map(str::to_owned).or(memory.split_brain).or_else(|| called(fresh, &replica.resource));
            } else {
                memory.split_brain = None;
            }
            if memory.split_brain.is_some() {
                finding = finding.max(Finding::SplitBrain);
            }
            let split_brain = memory.split_brain.clone();
            after.insert(key, memory);
            judged.push(Judged { replica, finding, left_s, split_brain });
        }
        *before = after;
        judged
    }
}

/// The kernel called its helper because of a split brain that it could not solve: told also where its log may not be read.
fn called(fresh: &[Happening], resource: &str) -> Option<String> {
    let meant = |one: &&Happening| one.kind == Kind::SplitBrain && one.resource == resource && one.to == "split-brain";
    fresh.iter().find(meant).map(|one| format!("drbdsetup events2: the kernel called its helper {}", one.to))
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    /// For so long nothing came closer.
    still_s: f64,
    left_s: Option<f64>,
}

impl Before {
    fn progress(&mut self, kib: u64, now: Timestamp) -> Option<Progress> {
        let (begun_kib, begun) = *self.begun.get_or_insert((kib, now));
        let moved = self.least_kib.is_none_or(|(least, _)| kib < least);
        if moved {
            self.least_kib = Some((kib, now));
        }
        let (_, since) = self.least_kib?;
        let still_s = now.since(since).as_secs_f64().max(0.0);
        let took_s = now.since(begun).as_secs_f64();
        let done = begun_kib.saturating_sub(kib) as f64;
        let left_s = (done > 0.0 && took_s > 0.0).then(|| (kib as f64 * took_s / done).round());
        Some(Progress { still_s, left_s })
    }
}

impl Judged {
    fn line(&self) -> String {
        let replica = &self.replica;
        let peer = if replica.peer.is_empty() { String::new() } else { format!(" to {}", replica.peer) };
        let mut line = format!(
            "{}/{}{peer}: {} {} {}",
            replica.resource,
            replica.volume,
            replica.connection,
            replica.roles(),
            replica.disks()
        );
        let resync = replica.resync.unwrap_or_default();
        if let Some(pct) = resync.done_pct {
            line.push_str(&format!(", {pct} % in sync"));
        }
        if let Some(left_s) = self.left_s {
            line.push_str(&format!(", about {} min left", (left_s / 60.0).ceil()));
        }
        if let Some(kib) = replica.out_of_sync_kib.filter(|kib| *kib > 0) {
            line.push_str(&format!(", {kib} KiB out of sync"));
        }
        if self.finding != Finding::Ok {
            line.push_str(&format!(" ({})", self.finding.word().replace('_', " ")));
        }
        line
    }

    /// The value of the signal `drbd`.
    fn value(&self) -> Value {
        let replica = &self.replica;
        [
            ("res", replica.resource.clone()),
            ("cs", replica.connection.clone()),
            ("ro", replica.roles()),
            ("ds", replica.disks()),
        ]
        .into_iter()
        .collect()
    }
}

impl Judged {
    /// The value of the signal `split_brain`, also where there is none: silence would leave the last word standing.
    fn split(&self) -> Value {
        let mut pairs: Vec<(&str, Value)> =
            vec![("res", self.replica.resource.as_str().into()), ("found", Value::Bool(self.split_brain.is_some()))];
        if let Some(line) = &self.split_brain {
            pairs.push(("line", line.as_str().into()));
        }
        pairs.into_iter().collect()
    }
}

fn observe(judged: &[Judged], wanted: &[String], blind: bool) -> Observation {
    let mut worst: BTreeMap<&str, &Judged> = BTreeMap::new();
    for one in judged {
        let entry = worst.entry(&one.replica.resource).or_insert(one);
        if one.finding > entry.finding {
            *entry = one;
        }
    }
    let absent: Vec<String> = wanted.iter().filter(|name| !worst.contains_key(name.as_str())).cloned().collect();
    let top = worst.values().copied().reduce(|a, b| if b.finding > a.finding { b } else { a });
    let mut headline = match top {
        Some(top) => top.line(),
        None => "this host has no DRBD resource".to_owned(),
    };
    if !absent.is_empty() {
        headline = format!("not up: {}; {headline}", absent.join(", "));
    }
    let mut long: Vec<String> = judged.iter().map(Judged::line).collect();
    if blind {
        long.push("the kernel log cannot be read: whether this is a split brain is not known".to_owned());
    }
    let with = |finding: Finding| -> Vec<String> {
        let meant = worst.values().filter(|one| one.finding == finding);
        meant.map(|one| one.replica.resource.clone()).collect()
    };
    let mut seen = Observation::observed(headline)
        .long(long.join("\n"))
        .fact("resources", worst.len())
        .fact("missing", absent)
        .fact("finding", top.map_or("ok", |top| top.finding.word()))
        .fact("split_brain", with(Finding::SplitBrain))
        .fact("split", Value::List(worst.values().map(|one| one.split()).collect()))
        .fact("stalled", with(Finding::ResyncStalled))
        .fact("log_readable", !blind)
        .fact("drbd", Value::List(worst.values().map(|one| one.value()).collect()));
    if let Some(line) = judged.iter().find_map(|one| one.split_brain.as_deref()) {
        seen = seen.fact("log", line);
    }
    let syncing = judged.iter().filter(|one| one.replica.is_syncing());
    let least = syncing.clone().filter_map(|one| one.replica.resync?.done_pct).reduce(f64::min);
    let longest = syncing.filter_map(|one| one.left_s).reduce(f64::max);
    for (fact, number) in [("resync_pct", least), ("resync_left_s", longest)] {
        if let Some(number) = number {
            seen = seen.fact(fact, number);
        }
    }
    measured(judged, seen)
}

/// What looks now and then would have missed; the state is as it is now.
fn with_past(mut seen: Observation, judged: &[Judged], happened: &[Happening]) -> Observation {
    let split_now = |name: &str| judged.iter().any(|one| one.replica.resource == name && one.split_brain.is_some());
    let mut split: Vec<String> = Vec::new();
    for one in happened.iter().filter(|one| one.kind == Kind::SplitBrain && !split_now(&one.resource)) {
        if !split.contains(&one.resource) {
            split.push(one.resource.clone());
        }
    }
    let count = |kind: Kind| happened.iter().filter(|one| one.kind == kind).count();
    let losses = count(Kind::ConnectionLost);
    if !happened.is_empty() {
        let skipped = happened.len().saturating_sub(HAPPENINGS_TOLD_MAX);
        let told = happened.iter().skip(skipped);
        let lines: Vec<String> = told
            .map(|one| {
                format!("lately: {} {}: {} {}", one.resource, one.what, one.kind.word().replace('_', " "), one.to)
            })
            .collect();
        seen.long_text = format!("{}\n{}", seen.long_text, lines.join("\n")).into();
        seen.text = match (split.is_empty(), losses) {
            (false, _) => format!("{}; lately split: {}", seen.text, split.join(", ")).into(),
            (true, 0) => seen.text,
            (true, losses) => format!("{}; lately lost its connection {losses} times", seen.text).into(),
        };
    }
    seen.fact("split_brain_lately", split)
        .fact("connection_losses", losses)
        .fact("disk_losses", count(Kind::DiskLost))
        .fact("dual_primary_lately", count(Kind::DualPrimary))
}

fn measured(judged: &[Judged], mut seen: Observation) -> Observation {
    let mut out_of_sync = 0u64;
    for one in judged {
        let replica = &one.replica;
        let peer = if replica.peer.is_empty() { String::new() } else { format!(" {}", replica.peer) };
        let name = format!("{}/{}{peer}", replica.resource, replica.volume);
        if let Some(kib) = replica.out_of_sync_kib {
            out_of_sync = out_of_sync.saturating_add(kib);
            seen = seen.measure(&format!("out_of_sync {name}"), kib as f64 * 1024.0, "B");
        }
        if let Some(pct) = replica.resync.and_then(|resync| resync.done_pct) {
            seen = seen.measure(&format!("resync {name}"), pct, "%");
        }
    }
    seen.fact("out_of_sync_kib", out_of_sync as f64)
}

#[cfg(test)]
mod tests;
