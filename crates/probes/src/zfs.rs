//! `zfs`: pools of this host by zpool: what redundancy is left, resilver, scrub, errors, fullness.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::zpool::{Pool, add_list, parse_status};

use super::tool::{Tool, refusal};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Pools that must be imported.
    pub pools: Vec<String>,
    /// Replaces `zpool`, with `sudo -n` before it for instance.
    pub command: Vec<String>,
}

pub struct Zfs {
    view: Arc<dyn HostView>,
    tool: Tool,
    pools: Vec<String>,
}

impl Probe for Zfs {
    const KIND: &'static str = "zfs";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/zfs.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let tool = Tool::new(&["zpool"], &config.command)?;
        Ok(Zfs { view: Arc::clone(&env.view), tool, pools: config.pools })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let Some(run) = self.tool.run(&self.view, &["status", "-P"], deadline).await? else {
            // Without the tool there is no pool that anybody could have made.
            return Ok(observe(&[], self.pools.clone()));
        };
        let mut pools = parse_status(&run.stdout);
        let none = format!("{}{}", run.stdout, run.stderr).contains("no pools available");
        if run.code != Some(0) || (pools.is_empty() && !none) {
            return Err(refusal(&self.tool, &run, "it lists no pool"));
        }
        let list = ["list", "-Hp", "-o", "name,capacity,fragmentation,health"];
        if !pools.is_empty()
            && let Some(list) = self.tool.run(&self.view, &list, deadline).await?
        {
            add_list(&list.stdout, &mut pools);
        }
        let is_there = |wanted: &&String| pools.iter().any(|pool| pool.name == **wanted);
        let absent = self.pools.iter().filter(|wanted| !is_there(wanted)).cloned().collect();
        Ok(observe(&pools, absent))
    }
}

/// From good to bad.
fn rank(pool: &Pool) -> usize {
    const WORDS: [&str; 6] = ["Optl", "Pdgd", "Rbld", "Dgrd", "Unknown", "OfLn"];
    WORDS.iter().position(|word| *word == pool.word()).unwrap_or(WORDS.len())
}

/// The level of the poorest group, in the words of the signal `raid`.
fn level(pool: &Pool) -> String {
    let poorest = pool.groups.iter().min_by_key(|group| group.may_fail());
    let name = poorest.map_or("", |group| group.name.as_str());
    let kind = name.split('-').next().unwrap_or_default();
    if kind.is_empty() || kind.starts_with('/') { "stripe".to_owned() } else { kind.to_owned() }
}

/// A value of the signal `raid`.
fn value(pool: &Pool) -> Value {
    let mut pairs: Vec<(&str, Value)> = vec![
        ("vd", pool.name.as_str().into()),
        ("level", level(pool).into()),
        ("state", pool.word().into()),
        ("pd_failed", pool.gone.clone().into()),
        ("hotspare", pool.spares_free.into()),
    ];
    if let Some(pct) = pool.scan.as_ref().filter(|scan| scan.is_resilver).and_then(|scan| scan.done_pct) {
        pairs.push(("progress", pct.into()));
    }
    pairs.into_iter().collect()
}

fn line(pool: &Pool) -> String {
    let mut line = format!("{}: {} ({})", pool.name, pool.word(), pool.state);
    match pool.may_fail() {
        0 => line.push_str(", no device more may fail"),
        1 => line.push_str(", 1 device more may fail"),
        count => line.push_str(&format!(", {count} devices more may fail")),
    }
    if let Some(scan) = &pool.scan {
        line.push_str(if scan.is_resilver { ", resilver" } else { ", scrub" });
        if let Some(pct) = scan.done_pct {
            line.push_str(&format!(" {pct} %"));
        }
        if let Some(left_s) = scan.left_s {
            line.push_str(&format!(", about {} min left", (left_s / 60.0).ceil()));
        }
    }
    if !pool.gone.is_empty() {
        line.push_str(&format!(", gone: {}", pool.gone.join(" ")));
    }
    if !pool.with_errors.is_empty() {
        line.push_str(&format!(", counted errors: {}", pool.with_errors.join(" ")));
    }
    if let Some(lost) = &pool.data_errors {
        line.push_str(&format!(", DATA LOST: {lost}"));
    }
    if let Some(pct) = pool.capacity_pct {
        line.push_str(&format!(", {pct} % full"));
    }
    line
}

fn observe(pools: &[Pool], absent: Vec<String>) -> Observation {
    let worst = pools.iter().rev().max_by_key(|pool| (rank(pool), pool.data_errors.is_some()));
    let names = |meant: &dyn Fn(&Pool) -> bool| -> Vec<String> {
        pools.iter().filter(|pool| meant(pool)).map(|pool| pool.name.clone()).collect()
    };
    let mut headline = worst.map_or_else(|| "this host has no ZFS pool".to_owned(), line);
    if !absent.is_empty() {
        headline = format!("not imported: {}; {headline}", absent.join(", "));
    }
    let devices = |of: &dyn Fn(&Pool) -> &Vec<String>| -> Vec<String> {
        pools.iter().flat_map(|pool| of(pool).iter().map(|device| format!("{}:{device}", pool.name))).collect()
    };
    let fullest = pools.iter().filter_map(|pool| pool.capacity_pct).fold(0.0, f64::max);
    let mut seen = Observation::observed(headline)
        .long(pools.iter().map(line).collect::<Vec<_>>().join("\n"))
        .fact("pools", pools.len())
        .fact("missing", absent)
        .fact("state", worst.map_or("none", Pool::word))
        .fact("gone", devices(&|pool| &pool.gone))
        .fact("with_errors", devices(&|pool| &pool.with_errors))
        .fact("data_lost", names(&|pool| pool.data_errors.is_some()))
        .fact("resilvering", names(&|pool| pool.scan.as_ref().is_some_and(|scan| scan.is_resilver)))
        .fact("capacity_pct_max", fullest)
        .fact("raid", Value::List(pools.iter().map(value).collect()));
    if let Some(pool) = worst {
        seen = seen.fact("may_fail", pool.may_fail());
    }
    let left = pools.iter().filter_map(|pool| pool.scan.as_ref()?.left_s).reduce(f64::max);
    if let Some(left) = left {
        seen = seen.fact("left_s", left);
    }
    for pool in pools {
        let name = &pool.name;
        seen = seen.measure(&format!("may_fail {name}"), pool.may_fail() as f64, "");
        let numbers = [
            ("capacity", pool.capacity_pct),
            ("fragmented", pool.fragmented_pct),
            ("progress", pool.scan.as_ref().and_then(|scan| scan.done_pct)),
        ];
        for (label, number) in numbers {
            if let Some(number) = number {
                seen = seen.measure(&format!("{label} {name}"), number, "%");
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{number, run_on, text};
    use crate::view::ToolRun;

    const STATUS: &str = "  pool: tank\n state: DEGRADED\n  scan: resilver in progress since Sat Nov 21 10:00:00 2026\n\
        \t45.20% done, 00:10:00 to go\nconfig:\n\n\tNAME STATE READ WRITE CKSUM\n\ttank DEGRADED 0 0 0\n\t  mirror-0 DEGRADED 0 0 0\n\
        \t    /dev/sda ONLINE 0 0 0\n\t    /dev/sdb UNAVAIL 3 0 0\n\nerrors: No known data errors\n";

    fn host(status: (i32, &str, &str)) -> Arc<SimView> {
        let (code, stdout, stderr) = status;
        let run = |code, stdout: &str, stderr: &str| ToolRun {
            code: Some(code),
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        let tools = [
            ("zpool status -P".to_owned(), run(code, stdout, stderr)),
            ("zpool list -Hp -o name,capacity,fragmentation,health".to_owned(), run(0, "tank\t81\t5\tDEGRADED\n", "")),
        ];
        Arc::new(SimView::of(SimHost { tools: tools.into(), ..SimHost::default() }))
    }

    #[tokio::test]
    async fn a_resilver_tells_what_is_left_and_when_it_ends() {
        let seen = run_on("zfs", r#"{"pools":["tank","gone"]}"#, host((0, STATUS, ""))).await.expect("observed");
        assert_eq!((text(&seen, "state"), number(&seen, "may_fail")), ("Rbld".into(), 0.0));
        assert_eq!((text(&seen, "missing"), number(&seen, "left_s")), ("[gone]".into(), 600.0));
        assert_eq!(
            (text(&seen, "gone"), text(&seen, "with_errors")),
            ("[tank:/dev/sdb]".into(), "[tank:/dev/sdb]".into())
        );
        assert_eq!(number(&seen, "capacity_pct_max"), 81.0);
        let raid = &seen.facts["raid"].list().expect("a list")[0];
        assert_eq!(raid.get("progress").and_then(Value::number), Some(45.2));
        assert_eq!(raid.get("level").and_then(Value::text), Some("mirror"));
    }

    #[tokio::test]
    async fn no_pool_is_fine_and_a_tool_that_fails_is_not() {
        let none = run_on("zfs", "{}", host((0, "no pools available\n", ""))).await.expect("observed");
        assert_eq!((number(&none, "pools"), text(&none, "state")), (0.0, "none".into()));
        let absent = run_on("zfs", r#"{"pools":["tank"]}"#, Arc::new(SimView::new())).await.expect("observed");
        assert_eq!(text(&absent, "missing"), "[tank]");
        let denied =
            run_on("zfs", "{}", host((1, "", "Permission denied the ZFS utilities must be run as root."))).await;
        assert!(matches!(denied, Err(ProbeError::MissingRight(_))), "{denied:?}");
        let odd = run_on("zfs", "{}", host((0, "something else", ""))).await;
        assert!(odd.as_ref().is_err_and(|error| error.to_string().contains("something else")), "{odd:?}");
    }
}
