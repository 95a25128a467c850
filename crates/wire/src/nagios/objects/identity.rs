//! One host or service definition against what its templates give. Most definitions of a large configuration name
//! themselves and a template and little else, so nothing is copied that they do not write themselves.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::kinds::Slot;
use super::model::Settings;
use super::names::Context;
use super::settings::{self, Referred};
use super::templates::{Base, Definition, Templates, Value};
use crate::nagios::finding::Place;

pub(super) struct Identity<'d, 'a> {
    definition: &'d Definition<'a>,
    base: Rc<Base<'a>>,
}

impl<'a> Identity<'_, 'a> {
    fn merged(&self, slot: Slot, own: Value<'a>) -> Value<'a> {
        match self.base.slots.get(slot) {
            Some(theirs) => own.over(theirs),
            None => own,
        }
    }

    /// The directive's text, unless unset or `null`, and where it stands.
    pub fn get(&self, slot: Slot) -> Option<(Cow<'_, str>, Place)> {
        if let Some(own) = self.definition.own(slot) {
            let value = self.merged(slot, own);
            return (!value.is_null).then_some((value.text, value.place));
        }
        let value = self.base.slots.get(slot).filter(|value| !value.is_null)?;
        Some((Cow::Borrowed(value.text.as_ref()), value.place))
    }

    pub fn kept(&self, slot: Slot, cx: &mut Context<'_>) -> Option<(Arc<str>, Place)> {
        self.get(slot).map(|(text, place)| (cx.texts.keep(&text), place))
    }

    /// A required directive that is not there is an error.
    pub fn require(&self, slot: Slot, cx: &mut Context<'_>) {
        if self.base.slots.text(slot).is_none() && self.get(slot).is_none() {
            settings::missing(self.definition.kind, slot, self.definition.place, cx);
        }
    }

    /// Shared with all that have nothing of their own to say.
    pub fn settings(&self, referred: &Referred, cx: &mut Context<'_>) -> Arc<Settings> {
        let kind = self.definition.kind;
        let read = || Arc::new(settings::read(kind, &self.base.slots, referred, cx));
        let shared = self.base.settings.get_or_init(read);
        if !self.definition.has_own_settings() {
            return Arc::clone(shared);
        }
        let mut own = Settings::clone(shared);
        for (slot, value) in self.definition.own_settings() {
            settings::apply(&mut own, kind, slot, &self.merged(slot, value), referred, cx);
        }
        if let Some(variables) = self.definition.own_variables(&self.base.slots) {
            own.variables = settings::variables(&variables, cx);
        }
        Arc::new(own)
    }
}

/// The identities of all registered definitions of a type.
pub(super) fn each<'a>(templates: &mut Templates<'a>, mut act: impl FnMut(Identity<'_, 'a>, Place)) {
    for index in 0..templates.definitions.len() {
        if templates.definitions.get(index).is_none_or(|definition| !definition.register) {
            continue;
        }
        let base = templates.base(index);
        if let Some(definition) = templates.definitions.get(index) {
            act(Identity { definition, base }, definition.place);
        }
    }
}
