//! The newest signals of each diagnosed group, in one slice per group, kept by check results.
//!
//! A group is a cloud, or all hosts outside clouds together.

use std::sync::Arc;

use crate::catalog::{Catalog, Check, SignalSpec, SignalValue};
use crate::diagnosis::{Signal, Topology};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::{Observation, ServiceState, Value};
use crate::{Span, Timestamp};

/// Signals of one group and whether anything changed since it was diagnosed.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Name of the cloud; `None` for the hosts outside clouds.
    pub cloud: Option<Arc<str>>,
    pub topology: Topology,
    pub signals: Vec<Signal>,
    pub dirty: bool,
    pub diagnosed_at: Timestamp,
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
}

/// What a judged result says to the board.
pub struct Contribution<'a> {
    pub object: ObjectId,
    pub observation: &'a Observation,
    pub state: ServiceState,
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
        };
        let mut outside = Group::default();
        for host in catalog.hosts.iter().filter(|host| host.cloud.is_none()) {
            outside.topology.hosts.insert(Arc::clone(&host.name), Vec::new());
        }
        board.groups.push(outside);
        for (i, host) in catalog.hosts.iter().enumerate() {
            let group = host.cloud.map_or(catalog.clouds.len(), |cloud| cloud.index());
            let slot = match host.check {
                Some(check) => board.lay_out(group, HostId::from_index(i), None, catalog, &catalog.checks[check.index()]),
                None => Slot::NONE,
            };
            board.hosts.push(slot);
            for &service in &host.services {
                let row = &catalog.services[service.index()];
                let component = row.component.map(|id| Arc::clone(&catalog.components[id.index()].key));
                let check = &catalog.checks[row.check.index()];
                board.services[service.index()] = board.lay_out(group, HostId::from_index(i), component, catalog, check);
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
        let signals = &mut self.groups[group].signals;
        let first = signals.len();
        for spec in &check.signals {
            signals.push(Signal {
                host: Some(Arc::clone(&catalog.hosts[host.index()].name)),
                component: if spec.of_host { None } else { component.clone() },
                sig: Arc::clone(&spec.sig),
                value: Value::Null,
                vantage: None,
                observed_at: Timestamp::ZERO,
                changed_at: Timestamp::ZERO,
                every: check.every,
            });
        }
        Slot { group: group as u32, first: first as u32 }
    }

    fn slot(&self, object: ObjectId) -> Slot {
        match object {
            ObjectId::Host(id) => self.hosts[id.index()],
            ObjectId::Service(id) => self.services[id.index()],
        }
    }

    /// Takes over what a judged result says. Facts that are absent leave the old value, which then ages.
    pub fn contribute(&mut self, check: &Check, from: &Contribution<'_>) {
        let slot = self.slot(from.object);
        if slot.group == u32::MAX {
            return;
        }
        let group = &mut self.groups[slot.group as usize];
        for (i, spec) in check.signals.iter().enumerate() {
            let Some(value) = value_of(spec, from) else { continue };
            let signal = &mut group.signals[slot.first as usize + i];
            if signal.value != value {
                signal.value = value;
                signal.changed_at = from.observed_at;
                group.dirty = true;
            } else if signal.observed_at == Timestamp::ZERO {
                group.dirty = true;
            }
            signal.observed_at = from.observed_at;
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
            let signal = &mut group.signals[slot.first as usize + i];
            if &*spec.sig == "agent" {
                signal.value = Value::from("stale");
                signal.changed_at = at;
                signal.observed_at = at;
            } else {
                signal.observed_at = Timestamp::ZERO;
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
        let source = &old.groups[from.group as usize].signals[from.first as usize..];
        let target = &mut self.groups[to.group as usize].signals[to.first as usize..];
        for (new, old) in target.iter_mut().zip(source) {
            if new.sig != old.sig || new.host != old.host || new.component != old.component {
                break;
            }
            new.value = old.value.clone();
            new.observed_at = old.observed_at;
            new.changed_at = old.changed_at;
        }
    }

    /// Values of all signals, for the checkpoint; same order as a board of the same catalog.
    pub fn values(&self) -> Vec<Vec<(Value, Timestamp, Timestamp)>> {
        let copy = |signal: &Signal| (signal.value.clone(), signal.observed_at, signal.changed_at);
        self.groups.iter().map(|group| group.signals.iter().map(copy).collect()).collect()
    }

    /// Takes back what [`Board::values`] gave.
    pub fn restore(&mut self, values: Vec<Vec<(Value, Timestamp, Timestamp)>>) {
        for (group, values) in self.groups.iter_mut().zip(values) {
            group.dirty = true;
            for (signal, (value, observed_at, changed_at)) in group.signals.iter_mut().zip(values) {
                signal.value = value;
                signal.observed_at = observed_at;
                signal.changed_at = changed_at;
            }
        }
    }
}

fn value_of(spec: &SignalSpec, from: &Contribution<'_>) -> Option<Value> {
    match &spec.value {
        SignalValue::Fact(name) => from.observation.facts.get(&**name).cloned(),
        SignalValue::Resource { kind, blocks_start } => {
            let level = match from.state {
                ServiceState::Ok => "ok",
                ServiceState::Warning => "warn",
                ServiceState::Critical => "crit",
                ServiceState::Unknown => return None,
            };
            let fields: [(&str, Value); 4] = [
                ("kind", Value::from(&**kind)),
                ("level", Value::from(level)),
                // The text of an OK result changes with every measurement; only trouble needs words.
                ("detail", Value::from(if level == "ok" { "" } else { &*from.observation.text })),
                ("blocks_start", Value::from(*blocks_start)),
            ];
            Some(fields.into_iter().collect())
        }
        SignalValue::ByState(words) => match from.state {
            ServiceState::Ok => Some(Value::from(&*words[0])),
            ServiceState::Warning => Some(Value::from(&*words[1])),
            ServiceState::Critical => Some(Value::from(&*words[2])),
            ServiceState::Unknown => None,
        },
    }
}

/// How long after its last look a group is diagnosed again although nothing changed: signals age.
pub const REDIAGNOSE_AFTER: Span = Span::from_secs(10);
