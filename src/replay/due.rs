//! Which checks a service would start meanwhile, and when: nothing runs in a replay, results come from its input alone.

use std::collections::BTreeSet;

use stentor_core::catalog::{Catalog, View};
use stentor_core::engine::gate::{Forced, SkipReason};
use stentor_core::engine::{CheckRequest, Engine};
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::schedule::{Entry, Schedule, phase_hash};
use stentor_core::{Span, Timestamp};

/// Interval of checks that are not repeated: once in a hundred years.
const ON_REQUEST: Span = Span::from_hours(24 * 36_500);

/// The queue of all checks that run on this side.
pub struct Due {
    schedule: Schedule,
    hosts: usize,
    forced: BTreeSet<u32>,
}

impl Due {
    /// Nothing has run before `at`.
    pub fn new(catalog: &Catalog, at: Timestamp) -> Due {
        let hosts = catalog.hosts.len();
        let all = (0..hosts + catalog.services.len()).filter_map(|index| {
            let slot = u32::try_from(index).ok()?;
            let object = object(hosts, slot);
            let check = catalog.check_of(object)?;
            let host = match object {
                ObjectId::Host(id) => id,
                ObjectId::Service(id) => catalog.services[id.index()].host,
            };
            // An agent runs its own.
            let here = !check.host_side || catalog.hosts[host.index()].view == View::Local;
            if check.probe.is_empty() || !here {
                return None;
            }
            let key = catalog.object_key(object);
            let hash = phase_hash(&key.host, key.service.as_deref(), &check.probe);
            let (every, last_run) =
                if check.every <= Span::ZERO { (ON_REQUEST, Some(at)) } else { (check.every, None) };
            Some(Entry { slot, hash, every, retry: check.retry, last_run, first_at: None })
        });
        Due { schedule: Schedule::new(all.collect::<Vec<_>>(), at), hosts, forced: BTreeSet::new() }
    }

    /// What the engine asked for.
    pub fn request(&mut self, checks: &[CheckRequest], at: Timestamp) {
        for check in checks {
            let index = match check.object {
                ObjectId::Host(id) => id.index(),
                ObjectId::Service(id) => self.hosts + id.index(),
            };
            let Ok(slot) = u32::try_from(index) else { continue };
            if check.forced {
                self.forced.insert(slot);
            }
            self.schedule.request(slot, check.due, at);
        }
    }

    pub fn next_at(&mut self) -> Option<Timestamp> {
        self.schedule.next_at()
    }

    /// The next check that starts at `at`; what may not run now is passed over.
    pub fn pop(&mut self, engine: &Engine, at: Timestamp) -> Option<ObjectId> {
        while let Some(due) = self.schedule.pop(at) {
            let object = object(self.hosts, due.slot);
            self.schedule.set_every(due.slot, engine.check_interval(object));
            let forced = if self.forced.remove(&due.slot) { Forced::Yes } else { Forced::No };
            match engine.check_allowed(object, forced) {
                Ok(()) => {
                    // Whatever it would find, it is found at once.
                    self.schedule.finish(due.slot, at);
                    return Some(object);
                }
                Err(skip) if skip.why == SkipReason::OutsidePeriod && skip.again_at > at => {
                    self.schedule.put_off_until(due.slot, skip.again_at);
                }
                Err(_) => self.schedule.finish(due.slot, at),
            }
        }
        None
    }
}

fn object(hosts: usize, slot: u32) -> ObjectId {
    let slot = slot as usize;
    if slot < hosts {
        ObjectId::Host(HostId::from_index(slot))
    } else {
        ObjectId::Service(ServiceId::from_index(slot - hosts))
    }
}
