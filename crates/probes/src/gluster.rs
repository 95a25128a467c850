//! `gluster`: peers, bricks and what is left of each replica set, self-heal and split brain, by `gluster --xml`.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::gluster::{
    Brick, GlusterError, Heal, Left, Peer, Quota, Volume, add_status, parse_heal, parse_peers, parse_quota,
    parse_volumes,
};

use super::talk::shown;
use super::tool::{Tool, missing, refusal};
use super::view::ToolRun;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Volumes that are asked what waits to be healed; each is a run of the tool.
const HEALS_MAX: usize = 32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Volumes that must be there and started.
    pub volumes: Vec<String>,
    /// Ask what waits to be healed.
    pub heal: bool,
    /// Ask how full limited directories are; the daemon mounts the volume for a moment to tell.
    pub quota: bool,
    /// Replaces `gluster`, with `sudo -n` before it for instance.
    pub command: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config { volumes: Vec::new(), heal: true, quota: false, command: Vec::new() }
    }
}

pub struct Gluster {
    view: Arc<dyn HostView>,
    tool: Tool,
    config: Config,
}

#[derive(Debug, Default)]
struct Pool {
    peers: Vec<Peer>,
    volumes: Vec<Volume>,
    /// By volume; `None` = it did not say.
    heals: Vec<(String, Option<Heal>)>,
    /// By volume, of those that have limits.
    quotas: Vec<(String, Quota)>,
}

impl Probe for Gluster {
    const KIND: &'static str = "gluster";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/gluster.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let tool = Tool::new(&["gluster"], &config.command)?;
        Ok(Gluster { view: Arc::clone(&env.view), tool, config })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let mut pool = Pool {
            peers: self.ask(&["peer", "status"], parse_peers, deadline).await?,
            volumes: self.ask(&["volume", "info"], parse_volumes, deadline).await?,
            ..Pool::default()
        };
        if pool.volumes.iter().any(|volume| volume.is_started) {
            let run = self.tool_run(&["volume", "status", "all"], deadline).await?;
            add_status(&run.stdout, &mut pool.volumes).map_err(|e| refusal(&self.tool, &run, &e.to_string()))?;
        }
        self.ask_space(&mut pool, deadline).await?;
        let asked = pool.volumes.iter().filter(|volume| self.config.heal && volume.heals()).take(HEALS_MAX);
        for volume in asked {
            let run = self.tool_run(&["volume", "heal", &volume.name, "info", "summary"], deadline).await?;
            // The self-heal daemon may be down, or the version too old for a summary: the bricks are told all the same.
            pool.heals.push((volume.name.clone(), parse_heal(&run.stdout).ok()));
        }
        Ok(space(observe(&pool, &self.config.volumes), &pool))
    }
}

impl Gluster {
    /// How full bricks and limited directories are. The daemon refuses while another question is under way, and where a volume
    /// has no limit: then it is not told, and everything else is.
    async fn ask_space(&self, pool: &mut Pool, deadline: Deadline) -> Result<(), ProbeError> {
        if pool.volumes.iter().any(|volume| volume.is_started) {
            let run = self.tool_run(&["volume", "status", "all", "detail"], deadline).await?;
            let _ = add_status(&run.stdout, &mut pool.volumes);
        }
        let limited = |volume: &&Volume| self.config.quota && volume.is_started && volume.has_quota;
        for volume in pool.volumes.iter().filter(limited).take(HEALS_MAX) {
            let run = self.tool_run(&["volume", "quota", &volume.name, "list"], deadline).await?;
            let quotas = parse_quota(&run.stdout).unwrap_or_default();
            pool.quotas.extend(quotas.into_iter().map(|quota| (volume.name.clone(), quota)));
        }
        Ok(())
    }

    async fn tool_run(&self, words: &[&str], deadline: Deadline) -> Result<ToolRun, ProbeError> {
        // `script` never asks back.
        let args = [&["--mode=script", "--xml"], words].concat();
        let run = self.tool.run(&self.view, &args, deadline).await?;
        run.ok_or_else(|| missing(&self.tool, "package glusterfs-server"))
    }

    async fn ask<T>(
        &self,
        words: &[&str],
        parse: fn(&str) -> Result<Vec<T>, GlusterError>,
        deadline: Deadline,
    ) -> Result<Vec<T>, ProbeError> {
        let run = self.tool_run(words, deadline).await?;
        parse(&run.stdout).map_err(|error| refusal(&self.tool, &run, &error.to_string()))
    }
}

fn observe(pool: &Pool, wanted: &[String]) -> Observation {
    let started = || pool.volumes.iter().filter(|volume| volume.is_started);
    let with = |left: Left| -> Vec<String> {
        started().filter(|volume| volume.sets().contains(&left)).map(|volume| volume.name.clone()).collect()
    };
    let absent = wanted.iter().filter(|name| !pool.volumes.iter().any(|volume| volume.name == **name));
    let absent: Vec<String> = absent.cloned().collect();
    let stopped = pool.volumes.iter().filter(|volume| !volume.is_started && wanted.contains(&volume.name));
    let stopped: Vec<String> = stopped.map(|volume| volume.name.clone()).collect();
    let down: Vec<String> =
        started().flat_map(|volume| &volume.bricks).filter(|brick| !brick.is_online).map(|b| b.name.clone()).collect();
    let peers_gone: Vec<String> =
        pool.peers.iter().filter(|peer| !peer.is_connected).map(|peer| peer.host.clone()).collect();
    let rejected = pool.peers.iter().filter(|peer| peer.state.contains("Rejected"));
    let rejected: Vec<String> = rejected.map(|peer| peer.host.clone()).collect();
    let healed = || pool.heals.iter().filter_map(|(name, heal)| Some((name, heal.as_ref()?)));
    let split: Vec<String> = healed().filter(|(_, heal)| heal.split_brain > 0).map(|(name, _)| name.clone()).collect();
    let entries: u64 = healed().map(|(_, heal)| heal.split_brain).fold(0, u64::saturating_add);
    let pending: u64 = healed().map(|(_, heal)| heal.pending).fold(0, u64::saturating_add);
    let unread: Vec<String> =
        pool.heals.iter().filter(|(_, heal)| heal.is_none()).map(|(name, _)| name.clone()).collect();
    let (lost, no_quorum) = (with(Left::None), with(Left::NoQuorum));
    let parts = [
        ("not there", &absent),
        ("stopped", &stopped),
        ("DATA NOT AVAILABLE in", &lost),
        ("SPLIT BRAIN in", &split),
        ("no writes, quorum lost in", &no_quorum),
        ("bricks down", &down),
        ("peers gone", &peers_gone),
        ("peers rejected", &rejected),
    ];
    let trouble: Vec<String> = parts
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", names.join(" ")))
        .collect();
    let mut headline = match (trouble.is_empty(), pool.volumes.len()) {
        (false, _) => trouble.join("; "),
        (true, 0) => "this pool has no volume".to_owned(),
        (true, volumes) => {
            format!("all bricks of {volumes} volumes are online, {} peers are connected", pool.peers.len())
        }
    };
    if pending > 0 {
        headline.push_str(&format!(", {pending} entries wait to be healed"));
    }
    Observation::observed(headline)
        .long(pool.volumes.iter().map(line).collect::<Vec<_>>().join("\n"))
        .fact("peers", pool.peers.len())
        .fact("peers_gone", peers_gone)
        .fact("peers_rejected", rejected)
        .fact("volumes", pool.volumes.len())
        .fact("missing", absent)
        .fact("stopped", stopped)
        .fact("bricks_down", down)
        .fact("sets_lost", lost)
        .fact("quorum_lost", no_quorum)
        .fact("split_brain", split)
        .fact("split_brain_entries", entries as f64)
        .fact("heal_pending", pending as f64)
        .fact("heal_unread", unread)
        .measure("heal_pending", pending as f64, "")
        .measure("split_brain_entries", entries as f64, "")
}

/// What is fullest, where it is told.
fn space(mut seen: Observation, pool: &Pool) -> Observation {
    let bricks = pool.volumes.iter().filter(|volume| volume.is_started).flat_map(|volume| &volume.bricks);
    let told = |brick: &&Brick| brick.is_online;
    let full = bricks.filter(told).filter_map(|brick| Some((brick.used_pct()?, brick.name.as_str())));
    if let Some((used, name)) = full.max_by(|a, b| a.0.total_cmp(&b.0)) {
        seen = seen.fact("used_pct_max", used).fact("fullest", shown(name)).measure("used", used, "%");
    }
    let limits = pool.quotas.iter().map(|(volume, quota)| (quota.used_pct(), format!("{volume}:{}", quota.path)));
    match limits.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((used, name)) => {
            seen.fact("quota_pct_max", used).fact("quota_fullest", shown(&name)).measure("quota", used, "%")
        }
        None => seen,
    }
}

fn line(volume: &Volume) -> String {
    let up = volume.bricks.iter().filter(|brick| brick.is_online).count();
    let state = if volume.is_started { "started" } else { "stopped" };
    format!("{} ({}, {state}): {up} of {} bricks online", volume.name, volume.kind, volume.bricks.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{number, run_on, text};

    fn answer(inside: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<cliOutput><opRet>0</opRet>{inside}</cliOutput>\n")
    }

    /// Hand-written after cli-xml-output.c: one volume of two replicas on a and b, with the bricks that are online.
    fn host(online: &[&str], connected: u8, heal: &str) -> Arc<SimView> {
        let node = |host: &&str| format!("<node><hostname>{host}</hostname><path>/b</path><status>1</status></node>");
        let nodes: String = online.iter().map(node).collect();
        let sized = |host: &&str| {
            let free = if *host == "b" { 40 } else { 700 };
            let size = format!("<sizeTotal>1000</sizeTotal><sizeFree>{free}</sizeFree>");
            format!("<node><hostname>{host}</hostname><path>/b</path><status>1</status>{size}</node>")
        };
        let detail: String = online.iter().map(sized).collect();
        let brick = |host: &str| format!("<brick>{host}:/b<name>{host}:/b</name></brick>");
        let info = format!(
            "<volInfo><volumes><volume><name>gv0</name><statusStr>Started</statusStr><typeStr>Replicate</typeStr>\
             <replicaCount>2</replicaCount><bricks>{}{}</bricks><options><option><name>features.quota</name><value>on</value>\
             </option></options></volume></volumes></volInfo>",
            brick("a"),
            brick("b")
        );
        let peer =
            format!("<peerStatus><peer><hostname>b</hostname><connected>{connected}</connected></peer></peerStatus>");
        let status =
            format!("<volStatus><volumes><volume><volName>gv0</volName>{nodes}</volume></volumes></volStatus>");
        let detail =
            format!("<volStatus><volumes><volume><volName>gv0</volName>{detail}</volume></volumes></volStatus>");
        let limit = "<limit><path>/home</path><hard_limit>200</hard_limit><used_space>150</used_space></limit>";
        let tools = [
            ("volume status all detail", answer(&detail)),
            ("volume quota gv0 list", answer(&format!("<volQuota>{limit}</volQuota>"))),
            ("peer status", answer(&peer)),
            ("volume info", answer(&info)),
            ("volume status all", answer(&status)),
            ("volume heal gv0 info summary", answer(heal)),
        ];
        let run = |(words, stdout): (&str, String)| {
            (format!("gluster --mode=script --xml {words}"), ToolRun { code: Some(0), stdout, stderr: String::new() })
        };
        Arc::new(SimView::of(SimHost { tools: tools.into_iter().map(run).collect(), ..SimHost::default() }))
    }

    fn heal(pending: u64, split: u64) -> String {
        format!(
            "<healInfo><bricks><brick><numberOfEntriesInHealPending>{pending}</numberOfEntriesInHealPending>\
             <numberOfEntriesInSplitBrain>{split}</numberOfEntriesInSplitBrain></brick></bricks></healInfo>"
        )
    }

    #[tokio::test]
    async fn a_lost_server_a_split_and_lost_data_are_told_apart() {
        let lists = ["bricks_down", "sets_lost", "split_brain", "peers_gone"];
        for (online, connected, split, told) in [
            (&["a", "b"][..], 1, 0, ["[]", "[]", "[]", "[]"]),
            (&["a"], 0, 0, ["[b:/b]", "[]", "[]", "[b]"]),
            (&["a", "b"], 1, 2, ["[]", "[]", "[gv0]", "[]"]),
            (&[], 1, 0, ["[a:/b, b:/b]", "[gv0]", "[]", "[]"]),
        ] {
            let seen = run_on("gluster", "{}", host(online, connected, &heal(7, split))).await.expect("observed");
            assert_eq!(lists.map(|fact| text(&seen, fact)), told, "{online:?}");
            assert_eq!(number(&seen, "heal_pending"), 7.0);
        }
    }

    #[tokio::test]
    async fn the_fullest_brick_and_limit_are_told_and_only_where_the_daemon_tells_them() {
        let told = |seen: &Observation| ["used_pct_max", "fullest", "quota_pct_max"].map(|fact| text(seen, fact));
        let seen = run_on("gluster", r#"{"quota":true}"#, host(&["a", "b"], 1, "")).await.expect("observed");
        assert_eq!(told(&seen), ["96", "b:/b", "75"]);
        let seen = run_on("gluster", "{}", host(&["a"], 1, "")).await.expect("observed");
        assert_eq!(told(&seen), ["30", "a:/b", ""]);
        let seen = run_on("gluster", "{}", host(&[], 1, "")).await.expect("observed");
        assert_eq!(told(&seen), ["", "", ""]);
        // Another question is under way: the rest is told all the same.
        let busy = host(&["a", "b"], 1, "");
        busy.change(|now| {
            let refusal = "<cliOutput><opRet>-1</opRet><opErrstr>Another transaction is in progress for gv0</opErrstr></cliOutput>";
            let run = ToolRun { code: Some(1), stdout: refusal.to_owned(), stderr: String::new() };
            now.tools.insert("gluster --mode=script --xml volume status all detail".into(), run);
        });
        let seen = run_on("gluster", "{}", busy).await.expect("observed");
        assert_eq!((text(&seen, "used_pct_max"), text(&seen, "bricks_down")), (String::new(), "[]".into()));
    }

    #[tokio::test]
    async fn wanted_volumes_are_missed_and_a_silent_daemon_is_never_health() {
        let seen = run_on("gluster", r#"{"volumes":["gv0","gv1"],"heal":false}"#, host(&["a", "b"], 1, "")).await;
        assert_eq!(text(&seen.expect("observed"), "missing"), "[gv1]");
        let stdout = "Connection failed. Please check if gluster daemon is operational.\n".to_owned();
        let run = ToolRun { code: Some(1), stdout, stderr: String::new() };
        let tools = [("gluster --mode=script --xml peer status".to_owned(), run)].into();
        let seen = run_on("gluster", "{}", Arc::new(SimView::of(SimHost { tools, ..SimHost::default() }))).await;
        assert!(seen.as_ref().is_err_and(|error| error.to_string().contains("Connection failed")), "{seen:?}");
        assert!(run_on("gluster", "{}", Arc::new(SimView::new())).await.is_err());
    }
}
