//! HOST-RESOURCES-MIB (RFC 2790): storage, processors, devices and processes of a host without an agent of ours.

use super::rows::{Row, Rows, roots};
use super::{Oid, SnmpValue, VarBind};

const UPTIME: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 1, 1, 0];
const PROCESSES: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 1, 6, 0];
/// hrStorageEntry, and what its types lie below.
const STORAGE: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 2, 3, 1];
const STORAGE_TYPES: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 2, 1];
/// hrDeviceEntry, hrProcessorEntry, hrSWRunEntry.
const DEVICE: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 2, 1];
const PROCESSOR: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 3, 1];
const RUN: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 4, 2, 1];
/// hrDeviceStatus.
const DEVICE_WARNING: i64 = 3;
const DEVICE_DOWN: i64 = 5;
/// hrSWRunStatus: loaded, but not running and not about to.
const RUN_INVALID: i64 = 4;

pub fn scalars() -> Vec<Oid> {
    vec![Oid::new(UPTIME), Oid::new(PROCESSES)]
}

pub fn columns() -> Vec<Oid> {
    [roots(STORAGE, &[2, 3, 4, 5, 6]), roots(DEVICE, &[3, 5]), roots(PROCESSOR, &[2])].concat()
}

/// Columns of the processes, which are many.
pub fn process_columns() -> Vec<Oid> {
    roots(RUN, &[2, 7])
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Memory,
    Virtual,
    Disk,
    Other,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Memory => "memory",
            Kind::Virtual => "virtual",
            Kind::Disk => "disk",
            Kind::Other => "other",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// A mount point, or what the agent calls it.
    pub name: String,
    pub kind: Kind,
    pub bytes: f64,
    pub used_pct: f64,
}

/// A host as one run saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    pub uptime_s: Option<f64>,
    pub processes: Option<f64>,
    pub storage: Vec<Storage>,
    /// Load of each processor in the last minute, in percent.
    pub processors: Vec<f64>,
    pub devices_down: Vec<String>,
    pub devices_warning: Vec<String>,
    /// Names of what runs, where it was asked for.
    pub running: Vec<String>,
}

impl Host {
    pub fn is_one(&self) -> bool {
        self.uptime_s.is_some() || self.processes.is_some() || !self.storage.is_empty()
    }

    /// Mean load of all processors.
    pub fn cpu_pct(&self) -> Option<f64> {
        let count = self.processors.len();
        (count > 0).then(|| self.processors.iter().sum::<f64>() / count as f64)
    }
}

/// Sizes are 32-bit integers with a sign; agents of large file systems let them go negative.
fn size(row: &Row, column: u32) -> Option<f64> {
    let number = row.integer(column)?;
    let turned = if number < 0 { number + (1 << 32) } else { number };
    (turned >= 0).then_some(turned as f64)
}

fn storage(index: u32, row: &Row) -> Option<Storage> {
    let kind = match row.value(2)? {
        SnmpValue::Oid(oid) => match oid.below(&Oid::new(STORAGE_TYPES)) {
            Some([2]) => Kind::Memory,
            Some([3]) => Kind::Virtual,
            Some([4 | 10]) => Kind::Disk,
            _ => Kind::Other,
        },
        _ => return None,
    };
    let (unit, size, used) = (size(row, 4)?, size(row, 5)?, size(row, 6)?);
    // An empty drive and a swap that is not there have no share that is used.
    let used_pct = Some(used / size * 100.0).filter(|pct| (0.0..=100.0).contains(pct))?;
    let name = row.text(3).unwrap_or_else(|| format!("storage {index}"));
    Some(Storage { name, kind, bytes: unit * size, used_pct })
}

/// Reads the answers to [`scalars`], [`columns`] and [`process_columns`].
pub fn read(found: &[VarBind]) -> Host {
    let scalar = |arcs: &[u32]| {
        let bind = found.iter().find(|bind| bind.oid.arcs() == arcs)?;
        bind.value.number().filter(|number| *number >= 0.0)
    };
    let devices = Rows::of(found, DEVICE);
    let in_state = |state: i64| -> Vec<String> {
        let some = devices.numbered().filter(|(_, row)| row.integer(5) == Some(state));
        some.map(|(index, row)| row.text(3).unwrap_or_else(|| format!("device {index}"))).collect()
    };
    let running = Rows::of(found, RUN);
    let running = running.numbered().filter(|(_, row)| row.integer(7) != Some(RUN_INVALID));
    Host {
        uptime_s: scalar(UPTIME),
        processes: scalar(PROCESSES),
        storage: Rows::of(found, STORAGE).numbered().filter_map(|(index, row)| storage(index, row)).collect(),
        processors: Rows::of(found, PROCESSOR)
            .numbered()
            .filter_map(|(_, row)| row.number(2).filter(|load| (0.0..=100.0).contains(load)))
            .collect(),
        devices_down: in_state(DEVICE_DOWN),
        devices_warning: in_state(DEVICE_WARNING),
        running: running.filter_map(|(_, row)| row.text(2)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(entry: &[u32], column: u32, index: u32, value: SnmpValue) -> VarBind {
        VarBind { oid: Oid::new(entry).join(&[column, index]), value }
    }

    #[test]
    fn storage_is_read_even_where_its_size_has_gone_negative() {
        let row = |index: u32, kind: u32, numbers: [i64; 3]| {
            let mut cells = vec![cell(STORAGE, 2, index, SnmpValue::Oid(Oid::new(STORAGE_TYPES).join(&[kind])))];
            cells.extend((4..).zip(numbers).map(|(column, n)| cell(STORAGE, column, index, SnmpValue::Integer(n))));
            cells
        };
        let found = [
            row(1, 4, [4096, -2_147_483_648, 1_073_741_824]),
            row(2, 2, [1024, 1000, 250]),
            row(3, 3, [1024, 0, 0]),
            row(4, 4, [4096, 100, 101]),
        ];
        let seen: Vec<String> = read(&found.concat())
            .storage
            .iter()
            .map(|one| format!("{} {} {} {}", one.name, one.kind.word(), one.bytes, one.used_pct))
            .collect();
        assert_eq!(seen, ["storage 1 disk 8796093022208 50", "storage 2 memory 1024000 25"]);
    }

    #[test]
    fn processors_are_averaged_and_devices_told_by_state() {
        let host = read(&[
            cell(PROCESSOR, 2, 1, SnmpValue::Integer(20)),
            cell(PROCESSOR, 2, 2, SnmpValue::Integer(60)),
            cell(PROCESSOR, 2, 3, SnmpValue::Integer(700)),
            cell(DEVICE, 5, 7, SnmpValue::Integer(DEVICE_DOWN)),
            cell(RUN, 2, 1, SnmpValue::Bytes(b"sshd".to_vec())),
            cell(RUN, 2, 2, SnmpValue::Bytes(b"gone".to_vec())),
            cell(RUN, 7, 2, SnmpValue::Integer(RUN_INVALID)),
        ]);
        assert_eq!((host.cpu_pct(), host.devices_down.as_slice()), (Some(40.0), &["device 7".to_owned()][..]));
        assert_eq!(host.running, ["sshd"]);
        assert!(!host.is_one() && read(&[]).cpu_pct().is_none());
    }

    proptest! {
        #[test]
        fn any_cells_make_a_host(cells in proptest::collection::vec((0usize..4, 0u32..8, 0u32..4, any::<i64>(), any::<bool>()), 0..60)) {
            let entries = [STORAGE, DEVICE, PROCESSOR, RUN];
            let binds: Vec<VarBind> = cells.into_iter().map(|(entry, column, index, number, is_type)| {
                let value = if is_type { SnmpValue::Oid(Oid::new(STORAGE_TYPES).join(&[4])) } else { SnmpValue::Integer(number) };
                cell(entries[entry], column, index, value)
            }).collect();
            let host = read(&binds);
            prop_assert!(host.storage.iter().all(|one| (0.0..=100.0).contains(&one.used_pct) && one.bytes >= 0.0));
            prop_assert!(host.cpu_pct().is_none_or(|pct| (0.0..=100.0).contains(&pct)));
        }
    }
}
