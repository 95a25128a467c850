//! Which cause covers which problem: every hard problem belongs to a diagnosed cause, to its host's failure,
//! or is a cause of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{CauseKey, Wanted};
use crate::Span;
use crate::Timestamp;
use crate::catalog::{Catalog, Check, SignalSpec, SignalValue};
use crate::diagnosis::{Class, CoreState, Evidence, Impact, Severity, Target, TargetKind, Verdict, Visibility};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::{HostState, ServiceState};
use crate::parity;
use crate::snapshot::{Detail, Row};

/// What is looked at: rows and details parallel to the catalog.
pub struct World<'a> {
    pub catalog: &'a Catalog,
    pub hosts: &'a [Row],
    pub host_details: &'a [Arc<Detail>],
    pub services: &'a [Row],
    pub service_details: &'a [Arc<Detail>],
}

/// A cause touches a host: as a whole (`None`) or one component of it.
type Touch<'a> = (Option<&'a str>, &'a CauseKey, &'a Verdict);

/// Causes by the hosts they touch.
pub struct CoverIndex<'a> {
    by_host: BTreeMap<&'a str, Vec<Touch<'a>>>,
    /// By the hosts on which their evidence was seen, where that is not the target: a replicated disk, a power feed or a
    /// switch is told of by checks of the hosts that use it.
    by_witness: BTreeMap<&'a str, Vec<(&'a CauseKey, &'a Verdict)>>,
}

impl<'a> CoverIndex<'a> {
    pub fn new(causes: impl Iterator<Item = (&'a CauseKey, &'a Verdict)>) -> Self {
        let mut by_host: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        let mut by_witness: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (key, verdict) in causes {
            let witnesses: BTreeSet<&str> = verdict.evidence.iter().map(seen_on).collect();
            for host in witnesses.into_iter().filter(|host| key.target.host.as_deref() != Some(host)) {
                by_witness.entry(host).or_default().push((key, verdict));
            }
            if let Some(host) = key.target.host.as_deref() {
                by_host.entry(host).or_default().push((key.target.component.as_deref(), key, verdict));
            }
            for effect in &verdict.suppressed {
                if let Some(host) = effect.host.as_deref() {
                    by_host.entry(host).or_default().push((effect.component.as_deref(), key, verdict));
                }
            }
        }
        CoverIndex { by_host, by_witness }
    }

    /// The cause that covers a problem, the most particular first.
    pub fn find(&self, catalog: &Catalog, object: ObjectId) -> Option<&'a CauseKey> {
        let (host, service) = match object {
            ObjectId::Host(id) => (id, None),
            ObjectId::Service(id) => (catalog.services[id.index()].host, Some(id)),
        };
        let name = &*catalog.hosts[host.index()].name;
        let causes = self.by_host.get(name).map(Vec::as_slice).unwrap_or_default();
        let component = service
            .and_then(|id| catalog.services[id.index()].component)
            .map(|id| &*catalog.components[id.index()].key);
        if let (Some(component), Some(id)) = (component, service) {
            let named = |c: &&Touch<'_>| {
                c.0 == Some(component) && (c.2.class != Class::ResourceAtRisk || speaks(catalog, id, c.2))
            };
            if let Some(found) = causes.iter().find(named) {
                return Some(found.1);
            }
        }
        let whole = causes.iter().find(|(of, key, verdict)| {
            of.is_none()
                && match key.target.kind {
                    TargetKind::Hardware => service.is_some_and(|id| speaks(catalog, id, verdict)),
                    TargetKind::Service => false,
                    // A group's effects on this host are its effects whatever the check.
                    TargetKind::Host
                    | TargetKind::Jvm
                    | TargetKind::Switch
                    | TargetKind::Power
                    | TargetKind::Backend
                    | TargetKind::Drbd
                    | TargetKind::Site
                    | TargetKind::Component
                    | TargetKind::ComponentGroup => {
                        verdict.class != Class::RedundancyLost || service.is_some_and(|id| speaks(catalog, id, verdict))
                    }
                }
        });
        if let Some((_, key, _)) = whole {
            return Some(key);
        }
        // A host-level check that is itself evidence for a component's verdict (its data disk, its process).
        let id = service?;
        let same = |c: &&Touch<'_>| speaks(catalog, id, c.2) || looks_at_the_same(catalog, id, c.2);
        if let Some((_, key, _)) = causes.iter().filter(|_| component.is_none()).find(same) {
            return Some(key);
        }
        let witnessed = self.by_witness.get(name).map(Vec::as_slice).unwrap_or_default();
        witnessed.iter().find(|(_, verdict)| has_told(catalog, id, verdict)).map(|(key, _)| *key)
    }
}

/// Whether a check of the host as a whole looks with the same probe at what the verdict rests on: one full file system
/// fails the host's disk check and the component's, one dead power supply its own check and the list of all sensors.
/// Each pair is one failure. A check with signals of its own speaks for itself, unless they are lines of a log: those only
/// support (specification 10, section 2), and the event log tells of the supply that its sensor shows.
fn looks_at_the_same(catalog: &Catalog, service: ServiceId, verdict: &Verdict) -> bool {
    let own = &catalog.services[service.index()];
    let own_check = &catalog.checks[own.check.index()];
    let names = |spec: &SignalSpec| match (&spec.value, verdict.class) {
        (SignalValue::Resource { kind, .. }, Class::ResourceUnavailable | Class::ResourceAtRisk) => {
            **kind == *verdict.subtype
        }
        (_, Class::RedundancyLost) => verdict.evidence.iter().any(|evidence| *evidence.sig == *spec.sig),
        (_, _) => false,
    };
    speaks_for_nothing(own_check)
        && catalog.hosts[own.host.index()].services.iter().any(|&id| {
            let other = &catalog.services[id.index()];
            let check = &catalog.checks[other.check.index()];
            let component = other.component.map(|id| &*catalog.components[id.index()].key);
            component == verdict.target.component.as_deref()
                && check.probe == own_check.probe
                && check.signals.iter().any(names)
        })
}

/// No signal of the check can be the reason of a verdict.
fn speaks_for_nothing(check: &Check) -> bool {
    check.signals.iter().all(|spec| matches!(&*spec.sig, "sel" | "log"))
}

/// Checks of the same host that look with the same probe at a part of what a check without signals looks at: if one of
/// them fails too, its verdict covers both. The plain check may be believed first, and must not speak first. Nor before the
/// host itself was asked: a controller tells of a machine without power sooner than any silence does.
pub fn that_see_the_same(catalog: &Catalog, service: ServiceId) -> Vec<ObjectId> {
    let own = &catalog.services[service.index()];
    let check = &catalog.checks[own.check.index()];
    if own.component.is_some() || !speaks_for_nothing(check) || check.probe.is_empty() {
        return Vec::new();
    }
    let same = |id: &&ServiceId| {
        let other = &catalog.checks[catalog.services[id.index()].check.index()];
        other.probe == check.probe && !other.signals.is_empty()
    };
    let host = &catalog.hosts[own.host.index()];
    let mut found: Vec<ObjectId> = host.services.iter().filter(same).map(|id| ObjectId::Service(*id)).collect();
    let can_be_asked = host.check.is_some_and(|check| !catalog.checks[check.index()].probe.is_empty());
    if !found.is_empty() && can_be_asked {
        found.push(ObjectId::Host(own.host));
    }
    found
}

/// The hosts that a verdict is about: its target, and those on which its evidence was seen.
pub fn hosts_of(verdict: &Verdict) -> BTreeSet<&str> {
    verdict.target.host.as_deref().into_iter().chain(verdict.evidence.iter().map(seen_on)).collect()
}

/// The host on which it was seen.
fn seen_on(evidence: &Evidence) -> &str {
    evidence.at.split('/').next().unwrap_or_default()
}

/// Whether what the verdict rests on was seen by this check, on its host.
fn has_told(catalog: &Catalog, service: ServiceId, verdict: &Verdict) -> bool {
    let service = &catalog.services[service.index()];
    let host = &*catalog.hosts[service.host.index()].name;
    let mut own = verdict.evidence.iter().filter(|evidence| seen_on(evidence) == host);
    own.any(|evidence| catalog.checks[service.check.index()].signals.iter().any(|spec| *spec.sig == *evidence.sig))
}

/// Whether a service's check contributes a signal that the verdict rests on.
pub fn speaks(catalog: &Catalog, service: ServiceId, verdict: &Verdict) -> bool {
    let check = &catalog.checks[catalog.services[service.index()].check.index()];
    check.signals.iter().any(|spec| match &spec.value {
        // Resources are many: only the one that the verdict names is its evidence.
        SignalValue::Resource { kind, .. } => {
            *kind == verdict.subtype && verdict.evidence.iter().any(|evidence| evidence.sig == "resource")
        }
        SignalValue::Elsewhere(_) => false,
        SignalValue::Fact(_) | SignalValue::Each(_) | SignalValue::Translated { .. } | SignalValue::ByState(_) => {
            verdict.evidence.iter().any(|evidence| *evidence.sig == *spec.sig)
        }
    })
}

/// The key of the incident that a problem would be by itself.
pub fn own_key(catalog: &Catalog, object: ObjectId) -> CauseKey {
    let (host, kind, component) = match object {
        ObjectId::Host(id) => (id, TargetKind::Host, None),
        ObjectId::Service(id) => {
            let service = &catalog.services[id.index()];
            (service.host, TargetKind::Service, Some(Arc::clone(&service.name)))
        }
    };
    let host = &catalog.hosts[host.index()];
    CauseKey {
        cloud: host.cloud.map(|id| Arc::clone(&catalog.clouds[id.index()].name)),
        target: Target { kind, host: Some(Arc::clone(&host.name)), component },
        class: Class::Unknown,
        part: None,
    }
}

/// Where the cause of a problem is looked for: a comparison that is UNKNOWN because a host has not told its part has the
/// cause of that host, or of its check. Of every other problem, at itself.
pub fn rests_on(world: &World<'_>, object: ObjectId) -> ObjectId {
    let ObjectId::Service(id) = object else { return object };
    if world.services[id.index()].service_state() != ServiceState::Unknown {
        return object;
    }
    let members = parity::members(world.catalog, id).unwrap_or_default();
    let troubled = members.into_iter().find_map(|(host, service)| {
        let silent = service.filter(|service| world.services[service.index()].is_hard_problem()).map(ObjectId::Service);
        if world.hosts[host.index()].is_hard_problem() { Some(ObjectId::Host(host)) } else { silent }
    });
    troubled.unwrap_or(object)
}

/// The cause of a problem that no diagnosis covers: its unreachable parent, its host, its silent agent, or itself.
pub fn plain_cause(world: &World<'_>, object: ObjectId) -> Option<(CauseKey, Wanted)> {
    let catalog = world.catalog;
    match object {
        ObjectId::Host(id) => {
            let root = first_down(world, id);
            Some(host_cause(world, root))
        }
        ObjectId::Service(id) => {
            let service = &catalog.services[id.index()];
            if world.hosts[service.host.index()].state != 0 {
                // The host's own row decides; a soft host failure gets the time to become hard.
                return world.hosts[service.host.index()]
                    .is_hard_problem()
                    .then(|| host_cause(world, first_down(world, service.host)));
            }
            let root = silent_agent(world, service.host, id).unwrap_or(id);
            Some(service_cause(world, root))
        }
    }
}

/// The first host upwards that is DOWN rather than UNREACHABLE.
fn first_down(world: &World<'_>, host: HostId) -> HostId {
    let mut current = host;
    // A chain of parents is never longer than the number of hosts; the catalog refuses cycles.
    for _ in 0..world.catalog.hosts.len() {
        if world.hosts[current.index()].host_state() != HostState::Unreachable {
            return current;
        }
        let gone = world.catalog.hosts[current.index()].parents.iter().find(|p| world.hosts[p.index()].state != 0);
        match gone {
            Some(parent) => current = *parent,
            None => return current,
        }
    }
    current
}

/// The host's agent service, when both it and the problem are stale: one silence, not many failures.
fn silent_agent(world: &World<'_>, host: HostId, problem: ServiceId) -> Option<ServiceId> {
    if !world.services[problem.index()].is_stale() {
        return None;
    }
    let agent = world.catalog.service_on(host, "agent")?;
    world.services[agent.index()].is_stale().then_some(agent)
}

fn host_cause(world: &World<'_>, host: HostId) -> (CauseKey, Wanted) {
    let row = &world.hosts[host.index()];
    let name = &world.catalog.hosts[host.index()].name;
    let output = output_of(&world.host_details[host.index()]);
    let target = Target { kind: TargetKind::Host, host: Some(Arc::clone(name)), component: None };
    let severity = Severity::Critical;
    let verdict = plain_verdict(Plain { target, severity, since: row.last_hard_change, sig: "host check", output });
    (key_of(world, host, &verdict), Wanted { verdict, hold: hold_of(world, None) })
}

fn service_cause(world: &World<'_>, id: ServiceId) -> (CauseKey, Wanted) {
    let row = &world.services[id.index()];
    let service = &world.catalog.services[id.index()];
    let target = Target {
        kind: TargetKind::Service,
        host: Some(Arc::clone(&world.catalog.hosts[service.host.index()].name)),
        component: Some(Arc::clone(&service.name)),
    };
    let severity = match row.service_state() {
        ServiceState::Critical => Severity::Critical,
        ServiceState::Warning | ServiceState::Ok => Severity::Warning,
        ServiceState::Unknown => Severity::Unknown,
    };
    let output = output_of(&world.service_details[id.index()]);
    let verdict = plain_verdict(Plain { target, severity, since: row.last_hard_change, sig: "check", output });
    (key_of(world, service.host, &verdict), Wanted { verdict, hold: hold_of(world, Some(id)) })
}

/// A check that speaks to the classifier waits for its verdict; any other is believed at once, being hard already.
fn hold_of(world: &World<'_>, service: Option<ServiceId>) -> Span {
    let timing = &world.catalog.timing;
    match service {
        None => timing.hold_server * 2,
        Some(id) => {
            let row = &world.catalog.services[id.index()];
            let classified = row.component.is_some() || !world.catalog.checks[row.check.index()].signals.is_empty();
            let hold = if classified { timing.hold_server * 2 } else { Span::ZERO };
            // An agent that is heard again has yet to run its checks: what they said is old, and not lost.
            let check = &world.catalog.checks[row.check.index()];
            if world.services[id.index()].is_stale() { hold.max(check.every + check.timeout) } else { hold }
        }
    }
}

fn key_of(world: &World<'_>, host: HostId, verdict: &Verdict) -> CauseKey {
    let cloud = world.catalog.hosts[host.index()].cloud;
    CauseKey::of(cloud.map(|id| Arc::clone(&world.catalog.clouds[id.index()].name)), verdict)
}

fn output_of(detail: &Detail) -> String {
    detail.observation.as_ref().map_or_else(String::new, |observation| observation.text.to_string())
}

struct Plain<'a> {
    target: Target,
    severity: Severity,
    since: Timestamp,
    sig: &'a str,
    output: String,
}

fn plain_verdict(plain: Plain<'_>) -> Verdict {
    let host = plain.target.host.as_deref().unwrap_or_default();
    let at = match plain.target.component.as_deref() {
        Some(service) => format!("{host}/{service}"),
        None => host.to_owned(),
    };
    Verdict {
        evidence: vec![Evidence { sig: plain.sig.to_owned(), at, value: plain.output }],
        target: plain.target,
        class: Class::Unknown,
        subtype: "insufficient".into(),
        severity: plain.severity,
        visibility: Visibility::Visible,
        impact: Impact::None,
        confidence: 0.5,
        core: CoreState::Unknown,
        cell: None,
        cells: Vec::new(),
        runbook: "none".into(),
        redundancy: None,
        suppressed: Vec::new(),
        rejected: Vec::new(),
        since: plain.since,
    }
}
