//! A small Eucalyptus cloud with incidents of several classes, stale, unknown, soft and acknowledged rows, and names and
//! outputs that try to break out of a page. For tests of everything that shows a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use stentor_core::catalog::platform::{Founded, StepKind};
use stentor_core::catalog::{
    Catalog, Cell, CellKey, Check, Cloud, Component, ComponentType, Host, Platform, Runbook, Service, Step, Timing,
    View, Zone,
};
use stentor_core::diagnosis::{
    Class, CoreState, Diagnosis, Evidence, FailureType, Impact, Rejected, Severity, Suppressed, Target, TargetKind,
    Topology, Verdict, Visibility,
};
use stentor_core::engine::{Command, CommandError, Event, EventKind, Reply};
use stentor_core::id::{CheckId, CloudId, ComponentId, HostId, ServiceId, ZoneId};
use stentor_core::model::{
    Ack, Covers, Downtime, DowntimeKind, Incident, Measurement, Notification, ObjectKey, Observation, Phase, Reason,
    ServiceState, StateKind, Sticky, TimelineEntry, TimelineKind, UnknownCause, Value,
};
use stentor_core::rules::{Expr, Rule};
use stentor_core::snapshot::{CloudStatus, Counters, Detail, Flags, Row, Snapshot};
use stentor_core::{Span, Timestamp};
use tokio::sync::{broadcast, mpsc};

use super::WebState;
use super::auth::{self, Role};
use crate::clock::Clock;
use crate::engine::{Handle, Post, Published, Refused};
use crate::store::memory::MemoryStore;
use crate::store::{Store, User};

/// Sat 21 Nov 2026, 03:14:20 UTC.
pub fn now() -> Timestamp {
    Timestamp::from_rfc3339("2026-11-21T03:14:20Z").unwrap()
}

fn ago(span: Span) -> Timestamp {
    now() - span
}

fn mins(n: i64) -> Timestamp {
    ago(Span::from_mins(n))
}

/// A host whose name is an attack.
pub const EVIL_HOST: &str = "<script>alert('host')</script>\"x";
/// A service whose name is an attack and a path.
pub const EVIL_SERVICE: &str = "../ack?\"><img src=x onerror=alert(1)> 100 % ü";
/// Output that closes tags and opens a script.
pub const EVIL_OUTPUT: &str = "CRITICAL - </pre></td><script>alert('out')</script> \"'&amp; \u{202e}evil\u{0}";

const KINDS: [(&str, &str, bool, &str, u32); 10] = [
    ("clc", "Cloud Controller (CLC)", true, "single", 1),
    ("ufs", "User Facing Services (UFS)", true, "active_active", 1),
    ("console", "Management Console", false, "active_active", 1),
    ("walrus", "Walrus", true, "single", 1),
    ("sc", "Storage Controller (SC)", true, "single", 1),
    ("cc", "Cluster Controller (CC)", true, "single", 1),
    ("nc", "Node Controller (NC)", true, "many", 1),
    ("vb", "VMware Broker", false, "single", 1),
    ("iw", "Imaging Worker", false, "single", 0),
    ("elb", "Load Balancer VMs", false, "many", 0),
];

fn cell(component: &str, failure_type: FailureType) -> Option<Cell> {
    // Some cells are missing on purpose.
    if component == "elb" && failure_type == FailureType::Resource {
        return None;
    }
    let founded = match (component, failure_type) {
        ("iw" | "elb", _) => Founded::Inference,
        (_, FailureType::Software) => Founded::Seed,
        (_, FailureType::Server) => Founded::Doc,
        (_, FailureType::Resource) => Founded::Source,
    };
    let text = |about: &str| format!("{about} of `{component}` when its {} fails", failure_type.as_str());
    Some(Cell {
        key: CellKey { platform: "eucalyptus".into(), component: component.into(), failure_type },
        told_by: vec!["`euserv-describe-services` shows **NOTREADY**".into(), "port 8774 refuses".into()],
        behaviour: text("Behaviour"),
        still_works: "Running instances keep running and keep their network.".into(),
        impact: "partial".into(),
        runbook: match (component, failure_type) {
            ("cc", FailureType::Resource) => "none".into(),
            _ => format!("rb-euca-{component}-{}", failure_type.as_str()).into(),
        },
        verify: vec!["`euca-describe-availability-zones` lists the zone".into()],
        expected_time: "5-15 min".into(),
        data_risk: "".into(),
        escalate: "Storage team after 30 min".into(),
        founded,
        sources: vec!["S0 p. 12 <b>bold?</b>".into()],
    })
}

fn step(kind: StepKind, text: &str, command: Option<&str>) -> Step {
    Step { command: command.map(str::to_owned), ..Step::manual(kind, text) }
}

fn runbook(component: &str, failure_type: FailureType) -> Runbook {
    let steps = vec![
        step(StepKind::Verify, "Confirm that the process is gone", Some("systemctl status eucalyptus-cloud")),
        Step {
            gate: Some("the log shows no `OutOfMemoryError`".into()),
            rollback: Some("`systemctl stop eucalyptus-cloud`".into()),
            when: Some("the server itself answers".into()),
            ..step(StepKind::Fix, "Start the service", Some("systemctl start eucalyptus-cloud && echo \"<ok>\""))
        },
        step(
            StepKind::Confirm,
            "Wait until the component is `ENABLED` again, that a test instance starts in the zone and that its volume \
             can be attached and detached; this takes up to five minutes on a loaded system.",
            None,
        ),
    ];
    let id = format!("rb-euca-{component}-{}", failure_type.as_str());
    Runbook::of_steps(&id, &format!("{component}, {} down", failure_type.as_str()), steps)
}

fn procedure() -> Runbook {
    let mut book = runbook("cc", FailureType::Server);
    book.id = "rb-euca-move".into();
    book.title = "Move <b>cc</b> & \"co\"".to_owned();
    book.procedure = true;
    book.downtime = Span::from_hours(2);
    book.verification = vec!["cc/port".into()];
    book
}

fn platform() -> Platform {
    let components = KINDS.map(|(key, name, core, kind, min)| ComponentType {
        key: key.into(),
        name: name.into(),
        core,
        units: vec![],
        processes: vec![],
        ports: vec![],
        jvm: matches!(key, "clc" | "ufs" | "walrus" | "sc"),
        redundancy_kind: kind.into(),
        redundancy_min: min,
        depends_on: vec![],
    });
    let all = || KINDS.iter().flat_map(|(key, ..)| FailureType::ALL.map(|failure_type| (*key, failure_type)));
    Platform {
        core: None,
        key: "eucalyptus".into(),
        version: "1".into(),
        components: components.into(),
        cells: all().filter_map(|(key, failure_type)| cell(key, failure_type)).collect(),
        runbooks: all().map(|(key, failure_type)| runbook(key, failure_type)).chain([procedure()]).collect(),
    }
}

fn checks() -> Vec<Check> {
    let check = |name: &str, probe: &str, host_side| Check {
        name: name.into(),
        probe: probe.into(),
        params: Value::Null,
        every: Span::from_secs(60),
        retry: Span::from_secs(15),
        timeout: Span::from_secs(10),
        attempts: 3,
        rules: vec![Rule {
            when: Expr::parse("used_pct > 90").unwrap(),
            state: ServiceState::Critical,
            source: "operator’s limit".into(),
        }],
        signals: vec![],
        host_side,
        freshness: Span::from_mins(5),
    };
    vec![
        check("ping", "icmp", false),
        check("eucalyptus/port", "tcp", false),
        check("host/disk", "disk", true),
        check("passive", "", false),
    ]
}

struct Builder {
    catalog: Catalog,
    services: Vec<(Row, Detail)>,
    hosts: Vec<(Row, Detail)>,
}

fn fine(text: &str) -> (Row, Detail) {
    let mut row = Row { last_check: ago(Span::from_secs(21)), last_state_change: mins(60 * 24 * 12), ..Row::default() };
    row.flags.set(Flags::CHECKED, true);
    let observation = Observation::reported(ServiceState::Ok, text);
    (row, Detail { observation: Some(Arc::new(observation)), ..Detail::default() })
}

impl Builder {
    fn host(&mut self, name: &str, zone: u32, cloud: Option<u32>, components: &[&str]) -> HostId {
        let id = HostId::from_index(self.catalog.hosts.len());
        self.catalog.hosts.push(Host {
            address: "10.0.0.7".into(),
            cloud: cloud.map(CloudId),
            parents: if id.0 > 0 && cloud.is_some() { vec![HostId(0)] } else { vec![] },
            check: Some(CheckId(0)),
            view: View::Agent,
            ..Host::bare(name, ZoneId(zone))
        });
        let (row, detail) = fine("PING OK - 0.4 ms");
        self.hosts.push((row, detail));
        for key in components {
            let component = ComponentId::from_index(self.catalog.components.len());
            self.catalog.components.push(Component {
                host: id,
                key: (*key).into(),
                platform: "eucalyptus".into(),
                services: vec![],
            });
            self.catalog.hosts[id.index()].components.push(component);
            for what in ["port", "process", "service state"] {
                let service = self.service(id, &format!("{key} {what}"), 1);
                self.catalog.services[service.index()].component = Some(component);
                self.catalog.components[component.index()].services.push(service);
            }
        }
        for disk in ["disk /", "disk /var/lib/eucalyptus", "load", "memory", "clock"] {
            self.service(id, disk, 2);
        }
        id
    }

    fn service(&mut self, host: HostId, name: &str, check: u32) -> ServiceId {
        let id = ServiceId::from_index(self.catalog.services.len());
        self.catalog.services.push(Service {
            host,
            name: name.into(),
            check: CheckId(check),
            params: Value::Null,
            component: None,
        });
        self.catalog.hosts[host.index()].services.push(id);
        self.services.push(fine("OK - all as it should be"));
        id
    }

    fn set(
        &mut self,
        host: &str,
        service: &str,
        state: ServiceState,
        since: Timestamp,
        text: &str,
    ) -> &mut (Row, Detail) {
        let at = self
            .catalog
            .services
            .iter()
            .position(|s| *s.name == *service && *self.catalog.hosts[s.host.index()].name == *host);
        let slot = &mut self.services[at.unwrap_or_else(|| panic!("no {host}/{service}"))];
        slot.0.state = state.code();
        slot.0.last_hard_state = state.code();
        slot.0.last_state_change = since;
        slot.0.last_hard_change = since;
        slot.0.attempt = 3;
        slot.1.observation = Some(Arc::new(Observation::reported(state, text)));
        slot
    }
}

fn target(kind: TargetKind, host: &str, component: Option<&str>) -> Target {
    Target { kind, host: Some(host.into()), component: component.map(Into::into) }
}

fn verdict(target: Target, class: Class, severity: Severity, impact: Impact) -> Verdict {
    let column = class.failure_type().map(FailureType::as_str);
    let cell = match (&target.component, column) {
        (Some(component), Some(column)) => Some(Arc::from(format!("eucalyptus/{component}/{column}"))),
        _ => None,
    };
    Verdict {
        runbook: match (&target.component, column) {
            (Some(component), Some(column)) => format!("rb-euca-{component}-{column}").into(),
            _ => "none".into(),
        },
        target,
        class,
        subtype: "".into(),
        severity,
        visibility: if impact == Impact::None { Visibility::Invisible } else { Visibility::Visible },
        impact,
        confidence: 0.99,
        core: CoreState::Available,
        cells: cell.iter().cloned().collect(),
        cell,
        redundancy: None,
        suppressed: vec![],
        evidence: vec![],
        rejected: vec![],
        since: mins(13),
    }
}

fn incident(number: u64, title: &str, opened: Timestamp, verdict: Verdict) -> Incident {
    Incident {
        number,
        phase: Phase::Open,
        title: title.into(),
        cloud: Some("ecc".into()),
        site: Some("osl1".into()),
        zone: Some("az-osl".into()),
        problems: vec![],
        users_notice: String::new(),
        owner: None,
        ack: None,
        opened_at: opened,
        changed_at: opened,
        resolved_at: None,
        root: None,
        generation: 1,
        stage: stentor_core::model::Stage::Failed,
        going_on: Vec::new(),
        business: Vec::new(),
        links: stentor_core::model::Links::default(),
        timeline: vec![TimelineEntry {
            at: opened,
            kind: TimelineKind::Opened,
            by: None,
            text: format!("Opened: {title}"),
        }],
        verdict,
    }
}

fn evidence(sig: &str, at: &str, value: &str) -> Evidence {
    Evidence { sig: sig.into(), at: at.into(), value: value.into() }
}

fn key(host: &str, service: Option<&str>) -> ObjectKey {
    ObjectKey { host: host.into(), service: service.map(Into::into) }
}

fn incidents() -> BTreeMap<u64, Arc<Incident>> {
    let all = [
        power_lost(),
        service_stopped(),
        redundancy_lost(),
        silent_controller(),
        hostile_texts(),
        resolved_yesterday(),
        folded_below_power(),
    ];
    all.into_iter().map(|incident| (incident.number, Arc::new(incident))).collect()
}

/// Acknowledged, owned, with all kinds of entries on its timeline.
fn power_lost() -> Incident {
    let mut power = incident(2417, "Power circuit A lost at osl1, cc-osl-01 is down", mins(12), power_verdict());
    power.users_notice = "New instances in az-osl fail with “not enough resources”; az-bgo still accepts them.".into();
    power.business = vec!["self-service".into()];
    power.problems = vec![key("cc-osl-01", None), key("cc-osl-01", Some("cc port"))];
    power.owner = Some("mara".into());
    power.ack = Some(Ack {
        by: "mara".into(),
        comment: "Driving in".into(),
        at: mins(8),
        until: Some(now() + Span::from_mins(112)),
        sticky: Sticky::Yes,
    });
    let entry =
        |at, kind, by: Option<&str>, text: &str| TimelineEntry { at, kind, by: by.map(Into::into), text: text.into() };
    power.timeline.extend([
        entry(mins(11), TimelineKind::Paged, None, "Sent to mara by email"),
        entry(mins(11), TimelineKind::Effect, None, "30 nodes folded in"),
        entry(mins(10), TimelineKind::PageFailed, None, "webhook to chat: 502 Bad Gateway"),
        entry(mins(8), TimelineKind::Acknowledged, Some("mara"), "acknowledged until 05:06"),
        entry(mins(2), TimelineKind::Note, Some("ida"), "In the hall in 10. <script>alert(1)</script>"),
    ]);
    power
}

/// One cause that takes a server and thirty nodes with it.
fn power_verdict() -> Verdict {
    Verdict {
        subtype: "ups_output_lost".into(),
        cell: Some("eucalyptus/cc/server".into()),
        cells: vec!["eucalyptus/cc/server".into()],
        runbook: "rb-euca-cc-server".into(),
        redundancy: Some((1, 2)),
        suppressed: (1..=30)
            .map(|n| Suppressed {
                host: Some(format!("nc-osl-{n:02}").into()),
                component: Some("nc".into()),
                class: Class::Unknown,
            })
            .chain([
                Suppressed { host: Some("cc-osl-01".into()), component: Some("cc".into()), class: Class::ServerDown },
                Suppressed { host: Some("cc-osl-01".into()), component: None, class: Class::ServerDown },
            ])
            .collect(),
        evidence: vec![
            evidence("power", "ups-osl1-a", "output 0 V, battery empty"),
            evidence("ping", "cc-osl-01", "no answer, 3 of 3 tries"),
            evidence("bmc", "cc-osl-01", "<b>no answer</b>"),
        ],
        rejected: vec![Rejected {
            class: Class::Network,
            subtype: Some("switch_down".into()),
            why: "sw-osl1-b still forwards; 36 bonds run on it".into(),
        }],
        ..verdict(target(TargetKind::Power, "ups-osl1-a", None), Class::PowerEvent, Severity::Critical, Impact::Partial)
    }
}

/// Redundancy hides it from users.
fn service_stopped() -> Incident {
    let mut ufs = incident(
        2418,
        "User-facing service stopped on ufs-02",
        ago(Span::from_secs(112)),
        Verdict {
            visibility: Visibility::Invisible,
            redundancy: Some((1, 2)),
            evidence: vec![evidence("process", "ufs-02/ufs", "0 processes “euca-ufs”")],
            ..verdict(
                target(TargetKind::Component, "ufs-02", Some("ufs")),
                Class::SoftwareDown,
                Severity::Major,
                Impact::Partial,
            )
        },
    );
    ufs.users_notice = "Users reach the API through ufs-01.".into();
    ufs.problems = vec![key("ufs-02", Some("ufs port")), key("ufs-02", Some("ufs process"))];
    ufs
}

/// A warning before anything fails.
fn redundancy_lost() -> Incident {
    incident(
        2415,
        "RAID 6 degraded on walrus-01",
        mins(401),
        Verdict {
            subtype: "raid_degraded".into(),
            redundancy: Some((1, 2)),
            cells: vec!["eucalyptus/walrus/resource".into()],
            ..verdict(
                target(TargetKind::Hardware, "walrus-01", None),
                Class::RedundancyLost,
                Severity::Warning,
                Impact::None,
            )
        },
    )
}

/// Nobody can say what is wrong, for days.
fn silent_controller() -> Incident {
    incident(
        2409,
        "BMC of nc-bgo-05 does not answer",
        ago(Span::from_hours(75)),
        Verdict {
            evidence: vec![evidence("bmc", "nc-bgo-05", "IPMI session timeout")],
            ..verdict(target(TargetKind::Hardware, "nc-bgo-05", None), Class::Unknown, Severity::Unknown, Impact::None)
        },
    )
}

/// Every text in it is markup.
fn hostile_texts() -> Incident {
    let mut evil = incident(
        2419,
        &format!("{EVIL_SERVICE} failed on {EVIL_HOST}"),
        mins(3),
        Verdict {
            evidence: vec![evidence("out", EVIL_HOST, EVIL_OUTPUT)],
            ..verdict(
                target(TargetKind::Service, EVIL_HOST, Some(EVIL_SERVICE)),
                Class::ResourceAtRisk,
                Severity::Warning,
                Impact::None,
            )
        },
    );
    evil.users_notice = "<img src=x onerror=alert(2)>".into();
    evil.problems = vec![key(EVIL_HOST, Some(EVIL_SERVICE))];
    evil
}

/// Over since yesterday.
fn resolved_yesterday() -> Incident {
    let mut old = incident(
        2408,
        "haproxy stopped in lb-7f3a91",
        ago(Span::from_hours(35)),
        verdict(
            target(TargetKind::Component, "ufs-01", Some("elb")),
            Class::SoftwareDown,
            Severity::Warning,
            Impact::Partial,
        ),
    );
    old.phase = Phase::Resolved;
    old.resolved_at = Some(ago(Span::from_hours(35)) + Span::from_secs(250));
    old
}

/// Explained by the first one, and on its way back.
fn folded_below_power() -> Incident {
    let mut child = incident(
        2420,
        "No launches in az-osl",
        mins(11),
        verdict(
            target(TargetKind::ComponentGroup, "az-osl", Some("nc")),
            Class::ResourceUnavailable,
            Severity::Major,
            Impact::Capacity,
        ),
    );
    child.root = Some(2417);
    child.phase = Phase::Recovering;
    child
}

fn estate() -> Builder {
    let mut b = Builder { catalog: Catalog::default(), services: vec![], hosts: vec![] };
    b.catalog.instance = "test".into();
    b.catalog.timing = Timing::default();
    b.catalog.site = "osl1".into();
    for (name, cloud) in [("az-osl", Some(CloudId(0))), ("az-bgo", Some(CloudId(0))), ("office net", None)] {
        b.catalog.zones.push(Zone { name: name.into(), cloud });
    }
    b.catalog.platforms.push(Arc::new(platform()));
    b.catalog.checks = checks();
    b.host("sw-osl1-a", 0, Some(0), &[]);
    b.host("clc-01", 0, Some(0), &["clc"]);
    b.host("ufs-01", 0, Some(0), &["ufs", "console"]);
    b.host("ufs-02", 1, Some(0), &["ufs", "console"]);
    b.host("walrus-01", 1, Some(0), &["walrus"]);
    b.host("sc-osl-01", 0, Some(0), &["sc"]);
    b.host("sc-bgo-01", 1, Some(0), &["sc"]);
    b.host("cc-osl-01", 0, Some(0), &["cc"]);
    b.host("cc-bgo-01", 1, Some(0), &["cc"]);
    for n in 1..=8 {
        b.host(&format!("nc-osl-{n:02}"), 0, Some(0), &["nc"]);
        b.host(&format!("nc-bgo-{n:02}"), 1, Some(0), &["nc"]);
    }
    let evil = b.host(EVIL_HOST, 2, None, &[]);
    b.service(evil, EVIL_SERVICE, 3);
    b.service(evil, "ack", 3);
    let hosts = (0..b.catalog.hosts.len()).map(HostId::from_index);
    let hosts = hosts.filter(|id| b.catalog.hosts[id.index()].cloud == Some(CloudId(0))).collect();
    b.catalog.clouds.push(Cloud {
        name: "ecc".into(),
        platform: "eucalyptus".into(),
        min_nc: 4,
        topology: Topology { jvm: ["clc", "ufs", "walrus", "sc"].map(Into::into).into(), ..Topology::default() },
        hosts,
    });
    b.catalog.reindex();
    b
}

fn disturb(b: &mut Builder) {
    use ServiceState::{Critical, Unknown, Warning};
    for service in ["ufs port", "ufs process"] {
        let slot = b.set("ufs-02", service, Critical, mins(2), "CRITICAL - connection refused: port 8773");
        slot.0.incident = 2418;
    }
    for service in ["cc port", "cc process", "cc service state"] {
        let slot = b.set("cc-osl-01", service, Critical, mins(12), "CRITICAL - no route to host");
        slot.0.incident = 2417;
        slot.0.flags.set(Flags::ACKNOWLEDGED, true);
        slot.0.flags.set(Flags::EFFECT, true);
        slot.0.flags.set(Flags::STALE, true);
        slot.0.last_check = mins(13);
    }
    let disk = b.set("walrus-01", "disk /", Warning, mins(302), "DISK WARNING: / 91 % used, 4.1 GB free");
    let mut observation = Observation::reported(Warning, "DISK WARNING: / 91 % used, 4.1 GB free")
        .long("inode usage 12 %\ndevice /dev/sda3 <mounted>")
        .fact("used_pct", 91.0)
        .fact("<fact>", "\"quoted\"");
    observation.measurements = vec![
        Measurement {
            warn: "90".into(),
            crit: "95".into(),
            min: Some(0.0),
            max: Some(100.0),
            ..Measurement::new("used_pct", 91.0, "%")
        },
        Measurement { value: None, ..Measurement::new("<label>", 0.0, "") },
        Measurement::new("free", 4.1e9, "B"),
        Measurement { warn: "@5:10".into(), ..Measurement::new("await", 0.0382, "s") },
    ];
    disk.1.observation = Some(Arc::new(observation));
    disk.1.because = "used_pct > 90".into();
    disk.1.ack = Some(Box::new(Ack {
        by: "jonas".into(),
        comment: "Cleaning up <tonight>".into(),
        at: mins(200),
        until: None,
        sticky: Sticky::No,
    }));
    disk.0.flags.set(Flags::ACKNOWLEDGED, true);
    let soft = b.set("clc-01", "load", Warning, mins(1), "WARNING - load 14.2, 13.0, 8.8");
    soft.0.kind = StateKind::Soft;
    soft.0.attempt = 1;
    let unknown = b.set("nc-bgo-05", "memory", Unknown, mins(40), "UNKNOWN - no data from the agent");
    unknown.1.unknown_cause = Some(UnknownCause::Timeout);
    let pending = b.set("nc-bgo-06", "clock", ServiceState::Ok, Timestamp::ZERO, "");
    *pending = (Row::default(), Detail::default());
    let long = "x<y & ".repeat(1400);
    b.set("sc-bgo-01", "disk /", Warning, mins(58), &format!("WARNING - {long}"));
    let flapping = b.set("ufs-01", "console port", Warning, mins(9), "HTTP WARNING: 502 Bad Gateway");
    flapping.0.flags.set(Flags::FLAPPING, true);
    let evil = b.set(EVIL_HOST, EVIL_SERVICE, Critical, mins(3), EVIL_OUTPUT);
    evil.0.incident = 2419;
    evil.1.because = "out ~ \"<script>\"".into();
    for (name, state) in [("cc-osl-01", 1_u8), ("nc-osl-01", 2), ("nc-osl-02", 2)] {
        let at = b.catalog.host_id(name).unwrap().index();
        b.hosts[at].0.state = state;
        b.hosts[at].0.last_state_change = mins(12);
        b.hosts[at].0.incident = if state == 1 { 2417 } else { 0 };
        b.hosts[at].1.observation =
            Some(Arc::new(Observation::reported(ServiceState::Critical, "PING CRITICAL - no answer")));
    }
    let at = b.catalog.host_id("nc-bgo-07").unwrap().index();
    b.hosts[at].0.downtime_depth = 1;
}

/// A cloud on a bad night.
pub fn snapshot() -> Snapshot {
    let mut b = estate();
    disturb(&mut b);
    let downtime = |id, host: &str, from: i64, to: i64| Downtime {
        id,
        target: key(host, None),
        covers: Covers::HostAndServices,
        kind: DowntimeKind::Fixed,
        triggered_by: None,
        start: now() + Span::from_hours(from),
        end: now() + Span::from_hours(to),
        author: "jonas".into(),
        comment: "Power supply on order <RMA 88213>".into(),
        entered_at: mins(600),
        active: from < 0 && to > 0,
        started_at: (from < 0).then(|| now() + Span::from_hours(from)),
        comment_id: 0,
        recurring: None,
    };
    let downtimes = [
        downtime(1, "nc-bgo-07", -20, 33),
        downtime(2, "ufs-01", 90, 92),
        downtime(3, "ufs-02", 91, 93),
        downtime(4, "clc-01", -50, -48),
        downtime(5, EVIL_HOST, 1, 2),
    ];
    let mut snapshot = build(b);
    snapshot.incidents = Arc::new(incidents());
    snapshot.downtimes = Arc::new(downtimes.into_iter().map(|d| (d.id, d)).collect());
    snapshot.clouds = Arc::new(vec![CloudStatus {
        core: CoreState::Available,
        core_since: mins(12),
        diagnosis: Diagnosis {
            verdicts: vec![],
            suppressed: vec![],
            core: CoreState::Available,
            core_because: vec![],
            redundancy_lost: true,
            standing: Vec::new(),
            unknown: vec![],
        },
    }]);
    snapshot
}

/// The same cloud with nothing wrong.
pub fn quiet() -> Snapshot {
    let mut snapshot = build(estate());
    let calm = CloudStatus {
        core_since: ago(Span::from_hours(76)),
        diagnosis: Diagnosis { redundancy_lost: false, ..self::snapshot().clouds[0].diagnosis.clone() },
        ..self::snapshot().clouds[0].clone()
    };
    snapshot.clouds = Arc::new(vec![calm]);
    snapshot
}

/// One machine that watches itself: no cloud.
pub fn first_start() -> Snapshot {
    let mut b = Builder { catalog: Catalog::default(), services: vec![], hosts: vec![] };
    b.catalog.site = "home".into();
    b.catalog.zones.push(Zone { name: "local".into(), cloud: None });
    b.catalog.checks = checks();
    b.host("localhost", 0, None, &[]);
    b.catalog.reindex();
    build(b)
}

fn build(b: Builder) -> Snapshot {
    let (hosts, host_details): (Vec<Row>, Vec<Detail>) = b.hosts.into_iter().unzip();
    let (services, service_details): (Vec<Row>, Vec<Detail>) = b.services.into_iter().unzip();
    Snapshot {
        seq: 48_211,
        at: ago(Span::from_secs(1)),
        started: Timestamp::ZERO,
        catalog: Arc::new(b.catalog),
        hosts,
        host_details: host_details.into_iter().map(Arc::new).collect(),
        services,
        service_details: service_details.into_iter().map(Arc::new).collect(),
        host_tracks: Vec::new(),
        service_tracks: Vec::new(),
        ids: Default::default(),
        newest_downtime: 0,
        program: Arc::default(),
        contact_overrides: Arc::default(),
        incidents: Arc::new(BTreeMap::new()),
        downtimes: Arc::new(BTreeMap::new()),
        comments: Arc::default(),
        clouds: Arc::new(vec![]),
        runs: Arc::default(),
        services_known: Arc::default(),
        agents: Arc::new([("clc-01".into(), ago(Span::from_secs(2))), ("ufs-01".into(), mins(30))].into()),
        counters: Counters { results_applied: 1_234_567, ..Counters::default() },
        degraded: None,
        refused: None,
    }
}

/// A served fixture: the state of the handlers, what they asked of the engine, and how to sign in.
pub struct Fixture {
    pub state: WebState,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub published: broadcast::Sender<Published>,
    pub commands: mpsc::Receiver<Command>,
    pub cookie: String,
    pub csrf: String,
    pub clock: Clock,
}

/// Serves `snapshot` to a user of that role. Commands are refused where they name what is not there.
pub async fn serve(snapshot: Snapshot, role: Role) -> Fixture {
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    let (inbox, mut posts) = mpsc::channel(16);
    let (published, _) = broadcast::channel(64);
    let (asked, commands) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(post) = posts.recv().await {
            let Post::Command(input, reply) = post else { continue };
            let command = input.command;
            let answer = match &command {
                Command::AckIncident { number: 1, .. } => Err(Refused::Command(CommandError::NoIncident(1))),
                Command::AckIncident { number: 2408, .. } => Err(Refused::Command(CommandError::IncidentNotLive(2408))),
                _ => Ok(Reply::Done),
            };
            let _ = reply.send(answer);
            let _ = asked.send(command).await;
        }
    });
    let clock = Clock::manual(now());
    let store = Arc::new(MemoryStore::default());
    let user = User { name: "mara".into(), password_hash: "unused".into(), role: role.as_str().into() };
    store.put_user(&user).await.unwrap();
    let secret = auth::open_session(&*store, &user, now()).await.unwrap();
    let csrf = store.sessions()[0].csrf.clone();
    fill_history(&store).await;
    let results = mpsc::channel(1).0;
    let handle = Handle { inbox, results, snapshot: Arc::clone(&snapshot), published: published.clone() };
    let state = WebState {
        engine: handle,
        store,
        desk: crate::nagios::desk::Desk::new().0,
        agents: Arc::new(crate::runbook::agents::Agents::of_start(7)),
        drills: drills_of_a_test(),
        traps: crate::traps::board::Board::default(),
        clock: clock.clone(),
        self_metrics: Arc::new(prometheus::Registry::new()),
        url: "http://127.0.0.1:8461".into(),
        make_old: Arc::new(|_| true),
        secure_cookies: false,
        demo: None,
    };
    let cookie = format!("{}={secret}", auth::cookie_name(false));
    Fixture { state, snapshot, published, commands, cookie, csrf, clock }
}

/// A file of drills of its own, that nobody has written yet.
pub(crate) fn drills_of_a_test() -> crate::drills::Book {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    crate::drills::Book::new(file.path())
}

async fn fill_history(store: &MemoryStore) {
    let event = |mins_ago, text: &str| {
        Event::of_object(mins(mins_ago), EventKind::ServiceState, key("walrus-01", Some("disk /")), text)
    };
    let events = [
        event(9000, "OK: / 62 % used"),
        event(304, "WARNING (soft 1 of 3): / 90 % used"),
        event(302, "WARNING (hard): / 91 % used <b>"),
    ];
    let notification = |channel: &str| Notification {
        key: format!("test/INC-2417/problem/1/mara/{channel}").into(),
        reason: Reason::Problem,
        contact: "mara".into(),
        channel: channel.into(),
        address: "mara@example.org".into(),
        incident: Arc::clone(&incidents()[&2417]),
        seq: 1,
        created_at: mins(12),
        by: None,
        comment: None,
        notice: None,
    };
    store.commit_turn(1, &events, &[notification("email"), notification("webhook")]).await.unwrap();
}
