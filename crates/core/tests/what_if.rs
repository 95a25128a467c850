//! What if: the answer is that of the engine, also for what only the engine unites; and asking for all is asking for each.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use stentor_core::catalog::{Catalog, Cloud};
use stentor_core::diagnosis::CoreState;
use stentor_core::id::{CloudId, HostId};
use stentor_core::whatif::{Answer, Element, World};

mod site;

fn ask(world: &World<'_>, element: &str) -> Answer {
    world.ask(&[Element::parse(element).unwrap()]).unwrap()
}

/// `class/subtype on place, so many effects`
fn said(answer: &Answer) -> Vec<String> {
    let line = |one: &stentor_core::whatif::Expected| {
        let place = one.target.host.as_deref().unwrap_or("self");
        let hosts = one.suppressed.iter().filter(|effect| effect.component.is_none()).count();
        format!("{}/{} on {place}, {hosts} hosts", one.class.as_str(), one.subtype)
    };
    answer.incidents().map(line).collect()
}

#[test]
fn a_rack_is_one_incident_where_nobody_tells_its_power() {
    let catalog = site::racks(3, 8);
    let world = World::healthy(&catalog, site::NOW);
    for (element, expected) in [
        // Nobody reports power here: of two that explain the same, the switch is told.
        ("feed:feed02", "network/switch on tor02, 8 hosts"),
        ("switch:tor02", "network/switch on tor02, 8 hosts"),
        ("host:host02-05", "server_down/os_dead on host02-05, 0 hosts"),
    ] {
        let answer = ask(&world, element);
        assert_eq!(said(&answer), [expected], "{element}");
    }
    let mut without_switches = site::racks(3, 8);
    without_switches.clouds[0].topology.switches.clear();
    without_switches.clouds[0].topology.single_homed.clear();
    let world = World::healthy(&without_switches, site::NOW);
    let answer = ask(&world, "feed:feed02");
    assert_eq!(said(&answer), ["power_event/feed_lost on feed02, 8 hosts"]);
    assert_eq!(answer.clouds[0].after.state, CoreState::Degraded, "one zone of three");
}

/// The same hosts in two clouds, racks across both.
fn two_clouds() -> Catalog {
    let mut catalog = site::racks(2, 8);
    let is_second = |name: &Arc<str>| name.ends_with('5') || name.ends_with('6') || name.ends_with('7');
    let first = &mut catalog.clouds[0];
    let mut second = first.topology.clone();
    first.topology.hosts.retain(|name, _| !is_second(name));
    second.hosts.retain(|name, _| is_second(name));
    for (topology, keep) in [(&mut first.topology, false), (&mut second, true)] {
        topology.switches.clear();
        topology.single_homed.clear();
        let own = |name: &Arc<str>| is_second(name) == keep;
        let of_cloud = topology.zones.values_mut().chain(topology.single_fed.values_mut());
        of_cloud.for_each(|hosts| hosts.retain(|name| name.starts_with("host") && own(name)));
        topology.fed_by.retain(|name, _| name.starts_with("host") && own(name));
    }
    let (name, platform) = ("other".into(), "eucalyptus".into());
    catalog.clouds.push(Cloud { name, platform, min_nc: 1, topology: second, hosts: Vec::new() });
    for i in 0..catalog.hosts.len() {
        let cloud = usize::from(is_second(&catalog.hosts[i].name));
        catalog.hosts[i].cloud = Some(CloudId::from_index(cloud));
        if cloud == 1 {
            catalog.clouds[0].hosts.retain(|host| host.index() != i);
            catalog.clouds[1].hosts.push(HostId::from_index(i));
        }
    }
    catalog.reindex();
    catalog
}

#[test]
fn a_feed_under_two_clouds_is_one_incident_of_neither_alone() {
    let catalog = two_clouds();
    let world = World::healthy(&catalog, site::NOW);
    let answer = ask(&world, "feed:feed01");
    assert_eq!(said(&answer), ["power_event/feed_lost on feed01, 8 hosts"]);
    assert!(answer.clouds.iter().all(|cloud| cloud.incidents.is_empty()), "it is of no cloud alone");
    assert_eq!(answer.elsewhere.len(), 1);
    let written = serde_json::to_string(&answer).unwrap();
    assert_eq!(serde_json::from_str::<Answer>(&written).unwrap(), answer);
}

#[test]
fn asking_for_all_gives_what_asking_for_each_gives() {
    for catalog in [site::racks(3, 8), two_clouds()] {
        let world = World::healthy(&catalog, site::NOW);
        let all = world.ask_all();
        assert!(all.len() > catalog.hosts.len());
        for answer in &all {
            assert_eq!(answer, &world.ask(&answer.assumed).unwrap(), "{}", answer.assumed[0]);
        }
    }
}
