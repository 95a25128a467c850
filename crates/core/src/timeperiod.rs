//! Calendar windows: weekly ranges of civil time in a zone, safe across daylight-saving changes.

use crate::Timestamp;
use crate::catalog::Timeperiod;

/// Whether `at` lies inside the period. An unknown zone counts as UTC (the catalog refuses it before).
pub fn contains(period: &Timeperiod, at: Timestamp) -> bool {
    let zone = jiff::tz::TimeZone::get(&period.zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let Ok(instant) = jiff::Timestamp::from_millisecond(at.as_millis()) else { return false };
    let civil = instant.to_zoned(zone);
    let weekday = usize::try_from(civil.weekday().to_monday_zero_offset()).unwrap_or(0);
    let minute = u16::try_from(i32::from(civil.hour()) * 60 + i32::from(civil.minute())).unwrap_or(0);
    period.weekly[weekday].iter().any(|&(from, to)| (from..to).contains(&minute))
}
