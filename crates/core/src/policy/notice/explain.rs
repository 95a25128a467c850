//! Why somebody is told of an object, or is not: every stage with what it says now.

use std::sync::Arc;

use super::contact::CONTACT;
use super::facts::{Asked, World};
use super::{Step, object, steps};
use crate::id::ContactId;
use crate::model::NoticeKind;

/// The full list of stages of one notice.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub kind: NoticeKind,
    /// Number that the notice has, or would have.
    pub number: u32,
    /// Stages of the object, in order.
    pub stages: Vec<Step>,
    pub escalated: bool,
    /// Whom it is meant for, also where a stage above holds it.
    pub contacts: Vec<ContactExplanation>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ContactExplanation {
    pub contact: Arc<str>,
    pub stages: Vec<Step>,
}

/// Answers for any kind of notice, sent or not; `None` for an object of Stentor's own configuration.
pub fn explain(world: &World<'_>, asked: &Asked) -> Option<Explanation> {
    let case = world.object_case(asked)?;
    let number = case.object.number.saturating_add(u32::from(asked.counts()));
    let found = world.recipients(asked, number);
    let contact = |id: ContactId| {
        let case = world.contact_case(asked, id)?;
        let name = Arc::clone(&world.catalog.contacts[id.index()].name);
        Some(ContactExplanation { contact: name, stages: steps(CONTACT, &case) })
    };
    Some(Explanation {
        kind: asked.kind,
        number,
        stages: steps(object::stages(&case), &case),
        escalated: found.escalated,
        contacts: found.contacts.into_iter().filter_map(contact).collect(),
    })
}
