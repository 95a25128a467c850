//! Truth table of one host (specification 10, section 4.1): off, dead, dark, unreachable, or seen from elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::confidence::GUESS;
use super::draft::{Board, Draft, target};
use super::elements::trouble;
use super::flapping::FLAPPING;
use super::shared::switch_state;
use super::signal::Signal;
use super::verdict::{Class, Severity, TargetKind, Visibility};
use super::world::{Condition, Host, Shared, World, is_overdue};
use crate::Span;
use crate::model::Value;

/// Judges every host that no shared cause explains yet; nodes before the machines they carry.
pub(super) fn judge_hosts<'a>(world: &'a World, board: &mut Board<'a>) {
    for carried in [false, true] {
        for index in world.notable() {
            let is_open = board.host_root[index].is_none() && !board.host_flaps[index];
            if world.hosts[index].on.is_some() == carried && is_open {
                judge(world, board, index);
            }
        }
    }
}

fn judge<'a>(world: &'a World, board: &mut Board<'a>, index: usize) {
    let host = &world.hosts[index];
    match host.condition {
        Condition::Dark => dark(world, board, index),
        Condition::Thin if nothing_else(world, host) => {
            let draft = Draft::new(target(TargetKind::Host, &host.name), Class::Unknown, "insufficient", 0.4)
                .weighing(Severity::Unknown, Visibility::Invisible)
                .with_runbook("rb-mon-check")
                .backed_by(failed(host))
                .not(Class::ServerDown, "one failed signal is not a dead server; a second one is missing");
            board.add(draft);
        }
        Condition::Thin => {}
        Condition::Alive => path(world, board, host),
    }
}

fn failed(host: &Host) -> Vec<&Signal> {
    host.life.ping_fail.iter().chain(&host.life.tcp_timeout).map(|signal| &**signal).collect()
}

/// Nothing fresh besides the failed signal and what cannot speak for the operating system.
fn nothing_else(world: &World, host: &Host) -> bool {
    let quiet = |signal: &Signal| match &*signal.sig {
        "ping" | "ssh" | "port" => true,
        "agent" => signal.value.text() == Some("stale"),
        "bmc" | "power" | "sel" | "instance_state" | "uptime_s" | FLAPPING => true,
        _ => false,
    };
    let own = host.facts.iter().chain(host.parts.iter()).all(quiet);
    own && world.comps[host.comps.clone()].iter().all(|comp| comp.facts.iter().all(quiet))
}

fn dark<'a>(world: &'a World, board: &mut Board<'a>, index: usize) {
    let host = &world.hosts[index];
    if let Some(node) = host.on.as_deref().and_then(|name| world.host(name))
        && let Some(root) = board.host_root[node]
    {
        board.host_root[index] = Some(root);
        let planned = board.drafts[root].class == Class::AdminStopped;
        let class = if planned { Class::AdminStopped } else { Class::ServerDown };
        board.drafts[root].hide(&host.name, None, class);
        for comp in host.comps.clone() {
            board.drafts[root].hide(&host.name, Some(&world.comps[comp].key), class);
            board.drafts[root].members.push(comp);
        }
        return;
    }
    let mut draft = verdict(world, host).backed_by(failed(host)).backed_by(witnesses(host));
    draft.members = host.comps.clone().collect();
    if draft.class == Class::ServerDown {
        for comp in host.comps.clone() {
            draft.hide(&host.name, Some(&world.comps[comp].key), Class::ServerDown);
        }
    }
    board.host_root[index] = Some(board.add(draft));
}

fn witnesses(host: &Host) -> Vec<&Signal> {
    let kinds = ["agent", "bmc", "power", "sel", "instance_state", "bond", "link"];
    kinds.iter().flat_map(|kind| host.facts.all(kind)).collect()
}

fn verdict<'a>(world: &'a World, host: &'a Host) -> Draft<'a> {
    let of_host = target(TargetKind::Host, &host.name);
    let no_life = "no sign of life from the host: its processes cannot be asked";
    let server =
        |subtype, base| Draft::new(of_host.clone(), Class::ServerDown, subtype, base).not(Class::SoftwareDown, no_life);
    let links = links_are_down(host);
    if host.known_off() {
        let (who, base) = if host.power() == Some("off") { ("its BMC", 0.98) } else { ("the cloud", 0.95) };
        return server("power_off", base).not(Class::Network, format!("{who} says that it is off"));
    }
    if host.known_on() && links {
        return Draft::new(of_host, Class::Network, "host_links", 0.9)
            .with_runbook("RB-H25")
            .not(Class::ServerDown, "its BMC says power on and all its links are down: it is cut off, not dead");
    }
    let unseen = unseen_links(world, host);
    if host.known_on() && !unseen.is_empty() {
        let why = format!("cut off by its links or its switch it would look the same; missing: {}", unseen.join(", "));
        return server("os_dead", GUESS)
            .not(Class::Network, why)
            .not(Class::PowerEvent, "its BMC says power on")
            .without(unseen);
    }
    if host.known_on() {
        return server("os_dead", 0.85)
            .not(Class::Network, "its links are not reported down")
            .not(Class::PowerEvent, "its BMC says power on");
    }
    if host.bmc_is("unreachable") {
        let base = if links && world.living > 0 { 0.75 } else { 0.6 };
        return server("bmc_dark", base).not(Class::Network, "its BMC is silent too, so the power may be gone");
    }
    let running = host.facts.saying("instance_state", "running").is_some();
    let base = match running {
        true if unseen.is_empty() => 0.8,
        true => GUESS,
        false => 0.7,
    };
    server("os_dead", base).not(Class::PowerEvent, "nobody reports its power").without(unseen)
}

/// What would tell a dead host from one that is only cut off, is looked at here, and does not speak.
fn unseen_links(world: &World, host: &Host) -> Vec<String> {
    let mut unseen = Vec::new();
    if let Some(node) = &host.on {
        let alive = world.host(node).is_none_or(|node| !world.hosts[node].life.signs.is_empty());
        return if alive { unseen } else { vec![format!("signs of life of {node}")] };
    }
    if host.facts.lost_sight_of("link") {
        unseen.push("link".to_owned());
    }
    let Some(switch) = host.switch else {
        // Some switch is down; whether this host hangs on it by now is not seen.
        let broken = |name: &Arc<str>| world.element(name).and_then(trouble).is_some();
        if host.facts.all("link").next().is_none() && world.topology.switches.keys().any(broken) {
            unseen.push("link".to_owned());
            unseen.dedup();
        }
        return unseen;
    };
    let Shared { name, hosts } = &world.switches[switch];
    let up = world.element(name).and_then(switch_state) == Some("up");
    // Whoever answers behind the same switch vouches for it.
    if !up && !hosts.iter().any(|other| !world.hosts[*other].life.signs.is_empty()) {
        unseen.push(format!("state of {name}"));
    }
    unseen
}

/// All slaves of a bond, or all switch ports of the host, are down.
fn links_are_down(host: &Host) -> bool {
    let bonds = host.facts.all("bond").filter_map(|signal| signal.value.get("up").and_then(Value::number));
    let bonds: Vec<f64> = bonds.collect();
    if !bonds.is_empty() && bonds.iter().all(|up| *up == 0.0) {
        return true;
    }
    let ports = host.facts.newest("link").and_then(|signal| signal.value.map());
    ports.is_some_and(|ports| !ports.is_empty() && ports.values().all(|state| state.text() == Some("down")))
}

/// Rule 3: some see the host and others do not.
fn path<'a>(world: &'a World, board: &mut Board<'a>, host: &'a Host) {
    let failing: BTreeSet<_> = host.life.ping_fail.iter().map(|signal| &signal.vantage).collect();
    let fine: BTreeSet<_> =
        host.facts.all("ping").filter(|s| s.value.text() == Some("ok")).map(|s| &s.vantage).collect();
    let of_host = target(TargetKind::Host, &host.name);
    if !failing.is_empty() && !fine.is_empty() {
        let single = failing.len() == 1;
        let severity = if single && failing.len() + fine.len() >= 3 { Severity::Info } else { Severity::Warning };
        let subtype = if single { "single_vantage" } else { "partial" };
        let why = format!("it answers {} of {} vantages", fine.len(), failing.len() + fine.len());
        let draft = Draft::new(of_host, Class::NetworkPath, subtype, 0.9)
            .weighing(severity, Visibility::Invisible)
            .with_runbook("rb-mon-path")
            .backed_by(failed(host))
            .backed_by(host.facts.all("ping").filter(|s| s.value.text() == Some("ok")))
            .not(Class::ServerDown, why);
        board.add(draft);
        return;
    }
    let answers = host.life.signs.iter().any(|s| matches!(&*s.sig, "ping" | "ssh" | "port"));
    if !answers && !failing.is_empty() && !host.life.tcp_timeout.is_empty() {
        // Whoever should have spoken again by now is a weak witness.
        let base =
            if host.life.signs.iter().all(|sign| is_overdue(sign, world.at, world.timing.soft)) { GUESS } else { 0.8 };
        let draft = Draft::new(of_host, Class::NetworkPath, "partial", base)
            .weighing(Severity::Warning, Visibility::Invisible)
            .with_runbook("rb-mon-path")
            .backed_by(failed(host))
            .backed_by(host.life.signs.iter().map(|signal| &**signal))
            .not(Class::ServerDown, "its agent still reports over another path");
        board.add(draft);
    }
}

/// Whether no vantage can reach the host over the network although it lives (its agent reports another way).
pub(super) fn is_cut_off(host: &Host) -> bool {
    let answers = host.life.signs.iter().any(|s| matches!(&*s.sig, "ping" | "ssh" | "port"));
    host.condition == Condition::Alive
        && !answers
        && !host.life.ping_fail.is_empty()
        && !host.life.tcp_timeout.is_empty()
}

/// The host came up a moment ago (rule 7: rebooting while its components start).
pub(super) fn booted_recently<'a>(world: &'a World, host: &'a Host) -> Option<&'a Signal> {
    let signal = host.facts.newest("uptime_s")?;
    let seconds = signal.value.number().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)?;
    let uptime = Span::from_millis((seconds * 1000.0) as i64) + world.at.since(signal.observed_at);
    (host.condition == Condition::Alive && uptime < world.timing.reboot).then_some(signal)
}
