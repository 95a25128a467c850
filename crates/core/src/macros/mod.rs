//! Nagios's macros: finds `$NAME$` in a text and puts values there, once. A value is never read again, so what a plugin
//! printed cannot ask for another macro; how long the result may grow is limited.
//!
//! [`expand`] scans; a [`Lookup`] knows values; [`Context`] is the lookup over hosts, services, contacts and groups.

mod command;
mod context;
mod environment;
pub mod facts;
mod held;
mod moment;
pub mod table;
mod values;
pub mod view;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

pub use command::{CommandCall, expand_command, expand_command_held};
pub use context::Context;
pub use environment::{Environment, EnvironmentSize, environment};
pub use held::Held;
pub use table::Macro;

/// Linux takes at most 128 KiB, its end included, as one argument or environment variable (`MAX_ARG_STRLEN`).
pub const EXPANDED_BYTES_MAX: usize = 128 * 1024 - 1;

/// Macros read for one text, those in notes and URLs included.
const STEPS_MAX: u32 = 100_000;

/// Notes may name macros, and these be notes again; below that depth they stay as they are.
const DEPTH_MAX: u8 = 3;

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExpandError {
    #[error("the text grows past {limit} bytes when its macros are filled in")]
    TooLong { limit: usize },
    #[error("the text has more than {STEPS_MAX} macros, counting those inside of notes and URLs")]
    TooMany,
}

/// What happens to values that came from outside.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Clean<'a> {
    /// As they are: for logs.
    Raw,
    /// These characters and control characters are left out: for commands.
    Strip { illegal: &'a str },
}

#[derive(Copy, Clone, Debug)]
pub struct Options<'a> {
    pub clean: Clean<'a>,
    pub bytes_max: usize,
}

impl<'a> Options<'a> {
    pub fn raw() -> Self {
        Options { clean: Clean::Raw, bytes_max: EXPANDED_BYTES_MAX }
    }

    /// `illegal` is `illegal_macro_output_chars`.
    pub fn strip(illegal: &'a str) -> Self {
        Options { clean: Clean::Strip { illegal }, bytes_max: EXPANDED_BYTES_MAX }
    }
}

/// What stands between two dollar signs: a name, and up to two arguments after colons.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Asked<'a> {
    pub name: &'a str,
    pub first: Option<&'a str>,
    /// All the rest, colons included: a delimiter may be one.
    pub second: Option<&'a str>,
}

impl<'a> Asked<'a> {
    pub fn read(text: &'a str) -> Self {
        match text.split_once(':') {
            None => Asked { name: text, first: None, second: None },
            Some((name, rest)) => match rest.split_once(':') {
                None => Asked { name, first: Some(rest), second: None },
                Some((first, second)) => Asked { name, first: Some(first), second: Some(second) },
            },
        }
    }
}

/// The value of a macro, and whether it came from outside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Value<'v> {
    pub text: Cow<'v, str>,
    pub is_output: bool,
}

impl<'v> Value<'v> {
    pub fn plain(text: impl Into<Cow<'v, str>>) -> Self {
        Value { text: text.into(), is_output: false }
    }
}

/// Knows the values of macros.
pub trait Lookup {
    /// `None`: there is no such macro here, the text stays as it is.
    ///
    /// # Errors
    /// A limit of the expansion.
    fn value(&self, asked: Asked<'_>, run: &Run<'_>) -> Result<Option<Value<'_>>, ExpandError>;
}

/// Fills in the macros of a text.
///
/// # Errors
/// The result would be longer than the options allow.
pub fn expand(text: &str, lookup: &impl Lookup, options: Options<'_>) -> Result<String, ExpandError> {
    Run::new(options).expand(text, lookup, Encode::No)
}

/// Whether values become part of a URL.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Encode {
    No,
    Url,
}

/// One expansion with its limits, shared by the texts inside of it.
pub struct Run<'o> {
    options: Options<'o>,
    steps: Cell<u32>,
    depth: Cell<u8>,
    /// Whatever is read now will be percent-encoded.
    in_url: Cell<bool>,
    /// Where values from outside are kept apart from the text, see [`Held`].
    held: Option<RefCell<Vec<String>>>,
    held_bytes: Cell<usize>,
}

impl<'o> Run<'o> {
    pub(crate) fn new(options: Options<'o>) -> Self {
        Run {
            options,
            steps: Cell::new(STEPS_MAX),
            depth: Cell::new(0),
            in_url: Cell::new(false),
            held: None,
            held_bytes: Cell::new(0),
        }
    }

    /// Keeps values from outside apart.
    pub(crate) fn holding(options: Options<'o>) -> Self {
        Run { held: Some(RefCell::new(Vec::new())), ..Run::new(options) }
    }

    pub(crate) fn into_held(self) -> Vec<String> {
        self.held.map(RefCell::into_inner).unwrap_or_default()
    }

    /// Refuses a length that is past the limit.
    pub(crate) fn check_length(&self, length: usize) -> Result<(), ExpandError> {
        let limit = self.options.bytes_max;
        if length > limit { Err(ExpandError::TooLong { limit }) } else { Ok(()) }
    }

    /// A text that is itself the value of a macro, such as notes; as it is where that goes round in circles.
    pub(crate) fn nested(&self, text: &str, lookup: &impl Lookup, encode: Encode) -> Result<String, ExpandError> {
        if self.depth.get() >= DEPTH_MAX {
            return Ok(text.to_owned());
        }
        let (depth, in_url) = (self.depth.get(), self.in_url.get());
        self.depth.set(depth + 1);
        self.in_url.set(in_url || encode == Encode::Url);
        let expanded = self.expand(text, lookup, encode);
        self.depth.set(depth);
        self.in_url.set(in_url);
        expanded
    }

    /// The pieces between dollar signs are text and macro in turn. `$$` is a dollar sign; what is no macro stays with
    /// the signs around it; the last macro may lack its closing sign.
    pub(crate) fn expand(&self, text: &str, lookup: &impl Lookup, encode: Encode) -> Result<String, ExpandError> {
        let mut out = String::with_capacity(text.len());
        let mut pieces = text.split('$');
        out.push_str(pieces.next().unwrap_or_default());
        let mut pieces = pieces.peekable();
        while let Some(name) = pieces.next() {
            if name.is_empty() {
                out.push('$');
            } else {
                self.steps.set(self.steps.get().checked_sub(1).ok_or(ExpandError::TooMany)?);
                match lookup.value(Asked::read(name), self)? {
                    Some(value) => self.push(&mut out, &value, encode),
                    None => {
                        out.push('$');
                        out.push_str(name);
                        if pieces.peek().is_some() {
                            out.push('$');
                        }
                    }
                }
            }
            self.check_length(out.len() + self.held_bytes.get())?;
            out.push_str(pieces.next().unwrap_or_default());
        }
        self.check_length(out.len())?;
        Ok(out)
    }

    fn push(&self, out: &mut String, value: &Value<'_>, encode: Encode) {
        let text = match self.options.clean {
            Clean::Strip { illegal } if value.is_output => clean(&value.text, illegal),
            Clean::Strip { .. } | Clean::Raw => Cow::Borrowed(&*value.text),
        };
        match (encode, &self.held) {
            (Encode::No, Some(held)) if value.is_output && !self.in_url.get() => {
                self.held_bytes.set(self.held_bytes.get() + text.len());
                held::push_mark(out, &mut held.borrow_mut(), text.into_owned());
            }
            (Encode::No, _) => out.push_str(&text),
            // What is encoded means nothing to a shell.
            (Encode::Url, _) => push_url_encoded(out, &text),
        }
    }
}

/// Without control characters and without the illegal ones.
pub fn clean<'t>(text: &'t str, illegal: &str) -> Cow<'t, str> {
    let is_bad = |c: char| c.is_ascii_control() || illegal.contains(c);
    if text.contains(is_bad) { Cow::Owned(text.replace(is_bad, "")) } else { Cow::Borrowed(text) }
}

/// RFC 3986 §2.3: only unreserved characters stay.
pub(crate) fn push_url_encoded(out: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}
