//! The IPMI LAN message inside a packet: addresses, network function, request sequence, command, checksums
//! (section 13.8).

use super::PacketError;
use super::cursor::Cursor;

/// The controller's slave address.
const BMC_ADDRESS: u8 = 0x20;
/// Remote console software id (section 5.5).
const CONSOLE_ADDRESS: u8 = 0x81;

/// rqSeq has six bits.
pub const REQUEST_SEQUENCE_MASK: u8 = 0x3F;

/// A request as both ends see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub netfn: u8,
    pub lun: u8,
    pub command: u8,
    pub sequence: u8,
    pub data: Vec<u8>,
}

/// An answer as both ends see it; `netfn` is the request's (even) code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub netfn: u8,
    pub command: u8,
    pub sequence: u8,
    pub completion: u8,
    pub data: Vec<u8>,
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}

fn assemble(head: [u8; 2], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + body.len() + 2);
    out.extend(head);
    out.push(checksum(&head));
    out.extend(body);
    out.push(checksum(body));
    out
}

/// The verified first two bytes and the verified body.
fn disassemble(bytes: &[u8]) -> Result<([u8; 2], &[u8]), PacketError> {
    let mut cursor = Cursor::new(bytes);
    let head: [u8; 2] = cursor.array().ok_or(PacketError::Truncated("message header"))?;
    if cursor.u8().ok_or(PacketError::Truncated("message header"))? != checksum(&head) {
        return Err(PacketError::Checksum("message header"));
    }
    let (last, body) = cursor.rest().split_last().ok_or(PacketError::Truncated("message body"))?;
    if *last != checksum(body) {
        return Err(PacketError::Checksum("message body"));
    }
    Ok((head, body))
}

impl Request {
    pub fn encode(&self) -> Vec<u8> {
        self.encode_for(BMC_ADDRESS, CONSOLE_ADDRESS)
    }

    /// For the controller at `responder`, from `requester`.
    pub(super) fn encode_for(&self, responder: u8, requester: u8) -> Vec<u8> {
        let mut body = vec![requester, (self.sequence & REQUEST_SEQUENCE_MASK) << 2, self.command];
        body.extend(&self.data);
        assemble([responder, self.netfn << 2 | self.lun & 3], &body)
    }

    /// # Errors
    /// When a checksum is wrong or the bytes end early.
    pub fn decode(bytes: &[u8]) -> Result<Self, PacketError> {
        let ([_, function], body) = disassemble(bytes)?;
        let mut cursor = Cursor::new(body);
        let [_, sequence, command] = cursor.array().ok_or(PacketError::Truncated("request"))?;
        let data = cursor.rest().to_vec();
        Ok(Request { netfn: function >> 2, lun: function & 3, command, sequence: sequence >> 2, data })
    }

    /// The answer to this request.
    pub fn answer(&self, completion: u8, data: Vec<u8>) -> Response {
        Response { netfn: self.netfn, command: self.command, sequence: self.sequence, completion, data }
    }
}

impl Response {
    pub fn encode(&self) -> Vec<u8> {
        let mut body = vec![BMC_ADDRESS, (self.sequence & REQUEST_SEQUENCE_MASK) << 2, self.command, self.completion];
        body.extend(&self.data);
        assemble([CONSOLE_ADDRESS, (self.netfn | 1) << 2], &body)
    }

    /// # Errors
    /// When a checksum is wrong, the bytes end early, or this is a request.
    pub fn decode(bytes: &[u8]) -> Result<Self, PacketError> {
        let ([_, function], body) = disassemble(bytes)?;
        let mut cursor = Cursor::new(body);
        let [_, sequence, command, completion] = cursor.array().ok_or(PacketError::Truncated("response"))?;
        let data = cursor.rest().to_vec();
        let netfn = (function >> 2).checked_sub(1).filter(|netfn| netfn % 2 == 0);
        let netfn = netfn.ok_or(PacketError::PayloadType(function >> 2))?;
        Ok(Response { netfn, command, sequence: sequence >> 2, completion, data })
    }

    /// True when this answers `request`: network function, command and rqSeq all match.
    pub fn answers(&self, request: &Request) -> bool {
        self.netfn == request.netfn && self.command == request.command && self.sequence == request.sequence
    }
}
