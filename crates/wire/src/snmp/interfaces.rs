//! IF-MIB (RFC 2863): the columns of ifTable and ifXTable joined to interfaces, which of them are meant, and their rates.

use std::collections::BTreeMap;

use regex::Regex;

use super::counter::{Counter, rate};
use super::{Oid, SnmpValue, VarBind};

const IF_ENTRY: &[u32] = &[1, 3, 6, 1, 2, 1, 2, 2, 1];
const IF_X_ENTRY: &[u32] = &[1, 3, 6, 1, 2, 1, 31, 1, 1, 1];

/// A column of either table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Column {
    Descr,
    Speed,
    AdminStatus,
    OperStatus,
    InOctets,
    InDiscards,
    InErrors,
    OutOctets,
    OutDiscards,
    OutErrors,
    Name,
    HcInOctets,
    HcOutOctets,
    HighSpeed,
    Alias,
    CounterDiscontinuity,
}

/// Enough to choose by.
pub const NAMING: [Column; 3] = [Column::Name, Column::Descr, Column::Alias];
/// What else is read of the chosen ones; [`NARROW`] only where the wide counters are missing.
pub const READING: [Column; 11] = [
    Column::AdminStatus,
    Column::OperStatus,
    Column::HighSpeed,
    Column::Speed,
    Column::HcInOctets,
    Column::HcOutOctets,
    Column::InErrors,
    Column::OutErrors,
    Column::InDiscards,
    Column::OutDiscards,
    Column::CounterDiscontinuity,
];
pub const NARROW: [Column; 2] = [Column::InOctets, Column::OutOctets];

impl Column {
    const ALL: [Column; 16] = [
        Column::Descr,
        Column::Speed,
        Column::AdminStatus,
        Column::OperStatus,
        Column::InOctets,
        Column::InDiscards,
        Column::InErrors,
        Column::OutOctets,
        Column::OutDiscards,
        Column::OutErrors,
        Column::Name,
        Column::HcInOctets,
        Column::HcOutOctets,
        Column::HighSpeed,
        Column::Alias,
        Column::CounterDiscontinuity,
    ];

    /// Table and number of the column.
    fn place(self) -> (&'static [u32], u32) {
        match self {
            Column::Descr => (IF_ENTRY, 2),
            Column::Speed => (IF_ENTRY, 5),
            Column::AdminStatus => (IF_ENTRY, 7),
            Column::OperStatus => (IF_ENTRY, 8),
            Column::InOctets => (IF_ENTRY, 10),
            Column::InDiscards => (IF_ENTRY, 13),
            Column::InErrors => (IF_ENTRY, 14),
            Column::OutOctets => (IF_ENTRY, 16),
            Column::OutDiscards => (IF_ENTRY, 19),
            Column::OutErrors => (IF_ENTRY, 20),
            Column::Name => (IF_X_ENTRY, 1),
            Column::HcInOctets => (IF_X_ENTRY, 6),
            Column::HcOutOctets => (IF_X_ENTRY, 10),
            Column::HighSpeed => (IF_X_ENTRY, 15),
            Column::Alias => (IF_X_ENTRY, 18),
            Column::CounterDiscontinuity => (IF_X_ENTRY, 19),
        }
    }

    /// What a walk of the column starts from.
    pub fn root(self) -> Oid {
        let (table, number) = self.place();
        Oid::new(table).join(&[number])
    }

    /// The object of one interface.
    pub fn of(self, index: u32) -> Oid {
        self.root().join(&[index])
    }

    fn at(number: u32, table: &[u32]) -> Option<Column> {
        Column::ALL.into_iter().find(|column| column.place() == (table, number))
    }
}

/// Rows of both tables by ifIndex, as they come in.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: BTreeMap<u32, BTreeMap<Column, SnmpValue>>,
}

impl Table {
    /// Takes what belongs to a column; anything else, and what is missing, changes nothing.
    pub fn add(&mut self, found: VarBind) {
        if found.value == SnmpValue::Missing {
            return;
        }
        let arcs = found.oid.arcs();
        let place = [IF_ENTRY, IF_X_ENTRY].into_iter().find_map(|table| match arcs.strip_prefix(table)? {
            [number, index] => Some((Column::at(*number, table)?, *index)),
            _ => None,
        });
        if let Some((column, index)) = place {
            self.rows.entry(index).or_default().insert(column, found.value);
        }
    }

    pub fn extend(&mut self, found: Vec<VarBind>) {
        found.into_iter().for_each(|bind| self.add(bind));
    }

    pub fn interfaces(&self) -> Vec<Interface> {
        self.rows.iter().map(|(index, row)| Interface::of(*index, row)).collect()
    }
}

/// ifAdminStatus: what the administrator wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admin {
    Up,
    Down,
    Testing,
    Unknown,
}

impl Admin {
    pub fn word(self) -> &'static str {
        match self {
            Admin::Up => "up",
            Admin::Down => "down",
            Admin::Testing => "testing",
            Admin::Unknown => "unknown",
        }
    }
}

/// The word of ifOperStatus.
fn oper_word(number: Option<i64>) -> &'static str {
    match number {
        Some(1) => "up",
        Some(2) => "down",
        Some(3) => "testing",
        Some(5) => "dormant",
        Some(6) => "notPresent",
        Some(7) => "lowerLayerDown",
        _ => "unknown",
    }
}

/// One interface as one run saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    pub index: u32,
    /// ifName, or ifDescr where the agent has no ifXTable, or `if3`.
    pub name: String,
    pub descr: String,
    pub alias: String,
    pub admin: Admin,
    /// The word of ifOperStatus.
    pub oper: &'static str,
    /// Bits a second; `None` where the agent says 0 or nothing.
    pub speed: Option<f64>,
    pub in_octets: Option<Counter>,
    pub out_octets: Option<Counter>,
    pub in_errors: Option<Counter>,
    pub out_errors: Option<Counter>,
    pub in_discards: Option<Counter>,
    pub out_discards: Option<Counter>,
    /// sysUpTime when the counters last lost their values.
    pub discontinuity: Option<i64>,
}

impl Interface {
    fn of(index: u32, row: &BTreeMap<Column, SnmpValue>) -> Interface {
        let text = |column: Column| row.get(&column).and_then(SnmpValue::text).unwrap_or_default();
        let integer = |column: Column| row.get(&column).and_then(SnmpValue::integer);
        let counter = |column: Column| row.get(&column).and_then(Counter::of);
        // Narrow counters that an agent types as plain numbers still go round at 32 bits.
        let narrow = |column: Column| match counter(column)? {
            Counter::Bits64(value) => u32::try_from(value).ok().map(Counter::Bits32),
            narrow @ Counter::Bits32(_) => Some(narrow),
        };
        let (name, descr) = (text(Column::Name), text(Column::Descr));
        let named = [&name, &descr].into_iter().find(|text| !text.is_empty()).cloned();
        Interface {
            index,
            name: named.unwrap_or_else(|| format!("if{index}")),
            descr,
            alias: text(Column::Alias),
            admin: match integer(Column::AdminStatus) {
                Some(1) => Admin::Up,
                Some(2) => Admin::Down,
                Some(3) => Admin::Testing,
                _ => Admin::Unknown,
            },
            oper: oper_word(integer(Column::OperStatus)),
            speed: speed(integer(Column::HighSpeed), integer(Column::Speed)),
            in_octets: counter(Column::HcInOctets).or_else(|| narrow(Column::InOctets)),
            out_octets: counter(Column::HcOutOctets).or_else(|| narrow(Column::OutOctets)),
            in_errors: narrow(Column::InErrors),
            out_errors: narrow(Column::OutErrors),
            in_discards: narrow(Column::InDiscards),
            out_discards: narrow(Column::OutDiscards),
            discontinuity: integer(Column::CounterDiscontinuity),
        }
    }

    /// Wanted up, and not: `dormant` waits on purpose, `testing` is somebody's doing, `unknown` says nothing.
    pub fn is_down(&self) -> bool {
        self.admin == Admin::Up && matches!(self.oper, "down" | "notPresent" | "lowerLayerDown")
    }

    pub fn is_up(&self) -> bool {
        self.oper == "up"
    }
}

/// ifHighSpeed counts in megabits; below one megabit, and in old agents, only ifSpeed has a value.
fn speed(high: Option<i64>, low: Option<i64>) -> Option<f64> {
    let high = high.filter(|mega| *mega > 0).map(|mega| mega as f64 * 1e6);
    // RFC 2863 §3.1.7: the largest value says that the speed is larger still.
    high.or_else(|| low.filter(|bits| *bits > 0 && *bits < i64::from(u32::MAX)).map(|bits| bits as f64))
}

/// What happened on a line between two runs; what is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Bits a second.
    pub in_bps: Option<f64>,
    pub out_bps: Option<f64>,
    /// Of the speed.
    pub in_pct: Option<f64>,
    pub out_pct: Option<f64>,
    /// Packets a second.
    pub in_errors: Option<f64>,
    pub out_errors: Option<f64>,
    pub in_discards: Option<f64>,
    pub out_discards: Option<f64>,
}

impl Rates {
    /// Rates from two readings of one interface, `seconds` apart, with no restart of the agent between them.
    pub fn between(before: &Interface, after: &Interface, seconds: f64) -> Rates {
        // An index may be given to another interface, and a line card that was changed starts its counters anew.
        if before.name != after.name || before.discontinuity != after.discontinuity {
            return Rates::default();
        }
        /// Bits of the smallest Ethernet frame with preamble and gap: 64 + 20 octets.
        const FRAME_BITS_MIN: f64 = 672.0;
        let octets_max = after.speed.map(|speed| speed / 8.0);
        let packets_max = after.speed.map(|speed| speed / FRAME_BITS_MIN);
        let between = |before: Option<Counter>, after: Option<Counter>, max| rate(before?, after?, seconds, max);
        let in_bps = between(before.in_octets, after.in_octets, octets_max).map(|octets| octets * 8.0);
        let out_bps = between(before.out_octets, after.out_octets, octets_max).map(|octets| octets * 8.0);
        // More than the line carries: then the speed is not that of the line.
        let pct =
            |bps: Option<f64>| Some(bps? / after.speed? * 100.0).filter(|pct| *pct <= 125.0).map(|pct| pct.min(100.0));
        Rates {
            in_bps,
            out_bps,
            in_pct: pct(in_bps),
            out_pct: pct(out_bps),
            in_errors: between(before.in_errors, after.in_errors, packets_max),
            out_errors: between(before.out_errors, after.out_errors, packets_max),
            in_discards: between(before.in_discards, after.in_discards, packets_max),
            out_discards: between(before.out_discards, after.out_discards, packets_max),
        }
    }
}

/// Which interfaces are meant. All three are alternatives; an empty choice means all.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// ifName or ifDescr, whole, in any case.
    pub names: Vec<String>,
    /// ifAlias, whole, in any case: what people write on a port.
    pub aliases: Vec<String>,
    /// Found in the name, the description or the alias.
    pub pattern: Option<Regex>,
}

impl Choice {
    pub fn is_all(&self) -> bool {
        self.names.is_empty() && self.aliases.is_empty() && self.pattern.is_none()
    }

    pub fn takes(&self, interface: &Interface) -> bool {
        let is = |wanted: &String, text: &str| !text.is_empty() && wanted.eq_ignore_ascii_case(text);
        self.is_all()
            || self.names.iter().any(|name| is(name, &interface.name) || is(name, &interface.descr))
            || self.aliases.iter().any(|alias| is(alias, &interface.alias))
            || self.pattern.as_ref().is_some_and(|pattern| {
                [&interface.name, &interface.descr, &interface.alias].into_iter().any(|text| pattern.is_match(text))
            })
    }

    /// Names and aliases that no interface has, and the pattern if none fits it.
    pub fn not_found(&self, interfaces: &[Interface]) -> Vec<String> {
        let one = |choice: Choice, text: &str| (choice, text.to_owned());
        let names = self.names.iter().map(|name| one(Choice { names: vec![name.clone()], ..Choice::default() }, name));
        let aliases =
            self.aliases.iter().map(|alias| one(Choice { aliases: vec![alias.clone()], ..Choice::default() }, alias));
        let pattern = self
            .pattern
            .iter()
            .map(|pattern| one(Choice { pattern: Some(pattern.clone()), ..Choice::default() }, pattern.as_str()));
        let parts = names.chain(aliases).chain(pattern);
        parts.filter(|(part, _)| !interfaces.iter().any(|found| part.takes(found))).map(|(_, text)| text).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn add(table: &mut Table, index: u32, cells: &[(Column, SnmpValue)]) {
        for (column, value) in cells {
            table.add(VarBind { oid: column.of(index), value: value.clone() });
        }
    }

    fn bytes(text: &str) -> SnmpValue {
        SnmpValue::Bytes(text.as_bytes().to_vec())
    }

    /// Two ports of a switch and an old agent's interface without ifXTable.
    fn table() -> Table {
        let mut table = Table::default();
        add(
            &mut table,
            1,
            &[
                (Column::Name, bytes("Eth1/1")),
                (Column::Descr, bytes("Ethernet1/1")),
                (Column::Alias, bytes("to clc1")),
                (Column::AdminStatus, SnmpValue::Integer(1)),
                (Column::OperStatus, SnmpValue::Integer(1)),
                (Column::HighSpeed, SnmpValue::Gauge(25_000)),
                (Column::Speed, SnmpValue::Gauge(4_294_967_295)),
                (Column::HcInOctets, SnmpValue::Counter64(1_000_000_000_000)),
                (Column::InOctets, SnmpValue::Counter32(7)),
                (Column::InErrors, SnmpValue::Counter32(4)),
                (Column::CounterDiscontinuity, SnmpValue::Ticks(0)),
            ],
        );
        add(
            &mut table,
            2,
            &[
                (Column::Name, bytes("Eth1/2")),
                (Column::AdminStatus, SnmpValue::Integer(1)),
                (Column::OperStatus, SnmpValue::Integer(7)),
                (Column::HighSpeed, SnmpValue::Gauge(0)),
            ],
        );
        add(
            &mut table,
            9,
            &[
                (Column::Descr, bytes("le0\0")),
                (Column::AdminStatus, SnmpValue::Integer(2)),
                (Column::OperStatus, SnmpValue::Integer(2)),
                (Column::Speed, SnmpValue::Gauge(10_000_000)),
                (Column::InOctets, SnmpValue::Counter32(4_294_967_000)),
            ],
        );
        table
    }

    #[test]
    fn columns_of_both_tables_join_to_interfaces() {
        let all = table().interfaces();
        let [first, second, old] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((first.name.as_str(), first.alias.as_str(), first.speed), ("Eth1/1", "to clc1", Some(25e9)));
        assert_eq!(first.in_octets, Some(Counter::Bits64(1_000_000_000_000)), "the wide counter wins");
        assert!(first.is_up() && !first.is_down());
        assert_eq!((second.oper, second.is_down(), second.speed), ("lowerLayerDown", true, None));
        assert_eq!((old.name.as_str(), old.speed, old.is_down()), ("le0", Some(10e6), false), "down on purpose");
        assert_eq!(old.in_octets, Some(Counter::Bits32(4_294_967_000)));
    }

    #[test]
    fn what_belongs_to_no_column_is_left_out() {
        let mut table = Table::default();
        for oid in ["1.3.6.1.2.1.2.2.1.8", "1.3.6.1.2.1.2.2.1.8.1.1", "1.3.6.1.2.1.2.2.1.99.1", "1.3.6.1.2.1.1.3.0"] {
            table.add(VarBind { oid: oid.parse().expect("an identifier"), value: SnmpValue::Integer(1) });
        }
        table.add(VarBind { oid: Column::Name.of(3), value: SnmpValue::Missing });
        assert_eq!(table.interfaces(), []);
    }

    #[test]
    fn interfaces_are_chosen_by_name_alias_or_pattern() {
        let all = table().interfaces();
        let pattern = |text: &str| Some(Regex::new(text).expect("a pattern"));
        let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (names, aliases, regex, wanted, missing) in [
            (&[][..], &[][..], None, &[1, 2, 9][..], &[][..]),
            (&["eth1/2"], &[], None, &[2], &[]),
            (&["Ethernet1/1", "Eth1/9"], &[], None, &[1], &["Eth1/9"]),
            (&[], &["TO CLC1", "to nc1"], None, &[1], &["to nc1"]),
            (&["le0"], &[], pattern("^Eth1/"), &[1, 2, 9], &[]),
            (&[], &[], pattern("clc[0-9]"), &[1], &[]),
            (&[], &[], pattern("^ge-"), &[], &["^ge-"]),
            (&[""], &[], None, &[], &[""]),
        ] {
            let choice = Choice { names: strings(names), aliases: strings(aliases), pattern: regex };
            let taken: Vec<u32> = all.iter().filter(|one| choice.takes(one)).map(|one| one.index).collect();
            assert_eq!((taken.as_slice(), choice.not_found(&all)), (wanted, strings(missing)), "{choice:?}");
        }
    }

    #[test]
    fn rates_need_the_same_interface_and_unbroken_counters() {
        let before = table().interfaces().remove(0);
        let grown = |octets: u64| Interface { in_octets: Some(Counter::Bits64(octets)), ..before.clone() };
        let after = grown(1_000_000_000_000 + 1_250_000_000);
        let rates = Rates::between(&before, &after, 10.0);
        assert_eq!((rates.in_bps, rates.in_pct, rates.in_errors), (Some(1e9), Some(4.0), Some(0.0)));
        assert_eq!((rates.out_bps, rates.out_discards), (None, None), "what the agent lacks is not zero");
        for (other, why) in [
            (Interface { discontinuity: Some(77), ..after.clone() }, "counters began anew"),
            (Interface { name: "Eth2/1".into(), ..after.clone() }, "the index is another interface's now"),
        ] {
            assert_eq!(Rates::between(&before, &other, 10.0), Rates::default(), "{why}");
        }
        assert_eq!(Rates::between(&before, &grown(5), 10.0).in_bps, None, "a reset is no rate");
        let odd = Rates::between(&before, &grown(2_000_000_000_000), 10.0);
        assert_eq!((odd.in_bps, odd.in_pct), (Some(8e11), None), "800 Gb/s on 25: the speed is wrong");
    }

    proptest! {
        #[test]
        fn any_values_in_any_cells_make_interfaces(cells in proptest::collection::vec((0usize..16, 0u32..4, any::<i64>(), any::<Vec<u8>>(), 0u8..7), 0..60), seconds in any::<f64>()) {
            let mut tables = [Table::default(), Table::default()];
            for (i, (column, index, number, bytes, kind)) in cells.into_iter().enumerate() {
                let value = match kind {
                    0 => SnmpValue::Integer(number),
                    1 => SnmpValue::Gauge(number as u64),
                    2 => SnmpValue::Counter32(number as u32),
                    3 => SnmpValue::Counter64(number as u64),
                    4 => SnmpValue::Bytes(bytes),
                    5 => SnmpValue::Ticks(number as u32),
                    _ => SnmpValue::Missing,
                };
                tables[i % 2].add(VarBind { oid: Column::ALL[column].of(index), value });
            }
            for (before, after) in tables[0].interfaces().iter().zip(&tables[1].interfaces()) {
                let rates = Rates::between(before, after, seconds);
                for rate in [rates.in_bps, rates.in_pct, rates.out_errors].into_iter().flatten() {
                    prop_assert!(rate.is_finite() && rate >= 0.0);
                }
                prop_assert!(!after.name.is_empty() && Choice::default().takes(after));
            }
        }
    }
}
