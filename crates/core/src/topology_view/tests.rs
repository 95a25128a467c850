//! Cables that are where they should be, elsewhere, too many, too few, and not heard at all.

use proptest::prelude::*;

use super::observed::is_same_port;
use super::*;
use crate::catalog::layout::{Link, Switch, Wiring};
use crate::model::{Facts, Observation, Value};
use crate::sight::testing::{World, json};
use crate::snapshot::Flags;

fn switch(name: &str, aliases: &[&str], is_management: bool) -> Switch {
    Switch {
        name: name.into(),
        aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
        is_stack: false,
        is_management,
        feeds: Vec::new(),
    }
}

/// A host `nc3` with these declared links, and switches sw1, sw2 and mgmt.
fn world(links: &[&str]) -> World {
    let mut world = World::new("eucalyptus", &["nc*", "cc*"]);
    let host = world.host("nc3", &["nc"]);
    let layout = &mut world.catalog.layout;
    layout.switches =
        vec![switch("sw1", &["00:11:22:33:44:55"], false), switch("sw2", &[], false), switch("mgmt", &[], true)];
    let links = links.iter().map(|link| Link::parse(link)).collect();
    layout.wirings = vec![Wiring { host, feeds: Vec::new(), links, vm_on: None }];
    world
}

fn lldp(places: &[(&str, &str, &str)]) -> Observation {
    let one = |(interface, switch, port): &(&str, &str, &str)| {
        format!(r#""{interface}":{{"switch":"{switch}","chassis":"id-{switch}","port":"{port}"}}"#)
    };
    let places: Vec<String> = places.iter().map(one).collect();
    Observation::observed("").fact("lldp", json(&format!("{{{}}}", places.join(","))))
}

fn neighbours(rows: &[(&str, &str, &str)]) -> Observation {
    let one = |(port, system, remote): &(&str, &str, &str)| {
        format!(r#"{{"port":"{port}","system":"{system}","remote_port":"{remote}"}}"#)
    };
    let rows: Vec<String> = rows.iter().map(one).collect();
    Observation::observed("").fact("neighbours", json(&format!("[{}]", rows.join(","))))
}

fn told(world: &World) -> Vec<(DriftKind, String)> {
    view(&world.sight()).drift.into_iter().map(|drift| (drift.kind, drift.detail)).collect()
}

type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str, &'a str)], &'a [(DriftKind, &'a str)]);

#[test]
fn cables_are_compared_by_interface_switch_and_port() {
    use DriftKind::{OneLink, Port, Switch, Undeclared, Unheard};
    let right = [("eth0", "sw1", "7"), ("eth1", "sw2", "7")];
    let cases: &[Case<'_>] = &[
        (&["eth0=sw1/7", "eth1=sw2/7"], &right, &[]),
        (&["sw2/7", "sw1/7"], &right, &[]),
        (&["sw1", "sw2"], &right, &[]),
        (
            &["eth0=sw1", "eth1=sw2"],
            &[("eth0", "sw1", "3"), ("eth1", "sw1", "7")],
            &[(Switch, "nc3 eth1 is declared on sw2, LLDP says sw1 port 7")],
        ),
        (
            &["sw1/3", "sw2/3"],
            &[("eth0", "sw1", "3"), ("eth1", "sw1", "7")],
            &[(Switch, "nc3 eth1 is declared on sw2 port 3, LLDP says sw1 port 7")],
        ),
        // Both cables were swapped: by interface that shows, by switch alone it does not matter.
        (&["sw1/7", "sw2/7"], &[("eth0", "sw2", "7"), ("eth1", "sw1", "7")], &[]),
        (
            &["eth0=sw1", "eth1=sw2"],
            &[("eth0", "sw2", "7"), ("eth1", "sw1", "7")],
            &[
                (Switch, "nc3 eth0 is declared on sw1, LLDP says sw2 port 7"),
                (Switch, "nc3 eth1 is declared on sw2, LLDP says sw1 port 7"),
            ],
        ),
        (&["sw1/8", "sw2/7"], &right, &[(Port, "nc3 eth0 is declared on sw1 port 8, LLDP says sw1 port 7")]),
        (
            &["sw1/7", "sw2/7"],
            &right[..1],
            &[(OneLink, "nc3 is declared with 2 links to sw1 and sw2, LLDP hears one, sw1 port 7")],
        ),
        (&["sw1/7", "sw2/7", "sw2/9"], &right, &[(Unheard, "nc3 is declared on sw2 port 9, LLDP hears nobody there")]),
        (&["sw1/7"], &right, &[(Undeclared, "nc3 declares no such link, LLDP says eth1 hangs on sw2 port 7")]),
        (&["sw1/7"], &[("eth0", "sw1", "7"), ("ipmi", "mgmt", "1")], &[]),
        (&["sw1/7", "sw2/7"], &[], &[]),
        (&[], &right, &[]),
        (&["eth0=sw1/7"], &[("eth0", "sw1.example.org", "Gi1/0/7")], &[]),
    ];
    for (links, heard, expected) in cases {
        let mut world = world(links);
        world.sees(crate::id::HostId(0), "cabling", "lldp", lldp(heard));
        let told = told(&world);
        let told: Vec<(DriftKind, &str)> = told.iter().map(|(kind, detail)| (*kind, detail.as_str())).collect();
        assert_eq!(told, *expected, "{links:?} {heard:?}");
    }
}

#[test]
fn a_switch_is_known_by_its_chassis_too() {
    let mut world = world(&["eth0=sw1"]);
    let seen = Observation::observed("")
        .fact("lldp", json(r#"{"eth0":{"switch":"CORE-A","chassis":"00:11:22:33:44:55","port":"1"}}"#));
    world.sees(crate::id::HostId(0), "cabling", "lldp", seen);
    assert_eq!(told(&world), []);
    let view = view(&world.sight());
    let confirmed = view.edges.iter().filter(|edge| edge.standing == Standing::Confirmed).count();
    assert_eq!((confirmed, view.edges.len()), (1, 1));
}

#[test]
fn silence_is_no_difference() {
    let mut world = world(&["sw1/7", "sw2/7"]);
    let id = world.sees(crate::id::HostId(0), "cabling", "lldp", lldp(&[("eth0", "sw2", "9")]));
    assert!(!told(&world).is_empty());
    world.services[id.index()].flags.set(Flags::STALE, true);
    assert_eq!(told(&world), [], "nobody looks any more");
    assert!(view(&world.sight()).edges.iter().all(|edge| edge.standing == Standing::Declared));
}

#[test]
fn the_table_of_a_switch_counts_where_the_host_is_mute() {
    let mut world = world(&["eth0=sw1/7", "eth1=sw2/7"]);
    let sw1 = world.host("sw1", &[]);
    let table = [("Gi1/0/7", "nc3", "52:54:00:00:00:01"), ("Gi1/0/9", "nc9", "eth0"), ("Te1", "sw2", "Te1")];
    let id = world.sees(sw1, "switch", "snmp_switch", neighbours(&table));
    let stranger = (DriftKind::Stranger, "sw1 port Gi1/0/9: undeclared host nc9".to_owned());
    assert_eq!(told(&world), [stranger], "of sw2 nobody was asked");
    let seen = view(&world.sight());
    let kinds: Vec<(&str, &str, Standing)> = seen
        .edges
        .iter()
        .map(|edge| (&*seen.nodes[edge.from].name, &*seen.nodes[edge.to].name, edge.standing))
        .collect();
    assert_eq!(
        kinds,
        [
            ("nc3", "sw1", Standing::Confirmed),
            ("nc3", "sw2", Standing::Declared),
            ("nc9", "sw1", Standing::Seen),
            ("sw2", "sw1", Standing::Seen),
        ]
    );
    let moved = [("Gi1/0/8", "nc3", "52:54:00:00:00:01")];
    std::sync::Arc::make_mut(&mut world.details[id.index()]).observation = Some(neighbours(&moved).into());
    let port = "nc3 eth0 is declared on sw1 port 7, the switch says sw1 port Gi1/0/8".to_owned();
    assert_eq!(told(&world), [(DriftKind::Port, port)]);
}

#[test]
fn a_link_that_both_ends_hear_is_one() {
    let mut world = world(&[]);
    let sw1 = world.host("sw1", &[]);
    world.sees(crate::id::HostId(0), "cabling", "lldp", lldp(&[("eth0", "sw1", "Gi1/0/7")]));
    let lags = json(r#"[{"name":"Po7","ports":[{"port":"Gi1/0/7"}]}]"#);
    let table = neighbours(&[("Gi1/0/7", "nc3.example.org", "eth0")]).fact("lags", lags);
    world.sees(sw1, "switch", "snmp_switch", table);
    let edges = view(&world.sight()).edges;
    let told: Vec<_> = edges.iter().map(|edge| (edge.interface.as_deref(), edge.aggregate.as_deref())).collect();
    assert_eq!(told, [(Some("eth0"), Some("Po7"))]);
}

#[test]
fn a_bond_of_one_slave_is_not_two_links() {
    let bond = |slaves: f64, bonds: f64| {
        let bond = json(&format!(r#"{{"name":"bond0","slaves":{slaves}}}"#));
        Observation::observed("").fact("bond", bond).fact("bonds", bonds)
    };
    for (links, slaves, bonds, expected) in [
        (&["sw1", "sw2"][..], 1.0, 1.0, Some("nc3 is declared with 2 links, bond0 has one slave")),
        (&["sw1", "sw2"], 2.0, 1.0, None),
        (&["sw1", "sw2"], 1.0, 2.0, None),
        (&["sw1", "mgmt"], 1.0, 1.0, None),
        (&["sw1"], 1.0, 1.0, None),
    ] {
        let mut world = world(links);
        world.sees(crate::id::HostId(0), "bond", "bond", bond(slaves, bonds));
        assert_eq!(told(&world).first().map(|(_, detail)| detail.as_str()), expected, "{links:?} {slaves} {bonds}");
    }
}

#[test]
fn a_second_feed_needs_a_second_supply() {
    for (feeds, psu, expected) in [
        (&["A", "B"][..], r#"[{"id":"1","offsets":[0]}]"#, 1),
        (&["A", "B"], r#"[{"id":"1","offsets":[0]},{"id":"2","offsets":[0,3]}]"#, 0),
        (&["A", "B"], r#"[{"id":"1","offsets":[0]},{"id":"2","offsets":[]}]"#, 1),
        (&["A", "B"], "[]", 0),
        (&["A"], r#"[{"id":"1","offsets":[0]}]"#, 0),
    ] {
        let mut world = world(&[]);
        world.catalog.layout.wirings[0].feeds = feeds.iter().map(|feed| (*feed).into()).collect();
        world.sees(crate::id::HostId(0), "psu", "ipmi", Observation::observed("").fact("psu", json(psu)));
        assert_eq!(told(&world).len(), expected, "{feeds:?} {psu}");
    }
}

#[test]
fn replicas_are_where_they_are_declared() {
    let drbd = |resources: &[&str]| {
        let rows: Vec<String> = resources.iter().map(|res| format!(r#"{{"res":"{res}"}}"#)).collect();
        Observation::observed("").fact("drbd", json(&format!("[{}]", rows.join(","))))
    };
    for (declared, seen, expected) in [
        (&["nc3", "b"][..], &["r0"][..], vec![]),
        (&["nc3", "b"], &[], vec!["nc3 is declared for r0, DRBD does not show it there"]),
        (&["nc3", "b"], &["r0", "r9"], vec!["nc3 declares no such replica, DRBD shows r9"]),
        (&["a", "b"], &["r0"], vec!["nc3 is not declared for r0, DRBD shows it there, not only on a and b"]),
        (&[], &["r0"], vec![]),
    ] {
        let mut world = world(&[]);
        if !declared.is_empty() {
            let pair = declared.iter().map(|name| (*name).into()).collect();
            world.catalog.clouds[0].topology.drbd.insert("r0".into(), pair);
        }
        world.sees(crate::id::HostId(0), "drbd", "drbd", drbd(seen));
        let told: Vec<String> = told(&world).into_iter().map(|(_, detail)| detail).collect();
        assert_eq!(told, expected, "{declared:?} {seen:?}");
    }
}

#[test]
fn a_host_without_luns_among_those_with_them_is_told() {
    let maps = |maps: f64| Observation::observed("").fact("maps", maps);
    for (first, second, expected) in [(0.0, 2.0, 1), (2.0, 2.0, 0), (0.0, 0.0, 0)] {
        let mut world = world(&[]);
        let other = world.host("nc4", &["nc"]);
        world.catalog.clouds[0].topology.backends.insert("san1".into(), vec!["nc".into()]);
        world.sees(crate::id::HostId(0), "multipath", "multipath", maps(first));
        world.sees(other, "multipath", "multipath", maps(second));
        assert_eq!(told(&world).len(), expected, "{first} {second}");
    }
}

#[test]
fn the_cloud_and_the_configuration_list_the_same_members() {
    let nodes = |names: &[&str]| {
        let rows: Vec<String> =
            names.iter().map(|name| format!(r#"{{"cc":"cc1","nc":"{name}","zone":"one"}}"#)).collect();
        Observation::observed("").fact("pairs", json(&format!("[{}]", rows.join(","))))
    };
    for (listed, expected) in [
        (&["nc3", "10.0.0.3"][..], vec![]),
        (&["nc3", "nc4", "nc9"], vec!["cc1 lists nc nc9, it is not configured"]),
        (&["nc3"], vec!["nc4 is configured as nc, the cloud does not list it"]),
        (&["nc3", "nc4", "cc1"], vec!["cc1 lists nc cc1, it is not configured as nc"]),
        (&[], vec![]),
    ] {
        let mut world = world(&[]);
        let cc = world.host("cc1", &["cc"]);
        world.host("nc4", &["nc"]);
        world.sees(cc, "services", "euca_services", nodes(listed));
        let told: Vec<String> = told(&world).into_iter().map(|(_, detail)| detail).collect();
        assert_eq!(told, expected, "{listed:?}");
    }
}

#[test]
fn ports_are_the_same_by_their_numbers() {
    for (one, other, same) in [
        ("7", "Gi1/0/7", true),
        ("2/7", "Gi2/0/7", true),
        ("1/7", "Gi2/0/7", false),
        ("Gi1/0/7", "gi1/0/7", true),
        ("Gi1/0/7", "GigabitEthernet1/0/7", true),
        ("7", "17", false),
        ("uplink", "Te1", true),
        ("", "7", true),
    ] {
        assert_eq!((is_same_port(one, other), is_same_port(other, one)), (same, same), "{one} {other}");
    }
}

#[test]
fn names_find_hosts_as_others_call_them() {
    let mut world = World::new("p", &[]);
    let a = world.host("a.example.org", &[]);
    let b = world.host("b", &[]);
    world.host("c.one.org", &[]);
    world.host("c.two.org", &[]);
    let names = Names::of(&world.catalog);
    for (name, expected) in [
        ("A", Some(a)),
        ("a.example.org.", Some(a)),
        ("a.example.net", None),
        ("b.anywhere.org", Some(b)),
        ("10.0.0.2", Some(b)),
        ("c", None),
        ("nobody", None),
    ] {
        assert_eq!(names.find(name), expected, "{name}");
    }
}

#[test]
fn differences_are_findings_that_can_be_accepted() {
    let mut world = world(&["eth0=sw1", "eth1=sw2"]);
    world.sees(crate::id::HostId(0), "cabling", "lldp", lldp(&[("eth0", "sw2", "1"), ("eth1", "sw2", "2")]));
    let view = view(&world.sight());
    let found = findings(&world.sight(), &view.drift);
    assert_eq!(
        found.iter().map(|f| (f.lint, &*f.target, f.accepted.is_some())).collect::<Vec<_>>(),
        [(Lint::Drift, "nc3", false)]
    );
    world.catalog.layout.accepted = vec![crate::catalog::layout::Accepted {
        lint: "drift".into(),
        target: "nc*".into(),
        reason: "moves next week".into(),
    }];
    assert_eq!(findings(&world.sight(), &view.drift)[0].accepted.as_deref(), Some("moves next week"));
}

/// Any value whose words are likely ones.
fn anything() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("nc3"),
        Just("sw1"),
        Just("sw2"),
        Just("eth0"),
        Just("r0"),
        Just("10.0.0.1"),
        Just("Gi1/0/7"),
        Just(""),
        Just("ok"),
        Just("battery"),
        Just("recovery"),
        Just("1970-01-10T00:00:00Z"),
        Just("\u{fffd}")
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>().prop_map(Value::Number),
        (-3i64..200).prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("switch"),
        Just("port"),
        Just("chassis"),
        Just("system"),
        Just("remote_port"),
        Just("res"),
        Just("offsets"),
        Just("host"),
        Just("name"),
        Just("ports"),
        Just("eth0"),
        Just("eth1"),
        Just("type"),
        Just("zone"),
        Just("ha.tag")
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::vec((key.clone(), inner), 0..5).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

const FACTS: [&str; 27] = [
    "lldp",
    "same_switch",
    "neighbours",
    "lags",
    "lags_no_partner",
    "psu",
    "drbd",
    "maps",
    "nodes",
    "pairs",
    "registered",
    "elsewhere",
    "services",
    "settings",
    "kvm_hosts",
    "secondary",
    "ha_vms",
    "answers",
    "dns",
    "raid",
    "arrays",
    "power",
    "runtime_s",
    "operation",
    "finish_min",
    "tls_not_after",
    "chain_days_left",
];
const PROBES: [&str; 10] =
    ["lldp", "snmp_switch", "ipmi", "drbd", "multipath", "mdraid", "disk", "dns", "nut", "cloudstack"];

proptest! {
    #[test]
    fn whatever_probes_say_is_read_or_left_aside(
        platform in prop_oneof![Just("eucalyptus"), Just("cloudstack")],
        said in proptest::collection::vec((0usize..3, 0usize..PROBES.len(),
            proptest::collection::vec((0usize..FACTS.len(), anything()), 0..6)), 0..8),
    ) {
        let mut world = World::new(platform, &["nc*", "ufs*", "walrus*", "lb"]);
        let hosts = [world.host("nc3", &["nc", "walrus"]), world.host("sw1", &["ufs"]), world.host("lb1", &["lb"])];
        world.catalog.layout.switches = vec![switch("sw1", &[], false), switch("sw2", &[], false)];
        world.catalog.layout.wirings = vec![Wiring {
            host: hosts[0],
            feeds: vec!["A".into()],
            links: vec![Link::parse("eth0=sw1/7"), Link::parse("sw2")],
            vm_on: None,
        }];
        world.catalog.clouds[0].topology.drbd.insert("r0".into(), vec!["nc3".into(), "sw1".into()]);
        world.catalog.clouds[0].topology.backends.insert("san".into(), vec!["nc".into()]);
        for (i, (host, probe, facts)) in said.into_iter().enumerate() {
            let facts: Facts = facts.into_iter().map(|(fact, value)| (FACTS[fact], value)).collect();
            let observation = Observation { facts, ..Observation::observed("x") };
            world.sees(hosts[host], &format!("s{i}"), PROBES[probe], observation);
        }
        let sight = world.sight();
        let seen = view(&sight);
        prop_assert!(seen.edges.iter().all(|edge| edge.from < seen.nodes.len() && edge.to < seen.nodes.len()));
        let found = crate::design::findings(&sight);
        prop_assert_eq!(found, crate::design::findings(&sight));
        for id in 0..world.services.len() {
            let left = crate::timeleft::of_service(&sight, crate::id::ServiceId::from_index(id), None);
            prop_assert!(left.iter().all(|left| (0.0..=1.0).contains(&left.confidence)));
        }
    }
}
