//! Reads one line of a timeperiod: `monday 09:00-17:00`, `friday -1 18:00-20:00`, `2027-03-01 - 2027-03-31 / 7 ...`.
//!
//! Names are whole and in lower case, as Nagios wants them; whatever is odd is refused with the place and what was
//! expected there.

use std::ops::RangeInclusive;

use super::calendar::{CivilDay, YearMonth};
use super::rule::{DateRule, Days, MONTHS, Minutes, MonthDate, MonthWeekday, NthWeekday, WEEKDAYS};

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A plain weekday (0 = Monday).
    Weekday {
        weekday: u8,
        ranges: Vec<Minutes>,
    },
    Date(DateRule),
}

/// Where reading stopped, and what would have been right there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: expected {expected}")]
pub struct LineError {
    /// In characters, from 1.
    pub column: usize,
    pub expected: &'static str,
}

const DAY_FORM: &str = "a weekday (`monday`), a month (`january`), `day`, or a date as 2027-05-03";
const WEEKDAY: &str = "a weekday in full and in lower case, e.g. `monday`";
const DATE: &str = "a date of the calendar as 2027-05-03";
const DAY: &str = "a day of the month, 1 to 31 or -31 to -1";
const NTH: &str = "which one of the month, 1 to 5 or -5 to -1";
const MONTH_WEEKDAY: &str = "a weekday with a month, as before the `-`";
const STEP: &str = "a number of days, 1 to 65535";
const RANGES: &str = "times as 09:00-17:00, or several with commas between";
const TIME: &str = "a time of day as 09:00, at most 24:00";
const ORDER: &str = "an end that is not before the start; over midnight write two ranges";
const END: &str = "a comma or the end of the line";

/// Reads a line of any class.
///
/// # Errors
/// The line is none; the error says where and why.
pub fn parse_any(line: &str) -> Result<Line, LineError> {
    Reader { line, at: 0 }.line()
}

/// Reads a line of the classes 1 to 5: the days by date.
///
/// # Errors
/// The line is none of them, or a plain weekday.
pub fn parse_line(line: &str) -> Result<DateRule, LineError> {
    match parse_any(line)? {
        Line::Date(rule) => Ok(rule),
        Line::Weekday { .. } => {
            let column = line.chars().position(|c| c.is_ascii_digit()).unwrap_or(0) + 1;
            Err(LineError { column, expected: NTH })
        }
    }
}

/// Reads the ranges of a day: `00:00-09:00,17:00-24:00`.
///
/// # Errors
/// The text is no list of ranges.
pub fn parse_ranges(text: &str) -> Result<Vec<Minutes>, LineError> {
    Reader { line: text, at: 0 }.ranges()
}

/// The first word of a line, and with it the class that is possible.
enum Head {
    Date(CivilDay),
    Month(u8),
    EveryMonth,
    Weekday(u8),
}

/// One end of a range of days.
#[derive(Copy, Clone)]
enum Point {
    Date(CivilDay),
    MonthDate(MonthDate),
    MonthDay(i8),
    MonthWeekday(MonthWeekday),
    Weekday(NthWeekday),
}

struct Reader<'a> {
    line: &'a str,
    /// In bytes, always at the beginning of a character.
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn fail<T>(&self, at: usize, expected: &'static str) -> Result<T, LineError> {
        let before = self.line.get(..at).unwrap_or(self.line);
        Err(LineError { column: before.chars().count() + 1, expected })
    }

    /// The characters ahead that are `wanted`.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn eat(&mut self, sign: char) -> bool {
        self.blanks();
        let found = self.rest().starts_with(sign);
        self.at += if found { sign.len_utf8() } else { 0 };
        found
    }

    /// Whether a time such as `9:00` is ahead, that is: the ranges begin.
    fn ranges_ahead(&mut self) -> bool {
        self.blanks();
        self.rest().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with(':')
    }

    fn line(&mut self) -> Result<Line, LineError> {
        let head = self.head(DAY_FORM)?;
        if let (Head::Weekday(weekday), true) = (&head, self.ranges_ahead()) {
            return Ok(Line::Weekday { weekday: *weekday, ranges: self.ranges()? });
        }
        let first = self.point(head)?;
        let last = if self.eat('-') { Some(self.last_point(first)?) } else { None };
        let every = if self.eat('/') { self.step()? } else { 1 };
        let ranges = self.ranges()?;
        let days = days(first, last, every);
        // One day written as a range: its step never comes to bear, and written back it would have no end.
        let one_day = matches!(days, Days::Dates { first, last } if last == Some(first));
        Ok(Line::Date(DateRule { days, every: if one_day { 1 } else { every }, ranges }))
    }

    fn head(&mut self, expected: &'static str) -> Result<Head, LineError> {
        self.blanks();
        let begin = self.at;
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return self.date().map(Head::Date);
        }
        let word = self.take(|c| c.is_ascii_alphabetic());
        let index = |names: &[&str]| names.iter().position(|name| *name == word).and_then(|i| u8::try_from(i).ok());
        if word == "day" {
            Ok(Head::EveryMonth)
        } else if let Some(weekday) = index(&WEEKDAYS) {
            Ok(Head::Weekday(weekday))
        } else if let Some(month) = index(&MONTHS) {
            Ok(Head::Month(month + 1))
        } else {
            self.fail(begin, expected)
        }
    }

    fn date(&mut self) -> Result<CivilDay, LineError> {
        let begin = self.at;
        let mut part = |digits: RangeInclusive<usize>, last: bool| {
            let text = self.take(|c| c.is_ascii_digit());
            let ended = last || self.rest().starts_with('-');
            self.at += usize::from(!last && ended);
            text.parse::<u16>().ok().filter(|_| ended && digits.contains(&text.len()))
        };
        let (year, month, day) = (part(4..=4, false), part(1..=2, false), part(1..=2, true));
        let found = (|| {
            let month = u8::try_from(month?).ok().filter(|month| (1..=12).contains(month))?;
            // Day 0 and days past the month are none of it; nothing is counted from the end here.
            YearMonth::new(i32::from(year?), month).day(i8::try_from(day?).ok()?)
        })();
        found.map_or_else(|| self.fail(begin, DATE), Ok)
    }

    /// A signed whole number other than 0, at most `most` from it.
    fn number(&mut self, most: i8, expected: &'static str) -> Result<i8, LineError> {
        self.blanks();
        let begin = self.at;
        let minus = self.eat('-');
        let number = self.take(|c| c.is_ascii_digit()).parse::<i8>().ok();
        match number.filter(|number| (1..=most).contains(number)) {
            Some(number) => Ok(if minus { -number } else { number }),
            None => self.fail(begin, expected),
        }
    }

    fn day(&mut self) -> Result<i8, LineError> {
        self.number(31, DAY)
    }

    fn nth(&mut self) -> Result<i8, LineError> {
        self.number(5, NTH)
    }

    fn point(&mut self, head: Head) -> Result<Point, LineError> {
        Ok(match head {
            Head::Date(day) => Point::Date(day),
            Head::Month(month) => Point::MonthDate(MonthDate { month, day: self.day()? }),
            Head::EveryMonth => Point::MonthDay(self.day()?),
            Head::Weekday(weekday) => {
                let on = NthWeekday { weekday, nth: self.nth()? };
                self.blanks();
                let begin = self.at;
                let word = self.take(|c| c.is_ascii_alphabetic());
                match MONTHS.iter().position(|name| *name == word).and_then(|i| u8::try_from(i).ok()) {
                    Some(month) => Point::MonthWeekday(MonthWeekday { month: month + 1, on }),
                    None if word.is_empty() => Point::Weekday(on),
                    None => return self.fail(begin, "a month in full and in lower case, e.g. `january`, or times"),
                }
            }
        })
    }

    /// What may stand after the `-`: an end of the same form, with the month or weekday left out where it is the same.
    fn last_point(&mut self, first: Point) -> Result<Point, LineError> {
        self.blanks();
        let begin = self.at;
        let number_ahead = self.rest().starts_with(|c: char| c.is_ascii_digit() || c == '-');
        let last = match first {
            Point::MonthDate(MonthDate { month, .. }) if number_ahead => {
                return Ok(Point::MonthDate(MonthDate { month, day: self.day()? }));
            }
            Point::MonthDay(_) if number_ahead => return self.day().map(Point::MonthDay),
            Point::Weekday(NthWeekday { weekday, .. }) if number_ahead => {
                return Ok(Point::Weekday(NthWeekday { weekday, nth: self.nth()? }));
            }
            Point::MonthWeekday(_) if number_ahead => return self.fail(begin, MONTH_WEEKDAY),
            Point::Date(_) if !number_ahead => return self.fail(begin, DATE),
            Point::Date(first) => {
                let last = self.date()?;
                if last < first {
                    return self.fail(begin, "a last date that is not before the first");
                }
                return Ok(Point::Date(last));
            }
            Point::MonthDate(_) | Point::MonthDay(_) | Point::MonthWeekday(_) | Point::Weekday(_) => {
                let head = self.head(DAY_FORM)?;
                self.point(head)?
            }
        };
        match (first, last) {
            (Point::MonthDate(_), Point::MonthDate(_))
            | (Point::MonthDay(_), Point::MonthDay(_))
            | (Point::MonthWeekday(_), Point::MonthWeekday(_))
            | (Point::Weekday(_), Point::Weekday(_)) => Ok(last),
            (Point::MonthDate(_), _) => self.fail(begin, "a month with a day, as before the `-`"),
            (Point::MonthDay(_), _) => self.fail(begin, DAY),
            (Point::MonthWeekday(_), _) => self.fail(begin, MONTH_WEEKDAY),
            (Point::Weekday(_) | Point::Date(_), _) => self.fail(begin, WEEKDAY),
        }
    }

    /// Nagios takes 0 for no step.
    fn step(&mut self) -> Result<u16, LineError> {
        self.blanks();
        let begin = self.at;
        let step = self.take(|c| c.is_ascii_digit()).parse::<u16>().ok();
        step.map_or_else(|| self.fail(begin, STEP), |step| Ok(step.max(1)))
    }

    fn ranges(&mut self) -> Result<Vec<Minutes>, LineError> {
        self.blanks();
        if !self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return self.fail(self.at, RANGES);
        }
        let mut ranges = Vec::new();
        loop {
            let begin = self.at;
            let start = self.time()?;
            if !self.eat('-') {
                return self.fail(self.at, RANGES);
            }
            let end = self.time()?;
            if end < start {
                return self.fail(begin, ORDER);
            }
            ranges.push((start, end));
            if !self.eat(',') {
                break;
            }
            self.blanks();
        }
        if self.rest().is_empty() { Ok(ranges) } else { self.fail(self.at, END) }
    }

    fn time(&mut self) -> Result<u16, LineError> {
        self.blanks();
        let begin = self.at;
        let hour = self.take(|c| c.is_ascii_digit());
        let colon = self.eat(':');
        let minute = self.take(|c| c.is_ascii_digit());
        let short = |text: &str| text.len() <= 2 && !text.is_empty();
        if !colon || !short(hour) || !short(minute) {
            return self.fail(begin, TIME);
        }
        let of_day = match (hour.parse::<u16>(), minute.parse::<u16>()) {
            (Ok(hour), Ok(minute)) if minute < 60 => hour * 60 + minute,
            _ => return self.fail(begin, TIME),
        };
        if of_day > super::DAY_MINUTES { self.fail(begin, TIME) } else { Ok(of_day) }
    }
}

/// Puts both ends together; [`Reader::last_point`] lets only ends of one form through.
fn days(first: Point, last: Option<Point>, every: u16) -> Days {
    match (first, last) {
        (Point::MonthDate(first), Some(Point::MonthDate(last))) => Days::MonthDates { first, last },
        (Point::MonthDay(first), Some(Point::MonthDay(last))) => Days::MonthDays { first, last },
        (Point::MonthWeekday(first), Some(Point::MonthWeekday(last))) => Days::MonthWeekdays { first, last },
        (Point::Weekday(first), Some(Point::Weekday(last))) => Days::Weekdays { first, last },
        (Point::Date(first), Some(Point::Date(last))) => Days::Dates { first, last: Some(last) },
        (Point::Date(first), _) => Days::Dates { first, last: (every == 1).then_some(first) },
        (Point::MonthDate(first), _) => Days::MonthDates { first, last: first },
        (Point::MonthDay(first), _) => Days::MonthDays { first, last: first },
        (Point::MonthWeekday(first), _) => Days::MonthWeekdays { first, last: first },
        (Point::Weekday(first), _) => Days::Weekdays { first, last: first },
    }
}
