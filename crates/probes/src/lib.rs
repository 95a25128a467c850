//! Probes: code that can observe one kind of thing. A probe observes and never judges; rules do.
//!
//! A new probe is one file and one line in [`REGISTRY`].

pub mod api;
pub mod backup;
pub mod bond;
pub mod bonding;
pub mod bridge;
pub mod ceph;
pub mod clock;
pub mod cloudstack;
pub mod cloudstack_db;
pub mod cloudstack_vip;
#[cfg(test)]
mod conformance;
pub mod conntrack;
pub mod database;
pub mod discover;
pub mod disk;
pub mod dns;
pub mod dns_zone;
pub mod docker;
pub mod drbd;
pub mod drill;
pub mod euca;
pub mod exec;
pub mod fetch;
pub mod follow;
pub mod gluster;
pub mod heartbeat;
pub mod http;
pub mod http_journey;
pub mod icmp;
pub mod imap;
pub mod ipmi;
pub mod iscsi;
pub mod kvmha;
pub mod ldap;
pub mod libvirt;
pub mod lldp;
pub mod load;
pub mod local_view;
pub mod look;
pub mod lvm;
pub mod mdraid;
pub mod mdstat;
pub mod memory;
pub mod mount;
pub mod multipath;
pub mod nats;
pub mod net;
pub mod nic;
pub mod nrpe;
pub mod ntp;
pub mod nut;
pub mod nvme;
pub mod openstack;
pub mod ovn;
pub mod page;
pub mod parity;
pub mod ping;
pub mod process;
pub mod prometheus;
pub mod proxmox;
pub mod rabbitmq;
pub mod raid_controller;
pub mod reach;
pub mod redfish;
pub mod redis;
pub mod riak;
pub mod route;
pub mod sim_view;
pub mod smart;
pub mod smtp;
pub mod snmp;
pub mod ssh;
pub mod ssh_link;
pub mod ssh_view;
pub mod systemd_unit;
pub mod talk;
pub mod tcp;
pub mod team;
#[cfg(test)]
pub mod testing;
pub mod time_sync;
pub mod tls;
pub mod tls_chain;
pub mod tool;
pub mod uptime;
pub mod view;
pub mod zfs;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use stentor_core::model::{Observation, UnknownCause, Value};

use crate::clock::Clock;

pub use net::Network;
pub use view::{Blind, HostView};

/// What a probe may use of the world. Cheap to clone.
#[derive(Clone)]
pub struct ProbeEnv {
    pub net: Network,
    /// The host that host-side probes look at.
    pub view: Arc<dyn HostView>,
    pub clock: Clock,
}

/// Who is probed.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Name in the catalog.
    pub host: Arc<str>,
    /// IP address or DNS name.
    pub address: Arc<str>,
    pub bmc: Option<stentor_core::catalog::Bmc>,
}

impl Target {
    /// The same target at another address, where a check names one.
    pub fn at(&self, address: Option<&Arc<str>>) -> Target {
        let mut target = self.clone();
        if let Some(address) = address {
            target.address = Arc::clone(address);
        }
        target
    }
}

/// When a run must be over.
pub type Deadline = tokio::time::Instant;

/// The probe could not observe. Becomes UNKNOWN with its cause; never a failure of the target.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("deadline passed: {0}")]
    Timeout(String),
    /// This process lacks a right; the text names it and the remedy.
    #[error("{0}")]
    MissingRight(String),
    #[error("{0}")]
    Failed(String),
}

impl ProbeError {
    pub fn cause(&self) -> UnknownCause {
        match self {
            ProbeError::Timeout(_) => UnknownCause::Timeout,
            ProbeError::MissingRight(_) => UnknownCause::MissingRight,
            ProbeError::Failed(_) => UnknownCause::ProbeError,
        }
    }
}

/// The parameters of a check do not fit its probe.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    pub message: String,
}

/// One kind of observation.
pub trait Probe: Sized + Send + Sync + 'static {
    /// Name in packs and on the command line: `tcp`.
    const KIND: &'static str;
    /// Looks at a host from inside (through [`HostView`]), so it runs on that host.
    const HOST_SIDE: bool = false;
    /// One page of Markdown: what it reads, its parameters, facts and measurements, an example.
    const DOC: &'static str;
    /// Parameters; unknown keys are refused (`#[serde(deny_unknown_fields)]`).
    type Config: DeserializeOwned + Send;

    /// # Errors
    /// The parameters contradict each other or name something impossible.
    fn build(config: Self::Config, env: &ProbeEnv) -> Result<Self, BuildError>;

    /// Looks once. Must return by `deadline`, and be safe to cancel at each await.
    fn run(&self, target: &Target, deadline: Deadline) -> impl Future<Output = Result<Observation, ProbeError>> + Send;
}

/// A built probe with its type erased.
pub trait ErasedProbe: Send + Sync {
    fn run<'a>(
        &'a self,
        target: &'a Target,
        deadline: Deadline,
    ) -> Pin<Box<dyn Future<Output = Result<Observation, ProbeError>> + Send + 'a>>;
}

impl<P: Probe> ErasedProbe for P {
    fn run<'a>(
        &'a self,
        target: &'a Target,
        deadline: Deadline,
    ) -> Pin<Box<dyn Future<Output = Result<Observation, ProbeError>> + Send + 'a>> {
        Box::pin(Probe::run(self, target, deadline))
    }
}

/// Parameters to a probe with its type erased.
pub type BuildProbe = fn(&Value, &ProbeEnv) -> Result<Arc<dyn ErasedProbe>, BuildError>;

/// One line of the registry.
pub struct Entry {
    pub kind: &'static str,
    pub host_side: bool,
    pub doc: &'static str,
    pub build: BuildProbe,
}

/// Erases a probe's type into its registry line.
pub const fn entry<P: Probe>() -> Entry {
    Entry { kind: P::KIND, host_side: P::HOST_SIDE, doc: P::DOC, build: build::<P> }
}

/// Member of `params` with the thresholds of the rules: `params.limits.warn`.
pub const LIMITS: &str = "limits";

fn build<P: Probe>(params: &Value, env: &ProbeEnv) -> Result<Arc<dyn ErasedProbe>, BuildError> {
    let params = match params {
        Value::Null => serde_json::Value::Object(serde_json::Map::new()),
        Value::Map(map) => {
            // Limits are read by the rules, never by the probe.
            let own: Value =
                map.iter().filter(|(key, _)| *key != LIMITS).map(|(k, v)| (k.clone(), v.clone())).collect();
            serde_json::to_value(own).map_err(|e| BuildError { message: e.to_string() })?
        }
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
            serde_json::to_value(params).map_err(|e| BuildError { message: e.to_string() })?
        }
    };
    let config = serde_json::from_value::<P::Config>(params)
        .map_err(|e| BuildError { message: format!("parameters of probe `{}`: {e}", P::KIND) })?;
    Ok(Arc::new(P::build(config, env)?))
}

/// Every probe there is, by kind.
pub const REGISTRY: &[Entry] = &[
    entry::<backup::Backup>(),
    entry::<bond::Bond>(),
    entry::<bridge::Bridge>(),
    entry::<ceph::Ceph>(),
    entry::<ceph::CephCli>(),
    entry::<cloudstack::CloudStack>(),
    entry::<cloudstack_db::CloudStackDb>(),
    entry::<cloudstack_vip::CloudStackVip>(),
    entry::<conntrack::Conntrack>(),
    entry::<database::mysql::Mysql>(),
    entry::<database::postgres::Postgres>(),
    entry::<disk::Disk>(),
    entry::<dns::Dns>(),
    entry::<dns_zone::DnsZone>(),
    entry::<docker::Docker>(),
    entry::<drbd::Drbd>(),
    entry::<drill::Drill>(),
    entry::<euca::faults::EucaFaults>(),
    entry::<euca::properties::EucaProperties>(),
    entry::<euca::services::EucaServices>(),
    entry::<exec::Exec>(),
    entry::<gluster::Gluster>(),
    entry::<heartbeat::Heartbeat>(),
    entry::<http::Http>(),
    entry::<http_journey::HttpJourney>(),
    entry::<imap::Imap>(),
    entry::<ipmi::Ipmi>(),
    entry::<ipmi::IpmiLocal>(),
    entry::<iscsi::Iscsi>(),
    entry::<kvmha::KvmHa>(),
    entry::<ldap::Ldap>(),
    entry::<libvirt::Libvirt>(),
    entry::<lldp::Lldp>(),
    entry::<load::Load>(),
    entry::<lvm::Lvm>(),
    entry::<mdraid::MdRaid>(),
    entry::<memory::Memory>(),
    entry::<mount::Mount>(),
    entry::<multipath::Multipath>(),
    entry::<nats::Nats>(),
    entry::<nic::Nic>(),
    entry::<nrpe::Nrpe>(),
    entry::<ntp::Ntp>(),
    entry::<nut::Nut>(),
    entry::<nvme::Nvme>(),
    entry::<openstack::OpenStack>(),
    entry::<ovn::Ovn>(),
    entry::<parity::Parity>(),
    entry::<ping::Ping>(),
    entry::<process::Process>(),
    entry::<prometheus::Prometheus>(),
    entry::<proxmox::Corosync>(),
    entry::<proxmox::Proxmox>(),
    entry::<rabbitmq::RabbitMq>(),
    entry::<raid_controller::RaidController>(),
    entry::<redfish::Redfish>(),
    entry::<redfish::RedfishEvents>(),
    entry::<redis::Redis>(),
    entry::<riak::Riak>(),
    entry::<riak::RiakRing>(),
    entry::<route::Route>(),
    entry::<smart::Smart>(),
    entry::<smtp::Smtp>(),
    entry::<snmp::Snmp>(),
    entry::<snmp::SnmpArray>(),
    entry::<snmp::SnmpHost>(),
    entry::<snmp::SnmpIf>(),
    entry::<snmp::SnmpPdu>(),
    entry::<snmp::SnmpSwitch>(),
    entry::<snmp::SnmpUps>(),
    entry::<ssh::Ssh>(),
    entry::<systemd_unit::SystemdUnit>(),
    entry::<tcp::Tcp>(),
    entry::<team::Team>(),
    entry::<time_sync::TimeSync>(),
    entry::<tls_chain::TlsChain>(),
    entry::<uptime::Uptime>(),
    entry::<zfs::Zfs>(),
];

/// The registry line of a kind.
pub fn find(kind: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.kind == kind)
}

/// Predicate of addresses that must look dead; used by the demo only.
pub type Darkness = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;
