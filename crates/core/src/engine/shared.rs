//! Hosts that share a switch or a power feed and went dark together: what the rows say of them, and until when those that
//! come back still count as its effect.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use super::fold::{Causes, Fold, Hosts, is_shared};
use crate::diagnosis::{Class, Target, TargetKind};
use crate::id::{HostId, ObjectId};
use crate::incident::CauseKey;
use crate::model::{HostState, Incident, ObjectKey};
use crate::{Span, Timestamp};

/// Start of a machine (specification 10, section 6): who comes back after a shared failure has so long, at pace 1.
pub(super) const BOOT: Span = Span::from_secs(600);

/// Siblings of a suspect that are asked at once; of a wider switch the rest is asked when its turn comes.
const SIBLINGS_ASKED_MAX: usize = 64;

impl Hosts for Engine {
    fn is_down(&self, host: HostId) -> bool {
        self.hosts[host.index()].host_state() == HostState::Down
    }

    fn lives(&self, host: HostId) -> bool {
        let row = &self.hosts[host.index()];
        !row.is_pending() && row.state == 0
    }

    fn is_planned(&self, host: HostId) -> bool {
        self.hosts[host.index()].downtime_depth > 0
    }

    fn hears_controller(&self, host: HostId) -> bool {
        let services = &self.catalog.hosts[host.index()].services;
        let mut tellers =
            services.iter().map(|id| ObjectId::Service(*id)).filter(|id| self.tells_power(*id)).peekable();
        tellers.peek().is_none() || tellers.any(|object| self.row(object).state == 0)
    }

    fn since(&self, host: HostId) -> Timestamp {
        self.hosts[host.index()].last_hard_change
    }

    fn state(&self, host: HostId) -> HostState {
        self.hosts[host.index()].host_state()
    }
}

impl Engine {
    /// Folds the failures of single hosts into that of what they share.
    pub(super) fn fold_shared(&self, wanted: &mut Causes) {
        let live = |target: &Target, class: Class| -> Option<CauseKey> {
            self.tracker.live().map(|(key, _)| key).find(|key| key.target == *target && key.class == class).cloned()
        };
        let down = self.problems.iter().filter_map(|object| match object {
            ObjectId::Host(id) => self.is_down(*id).then_some(*id),
            ObjectId::Service(_) => None,
        });
        self.as_fold().fold(wanted, down, &live);
        self.await_returns(wanted);
    }

    fn as_fold(&self) -> Fold<'_> {
        Fold { catalog: &self.catalog, shares: &self.shares, hosts: self, at: self.at }
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
            self.as_fold().take_in(wanted, &key, &still);
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
        let mut feeds = self.shares.of_host(host).filter(|(kind, _)| *kind == TargetKind::Power);
        let is_dark = |host: &HostId| self.hosts[host.index()].is_hard_problem();
        if feeds.any(|(_, members)| members.iter().all(is_dark)) && self.at.since(since) < self.patience_for_power(host)
        {
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
