//! A replicated object store through the engine: who may take over, and what still goes on when it is back.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::catalog::{Catalog, Cloud, Component, Host, Zone};
use stentor_core::diagnosis::{Class, Signal, Topology};
use stentor_core::engine::{Engine, Input};
use stentor_core::id::{CloudId, ComponentId, HostId, ZoneId};
use stentor_core::model::{Incident, Phase, Stage, Value};
use stentor_core::{Span, Timestamp};

const HOSTS: [&str; 2] = ["walrus1", "walrus2"];

fn catalog() -> Catalog {
    let mut topology = Topology {
        platform: "eucalyptus".to_owned(),
        unique: vec!["walrus".into()],
        drbd: BTreeMap::from([("r0".into(), HOSTS.map(Into::into).to_vec())]),
        ..Topology::default()
    };
    let mut catalog = Catalog {
        site: "here".into(),
        zones: vec![Zone { name: "main".into(), cloud: Some(CloudId(0)) }],
        ..Catalog::default()
    };
    for (i, name) in HOSTS.into_iter().enumerate() {
        topology.hosts.insert(name.into(), vec!["walrus".into()]);
        catalog.components.push(Component {
            host: HostId::from_index(i),
            key: "walrus".into(),
            platform: "eucalyptus".into(),
            services: Vec::new(),
        });
        catalog.hosts.push(Host {
            cloud: Some(CloudId(0)),
            components: vec![ComponentId::from_index(i)],
            ..Host::bare(name, ZoneId(0))
        });
    }
    let hosts = vec![HostId(0), HostId(1)];
    catalog.clouds.push(Cloud { name: "euca".into(), platform: "eucalyptus".into(), min_nc: 1, topology, hosts });
    catalog.reindex();
    catalog
}

struct Pair {
    engine: Engine,
    at: Timestamp,
    /// What every second brings again: the newest fact of each kind.
    facts: BTreeMap<(&'static str, Option<&'static str>, &'static str), Value>,
}

impl Pair {
    /// The first half serves, the second waits.
    fn well() -> Pair {
        let mut pair = Pair { engine: Engine::new(), at: Timestamp::from_secs(1_000_000), facts: BTreeMap::new() };
        pair.engine.apply(pair.at, &Input::Catalog(Arc::new(catalog())));
        for (host, state) in [("walrus1", "ENABLED"), ("walrus2", "DISABLED")] {
            pair.says(host, None, "ping", "ok");
            pair.says(host, Some("walrus"), "port", "open");
            pair.says(host, Some("walrus"), "process", "running");
            pair.says(host, Some("walrus"), "service_state", state);
        }
        pair.drbd("Connected", "UpToDate/UpToDate").pass(90);
        assert!(pair.incidents().is_empty(), "{:?}", pair.incidents());
        pair
    }

    fn says(
        &mut self,
        host: &'static str,
        component: Option<&'static str>,
        sig: &'static str,
        value: &str,
    ) -> &mut Self {
        self.facts.insert((host, component, sig), Value::from(value));
        self
    }

    fn drbd(&mut self, connection: &str, disks: &str) -> &mut Self {
        let roles = "Primary/Secondary";
        let map = [("res", "r0"), ("cs", connection), ("ro", roles), ("ds", disks)];
        let value: Value = map.map(|(key, value)| (key, Value::from(value))).into_iter().collect();
        self.facts.insert(("walrus1", None, "drbd"), value);
        self
    }

    fn pass(&mut self, secs: i64) -> &mut Self {
        for _ in 0..secs {
            self.at += Span::from_secs(1);
            for ((host, component, sig), value) in self.facts.clone() {
                let signal = Signal {
                    host: Some(host.into()),
                    component: component.map(Into::into),
                    sig: sig.into(),
                    value,
                    vantage: None,
                    observed_at: self.at,
                    changed_at: self.at,
                    every: Span::from_secs(1),
                };
                self.engine.apply(self.at, &Input::Signal(signal));
            }
            self.engine.apply(self.at, &Input::Tick);
        }
        self
    }

    fn incidents(&self) -> Vec<Arc<Incident>> {
        self.engine.snapshot().incidents.values().cloned().collect()
    }

    fn only(&self) -> Arc<Incident> {
        let all = self.incidents();
        assert_eq!(all.len(), 1, "{:#?}", all.iter().map(|incident| &incident.title).collect::<Vec<_>>());
        Arc::clone(&all[0])
    }
}

#[test]
fn a_pair_fails_over_inside_its_hold_and_then_has_failed_over() {
    let mut pair = Pair::well();
    pair.says("walrus1", Some("walrus"), "port", "refused").says("walrus1", Some("walrus"), "process", "absent");
    pair.says("walrus1", Some("walrus"), "service_state", "NOTREADY").pass(60);
    let incident = pair.only();
    assert_eq!((incident.verdict.class, incident.stage), (Class::SoftwareDown, Stage::FailingOver), "{incident:#?}");
    assert_eq!(incident.going_on, ["walrus of walrus2 is passive and may take over"]);
    pair.says("walrus2", Some("walrus"), "service_state", "ENABLED").pass(5);
    let incident = pair.only();
    assert_eq!((incident.stage, incident.phase), (Stage::Failed, Phase::Open), "the other serves; this one does not");
}

#[test]
fn the_time_to_fail_over_ends() {
    let mut pair = Pair::well();
    pair.says("walrus1", Some("walrus"), "port", "refused").says("walrus1", Some("walrus"), "process", "absent");
    pair.pass(60);
    assert_eq!(pair.only().stage, Stage::FailingOver);
    pair.pass(300);
    assert_ne!(pair.incidents()[0].stage, Stage::FailingOver);
}

#[test]
fn a_resync_is_not_well_yet_and_nobody_speaking_of_it_ends_it_neither() {
    let mut pair = Pair::well();
    pair.drbd("WFConnection", "UpToDate/DUnknown").pass(60);
    assert_eq!(&*pair.only().verdict.subtype, "drbd_connection");
    pair.drbd("SyncSource", "UpToDate/Inconsistent").pass(120);
    let incident = pair.only();
    assert_ne!(incident.phase, Phase::Resolved);
    assert_eq!(incident.stage, Stage::Recovering, "{incident:#?}");
    assert_eq!(incident.going_on, ["walrus1: r0 resyncs (SyncSource, UpToDate/Inconsistent)"]);
    pair.facts.remove(&("walrus1", None, "drbd"));
    pair.pass(1800);
    assert_ne!(pair.only().phase, Phase::Resolved, "nobody has said that the copy is whole");
    pair.drbd("Connected", "UpToDate/UpToDate").pass(60);
    assert_eq!(pair.only().phase, Phase::Resolved);
}
