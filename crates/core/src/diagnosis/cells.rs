//! Which cell of the failure matrix and which runbook a verdict belongs to (specification 10, section 1).

use std::sync::Arc;

use super::draft::Draft;
use super::verdict::{Class, FailureType};
use super::world::World;

/// Where nobody knows the target better: look at what contradicts or is missing.
pub(super) const LOOK: &str = "rb-mon-check";

/// Types of the members, the naming one first, each once.
pub(super) fn kinds<'w>(world: &'w World, draft: &Draft<'_>) -> Vec<&'w str> {
    let topology = &world.topology;
    let mut members: Vec<usize> = draft.members.clone();
    members.sort_by_key(|comp| (topology.knowledge.rank(&topology.platform, &world.comps[*comp].kind), *comp));
    let mut kinds: Vec<&'w str> = Vec::new();
    for comp in members {
        let kind = &*world.comps[comp].kind;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

/// The cells of a verdict, its own first.
pub(super) fn cells(world: &World, draft: &Draft<'_>) -> Vec<Arc<str>> {
    let Some(column) = draft.class.failure_type() else { return Vec::new() };
    let platform = &world.topology.platform;
    let home = |kind: &str| world.topology.knowledge.home(platform, kind);
    let name = |kind: &&str| Arc::from(format!("{}/{kind}/{}", home(kind), column.as_str()));
    kinds(world, draft).iter().map(name).collect()
}

pub(super) fn runbook(world: &World, draft: &Draft<'_>) -> Arc<str> {
    if let Some(runbook) = &draft.runbook {
        return runbook.clone();
    }
    let column = match draft.cause() {
        Class::SoftwareDown => FailureType::Software,
        Class::ServerDown => FailureType::Server,
        Class::ResourceUnavailable | Class::ResourceAtRisk => FailureType::Resource,
        Class::AdminStopped | Class::Starting => return Arc::from("none"),
        Class::Network | Class::NetworkPath => return Arc::from("rb-mon-path"),
        Class::PowerEvent => return Arc::from("RB-H05"),
        Class::MonitorIsolated => return Arc::from("rb-mon-isolated"),
        Class::SiteDown => return Arc::from("rb-mon-site"),
        Class::SplitBrain => return Arc::from("rb-mon-dual-active"),
        Class::RedundancyLost | Class::Flapping | Class::Unknown => return Arc::from(LOOK),
    };
    let topology = &world.topology;
    let of_cell =
        kinds(world, draft).into_iter().find_map(|kind| topology.knowledge.runbook(&topology.platform, kind, column));
    match of_cell {
        Some(runbook) => runbook,
        // A host whose cell nobody has described: what is known about any silent server helps.
        None if column == FailureType::Server => Arc::from("RB-H42"),
        None => Arc::from(LOOK),
    }
}
