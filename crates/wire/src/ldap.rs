//! LDAP version 3 (RFC 4511) as far as a look goes: bind, one search, StartTLS; BER as far as these need it.

/// Longest message that is read: one entry with its attributes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Bytes that surely begin a message: its tag and the first byte of its length.
pub const HEAD_BYTES: usize = 2;
/// The operation that asks for TLS (RFC 4511 §4.14).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;
const BOOLEAN: u8 = 0x01;
const SEQUENCE: u8 = 0x30;
const BIND_REQUEST: u8 = 0x60;
const UNBIND_REQUEST: u8 = 0x42;
const SEARCH_REQUEST: u8 = 0x63;
const EXTENDED_REQUEST: u8 = 0x77;
const SIMPLE_PASSWORD: u8 = 0x80;
const PRESENT: u8 = 0x87;
const EQUAL: u8 = 0xa3;

#[derive(Copy, Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LdapError {
    #[error("its message is broken")]
    Broken,
    #[error("its message of {0} bytes is longer than is read")]
    TooLong(usize),
}

/// What a server says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    Bind(Outcome),
    Entry(Entry),
    /// A search that leads elsewhere.
    Reference,
    SearchDone(Outcome),
    Extended(Outcome),
    Other(u8),
}

/// Result of an operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    pub code: i64,
    pub text: String,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Entry {
    pub name: String,
    /// Names as the server writes them, values as text.
    pub attributes: Vec<(String, Vec<String>)>,
}

/// How deep a search goes.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum Scope {
    #[default]
    Base,
    One,
    Sub,
}

/// What is sought: `(objectClass=*)`, or one attribute with a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Search {
    pub base: String,
    pub scope: Scope,
    pub filter: Option<(String, String)>,
    pub attributes: Vec<String>,
    pub entries_max: i64,
    pub seconds_max: i64,
}

impl Entry {
    pub fn first(&self, name: &str) -> Option<&str> {
        let (_, values) = self.attributes.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        values.first().map(String::as_str)
    }
}

/// The word of a result code (RFC 4511 §4.1.9).
pub fn word(code: i64) -> &'static str {
    match code {
        0 => "ok",
        // operationsError is what Active Directory says to those who did not log in.
        1 | 7 | 8 | 13 | 48 | 49 | 50 | 53 => "denied",
        3 | 11 => "limit",
        4 => "too_many",
        10 => "referral",
        32 => "no_such_object",
        51 => "busy",
        52 => "unavailable",
        _ => "error",
    }
}

/// Simple login; without name and password nobody's.
pub fn bind(id: i64, name: &str, password: &str) -> Vec<u8> {
    let parts = [integer(INTEGER, 3), tlv(OCTETS, name.as_bytes()), tlv(SIMPLE_PASSWORD, password.as_bytes())];
    message(id, &tlv(BIND_REQUEST, &parts.concat()))
}

pub fn unbind(id: i64) -> Vec<u8> {
    message(id, &tlv(UNBIND_REQUEST, &[]))
}

pub fn start_tls(id: i64) -> Vec<u8> {
    message(id, &tlv(EXTENDED_REQUEST, &tlv(0x80, START_TLS)))
}

pub fn search(id: i64, search: &Search) -> Vec<u8> {
    let scope = match search.scope {
        Scope::Base => 0,
        Scope::One => 1,
        Scope::Sub => 2,
    };
    let filter = match &search.filter {
        None => tlv(PRESENT, b"objectClass"),
        Some((name, value)) => tlv(EQUAL, &[tlv(OCTETS, name.as_bytes()), tlv(OCTETS, value.as_bytes())].concat()),
    };
    let attributes: Vec<u8> = search.attributes.iter().flat_map(|name| tlv(OCTETS, name.as_bytes())).collect();
    let parts = [
        tlv(OCTETS, search.base.as_bytes()),
        integer(ENUMERATED, scope),
        // Aliases are never followed.
        integer(ENUMERATED, 0),
        integer(INTEGER, search.entries_max),
        integer(INTEGER, search.seconds_max),
        tlv(BOOLEAN, &[0]),
        filter,
        tlv(SEQUENCE, &attributes),
    ];
    message(id, &tlv(SEARCH_REQUEST, &parts.concat()))
}

fn message(id: i64, operation: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&integer(INTEGER, id), operation].concat())
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match u8::try_from(value.len()) {
        Ok(short @ 0..=0x7f) => bytes.push(short),
        _ => {
            bytes.push(0x84);
            bytes.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    bytes.extend(value);
    bytes
}

/// The shortest form, as BER wants it.
fn integer(tag: u8, value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let is_spare = |at: usize| match (bytes.get(at), bytes.get(at + 1)) {
        (Some(0), Some(next)) => *next < 0x80,
        (Some(0xff), Some(next)) => *next >= 0x80,
        _ => false,
    };
    let spare = (0..bytes.len() - 1).take_while(|at| is_spare(*at)).count();
    tlv(tag, bytes.get(spare..).unwrap_or(&bytes))
}

/// How many bytes of length follow the first two of a message, or how long its body is.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Head {
    LengthBytes(usize),
    Body(usize),
}

/// # Errors
/// It is no message.
pub fn head([tag, length]: [u8; HEAD_BYTES]) -> Result<Head, LdapError> {
    match (tag, length) {
        (SEQUENCE, 0..=0x7f) => Ok(Head::Body(usize::from(length))),
        (SEQUENCE, 0x81..=0x84) => Ok(Head::LengthBytes(usize::from(length & 0x7f))),
        _ => Err(LdapError::Broken),
    }
}

/// A length in up to four bytes.
///
/// # Errors
/// It is more than is read.
pub fn long_length(bytes: &[u8]) -> Result<usize, LdapError> {
    let length = bytes.iter().fold(0_usize, |length, byte| length.saturating_mul(256) | usize::from(*byte));
    if length > MESSAGE_BYTES_MAX { Err(LdapError::TooLong(length)) } else { Ok(length) }
}

/// Reads the body of a message: the number that it answers, and what it says.
///
/// # Errors
/// It is broken.
pub fn read(body: &[u8]) -> Result<(i64, Message), LdapError> {
    let (id, rest) = element(body, INTEGER)?;
    let (tag, value, _) = next(rest)?;
    let message = match tag {
        0x61 => Message::Bind(outcome(value)?),
        0x64 => Message::Entry(entry(value)?),
        0x73 => Message::Reference,
        0x65 => Message::SearchDone(outcome(value)?),
        0x78 => Message::Extended(outcome(value)?),
        other => Message::Other(other),
    };
    Ok((number(id)?, message))
}

fn outcome(bytes: &[u8]) -> Result<Outcome, LdapError> {
    let (code, rest) = element(bytes, ENUMERATED)?;
    let (_, rest) = element(rest, OCTETS)?;
    let (text, _) = element(rest, OCTETS)?;
    Ok(Outcome { code: number(code)?, text: lossy(text) })
}

fn entry(bytes: &[u8]) -> Result<Entry, LdapError> {
    let (name, rest) = element(bytes, OCTETS)?;
    let (mut list, _) = element(rest, SEQUENCE)?;
    let mut entry = Entry { name: lossy(name), attributes: Vec::new() };
    while !list.is_empty() {
        let (attribute, rest) = element(list, SEQUENCE)?;
        list = rest;
        let (name, rest) = element(attribute, OCTETS)?;
        let (mut set, _) = element(rest, 0x31)?;
        let mut values = Vec::new();
        while !set.is_empty() {
            let (value, rest) = element(set, OCTETS)?;
            set = rest;
            values.push(lossy(value));
        }
        entry.attributes.push((lossy(name), values));
    }
    Ok(entry)
}

/// The value of an element that must have this tag, and what follows.
fn element(bytes: &[u8], tag: u8) -> Result<(&[u8], &[u8]), LdapError> {
    let (own, value, rest) = next(bytes)?;
    if own == tag { Ok((value, rest)) } else { Err(LdapError::Broken) }
}

fn next(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), LdapError> {
    let [tag, first, rest @ ..] = bytes else { return Err(LdapError::Broken) };
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(*short), rest),
        long @ 0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f)).ok_or(LdapError::Broken)?;
            (long_length(length)?, rest)
        }
        _ => return Err(LdapError::Broken),
    };
    let (value, rest) = rest.split_at_checked(length).ok_or(LdapError::Broken)?;
    Ok((*tag, value, rest))
}

fn number(bytes: &[u8]) -> Result<i64, LdapError> {
    let first = *bytes.first().ok_or(LdapError::Broken)?;
    if bytes.len() > 8 {
        return Err(LdapError::Broken);
    }
    let sign = if first >= 0x80 { -1 } else { 0 };
    Ok(bytes.iter().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte)))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn questions_are_those_of_the_standard() {
        // As ldapsearch -x of OpenLDAP 2.5 sends them.
        assert_eq!(bind(1, "", ""), b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0");
        assert_eq!(unbind(3), b"\x30\x05\x02\x01\x03\x42\0");
        let root = Search {
            base: String::new(),
            scope: Scope::Base,
            filter: None,
            attributes: vec!["+".into()],
            entries_max: 0,
            seconds_max: 0,
        };
        assert_eq!(
            search(2, &root),
            b"\x30\x28\x02\x01\x02\x63\x23\x04\0\x0a\x01\0\x0a\x01\0\x02\x01\0\x02\x01\0\x01\x01\0\x87\x0bobjectClass\x30\x03\x04\x01+"
        );
        let long = tlv(OCTETS, &[7; 200]);
        assert_eq!(long.get(..6), Some(&[OCTETS, 0x84, 0, 0, 0, 200][..]));
    }

    fn body(id: u8, tag: u8, value: &[u8]) -> Vec<u8> {
        [&[INTEGER, 1, id][..], &tlv(tag, value)].concat()
    }

    #[test]
    fn answers_are_read() {
        let denied = [&integer(ENUMERATED, 49)[..], b"\x04\0\x04\x05wrong"].concat();
        let wrong = Outcome { code: 49, text: "wrong".into() };
        assert_eq!(read(&body(1, 0x61, &denied)), Ok((1, Message::Bind(wrong))));
        let entry = [&b"\x04\x04dc=x\x30\x14"[..], b"\x30\x12\x04\x02cn\x31\x0c\x04\x01a\x04\x07b\xffc def"].concat();
        let Ok((7, Message::Entry(entry))) = read(&body(7, 0x64, &entry)) else { panic!("no entry") };
        assert_eq!((entry.name.as_str(), entry.first("CN")), ("dc=x", Some("a")));
        assert_eq!(entry.attributes[0].1.len(), 2);
    }

    #[test]
    fn numbers_keep_their_sign_and_their_shortest_form() {
        for (value, bytes) in [
            (0, &b"\x02\x01\0"[..]),
            (127, b"\x02\x01\x7f"),
            (128, b"\x02\x02\0\x80"),
            (-1, b"\x02\x01\xff"),
            (-129, b"\x02\x02\xff\x7f"),
            (i64::MAX, b"\x02\x08\x7f\xff\xff\xff\xff\xff\xff\xff"),
        ] {
            assert_eq!(integer(INTEGER, value), bytes);
            assert_eq!(number(&bytes[2..]), Ok(value));
        }
    }

    #[test]
    fn heads_that_lie_are_refused() {
        assert_eq!(head([SEQUENCE, 12]), Ok(Head::Body(12)));
        assert_eq!(head([SEQUENCE, 0x82]), Ok(Head::LengthBytes(2)));
        assert_eq!(head([SEQUENCE, 0x80]), Err(LdapError::Broken), "LDAP has no open lengths");
        assert_eq!(head([b'H', b'T']), Err(LdapError::Broken));
        assert_eq!(long_length(&[0x7f, 0, 0, 0]), Err(LdapError::TooLong(0x7f00_0000)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), tag in any::<u8>()) {
            let _ = read(&bytes);
            for tag in [tag, 0x61, 0x64, 0x65] {
                let _ = read(&body(1, tag, &bytes));
            }
        }

        #[test]
        fn a_truncation_is_never_a_whole_answer(cut in any::<prop::sample::Index>()) {
            let whole = body(1, 0x61, b"\x0a\x01\0\x04\0\x04\x02ok");
            prop_assert!(read(&whole[..cut.index(whole.len())]).is_err());
        }
    }
}
