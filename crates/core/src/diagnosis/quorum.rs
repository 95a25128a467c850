//! Failures that a whole cluster shares: a quorum that every member has lost, and a bus without which every service of every
//! host looks down though it runs.

use std::sync::Arc;

use super::draft::{Board, Draft, Explained, Fate, Finding};
use super::suppression::{kinds_above, raise};
use super::verdict::{Class, Target, TargetKind};
use super::world::World;

/// A missing part that was reported as such; what is only not ready has less.
const REPORTED: f64 = 0.8;
/// So many services on so many hosts do not stop by chance.
const MEMBERS_MIN: usize = 3;
const HOSTS_MIN: usize = 2;

fn is_open(world: &World, board: &Board<'_>, comp: usize) -> bool {
    board.fate[comp] == Fate::Fine && board.host_root[world.comps[comp].host].is_none()
}

/// All members of a cluster without a majority: one failure, whoever is asked.
pub(super) fn judge_quorums<'a>(world: &'a World, board: &mut Board<'a>) {
    let mut lost: Vec<Vec<usize>> = Vec::new();
    let is_lost = |board: &Board<'a>, comp: usize| {
        is_open(world, board, comp)
            && board.findings[comp].as_ref().is_some_and(|finding| {
                finding.class == Class::ResourceUnavailable
                    && finding.subtype == "membership"
                    && finding.base >= REPORTED
                    && !finding.absent
            })
    };
    for group in world.groups().filter(|group| group.len() > 1) {
        let hangs =
            group.first().is_some_and(|comp| !kinds_above(&world.topology, &world.comps[*comp].kind).is_empty());
        if !hangs && group.iter().all(|comp| is_lost(board, *comp)) {
            lost.push(group.to_vec());
        }
    }
    for members in lost {
        let Some(&first) = members.first() else { continue };
        let draft = shared(&world.comps[first].kind, "membership", 0.92)
            .not(Class::SoftwareDown, format!("all {} of them run", members.len()))
            .not(Class::ServerDown, "their hosts show signs of life");
        take(world, board, draft, &members);
    }
}

/// Every service that tells its heartbeat over the bus looks down, and every one of them runs.
pub(super) fn judge_bus<'a>(world: &'a World, board: &mut Board<'a>) {
    if world.topology.platform != "openstack" {
        return;
    }
    let waits = |finding: &Finding<'_>| {
        finding.class == Class::ResourceUnavailable
            && finding.subtype == "dependency"
            && finding.explained_by == Explained::Any
    };
    let waiting = |comp: &usize| {
        is_open(world, board, *comp) && board.findings[*comp].as_ref().is_some_and(|finding| waits(finding))
    };
    // Most of the time nobody waits; only then are all looked at.
    if world.notable_comps().filter(waiting).count() < MEMBERS_MIN {
        return;
    }
    let tells = |comp: &usize| {
        world.comps[*comp].facts.newest("service_state").is_some_and(|state| state.value.text() != Some("STOPPED"))
            && board.host_root[world.comps[*comp].host].is_none()
            && kinds_above(&world.topology, &world.comps[*comp].kind).contains(&"rabbitmq")
    };
    let told: Vec<usize> = (0..world.comps.len()).filter(tells).collect();
    let all_wait = told.iter().all(waiting);
    let mut hosts: Vec<usize> = told.iter().map(|comp| world.comps[*comp].host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    if !all_wait || told.len() < MEMBERS_MIN || hosts.len() < HOSTS_MIN {
        return;
    }
    let above: Vec<usize> =
        ["rabbitmq", "galera"].into_iter().flat_map(|kind| world.group(kind, None)).copied().collect();
    // Whoever they need is short of something: the dependency rule says which of them it is.
    let short = |comp: &usize| {
        let finding = board.findings[*comp].as_ref();
        is_open(world, board, *comp) && finding.is_some_and(|f| f.class == Class::ResourceAtRisk && f.critical)
    };
    if above.iter().any(short) {
        return;
    }
    // Who is sick among those that all of them need is the cause, though his equals look well.
    let sick = |comp: &usize| {
        is_open(world, board, *comp) && board.findings[*comp].as_ref().is_some_and(|finding| finding.puts_out())
    };
    let root = match above.iter().copied().find(sick) {
        Some(comp) => Some(raise(world, board, comp)),
        None => above
            .iter()
            .find_map(|comp| board.host_root[world.comps[*comp].host].or_else(|| board.out_by(world, *comp))),
    };
    match root {
        Some(root) => hide(world, board, root, &told),
        None => {
            let mut draft = shared("rabbitmq", "dependency", 0.7)
                .with_runbook("RB-OS-rabbit")
                .not(Class::SoftwareDown, format!("{} services on {} hosts look down at once", told.len(), hosts.len()))
                .not(Class::Network, "their hosts show signs of life");
            // Its cell is that of the bus, whether the bus is watched or not.
            draft.members = world.group("rabbitmq", None).to_vec();
            take(world, board, draft, &told);
        }
    }
}

fn shared<'a>(kind: &str, subtype: &'static str, base: f64) -> Draft<'a> {
    let target = Target { kind: TargetKind::ComponentGroup, host: None, component: Some(Arc::from(kind)) };
    Draft::new(target, Class::ResourceUnavailable, subtype, base)
}

fn take<'a>(world: &'a World, board: &mut Board<'a>, mut draft: Draft<'a>, members: &[usize]) {
    for &comp in members {
        draft.support.extend(world.comps[comp].facts.iter());
    }
    if draft.members.is_empty() {
        draft.members = members.to_vec();
    }
    let id = board.add(draft);
    hide(world, board, id, members);
}

fn hide(world: &World, board: &mut Board<'_>, root: usize, members: &[usize]) {
    for &comp in members {
        let host = &world.hosts[world.comps[comp].host].name;
        board.drafts[root].hide(host, Some(&world.comps[comp].key), Class::ResourceUnavailable);
        board.fate[comp] = Fate::Under(root, Class::ResourceUnavailable);
    }
}
