//! Links: bonds on one switch or one member of a stack, uplinks that are no aggregate.

use std::collections::{BTreeMap, BTreeSet};

use super::{About, Basis, Finding, Lint, listed};
use crate::catalog::layout::{Switch, Wiring};
use crate::model::Value;
use crate::sight::{Seen, Sight, is_same};

pub(super) fn look(sight: &Sight<'_>, found: &mut Vec<Finding>) {
    for wiring in &sight.catalog.layout.wirings {
        found.extend(declared(sight, wiring));
    }
    let mut tables: Vec<Seen<'_>> = Vec::new();
    for host in sight.host_ids() {
        for seen in sight.of_host(host) {
            match seen.probe {
                "lldp" => found.extend(heard(sight, &seen)),
                "snmp_switch" => tables.push(seen),
                _ => {}
            }
        }
    }
    let switches: BTreeSet<&str> = tables.iter().map(|seen| &*sight.host(seen.host).name).collect();
    for seen in &tables {
        uplinks(sight, seen, &switches, found);
    }
}

fn declared(sight: &Sight<'_>, wiring: &Wiring) -> Option<Finding> {
    let [first, rest @ ..] = wiring.links.as_slice() else { return None };
    if rest.is_empty() || rest.iter().any(|link| link.switch != first.switch) {
        return None;
    }
    // Undeclared, it may be a stack.
    let switch = sight.catalog.layout.switch(&first.switch)?;
    let count = wiring.links.len();
    let detail = if switch.is_stack {
        let members: Option<BTreeSet<u32>> = wiring.links.iter().map(crate::catalog::layout::Link::member).collect();
        let members = members?;
        let only = members.first().filter(|_| members.len() == 1)?;
        format!("all {count} links are on member {only} of the stack {}", switch.name)
    } else {
        format!("all {count} links are on {}", switch.name)
    };
    Some(Finding::of_host(Lint::BondOneSwitch, &sight.host(wiring.host).name, Basis::Declared, detail))
}

/// Bonds of which LLDP hears one chassis only.
fn heard(sight: &Sight<'_>, seen: &Seen<'_>) -> Option<Finding> {
    let same = seen.facts().get("same_switch").and_then(Value::list)?;
    let bonds: Vec<&str> = same.iter().filter_map(Value::text).collect();
    let heard = seen.facts().get("lldp").and_then(Value::map)?;
    let places: Vec<(&str, &str)> = heard
        .values()
        .filter_map(|place| {
            Some((place.get("switch").and_then(Value::text)?, place.get("port").and_then(Value::text).unwrap_or("")))
        })
        .collect();
    if bonds.is_empty() {
        return None;
    }
    let names: BTreeSet<&str> = places.iter().map(|(switch, _)| *switch).collect();
    // A stack that nobody declared is one chassis too.
    let switches: Option<Vec<&Switch>> = names.iter().map(|name| declared_switch(sight, name)).collect();
    match switches?.as_slice() {
        [only] if only.is_stack => {
            let members: Option<BTreeSet<u32>> = places.iter().map(|(_, port)| member(port)).collect();
            let members = members?;
            let member = members.first().filter(|_| members.len() == 1)?;
            Some(tell(sight, seen, &bonds, &format!("member {member} of the stack {}", only.name)))
        }
        [only] => Some(tell(sight, seen, &bonds, &only.name)),
        // Which of them carries the bond is not told; it is one all the same.
        several if several.iter().all(|switch| !switch.is_stack) => Some(tell(sight, seen, &bonds, "one switch")),
        _ => None,
    }
}

fn tell(sight: &Sight<'_>, seen: &Seen<'_>, bonds: &[&str], place: &str) -> Finding {
    let detail = format!("LLDP hears every link of {} on {place}", listed(bonds));
    Finding::of_host(Lint::BondOneSwitch, &sight.host(seen.host).name, Basis::Seen, detail)
}

fn member(port: &str) -> Option<u32> {
    crate::catalog::layout::Link::parse(&format!("x/{port}")).member()
}

fn declared_switch<'a>(sight: &Sight<'a>, name: &str) -> Option<&'a Switch> {
    sight.catalog.layout.switches.iter().find(|switch| is_same(&switch.name, name))
}

/// Ports to another switch that are in no aggregate that works.
fn uplinks(sight: &Sight<'_>, seen: &Seen<'_>, switches: &BTreeSet<&str>, found: &mut Vec<Finding>) {
    let own = &sight.host(seen.host).name;
    let mut ports: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for neighbour in seen.list("neighbours") {
        let text = |key| neighbour.get(key).and_then(Value::text);
        let (Some(port), Some(system)) = (text("port"), text("system")) else { continue };
        // Another switch: declared as one, or asked as one.
        let is_switch = declared_switch(sight, system).is_some() || switches.iter().any(|name| is_same(name, system));
        if is_switch && !is_same(system, own) {
            ports.entry(system).or_default().push(port);
        }
    }
    let lag_of = |port: &str| {
        seen.list("lags").iter().find(|lag| {
            let members = lag.get("ports").and_then(Value::list).unwrap_or_default();
            members.iter().any(|member| member.get("port").and_then(Value::text) == Some(port))
        })
    };
    for (system, ports) in ports {
        let alone: Vec<&str> = ports.iter().copied().filter(|port| lag_of(port).is_none()).collect();
        let mute = ports.iter().filter_map(|port| lag_of(port)?.get("name")?.text()).find(|lag| is_mute(seen, lag));
        let detail = if !alone.is_empty() {
            let (ports, are) = if alone.len() == 1 { ("port", "is") } else { ("ports", "are") };
            format!("{ports} {} to {system} {are} in no aggregate", listed(&alone))
        } else if let Some(lag) = mute {
            format!("{system} speaks no LACP on {lag}")
        } else if let [only] = ports.as_slice() {
            format!("the aggregate to {system} has one port, {only}")
        } else {
            continue;
        };
        found.push(Finding::new(Lint::UplinkWithoutLacp, About::Switch, own, Basis::Seen, detail));
    }
}

/// The other end of the aggregate speaks no LACP.
fn is_mute(seen: &Seen<'_>, lag: &str) -> bool {
    seen.list("lags_no_partner").iter().any(|name| name.text() == Some(lag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::layout::Link;
    use crate::id::HostId;
    use crate::model::Observation;
    use crate::sight::testing::{World, json};

    fn world(links: &[&str]) -> World {
        let mut world = World::new("p", &[]);
        let host = world.host("s1", &[]);
        let switch = |name: &str, is_stack| Switch {
            name: name.into(),
            aliases: Vec::new(),
            is_stack,
            is_management: false,
            feeds: Vec::new(),
        };
        let layout = &mut world.catalog.layout;
        layout.switches = vec![switch("sw1", false), switch("sw2", false), switch("stack", true)];
        let links = links.iter().map(|link| Link::parse(link)).collect();
        layout.wirings = vec![Wiring { host, feeds: Vec::new(), links, vm_on: None }];
        world
    }

    fn told(world: &World) -> Vec<String> {
        let mut found = Vec::new();
        look(&world.sight(), &mut found);
        found.into_iter().map(|finding| finding.detail).collect()
    }

    #[test]
    fn a_bond_on_one_switch_or_member_is_one_link() {
        for (links, expected) in [
            (&["sw1/1", "sw1/2"][..], Some("all 2 links are on sw1")),
            (&["sw1/1", "sw2/1"], None),
            (&["sw1/1"], None),
            (&["unknown/1", "unknown/2"], None),
            (&["stack/1/7", "stack/2/7"], None),
            (&["stack/1/7", "stack/1/8"], Some("all 2 links are on member 1 of the stack stack")),
            (&["stack", "stack"], None),
            (&[], None),
        ] {
            assert_eq!(told(&world(links)).first().map(String::as_str), expected, "{links:?}");
        }
    }

    #[test]
    fn lldp_tells_a_bond_on_one_switch() {
        for (same, switches, expected) in [
            (r#"["bond0"]"#, [("sw1", "1"), ("sw1", "2")], Some("LLDP hears every link of bond0 on sw1")),
            (r#"[]"#, [("sw1", "1"), ("sw2", "2")], None),
            (r#"["bond0"]"#, [("nobody's", "1"), ("nobody's", "2")], None),
            (r#"["bond0"]"#, [("stack", "Gi1/0/1"), ("stack", "Gi2/0/1")], None),
            (
                r#"["bond0"]"#,
                [("stack", "Gi1/0/1"), ("stack", "Gi1/0/2")],
                Some("LLDP hears every link of bond0 on member 1 of the stack stack"),
            ),
        ] {
            let mut world = world(&[]);
            let heard = format!(
                r#"{{"eth0":{{"switch":"{}","port":"{}"}},"eth1":{{"switch":"{}","port":"{}"}}}}"#,
                switches[0].0, switches[0].1, switches[1].0, switches[1].1
            );
            let seen = Observation::observed("").fact("same_switch", json(same)).fact("lldp", json(&heard));
            world.sees(HostId(0), "lldp", "lldp", seen);
            assert_eq!(told(&world).first().map(String::as_str), expected, "{switches:?}");
        }
    }

    #[test]
    fn uplinks_are_aggregates_of_two_ports_that_speak_lacp() {
        let neighbour =
            |port: &str, system: &str| format!(r#"{{"port":"{port}","system":"{system}","remote_port":"9"}}"#);
        let lag = |name: &str, ports: &[&str]| {
            let ports: Vec<String> = ports.iter().map(|port| format!(r#"{{"port":"{port}"}}"#)).collect();
            format!(r#"{{"name":"{name}","ports":[{}]}}"#, ports.join(","))
        };
        let both = [neighbour("Te1", "sw2"), neighbour("Te2", "sw2")];
        for (neighbours, lags, mute, expected) in [
            (&both[..], vec![], "[]", Some("ports Te1 and Te2 to sw2 are in no aggregate")),
            (&both[..], vec![lag("Po1", &["Te1", "Te2"])], "[]", None),
            (&both[..], vec![lag("Po1", &["Te1", "Te2"])], r#"["Po1"]"#, Some("sw2 speaks no LACP on Po1")),
            (&both[..1], vec![lag("Po1", &["Te1"])], "[]", Some("the aggregate to sw2 has one port, Te1")),
            (&[neighbour("Gi1", "s1")], vec![], "[]", None),
            (&[neighbour("Gi1", "a phone")], vec![], "[]", None),
            (&[], vec![], "[]", None),
        ] {
            let mut world = world(&[]);
            let host = world.host("sw1", &[]);
            let seen = Observation::observed("")
                .fact("neighbours", json(&format!("[{}]", neighbours.join(","))))
                .fact("lags", json(&format!("[{}]", lags.join(","))))
                .fact("lags_no_partner", json(mute));
            world.sees(host, "switch", "snmp_switch", seen);
            assert_eq!(told(&world).first().map(String::as_str), expected, "{neighbours:?} {lags:?}");
        }
    }
}
