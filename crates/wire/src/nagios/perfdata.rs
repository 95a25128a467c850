//! Performance data: `'label'=value[uom];[warn];[crit];[min];[max]`. Numbers and ranges are checked but kept as printed.

use serde::Serialize;

use super::range::number_length;

/// One item, every field as printed; empty where it was left out.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Item {
    /// Without quotes.
    pub label: String,
    /// A finite decimal number, or `U`: the plugin could not determine it.
    pub value: String,
    pub uom: String,
    /// Threshold ranges; see [`super::range::Range`].
    pub warn: String,
    pub crit: String,
    pub min: String,
    pub max: String,
}

/// Why an item was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ItemError {
    #[error("`{0}` has no `=`")]
    NoEquals(String),
    #[error("a label is missing before `={0}`")]
    NoLabel(String),
    #[error("the quote of `{0}` does not end")]
    OpenQuote(String),
    #[error("`{label}` has no number in `{value}`")]
    Value { label: String, value: String },
    #[error("`{label}` has junk in its field `{field}`")]
    Field { label: String, field: String },
}

impl Item {
    /// The value; `None` if it is `U`.
    pub fn number(&self) -> Option<f64> {
        finite(&self.value)
    }

    pub fn min_number(&self) -> Option<f64> {
        finite(&self.min)
    }

    pub fn max_number(&self) -> Option<f64> {
        finite(&self.max)
    }
}

/// Every item in order; one bad item does not take its neighbours with it.
pub fn parse(text: &str) -> Vec<Result<Item, ItemError>> {
    let mut items = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, after) = next_token(rest);
        items.push(item(token));
        rest = after.trim_start();
    }
    items
}

/// All items, or the first reason to refuse the whole.
///
/// # Errors
/// Some item does not follow the grammar.
pub fn parse_strict(text: &str) -> Result<Vec<Item>, ItemError> {
    parse(text).into_iter().collect()
}

/// Up to the first blank outside the quotes of a label.
fn next_token(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        // A doubled quote leaves and enters again, which comes to the same.
        if c == '\'' {
            quoted = !quoted;
        } else if c.is_whitespace() && !quoted {
            return text.split_at(at);
        }
    }
    if !quoted {
        return (text, "");
    }
    // A quote that never ends: give up the word it began in, not everything behind it.
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

fn item(token: &str) -> Result<Item, ItemError> {
    let (label, fields) = label(token)?;
    if label.is_empty() {
        return Err(ItemError::NoLabel(fields.to_owned()));
    }
    let mut fields = fields.split(';');
    let printed = fields.next().unwrap_or_default();
    let bad_value = || ItemError::Value { label: label.clone(), value: printed.to_owned() };
    let (value, uom) = match printed {
        "U" => ("U", ""),
        printed => printed.split_at(number_length(printed)),
    };
    if value != "U" && finite(value).is_none() || !is_uom(uom) {
        return Err(bad_value());
    }
    let mut field = |accepts: fn(&str) -> bool| {
        let field = fields.next().unwrap_or_default();
        if field.is_empty() || accepts(field) {
            return Ok(field.to_owned());
        }
        Err(ItemError::Field { label: label.clone(), field: field.to_owned() })
    };
    let (warn, crit) = (field(is_range)?, field(is_range)?);
    let (min, max) = (field(is_number)?, field(is_number)?);
    // Plugins may end an item with any number of semicolons, but with nothing between them.
    if let Some(junk) = fields.find(|field| !field.is_empty()) {
        return Err(ItemError::Field { label, field: junk.to_owned() });
    }
    let (value, uom) = (value.to_owned(), uom.to_owned());
    Ok(Item { label, value, uom, warn, crit, min, max })
}

/// The label without quotes, and what follows its `=`.
fn label(token: &str) -> Result<(String, &str), ItemError> {
    let no_equals = || ItemError::NoEquals(token.to_owned());
    let Some(quoted) = token.strip_prefix('\'') else {
        let (label, fields) = token.split_once('=').ok_or_else(no_equals)?;
        if label.contains('\'') {
            return Err(no_equals());
        }
        return Ok((label.to_owned(), fields));
    };
    let mut label = String::new();
    let mut rest = quoted;
    loop {
        let (piece, after) = rest.split_once('\'').ok_or_else(|| ItemError::OpenQuote(token.to_owned()))?;
        label.push_str(piece);
        match after.strip_prefix('\'') {
            Some(more) => {
                label.push('\'');
                rest = more;
            }
            None => return Ok((label, after.strip_prefix('=').ok_or_else(no_equals)?)),
        }
    }
}

fn finite(text: &str) -> Option<f64> {
    (number_length(text) == text.len()).then(|| text.parse::<f64>().ok()).flatten().filter(|number| number.is_finite())
}

fn is_number(text: &str) -> bool {
    finite(text).is_some()
}

/// Letters, `%`, `°` and `/` (`B/s`): what plugins print as units.
fn is_uom(text: &str) -> bool {
    text.chars().all(|c| c.is_alphabetic() || matches!(c, '%' | '°' | '/'))
}

/// The shape of a range without junk. Whether start lies below end is the judge's business, not the carrier's.
fn is_range(text: &str) -> bool {
    let body = text.strip_prefix('@').unwrap_or(text);
    match body.split_once(':') {
        None => is_number(body),
        Some((low, high)) => (low.is_empty() || low == "~" || is_number(low)) && (high.is_empty() || is_number(high)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bad_item_leaves_its_neighbours_alone() {
        let kept: Vec<_> =
            parse("a=1 b=1,5 c 'd e'=3 =4 f=inf g=7").into_iter().flatten().map(|item| item.label).collect();
        assert_eq!(kept, ["a", "d e", "g"]);
    }

    #[test]
    fn a_quote_that_never_ends_spoils_one_word_only() {
        let items = parse("'open=1 b=2");
        assert!(matches!(items.first(), Some(Err(ItemError::OpenQuote(_)))), "{items:?}");
        assert!(matches!(items.get(1), Some(Ok(item)) if item.label == "b"), "{items:?}");
    }

    #[test]
    fn refusals_name_what_is_wrong() {
        for text in [
            "novalue",
            "a=",
            "=1",
            "''=1",
            "a=1,5",
            "a=1_5",
            "a=inf",
            "a=nan",
            "a=1e999",
            "a=1;x",
            "a=1;;5%",
            "a=1;;;x",
            "a=1;2;3;4;5;6",
            "a=Us",
            "'a'b=1",
            "a'b=1",
            "a=0x10",
            "a=--1",
        ] {
            assert!(parse_strict(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn what_real_plugins_print_is_accepted() {
        for text in [
            "/=2643MB;5948;5958;0;5968",
            "time=0.002722s;;;0.000000 size=644B;;;0",
            "rta=0.1ms;3000.000;5000.000;0;; pl=0%;80;100;;",
            "temp=36°C;70;80",
            "rx=12B/s",
            "x=.5",
            "x=5.",
            "x=-1;~:0;@-5:-1",
            "a=1;;;;;;;",
            "in=5EB",
        ] {
            assert!(parse_strict(text).is_ok(), "{text:?}: {:?}", parse_strict(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_accepted_items_hold_the_grammar(text in "[ -~ü°'=;:@~.0-9]{0,60}") {
            for item in parse(&text).into_iter().flatten() {
                prop_assert!(!item.label.is_empty());
                prop_assert!(item.value == "U" || item.number().is_some());
            }
        }

        #[test]
        fn any_label_survives_quoting(label in "[^\u{0}-\u{1f}]{1,20}", value in -1000i32..1000) {
            let text = format!("'{}'={value};1;2;3;4", label.replace('\'', "''"));
            let items = parse_strict(&text);
            prop_assert!(matches!(items.as_deref(), Ok([item]) if item.label == label && item.number() == Some(f64::from(value))), "{text:?}: {items:?}");
        }
    }
}
