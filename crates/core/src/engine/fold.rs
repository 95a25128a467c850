//! Folds the failures of single hosts into that of the switch or feed that all of them hang on, where the classifier has too
//! few signals of them to say so. Asked by the engine for what is, and by what-if for what would be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Timestamp;
use crate::catalog::{Catalog, Timing};
use crate::diagnosis::{
    Class, CoreState, Evidence, Impact, Rejected, Severity, Suppressed, Target, TargetKind, Verdict, Visibility,
};
use crate::id::HostId;
use crate::incident::{CauseKey, Wanted};
use crate::model::HostState;

/// As sure as one can be who knows that all are dark and not why (specification 10, section 5: enough to page critically).
const CONFIDENCE: f64 = 0.6;
/// Facts that are written down; the names of all hosts are among the effects.
const EVIDENCE_MAX: usize = 24;

pub(crate) type Causes = BTreeMap<CauseKey, Wanted>;
/// Hosts that are down, each with the key of its own verdict if it has one.
type Fallen = BTreeMap<HostId, Option<CauseKey>>;

/// How hosts stand: as their rows say, or as they would.
pub(crate) trait Hosts {
    /// Down, and not behind a dead parent, which speaks for it.
    fn is_down(&self, host: HostId) -> bool;
    /// Known to answer.
    fn lives(&self, host: HostId) -> bool;
    fn is_planned(&self, host: HostId) -> bool;
    /// Whether its management controller answers now: what it said before it went dark is fresh for a while.
    fn hears_controller(&self, host: HostId) -> bool;
    /// Since when it stands as it does.
    fn since(&self, host: HostId) -> Timestamp;
    fn state(&self, host: HostId) -> HostState;
}

/// A switch or a feed, and the hosts that hang on it alone.
#[derive(Clone, Debug)]
struct Element {
    kind: TargetKind,
    name: Arc<str>,
    members: Vec<HostId>,
}

/// What hosts share, from the topologies of all clouds and of none; follows from the catalog alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    /// The wider ones first.
    elements: Vec<Element>,
    of_host: BTreeMap<HostId, Vec<usize>>,
}

impl Shares {
    pub fn of(catalog: &Catalog) -> Shares {
        let mut members: BTreeMap<(TargetKind, &Arc<str>), BTreeSet<HostId>> = BTreeMap::new();
        let clouds = catalog.clouds.iter().map(|cloud| &cloud.topology);
        for topology in clouds.chain([&catalog.outside]) {
            let switches = topology.single_homed.iter().map(|entry| (TargetKind::Switch, entry));
            let feeds = topology.single_fed.iter().map(|entry| (TargetKind::Power, entry));
            for (kind, (name, hosts)) in switches.chain(feeds) {
                // What nobody looks at cannot speak for the rest.
                let ids = hosts.iter().filter_map(|host| catalog.host_id(host));
                let seen = ids.filter(|id| catalog.hosts[id.index()].check.is_some());
                members.entry((kind, name)).or_default().extend(seen);
            }
        }
        let many = members.into_iter().filter(|(_, members)| members.len() >= 2);
        let mut elements: Vec<Element> = many
            .map(|((kind, name), members)| Element {
                kind,
                name: Arc::clone(name),
                members: members.into_iter().collect(),
            })
            .collect();
        elements.sort_by_key(|element| std::cmp::Reverse(element.members.len()));
        let mut of_host: BTreeMap<HostId, Vec<usize>> = BTreeMap::new();
        for (i, element) in elements.iter().enumerate() {
            for host in &element.members {
                of_host.entry(*host).or_default().push(i);
            }
        }
        Shares { elements, of_host }
    }

    /// Switches and feeds that this host hangs on alone, each with all hosts that do.
    pub fn of_host(&self, host: HostId) -> impl Iterator<Item = (TargetKind, &[HostId])> {
        let own = self.of_host.get(&host).into_iter().flatten().map(|i| &self.elements[*i]);
        own.map(|element| (element.kind, element.members.as_slice()))
    }

    /// Hosts that share something with this one; who shares two things with it comes twice.
    pub fn siblings(&self, host: HostId) -> impl Iterator<Item = HostId> {
        let own = self.of_host.get(&host).into_iter().flatten().map(|i| &self.elements[*i]);
        own.flat_map(|element| element.members.iter().copied()).filter(move |sibling| *sibling != host)
    }
}

/// What there is to fold in.
pub(crate) struct Fold<'a> {
    pub catalog: &'a Catalog,
    pub shares: &'a Shares,
    pub hosts: &'a dyn Hosts,
    pub at: Timestamp,
}

impl Fold<'_> {
    /// Of these hosts those that are down, and those that the classifier takes for it, are one failure if one thing can have
    /// taken them. `live` knows the key under which such a failure is open already.
    pub fn fold(
        &self,
        wanted: &mut Causes,
        down: impl Iterator<Item = HostId>,
        live: &dyn Fn(&Target, Class) -> Option<CauseKey>,
    ) {
        unite(wanted, live);
        let fallen = self.fallen(wanted, down);
        if fallen.len() >= 2 {
            self.fold_fallen(wanted, &fallen);
        }
    }

    /// Hosts that are believed to be down: by their own check, or by the classifier.
    fn fallen(&self, wanted: &Causes, down: impl Iterator<Item = HostId>) -> Fallen {
        let by_verdict = wanted.keys().filter(|key| key.class == Class::ServerDown && key.target.component.is_none());
        let by_verdict =
            by_verdict.filter_map(|key| Some((self.catalog.host_id(key.target.host.as_deref()?)?, Some(key.clone()))));
        down.map(|host| (host, None)).chain(by_verdict).collect()
    }

    fn fold_fallen(&self, wanted: &mut Causes, fallen: &Fallen) {
        let may_be = |element: &&Element| element.members.iter().any(|host| fallen.contains_key(host));
        let mut elements: Vec<&Element> = self.shares.elements.iter().filter(may_be).collect();
        // The wider one explains more; of two that explain the same, the switch, unless it is known to work.
        elements.sort_by_key(|element| {
            let works = element.kind == TargetKind::Switch && self.is_up(&element.name);
            (std::cmp::Reverse(element.members.len()), works, element.kind != TargetKind::Switch)
        });
        let mut folded: BTreeSet<HostId> = self.explained(wanted);
        for element in elements {
            let known = wanted.iter().find(|(key, _)| {
                matches!(key.class, Class::Network | Class::PowerEvent)
                    && key.target.kind == element.kind
                    && key.target.host.as_ref() == Some(&element.name)
            });
            let known = known.map(|(key, _)| key.clone());
            let open = |host: &HostId| !self.hosts.is_planned(*host) && !folded.contains(host);
            let rest: Vec<HostId> = element.members.iter().copied().filter(open).collect();
            if rest.is_empty() || !rest.iter().all(|host| fallen.contains_key(host)) {
                continue;
            }
            if let Some(key) = known {
                drop_single(wanted, fallen, &rest);
                self.take_in(wanted, &key, &rest);
                folded.extend(rest);
            } else if rest.len() >= 2 && self.speaks_for(element, &rest, wanted, fallen) {
                let verdict = self.shared_verdict(element, &rest, wanted, fallen);
                drop_single(wanted, fallen, &rest);
                self.put_shared(wanted, verdict, &rest);
                folded.extend(rest);
            }
        }
    }

    fn is_up(&self, name: &str) -> bool {
        self.catalog.host_id(name).is_some_and(|host| self.hosts.lives(host))
    }

    /// Hosts that a shared verdict has among its effects.
    fn explained(&self, wanted: &Causes) -> BTreeSet<HostId> {
        let shared = wanted.values().map(|want| &want.verdict).filter(|verdict| is_shared(verdict.class));
        let effects = shared.flat_map(|verdict| &verdict.suppressed);
        effects.filter_map(|effect| self.catalog.host_id(effect.host.as_deref()?)).collect()
    }

    /// Whether the failure of `element` is what took these hosts away: something else on the site lives, and nothing that
    /// is known of them speaks against it.
    fn speaks_for(&self, element: &Element, hosts: &[HostId], wanted: &Causes, fallen: &Fallen) -> bool {
        let members: BTreeSet<HostId> = element.members.iter().copied().collect();
        let lives_elsewhere = self.catalog.hosts.iter().enumerate().any(|(i, host)| {
            let id = HostId::from_index(i);
            let is_other = !members.contains(&id) && host.name != element.name;
            is_other && host.check.is_some() && self.hosts.lives(id)
        });
        let contradicts = |host: &HostId| {
            self.hosts.hears_controller(*host)
                && own_facts(wanted, fallen, *host).any(|fact| {
                    // A controller that still says off has power itself; a host that is on has some.
                    let speaks = fact.value == "off" || (element.kind == TargetKind::Power && fact.value == "on");
                    fact.sig == "power" && speaks
                })
        };
        lives_elsewhere && !hosts.iter().any(contradicts)
    }

    /// A verdict that is there already gets the hosts that its cloud does not know.
    pub fn take_in(&self, wanted: &mut Causes, key: &CauseKey, hosts: &[HostId]) {
        let Some(want) = wanted.get_mut(key) else { return };
        want.verdict.suppressed.extend(hosts.iter().map(|host| self.effect(*host)));
        want.verdict.suppressed.sort_unstable();
        want.verdict.suppressed.dedup();
    }

    fn put_shared(&self, wanted: &mut Causes, verdict: Verdict, hosts: &[HostId]) {
        let mut clouds = hosts.iter().map(|host| self.catalog.hosts[host.index()].cloud);
        let first = clouds.next().flatten();
        let cloud = first.filter(|first| clouds.all(|other| other == Some(*first)));
        let key = CauseKey::of(cloud.map(|id| Arc::clone(&self.catalog.clouds[id.index()].name)), &verdict);
        let timing: &Timing = &self.catalog.timing;
        wanted.insert(key, Wanted { verdict, hold: timing.hold_server + timing.hold_group });
    }

    fn effect(&self, host: HostId) -> Suppressed {
        let name = Arc::clone(&self.catalog.hosts[host.index()].name);
        Suppressed { host: Some(name), component: None, class: Class::ServerDown }
    }

    fn shared_verdict(&self, element: &Element, hosts: &[HostId], wanted: &Causes, fallen: &Fallen) -> Verdict {
        let since = hosts.iter().map(|host| self.hosts.since(*host)).min().unwrap_or(self.at);
        let fact = |host: &HostId| {
            let name = self.catalog.hosts[host.index()].name.to_string();
            let value = self.hosts.state(*host).as_str().to_owned();
            Evidence { sig: "host check".to_owned(), at: name, value }
        };
        let facts = hosts.iter().flat_map(|host| own_facts(wanted, fallen, *host).cloned());
        let evidence: Vec<Evidence> = hosts.iter().map(fact).chain(facts).take(EVIDENCE_MAX).collect();
        let all = format!("all {} hosts that hang on {} alone went dark together", hosts.len(), element.name);
        let rejected = |class, why: String| Rejected { class, subtype: None, why };
        let unsure = "nobody reports the power of these hosts: it may be gone as well".to_owned();
        let (class, subtype, runbook, other) = match element.kind {
            TargetKind::Switch => (Class::Network, "switch", "RB-H30", rejected(Class::PowerEvent, unsure)),
            TargetKind::Power
            | TargetKind::Component
            | TargetKind::ComponentGroup
            | TargetKind::Host
            | TargetKind::Jvm
            | TargetKind::Hardware
            | TargetKind::Backend
            | TargetKind::Drbd
            | TargetKind::Site
            | TargetKind::Service => {
                let why = "they share no switch that others do not use, or it answers".to_owned();
                (Class::PowerEvent, "feed_lost", "RB-H05", rejected(Class::Network, why))
            }
        };
        let name = Arc::clone(&element.name);
        let core = wanted.values().map(|want| want.verdict.core).next().unwrap_or(CoreState::Unknown);
        Verdict {
            target: Target { kind: element.kind, host: Some(name), component: None },
            class,
            subtype: subtype.into(),
            severity: Severity::Critical,
            visibility: Visibility::Visible,
            impact: Impact::Partial,
            confidence: CONFIDENCE,
            core,
            cell: None,
            cells: Vec::new(),
            runbook: runbook.into(),
            redundancy: None,
            suppressed: hosts.iter().map(|host| self.effect(*host)).collect(),
            evidence,
            rejected: vec![rejected(Class::ServerDown, all), other],
            since,
        }
    }
}

/// A switch or a feed under several clouds is told of by each: that is one failure, under the key that is open already.
fn unite(wanted: &mut Causes, live: &dyn Fn(&Target, Class) -> Option<CauseKey>) {
    let mut by_target: BTreeMap<(Target, Class), Vec<CauseKey>> = BTreeMap::new();
    for key in wanted.keys().filter(|key| matches!(key.target.kind, TargetKind::Switch | TargetKind::Power)) {
        by_target.entry((key.target.clone(), key.class)).or_default().push(key.clone());
    }
    for ((target, class), keys) in by_target {
        let known = || keys.iter().find(|key| key.cloud.is_some()).or_else(|| keys.first()).cloned();
        let own = live(&target, class).or_else(known);
        let Some(own) = own else { continue };
        for other in keys.into_iter().filter(|key| *key != own) {
            let Some(other) = wanted.remove(&other) else { continue };
            let Some(want) = wanted.get_mut(&own) else {
                wanted.insert(own.clone(), other);
                continue;
            };
            let verdict = &mut want.verdict;
            verdict.severity = verdict.severity.max(other.verdict.severity);
            verdict.impact = verdict.impact.max(other.verdict.impact);
            verdict.since = verdict.since.min(other.verdict.since);
            verdict.suppressed.extend(other.verdict.suppressed);
            verdict.suppressed.sort_unstable();
            verdict.suppressed.dedup();
            let room = EVIDENCE_MAX.saturating_sub(verdict.evidence.len());
            let new = other.verdict.evidence.into_iter().filter(|fact| !verdict.evidence.contains(fact));
            let new: Vec<Evidence> = new.take(room).collect();
            verdict.evidence.extend(new);
        }
    }
}

/// What the verdict on a host alone rests on.
fn own_facts<'a>(wanted: &'a Causes, fallen: &Fallen, host: HostId) -> impl Iterator<Item = &'a Evidence> + use<'a> {
    let own = fallen.get(&host).and_then(Option::as_ref).and_then(|key| wanted.get(key));
    own.into_iter().flat_map(|want| &want.verdict.evidence)
}

/// These hosts have no failure of their own any more.
fn drop_single(wanted: &mut Causes, fallen: &Fallen, hosts: &[HostId]) {
    for key in hosts.iter().filter_map(|host| fallen.get(host)?.as_ref()) {
        wanted.remove(key);
    }
}

/// A cause whose effects are whole hosts.
pub(crate) fn is_shared(class: Class) -> bool {
    match class {
        Class::Network | Class::PowerEvent | Class::SiteDown | Class::MonitorIsolated => true,
        Class::SoftwareDown
        | Class::ServerDown
        | Class::ResourceUnavailable
        | Class::NetworkPath
        | Class::SplitBrain
        | Class::RedundancyLost
        | Class::ResourceAtRisk
        | Class::AdminStopped
        | Class::Starting
        | Class::Flapping
        | Class::Unknown => false,
    }
}
