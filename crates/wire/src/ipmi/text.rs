//! Texts in records: a type/length byte, then binary, BCD plus, packed six-bit ASCII or 8-bit text (section 43.15 of the
//! IPMI specification; section 13 of the FRU information storage definition).

use super::cursor::Cursor;

/// How the bytes of a text are coded: the top two bits of its type/length byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Unicode in sensor names, plain bytes in FRU fields.
    Binary,
    BcdPlus,
    SixBit,
    EightBit,
}

impl Coding {
    pub(super) fn of(head: u8) -> Self {
        match head >> 6 {
            0 => Coding::Binary,
            1 => Coding::BcdPlus,
            2 => Coding::SixBit,
            _ => Coding::EightBit,
        }
    }
}

/// A sensor's or device's name. One cut short is taken as it is.
pub(super) fn decode_typed(cursor: &mut Cursor<'_>) -> Option<String> {
    let head = cursor.u8()?;
    let wanted = usize::from(head & 0x1F);
    let mut bytes = Vec::with_capacity(wanted);
    while bytes.len() < wanted
        && let Some(byte) = cursor.u8()
    {
        bytes.push(byte);
    }
    // Unicode is not defined further; latin-1 is what controllers send.
    let coding = match Coding::of(head) {
        Coding::Binary => Coding::EightBit,
        other => other,
    };
    Some(decode(coding, &bytes))
}

/// The text of `bytes`, without padding and control characters; binary data as hexadecimal digits.
pub(super) fn decode(coding: Coding, bytes: &[u8]) -> String {
    let text: String = match coding {
        Coding::Binary => hex(bytes),
        Coding::BcdPlus => bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).map(bcd_plus).collect(),
        Coding::SixBit => six_bit(bytes),
        Coding::EightBit => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    text.trim_matches(['\0', ' ']).chars().filter(|c| !c.is_control()).collect()
}

/// `0a ff`: bytes that nobody can read better.
pub fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

fn bcd_plus(digit: u8) -> char {
    match digit {
        0..=9 => char::from(b'0' + digit),
        0xA => ' ',
        0xB => '-',
        0xC => '.',
        _ => '?',
    }
}

/// Packed six-bit ASCII, least significant bits first.
fn six_bit(bytes: &[u8]) -> String {
    let (mut out, mut bits, mut held) = (String::new(), 0u32, 0u32);
    for byte in bytes {
        bits |= u32::from(*byte) << held;
        held += 8;
        while held >= 6 {
            out.push(char::from(0x20 + (bits & 0x3F) as u8));
            bits >>= 6;
            held -= 6;
        }
    }
    out
}
