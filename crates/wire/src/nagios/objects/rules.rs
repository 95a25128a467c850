//! Dependencies, escalations and extended information: definitions that speak of other objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::graph::{Graph, shown};
use super::hosts::Hosts;
use super::kinds::{Kind, Slot};
use super::model::{Concern, Dependency, Escalation, EscalationTerms, Id, Redundancy, Settings};
use super::names::{Context, without};
use super::options::{self, Family, OptionSet};
use super::services::Services;
use super::settings::{Reading, Referred, coords};
use super::templates::{Slots, Templates};
use crate::nagios::finding::Place;

/// What rules may speak of.
pub(super) struct World<'w> {
    pub hosts: &'w Hosts,
    pub services: &'w Services,
    pub referred: &'w Referred,
}

const MASTER_HOSTS: (Slot, Slot) = (Slot::HostName, Slot::HostgroupName);
const DEPENDENT_HOSTS: (Slot, Slot) = (Slot::DependentHostName, Slot::DependentHostgroupName);

/// One object that rules connect.
struct Terms {
    execution: Option<OptionSet>,
    notification: Option<OptionSet>,
    inherits_parent: bool,
    period: Option<Id>,
    redundancy: Option<Redundancy>,
    place: Place,
}

impl Terms {
    fn read(
        kind: Kind,
        family: &Family,
        slots: &Slots<'_>,
        place: Place,
        world: &World<'_>,
        cx: &mut Context<'_>,
    ) -> Option<Terms> {
        let mut r = Reading { slots, referred: world.referred, cx, place };
        let terms = Terms {
            execution: r.options(Slot::ExecutionCriteria, family),
            notification: r.options(Slot::NotificationCriteria, family),
            inherits_parent: r.flag(Slot::InheritsParent, false),
            period: r.period(Slot::DependencyPeriod).flatten(),
            redundancy: redundancy(&mut r),
            place,
        };
        if terms.execution.is_none() && terms.notification.is_none() {
            let message = format!("this {} has no failure criteria and is dropped", kind.word());
            let help = "add `notification_failure_criteria` or `execution_failure_criteria`";
            cx.found.warning("pointless-dependency", place, message, help);
            return None;
        }
        Some(terms)
    }

    fn push(&self, master: Id, dependent: Id, all: &mut Vec<Dependency>) {
        let concerns = [(Concern::Notification, self.notification), (Concern::Execution, self.execution)];
        all.extend(concerns.into_iter().filter_map(|(concern, options)| {
            Some(Dependency {
                concern,
                master,
                dependent,
                inherits_parent: self.inherits_parent,
                failure_options: options?,
                period: self.period,
                redundancy: self.redundancy.clone(),
                place: self.place,
            })
        }));
    }
}

/// The group of masters that stand in for each other; one of them is enough unless it says how many.
fn redundancy(r: &mut Reading<'_, '_, '_>) -> Option<Redundancy> {
    let min = r.count(Slot::MinAvailable);
    let name = r.text(Slot::RedundancyGroup).filter(|name| !name.is_empty());
    if name.is_none() && min.is_some() {
        let place = r.place_of(Slot::MinAvailable);
        let help = "add `redundancy_group` with the name of the group, or remove `min_available`";
        r.cx.found.error(
            "missing-directive",
            place,
            "`min_available` is of a redundancy group, and none is named",
            help,
        );
    }
    Some(Redundancy { name: name?, min_available: min.unwrap_or(1) })
}

/// A group is told in several definitions, one for each of its masters: they must agree, and the group must have as many
/// masters as it needs.
fn redundancy_groups(all: &[Dependency], cx: &mut Context<'_>) {
    struct Group {
        min: u32,
        masters: BTreeSet<Id>,
        place: Place,
    }
    let mut groups: BTreeMap<(Id, Concern, &Arc<str>), Group> = BTreeMap::new();
    // A definition may stand for many dependencies; each is told of once.
    let mut told = BTreeSet::new();
    for rule in all {
        let Some(Redundancy { name, min_available: min }) = &rule.redundancy else { continue };
        let fresh = || Group { min: *min, masters: BTreeSet::new(), place: rule.place };
        let group = groups.entry((rule.dependent, rule.concern, name)).or_insert_with(fresh);
        group.masters.insert(rule.master);
        if group.min != *min && told.insert(rule.place) {
            let message = format!("redundancy group `{name}` needs {} elsewhere, and {min} here", group.min);
            cx.found.error("bad-redundancy", rule.place, message, "give all its dependencies the same `min_available`");
        }
    }
    for ((_, _, name), Group { min, masters, place }) in groups {
        if masters.len() < min as usize && told.insert(place) {
            let message = format!("redundancy group `{name}` needs {min} and has {}", masters.len());
            let help = "lower `min_available`, or add a dependency of the same `redundancy_group` on another object";
            cx.found.error("bad-redundancy", place, message, help);
        }
    }
}

pub(super) fn host_dependencies(templates: &Templates<'_>, world: &World<'_>, cx: &mut Context<'_>) -> Vec<Dependency> {
    let mut all = Vec::new();
    for (index, definition) in templates.registered() {
        let (slots, place) = (templates.slots(index), definition.place);
        let masters = world.hosts.chosen(&slots, MASTER_HOSTS, cx);
        let dependents = world.hosts.chosen(&slots, DEPENDENT_HOSTS, cx);
        let family = &options::HOST_DEPENDENCY;
        let terms = Terms::read(Kind::Hostdependency, family, &slots, place, world, cx);
        if masters.is_none() {
            super::settings::missing(Kind::Hostdependency, Slot::HostName, place, cx);
        }
        if dependents.is_none() {
            super::settings::missing(Kind::Hostdependency, Slot::DependentHostName, place, cx);
        }
        let (Some(masters), Some(dependents), Some(terms)) = (masters, dependents, terms) else { continue };
        if cx.may_expand(masters.len().saturating_mul(dependents.len()), place) {
            for dependent in &dependents {
                masters.iter().for_each(|master| terms.push(*master, *dependent, &mut all));
            }
        }
    }
    all.sort_by_key(|rule| (rule.dependent, rule.master));
    redundancy_groups(&all, cx);
    circles(&all, world.hosts.hosts.len(), |id| world.hosts.names.name(id), cx);
    all
}

/// The services that hosts, host groups, descriptions and service groups come to; unset if nothing is given.
fn services_of(
    slots: &Slots<'_>,
    (hosts, description, group): ((Slot, Slot), Slot, Slot),
    world: &World<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<Id>> {
    let mut all = Vec::new();
    let chosen = world.hosts.chosen(slots, hosts, cx);
    let list = slots.get(description).filter(|value| !value.is_null);
    if let (Some(chosen), Some(list)) = (&chosen, list) {
        for host in chosen {
            all.extend(world.services.on_host(*host, &list.text, list.place, world.hosts, cx));
        }
    }
    let groups = slots.get(group).filter(|value| !value.is_null);
    if let Some(value) = groups {
        let groups = world.services.group_names.expand(&value.text, value.place, cx);
        let members = |ids: Vec<Id>| -> Vec<Id> {
            ids.into_iter().flat_map(|id| &world.services.groups[id as usize].members).copied().collect()
        };
        let members = without(members(groups.added), members(groups.removed));
        if cx.may_expand(members.len(), value.place) {
            all.extend(members);
        }
    }
    let is_given = (chosen.is_some() && list.is_some()) || groups.is_some();
    is_given.then(|| without(all, Vec::new()))
}

pub(super) fn service_dependencies(
    templates: &Templates<'_>,
    world: &World<'_>,
    cx: &mut Context<'_>,
) -> Vec<Dependency> {
    const MASTERS: ((Slot, Slot), Slot, Slot) = (MASTER_HOSTS, Slot::Description, Slot::ServicegroupName);
    const DEPENDENTS: ((Slot, Slot), Slot, Slot) =
        (DEPENDENT_HOSTS, Slot::DependentDescription, Slot::DependentServicegroupName);
    const KIND: Kind = Kind::Servicedependency;
    let mut all = Vec::new();
    for (index, definition) in templates.registered() {
        let (slots, place) = (templates.slots(index), definition.place);
        let masters = services_of(&slots, MASTERS, world, cx);
        let terms = Terms::read(KIND, &options::SERVICE_DEPENDENCY, &slots, place, world, cx);
        let Some(masters) = masters else {
            let message = "this servicedependency does not name the service that others depend on";
            let help = "add `host_name` and `service_description`, or `servicegroup_name`";
            cx.found.error("missing-directive", place, message, help);
            continue;
        };
        let other_hosts = [Slot::DependentHostName, Slot::DependentHostgroupName, Slot::DependentServicegroupName];
        let is_same_host = other_hosts.iter().all(|slot| slots.text(*slot).is_none());
        let dependent = slots.get(Slot::DependentDescription).filter(|value| !value.is_null);
        if is_same_host {
            let Some(list) = dependent else {
                super::settings::missing(KIND, Slot::DependentDescription, place, cx);
                continue;
            };
            for master in masters {
                let Some(host) = world.services.services.get(master as usize).map(|service| service.host) else {
                    continue;
                };
                let dependents = world.services.on_host(host, &list.text, list.place, world.hosts, cx);
                if let Some(terms) = &terms {
                    dependents.into_iter().for_each(|dependent| terms.push(master, dependent, &mut all));
                }
            }
            continue;
        }
        let Some(dependents) = services_of(&slots, DEPENDENTS, world, cx) else {
            super::settings::missing(KIND, Slot::DependentDescription, place, cx);
            continue;
        };
        if !cx.may_expand(masters.len().saturating_mul(dependents.len()), place) {
            continue;
        }
        if let Some(terms) = &terms {
            for dependent in &dependents {
                masters.iter().for_each(|master| terms.push(*master, *dependent, &mut all));
            }
        }
    }
    all.sort_by_key(|rule| (rule.dependent, rule.master));
    redundancy_groups(&all, cx);
    let services = &world.services.services;
    circles(&all, services.len(), |id| services.get(id as usize).map_or("", |service| &service.description), cx);
    all
}

fn circles<'n>(all: &[Dependency], objects: usize, name: impl Fn(Id) -> &'n str, cx: &mut Context<'_>) {
    for concern in [Concern::Execution, Concern::Notification] {
        let of_concern = || all.iter().filter(|rule| rule.concern == concern);
        let edges: Vec<(Id, Id)> = of_concern().map(|rule| (rule.dependent, rule.master)).collect();
        let graph = Graph::new(if edges.is_empty() { 0 } else { objects }, &edges);
        for group in graph.components() {
            let circle = graph.circle(&group);
            let Some(first) = circle.first() else { continue };
            let place = of_concern().find(|rule| rule.dependent == *first).map(|rule| rule.place).unwrap_or_default();
            let word = if concern == Concern::Execution { "execution" } else { "notification" };
            let message = format!("{word} dependencies form a circle: {}", shown(&circle, &name));
            let help = "remove one of the dependencies";
            match cx.naming.allow_circular_dependencies {
                true => cx.found.warning("circular-dependency", place, message, help),
                false => cx.found.error("circular-dependency", place, message, help),
            }
        }
    }
}

fn escalation_terms(
    kind: Kind,
    family: &Family,
    slots: &Slots<'_>,
    place: Place,
    (world, cx): (&World<'_>, &mut Context<'_>),
) -> Arc<EscalationTerms> {
    let mut r = Reading { slots, referred: world.referred, cx, place };
    let adds = |slot| slots.get(slot).is_some_and(|value| value.adds);
    let terms = EscalationTerms {
        first_notification: r.count(Slot::FirstNotification).unwrap_or(0),
        last_notification: r.count(Slot::LastNotification),
        interval: r.units(Slot::NotificationInterval),
        period: r.period(Slot::EscalationPeriod),
        options: r.options(Slot::EscalationOptions, family).unwrap_or(OptionSet::ALL),
        contacts: r.list(Slot::Contacts, &world.referred.contacts),
        contact_groups: r.list(Slot::ContactGroups, &world.referred.contactgroups),
        adds_contacts: adds(Slot::Contacts),
        adds_contact_groups: adds(Slot::ContactGroups),
        place,
    };
    if terms.last_notification.is_none() {
        let message = format!("this {} has no last_notification and never matches", kind.word());
        cx.found.warning("pointless-escalation", place, message, "add `last_notification`; 0 means without end");
    }
    Arc::new(terms)
}

pub(super) fn host_escalations(templates: &Templates<'_>, world: &World<'_>, cx: &mut Context<'_>) -> Vec<Escalation> {
    let mut all = Vec::new();
    for (index, definition) in templates.registered() {
        let (slots, place) = (templates.slots(index), definition.place);
        let terms = escalation_terms(Kind::Hostescalation, &options::HOST_ESCALATION, &slots, place, (world, cx));
        match world.hosts.chosen(&slots, MASTER_HOSTS, cx) {
            None => super::settings::missing(Kind::Hostescalation, Slot::HostName, place, cx),
            Some(hosts) => {
                all.extend(hosts.into_iter().map(|object| Escalation { object, terms: Arc::clone(&terms) }));
            }
        }
    }
    all.sort_by_key(|escalation| escalation.object);
    all
}

pub(super) fn service_escalations(
    templates: &Templates<'_>,
    world: &World<'_>,
    cx: &mut Context<'_>,
) -> Vec<Escalation> {
    const OBJECTS: ((Slot, Slot), Slot, Slot) = (MASTER_HOSTS, Slot::Description, Slot::ServicegroupName);
    let mut all = Vec::new();
    for (index, definition) in templates.registered() {
        let (slots, place) = (templates.slots(index), definition.place);
        let terms = escalation_terms(Kind::Serviceescalation, &options::SERVICE_ESCALATION, &slots, place, (world, cx));
        match services_of(&slots, OBJECTS, world, cx) {
            None => {
                let message = "this serviceescalation names no service";
                let help = "add `host_name` and `service_description`, or `servicegroup_name`";
                cx.found.error("missing-directive", place, message, help);
            }
            Some(services) => {
                all.extend(services.into_iter().map(|object| Escalation { object, terms: Arc::clone(&terms) }));
            }
        }
    }
    all.sort_by_key(|escalation| escalation.object);
    all
}

/// Extended information as changes to make: which objects, and what to fill where it is unset.
pub(super) type Fill = (Vec<Id>, Box<Extra>);

/// What extended information can say.
#[derive(Default)]
pub(super) struct Extra {
    texts: [Option<Arc<str>>; 7],
    coords_2d: Option<[f64; 2]>,
    coords_3d: Option<[f64; 3]>,
}

impl Extra {
    fn read(slots: &Slots<'_>, cx: &mut Context<'_>) -> Extra {
        const TEXTS: [Slot; 7] = [
            Slot::Notes,
            Slot::NotesUrl,
            Slot::ActionUrl,
            Slot::IconImage,
            Slot::IconImageAlt,
            Slot::VrmlImage,
            Slot::StatusmapImage,
        ];
        Extra {
            texts: TEXTS.map(|slot| slots.text(slot).map(|text| cx.texts.keep(text))),
            coords_2d: slots.text(Slot::Coords2d).and_then(coords),
            coords_3d: slots.text(Slot::Coords3d).and_then(coords),
        }
    }

    /// Fills what is unset.
    pub fn fill(&self, settings: &mut Arc<Settings>) {
        let settings = Arc::make_mut(settings);
        let fields = [
            &mut settings.notes,
            &mut settings.notes_url,
            &mut settings.action_url,
            &mut settings.icon_image,
            &mut settings.icon_image_alt,
            &mut settings.vrml_image,
            &mut settings.statusmap_image,
        ];
        for (field, text) in fields.into_iter().zip(&self.texts) {
            if field.is_none() {
                field.clone_from(text);
            }
        }
        settings.coords_2d = settings.coords_2d.or(self.coords_2d);
        settings.coords_3d = settings.coords_3d.or(self.coords_3d);
    }
}

fn deprecated(kind: Kind, place: Place, cx: &mut Context<'_>) {
    let message = format!("{} is deprecated", kind.word());
    let target = if kind == Kind::Hostextinfo { "host" } else { "service" };
    cx.found.warning("deprecated-type", place, message, format!("write the directives into the {target} itself"));
}

pub(super) fn host_extras(templates: &Templates<'_>, world: &World<'_>, cx: &mut Context<'_>) -> Vec<Fill> {
    let mut all = Vec::new();
    for (index, definition) in templates.registered() {
        deprecated(Kind::Hostextinfo, definition.place, cx);
        let slots = templates.slots(index);
        match world.hosts.chosen(&slots, MASTER_HOSTS, cx) {
            None => super::settings::missing(Kind::Hostextinfo, Slot::HostName, definition.place, cx),
            Some(hosts) => all.push((hosts, Box::new(Extra::read(&slots, cx)))),
        }
    }
    all
}

pub(super) fn service_extras(templates: &Templates<'_>, world: &World<'_>, cx: &mut Context<'_>) -> Vec<Fill> {
    let mut all = Vec::new();
    for (index, definition) in templates.registered() {
        deprecated(Kind::Serviceextinfo, definition.place, cx);
        let slots = templates.slots(index);
        let objects = (MASTER_HOSTS, Slot::Description, Slot::ServicegroupName);
        match services_of(&slots, objects, world, cx) {
            None => {
                let help = "add `host_name` and `service_description`";
                cx.found.error("missing-directive", definition.place, "this serviceextinfo names no service", help);
            }
            Some(services) => all.push((services, Box::new(Extra::read(&slots, cx)))),
        }
    }
    all
}
