//! The filter language of lists, API and downtimes. Pure: parses text to terms and asks a [`Subject`] about each.
//!
//! Terms are joined by AND, a comma inside a term is OR, `-` negates, `*` globs. A wrong term is named with a
//! suggestion and the rest still filters.

use std::cmp::Ordering;

use stentor_core::Span;
use stentor_core::diagnosis::FailureType;

use super::parts::Level;
use super::words;

/// Longer input is cut: a filter is typed or clicked, never generated.
const INPUT_BYTES_MAX: usize = 2048;
/// Terms beyond this are named as wrong instead of slowing every row.
const TERMS_MAX: usize = 32;

const FIELDS: [&str; 17] = [
    "state", "impact", "host", "service", "site", "zone", "cloud", "comp", "type", "is", "age", "checked", "owner",
    "group", "out", "perf", "sort",
];
const STATES: [&str; 9] = ["ok", "warning", "critical", "unknown", "pending", "problem", "up", "down", "unreachable"];
const FACTS: [&str; 11] =
    ["handled", "acked", "downtime", "flapping", "stale", "soft", "effect", "passive", "open", "closed", "recovering"];
const SORTS: [&str; 6] = ["impact", "state", "age", "host", "service", "checked"];
const LEVELS: [&str; 4] = ["none", "risk", "degraded", "outage"];

/// A parsed filter. Matches everything when it has no terms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub terms: Vec<Term>,
    pub sort: Vec<Sort>,
    pub wrong: Vec<Wrong>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// As written, the minus sign included.
    pub text: String,
    pub negated: bool,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    State(Vec<StateWord>),
    Impact(Compare, Vec<Level>),
    Text(TextField, Vec<Glob>),
    Type(Vec<FailureType>),
    Is(Vec<Fact>),
    Age(Compare, Span),
    Checked(Compare, Span),
    /// Lower case; `me` stands for the person who asks.
    Owner(Vec<String>),
    Perf {
        label: String,
        compare: Compare,
        value: f64,
    },
    Free(Glob),
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum StateWord {
    Ok,
    Warning,
    Critical,
    Unknown,
    Pending,
    /// Anything that is not OK or UP and has been checked.
    Problem,
    Up,
    Down,
    Unreachable,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum TextField {
    Host,
    Service,
    Site,
    Zone,
    Cloud,
    Comp,
    Group,
    Out,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Fact {
    /// Acknowledged or in downtime.
    Handled,
    Acked,
    Downtime,
    Flapping,
    Stale,
    Soft,
    Effect,
    Passive,
    Open,
    Closed,
    Recovering,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Compare {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Compare {
    fn holds(self, order: Option<Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self {
            Compare::Equal => order == Ordering::Equal,
            Compare::Less => order == Ordering::Less,
            Compare::LessEqual => order != Ordering::Greater,
            Compare::Greater => order == Ordering::Greater,
            Compare::GreaterEqual => order != Ordering::Less,
        }
    }
}

/// Lower-case text with `*`; without a star the whole text must be equal, in free text and `out:` it may be anywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Glob {
    parts: Vec<String>,
    anywhere: bool,
}

impl Glob {
    fn exact(text: &str) -> Glob {
        Glob { parts: text.to_lowercase().split('*').map(str::to_owned).collect(), anywhere: false }
    }

    fn within(text: &str) -> Glob {
        Glob { anywhere: true, ..Glob::exact(text) }
    }

    pub fn hits(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let Some((first, rest)) = self.parts.split_first() else { return true };
        let mut left: &str = &text;
        if self.anywhere {
            let Some(at) = left.find(first.as_str()) else { return false };
            left = left.get(at + first.len()..).unwrap_or("");
        } else {
            let Some(tail) = left.strip_prefix(first.as_str()) else { return false };
            left = tail;
            if rest.is_empty() {
                return left.is_empty();
            }
        }
        for (i, part) in rest.iter().enumerate() {
            if i + 1 == rest.len() && !self.anywhere {
                return left.ends_with(part.as_str());
            }
            let Some(at) = left.find(part.as_str()) else { return false };
            left = left.get(at + part.len()..).unwrap_or("");
        }
        true
    }
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum SortKey {
    /// Worst first.
    Impact,
    /// Worst first.
    State,
    /// Newest first.
    Age,
    Host,
    Service,
    /// Newest first.
    Checked,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Sort {
    pub key: SortKey,
    /// Written with a minus sign.
    pub reversed: bool,
}

/// A term that could not be read, and what was probably meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrong {
    pub text: String,
    pub why: String,
}

/// What a term may ask about one row.
pub trait Subject {
    fn is_state(&self, word: StateWord) -> bool;
    fn level(&self) -> Level;
    /// True if any value of that field satisfies `hit`.
    fn any(&self, field: TextField, hit: &mut dyn FnMut(&str) -> bool) -> bool;
    fn has_type(&self, failure_type: FailureType) -> bool;
    fn is(&self, fact: Fact) -> bool;
    /// How long it has been in its state.
    fn age(&self) -> Option<Span>;
    /// How long ago it was checked; `None` = never.
    fn checked(&self) -> Option<Span>;
    fn owner(&self) -> Option<&str>;
    fn perf(&self, label: &str) -> Option<f64>;
    /// True if any text that a person sees in the row satisfies `hit`.
    fn free(&self, hit: &mut dyn FnMut(&str) -> bool) -> bool;
}

impl Filter {
    /// Reads a filter; never fails: what cannot be read is named in `wrong`.
    pub fn parse(input: &str) -> Filter {
        let mut end = input.len().min(INPUT_BYTES_MAX);
        while !input.is_char_boundary(end) {
            end -= 1;
        }
        let mut filter = Filter::default();
        if end < input.len() {
            filter
                .wrong
                .push(Wrong { text: "…".to_owned(), why: "the filter is too long; its end was cut".to_owned() });
        }
        for token in tokens(&input[..end]) {
            if filter.terms.len() >= TERMS_MAX {
                filter.wrong.push(Wrong { text: token.text, why: format!("more than {TERMS_MAX} terms") });
                continue;
            }
            filter.read(token);
        }
        filter
    }

    fn read(&mut self, token: Token) {
        let text = token.text.clone();
        match token.field.as_deref() {
            Some("sort") => self.read_sort(&token),
            field => match read_test(field, &token) {
                Ok(test) => self.terms.push(Term { text, negated: token.negated, test }),
                Err(why) => self.wrong.push(Wrong { text, why }),
            },
        }
    }

    fn read_sort(&mut self, token: &Token) {
        for word in token.values() {
            let (reversed, word) = word.strip_prefix('-').map_or((false, word.as_str()), |rest| (true, rest));
            let key = match word {
                "impact" => SortKey::Impact,
                "state" => SortKey::State,
                "age" => SortKey::Age,
                "host" => SortKey::Host,
                "service" => SortKey::Service,
                "checked" => SortKey::Checked,
                other => {
                    let why = did_you_mean("cannot sort by", other, &SORTS);
                    self.wrong.push(Wrong { text: token.text.clone(), why });
                    continue;
                }
            };
            self.sort.push(Sort { key, reversed });
        }
    }

    /// True if every term holds. `me` is what `owner:me` means.
    pub fn matches(&self, subject: &dyn Subject, me: &str) -> bool {
        self.terms.iter().all(|term| term.test.holds(subject, me) != term.negated)
    }

    /// The filter as text without its `index`th term; sort terms and wrong terms stay as they were.
    pub fn without(&self, index: usize) -> String {
        let kept = self.terms.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, term)| term.text.clone());
        kept.chain(self.sort_text()).collect::<Vec<_>>().join(" ")
    }

    /// The filter as text with one more term.
    pub fn with(&self, term: &str) -> String {
        let all = self.terms.iter().map(|term| term.text.clone()).chain(std::iter::once(term.to_owned()));
        all.chain(self.sort_text()).collect::<Vec<_>>().join(" ")
    }

    fn sort_text(&self) -> Option<String> {
        if self.sort.is_empty() {
            return None;
        }
        let words = self.sort.iter().map(|sort| {
            let word = match sort.key {
                SortKey::Impact => "impact",
                SortKey::State => "state",
                SortKey::Age => "age",
                SortKey::Host => "host",
                SortKey::Service => "service",
                SortKey::Checked => "checked",
            };
            format!("{}{word}", if sort.reversed { "-" } else { "" })
        });
        Some(format!("sort:{}", words.collect::<Vec<_>>().join(",")))
    }
}

impl Test {
    fn holds(&self, subject: &dyn Subject, me: &str) -> bool {
        match self {
            Test::State(words) => words.iter().any(|word| subject.is_state(*word)),
            Test::Impact(compare, levels) => levels.iter().any(|level| compare.holds(Some(subject.level().cmp(level)))),
            Test::Text(field, globs) => subject.any(*field, &mut |text| globs.iter().any(|glob| glob.hits(text))),
            Test::Type(types) => types.iter().any(|failure_type| subject.has_type(*failure_type)),
            Test::Is(facts) => facts.iter().any(|fact| subject.is(*fact)),
            Test::Age(compare, span) => compare.holds(subject.age().map(|age| age.cmp(span))),
            Test::Checked(compare, span) => compare.holds(subject.checked().map(|age| age.cmp(span))),
            Test::Owner(names) => names.iter().any(|name| {
                let name = if name == "me" { me } else { name };
                match subject.owner() {
                    Some(owner) => owner.to_lowercase() == name.to_lowercase(),
                    None => name == "none",
                }
            }),
            Test::Perf { label, compare, value } => {
                compare.holds(subject.perf(label).and_then(|seen| seen.partial_cmp(value)))
            }
            Test::Free(glob) => subject.free(&mut |text| glob.hits(text)),
        }
    }
}

struct Token {
    /// As written.
    text: String,
    negated: bool,
    /// Lower case; `None` = free text.
    field: Option<String>,
    /// Without its quotes.
    value: String,
    /// Quoted values are not split at commas.
    quoted: bool,
}

impl Token {
    fn values(&self) -> Vec<String> {
        if self.quoted {
            return vec![self.value.clone()];
        }
        self.value.split(',').filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }
}

/// Splits at white space outside quotes. An open quote runs to the end.
fn tokens(input: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut raw = String::new();
    let mut in_quotes = false;
    for c in input.chars() {
        match c {
            '"' => {
                in_quotes = !in_quotes;
                raw.push(c);
            }
            c if (c.is_whitespace() || c.is_control()) && !in_quotes => {
                tokens.extend(token(&std::mem::take(&mut raw)));
            }
            c => raw.push(c),
        }
    }
    tokens.extend(token(&raw));
    tokens
}

fn token(raw: &str) -> Option<Token> {
    if raw.is_empty() || raw == "-" {
        return None;
    }
    let (negated, body) = match raw.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, raw),
    };
    let (field, value) = match body.split_once(':') {
        // A colon inside quotes, or an address such as `http://x`, is text.
        Some((field, value)) if !field.contains('"') && !field.is_empty() && !value.starts_with("//") => {
            (Some(field.to_lowercase()), value)
        }
        _ => (None, body),
    };
    let quoted = value.contains('"');
    let value = value.replace('"', "");
    if value.is_empty() && field.is_none() {
        return None;
    }
    Some(Token { text: raw.to_owned(), negated, field, value, quoted })
}

fn read_test(field: Option<&str>, token: &Token) -> Result<Test, String> {
    let Some(field) = field else { return Ok(Test::Free(Glob::within(&token.value))) };
    let text = |field| Ok(Test::Text(field, token.values().iter().map(|value| Glob::exact(value)).collect()));
    if token.values().is_empty() && FIELDS.contains(&field) {
        return Err(format!("`{field}:` needs a value"));
    }
    match field {
        "state" => words_of(token, "state", &STATES, state_word).map(Test::State),
        "impact" => impact(token),
        "host" => text(TextField::Host),
        "service" => text(TextField::Service),
        "site" => text(TextField::Site),
        "zone" => text(TextField::Zone),
        "cloud" => text(TextField::Cloud),
        "comp" => text(TextField::Comp),
        "group" => text(TextField::Group),
        "out" => Ok(Test::Text(TextField::Out, vec![Glob::within(&token.value)])),
        "type" => words_of(token, "type", &["software", "server", "resource"], failure_type).map(Test::Type),
        "is" => words_of(token, "fact", &FACTS, fact).map(Test::Is),
        "age" => duration(&token.value).map(|(compare, span)| Test::Age(compare, span)),
        "checked" => duration(&token.value).map(|(compare, span)| Test::Checked(compare, span)),
        "owner" => Ok(Test::Owner(token.values())),
        "perf" => perf(&token.value),
        other => Err(did_you_mean("no field", other, &FIELDS)),
    }
}

fn did_you_mean(lead: &str, word: &str, known: &[&str]) -> String {
    match words::nearest(word, known) {
        Some(meant) => format!("{lead} `{word}`; did you mean `{meant}`?"),
        None => format!("{lead} `{word}`; known are {}", known.join(", ")),
    }
}

fn words_of<T>(token: &Token, what: &str, known: &[&str], read: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let lead = format!("no {what}");
    token
        .values()
        .iter()
        .map(|word| {
            let word = word.to_lowercase();
            read(&word).ok_or_else(|| did_you_mean(&lead, &word, known))
        })
        .collect()
}

fn state_word(word: &str) -> Option<StateWord> {
    Some(match word {
        "ok" => StateWord::Ok,
        "warning" | "warn" => StateWord::Warning,
        "critical" | "crit" => StateWord::Critical,
        "unknown" => StateWord::Unknown,
        "pending" => StateWord::Pending,
        "problem" => StateWord::Problem,
        "up" => StateWord::Up,
        "down" => StateWord::Down,
        "unreachable" => StateWord::Unreachable,
        _ => return None,
    })
}

fn failure_type(word: &str) -> Option<FailureType> {
    match word {
        "software" => Some(FailureType::Software),
        "server" => Some(FailureType::Server),
        "resource" | "resources" => Some(FailureType::Resource),
        _ => None,
    }
}

fn fact(word: &str) -> Option<Fact> {
    Some(match word {
        "handled" => Fact::Handled,
        "acked" => Fact::Acked,
        "downtime" => Fact::Downtime,
        "flapping" => Fact::Flapping,
        "stale" => Fact::Stale,
        "soft" => Fact::Soft,
        "effect" => Fact::Effect,
        "passive" => Fact::Passive,
        "open" => Fact::Open,
        "closed" => Fact::Closed,
        "recovering" => Fact::Recovering,
        _ => return None,
    })
}

fn level(word: &str) -> Option<Level> {
    Level::ALL.into_iter().find(|level| level.key() == word)
}

fn impact(token: &Token) -> Result<Test, String> {
    let (compare, rest) = comparison(&token.value);
    let levels = rest.split(',').filter(|word| !word.is_empty()).map(|word| {
        let word = word.to_lowercase();
        level(&word).ok_or_else(|| did_you_mean("no impact", &word, &LEVELS))
    });
    Ok(Test::Impact(compare.unwrap_or(Compare::Equal), levels.collect::<Result<_, _>>()?))
}

/// A leading `>`, `>=`, `<`, `<=` or `=`.
fn comparison(text: &str) -> (Option<Compare>, &str) {
    for (sign, compare) in [
        (">=", Compare::GreaterEqual),
        ("<=", Compare::LessEqual),
        (">", Compare::Greater),
        ("<", Compare::Less),
        ("=", Compare::Equal),
    ] {
        if let Some(rest) = text.strip_prefix(sign) {
            return (Some(compare), rest);
        }
    }
    (None, text)
}

fn duration(text: &str) -> Result<(Compare, Span), String> {
    let (compare, rest) = comparison(text);
    let span = rest.parse::<Span>().map_err(|error| error.to_string())?;
    Ok((compare.unwrap_or(Compare::GreaterEqual), span))
}

fn perf(text: &str) -> Result<Test, String> {
    let wrong = || format!("`{text}` is not a comparison such as `put_p95>600`");
    let at = text.find(['<', '>', '=']).ok_or_else(wrong)?;
    let (label, rest) = text.split_at(at);
    let (compare, number) = comparison(rest);
    let value: f64 = number.parse().map_err(|_| wrong())?;
    if label.is_empty() || !value.is_finite() {
        return Err(wrong());
    }
    Ok(Test::Perf { label: label.to_owned(), compare: compare.ok_or_else(wrong)?, value })
}

#[cfg(test)]
mod tests;
