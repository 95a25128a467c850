//! Notification and execution dependencies: which master, if any, silences an object (specification 03, 5.5).
//!
//! Beyond Nagios, several dependencies of one object may form a redundancy group: it fails only while fewer of its
//! masters than the object needs hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::catalog::nagios::{Dependency, Options};
use crate::id::{ObjectId, TimeperiodId};
use crate::model::StateKind;
use crate::snapshot::Row;

/// Which of the two lists of criteria counts.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Purpose {
    Notification,
    Execution,
}

/// What the dependencies of any object are judged by.
pub struct Judge<'a> {
    pub catalog: &'a Catalog,
    pub purpose: Purpose,
    /// `soft_state_dependencies`: a soft state counts as it is; else the last hard one does.
    pub soft_states: bool,
    pub row: &'a dyn Fn(ObjectId) -> Row,
    /// Whether now lies inside a timeperiod.
    pub inside: &'a dyn Fn(TimeperiodId) -> bool,
}

/// A dependency that fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The first master that is in a state of the criteria.
    pub master: ObjectId,
    /// Of a redundancy group: how it stands.
    pub group: Option<Shortfall>,
}

/// A redundancy group with too few masters left.
#[derive(Clone, Debug, PartialEq)]
pub struct Shortfall {
    pub name: Arc<str>,
    pub available: u32,
    pub members: u32,
    pub needed: u32,
}

impl Failure {
    /// `service m on host h`, and of a group `2 of 3 available, 3 needed`.
    pub fn describe(&self, catalog: &Catalog) -> String {
        let master = catalog.object_key(self.master);
        let master = match master.service {
            Some(service) => format!("service {service} on host {}", master.host),
            None => format!("host {}", master.host),
        };
        match &self.group {
            None => master,
            Some(Shortfall { name, available, members, needed }) => format!(
                "redundancy group {name}: {available} of {members} available, {needed} needed; one that failed: {master}"
            ),
        }
    }
}

/// What is known of an object while its masters are looked at.
enum Known {
    /// On the way to it: a configuration that depends on itself ends here, as holding.
    Open,
    Judged(Option<Failure>),
}

impl Judge<'_> {
    /// The first dependency that fails: its master is in a state of the criteria. With `inherits_parent` what the
    /// master depends on counts too.
    pub fn failing(&self, object: ObjectId) -> Option<Failure> {
        if !self.catalog.nagios.index.dependencies.contains_key(&object) {
            return None;
        }
        let mut known: BTreeMap<ObjectId, Known> = BTreeMap::new();
        // Masters are judged before what depends on them; without recursion, for chains may be long.
        let mut open = vec![(object, false)];
        while let Some((at, masters_known)) = open.pop() {
            if masters_known {
                let failure = self.judge(at, &known);
                known.insert(at, Known::Judged(failure));
                continue;
            }
            if known.contains_key(&at) {
                continue;
            }
            known.insert(at, Known::Open);
            open.push((at, true));
            let inherited = self.counting(at).filter(|dependency| dependency.inherits_parent);
            open.extend(inherited.map(|dependency| (dependency.master, false)));
        }
        match known.remove(&object) {
            Some(Known::Judged(failure)) => failure,
            Some(Known::Open) | None => None,
        }
    }

    /// The dependencies of an object that can fail at all now. An unmet period rests its own dependency, not the rest of
    /// the list (decision 09).
    fn counting(&self, object: ObjectId) -> impl Iterator<Item = &Dependency> {
        self.of(object).filter(|dependency| self.is_awake(dependency))
    }

    /// The dependencies of an object that have criteria.
    fn of(&self, object: ObjectId) -> impl Iterator<Item = &Dependency> {
        let nagios = &self.catalog.nagios;
        let own = nagios.index.dependencies.get(&object).map_or(&[][..], Vec::as_slice);
        let own = own.iter().filter_map(|at| nagios.dependencies.get(*at as usize));
        own.filter(|dependency| !self.criteria(dependency).is_empty())
    }

    fn is_awake(&self, dependency: &Dependency) -> bool {
        dependency.period.is_none_or(self.inside)
    }

    fn criteria(&self, dependency: &Dependency) -> Options {
        match self.purpose {
            Purpose::Notification => dependency.notification,
            Purpose::Execution => dependency.execution,
        }
    }

    /// The first failure in the order of the configuration; a group stands where its first member does.
    fn judge(&self, object: ObjectId, known: &BTreeMap<ObjectId, Known>) -> Option<Failure> {
        let mut groups: Vec<&Arc<str>> = Vec::new();
        for dependency in self.of(object) {
            let failure = match &dependency.redundancy {
                None => self.failure(dependency, known),
                Some(group) if groups.contains(&&group.name) => None,
                Some(group) => {
                    groups.push(&group.name);
                    self.group(object, &group.name, known)
                }
            };
            if failure.is_some() {
                return failure;
            }
        }
        None
    }

    /// Whether a single dependency fails, by its master or by what that depends on.
    fn failure(&self, dependency: &Dependency, known: &BTreeMap<ObjectId, Known>) -> Option<Failure> {
        if !self.is_awake(dependency) {
            return None;
        }
        if self.criteria(dependency).has(Options::of_state(self.state(dependency.master))) {
            return Some(Failure { master: dependency.master, group: None });
        }
        match known.get(&dependency.master).filter(|_| dependency.inherits_parent) {
            Some(Known::Judged(failure)) => failure.clone(),
            Some(Known::Open) | None => None,
        }
    }

    /// Whether fewer masters of a group hold than the object needs. Each master counts once, and holds if every
    /// dependency on it does; one that rests outside its period cannot fail, and so holds.
    fn group(&self, object: ObjectId, name: &Arc<str>, known: &BTreeMap<ObjectId, Known>) -> Option<Failure> {
        let mut masters: BTreeMap<ObjectId, bool> = BTreeMap::new();
        let (mut first, mut needed) = (None, 1);
        for dependency in self.of(object) {
            let Some(group) = dependency.redundancy.as_ref().filter(|group| group.name == *name) else { continue };
            needed = needed.max(group.min_available);
            let failure = self.failure(dependency, known);
            *masters.entry(dependency.master).or_insert(true) &= failure.is_none();
            first = first.or(failure);
        }
        let members = count(masters.len());
        let available = count(masters.values().filter(|holds| **holds).count());
        // A group that needs more than it has needs all: the readers refuse it, and it must not fail for good.
        let needed = needed.min(members);
        let first = first.filter(|_| available < needed)?;
        let shortfall = Shortfall { name: Arc::clone(name), available, members, needed };
        Some(Failure { master: first.master, group: Some(shortfall) })
    }

    /// A master that was never checked counts by its initial state, as in Nagios: `p` matches nothing.
    fn state(&self, master: ObjectId) -> u8 {
        let row = (self.row)(master);
        if row.kind == StateKind::Soft && !self.soft_states { row.last_hard_state } else { row.state }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::nagios::{Nagios, Redundancy};
    use crate::id::ServiceId;

    const A: ObjectId = ObjectId::Service(ServiceId(0));
    const B: ObjectId = ObjectId::Service(ServiceId(1));
    const C: ObjectId = ObjectId::Service(ServiceId(2));
    const CLOSED: TimeperiodId = TimeperiodId(0);

    fn on(master: ObjectId, dependent: ObjectId) -> Dependency {
        Dependency {
            master,
            dependent,
            execution: Options::NONE,
            notification: Options::CRITICAL | Options::UNKNOWN,
            inherits_parent: false,
            period: None,
            redundancy: None,
        }
    }

    fn row(state: u8, last_hard_state: u8, kind: StateKind) -> Row {
        Row { state, last_hard_state, kind, ..Row::default() }
    }

    fn master_of(
        dependencies: Vec<Dependency>,
        rows: [Row; 3],
        soft_states: bool,
        purpose: Purpose,
    ) -> Option<ObjectId> {
        let mut catalog = Catalog { nagios: Nagios { dependencies, ..Nagios::default() }, ..Catalog::default() };
        catalog.reindex();
        let judge = Judge {
            catalog: &catalog,
            purpose,
            soft_states,
            row: &|object| match object {
                ObjectId::Service(id) => rows[id.index()],
                ObjectId::Host(_) => Row::default(),
            },
            inside: &|period| period != CLOSED,
        };
        judge.failing(A).map(|failure| failure.master)
    }

    #[test]
    fn a_master_in_a_state_of_the_criteria_fails_its_dependents() {
        let hard = |state| row(state, state, StateKind::Hard);
        let soft_critical = row(2, 0, StateKind::Soft);
        let soft_ok_again = row(0, 2, StateKind::Soft);
        let inherits = Dependency { inherits_parent: true, ..on(B, A) };
        let resting = Dependency { period: Some(CLOSED), ..on(B, A) };
        /// What it shows, the dependencies, the rows of B and C, whether soft states count, the master that fails.
        type Failing<'a> = (&'a str, Vec<Dependency>, Row, Row, bool, Option<ObjectId>);
        let table: &[Failing<'_>] = &[
            ("no dependency", vec![], hard(2), hard(2), false, None),
            ("of another object", vec![on(A, B)], hard(2), hard(2), false, None),
            ("master OK", vec![on(B, A)], hard(0), hard(0), false, None),
            ("master in another state", vec![on(B, A)], hard(1), hard(0), false, None),
            ("master failed", vec![on(B, A)], hard(2), hard(0), false, Some(B)),
            ("soft failure counts as the hard state before", vec![on(B, A)], soft_critical, hard(0), false, None),
            ("soft failure counts if asked to", vec![on(B, A)], soft_critical, hard(0), true, Some(B)),
            ("soft recovery still counts as failed", vec![on(B, A)], soft_ok_again, hard(0), false, Some(B)),
            ("any of several", vec![on(B, A), on(C, A)], hard(0), hard(3), false, Some(C)),
            ("not inherited", vec![on(B, A), on(C, B)], hard(0), hard(2), false, None),
            ("inherited", vec![inherits.clone(), on(C, B)], hard(0), hard(2), false, Some(C)),
            ("outside its period", vec![resting.clone()], hard(2), hard(0), false, None),
            ("the next one still counts", vec![resting, on(C, A)], hard(2), hard(2), false, Some(C)),
            (
                "a circle ends",
                vec![inherits, Dependency { inherits_parent: true, ..on(A, B) }],
                hard(0),
                hard(0),
                false,
                None,
            ),
        ];
        for (name, dependencies, b, c, soft_states, expect) in table {
            let found = master_of(dependencies.clone(), [Row::default(), *b, *c], *soft_states, Purpose::Notification);
            assert_eq!(found, *expect, "{name}");
        }
    }

    #[test]
    fn the_two_lists_of_criteria_are_kept_apart() {
        let execution = Dependency { execution: Options::WARNING, notification: Options::NONE, ..on(B, A) };
        let rows = [Row::default(), row(1, 1, StateKind::Hard), Row::default()];
        assert_eq!(master_of(vec![execution.clone()], rows, false, Purpose::Notification), None);
        assert_eq!(master_of(vec![execution], rows, false, Purpose::Execution), Some(B));
    }

    /// Dependencies of the first service of a chain of ten on the others.
    fn failing(dependencies: Vec<Dependency>, states: &[u8]) -> Option<Failure> {
        let mut catalog = Catalog { nagios: Nagios { dependencies, ..Nagios::default() }, ..Catalog::default() };
        catalog.reindex();
        let judge = Judge {
            catalog: &catalog,
            purpose: Purpose::Notification,
            soft_states: false,
            row: &|object| match object {
                ObjectId::Service(id) => {
                    let state = states.get(id.index()).copied().unwrap_or(0);
                    row(state, state, StateKind::Hard)
                }
                ObjectId::Host(_) => Row::default(),
            },
            inside: &|period| period != CLOSED,
        };
        judge.failing(A)
    }

    fn service(id: usize) -> ObjectId {
        ObjectId::Service(ServiceId::from_index(id))
    }

    fn grouped(name: &str, min_available: u32, dependency: Dependency) -> Dependency {
        Dependency { redundancy: Some(Redundancy { name: name.into(), min_available }), ..dependency }
    }

    fn stands(failure: Option<Failure>) -> Option<(ObjectId, u32, u32, u32)> {
        let failure = failure?;
        let group = failure.group?;
        Some((failure.master, group.available, group.members, group.needed))
    }

    #[test]
    fn a_group_fails_only_while_too_few_of_it_hold() {
        let group = |min| (1..=3).map(|id| grouped("ldap", min, on(service(id), A))).collect::<Vec<_>>();
        /// What it shows, how many are needed, the states, the failed master with available, members, needed.
        type Standing<'a> = (&'a str, u32, [u8; 4], Option<(ObjectId, u32, u32, u32)>);
        let table: &[Standing<'_>] = &[
            ("all hold", 2, [0, 0, 0, 0], None),
            ("two of three are enough", 2, [0, 0, 2, 0], None),
            ("one is not", 2, [0, 0, 2, 3], Some((service(2), 1, 3, 2))),
            ("one is enough where one is needed", 1, [0, 2, 2, 0], None),
            ("none", 1, [0, 2, 2, 2], Some((service(1), 0, 3, 1))),
            ("a state outside the criteria holds", 3, [0, 1, 0, 0], None),
            ("no group can need more than it has", 9, [0, 0, 0, 2], Some((service(3), 2, 3, 3))),
        ];
        for (name, min, states, expect) in table {
            assert_eq!(stands(failing(group(*min), states)), *expect, "{name}");
        }
    }

    #[test]
    fn groups_and_single_dependencies_stand_beside_each_other() {
        let two = |name: &str, ids: [usize; 2]| ids.map(|id| grouped(name, 1, on(service(id), A))).to_vec();
        let both = [two("a", [1, 2]), two("b", [3, 4]), vec![on(service(5), A)]].concat();
        assert_eq!(failing(both.clone(), &[0, 2, 0, 0, 2, 0]), None, "each group has one left");
        let failed = failing(both.clone(), &[0, 2, 0, 2, 2, 0]).and_then(|failure| failure.group);
        assert_eq!(failed.map(|group| group.name), Some("b".into()));
        let alone = failing(both, &[0, 0, 0, 0, 0, 2]);
        assert_eq!(alone, Some(Failure { master: service(5), group: None }));
    }

    #[test]
    fn a_member_that_rests_cannot_fail_and_a_master_counts_once() {
        let resting = Dependency { period: Some(CLOSED), ..on(service(1), A) };
        let members = vec![grouped("g", 1, resting.clone()), grouped("g", 1, on(service(2), A))];
        assert_eq!(failing(members, &[0, 2, 2]), None);
        let twice = vec![grouped("g", 1, on(service(1), A)), grouped("g", 1, on(service(1), A))];
        assert_eq!(stands(failing(twice, &[0, 2])), Some((service(1), 0, 1, 1)));
    }

    #[test]
    fn a_member_fails_by_what_it_inherits_also_where_others_share_it() {
        let inherits = |id| grouped("g", 1, Dependency { inherits_parent: true, ..on(service(id), A) });
        let shared = vec![inherits(1), inherits(2), on(service(9), service(1)), on(service(9), service(2))];
        let mut states = [0; 10];
        states[9] = 2;
        assert_eq!(stands(failing(shared.clone(), &states)), Some((service(9), 0, 2, 1)));
        let one = shared[..3].to_vec();
        assert_eq!(failing(one, &states), None, "the other member does not lean on it");
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_is_followed_to_its_end() {
        let link = |id| Dependency { inherits_parent: true, ..on(service(id + 1), service(id)) };
        let chain: Vec<Dependency> = (0..100_000).map(link).collect();
        let mut states = vec![0; 100_001];
        states[100_000] = 2;
        assert_eq!(failing(chain, &states).map(|failure| failure.master), Some(service(100_000)));
    }

    #[test]
    fn a_failure_is_told_with_what_is_left() {
        let failure = |group| Failure { master: ObjectId::Host(crate::id::HostId(0)), group };
        let shortfall = Shortfall { name: "ldap".into(), available: 1, members: 3, needed: 2 };
        let mut catalog = Catalog::default();
        catalog.hosts.push(crate::catalog::Host {
            name: "h".into(),
            display: "h".into(),
            address: "h".into(),
            zone: crate::id::ZoneId(0),
            cloud: None,
            parents: Vec::new(),
            components: Vec::new(),
            check: None,
            params: crate::model::Value::Null,
            view: crate::catalog::View::None,
            bmc: None,
            services: Vec::new(),
        });
        assert_eq!(failure(None).describe(&catalog), "host h");
        assert_eq!(
            failure(Some(shortfall)).describe(&catalog),
            "redundancy group ldap: 1 of 3 available, 2 needed; one that failed: host h"
        );
    }

    proptest! {
        /// A group of one, and a group that needs all of its members, are ordinary dependencies.
        #[test]
        fn a_group_that_needs_all_fails_as_ordinary_dependencies_do(
            states in proptest::collection::vec(0u8..4, 8),
            edges in proptest::collection::vec((0usize..8, 0usize..8, any::<bool>()), 0..12),
            members in 1usize..8,
        ) {
            let edge = |(from, to, inherits_parent)| Dependency { inherits_parent, ..on(service(to), service(from)) };
            let others = || edges.iter().copied().filter(|(from, to, _)| 0 < *from && from < to).map(edge);
            let own = |id| Dependency { inherits_parent: id % 2 == 0, ..on(service(id), A) };
            let plain: Vec<Dependency> = (1..=members).map(own).chain(others()).collect();
            let needed = u32::try_from(members).expect("few");
            let group = (1..=members).map(|id| grouped("g", needed, own(id))).chain(others()).collect();
            let expect = failing(plain, &states).map(|failure| failure.master);
            prop_assert_eq!(failing(group, &states).map(|failure| failure.master), expect);
        }

        /// Who needs more fails no less; and it fails exactly while fewer hold than are needed.
        #[test]
        fn what_needs_more_fails_no_less(states in proptest::collection::vec(0u8..4, 9), members in 1usize..9) {
            let fails = |needed: u32| {
                let group = (1..=members).map(|id| grouped("g", needed, on(service(id), A))).collect();
                failing(group, &states).is_some()
            };
            let holding = (1..=members).filter(|id| states.get(*id).is_none_or(|state| *state < 2)).count();
            for needed in 1..=u32::try_from(members).expect("few") {
                prop_assert!(!fails(needed) || fails(needed + 1));
                prop_assert_eq!(fails(needed), holding < needed as usize);
            }
        }
    }
}
