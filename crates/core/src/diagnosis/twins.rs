//! One virtual machine that runs on two hosts: both write to its disk (rule 9).
//!
//! Hosts tell by the signal `guests` which machines run on them; one that is paused, as the target of a live migration is
//! until its end, is not among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::{Board, Draft};
use super::signal::Signal;
use super::verdict::{Class, FailureType, Severity, Target, TargetKind, Visibility};
use super::world::World;
use crate::model::Value;

/// Machines named in one verdict.
const NAMES_MAX: usize = 20;

pub(super) fn judge_twins<'a>(world: &World<'a>, board: &mut Board<'a>) {
    // Type of the components that told, machine -> where it runs, by whose word.
    let mut running: BTreeMap<(&str, String), Vec<(usize, &'a Signal)>> = BTreeMap::new();
    for (index, comp) in world.comps.iter().enumerate() {
        if board.host_root[comp.host].is_some() {
            continue;
        }
        let Some(signal) = comp.facts.newest("guests") else { continue };
        let Value::List(guests) = &signal.value else { continue };
        for guest in guests {
            running.entry((comp.kind, guest.to_string())).or_default().push((index, signal));
        }
    }
    let mut twins: BTreeMap<&str, Vec<(String, Vec<(usize, &'a Signal)>)>> = BTreeMap::new();
    for ((kind, guest), places) in running {
        if places.iter().any(|(comp, _)| world.comps[*comp].host != world.comps[places[0].0].host) {
            twins.entry(kind).or_default().push((guest, places));
        }
    }
    for (kind, found) in twins {
        let draft = draft(world, kind, &found);
        board.add(draft);
    }
}

fn draft<'a>(world: &World<'a>, kind: &str, found: &[(String, Vec<(usize, &'a Signal)>)]) -> Draft<'a> {
    let told: Vec<String> = found
        .iter()
        .take(NAMES_MAX)
        .map(|(guest, places)| {
            let hosts: Vec<&str> =
                places.iter().map(|(comp, _)| &**world.hosts[world.comps[*comp].host].name).collect();
            format!("{guest} on {}", hosts.join(" and "))
        })
        .collect();
    let topology = world.topology;
    let runbook = topology.knowledge.runbook(&topology.platform, kind, FailureType::Resource);
    let target = Target { kind: TargetKind::ComponentGroup, host: None, component: Some(Arc::from(kind)) };
    let mut draft = Draft::new(target, Class::SplitBrain, "dual_active", 0.9)
        .weighing(Severity::Critical, Visibility::Visible)
        .with_runbook(runbook.as_deref().unwrap_or("rb-mon-dual-active"))
        .backed_by(found.iter().flat_map(|(_, places)| places.iter().map(|(_, signal)| *signal)))
        .not(Class::ServerDown, format!("both hosts run: {}", told.join(", ")));
    draft.members = found.iter().flat_map(|(_, places)| places.iter().map(|(comp, _)| *comp)).collect();
    draft.members.sort_unstable();
    draft.members.dedup();
    draft
}
