//! What `stentor check` makes of an observation: the usual rules of its kind, and thresholds on its number.

use stentor_core::model::{Measurement, Observation, Outcome, ServiceState, UnknownCause, Value};
use stentor_core::rules;
use stentor_wire::nagios::range::{Range, RangeError};

use crate::config::usual::Usual;
use crate::probes::LIMITS;
use ServiceState::{Critical, Ok as Good, Warning};

/// A state with the reason, where the text of the observation does not already say it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub state: ServiceState,
    pub why: Option<String>,
}

/// `-w` and `-c`, as given and as read.
#[derive(Clone, Debug, Default)]
pub struct Thresholds {
    warn: Option<(String, Range)>,
    crit: Option<(String, Range)>,
}

/// The number of a kind that thresholds are about.
struct Number {
    fact: &'static str,
    /// From the fact's unit to that of the threshold.
    scale: f64,
    /// Measurements with this label, or beginning with it and a blank, carry the thresholds.
    label: &'static str,
    /// The usual rules have `limits.warn` and `limits.crit` of this number; `-w` and `-c` take their place.
    has_limits: bool,
}

const fn number(fact: &'static str, scale: f64, label: &'static str) -> Option<Number> {
    Some(Number { fact, scale, label, has_limits: false })
}

const fn limited(fact: &'static str, label: &'static str) -> Option<Number> {
    Some(Number { fact, scale: 1.0, label, has_limits: true })
}

fn number_of(kind: &str) -> Option<Number> {
    match kind {
        "disk" => limited("used_pct_max", "used_pct"),
        // Seconds, as check_tcp and check_http have it.
        "tcp" => number("connect_ms", 0.001, "time"),
        "ldap" | "mysql" | "postgres" | "prometheus" => number("value", 1.0, "value"),
        "nut" => number("charge_pct", 1.0, "charge"),
        "imap" | "redis" | "smtp" | "ssh" => number("connect_ms", 0.001, "connect"),
        "ntp" => number("offset_abs_ms", 0.001, "offset"),
        "http" | "http_journey" | "heartbeat" | "dns" => number("total_ms", 0.001, "time"),
        "load" => number("load1", 1.0, "load1"),
        "memory" => limited("used_pct", "used_pct"),
        "ping" => number("rtt_ms", 1.0, "rta"),
        "process" => number("count", 1.0, "count"),
        "snmp" => number("value", 1.0, "value"),
        "uptime" => number("uptime_s", 1.0, "uptime"),
        _ => None,
    }
}

impl Thresholds {
    /// # Errors
    /// A text is not a range.
    pub fn parse(warn: Option<&str>, crit: Option<&str>) -> Result<Thresholds, RangeError> {
        let read = |text: Option<&str>| text.map(|text| Ok((text.to_owned(), text.parse()?))).transpose();
        Ok(Thresholds { warn: read(warn)?, crit: read(crit)? })
    }

    fn are_given(&self) -> bool {
        self.warn.is_some() || self.crit.is_some()
    }

    fn judge(&self, value: f64) -> ServiceState {
        let alerts = |range: &Option<(String, Range)>| range.as_ref().is_some_and(|(_, range)| range.alerts(value));
        match (alerts(&self.crit), alerts(&self.warn)) {
            (true, _) => Critical,
            (false, true) => Warning,
            (false, false) => Good,
        }
    }

    /// Writes the thresholds, or the usual limits, into the measurements they are about.
    pub fn mark(&self, kind: &str, usual: Option<&Usual>, mut seen: Observation) -> Observation {
        let Some(number) = number_of(kind) else { return seen };
        let limits = usual.filter(|_| number.has_limits && !self.are_given()).map(|usual| &usual.params);
        let limit =
            |name: &str| limits.and_then(|params| params.map()?.get(LIMITS)?.map()?.get(name)).map(Value::to_string);
        let warn = limit("warn").unwrap_or_else(|| as_given(self.warn.as_ref()).to_owned());
        let crit = limit("crit").unwrap_or_else(|| as_given(self.crit.as_ref()).to_owned());
        let is_meant = |item: &Measurement| {
            item.label.strip_prefix(number.label).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        for item in seen.measurements.iter_mut().filter(|item| is_meant(item)) {
            item.warn = warn.as_str().into();
            item.crit = crit.as_str().into();
        }
        seen
    }
}

fn as_given(threshold: Option<&(String, Range)>) -> &str {
    threshold.map(|(text, _)| text.as_str()).unwrap_or_default()
}

/// The worse of what the usual rules of the kind and the thresholds say.
pub fn judge(kind: &str, usual: Option<&Usual>, seen: &Observation, thresholds: &Thresholds) -> Verdict {
    let (rules, params) = usual.map_or((&[][..], Value::Null), |usual| (&usual.rules[..], usual.params.clone()));
    let number = number_of(kind);
    let replaced = number.as_ref().is_some_and(|number| number.has_limits) && thresholds.are_given();
    let params = if replaced { params.overlaid(&as_limits(thresholds)) } else { params };
    let judged = rules::judge(rules, &params, seen);
    let by_rules = Verdict {
        state: judged.state,
        // What a probe could not see it says itself; that a rule cannot decide, nobody else says.
        why: (judged.cause == Some(UnknownCause::NoData)).then(|| judged.because.to_string()),
    };
    let value = number.as_ref().and_then(|number| seen.facts.get(number.fact).and_then(Value::number));
    let (Some(number), Some(value), Outcome::Observed) = (number, value, &seen.outcome) else { return by_rules };
    let value = value * number.scale;
    let state = thresholds.judge(value);
    if state.badness() <= by_rules.state.badness() {
        return by_rules;
    }
    let broken = if state == Critical { &thresholds.crit } else { &thresholds.warn };
    let range = as_given(broken.as_ref());
    Verdict { state, why: Some(format!("{} {value} breaks {range}", number.label)) }
}

/// The limits that thresholds of the command line stand for: a range ends where it alerts, a limit where it begins to.
fn as_limits(thresholds: &Thresholds) -> Value {
    let limit = |name: &str, threshold: &Option<(String, Range)>| {
        let end = threshold.as_ref().map(|(_, range)| range.end).filter(|end| end.is_finite());
        (name.to_owned(), Value::Number(end.map_or(f64::MAX, f64::next_up)))
    };
    let limits = [limit("warn", &thresholds.warn), limit("crit", &thresholds.crit)];
    Value::Map([(LIMITS.to_owned(), Value::Map(limits.into()))].into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Diagnostics, pack, usual};

    fn judged(kind: &str, facts: &str, thresholds: &Thresholds) -> Verdict {
        let packs = pack::load(&[], &mut Diagnostics::default());
        let facts = serde_json::from_str(facts).expect("facts of the test are JSON");
        let seen = Observation { facts, ..Observation::observed("x") };
        judge(kind, usual::find(&packs, kind), &seen, thresholds)
    }

    #[test]
    fn without_thresholds_the_usual_rules_judge() {
        for (kind, facts, state) in [
            ("tcp", r#"{"port":"open"}"#, Good),
            ("tcp", r#"{"port":"refused"}"#, Critical),
            ("redis", r#"{"port":"open","redis":"loading"}"#, Critical),
            ("memory", r#"{"used_pct":98}"#, Critical),
            ("ipmi", r#"{"bmc":"ok","power":"off"}"#, Critical),
        ] {
            assert_eq!(judged(kind, facts, &Thresholds::default()).state, state, "{kind} {facts}");
        }
    }

    #[test]
    fn what_a_rule_cannot_decide_is_unknown_and_says_why() {
        let verdict = judged("systemd_unit", r#"{"load":"not-found"}"#, &Thresholds::default());
        assert_eq!(verdict.state, ServiceState::Unknown);
        assert!(verdict.why.is_some_and(|why| why.contains("process")));
    }

    #[test]
    fn given_thresholds_replace_the_usual_limits_but_not_the_facts() {
        let disk = |used: f64, inodes: f64, hung: &str| {
            format!(
                r#"{{"used_pct_max":{used},"inodes_pct_max":{inodes},"hung":[{hung}],"not_mounted":[],"read_only":[]}}"#
            )
        };
        let given = Thresholds::parse(Some("50"), Some("60")).expect("ranges");
        assert_eq!(judged("disk", &disk(55.0, 1.0, ""), &given).state, Warning);
        assert_eq!(judged("disk", &disk(50.0, 50.0, ""), &given).state, Good, "a range alerts beyond its end");
        let wide = Thresholds::parse(Some("99"), None).expect("ranges");
        assert_eq!(judged("disk", &disk(98.0, 98.0, ""), &wide).state, Good);
        assert_eq!(judged("disk", &disk(1.0, 99.5, ""), &wide).state, Warning, "inodes run out as well");
        assert_eq!(judged("disk", &disk(1.0, 1.0, "\"/n\""), &wide).state, Critical);
    }

    #[test]
    fn times_are_compared_in_seconds() {
        let given = Thresholds::parse(Some("0.5"), Some("2")).expect("ranges");
        let verdict = judged("tcp", r#"{"port":"open","connect_ms":700}"#, &given);
        assert_eq!(verdict.state, Warning);
        assert!(verdict.why.is_some_and(|why| why.contains("breaks 0.5")));
    }

    #[test]
    fn a_reported_state_stands() {
        let seen = Observation::reported(Warning, "as the plugin said");
        assert_eq!(judge("exec", None, &seen, &Thresholds::default()).state, Warning);
    }
}
