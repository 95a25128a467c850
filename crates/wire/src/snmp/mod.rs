//! What SNMP agents say, as plain values: object identifiers, values, and what the tables of the common MIBs mean.
//!
//! Packets are the business of whoever asks; here nothing is sent and nothing is judged.

pub mod array;
pub mod ber;
pub mod counter;
pub mod entity;
pub mod environment;
pub mod host;
pub mod interfaces;
pub mod lag;
pub mod names;
pub mod neighbours;
pub mod pdu;
pub mod responder;
pub mod rows;
pub mod stack;
pub mod trap;
pub mod ups;
pub mod walk;

use std::fmt;
use std::str::FromStr;

/// RFC 2578 §3.5: at most 128 sub-identifiers.
const ARCS_MAX: usize = 128;
/// Letters kept of a text that an agent sends.
pub const TEXT_CHARS_MAX: usize = 255;

/// An object identifier; ordered as walks go.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Oid(Vec<u32>);

/// A text is neither numbers with dots between them nor a known name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is neither an object identifier (1.3.6.1…) nor one of the names known here")]
pub struct BadOid(pub String);

impl Oid {
    pub fn new(arcs: &[u32]) -> Oid {
        Oid(arcs.to_vec())
    }

    pub fn arcs(&self) -> &[u32] {
        &self.0
    }

    /// This identifier with more behind it.
    #[must_use]
    pub fn join(&self, more: &[u32]) -> Oid {
        Oid([self.0.as_slice(), more].concat())
    }

    /// What follows `root`; `None` where this does not lie below it.
    pub fn below(&self, root: &Oid) -> Option<&[u32]> {
        self.0.strip_prefix(root.0.as_slice())
    }
}

impl FromStr for Oid {
    type Err = BadOid;

    /// `1.3.6.1.2.1.1.3.0`, with or without a leading dot, or a name of [`names`]: `sysUpTime.0`, `ifOperStatus.3`.
    fn from_str(text: &str) -> Result<Oid, BadOid> {
        let bad = || BadOid(text.chars().take(TEXT_CHARS_MAX).collect());
        let (mut arcs, rest) = match text.split_once('.') {
            _ if text.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let (name, rest) = text.split_once('.').unwrap_or((text, ""));
                (names::find(name).ok_or_else(bad)?.to_vec(), rest)
            }
            Some(("", rest)) => (Vec::new(), rest),
            _ => (Vec::new(), text),
        };
        let is_named = !arcs.is_empty();
        if !(is_named && rest.is_empty()) {
            for part in rest.split('.') {
                let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                arcs.push(part.parse().ok().filter(|_| is_number).ok_or_else(bad)?);
            }
        }
        // X.660: the first number is 0, 1 or 2, the second below 40 under 0 and 1. No agent can be asked for another.
        let is_sound = match arcs.as_slice() {
            [0 | 1, second, ..] => *second < 40,
            [2, _, ..] => true,
            _ => false,
        };
        if is_sound && arcs.len() <= ARCS_MAX { Ok(Oid(arcs)) } else { Err(bad()) }
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arc) in self.0.iter().enumerate() {
            write!(f, "{}{arc}", if i > 0 { "." } else { "" })?;
        }
        Ok(())
    }
}

/// One value of an agent.
#[derive(Clone, Debug, PartialEq)]
pub enum SnmpValue {
    Integer(i64),
    /// Gauge32, Unsigned32, or a 64-bit number in an Opaque.
    Gauge(u64),
    Counter32(u32),
    Counter64(u64),
    /// Hundredths of a second.
    Ticks(u32),
    /// A float or double that Net-SNMP wraps in an Opaque.
    Float(f64),
    Bytes(Vec<u8>),
    Oid(Oid),
    Ip([u8; 4]),
    /// noSuchObject, noSuchInstance, endOfMibView, or null: the agent has none.
    Missing,
}

/// An object with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct VarBind {
    pub oid: Oid,
    pub value: SnmpValue,
}

impl SnmpValue {
    /// The value as a number; ticks in seconds. Texts that are numbers count: some agents have no other way for fractions.
    pub fn number(&self) -> Option<f64> {
        match self {
            SnmpValue::Integer(value) => Some(*value as f64),
            SnmpValue::Gauge(value) | SnmpValue::Counter64(value) => Some(*value as f64),
            SnmpValue::Counter32(value) => Some(f64::from(*value)),
            SnmpValue::Ticks(value) => Some(f64::from(*value) / 100.0),
            SnmpValue::Float(value) => Some(*value),
            SnmpValue::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
            SnmpValue::Oid(_) | SnmpValue::Ip(_) | SnmpValue::Missing => None,
        }
        .filter(|number: &f64| number.is_finite())
    }

    /// A whole number as agents give states, indexes and speeds.
    pub fn integer(&self) -> Option<i64> {
        match self {
            SnmpValue::Integer(value) => Some(*value),
            SnmpValue::Gauge(value) | SnmpValue::Counter64(value) => i64::try_from(*value).ok(),
            SnmpValue::Counter32(value) | SnmpValue::Ticks(value) => Some(i64::from(*value)),
            SnmpValue::Float(_) | SnmpValue::Bytes(_) | SnmpValue::Oid(_) | SnmpValue::Ip(_) | SnmpValue::Missing => {
                None
            }
        }
    }

    /// The value for people: one harmless line; bytes that are no text as `0a:1b`. `None` where there is none.
    pub fn text(&self) -> Option<String> {
        Some(match self {
            SnmpValue::Integer(value) => value.to_string(),
            SnmpValue::Gauge(value) | SnmpValue::Counter64(value) => value.to_string(),
            SnmpValue::Counter32(value) => value.to_string(),
            SnmpValue::Ticks(_) | SnmpValue::Float(_) => self.number()?.to_string(),
            SnmpValue::Bytes(bytes) => text_of(bytes),
            SnmpValue::Oid(oid) => oid.to_string(),
            SnmpValue::Ip([a, b, c, d]) => format!("{a}.{b}.{c}.{d}"),
            SnmpValue::Missing => return None,
        })
    }
}

/// Bytes of an agent as one line. Agents end texts with NUL or a line end, and put MAC addresses into the same type.
fn text_of(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let bytes = bytes.get(..end).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace()) => {
            let line = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
            line.take(TEXT_CHARS_MAX).collect()
        }
        _ => {
            let pairs: Vec<String> = bytes.iter().take(TEXT_CHARS_MAX / 3).map(|byte| format!("{byte:02x}")).collect();
            pairs.join(":")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identifiers_are_read_with_numbers_and_names() {
        for (text, wanted) in [
            ("1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.3.0"),
            (".1.3.6.1", "1.3.6.1"),
            ("sysUpTime.0", "1.3.6.1.2.1.1.3.0"),
            ("ifOperStatus.4294967295", "1.3.6.1.2.1.2.2.1.8.4294967295"),
            ("ifHCInOctets", "1.3.6.1.2.1.31.1.1.1.6"),
        ] {
            assert_eq!(text.parse::<Oid>().map(|oid| oid.to_string()).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_no_agent_can_be_asked_for_is_refused() {
        for text in [
            "",
            ".",
            "1",
            "1.",
            "1..3",
            "3.1",
            "1.40",
            "1.3.-1",
            "1.3.+1",
            "1.3.4294967296",
            "sysDesc.0",
            "1.3.a",
            "sysUpTime.0.",
        ] {
            assert!(text.parse::<Oid>().is_err(), "{text}");
        }
        assert!(["1.3"; 1].join(".").parse::<Oid>().is_ok());
        assert!(format!("1.3{}", ".1".repeat(127)).parse::<Oid>().is_err(), "129 numbers");
    }

    #[test]
    fn texts_are_one_harmless_line() {
        for (bytes, wanted) in [
            (&b"Linux box\0"[..], "Linux box"),
            (b"two\r\nlines", "two  lines"),
            (b"\x02\xaa\xbb", "02:aa:bb"),
            (b"\x1b[2J", "1b:5b:32:4a"),
            (b"\0\0", ""),
            ("Käse".as_bytes(), "Käse"),
        ] {
            assert_eq!(SnmpValue::Bytes(bytes.to_vec()).text().as_deref(), Some(wanted), "{bytes:?}");
        }
    }

    #[test]
    fn numbers_hide_in_several_types() {
        for (value, wanted) in [
            (SnmpValue::Integer(-5), Some(-5.0)),
            (SnmpValue::Ticks(150), Some(1.5)),
            (SnmpValue::Bytes(b" 0.25\n".to_vec()), Some(0.25)),
            (SnmpValue::Bytes(b"inf".to_vec()), None),
            (SnmpValue::Bytes(b"ok".to_vec()), None),
            (SnmpValue::Float(f64::NAN), None),
            (SnmpValue::Counter64(u64::MAX), Some(u64::MAX as f64)),
            (SnmpValue::Missing, None),
        ] {
            assert_eq!(value.number(), wanted, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_or_is_refused_and_what_is_read_prints_back(text in "[.0-9a-zA-Z-]{0,40}|\\PC{0,12}") {
            if let Ok(oid) = text.parse::<Oid>() {
                prop_assert_eq!(oid.to_string().parse::<Oid>(), Ok(oid));
            }
        }

        #[test]
        fn any_bytes_are_one_line(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let text = SnmpValue::Bytes(bytes).text().unwrap_or_default();
            prop_assert!(!text.chars().any(char::is_control) && text.chars().count() <= TEXT_CHARS_MAX);
        }
    }
}
