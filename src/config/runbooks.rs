//! `[[runbook]]` of packs: steps for people, and what a run of them does itself.

use std::sync::Arc;

use stentor_core::Span;
use stentor_core::catalog::{Action, PowerAction, Runbook, Step, StepKind};
use stentor_core::rules::Expr;

use super::finding::Diagnostics;
use super::pack::inside_text;
use super::tree::{At, Section, word};

const KINDS: &[(&str, StepKind)] = &[
    ("verify", StepKind::Verify),
    ("contain", StepKind::Contain),
    ("fix", StepKind::Fix),
    ("confirm", StepKind::Confirm),
    ("escalate", StepKind::Escalate),
];

const POWER: &[(&str, PowerAction)] =
    &[("on", PowerAction::On), ("off", PowerAction::Off), ("cycle", PowerAction::Cycle)];

/// The word of `do`.
#[derive(Clone, Copy, PartialEq)]
enum Do {
    Manual,
    Check,
    WaitFor,
    Command,
    Power,
    Approve,
}

const ACTIONS: &[(&str, Do)] = &[
    ("manual", Do::Manual),
    ("check", Do::Check),
    ("wait_for", Do::WaitFor),
    ("command", Do::Command),
    ("power", Do::Power),
    ("approve", Do::Approve),
];

pub fn read(section: &Section<'_>, found: &mut Diagnostics) -> Option<Runbook> {
    let id = section.needed("id", found)?;
    let title = section.needed("title", found)?;
    let steps: Vec<Step> =
        section.sections("steps", "steps", found).iter().filter_map(|step| read_step(step, found)).collect();
    if steps.is_empty() {
        found.error("empty-runbook", &section.at, format!("the runbook `{}` has no steps", id.value), "");
    }
    Some(Runbook {
        downtime: section.span_or("downtime", Span::ZERO, found),
        verification: section.names("verification", found),
        intervals: u16::try_from(section.whole_or("intervals", 3, 1..=100, found)).unwrap_or(3),
        automatic: section.bool_or("automatic", false, found),
        procedure: section.bool_or("procedure", false, found),
        ..Runbook::of_steps(id.value, title.value, steps)
    })
}

fn read_step(step: &Section<'_>, found: &mut Diagnostics) -> Option<Step> {
    let kind = step.needed("kind", found).and_then(|text| word(&text, "kind", KINDS, found));
    let (kind, text) = kind.zip(step.needed("text", found))?;
    let action = read_action(step, found);
    let needs = step.texts("needs", found).iter().filter_map(|text| condition(text, found)).collect();
    let mut optional = |key| step.text(key, found).map(|text| text.value.to_owned());
    let (command, when, gate, rollback) =
        (optional("command"), optional("when"), optional("gate"), optional("rollback"));
    Some(Step {
        command,
        when,
        gate,
        rollback,
        action,
        needs,
        within: step.span_or("within", Span::ZERO, found),
        two_person: step.bool_or("two_person", false, found),
        ..Step::manual(kind, text.value)
    })
}

/// `do` and the keys that belong to its word; those of another word are refused.
fn read_action(step: &Section<'_>, found: &mut Diagnostics) -> Action {
    let what = step.text("do", found).and_then(|text| word(&text, "do", ACTIONS, found)).unwrap_or(Do::Manual);
    let looks = matches!(what, Do::Check | Do::WaitFor);
    for (key, fits) in [("checks", looks), ("until", looks), ("run", what == Do::Command), ("power", what == Do::Power)]
    {
        if step.has(key) && !fits {
            let help = "`checks` and `until` go with `do = \"check\"` or `\"wait_for\"`, `run` with `\"command\"`, `power` with `\"power\"`";
            found.error("bad-step", &step.at, format!("`{key}` does not go with what this step does"), help);
        }
    }
    match what {
        Do::Manual => Action::Manual,
        Do::Approve => Action::Approve,
        Do::Check | Do::WaitFor => {
            let checks: Vec<Arc<str>> = step.names("checks", found);
            let until = step.text("until", found).and_then(|text| condition(&text, found));
            if checks.is_empty() && until.is_none() && !step.has("until") {
                found.error(
                    "bad-step",
                    &step.at,
                    "the step looks at nothing",
                    "name `checks`, a condition `until`, or both",
                );
            }
            if what == Do::Check { Action::Check { checks, until } } else { Action::WaitFor { checks, until } }
        }
        Do::Command => {
            let run = step.names("run", found);
            if run.is_empty() {
                let help = "`run = [\"systemctl\", \"restart\", \"httpd\"]`: the program and its arguments, one by one";
                found.error("bad-step", &step.at, "the step runs nothing", help);
            }
            Action::Command { run }
        }
        Do::Power => {
            let power = step.needed("power", found).and_then(|text| word(&text, "power", POWER, found));
            power.map_or(Action::Manual, |power| Action::Power { power })
        }
    }
}

fn condition(text: &At<&str>, found: &mut Diagnostics) -> Option<Expr> {
    match Expr::parse(text.value) {
        Ok(expr) => Some(expr),
        Err(refusal) => {
            let place = inside_text(text, refusal.offset, found);
            found.error("bad-condition", &place, refusal.message, refusal.help);
            None
        }
    }
}
