//! The newest signals of each diagnosed group, in one slice per group, kept by check results.
//!
//! A group is a cloud, or all hosts outside clouds together.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Check};
use crate::diagnosis::{Signal, Topology};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::{Observation, Value};
use crate::rules::Judgement;
use crate::{Span, Timestamp};

/// What one check of one object says at present: none, one or several values (power supplies, bonds).
#[derive(Clone, Debug)]
struct Voice {
    template: Signal,
    values: Vec<(Value, Timestamp)>,
}

/// Signals of one group and whether anything changed since it was diagnosed.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Name of the cloud; `None` for the hosts outside clouds.
    pub cloud: Option<Arc<str>>,
    pub topology: Topology,
    voices: Vec<Voice>,
    pub dirty: bool,
    pub diagnosed_at: Timestamp,
}

impl Group {
    /// Everything that was said, in catalog order. What was never or no longer said is left out.
    pub fn signals(&self) -> Vec<Signal> {
        let said = self.voices.iter().filter(|voice| voice.template.observed_at != Timestamp::ZERO);
        said.flat_map(|voice| {
            voice.values.iter().map(|(value, changed_at)| Signal {
                value: value.clone(),
                changed_at: *changed_at,
                ..voice.template.clone()
            })
        })
        .collect()
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
        let mut outside = Group::default();
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
                board.services[service.index()] =
                    board.lay_out(group, HostId::from_index(i), component, catalog, check);
            }
        }
        board
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
            voices.push(Voice { template, values: Vec::new() });
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
            let voice = &mut group.voices[slot.first as usize + i];
            let silent = voice.template.observed_at == Timestamp::ZERO;
            group.dirty |= silent || is_news(&spec.sig, &voice.values, &new);
            let old = std::mem::take(&mut voice.values);
            voice.values = new
                .into_iter()
                .enumerate()
                .map(|(n, value)| match old.get(n) {
                    Some((was, since)) if *was == value && !silent => (value, *since),
                    Some(_) | None => (value, from.observed_at),
                })
                .collect();
            voice.template.observed_at = from.observed_at;
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
            let voice = &mut group.voices[slot.first as usize + i];
            if &*spec.sig == "agent" {
                voice.values = vec![(Value::from("stale"), at)];
                voice.template.observed_at = at;
            } else {
                voice.template.observed_at = Timestamp::ZERO;
            }
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
        for group in &mut self.groups {
            group.dirty = true;
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
            new.template.observed_at = old.template.observed_at;
        }
    }

    /// What every voice said and when, for the checkpoint; same order as a board of the same catalog.
    pub fn said(&self) -> Vec<Vec<Said>> {
        let copy = |voice: &Voice| Said { values: voice.values.clone(), observed_at: voice.template.observed_at };
        self.groups.iter().map(|group| group.voices.iter().map(copy).collect()).collect()
    }

    /// Takes back what [`Board::said`] gave.
    pub fn restore(&mut self, said: Vec<Vec<Said>>) {
        for (group, said) in self.groups.iter_mut().zip(said) {
            group.dirty = true;
            for (voice, said) in group.voices.iter_mut().zip(said) {
                voice.values = said.values;
                voice.template.observed_at = said.observed_at;
            }
        }
    }
}

/// One voice in a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Said {
    values: Vec<(Value, Timestamp)>,
    observed_at: Timestamp,
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
