//! Values of signals in words: what a person reads as evidence.

use std::collections::BTreeMap;

use crate::model::Value;

/// IPMI 2.0 table 42-3, sensor type 08h (power supply): the offsets that tell trouble.
const PSU_OFFSETS: [(f64, &str); 6] = [
    (1.0, "failed"),
    (2.0, "about to fail"),
    (3.0, "input lost"),
    (4.0, "input lost or out of range"),
    (5.0, "input out of range"),
    (6.0, "wrongly configured"),
];
/// MegaRAID's names of virtual drive states.
const RAID_STATES: [(&str, &str); 4] =
    [("Optl", "optimal"), ("Pdgd", "partially degraded"), ("Dgrd", "degraded"), ("OfLn", "offline")];

/// A signal's value as a person reads it; a shape nobody has foreseen is listed name by name.
pub(super) fn in_words(sig: &str, value: &Value) -> String {
    let Value::Map(map) = value else { return plain(value) };
    let known = match sig {
        super::flapping::FLAPPING => flapping(map),
        "resource" => resource(map),
        "psu" => psu(map),
        "bond" => bond(map),
        "raid" => raid(map),
        "ups" => ups(map),
        _ => None,
    };
    known.unwrap_or_else(|| named(map))
}

fn resource(map: &BTreeMap<String, Value>) -> Option<String> {
    let kind = match text(map, "kind")? {
        "db" => "database",
        "dns" => "DNS",
        "ntp" => "clock",
        "netagent" => "network agent",
        "cert" => "certificate",
        other => other,
    };
    let level = match text(map, "level")? {
        "ok" => "well",
        "warn" => "at risk",
        "crit" => "gone",
        other => other,
    };
    Some(match text(map, "detail").filter(|detail| !detail.is_empty()) {
        Some(detail) => format!("{kind} {level}: {detail}"),
        None => format!("{kind} {level}"),
    })
}

/// `port comes and goes: refused`
fn flapping(map: &BTreeMap<String, Value>) -> Option<String> {
    let sig = text(map, "sig")?;
    Some(format!("{sig} comes and goes: {}", in_words(sig, map.get("value")?)))
}

/// RFC 1628, `upsOutputSource` and `upsBatteryStatus`.
fn ups(map: &BTreeMap<String, Value>) -> Option<String> {
    const SOURCES: [&str; 8] = [
        "",
        "unknown source",
        "no output",
        "on mains",
        "on bypass",
        "on battery",
        "on mains (boosted)",
        "on mains (reduced)",
    ];
    const BATTERIES: [&str; 5] = ["", "", "", "battery low", "battery depleted"];
    let word = |key: &str, words: &[&'static str]| {
        let number = map.get(key).and_then(Value::number)?;
        words.iter().enumerate().find(|(index, _)| *index as f64 == number).map(|(_, word)| *word)
    };
    let source = word("upsOutputSource", &SOURCES).filter(|word| !word.is_empty())?;
    let left = map.get("minutes").and_then(Value::number).map(|minutes| format!("{minutes} min left"));
    let battery = word("upsBatteryStatus", &BATTERIES).filter(|word| !word.is_empty()).map(str::to_owned);
    Some([Some(source.to_owned()), left, battery].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn psu(map: &BTreeMap<String, Value>) -> Option<String> {
    let id = text(map, "id")?;
    let Some(Value::List(offsets)) = map.get("offsets") else { return None };
    let has = |wanted: f64| offsets.iter().any(|offset| matches!(offset, Value::Number(n) if *n == wanted));
    let trouble: Vec<&str> = PSU_OFFSETS.iter().filter(|(offset, _)| has(*offset)).map(|(_, words)| *words).collect();
    Some(match (trouble.is_empty(), has(0.0)) {
        (false, _) => format!("{id} {}", trouble.join(", ")),
        (true, true) => format!("{id} well"),
        (true, false) => format!("{id} missing"),
    })
}

fn bond(map: &BTreeMap<String, Value>) -> Option<String> {
    let (name, up, all) = (text(map, "name")?, map.get("up")?, map.get("slaves")?);
    let mut words = format!("{name}: {} of {} links up", plain(up), plain(all));
    if let Some(down) = map.get("down").map(plain).filter(|down| !down.is_empty()) {
        words.push_str(&format!(", {down} down"));
    }
    if let Some(Value::List(groups)) =
        map.get("aggregators").filter(|value| matches!(value, Value::List(of) if of.len() > 1))
    {
        words.push_str(&format!(", split over {} aggregators", groups.len()));
    }
    Some(words)
}

fn raid(map: &BTreeMap<String, Value>) -> Option<String> {
    let (array, state) = (text(map, "vd")?, text(map, "state")?);
    let state = RAID_STATES.iter().find(|(code, _)| *code == state).map_or(state, |(_, words)| *words);
    let mut words = match text(map, "level") {
        Some(level) => format!("{array} ({level}) {state}"),
        None => format!("{array} {state}"),
    };
    for (key, label) in [("pd_failed", "failed"), ("rebuilding", "rebuilding")] {
        if let Some(drives) = map.get(key).map(plain).filter(|drives| !drives.is_empty()) {
            words.push_str(&format!(", {label}: {drives}"));
        }
    }
    if let Some(Value::Number(done)) = map.get("progress") {
        words.push_str(&format!(", {done} % done"));
    }
    Some(words)
}

fn text<'a>(map: &'a BTreeMap<String, Value>, key: &str) -> Option<&'a str> {
    match map.get(key) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

/// `state down, snmp timeout`
fn named(map: &BTreeMap<String, Value>) -> String {
    let named = map.iter().filter(|(_, value)| **value != Value::Null);
    let words: Vec<String> = named.map(|(key, value)| format!("{} {}", key.replace('_', " "), plain(value))).collect();
    words.join(", ")
}

/// A list without brackets; a map in a list as [`named`].
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::List(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Map(map) => named(map),
        Value::Number(_) | Value::Text(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_words() {
        for (sig, json, words) in [
            ("port", r#""refused""#, "refused"),
            (
                "resource",
                r#"{"kind":"disk","level":"crit","detail":"/var 99.8 % used","blocks_start":true}"#,
                "disk gone: /var 99.8 % used",
            ),
            ("resource", r#"{"kind":"db","level":"ok"}"#, "database well"),
            ("ups", r#"{"upsOutputSource":5,"upsBatteryStatus":2,"minutes":12}"#, "on battery, 12 min left"),
            ("ups", r#"{"upsOutputSource":5,"upsBatteryStatus":3,"minutes":2}"#, "on battery, 2 min left, battery low"),
            ("ups", r#"{"upsOutputSource":3}"#, "on mains"),
            ("flapping", r#"{"sig":"port","value":"refused"}"#, "port comes and goes: refused"),
            ("psu", r#"{"id":"PS2","offsets":[0,1]}"#, "PS2 failed"),
            ("psu", r#"{"id":"PS1","offsets":[0,3]}"#, "PS1 input lost"),
            ("psu", r#"{"id":"PS1","offsets":[0]}"#, "PS1 well"),
            ("psu", r#"{"id":"PS1","offsets":[]}"#, "PS1 missing"),
            ("bond", r#"{"name":"bond0","slaves":2,"up":1,"down":["eth0"]}"#, "bond0: 1 of 2 links up, eth0 down"),
            (
                "bond",
                r#"{"name":"bond0","slaves":2,"up":2,"down":[],"aggregators":[1,2]}"#,
                "bond0: 2 of 2 links up, split over 2 aggregators",
            ),
            (
                "raid",
                r#"{"vd":"0/0","level":"RAID6","state":"Pdgd","pd_failed":["252:5"],"rebuilding":["252:7"],"progress":12}"#,
                "0/0 (RAID6) partially degraded, failed: 252:5, rebuilding: 252:7, 12 % done",
            ),
            ("switch", r#"{"state":"down","snmp":"timeout","since":null}"#, "snmp timeout, state down"),
            ("reports", r#"{"alive":["s4"],"unresponsive":["s1","s2"]}"#, "alive s4, unresponsive s1, s2"),
            ("psu", r#"{"name":"a shape of somebody else's pack"}"#, "name a shape of somebody else's pack"),
        ] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(in_words(sig, &value), words, "{sig} {json}");
        }
    }
}
