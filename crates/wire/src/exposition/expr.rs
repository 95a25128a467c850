//! `sum(errors{code=~"5.."}) / sum(requests) * 100`: arithmetic over aggregated samples of one page.

use regex::Regex;

use super::{Page, Sample, Scanner};

/// Brackets and signs within each other.
const DEPTH_MAX: usize = 32;
const LENGTH_MAX: usize = 4096;

/// An expression that was read.
#[derive(Debug)]
pub enum Expr {
    Number(f64),
    Series(Aggregate, Selector),
    Negated(Box<Expr>),
    Binary(Box<Expr>, Operator, Box<Expr>),
}

/// What makes one number of several samples.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Aggregate {
    /// There must be one.
    Only,
    Sum,
    Min,
    Max,
    Avg,
    Count,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// A metric with what its labels must be.
#[derive(Debug)]
pub struct Selector {
    pub metric: String,
    matchers: Vec<Matcher>,
    /// As it was written.
    text: String,
}

#[derive(Debug)]
struct Matcher {
    label: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Equal(String),
    Unequal(String),
    Like(Regex),
    Unlike(Regex),
}

/// The text is no expression.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message} at byte {at}")]
pub struct Refusal {
    pub message: String,
    pub at: usize,
}

/// The expression has no value on this page.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExprError {
    #[error("no sample of {0}")]
    Absent(String),
    #[error("{count} samples of {selector}: name their labels, or take sum, min, max, avg or count")]
    Several { selector: String, count: usize },
    #[error("the value is no finite number")]
    NotFinite,
}

impl Selector {
    pub fn matches(&self, sample: &Sample) -> bool {
        sample.name == self.metric
            && self.matchers.iter().all(|matcher| {
                let value = sample.label(&matcher.label);
                match &matcher.test {
                    Test::Equal(wanted) => value == wanted,
                    Test::Unequal(other) => value != other,
                    Test::Like(regex) => regex.is_match(value),
                    Test::Unlike(regex) => !regex.is_match(value),
                }
            })
    }
}

impl Expr {
    /// # Errors
    /// It is none; the refusal says where.
    pub fn parse(text: &str) -> Result<Expr, Refusal> {
        let mut parser = Parser { text, scanner: Scanner { rest: text }, depth: 0 };
        if text.len() > LENGTH_MAX {
            return Err(parser.refuse("the expression is too long"));
        }
        let expr = parser.sum()?;
        parser.scanner.skip_blanks();
        if parser.scanner.rest.is_empty() { Ok(expr) } else { Err(parser.refuse("this does not belong here")) }
    }

    /// The metrics that it reads.
    pub fn reads(&self, metric: &str) -> bool {
        match self {
            Expr::Number(_) => false,
            Expr::Series(_, selector) => selector.metric == metric,
            Expr::Negated(inner) => inner.reads(metric),
            Expr::Binary(left, _, right) => left.reads(metric) || right.reads(metric),
        }
    }

    /// # Errors
    /// A selector finds nothing, or too much, or the result is no number.
    pub fn value(&self, page: &Page) -> Result<f64, ExprError> {
        let value = self.compute(page)?;
        if value.is_finite() { Ok(value) } else { Err(ExprError::NotFinite) }
    }

    fn compute(&self, page: &Page) -> Result<f64, ExprError> {
        Ok(match self {
            Expr::Number(number) => *number,
            Expr::Series(aggregate, selector) => aggregate.of(selector, page)?,
            Expr::Negated(inner) => -inner.compute(page)?,
            Expr::Binary(left, operator, right) => {
                let (left, right) = (left.compute(page)?, right.compute(page)?);
                match operator {
                    Operator::Add => left + right,
                    Operator::Subtract => left - right,
                    Operator::Multiply => left * right,
                    Operator::Divide => left / right,
                }
            }
        })
    }
}

impl Aggregate {
    fn named(word: &str) -> Option<Aggregate> {
        Some(match word {
            "sum" => Aggregate::Sum,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            "avg" => Aggregate::Avg,
            "count" => Aggregate::Count,
            _ => return None,
        })
    }

    fn of(self, selector: &Selector, page: &Page) -> Result<f64, ExprError> {
        let values: Vec<f64> = page.samples.iter().filter(|s| selector.matches(s)).map(|s| s.value).collect();
        let count = values.len();
        let absent = || ExprError::Absent(selector.text.clone());
        let sum = || values.iter().sum::<f64>();
        match self {
            // How many there are is known of none, too.
            Aggregate::Count => Ok(count as f64),
            _ if values.is_empty() => Err(absent()),
            Aggregate::Only if count > 1 => Err(ExprError::Several { selector: selector.text.clone(), count }),
            Aggregate::Only | Aggregate::Sum => Ok(sum()),
            Aggregate::Avg => Ok(sum() / count as f64),
            Aggregate::Min => values.iter().copied().reduce(f64::min).ok_or_else(absent),
            Aggregate::Max => values.iter().copied().reduce(f64::max).ok_or_else(absent),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    scanner: Scanner<'t>,
    depth: usize,
}

impl Parser<'_> {
    fn refuse(&self, message: &str) -> Refusal {
        Refusal { message: message.to_owned(), at: self.text.len() - self.scanner.rest.len() }
    }

    fn take(&mut self, c: char) -> bool {
        self.scanner.skip_blanks();
        self.scanner.take(c)
    }

    fn sum(&mut self) -> Result<Expr, Refusal> {
        let mut left = self.product()?;
        loop {
            let operator = if self.take('+') {
                Operator::Add
            } else if self.take('-') {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            left = Expr::Binary(Box::new(left), operator, Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expr, Refusal> {
        let mut left = self.factor()?;
        loop {
            let operator = if self.take('*') {
                Operator::Multiply
            } else if self.take('/') {
                Operator::Divide
            } else {
                return Ok(left);
            };
            left = Expr::Binary(Box::new(left), operator, Box::new(self.factor()?));
        }
    }

    fn factor(&mut self) -> Result<Expr, Refusal> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.refuse("too many brackets within each other"));
        }
        let factor = self.deeper();
        self.depth -= 1;
        factor
    }

    fn deeper(&mut self) -> Result<Expr, Refusal> {
        if self.take('-') {
            return Ok(Expr::Negated(Box::new(self.factor()?)));
        }
        if self.take('(') {
            let inner = self.sum()?;
            return if self.take(')') { Ok(inner) } else { Err(self.refuse("a `)` is missing")) };
        }
        if self.scanner.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number();
        }
        let before = self.scanner.rest;
        let word = self.scanner.name().ok_or_else(|| self.refuse("a metric, a number or a bracket is missing"))?;
        if let Some(aggregate) = Aggregate::named(word)
            && self.take('(')
        {
            self.scanner.skip_blanks();
            let before = self.scanner.rest;
            let metric = self.scanner.name().ok_or_else(|| self.refuse("a metric is missing"))?;
            let selector = self.selector(metric, before)?;
            return if self.take(')') {
                Ok(Expr::Series(aggregate, selector))
            } else {
                Err(self.refuse("a `)` is missing"))
            };
        }
        Ok(Expr::Series(Aggregate::Only, self.selector(word, before)?))
    }

    fn number(&mut self) -> Result<Expr, Refusal> {
        let rest = self.scanner.rest;
        let mut before = ' ';
        let end = rest.find(|c: char| {
            let goes_on =
                c.is_ascii_alphanumeric() || c == '.' || (matches!(c, '+' | '-') && matches!(before, 'e' | 'E'));
            before = c;
            !goes_on
        });
        let (digits, after) = rest.split_at(end.unwrap_or(rest.len()));
        let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| self.refuse("this is no number"))?;
        self.scanner.rest = after;
        Ok(Expr::Number(number))
    }

    /// What follows the name of a metric.
    fn selector(&mut self, metric: &str, before: &str) -> Result<Selector, Refusal> {
        let mut matchers = Vec::new();
        if self.take('{') {
            loop {
                if self.take('}') {
                    break;
                }
                matchers.push(self.matcher()?);
                if !self.take(',') && !self.scanner.rest.starts_with('}') {
                    return Err(self.refuse("a `,` or `}` is missing"));
                }
            }
        }
        let length = before.len() - self.scanner.rest.len();
        let text = before.get(..length).unwrap_or_default().trim().to_owned();
        Ok(Selector { metric: metric.to_owned(), matchers, text })
    }

    fn matcher(&mut self) -> Result<Matcher, Refusal> {
        self.scanner.skip_blanks();
        let label = self.scanner.name().ok_or_else(|| self.refuse("a label is missing"))?.to_owned();
        self.scanner.skip_blanks();
        let operators = ["=~", "!~", "!=", "="];
        let operator = operators.into_iter().find(|operator| self.scanner.rest.starts_with(operator));
        let operator = operator.ok_or_else(|| self.refuse("one of = != =~ !~ is missing"))?;
        self.scanner.rest = self.scanner.rest.strip_prefix(operator).unwrap_or_default();
        self.scanner.skip_blanks();
        let value = self.scanner.quoted().ok_or_else(|| self.refuse("a text in double quotes is missing"))?;
        // As Prometheus: the whole value must match.
        let regex =
            |value: &str| Regex::new(&format!("^(?s:{value})$")).map_err(|_| self.refuse("no regular expression"));
        let test = match operator {
            "=~" => Test::Like(regex(&value)?),
            "!~" => Test::Unlike(regex(&value)?),
            "!=" => Test::Unequal(value),
            _ => Test::Equal(value),
        };
        Ok(Matcher { label, test })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = "# TYPE req counter\nreq{code=\"200\",m=\"GET\"} 90\nreq{code=\"500\",m=\"GET\"} 6\n\
        req{code=\"503\"} 4\nup 1\nsum 5\nnan NaN\n";

    fn value(text: &str) -> Result<f64, ExprError> {
        let expr = Expr::parse(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        expr.value(&Page::parse(PAGE, |name| expr.reads(name)))
    }

    #[test]
    fn expressions_have_their_values() {
        for (text, wanted) in [
            ("up", 1.0),
            ("req{code=\"500\"}", 6.0),
            ("sum(req)", 100.0),
            ("sum( req{code=~\"5..\"} ) / sum(req) * 100", 10.0),
            ("count(req{m!=\"GET\"}) + count(gone)", 1.0),
            ("max(req{code!~\"2.*\"}) - min(req)", 2.0),
            ("avg(req{m=\"GET\",}) ", 48.0),
            ("-(1 + 2) * -2e-1", 0.6),
            ("sum + up", 6.0),
            ("5 - -1 + -up", 5.0),
            ("req{m=\"\"}", 4.0),
        ] {
            let got = value(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!((got - wanted).abs() < 1e-9, "{text}: {got}");
        }
    }

    #[test]
    fn what_has_no_value_says_why() {
        assert_eq!(value("gone{a=\"b\"} + 1"), Err(ExprError::Absent("gone{a=\"b\"}".into())));
        assert_eq!(value("req"), Err(ExprError::Several { selector: "req".into(), count: 3 }));
        for text in ["up / 0", "nan", "1e308 * 10"] {
            assert_eq!(value(text), Err(ExprError::NotFinite), "{text}");
        }
        assert_eq!(value("req{code=~\"5\"}"), Err(ExprError::Absent("req{code=~\"5\"}".into())), "anchored");
    }

    #[test]
    fn what_is_no_expression_is_refused_where_it_ends_to_be_one() {
        for (text, at) in [
            ("", 0),
            ("sum(", 4),
            ("up up", 3),
            ("req{code}", 8),
            ("req{code=5}", 9),
            ("1 +", 3),
            ("(1", 2),
            ("1x", 0),
            ("sum(1)", 4),
        ] {
            assert_eq!(Expr::parse(text).expect_err(text).at, at, "{text}");
        }
        assert!(Expr::parse(&"(".repeat(1000)).is_err());
        assert!(Expr::parse(&"-".repeat(1000)).is_err());
        assert!(Expr::parse("x{a=~\"(\"}").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", near in "(sum|up|[(){}+*/. -]|[0-9]|=~|\"a\"|,){0,20}") {
            for text in [text, near] {
                if let Ok(expr) = Expr::parse(&text) {
                    let _ = expr.value(&Page::parse(PAGE, |_| true));
                }
            }
        }
    }
}
