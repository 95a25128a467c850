//! Text of an availability expression to its tree. Every refusal has a place and, where possible, what to write instead.

use std::sync::Arc;

use super::expr::{Leaf, Member, Need, Place, Term, WHOLE, What, Zones};

/// Longest expression: a business service of a hundred pieces fits.
const TEXT_BYTES_MAX: usize = 8192;
/// Deepest nesting: keeps every recursion over the tree shallow.
const DEPTH_MAX: u32 = 40;
/// Largest count and largest weight.
const NUMBER_MAX: u32 = 100_000;

const KEYWORDS: [&str; 16] = [
    "and", "or", "else", "not", "any", "all", "worst", "best", "should", "weighted", "majority", "of", "at", "in",
    "zone", "cloud",
];

/// Why a text is no expression.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message} (at byte {offset})")]
pub struct SyntaxError {
    pub offset: usize,
    pub message: String,
    /// What to write instead; may be empty.
    pub help: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    /// A name or a keyword.
    Word(String),
    /// Never a keyword.
    Quoted(String),
    /// In thousandths.
    Number(u32),
    Sign(char),
    End,
}

/// Whether a name needs no quotes.
pub(super) fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(in_word)
        && !KEYWORDS.contains(&name)
        && !name.ends_with(['.', '-'])
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Reads a whole text as one expression.
pub(super) fn parse(text: &str) -> Result<Term, SyntaxError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(error(TEXT_BYTES_MAX, format!("an expression has at most {TEXT_BYTES_MAX} bytes"), ""));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    if parser.peek() == &Token::End {
        return Err(error(0, "the expression is empty", "write what must be in service: `clc and any(ufs)`"));
    }
    let term = parser.either()?;
    match parser.peek() {
        Token::End => Ok(term),
        _ => Err(parser.unexpected("`and`, `or` or the end")),
    }
}

fn error(offset: usize, message: impl Into<String>, help: impl Into<String>) -> SyntaxError {
    SyntaxError { offset, message: message.into(), help: help.into() }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        if c.is_whitespace() {
            continue;
        }
        let token = match c {
            '(' | ')' | ',' | ':' | '=' | '/' | '%' => Token::Sign(c),
            '"' => {
                let mut name = String::new();
                loop {
                    match rest.next() {
                        None => return Err(error(at, "this name in quotes has no end", "close it with `\"`")),
                        Some((_, '"')) => break,
                        Some((_, '\\')) => name.extend(rest.next().map(|(_, c)| c)),
                        Some((_, c)) => name.push(c),
                    }
                }
                Token::Quoted(name)
            }
            '&' => return Err(error(at, "unexpected `&`", "write `and`")),
            '|' => return Err(error(at, "unexpected `|`", "write `or`")),
            '!' => return Err(error(at, "there is no `not`", NO_NOT)),
            '>' | '<' => return Err(error(at, format!("unexpected `{c}`"), "write `at least 2 nc`")),
            c if in_word(c) => {
                let mut word = String::from(c);
                while let Some((_, next)) = rest.next_if(|(_, next)| in_word(*next)) {
                    word.push(next);
                }
                number_or_word(at, word)?
            }
            other => {
                let help = "put names with other characters in quotes: `service:web1/\"disk /\"`";
                return Err(error(at, format!("unexpected `{other}`"), help));
            }
        };
        tokens.push((at, token));
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

const NO_NOT: &str = "a failure never makes a service better: say what must be in service";

fn number_or_word(at: usize, word: String) -> Result<Token, SyntaxError> {
    if !word.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(Token::Word(word));
    }
    let (whole, part) = word.split_once('.').unwrap_or((&word, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if !digits(whole) || !digits(part) || word.ends_with('.') {
        let help = format!("put a name that begins with a digit in quotes: `\"{word}\"`");
        return Err(error(at, format!("`{word}` is no number"), help));
    }
    if part.len() > 3 {
        return Err(error(at, format!("`{word}` has more than three decimals"), ""));
    }
    let thousandths = format!("{part:0<3}").parse::<u32>().unwrap_or(0);
    match whole.parse::<u32>() {
        Ok(whole) if whole <= NUMBER_MAX => Ok(Token::Number(whole * WHOLE + thousandths)),
        Ok(_) | Err(_) => Err(error(at, format!("`{word}` is larger than {NUMBER_MAX}"), "")),
    }
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.ahead(0)
    }

    fn ahead(&self, by: usize) -> &Token {
        self.tokens.get(self.at + by).map_or(&Token::End, |(_, token)| token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |(offset, _)| *offset)
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        let found = match self.peek() {
            Token::Word(name) | Token::Quoted(name) => format!("`{name}`"),
            Token::Number(number) => format!("the number {}", f64::from(*number) / f64::from(WHOLE)),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end".to_owned(),
        };
        let help = match self.peek() {
            Token::Word(word) if word.eq_ignore_ascii_case("not") => NO_NOT,
            Token::Word(_) | Token::Quoted(_) => "join two pieces with `and` or `or`",
            Token::Number(_) => "a number stands before `of`: `2 of nc`",
            Token::Sign(_) | Token::End => "",
        };
        error(self.offset(), format!("expected {wanted}, found {found}"), help)
    }

    fn is_word(&self, by: usize, word: &str) -> bool {
        matches!(self.ahead(by), Token::Word(found) if found == word)
    }

    fn is_sign(&self, by: usize, sign: char) -> bool {
        self.ahead(by) == &Token::Sign(sign)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is = self.is_word(0, word);
        self.at += usize::from(is);
        is
    }

    fn take_sign(&mut self, sign: char) -> bool {
        let is = self.is_sign(0, sign);
        self.at += usize::from(is);
        is
    }

    fn sign(&mut self, sign: char) -> Result<(), SyntaxError> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn either(&mut self) -> Result<Term, SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(error(
                self.offset(),
                format!("nested deeper than {DEPTH_MAX}"),
                "make it several [[business]]",
            ));
        }
        let mut terms = vec![self.both()?];
        while self.take_word("or") {
            terms.push(self.both()?);
        }
        self.depth -= 1;
        Ok(one_or(terms, Term::Or))
    }

    fn both(&mut self) -> Result<Term, SyntaxError> {
        let mut terms = vec![self.fallback()?];
        while self.take_word("and") {
            terms.push(self.fallback()?);
        }
        Ok(one_or(terms, Term::And))
    }

    fn fallback(&mut self) -> Result<Term, SyntaxError> {
        let mut terms = vec![self.unit()?];
        while self.take_word("else") {
            terms.push(self.unit()?);
            if terms.len() > DEPTH_MAX as usize {
                return Err(error(self.offset(), format!("more than {DEPTH_MAX} `else`"), ""));
            }
        }
        let last = terms.pop().unwrap_or(Term::And(Vec::new()));
        Ok(terms.into_iter().rev().fold(last, |second, first| Term::Else(Box::new(first), Box::new(second))))
    }

    fn unit(&mut self) -> Result<Term, SyntaxError> {
        if self.take_sign('(') {
            let term = self.either()?;
            self.sign(')')?;
            return Ok(term);
        }
        let opens = self.is_sign(1, '(');
        if let Token::Word(word) = self.peek() {
            let need = match word.as_str() {
                "any" | "best" => Some(Need::Any),
                "all" | "worst" => Some(Need::All),
                _ => None,
            };
            match (need, word.as_str()) {
                (Some(need), _) if opens => {
                    self.at += 1;
                    return self.members(need);
                }
                (_, "should") if opens => {
                    self.at += 1;
                    return self.bracketed().map(|body| Term::Should(Box::new(body)));
                }
                (_, "weighted") if opens => {
                    self.at += 1;
                    return self.weighted();
                }
                (_, "majority") if self.is_word(1, "of") => {
                    self.at += 2;
                    return self.those(Need::Majority);
                }
                (_, "at") if self.is_word(1, "least") => {
                    self.at += 2;
                    let need = self.count()?;
                    self.take_word("of");
                    return self.those(need);
                }
                (_, "in") => {
                    self.at += 1;
                    return self.place();
                }
                _ => {}
            }
        }
        if matches!(self.peek(), Token::Number(_)) || self.is_word(1, "of") {
            let need = self.count()?;
            if !self.take_word("of") {
                return Err(self.unexpected("`of`"));
            }
            return self.those(need);
        }
        self.leaf().map(Term::Leaf)
    }

    fn bracketed(&mut self) -> Result<Term, SyntaxError> {
        self.sign('(')?;
        let body = self.either()?;
        self.sign(')')?;
        Ok(body)
    }

    /// `2`, `70%`, `min_nc`.
    fn count(&mut self) -> Result<Need, SyntaxError> {
        let offset = self.offset();
        let need = match self.peek().clone() {
            Token::Word(name) if is_plain(&name) => Need::Setting(name.as_str().into()),
            Token::Number(number) if self.is_sign(1, '%') => {
                self.at += 1;
                if number > 100 * WHOLE || number % 100 != 0 {
                    return Err(error(offset, "a share is 0% to 100%, with at most one decimal", ""));
                }
                Need::Share(number / 100)
            }
            Token::Number(number) if number % WHOLE == 0 => Need::Count(number / WHOLE),
            Token::Number(_) => return Err(error(offset, "a count is a whole number", "or a share: `70% of nc`")),
            _ => return Err(self.unexpected("a count")),
        };
        self.at += 1;
        Ok(need)
    }

    /// What follows `of`: a list, or one thing.
    fn those(&mut self, need: Need) -> Result<Term, SyntaxError> {
        if self.is_sign(0, '(') {
            return self.members(need);
        }
        let leaf = self.leaf()?;
        Ok(Term::Of { need, members: vec![Member { weight: 1, what: What::One(Term::Leaf(leaf)) }] })
    }

    fn members(&mut self, need: Need) -> Result<Term, SyntaxError> {
        self.sign('(')?;
        self.listed(need)
    }

    fn listed(&mut self, need: Need) -> Result<Term, SyntaxError> {
        let weighted = matches!(need, Need::Weighted(_));
        let mut members = Vec::new();
        loop {
            let what = self.what()?;
            let weight = if weighted && self.take_sign('=') { self.weight()? } else { 1 };
            members.push(Member { weight, what });
            if !self.take_sign(',') {
                break;
            }
        }
        if self.is_sign(0, '=') && !weighted {
            let help = "only `weighted(0.6: a=2, b=1)` has weights";
            return Err(error(self.offset(), "a weight has no meaning here", help));
        }
        self.sign(')')?;
        Ok(Term::Of { need, members })
    }

    fn what(&mut self) -> Result<What, SyntaxError> {
        let zones = if self.is_word(0, "zone") && self.is_sign(1, ':') {
            Some((Zones::Every, 2))
        } else if self.is_word(1, "zone") && self.is_sign(2, ':') {
            if self.is_word(0, "vmware") {
                Some((Zones::Vmware, 3))
            } else if self.is_word(0, "own") {
                Some((Zones::Own, 3))
            } else {
                return Err(self.unexpected("`zone:`, `vmware zone:` or `own zone:`"));
            }
        } else {
            None
        };
        match zones {
            Some((zones, words)) => {
                self.at += words;
                Ok(What::Zones(zones, self.either()?))
            }
            None => self.either().map(What::One),
        }
    }

    fn weighted(&mut self) -> Result<Term, SyntaxError> {
        self.sign('(')?;
        let offset = self.offset();
        let share = match self.peek() {
            Token::Number(number) if self.is_sign(1, '%') && *number <= 100 * WHOLE && number % 100 == 0 => {
                let share = number / 100;
                self.at += 1;
                share
            }
            Token::Number(number) if *number <= WHOLE => *number,
            Token::Number(_) => {
                return Err(error(offset, "a share is 0 to 1, or 0% to 100%", "write `weighted(0.6: a=2, b=1)`"));
            }
            _ => return Err(self.unexpected("the share of the weight that must be in service")),
        };
        self.at += 1;
        self.sign(':')?;
        self.listed(Need::Weighted(share))
    }

    fn weight(&mut self) -> Result<u32, SyntaxError> {
        match self.peek() {
            Token::Number(number) if number % WHOLE == 0 && *number > 0 => {
                let weight = number / WHOLE;
                self.at += 1;
                Ok(weight)
            }
            _ => Err(self.unexpected("a weight, a whole number from 1")),
        }
    }

    fn place(&mut self) -> Result<Term, SyntaxError> {
        let place = if self.take_word("cloud") {
            Place::Cloud
        } else if self.take_word("zone") {
            Place::Zone
        } else {
            return Err(self.unexpected("`cloud` or `zone`"));
        };
        let name = self.name("a name")?;
        self.bracketed().map(|body| Term::In { place, name, body: Box::new(body) })
    }

    fn name(&mut self, wanted: &str) -> Result<Arc<str>, SyntaxError> {
        let name: Arc<str> = match self.peek() {
            Token::Quoted(name) => name.as_str().into(),
            Token::Word(name) if !KEYWORDS.contains(&name.as_str()) => name.as_str().into(),
            _ => return Err(self.unexpected(wanted)),
        };
        self.at += 1;
        Ok(name)
    }

    fn leaf(&mut self) -> Result<Leaf, SyntaxError> {
        const WANTED: &str =
            "a component type, `host/component`, or `host:`, `service:`, `backend:`, `business:`, `core:`";
        let quoted = matches!(self.peek(), Token::Quoted(_));
        let offset = self.offset();
        let first = self.name(WANTED)?;
        if !quoted && self.take_sign(':') {
            let name = self.name("a name")?;
            return Ok(match &*first {
                "host" => Leaf::Host(name),
                "backend" => Leaf::Backend(name),
                "backends" => Leaf::BackendsOf(name),
                "business" => Leaf::Business(name),
                "core" => Leaf::Core(name),
                "service" => {
                    self.sign('/')?;
                    Leaf::Service { host: name, service: self.name("the name of the service")? }
                }
                other => {
                    let help = "known: host, service, backend, backends, business, core";
                    return Err(error(offset, format!("there is nothing of the sort `{other}:`"), help));
                }
            });
        }
        if self.take_sign('/') {
            return Ok(Leaf::Component { host: first, key: self.name("a component")? });
        }
        Ok(Leaf::Kind(first))
    }
}

fn one_or(mut terms: Vec<Term>, many: fn(Vec<Term>) -> Term) -> Term {
    match terms.len() {
        1 => terms.swap_remove(0),
        _ => many(terms),
    }
}
