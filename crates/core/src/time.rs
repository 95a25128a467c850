//! Instants and durations as the engine sees them: milliseconds in UTC, always handed in.
//!
//! Nothing here reads a clock or a time zone of the machine.

use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Copy, Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A signed length of time in milliseconds.
#[derive(Copy, Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

impl Timestamp {
    /// The instant 0, used where "never" must sort before every real instant.
    pub const ZERO: Timestamp = Timestamp(0);

    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Timestamp(secs.saturating_mul(1000))
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded towards minus infinity.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The time from `earlier` to `self`; negative if `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC with milliseconds, e.g. `2026-11-21T02:02:11.250Z`.
    pub fn to_rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => format!("{instant:.3}"),
            Err(_) => format!("@{}ms", self.0),
        }
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// The text is not an RFC 3339 instant.
    pub fn from_rfc3339(text: &str) -> Result<Self, ParseTimeError> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| ParseTimeError::Instant(text.to_owned()))?;
        Ok(Timestamp(instant.as_millisecond()))
    }
}

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn from_millis(millis: i64) -> Self {
        Span(millis)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Span(secs.saturating_mul(1000))
    }

    pub const fn from_mins(mins: i64) -> Self {
        Span(mins.saturating_mul(60_000))
    }

    pub const fn from_hours(hours: i64) -> Self {
        Span(hours.saturating_mul(3_600_000))
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The same length as `std::time::Duration`; negative lengths become zero.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.max(0) as u64)
    }

    /// Divides by `[timing] pace`; never below one millisecond for a positive length.
    pub fn at_pace(self, pace: f64) -> Span {
        if self.0 <= 0 || pace <= 0.0 {
            return self;
        }
        Span(((self.0 as f64 / pace).round() as i64).max(1))
    }
}

impl From<std::time::Duration> for Span {
    fn from(d: std::time::Duration) -> Self {
        Span(i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Timestamp {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

impl Sub<Timestamp> for Timestamp {
    type Output = Span;
    fn sub(self, earlier: Timestamp) -> Span {
        self.since(earlier)
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Mul<i64> for Span {
    type Output = Span;
    fn mul(self, factor: i64) -> Span {
        Span(self.0.saturating_mul(factor))
    }
}

impl Div<i64> for Span {
    type Output = Span;
    fn div(self, divisor: i64) -> Span {
        Span(self.0 / divisor.max(1))
    }
}

/// A time or duration that cannot be read.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum ParseTimeError {
    #[error("`{0}` is not an instant such as 2026-11-21T02:00:00Z")]
    Instant(String),
    #[error("`{0}` is not a duration such as \"30s\", \"5m\", \"1h30m\" or \"250ms\"")]
    Span(String),
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl fmt::Display for Span {
    /// The shortest text that [`Span::from_str`] reads back: `1h30m`, `250ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = ParseTimeError;

    /// Reads `30s`, `5m`, `1h30m`, `2d`, `1w`, `250ms`; a bare number is refused, because its unit is a guess.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseTimeError::Span(text.to_owned());
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(bad());
        }
        let mut total: i64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let number: i64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let unit = match &rest[..end] {
                "ms" => 1,
                "s" => 1000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "w" => 604_800_000,
                _ => return Err(bad()),
            };
            rest = rest[end..].trim_start();
            total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
        }
        Ok(Span(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_alike() {
        for (text, millis) in
            [("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("2d", 172_800_000)]
        {
            let span: Span = text.parse().expect(text);
            assert_eq!(span.as_millis(), millis);
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn a_duration_without_a_unit_is_refused() {
        for text in ["", "30", "s", "5 parsecs", "99999999999999999999s", "1h30"] {
            assert!(text.parse::<Span>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn instants_survive_rfc3339() {
        let at = Timestamp::from_millis(1_795_226_531_250);
        assert_eq!(Timestamp::from_rfc3339(&at.to_rfc3339()), Ok(at));
    }

    #[test]
    fn pace_divides_but_never_reaches_zero() {
        assert_eq!(Span::from_secs(60).at_pace(30.0), Span::from_secs(2));
        assert_eq!(Span::from_millis(1).at_pace(1000.0), Span::from_millis(1));
    }
}
