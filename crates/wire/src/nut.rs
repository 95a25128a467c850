//! The text protocol of Network UPS Tools (RFC 9271): lines of `upsd`, and the flags of `ups.status`.

/// One line of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line {
    Ups {
        name: String,
        description: String,
    },
    Var {
        ups: String,
        name: String,
        value: String,
    },
    /// `BEGIN LIST UPS`, `BEGIN LIST VAR name`.
    Begin(String),
    End(String),
    /// `ERR` with its code: `UNKNOWN-UPS`, `DATA-STALE`.
    Error(String),
    /// A line that nothing here asks for.
    Other,
}

/// Longest line that is read; values are at most a few hundred bytes.
const LINE_BYTES_MAX: usize = 4096;

/// Reads one line without its end; `None` for what is no line of this protocol.
pub fn parse_line(line: &str) -> Option<Line> {
    if line.len() > LINE_BYTES_MAX {
        return None;
    }
    let words = words(line)?;
    let mut words = words.into_iter();
    let first = words.next()?;
    let mut next = || words.next();
    Some(match first.as_str() {
        "UPS" => Line::Ups { name: next()?, description: next().unwrap_or_default() },
        "VAR" => Line::Var { ups: next()?, name: next()?, value: next()? },
        "BEGIN" if next()? == "LIST" => Line::Begin(words.collect::<Vec<_>>().join(" ")),
        "END" if next()? == "LIST" => Line::End(words.collect::<Vec<_>>().join(" ")),
        "ERR" => Line::Error(next()?),
        _ => Line::Other,
    })
}

/// Blanks part words, double quotes keep them, a backslash takes the next character as it is.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_ascii_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

/// A text as one word of a request.
pub fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace(['\r', '\n'], " "))
}

/// Where the load gets its power from.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Power {
    Online,
    Battery,
    /// The load hangs on the mains, unprotected.
    Bypass,
    /// The outlets are without power.
    Off,
    /// The driver says none of these.
    Unknown,
}

impl Power {
    pub fn word(self) -> &'static str {
        match self {
            Power::Online => "online",
            Power::Battery => "battery",
            Power::Bypass => "bypass",
            Power::Off => "off",
            Power::Unknown => "unknown",
        }
    }
}

/// `ups.status` (RFC 9271, section 5.1, and what drivers say beyond it).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Status {
    pub flags: Vec<String>,
}

impl Status {
    pub fn parse(text: &str) -> Status {
        /// More than there are; a driver that says more lies.
        const FLAGS_MAX: usize = 32;
        Status { flags: text.split_ascii_whitespace().take(FLAGS_MAX).map(str::to_owned).collect() }
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own == flag)
    }

    /// The worst of what the flags say: `OL BYPASS` is unprotected, `OL OFF` gives nothing.
    pub fn power(&self) -> Power {
        let by_flag = [("OFF", Power::Off), ("OB", Power::Battery), ("BYPASS", Power::Bypass), ("OL", Power::Online)];
        by_flag.into_iter().find(|(flag, _)| self.has(flag)).map_or(Power::Unknown, |(_, power)| power)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_read_as_upsd_writes_them() {
        let var = |value: &str| Line::Var { ups: "ups1".into(), name: "ups.status".into(), value: value.into() };
        for (line, read) in [
            ("VAR ups1 ups.status \"OB LB\"", Some(var("OB LB"))),
            (r#"VAR ups1 ups.status "a \"b\" \\c""#, Some(var(r#"a "b" \c"#))),
            ("VAR ups1 ups.status \"\"", Some(var(""))),
            ("UPS ups1 \"Rack 3\"", Some(Line::Ups { name: "ups1".into(), description: "Rack 3".into() })),
            ("BEGIN LIST VAR ups1", Some(Line::Begin("VAR ups1".into()))),
            ("END LIST VAR ups1", Some(Line::End("VAR ups1".into()))),
            ("ERR DATA-STALE", Some(Line::Error("DATA-STALE".into()))),
            ("OK", Some(Line::Other)),
            ("VAR ups1 ups.status \"OL", None),
            ("VAR ups1 ups.status", None),
            ("BEGIN", None),
            ("VAR x y \\", None),
            ("", None),
        ] {
            assert_eq!(parse_line(line), read, "{line}");
        }
    }

    #[test]
    fn the_worst_flag_says_where_power_comes_from() {
        for (status, power) in [
            ("OL", Power::Online),
            ("OL CHRG", Power::Online),
            ("OL BYPASS", Power::Bypass),
            ("OB DISCHRG LB", Power::Battery),
            ("OL OFF", Power::Off),
            ("WAIT", Power::Unknown),
            ("", Power::Unknown),
        ] {
            assert_eq!(Status::parse(status).power(), power, "{status}");
        }
        assert!(!Status::parse("OLB").has("OL"), "flags are whole words");
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,80}") {
            let _ = parse_line(&line);
        }

        #[test]
        fn a_quoted_text_is_one_word(text in "[^\r\n]{0,40}") {
            let line = format!("VAR u n {}", quoted(&text));
            prop_assert_eq!(parse_line(&line), Some(Line::Var { ups: "u".into(), name: "n".into(), value: text }));
        }
    }
}
