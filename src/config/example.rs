//! Examples of a pack's checks: recorded observations with the state and the signals they must give. They run as tests.

use std::sync::Arc;

use stentor_core::model::{Measurement, Observation, ServiceState, UnknownCause, Value};
use stentor_core::rules::{Judgement, Rule, judge};

use super::finding::{Diagnostics, Place};
use super::pack::{Pack, STATES, Template};
use super::tree::{Section, word};

/// One recorded observation of a check.
#[derive(Clone, Debug)]
pub struct Example {
    pub name: String,
    pub observation: Observation,
    /// Laid over the check's params.
    pub params: Value,
    pub expect: ServiceState,
    /// Signals that must come out, by name; a name with null must not.
    pub signals: Value,
    pub at: Place,
}

const CAUSES: &[(&str, UnknownCause)] = &[
    ("timeout", UnknownCause::Timeout),
    ("missing_right", UnknownCause::MissingRight),
    ("probe_error", UnknownCause::ProbeError),
    ("stale", UnknownCause::Stale),
];

/// The examples of the check of that name.
pub fn read(section: &Section<'_>, check: &str, found: &mut Diagnostics) -> Vec<Example> {
    let mut examples = Vec::new();
    for (number, example) in section.sections("example", "[[check.example]]", found).into_iter().enumerate() {
        let expect = example.needed("expect", found).and_then(|text| word(&text, "expect", STATES, found));
        let Some(observation) = read_observation(&example, found) else { continue };
        let Some(expect) = expect else { continue };
        examples.push(Example {
            name: example.text_or("name", &format!("{check} example {}", number + 1), found),
            observation,
            params: example.map("params", found),
            expect,
            signals: example.map("signals", found),
            at: example.at.clone(),
        });
    }
    examples
}

fn read_observation(example: &Section<'_>, found: &mut Diagnostics) -> Option<Observation> {
    if let Some(output) = example.text("output", found) {
        let code = example.whole_or("code", 3, 0..=3, found);
        let state = i32::try_from(code).ok().and_then(ServiceState::from_code).unwrap_or(ServiceState::Unknown);
        return Some(Observation::reported(state, output.value));
    }
    let Some(table) = example.section("observation", "observation", found) else {
        found.error("missing-key", &example.at, "an example needs `output` or `observation`", "");
        return None;
    };
    let text: Arc<str> = table.text_or("text", "", found).into();
    if let Some(cause) = table.text("failed", found).and_then(|text| word(&text, "failed", CAUSES, found)) {
        return Some(Observation::failed(cause, text));
    }
    let mut observation = Observation::observed(text);
    if let Value::Map(facts) = table.map("facts", found) {
        observation.facts = facts.into_iter().collect();
    }
    if let Value::Map(measurements) = table.map("measurements", found) {
        let numbers = measurements.iter().filter_map(|(label, value)| Some((label, value.number()?)));
        observation.measurements = numbers.map(|(label, number)| Measurement::new(label, number, "")).collect();
    }
    Some(observation)
}

/// Runs every example of the packs; each that does not give its state or signals is an error, and so is a check
/// without an OK, a not-OK and an UNKNOWN example.
pub fn run_all(packs: &[Pack], found: &mut Diagnostics) {
    for usual in packs.iter().flat_map(|pack| &pack.usual) {
        for example in &usual.examples {
            state_of(&usual.rules, &usual.params, example, found);
        }
    }
    for template in packs.iter().flat_map(|pack| &pack.checks) {
        for example in &template.examples {
            run(template, example, found);
        }
        let expects: Vec<ServiceState> = template.examples.iter().map(|example| example.expect).collect();
        let fails = expects.iter().any(|state| matches!(state, ServiceState::Warning | ServiceState::Critical));
        for (kind, there) in [
            ("an OK", expects.contains(&ServiceState::Ok)),
            ("a WARNING or CRITICAL", fails),
            ("an UNKNOWN", expects.contains(&ServiceState::Unknown)),
        ] {
            if !there {
                let message = format!("check `{}` has no example with {kind} result", template.check.name);
                found.error("missing-example", &template.at, message, "add a [[check.example]]");
            }
        }
    }
}

/// Equal; of a map only the members that the example names.
fn agrees(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Map(got), Value::Map(expected)) => {
            expected.iter().all(|(key, value)| got.get(key).is_some_and(|got| agrees(got, value)))
        }
        _ => got == expected,
    }
}

/// Judges the example, and says where that is not what it expects.
fn state_of(rules: &[Rule], params: &Value, example: &Example, found: &mut Diagnostics) -> Judgement {
    let judged = judge(rules, &params.overlaid(&example.params), &example.observation);
    if judged.state != example.expect {
        let because = if judged.because.is_empty() { "no rule held" } else { &*judged.because };
        let message = format!("{}: expected {}, judged {} ({because})", example.name, example.expect, judged.state);
        found.error("example", &example.at, message, "");
    }
    judged
}

fn run(template: &Template, example: &Example, found: &mut Diagnostics) {
    let judged = state_of(&template.check.rules, &template.check.params, example, found);
    for (sig, expected) in example.signals.map().into_iter().flatten() {
        let specs = template.check.signals.iter().filter(|spec| *spec.sig == **sig);
        let mut values: Vec<Value> = specs.flat_map(|spec| spec.values(&example.observation, &judged)).collect();
        let got = match values.len() {
            0 => Value::Text("none".to_owned()),
            1 => values.remove(0),
            _ => Value::List(values),
        };
        if !agrees(&got, expected) {
            let message = format!("{}: expected signal {sig} = {expected}, got {got}", example.name);
            found.error("example", &example.at, message, "write \"none\" where no signal is expected");
        }
    }
}
