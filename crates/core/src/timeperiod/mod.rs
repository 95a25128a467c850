//! Timeperiods in a civil time zone: is an instant inside, when is the next one inside, when does that change.
//!
//! Windows are civil: 08:00-18:00 stays 08:00-18:00 when the clocks change. In the missing hour of spring a window is
//! not open at all. The repeated hour of autumn counts once: nothing opens or closes in it a second time, the period
//! stays as it was when the clocks went back. Ranges are half-open.
//!
//! A day belongs to the first date rule, in the order of the classes and then of the configuration, that covers it;
//! only a day without one has its weekly window. Excluded periods come before all of that, and may exclude others.

pub mod calendar;
mod parse;
pub mod rule;

use std::cell::Cell;

use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use crate::Timestamp;
use crate::catalog::{Catalog, Timeperiod};
use crate::id::TimeperiodId;
use calendar::CivilDay;
pub use parse::{Line, LineError, parse_any, parse_line, parse_ranges};
pub use rule::{DateRule, Days, Minutes};

pub(crate) const DAY_MINUTES: u16 = 24 * 60;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// How far a change is looked for. No rule that comes back stays away longer: a Monday the 29th of February, like a
/// fifth Monday of a February, comes after at most 40 years (over a year such as 2100 that is no leap year).
const SEARCH_DAYS: i64 = 41 * 366;

/// As [`SEARCH_DAYS`] for weekly windows alone: one that a clock change swallows still opens within two weeks.
const SEARCH_DAYS_WEEKLY: i64 = 16;

/// Days and periods looked at for one answer. Only periods that exclude each other many times over reach it; then the
/// answer is that of a period which does not open.
const WORK_MAX: u32 = 200_000;

/// The zone of that IANA name from the bundled database; `None` if there is no such zone.
pub fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

impl Catalog {
    /// Whether `at` is inside of that timeperiod.
    pub fn in_period(&self, id: TimeperiodId, at: Timestamp) -> bool {
        contains(&self.timeperiods, id, at)
    }

    /// See [`next_valid`].
    pub fn next_valid(&self, id: TimeperiodId, at: Timestamp) -> Option<Timestamp> {
        next_valid(&self.timeperiods, id, at)
    }
}

/// Whether `at` is inside of the period `id` of the table. A period that is not in the table has no inside.
pub fn contains(table: &[Timeperiod], id: TimeperiodId, at: Timestamp) -> bool {
    Search::new(table).contains(Path { id, up: None }, at)
}

/// The first instant from `at` on, `at` itself included, that is inside; `None` if there is none within 41 years.
pub fn next_valid(table: &[Timeperiod], id: TimeperiodId, at: Timestamp) -> Option<Timestamp> {
    Search::new(table).next(Path { id, up: None }, at, Wanted::Inside)
}

/// The first instant after `at` from which on [`contains`] answers differently; `None` if it never does.
pub fn next_boundary(table: &[Timeperiod], id: TimeperiodId, at: Timestamp) -> Option<Timestamp> {
    let wanted = if contains(table, id, at) { Wanted::Outside } else { Wanted::Inside };
    Search::new(table).next(Path { id, up: None }, at, wanted)
}

/// Whether the period excludes itself, over others or at once; the readers of configurations refuse that.
pub fn excludes_itself(table: &[Timeperiod], id: TimeperiodId) -> bool {
    let mut seen = vec![false; table.len()];
    let mut open = vec![id];
    while let Some(next) = open.pop() {
        for excluded in table.get(next.index()).into_iter().flat_map(|period| &period.exclude) {
            if *excluded == id {
                return true;
            }
            if let Some(seen) = seen.get_mut(excluded.index()).filter(|seen| !**seen) {
                *seen = true;
                open.push(*excluded);
            }
        }
    }
    false
}

impl Timeperiod {
    /// A zone that the configuration reader let through although it is unknown counts as UTC.
    fn time_zone(&self) -> TimeZone {
        zone(&self.zone).unwrap_or(TimeZone::UTC)
    }

    /// The ranges of a day, without what is excluded.
    fn ranges(&self, day: CivilDay) -> &[Minutes] {
        let rule = self.exceptions.iter().filter(|rule| rule.covers(day)).min_by_key(|rule| rule.days.class());
        match rule {
            Some(rule) => &rule.ranges,
            None => &self.weekly[usize::from(day.weekday())],
        }
    }

    /// Whether the windows of this period hold `at`, without what is excluded.
    fn opens(&self, at: Timestamp) -> bool {
        let instant = jiff::Timestamp::from_millisecond(at.as_millis());
        instant.is_ok_and(|instant| {
            let local = Local::new(at, &self.time_zone(), instant);
            rule::is_open(self.ranges(local.day), local.minute)
        })
    }

    fn never_opens(&self) -> bool {
        let closed = |ranges: &[Minutes]| ranges.iter().all(|(start, end)| start >= end);
        self.weekly.iter().all(|day| closed(day)) && self.exceptions.iter().all(|rule| closed(&rule.ranges))
    }
}

/// Civil time of an instant, as far as it had come: in the repeated hour it waits for the clocks to catch up.
struct Local {
    /// What to add to an instant for its civil time, in milliseconds.
    offset: i64,
    day: CivilDay,
    minute: u16,
}

impl Local {
    fn new(at: Timestamp, zone: &TimeZone, instant: jiff::Timestamp) -> Local {
        let offset = zone.to_offset(instant);
        let offset_ms = i64::from(offset.seconds()) * 1000;
        let civil = furthest(zone, instant, offset).unwrap_or(at.as_millis() + offset_ms);
        Local {
            offset: offset_ms,
            // An instant that jiff can hold is less than 4 million days from the epoch.
            day: CivilDay(civil.div_euclid(DAY_MS) as i32),
            minute: (civil.rem_euclid(DAY_MS) / MINUTE_MS) as u16,
        }
    }
}

/// The last civil time before the clocks went back, in milliseconds, if `instant` repeats an hour; else `None`.
fn furthest(zone: &TimeZone, instant: jiff::Timestamp, offset: Offset) -> Option<i64> {
    if zone.to_fixed_offset().is_ok() {
        return None;
    }
    let AmbiguousOffset::Fold { before, after } = zone.to_ambiguous_timestamp(offset.to_datetime(instant)).offset()
    else {
        return None;
    };
    if offset != after {
        return None;
    }
    // Transitions before an instant leave out one that is at it.
    let including = instant.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
    let back = zone.preceding(including).next()?.timestamp();
    Some(back.as_millisecond() + i64::from(before.seconds()) * 1000 - 1)
}

#[derive(Copy, Clone, Eq, PartialEq)]
enum Wanted {
    Inside,
    Outside,
}

/// The period at hand and those that led to it by excluding: a circle ends where it would begin again.
#[derive(Copy, Clone)]
struct Path<'a> {
    id: TimeperiodId,
    up: Option<&'a Path<'a>>,
}

impl Path<'_> {
    fn holds(&self, id: TimeperiodId) -> bool {
        self.id == id || self.up.is_some_and(|up| up.holds(id))
    }
}

/// One question to the table, with a limit to the work of it.
struct Search<'a> {
    table: &'a [Timeperiod],
    work: Cell<u32>,
}

impl<'a> Search<'a> {
    fn new(table: &'a [Timeperiod]) -> Self {
        Search { table, work: Cell::new(WORK_MAX) }
    }

    /// Takes one unit of the work; `None` when it is used up.
    fn spend(&self) -> Option<()> {
        self.work.set(self.work.get().checked_sub(1)?);
        Some(())
    }

    fn contains(&self, path: Path<'_>, at: Timestamp) -> bool {
        let Some(period) = self.table.get(path.id.index()) else { return false };
        self.spend().is_some()
            && period.opens(at)
            && !self.excludes(period, &path).any(|id| self.contains(Path { id, up: Some(&path) }, at))
    }

    fn excludes<'b>(&self, period: &'b Timeperiod, path: &'b Path<'b>) -> impl Iterator<Item = TimeperiodId> + 'b {
        period.exclude.iter().copied().filter(|id| !path.holds(*id))
    }

    /// The first instant from `at` on that is inside, or outside.
    fn next(&self, path: Path<'_>, at: Timestamp, wanted: Wanted) -> Option<Timestamp> {
        let period = self.table.get(path.id.index())?;
        match wanted {
            Wanted::Outside => {
                let excluded = self
                    .excludes(period, &path)
                    .filter_map(|id| self.next(Path { id, up: Some(&path) }, at, Wanted::Inside));
                self.next_own(period, at, Wanted::Outside).into_iter().chain(excluded).min()
            }
            Wanted::Inside => {
                let mut from = at;
                loop {
                    self.spend()?;
                    from = self.next_own(period, from, Wanted::Inside)?;
                    let mut free = from;
                    for id in self.excludes(period, &path) {
                        // `?`: a period that excludes for good leaves nothing.
                        free = free.max(self.next(Path { id, up: Some(&path) }, from, Wanted::Outside)?);
                    }
                    if free == from {
                        return Some(from);
                    }
                    from = free;
                }
            }
        }
    }

    /// As [`Search::next`], for the windows of the period alone.
    fn next_own(&self, period: &Timeperiod, at: Timestamp, wanted: Wanted) -> Option<Timestamp> {
        let open = wanted == Wanted::Inside;
        if period.opens(at) == open {
            return Some(at);
        }
        if open && period.never_opens() {
            return None;
        }
        let days = if period.exceptions.is_empty() { SEARCH_DAYS_WEEKLY } else { SEARCH_DAYS };
        let horizon = at.as_millis().saturating_add(days * DAY_MS);
        let zone = period.time_zone();
        let mut from = at;
        // Between two changes of the clocks, civil time and instants differ by one offset.
        while from.as_millis() < horizon {
            let instant = jiff::Timestamp::from_millisecond(from.as_millis()).ok()?;
            let transition = zone.following(instant).next().map(|transition| transition.timestamp().as_millisecond());
            let until = transition.unwrap_or(horizon).min(horizon);
            if let Some(found) = self.next_steady(period, Local::new(from, &zone, instant), from, until, open) {
                return Some(found);
            }
            self.spend()?;
            from = Timestamp::from_millis(until);
        }
        None
    }

    /// As [`Search::next_own`] before `until`, while the clocks do not change.
    fn next_steady(
        &self,
        period: &Timeperiod,
        local: Local,
        from: Timestamp,
        until: i64,
        open: bool,
    ) -> Option<Timestamp> {
        let (mut day, mut minute) = (local.day, local.minute);
        loop {
            let midnight = i64::from(day.0) * DAY_MS - local.offset;
            if midnight >= until {
                return None;
            }
            self.spend()?;
            if let Some(found) = rule::first_minute(period.ranges(day), minute, open) {
                // Within the minute of `from` it is `from` itself.
                let instant = (midnight + i64::from(found) * MINUTE_MS).max(from.as_millis());
                return (instant < until).then(|| Timestamp::from_millis(instant));
            }
            (day, minute) = (CivilDay(day.0 + 1), 0);
        }
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
        Timeperiod { name: "t".into(), zone: zone.into(), weekly, exceptions: Vec::new(), exclude: Vec::new() }
    }

    const ID: TimeperiodId = TimeperiodId(0);

    fn is_inside(period: &Timeperiod, at: Timestamp) -> bool {
        contains(std::slice::from_ref(period), ID, at)
    }

    fn boundary(period: &Timeperiod, at: Timestamp) -> Option<Timestamp> {
        next_boundary(std::slice::from_ref(period), ID, at)
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
            assert_eq!(is_inside(&office, at(instant)), inside, "{instant}");
        }
    }

    #[test]
    fn boundaries_follow_the_clocks() {
        let office = period("Europe/Amsterdam", &WORKDAYS, &[(8 * 60, 18 * 60)]);
        let night = period("Europe/Amsterdam", &[6], &[(2 * 60, 2 * 60 + 30)]);
        let late = period("Europe/Amsterdam", &[6], &[(2 * 60 + 30, 3 * 60 + 30)]);
        for (period, from, next) in [
            (&office, "2026-11-20T07:00:00Z", "2026-11-20T17:00:00Z"),
            (&office, "2026-11-20T17:00:00Z", "2026-11-23T07:00:00Z"),
            // Over the spring change of 2026-03-29: Monday 08:00 is one hour earlier in UTC.
            (&office, "2026-03-27T18:00:00Z", "2026-03-30T06:00:00Z"),
            // 02:00-02:30 does not exist on that Sunday; the next one is a week later.
            (&night, "2026-03-28T12:00:00Z", "2026-04-05T00:00:00Z"),
            // On 2026-10-25 the hour exists twice, at UTC+2 and UTC+1; the first counts.
            (&night, "2026-10-24T12:00:00Z", "2026-10-25T00:00:00Z"),
            (&night, "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"),
            (&night, "2026-10-25T00:30:00Z", "2026-11-01T01:00:00Z"),
            (&night, "2026-10-25T01:00:00Z", "2026-11-01T01:00:00Z"),
            // What is open when the clocks go back stays open through the repeated hour.
            (&late, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
            (&late, "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"),
            (&late, "2026-10-25T01:10:00Z", "2026-10-25T02:30:00Z"),
        ] {
            assert_eq!(boundary(period, at(from)), Some(at(next)), "{from}");
        }
    }

    #[test]
    fn always_and_never_have_no_boundary() {
        let now = at("2026-11-21T00:00:00Z");
        let always = period("Europe/Amsterdam", &[0, 1, 2, 3, 4, 5, 6], &[(0, 1440)]);
        assert!(is_inside(&always, now));
        assert_eq!(boundary(&always, now), None);
        assert_eq!(boundary(&period("UTC", &[], &[]), now), None);
    }

    #[test]
    fn windows_that_meet_at_midnight_are_one() {
        let weekend = period("UTC", &[5, 6], &[(0, 1440)]);
        assert_eq!(boundary(&weekend, at("2026-11-21T12:00:00Z")), Some(at("2026-11-23T00:00:00Z")));
    }

    proptest! {
        #[test]
        fn nothing_changes_before_the_boundary(
            zone in prop::sample::select(vec!["Europe/Amsterdam", "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
            days in prop::collection::vec(0usize..7, 0..4),
            start in 0u16..1440, length in 1u16..1440,
            offset_min in 0i64..(366 * 24 * 60),
        ) {
            let table = [period(zone, &days, &[(start, (start + length).min(1440))])];
            let from = at("2026-01-01T00:00:00Z") + crate::Span::from_mins(offset_min);
            let inside = super::contains(&table, ID, from);
            let next = super::next_boundary(&table, ID, from);
            let until = next.unwrap_or(from + crate::Span::from_hours(24 * 15));
            // `from` is a whole minute by construction.
            let mut minute = from;
            while minute < until {
                prop_assert!(minute <= from || super::contains(&table, ID, minute) == inside, "{minute}");
                minute += crate::Span::from_mins(1);
            }
            if let Some(next) = next {
                prop_assert_ne!(super::contains(&table, ID, next), inside);
            }
        }
    }
}
