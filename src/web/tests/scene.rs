//! What the tests' world looks like: one cloud with a dead cloud controller, and a host with a nasty name.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::catalog::platform::Founded;
use stentor_core::catalog::{
    Action, Catalog, Cell, CellKey, Check, Cloud, Component, ComponentType, Host, Platform, Runbook, Service,
    SignalSpec, SignalValue, Step, StepKind, View, Zone,
};
use stentor_core::diagnosis::{
    Class, CoreState, Diagnosis, Evidence, FailureType, Impact, Rejected, Severity, Suppressed, Target, TargetKind,
    Topology, Verdict, Visibility,
};
use stentor_core::id::{CheckId, CloudId, ComponentId, HostId, ServiceId, ZoneId};
use stentor_core::model::{
    Covers, Downtime, DowntimeKind, Incident, ObjectKey, Observation, Phase, ServiceState, StateKind, TimelineEntry,
    TimelineKind, Value,
};
use stentor_core::rules::Expr;
use stentor_core::snapshot::{CloudStatus, Counters, Detail, Flags, Row, Snapshot};
use stentor_core::{Span, Timestamp};

use super::world::NOW;

pub const ODD_HOST: &str = "wéb 01/a?b#c";
pub const ODD_SERVICE: &str = "disk /var \"x\" 100%";

pub fn scene() -> Snapshot {
    let catalog = Arc::new(catalog());
    let down = row(2, 17);
    let ok = row(0, 0);
    let seen = |state, text: &str| {
        let observation = Observation::reported(state, text)
            .measure("time", 0.25, "s")
            .fact("service_state", "ENABLED")
            .long("second line");
        Arc::new(Detail {
            observation: Some(Arc::new(observation)),
            because: "port = refused".into(),
            ..Detail::default()
        })
    };
    let never = Row { flags: Flags::default(), last_check: Timestamp::ZERO, ..ok };
    Snapshot {
        seq: 41,
        at: NOW,
        started: Timestamp::ZERO,
        hosts: vec![Row { state: 0, ..ok }, Row { state: 1, incident: 0, ..down }],
        host_details: vec![seen(ServiceState::Ok, "PING OK"), seen(ServiceState::Critical, "no answer")],
        services: vec![down, ok, never],
        service_details: vec![
            seen(ServiceState::Critical, "connection refused"),
            seen(ServiceState::Ok, "DISK OK"),
            Arc::default(),
        ],
        host_tracks: Vec::new(),
        service_tracks: Vec::new(),
        ids: Default::default(),
        newest_downtime: 0,
        program: Arc::default(),
        contact_overrides: Arc::default(),
        incidents: Arc::new(BTreeMap::from([
            (16, Arc::new(Incident { number: 16, phase: Phase::Resolved, ..incident() })),
            (17, Arc::new(incident())),
        ])),
        downtimes: Arc::new(BTreeMap::from([(1, downtime())])),
        comments: Arc::default(),
        clouds: Arc::new(vec![CloudStatus { core: CoreState::Degraded, core_since: NOW, diagnosis: diagnosis() }]),
        runs: Arc::default(),
        services_known: Arc::default(),
        agents: Arc::default(),
        counters: Counters { inputs_applied: 1234, ..Counters::default() },
        degraded: None,
        refused: None,
        catalog,
    }
}

fn row(state: u8, incident: u64) -> Row {
    let mut flags = Flags::default();
    flags.set(Flags::CHECKED, true);
    Row {
        last_check: NOW - Span::from_secs(10),
        last_state_change: NOW - Span::from_mins(5),
        last_hard_change: NOW - Span::from_mins(5),
        changed: NOW,
        state,
        last_hard_state: state,
        kind: StateKind::Hard,
        flags,
        attempt: 3,
        incident,
        ..Row::default()
    }
}

fn check(name: &str, probe: &str, host_side: bool, signals: Vec<SignalSpec>) -> Check {
    Check {
        name: name.into(),
        probe: probe.into(),
        params: [("port", 8773u32), ("keep", 1)].into_iter().collect(),
        every: Span::from_secs(60),
        retry: Span::from_secs(20),
        timeout: Span::from_secs(5),
        attempts: 3,
        rules: Vec::new(),
        signals,
        host_side,
        freshness: Span::ZERO,
    }
}

fn signal(sig: &str, value: SignalValue) -> SignalSpec {
    SignalSpec { sig: sig.into(), value, of_host: false }
}

fn host(name: &str, address: &str, services: Vec<ServiceId>, components: Vec<ComponentId>) -> Host {
    Host {
        address: address.into(),
        cloud: Some(CloudId(0)),
        components,
        check: Some(CheckId(0)),
        view: View::Agent,
        services,
        ..Host::bare(name, ZoneId(0))
    }
}

fn catalog() -> Catalog {
    let disk = SignalValue::Resource { kind: "disk".into(), blocks_start: false };
    let mut catalog = Catalog {
        instance: "test".into(),
        url: "http://stentor.example/".into(),
        site: "north".into(),
        zones: vec![Zone { name: "one".into(), cloud: Some(CloudId(0)) }],
        clouds: vec![Cloud {
            name: "prod".into(),
            platform: "eucalyptus".into(),
            min_nc: 1,
            topology: Topology::default(),
            hosts: vec![HostId(0), HostId(1)],
        }],
        platforms: vec![Arc::new(platform())],
        checks: vec![
            check("host/ping", "ping", false, vec![signal("ping", SignalValue::Fact("ping".into()))]),
            check("eucalyptus/clc/port", "tcp", false, vec![signal("port", SignalValue::Fact("port".into()))]),
            check("host/disk", "disk", true, vec![signal("resource", disk)]),
            check("custom/passive", "", false, Vec::new()),
        ],
        hosts: vec![
            host("clc1", "192.0.2.1", vec![ServiceId(0), ServiceId(1)], vec![ComponentId(0)]),
            host(ODD_HOST, "192.0.2.2", vec![ServiceId(2)], Vec::new()),
        ],
        services: vec![
            service(0, "clc port", 1, Some(ComponentId(0))),
            service(0, "disk /", 2, None),
            service(1, ODD_SERVICE, 3, None),
        ],
        components: vec![Component {
            host: HostId(0),
            key: "clc".into(),
            platform: "eucalyptus".into(),
            services: vec![ServiceId(0)],
        }],
        ..Catalog::default()
    };
    catalog.reindex();
    catalog
}

fn service(host: u32, name: &str, check: u32, component: Option<ComponentId>) -> Service {
    let params = if name == "disk /" { [("port", 1u32)].into_iter().collect() } else { Value::Null };
    Service { host: HostId(host), name: name.into(), check: CheckId(check), params, component }
}

/// Manual, approved by two, escalation.
fn book(id: &str, procedure: bool) -> Runbook {
    let undo = Step { rollback: Some("stop it".to_owned()), ..Step::manual(StepKind::Fix, "Start it.") };
    let approve = Step { action: Action::Approve, ..Step::manual(StepKind::Confirm, "Another person looks.") };
    let escalate = Step::manual(StepKind::Escalate, "Call the vendor.");
    let needs = vec![Expr::parse("port == \"open\"").unwrap()];
    let gated = Step { needs, ..Step::manual(StepKind::Confirm, "It works.") };
    let steps = if procedure { vec![escalate] } else { vec![undo, approve, gated, escalate] };
    let mut book = Runbook::of_steps(id, "Cloud Controller", steps);
    book.procedure = procedure;
    book
}

fn platform() -> Platform {
    let cell = |failure_type| Cell {
        key: CellKey { platform: "eucalyptus".into(), component: "clc".into(), failure_type },
        told_by: vec!["port".into()],
        behaviour: "API calls fail".into(),
        still_works: "running instances".into(),
        impact: "full".into(),
        runbook: "rb-euca-clc-software".into(),
        verify: Vec::new(),
        expected_time: String::new(),
        data_risk: String::new(),
        escalate: String::new(),
        founded: Founded::Seed,
        sources: Vec::new(),
    };
    Platform {
        core: None,
        key: "eucalyptus".into(),
        version: "5".into(),
        components: vec![ComponentType {
            key: "clc".into(),
            name: "Cloud Controller".into(),
            core: true,
            units: Vec::new(),
            processes: Vec::new(),
            ports: vec![8773],
            jvm: true,
            redundancy_kind: "single".into(),
            redundancy_min: 1,
            depends_on: Vec::new(),
        }],
        cells: vec![cell(FailureType::Software), cell(FailureType::Server)],
        runbooks: vec![book("rb-euca-clc-software", false), book("rb-euca-move", true)],
    }
}

fn target() -> Target {
    Target { kind: TargetKind::Component, host: Some("clc1".into()), component: Some("clc".into()) }
}

fn verdict() -> Verdict {
    Verdict {
        target: target(),
        class: Class::SoftwareDown,
        subtype: "process_absent".into(),
        severity: Severity::Critical,
        visibility: Visibility::Visible,
        impact: Impact::Full,
        confidence: 0.9,
        core: CoreState::Degraded,
        cell: Some("eucalyptus/clc/software".into()),
        cells: vec!["eucalyptus/clc/software".into()],
        runbook: "rb-euca-clc-software".into(),
        redundancy: Some((0, 1)),
        suppressed: vec![Suppressed { host: Some("clc1".into()), component: None, class: Class::Unknown }],
        evidence: vec![Evidence { sig: "port".into(), at: "clc1/clc".into(), value: "refused".into() }],
        rejected: vec![Rejected { class: Class::ServerDown, subtype: None, why: "ping answers".into() }],
        since: NOW,
    }
}

fn diagnosis() -> Diagnosis {
    Diagnosis {
        verdicts: vec![verdict()],
        suppressed: Vec::new(),
        core: CoreState::Degraded,
        core_because: vec!["clc has no instance".into()],
        redundancy_lost: true,
        standing: Vec::new(),
        unknown: Vec::new(),
    }
}

fn incident() -> Incident {
    Incident {
        number: 17,
        phase: Phase::Open,
        title: "clc software down on clc1".into(),
        cloud: Some("prod".into()),
        site: Some("north".into()),
        zone: Some("one".into()),
        verdict: verdict(),
        problems: vec![ObjectKey { host: "clc1".into(), service: Some("clc port".into()) }],
        users_notice: "API calls fail".into(),
        owner: None,
        ack: None,
        opened_at: NOW - Span::from_mins(4),
        changed_at: NOW - Span::from_mins(4),
        resolved_at: None,
        root: None,
        generation: 1,
        stage: stentor_core::model::Stage::Failed,
        going_on: Vec::new(),
        business: vec!["self-service".into()],
        links: stentor_core::model::Links::default(),
        timeline: vec![TimelineEntry {
            at: NOW - Span::from_mins(4),
            kind: TimelineKind::Opened,
            by: None,
            text: "opened".into(),
        }],
    }
}

fn downtime() -> Downtime {
    Downtime {
        id: 1,
        target: ObjectKey { host: "clc1".into(), service: Some("disk /".into()) },
        covers: Covers::ObjectOnly,
        kind: DowntimeKind::Fixed,
        triggered_by: None,
        start: NOW - Span::from_mins(1),
        end: NOW + Span::from_hours(1),
        author: "ann".into(),
        comment: "disk swap".into(),
        entered_at: NOW - Span::from_mins(2),
        active: true,
        started_at: Some(NOW - Span::from_mins(1)),
        comment_id: 0,
        recurring: None,
    }
}
