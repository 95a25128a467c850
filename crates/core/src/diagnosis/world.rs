//! The fresh facts of one diagnosis, indexed by host and component; the stages only read it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::confidence::Plane;
use super::signal::Signal;
use super::timing::Timing;
use super::topology::Topology;
use crate::model::Value;
use crate::{Span, Timestamp};

/// Component types that exist once per zone; all others exist once per cloud.
const ZONAL: [&str; 4] = ["cc", "sc", "vb", "nc"];

pub(super) fn is_zonal(kind: &str) -> bool {
    ZONAL.contains(&kind)
}

/// What is known about one host, component or element: at most one fresh fact per source and kind.
#[derive(Default)]
pub(super) struct Facts<'a> {
    fresh: Vec<&'a Signal>,
    /// Kinds of signals that were seen once and are too old now.
    pub stale: Vec<&'a str>,
}

impl<'a> Facts<'a> {
    fn push(&mut self, signal: &'a Signal, fresh: bool) {
        if fresh {
            self.fresh.push(signal);
        } else {
            self.stale.push(&signal.sig);
        }
    }

    /// Keeps one fact per (kind, vantage, thing); equal candidates are decided by value, so that order never matters.
    fn settle(&mut self, at: Timestamp) {
        self.fresh.sort_by(|a, b| {
            (&a.sig, &a.vantage)
                .cmp(&(&b.sig, &b.vantage))
                .then_with(|| thing(a).cmp(&thing(b)))
                .then_with(|| prefer(a, b, at))
                .then_with(|| b.observed_at.cmp(&a.observed_at))
                .then_with(|| b.value.to_string().cmp(&a.value.to_string()))
                .then_with(|| b.changed_at.cmp(&a.changed_at))
                .then_with(|| b.every.cmp(&a.every))
        });
        self.fresh.dedup_by(|b, a| a.sig == b.sig && a.vantage == b.vantage && thing(a) == thing(b));
        self.stale.sort_unstable();
        self.stale.dedup();
    }

    pub fn is_empty(&self) -> bool {
        self.fresh.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a Signal> + '_ {
        self.fresh.iter().copied()
    }

    pub fn all<'s>(&'s self, sig: &'s str) -> impl Iterator<Item = &'a Signal> + 's {
        self.fresh.iter().copied().filter(move |signal| &*signal.sig == sig)
    }

    /// The newest fact of a kind; this site's own view where two are equally new.
    pub fn newest(&self, sig: &str) -> Option<&'a Signal> {
        let mut best: Option<&'a Signal> = None;
        for signal in self.all(sig) {
            if best.is_none_or(|held| signal.observed_at > held.observed_at) {
                best = Some(signal);
            }
        }
        best
    }

    /// A fact of this kind with exactly this text.
    pub fn saying(&self, sig: &str, text: &str) -> Option<&'a Signal> {
        self.all(sig).find(|signal| signal.value.text().is_some_and(|value| value.eq_ignore_ascii_case(text)))
    }
}

/// Several checks may speak about one thing (two processes of one component). While all of them run, the choice must
/// not swing with whoever spoke last: a living network stack wins over silence, everywhere else trouble wins.
fn prefer(a: &Signal, b: &Signal, at: Timestamp) -> Ordering {
    let current = |signal: &Signal| signal.every > Span::ZERO && at.since(signal.observed_at) <= signal.every * 3;
    match (current(a), current(b)) {
        (true, true) => {
            let order = Plane::tells_trouble(b).cmp(&Plane::tells_trouble(a));
            if matches!(&*a.sig, "ping" | "ssh" | "port" | "agent") { order.reverse() } else { order }
        }
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => Ordering::Equal,
    }
}

/// What tells two facts of one kind apart: the disk, the power supply, the bond, the text of the log line.
fn thing(signal: &Signal) -> String {
    let member = |key: &str| signal.value.get(key).map(Value::to_string).unwrap_or_default();
    match &*signal.sig {
        "raid" => member("vd"),
        "psu" | "fan" | "temp" | "mem" | "smart" => {
            let id = member("id");
            if id.is_empty() { member("name") } else { id }
        }
        "bond" => member("name"),
        "path" => member("map"),
        "drbd" | "split_brain" => member("res"),
        "stack" => member("member"),
        "reports" => member("about"),
        // Two checks of one kind (two file systems) count side by side; a `name` ties the values of one check together.
        "resource" => {
            let name = member("name");
            let which = if name.is_empty() { member("detail") } else { name };
            format!("{}/{which}", member("kind"))
        }
        "log" | "sel" | "fault" => signal.value.to_string(),
        _ => String::new(),
    }
}

/// What the network says about a host.
#[derive(Default)]
pub(super) struct Life<'a> {
    /// Signs of life (specification 10, section 2); one is enough.
    pub signs: Vec<&'a Signal>,
    /// Failed pings, one per vantage.
    pub ping_fail: Vec<&'a Signal>,
    /// TCP connections that timed out.
    pub tcp_timeout: Vec<&'a Signal>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// At least one sign of life, or nothing that speaks against it.
    Alive,
    /// No sign of life and enough failed signals for a verdict on the host.
    Dark,
    /// No sign of life and too little to go on.
    Thin,
}

pub(super) struct Host<'a> {
    pub name: &'a Arc<str>,
    pub facts: Facts<'a>,
    /// Facts about parts that refine a component (`postgres`, `ufs_compute`).
    pub parts: Facts<'a>,
    pub comps: Range<usize>,
    /// The node that carries this virtual machine.
    pub on: Option<&'a str>,
    pub life: Life<'a>,
    pub condition: Condition,
    pub maintenance: Option<&'a Signal>,
}

impl<'a> Host<'a> {
    pub fn power(&self) -> Option<&'a str> {
        self.facts.newest("power").and_then(|signal| signal.value.text())
    }

    pub fn bmc_is(&self, text: &str) -> bool {
        self.facts.newest("bmc").and_then(|signal| signal.value.text()) == Some(text)
    }

    /// The BMC, or the cloud for a virtual machine, says that it is off.
    pub fn known_off(&self) -> bool {
        self.power() == Some("off") || self.instance_gone().is_some()
    }

    pub fn known_on(&self) -> bool {
        self.power() == Some("on")
    }

    pub fn instance_gone(&self) -> Option<&'a Signal> {
        let state = self.facts.newest("instance_state")?;
        let word = state.value.text()?;
        ["terminated", "stopped", "shutting-down"].iter().any(|w| word.eq_ignore_ascii_case(w)).then_some(state)
    }

    pub fn is_dark(&self) -> bool {
        self.condition == Condition::Dark
    }
}

pub(super) struct Comp<'a> {
    pub host: usize,
    pub key: &'a Arc<str>,
    /// Type of the component: its key, for a numbered system VM (`vr1`) the key without the number.
    pub kind: &'a str,
    /// Zone, for types that exist once per zone.
    pub partition: Option<&'a str>,
    pub facts: Facts<'a>,
    pub maintenance: Option<&'a Signal>,
}

pub(super) struct World<'a> {
    pub topology: &'a Topology,
    pub at: Timestamp,
    pub timing: &'a Timing,
    /// In the order of their names.
    pub hosts: Vec<Host<'a>>,
    /// Grouped by host.
    pub comps: Vec<Comp<'a>>,
    /// Switches, UPSes, arbitrators and whatever else signals speak about.
    pub elements: BTreeMap<&'a str, Facts<'a>>,
    /// Facts without a host (the mesh).
    pub global: Facts<'a>,
    /// Type -> partition (empty for the whole cloud) -> components.
    groups: BTreeMap<&'a str, BTreeMap<&'a str, Vec<usize>>>,
    index: HashMap<&'a str, usize>,
}

impl<'a> World<'a> {
    pub fn new(topology: &'a Topology, signals: &'a [Signal], at: Timestamp, timing: &'a Timing) -> Self {
        let mut world = World {
            topology,
            at,
            timing,
            hosts: Vec::with_capacity(topology.hosts.len()),
            comps: Vec::new(),
            elements: BTreeMap::new(),
            global: Facts::default(),
            groups: BTreeMap::new(),
            index: HashMap::with_capacity(topology.hosts.len()),
        };
        world.lay_out();
        world.take_in(signals);
        for host in 0..world.hosts.len() {
            world.assess(host);
        }
        world
    }

    fn lay_out(&mut self) {
        let topology = self.topology;
        let mut zone_of: HashMap<&'a str, &'a str> = HashMap::new();
        for (zone, hosts) in &topology.zones {
            for host in hosts {
                zone_of.entry(&**host).or_insert(&**zone);
            }
        }
        let on = |name: &str| topology.vm_on.get(name).or_else(|| topology.sysvms.get(name)).map(|node| &**node);
        for (name, keys) in &topology.hosts {
            self.add_host(name, keys, zone_of.get(&**name).copied(), on(name));
        }
        for name in topology.sysvms.keys() {
            if !topology.hosts.contains_key(name) {
                self.add_host(name, std::slice::from_ref(name), zone_of.get(&**name).copied(), on(name));
            }
        }
        for (i, comp) in self.comps.iter().enumerate() {
            self.groups.entry(comp.kind).or_default().entry(comp.partition.unwrap_or_default()).or_default().push(i);
        }
    }

    fn add_host(&mut self, name: &'a Arc<str>, keys: &'a [Arc<str>], zone: Option<&'a str>, on: Option<&'a str>) {
        let host = self.hosts.len();
        let first = self.comps.len();
        let system_vm = !self.topology.hosts.contains_key(name);
        for (i, key) in keys.iter().enumerate() {
            if keys[..i].contains(key) {
                continue;
            }
            let kind: &'a str = if system_vm { key.trim_end_matches(|c: char| c.is_ascii_digit()) } else { key };
            let partition = if is_zonal(kind) { zone } else { None };
            self.comps.push(Comp { host, key, kind, partition, facts: Facts::default(), maintenance: None });
        }
        self.index.insert(&**name, host);
        self.hosts.push(Host {
            name,
            facts: Facts::default(),
            parts: Facts::default(),
            comps: first..self.comps.len(),
            on,
            life: Life::default(),
            condition: Condition::Alive,
            maintenance: None,
        });
    }

    fn take_in(&mut self, signals: &'a [Signal]) {
        for signal in signals {
            let fresh = signal.is_fresh(self.at, self.timing.fresh_floor);
            let Some(name) = &signal.host else {
                self.global.push(signal, fresh);
                continue;
            };
            let Some(&host) = self.index.get(&**name) else {
                self.elements.entry(&**name).or_default().push(signal, fresh);
                continue;
            };
            let Some(key) = &signal.component else {
                self.hosts[host].facts.push(signal, fresh);
                continue;
            };
            let range = self.hosts[host].comps.clone();
            match self.comps[range].iter_mut().find(|comp| comp.key == key) {
                Some(comp) => comp.facts.push(signal, fresh),
                None => self.hosts[host].parts.push(signal, fresh),
            }
        }
        let at = self.at;
        self.global.settle(at);
        self.elements.values_mut().for_each(|facts| facts.settle(at));
        for host in &mut self.hosts {
            host.facts.settle(at);
            host.parts.settle(at);
            host.maintenance = host.facts.newest("maintenance").filter(|signal| is_yes(&signal.value));
        }
        for comp in &mut self.comps {
            comp.facts.settle(at);
            comp.maintenance = comp.facts.newest("maintenance").filter(|signal| is_yes(&signal.value));
        }
    }

    /// Weighs signs of life against failed network signals.
    fn assess(&mut self, index: usize) {
        let host = &self.hosts[index];
        let mut life = Life::default();
        let of_comps = self.comps[host.comps.clone()].iter().flat_map(|comp| comp.facts.all("port"));
        for signal in host.facts.iter().chain(of_comps).chain(host.parts.all("port")) {
            match (&*signal.sig, signal.value.text()) {
                ("ping", Some("ok"))
                | ("ssh" | "port", Some("open" | "refused"))
                | ("agent", Some("ok"))
                | ("uptime_s", None)
                    if signal.value != Value::Null =>
                {
                    life.signs.push(signal);
                }
                ("ping", Some("fail")) => life.ping_fail.push(signal),
                ("ssh" | "port", Some("timeout")) => life.tcp_timeout.push(signal),
                _ => {}
            }
        }
        let (at, soft) = (self.at, self.timing.soft);
        let onset = life.ping_fail.iter().chain(&life.tcp_timeout).map(|signal| signal.changed_at).min();
        life.signs.retain(|sign| !is_overtaken(sign, onset, at, soft));
        let condition = condition(host, &life);
        let host = &mut self.hosts[index];
        host.condition = condition;
        host.life = life;
    }

    pub fn host(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// All components of a type in one partition (`None` for types that exist once per cloud).
    pub fn group(&self, kind: &str, partition: Option<&str>) -> &[usize] {
        let group = self.groups.get(kind).and_then(|partitions| partitions.get(partition.unwrap_or_default()));
        group.map_or(&[], Vec::as_slice)
    }

    /// The groups of one type, one for each zone or one for the cloud.
    pub fn groups_of(&self, kind: &str) -> impl Iterator<Item = &[usize]> {
        self.groups.get(kind).into_iter().flat_map(BTreeMap::values).map(Vec::as_slice)
    }

    /// Every group of equal components.
    pub fn groups(&self) -> impl Iterator<Item = &[usize]> {
        self.groups.values().flat_map(BTreeMap::values).map(Vec::as_slice)
    }

    /// All components of the type and partition of this one, itself included.
    pub fn peers(&self, comp: usize) -> &[usize] {
        let comp = &self.comps[comp];
        self.group(comp.kind, comp.partition)
    }

    pub fn element(&self, name: &str) -> Option<&Facts<'a>> {
        self.elements.get(name).or_else(|| self.host(name).map(|host| &self.hosts[host].facts))
    }

    /// Since when a value has stood; `None` where the source cannot know.
    pub fn age_of_value(&self, signal: &Signal) -> Option<Span> {
        (signal.changed_at < signal.observed_at || signal.every > Span::ZERO).then(|| self.at.since(signal.changed_at))
    }

    pub fn grace(&self, comp: usize) -> Span {
        let kind = self.comps[comp].kind;
        if self.topology.jvm.iter().any(|key| &**key == kind) {
            self.timing.jvm_grace
        } else {
            self.timing.component_grace
        }
    }
}

fn is_yes(value: &Value) -> bool {
    value.bool() == Some(true) || value.text().is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// A sign of life from before the failure began, whose own check has had its turn since, does not speak for the present.
fn is_overtaken(sign: &Signal, onset: Option<Timestamp>, at: Timestamp, soft: Span) -> bool {
    let patience = (sign.every + sign.every / 2).min(soft);
    onset.is_some_and(|onset| sign.observed_at < onset)
        && sign.every > Span::ZERO
        && at.since(sign.observed_at) > patience
}

/// Rule 7 of specification 10: two failed network signals, or one that an off power state confirms.
fn condition(host: &Host<'_>, life: &Life<'_>) -> Condition {
    if !life.signs.is_empty() {
        return Condition::Alive;
    }
    let (pings, tcps) = (life.ping_fail.len(), life.tcp_timeout.len());
    let two = pings >= 2 || (pings >= 1 && tcps >= 1);
    if two || host.instance_gone().is_some() || (host.known_off() && pings + tcps >= 1) {
        Condition::Dark
    } else if pings + tcps >= 1 {
        Condition::Thin
    } else {
        Condition::Alive
    }
}
