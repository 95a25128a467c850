//! One date line of a timeperiod: which days it decides, and at which minutes of them the period is open.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::calendar::{CivilDay, YearMonth};

pub const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
pub const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Half-open, in minutes of the civil day, 0..=1440. An empty one (`00:00-00:00`) opens nothing.
pub type Minutes = (u16, u16);

/// An exception from the weekly windows. On a day that it covers it alone decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateRule {
    pub days: Days,
    /// Every how many days, counted from the first day of the range; 1 = each.
    pub every: u16,
    pub ranges: Vec<Minutes>,
}

/// The forms of a range of days, in the order in which they take precedence.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Days {
    /// `2027-04-19 - 2027-04-25`. `last` is `None` where a single date with a step has no end.
    Dates { first: CivilDay, last: Option<CivilDay> },
    /// `december 24 - january 2`.
    MonthDates { first: MonthDate, last: MonthDate },
    /// `day 1 - 15`, `day -1`.
    MonthDays { first: i8, last: i8 },
    /// `monday 3 january - thursday 4 february`.
    MonthWeekdays { first: MonthWeekday, last: MonthWeekday },
    /// `wednesday 1 - friday 2`, `friday -1`.
    Weekdays { first: NthWeekday, last: NthWeekday },
}

/// A day of a month of any year; negative days count from the end of the month.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthDate {
    /// From 1.
    pub month: u8,
    pub day: i8,
}

/// The n-th weekday of any month; negative counts from the end of the month.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NthWeekday {
    /// 0 = Monday.
    pub weekday: u8,
    pub nth: i8,
}

/// The n-th weekday of one month of any year.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthWeekday {
    pub month: u8,
    pub on: NthWeekday,
}

/// First and last day of one occurrence.
type DaySpan = (CivilDay, CivilDay);

impl Days {
    /// 1 is looked at first.
    pub const fn class(&self) -> u8 {
        match self {
            Days::Dates { .. } => 1,
            Days::MonthDates { .. } => 2,
            Days::MonthDays { .. } => 3,
            Days::MonthWeekdays { .. } => 4,
            Days::Weekdays { .. } => 5,
        }
    }
}

impl DateRule {
    /// Whether this rule decides about `day`.
    pub fn covers(&self, day: CivilDay) -> bool {
        match self.days {
            Days::Dates { first, last } => self.hits(Some((first, last.unwrap_or(CivilDay(i32::MAX)))), day),
            // An occurrence that began last year, or last month, may reach into this one.
            Days::MonthDates { .. } | Days::MonthWeekdays { .. } => {
                let year = day.ymd().0;
                self.hits(self.in_year(year), day) || self.hits(self.in_year(year - 1), day)
            }
            Days::MonthDays { .. } | Days::Weekdays { .. } => {
                let month = day.year_month();
                self.hits(self.in_month(month), day) || self.hits(self.in_month(month.previous()), day)
            }
        }
    }

    fn hits(&self, span: Option<DaySpan>, day: CivilDay) -> bool {
        span.is_some_and(|(first, last)| {
            (first..=last).contains(&day) && (day.0 - first.0) % i32::from(self.every.max(1)) == 0
        })
    }

    /// The occurrence that begins in `year`, of a rule with months.
    fn in_year(&self, year: i32) -> Option<DaySpan> {
        match self.days {
            Days::MonthDates { first, last } => {
                let begin = YearMonth::new(year, first.month).day(first.day)?;
                let end = |year| end_day(YearMonth::new(year, last.month), last.day);
                ending(begin, end(year), || end(year + 1))
            }
            Days::MonthWeekdays { first, last } => {
                let begin = YearMonth::new(year, first.month).weekday(first.on.weekday, first.on.nth)?;
                let end = |year| end_weekday(YearMonth::new(year, last.month), last.on);
                ending(begin, end(year), || end(year + 1))
            }
            Days::Dates { .. } | Days::MonthDays { .. } | Days::Weekdays { .. } => None,
        }
    }

    /// The occurrence that begins in `month`, of a rule for every month.
    fn in_month(&self, month: YearMonth) -> Option<DaySpan> {
        match self.days {
            Days::MonthDays { first, last } => {
                ending(month.day(first)?, end_day(month, last), || end_day(month.next(), last))
            }
            Days::Weekdays { first, last } => {
                let begin = month.weekday(first.weekday, first.nth)?;
                ending(begin, end_weekday(month, last), || end_weekday(month.next(), last))
            }
            Days::Dates { .. } | Days::MonthDates { .. } | Days::MonthWeekdays { .. } => None,
        }
    }
}

/// The same end in the next year or month where this one would lie before the beginning.
fn ending(begin: CivilDay, end: Option<CivilDay>, next: impl FnOnce() -> Option<CivilDay>) -> Option<DaySpan> {
    let end = end?;
    if end >= begin { Some((begin, end)) } else { Some((begin, next()?)) }
}

/// A last day beyond the end of the month is the last day of it; one before its beginning is none.
fn end_day(month: YearMonth, day: i8) -> Option<CivilDay> {
    month.day(day).or_else(|| (day > 0).then(|| month.last_day()))
}

fn end_weekday(month: YearMonth, on: NthWeekday) -> Option<CivilDay> {
    month.weekday(on.weekday, on.nth).or_else(|| (on.nth > 0).then(|| month.last_day()))
}

/// Whether `minute` of a day lies in one of the ranges.
pub fn is_open(ranges: &[Minutes], minute: u16) -> bool {
    ranges.iter().any(|(start, end)| (*start..*end).contains(&minute))
}

/// The first minute of the day, from `from` on, at which [`is_open`] answers `open`.
pub fn first_minute(ranges: &[Minutes], from: u16, open: bool) -> Option<u16> {
    if open {
        let ahead = ranges.iter().filter(|(start, end)| start < end && *end > from);
        return ahead.map(|(start, _)| (*start).max(from)).min().filter(|minute| *minute < super::DAY_MINUTES);
    }
    let mut minute = from;
    while let Some(end) =
        ranges.iter().filter(|(start, end)| (*start..*end).contains(&minute)).map(|(_, end)| *end).max()
    {
        minute = end;
    }
    (minute < super::DAY_MINUTES).then_some(minute)
}

/// `09:00-12:00,13:00-17:00`.
pub struct DisplayRanges<'a>(pub &'a [Minutes]);

impl fmt::Display for DisplayRanges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (start, end)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)?;
        }
        Ok(())
    }
}

impl fmt::Display for CivilDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

fn name(names: &'static [&'static str], index: u8) -> &'static str {
    names.get(usize::from(index)).copied().unwrap_or("?")
}

impl fmt::Display for MonthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", name(&MONTHS, self.month.wrapping_sub(1)), self.day)
    }
}

impl fmt::Display for NthWeekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", name(&WEEKDAYS, self.weekday), self.nth)
    }
}

impl fmt::Display for MonthWeekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.on, name(&MONTHS, self.month.wrapping_sub(1)))
    }
}

fn between<T: fmt::Display + PartialEq>(f: &mut fmt::Formatter<'_>, first: &T, last: &T) -> fmt::Result {
    if first == last { write!(f, "{first}") } else { write!(f, "{first} - {last}") }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Days::Dates { first, last: None } => write!(f, "{first}"),
            Days::Dates { first, last: Some(last) } => between(f, first, last),
            Days::MonthDates { first, last } => between(f, first, last),
            Days::MonthDays { first, last } => {
                write!(f, "day ")?;
                between(f, first, last)
            }
            Days::MonthWeekdays { first, last } => between(f, first, last),
            Days::Weekdays { first, last } => between(f, first, last),
        }
    }
}

impl fmt::Display for DateRule {
    /// The line that [`super::parse_line`] reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.days)?;
        if self.every > 1 {
            write!(f, " / {}", self.every)?;
        }
        write!(f, " {}", DisplayRanges(&self.ranges))
    }
}
