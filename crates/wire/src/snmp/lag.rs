//! IEEE8023-LAG-MIB: the switch's end of LACP. Which ports belong to which aggregator, who is at the other end, and what
//! each side says of itself.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Bits, Row, Rows, mac, roots};
use super::{Oid, VarBind};

/// dot3adAggPortEntry.
const PORT: &[u32] = &[1, 2, 840, 10006, 300, 43, 1, 2, 1, 1];
const ACTOR_ADMIN_KEY: u32 = 4;
const ACTOR_OPER_KEY: u32 = 5;
const PARTNER_SYSTEM: u32 = 9;
const PARTNER_KEY: u32 = 11;
const SELECTED: u32 = 12;
const ATTACHED: u32 = 13;
const PARTNER_PORT: u32 = 17;
const ACTOR_STATE: u32 = 21;
const PARTNER_STATE: u32 = 23;
/// dot3adAggPortDebugEntry.
const DEBUG: &[u32] = &[1, 2, 840, 10006, 300, 43, 1, 2, 3, 1];
const ACTOR_CHURN: u32 = 5;
const PARTNER_CHURN: u32 = 6;
/// dot3adAggPortDebugActorChurnState: churn.
const CHURNED: i64 = 2;

/// Columns to walk.
pub fn columns() -> Vec<Oid> {
    let port = [
        ACTOR_ADMIN_KEY,
        ACTOR_OPER_KEY,
        PARTNER_SYSTEM,
        PARTNER_KEY,
        SELECTED,
        ATTACHED,
        PARTNER_PORT,
        ACTOR_STATE,
        PARTNER_STATE,
    ];
    let mut all = roots(PORT, &port);
    all.extend(roots(DEBUG, &[ACTOR_CHURN, PARTNER_CHURN]));
    all
}

/// LacpState (IEEE 802.1AX, 6.4.2.3): a byte of each LACPDU.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LacpState(pub Bits);

/// Names of the bits, from bit 0.
const STATE_WORDS: [&str; 8] = [
    "activity",
    "timeout_short",
    "aggregation",
    "synchronization",
    "collecting",
    "distributing",
    "defaulted",
    "expired",
];
const AGGREGATION: u32 = 2;
/// Synchronization, collecting, distributing: all three, or no frame goes that way.
const CARRIES: [u32; 3] = [3, 4, 5];
const DEFAULTED: u32 = 6;
const EXPIRED: u32 = 7;

impl LacpState {
    pub fn carries(self) -> bool {
        CARRIES.into_iter().all(|bit| self.0.has(bit))
    }

    /// Nothing was heard from the partner: what is known of it was made up.
    pub fn is_defaulted(self) -> bool {
        self.0.has(DEFAULTED)
    }

    pub fn is_expired(self) -> bool {
        self.0.has(EXPIRED)
    }

    pub fn words(self) -> Vec<&'static str> {
        STATE_WORDS.iter().zip(0..).filter(|(_, bit)| self.0.has(*bit)).map(|(word, _)| *word).collect()
    }
}

/// A port that takes part in aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// ifIndex.
    pub index: u32,
    pub key: Option<i64>,
    /// ifIndex of the aggregator; `None` where the port is attached to none.
    pub attached: Option<u32>,
    pub selected: Option<u32>,
    /// MAC address; `None` where it is all zeros, which stands for nobody.
    pub partner: Option<String>,
    pub partner_key: Option<i64>,
    pub partner_port: Option<i64>,
    pub actor: Option<LacpState>,
    pub partner_state: Option<LacpState>,
    pub is_churned: bool,
}

impl Port {
    fn of(index: u32, row: &Row, debug: Option<&Row>) -> Port {
        let aggregator = |column: u32| {
            row.integer(column).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
        };
        let churned = |column: u32| debug.and_then(|row| row.integer(column)) == Some(CHURNED);
        Port {
            index,
            key: row.integer(ACTOR_ADMIN_KEY).filter(|key| *key > 0).or_else(|| row.integer(ACTOR_OPER_KEY)),
            attached: aggregator(ATTACHED),
            selected: aggregator(SELECTED),
            partner: row.bytes(PARTNER_SYSTEM).filter(|bytes| bytes.iter().any(|byte| *byte != 0)).and_then(mac),
            partner_key: row.integer(PARTNER_KEY),
            partner_port: row.integer(PARTNER_PORT),
            actor: row.bits(ACTOR_STATE).map(LacpState),
            partner_state: row.bits(PARTNER_STATE).map(LacpState),
            is_churned: churned(ACTOR_CHURN) || churned(PARTNER_CHURN),
        }
    }

    /// Whether it wants to be in an aggregate. Switches that list all their ports list those, too, that stand alone.
    fn is_meant(&self) -> bool {
        self.actor.map_or(self.attached.is_some(), |state| state.0.has(AGGREGATION))
    }

    /// Why this port carries nothing for its aggregate; `None` where it does.
    pub fn trouble(&self) -> Option<&'static str> {
        let actor = self.actor;
        if self.attached.is_none() {
            return Some("not attached");
        }
        if actor.is_some_and(LacpState::is_expired) {
            return Some("partner silent");
        }
        if actor.is_some_and(LacpState::is_defaulted) {
            return Some("no partner heard");
        }
        if actor.is_some_and(|state| !state.carries()) {
            return Some("not distributing");
        }
        // What the partner says of itself counts only if it says anything.
        let is_heard = self.partner.is_some();
        if self.partner_state.is_some_and(|state| is_heard && !state.carries()) {
            return Some("partner not distributing");
        }
        None
    }
}

/// Ports of one aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct Lag {
    /// ifIndex of the aggregator; `None` where no port is attached to it any more.
    pub aggregator: Option<u32>,
    pub ports: Vec<Port>,
}

impl Lag {
    /// Ports that carry.
    pub fn active(&self) -> usize {
        self.ports.iter().filter(|port| port.trouble().is_none()).count()
    }

    /// Carrying ports lead to more than one partner, or to more than one aggregate of it.
    pub fn is_mixed(&self) -> bool {
        let carrying = self.ports.iter().filter(|port| port.trouble().is_none());
        let partners: BTreeSet<(&str, Option<i64>)> =
            carrying.filter_map(|port| Some((port.partner.as_deref()?, port.partner_key))).collect();
        partners.len() > 1
    }

    /// Ports, and none of them has a partner: the other end speaks no LACP.
    pub fn has_no_partner(&self) -> bool {
        !self.ports.is_empty() && self.ports.iter().all(|port| port.partner.is_none())
    }
}

/// Reads the answers to [`columns`].
pub fn read(found: &[VarBind]) -> Vec<Lag> {
    let debug = Rows::of(found, DEBUG);
    let ports: Vec<Port> = Rows::of(found, PORT)
        .numbered()
        .map(|(index, row)| Port::of(index, row, debug.get(&[index])))
        .filter(Port::is_meant)
        .collect();
    // A port that fell out names no aggregator any more, but has its key: that of the group it was configured into.
    let by_key: BTreeMap<i64, u32> =
        ports.iter().filter_map(|port| Some((port.key?, port.attached.or(port.selected)?))).collect();
    let mut lags: BTreeMap<(Option<u32>, Option<i64>), Vec<Port>> = BTreeMap::new();
    for port in ports {
        let known = port.key.and_then(|key| by_key.get(&key)).copied();
        let aggregator = port.attached.or(port.selected).or(known);
        let key = if aggregator.is_some() { None } else { port.key };
        lags.entry((aggregator, key)).or_default().push(port);
    }
    lags.into_iter().map(|((aggregator, _), ports)| Lag { aggregator, ports }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snmp::SnmpValue;

    fn cell(entry: &[u32], column: u32, index: u32, value: SnmpValue) -> VarBind {
        VarBind { oid: Oid::new(entry).join(&[column, index]), value }
    }

    /// A port with its key, aggregator, partner's last byte and own state.
    fn port(index: u32, key: i64, attached: i64, partner: u8, actor: u8) -> Vec<VarBind> {
        let system = if partner == 0 { vec![0; 6] } else { vec![0x52, 0x54, 0, 0, 0, partner] };
        vec![
            cell(PORT, ACTOR_ADMIN_KEY, index, SnmpValue::Integer(key)),
            cell(PORT, PARTNER_SYSTEM, index, SnmpValue::Bytes(system)),
            cell(PORT, PARTNER_KEY, index, SnmpValue::Integer(15)),
            cell(PORT, SELECTED, index, SnmpValue::Integer(attached)),
            cell(PORT, ATTACHED, index, SnmpValue::Integer(attached)),
            cell(PORT, ACTOR_STATE, index, SnmpValue::Bytes(vec![actor])),
            cell(PORT, PARTNER_STATE, index, SnmpValue::Bytes(vec![actor])),
        ]
    }

    #[test]
    fn a_port_that_left_is_counted_with_those_that_stayed() {
        let cells = [
            port(1, 1, 1001, 0x10, 0xbc),
            port(2, 1, 0, 0, 0xa2),
            port(3, 2, 1002, 0x20, 0xfc),
            port(4, 2, 1002, 0x20, 0xbc),
            // Not meant to be in an aggregate.
            port(5, 0, 0, 0, 0x00),
        ];
        let lags = read(&cells.concat());
        let shape: Vec<(Option<u32>, usize, usize)> =
            lags.iter().map(|lag| (lag.aggregator, lag.active(), lag.ports.len())).collect();
        assert_eq!(shape, [(Some(1001), 1, 2), (Some(1002), 2, 2)]);
        assert_eq!(lags[0].ports[1].trouble(), Some("not attached"));
        assert_eq!(lags[0].ports[0].partner.as_deref(), Some("52:54:00:00:00:10"));
        assert!(!lags[0].is_mixed() && !lags[0].has_no_partner());
    }

    #[test]
    fn the_states_of_hardware_books_mean_what_they_say() {
        for (byte, trouble) in [
            (0xfc, None),
            (0xbc, None),
            (0xa0, Some("not distributing")),
            (0xb0, Some("not distributing")),
            (0xa2, Some("no partner heard")),
            (0x3d, Some("partner silent")),
        ] {
            let lags = read(&port(1, 1, 1001, 0x10, byte));
            assert_eq!(lags[0].ports[0].trouble(), trouble, "{byte:#x}");
        }
        assert_eq!(LacpState(Bits(0x3f)).words().len(), 6);
    }

    #[test]
    fn two_partners_in_one_aggregate_and_none_at_all_are_told_apart() {
        let mixed = read(&[port(1, 1, 1001, 0x10, 0xbc), port(2, 1, 1001, 0x11, 0xbc)].concat());
        assert!(mixed[0].is_mixed() && !mixed[0].has_no_partner());
        let alone = read(&[port(1, 1, 1001, 0, 0xbe), port(2, 1, 0, 0, 0xa2)].concat());
        assert!(!alone[0].is_mixed() && alone[0].has_no_partner());
        assert_eq!(alone[0].active(), 0);
    }

    #[test]
    fn churn_is_read_from_the_table_beside() {
        let mut cells = port(1, 1, 1001, 0x10, 0xbc);
        cells.push(cell(DEBUG, PARTNER_CHURN, 1, SnmpValue::Integer(CHURNED)));
        assert!(read(&cells)[0].ports[0].is_churned);
    }

    proptest! {
        #[test]
        fn any_cells_make_aggregates(cells in proptest::collection::vec((1u32..25, 0u32..6, any::<i64>(), proptest::collection::vec(any::<u8>(), 0..8), 0u8..4, any::<bool>()), 0..80)) {
            let binds: Vec<VarBind> = cells.into_iter().map(|(column, index, number, bytes, kind, is_debug)| {
                let value = match kind {
                    0 => SnmpValue::Integer(number),
                    1 => SnmpValue::Integer(number % 4),
                    2 => SnmpValue::Bytes(bytes),
                    _ => SnmpValue::Missing,
                };
                cell(if is_debug { DEBUG } else { PORT }, column, index, value)
            }).collect();
            for lag in read(&binds) {
                prop_assert!(lag.active() <= lag.ports.len() && !lag.ports.is_empty());
            }
        }
    }
}
