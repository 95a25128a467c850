//! Observation to state: a pack's `when` expressions over facts, measurements and parameters. Total, with the reason.
//!
//! A probe observes, a rule judges. Nothing here fails: what cannot be decided is UNKNOWN and says which name was missing.

mod eval;
mod expr;
mod parse;
#[cfg(test)]
mod property;
mod signals;

use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{HostState, Observation, Outcome, ServiceState, UnknownCause, Value};

use eval::{Scope, Truth};
pub use expr::{Expr, ExprError};

/// One rule of a check: the first whose condition holds gives the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub when: Expr,
    pub state: ServiceState,
    /// Vendor manual, RFC or specification section that the threshold comes from.
    pub source: Arc<str>,
}

/// What the rules made of one observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    pub state: ServiceState,
    /// Set exactly when `state` is UNKNOWN for a reason of our own; a rule that says UNKNOWN leaves it `Reported`.
    pub cause: Option<UnknownCause>,
    /// The condition that held with the values it saw, the missing name, or empty for a plain OK.
    pub because: Arc<str>,
}

/// Longest value shown in a reason; outputs of probes can be long.
const SHOWN_VALUE_CHARS_MAX: usize = 80;

/// Judges one observation. Without rules and with an observed outcome this allocates nothing.
pub fn judge(rules: &[Rule], params: &Value, observation: &Observation) -> Judgement {
    match observation.outcome {
        Outcome::Reported(state) => {
            let cause = (state == ServiceState::Unknown).then_some(UnknownCause::Reported);
            Judgement { state, cause, because: Arc::default() }
        }
        Outcome::ReportedHost(host) => {
            let state = if host == HostState::Up { ServiceState::Ok } else { ServiceState::Critical };
            Judgement { state, cause: None, because: Arc::default() }
        }
        Outcome::Failed(cause) => {
            Judgement { state: ServiceState::Unknown, cause: Some(cause), because: Arc::clone(&observation.text) }
        }
        Outcome::Observed => by_rules(rules, Scope { params, observation }),
    }
}

/// The names below `params.` that the rules read and `params` does not have, each once.
pub fn missing_params<'a>(rules: &'a [Rule], params: &Value) -> Vec<&'a str> {
    let mut missing = Vec::new();
    for name in rules.iter().flat_map(|rule| rule.when.names()) {
        let path = name.strip_prefix("params.").filter(|path| eval::member(params, path).is_none());
        if path.is_some() && !missing.contains(&name) {
            missing.push(name);
        }
    }
    missing
}

fn by_rules(rules: &[Rule], scope: Scope<'_>) -> Judgement {
    let mut undecided = None;
    for rule in rules {
        match eval::truth(rule.when.node(), scope) {
            Truth::Yes => {
                let cause = (rule.state == ServiceState::Unknown).then_some(UnknownCause::Reported);
                return Judgement { state: rule.state, cause, because: reason(&rule.when, scope) };
            }
            Truth::No => {}
            Truth::Undecided(trouble) => {
                undecided.get_or_insert((rule, trouble));
            }
        }
    }
    match undecided {
        None => Judgement { state: ServiceState::Ok, cause: None, because: Arc::default() },
        Some((rule, trouble)) => Judgement {
            state: ServiceState::Unknown,
            cause: Some(UnknownCause::NoData),
            because: format!("cannot decide `{}`: {trouble}", rule.when.text).into(),
        },
    }
}

/// The condition with the values of the names in it: `used_pct_max >= params.crit (used_pct_max = 97, params.crit = 95)`.
fn reason(when: &Expr, scope: Scope<'_>) -> Arc<str> {
    let mut text = when.text.to_string();
    let mut open = false;
    for name in when.names() {
        let Some(value) = scope.resolve(name) else { continue };
        let value = value.to_string();
        let shown: String = value.chars().take(SHOWN_VALUE_CHARS_MAX).collect();
        let cut = if shown.len() < value.len() { "…" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{name} = {shown}{cut}", if open { ", " } else { " (" });
        open = true;
    }
    if open {
        text.push(')');
    }
    text.into()
}

impl Expr {
    /// Whether the condition holds over the facts of `live` alone: no measurements, no parameters.
    ///
    /// # Errors
    /// What is missing, in words: unknown is neither true nor false.
    pub fn holds(&self, live: &Observation) -> Result<bool, String> {
        match eval::truth(self.node(), Scope { params: &Value::Null, observation: live }) {
            Truth::Yes => Ok(true),
            Truth::No => Ok(false),
            Truth::Undecided(why) => Err(why.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(when: &str, state: ServiceState) -> Rule {
        Rule { when: Expr::parse(when).expect(when), state, source: "test".into() }
    }

    fn disk_rules() -> Vec<Rule> {
        vec![
            rule("used_pct_max >= params.crit", ServiceState::Critical),
            rule("used_pct_max >= params.warn", ServiceState::Warning),
        ]
    }

    #[test]
    fn the_first_rule_that_holds_gives_the_state_and_its_values() {
        let params: Value = [("warn", 80.0), ("crit", 95.0)].into_iter().collect();
        for (used, state, because) in [
            (97.0, ServiceState::Critical, "used_pct_max >= params.crit (used_pct_max = 97, params.crit = 95)"),
            (95.0, ServiceState::Critical, "used_pct_max >= params.crit (used_pct_max = 95, params.crit = 95)"),
            (94.9, ServiceState::Warning, "used_pct_max >= params.warn (used_pct_max = 94.9, params.warn = 80)"),
            (79.0, ServiceState::Ok, ""),
        ] {
            let seen = Observation::observed("").fact("used_pct_max", used);
            let judged = judge(&disk_rules(), &params, &seen);
            assert_eq!((judged.state, &*judged.because, judged.cause), (state, because, None), "{used}");
        }
    }

    #[test]
    fn a_missing_name_is_unknown_and_named_only_if_no_rule_held() {
        let params: Value = [("warn", 80.0)].into_iter().collect();
        let seen = Observation::observed("").fact("used_pct_max", 70.0);
        let judged = judge(&disk_rules(), &params, &seen);
        assert_eq!((judged.state, judged.cause), (ServiceState::Unknown, Some(UnknownCause::NoData)));
        assert!(judged.because.contains("`params.crit`"), "{}", judged.because);
        let seen = Observation::observed("").fact("used_pct_max", 85.0);
        assert_eq!(judge(&disk_rules(), &params, &seen).state, ServiceState::Warning);
    }

    #[test]
    fn reported_and_failed_outcomes_pass_the_rules_by() {
        let reported = Observation::reported(ServiceState::Warning, "said so");
        assert_eq!(judge(&disk_rules(), &Value::Null, &reported).state, ServiceState::Warning);
        let failed = Observation::failed(UnknownCause::Timeout, "no answer in 10 s");
        let judged = judge(&disk_rules(), &Value::Null, &failed);
        assert_eq!((judged.state, judged.cause), (ServiceState::Unknown, Some(UnknownCause::Timeout)));
        assert_eq!(&*judged.because, "no answer in 10 s");
    }

    #[test]
    fn no_rules_means_ok() {
        let judged = judge(&[], &Value::Null, &Observation::observed("hello"));
        assert_eq!(judged, Judgement { state: ServiceState::Ok, cause: None, because: Arc::default() });
    }

    #[test]
    fn names_are_looked_up_in_facts_then_measurements_then_params() {
        let params: Value = [("x", 1.0)].into_iter().collect();
        let seen = Observation::observed("").measure("load1", 3.0, "").measure("C: %", 9.0, "%");
        assert_eq!(judge(&[rule("load1 == 3", ServiceState::Warning)], &params, &seen).state, ServiceState::Warning);
        assert_eq!(judge(&[rule("`C: %` == 9", ServiceState::Warning)], &params, &seen).state, ServiceState::Warning);
        let seen = seen.fact("load1", 4.0);
        assert_eq!(judge(&[rule("load1 == 3", ServiceState::Warning)], &params, &seen).state, ServiceState::Ok);
        let nested: Value = [("pct", 5.0)].into_iter().collect();
        let seen = seen.fact("inodes", nested);
        let rules = [rule("inodes.pct == 5 and params.x == 1", ServiceState::Critical)];
        assert_eq!(judge(&rules, &params, &seen).state, ServiceState::Critical);
    }

    #[test]
    fn a_measurement_that_could_not_be_determined_is_missing() {
        let mut seen = Observation::observed("").measure("temp", 0.0, "");
        seen.measurements[0].value = None;
        let judged = judge(&[rule("temp > 80", ServiceState::Critical)], &Value::Null, &seen);
        assert_eq!(judged.cause, Some(UnknownCause::NoData));
        let judged = judge(&[rule("absent(temp)", ServiceState::Warning)], &Value::Null, &seen);
        assert_eq!(judged.state, ServiceState::Warning);
    }
}
