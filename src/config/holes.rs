//! What a pack leaves open: failures without behaviour, restoration, verification or source, runbooks that cannot be
//! carried out. Warnings for an administrator's pack; the packs of this repository may leave nothing open.

use stentor_core::catalog::{Action, Cell, ComponentType, Runbook, StepKind};
use stentor_core::diagnosis::FailureType;

use super::finding::{Diagnostics, Place};
use super::pack::Pack;
use super::reading;

/// Something that a pack does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Hole {
    /// `cell eucalyptus/clc/software`, `runbook eucalyptus/rb-euca-clc-software`.
    pub at: String,
    pub missing: String,
    pub place: Place,
}

/// Every hole of these packs, pack by pack.
pub fn holes(packs: &[Pack]) -> Vec<Hole> {
    packs.iter().flat_map(|pack| of_pack(pack, packs)).collect()
}

/// The same as warnings: the pack works, somebody at 3 a.m. will miss something.
pub fn warn(packs: &[Pack], found: &mut Diagnostics) {
    for hole in holes(packs) {
        found.warning("hole", &hole.place, format!("{}: {}", hole.at, hole.missing), "");
    }
}

fn of_pack(pack: &Pack, packs: &[Pack]) -> Vec<Hole> {
    let mut holes = Vec::new();
    let mut add = |at: String, key: &str, missing: Vec<String>| {
        let place = pack.places.get(key).unwrap_or(&pack.at).clone();
        holes.extend(missing.into_iter().map(|missing| Hole { at: at.clone(), missing, place: place.clone() }));
    };
    for component in &pack.platform.components {
        let missing = of_component(component, &pack.platform.cells);
        add(format!("component {}/{}", pack.platform.key, component.key), &component.key, missing);
    }
    for cell in &pack.platform.cells {
        let key = cell.key.to_string();
        add(format!("cell {key}"), &key, of_cell(cell));
    }
    for runbook in &pack.platform.runbooks {
        let mut missing = of_runbook(runbook);
        // What Stentor says of itself (`monitor`) has runbooks without components.
        let named =
            pack.platform.components.is_empty() || pack.platform.cells.iter().any(|cell| cell.runbook == runbook.id);
        if !named && !runbook.procedure {
            missing.push("no cell names it, and it is no `procedure`".to_owned());
        }
        if reading::READ.contains(&&*pack.platform.key) {
            missing.extend(reading::missed(runbook));
        }
        let unknown = checks_of(runbook).into_iter().filter(|name| !is_check(name, pack, packs));
        missing.extend(unknown.map(|name| format!("there is no check `{name}`")));
        add(format!("runbook {}/{}", pack.platform.key, runbook.id), &runbook.id, missing);
    }
    holes
}

/// What runs as a program on a server can fail in all three ways, anything else in at least one.
fn of_component(component: &ComponentType, cells: &[Cell]) -> Vec<String> {
    let has = |wanted: FailureType| {
        cells.iter().any(|cell| cell.key.component == component.key && cell.key.failure_type == wanted)
    };
    let runs = !component.units.is_empty() || !component.processes.is_empty();
    let lacking: Vec<FailureType> = FailureType::ALL.into_iter().filter(|kind| !has(*kind)).collect();
    if runs || lacking.len() == FailureType::ALL.len() {
        lacking.into_iter().map(|kind| format!("no cell for the failure type `{}`", kind.as_str())).collect()
    } else {
        Vec::new()
    }
}

fn of_cell(cell: &Cell) -> Vec<String> {
    let texts = [
        ("behaviour", &cell.behaviour),
        ("still_works", &cell.still_works),
        ("impact", &cell.impact),
        ("expected_time", &cell.expected_time),
        ("data_risk", &cell.data_risk),
        ("escalate", &cell.escalate),
    ];
    let lists = [("told_by", &cell.told_by), ("verify", &cell.verify), ("sources", &cell.sources)];
    let mut missing: Vec<String> =
        texts.into_iter().filter(|(_, text)| is_open(text)).map(|(key, _)| format!("`{key}` is empty")).collect();
    if ["As ", "Like ", "Same "].iter().any(|word| cell.behaviour.starts_with(word)) {
        missing.push("`behaviour` points to another cell: it is what users are told here".to_owned());
    }
    for (key, list) in lists {
        if list.is_empty() || list.iter().any(|text| is_open(text)) {
            missing.push(format!("`{key}` is empty"));
        }
    }
    missing
}

/// Nothing, or a promise to write something.
fn is_open(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || text == "?"
        || ["todo", "tbd", "unknown"].iter().any(|word| text.eq_ignore_ascii_case(word))
        || text.contains("TODO")
        || text.contains("TBD")
}

/// A runbook looks before it acts, acts, and looks whether that helped.
fn of_runbook(runbook: &Runbook) -> Vec<String> {
    let position = |kind: StepKind| runbook.steps.iter().position(|step| step.kind == kind);
    let last = |kind: StepKind| runbook.steps.iter().rposition(|step| step.kind == kind);
    let mut missing = Vec::new();
    if is_open(&runbook.title) {
        missing.push("`title` is empty".to_owned());
    }
    for (number, step) in runbook.steps.iter().enumerate() {
        if is_open(&step.text) {
            missing.push(format!("step {} says nothing", number + 1));
        }
    }
    for (kind, word) in [(StepKind::Verify, "verify"), (StepKind::Fix, "fix"), (StepKind::Confirm, "confirm")] {
        if position(kind).is_none() {
            missing.push(format!("no step of kind `{word}`"));
        }
    }
    if let (Some(look), Some(act)) = (position(StepKind::Verify), position(StepKind::Fix))
        && act < look
    {
        missing.push("a `fix` comes before anything is looked at".to_owned());
    }
    if let (Some(act), Some(look)) = (last(StepKind::Fix), last(StepKind::Confirm))
        && look < act
    {
        missing.push("nothing is confirmed after the last `fix`".to_owned());
    }
    missing
}

fn checks_of(runbook: &Runbook) -> Vec<&str> {
    let of_steps = runbook.steps.iter().flat_map(|step| match &step.action {
        Action::Check { checks, .. } | Action::WaitFor { checks, .. } => checks.as_slice(),
        Action::Manual | Action::Command { .. } | Action::Power { .. } | Action::Approve => &[],
    });
    of_steps.chain(&runbook.verification).map(|name| &**name).collect()
}

/// `clc/port` is the pack's own, `host/ping` has the name of its platform in front.
fn is_check(name: &str, pack: &Pack, packs: &[Pack]) -> bool {
    let own = format!("{}/{name}", pack.platform.key);
    packs.iter().flat_map(|pack| &pack.checks).any(|check| *check.check.name == *name || *check.check.name == *own)
}

#[cfg(test)]
#[path = "holes_tests.rs"]
mod tests;
