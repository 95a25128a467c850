//! Who hangs on which port: LLDP-MIB (neighbours by name) and BRIDGE-MIB, Q-BRIDGE-MIB (addresses learned by port).

use std::collections::BTreeMap;

use super::rows::{Row, Rows, mac, roots};
use super::{Oid, SnmpValue, VarBind};

/// lldpRemEntry; index: time mark, local port, number.
const REMOTE: &[u32] = &[1, 0, 8802, 1, 1, 2, 1, 4, 1, 1];
const CHASSIS_SUBTYPE: u32 = 4;
const CHASSIS: u32 = 5;
const PORT_SUBTYPE: u32 = 6;
const PORT: u32 = 7;
const PORT_DESCR: u32 = 8;
const SYSTEM: u32 = 9;
/// lldpLocPortEntry; index: local port.
const LOCAL: &[u32] = &[1, 0, 8802, 1, 1, 2, 1, 3, 7, 1];
const LOCAL_SUBTYPE: u32 = 2;
const LOCAL_ID: u32 = 3;
const LOCAL_DESCR: u32 = 4;
/// macAddress as a subtype of a chassis (LldpChassisIdSubtype) and of a port (LldpPortIdSubtype).
const CHASSIS_MAC: i64 = 4;
const PORT_MAC: i64 = 3;
/// interfaceName of LldpPortIdSubtype.
const PORT_NAME: i64 = 5;
/// dot1dBasePortIfIndex; index: bridge port.
const BASE_PORT: &[u32] = &[1, 3, 6, 1, 2, 1, 17, 1, 4, 1];
const BASE_IF_INDEX: u32 = 2;
/// dot1dTpFdbEntry; index: six bytes of an address.
const FDB: &[u32] = &[1, 3, 6, 1, 2, 1, 17, 4, 3, 1];
/// dot1qTpFdbEntry; index: filtering database, then the six bytes.
const Q_FDB: &[u32] = &[1, 3, 6, 1, 2, 1, 17, 7, 1, 2, 2, 1];
const FDB_PORT: u32 = 2;

/// Columns of the neighbours.
pub fn columns() -> Vec<Oid> {
    let mut all = roots(REMOTE, &[CHASSIS_SUBTYPE, CHASSIS, PORT_SUBTYPE, PORT, PORT_DESCR, SYSTEM]);
    all.extend(roots(LOCAL, &[LOCAL_SUBTYPE, LOCAL_ID, LOCAL_DESCR]));
    all.extend(roots(BASE_PORT, &[BASE_IF_INDEX]));
    all
}

/// Columns of the addresses learned; long on a large switch.
pub fn address_columns() -> Vec<Oid> {
    [roots(FDB, &[FDB_PORT]), roots(Q_FDB, &[FDB_PORT])].concat()
}

/// What hangs on a port, as it calls itself.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Neighbour {
    /// Name of our own port.
    pub port: String,
    /// Name of the system, or its chassis where it has none.
    pub system: String,
    /// Its port: a name, or an address.
    pub remote_port: String,
}

/// An address behind a port.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Learned {
    pub port: String,
    pub mac: String,
}

/// Names of interfaces by ifIndex.
pub type Names = BTreeMap<u32, String>;

/// An identifier that may be an address, a name or anything.
fn identifier(row: &Row, subtype: u32, column: u32, of_mac: i64) -> Option<String> {
    let address = || mac(row.bytes(column)?);
    if row.integer(subtype) == Some(of_mac) {
        return address().or_else(|| row.text(column));
    }
    row.text(column)
}

/// ifIndex of each bridge port.
fn interface_of(found: &[VarBind]) -> BTreeMap<u32, u32> {
    let pair = |(port, row): (u32, &Row)| Some((port, u32::try_from(row.integer(BASE_IF_INDEX)?).ok()?));
    Rows::of(found, BASE_PORT).numbered().filter_map(pair).collect()
}

/// LLDP-MIB: a bridge counts its ports as BRIDGE-MIB does, others as IF-MIB; most name them besides.
fn port_name(number: u32, local: &Rows, bridge: &BTreeMap<u32, u32>, names: &Names) -> String {
    let row = local.get(&[number]);
    let named = row.filter(|row| row.integer(LOCAL_SUBTYPE) == Some(PORT_NAME)).and_then(|row| row.text(LOCAL_ID));
    let by_bridge = || bridge.get(&number).and_then(|index| names.get(index)).cloned();
    let described = || row.and_then(|row| row.text(LOCAL_DESCR));
    let by_index = || names.get(&number).cloned();
    named.or_else(by_bridge).or_else(described).or_else(by_index).unwrap_or_else(|| format!("port {number}"))
}

/// Neighbours by port; each once, however often it was heard.
pub fn read(found: &[VarBind], names: &Names) -> Vec<Neighbour> {
    let (local, bridge) = (Rows::of(found, LOCAL), interface_of(found));
    let remote = Rows::of(found, REMOTE);
    let one = |(index, row): (&[u32], &Row)| {
        let [_, port, _] = index else { return None };
        let chassis = identifier(row, CHASSIS_SUBTYPE, CHASSIS, CHASSIS_MAC);
        let remote_port = identifier(row, PORT_SUBTYPE, PORT, PORT_MAC).or_else(|| row.text(PORT_DESCR));
        Some(Neighbour {
            port: port_name(*port, &local, &bridge, names),
            system: row.text(SYSTEM).or(chassis)?,
            remote_port: remote_port.unwrap_or_default(),
        })
    };
    let mut all: Vec<Neighbour> = remote.iter().filter_map(one).collect();
    all.sort();
    all.dedup();
    all
}

/// Addresses by port, without those that are the switch's own (port 0).
pub fn learned(found: &[VarBind], names: &Names) -> Vec<Learned> {
    let bridge = interface_of(found);
    let mut all = Vec::new();
    for rows in [Rows::of(found, FDB), Rows::of(found, Q_FDB)] {
        for (index, row) in rows.iter() {
            let bytes: Vec<u8> = index.iter().rev().take(6).rev().filter_map(|arc| u8::try_from(*arc).ok()).collect();
            let port = row.value(FDB_PORT).and_then(SnmpValue::integer).and_then(|port| u32::try_from(port).ok());
            if let (Some(mac), Some(port)) = (mac(&bytes), port.filter(|port| *port > 0)) {
                let name = bridge.get(&port).and_then(|index| names.get(index)).cloned();
                all.push(Learned { port: name.unwrap_or_else(|| format!("port {port}")), mac });
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(entry: &[u32], column: u32, index: &[u32], value: SnmpValue) -> VarBind {
        VarBind { oid: Oid::new(entry).join(&[column]).join(index), value }
    }

    fn text(text: &str) -> SnmpValue {
        SnmpValue::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn neighbours_are_named_with_the_port_they_hang_on() {
        let names = Names::from([(10_101, "Gi1/0/1".to_owned()), (10_102, "Gi1/0/2".to_owned())]);
        let mac = || SnmpValue::Bytes(vec![0x52, 0x54, 0, 0, 0, 0x10]);
        let found = [
            // By name, its port as an address that happens to be text; heard twice.
            cell(REMOTE, SYSTEM, &[100, 1, 7], text("nc1")),
            cell(REMOTE, PORT_SUBTYPE, &[100, 1, 7], SnmpValue::Integer(PORT_MAC)),
            cell(REMOTE, PORT, &[100, 1, 7], text("abcdef")),
            cell(REMOTE, SYSTEM, &[200, 1, 8], text("nc1")),
            cell(REMOTE, PORT_SUBTYPE, &[200, 1, 8], SnmpValue::Integer(PORT_MAC)),
            cell(REMOTE, PORT, &[200, 1, 8], text("abcdef")),
            // Without a name; the port's name from BRIDGE-MIB and IF-MIB.
            cell(REMOTE, CHASSIS_SUBTYPE, &[0, 2, 1], SnmpValue::Integer(CHASSIS_MAC)),
            cell(REMOTE, CHASSIS, &[0, 2, 1], mac()),
            cell(REMOTE, PORT, &[0, 2, 1], text("eth1")),
            // Nobody at all.
            cell(REMOTE, PORT, &[0, 3, 1], text("eth1")),
            cell(LOCAL, LOCAL_SUBTYPE, &[1], SnmpValue::Integer(PORT_NAME)),
            cell(LOCAL, LOCAL_ID, &[1], text("Gi1/0/1")),
            cell(BASE_PORT, BASE_IF_INDEX, &[2], SnmpValue::Integer(10_102)),
        ];
        let one = |port: &str, system: &str, remote_port: &str| Neighbour {
            port: port.into(),
            system: system.into(),
            remote_port: remote_port.into(),
        };
        let wanted = [one("Gi1/0/1", "nc1", "61:62:63:64:65:66"), one("Gi1/0/2", "52:54:00:00:00:10", "eth1")];
        assert_eq!(read(&found, &names), wanted);
    }

    #[test]
    fn addresses_are_learned_from_either_table() {
        let names = Names::from([(10_101, "Gi1/0/1".to_owned())]);
        let found = [
            cell(FDB, FDB_PORT, &[2, 0, 0, 0, 0, 1], SnmpValue::Integer(1)),
            cell(Q_FDB, FDB_PORT, &[7, 2, 0, 0, 0, 0, 2], SnmpValue::Integer(9)),
            cell(Q_FDB, FDB_PORT, &[7, 2, 0, 0, 0, 0, 3], SnmpValue::Integer(0)),
            cell(FDB, FDB_PORT, &[2, 0, 0, 0, 0, 300], SnmpValue::Integer(1)),
            cell(BASE_PORT, BASE_IF_INDEX, &[1], SnmpValue::Integer(10_101)),
        ];
        let learned: Vec<String> =
            learned(&found, &names).into_iter().map(|one| format!("{} {}", one.port, one.mac)).collect();
        assert_eq!(learned, ["Gi1/0/1 02:00:00:00:00:01", "port 9 02:00:00:00:00:02"]);
    }

    proptest! {
        #[test]
        fn any_cells_make_neighbours(cells in proptest::collection::vec((0usize..5, 0u32..12, proptest::collection::vec(0u32..400, 0..9), any::<i64>(), proptest::collection::vec(any::<u8>(), 0..9), any::<bool>()), 0..60)) {
            let entries = [REMOTE, LOCAL, BASE_PORT, FDB, Q_FDB];
            let binds: Vec<VarBind> = cells.into_iter().map(|(entry, column, index, number, bytes, is_number)| {
                let value = if is_number { SnmpValue::Integer(number % 9) } else { SnmpValue::Bytes(bytes) };
                cell(entries[entry], column, &index, value)
            }).collect();
            for one in read(&binds, &Names::new()) {
                prop_assert!(!one.port.is_empty() && !one.system.is_empty());
            }
            for one in learned(&binds, &Names::new()) {
                prop_assert_eq!(one.mac.len(), 17);
            }
        }
    }
}
