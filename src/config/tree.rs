//! TOML as an owned tree with the place of every key and value, and a reader of sections that finds every mistake at once.

use std::path::PathBuf;
use std::sync::Arc;

use stentor_core::Span;
use stentor_core::model::Value;
use toml::de::{DeTable, DeValue};

use super::finding::{Diagnostics, Place, SourceFile, suggest};
use super::schema;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub at: Place,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Datetime(String),
    List(Vec<Node>),
    Table(Table),
}

pub type Table = Vec<(At<String>, Node)>;

/// Something and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct At<T> {
    pub value: T,
    pub at: Place,
}

impl Kind {
    fn word(&self) -> &'static str {
        match self {
            Kind::Text(_) => "a text",
            Kind::Integer(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::Bool(_) => "true or false",
            Kind::Datetime(_) => "a date",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }
}

impl Node {
    /// As the engine's value; dates become text.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Text(text) | Kind::Datetime(text) => Value::Text(text.clone()),
            Kind::Integer(number) => Value::Number(*number as f64),
            Kind::Float(number) => Value::Number(*number),
            Kind::Bool(bool) => Value::Bool(*bool),
            Kind::List(items) => Value::List(items.iter().map(Node::to_value).collect()),
            Kind::Table(table) => table.iter().map(|(key, node)| (key.value.clone(), node.to_value())).collect(),
        }
    }
}

/// Parses one file and adds its text to `found`; syntax errors become findings, what could be read is returned.
pub fn parse(path: PathBuf, text: Arc<str>, found: &mut Diagnostics) -> Table {
    let file = found.files.len();
    found.files.push(SourceFile { path, text: Arc::clone(&text) });
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in errors {
        let place = Place { file, span: error.span().unwrap_or_default() };
        found.error("syntax", &place, error.message().trim(), "");
    }
    own_table(table.get_ref(), file, 0, found)
}

/// Levels of tables and lists in a file: deeper than any section, shallow enough that what is kept of it as a value can
/// be journalled and read back.
const LEVELS_MAX: u8 = 32;
const _: () = assert!(LEVELS_MAX < stentor_core::model::value::DEPTH_MAX);

fn own_table(table: &DeTable<'_>, file: usize, level: u8, found: &mut Diagnostics) -> Table {
    let mut own: Table = table
        .iter()
        .map(|(key, value)| {
            let at = Place { file, span: key.span() };
            (At { value: key.get_ref().to_string(), at }, own_node(value.get_ref(), value.span(), (file, level), found))
        })
        .collect();
    own.sort_by_key(|(key, _)| key.at.span.start);
    own
}

fn own_node(
    value: &DeValue<'_>,
    span: std::ops::Range<usize>,
    (file, level): (usize, u8),
    found: &mut Diagnostics,
) -> Node {
    let at = Place { file, span };
    let kind = match value {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Kind::Integer(number),
            Err(_) => {
                found.error("bad-number", &at, format!("`{}` is out of range", number.as_str()), "");
                Kind::Integer(0)
            }
        },
        DeValue::Float(number) => Kind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(bool) => Kind::Bool(*bool),
        DeValue::Datetime(date) => Kind::Datetime(date.to_string()),
        DeValue::Array(_) | DeValue::Table(_) if level >= LEVELS_MAX => {
            found.error("too-deep", &at, format!("nested deeper than {LEVELS_MAX}"), "");
            Kind::List(Vec::new())
        }
        DeValue::Array(items) => Kind::List(
            items.iter().map(|item| own_node(item.get_ref(), item.span(), (file, level + 1), found)).collect(),
        ),
        DeValue::Table(table) => Kind::Table(own_table(table, file, level + 1, found)),
    };
    Node { at, kind }
}

/// One table being read against the schema: every key asked for must be in it, every key found must be known.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    name: &'static str,
    pub at: Place,
    table: &'a [(At<String>, Node)],
}

impl<'a> Section<'a> {
    /// Opens a table as the section `name` of the schema and reports its unknown keys.
    pub fn open(name: &'static str, at: &Place, table: &'a [(At<String>, Node)], found: &mut Diagnostics) -> Self {
        let known = schema::keys(name);
        for (key, _) in table {
            if !known.contains(&key.value.as_str()) {
                let place = if name.is_empty() { "at the top level".to_owned() } else { format!("in `{name}`") };
                let help = suggest(&key.value, known.iter().copied());
                found.error("unknown-key", &key.at, format!("unknown key `{}` {place}", key.value), help);
            }
        }
        Section { name, at: at.clone(), table }
    }

    /// The same for a node that must be a table.
    pub fn of(name: &'static str, node: &'a Node, found: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            Kind::Table(table) => Some(Section::open(name, &node.at, table, found)),
            other => {
                wrong_kind(&node.at, name, "a table", other, found);
                None
            }
        }
    }

    pub fn node(&self, key: &str) -> Option<&'a Node> {
        debug_assert!(schema::keys(self.name).contains(&key), "`{key}` is not in the schema of `{}`", self.name);
        self.table.iter().find(|(name, _)| name.value == key).map(|(_, node)| node)
    }

    /// Keys and values of a table with free keys.
    pub fn entries(node: &'a Node, key: &str, found: &mut Diagnostics) -> &'a [(At<String>, Node)] {
        match &node.kind {
            Kind::Table(table) => table,
            other => {
                wrong_kind(&node.at, key, "a table", other, found);
                &[]
            }
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    pub fn text(&self, key: &str, found: &mut Diagnostics) -> Option<At<&'a str>> {
        let node = self.node(key)?;
        match &node.kind {
            Kind::Text(text) => Some(At { value: text, at: node.at.clone() }),
            other => {
                wrong_kind(&node.at, key, "a text", other, found);
                None
            }
        }
    }

    /// A text that must be there; its absence is an error at the section.
    pub fn needed(&self, key: &str, found: &mut Diagnostics) -> Option<At<&'a str>> {
        if !self.has(key) {
            found.error("missing-key", &self.at, format!("`{}` needs the key `{key}`", self.name), "");
        }
        self.text(key, found).filter(|text| {
            let filled = !text.value.trim().is_empty();
            if !filled {
                found.error("empty", &text.at, format!("`{key}` must not be empty"), "");
            }
            filled
        })
    }

    /// A text or the default.
    pub fn text_or(&self, key: &str, default: &str, found: &mut Diagnostics) -> String {
        self.text(key, found).map_or_else(|| default.to_owned(), |text| text.value.to_owned())
    }

    pub fn bool_or(&self, key: &str, default: bool, found: &mut Diagnostics) -> bool {
        match self.node(key).map(|node| (&node.at, &node.kind)) {
            None => default,
            Some((_, Kind::Bool(bool))) => *bool,
            Some((at, other)) => {
                wrong_kind(at, key, "true or false", other, found);
                default
            }
        }
    }

    /// A whole number within a range, or the default.
    pub fn whole_or(
        &self,
        key: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
        found: &mut Diagnostics,
    ) -> u64 {
        match self.node(key).map(|node| (&node.at, &node.kind)) {
            None => default,
            Some((at, Kind::Integer(number))) => match u64::try_from(*number) {
                Ok(number) if range.contains(&number) => number,
                Ok(_) | Err(_) => {
                    let message = format!("`{key}` must be from {} to {}, not {number}", range.start(), range.end());
                    found.error("out-of-range", at, message, "");
                    default
                }
            },
            Some((at, other)) => {
                wrong_kind(at, key, "a whole number", other, found);
                default
            }
        }
    }

    /// A number within a range, or the default.
    pub fn number_or(
        &self,
        key: &str,
        default: f64,
        range: std::ops::RangeInclusive<f64>,
        found: &mut Diagnostics,
    ) -> f64 {
        let (at, number) = match self.node(key).map(|node| (&node.at, &node.kind)) {
            None => return default,
            Some((at, Kind::Integer(number))) => (at, *number as f64),
            Some((at, Kind::Float(number))) => (at, *number),
            Some((at, other)) => {
                wrong_kind(at, key, "a number", other, found);
                return default;
            }
        };
        if range.contains(&number) {
            return number;
        }
        found.error(
            "out-of-range",
            at,
            format!("`{key}` must be from {} to {}, not {number}", range.start(), range.end()),
            "",
        );
        default
    }

    /// A duration such as `"30s"`.
    pub fn span(&self, key: &str, found: &mut Diagnostics) -> Option<Span> {
        let node = self.node(key)?;
        let help = "durations are texts with a unit: \"250ms\", \"30s\", \"5m\", \"1h30m\", \"2d\"";
        match &node.kind {
            Kind::Text(text) => match text.parse::<Span>() {
                Ok(span) => Some(span),
                Err(_) => {
                    found.error("bad-duration", &node.at, format!("`{text}` is not a duration"), help);
                    None
                }
            },
            Kind::Integer(_) | Kind::Float(_) => {
                found.error("bad-duration", &node.at, format!("`{key}` needs a unit"), help);
                None
            }
            other => {
                wrong_kind(&node.at, key, "a duration", other, found);
                None
            }
        }
    }

    pub fn span_or(&self, key: &str, default: Span, found: &mut Diagnostics) -> Span {
        self.span(key, found).unwrap_or(default)
    }

    /// A list of texts; one bare text counts as a list of one.
    pub fn texts(&self, key: &str, found: &mut Diagnostics) -> Vec<At<&'a str>> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Text(_) => std::slice::from_ref(node),
            other => {
                wrong_kind(&node.at, key, "a list of texts", other, found);
                return Vec::new();
            }
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match &item.kind {
                Kind::Text(text) => texts.push(At { value: text.as_str(), at: item.at.clone() }),
                other => wrong_kind(&item.at, key, "a text", other, found),
            }
        }
        texts
    }

    /// A list of texts without their places.
    pub fn names(&self, key: &str, found: &mut Diagnostics) -> Vec<Arc<str>> {
        self.texts(key, found).into_iter().map(|text| text.value.into()).collect()
    }

    /// The tables of `[[key]]`, each opened as `section`; one bare table counts as a list of one.
    pub fn sections(&self, key: &str, section: &'static str, found: &mut Diagnostics) -> Vec<Section<'a>> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Table(_) => std::slice::from_ref(node),
            other => {
                wrong_kind(&node.at, key, "a list of tables", other, found);
                return Vec::new();
            }
        };
        items.iter().filter_map(|item| Section::of(section, item, found)).collect()
    }

    /// The table `key`, opened as `section`.
    pub fn section(&self, key: &str, section: &'static str, found: &mut Diagnostics) -> Option<Section<'a>> {
        Section::of(section, self.node(key)?, found)
    }

    /// A map of free keys as a value; empty if absent.
    pub fn map(&self, key: &str, found: &mut Diagnostics) -> Value {
        match self.node(key) {
            None => Value::Map(Default::default()),
            Some(node) if matches!(node.kind, Kind::Table(_)) => node.to_value(),
            Some(node) => {
                wrong_kind(&node.at, key, "a table", &node.kind, found);
                Value::Map(Default::default())
            }
        }
    }
}

fn wrong_kind(at: &Place, key: &str, wanted: &str, kind: &Kind, found: &mut Diagnostics) {
    found.error("wrong-type", at, format!("`{key}` must be {wanted}, not {}", kind.word()), "");
}

/// One of a closed set of words.
pub fn word<T: Copy>(text: &At<&str>, key: &str, words: &[(&'static str, T)], found: &mut Diagnostics) -> Option<T> {
    let known = words.iter().find(|(name, _)| *name == text.value);
    if known.is_none() {
        let help = suggest(text.value, words.iter().map(|(name, _)| *name));
        found.error("unknown-word", &text.at, format!("`{}` is no value of `{key}`", text.value), help);
    }
    known.map(|(_, value)| *value)
}
