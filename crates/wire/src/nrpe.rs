//! NRPE packets of versions 2, 3 and 4: a command to a Nagios agent, and what its plugin printed.

/// Header of versions 3 and 4; that of version 2 is shorter.
pub const HEADER_BYTES: usize = 16;
/// Longest text in either direction of versions 3 and 4 (nrpe's `MAX_PACKETBUFFER_LENGTH` is this or less).
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

const V2_BYTES: usize = 1036;
const V2_TEXT_AT: usize = 10;
const V2_TEXT_BYTES: usize = 1024;
/// Version 3 sends its C structure with the padding behind the text.
const V3_PADDING_BYTES: usize = 3;
const CRC_AT: std::ops::Range<usize> = 4..8;
const QUERY: u16 = 1;
const RESPONSE: u16 = 2;

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Version {
    V2,
    V3,
    V4,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    Query,
    Response,
}

/// One packet; `code` is 0 in a query and the plugin's exit code in a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet {
    pub version: Version,
    pub kind: Kind,
    pub code: i16,
    /// Without its final NUL; holds no NUL.
    pub text: Vec<u8>,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NrpeError {
    #[error("{found} bytes are no NRPE packet, which has {wanted}")]
    Length { found: usize, wanted: usize },
    #[error("NRPE has no packet version {0}")]
    Version(u16),
    #[error("NRPE has no packet type {0}")]
    Kind(u16),
    #[error("an NRPE packet with a text of {0} bytes is not believable")]
    TextLength(u32),
    #[error("the checksum of the NRPE packet is wrong")]
    Checksum,
    #[error("the text of the NRPE packet has no end")]
    NoEnd,
    #[error("{0} bytes do not fit into an NRPE query")]
    TooLong(usize),
    #[error("the text of an NRPE packet cannot hold a NUL")]
    Nul,
}

impl Version {
    pub fn number(self) -> u16 {
        match self {
            Version::V2 => 2,
            Version::V3 => 3,
            Version::V4 => 4,
        }
    }

    pub fn from_number(number: u16) -> Option<Version> {
        [Version::V2, Version::V3, Version::V4].into_iter().find(|version| version.number() == number)
    }

    /// Longest text of one packet.
    pub fn text_bytes_max(self) -> usize {
        match self {
            Version::V2 => V2_TEXT_BYTES - 1,
            Version::V3 | Version::V4 => TEXT_BYTES_MAX - 1,
        }
    }
}

impl Packet {
    pub fn query(version: Version, text: &[u8]) -> Packet {
        Packet { version, kind: Kind::Query, code: 0, text: text.to_vec() }
    }

    /// # Errors
    /// The text is too long or holds a NUL.
    pub fn encode(&self) -> Result<Vec<u8>, NrpeError> {
        if self.text.len() > self.version.text_bytes_max() {
            return Err(NrpeError::TooLong(self.text.len()));
        }
        if self.text.contains(&0) {
            return Err(NrpeError::Nul);
        }
        let kind = match self.kind {
            Kind::Query => QUERY,
            Kind::Response => RESPONSE,
        };
        let mut packet = Vec::with_capacity(V2_BYTES);
        packet.extend(self.version.number().to_be_bytes());
        packet.extend(kind.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(self.code.to_be_bytes());
        if self.version == Version::V2 {
            packet.extend(&self.text);
            packet.resize(V2_BYTES, 0);
        } else {
            let length = self.buffer_bytes();
            packet.extend([0; 2]);
            packet.extend((length as u32).to_be_bytes());
            packet.extend(&self.text);
            packet.resize(HEADER_BYTES + length + padding(self.version), 0);
        }
        let crc = crc32(&packet).to_be_bytes();
        packet.splice(CRC_AT, crc);
        Ok(packet)
    }

    /// A query is no shorter than one of version 2, as check_nrpe has it: servers read at least that much.
    fn buffer_bytes(&self) -> usize {
        let wanted = self.text.len() + 1;
        match self.kind {
            Kind::Query => wanted.max(V2_BYTES - HEADER_BYTES - padding(self.version)),
            Kind::Response => wanted,
        }
    }

    /// Reads one whole packet, whose length [`packet_bytes`] told.
    ///
    /// # Errors
    /// It is not one.
    pub fn decode(bytes: &[u8]) -> Result<Packet, NrpeError> {
        let wanted = packet_bytes(bytes)?;
        if bytes.len() != wanted {
            return Err(NrpeError::Length { found: bytes.len(), wanted });
        }
        let short = NrpeError::Length { found: bytes.len(), wanted: HEADER_BYTES };
        let number = |at: usize| u16_at(bytes, at).ok_or(short.clone());
        let version = Version::from_number(number(0)?).ok_or(NrpeError::Version(number(0)?))?;
        let kind = match number(2)? {
            QUERY => Kind::Query,
            RESPONSE => Kind::Response,
            other => return Err(NrpeError::Kind(other)),
        };
        let mut blank = bytes.to_vec();
        blank.splice(CRC_AT, [0; 4]);
        if bytes.get(CRC_AT) != Some(&crc32(&blank).to_be_bytes()[..]) {
            return Err(NrpeError::Checksum);
        }
        let text = match version {
            Version::V2 => bytes.get(V2_TEXT_AT..V2_TEXT_AT + V2_TEXT_BYTES),
            Version::V3 | Version::V4 => bytes.get(HEADER_BYTES..wanted - padding(version)),
        };
        let text = text.unwrap_or_default();
        let end = text.iter().position(|byte| *byte == 0).ok_or(NrpeError::NoEnd)?;
        let text = text.get(..end).unwrap_or_default().to_vec();
        Ok(Packet { version, kind, code: number(8)?.cast_signed(), text })
    }
}

/// How long the packet is that begins with these bytes, [`HEADER_BYTES`] or more.
///
/// # Errors
/// They begin no packet.
pub fn packet_bytes(head: &[u8]) -> Result<usize, NrpeError> {
    let short = || NrpeError::Length { found: head.len(), wanted: HEADER_BYTES };
    let number = u16_at(head, 0).ok_or_else(short)?;
    let version = Version::from_number(number).ok_or(NrpeError::Version(number))?;
    if version == Version::V2 {
        return Ok(V2_BYTES);
    }
    let length = head.get(12..HEADER_BYTES).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let length = length.ok_or_else(short)?;
    match usize::try_from(length) {
        Ok(bytes @ 1..=TEXT_BYTES_MAX) => Ok(HEADER_BYTES + bytes + padding(version)),
        _ => Err(NrpeError::TextLength(length)),
    }
}

fn padding(version: Version) -> usize {
    if version == Version::V3 { V3_PADDING_BYTES } else { 0 }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The CRC-32 of zlib and Ethernet: reflected polynomial EDB88320, all ones before and after.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(u32::MAX, |crc, byte| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn response(version: Version, code: i16, text: &[u8]) -> Packet {
        Packet { version, kind: Kind::Response, code, text: text.to_vec() }
    }

    #[test]
    fn the_checksum_is_that_of_zlib() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn queries_have_the_sizes_of_check_nrpe() {
        for (version, length) in [(Version::V2, None), (Version::V3, Some(1017)), (Version::V4, Some(1020))] {
            let packet = Packet::query(version, b"check_load").encode().unwrap();
            assert_eq!(packet.len(), 1036, "{version:?}");
            if let Some(length) = length {
                assert_eq!(packet.get(12..16), Some(&u32::to_be_bytes(length)[..]), "{version:?}");
            }
        }
    }

    #[test]
    fn the_longest_text_fits_and_one_more_byte_does_not() {
        for version in [Version::V2, Version::V3, Version::V4] {
            let text = vec![b'x'; version.text_bytes_max()];
            let packet = response(version, 0, &text);
            assert_eq!(Packet::decode(&packet.encode().unwrap()), Ok(packet.clone()));
            let longer = Packet { text: [&text[..], b"x"].concat(), ..packet };
            assert_eq!(longer.encode(), Err(NrpeError::TooLong(text.len() + 1)));
        }
    }

    #[test]
    fn the_filler_of_version_2_does_not_matter_but_is_under_the_checksum() {
        let mut packet = response(Version::V2, 2, b"DISK CRITICAL").encode().unwrap();
        packet[100] = 0x5a;
        assert_eq!(Packet::decode(&packet), Err(NrpeError::Checksum));
        packet.splice(CRC_AT, [0; 4]);
        let crc = crc32(&packet).to_be_bytes();
        packet.splice(CRC_AT, crc);
        assert_eq!(Packet::decode(&packet), Ok(response(Version::V2, 2, b"DISK CRITICAL")));
    }

    #[test]
    fn lengths_that_lie_are_refused_before_anything_is_read() {
        let mut head = response(Version::V4, 0, b"x").encode().unwrap();
        for length in [0_u32, TEXT_BYTES_MAX as u32 + 1, u32::MAX] {
            head.splice(12..16, length.to_be_bytes());
            assert_eq!(packet_bytes(&head), Err(NrpeError::TextLength(length)));
        }
        assert_eq!(packet_bytes(b"HT"), Err(NrpeError::Version(0x4854)));
        assert!(matches!(packet_bytes(&[0]), Err(NrpeError::Length { .. })));
    }

    #[test]
    fn a_text_without_end_is_refused() {
        let mut packet = response(Version::V4, 0, b"xy").encode().unwrap();
        packet[18] = b'z';
        packet.splice(CRC_AT, [0; 4]);
        let crc = crc32(&packet).to_be_bytes();
        packet.splice(CRC_AT, crc);
        assert_eq!(Packet::decode(&packet), Err(NrpeError::NoEnd));
    }

    fn any_packet() -> impl Strategy<Value = Packet> {
        let version = prop_oneof![Just(Version::V2), Just(Version::V3), Just(Version::V4)];
        let kind = prop_oneof![Just(Kind::Query), Just(Kind::Response)];
        (version, kind, any::<i16>(), prop::collection::vec(1_u8..=255, 0..1024)).prop_map(
            |(version, kind, code, text)| {
                let text = text.into_iter().take(version.text_bytes_max()).collect();
                Packet { version, kind, code, text }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(packet in any_packet()) {
            let bytes = packet.encode().unwrap();
            prop_assert_eq!(packet_bytes(&bytes), Ok(bytes.len()));
            prop_assert_eq!(Packet::decode(&bytes), Ok(packet));
        }

        #[test]
        fn no_truncation_and_no_flipped_bit_is_taken(packet in any_packet(), at: prop::sample::Index, bit in 0..8_u32) {
            let bytes = packet.encode().unwrap();
            let at = at.index(bytes.len());
            prop_assert!(Packet::decode(&bytes[..at]).is_err());
            let mut flipped = bytes;
            flipped[at] ^= 1 << bit;
            prop_assert!(Packet::decode(&flipped).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = (packet_bytes(&bytes), Packet::decode(&bytes));
        }
    }
}
