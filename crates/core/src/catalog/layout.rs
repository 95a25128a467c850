//! What hangs on what as it was declared, port by port and for hosts outside clouds too: what lints of the design and the
//! comparison with what is seen read. The classifier has its own, coarser [`Topology`](crate::diagnosis::Topology).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::HostId;
use crate::sight::is_same;

type Name = Arc<str>;

/// Source of a feed that hangs on the mains, and on no UPS.
pub const MAINS: &str = "mains";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    pub switches: Vec<Switch>,
    pub feeds: Vec<Feed>,
    /// One for each host that says anything; in the order of hosts.
    pub wirings: Vec<Wiring>,
    pub accepted: Vec<Accepted>,
}

/// A switch, or a stack of them, that was declared (`[[switch]]`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    pub name: Name,
    /// What it calls itself in LLDP, where that is not `name`: system names, chassis ids.
    pub aliases: Vec<Name>,
    pub is_stack: bool,
    /// Carries the BMCs.
    pub is_management: bool,
    pub feeds: Vec<Name>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feed {
    pub name: Name,
    /// [`MAINS`], or the name of a UPS.
    pub source: Name,
}

/// What a host says of its cables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wiring {
    pub host: HostId,
    /// In the order of its power supplies.
    pub feeds: Vec<Name>,
    pub links: Vec<Link>,
    /// It is a virtual machine on that host.
    pub vm_on: Option<Name>,
}

/// `eth0=sw1/Gi1/0/7`
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub interface: Option<Name>,
    pub switch: Name,
    pub port: Option<Name>,
}

/// A weak point that somebody knows of and lives with (`[[accept]]`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// Id of the lint.
    pub lint: Name,
    /// A name, or a pattern with `*`.
    pub target: Name,
    pub reason: Name,
}

impl Layout {
    pub fn switch(&self, name: &str) -> Option<&Switch> {
        self.switches.iter().find(|switch| &*switch.name == name)
    }

    /// The switch that LLDP means by one of these words, a system name or a chassis id.
    pub fn switch_called(&self, words: &[&str]) -> Option<&Switch> {
        let is_meant = |switch: &&Switch| {
            let mut known = std::iter::once(&switch.name).chain(&switch.aliases);
            known.any(|known| words.iter().any(|word| !word.is_empty() && is_same(known, word)))
        };
        self.switches.iter().find(is_meant)
    }

    pub fn wiring(&self, host: HostId) -> Option<&Wiring> {
        let at = self.wirings.binary_search_by_key(&host, |wiring| wiring.host).ok()?;
        self.wirings.get(at)
    }

    /// [`MAINS`] or the UPS behind a feed; `None` = nobody declared the feed.
    pub fn source_of(&self, feed: &str) -> Option<&str> {
        self.feeds.iter().find(|known| &*known.name == feed).map(|known| &*known.source)
    }

    pub fn is_guest(&self, host: HostId) -> bool {
        self.wiring(host).is_some_and(|wiring| wiring.vm_on.is_some())
    }
}

impl Link {
    /// Reads `[INTERFACE=]SWITCH[/PORT]`; a colon may stand for the first slash. Ports have slashes of their own.
    pub fn parse(text: &str) -> Link {
        let (interface, place) = match text.split_once('=') {
            Some((interface, place)) => (Some(interface.trim().into()), place.trim()),
            None => (None, text.trim()),
        };
        let (switch, port) = match place.find(['/', ':']) {
            Some(at) => (&place[..at], Some(place[at + 1..].into())),
            None => (place, None),
        };
        Link { interface, switch: switch.into(), port }
    }

    /// Member of the stack that the port is on: the first number of `Gi2/0/7` or `2/7`. A port of one number has none.
    pub fn member(&self) -> Option<u32> {
        let port = self.port.as_deref()?;
        let (first, _) = port.split_once('/')?;
        first.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_link_names_interface_switch_and_port() {
        for (text, interface, switch, port, member) in [
            ("sw1", None, "sw1", None, None),
            ("sw1/12", None, "sw1", Some("12"), None),
            ("sw1:7", None, "sw1", Some("7"), None),
            ("stack/2/7", None, "stack", Some("2/7"), Some(2)),
            ("eth1=sw2/Gi1/0/7", Some("eth1"), "sw2", Some("Gi1/0/7"), Some(1)),
            ("eth1 = sw2", Some("eth1"), "sw2", None, None),
            ("sw1/Port-channel/3", None, "sw1", Some("Port-channel/3"), None),
        ] {
            let link = Link::parse(text);
            let seen = (link.interface.as_deref(), &*link.switch, link.port.as_deref(), link.member());
            assert_eq!(seen, (interface, switch, port, member), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_link(text in "\\PC{0,30}") {
            let link = Link::parse(&text);
            let _ = link.member();
            prop_assert!(link.switch.len() <= text.len());
        }
    }
}
