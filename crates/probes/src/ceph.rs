//! `ceph`: a cluster by its manager's page for Prometheus, from outside; `ceph_cli`: by the tool on a host that has a key.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::ceph::{Cluster, Daemon, add_details, is_read, of_page, parse_status};
use stentor_wire::exposition::Page;

use super::page::{Asked, Pages, Reach};
use super::tool::{Tool, missing, refusal};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Port of the manager's module `prometheus`.
const PORT: u16 = 9283;
/// Names in one fact.
const NAMES_MAX: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub address: Option<Arc<str>>,
    pub port: Option<u16>,
    pub tls: bool,
    pub insecure: bool,
    pub ca_file: Option<PathBuf>,
    /// Name of the host in the cluster whose daemons are told; the target's if missing.
    pub node: Option<String>,
}

pub struct Ceph {
    pages: Pages,
    node: Option<String>,
}

impl Probe for Ceph {
    const KIND: &'static str = "ceph";
    const DOC: &'static str = include_str!("../../../docs/probes/ceph.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let Config { address, port, tls, insecure, ca_file, node } = config;
        let reach = Reach { address, port, tls, insecure, ca_file };
        Ok(Ceph { pages: Pages::new("ceph", &reach, PORT, env)?, node })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let blind = |seen: Observation, word: &str, why: String| {
            Observation { text: format!("{why}; the cluster itself may be well").into(), ..seen }.fact("ceph", word)
        };
        Ok(match self.pages.ask(target, "/metrics", deadline).await? {
            Asked::Closed(seen) => {
                let why = seen.text.to_string();
                blind(seen, "blind", why)
            }
            Asked::None { seen, word, why } => blind(seen, word, why),
            Asked::Page { seen, status, body } => {
                let page = Page::parse(&String::from_utf8_lossy(&body), is_read);
                match of_page(&page) {
                    Some(cluster) if status == 200 => {
                        let node = self.node.as_deref().unwrap_or(&target.host);
                        of_node(observe(&cluster, seen), &cluster, node)
                    }
                    // A standby answers with an empty page, or with an error where it is told to.
                    _ => blind(seen, "no_health", format!("status {status} and no health: a standby manager?")),
                }
            }
        })
    }
}

/// What the cluster knows of the daemons of one host.
fn of_node(seen: Observation, cluster: &Cluster, node: &str) -> Observation {
    let own: Vec<&Daemon> = cluster.daemons.iter().filter(|daemon| daemon.is_on(node)).collect();
    let of =
        |kind: &str| own.iter().filter(|one| one.name.split('.').next() == Some(kind)).copied().collect::<Vec<_>>();
    let osds = of("osd");
    let mut seen = seen;
    if !osds.is_empty() {
        let down = osds.iter().filter(|one| one.is_up == Some(false)).take(NAMES_MAX);
        let down: Vec<String> = down.map(|one| one.name.clone()).collect();
        let all = osds.iter().all(|one| one.is_up == Some(false));
        seen = seen.fact("osds_here", osds.len()).fact("osds_here_down", down).fact("osds_down_all", all);
        if let Some(used) = osds.iter().filter_map(|one| one.used_pct).max_by(f64::total_cmp) {
            seen = seen.fact("osd_here_used_pct_max", used).measure("osd_here_used_max", used, "%");
        }
    }
    for (kind, fact, words) in [
        ("mon", "mon_here", ["in_quorum", "out"]),
        ("mgr", "mgr_here", ["active", "standby"]),
        ("mds", "mds_here", ["up", "down"]),
    ] {
        if let Some(is_up) = of(kind).first().and_then(|one| one.is_up) {
            seen = seen.fact(fact, if is_up { words[0] } else { words[1] });
        }
    }
    seen
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CliConfig {
    /// More arguments: `["--id", "stentor", "--conf", "/etc/ceph/ceph.conf"]`.
    pub args: Vec<String>,
    /// Replaces `ceph`, with `sudo -n` before it for instance.
    pub command: Vec<String>,
}

pub struct CephCli {
    view: Arc<dyn HostView>,
    tool: Tool,
    args: Vec<String>,
}

impl Probe for CephCli {
    const KIND: &'static str = "ceph_cli";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/ceph_cli.md");
    type Config = CliConfig;

    fn build(config: CliConfig, env: &ProbeEnv) -> Result<Self, BuildError> {
        let tool = Tool::new(&["ceph"], &config.command)?;
        Ok(CephCli { view: Arc::clone(&env.view), tool, args: config.args })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let Some(run) = self.ask(&["status"], deadline).await? else {
            return Err(missing(&self.tool, "package ceph-common"));
        };
        let mut cluster = match parse_status(&run.stdout) {
            Ok(cluster) if run.code == Some(0) => cluster,
            _ if run.stderr.contains("timed out") || run.stderr.contains("error connecting to the cluster") => {
                let text = "no monitor answers: no quorum, or this host is cut off; whoever uses the cluster waits";
                return Ok(Observation::observed(text).fact("ceph", "unreachable"));
            }
            Ok(_) => return Err(refusal(&self.tool, &run, "it failed")),
            Err(error) => return Err(refusal(&self.tool, &run, &error.to_string())),
        };
        // Which OSD, which pool; the state is told without it as well.
        if cluster.health != "HEALTH_OK"
            && let Ok(Some(detail)) = self.ask(&["health", "detail"], deadline).await
        {
            let _ = add_details(&detail.stdout, &mut cluster);
        }
        Ok(observe(&cluster, Observation::observed("")))
    }
}

impl CephCli {
    async fn ask(&self, words: &[&str], deadline: Deadline) -> Result<Option<super::view::ToolRun>, ProbeError> {
        let own = self.args.iter().map(String::as_str);
        // Without a limit of its own the tool waits for a quorum for ever.
        let args: Vec<&str> =
            own.chain(["--connect-timeout", "5"]).chain(words.iter().copied()).chain(["--format", "json"]).collect();
        self.tool.run(&self.view, &args, deadline).await
    }
}

fn line(cluster: &Cluster) -> String {
    let mut line = cluster.health.clone();
    let of = |left: Option<u64>, all: Option<u64>, what: &str| {
        let (left, all) = (left?, all?);
        Some(if left < all { format!(", {left} of {all} {what}") } else { format!(", {all} {what}") })
    };
    line.extend(of(cluster.osds_up, cluster.osds, "OSDs up"));
    line.extend(of(cluster.mons_in_quorum, cluster.mons, "monitors in quorum"));
    for (count, what) in [
        (cluster.pgs_inactive, "placement groups INACTIVE"),
        (cluster.objects_unfound, "objects UNFOUND"),
        (cluster.pgs_degraded, "placement groups degraded"),
    ] {
        line.extend(count.filter(|count| *count > 0).map(|count| format!(", {count} {what}")));
    }
    line.extend(cluster.degraded_pct.filter(|pct| *pct > 0.0).map(|pct| format!(", {pct:.1} % degraded")));
    line.extend(cluster.recovery_left_s().map(|left| format!(", recovered in about {} min", (left / 60.0).ceil())));
    line.extend(cluster.used_pct().map(|pct| format!(", {pct} % used")));
    let codes = cluster.codes();
    if !codes.is_empty() {
        line.push_str(&format!(": {}", codes.join(" ")));
    }
    line
}

fn observe(cluster: &Cluster, seen: Observation) -> Observation {
    let check = |check: &stentor_wire::ceph::Check| {
        let muted = if check.is_muted { " (muted)" } else { "" };
        let mut lines = vec![format!("{} {}{muted}: {}", check.severity, check.code, check.message)];
        lines.extend(check.details.iter().map(|detail| format!("  {detail}")));
        lines.join("\n")
    };
    let long: Vec<String> = cluster.checks.iter().map(check).collect();
    let mut seen = Observation { text: line(cluster).into(), ..seen }
        .long(long.join("\n"))
        .fact("ceph", "ok")
        .fact("health", cluster.health.as_str())
        .fact("checks", cluster.codes());
    let counts = [
        ("mons", cluster.mons),
        ("mons_in_quorum", cluster.mons_in_quorum),
        ("osds", cluster.osds),
        ("osds_up", cluster.osds_up),
        ("osds_in", cluster.osds_in),
        ("pgs", cluster.pgs),
        ("pgs_inactive", cluster.pgs_inactive),
        ("pgs_degraded", cluster.pgs_degraded),
        ("objects_degraded", cluster.objects_degraded),
        ("objects_misplaced", cluster.objects_misplaced),
        ("objects_unfound", cluster.objects_unfound),
        ("mgr_standbys", cluster.mgr_standbys),
    ];
    for (name, count) in counts {
        if let Some(count) = count {
            seen = seen.fact(name, count as f64);
        }
    }
    let numbers = [
        ("degraded_pct", cluster.degraded_pct, "%"),
        ("misplaced_pct", cluster.misplaced_pct, "%"),
        ("used_pct", cluster.used_pct(), "%"),
        ("recovery_left_s", cluster.recovery_left_s(), "s"),
    ];
    for (name, number, unit) in numbers {
        if let Some(number) = number {
            seen = seen.fact(name, number).measure(name.trim_end_matches("_pct").trim_end_matches("_s"), number, unit);
        }
    }
    for (label, count) in [("osds_up", cluster.osds_up), ("pgs_degraded", cluster.pgs_degraded)] {
        if let Some(count) = count {
            seen = seen.measure(label, count as f64, "");
        }
    }
    let states = cluster.pg_states.iter().map(|(name, count)| (name.as_str(), Value::from(*count as f64)));
    if cluster.pg_states.is_empty() { seen } else { seen.fact("pg_states", states.collect::<Value>()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{number, run_at, run_on, serve_pages, text};
    use crate::view::ToolRun;

    const PAGE: &str = "ceph_health_status 1.0\nceph_health_detail{name=\"OSD_DOWN\",severity=\"HEALTH_WARN\"} 1.0\n\
        ceph_osd_up{ceph_daemon=\"osd.0\"} 1.0\nceph_osd_up{ceph_daemon=\"osd.1\"} 0.0\nceph_pg_total{pool_id=\"1\"} 64\n\
        ceph_pg_active{pool_id=\"1\"} 64\nceph_pg_degraded{pool_id=\"1\"} 32\nceph_cluster_total_bytes 1000\n\
        ceph_cluster_total_used_bytes 500\n";

    #[tokio::test]
    async fn the_managers_page_is_the_cluster() {
        let port = serve_pages(&[("/metrics", "200 OK", PAGE)]).await;
        let seen = run_at("ceph", &format!(r#"{{"port":{port}}}"#), 5000).await.expect("observed");
        assert_eq!((text(&seen, "health"), text(&seen, "checks")), ("HEALTH_WARN".into(), "[OSD_DOWN]".into()));
        assert_eq!(
            (number(&seen, "osds_up"), number(&seen, "pgs_inactive"), number(&seen, "used_pct")),
            (1.0, 0.0, 50.0)
        );
        assert!(seen.text.starts_with("HEALTH_WARN, 1 of 2 OSDs up, 32 placement groups degraded"), "{}", seen.text);
    }

    #[tokio::test]
    async fn the_daemons_of_the_host_are_told() {
        const OF_HOSTS: &str = "ceph_health_status 1.0\nceph_osd_metadata{ceph_daemon=\"osd.0\",hostname=\"h1\"} 1.0\n\
            ceph_osd_metadata{ceph_daemon=\"osd.1\",hostname=\"h1\"} 1.0\nceph_osd_metadata{ceph_daemon=\"osd.2\",hostname=\"h2\"} 1.0\n\
            ceph_osd_up{ceph_daemon=\"osd.0\"} 1.0\nceph_osd_up{ceph_daemon=\"osd.1\"} 0.0\nceph_osd_up{ceph_daemon=\"osd.2\"} 0.0\n\
            ceph_osd_stat_bytes{ceph_daemon=\"osd.0\"} 1000\nceph_osd_stat_bytes_used{ceph_daemon=\"osd.0\"} 960\n\
            ceph_mon_metadata{ceph_daemon=\"mon.a\",hostname=\"h1\"} 1.0\nceph_mon_quorum_status{ceph_daemon=\"mon.a\"} 0.0\n";
        let port = serve_pages(&[("/metrics", "200 OK", OF_HOSTS)]).await;
        let seen = run_at("ceph", &format!(r#"{{"port":{port}}}"#), 5000).await.expect("observed");
        assert_eq!((number(&seen, "osds_here"), text(&seen, "osds_here_down")), (2.0, "[osd.1]".into()));
        assert_eq!((number(&seen, "osd_here_used_pct_max"), text(&seen, "mon_here")), (96.0, "out".into()));
        let seen = run_at("ceph", &format!(r#"{{"port":{port},"node":"h2"}}"#), 5000).await.expect("observed");
        assert_eq!((text(&seen, "osds_here_down"), text(&seen, "mon_here")), ("[osd.2]".into(), String::new()));
    }

    #[tokio::test]
    async fn a_manager_that_does_not_tell_is_no_dead_cluster() {
        for (status, body) in [("200 OK", ""), ("503 Standby", PAGE), ("200 OK", "up 1\n")] {
            let port = serve_pages(&[("/metrics", status, body)]).await;
            let seen = run_at("ceph", &format!(r#"{{"port":{port}}}"#), 5000).await.expect("observed");
            assert_eq!((text(&seen, "ceph"), text(&seen, "health")), ("no_health".into(), String::new()));
        }
    }

    fn host(runs: &[(&str, i32, &str, &str)]) -> Arc<SimView> {
        let run = |(words, code, stdout, stderr): &(&str, i32, &str, &str)| {
            let line = format!("ceph --id x --connect-timeout 5 {words} --format json");
            (line, ToolRun { code: Some(*code), stdout: (*stdout).into(), stderr: (*stderr).into() })
        };
        Arc::new(SimView::of(SimHost { tools: runs.iter().map(run).collect(), ..SimHost::default() }))
    }

    #[tokio::test]
    async fn the_tool_tells_which_osd_and_when_it_is_over() {
        let status = r#"{"health":{"status":"HEALTH_WARN","checks":{"OSD_DOWN":{"severity":"HEALTH_WARN","summary":{"message":"1 osds down"}}}},
            "quorum":[0,1,2],"monmap":{"num_mons":3},"osdmap":{"num_osds":3,"num_up_osds":2,"num_in_osds":3},"pgmap":{"num_pgs":1,
            "pgs_by_state":[{"state_name":"active+undersized+degraded","count":1}],"degraded_objects":30,"degraded_ratio":0.3333,
            "recovering_objects_per_sec":1}}"#;
        let detail = r#"{"checks":{"OSD_DOWN":{"severity":"HEALTH_WARN","summary":{"message":"1 osds down"},"detail":[{"message":"osd.2 is down"}]}}}"#;
        let view = host(&[("status", 0, status, ""), ("health detail", 0, detail, "")]);
        let seen = run_on("ceph_cli", r#"{"args":["--id","x"]}"#, view).await.expect("observed");
        assert_eq!((number(&seen, "recovery_left_s"), number(&seen, "pgs_degraded")), (30.0, 1.0));
        assert!(seen.long_text.contains("osd.2 is down"), "{}", seen.long_text);
        assert!(seen.text.contains("33.3 % degraded, recovered in about 1 min"), "{}", seen.text);
    }

    #[tokio::test]
    async fn without_a_quorum_nobody_is_served_and_without_a_key_nothing_is_known() {
        let silent = host(&[("status", 1, "", "[errno 110] RADOS timed out (error connecting to the cluster)")]);
        let seen = run_on("ceph_cli", r#"{"args":["--id","x"]}"#, silent).await.expect("observed");
        assert_eq!(text(&seen, "ceph"), "unreachable");
        let denied = host(&[("status", 13, "", "[errno 13] RADOS permission denied")]);
        let seen = run_on("ceph_cli", r#"{"args":["--id","x"]}"#, denied).await;
        assert!(matches!(seen, Err(ProbeError::MissingRight(_))), "{seen:?}");
        assert!(run_on("ceph_cli", "{}", Arc::new(SimView::new())).await.is_err());
    }
}
