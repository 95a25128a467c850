//! Power, switches and management network as shared causes of lost redundancy (rules 5a and 8c).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::draft::{Board, Draft, target};
use super::facts::Facts;
use super::flapping;
use super::hardware::{self, Fault};
use super::power;
use super::shared::switch_state;
use super::signal::Signal;
use super::verdict::{Class, Severity, TargetKind, Visibility};
use super::world::World;
use crate::model::Value;

/// What each host has lost, and no shared cause explains yet.
pub(super) type Losses<'a> = BTreeMap<usize, Vec<Fault<'a>>>;

/// CISCO-STACKWISE-MIB `cswSwitchState`.
const MEMBER_READY: f64 = 4.0;

/// Judges elements first, then each host's own losses that no element explains.
pub(super) fn judge_hardware<'a>(world: &'a World, board: &mut Board<'a>) {
    let notable = world.notable().map(|host| (host, hardware::faults(world, host)));
    let mut faults: Losses<'a> = notable.filter(|(_, faults)| !faults.is_empty()).collect();
    for (&host, faults) in &mut faults {
        if let Some(root) = board.host_root[host] {
            let planned = board.drafts[root].class == Class::AdminStopped;
            faults.retain(|fault| planned && hardware::pages_in_maintenance(fault));
        }
    }
    let battery = power::judge(world, board, &mut faults);
    power::common_feed(world, board, &mut faults);
    switches(world, board, &mut faults, battery);
    mgmt_switch(world, board, &mut faults);
    for (host, mut faults) in faults {
        flapping::mark(world, host, &mut faults);
        let faults = faults.into_iter().filter(|fault| !told_by_component(world, board, host, fault)).collect();
        hardware::raise(world, board, host, faults);
    }
}

/// A lost map or array that a component of the host already reports as its missing resource.
fn told_by_component(world: &World, board: &Board<'_>, host: usize, fault: &Fault<'_>) -> bool {
    fault.class == Class::ResourceUnavailable
        && world.hosts[host].comps.clone().any(|comp| {
            board.findings[comp].as_ref().is_some_and(|finding| finding.subtype == fault.subtype && finding.critical)
        })
}

pub(super) fn named(world: &World) -> impl Iterator<Item = (&str, &Facts)> {
    let hosts = world.notable().map(|host| (&*world.hosts[host].name, &world.hosts[host].facts));
    hosts.chain(world.elements.iter().map(|(name, facts)| (&**name, facts)))
}

pub(super) fn hide_if<'a>(
    world: &'a World,
    board: &mut Board<'a>,
    id: usize,
    host: usize,
    faults: &mut Vec<Fault<'a>>,
    explained: impl Fn(&Fault<'a>) -> bool,
) {
    faults.retain(|fault| {
        if explained(fault) {
            board.drafts[id].hide(&world.hosts[host].name, None, Class::RedundancyLost);
            board.drafts[id].support.push(fault.signal);
            return false;
        }
        true
    });
}

/// Rule 8c, and switches that fell with the mains.
fn switches<'a>(world: &'a World, board: &mut Board<'a>, faults: &mut Losses<'a>, battery: Option<usize>) {
    let mut names: BTreeSet<&str> = world.topology.switches.keys().map(|name| &**name).collect();
    names.extend(named(world).filter(|(_, facts)| facts.newest("stack").is_some()).map(|(name, _)| name));
    for name in names {
        if Some(name) == world.topology.mgmt_switch.as_deref() {
            continue;
        }
        let Some(facts) = world.element(name) else { continue };
        let Some(trouble) = trouble(facts) else { continue };
        let name: Arc<str> = Arc::from(name);
        // Its own verdict also explains the links of hosts that have another.
        let own =
            |draft: &Draft<'_>| draft.target.kind == TargetKind::Switch && draft.target.host.as_ref() == Some(&name);
        if let Some(id) = board.drafts.iter().position(|draft| own(draft) && draft.class == Class::Network) {
            hide_slaves(world, board, id, faults);
            continue;
        }
        if is_explained(board, &name) {
            continue;
        }
        let id = match battery.filter(|_| hangs_on_mains(world, &name)) {
            Some(battery) => {
                board.drafts[battery].hide(&name, None, Class::RedundancyLost);
                board.drafts[battery].support.push(trouble);
                battery
            }
            None => {
                let stacked = world.topology.switches.get(&name).is_none_or(|kind| kind == "stack");
                if !stacked && facts.newest("stack").is_none() {
                    silent_switch(board, &name, trouble);
                    continue;
                }
                let draft = Draft::new(target(TargetKind::Switch, &name), Class::RedundancyLost, "stack_member", 0.93)
                    .weighing(Severity::Major, Visibility::Invisible)
                    .with_runbook("RB-H30")
                    .backed_by([trouble])
                    .not(Class::Network, "the hosts cabled to it answer over the other member");
                board.add(draft)
            }
        };
        hide_slaves(world, board, id, faults);
    }
}

fn hide_slaves<'a>(world: &'a World, board: &mut Board<'a>, id: usize, faults: &mut Losses<'a>) {
    let slave = common_slave(faults);
    for (&host, faults) in faults.iter_mut() {
        hide_if(world, board, id, host, faults, |fault| {
            fault.subtype == "bond_slave" && down_slaves(fault.signal) == slave
        });
    }
}

pub(super) fn trouble<'a>(facts: &'a Facts) -> Option<&'a Signal> {
    let not_ready = |signal: &&'a Signal| {
        let state = signal.value.get("cswSwitchState").and_then(Value::number);
        // ENTITY-STATE-MIB: operational state 2 is disabled.
        let disabled = signal.value.get("entStateOper").and_then(Value::number) == Some(2.0);
        disabled || state.is_some_and(|state| state != MEMBER_READY)
    };
    let stack = facts.all("stack").find(not_ready);
    stack.or_else(|| facts.newest("switch").filter(|_| switch_state(facts).is_some_and(|state| state == "down")))
}

/// A shared verdict is about this switch or already names it as a consequence.
fn is_explained(board: &Board<'_>, name: &Arc<str>) -> bool {
    board.drafts.iter().any(|draft| {
        (draft.target.kind == TargetKind::Switch && draft.target.host.as_ref() == Some(name))
            || draft.suppressed.iter().any(|entry| entry.host.as_ref() == Some(name))
    })
}

fn hangs_on_mains(world: &World, name: &str) -> bool {
    let Some(feeds) = world.topology.fed_by.get(name) else { return false };
    !feeds.is_empty() && feeds.iter().all(|feed| world.topology.feeds.get(feed).is_some_and(|source| source == "mains"))
}

/// A single switch that does not answer while nothing behind it is dark: the check, or a switch without users.
fn silent_switch<'a>(board: &mut Board<'a>, name: &Arc<str>, signal: &'a Signal) {
    let draft = Draft::new(target(TargetKind::Switch, name), Class::Unknown, "check_conflict", 0.4)
        .weighing(Severity::Unknown, Visibility::Invisible)
        .with_runbook("rb-mon-check")
        .backed_by([signal])
        .not(Class::Network, "not every host behind it is silent");
    board.add(draft);
}

fn down_slaves(signal: &Signal) -> String {
    let down = signal.value.get("down").and_then(Value::list).unwrap_or_default();
    down.iter().map(Value::to_string).collect::<Vec<_>>().join(",")
}

/// The slave that most hosts lost: the cabling map in one word. Another host's other slave is its own cause.
fn common_slave(faults: &Losses<'_>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for fault in faults.values().flatten().filter(|fault| fault.subtype == "bond_slave") {
        *counts.entry(down_slaves(fault.signal)).or_default() += 1;
    }
    let most = counts.values().copied().max().unwrap_or_default();
    counts.into_iter().find(|(_, count)| *count == most).map(|(slave, _)| slave).unwrap_or_default()
}

/// All BMCs silent at once is the management network, not so many BMCs.
fn mgmt_switch<'a>(world: &'a World, board: &mut Board<'a>, faults: &mut Losses<'a>) {
    let Some(name) = &world.topology.mgmt_switch else { return };
    let silent = faults.values().flatten().filter(|fault| fault.subtype == "bmc_unreachable").count();
    let state = world.element(name).and_then(switch_state);
    if silent < 2 || state == Some("up") || world.hosts.iter().any(|host| host.bmc_is("ok")) {
        return;
    }
    let draft = Draft::new(target(TargetKind::Switch, name), Class::RedundancyLost, "bmc_unreachable", 0.8)
        .weighing(Severity::Warning, Visibility::Invisible)
        .with_runbook("RB-H13")
        .backed_by(world.element(name).and_then(|facts| facts.newest("switch")))
        .not(Class::ServerDown, "the hosts answer over the data network");
    let id = board.add(draft);
    for (&host, faults) in faults.iter_mut() {
        hide_if(world, board, id, host, faults, |fault| fault.subtype == "bmc_unreachable");
    }
}
