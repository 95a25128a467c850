//! Words and times as people read them (ages, clocks, numbers). Pure: "now" is always an argument.

use std::fmt::Write;

use stentor_core::{Span, Timestamp};

/// No-break space: a number and its unit never part.
pub const NBSP: char = '\u{a0}';

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// `8 s`, `1 min 52 s`, `12 min`, `2 h 14 min`, `3 d`, `5 wk`: two units below one day, one above, seconds only under
/// ten minutes. Negative spans read `0 s`.
pub fn age(span: Span) -> String {
    let ms = span.as_millis().max(0);
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        let (whole, rest) = (ms / big, ms % big / small);
        match rest {
            0 => format!("{whole}{NBSP}{big_unit}"),
            rest => format!("{whole}{NBSP}{big_unit} {rest}{NBSP}{small_unit}"),
        }
    };
    if ms < MINUTE {
        format!("{}{NBSP}s", ms / SECOND)
    } else if ms < 10 * MINUTE {
        two(MINUTE, "min", SECOND, "s")
    } else if ms < HOUR {
        format!("{}{NBSP}min", ms / MINUTE)
    } else if ms < DAY {
        two(HOUR, "h", MINUTE, "min")
    } else if ms < 4 * WEEK {
        format!("{}{NBSP}d", ms / DAY)
    } else {
        format!("{}{NBSP}wk", ms / WEEK)
    }
}

/// As [`age`], and milliseconds below one second: intervals and deadlines.
pub fn interval(span: Span) -> String {
    match span.as_millis() {
        ms @ 1..SECOND => format!("{ms}{NBSP}ms"),
        _ => age(span),
    }
}

/// Clock of an instant seen from `now`, in UTC: `03:02:11` today, `Fri 22:12` within 7 days, `12 Oct`, then `2 Nov 2025`.
pub fn clock(at: Timestamp, now: Timestamp) -> String {
    let (Some(then), Some(today)) = (civil(at), civil(now)) else {
        return "never".to_owned();
    };
    if at == Timestamp::ZERO {
        return "never".to_owned();
    }
    let days = (now.as_millis() - at.as_millis()).abs();
    if then.date() == today.date() {
        then.strftime("%H:%M:%S").to_string()
    } else if days < 7 * DAY {
        then.strftime("%a %H:%M").to_string()
    } else if then.year() == today.year() {
        then.strftime("%-d %b").to_string()
    } else {
        then.strftime("%-d %b %Y").to_string()
    }
}

/// `03:14:20`: the clock in the top bar.
pub fn clock_of_day(at: Timestamp) -> String {
    civil(at).map_or_else(|| "--:--:--".to_owned(), |t| t.strftime("%H:%M:%S").to_string())
}

/// `2026-11-21T03:14`: the value of a `datetime-local` field, in UTC.
pub fn field(at: Timestamp) -> String {
    civil(at).map_or_else(String::new, |t| t.strftime("%Y-%m-%dT%H:%M").to_string())
}

/// Reads what a `datetime-local` field sends (`2026-11-21T03:14`, seconds optional), as UTC.
pub fn from_field(text: &str) -> Option<Timestamp> {
    let civil: jiff::civil::DateTime = text.trim().parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
}

fn civil(at: Timestamp) -> Option<jiff::civil::DateTime> {
    let instant = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
    Some(instant.to_zoned(jiff::tz::TimeZone::UTC).datetime())
}

/// `1,204`
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 incident`, `4 incidents`
pub fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(n as u64), if n == 1 { one } else { many })
}

/// Zero to ten as words, as sentences use them.
pub fn small(n: usize) -> String {
    const WORDS: [&str; 11] = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    WORDS.get(n).map_or_else(|| count(n as u64), |word| (*word).to_owned())
}

/// A measured number with its unit: grouped thousands, at most three decimals, bytes scaled.
pub fn quantity(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return "can’t tell".to_owned();
    }
    let mut out = String::new();
    let (value, unit) = match unit {
        "B" => scale(value, &["B", "kB", "MB", "GB", "TB", "PB"], 1000.0),
        "KB" => scale(value, &["kB", "MB", "GB", "TB", "PB"], 1000.0),
        "MB" => scale(value, &["MB", "GB", "TB", "PB"], 1000.0),
        "s" if value != 0.0 && value.abs() < 1e-3 => (value * 1e6, "µs"),
        "s" if value != 0.0 && value.abs() < 1.0 => (value * 1e3, "ms"),
        "c" => (value, ""),
        other => (value, other),
    };
    let decimals = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        v if v < 1.0 => 3,
        v if v < 100.0 => 2,
        v if v < 1000.0 => 1,
        _ => 0,
    };
    let text = format!("{:.decimals$}", value.abs());
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    if value < 0.0 {
        out.push('\u{2212}');
    }
    match whole.parse::<u64>() {
        Ok(whole) => out.push_str(&count(whole)),
        Err(_) => out.push_str(whole),
    }
    let part = part.trim_end_matches('0');
    if !part.is_empty() {
        let _ = write!(out, ".{part}");
    }
    if !unit.is_empty() {
        let _ = write!(out, "{NBSP}{unit}");
    }
    out
}

fn scale<'a>(value: f64, units: &[&'a str], step: f64) -> (f64, &'a str) {
    let mut value = value;
    let mut at = 0;
    while value.abs() >= step && at + 1 < units.len() {
        value /= step;
        at += 1;
    }
    (value, units.get(at).copied().unwrap_or(""))
}

/// Lists drop the plugin's own state prefix (`DISK WARNING: `, `OK - `); the pill already says it.
pub fn without_state_prefix(output: &str) -> &str {
    for word in ["OK", "WARNING", "CRITICAL", "UNKNOWN"] {
        let Some(at) = output.find(word) else { continue };
        let head = &output[..at];
        let shouting = head.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "_ -".contains(c));
        // A word before it, or nothing: `DISK OK`, not `BOOK`.
        if !shouting || at > 24 || !(head.is_empty() || head.ends_with([' ', '-', '_'])) {
            continue;
        }
        let rest = output[at + word.len()..].trim_start();
        if let Some(rest) = rest.strip_prefix([':', '-', '\u{2013}']) {
            let rest = rest.trim_start();
            if !rest.is_empty() {
                return rest;
            }
        }
    }
    output
}

/// Outside text as it may be shown: control characters and those that turn the direction of writing (which can make a
/// page lie without breaking it) become U+FFFD; line ends and tabs stay.
pub fn printable(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// [`printable`] on one line.
pub fn line(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

/// At most `max` characters, cut with an ellipsis.
pub fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => {
            let end = text.char_indices().nth(max.saturating_sub(1)).map_or(0, |(i, _)| i);
            format!("{}…", text[..end].trim_end())
        }
    }
}

/// Up to the first full stop, without it; texts of packs put the most important sentence first.
pub fn first_sentence(text: &str) -> &str {
    let text = text.trim();
    text.split(". ").next().unwrap_or(text).trim_end_matches('.')
}

/// A lone word of a signal's vocabulary without its underscores: `not_enabled` -> `not enabled`.
pub fn value(text: &str) -> String {
    let is_word = !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_word { spaced(text) } else { text.to_owned() }
}

/// `CRITICAL;HARD;3;disk full` -> `Critical: disk full`, with `try 1` while soft; any other text stays.
pub fn state_change(text: &str) -> String {
    let mut parts = text.splitn(4, ';');
    let (Some(state), Some(kind), Some(attempt), Some(output)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return text.to_owned();
    };
    let state = sentence(&state.to_ascii_lowercase());
    let state = if state == "Ok" { "OK".to_owned() } else { state };
    match kind {
        "HARD" => format!("{state}: {output}"),
        "SOFT" => format!("{state}, try {attempt}: {output}"),
        _ => text.to_owned(),
    }
}

/// `software_down` -> `software down`
pub fn spaced(key: &str) -> String {
    key.replace('_', " ")
}

/// First letter upper-case: sentence case for words that come from keys.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Edit distance, for "did you mean"; counts characters.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let up = row.get(j + 1).copied().unwrap_or(usize::MAX);
            let cost = (corner + usize::from(ca != *cb)).min(left + 1).min(up.saturating_add(1));
            if let Some(slot) = row.get_mut(j) {
                *slot = left;
            }
            corner = up;
            left = cost;
        }
        if let Some(slot) = row.last_mut() {
            *slot = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// The nearest of `known` to `word`, if near enough to be a slip of the fingers.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = if word.chars().count() < 4 { 1 } else { 2 };
    known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(d, candidate)| *d <= limit || (word.chars().count() >= 2 && candidate.starts_with(word)))
        .min_by_key(|(d, _)| *d)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ages_have_two_units_below_a_day_and_one_above() {
        for (secs, text) in [
            (-5, "0 s"),
            (0, "0 s"),
            (8, "8 s"),
            (60, "1 min"),
            (112, "1 min 52 s"),
            (599, "9 min 59 s"),
            (600, "10 min"),
            (12 * 60 + 9, "12 min"),
            (3600, "1 h"),
            (2 * 3600 + 14 * 60, "2 h 14 min"),
            (86_399, "23 h 59 min"),
            (86_400, "1 d"),
            (3 * 86_400 + 3600, "3 d"),
            (27 * 86_400, "27 d"),
            (35 * 86_400, "5 wk"),
        ] {
            assert_eq!(age(Span::from_secs(secs)).replace(NBSP, " "), text, "{secs} s");
        }
    }

    #[test]
    fn clocks_say_only_what_is_needed_to_place_the_instant() {
        let now = Timestamp::from_rfc3339("2026-11-21T03:14:20Z").unwrap();
        for (at, text) in [
            ("2026-11-21T03:02:11Z", "03:02:11"),
            ("2026-11-20T22:12:00Z", "Fri 22:12"),
            ("2026-11-23T09:00:00Z", "Mon 09:00"),
            ("2026-10-12T08:00:00Z", "12 Oct"),
            ("2025-11-02T08:00:00Z", "2 Nov 2025"),
        ] {
            assert_eq!(clock(Timestamp::from_rfc3339(at).unwrap(), now), text);
        }
        assert_eq!(clock(Timestamp::ZERO, now), "never");
    }

    #[test]
    fn a_form_field_reads_back_what_it_was_given() {
        let at = Timestamp::from_rfc3339("2026-11-21T03:14:00Z").unwrap();
        assert_eq!(from_field(&field(at)), Some(at));
        assert_eq!(from_field("2026-11-21T03:14:00"), Some(at));
        assert_eq!(from_field("tomorrow"), None);
    }

    #[test]
    fn numbers_are_grouped_and_keep_their_unit() {
        for (value, unit, text) in [
            (1204.0, "", "1,204"),
            (812.0, "ms", "812 ms"),
            (99.5, "%", "99.5 %"),
            (0.000_25, "s", "250 µs"),
            (0.034, "s", "34 ms"),
            (48_318_382_080.0, "B", "48.32 GB"),
            (-3.25, "°C", "\u{2212}3.25 °C"),
            (12_345.0, "c", "12,345"),
            (1e300, "", "1000000"),
        ] {
            let shown = quantity(value, unit).replace(NBSP, " ");
            if value > 1e200 {
                assert!(shown.starts_with('1') && shown.len() >= 300, "{shown}");
            } else {
                assert_eq!(shown, text);
            }
        }
        assert_eq!(quantity(f64::NAN, "s"), "can’t tell");
    }

    #[test]
    fn the_state_prefix_goes_only_where_it_is_one() {
        for (output, short) in [
            ("DISK WARNING: / 91 % used", "/ 91 % used"),
            ("OK - 240 objects/s", "240 objects/s"),
            ("WARNING: p95 812 ms", "p95 812 ms"),
            ("HTTP/1.1 502 CRITICAL stuff", "HTTP/1.1 502 CRITICAL stuff"),
            ("OK", "OK"),
            ("BOOK: closed", "BOOK: closed"),
            ("all OK: fine", "all OK: fine"),
        ] {
            assert_eq!(without_state_prefix(output), short);
        }
    }

    #[test]
    fn text_that_hides_or_turns_writing_shows_that_it_does() {
        assert_eq!(printable("a\u{202e}b\u{0}c\r\nd\te"), "a\u{fffd}b\u{fffd}c\nd\te");
        assert_eq!(line("a\nb"), "a b");
        assert_eq!(printable("größe ✓ 日本"), "größe ✓ 日本");
    }

    #[test]
    fn slips_of_the_fingers_are_recognised_and_other_words_are_not() {
        let known = ["state", "impact", "host", "is"];
        assert_eq!(nearest("sate", &known), Some("state"));
        assert_eq!(nearest("hots", &known), Some("host"));
        assert_eq!(nearest("ix", &known), Some("is"));
        assert_eq!(nearest("xyz", &known), None);
        assert_eq!(nearest("imapct", &known), Some("impact"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_word_functions(text in ".{0,200}", max in 0usize..50, value: f64) {
            prop_assert!(cut(&text, max).chars().count() <= max.max(1));
            prop_assert!(text.ends_with(without_state_prefix(&text)));
            let _ = (sentence(&text), quantity(value, &text), from_field(&text), nearest(&text, &["state", "is"]));
        }

        #[test]
        fn no_instant_breaks_the_clock(a: i64, b: i64) {
            let (a, b) = (Timestamp::from_millis(a), Timestamp::from_millis(b));
            let _ = (clock(a, b), age(a.since(b)), clock_of_day(a), field(b));
        }
    }

    #[test]
    fn machine_words_become_sentences() {
        for (text, read) in [
            ("CRITICAL;HARD;3;/var 99.8 % used; really", "Critical: /var 99.8 % used; really"),
            ("WARNING;SOFT;1;refuses connections", "Warning, try 1: refuses connections"),
            ("OK;HARD;1;open", "OK: open"),
            ("two;parts", "two;parts"),
            ("a;b;c;d", "a;b;c;d"),
        ] {
            assert_eq!(state_change(text), read);
        }
        assert_eq!(first_sentence("No API. And so on."), "No API");
        assert_eq!(first_sentence("Version 4.4 only."), "Version 4.4 only");
        assert_eq!((value("not_enabled"), value("/var/a_b")), ("not enabled".into(), "/var/a_b".into()));
    }
}
