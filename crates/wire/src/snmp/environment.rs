//! Power supplies and fans of switches where ENTITY-STATE-MIB is missing: CISCO-ENVMON-MIB and
//! CISCO-ENTITY-FRU-CONTROL-MIB.

use std::collections::BTreeMap;

use super::entity::{Class, Health};
use super::rows::{Row, Rows, roots};
use super::{Oid, VarBind};

/// ciscoEnvMonFanStatusEntry and ciscoEnvMonSupplyStatusEntry.
const ENVMON: [(&[u32], Class); 2] = [
    (&[1, 3, 6, 1, 4, 1, 9, 9, 13, 1, 4, 1], Class::Fan),
    (&[1, 3, 6, 1, 4, 1, 9, 9, 13, 1, 5, 1], Class::PowerSupply),
];
const DESCR: u32 = 2;
const STATE: u32 = 3;
/// cefcFRUPowerStatusEntry and cefcFanTrayStatusEntry; index: entPhysicalIndex.
const FRU_POWER: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 117, 1, 1, 2, 1];
const FRU_POWER_OPER: u32 = 2;
const FAN_TRAY: &[u32] = &[1, 3, 6, 1, 4, 1, 9, 9, 117, 1, 4, 1, 1];
const FAN_TRAY_OPER: u32 = 1;

pub fn columns() -> Vec<Oid> {
    let mut all: Vec<Oid> = ENVMON.iter().flat_map(|(entry, _)| roots(entry, &[DESCR, STATE])).collect();
    all.extend(roots(FRU_POWER, &[FRU_POWER_OPER]));
    all.extend(roots(FAN_TRAY, &[FAN_TRAY_OPER]));
    all
}

/// A supply or fan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unit {
    pub name: String,
    pub class: Class,
    pub health: Health,
}

/// CiscoEnvMonState.
fn envmon(row: &Row) -> Option<Health> {
    Some(match row.integer(STATE)? {
        1 => Health::Ok,
        2 => Health::Warning,
        // critical, shutdown, notFunctioning
        3 | 4 | 6 => Health::Failed,
        5 => Health::Absent,
        _ => Health::Unknown,
    })
}

/// PowerOperType.
fn fru_power(row: &Row) -> Option<Health> {
    Some(match row.integer(FRU_POWER_OPER)? {
        2 => Health::Ok,
        // offAdmin
        3 => Health::Absent,
        // onButFanFail, onButInlinePowerFail
        9 | 12 => Health::Warning,
        // offEnvOther, offDenied, offEnvPower, offEnvTemp, offEnvFan, failed, offCooling, offConnectorRating
        1 | 4..=8 | 10 | 11 => Health::Failed,
        _ => Health::Unknown,
    })
}

fn fan_tray(row: &Row) -> Option<Health> {
    Some(match row.integer(FAN_TRAY_OPER)? {
        2 => Health::Ok,
        3 => Health::Failed,
        4 => Health::Warning,
        _ => Health::Unknown,
    })
}

/// Reads the answers to [`columns`]; `names` are those of ENTITY-MIB.
pub fn read(found: &[VarBind], names: &BTreeMap<u32, String>) -> Vec<Unit> {
    let mut units = Vec::new();
    for (entry, class) in ENVMON {
        for (index, row) in Rows::of(found, entry).numbered() {
            let name = row.text(DESCR).unwrap_or_else(|| format!("{} {index}", class.word()));
            units.extend(envmon(row).map(|health| Unit { name, class, health }));
        }
    }
    // Power state is told of modules and line cards, too.
    type Judge = fn(&Row) -> Option<Health>;
    let tables: [(&[u32], Class, Judge); 2] =
        [(FRU_POWER, Class::PowerSupply, fru_power), (FAN_TRAY, Class::Fan, fan_tray)];
    for (entry, class, judge) in tables {
        for (index, row) in Rows::of(found, entry).numbered() {
            let name = names.get(&index).cloned().unwrap_or_else(|| format!("{} {index}", class.word()));
            units.extend(judge(row).map(|health| Unit { name, class, health }));
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snmp::SnmpValue;

    fn cell(entry: &[u32], column: u32, index: u32, value: SnmpValue) -> VarBind {
        VarBind { oid: Oid::new(entry).join(&[column, index]), value }
    }

    #[test]
    fn supplies_and_fans_are_read_from_either_mib() {
        let names = BTreeMap::from([(470, "Power Supply 2".to_owned())]);
        let found = [
            cell(ENVMON[0].0, DESCR, 1, SnmpValue::Bytes(b"Switch 1 fan".to_vec())),
            cell(ENVMON[0].0, STATE, 1, SnmpValue::Integer(1)),
            cell(ENVMON[1].0, STATE, 2, SnmpValue::Integer(5)),
            cell(ENVMON[1].0, DESCR, 3, SnmpValue::Bytes(b"no state".to_vec())),
            cell(FRU_POWER, FRU_POWER_OPER, 470, SnmpValue::Integer(8)),
            cell(FAN_TRAY, FAN_TRAY_OPER, 534, SnmpValue::Integer(4)),
        ];
        let seen: Vec<String> =
            read(&found, &names).iter().map(|unit| format!("{} {}", unit.name, unit.health.word())).collect();
        assert_eq!(seen, ["Switch 1 fan ok", "psu 2 absent", "Power Supply 2 failed", "fan 534 warning"]);
    }

    proptest! {
        #[test]
        fn any_cells_make_units(cells in proptest::collection::vec((0usize..4, 0u32..5, any::<u32>(), any::<i64>()), 0..40)) {
            let entries = [ENVMON[0].0, ENVMON[1].0, FRU_POWER, FAN_TRAY];
            let binds: Vec<VarBind> = cells.into_iter()
                .map(|(entry, column, index, number)| cell(entries[entry], column, index, SnmpValue::Integer(number))).collect();
            prop_assert!(read(&binds, &BTreeMap::new()).iter().all(|unit| !unit.name.is_empty()));
        }
    }
}
