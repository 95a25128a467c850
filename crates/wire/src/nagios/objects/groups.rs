//! Groups of any type: who is in them, by their own lists, by lists of their members, by groups within groups.

use std::sync::Arc;

use super::graph::{Graph, shown};
use super::kinds::{Kind, Slot};
use super::model::{Group, Id};
use super::names::{Context, Names, without};
use super::templates::{Slots, Templates};
use crate::nagios::finding::{Place, quoted};

/// A named object whose directives were put together: what a type's list is made of.
pub(super) struct Draft<'a> {
    pub name: Arc<str>,
    pub place: Place,
    pub slots: Slots<'a>,
}

/// The registered objects of a type that has one name each, sorted by it. A second one of a name is an error.
pub(super) fn drafts<'a>(templates: &Templates<'a>, kind: Kind, cx: &mut Context<'_>) -> Vec<Draft<'a>> {
    let mut all = Vec::new();
    for (index, definition) in templates.registered() {
        let slots = templates.slots(index);
        match slots.text(Slot::ObjectName) {
            Some(name) => {
                let name = cx.texts.keep(name);
                super::names::check_name(
                    kind.word(),
                    &name,
                    slots.place(Slot::ObjectName).unwrap_or(definition.place),
                    cx,
                );
                all.push(Draft { name, place: definition.place, slots });
            }
            None => super::settings::missing(kind, Slot::ObjectName, definition.place, cx),
        }
    }
    unique(&mut all, kind, cx);
    all
}

fn unique(all: &mut Vec<Draft<'_>>, kind: Kind, cx: &mut Context<'_>) {
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup_by(|second, first| {
        let is_same = second.name == first.name;
        if is_same {
            duplicate(kind, &second.name, (first.place, second.place), cx);
        }
        is_same
    });
}

pub(super) fn duplicate(kind: Kind, name: &str, (first, second): (Place, Place), cx: &mut Context<'_>) {
    let message = format!("a second {} {}", kind.word(), quoted(name));
    let help = match first.file == second.file {
        true => format!("the first is on line {}; remove one, or give it another name", first.line),
        false => format!("the first is on line {} of another file; remove one, or give it another name", first.line),
    };
    cx.found.error("duplicate-object", second, message, help);
}

pub(super) fn names_of(drafts: &[Draft<'_>], what: &'static str, code: &'static str) -> Names {
    Names::new(what, code, drafts.iter().map(|draft| Arc::clone(&draft.name)).collect())
}

/// What is known of the members before groups within groups are looked at.
#[derive(Default)]
pub(super) struct Membership {
    pub added: Vec<Id>,
    pub removed: Vec<Id>,
}

/// Adds the members of groups within groups, innermost first.
pub(super) fn nest(
    kind: Kind,
    drafts: &[Draft<'_>],
    names: &Names,
    own: Vec<Membership>,
    cx: &mut Context<'_>,
) -> Vec<Vec<Id>> {
    let mut edges = Vec::new();
    for (draft, id) in drafts.iter().zip(0..) {
        let Some(value) = draft.slots.get(Slot::GroupMembers).filter(|value| !value.is_null) else { continue };
        edges.extend(names.list(&value.text, value.place, cx).into_iter().map(|inner| (id, inner)));
    }
    let graph = Graph::new(drafts.len(), &edges);
    let mut own: Vec<Option<Membership>> = own.into_iter().map(Some).collect();
    let mut members: Vec<Vec<Id>> = vec![Vec::new(); drafts.len()];
    for circle_or_one in graph.components() {
        let circle = graph.circle(&circle_or_one);
        if let Some(first) = circle.first().and_then(|first| drafts.get(*first as usize)) {
            let place = first.slots.place(Slot::GroupMembers).unwrap_or(first.place);
            let message =
                format!("{}s contain each other in a circle: {}", kind.word(), shown(&circle, |id| names.name(id)));
            cx.found.error("circular-group", place, message, "remove one of them from the other's list");
        }
        for id in circle_or_one {
            let Some(Membership { mut added, removed }) = own.get_mut(id as usize).and_then(Option::take) else {
                continue;
            };
            for inner in graph.needs(id) {
                let inner = members.get(*inner as usize).map_or(&[][..], Vec::as_slice);
                let place = drafts.get(id as usize).map(|draft| draft.place).unwrap_or_default();
                if !cx.may_expand(inner.len(), place) {
                    break;
                }
                added.extend_from_slice(inner);
            }
            members[id as usize] = without(added, removed);
        }
    }
    members
}

/// The groups in their final form.
pub(super) fn finish(drafts: &[Draft<'_>], members: Vec<Vec<Id>>, cx: &mut Context<'_>) -> Vec<Group> {
    let mut group = |(draft, members): (&Draft<'_>, Vec<Id>)| {
        let mut text = |slot| draft.slots.text(slot).map(|text| cx.texts.keep(text));
        Group {
            alias: text(Slot::Alias).unwrap_or_else(|| Arc::clone(&draft.name)),
            notes: text(Slot::Notes),
            notes_url: text(Slot::NotesUrl),
            action_url: text(Slot::ActionUrl),
            name: Arc::clone(&draft.name),
            members,
            place: draft.place,
        }
    };
    drafts.iter().zip(members).map(&mut group).collect()
}

/// Which groups each of `count` objects is in.
pub(super) fn groups_of(groups: &[Group], count: usize) -> Vec<Box<[Id]>> {
    let mut all: Vec<Vec<Id>> = vec![Vec::new(); count];
    for (group, id) in groups.iter().zip(0..) {
        for member in &group.members {
            if let Some(of_member) = all.get_mut(*member as usize) {
                of_member.push(id);
            }
        }
    }
    all.into_iter().map(Vec::into_boxed_slice).collect()
}
