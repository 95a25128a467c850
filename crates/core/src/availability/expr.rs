//! The tree of an availability expression, and its one canonical text: what reads back as the same tree.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::parse::{self, SyntaxError};

type Name = Arc<str>;

/// One thousandth; shares are kept in it, so that equal texts mean equal trees.
pub(super) const WHOLE: u32 = 1000;

/// What must be in service for a Core or a business service to be available.
///
/// There is no `not`: the loss of a piece never makes a service better, whatever an administrator writes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expr(pub(crate) Term);

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Term {
    Leaf(Leaf),
    And(Vec<Term>),
    Or(Vec<Term>),
    /// `A else B`: A where any of it is registered, otherwise B.
    Else(Box<Term>, Box<Term>),
    /// `2 of (…)`, `any(…)`, `weighted(…)`.
    Of {
        need: Need,
        members: Vec<Member>,
    },
    /// `should(…)`: wanted for the full service; without it the service is degraded, not gone.
    Should(Box<Term>),
    /// `in cloud NAME (…)`, `in zone NAME (…)`.
    In {
        place: Place,
        name: Name,
        body: Box<Term>,
    },
}

/// How much of the members must be in service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Need {
    Any,
    All,
    Count(u32),
    /// The number that the cloud's setting of that name says: `min_nc`.
    Setting(Name),
    /// Thousandths of the members.
    Share(u32),
    /// Thousandths of the weight of the members.
    Weighted(u32),
    /// More than half.
    Majority,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Member {
    /// 1 except in `weighted`.
    pub weight: u32,
    pub what: What,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// A component type stands for all its instances; everything else for itself.
    One(Term),
    /// One member for each zone of that kind.
    Zones(Zones, Term),
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Zones {
    Every,
    Vmware,
    /// Those that are not VMware's.
    Own,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Cloud,
    Zone,
}

/// What an expression is about in the end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Leaf {
    /// All instances of a component type in the present scope; outside a list: any of them.
    Kind(Name),
    /// `clc1/clc`
    Component {
        host: Name,
        key: Name,
    },
    Host(Name),
    /// A check bound to a host.
    Service {
        host: Name,
        service: Name,
    },
    /// A backend of the topology (a SAN, Riak).
    Backend(Name),
    /// All backends that this component type uses.
    BackendsOf(Name),
    /// Another business service.
    Business(Name),
    /// The Core of a cloud.
    Core(Name),
}

impl Expr {
    /// Reads a text.
    ///
    /// # Errors
    /// It is no expression; the error says where and what to write instead.
    pub fn parse(text: &str) -> Result<Expr, SyntaxError> {
        parse::parse(text).map(Expr)
    }

    /// Names of other business services that this one stands on.
    pub fn businesses(&self) -> Vec<Name> {
        let mut names = Vec::new();
        self.0.visit(&mut |leaf| {
            if let Leaf::Business(name) = leaf {
                names.push(Arc::clone(name));
            }
        });
        names
    }

    /// Component types that it names, for the matrix and the rules of a degraded Core.
    pub fn kinds(&self) -> Vec<Name> {
        let mut names = Vec::new();
        self.0.visit(&mut |leaf| {
            if let Leaf::Kind(name) = leaf
                && !names.contains(name)
            {
                names.push(Arc::clone(name));
            }
        });
        names
    }
}

impl Term {
    pub(super) fn visit(&self, see: &mut impl FnMut(&Leaf)) {
        match self {
            Term::Leaf(leaf) => see(leaf),
            Term::And(terms) | Term::Or(terms) => terms.iter().for_each(|term| term.visit(see)),
            Term::Else(first, second) => {
                first.visit(see);
                second.visit(see);
            }
            Term::Of { members, .. } => members.iter().for_each(|member| match &member.what {
                What::One(term) | What::Zones(_, term) => term.visit(see),
            }),
            Term::Should(body) | Term::In { body, .. } => body.visit(see),
        }
    }

    /// How tightly it binds: 0 = `or`, 1 = `and`, 2 = `else`, 3 = stands alone.
    fn strength(&self) -> u8 {
        match self {
            Term::Or(_) => 0,
            Term::And(_) => 1,
            Term::Else(..) => 2,
            Term::Leaf(_) | Term::Of { .. } | Term::Should(_) | Term::In { .. } => 3,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, within: u8) -> fmt::Result {
        if self.strength() < within {
            f.write_str("(")?;
            self.write(f, 0)?;
            return f.write_str(")");
        }
        match self {
            Term::Leaf(leaf) => write!(f, "{leaf}"),
            Term::And(terms) => chain(f, terms, " and ", 2),
            Term::Or(terms) => chain(f, terms, " or ", 1),
            Term::Else(first, second) => {
                first.write(f, 3)?;
                f.write_str(" else ")?;
                second.write(f, 2)
            }
            Term::Of { need, members } => of(f, need, members),
            Term::Should(body) => {
                f.write_str("should(")?;
                body.write(f, 0)?;
                f.write_str(")")
            }
            Term::In { place, name, body } => {
                let place = match place {
                    Place::Cloud => "cloud",
                    Place::Zone => "zone",
                };
                write!(f, "in {place} {} (", Word(name))?;
                body.write(f, 0)?;
                f.write_str(")")
            }
        }
    }
}

fn chain(f: &mut fmt::Formatter<'_>, terms: &[Term], between: &str, within: u8) -> fmt::Result {
    for (i, term) in terms.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        term.write(f, within)?;
    }
    Ok(())
}

fn of(f: &mut fmt::Formatter<'_>, need: &Need, members: &[Member]) -> fmt::Result {
    match need {
        Need::Any => f.write_str("any(")?,
        Need::All => f.write_str("all(")?,
        Need::Count(count) => write!(f, "{count} of (")?,
        Need::Setting(name) => write!(f, "{name} of (")?,
        Need::Share(share) => write!(f, "{}% of (", Thousandths(*share, 10))?,
        Need::Weighted(share) => write!(f, "weighted({}: ", Thousandths(*share, WHOLE))?,
        Need::Majority => f.write_str("majority of (")?,
    }
    for (i, member) in members.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        match &member.what {
            What::One(term) => term.write(f, 0)?,
            What::Zones(zones, term) => {
                f.write_str(match zones {
                    Zones::Every => "zone: ",
                    Zones::Vmware => "vmware zone: ",
                    Zones::Own => "own zone: ",
                })?;
                term.write(f, 0)?;
            }
        }
        if matches!(need, Need::Weighted(_)) {
            write!(f, "={}", member.weight)?;
        }
    }
    f.write_str(")")
}

/// Thousandths as a decimal number of a unit.
struct Thousandths(u32, u32);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Thousandths(value, unit) = *self;
        write!(f, "{}", value / unit)?;
        let rest = value % unit;
        if rest == 0 {
            return Ok(());
        }
        let digits = if unit == 10 { format!("{rest}") } else { format!("{rest:03}") };
        write!(f, ".{}", digits.trim_end_matches('0'))
    }
}

/// A name as the text has it: quoted if it could be read as something else.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if parse::is_plain(self.0) {
            return f.write_str(self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leaf::Kind(name) => write!(f, "{}", Word(name)),
            Leaf::Component { host, key } => write!(f, "{}/{}", Word(host), Word(key)),
            Leaf::Host(name) => write!(f, "host:{}", Word(name)),
            Leaf::Service { host, service } => write!(f, "service:{}/{}", Word(host), Word(service)),
            Leaf::Backend(name) => write!(f, "backend:{}", Word(name)),
            Leaf::BackendsOf(name) => write!(f, "backends:{}", Word(name)),
            Leaf::Business(name) => write!(f, "business:{}", Word(name)),
            Leaf::Core(name) => write!(f, "core:{}", Word(name)),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, 0)
    }
}

impl TryFrom<String> for Expr {
    type Error = SyntaxError;

    fn try_from(text: String) -> Result<Expr, SyntaxError> {
        Expr::parse(&text)
    }
}

impl From<Expr> for String {
    fn from(expr: Expr) -> String {
        expr.to_string()
    }
}
