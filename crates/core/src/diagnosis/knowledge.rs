//! What the pack of a platform knows of its components, in the words of the classifier; built-in rules where it is silent.
//!
//! A topology without it (a scenario by hand) is judged by what is built in for the four known platforms. An
//! administrator's own pack fills all of it, so that his platform gets cells, runbooks, suppression and severities too.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::verdict::FailureType;

type Name = Arc<str>;

/// Written by the configuration from `[pack]`, `[[component]]` and `[[cell]]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Knowledge {
    /// Component types; the first of them on a host names the cell of a verdict about the host.
    pub order: Vec<Name>,
    /// Types of which each zone has its own; all others exist once per cloud.
    pub zonal: Vec<Name>,
    /// Types on whose hosts the virtual machines of users run.
    pub guests: Vec<Name>,
    /// Words of the signal `healing` with which nobody starts the guests of a failed host elsewhere.
    pub unhealed: Vec<Name>,
    /// Types of which one must serve.
    pub core: Vec<Name>,
    pub redundancy: BTreeMap<Name, Redundancy>,
    /// Type -> the types it cannot work without.
    pub upstream: BTreeMap<Name, Vec<Name>>,
    /// Type -> the types that it cannot work without on its own host.
    pub beside: BTreeMap<Name, Vec<Name>>,
    /// Type of another platform that stands on hosts of this one (Ceph) -> that platform, which has its cells.
    pub foreign: BTreeMap<Name, Name>,
    /// Type -> column of the matrix -> runbook of the cell.
    pub runbooks: BTreeMap<Name, BTreeMap<FailureType, Name>>,
}

/// How many equal instances there are meant to be, and how many the service needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Redundancy {
    /// Any one of many alike: losing one is no more than lost capacity while enough are left.
    pub many: bool,
    pub min: u32,
    /// Every instance serves its own: none stands in for another, and the failure of one is felt by those who use it.
    #[serde(default)]
    pub each: bool,
}

/// Order in which a host or JVM verdict of Eucalyptus looks for the component that names its cell (specification 10,
/// section 1). Other platforms go by their pack.
const EUCALYPTUS_ORDER: [&str; 10] = ["clc", "ufs", "walrus", "cc", "sc", "vb", "nc", "console", "elb", "iw"];

/// Types of Eucalyptus that exist once per zone.
const ZONAL: [&str; 4] = ["cc", "sc", "vb", "nc"];

/// Machines that carry the virtual machines of users, on the built-in platforms.
const GUESTS: [(&str, &str); 3] = [("eucalyptus", "nc"), ("cloudstack", "kvm_agent"), ("openstack", "nova_compute")];

impl Knowledge {
    /// Whether a pack gave it; otherwise the built-in rules speak.
    pub fn is_given(&self) -> bool {
        !self.order.is_empty() || !self.runbooks.is_empty()
    }

    /// Place of a type among those that may name the cell of a host.
    pub fn rank(&self, platform: &str, kind: &str) -> usize {
        let place = if self.order.is_empty() && platform == "eucalyptus" {
            EUCALYPTUS_ORDER.iter().position(|known| *known == kind)
        } else {
            self.order.iter().position(|known| **known == *kind)
        };
        place.unwrap_or(usize::MAX)
    }

    pub fn is_zonal(&self, platform: &str, kind: &str) -> bool {
        if self.zonal.is_empty() { platform == "eucalyptus" && ZONAL.contains(&kind) } else { has(&self.zonal, kind) }
    }

    /// Whether virtual machines of users run on the hosts of this type.
    pub fn carries_guests(&self, platform: &str, kind: &str) -> bool {
        if self.guests.is_empty() { GUESTS.contains(&(platform, kind)) } else { has(&self.guests, kind) }
    }

    /// The platform whose pack describes this type.
    pub fn home<'k>(&'k self, platform: &'k str, kind: &str) -> &'k str {
        self.foreign.get(kind).map_or(platform, |home| home)
    }

    /// Adds the components of another platform that stand on hosts of this one.
    pub fn take_in(&mut self, platform: &str, other: &Knowledge) {
        for kind in &other.order {
            self.foreign.insert(Arc::clone(kind), Arc::from(platform));
        }
        self.order.extend(other.order.iter().cloned());
        self.redundancy.extend(other.redundancy.clone());
        self.upstream.extend(other.upstream.clone());
        self.beside.extend(other.beside.clone());
        self.runbooks.extend(other.runbooks.clone());
    }

    /// The runbook of a cell; `None` where no pack knows one.
    pub fn runbook(&self, platform: &str, kind: &str, column: FailureType) -> Option<Name> {
        if self.is_given() {
            return self.runbooks.get(kind).and_then(|columns| columns.get(&column)).cloned();
        }
        built_in_runbook(platform, kind, column)
    }
}

fn has(names: &[Name], kind: &str) -> bool {
    names.iter().any(|name| **name == *kind)
}

/// The names that the built-in platforms give their runbooks.
fn built_in_runbook(platform: &str, kind: &str, column: FailureType) -> Option<Name> {
    let name = match platform {
        "cloudstack" => match kind {
            "lb" => "cs-4.2",
            "usage" => "cs-4.3",
            "mysql" | "mysql_replica" => "cs-4.4",
            "kvm" | "kvm_agent" => "cs-4.5",
            "ssvm" => "cs-4.6",
            "cpvm" => "cs-4.7",
            "vr" => "cs-4.8",
            "primary" => "cs-4.9",
            "secondary" => "cs-4.10",
            _ => "cs-4.1",
        },
        "openstack" => match kind {
            "galera" => "RB-OS-galera",
            "rabbitmq" => "RB-OS-rabbit",
            "nova_compute" => "RB-OS-compute",
            kind if kind.starts_with("neutron") => "RB-OS-neutron",
            kind if kind.starts_with("ceph") => "RB-CEPH",
            _ => "RB-OS-controller",
        },
        "proxmox" => match kind {
            "pmxcfs" | "pve_cluster" => "RB-PVE-pmxcfs",
            "zfs" => "RB-PVE-zfs",
            _ => "RB-PVE-quorum",
        },
        "eucalyptus" if EUCALYPTUS_ORDER.contains(&kind) => {
            return Some(Arc::from(format!("rb-euca-{kind}-{}", column.as_str())));
        }
        // Nobody wrote one for a platform without a pack.
        _ => return None,
    };
    Some(Arc::from(name))
}
