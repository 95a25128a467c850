//! DNS messages (RFC 1035): one question, and the records that answer it.

use std::net::{Ipv4Addr, Ipv6Addr};

/// RFC 1035 §4.2.1; answers may be longer with EDNS, which this says we take.
pub const UDP_BYTES_MAX: u16 = 1232;
/// RFC 1035 §2.3.4.
const NAME_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: usize = 63;
/// Jumps of one compressed name; each must go back, and more than this nobody needs.
const JUMPS_MAX: usize = 32;
const HEADER_BYTES: usize = 12;
const CLASS_IN: u16 = 1;

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum RecordType {
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Rrsig,
    Soa,
    Srv,
    Txt,
}

impl RecordType {
    const ALL: [(RecordType, u16, &'static str); 10] = [
        (RecordType::A, 1, "A"),
        (RecordType::Ns, 2, "NS"),
        (RecordType::Cname, 5, "CNAME"),
        (RecordType::Soa, 6, "SOA"),
        (RecordType::Ptr, 12, "PTR"),
        (RecordType::Mx, 15, "MX"),
        (RecordType::Txt, 16, "TXT"),
        (RecordType::Aaaa, 28, "AAAA"),
        (RecordType::Srv, 33, "SRV"),
        (RecordType::Rrsig, 46, "RRSIG"),
    ];

    pub fn named(name: &str) -> Option<RecordType> {
        RecordType::ALL.into_iter().find(|(.., own)| own.eq_ignore_ascii_case(name)).map(|(kind, ..)| kind)
    }

    fn number(self) -> u16 {
        RecordType::ALL.into_iter().find(|(kind, ..)| *kind == self).map_or(0, |(_, number, _)| number)
    }

    fn numbered(number: u16) -> Option<RecordType> {
        RecordType::ALL.into_iter().find(|(_, own, _)| *own == number).map(|(kind, ..)| kind)
    }
}

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    pub id: u16,
    pub name: String,
    pub kind: RecordType,
    /// The server may ask others.
    pub wants_recursion: bool,
    /// Signatures (DNSSEC) shall come along.
    pub wants_signatures: bool,
}

/// What came back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub code: u8,
    pub is_authoritative: bool,
    /// The rest did not fit into the datagram.
    pub is_truncated: bool,
    pub offers_recursion: bool,
    /// The server has verified the signatures (DNSSEC).
    pub is_authentic: bool,
    /// Records of the answer section, those of other types left out.
    pub records: Vec<Record>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    pub name: String,
    pub kind: RecordType,
    pub ttl_s: u32,
    /// As in a zone file: `10 mail.example`.
    pub data: String,
    /// Of an SOA.
    pub serial: Option<u32>,
    /// Of an RRSIG.
    pub signature: Option<Signature>,
}

/// When a signature holds (RFC 4034 §3.1), in seconds since 1970 that come round after 136 years.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// Number of the type that is signed: 6 is SOA.
    pub covers: u16,
    pub begins: u32,
    pub ends: u32,
}

impl Signature {
    /// Seconds until it ends, negative afterwards; the nearer way round (RFC 4034 §3.1.5).
    pub fn left_s(&self, now_s: i64) -> i64 {
        let now = u32::try_from(now_s.rem_euclid(1 << 32)).unwrap_or(0);
        i64::from(self.ends.wrapping_sub(now).cast_signed())
    }
}

/// Whether a serial is newer than another (RFC 1982): they come round.
pub fn is_newer(serial: u32, than: u32) -> bool {
    serial.wrapping_sub(than).cast_signed() > 0
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DnsError {
    #[error("`{0}` is no DNS name")]
    Name(String),
    #[error("the message is broken at byte {0}")]
    Broken(usize),
    #[error("it answers another question")]
    Stranger,
}

/// The word of a response code (RFC 1035 §4.1.1, RFC 2136).
pub fn code_word(code: u8) -> &'static str {
    match code {
        0 => "ok",
        1 => "formerr",
        2 => "servfail",
        3 => "nxdomain",
        4 => "notimp",
        5 => "refused",
        _ => "error",
    }
}

impl Question {
    /// # Errors
    /// The name is none.
    pub fn encode(&self) -> Result<Vec<u8>, DnsError> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(self.id.to_be_bytes());
        // RD; AD, to be told whether the server verified (RFC 6840 §5.7).
        bytes.extend([u8::from(self.wants_recursion), 0x20]);
        for count in [1_u16, 0, 0, 1] {
            bytes.extend(count.to_be_bytes());
        }
        bytes.extend(encode_name(&self.name)?);
        bytes.extend(self.kind.number().to_be_bytes());
        bytes.extend(CLASS_IN.to_be_bytes());
        // EDNS (RFC 6891): the root's name, OPT, the size of datagrams that we take.
        bytes.extend([0, 0, 41]);
        bytes.extend(UDP_BYTES_MAX.to_be_bytes());
        // Code and version; the flag DO (RFC 3225) wants signatures; no options.
        bytes.extend([0, 0, if self.wants_signatures { 0x80 } else { 0 }, 0, 0, 0]);
        Ok(bytes)
    }

    /// Reads the answer to this question.
    ///
    /// # Errors
    /// It is none.
    pub fn answer(&self, bytes: &[u8]) -> Result<Answer, DnsError> {
        let mut reader = Reader { bytes, at: 0 };
        let id = reader.u16()?;
        let flags = reader.u16()?;
        let [questions, answers] = [reader.u16()?, reader.u16()?];
        reader.at = HEADER_BYTES;
        if id != self.id || flags & 0x8000 == 0 || flags & 0x7800 != 0 {
            return Err(DnsError::Stranger);
        }
        let code = (flags & 0xf) as u8;
        // A server that could not read the question need not repeat it.
        if questions != 1 && !(questions == 0 && code != 0) {
            return Err(DnsError::Stranger);
        }
        if questions == 1 {
            let name = reader.name()?;
            let [kind, class] = [reader.u16()?, reader.u16()?];
            let asked = self.name.trim_end_matches('.');
            if !name.eq_ignore_ascii_case(asked) || kind != self.kind.number() || class != CLASS_IN {
                return Err(DnsError::Stranger);
            }
        }
        let is_truncated = flags & 0x0200 != 0;
        let mut records = Vec::new();
        for _ in 0..answers {
            match reader.record() {
                Ok(record) => records.extend(record),
                // What is cut off may end anywhere.
                Err(_) if is_truncated => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Answer {
            code,
            is_authoritative: flags & 0x0400 != 0,
            is_truncated,
            offers_recursion: flags & 0x0080 != 0,
            is_authentic: flags & 0x0020 != 0,
            records,
        })
    }
}

fn encode_name(name: &str) -> Result<Vec<u8>, DnsError> {
    let bad = || DnsError::Name(name.to_owned());
    let mut bytes = Vec::new();
    let labels = name.strip_suffix('.').unwrap_or(name);
    for label in labels.split('.').filter(|_| !labels.is_empty()) {
        let length = u8::try_from(label.len()).map_err(|_| bad())?;
        if label.is_empty() || label.len() > LABEL_BYTES_MAX || !label.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad());
        }
        bytes.push(length);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    if bytes.len() > NAME_BYTES_MAX { Err(bad()) } else { Ok(bytes) }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], DnsError> {
        let part = self.bytes.get(self.at..self.at.saturating_add(count)).ok_or(DnsError::Broken(self.at))?;
        self.at += count;
        Ok(part)
    }

    fn u8(&mut self) -> Result<u8, DnsError> {
        let at = self.at;
        self.take(1)?.first().copied().ok_or(DnsError::Broken(at))
    }

    fn u16(&mut self) -> Result<u16, DnsError> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn u32(&mut self) -> Result<u32, DnsError> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// A name, following pointers backwards (RFC 1035 §4.1.4); the root is empty.
    fn name(&mut self) -> Result<String, DnsError> {
        let mut name = String::new();
        let mut walk = Reader { bytes: self.bytes, at: self.at };
        let mut behind = None;
        let mut jumps = 0;
        loop {
            let at = walk.at;
            match walk.u8()? {
                0 => break,
                length @ 1..=63 => {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(walk.take(usize::from(length))?.iter().map(|byte| shown(*byte)));
                    if name.len() > NAME_BYTES_MAX {
                        return Err(DnsError::Broken(at));
                    }
                }
                high @ 0xC0.. => {
                    let to = usize::from(high & 0x3f) << 8 | usize::from(walk.u8()?);
                    jumps += 1;
                    if to >= at || jumps > JUMPS_MAX {
                        return Err(DnsError::Broken(at));
                    }
                    behind.get_or_insert(walk.at);
                    walk.at = to;
                }
                _ => return Err(DnsError::Broken(at)),
            }
        }
        self.at = behind.unwrap_or(walk.at);
        Ok(name)
    }

    /// The next record; `None` for one of another type or class.
    fn record(&mut self) -> Result<Option<Record>, DnsError> {
        let name = self.name()?;
        let [kind, class] = [self.u16()?, self.u16()?];
        let ttl_s = self.u32()?;
        let length = usize::from(self.u16()?);
        let end = self.at + length;
        // Pointers lead anywhere before, but nothing is read behind the record's end.
        let bytes = self.bytes.get(..end).ok_or(DnsError::Broken(self.at))?;
        let mut data = Reader { bytes, at: self.at };
        self.at = end;
        let Some(kind) = RecordType::numbered(kind).filter(|_| class == CLASS_IN) else { return Ok(None) };
        if kind == RecordType::Rrsig {
            let (data, signature) = data.signature()?;
            return Ok(Some(Record { name, kind, ttl_s, data, serial: None, signature: Some(signature) }));
        }
        let (data, serial) = data.data(kind)?;
        Ok(Some(Record { name, kind, ttl_s, data, serial, signature: None }))
    }

    fn signature(&mut self) -> Result<(String, Signature), DnsError> {
        let covers = self.u16()?;
        let [algorithm, _labels] = [self.u8()?, self.u8()?];
        let _ttl = self.u32()?;
        let [ends, begins] = [self.u32()?, self.u32()?];
        let tag = self.u16()?;
        let signer = self.name()?;
        Ok((format!("{covers} {algorithm} {ends} {begins} {tag} {signer}"), Signature { covers, begins, ends }))
    }

    fn data(&mut self, kind: RecordType) -> Result<(String, Option<u32>), DnsError> {
        let text = match kind {
            RecordType::A => Ipv4Addr::from_bits(self.u32()?).to_string(),
            RecordType::Aaaa => {
                let halves = [self.u32()?, self.u32()?, self.u32()?, self.u32()?];
                Ipv6Addr::from_bits(halves.into_iter().fold(0, |bits, half| bits << 32 | u128::from(half))).to_string()
            }
            // Read by `signature`.
            RecordType::Rrsig => String::new(),
            RecordType::Cname | RecordType::Ns | RecordType::Ptr => self.name()?,
            RecordType::Mx => format!("{} {}", self.u16()?, self.name()?),
            RecordType::Srv => format!("{} {} {} {}", self.u16()?, self.u16()?, self.u16()?, self.name()?),
            RecordType::Soa => {
                let [primary, mailbox] = [self.name()?, self.name()?];
                let serial = self.u32()?;
                return Ok((format!("{primary} {mailbox} {serial}"), Some(serial)));
            }
            RecordType::Txt => {
                let mut text = String::new();
                while self.at < self.bytes.len() {
                    let length = self.u8()?;
                    text.extend(self.take(usize::from(length))?.iter().map(|byte| shown(*byte)));
                }
                text
            }
        };
        Ok((text, None))
    }
}

/// Bytes of others as harmless letters.
fn shown(byte: u8) -> char {
    if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '?' }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question(kind: RecordType) -> Question {
        Question { id: 0x1234, name: "www.example.org".into(), kind, wants_recursion: true, wants_signatures: false }
    }

    /// Header, question, and records whose name is a pointer to the question's. Hand-built from RFC 1035 §4.
    fn message(flags: u16, kind: RecordType, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34];
        bytes.extend(flags.to_be_bytes());
        for count in [1, records.len() as u16, 0, 0] {
            bytes.extend(count.to_be_bytes());
        }
        bytes.extend(encode_name("WWW.example.org").unwrap());
        bytes.extend(kind.number().to_be_bytes());
        bytes.extend([0, 1]);
        for (kind, data) in records {
            bytes.extend([0xC0, 12]);
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 14, 16]);
            bytes.extend((data.len() as u16).to_be_bytes());
            bytes.extend(*data);
        }
        bytes
    }

    #[test]
    fn records_read_as_in_a_zone_file() {
        let soa = [&b"\x02ns\xC0\x10\x04root\xC0\x10"[..], &2_026_112_201_u32.to_be_bytes(), &[0; 16]].concat();
        for (kind, number, data, text) in [
            (RecordType::A, 1, &b"\xC0\x00\x02\x01"[..], "192.0.2.1"),
            (RecordType::Aaaa, 28, b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", "2001:db8::1"),
            (RecordType::Mx, 15, b"\0\x0a\x04mail\xC0\x10", "10 mail.example.org"),
            (RecordType::Cname, 5, b"\xC0\x10", "example.org"),
            (RecordType::Srv, 33, b"\0\x01\0\x02\0\x35\x01x\0", "1 2 53 x"),
            (RecordType::Txt, 16, b"\x02ab\x03c\x01d", "abc?d"),
            (RecordType::Soa, 6, &soa, "ns.example.org root.example.org 2026112201"),
        ] {
            let answer = question(kind).answer(&message(0x8580, kind, &[(number, data), (99, b"?")])).unwrap();
            assert!(answer.is_authoritative && answer.offers_recursion && !answer.is_truncated);
            assert_eq!(answer.records.len(), 1, "other types are left out");
            assert_eq!((&*answer.records[0].data, answer.records[0].ttl_s), (text, 3600));
            assert_eq!(answer.records[0].serial.is_some(), kind == RecordType::Soa);
        }
    }

    #[test]
    fn signatures_tell_when_they_end() {
        let data = [
            &b"\0\x06\x0d\x02\0\0\x0e\x10"[..],
            &1_796_000_000_u32.to_be_bytes(),
            &1_795_000_000_u32.to_be_bytes(),
            b"\x12\x34\xC0\x10sig",
        ]
        .concat();
        let answer = question(RecordType::Rrsig).answer(&message(0x8580, RecordType::Rrsig, &[(46, &data)])).unwrap();
        let signature = answer.records[0].signature.unwrap();
        assert_eq!(signature, Signature { covers: 6, begins: 1_795_000_000, ends: 1_796_000_000 });
        assert_eq!(answer.records[0].data, "6 13 1796000000 1795000000 4660 example.org");
        assert_eq!((signature.left_s(1_795_999_990), signature.left_s(1_796_000_060)), (10, -60));
        let round = Signature { ends: 100, ..signature };
        assert_eq!(round.left_s((1 << 32) - 50), 150, "seconds come round in 2106");
    }

    #[test]
    fn serials_come_round() {
        for (serial, than, newer) in
            [(2, 1, true), (1, 2, false), (1, 1, false), (5, u32::MAX, true), (u32::MAX, 5, false)]
        {
            assert_eq!(is_newer(serial, than), newer, "{serial} {than}");
        }
    }

    #[test]
    fn answers_to_other_questions_are_not_ours() {
        let good = message(0x8180, RecordType::A, &[]);
        assert_eq!(question(RecordType::A).answer(&good).map(|answer| answer.code), Ok(0));
        assert_eq!(question(RecordType::Mx).answer(&good), Err(DnsError::Stranger));
        let other = Question { id: 1, ..question(RecordType::A) };
        assert_eq!(other.answer(&good), Err(DnsError::Stranger));
        let query = message(0x0100, RecordType::A, &[]);
        assert_eq!(question(RecordType::A).answer(&query), Err(DnsError::Stranger));
    }

    #[test]
    fn names_that_lead_in_a_circle_or_nowhere_are_refused() {
        for data in [&b"\xC0\x2D"[..], b"\xFF\xFF", b"\x40a", b"\x05ab", b""] {
            let bytes = message(0x8180, RecordType::Cname, &[(5, data)]);
            assert!(matches!(question(RecordType::Cname).answer(&bytes), Err(DnsError::Broken(_))), "{data:?}");
        }
        for name in ["a..b", ".", &"a".repeat(64), &"abc.".repeat(64), "é", "a b"] {
            assert_eq!(encode_name(name).is_ok(), name == ".", "{name}");
        }
    }

    #[test]
    fn what_was_cut_off_is_told() {
        let whole = message(0x8380, RecordType::A, &[(1, &[192, 0, 2, 1]), (1, &[192, 0, 2, 2])]);
        let answer = question(RecordType::A).answer(&whole[..whole.len() - 3]).unwrap();
        assert!(answer.is_truncated);
        assert_eq!(answer.records.len(), 1);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), tail in prop::collection::vec(any::<u8>(), 0..80)) {
            let question = question(RecordType::A);
            let _ = question.answer(&bytes);
            let mut near = message(0x8180, RecordType::A, &[]);
            near[7] = 3;
            near.extend(tail);
            if let Ok(answer) = question.answer(&near) {
                prop_assert!(answer.records.len() <= 3);
            }
        }

        #[test]
        fn a_truncation_is_never_a_whole_answer(cut in any::<prop::sample::Index>()) {
            let whole = message(0x8180, RecordType::A, &[(1, &[192, 0, 2, 1])]);
            prop_assert!(question(RecordType::A).answer(&whole[..cut.index(whole.len())]).is_err());
        }
    }
}
