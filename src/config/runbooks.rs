//! `[[runbook]]` of packs: steps for people, and what a run of them does itself.

use std::sync::Arc;

use stentor_core::Span;
use stentor_core::catalog::{Action, PowerAction, Runbook, Step, StepKind};
use stentor_core::rules::Expr;
use stentor_core::runbook::{RunPolicy, TwoPersons};

use super::finding::{Diagnostics, suggest};
use super::pack::{Pack, inside_text};
use super::single;
use super::tree::{At, Kind, Section, word};

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

/// `[runbook]`: what the administrator allows.
pub fn policy(roots: &[Section<'_>], packs: &[Pack], found: &mut Diagnostics) -> RunPolicy {
    const TWO_PERSONS: &[(&str, TwoPersons)] =
        &[("asked", TwoPersons::Asked), ("power", TwoPersons::Power), ("commands", TwoPersons::Commands)];
    const POWER_ROLES: &[(&str, bool)] = &[("admin", false), ("operator", true)];
    let usual = RunPolicy::default();
    let Some(section) = single(roots, "runbook", "[runbook]", found) else { return usual };
    let automatic = section.texts("automatic", found);
    for id in &automatic {
        let mut known = packs.iter().flat_map(|pack| &pack.platform.runbooks);
        let Some(runbook) = known.find(|runbook| *runbook.id == *id.value) else {
            let names = packs.iter().flat_map(|pack| &pack.platform.runbooks).map(|runbook| &*runbook.id);
            let help = suggest(id.value, names);
            found.error("unknown-runbook", &id.at, format!("no pack has a runbook `{}`", id.value), help);
            continue;
        };
        if !runbook.automatic {
            let help = "a runbook starts by itself only where its pack says `automatic = true` too";
            found.warning("not-automatic", &id.at, format!("`{}` does not start by itself", id.value), help);
        }
    }
    let limit = |key, default: u32, found: &mut Diagnostics| {
        u32::try_from(section.whole_or(key, u64::from(default), 0..=1000, found)).unwrap_or(default)
    };
    let two_persons = section.text("two_persons", found);
    let power = section.text("power", found);
    RunPolicy {
        commands: commands(&section, found),
        automatic: automatic.into_iter().map(|id| id.value.into()).collect(),
        automatic_per_host: limit("automatic_per_host", usual.automatic_per_host, found),
        automatic_per_hour: limit("automatic_per_hour", usual.automatic_per_hour, found),
        two_persons: two_persons
            .and_then(|text| word(&text, "two_persons", TWO_PERSONS, found))
            .unwrap_or(usual.two_persons),
        operators_may_power: power.and_then(|text| word(&text, "power", POWER_ROLES, found)).unwrap_or(false),
    }
}

/// The allow-list: a list of commands, each a list of words.
fn commands(section: &Section<'_>, found: &mut Diagnostics) -> Vec<Vec<Arc<str>>> {
    let help =
        "write `commands = [[\"systemctl\", \"restart\", \"httpd\"]]`: each command a list of words, the program first";
    let Some(node) = section.node("commands") else { return Vec::new() };
    let Kind::List(items) = &node.kind else {
        found.error("bad-command", &node.at, "`commands` is no list", help);
        return Vec::new();
    };
    let mut commands = Vec::with_capacity(items.len());
    for item in items {
        let words: Option<Vec<Arc<str>>> = match &item.kind {
            Kind::List(words) => words
                .iter()
                .map(|word| match &word.kind {
                    Kind::Text(text) => Some(text.as_str().into()),
                    Kind::Integer(_)
                    | Kind::Float(_)
                    | Kind::Bool(_)
                    | Kind::Datetime(_)
                    | Kind::List(_)
                    | Kind::Table(_) => None,
                })
                .collect(),
            Kind::Text(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Bool(_) | Kind::Datetime(_) | Kind::Table(_) => {
                None
            }
        };
        // A program that can be anything would allow everything.
        let plain = |word: &Arc<str>| !word.is_empty() && !word.contains(['*', '{', '=', '\0']);
        match words.filter(|words| words.first().is_some_and(plain)) {
            Some(words) => commands.push(words),
            None => found.error("bad-command", &item.at, "this is no command of the allow-list", help),
        }
    }
    commands
}
