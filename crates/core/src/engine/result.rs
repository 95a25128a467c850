//! Check results: judged, applied to their row, told to the signal board.

use std::cmp::Reverse;
use std::sync::Arc;

use super::effect::{CheckRequest, Effects, Event, EventKind};
use super::input::{AgentSeen, CheckResult};
use super::{AgentState, Engine};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::{HostState, Observation, ServiceState, StateKind, UnknownCause, Value};
use crate::reach;
use crate::rules::{self, Judgement};
use crate::signals::Contribution;
use crate::snapshot::{Counters, Flags, Row};
use crate::status::{self, ServiceResult, Transition};
use crate::{Span, Timestamp};

/// A host check is asked for when a service changed and the host's own result is older than this (at pace 1).
const HOST_CHECK_FRESH: Span = Span::from_secs(15);
/// Name of the passive service that says whether a host's agent is heard.
const AGENT_SERVICE: &str = "agent";

impl Engine {
    pub(super) fn apply_result(&mut self, result: &CheckResult, effects: &mut Effects) {
        if let Some(id) = &result.id
            && !self.seen.insert(id)
        {
            self.counters.results_repeated += 1;
            return;
        }
        let observed_at = result.observed_at.min(self.at);
        let known = match result.object {
            ObjectId::Host(id) => id.index() < self.hosts.len(),
            ObjectId::Service(id) => id.index() < self.services.len(),
        };
        if !known {
            return;
        }
        // Invariant 5: an older result never moves state backwards.
        if observed_at < self.row_mut(result.object).last_check {
            self.counters.results_late += 1;
            return;
        }
        if !self.admits(result, effects) {
            return;
        }
        self.counters.results_applied += 1;
        match result.object {
            ObjectId::Host(id) => self.apply_host_result(id, observed_at, &result.observation, effects),
            ObjectId::Service(id) => self.apply_service_result(id, observed_at, &result.observation, effects),
        }
    }

    fn apply_service_result(
        &mut self,
        id: ServiceId,
        observed_at: Timestamp,
        observation: &Arc<Observation>,
        effects: &mut Effects,
    ) {
        let catalog = Arc::clone(&self.catalog);
        let service = &catalog.services[id.index()];
        let check = &catalog.checks[service.check.index()];
        let judgement = if check.rules.is_empty() {
            rules::judge(&[], &Value::Null, observation)
        } else {
            rules::judge(&check.rules, &merged(&check.params, &service.params), observation)
        };
        let row = &mut self.services[id.index()];
        let before = *row;
        row.last_check = observed_at;
        row.flags.set(Flags::STALE, false);
        row.looked_at(observed_at, judgement.state.code());
        let result = ServiceResult {
            state: judgement.state.code(),
            attempts_max: check.attempts,
            host_up: self.hosts[service.host.index()].state == 0,
            hard_at_once: false,
        };
        let transition = status::apply_service(row, result, self.at);
        if before.is_pending() && check.freshness > Span::ZERO {
            self.expiries.push(Reverse((observed_at + check.freshness, id)));
        }
        self.board.contribute(
            check,
            &Contribution { object: ObjectId::Service(id), observation, judgement: &judgement, observed_at },
        );
        self.keep(ObjectId::Service(id), observation, judgement);
        self.after(ObjectId::Service(id), before, transition, effects);
        if transition.retry {
            effects.checks.push(CheckRequest { object: ObjectId::Service(id), due: self.at + check.retry });
        }
        let host = &self.hosts[service.host.index()];
        let horizon = HOST_CHECK_FRESH.at_pace(catalog.timing.pace);
        if transition.state_changed
            && !before.is_pending()
            && catalog.hosts[service.host.index()].check.is_some()
            && self.at.since(host.last_check) > horizon
        {
            effects.checks.push(CheckRequest { object: ObjectId::Host(service.host), due: self.at });
        }
    }

    fn apply_host_result(
        &mut self,
        id: HostId,
        observed_at: Timestamp,
        observation: &Arc<Observation>,
        effects: &mut Effects,
    ) {
        let catalog = Arc::clone(&self.catalog);
        let host = &catalog.hosts[id.index()];
        let check = host.check.map(|check| &catalog.checks[check.index()]);
        let judgement = match check {
            Some(check) if !check.rules.is_empty() => {
                rules::judge(&check.rules, &merged(&check.params, &host.params), observation)
            }
            Some(_) | None => rules::judge(&[], &Value::Null, observation),
        };
        let before = self.hosts[id.index()];
        self.hosts[id.index()].last_check = observed_at;
        if let Some(check) = check {
            self.board.contribute(
                check,
                &Contribution { object: ObjectId::Host(id), observation, judgement: &judgement, observed_at },
            );
        }
        let state = match judgement.state {
            ServiceState::Ok | ServiceState::Warning => Some(HostState::Up),
            ServiceState::Critical => Some(reach::refine(&catalog, &self.hosts, id)),
            // Could not look: a missing right or a broken probe is never a failed host.
            ServiceState::Unknown => None,
        };
        self.keep(ObjectId::Host(id), observation, judgement);
        let Some(state) = state else {
            let at = self.at;
            let row = &mut self.hosts[id.index()];
            if before.is_pending() {
                row.changed = at;
            }
            return;
        };
        let attempts = check.map_or(1, |check| check.attempts);
        self.hosts[id.index()].looked_at(observed_at, state.code());
        let transition = status::apply_host(&mut self.hosts[id.index()], state.code(), attempts, self.at);
        self.after(ObjectId::Host(id), before, transition, effects);
        if let Some(check) = check
            && (transition.retry || (self.hosts[id.index()].kind == StateKind::Soft))
        {
            effects.checks.push(CheckRequest { object: ObjectId::Host(id), due: self.at + check.retry });
        }
        if transition.state_changed && !before.is_pending() {
            self.propagate(id, effects);
        }
    }

    /// A host's state changed: its neighbours in the reachability graph deserve a look now.
    fn propagate(&mut self, id: HostId, effects: &mut Effects) {
        let neighbours = self.catalog.hosts[id.index()].parents.iter().chain(&self.catalog.index.children[id.index()]);
        for &neighbour in neighbours {
            if self.catalog.hosts[neighbour.index()].check.is_some() {
                effects.checks.push(CheckRequest { object: ObjectId::Host(neighbour), due: self.at });
            }
        }
    }

    fn keep(&mut self, object: ObjectId, observation: &Arc<Observation>, judgement: Judgement) {
        let detail = self.detail_mut(object);
        detail.observation = Some(Arc::clone(observation));
        detail.unknown_cause = judgement.cause;
        detail.because = judgement.because;
    }

    /// Bookkeeping that every changed row needs: counters, problems, acknowledgements, the event.
    pub(super) fn after(&mut self, object: ObjectId, before: Row, transition: Transition, effects: &mut Effects) {
        let row = *self.row_mut(object);
        let (old, new) = (bucket(&before), bucket(&row));
        if old != new || before.is_pending() != row.is_pending() {
            recount(&mut self.counters, object, old, new);
        }
        if before.is_hard_problem() != row.is_hard_problem() || transition.hard_changed {
            if row.is_hard_problem() {
                self.problems.insert(object);
            } else {
                self.problems.remove(&object);
            }
            self.problems_dirty = true;
        }
        if transition.state_changed {
            self.end_ack_on_change(object, &row);
        }
        if !transition.visible || (before.is_pending() && row.state == 0) {
            return;
        }
        let output = match object {
            ObjectId::Host(id) => self.host_details[id.index()].observation.as_ref(),
            ObjectId::Service(id) => self.service_details[id.index()].observation.as_ref(),
        }
        .map_or_else(String::new, |observation| observation.text.to_string());
        let (kind, word) = match object {
            ObjectId::Host(_) => (EventKind::HostState, row.host_state().as_str()),
            ObjectId::Service(_) => (EventKind::ServiceState, row.service_state().as_str()),
        };
        let text = format!("{word};{};{};{output}", row.kind.as_str(), row.attempt);
        effects.events.push(Event::of_object(self.at, kind, self.catalog.object_key(object), text));
    }

    fn end_ack_on_change(&mut self, object: ObjectId, row: &Row) {
        if !row.is_acknowledged() {
            return;
        }
        let recovered = row.state == 0;
        let detail = self.detail_mut(object);
        let normal = detail.ack.as_ref().is_none_or(|ack| ack.sticky == crate::model::Sticky::No);
        if recovered || normal {
            detail.ack = None;
            self.row_mut(object).flags.set(Flags::ACKNOWLEDGED, false);
        }
    }

    pub(super) fn apply_agent(&mut self, seen: &AgentSeen, effects: &mut Effects) {
        if self.is_repeated_push(&seen.agent, &seen.boot, seen.sequence) {
            return;
        }
        let state = AgentState { boot: Arc::clone(&seen.boot), sequence: seen.sequence, seen_at: self.at };
        Arc::make_mut(&mut self.agents).insert(Arc::clone(&seen.agent), state);
        if let Some(service) = self.catalog.service_id(&seen.agent, AGENT_SERVICE) {
            let observation = Observation::observed("agent is heard").fact("agent", "ok");
            self.apply_service_result(service, self.at, &Arc::new(observation), effects);
        }
    }

    /// Services whose freshness has run out become UNKNOWN(Stale), hard at once (invariant 4).
    pub(super) fn expire(&mut self, effects: &mut Effects) {
        while let Some(&Reverse((due, id))) = self.expiries.peek() {
            if due > self.at {
                return;
            }
            self.expiries.pop();
            let catalog = Arc::clone(&self.catalog);
            let Some(service) = catalog.services.get(id.index()) else { continue };
            let check = &catalog.checks[service.check.index()];
            let before = self.services[id.index()];
            if check.freshness == Span::ZERO || before.is_pending() {
                continue;
            }
            let really_due = before.last_check + check.freshness;
            if really_due > self.at {
                self.expiries.push(Reverse((really_due, id)));
                continue;
            }
            self.expiries.push(Reverse((self.at + check.freshness, id)));
            if before.is_stale() {
                continue;
            }
            self.make_stale(id, before, effects);
        }
    }

    fn make_stale(&mut self, id: ServiceId, before: Row, effects: &mut Effects) {
        let catalog = Arc::clone(&self.catalog);
        let check = &catalog.checks[catalog.services[id.index()].check.index()];
        let age = self.at.since(before.last_check);
        let text =
            format!("no result for {} (expected every {})", Span::from_secs(age.as_millis() / 1000), check.every);
        let detail = self.detail_mut(ObjectId::Service(id));
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
        };
        let transition = status::apply_service(row, result, self.at);
        row.kind = StateKind::Hard;
        self.board.forget(ObjectId::Service(id), check, self.at);
        self.after(
            ObjectId::Service(id),
            before,
            Transition { visible: true, hard_changed: true, ..transition },
            effects,
        );
    }

    /// Counts everything anew, after rows were replaced.
    pub(super) fn recount_all(&mut self) {
        let mut services = [0u32; 5];
        let mut hosts = [0u32; 4];
        for row in &self.services {
            services[if row.is_pending() { 4 } else { bucket(row) }] += 1;
        }
        for row in &self.hosts {
            hosts[if row.is_pending() { 3 } else { bucket(row).min(2) }] += 1;
        }
        self.counters.services = services;
        self.counters.hosts = hosts;
    }
}

/// Hard state for the counters: soft problems still count as what they were.
fn bucket(row: &Row) -> usize {
    if row.is_pending() { 4 } else { usize::from(row.last_hard_state.min(3)) }
}

fn recount(counters: &mut Counters, object: ObjectId, old: usize, new: usize) {
    let table: &mut [u32] = match object {
        ObjectId::Host(_) => &mut counters.hosts,
        ObjectId::Service(_) => &mut counters.services,
    };
    let pending = table.len() - 1;
    let place = |bucket: usize| bucket.min(pending);
    table[place(old)] = table[place(old)].saturating_sub(1);
    table[place(new)] += 1;
}

/// A check's parameters with the service's own laid over them.
pub fn merged(check: &Value, own: &Value) -> Value {
    check.overlaid(own)
}
