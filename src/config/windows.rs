//! Time zones, weekly windows (`mon-fri 08:00-18:00`), days by date and planned instants as the configuration writes them.

use stentor_core::Timestamp;
use stentor_core::timeperiod::{self, DateRule};

use super::finding::Diagnostics;
use super::tree::{At, Kind, Node};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 24 * 60;

/// Half-open ranges in minutes of the civil day, per weekday from Monday.
pub type Weekly = [Vec<(u16, u16)>; 7];

/// Checks an IANA zone name; an unknown one is an error and counts as UTC.
pub(super) fn zone_name(text: &At<&str>, found: &mut Diagnostics) -> String {
    if timeperiod::zone(text.value).is_some() {
        return text.value.to_owned();
    }
    let help = "use an IANA name such as \"Europe/Amsterdam\" or \"UTC\"";
    found.error("unknown-timezone", &text.at, format!("there is no time zone `{}`", text.value), help);
    "UTC".to_owned()
}

/// Reads windows such as `mon-fri 08:00-18:00`, `sat,sun 00:00-24:00`, `daily 22:00-06:00`.
pub(super) fn weekly(windows: &[At<&str>], found: &mut Diagnostics) -> Weekly {
    let mut weekly = Weekly::default();
    for window in windows {
        if add_window(window.value, &mut weekly).is_none() {
            let help = "write days and times: \"mon-fri 08:00-18:00\", \"sat,sun 00:00-24:00\", \"daily 22:00-06:00\"";
            found.error("bad-window", &window.at, format!("`{}` is not a weekly window", window.value), help);
        }
    }
    for day in &mut weekly {
        day.sort_unstable();
        // Overlapping and touching ranges become one, so that each end is a real one.
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(day.len());
        for (start, end) in day.drain(..) {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        *day = merged;
    }
    weekly
}

/// Reads days by date such as `2026-12-25 00:00-00:00` or `friday -1 18:00-20:00`.
pub(super) fn dates(lines: &[At<&str>], found: &mut Diagnostics) -> Vec<DateRule> {
    let mut rules = Vec::with_capacity(lines.len());
    for line in lines {
        match timeperiod::parse_line(line.value) {
            Ok(rule) => rules.push(rule),
            Err(error) => {
                let message = format!("`{}` is not a day by date: {error}", line.value);
                let help = "write days and times: \"2026-12-25 00:00-00:00\" (closed), \"friday -1 18:00-20:00\"; \
                            weekly windows belong to `windows`";
                found.error("bad-date", &line.at, message, help);
            }
        }
    }
    rules
}

fn add_window(text: &str, weekly: &mut Weekly) -> Option<()> {
    let (days, times) = text.trim().split_once(char::is_whitespace)?;
    let days = days_of(days)?;
    for range in times.split(',') {
        let (start, end) = range.trim().split_once('-')?;
        let (start, end) = (minute_of(start)?, minute_of(end)?);
        for &day in &days {
            if start < end {
                weekly[day].push((start, end));
            } else if start > end {
                // Over midnight: the rest belongs to the next day.
                weekly[day].push((start, DAY_MINUTES));
                if end > 0 {
                    weekly[(day + 1) % 7].push((0, end));
                }
            } else {
                return None;
            }
        }
    }
    Some(())
}

fn days_of(text: &str) -> Option<Vec<usize>> {
    if text.eq_ignore_ascii_case("daily") {
        return Some((0..7).collect());
    }
    let day = |word: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(word.trim()));
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => days.push(day(part)?),
            Some((first, last)) => {
                let (first, last) = (day(first)?, day(last)?);
                days.extend((0..=(last + 7 - first) % 7).map(|offset| (first + offset) % 7));
            }
        }
    }
    days.sort_unstable();
    days.dedup();
    Some(days)
}

fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && total <= DAY_MINUTES).then_some(total)
}

/// An instant: RFC 3339 with an offset, or civil time in the zone of the site.
pub(super) fn instant(node: &Node, zone: &str, found: &mut Diagnostics) -> Option<Timestamp> {
    let text = match &node.kind {
        Kind::Datetime(text) | Kind::Text(text) => text,
        Kind::Integer(_) | Kind::Float(_) | Kind::Bool(_) | Kind::List(_) | Kind::Table(_) => "",
    };
    let civil = || {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        let instant = timeperiod::zone(zone)?.to_zoned(civil).ok()?.timestamp();
        Some(Timestamp::from_millis(instant.as_millisecond()))
    };
    let read = Timestamp::from_rfc3339(text).ok().or_else(civil);
    if read.is_none() {
        let help = "write 2026-12-01T22:00:00+01:00, or 2026-12-01T22:00:00 in the site's time zone";
        found.error("bad-instant", &node.at, format!("`{text}` is not an instant"), help);
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::finding::Place;

    fn read(text: &str) -> (Weekly, usize) {
        let mut found = Diagnostics::default();
        let weekly = weekly(&[At { value: text, at: Place::default() }], &mut found);
        (weekly, found.errors())
    }

    #[test]
    fn windows_read_as_people_write_them() {
        let (week, errors) = read("mon-fri 08:00-12:00, 13:00-18:00");
        assert_eq!((errors, &week[0], &week[4], &week[5]), (0, &vec![(480, 720), (780, 1080)], &week[0], &vec![]));
        let (week, _) = read("sun 22:00-06:00");
        assert_eq!((&week[6], &week[0]), (&vec![(1320, 1440)], &vec![(0, 360)]));
        let (week, _) = read("fri-mon 00:00-24:00");
        assert!([4, 5, 6, 0].iter().all(|day| week[*day] == [(0, 1440)]) && week[1].is_empty());
        let (week, _) = read("daily 08:00-12:00,11:00-13:00");
        assert_eq!(week[3], [(480, 780)]);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "mon", "mon 8-18", "mon 08:00-08:00", "xyz 08:00-09:00", "mon 25:00-26:00", "mon 08:60-09:00"]
        {
            assert_eq!(read(text).1, 1, "{text:?}");
        }
    }
}
