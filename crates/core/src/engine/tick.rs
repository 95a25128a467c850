//! Time has passed: downtimes, freshness, expiring acknowledgements, diagnosis, incidents, pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Engine;
use super::effect::{CheckRequest, Effects, Event, EventKind};
use crate::catalog::{Check, View};
use crate::diagnosis::{self, Class, Diagnosis, Target, TargetKind, Verdict};
use crate::id::{ObjectId, ServiceId};
use crate::incident::cover::{self, CoverIndex, World};
use crate::incident::{CauseKey, Supported, Wanted};
use crate::model::{Incident, ObjectKey, Phase, Reason, Sticky, TimelineEntry, TimelineKind};
use crate::parity;
use crate::policy::notice::dependency::Purpose;
use crate::policy::{Decisions, Situation};
use crate::signals::{Maintained, REDIAGNOSE_AFTER};
use crate::snapshot::{Flags, Row};
use crate::{Span, Timestamp};

/// Gaps that are remembered; an older one is long over for whatever is younger than the oldest of these.
const GAPS_MAX: usize = 64;

impl Engine {
    pub(super) fn tick(&mut self, effects: &mut Effects) {
        self.turn_downtimes(effects);
        self.run_planned(effects);
        self.expire(effects);
        self.end_acks(effects);
        self.expire_comments();
        let diagnosed = self.diagnose(effects);
        let supported = self.supported();
        self.reconcile(&supported, diagnosed, effects);
        self.advance_runs(effects);
        self.assess_services(diagnosed, effects);
        self.page(effects);
    }

    /// Time in which this process did not run counts for no hold, no recovery and no freshness. Downtimes,
    /// acknowledgements and periods are people's, and end by the clock.
    pub(super) fn pass_over(&mut self, gap: Span) {
        if self.gaps.len() >= GAPS_MAX {
            self.gaps.pop_front();
        }
        self.gaps.push_back((self.at, gap));
        self.board.pass_over(gap, self.at);
        self.tracker.pass_over(gap, self.at);
    }

    /// How long this process did not run since then.
    pub(super) fn away_since(&self, then: Timestamp) -> Span {
        let newer = self.gaps.iter().rev().take_while(|(end, _)| *end > then);
        newer.fold(Span::ZERO, |sum, (end, gap)| sum + (*gap).min(end.since(then)))
    }

    /// Runs the classifier over each group whose signals changed, or aged; true if any ran.
    fn diagnose(&mut self, effects: &mut Effects) -> bool {
        let catalog = Arc::clone(&self.catalog);
        let mut timing = diagnosis::Timing::default().at_pace(catalog.timing.pace);
        // No pace shortens the time that a silent peer takes to be called silent: an answer that is as old as its
        // check's deadline when it arrives is not an old answer, nor is the one before it.
        timing.fresh_floor = catalog.timing.fresh_floor.max(self.board.answer_max * 3);
        let again = REDIAGNOSE_AFTER.at_pace(catalog.timing.pace);
        let maintained = self.in_downtime_since();
        let mut ran = false;
        for index in 0..self.board.groups.len() {
            let group = &self.board.groups[index];
            if !group.dirty && self.at.since(group.diagnosed_at) < again {
                continue;
            }
            let group = &mut self.board.groups[index];
            let found = group.diagnose(self.at, &timing, &maintained);
            group.dirty = false;
            group.diagnosed_at = self.at;
            ran = true;
            self.take_over(index, found, effects);
        }
        ran
    }

    /// Hosts that are in downtime, and since when.
    fn in_downtime_since(&self) -> Maintained {
        let mut maintained = Maintained::new();
        for downtime in self.downtimes.values().filter(|d| d.active && d.target.service.is_none()) {
            let since = maintained.entry(Arc::clone(&downtime.target.host)).or_default();
            since.push(downtime.started_at.unwrap_or(downtime.start));
        }
        maintained
    }

    fn take_over(&mut self, index: usize, found: diagnosis::Diagnosis, effects: &mut Effects) {
        if index >= self.catalog.clouds.len() {
            self.outside = found;
            return;
        }
        let at = self.at;
        let status = &mut Arc::make_mut(&mut self.clouds)[index];
        if status.core != found.core {
            let text = format!(
                "Core of {} is {}{}",
                self.catalog.clouds[index].name,
                found.core.as_str(),
                found.core_because.first().map_or_else(String::new, |why| format!(": {why}"))
            );
            status.core = found.core;
            status.core_since = at;
            effects.events.push(Event { at, kind: EventKind::CoreChanged, object: None, incident: None, text });
        }
        status.diagnosis = found;
    }

    /// Every cause that the present evidence supports: the verdicts, and the problems that no verdict covers.
    fn supported(&self) -> Supported {
        let timing = &self.catalog.timing;
        let mut wanted = BTreeMap::new();
        for (cloud, diagnosis) in self.diagnoses() {
            for verdict in diagnosis.verdicts.iter().filter(|verdict| opens(verdict.class)) {
                let key = CauseKey::of(cloud.clone(), verdict);
                let hold = match verdict.class {
                    Class::ServerDown | Class::SiteDown => timing.hold_server,
                    Class::Network | Class::PowerEvent | Class::MonitorIsolated => {
                        timing.hold_server + timing.hold_group
                    }
                    Class::SoftwareDown
                    | Class::ResourceUnavailable
                    | Class::NetworkPath
                    | Class::SplitBrain
                    | Class::RedundancyLost
                    | Class::ResourceAtRisk
                    | Class::AdminStopped
                    | Class::Starting
                    | Class::Flapping
                    | Class::Unknown => timing.hold_software,
                };
                wanted.insert(key, Wanted { verdict: verdict.clone(), hold });
            }
        }
        self.fold_shared(&mut wanted);
        let plain = self.plain_causes(&wanted);
        wanted.extend(plain.causes);
        // What an agent tells of the past may be over: no new cause until it has told the rest.
        wanted.retain(|key, _| {
            let host = key.target.host.as_deref();
            !host.is_some_and(|host| self.is_told_of_the_past(host)) || self.tracker.live().any(|(live, _)| live == key)
        });
        Supported { causes: wanted, roots: plain.roots }
    }

    /// The newest diagnosis of each cloud, and of the hosts outside clouds.
    pub(super) fn diagnoses(&self) -> impl Iterator<Item = (Option<Arc<str>>, &Diagnosis)> {
        let clouds = self.catalog.clouds.iter().map(|cloud| Some(Arc::clone(&cloud.name)));
        clouds.zip(self.clouds.iter().map(|status| &status.diagnosis)).chain([(None, &self.outside)])
    }

    fn world(&self) -> World<'_> {
        World {
            catalog: &self.catalog,
            hosts: &self.hosts,
            host_details: &self.host_details,
            services: &self.services,
            service_details: &self.service_details,
        }
    }

    fn plain_causes(&self, wanted: &BTreeMap<CauseKey, Wanted>) -> Supported {
        let mut plain = Supported::default();
        if self.problems.is_empty() {
            return plain;
        }
        let live: Vec<(&CauseKey, &Arc<Incident>)> = self
            .tracker
            .live()
            .filter(|(key, _)| key.class != Class::Unknown)
            .filter_map(|(key, live)| self.tracker.get(live.number).map(|incident| (key, incident)))
            .collect();
        // What starts, or was stopped on purpose, is no incident, and what its checks say meanwhile is none either.
        let calm: Vec<(CauseKey, &Verdict)> = self
            .diagnoses()
            .flat_map(|(cloud, diagnosis)| diagnosis.verdicts.iter().map(move |verdict| (cloud.clone(), verdict)))
            .filter(|(_, verdict)| matches!(verdict.class, Class::Starting | Class::AdminStopped))
            .map(|(cloud, verdict)| (CauseKey::of(cloud, verdict), verdict))
            .collect();
        let causes = wanted
            .iter()
            .map(|(key, want)| (key, &want.verdict))
            .chain(live.iter().map(|(key, incident)| (*key, &incident.verdict)))
            .chain(calm.iter().map(|(key, verdict)| (key, *verdict)));
        let index = CoverIndex::new(causes);
        let maintained = self.maintained();
        let world = self.world();
        for &object in &self.problems {
            let looked_at = cover::rests_on(&world, object);
            let covering = index.find(&self.catalog, looked_at);
            let cause = match covering {
                Some(key) => Some((key.clone(), None)),
                None => cover::plain_cause(&world, looked_at).map(|(key, want)| (key, Some(want))),
            };
            let Some((key, want)) = cause else { continue };
            let own = cover::own_key(&self.catalog, object);
            if own != key && self.tracker.is_live(&own) {
                plain.roots.insert(own, key.clone());
            }
            if let Some(want) = want
                && !maintained.contains(&object)
                && !self.is_released(object)
            {
                plain.causes.entry(key).or_insert(want);
            }
        }
        plain
    }

    /// Problems of hosts that are stopped on purpose: shown, not incidents.
    fn maintained(&self) -> std::collections::BTreeSet<ObjectId> {
        let in_downtime = |row: &Row| row.downtime_depth > 0;
        self.problems
            .iter()
            .copied()
            .filter(|object| match object {
                ObjectId::Host(id) => in_downtime(&self.hosts[id.index()]),
                ObjectId::Service(id) => {
                    let host = self.catalog.services[id.index()].host;
                    // Who works on one half of a pair knows that it is not yet like the other.
                    let compared = parity::members(&self.catalog, *id).unwrap_or_default();
                    in_downtime(&self.hosts[host.index()])
                        || compared.iter().any(|(host, _)| in_downtime(&self.hosts[host.index()]))
                }
            })
            .collect()
    }

    fn reconcile(&mut self, supported: &Supported, diagnosed: bool, effects: &mut Effects) {
        let catalog = Arc::clone(&self.catalog);
        let mut tracker = std::mem::take(&mut self.tracker);
        let outcome = tracker.reconcile(&catalog, supported, &*self, self.at);
        self.tracker = tracker;
        for suspect in &outcome.suspects {
            self.expedite(suspect, effects);
        }
        effects.events.extend(outcome.events);
        for number in &outcome.resolved {
            self.tell_resolved(*number, effects);
        }
        for number in &outcome.settled {
            self.ledger.forget(*number);
        }
        if outcome.changed || diagnosed || self.problems_dirty {
            self.attach_problems(effects);
            self.problems_dirty = false;
        }
    }

    /// A failure is suspected: every check of that host is asked for now, so that the evidence is complete soon.
    fn expedite(&self, suspect: &Target, effects: &mut Effects) {
        let Some(host) = suspect.host.as_deref().and_then(|name| self.catalog.host_id(name)) else { return };
        if suspect.kind == TargetKind::Service {
            let same = self.witnesses(suspect).into_iter().map(|object| CheckRequest::at(object, self.at));
            effects.checks.extend(same);
            return;
        }
        let row = &self.catalog.hosts[host.index()];
        if row.check.is_some() {
            effects.checks.push(CheckRequest::at(ObjectId::Host(host), self.at));
        }
        let checks = row.services.iter().map(|id| CheckRequest::at(ObjectId::Service(*id), self.at));
        effects.checks.extend(checks);
        let siblings = self.siblings_that_live(host).map(|id| CheckRequest::at(ObjectId::Host(id), self.at));
        effects.checks.extend(siblings);
        let above = self.witnesses(suspect).into_iter().map(|object| CheckRequest::at(object, self.at));
        effects.checks.extend(above);
    }

    pub(super) fn tells_power(&self, object: ObjectId) -> bool {
        self.catalog.check_of(object).is_some_and(|check| check.signals.iter().any(|spec| &*spec.sig == "power"))
    }

    /// Objects whose checks decide whether a component fails by itself: its own, and those of everything whose failure
    /// could explain it. Of a host as a whole: all of its checks. Only checks that this process runs: an agent speaks
    /// when it speaks, if its host lives. Of a problem by itself: the checks that may tell of what it is a part.
    pub(super) fn witnesses(&self, suspect: &Target) -> Vec<ObjectId> {
        let Some(host) = &suspect.host else { return Vec::new() };
        let Some(id) = self.catalog.host_id(host) else { return Vec::new() };
        if suspect.kind == TargetKind::Service {
            let service = suspect.component.as_deref().and_then(|name| self.catalog.service_id(host, name));
            return service.map_or_else(Vec::new, |id| cover::that_see_the_same(&self.catalog, id));
        }
        let group = &self.board.groups[self.board.group_of(&self.catalog, id)];
        let mut hosts = match (&suspect.component, suspect.kind) {
            (Some(component), TargetKind::Component) => diagnosis::upstream_hosts(&group.topology, component),
            (None, TargetKind::Host) => BTreeMap::new(),
            _ => return Vec::new(),
        };
        hosts.entry(host).or_default().extend(suspect.component.as_deref());
        let whole = suspect.component.is_none();
        let mut found = Vec::new();
        for (name, components) in hosts {
            let Some(id) = self.catalog.host_id(name) else { continue };
            let row = &self.catalog.hosts[id.index()];
            if row.check.is_some() {
                found.push(ObjectId::Host(id));
            }
            let speaks = |id: &&ServiceId| {
                let service = &self.catalog.services[id.index()];
                let check = &self.catalog.checks[service.check.index()];
                let of = service.component.map(|id| &*self.catalog.components[id.index()].key);
                (whole || of.is_some_and(|key| components.contains(key)))
                    && !check.signals.is_empty()
                    && !check.probe.is_empty()
                    && !(check.host_side && row.view == View::Agent)
            };
            found.extend(row.services.iter().filter(speaks).map(|id| ObjectId::Service(*id)));
        }
        found
    }

    fn tell_resolved(&mut self, number: u64, effects: &mut Effects) {
        let Some(incident) = self.tracker.get(number).cloned() else { return };
        let catalog = Arc::clone(&self.catalog);
        let decisions = self.ledger.follow_up(&catalog, &incident, Reason::Recovery, None, self.at, self.seq);
        self.carry(decisions, effects);
        self.ledger.rest(number);
    }

    /// Gives every problem to the live incident that covers it.
    fn attach_problems(&mut self, effects: &mut Effects) {
        let live: Vec<(CauseKey, u64)> = self.tracker.live().map(|(key, live)| (key.clone(), live.number)).collect();
        let incidents: Vec<Arc<Incident>> =
            live.iter().filter_map(|(_, number)| self.tracker.get(*number).cloned()).collect();
        let index = CoverIndex::new(live.iter().zip(&incidents).map(|((key, _), incident)| (key, &incident.verdict)));
        let numbers: BTreeMap<&CauseKey, u64> = live.iter().map(|(key, number)| (key, *number)).collect();
        let mut of_incident: BTreeMap<u64, Vec<ObjectKey>> = live.iter().map(|(_, n)| (*n, Vec::new())).collect();
        let mut owner: BTreeMap<ObjectId, u64> = BTreeMap::new();
        let world = self.world();
        for &object in &self.problems {
            let looked_at = cover::rests_on(&world, object);
            let found = index.find(&self.catalog, looked_at).and_then(|key| numbers.get(key)).copied().or_else(|| {
                let (key, _) = cover::plain_cause(&world, looked_at)?;
                numbers.get(&key).copied()
            });
            if let Some(number) = found {
                of_incident.entry(number).or_default().push(self.catalog.object_key(object));
                owner.insert(object, number);
            }
        }
        for (number, problems) in of_incident {
            self.tracker.set_problems(number, problems, self.at);
        }
        self.release(&owner, effects);
        let at = self.at;
        set_owner(&mut self.hosts, at, |i| owner.get(&ObjectId::Host(crate::id::HostId::from_index(i))).copied());
        set_owner(&mut self.services, at, |i| {
            owner.get(&ObjectId::Service(crate::id::ServiceId::from_index(i))).copied()
        });
    }

    /// Problems whose incident let go of them are asked for now, before anything is made of them: the cause is gone,
    /// so what they said last may be over as well. What nobody can ask keeps its last word.
    fn release(&mut self, owner: &BTreeMap<ObjectId, u64>, effects: &mut Effects) {
        let at = self.at;
        for object in self.problems.iter().copied().filter(|object| !owner.contains_key(object)).collect::<Vec<_>>() {
            let can_be_asked = self.catalog.check_of(object).is_some_and(|check| !check.probe.is_empty());
            let row = self.row_mut(object);
            if row.incident != 0 && can_be_asked {
                row.flags.set(Flags::RELEASED, true);
                row.changed = at;
                effects.checks.push(CheckRequest::at(object, at));
            }
        }
    }

    /// Whether a problem waits for the look that its release asked for; not longer than any look may take to come.
    fn is_released(&self, object: ObjectId) -> bool {
        let row = match object {
            ObjectId::Host(id) => &self.hosts[id.index()],
            ObjectId::Service(id) => &self.services[id.index()],
        };
        let longest = |check: &Check| (check.every + check.timeout).max(self.board.answer_max * 3);
        row.flags.has(Flags::RELEASED)
            && self
                .catalog
                .check_of(object)
                .is_some_and(|check| self.at.since(row.changed) - self.away_since(row.changed) < longest(check))
    }

    /// First pages, changes and re-notifications of everything that is open.
    fn page(&mut self, effects: &mut Effects) {
        let open: Vec<Arc<Incident>> = self
            .tracker
            .live()
            .filter_map(|(_, live)| self.tracker.get(live.number))
            .filter(|incident| incident.phase == Phase::Open)
            .cloned()
            .collect();
        let catalog = Arc::clone(&self.catalog);
        for incident in open {
            let ended = incident
                .ack
                .as_ref()
                .is_some_and(|ack| ack.sticky == Sticky::No && incident.changed_at > ack.at && incident.generation > 1);
            if ended {
                self.tracker.edit(incident.number, |incident| incident.ack = None);
            }
            let Some(incident) = self.tracker.get(incident.number).cloned() else { continue };
            let situation = Situation {
                in_downtime: self.in_downtime(&incident),
                leans_on: self.leans_on(&incident),
                untold: self.untold(&incident),
            };
            let decisions = self.ledger.page(&catalog, &incident, &situation, self.at, self.seq);
            self.carry(decisions, effects);
        }
    }

    /// Whether nobody is to be told of any problem of it.
    fn untold(&self, incident: &Incident) -> bool {
        let mut problems = incident.problems.iter().filter_map(|key| self.catalog.object_id(key)).peekable();
        problems.peek().is_some() && problems.all(|object| self.is_untold(object))
    }

    /// What the problems of an incident depend on, if all of them depend on something that has failed.
    fn leans_on(&self, incident: &Incident) -> Option<String> {
        if self.catalog.nagios.dependencies.is_empty() {
            return None;
        }
        let gate = self.gate();
        let failed = |object: ObjectId| {
            let host = match object {
                ObjectId::Host(_) => None,
                ObjectId::Service(id) => Some(ObjectId::Host(self.catalog.services[id.index()].host)),
            };
            let of = |object| gate.failed_dependency(object, Purpose::Notification);
            of(object).or_else(|| of(host?))
        };
        let mut first = None;
        for object in incident.problems.iter().filter_map(|key| self.catalog.object_id(key)) {
            let failure = failed(object)?;
            first.get_or_insert(failure);
        }
        first.map(|failure| failure.describe(&self.catalog))
    }

    fn in_downtime(&self, incident: &Incident) -> bool {
        let target = &incident.verdict.target;
        let Some(host) = target.host.as_deref().and_then(|name| self.catalog.host_id(name)) else { return false };
        if self.hosts[host.index()].downtime_depth > 0 {
            return true;
        }
        if target.kind == TargetKind::Service {
            let service = target.component.as_deref().and_then(|name| self.catalog.service_on(host, name));
            return service.is_some_and(|id| self.services[id.index()].downtime_depth > 0);
        }
        let mut rows = incident.problems.iter().filter_map(|key| self.catalog.object_id(key)).peekable();
        rows.peek().is_some()
            && rows.all(|id| match id {
                ObjectId::Host(id) => self.hosts[id.index()].downtime_depth > 0,
                ObjectId::Service(id) => self.services[id.index()].downtime_depth > 0,
            })
    }

    /// Hands decisions of the policy to the effects, and records every withheld message.
    pub(super) fn carry(&mut self, decisions: Decisions, effects: &mut Effects) {
        self.counters.notifications += decisions.send.len() as u64;
        self.counters.withheld += decisions.withheld.len() as u64;
        for withheld in &decisions.withheld {
            effects.events.push(Event::withheld(withheld));
            let who = withheld.contact.as_deref().unwrap_or("nobody");
            let text = format!("{} to {who} withheld ({}): {}", withheld.reason.as_str(), withheld.stage, withheld.why);
            let entry = TimelineEntry { at: withheld.at, kind: TimelineKind::Withheld, by: None, text };
            self.tracker.note(withheld.incident, entry);
        }
        effects.withheld.extend(decisions.withheld);
        effects.notifications.extend(decisions.send);
    }
}

/// Whether a class is an incident at all; the others are shown where they belong.
/// Whether a verdict of this class is an incident.
pub fn opens(class: Class) -> bool {
    match class {
        Class::SoftwareDown
        | Class::ServerDown
        | Class::ResourceUnavailable
        | Class::Network
        | Class::PowerEvent
        | Class::NetworkPath
        | Class::MonitorIsolated
        | Class::SiteDown
        | Class::SplitBrain
        | Class::RedundancyLost
        | Class::ResourceAtRisk
        | Class::Flapping => true,
        Class::AdminStopped | Class::Starting | Class::Unknown => false,
    }
}

fn set_owner(rows: &mut [Row], at: Timestamp, owner: impl Fn(usize) -> Option<u64>) {
    for (i, row) in rows.iter_mut().enumerate() {
        let incident = owner(i).unwrap_or(0);
        if row.incident != incident {
            row.incident = incident;
            row.changed = at;
        }
    }
}
