//! Lists of names to indices: names, `*`, `!name`, regular expressions, groups.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::model::Id;
use super::values::items;
use crate::nagios::finding::{Findings, Place, quoted};

/// How the main configuration wants names to be read.
#[derive(Clone, Debug, Default)]
pub struct Naming {
    pub illegal_object_name_chars: String,
    pub use_regexp_matching: bool,
    pub use_true_regexp_matching: bool,
    /// Unless this is so, a service that no host is left for is an error.
    pub refuse_empty_hostgroups: bool,
    /// Circles of dependencies are odd, not wrong.
    pub allow_circular_dependencies: bool,
}

/// Texts that are kept once.
#[derive(Default)]
pub(super) struct Texts(HashSet<Arc<str>>);

impl Texts {
    pub fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(kept) = self.0.get(text) {
            return Arc::clone(kept);
        }
        let kept: Arc<str> = text.into();
        self.0.insert(Arc::clone(&kept));
        kept
    }
}

/// What all steps of the resolution share.
pub(super) struct Context<'c> {
    pub naming: &'c Naming,
    pub found: Findings,
    pub texts: Texts,
    patterns: HashMap<String, Option<Regex>>,
    expansions_left: usize,
}

/// Members of groups, services and rules that all lists together may expand to. Ten times a very large configuration;
/// a few lines of text can ask for billions.
const EXPANSIONS_MAX: usize = 50_000_000;

impl<'c> Context<'c> {
    pub fn new(naming: &'c Naming, found: Findings) -> Self {
        Context { naming, found, texts: Texts::default(), patterns: HashMap::new(), expansions_left: EXPANSIONS_MAX }
    }

    /// Takes part of what may be expanded. Says no, with a finding, when it is used up.
    pub fn may_expand(&mut self, count: usize, place: Place) -> bool {
        match self.expansions_left.checked_sub(count) {
            Some(left) => {
                self.expansions_left = left;
                true
            }
            None => {
                let message = "the lists of the configuration expand to too many objects here";
                let help = format!("all lists together may name {EXPANSIONS_MAX} members");
                self.found.error("too-many-objects", place, message, help);
                false
            }
        }
    }

    /// The pattern that an item of a list is, if patterns are asked for and it is one.
    pub fn pattern_of(&mut self, item: &str, place: Place) -> Option<Option<Regex>> {
        let is_pattern =
            self.naming.use_true_regexp_matching || ["*", "?", "+", "\\."].iter().any(|part| item.contains(part));
        if !self.naming.use_regexp_matching || !is_pattern {
            return None;
        }
        if let Some(known) = self.patterns.get(item) {
            return Some(known.clone());
        }
        /// A pattern of a name is short; this keeps `(((a{99}){99}){99}` from filling the memory.
        const PATTERN_BYTES_MAX: usize = 1 << 20;
        let compiled = RegexBuilder::new(&extended(item)).size_limit(PATTERN_BYTES_MAX).build();
        let compiled = match compiled {
            Ok(pattern) => Some(pattern),
            Err(_) => {
                let message = format!("{} is no regular expression", quoted(item));
                self.found.error("bad-pattern", place, message, "expected a POSIX extended regular expression");
                None
            }
        };
        self.patterns.insert(item.to_owned(), compiled.clone());
        Some(compiled)
    }
}

/// A POSIX extended expression in our library's syntax: in brackets, `\`, `[`, `&` and `~` mean themselves.
fn extended(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        match c {
            '\\' => out.extend(chars.next()),
            '[' => {
                out.extend(chars.next_if_eq(&'^'));
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
                while let Some(inner) = chars.next() {
                    match inner {
                        ']' => {
                            out.push(']');
                            break;
                        }
                        '[' if chars.peek() == Some(&':') => {
                            out.push('[');
                            for class in chars.by_ref() {
                                out.push(class);
                                if class == ']' {
                                    break;
                                }
                            }
                        }
                        '\\' | '[' | '&' | '~' => out.extend(['\\', inner]),
                        other => out.push(other),
                    }
                }
            }
            _ => {}
        }
    }
    out
}

/// The names of one type of object, sorted, and what they are called.
#[derive(Default)]
pub(super) struct Names {
    what: &'static str,
    code: &'static str,
    list: Vec<Arc<str>>,
    by_name: HashMap<Arc<str>, Id>,
}

impl Names {
    /// `code` is that of the finding about a name that is not there. The names are sorted and differ.
    pub fn new(what: &'static str, code: &'static str, list: Vec<Arc<str>>) -> Self {
        let by_name = list.iter().zip(0..).map(|(name, id)| (Arc::clone(name), id)).collect();
        Names { what, code, list, by_name }
    }

    pub fn find(&self, name: &str) -> Option<Id> {
        self.by_name.get(name).copied()
    }

    pub fn name(&self, id: Id) -> &str {
        self.list.get(id as usize).map_or("", |name| name)
    }

    /// The object of that name; an unknown one is an error.
    pub fn one(&self, name: &str, place: Place, found: &mut Findings) -> Option<Id> {
        let id = self.find(name);
        if id.is_none() {
            self.unknown(name, place, found);
        }
        id
    }

    pub fn unknown(&self, name: &str, place: Place, found: &mut Findings) {
        let help = found.suggest(name, self.list.iter().map(AsRef::as_ref));
        found.error(self.code, place, format!("there is no {} {}", self.what, quoted(name)), help);
    }

    /// What one item without `!` names.
    fn matching(&self, item: &str, place: Place, cx: &mut Context<'_>) -> Vec<Id> {
        if item == "*" {
            return (0..self.list.len() as Id).collect();
        }
        match cx.pattern_of(item, place) {
            None => self.one(item, place, &mut cx.found).into_iter().collect(),
            Some(None) => Vec::new(),
            Some(Some(pattern)) => {
                let all = self.list.iter().zip(0..).filter(|(name, _)| pattern.is_match(name));
                let ids: Vec<Id> = all.map(|(_, id)| id).collect();
                if ids.is_empty() {
                    let message = format!("no {} matches {}", self.what, quoted(item));
                    cx.found.error(self.code, place, message, "");
                }
                ids
            }
        }
    }

    /// What a list names, and what it takes away.
    pub fn expand(&self, list: &str, place: Place, cx: &mut Context<'_>) -> Expanded {
        let mut all = Expanded::default();
        for item in items(list) {
            let (item, takes_away) = match item.strip_prefix('!') {
                Some(rest) => (rest.trim_start(), true),
                None => (item, false),
            };
            let ids = self.matching(item, place, cx);
            if !cx.may_expand(ids.len(), place) {
                break;
            }
            if takes_away { all.removed.extend(ids) } else { all.added.extend(ids) }
        }
        all
    }

    /// The same, with what is taken away taken away.
    pub fn list(&self, list: &str, place: Place, cx: &mut Context<'_>) -> Vec<Id> {
        self.expand(list, place, cx).result()
    }
}

#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub added: Vec<Id>,
    pub removed: Vec<Id>,
}

impl Expanded {
    /// Sorted, each once.
    pub fn result(self) -> Vec<Id> {
        without(self.added, self.removed)
    }
}

/// Sorted, each once, without those taken away.
pub(super) fn without(mut added: Vec<Id>, removed: Vec<Id>) -> Vec<Id> {
    added.sort_unstable();
    added.dedup();
    if !removed.is_empty() {
        let removed: HashSet<Id> = removed.into_iter().collect();
        added.retain(|id| !removed.contains(id));
    }
    added
}

/// Whether a name holds a character that the main configuration forbids.
pub(super) fn check_name(what: &str, name: &str, place: Place, cx: &mut Context<'_>) {
    if let Some(bad) = name.chars().find(|c| cx.naming.illegal_object_name_chars.contains(*c)) {
        let message = format!("the name {} of a {what} holds the character {}", quoted(name), quoted(&bad.to_string()));
        cx.found.error("illegal-name", place, message, "illegal_object_name_chars forbids it; choose another name");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(list: &str, naming: &Naming) -> (Vec<String>, usize) {
        let names = ["a1", "a2", "b.c", "bxc"].map(Arc::from).to_vec();
        let names = Names::new("host", "unknown-host", names);
        let mut cx = Context::new(naming, Findings::default());
        let ids = names.list(list, Place::default(), &mut cx);
        (ids.into_iter().map(|id| names.name(id).to_owned()).collect(), cx.found.errors())
    }

    #[test]
    fn lists_expand_as_specified() {
        let plain = Naming::default();
        let regexp = Naming { use_regexp_matching: true, ..Naming::default() };
        let always = Naming { use_regexp_matching: true, use_true_regexp_matching: true, ..Naming::default() };
        for (list, naming, expected, errors) in [
            ("a1 , b.c", &plain, &["a1", "b.c"][..], 0),
            ("!a1,*", &plain, &["a2", "b.c", "bxc"], 0),
            ("a1,a1,", &plain, &["a1"], 0),
            ("a.*", &plain, &[], 1),
            ("a.*", &regexp, &["a1", "a2"], 0),
            ("b.c", &regexp, &["b.c"], 0),
            ("b\\.c", &regexp, &["b.c"], 0),
            ("*,!a.+", &regexp, &["b.c", "bxc"], 0),
            ("b.c", &always, &["b.c", "bxc"], 0),
            ("^[[:alpha:]][0-9]$", &always, &["a1", "a2"], 0),
            ("[]]x*|[a[]2", &regexp, &["a2"], 0),
            ("z+", &regexp, &[], 1),
            ("(*", &regexp, &[], 1),
        ] {
            assert_eq!(listed(list, naming), (expected.iter().map(ToString::to_string).collect(), errors), "{list}");
        }
    }
}
