//! IPMI 2.0 over LAN (RMCP+) without I/O: packets, both ends of a session, commands, sensor records, event log.
//!
//! Time, session ids, nonces and initialisation vectors come in as arguments. Section numbers in this module
//! are those of the IPMI 2.0 specification, revision 1.1.

pub mod bmc;
pub mod bridge;
pub mod chassis;
pub mod command;
pub mod console;
mod crypto;
mod cursor;
pub mod dcmi;
pub mod device_sdr;
pub mod event;
mod event_table;
pub mod fru;
pub mod listing;
pub mod message;
pub mod packet;
pub mod pet;
pub mod presence;
pub mod sdr;
pub mod sdr_encode;
pub mod sdr_locator;
pub mod sel;
pub mod sel_detail;
pub mod setup;
pub mod text;
pub mod units;

pub use crypto::{Suite, UnsupportedSuite};
pub use message::{Request, Response};

/// UDP port of RMCP (section 13.1.2).
pub const RMCP_PORT: u16 = 623;

/// A user name has at most 16 bytes (section 13.20).
pub const USER_BYTES_MAX: usize = 16;

/// An IPMI 2.0 password and the BMC key Kg have at most 20 bytes (section 22.30).
pub const PASSWORD_BYTES_MAX: usize = 20;

/// Network function codes (section 5.1); the answer's code is the request's plus one.
pub mod netfn {
    pub const CHASSIS: u8 = 0x00;
    pub const SENSOR: u8 = 0x04;
    pub const APP: u8 = 0x06;
    pub const STORAGE: u8 = 0x0A;
}

/// Privilege level of a session (section 6.8), ordered from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    Callback,
    User,
    Operator,
    Administrator,
}

impl Privilege {
    pub fn code(self) -> u8 {
        match self {
            Privilege::Callback => 1,
            Privilege::User => 2,
            Privilege::Operator => 3,
            Privilege::Administrator => 4,
        }
    }

    /// The level named by the low four bits; `None` for "highest possible" (0), OEM and reserved codes.
    pub fn from_code(code: u8) -> Option<Self> {
        match code & 0x0F {
            1 => Some(Privilege::Callback),
            2 => Some(Privilege::User),
            3 => Some(Privilege::Operator),
            4 => Some(Privilege::Administrator),
            _ => None,
        }
    }
}

/// Completion codes this module decides on (section 5.2).
pub mod completion {
    pub const OK: u8 = 0x00;
    /// Set Session Privilege Level: the user may not have that level (section 22.18).
    pub const PRIVILEGE_NOT_AVAILABLE: u8 = 0x81;
    /// Close Session: no such session (section 22.19).
    pub const INVALID_SESSION_ID: u8 = 0x87;
    pub const BUSY: u8 = 0xC0;
    pub const INVALID_COMMAND: u8 = 0xC1;
    pub const TIMEOUT: u8 = 0xC3;
    pub const RESERVATION_CANCELLED: u8 = 0xC5;
    pub const LENGTH_INVALID: u8 = 0xC7;
    pub const LENGTH_EXCEEDED: u8 = 0xC8;
    pub const OUT_OF_RANGE: u8 = 0xC9;
    pub const CANNOT_RETURN_BYTES: u8 = 0xCA;
    pub const NOT_PRESENT: u8 = 0xCB;
    pub const INVALID_DATA: u8 = 0xCC;
    pub const ILLEGAL_FOR_SENSOR: u8 = 0xCD;
    pub const NO_RESPONSE: u8 = 0xCE;
    pub const SDR_IN_UPDATE: u8 = 0xD0;
    pub const INITIALISING: u8 = 0xD2;
    pub const INSUFFICIENT_PRIVILEGE: u8 = 0xD4;
    pub const NOT_NOW: u8 = 0xD5;
    pub const UNSPECIFIED: u8 = 0xFF;

    /// What a completion code means, for people.
    pub fn text(code: u8) -> &'static str {
        match code {
            OK => "done",
            BUSY => "node busy",
            INVALID_COMMAND => "command not supported",
            0xC2 => "command not supported on this logical unit",
            TIMEOUT => "timeout inside the controller",
            0xC4 => "out of space",
            RESERVATION_CANCELLED => "reservation cancelled",
            0xC6 => "request truncated",
            LENGTH_INVALID => "request length invalid",
            LENGTH_EXCEEDED => "request length limit exceeded",
            OUT_OF_RANGE => "parameter out of range",
            CANNOT_RETURN_BYTES => "cannot return that many bytes",
            NOT_PRESENT => "sensor, data or record not present",
            INVALID_DATA => "invalid data field",
            ILLEGAL_FOR_SENSOR => "command illegal for this sensor or record",
            NO_RESPONSE => "no response could be provided",
            0xCF => "duplicate request",
            SDR_IN_UPDATE => "sensor repository in update mode",
            0xD1 => "firmware in update mode",
            INITIALISING => "controller is initialising",
            0xD3 => "destination unavailable",
            INSUFFICIENT_PRIVILEGE => "insufficient privilege",
            NOT_NOW => "not possible in the present state",
            0xD6 => "function disabled",
            UNSPECIFIED => "unspecified error",
            _ => "command-specific error",
        }
    }
}

/// Why bytes from the network were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    #[error("packet ends inside {0}")]
    Truncated(&'static str),
    #[error("not an RMCP packet of class {0}")]
    NotRmcp(&'static str),
    #[error("unsupported authentication type {0:#04x}")]
    AuthType(u8),
    #[error("checksum of the {0} is wrong")]
    Checksum(&'static str),
    #[error("authentication code does not match")]
    AuthCode,
    #[error("packet is not encrypted and authenticated as agreed")]
    Unprotected,
    #[error("encrypted payload is malformed")]
    Padding,
    #[error("packet belongs to session {0:#010x}")]
    OtherSession(u32),
    #[error("session sequence number {0} was seen before or is too old")]
    Replayed(u32),
    #[error("payload type {0:#04x} does not belong here")]
    PayloadType(u8),
}
