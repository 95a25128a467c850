//! How macros write instants and lengths of time.

use crate::timeperiod;
use crate::{Span, Timestamp};

use super::facts::DateFormat;
use super::table::Moment;

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An instant in civil time; an unknown zone counts as UTC.
pub fn moment(at: Timestamp, zone: &str, format: DateFormat, what: Moment) -> String {
    let zone = timeperiod::zone(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let Ok(instant) = jiff::Timestamp::from_millisecond(at.as_millis()) else { return at.as_secs().to_string() };
    let info = zone.to_offset_info(instant);
    let civil = info.offset().to_datetime(instant);
    let (year, month, day) = (civil.year(), civil.month(), civil.day());
    let date = match format {
        DateFormat::Us => format!("{month:02}-{day:02}-{year:04}"),
        DateFormat::Euro => format!("{day:02}-{month:02}-{year:04}"),
        DateFormat::Iso8601 | DateFormat::StrictIso8601 => format!("{year:04}-{month:02}-{day:02}"),
    };
    let time = format!("{:02}:{:02}:{:02}", civil.hour(), civil.minute(), civil.second());
    match what {
        Moment::LongDateTime => {
            let weekday = WEEKDAYS[civil.weekday().to_monday_zero_offset() as usize];
            let month = MONTHS[month as usize - 1];
            format!("{weekday} {month} {day} {time} {} {year}", info.abbreviation())
        }
        Moment::ShortDateTime => {
            let between = if format == DateFormat::StrictIso8601 { 'T' } else { ' ' };
            format!("{date}{between}{time}")
        }
        Moment::Date => date,
        Moment::Time => time,
        Moment::Epoch => at.as_secs().to_string(),
    }
}

/// `0d 1h 2m 3s`; a negative length is none.
pub fn duration(length: Span) -> String {
    let seconds = whole_seconds(length);
    format!("{}d {}h {}m {}s", seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

pub fn whole_seconds(length: Span) -> i64 {
    (length.as_millis() / 1000).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_every_format() {
        let at = Timestamp::from_rfc3339("2026-11-01T18:06:00Z").expect("valid");
        let text = |zone, format, what| moment(at, zone, format, what);
        assert_eq!(text("UTC", DateFormat::Us, Moment::LongDateTime), "Sun Nov 1 18:06:00 UTC 2026");
        assert_eq!(text("Europe/Amsterdam", DateFormat::Us, Moment::LongDateTime), "Sun Nov 1 19:06:00 CET 2026");
        for (format, short, date) in [
            (DateFormat::Us, "11-01-2026 18:06:00", "11-01-2026"),
            (DateFormat::Euro, "01-11-2026 18:06:00", "01-11-2026"),
            (DateFormat::Iso8601, "2026-11-01 18:06:00", "2026-11-01"),
            (DateFormat::StrictIso8601, "2026-11-01T18:06:00", "2026-11-01"),
        ] {
            assert_eq!(text("UTC", format, Moment::ShortDateTime), short);
            assert_eq!(text("UTC", format, Moment::Date), date);
        }
        assert_eq!(text("UTC", DateFormat::Us, Moment::Time), "18:06:00");
        assert_eq!(text("UTC", DateFormat::Us, Moment::Epoch), at.as_secs().to_string());
    }

    #[test]
    fn lengths_count_down_to_seconds() {
        assert_eq!(duration(Span::from_secs(2 * 86_400 + 3 * 3600 + 4 * 60 + 5)), "2d 3h 4m 5s");
        assert_eq!(duration(Span::from_secs(-5)), "0d 0h 0m 0s");
    }
}
