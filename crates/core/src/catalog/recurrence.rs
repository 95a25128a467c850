//! Downtimes that come back: which occurrence is next, from the windows of a timeperiod.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Timeperiod;
use crate::id::TimeperiodId;
use crate::model::ObjectKey;
use crate::timeperiod::{contains, next_boundary, next_valid};
use crate::{Span, Timestamp};

/// A `[[downtime]]` with a `period`: a fixed window on each target whenever the period opens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recurrence {
    /// Unique; a reload knows the downtime by it.
    pub name: Arc<str>,
    /// Sorted, each once.
    pub targets: Vec<ObjectKey>,
    pub period: TimeperiodId,
    /// How long each lasts from the opening of the period; `None` = until the period closes.
    pub length: Option<Span>,
    pub comment: Arc<str>,
}

/// One window of it.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Occurrence {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Recurrence {
    /// The first occurrence that is not over at `at` and does not belong to `done`, the newest one that has ended or was
    /// cancelled. One that began already counts for what is left of it. `None` = there is none within 41 years.
    pub fn next(&self, periods: &[Timeperiod], at: Timestamp, done: Option<Occurrence>) -> Option<Occurrence> {
        match self.length {
            Some(length) => self.next_of_length(periods, at, done, length),
            None => self.next_window(periods, at, done),
        }
    }

    fn next_window(&self, periods: &[Timeperiod], at: Timestamp, done: Option<Occurrence>) -> Option<Occurrence> {
        let mut from = at;
        if let Some(done) = done {
            from = from.max(done.end);
            // The window it was in may be longer by now: the rest of it belongs to it.
            let last = done.end - Span::from_millis(1);
            if contains(periods, self.period, last) {
                from = from.max(next_boundary(periods, self.period, last)?);
            }
        }
        let start = next_valid(periods, self.period, from)?;
        Some(Occurrence { start, end: next_boundary(periods, self.period, start)? })
    }

    fn next_of_length(
        &self,
        periods: &[Timeperiod],
        at: Timestamp,
        done: Option<Occurrence>,
        length: Span,
    ) -> Option<Occurrence> {
        // What began up to here is over, or done.
        let mut past = at - length;
        if let Some(done) = done {
            past = past.max(done.start);
        }
        if contains(periods, self.period, past) {
            past = next_boundary(periods, self.period, past)?;
        }
        let start = next_valid(periods, self.period, past)?;
        Some(Occurrence { start, end: start + length })
    }

    /// When the occurrence that runs at `at` and began at `start` ends by the periods as they are now; `None` if no
    /// occurrence of these runs.
    pub fn end_of(&self, periods: &[Timeperiod], at: Timestamp, start: Timestamp) -> Option<Timestamp> {
        match self.length {
            Some(length) => Some(start + length).filter(|end| *end > at),
            None if contains(periods, self.period, at) => next_boundary(periods, self.period, at),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Span = Span::from_hours(1);

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).expect("an instant")
    }

    fn period(zone: &str, weekday: usize, ranges: &[(u16, u16)]) -> Vec<Timeperiod> {
        let mut weekly: [Vec<(u16, u16)>; 7] = Default::default();
        weekly[weekday] = ranges.to_vec();
        let (name, zone) = ("sunday".into(), zone.into());
        vec![Timeperiod { name, zone, weekly, exceptions: Vec::new(), exclude: Vec::new() }]
    }

    fn every(length: Option<Span>) -> Recurrence {
        Recurrence {
            name: "patch".into(),
            targets: Vec::new(),
            period: TimeperiodId(0),
            length,
            comment: "patches".into(),
        }
    }

    /// Sundays 02:00 to 04:00 in Amsterdam, of which one in March lacks an hour and one in October has one more.
    fn sundays() -> Vec<Timeperiod> {
        period("Europe/Amsterdam", 6, &[(120, 240)])
    }

    fn shown(occurrence: Option<Occurrence>) -> String {
        occurrence.map_or_else(
            || "never".to_owned(),
            |o| format!("{} {}", o.start.to_rfc3339(), o.end.to_rfc3339()).replace(".000Z", "Z"),
        )
    }

    #[test]
    fn occurrences_follow_the_civil_time_of_their_zone() {
        let of_window = every(None);
        let two_hours = every(Some(HOUR * 2));
        let table = [
            ("a winter Sunday", &of_window, "2026-01-05T00:00:00Z", "2026-01-11T01:00:00Z 2026-01-11T03:00:00Z"),
            ("a summer Sunday", &of_window, "2026-06-02T00:00:00Z", "2026-06-07T00:00:00Z 2026-06-07T02:00:00Z"),
            (
                "02:00 does not exist: opens at 03:00",
                &of_window,
                "2026-03-28T00:00:00Z",
                "2026-03-29T01:00:00Z 2026-03-29T02:00:00Z",
            ),
            (
                "as long as it was said all the same",
                &two_hours,
                "2026-03-28T00:00:00Z",
                "2026-03-29T01:00:00Z 2026-03-29T03:00:00Z",
            ),
            (
                "02:00 comes twice: opened once",
                &two_hours,
                "2026-10-24T00:00:00Z",
                "2026-10-25T00:00:00Z 2026-10-25T02:00:00Z",
            ),
        ];
        for (name, recurrence, from, expect) in table {
            assert_eq!(shown(recurrence.next(&sundays(), at(from), None)), expect, "{name}");
        }
    }

    #[test]
    fn one_that_began_counts_for_what_is_left_of_it_unless_it_is_done() {
        let (start, end) = (at("2026-01-11T01:00:00Z"), at("2026-01-11T03:00:00Z"));
        let late = start + Span::from_mins(50);
        let done = Some(Occurrence { start, end });
        let later = "2026-01-18T01:00:00Z 2026-01-18T03:00:00Z";
        for (recurrence, left) in
            [(every(None), Occurrence { start: late, end }), (every(Some(HOUR * 2)), Occurrence { start, end })]
        {
            assert_eq!(recurrence.next(&sundays(), late, None), Some(left));
            assert_eq!(shown(recurrence.next(&sundays(), late, done)), later);
            assert_eq!(shown(recurrence.next(&sundays(), end, None)), later, "it is over");
            assert_eq!(shown(recurrence.next(&sundays(), end - Span::from_millis(1), done)), later);
        }
        let longer = period("Europe/Amsterdam", 6, &[(120, 300)]);
        assert_eq!(
            shown(every(None).next(&longer, late, done)),
            "2026-01-18T01:00:00Z 2026-01-18T04:00:00Z",
            "a cancelled one does not come back because its window grew"
        );
    }

    #[test]
    fn windows_that_touch_are_one_and_a_period_without_end_has_no_occurrence() {
        let mut midnight = period("UTC", 5, &[(1320, 1440)]);
        midnight[0].weekly[6] = vec![(0, 120)];
        let next = every(None).next(&midnight, at("2026-01-05T00:00:00Z"), None);
        assert_eq!(shown(next), "2026-01-10T22:00:00Z 2026-01-11T02:00:00Z");
        let mut always = period("UTC", 0, &[]);
        always[0].weekly = std::array::from_fn(|_| vec![(0, 1440)]);
        assert_eq!(every(None).next(&always, at("2026-01-05T00:00:00Z"), None), None);
        assert_eq!(every(Some(HOUR)).next(&always, at("2026-01-05T00:00:00Z"), None), None);
    }

    proptest! {
        /// From whichever instants one asks: each occurrence comes once, in order, and none is left out.
        #[test]
        fn no_occurrence_is_doubled_or_lost(
            steps in proptest::collection::vec(0i64..200, 1..60),
            hours in proptest::option::of(1i64..30),
            zone in proptest::sample::select(vec!["UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe"]),
        ) {
            let periods = period(zone, 6, &[(120, 240)]);
            let recurrence = every(hours.map(|hours| HOUR * hours));
            let begin = at("2026-01-05T00:00:00Z");
            let mut all = Vec::new();
            let mut done = None;
            for _ in 0..80 {
                let next = recurrence.next(&periods, begin, done).expect("there is always another Sunday");
                all.push(next);
                done = Some(next);
            }
            let (mut now, mut done) = (begin, None);
            for step in steps {
                now += HOUR * step;
                let next = recurrence.next(&periods, now, done).expect("there is always another Sunday");
                let expect = all.iter().find(|o| o.end > now && done.is_none_or(|done: Occurrence| o.start > done.start));
                let expect = expect.expect("80 weeks are enough");
                prop_assert_eq!(next.end, expect.end);
                prop_assert!(next.start == expect.start || (hours.is_none() && next.start == now));
                if step % 3 == 0 {
                    done = Some(next);
                }
            }
        }
    }
}
