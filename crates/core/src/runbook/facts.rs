//! Live facts of a target: what conditions of steps (`needs`, `until`) may read. Built from the same rows by engine and pages.
//!
//! A fact is there only if a fresh result says it: what was never said, or too long ago, is not known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::verification::{Verification, name_of};
use super::{Run, RunError, RunTarget};
use crate::Timestamp;
use crate::catalog::{Catalog, Check, Runbook};
use crate::diagnosis::{Class, TargetKind};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::incident::cover;
use crate::model::{Incident, Observation, Phase, ServiceState, Value};
use crate::rules::Judgement;
use crate::snapshot::{CloudStatus, Detail, Row, Snapshot};

/// What is looked at: rows and details parallel to the catalog.
#[derive(Copy, Clone)]
pub struct Sight<'a> {
    pub catalog: &'a Catalog,
    pub hosts: &'a [Row],
    pub host_details: &'a [Arc<Detail>],
    pub services: &'a [Row],
    pub service_details: &'a [Arc<Detail>],
    pub clouds: &'a [CloudStatus],
    pub incidents: &'a BTreeMap<u64, Arc<Incident>>,
    pub at: Timestamp,
}

impl<'a> Sight<'a> {
    pub fn of(snapshot: &'a Snapshot) -> Sight<'a> {
        Sight {
            catalog: &snapshot.catalog,
            hosts: &snapshot.hosts,
            host_details: &snapshot.host_details,
            services: &snapshot.services,
            service_details: &snapshot.service_details,
            clouds: &snapshot.clouds,
            incidents: &snapshot.incidents,
            at: snapshot.at,
        }
    }

    /// Whether Stentor itself may be cut off from what it watches.
    pub fn is_isolated(&self) -> bool {
        let of_clouds = self.clouds.iter().flat_map(|cloud| &cloud.diagnosis.verdicts).map(|verdict| verdict.class);
        let live = self.incidents.values().filter(|incident| incident.phase.is_live());
        of_clouds.chain(live.map(|incident| incident.verdict.class)).any(|class| class == Class::MonitorIsolated)
    }

    pub fn cloud(&self, name: &str) -> Option<&'a CloudStatus> {
        let index = self.catalog.clouds.iter().position(|cloud| *cloud.name == *name)?;
        self.clouds.get(index)
    }
}

/// Values by component (`None` = the host as a whole) and signal.
type Told = BTreeMap<(Option<Arc<str>>, Arc<str>), Vec<Value>>;

/// Everything known about a target now, as facts: host signals by name, component signals below their component, `core`,
/// `isolated`, and the incident's own.
pub fn live(sight: &Sight<'_>, target: &RunTarget, incident: Option<&Incident>) -> Observation {
    let mut facts = Observation::observed("live facts").fact("isolated", sight.is_isolated());
    if let Some(cloud) = target.cloud.as_deref().and_then(|name| sight.cloud(name)) {
        facts = facts.fact("core", cloud.core.as_str());
    }
    if let Some(incident) = incident {
        let verdict = &incident.verdict;
        let map = [
            ("class", Value::from(verdict.class.as_str())),
            ("subtype", Value::from(&*verdict.subtype)),
            ("confidence", Value::Number(verdict.confidence)),
            ("phase", Value::from(incident.phase.as_str())),
        ];
        facts = facts.fact("incident", map.into_iter().collect::<Value>());
    }
    let Some(host) = target.host.as_deref().and_then(|name| sight.catalog.host_id(name)) else { return facts };
    let mut components: BTreeMap<Arc<str>, Vec<(String, Value)>> = BTreeMap::new();
    for ((component, sig), values) in told(sight, host) {
        let value = shaped(&sig, values);
        match component {
            None => facts.facts.insert(&*sig, value),
            Some(component) => components.entry(component).or_default().push((sig.to_string(), value)),
        }
    }
    for (component, signals) in components {
        // A signal of the host has the name first.
        if !facts.facts.contains_key(&component) {
            facts.facts.insert(&*component, signals.into_iter().collect());
        }
    }
    facts
}

fn told(sight: &Sight<'_>, host: HostId) -> Told {
    let mut told = Told::new();
    let row = &sight.catalog.hosts[host.index()];
    if let Some(check) = row.check {
        let check = &sight.catalog.checks[check.index()];
        let state = if sight.hosts[host.index()].state == 0 { ServiceState::Ok } else { ServiceState::Critical };
        tell(sight, ObjectId::Host(host), (check, None), state, &mut told);
    }
    for &id in &row.services {
        let service = &sight.catalog.services[id.index()];
        let check = &sight.catalog.checks[service.check.index()];
        let component = service.component.map(|id| &sight.catalog.components[id.index()].key);
        let state = sight.services[id.index()].service_state();
        tell(sight, ObjectId::Service(id), (check, component), state, &mut told);
    }
    told
}

fn tell(
    sight: &Sight<'_>,
    object: ObjectId,
    (check, component): (&Check, Option<&Arc<str>>),
    state: ServiceState,
    told: &mut Told,
) {
    let (row, detail) = match object {
        ObjectId::Host(id) => (&sight.hosts[id.index()], &sight.host_details[id.index()]),
        ObjectId::Service(id) => (&sight.services[id.index()], &sight.service_details[id.index()]),
    };
    let fresh_for = sight.catalog.timing.fresh_floor.max(check.every * 3);
    let known = !row.is_pending() && !row.is_stale() && sight.at.since(row.last_check) <= fresh_for;
    let Some(observation) = detail.observation.as_ref().filter(|_| known) else { return };
    let judgement = Judgement { state, cause: detail.unknown_cause, because: Arc::default() };
    for spec in &check.signals {
        let of = component.filter(|_| !spec.of_host).cloned();
        told.entry((of, Arc::clone(&spec.sig))).or_default().extend(spec.values(observation, &judgement));
    }
}

/// One value stands alone, several are a list; resources are told apart by their kind.
fn shaped(sig: &str, mut values: Vec<Value>) -> Value {
    if sig == "resource" {
        let of_kind = |value: &Value| value.get("kind").and_then(Value::text).map(str::to_owned);
        return values.into_iter().filter_map(|value| of_kind(&value).map(|kind| (kind, value))).collect();
    }
    match values.len() {
        1 => values.swap_remove(0),
        _ => Value::List(values),
    }
}

/// A procedure, and what it is carried out on.
///
/// # Errors
/// There is no such runbook or host, the runbook is the answer to a failure, or the host has no such component.
pub fn procedure<'c>(
    catalog: &'c Catalog,
    id: &str,
    host: &str,
    component: Option<&str>,
) -> Result<(&'c Runbook, RunTarget), RunError> {
    let runbook = catalog.runbook(id).ok_or_else(|| RunError::NoRunbook(id.into()))?;
    if !runbook.procedure {
        return Err(RunError::Invalid(format!("`{id}` is the answer to a failure: run it for its incident")));
    }
    let row = catalog.host_id(host).ok_or_else(|| RunError::NoHost(host.into()))?;
    let row = &catalog.hosts[row.index()];
    let has = |key: &str| row.components.iter().any(|id| &*catalog.components[id.index()].key == key);
    if let Some(component) = component.filter(|component| !has(component)) {
        return Err(RunError::Invalid(format!("host `{host}` has no component `{component}`")));
    }
    let cloud = row.cloud.map(|id| Arc::clone(&catalog.clouds[id.index()].name));
    let target = RunTarget { host: Some(Arc::clone(&row.name)), component: component.map(Into::into), cloud };
    Ok((runbook, target))
}

/// What an incident's runbook is run on.
pub fn target_of(catalog: &Catalog, incident: &Incident) -> RunTarget {
    let target = &incident.verdict.target;
    let known = target.host.as_ref().filter(|name| catalog.host_id(name).is_some());
    // A replicated disk is none of the hosts; its steps ask where it was seen to fail.
    let seen_on =
        incident.verdict.evidence.iter().filter_map(|fact| catalog.host_id(fact.at.split('/').next()?)).next();
    let seen_on = seen_on.filter(|_| target.kind == TargetKind::Drbd).map(|id| &catalog.hosts[id.index()].name);
    let known = known.or(seen_on);
    let component = match target.kind {
        TargetKind::Component | TargetKind::ComponentGroup => target.component.clone(),
        TargetKind::Host
        | TargetKind::Jvm
        | TargetKind::Hardware
        | TargetKind::Switch
        | TargetKind::Power
        | TargetKind::Backend
        | TargetKind::Drbd
        | TargetKind::Site
        | TargetKind::Service => None,
    };
    RunTarget { host: known.cloned(), component, cloud: incident.cloud.clone() }
}

/// A verification of that runbook on that target, and of the incident's checks; nothing is counted yet.
pub fn verification_of(
    sight: &Sight<'_>,
    runbook: &Runbook,
    target: &RunTarget,
    incident: Option<&Incident>,
) -> Verification {
    let mut verification = Verification { intervals: runbook.intervals.max(1), ..Verification::default() };
    for name in &runbook.verification {
        let objects = objects_of(sight.catalog, target, name);
        if objects.is_empty() {
            verification.unwatched.push(Arc::clone(name));
        }
        for object in objects {
            verification.watch(sight.catalog.object_key(object));
        }
    }
    if let Some(incident) = incident {
        watch_cause(sight, target, incident, &mut verification);
    }
    verification
}

/// The objects that a check's name (`clc/port`, `host/ping`, or the name of a service) means for a target: on its host,
/// and if there is none, anywhere in its cloud.
pub fn objects_of(catalog: &Catalog, target: &RunTarget, name: &str) -> Vec<ObjectId> {
    let host = target.host.as_deref().and_then(|name| catalog.host_id(name));
    let here = host.map_or_else(Vec::new, |host| on_host(catalog, host, name));
    if !here.is_empty() {
        return here;
    }
    let cloud = target.cloud.as_deref().and_then(|name| catalog.clouds.iter().find(|cloud| *cloud.name == *name));
    cloud.map_or_else(Vec::new, |cloud| cloud.hosts.iter().flat_map(|host| on_host(catalog, *host, name)).collect())
}

fn on_host(catalog: &Catalog, host: HostId, name: &str) -> Vec<ObjectId> {
    let row = &catalog.hosts[host.index()];
    let mut found = Vec::new();
    if row.check.is_some_and(|check| is_called(&catalog.checks[check.index()].name, name)) {
        found.push(ObjectId::Host(host));
    }
    let called = |id: &&ServiceId| {
        let service = &catalog.services[id.index()];
        *service.name == *name || is_called(&catalog.checks[service.check.index()].name, name)
    };
    found.extend(row.services.iter().filter(called).map(|id| ObjectId::Service(*id)));
    found
}

/// `eucalyptus/clc/port` is `clc/port` too.
fn is_called(check: &str, name: &str) -> bool {
    check == name || check.strip_suffix(name).is_some_and(|before| before.ends_with('/'))
}

/// Adds the checks that speak for an incident to what a verification watches: its problems, what else of its evidence fails,
/// and where nothing fails any more, what would.
pub fn watch_cause(sight: &Sight<'_>, target: &RunTarget, incident: &Incident, verification: &mut Verification) {
    let catalog = sight.catalog;
    for key in incident.problems.iter().filter(|key| catalog.object_id(key).is_some()) {
        verification.watch(key.clone());
    }
    let verdict = &incident.verdict;
    let known = |name: &Arc<str>| catalog.host_id(name);
    // A replicated disk is watched where it was seen to fail.
    let host = verdict.target.host.as_ref().and_then(known).or_else(|| target.host.as_ref().and_then(known));
    let Some(host) = host else { return };
    let row = &catalog.hosts[host.index()];
    let speaks = |id: &&ServiceId| {
        let component = catalog.services[id.index()].component;
        let component = component.map(|id| &*catalog.components[id.index()].key);
        (target.component.is_none() || component == target.component.as_deref())
            && cover::speaks(catalog, **id, verdict)
            && !sight.services[id.index()].is_pending()
    };
    let speaking: Vec<ServiceId> = row.services.iter().filter(speaks).copied().collect();
    for id in speaking.iter().filter(|id| sight.services[id.index()].state != 0) {
        verification.watch(catalog.object_key(ObjectId::Service(*id)));
    }
    // Something must be seen to be well.
    if verification.watches.is_empty() {
        for id in speaking {
            verification.watch(catalog.object_key(ObjectId::Service(id)));
        }
    }
    if verification.watches.is_empty() && row.check.is_some() {
        verification.watch(catalog.object_key(ObjectId::Host(host)));
    }
}

/// Why the cause of a run is not gone for sure, beside what its verification counts. `is_clear`: whether the checks that
/// spoke for an open incident have all answered well.
pub fn not_yet_well(sight: &Sight<'_>, run: &Run, is_clear: impl Fn(&Incident) -> bool) -> Vec<String> {
    let mut missing = Vec::new();
    if let Some(incident) = run.incident.and_then(|number| sight.incidents.get(&number))
        && incident.phase == Phase::Open
        && !is_clear(incident)
    {
        missing
            .push(format!("INC-{} is open: the checks that spoke for it have not all answered well", incident.number));
    }
    for watch in run.verification.watches.iter().filter(|watch| watch.well >= run.verification.intervals) {
        let state = match sight.catalog.object_id(&watch.object) {
            Some(ObjectId::Host(id)) => sight.hosts[id.index()].state,
            Some(ObjectId::Service(id)) => sight.services[id.index()].state,
            // It left the configuration, and cannot be asked any more.
            None => 0,
        };
        if state != 0 {
            missing.push(format!("verification: {} is not well now", name_of(&watch.object)));
        }
    }
    missing
}
