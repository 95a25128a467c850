//! What the classifier says: one verdict per root cause, in the words of specification 10, section 1.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::Timestamp;

/// The kind of thing that a verdict is about.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    Component,
    ComponentGroup,
    Host,
    Jvm,
    Hardware,
    Switch,
    Power,
    Backend,
    Drbd,
    Site,
    /// A plain service that belongs to no component (Stentor's own addition for everything outside a pack's matrix).
    Service,
}

/// What failed: `host` is the name of the host, switch, backend, resource or site; `component` its component key.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Target {
    pub kind: TargetKind,
    pub host: Option<Arc<str>>,
    /// Component key (`clc`), or for [`TargetKind::Service`] the service name.
    pub component: Option<Arc<str>>,
}

/// Class of a failure (specification 10, section 1).
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    SoftwareDown,
    ServerDown,
    ResourceUnavailable,
    Network,
    PowerEvent,
    NetworkPath,
    MonitorIsolated,
    SiteDown,
    SplitBrain,
    RedundancyLost,
    ResourceAtRisk,
    AdminStopped,
    Starting,
    Flapping,
    Unknown,
}

impl Class {
    /// The word used in JSON, TOML and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::SoftwareDown => "software_down",
            Class::ServerDown => "server_down",
            Class::ResourceUnavailable => "resource_unavailable",
            Class::Network => "network",
            Class::PowerEvent => "power_event",
            Class::NetworkPath => "network_path",
            Class::MonitorIsolated => "monitor_isolated",
            Class::SiteDown => "site_down",
            Class::SplitBrain => "split_brain",
            Class::RedundancyLost => "redundancy_lost",
            Class::ResourceAtRisk => "resource_at_risk",
            Class::AdminStopped => "admin_stopped",
            Class::Starting => "starting",
            Class::Flapping => "flapping",
            Class::Unknown => "unknown",
        }
    }

    /// The column of the failure matrix, where the class has one.
    pub const fn failure_type(self) -> Option<FailureType> {
        match self {
            Class::SoftwareDown => Some(FailureType::Software),
            Class::ServerDown => Some(FailureType::Server),
            Class::ResourceUnavailable => Some(FailureType::Resource),
            Class::Network
            | Class::PowerEvent
            | Class::NetworkPath
            | Class::MonitorIsolated
            | Class::SiteDown
            | Class::SplitBrain
            | Class::RedundancyLost
            | Class::ResourceAtRisk
            | Class::AdminStopped
            | Class::Starting
            | Class::Flapping
            | Class::Unknown => None,
        }
    }
}

/// A column of the failure matrix: the three failure types of the reliability guide.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureType {
    Software,
    Server,
    Resource,
}

impl FailureType {
    pub const ALL: [FailureType; 3] = [FailureType::Software, FailureType::Server, FailureType::Resource];

    pub const fn as_str(self) -> &'static str {
        match self {
            FailureType::Software => "software",
            FailureType::Server => "server",
            FailureType::Resource => "resource",
        }
    }
}

#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Unknown,
    Warning,
    Major,
    Critical,
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Unknown => "unknown",
            Severity::Warning => "warning",
            Severity::Major => "major",
            Severity::Critical => "critical",
        }
    }
}

/// Whether users notice: *invisible* means redundancy is gone and the service intact.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    Visible,
    Invisible,
}

/// How much of the service is gone, beside severity.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    None,
    Capacity,
    Partial,
    Full,
    Site,
}

impl Impact {
    pub const fn as_str(self) -> &'static str {
        match self {
            Impact::None => "none",
            Impact::Capacity => "capacity",
            Impact::Partial => "partial",
            Impact::Full => "full",
            Impact::Site => "site",
        }
    }
}

/// Whether the cloud's Core is available (specification 10, section 8).
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreState {
    Available,
    Degraded,
    Unavailable,
    Unknown,
}

impl CoreState {
    pub const fn as_str(self) -> &'static str {
        match self {
            CoreState::Available => "available",
            CoreState::Degraded => "degraded",
            CoreState::Unavailable => "unavailable",
            CoreState::Unknown => "unknown",
        }
    }
}

/// A host or component whose failure another verdict explains.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Suppressed {
    pub host: Option<Arc<str>>,
    pub component: Option<Arc<str>>,
    pub class: Class,
}

/// An alternative that was considered and why it was not chosen.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    pub class: Class,
    pub subtype: Option<Arc<str>>,
    pub why: String,
}

/// One fact that speaks for the verdict, as a person reads it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// `ping`, `port`, `power`, … (specification 10, section 2).
    pub sig: String,
    /// Where it was seen: `clc1`, `clc1/clc`.
    pub at: String,
    /// The value in words: `refused`, `power off`.
    pub value: String,
}

/// One root cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub target: Target,
    pub class: Class,
    /// From the closed list of specification 10, section 1.
    pub subtype: Arc<str>,
    pub severity: Severity,
    pub visibility: Visibility,
    pub impact: Impact,
    /// 0.0 ..= 0.99
    pub confidence: f64,
    pub core: CoreState,
    /// `eucalyptus/clc/software`; `None` for a class without a matrix cell.
    pub cell: Option<Arc<str>>,
    /// The cells of every component that a host or JVM verdict takes with it.
    pub cells: Vec<Arc<str>>,
    /// Runbook id; `none` where nothing is to do.
    pub runbook: Arc<str>,
    /// Redundancy that is left, where it can be counted: `(left, of)`.
    pub redundancy: Option<(u32, u32)>,
    pub suppressed: Vec<Suppressed>,
    pub evidence: Vec<Evidence>,
    pub rejected: Vec<Rejected>,
    /// Oldest supporting change known to the classifier.
    pub since: Timestamp,
}

/// A target about which too little is known; never a reason to page.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    pub target: Target,
    pub missing: Vec<String>,
}

/// The whole answer for one topology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    pub verdicts: Vec<Verdict>,
    /// Union of all verdicts' suppressed targets plus those suppressed by maintenance.
    pub suppressed: Vec<Suppressed>,
    pub core: CoreState,
    /// Why the Core is in that state, in words; empty when available.
    pub core_because: Vec<String>,
    /// True when Core is available but some piece of it has no spare left.
    pub redundancy_lost: bool,
    pub unknown: Vec<Missing>,
    /// Hosts and components that are not simply well: what availability expressions look at.
    #[serde(default)]
    pub standing: Vec<Standing>,
}

impl Diagnosis {
    /// Before the first look.
    pub fn nothing_known() -> Diagnosis {
        Diagnosis {
            verdicts: Vec::new(),
            suppressed: Vec::new(),
            core: CoreState::Unknown,
            core_because: Vec::new(),
            redundancy_lost: false,
            unknown: Vec::new(),
            standing: Vec::new(),
        }
    }
}
