//! The newest signals of each diagnosed group, in one slice per group, kept by check results.
//!
//! A group is a cloud, or all hosts outside clouds together.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Check};
use crate::diagnosis::{Signal, Target, Topology};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::{Observation, Value};
use crate::rules::Judgement;
use crate::{Span, Timestamp};

mod flips;
mod kept;

pub(crate) use flips::Flips;
use kept::Kept;
pub use kept::Maintained;

/// The signal of a UPS, which may stand in no cloud and still feed one.
const UPS: &str = "ups";

/// What one check of one object says at present: none, one or several values (power supplies, bonds).
#[derive(Clone, Debug)]
struct Voice {
    template: Signal,
    values: Vec<(Value, Timestamp)>,
    /// It spoke since the classifier last listened.
    is_news: bool,
    /// What it said before, where that was not always the same.
    flips: Option<Box<Flips>>,
}

impl Voice {
    /// What it says at present; nothing if it never spoke or is silent now.
    fn signals(&self) -> impl Iterator<Item = Signal> + '_ {
        let speaks = self.template.observed_at != Timestamp::ZERO;
        let words = self.values.iter().filter(move |_| speaks).map(|(value, changed_at)| Signal {
            value: value.clone(),
            changed_at: *changed_at,
            ..self.template.clone()
        });
        let flapping = self.flips.iter().filter(move |flips| speaks && flips.is_flapping());
        words.chain(flapping.map(|flips| flips.signal(&self.template)))
    }
}

/// Signals of one group and whether anything changed since it was diagnosed.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Name of the cloud; `None` for the hosts outside clouds.
    pub cloud: Option<Arc<str>>,
    pub topology: Topology,
    voices: Vec<Voice>,
    /// What was told directly, not by a check.
    pub(crate) told: Vec<Signal>,
    /// What was told before, where that was not always the same; by the place in `told`.
    pub(crate) told_flips: BTreeMap<usize, Box<Flips>>,
    pub dirty: bool,
    pub diagnosed_at: Timestamp,
    kept: Kept,
}

impl Group {
    /// Everything that was said, in catalog order. What was never or no longer said is left out.
    pub fn signals(&self) -> Vec<Signal> {
        let told = self.told.iter().enumerate();
        let told = told.flat_map(|(index, said)| flips::with(said, self.told_flips.get(&index).map(Box::as_ref)));
        self.voices.iter().flat_map(Voice::signals).chain(told).collect()
    }

    /// The voice, whose next words the classifier has not heard yet.
    fn speak(&mut self, voice: usize) -> &mut Voice {
        let speaker = &mut self.voices[voice];
        if !std::mem::replace(&mut speaker.is_news, true) {
            self.kept.voices.push(voice as u32);
        }
        speaker
    }

    /// Nobody has said anything yet, so age changes nothing.
    pub fn is_silent(&self) -> bool {
        self.told.is_empty() && self.voices.iter().all(|voice| voice.template.observed_at == Timestamp::ZERO)
    }

    fn names(&self, name: &str) -> bool {
        let topology = &self.topology;
        topology.hosts.contains_key(name)
            || topology.switches.contains_key(name)
            || topology.feeds.contains_key(name)
            || topology.backends.contains_key(name)
            || topology.drbd.contains_key(name)
            || topology.zones.contains_key(name)
            || topology.sites.contains_key(name)
    }
}

/// Where an object's signals begin; `NONE` if it contributes none.
#[derive(Copy, Clone, Debug)]
struct Slot {
    group: u32,
    first: u32,
}

impl Slot {
    const NONE: Slot = Slot { group: u32::MAX, first: 0 };
}

/// All groups, addressed by the object whose check contributes.
#[derive(Clone, Debug, Default)]
pub struct Board {
    pub groups: Vec<Group>,
    hosts: Vec<Slot>,
    services: Vec<Slot>,
    /// Longest time that any contributing check may take to answer.
    pub answer_max: Span,
}

/// What a judged result says to the board.
pub struct Contribution<'a> {
    pub object: ObjectId,
    pub observation: &'a Observation,
    pub judgement: &'a Judgement,
    pub observed_at: Timestamp,
}

impl Board {
    /// Lays out empty signals for every check that contributes some. `ZERO` as observation time means missing.
    pub fn new(catalog: &Catalog) -> Board {
        let mut board = Board {
            groups: catalog
                .clouds
                .iter()
                .map(|cloud| Group {
                    cloud: Some(Arc::clone(&cloud.name)),
                    topology: cloud.topology.clone(),
                    ..Group::default()
                })
                .collect(),
            hosts: Vec::with_capacity(catalog.hosts.len()),
            services: vec![Slot::NONE; catalog.services.len()],
            answer_max: Span::ZERO,
        };
        let mut outside = Group { topology: catalog.outside.clone(), ..Group::default() };
        for host in catalog.hosts.iter().filter(|host| host.cloud.is_none()) {
            outside.topology.hosts.insert(Arc::clone(&host.name), Vec::new());
        }
        board.groups.push(outside);
        for (i, host) in catalog.hosts.iter().enumerate() {
            let group = host.cloud.map_or(catalog.clouds.len(), |cloud| cloud.index());
            let slot = match host.check {
                Some(check) => {
                    board.lay_out(group, HostId::from_index(i), None, catalog, &catalog.checks[check.index()])
                }
                None => Slot::NONE,
            };
            board.hosts.push(slot);
            for &service in &host.services {
                let row = &catalog.services[service.index()];
                let component = row.component.map(|id| Arc::clone(&catalog.components[id.index()].key));
                let check = &catalog.checks[row.check.index()];
                let is_ups = check.signals.iter().any(|spec| &*spec.sig == UPS);
                let group = if is_ups { board.group_hung_on(group, &host.name) } else { group };
                board.services[service.index()] =
                    board.lay_out(group, HostId::from_index(i), component, catalog, check);
            }
        }
        board
    }

    /// A UPS that stands in no cloud speaks to the cloud that hangs on it (`[[feed]] source`), of several to the first.
    fn group_hung_on(&self, group: usize, host: &str) -> usize {
        if self.groups.get(group).is_some_and(|group| group.cloud.is_some()) {
            return group;
        }
        let feeds_on = |group: &Group| group.topology.feeds.values().any(|source| source == host);
        self.groups.iter().position(feeds_on).unwrap_or(group)
    }

    fn lay_out(
        &mut self,
        group: usize,
        host: HostId,
        component: Option<Arc<str>>,
        catalog: &Catalog,
        check: &Check,
    ) -> Slot {
        if check.signals.is_empty() {
            return Slot::NONE;
        }
        self.answer_max = self.answer_max.max(check.timeout);
        let voices = &mut self.groups[group].voices;
        let first = voices.len();
        for spec in &check.signals {
            let template = Signal {
                host: Some(Arc::clone(&catalog.hosts[host.index()].name)),
                component: if spec.of_host { None } else { component.clone() },
                sig: Arc::clone(&spec.sig),
                value: Value::Null,
                vantage: None,
                observed_at: Timestamp::ZERO,
                changed_at: Timestamp::ZERO,
                every: check.every,
            };
            voices.push(Voice { template, values: Vec::new(), is_news: false, flips: None });
        }
        Slot { group: group as u32, first: first as u32 }
    }

    fn slot(&self, object: ObjectId) -> Slot {
        match object {
            ObjectId::Host(id) => self.hosts[id.index()],
            ObjectId::Service(id) => self.services[id.index()],
        }
    }

    /// Takes over what a judged result says. A result that says nothing about a signal leaves the old value, which then ages.
    pub fn contribute(&mut self, check: &Check, from: &Contribution<'_>) {
        let slot = self.slot(from.object);
        if slot.group == u32::MAX {
            return;
        }
        let group = &mut self.groups[slot.group as usize];
        for (i, spec) in check.signals.iter().enumerate() {
            let new = spec.values(from.observation, from.judgement);
            if new.is_empty() {
                continue;
            }
            let voice = group.speak(slot.first as usize + i);
            let silent = voice.template.observed_at == Timestamp::ZERO;
            let mut turned = false;
            let news = silent || is_news(&spec.sig, &voice.values, &new);
            let old = std::mem::take(&mut voice.values);
            voice.template.observed_at = from.observed_at;
            if news || voice.flips.is_some() {
                let was: Vec<Value> = old.iter().map(|(value, _)| value.clone()).collect();
                let was = (!silent).then_some(&was[..]);
                turned |= flips::note(&mut voice.flips, &voice.template, was, &new);
            }
            voice.values = new
                .into_iter()
                .enumerate()
                .map(|(n, value)| match old.get(n) {
                    Some((was, since)) if *was == value && !silent => (value, *since),
                    Some(_) | None => (value, from.observed_at),
                })
                .collect();
            group.dirty |= news || turned;
        }
    }

    /// Takes over what a result says about other hosts of the same cloud: a controller's view of its nodes. What it names
    /// and the catalog does not have is passed over.
    pub fn contribute_elsewhere(&mut self, catalog: &Catalog, check: &Check, from: &Contribution<'_>) {
        let cloud_of = |host: HostId| catalog.hosts[host.index()].cloud;
        let own = match from.object {
            ObjectId::Host(host) => host,
            ObjectId::Service(service) => catalog.services[service.index()].host,
        };
        for spec in &check.signals {
            for told in spec.told_elsewhere(from.observation) {
                let host = catalog.host_id(&told.host).or_else(|| catalog.host_by_address(&told.host));
                let Some(host) = host.filter(|host| cloud_of(*host) == cloud_of(own)) else { continue };
                let component = told.component.as_deref();
                let parts = &catalog.hosts[host.index()].components;
                let has = |key: &str| parts.iter().any(|id| *catalog.components[id.index()].key == *key);
                if component.is_some_and(|key| !has(key)) {
                    continue;
                }
                self.tell(
                    catalog,
                    &Signal {
                        host: Some(Arc::clone(&catalog.hosts[host.index()].name)),
                        component: component.map(Arc::from),
                        sig: Arc::clone(&spec.sig),
                        value: told.value,
                        vantage: None,
                        observed_at: from.observed_at,
                        changed_at: from.observed_at,
                        every: check.every,
                    },
                );
            }
        }
    }

    /// Forgets what `object` said: its reporter is gone, so its last words are not facts any more.
    /// An `agent` signal says `stale` instead, because its silence is what it reports.
    pub fn forget(&mut self, object: ObjectId, check: &Check, at: Timestamp) {
        let slot = self.slot(object);
        if slot.group == u32::MAX {
            return;
        }
        let group = &mut self.groups[slot.group as usize];
        group.dirty = true;
        for (i, spec) in check.signals.iter().enumerate() {
            let voice = group.speak(slot.first as usize + i);
            if &*spec.sig == "agent" {
                voice.values = vec![(Value::from("stale"), at)];
                voice.template.observed_at = at;
            } else {
                voice.template.observed_at = Timestamp::ZERO;
            }
        }
    }

    /// Whether something was told directly about a target, and too long ago to speak for it either way.
    pub fn told_has_aged(&self, target: &Target, at: Timestamp, floor: Span) -> bool {
        self.groups.iter().flat_map(|group| &group.told).any(|signal| {
            signal.host == target.host
                && (target.component.is_none() || signal.component.is_none() || signal.component == target.component)
                && !signal.is_fresh(at, floor)
        })
    }

    /// What an object's check said last, whenever that was.
    pub fn each_said_by(&self, object: ObjectId, check: &Check, hear: &mut impl FnMut(&Signal, &Value)) {
        let slot = self.slot(object);
        let Some(group) = self.groups.get(slot.group as usize) else { return };
        let voices = group.voices.iter().skip(slot.first as usize).take(check.signals.len());
        for voice in voices.filter(|voice| voice.template.observed_at != Timestamp::ZERO) {
            voice.values.iter().for_each(|(value, _)| hear(&voice.template, value));
        }
    }

    /// What was told directly about a host.
    pub fn told_about<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Signal> {
        self.groups.iter().flat_map(|group| &group.told).filter(move |signal| signal.host.as_deref() == Some(host))
    }

    /// Takes over a fact that no check said. A newer one of the same origin replaces it.
    pub fn tell(&mut self, catalog: &Catalog, signal: &Signal) {
        let of_host = signal.host.as_deref().and_then(|name| catalog.host_id(name));
        let index = match (of_host, signal.host.as_deref()) {
            (Some(host), Some(name)) if &*signal.sig == UPS => self.group_hung_on(self.group_of(catalog, host), name),
            (Some(host), _) => self.group_of(catalog, host),
            (None, Some(name)) => self.groups.iter().position(|group| group.names(name)).unwrap_or(0),
            (None, None) => 0,
        };
        let Some(group) = self.groups.get_mut(index) else { return };
        let mut signal = signal.clone();
        match group.told.iter_mut().enumerate().find(|(_, old)| same_origin(old, &signal)) {
            Some((index, old)) => {
                group.kept.told.push(index);
                if old.value != signal.value || group.told_flips.contains_key(&index) {
                    let mut flips = group.told_flips.remove(&index);
                    let (was, is) = (std::slice::from_ref(&old.value), std::slice::from_ref(&signal.value));
                    group.dirty |= flips::note(&mut flips, &signal, Some(was), is);
                    group.told_flips.extend(flips.map(|flips| (index, flips)));
                }
                group.dirty |= is_news(&signal.sig, &[(old.value.clone(), old.changed_at)], &[signal.value.clone()]);
                if old.value == signal.value {
                    signal.changed_at = old.changed_at;
                }
                *old = signal;
            }
            None => {
                group.dirty = true;
                group.kept.told.push(group.told.len());
                group.told.push(signal);
            }
        }
    }

    /// Nobody could be heard for so long: what was said last is as old as it was before.
    pub fn pass_over(&mut self, gap: Span, at: Timestamp) {
        let later = |when: &mut Timestamp| {
            if *when != Timestamp::ZERO {
                *when = (*when + gap).min(at);
            }
        };
        for group in &mut self.groups {
            group.voices.iter_mut().for_each(|voice| later(&mut voice.template.observed_at));
            group.told.iter_mut().for_each(|signal| later(&mut signal.observed_at));
            group.kept.forget();
        }
    }

    /// The group of a host.
    pub fn group_of(&self, catalog: &Catalog, host: HostId) -> usize {
        catalog.hosts[host.index()].cloud.map_or(catalog.clouds.len(), |cloud| cloud.index())
    }

    /// Copies what `old` knew for the same services and hosts; ids are translated by name.
    pub fn carry_over(&mut self, catalog: &Catalog, old: &Board, old_catalog: &Catalog) {
        for (i, host) in catalog.hosts.iter().enumerate() {
            let Some(old_host) = old_catalog.host_id(&host.name) else { continue };
            self.copy(ObjectId::Host(HostId::from_index(i)), old, ObjectId::Host(old_host));
        }
        for (i, service) in catalog.services.iter().enumerate() {
            let host = &catalog.hosts[service.host.index()].name;
            let Some(old_service) = old_catalog.service_id(host, &service.name) else { continue };
            self.copy(ObjectId::Service(ServiceId::from_index(i)), old, ObjectId::Service(old_service));
        }
        for signal in old.groups.iter().flat_map(|group| &group.told) {
            self.tell(catalog, signal);
        }
        self.carry_flips(old);
        for group in &mut self.groups {
            group.dirty = true;
            group.kept.forget();
        }
    }

    fn carry_flips(&mut self, old: &Board) {
        for group in &old.groups {
            for (index, flips) in &group.told_flips {
                let Some(said) = group.told.get(*index) else { continue };
                let find = |new: &Group| new.told.iter().position(|signal| same_origin(signal, said));
                let place = self.groups.iter_mut().find_map(|new| find(new).map(|index| (new, index)));
                if let Some((new, index)) = place {
                    new.told_flips.insert(index, flips.clone());
                }
            }
        }
    }

    fn copy(&mut self, to: ObjectId, old: &Board, from: ObjectId) {
        let (to, from) = (self.slot(to), old.slot(from));
        if to.group == u32::MAX || from.group == u32::MAX {
            return;
        }
        let source = &old.groups[from.group as usize].voices[from.first as usize..];
        let target = &mut self.groups[to.group as usize].voices[to.first as usize..];
        for (new, old) in target.iter_mut().zip(source) {
            let same = new.template.sig == old.template.sig
                && new.template.host == old.template.host
                && new.template.component == old.template.component;
            if !same {
                break;
            }
            new.values.clone_from(&old.values);
            new.flips.clone_from(&old.flips);
            new.template.observed_at = old.template.observed_at;
        }
    }

    /// What was told directly, group by group, for the checkpoint.
    pub fn told(&self) -> Vec<Vec<Signal>> {
        self.groups.iter().map(|group| group.told.clone()).collect()
    }

    /// How what was told directly has changed, for the checkpoint.
    pub(crate) fn told_flips(&self) -> Vec<BTreeMap<usize, Box<Flips>>> {
        self.groups.iter().map(|group| group.told_flips.clone()).collect()
    }

    /// What every voice said and when, for the checkpoint; same order as a board of the same catalog.
    pub fn said(&self) -> Vec<Vec<Said>> {
        let copy = |voice: &Voice| Said {
            values: voice.values.clone(),
            observed_at: voice.template.observed_at,
            flips: voice.flips.clone(),
        };
        self.groups.iter().map(|group| group.voices.iter().map(copy).collect()).collect()
    }

    /// Takes back what [`Board::said`] gave.
    pub fn restore(&mut self, said: Vec<Vec<Said>>) {
        for (group, said) in self.groups.iter_mut().zip(said) {
            group.dirty = true;
            group.kept.forget();
            for (voice, said) in group.voices.iter_mut().zip(said) {
                voice.values = said.values;
                voice.template.observed_at = said.observed_at;
                voice.flips = said.flips;
            }
        }
    }
}

/// One voice in a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Said {
    values: Vec<(Value, Timestamp)>,
    observed_at: Timestamp,
    #[serde(default)]
    flips: Option<Box<Flips>>,
}

/// Hosts have several power supplies, bonds, arrays: their records are told apart by the name inside the value.
fn same_origin(a: &Signal, b: &Signal) -> bool {
    let part = |signal: &Signal| {
        let names = ["id", "name", "map", "vd", "res", "member", "kind", "about"];
        names.iter().find_map(|name| signal.value.get(name).cloned())
    };
    a.host == b.host && a.component == b.component && a.sig == b.sig && a.vantage == b.vantage && part(a) == part(b)
}

/// Whether new values can change a diagnosis: a longer uptime or another wording of the same level cannot.
fn is_news(sig: &str, old: &[(Value, Timestamp)], new: &[Value]) -> bool {
    old.len() != new.len()
        || old.iter().zip(new).any(|((old, _), new)| match (old, new) {
            (Value::Number(was), Value::Number(is)) if sig == "uptime_s" => is < was,
            (Value::Map(_), Value::Map(_)) if old.get("level").is_some() => old.get("level") != new.get("level"),
            (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) | Value::Map(_), _) => {
                old != new
            }
        })
}

/// How long after its last look a group is diagnosed again although nothing changed: signals age.
pub const REDIAGNOSE_AFTER: Span = Span::from_secs(10);
