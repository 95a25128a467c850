//! The rules that are built in, over traps as devices send them.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config;

fn rules() -> Arc<[TrapRule]> {
    config::load_text("", Path::new("stentor.toml")).expect("an empty configuration loads").trap_rules
}

fn bind(oid: &str, value: SnmpValue) -> VarBind {
    VarBind { oid: stentor_wire::snmp::trap::oid(oid).expect(oid), value }
}

fn trap(oid: &str, binds: Vec<VarBind>) -> Trap {
    let oid = stentor_wire::snmp::trap::oid(oid).expect(oid);
    Trap { version: 2, is_inform: false, oid, up_time: 1, agent: None, binds }
}

/// Rule, state, key and text of a trap.
fn said(rules: &[TrapRule], trap: &Trap) -> Option<(String, Option<ServiceState>, String, String)> {
    let facts = Facts::of(trap, "10.0.0.1".parse().unwrap());
    let (rule, facts) = rules.iter().find_map(|rule| Some((rule, facts.seen_by(rule, trap, "sw1")?)))?;
    Some((rule.name.to_string(), rule.state, facts.fill(&rule.key), facts.fill(&rule.text)))
}

/// The octets of a platform event with this severity, of sensor 81.
fn event(severity: u8) -> SnmpValue {
    let mut bytes = vec![0; 46];
    for (at, byte) in [(26, severity), (27, 0x20), (28, 81), (29, 10), (30, 1)] {
        bytes[at] = byte;
    }
    SnmpValue::Bytes(bytes)
}

#[test]
fn built_in_rules_say_what_traps_mean() {
    use ServiceState::{Critical, Ok, Warning};
    let rules = rules();
    let fields = "petTraps.1";
    let alarm = || {
        vec![
            bind("upsAlarmId.4", SnmpValue::Integer(4)),
            bind("upsAlarmDescr.4", SnmpValue::Oid(Oid::new(&[1, 3, 6, 1, 2, 1, 33, 1, 6, 3, 3]))),
        ]
    };
    let battery = vec![
        bind("upsEstimatedMinutesRemaining.0", SnmpValue::Integer(12)),
        bind("upsSecondsOnBattery.0", SnmpValue::Integer(60)),
    ];
    for (trap, state, key, text) in [
        (trap("linkDown", vec![bind("ifIndex.7", SnmpValue::Integer(7))]), None, "link down", "link down"),
        (trap("coldStart", vec![]), Some(Warning), "restart", "the SNMP agent restarted (coldStart)"),
        (trap("authenticationFailure", vec![]), Some(Warning), "authentication", "asked with a wrong login"),
        (trap("upsTrapOnBattery", battery), Some(Critical), "battery", "12 min left, for 60 s now"),
        (trap("upsTrapAlarmEntryAdded", alarm()), Some(Warning), "UPS alarm 4", "1.3.6.1.2.1.33.1.6.3.3"),
        (trap("upsTrapAlarmEntryRemoved", alarm()), Some(Ok), "UPS alarm 4", "takes an alarm back"),
        (
            trap("entStateOperDisabled", vec![bind("entStateAdmin.1001", SnmpValue::Integer(4))]),
            Some(Warning),
            "part 1001",
            "part 1001 is out of operation (alarm bits ?)",
        ),
        (
            trap("1.3.6.1.4.1.3183.1.1.0.552705", vec![bind(fields, event(0x10))]),
            Some(Critical),
            "sensor 20h 81/1",
            "Power Supply Failure detected, sensor 81, entity 10.1 (critical)",
        ),
        (
            trap("1.3.6.1.4.1.3183.1.1.0.552833", vec![bind(fields, event(0x10))]),
            Some(Ok),
            "sensor 20h 81/1",
            "Power Supply Failure detected: over",
        ),
        (
            trap("1.3.6.1.4.1.3183.1.1.0.527105", vec![bind(fields, event(0))]),
            Some(Warning),
            "sensor 20h 81",
            "Redundancy Lost",
        ),
    ] {
        let name = trap.name();
        let (rule, found_state, found_key, found_text) =
            said(&rules, &trap).unwrap_or_else(|| panic!("{name}: no rule"));
        assert_eq!((found_state, found_key.as_str()), (state, key), "{name}: {rule}");
        assert!(found_text.contains(text), "{name}: {found_text}");
    }
    let short = trap("1.3.6.1.4.1.3183.1.1.0.552705", vec![bind(fields, SnmpValue::Bytes(vec![0; 45]))]);
    assert_eq!(said(&rules, &short), None, "what is no platform event is not taken for one");
    assert_eq!(said(&rules, &trap("1.3.6.1.4.1.99999.0.1", vec![])), None);
}

#[test]
fn a_rule_names_objects_and_hosts_of_its_own() {
    let text = r#"
        [[trap]]
        name = "fan"
        oid = "1.3.6.1.4.1.99.0.*"
        host = "sw*"
        vars = { fan = "1.3.6.1.4.1.99.1" }
        when = "fan != 2"
        state = "CRITICAL"
        key = "fan {instance}"
        text = "fan {instance} says {fan} {nothing} {open"
    "#;
    let rules = config::load_text(text, Path::new("stentor.toml")).expect("it loads").trap_rules;
    let fan = |state| trap("1.3.6.1.4.1.99.0.3", vec![bind("1.3.6.1.4.1.99.1.12", SnmpValue::Integer(state))]);
    let (rule, state, key, shown) = said(&rules, &fan(3)).expect("taken");
    assert_eq!((rule.as_str(), state, key.as_str()), ("fan", Some(ServiceState::Critical), "fan 12"));
    assert_eq!(shown, "fan 12 says 3 ? {open");
    assert_eq!(said(&rules, &fan(2)), None);
    let facts = Facts::of(&fan(3), "10.0.0.1".parse().unwrap());
    assert!(facts.seen_by(&rules[0], &fan(3), "ups1").is_none());
}

#[test]
fn wrong_rules_are_found_with_their_place() {
    for (text, code) in [
        ("[[trap]]\nname = \"x\"\n", "missing-key"),
        ("[[trap]]\nname = \"x\"\noid = \"noSuchTrap\"\n", "bad-oid"),
        ("[[trap]]\nname = \"x\"\noid = \"linkDown\"\nwhen = \"a ==\"\n", "bad-rule"),
        ("[[trap]]\nname = \"x\"\noid = \"linkDown\"\nvars = { a = \"b\" }\n", "bad-oid"),
        ("[[trap]]\nname = \"x\"\noid = \"linkDown\"\nlevel = 3\n", "unknown-key"),
        ("[traps]\nlisten = \"nowhere\"\ncommunity_files = [\"c\"]\n", "bad-address"),
        ("[traps]\nlisten = \"127.0.0.1:0\"\n", "missing-key"),
        ("[traps]\nlisten = \"127.0.0.1:0\"\n[[traps.user]]\nname = \"a\"\nauth = \"sha256\"\n", "half-login"),
        (
            "[traps]\nlisten = \"127.0.0.1:0\"\n[[traps.user]]\nname = \"a\"\nauth = \"md5\"\nauth_password_file = \"p\"\n",
            "unknown-word",
        ),
        (
            "[traps]\nlisten = \"127.0.0.1:0\"\ncommunity_files = [\"c\"]\n[[traps.source]]\naddress = \"10.0.0.1\"\nhost = \"nobody\"\n",
            "unknown-host",
        ),
    ] {
        let found = config::load_text(text, Path::new("stentor.toml")).expect_err(text);
        assert!(found.findings.iter().any(|finding| finding.code == code), "{text}: {found:?}");
    }
}

proptest! {
    #[test]
    fn any_trap_is_judged_without_harm(
        arcs in prop::collection::vec(any::<u32>(), 0..14),
        objects in prop::collection::vec((prop::collection::vec(any::<u32>(), 0..14), prop::collection::vec(any::<u8>(), 0..60)), 0..8),
        text in "\\PC{0,40}|[{}a-z.]{0,30}",
    ) {
        let binds = objects.into_iter().map(|(arcs, bytes)| VarBind { oid: Oid::new(&arcs), value: SnmpValue::Bytes(bytes) });
        let trap = Trap { version: 1, is_inform: false, oid: Oid::new(&arcs), up_time: 0, agent: None, binds: binds.collect() };
        let facts = Facts::of(&trap, "::1".parse().unwrap());
        let filled = facts.fill(&text);
        prop_assert!(!filled.chars().any(char::is_control) && filled.chars().count() <= TEXT_CHARS_MAX);
    }
}
