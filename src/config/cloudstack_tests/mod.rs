//! From observations through the rules and signals of CloudStack's pack to the classifier: each failure gives its one
//! verdict with its cell and runbook, and what follows from it none.

mod cases;

use std::sync::Arc;

use serde_json::Value as Json;
use stentor_core::Timestamp;
use stentor_core::diagnosis::{Diagnosis, Signal, Timing, Visibility, diagnose};
use stentor_core::model::{Observation, Value};
use stentor_core::rules::judge;

use super::*;

const AT: Timestamp = Timestamp::from_secs(1_795_226_531);

/// Nothing has just started.
const LONG_AGO: Timestamp = Timestamp::from_secs(1_795_222_931);

/// Name, components, host of a system VM, checks that it asks for.
const HOSTS: &[(&str, &[&str], &str, &[&str])] = &[
    ("lb1", &["lb"], "", &[]),
    ("ms1", &["ms"], "", &["ms api", "ms cloud"]),
    ("ms2", &["ms"], "", &["ms api"]),
    ("db1", &["mysql"], "", &["mysql db"]),
    ("db2", &["mysql_replica"], "", &["mysql_replica replication"]),
    ("use1", &["usage"], "", &["usage jobs"]),
    ("kvm1", &["kvm", "kvm_agent"], "", &[]),
    ("kvm2", &["kvm", "kvm_agent"], "", &[]),
    ("kvm3", &["kvm", "kvm_agent"], "", &[]),
    ("kvm4", &["kvm", "kvm_agent"], "", &[]),
    ("nfs1", &["primary"], "", &[]),
    ("nfs2", &["secondary"], "", &[]),
    ("ssvm1", &["ssvm"], "kvm1", &["ssvm port"]),
    ("cpvm1", &["cpvm"], "kvm2", &["cpvm port"]),
    ("vr1", &["vr"], "kvm3", &[]),
    ("vr2", &["vr"], "kvm4", &[]),
];

/// A check and its facts.
type Facts = (&'static str, &'static str);

/// What is seen of a host instead of what is seen of it in a healthy cloud.
type Seen = (&'static str, &'static [Facts]);

struct Case {
    name: &'static str,
    /// Hosts that nobody reaches.
    dark: &'static [&'static str],
    seen: &'static [&'static [Seen]],
    /// Host, class/subtype, cell, runbook, severity, visibility.
    verdicts: &'static [&'static str],
    /// Components that are explained by them: `host/component`.
    explained: &'static [&'static str],
    core: &'static str,
}

fn cloud() -> Loaded {
    let mut text = "[[cloud]]\nname = \"cs\"\nplatform = \"cloudstack\"\n".to_owned();
    text += "api = { address = \"192.0.2.10\", api_key_file = \"/k\", secret_key_file = \"/s\" }\n";
    text += "[[zone]]\nname = \"z1\"\ncloud = \"cs\"\n";
    for (name, components, on, asked) in HOSTS {
        let keys: Vec<String> = components.iter().map(|key| format!("\"cloudstack/{key}\"")).collect();
        let on = if on.is_empty() { String::new() } else { format!("vm_on = \"{on}\"\n") };
        let keys = keys.join(", ");
        text += &format!("[[host]]\nname = \"{name}\"\nzone = \"z1\"\nview = \"agent\"\n{on}components = [{keys}]\n");
        for check in *asked {
            text += &format!("[host.checks.\"{check}\"]\n");
        }
    }
    load_text(&text, Path::new("cloud.toml")).unwrap_or_else(|found| panic!("{found}"))
}

/// What a check sees of a host that is dark; `None` = no result comes.
fn dark(probe: &str, host_side: bool, check: &str) -> Option<Observation> {
    let text = Observation::observed("dark");
    if host_side || check.ends_with("/agent") {
        return None;
    }
    Some(match probe {
        "ping" => text.fact("ping", "fail").fact("loss_pct", 100.0),
        _ => text.fact("port", "timeout").fact("http", "timeout"),
    })
}

fn observed(facts: &str) -> Observation {
    let facts: Json = serde_json::from_str(facts).unwrap_or_else(|e| panic!("{facts}: {e}"));
    let mut seen = Observation::observed("seen");
    for (name, value) in facts.as_object().expect("facts") {
        let value: Value = serde_json::from_value(value.clone()).expect("a value");
        seen = seen.fact(name.as_str(), value);
    }
    seen
}

fn signals(loaded: &Loaded, case: &Case) -> Vec<Signal> {
    let catalog = &loaded.catalog;
    let mut signals = Vec::new();
    let mut used = 0;
    let host_checks = catalog.hosts.iter().filter_map(|row| Some((Arc::clone(&row.name), row.check?, None)));
    let services = catalog.services.iter().map(|service| {
        let component = service.component.map(|id| Arc::clone(&catalog.components[id.index()].key));
        (Arc::clone(&catalog.hosts[service.host.index()].name), service.check, component)
    });
    for (host, check, component) in host_checks.chain(services) {
        let check = &catalog.checks[check.index()];
        let templates = loaded.packs.iter().flat_map(|pack| &pack.checks);
        let template = templates.into_iter().find(|template| template.check.name == check.name).expect("of a pack");
        let short = check.name.trim_start_matches("cloudstack/");
        let own = seen(case).find(|(on, name, _)| **on == *host && *name == short);
        let ok = &template.examples.first().expect("an OK example comes first").observation;
        let observation = match own {
            Some((_, _, facts)) => {
                used += 1;
                Some(observed(facts))
            }
            // CloudStack's word about a dark host comes from its management server.
            None if case.dark.contains(&&*host) && !short.ends_with("/state") && !short.ends_with("/health") => {
                dark(&check.probe, check.host_side, &check.name)
            }
            // Each host has guests of its own.
            None if short == "kvm/guests" => Some(ok.clone().fact("running_names", vec![format!("i-{host}-VM")])),
            None => Some(ok.clone()),
        };
        let Some(observation) = observation else { continue };
        let judged = judge(&check.rules, &check.params, &observation);
        for spec in &check.signals {
            for value in spec.values(&observation, &judged) {
                signals.push(Signal {
                    host: Some(Arc::clone(&host)),
                    component: component.clone().filter(|_| !spec.of_host),
                    sig: Arc::clone(&spec.sig),
                    value,
                    vantage: None,
                    observed_at: AT,
                    changed_at: LONG_AGO,
                    every: check.every,
                });
            }
        }
    }
    assert_eq!(used, seen(case).count(), "{}: a check that is named is not there", case.name);
    signals
}

/// Host, check and facts of all that is seen.
fn seen(case: &Case) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let hosts = case.seen.iter().copied().flatten();
    hosts.flat_map(|(host, facts)| facts.iter().map(|(check, facts)| (*host, *check, *facts)))
}

fn told(diagnosis: &Diagnosis) -> Vec<String> {
    let mut told: Vec<String> = diagnosis
        .verdicts
        .iter()
        .map(|v| {
            let at = v.target.host.as_deref().or(v.target.component.as_deref()).unwrap_or("");
            let cell = v.cell.as_deref().unwrap_or("none").trim_start_matches("cloudstack/");
            let visibility = if v.visibility == Visibility::Visible { "visible" } else { "invisible" };
            let (class, severity) = (v.class.as_str(), v.severity.as_str());
            format!("{at} {class}/{} {cell} {} {severity} {visibility}", v.subtype, v.runbook)
        })
        .collect();
    told.sort();
    told
}

#[test]
fn each_failure_gives_the_one_verdict_of_its_cell() {
    let loaded = cloud();
    let mut wrong = Vec::new();
    for case in cases::ALL {
        let topology = &loaded.catalog.clouds[0].topology;
        let diagnosis = diagnose(topology, &signals(&loaded, case), AT, &Timing::default());
        let told = told(&diagnosis);
        let expected: Vec<&str> = case.verdicts.to_vec();
        if told != expected {
            wrong.push(format!("{}\n  expected {expected:#?}\n  told {told:#?}", case.name));
        }
        let explained: Vec<String> = diagnosis
            .verdicts
            .iter()
            .flat_map(|v| &v.suppressed)
            .map(|s| format!("{}/{}", s.host.as_deref().unwrap_or(""), s.component.as_deref().unwrap_or("")))
            .collect();
        for who in case.explained {
            if !explained.iter().any(|one| one == who) {
                wrong.push(format!("{}: {who} is not explained, but {explained:?}", case.name));
            }
        }
        if diagnosis.core.as_str() != case.core {
            wrong.push(format!("{}: core {}, expected {}", case.name, diagnosis.core.as_str(), case.core));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the guide shows is read as it stands, and asks for checks that are there.
#[test]
fn the_configuration_of_the_guide_is_read() {
    let guide = include_str!("../../../docs/cloudstack.md");
    let text = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let loaded = load_text(text, Path::new("stentor.toml")).unwrap_or_else(|found| panic!("{found}"));
    assert!(loaded.warnings.findings.is_empty(), "{}", loaded.warnings);
    let names: Vec<&str> = loaded.catalog.services.iter().map(|service| &*service.name).collect();
    for name in ["kvm_agent state", "ssvm state", "primary state", "ms db", "lb sticky", "kvm heartbeat"] {
        assert!(names.contains(&name), "no `{name}`: {names:?}");
    }
}

/// Every cell that a verdict can have is reached by a case.
#[test]
fn every_cell_is_reached_by_a_case() {
    let loaded = cloud();
    let pack = loaded.packs.iter().find(|pack| &*pack.platform.key == "cloudstack").expect("built in");
    // A KVM host has no program, and its agent no server, of its own: the packs say so in these cells.
    let by_neighbour = ["kvm/software", "kvm_agent/server"];
    let missing: Vec<String> = pack
        .platform
        .cells
        .iter()
        .map(|cell| cell.key.to_string().trim_start_matches("cloudstack/").to_owned())
        .filter(|cell| !by_neighbour.contains(&cell.as_str()))
        .filter(|cell| {
            !cases::ALL.iter().flat_map(|case| case.verdicts).any(|verdict| verdict.split(' ').nth(2) == Some(cell))
        })
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
    assert_eq!(pack.platform.cells.len(), 36);
}
