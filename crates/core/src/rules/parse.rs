//! Text of a condition to its tree. Every refusal has a place and, where possible, what to write instead.

use super::expr::{ExprError, NEGATE_STRENGTH, NOT_STRENGTH, Node, Op};

/// Longest condition: far above any in a pack, small enough that the tree's depth is harmless.
const TEXT_BYTES_MAX: usize = 4096;
/// Deepest nesting of brackets, `not` and `-`: keeps the recursion of parser and evaluator shallow.
const DEPTH_MAX: u32 = 64;
/// Longest chain of operators; a chain is a left-leaning tree, so this bounds its depth.
const OPERATORS_MAX: u32 = 512;

const KEYWORDS: [&str; 10] = ["and", "or", "not", "in", "contains", "present", "absent", "true", "false", "null"];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    /// A name, or a keyword if it is one and was not quoted.
    Word {
        name: String,
        quoted: bool,
    },
    Sign(&'static str),
    End,
}

/// Reads a whole text as one condition.
pub(super) fn parse(text: &str) -> Result<Node, ExprError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(error(TEXT_BYTES_MAX, format!("a condition has at most {TEXT_BYTES_MAX} bytes"), ""));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, operators: 0 };
    if parser.peek() == &Token::End {
        return Err(error(0, "the condition is empty", "write a comparison such as `port == \"refused\"`"));
    }
    let node = parser.expression(0)?;
    let offset = parser.offset();
    match parser.peek() {
        Token::End => {}
        other => return Err(unexpected(offset, other, "`and`, `or` or the end")),
    }
    require_claim(&node)?;
    Ok(node)
}

/// Whether a name needs no backquotes: dotted identifiers, not a keyword.
pub(super) fn is_plain_name(name: &str) -> bool {
    !KEYWORDS.contains(&name)
        && name.split('.').all(|part| {
            let mut chars = part.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
}

fn error(offset: usize, message: impl Into<String>, help: impl Into<String>) -> ExprError {
    ExprError { offset, message: message.into(), help: help.into() }
}

fn unexpected(offset: usize, token: &Token, wanted: &str) -> ExprError {
    let found = match token {
        Token::Number(v) => format!("`{v}`"),
        Token::Text(v) => format!("the text {v:?}"),
        Token::Word { name, .. } => format!("`{name}`"),
        Token::Sign(sign) => format!("`{sign}`"),
        Token::End => "the end".to_owned(),
    };
    error(offset, format!("expected {wanted}, found {found}"), "")
}

/// A condition must be something that can hold: `used_pct` alone may be a bool fact, `5 + 3` cannot.
fn require_claim(node: &Node) -> Result<(), ExprError> {
    let claim = match node {
        Node::Bool(_) | Node::Name(_) | Node::Present(_) | Node::Absent(_) => true,
        Node::Not(inner) => return require_claim(inner),
        Node::Binary(Op::And | Op::Or, left, right) => {
            require_claim(left)?;
            return require_claim(right);
        }
        Node::Binary(op, _, _) => op.is_claim(),
        Node::Null | Node::Number(_) | Node::Text(_) | Node::List(_) | Node::Negate(_) => false,
    };
    if claim {
        return Ok(());
    }
    Err(error(0, format!("`{node}` is a value, not a condition"), "compare it: `… > 0`, `… == \"text\"`"))
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    depth: u32,
    operators: u32,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(_, token)| token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |(offset, _)| *offset)
    }

    fn advance(&mut self) {
        self.at += 1;
    }

    fn take_sign(&mut self, sign: &'static str) -> Result<(), ExprError> {
        if self.peek() == &Token::Sign(sign) {
            self.advance();
            return Ok(());
        }
        Err(unexpected(self.offset(), self.peek(), &format!("`{sign}`")))
    }

    fn operator(&self) -> Option<Op> {
        Some(match self.peek() {
            Token::Sign("==") => Op::Eq,
            Token::Sign("!=") => Op::Ne,
            Token::Sign("<") => Op::Lt,
            Token::Sign("<=") => Op::Le,
            Token::Sign(">") => Op::Gt,
            Token::Sign(">=") => Op::Ge,
            Token::Sign("+") => Op::Add,
            Token::Sign("-") => Op::Sub,
            Token::Sign("*") => Op::Mul,
            Token::Sign("/") => Op::Div,
            Token::Word { name, quoted: false } => match name.as_str() {
                "or" => Op::Or,
                "and" => Op::And,
                "in" => Op::In,
                "contains" => Op::Contains,
                _ => return None,
            },
            Token::Sign(_) | Token::Word { .. } | Token::Number(_) | Token::Text(_) | Token::End => return None,
        })
    }

    /// Precedence climbing: everything that binds at least as tightly as `at_least`.
    fn expression(&mut self, at_least: u8) -> Result<Node, ExprError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(error(self.offset(), format!("nested deeper than {DEPTH_MAX}"), "split the rule in two"));
        }
        let mut left = self.operand()?;
        while let Some(op) = self.operator() {
            let strength = op.strength();
            if strength < at_least {
                break;
            }
            self.operators += 1;
            if self.operators > OPERATORS_MAX {
                return Err(error(self.offset(), format!("more than {OPERATORS_MAX} operators"), "split the rule"));
            }
            self.advance();
            let right = self.expression(strength + 1)?;
            if op.strength() == 4
                && let Some(next) = self.operator()
                && next.strength() == 4
            {
                return Err(error(self.offset(), "comparisons do not chain", "write `a < b and b < c`"));
            }
            left = Node::Binary(op, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node, ExprError> {
        let offset = self.offset();
        let token = self.peek().clone();
        self.advance();
        match token {
            Token::Number(v) => Ok(Node::Number(v)),
            Token::Text(v) => Ok(Node::Text(v)),
            Token::Sign("-") => Ok(Node::Negate(Box::new(self.expression(NEGATE_STRENGTH)?))),
            Token::Sign("(") => {
                let inner = self.expression(0)?;
                self.take_sign(")")?;
                Ok(inner)
            }
            Token::Sign("[") => self.list(),
            Token::Word { name, quoted: true } => Ok(Node::Name(name)),
            Token::Word { name, quoted: false } => match name.as_str() {
                "true" => Ok(Node::Bool(true)),
                "false" => Ok(Node::Bool(false)),
                "null" => Ok(Node::Null),
                "not" => Ok(Node::Not(Box::new(self.expression(NOT_STRENGTH)?))),
                "present" => self.argument().map(Node::Present),
                "absent" => self.argument().map(Node::Absent),
                "and" | "or" | "in" | "contains" => {
                    Err(error(offset, format!("`{name}` needs something before it"), ""))
                }
                _ if self.peek() == &Token::Sign("(") => Err(error(
                    offset,
                    format!("there is no function `{name}`"),
                    "the functions are `present(name)` and `absent(name)`",
                )),
                _ => Ok(Node::Name(name)),
            },
            other @ (Token::Sign(_) | Token::End) => Err(unexpected(offset, &other, "a name, a number or a text")),
        }
    }

    fn list(&mut self) -> Result<Node, ExprError> {
        let mut items = Vec::new();
        while self.peek() != &Token::Sign("]") {
            items.push(self.expression(5)?);
            if self.peek() != &Token::Sign("]") {
                self.take_sign(",")?;
            }
        }
        self.advance();
        Ok(Node::List(items))
    }

    /// `(name)` after `present` or `absent`.
    fn argument(&mut self) -> Result<String, ExprError> {
        self.take_sign("(")?;
        let offset = self.offset();
        let name = match self.peek() {
            Token::Word { name, quoted } if *quoted || !KEYWORDS.contains(&name.as_str()) => name.clone(),
            other => return Err(unexpected(offset, other, "a name")),
        };
        self.advance();
        self.take_sign(")")?;
        Ok(name)
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExprError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let offset = text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            tokens.push((offset, Token::End));
            return Ok(tokens);
        };
        let (token, length) = if first.is_ascii_digit() {
            number(rest, offset)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            word(rest, offset)?
        } else if matches!(first, '"' | '\'' | '`') {
            quoted(rest, first, offset)?
        } else {
            sign(rest, first, offset)?
        };
        tokens.push((offset, token));
        rest = rest.get(length..).unwrap_or_default();
    }
}

fn number(rest: &str, offset: usize) -> Result<(Token, usize), ExprError> {
    let digits = |from: usize| {
        rest.get(from..).unwrap_or_default().find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |n| from + n)
    };
    let mut end = digits(0);
    if rest.get(end..).is_some_and(|tail| tail.starts_with('.')) {
        let after = digits(end + 1);
        if after == end + 1 {
            return Err(error(offset + end, "a digit must follow the point", ""));
        }
        end = after;
    }
    if let Some(unit) = rest.get(end..).and_then(|tail| tail.chars().next()).filter(|c| c.is_alphabetic() || *c == '%')
    {
        return Err(error(
            offset + end,
            format!("a number has no unit here, found `{unit}`"),
            "facts and measurements are plain numbers in the unit that the probe documents",
        ));
    }
    let value: f64 = rest.get(..end).unwrap_or_default().parse().unwrap_or(f64::INFINITY);
    if !value.is_finite() {
        return Err(error(offset, "the number is too large", ""));
    }
    Ok((Token::Number(value), end))
}

fn word(rest: &str, offset: usize) -> Result<(Token, usize), ExprError> {
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
    let name = rest.get(..end).unwrap_or_default();
    if !KEYWORDS.contains(&name) && !is_plain_name(name) {
        return Err(error(
            offset,
            format!("`{name}` is not a name"),
            "put names with other characters in backquotes: `load 1`",
        ));
    }
    Ok((Token::Word { name: name.to_owned(), quoted: false }, end))
}

fn quoted(rest: &str, quote: char, offset: usize) -> Result<(Token, usize), ExprError> {
    let mut content = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let end = at + c.len_utf8();
            let token = if quote == '`' { Token::Word { name: content, quoted: true } } else { Token::Text(content) };
            return Ok((token, end));
        }
        if c != '\\' {
            content.push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => content.push('\n'),
            Some((_, 't')) => content.push('\t'),
            Some((_, c @ ('\\' | '"' | '\'' | '`'))) => content.push(c),
            Some((at, c)) => {
                return Err(error(
                    offset + at,
                    format!("`\\{c}` is not an escape"),
                    "escapes are \\n \\t \\\\ \\\" \\'",
                ));
            }
            None => break,
        }
    }
    Err(error(offset, format!("the {quote} is never closed"), ""))
}

fn sign(rest: &str, first: char, offset: usize) -> Result<(Token, usize), ExprError> {
    const SIGNS: [&str; 15] = ["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "(", ")", "[", "]", ","];
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Token::Sign(sign), sign.len()));
    }
    let help = match first {
        '=' => "write `==`",
        '&' => "write `and`",
        '|' => "write `or`",
        '!' => "write `not` or `!=`",
        '~' => "there are no regular expressions here; use `contains`",
        _ => "",
    };
    Err(error(offset, format!("`{first}` means nothing here"), help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_in_ordinary_language() {
        for (text, canonical) in [
            ("a or b and c", "a or b and c"),
            ("(a or b) and c", "(a or b) and c"),
            ("not a == 1", "not a == 1"),
            ("not (a and b)", "not (a and b)"),
            ("a - b - c > -1", "a - b - c > -1"),
            ("a - (b - c) > 1", "a - (b - c) > 1"),
            ("x in ['a', \"b\"]", "x in [\"a\", \"b\"]"),
            ("a*2+1 >= b/3", "a * 2 + 1 >= b / 3"),
            ("present(a.b) and absent(`load 1`)", "present(a.b) and absent(`load 1`)"),
        ] {
            assert_eq!(parse(text).expect(text).to_string(), canonical);
        }
    }

    #[test]
    fn a_refusal_points_at_the_place_and_helps() {
        for (text, offset, says) in [
            ("", 0, "write a comparison"),
            ("a = 1", 2, "write `==`"),
            ("a && b", 2, "write `and`"),
            ("a == 5s", 6, "no unit"),
            ("a == \"x", 5, "never closed"),
            ("a < b < c", 6, "do not chain"),
            ("a ==", 4, "found the end"),
            ("5 + 3", 0, "not a condition"),
            ("a and 5", 0, "not a condition"),
            ("matches(a)", 0, "no function `matches`"),
            ("a == 1 b", 7, "`and`, `or` or the end"),
            ("a..b == 1", 0, "not a name"),
            ("(a == 1", 7, "`)`"),
            ("a == 1. ", 6, "digit"),
        ] {
            let refusal = parse(text).expect_err(text);
            assert_eq!(refusal.offset, offset, "{text}: {refusal:?}");
            assert!(format!("{refusal} {}", refusal.help).contains(says), "{text}: {refusal:?}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        assert!(parse(&format!("{}a{}", "(".repeat(500), ")".repeat(500))).is_err());
        assert!(parse(&"not ".repeat(900)).is_err());
        assert!(parse(&format!("a{} > 1", "+a".repeat(1000))).is_err());
        assert!(parse(&format!("a{} > 1", "+a".repeat(400))).is_ok());
        assert!(parse(&" ".repeat(5000)).is_err());
    }
}
