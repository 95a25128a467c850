//! `[[dependency]]`: what rests, or is not told of, while too few of the objects that it needs hold.

use std::collections::{BTreeMap, BTreeSet};

use stentor_core::catalog::nagios::{Dependency, Options, Redundancy};
use stentor_core::id::{HostId, ObjectId, TimeperiodId};

use super::all;
use super::finding::{Diagnostics, suggest};
use super::objects::Builder;
use super::tree::{At, Section, word};

/// States of a host and of a service in which a dependency on it fails.
const HOST_STATES: &[(&str, Options)] = &[("down", Options::DOWN), ("unreachable", Options::UNREACHABLE)];
const SERVICE_STATES: &[(&str, Options)] =
    &[("warning", Options::WARNING), ("critical", Options::CRITICAL), ("unknown", Options::UNKNOWN)];

/// What a failed dependency stops.
#[derive(Copy, Clone, Eq, PartialEq)]
enum Stops {
    Notifications,
    Checks,
}

const STOPS: &[(&str, Stops)] = &[("notifications", Stops::Notifications), ("checks", Stops::Checks)];

/// Reads all of them; the catalog must be indexed.
pub(super) fn read(roots: &[Section<'_>], builder: &mut Builder<'_>, found: &mut Diagnostics) {
    let mut edges: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::new();
    for dependency in &builder.catalog.nagios.dependencies {
        edges.entry(dependency.dependent).or_default().push(dependency.master);
    }
    for (number, section) in all(roots, "dependency", "[[dependency]]", found).iter().enumerate() {
        let dependencies = one(section, number, builder, found);
        let dependent = dependencies.first().map(|dependency| dependency.dependent);
        for dependency in &dependencies {
            edges.entry(dependency.dependent).or_default().push(dependency.master);
        }
        builder.catalog.nagios.dependencies.extend(dependencies);
        if let Some(dependent) = dependent.filter(|dependent| leads_back(&edges, *dependent)) {
            let key = builder.catalog.object_key(dependent);
            let name = key.service.map_or_else(|| key.host.to_string(), |service| format!("{}/{service}", key.host));
            let message = format!("`{name}` depends on itself, at once or over others");
            found.error("circular-dependency", &section.at, message, "leave one dependency of the circle out");
        }
    }
    builder.catalog.nagios.reindex();
}

fn one(section: &Section<'_>, number: usize, builder: &Builder<'_>, found: &mut Diagnostics) -> Vec<Dependency> {
    let dependent = dependent(section, builder, found);
    let on = section.texts("on", found);
    if on.is_empty() {
        let help = "name what it needs: `on = [\"HOST\", \"HOST/SERVICE\"]`";
        found.error("missing-key", &section.at, "`[[dependency]]` needs the key `on`", help);
    }
    let mut masters: Vec<ObjectId> = on.iter().filter_map(|name| master(name, builder, found)).collect();
    masters.dedup();
    let name = section.text_or("name", &format!("dependency {}", number + 1), found);
    let min = redundancy(section, &masters, found);
    let states = section.texts("states", found);
    let stops = section.texts("stops", found);
    let stops: Vec<Stops> = stops.iter().filter_map(|text| word(text, "stops", STOPS, found)).collect();
    let stops = if stops.is_empty() { vec![Stops::Notifications] } else { stops };
    let period = section.text("period", found).and_then(|name| builder.periods.find(&name, found));
    let inherits_parent = section.bool_or("inherits_parent", false, found);
    let Some(dependent) = dependent else { return Vec::new() };
    let mut dependencies = Vec::with_capacity(masters.len());
    for master in masters {
        let criteria = criteria(&states, master, found);
        let of = |what| if stops.contains(&what) { criteria } else { Options::NONE };
        dependencies.push(Dependency {
            master,
            dependent,
            execution: of(Stops::Checks),
            notification: of(Stops::Notifications),
            inherits_parent,
            period: period.map(TimeperiodId::from_index),
            redundancy: min.map(|min_available| Redundancy { name: name.as_str().into(), min_available }),
        });
    }
    dependencies
}

fn dependent(section: &Section<'_>, builder: &Builder<'_>, found: &mut Diagnostics) -> Option<ObjectId> {
    let host = section.needed("host", found)?;
    let service = section.text("service", found);
    let row = builder.hosts.find(&host, found)?;
    match service {
        None => Some(ObjectId::Host(HostId::from_index(row))),
        Some(service) => service_on(HostId::from_index(row), &service, service.value, builder, found),
    }
}

/// `HOST` or `HOST/SERVICE`. A name of a host that has a `/` itself is found whole.
fn master(name: &At<&str>, builder: &Builder<'_>, found: &mut Diagnostics) -> Option<ObjectId> {
    let whole = builder.hosts.has(name.value);
    match name.value.split_once('/').filter(|_| !whole) {
        None => builder.hosts.find(name, found).map(|row| ObjectId::Host(HostId::from_index(row))),
        Some((host, service)) => {
            let row = builder.hosts.find(&At { value: host, at: name.at.clone() }, found)?;
            service_on(HostId::from_index(row), name, service, builder, found)
        }
    }
}

fn service_on(
    host: HostId,
    at: &At<&str>,
    name: &str,
    builder: &Builder<'_>,
    found: &mut Diagnostics,
) -> Option<ObjectId> {
    let catalog = &builder.catalog;
    let known = catalog.service_on(host, name);
    if known.is_none() {
        let of_host = &catalog.hosts[host.index()];
        let names = of_host.services.iter().map(|id| &*catalog.services[id.index()].name);
        let message = format!("host `{}` has no service `{name}`", of_host.name);
        found.error("unknown-service", &at.at, message, suggest(name, names));
    }
    known.map(ObjectId::Service)
}

/// How many of the masters must hold; `None` = each of them alone decides.
fn redundancy(section: &Section<'_>, masters: &[ObjectId], found: &mut Diagnostics) -> Option<u32> {
    let node = section.node("min_available")?;
    let min = u32::try_from(section.whole_or("min_available", 1, 1..=100_000, found)).unwrap_or(1);
    let distinct = masters.iter().collect::<BTreeSet<_>>().len();
    if distinct < min as usize {
        let message = format!("{min} must be available, and `on` names {distinct}");
        found.error("bad-redundancy", &node.at, message, "lower `min_available`, or name more in `on`");
    }
    Some(min)
}

/// The states in which a dependency on the master fails: those given that it can have, else all that are bad.
fn criteria(states: &[At<&str>], master: ObjectId, found: &mut Diagnostics) -> Options {
    let (own, default) = match master {
        ObjectId::Host(_) => (HOST_STATES, Options::DOWN | Options::UNREACHABLE),
        ObjectId::Service(_) => (SERVICE_STATES, Options::CRITICAL | Options::UNKNOWN),
    };
    if states.is_empty() {
        return default;
    }
    let mut criteria = Options::NONE;
    for state in states {
        let known = own.iter().find(|(name, _)| *name == state.value);
        criteria |= known.map_or(Options::NONE, |(_, bit)| *bit);
        let anywhere = HOST_STATES.iter().chain(SERVICE_STATES).any(|(name, _)| *name == state.value);
        if !anywhere {
            let words = HOST_STATES.iter().chain(SERVICE_STATES).map(|(name, _)| *name);
            let message = format!("unknown state `{}`", state.value);
            found.error("unknown-name", &state.at, message, suggest(state.value, words));
        }
    }
    if criteria.is_empty()
        && let Some(first) = states.first()
    {
        let message = "none of these states is one of an object in `on`";
        let help = "hosts are down or unreachable; services are warning, critical or unknown";
        found.error("bad-states", &first.at, message, help);
    }
    criteria
}

/// Whether what an object depends on depends on it.
fn leads_back(edges: &BTreeMap<ObjectId, Vec<ObjectId>>, start: ObjectId) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        for &master in edges.get(&at).into_iter().flatten() {
            if master == start {
                return true;
            }
            if seen.insert(master) {
                open.push(master);
            }
        }
    }
    false
}
