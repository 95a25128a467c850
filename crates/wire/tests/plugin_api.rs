//! The specification's vectors of the plugin API, run as data.

use serde_json::Value;
use stentor_wire::nagios::range::{AlertOn, Range, Status, status};
use stentor_wire::nagios::{output, perfdata};

fn vectors(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("data/perfdata_thresholds.json")).expect("vectors are JSON");
    let list = all[name].as_array().expect(name).clone();
    assert!(!list.is_empty(), "{name} holds no vectors");
    list
}

fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        Some(other) => panic!("{other} is no number"),
        None => value.as_f64().expect("a number"),
    }
}

#[test]
fn ranges_parse_as_specified() {
    for case in vectors("range_parse") {
        let parsed = case["range"].as_str().expect("range").parse::<Range>();
        if !case["valid"].as_bool().expect("valid") {
            assert!(parsed.is_err(), "{case}");
            continue;
        }
        let alert = if case["inside_alerts"] == true { AlertOn::Inside } else { AlertOn::Outside };
        assert_eq!(parsed, Ok(Range { start: number(&case["start"]), end: number(&case["end"]), alert }), "{case}");
    }
}

#[test]
fn ranges_alert_as_specified() {
    for case in vectors("range_check") {
        let range: Range = case["range"].as_str().expect("range").parse().expect("vector is valid");
        assert_eq!(range.alerts(number(&case["value"])), case["alert"] == true, "{case}");
    }
}

#[test]
fn thresholds_give_the_specified_status() {
    for case in vectors("threshold_status") {
        let range = |key: &str| case[key].as_str().map(|text| text.parse::<Range>().expect("vector is valid"));
        let expected = match case["status"].as_str() {
            Some("OK") => Status::Ok,
            Some("WARNING") => Status::Warning,
            Some("CRITICAL") => Status::Critical,
            other => panic!("{other:?} is no status"),
        };
        let (warn, crit) = (range("warning"), range("critical"));
        assert_eq!(status(warn.as_ref(), crit.as_ref(), number(&case["value"])), expected, "{case}");
    }
}

#[test]
fn output_splits_as_on_nagios() {
    for case in vectors("output_parse") {
        let parsed = output::parse(case["input"].as_str().expect("input").as_bytes());
        let blanks_collapsed = parsed.perfdata.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(parsed.short, case["short"], "{case}");
        assert_eq!(parsed.long.replace('\n', "\\n"), case["long_escaped"], "{case}");
        assert_eq!(blanks_collapsed, case["perfdata"], "{case}");
    }
}

#[test]
fn perfdata_parses_or_is_refused_as_specified() {
    for case in vectors("perfdata") {
        let parsed = perfdata::parse_strict(case["perfdata"].as_str().expect("perfdata"));
        match case["items"].as_array() {
            None => assert!(parsed.is_err(), "{case}"),
            Some(_) => {
                let items = serde_json::to_value(parsed.expect("a valid vector")).expect("items are JSON");
                assert_eq!(items, case["items"], "{case}");
            }
        }
    }
}
