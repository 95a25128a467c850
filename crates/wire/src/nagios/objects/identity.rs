//! What makes one host or service differ from the next: read without putting its whole definition together, as most
//! definitions of a large configuration only name themselves and a template.

use std::rc::Rc;
use std::sync::Arc;

use super::kinds::{Kind, Slot};
use super::model::Settings;
use super::names::Context;
use super::settings::{self, Reading, Referred};
use super::templates::{Base, Definition, Slots, Templates};
use crate::nagios::finding::Place;

/// The directives of one definition.
pub(super) enum Identity<'d, 'a> {
    /// All but what it names itself by is its templates'.
    Plain(&'d Definition<'a>, Rc<Base<'a>>),
    Whole(Slots<'a>, Place),
}

impl<'d, 'a> Identity<'d, 'a> {
    /// The directive's text, unless unset or `null`, and where it stands.
    pub fn get(&self, slot: Slot) -> Option<(&str, Place)> {
        match self {
            Identity::Plain(definition, base) => match definition.own(slot) {
                Some(("null", _)) => None,
                Some(own) => Some(own),
                None => of_slots(&base.slots, slot),
            },
            Identity::Whole(slots, _) => of_slots(slots, slot),
        }
    }

    pub fn kept(&self, slot: Slot, cx: &mut Context<'_>) -> Option<(Arc<str>, Place)> {
        self.get(slot).map(|(text, place)| (cx.texts.keep(text), place))
    }

    fn slots(&self) -> &Slots<'a> {
        match self {
            Identity::Plain(_, base) => &base.slots,
            Identity::Whole(slots, _) => slots,
        }
    }

    /// A required directive that is not there is an error.
    pub fn require(&self, kind: Kind, slot: Slot, place: Place, cx: &mut Context<'_>) {
        settings::require(kind, slot, self.slots(), place, cx);
    }

    /// Shared by all that have nothing of their own.
    pub fn settings(&self, kind: Kind, referred: &Referred, cx: &mut Context<'_>) -> Arc<Settings> {
        let (slots, place, shared) = match self {
            Identity::Plain(definition, base) => (&base.slots, definition.place, Some(&base.settings)),
            Identity::Whole(slots, place) => (slots, *place, None),
        };
        let mut read = || Arc::new(settings::read(kind, Reading { slots, referred, cx, place }));
        match shared {
            Some(shared) => Arc::clone(shared.get_or_init(read)),
            None => read(),
        }
    }
}

fn of_slots<'s>(slots: &'s Slots<'_>, slot: Slot) -> Option<(&'s str, Place)> {
    Some((slots.text(slot)?, slots.place(slot)?))
}

/// The identities of all registered definitions of a type.
pub(super) fn each<'a>(templates: &mut Templates<'a>, mut act: impl FnMut(Identity<'_, 'a>, Place)) {
    for index in 0..templates.definitions.len() {
        let Some(definition) = templates.definitions.get(index).filter(|definition| definition.register) else {
            continue;
        };
        let place = definition.place;
        if definition.is_plain() {
            let base = templates.base(index);
            if let Some(definition) = templates.definitions.get(index) {
                act(Identity::Plain(definition, base), place);
            }
        } else {
            act(Identity::Whole(templates.slots(index), place), place);
        }
    }
}
