//! Shapes of the API's answers and questions. They change only as `/api/v1` may: core types are not the API.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stentor_core::Timestamp;
use stentor_core::diagnosis::{self, TargetKind, Verdict};
use stentor_core::engine::input::Spread;
use stentor_core::engine::switch::Switch;
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::model::{self, Measurement, ObjectKey, StateKind, Sticky, TimelineKind};
use stentor_core::snapshot::{Detail, Flags, Row, Snapshot};
use stentor_core::timeleft;

/// A page of a list at one journal sequence.
#[derive(Serialize)]
pub struct List<T> {
    pub seq: u64,
    pub items: Vec<T>,
    /// For `?after=`; null on the last page.
    pub next: Option<String>,
}

/// RFC 3339, or null for "never".
pub(super) fn time(at: Timestamp) -> Option<String> {
    (at != Timestamp::ZERO).then(|| at.to_rfc3339())
}

#[derive(Serialize)]
pub struct Ack<'a> {
    pub by: &'a str,
    pub comment: &'a str,
    pub at: Option<String>,
    pub until: Option<String>,
    pub sticky: bool,
}

impl<'a> From<&'a model::Ack> for Ack<'a> {
    fn from(ack: &'a model::Ack) -> Self {
        Ack {
            by: &ack.by,
            comment: &ack.comment,
            at: time(ack.at),
            until: ack.until.and_then(time),
            sticky: ack.sticky == Sticky::Yes,
        }
    }
}

#[derive(Serialize)]
pub struct Target<'a> {
    pub kind: &'static str,
    pub host: Option<&'a str>,
    pub component: Option<&'a str>,
}

impl<'a> From<&'a diagnosis::Target> for Target<'a> {
    fn from(target: &'a diagnosis::Target) -> Self {
        Target { kind: target_kind(target.kind), host: target.host.as_deref(), component: target.component.as_deref() }
    }
}

fn target_kind(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Component => "component",
        TargetKind::ComponentGroup => "component_group",
        TargetKind::Host => "host",
        TargetKind::Jvm => "jvm",
        TargetKind::Hardware => "hardware",
        TargetKind::Switch => "switch",
        TargetKind::Power => "power",
        TargetKind::Backend => "backend",
        TargetKind::Drbd => "drbd",
        TargetKind::Site => "site",
        TargetKind::Service => "service",
    }
}

#[derive(Serialize)]
pub struct Effect<'a> {
    pub host: Option<&'a str>,
    pub component: Option<&'a str>,
    pub class: &'static str,
}

#[derive(Serialize)]
pub struct Evidence<'a> {
    pub sig: &'a str,
    pub at: &'a str,
    pub value: &'a str,
}

#[derive(Serialize)]
pub struct Rejected<'a> {
    pub class: &'static str,
    pub subtype: Option<&'a str>,
    pub why: &'a str,
}

#[derive(Serialize)]
pub struct TimelineEntry<'a> {
    pub at: Option<String>,
    pub kind: &'static str,
    pub by: Option<&'a str>,
    pub text: &'a str,
}

fn timeline_kind(kind: TimelineKind) -> &'static str {
    match kind {
        TimelineKind::Opened => "opened",
        TimelineKind::Changed => "changed",
        TimelineKind::Effect => "effect",
        TimelineKind::Acknowledged => "acknowledged",
        TimelineKind::Unacknowledged => "unacknowledged",
        TimelineKind::Note => "note",
        TimelineKind::Paged => "paged",
        TimelineKind::PageFailed => "page_failed",
        TimelineKind::Withheld => "withheld",
        TimelineKind::Recovering => "recovering",
        TimelineKind::Relapsed => "relapsed",
        TimelineKind::Resolved => "resolved",
        TimelineKind::Closed => "closed",
        TimelineKind::Evidence => "evidence",
        TimelineKind::Stage => "stage",
        TimelineKind::Replaced => "replaced",
        TimelineKind::Reopened => "reopened",
        TimelineKind::Split => "split",
        TimelineKind::Merged => "merged",
        TimelineKind::Runbook => "runbook",
    }
}

/// How many instances are left of how many, and how many are needed.
#[derive(Serialize)]
pub struct Redundancy {
    pub left: u32,
    pub of: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
}

/// How long until something fails or is well.
#[derive(Serialize)]
pub struct TimeLeft<'a> {
    /// `ups`, `disk`, `rebuild`, …
    pub what: &'static str,
    pub subject: String,
    /// `failure` or `relief`.
    pub ends: &'static str,
    pub at: String,
    /// `told` by the thing itself, or read from its `trend`.
    pub basis: &'static str,
    pub confidence: f64,
    pub why: String,
    /// The check that knows.
    pub host: &'a str,
    pub service: &'a str,
}

#[derive(Serialize)]
pub struct Key<'a> {
    pub host: &'a str,
    pub service: Option<&'a str>,
}

impl<'a> From<&'a ObjectKey> for Key<'a> {
    fn from(key: &'a ObjectKey) -> Self {
        Key { host: &key.host, service: key.service.as_deref() }
    }
}

#[derive(Serialize)]
pub struct Incident<'a> {
    pub number: u64,
    pub phase: &'static str,
    /// `failed`, `failing_over`, `recovering`, `well`, `merged`.
    pub stage: &'static str,
    /// What still goes on before the next stage.
    pub going_on: &'a [String],
    /// Rises with every change that people are told of, and when it is opened again.
    pub generation: u32,
    pub title: &'a str,
    pub class: &'static str,
    pub subtype: &'a str,
    pub failure_type: Option<&'static str>,
    pub target: Target<'a>,
    pub cell: Option<&'a str>,
    pub cells: Vec<&'a str>,
    pub severity: &'static str,
    pub impact: &'static str,
    pub visibility: &'static str,
    pub core: &'static str,
    pub confidence: f64,
    pub redundancy: Option<Redundancy>,
    /// The most pressing end in sight: what fails first, else what is well last.
    pub time_left: Option<TimeLeft<'a>>,
    /// Number of the incident that causes this one.
    pub root: Option<u64>,
    /// Other incidents that it has to do with: the same cause before and after, split and merged.
    pub links: &'a model::Links,
    pub effects: Vec<Effect<'a>>,
    pub evidence: Vec<Evidence<'a>>,
    pub rejected: Vec<Rejected<'a>>,
    pub problems: Vec<Key<'a>>,
    pub users_notice: &'a str,
    /// Business services that it takes down or degrades by itself; once it recovers, those it did.
    pub business: Vec<&'a str>,
    pub runbook: Option<&'a str>,
    pub owner: Option<&'a str>,
    pub ack: Option<Ack<'a>>,
    pub cloud: Option<&'a str>,
    pub site: Option<&'a str>,
    pub zone: Option<&'a str>,
    pub opened_at: Option<String>,
    pub changed_at: Option<String>,
    pub resolved_at: Option<String>,
    pub timeline: Vec<TimelineEntry<'a>>,
}

impl<'a> From<&'a model::Incident> for Incident<'a> {
    fn from(incident: &'a model::Incident) -> Self {
        let verdict: &Verdict = &incident.verdict;
        Incident {
            number: incident.number,
            phase: incident.phase.as_str(),
            stage: incident.stage.as_str(),
            going_on: &incident.going_on,
            generation: incident.generation,
            title: &incident.title,
            class: verdict.class.as_str(),
            subtype: &verdict.subtype,
            failure_type: verdict.class.failure_type().map(|t| t.as_str()),
            target: (&verdict.target).into(),
            cell: verdict.cell.as_deref(),
            cells: verdict.cells.iter().map(|cell| &**cell).collect(),
            severity: verdict.severity.as_str(),
            impact: verdict.impact.as_str(),
            visibility: match verdict.visibility {
                diagnosis::Visibility::Visible => "visible",
                diagnosis::Visibility::Invisible => "invisible",
            },
            core: verdict.core.as_str(),
            confidence: verdict.confidence,
            redundancy: verdict.redundancy.map(|(left, of)| Redundancy { left, of, min: None }),
            time_left: None,
            root: incident.root,
            links: &incident.links,
            effects: (verdict.suppressed.iter())
                .map(|s| Effect { host: s.host.as_deref(), component: s.component.as_deref(), class: s.class.as_str() })
                .collect(),
            evidence: (verdict.evidence.iter()).map(|e| Evidence { sig: &e.sig, at: &e.at, value: &e.value }).collect(),
            rejected: (verdict.rejected.iter())
                .map(|r| Rejected { class: r.class.as_str(), subtype: r.subtype.as_deref(), why: &r.why })
                .collect(),
            problems: incident.problems.iter().map(Key::from).collect(),
            users_notice: &incident.users_notice,
            business: incident.business.iter().map(|name| &**name).collect(),
            runbook: runbook(&verdict.runbook),
            owner: incident.owner.as_deref(),
            ack: incident.ack.as_ref().map(Ack::from),
            cloud: incident.cloud.as_deref(),
            site: incident.site.as_deref(),
            zone: incident.zone.as_deref(),
            opened_at: time(incident.opened_at),
            changed_at: time(incident.changed_at),
            resolved_at: incident.resolved_at.and_then(time),
            timeline: (incident.timeline.iter())
                .map(|t| TimelineEntry {
                    at: time(t.at),
                    kind: timeline_kind(t.kind),
                    by: t.by.as_deref(),
                    text: &t.text,
                })
                .collect(),
        }
    }
}

impl<'a> Incident<'a> {
    /// What only the checks of the incident know.
    #[must_use]
    pub fn with_time_left(mut self, snapshot: &'a Snapshot, incident: &model::Incident) -> Self {
        self.time_left = timeleft::of_incident(snapshot, incident).into_iter().next().map(|left| {
            let service = &snapshot.catalog.services[left.service.index()];
            TimeLeft {
                what: left.what.as_str(),
                subject: left.subject,
                ends: left.what.ends().as_str(),
                at: left.at.to_rfc3339(),
                basis: left.basis.as_str(),
                confidence: left.confidence,
                why: left.why,
                host: &snapshot.catalog.hosts[service.host.index()].name,
                service: &service.name,
            }
        });
        self
    }
}

/// Verdicts say `none` where nothing is to do.
pub fn runbook(id: &str) -> Option<&str> {
    (!id.is_empty() && id != "none").then_some(id)
}

/// What hosts and services share.
#[derive(Serialize)]
pub struct Status<'a> {
    /// `PENDING` until the first result.
    pub state: &'static str,
    pub kind: &'static str,
    pub attempt: u16,
    pub max_attempts: u16,
    pub acknowledged: bool,
    pub ack: Option<Ack<'a>>,
    pub downtime_depth: u16,
    pub flapping: bool,
    pub stale: bool,
    /// Explained by a host or parent that is down.
    pub effect: bool,
    /// What commands switched off: `active_checks`, `passive_checks`, `notifications`.
    pub switched_off: Vec<Switch>,
    pub incident: Option<u64>,
    pub state_since: Option<String>,
    pub last_check: Option<String>,
    /// Last check plus the configured interval; null for passive and never-checked ones.
    pub next_check: Option<String>,
    pub output: &'a str,
    pub long_output: &'a str,
    pub because: &'a str,
    pub unknown_cause: Option<String>,
    pub perfdata: Vec<Perfdata<'a>>,
}

#[derive(Serialize)]
pub struct Perfdata<'a> {
    pub label: &'a str,
    pub value: Option<f64>,
    pub unit: &'a str,
    pub warn: &'a str,
    pub crit: &'a str,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

impl<'a> From<&'a Measurement> for Perfdata<'a> {
    fn from(m: &'a Measurement) -> Self {
        Perfdata {
            label: &m.label,
            value: m.value,
            unit: &m.unit,
            warn: &m.warn,
            crit: &m.crit,
            min: m.min,
            max: m.max,
        }
    }
}

fn status<'a>(
    snapshot: &'a Snapshot,
    object: ObjectId,
    row: &Row,
    detail: &'a Detail,
    state: &'static str,
) -> Status<'a> {
    let check = snapshot.catalog.check_of(object);
    let off = snapshot.switched_off(object);
    let next_check = check
        .filter(|check| !check.probe.is_empty() && !row.is_pending() && !off.contains(&Switch::ActiveChecks))
        .map(|check| row.last_check + if row.kind == StateKind::Soft { check.retry } else { check.every });
    let observation = detail.observation.as_deref();
    Status {
        state: if row.is_pending() { "PENDING" } else { state },
        kind: row.kind.as_str(),
        attempt: row.attempt,
        max_attempts: check.map_or(1, |check| check.attempts),
        acknowledged: row.is_acknowledged(),
        ack: detail.ack.as_ref().map(|ack| Ack::from(&**ack)),
        downtime_depth: row.downtime_depth,
        flapping: row.flags.has(Flags::FLAPPING),
        stale: row.is_stale(),
        effect: row.flags.has(Flags::EFFECT),
        switched_off: off,
        incident: (row.incident != 0).then_some(row.incident),
        state_since: time(row.last_state_change),
        last_check: time(row.last_check),
        next_check: next_check.and_then(time),
        output: observation.map_or("", |o| &o.text),
        long_output: observation.map_or("", |o| &o.long_text),
        because: &detail.because,
        unknown_cause: detail.unknown_cause.map(|cause| cause.to_string()),
        perfdata: observation.map(|o| o.measurements.iter().map(Perfdata::from).collect()).unwrap_or_default(),
    }
}

#[derive(Serialize)]
pub struct Host<'a> {
    pub name: &'a str,
    pub display: &'a str,
    pub address: &'a str,
    pub site: &'a str,
    pub zone: &'a str,
    pub cloud: Option<&'a str>,
    pub parents: Vec<&'a str>,
    pub components: Vec<&'a str>,
    #[serde(flatten)]
    pub status: Status<'a>,
}

impl<'a> Host<'a> {
    pub fn new(snapshot: &'a Snapshot, id: HostId) -> Host<'a> {
        let catalog = &*snapshot.catalog;
        let host = &catalog.hosts[id.index()];
        let row = &snapshot.hosts[id.index()];
        let detail = &snapshot.host_details[id.index()];
        Host {
            name: &host.name,
            display: &host.display,
            address: &host.address,
            site: &catalog.site,
            zone: catalog.zones.get(host.zone.index()).map_or("", |zone| &zone.name),
            cloud: host.cloud.map(|cloud| &*catalog.clouds[cloud.index()].name),
            parents: host.parents.iter().map(|p| &*catalog.hosts[p.index()].name).collect(),
            components: host.components.iter().map(|c| &*catalog.components[c.index()].key).collect(),
            status: status(snapshot, ObjectId::Host(id), row, detail, row.host_state().as_str()),
        }
    }
}

#[derive(Serialize)]
pub struct Service<'a> {
    pub host: &'a str,
    pub service: &'a str,
    pub check: &'a str,
    pub component: Option<&'a str>,
    /// Null while flap detection does not measure it.
    pub percent_state_change: Option<f64>,
    #[serde(flatten)]
    pub status: Status<'a>,
}

impl<'a> Service<'a> {
    pub fn new(snapshot: &'a Snapshot, id: ServiceId) -> Service<'a> {
        let catalog = &*snapshot.catalog;
        let service = &catalog.services[id.index()];
        let row = &snapshot.services[id.index()];
        let detail = &snapshot.service_details[id.index()];
        Service {
            host: &catalog.hosts[service.host.index()].name,
            service: &service.name,
            check: &catalog.checks[service.check.index()].name,
            component: service.component.map(|c| &*catalog.components[c.index()].key),
            percent_state_change: None,
            status: status(snapshot, ObjectId::Service(id), row, detail, row.service_state().as_str()),
        }
    }
}

#[derive(Serialize)]
pub struct Downtime<'a> {
    pub id: u64,
    pub target: Key<'a>,
    /// Whether a host's downtime covers its services too.
    pub services: bool,
    pub start: Option<String>,
    pub end: Option<String>,
    /// False: starts when the target fails between `start` and `end`, and lasts `duration` from then.
    pub fixed: bool,
    /// Seconds.
    pub duration: i64,
    pub comment: &'a str,
    pub author: &'a str,
    pub triggered_by: Option<u64>,
    /// Name of the recurring downtime that it is an occurrence of.
    pub recurring: Option<&'a str>,
    pub active: bool,
    pub entered_at: Option<String>,
}

impl<'a> From<&'a model::Downtime> for Downtime<'a> {
    fn from(d: &'a model::Downtime) -> Self {
        Downtime {
            id: d.id,
            target: (&d.target).into(),
            services: d.covers == model::Covers::HostAndServices,
            start: time(d.start),
            end: time(d.end),
            fixed: d.is_fixed(),
            duration: d.length().as_millis() / 1000,
            comment: &d.comment,
            author: &d.author,
            triggered_by: d.triggered_by,
            recurring: d.recurring.as_deref(),
            active: d.active,
            entered_at: time(d.entered_at),
        }
    }
}

#[derive(Serialize)]
pub struct Component<'a> {
    pub key: &'a str,
    pub platform: &'a str,
    pub host: &'a str,
    pub zone: &'a str,
    /// Null while too little is known.
    pub in_service: Option<bool>,
    /// What the controller says of it (`ENABLED`, `DISABLED`), where a check reports that.
    pub role: Option<&'a str>,
    pub redundancy: Redundancy,
}

#[derive(Serialize)]
pub struct HistoryItem<'a> {
    pub seq: u64,
    pub ordinal: u32,
    pub at: Option<String>,
    pub kind: &'static str,
    pub host: Option<&'a str>,
    pub service: Option<&'a str>,
    pub incident: Option<u64>,
    pub text: &'a str,
}

impl<'a> From<&'a crate::store::HistoryRow> for HistoryItem<'a> {
    fn from(row: &'a crate::store::HistoryRow) -> Self {
        HistoryItem {
            seq: row.seq,
            ordinal: row.ordinal,
            at: time(row.event.at),
            kind: row.event.kind.as_str(),
            host: row.event.object.as_ref().map(|key| &*key.host),
            service: row.event.object.as_ref().and_then(|key| key.service.as_deref()),
            incident: row.event.incident,
            text: &row.event.text,
        }
    }
}

/// How many of what, kept by state change.
#[derive(Serialize)]
pub struct Counts<'a> {
    pub seq: u64,
    pub hosts: HostCounts,
    pub services: ServiceCounts,
    /// Open and recovering.
    pub incidents: usize,
    /// Why Stentor cannot keep what happens; null while it can.
    pub degraded: Option<&'a str>,
}

#[derive(Serialize)]
pub struct HostCounts {
    pub up: u32,
    pub down: u32,
    pub unreachable: u32,
    pub pending: u32,
}

#[derive(Serialize)]
pub struct ServiceCounts {
    pub ok: u32,
    pub warning: u32,
    pub critical: u32,
    pub unknown: u32,
    pub pending: u32,
}

impl<'a> Counts<'a> {
    pub fn of(snapshot: &'a Snapshot) -> Counts<'a> {
        let [up, down, unreachable, pending_hosts] = snapshot.counters.hosts;
        let [ok, warning, critical, unknown, pending] = snapshot.counters.services;
        Counts {
            seq: snapshot.seq,
            hosts: HostCounts { up, down, unreachable, pending: pending_hosts },
            services: ServiceCounts { ok, warning, critical, unknown, pending },
            incidents: snapshot.incidents.values().filter(|incident| incident.phase.is_live()).count(),
            degraded: snapshot.degraded.as_deref(),
        }
    }
}

/// Body of every acknowledgement.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AckRequest {
    pub comment: String,
    /// RFC 3339.
    pub until: Option<String>,
    pub sticky: bool,
    pub notify: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DowntimeRequest {
    pub host: Option<String>,
    pub service: Option<String>,
    /// Instead of `host`: everything that the filter selects now.
    pub q: Option<String>,
    /// With a host: its services too (the default).
    pub services: Option<bool>,
    /// RFC 3339; now if left out.
    pub start: Option<String>,
    pub end: Option<String>,
    /// Seconds; instead of `end`, or with `fixed` false how long it lasts once it has started.
    pub duration: Option<i64>,
    /// False: starts when the target fails between `start` and `end`.
    pub fixed: Option<bool>,
    /// Id of a downtime that it starts and ends with.
    pub triggered_by: Option<u64>,
    /// With a host: what the hosts behind it get.
    pub children: Children,
    /// With a host: a window for each of its services, and none for itself.
    pub services_only: bool,
    pub comment: String,
}

/// Windows of the hosts behind a host.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Children {
    #[default]
    None,
    /// The same window.
    Same,
    /// One that starts and ends with the host's.
    Triggered,
}

impl Children {
    pub fn spread(self) -> Spread {
        match self {
            Children::None => Spread::TargetOnly,
            Children::Same => Spread::Descendants,
            Children::Triggered => Spread::TriggeredDescendants,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteRequest {
    pub text: String,
}

/// One passive result.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultRequest {
    pub host: String,
    #[serde(default)]
    pub service: Option<String>,
    pub code: i32,
    #[serde(default)]
    pub output: String,
    #[serde(default)]
    pub observed_at: Option<When>,
    #[serde(default)]
    pub id: Option<String>,
}

/// An instant as RFC 3339, or as the milliseconds that core types carry.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum When {
    Millis(i64),
    Text(String),
}

impl When {
    /// # Errors
    /// The text is not RFC 3339.
    pub fn instant(&self) -> Result<Timestamp, String> {
        match self {
            When::Millis(millis) => Ok(Timestamp::from_millis(*millis)),
            When::Text(text) => Timestamp::from_rfc3339(text).map_err(|e| e.to_string()),
        }
    }
}

/// One push of an agent.
#[derive(Debug, Deserialize)]
pub struct AgentPush {
    pub agent: String,
    pub boot: String,
    /// Of its newest result; of a sign of life: the next number.
    pub sequence: u64,
    /// Results that the agent holds back for its next pushes.
    #[serde(default)]
    pub waiting: u64,
    /// Results that the agent had to drop since it started.
    #[serde(default)]
    pub dropped: u64,
    /// Agents that know no orders say nothing.
    #[serde(default)]
    pub commands: Option<AgentCommands>,
    pub results: Vec<AgentResult>,
}

/// The commands that an agent runs for runbooks, as its own list has them.
#[derive(Debug, Deserialize)]
pub struct AgentCommands {
    /// Names this start of the agent, also while it tells what an earlier one could not.
    pub start: String,
    pub allow: Vec<Vec<Arc<str>>>,
}

/// What an agent tells of an order.
#[derive(Debug, Deserialize)]
pub struct AgentOrder {
    pub agent: String,
    pub start: String,
    pub state: OrderState,
    #[serde(default)]
    pub output: String,
}

#[derive(Copy, Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// It asks whether it may: nothing was run yet.
    Begun,
    /// It was not and will not be run.
    Refused,
    Done,
    Failed,
}

#[derive(Debug, Deserialize)]
pub struct AgentResult {
    /// Within the agent's boot; one without is part of no other push.
    #[serde(default)]
    pub sequence: Option<u64>,
    pub host: String,
    #[serde(default)]
    pub service: Option<String>,
    pub observed_at: When,
    pub observation: model::Observation,
}

/// One check that an agent is to run.
#[derive(Serialize)]
pub struct AgentCheck<'a> {
    pub service: &'a str,
    pub probe: &'a str,
    pub params: model::Value,
    pub every_ms: i64,
    pub timeout_ms: i64,
}
