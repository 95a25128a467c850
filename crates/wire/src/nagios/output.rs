//! Plugin output: bytes to displayable text, and its split into short output, long output and perfdata.
//! Never interprets perfdata; see [`super::perfdata`].

/// The three parts of what a plugin printed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PluginOutput {
    /// First line before the first `|`, trimmed.
    pub short: String,
    /// Further lines before the first later `|`, LF-separated.
    pub long: String,
    /// All perfdata pieces, joined by one blank.
    pub perfdata: String,
}

/// Reads what a plugin printed.
pub fn parse(bytes: &[u8]) -> PluginOutput {
    split(&displayable(bytes))
}

/// Lossy text that is safe to show: broken UTF-8 becomes U+FFFD; control characters become their pictures (`␛`), so
/// that no escape sequence reaches a terminal; C1 and bidirectional controls become U+FFFD. LF, CR and TAB stay.
pub fn displayable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if !text.chars().any(is_unsafe) {
        return text.into_owned();
    }
    text.chars().map(neutral).collect()
}

/// Explicit bidirectional formatting (Unicode TR9): can make shown text differ from what was printed.
const BIDI_CONTROLS: [std::ops::RangeInclusive<char>; 2] = ['\u{202A}'..='\u{202E}', '\u{2066}'..='\u{2069}'];

fn is_unsafe(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || BIDI_CONTROLS.iter().any(|range| range.contains(&c))
}

fn neutral(c: char) -> char {
    /// First of Unicode's pictures of the control characters 0..=0x1F.
    const PICTURES: u32 = 0x2400;
    match c {
        '\n' | '\r' | '\t' => c,
        '\0'..='\u{1F}' => char::from_u32(PICTURES + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7F}' => '␡',
        c if is_unsafe(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Splits text as Nagios does; total.
pub fn split(text: &str) -> PluginOutput {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    let (short, piece) = first.split_once('|').unwrap_or((first, ""));

    let mut pieces = vec![piece.trim()];
    let mut long: Vec<&str> = Vec::new();
    let mut in_perfdata = false;
    for line in lines {
        if in_perfdata {
            pieces.push(line.trim());
            continue;
        }
        match line.split_once('|') {
            None => long.push(line),
            Some((before, piece)) => {
                in_perfdata = true;
                if !before.is_empty() {
                    long.push(before);
                }
                pieces.push(piece.trim());
            }
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    PluginOutput { short: short.trim().to_owned(), long: long.join("\n"), perfdata: pieces.join(" ") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_that_are_no_text_become_harmless_text() {
        for (bytes, shown) in [
            (&b"caf\xe9"[..], "caf\u{FFFD}"),
            (b"a\0b", "a␀b"),
            (b"\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
            (b"\x07\x08\x7f", "␇␈␡"),
            ("\u{9b}2J".as_bytes(), "\u{FFFD}2J"),
            ("abc\u{202E}txt".as_bytes(), "abc\u{FFFD}txt"),
            ("tab\tstays ü".as_bytes(), "tab\tstays ü"),
        ] {
            assert_eq!(displayable(bytes), shown, "{bytes:?}");
        }
    }

    #[test]
    fn carriage_return_is_trimmed_from_line_one_only() {
        let parsed = parse(b"OK\r\nlong\r\nmore");
        assert_eq!((parsed.short.as_str(), parsed.long.as_str()), ("OK", "long\r\nmore"));
    }

    #[test]
    fn the_newline_that_ends_the_output_adds_no_line() {
        assert_eq!(parse(b"OK\n").long, "");
        assert_eq!(parse(b"OK\nmore\n").long, "more");
        assert_eq!(parse(b"").short, "");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_nothing_unsafe_remains(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let parsed = parse(&bytes);
            for part in [&parsed.short, &parsed.long, &parsed.perfdata] {
                prop_assert!(!part.chars().any(is_unsafe));
            }
            prop_assert!(!parsed.short.contains(['\n', '|']));
            prop_assert!(!parsed.long.contains('|'));
        }

        #[test]
        fn any_truncation_parses(cut in 0usize..40) {
            let whole = "OK - über|a=1\nl1\nl2|b=2\nc=3|d=4".as_bytes();
            let parsed = parse(&whole[..cut.min(whole.len())]);
            prop_assert!(parsed.short.len() <= "OK - über".len() + 3);
        }
    }
}
