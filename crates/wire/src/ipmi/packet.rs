//! RMCP and session headers: the outer layers of each datagram, plain, IPMI 1.5 and RMCP+ (sections 13.1 to 13.6).

use super::PacketError;
use super::crypto::{AES_BYTES, SessionKeys, same_code};
use super::cursor::Cursor;

const RMCP_VERSION: u8 = 0x06;
/// No RMCP acknowledgement wanted (section 13.1.3).
const RMCP_NO_ACK: u8 = 0xFF;
const CLASS_ASF: u8 = 0x06;
const CLASS_IPMI: u8 = 0x07;
const AUTH_NONE: u8 = 0x00;
const AUTH_RMCP_PLUS: u8 = 0x06;
const NEXT_HEADER: u8 = 0x07;
const ENCRYPTED: u8 = 0x80;
const AUTHENTICATED: u8 = 0x40;
/// Authentication type, payload type, session id, sequence, length of an RMCP+ packet.
const HEADER_BYTES: usize = 12;

/// Payload types (table 13-16).
pub mod payload {
    pub const IPMI: u8 = 0x00;
    pub const OPEN_REQUEST: u8 = 0x10;
    pub const OPEN_RESPONSE: u8 = 0x11;
    pub const RAKP_1: u8 = 0x12;
    pub const RAKP_2: u8 = 0x13;
    pub const RAKP_3: u8 = 0x14;
    pub const RAKP_4: u8 = 0x15;
}

/// A datagram with its headers taken off, nothing verified yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame<'a> {
    /// ASF presence ping or pong: the body after the RMCP header.
    Asf(&'a [u8]),
    /// IPMI 1.5 without authentication: only used before a session exists.
    Plain { session_id: u32, message: &'a [u8] },
    /// RMCP+ outside a session: Open Session and RAKP messages.
    Setup { payload_type: u8, payload: &'a [u8] },
    /// RMCP+ inside a session.
    Session(SessionFrame<'a>),
}

/// One packet of a session, still sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionFrame<'a> {
    pub session_id: u32,
    pub sequence: u32,
    pub payload_type: u8,
    is_encrypted: bool,
    is_authenticated: bool,
    payload: &'a [u8],
    /// From authentication type to the end of the datagram, authentication code included.
    bytes: &'a [u8],
}

fn rmcp(class: u8) -> Vec<u8> {
    vec![RMCP_VERSION, 0, RMCP_NO_ACK, class]
}

/// Takes the headers off.
///
/// # Errors
/// When the bytes are not RMCP, or end early.
pub fn decode(datagram: &[u8]) -> Result<Frame<'_>, PacketError> {
    let mut cursor = Cursor::new(datagram);
    let [version, _, _, class] = cursor.array().ok_or(PacketError::Truncated("RMCP header"))?;
    if version != RMCP_VERSION {
        return Err(PacketError::NotRmcp("ASF or IPMI"));
    }
    match class & 0x9F {
        CLASS_ASF => return Ok(Frame::Asf(cursor.rest())),
        CLASS_IPMI => {}
        _ => return Err(PacketError::NotRmcp("ASF or IPMI")),
    }
    let bytes = cursor.rest();
    let mut cursor = Cursor::new(bytes);
    match cursor.u8().ok_or(PacketError::Truncated("authentication type"))? {
        AUTH_NONE => decode_plain(cursor).ok_or(PacketError::Truncated("IPMI 1.5 packet")),
        AUTH_RMCP_PLUS => decode_plus(cursor, bytes),
        other => Err(PacketError::AuthType(other)),
    }
}

fn decode_plain(mut cursor: Cursor<'_>) -> Option<Frame<'_>> {
    let _sequence = cursor.u32()?;
    let session_id = cursor.u32()?;
    let length = cursor.u8()?;
    Some(Frame::Plain { session_id, message: cursor.take(usize::from(length))? })
}

fn decode_plus<'a>(mut cursor: Cursor<'a>, bytes: &'a [u8]) -> Result<Frame<'a>, PacketError> {
    let header = |cursor: &mut Cursor<'a>| {
        let kind = cursor.u8()?;
        Some((kind, cursor.u32()?, cursor.u32()?, usize::from(cursor.u16()?)))
    };
    let (kind, session_id, sequence, length) = header(&mut cursor).ok_or(PacketError::Truncated("RMCP+ header"))?;
    let payload_type = kind & 0x3F;
    let payload = cursor.take(length).ok_or(PacketError::Truncated("RMCP+ payload"))?;
    if session_id == 0 {
        return Ok(Frame::Setup { payload_type, payload });
    }
    let (is_encrypted, is_authenticated) = (kind & ENCRYPTED != 0, kind & AUTHENTICATED != 0);
    Ok(Frame::Session(SessionFrame {
        session_id,
        sequence,
        payload_type,
        is_encrypted,
        is_authenticated,
        payload,
        bytes,
    }))
}

/// Integrity pad: authentication type to next header is a multiple of four bytes (section 13.28.4).
fn trailer_pad(before: usize) -> usize {
    (4 - (before + 2) % 4) % 4
}

/// An IPMI message outside any session, in the IPMI 1.5 form each controller understands.
pub fn encode_plain(message: &[u8]) -> Vec<u8> {
    let mut out = rmcp(CLASS_IPMI);
    out.push(AUTH_NONE);
    out.extend([0; 8]);
    out.push(u8::try_from(message.len()).expect("messages before a session are short"));
    out.extend(message);
    out
}

/// An Open Session or RAKP message.
pub fn encode_setup(payload_type: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = rmcp(CLASS_IPMI);
    out.extend([AUTH_RMCP_PLUS, payload_type]);
    out.extend([0; 8]);
    out.extend(length_of(payload));
    out.extend(payload);
    out
}

/// An ASF presence pong for the ping with `body` (ASF 2.0 §3.2.4.3), saying that IPMI is supported.
pub fn encode_pong(body: &[u8]) -> Option<Vec<u8>> {
    const IANA_ASF: [u8; 4] = [0, 0, 0x11, 0xBE];
    const PING: u8 = 0x80;
    const PONG: u8 = 0x40;
    const SUPPORTS_IPMI: u8 = 0x81;
    let mut cursor = Cursor::new(body);
    if cursor.array()? != IANA_ASF || cursor.u8()? != PING {
        return None;
    }
    let tag = cursor.u8()?;
    let mut out = rmcp(CLASS_ASF);
    out.extend(IANA_ASF);
    out.extend([PONG, tag, 0, 16]);
    out.extend(IANA_ASF);
    out.extend([0; 4]);
    out.extend([SUPPORTS_IPMI, 0, 0, 0, 0, 0, 0, 0]);
    Some(out)
}

fn length_of(payload: &[u8]) -> [u8; 2] {
    u16::try_from(payload.len()).expect("payloads fit one datagram").to_le_bytes()
}

/// Where a sealed packet goes, and its place in the session.
#[derive(Clone, Copy, Debug)]
pub struct SealedHeader {
    pub session_id: u32,
    pub sequence: u32,
    pub payload_type: u8,
}

/// Writes an authenticated packet, encrypted where the suite encrypts, over what is in `out`: one buffer serves for all
/// packets of a session, because thousands are sent a second.
pub(super) fn seal(keys: &SessionKeys, header: SealedHeader, payload: &[u8], iv: [u8; AES_BYTES], out: &mut Vec<u8>) {
    const RMCP_BYTES: usize = 4;
    let sealed_bytes = keys.sealed_bytes(payload.len());
    let pad = trailer_pad(HEADER_BYTES + sealed_bytes);
    let signed_bytes = HEADER_BYTES + sealed_bytes + pad + 2;
    out.clear();
    out.reserve(RMCP_BYTES + signed_bytes + keys.suite().icv_bytes());
    out.extend([RMCP_VERSION, 0, RMCP_NO_ACK, CLASS_IPMI]);
    let encrypted = if keys.suite().is_encrypted() { ENCRYPTED } else { 0 };
    out.extend([AUTH_RMCP_PLUS, header.payload_type | AUTHENTICATED | encrypted]);
    out.extend(header.session_id.to_le_bytes());
    out.extend(header.sequence.to_le_bytes());
    out.extend(u16::try_from(sealed_bytes).expect("payloads fit one datagram").to_le_bytes());
    keys.encrypt(payload, iv, out);
    out.extend(std::iter::repeat_n(0xFF, pad));
    out.extend([pad as u8, NEXT_HEADER]);
    let code = keys.auth_code(out.split_at(RMCP_BYTES).1);
    out.extend(code.bytes());
}

/// Verifies and decrypts a packet of this session.
pub(super) fn unseal(keys: &SessionKeys, frame: &SessionFrame<'_>) -> Result<Vec<u8>, PacketError> {
    if !frame.is_authenticated || frame.is_encrypted != keys.suite().is_encrypted() {
        return Err(PacketError::Unprotected);
    }
    // Counted from the end: controllers disagree about the integrity pad, never about the code's length.
    let signed_bytes = frame.bytes.len().checked_sub(keys.suite().icv_bytes()).ok_or(PacketError::AuthCode)?;
    if signed_bytes < HEADER_BYTES + frame.payload.len() {
        return Err(PacketError::AuthCode);
    }
    let (signed, code) = frame.bytes.split_at_checked(signed_bytes).ok_or(PacketError::AuthCode)?;
    if !same_code(keys.auth_code(signed).bytes(), code) {
        return Err(PacketError::AuthCode);
    }
    keys.decrypt(frame.payload)
}

/// Session sequence numbers already taken (section 6.12.13): each is accepted once, and only near the newest.
#[derive(Clone, Copy, Debug, Default)]
pub struct SequenceWindow {
    newest: u32,
    /// Bit n: `newest - n` was taken.
    taken: u32,
}

impl SequenceWindow {
    /// Takes `sequence` if it is new.
    ///
    /// # Errors
    /// When it was taken before, is zero, or is more than 31 behind the newest.
    pub fn take(&mut self, sequence: u32) -> Result<(), PacketError> {
        if sequence == 0 {
            return Err(PacketError::Replayed(0));
        }
        if let Some(ahead) = sequence.checked_sub(self.newest).filter(|ahead| *ahead > 0) {
            self.taken = self.taken.checked_shl(ahead).unwrap_or(0) | 1;
            self.newest = sequence;
            return Ok(());
        }
        let bit = 1u32.checked_shl(self.newest - sequence).ok_or(PacketError::Replayed(sequence))?;
        if self.taken & bit != 0 {
            return Err(PacketError::Replayed(sequence));
        }
        self.taken |= bit;
        Ok(())
    }
}

/// The console's session id a datagram from a controller is meant for; `None` for packets outside RMCP+.
pub fn addressed_session(datagram: &[u8]) -> Option<u32> {
    match decode(datagram).ok()? {
        Frame::Session(frame) => Some(frame.session_id),
        // Tag, status and two bytes come before the id in all three answers (sections 13.18, 13.21, 13.23).
        Frame::Setup { payload: body, payload_type: payload::OPEN_RESPONSE | payload::RAKP_2 | payload::RAKP_4 } => {
            let mut cursor = Cursor::new(body);
            cursor.skip(4)?;
            cursor.u32()
        }
        Frame::Setup { .. } | Frame::Plain { .. } | Frame::Asf(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_is_taken_once() {
        let mut window = SequenceWindow::default();
        for (sequence, is_taken) in [
            (0, false),
            (1, true),
            (1, false),
            (3, true),
            (2, true),
            (2, false),
            (40, true),
            (9, true),
            (8, false),
            (u32::MAX, true),
            (40, false),
        ] {
            assert_eq!(window.take(sequence).is_ok(), is_taken, "sequence {sequence}");
        }
    }

    #[test]
    fn a_presence_ping_gets_its_pong() {
        let pong = encode_pong(&[0, 0, 0x11, 0xBE, 0x80, 5, 0, 0]).expect("a ping");
        assert_eq!(&pong[..12], &[6, 0, 0xFF, 6, 0, 0, 0x11, 0xBE, 0x40, 5, 0, 16]);
        assert_eq!(pong.len(), 28);
        assert_eq!(encode_pong(&[0, 0, 0x11, 0xBE, 0x40, 5]), None);
    }
}
