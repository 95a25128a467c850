//! What goes dark with an element: power, switches and nodes, followed to every host that hangs on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::element::{Element, Mode};
use crate::catalog::Catalog;
use crate::diagnosis::Topology;

type Name = Arc<str>;

/// Who is gone, and how.
#[derive(Debug, Default)]
pub(super) struct Dark {
    /// No power, and the BMC says so.
    pub off: BTreeSet<Name>,
    /// No power at all, the BMC neither.
    pub unpowered: BTreeSet<Name>,
    /// They run; nobody reaches them.
    pub cut: BTreeSet<Name>,
    pub switches: BTreeSet<Name>,
    pub feeds: BTreeSet<Name>,
    /// UPSes that run on their battery.
    pub on_battery: BTreeSet<Name>,
    /// BMCs that nobody reaches.
    pub management: bool,
}

impl Dark {
    pub fn is_dark(&self, host: &str) -> bool {
        self.off.contains(host) || self.unpowered.contains(host) || self.cut.contains(host)
    }

    pub fn hosts(&self) -> impl Iterator<Item = &Name> {
        let all: BTreeSet<&Name> = self.off.iter().chain(&self.unpowered).chain(&self.cut).collect();
        all.into_iter()
    }
}

pub(super) fn follow(catalog: &Catalog, assumed: &[Element]) -> Dark {
    let mut dark = Dark::default();
    let clouds = catalog.clouds.iter().map(|cloud| &cloud.topology);
    let topologies: Vec<&Topology> = clouds.chain([&catalog.outside]).collect();
    let is_switch =
        |name: &Name| topologies.iter().any(|t| t.switches.contains_key(name) || t.mgmt_switch.as_ref() == Some(name));
    for element in assumed {
        let name = Arc::clone(&element.name);
        match element.mode {
            Mode::Host if is_switch(&name) => drop(dark.switches.insert(name)),
            Mode::Host => drop(dark.off.insert(name)),
            Mode::Zone => {
                let hosts = topologies.iter().filter_map(|topology| topology.zones.get(&name)).flatten();
                let (switches, hosts): (Vec<&Name>, Vec<&Name>) = hosts.partition(|host| is_switch(host));
                dark.unpowered.extend(hosts.into_iter().cloned());
                dark.switches.extend(switches.into_iter().cloned());
            }
            Mode::Feed => drop(dark.feeds.insert(name)),
            Mode::Ups => {
                dark.unpowered.insert(Arc::clone(&name));
                dark.feeds.extend(fed_from(&topologies, &name));
            }
            Mode::Switch => drop(dark.switches.insert(name)),
            Mode::Battery => drop(dark.on_battery.insert(name)),
            Mode::Backend | Mode::Component | Mode::Jvm | Mode::Hang | Mode::Resource | Mode::Member => {}
            Mode::Psu | Mode::Raid | Mode::Bond | Mode::Path | Mode::Paths | Mode::Drbd | Mode::SplitBrain => {}
        }
    }
    batteries(&topologies, &mut dark);
    power(&topologies, &is_switch, &mut dark);
    network(&topologies, &mut dark);
    guests(&topologies, &mut dark);
    dark
}

fn fed_from(topologies: &[&Topology], ups: &str) -> BTreeSet<Name> {
    let feeds = topologies.iter().flat_map(|topology| &topology.feeds);
    feeds.filter(|(_, source)| *source == ups).map(|(feed, _)| Arc::clone(feed)).collect()
}

/// A UPS whose own input is gone runs on its battery. Where nobody says what feeds it, the only mains do.
fn batteries(topologies: &[&Topology], dark: &mut Dark) {
    let feeds: BTreeMap<&Name, &String> = topologies.iter().flat_map(|topology| &topology.feeds).collect();
    let mains: Vec<&Name> = feeds.iter().filter(|(_, source)| **source == "mains").map(|(feed, _)| *feed).collect();
    let upses: BTreeSet<&String> = feeds.values().copied().filter(|source| *source != "mains").collect();
    for ups in upses.into_iter().filter(|ups| !dark.unpowered.contains(ups.as_str())) {
        let own = topologies.iter().find_map(|topology| topology.fed_by.get(ups.as_str()));
        let own: Vec<&Name> = own.map_or_else(|| mains.clone(), |feeds| feeds.iter().collect());
        if !own.is_empty() && own.iter().all(|feed| dark.feeds.contains(*feed)) {
            dark.on_battery.insert(ups.as_str().into());
        }
    }
}

/// What has lost every feed it has.
fn power(topologies: &[&Topology], is_switch: &dyn Fn(&Name) -> bool, dark: &mut Dark) {
    for (element, feeds) in topologies.iter().flat_map(|topology| &topology.fed_by) {
        let is_battery = dark.on_battery.contains(element);
        if feeds.is_empty() || is_battery || !feeds.iter().all(|feed| dark.feeds.contains(feed)) {
            continue;
        }
        if is_switch(element) {
            dark.switches.insert(Arc::clone(element));
        } else {
            dark.unpowered.insert(Arc::clone(element));
        }
    }
}

fn network(topologies: &[&Topology], dark: &mut Dark) {
    let mgmt = |topology: &&Topology| topology.mgmt_switch.as_ref().is_some_and(|name| dark.switches.contains(name));
    dark.management = topologies.iter().any(mgmt);
    for (switch, hosts) in topologies.iter().flat_map(|topology| &topology.single_homed) {
        if dark.switches.contains(switch) {
            dark.cut.extend(hosts.iter().cloned());
        }
    }
    let without_power: Vec<Name> = dark.off.iter().chain(&dark.unpowered).cloned().collect();
    dark.cut.retain(|host| !without_power.contains(host));
}

/// A virtual machine goes with its node.
fn guests(topologies: &[&Topology], dark: &mut Dark) {
    for (guest, node) in topologies.iter().flat_map(|topology| topology.vm_on.iter().chain(&topology.sysvms)) {
        if dark.off.contains(node) || dark.unpowered.contains(node) {
            dark.off.insert(Arc::clone(guest));
        } else if dark.cut.contains(node) {
            dark.cut.insert(Arc::clone(guest));
        }
    }
}
