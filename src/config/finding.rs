//! What is wrong with a configuration or pack: every finding with its place, for people with a caret, for programs as JSON.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level as Mark, Renderer, Snippet};
use serde::Serialize;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub path: PathBuf,
    pub text: Arc<str>,
}

/// A stretch of text in one of the files that were read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// Index into [`Diagnostics::files`].
    pub file: usize,
    pub span: Range<usize>,
}

/// Whether Stentor would start.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Error,
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    pub level: Level,
    /// Stable word for programs: `unknown-key`, `unknown-host`, `bad-duration`.
    pub code: &'static str,
    pub place: Place,
    pub message: String,
    /// What to do about it; empty if the message says it all.
    pub help: String,
}

/// Everything that is wrong, and the texts to show it in.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    pub files: Vec<SourceFile>,
    pub findings: Vec<Finding>,
}

/// The JSON line of one finding.
#[derive(Serialize)]
struct FindingLine<'a> {
    level: Level,
    code: &'a str,
    file: String,
    line: usize,
    column: usize,
    message: &'a str,
    help: &'a str,
}

impl Diagnostics {
    pub fn error(&mut self, code: &'static str, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Level::Error, code, place, message.into(), help.into());
    }

    pub fn warning(&mut self, code: &'static str, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Level::Warning, code, place, message.into(), help.into());
    }

    fn push(&mut self, level: Level, code: &'static str, place: &Place, message: String, help: String) {
        let finding = Finding { level, code, place: place.clone(), message, help };
        // One mistake may be reached by two roads (a host in two clouds); it is still one mistake.
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Takes the findings of another reader with the files that it read.
    pub fn append(&mut self, other: Diagnostics) {
        let first = self.files.len();
        self.files.extend(other.files);
        self.findings.extend(other.findings.into_iter().map(|finding| {
            let place = Place { file: first + finding.place.file, span: finding.place.span };
            Finding { place, ..finding }
        }));
    }

    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.level == Level::Error).count()
    }

    pub fn warnings(&self) -> usize {
        self.findings.len() - self.errors()
    }

    /// In the order of files and lines.
    pub fn sort(&mut self) {
        self.findings.sort_by_key(|finding| (finding.place.file, finding.place.span.start));
    }

    fn path(&self, place: &Place) -> &Path {
        self.files.get(place.file).map_or(Path::new(""), |file| &file.path)
    }

    /// Line and column (in characters) of a place, both from 1.
    pub fn line_column(&self, place: &Place) -> (usize, usize) {
        let text = self.files.get(place.file).map_or("", |file| &file.text);
        let before = text.get(..place.span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before.get(line_start..).map_or(0, |line| line.chars().count()) + 1)
    }

    /// `file:line:column`
    pub fn location(&self, place: &Place) -> String {
        let (line, column) = self.line_column(place);
        format!("{}:{line}:{column}", self.path(place).display())
    }

    /// The first error with its place, and how many there are.
    pub fn summary(&self) -> String {
        let first = self.findings.iter().find(|finding| finding.level == Level::Error);
        let more = match self.errors() {
            0 | 1 => String::new(),
            errors => format!(" ({} more)", errors - 1),
        };
        first.map_or_else(String::new, |f| format!("{}: {}{more}", self.location(&f.place), f.message))
    }

    /// One JSON line per finding.
    pub fn json_lines(&self) -> Vec<String> {
        let line = |finding: &Finding| {
            let (line, column) = self.line_column(&finding.place);
            let line = FindingLine {
                level: finding.level,
                code: finding.code,
                file: self.path(&finding.place).display().to_string(),
                line,
                column,
                message: &finding.message,
                help: &finding.help,
            };
            serde_json::to_string(&line).expect("a struct of texts and numbers is JSON")
        };
        self.findings.iter().map(line).collect()
    }

    /// For a person: the source line with a caret, and what to do.
    pub fn render(&self, finding: &Finding) -> String {
        let mark = match finding.level {
            Level::Error => Mark::ERROR,
            Level::Warning => Mark::WARNING,
        };
        let title = mark.primary_title(finding.message.as_str()).id(finding.code);
        let path = self.path(&finding.place).display().to_string();
        let text = self.files.get(finding.place.file).map_or("", |file| &*file.text);
        let span = on_boundaries(text, &finding.place.span);
        let snippet = Snippet::source(text).path(path.as_str()).annotation(AnnotationKind::Primary.span(span));
        let mut group = title.element(snippet);
        if !finding.help.is_empty() {
            group = group.element(Mark::HELP.message(finding.help.as_str()));
        }
        Renderer::plain().render(&[group])
    }
}

/// A span that ends inside its first line and on character boundaries, whatever the parser said.
fn on_boundaries(text: &str, span: &Range<usize>) -> Range<usize> {
    let clamp = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (clamp(span.start), clamp(span.end.max(span.start)));
    let line_end = text.get(start..).and_then(|rest| rest.find('\n')).map_or(text.len(), |length| start + length);
    start..end.min(line_end).max(start)
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{}\n", self.render(finding))?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// `did you mean …?` if one of the names is near, else the names themselves if they are few.
pub fn suggest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(wrong, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    /// More names than this do not help anybody.
    const NAMES_SHOWN_MAX: usize = 24;
    match known.len() {
        0 => "there are none".to_owned(),
        1..=NAMES_SHOWN_MAX => format!("known: {}", known.join(", ")),
        _ => String::new(),
    }
}

pub use stentor_wire::nearest::nearest;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_only_if_it_is_near() {
        for (wrong, near) in [
            ("adress", Some("address")),
            ("adresss", Some("address")),
            ("parnets", Some("parents")),
            ("clx", Some("clc")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, ["address", "parents", "clc", "walrus"]), near, "{wrong}");
        }
    }

    #[test]
    fn names_too_long_to_be_mistyped_are_not_compared() {
        let long = "x".repeat(2 << 20);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        assert_eq!(nearest("x", [long.as_str()]), None);
    }

    #[test]
    fn a_finding_shows_its_line_with_a_caret() {
        let text = "[server]\nlisten = \"x\"\n# é\nlistne = 1\n";
        let mut all =
            Diagnostics { files: vec![SourceFile { path: "a.toml".into(), text: text.into() }], findings: Vec::new() };
        let start = text.find("listne").expect("there");
        all.error(
            "unknown-key",
            &Place { file: 0, span: start..start + 6 },
            "unknown key `listne`",
            "did you mean `listen`?",
        );
        let shown = all.render(&all.findings[0]);
        for part in ["error[unknown-key]: unknown key `listne`", "a.toml:4:1", "listne = 1", "^^^^^^", "did you mean"] {
            assert!(shown.contains(part), "{part} is missing in:\n{shown}");
        }
        let json: serde_json::Value = serde_json::from_str(&all.json_lines()[0]).expect("json");
        assert_eq!((json["line"].as_u64(), json["column"].as_u64()), (Some(4), Some(1)));
        assert_eq!(json["level"], "error");
    }

    #[test]
    fn any_span_can_be_shown() {
        let text = "é\nab";
        for start in 0..8 {
            for end in 0..8 {
                let span = on_boundaries(text, &(start..end));
                assert!(text.get(span.clone()).is_some(), "{start}..{end} -> {span:?}");
            }
        }
    }
}
