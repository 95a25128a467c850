//! Check results: judged, applied to their row, told to the signal board.

use std::sync::Arc;

use super::change::Change;
use super::effect::{CheckRequest, Effects, Event, EventKind};
use super::input::{AgentSeen, CheckResult, ResultSource, Took};
use super::{AgentState, Engine};
use crate::Timestamp;
use crate::catalog::{Catalog, Check};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::{HostState, Observation, Outcome, ServiceState, StateKind, UnknownCause, Value};
use crate::reach;
use crate::rules::{self, Judgement};
use crate::signals::Contribution;
use crate::snapshot::{Counters, Flags, Row, RunFacts};
use crate::status::{self, HostResult, ServiceResult};
use crate::timeleft;

/// Name of the passive service that says whether a host's agent is heard.
pub(super) const AGENT_SERVICE: &str = "agent";

impl Engine {
    pub(super) fn apply_result(&mut self, result: &CheckResult, effects: &mut Effects) {
        if let Some(id) = &result.id
            && !self.seen.insert(id)
        {
            self.counters.results_repeated += 1;
            return;
        }
        let known = match result.object {
            ObjectId::Host(id) => id.index() < self.hosts.len(),
            ObjectId::Service(id) => id.index() < self.services.len(),
        };
        if !known {
            return;
        }
        let observed_at = result.observed_at.min(self.at);
        // Invariant 5: an older result never moves state backwards.
        if observed_at < self.row_mut(result.object).last_check {
            self.counters.results_late += 1;
            return;
        }
        if !self.accepts(result.object, result.source) {
            self.counters.results_refused += 1;
            return;
        }
        self.counters.results_applied += 1;
        self.count_check(result.object, result.source);
        match result.object {
            ObjectId::Host(id) => self.apply_host_result(id, observed_at, result, effects),
            ObjectId::Service(id) => self.apply_service_result(id, observed_at, result, effects),
        }
        self.run_sees(result.object, effects);
    }

    fn count_check(&mut self, object: ObjectId, source: ResultSource) {
        let counts = self.counters.checks_mut(object);
        if source == ResultSource::Passive {
            counts.passive += 1;
            return;
        }
        if self.row(object).flags.has(Flags::ASKED) {
            self.row_mut(object).flags.set(Flags::ASKED, false);
            self.counters.checks_mut(object).on_demand += 1;
        } else {
            self.counters.checks_mut(object).scheduled += 1;
        }
    }

    fn apply_service_result(
        &mut self,
        id: ServiceId,
        observed_at: Timestamp,
        result: &CheckResult,
        effects: &mut Effects,
    ) {
        let catalog = Arc::clone(&self.catalog);
        let service = &catalog.services[id.index()];
        let check = &catalog.checks[service.check.index()];
        let object = ObjectId::Service(id);
        let observation = &result.observation;
        let mut judgement = judge(Some(check), &service.params, observation);
        let directives = catalog.nagios.directives(object);
        // Objects of Stentor's own configuration are not asked what they cannot have.
        let (attempts_max, volatile, stalked) = match directives {
            None => (check.attempts, false, false),
            Some(directives) => {
                self.judge_timeout(observation, &mut judgement);
                (self.attempts_max(object), directives.volatile, !directives.stalking.is_empty())
            }
        };
        let host_up = self.hosts[service.host.index()].state == 0;
        let row = &mut self.services[id.index()];
        let before = *row;
        row.last_check = observed_at;
        row.flags.set(Flags::STALE, false);
        row.looked_at(observed_at, judgement.state.code());
        let applied =
            ServiceResult { state: judgement.state.code(), attempts_max, host_up, hard_at_once: false, volatile };
        let transition = status::apply_service(row, applied, self.at);
        let seen_at = seen_at(result, observed_at, self.at);
        date(row, transition, seen_at);
        if before.is_pending() && directives.is_none() {
            self.watch_freshness(object);
        }
        let contribution = Contribution { object, observation, judgement: &judgement, observed_at };
        self.board.contribute(check, &contribution);
        self.board.contribute_elsewhere(&catalog, check, &contribution);
        let output_changed = self.keep(object, result, judgement, stalked);
        let change = Change { before, transition, source: result.source, output_changed, seen_at };
        self.look_at_host_of(id, &change, effects);
        self.after(object, &change, effects);
        if transition.retry && self.is_rescheduled(object, result.source) {
            effects.checks.push(CheckRequest::at(object, self.at + self.retry_interval(object)));
        }
    }

    fn apply_host_result(&mut self, id: HostId, observed_at: Timestamp, result: &CheckResult, effects: &mut Effects) {
        let catalog = Arc::clone(&self.catalog);
        let host = &catalog.hosts[id.index()];
        let check = host.check.map(|check| &catalog.checks[check.index()]);
        let object = ObjectId::Host(id);
        let observation = &result.observation;
        let judgement = judge(check, &host.params, observation);
        let before = self.hosts[id.index()];
        self.hosts[id.index()].last_check = observed_at;
        self.hosts[id.index()].looked_at(observed_at, judgement.state.code());
        if let Some(check) = check {
            self.board.contribute(check, &Contribution { object, observation, judgement: &judgement, observed_at });
        }
        let state = self.host_state(id, result, judgement.state);
        let stalked = self.directives(object).is_some_and(|directives| !directives.stalking.is_empty());
        let output_changed = self.keep(object, result, judgement, stalked);
        let Some(state) = state else {
            let at = self.at;
            let row = &mut self.hosts[id.index()];
            if before.is_pending() {
                row.changed = at;
            }
            return;
        };
        let hard_at_once = result.source == ResultSource::Passive
            && self.track(object).is_some()
            && !self.program().passive_host_checks_are_soft;
        let applied = HostResult { state: state.code(), attempts_max: self.attempts_max(object), hard_at_once };
        let transition = status::apply_host(&mut self.hosts[id.index()], applied, self.at);
        let seen_at = seen_at(result, observed_at, self.at);
        let change = Change { before, transition, source: result.source, output_changed, seen_at };
        self.after(object, &change, effects);
        let is_soft = self.hosts[id.index()].kind == StateKind::Soft;
        let retries = if self.track(object).is_some() { transition.retry } else { is_soft };
        if check.is_some() && retries && self.is_rescheduled(object, result.source) {
            effects.checks.push(CheckRequest::at(object, self.at + self.retry_interval(object)));
        }
        self.look_around(id, &change, effects);
    }

    /// A plugin that did not end in time gives the state that is configured for that.
    fn judge_timeout(&self, observation: &Observation, judgement: &mut Judgement) {
        if observation.outcome == Outcome::Failed(UnknownCause::Timeout) {
            let code = i32::from(self.program().service_check_timeout_state);
            judgement.state = ServiceState::from_code(code).unwrap_or(ServiceState::Critical);
        }
    }

    /// UP, DOWN or UNREACHABLE (specification 01, section 2, and 03, section 3); `None` = the result says nothing.
    fn host_state(&self, id: HostId, result: &CheckResult, judged: ServiceState) -> Option<HostState> {
        let is_nagios = self.track(ObjectId::Host(id)).is_some();
        let is_up = match judged {
            ServiceState::Ok => true,
            ServiceState::Warning => !(is_nagios && self.program().aggressive_host_checking),
            ServiceState::Critical => false,
            // Could not look: a missing right or a broken probe is never a failed host. A plugin that cannot say is.
            ServiceState::Unknown if is_nagios => false,
            ServiceState::Unknown => return None,
        };
        if is_up {
            return Some(HostState::Up);
        }
        let literal =
            is_nagios && result.source == ResultSource::Passive && !self.program().translate_passive_host_checks;
        match result.observation.outcome {
            Outcome::ReportedHost(state) if literal => Some(state),
            Outcome::Reported(_) | Outcome::Observed | Outcome::Failed(_) if literal => Some(HostState::Down),
            Outcome::ReportedHost(_) | Outcome::Reported(_) | Outcome::Observed | Outcome::Failed(_) => {
                Some(reach::refine(&self.catalog, &self.hosts, id))
            }
        }
    }

    /// Keeps what was seen; whether the short output of a stalked object differs from what was seen before.
    fn keep(&mut self, object: ObjectId, result: &CheckResult, judgement: Judgement, stalked: bool) -> bool {
        let observation = &result.observation;
        let catalog = Arc::clone(&self.catalog);
        let observed_at = result.observed_at.min(self.at);
        let detail = self.detail_mut(object);
        if let Some(check) = catalog.check_of(object) {
            timeleft::remember(&mut detail.samples, &check.probe, observation, observed_at);
        }
        let output_changed = stalked && detail.observation.as_ref().map_or("", |was| &was.text) != &*observation.text;
        detail.observation = Some(Arc::clone(observation));
        detail.unknown_cause = judgement.cause;
        detail.because = judgement.because;
        let passive = result.source == ResultSource::Passive;
        detail.run = RunFacts { latency: result.took.latency, took: result.took.run, passive };
        output_changed
    }

    /// What follows from an applied result: acknowledgements, Nagios's lines and notifications, counters, problems, the
    /// event.
    pub(super) fn after(&mut self, object: ObjectId, change: &Change, effects: &mut Effects) {
        let Change { before, transition, .. } = change;
        if transition.state_changed {
            let row = *self.row_mut(object);
            self.end_ack_on_change(object, &row);
        }
        if self.track(object).is_some() {
            self.follow(object, change, effects);
        } else if transition.state_changed {
            self.start_flexible(object, effects);
        }
        let at = self.at;
        if let ObjectId::Service(id) = object {
            status::settle_service(&mut self.services[id.index()], at);
        }
        let row = *self.row_mut(object);
        let (old, new) = (bucket(before), bucket(&row));
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
        // What depends on it may be told of from now on.
        if transition.state_changed && self.program().soft_state_dependencies {
            self.problems_dirty = true;
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
        effects.events.push(Event::of_object(change.seen_at, kind, self.catalog.object_key(object), text));
    }

    pub(super) fn apply_agent(&mut self, seen: &AgentSeen, effects: &mut Effects) {
        if self.is_repeated_push(&seen.agent, &seen.boot, seen.sequence) {
            return;
        }
        self.agent_has_told(&seen.agent);
        let state = AgentState { boot: Arc::clone(&seen.boot), sequence: seen.sequence, seen_at: self.at };
        Arc::make_mut(&mut self.agents).insert(Arc::clone(&seen.agent), state);
        if let Some(service) = self.catalog.service_id(&seen.agent, AGENT_SERVICE) {
            let observation = Observation::observed("agent is heard").fact("agent", "ok");
            let result = CheckResult {
                object: ObjectId::Service(service),
                observed_at: self.at,
                source: ResultSource::Agent,
                observation: Arc::new(observation),
                id: None,
                took: Took::default(),
            };
            self.apply_service_result(service, self.at, &result, effects);
            self.run_sees(result.object, effects);
        }
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

/// When what a result says came to be: an agent may tell late what it saw in time; of all others we go by our own clock.
fn seen_at(result: &CheckResult, observed_at: Timestamp, now: Timestamp) -> Timestamp {
    match result.source {
        ResultSource::Agent => observed_at,
        ResultSource::Active | ResultSource::Passive => now,
    }
}

/// Dates a change to when it was seen. `Row::changed` stays: it says when we learned of it.
fn date(row: &mut Row, transition: status::Transition, seen_at: Timestamp) {
    if transition.state_changed {
        row.last_state_change = seen_at;
    }
    if transition.hard_changed {
        row.last_hard_change = seen_at;
    }
}

fn judge(check: Option<&Check>, own: &Value, observation: &Observation) -> Judgement {
    match check {
        Some(check) if !check.rules.is_empty() => rules::judge(&check.rules, &merged(&check.params, own), observation),
        Some(_) | None => rules::judge(&[], &Value::Null, observation),
    }
}

/// The judgement that an observation of this object got, or would get.
pub fn judge_again(catalog: &Catalog, object: ObjectId, observation: &Observation) -> Judgement {
    let params = match object {
        ObjectId::Host(id) => &catalog.hosts[id.index()].params,
        ObjectId::Service(id) => &catalog.services[id.index()].params,
    };
    judge(catalog.check_of(object), params, observation)
}

/// A check's parameters with the service's own laid over them.
pub fn merged(check: &Value, own: &Value) -> Value {
    check.overlaid(own)
}
