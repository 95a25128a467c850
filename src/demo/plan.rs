//! What the demo simulates: which hosts, where, with which components.

use std::net::{IpAddr, Ipv4Addr};

/// Simulated ports below 1024 move up by this, so that nobody needs to be root.
pub const PORT_SHIFT: u16 = 10_000;
/// A BMC has its host's address with the last octet raised by this.
const BMC_OFFSET: u8 = 100;
/// And a broker's vCenter by this.
const VCENTER_OFFSET: u8 = 150;

/// A port as the demo serves it.
pub const fn shifted(port: u16) -> u16 {
    if port < 1024 { port + PORT_SHIFT } else { port }
}

/// One simulated host.
#[derive(Debug)]
pub struct HostPlan {
    pub name: &'static str,
    /// Third octet of the address.
    pub zone: u8,
    /// Fourth octet.
    pub number: u8,
    pub components: &'static [&'static str],
    /// Runs as an instance on this node; instances have no BMC, power supplies or RAID of their own.
    pub vm_on: Option<&'static str>,
    /// Stands in the rack that has one feed for everything.
    pub in_rack: bool,
}

/// Zone names by third octet.
pub const ZONES: [&str; 3] = ["front", "kvm", "vmware"];

const fn host(name: &'static str, zone: u8, number: u8, components: &'static [&'static str]) -> HostPlan {
    HostPlan { name, zone, number, components, vm_on: None, in_rack: false }
}

/// One component a host, except `front1`, whose three Java components share one JVM.
pub const HOSTS: &[HostPlan] = &[
    host("clc1", 0, 11, &["clc"]),
    host("ufs1", 0, 12, &["ufs"]),
    host("console1", 0, 13, &["console"]),
    host("walrus1", 0, 14, &["walrus"]),
    host("cc1", 1, 11, &["cc"]),
    host("sc1", 1, 12, &["sc"]),
    host("nc1", 1, 21, &["nc"]),
    host("nc2", 1, 22, &["nc"]),
    host("nc3", 1, 23, &["nc"]),
    HostPlan { in_rack: true, ..host("nc4", 1, 24, &["nc"]) },
    HostPlan { in_rack: true, ..host("nc5", 1, 25, &["nc"]) },
    HostPlan { vm_on: Some("nc2"), ..host("iw1", 1, 31, &["iw"]) },
    HostPlan { vm_on: Some("nc3"), ..host("elb1", 1, 32, &["elb"]) },
    host("cc2", 2, 11, &["cc"]),
    host("front1", 2, 12, &["ufs", "sc", "vb"]),
    host("vb1", 2, 13, &["vb"]),
];

/// The host on which each component's failures are injected.
pub const TARGETS: &[(&str, &str)] = &[
    ("console", "console1"),
    ("ufs", "ufs1"),
    ("clc", "clc1"),
    ("walrus", "walrus1"),
    ("sc", "sc1"),
    ("cc", "cc1"),
    ("vb", "vb1"),
    ("iw", "iw1"),
    ("elb", "elb1"),
    ("nc", "nc1"),
];

/// The stack of switches that every physical host is cabled to twice, and the UPS. Both answer SNMP.
pub const SWITCH: &str = "sw1";
pub const UPS: &str = "ups1";
/// Every physical host has its first supply on the mains, the second on the UPS; those in the rack have one feed, behind the
/// UPS.
pub const MAINS: &str = "A";
pub const BACKED: &str = "B";
pub const RACK: &str = "R";
/// A device's address is in the zone of the front, below the hosts.
const DEVICES: [(&str, u8); 2] = [(SWITCH, 2), (UPS, 3)];

/// The loopback network of one demo: `127.NET.ZONE.N`. Two demos on one machine take two networks.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Net(pub u8);

impl Net {
    /// The network unless another is asked for.
    pub const USUAL: Net = Net(16);

    pub const fn host(self, plan: &HostPlan) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.0, plan.zone, plan.number))
    }

    pub const fn bmc(self, plan: &HostPlan) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.0, plan.zone, plan.number + BMC_OFFSET))
    }

    /// The vCenter behind a host's VMware broker: an address, no host of the plan. Each broker has its own.
    pub const fn vcenter(self, plan: &HostPlan) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.0, plan.zone, plan.number + VCENTER_OFFSET))
    }
}

impl Net {
    /// The address of a device; one that is none has that of the network.
    pub fn device(self, name: &str) -> IpAddr {
        let number = DEVICES.iter().find(|(known, _)| *known == name).map_or(0, |(_, number)| *number);
        IpAddr::V4(Ipv4Addr::new(127, self.0, 0, number))
    }
}

impl HostPlan {
    pub const fn is_physical(&self) -> bool {
        self.vm_on.is_none()
    }

    /// The feeds of its power supplies.
    pub const fn feeds(&self) -> &'static [&'static str] {
        if self.in_rack { &[RACK] } else { &[MAINS, BACKED] }
    }

    /// Its volumes lie on a SAN, by two adapters and two controllers.
    pub fn has_san(&self) -> bool {
        self.name == "sc1"
    }

    /// Its buckets are replicated to a second machine, which the demo does not simulate.
    pub fn has_drbd(&self) -> bool {
        self.name == "walrus1"
    }

    /// Java components of this host: they live and die in one process.
    pub fn java(&self) -> impl Iterator<Item = &'static str> {
        self.components.iter().copied().filter(|key| is_java(key))
    }
}

/// Whether a component runs inside the `eucalyptus-cloud` JVM.
pub fn is_java(key: &str) -> bool {
    matches!(key, "clc" | "ufs" | "walrus" | "sc" | "vb")
}

/// Whether the demo simulates something of this name.
pub fn is_known(name: &str) -> bool {
    find(name).is_some() || name == RACK || DEVICES.iter().any(|(known, _)| *known == name)
}

pub fn find(name: &str) -> Option<&'static HostPlan> {
    HOSTS.iter().find(|host| host.name == name)
}
