//! What looks like several failures while checks are still on their way is one incident when they have come.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use stentor_core::catalog::{Catalog, Check, Cloud, Component, Host, Service, SignalSpec, SignalValue, Timing, Zone};
use stentor_core::diagnosis::{Class, Topology};
use stentor_core::engine::{CheckResult, Effects, Engine, Input, ResultSource, Took};
use stentor_core::id::{CheckId, CloudId, ComponentId, HostId, ObjectId, ServiceId, ZoneId};
use stentor_core::model::{Incident, Observation, Phase, ServiceState, Value};
use stentor_core::{Span, Timestamp};

const HOSTS: [(&str, &str); 2] = [("clc1", "clc"), ("walrus1", "walrus")];

fn check(name: &str, probe: &str, signals: Vec<SignalSpec>) -> Check {
    Check {
        name: name.into(),
        probe: probe.into(),
        params: Value::Null,
        every: Span::from_millis(500),
        retry: Span::from_millis(200),
        timeout: Span::from_secs(10),
        attempts: 1,
        rules: Vec::new(),
        signals,
        host_side: false,
        freshness: Span::ZERO,
    }
}

fn signal(sig: &str, value: SignalValue) -> SignalSpec {
    SignalSpec { sig: sig.into(), value, of_host: false }
}

/// A controller and an object store, watched thirty times faster than usual; only timeouts are as long as ever.
fn catalog() -> Catalog {
    let fact = |name: &str| signal(name, SignalValue::Fact(name.into()));
    let disk = signal("resource", SignalValue::Resource { kind: "disk".into(), blocks_start: true });
    let mut catalog = Catalog {
        instance: "test".into(),
        site: "here".into(),
        timing: Timing { hold_software: Span::from_secs(1), fresh_floor: Span::from_secs(6), ..Timing::default() },
        zones: vec![Zone { name: "main".into(), cloud: Some(CloudId(0)) }],
        checks: vec![
            check("port", "tcp", vec![fact("port")]),
            check("heartbeat", "heartbeat", vec![fact("heartbeat"), fact("service_state")]),
            check("component disk", "disk", vec![disk]),
            check("disk", "disk", Vec::new()),
            check("psu", "ipmi", vec![fact("psu")]),
            check("ups", "snmp_ups", vec![fact("ups")]),
        ],
        ..Catalog::default()
    };
    let mut topology = Topology { platform: "eucalyptus".to_owned(), ..Topology::default() };
    for (i, (name, key)) in HOSTS.into_iter().enumerate() {
        let first = catalog.services.len();
        let of = |name: &str, check: u32, component: Option<ComponentId>| Service {
            host: HostId::from_index(i),
            name: name.into(),
            check: CheckId(check),
            params: Value::Null,
            component,
        };
        let own = Some(ComponentId::from_index(i));
        catalog.services.extend([of("port", 0, own), of("heartbeat", 1, own), of("own disk", 2, own)]);
        catalog.services.extend([of("disk", 3, None), of("psu", 4, None), of("ups", 5, None)]);
        let services: Vec<ServiceId> = (first..catalog.services.len()).map(ServiceId::from_index).collect();
        catalog.components.push(Component {
            host: HostId::from_index(i),
            key: key.into(),
            platform: "eucalyptus".into(),
            services: services[..3].to_vec(),
        });
        catalog.hosts.push(Host {
            cloud: Some(CloudId(0)),
            components: vec![ComponentId::from_index(i)],
            services,
            ..Host::bare(name, ZoneId(0))
        });
        topology.hosts.insert(name.into(), vec![key.into()]);
    }
    catalog.clouds.push(Cloud {
        name: "euca".into(),
        platform: "eucalyptus".into(),
        min_nc: 1,
        topology,
        hosts: vec![HostId(0), HostId(1)],
    });
    catalog.reindex();
    catalog
}

struct Story {
    engine: Engine,
    at: Timestamp,
}

impl Story {
    /// Everything was looked at and is well.
    fn new() -> Story {
        Story::of(catalog())
    }

    fn of(catalog: Catalog) -> Story {
        let mut story = Story { engine: Engine::new(), at: Timestamp::from_secs(1_000_000) };
        story.engine.apply(story.at, &Input::Catalog(Arc::new(catalog)));
        for (host, _) in HOSTS {
            story.well(host);
        }
        story.pass(2);
        assert!(story.incidents().is_empty());
        story
    }

    fn well(&mut self, host: &str) {
        self.see(host, "port", 0, &[("port", "open")], self.at);
        self.see(host, "heartbeat", 0, &[("heartbeat", "enabled"), ("service_state", "ENABLED")], self.at);
        self.see(host, "own disk", 0, &[], self.at);
        self.see(host, "disk", 0, &[], self.at);
    }

    fn see(&mut self, host: &str, service: &str, code: i32, facts: &[(&str, &str)], observed_at: Timestamp) {
        let state = ServiceState::from_code(code).unwrap();
        let seen = Observation::reported(state, format!("{host} {service}"));
        let seen = facts.iter().fold(seen, |seen, (name, value)| seen.fact(name, *value));
        let object = self.engine.catalog().object_id(&key(host, service)).unwrap();
        let source = ResultSource::Active;
        let result =
            CheckResult { object, observed_at, source, observation: Arc::new(seen), id: None, took: Took::default() };
        self.engine.apply(self.at, &Input::Result(result));
    }

    fn power(&mut self, ups_source: i64, psu_offsets: Option<&[i64]>) {
        let ups: Value = [("upsOutputSource", ups_source)].into_iter().collect();
        self.told("clc1", "ups", i32::from(ups_source != 3), ups);
        if let Some(offsets) = psu_offsets {
            let psu = [("id", Value::from("PS1")), ("offsets", offsets.to_vec().into())].into_iter().collect();
            self.told("walrus1", "psu", i32::from(offsets.len() > 1), psu);
        }
    }

    fn told(&mut self, host: &str, service: &str, code: i32, value: Value) {
        let state = ServiceState::from_code(code).unwrap();
        let seen = Observation::reported(state, format!("{host} {service}")).fact(service, value);
        let object = self.engine.catalog().object_id(&key(host, service)).unwrap();
        let (observed_at, source) = (self.at, ResultSource::Active);
        let observation = Arc::new(seen);
        let result = CheckResult { object, observed_at, source, observation, id: None, took: Took::default() };
        self.engine.apply(self.at, &Input::Result(result));
    }

    fn not_ready(&mut self, host: &str) {
        let facts = [("heartbeat", "not_enabled"), ("service_state", "NOTREADY")];
        self.see(host, "heartbeat", 2, &facts, self.at);
    }

    fn tick(&mut self) -> Effects {
        self.at += Span::from_millis(250);
        self.engine.apply(self.at, &Input::Tick)
    }

    fn pass(&mut self, secs: i64) {
        for _ in 0..secs * 4 {
            self.tick();
        }
    }

    fn incidents(&self) -> Vec<Arc<Incident>> {
        self.engine.snapshot().incidents.values().cloned().collect()
    }
}

fn key(host: &str, service: &str) -> stentor_core::model::ObjectKey {
    stentor_core::model::ObjectKey { host: host.into(), service: Some(service.into()) }
}

#[test]
fn what_hangs_on_a_silent_controller_waits_until_that_was_looked_at() {
    let mut story = Story::new();
    let begun = story.at;
    story.not_ready("walrus1");
    for _ in 0..8 {
        story.pass(1);
        story.not_ready("walrus1");
    }
    assert!(story.incidents().is_empty(), "the controller's check is still waiting for its answer");
    // Begun with the rest, at its deadline only now.
    story.see("clc1", "heartbeat", 2, &[("heartbeat", "none")], begun + Span::from_millis(500));
    for _ in 0..4 {
        story.see("clc1", "port", 0, &[("port", "open")], story.at);
        story.see("clc1", "own disk", 0, &[], story.at);
        story.see("clc1", "heartbeat", 2, &[("heartbeat", "none")], story.at);
        story.not_ready("walrus1");
        story.pass(1);
    }
    let incidents = story.incidents();
    let [only] = incidents.as_slice() else { panic!("{} incidents", incidents.len()) };
    assert_eq!((only.verdict.class, &*only.verdict.subtype), (Class::SoftwareDown, "hung"));
    assert_eq!(only.verdict.target.host.as_deref(), Some("clc1"));
    let effects: Vec<_> = only.verdict.suppressed.iter().filter_map(|effect| effect.component.as_deref()).collect();
    assert_eq!(effects, ["walrus"]);
}

#[test]
fn nobody_waits_for_ever_for_a_look_that_does_not_come() {
    let mut story = Story::new();
    for _ in 0..33 {
        story.not_ready("walrus1");
        story.pass(1);
    }
    let incidents = story.incidents();
    assert_eq!(incidents.len(), 1, "after three deadlines of ten seconds");
    assert_eq!(incidents[0].verdict.target.host.as_deref(), Some("walrus1"));
}

#[test]
fn a_full_disk_that_two_checks_see_is_one_incident() {
    let mut story = Story::new();
    full_disk(&mut story);
    let incidents = story.incidents();
    let [only] = incidents.as_slice() else { panic!("{} incidents", incidents.len()) };
    assert_eq!((only.verdict.class, &*only.verdict.subtype), (Class::ResourceUnavailable, "disk"));
    assert!(only.problems.contains(&key("walrus1", "disk")), "{:?}", only.problems);
}

#[test]
fn a_check_of_the_whole_host_waits_until_the_component_was_asked() {
    let mut story = Story::new();
    story.see("walrus1", "disk", 2, &[], story.at);
    let asked = story.tick();
    let own = story.engine.catalog().object_id(&key("walrus1", "own disk")).unwrap();
    assert!(asked.checks.iter().any(|request| request.object == own), "{:?}", asked.checks);
    story.pass(5);
    assert!(story.incidents().is_empty(), "it may be the component's disk");
    full_disk(&mut story);
    let incidents = story.incidents();
    let [only] = incidents.as_slice() else { panic!("{:?}", titles(&story)) };
    assert_eq!((only.verdict.class, &*only.verdict.subtype), (Class::ResourceUnavailable, "disk"));
}

#[test]
fn a_full_disk_that_no_component_has_is_told_when_the_components_have_answered() {
    let mut story = Story::new();
    story.see("walrus1", "disk", 2, &[], story.at);
    story.pass(1);
    story.see("walrus1", "own disk", 0, &[], story.at);
    story.pass(1);
    assert_eq!(titles(&story), ["disk on walrus1"]);
}

/// A full disk that makes its component not ready; then the component's own check sees it mended.
fn half_mended() -> Story {
    let mut story = Story::new();
    full_disk(&mut story);
    assert_eq!(story.incidents().len(), 1);
    story.see("walrus1", "own disk", 0, &[], story.at);
    story
}

#[test]
fn what_an_incident_lets_go_of_is_looked_at_before_it_is_one_of_its_own() {
    let mut story = half_mended();
    let asked = story.tick();
    let disk = story.engine.catalog().object_id(&key("walrus1", "disk")).unwrap();
    assert!(asked.checks.iter().any(|request| request.object == disk), "{:?}", asked.checks);
    // Begun before the release, so it says nothing new.
    story.see("walrus1", "disk", 2, &[], story.at - Span::from_millis(1));
    story.pass(3);
    assert_eq!(story.incidents().len(), 1, "{:?}", titles(&story));
    story.see("walrus1", "disk", 0, &[], story.at);
    story.well("walrus1");
    story.pass(400);
    assert_eq!(story.incidents().len(), 1, "{:?}", titles(&story));
    assert_eq!(story.incidents()[0].phase, Phase::Resolved);
}

#[test]
fn what_is_still_bad_after_its_incident_let_go_is_told() {
    let mut story = half_mended();
    story.tick();
    story.see("walrus1", "disk", 2, &[], story.at);
    story.pass(1);
    story.see("walrus1", "own disk", 0, &[], story.at);
    story.pass(1);
    assert_eq!(titles(&story).last().unwrap(), "disk on walrus1");
}

#[test]
fn a_look_that_never_comes_does_not_hide_what_an_incident_let_go_of() {
    let mut story = half_mended();
    story.pass(70);
    assert_eq!(titles(&story).last().unwrap(), "disk on walrus1");
}

fn titles(story: &Story) -> Vec<String> {
    story.incidents().iter().map(|incident| incident.title.clone()).collect()
}

/// Both checks of the disk see it full, and its component is not ready, for a while.
fn full_disk(story: &mut Story) {
    for _ in 0..5 {
        story.well("clc1");
        story.see("walrus1", "port", 0, &[("port", "open")], story.at);
        story.see("walrus1", "own disk", 2, &[], story.at);
        story.see("walrus1", "disk", 2, &[], story.at);
        story.not_ready("walrus1");
        story.pass(2);
    }
}

#[test]
fn what_was_said_before_a_gap_is_as_old_as_it_was() {
    let mut story = Story::new();
    full_disk(&mut story);
    let before = story.engine.snapshot().clouds[0].diagnosis.clone();
    assert_eq!(before.verdicts.len(), 1);
    let night = Span::from_hours(8);
    story.at += night;
    story.engine.apply(story.at, &Input::Gap(night));
    story.tick();
    assert_eq!(story.engine.snapshot().clouds[0].diagnosis.verdicts.len(), 1, "nobody took it back");
    assert_eq!(story.engine.snapshot().clouds[0].core, stentor_core::diagnosis::CoreState::Unavailable);
    story.pass(60);
    assert!(story.engine.snapshot().clouds[0].diagnosis.verdicts.is_empty(), "now it is old");
}

#[test]
fn an_input_that_the_mains_took_is_asked_for_again_before_it_is_one_of_its_own() {
    for (says, wanted) in [(&[0][..], &["on_battery"][..]), (&[0, 3], &["on_battery", "psu_input"])] {
        let mut story = Story::new();
        for _ in 0..100 {
            story.power(5, Some(&[0, 3]));
            story.pass(1);
        }
        let named = |story: &Story| -> Vec<String> {
            story.incidents().iter().map(|incident| incident.verdict.subtype.to_string()).collect()
        };
        assert_eq!(named(&story), ["on_battery"]);
        // The UPS says first that the mains are back; the power supply is asked more seldom, and what its release asked
        // for is handed an answer of just before.
        story.power(3, None);
        story.tick();
        story.power(3, Some(&[0, 3]));
        for _ in 0..4 {
            story.power(3, None);
            story.pass(1);
        }
        assert_eq!(named(&story), ["on_battery"], "nobody has asked the power supply in its turn since");
        for _ in 0..4 {
            story.power(3, Some(says));
            story.pass(1);
        }
        assert_eq!(named(&story), wanted, "it says {says:?}");
    }
}

#[test]
fn a_controller_tells_of_no_failure_of_its_own_before_its_host_was_asked() {
    let mut catalog = catalog();
    let (host, sensors) = (HostId(1), ServiceId::from_index(catalog.services.len()));
    catalog.checks.extend([check("ping", "ping", Vec::new()), check("sensors", "ipmi", Vec::new())]);
    let (name, params) = ("sensors".into(), Value::Null);
    catalog.services.push(Service { host, name, check: CheckId(7), params, component: None });
    catalog.hosts[host.index()].services.push(sensors);
    catalog.hosts[host.index()].check = Some(CheckId(6));
    catalog.reindex();
    let mut story = Story::of(catalog);
    for _ in 0..4 {
        story.power(3, Some(&[0]));
        story.see("walrus1", "sensors", 1, &[], story.at);
        story.pass(1);
        assert_eq!(titles(&story), [""; 0], "the host may be going down");
    }
    let observation = Arc::new(Observation::reported(ServiceState::Ok, "it answers"));
    let (object, observed_at, source) = (ObjectId::Host(host), story.at, ResultSource::Active);
    let result = CheckResult { object, observed_at, source, observation, id: None, took: Took::default() };
    story.engine.apply(story.at, &Input::Result(result));
    story.pass(1);
    assert_eq!(titles(&story), ["sensors on walrus1"]);
}
