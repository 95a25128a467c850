//! `multipath`: which paths each LUN of a SAN still has, and to how many controllers, by multipathd.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::multipath::{Map, parse};

use super::look::{Lane, look};
use super::tool::{Tool, missing, refusal};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// LUNs told one by one in facts and measurements; the counts are of all.
const TOLD_MAX: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Paths that each LUN ought to have; else the most that were seen.
    pub paths: Option<u32>,
    /// LUNs that must be there, by name or WWID.
    pub maps: Vec<String>,
    /// Replaces `multipathd`, with `sudo -n` before it for instance.
    pub command: Vec<String>,
}

/// The most that was seen of a LUN since this process began; a path that is removed leaves no trace in the daemon.
#[derive(Clone, Copy, Debug, Default)]
struct Most {
    paths: usize,
    controllers: usize,
}

pub struct Multipath {
    view: Arc<dyn HostView>,
    tool: Tool,
    config: Config,
    most: Mutex<BTreeMap<String, Most>>,
}

/// A LUN with what it ought to have.
#[derive(Debug)]
struct Lun {
    name: String,
    active: usize,
    total: usize,
    controllers_active: usize,
    controllers_total: usize,
    queues: bool,
    failed: Vec<String>,
    /// Ends of the array that no usable path leads to.
    controllers_lost: Vec<String>,
    is_trespassed: bool,
}

/// Words of the fact `finding`, best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Finding {
    Ok,
    /// Nothing is lost, but I/O goes by the poorer paths: after a failover nothing switched back.
    Trespassed,
    /// Paths are lost; each controller is still reached.
    PathsLost,
    /// All paths of a controller are gone: the array has failed over, or will.
    ControllerLost,
    OnePath,
    NoPath,
}

impl Probe for Multipath {
    const KIND: &'static str = "multipath";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/multipath.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.paths == Some(0) {
            return Err(BuildError { message: "`paths` is at least 1".into() });
        }
        let tool = Tool::new(&["multipathd"], &config.command)?;
        Ok(Multipath { view: Arc::clone(&env.view), tool, config, most: Mutex::default() })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let maps = match self.tool.run(&self.view, &["show", "maps", "json"], deadline).await? {
            Some(run) => parse(&run.stdout).map_err(|e| refusal(&self.tool, &run, &e.to_string()))?,
            None if self.has_maps(deadline).await? => {
                return Err(missing(&self.tool, "package multipath-tools, and this host has multipath devices"));
            }
            None => Vec::new(),
        };
        let is_there = |wanted: &&String| maps.iter().any(|map| map.name == **wanted || map.uuid == **wanted);
        let absent: Vec<String> = self.config.maps.iter().filter(|wanted| !is_there(wanted)).cloned().collect();
        let luns = self.luns(&maps);
        Ok(observe(&luns, absent))
    }
}

impl Multipath {
    /// Without the daemon the kernel still tells whether there are such devices.
    async fn has_maps(&self, deadline: Deadline) -> Result<bool, ProbeError> {
        look(&self.view, Lane::Kernel, deadline, |view| {
            let disks = view.list("/sys/block").unwrap_or_default();
            let uuid = |disk: &String| view.read(&format!("/sys/block/{disk}/dm/uuid")).unwrap_or_default();
            Ok(disks.iter().filter(|disk| disk.starts_with("dm-")).any(|disk| uuid(disk).starts_with("mpath-")))
        })
        .await
    }

    fn luns(&self, maps: &[Map]) -> Vec<Lun> {
        let mut most = self.most.lock().unwrap_or_else(PoisonError::into_inner);
        // A LUN that was taken away is forgotten.
        most.retain(|uuid, _| maps.iter().any(|map| key(map) == *uuid));
        let lun = |map: &Map| {
            let (controllers, used) = map.controllers();
            let seen = most.entry(key(map)).or_default();
            seen.paths = seen.paths.max(map.paths.len());
            seen.controllers = seen.controllers.max(controllers.len());
            let wanted = self.config.paths.map_or(seen.paths, |paths| (paths as usize).max(map.paths.len()));
            let failed = map.paths.iter().filter(|path| !path.is_usable()).map(|path| path.device.clone());
            Lun {
                name: map.name.clone(),
                active: map.usable(),
                // A map without any path has lost at least one.
                total: wanted.max(1),
                controllers_active: used.len(),
                controllers_total: seen.controllers,
                queues: map.queues,
                failed: failed.collect(),
                controllers_lost: map.lost_controllers().into_iter().map(str::to_owned).collect(),
                is_trespassed: map.is_trespassed(),
            }
        };
        maps.iter().map(lun).collect()
    }
}

fn key(map: &Map) -> String {
    if map.uuid.is_empty() { map.name.clone() } else { map.uuid.clone() }
}

impl Lun {
    fn finding(&self) -> Finding {
        match self.active {
            0 => Finding::NoPath,
            active if active >= self.total && self.controllers_active >= self.controllers_total => {
                if self.is_trespassed { Finding::Trespassed } else { Finding::Ok }
            }
            1 => Finding::OnePath,
            _ if self.controllers_active < self.controllers_total => Finding::ControllerLost,
            _ => Finding::PathsLost,
        }
    }

    fn line(&self) -> String {
        let mut line = format!("{}: {} of {} paths", self.name, self.active, self.total);
        if self.controllers_total > 0 {
            line.push_str(&format!(", {} of {} controllers", self.controllers_active, self.controllers_total));
        }
        if !self.failed.is_empty() {
            line.push_str(&format!(", failed: {}", self.failed.join(" ")));
        }
        if !self.controllers_lost.is_empty() && self.active > 0 {
            line.push_str(&format!(", no path to {}", self.controllers_lost.join(" ")));
        }
        if self.is_trespassed {
            line.push_str(", I/O goes by the poorer paths");
        }
        if self.active == 0 {
            line.push_str(if self.queues { ", I/O HANGS until a path is back" } else { ", I/O FAILS" });
        }
        line
    }

    /// A value of the signal `path`.
    fn value(&self) -> Value {
        let mut pairs: Vec<(&str, Value)> =
            vec![("map", self.name.as_str().into()), ("active", self.active.into()), ("total", self.total.into())];
        // Only where there is one to lose: an array with a single controller has lost none.
        if self.controllers_total > 1 {
            pairs.push(("controllers_active", self.controllers_active.into()));
            pairs.push(("controllers_total", self.controllers_total.into()));
        }
        pairs.into_iter().collect()
    }
}

impl Finding {
    fn word(self) -> &'static str {
        match self {
            Finding::Ok => "ok",
            Finding::Trespassed => "trespassed",
            Finding::PathsLost => "paths_lost",
            Finding::ControllerLost => "controller_lost",
            Finding::OnePath => "one_path",
            Finding::NoPath => "no_path",
        }
    }
}

fn observe(luns: &[Lun], absent: Vec<String>) -> Observation {
    let mut sorted: Vec<&Lun> = luns.iter().collect();
    sorted.sort_by(|a, b| b.finding().cmp(&a.finding()).then_with(|| a.name.cmp(&b.name)));
    let worst = sorted.first();
    let finding = worst.map_or(Finding::Ok, |lun| lun.finding());
    let mut headline = match worst {
        None => "this host has no multipath device".to_owned(),
        Some(_) if finding == Finding::Ok => format!("all paths of {} LUNs work", luns.len()),
        Some(lun) => lun.line(),
    };
    let poorer = luns.iter().filter(|lun| lun.finding() != Finding::Ok).count();
    if poorer > 1 {
        headline.push_str(&format!(" (and {} LUNs more)", poorer - 1));
    }
    if !absent.is_empty() {
        headline = format!("missing: {}; {headline}", absent.join(", "));
    }
    let mut gone: Vec<String> = luns.iter().flat_map(|lun| lun.controllers_lost.iter().cloned()).collect();
    gone.sort_unstable();
    gone.dedup();
    let mut controllers: Vec<&&Lun> = sorted.iter().filter(|lun| lun.controllers_total > 0).collect();
    controllers.sort_by_key(|lun| lun.controllers_active);
    let lines: Vec<String> = sorted.iter().take(TOLD_MAX).map(|lun| lun.line()).collect();
    let told = sorted.iter().take(TOLD_MAX);
    let mut seen = Observation::observed(headline)
        .long(lines.join("\n"))
        .fact("maps", luns.len())
        .fact("missing", absent)
        .fact("finding", finding.word())
        .fact("degraded", poorer)
        .fact("without_path", luns.iter().filter(|lun| lun.active == 0).count())
        .fact("controllers_lost", gone)
        .fact("trespassed", luns.iter().filter(|lun| lun.is_trespassed).count())
        .fact("path", Value::List(told.clone().map(|lun| lun.value()).collect()));
    if let Some(lun) = controllers.first() {
        seen = seen.fact("controllers_min", lun.controllers_active);
    }
    for lun in told {
        seen = seen.measure(&format!("paths {}", lun.name), lun.active as f64, "");
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{build, env, number, plain_env, run_on, target, text, within};
    use crate::view::ToolRun;

    const SHOW: &str = "multipathd show maps json";

    /// Paths by device, state and controller.
    fn maps(paths: &[(&str, &str, &str)]) -> String {
        let path = |(device, state, target): &(&str, &str, &str)| {
            let checker = if *state == "active" { "ready" } else { "faulty" };
            format!(
                r#"{{"dev":"{device}","dm_st":"{state}","dev_st":"running","chk_st":"{checker}","target_wwpn":"{target}"}}"#
            )
        };
        let paths: Vec<String> = paths.iter().map(path).collect();
        format!(
            r#"{{"maps":[{{"name":"mpatha","uuid":"36","features":"1 queue_if_no_path","path_groups":[{{"dm_st":"active","paths":[{}]}}]}}]}}"#,
            paths.join(",")
        )
    }

    fn run_of(stdout: &str) -> ToolRun {
        ToolRun { code: Some(0), stdout: stdout.into(), stderr: String::new() }
    }

    fn host(stdout: &str) -> Arc<SimView> {
        let tools = [(SHOW.to_owned(), run_of(stdout))].into();
        Arc::new(SimView::of(SimHost { tools, ..SimHost::default() }))
    }

    #[tokio::test]
    async fn what_is_left_of_a_lun_is_told_apart() {
        let (up, down) = ("active", "failed");
        for (paths, finding) in [
            (&[("a", up, "1"), ("b", up, "1"), ("c", up, "2"), ("d", up, "2")][..], "ok"),
            (&[("a", up, "1"), ("b", down, "1"), ("c", up, "2"), ("d", up, "2")], "paths_lost"),
            (&[("a", up, "1"), ("b", up, "1"), ("c", down, "2"), ("d", down, "2")], "controller_lost"),
            (&[("a", up, "1"), ("b", up, "2"), ("c", down, "3")], "controller_lost"),
            (&[("a", up, "1"), ("b", down, "1"), ("c", down, "2"), ("d", down, "2")], "one_path"),
            (&[("a", down, "1"), ("b", down, "2")], "no_path"),
            (&[("a", up, "1")], "ok"),
        ] {
            let seen = run_on("multipath", "{}", host(&maps(paths))).await.expect("observed");
            assert_eq!(text(&seen, "finding"), finding, "{paths:?}");
        }
    }

    #[tokio::test]
    async fn the_controllers_that_are_lost_are_named() {
        let paths = [("a", "active", "0xa"), ("b", "active", "0xa"), ("c", "failed", "0xb"), ("d", "failed", "0xb")];
        let seen = run_on("multipath", "{}", host(&maps(&paths))).await.expect("observed");
        assert_eq!(text(&seen, "controllers_lost"), "[0xb]");
        assert!(seen.text.contains("no path to 0xb"), "{}", seen.text);
        let path = &seen.facts["path"].list().expect("a list")[0];
        let count = |key: &str| path.get(key).and_then(Value::number);
        assert_eq!((count("controllers_active"), count("controllers_total")), (Some(1.0), Some(2.0)));
    }

    #[tokio::test]
    async fn a_lun_without_a_path_says_what_becomes_of_io() {
        let seen = run_on("multipath", "{}", host(&maps(&[("a", "failed", "1")]))).await.expect("observed");
        assert!(seen.text.contains("I/O HANGS"), "{}", seen.text);
        let path = &seen.facts["path"].list().expect("a list")[0];
        assert_eq!(
            (path.get("active").and_then(Value::number), path.get("total").and_then(Value::number)),
            (Some(0.0), Some(1.0))
        );
    }

    #[tokio::test]
    async fn a_path_that_was_removed_is_missed() {
        let view = host(&maps(&[("a", "active", "1"), ("b", "active", "2")]));
        let probe = build("multipath", "{}", &env(Arc::clone(&view) as Arc<dyn HostView>)).expect("built");
        let seen = probe.run(&target("h"), within(5000)).await.expect("observed");
        assert_eq!(text(&seen, "finding"), "ok");
        view.change(|host| drop(host.tools.insert(SHOW.into(), run_of(&maps(&[("a", "active", "1")])))));
        let seen = probe.run(&target("h"), within(5000)).await.expect("observed");
        assert_eq!(text(&seen, "finding"), "one_path");
        let asked =
            run_on("multipath", r#"{"paths":4}"#, host(&maps(&[("a", "active", "1"), ("b", "active", "2")]))).await;
        assert_eq!(text(&asked.expect("observed"), "finding"), "paths_lost");
    }

    #[tokio::test]
    async fn a_daemon_that_does_not_answer_is_never_health() {
        let seen = run_on("multipath", "{}", host("ux_socket_connect: Connection refused")).await;
        assert!(seen.as_ref().is_err_and(|error| error.to_string().contains("Connection refused")), "{seen:?}");
        let none = run_on("multipath", r#"{"maps":["mpatha"]}"#, Arc::new(SimView::new())).await.expect("observed");
        assert_eq!((number(&none, "maps"), text(&none, "missing")), (0.0, "[mpatha]".into()));
        let view = SimView::new();
        view.put("/sys/block/dm-2/dm/uuid", "mpath-36006\n");
        let seen = run_on("multipath", "{}", Arc::new(view)).await;
        assert!(seen.as_ref().is_err_and(|error| error.to_string().contains("not installed")), "{seen:?}");
        assert!(build("multipath", r#"{"paths":0}"#, &plain_env()).is_err());
    }
}
