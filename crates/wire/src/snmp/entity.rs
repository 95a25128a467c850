//! ENTITY-MIB, ENTITY-STATE-MIB and ENTITY-SENSOR-MIB (RFC 6933, 4268, 3433): the parts of a box, whether they work, and
//! what their sensors read, scaled.

use std::collections::BTreeMap;

use super::rows::{Bits, Row, Rows, roots};
use super::{Oid, VarBind};

/// entPhysicalEntry.
const PHYSICAL: &[u32] = &[1, 3, 6, 1, 2, 1, 47, 1, 1, 1, 1];
const DESCR: u32 = 2;
const CLASS: u32 = 5;
const NAME: u32 = 7;
/// entStateEntry.
const STATE: &[u32] = &[1, 3, 6, 1, 2, 1, 131, 1, 1, 1];
const OPER: u32 = 3;
const ALARM: u32 = 5;
/// entPhySensorEntry, and CISCO-ENTITY-SENSOR-MIB's entSensorValueEntry, which has the same first five columns.
const SENSORS: [&[u32]; 2] = [&[1, 3, 6, 1, 2, 1, 99, 1, 1, 1], &[1, 3, 6, 1, 4, 1, 9, 9, 91, 1, 1, 1, 1]];
const SENSOR_TYPE: u32 = 1;
const SCALE: u32 = 2;
const PRECISION: u32 = 3;
const VALUE: u32 = 4;
const SENSOR_STATUS: u32 = 5;

/// Columns of parts and their states; names are asked for afterwards, as a large switch has thousands of parts.
pub fn columns() -> Vec<Oid> {
    [roots(PHYSICAL, &[CLASS]), roots(STATE, &[OPER, ALARM])].concat()
}

/// Names of the parts that anything is said about.
pub fn names_wanted(found: &[VarBind]) -> Vec<Oid> {
    let mut indexes: Vec<u32> = read(found).iter().filter(|part| part.matters()).map(|part| part.index).collect();
    indexes.extend(
        SENSORS.iter().flat_map(|entry| Rows::of(found, entry).numbered().map(|(index, _)| index).collect::<Vec<_>>()),
    );
    indexes.sort_unstable();
    indexes.dedup();
    indexes
        .iter()
        .flat_map(|index| roots(PHYSICAL, &[NAME, DESCR]).into_iter().map(|root| root.join(&[*index])))
        .collect()
}

/// Columns of their sensors.
pub fn sensor_columns() -> Vec<Oid> {
    SENSORS.iter().flat_map(|entry| roots(entry, &[SENSOR_TYPE, SCALE, PRECISION, VALUE, SENSOR_STATUS])).collect()
}

/// PhysicalClass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    Chassis,
    PowerSupply,
    Fan,
    Sensor,
    Module,
    Port,
    Stack,
    Other,
}

impl Class {
    fn of(number: Option<i64>) -> Class {
        match number {
            Some(3) => Class::Chassis,
            Some(6) => Class::PowerSupply,
            Some(7) => Class::Fan,
            Some(8) => Class::Sensor,
            Some(9) => Class::Module,
            Some(10) => Class::Port,
            Some(11) => Class::Stack,
            _ => Class::Other,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Class::Chassis => "chassis",
            Class::PowerSupply => "psu",
            Class::Fan => "fan",
            Class::Sensor => "sensor",
            Class::Module => "module",
            Class::Port => "port",
            Class::Stack => "stack",
            Class::Other => "part",
        }
    }
}

/// How a part is, of whatever MIB said so.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Health {
    Ok,
    /// Nothing is known.
    Unknown,
    /// Not there, or switched off on purpose.
    Absent,
    Warning,
    Failed,
}

impl Health {
    pub fn word(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Unknown => "unknown",
            Health::Absent => "absent",
            Health::Warning => "warning",
            Health::Failed => "failed",
        }
    }
}

/// A part with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// entPhysicalIndex.
    pub index: u32,
    pub name: String,
    pub class: Class,
    /// `None` where the agent has no ENTITY-STATE-MIB, or says nothing of this part.
    pub health: Option<Health>,
}

impl Part {
    /// Supplies and fans are counted; of others only trouble is told.
    pub fn matters(&self) -> bool {
        let is_trouble = self.health.is_some_and(|health| health >= Health::Warning);
        is_trouble || matches!(self.class, Class::PowerSupply | Class::Fan)
    }
}

/// entStateOper 2 is disabled, 3 enabled; the bits of EntityAlarmStatus.
const OPER_DISABLED: i64 = 2;
const OPER_ENABLED: i64 = 3;
const ALARM_CRITICAL: u32 = 2;
const ALARM_MAJOR: u32 = 3;
const ALARM_MINOR: u32 = 4;
const ALARM_WARNING: u32 = 5;

fn health(row: &Row) -> Health {
    let alarm = row.bits(ALARM).unwrap_or(Bits(0));
    if row.integer(OPER) == Some(OPER_DISABLED) || alarm.has(ALARM_CRITICAL) || alarm.has(ALARM_MAJOR) {
        Health::Failed
    } else if alarm.has(ALARM_MINOR) || alarm.has(ALARM_WARNING) {
        Health::Warning
    } else if row.integer(OPER) == Some(OPER_ENABLED) {
        Health::Ok
    } else {
        Health::Unknown
    }
}

/// Name of a part: as the agent calls it, as it describes it, or its number.
fn name(index: u32, row: Option<&Row>) -> String {
    let named = row.and_then(|row| row.text(NAME).or_else(|| row.text(DESCR)));
    named.unwrap_or_else(|| format!("part {index}"))
}

/// Names of the parts by entPhysicalIndex.
pub fn names(found: &[VarBind]) -> BTreeMap<u32, String> {
    Rows::of(found, PHYSICAL).numbered().map(|(index, row)| (index, name(index, Some(row)))).collect()
}

/// Reads the answers to [`columns`]. Parts that only the states know are kept, too.
pub fn read(found: &[VarBind]) -> Vec<Part> {
    let (physical, states) = (Rows::of(found, PHYSICAL), Rows::of(found, STATE));
    let mut indexes: Vec<u32> = physical.numbered().chain(states.numbered()).map(|(index, _)| index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    let part = |index: u32| {
        let row = physical.get(&[index]);
        let class = Class::of(row.and_then(|row| row.integer(CLASS)));
        Part { index, name: name(index, row), class, health: states.get(&[index]).map(health) }
    };
    indexes.into_iter().map(part).collect()
}

/// A sensor that works.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    pub index: u32,
    pub name: String,
    /// `°C`, `V`, `A`, `W`, `Hz`, `%`, `rpm`, `cmm`, or nothing.
    pub unit: &'static str,
    pub value: f64,
}

/// Sensors that read something, and names of those that are broken (nonoperational).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sensors {
    pub working: Vec<Sensor>,
    pub broken: Vec<String>,
}

/// Thousands of each EntitySensorDataScale from yocto(1) on; the standard has exa(14) before peta(15).
const THOUSANDS: [i32; 17] = [-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 5, 7, 8];
/// The standard's limits; a value beyond them says that it cannot be told.
const VALUE_MAX: f64 = 1e9;

fn scaled(row: &Row) -> Option<f64> {
    let value = row.number(VALUE).filter(|value| value.abs() < VALUE_MAX)?;
    let scale = usize::try_from(row.integer(SCALE).unwrap_or(9)).ok()?.checked_sub(1)?;
    let precision =
        i32::try_from(row.integer(PRECISION).unwrap_or(0)).ok().filter(|digits| (-8..=9).contains(digits))?;
    // Negative precision counts digits that are not accurate; the value stands.
    let exponent = THOUSANDS.get(scale)? * 3 - precision.max(0);
    let factor = 10f64.powi(exponent.abs());
    // One division rounds once: 235 / 10 is 23.5, 235 * 0.1 is not.
    Some(if exponent < 0 { value / factor } else { value * factor }).filter(|value| value.is_finite())
}

fn unit(row: &Row) -> &'static str {
    match row.integer(SENSOR_TYPE) {
        Some(3 | 4) => "V",
        Some(5) => "A",
        Some(6) => "W",
        Some(7) => "Hz",
        Some(8) => "°C",
        Some(9) => "%",
        Some(10) => "rpm",
        Some(11) => "cmm",
        _ => "",
    }
}

/// Reads the answers to [`sensor_columns`], with names from those to [`columns`].
pub fn sensors(found: &[VarBind]) -> Sensors {
    let physical = Rows::of(found, PHYSICAL);
    let mut sensors: BTreeMap<u32, Result<Sensor, String>> = BTreeMap::new();
    for entry in SENSORS {
        for (index, row) in Rows::of(found, entry).numbered() {
            let name = name(index, physical.get(&[index]));
            let seen = match row.integer(SENSOR_STATUS) {
                // ok, unavailable, nonoperational
                Some(1) | None => scaled(row).map(|value| Ok(Sensor { index, name, unit: unit(row), value })),
                Some(3) => Some(Err(name)),
                _ => None,
            };
            if let Some(seen) = seen {
                sensors.entry(index).or_insert(seen);
            }
        }
    }
    let mut all = Sensors::default();
    for sensor in sensors.into_values() {
        match sensor {
            Ok(sensor) => all.working.push(sensor),
            Err(name) => all.broken.push(name),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snmp::SnmpValue;

    fn cell(entry: &[u32], column: u32, index: u32, value: SnmpValue) -> VarBind {
        VarBind { oid: Oid::new(entry).join(&[column, index]), value }
    }

    fn sensor(entry: &[u32], numbers: [i64; 5]) -> Vec<VarBind> {
        (1..).zip(numbers).map(|(column, number)| cell(entry, column, 7, SnmpValue::Integer(number))).collect()
    }

    #[test]
    fn readings_are_scaled_as_the_standard_says() {
        for (numbers, wanted, unit) in [
            ([8, 9, 0, 38, 1], Some(38.0), "°C"),
            ([8, 9, 1, 235, 1], Some(23.5), "°C"),
            ([4, 8, 0, 12_100, 1], Some(12.1), "V"),
            ([6, 10, 2, 150, 1], Some(1500.0), "W"),
            ([7, 14, 0, 2, 1], Some(2e18), "Hz"),
            ([7, 15, 0, 2, 1], Some(2e15), "Hz"),
            ([10, 9, 0, 8000, 1], Some(8000.0), "rpm"),
            ([8, 9, 0, 1_000_000_000, 1], None, ""),
            ([8, 0, 0, 5, 1], None, ""),
            ([8, 18, 0, 5, 1], None, ""),
            ([8, 9, 20, 5, 1], None, ""),
            ([8, 9, 0, 5, 2], None, ""),
        ] {
            for entry in SENSORS {
                let seen = sensors(&sensor(entry, numbers)).working;
                assert_eq!(
                    seen.first().map(|one| (one.value, one.unit)),
                    wanted.map(|value| (value, unit)),
                    "{numbers:?}"
                );
            }
        }
        assert_eq!(sensors(&sensor(SENSORS[0], [8, 9, 0, 5, 3])).broken, ["part 7"]);
    }

    #[test]
    fn parts_have_a_health_where_somebody_says_so() {
        let text = |text: &str| SnmpValue::Bytes(text.as_bytes().to_vec());
        let part = |index: u32, class: i64, name: &str| {
            vec![cell(PHYSICAL, CLASS, index, SnmpValue::Integer(class)), cell(PHYSICAL, NAME, index, text(name))]
        };
        let state = |index: u32, oper: i64, alarm: u8| {
            vec![
                cell(STATE, OPER, index, SnmpValue::Integer(oper)),
                cell(STATE, ALARM, index, SnmpValue::Bytes(vec![alarm])),
            ]
        };
        let found = [
            part(1, 6, "PSU 1"),
            part(2, 6, "PSU 2"),
            part(3, 7, "Fan 1"),
            part(4, 3, "chassis"),
            state(1, 3, 0),
            state(2, 3, 0x20),
            state(3, 3, 0x04),
            state(5, 2, 0),
        ];
        let seen: Vec<String> = read(&found.concat())
            .iter()
            .map(|part| format!("{} {} {}", part.class.word(), part.name, part.health.map_or("-", Health::word)))
            .collect();
        let wanted =
            ["psu PSU 1 ok", "psu PSU 2 failed", "fan Fan 1 warning", "chassis chassis -", "part part 5 failed"];
        assert_eq!(seen, wanted);
    }

    proptest! {
        #[test]
        fn any_cells_make_parts_and_finite_readings(cells in proptest::collection::vec((0usize..4, 0u32..8, 0u32..5, any::<i64>(), any::<bool>()), 0..60)) {
            let entries = [PHYSICAL, STATE, SENSORS[0], SENSORS[1]];
            let binds: Vec<VarBind> = cells.into_iter().map(|(entry, column, index, number, is_small)| {
                cell(entries[entry], column, index, SnmpValue::Integer(if is_small { number % 20 } else { number }))
            }).collect();
            prop_assert!(read(&binds).iter().all(|part| !part.name.is_empty()));
            prop_assert!(sensors(&binds).working.iter().all(|one| one.value.is_finite()));
        }
    }
}
