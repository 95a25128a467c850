//! The probes of whole boxes against recordings (tests/data/snmp), and against boxes with one thing wrong.

use std::sync::Arc;

use proptest::prelude::*;
use stentor_core::model::{Observation, Value};
use stentor_wire::snmp::{Oid, SnmpValue};

use super::{Made, json, probe, run};
use crate::testing::{build, number, plain_env, text};

const ARRAY: &str = include_str!("../../../../../tests/data/snmp/array.snmprec");
const HOST: &str = include_str!("../../../../../tests/data/snmp/host.snmprec");
const PDU: &str = include_str!("../../../../../tests/data/snmp/pdu.snmprec");
const SWITCH: &str = include_str!("../../../../../tests/data/snmp/switch.snmprec");
const UPS: &str = include_str!("../../../../../tests/data/snmp/ups.snmprec");

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
    // Of the other aggregates nobody said how many ports they should have: they are not judged.
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
        // The other port of nc1 is on the same member; of nc2 nobody asked.
        ("1.3.6.1.2.1.31.1.1.1.1.10201", SnmpValue::Bytes(b"Gi1/0/8".to_vec())),
        ("1.3.6.1.2.1.31.1.1.1.1.10202", SnmpValue::Bytes(b"Gi1/0/9".to_vec())),
    ];
    let seen = seen("snmp_switch", STACK, SWITCH, &changes).await;
    assert_eq!(json(&seen, "failed"), r#"["Switch 2 PSU A"]"#);
    assert_eq!((number(&seen, "psus"), number(&seen, "psus_ok")), (4.0, 3.0));
    assert_eq!(json(&seen, "warning"), r#"["Switch 1 Fan 1"]"#);
    assert_eq!(json(&seen, "switch"), r#"{"bmc_ports_down":["nc1"],"state":"up"}"#);
    assert_eq!(json(&seen, "one_member"), r#"["Po1"]"#);
}

#[tokio::test]
async fn a_pdu_tells_load_outlets_and_a_feed_that_is_gone() {
    let well = seen("snmp_pdu", r#"{"outlets":["nc1 ps1","2"]}"#, PDU, &[]).await;
    assert_eq!(&*well.text, "rack 7 A: load normal, 3100 W, 3 of 4 outlets on");
    assert_eq!((json(&well, "outlets_off"), json(&well, "wanted_off")), (r#"["nc4 PS1"]"#.into(), "[]".into()));
    let changes = [
        ("1.3.6.1.4.1.318.1.1.26.4.3.1.13.1", SnmpValue::Integer(2)),
        ("1.3.6.1.4.1.318.1.1.26.6.3.1.4.2", SnmpValue::Integer(4)),
        ("1.3.6.1.4.1.318.1.1.26.9.2.3.1.5.2", SnmpValue::Integer(1)),
    ];
    let bad = seen("snmp_pdu", r#"{"outlets":["2","9"]}"#, PDU, &changes).await;
    for (fact, wanted) in [
        ("supplies_failed", r#"["supply 1"]"#),
        ("overload", r#"["phase 2"]"#),
        ("wanted_off", r#"["nc2 PS1"]"#),
        ("not_found", r#"["9"]"#),
    ] {
        assert_eq!(json(&bad, fact), wanted, "{fact}");
    }
}

#[tokio::test]
async fn a_host_tells_storage_processors_devices_and_processes() {
    let params = r#"{"mounts":["/","/srv"],"processes":["sshd","mysqld"]}"#;
    let changes = [("1.3.6.1.2.1.25.3.2.1.5.262145", SnmpValue::Integer(5))];
    let some = seen("snmp_host", params, HOST, &changes).await;
    assert_eq!(
        (json(&some, "not_mounted"), json(&some, "not_running")),
        (r#"["/srv"]"#.into(), r#"["mysqld"]"#.into())
    );
    assert_eq!(json(&some, "devices_down"), r#"["network interface eth0"]"#);
    assert_eq!(["used_pct_max", "cpu_pct", "memory_used_pct"].map(|fact| number(&some, fact)), [40.0, 30.0, 75.0]);
    let all = seen("snmp_host", "{}", HOST, &[]).await;
    assert_eq!((&*all.text, number(&all, "used_pct_max")), ("processors 30%, memory 75%, fullest /var 93%", 93.0));
}

#[tokio::test]
async fn an_array_tells_its_controllers_and_what_it_says_of_those_that_failed() {
    let unit = "80.12.15.240.0.0.0.0.0.0.0.0.0.0.0.0";
    let well = seen("snmp_array", "{}", ARRAY, &[]).await;
    assert_eq!(&*well.text, "san1: 8 of 8 parts well");
    assert_eq!(
        (number(&well, "controllers_ok"), number(&well, "ports"), text(&well, "unit_status")),
        (2.0, 4.0, "ok".into())
    );
    let (status, message) = (format!("1.3.6.1.3.94.1.8.1.4.{unit}.2"), format!("1.3.6.1.3.94.1.8.1.6.{unit}.2"));
    let port = format!("1.3.6.1.3.94.1.10.1.7.{unit}.3");
    let supply = format!("1.3.6.1.3.94.1.8.1.4.{unit}.3");
    let changes = [
        (status.as_str(), SnmpValue::Integer(5)),
        (message.as_str(), SnmpValue::Bytes(b"Controller B: killed".to_vec())),
        (port.as_str(), SnmpValue::Integer(5)),
        (supply.as_str(), SnmpValue::Integer(4)),
    ];
    let bad = seen("snmp_array", "{}", ARRAY, &changes).await;
    assert_eq!((json(&bad, "failed"), json(&bad, "ports_failed")), (r#"["Controller B"]"#.into(), r#"["B0"]"#.into()));
    assert!(bad.text.contains("says: Controller B: killed"), "{}", bad.text);
    assert_eq!(number(&bad, "controllers_ok"), 1.0);
    assert_eq!(json(&bad, "psu"), r#"[{"id":"Power Supply 1","offsets":[0,2]},{"id":"Power Supply 2","offsets":[0]}]"#);
}

#[tokio::test]
async fn a_ups_tells_its_lines() {
    let changes =
        [("1.3.6.1.2.1.33.1.3.3.1.3.2", SnmpValue::Integer(0)), ("1.3.6.1.2.1.33.1.2.2.0", SnmpValue::Integer(40))];
    let seen = seen("snmp_ups", "{}", UPS, &changes).await;
    assert_eq!(
        ["input_v_min", "output_v_min", "battery_v", "input_bads"].map(|fact| number(&seen, fact)),
        [0.0, 230.0, 54.6, 3.0]
    );
    assert!(seen.text.contains("on battery for 40 s"), "{}", seen.text);
    assert_eq!(member(&seen, "inputs", 0, "hertz"), Value::from(50.0));
}

#[tokio::test]
async fn any_column_of_any_table_is_matched_row_by_row() {
    let params = r#"{"oids":[{"oid":"1.3.6.1.2.1.25.1.6.0","name":"count"}],"tables":[
        {"oid":"1.3.6.1.2.1.25.3.2.1.5","name":"device","label":"1.3.6.1.2.1.25.3.2.1.3","only":"^(cpu|gpu)","expect":"^2$"},
        {"oid":"1.3.6.1.2.1.25.3.3.1.2","name":"load","unit":"%","rows_min":3},
        {"oid":"1.3.6.1.4.1.99999.1","name":"none"}]}"#;
    let changes = [
        ("1.3.6.1.2.1.25.3.2.1.5.196609", SnmpValue::Integer(5)),
        ("1.3.6.1.2.1.25.3.2.1.3.196609", SnmpValue::Bytes(b"cpu 0".to_vec())),
    ];
    let seen = seen("snmp", params, HOST, &changes).await;
    let values = r#"{"count":3,"device cpu 0":2,"device cpu 0 (196609)":5,"load 196608":20,"load 196609":40}"#;
    assert_eq!(json(&seen, "values"), values);
    assert_eq!(json(&seen, "unmatched"), r#"["device cpu 0 (196609)"]"#);
    assert_eq!(json(&seen, "missing"), r#"["load","none"]"#);
    assert_eq!((number(&seen, "value"), number(&seen, "max")), (3.0, 40.0));
}

#[tokio::test]
async fn boxes_of_another_sort_are_found_out() {
    for (kind, fact) in [
        ("snmp_array", "array_found"),
        ("snmp_host", "host_found"),
        ("snmp_pdu", "pdu_found"),
        ("snmp_switch", "switch_found"),
        ("snmp_ups", "ups_found"),
    ] {
        let seen = seen(kind, "{}", "1.3.6.1.2.1.1.3.0|67|1", &[]).await;
        assert_eq!((text(&seen, "snmp"), text(&seen, fact)), ("ok".into(), "false".into()), "{kind}");
    }
}

#[tokio::test]
async fn parameters_that_cannot_be_meant_are_refused() {
    for (kind, params) in [
        ("snmp", r#"{"tables":[]}"#),
        ("snmp", r#"{"tables":[{"oid":"1.3.6","only":"("}]}"#),
        ("snmp", r#"{"tables":[{"oid":"1.3.6","rate":true}]}"#),
        ("snmp", r#"{"tables":[{"oid":"1.3.6","name":"a"},{"oid":"1.3.7","name":"a"}]}"#),
        ("snmp_array", r#"{"controllers":2}"#),
        ("snmp_host", r#"{"mounts":"/"}"#),
        ("snmp_pdu", r#"{"outlets":[1]}"#),
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

const BOXES: [(&str, &str); 6] = [
    ("snmp_array", ARRAY),
    ("snmp_host", HOST),
    ("snmp_if", SWITCH),
    ("snmp_pdu", PDU),
    ("snmp_switch", SWITCH),
    ("snmp_ups", UPS),
];

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
