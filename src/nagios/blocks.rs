//! Blocks of `key=value` lines, as `status.dat` and `retention.dat` have them, written piece by piece: the file of a large
//! site is never in memory as a whole.

use std::fmt::{Display, Write as _};
use std::io;

use stentor_core::Timestamp;

/// So much is gathered before it is written.
const PIECE_BYTES: usize = 64 * 1024;

/// How a block is laid out.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Style {
    /// Fields behind a tab, an empty line after the block.
    Status,
    Retention,
}

/// A file that is being written.
pub struct Out<'a> {
    style: Style,
    text: String,
    to: &'a mut dyn io::Write,
}

impl<'a> Out<'a> {
    pub fn new(style: Style, to: &'a mut dyn io::Write) -> Out<'a> {
        let mut text = String::with_capacity(2 * PIECE_BYTES);
        if style == Style::Status {
            text.push('\n');
        }
        Out { style, text, to }
    }

    pub fn block(&mut self, kind: &str, body: impl FnOnce(&mut Self)) -> io::Result<()> {
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "{kind} {{");
        body(self);
        self.text.push_str(match self.style {
            Style::Status => "\t}\n\n",
            Style::Retention => "}\n",
        });
        if self.text.len() < PIECE_BYTES {
            return Ok(());
        }
        self.end()
    }

    /// Hands over what was gathered.
    pub fn end(&mut self) -> io::Result<()> {
        let done = self.to.write_all(self.text.as_bytes());
        self.text.clear();
        done
    }

    pub fn put(&mut self, key: &str, value: impl Display) {
        if self.style == Style::Status {
            self.text.push('\t');
        }
        let _ = writeln!(self.text, "{key}={value}");
    }

    /// A number with so many digits behind the point.
    pub fn fixed(&mut self, key: &str, value: f64, digits: usize) {
        // Nearly all are whole, and digits of fractions are dear.
        if value.fract() == 0.0 && value.abs() < 1e15 {
            self.put(key, format_args!("{}.{:0<digits$}", value as i64, ""));
        } else {
            self.put(key, format_args!("{value:.digits$}"));
        }
    }

    /// A text of people or plugins: it must not end its line.
    pub fn line(&mut self, key: &str, text: &str) {
        if text.contains(['\n', '\r']) {
            self.put(key, text.replace(['\n', '\r'], " "));
        } else {
            self.put(key, text);
        }
    }

    pub fn flag(&mut self, key: &str, on: bool) {
        self.put(key, u8::from(on));
    }

    pub fn time(&mut self, key: &str, at: Timestamp) {
        self.put(key, at.as_secs());
    }
}
