//! What a pack tells the classifier of its platform: order, redundancy, what needs what, the runbook of each cell.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::catalog::Platform;
use stentor_core::diagnosis::{Knowledge, Redundancy};

use super::finding::{Diagnostics, Place};
use super::tree::Section;

/// Reads `precedence`, `zonal`, `guests` and `unhealed` of `[pack]`; the rest stands in the components and cells.
pub(super) fn read(head: &Section<'_>, order: &[Arc<str>], found: &mut Diagnostics) -> Knowledge {
    let precedence = head.names("precedence", found);
    Knowledge {
        order: if precedence.is_empty() { order.to_vec() } else { precedence },
        zonal: head.names("zonal", found),
        guests: head.names("guests", found),
        unhealed: head.names("unhealed", found),
        ..Knowledge::default()
    }
}

/// Adds what the components and cells say, once all files of the pack are read.
pub(super) fn complete(knowledge: &mut Knowledge, platform: &Platform, at: &Place, found: &mut Diagnostics) {
    for (key, names) in [("precedence", &knowledge.order), ("zonal", &knowledge.zonal), ("guests", &knowledge.guests)] {
        for name in names.iter().filter(|name| !platform.components.iter().any(|known| known.key == **name)) {
            let help = super::finding::suggest(name, platform.components.iter().map(|known| &*known.key));
            found.error("unknown-component", at, format!("`{key}` of the pack names unknown `{name}`"), help);
        }
    }
    for component in &platform.components {
        // What the pack does not put in order comes last, as in the matrix.
        if !knowledge.order.contains(&component.key) {
            knowledge.order.push(Arc::clone(&component.key));
        }
        if component.core {
            knowledge.core.push(Arc::clone(&component.key));
        }
        let is = |kind: &str| &*component.redundancy_kind == kind;
        let redundancy = Redundancy { many: is("many"), min: component.redundancy_min, each: is("each") };
        knowledge.redundancy.insert(Arc::clone(&component.key), redundancy);
        if !component.depends_on.is_empty() {
            knowledge.upstream.insert(Arc::clone(&component.key), component.depends_on.clone());
        }
    }
    let known = |name: &Arc<str>| platform.components.iter().any(|known| known.key == *name);
    for (key, name) in knowledge.beside.iter().flat_map(|(key, names)| names.iter().map(move |name| (key, name))) {
        if !known(name) {
            let help = super::finding::suggest(name, platform.components.iter().map(|known| &*known.key));
            found.error("unknown-component", at, format!("`{key}` stands beside unknown `{name}`"), help);
        }
    }
    for cell in &platform.cells {
        let of_type = knowledge.runbooks.entry(Arc::clone(&cell.key.component)).or_default();
        of_type.insert(cell.key.failure_type, Arc::clone(&cell.runbook));
    }
    let mut needs = knowledge.upstream.clone();
    for (key, beside) in &knowledge.beside {
        needs.entry(Arc::clone(key)).or_default().extend(beside.iter().cloned());
    }
    refuse_circles(&needs, at, found);
}

/// Components that need each other could each explain the other's failure away.
fn refuse_circles(upstream: &BTreeMap<Arc<str>, Vec<Arc<str>>>, at: &Place, found: &mut Diagnostics) {
    let mut told: Vec<&Arc<str>> = Vec::new();
    for start in upstream.keys() {
        let Some(circle) = circle_through(upstream, start).filter(|circle| !circle.iter().any(|on| told.contains(on)))
        else {
            continue;
        };
        let names: Vec<&str> = circle.iter().map(|name| &***name).collect();
        let message = format!("components depend on each other in a circle: {} -> {start}", names.join(" -> "));
        found.error("circular-dependency", at, message, "leave one `depends_on` of the circle out");
        told.extend(circle);
    }
}

/// The way from a component back to itself over what it depends on.
fn circle_through<'u>(
    upstream: &'u BTreeMap<Arc<str>, Vec<Arc<str>>>,
    start: &'u Arc<str>,
) -> Option<Vec<&'u Arc<str>>> {
    let mut before: BTreeMap<&Arc<str>, &Arc<str>> = BTreeMap::new();
    let mut open = vec![start];
    while let Some(name) = open.pop() {
        for above in upstream.get(name).into_iter().flatten() {
            if above == start {
                let mut way = vec![name];
                while let Some(&previous) = way.last().and_then(|last| before.get(*last)) {
                    way.push(previous);
                }
                way.reverse();
                return Some(way);
            }
            if !before.contains_key(above) {
                before.insert(above, name);
                open.push(above);
            }
        }
    }
    None
}
