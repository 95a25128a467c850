//! An expanded command line in which values from outside are marks, not text: whether a shell is needed is seen from
//! what was configured alone, and no value can become a second word, an option of the shell, or a command.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Around the number of a value. Noncharacters: no text has them.
const OPEN: char = '\u{FDD0}';
const CLOSE: char = '\u{FDD1}';

/// The line and the values that its marks stand for.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Held {
    line: String,
    values: Vec<String>,
}

/// Puts a mark for a value into a line.
pub(super) fn push_mark(line: &mut String, values: &mut Vec<String>, value: String) {
    line.push(OPEN);
    line.push_str(&values.len().to_string());
    line.push(CLOSE);
    values.push(value);
}

impl fmt::Display for Held {
    /// As people read it: with the values in their places.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fill(&self.line))
    }
}

impl From<&str> for Held {
    /// A line without values from outside.
    fn from(line: &str) -> Self {
        Held { line: line.to_owned(), values: Vec::new() }
    }
}

enum Piece<'h> {
    Char(char),
    Value(&'h str),
}

/// What the shell takes a character for. `Open` is outside of quotes.
#[derive(Copy, Clone, Eq, PartialEq)]
enum Quote {
    Open,
    Single,
    Double,
}

impl Held {
    pub(super) fn new(line: String, values: Vec<String>) -> Self {
        Held { line, values }
    }

    /// To be split into words, or found to need a shell. Marks are ordinary characters of a word.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// One word of the line with the values in place of their marks, for a program that no shell starts.
    pub fn fill(&self, word: &str) -> String {
        let mut filled = String::with_capacity(word.len());
        self.each(word, |piece| match piece {
            Piece::Char(c) => filled.push(c),
            Piece::Value(value) => filled.push_str(value),
        });
        filled
    }

    /// The whole line for a shell, each value escaped for the quotes that it stands in.
    pub fn for_shell(&self) -> String {
        // What nests quotes, or is text in which quotes are none, is beyond this reading: there only plain characters
        // pass.
        let plain_only = ["`", "$(", "${", "<<", "$'", "#", "\n"].iter().any(|sign| self.line.contains(sign));
        let mut script = String::with_capacity(self.length());
        let (mut quote, mut escaped) = (Quote::Open, false);
        self.each(&self.line, |piece| match piece {
            Piece::Value(value) if plain_only || escaped => {
                script.extend(value.chars().map(|c| if is_plain(c) { c } else { '_' }));
                escaped = false;
            }
            Piece::Value(value) => value.chars().for_each(|c| push_escaped(&mut script, quote, c)),
            Piece::Char(c) => {
                script.push(c);
                (quote, escaped) = match (quote, c) {
                    (_, _) if escaped => (quote, false),
                    (Quote::Open | Quote::Double, '\\') => (quote, true),
                    (Quote::Open, '\'') => (Quote::Single, false),
                    (Quote::Open, '"') => (Quote::Double, false),
                    (Quote::Single, '\'') | (Quote::Double, '"') => (Quote::Open, false),
                    (Quote::Open | Quote::Single | Quote::Double, _) => (quote, false),
                };
            }
        });
        script
    }

    /// In bytes, with all values in their places.
    pub(super) fn length(&self) -> usize {
        let mut length = 0;
        self.each(&self.line, |piece| {
            length += match piece {
                Piece::Char(c) => c.len_utf8(),
                Piece::Value(value) => value.len(),
            };
        });
        length
    }

    fn each<'h>(&'h self, text: &str, mut visit: impl FnMut(Piece<'h>)) {
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let marked = if c == OPEN { rest.as_str().split_once(CLOSE) } else { None };
            let value = marked.and_then(|(number, _)| self.values.get(number.parse::<usize>().ok()?));
            match (value, marked) {
                (Some(value), Some((_, after))) => {
                    visit(Piece::Value(value));
                    rest = after.chars();
                }
                _ => visit(Piece::Char(c)),
            }
        }
    }
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ' ' | '.' | ',' | ':' | '_' | '-' | '+' | '=' | '%' | '/' | '@')
}

fn push_escaped(script: &mut String, quote: Quote, c: char) {
    match (quote, c) {
        // No shell can hold it.
        (_, '\0') => {}
        (Quote::Single, '\'') => script.push_str(r"'\''"),
        (Quote::Double, '"' | '\\' | '$' | '`') => {
            script.push('\\');
            script.push(c);
        }
        // A line feed behind a backslash would join lines.
        (Quote::Open, '\n') => script.push(' '),
        (Quote::Open, c) if !is_plain(c) => {
            script.push('\\');
            script.push(c);
        }
        (Quote::Open | Quote::Single | Quote::Double, c) => script.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(line: &str, values: &[&str]) -> Held {
        let (mut marked, mut kept) = (String::new(), Vec::new());
        let mut pieces = line.split('@');
        marked.push_str(pieces.next().unwrap_or_default());
        for (piece, value) in pieces.zip(values) {
            push_mark(&mut marked, &mut kept, (*value).to_owned());
            marked.push_str(piece);
        }
        Held::new(marked, kept)
    }

    #[test]
    fn values_are_escaped_for_the_quotes_around_them() {
        for (line, value, script) in [
            ("p \"@\" | mail", "a \"b\" $(c) `d` \\", r#"p "a \"b\" \$(c) \`d\` \\" | mail"#),
            ("p '@' | mail", "it's; $(c)", r"p 'it'\''s; $(c)' | mail"),
            ("p @ | mail", "a; rm -rf $HOME\n&b", r"p a\; rm -rf \$HOME \&b | mail"),
            ("p \"it's @\"", "'", "p \"it's '\""),
            // In what nests, only plain characters pass.
            ("p \"$(echo '@')\"", "'; id; '", "p \"$(echo '__ id_ _')\""),
            ("p \\@ | x", "; id", r"p \_ id | x"),
        ] {
            assert_eq!(held(line, &[value]).for_shell(), script, "{line}");
        }
    }

    #[test]
    fn words_take_values_as_they_are() {
        let held = held("p @-x", &["a; b `c`"]);
        assert_eq!(held.fill(held.line()), "p a; b `c`-x");
        assert_eq!(held.fill("\u{FDD0}7\u{FDD1}\u{FDD0}"), "\u{FDD0}7\u{FDD1}\u{FDD0}");
    }
}
