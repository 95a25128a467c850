//! The bookkeeping of a problem's notifications: numbers, what was told, when to tell again (specification 03, 5.4).

use std::sync::Arc;

use crate::catalog::nagios::Options;
use crate::engine::track::NoticeState;
use crate::{Span, Timestamp};

/// A problem notification that at least one contact got.
#[derive(Clone, Debug)]
pub struct ProblemSent {
    pub at: Timestamp,
    pub state: u8,
    /// From now to the next one; zero = no next one.
    pub interval: Span,
    /// Told again at every result, whatever the interval.
    pub volatile: bool,
    /// Everyone whom it was meant for: the recovery is meant for them.
    pub recipients: Vec<Arc<str>>,
}

impl NoticeState {
    pub fn problem_sent(&mut self, sent: ProblemSent) {
        self.last = sent.at;
        self.next = sent.at + sent.interval;
        self.no_more = sent.interval <= Span::ZERO && !sent.volatile;
        self.notified_on |= Options::of_state(sent.state);
        self.told = sent.recipients;
    }

    /// The recovery was told, or nobody wants to hear of it: the next problem begins at 1.
    pub fn recovery_handled(&mut self) {
        self.number = 0;
        self.notified_on = Options::NONE;
        self.recovery_after_flapping = false;
        self.told.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(interval: Span, volatile: bool) -> NoticeState {
        let mut state = NoticeState { number: 1, ..NoticeState::default() };
        let at = Timestamp::from_secs(100);
        state.problem_sent(ProblemSent { at, state: 2, interval, volatile, recipients: vec!["a".into()] });
        state
    }

    #[test]
    fn a_problem_is_told_again_after_its_interval_or_never() {
        for (interval, volatile, next, no_more) in
            [(60, false, 160, false), (60, true, 160, false), (0, false, 100, true), (0, true, 100, false)]
        {
            let state = sent(Span::from_secs(interval), volatile);
            let told = (state.next, state.no_more, state.last);
            let at = Timestamp::from_secs;
            assert_eq!(told, (at(next), no_more, at(100)), "interval {interval}, volatile {volatile}");
        }
    }

    #[test]
    fn states_add_up_until_the_recovery() {
        let mut state = sent(Span::from_secs(60), false);
        state.problem_sent(ProblemSent {
            at: Timestamp::from_secs(200),
            state: 1,
            interval: Span::from_secs(60),
            volatile: false,
            recipients: vec!["b".into()],
        });
        assert!(state.notified_on.has(Options::WARNING | Options::CRITICAL));
        assert_eq!(state.told, ["b".into()]);
        state.recovery_handled();
        assert_eq!((state.number, state.notified_on, state.told.len()), (0, Options::NONE, 0));
        assert_eq!(state.last, Timestamp::from_secs(200), "when it was told last stays known");
    }
}
