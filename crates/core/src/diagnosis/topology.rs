//! The configured world as the classifier needs it: who runs where, who hangs on what.
//!
//! The JSON shape is that of the vectors (specification 10, section 9); the catalog builds the same structure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::knowledge::Knowledge;
use crate::availability::Expr;

type Name = Arc<str>;

/// One cloud (or mesh) with everything it depends on. All maps are ordered, so that the same topology gives the same verdicts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Topology {
    pub platform: String,
    pub release: Option<String>,
    pub network_mode: Option<String>,
    /// Kind of block storage: `san`, `overlay`, `das`, `ceph`.
    pub ebs: Option<String>,
    /// Kind of object store: `walrus`, `riak`, `rgw`.
    pub object: Option<String>,
    /// Node controllers a zone needs to count as working.
    pub min_nc: Option<u32>,
    /// What the Core of this cloud needs; `None` = as built in for the platform.
    pub core: Option<Expr>,
    /// Zone -> hosts.
    pub zones: BTreeMap<Name, Vec<Name>>,
    pub vmware_zones: Vec<Name>,
    /// Host -> component keys.
    pub hosts: BTreeMap<Name, Vec<Name>>,
    /// Component keys that share the one JVM of a host.
    pub jvm: Vec<Name>,
    /// Component keys of which only one instance may be enabled.
    pub unique: Vec<Name>,
    /// Switch -> `stack` or `single`.
    pub switches: BTreeMap<Name, String>,
    /// Switch -> hosts that depend only on it.
    pub single_homed: BTreeMap<Name, Vec<Name>>,
    /// Feed -> `mains` or the name of a UPS.
    pub feeds: BTreeMap<Name, String>,
    /// Feed -> hosts and switches that hang on it alone.
    pub single_fed: BTreeMap<Name, Vec<Name>>,
    /// Element -> the feeds it has.
    pub fed_by: BTreeMap<Name, Vec<Name>>,
    /// Backend -> component keys that use it.
    pub backends: BTreeMap<Name, Vec<Name>>,
    pub mgmt_switch: Option<Name>,
    /// DRBD resource -> its two hosts.
    pub drbd: BTreeMap<Name, Vec<Name>>,
    /// VM host name -> the node it runs on.
    pub vm_on: BTreeMap<Name, Name>,
    /// System VM -> the node it runs on (CloudStack).
    pub sysvms: BTreeMap<Name, Name>,
    /// Site -> rank (mesh).
    pub sites: BTreeMap<Name, u32>,
    pub quorum: Option<u32>,
    /// What the pack of the platform knows; empty where nobody gave one.
    pub knowledge: Knowledge,
    /// Addresses outside the site that tell a dead switch from a cut-off monitor.
    pub arbitrators: Vec<Name>,
}

impl Topology {
    pub(crate) fn is_zonal(&self, kind: &str) -> bool {
        self.knowledge.is_zonal(&self.platform, kind)
    }

    pub(super) fn carries_guests(&self, kind: &str) -> bool {
        self.knowledge.carries_guests(&self.platform, kind)
    }

    /// Whether each instance of this type serves its own.
    pub(super) fn serves_each(&self, kind: &str) -> bool {
        self.knowledge.redundancy.get(kind).is_some_and(|known| known.each)
    }
}
