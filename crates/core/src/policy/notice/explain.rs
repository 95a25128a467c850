//! Why somebody is told of an object, or is not: every stage with what it says now.

use std::sync::Arc;

use super::contact::CONTACT;
use super::facts::{Asked, World};
use super::object::{HOST, SERVICE};
use super::{Case, Stage, Step, object, steps};
use crate::id::ContactId;
use crate::model::{HeldNotice, Notice, NoticeKind, ObjectKey};

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

/// What [`Notice::because`] says of a notice that no stage was asked about.
pub const FORCED: &str = "forced";

/// The stages that a notice passed to reach its contact, in order.
pub fn passed(notice: &Notice) -> Vec<&'static str> {
    if *notice.because == *FORCED {
        return vec![FORCED];
    }
    object_names(notice.kind, &notice.object).chain(names(CONTACT, notice.kind)).collect()
}

/// The stages that a notice passed before the one that held it, in order.
pub fn passed_before(held: &HeldNotice) -> Vec<&'static str> {
    let of_contact = held.contact.is_some().then(|| names(CONTACT, held.kind));
    let all = object_names(held.kind, &held.object).chain(of_contact.into_iter().flatten());
    all.take_while(|name| *name != held.stage).collect()
}

fn object_names(kind: NoticeKind, object: &ObjectKey) -> impl Iterator<Item = &'static str> {
    names(if object.service.is_some() { SERVICE } else { HOST }, kind)
}

fn names<C: Case + 'static>(stages: &'static [Stage<C>], kind: NoticeKind) -> impl Iterator<Item = &'static str> {
    stages.iter().filter(move |stage| stage.of.has(kind)).map(|stage| stage.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn held(kind: NoticeKind, contact: Option<&str>, stage: &'static str) -> HeldNotice {
        HeldNotice {
            kind,
            object: ObjectKey { host: "h".into(), service: None },
            contact: contact.map(Into::into),
            state: "UP".into(),
            number: 0,
            stage,
            why: String::new(),
            at: Timestamp::ZERO,
        }
    }

    #[test]
    fn what_was_passed_ends_at_the_stage_that_held() {
        use NoticeKind::{Custom, DowntimeStart, Recovery};
        let table: &[(HeldNotice, &[&str])] = &[
            (held(Recovery, None, "program"), &[]),
            (held(Custom, None, "downtime"), &["program", "period", "disabled"]),
            (held(DowntimeStart, None, "downtime"), &["program", "period", "disabled", "options"]),
            (
                held(Custom, Some("ann"), "contact_period"),
                &["program", "period", "disabled", "downtime", "importance", "contact_disabled"],
            ),
            (held(Custom, None, "contacts"), &["program", "period", "disabled", "downtime"]),
        ];
        for (held, expect) in table {
            assert_eq!(passed_before(held), *expect, "{:?} held by {}", held.kind, held.stage);
        }
    }

    #[test]
    fn no_kind_meets_two_stages_of_one_name() {
        for list in [SERVICE, HOST] {
            for kind in [NoticeKind::Problem, NoticeKind::Recovery, NoticeKind::Custom, NoticeKind::FlappingStop] {
                let all: Vec<_> = names(list, kind).chain(names(CONTACT, kind)).collect();
                let distinct: std::collections::BTreeSet<_> = all.iter().collect();
                assert_eq!(distinct.len(), all.len(), "{kind:?}: {all:?}");
            }
        }
    }
}
