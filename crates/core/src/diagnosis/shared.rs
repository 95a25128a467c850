//! Causes that many hosts share: a planned stop, a site, a power feed, a switch, our own line (rules 1, 2b, 4, 5b, 6).

use std::sync::Arc;

use super::confidence::GUESS;
use super::draft::{Board, Draft, target};
use super::elements;
use super::facts::Facts;
use super::signal::Signal;
use super::verdict::{Class, Severity, Suppressed, Target, TargetKind, Visibility};
use super::world::{Shared, World};
use crate::model::Value;

/// Rule 1: what is in maintenance is out of service on purpose.
pub(super) fn judge_maintenance<'a>(world: &'a World, board: &mut Board<'a>) {
    for index in world.notable() {
        let host = &world.hosts[index];
        let Some(signal) = host.facts.newest("maintenance").filter(|_| host.in_maintenance) else { continue };
        let mut draft = admin(target(TargetKind::Host, &host.name), signal);
        for comp in host.comps.clone() {
            draft.hide(&host.name, Some(&world.comps[comp].key), Class::AdminStopped);
            draft.members.push(comp);
        }
        board.host_root[index] = Some(board.add(draft));
    }
    for index in world.notable_comps() {
        let comp = &world.comps[index];
        let maintained = comp.in_maintenance && board.host_root[comp.host].is_none();
        let Some(signal) = comp.facts.newest("maintenance").filter(|_| maintained) else { continue };
        let host = &world.hosts[comp.host].name;
        let of_comp =
            Target { kind: TargetKind::Component, host: Some(host.clone()), component: Some(comp.key.clone()) };
        let mut draft = admin(of_comp, signal);
        draft.members.push(index);
        let id = board.add(draft);
        board.fate[index] = super::draft::Fate::Root(id);
    }
}

fn admin<'a>(target: Target, signal: &'a Signal) -> Draft<'a> {
    Draft::new(target, Class::AdminStopped, "maintenance", 0.95)
        .weighing(Severity::Info, Visibility::Invisible)
        .with_runbook("none")
        .backed_by([signal])
        .not(Class::ServerDown, "it is in maintenance")
}

/// Rules 4, 5b, 6 and 2b, the more specific first.
pub(super) fn judge_shared<'a>(world: &'a World, board: &mut Board<'a>) {
    for zone in &world.zones {
        site_down(world, board, zone, Bmc::AllSilent);
    }
    for feed in &world.feeds {
        feed_lost(world, board, feed);
    }
    for switch in &world.switches {
        switch_down(world, board, switch);
    }
    for zone in &world.zones {
        site_down(world, board, zone, Bmc::Any);
    }
    data_path(world, board);
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Bmc {
    /// Nothing out of band answers either, so no shared element short of the site explains it.
    AllSilent,
    Any,
}

/// The hosts among these that are not explained yet, and not known to be off where `or_off` says so; `None` if one of
/// them is not silent.
fn silent_hosts(world: &World, board: &Board<'_>, hosts: &[usize], but_off: bool) -> Option<Vec<usize>> {
    let open = hosts.iter().copied().filter(|host| board.host_root[*host].is_none());
    let mut silent = Vec::new();
    // A host that is known to be off is its own cause; it says nothing about what others hang on.
    for host in open.filter(|host| !(but_off && world.hosts[*host].known_off())) {
        if !world.hosts[host].is_dark() {
            return None;
        }
        silent.push(host);
    }
    Some(silent)
}

fn take<'a>(world: &'a World, board: &mut Board<'a>, mut draft: Draft<'a>, hosts: &[usize], class: Class) -> usize {
    for &index in hosts {
        let host = &world.hosts[index];
        draft.hide(&host.name, None, class);
        draft.members.extend(host.comps.clone());
        draft.support.extend(host.life.ping_fail.iter().chain(&host.life.tcp_timeout).map(|signal| &**signal));
        draft.support.extend(host.facts.all("bmc").chain(host.facts.all("power")));
    }
    let id = board.add(draft);
    for &index in hosts {
        board.host_root[index] = Some(id);
    }
    id
}

fn site_down<'a>(world: &'a World, board: &mut Board<'a>, zone: &'a Shared, bmc: Bmc) {
    let Some(hosts) = silent_hosts(world, board, &zone.hosts, false) else { return };
    let Some(quorum) = quorum_of_vantages(world) else { return };
    let dead = |host: &usize| world.hosts[*host].life.ping_fail.len() >= quorum;
    if hosts.len() < 2 || !hosts.iter().all(dead) {
        return;
    }
    let out_of_band = hosts.iter().any(|host| world.hosts[*host].bmc_is("ok"));
    // Where the BMCs of living hosts are silent as well, their silence says nothing.
    let blind = || {
        let mut notable = world.notable().map(|host| &world.hosts[host]);
        notable.any(|host| !host.life.signs.is_empty() && host.bmc_is("unreachable"))
    };
    if bmc == Bmc::AllSilent && (out_of_band || mgmt_switch_state(world) == Some("up") || blind()) {
        return;
    }
    // Something out of band still answers, or two may have fallen together by chance.
    let base = match bmc {
        Bmc::AllSilent if hosts.len() > 2 => 0.9,
        Bmc::AllSilent => GUESS,
        Bmc::Any => 0.7,
    };
    let draft = Draft::new(target(TargetKind::Site, &zone.name), Class::SiteDown, "quorum", base)
        .weighing(Severity::Critical, Visibility::Visible)
        .with_runbook("rb-mon-site")
        .not(Class::ServerDown, format!("all {} hosts of the zone fell silent together", hosts.len()))
        .not(Class::MonitorIsolated, format!("{quorum} vantages agree"));
    take(world, board, draft, &hosts, Class::ServerDown);
}

/// The configured quorum, or the majority of at least three vantages that report.
fn quorum_of_vantages(world: &World) -> Option<usize> {
    if let Some(quorum) = world.topology.quorum {
        return Some(quorum.max(2) as usize);
    }
    (world.vantages() >= 3).then_some(world.vantages() / 2 + 1)
}

pub(super) fn switch_state<'a>(facts: &'a Facts) -> Option<&'a str> {
    facts.newest("switch").and_then(|signal| signal.value.get("state").and_then(Value::text))
}

pub(super) fn mgmt_switch_state<'a>(world: &'a World) -> Option<&'a str> {
    world.element(world.topology.mgmt_switch.as_deref()?).and_then(switch_state)
}

/// Rule 5b: hosts and their standby power are gone while the management switch lives and sees their ports down.
fn feed_lost<'a>(world: &'a World, board: &mut Board<'a>, feed: &'a Shared) {
    let Some(hosts) = silent_hosts(world, board, &feed.hosts, false) else { return };
    let dark = |host: &usize| {
        let host = &world.hosts[*host];
        host.bmc_is("unreachable") || host.known_off()
    };
    if hosts.len() < 2 || !hosts.iter().all(dark) || mgmt_switch_state(world) != Some("up") {
        return;
    }
    let mgmt = world.topology.mgmt_switch.as_deref().and_then(|name| world.element(name));
    let Some(seen) = mgmt.and_then(|facts| facts.newest("switch")) else { return };
    let down = seen.value.get("bmc_ports_down").and_then(Value::list).unwrap_or_default();
    let port_down = |host: &usize| down.iter().any(|port| port.text() == Some(&world.hosts[*host].name));
    if !hosts.iter().all(port_down) {
        return;
    }
    // Two may have fallen together by chance; and more than one feed does not fail alone.
    let elsewhere = |i: usize| {
        let host = &world.hosts[i];
        let powerless = host.is_dark() && host.on.is_none() && !host.known_on() && !host.known_off();
        powerless && board.host_root[i].is_none() && !hosts.contains(&i)
    };
    let beyond = world.notable().any(elsewhere);
    let base = if hosts.len() > 2 && !beyond { 0.8 } else { GUESS };
    let mut draft = Draft::new(target(TargetKind::Power, &feed.name), Class::PowerEvent, "feed_lost", base)
        .weighing(Severity::Critical, Visibility::Visible)
        .with_runbook("RB-H05")
        .backed_by([seen])
        .not(Class::Network, "their BMCs lost standby power as well, and the management switch sees it")
        .not(Class::ServerDown, format!("{} hosts of one feed went dark together", hosts.len()));
    let elements = world.topology.single_fed.get(&feed.name).into_iter().flatten();
    for name in elements.filter(|name| world.host(name).is_none()) {
        if world.element(name).and_then(switch_state).is_some_and(|state| state != "up") {
            draft.hide(name, None, Class::RedundancyLost);
        }
    }
    take(world, board, draft, &hosts, Class::ServerDown);
}

/// Rule 6: every host behind one switch is dark, something elsewhere lives, and the hosts have power.
fn switch_down<'a>(world: &'a World, board: &mut Board<'a>, switch: &'a Shared) {
    let Some(hosts) = silent_hosts(world, board, &switch.hosts, true) else { return };
    let switch = &switch.name;
    let facts = world.element(switch);
    let broken = facts.and_then(elements::trouble);
    // Of one silent host nobody can tell, unless the switch itself reports its end.
    if hosts.len() < 2 && (hosts.is_empty() || broken.is_none()) {
        return;
    }
    if !lives_elsewhere(world, switch) {
        return;
    }
    let state = if broken.is_some() { Some("down") } else { facts.and_then(switch_state) };
    let powered = hosts.iter().filter(|host| world.hosts[**host].known_on()).count();
    let half_on = powered * 2 >= hosts.len();
    let bmcs_silent = hosts.iter().all(|host| world.hosts[*host].bmc_is("unreachable"));
    let blind = world.topology.mgmt_switch.is_some() && mgmt_switch_state(world) != Some("up") && bmcs_silent;
    if !half_on && (state == Some("up") || blind) {
        return;
    }
    let reported_down = state.is_some_and(|state| state != "up");
    // A switch that calls itself up, or two hosts that may have fallen together by chance, leave more doubt.
    let base = match (reported_down, half_on) {
        (true, _) => 0.9,
        (false, true) if state.is_none() && hosts.len() > 2 => 0.85,
        (false, true) => GUESS,
        (false, false) => 0.7,
    };
    let draft = Draft::new(target(TargetKind::Switch, switch), Class::Network, "switch", base)
        .weighing(Severity::Critical, Visibility::Visible)
        .with_runbook("RB-H30")
        .backed_by(facts.and_then(|facts| facts.newest("switch")).into_iter().chain(broken))
        .not(Class::ServerDown, format!("{powered} of {} silent hosts have power by their BMC", hosts.len()))
        .not(Class::MonitorIsolated, "an address elsewhere answers");
    let id = take(world, board, draft, &hosts, Class::ServerDown);
    if let Some(own) = world.host(switch) {
        board.host_root[own] = Some(id);
    }
}

fn element_lives(facts: &Facts) -> bool {
    facts.saying("ping", "ok").is_some()
        || facts.saying("port", "open").is_some()
        || facts.saying("ssh", "open").is_some()
}

fn lives_elsewhere(world: &World, switch: &str) -> bool {
    world.living > 0
        || world.elements.iter().any(|(name, facts)| {
            **name != *switch
                && (element_lives(facts) || (is_data_switch(world, name) && switch_state(facts) == Some("up")))
        })
}

fn is_data_switch(world: &World, name: &str) -> bool {
    world.topology.mgmt_switch.as_deref() != Some(name)
}

/// Rule 2b: everything is dark, most of it has power, and no other address answers: we are cut off ourselves.
fn data_path<'a>(world: &'a World, board: &mut Board<'a>) {
    if world.living_in_use > 0 {
        return;
    }
    let with_data: Vec<usize> = (0..world.hosts.len())
        .filter(|i| {
            let host = &world.hosts[*i];
            !host.in_maintenance
                && !(host.life.signs.is_empty() && host.life.ping_fail.is_empty() && host.life.tcp_timeout.is_empty())
        })
        .collect();
    let open_and_dark = |i: &usize| world.hosts[*i].is_dark() && board.host_root[*i].is_none();
    if with_data.len() < 2 || !with_data.iter().all(open_and_dark) {
        return;
    }
    let powered = with_data.iter().filter(|i| world.hosts[**i].known_on()).count();
    let answers = world.elements.values().any(|facts| element_lives(facts) || switch_state(facts) == Some("up"));
    if powered * 2 < with_data.len() || answers {
        return;
    }
    let of_self = Target { kind: TargetKind::Site, host: Some(Arc::from("self")), component: None };
    let draft = Draft::new(of_self, Class::MonitorIsolated, "data_path", 0.6)
        .weighing(Severity::Critical, Visibility::Invisible)
        .with_runbook("rb-mon-isolated")
        .not(Class::ServerDown, format!("{powered} of {} silent hosts have power by their BMC", with_data.len()))
        .not(Class::Network, "no other address answers either: own line or the only switch");
    take(world, board, draft, &with_data, Class::Unknown);
}

/// Marks everything unknown after rule 2: this site hears no quorum.
pub(super) fn hide_everything(world: &World, board: &mut Board<'_>) {
    let Some(draft) = board.drafts.last_mut() else { return };
    for host in &world.hosts {
        draft.suppressed.push(Suppressed { host: Some(host.name.clone()), component: None, class: Class::Unknown });
    }
}
