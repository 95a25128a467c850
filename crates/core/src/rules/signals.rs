//! What a judged observation contributes to the classifier, as the check's signal specifications say.

use crate::catalog::{SignalSpec, SignalValue};
use crate::model::{Observation, ServiceState, Value};

use super::Judgement;

impl SignalSpec {
    /// The values of this signal; empty where the observation says nothing about it.
    /// Missing is never evidence: an observation that failed contributes nothing.
    pub fn values(&self, observation: &Observation, judgement: &Judgement) -> Vec<Value> {
        let fact = |name: &str| observation.facts.get(name).filter(|value| **value != Value::Null);
        match &self.value {
            SignalValue::Fact(name) => fact(name).cloned().into_iter().collect(),
            SignalValue::Each(name) => match fact(name) {
                Some(Value::List(items)) => items.clone(),
                Some(single) => vec![single.clone()],
                None => Vec::new(),
            },
            SignalValue::Translated { fact: name, words } => {
                let word = fact(name).map(ToString::to_string);
                let translated = word.and_then(|word| words.get(word.as_str()).cloned());
                translated.into_iter().map(|word| Value::from(&*word)).collect()
            }
            // Not about the object that was looked at; see `told_elsewhere`.
            SignalValue::Elsewhere(_) => Vec::new(),
            SignalValue::ByState(words) => {
                by_state(judgement, [&*words[0], &*words[1], &*words[2]]).into_iter().map(Value::from).collect()
            }
            SignalValue::Resource { kind, blocks_start } => {
                let Some(level) = by_state(judgement, ["ok", "warn", "crit"]) else { return Vec::new() };
                // Always said: left open, the classifier would go by the kind, and a database that ended together with
                // its component would look like the reason why that does not start.
                let map = [
                    ("kind", Value::from(&**kind)),
                    ("level", Value::from(level)),
                    ("detail", Value::from(&*observation.text)),
                    ("blocks_start", Value::Bool(*blocks_start)),
                ];
                vec![map.into_iter().collect()]
            }
        }
    }
}

/// What an observation says about another host.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Name or address.
    pub host: String,
    pub component: Option<String>,
    pub value: Value,
}

impl SignalSpec {
    /// What this signal says of other hosts; elements without a host or a value say nothing.
    pub fn told_elsewhere(&self, observation: &Observation) -> Vec<Told> {
        let SignalValue::Elsewhere(name) = &self.value else { return Vec::new() };
        let list = observation.facts.get(name).and_then(Value::list).unwrap_or_default();
        let told = list.iter().filter_map(|element| {
            let text = |key: &str| element.get(key).and_then(Value::text).filter(|text| !text.is_empty());
            let value = element.get("value").filter(|value| **value != Value::Null)?.clone();
            Some(Told { host: text("host")?.to_owned(), component: text("component").map(str::to_owned), value })
        });
        told.collect()
    }
}

fn by_state<'a>(judgement: &Judgement, words: [&'a str; 3]) -> Option<&'a str> {
    match judgement.state {
        ServiceState::Ok => Some(words[0]),
        ServiceState::Warning => Some(words[1]),
        ServiceState::Critical => Some(words[2]),
        ServiceState::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::UnknownCause;

    #[test]
    fn what_is_told_of_others_is_no_value_of_ones_own() {
        let element = |pairs: &[(&str, &str)]| -> Value {
            pairs.iter().map(|(key, text)| ((*key).to_owned(), Value::from(*text))).collect()
        };
        let list = vec![
            element(&[("host", "10.0.0.1"), ("component", "nc"), ("value", "ENABLED")]),
            element(&[("host", "cc1"), ("value", "DISABLED")]),
            element(&[("component", "nc"), ("value", "ENABLED")]),
            element(&[("host", "10.0.0.2")]),
        ];
        let seen = Observation::observed("x").fact("others", Value::List(list));
        let told = spec(SignalValue::Elsewhere("others".into())).told_elsewhere(&seen);
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].host.as_str(), told[0].component.as_deref()), ("10.0.0.1", Some("nc")));
        assert_eq!((told[1].host.as_str(), told[1].component.as_deref()), ("cc1", None));
        assert!(spec(SignalValue::Fact("others".into())).told_elsewhere(&seen).is_empty());
    }

    fn spec(value: SignalValue) -> SignalSpec {
        SignalSpec { sig: "s".into(), value, of_host: false }
    }

    fn judged(state: ServiceState) -> Judgement {
        Judgement { state, cause: None, because: Arc::default() }
    }

    #[test]
    fn each_kind_of_signal_reads_its_part_of_the_result() {
        let seen = Observation::observed("/var 97 % full").fact("port", "refused").fact("psus", vec!["a", "b"]);
        let words = [("refused".into(), "STOPPED".into())].into_iter().collect();
        let resource = SignalValue::Resource { kind: "disk".into(), blocks_start: true };
        for (value, json) in [
            (SignalValue::Fact("port".into()), r#"["refused"]"#),
            (SignalValue::Fact("gone".into()), "[]"),
            (SignalValue::Each("psus".into()), r#"["a","b"]"#),
            (SignalValue::Translated { fact: "port".into(), words }, r#"["STOPPED"]"#),
            (SignalValue::ByState(["ok".into(), "slow".into(), "fail".into()]), r#"["fail"]"#),
            (resource, r#"[{"blocks_start":true,"detail":"/var 97 % full","kind":"disk","level":"crit"}]"#),
        ] {
            let values = spec(value).values(&seen, &judged(ServiceState::Critical));
            assert_eq!(serde_json::to_string(&values).expect("json"), json);
        }
    }

    #[test]
    fn an_unknown_result_says_nothing_by_its_state() {
        let failed = Observation::failed(UnknownCause::Timeout, "late");
        for value in [
            SignalValue::ByState(["ok".into(), "slow".into(), "fail".into()]),
            SignalValue::Resource { kind: "disk".into(), blocks_start: false },
            SignalValue::Fact("port".into()),
        ] {
            assert_eq!(spec(value).values(&failed, &judged(ServiceState::Unknown)), Vec::new());
        }
    }
}
