//! States in Nagios's words and numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// State of a service; the number is the plugin exit code.
#[derive(Copy, Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServiceState {
    #[default]
    Ok = 0,
    Warning = 1,
    Critical = 2,
    Unknown = 3,
}

/// State of a host.
#[derive(Copy, Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HostState {
    #[default]
    Up = 0,
    Down = 1,
    Unreachable = 2,
}

/// Soft while retries are left, hard when the state is believed.
#[derive(Copy, Clone, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StateKind {
    Soft,
    #[default]
    Hard,
}

/// Why a service is UNKNOWN.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownCause {
    /// No result for longer than the freshness threshold.
    Stale,
    /// The probe did not finish within its deadline.
    Timeout,
    /// This process lacks a right (raw socket, file mode); never the peer's failure.
    MissingRight,
    /// The probe could not do its work: wrong password, unreadable answer, missing program.
    ProbeError,
    /// The probe answered without a fact that a rule needs.
    NoData,
    /// The plugin itself exited with 3.
    Reported,
}

impl ServiceState {
    pub const ALL: [ServiceState; 4] =
        [ServiceState::Ok, ServiceState::Warning, ServiceState::Critical, ServiceState::Unknown];

    /// Exit code 0..=3; everything else is `None` (the plugin API decides what that means).
    pub const fn from_code(code: i32) -> Option<Self> {
        match code {
            0 => Some(ServiceState::Ok),
            1 => Some(ServiceState::Warning),
            2 => Some(ServiceState::Critical),
            3 => Some(ServiceState::Unknown),
            _ => None,
        }
    }

    pub const fn code(self) -> u8 {
        self as u8
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            ServiceState::Ok => "OK",
            ServiceState::Warning => "WARNING",
            ServiceState::Critical => "CRITICAL",
            ServiceState::Unknown => "UNKNOWN",
        }
    }

    pub const fn is_ok(self) -> bool {
        matches!(self, ServiceState::Ok)
    }

    /// Order of badness: OK < UNKNOWN < WARNING < CRITICAL.
    pub const fn badness(self) -> u8 {
        match self {
            ServiceState::Ok => 0,
            ServiceState::Unknown => 1,
            ServiceState::Warning => 2,
            ServiceState::Critical => 3,
        }
    }
}

impl HostState {
    pub const fn from_code(code: i32) -> Option<Self> {
        match code {
            0 => Some(HostState::Up),
            1 => Some(HostState::Down),
            2 => Some(HostState::Unreachable),
            _ => None,
        }
    }

    pub const fn code(self) -> u8 {
        self as u8
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            HostState::Up => "UP",
            HostState::Down => "DOWN",
            HostState::Unreachable => "UNREACHABLE",
        }
    }
}

impl StateKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            StateKind::Soft => "SOFT",
            StateKind::Hard => "HARD",
        }
    }
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for UnknownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnknownCause::Stale => "no fresh result",
            UnknownCause::Timeout => "deadline passed",
            UnknownCause::MissingRight => "a right is missing",
            UnknownCause::ProbeError => "the probe failed",
            UnknownCause::NoData => "a needed fact is missing",
            UnknownCause::Reported => "reported by the plugin",
        })
    }
}
