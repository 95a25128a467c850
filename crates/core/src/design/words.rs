//! What people are told of each lint.

use super::{Lint, Words};

/// The deployment's own guide to a reliable cloud, section by section.
const GUIDE_POWER: &str = "Eucalyptus HA guide, Servers: Power";
const GUIDE_RAID: &str = "Eucalyptus HA guide, Servers: RAID, and Eucalyptus Specifics";
const GUIDE_SWITCHES: &str = "Eucalyptus HA guide, Network: Interfaces and Switches";
const GUIDE_SWITCH_POWER: &str = "Eucalyptus HA guide, Network: Power";
const GUIDE_ACTIVE: &str = "Eucalyptus HA guide, Active/Active Components";
const GUIDE_PASSIVE: &str = "Eucalyptus HA guide, Active/Passive Components";

/// In the order of [`Lint`].
pub(super) const WORDS: [Words; Lint::ALL.len()] = [
    // PsuOneFeed
    Words {
        title: "All power from one feed",
        risk: "The server goes down with that feed, whatever its second supply could do.",
        remedy: "Put the supplies of a server on two circuits, one of them behind a UPS.",
        source: GUIDE_POWER,
    },
    // BondOneSwitch
    Words {
        title: "All links on one switch",
        risk: "A dead switch, or its update, takes every link of the bond.",
        remedy: "Put one link on another switch, or on another member of the stack.",
        source: GUIDE_SWITCHES,
    },
    // FewUfs
    Words {
        title: "Fewer than two UFS",
        risk: "Every API, the console's logins and the cloud's DNS end with one server.",
        remedy: "Register a second set of user-facing services on another server.",
        source: GUIDE_ACTIVE,
    },
    // CoreWithoutRaid
    Words {
        title: "Core server without RAID",
        risk: "One disk takes the component, and the data that only it has.",
        remedy: "Put system and data on RAID 1, 5 or 6, with disks that can be changed while it runs.",
        source: GUIDE_RAID,
    },
    // NoPassivePartner
    Words {
        title: "Passive partner not registered",
        risk: "Nothing takes over: the pair is one server.",
        remedy: "Register the component on the partner too, and see that it is DISABLED and not NOTREADY.",
        source: GUIDE_PASSIVE,
    },
    // HaTagWithoutHost
    Words {
        title: "No host has the HA tag",
        risk: "HA virtual machines do not start again when their host dies.",
        remedy: "Give hosts the tag that the setting `ha.tag` names, or clear the setting.",
        source: "CloudStack administration guide, HA-enabled hosts",
    },
    // OneSecondaryStorage
    Words {
        title: "One secondary storage",
        risk: "Templates, ISO images and snapshots are out of reach, or gone, with one server.",
        remedy: "Add a second secondary storage to the zone and copy what cannot be made again.",
        source: "CloudStack administration guide, secondary storage",
    },
    // StackWithoutUps
    Words {
        title: "No switch on the UPS",
        risk: "When the mains fail the servers on the UPS run on and cannot be reached.",
        remedy: "Put at least one switch of the pair, or one member of the stack, on the UPS.",
        source: GUIDE_SWITCH_POWER,
    },
    // UplinkWithoutLacp
    Words {
        title: "Uplink without LACP",
        risk: "One cable, port or member takes the way out, or the way out is half as wide as it looks.",
        remedy: "Make an LACP aggregate of at least two uplink ports on two members.",
        source: GUIDE_SWITCHES,
    },
    // WalrusAndNc
    Words {
        title: "Walrus and NC on one server",
        risk: "Instances fill or slow down the volume of the object store, and both go with one server.",
        remedy: "Move Walrus to a server without instances, at least to a volume of its own.",
        source: "Eucalyptus HA guide, Storage",
    },
    // UfsWithoutName
    Words {
        title: "UFS not reached by name",
        risk: "Clients hold the address of one UFS and stay with it when it is dead.",
        remedy: "Give the services a name in the cloud's DNS, and clients that name.",
        source: "Eucalyptus source, TopologyDnsResolver: only enabled services are answered, with a TTL of 60 s",
    },
    // DeadUfsInDns
    Words {
        title: "A dead UFS is still in DNS",
        risk: "A share of all requests goes to a server that does not answer.",
        remedy: "Take the address out of the record, or let the cloud's own DNS answer, which drops it.",
        source: "Eucalyptus source, TopologyDnsResolver: only enabled services are answered, with a TTL of 60 s",
    },
    // HaVmOnLocalStorage
    Words {
        title: "HA virtual machine on local storage",
        risk: "It cannot start elsewhere: its disk died with its host.",
        remedy: "Move its volumes to shared primary storage, or do without HA knowingly.",
        source: "CloudStack administration guide, HA for hosts and virtual machines",
    },
    // HostSettingNotVip
    Words {
        title: "Setting `host` is not the VIP",
        risk: "System VMs and agents lose the management server that it names, although others serve.",
        remedy: "Set the global setting `host` to the address of the load balancer.",
        source: "CloudStack installation guide, management server load balancing",
    },
    // Drift
    Words {
        title: "Not as declared",
        risk: "Conclusions about a shared switch, feed or replica are drawn from a plan that is not true.",
        remedy: "Correct the cable or the configuration, whichever is wrong.",
        source: "What is declared compared with LLDP, bonds, multipath, DRBD and the cloud's own lists",
    },
];
