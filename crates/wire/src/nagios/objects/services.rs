//! Services: one definition over its hosts, duplicates, service groups, service parents.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::graph::{Graph, shown};
use super::groups::{self, Membership, drafts, names_of};
use super::hosts::Hosts;
use super::identity::{Identity, each};
use super::kinds::{Kind, Slot};
use super::model::{Group, Id, Service, Settings};
use super::names::{Context, Names, without};
use super::settings::Referred;
use super::templates::Templates;
use super::values::items;
use crate::nagios::finding::{Findings, Place, quoted};

/// One service definition, before its hosts are looked at.
struct Sketch {
    description: u32,
    display_name: Option<Arc<str>>,
    settings: Arc<Settings>,
    groups: Vec<Id>,
    parents: Option<(Arc<str>, Place)>,
    place: Place,
}

/// A definition on one host.
#[derive(Clone, Copy)]
struct Instance {
    host: Id,
    /// Index of the description, later its rank.
    description: u32,
    sketch: u32,
    /// The host was named, not found by its group.
    is_direct: bool,
}

pub(super) struct Services {
    pub services: Vec<Service>,
    /// Where those of each host begin.
    pub first: Vec<Id>,
    pub groups: Vec<Group>,
    pub group_names: Names,
}

/// Descriptions as numbers.
#[derive(Default)]
struct Descriptions {
    list: Vec<Arc<str>>,
    by_text: HashMap<Arc<str>, u32>,
}

impl Descriptions {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.by_text.get(text) {
            return *number;
        }
        let text: Arc<str> = text.into();
        self.list.push(Arc::clone(&text));
        self.by_text.insert(text, (self.list.len() - 1) as u32);
        (self.list.len() - 1) as u32
    }
}

/// The definitions, and where they stand.
#[derive(Default)]
struct Expansion {
    sketches: Vec<Sketch>,
    instances: Vec<Instance>,
    descriptions: Descriptions,
}

pub(super) fn resolve(
    services: &mut Templates<'_>,
    servicegroups: &Templates<'_>,
    (hosts, referred): (&Hosts, &Referred),
    cx: &mut Context<'_>,
) -> Services {
    let drafts = drafts(servicegroups, Kind::Servicegroup, cx);
    let group_names = names_of(&drafts, "service group", "unknown-servicegroup");
    let mut expansion = Expansion::default();
    each(services, |identity, place| expand(&identity, place, (hosts, referred, &group_names), &mut expansion, cx));
    let Expansion { sketches, instances, descriptions } = expansion;
    let instances = winners(instances, &sketches, &descriptions, hosts, cx);
    let mut own: Vec<Membership> = (0..drafts.len()).map(|_| Membership::default()).collect();
    let mut all = Vec::with_capacity(instances.len());
    for (instance, id) in instances.iter().zip(0..) {
        let sketch = &sketches[instance.sketch as usize];
        sketch.groups.iter().for_each(|group| own[*group as usize].added.push(id));
        all.push(Service {
            host: instance.host,
            description: Arc::clone(&descriptions.list[sketch.description as usize]),
            display_name: sketch.display_name.clone(),
            settings: Arc::clone(&sketch.settings),
            parents: Box::default(),
            groups: Box::default(),
            place: sketch.place,
        });
    }
    let first = first_of_hosts(&all, hosts.hosts.len());
    let mut resolved = Services { services: all, first, groups: Vec::new(), group_names };
    for (draft, own) in drafts.iter().zip(&mut own) {
        if let Some(value) = draft.slots.get(Slot::Members).filter(|value| !value.is_null) {
            resolved.pairs(&value.text, value.place, hosts, own, cx);
        }
    }
    let members = groups::nest(Kind::Servicegroup, &drafts, &resolved.group_names, own, cx);
    resolved.groups = groups::finish(&drafts, members, cx);
    if !resolved.groups.is_empty() {
        let of_service = groups::groups_of(&resolved.groups, resolved.services.len());
        resolved.services.iter_mut().zip(of_service).for_each(|(service, groups)| service.groups = groups);
    }
    let of_sketch = |instance: &Instance| sketches[instance.sketch as usize].parents.clone();
    let parents: Vec<_> = instances.iter().map(of_sketch).collect();
    resolved.relate(&parents, hosts, cx);
    resolved
}

fn expand(
    identity: &Identity<'_, '_>,
    place: Place,
    (hosts, referred, group_names): (&Hosts, &Referred, &Names),
    all: &mut Expansion,
    cx: &mut Context<'_>,
) {
    let settings = identity.settings(referred, cx);
    identity.require(Slot::MaxCheckAttempts, cx);
    identity.require(Slot::CheckCommand, cx);
    let (host_list, group_list) = (identity.get(Slot::HostName), identity.get(Slot::HostgroupName));
    let by_name = host_list.as_ref().map(|(list, place)| (list.as_ref(), *place));
    let by_group = group_list.as_ref().map(|(list, place)| (list.as_ref(), *place));
    if by_name.is_none() && by_group.is_none() {
        let help = "add `host_name` or `hostgroup_name`, or `register 0` if it is only a template";
        cx.found.error("missing-directive", place, "this service has no host_name and no hostgroup_name", help);
    }
    let Some((description, description_place)) = identity.get(Slot::Description) else {
        return super::settings::missing(Kind::Service, Slot::Description, place, cx);
    };
    super::names::check_name("service", &description, description_place, cx);
    let errors = cx.found.errors();
    let chosen = hosts.choose(by_name, by_group, cx);
    let is_empty = chosen.direct.is_empty() && chosen.by_group.is_empty();
    if is_empty && cx.naming.refuse_empty_hostgroups && cx.found.errors() == errors {
        let place = by_group.or(by_name).map_or(place, |(_, place)| place);
        let message = format!("the service {} is on no host", quoted(&description));
        cx.found.error("empty-hostgroup", place, message, "allow_empty_hostgroup_assignment=0 forbids it; name a host");
    }
    if is_empty {
        return;
    }
    let groups = identity.get(Slot::Groups).map(|(list, place)| group_names.list(&list, place, cx)).unwrap_or_default();
    let sketch = all.sketches.len() as u32;
    let description = all.descriptions.number(&description);
    let instance = |is_direct| move |host| Instance { host, description, sketch, is_direct };
    all.instances.extend(chosen.direct.into_iter().map(instance(true)));
    all.instances.extend(chosen.by_group.into_iter().map(instance(false)));
    all.sketches.push(Sketch {
        description,
        display_name: identity.kept(Slot::DisplayName, cx).map(|(text, _)| text),
        settings,
        groups,
        parents: identity.kept(Slot::Parents, cx),
        place,
    });
}

/// Sorted by host and description, one for each: a named host beats a host group, then the last definition wins.
fn winners(
    mut all: Vec<Instance>,
    sketches: &[Sketch],
    descriptions: &Descriptions,
    hosts: &Hosts,
    cx: &mut Context<'_>,
) -> Vec<Instance> {
    let mut order: Vec<u32> = (0..descriptions.list.len() as u32).collect();
    order.sort_by(|a, b| descriptions.list[*a as usize].cmp(&descriptions.list[*b as usize]));
    let mut rank = vec![0u32; order.len()];
    for (position, number) in order.iter().zip(0u32..).map(|(number, position)| (position, *number)) {
        rank[number as usize] = position;
    }
    all.iter_mut().for_each(|instance| instance.description = rank[instance.description as usize]);
    let key = |instance: &Instance| (u64::from(instance.host) << 32) | u64::from(instance.description);
    // The winner of each pair comes first.
    all.sort_unstable_by_key(|instance| {
        let later_first = (u64::from(!instance.is_direct) << 32) | u64::from(u32::MAX - instance.sketch);
        (key(instance), later_first)
    });
    all.dedup_by(|loser, winner| {
        let is_same = key(loser) == key(winner);
        if is_same {
            let place = |instance: &Instance| sketches[instance.sketch as usize].place;
            let (winner_place, loser_place) = (place(winner), place(loser));
            let description = &descriptions.list[sketches[winner.sketch as usize].description as usize];
            let message =
                format!("a second service {} on host {}", quoted(description), quoted(hosts.names.name(winner.host)));
            let why = if winner.is_direct == loser.is_direct {
                "the last one counts"
            } else {
                "the one that names the host counts"
            };
            let other_file = if winner_place.file == loser_place.file { "" } else { " of another file" };
            let help = format!("{why}, which is on line {}{other_file}; remove this one", winner_place.line);
            cx.found.warning("duplicate-service", loser_place, message, help);
        }
        is_same
    });
    all
}

/// Where the services of each host begin, with an end.
fn first_of_hosts(services: &[Service], hosts: usize) -> Vec<Id> {
    let mut first = vec![0; hosts + 1];
    services.iter().for_each(|service| first[service.host as usize + 1] += 1);
    for host in 0..hosts {
        first[host + 1] += first[host];
    }
    first
}

impl Services {
    pub fn of_host(&self, host: Id) -> Range<Id> {
        let at = |index: usize| self.first.get(index).copied().unwrap_or_default();
        at(host as usize)..at(host as usize + 1)
    }

    pub fn find(&self, host: Id, description: &str) -> Option<Id> {
        let range = self.of_host(host);
        let of_host = self.services.get(range.start as usize..range.end as usize)?;
        let index = of_host.binary_search_by(|service| service.description.as_ref().cmp(description)).ok()?;
        Some(range.start + index as Id)
    }

    fn descriptions(&self, host: Id) -> impl Iterator<Item = (Id, &str)> {
        self.of_host(host).filter_map(|id| Some((id, self.services.get(id as usize)?.description.as_ref())))
    }

    pub fn unknown(&self, host: &str, of: Option<Id>, description: &str, place: Place, found: &mut Findings) {
        let known: Vec<&str> = of.into_iter().flat_map(|host| self.descriptions(host)).map(|(_, name)| name).collect();
        let help = found.suggest(description, known);
        let message = format!("there is no service {} on host {}", quoted(description), quoted(host));
        found.error("unknown-service", place, message, help);
    }

    /// The services of a host that a list of descriptions names.
    pub fn on_host(&self, host: Id, list: &str, place: Place, hosts: &Hosts, cx: &mut Context<'_>) -> Vec<Id> {
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for item in items(list) {
            let (item, target, must_be) = match item.strip_prefix('!') {
                Some(rest) => (rest.trim_start(), &mut removed, false),
                None => (item, &mut added, true),
            };
            if item == "*" {
                target.extend(self.of_host(host));
                continue;
            }
            match cx.pattern_of(item, place) {
                None => match self.find(host, item) {
                    Some(id) => target.push(id),
                    None if must_be => self.unknown(hosts.names.name(host), Some(host), item, place, &mut cx.found),
                    None => {}
                },
                Some(pattern) => {
                    let all =
                        self.descriptions(host).filter(|(_, name)| pattern.as_ref().is_some_and(|p| p.is_match(name)));
                    target.extend(all.map(|(id, _)| id));
                }
            }
        }
        if !cx.may_expand(added.len(), place) {
            return Vec::new();
        }
        without(added, removed)
    }

    /// `host,service,host,service`.
    fn pairs(&self, list: &str, place: Place, hosts: &Hosts, own: &mut Membership, cx: &mut Context<'_>) {
        let all: Vec<&str> = items(list).collect();
        if !all.len().is_multiple_of(2) {
            let message = format!("{} names in a list of pairs", all.len());
            cx.found.error("odd-members", place, message, "expected host,service,host,service");
            return;
        }
        for pair in all.chunks_exact(2) {
            let [host, description] = pair else { continue };
            let (host, takes_away) = host.strip_prefix('!').map_or((*host, false), |rest| (rest, true));
            let (description, takes_away) =
                description.strip_prefix('!').map_or((*description, takes_away), |rest| (rest, true));
            for id in hosts.names.list(host, place, cx) {
                // Over many hosts a service is looked for, not claimed to be on each.
                let ids = match host == "*" && self.find(id, description).is_none() && !description.contains('*') {
                    true => Vec::new(),
                    false => self.on_host(id, description, place, hosts, cx),
                };
                if takes_away { own.removed.extend(ids) } else { own.added.extend(ids) }
            }
        }
    }

    /// Service parents: one description on the same host, or pairs.
    fn relate(&mut self, parents: &[Option<(Arc<str>, Place)>], hosts: &Hosts, cx: &mut Context<'_>) {
        let mut edges: Vec<(Id, Id)> = Vec::new();
        let mut known: HashMap<(Arc<str>, Place), Vec<Id>> = HashMap::new();
        for (parent, id) in parents.iter().zip(0..) {
            let Some((list, place)) = parent else { continue };
            let Some(host) = self.services.get(id as usize).map(|service| service.host) else { continue };
            let ids = if list.contains(',') {
                let expand = || {
                    let mut own = Membership::default();
                    self.pairs(list, *place, hosts, &mut own, cx);
                    without(own.added, own.removed)
                };
                known.entry((Arc::clone(list), *place)).or_insert_with(expand).clone()
            } else {
                self.on_host(host, list, *place, hosts, cx)
            };
            if !cx.may_expand(ids.len(), *place) {
                break;
            }
            edges.extend(ids.iter().map(|parent| (id, *parent)));
            self.services[id as usize].parents = ids.into();
        }
        let graph = Graph::new(if edges.is_empty() { 0 } else { self.services.len() }, &edges);
        for group in graph.components() {
            let circle = graph.circle(&group);
            let place = circle.first().and_then(|first| parents.get(*first as usize)?.as_ref());
            if let Some((_, place)) = place {
                let name = |id: Id| self.services.get(id as usize).map_or("", |service| &*service.description);
                let message = format!("services are parents of each other in a circle: {}", shown(&circle, name));
                cx.found.error("circular-parents", *place, message, "remove one of the `parents`");
            }
        }
    }
}
