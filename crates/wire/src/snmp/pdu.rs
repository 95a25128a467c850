//! Rack PDUs: PowerNet-MIB's rPDU2 and, of older ones, rPDU. Load, phases and banks, outlets, the PDU's own supplies.

use super::entity::Health;
use super::rows::{Row, Rows, roots};
use super::{Oid, SnmpValue, VarBind};

/// rPDU2DeviceStatusEntry.
const DEVICE: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 26, 4, 3, 1];
/// rPDU2PhaseStatusEntry and rPDU2BankStatusEntry, which have the same first columns.
const LINES: [(&[u32], &str); 2] =
    [(&[1, 3, 6, 1, 4, 1, 318, 1, 1, 26, 6, 3, 1], "phase"), (&[1, 3, 6, 1, 4, 1, 318, 1, 1, 26, 8, 3, 1], "bank")];
/// rPDU2OutletSwitchedStatusEntry and rPDU2OutletMeteredStatusEntry.
const SWITCHED: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 26, 9, 2, 3, 1];
const METERED: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 26, 9, 4, 3, 1];
/// rPDULoadStatusEntry and rPDUOutletStatusEntry, of older devices.
const OLD_LOAD: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 12, 2, 3, 1, 1];
const OLD_OUTLET: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 12, 3, 5, 1, 1];
/// rPDUPowerSupply1Status.0 and rPDUPowerSupply2Status.0.
const OLD_SUPPLY: [&[u32]; 2] =
    [&[1, 3, 6, 1, 4, 1, 318, 1, 1, 12, 4, 1, 1, 0], &[1, 3, 6, 1, 4, 1, 318, 1, 1, 12, 4, 1, 2, 0]];

pub fn scalars() -> Vec<Oid> {
    OLD_SUPPLY.iter().map(|arcs| Oid::new(arcs)).collect()
}

pub fn columns() -> Vec<Oid> {
    let mut all = roots(DEVICE, &[3, 4, 5, 13, 14]);
    LINES.iter().for_each(|(entry, _)| all.extend(roots(entry, &[3, 4, 5, 6])));
    all.extend(roots(SWITCHED, &[3, 4, 5]));
    all.extend(roots(METERED, &[3, 6, 7]));
    all.extend(roots(OLD_LOAD, &[2, 3, 4, 5]));
    all.extend(roots(OLD_OUTLET, &[2, 4, 7]));
    all
}

/// How loaded a device or line is, by the thresholds set in it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Load {
    Low,
    Normal,
    NearOverload,
    Overload,
}

impl Load {
    pub fn word(self) -> &'static str {
        match self {
            Load::Low => "low",
            Load::Normal => "normal",
            Load::NearOverload => "near_overload",
            Load::Overload => "overload",
        }
    }

    fn of(number: Option<i64>) -> Option<Load> {
        Some(match number? {
            1 => Load::Low,
            2 => Load::Normal,
            3 => Load::NearOverload,
            4 => Load::Overload,
            _ => return None,
        })
    }

    /// The older MIB has normal before low.
    fn old(number: Option<i64>) -> Option<Load> {
        match number? {
            1 => Some(Load::Normal),
            2 => Some(Load::Low),
            other => Load::of(Some(other)),
        }
    }
}

/// A phase or a bank.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub name: String,
    pub load: Option<Load>,
    pub amps: Option<f64>,
    pub volts: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Outlet {
    pub number: u32,
    pub name: String,
    pub is_on: Option<bool>,
    pub amps: Option<f64>,
    pub watts: Option<f64>,
}

/// A PDU, or several chained that answer as one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pdu {
    pub name: Option<String>,
    pub watts: Option<f64>,
    pub load: Option<Load>,
    pub lines: Vec<Line>,
    pub outlets: Vec<Outlet>,
    /// The PDU's own supplies: one without input says that a feed is gone.
    pub supplies: Vec<(String, Health)>,
}

impl Pdu {
    pub fn is_one(&self) -> bool {
        self.load.is_some() || !self.lines.is_empty() || !self.outlets.is_empty()
    }
}

/// A number that is none below zero: -1 stands for what the device cannot measure.
fn measured(row: &Row, column: u32, unit: f64) -> Option<f64> {
    row.number(column).filter(|number| (0.0..1e9).contains(number)).map(|number| number / unit)
}

fn supply(number: Option<i64>) -> Option<Health> {
    Some(match number? {
        1 => Health::Ok,
        2 => Health::Failed,
        3 => Health::Absent,
        _ => return None,
    })
}

fn outlets(found: &[VarBind]) -> Vec<Outlet> {
    let (switched, metered) = (Rows::of(found, SWITCHED), Rows::of(found, METERED));
    let old = Rows::of(found, OLD_OUTLET);
    let name = |row: &Row, column: u32, number: u32| row.text(column).unwrap_or_else(|| format!("outlet {number}"));
    let mut numbers: Vec<u32> = switched.numbered().chain(metered.numbered()).map(|(number, _)| number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        let outlet = |(number, row): (u32, &Row)| Outlet {
            number,
            name: name(row, 2, number),
            is_on: row.integer(4).filter(|state| [1, 2].contains(state)).map(|state| state == 1),
            amps: measured(row, 7, 10.0),
            watts: None,
        };
        return old.numbered().map(outlet).collect();
    }
    let outlet = |number: u32| {
        let (state, meter) = (switched.get(&[number]), metered.get(&[number]));
        // Here 1 is off and 2 is on: the other way round than in the older MIB.
        let is_on = state.and_then(|row| row.integer(5)).filter(|state| [1, 2].contains(state));
        Outlet {
            number,
            name: state.or(meter).map_or_else(String::new, |row| name(row, 3, number)),
            is_on: is_on.map(|state| state == 2),
            amps: meter.and_then(|row| measured(row, 6, 10.0)),
            watts: meter.and_then(|row| measured(row, 7, 1.0)),
        }
    };
    numbers.into_iter().map(outlet).collect()
}

/// Reads the answers to [`scalars`] and [`columns`].
pub fn read(found: &[VarBind]) -> Pdu {
    let devices = Rows::of(found, DEVICE);
    let mut pdu = Pdu { outlets: outlets(found), ..Pdu::default() };
    for (index, row) in devices.numbered() {
        pdu.name = pdu.name.or_else(|| row.text(3));
        pdu.load = pdu.load.max(Load::of(row.integer(4)));
        // Hundredths of a kilowatt.
        pdu.watts = match (pdu.watts, measured(row, 5, 0.1)) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => sum.or(more),
        };
        for (number, column) in [(1, 13), (2, 14)] {
            let name = format!("supply {number}");
            let name = if devices.numbered().count() > 1 { format!("unit {index} {name}") } else { name };
            pdu.supplies.extend(supply(row.integer(column)).map(|health| (name, health)));
        }
    }
    for (entry, what) in LINES {
        for (index, row) in Rows::of(found, entry).numbered() {
            pdu.lines.push(Line {
                name: format!("{what} {index}"),
                load: Load::of(row.integer(4)),
                amps: measured(row, 5, 10.0),
                // Of banks the next column is another thing.
                volts: measured(row, 6, 1.0).filter(|_| what == "phase"),
            });
        }
    }
    if devices.is_empty() {
        for (index, row) in Rows::of(found, OLD_LOAD).numbered() {
            let load = Load::old(row.integer(3));
            pdu.load = pdu.load.max(load);
            pdu.lines.push(Line { name: format!("line {index}"), load, amps: measured(row, 2, 10.0), volts: None });
        }
        for (number, arcs) in (1..).zip(OLD_SUPPLY) {
            let value = found.iter().find(|bind| bind.oid.arcs() == arcs).map(|bind| &bind.value);
            let health = supply(value.and_then(SnmpValue::integer));
            pdu.supplies.extend(health.map(|health| (format!("supply {number}"), health)));
        }
    }
    pdu
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(entry: &[u32], column: u32, index: u32, number: i64) -> VarBind {
        VarBind { oid: Oid::new(entry).join(&[column, index]), value: SnmpValue::Integer(number) }
    }

    #[test]
    fn the_same_number_means_the_opposite_in_the_two_branches() {
        let new = read(&[cell(SWITCHED, 5, 1, 1), cell(SWITCHED, 5, 2, 2), cell(DEVICE, 4, 1, 1)]);
        let old = read(&[cell(OLD_OUTLET, 4, 1, 1), cell(OLD_OUTLET, 4, 2, 2), cell(OLD_LOAD, 3, 1, 1)]);
        let states = |pdu: &Pdu| pdu.outlets.iter().map(|outlet| outlet.is_on).collect::<Vec<_>>();
        assert_eq!((states(&new), new.load), (vec![Some(false), Some(true)], Some(Load::Low)));
        assert_eq!((states(&old), old.load), (vec![Some(true), Some(false)], Some(Load::Normal)));
    }

    #[test]
    fn chained_units_are_added_up() {
        let pdu = read(&[
            cell(DEVICE, 4, 1, 2),
            cell(DEVICE, 5, 1, 310),
            cell(DEVICE, 13, 1, 1),
            cell(DEVICE, 4, 2, 4),
            cell(DEVICE, 5, 2, 90),
            cell(DEVICE, 14, 2, 2),
            cell(LINES[0].0, 5, 1, 61),
            cell(LINES[0].0, 6, 1, -1),
        ]);
        assert_eq!((pdu.watts, pdu.load), (Some(4000.0), Some(Load::Overload)));
        let supplies: Vec<&str> = pdu.supplies.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(supplies, ["unit 1 supply 1", "unit 2 supply 2"]);
        assert_eq!((pdu.lines[0].amps, pdu.lines[0].volts), (Some(6.1), None));
        assert!(!read(&[]).is_one());
    }

    proptest! {
        #[test]
        fn any_cells_make_a_pdu(cells in proptest::collection::vec((0usize..7, 0u32..15, 0u32..5, any::<i64>(), any::<bool>()), 0..60)) {
            let entries = [DEVICE, LINES[0].0, LINES[1].0, SWITCHED, METERED, OLD_LOAD, OLD_OUTLET];
            let binds: Vec<VarBind> = cells.into_iter()
                .map(|(entry, column, index, number, is_small)| cell(entries[entry], column, index, if is_small { number % 6 } else { number })).collect();
            let pdu = read(&binds);
            prop_assert!(pdu.watts.is_none_or(|watts| watts.is_finite() && watts >= 0.0));
            prop_assert!(pdu.outlets.iter().all(|outlet| !outlet.name.is_empty()));
        }
    }
}
