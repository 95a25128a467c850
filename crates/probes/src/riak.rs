//! `riak`: a node of Riak KV by HTTP, `/ping` and `/stats`; `riak_ring`: members and hand-offs of the ring by `riak-admin`.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::riak::{Member, Ring, Stats, Transfers, parse_members, parse_ring, parse_stats, parse_transfers};

use super::page::{Asked, Pages, Reach};
use super::tool::{Tool, missing, refusal};
use super::view::ToolRun;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Port of Riak's HTTP interface.
const PORT: u16 = 8098;

pub struct Riak {
    pages: Pages,
}

impl Probe for Riak {
    const KIND: &'static str = "riak";
    const DOC: &'static str = include_str!("../../../docs/probes/riak.md");
    type Config = Reach;

    fn build(config: Reach, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(Riak { pages: Pages::new("riak", &config, PORT, env)? })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let told =
            |seen: Observation, word: &str, why: String| Observation { text: why.into(), ..seen }.fact("riak", word);
        let ping = match self.pages.ask(target, "/ping", deadline).await? {
            Asked::Closed(seen) => return Ok(seen),
            Asked::None { seen, word, why } => return Ok(told(seen, word, why)),
            Asked::Page { seen, status: 200, body } if body.trim_ascii() == b"OK" => seen,
            Asked::Page { seen, status, .. } => {
                return Ok(told(seen, "invalid", format!("/ping answers with status {status} and not with OK")));
            }
        };
        // The node serves; statistics are a matter of their own.
        let stats = match self.pages.ask(target, "/stats", deadline).await? {
            Asked::Page { status: 200, body, .. } => {
                parse_stats(&String::from_utf8_lossy(&body)).map_err(|error| error.to_string())
            }
            Asked::Page { status, .. } => Err(format!("/stats answers with status {status}")),
            Asked::None { why, .. } => Err(why),
            Asked::Closed(seen) => Err(seen.text.to_string()),
        };
        Ok(match stats {
            Ok(stats) => with_stats(ping, &stats),
            Err(why) => told(ping, "ok", format!("it serves, but tells no statistics: {why}")).fact("stats", "none"),
        })
    }
}

fn with_stats(seen: Observation, stats: &Stats) -> Observation {
    let unreachable = stats.unreachable();
    let mut text = format!("{} serves, {} members in the ring", stats.node, stats.members.len());
    if !unreachable.is_empty() {
        text.push_str(&format!(", does not reach {}", unreachable.join(" ")));
    }
    if let Some(millis) = stats.get_ms_95 {
        text.push_str(&format!(", gets within {millis} ms (95 %)"));
    }
    let mut seen = Observation { text: text.into(), ..seen }
        .fact("riak", "ok")
        .fact("stats", "ok")
        .fact("node", stats.node.as_str())
        .fact("members", stats.members.len())
        .fact("unreachable", unreachable);
    let counts = [
        ("partitions", stats.partitions),
        ("owned", stats.owned),
        ("vnodes", stats.vnodes),
        ("handoff_timeouts", stats.handoff_timeouts),
    ];
    for (name, count) in counts {
        if let Some(count) = count {
            seen = seen.fact(name, count as f64);
        }
    }
    let times = [("get_ms_95", stats.get_ms_95), ("put_ms_95", stats.put_ms_95)];
    for (name, millis) in times {
        if let Some(millis) = millis {
            seen = seen.fact(name, millis).measure(name.trim_end_matches("_ms_95"), millis, "ms");
        }
    }
    match stats.memory_bytes {
        Some(bytes) => seen.measure("memory", bytes, "B"),
        None => seen,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RingConfig {
    /// Replaces `riak-admin`: `["sudo", "-n", "riak", "admin"]`.
    pub command: Vec<String>,
}

pub struct RiakRing {
    view: Arc<dyn HostView>,
    tool: Tool,
}

impl Probe for RiakRing {
    const KIND: &'static str = "riak_ring";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/riak_ring.md");
    type Config = RingConfig;

    fn build(config: RingConfig, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(RiakRing { view: Arc::clone(&env.view), tool: Tool::new(&["riak-admin"], &config.command)? })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let run = self.ask("member-status", deadline).await?;
        let members = parse_members(&run.stdout);
        if members.is_empty() {
            return Err(refusal(&self.tool, &run, "it lists no member"));
        }
        let ring = parse_ring(&self.ask("ring-status", deadline).await?.stdout);
        let transfers = parse_transfers(&self.ask("transfers", deadline).await?.stdout);
        Ok(observe(&members, &ring, &transfers))
    }
}

impl RiakRing {
    async fn ask(&self, word: &str, deadline: Deadline) -> Result<ToolRun, ProbeError> {
        let run = self.tool.run(&self.view, &[word], deadline).await?;
        run.ok_or_else(|| missing(&self.tool, "package riak"))
    }
}

fn observe(members: &[Member], ring: &Ring, transfers: &Transfers) -> Observation {
    let having = |status: &[&str]| -> Vec<String> {
        members.iter().filter(|one| status.contains(&one.status.as_str())).map(|one| one.name.clone()).collect()
    };
    let down = having(&["down"]);
    let moving = having(&["leaving", "exiting", "joining"]);
    let total = |counts: &[(String, u64)]| counts.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
    let (waiting, not_running) = (total(&transfers.waiting), total(&transfers.not_running));
    let pending = members.iter().any(|one| one.pending_pct.is_some()) || ring.is_changing;
    let finding = match () {
        () if !ring.unreachable.is_empty() => "unreachable",
        () if !down.is_empty() => "member_down",
        () if ring.is_ready == Some(false) => "not_ready",
        () if not_running > 0 => "partitions_not_running",
        () if waiting > 0 || pending => "handoff",
        () => "ok",
    };
    let valid = members.iter().filter(|one| one.status == "valid").count();
    let mut text = format!("{valid} of {} members are valid", members.len());
    let notes = [
        ("not reached", ring.unreachable.join(" ")),
        ("down", down.join(" ")),
        ("on their way", moving.join(" ")),
        ("partitions that do not run", if not_running > 0 { not_running.to_string() } else { String::new() }),
        ("partitions to hand off", if waiting > 0 { waiting.to_string() } else { String::new() }),
    ];
    for (what, names) in notes.iter().filter(|(_, names)| !names.is_empty()) {
        text.push_str(&format!("; {what}: {names}"));
    }
    let line = |one: &Member| {
        let share = one.ring_pct.map_or_else(String::new, |pct| format!(" {pct} %"));
        let later = one.pending_pct.map_or_else(String::new, |pct| format!(", then {pct} %"));
        format!("{}: {}{share}{later}", one.name, one.status)
    };
    Observation::observed(text)
        .long(members.iter().map(line).collect::<Vec<_>>().join("\n"))
        .fact("finding", finding)
        .fact("members", members.len())
        .fact("members_down", down)
        .fact("members_moving", moving)
        .fact("unreachable", ring.unreachable.clone())
        .fact("ready", ring.is_ready != Some(false))
        .fact("handoffs_waiting", waiting as f64)
        .fact("partitions_not_running", not_running as f64)
        .fact("ownership_changes", pending)
        .measure("handoffs_waiting", waiting as f64, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{number, run_at, run_on, serve_pages, text};

    const STATS: &str = r#"{"nodename":"riak@a","ring_members":["riak@a","riak@b"],"connected_nodes":[],"ring_num_partitions":64,
        "node_get_fsm_time_95":2500,"memory_total":1024}"#;

    async fn see(ping: (&'static str, &'static str), stats: (&'static str, &'static str)) -> Observation {
        let port = serve_pages(&[("/ping", ping.0, ping.1), ("/stats", stats.0, stats.1)]).await;
        run_at("riak", &format!(r#"{{"port":{port}}}"#), 5000).await.expect("observed")
    }

    #[tokio::test]
    async fn a_node_tells_whom_it_misses() {
        let seen = see(("200 OK", "OK"), ("200 OK", STATS)).await;
        assert_eq!((text(&seen, "riak"), text(&seen, "unreachable")), ("ok".into(), "[riak@b]".into()));
        assert_eq!((number(&seen, "get_ms_95"), number(&seen, "partitions")), (2.5, 64.0));
        let mute = see(("200 OK", "OK"), ("404 No", "")).await;
        assert_eq!((text(&mute, "riak"), text(&mute, "stats")), ("ok".into(), "none".into()));
    }

    #[tokio::test]
    async fn only_ok_is_a_node_that_serves() {
        for ping in [("503 Busy", "OK"), ("200 OK", "<html>"), ("200 OK", "")] {
            assert_eq!(text(&see(ping, ("200 OK", STATS)).await, "riak"), "invalid", "{ping:?}");
        }
    }

    fn host(runs: &[(&str, &str)]) -> Arc<SimView> {
        let run = |(word, stdout): &(&str, &str)| {
            let run = ToolRun { code: Some(0), stdout: (*stdout).into(), stderr: String::new() };
            (format!("riak-admin {word}"), run)
        };
        Arc::new(SimView::of(SimHost { tools: runs.iter().map(run).collect(), ..SimHost::default() }))
    }

    #[tokio::test]
    async fn what_the_ring_is_about_is_told_apart() {
        let (well, calm) = ("valid 50.0% -- riak@a\nvalid 50.0% -- riak@b\n", "Ring Ready: true\n");
        for (members, ring, transfers, finding) in [
            (well, calm, "No transfers active\n", "ok"),
            (well, calm, "'riak@a' waiting to handoff 3 partitions\n", "handoff"),
            (well, calm, "'riak@a' does not have 2 primary partitions running\n", "partitions_not_running"),
            (well, "Ring Ready: false\n", "", "not_ready"),
            ("valid 50.0% 99.0% riak@a\nleaving 50.0% 1.0% riak@b\n", calm, "", "handoff"),
            ("valid 50.0% -- riak@a\ndown 50.0% -- riak@b\n", calm, "", "member_down"),
            (well, "=== Unreachable Nodes ===\nThe following nodes are unreachable: ['riak@b']\n", "", "unreachable"),
        ] {
            let view = host(&[("member-status", members), ("ring-status", ring), ("transfers", transfers)]);
            let seen = run_on("riak_ring", "{}", view).await.expect("observed");
            assert_eq!(text(&seen, "finding"), finding, "{members}{ring}{transfers}");
        }
        let silent = run_on("riak_ring", "{}", host(&[("member-status", "Node did not respond to ping!\n")])).await;
        assert!(silent.as_ref().is_err_and(|error| error.to_string().contains("did not respond")), "{silent:?}");
    }
}
