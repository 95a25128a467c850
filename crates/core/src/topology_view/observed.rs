//! Links that somebody hears: LLDP of hosts, and the LLDP tables of switches.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::id::HostId;
use crate::model::Value;
use crate::sight::{Seen, Sight};

/// Finds hosts by the names that others call them; built once, for a fleet hears a fleet.
#[derive(Debug, Default)]
pub struct Names {
    whole: BTreeMap<String, HostId>,
    /// Without the domain: the host, and whether it is configured with one; `None` = several hosts.
    short: BTreeMap<String, Option<(HostId, bool)>>,
}

impl Names {
    pub fn of(catalog: &Catalog) -> Names {
        let mut names = Names::default();
        for (row, host) in catalog.hosts.iter().enumerate() {
            let id = HostId::from_index(row);
            for name in [&host.name, &host.display, &host.address] {
                names.whole.entry(name.to_ascii_lowercase()).or_insert(id);
            }
            let name = host.name.to_ascii_lowercase();
            let known = Some((id, short(&name) != name));
            names.short.entry(short(&name).to_owned()).and_modify(|known| *known = None).or_insert(known);
        }
        names
    }

    /// By name, address, or the name without its domain where one side has none.
    pub fn find(&self, name: &str) -> Option<HostId> {
        let name = name.trim().trim_end_matches('.').to_ascii_lowercase();
        if let Some(id) = self.whole.get(&name) {
            return Some(*id);
        }
        let (id, is_with_domain) = self.short.get(short(&name)).copied().flatten()?;
        (!is_with_domain || short(&name) == name).then_some(id)
    }
}

fn short(name: &str) -> &str {
    if name.parse::<std::net::IpAddr>().is_ok() { name } else { name.split('.').next().unwrap_or(name) }
}

/// One link as somebody hears it.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// `None` = it is not configured.
    pub host: Option<HostId>,
    /// As it calls itself.
    pub host_name: Arc<str>,
    pub interface: Option<String>,
    /// As configured where it is, else as it calls itself.
    pub switch: Arc<str>,
    pub is_declared_switch: bool,
    pub is_management: bool,
    pub port: String,
    /// The aggregate of the switch that the port is in.
    pub aggregate: Option<String>,
    pub by: By,
}

/// Who hears it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum By {
    Host,
    Switch,
}

/// All links that are heard; where a host and a switch hear the same one, it is the host's.
pub fn heard(sight: &Sight<'_>, names: &Names) -> Vec<Heard> {
    let mut all: Vec<Heard> = Vec::new();
    for host in sight.host_ids() {
        for seen in sight.by_probe(host, "lldp") {
            all.extend(by_host(sight, &seen));
        }
    }
    let known = all.len();
    let mut of_switches = Vec::new();
    for host in sight.host_ids() {
        for seen in sight.by_probe(host, "snmp_switch") {
            of_switches.extend(by_switch(sight, names, &seen));
        }
    }
    // By place: a fleet of links must not be compared with itself pair by pair.
    let mut places: BTreeMap<(HostId, Arc<str>), Vec<usize>> = BTreeMap::new();
    for (i, heard) in all.iter().enumerate().take(known) {
        if let Some(host) = heard.host {
            places.entry((host, Arc::clone(&heard.switch))).or_default().push(i);
        }
    }
    for new in of_switches {
        let at = new.host.and_then(|host| places.get(&(host, Arc::clone(&new.switch))));
        let same = at.and_then(|at| {
            at.iter().copied().find(|i| {
                let old = &all[*i];
                is_same_port(&old.port, &new.port) || (old.interface.is_some() && old.interface == new.interface)
            })
        });
        match same {
            // The host knows its interface best, the switch its aggregates.
            Some(i) => all[i].aggregate = new.aggregate,
            None => all.push(new),
        }
    }
    all
}

fn by_host<'a>(sight: &Sight<'a>, seen: &Seen<'a>) -> Vec<Heard> {
    let Some(interfaces) = seen.facts().get("lldp").and_then(Value::map) else { return Vec::new() };
    let name = &sight.host(seen.host).name;
    let heard = interfaces.iter().filter_map(|(interface, place)| {
        let text = |key| place.get(key).and_then(Value::text).unwrap_or("");
        let (system, chassis) = (text("switch"), text("chassis"));
        let declared = sight.catalog.layout.switch_called(&[system, chassis]);
        let switch = declared.map_or_else(|| Arc::from(system), |switch| Arc::clone(&switch.name));
        (!switch.is_empty()).then(|| Heard {
            host: Some(seen.host),
            host_name: Arc::clone(name),
            interface: Some(interface.clone()),
            switch,
            is_declared_switch: declared.is_some(),
            is_management: declared.is_some_and(|switch| switch.is_management),
            port: text("port").to_owned(),
            aggregate: None,
            by: By::Host,
        })
    });
    heard.collect()
}

fn by_switch(sight: &Sight<'_>, names: &Names, seen: &Seen<'_>) -> Vec<Heard> {
    let own = &sight.host(seen.host).name;
    let declared = sight.catalog.layout.switch_called(&[own]);
    let switch = declared.map_or(own, |switch| &switch.name);
    let heard = seen.list("neighbours").iter().filter_map(|neighbour| {
        let text = |key| neighbour.get(key).and_then(Value::text).filter(|text| !text.is_empty());
        let (port, system) = (text("port")?, text("system")?);
        let host = names.find(system);
        Some(Heard {
            host,
            host_name: host.map_or_else(|| Arc::from(system), |host| Arc::clone(&sight.host(host).name)),
            interface: text("remote_port").map(str::to_owned),
            switch: Arc::clone(switch),
            is_declared_switch: declared.is_some(),
            is_management: declared.is_some_and(|switch| switch.is_management),
            port: port.to_owned(),
            aggregate: aggregate_of(seen, port),
            by: By::Switch,
        })
    });
    heard.collect()
}

/// The aggregate with that port among its members.
fn aggregate_of(seen: &Seen<'_>, port: &str) -> Option<String> {
    let has_port = |lag: &&Value| {
        let members = lag.get("ports").and_then(Value::list).unwrap_or_default();
        members.iter().any(|member| member.get("port").and_then(Value::text) == Some(port))
    };
    Some(seen.list("lags").iter().find(has_port)?.get("name")?.text()?.to_owned())
}

/// Whether two names mean one port: `7`, `1/7` and `Gi1/0/7` may. What cannot be compared is taken for the same.
pub fn is_same_port(one: &str, other: &str) -> bool {
    if one.is_empty() || other.is_empty() || one.eq_ignore_ascii_case(other) {
        return true;
    }
    let (one, other) = (numbers(one), numbers(other));
    let (few, many) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    match (few.as_slice(), many.as_slice()) {
        // A word without a number says nothing that could be compared.
        ([], _) | (_, []) => true,
        ([port], [.., last]) => port == last,
        ([member, port], [first, .., last]) => member == first && port == last,
        _ => few == many,
    }
}

fn numbers(port: &str) -> Vec<u64> {
    port.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}
