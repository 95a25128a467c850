//! The JSON document in what a command-line tool printed: found behind banners, refused with a reason that helps.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JsonError {
    #[error("it printed nothing")]
    Empty,
    #[error("it printed no JSON but `{0}`")]
    None(String),
    /// The tool runs in a language that writes 12,5.
    #[error("its JSON holds a number with a decimal comma in line {line}: run it with LC_ALL=C")]
    DecimalComma { line: usize },
    #[error("its JSON ends too early, in line {line}: the tool was killed or its output was cut")]
    Cut { line: usize },
    #[error("its JSON is broken in line {line}, column {column}: {why}")]
    Broken { line: usize, column: usize, why: String },
    #[error("its JSON is not what was expected: {0}")]
    Shape(String),
}

/// Reads the first JSON document that begins a line; banners before it and words behind it are passed over.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn document<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Err(JsonError::Empty);
    }
    let mut first: Option<JsonError> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let begins = line.trim_start().starts_with(['{', '[']);
        if begins {
            let rest = text.get(at + indent..).unwrap_or_default();
            match serde_json::Deserializer::from_str(rest).into_iter::<Value>().next() {
                Some(Ok(value)) if value.is_object() || value.is_array() => {
                    return serde_json::from_value(value).map_err(|e| JsonError::Shape(e.to_string()));
                }
                Some(Err(error)) => {
                    let above = text.get(..at).unwrap_or_default().matches('\n').count();
                    first.get_or_insert_with(|| refusal(rest, above, &error));
                    // A banner may begin with a bracket (`[INFO] …`); inside of a document nothing begins anew.
                    if line.trim_start().starts_with('{') {
                        break;
                    }
                }
                Some(Ok(_)) | None => {}
            }
        }
        at += line.len();
    }
    Err(first.unwrap_or_else(|| JsonError::None(start_of(text))))
}

fn refusal(rest: &str, above: usize, error: &serde_json::Error) -> JsonError {
    let line = above + error.line();
    if error.is_eof() {
        return JsonError::Cut { line };
    }
    let broken = rest.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    if has_decimal_comma(broken) {
        return JsonError::DecimalComma { line };
    }
    let why = error.to_string();
    let why = why.split(" at line").next().unwrap_or_default().to_owned();
    JsonError::Broken { line, column: error.column(), why }
}

/// `"temperature": 38,5` outside of a text.
fn has_decimal_comma(line: &str) -> bool {
    let outside: String = line.split('"').step_by(2).collect();
    let bytes = outside.as_bytes();
    bytes.windows(3).any(|three| three[0].is_ascii_digit() && three[1] == b',' && three[2].is_ascii_digit())
}

/// The first words, for people.
pub fn start_of(text: &str) -> String {
    const CHARS: usize = 100;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let shown: String = line.chars().filter(|c| !c.is_control()).take(CHARS).collect();
    if shown.len() < line.len() { format!("{shown}…") } else { shown }
}

/// A number as tools write it into texts: `12.5`, `12,5`, `1,234`, `38C`, `18%`.
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',' | '-' | '+')).unwrap_or(text.len());
    let digits = text.get(..end)?.trim_end_matches(['.', ',']);
    let plain = match (digits.rfind(','), digits.rfind('.')) {
        (Some(comma), Some(point)) if comma > point => digits.replace('.', "").replace(',', "."),
        (Some(_), Some(_)) => digits.replace(',', ""),
        (Some(comma), None) if digits.len() - comma == 4 => digits.replace(',', ""),
        (Some(_), None) => digits.replace(',', "."),
        (None, _) => digits.to_owned(),
    };
    plain.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Value, JsonError> {
        document(text)
    }

    #[test]
    fn a_banner_before_the_document_is_passed_over() {
        for text in [
            "{\"a\":1}",
            "\u{feff}{\"a\":1}",
            "Welcome to the tool 7.1\n(c) 2024 {inc}\n\n  {\"a\":1}\nbye\n",
            "[WARN] no licence\n{\"a\":1}",
        ] {
            assert_eq!(read(text).expect(text)["a"], 1);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("", JsonError::Empty),
            (" \n", JsonError::Empty),
            ("smartctl: not found\n", JsonError::None("smartctl: not found".into())),
            ("{\"a\": 38,5}", JsonError::DecimalComma { line: 1 }),
            ("hello\n{\n\"a\": 38,5}", JsonError::DecimalComma { line: 3 }),
            ("x\n{\"a\": [1,", JsonError::Cut { line: 2 }),
        ] {
            assert_eq!(read(text), Err(expected), "{text}");
        }
        assert!(
            matches!(read("{\"a\" 1}"), Err(JsonError::Broken { line: 1, column: 6, .. })),
            "{:?}",
            read("{\"a\" 1}")
        );
        assert!(matches!(document::<Vec<u8>>("{}"), Err(JsonError::Shape(_))));
    }

    #[test]
    fn numbers_of_every_locale_read() {
        for (text, number_) in [
            ("12.5", 12.5),
            ("12,5 %", 12.5),
            ("1,234", 1234.0),
            ("1,234.5", 1234.5),
            ("1.234,5", 1234.5),
            ("38C (100 F)", 38.0),
            ("-3", -3.0),
            ("18%", 18.0),
        ] {
            assert_eq!(number(text), Some(number_), "{text}");
        }
        assert_eq!((number(""), number("N/A"), number("-"), number(",")), (None, None, None, None));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\{|\\[|\"|:|,|[0-9]|é|\n|\\PC){0,60}") {
            let _ = (read(&text), number(&text), start_of(&text));
        }

        #[test]
        fn any_truncation_reads_or_refuses(cut in 0usize..40) {
            let text = "banner é\n{\"a\": [1, 2.5, {\"b\": null}]}\n";
            let _ = read(text.get(..cut).unwrap_or(text));
        }
    }
}
