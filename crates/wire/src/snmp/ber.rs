//! BER as SNMP uses it (RFC 3417 §8): definite lengths, one-byte tags, and the types of SMIv2.

use super::{Oid, SnmpValue};

/// Tags (RFC 2578 §2, RFC 3416 §3).
pub const INTEGER: u8 = 0x02;
pub const OCTETS: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OID: u8 = 0x06;
pub const SEQUENCE: u8 = 0x30;
const IP: u8 = 0x40;
const COUNTER32: u8 = 0x41;
const GAUGE32: u8 = 0x42;
const TICKS: u8 = 0x43;
const OPAQUE: u8 = 0x44;
const COUNTER64: u8 = 0x46;
pub const NO_SUCH_INSTANCE: u8 = 0x81;
pub const END_OF_MIB_VIEW: u8 = 0x82;
/// What Net-SNMP puts into an Opaque for a float: tag, and four bytes.
const OPAQUE_FLOAT: [u8; 3] = [0x9f, 0x78, 0x04];

/// Reads one element after the other; `None` is the end, or what cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tag and content of the next element.
    pub fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            // No datagram is longer than four bytes can say.
            long @ 0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (bytes.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The content of the next element, if it has this tag.
    pub fn of(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.any()?;
        (found == tag).then_some(content)
    }

    pub fn inside(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.of(tag).map(Reader)
    }

    pub fn integer(&mut self) -> Option<i64> {
        signed(self.of(INTEGER)?)
    }

    pub fn oid(&mut self) -> Option<Oid> {
        oid(self.of(OID)?)
    }
}

fn signed(bytes: &[u8]) -> Option<i64> {
    let first = *bytes.first()?;
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    (bytes.len() <= 8).then(|| bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte)))
}

fn oid(bytes: &[u8]) -> Option<Oid> {
    let mut arcs: Vec<u32> = Vec::new();
    let mut arc = 0u64;
    for byte in bytes {
        arc = arc << 7 | u64::from(byte & 0x7f);
        if arc > u64::from(u32::MAX) + 80 || arcs.len() > super::ARCS_MAX {
            return None;
        }
        if byte & 0x80 != 0 {
            continue;
        }
        if arcs.is_empty() {
            let first = (arc / 40).min(2);
            arcs.push(first as u32);
            arc -= first * 40;
        }
        arcs.push(u32::try_from(arc).ok()?);
        arc = 0;
    }
    let is_whole = bytes.last().is_some_and(|last| last & 0x80 == 0);
    is_whole.then(|| Oid::new(&arcs))
}

/// Appends an element.
pub fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    match content.len() {
        length @ 0..=0x7f => out.push(length as u8),
        length => {
            let bytes = (length as u32).to_be_bytes();
            let skip = bytes.iter().take_while(|byte| **byte == 0).count();
            out.push(0x80 | (bytes.len() - skip) as u8);
            out.extend(bytes.iter().skip(skip));
        }
    }
    out.extend_from_slice(content);
}

/// Appends an element made of others.
pub fn put_all(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    write(&mut content);
    put(out, tag, &content);
}

pub fn put_integer(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_be_bytes();
    // The shortest form that keeps the sign.
    let is_spare = |at: usize| {
        let (this, next) = (bytes.get(at).copied().unwrap_or(0), bytes.get(at + 1).copied().unwrap_or(0));
        (this == 0 && next & 0x80 == 0) || (this == 0xff && next & 0x80 != 0)
    };
    let skip = (0..7).take_while(|at| is_spare(*at)).count();
    put(out, INTEGER, bytes.get(skip..).unwrap_or(&bytes));
}

fn put_unsigned(out: &mut Vec<u8>, tag: u8, number: u64) {
    let mut bytes = vec![0];
    bytes.extend(number.to_be_bytes());
    let is_spare = |at: usize| bytes.get(at) == Some(&0) && bytes.get(at + 1).is_some_and(|next| next & 0x80 == 0);
    let skip = (0..8).take_while(|at| is_spare(*at)).count();
    put(out, tag, bytes.get(skip..).unwrap_or(&bytes));
}

fn put_arc(out: &mut Vec<u8>, arc: u64) {
    let groups = (1..5u32).take_while(|group| arc >> (7 * group) != 0).count();
    for group in (0..=groups).rev() {
        let more = if group == 0 { 0 } else { 0x80 };
        out.push((arc >> (7 * group) & 0x7f) as u8 | more);
    }
}

pub fn put_oid(out: &mut Vec<u8>, oid: &Oid) {
    let mut content = Vec::new();
    let (first, rest) = match oid.arcs() {
        [first, second, rest @ ..] => (u64::from(*first) * 40 + u64::from(*second), rest),
        [only] => (u64::from(*only) * 40, &[][..]),
        [] => (0, &[][..]),
    };
    put_arc(&mut content, first);
    rest.iter().for_each(|arc| put_arc(&mut content, u64::from(*arc)));
    put(out, OID, &content);
}

/// Appends a value; what is missing is `noSuchInstance`.
pub fn put_value(out: &mut Vec<u8>, value: &SnmpValue) {
    match value {
        SnmpValue::Integer(number) => put_integer(out, *number),
        SnmpValue::Gauge(number) => put_unsigned(out, GAUGE32, *number),
        SnmpValue::Counter32(number) => put_unsigned(out, COUNTER32, u64::from(*number)),
        SnmpValue::Counter64(number) => put_unsigned(out, COUNTER64, *number),
        SnmpValue::Ticks(ticks) => put_unsigned(out, TICKS, u64::from(*ticks)),
        SnmpValue::Float(number) => {
            put(out, OPAQUE, &[OPAQUE_FLOAT.as_slice(), &(*number as f32).to_be_bytes()].concat());
        }
        SnmpValue::Bytes(bytes) => put(out, OCTETS, bytes),
        SnmpValue::Oid(oid) => put_oid(out, oid),
        SnmpValue::Ip(ip) => put(out, IP, ip),
        SnmpValue::Missing => put(out, NO_SUCH_INSTANCE, &[]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_take_the_shortest_form() {
        for (number, wanted) in [
            (0, &[2, 1, 0][..]),
            (127, &[2, 1, 0x7f]),
            (128, &[2, 2, 0, 0x80]),
            (-1, &[2, 1, 0xff]),
            (-129, &[2, 2, 0xff, 0x7f]),
            (i64::MIN, &[2, 8, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            let mut out = Vec::new();
            put_integer(&mut out, number);
            assert_eq!(out, wanted, "{number}");
        }
        let mut out = Vec::new();
        put_value(&mut out, &SnmpValue::Counter64(u64::MAX));
        assert_eq!(out, [0x46, 9, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn identifiers_are_written_as_the_standard_has_it() {
        let mut out = Vec::new();
        put_oid(&mut out, &Oid::new(&[1, 2, 840, 10006, 300]));
        assert_eq!(out, [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x16, 0x82, 0x2c]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(number in any::<i64>(), arcs in proptest::collection::vec(any::<u32>(), 0..30), first in 0u32..3, second in 0u32..40, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let oid = Oid::new(&[first, second]).join(&arcs);
            let mut out = Vec::new();
            put_all(&mut out, SEQUENCE, |out| {
                put_integer(out, number);
                put_oid(out, &oid);
                put(out, OCTETS, &bytes);
            });
            let mut inside = Reader::new(&out).inside(SEQUENCE).expect("a sequence");
            prop_assert_eq!(inside.integer(), Some(number));
            prop_assert_eq!(inside.oid(), Some(oid));
            prop_assert_eq!(inside.of(OCTETS), Some(&bytes[..]));
            prop_assert!(inside.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            let mut left = bytes.len() + 1;
            while let Some((_, content)) = reader.any() {
                prop_assert!(content.len() < left);
                left -= 1;
                let _ = (signed(content), oid(content));
            }
        }
    }
}
