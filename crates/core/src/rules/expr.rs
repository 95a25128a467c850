//! The parsed form of a condition, its text, and how it prints.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::parse;

/// A condition such as `port == "refused" and absent(maintenance)`; serialised as its text.
#[derive(Clone)]
pub struct Expr {
    pub text: Arc<str>,
    node: Arc<Node>,
}

/// Why a text is not a condition.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message} at character {}", .offset + 1)]
pub struct ExprError {
    /// Byte offset into the text.
    pub offset: usize,
    pub message: String,
    /// What to write instead; empty if there is nothing to suggest.
    pub help: String,
}

/// The tree of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Name(String),
    Present(String),
    Absent(String),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Op, Box<Node>, Box<Node>),
}

/// Operators with two sides, from the loosest to the tightest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Op {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Contains,
    Add,
    Sub,
    Mul,
    Div,
}

impl Op {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Op::Or => "or",
            Op::And => "and",
            Op::Eq => "==",
            Op::Ne => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::In => "in",
            Op::Contains => "contains",
            Op::Add => "+",
            Op::Sub => "-",
            Op::Mul => "*",
            Op::Div => "/",
        }
    }

    /// How tightly it binds; `not` is 3 and unary minus 7.
    pub(super) const fn strength(self) -> u8 {
        match self {
            Op::Or => 1,
            Op::And => 2,
            Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::In | Op::Contains => 4,
            Op::Add | Op::Sub => 5,
            Op::Mul | Op::Div => 6,
        }
    }

    /// Gives a bool.
    pub(super) const fn is_claim(self) -> bool {
        self.strength() <= 4
    }
}

pub(super) const NOT_STRENGTH: u8 = 3;
pub(super) const NEGATE_STRENGTH: u8 = 7;

impl Expr {
    /// Reads a condition.
    ///
    /// # Errors
    /// The text is not a condition; the error points at the place and says what to write instead.
    pub fn parse(text: &str) -> Result<Expr, ExprError> {
        let node = parse::parse(text)?;
        Ok(Expr { text: text.into(), node: Arc::new(node) })
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// The names the condition reads, in order of first use, each once.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.node.collect_names(&mut names);
        names
    }
}

impl Node {
    fn collect_names<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => {}
            Node::List(items) => items.iter().for_each(|item| item.collect_names(into)),
            Node::Name(name) | Node::Present(name) | Node::Absent(name) => {
                if !into.contains(&name.as_str()) {
                    into.push(name);
                }
            }
            Node::Not(inner) | Node::Negate(inner) => inner.collect_names(into),
            Node::Binary(_, left, right) => {
                left.collect_names(into);
                right.collect_names(into);
            }
        }
    }

    const fn strength(&self) -> u8 {
        match self {
            Node::Binary(op, _, _) => op.strength(),
            Node::Not(_) => NOT_STRENGTH,
            Node::Negate(_) => NEGATE_STRENGTH,
            Node::Null
            | Node::Bool(_)
            | Node::Number(_)
            | Node::Text(_)
            | Node::List(_)
            | Node::Name(_)
            | Node::Present(_)
            | Node::Absent(_) => 8,
        }
    }

    /// Prints with brackets wherever the reader binds tighter than `at_least`.
    fn print(&self, f: &mut fmt::Formatter<'_>, at_least: u8) -> fmt::Result {
        if self.strength() < at_least {
            f.write_str("(")?;
            self.print(f, 0)?;
            return f.write_str(")");
        }
        match self {
            Node::Null => f.write_str("null"),
            Node::Bool(v) => write!(f, "{v}"),
            Node::Number(v) => write!(f, "{v}"),
            Node::Text(v) => print_quoted(f, v, '"'),
            Node::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    f.write_str(if i > 0 { ", " } else { "" })?;
                    item.print(f, 5)?;
                }
                f.write_str("]")
            }
            Node::Name(name) => print_name(f, name),
            Node::Present(name) => {
                f.write_str("present(")?;
                print_name(f, name)?;
                f.write_str(")")
            }
            Node::Absent(name) => {
                f.write_str("absent(")?;
                print_name(f, name)?;
                f.write_str(")")
            }
            Node::Not(inner) => {
                f.write_str("not ")?;
                inner.print(f, NOT_STRENGTH)
            }
            Node::Negate(inner) => {
                f.write_str("-")?;
                inner.print(f, NEGATE_STRENGTH)
            }
            Node::Binary(op, left, right) => {
                // Comparisons do not chain; the others group to the left.
                let own = op.strength();
                left.print(f, if own == 4 { 5 } else { own })?;
                write!(f, " {} ", op.word())?;
                right.print(f, own + 1)
            }
        }
    }
}

fn print_quoted(f: &mut fmt::Formatter<'_>, text: &str, quote: char) -> fmt::Result {
    write!(f, "{quote}")?;
    for c in text.chars() {
        match c {
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\\' => f.write_str("\\\\")?,
            c if c == quote => write!(f, "\\{c}")?,
            c => write!(f, "{c}")?,
        }
    }
    write!(f, "{quote}")
}

fn print_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if parse::is_plain_name(name) { f.write_str(name) } else { print_quoted(f, name, '`') }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, 0)
    }
}

impl fmt::Display for Expr {
    /// As the author wrote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({:?})", self.text)
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Expr::parse(&text).map_err(|error| {
            let help = if error.help.is_empty() { String::new() } else { format!("; {}", error.help) };
            de::Error::custom(format_args!("`{text}` is not a condition: {error}{help}"))
        })
    }
}
