//! Every component fails in every way, alone, in a whole cloud: one verdict, in the right cell, all else suppressed.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use stentor_core::diagnosis::{Class, CoreState, Diagnosis, Signal, TargetKind, Timing, Topology, Verdict, diagnose};
use stentor_core::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_795_226_531);
/// Every check of the cloud runs at this interval.
const EVERY: Span = Span::from_secs(10);

fn topology() -> Topology {
    let hosts = json!({
        "clc1": ["clc"], "ufs1": ["ufs"], "ufs2": ["ufs"], "con1": ["console"], "con2": ["console"],
        "walrus1": ["walrus"], "cca": ["cc"], "sca": ["sc"], "nca1": ["nc"], "nca2": ["nc"],
        "ccb": ["cc"], "scb": ["sc"], "ncb1": ["nc"], "ncb2": ["nc"],
        "ccv": ["cc"], "scv": ["sc"], "vbv": ["vb"], "elb1": ["elb"], "elb2": ["elb"], "iw1": ["iw"]
    });
    parse(json!({
        "platform": "eucalyptus", "ebs": "overlay", "object": "walrus", "min_nc": 1, "hosts": hosts,
        "zones": {"A": ["cca", "sca", "nca1", "nca2"], "B": ["ccb", "scb", "ncb1", "ncb2"], "V": ["ccv", "scv", "vbv"]},
        "vmware_zones": ["V"], "jvm": ["clc", "ufs", "sc", "walrus", "vb"], "mgmt_switch": "swm",
        "vm_on": {"elb1": "nca1", "elb2": "ncb1", "iw1": "nca2"}
    }))
}

fn front() -> Topology {
    parse(json!({
        "platform": "eucalyptus", "ebs": "overlay", "object": "walrus", "min_nc": 1,
        "hosts": {"front1": ["clc", "walrus", "sc", "cc"], "ufs1": ["ufs"], "nc1": ["nc"], "nc2": ["nc"]},
        "zones": {"one": ["front1", "nc1", "nc2"]}, "jvm": ["clc", "ufs", "sc", "walrus", "vb"]
    }))
}

fn parse(json: Json) -> Topology {
    serde_json::from_value(json).expect("a topology")
}

/// The signals of a cloud, changed in place by faults.
struct Fabric {
    topology: Topology,
    signals: Vec<Signal>,
}

impl Fabric {
    /// Everything well for a week.
    fn healthy(topology: Topology) -> Self {
        let mut fabric = Fabric { topology, signals: Vec::new() };
        for (host, keys) in fabric.topology.hosts.clone() {
            let vm = fabric.topology.vm_on.contains_key(&host);
            for (sig, value) in [("ping", "ok"), ("ssh", "open"), ("agent", "ok")] {
                fabric.set(&host, None, sig, json!(value));
            }
            fabric.set(&host, None, "uptime_s", json!(604_800));
            if vm {
                fabric.set(&host, None, "instance_state", json!("running"));
            } else {
                fabric.set(&host, None, "bmc", json!("ok"));
                fabric.set(&host, None, "power", json!("on"));
                fabric.set(&host, None, "psu", json!({"id": "PS1", "offsets": [0]}));
                fabric.set(
                    &host,
                    None,
                    "raid",
                    json!({"vd": "0/0", "level": "RAID1", "state": "Optl", "pd_failed": []}),
                );
                fabric.set(&host, None, "bond", json!({"name": "bond0", "slaves": 2, "up": 2, "down": [], "ports": 2}));
            }
            for key in &keys {
                fabric.set(&host, Some(key), "port", json!("open"));
                fabric.set(&host, Some(key), "process", json!("running"));
                fabric.set(
                    &host,
                    Some(key),
                    "resource",
                    json!({"kind": kind_of(key), "level": "ok", "detail": "fine"}),
                );
                for (sig, good, _) in planes(key) {
                    fabric.set(&host, Some(key), sig, good);
                }
            }
        }
        for signal in &mut fabric.signals {
            signal.changed_at = NOW - Span::from_hours(24 * 7);
        }
        fabric
    }

    /// Says something since a few seconds ago.
    fn set(&mut self, host: &str, component: Option<&str>, sig: &str, value: Json) {
        self.signals.retain(|signal| {
            signal.host.as_deref() != Some(host) || signal.component.as_deref() != component || &*signal.sig != sig
        });
        self.signals.push(Signal {
            host: Some(Arc::from(host)),
            component: component.map(Arc::from),
            sig: Arc::from(sig),
            value: serde_json::from_value(value).expect("any JSON is a value"),
            vantage: None,
            observed_at: NOW - Span::from_secs(2),
            changed_at: NOW - Span::from_secs(12),
            every: EVERY,
        });
    }

    fn where_is(&self, key: &str) -> Arc<str> {
        let mut hosts = self.topology.hosts.iter().filter(|(_, keys)| keys.iter().any(|k| &**k == key));
        hosts.next().expect("every component runs somewhere").0.clone()
    }

    /// The component runs, and cannot serve.
    fn not_ready(&mut self, host: &str, key: &str) {
        for (sig, _, bad) in planes(key) {
            self.set(host, Some(key), sig, bad);
        }
    }

    fn crash(&mut self, host: &str, key: &str) {
        self.set(host, Some(key), "port", json!("refused"));
        self.set(host, Some(key), "process", json!("absent"));
        self.not_ready(host, key);
    }

    fn hang(&mut self, host: &str, key: &str) {
        self.not_ready(host, key);
        match key {
            "clc" | "ufs" | "walrus" | "sc" | "vb" => self.set(host, Some(key), "heartbeat", json!("none")),
            "console" | "elb" => self.set(host, Some(key), "http", json!("timeout")),
            _ => self.set(host, Some(key), "process", json!("hung")),
        }
    }

    fn power_off(&mut self, host: &str) {
        // What needs the operating system was last seen before the failure.
        for signal in self.signals.iter_mut().filter(|signal| signal.host.as_deref() == Some(host)) {
            if !matches!(&*signal.sig, "psu" | "bmc") {
                signal.observed_at = NOW - Span::from_secs(25);
            }
        }
        self.set(host, None, "ping", json!("fail"));
        self.set(host, None, "ssh", json!("timeout"));
        self.set(host, None, "agent", json!("stale"));
        if self.topology.vm_on.contains_key(host) {
            self.set(host, None, "instance_state", json!("stopped"));
        } else {
            self.set(host, None, "power", json!("off"));
        }
        for key in self.topology.hosts[host].clone() {
            self.set(host, Some(&key), "port", json!("timeout"));
        }
        for (vm, node) in self.topology.vm_on.clone() {
            if &*node == host {
                self.power_off(&vm);
            }
        }
    }

    fn starve(&mut self, host: &str, key: &str) {
        self.not_ready(host, key);
        let value = json!({"kind": kind_of(key), "level": "crit", "detail": "gone"});
        self.set(host, Some(key), "resource", value);
    }

    /// What users of a failed component look like (written down from the platform's behaviour, not from the rules).
    fn pull_down_dependants(&mut self, failed: &str) -> BTreeSet<(String, Option<String>)> {
        let mut hit: Vec<(&str, &str)> = Vec::new();
        match failed {
            "clc" => {
                hit.extend([("ufs1", "ufs"), ("ufs2", "ufs"), ("walrus1", "walrus"), ("vbv", "vb")]);
                hit.extend([("sca", "sc"), ("scb", "sc"), ("scv", "sc"), ("con1", "console"), ("con2", "console")]);
                hit.extend([("elb1", "elb"), ("elb2", "elb"), ("iw1", "iw")]);
            }
            "walrus" => hit.extend([("ufs1", "ufs"), ("ufs2", "ufs"), ("con1", "console"), ("con2", "console")]),
            "cc" => hit.extend([("nca1", "nc"), ("nca2", "nc")]),
            _ => {}
        }
        for (host, key) in &hit {
            self.not_ready(host, key);
        }
        hit.iter().map(|(host, key)| (host.to_string(), Some(key.to_string()))).collect()
    }

    fn diagnose(&self) -> Diagnosis {
        diagnose(&self.topology, &self.signals, NOW, &Timing::default())
    }
}

/// The resource that each component cannot do without.
fn kind_of(key: &str) -> &'static str {
    match key {
        "clc" => "db",
        "sc" | "vb" => "backend",
        "cc" => "membership",
        "nc" => "hypervisor",
        "console" => "cert",
        "iw" => "capacity",
        "elb" => "config",
        _ => "disk",
    }
}

/// Controller and application planes of a component: kind, good value, bad value.
fn planes(key: &str) -> Vec<(&'static str, Json, Json)> {
    match key {
        "clc" | "ufs" | "walrus" | "sc" | "vb" => vec![
            ("service_state", json!("ENABLED"), json!("NOTREADY")),
            ("heartbeat", json!("enabled"), json!("not_enabled")),
        ],
        "cc" | "nc" => vec![("service_state", json!("ENABLED"), json!("NOTREADY"))],
        "console" => vec![("http", json!(200), json!(200)), ("probe", json!("ok"), json!("fail"))],
        _ => vec![("probe", json!("ok"), json!("fail"))],
    }
}

fn the_one(answer: &Diagnosis, what: &str) -> Verdict {
    let told: Vec<String> = answer
        .verdicts
        .iter()
        .map(|v| format!("{:?} {} ({}) {:?}", v.target, v.class.as_str(), v.subtype, v.suppressed))
        .collect();
    assert_eq!(answer.verdicts.len(), 1, "{what}: {told:#?}");
    answer.verdicts[0].clone()
}

const COMPONENTS: [&str; 10] = ["console", "ufs", "clc", "walrus", "sc", "cc", "vb", "iw", "elb", "nc"];

#[test]
fn a_healthy_cloud_has_no_verdict() {
    for topology in [topology(), front()] {
        let answer = Fabric::healthy(topology).diagnose();
        assert_eq!(answer.verdicts, Vec::new());
        assert_eq!((answer.core, answer.suppressed.len()), (CoreState::Available, 0), "{:?}", answer.core_because);
    }
}

#[test]
fn each_component_fails_in_each_way_with_one_verdict_in_its_cell() {
    for key in COMPONENTS {
        for (way, class, column) in [
            ("crashed", Class::SoftwareDown, "software"),
            ("hung", Class::SoftwareDown, "software"),
            ("power_off", Class::ServerDown, "server"),
            (kind_of(key), Class::ResourceUnavailable, "resource"),
        ] {
            let what = format!("{key} {way}");
            let mut fabric = Fabric::healthy(topology());
            let host = fabric.where_is(key);
            let mut expected = fabric.pull_down_dependants(key);
            match way {
                "crashed" => fabric.crash(&host, key),
                "hung" => fabric.hang(&host, key),
                "power_off" => {
                    fabric.power_off(&host);
                    expected.insert((host.to_string(), Some(key.to_owned())));
                    if key == "nc" {
                        expected.extend([("elb1".to_owned(), None), ("elb1".to_owned(), Some("elb".to_owned()))]);
                    }
                    if key == "sc" {
                        for nc in ["nca1", "nca2"] {
                            let lost = json!({"kind": "san_path", "level": "crit", "detail": "session lost"});
                            fabric.set(nc, Some("nc"), "resource", lost);
                            expected.insert((nc.to_owned(), Some("nc".to_owned())));
                        }
                    }
                }
                _ => fabric.starve(&host, key),
            }
            let answer = fabric.diagnose();
            let verdict = the_one(&answer, &what);
            assert_eq!((verdict.class, &*verdict.subtype), (class, way), "{what}");
            assert_eq!(verdict.cell.as_deref(), Some(&*format!("eucalyptus/{key}/{column}")), "{what}");
            assert_eq!(&*verdict.runbook, format!("rb-euca-{key}-{column}"), "{what}");
            assert_eq!(verdict.target.host.as_deref(), Some(&*host), "{what}");
            let named = |entry: &stentor_core::diagnosis::Suppressed| {
                (entry.host.as_deref().unwrap_or("").to_owned(), entry.component.as_deref().map(str::to_owned))
            };
            let suppressed: BTreeSet<_> = answer.suppressed.iter().map(named).collect();
            assert_eq!(suppressed, expected, "{what}");
            assert!(!verdict.evidence.is_empty() && !verdict.rejected.is_empty(), "{what}: no reasons given");
            let down = matches!(key, "clc" | "walrus");
            assert_eq!(answer.core == CoreState::Unavailable, down, "{what}: {:?}", answer.core_because);
        }
    }
}

#[test]
fn a_blocked_start_is_the_resource_and_not_the_crash() {
    let mut fabric = Fabric::healthy(topology());
    fabric.pull_down_dependants("walrus");
    fabric.crash("walrus1", "walrus");
    let value = json!({"kind": "disk", "level": "crit", "detail": "bukkits read-only", "blocks_start": true});
    fabric.set("walrus1", Some("walrus"), "resource", value);
    let verdict = the_one(&fabric.diagnose(), "bukkits");
    assert_eq!((verdict.class, &*verdict.subtype), (Class::ResourceUnavailable, "disk"));
    assert!(verdict.rejected.iter().any(|rejected| rejected.class == Class::SoftwareDown));
}

#[test]
fn a_killed_jvm_is_one_verdict_and_leaves_the_httpd_alone() {
    let mut fabric = Fabric::healthy(front());
    for key in ["clc", "walrus", "sc"] {
        fabric.crash("front1", key);
    }
    fabric.not_ready("ufs1", "ufs");
    let answer = fabric.diagnose();
    let verdict = the_one(&answer, "jvm");
    assert_eq!((verdict.target.kind, verdict.class, &*verdict.subtype), (TargetKind::Jvm, Class::SoftwareDown, "jvm"));
    assert_eq!(verdict.cell.as_deref(), Some("eucalyptus/clc/software"));
    let cells: Vec<&str> = verdict.cells.iter().map(|cell| &**cell).collect();
    assert_eq!(cells, ["eucalyptus/clc/software", "eucalyptus/walrus/software", "eucalyptus/sc/software"]);
    assert_eq!(answer.suppressed.len(), 4, "{:?}", answer.suppressed);
    assert_eq!(answer.core, CoreState::Unavailable);
}

#[test]
fn a_hung_jvm_is_one_verdict_too() {
    let mut fabric = Fabric::healthy(front());
    for key in ["clc", "walrus", "sc"] {
        fabric.hang("front1", key);
    }
    fabric.not_ready("ufs1", "ufs");
    let verdict = the_one(&fabric.diagnose(), "hung jvm");
    assert_eq!((verdict.target.kind, &*verdict.subtype), (TargetKind::Jvm, "jvm"));
}

#[test]
fn one_dead_component_of_a_living_jvm_is_that_component() {
    let mut fabric = Fabric::healthy(front());
    fabric.not_ready("front1", "sc");
    let verdict = the_one(&fabric.diagnose(), "sc in a shared jvm");
    assert_eq!(verdict.target.component.as_deref(), Some("sc"));
}

#[test]
fn lost_redundancy_of_hardware_is_told_and_never_a_failure_of_the_service() {
    for (sig, value, subtype) in [
        ("psu", json!({"id": "PS1", "offsets": [0, 3]}), "psu_input"),
        ("psu", json!({"id": "PS1", "offsets": [0, 1]}), "psu_failed"),
        ("raid", json!({"vd": "0/0", "level": "RAID1", "state": "Dgrd", "pd_failed": ["252:0"]}), "raid_degraded"),
        ("bond", json!({"name": "bond0", "slaves": 2, "up": 1, "down": ["eth1"], "ports": 1}), "bond_slave"),
    ] {
        let mut fabric = Fabric::healthy(topology());
        fabric.set("sca", None, sig, value);
        let answer = fabric.diagnose();
        let verdict = the_one(&answer, subtype);
        assert_eq!((verdict.class, &*verdict.subtype), (Class::RedundancyLost, subtype));
        assert_eq!(verdict.cell, None);
        assert!(answer.core == CoreState::Available && answer.redundancy_lost, "{subtype}");
    }
}

#[test]
fn a_thousand_nodes_behind_one_controller_are_one_failure() {
    let mut hosts = serde_json::Map::new();
    let mut zone = vec![json!("cc1"), json!("sc1")];
    for (host, key) in [("clc1", "clc"), ("ufs1", "ufs"), ("walrus1", "walrus"), ("cc1", "cc"), ("sc1", "sc")] {
        hosts.insert(host.to_owned(), json!([key]));
    }
    for n in 0..1000 {
        hosts.insert(format!("nc{n}"), json!(["nc"]));
        zone.push(json!(format!("nc{n}")));
    }
    let topology = parse(json!({"platform": "eucalyptus", "min_nc": 5, "hosts": {}, "zones": {"one": zone}}));
    let mut topology = topology;
    topology.hosts = serde_json::from_value(Json::Object(hosts)).expect("hosts");
    let mut fabric = Fabric { topology: Topology::default(), signals: Vec::new() };
    // Built host by host: `set` looks through everything that was said before.
    for (host, keys) in &topology.hosts {
        let mut one = Topology::default();
        one.hosts.insert(host.clone(), keys.clone());
        fabric.signals.extend(Fabric::healthy(one).signals);
    }
    fabric.topology = topology;
    fabric.crash("cc1", "cc");
    for signal in
        fabric.signals.iter_mut().filter(|s| s.component.as_deref() == Some("nc") && &*s.sig == "service_state")
    {
        signal.value = "NOTREADY".into();
        signal.changed_at = NOW - Span::from_secs(5);
    }
    let answer = fabric.diagnose();
    assert_eq!(answer.suppressed.len(), 1000);
    the_one(&answer, "1,000 nodes behind one cluster controller");
}

/// The hosts of the demonstration: three Java components on one host, instances without a BMC, nodes without a state.
fn demonstration() -> Topology {
    parse(json!({
        "platform": "eucalyptus", "ebs": "overlay", "object": "walrus", "min_nc": 1, "mgmt_switch": "swm",
        "hosts": {"clc1": ["clc"], "ufs1": ["ufs"], "console1": ["console"], "walrus1": ["walrus"], "cc1": ["cc"],
                  "sc1": ["sc"], "nc1": ["nc"], "nc2": ["nc"], "nc3": ["nc"], "iw1": ["iw"], "elb1": ["elb"],
                  "cc2": ["cc"], "front1": ["ufs", "sc", "vb"], "vb1": ["vb"]},
        "zones": {"kvm": ["cc1", "sc1", "nc1", "nc2", "nc3"], "vmware": ["cc2", "front1", "vb1"]},
        "vmware_zones": ["vmware"], "jvm": ["clc", "ufs", "sc", "walrus", "vb"], "vm_on": {"iw1": "nc2", "elb1": "nc3"}
    }))
}

#[test]
fn the_demonstration_tells_its_jvm_from_its_components() {
    let mut fabric = Fabric::healthy(demonstration());
    for key in ["ufs", "sc", "vb"] {
        fabric.crash("front1", key);
    }
    let answer = fabric.diagnose();
    let verdict = the_one(&answer, "jvm/front1");
    assert_eq!((verdict.cell.as_deref(), verdict.cells.len()), (Some("eucalyptus/ufs/software"), 3));
    assert_eq!((&*verdict.runbook, answer.core), ("rb-euca-ufs-software", CoreState::Degraded));
}

#[test]
fn an_instance_without_any_power_reading_is_a_dead_server_of_its_own() {
    for (host, key) in [("elb1", "elb"), ("iw1", "iw")] {
        let mut fabric = Fabric::healthy(demonstration());
        fabric.power_off(host);
        fabric.signals.retain(|signal| &*signal.sig != "instance_state");
        let verdict = the_one(&fabric.diagnose(), host);
        assert_eq!((verdict.class, &*verdict.subtype), (Class::ServerDown, "os_dead"));
        assert_eq!(verdict.cell.as_deref(), Some(&*format!("eucalyptus/{key}/server")));
        assert!(verdict.confidence >= 0.6, "{}", verdict.confidence);
    }
}

#[test]
fn a_dead_node_takes_its_instances_with_it() {
    let mut fabric = Fabric::healthy(demonstration());
    fabric.power_off("nc2");
    fabric.signals.retain(|signal| &*signal.sig != "instance_state");
    let answer = fabric.diagnose();
    let verdict = the_one(&answer, "nc2 with iw1");
    assert_eq!(verdict.target.host.as_deref(), Some("nc2"));
    assert!(answer.suppressed.iter().any(|entry| entry.host.as_deref() == Some("iw1") && entry.component.is_none()));
}

#[test]
fn while_a_server_dies_signal_by_signal_nothing_else_is_blamed_in_the_end() {
    let mut fabric = Fabric::healthy(demonstration());
    let healthy = fabric.signals.clone();
    fabric.power_off("nc1");
    let dead = fabric.signals.clone();
    // Every order in which the four planes may notice: the last step is always the server, alone.
    let planes = ["ping", "ssh", "port", "power"];
    for first in 0..planes.len() {
        let order: Vec<&str> = (0..planes.len()).map(|i| planes[(first + i) % planes.len()]).collect();
        for step in 0..=planes.len() {
            let noticed = |signal: &&Signal| {
                let here = signal.host.as_deref() == Some("nc1");
                here && (order[..step].contains(&&*signal.sig) || step == planes.len())
            };
            fabric.signals = dead.iter().filter(noticed).cloned().collect();
            let rest: Vec<Signal> = healthy
                .iter()
                .filter(|old| {
                    !fabric
                        .signals
                        .iter()
                        .any(|new| (&new.host, &new.component, &new.sig) == (&old.host, &old.component, &old.sig))
                })
                .cloned()
                .collect();
            fabric.signals.extend(rest);
            for verdict in fabric.diagnose().verdicts {
                assert_ne!(verdict.class, Class::SoftwareDown, "{order:?} at {step}: {:?}", verdict.evidence);
                assert_eq!(verdict.target.host.as_deref(), Some("nc1"), "{order:?} at {step}");
            }
        }
        let verdict = the_one(&fabric.diagnose(), "the end");
        assert_eq!((verdict.class, &*verdict.subtype), (Class::ServerDown, "power_off"));
    }
}
