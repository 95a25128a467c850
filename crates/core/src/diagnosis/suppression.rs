//! Who explains whom: the dependency graph of specification 10, section 7, and the verdicts that remain.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{Board, Draft, Explained, Fate, Finding, known_since, target};
use super::host::{booted_recently, is_cut_off};
use super::signal::Signal;
use super::topology::Topology;
use super::verdict::{Class, Target, TargetKind};
use super::world::World;
use crate::Span;

/// What the failure of an upstream group can explain.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Edge {
    /// Controller, database, name service.
    Control,
    /// The store behind a service.
    Store,
    /// The pack says no more than that it cannot work without.
    Needs,
    /// The host in the data path: only lost paths follow from it, and only from a lost host or resource.
    DataPath,
}

impl Edge {
    fn explains(self, explained: Explained) -> bool {
        match (self, explained) {
            (_, Explained::Never) => false,
            (Edge::Needs, Explained::Control | Explained::Storage | Explained::Any) => true,
            (Edge::Control, Explained::Control | Explained::Any) => true,
            (Edge::Store, Explained::Storage | Explained::Any) => true,
            (Edge::DataPath, Explained::Storage) => true,
            (Edge::Control, Explained::Storage)
            | (Edge::Store, Explained::Control)
            | (Edge::DataPath, Explained::Control | Explained::Any) => false,
        }
    }
}

/// Upstream groups of a component: all of a group must be out of service to explain anything.
fn upstream(world: &World, comp: usize) -> Vec<(Edge, &[usize])> {
    let zone = world.comps[comp].partition.as_deref();
    let groups = upstream_kinds(&world.topology, &world.comps[comp].kind).into_iter();
    let zonal = |kind: &str| world.topology.is_zonal(kind);
    let groups = groups.map(|(edge, kind)| (edge, world.group(kind, zone.filter(|_| zonal(kind)))));
    groups.chain(beside(world, comp)).collect()
}

/// What it needs on its own host, each a group of one.
fn beside(world: &World, comp: usize) -> impl Iterator<Item = (Edge, &[usize])> {
    let host = world.comps[comp].host;
    let needs = world.topology.knowledge.beside.get(&*world.comps[comp].kind).into_iter().flatten();
    needs.filter_map(move |kind| {
        let zone = world.comps[comp].partition.as_deref();
        let group = world.group(kind, zone.filter(|_| world.topology.is_zonal(kind)));
        let place = group.iter().position(|above| world.comps[*above].host == host)?;
        Some((Edge::Needs, group.get(place..=place)?))
    })
}

/// Hosts whose failure, or that of a component on them, could explain what `component` looks like. More than need be
/// (those of other zones too), never fewer.
pub fn upstream_hosts<'t>(topology: &'t Topology, component: &str) -> BTreeMap<&'t str, BTreeSet<&'t str>> {
    let above: BTreeSet<&str> = kinds_above(topology, component).into_iter().collect();
    let hosts = topology.hosts.iter().filter_map(|(host, keys)| {
        let keys: BTreeSet<&str> = keys.iter().map(|key| &**key).filter(|key| above.contains(key)).collect();
        (!keys.is_empty()).then_some((&**host, keys))
    });
    hosts.collect()
}

/// Types that could explain trouble of this one, anywhere or on its own host.
pub(crate) fn kinds_above<'t>(topology: &'t Topology, kind: &str) -> Vec<&'t str> {
    let beside = topology.knowledge.beside.get(kind).into_iter().flatten().map(|above| &**above);
    upstream_kinds(topology, kind).into_iter().map(|(_, above)| above).chain(beside).collect()
}

/// What is built in tells controllers from stores; where it knows nothing, or its pack knows more, the pack is followed.
/// Those of its own host are among [`beside`].
fn upstream_kinds<'t>(topology: &'t Topology, kind: &str) -> Vec<(Edge, &'t str)> {
    let needs = topology.knowledge.upstream.get(kind).filter(|needs| !needs.is_empty());
    let built_in = built_in_upstream(topology, kind);
    match needs {
        Some(needs) if built_in.is_empty() || topology.platform == "openstack" => {
            needs.iter().map(|above| (Edge::Needs, &**above)).collect()
        }
        Some(_) | None => built_in,
    }
}

fn built_in_upstream(topology: &Topology, kind: &str) -> Vec<(Edge, &'static str)> {
    match (topology.platform.as_str(), kind) {
        ("eucalyptus", "ufs") => vec![(Edge::Control, "clc"), (Edge::Store, "walrus")],
        ("eucalyptus", "walrus" | "sc" | "vb" | "cc") => vec![(Edge::Control, "clc")],
        ("eucalyptus", "console" | "elb" | "iw") => vec![(Edge::Control, "clc"), (Edge::Control, "ufs")],
        ("eucalyptus", "nc") => {
            let mut edges = vec![(Edge::Control, "cc")];
            if matches!(topology.ebs.as_deref(), Some("overlay" | "das")) {
                edges.push((Edge::DataPath, "sc"));
            }
            edges
        }
        ("cloudstack", "ms") => vec![(Edge::Control, "mysql")],
        ("cloudstack", "kvm_agent") => {
            vec![(Edge::Control, "ms"), (Edge::Control, "lb"), (Edge::Store, "primary")]
        }
        ("cloudstack", "ssvm") => {
            vec![(Edge::Control, "ms"), (Edge::Control, "lb"), (Edge::Store, "primary"), (Edge::Store, "secondary")]
        }
        ("cloudstack", "cpvm" | "usage" | "vr") => {
            vec![(Edge::Control, "ms"), (Edge::Control, "lb"), (Edge::Store, "primary")]
        }
        // OVN's databases keep themselves.
        ("openstack", kind) if !matches!(kind, "rabbitmq" | "galera" | "ovn") => {
            vec![(Edge::Control, "rabbitmq"), (Edge::Control, "galera")]
        }
        _ => Vec::new(),
    }
}

/// Longer chains are cut: only a cycle is longer, which the reading of packs refuses.
const DEPTH_MAX: usize = 32;

/// How far a type is below what hangs on nothing. Components are decided in this order, so that every upstream comes
/// before what hangs on it.
pub(super) fn depth(topology: &Topology, kind: &str) -> usize {
    fn below(topology: &Topology, kind: &str, room: usize, known: &mut BTreeMap<String, usize>) -> usize {
        if let Some(depth) = known.get(kind) {
            return *depth;
        }
        if room == 0 {
            return 0;
        }
        // Met again on the way down, it counts as a top.
        known.insert(kind.to_owned(), 0);
        let above = kinds_above(topology, kind);
        let depth = above.into_iter().map(|kind| 1 + below(topology, kind, room - 1, known)).max().unwrap_or(0);
        known.insert(kind.to_owned(), depth);
        depth
    }
    below(topology, kind, DEPTH_MAX, &mut BTreeMap::new())
}

/// Decides every finding that no group has taken: explained by an upstream verdict, by a reboot, or a verdict itself.
pub(super) fn resolve<'a>(world: &'a World, board: &mut Board<'a>) {
    serving_but_harmful(world, board);
    passive_halves(world, board);
    let mut order: Vec<usize> = world.notable_comps().filter(|comp| board.findings[*comp].is_some()).collect();
    order.sort_by_key(|comp| (world.comps[*comp].depth, *comp));
    let mut rebooting: Vec<Option<usize>> = vec![None; world.hosts.len()];
    // First what nothing can explain: it is a cause for others of any rank.
    for explainable in [false, true] {
        for &comp in &order {
            let Some(finding) = board.findings[comp].as_ref() else { continue };
            let host = world.comps[comp].host;
            let undecided = board.fate[comp] == Fate::Fine && board.host_root[host].is_none();
            if !undecided || (finding.explained_by != Explained::Never) != explainable {
                continue;
            }
            if let Some(root) = explained_by(world, board, comp, finding) {
                hide_under(world, board, comp, root);
            } else if let Some(signal) = booted_recently(world, &world.hosts[host]).filter(|_| is_boot_like(finding)) {
                under_reboot(world, board, &mut rebooting[host], comp, signal);
            } else {
                raise(world, board, comp);
            }
        }
    }
}

/// What a component looks like while its host boots.
fn is_boot_like(finding: &Finding<'_>) -> bool {
    match finding.class {
        Class::SoftwareDown | Class::Starting => true,
        Class::ResourceUnavailable => finding.explained_by == Explained::Any,
        _ => false,
    }
}

fn under_reboot<'a>(
    world: &'a World,
    board: &mut Board<'a>,
    slot: &mut Option<usize>,
    comp: usize,
    uptime: &'a Signal,
) {
    let name = &world.hosts[world.comps[comp].host].name;
    let id = *slot.get_or_insert_with(|| {
        let draft = Draft::new(target(TargetKind::Host, name), Class::ServerDown, "rebooting", 0.8)
            .backed_by([uptime])
            .not(Class::SoftwareDown, "the host came up a moment ago; its components are starting");
        board.add(draft)
    });
    board.drafts[id].hide(name, Some(&world.comps[comp].key), Class::ServerDown);
    board.drafts[id].members.push(comp);
    board.drafts[id].support.extend(world.comps[comp].facts.iter());
    board.fate[comp] = Fate::Under(id, Class::ServerDown);
}

/// The verdict that explains this finding, if the failure above began early enough.
fn explained_by(world: &World, board: &Board<'_>, comp: usize, finding: &Finding<'_>) -> Option<usize> {
    if finding.class == Class::Network
        && let Some(path) = path_verdict(world, board, comp)
    {
        return Some(path);
    }
    if board.passive[comp] {
        let peers = world.peers(comp).iter().filter(|peer| **peer != comp);
        if let Some(root) = peers.filter_map(|peer| board.out_by(world, *peer)).next() {
            return Some(root);
        }
    }
    let began = known_since(world, &finding.support);
    for (edge, group) in upstream(world, comp) {
        if group.is_empty() || group.contains(&comp) || !edge.explains(finding.explained_by) {
            continue;
        }
        let roots: Vec<Option<usize>> = group.iter().map(|above| board.troubled_by(world, *above)).collect();
        let passive = |i: usize| board.passive[group[i]];
        // Where each serves its own, one that failed is enough: nobody knows who uses which.
        let each = world.topology.serves_each(&world.comps[group[0]].kind);
        if !each && !roots.iter().enumerate().all(|(i, root)| root.is_some() || passive(i)) {
            continue;
        }
        let Some(root) = roots.into_iter().flatten().next() else { continue };
        let draft = &board.drafts[root];
        if edge == Edge::DataPath && draft.class == Class::SoftwareDown {
            continue;
        }
        if is_early_enough(draft.known_since(world), began, world.timing.upstream_lag) {
            return Some(root);
        }
    }
    None
}

/// A port that times out on a host that only its agent can reach is the path of the host.
fn path_verdict(world: &World, board: &Board<'_>, comp: usize) -> Option<usize> {
    let host = &world.hosts[world.comps[comp].host];
    if !is_cut_off(host) {
        return None;
    }
    board
        .drafts
        .iter()
        .position(|draft| draft.class == Class::NetworkPath && draft.target.host.as_ref() == Some(&host.name))
}

fn is_early_enough(above: Option<crate::Timestamp>, below: Option<crate::Timestamp>, lag: Span) -> bool {
    match (above, below) {
        (Some(above), Some(below)) => above <= below + lag,
        (None, _) | (_, None) => true,
    }
}

fn hide_under(world: &World, board: &mut Board<'_>, comp: usize, root: usize) {
    let finding = board.findings[comp].as_ref();
    let class = match finding.map(|finding| finding.class) {
        Some(Class::Flapping) if !finding.is_some_and(|finding| finding.is_down) => Class::Flapping,
        Some(Class::ResourceAtRisk) => Class::ResourceAtRisk,
        Some(Class::Unknown) => Class::Unknown,
        Some(Class::Network) => Class::NetworkPath,
        _ => Class::ResourceUnavailable,
    };
    board.drafts[root].hide(&world.hosts[world.comps[comp].host].name, Some(&world.comps[comp].key), class);
    board.fate[comp] = Fate::Under(root, class);
}

/// Turns the finding of a component into a verdict of its own.
pub(super) fn raise<'a>(world: &'a World, board: &mut Board<'a>, comp: usize) -> usize {
    let of_comp = Target {
        kind: TargetKind::Component,
        host: Some(world.hosts[world.comps[comp].host].name.clone()),
        component: Some(world.comps[comp].key.clone()),
    };
    let id = board.drafts.len();
    board.fate[comp] = Fate::Root(id);
    let mut draft = Draft::new(of_comp, Class::Unknown, "insufficient", 0.4);
    if let Some(finding) = &mut board.findings[comp] {
        draft.class = finding.class;
        draft.subtype = finding.subtype;
        draft.base = finding.base;
        draft.row_planes = finding.row_planes;
        draft.contradicted = finding.contradicted;
        draft.critical = finding.critical;
        (draft.flaps, draft.is_down) = (finding.flaps, finding.is_down);
        draft.support = finding.support.clone();
        draft.rejected = std::mem::take(&mut finding.rejected);
        draft.missing = finding.missing.iter().map(|sig| (*sig).to_owned()).collect();
    }
    draft.members = vec![comp];
    let memory = out_of_memory(world, comp).filter(|_| draft.subtype == "crashed");
    board.add(draft);
    if let Some(line) = memory {
        starved(world, board, comp, line);
    }
    id
}

fn out_of_memory(world: &World, comp: usize) -> Option<&Signal> {
    let host = &world.hosts[world.comps[comp].host];
    let mut lines = world.comps[comp].facts.all("log").chain(host.facts.all("log"));
    lines.find(|signal| {
        signal.value.text().is_some_and(|text| text.contains("Out of memory") || text.contains("oom-kill"))
    })
}

/// The kernel killed the process for memory (section 4.3): the host itself is at risk too.
fn starved<'a>(world: &'a World, board: &mut Board<'a>, comp: usize, line: &'a Signal) {
    let name = &world.hosts[world.comps[comp].host].name;
    let of_host = target(TargetKind::Host, name);
    if board.drafts.iter().any(|draft| draft.target == of_host && draft.subtype == "capacity") {
        return;
    }
    let mut draft = Draft::new(of_host, Class::ResourceAtRisk, "capacity", 0.85)
        .with_runbook("rb-mon-check")
        .backed_by([line])
        .not(Class::ResourceUnavailable, "the host still runs");
    draft.critical = false;
    board.add(draft);
}

pub(super) fn state_says_enabled(world: &World, comp: usize) -> bool {
    world.comps[comp].facts.saying("service_state", "ENABLED").is_some()
}

/// Table 4.2: ENABLED in its own view while everything that hangs on it is not ready is a failure, not a risk.
fn serving_but_harmful(world: &World, board: &mut Board<'_>) {
    let mut harmful: Vec<usize> = Vec::new();
    for comp in world.notable_comps() {
        let waiting = board.findings[comp].as_ref().filter(|finding| finding.class == Class::ResourceUnavailable);
        let Some(waits_for) = waiting.map(|finding| finding.explained_by).filter(|what| *what != Explained::Never)
        else {
            continue;
        };
        let edges = upstream(world, comp);
        let down = |above: &usize| {
            let finding = board.findings[*above].as_ref();
            board.out_by(world, *above).is_some()
                || finding.is_some_and(|finding| finding.class != Class::ResourceAtRisk)
        };
        if edges.iter().any(|(_, group)| !group.is_empty() && group.iter().all(down)) {
            continue;
        }
        for (edge, group) in edges {
            let at_risk = |above: &usize| {
                board.findings[*above].as_ref().is_some_and(|f| f.class == Class::ResourceAtRisk && f.critical)
            };
            let may_explain = edge != Edge::DataPath && edge.explains(waits_for);
            if may_explain && !group.is_empty() && group.iter().all(at_risk) {
                harmful.extend(group);
            }
        }
    }
    for comp in harmful {
        if let Some(finding) = board.findings[comp].as_mut().filter(|f| f.class == Class::ResourceAtRisk) {
            finding.class = Class::ResourceUnavailable;
            finding.base = 0.88;
            finding.rejected.push(super::draft::reject(Class::ResourceAtRisk, "what hangs on it is not ready"));
        }
    }
}

/// DISABLED is well beside an active peer, a start within the grace, and a lost view after it.
fn passive_halves<'a>(world: &'a World, board: &mut Board<'a>) {
    for comp in world.notable_comps() {
        if !board.passive[comp] || board.host_root[world.comps[comp].host].is_some() {
            continue;
        }
        let peers: Vec<usize> = world.peers(comp).iter().copied().filter(|peer| *peer != comp).collect();
        let well = |peer: &usize| {
            let fails = board.findings[*peer].as_ref().is_some_and(|f| f.puts_out());
            !fails && !board.passive[*peer] && board.is_in_service(world, *peer)
        };
        if peers.iter().any(well) {
            continue;
        }
        let state = world.comps[comp].facts.newest("service_state");
        let age = state.and_then(|signal| world.age_of_value(signal));
        let failed_since = peers.iter().filter_map(|peer| failed_at(world, board, *peer)).min();
        if let Some(since) = failed_since {
            // It may still take over; until then the failure of its peer is the only verdict.
            if since.is_none_or(|since| world.at.since(since) < world.timing.takeover) {
                continue;
            }
        }
        let view = super::component_view::View::read(world, comp);
        let young = age.is_some_and(|age| age < world.grace(comp));
        let finding = if young { view.starting() } else { view.unavailable("membership", 0.6, Explained::Control) };
        board.findings[comp] = Some(Box::new(finding));
    }
}

/// Whether the active peer failed, and since when if that is known.
fn failed_at(world: &World, board: &Board<'_>, peer: usize) -> Option<Option<crate::Timestamp>> {
    if let Some(root) = board.out_by(world, peer) {
        return Some(board.drafts[root].known_since(world));
    }
    let finding = board.findings[peer].as_ref().filter(|finding| finding.puts_out())?;
    Some(known_since(world, &finding.support))
}
