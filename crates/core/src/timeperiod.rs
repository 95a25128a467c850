//! Weekly windows in a civil time zone: is an instant inside, and when does that change next.
//!
//! Windows are civil: 08:00-18:00 stays 08:00-18:00 when the clocks change. In the repeated hour of autumn a window is
//! open twice, in the missing hour of spring not at all.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::Timestamp;
use crate::catalog::Timeperiod;

/// Days searched for the next change: a weekly window that one clock change swallows still opens within two weeks.
const SEARCH_DAYS: i64 = 16;

/// The zone of that IANA name from the bundled database; `None` if there is no such zone.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

impl Timeperiod {
    /// A zone that the configuration reader let through although it is unknown counts as UTC.
    fn time_zone(&self) -> TimeZone {
        zone(&self.zone).unwrap_or(TimeZone::UTC)
    }

    /// Whether `at` is inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        jiff::Timestamp::from_millisecond(at.as_millis())
            .is_ok_and(|instant| self.contains_civil(self.time_zone().to_datetime(instant)))
    }

    fn contains_civil(&self, civil: DateTime) -> bool {
        let day = usize::try_from(civil.weekday().to_monday_zero_offset()).unwrap_or(0);
        let minute = u16::try_from(i32::from(civil.hour()) * 60 + i32::from(civil.minute())).unwrap_or(0);
        self.weekly[day].iter().any(|(start, end)| (*start..*end).contains(&minute))
    }

    /// The first instant after `at` from which on [`Timeperiod::contains`] answers differently; `None` if it never does.
    pub fn next_boundary(&self, at: Timestamp) -> Option<Timestamp> {
        let instant = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
        let zone = self.time_zone();
        let inside = self.contains(at);
        self.candidates(&zone, instant)
            .into_iter()
            .map(Timestamp::from_millis)
            .find(|candidate| *candidate > at && self.contains(*candidate) != inside)
    }

    /// Every instant in the search range at which the answer can change: the ends of windows, each reading of an
    /// ambiguous one, and the changes of the clocks themselves.
    fn candidates(&self, zone: &TimeZone, from: jiff::Timestamp) -> BTreeSet<i64> {
        let mut found = BTreeSet::new();
        let Ok(until) = from.checked_add((SEARCH_DAYS * 24).hours()) else { return found };
        for transition in zone.following(from).take_while(|transition| transition.timestamp() <= until) {
            found.insert(transition.timestamp().as_millisecond());
        }
        // The day before: its last window may end at its midnight, and the civil day differs from the UTC one.
        let first = zone.to_datetime(from).date().checked_sub(1.day());
        for date in first.into_iter().flat_map(|date| date.series(1.day()).take(SEARCH_DAYS as usize + 2)) {
            let day = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
            for minute in self.weekly[day].iter().flat_map(|(start, end)| [*start, *end]) {
                let midnight = date.to_datetime(jiff::civil::Time::midnight());
                let Ok(civil) = midnight.checked_add(i64::from(minute).minutes()) else { continue };
                let readings = zone.to_ambiguous_timestamp(civil);
                found.extend(readings.earlier().map(jiff::Timestamp::as_millisecond));
                found.extend(readings.later().map(jiff::Timestamp::as_millisecond));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn period(zone: &str, days: &[usize], ranges: &[(u16, u16)]) -> Timeperiod {
        let mut weekly: [Vec<(u16, u16)>; 7] = Default::default();
        for day in days {
            weekly[*day] = ranges.to_vec();
        }
        Timeperiod { name: "t".into(), zone: zone.into(), weekly }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).expect(text)
    }

    const WORKDAYS: [usize; 5] = [0, 1, 2, 3, 4];

    #[test]
    fn windows_are_half_open_and_civil() {
        let office = period("Europe/Amsterdam", &WORKDAYS, &[(8 * 60, 18 * 60)]);
        for (instant, inside) in [
            ("2026-11-20T06:59:59.999Z", false), // Friday, UTC+1
            ("2026-11-20T07:00:00Z", true),
            ("2026-11-20T16:59:59Z", true),
            ("2026-11-20T17:00:00Z", false),
            ("2026-11-21T09:00:00Z", false), // Saturday
            ("2026-07-01T06:00:00Z", true),  // UTC+2 in summer
        ] {
            assert_eq!(office.contains(at(instant)), inside, "{instant}");
        }
    }

    #[test]
    fn boundaries_follow_the_clocks() {
        let office = period("Europe/Amsterdam", &WORKDAYS, &[(8 * 60, 18 * 60)]);
        let night = period("Europe/Amsterdam", &[6], &[(2 * 60, 2 * 60 + 30)]);
        for (period, from, next) in [
            (&office, "2026-11-20T07:00:00Z", "2026-11-20T17:00:00Z"),
            (&office, "2026-11-20T17:00:00Z", "2026-11-23T07:00:00Z"),
            // Over the spring change of 2026-03-29: Monday 08:00 is one hour earlier in UTC.
            (&office, "2026-03-27T18:00:00Z", "2026-03-30T06:00:00Z"),
            // 02:00-02:30 does not exist on that Sunday; the next one is a week later.
            (&night, "2026-03-28T12:00:00Z", "2026-04-05T00:00:00Z"),
            // On 2026-10-25 it exists twice, at UTC+2 and UTC+1.
            (&night, "2026-10-24T12:00:00Z", "2026-10-25T00:00:00Z"),
            (&night, "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"),
            (&night, "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"),
            (&night, "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"),
        ] {
            assert_eq!(period.next_boundary(at(from)), Some(at(next)), "{from}");
        }
    }

    #[test]
    fn always_and_never_have_no_boundary() {
        let now = at("2026-11-21T00:00:00Z");
        let always = period("Europe/Amsterdam", &[0, 1, 2, 3, 4, 5, 6], &[(0, 1440)]);
        assert!(always.contains(now));
        assert_eq!(always.next_boundary(now), None);
        assert_eq!(period("UTC", &[], &[]).next_boundary(now), None);
    }

    #[test]
    fn windows_that_meet_at_midnight_are_one() {
        let weekend = period("UTC", &[5, 6], &[(0, 1440)]);
        assert_eq!(weekend.next_boundary(at("2026-11-21T12:00:00Z")), Some(at("2026-11-23T00:00:00Z")));
    }

    proptest! {
        #[test]
        fn nothing_changes_before_the_boundary(
            zone in prop::sample::select(vec!["Europe/Amsterdam", "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
            days in prop::collection::vec(0usize..7, 0..4),
            start in 0u16..1440, length in 1u16..1440,
            offset_min in 0i64..(366 * 24 * 60),
        ) {
            let period = period(zone, &days, &[(start, (start + length).min(1440))]);
            let from = at("2026-01-01T00:00:00Z") + crate::Span::from_mins(offset_min);
            let inside = period.contains(from);
            let next = period.next_boundary(from);
            let until = next.unwrap_or(from + crate::Span::from_hours(24 * 15));
            // `from` is a whole minute by construction.
            let mut minute = from;
            while minute < until {
                prop_assert!(minute <= from || period.contains(minute) == inside, "{minute}");
                minute += crate::Span::from_mins(1);
            }
            if let Some(next) = next {
                prop_assert_ne!(period.contains(next), inside);
            }
        }
    }
}
