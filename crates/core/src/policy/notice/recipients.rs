//! Whom a notice goes to: the object's contacts, or those of the escalations that are valid now (specification 03, 5.4).

use crate::Span;
use crate::catalog::Nagios;
use crate::catalog::nagios::{Escalation, Options};
use crate::id::{ContactGroupId, ContactId, ObjectId, TimeperiodId};

/// What recipients are chosen by.
#[derive(Copy, Clone, Debug)]
pub struct Ask {
    pub object: ObjectId,
    pub state: u8,
    /// Number of the notification, counted already.
    pub number: u32,
    /// To everyone: the object's contacts and those of all of its escalations.
    pub broadcast: bool,
}

/// Each contact once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recipients {
    pub contacts: Vec<ContactId>,
    /// Escalations took the place of the object's own contacts.
    pub escalated: bool,
}

/// Escalations that are valid for this number, this state and this moment.
pub fn valid_escalations<'a>(
    nagios: &'a Nagios,
    ask: &Ask,
    inside: &dyn Fn(TimeperiodId) -> bool,
) -> Vec<&'a Escalation> {
    let letter = if ask.state == 0 { Options::RECOVERY } else { Options::of_state(ask.state) };
    of_object(nagios, ask.object)
        .filter(|escalation| {
            escalation.first <= ask.number
                && (escalation.last == 0 || ask.number <= escalation.last)
                && escalation.period.is_none_or(inside)
                && escalation.options.has(letter)
        })
        .collect()
}

fn of_object(nagios: &Nagios, object: ObjectId) -> impl Iterator<Item = &Escalation> {
    let positions = nagios.index.escalations.get(&object).map_or(&[][..], Vec::as_slice);
    positions.iter().filter_map(|at| nagios.escalations.get(*at as usize))
}

pub fn recipients(nagios: &Nagios, ask: &Ask, inside: &dyn Fn(TimeperiodId) -> bool) -> Recipients {
    let valid = valid_escalations(nagios, ask, inside);
    let mut found = Recipients { contacts: Vec::new(), escalated: !valid.is_empty() };
    if (valid.is_empty() || ask.broadcast)
        && let Some(own) = nagios.directives(ask.object)
    {
        found.add(nagios, &own.contacts, &own.contact_groups);
    }
    if ask.broadcast {
        for escalation in of_object(nagios, ask.object) {
            found.add(nagios, &escalation.contacts, &escalation.contact_groups);
        }
    } else {
        for escalation in valid {
            found.add(nagios, &escalation.contacts, &escalation.contact_groups);
        }
    }
    found
}

/// How long the problem is not told again: the smallest interval of the valid escalations that have one, else the
/// object's own. Zero = never again.
pub fn interval(own: Span, valid: &[&Escalation]) -> Span {
    valid.iter().filter_map(|escalation| escalation.interval).min().unwrap_or(own)
}

impl Recipients {
    fn add(&mut self, nagios: &Nagios, contacts: &[ContactId], groups: &[ContactGroupId]) {
        let members = groups.iter().filter_map(|id| nagios.contactgroups.get(id.index())).flat_map(|g| &g.members);
        for &contact in contacts.iter().chain(members) {
            if !self.contacts.contains(&contact) {
                self.contacts.push(contact);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::nagios::{Directives, Group, Member};
    use crate::id::{AppearanceId, DirectivesId, ServiceId};

    const SERVICE: ObjectId = ObjectId::Service(ServiceId(0));
    const CLOSED: TimeperiodId = TimeperiodId(7);
    const OWN: ContactId = ContactId(0);
    const IN_GROUP: ContactId = ContactId(1);
    const FIRST: ContactId = ContactId(2);
    const SECOND: ContactId = ContactId(3);

    fn escalation(first: u32, last: u32, contact: ContactId) -> Escalation {
        Escalation {
            object: SERVICE,
            first,
            last,
            interval: None,
            period: None,
            options: Options::ALL,
            contacts: vec![contact],
            contact_groups: Vec::new(),
        }
    }

    fn nagios(escalations: Vec<Escalation>) -> Nagios {
        let own = Directives { contacts: vec![OWN], contact_groups: vec![ContactGroupId(0)], ..Directives::default() };
        let group = Group {
            name: "g".into(),
            alias: "g".into(),
            members: vec![OWN, IN_GROUP],
            notes: "".into(),
            notes_url: "".into(),
            action_url: "".into(),
        };
        let mut nagios = Nagios {
            directives: vec![own],
            services: vec![Member { directives: DirectivesId(0), appearance: AppearanceId(0) }],
            contactgroups: vec![group],
            escalations,
            ..Nagios::default()
        };
        nagios.reindex();
        nagios
    }

    fn asked(escalations: Vec<Escalation>, number: u32, state: u8, broadcast: bool) -> Vec<ContactId> {
        let ask = Ask { object: SERVICE, state, number, broadcast };
        recipients(&nagios(escalations), &ask, &|period| period != CLOSED).contacts
    }

    #[test]
    fn escalations_replace_the_contacts_while_they_are_valid() {
        let critical_only = Escalation { options: Options::CRITICAL | Options::RECOVERY, ..escalation(1, 0, FIRST) };
        let at_night = Escalation { period: Some(CLOSED), ..escalation(1, 0, FIRST) };
        /// What it shows, the escalations, number and state, who is told.
        type Told<'a> = (&'a str, Vec<Escalation>, u32, u8, &'a [ContactId]);
        let table: &[Told<'_>] = &[
            ("no escalation: contacts and members, each once", vec![], 1, 2, &[OWN, IN_GROUP]),
            ("before its first", vec![escalation(2, 0, FIRST)], 1, 2, &[OWN, IN_GROUP]),
            ("at its first", vec![escalation(2, 0, FIRST)], 2, 2, &[FIRST]),
            ("open-ended", vec![escalation(2, 0, FIRST)], 99, 2, &[FIRST]),
            ("at its last", vec![escalation(2, 3, FIRST)], 3, 2, &[FIRST]),
            ("past its last", vec![escalation(2, 3, FIRST)], 4, 2, &[OWN, IN_GROUP]),
            ("overlapping: both", vec![escalation(1, 2, FIRST), escalation(2, 3, SECOND)], 2, 2, &[FIRST, SECOND]),
            ("overlap over", vec![escalation(1, 2, FIRST), escalation(2, 3, SECOND)], 3, 2, &[SECOND]),
            ("state not in its options", vec![critical_only.clone()], 1, 1, &[OWN, IN_GROUP]),
            ("state in its options", vec![critical_only.clone()], 1, 2, &[FIRST]),
            ("recovery in its options", vec![critical_only], 1, 0, &[FIRST]),
            ("outside its period", vec![at_night], 1, 2, &[OWN, IN_GROUP]),
        ];
        for (name, escalations, number, state, expect) in table {
            assert_eq!(asked(escalations.clone(), *number, *state, false), *expect, "{name}");
        }
    }

    #[test]
    fn a_broadcast_reaches_everyone_even_of_escalations_to_come() {
        let escalations = vec![escalation(5, 0, FIRST), escalation(9, 0, SECOND)];
        assert_eq!(asked(escalations, 0, 0, true), [OWN, IN_GROUP, FIRST, SECOND]);
    }

    #[test]
    fn the_smallest_interval_of_valid_escalations_counts() {
        let every = |minutes| Escalation { interval: Some(Span::from_mins(minutes)), ..escalation(1, 0, FIRST) };
        let (ten, five, none) = (every(10), every(5), escalation(1, 0, FIRST));
        let never = every(0);
        let own = Span::from_mins(30);
        for (valid, minutes) in [
            (vec![], 30),
            (vec![&none], 30),
            (vec![&ten], 10),
            (vec![&ten, &five], 5),
            (vec![&none, &ten], 10),
            (vec![&ten, &never], 0),
        ] {
            assert_eq!(interval(own, &valid), Span::from_mins(minutes), "{valid:?}");
        }
    }
}
