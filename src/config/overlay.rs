//! Tables of a pack with `overlay = true`: they change single keys of a table that another file of the pack has, so that an
//! administrator need not copy what he only wants to correct.

use super::finding::{Diagnostics, Place, suggest};
use super::tree::{At, Kind, Node, Table};

/// What can be laid over, and the keys that name one.
const TABLES: [(&str, &[&str]); 4] = [
    ("component", &["key"]),
    ("check", &["component", "name"]),
    ("cell", &["component", "type"]),
    ("runbook", &["id"]),
];

const MARK: &str = "overlay";
/// Steps to put into a runbook, each with `before = N`, the number of a step that it has already, or at its end.
const ADDED: &str = "add_steps";

/// Takes the overlays out of the files and lays each over its table, in the order of the files.
pub fn apply(files: &mut [(Place, Table)], found: &mut Diagnostics) {
    for (kind, names) in TABLES {
        let mut overlays = Vec::new();
        for (_, file) in files.iter_mut() {
            overlays.extend(take(file, kind, found));
        }
        for overlay in overlays {
            lay(files, kind, names, overlay, found);
        }
    }
}

/// The overlays of one kind in one file, which does not have them any more.
fn take(file: &mut Table, kind: &str, found: &mut Diagnostics) -> Vec<(Place, Table)> {
    let Some((_, node)) = file.iter_mut().find(|(key, _)| key.value == kind) else { return Vec::new() };
    let Kind::List(items) = &mut node.kind else { return Vec::new() };
    let mut taken = Vec::new();
    items.retain_mut(|item| {
        let Kind::Table(table) = &mut item.kind else { return true };
        let Some(index) = table.iter().position(|(key, _)| key.value == MARK) else { return true };
        let (_, mark) = table.remove(index);
        match mark.kind {
            Kind::Bool(true) => {
                taken.push((item.at.clone(), std::mem::take(table)));
                false
            }
            Kind::Bool(false) => true,
            _ => {
                found.error("wrong-type", &mark.at, "`overlay` must be true or false", "");
                true
            }
        }
    });
    taken
}

fn text<'t>(table: &'t Table, key: &str) -> &'t str {
    let node = table.iter().find(|(own, _)| own.value == key).map(|(_, node)| &node.kind);
    if let Some(Kind::Text(text)) = node { text } else { "" }
}

/// `clc/software`, `rb-euca-clc-software`.
fn identity(table: &Table, names: &[&str]) -> String {
    names.iter().map(|name| text(table, name)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// Every table of one kind.
fn tables<'f>(files: &'f mut [(Place, Table)], kind: &'f str) -> impl Iterator<Item = &'f mut Table> {
    let lists = files.iter_mut().flat_map(|(_, file)| file.iter_mut()).filter(move |(key, _)| key.value == kind);
    let items = lists.flat_map(|(_, node)| match node {
        Node { kind: Kind::List(items), .. } => items.as_mut_slice(),
        single => std::slice::from_mut(single),
    });
    items.filter_map(|item| if let Kind::Table(table) = &mut item.kind { Some(table) } else { None })
}

fn lay(
    files: &mut [(Place, Table)],
    kind: &str,
    names: &[&str],
    (at, overlay): (Place, Table),
    found: &mut Diagnostics,
) {
    let wanted = identity(&overlay, names);
    let known: Vec<String> = tables(files, kind).map(|table| identity(table, names)).collect();
    let Some(base) = tables(files, kind).find(|table| identity(table, names) == wanted) else {
        let message = format!("there is no {kind} `{wanted}` to lay this over");
        found.error("unknown-overlay", &at, message, suggest(&wanted, known.iter().map(String::as_str)));
        return;
    };
    for (key, node) in overlay {
        if kind == "runbook" && key.value == ADDED {
            add_steps(base, node, found);
        } else if !names.contains(&key.value.as_str()) {
            match base.iter_mut().find(|(own, _)| own.value == key.value) {
                Some(own) => *own = (key, node),
                None => base.push((key, node)),
            }
        }
    }
}

/// Puts each step where it says, by the numbers that the steps had before.
fn add_steps(base: &mut Table, added: Node, found: &mut Diagnostics) {
    let place = added.at.clone();
    let Kind::List(added) = added.kind else {
        found.error("wrong-type", &place, format!("`{ADDED}` must be a list of steps"), "");
        return;
    };
    if !base.iter().any(|(key, _)| key.value == "steps") {
        let key = At { value: "steps".to_owned(), at: place.clone() };
        base.push((key, Node { at: place.clone(), kind: Kind::List(Vec::new()) }));
    }
    let Some((_, Node { kind: Kind::List(steps), .. })) = base.iter_mut().find(|(key, _)| key.value == "steps") else {
        return;
    };
    let count = steps.len();
    let mut placed: Vec<(usize, Node)> = Vec::with_capacity(added.len());
    for mut step in added {
        let mut before = count;
        if let Kind::Table(table) = &mut step.kind
            && let Some(index) = table.iter().position(|(key, _)| key.value == "before")
        {
            let (_, node) = table.remove(index);
            match node.kind {
                Kind::Integer(number) if (1..=count as i64).contains(&number) => before = number as usize - 1,
                _ => {
                    let help = "the number of a step as `stentor runbook show` prints it";
                    found.error("out-of-range", &node.at, format!("`before` must be from 1 to {count}"), help);
                }
            }
        }
        placed.push((before, step));
    }
    // From the end, so that the numbers before stay those that they were.
    placed.sort_by_key(|(before, _)| *before);
    for (before, step) in placed.into_iter().rev() {
        steps.insert(before.min(steps.len()), step);
    }
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
