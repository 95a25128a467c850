//! One virtual machine that runs on two hosts: both write to its disk (rule 9).
//!
//! Hosts tell by the signal `guests` which machines run on them; one that is paused, as the target of a live migration is
//! until its end, is not among them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::draft::{Board, Draft};
use super::verdict::{Class, FailureType, Severity, Target, TargetKind, Visibility};
use super::world::{Comp, World};
use crate::model::Value;

/// Machines named in one verdict.
const NAMES_MAX: usize = 20;

/// Type of the components that tell, and the machine's name.
type Guest = (Arc<str>, String);

/// Which machine runs on which components; kept while signals come, so that nobody has to look through all hosts.
#[derive(Default)]
pub(super) struct Guests {
    places: BTreeMap<Guest, BTreeSet<usize>>,
    /// Those on more than one.
    several: BTreeSet<Guest>,
}

impl Guests {
    /// Adds what a component tells, or takes it out.
    pub fn count(&mut self, comp: &Comp, index: usize, add: bool) {
        let Some(signal) = comp.facts.newest("guests") else { return };
        let Value::List(names) = &signal.value else { return };
        for name in names {
            let guest = (Arc::clone(&comp.kind), name.to_string());
            let places = self.places.entry(guest.clone()).or_default();
            if add {
                places.insert(index);
            } else {
                places.remove(&index);
            }
            match places.len() {
                0 => {
                    self.places.remove(&guest);
                    self.several.remove(&guest);
                }
                1 => {
                    self.several.remove(&guest);
                }
                _ => {
                    self.several.insert(guest);
                }
            }
        }
    }
}

pub(super) fn judge_twins<'a>(world: &'a World, board: &mut Board<'a>) {
    let mut twins: BTreeMap<&'a Arc<str>, Vec<(&'a str, Vec<usize>)>> = BTreeMap::new();
    for guest in &world.guests.several {
        let places = world.guests.places.get(guest).into_iter().flatten().copied();
        let places: Vec<usize> = places.filter(|comp| board.host_root[world.comps[*comp].host].is_none()).collect();
        let hosts: BTreeSet<usize> = places.iter().map(|comp| world.comps[*comp].host).collect();
        if hosts.len() > 1 {
            twins.entry(&guest.0).or_default().push((&guest.1, places));
        }
    }
    for (kind, found) in twins {
        board.add(draft(world, kind, &found));
    }
}

fn draft<'a>(world: &'a World, kind: &Arc<str>, found: &[(&str, Vec<usize>)]) -> Draft<'a> {
    let told = |(guest, places): &(&str, Vec<usize>)| {
        let hosts: Vec<&str> = places.iter().map(|comp| &*world.hosts[world.comps[*comp].host].name).collect();
        format!("{guest} on {}", hosts.join(" and "))
    };
    let told: Vec<String> = found.iter().take(NAMES_MAX).map(told).collect();
    let mut members: Vec<usize> = found.iter().flat_map(|(_, places)| places.iter().copied()).collect();
    members.sort_unstable();
    members.dedup();
    let topology = &world.topology;
    let runbook = topology.knowledge.runbook(&topology.platform, kind, FailureType::Resource);
    let target = Target { kind: TargetKind::ComponentGroup, host: None, component: Some(Arc::clone(kind)) };
    let mut draft = Draft::new(target, Class::SplitBrain, "dual_active", 0.9)
        .weighing(Severity::Critical, Visibility::Visible)
        .with_runbook(runbook.as_deref().unwrap_or("rb-mon-dual-active"))
        .backed_by(members.iter().filter_map(|comp| world.comps[*comp].facts.newest("guests")))
        .not(Class::ServerDown, format!("both hosts run: {}", told.join(", ")));
    draft.members = members;
    draft
}
