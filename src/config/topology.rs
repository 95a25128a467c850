//! Who hangs on what: the classifier's topology of each cloud, from hosts, zones, switches, feeds, backends and pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stentor_core::catalog::Catalog;
use stentor_core::diagnosis::Topology;
use stentor_core::id::{CloudId, HostId, ZoneId};

use super::all;
use super::finding::{Diagnostics, suggest};
use super::hosts::{ReadHost, mention};
use super::objects::{Builder, Names};
use super::tree::{At, Section, word};

type Name = Arc<str>;

/// The parts that all clouds of a site share: power and switches.
#[derive(Default)]
struct Shared {
    switches: BTreeMap<Name, String>,
    feeds: BTreeMap<Name, String>,
    fed_by: BTreeMap<Name, Vec<Name>>,
    mgmt_switch: Option<Name>,
}

/// Fills `topology` of every cloud.
pub(super) fn build(
    roots: &[Section<'_>],
    hosts: &[ReadHost<'_>],
    vmware: &[ZoneId],
    builder: &mut Builder<'_>,
    found: &mut Diagnostics,
) {
    let shared = read_shared(roots, hosts, found);
    for row in 0..builder.catalog.nagios.hosts.len() {
        place_host(HostId::from_index(row), builder);
    }
    for host in hosts {
        place_host(host.id, builder);
        add_links(host, &shared, builder, found);
    }
    for (i, zone) in builder.catalog.zones.iter().enumerate() {
        let Some(cloud) = zone.cloud else { continue };
        if vmware.contains(&ZoneId::from_index(i)) {
            builder.catalog.clouds[cloud.index()].topology.vmware_zones.push(Arc::clone(&zone.name));
        }
    }
    for cloud in &mut builder.catalog.clouds {
        let platform = builder.packs.iter().find(|pack| pack.platform.key == cloud.platform);
        let components = platform.map_or(&[][..], |pack| &pack.platform.components);
        cloud.topology.jvm = components.iter().filter(|c| c.jvm).map(|c| Arc::clone(&c.key)).collect();
        cloud.topology.switches = shared.switches.clone();
        cloud.topology.feeds = shared.feeds.clone();
        cloud.topology.mgmt_switch = shared.mgmt_switch.clone();
        hang_switches(&mut cloud.topology, &shared);
    }
    let outside = &mut builder.catalog.outside;
    if !outside.fed_by.is_empty() || !outside.single_homed.is_empty() {
        outside.switches = shared.switches.clone();
        outside.feeds = shared.feeds.clone();
        outside.mgmt_switch = shared.mgmt_switch.clone();
        hang_switches(outside, &shared);
    }
    read_backends(roots, builder, found);
    read_pairs(roots, builder, found);
}

fn read_shared(roots: &[Section<'_>], hosts: &[ReadHost<'_>], found: &mut Diagnostics) -> Shared {
    let mut shared = Shared::default();
    let mut feeds = Names::new("feed");
    let declared = all(roots, "feed", "[[feed]]", found);
    for section in &declared {
        let Some(name) = section.needed("name", found) else { continue };
        if feeds.define(&name, found).is_some() {
            shared.feeds.insert(name.value.into(), section.text_or("source", "mains", found));
        }
    }
    let feeds_declared = !declared.is_empty();
    const KINDS: &[(&str, &str)] = &[("single", "single"), ("stack", "stack")];
    let mut switches = Names::new("switch");
    let declared = all(roots, "switch", "[[switch]]", found);
    for section in &declared {
        let Some(name) = section.needed("name", found) else { continue };
        if switches.define(&name, found).is_none() {
            continue;
        }
        let kind = section.text("kind", found).and_then(|text| word(&text, "kind", KINDS, found)).unwrap_or("single");
        let name: Name = name.value.into();
        let own_feeds = section.texts("feeds", found);
        own_feeds.iter().for_each(|feed| mention(&mut feeds, feeds_declared, feed, found));
        if !own_feeds.is_empty() {
            shared.fed_by.insert(Arc::clone(&name), own_feeds.iter().map(|feed| feed.value.into()).collect());
        }
        // The management switch carries BMCs, not hosts: the classifier looks for it apart from the others.
        if section.bool_or("management", false, found) {
            shared.mgmt_switch = Some(name);
        } else {
            shared.switches.insert(name, kind.to_owned());
        }
    }
    let switches_declared = !declared.is_empty();
    for host in hosts {
        host.feeds.iter().for_each(|feed| mention(&mut feeds, feeds_declared, feed, found));
        for port in &host.switches {
            mention(&mut switches, switches_declared, &switch_of(port), found);
        }
        if !feeds_declared {
            shared.feeds.extend(host.feeds.iter().map(|feed| (feed.value.into(), "mains".to_owned())));
        }
        if !switches_declared {
            let names = host.switches.iter().map(|port| switch_of(port).value.into());
            shared.switches.extend(names.map(|name: Name| (name, "single".to_owned())));
        }
    }
    shared
}

/// `sw1/Gi1/0/3` and `sw1:3` hang on `sw1`.
fn switch_of<'a>(port: &At<&'a str>) -> At<&'a str> {
    At { value: port.value.split(['/', ':']).next().unwrap_or(port.value), at: port.at.clone() }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    names.collect()
}

/// The topology of a host's cloud, or of the hosts outside clouds.
fn topology_of<'a>(catalog: &'a mut Catalog, cloud: Option<CloudId>) -> &'a mut Topology {
    match cloud {
        Some(cloud) => &mut catalog.clouds[cloud.index()].topology,
        None => &mut catalog.outside,
    }
}

/// Adds a host with its components and its zone to its cloud.
fn place_host(host: HostId, builder: &mut Builder<'_>) {
    let row = &builder.catalog.hosts[host.index()];
    let name: Name = Arc::clone(&row.name);
    let Some(cloud) = row.cloud else { return };
    let components = row.components.iter().map(|id| Arc::clone(&builder.catalog.components[id.index()].key)).collect();
    let zone = &builder.catalog.zones[row.zone.index()];
    let zone = (zone.cloud == Some(cloud)).then(|| Arc::clone(&zone.name));
    let topology = &mut builder.catalog.clouds[cloud.index()].topology;
    topology.hosts.insert(Arc::clone(&name), components);
    if let Some(zone) = zone {
        topology.zones.entry(zone).or_default().push(name);
    }
}

/// What the host hangs on.
fn add_links(host: &ReadHost<'_>, shared: &Shared, builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let row = &builder.catalog.hosts[host.id.index()];
    let (name, cloud): (Name, _) = (Arc::clone(&row.name), row.cloud);
    let on = host.vm_on.as_ref().filter(|text| builder.hosts.find(text, found).is_some());
    let topology = topology_of(&mut builder.catalog, cloud);
    let switches = distinct(host.switches.iter().map(|port| switch_of(port).value));
    if let (Some(only), 1) = (switches.first(), switches.len())
        && shared.switches.contains_key(*only)
    {
        topology.single_homed.entry((*only).into()).or_default().push(Arc::clone(&name));
    }
    let feeds = distinct(host.feeds.iter().map(|feed| feed.value));
    if let (Some(only), 1) = (feeds.first(), feeds.len()) {
        topology.single_fed.entry((*only).into()).or_default().push(Arc::clone(&name));
    }
    // In the order of the host's power supplies.
    if !host.feeds.is_empty() {
        topology.fed_by.insert(Arc::clone(&name), host.feeds.iter().map(|feed| feed.value.into()).collect());
    }
    if let Some(on) = on {
        topology.vm_on.insert(name, on.value.into());
    }
}

fn hang_switches(topology: &mut Topology, shared: &Shared) {
    for (switch, feeds) in &shared.fed_by {
        topology.fed_by.insert(Arc::clone(switch), feeds.clone());
        if let [only] = feeds.as_slice() {
            topology.single_fed.entry(Arc::clone(only)).or_default().push(Arc::clone(switch));
        }
    }
}

/// The cloud that a table names, or the only one.
fn cloud_of(section: &Section<'_>, builder: &Builder<'_>, found: &mut Diagnostics) -> Option<usize> {
    if let Some(text) = section.text("cloud", found) {
        return builder.clouds.find(&text, found);
    }
    if builder.catalog.clouds.len() == 1 {
        return Some(0);
    }
    let help = suggest("", builder.catalog.clouds.iter().map(|cloud| &*cloud.name));
    found.error("no-cloud", &section.at, "this table must say which `cloud` it belongs to", help);
    None
}

fn read_backends(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let mut names = Names::new("backend");
    for section in all(roots, "backend", "[[backend]]", found) {
        let Some(name) = section.needed("name", found) else { continue };
        let Some(cloud) = cloud_of(&section, builder, found) else { continue };
        if names.define(&name, found).is_none() {
            continue;
        }
        let cloud = &mut builder.catalog.clouds[cloud];
        let known: Vec<&str> = builder
            .packs
            .iter()
            .filter(|pack| pack.platform.key == cloud.platform)
            .flat_map(|pack| pack.platform.components.iter().map(|component| &*component.key))
            .collect();
        let mut used_by: Vec<Name> = Vec::new();
        for text in section.texts("used_by", found) {
            let key = text.value.rsplit('/').next().unwrap_or(text.value);
            if !known.contains(&key) {
                let help = suggest(key, known.iter().copied());
                found.error("unknown-component", &text.at, format!("unknown component `{}`", text.value), help);
            }
            used_by.push(key.into());
        }
        cloud.topology.backends.insert(name.value.into(), used_by);
    }
}

fn read_pairs(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let mut names = Names::new("DRBD resource");
    for section in all(roots, "drbd", "[[drbd]]", found) {
        let Some(name) = section.needed("name", found) else { continue };
        let Some(cloud) = cloud_of(&section, builder, found) else { continue };
        if names.define(&name, found).is_none() {
            continue;
        }
        let hosts = section.texts("hosts", found);
        hosts.iter().for_each(|host| {
            builder.hosts.find(host, found);
        });
        if hosts.len() != 2 {
            found.error("bad-pair", &section.at, "a DRBD resource has two `hosts`", "");
        }
        let hosts = hosts.iter().map(|host| host.value.into()).collect();
        builder.catalog.clouds[cloud].topology.drbd.insert(name.value.into(), hosts);
    }
}
