//! One JVM carries all Java components of a host: they die together (rules 8 and 8b's shared backend).

use super::draft::{Board, Draft, Explained, Fate, Finding, target};
use super::suppression::{raise, state_says_enabled};
use super::verdict::{Class, Severity, TargetKind, Visibility};
use super::world::World;

/// Rule 8.
pub(super) fn judge_jvms<'a>(world: &'a World, board: &mut Board<'a>) {
    for index in world.notable() {
        let host = &world.hosts[index];
        if board.host_root[index].is_some() {
            continue;
        }
        let is_java = |comp: &usize| world.topology.jvm.iter().any(|key| **key == *world.comps[*comp].kind);
        let members: Vec<usize> = host.comps.clone().filter(is_java).collect();
        // A member that nobody looks at shares the fate of its JVM, but is no evidence for it.
        let told: Vec<usize> = members.into_iter().filter(|comp| !world.comps[*comp].facts.is_empty()).collect();
        if told.len() >= 2 {
            judge(world, board, index, &told);
        }
    }
}

fn judge<'a>(world: &'a World, board: &mut Board<'a>, host: usize, told: &[usize]) {
    let all = |board: &Board<'a>, holds: fn(&Finding<'_>) -> bool| {
        told.iter().all(|comp| board.fate[*comp] == Fate::Fine && board.findings[*comp].as_deref().is_some_and(holds))
    };
    let name = &world.hosts[host].name;
    if all(board, |finding| finding.absent) {
        let blocked = |comp: &&usize| {
            board.findings[**comp].as_ref().is_some_and(|finding| finding.class == Class::ResourceUnavailable)
        };
        if let Some(&root) = told.iter().find(blocked) {
            let id = raise(world, board, root);
            for &comp in told.iter().filter(|comp| **comp != root) {
                board.drafts[id].hide(name, Some(&world.comps[comp].key), Class::SoftwareDown);
                board.fate[comp] = Fate::Under(id, Class::SoftwareDown);
            }
            return;
        }
        group(world, board, host, told, 0.95);
    } else if all(board, |f| f.flaps == Some(Class::SoftwareDown)) {
        flap(world, board, host, told);
    } else if all(board, |f| f.subtype == "hung" && f.explained_by == Explained::Never) {
        group(world, board, host, told, 0.75);
    }
}

fn group<'a>(world: &'a World, board: &mut Board<'a>, host: usize, told: &[usize], base: f64) {
    let name = &world.hosts[host].name;
    let mut draft = Draft::new(target(TargetKind::Jvm, name), Class::SoftwareDown, "jvm", base)
        .not(Class::ServerDown, "the host shows signs of life")
        .not(Class::ResourceUnavailable, "no member reports a resource that blocks its start");
    draft.row_planes = 2;
    draft.members = told.to_vec();
    for &comp in told {
        draft.support.extend(world.comps[comp].facts.iter());
        draft.hide(name, Some(&world.comps[comp].key), Class::SoftwareDown);
    }
    let id = board.add(draft);
    for &comp in told {
        board.fate[comp] = Fate::Under(id, Class::SoftwareDown);
    }
}

/// All that one JVM carries comes and goes together: it is the JVM that does.
fn flap<'a>(world: &'a World, board: &mut Board<'a>, host: usize, told: &[usize]) {
    let name = &world.hosts[host].name;
    let is_down = |comp: &usize| board.findings[*comp].as_ref().is_some_and(|finding| finding.is_down);
    let mut draft = Draft::new(target(TargetKind::Jvm, name), Class::Flapping, "jvm", 0.9)
        .not(Class::SoftwareDown, "all its members come and go together");
    (draft.flaps, draft.is_down) = (Some(Class::SoftwareDown), told.iter().all(is_down));
    draft.members = told.to_vec();
    let id = board.drafts.len();
    for &comp in told {
        let class = if is_down(&comp) { Class::SoftwareDown } else { Class::Flapping };
        draft.support.extend(world.comps[comp].facts.iter());
        draft.hide(name, Some(&world.comps[comp].key), class);
        board.fate[comp] = Fate::Under(id, class);
    }
    board.add(draft);
}

/// Rule 8b: one backend lost on several hosts is one failure.
pub(super) fn judge_backends<'a>(world: &'a World, board: &mut Board<'a>) {
    for (backend, kinds) in &world.topology.backends {
        let lost = |comp: &usize| {
            kinds.iter().any(|kind| **kind == *world.comps[*comp].kind)
                && board.fate[*comp] == Fate::Fine
                && board.findings[*comp].as_ref().is_some_and(|finding| {
                    finding.critical
                        && matches!(finding.subtype, "san_path" | "backend")
                        && matches!(finding.class, Class::ResourceUnavailable | Class::ResourceAtRisk)
                })
        };
        let members: Vec<usize> = world.notable_comps().filter(lost).collect();
        let first = members.first().map(|comp| world.comps[*comp].host);
        if !members.iter().any(|comp| Some(world.comps[*comp].host) != first) {
            continue;
        }
        let by_path =
            members.iter().any(|comp| board.findings[*comp].as_ref().is_some_and(|f| f.subtype == "san_path"));
        let mut draft = Draft::new(target(TargetKind::Backend, backend), Class::ResourceUnavailable, "backend", 0.92)
            .weighing(Severity::Critical, Visibility::Visible)
            .not(Class::SoftwareDown, "the processes that need it run")
            .not(Class::Network, "the hosts answer over their network");
        if by_path {
            draft = draft.with_runbook("RB-H36");
        }
        let id = board.drafts.len();
        for &comp in &members {
            let enabled = state_says_enabled(world, comp);
            let class = if enabled { Class::ResourceAtRisk } else { Class::ResourceUnavailable };
            draft.hide(&world.hosts[world.comps[comp].host].name, Some(&world.comps[comp].key), class);
            draft.support.extend(world.comps[comp].facts.all("resource"));
            board.fate[comp] = Fate::Under(id, class);
        }
        draft.members = members;
        board.add(draft);
    }
}
