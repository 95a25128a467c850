//! Timeperiods, commands, contacts and contact groups: what hosts and services refer to.

use std::sync::Arc;

use super::graph::{Graph, shown};
use super::groups::{self, Draft, Membership, drafts, names_of};
use super::kinds::{Kind, Slot};
use super::model::{Command, Contact, Group, Hearing, Timeperiod};
use super::names::Context;
use super::options;
use super::settings::{Reading, Referred};
use super::templates::Templates;

/// The resolved lists and the names in them.
pub(super) struct People {
    pub timeperiods: Vec<Timeperiod>,
    pub commands: Vec<Command>,
    pub contacts: Vec<Contact>,
    pub contactgroups: Vec<Group>,
    pub referred: Referred,
}

/// The templates of these types.
pub(super) struct Sources<'s, 'a> {
    pub timeperiods: &'s Templates<'a>,
    pub commands: &'s Templates<'a>,
    pub contacts: &'s Templates<'a>,
    pub contactgroups: &'s Templates<'a>,
}

pub(super) fn resolve(sources: &Sources<'_, '_>, cx: &mut Context<'_>) -> People {
    let periods = drafts(sources.timeperiods, Kind::Timeperiod, cx);
    let commands = drafts(sources.commands, Kind::Command, cx);
    let contacts = drafts(sources.contacts, Kind::Contact, cx);
    let contactgroups = drafts(sources.contactgroups, Kind::Contactgroup, cx);
    let referred = Referred {
        timeperiods: names_of(&periods, "timeperiod", "unknown-timeperiod"),
        commands: names_of(&commands, "command", "unknown-command"),
        contacts: names_of(&contacts, "contact", "unknown-contact"),
        contactgroups: names_of(&contactgroups, "contact group", "unknown-contactgroup"),
    };
    let contactgroups = contact_groups(&contacts, &contactgroups, &referred, cx);
    let groups = groups::groups_of(&contactgroups, contacts.len());
    let contacts = contacts.iter().zip(groups).map(|(draft, groups)| contact(draft, groups, &referred, cx)).collect();
    People {
        timeperiods: timeperiods(&periods, &referred, cx),
        commands: commands.iter().map(|draft| command(draft, cx)).collect(),
        contacts,
        contactgroups,
        referred,
    }
}

fn command(draft: &Draft<'_>, cx: &mut Context<'_>) -> Command {
    if draft.slots.text(Slot::CommandLine).is_none() {
        let help = "add `command_line`, or `register 0` if it is only a template";
        cx.found.error("missing-directive", draft.place, "this command has no command_line", help);
    }
    let line = cx.texts.keep(draft.slots.text(Slot::CommandLine).unwrap_or_default());
    Command { name: Arc::clone(&draft.name), line, place: draft.place }
}

fn timeperiods(drafts: &[Draft<'_>], referred: &Referred, cx: &mut Context<'_>) -> Vec<Timeperiod> {
    let names = &referred.timeperiods;
    let mut all = Vec::with_capacity(drafts.len());
    let mut edges = Vec::new();
    for (draft, id) in drafts.iter().zip(0..) {
        let exclude = draft.slots.get(Slot::Exclude).filter(|value| !value.is_null);
        let exclude = exclude.map(|value| names.list(&value.text, value.place, cx)).unwrap_or_default();
        edges.extend(exclude.iter().map(|other| (id, *other)));
        all.push(Timeperiod {
            alias: draft.slots.text(Slot::Alias).map_or_else(|| Arc::clone(&draft.name), |alias| cx.texts.keep(alias)),
            name: Arc::clone(&draft.name),
            lines: draft.slots.dates.iter().map(|line| (line.text.to_owned(), line.place)).collect(),
            exclude,
            place: draft.place,
        });
    }
    let graph = Graph::new(drafts.len(), &edges);
    for group in graph.components() {
        let circle = graph.circle(&group);
        if let Some(first) = circle.first().and_then(|first| drafts.get(*first as usize)) {
            let place = first.slots.place(Slot::Exclude).unwrap_or(first.place);
            let message =
                format!("timeperiods exclude each other in a circle: {}", shown(&circle, |id| names.name(id)));
            cx.found.error("circular-timeperiod", place, message, "remove one of the `exclude` lines");
        }
    }
    all
}

fn contact_groups(
    contacts: &[Draft<'_>],
    drafts: &[Draft<'_>],
    referred: &Referred,
    cx: &mut Context<'_>,
) -> Vec<Group> {
    let mut own: Vec<Membership> = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let members = draft.slots.get(Slot::Members).filter(|value| !value.is_null);
        let members = members.map(|value| referred.contacts.expand(&value.text, value.place, cx)).unwrap_or_default();
        own.push(Membership { added: members.added, removed: members.removed });
    }
    for (contact, id) in contacts.iter().zip(0..) {
        let Some(value) = contact.slots.get(Slot::Groups).filter(|value| !value.is_null) else { continue };
        for group in referred.contactgroups.list(&value.text, value.place, cx) {
            own[group as usize].added.push(id);
        }
    }
    let members = groups::nest(Kind::Contactgroup, drafts, &referred.contactgroups, own, cx);
    groups::finish(drafts, members, cx)
}

const ADDRESSES: [Slot; 6] =
    [Slot::Address1, Slot::Address2, Slot::Address3, Slot::Address4, Slot::Address5, Slot::Address6];

fn contact(draft: &Draft<'_>, groups: Box<[u32]>, referred: &Referred, cx: &mut Context<'_>) -> Contact {
    let mut r = Reading { slots: &draft.slots, referred, cx, place: draft.place };
    Contact {
        alias: r.text(Slot::Alias).unwrap_or_else(|| Arc::clone(&draft.name)),
        name: Arc::clone(&draft.name),
        email: r.text(Slot::Email),
        pager: r.text(Slot::Pager),
        addresses: ADDRESSES.map(|slot| r.text(slot)),
        host: Hearing {
            enabled: r.flag(Slot::HostNotificationsEnabled, true),
            period: r.period(Slot::HostNotificationPeriod).flatten(),
            options: r.options(Slot::HostNotificationOptions, &options::HOST_NOTIFICATION),
            commands: r.commands(Slot::HostNotificationCommands),
        },
        service: Hearing {
            enabled: r.flag(Slot::ServiceNotificationsEnabled, true),
            period: r.period(Slot::ServiceNotificationPeriod).flatten(),
            options: r.options(Slot::ServiceNotificationOptions, &options::SERVICE_NOTIFICATION),
            commands: r.commands(Slot::ServiceNotificationCommands),
        },
        can_submit_commands: r.flag(Slot::CanSubmitCommands, true),
        retain_status_information: r.flag(Slot::RetainStatus, true),
        retain_nonstatus_information: r.flag(Slot::RetainNonstatus, true),
        minimum_importance: r.count(Slot::Importance).unwrap_or(0),
        groups,
        variables: r.variables(),
        place: draft.place,
    }
}
