//! Hosts that share a switch or a power feed and went dark together, where the classifier has too few signals of them to
//! say so: hosts outside clouds, of several clouds, without a management controller, with nothing but their host check.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Engine;
use crate::catalog::{Catalog, Timing};
use crate::diagnosis::{
    Class, CoreState, Evidence, Impact, Rejected, Severity, Suppressed, Target, TargetKind, Verdict, Visibility,
};
use crate::id::{HostId, ObjectId};
use crate::incident::{CauseKey, Wanted};
use crate::model::{HostState, Incident, ObjectKey};
use crate::{Span, Timestamp};

/// As sure as one can be who knows that all are dark and not why (specification 10, section 5: enough to page critically).
const CONFIDENCE: f64 = 0.6;
/// Facts that are written down; the names of all hosts are among the effects.
const EVIDENCE_MAX: usize = 24;
/// Start of a machine (specification 10, section 6): who comes back after a shared failure has so long, at pace 1.
pub(super) const BOOT: Span = Span::from_secs(600);

/// Siblings of a suspect that are asked at once; of a wider switch the rest is asked when its turn comes.
const SIBLINGS_ASKED_MAX: usize = 64;

type Causes = BTreeMap<CauseKey, Wanted>;
/// Hosts that are down, each with the key of its own verdict if it has one.
type Fallen = BTreeMap<HostId, Option<CauseKey>>;

/// A switch or a feed, and the hosts that hang on it alone.
#[derive(Clone, Debug)]
struct Element {
    kind: TargetKind,
    name: Arc<str>,
    members: Vec<HostId>,
}

/// What hosts share, from the topologies of all clouds and of none; follows from the catalog alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares {
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

    /// Hosts that share something with this one; who shares two things with it comes twice.
    fn siblings(&self, host: HostId) -> impl Iterator<Item = HostId> {
        let own = self.of_host.get(&host).into_iter().flatten().map(|i| &self.elements[*i]);
        own.flat_map(|element| element.members.iter().copied()).filter(move |sibling| *sibling != host)
    }
}

impl Engine {
    /// Folds the failures of single hosts into that of what they share.
    pub(super) fn fold_shared(&self, wanted: &mut Causes) {
        self.unite(wanted);
        let fallen = self.fallen(wanted);
        if fallen.len() >= 2 {
            self.fold_fallen(wanted, &fallen);
        }
        self.await_returns(wanted);
    }

    /// A switch or a feed under several clouds is told of by each: that is one failure, under the key that is open already.
    fn unite(&self, wanted: &mut Causes) {
        let mut by_target: BTreeMap<(Target, Class), Vec<CauseKey>> = BTreeMap::new();
        for key in wanted.keys().filter(|key| matches!(key.target.kind, TargetKind::Switch | TargetKind::Power)) {
            by_target.entry((key.target.clone(), key.class)).or_default().push(key.clone());
        }
        for ((target, class), keys) in by_target {
            let same = |key: &&CauseKey| key.target == target && key.class == class;
            let live = self.tracker.live().map(|(key, _)| key).find(same);
            let own = live.or_else(|| keys.iter().find(|key| key.cloud.is_some())).or_else(|| keys.first()).cloned();
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

    /// Hosts that are believed to be down: by their own check, or by the classifier.
    fn fallen(&self, wanted: &Causes) -> Fallen {
        let by_row = self.problems.iter().filter_map(|object| match object {
            // An unreachable one has a dead parent, which speaks for it.
            ObjectId::Host(id) => (self.hosts[id.index()].host_state() == HostState::Down).then_some(*id),
            ObjectId::Service(_) => None,
        });
        let by_verdict = wanted.keys().filter(|key| key.class == Class::ServerDown && key.target.component.is_none());
        let by_verdict =
            by_verdict.filter_map(|key| Some((self.catalog.host_id(key.target.host.as_deref()?)?, Some(key.clone()))));
        by_row.map(|host| (host, None)).chain(by_verdict).collect()
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
            let open = |host: &HostId| {
                let is_planned = self.hosts[host.index()].downtime_depth > 0;
                !is_planned && !folded.contains(host)
            };
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
        let row = self.catalog.host_id(name).map(|id| &self.hosts[id.index()]);
        row.is_some_and(|row| !row.is_pending() && row.state == 0)
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
        let lives_elsewhere = self.hosts.iter().enumerate().any(|(i, row)| {
            let host = &self.catalog.hosts[i];
            let is_other = !members.contains(&HostId::from_index(i)) && host.name != element.name;
            is_other && host.check.is_some() && !row.is_pending() && row.state == 0
        });
        let contradicts = |host: &HostId| {
            self.hears_controller(*host)
                && own_facts(wanted, fallen, *host).any(|fact| {
                    // A controller that still says off has power itself; a host that is on has some.
                    let speaks = fact.value == "off" || (element.kind == TargetKind::Power && fact.value == "on");
                    fact.sig == "power" && speaks
                })
        };
        lives_elsewhere && !hosts.iter().any(contradicts)
    }

    /// Whether a host's management controller answers now: what it said before it went dark is fresh for a while.
    fn hears_controller(&self, host: HostId) -> bool {
        let services = &self.catalog.hosts[host.index()].services;
        let mut tellers =
            services.iter().map(|id| ObjectId::Service(*id)).filter(|id| self.tells_power(*id)).peekable();
        tellers.peek().is_none() || tellers.any(|object| self.row(object).state == 0)
    }

    /// A verdict that is there already gets the hosts that its cloud does not know.
    fn take_in(&self, wanted: &mut Causes, key: &CauseKey, hosts: &[HostId]) {
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
        let rows = hosts.iter().map(|host| &self.hosts[host.index()]);
        let since = rows.map(|row| row.last_hard_change).min().unwrap_or(self.at);
        let fact = |host: &HostId| {
            let name = self.catalog.hosts[host.index()].name.to_string();
            let value = self.hosts[host.index()].host_state().as_str().to_owned();
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

    /// Hosts that come back after a shared failure have the time to start: until then a silent one is still its effect.
    fn await_returns(&self, wanted: &mut Causes) {
        let boot = BOOT.at_pace(self.catalog.timing.pace);
        let (mut hosts, mut parts): (BTreeSet<Arc<str>>, BTreeSet<Arc<str>>) = Default::default();
        let mut kept: Vec<(CauseKey, Vec<HostId>)> = Vec::new();
        for (key, live) in self.tracker.live() {
            let Some(incident) = self.tracker.get(live.number).filter(|_| is_shared(key.class)) else { continue };
            // Hosts that ran on all the time have nothing to start.
            let dark = |class: Class| matches!(class, Class::ServerDown | Class::Unknown);
            let effects = || {
                let went = incident.verdict.suppressed.iter().filter(|effect| dark(effect.class));
                went.filter_map(|effect| effect.host.clone())
            };
            let is_wanted = wanted.contains_key(key);
            if !is_wanted && !self.is_returned(incident) {
                hosts.extend(effects());
            }
            // One of the clouds has its first host back, and the others are dark still: so are the rest of its hosts.
            if is_wanted {
                let known = effects().filter_map(|host| self.catalog.host_id(&host));
                let still: Vec<HostId> = known.filter(|host| self.is_not_back(*host, incident, boot)).collect();
                hosts.extend(still.iter().map(|id| Arc::clone(&self.catalog.hosts[id.index()].name)));
                kept.push((key.clone(), still));
            }
            // Their controllers start too, and are asked less often since they fell silent.
            if is_wanted || live.absent_since.is_none_or(|since| self.at.since(since) < boot) {
                parts.extend(effects());
            }
        }
        for (key, still) in kept {
            self.take_in(wanted, &key, &still);
        }
        wanted.retain(|key, want| {
            let of = |names: &BTreeSet<Arc<str>>| key.target.host.as_ref().is_some_and(|host| names.contains(host));
            let is_host = key.class == Class::ServerDown && key.target.component.is_none();
            let is_part = matches!(&*want.verdict.subtype, "bmc_unreachable" | "psu_input");
            !(is_host && of(&hosts) || is_part && of(&parts))
        });
    }

    /// Whether a host that a shared failure took away is down, or starts with what failed on it.
    fn is_not_back(&self, host: HostId, incident: &Incident, boot: Span) -> bool {
        let row = &self.hosts[host.index()];
        let name = &self.catalog.hosts[host.index()].name;
        let fails = |key: &ObjectKey| {
            key.host == *name && self.catalog.object_id(key).is_some_and(|object| self.row(object).state != 0)
        };
        row.is_hard_problem() || (self.at.since(row.last_hard_change) < boot && incident.problems.iter().any(fails))
    }

    /// Whether the hosts that a shared failure took away are back, or had the time to come back since the first one did.
    pub(super) fn is_returned(&self, incident: &Incident) -> bool {
        let effects = incident.verdict.suppressed.iter().filter_map(|effect| effect.host.as_deref());
        let hosts: Vec<HostId> = effects.filter_map(|name| self.catalog.host_id(name)).collect();
        let mut first_back: Option<Timestamp> = None;
        let mut is_any_down = false;
        for row in hosts.iter().map(|host| &self.hosts[host.index()]) {
            if row.is_hard_problem() {
                is_any_down = true;
            } else if !row.is_pending() && row.last_hard_change > incident.opened_at {
                first_back = Some(first_back.map_or(row.last_hard_change, |first| first.min(row.last_hard_change)));
            }
        }
        let boot = BOOT.at_pace(self.catalog.timing.pace);
        !is_any_down || first_back.is_some_and(|first| self.at.since(first) >= boot)
    }

    /// Whether a host that shares a switch or a feed with others waits for what is not decided about them yet: the first
    /// of a rack to be found dead must not speak for itself while the others are being tried.
    pub(super) fn siblings_are_undecided(&self, target: &Target, since: Timestamp) -> bool {
        let Some(host) = target.host.as_deref().and_then(|name| self.catalog.host_id(name)) else { return false };
        // An answer of a controller that was on its way when its power went says that there is some: it must be asked again.
        let own = self.shares.of_host.get(&host).into_iter().flatten().map(|i| &self.shares.elements[*i]);
        let mut feeds = own.filter(|element| element.kind == TargetKind::Power);
        let is_dark = |host: &HostId| self.hosts[host.index()].is_hard_problem();
        if feeds.any(|feed| feed.members.iter().all(is_dark)) && self.at.since(since) < self.patience_for_power(host) {
            return true;
        }
        self.shares.siblings(host).any(|sibling| {
            let row = &self.hosts[sibling.index()];
            let check = self.catalog.hosts[sibling.index()].check.map(|id| &self.catalog.checks[id.index()]);
            let Some(check) = check else { return false };
            let retries = check.retry * i64::from(check.attempts.max(1));
            let longest = check.every + retries + check.timeout * 3;
            let is_tried = row.last_check >= since && (row.state == 0 || row.is_hard_problem());
            !is_tried && !row.is_pending() && !row.is_hard_problem() && self.at.since(since) < longest
        })
    }

    /// How long a second look at the power of a host may take.
    fn patience_for_power(&self, host: HostId) -> Span {
        let services = self.catalog.hosts[host.index()].services.iter().map(|id| ObjectId::Service(*id));
        let tellers = services.filter(|object| self.tells_power(*object));
        let longest =
            tellers.filter_map(|object| self.catalog.check_of(object)).map(|check| check.every + check.timeout * 2);
        longest.max().unwrap_or(Span::ZERO)
    }

    /// Hosts that share a switch or a feed with this one and are not known to fail.
    pub(super) fn siblings_that_live(&self, host: HostId) -> impl Iterator<Item = HostId> {
        let live = self.shares.siblings(host).filter(|sibling| self.hosts[sibling.index()].state == 0);
        live.take(SIBLINGS_ASKED_MAX)
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
pub(super) fn is_shared(class: Class) -> bool {
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
