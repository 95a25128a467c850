//! Cells of walked columns as rows of a table: by index, columns by number, holes left open.

use std::collections::BTreeMap;

use super::{Oid, SnmpValue, VarBind};

/// Rows of one table, by their index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows(BTreeMap<Vec<u32>, Row>);

/// Cells of one row, by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row(BTreeMap<u32, SnmpValue>);

/// What walks of these columns of a table start from.
pub fn roots(entry: &[u32], columns: &[u32]) -> Vec<Oid> {
    columns.iter().map(|column| Oid::new(entry).join(&[*column])).collect()
}

impl Rows {
    /// Takes the cells that lie below `entry`; others, and missing ones, change nothing.
    pub fn of(found: &[VarBind], entry: &[u32]) -> Rows {
        let mut rows = Rows::default();
        for bind in found.iter().filter(|bind| bind.value != SnmpValue::Missing) {
            if let Some([column, index @ ..]) = bind.oid.arcs().strip_prefix(entry)
                && !index.is_empty()
            {
                rows.0.entry(index.to_vec()).or_default().0.insert(*column, bind.value.clone());
            }
        }
        rows
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u32], &Row)> {
        self.0.iter().map(|(index, row)| (index.as_slice(), row))
    }

    /// Rows whose index is one number.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &Row)> {
        self.iter().filter_map(|(index, row)| match index {
            [number] => Some((*number, row)),
            _ => None,
        })
    }

    pub fn get(&self, index: &[u32]) -> Option<&Row> {
        self.0.get(index)
    }
}

impl Row {
    pub fn value(&self, column: u32) -> Option<&SnmpValue> {
        self.0.get(&column)
    }

    pub fn integer(&self, column: u32) -> Option<i64> {
        self.value(column)?.integer()
    }

    pub fn number(&self, column: u32) -> Option<f64> {
        self.value(column)?.number()
    }

    /// A text that says something.
    pub fn text(&self, column: u32) -> Option<String> {
        self.value(column)?.text().filter(|text| !text.is_empty())
    }

    pub fn bytes(&self, column: u32) -> Option<&[u8]> {
        match self.value(column)? {
            SnmpValue::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// BITS (RFC 2578 §7.1.4): bit 0 is the highest of the first byte. Some agents send the same as an integer, in which
    /// bit 0 is the lowest.
    pub fn bits(&self, column: u32) -> Option<Bits> {
        match self.value(column)? {
            SnmpValue::Bytes(bytes) => {
                let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0);
                Some(Bits((0..32).filter(|at| bit(*at)).fold(0, |bits, at| bits | 1 << at)))
            }
            value => u32::try_from(value.integer()?).ok().map(Bits),
        }
    }
}

/// Up to 32 named bits; bit 0 is the lowest here, however it was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bits(pub u32);

impl Bits {
    pub fn has(self, bit: u32) -> bool {
        1u32.checked_shl(bit).is_some_and(|mask| self.0 & mask != 0)
    }
}

/// `02:aa:bb:cc:dd:ee`, whatever the bytes look like as text.
pub fn mac(bytes: &[u8]) -> Option<String> {
    (bytes.len() == 6).then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_join_to_rows_and_what_is_no_cell_is_left_out() {
        let bind = |oid: &str, value| VarBind { oid: oid.parse().expect("an identifier"), value };
        let rows = Rows::of(
            &[
                bind("1.3.6.1.9.1.7", SnmpValue::Integer(1)),
                bind("1.3.6.1.9.2.7", SnmpValue::Bytes(b"a".to_vec())),
                bind("1.3.6.1.9.1.8.1", SnmpValue::Integer(2)),
                bind("1.3.6.1.9.1", SnmpValue::Integer(3)),
                bind("1.3.6.1.8.1.7", SnmpValue::Integer(4)),
                bind("1.3.6.1.9.1.9", SnmpValue::Missing),
            ],
            &[1, 3, 6, 1, 9],
        );
        let indexes: Vec<&[u32]> = rows.iter().map(|(index, _)| index).collect();
        assert_eq!(indexes, [&[7][..], &[8, 1]]);
        let seven = rows.get(&[7]).expect("a row");
        assert_eq!((seven.integer(1), seven.text(2).as_deref(), seven.integer(2)), (Some(1), Some("a"), None));
        assert_eq!(rows.numbered().count(), 1);
    }

    #[test]
    fn bits_are_the_same_sent_as_bytes_or_as_a_number() {
        for (value, wanted) in [
            (SnmpValue::Bytes(vec![0xfc]), Some(0x3f)),
            (SnmpValue::Bytes(vec![0xbc]), Some(0x3d)),
            (SnmpValue::Integer(0x3d), Some(0x3d)),
            (SnmpValue::Bytes(vec![]), Some(0)),
            (SnmpValue::Bytes(vec![0, 0x80, 0, 1, 0xff]), Some(1 << 8 | 1 << 31)),
            (SnmpValue::Integer(-1), None),
        ] {
            let row = Row(BTreeMap::from([(1, value.clone())]));
            assert_eq!(row.bits(1).map(|bits| bits.0), wanted, "{value:?}");
        }
        assert!(!Bits(u32::MAX).has(32));
    }
}
