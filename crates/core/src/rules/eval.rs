//! Evaluates a condition over one observation. Total: no value of any kind makes it fail, only undecided.

use std::borrow::Cow;
use std::fmt;

use crate::model::{Observation, Value};

use super::expr::{Node, Op};

/// Where names get their values.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) params: &'a Value,
    pub(super) observation: &'a Observation,
}

/// Three-valued: what is missing decides nothing, but need not matter either (`false and missing` is false).
pub(super) enum Truth<'a> {
    Yes,
    No,
    Undecided(Trouble<'a>),
}

/// Why a condition could not be decided.
pub(super) enum Trouble<'a> {
    Missing(&'a str),
    /// The operation makes no sense on the values at hand.
    Nonsense(&'a Node),
}

impl fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Missing(name) => write!(f, "no fact, measurement or parameter `{name}`"),
            Trouble::Nonsense(node) => write!(f, "`{node}` has no value here"),
        }
    }
}

impl<'a> Scope<'a> {
    /// Facts (whole name, then member by member), then measurements, then `params.`
    pub(super) fn resolve(self, name: &str) -> Option<Cow<'a, Value>> {
        let facts = &self.observation.facts;
        if let Some(value) = facts.get(name) {
            return Some(Cow::Borrowed(value));
        }
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        if !rest.is_empty()
            && let Some(value) = facts.get(first).and_then(|value| member(value, rest))
        {
            return Some(value);
        }
        if let Some(measured) = self.observation.measurements.iter().find(|m| &*m.label == name) {
            return measured.value.map(|number| Cow::Owned(Value::Number(number)));
        }
        if first == "params" && !rest.is_empty() {
            return member(self.params, rest);
        }
        None
    }

    /// Resolved and not null: a fact that is null was looked for and not there.
    fn is_present(self, name: &str) -> bool {
        self.resolve(name).is_some_and(|value| *value != Value::Null)
    }
}

/// The member at a dotted path. Through a list it is the list of the items' members, flattened:
/// `psu.offsets` of two power supplies is the list of both offsets.
pub(super) fn member<'a>(value: &'a Value, path: &str) -> Option<Cow<'a, Value>> {
    if let Value::List(items) = value {
        let mut all = Vec::with_capacity(items.len());
        for found in items.iter().filter_map(|item| member(item, path)) {
            match found.into_owned() {
                Value::List(inner) => all.extend(inner),
                single => all.push(single),
            }
        }
        return Some(Cow::Owned(Value::List(all)));
    }
    if let Some(found) = value.get(path) {
        return Some(Cow::Borrowed(found));
    }
    let (first, rest) = path.split_once('.')?;
    member(value.get(first)?, rest)
}

/// Whether the condition holds.
pub(super) fn truth<'a>(node: &'a Node, scope: Scope<'a>) -> Truth<'a> {
    match node {
        Node::Binary(Op::And, left, right) => match (truth(left, scope), truth(right, scope)) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Yes, Truth::Yes) => Truth::Yes,
            (Truth::Undecided(why), _) | (_, Truth::Undecided(why)) => Truth::Undecided(why),
        },
        Node::Binary(Op::Or, left, right) => match (truth(left, scope), truth(right, scope)) {
            (Truth::Yes, _) | (_, Truth::Yes) => Truth::Yes,
            (Truth::No, Truth::No) => Truth::No,
            (Truth::Undecided(why), _) | (_, Truth::Undecided(why)) => Truth::Undecided(why),
        },
        Node::Not(inner) => match truth(inner, scope) {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            undecided @ Truth::Undecided(_) => undecided,
        },
        Node::Present(name) => Truth::of(scope.is_present(name)),
        Node::Absent(name) => Truth::of(!scope.is_present(name)),
        Node::Binary(
            op @ (Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::In | Op::Contains),
            left,
            right,
        ) => match (value(left, scope), value(right, scope)) {
            (Ok(a), Ok(b)) => compare(*op, &a, &b).map_or(Truth::Undecided(Trouble::Nonsense(node)), Truth::of),
            (Err(why), _) | (_, Err(why)) => Truth::Undecided(why),
        },
        Node::Binary(Op::Add | Op::Sub | Op::Mul | Op::Div, _, _)
        | Node::Null
        | Node::Bool(_)
        | Node::Number(_)
        | Node::Text(_)
        | Node::List(_)
        | Node::Name(_)
        | Node::Negate(_) => match value(node, scope) {
            Ok(value) => value.bool().map_or(Truth::Undecided(Trouble::Nonsense(node)), Truth::of),
            Err(why) => Truth::Undecided(why),
        },
    }
}

impl Truth<'_> {
    fn of(holds: bool) -> Self {
        if holds { Truth::Yes } else { Truth::No }
    }
}

fn value<'a>(node: &'a Node, scope: Scope<'a>) -> Result<Cow<'a, Value>, Trouble<'a>> {
    let owned = match node {
        Node::Name(name) => return scope.resolve(name).ok_or(Trouble::Missing(name)),
        Node::Null => Value::Null,
        Node::Bool(v) => Value::Bool(*v),
        Node::Number(v) => Value::Number(*v),
        Node::Text(v) => Value::Text(v.clone()),
        Node::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for item in items {
                list.push(value(item, scope)?.into_owned());
            }
            Value::List(list)
        }
        Node::Negate(inner) => {
            let number = value(inner, scope)?.number().ok_or(Trouble::Nonsense(node))?;
            Value::Number(-number)
        }
        Node::Binary(op @ (Op::Add | Op::Sub | Op::Mul | Op::Div), left, right) => {
            let (left, right) = (value(left, scope)?, value(right, scope)?);
            let result = left.number().zip(right.number()).and_then(|(a, b)| arithmetic(*op, a, b));
            Value::Number(result.ok_or(Trouble::Nonsense(node))?)
        }
        Node::Binary(
            Op::Or | Op::And | Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::In | Op::Contains,
            _,
            _,
        )
        | Node::Not(_)
        | Node::Present(_)
        | Node::Absent(_) => match truth(node, scope) {
            Truth::Yes => Value::Bool(true),
            Truth::No => Value::Bool(false),
            Truth::Undecided(why) => return Err(why),
        },
    };
    Ok(Cow::Owned(owned))
}

/// `None` where the result is not a number: division by zero, overflow.
fn arithmetic(op: Op, a: f64, b: f64) -> Option<f64> {
    let result = match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Or | Op::And | Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::In | Op::Contains => return None,
    };
    result.is_finite().then_some(result)
}

/// Values of different kinds are unequal and in no order: `http >= 500` does not hold for `http = "timeout"`.
fn compare(op: Op, a: &Value, b: &Value) -> Option<bool> {
    let ordered = |holds: fn(&f64, &f64) -> bool| a.number().zip(b.number()).is_some_and(|(a, b)| holds(&a, &b));
    Some(match op {
        Op::Eq => a == b,
        Op::Ne => a != b,
        Op::Lt => ordered(f64::lt),
        Op::Le => ordered(f64::le),
        Op::Gt => ordered(f64::gt),
        Op::Ge => ordered(f64::ge),
        Op::In => return contains(b, a),
        Op::Contains => return contains(a, b),
        Op::Or | Op::And | Op::Add | Op::Sub | Op::Mul | Op::Div => return None,
    })
}

fn contains(whole: &Value, part: &Value) -> Option<bool> {
    match whole {
        Value::List(list) => Some(list.contains(part)),
        Value::Text(text) => part.text().map(|part| text.contains(part)),
        Value::Map(map) => part.text().map(|key| map.contains_key(key)),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Expr;
    use super::*;

    fn supply(offsets: &[f64]) -> Value {
        [("id", Value::from("PS")), ("offsets", Value::from(offsets.to_vec()))].into_iter().collect()
    }

    fn decide(text: &str) -> Option<bool> {
        let seen = Observation::observed("")
            .fact("port", "refused")
            .fact("http", "timeout")
            .fact("pct", 91.5)
            .fact("up", true)
            .fact("nothing", Value::Null)
            .fact("offsets", vec![0.0, 3.0])
            .fact("line", "PS2 AC lost")
            .fact("none", Value::List(Vec::new()))
            .fact("psu", Value::List(vec![supply(&[0.0]), supply(&[0.0, 3.0])]));
        let params: Value = [("crit", 90.0)].into_iter().collect();
        let expr = Expr::parse(text).expect(text);
        match truth(expr.node(), Scope { params: &params, observation: &seen }) {
            Truth::Yes => Some(true),
            Truth::No => Some(false),
            Truth::Undecided(_) => None,
        }
    }

    #[test]
    fn conditions_hold_fail_or_stay_undecided() {
        for (text, holds) in [
            ("port == 'refused'", Some(true)),
            ("port != 'open' and pct > params.crit", Some(true)),
            ("http >= 500", Some(false)),
            ("http == 'timeout' or http >= 500", Some(true)),
            ("up", Some(true)),
            ("not up", Some(false)),
            ("port", None),
            ("pct / 0 > 1", None),
            ("pct - 1.5 == 90", Some(true)),
            ("-pct < 0", Some(true)),
            ("port in ['refused', 'timeout']", Some(true)),
            ("3 in offsets", Some(true)),
            ("offsets contains 1", Some(false)),
            ("line contains 'AC lost'", Some(true)),
            ("pct contains 1", None),
            ("psu.offsets contains 3", Some(true)),
            ("psu.offsets contains 1", Some(false)),
            ("psu.id == ['PS', 'PS']", Some(true)),
            ("none == []", Some(true)),
            ("psu != []", Some(true)),
            ("missing == 1", None),
            ("missing == 1 and port == 'open'", Some(false)),
            ("port == 'open' and missing == 1", Some(false)),
            ("missing == 1 or up", Some(true)),
            ("missing == 1 or not up", None),
            ("not (missing == 1)", None),
            ("present(port) and absent(missing)", Some(true)),
            ("absent(nothing)", Some(true)),
            ("nothing == null", Some(true)),
            ("present(params.crit) and absent(params.warn)", Some(true)),
        ] {
            assert_eq!(decide(text), holds, "{text}");
        }
    }
}
