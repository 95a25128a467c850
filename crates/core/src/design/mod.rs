//! Weak points of the design: what is well today and will not bear the next fault. From the configuration alone, and from
//! what probes see. What is not known is no weak point.

mod cabling;
mod cloudstack;
mod names;
mod power;
mod roles;

use std::sync::Arc;

use crate::catalog::layout::Accepted;
use crate::policy::glob_matches;
use crate::sight::Sight;

/// What a design can lack.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Lint {
    PsuOneFeed,
    BondOneSwitch,
    FewUfs,
    CoreWithoutRaid,
    NoPassivePartner,
    HaTagWithoutHost,
    OneSecondaryStorage,
    StackWithoutUps,
    UplinkWithoutLacp,
    WalrusAndNc,
    UfsWithoutName,
    DeadUfsInDns,
    HaVmOnLocalStorage,
    HostSettingNotVip,
    Drift,
}

/// What people are told of a lint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Words {
    pub title: &'static str,
    /// What is at risk.
    pub risk: &'static str,
    pub remedy: &'static str,
    pub source: &'static str,
}

/// The deployment's own guide to a reliable cloud, section by section.
const GUIDE_POWER: &str = "Eucalyptus HA guide, Servers: Power";
const GUIDE_RAID: &str = "Eucalyptus HA guide, Servers: RAID, and Eucalyptus Specifics";
const GUIDE_SWITCHES: &str = "Eucalyptus HA guide, Network: Interfaces and Switches";
const GUIDE_SWITCH_POWER: &str = "Eucalyptus HA guide, Network: Power";
const GUIDE_ACTIVE: &str = "Eucalyptus HA guide, Active/Active Components";
const GUIDE_PASSIVE: &str = "Eucalyptus HA guide, Active/Passive Components";

impl Lint {
    pub const ALL: [Lint; 15] = [
        Lint::PsuOneFeed,
        Lint::BondOneSwitch,
        Lint::FewUfs,
        Lint::CoreWithoutRaid,
        Lint::NoPassivePartner,
        Lint::HaTagWithoutHost,
        Lint::OneSecondaryStorage,
        Lint::StackWithoutUps,
        Lint::UplinkWithoutLacp,
        Lint::WalrusAndNc,
        Lint::UfsWithoutName,
        Lint::DeadUfsInDns,
        Lint::HaVmOnLocalStorage,
        Lint::HostSettingNotVip,
        Lint::Drift,
    ];

    /// Code of a finding of `stentor verify`.
    pub const fn code(self) -> &'static str {
        match self {
            Lint::PsuOneFeed => "design-psu-one-feed",
            Lint::BondOneSwitch => "design-bond-one-switch",
            Lint::FewUfs => "design-few-ufs",
            Lint::CoreWithoutRaid => "design-core-without-raid",
            Lint::NoPassivePartner => "design-no-passive-partner",
            Lint::HaTagWithoutHost => "design-ha-tag-without-host",
            Lint::OneSecondaryStorage => "design-one-secondary-storage",
            Lint::StackWithoutUps => "design-stack-without-ups",
            Lint::UplinkWithoutLacp => "design-uplink-without-lacp",
            Lint::WalrusAndNc => "design-walrus-and-nc",
            Lint::UfsWithoutName => "design-ufs-without-name",
            Lint::DeadUfsInDns => "design-dead-ufs-in-dns",
            Lint::HaVmOnLocalStorage => "design-ha-vm-on-local-storage",
            Lint::HostSettingNotVip => "design-host-setting-not-vip",
            Lint::Drift => "design-drift",
        }
    }

    /// As `[[accept]]` and the API write it: `psu-one-feed`.
    pub fn id(self) -> &'static str {
        self.code().trim_start_matches("design-")
    }

    pub fn find(id: &str) -> Option<Lint> {
        Lint::ALL.into_iter().find(|lint| lint.id() == id)
    }

    pub const fn words(self) -> Words {
        match self {
            Lint::PsuOneFeed => Words {
                title: "All power from one feed",
                risk: "The server goes down with that feed, whatever its second supply could do.",
                remedy: "Put the supplies of a server on two circuits, one of them behind a UPS.",
                source: GUIDE_POWER,
            },
            Lint::BondOneSwitch => Words {
                title: "All links on one switch",
                risk: "A dead switch, or its update, takes every link of the bond.",
                remedy: "Put one link on another switch, or on another member of the stack.",
                source: GUIDE_SWITCHES,
            },
            Lint::FewUfs => Words {
                title: "Fewer than two UFS",
                risk: "Every API, the console's logins and the cloud's DNS end with one server.",
                remedy: "Register a second set of user-facing services on another server.",
                source: GUIDE_ACTIVE,
            },
            Lint::CoreWithoutRaid => Words {
                title: "Core server without RAID",
                risk: "One disk takes the component, and the data that only it has.",
                remedy: "Put system and data on RAID 1, 5 or 6, with disks that can be changed while it runs.",
                source: GUIDE_RAID,
            },
            Lint::NoPassivePartner => Words {
                title: "Passive partner not registered",
                risk: "Nothing takes over: the pair is one server.",
                remedy: "Register the component on the partner too, and see that it is DISABLED and not NOTREADY.",
                source: GUIDE_PASSIVE,
            },
            Lint::HaTagWithoutHost => Words {
                title: "No host has the HA tag",
                risk: "HA virtual machines do not start again when their host dies.",
                remedy: "Give hosts the tag that the setting `ha.tag` names, or clear the setting.",
                source: "CloudStack administration guide, HA-enabled hosts",
            },
            Lint::OneSecondaryStorage => Words {
                title: "One secondary storage",
                risk: "Templates, ISO images and snapshots are out of reach, or gone, with one server.",
                remedy: "Add a second secondary storage to the zone and copy what cannot be made again.",
                source: "CloudStack administration guide, secondary storage",
            },
            Lint::StackWithoutUps => Words {
                title: "No switch on the UPS",
                risk: "When the mains fail the servers on the UPS run on and cannot be reached.",
                remedy: "Put at least one switch of the pair, or one member of the stack, on the UPS.",
                source: GUIDE_SWITCH_POWER,
            },
            Lint::UplinkWithoutLacp => Words {
                title: "Uplink without LACP",
                risk: "One cable, port or member takes the way out, or the way out is half as wide as it looks.",
                remedy: "Make an LACP aggregate of at least two uplink ports on two members.",
                source: GUIDE_SWITCHES,
            },
            Lint::WalrusAndNc => Words {
                title: "Walrus and NC on one server",
                risk: "Instances fill or slow down the volume of the object store, and both go with one server.",
                remedy: "Move Walrus to a server without instances, at least to a volume of its own.",
                source: "Eucalyptus HA guide, Storage",
            },
            Lint::UfsWithoutName => Words {
                title: "UFS not reached by name",
                risk: "Clients hold the address of one UFS and stay with it when it is dead.",
                remedy: "Give the services a name in the cloud's DNS, and clients that name.",
                source: "Eucalyptus source, TopologyDnsResolver: only enabled services are answered, with a TTL of 60 s",
            },
            Lint::DeadUfsInDns => Words {
                title: "A dead UFS is still in DNS",
                risk: "A share of all requests goes to a server that does not answer.",
                remedy: "Take the address out of the record, or let the cloud's own DNS answer, which drops it.",
                source: "Eucalyptus source, TopologyDnsResolver: only enabled services are answered, with a TTL of 60 s",
            },
            Lint::HaVmOnLocalStorage => Words {
                title: "HA virtual machine on local storage",
                risk: "It cannot start elsewhere: its disk died with its host.",
                remedy: "Move its volumes to shared primary storage, or do without HA knowingly.",
                source: "CloudStack administration guide, HA for hosts and virtual machines",
            },
            Lint::HostSettingNotVip => Words {
                title: "Setting `host` is not the VIP",
                risk: "System VMs and agents lose the management server that it names, although others serve.",
                remedy: "Set the global setting `host` to the address of the load balancer.",
                source: "CloudStack installation guide, management server load balancing",
            },
            Lint::Drift => Words {
                title: "Not as declared",
                risk: "Conclusions about a shared switch, feed or replica are drawn from a plan that is not true.",
                remedy: "Correct the cable or the configuration, whichever is wrong.",
                source: "What is declared compared with LLDP, bonds, multipath, DRBD and the cloud's own lists",
            },
        }
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum About {
    Host,
    Switch,
    Cloud,
}

impl About {
    pub const fn as_str(self) -> &'static str {
        match self {
            About::Host => "host",
            About::Switch => "switch",
            About::Cloud => "cloud",
        }
    }
}

/// Where it was read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Basis {
    Declared,
    /// A probe saw it.
    Seen,
}

impl Basis {
    pub const fn as_str(self) -> &'static str {
        match self {
            Basis::Declared => "declared",
            Basis::Seen => "seen",
        }
    }
}

/// One weak point.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    pub lint: Lint,
    pub about: About,
    pub target: Arc<str>,
    /// What exactly: `both power supplies hang on feed A`.
    pub detail: String,
    pub basis: Basis,
    /// Why somebody lives with it.
    pub accepted: Option<Arc<str>>,
}

impl Finding {
    fn new(lint: Lint, about: About, target: &Arc<str>, basis: Basis, detail: impl Into<String>) -> Finding {
        Finding { lint, about, target: Arc::clone(target), detail: detail.into(), basis, accepted: None }
    }

    fn of_host(lint: Lint, target: &Arc<str>, basis: Basis, detail: impl Into<String>) -> Finding {
        Finding::new(lint, About::Host, target, basis, detail)
    }

    fn of_cloud(lint: Lint, target: &Arc<str>, basis: Basis, detail: impl Into<String>) -> Finding {
        Finding::new(lint, About::Cloud, target, basis, detail)
    }
}

/// Every weak point in sight but [`Lint::Drift`], which the comparison of [`crate::topology_view`] tells; in the order of lints
/// and targets.
pub fn findings(sight: &Sight<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    power::look(sight, &mut found);
    cabling::look(sight, &mut found);
    roles::look(sight, &mut found);
    names::look(sight, &mut found);
    cloudstack::look(sight, &mut found);
    settle(found, &sight.catalog.layout.accepted)
}

/// Puts findings in order, each once, and marks those that somebody accepted.
pub fn settle(mut found: Vec<Finding>, accepted: &[Accepted]) -> Vec<Finding> {
    for finding in &mut found {
        let by = accepted
            .iter()
            .find(|accepted| *accepted.lint == *finding.lint.id() && glob_matches(&accepted.target, &finding.target));
        finding.accepted = by.map(|accepted| Arc::clone(&accepted.reason));
    }
    found.sort_by(|a, b| (a.lint, &a.target, &a.detail).cmp(&(b.lint, &b.target, &b.detail)));
    found.dedup();
    found
}

/// `a`, `a and b`, `a, b and c`
fn listed<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [rest @ .., last] => {
            format!("{} and {}", rest.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_found_again_and_every_lint_has_all_its_words() {
        let ids: BTreeSet<&str> = Lint::ALL.iter().map(|lint| lint.id()).collect();
        assert_eq!(ids.len(), Lint::ALL.len());
        for lint in Lint::ALL {
            assert_eq!(Lint::find(lint.id()), Some(lint));
            let words = lint.words();
            assert!([words.title, words.risk, words.remedy, words.source].iter().all(|text| !text.is_empty()));
        }
        assert_eq!(Lint::find("design-few-ufs"), None);
    }

    #[test]
    fn what_is_accepted_stays_in_the_list_with_its_reason() {
        let finding = |target: &str| Finding::of_host(Lint::CoreWithoutRaid, &target.into(), Basis::Seen, "x");
        let accepted = [Accepted { lint: "core-without-raid".into(), target: "nc*".into(), reason: "cattle".into() }];
        let settled = settle(vec![finding("nc1"), finding("clc1"), finding("nc1")], &accepted);
        let told: Vec<_> = settled.iter().map(|f| (&*f.target, f.accepted.as_deref())).collect();
        assert_eq!(told, [("clc1", None), ("nc1", Some("cattle"))]);
        let other = [Accepted { lint: "few-ufs".into(), target: "*".into(), reason: "x".into() }];
        assert_eq!(settle(vec![finding("nc1")], &other)[0].accepted, None, "of another lint");
    }

    #[test]
    fn names_are_listed_as_people_do() {
        assert_eq!([listed::<&str>(&[]), listed(&["a"]), listed(&["a", "b", "c"])], ["", "a", "a, b and c"]);
    }
}
