//! Ceph as `ceph status`, `ceph health detail` (JSON) and the manager's page for Prometheus tell it: health checks, monitors, OSDs,
//! placement groups, what is degraded and how fast it recovers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::exposition::Page;
use crate::tool_json::{self, JsonError};

/// Messages kept of one check; a big cluster has thousands of lines that say the same.
const DETAILS_MAX: usize = 16;

/// One health check that is raised.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Check {
    /// `OSD_DOWN`
    pub code: String,
    /// `HEALTH_WARN`, `HEALTH_ERR`
    pub severity: String,
    pub message: String,
    pub details: Vec<String>,
    /// Somebody has silenced it.
    pub is_muted: bool,
}

/// One daemon with the host it runs on, as the manager knows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Daemon {
    /// `osd.3`, `mon.a`
    pub name: String,
    pub host: String,
    /// Up, in the quorum, active; `None` where nothing is told of it.
    pub is_up: Option<bool>,
    /// Of an OSD.
    pub used_pct: Option<f64>,
}

impl Daemon {
    /// Whether it runs on this host: names with and without a domain are the same host.
    pub fn is_on(&self, host: &str) -> bool {
        let short = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
        !self.host.is_empty()
            && (self.host.eq_ignore_ascii_case(host)
                || (self.host.contains('.') != host.contains('.') && short(&self.host) == short(host)))
    }
}

/// A cluster; what was not told is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// `HEALTH_OK`, `HEALTH_WARN`, `HEALTH_ERR`
    pub health: String,
    pub checks: Vec<Check>,
    pub mons: Option<u64>,
    pub mons_in_quorum: Option<u64>,
    pub osds: Option<u64>,
    pub osds_up: Option<u64>,
    pub osds_in: Option<u64>,
    pub pgs: Option<u64>,
    /// `active+clean` -> how many; by the manager's page only what counts below.
    pub pg_states: BTreeMap<String, u64>,
    /// Placement groups that serve nothing.
    pub pgs_inactive: Option<u64>,
    pub pgs_degraded: Option<u64>,
    pub objects_degraded: Option<u64>,
    pub objects_misplaced: Option<u64>,
    pub objects_unfound: Option<u64>,
    pub degraded_pct: Option<f64>,
    pub misplaced_pct: Option<f64>,
    pub recovering_per_s: Option<f64>,
    pub used_bytes: Option<f64>,
    pub total_bytes: Option<f64>,
    pub mgr_standbys: Option<u64>,
    /// Only the manager's page tells hosts.
    pub daemons: Vec<Daemon>,
}

impl Cluster {
    /// Until all is where it belongs, at the present pace.
    pub fn recovery_left_s(&self) -> Option<f64> {
        let todo = self.objects_degraded.unwrap_or(0).saturating_add(self.objects_misplaced.unwrap_or(0));
        let pace = self.recovering_per_s.filter(|pace| *pace > 0.0)?;
        (todo > 0).then(|| (todo as f64 / pace).round())
    }

    pub fn used_pct(&self) -> Option<f64> {
        let total = self.total_bytes.filter(|total| *total > 0.0)?;
        Some((self.used_bytes? / total * 1000.0).round() / 10.0)
    }

    /// Codes of the checks that nobody silenced.
    pub fn codes(&self) -> Vec<String> {
        self.checks.iter().filter(|check| !check.is_muted).map(|check| check.code.clone()).collect()
    }
}

/// Reads `ceph status --format json`.
///
/// # Errors
/// It is no JSON, or not of Ceph.
pub fn parse_status(text: &str) -> Result<Cluster, JsonError> {
    let document: Value = tool_json::document(text)?;
    let health = document.get("health").ok_or_else(|| JsonError::Shape("no member `health`".into()))?;
    let mut cluster = Cluster { checks: checks(health), health: word(health, "status"), ..Cluster::default() };
    // Before Nautilus the numbers of the OSD map stood one level deeper.
    let osds = member(&document, &["osdmap", "osdmap"]).or_else(|| document.get("osdmap"));
    let of = |map: Option<&Value>, key: &str| map.and_then(|map| map.get(key)).and_then(Value::as_u64);
    cluster.osds = of(osds, "num_osds");
    cluster.osds_up = of(osds, "num_up_osds");
    cluster.osds_in = of(osds, "num_in_osds");
    let monitors = document.get("monmap");
    let listed = monitors.and_then(|map| map.get("mons")).and_then(Value::as_array).map(|mons| mons.len() as u64);
    cluster.mons = of(monitors, "num_mons").or(listed);
    cluster.mons_in_quorum = document.get("quorum").and_then(Value::as_array).map(|quorum| quorum.len() as u64);
    cluster.mgr_standbys = of(document.get("mgrmap"), "num_standbys");
    if let Some(map) = document.get("pgmap") {
        groups(map, &mut cluster);
    }
    Ok(cluster)
}

fn member<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn word(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn groups(map: &Value, cluster: &mut Cluster) {
    let count = |key: &str| map.get(key).and_then(Value::as_u64);
    let share = |key: &str| map.get(key).and_then(Value::as_f64).filter(|share| (0.0..=1.0).contains(share));
    let states = map.get("pgs_by_state").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for state in states {
        let number = state.get("count").and_then(Value::as_u64).unwrap_or(0);
        cluster.pg_states.insert(word(state, "state_name"), number);
    }
    let having = |wanted: &dyn Fn(&[&str]) -> bool| -> u64 {
        let of = cluster.pg_states.iter().filter(|(name, _)| wanted(&name.split('+').collect::<Vec<_>>()));
        of.map(|(_, count)| *count).fold(0, u64::saturating_add)
    };
    cluster.pgs_inactive = Some(having(&|words| !words.contains(&"active")));
    cluster.pgs_degraded = Some(having(&|words| words.contains(&"degraded") || words.contains(&"undersized")));
    cluster.pgs = count("num_pgs");
    // What is zero is left out.
    cluster.objects_degraded = Some(count("degraded_objects").unwrap_or(0));
    cluster.objects_misplaced = Some(count("misplaced_objects").unwrap_or(0));
    cluster.objects_unfound = Some(count("unfound_objects").unwrap_or(0));
    cluster.degraded_pct = Some(share("degraded_ratio").unwrap_or(0.0) * 100.0);
    cluster.misplaced_pct = Some(share("misplaced_ratio").unwrap_or(0.0) * 100.0);
    cluster.recovering_per_s = map.get("recovering_objects_per_sec").and_then(Value::as_f64);
    cluster.used_bytes = map.get("bytes_used").and_then(Value::as_f64);
    cluster.total_bytes = map.get("bytes_total").and_then(Value::as_f64);
}

fn checks(health: &Value) -> Vec<Check> {
    let Some(map) = health.get("checks").and_then(Value::as_object) else { return Vec::new() };
    let check = |(code, check): (&String, &Value)| {
        let details = check.get("detail").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Check {
            code: code.clone(),
            severity: word(check, "severity"),
            message: check.get("summary").map(|summary| word(summary, "message")).unwrap_or_default(),
            details: details.iter().take(DETAILS_MAX).map(|one| word(one, "message")).collect(),
            is_muted: check.get("muted").and_then(Value::as_bool).unwrap_or(false),
        }
    };
    map.iter().map(check).collect()
}

/// Adds what `ceph health detail --format json` says of each check: which OSD, which pool.
///
/// # Errors
/// It is no JSON.
pub fn add_details(text: &str, cluster: &mut Cluster) -> Result<(), JsonError> {
    let document: Value = tool_json::document(text)?;
    for told in checks(&document) {
        match cluster.checks.iter_mut().find(|check| check.code == told.code) {
            Some(check) => check.details = told.details,
            None => cluster.checks.push(told),
        }
    }
    Ok(())
}

/// Metrics of the manager's module `prometheus` that are read.
pub fn is_read(metric: &str) -> bool {
    metric.starts_with("ceph_health_")
        || metric.starts_with("ceph_num_objects")
        || metric.starts_with("ceph_cluster_total_")
        || (metric.starts_with("ceph_") && metric.ends_with("_metadata"))
        || [
            "ceph_mgr_status",
            "ceph_osd_stat_bytes",
            "ceph_osd_stat_bytes_used",
            "ceph_mon_quorum_status",
            "ceph_osd_up",
            "ceph_osd_in",
            "ceph_pg_total",
            "ceph_pg_active",
            "ceph_pg_degraded",
        ]
        .contains(&metric)
}

/// Reads the manager's page; `None` = it holds no health: a standby manager answers, or something else.
pub fn of_page(page: &Page) -> Option<Cluster> {
    let values = |name: &'static str| page.samples.iter().filter(move |one| one.name == name && one.value.is_finite());
    let sum = |name: &'static str| values(name).map(|one| one.value).reduce(|a, b| a + b).map(|sum| sum.max(0.0));
    let count = |name: &'static str| sum(name).map(|sum| sum as u64);
    let status = values("ceph_health_status").next()?.value;
    let health = match status as i64 {
        0 => "HEALTH_OK",
        1 => "HEALTH_WARN",
        _ => "HEALTH_ERR",
    };
    let raised = values("ceph_health_detail").filter(|one| one.value > 0.0);
    let checks = raised
        .map(|one| Check {
            code: one.label("name").to_owned(),
            severity: one.label("severity").to_owned(),
            ..Check::default()
        })
        .collect();
    let (pgs, active) = (count("ceph_pg_total"), count("ceph_pg_active"));
    Some(Cluster {
        health: health.to_owned(),
        checks,
        mons: Some(values("ceph_mon_quorum_status").count() as u64).filter(|mons| *mons > 0),
        mons_in_quorum: count("ceph_mon_quorum_status"),
        osds: Some(values("ceph_osd_up").count() as u64),
        osds_up: count("ceph_osd_up"),
        osds_in: count("ceph_osd_in"),
        pgs,
        pg_states: BTreeMap::new(),
        pgs_inactive: pgs.zip(active).map(|(pgs, active)| pgs.saturating_sub(active)),
        pgs_degraded: count("ceph_pg_degraded"),
        objects_degraded: count("ceph_num_objects_degraded"),
        objects_misplaced: count("ceph_num_objects_misplaced"),
        objects_unfound: count("ceph_num_objects_unfound"),
        used_bytes: sum("ceph_cluster_total_used_bytes"),
        total_bytes: sum("ceph_cluster_total_bytes"),
        daemons: daemons(page),
        ..Cluster::default()
    })
}

fn daemons(page: &Page) -> Vec<Daemon> {
    let mut all: Vec<Daemon> = Vec::new();
    for kind in ["mon", "mgr", "osd", "mds", "rgw"] {
        let metric = format!("ceph_{kind}_metadata");
        let told = page.samples.iter().filter(|one| one.name == metric);
        all.extend(told.map(|one| Daemon {
            name: one.label("ceph_daemon").to_owned(),
            host: one.label("hostname").to_owned(),
            ..Daemon::default()
        }));
    }
    let numbers = |metric: &str| -> BTreeMap<&str, f64> {
        let told = page.samples.iter().filter(|one| one.name == metric && one.value.is_finite());
        told.map(|one| (one.label("ceph_daemon"), one.value)).collect()
    };
    let states = ["ceph_osd_up", "ceph_mon_quorum_status", "ceph_mgr_status"].map(numbers);
    let (used, size) = (numbers("ceph_osd_stat_bytes_used"), numbers("ceph_osd_stat_bytes"));
    for daemon in &mut all {
        let name = daemon.name.as_str();
        daemon.is_up = states.iter().find_map(|states| states.get(name)).map(|state| *state > 0.0);
        let size = size.get(name).filter(|size| **size > 0.0);
        daemon.used_pct = used.get(name).zip(size).map(|(used, size)| (used / size * 1000.0).round() / 10.0);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hand-written after the documentation of Ceph 17 (health checks, placement group states); Luminous' nesting below.
    const STATUS: &str = r#"2026-11-22T06:00:00 7f -1 auth: a banner
{"fsid":"x","health":{"status":"HEALTH_WARN","checks":{"OSD_DOWN":{"severity":"HEALTH_WARN","summary":{"message":"1 osds down","count":1},
"muted":false},"POOL_NEARFULL":{"severity":"HEALTH_WARN","summary":{"message":"1 pool(s) nearfull","count":1},"muted":true}},"mutes":[]},
"quorum":[0,1],"quorum_names":["a","b"],"monmap":{"epoch":1,"num_mons":3},"osdmap":{"num_osds":6,"num_up_osds":5,"num_in_osds":6},
"pgmap":{"pgs_by_state":[{"state_name":"active+clean","count":100},{"state_name":"active+undersized+degraded","count":28},
{"state_name":"down","count":1}],"num_pgs":129,"num_objects":1000,"bytes_used":600,"bytes_total":1000,"degraded_objects":300,
"degraded_total":3000,"degraded_ratio":0.1,"misplaced_objects":60,"recovering_objects_per_sec":3},"mgrmap":{"num_standbys":1}}"#;

    #[test]
    fn a_degraded_cluster_is_read() {
        let mut seen = parse_status(STATUS).expect("a status");
        assert_eq!((seen.health.as_str(), seen.codes()), ("HEALTH_WARN", vec!["OSD_DOWN".to_owned()]));
        assert_eq!((seen.mons, seen.mons_in_quorum, seen.mgr_standbys), (Some(3), Some(2), Some(1)));
        assert_eq!((seen.osds, seen.osds_up, seen.osds_in), (Some(6), Some(5), Some(6)));
        assert_eq!((seen.pgs_inactive, seen.pgs_degraded, seen.objects_unfound), (Some(1), Some(28), Some(0)));
        assert_eq!((seen.degraded_pct, seen.recovery_left_s(), seen.used_pct()), (Some(10.0), Some(120.0), Some(60.0)));
        let detail = r#"{"status":"HEALTH_WARN","checks":{"OSD_DOWN":{"severity":"HEALTH_WARN","summary":{"message":"1 osds down"},
            "detail":[{"message":"osd.3 (root=default,host=c) is down"}]}}}"#;
        add_details(detail, &mut seen).expect("JSON");
        assert_eq!(seen.checks[0].details, ["osd.3 (root=default,host=c) is down"]);
    }

    #[test]
    fn an_old_cluster_is_read() {
        let old = r#"{"health":{"status":"HEALTH_OK"},"quorum":[0],"monmap":{"mons":[{"name":"a"},{"name":"b"},{"name":"c"}]},
            "osdmap":{"osdmap":{"num_osds":3,"num_up_osds":3,"num_in_osds":3,"full":false}}}"#;
        let seen = parse_status(old).expect("a status");
        assert_eq!((seen.mons, seen.mons_in_quorum, seen.osds_up, seen.pgs), (Some(3), Some(1), Some(3), None));
    }

    /// After src/pybind/mgr/prometheus/module.py.
    const PAGE: &str = "# TYPE ceph_health_status untyped\nceph_health_status 2.0\n\
        ceph_health_detail{name=\"OSD_FULL\",severity=\"HEALTH_ERR\"} 1.0\nceph_health_detail{name=\"OLD\",severity=\"HEALTH_WARN\"} 0.0\n\
        ceph_mon_quorum_status{ceph_daemon=\"mon.a\"} 1.0\nceph_mon_quorum_status{ceph_daemon=\"mon.b\"} 0.0\n\
        ceph_osd_up{ceph_daemon=\"osd.0\"} 1.0\nceph_osd_up{ceph_daemon=\"osd.1\"} 0.0\nceph_osd_in{ceph_daemon=\"osd.0\"} 1.0\n\
        ceph_pg_total{pool_id=\"1\"} 64.0\nceph_pg_total{pool_id=\"2\"} 32.0\nceph_pg_active{pool_id=\"1\"} 64.0\n\
        ceph_pg_active{pool_id=\"2\"} 30.0\nceph_pg_degraded{pool_id=\"2\"} 4.0\nceph_num_objects_unfound 3.0\n\
        ceph_cluster_total_bytes 1000\nceph_cluster_total_used_bytes 955\nceph_osd_op{ceph_daemon=\"osd.0\"} 7\n";

    #[test]
    fn each_daemon_is_known_with_its_host() {
        let page = "ceph_health_status 0.0\nceph_osd_metadata{ceph_daemon=\"osd.0\",hostname=\"ceph1.example.org\"} 1.0\n\
            ceph_osd_metadata{ceph_daemon=\"osd.1\",hostname=\"ceph2\"} 1.0\nceph_osd_up{ceph_daemon=\"osd.0\"} 1.0\n\
            ceph_osd_up{ceph_daemon=\"osd.1\"} 0.0\nceph_osd_stat_bytes{ceph_daemon=\"osd.0\"} 1000\n\
            ceph_osd_stat_bytes_used{ceph_daemon=\"osd.0\"} 955\nceph_mon_metadata{ceph_daemon=\"mon.a\",hostname=\"ceph1\"} 1.0\n\
            ceph_mon_quorum_status{ceph_daemon=\"mon.a\"} 1.0\n";
        let seen = of_page(&Page::parse(page, is_read)).expect("a cluster").daemons;
        let told: Vec<_> = seen.iter().map(|one| (one.name.as_str(), one.is_up, one.used_pct)).collect();
        assert_eq!(
            told,
            [("mon.a", Some(true), None), ("osd.0", Some(true), Some(95.5)), ("osd.1", Some(false), None)]
        );
        assert_eq!(seen.iter().map(|one| one.is_on("ceph1")).collect::<Vec<_>>(), [true, true, false]);
        assert!(!seen[1].is_on("ceph1.elsewhere.org"));
    }

    #[test]
    fn the_managers_page_says_the_same() {
        let seen = of_page(&Page::parse(PAGE, is_read)).expect("a cluster");
        assert_eq!((seen.health.as_str(), seen.codes()), ("HEALTH_ERR", vec!["OSD_FULL".to_owned()]));
        assert_eq!((seen.mons, seen.mons_in_quorum), (Some(2), Some(1)));
        assert_eq!((seen.osds, seen.osds_up, seen.pgs, seen.pgs_inactive), (Some(2), Some(1), Some(96), Some(2)));
        assert_eq!((seen.objects_unfound, seen.used_pct(), seen.pgs_degraded), (Some(3), Some(95.5), Some(4)));
        assert_eq!(of_page(&Page::parse("up 1\n", is_read)), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\{|\\}|\\[|\\]|\"health\"|\"checks\"|\"pgmap\"|:|,|\"é\"|[0-9]{1,9}|\\PC){0,40}") {
            let _ = parse_status(&text);
            let _ = add_details(&text, &mut Cluster::default());
        }

        #[test]
        fn any_truncation_reads_or_refuses(cut in 0usize..1100) {
            let _ = parse_status(STATUS.get(..cut).unwrap_or(STATUS));
            let page = PAGE.get(..cut).unwrap_or(PAGE);
            let _ = of_page(&Page::parse(page, is_read)).and_then(|cluster| cluster.used_pct());
        }
    }
}
