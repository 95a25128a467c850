//! Text of an object file to blocks of directives with their places. Knows names of directives, not what they mean.

use std::borrow::Cow;

use super::kinds::{Form, Kind, Lookup, Slot};
use crate::nagios::finding::{Findings, Place, quoted};

/// A stretch of a file's text, or a text of its own where the file's had to be changed (continuation, `\;`).
#[derive(Clone, Copy, Debug)]
pub(super) enum Stretch {
    File { start: u32, end: u32 },
    Own(u32),
}

/// What stands before the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    /// A row of the type's table.
    Row(u8),
    /// `_NAME value`; the stretch holds both.
    Variable,
    /// A line of a timeperiod that is no other directive; the stretch holds all of it.
    Dates,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Directive {
    pub key: Key,
    pub value: Stretch,
    pub line: u32,
    /// Of the value.
    pub column: u32,
}

/// One `define`.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub kind: Kind,
    pub place: Place,
    /// First and end in [`Parsed::directives`].
    pub directives: (u32, u32),
    pub name: Option<(Stretch, Place)>,
    pub uses: Option<(Stretch, Place)>,
    pub register: bool,
}

/// What an `include_file` or `include_dir` asks for, and before which block.
#[derive(Clone, Debug)]
pub(super) struct Include {
    pub before_block: usize,
    pub is_dir: bool,
    pub path: String,
    pub place: Place,
}

/// One file, read.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub file: u32,
    pub text: String,
    own: Vec<String>,
    pub blocks: Vec<Block>,
    pub directives: Vec<Directive>,
    pub includes: Vec<Include>,
}

impl Parsed {
    pub fn text(&self, stretch: Stretch) -> &str {
        match stretch {
            Stretch::File { start, end } => self.text.get(start as usize..end as usize).unwrap_or_default(),
            Stretch::Own(index) => self.own.get(index as usize).map_or("", String::as_str),
        }
    }

    pub fn directives(&self, block: &Block) -> &[Directive] {
        let (first, end) = block.directives;
        self.directives.get(first as usize..end as usize).unwrap_or_default()
    }
}

/// A line after joining: its text and where in the file it starts.
struct Logical<'t> {
    text: Cow<'t, str>,
    start: usize,
    number: u32,
}

struct Lines<'t> {
    text: &'t str,
    at: usize,
    number: u32,
}

impl<'t> Lines<'t> {
    fn physical(&mut self) -> Option<(&'t str, usize)> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let start = self.at;
        let length = rest.find('\n').unwrap_or(rest.len());
        self.at += (length + 1).min(rest.len());
        self.number += 1;
        let line = rest.get(..length).unwrap_or_default();
        Some((line.strip_suffix('\r').unwrap_or(line), start))
    }
}

/// A backslash that is not itself escaped continues the line.
fn continues(line: &str) -> bool {
    line.ends_with('\\') && !line.ends_with("\\\\")
}

impl<'t> Iterator for Lines<'t> {
    type Item = Logical<'t>;

    fn next(&mut self) -> Option<Logical<'t>> {
        let (line, start) = self.physical()?;
        let number = self.number;
        if !continues(line) {
            return Some(Logical { text: Cow::Borrowed(line), start, number });
        }
        let mut joined = line.trim_end_matches('\\').to_owned();
        while let Some((next, _)) = self.physical() {
            let next = next.trim_start_matches([' ', '\t']);
            if !continues(next) {
                joined.push_str(next);
                break;
            }
            joined.push_str(next.trim_end_matches('\\'));
        }
        Some(Logical { text: Cow::Owned(joined), start, number })
    }
}

/// Without the comment that an unescaped `;` begins; `\;` becomes `;`.
fn without_comment(line: &str) -> Cow<'_, str> {
    let Some(first) = line.find(';') else { return Cow::Borrowed(line) };
    let is_escaped = |at: usize| at > 0 && line.as_bytes().get(at - 1) == Some(&b'\\');
    if !is_escaped(first) {
        return Cow::Borrowed(line.get(..first).unwrap_or_default());
    }
    let mut kept = String::with_capacity(line.len());
    let mut from = 0;
    for (at, _) in line.match_indices(';') {
        if !is_escaped(at) {
            kept.push_str(line.get(from..at).unwrap_or_default());
            return Cow::Owned(kept);
        }
        kept.push_str(line.get(from..at - 1).unwrap_or_default());
        from = at;
    }
    kept.push_str(line.get(from..).unwrap_or_default());
    Cow::Owned(kept)
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Bytes of blanks that a text begins with.
fn leading_blanks(text: &str) -> usize {
    text.bytes().take_while(|byte| is_blank(*byte)).count()
}

fn trimmed(text: &str) -> &str {
    let start = leading_blanks(text);
    let end = text.len() - text.bytes().rev().take_while(|byte| is_blank(*byte)).count();
    text.get(start..end).unwrap_or_default()
}

/// Reads one file. All that is wrong is reported, all that is right is returned.
pub(super) fn parse(file: u32, text: String, lookup: &Lookup, found: &mut Findings) -> Parsed {
    if u32::try_from(text.len()).is_err() {
        let place = Place { file, line: 1, column: 1 };
        found.error("file-too-large", place, "a file of 4 GiB or more is not read", "split it");
        return Parsed { file, ..Parsed::default() };
    }
    let mut reader = Reader { parsed: Parsed { file, ..Parsed::default() }, open: Open::None, lookup, found };
    for line in (Lines { text: &text, at: 0, number: 0 }) {
        reader.line(&line);
    }
    reader.end();
    let mut parsed = reader.parsed;
    parsed.text = text;
    parsed
}

/// Where the reader stands.
enum Open {
    None,
    Block(Block),
    /// A definition that cannot be understood is skipped up to its end.
    Skipped(Place),
}

struct Reader<'r> {
    parsed: Parsed,
    open: Open,
    lookup: &'r Lookup,
    found: &'r mut Findings,
}

/// A trimmed line, and what is needed to say where its parts stand.
struct Content<'c> {
    text: &'c str,
    /// Offset in the file if the text is the file's own.
    start: Option<usize>,
    line: u32,
    column: u32,
}

impl<'c> Content<'c> {
    /// From this byte of it on, trimmed.
    fn from(&self, at: usize) -> Content<'c> {
        let rest = self.text.get(at..).unwrap_or_default();
        let blanks = leading_blanks(rest);
        let skipped = at + blanks;
        Content {
            text: trimmed(rest),
            start: self.start.map(|start| start + skipped),
            line: self.line,
            column: self.column.saturating_add(u32::try_from(skipped).unwrap_or(u32::MAX)),
        }
    }

    /// The first word and what follows.
    fn split(&self) -> (&'c str, Content<'c>) {
        let end = self.text.bytes().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(self.text.len());
        (self.text.get(..end).unwrap_or_default(), self.from(end))
    }
}

impl Reader<'_> {
    fn place(&self, at: &Content<'_>) -> Place {
        Place { file: self.parsed.file, line: at.line, column: at.column }
    }

    fn line(&mut self, line: &Logical<'_>) {
        let whole = line.text.as_ref();
        match whole.bytes().find(|byte| !is_blank(*byte)) {
            None | Some(b'#' | b';') => return,
            Some(_) => {}
        }
        let kept = without_comment(whole);
        let is_files = matches!((&line.text, &kept), (Cow::Borrowed(_), Cow::Borrowed(_)));
        let content =
            Content { text: &kept, start: is_files.then_some(line.start), line: line.number, column: 1 }.from(0);
        if content.text.is_empty() {
            return;
        }
        if content.text.starts_with('}') {
            return self.close(&content);
        }
        let (word, rest) = content.split();
        if word == "define" {
            return self.define(&content, &rest);
        }
        match &self.open {
            Open::None => self.outside(&content),
            Open::Skipped(_) => {}
            Open::Block(_) => self.directive(&content, word, &rest),
        }
    }

    fn close(&mut self, content: &Content<'_>) {
        let place = self.place(content);
        if content.text.len() > 1 {
            let message = format!("text after the closing brace: {}", quoted(content.from(1).text));
            self.found.error("text-after-brace", place, message, "write } on a line of its own");
        }
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => self.found.error(
                "stray-brace",
                place,
                "} closes nothing",
                "remove it, or its definition lacks `define TYPE {`",
            ),
            Open::Skipped(_) => {}
            Open::Block(block) => self.finish(block),
        }
    }

    fn finish(&mut self, mut block: Block) {
        block.directives.1 = self.parsed.directives.len() as u32;
        self.parsed.blocks.push(block);
    }

    fn unclosed(&mut self, message: &str) {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => {}
            Open::Skipped(place) => {
                self.found.error("unclosed-definition", place, message, "close it with } on a line of its own")
            }
            Open::Block(block) => {
                let message = format!("{message} ({})", block.kind.word());
                self.found.error("unclosed-definition", block.place, message, "close it with } on a line of its own");
                self.finish(block);
            }
        }
    }

    fn end(&mut self) {
        self.unclosed("the file ends inside this definition");
    }

    fn define(&mut self, content: &Content<'_>, rest: &Content<'_>) {
        self.unclosed("the next definition begins before this one is closed");
        let place = self.place(content);
        let word_end = rest.text.find([' ', '\t', '{']).unwrap_or(rest.text.len());
        let word = rest.text.get(..word_end).unwrap_or_default();
        let after = rest.from(word_end);
        let after_brace = match after.text.strip_prefix('{') {
            Some(_) => after.from(1),
            None => {
                let help = "write `define TYPE {` on one line";
                self.found.error(
                    "missing-brace",
                    self.place(&after),
                    format!("no {{ after `define {}`", shorten(word)),
                    help,
                );
                after.from(after.text.len())
            }
        };
        if after_brace.text.contains('}') && !after_brace.text.starts_with('#') {
            let help = "write each directive, and the closing }, on a line of its own";
            self.found.error(
                "one-line-definition",
                self.place(&after_brace),
                "a definition cannot stand on one line",
                help,
            );
            return;
        }
        if !after_brace.text.is_empty() && !after_brace.text.starts_with('#') {
            let message = format!("text after the opening brace is ignored: {}", quoted(after_brace.text));
            self.found.warning("text-after-brace", self.place(&after_brace), message, "write it on the next line");
        }
        self.open = match Kind::of(word) {
            Some(kind) => {
                let first = self.parsed.directives.len() as u32;
                Open::Block(Block { kind, place, directives: (first, first), name: None, uses: None, register: true })
            }
            None => {
                let help = self.found.suggest(word, super::kinds::KINDS.iter().map(|(_, word, _)| *word));
                self.found.error(
                    "unknown-type",
                    self.place(rest),
                    format!("unknown type of object {}", quoted(word)),
                    help,
                );
                Open::Skipped(place)
            }
        };
    }

    fn outside(&mut self, content: &Content<'_>) {
        let place = self.place(content);
        let include = ["include_file", "include_dir"].iter().find_map(|key| {
            let path = content.text.strip_prefix(key)?.trim_start().strip_prefix('=')?;
            Some((*key, trimmed(path).to_owned()))
        });
        match include {
            Some((key, path)) => {
                let is_dir = key == "include_dir";
                self.parsed.includes.push(Include { before_block: self.parsed.blocks.len(), is_dir, path, place });
            }
            None if content.text == "{" => {
                self.found.error("stray-brace", place, "{ opens nothing", "write `define TYPE {` on one line");
            }
            None => {
                let message = format!("expected a definition, found {}", quoted(content.text));
                let help = "outside of definitions stand only `define TYPE {`, include_file= and include_dir=";
                self.found.error("unexpected-line", place, message, help);
            }
        }
    }

    fn keep(&mut self, content: &Content<'_>) -> Stretch {
        match content.start {
            Some(start) => Stretch::File { start: start as u32, end: (start + content.text.len()) as u32 },
            None => {
                self.parsed.own.push(content.text.to_owned());
                Stretch::Own((self.parsed.own.len() - 1) as u32)
            }
        }
    }

    fn directive(&mut self, content: &Content<'_>, word: &str, rest: &Content<'_>) {
        let place = self.place(content);
        let Open::Block(block) = &self.open else { return };
        let kind = block.kind;
        if matches!(word, "name" | "use" | "register") {
            return self.common_directive(word, rest);
        }
        let (key, value) = match self.lookup.row(kind, word) {
            Some(row) => (Key::Row(row), rest),
            None if word.starts_with('_') && kind.has_variables() => (Key::Variable, content),
            None if kind == Kind::Timeperiod => (Key::Dates, content),
            None => {
                let message = format!("a {} has no directive {}", kind.word(), quoted(word));
                let help = match word {
                    "{" => "write { at the end of the `define` line".to_owned(),
                    _ => self.found.suggest(word, Lookup::names(kind)),
                };
                return self.found.error("unknown-directive", place, message, help);
            }
        };
        if value.text.is_empty() {
            let slot = if let Key::Row(row) = key { kind.rows().get(row as usize).map(|row| row.1) } else { None };
            if matches!(slot, Some(Slot::Contacts | Slot::ContactGroups)) {
                let help = "name somebody, write `null` for nobody, or remove the line";
                self.found.error("empty-list", place, format!("`{word}` names nobody"), help);
            }
            return;
        }
        let column = value.column;
        let value = self.keep(value);
        self.parsed.directives.push(Directive { key, value, line: content.line, column });
    }

    fn common_directive(&mut self, word: &str, rest: &Content<'_>) {
        let place = self.place(rest);
        let register = match (word, rest.text) {
            ("register", text) => match super::values::check(Form::Flag, text) {
                Ok(_) => super::values::flag(text),
                Err(expected) => {
                    let message = format!("`register` is {}", quoted(text));
                    self.found.error("bad-value", place, message, format!("expected {expected}"));
                    None
                }
            },
            (_, "") => return,
            _ => None,
        };
        let stretch = self.keep(rest);
        let Open::Block(block) = &mut self.open else { return };
        match word {
            "name" => block.name = Some((stretch, place)),
            "use" => block.uses = Some((stretch, place)),
            _ => block.register = register.unwrap_or(block.register),
        }
    }
}

/// A word of a message that stands between backticks already.
fn shorten(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Parsed, Findings) {
        let mut found = Findings::default();
        let parsed = parse(0, text.to_owned(), &Lookup::new(), &mut found);
        (parsed, found)
    }

    fn values(text: &str) -> Vec<String> {
        let (parsed, found) = read(&format!("define host{{\n{text}\n}}\n"));
        assert_eq!(found.errors(), 0, "{found:?}");
        parsed.directives.iter().map(|directive| parsed.text(directive.value).to_owned()).collect()
    }

    #[test]
    fn values_are_read_as_nagios_reads_them() {
        for (text, expected) in [
            ("alias  a b \t", &["a b"][..]),
            ("alias a;b", &["a"]),
            ("alias a\\;b;c", &["a;b"]),
            ("alias a\\;b\\;c", &["a;b;c"]),
            ("alias a # b", &["a # b"]),
            ("# alias a", &[]),
            ("  ; alias a", &[]),
            ("alias a\\\n   b\\\n\tc\nnotes d", &["abc", "d"]),
            ("alias a\\\\\nnotes d", &["a\\\\", "d"]),
            ("alias a\r\nnotes b\r", &["a", "b"]),
            ("alias", &[]),
            ("_Var  some value", &["_Var  some value"]),
            ("# a \\\nalias b", &[]),
        ] {
            assert_eq!(values(text), expected, "{text:?}");
        }
    }

    #[test]
    fn places_are_of_line_and_value() {
        let (parsed, _) = read("\n  define   host {\n\thost_name\t x\n}\n");
        assert_eq!(parsed.blocks[0].place, Place { file: 0, line: 2, column: 3 });
        assert_eq!((parsed.directives[0].line, parsed.directives[0].column), (3, 13));
    }

    #[test]
    fn each_kind_of_broken_block_is_named_and_reading_goes_on() {
        for (text, code) in [
            ("define thing {\n x y\n}", "unknown-type"),
            ("define host {\n host_name x", "unclosed-definition"),
            ("define host {\n alias y\ndefine host {\n host_name x\n}", "unclosed-definition"),
            ("define host\n{\n host_name x\n}", "missing-brace"),
            ("define host { host_name x }", "one-line-definition"),
            ("define host {\n hots_name x\n}", "unknown-directive"),
            ("}", "stray-brace"),
            ("define host {\n} x", "text-after-brace"),
            ("host_name x", "unexpected-line"),
            ("define host {\n contacts\n}", "empty-list"),
            ("define host {\n register maybe\n}", "bad-value"),
        ] {
            let (parsed, found) = read(&format!("{text}\ndefine host {{\n host_name last\n}}\n"));
            assert!(found.iter().any(|finding| finding.code == code), "{text}: {found:?}");
            assert!(found.errors() > 0);
            let last = parsed.directives.last().expect("the last host");
            assert_eq!(parsed.text(last.value), "last", "{text}");
        }
    }

    #[test]
    fn includes_stand_before_the_block_that_follows() {
        let (parsed, found) = read("include_file=a.cfg\ndefine host {\n}\ninclude_dir = b\n");
        let all: Vec<_> = parsed.includes.iter().map(|i| (i.before_block, i.is_dir, i.path.as_str())).collect();
        assert_eq!((all, found.errors()), (vec![(0, false, "a.cfg"), (1, true, "b")], 0));
    }
}
