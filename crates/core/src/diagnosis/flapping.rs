//! What comes and goes (specification 10, section 6): judged by its bad moments, and told as one verdict that stands for as
//! long as it flaps, instead of as one that begins and ends with each turn.

use std::sync::Arc;

use super::component;
use super::confidence::Plane;
use super::draft::{Board, Draft, Fate, Finding, puts_out, reject, target};
use super::facts::Facts;
use super::hardware::Fault;
use super::signal::Signal;
use super::verdict::{Class, Severity, TargetKind, Visibility};
use super::world::{Host, Shared, World};
use crate::model::Value;
use crate::{Span, Timestamp};

/// The signal that another one comes and goes: `{sig, value}`, the value as it is when it is bad.
pub const FLAPPING: &str = "flapping";

/// Who comes and goes is told with the confidence of who is gone, at most this.
const SURE: f64 = 0.9;
const HOST: f64 = 0.8;

/// Whether such a value of such a signal reports trouble.
pub fn tells_trouble(sig: &Arc<str>, value: &Value) -> bool {
    let (at, every) = (Timestamp::ZERO, Span::ZERO);
    let (sig, value) = (Arc::clone(sig), value.clone());
    let (host, component, vantage) = (None, None, None);
    Plane::tells_trouble(&Signal { host, component, sig, value, vantage, observed_at: at, changed_at: at, every })
}

/// What flaps, and how it is when it is bad.
fn parts(signal: &Signal) -> Option<(&str, &Value)> {
    Some((signal.value.get("sig")?.text()?, signal.value.get("value")?))
}

/// Facts as they are in the bad moments of what flaps; `None` where nothing does.
pub(super) fn bad_moment(facts: &Facts, at: Timestamp, floor: Span) -> Option<Box<Facts>> {
    let flaps = || facts.shared(FLAPPING).filter_map(|signal| Some((signal, parts(signal)?)));
    let bad = flaps().map(|(signal, (sig, value))| {
        Arc::new(Signal { sig: Arc::from(sig), value: value.clone(), ..Signal::clone(signal) })
    });
    let bad: Vec<Arc<Signal>> = bad.collect();
    if bad.is_empty() {
        return None;
    }
    let is_good_moment = |said: &Signal| {
        let of = |bad: &Arc<Signal>| bad.sig == said.sig && bad.vantage == said.vantage;
        bad.iter().any(of) && !Plane::tells_trouble(said)
    };
    let rest = facts.everything().filter(|said| *said.sig != *FLAPPING && !is_good_moment(said));
    Some(Box::new(Facts::settle(rest.chain(&bad), at, floor)))
}

/// Whether what flapped has been bad without a break for so long that this is what is to be told. Six results in a row are
/// longer than the turns of whatever reaches the threshold.
fn stands(world: &World, facts: &Facts) -> bool {
    let long = world.timing.soft * 2;
    let is_bad = |sig: &str| {
        let mut said = facts.all(sig).filter(|said| Plane::tells_trouble(said));
        said.any(|said| world.age_of_value(said).is_some_and(|age| age >= long))
    };
    facts.all(FLAPPING).filter_map(parts).all(|(sig, _)| is_bad(sig))
}

/// The finding of a component, or that it flaps.
pub(super) fn told<'a>(world: &'a World, comp: usize, present: Option<Finding<'a>>) -> Option<Finding<'a>> {
    let own = &world.comps[comp];
    let Some(worst) = &own.worst else { return present };
    if stands(world, &own.facts) {
        return present;
    }
    let Some(bad) = component::judge_by(world, comp, worst).filter(|bad| may_flap(bad.class)) else { return present };
    Some(Finding {
        class: Class::Flapping,
        flaps: Some(bad.class),
        is_down: present.is_some_and(|finding| puts_out(finding.class)),
        base: bad.base.min(SURE),
        row_planes: usize::MAX,
        support: own.facts.iter().collect(),
        rejected: vec![reject(bad.class, "it comes and goes: neither its good nor its bad state lasts")],
        contradicted: false,
        absent: false,
        missing: Vec::new(),
        ..bad
    })
}

/// A start, a stop on purpose and what is not understood have words of their own.
fn may_flap(class: Class) -> bool {
    match class {
        Class::SoftwareDown | Class::ResourceUnavailable | Class::ResourceAtRisk | Class::Network => true,
        Class::ServerDown
        | Class::PowerEvent
        | Class::NetworkPath
        | Class::MonitorIsolated
        | Class::SiteDown
        | Class::SplitBrain
        | Class::RedundancyLost
        | Class::AdminStopped
        | Class::Starting
        | Class::Flapping
        | Class::Unknown => false,
    }
}

/// Rule 7 for a host that comes and goes: a ping and a TCP connection that fail in its bad moments, or two pings.
fn witnesses<'a>(world: &'a World, host: &'a Host) -> Vec<&'a Signal> {
    let of_comps = world.comps[host.comps.clone()].iter().flat_map(|comp| comp.facts.all(FLAPPING));
    let all: Vec<(&Signal, &str)> = host
        .facts
        .all(FLAPPING)
        .chain(of_comps)
        .chain(host.parts.all(FLAPPING))
        .filter_map(|signal| {
            let (sig, value) = parts(signal)?;
            matches!((sig, value.text()?), ("ping", "fail") | ("ssh" | "port", "timeout")).then_some((signal, sig))
        })
        .collect();
    let pings = all.iter().filter(|(_, sig)| *sig == "ping").count();
    if pings >= 2 || (pings >= 1 && all.len() > pings) {
        all.into_iter().map(|(signal, _)| signal).collect()
    } else {
        Vec::new()
    }
}

/// Whether it answers over the network all the while, in another way: then the path to it is what comes and goes.
fn answers_steadily(world: &World, host: &Host) -> bool {
    let flaps = |facts: &Facts, sig: &str| facts.all(FLAPPING).filter_map(parts).any(|(flapping, _)| flapping == sig);
    let own = |facts: &Facts| {
        let open = |sig: &'static str| {
            let steady = !flaps(facts, sig);
            facts.all(sig).any(move |said| steady && matches!(said.value.text(), Some("ok" | "open" | "refused")))
        };
        ["ping", "ssh", "port"].into_iter().any(open)
    };
    own(&host.facts) || own(&host.parts) || world.comps[host.comps.clone()].iter().any(|comp| own(&comp.facts))
}

fn is_flapping(world: &World, board: &Board<'_>, index: usize) -> bool {
    let host = &world.hosts[index];
    let is_explained = board.host_root[index].is_some() || board.host_flaps[index];
    let is_gone = host.is_dark() && stands(world, &host.facts);
    !is_explained && !is_gone && !witnesses(world, host).is_empty()
}

/// Hosts that come and go, and the switches behind which all do. Comes before what is dark at this moment is told.
pub(super) fn judge_hosts<'a>(world: &'a World, board: &mut Board<'a>) {
    let flapping: Vec<usize> = world.notable().filter(|index| is_flapping(world, board, *index)).collect();
    if flapping.is_empty() {
        return;
    }
    for Shared { name, hosts } in &world.switches {
        if hosts.len() >= 2 && hosts.iter().all(|index| flapping.contains(index)) {
            let draft = Draft::new(target(TargetKind::Switch, name), Class::Flapping, "switch", HOST)
                .weighing(Severity::Critical, Visibility::Visible)
                .not(Class::ServerDown, format!("all {} hosts behind it come and go together", hosts.len()));
            take(world, board, Draft { flaps: Some(Class::Network), ..draft }, hosts);
        }
    }
    for index in flapping {
        if is_flapping(world, board, index) {
            let host = &world.hosts[index];
            let (class, subtype) = match (answers_steadily(world, host), host.known_on()) {
                (true, _) => (Class::NetworkPath, "partial"),
                (false, true) => (Class::ServerDown, "os_dead"),
                (false, false) => (Class::ServerDown, "bmc_dark"),
            };
            let draft = Draft::new(target(TargetKind::Host, &host.name), Class::Flapping, subtype, HOST)
                .not(class, "it comes and goes: neither its good nor its bad state lasts");
            take(world, board, Draft { flaps: Some(class), ..draft }, &[index]);
        }
    }
}

fn take<'a>(world: &'a World, board: &mut Board<'a>, mut draft: Draft<'a>, hosts: &[usize]) {
    let id = board.drafts.len();
    draft.is_down = hosts.iter().all(|index| world.hosts[*index].is_dark());
    for &index in hosts {
        let host = &world.hosts[index];
        draft.support.extend(witnesses(world, host));
        draft.members.extend(host.comps.clone());
        if draft.target.host.as_ref() != Some(&host.name) {
            draft.hide(&host.name, None, Class::Flapping);
        }
        board.host_flaps[index] = true;
        if host.is_dark() {
            board.host_root[index] = Some(id);
        }
        for comp in host.comps.clone() {
            draft.hide(&host.name, Some(&world.comps[comp].key), Class::Flapping);
            if world.comps[comp].worst.is_some() && board.fate[comp] == Fate::Fine {
                board.fate[comp] = Fate::Under(id, Class::Flapping);
            }
        }
    }
    board.add(draft);
}

/// Losses of redundancy of a host, those that come and go as such.
pub(super) fn mark<'a>(world: &'a World, index: usize, faults: &mut [Fault<'a>]) {
    let host = &world.hosts[index];
    if host.worst.is_none() {
        return;
    }
    for fault in faults {
        let flaps =
            host.facts.all(FLAPPING).find(|signal| parts(signal).is_some_and(|(sig, _)| sig == &*fault.signal.sig));
        let Some(signal) = flaps.filter(|_| fault.class == Class::RedundancyLost) else { continue };
        // Its word of the moment is no evidence: that it does not last is.
        (fault.flaps, fault.signal) = (true, signal);
    }
}
