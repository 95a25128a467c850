//! Storage arrays by FCMGMT-MIB (Fibre Alliance, experimental.94): the unit, its parts, its ports. HP and Dell MSA, P2000,
//! ME4 and many others answer it.

use super::entity::{Class, Health};
use super::environment::Unit;
use super::rows::{Row, Rows, roots};
use super::{Oid, VarBind};

/// connUnitEntry, connUnitSensorEntry, connUnitPortEntry. The index begins with the sixteen bytes of the unit.
const UNIT: &[u32] = &[1, 3, 6, 1, 3, 94, 1, 6, 1];
const SENSOR: &[u32] = &[1, 3, 6, 1, 3, 94, 1, 8, 1];
const PORT: &[u32] = &[1, 3, 6, 1, 3, 94, 1, 10, 1];

pub fn columns() -> Vec<Oid> {
    [roots(UNIT, &[5, 6, 7, 20]), roots(SENSOR, &[3, 4, 6, 7]), roots(PORT, &[6, 7, 17])].concat()
}

/// An array as one run saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    /// Units with connUnitStatus, worsened by connUnitState offline.
    pub units: Vec<(String, Health)>,
    pub parts: Vec<Unit>,
    /// What the array says of parts that are not well.
    pub messages: Vec<String>,
    /// Ports in use, and those of them that failed.
    pub ports: usize,
    pub ports_failed: Vec<String>,
}

impl Array {
    pub fn is_one(&self) -> bool {
        !self.units.is_empty() || !self.parts.is_empty()
    }
}

/// connUnitStatus: unknown(1), unused(2), ok(3), warning(4), failed(5). connUnitSensorStatus has other(2).
fn status(number: Option<i64>) -> Health {
    match number {
        Some(3) => Health::Ok,
        Some(4) => Health::Warning,
        Some(5) => Health::Failed,
        _ => Health::Unknown,
    }
}

fn unit(at: usize, row: &Row) -> (String, Health) {
    let is_offline = row.integer(5) == Some(3);
    let name = row.text(20).or_else(|| row.text(7)).unwrap_or_else(|| format!("unit {at}"));
    (name, if is_offline { Health::Failed } else { status(row.integer(6)) })
}

fn part(index: &[u32], row: &Row) -> Unit {
    let number = index.last().copied().unwrap_or_default();
    let name = row.text(3).unwrap_or_else(|| format!("part {number}"));
    let class = match row.integer(7) {
        Some(4) => Class::Fan,
        Some(5) => Class::PowerSupply,
        Some(7) => Class::Chassis,
        // board: what arrays call their controllers.
        Some(8) => Class::Module,
        _ if name.to_ascii_lowercase().starts_with("controller") => Class::Module,
        _ => Class::Other,
    };
    Unit { name, class, health: status(row.integer(4)) }
}

/// Reads the answers to [`columns`].
pub fn read(found: &[VarBind]) -> Array {
    let (sensors, ports) = (Rows::of(found, SENSOR), Rows::of(found, PORT));
    let parts: Vec<Unit> =
        sensors.iter().filter(|(_, row)| row.value(4).is_some()).map(|(index, row)| part(index, row)).collect();
    let is_bad = |row: &Row| status(row.integer(4)) >= Health::Warning;
    // unused(2) and notparticipating(6) are no part of anything.
    let used: Vec<(&[u32], &Row)> =
        ports.iter().filter(|(_, row)| row.integer(7).is_some_and(|status| ![1, 2, 6].contains(&status))).collect();
    let has_failed = |row: &Row| row.integer(7) == Some(5) || row.integer(6) == Some(3);
    let port_name = |index: &[u32], row: &Row| {
        row.text(17).unwrap_or_else(|| format!("port {}", index.last().copied().unwrap_or_default()))
    };
    Array {
        units: Rows::of(found, UNIT).iter().enumerate().map(|(at, (_, row))| unit(at + 1, row)).collect(),
        messages: sensors.iter().filter(|(_, row)| is_bad(row)).filter_map(|(_, row)| row.text(6)).collect(),
        ports: used.len(),
        ports_failed: used.iter().filter(|(_, row)| has_failed(row)).map(|(at, row)| port_name(at, row)).collect(),
        parts,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snmp::SnmpValue;

    fn cell(entry: &[u32], column: u32, index: &[u32], value: SnmpValue) -> VarBind {
        VarBind { oid: Oid::new(entry).join(&[column]).join(index), value }
    }

    #[test]
    fn an_array_is_its_units_parts_and_ports() {
        let text = |text: &str| SnmpValue::Bytes(text.as_bytes().to_vec());
        let n = SnmpValue::Integer;
        let array = read(&[
            cell(UNIT, 5, &[5, 0], n(3)),
            cell(UNIT, 6, &[5, 0], n(3)),
            cell(SENSOR, 3, &[5, 0, 1], text("Power Supply 1")),
            cell(SENSOR, 4, &[5, 0, 1], n(5)),
            cell(SENSOR, 6, &[5, 0, 1], text("no input")),
            cell(SENSOR, 7, &[5, 0, 1], n(5)),
            cell(SENSOR, 3, &[5, 0, 2], text("Controller A")),
            cell(SENSOR, 4, &[5, 0, 2], n(3)),
            cell(PORT, 6, &[5, 0, 1], n(2)),
            cell(PORT, 7, &[5, 0, 1], n(3)),
            cell(PORT, 6, &[5, 0, 2], n(3)),
            cell(PORT, 7, &[5, 0, 2], n(9)),
            cell(PORT, 6, &[5, 0, 3], n(3)),
            cell(PORT, 7, &[5, 0, 3], n(2)),
        ]);
        assert_eq!(
            array.units,
            [("unit 1".to_owned(), Health::Failed)],
            "offline counts more than a status that is well"
        );
        let parts: Vec<(&str, &str, &str)> =
            array.parts.iter().map(|part| (part.name.as_str(), part.class.word(), part.health.word())).collect();
        assert_eq!(parts, [("Power Supply 1", "psu", "failed"), ("Controller A", "module", "ok")]);
        assert_eq!((array.messages, array.ports), (vec!["no input".to_owned()], 2));
        assert_eq!(array.ports_failed, ["port 2"]);
    }

    proptest! {
        #[test]
        fn any_cells_make_an_array(cells in proptest::collection::vec((0usize..3, 0u32..21, proptest::collection::vec(0u32..300, 0..20), any::<i64>()), 0..60)) {
            let entries = [UNIT, SENSOR, PORT];
            let binds: Vec<VarBind> = cells.into_iter().map(|(entry, column, index, number)| cell(entries[entry], column, &index, SnmpValue::Integer(number % 12))).collect();
            let array = read(&binds);
            prop_assert!(array.ports_failed.len() <= array.ports);
        }
    }
}
