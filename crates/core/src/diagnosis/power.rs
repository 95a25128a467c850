//! Mains, feeds and UPSes as shared causes of power supplies that lost their input (rule 5a).
//!
//! A host names the feed of each of its power supplies, in their order; a feed comes from the mains or from a UPS. Mains lost
//! on one feed while the battery carries the other is one event with one clock: the battery.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::{Board, Draft, target};
use super::elements::{Losses, hide_if, named};
use super::hardware::Fault;
use super::signal::Signal;
use super::verdict::{Class, Severity, TargetKind, Visibility};
use super::world::World;
use crate::model::Value;

/// RFC 1628: `upsOutputSource` 5 is battery, 4 is bypass; `upsBatteryStatus` 3 is low, 4 depleted.
const ON_BATTERY: f64 = 5.0;
const ON_BYPASS: f64 = 4.0;
const BATTERY_LOW: f64 = 3.0;
const BATTERY_DEPLETED: f64 = 4.0;
/// Never less than this many minutes of battery before it is critical.
const MINUTES_MIN: f64 = 5.0;
/// Hosts that lost the same feed before it is the feed.
const HOSTS_MIN: usize = 2;

/// A UPS whose battery carries the load.
struct OnBattery<'a> {
    name: &'a str,
    signal: &'a Signal,
    is_short: bool,
}

fn number(signal: &Signal, key: &str) -> Option<f64> {
    signal.value.get(key).and_then(Value::number)
}

/// Judges every UPS; the losses that the mains explain go into the one verdict about the battery, which is returned.
pub(super) fn judge<'a>(world: &'a World, board: &mut Board<'a>, faults: &mut Losses<'a>) -> Option<usize> {
    let mut batteries = Vec::new();
    for (name, facts) in named(world) {
        let Some(signal) = facts.newest("ups") else { continue };
        let (source, status) = (number(signal, "upsOutputSource"), number(signal, "upsBatteryStatus"));
        let is_weak = status.is_some_and(|status| status == BATTERY_LOW || status == BATTERY_DEPLETED);
        if source == Some(ON_BATTERY) {
            let needed = (2.0 * world.timing.shutdown.as_secs_f64() / 60.0).max(MINUTES_MIN);
            let left = number(signal, "minutes");
            let is_short = left.is_some_and(|minutes| minutes <= needed) || status == Some(BATTERY_DEPLETED);
            batteries.push(OnBattery { name, signal, is_short });
        } else if source == Some(ON_BYPASS) {
            let power = target(TargetKind::Power, &Arc::from(name));
            let draft = Draft::new(power, Class::RedundancyLost, "psu_input", 0.9)
                .weighing(Severity::Warning, Visibility::Invisible)
                .with_runbook("RB-H05")
                .backed_by([signal]);
            board.add(draft);
        } else if is_weak {
            let power = target(TargetKind::Power, &Arc::from(name));
            let mut draft = Draft::new(power, Class::ResourceAtRisk, "capacity", 0.9)
                .weighing(Severity::Warning, Visibility::Invisible)
                .with_runbook("RB-H06")
                .backed_by([signal]);
            draft.critical = false;
            board.add(draft);
        }
    }
    let first = on_battery(board, &batteries)?;
    for (&host, faults) in faults.iter_mut() {
        hide_if(world, board, first, host, faults, |fault| {
            fault.subtype == "psu_input" && is_of_the_mains(world, host, fault, &batteries)
        });
    }
    Some(first)
}

/// One verdict for all UPSes on battery: what they lost is the same mains. It keeps its name while their minutes change.
fn on_battery<'a>(board: &mut Board<'a>, batteries: &[OnBattery<'a>]) -> Option<usize> {
    let (first, others) = batteries.split_first()?;
    let severity = if batteries.iter().any(|ups| ups.is_short) { Severity::Critical } else { Severity::Major };
    // The shortest battery is the clock.
    let mut signals: Vec<&Signal> = batteries.iter().map(|ups| ups.signal).collect();
    let left = |signal: &Signal| number(signal, "minutes").unwrap_or(f64::INFINITY);
    signals.sort_by(|a, b| left(a).total_cmp(&left(b)));
    let mut draft =
        Draft::new(target(TargetKind::Power, &Arc::from(first.name)), Class::PowerEvent, "on_battery", 0.97)
            .weighing(severity, Visibility::Invisible)
            .with_runbook("RB-H05")
            .backed_by(signals)
            .not(Class::ServerDown, "the battery carries the load");
    for other in others {
        draft.hide(&Arc::from(other.name), None, Class::PowerEvent);
    }
    Some(board.add(draft))
}

/// The feed of a power supply: `PS2` or `PSU 2` is the second that the host names. `None` if that cannot be told.
fn feed_of<'w>(world: &'w World, host: usize, fault: &Fault<'_>) -> Option<&'w Arc<str>> {
    feed_at(world, host, fault.signal)
}

fn feed_at<'w>(world: &'w World, host: usize, supply: &Signal) -> Option<&'w Arc<str>> {
    let feeds = world.topology.fed_by.get(&world.hosts[host].name)?;
    let id = supply.value.get("id").and_then(Value::text)?;
    let digits = id.len() - id.bytes().rev().take_while(u8::is_ascii_digit).count();
    let position = id.get(digits..)?.parse::<usize>().ok()?;
    // A host with one feed has all of its supplies there.
    if let [only] = feeds.as_slice() {
        return Some(only);
    }
    feeds.get(position.checked_sub(1)?)
}

/// Whether the mains that the UPSes miss explain this loss. A supply behind one of these batteries has another trouble: its
/// cable, its strip, the output of the UPS.
fn is_of_the_mains(world: &World, host: usize, fault: &Fault<'_>, batteries: &[OnBattery<'_>]) -> bool {
    let source = |feed: &Arc<str>| world.topology.feeds.get(feed).map_or("mains", String::as_str);
    let on_battery = |source: &str| batteries.iter().any(|ups| ups.name == source);
    if let Some(feed) = feed_of(world, host, fault) {
        return source(feed) == "mains";
    }
    match world.topology.fed_by.get(&world.hosts[host].name) {
        // Nothing is said of the host's feeds: the mains are the likeliest.
        None => true,
        Some(feeds) => feeds.iter().any(|feed| source(feed) == "mains" && !on_battery(feed)),
    }
}

/// A supply of this host on that feed that has its input.
fn supply<'a>(world: &'a World, host: usize, feed: &Arc<str>) -> Option<&'a Signal> {
    let well = |signal: &&Signal| {
        let offsets = signal.value.get("offsets").and_then(Value::list).unwrap_or_default();
        let fails = |offset: &Value| offset.number().is_some_and(|offset| (1.0..=6.0).contains(&offset));
        !offsets.is_empty() && !offsets.iter().any(fails)
    };
    let mut supplies = world.hosts[host].facts.all("psu");
    supplies.find(|signal| well(signal) && feed_at(world, host, signal) == Some(feed))
}

/// Several hosts lost the input of their supplies on one feed, and no battery says that the mains are gone: the feed, its
/// strip or breaker, is the one cause (H02).
pub(super) fn common_feed<'a>(world: &'a World, board: &mut Board<'a>, faults: &mut Losses<'a>) {
    let mut lost: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
    for (&host, faults) in faults.iter() {
        for fault in faults.iter().filter(|fault| fault.subtype == "psu_input") {
            if let Some(feed) = feed_of(world, host, fault) {
                let hosts = lost.entry(Arc::clone(feed)).or_default();
                if !hosts.contains(&host) {
                    hosts.push(host);
                }
            }
        }
    }
    for (feed, hosts) in lost.into_iter().filter(|(_, hosts)| hosts.len() >= HOSTS_MIN) {
        let draft = Draft::new(target(TargetKind::Power, &feed), Class::RedundancyLost, "psu_input", 0.9)
            .weighing(Severity::Major, Visibility::Invisible)
            .with_runbook("RB-H02")
            .not(Class::ServerDown, "their other supplies carry the load");
        let mut draft = draft;
        // Whoever still gets power from it says that it is the cables, or one strip of several.
        let fed = |name: &str| world.host(name).filter(|host| !hosts.contains(host));
        let supplied =
            world.topology.fed_by.keys().filter_map(|name| fed(name)).find_map(|host| supply(world, host, &feed));
        if let Some(signal) = supplied {
            draft.contradicted = true;
            draft = draft.not(Class::PowerEvent, "others still get power from this feed").backed_by([signal]);
        }
        let id = board.add(draft);
        for host in hosts {
            let Some(faults) = faults.get_mut(&host) else { continue };
            hide_if(world, board, id, host, faults, |fault| {
                fault.subtype == "psu_input" && feed_of(world, host, fault) == Some(&feed)
            });
        }
    }
}
