//! Results that stay away: services of Stentor's own configuration become UNKNOWN, objects of a Nagios tree are checked
//! by force (specification 03, 1.4).

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use super::change::Change;
use super::effect::{CheckRequest, Effects};
use super::gate::Forced;
use super::input::ResultSource;
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::{ServiceState, StateKind, UnknownCause};
use crate::snapshot::{Flags, Row};
use crate::status::{self, ServiceResult, Transition};
use crate::{Span, Timestamp};

/// A stale object is forced again no sooner than this: `service_freshness_check_interval` of Nagios by default.
const FORCE_AGAIN: Span = Span::from_secs(60);
/// Nagios counts whole seconds: a result is stale in the second after its time ran out.
const PAST: Span = Span::from_secs(1);

/// Parallel to the tracks: when the one entry that counts of each object is due. Another entry of it is void.
#[derive(Debug, Default)]
pub(super) struct Watched {
    hosts: Vec<Timestamp>,
    services: Vec<Timestamp>,
}

impl Watched {
    fn of(&mut self, object: ObjectId) -> Option<&mut Timestamp> {
        match object {
            ObjectId::Host(id) => self.hosts.get_mut(id.index()),
            ObjectId::Service(id) => self.services.get_mut(id.index()),
        }
    }
}

/// When the results of an object of a Nagios tree run out.
struct Deadline {
    expires: Timestamp,
    threshold: Span,
}

impl Engine {
    /// Looks at every object whose time may have run out.
    pub(super) fn expire(&mut self, effects: &mut Effects) {
        while let Some(&Reverse((due, object))) = self.expiries.peek() {
            if due > self.at {
                return;
            }
            self.expiries.pop();
            match object {
                _ if self.track(object).is_some() => {
                    if let Some(live) = self.watched.of(object).filter(|live| **live == due) {
                        *live = Timestamp::ZERO;
                        self.look_if_stale(object, effects);
                    }
                }
                ObjectId::Service(id) => self.expire_service(id, effects),
                ObjectId::Host(_) => {}
            }
        }
    }

    /// Notes when everything that is watched would run out.
    pub(super) fn watch_all(&mut self) {
        self.expiries.clear();
        self.watched.hosts = vec![Timestamp::ZERO; self.host_tracks.len()];
        self.watched.services = vec![Timestamp::ZERO; self.service_tracks.len()];
        for i in 0..self.services.len() {
            let (object, row) = (ObjectId::Service(ServiceId::from_index(i)), &self.services[i]);
            if self.service_tracks.get(i).is_some() || !row.is_pending() {
                self.watch_freshness(object);
            }
        }
        for i in 0..self.host_tracks.len() {
            self.watch_freshness(ObjectId::Host(HostId::from_index(i)));
        }
    }

    /// Notes when an object that is watched from now on would run out, or may run out earlier than before; of Stentor's
    /// own, after its first result.
    pub(super) fn watch_freshness(&mut self, object: ObjectId) {
        if self.track(object).is_some() {
            if let Some(due) = self.due_if_stale(object) {
                self.look_again(object, due);
            }
            return;
        }
        let ObjectId::Service(id) = object else { return };
        let freshness = self.catalog.checks[self.catalog.services[id.index()].check.index()].freshness;
        if freshness > Span::ZERO {
            self.expiries.push(Reverse((self.services[id.index()].last_check + freshness, object)));
        }
    }

    fn look_again(&mut self, object: ObjectId, due: Timestamp) {
        if let Some(live) = self.watched.of(object)
            && (*live == Timestamp::ZERO || due < *live)
        {
            *live = due;
            self.expiries.push(Reverse((due, object)));
        }
    }

    /// `None` = its results never run out.
    fn deadline(&self, object: ObjectId) -> Option<Deadline> {
        let (directives, switches) = (self.directives(object)?, self.switches(object)?);
        let program = self.program();
        let watched = match object {
            ObjectId::Host(_) => program.check_host_freshness,
            ObjectId::Service(_) => program.check_service_freshness,
        };
        let fed = switches.active_checks || switches.passive_checks;
        let automatic = directives.freshness_threshold == Span::ZERO;
        if !(watched && switches.check_freshness && fed) || (automatic && self.check_interval(object) == Span::ZERO) {
            return None;
        }
        let row = self.row(object);
        let is_soft_problem = row.kind == StateKind::Soft && row.state != 0;
        let threshold = match (automatic, is_soft_problem) {
            (false, _) => directives.freshness_threshold,
            (true, true) => self.retry_interval(object) + program.additional_freshness_latency,
            (true, false) => self.check_interval(object) + program.additional_freshness_latency,
        };
        let heard = row.last_check.max(self.started);
        Some(Deadline { expires: heard + threshold + self.away_since(heard), threshold })
    }

    /// When to look at it next.
    fn due_if_stale(&self, object: ObjectId) -> Option<Timestamp> {
        let deadline = self.deadline(object)?;
        let forced_at = self.track(object)?.freshened_at;
        let again = forced_at + deadline.threshold.max(FORCE_AGAIN);
        let due = deadline.expires + PAST;
        Some(if forced_at > self.row(object).last_check { due.max(again) } else { due })
    }

    fn look_if_stale(&mut self, object: ObjectId, effects: &mut Effects) {
        let Some(due) = self.due_if_stale(object) else { return };
        if due > self.at {
            self.look_again(object, due);
            return;
        }
        if let Some(period) = self.check_period(object)
            && !self.catalog.in_period(period, self.at)
        {
            if let Some(opens) = self.catalog.next_valid(period, self.at) {
                self.look_again(object, opens);
            }
            return;
        }
        if let Some(deadline) = self.deadline(object) {
            let key = self.catalog.object_key(object);
            let (what, name) = match &key.service {
                Some(service) => ("service", format!("service '{service}' on host '{}'", key.host)),
                None => ("host", format!("host '{}'", key.host)),
            };
            effects.log.push(format!(
                "Warning: The results of {name} are stale by {} (threshold={}).  I'm forcing an immediate check of the {what}.",
                broken_down(self.at - deadline.expires),
                broken_down(deadline.threshold),
            ));
            effects.checks.push(CheckRequest::forced(object, self.at));
        }
        let at = self.at;
        if let Some(track) = self.track_mut(object) {
            track.freshened_at = at;
        }
        self.watch_freshness(object);
    }

    /// Services whose freshness has run out become UNKNOWN(Stale), hard at once (invariant 4).
    fn expire_service(&mut self, id: ServiceId, effects: &mut Effects) {
        let catalog = Arc::clone(&self.catalog);
        let Some(service) = catalog.services.get(id.index()) else { return };
        let check = &catalog.checks[service.check.index()];
        let before = self.services[id.index()];
        if check.freshness == Span::ZERO || before.is_pending() {
            return;
        }
        let object = ObjectId::Service(id);
        // Who may not be looked at is not to blame, nor who may be again and was not yet.
        if !check.probe.is_empty() && self.check_allowed(object, Forced::No).is_err() {
            self.expiries.push(Reverse((self.at + check.freshness, object)));
            return;
        }
        let heard = before.last_check.max(self.free_since(object));
        let really_due = heard + check.freshness + self.away_since(heard);
        if really_due > self.at {
            self.expiries.push(Reverse((really_due, object)));
            return;
        }
        self.expiries.push(Reverse((self.at + check.freshness, ObjectId::Service(id))));
        if !before.is_stale() {
            self.make_stale(id, before, effects);
        }
    }

    /// The newest change of anything that an execution dependency of the object is judged by.
    fn free_since(&self, object: ObjectId) -> Timestamp {
        let nagios = &self.catalog.nagios;
        let mut newest = Timestamp::ZERO;
        let mut seen = BTreeSet::from([object]);
        let mut open = vec![object];
        while let Some(at) = open.pop() {
            let own = nagios.index.dependencies.get(&at).map_or(&[][..], Vec::as_slice);
            let own = own.iter().filter_map(|position| nagios.dependencies.get(*position as usize));
            for dependency in own.filter(|dependency| !dependency.execution.is_empty()) {
                newest = newest.max(self.row(dependency.master).last_state_change);
                if dependency.inherits_parent && seen.insert(dependency.master) {
                    open.push(dependency.master);
                }
            }
        }
        newest
    }

    fn make_stale(&mut self, id: ServiceId, before: Row, effects: &mut Effects) {
        let catalog = Arc::clone(&self.catalog);
        let check = &catalog.checks[catalog.services[id.index()].check.index()];
        let object = ObjectId::Service(id);
        let age = self.at.since(before.last_check);
        let text =
            format!("no result for {} (expected every {})", Span::from_secs(age.as_millis() / 1000), check.every);
        let detail = self.detail_mut(object);
        detail.unknown_cause = Some(UnknownCause::Stale);
        detail.because = text.into();
        let row = &mut self.services[id.index()];
        row.flags.set(Flags::STALE, true);
        row.flags.set(Flags::RELEASED, false);
        let result = ServiceResult {
            state: ServiceState::Unknown.code(),
            attempts_max: check.attempts,
            host_up: true,
            hard_at_once: true,
            volatile: false,
        };
        let transition = status::apply_service(row, result, self.at);
        let transition = Transition { visible: true, hard_changed: true, ..transition };
        self.board.forget(object, check, self.at);
        self.after(
            object,
            &Change { before, transition, source: ResultSource::Active, output_changed: false, seen_at: self.at },
            effects,
        );
    }
}

/// `0d 0h 5m 0s`
fn broken_down(span: Span) -> String {
    let secs = span.as_millis().max(0) / 1000;
    format!("{}d {}h {}m {}s", secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60)
}
