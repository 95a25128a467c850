//! Notification and execution dependencies: which master, if any, silences an object (specification 03, 5.5).

use std::collections::BTreeSet;

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

impl Judge<'_> {
    /// The first dependency that fails: its master is in a state of the criteria. With `inherits_parent` what the
    /// master depends on counts too.
    pub fn failing(&self, object: ObjectId) -> Option<&Dependency> {
        self.find(object, &mut BTreeSet::new())
    }

    /// `seen` ends the search where a configuration depends on itself.
    fn find(&self, object: ObjectId, seen: &mut BTreeSet<ObjectId>) -> Option<&Dependency> {
        if !seen.insert(object) {
            return None;
        }
        let nagios = &self.catalog.nagios;
        let own = nagios.index.dependencies.get(&object)?;
        own.iter().filter_map(|at| nagios.dependencies.get(*at as usize)).find_map(|dependency| {
            let criteria = match self.purpose {
                Purpose::Notification => dependency.notification,
                Purpose::Execution => dependency.execution,
            };
            // Only this dependency rests outside its period, not the rest of the list (decision 09).
            if criteria.is_empty() || !dependency.period.is_none_or(self.inside) {
                return None;
            }
            if criteria.has(Options::of_state(self.state(dependency.master))) {
                return Some(dependency);
            }
            dependency.inherits_parent.then(|| self.find(dependency.master, seen)).flatten()
        })
    }

    /// A master that was never checked counts by its initial state, as in Nagios: `p` matches nothing.
    fn state(&self, master: ObjectId) -> u8 {
        let row = (self.row)(master);
        if row.kind == StateKind::Soft && !self.soft_states { row.last_hard_state } else { row.state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::nagios::Nagios;
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
        judge.failing(A).map(|dependency| dependency.master)
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
}
