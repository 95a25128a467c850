//! Who hangs on what: the classifier's topology of each cloud, from hosts, zones, switches, feeds, backends and pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stentor_core::catalog::Catalog;
use stentor_core::catalog::layout::{Feed, Link, MAINS, Switch, Wiring};
use stentor_core::diagnosis::Topology;
use stentor_core::id::{CloudId, HostId, ZoneId};

use super::all;
use super::finding::{Diagnostics, suggest};
use super::hosts::{ReadHost, mention};
use super::objects::{Builder, Names};
use super::tree::{At, Section, word};

type Name = Arc<str>;

/// Platforms whose components may stand on hosts of clouds of another one.
pub(super) fn is_guest(platform: &str) -> bool {
    matches!(platform, "ceph" | "gluster")
}

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
    let known: Vec<Name> = builder.catalog.hosts.iter().map(|host| Arc::clone(&host.name)).collect();
    let shared = read_shared(roots, hosts, &known, builder, found);
    builder.catalog.layout.wirings = hosts.iter().filter_map(|host| wiring(host, builder)).collect();
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
        cloud.topology.knowledge = platform.map(|pack| pack.knowledge.clone()).unwrap_or_default();
        let guests =
            builder.packs.iter().filter(|pack| is_guest(&pack.platform.key) && pack.platform.key != cloud.platform);
        for guest in guests {
            let stands = |key: &Name| guest.platform.components.iter().any(|component| component.key == *key);
            if cloud.topology.hosts.values().flatten().any(stands) {
                cloud.topology.knowledge.take_in(&guest.platform.key, &guest.knowledge);
            }
        }
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

fn read_shared(
    roots: &[Section<'_>],
    hosts: &[ReadHost<'_>],
    known: &[Name],
    builder: &mut Builder<'_>,
    found: &mut Diagnostics,
) -> Shared {
    let mut shared = Shared::default();
    let mut feeds = Names::new("feed");
    let declared = all(roots, "feed", "[[feed]]", found);
    for section in &declared {
        let Some(name) = section.needed("name", found) else { continue };
        if feeds.define(&name, found).is_some() {
            let source = section.text_or("source", MAINS, found);
            builder.catalog.layout.feeds.push(Feed { name: name.value.into(), source: source.as_str().into() });
            shared.feeds.insert(name.value.into(), source);
            check_source(section, known, found);
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
        let is_management = section.bool_or("management", false, found);
        builder.catalog.layout.switches.push(Switch {
            name: Arc::clone(&name),
            aliases: section.names("aliases", found),
            is_stack: kind == "stack",
            is_management,
            feeds: own_feeds.iter().map(|feed| feed.value.into()).collect(),
        });
        if is_management {
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
            shared.feeds.extend(host.feeds.iter().map(|feed| (feed.value.into(), MAINS.to_owned())));
        }
        if !switches_declared {
            let names = host.switches.iter().map(|port| switch_of(port).value.into());
            shared.switches.extend(names.map(|name: Name| (name, "single".to_owned())));
        }
    }
    shared
}

/// A battery that nobody tells of never explains a loss.
fn check_source(feed: &Section<'_>, known: &[Name], found: &mut Diagnostics) {
    let Some(source) = feed.text("source", found).filter(|source| source.value != MAINS) else { return };
    if known.iter().any(|host| **host == *source.value) {
        return;
    }
    let near = suggest(source.value, known.iter().map(|host| &**host));
    let help = format!("a UPS is a `[[host]]` with the check `ups` or `nut`; {near}");
    found.warning("unknown-host", &source.at, format!("no host tells of the UPS `{}`", source.value), help);
}

/// `sw1/Gi1/0/3`, `sw1:3` and `eth0=sw1/3` hang on `sw1`.
fn switch_of<'a>(port: &At<&'a str>) -> At<&'a str> {
    let place = port.value.split_once('=').map_or(port.value, |(_, place)| place);
    At { value: place.split(['/', ':']).next().unwrap_or(place).trim(), at: port.at.clone() }
}

/// What a host says of its cables; `None` = nothing.
fn wiring(host: &ReadHost<'_>, builder: &Builder<'_>) -> Option<Wiring> {
    let vm_on = host.vm_on.as_ref().filter(|on| builder.hosts.has(on.value)).map(|on| on.value.into());
    let wiring = Wiring {
        host: host.id,
        feeds: host.feeds.iter().map(|feed| feed.value.into()).collect(),
        links: host.switches.iter().map(|port| Link::parse(port.value)).collect(),
        vm_on,
    };
    let says_something = !wiring.feeds.is_empty() || !wiring.links.is_empty() || wiring.vm_on.is_some();
    says_something.then_some(wiring)
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    names.collect()
}

/// The topology of a host's cloud, or of the hosts outside clouds.
fn topology_of(catalog: &mut Catalog, cloud: Option<CloudId>) -> &mut Topology {
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
