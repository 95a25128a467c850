//! Places to run in: so many of each lane, so many of each host. Who finds none waits in order. No time in here.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use stentor_core::macros::view::COMMAND_PROBE;
use stentor_core::schedule::Due;

use super::Limits;

/// Kinds of cost, each with its own limit, so that slow plugins never hold up native probes.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Lane {
    Native,
    Exec,
    /// Native probes whose last run took nearly all the time it had: who waits for the silent holds up nobody else.
    Slow,
}

impl Lane {
    pub const ALL: [Lane; 3] = [Lane::Native, Lane::Exec, Lane::Slow];

    pub fn of_probe(kind: &str) -> Lane {
        if kind == "exec" || kind == COMMAND_PROBE { Lane::Exec } else { Lane::Native }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Lane::Native => "native",
            Lane::Exec => "exec",
            Lane::Slow => "slow",
        }
    }
}

/// A due check that wants a place. At most one per check exists, which bounds the queues.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub due: Due,
    pub lane: Lane,
    pub host: Arc<str>,
}

#[derive(Debug, Default)]
struct Place {
    taken: usize,
    waiting: VecDeque<Candidate>,
}

#[derive(Debug)]
pub struct Lanes {
    limits: Limits,
    native: Place,
    exec: Place,
    slow: Place,
    /// Hosts with anything running or waiting.
    hosts: HashMap<Arc<str>, Place>,
}

impl Lanes {
    /// A limit of zero would stop everything and is taken for one.
    pub fn new(limits: Limits) -> Lanes {
        let limits = Limits {
            native: limits.native.max(1),
            exec: limits.exec.max(1),
            slow: limits.slow.max(1),
            per_host: limits.per_host.max(1),
        };
        let (native, exec, slow) = (Place::default(), Place::default(), Place::default());
        Lanes { limits, native, exec, slow, hosts: HashMap::new() }
    }

    /// Takes a place for the candidate and gives it back to be started, or keeps it waiting.
    pub fn admit(&mut self, candidate: Candidate) -> Option<Candidate> {
        let host = self.hosts.entry(Arc::clone(&candidate.host)).or_default();
        if host.taken >= self.limits.per_host {
            host.waiting.push_back(candidate);
            return None;
        }
        host.taken += 1;
        self.enter_lane(candidate)
    }

    /// Gives a place back; the returned candidates have places now and are to be started.
    pub fn release(&mut self, lane: Lane, host: &Arc<str>) -> Vec<Candidate> {
        let mut started = Vec::new();
        let (place, _) = self.lane(lane);
        place.taken = place.taken.saturating_sub(1);
        if let Some(next) = place.waiting.pop_front() {
            place.taken += 1;
            started.push(next);
        }
        let Some(place) = self.hosts.get_mut(host) else { return started };
        place.taken = place.taken.saturating_sub(1);
        if let Some(next) = place.waiting.pop_front() {
            place.taken += 1;
            started.extend(self.enter_lane(next));
        } else if place.taken == 0 {
            self.hosts.remove(host);
        }
        started
    }

    /// Takes out everyone who waits, in the order of their waiting; those who run keep their places. Whoever still wants
    /// one asks again.
    pub fn take_waiting(&mut self) -> Vec<Candidate> {
        let mut waited = Vec::new();
        for lane in Lane::ALL {
            let (place, _) = self.lane(lane);
            for candidate in std::mem::take(&mut place.waiting) {
                if let Some(host) = self.hosts.get_mut(&candidate.host) {
                    host.taken = host.taken.saturating_sub(1);
                }
                waited.push(candidate);
            }
        }
        let of_lanes = waited.len();
        self.hosts.retain(|_, host| {
            waited.extend(std::mem::take(&mut host.waiting));
            host.taken > 0
        });
        // Hosts have no order of their own.
        if let Some(of_hosts) = waited.get_mut(of_lanes..) {
            of_hosts.sort_by_key(|candidate| (candidate.due.due, candidate.due.slot));
        }
        waited
    }

    fn enter_lane(&mut self, candidate: Candidate) -> Option<Candidate> {
        let (place, limit) = self.lane(candidate.lane);
        if place.taken >= limit {
            place.waiting.push_back(candidate);
            return None;
        }
        place.taken += 1;
        Some(candidate)
    }

    fn lane(&mut self, lane: Lane) -> (&mut Place, usize) {
        match lane {
            Lane::Native => (&mut self.native, self.limits.native),
            Lane::Exec => (&mut self.exec, self.limits.exec),
            Lane::Slow => (&mut self.slow, self.limits.slow),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stentor_core::Timestamp;
    use stentor_core::schedule::Why;

    use super::*;

    fn candidate(slot: u32, lane: Lane, host: &str) -> Candidate {
        Candidate { due: Due { slot, due: Timestamp::ZERO, why: Why::Phase }, lane, host: host.into() }
    }

    #[test]
    fn full_plugins_do_not_hold_up_native_probes() {
        let mut lanes = Lanes::new(Limits { native: 1, exec: 1, slow: 1, per_host: 10 });
        assert!(lanes.admit(candidate(1, Lane::Exec, "a")).is_some());
        assert!(lanes.admit(candidate(2, Lane::Exec, "a")).is_none());
        assert!(lanes.admit(candidate(3, Lane::Native, "a")).is_some());
        let next = lanes.release(Lane::Exec, &"a".into());
        assert_eq!(next.iter().map(|c| c.due.slot).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_busy_host_does_not_hold_up_others() {
        let mut lanes = Lanes::new(Limits { native: 10, exec: 1, slow: 1, per_host: 1 });
        assert!(lanes.admit(candidate(1, Lane::Native, "a")).is_some());
        assert!(lanes.admit(candidate(2, Lane::Native, "a")).is_none());
        assert!(lanes.admit(candidate(3, Lane::Native, "b")).is_some());
    }

    proptest! {
        #[test]
        fn limits_hold_and_everyone_runs(
            arrivals in proptest::collection::vec((0usize..4, any::<bool>(), any::<bool>()), 0..200),
            clear_at in proptest::option::of(0usize..200),
        ) {
            let limits = Limits { native: 5, exec: 2, slow: 5, per_host: 3 };
            let mut lanes = Lanes::new(limits);
            let (mut running, mut expected, mut started) = (Vec::<Candidate>::new(), 0, 0);
            for (i, (host, exec, finish_one)) in arrivals.into_iter().enumerate() {
                let lane = if exec { Lane::Exec } else { Lane::Native };
                expected += 1;
                let mut new: Vec<_> = lanes.admit(candidate(i as u32, lane, &format!("h{host}"))).into_iter().collect();
                if finish_one && !running.is_empty() {
                    let done = running.remove(0);
                    new.extend(lanes.release(done.lane, &done.host));
                }
                if clear_at == Some(i) {
                    // Every third is not wanted any more, the others ask again.
                    let waited = lanes.take_waiting();
                    prop_assert_eq!(waited.len(), expected - started - new.len());
                    for candidate in waited {
                        if candidate.due.slot % 3 == 0 {
                            expected -= 1;
                        } else {
                            new.extend(lanes.admit(candidate));
                        }
                    }
                }
                started += new.len();
                running.extend(new);
                for lane in Lane::ALL {
                    let limit = if lane == Lane::Exec { limits.exec } else { limits.native };
                    prop_assert!(running.iter().filter(|c| c.lane == lane).count() <= limit);
                }
                for host in 0..4 {
                    let name = format!("h{host}");
                    prop_assert!(running.iter().filter(|c| *c.host == *name).count() <= limits.per_host);
                }
            }
            while let Some(done) = running.pop() {
                let new = lanes.release(done.lane, &done.host);
                started += new.len();
                running.extend(new);
            }
            prop_assert_eq!(started, expected, "someone waits for ever");
            prop_assert!(lanes.hosts.is_empty());
        }
    }
}
