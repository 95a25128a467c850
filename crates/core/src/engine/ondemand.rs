//! Checks that a result of another object asks for: its host, the neighbours in the reachability graph, the masters of
//! its dependencies (specification 03, 2.3 and 3).

use std::sync::Arc;

use super::Engine;
use super::change::Change;
use super::effect::{CheckRequest, Effects};
use super::input::ResultSource;
use crate::Span;
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::StateKind;
use crate::snapshot::Flags;

/// A host check is asked for when a service changed and the host's own result is older than this (at pace 1).
const HOST_CHECK_FRESH: Span = Span::from_secs(15);

impl Engine {
    /// Whether the engine takes results of this kind for the object at all.
    pub(super) fn accepts(&self, object: ObjectId, source: ResultSource) -> bool {
        if source != ResultSource::Passive {
            return true;
        }
        let Some(switches) = self.switches(object) else {
            return !self.row(object).flags.has(Flags::NO_PASSIVE);
        };
        let program = self.program();
        let on = match object {
            ObjectId::Host(_) => program.accept_passive_host_checks,
            ObjectId::Service(_) => program.accept_passive_service_checks,
        };
        on && switches.passive_checks
    }

    /// Whether a result moves the object's next check; that of a Nagios object only if it was active.
    pub(super) fn is_rescheduled(&self, object: ObjectId, source: ResultSource) -> bool {
        match source {
            ResultSource::Active | ResultSource::Agent => self.is_checked(object),
            ResultSource::Passive => self.track(object).is_none(),
        }
    }

    /// Whether the object has active checks that are not switched off.
    fn is_checked(&self, object: ObjectId) -> bool {
        let program = self.program();
        let on = match object {
            ObjectId::Host(_) => program.execute_host_checks,
            ObjectId::Service(_) => program.execute_service_checks,
        };
        self.catalog.check_of(object).is_some()
            && !self.row(object).flags.has(Flags::UNCHECKED)
            && self.switches(object).is_none_or(|switches| on && switches.active_checks)
    }

    /// After a result of a service: is its host as we think?
    pub(super) fn look_at_host_of(&mut self, id: ServiceId, change: &Change, effects: &mut Effects) {
        let host = self.catalog.services[id.index()].host;
        let state_changed = change.transition.state_changed;
        let row = &self.hosts[host.index()];
        if self.track(ObjectId::Host(host)).is_none() {
            let horizon = HOST_CHECK_FRESH.at_pace(self.catalog.timing.pace);
            if state_changed && !change.before.is_pending() && self.at.since(row.last_check) > horizon {
                self.ask(ObjectId::Host(host), effects);
            }
            return;
        }
        let (is_up, is_pending) = (row.state == 0, row.is_pending());
        let is_bad = self.services[id.index()].state != 0;
        let wanted = if is_bad { state_changed } else { is_pending || !is_up };
        if wanted {
            self.ask_unless_cached(ObjectId::Host(host), effects);
        } else if is_bad && !is_up {
            self.notify_host_again(ObjectId::Host(host), effects);
        }
        if is_bad {
            self.look_at_masters(ObjectId::Service(id), effects);
        }
    }

    /// A host's state changed: its neighbours in the reachability graph deserve a look now.
    pub(super) fn look_around(&mut self, id: HostId, change: &Change, effects: &mut Effects) {
        let object = ObjectId::Host(id);
        let (was_up, is_up) = (change.before.state == 0, self.hosts[id.index()].state == 0);
        let catalog = Arc::clone(&self.catalog);
        let neighbours = catalog.hosts[id.index()].parents.iter().map(|parent| (parent, true));
        let children = catalog.index.children[id.index()].iter().map(|child| (child, false));
        if self.track(object).is_none() {
            if change.transition.state_changed && !change.before.is_pending() {
                neighbours.chain(children).for_each(|(&host, _)| self.ask(ObjectId::Host(host), effects));
            }
            return;
        }
        for (&host, is_parent) in neighbours.chain(children) {
            let state = self.hosts[host.index()].state;
            let doubtful = match (was_up, is_up) {
                // Is it the way there, and what is cut off now?
                (true, false) if is_parent => state == 0,
                (true, false) => state != 2,
                (false, true) => state != 0,
                (true, true) | (false, false) => false,
            };
            if doubtful {
                self.ask_unless_cached(ObjectId::Host(host), effects);
            }
        }
        if !is_up {
            self.look_at_masters(object, effects);
        }
    }

    /// Before the last attempt: what the object depends on must be known when it comes to telling.
    fn look_at_masters(&mut self, object: ObjectId, effects: &mut Effects) {
        let (row, program) = (self.row(object), self.program());
        let predictive = match object {
            ObjectId::Host(_) => program.predictive_host_dependency_checks,
            ObjectId::Service(_) => program.predictive_service_dependency_checks,
        };
        if !predictive || row.kind != StateKind::Soft || row.attempt.saturating_add(1) != self.attempts_max(object) {
            return;
        }
        let catalog = Arc::clone(&self.catalog);
        let positions = catalog.nagios.index.dependencies.get(&object);
        for &position in positions.into_iter().flatten() {
            self.ask_unless_cached(catalog.nagios.dependencies[position as usize].master, effects);
        }
    }

    fn ask(&mut self, object: ObjectId, effects: &mut Effects) {
        if self.is_checked(object) {
            self.row_mut(object).flags.set(Flags::ASKED, true);
            effects.checks.push(CheckRequest::at(object, self.at));
        }
    }

    /// Asks for a check now unless the last one is young enough to be taken for it.
    fn ask_unless_cached(&mut self, object: ObjectId, effects: &mut Effects) {
        let horizon = match object {
            ObjectId::Host(_) => self.program().cached_host_check_horizon,
            ObjectId::Service(_) => self.program().cached_service_check_horizon,
        };
        let row = self.row(object);
        if row.is_pending() || row.last_check + horizon <= self.at {
            self.ask(object, effects);
        } else if self.is_checked(object) {
            self.counters.checks_mut(object).cached += 1;
        }
    }
}
