//! From observations through the packs' rules and signals to the classifier: each fault of each component of
//! Eucalyptus gives the one verdict with its cell.

use std::sync::Arc;

use stentor_core::Timestamp;
use stentor_core::catalog::Catalog;
use stentor_core::diagnosis::{Signal, Timing, Verdict, diagnose};
use stentor_core::id::ObjectId;
use stentor_core::model::{Observation, Value};
use stentor_core::rules::judge;
use stentor_core::signals::{Board, Contribution, Group};

use super::*;

const CLOUD: &str = r#"
[[cloud]]
name = "euca"
platform = "eucalyptus"
network_mode = "EDGE"
ebs = "overlay"
[[zone]]
name = "one"
cloud = "euca"
"#;

const KEYS: [&str; 10] = ["console", "ufs", "clc", "walrus", "sc", "cc", "vb", "iw", "elb", "nc"];
pub(super) const AT: Timestamp = Timestamp::from_secs(1_795_226_531);

pub(super) fn cloud() -> Loaded {
    let mut text = CLOUD.to_owned();
    for key in KEYS {
        let zone = if ["sc", "cc", "nc", "vb"].contains(&key) { "zone = \"one\"\n" } else { "cloud = \"euca\"\n" };
        let vm = if ["iw", "elb"].contains(&key) { "vm_on = \"nc-spare\"\n" } else { "" };
        text +=
            &format!("[[host]]\nname = \"{key}1\"\n{zone}{vm}view = \"agent\"\ncomponents = [\"eucalyptus/{key}\"]\n");
    }
    text += "[[host]]\nname = \"nc-spare\"\nzone = \"one\"\nview = \"agent\"\ncomponents = [\"eucalyptus/nc\"]\n";
    load_text(&text, Path::new("cloud.toml")).unwrap_or_else(|found| panic!("{found}"))
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    Software,
    Server,
    Resource,
    Hang,
}

/// What a check of the failing host sees; `None` = no result comes.
pub(super) fn failing(
    check: &str,
    component: bool,
    host_side: bool,
    fault: Fault,
    ok: &Observation,
) -> Option<Observation> {
    let seen = |facts: &[(&str, &str)]| {
        facts.iter().fold(Observation::observed("seen"), |seen, (name, value)| seen.fact(name, *value))
    };
    let kind = check.rsplit('/').next().unwrap_or(check);
    match fault {
        Fault::Server if host_side || kind == "agent" => None,
        Fault::Server if kind == "ping" => Some(seen(&[("ping", "fail")]).fact("loss_pct", 100.0)),
        Fault::Server => {
            Some(seen(&[("port", "timeout"), ("http", "timeout"), ("heartbeat", "none"), ("power", "off")]))
        }
        _ if !component => Some(ok.clone()),
        Fault::Software => match kind {
            "process" => Some(seen(&[("process", "absent")])),
            "disk" | "libvirt" | "eucanetd" => Some(ok.clone()),
            // tgtd is a program of its own.
            "backend" if check.contains("/sc/") => Some(ok.clone()),
            _ => Some(seen(&[("port", "refused"), ("heartbeat", "none"), ("http", "timeout")])),
        },
        Fault::Hang => match kind {
            "process" => Some(seen(&[("process", "hung")])),
            "heartbeat" => Some(seen(&[("heartbeat", "none"), ("port", "open")])),
            "http" => Some(seen(&[("http", "timeout"), ("port", "open")])),
            _ => Some(ok.clone()),
        },
        Fault::Resource => match kind {
            "heartbeat" => Some(seen(&[("heartbeat", "not_enabled"), ("port", "open")])),
            "disk" => Some(
                Observation::observed("98 % full")
                    .fact("used_pct_max", 98.0)
                    .fact("inodes_pct_max", 5.0)
                    .fact("not_mounted", stentor_core::model::Value::List(Vec::new()))
                    .fact("hung", stentor_core::model::Value::List(Vec::new()))
                    .fact("read_only", stentor_core::model::Value::List(Vec::new())),
            ),
            "http" => Some(seen(&[("port", "open")]).fact("http", 500.0)),
            _ => Some(ok.clone()),
        },
    }
}

/// The signals of the whole cloud while `host` has `fault`.
fn signals(loaded: &Loaded, host: &str, fault: Option<Fault>) -> Vec<Signal> {
    let catalog: &Catalog = &loaded.catalog;
    let mut signals = Vec::new();
    let host_checks = catalog.hosts.iter().filter_map(|row| Some((Arc::clone(&row.name), row.check?, None)));
    let services = catalog.services.iter().map(|service| {
        let component = service.component.map(|id| Arc::clone(&catalog.components[id.index()].key));
        (Arc::clone(&catalog.hosts[service.host.index()].name), service.check, component)
    });
    for (name, check, component) in host_checks.chain(services) {
        let check = &catalog.checks[check.index()];
        let templates = loaded.packs.iter().flat_map(|pack| &pack.checks);
        let template = templates.into_iter().find(|template| template.check.name == check.name).expect("of a pack");
        let ok = &template.examples.first().expect("an OK example comes first").observation;
        let seen = match fault.filter(|_| *name == *host) {
            None => Some(ok.clone()),
            Some(fault) => failing(&check.name, component.is_some(), check.host_side, fault, ok),
        };
        let Some(seen) = seen else { continue };
        let judged = judge(&check.rules, &check.params, &seen);
        for spec in &check.signals {
            for value in spec.values(&seen, &judged) {
                signals.push(Signal {
                    host: Some(Arc::clone(&name)),
                    component: component.clone().filter(|_| !spec.of_host),
                    sig: Arc::clone(&spec.sig),
                    value,
                    vantage: None,
                    observed_at: AT,
                    changed_at: AT,
                    every: check.every,
                });
            }
        }
    }
    signals
}

fn verdicts(loaded: &Loaded, host: &str, fault: Option<Fault>) -> Vec<Verdict> {
    diagnose(&loaded.catalog.clouds[0].topology, &signals(loaded, host, fault), AT, &Timing::default()).verdicts
}

#[test]
fn a_healthy_cloud_has_no_verdict() {
    let found = verdicts(&cloud(), "", None);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn each_fault_gives_the_one_verdict_of_its_cell() {
    let loaded = cloud();
    let mut wrong = Vec::new();
    for key in KEYS {
        for (fault, class, subtype, column) in [
            (Fault::Software, "software_down", "crashed", "software"),
            // None of these hosts has a BMC.
            (Fault::Server, "server_down", "os_dead", "server"),
            (Fault::Resource, "resource_unavailable", "disk", "resource"),
            (Fault::Hang, "software_down", "hung", "software"),
        ] {
            let host = format!("{key}1");
            let told: Vec<String> = verdicts(&loaded, &host, Some(fault))
                .iter()
                .map(|v| {
                    let at = v.target.host.as_deref().unwrap_or("");
                    format!(
                        "{at} {}/{} {} {}",
                        v.class.as_str(),
                        v.subtype,
                        v.cell.as_deref().unwrap_or("none"),
                        v.runbook
                    )
                })
                .collect();
            let expected = format!("{host} {class}/{subtype} eucalyptus/{key}/{column} rb-euca-{key}-{column}");
            if told != [expected.clone()] {
                wrong.push(format!("{key} {fault:?}: expected {expected}\n     told {told:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A cloud whose controller is asked for its view of the others.
const ASKED: &str = r#"
[[host]]
name = "clc1"
cloud = "euca"
view = "agent"
components = ["eucalyptus/clc"]
checks = { "clc services" = {} }
[[host]]
name = "nc1"
address = "10.111.1.53"
zone = "one"
components = ["eucalyptus/nc"]
[[cloud]]
name = "other"
platform = "eucalyptus"
[[host]]
name = "foreign"
address = "10.111.9.9"
cloud = "other"
components = ["eucalyptus/ufs"]
"#;

#[test]
fn the_controller_speaks_for_its_nodes_and_for_nobody_else() {
    let text = format!("{CLOUD}{ASKED}");
    let loaded = load_text(&text, Path::new("cloud.toml")).unwrap_or_else(|found| panic!("{found}"));
    let catalog: &Catalog = &loaded.catalog;
    let mut board = Board::new(catalog);
    let service = catalog.service_id("clc1", "clc services").expect("asked for");
    let check = &catalog.checks[catalog.services[service.index()].check.index()];
    let told = |host: &str, component: &str, state: &str| -> Value {
        let pairs: [(&str, Value); 3] =
            [("host", host.into()), ("component", component.into()), ("value", state.into())];
        pairs.into_iter().collect()
    };
    let list = vec![
        told("10.111.1.53", "nc", "NOTREADY"),
        // Another cloud's host, a component that is not there, a host that nobody knows.
        told("foreign", "ufs", "ENABLED"),
        told("nc1", "cc", "ENABLED"),
        told("10.9.9.1", "nc", "ENABLED"),
    ];
    let observation = Observation::observed("2 of 3 nodes").fact("elsewhere", Value::List(list));
    let judgement = judge(&check.rules, &check.params, &observation);
    let object = ObjectId::Service(service);
    let from = Contribution { object, observation: &observation, judgement: &judgement, observed_at: AT };
    board.contribute_elsewhere(catalog, check, &from);
    let said: Vec<String> = board
        .groups
        .iter()
        .flat_map(Group::signals)
        .map(|signal| {
            let at = (signal.host.unwrap_or_default(), signal.component.unwrap_or_default());
            format!("{}/{} {} {}", at.0, at.1, signal.sig, signal.value)
        })
        .collect();
    assert_eq!(said, ["nc1/nc service_state NOTREADY"]);
}
