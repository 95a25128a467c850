//! The state of a Core expression straight from the board: no names, no reasons, nothing allocated for a component that
//! is well. Says the same as the grounded expression, which a property test compares.

use super::draft::Board;
use super::verdict::Class;
use super::world::World;
use crate::availability::State;
use crate::availability::evaluate::reached;
use crate::availability::expr::{Leaf, Need, Place, Term, What, Zones};
use crate::availability::ground::needed;

pub(super) struct Eye<'w, 'a> {
    pub world: &'w World,
    pub board: &'w Board<'a>,
}

/// Members of a list: weight and state.
type Members = Vec<(u64, State)>;

impl Eye<'_, '_> {
    /// `None`: nothing of it is registered.
    pub fn state(&self, term: &Term, zone: Option<&str>) -> Option<State> {
        match term {
            Term::Leaf(leaf) => {
                let mut members = Members::new();
                self.leaf(leaf, 1, zone, &mut members);
                group(&Need::Any, &members, 1)
            }
            Term::And(terms) => self.joined(&Need::All, terms, zone),
            Term::Or(terms) => self.joined(&Need::Any, terms, zone),
            Term::Else(first, second) => self.state(first, zone).or_else(|| self.state(second, zone)),
            Term::Should(body) => self.state(body, zone).map(|state| state.max(State::Degraded)),
            Term::In { place: Place::Zone, name, body } => {
                self.world.topology.zones.contains_key(name).then(|| self.state(body, Some(name))).flatten()
            }
            // There is only this cloud here, and nobody knows its name.
            Term::In { place: Place::Cloud, body, .. } => self.state(body, None),
            Term::Of { need, members } => {
                let mut found = Members::new();
                for member in members {
                    let weight = u64::from(member.weight);
                    match &member.what {
                        What::One(Term::Leaf(leaf)) => self.leaf(leaf, weight, zone, &mut found),
                        What::One(term) => found.extend(self.state(term, zone).map(|state| (weight, state))),
                        What::Zones(zones, term) => {
                            let states = self.zones(*zones).filter_map(|zone| self.state(term, Some(zone)));
                            found.extend(states.map(|state| (weight, state)));
                        }
                    }
                }
                group(need, &found, u64::from(self.world.topology.min_nc.unwrap_or(1)))
            }
        }
    }

    fn joined(&self, need: &Need, terms: &[Term], zone: Option<&str>) -> Option<State> {
        let members: Members = terms.iter().filter_map(|term| self.state(term, zone)).map(|state| (1, state)).collect();
        group(need, &members, 1)
    }

    fn zones(&self, zones: Zones) -> impl Iterator<Item = &str> {
        let topology = &self.world.topology;
        let fits = move |zone: &&std::sync::Arc<str>| {
            let vmware = topology.vmware_zones.contains(zone);
            match zones {
                Zones::Every => true,
                Zones::Vmware => vmware,
                Zones::Own => !vmware,
            }
        };
        topology.zones.keys().filter(fits).map(|zone| &**zone)
    }

    fn leaf(&self, leaf: &Leaf, weight: u64, zone: Option<&str>, found: &mut Members) {
        match leaf {
            Leaf::Kind(kind) => self.instances(kind, weight, zone, found),
            Leaf::Component { host, key } => {
                let comps = self.world.host(host).map(|host| self.world.hosts[host].comps.clone());
                let comp = comps.into_iter().flatten().find(|comp| self.world.comps[*comp].key == *key);
                found.extend(comp.map(|comp| (weight, self.of(comp))));
            }
            Leaf::Host(name) => found.extend(self.world.host(name).map(|host| {
                let root = self.board.host_root[host].map(|draft| self.board.drafts[draft].class);
                (weight, root.map_or(State::Available, out))
            })),
            Leaf::Backend(name) if self.world.topology.backends.contains_key(name) => {
                found.push((weight, self.backend(name)));
            }
            Leaf::BackendsOf(kind) => {
                let used = self.world.topology.backends.iter().filter(|(_, kinds)| kinds.contains(kind));
                found.extend(used.map(|(name, _)| (weight, self.backend(name))));
            }
            // The reader of the configuration refuses these in a Core expression.
            Leaf::Backend(_) | Leaf::Service { .. } | Leaf::Business(_) | Leaf::Core(_) => {}
        }
    }

    fn instances(&self, kind: &str, weight: u64, zone: Option<&str>, found: &mut Members) {
        match zone {
            None => {
                for group in self.world.groups_of(kind) {
                    found.extend(group.iter().map(|comp| (weight, self.of(*comp))));
                }
            }
            Some(zone) if self.world.topology.is_zonal(kind) => {
                let group = self.world.group(kind, Some(zone));
                found.extend(group.iter().map(|comp| (weight, self.of(*comp))));
            }
            Some(zone) => {
                let in_zone = |comp: &&usize| {
                    let host = &self.world.hosts[self.world.comps[**comp].host].name;
                    let first = self.world.topology.zones.iter().find(|(_, hosts)| hosts.contains(host));
                    first.is_some_and(|(name, _)| &**name == zone)
                };
                let group = self.world.group(kind, None).iter().filter(in_zone);
                found.extend(group.map(|comp| (weight, self.of(*comp))));
            }
        }
    }

    fn of(&self, comp: usize) -> State {
        match self.board.out_by(self.world, comp) {
            None => State::Available,
            Some(draft) => out(self.board.drafts[draft].class),
        }
    }

    fn backend(&self, name: &str) -> State {
        let lost = self
            .board
            .drafts
            .iter()
            .any(|draft| draft.class == Class::ResourceUnavailable && draft.target.host.as_deref() == Some(name));
        if lost { State::Unavailable } else { State::Available }
    }
}

fn out(class: Class) -> State {
    if class == Class::MonitorIsolated { State::Unknown } else { State::Unavailable }
}

fn group(need: &Need, members: &Members, setting: u64) -> Option<State> {
    if members.is_empty() {
        return None;
    }
    let total = members.iter().map(|(weight, _)| weight).sum();
    Some(reached(needed(need, total, setting), members.iter().copied()))
}
