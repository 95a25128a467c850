//! Two that both believe to be the one: DRBD pairs and unique services (rule 9).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::confidence::GUESS;
use super::draft::{Board, Draft, Fate, reject, target};
use super::signal::Signal;
use super::suppression::state_says_enabled;
use super::verdict::{Class, Severity, Target, TargetKind, Visibility};
use super::world::World;
use crate::model::Value;

/// One side's view of a DRBD resource: `cs`, `ro` and `ds` as `/proc/drbd` prints them, local first.
struct Side<'a> {
    host: usize,
    signal: &'a Signal,
}

impl<'a> Side<'a> {
    fn text(&self, key: &str) -> &'a str {
        self.signal.value.get(key).and_then(Value::text).unwrap_or_default()
    }

    fn local(&self, key: &str) -> &'a str {
        self.text(key).split('/').next().unwrap_or_default()
    }

    fn peer(&self, key: &str) -> &'a str {
        self.text(key).split('/').nth(1).unwrap_or_default()
    }
}

pub(super) fn judge_drbd<'a>(world: &'a World, board: &mut Board<'a>) {
    let mut pairs: BTreeMap<String, Vec<Side<'a>>> = BTreeMap::new();
    for host in world.notable() {
        for signal in world.hosts[host].facts.all("drbd") {
            if let Some(res) = signal.value.get("res") {
                pairs.entry(res.to_string()).or_default().push(Side { host, signal });
            }
        }
    }
    let alone = |res: &str| !pairs.contains_key(res);
    let mut told: BTreeMap<String, Vec<&'a Signal>> = BTreeMap::new();
    for signal in
        world.notable().flat_map(|host| world.hosts[host].facts.all("split_brain")).filter(|signal| is_found(signal))
    {
        if let Some(res) = signal.value.get("res").map(Value::to_string).filter(|res| alone(res)) {
            told.entry(res).or_default().push(signal);
        }
    }
    for (res, hosts) in &world.topology.drbd {
        let line = |host: &Arc<str>| split_line(world, world.host(host)?);
        if alone(res)
            && !told.contains_key(&**res)
            && let Some(line) = hosts.iter().find_map(line)
        {
            told.insert(res.to_string(), vec![line]);
        }
    }
    for (res, support) in told {
        board.add(split(&Arc::from(res.as_str()), support));
    }
    for (res, sides) in pairs {
        judge_pair(world, board, &Arc::from(res.as_str()), &sides);
    }
}

/// A host's own word that this resource, and no other, has split.
fn is_found(signal: &Signal) -> bool {
    signal.value.get("found").and_then(Value::bool) == Some(true)
}

/// The kernel's own words; the one log line that is a verdict by itself. It names no resource, so it counts only for
/// hosts that do not tell for each resource whether it has split.
fn split_line<'a>(world: &'a World, host: usize) -> Option<&'a Signal> {
    let host = &world.hosts[host];
    if host.facts.all("split_brain").next().is_some() {
        return None;
    }
    let mut lines = host.facts.all("log").chain(host.parts.all("log"));
    lines.find(|signal| is_split_line(signal))
}

pub(super) fn is_split_line(signal: &Signal) -> bool {
    signal.value.text().is_some_and(|text| text.contains("Split-Brain detected"))
}

fn split<'a>(res: &Arc<str>, support: impl IntoIterator<Item = &'a Signal>) -> Draft<'a> {
    Draft::new(target(TargetKind::Drbd, res), Class::SplitBrain, "drbd", 0.97)
        .weighing(Severity::Critical, Visibility::Invisible)
        .with_runbook("RB-H38")
        .backed_by(support)
        .not(Class::RedundancyLost, "both sides take writes: the copies diverge")
}

fn judge_pair<'a>(world: &'a World, board: &mut Board<'a>, res: &Arc<str>, sides: &[Side<'a>]) {
    let primaries = sides.iter().filter(|side| side.local("ro") == "Primary").count();
    let standalone = sides.iter().any(|side| side.text("cs") == "StandAlone");
    let dual = sides.iter().any(|side| side.local("ro") == "Primary" && side.peer("ro") == "Primary");
    let found = |side: &Side<'a>| {
        let told = world.hosts[side.host].facts.all("split_brain").filter(|signal| is_found(signal));
        let mut told = told.filter(|signal| signal.value.get("res").is_some_and(|name| name.to_string() == **res));
        told.next().or_else(|| split_line(world, side.host))
    };
    let line = sides.iter().find_map(found);
    let support: Vec<&'a Signal> = sides.iter().map(|side| side.signal).collect();
    if dual || line.is_some() || (standalone && primaries >= 2) {
        board.add(split(res, support.into_iter().chain(line)));
        return;
    }
    if let Some((severity, why)) = sides.iter().filter_map(|side| disk_gone(world, side)).max_by_key(|(s, _)| *s) {
        reduced(board, res, "drbd_disk", severity, "RB-H39", support, why);
        return;
    }
    let waits = |side: &&Side<'a>| matches!(side.text("cs"), "WFConnection" | "Connecting" | "StandAlone");
    if let Some(side) = sides.iter().find(waits) {
        if let Some(root) = peer_root(world, board, res, side.host) {
            board.drafts[root].hide(res, None, Class::RedundancyLost);
            return;
        }
        let why = "one copy is left and it serves".to_owned();
        let draft = reduced(board, res, "drbd_connection", Severity::Major, "RB-H37", support, why);
        if sides.len() < 2 {
            let peer = peers(world, res, side.host).next().map_or("the peer", |peer| &*world.hosts[peer].name);
            doubt_split(draft, peer);
        }
        return;
    }
    // What one side says of the other counts too: the other may have nobody who tells.
    let behind = |side: &Side<'a>| {
        let bad = |disk: &str| matches!(disk, "Inconsistent" | "Outdated");
        bad(side.local("ds")) || bad(side.peer("ds")) || side.text("cs").starts_with("PausedSync")
    };
    if sides.iter().any(behind) {
        let why = "the other copy is complete".to_owned();
        reduced(board, res, "drbd_disk", Severity::Warning, "RB-H40", support, why);
    }
}

/// A disk that a side has lost, or that it says its peer has lost.
fn disk_gone(world: &World, side: &Side<'_>) -> Option<(Severity, String)> {
    let gone = |disk: &str| matches!(disk, "Diskless" | "Failed");
    let of = |role: &str| if role == "Primary" { Severity::Critical } else { Severity::Major };
    let on = &world.hosts[side.host].name;
    if gone(side.local("ds")) {
        return Some((of(side.local("ro")), format!("the disk of {on} is gone, its peer serves")));
    }
    gone(side.peer("ds")).then(|| (of(side.peer("ro")), format!("the disk of the peer of {on} is gone")))
}

fn reduced<'a, 'b>(
    board: &'b mut Board<'a>,
    res: &Arc<str>,
    subtype: &'static str,
    severity: Severity,
    runbook: &str,
    support: Vec<&'a Signal>,
    why: String,
) -> &'b mut Draft<'a> {
    let mut draft = Draft::new(target(TargetKind::Drbd, res), Class::RedundancyLost, subtype, 0.92)
        .weighing(severity, Visibility::Invisible)
        .with_runbook(runbook)
        .backed_by(support)
        .not(Class::ResourceUnavailable, why)
        .not(Class::SplitBrain, "only one side is primary");
    draft.redundancy = Some((1, 2));
    let id = board.add(draft);
    &mut board.drafts[id]
}

/// Only one side tells: the other may have become primary as well.
fn doubt_split(draft: &mut Draft<'_>, peer: &str) {
    (draft.base, draft.row_planes) = (GUESS, usize::MAX);
    draft.rejected.retain(|rejected| rejected.class != Class::SplitBrain);
    draft.rejected.push(reject(Class::SplitBrain, format!("{peer} does not tell its side; missing: drbd of {peer}")));
    draft.missing.push(format!("drbd of {peer}"));
}

/// The verdict that explains why the other side does not answer.
fn peer_root(world: &World, board: &Board<'_>, res: &str, host: usize) -> Option<usize> {
    peers(world, res, host).find_map(|peer| board.host_root[peer])
}

fn peers<'w>(world: &'w World, res: &str, host: usize) -> impl Iterator<Item = usize> + 'w {
    let pair = world.topology.drbd.get(res).into_iter().flatten();
    pair.filter_map(|name| world.host(name)).filter(move |peer| *peer != host)
}

/// Two ENABLED of a type that must be unique, and CLCs that refuse to start after a partition (faults 1010, 1011).
pub(super) fn judge_dual_active<'a>(world: &'a World, board: &mut Board<'a>) {
    locked_out(world, board);
    for kind in &world.topology.unique {
        for group in world.groups_of(kind) {
            let active = |comp: &&usize| {
                let index = **comp;
                let well = board.findings[index].as_ref().is_none_or(|f| f.class == Class::ResourceAtRisk);
                well && board.host_root[world.comps[index].host].is_none() && state_says_enabled(world, index)
            };
            let active: Vec<usize> = group.iter().filter(active).copied().collect();
            if active.len() >= 2 && !explained_by_drbd(world, board, &active) {
                let mut draft = dual(kind).backed_by(active.iter().flat_map(|c| world.comps[*c].facts.iter()));
                draft.members = active;
                board.add(draft);
            }
        }
    }
}

fn dual<'a>(kind: &Arc<str>) -> Draft<'a> {
    let target = Target { kind: TargetKind::ComponentGroup, host: None, component: Some(kind.clone()) };
    Draft::new(target, Class::SplitBrain, "dual_active", 0.9)
        .weighing(Severity::Critical, Visibility::Invisible)
        .with_runbook("rb-mon-dual-active")
        .not(Class::SoftwareDown, "both answer; a restart now would make it worse")
}

fn locked_out<'a>(world: &'a World, board: &mut Board<'a>) {
    let told = |comp: &usize| {
        let fault = |signal: &&Signal| matches!(signal.value.to_string().as_str(), "1010" | "1011");
        board.host_root[world.comps[*comp].host].is_none() && world.comps[*comp].facts.all("fault").any(|s| fault(&s))
    };
    let members: Vec<usize> = world.notable_comps().filter(told).collect();
    let Some(&first) = members.first() else { return };
    let mut draft = dual(&world.comps[first].key);
    let id = board.drafts.len();
    for &comp in &members {
        draft.support.extend(world.comps[comp].facts.iter());
        if board.findings[comp].is_some() && board.fate[comp] == Fate::Fine {
            let host = &world.hosts[world.comps[comp].host].name;
            draft.hide(host, Some(&world.comps[comp].key), Class::ResourceUnavailable);
            board.fate[comp] = Fate::Under(id, Class::ResourceUnavailable);
        }
    }
    draft.members = members;
    board.add(draft);
}

fn explained_by_drbd(world: &World, board: &Board<'_>, active: &[usize]) -> bool {
    board.drafts.iter().filter(|draft| draft.class == Class::SplitBrain).any(|draft| {
        let pair = draft.target.host.as_ref().and_then(|res| world.topology.drbd.get(res));
        pair.is_some_and(|pair| active.iter().all(|comp| pair.contains(&world.hosts[world.comps[*comp].host].name)))
    })
}
