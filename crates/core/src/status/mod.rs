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
}

/// Applies a service result to its row; times other than `last_check` are set to `at`.
pub fn apply_service(row: &mut Row, result: ServiceResult, at: Timestamp) -> Transition {
    let before = (row.state, row.kind, row.attempt);
    let first = row.is_pending();
    row.flags.set(Flags::CHECKED, true);
    let max = result.attempts_max.max(1);
    if result.state == 0 {
        let was_soft = row.kind == StateKind::Soft;
        row.kind = StateKind::Hard;
        row.attempt = 1;
        return finish(row, result.state, before, Entered { first, soft_recovery: was_soft }, at);
    }
    if row.state == 0 || first {
        row.attempt = 1;
        row.kind = if max == 1 || !result.host_up || result.hard_at_once { StateKind::Hard } else { StateKind::Soft };
    } else if row.kind == StateKind::Soft {
        if !result.host_up {
            // Specification 03, section 2.2: a problem seen while the host is not UP is hard at attempt 1.
            row.attempt = 1;
            row.kind = StateKind::Hard;
        } else {
            row.attempt = row.attempt.saturating_add(1).min(max);
            if row.attempt >= max || result.hard_at_once {
                row.kind = StateKind::Hard;
            }
        }
    } else if row.state != result.state && result.host_up {
        // A hard problem that becomes another problem is hard at once, with the attempt at its maximum.
        row.attempt = max;
    }
    finish(row, result.state, before, Entered { first, soft_recovery: false }, at)
}

/// Applies a host result; `state` is already refined to DOWN or UNREACHABLE.
pub fn apply_host(row: &mut Row, state: u8, attempts_max: u16, at: Timestamp) -> Transition {
    let before = (row.state, row.kind, row.attempt);
    let first = row.is_pending();
    row.flags.set(Flags::CHECKED, true);
    let max = attempts_max.max(1);
    let was_soft_problem = row.kind == StateKind::Soft && row.state != 0;
    if state == 0 {
        // Specification 03, section 3: the first UP after a soft problem is soft, the next one hard.
        row.kind = if was_soft_problem { StateKind::Soft } else { StateKind::Hard };
        row.attempt = 1;
        return finish(row, state, before, Entered { first, soft_recovery: was_soft_problem }, at);
    }
    if row.state == 0 || first {
        row.attempt = 1;
        row.kind = if max == 1 { StateKind::Hard } else { StateKind::Soft };
    } else if row.kind == StateKind::Soft {
        row.attempt = row.attempt.saturating_add(1).min(max);
        if row.attempt >= max {
            row.kind = StateKind::Hard;
        }
    } else {
        row.attempt = max;
    }
    finish(row, state, before, Entered { first, soft_recovery: false }, at)
}

struct Entered {
    first: bool,
    soft_recovery: bool,
}

fn finish(row: &mut Row, state: u8, before: (u8, StateKind, u16), entered: Entered, at: Timestamp) -> Transition {
    let state_changed = before.0 != state || entered.first;
    row.state = state;
    if state_changed {
        row.last_state_change = at;
    }
    let hard_changed = row.kind == StateKind::Hard && (row.last_hard_state != state || (entered.first && state != 0));
    if hard_changed {
        row.last_hard_state = state;
        row.last_hard_change = at;
    }
    let visible = entered.first || before != (row.state, row.kind, row.attempt) || entered.soft_recovery;
    if visible {
        row.changed = at;
    }
    Transition { state_changed, hard_changed, visible, retry: row.kind == StateKind::Soft && state != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(states: &[u8], max: u16) -> Vec<String> {
        let mut row = Row::default();
        let mut lines = Vec::new();
        for (i, &state) in states.iter().enumerate() {
            let at = Timestamp::from_secs(i as i64 * 60);
            let result = ServiceResult { state, attempts_max: max, host_up: true, hard_at_once: false };
            let t = apply_service(&mut row, result, at);
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

    #[test]
    fn a_problem_on_a_dead_host_is_hard_at_attempt_one() {
        let mut row = Row::default();
        let down = ServiceResult { state: 2, attempts_max: 3, host_up: false, hard_at_once: false };
        let t = apply_service(&mut row, down, Timestamp::from_secs(1));
        assert_eq!((row.kind, row.attempt, t.hard_changed), (StateKind::Hard, 1, true));
    }

    #[test]
    fn a_host_is_soft_until_its_last_attempt_and_soft_on_a_soft_recovery() {
        let mut row = Row::default();
        let mut lines = Vec::new();
        for (i, state) in [0u8, 1, 0, 0, 1, 1, 1, 2, 0].into_iter().enumerate() {
            apply_host(&mut row, state, 3, Timestamp::from_secs(i as i64));
            lines.push(format!("{};{};{}", row.state, row.kind.as_str(), row.attempt));
        }
        let expect = [
            "0;HARD;1", "1;SOFT;1", "0;SOFT;1", "0;HARD;1", "1;SOFT;1", "1;SOFT;2", "1;HARD;3", "2;HARD;3", "0;HARD;1",
        ];
        assert_eq!(lines, expect);
    }
}
