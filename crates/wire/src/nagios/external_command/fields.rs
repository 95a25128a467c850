//! The arguments of one line by the names that its row of the table gives them.

use super::table::{Argument, Kind, Presence, Row};
use super::{LineError, shown};

/// The last second of the year 9999: nobody means anything later.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Epoch seconds brought within 1970 to 9999, so that no arithmetic on them can overflow.
pub(super) fn instant(seconds: i64) -> i64 {
    seconds.clamp(0, SECONDS_MAX)
}

pub(super) struct Fields<'a> {
    row: &'static Row,
    values: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// A last argument of free text takes the rest of the line, `;` included; what comes after any other last argument
    /// is left alone, as Nagios does.
    pub fn split(row: &'static Row, arguments: Option<&'a str>) -> Result<Fields<'a>, LineError> {
        let takes_rest = row.arguments.last().is_some_and(|last| last.kind == Kind::Rest);
        let parts = row.arguments.len() + usize::from(!takes_rest);
        let mut values: Vec<&str> = arguments.map(|text| text.splitn(parts.max(1), ';').collect()).unwrap_or_default();
        values.truncate(row.arguments.len());
        let needed = row.arguments.iter().take_while(|argument| argument.presence != Presence::MayBeAbsent).count();
        if values.len() < needed {
            let names: Vec<&str> = row.arguments.iter().map(|argument| argument.name).collect();
            return Err(LineError::TooFew { name: row.name, arguments: names.join(";") });
        }
        let fields = Fields { row, values };
        for (argument, value) in row.arguments.iter().zip(&fields.values) {
            if argument.presence == Presence::Needed && value.trim().is_empty() {
                return Err(LineError::EmptyField { name: row.name, field: argument.name });
            }
        }
        Ok(fields)
    }

    fn get(&self, field: &str) -> Option<(&'static Argument, &'a str)> {
        let at = self.row.arguments.iter().position(|argument| argument.name == field)?;
        Some((self.row.arguments.get(at)?, self.values.get(at)?.trim()))
    }

    /// What was written; empty if nothing was.
    pub fn raw(&self, field: &str) -> &'a str {
        self.get(field).map_or("", |(_, text)| text)
    }

    /// A name or text, without the control characters that no database or terminal should see.
    pub fn text(&self, field: &str) -> String {
        self.raw(field).chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect()
    }

    /// `None` if nothing was written.
    pub fn some_text(&self, field: &str) -> Option<String> {
        Some(self.text(field)).filter(|text| !text.is_empty())
    }

    /// Saturated where it is longer than 64 bits; 0 where it may be empty and is.
    pub fn whole(&self, field: &'static str) -> Result<i64, LineError> {
        let Some((argument, text)) = self.get(field) else { return Ok(0) };
        if text.is_empty() && argument.presence != Presence::Needed {
            return Ok(0);
        }
        leading_whole(text).ok_or_else(|| self.not_a_number(field, text))
    }

    pub fn flag(&self, field: &'static str) -> Result<bool, LineError> {
        Ok(self.whole(field)? > 0)
    }

    /// An id, a count: not below zero.
    pub fn unsigned(&self, field: &'static str) -> Result<u64, LineError> {
        let number = self.whole(field)?;
        u64::try_from(number).map_err(|_| self.out_of_range(field, "0 or more"))
    }

    pub fn time(&self, field: &'static str) -> Result<i64, LineError> {
        self.whole(field).map(instant)
    }

    /// `None` if nothing was written.
    pub fn some_time(&self, field: &'static str) -> Result<Option<i64>, LineError> {
        if self.raw(field).is_empty() { Ok(None) } else { self.time(field).map(Some) }
    }

    pub fn mask(&self, field: &'static str) -> Result<u32, LineError> {
        let text = self.raw(field);
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let number = match hex {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => self.unsigned(field)?.try_into().ok(),
        };
        number.ok_or_else(|| self.out_of_range(field, "a set of 32 bits"))
    }

    /// A finite number from 0 on.
    pub fn decimal(&self, field: &'static str) -> Result<f64, LineError> {
        let text = self.raw(field);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let number: f64 = text.get(..end).unwrap_or("").parse().map_err(|_| self.not_a_number(field, text))?;
        /// Ten years in seconds: no interval is longer, whatever its unit.
        const INTERVAL_MAX: f64 = 315_360_000.0;
        if number > INTERVAL_MAX { Err(self.out_of_range(field, "shorter")) } else { Ok(number) }
    }

    pub fn out_of_range(&self, field: &'static str, wanted: &'static str) -> LineError {
        LineError::OutOfRange { name: self.row.name, field, wanted, text: shown(self.raw(field)) }
    }

    fn not_a_number(&self, field: &'static str, text: &str) -> LineError {
        LineError::NotANumber { name: self.row.name, field, text: shown(text) }
    }
}

/// The number that a text begins with, as C's `strtol` reads it. No digit at all is no number: Nagios takes it for 0,
/// which would make OK of a passive result with a garbled code.
fn leading_whole(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    if digits == 0 {
        return None;
    }
    let negative = text.starts_with('-');
    let number = unsigned.get(..digits)?.parse::<i64>().unwrap_or(i64::MAX);
    Some(if negative { -number } else { number })
}
