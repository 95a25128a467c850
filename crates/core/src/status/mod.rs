//! The soft/hard state machine of services and hosts: attempts, retries, what counts as a change
//! (specification 03, sections 2 and 3; Nagios Core 4.5 where peers differ).

pub mod flapping;

use crate::Timestamp;
use crate::model::StateKind;
use crate::snapshot::{Flags, Row};

/// What one result did to a row.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Transition {
    /// The state differs from before.
    pub state_changed: bool,
    /// A hard state was entered or left, or replaced by another hard state.
    pub hard_changed: bool,
    /// State, kind or attempt differ from before: worth an event.
    pub visible: bool,
    /// The row is in a soft problem now: the retry interval applies.
    pub retry: bool,
    /// Worth an ALERT line: a change, or a service's soft problem.
    pub alert: bool,
    /// Event handlers run: a change, or another result of a soft problem.
    pub handle: bool,
    /// A notification is tried: a hard problem, new or still there, or its end.
    pub notify: bool,
}

impl Transition {
    /// The state changed or became hard: timers start anew, acknowledgements are looked at.
    pub const fn is_change(self) -> bool {
        self.state_changed || self.hard_changed
    }
}

/// One judged result for a service.
#[derive(Copy, Clone, Debug)]
pub struct ServiceResult {
    /// 0..=3
    pub state: u8,
    pub attempts_max: u16,
    pub host_up: bool,
    /// Believed at once: freshness expiry, which already waited several intervals.
    pub hard_at_once: bool,
    /// Every hard problem result counts as a new one.
    pub volatile: bool,
}

/// One judged result for a host.
#[derive(Copy, Clone, Debug)]
pub struct HostResult {
    /// 0..=2; already refined to DOWN or UNREACHABLE.
    pub state: u8,
    pub attempts_max: u16,
    /// Believed at once: a passive result where `passive_host_checks_are_soft` is off.
    pub hard_at_once: bool,
}

/// Applies a service result to its row; times other than `last_check` are set to `at`. A soft recovery stays SOFT with
/// the attempt that it is logged with, until [`settle_service`].
pub fn apply_service(row: &mut Row, result: ServiceResult, at: Timestamp) -> Transition {
    let mut step = Step::begin(row, result.state, result.attempts_max);
    let (was_ok, is_ok) = (row.state == 0, result.state == 0);
    if !result.host_up && row.last_hard_state != result.state {
        // Specification 03, 2.2: what is seen while the host is not UP is believed at once, and nobody is told.
        step.hard_changed = true;
        row.last_hard_state = result.state;
        row.kind = StateKind::Hard;
        row.attempt = step.max;
    }
    match (was_ok, is_ok) {
        (true, true) => (row.kind, row.attempt) = (StateKind::Hard, 1),
        (true, false) => {
            if !step.hard_changed {
                row.kind = StateKind::Soft;
            }
            row.attempt = 1;
        }
        (false, true) => {
            if row.kind == StateKind::Hard {
                step.recover(row);
            }
        }
        (false, false) => {
            step.handle = row.kind == StateKind::Soft;
            step.notify = row.kind == StateKind::Hard && result.host_up;
        }
    }
    if row.kind == StateKind::Soft {
        if !was_ok && row.attempt < step.max {
            row.attempt += 1;
        } else if was_ok {
            row.attempt = 1;
        }
    }
    step.believe_at_last_attempt(row);
    if result.hard_at_once && !is_ok && (row.kind == StateKind::Soft || row.last_hard_state != result.state) {
        step.hard_changed = true;
    }
    let mut transition = step.finish(row, at);
    transition.alert |= transition.retry;
    if result.volatile && !is_ok && row.kind == StateKind::Hard {
        (transition.alert, transition.handle, transition.notify) = (true, true, true);
    }
    transition
}

/// After a recovery was logged and told the service is OK and hard, however it recovered.
pub fn settle_service(row: &mut Row, at: Timestamp) {
    if row.state == 0 && row.kind == StateKind::Soft {
        (row.kind, row.attempt) = (StateKind::Hard, 1);
        row.last_hard_state = 0;
        row.last_hard_change = at;
    }
}

/// Applies a host result.
pub fn apply_host(row: &mut Row, result: HostResult, at: Timestamp) -> Transition {
    let mut step = Step::begin(row, result.state, result.attempts_max);
    let (was_up, is_up) = (row.state == 0, result.state == 0);
    match (was_up, is_up) {
        (true, true) => {
            (row.kind, row.attempt) = (StateKind::Hard, 1);
            // Nagios leaves the last hard state as it was if a host fell back from hard to soft before it recovered.
            step.hard_changed = row.last_hard_state != 0;
        }
        (true, false) => (row.kind, row.attempt) = (StateKind::Soft, 1),
        (false, true) => {
            if row.kind == StateKind::Hard {
                step.recover(row);
            }
        }
        (false, false) => {
            step.handle = row.kind == StateKind::Soft;
            step.notify = row.kind == StateKind::Hard;
        }
    }
    if row.kind == StateKind::Soft {
        if was_up || is_up {
            // Decision 09: a soft recovery of a host is logged with attempt 1.
            row.attempt = 1;
        } else if row.attempt < step.max {
            row.attempt += 1;
        }
    }
    step.believe_at_last_attempt(row);
    let is_new = row.state != result.state || (row.kind == StateKind::Soft && !is_up);
    if result.hard_at_once && is_new {
        (row.attempt, step.hard_changed) = (1, true);
    }
    let mut transition = step.finish(row, at);
    transition.notify |= transition.hard_changed;
    transition
}

/// A result on its way through a state machine.
struct Step {
    before: (u8, StateKind, u16),
    first: bool,
    state: u8,
    max: u16,
    hard_changed: bool,
    handle: bool,
    notify: bool,
}

impl Step {
    fn begin(row: &mut Row, state: u8, attempts_max: u16) -> Step {
        let first = row.is_pending();
        row.flags.set(Flags::CHECKED, true);
        let before = (row.state, row.kind, row.attempt);
        Step { before, first, state, max: attempts_max.max(1), hard_changed: false, handle: false, notify: false }
    }

    /// A hard problem is over.
    fn recover(&mut self, row: &mut Row) {
        row.attempt = 1;
        (self.hard_changed, self.notify) = (true, true);
    }

    /// The last attempt makes a problem hard; a hard problem at its last attempt that becomes another one stays hard.
    fn believe_at_last_attempt(&mut self, row: &Row) {
        let is_soft_problem = row.kind == StateKind::Soft && self.state != 0;
        if row.attempt >= self.max && (self.state != row.last_hard_state || is_soft_problem) {
            (self.hard_changed, self.notify) = (true, true);
        }
    }

    fn finish(self, row: &mut Row, at: Timestamp) -> Transition {
        let state_changed = row.state != self.state;
        row.state = self.state;
        if state_changed || self.first {
            row.last_state_change = at;
        }
        if self.hard_changed {
            row.kind = StateKind::Hard;
            row.last_hard_state = self.state;
            row.last_hard_change = at;
        } else if state_changed {
            row.kind = StateKind::Soft;
        }
        let visible = self.first || self.before != (row.state, row.kind, row.attempt);
        if visible {
            row.changed = at;
        }
        let changed = state_changed || self.hard_changed;
        Transition {
            state_changed,
            hard_changed: self.hard_changed,
            visible,
            retry: row.kind == StateKind::Soft && row.state != 0,
            alert: changed,
            handle: changed || self.handle,
            notify: self.notify,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service_result(state: u8, attempts_max: u16) -> ServiceResult {
        ServiceResult { state, attempts_max, host_up: true, hard_at_once: false, volatile: false }
    }

    fn run(states: &[u8], max: u16) -> Vec<String> {
        let mut row = Row::default();
        let mut lines = Vec::new();
        for (i, &state) in states.iter().enumerate() {
            let at = Timestamp::from_secs(i as i64 * 60);
            let result = service_result(state, max);
            let t = apply_service(&mut row, result, at);
            settle_service(&mut row, at);
            let change = if t.hard_changed { "!" } else { "" };
            lines.push(format!("{};{};{}{change}", row.state, row.kind.as_str(), row.attempt));
        }
        lines
    }

    #[test]
    fn worked_timelines_of_the_specification() {
        let table: &[(&[u8], u16, &[&str])] = &[
            (&[0, 2, 2, 2, 2, 0], 3, &["0;HARD;1", "2;SOFT;1", "2;SOFT;2", "2;HARD;3!", "2;HARD;3", "0;HARD;1!"]),
            (&[0, 2, 0], 3, &["0;HARD;1", "2;SOFT;1", "0;HARD;1"]),
            (&[0, 1, 2, 2, 0], 3, &["0;HARD;1", "1;SOFT;1", "2;SOFT;2", "2;HARD;3!", "0;HARD;1!"]),
            (
                &[0, 2, 2, 2, 1, 2, 3],
                3,
                &["0;HARD;1", "2;SOFT;1", "2;SOFT;2", "2;HARD;3!", "1;HARD;3!", "2;HARD;3!", "3;HARD;3!"],
            ),
            (&[2, 0], 1, &["2;HARD;1!", "0;HARD;1!"]),
            (&[2, 2], 2, &["2;SOFT;1", "2;HARD;2!"]),
        ];
        for (states, max, expect) in table {
            assert_eq!(run(states, *max), *expect, "results {states:?} with {max} attempts");
        }
    }

    /// A service's state, and whether its host was UP.
    type Seen = (u8, bool);

    /// Specification 03, 2.1 to 3: which results of a course are told.
    #[test]
    fn hard_problems_and_their_ends_are_told_and_soft_ones_are_not() {
        #[rustfmt::skip]
        let services: &[(&[Seen], u16, &[bool])] = &[
            (&[(0, true), (2, true), (2, true), (2, true), (2, true), (0, true), (0, true)], 3,
                &[false, false, false, true, true, true, false]),
            (&[(2, true), (0, true)], 3, &[false, false]),
            (&[(2, true), (1, true), (0, true)], 1, &[true, true, true]),
            // The host is not UP at first; nobody is told of what is seen then.
            (&[(2, false), (2, false), (1, false), (2, true)], 3, &[false, false, false, true]),
        ];
        for (results, max, expect) in services {
            let mut row = Row::default();
            let told: Vec<bool> = results
                .iter()
                .map(|(state, host_up)| {
                    let result = ServiceResult { host_up: *host_up, ..service_result(*state, *max) };
                    let transition = apply_service(&mut row, result, Timestamp::ZERO);
                    settle_service(&mut row, Timestamp::ZERO);
                    transition.notify
                })
                .collect();
            assert_eq!(told, *expect, "service results {results:?}");
        }
        let hosts: &[(&[u8], bool, &[bool])] = &[
            (&[0, 1, 1, 1, 1, 2, 0, 0], false, &[false, false, false, true, true, true, true, false]),
            (&[1, 0, 0], false, &[false, false, false]),
            (&[0, 1, 1, 2, 0], true, &[false, true, true, true, true]),
        ];
        for (states, hard_at_once, expect) in hosts {
            let mut row = Row::default();
            let result = |state| HostResult { state, attempts_max: 3, hard_at_once: *hard_at_once };
            let told: Vec<bool> =
                states.iter().map(|state| apply_host(&mut row, result(*state), Timestamp::ZERO).notify).collect();
            assert_eq!(told, *expect, "host results {states:?}, hard at once {hard_at_once}");
        }
    }

    #[test]
    fn a_problem_on_a_dead_host_is_hard_at_attempt_one() {
        let mut row = Row::default();
        let down = ServiceResult { host_up: false, ..service_result(2, 3) };
        let t = apply_service(&mut row, down, Timestamp::from_secs(1));
        assert_eq!((row.kind, row.attempt, t.hard_changed), (StateKind::Hard, 1, true));
    }

    #[test]
    fn a_host_is_soft_until_its_last_attempt_and_soft_on_a_soft_recovery() {
        let mut row = Row::default();
        let mut lines = Vec::new();
        for (i, state) in [0u8, 1, 0, 0, 1, 1, 1, 2, 0].into_iter().enumerate() {
            let result = HostResult { state, attempts_max: 3, hard_at_once: false };
            apply_host(&mut row, result, Timestamp::from_secs(i as i64));
            lines.push(format!("{};{};{}", row.state, row.kind.as_str(), row.attempt));
        }
        let expect = [
            "0;HARD;1", "1;SOFT;1", "0;SOFT;1", "0;HARD;1", "1;SOFT;1", "1;SOFT;2", "1;HARD;3", "2;HARD;3", "0;HARD;1",
        ];
        assert_eq!(lines, expect);
    }
}
