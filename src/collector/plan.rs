//! A catalog seen by the collector: what it runs itself, by slot, and the probes already built. A slot is a host's
//! number, or the number of hosts plus a service's.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use stentor_core::catalog::{Catalog, Check, View};
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::macros::view::COMMAND_PROBE;
use stentor_core::model::{ObjectKey, Value};
use stentor_core::parity::PAIR_PROBE;
use stentor_core::schedule::{Entry, phase_hash};
use stentor_core::{Span, Timestamp};

use super::Factory;
use super::comparison::Comparison;
use super::lanes::Lane;
use super::run::panic_text;
use super::spread::{self, Imported};
use crate::engine;
use crate::probes::ipmi::Ipmi;
use crate::probes::ssh_link::Ssh;
use crate::probes::ssh_view::SshView;
use crate::probes::{BuildError, ErasedProbe, Probe, ProbeEnv, Target};

/// Interval of checks that are not repeated: once in a hundred years.
const ON_REQUEST: Span = Span::from_hours(24 * 36_500);
/// Checks whose period begins start within this long of it.
const STAGGER_MAX: Span = Span::from_mins(1);

/// A deadline below this could only fail.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

pub struct Plan {
    catalog: Arc<Catalog>,
    /// Parallel to the catalog's hosts.
    targets: Vec<Arc<Target>>,
    /// By slot; filled at the first run.
    probes: Vec<Option<Arc<dyn ErasedProbe>>>,
}

/// Everything that one run needs, apart from its probe.
pub struct Job {
    pub object: ObjectKey,
    pub target: Arc<Target>,
    pub timeout: Duration,
}

impl Plan {
    pub fn new(catalog: Arc<Catalog>) -> Plan {
        let target = |host: &stentor_core::catalog::Host| {
            Arc::new(Target { host: Arc::clone(&host.name), address: Arc::clone(&host.address), bmc: host.bmc.clone() })
        };
        let targets = catalog.hosts.iter().map(target).collect();
        let probes = vec![None; catalog.hosts.len() + catalog.services.len()];
        Plan { catalog, targets, probes }
    }

    /// Whether it was made of this very catalog.
    pub fn is_of(&self, catalog: &Arc<Catalog>) -> bool {
        Arc::ptr_eq(&self.catalog, catalog)
    }

    pub fn slot(&self, object: ObjectId) -> Option<u32> {
        let (index, count, before) = match object {
            ObjectId::Host(id) => (id.index(), self.catalog.hosts.len(), 0),
            ObjectId::Service(id) => (id.index(), self.catalog.services.len(), self.catalog.hosts.len()),
        };
        (index < count).then(|| u32::try_from(before + index).ok()).flatten()
    }

    pub fn slot_of_key(&self, key: &ObjectKey) -> Option<u32> {
        self.slot(self.catalog.object_id(key)?)
    }

    fn object(&self, slot: u32) -> Option<ObjectId> {
        let (slot, hosts) = (slot as usize, self.catalog.hosts.len());
        if slot < hosts {
            return Some(ObjectId::Host(HostId::from_index(slot)));
        }
        (slot - hosts < self.catalog.services.len()).then(|| ObjectId::Service(ServiceId::from_index(slot - hosts)))
    }

    pub fn key(&self, slot: u32) -> Option<ObjectKey> {
        self.object(slot).map(|object| self.catalog.object_key(object))
    }

    fn host_of(&self, object: ObjectId) -> HostId {
        match object {
            ObjectId::Host(id) => id,
            ObjectId::Service(id) => self.catalog.services[id.index()].host,
        }
    }

    /// The check that this collector runs for a slot: it has a probe, and the probe can run here.
    fn own_check(&self, slot: u32) -> Option<(ObjectId, &Check)> {
        let object = self.object(slot)?;
        let check = self.catalog.check_of(object)?;
        let view = self.catalog.hosts[self.host_of(object).index()].view;
        let here = !check.host_side || matches!(view, View::Local | View::Ssh);
        (here && !check.probe.is_empty()).then_some((object, check))
    }

    /// What to schedule; `last_run` tells when an object was last looked at.
    pub fn entries(
        &self,
        now: Timestamp,
        imported: &Imported,
        last_run: impl Fn(&ObjectKey) -> Option<Timestamp>,
    ) -> Vec<Entry> {
        let first = spread::first_runs(&self.catalog, imported, now);
        let slots = u32::try_from(self.probes.len()).unwrap_or(u32::MAX);
        let entry = |slot| {
            let (object, check) = self.own_check(slot)?;
            let key = self.catalog.object_key(object);
            let hash = phase_hash(&key.host, key.service.as_deref(), &check.probe);
            if check.every <= Span::ZERO {
                // Not repeated: only run on request.
                return Some(Entry {
                    slot,
                    hash,
                    every: ON_REQUEST,
                    retry: check.retry,
                    last_run: Some(now),
                    first_at: None,
                });
            }
            let (last_run, first) = (last_run(&key), first.get(&object));
            let hash = match first {
                Some(first) if last_run.is_none() && first.keeps_pace => first.at.as_millis().unsigned_abs(),
                Some(_) | None => hash,
            };
            let first_at = first.map(|first| first.at);
            Some(Entry { slot, hash, every: check.every, retry: check.retry, last_run, first_at })
        };
        (0..slots).filter_map(entry).collect()
    }

    /// Where a slot runs and whose load it is; `None` if not by this collector.
    pub fn place(&self, slot: u32) -> Option<(Lane, Arc<str>)> {
        let (object, check) = self.own_check(slot)?;
        let host = &self.catalog.hosts[self.host_of(object).index()];
        // What goes through the controller is no load of its host, and eight checks that wait for a dead controller must
        // not hold up those that ask the host itself.
        let asked = host.bmc.as_ref().filter(|_| *check.probe == *Ipmi::KIND).map_or(&host.name, |bmc| &bmc.address);
        Some((Lane::of_probe(&check.probe), Arc::clone(asked)))
    }

    /// Whether a slot runs a Nagios command.
    pub fn is_command(&self, slot: u32) -> bool {
        self.own_check(slot).is_some_and(|(_, check)| *check.probe == *COMMAND_PROBE)
    }

    /// How long after a common start this one begins, so that not all begin at once.
    pub fn stagger(&self, slot: u32) -> Span {
        let Some((key, (_, check))) = self.key(slot).zip(self.own_check(slot)) else { return Span::ZERO };
        let most = STAGGER_MAX.min(check.every).as_millis().max(1).unsigned_abs();
        Span::from_millis((phase_hash(&key.host, key.service.as_deref(), &check.probe) % most).cast_signed())
    }

    pub fn job(&self, slot: u32) -> Option<Job> {
        let (object, check) = self.own_check(slot)?;
        let target = Arc::clone(&self.targets[self.host_of(object).index()]);
        let timeout = check.timeout.max(Span::ZERO).to_std().max(TIMEOUT_MIN);
        Some(Job { object: self.catalog.object_key(object), target, timeout })
    }

    /// The probe of a slot, built if it is not yet; one that cannot be built is tried again at its next turn, because
    /// the cause (a program not installed) may go away.
    pub fn probe(&mut self, slot: u32, builder: &mut Builder) -> Result<Arc<dyn ErasedProbe>, BuildError> {
        if let Some(Some(probe)) = self.probes.get(slot as usize) {
            return Ok(Arc::clone(probe));
        }
        let Some((object, check)) = self.own_check(slot) else {
            return Err(BuildError { message: "the check is not configured any more".to_owned() });
        };
        let own = match object {
            ObjectId::Host(id) => &self.catalog.hosts[id.index()].params,
            ObjectId::Service(id) => &self.catalog.services[id.index()].params,
        };
        let host = &self.catalog.hosts[self.host_of(object).index()];
        let over_ssh = (check.host_side && host.view == View::Ssh).then_some(&host.address);
        let probe = builder.probe(&check.probe, &overlaid(&check.params, own), over_ssh)?;
        if let Some(place) = self.probes.get_mut(slot as usize) {
            *place = Some(Arc::clone(&probe));
        }
        Ok(probe)
    }
}

/// The parameters of a check with a service's own laid over them, key by key.
fn overlaid(base: &Value, own: &Value) -> Value {
    match (base.map(), own.map()) {
        (Some(base), Some(own)) => {
            let mut merged: BTreeMap<String, Value> = base.clone();
            merged.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
            Value::Map(merged)
        }
        (None, Some(_)) => own.clone(),
        (_, None) => base.clone(),
    }
}

/// Builds each probe once per kind and parameters. What one catalog built the next one finds, so sessions survive a
/// reload; what two catalogs in a row did not use is dropped.
pub struct Builder {
    factory: Factory,
    env: ProbeEnv,
    /// Reaches hosts that are looked at from inside over SSH.
    ssh: Option<Arc<Ssh>>,
    /// Who knows what was told, for checks that compare.
    engine: Option<engine::Handle>,
    built: HashMap<BuiltKey, Built>,
    generation: u64,
}

/// Kind, parameters, and the address of a host that is reached over SSH: its probes look at it alone.
type BuiltKey = (String, String, Option<Arc<str>>);

struct Built {
    probe: Arc<dyn ErasedProbe>,
    used_in: u64,
}

impl Builder {
    pub fn new(factory: Factory, env: ProbeEnv, ssh: Option<Arc<Ssh>>) -> Builder {
        Builder { factory, env, ssh, engine: None, built: HashMap::new(), generation: 0 }
    }

    /// The same where the service runs.
    pub fn with_engine(self, engine: engine::Handle) -> Builder {
        Builder { engine: Some(engine), ..self }
    }

    pub fn next_generation(&mut self) {
        let ended = self.generation;
        self.generation += 1;
        self.built.retain(|_, built| built.used_in >= ended);
    }

    fn probe(
        &mut self,
        kind: &str,
        params: &Value,
        over_ssh: Option<&Arc<str>>,
    ) -> Result<Arc<dyn ErasedProbe>, BuildError> {
        // Maps of values are ordered, so equal parameters have equal texts.
        let text = serde_json::to_string(params).map_err(|e| BuildError { message: e.to_string() })?;
        let key = (kind.to_owned(), text, over_ssh.cloned());
        if let Some(built) = self.built.get_mut(&key) {
            built.used_in = self.generation;
            return Ok(Arc::clone(&built.probe));
        }
        let mut env = self.env.clone();
        if let Some(address) = over_ssh {
            let ssh = self.ssh.as_ref();
            let ssh = ssh.ok_or_else(|| BuildError { message: "hosts cannot be reached over SSH here".to_owned() })?;
            env.view = Arc::new(SshView::new(ssh.link(address)));
        }
        let build = AssertUnwindSafe(|| -> Result<Arc<dyn ErasedProbe>, BuildError> {
            if kind == PAIR_PROBE {
                return Ok(Arc::new(Comparison::build(params, self.engine.as_ref(), &env.clock)?));
            }
            (self.factory)(kind, params, &env)
        });
        let probe = catch_unwind(build).unwrap_or_else(|panic| {
            Err(BuildError { message: format!("probe `{kind}` panicked while it was built: {}", panic_text(&*panic)) })
        })?;
        self.built.insert(key, Built { probe: Arc::clone(&probe), used_in: self.generation });
        Ok(probe)
    }
}
