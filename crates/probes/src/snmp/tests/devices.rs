//! The probes of whole boxes against recordings (tests/data/snmp), and against boxes with one thing wrong.

use std::sync::Arc;

use proptest::prelude::*;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::{Oid, SnmpValue};

use super::{Made, json, probe, run};
use crate::testing::{build, number, plain_env, text};

const SWITCH: &str = include_str!("../../../../../tests/data/snmp/switch.snmprec");

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn value(tag: &str, text: &str) -> SnmpValue {
    let whole = || text.parse::<i64>().expect("a number");
    match tag {
        "2" => SnmpValue::Integer(whole()),
        "4" => SnmpValue::Bytes(text.as_bytes().to_vec()),
        "4x" => SnmpValue::Bytes(unhex(text)),
        "6" => SnmpValue::Oid(text.parse().expect("an identifier")),
        "65" => SnmpValue::Counter32(whole() as u32),
        "66" => SnmpValue::Gauge(whole() as u64),
        "67" => SnmpValue::Ticks(whole() as u32),
        "70" => SnmpValue::Counter64(whole() as u64),
        other => panic!("tag {other}"),
    }
}

/// What a recording says, with these objects changed.
fn recorded(text: &str, changes: &[(&str, SnmpValue)]) -> Arc<Made> {
    let made = Made::default();
    for line in text.lines() {
        let [oid, tag, text] = line.splitn(3, '|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        made.set(oid, value(tag, text));
    }
    for (oid, value) in changes {
        made.set(oid, value.clone());
    }
    Arc::new(made)
}

async fn seen(kind: &str, params: &str, text: &str, changes: &[(&str, SnmpValue)]) -> Observation {
    run(&probe(kind, params, &recorded(text, changes))).await
}

/// Every object whose index begins or ends so is gone, as with a member that lost its power.
fn without(made: &Made, is_gone: impl Fn(&Oid) -> bool) {
    made.objects.lock().expect("not poisoned").retain(|oid, _| !is_gone(oid));
}

fn member(seen: &Observation, fact: &str, index: usize, key: &str) -> Value {
    seen.facts[fact].list().expect("a list")[index].get(key).cloned().unwrap_or(Value::Null)
}

const STACK: &str = r#"{"members":2,"lags":{"Po1":2},"bmc_ports":{"Gi1/0/41":"nc1"},"mac_table":true}"#;

#[tokio::test]
async fn a_switch_that_is_well_is_described() {
    let seen = seen("snmp_switch", STACK, SWITCH, &[]).await;
    for fact in ["lags_down", "lags_degraded", "lags_mixed", "lags_no_partner", "churned", "stack_down", "failed"] {
        assert_eq!(json(&seen, fact), "[]", "{fact}");
    }
    assert_eq!(&*seen.text, "2 of 2 stack members ready, 4 of 4 aggregates whole, 14 of 14 ports up");
    assert_eq!(json(&seen, "switch"), r#"{"bmc_ports_down":[],"state":"up"}"#);
    assert_eq!(text(&seen, "ring"), "redundant");
    assert_eq!(member(&seen, "stack", 1, "cswSwitchState"), Value::from(4i64));
    assert_eq!(["psus", "psus_ok", "fans_ok"].map(|fact| number(&seen, fact)), [4.0, 4.0, 2.0]);
    assert_eq!(number(&seen, "temperature_max_c"), 23.7);
    let inlet = seen.measurements.iter().find(|one| &*one.label == "Switch 1 inlet").expect("measured");
    assert_eq!((inlet.value, &*inlet.unit), (Some(23.6), "°C"));
    let first = serde_json::to_string(&seen.facts["neighbours"].list().expect("a list")[0]).expect("JSON");
    assert_eq!(first, r#"{"port":"Gi1/0/1","remote_port":"eth0","system":"nc1"}"#);
    assert_eq!(seen.facts["neighbours"].list().map(<[Value]>::len), Some(8));
    assert_eq!(seen.facts["macs"].list().map(<[Value]>::len), Some(8));
    assert_eq!(member(&seen, "lags", 0, "partner"), Value::from("52:54:00:00:01:00"));
}

#[tokio::test]
async fn a_member_of_an_aggregate_that_leaves_is_missed() {
    // As a switch says it whose partner fell silent: defaulted, not attached.
    let changes = [
        ("1.2.840.10006.300.43.1.2.1.1.13.10201", SnmpValue::Integer(0)),
        ("1.2.840.10006.300.43.1.2.1.1.21.10201", SnmpValue::Bytes(vec![0xa2])),
    ];
    let left = seen("snmp_switch", "{}", SWITCH, &changes).await;
    assert_eq!(json(&left, "lags_degraded"), r#"["Po1"]"#);
    assert!(left.text.ends_with("; aggregate degraded: Po1"), "{}", left.text);
    assert!(left.long_text.contains("Po1: 1 of 2 ports to 52:54:00:00:01:00: Gi1/0/1 carries, Gi2/0/1 not attached"));
    let churn = [("1.2.840.10006.300.43.1.2.3.1.5.10203", SnmpValue::Integer(2))];
    assert_eq!(json(&seen("snmp_switch", "{}", SWITCH, &churn).await, "churned"), r#"["Gi2/0/3"]"#);
}

#[tokio::test]
async fn a_member_of_a_stack_that_vanishes_is_missed_where_it_is_named() {
    let made = recorded(SWITCH, &[("1.3.6.1.4.1.9.9.500.1.1.3.0", SnmpValue::Integer(2))]);
    without(&made, |oid| {
        oid.arcs().last().is_some_and(|last| (10_201..10_300).contains(last) || (2001..2100).contains(last))
    });
    let seen = run(&probe("snmp_switch", STACK, &made)).await;
    assert_eq!(json(&seen, "stack_down"), r#"["2 removed"]"#);
    assert_eq!(member(&seen, "stack", 1, "cswSwitchState"), Value::from(11i64));
    assert_eq!(text(&seen, "ring"), "broken");
    // Of the other aggregates nobody said how many ports they should have.
    assert_eq!(json(&seen, "lags_degraded"), r#"["Po1"]"#);
    let unnamed = run(&probe("snmp_switch", "{}", &made)).await;
    assert_eq!((json(&unnamed, "stack_down").as_str(), json(&unnamed, "lags_degraded").as_str()), ("[]", "[]"));
    assert!(!unnamed.facts.contains_key("ring"), "one switch is no ring");
}

#[tokio::test]
async fn supplies_fake_redundancy_and_dark_management_ports_are_told() {
    let changes = [
        ("1.3.6.1.4.1.9.9.117.1.1.2.1.2.2011", SnmpValue::Integer(8)),
        ("1.3.6.1.2.1.131.1.1.1.5.1021", SnmpValue::Bytes(vec![0x08])),
        ("1.3.6.1.2.1.2.2.1.8.10141", SnmpValue::Integer(2)),
        // The other port of nc2 is on the same member.
        ("1.3.6.1.2.1.31.1.1.1.1.10202", SnmpValue::Bytes(b"Gi1/0/9".to_vec())),
    ];
    let seen = seen("snmp_switch", STACK, SWITCH, &changes).await;
    assert_eq!(json(&seen, "failed"), r#"["Switch 2 PSU A"]"#);
    assert_eq!((number(&seen, "psus"), number(&seen, "psus_ok")), (4.0, 3.0));
    assert_eq!(json(&seen, "warning"), r#"["Switch 1 Fan 1"]"#);
    assert_eq!(json(&seen, "switch"), r#"{"bmc_ports_down":["nc1"],"state":"up"}"#);
    assert_eq!(json(&seen, "one_member"), r#"["Po2"]"#);
}

#[tokio::test]
async fn boxes_of_another_sort_are_found_out() {
    for (kind, fact) in [("snmp_switch", "switch_found")] {
        let seen = seen(kind, "{}", "1.3.6.1.2.1.1.3.0|67|1", &[]).await;
        assert_eq!((text(&seen, "snmp"), text(&seen, fact)), ("ok".into(), "false".into()), "{kind}");
    }
}

#[tokio::test]
async fn parameters_that_cannot_be_meant_are_refused() {
    for (kind, params) in [
        ("snmp_switch", r#"{"members":65}"#),
        ("snmp_switch", r#"{"members":-1}"#),
        ("snmp_switch", r#"{"lags":{"Po1":"two"}}"#),
        ("snmp_switch", r#"{"stack":2}"#),
    ] {
        assert!(build(kind, params, &plain_env()).is_err(), "{kind} {params}");
    }
}

/// A recording of which some objects are gone, and others have another value.
fn changed(text: &str, gone: &[usize], odd: &[(usize, SnmpValue)]) -> Arc<Made> {
    let made = recorded(text, &[]);
    {
        let mut objects = made.objects.lock().expect("not poisoned");
        let oids: Vec<Oid> = objects.keys().cloned().collect();
        gone.iter().for_each(|at| _ = objects.remove(&oids[at % oids.len()]));
        odd.iter().for_each(|(at, value)| _ = objects.insert(oids[at % oids.len()].clone(), value.clone()));
    }
    made
}

fn any_value() -> impl Strategy<Value = SnmpValue> {
    prop_oneof![
        any::<i64>().prop_map(SnmpValue::Integer),
        any::<u32>().prop_map(SnmpValue::Counter32),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(SnmpValue::Bytes),
        any::<f64>().prop_map(SnmpValue::Float),
        Just(SnmpValue::Missing),
    ]
}

const BOXES: [(&str, &str); 1] = [("snmp_switch", SWITCH)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn tables_with_holes_and_wrong_types_are_borne(gone in proptest::collection::vec(any::<usize>(), 0..60), odd in proptest::collection::vec((any::<usize>(), any_value()), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        for (kind, text) in BOXES {
            let seen = runtime.block_on(run(&probe(kind, "{}", &changed(text, &gone, &odd))));
            prop_assert!(!seen.text.is_empty());
            prop_assert!(seen.measurements.iter().all(|one| one.value.is_none_or(f64::is_finite)));
        }
    }
}
