//! The messages that open a session: Open Session and RAKP 1 to 4 (sections 13.17 to 13.24), and their codes.

use std::fmt;

use super::cursor::Cursor;
use super::{PacketError, Suite, USER_BYTES_MAX};

/// Status codes of these messages (table 13-15).
pub mod status {
    pub const OK: u8 = 0x00;
    pub const NO_RESOURCES: u8 = 0x01;
    pub const INVALID_SESSION: u8 = 0x02;
    pub const INVALID_AUTHENTICATION: u8 = 0x04;
    pub const INVALID_INTEGRITY: u8 = 0x05;
    pub const NO_AUTHENTICATION_PAYLOAD: u8 = 0x06;
    pub const NO_INTEGRITY_PAYLOAD: u8 = 0x07;
    pub const INACTIVE_SESSION: u8 = 0x08;
    pub const INVALID_ROLE: u8 = 0x09;
    pub const UNAUTHORIZED_ROLE: u8 = 0x0A;
    pub const NO_RESOURCES_FOR_ROLE: u8 = 0x0B;
    pub const INVALID_NAME_LENGTH: u8 = 0x0C;
    pub const UNAUTHORIZED_NAME: u8 = 0x0D;
    pub const UNAUTHORIZED_GUID: u8 = 0x0E;
    pub const INVALID_INTEGRITY_VALUE: u8 = 0x0F;
    pub const INVALID_CONFIDENTIALITY: u8 = 0x10;
    pub const NO_SUITE_MATCH: u8 = 0x11;
    pub const ILLEGAL_PARAMETER: u8 = 0x12;

    /// What a status means, for people.
    pub fn text(code: u8) -> &'static str {
        match code {
            OK => "no error",
            NO_RESOURCES | NO_RESOURCES_FOR_ROLE => "no free session",
            INVALID_SESSION => "invalid session id",
            INVALID_AUTHENTICATION => "invalid authentication algorithm",
            INVALID_INTEGRITY => "invalid integrity algorithm",
            NO_AUTHENTICATION_PAYLOAD => "no matching authentication payload",
            NO_INTEGRITY_PAYLOAD => "no matching integrity payload",
            INACTIVE_SESSION => "inactive session id",
            INVALID_ROLE => "invalid role",
            UNAUTHORIZED_ROLE => "privilege level not allowed for this user",
            INVALID_NAME_LENGTH => "invalid user name length",
            UNAUTHORIZED_NAME => "unknown user name",
            UNAUTHORIZED_GUID => "unauthorized GUID",
            INVALID_INTEGRITY_VALUE => "invalid integrity check value",
            INVALID_CONFIDENTIALITY => "invalid confidentiality algorithm",
            NO_SUITE_MATCH => "no matching cipher suite",
            ILLEGAL_PARAMETER => "illegal parameter",
            _ => "reserved status code",
        }
    }
}

/// The role byte of RAKP 1 asks the controller to look the user up by name only, not by name and privilege.
/// It is part of every authentication code, so the byte must be the same in all of them.
pub const NAME_ONLY_LOOKUP: u8 = 0x10;

/// The three algorithms proposed or chosen.
pub type Algorithms = [u8; 3];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    pub tag: u8,
    /// Privilege code; 0 asks for the highest the suite allows.
    pub privilege: u8,
    pub console_session: u32,
    pub algorithms: Algorithms,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenResponse {
    pub tag: u8,
    pub status: u8,
    /// Largest privilege allowed; some simulators and controllers say 0 here and mean nothing by it.
    pub privilege: u8,
    pub console_session: u32,
    /// What follows is only there without an error.
    pub accepted: Option<(u32, Algorithms)>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Rakp1 {
    pub tag: u8,
    pub bmc_session: u32,
    pub console_nonce: [u8; 16],
    pub role: u8,
    pub user: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rakp2 {
    pub tag: u8,
    pub status: u8,
    pub console_session: u32,
    /// Nonce, GUID and authentication code of the controller; only there without an error.
    pub proof: Option<([u8; 16], [u8; 16], Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rakp3 {
    pub tag: u8,
    pub status: u8,
    pub bmc_session: u32,
    pub auth_code: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rakp4 {
    pub tag: u8,
    pub status: u8,
    pub console_session: u32,
    pub integrity_check: Vec<u8>,
}

impl fmt::Debug for Rakp1 {
    /// The user name stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rakp1(tag {}, session {:#010x}, role {:#04x})", self.tag, self.bmc_session, self.role)
    }
}

fn put_algorithms(out: &mut Vec<u8>, algorithms: Algorithms) {
    /// Bytes of one algorithm record, itself included (section 13.17).
    const RECORD_BYTES: u8 = 8;
    for (kind, algorithm) in (0u8..).zip(algorithms) {
        out.extend([kind, 0, 0, RECORD_BYTES, algorithm, 0, 0, 0]);
    }
}

fn get_algorithms(cursor: &mut Cursor<'_>) -> Option<Algorithms> {
    let mut algorithms = [0; 3];
    for slot in &mut algorithms {
        let [_, _, _, _, algorithm, _, _, _] = cursor.array()?;
        *slot = algorithm & 0x3F;
    }
    Some(algorithms)
}

/// How all three answers of a controller begin.
struct Answer {
    tag: u8,
    status: u8,
    third: u8,
    console_session: u32,
}

impl Answer {
    /// A refusal may end after its status (OpenIPMI does so); the missing bytes then read as zero.
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let [tag, status] = cursor.array()?;
        let rest = cursor.array().zip(cursor.u32());
        let ([third, _], console_session) = match (rest, status) {
            (Some(rest), _) => rest,
            (None, status::OK) => return None,
            (None, _) => ([0, 0], 0),
        };
        Some(Answer { tag, status, third, console_session })
    }
}

impl OpenRequest {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, self.privilege, 0, 0];
        out.extend(self.console_session.to_le_bytes());
        put_algorithms(&mut out, self.algorithms);
        out
    }

    /// # Errors
    /// When the bytes end early.
    pub fn decode(bytes: &[u8]) -> Result<Self, PacketError> {
        let mut cursor = Cursor::new(bytes);
        let mut read = || {
            let [tag, privilege, _, _] = cursor.array()?;
            let console_session = cursor.u32()?;
            Some(OpenRequest {
                tag,
                privilege: privilege & 0x0F,
                console_session,
                algorithms: get_algorithms(&mut cursor)?,
            })
        };
        read().ok_or(PacketError::Truncated("Open Session request"))
    }
}

impl OpenResponse {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, self.status, self.privilege, 0];
        out.extend(self.console_session.to_le_bytes());
        if let Some((bmc_session, algorithms)) = self.accepted {
            out.extend(bmc_session.to_le_bytes());
            put_algorithms(&mut out, algorithms);
        }
        out
    }

    /// # Errors
    /// When the bytes end early.
    pub fn decode(bytes: &[u8]) -> Result<Self, PacketError> {
        let mut cursor = Cursor::new(bytes);
        let mut read = || {
            let Answer { tag, status, third, console_session } = Answer::read(&mut cursor)?;
            let accepted = match status {
                status::OK => Some((cursor.u32()?, get_algorithms(&mut cursor)?)),
                _ => None,
            };
            Some(OpenResponse { tag, status, privilege: third & 0x0F, console_session, accepted })
        };
        read().ok_or(PacketError::Truncated("Open Session response"))
    }
}

impl Rakp1 {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, 0, 0, 0];
        out.extend(self.bmc_session.to_le_bytes());
        out.extend(self.console_nonce);
        out.extend([self.role, 0, 0, self.user.len() as u8]);
        out.extend(&self.user);
        out
    }

    /// # Errors
    /// When the bytes end early or the name is longer than the specification allows.
    pub fn decode(bytes: &[u8]) -> Result<Self, PacketError> {
        let mut cursor = Cursor::new(bytes);
        let mut read = || {
            let [tag, _, _, _] = cursor.array()?;
            let bmc_session = cursor.u32()?;
            let console_nonce = cursor.array()?;
            let [role, _, _, length] = cursor.array()?;
            let length = usize::from(length);
            let user = cursor.take(length).filter(|_| length <= USER_BYTES_MAX)?.to_vec();
            Some(Rakp1 { tag, bmc_session, console_nonce, role, user })
        };
        read().ok_or(PacketError::Truncated("RAKP 1"))
    }
}

impl Rakp2 {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, self.status, 0, 0];
        out.extend(self.console_session.to_le_bytes());
        if let Some((nonce, guid, code)) = &self.proof {
            out.extend(nonce);
            out.extend(guid);
            out.extend(code);
        }
        out
    }

    /// # Errors
    /// When the bytes end early.
    pub fn decode(bytes: &[u8], suite: Suite) -> Result<Self, PacketError> {
        let mut cursor = Cursor::new(bytes);
        let mut read = || {
            let Answer { tag, status, console_session, .. } = Answer::read(&mut cursor)?;
            let proof = match status {
                status::OK => Some((cursor.array()?, cursor.array()?, cursor.take(suite.digest_bytes())?.to_vec())),
                _ => None,
            };
            Some(Rakp2 { tag, status, console_session, proof })
        };
        read().ok_or(PacketError::Truncated("RAKP 2"))
    }
}

impl Rakp3 {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, self.status, 0, 0];
        out.extend(self.bmc_session.to_le_bytes());
        out.extend(&self.auth_code);
        out
    }

    /// # Errors
    /// When the bytes end early.
    pub fn decode(bytes: &[u8]) -> Result<Self, PacketError> {
        let mut cursor = Cursor::new(bytes);
        let mut read = || {
            let [tag, status, _, _] = cursor.array()?;
            Some((tag, status, cursor.u32()?))
        };
        let (tag, status, bmc_session) = read().ok_or(PacketError::Truncated("RAKP 3"))?;
        Ok(Rakp3 { tag, status, bmc_session, auth_code: cursor.rest().to_vec() })
    }
}

impl Rakp4 {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.tag, self.status, 0, 0];
        out.extend(self.console_session.to_le_bytes());
        out.extend(&self.integrity_check);
        out
    }

    /// # Errors
    /// When the bytes end early.
    pub fn decode(bytes: &[u8]) -> Result<Self, PacketError> {
        let mut cursor = Cursor::new(bytes);
        let Answer { tag, status, console_session, .. } =
            Answer::read(&mut cursor).ok_or(PacketError::Truncated("RAKP 4"))?;
        Ok(Rakp4 { tag, status, console_session, integrity_check: cursor.rest().to_vec() })
    }
}
