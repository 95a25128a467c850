//! Check packs: TOML folders to a platform's matrix and its check templates. Packs are built into the program; folders
//! named in `[packs] dirs` add files or replace those of the same name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stentor_core::Span;
use stentor_core::availability;
use stentor_core::catalog::{
    Cell, CellKey, Check, ComponentType, Platform, SignalSpec, SignalValue, platform::Founded,
};
use stentor_core::diagnosis::{FailureType, Knowledge};
use stentor_core::model::{ServiceState, Value};
use stentor_core::rules::{Expr, Rule, missing_params};

use super::example::Example;
use super::finding::{Diagnostics, Place};
use super::knowledge;
use super::probe_kinds;
use super::runbooks;
use super::traps::TrapRule;
use super::tree::{At, Kind, Node, Section, Table, parse, word};
use super::usual::{self, Usual};

/// Schema number of pack files that this program reads.
const SCHEMA: u64 = 1;

#[derive(rust_embed::RustEmbed)]
#[folder = "checks/"]
struct BuiltIn;

/// One platform with the checks that its pack brings.
#[derive(Clone, Debug)]
pub struct Pack {
    pub platform: Arc<Platform>,
    pub checks: Vec<Template>,
    /// What judges where nobody says otherwise.
    pub usual: Vec<Usual>,
    pub traps: Vec<TrapRule>,
    /// What the classifier goes by in clouds of this platform.
    pub knowledge: Knowledge,
    /// Where each cell, runbook and component stands, by its key.
    pub places: BTreeMap<String, Place>,
    pub at: Place,
}

/// A check that becomes a service on every host it fits.
#[derive(Clone, Debug)]
pub struct Template {
    /// As the engine will have it; times at pace 1. Its name is `platform/component/name` or `platform/name`.
    pub check: Check,
    /// `port`, `disk`.
    pub name: Arc<str>,
    /// The component it belongs to; `None` = a check of the host itself.
    pub component: Option<Arc<str>>,
    /// Says whether the host is up.
    pub host_check: bool,
    pub applies: Applies,
    /// Settings of the cloud that must have one of these values: `ebs = ["overlay", "das"]`. What the cloud leaves
    /// open fits.
    pub when: Vec<(String, Vec<String>)>,
    /// Only where the host has a BMC.
    pub needs_bmc: bool,
    pub inside: Inside,
    pub examples: Vec<Example>,
    pub at: Place,
}

/// Which hosts get a check of the host itself, if they meet its needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Applies {
    /// All.
    Always,
    /// Those that belong to a cloud.
    Cloud,
    /// Those whose `checks` table names it.
    Asked,
    /// Those of clouds with `api`, and those whose `checks` table names it. What `api` says goes before its own parameters.
    Api,
}

/// What a check needs of the host's `view`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inside {
    No,
    /// `view = "local"` or `"agent"`.
    Any,
    /// `view = "agent"` only.
    Agent,
}

/// Words of states in packs and configurations.
pub const STATES: &[(&str, ServiceState)] = &[
    ("OK", ServiceState::Ok),
    ("WARNING", ServiceState::Warning),
    ("CRITICAL", ServiceState::Critical),
    ("UNKNOWN", ServiceState::Unknown),
];

const TYPES: &[(&str, FailureType)] =
    &[("software", FailureType::Software), ("server", FailureType::Server), ("resource", FailureType::Resource)];

/// A file of a pack before it is read: its path below the root and its text.
type Files = BTreeMap<String, (PathBuf, Arc<str>)>;

/// Reads the built-in packs and, over them, those of `dirs`.
pub fn load(dirs: &[At<PathBuf>], found: &mut Diagnostics) -> Vec<Pack> {
    let mut files = built_in();
    for dir in dirs {
        overlay(dir, &mut files, found);
    }
    let mut folders: BTreeMap<String, Vec<(PathBuf, Arc<str>)>> = BTreeMap::new();
    for (name, file) in files {
        if let Some((folder, _)) = name.split_once('/') {
            folders.entry(folder.to_owned()).or_default().push(file);
        }
    }
    let packs: Vec<Pack> = folders.into_values().filter_map(|files| read_pack(files, found)).collect();
    usual::refuse_doubles(&packs, found);
    packs
}

fn built_in() -> Files {
    let mut files = Files::new();
    for name in BuiltIn::iter().filter(|name| name.ends_with(".toml")) {
        if let Some(file) = BuiltIn::get(&name) {
            let text = String::from_utf8_lossy(&file.data).into_owned();
            files.insert(name.to_string(), (PathBuf::from("checks").join(&*name), text.into()));
        }
    }
    files
}

/// Adds `dir/*/*.toml`, replacing files of the same name.
fn overlay(dir: &At<PathBuf>, files: &mut Files, found: &mut Diagnostics) {
    let listed = subfolders(&dir.value).and_then(|folders| {
        let mut paths = Vec::new();
        for folder in folders {
            paths.extend(super::files_matching(&folder, "*.toml")?);
        }
        Ok(paths)
    });
    let paths = match listed {
        Ok(paths) => paths,
        Err(cause) => {
            let message = format!("cannot read the pack folder `{}`: {cause}", dir.value.display());
            found.error("unreadable-folder", &dir.at, message, "");
            return;
        }
    };
    if paths.is_empty() {
        let help = "a pack is a folder of TOML files inside it: DIR/PLATFORM/*.toml";
        found.warning("empty-folder", &dir.at, format!("no packs in `{}`", dir.value.display()), help);
    }
    for path in paths {
        let name = path.strip_prefix(&dir.value).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                files.insert(name, (path, text.into()));
            }
            Err(cause) => {
                found.error("unreadable-file", &dir.at, format!("cannot read `{}`: {cause}", path.display()), "");
            }
        }
    }
}

fn subfolders(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Reads the files of one folder as one pack; `None` if it has no `[pack]`.
pub fn read_pack(files: Vec<(PathBuf, Arc<str>)>, found: &mut Diagnostics) -> Option<Pack> {
    let mut tables: Vec<(Place, Table)> = files
        .into_iter()
        .map(|(path, text)| {
            let place = Place { file: found.files.len(), span: 0..0 };
            (place, parse(path, text, found))
        })
        .collect();
    super::overlay::apply(&mut tables, found);
    let sections: Vec<Section<'_>> =
        tables.iter().map(|(at, table)| Section::open("pack file", at, table, found)).collect();
    let Head { key, version, core, order, mut knowledge, at } = read_head(&sections, found)?;
    let mut platform =
        Platform { key: key.clone(), version, core, components: Vec::new(), cells: Vec::new(), runbooks: Vec::new() };
    let mut places = BTreeMap::new();
    for section in &sections {
        for component in section.sections("component", "[[component]]", found) {
            if let Some(read) = read_component(&component, found) {
                places.insert(read.key.to_string(), component.at.clone());
                let beside = component.names("beside", found);
                if !beside.is_empty() {
                    knowledge.beside.insert(Arc::clone(&read.key), beside);
                }
                platform.components.push(read);
            }
        }
    }
    // Rows of the matrix as the pack wants them shown; what it does not name comes last, by file.
    let rank = |key: &Arc<str>| order.iter().position(|name| name == key).unwrap_or(order.len());
    platform.components.sort_by_key(|component| rank(&component.key));
    let mut checks = Vec::new();
    let mut usual = Vec::new();
    for section in &sections {
        for check in section.sections("check", "[[check]]", found) {
            let template = read_check(&check, &platform, found);
            if check.bool_or("usual", false, found) {
                usual.extend(template.iter().map(|template| Usual::of_check(&template.check, &template.at)));
            }
            checks.extend(template);
        }
        for table in section.sections("usual", "[[usual]]", found) {
            usual.extend(usual::read(&table, found));
        }
        for cell in section.sections("cell", "[[cell]]", found) {
            if let Some(read) = read_cell(&cell, &platform, found) {
                places.insert(read.key.to_string(), cell.at.clone());
                platform.cells.push(read);
            }
        }
        for runbook in section.sections("runbook", "[[runbook]]", found) {
            if let Some(read) = runbooks::read(&runbook, found) {
                places.insert(read.id.to_string(), runbook.at.clone());
                platform.runbooks.push(read);
            }
        }
    }
    check_references(&platform, &checks, &at, found);
    knowledge::complete(&mut knowledge, &platform, &at, found);
    let traps = super::traps::read_rules(&sections, found);
    Some(Pack { platform: Arc::new(platform), checks, usual, traps, knowledge, places, at })
}

/// What `[pack]` says.
struct Head {
    key: Arc<str>,
    version: Arc<str>,
    core: Option<availability::Expr>,
    /// Rows of the matrix.
    order: Vec<Arc<str>>,
    knowledge: Knowledge,
    at: Place,
}

fn read_head(sections: &[Section<'_>], found: &mut Diagnostics) -> Option<Head> {
    let mut heads: Vec<Section<'_>> = Vec::new();
    for section in sections {
        heads.extend(section.section("pack", "[pack]", found));
    }
    let Some(head) = heads.first() else {
        let place = sections.first().map(|section| section.at.clone()).unwrap_or_default();
        found.error("missing-pack", &place, "no file of this folder has a `[pack]` table", "");
        return None;
    };
    for other in heads.iter().skip(1) {
        let message = format!("a second `[pack]`; the first is at {}", found.location(&head.at));
        found.error("duplicate", &other.at, message, "one file of the folder carries it");
    }
    head.whole_or("schema", 0, SCHEMA..=SCHEMA, found);
    if !head.has("schema") {
        found.error("missing-key", &head.at, "`[pack]` needs the key `schema`", format!("write `schema = {SCHEMA}`"));
    }
    let key = head.needed("platform", found)?.value.into();
    let order = head.names("order", found);
    let core = read_availability(head, "core", found);
    let knowledge = knowledge::read(head, &order, found);
    let version = head.text_or("version", "0", found).into();
    Some(Head { key, version, core, order, knowledge, at: head.at.clone() })
}

fn read_component(section: &Section<'_>, found: &mut Diagnostics) -> Option<ComponentType> {
    let key = section.needed("key", found)?;
    let redundancy = section.section("redundancy", "redundancy", found);
    const REDUNDANCY: &[(&str, &str)] = &[
        ("active_active", "active_active"),
        ("active_passive", "active_passive"),
        ("single", "single"),
        ("many", "many"),
        ("each", "each"),
    ];
    let kind = redundancy.as_ref().and_then(|section| section.text("kind", found));
    let kind = kind.and_then(|text| word(&text, "kind", REDUNDANCY, found)).unwrap_or("single");
    let min = redundancy.map_or(1, |section| section.whole_or("min", 1, 0..=10_000, found));
    let ports = match section.node("ports").map(|node| &node.kind) {
        Some(Kind::List(items)) => items
            .iter()
            .filter_map(|item| match &item.kind {
                Kind::Integer(port) if (1..=65_535).contains(port) => u16::try_from(*port).ok(),
                _ => {
                    found.error("bad-port", &item.at, "a port is a number from 1 to 65535", "");
                    None
                }
            })
            .collect(),
        _ => Vec::new(),
    };
    Some(ComponentType {
        name: section.text_or("name", key.value, found).into(),
        key: key.value.into(),
        core: section.bool_or("core", false, found),
        units: section.names("units", found),
        processes: section.names("processes", found),
        ports,
        jvm: section.bool_or("jvm", false, found),
        redundancy_kind: kind.into(),
        redundancy_min: u32::try_from(min).unwrap_or(u32::MAX),
        depends_on: section.names("depends_on", found),
    })
}

fn read_check(section: &Section<'_>, platform: &Platform, found: &mut Diagnostics) -> Option<Template> {
    let name = section.needed("name", found)?;
    let component = section.text("component", found);
    let of_host = section.bool_or("host", false, found) || section.bool_or("host_check", false, found);
    if component.is_some() == of_host {
        found.error(
            "check-owner",
            &section.at,
            "a check belongs to a `component` or has `host = true`, one of both",
            "",
        );
    }
    let probe = section.text("probe", found).unwrap_or(At { value: "", at: section.at.clone() });
    let host_side = probe_kinds::host_side(&probe, found);
    let full = match &component {
        Some(component) => format!("{}/{}/{}", platform.key, component.value, name.value),
        None => format!("{}/{}", platform.key, name.value),
    };
    let every = section.span_or("every", Span::from_secs(60), found);
    let check = Check {
        name: full.into(),
        probe: probe.value.into(),
        params: section.map("params", found),
        every,
        retry: section.span_or("retry", every, found),
        timeout: section.span_or("timeout", Span::from_secs(10), found),
        attempts: read_attempts(section, 3, found),
        rules: read_rules(section, found),
        signals: read_signals(section, found),
        host_side,
        freshness: section.span_or("freshness", Span::ZERO, found),
    };
    const APPLIES: &[(&str, Applies)] =
        &[("always", Applies::Always), ("cloud", Applies::Cloud), ("asked", Applies::Asked), ("api", Applies::Api)];
    let applies = section.text("applies", found).and_then(|text| word(&text, "applies", APPLIES, found));
    const VIEWS: &[(&str, Inside)] = &[("any", Inside::Any), ("agent", Inside::Agent), ("none", Inside::No)];
    let view = section.text("view", found).and_then(|text| word(&text, "view", VIEWS, found));
    Some(Template {
        name: name.value.into(),
        component: component.map(|component| component.value.into()),
        host_check: section.bool_or("host_check", false, found),
        applies: applies.unwrap_or(Applies::Always),
        when: read_when(section, found),
        needs_bmc: section.bool_or("bmc", probe.value == "ipmi", found),
        inside: view.unwrap_or(if host_side { Inside::Any } else { Inside::No }),
        examples: super::example::read(section, &check.name, found),
        check,
        at: section.at.clone(),
    })
}

/// Keys of `[[cloud]]` that `when` may ask for.
pub const CLOUD_KEYS: [&str; 4] = ["ebs", "object", "network_mode", "release"];

fn read_when(section: &Section<'_>, found: &mut Diagnostics) -> Vec<(String, Vec<String>)> {
    let Some(node) = section.node("when") else { return Vec::new() };
    let mut when = Vec::new();
    for (key, values) in Section::entries(node, "when", found) {
        if !CLOUD_KEYS.contains(&key.value.as_str()) {
            let help = super::finding::suggest(&key.value, CLOUD_KEYS);
            found.error("unknown-key", &key.at, format!("unknown key `{}` in `when`", key.value), help);
        }
        let words = match values.to_value() {
            Value::List(items) => items.iter().map(ToString::to_string).collect(),
            single => vec![single.to_string()],
        };
        when.push((key.value.clone(), words));
    }
    when
}

/// `attempts`, or the default.
pub fn read_attempts(section: &Section<'_>, default: u16, found: &mut Diagnostics) -> u16 {
    u16::try_from(section.whole_or("attempts", u64::from(default), 1..=1000, found)).unwrap_or(default)
}

/// The `rules` of a check or a service.
pub fn read_rules(section: &Section<'_>, found: &mut Diagnostics) -> Vec<Rule> {
    let mut rules = Vec::new();
    for rule in section.sections("rules", "rules", found) {
        let when = rule.needed("when", found);
        let state = rule.needed("state", found).and_then(|text| word(&text, "state", STATES, found));
        let source = rule.needed("source", found);
        let Some(when) = when else { continue };
        match Expr::parse(when.value) {
            Ok(expr) => {
                if let (Some(state), Some(source)) = (state, source) {
                    rules.push(Rule { when: expr, state, source: source.value.into() });
                }
            }
            Err(refusal) => {
                let place = inside_text(&when, refusal.offset, found);
                found.error("bad-rule", &place, refusal.message, refusal.help);
            }
        }
    }
    rules
}

/// An availability expression; one that is none is an error at its place.
pub(super) fn read_availability(
    section: &Section<'_>,
    key: &str,
    found: &mut Diagnostics,
) -> Option<availability::Expr> {
    let text = section.text(key, found)?;
    match availability::Expr::parse(text.value) {
        Ok(expr) => Some(expr),
        Err(refusal) => {
            let place = inside_text(&text, refusal.offset, found);
            found.error("bad-expression", &place, refusal.message, refusal.help);
            None
        }
    }
}

/// The place of byte `offset` within a text, if the text stands in the file as it is (without escapes).
pub(super) fn inside_text(text: &At<&str>, offset: usize, found: &Diagnostics) -> Place {
    let file = found.files.get(text.at.file);
    let raw = file.and_then(|file| file.text.get(text.at.span.clone())).unwrap_or_default();
    match raw.find(text.value) {
        Some(start) => {
            let at = text.at.span.start + start + offset;
            Place { file: text.at.file, span: at..at + 1 }
        }
        None => text.at.clone(),
    }
}

/// `signal = "port"`, a table, or a list of both.
fn read_signals(section: &Section<'_>, found: &mut Diagnostics) -> Vec<SignalSpec> {
    let items = match section.node("signal") {
        None => return Vec::new(),
        Some(Node { kind: Kind::List(items), .. }) => items.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    let mut specs = Vec::new();
    for item in items {
        match &item.kind {
            Kind::Text(sig) => specs.push(SignalSpec {
                sig: sig.as_str().into(),
                value: SignalValue::Fact(sig.as_str().into()),
                of_host: section.bool_or("host", false, found),
            }),
            _ => {
                let of_host = section.bool_or("host", false, found);
                specs.extend(Section::of("signal", item, found).and_then(|table| read_signal(&table, of_host, found)));
            }
        }
    }
    specs
}

fn read_signal(table: &Section<'_>, of_host: bool, found: &mut Diagnostics) -> Option<SignalSpec> {
    let sig = table.needed("sig", found)?;
    let fact = table.text("fact", found);
    let value = if let Some(kind) = table.text("resource", found) {
        SignalValue::Resource { kind: kind.value.into(), blocks_start: table.bool_or("blocks_start", false, found) }
    } else if table.has("by_state") {
        let words = table.names("by_state", found);
        let Ok(words) = <[Arc<str>; 3]>::try_from(words) else {
            found.error("bad-signal", &table.at, "`by_state` has three words: for OK, WARNING and CRITICAL", "");
            return None;
        };
        SignalValue::ByState(words)
    } else if let Some(list) = table.text("elsewhere", found) {
        SignalValue::Elsewhere(list.value.into())
    } else if let Some(list) = table.text("each", found) {
        SignalValue::Each(list.value.into())
    } else if let Some(words) = table.node("words") {
        let entries = Section::entries(words, "words", found);
        let words = entries.iter().map(|(key, node)| (key.value.as_str().into(), node.to_value().to_string().into()));
        SignalValue::Translated { fact: fact.map_or(sig.value, |fact| fact.value).into(), words: words.collect() }
    } else {
        SignalValue::Fact(fact.map_or(sig.value, |fact| fact.value).into())
    };
    Some(SignalSpec { sig: sig.value.into(), value, of_host: table.bool_or("of_host", of_host, found) })
}

fn read_cell(section: &Section<'_>, platform: &Platform, found: &mut Diagnostics) -> Option<Cell> {
    let component = section.needed("component", found);
    let failure_type = section.needed("type", found).and_then(|text| word(&text, "type", TYPES, found));
    const FOUNDED: &[(&str, Founded)] = &[
        ("seed", Founded::Seed),
        ("doc", Founded::Doc),
        ("source", Founded::Source),
        ("inference", Founded::Inference),
    ];
    let founded = section.needed("founded", found).and_then(|text| word(&text, "founded", FOUNDED, found));
    let strings = |names: Vec<Arc<str>>| names.iter().map(ToString::to_string).collect();
    Some(Cell {
        key: CellKey {
            platform: Arc::clone(&platform.key),
            component: component?.value.into(),
            failure_type: failure_type?,
        },
        told_by: strings(section.names("told_by", found)),
        behaviour: section.needed("behaviour", found)?.value.to_owned(),
        still_works: section.text_or("still_works", "", found),
        impact: section.text_or("impact", "", found),
        runbook: section.needed("runbook", found)?.value.into(),
        verify: strings(section.names("verify", found)),
        expected_time: section.text_or("expected_time", "", found),
        data_risk: section.text_or("data_risk", "", found),
        escalate: section.text_or("escalate", "", found),
        founded: founded?,
        sources: strings(section.names("sources", found)),
    })
}

/// Everything a pack names must be in it, and nothing twice.
fn check_references(platform: &Platform, checks: &[Template], at: &Place, found: &mut Diagnostics) {
    let known = |key: &str| platform.components.iter().any(|component| &*component.key == key);
    let help = |key: &str| super::finding::suggest(key, platform.components.iter().map(|c| &*c.key));
    let mut names = std::collections::BTreeSet::new();
    for template in checks {
        if !names.insert(&template.check.name) {
            found.error("duplicate", &template.at, format!("a second check `{}`", template.check.name), "");
        }
        if let Some(key) = template.component.as_deref().filter(|key| !known(key)) {
            found.error("unknown-component", &template.at, format!("unknown component `{key}`"), help(key));
        }
        for name in missing_params(&template.check.rules, &template.check.params) {
            let message = format!("a rule of `{}` reads `{name}`, which `params` does not have", template.check.name);
            found.error("missing-param", &template.at, message, "give it a default in `params`");
        }
    }
    for component in &platform.components {
        for key in component.depends_on.iter().filter(|key| !known(key)) {
            found.error("unknown-component", at, format!("`{}` depends on unknown `{key}`", component.key), help(key));
        }
    }
    let mut cells = std::collections::BTreeSet::new();
    for cell in &platform.cells {
        if !cells.insert(&cell.key) {
            found.error("duplicate", at, format!("a second cell `{}`", cell.key), "");
        }
        if !known(&cell.key.component) {
            found.error(
                "unknown-component",
                at,
                format!("cell of unknown component `{}`", cell.key),
                help(&cell.key.component),
            );
        }
        if !platform.runbooks.iter().any(|runbook| runbook.id == cell.runbook) {
            let help = super::finding::suggest(&cell.runbook, platform.runbooks.iter().map(|runbook| &*runbook.id));
            found.error(
                "unknown-runbook",
                at,
                format!("cell `{}` names unknown runbook `{}`", cell.key, cell.runbook),
                help,
            );
        }
    }
}
