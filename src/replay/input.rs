//! One line of a recording: when, and what came in. Refusals name what is wrong with the line.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::diagnosis::Signal;
use stentor_core::model::{ObjectKey, Observation, Value};
use stentor_core::{Span, Timestamp};

use crate::nagios::passive;
use crate::probes::exec::Ended;

/// The year 9999: later instants have no date.
const AT_MAX: f64 = 253_402_300_799.0;

/// A line that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub at: Timestamp,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Result { object: ObjectKey, active: bool, said: Said },
    Command(String),
    Signal(Signal),
    Delivery { key: String, accepted: bool },
    Show,
}

/// What a result brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// What a native probe saw, or somebody submitted.
    Seen(Observation),
    /// How a plugin ended that was run here, and what it printed.
    Plugin { ended: Ended, printed: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: f64,
    result: Option<ResultLine>,
    command: Option<String>,
    signal: Option<SignalLine>,
    delivery: Option<DeliveryLine>,
    show: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultLine {
    host: Arc<str>,
    service: Option<Arc<str>>,
    code: Option<i32>,
    #[serde(default)]
    output: String,
    #[serde(default = "yes")]
    active: bool,
    #[serde(default)]
    early_timeout: bool,
    #[serde(default = "yes")]
    exited_ok: bool,
    /// What a native probe saw, instead of `code`: the rules of the check judge it.
    facts: Option<BTreeMap<String, Value>>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalLine {
    host: Option<Arc<str>>,
    component: Option<Arc<str>>,
    sig: Arc<str>,
    #[serde(default)]
    value: Value,
    vantage: Option<Arc<str>>,
    #[serde(default)]
    age_s: f64,
    changed_s: Option<f64>,
    #[serde(default)]
    every_s: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeliveryLine {
    notification: String,
    outcome: DeliveryOutcome,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum DeliveryOutcome {
    Accepted,
    Failed,
}

/// Why a line was not understood, and its time if that much was.
pub type Refusal = (Option<Timestamp>, String);

/// Reads one line.
///
/// # Errors
/// What is wrong with it, and its time where that could be read.
pub fn parse(text: &str) -> Result<Step, Refusal> {
    let line: Line = serde_json::from_str(text).map_err(|e| (at_of(text), e.to_string()))?;
    let at = instant(line.at).ok_or_else(|| (None, format!("`at` {} is no time", line.at)))?;
    let refused = |why: String| (Some(at), why);
    let mut found = Vec::new();
    if let Some(result) = line.result {
        found.push(result.read().map_err(refused)?);
    }
    found.extend(line.command.map(What::Command));
    found.extend(line.signal.map(|signal| signal.read(at)));
    found.extend(
        line.delivery.map(|d| What::Delivery { key: d.notification, accepted: d.outcome == DeliveryOutcome::Accepted }),
    );
    match line.show {
        Some(true) => found.push(What::Show),
        Some(false) => return Err(refused("`show` is true or left out".to_owned())),
        None => {}
    }
    match (found.pop(), found.is_empty()) {
        (Some(what), true) => Ok(Step { at, what }),
        (Some(_), false) => Err(refused("a line holds one input".to_owned())),
        (None, _) => Err(refused("a line holds one of `result`, `command`, `signal`, `delivery`, `show`".to_owned())),
    }
}

/// The time of a line that is wrong elsewhere.
fn at_of(text: &str) -> Option<Timestamp> {
    instant(serde_json::from_str::<serde_json::Value>(text).ok()?.get("at")?.as_f64()?)
}

fn instant(seconds: f64) -> Option<Timestamp> {
    (0.0..=AT_MAX).contains(&seconds).then(|| Timestamp::from_millis((seconds * 1000.0).round() as i64))
}

impl ResultLine {
    fn read(self) -> Result<What, String> {
        let said = match (self.facts, self.code) {
            (Some(_), Some(_)) => return Err("a result has `code` or `facts`, not both".to_owned()),
            (None, None) => return Err("a result has a `code`, or `facts` for the rules to judge".to_owned()),
            (Some(facts), None) => {
                Said::Seen(Observation { facts: facts.into_iter().collect(), ..Observation::observed(self.output) })
            }
            // How long it took is not recorded.
            (None, Some(_)) if self.early_timeout => Said::Plugin { ended: Ended::TimedOut(0.0), printed: self.output },
            (None, Some(_)) if !self.exited_ok => Said::Plugin { ended: Ended::Abnormally, printed: self.output },
            (None, Some(code)) if self.active => Said::Plugin { ended: Ended::Exited(code), printed: self.output },
            (None, Some(code)) if self.service.is_some() => Said::Seen(passive::of_service(code, &self.output)),
            (None, Some(code)) => Said::Seen(
                passive::of_host(code, &self.output).ok_or("a passive result of a host is 0, 1 or 2".to_owned())?,
            ),
        };
        let object = ObjectKey { host: self.host, service: self.service };
        Ok(What::Result { object, active: self.active, said })
    }
}

impl SignalLine {
    fn read(self, at: Timestamp) -> What {
        let span = |seconds: f64| Span::from_millis((seconds.max(0.0) * 1000.0) as i64);
        let observed_at = at - span(self.age_s);
        What::Signal(Signal {
            host: self.host,
            component: self.component,
            sig: self.sig,
            value: self.value,
            vantage: self.vantage,
            observed_at,
            changed_at: self.changed_s.map_or(observed_at, |age| at - span(age)),
            every: span(self.every_s),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_of_input_is_read() {
        for (line, expected) in [
            (r#"{"at":1.5,"show":true}"#, "Show"),
            (r#"{"at":1,"command":"DEL_SVC_DOWNTIME;1"}"#, "Command"),
            (r#"{"at":1,"delivery":{"notification":"k","outcome":"failed"}}"#, "Delivery"),
            (r#"{"at":1,"signal":{"host":"a","sig":"ping","value":"ok"}}"#, "Signal"),
            (r#"{"at":1,"result":{"host":"a","code":0,"output":"x"}}"#, "Result"),
            (r#"{"at":1,"result":{"host":"a","service":"s","output":"x","facts":{"power":"off"}}}"#, "Result"),
        ] {
            let step = parse(line).expect(line);
            assert!(format!("{:?}", step.what).starts_with(expected), "{step:?}");
        }
        assert_eq!(parse(r#"{"at":1.5,"show":true}"#).expect("read").at, Timestamp::from_millis(1500));
    }

    #[test]
    fn refusals_say_what_is_wrong_and_when() {
        for (line, words, at) in [
            ("{", "EOF", None),
            (r#"{"at":-1,"show":true}"#, "is no time", None),
            (r#"{"at":5}"#, "one of `result`", Some(5)),
            (r#"{"at":5,"show":true,"command":"x"}"#, "one input", Some(5)),
            (r#"{"at":5,"shwo":true}"#, "shwo", Some(5)),
            (r#"{"at":5,"result":{"host":"a"}}"#, "has a `code`", Some(5)),
            (r#"{"at":5,"result":{"host":"a","code":3,"active":false}}"#, "0, 1 or 2", Some(5)),
        ] {
            let (seen, why) = parse(line).expect_err(line);
            assert!(why.contains(words), "{line}: {why}");
            assert_eq!(seen, at.map(Timestamp::from_secs), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_and_any_truncation_is_answered(text in any::<String>(), at in 0usize..120) {
            let _ = parse(&text);
            let line = r#"{"at":1790000000.25,"result":{"host":"wéb","service":"disk /","code":2,"output":"bad|a=1"}}"#;
            let _ = parse(&line.chars().take(at).collect::<String>());
        }
    }
}
