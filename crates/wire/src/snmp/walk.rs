//! Several columns walked at once: what each GETBULK asks for, and what its answer means. Packets go elsewhere.
//!
//! Each column goes on from its own last cell, so tables with holes and columns of different lengths lose nothing.

use super::{Oid, SnmpValue, VarBind};

/// What an answer should fill: a datagram that no Ethernet has to break up, with what SNMPv3 adds.
const ANSWER_BYTES: usize = 1_300;
/// What a cell is taken to be before the first answer: the longest usual identifier with a name. There are agents that are
/// silent where their answer would be too long.
const CELL_BYTES_FIRST: usize = 64;
/// Columns of one question: small agents take long over each, and some give up on many.
const COLUMNS_MAX: usize = 20;
/// No cell is shorter: two headers, an identifier of a table, a byte of value.
const CELL_BYTES_MIN: usize = 16;

/// Why a walk cannot go on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WalkError {
    #[error("a column has more than {0} rows")]
    TooMany(usize),
    /// The walk would never end.
    #[error("it goes from {0} back to {1}")]
    Backwards(Oid, Oid),
    #[error("an answer without any object")]
    Nothing,
}

/// One GETBULK.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ask {
    pub oids: Vec<Oid>,
    pub repetitions: u32,
}

#[derive(Debug)]
struct Column {
    root: Oid,
    last: Oid,
    rows: usize,
    is_done: bool,
}

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    columns: Vec<Column>,
    rows_max: usize,
    repetitions_max: u32,
    /// Columns of the last question, in its order.
    asked: Vec<usize>,
    answer_bytes: usize,
    /// Of all answers so far.
    cells: usize,
    bytes: usize,
    found: Vec<VarBind>,
}

impl Walk {
    /// Walks everything below `roots`, at most `rows_max` objects below each.
    pub fn new(roots: &[Oid], rows_max: usize, repetitions_max: u32) -> Walk {
        let column = |root: &Oid| Column { root: root.clone(), last: root.clone(), rows: 0, is_done: false };
        Walk {
            columns: roots.iter().map(column).collect(),
            rows_max,
            repetitions_max: repetitions_max.max(1),
            asked: Vec::new(),
            answer_bytes: ANSWER_BYTES,
            cells: 0,
            bytes: 0,
            found: Vec::new(),
        }
    }

    /// What to ask next; `None` when all columns are at their end.
    pub fn ask(&mut self) -> Option<Ask> {
        let cell_bytes = self.bytes.checked_div(self.cells).unwrap_or(CELL_BYTES_FIRST).max(CELL_BYTES_MIN);
        let cells = (self.answer_bytes / cell_bytes).max(1);
        let pending = self.columns.iter().enumerate().filter(|(_, column)| !column.is_done);
        self.asked = pending.map(|(at, _)| at).take(cells.min(COLUMNS_MAX)).collect();
        if self.asked.is_empty() {
            return None;
        }
        let rows = u32::try_from(cells / self.asked.len()).unwrap_or(u32::MAX);
        let oids = self.asked.iter().filter_map(|at| self.columns.get(*at)).map(|column| column.last.clone()).collect();
        Some(Ask { oids, repetitions: rows.clamp(1, self.repetitions_max) })
    }

    /// Takes the answer to the last question. An agent may leave out as much of its end as it likes.
    ///
    /// # Errors
    /// The walk makes no sense, or is too long.
    pub fn take(&mut self, answer: Vec<VarBind>) -> Result<(), WalkError> {
        if answer.is_empty() || self.asked.is_empty() {
            return Err(WalkError::Nothing);
        }
        for (i, bind) in answer.into_iter().enumerate() {
            let at = self.asked.get(i % self.asked.len()).copied().unwrap_or_default();
            let Some(column) = self.columns.get_mut(at).filter(|column| !column.is_done) else { continue };
            if bind.value == SnmpValue::Missing || bind.oid.below(&column.root).is_none_or(<[u32]>::is_empty) {
                column.is_done = true;
                continue;
            }
            if bind.oid <= column.last {
                return Err(WalkError::Backwards(column.last.clone(), bind.oid));
            }
            column.rows += 1;
            if column.rows > self.rows_max {
                return Err(WalkError::TooMany(self.rows_max));
            }
            column.last.clone_from(&bind.oid);
            self.cells += 1;
            self.bytes += cell_bytes(&bind);
            self.found.push(bind);
        }
        Ok(())
    }

    /// An answer does not fit, or takes too long: the next question is half as long. False if it cannot be shorter.
    pub fn ask_less(&mut self) -> bool {
        self.answer_bytes /= 2;
        self.answer_bytes >= CELL_BYTES_MIN
    }

    pub fn has_found(&self) -> bool {
        !self.found.is_empty()
    }

    /// All cells, column by column in each answer; in no order that means anything.
    pub fn into_found(self) -> Vec<VarBind> {
        self.found
    }
}

/// Bytes that a cell takes in an answer, within a few.
fn cell_bytes(bind: &VarBind) -> usize {
    let arc_bytes = |arc: &u32| (1 + (31 - (arc | 1).leading_zeros()) / 7) as usize;
    let oid_bytes = |oid: &Oid| oid.arcs().iter().map(arc_bytes).sum::<usize>();
    let value = match &bind.value {
        SnmpValue::Integer(number) => (8 - number.unsigned_abs().leading_zeros() as usize / 8).max(1),
        SnmpValue::Gauge(number) | SnmpValue::Counter64(number) => (9 - number.leading_zeros() as usize / 8).max(1),
        SnmpValue::Counter32(_) | SnmpValue::Ticks(_) => 5,
        SnmpValue::Float(_) => 12,
        SnmpValue::Bytes(bytes) => bytes.len(),
        SnmpValue::Oid(oid) => oid_bytes(oid),
        SnmpValue::Ip(_) => 4,
        SnmpValue::Missing => 0,
    };
    // Three headers of two bytes each.
    oid_bytes(&bind.oid) + value + 6
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// What an agent that obeys the standard answers, cut after `cells`.
    fn bulk(objects: &BTreeMap<Oid, SnmpValue>, ask: &Ask, cells: usize) -> Vec<VarBind> {
        let mut at = ask.oids.clone();
        let mut answer = Vec::new();
        for _ in 0..ask.repetitions {
            for oid in &mut at {
                let next = objects.range((std::ops::Bound::Excluded(oid.clone()), std::ops::Bound::Unbounded)).next();
                let (oid_found, value) =
                    next.map_or((oid.clone(), SnmpValue::Missing), |(found, value)| (found.clone(), value.clone()));
                *oid = oid_found.clone();
                answer.push(VarBind { oid: oid_found, value });
            }
        }
        answer.truncate(cells.max(1));
        answer
    }

    fn root(column: u32) -> Oid {
        Oid::new(&[1, 3, 6, 1, 2, 1, 2, 2, 1, column])
    }

    #[test]
    fn an_agent_that_goes_round_in_circles_is_found_out() {
        for (answers, wanted) in [
            (&[3, 2][..], WalkError::Backwards(root(1).join(&[3]), root(1).join(&[2]))),
            (&[3, 3], WalkError::Backwards(root(1).join(&[3]), root(1).join(&[3]))),
            (&[1, 2, 3, 4, 5, 6], WalkError::TooMany(5)),
        ] {
            let mut walk = Walk::new(&[root(1)], 5, 1);
            let mut end = Ok(());
            for index in answers {
                walk.ask().expect("not at its end");
                end = walk.take(vec![VarBind { oid: root(1).join(&[*index]), value: SnmpValue::Integer(1) }]);
            }
            assert_eq!(end, Err(wanted));
        }
        let mut walk = Walk::new(&[root(1)], 5, 1);
        walk.ask().expect("not at its end");
        assert_eq!(walk.take(vec![]), Err(WalkError::Nothing));
    }

    #[test]
    fn an_agent_that_cannot_say_so_much_is_asked_for_less() {
        let mut walk = Walk::new(&[root(1), root(2), root(3)], 5, 25);
        let cells = |ask: Option<Ask>| ask.map(|ask| ask.oids.len() as u32 * ask.repetitions).expect("not at its end");
        let first = cells(walk.ask());
        assert!(walk.ask_less());
        let second = cells(walk.ask());
        assert!(second <= first / 2 + 3, "{first} {second}");
        while walk.ask_less() {}
        assert_eq!(cells(walk.ask()), 1);
    }

    proptest! {
        #[test]
        fn every_cell_below_the_roots_is_found_once(cells in proptest::collection::btree_set((1u32..8, 1u32..60), 0..200), asked in proptest::collection::btree_set(1u32..8, 1..6), cut in 1usize..80, rows in 1u32..40) {
            let objects: BTreeMap<Oid, SnmpValue> =
                cells.iter().map(|(column, row)| (root(*column).join(&[*row]), SnmpValue::Integer(i64::from(*row)))).collect();
            let roots: Vec<Oid> = asked.iter().map(|column| root(*column)).collect();
            let mut walk = Walk::new(&roots, 100, rows);
            let mut questions = 0;
            while let Some(ask) = walk.ask() {
                questions += 1;
                prop_assert!(questions < 1000);
                prop_assert_eq!(walk.take(bulk(&objects, &ask, cut)), Ok(()));
            }
            let found = walk.into_found();
            let distinct: BTreeSet<Oid> = found.iter().map(|bind| bind.oid.clone()).collect();
            let wanted: BTreeSet<Oid> =
                objects.keys().filter(|oid| roots.iter().any(|root| oid.below(root).is_some())).cloned().collect();
            prop_assert_eq!(found.len(), distinct.len());
            prop_assert_eq!(distinct, wanted);
        }

        #[test]
        fn any_answers_end_the_walk_or_the_patience(answers in proptest::collection::vec(proptest::collection::vec((proptest::collection::vec(0u32..4, 1..4), 0u8..3), 0..10), 0..40)) {
            let mut walk = Walk::new(&[root(1), root(2)], 20, 10);
            for answer in answers {
                if walk.ask().is_none() {
                    break;
                }
                let binds = answer.into_iter().map(|(arcs, kind)| VarBind {
                    oid: Oid::new(&[1, 3, 6, 1, 2, 1, 2, 2, 1]).join(&arcs),
                    value: if kind == 0 { SnmpValue::Missing } else { SnmpValue::Integer(1) },
                });
                if walk.take(binds.collect()).is_err() {
                    break;
                }
            }
            prop_assert!(walk.into_found().len() <= 40);
        }
    }
}
