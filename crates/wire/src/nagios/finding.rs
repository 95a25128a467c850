//! What is wrong with a Nagios configuration: every finding with its place and what to do. Never stops at the first.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};

use serde::Serialize;

use crate::nearest::nearest;

/// Where something stands: index of the file in the order of reading, line and column from 1.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Place {
    pub file: u32,
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    pub severity: Severity,
    /// Stable word for programs: `unknown-directive`, `unknown-host`.
    pub code: &'static str,
    pub place: Place,
    pub message: String,
    /// What was expected, or the name that was meant; empty if the message says it all.
    pub help: String,
}

/// A configuration with more findings than this is not a configuration; what comes after is only counted.
const FINDINGS_MAX: usize = 1_000_000;
/// A guess at a name compares it with all known names, so only the first wrong ones get one.
const GUESSES_MAX: u32 = 200;
/// Names that are listed where nothing is near.
const NAMES_SHOWN_MAX: usize = 12;
/// Characters of a wrong text that are shown.
const QUOTED_CHARS_MAX: usize = 80;

/// All findings of one reading.
#[derive(Clone, Debug)]
pub struct Findings {
    list: Vec<Finding>,
    seen: HashSet<(Place, u64)>,
    errors: usize,
    warnings: usize,
    guesses_left: u32,
}

impl Default for Findings {
    fn default() -> Self {
        Findings { list: Vec::new(), seen: HashSet::new(), errors: 0, warnings: 0, guesses_left: GUESSES_MAX }
    }
}

impl Findings {
    pub fn error(&mut self, code: &'static str, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Finding { severity: Severity::Error, code, place, message: message.into(), help: help.into() });
    }

    pub fn warning(&mut self, code: &'static str, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Finding { severity: Severity::Warning, code, place, message: message.into(), help: help.into() });
    }

    /// A wrong line of a template is met by all who use it; it is one mistake all the same.
    fn push(&mut self, finding: Finding) {
        let mut hasher = DefaultHasher::new();
        (finding.code, finding.message.as_str()).hash(&mut hasher);
        if self.list.len() < FINDINGS_MAX && !self.seen.insert((finding.place, hasher.finish())) {
            return;
        }
        match finding.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.list.len() < FINDINGS_MAX {
            self.list.push(finding);
        }
    }

    /// `did you mean ...?`, or the known names if they are few.
    pub fn suggest<'a>(&mut self, wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
        let Some(left) = self.guesses_left.checked_sub(1) else { return String::new() };
        self.guesses_left = left;
        let known: Vec<&str> = known.into_iter().collect();
        if let Some(near) = nearest(wrong, known.iter().copied()) {
            return format!("did you mean {}?", quoted(near));
        }
        match known.len() {
            0 => "none is defined".to_owned(),
            1..=NAMES_SHOWN_MAX => {
                let mut shown: Vec<String> = known.into_iter().map(quoted).collect();
                shown.sort();
                format!("known: {}", shown.join(", "))
            }
            _ => String::new(),
        }
    }

    pub fn errors(&self) -> usize {
        self.errors
    }

    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// In the order of files and lines.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|finding| finding.place);
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A text of the configuration in a message: short, and without control characters.
pub fn quoted(text: &str) -> String {
    let mut shown = String::from("`");
    let mut chars = text.chars();
    for c in chars.by_ref().take(QUOTED_CHARS_MAX) {
        if c.is_control() {
            // Writing to a text cannot fail.
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if chars.next().is_some() {
        shown.push('…');
    }
    shown.push('`');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mistake_met_twice_is_one_finding() {
        let mut found = Findings::default();
        for _ in 0..3 {
            found.error("a", Place::default(), "x", "");
        }
        found.warning("a", Place { line: 2, ..Place::default() }, "x", "");
        assert_eq!((found.errors(), found.warnings(), found.iter().count()), (1, 1, 2));
    }

    #[test]
    fn texts_are_shown_short_and_printable() {
        assert_eq!(quoted("a\u{1b}[2J"), "`a\\u{1b}[2J`");
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), QUOTED_CHARS_MAX + 3);
    }

    #[test]
    fn guesses_end() {
        let mut found = Findings::default();
        let help: Vec<String> = (0..300).map(|_| found.suggest("hsot", ["host"])).collect();
        assert_eq!(help[0], "did you mean `host`?");
        assert_eq!(help[299], "");
    }
}
