//! What `stentor runbook show` says beside the words of a runbook: what a run does itself at a step, what must hold before
//! it, when it may end, and how well all of it is founded.

use std::sync::Arc;

use stentor_core::catalog::platform::Founded;
use stentor_core::catalog::{Action, PowerAction, Runbook, Step};
use stentor_core::rules::Expr;
use stentor_core::time::Span;

/// Of a run, beside what the step says to a person; empty where only a person does something.
pub fn of_step(step: &Step) -> Vec<String> {
    let mut lines = Vec::new();
    match &step.action {
        Action::Manual => {}
        Action::Check { checks, until } => {
            lines.push(format!("Stentor looks itself: {}.", wanted(checks, until.as_ref())))
        }
        Action::WaitFor { checks, until } => {
            lines.push(format!("Stentor waits{} until {}.", within(step), wanted(checks, until.as_ref())));
        }
        Action::Command { run } => lines.push(format!(
            "Stentor does it itself over SSH where `[runbook] commands` allows it{}, else by hand: {}.",
            within(step),
            run.join(" ")
        )),
        Action::Power { power } => lines.push(format!(
            "Stentor does it itself by the BMC (power {}), when a second person has approved it.",
            match power {
                PowerAction::On => "on",
                PowerAction::Off => "off",
                PowerAction::Cycle => "cycle",
            }
        )),
        Action::Approve => lines.push("Another person must approve it.".to_owned()),
    }
    if step.two_person && !matches!(step.action, Action::Approve | Action::Power { .. }) {
        lines.push("A second person must approve it before.".to_owned());
    }
    lines.extend(step.needs.iter().map(|need| format!("A run begins it only if {need}.")));
    lines
}

/// When a run may be finished; `None` where only the checks that spoke for the incident count.
pub fn of_end(runbook: &Runbook) -> Option<String> {
    if runbook.verification.is_empty() {
        return None;
    }
    Some(format!(
        "A run may be finished when {} and the checks that spoke for the incident are well {} times in a row.",
        runbook.verification.join(", "),
        runbook.intervals
    ))
}

pub const fn founded(founded: Founded) -> &'static str {
    match founded {
        Founded::Seed => "on the reliability guide of the platform",
        Founded::Doc => "on documentation",
        Founded::Source => "on source code",
        Founded::Inference => "inferred, nobody has confirmed it in a drill: unverified",
    }
}

fn within(step: &Step) -> String {
    if step.within > Span::ZERO { format!(" for up to {}", step.within) } else { String::new() }
}

fn wanted(checks: &[Arc<str>], until: Option<&Expr>) -> String {
    let checks = (!checks.is_empty()).then(|| format!("{} OK", checks.join(", ")));
    let until = until.map(|until| format!("{until}"));
    match (checks, until) {
        (Some(checks), Some(until)) => format!("{checks} and {until}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "the checks of the target are well".to_owned(),
    }
}
