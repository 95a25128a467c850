//! Threshold ranges of the Monitoring Plugins guidelines: `[@]start:end`. Never decides a state by itself except
//! through [`status`], which tests critical before warning.

use std::fmt;
use std::str::FromStr;

/// Inclusive on both ends; either end may be infinite. `start <= end` always holds.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Range {
    pub start: f64,
    pub end: f64,
    pub alert: AlertOn,
}

/// Where a value must lie to alert.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum AlertOn {
    Outside,
    /// The leading `@`.
    Inside,
}

/// Why a text is no range.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RangeError {
    #[error("`{0}` is not a range: a number is missing (examples: 10, 10:, ~:10, 10:20, @10:20)")]
    NoNumber(String),
    #[error("`{0}` is not a range: its start is above its end")]
    Reversed(String),
}

/// What thresholds make of a value.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Status {
    Ok,
    Warning,
    Critical,
}

impl Range {
    pub fn contains(&self, value: f64) -> bool {
        self.start <= value && value <= self.end
    }

    /// Whether `value` breaks the threshold. A value that is not a number always does: it proves nothing good.
    pub fn alerts(&self, value: f64) -> bool {
        if value.is_nan() {
            return true;
        }
        match self.alert {
            AlertOn::Outside => !self.contains(value),
            AlertOn::Inside => self.contains(value),
        }
    }
}

/// Critical is tested first; a threshold that is not given never alerts.
pub fn status(warn: Option<&Range>, crit: Option<&Range>, value: f64) -> Status {
    let alerts = |range: Option<&Range>| range.is_some_and(|range| range.alerts(value));
    if alerts(crit) {
        Status::Critical
    } else if alerts(warn) {
        Status::Warning
    } else {
        Status::Ok
    }
}

impl FromStr for Range {
    type Err = RangeError;

    /// Reads as the Monitoring Plugins do: junk after a number (`12%`) is ignored. A text without any number where
    /// one belongs is refused; their parser takes it for zero, which silently turns a typing error into a threshold.
    fn from_str(text: &str) -> Result<Range, RangeError> {
        let no_number = || RangeError::NoNumber(text.to_owned());
        let trimmed = text.trim();
        let (alert, body) = match trimmed.strip_prefix('@') {
            Some(rest) => (AlertOn::Inside, rest),
            None => (AlertOn::Outside, trimmed),
        };
        let (start, end) = match body.split_once(':') {
            None => (0.0, leading_number(body).ok_or_else(no_number)?),
            Some((low, high)) => {
                let start = match low.trim() {
                    "" => 0.0,
                    "~" => f64::NEG_INFINITY,
                    low => leading_number(low).ok_or_else(no_number)?,
                };
                let end = match high.trim() {
                    "" => f64::INFINITY,
                    high => leading_number(high).ok_or_else(no_number)?,
                };
                (start, end)
            }
        };
        if start > end {
            return Err(RangeError::Reversed(text.to_owned()));
        }
        Ok(Range { start, end, alert })
    }
}

impl fmt::Display for Range {
    /// A text that [`Range::from_str`] reads back to the same range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.alert == AlertOn::Inside {
            f.write_str("@")?;
        }
        if self.start == f64::NEG_INFINITY {
            f.write_str("~:")?;
        } else {
            write!(f, "{}:", self.start)?;
        }
        if self.end != f64::INFINITY {
            write!(f, "{}", self.end)?;
        }
        Ok(())
    }
}

/// The number a text begins with, after blanks, as C's `strtod` reads decimals and `inf`.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let length = number_length(text);
    if length > 0 {
        return text.get(..length)?.parse().ok();
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let infinite = unsigned.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("inf"));
    infinite.then_some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY })
}

/// Bytes of the decimal number that `text` begins with; 0 if none. `5EB` is the number 5: an exponent needs digits.
pub(super) fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits_from = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let sign_at = |at: usize| usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));

    let mut end = sign_at(0);
    let whole = digits_from(end);
    end += whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits_from(end + 1);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return 0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = sign_at(end + 1);
        let exponent = digits_from(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_without_a_number_is_refused() {
        for text in ["", "@", "~", "abc", "5:abc", "abc:5", "%", "1:-", "nan", "~~:5", "@~"] {
            assert!(matches!(text.parse::<Range>(), Err(RangeError::NoNumber(_))), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_reversed_range_is_refused() {
        for text in ["2:1", "@20:10", "0:-1", "-1"] {
            assert!(matches!(text.parse::<Range>(), Err(RangeError::Reversed(_))), "{text:?} was accepted");
        }
    }

    #[test]
    fn not_a_number_always_alerts() {
        for text in ["10", "@10:20", "~:"] {
            assert!(text.parse::<Range>().expect(text).alerts(f64::NAN));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_every_range_reads_back(text in ".{0,40}") {
            if let Ok(range) = text.parse::<Range>() {
                prop_assert!(range.start <= range.end);
                prop_assert_eq!(range.to_string().parse::<Range>(), Ok(range));
            }
        }

        #[test]
        fn numbers_in_range_shape_read_back(a in -1e12f64..1e12, b in -1e12f64..1e12, inside: bool) {
            let (start, end) = if a <= b { (a, b) } else { (b, a) };
            let alert = if inside { AlertOn::Inside } else { AlertOn::Outside };
            let range = Range { start, end, alert };
            prop_assert_eq!(range.to_string().parse::<Range>(), Ok(range));
        }

        #[test]
        fn inside_and_outside_are_opposites(a in -100i32..100, width in 0i32..100, value in -300i32..300) {
            let text = format!("{a}:{}", a + width);
            let outside: Range = text.parse().expect("start is below end");
            let inside: Range = format!("@{text}").parse().expect("start is below end");
            prop_assert_ne!(outside.alerts(f64::from(value)), inside.alerts(f64::from(value)));
        }
    }
}
