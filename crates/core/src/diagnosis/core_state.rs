//! Whether the Core of the cloud is available (specification 10, section 8).

use super::draft::{Board, Fate};
use super::verdict::{Class, CoreState};
use super::world::World;

pub(super) struct Core {
    pub state: CoreState,
    pub because: Vec<String>,
    pub redundancy_lost: bool,
}

/// How one piece of the Core stands; ordered from good to bad.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Well,
    AtRisk,
    /// The passive half is about to take over.
    TakingOver,
    Gone,
}

/// Fewer node controllers than this share of the registered ones is a degraded Core.
const NODES_SHARE: f64 = 0.7;

pub(super) fn assess(world: &World, board: &Board<'_>) -> Core {
    let isolated = board.drafts.iter().any(|draft| draft.class == Class::MonitorIsolated);
    if isolated || world.topology.platform == "mesh" {
        let because =
            vec![if isolated { "this monitor is cut off" } else { "a mesh has no Core of its own" }.to_owned()];
        return Core { state: CoreState::Unknown, because, redundancy_lost: false };
    }
    let mut gone: Vec<String> = Vec::new();
    let mut weak: Vec<String> = Vec::new();
    for kind in required(world) {
        match best(world, board, world.group(kind, None)) {
            Piece::Gone => gone.push(format!("no {kind} in service")),
            Piece::TakingOver => weak.push(format!("{kind}: the passive half has not taken over yet")),
            Piece::AtRisk => weak.push(format!("{kind} is at risk")),
            Piece::Well => {}
        }
    }
    majority(world, board, &mut gone);
    zones(world, board, &mut gone, &mut weak);
    object_store(world, board, &mut gone);
    nodes(world, board, &mut weak);
    if board.drafts.iter().any(|draft| draft.class == Class::SplitBrain) {
        weak.push("two sides are active: their data diverge".to_owned());
    }
    let state = if !gone.is_empty() {
        CoreState::Unavailable
    } else if !weak.is_empty() {
        CoreState::Degraded
    } else {
        CoreState::Available
    };
    gone.append(&mut weak);
    Core { state, because: gone, redundancy_lost: redundancy_lost(world, board) }
}

/// Types of which one must serve, as far as they are registered.
fn required(world: &World) -> Vec<&str> {
    let kinds: Vec<&str> = match world.topology.platform.as_str() {
        "eucalyptus" => vec!["clc", "ufs", "walrus"],
        "cloudstack" => vec!["ms", "mysql", "primary"],
        "openstack" => vec!["nova_api", "rabbitmq", "galera", "nova_compute"],
        "proxmox" => Vec::new(),
        _ => world.topology.knowledge.core.iter().map(|kind| &**kind).collect(),
    };
    kinds.into_iter().filter(|kind| !world.group(kind, None).is_empty()).collect()
}

fn piece(world: &World, board: &Board<'_>, comp: usize) -> Piece {
    if !board.is_in_service(world, comp) {
        return Piece::Gone;
    }
    if board.passive[comp] {
        return Piece::TakingOver;
    }
    let risk = match board.fate[comp] {
        Fate::Fine => false,
        Fate::Root(draft) => {
            let draft = &board.drafts[draft];
            draft.class == Class::ResourceAtRisk && (draft.critical || is_slow(world, comp))
        }
        Fate::Under(_, class) => class == Class::ResourceAtRisk,
    };
    if risk { Piece::AtRisk } else { Piece::Well }
}

fn is_slow(world: &World, comp: usize) -> bool {
    world.comps[comp].facts.saying("probe", "slow").is_some()
}

fn best(world: &World, board: &Board<'_>, group: &[usize]) -> Piece {
    group.iter().map(|comp| piece(world, board, *comp)).min().unwrap_or(Piece::Well)
}

/// Proxmox: the majority of the votes.
fn majority(world: &World, board: &Board<'_>, gone: &mut Vec<String>) {
    if world.topology.platform != "proxmox" {
        return;
    }
    let group = world.group("corosync", None);
    let well = group.iter().filter(|comp| piece(world, board, **comp) != Piece::Gone).count();
    if !group.is_empty() && well * 2 <= group.len() {
        gone.push(format!("{well} of {} votes: no majority", group.len()));
    }
}

fn zones(world: &World, board: &Board<'_>, gone: &mut Vec<String>, weak: &mut Vec<String>) {
    if world.topology.platform != "eucalyptus" || world.topology.zones.is_empty() {
        return;
    }
    let mut working = 0;
    let mut failing: Vec<String> = Vec::new();
    for zone in world.topology.zones.keys() {
        let vmware = world.topology.vmware_zones.contains(zone);
        let mut missing: Vec<String> = Vec::new();
        let kinds: &[&str] = if vmware { &["cc", "sc", "vb"] } else { &["cc", "sc"] };
        for kind in kinds {
            let group = world.group(kind, Some(zone));
            match best(world, board, group) {
                Piece::Gone => missing.push(format!("{kind} is out of service")),
                Piece::AtRisk | Piece::TakingOver => weak.push(format!("zone {zone}: {kind} is at risk")),
                Piece::Well => {}
            }
        }
        let nodes = world.group("nc", Some(zone));
        let serving = nodes.iter().filter(|comp| piece(world, board, **comp) != Piece::Gone).count();
        let needed = world.topology.min_nc.unwrap_or(1) as usize;
        if !vmware && !nodes.is_empty() && serving < needed {
            missing.push(format!("{serving} node controllers of at least {needed}"));
        }
        if missing.is_empty() {
            working += 1;
        } else {
            failing.push(format!("zone {zone}: {}", missing.join(", ")));
        }
    }
    if working == 0 { gone.append(&mut failing) } else { weak.append(&mut failing) }
}

/// A backend such as Riak that every UFS uses is the object store path.
fn object_store(world: &World, board: &Board<'_>, gone: &mut Vec<String>) {
    let lost = |kinds: &[std::sync::Arc<str>], backend: &str| {
        kinds.iter().any(|kind| &**kind == "ufs")
            && board
                .drafts
                .iter()
                .any(|draft| draft.class == Class::ResourceUnavailable && draft.target.host.as_deref() == Some(backend))
    };
    for (backend, kinds) in &world.topology.backends {
        let walrus = world.group("walrus", None);
        if walrus.is_empty() && lost(kinds, backend) && gone.is_empty() {
            gone.push(format!("the object store {backend} is out of reach"));
        }
    }
}

fn nodes(world: &World, board: &Board<'_>, weak: &mut Vec<String>) {
    let nodes: Vec<usize> = (0..world.comps.len()).filter(|comp| &*world.comps[*comp].kind == "nc").collect();
    let serving = nodes.iter().filter(|comp| board.is_in_service(world, **comp)).count();
    if !nodes.is_empty() && (serving as f64) < NODES_SHARE * nodes.len() as f64 {
        weak.push(format!("{serving} of {} node controllers in service", nodes.len()));
    }
    let at_risk = nodes.iter().filter(|comp| piece(world, board, **comp) == Piece::AtRisk).count();
    if at_risk > 0 {
        weak.push(format!("{at_risk} node controllers are at risk"));
    }
}

/// Something has no spare left although the service is intact.
fn redundancy_lost(world: &World, board: &Board<'_>) -> bool {
    let reduced = board.drafts.iter().any(|draft| {
        draft.class == Class::RedundancyLost || (draft.class == Class::PowerEvent && draft.subtype == "on_battery")
    });
    reduced
        || world
            .groups()
            .any(|group| group.len() > 1 && group.iter().filter(|comp| board.is_in_service(world, **comp)).count() == 1)
}
