//! Where Stentor writes other lines than the Nagios of the distribution: rules from a file, each with its reason.

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;
use serde::Deserialize;

use super::generator::{Case, Role};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    reason: String,
    /// Regular expressions of whole lines that only one of the two wrote in a step. Groups of the same name match the
    /// same text in all of them.
    #[serde(default)]
    nagios: Vec<String>,
    #[serde(default)]
    stentor: Vec<String>,
    /// Or: any number of lines of both sides, all about the same object.
    either: Option<String>,
    /// What must be so besides.
    when: Option<When>,
    /// What was told differently decides what is told later: the case is not compared any further.
    #[serde(default)]
    ends_case: bool,
}

#[derive(Copy, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    /// The object has escalations.
    Escalations,
    /// The host has a parent that is not UP.
    ParentNotUp,
    /// Its problem was told and is over, and that has not been told.
    RecoveryOwed,
    /// The contact's options lack the state that the line names.
    ContactLacksState,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "difference")]
    rules: Vec<Rule>,
}

pub struct Known(File);

/// Where a difference was met.
pub struct Place<'a> {
    pub case: &'a Case,
    pub parent_is_up: bool,
    pub owed: &'a Owed,
}

/// Objects whose problem was told; true where it is over.
#[derive(Clone, Default)]
pub struct Owed(BTreeMap<String, bool>);

impl Owed {
    /// Follows the log of Stentor.
    pub fn hear(&mut self, line: &str) {
        let Some((kind, fields)) = line.split_once(": ") else { return };
        let mut fields: Vec<&str> = fields.split(';').collect();
        let is_notice = kind.ends_with("NOTIFICATION");
        if is_notice {
            fields.remove(0);
        }
        let names = if kind.starts_with("SERVICE") { 2 } else { 1 };
        let (name, state) = (fields[..names].join(";"), fields[names]);
        let is_well = matches!(state, "OK" | "UP");
        match (is_notice, is_well) {
            (true, true) => drop(self.0.remove(&name)),
            (true, false) if !state.contains(' ') => drop(self.0.insert(name, false)),
            (false, true) => {
                if let Some(is_over) = self.0.get_mut(&name) {
                    *is_over = true;
                }
            }
            (true, false) | (false, false) => {}
        }
    }
}

/// What is left of a difference when all rules had their turn.
pub struct Explained {
    pub nagios: Vec<String>,
    pub stentor: Vec<String>,
    /// Names of the rules that matched.
    pub met: Vec<String>,
    pub ends_case: bool,
}

type Groups = BTreeMap<String, String>;

impl Known {
    pub fn read() -> Known {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nagios-4.4.6-differences.toml");
        let file: File = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for rule in &file.rules {
            assert!(rule.reason.len() > 20, "the rule `{}` needs a reason", rule.name);
        }
        Known(file)
    }

    pub fn explain(&self, place: &Place<'_>, nagios: Vec<String>, stentor: Vec<String>) -> Explained {
        let mut left = Explained { nagios, stentor, met: Vec::new(), ends_case: false };
        for rule in &self.0.rules {
            while !(left.nagios.is_empty() && left.stentor.is_empty()) && rule.take(place, &mut left) {
                left.met.push(rule.name.clone());
                left.ends_case |= rule.ends_case;
            }
        }
        left
    }
}

impl Rule {
    /// Takes the lines that it explains away; false if it explains none.
    fn take(&self, place: &Place<'_>, left: &mut Explained) -> bool {
        if let Some(either) = &self.either {
            return self.take_either(place, either, left);
        }
        let (mut nagios, mut stentor, mut groups) = (left.nagios.clone(), left.stentor.clone(), Groups::new());
        let taken = self.nagios.iter().all(|pattern| take_one(pattern, &mut nagios, &mut groups))
            && self.stentor.iter().all(|pattern| take_one(pattern, &mut stentor, &mut groups));
        if taken && self.holds(place, &groups) {
            (left.nagios, left.stentor) = (nagios, stentor);
            return true;
        }
        false
    }

    fn take_either(&self, place: &Place<'_>, pattern: &str, left: &mut Explained) -> bool {
        let pattern = whole(pattern);
        let mut any = false;
        for lines in [&mut left.nagios, &mut left.stentor] {
            lines.retain(|line| {
                let explained = groups_of(&pattern, line).is_some_and(|groups| self.holds(place, &groups));
                any |= explained;
                !explained
            });
        }
        any
    }

    fn holds(&self, place: &Place<'_>, groups: &Groups) -> bool {
        let Some(when) = self.when else { return true };
        let case = place.case;
        let named = |(index, _): &(usize, _)| {
            groups.get("h") == Some(&case.host_name(*index)) && groups.get("s") == case.service_name(*index).as_ref()
        };
        let Some((_, object)) = case.objects.iter().enumerate().find(named) else { return false };
        match when {
            When::Escalations => !object.escalations.is_empty(),
            When::RecoveryOwed => {
                let names: Vec<&str> =
                    ["h", "s"].iter().filter_map(|name| groups.get(*name)).map(String::as_str).collect();
                place.owed.0.get(&names.join(";")) == Some(&true)
            }
            When::ParentNotUp => !place.parent_is_up && object.role != Role::Parent,
            When::ContactLacksState => {
                let letter = match groups.get("state").map(String::as_str) {
                    Some("WARNING") => "w",
                    Some("CRITICAL") => "c",
                    Some("DOWN") => "d",
                    _ => "u",
                };
                !object.contact_options.split(',').any(|option| option == letter)
            }
        }
    }
}

fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn groups_of(pattern: &Regex, line: &str) -> Option<Groups> {
    let found = pattern.captures(line)?;
    let text = |name: &str| Some((name.to_owned(), found.name(name)?.as_str().to_owned()));
    Some(pattern.capture_names().flatten().filter_map(text).collect())
}

/// The first line that fits, with what was bound before.
fn take_one(pattern: &str, lines: &mut Vec<String>, bound: &mut Groups) -> bool {
    let pattern = whole(pattern);
    let fits = |line: &String| {
        let groups = groups_of(&pattern, line)?;
        groups.iter().all(|(name, text)| bound.get(name).is_none_or(|bound| bound == text)).then_some(groups)
    };
    let Some((place, groups)) = lines.iter().enumerate().find_map(|(place, line)| Some((place, fits(line)?))) else {
        return false;
    };
    lines.remove(place);
    bound.extend(groups);
    true
}
