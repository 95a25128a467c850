//! Whether the Core of the cloud is available (specification 10, section 8).

use super::core_expr::Eye;
use super::draft::{Board, Fate};
use super::standing::Standing;
use super::verdict::{Class, CoreState};
use super::world::World;
use crate::availability::{self, Expr, State};

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

/// By the expression of the cloud, or as built in where it has none; both agree on the expressions that are shipped.
pub(super) fn assess(world: &World, board: &Board<'_>, standing: &[Standing]) -> Core {
    let isolated = board.drafts.iter().any(|draft| draft.class == Class::MonitorIsolated);
    if isolated || world.topology.platform == "mesh" {
        let because =
            vec![if isolated { "this monitor is cut off" } else { "a mesh has no Core of its own" }.to_owned()];
        return Core { state: CoreState::Unknown, because, redundancy_lost: false };
    }
    match &world.topology.core {
        Some(expr) => by_expression(world, board, standing, expr),
        None => built_in(world, board),
    }
}

/// The expression says what is needed; what only degrades a Core stays with the rules of section 8, for what it names.
fn by_expression(world: &World, board: &Board<'_>, standing: &[Standing], expr: &Expr) -> Core {
    let known = Eye { world, board }.state(&expr.0, None).unwrap_or(State::Available);
    let mut words = Vec::new();
    if known < State::Available {
        let lost = board.drafts.iter().filter(|draft| draft.class == Class::ResourceUnavailable);
        let backends = lost.filter_map(|draft| draft.target.host.as_deref()).collect();
        let outs = availability::core::Outs::new(standing, backends);
        let grounded = availability::core::ground_core(&"".into(), &world.topology, expr);
        words = availability::core::look(&grounded, &outs).words;
    }
    let (mut aside, mut weak) = (Vec::new(), Vec::new());
    let kinds = expr.kinds();
    for kind in kinds.iter().filter(|kind| !world.topology.is_zonal(kind) && !world.group(kind, None).is_empty()) {
        note(kind, best(world, board, world.group(kind, None)), &mut aside, &mut weak);
    }
    if kinds.iter().any(|kind| world.topology.is_zonal(kind)) {
        zones(world, board, &mut aside, &mut weak);
    }
    if kinds.iter().any(|kind| &**kind == "nc") {
        nodes(world, board, &mut weak);
    }
    split(board, &mut weak);
    let state = match CoreState::from(known) {
        CoreState::Available if weak.is_empty() => CoreState::Available,
        CoreState::Available | CoreState::Degraded => CoreState::Degraded,
        gone @ (CoreState::Unavailable | CoreState::Unknown) => gone,
    };
    let because = if state == CoreState::Available { Vec::new() } else { [words, weak].concat() };
    Core { state, because, redundancy_lost: redundancy_lost(world, board) }
}

fn note(kind: &str, piece: Piece, gone: &mut Vec<String>, weak: &mut Vec<String>) {
    match piece {
        Piece::Gone => gone.push(format!("no {kind} in service")),
        Piece::TakingOver => weak.push(format!("{kind}: the passive half has not taken over yet")),
        Piece::AtRisk => weak.push(format!("{kind} is at risk")),
        Piece::Well => {}
    }
}

fn split(board: &Board<'_>, weak: &mut Vec<String>) {
    if board.drafts.iter().any(|draft| draft.class == Class::SplitBrain) {
        weak.push("two sides are active: their data diverge".to_owned());
    }
}

fn built_in(world: &World, board: &Board<'_>) -> Core {
    let mut gone: Vec<String> = Vec::new();
    let mut weak: Vec<String> = Vec::new();
    for kind in required(world) {
        note(kind, best(world, board, world.group(kind, None)), &mut gone, &mut weak);
    }
    majority(world, board, &mut gone, &mut weak);
    zones(world, board, &mut gone, &mut weak);
    object_store(world, board, &mut gone);
    nodes(world, board, &mut weak);
    split(board, &mut weak);
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
fn majority(world: &World, board: &Board<'_>, gone: &mut Vec<String>, weak: &mut Vec<String>) {
    if world.topology.platform != "proxmox" {
        return;
    }
    let group = world.group("corosync", None);
    let well = group.iter().filter(|comp| piece(world, board, **comp) != Piece::Gone).count();
    if !group.is_empty() && well * 2 <= group.len() {
        gone.push(format!("{well} of {} votes: no majority", group.len()));
    }
    // That no vote is left at all is said by the majority.
    note("corosync", best(world, board, group), &mut Vec::new(), weak);
}

fn zones(world: &World, board: &Board<'_>, gone: &mut Vec<String>, weak: &mut Vec<String>) {
    if world.topology.platform != "eucalyptus" || world.topology.zones.is_empty() {
        return;
    }
    let (mut working, mut looked_at) = (0, 0);
    let mut failing: Vec<String> = Vec::new();
    for zone in world.topology.zones.keys() {
        let vmware = world.topology.vmware_zones.contains(zone);
        let mut missing: Vec<String> = Vec::new();
        let kinds: &[&str] = if vmware { &["cc", "sc", "vb"] } else { &["cc", "sc"] };
        let nodes = world.group("nc", Some(zone));
        // A zone of other hosts (front ends, storage) runs nobody's machines.
        if kinds.iter().all(|kind| world.group(kind, Some(zone)).is_empty()) && (vmware || nodes.is_empty()) {
            continue;
        }
        looked_at += 1;
        for kind in kinds {
            let group = world.group(kind, Some(zone));
            match best(world, board, group) {
                Piece::Gone => missing.push(format!("{kind} is out of service")),
                Piece::AtRisk | Piece::TakingOver => weak.push(format!("zone {zone}: {kind} is at risk")),
                Piece::Well => {}
            }
        }
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
    if working == 0 && looked_at > 0 { gone.append(&mut failing) } else { weak.append(&mut failing) }
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
