//! Definitions and what they inherit: `use`, `+`, `null`, important commands, custom variables.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::graph::{Graph, shown};
use super::kinds::{Form, Kind, Row, Slot};
use super::lexer::{Block, Directive, Key, Parsed};
use super::model::Settings;
use super::values::{check, items};
use crate::nagios::finding::{Findings, Place, quoted};

/// Templates on the longest way from an object to its oldest ancestor. Keeps what `+` adds up within reason.
const LEVELS_MAX: usize = 64;

/// The value of one directive.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    pub text: Cow<'a, str>,
    pub place: Place,
    /// `null`: set, and empty.
    pub is_null: bool,
    /// `+`: added to what is inherited.
    pub adds: bool,
    /// `!command` of a template: wins over the object's own.
    pub is_important: bool,
}

#[derive(Clone, Debug)]
pub(super) struct RawVariable<'a> {
    /// As written, without the `_`.
    pub name: &'a str,
    /// Unset for `null`.
    pub value: Option<&'a str>,
    pub place: Place,
}

/// One line of days of a timeperiod: its text and how much of it says which days.
#[derive(Clone, Copy, Debug)]
pub(super) struct DateLine<'a> {
    pub text: &'a str,
    pub days: &'a str,
    pub place: Place,
}

/// All directives that a definition has, its own or inherited.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots<'a> {
    /// Sorted by slot.
    values: Vec<(Slot, Value<'a>)>,
    pub variables: Vec<RawVariable<'a>>,
    pub dates: Vec<DateLine<'a>>,
}

impl<'a> Slots<'a> {
    pub fn get(&self, slot: Slot) -> Option<&Value<'a>> {
        let index = self.values.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        self.values.get(index).map(|(_, value)| value)
    }

    /// The text, unless unset or `null`.
    pub fn text(&self, slot: Slot) -> Option<&str> {
        self.get(slot).filter(|value| !value.is_null).map(|value| value.text.as_ref())
    }

    pub fn place(&self, slot: Slot) -> Option<Place> {
        self.get(slot).map(|value| value.place)
    }

    pub fn slots(&self) -> impl Iterator<Item = (Slot, &Value<'a>)> {
        self.values.iter().map(|(slot, value)| (*slot, value))
    }

    fn set(&mut self, slot: Slot, form: Form, mut value: Value<'a>) {
        match self.values.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(index) => {
                let old = &mut self.values[index].1;
                if form == Form::Members && !old.is_null && !value.is_null {
                    value.text = format!("{},{}", old.text, value.text).into();
                    value.adds |= old.adds;
                    value.place = old.place;
                }
                *old = value;
            }
            Err(index) => self.values.insert(index, (slot, value)),
        }
    }

    /// What is not set here is taken from the template.
    pub fn inherit(&mut self, template: &Slots<'a>) {
        let mut merged = Vec::with_capacity(self.values.len() + template.values.len());
        let mut own = std::mem::take(&mut self.values).into_iter().peekable();
        for (slot, theirs) in &template.values {
            while let Some(before) = own.next_if(|(other, _)| other < slot) {
                merged.push(before);
            }
            match own.next_if(|(other, _)| other == slot) {
                None => merged.push((*slot, theirs.clone())),
                Some((_, ours)) => merged.push((*slot, ours.over(theirs))),
            }
        }
        merged.extend(own);
        self.values = merged;
        self.inherit_variables(&template.variables);
        self.inherit_dates(&template.dates);
    }

    fn inherit_variables(&mut self, theirs: &[RawVariable<'a>]) {
        /// Above it a set is cheaper than looking through the own ones.
        const FEW: usize = 8;
        if self.variables.is_empty() {
            self.variables = theirs.to_vec();
        } else if self.variables.len() <= FEW {
            let own = self.variables.len();
            for variable in theirs {
                if self.variables[..own].iter().all(|other| !other.name.eq_ignore_ascii_case(variable.name)) {
                    self.variables.push(variable.clone());
                }
            }
        } else {
            let own: HashSet<String> =
                self.variables.iter().map(|variable| variable.name.to_ascii_uppercase()).collect();
            let missing = theirs.iter().filter(|variable| !own.contains(&variable.name.to_ascii_uppercase()));
            self.variables.extend(missing.cloned());
        }
    }

    fn inherit_dates(&mut self, theirs: &[DateLine<'a>]) {
        let normal = |line: &DateLine<'a>| line.days.split_ascii_whitespace().collect::<Vec<_>>();
        let own: HashSet<Vec<&str>> = self.dates.iter().map(normal).collect();
        self.dates.extend(theirs.iter().filter(|line| !own.contains(&normal(line))));
    }
}

impl<'a> Value<'a> {
    /// With what a template gives for the same directive.
    pub fn over(self, theirs: &Value<'a>) -> Value<'a> {
        if theirs.is_important && !self.is_important {
            return theirs.clone();
        }
        if !self.adds {
            return self;
        }
        if theirs.is_null {
            return Value { adds: false, ..self };
        }
        let text = format!("{},{}", theirs.text, self.text).into();
        Value { text, adds: theirs.adds, ..self }
    }
}

/// One `define`, with the file it stands in.
pub(super) struct Definition<'a> {
    pub kind: Kind,
    pub place: Place,
    pub name: Option<(&'a str, Place)>,
    pub uses: Option<(&'a str, Place)>,
    pub register: bool,
    file: &'a Parsed,
    directives: &'a [Directive],
}

impl<'a> Definition<'a> {
    pub fn new(file: &'a Parsed, block: &Block) -> Self {
        let of_file = |part: Option<(super::lexer::Stretch, Place)>| part.map(|(text, place)| (file.text(text), place));
        Definition {
            kind: block.kind,
            place: block.place,
            name: of_file(block.name),
            uses: of_file(block.uses),
            register: block.register,
            file,
            directives: file.directives(block),
        }
    }

    fn row(&self, directive: &Directive) -> Option<&'static Row> {
        match directive.key {
            Key::Row(row) => self.kind.rows().get(row as usize),
            Key::Variable | Key::Dates => None,
        }
    }

    fn value(&self, row: &Row, directive: &Directive) -> Value<'a> {
        value(self.kind, row.1, row.2, self.file.text(directive.value), self.value_place(directive))
    }

    /// Whether it says anything of its own that objects of one template share otherwise.
    pub fn has_own_settings(&self) -> bool {
        self.directives.iter().any(|directive| self.row(directive).is_none_or(|row| row.1 >= Slot::CheckCommand))
    }

    pub fn own_settings(&self) -> impl Iterator<Item = (Slot, Value<'a>)> {
        let of_row = |directive| self.row(directive).map(|row| (row.1, self.value(row, directive)));
        self.directives.iter().filter_map(of_row).filter(|(slot, _)| *slot >= Slot::CheckCommand)
    }

    /// Its custom variables with those it inherits, if it has any itself.
    pub fn own_variables(&self, base: &Slots<'a>) -> Option<Vec<RawVariable<'a>>> {
        if self.directives.iter().all(|directive| directive.key != Key::Variable) {
            return None;
        }
        let mut slots = self.slots();
        slots.inherit_variables(&base.variables);
        Some(slots.variables)
    }

    /// The value of a directive of its own. The last line of it counts.
    pub fn own(&self, slot: Slot) -> Option<Value<'a>> {
        self.directives.iter().rev().find_map(|directive| {
            let row = self.row(directive).filter(|row| row.1 == slot)?;
            Some(self.value(row, directive))
        })
    }

    fn value_place(&self, directive: &Directive) -> Place {
        Place { file: self.place.file, line: directive.line, column: directive.column }
    }

    /// Its own directives, without what it inherits.
    fn slots(&self) -> Slots<'a> {
        let mut slots = Slots::default();
        for directive in self.directives {
            let (text, place) = (self.file.text(directive.value), self.value_place(directive));
            match directive.key {
                Key::Row(row) => {
                    let Some(row) = self.kind.rows().get(row as usize) else { continue };
                    slots.set(row.1, row.2, value(self.kind, row.1, row.2, text, place));
                }
                Key::Variable => {
                    let variable = variable(text, place);
                    slots.variables.retain(|other| !other.name.eq_ignore_ascii_case(variable.name));
                    slots.variables.push(variable);
                }
                Key::Dates => slots.dates.push(date_line(text, place)),
            }
        }
        slots
    }

    /// Reports what is wrong with its own lines, used or not.
    pub fn check(&self, found: &mut Findings) {
        for directive in self.directives {
            let (text, place) = (self.file.text(directive.value), self.value_place(directive));
            match directive.key {
                Key::Row(row) => {
                    let Some(row) = self.kind.rows().get(row as usize) else { continue };
                    let name = row.0.first().copied().unwrap_or_default();
                    match check(row.2, text) {
                        Ok(None) => {}
                        Ok(Some(oddity)) => {
                            let message = format!("`{name}` is {}, which {oddity}", quoted(text));
                            found.warning("odd-value", place, message, "");
                        }
                        Err(expected) => {
                            let message = format!("`{name}` is {}", quoted(text));
                            found.error("bad-value", place, message, format!("expected {expected}"));
                        }
                    }
                    if row.1 == Slot::Obsolete {
                        let message = format!("`{name}` is obsolete and ignored");
                        found.warning("obsolete-directive", place, message, "remove the line");
                    }
                }
                Key::Variable => {
                    if variable(text, place).name.is_empty() {
                        found.error("bad-variable", place, "a custom variable without a name", "write _NAME value");
                    }
                }
                Key::Dates => {
                    if let Err(expected) = super::dates::check(text) {
                        let message = format!("{} is no line of a timeperiod", quoted(text));
                        found.error("bad-timeperiod-line", place, message, expected);
                    }
                }
            }
        }
    }
}

fn value<'a>(kind: Kind, slot: Slot, form: Form, text: &'a str, place: Place) -> Value<'a> {
    let is_list = matches!(form, Form::List | Form::Members);
    let is_important = kind == Kind::Service && slot == Slot::CheckCommand && text.starts_with('!');
    let rest = if is_list { text.strip_prefix('+') } else { None };
    let plain = rest.unwrap_or(if is_important { text.get(1..).unwrap_or_default() } else { text });
    Value { text: Cow::Borrowed(plain), place, is_null: text == "null", adds: rest.is_some(), is_important }
}

fn variable(text: &str, place: Place) -> RawVariable<'_> {
    let text = text.strip_prefix('_').unwrap_or(text);
    let (name, value) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let value = value.trim();
    RawVariable { name, value: (value != "null").then_some(value), place }
}

fn date_line(text: &str, place: Place) -> DateLine<'_> {
    let days = super::dates::days_of(text);
    DateLine { text, days, place }
}

/// What all users of one `use` line have in common.
pub(super) struct Base<'a> {
    pub slots: Slots<'a>,
    /// The settings of a definition that adds nothing to them.
    pub settings: OnceCell<Arc<Settings>>,
}

/// The definitions of one type, and its templates resolved.
pub(super) struct Templates<'a> {
    pub definitions: Vec<Definition<'a>>,
    /// The definitions that have names.
    named: Vec<u32>,
    /// Index into `named` and `resolved`.
    by_name: HashMap<&'a str, u32>,
    resolved: Vec<Option<Rc<Slots<'a>>>>,
    bases: HashMap<&'a str, Rc<Base<'a>>>,
}

impl<'a> Templates<'a> {
    /// Resolves the templates among the definitions and reports what is wrong with any of them.
    pub fn new(definitions: Vec<Definition<'a>>, found: &mut Findings) -> Self {
        let mut by_name: HashMap<&str, u32> = HashMap::new();
        let mut named: Vec<u32> = Vec::new();
        for (index, definition) in (0..).zip(&definitions) {
            definition.check(found);
            let Some((name, place)) = definition.name else { continue };
            match by_name.get(name).and_then(|first| definitions.get(*named.get(*first as usize)? as usize)) {
                Some(first) => {
                    let message = format!("a second {} template {}", definition.kind.word(), quoted(name));
                    let other_file = if first.place.file == place.file { "" } else { " of another file" };
                    let help = format!("the first is on line {}{other_file}; remove one", first.place.line);
                    found.error("duplicate-template", place, message, help);
                }
                None => {
                    by_name.insert(name, named.len() as u32);
                    named.push(index);
                }
            }
        }
        let resolved = vec![None; named.len()];
        let mut templates = Templates { definitions, named, by_name, resolved, bases: HashMap::new() };
        templates.check_uses(found);
        templates.resolve_all(found);
        templates
    }

    /// The templates that a `use` names, in `named`.
    fn used<'s>(&'s self, uses: &'s str) -> impl Iterator<Item = (&'s str, Option<u32>)> {
        items(uses).map(|name| (name, self.by_name.get(name).copied()))
    }

    /// Reports templates that are not there.
    fn check_uses(&self, found: &mut Findings) {
        let mut good: HashSet<&str> = HashSet::new();
        for definition in &self.definitions {
            let Some((uses, place)) = definition.uses.filter(|(uses, _)| !good.contains(uses)) else { continue };
            let unknown: Vec<&str> =
                self.used(uses).filter(|(_, template)| template.is_none()).map(|(name, _)| name).collect();
            if unknown.is_empty() {
                good.insert(uses);
            }
            for name in unknown {
                let message = format!("there is no {} template {}", definition.kind.word(), quoted(name));
                let help = found.suggest(name, self.by_name.keys().copied());
                found.error("unknown-template", place, message, help);
            }
        }
    }

    fn template(&self, node: u32) -> Option<&Definition<'a>> {
        self.definitions.get(*self.named.get(node as usize)? as usize)
    }

    fn resolve_all(&mut self, found: &mut Findings) {
        let mut edges = Vec::new();
        for node in 0..self.named.len() as u32 {
            let uses = self.template(node).and_then(|template| template.uses);
            let used = uses.iter().flat_map(|(uses, _)| self.used(uses)).filter_map(|(_, template)| template);
            edges.extend(used.map(|template| (node, template)));
        }
        let graph = Graph::new(self.named.len(), &edges);
        let mut levels = vec![0usize; self.named.len()];
        for group in graph.components() {
            let circle = graph.circle(&group);
            if let Some(first) = circle.first().and_then(|first| self.template(*first)) {
                let name =
                    |node: u32| self.template(node).and_then(|template| template.name).map_or("", |(name, _)| name);
                let place = first.uses.map_or(first.place, |(_, place)| place);
                let message = format!("templates use each other in a circle: {}", shown(&circle, name));
                found.error("circular-template", place, message, "remove one of the `use` lines");
            }
            for node in group {
                let above = graph.needs(node).iter().filter_map(|needed| levels.get(*needed as usize)).max();
                let level = above.map_or(0, |above| above + 1);
                levels[node as usize] = level;
                let Some(template) = self.template(node) else { continue };
                if level == LEVELS_MAX {
                    let message = format!("templates are nested deeper than {LEVELS_MAX} levels");
                    found.error("deep-template", template.place, message, "use fewer levels");
                }
                if level < LEVELS_MAX {
                    let slots = self.full(template);
                    self.resolved[node as usize] = Some(Rc::new(slots));
                }
            }
        }
    }

    fn inherit(&self, slots: &mut Slots<'a>, uses: &str) {
        for (_, template) in self.used(uses) {
            // Unset only within a circle, or beyond the deepest level.
            if let Some(Some(resolved)) = template.and_then(|node| self.resolved.get(node as usize)) {
                slots.inherit(resolved);
            }
        }
    }

    fn full(&self, definition: &Definition<'a>) -> Slots<'a> {
        let mut slots = definition.slots();
        if let Some((uses, _)) = definition.uses {
            self.inherit(&mut slots, uses);
        }
        slots
    }

    /// All directives of a definition.
    pub fn slots(&self, index: usize) -> Slots<'a> {
        self.definitions.get(index).map(|definition| self.full(definition)).unwrap_or_default()
    }

    /// What a definition's templates give it, made once for each `use` line.
    pub fn base(&mut self, index: usize) -> Rc<Base<'a>> {
        let uses = self.definitions.get(index).and_then(|definition| definition.uses).map_or("", |(uses, _)| uses);
        if let Some(base) = self.bases.get(uses) {
            return Rc::clone(base);
        }
        let mut slots = Slots::default();
        self.inherit(&mut slots, uses);
        let base = Rc::new(Base { slots, settings: OnceCell::new() });
        self.bases.insert(uses, Rc::clone(&base));
        base
    }

    /// Those that are objects, not only templates.
    pub fn registered(&self) -> impl Iterator<Item = (usize, &Definition<'a>)> {
        self.definitions.iter().enumerate().filter(|(_, definition)| definition.register)
    }
}
