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
