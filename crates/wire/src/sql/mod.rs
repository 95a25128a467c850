//! What databases say on the wire: a table of texts, and the two protocols that carry it.

pub mod gtid;
pub mod mysql;
pub mod postgres;
pub mod scram;

/// One message of a server; more than this no question of ours is answered with.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// All rows of one answer.
pub const TABLE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The answer to one question. All values are text, as both protocols send them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
    bytes: usize,
}

/// What came does not follow the protocol, or is more than is read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Broken {
    #[error("a message is broken: {0}")]
    Message(&'static str),
    #[error("a message of {0} bytes is longer than is read")]
    TooLong(usize),
    #[error("the answer has more than {TABLE_BYTES_MAX} bytes")]
    TableTooLong,
}

/// A server's refusal: its code (`53300`, `1040`) and its words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

/// One row with the names of its columns.
#[derive(Copy, Clone, Debug)]
pub struct Row<'t> {
    columns: &'t [String],
    values: &'t [Option<String>],
}

impl Table {
    pub fn new(columns: Vec<String>) -> Table {
        Table { columns, ..Table::default() }
    }

    /// # Errors
    /// It is more than is read of one answer.
    pub fn add(&mut self, row: Vec<Option<String>>) -> Result<(), Broken> {
        self.bytes += row.iter().flatten().map(String::len).sum::<usize>() + row.len();
        if self.bytes > TABLE_BYTES_MAX {
            return Err(Broken::TableTooLong);
        }
        self.rows.push(row);
        Ok(())
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { columns: &self.columns, values })
    }

    pub fn first(&self) -> Option<Row<'_>> {
        self.rows().next()
    }

    /// A table of names and values, as `SHOW VARIABLES` has it.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.rows.iter().find_map(|row| match row.as_slice() {
            [Some(own), Some(value), ..] if own.eq_ignore_ascii_case(name) => Some(value.as_str()),
            _ => None,
        })
    }
}

impl<'t> Row<'t> {
    /// The value under a name, without regard to case; `None` for NULL and for a column that is not there.
    pub fn text(self, name: &str) -> Option<&'t str> {
        let at = self.columns.iter().position(|column| column.eq_ignore_ascii_case(name))?;
        self.values.get(at)?.as_deref()
    }

    /// The first of several names that is there: releases rename columns.
    pub fn any(self, names: &[&str]) -> Option<&'t str> {
        names.iter().find_map(|name| self.text(name))
    }

    pub fn number(self, name: &str) -> Option<f64> {
        number(self.text(name)?)
    }

    /// `t`, `1`, `ON`, `Yes`.
    pub fn is(self, name: &str) -> Option<bool> {
        self.text(name).map(is_on)
    }

    /// The first value of the row.
    pub fn value(self) -> Option<&'t str> {
        self.values.first()?.as_deref()
    }
}

/// A finite number.
pub fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// `t`, `1`, `ON`, `Yes`.
pub fn is_on(text: &str) -> bool {
    ["t", "1", "on", "yes", "true"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Reads a message from its beginning on; nothing is read behind its end.
pub(super) struct Reader<'b> {
    pub(super) rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'b [u8], Broken> {
        let (part, rest) = self.rest.split_at_checked(count).ok_or(Broken::Message("it ends too early"))?;
        self.rest = rest;
        Ok(part)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        self.take(N)?.try_into().map_err(|_| Broken::Message("it ends too early"))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Broken> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Bytes up to the next NUL, which is taken too.
    pub(super) fn until_nul(&mut self) -> Result<&'b [u8], Broken> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(Broken::Message("a text has no end"))?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(text)
    }
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
