//! Every classification vector, exactly as written (provenance: `tests/data/README.md`).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;
use stentor_core::diagnosis::{Diagnosis, Signal, Timing, Topology, diagnose};
use stentor_core::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_795_226_531);

fn word(json: &Json) -> Option<Arc<str>> {
    json.as_str().map(Arc::from)
}

fn signal(json: &Json) -> Signal {
    let age = Span::from_millis((json["age_s"].as_f64().unwrap_or(0.0) * 1000.0) as i64);
    Signal {
        host: word(&json["host"]),
        component: word(&json["component"]),
        sig: word(&json["sig"]).expect("every signal has a kind"),
        value: serde_json::from_value(json["value"].clone()).expect("any JSON is a value"),
        vantage: word(&json["vantage"]),
        observed_at: NOW - age,
        changed_at: NOW - age,
        every: Span::ZERO,
    }
}

fn entry(json: &Json) -> String {
    format!("{} {} {}", json["host"], json["component"], json["class"])
}

fn alert_key(json: &Json) -> String {
    let mut key = json["target"].to_string();
    for part in ["class", "subtype", "severity", "visibility", "runbook"] {
        key.push(' ');
        key.push_str(json[part].as_str().unwrap_or("?"));
    }
    key
}

/// What differs between the answer and the expectation, in words.
fn differences(expect: &Json, answer: &Diagnosis) -> Vec<String> {
    let answer = serde_json::to_value(answer).expect("a diagnosis is JSON");
    let list = |json: &Json| json.as_array().cloned().unwrap_or_default();
    let mut wrong = Vec::new();
    let mut compare = |what: &str, want: BTreeSet<String>, got: BTreeSet<String>| {
        wrong.extend(want.difference(&got).map(|x| format!("missing {what}: {x}")));
        wrong.extend(got.difference(&want).map(|x| format!("unexpected {what}: {x}")));
    };
    let (want, got) = (list(&expect["alerts"]), list(&answer["verdicts"]));
    compare("alert", want.iter().map(alert_key).collect(), got.iter().map(alert_key).collect());
    let entries = |json: &Json| list(json).iter().map(entry).collect();
    compare("suppressed", entries(&expect["suppressed"]), entries(&answer["suppressed"]));
    if want.len() != got.len() {
        wrong.push(format!("{} alerts instead of {}", got.len(), want.len()));
    }
    for want in &want {
        for got in got.iter().filter(|got| alert_key(got) == alert_key(want)) {
            let (min, is) = (want["confidence_min"].as_f64().unwrap_or(0.0), got["confidence"].as_f64().unwrap_or(0.0));
            if is < min {
                wrong.push(format!("confidence {is} < {min}: {}", alert_key(want)));
            }
        }
    }
    if expect["core"] != answer["core"] {
        wrong.push(format!("core {} instead of {}: {}", answer["core"], expect["core"], answer["core_because"]));
    }
    wrong
}

fn file() -> Json {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/classification.json"));
    serde_json::from_str(&text.expect("the vectors are part of the crate")).expect("the vectors are JSON")
}

#[test]
fn every_vector_is_answered_as_written() {
    let file = file();
    let vectors = file["vectors"].as_array().expect("a list of vectors");
    assert_eq!(vectors.len(), 57, "a vector was lost");
    let mut failed = Vec::new();
    for vector in vectors {
        let topology = file["topologies"][vector["topology"].as_str().expect("a name")].clone();
        let topology: Topology = serde_json::from_value(topology).expect("a topology");
        let signals: Vec<Signal> = vector["signals"].as_array().expect("signals").iter().map(signal).collect();
        let answer = diagnose(&topology, &signals, NOW, &Timing::default());
        let wrong = differences(&vector["expect"], &answer);
        if !wrong.is_empty() {
            failed.push(format!("{} {}\n    {}", vector["id"], vector["title"], wrong.join("\n    ")));
        }
    }
    assert!(failed.is_empty(), "{} of {} vectors:\n{}", failed.len(), vectors.len(), failed.join("\n"));
}
