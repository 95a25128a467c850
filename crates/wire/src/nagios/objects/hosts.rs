//! Hosts and host groups: names, parents, membership, and lists of hosts in other definitions.

use std::sync::Arc;

use super::graph::{Graph, shown};
use super::groups::{self, Membership, drafts, duplicate, names_of};
use super::identity::{Identity, each};
use super::kinds::{Kind, Slot};
use super::model::{Group, Host, Id};
use super::names::{Context, Expanded, Names, check_name, without};
use super::settings::Referred;
use super::templates::{Slots, Templates};
use crate::nagios::finding::Place;

type Text = Option<(Arc<str>, Place)>;

/// A host before the names of the others are known.
struct Sketch {
    host: Host,
    parents: Text,
    groups: Text,
}

pub(super) struct Hosts {
    pub hosts: Vec<Host>,
    pub names: Names,
    pub groups: Vec<Group>,
    pub group_names: Names,
}

/// Hosts that a definition speaks of.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// By name.
    pub direct: Vec<Id>,
    /// Only by a host group.
    pub by_group: Vec<Id>,
}

impl Chosen {
    pub fn all(self) -> Vec<Id> {
        without([self.direct, self.by_group].concat(), Vec::new())
    }
}

impl Hosts {
    /// What lists of hosts and of host groups come to.
    pub fn choose(&self, hosts: Option<(&str, Place)>, groups: Option<(&str, Place)>, cx: &mut Context<'_>) -> Chosen {
        let by_name = hosts.map(|(list, place)| self.names.expand(list, place, cx)).unwrap_or_default();
        let Some((list, place)) = groups else {
            return Chosen { direct: by_name.result(), by_group: Vec::new() };
        };
        let Expanded { added, removed } = self.group_names.expand(list, place, cx);
        let members = |ids: Vec<Id>| ids.into_iter().flat_map(|id| &self.groups[id as usize].members).copied();
        let mut removed: Vec<Id> = members(removed).collect();
        removed.extend(&by_name.removed);
        let by_group: Vec<Id> = members(added).collect();
        if !cx.may_expand(by_group.len(), place) {
            return Chosen::default();
        }
        let direct = without(by_name.added, removed.clone());
        removed.extend(&direct);
        Chosen { by_group: without(by_group, removed), direct }
    }

    /// The same for two directives; unset if neither is given.
    pub fn chosen(&self, slots: &Slots<'_>, (host, group): (Slot, Slot), cx: &mut Context<'_>) -> Option<Vec<Id>> {
        let get = |slot| slots.get(slot).filter(|value| !value.is_null).map(|value| (value.text.as_ref(), value.place));
        let (host, group) = (get(host), get(group));
        (host.is_some() || group.is_some()).then(|| self.choose(host, group, cx).all())
    }
}

pub(super) fn resolve(
    hosts: &mut Templates<'_>,
    hostgroups: &Templates<'_>,
    referred: &Referred,
    cx: &mut Context<'_>,
) -> Hosts {
    let mut sketches = Vec::new();
    each(hosts, |identity, place| sketches.extend(sketch(&identity, place, referred, cx)));
    sketches.sort_by(|a, b| a.host.name.cmp(&b.host.name));
    sketches.dedup_by(|second, first| {
        let is_same = second.host.name == first.host.name;
        if is_same {
            duplicate(Kind::Host, &second.host.name, (first.host.place, second.host.place), cx);
        }
        is_same
    });
    let list = sketches.iter().map(|sketch| Arc::clone(&sketch.host.name)).collect();
    let names = Names::new("host", "unknown-host", list);
    let drafts = drafts(hostgroups, Kind::Hostgroup, cx);
    let group_names = names_of(&drafts, "host group", "unknown-hostgroup");
    let mut own: Vec<Membership> = Vec::with_capacity(drafts.len());
    for draft in &drafts {
        let members = draft.slots.get(Slot::Members).filter(|value| !value.is_null);
        let members = members.map(|value| names.expand(&value.text, value.place, cx)).unwrap_or_default();
        own.push(Membership { added: members.added, removed: members.removed });
    }
    for (sketch, id) in sketches.iter().zip(0..) {
        let Some((list, place)) = &sketch.groups else { continue };
        for group in group_names.list(list, *place, cx) {
            own[group as usize].added.push(id);
        }
    }
    let members = groups::nest(Kind::Hostgroup, &drafts, &group_names, own, cx);
    let groups = groups::finish(&drafts, members, cx);
    let hosts = related(sketches, &names, &groups, cx);
    Hosts { hosts, names, groups, group_names }
}

fn sketch(identity: &Identity<'_, '_>, place: Place, referred: &Referred, cx: &mut Context<'_>) -> Option<Sketch> {
    let settings = identity.settings(referred, cx);
    identity.require(Slot::MaxCheckAttempts, cx);
    let Some((name, name_place)) = identity.kept(Slot::ObjectName, cx) else {
        super::settings::missing(Kind::Host, Slot::ObjectName, place, cx);
        return None;
    };
    check_name("host", &name, name_place, cx);
    let mut named = |slot| identity.kept(slot, cx).map_or_else(|| Arc::clone(&name), |(text, _)| text);
    let host = Host {
        alias: named(Slot::Alias),
        display_name: named(Slot::DisplayName),
        address: named(Slot::Address),
        name: Arc::clone(&name),
        parents: Box::default(),
        groups: Box::default(),
        settings,
        place,
    };
    Some(Sketch { host, parents: identity.kept(Slot::Parents, cx), groups: identity.kept(Slot::Groups, cx) })
}

/// Parents and groups.
fn related(sketches: Vec<Sketch>, names: &Names, groups: &[Group], cx: &mut Context<'_>) -> Vec<Host> {
    let of_host = groups::groups_of(groups, sketches.len());
    let mut edges = Vec::new();
    let mut hosts = Vec::with_capacity(sketches.len());
    let mut places = Vec::with_capacity(sketches.len());
    for ((mut sketch, groups), id) in sketches.into_iter().zip(of_host).zip(0..) {
        let place = sketch.parents.as_ref().map_or(sketch.host.place, |(_, place)| *place);
        if let Some((list, place)) = &sketch.parents {
            let parents = names.list(list, *place, cx);
            edges.extend(parents.iter().map(|parent| (id, *parent)));
            sketch.host.parents = parents.into();
        }
        sketch.host.groups = groups;
        hosts.push(sketch.host);
        places.push(place);
    }
    let graph = Graph::new(hosts.len(), &edges);
    for group in graph.components() {
        let circle = graph.circle(&group);
        if let Some(place) = circle.first().and_then(|first| places.get(*first as usize)) {
            let message =
                format!("hosts are parents of each other in a circle: {}", shown(&circle, |id| names.name(id)));
            cx.found.error("circular-parents", *place, message, "remove one of the `parents`");
        }
    }
    hosts
}
