//! Where what is seen is not what is declared. Silence is no difference: only who was heard can be elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::observed::{By, Heard, Names, is_same_port};
use super::{Drift, DriftKind, cloud_of};
use crate::catalog::layout::{Link, Wiring};
use crate::design::About;
use crate::id::{CloudId, HostId};
use crate::model::Value;
use crate::sight::{Sight, is_same};

pub(super) fn find(sight: &Sight<'_>, names: &Names, heard: &[Heard]) -> Vec<Drift> {
    let mut drift = Vec::new();
    let mut of_host: BTreeMap<HostId, Vec<&Heard>> = BTreeMap::new();
    for link in heard {
        if let Some(host) = link.host {
            of_host.entry(host).or_default().push(link);
        }
    }
    for wiring in &sight.catalog.layout.wirings {
        let heard = of_host.get(&wiring.host).map_or(&[][..], Vec::as_slice);
        let before = drift.len();
        links(sight, wiring, heard, &mut drift);
        if drift.iter().skip(before).all(|drift| drift.kind != DriftKind::OneLink) {
            drift.extend(slaves(sight, wiring));
        }
        drift.extend(supplies(sight, wiring));
    }
    strangers(sight, heard, &mut drift);
    for row in 0..sight.catalog.clouds.len() {
        let cloud = CloudId::from_index(row);
        replicas(sight, cloud, &mut drift);
        storage(sight, cloud, &mut drift);
        members(sight, names, cloud, &mut drift);
    }
    drift
}

fn of_host(sight: &Sight<'_>, host: HostId, kind: DriftKind, declared: String, observed: String) -> Drift {
    let target = Arc::clone(&sight.host(host).name);
    let detail = format!("{target} {declared}, {observed}");
    Drift { kind, about: About::Host, target, cloud: cloud_of(sight, host), detail, declared, observed }
}

fn place(link: &Link) -> String {
    match &link.port {
        Some(port) => format!("{} port {port}", link.switch),
        None => link.switch.to_string(),
    }
}

fn heard_place(heard: &Heard) -> String {
    if heard.port.is_empty() { heard.switch.to_string() } else { format!("{} port {}", heard.switch, heard.port) }
}

fn who(heard: &Heard) -> &'static str {
    match heard.by {
        By::Host => "LLDP says",
        By::Switch => "the switch says",
    }
}

/// Pairs declared links with heard ones, the surest first, and tells what is left.
fn links(sight: &Sight<'_>, wiring: &Wiring, heard: &[&Heard], drift: &mut Vec<Drift>) {
    if wiring.links.is_empty() || heard.is_empty() {
        return;
    }
    let mut left: Vec<&Heard> = heard.to_vec();
    let mut open: Vec<&Link> = wiring.links.iter().collect();
    let mut take = |is_match: &dyn Fn(&Link, &Heard) -> bool, tell: &mut dyn FnMut(&Link, &Heard)| {
        open.retain(|link| {
            let Some(at) = left.iter().position(|heard| is_match(link, heard)) else { return true };
            tell(link, left.remove(at));
            false
        });
        (open.len(), left.len())
    };
    let by_interface = |link: &Link, heard: &Heard| {
        link.interface.is_some() && link.interface.as_deref() == heard.interface.as_deref()
    };
    // Switches are told addresses or descriptions for interfaces, too.
    let may_be = |link: &Link, heard: &Heard| link.interface.is_none() || heard.by == By::Switch;
    let on_switch = |link: &Link, heard: &Heard| link.switch == heard.switch;
    let at_port = |link: &Link, heard: &Heard| {
        may_be(link, heard)
            && on_switch(link, heard)
            && link.port.as_deref().is_none_or(|port| is_same_port(port, &heard.port))
    };
    let any = |link: &Link, heard: &Heard| !heard.is_management && may_be(link, heard);
    let mut told = Vec::new();
    let mut compare = |link: &Link, heard: &Heard| {
        let kind = if !on_switch(link, heard) {
            DriftKind::Switch
        } else if link.port.as_deref().is_some_and(|port| !is_same_port(port, &heard.port)) {
            DriftKind::Port
        } else {
            return;
        };
        let heard_by_host = heard.interface.as_deref().filter(|_| heard.by == By::Host);
        let interface = link.interface.as_deref().or(heard_by_host);
        let interface = interface.map_or_else(String::new, |interface| format!("{interface} "));
        let declared = format!("{interface}is declared on {}", place(link));
        let observed = format!("{} {}", who(heard), heard_place(heard));
        told.push(of_host(sight, wiring.host, kind, declared, observed));
    };
    take(&by_interface, &mut compare);
    take(&at_port, &mut compare);
    take(&|link, heard| may_be(link, heard) && on_switch(link, heard), &mut compare);
    let (lacking, _) = take(&any, &mut compare);
    drift.append(&mut told);
    unheard(sight, wiring, heard, &open, drift);
    if lacking == 0 {
        for heard in left.into_iter().filter(|heard| !heard.is_management) {
            let interface = heard.interface.as_deref().unwrap_or("a link");
            let observed = format!("{} {} hangs on {}", who(heard), interface, heard_place(heard));
            let declared = "declares no such link".to_owned();
            drift.push(of_host(sight, wiring.host, DriftKind::Undeclared, declared, observed));
        }
    }
}

/// Declared links that nobody hears, of a host of which others are heard.
fn unheard(sight: &Sight<'_>, wiring: &Wiring, heard: &[&Heard], open: &[&Link], drift: &mut Vec<Drift>) {
    // The table of one switch says nothing of what hangs on another.
    let own = heard.iter().filter(|heard| heard.by == By::Host && !heard.is_management).count();
    if open.is_empty() || own == 0 {
        return;
    }
    let switches: BTreeSet<&str> = wiring.links.iter().map(|link| &*link.switch).collect();
    if own == 1 && wiring.links.len() > 1 {
        let names = switches.into_iter().collect::<Vec<_>>().join(" and ");
        let declared = format!("is declared with {} links to {names}", wiring.links.len());
        let only = heard.iter().find(|heard| heard.by == By::Host && !heard.is_management).copied();
        let observed = only.map_or_else(String::new, |only| format!("LLDP hears one, {}", heard_place(only)));
        drift.push(of_host(sight, wiring.host, DriftKind::OneLink, declared, observed));
        return;
    }
    for link in open {
        let interface = link.interface.as_deref().map_or_else(String::new, |interface| format!("{interface} "));
        let declared = format!("{interface}is declared on {}", place(link));
        drift.push(of_host(sight, wiring.host, DriftKind::Unheard, declared, "LLDP hears nobody there".to_owned()));
    }
}

/// A host with several declared links whose only bond has fewer slaves.
fn slaves(sight: &Sight<'_>, wiring: &Wiring) -> Option<Drift> {
    let seen = sight.by_probe(wiring.host, "bond").find(|seen| seen.number("bonds") == Some(1.0))?;
    let bond = seen.facts().get("bond")?;
    let (name, slaves) = (bond.get("name").and_then(Value::text)?, bond.get("slaves").and_then(Value::number)?);
    let is_management = |link: &&Link| {
        let switch = sight.catalog.layout.switch(&link.switch);
        switch.is_some_and(|switch| switch.is_management)
    };
    let links = wiring.links.len() - wiring.links.iter().filter(is_management).count();
    if links < 2 || slaves != 1.0 {
        return None;
    }
    let declared = format!("is declared with {links} links");
    Some(of_host(sight, wiring.host, DriftKind::OneLink, declared, format!("{name} has one slave")))
}

/// More feeds than supplies.
fn supplies(sight: &Sight<'_>, wiring: &Wiring) -> Option<Drift> {
    let feeds: BTreeSet<&str> = wiring.feeds.iter().map(|feed| &**feed).collect();
    let is_present = |psu: &Value| {
        let offsets = psu.get("offsets").and_then(Value::list).unwrap_or_default();
        offsets.iter().any(|offset| offset.number() == Some(0.0))
    };
    let seen = sight.of_host(wiring.host).filter(|seen| !seen.list("psu").is_empty());
    // Two ways to one BMC may see different things; who sees more is right.
    let count = seen.map(|seen| seen.list("psu").iter().filter(|psu| is_present(psu)).count()).max()?;
    if feeds.len() < 2 || count == 0 || count >= feeds.len() {
        return None;
    }
    let declared = format!("is declared on feeds {}", feeds.into_iter().collect::<Vec<_>>().join(" and "));
    let observed = format!("the BMC sees {count} power {}", if count == 1 { "supply" } else { "supplies" });
    Some(of_host(sight, wiring.host, DriftKind::Supplies, declared, observed))
}

/// Neighbours of declared switches that nobody configured.
fn strangers(sight: &Sight<'_>, heard: &[Heard], drift: &mut Vec<Drift>) {
    for stranger in heard.iter().filter(|heard| heard.host.is_none() && heard.is_declared_switch) {
        if sight.catalog.layout.switch_called(&[&stranger.host_name]).is_some() {
            continue;
        }
        let target = Arc::clone(&stranger.switch);
        let declared = format!("declares nothing on port {}", stranger.port);
        let observed = format!("{} hangs there", stranger.host_name);
        drift.push(Drift {
            kind: DriftKind::Stranger,
            about: About::Switch,
            cloud: None,
            detail: format!("{target} port {}: undeclared host {}", stranger.port, stranger.host_name),
            target,
            declared,
            observed,
        });
    }
}

/// Names of the resources of a DRBD observation.
fn resources<'a>(seen: &crate::sight::Seen<'a>) -> Vec<&'a str> {
    seen.list("drbd").iter().filter_map(|one| one.get("res").and_then(Value::text)).collect()
}

fn replicas(sight: &Sight<'_>, cloud: CloudId, drift: &mut Vec<Drift>) {
    let declared = &sight.catalog.clouds[cloud.index()].topology.drbd;
    let mut seen_on: BTreeMap<&str, BTreeSet<HostId>> = BTreeMap::new();
    let mut looked: BTreeSet<HostId> = BTreeSet::new();
    for host in &sight.catalog.clouds[cloud.index()].hosts {
        for seen in sight.by_probe(*host, "drbd") {
            looked.insert(*host);
            for resource in resources(&seen) {
                seen_on.entry(resource).or_default().insert(*host);
            }
        }
    }
    for (resource, hosts) in &seen_on {
        let Some(pair) = declared.get(*resource) else {
            if !declared.is_empty()
                && let Some(host) = hosts.first()
            {
                let observed = format!("DRBD shows {resource}");
                let says = "declares no such replica".to_owned();
                drift.push(of_host(sight, *host, DriftKind::Replica, says, observed));
            }
            continue;
        };
        for host in hosts.iter().filter(|host| !pair.contains(&sight.host(**host).name)) {
            let says = format!("is not declared for {resource}");
            let observed = format!("DRBD shows it there, not only on {}", pair.join(" and "));
            drift.push(of_host(sight, *host, DriftKind::Replica, says, observed));
        }
    }
    for (resource, pair) in declared {
        for host in pair.iter().filter_map(|name| sight.catalog.host_id(name)) {
            let has = seen_on.get(&**resource).is_some_and(|hosts| hosts.contains(&host));
            if looked.contains(&host) && !has {
                let says = format!("is declared for {resource}");
                drift.push(of_host(sight, host, DriftKind::Replica, says, "DRBD does not show it there".to_owned()));
            }
        }
    }
}

/// A host that sees no LUN while another of the same component, which uses the same storage, does.
fn storage(sight: &Sight<'_>, cloud: CloudId, drift: &mut Vec<Drift>) {
    for (backend, used_by) in &sight.catalog.clouds[cloud.index()].topology.backends {
        for key in used_by {
            let maps = |host: &HostId| {
                sight.by_probe(*host, "multipath").find_map(|seen| seen.number("maps")).map(|maps| (*host, maps))
            };
            let seen: Vec<(HostId, f64)> = sight.with_component(cloud, key).iter().filter_map(maps).collect();
            if !seen.iter().any(|(_, maps)| *maps > 0.0) {
                continue;
            }
            for (host, _) in seen.iter().filter(|(_, maps)| *maps == 0.0) {
                let says = format!("is declared to use {backend} as {key}");
                let observed = "multipath sees no LUN there, and does on others".to_owned();
                drift.push(of_host(sight, *host, DriftKind::Storage, says, observed));
            }
        }
    }
}

/// Lists of a cloud's own, and the components that a member of it runs.
const LISTS: [(&str, &str, &[&str]); 4] = [
    ("eucalyptus", "pairs", &["nc"]),
    ("cloudstack", "kvm_hosts", &["kvm_agent", "kvm"]),
    ("openstack", "nodes", &["nova_compute"]),
    ("proxmox", "nodes", &["pmxcfs"]),
];

fn members(sight: &Sight<'_>, names: &Names, cloud: CloudId, drift: &mut Vec<Drift>) {
    let of_cloud = &sight.catalog.clouds[cloud.index()];
    for (_, fact, keys) in LISTS.iter().filter(|(platform, ..)| **platform == *of_cloud.platform) {
        let lists = sight.of_cloud(cloud).filter(|seen| {
            seen.list("incomplete").is_empty() && seen.list(fact).iter().any(|row| name_of(row).is_some())
        });
        let mut listed: BTreeMap<&str, (&str, Option<HostId>)> = BTreeMap::new();
        for seen in lists {
            for row in seen.list(fact) {
                let Some(name) = name_of(row) else { continue };
                let address = row.get("address").and_then(Value::text);
                let host = names.find(name).or_else(|| names.find(address?));
                listed.insert(name, (&sight.host(seen.host).name, host));
            }
        }
        if listed.is_empty() {
            continue;
        }
        let key = keys[0];
        for (name, (by, host)) in &listed {
            let is_configured = |host| keys.iter().any(|key| sight.has_component(host, key));
            if !host.is_some_and(is_configured) {
                let what =
                    if host.is_some() { format!("not configured as {key}") } else { "not configured".to_owned() };
                drift.push(of_cloud_drift(sight, cloud, format!("{by} lists {key} {name}"), format!("it is {what}")));
            }
        }
        let known: BTreeSet<HostId> = listed.values().filter_map(|(_, host)| *host).collect();
        let configured: BTreeSet<HostId> = keys.iter().flat_map(|key| sight.with_component(cloud, key)).collect();
        for host in configured {
            // A partial list (one CC of several) lists hosts of its own partition; who lists none of a zone says nothing.
            let zone = sight.host(host).zone;
            let zone_listed = known.iter().any(|other| sight.host(*other).zone == zone);
            if !known.contains(&host) && zone_listed {
                let name = &sight.host(host).name;
                let declared = format!("{name} is configured as {key}");
                drift.push(of_cloud_drift(sight, cloud, declared, "the cloud does not list it".to_owned()));
            }
        }
    }
}

fn name_of(row: &Value) -> Option<&str> {
    ["host", "nc", "name"].into_iter().find_map(|key| row.get(key).and_then(Value::text)).or_else(|| row.text())
}

fn of_cloud_drift(sight: &Sight<'_>, cloud: CloudId, declared: String, observed: String) -> Drift {
    let target = Arc::clone(&sight.catalog.clouds[cloud.index()].name);
    let detail = format!("{declared}, {observed}");
    Drift { kind: DriftKind::Member, about: About::Cloud, target, cloud: Some(cloud), detail, declared, observed }
}

/// For the graph: whether a heard link is the declared one.
pub(super) fn is_declared(link: &Link, heard: &Heard) -> bool {
    link.switch == heard.switch
        && (heard.by == By::Switch
            || link.interface.as_deref().is_none_or(|interface| heard.interface.as_deref() == Some(interface)))
        && link.port.as_deref().is_none_or(|port| is_same_port(port, &heard.port))
}

/// Whether a name of a switch is one of its host's.
pub(super) fn is_host_of(switch: &str, host: &str) -> bool {
    is_same(switch, host)
}
