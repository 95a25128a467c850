//! The world as the newest signals show it, host by host; the stages only read it.
//!
//! It is kept: a signal changes its own host, time changes the hosts whose facts come of age, and everything else stands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::component;
use super::facts::{Facts, Said};
use super::flapping;
use super::hardware;
use super::signal::Signal;
use super::suppression;
use super::timing::Timing;
use super::topology::Topology;
use super::twins::Guests;
use crate::model::Value;
use crate::{Span, Timestamp};

type Name = Arc<str>;

/// What the network says about a host.
#[derive(Default)]
pub(super) struct Life {
    /// Signs of life (specification 10, section 2); one is enough.
    pub signs: Vec<Arc<Signal>>,
    /// Failed pings, one per vantage.
    pub ping_fail: Vec<Arc<Signal>>,
    /// TCP connections that timed out.
    pub tcp_timeout: Vec<Arc<Signal>>,
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

pub(super) struct Host {
    pub name: Name,
    pub facts: Facts,
    /// The same in the bad moments of what flaps.
    pub worst: Option<Box<Facts>>,
    /// Facts about parts that refine a component (`postgres`, `ufs_compute`).
    pub parts: Facts,
    pub comps: Range<usize>,
    /// The node that carries this virtual machine.
    pub on: Option<Name>,
    /// The one switch that it depends on, in [`World::switches`].
    pub switch: Option<usize>,
    pub life: Life,
    pub condition: Condition,
    pub in_maintenance: bool,
}

impl Host {
    pub fn power(&self) -> Option<&str> {
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

    pub fn instance_gone(&self) -> Option<&Signal> {
        let state = self.facts.newest("instance_state")?;
        let word = state.value.text()?;
        ["terminated", "stopped", "shutting-down"].iter().any(|w| word.eq_ignore_ascii_case(w)).then_some(state)
    }

    pub fn is_dark(&self) -> bool {
        self.condition == Condition::Dark
    }
}

pub(super) struct Comp {
    pub host: usize,
    pub key: Name,
    /// Type of the component: its key, for a numbered system VM (`vr1`) the key without the number.
    pub kind: Name,
    /// Zone, for types that exist once per zone.
    pub partition: Option<Name>,
    /// Number of the group of its equals.
    pub group: usize,
    /// How far its type is below those that hang on nothing.
    pub depth: usize,
    pub facts: Facts,
    /// The same in the bad moments of what flaps.
    pub worst: Option<Box<Facts>>,
    pub in_maintenance: bool,
}

/// A host, an element or everything without a host: what is said there, and until when it means the same.
#[derive(Default)]
struct Spot {
    said: Vec<Said>,
    until: Option<Timestamp>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Place {
    Host(usize),
    Element(Name),
    Global,
}

/// Somebody, and the hosts that hang on it alone.
pub(super) struct Shared {
    pub name: Name,
    pub hosts: Vec<usize>,
}

pub(super) struct World {
    pub topology: Arc<Topology>,
    pub at: Timestamp,
    pub timing: Timing,
    /// In the order of their names.
    pub hosts: Vec<Host>,
    /// Grouped by host.
    pub comps: Vec<Comp>,
    /// Switches, UPSes, arbitrators and whatever else signals speak about.
    pub elements: BTreeMap<Name, Facts>,
    /// Facts without a host (the mesh).
    pub global: Facts,
    pub zones: Vec<Shared>,
    pub feeds: Vec<Shared>,
    pub switches: Vec<Shared>,
    /// Hosts that are not perfectly well, or where something is told that other hosts' verdicts hang on.
    notable: BTreeSet<usize>,
    /// Every host counts as notable: the slow way, which the quick one must agree with.
    all_notable: bool,
    /// Hosts that show signs of life, and those of them that are not in maintenance.
    pub living: usize,
    pub living_in_use: usize,
    /// Who pings, and how many hosts.
    vantages: BTreeMap<Option<Name>, usize>,
    /// Type -> partition (empty for the whole cloud) -> components.
    groups: BTreeMap<Name, BTreeMap<Name, Vec<usize>>>,
    pub groups_count: usize,
    /// Which virtual machine runs where.
    pub guests: Guests,
    index: HashMap<Name, usize>,
    spots: Vec<Spot>,
    element_spots: BTreeMap<Name, Spot>,
    global_spot: Spot,
    /// Where something was said since the last look.
    dirty: BTreeSet<Place>,
    /// When time alone changes what is said there means.
    due: BTreeSet<(Timestamp, Place)>,
}

impl World {
    /// Nobody has said anything yet.
    pub fn new(topology: Arc<Topology>, all_notable: bool) -> Self {
        let mut world = World {
            at: Timestamp::ZERO,
            timing: Timing::default(),
            hosts: Vec::with_capacity(topology.hosts.len()),
            comps: Vec::new(),
            elements: BTreeMap::new(),
            global: Facts::default(),
            zones: Vec::new(),
            feeds: Vec::new(),
            switches: Vec::new(),
            notable: BTreeSet::new(),
            all_notable,
            living: 0,
            living_in_use: 0,
            vantages: BTreeMap::new(),
            groups: BTreeMap::new(),
            groups_count: 0,
            guests: Guests::default(),
            index: HashMap::with_capacity(topology.hosts.len()),
            spots: Vec::new(),
            element_spots: BTreeMap::new(),
            global_spot: Spot::default(),
            dirty: BTreeSet::new(),
            due: BTreeSet::new(),
            topology,
        };
        world.lay_out();
        world
    }

    fn lay_out(&mut self) {
        let topology = Arc::clone(&self.topology);
        let mut zone_of: HashMap<&str, &Name> = HashMap::new();
        for (zone, hosts) in &topology.zones {
            for host in hosts {
                zone_of.entry(&**host).or_insert(zone);
            }
        }
        let on = |name: &str| topology.vm_on.get(name).or_else(|| topology.sysvms.get(name)).cloned();
        for (name, keys) in &topology.hosts {
            self.add_host(name, keys, zone_of.get(&**name).copied(), on(name));
        }
        for name in topology.sysvms.keys() {
            if !topology.hosts.contains_key(name) {
                self.add_host(name, std::slice::from_ref(name), zone_of.get(&**name).copied(), on(name));
            }
        }
        self.spots.resize_with(self.hosts.len(), Spot::default);
        let shared = |index: &HashMap<Name, usize>, of: &BTreeMap<Name, Vec<Name>>| {
            let hosts = |names: &[Name]| names.iter().filter_map(|name| index.get(name).copied()).collect();
            of.iter().map(|(name, names)| Shared { name: Arc::clone(name), hosts: hosts(names) }).collect()
        };
        self.zones = shared(&self.index, &topology.zones);
        self.feeds = shared(&self.index, &topology.single_fed);
        self.switches = shared(&self.index, &topology.single_homed);
        for (i, switch) in self.switches.iter().enumerate() {
            for host in &switch.hosts {
                self.hosts[*host].switch.get_or_insert(i);
            }
        }
        self.form_groups();
        if self.all_notable {
            self.notable = (0..self.hosts.len()).collect();
        }
    }

    fn form_groups(&mut self) {
        let mut depths: HashMap<Name, usize> = HashMap::new();
        for (i, comp) in self.comps.iter_mut().enumerate() {
            let kind = &comp.kind;
            comp.depth = *depths.entry(Arc::clone(kind)).or_insert_with(|| suppression::depth(&self.topology, kind));
            let partition = comp.partition.clone().unwrap_or_default();
            self.groups.entry(Arc::clone(kind)).or_default().entry(partition).or_default().push(i);
        }
        for members in self.groups.values().flat_map(BTreeMap::values) {
            members.iter().for_each(|comp| self.comps[*comp].group = self.groups_count);
            self.groups_count += 1;
        }
    }

    fn add_host(&mut self, name: &Name, keys: &[Name], zone: Option<&Name>, on: Option<Name>) {
        let host = self.hosts.len();
        let first = self.comps.len();
        let system_vm = !self.topology.hosts.contains_key(name);
        for (i, key) in keys.iter().enumerate() {
            if keys[..i].contains(key) {
                continue;
            }
            let kind: Name = match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
                bare if system_vm && bare != &**key => Arc::from(bare),
                _ => Arc::clone(key),
            };
            let partition = zone.filter(|_| self.topology.is_zonal(&kind)).cloned();
            self.comps.push(Comp {
                host,
                key: Arc::clone(key),
                kind,
                partition,
                group: 0,
                depth: 0,
                facts: Facts::default(),
                worst: None,
                in_maintenance: false,
            });
        }
        self.index.insert(Arc::clone(name), host);
        self.hosts.push(Host {
            name: Arc::clone(name),
            facts: Facts::default(),
            worst: None,
            parts: Facts::default(),
            comps: first..self.comps.len(),
            on,
            switch: None,
            life: Life::default(),
            condition: Condition::Alive,
            in_maintenance: false,
        });
    }

    /// What `source` says from now on; all that it says is about one host, and replaces what it said before there.
    pub fn say(&mut self, source: u64, host: Option<&Name>, signals: impl IntoIterator<Item = Signal>) {
        let place = match host {
            None => Place::Global,
            Some(name) => match self.index.get(name) {
                Some(&host) => Place::Host(host),
                None => Place::Element(Arc::clone(name)),
            },
        };
        let spot = match &place {
            Place::Host(host) => &mut self.spots[*host],
            Place::Element(name) => self.element_spots.entry(Arc::clone(name)).or_default(),
            Place::Global => &mut self.global_spot,
        };
        spot.said.retain(|said| said.source != source);
        spot.said.extend(signals.into_iter().map(|signal| Said { source, signal: Arc::new(signal) }));
        self.dirty.insert(place);
    }

    /// Looks again wherever something was said, or time has made something else of it.
    pub fn bring_to(&mut self, at: Timestamp, timing: &Timing) {
        if at < self.at || *timing != self.timing {
            self.dirty.extend((0..self.hosts.len()).map(Place::Host));
            self.dirty.extend(self.element_spots.keys().cloned().map(Place::Element));
            self.dirty.insert(Place::Global);
        }
        self.at = at;
        self.timing = timing.clone();
        while let Some((_, place)) = self.due.first().filter(|(when, _)| *when <= at) {
            self.dirty.insert(place.clone());
            self.due.pop_first();
        }
        for place in std::mem::take(&mut self.dirty) {
            self.look_at(place);
        }
    }

    fn look_at(&mut self, place: Place) {
        let (at, floor) = (self.at, self.timing.fresh_floor);
        match &place {
            Place::Host(host) => self.look_at_host(*host),
            Place::Element(name) => {
                let said = self.element_spots.get(name).map_or(&[][..], |spot| &spot.said);
                let facts = Facts::settle(said.iter().map(|said| &said.signal), at, floor);
                self.elements.insert(Arc::clone(name), facts);
            }
            Place::Global => {
                self.global = Facts::settle(self.global_spot.said.iter().map(|said| &said.signal), at, floor);
            }
        }
        let timing = self.timing.clone();
        let spot = match &place {
            Place::Host(host) => &mut self.spots[*host],
            Place::Element(name) => self.element_spots.entry(Arc::clone(name)).or_default(),
            Place::Global => &mut self.global_spot,
        };
        let until = spot.said.iter().filter_map(|said| next_turn(&said.signal, at, &timing)).min();
        let before = std::mem::replace(&mut spot.until, until);
        if let Some(before) = before.filter(|before| Some(*before) != until) {
            self.due.remove(&(before, place.clone()));
        }
        if let Some(until) = until {
            self.due.insert((until, place));
        }
    }

    fn look_at_host(&mut self, host: usize) {
        self.count(host, false);
        let (at, floor) = (self.at, self.timing.fresh_floor);
        let range = self.hosts[host].comps.clone();
        let mut own: Vec<&Arc<Signal>> = Vec::new();
        let mut parts: Vec<&Arc<Signal>> = Vec::new();
        let mut of_comps: Vec<Vec<&Arc<Signal>>> = vec![Vec::new(); range.len()];
        for said in &self.spots[host].said {
            let Some(key) = &said.signal.component else {
                own.push(&said.signal);
                continue;
            };
            // A system VM is its own component; both its name and its type say which.
            match self.comps[range.clone()].iter().position(|comp| comp.key == *key || comp.kind == *key) {
                Some(comp) => of_comps[comp].push(&said.signal),
                None => parts.push(&said.signal),
            }
        }
        let maintained = |facts: &Facts| facts.newest("maintenance").is_some_and(|signal| is_yes(&signal.value));
        for (comp, signals) in range.zip(of_comps) {
            let facts = Facts::settle(signals.into_iter(), at, floor);
            self.comps[comp].in_maintenance = maintained(&facts);
            self.comps[comp].worst = flapping::bad_moment(&facts, at, floor);
            self.comps[comp].facts = facts;
        }
        let facts = Facts::settle(own.into_iter(), at, floor);
        let parts = Facts::settle(parts.into_iter(), at, floor);
        let found = &mut self.hosts[host];
        found.in_maintenance = maintained(&facts);
        found.worst = flapping::bad_moment(&facts, at, floor);
        (found.facts, found.parts) = (facts, parts);
        self.assess(host);
        self.count(host, true);
        if !self.all_notable {
            if is_notable(self, host) {
                self.notable.insert(host)
            } else {
                self.notable.remove(&host)
            };
        }
    }

    /// Adds a host to what is known of all of them, or takes it out.
    fn count(&mut self, host: usize, add: bool) {
        for comp in self.hosts[host].comps.clone() {
            self.guests.count(&self.comps[comp], comp, add);
        }
        let step = |count: &mut usize| if add { *count += 1 } else { *count -= 1 };
        let host = &self.hosts[host];
        if !host.life.signs.is_empty() {
            step(&mut self.living);
            if !host.in_maintenance {
                step(&mut self.living_in_use);
            }
        }
        for ping in host.facts.all("ping") {
            let count = self.vantages.entry(ping.vantage.clone()).or_default();
            step(count);
            if *count == 0 {
                self.vantages.remove(&ping.vantage);
            }
        }
    }

    /// Weighs signs of life against failed network signals.
    fn assess(&mut self, index: usize) {
        let host = &self.hosts[index];
        let mut life = Life::default();
        let of_comps = self.comps[host.comps.clone()].iter().flat_map(|comp| comp.facts.shared("port"));
        for signal in host.facts.everything().chain(of_comps).chain(host.parts.shared("port")) {
            match (&*signal.sig, signal.value.text()) {
                ("ping", Some("ok"))
                | ("ssh" | "port", Some("open" | "refused"))
                | ("agent", Some("ok"))
                | ("uptime_s", None)
                    if signal.value != Value::Null =>
                {
                    life.signs.push(Arc::clone(signal));
                }
                ("ping", Some("fail")) => life.ping_fail.push(Arc::clone(signal)),
                ("ssh" | "port", Some("timeout")) => life.tcp_timeout.push(Arc::clone(signal)),
                _ => {}
            }
        }
        let (at, soft) = (self.at, self.timing.soft);
        // Two failures make a silent host (rule 7): what was said before both of them began is what counts as before.
        let mut began: Vec<Timestamp> =
            life.ping_fail.iter().chain(&life.tcp_timeout).map(|signal| signal.changed_at).collect();
        began.sort_unstable_by(|a, b| b.cmp(a));
        let onset = began.get(1).or(began.first()).copied();
        life.signs.retain(|sign| !is_overtaken(sign, onset, at, soft));
        let condition = condition(host, &life);
        let host = &mut self.hosts[index];
        host.condition = condition;
        host.life = life;
    }

    pub fn host(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Hosts worth a look, in the order of their names; nothing can be said of the others.
    pub fn notable(&self) -> impl Iterator<Item = usize> + '_ {
        self.notable.iter().copied()
    }

    /// Components of the hosts worth a look.
    pub fn notable_comps(&self) -> impl Iterator<Item = usize> + '_ {
        self.notable().flat_map(|host| self.hosts[host].comps.clone())
    }

    pub fn vantages(&self) -> usize {
        self.vantages.len()
    }

    /// All components of a type in one partition (`None` for types that exist once per cloud).
    pub fn group(&self, kind: &str, partition: Option<&str>) -> &[usize] {
        let group = self.groups.get(kind).and_then(|partitions| partitions.get(partition.unwrap_or_default()));
        group.map_or(&[], Vec::as_slice)
    }

    /// The groups of equal components of one type.
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
        self.group(&comp.kind, comp.partition.as_deref())
    }

    pub fn element(&self, name: &str) -> Option<&Facts> {
        self.elements.get(name).or_else(|| self.host(name).map(|host| &self.hosts[host].facts))
    }

    /// Since when a value has stood; `None` where the source cannot know.
    pub fn age_of_value(&self, signal: &Signal) -> Option<Span> {
        (signal.changed_at < signal.observed_at || signal.every > Span::ZERO).then(|| self.at.since(signal.changed_at))
    }

    pub fn grace(&self, comp: usize) -> Span {
        if self.topology.jvm.contains(&self.comps[comp].kind) {
            self.timing.jvm_grace
        } else {
            self.timing.component_grace
        }
    }
}

/// Whether anything could be said of this host, its components, or of others because of it.
fn is_notable(world: &World, index: usize) -> bool {
    let host = &world.hosts[index];
    let silent = |facts: &Facts| facts.is_empty() && !facts.stale.is_empty();
    let told_for_others = |signal: &Signal| {
        *signal.sig == *flapping::FLAPPING
            || matches!(&*signal.sig, "ups" | "stack" | "switch" | "drbd" | "split_brain")
            || (&*signal.sig == "log" && super::splitbrain::is_split_line(signal))
    };
    host.condition != Condition::Alive
        || !host.life.ping_fail.is_empty()
        || !host.life.tcp_timeout.is_empty()
        || host.in_maintenance
        || silent(&host.facts)
        || host.facts.iter().chain(host.parts.iter()).any(told_for_others)
        || !hardware::faults(world, index).is_empty()
        || host.comps.clone().any(|comp| {
            let facts = &world.comps[comp].facts;
            world.comps[comp].in_maintenance
                || world.comps[comp].worst.is_some()
                || silent(facts)
                || facts.all("fault").next().is_some()
                || facts.saying("service_state", "DISABLED").is_some()
                || component::judge(world, comp).is_some()
        })
}

/// The next moment at which time alone changes what a signal means: it grows too old, a grace or a boot is over.
fn next_turn(signal: &Signal, at: Timestamp, timing: &Timing) -> Option<Timestamp> {
    let tick = Span::from_millis(1);
    let patience = (signal.every + signal.every / 2).min(timing.soft);
    let seen = [timing.fresh_floor.max(signal.every * 3), signal.every * 3, patience];
    // What comes from a clock that is ahead counts once its time is near.
    let ahead = signal.observed_at - timing.fresh_floor;
    let stood = [timing.jvm_grace, timing.component_grace];
    let mut turns: Vec<Timestamp> = seen.into_iter().map(|age| signal.observed_at + age).collect();
    turns.extend(stood.into_iter().map(|age| signal.changed_at + age));
    let up = signal.value.number().filter(|seconds| &*signal.sig == "uptime_s" && seconds.is_finite());
    if let Some(seconds) = up {
        let since = signal.observed_at - Span::from_millis((seconds * 1000.0) as i64);
        let lengths = [timing.reboot, timing.jvm_grace, timing.component_grace];
        turns.extend(lengths.into_iter().map(|length| since + length));
    }
    turns.push(ahead);
    turns.into_iter().flat_map(|turn| [turn, turn + tick]).filter(|turn| *turn > at).min()
}

fn is_yes(value: &Value) -> bool {
    value.bool() == Some(true) || value.text().is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// A sign of life from before the failure began, whose own check has had its turn since, does not speak for the present.
fn is_overtaken(sign: &Signal, onset: Option<Timestamp>, at: Timestamp, soft: Span) -> bool {
    onset.is_some_and(|onset| sign.observed_at <= onset) && is_overdue(sign, at, soft)
}

/// Its check has had its turn since, and nothing came.
pub(super) fn is_overdue(sign: &Signal, at: Timestamp, soft: Span) -> bool {
    let patience = (sign.every + sign.every / 2).min(soft);
    sign.every > Span::ZERO && at.since(sign.observed_at) > patience
}

/// Rule 7 of specification 10: two failed network signals, or one that an off power state confirms.
fn condition(host: &Host, life: &Life) -> Condition {
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
