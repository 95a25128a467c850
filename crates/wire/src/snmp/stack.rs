//! CISCO-STACKWISE-MIB: the members of a stack of switches, and its ring.

use std::collections::BTreeMap;

use super::rows::{Row, Rows, roots};
use super::{Oid, SnmpValue, VarBind};

const RING_REDUNDANT: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 500, 1, 1, 3, 0];
/// cswSwitchInfoEntry; index: entPhysicalIndex of the chassis.
const MEMBER: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 500, 1, 2, 1, 1];
const NUMBER: u32 = 1;
const ROLE: u32 = 3;
const STATE: u32 = 6;
/// cswStackPortInfoEntry; index: ifIndex of the stack port.
const PORT: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 500, 1, 2, 2, 1];
const PORT_OPER: u32 = 1;
const PORT_UP: i64 = 1;

/// cswSwitchState.
pub const READY: i64 = 4;
pub const REMOVED: i64 = 11;

pub fn scalars() -> Vec<Oid> {
    vec![Oid::new(RING_REDUNDANT)]
}

pub fn columns() -> Vec<Oid> {
    [roots(MEMBER, &[NUMBER, ROLE, STATE]), roots(PORT, &[PORT_OPER])].concat()
}

/// A member of a stack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    pub number: i64,
    pub role: &'static str,
    /// cswSwitchState.
    pub state: i64,
}

impl Member {
    pub fn is_ready(&self) -> bool {
        self.state == READY
    }

    pub fn state_word(&self) -> &'static str {
        match self.state {
            1 => "waiting",
            2 => "progressing",
            3 => "added",
            READY => "ready",
            5 => "sdmMismatch",
            6 => "verMismatch",
            7 => "featureMismatch",
            8 => "newMasterInit",
            9 => "provisioned",
            10 => "invalid",
            REMOVED => "removed",
            _ => "unknown",
        }
    }
}

/// A stack as one run saw it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stack {
    pub members: Vec<Member>,
    /// Whether one cut of the ring would be survived; `None` where the agent does not say.
    pub ring_redundant: Option<bool>,
    /// ifIndexes of stack ports that are not up.
    pub ports_down: Vec<u32>,
}

fn member(index: u32, row: &Row) -> Member {
    let role = match row.integer(ROLE) {
        Some(1) => "master",
        Some(2) => "member",
        Some(3) => "notMember",
        Some(4) => "standby",
        _ => "unknown",
    };
    let number = row.integer(NUMBER).filter(|number| *number > 0).unwrap_or(i64::from(index));
    Member { number, role, state: row.integer(STATE).unwrap_or_default() }
}

/// Reads the answers to [`scalars`] and [`columns`]. Of `members_wanted` those that the agent has forgotten are removed(11):
/// a member that loses its power takes its row with it.
pub fn read(found: &[VarBind], members_wanted: u32) -> Stack {
    let rows = Rows::of(found, MEMBER);
    let mut members: BTreeMap<i64, Member> = rows
        .numbered()
        .filter(|(_, row)| row.integer(STATE).is_some())
        .map(|(index, row)| member(index, row))
        .map(|member| (member.number, member))
        .collect();
    for number in 1..=i64::from(members_wanted) {
        members.entry(number).or_insert(Member { number, role: "unknown", state: REMOVED });
    }
    let ring = Oid::new(RING_REDUNDANT);
    let ring = found.iter().find(|bind| bind.oid == ring).and_then(|bind| SnmpValue::integer(&bind.value));
    let ports = Rows::of(found, PORT);
    let down = ports.numbered().filter(|(_, row)| row.integer(PORT_OPER).is_some_and(|state| state != PORT_UP));
    Stack {
        ring_redundant: match ring {
            Some(1) => Some(true),
            Some(2) => Some(false),
            _ => None,
        },
        ports_down: down.map(|(index, _)| index).collect(),
        members: members.into_values().collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(entry: &[u32], column: u32, index: u32, number: i64) -> VarBind {
        VarBind { oid: Oid::new(entry).join(&[column, index]), value: SnmpValue::Integer(number) }
    }

    #[test]
    fn members_are_told_with_those_that_vanished() {
        let found = [
            VarBind { oid: Oid::new(RING_REDUNDANT), value: SnmpValue::Integer(2) },
            cell(MEMBER, NUMBER, 1001, 1),
            cell(MEMBER, ROLE, 1001, 1),
            cell(MEMBER, STATE, 1001, READY),
            cell(PORT, PORT_OPER, 5179, 2),
            cell(PORT, PORT_OPER, 5180, 1),
        ];
        let words = |stack: &Stack| {
            let member = |one: &Member| format!("{} {} {}", one.number, one.role, one.state_word());
            stack.members.iter().map(member).collect::<Vec<_>>()
        };
        let stack = read(&found, 2);
        assert_eq!(words(&stack), ["1 master ready", "2 unknown removed"]);
        assert_eq!((stack.ring_redundant, stack.ports_down.as_slice()), (Some(false), &[5179][..]));
        assert_eq!(words(&read(&found, 0)), ["1 master ready"], "nobody said how many there should be");
        assert_eq!(read(&[], 0), Stack::default(), "no stack at all");
    }

    proptest! {
        #[test]
        fn any_cells_make_a_stack(cells in proptest::collection::vec((any::<bool>(), 0u32..8, any::<u32>(), any::<i64>()), 0..60), wanted in 0u32..9) {
            let binds: Vec<VarBind> = cells.into_iter()
                .map(|(is_port, column, index, number)| cell(if is_port { PORT } else { MEMBER }, column, index, number)).collect();
            prop_assert!(read(&binds, wanted).members.len() >= wanted as usize);
        }
    }
}
