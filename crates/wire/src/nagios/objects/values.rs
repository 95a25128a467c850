//! The values of directives: what they must look like, and what they then mean.

use super::kinds::Form;
use super::options;

/// What is odd about a value that is taken all the same.
pub(super) type Oddity = Option<String>;

/// Whether a value has its form.
///
/// # Errors
/// What was expected instead.
pub(super) fn check(form: Form, text: &str) -> Result<Oddity, String> {
    if text == "null" {
        return Ok(None);
    }
    match form {
        Form::Text | Form::List | Form::Members => Ok(None),
        Form::Flag => match (flag(text), whole_prefix(text)) {
            (None, _) => Err("0 or 1".to_owned()),
            (Some(_), Some((_, ""))) => Ok(None),
            (Some(value), _) => Ok(Some(format!("is read as {}", u8::from(value)))),
        },
        Form::Count(min) => number(text, f64::from(min), f64::from(u32::MAX), true),
        Form::Units => number(text, 0.0, f64::MAX, false),
        Form::Percent => number(text, 0.0, 100.0, false),
        Form::Options(family) => match options::parse(text, family) {
            Ok(_) => Ok(None),
            Err(_) => Err(family.expected.to_owned()),
        },
        Form::State(letters) => match state(text, letters) {
            Some(_) => Ok(None),
            None => Err(format!("one of {}", letters.chars().map(String::from).collect::<Vec<_>>().join(", "))),
        },
        Form::Coords(count) => match coordinates(text, count) {
            Some(_) => Ok(None),
            None => Err(if count == 2 { "x,y" } else { "x,y,z" }.to_owned()),
        },
    }
}

fn number(text: &str, min: f64, max: f64, is_whole: bool) -> Result<Oddity, String> {
    let expected = || {
        let kind = if is_whole { "a whole number" } else { "a number" };
        if max < f64::from(u32::MAX) {
            format!("{kind} from {min} to {max}")
        } else {
            format!("{kind}, at least {min}")
        }
    };
    let (value, rest) = if is_whole { whole_prefix(text) } else { decimal_prefix(text) }.ok_or_else(expected)?;
    if !(min..=max).contains(&value) {
        return Err(expected());
    }
    Ok((!rest.is_empty()).then(|| format!("is read as {value}")))
}

/// The number that a text begins with, as the C library finds it, and what follows.
fn prefix(text: &str, is_part: impl Fn(u8) -> bool) -> Option<(f64, &str)> {
    let bytes = text.as_bytes();
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let digits = bytes.iter().skip(sign).take_while(|byte| is_part(**byte)).count();
    let (number, rest) = text.split_at_checked(sign + digits)?;
    let value = number.parse::<f64>().ok().filter(|value| value.is_finite())?;
    Some((value, rest))
}

pub(crate) fn whole_prefix(text: &str) -> Option<(f64, &str)> {
    prefix(text, |byte| byte.is_ascii_digit())
}

pub(crate) fn decimal_prefix(text: &str) -> Option<(f64, &str)> {
    prefix(text, |byte| byte.is_ascii_digit() || byte == b'.')
}

/// Any number above 0 is true.
pub(super) fn flag(text: &str) -> Option<bool> {
    whole_prefix(text).map(|(value, _)| value > 0.0)
}

pub(super) fn units(text: &str) -> Option<f64> {
    decimal_prefix(text).map(|(value, _)| value).filter(|value| *value >= 0.0)
}

pub(super) fn count(text: &str) -> Option<u32> {
    // In range: what the cast would saturate was refused when the file was read.
    whole_prefix(text).filter(|(value, _)| *value >= 0.0).map(|(value, _)| value as u32)
}

/// Index of the state among the letters; `ok` and `up` are `o`, words go by their first letter.
pub(super) fn state(text: &str, letters: &str) -> Option<u8> {
    const WORDS: [&str; 7] = ["ok", "up", "warning", "unknown", "critical", "down", "unreachable"];
    let lower = text.to_ascii_lowercase();
    let letter = match lower.as_str() {
        "up" => 'o',
        single if single.len() == 1 => single.chars().next()?,
        word if WORDS.contains(&word) => word.chars().next()?,
        _ => return None,
    };
    letters.chars().position(|known| known == letter).and_then(|index| u8::try_from(index).ok())
}

pub(super) fn coordinates(text: &str, count: usize) -> Option<Vec<f64>> {
    // A text with more commas than this is wrong without looking at all of them.
    let numbers: Option<Vec<f64>> = text
        .splitn(count + 1, ',')
        .map(|part| part.trim().parse::<f64>().ok().filter(|value| value.is_finite()))
        .collect();
    numbers.filter(|numbers| numbers.len() == count)
}

/// The names of a list.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_form_or_say_what_was_expected() {
        for (form, text, expected) in [
            (Form::Flag, "1", Ok(None)),
            (Form::Flag, "7", Ok(None)),
            (Form::Flag, "1x", Ok(Some("is read as 1"))),
            (Form::Flag, "yes", Err("0 or 1")),
            (Form::Count(1), "0", Err("a whole number, at least 1")),
            (Form::Count(1), "3", Ok(None)),
            (Form::Count(1), "3 # three", Ok(Some("is read as 3"))),
            (Form::Count(0), "99999999999", Err("a whole number, at least 0")),
            (Form::Units, "-1", Err("a number, at least 0")),
            (Form::Units, "0.5", Ok(None)),
            (Form::Units, "5m", Ok(Some("is read as 5"))),
            (Form::Units, "null", Ok(None)),
            (Form::Units, "1.2.3", Err("a number, at least 0")),
            (Form::Percent, "101", Err("a number from 0 to 100")),
            (Form::State("odu"), "d", Ok(None)),
            (Form::State("odu"), "UP", Ok(None)),
            (Form::State("odu"), "w", Err("one of o, d, u")),
            (Form::Coords(2), "1, 2", Ok(None)),
            (Form::Coords(2), "1,2,3", Err("x,y")),
        ] {
            let expected = expected.map(|odd| odd.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(check(form, text), expected, "{form:?} {text}");
        }
        assert_eq!((state("critical", "owuc"), state("up", "odu"), state("x", "odu")), (Some(3), Some(0), None));
    }
}
