//! TOML and Nagios trees to typed settings and the catalog. Finds every mistake at once, each with file, line, column and help;
//! starts nothing and opens nothing but the files that the configuration names.

mod availability;
mod dependencies;
mod design;
mod downtimes;
mod drills;
pub mod example;
pub mod finding;
pub mod holes;
mod hosts;
mod knowledge;
pub mod nagios;
pub mod nagios_files;
mod objects;
mod overlay;
pub mod pack;
mod parity;
pub mod probe_kinds;
mod reading;
mod runbooks;
pub mod schema;
mod services;
pub mod settings;
mod topology;
pub mod traps;
pub mod tree;
pub mod usual;
pub mod watch;
mod windows;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stentor_core::catalog::Catalog;
use stentor_core::policy::glob_matches;

pub use finding::{Diagnostics, Finding, Level};
pub use nagios::NagiosSettings;
pub use pack::Pack;
pub use settings::Settings;

use finding::Place;
use nagios::Tree;
use nagios_files::Kind;
use traps::TrapRule;
use tree::{At, Section, Table, parse};

/// Where a configuration names no time zone: never the machine's.
const DEFAULT_ZONE: &str = "UTC";

/// A configuration that Stentor would start with.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub catalog: Arc<Catalog>,
    /// Files and limits of a Nagios tree, if there is one.
    pub nagios: Option<NagiosSettings>,
    pub packs: Vec<Pack>,
    /// What SNMP traps mean; the first that fits counts.
    pub trap_rules: Arc<[TrapRule]>,
    /// Where further files may join it.
    pub folders: Vec<(PathBuf, watch::Depth)>,
    /// Findings that do not stop the start.
    pub warnings: Diagnostics,
}

/// Reads a configuration file with everything it includes.
///
/// # Errors
/// Something is wrong; all of it is in the answer.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    load_in_zone(path, None)
}

/// The same in this time zone, where the configuration names none.
///
/// # Errors
/// As [`load`].
pub fn load_in_zone(path: &Path, zone: Option<&str>) -> Result<Loaded, Diagnostics> {
    let unreadable = |cause: std::io::Error| {
        let mut found = Diagnostics::default();
        found.files.push(finding::SourceFile { path: path.to_owned(), text: "".into() });
        let message = format!("cannot read the configuration `{}`: {cause}", path.display());
        found.error("unreadable-file", &Place::default(), message, "");
        found
    };
    let zone = zone.unwrap_or(DEFAULT_ZONE);
    match String::from_utf8(std::fs::read(path).map_err(unreadable)?) {
        Ok(text) => load_text_in_zone(&text, path, zone),
        // Nagios never asked what its files are written in: they may be in Latin-1.
        Err(odd) if nagios_files::kind_of_text(path, &String::from_utf8_lossy(odd.as_bytes())) == Kind::Nagios => {
            load_nagios(path, zone)
        }
        Err(_) => Err(unreadable(std::io::Error::other("it is not UTF-8"))),
    }
}

/// The same for a text that is at hand; `path` gives messages their name and relative paths their folder.
///
/// # Errors
/// As [`load`].
pub fn load_text(text: &str, path: &Path) -> Result<Loaded, Diagnostics> {
    load_text_in_zone(text, path, DEFAULT_ZONE)
}

fn load_text_in_zone(text: &str, path: &Path, zone: &str) -> Result<Loaded, Diagnostics> {
    if nagios_files::kind_of_text(path, text) == Kind::Nagios {
        return load_nagios(path, zone);
    }
    let mut found = Diagnostics::default();
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let mut files = vec![read_file(path.to_owned(), text.into(), &mut found)];
    // A file with a syntax error is only partly read: what is missing in it would be reported as a second mistake.
    if found.errors() == 0 {
        files.extend(included(&files[0], &folder, &mut found));
    }
    if found.errors() > 0 {
        return Err(found);
    }
    let roots: Vec<Section<'_>> = files.iter().map(|(at, table)| Section::open("", at, table, &mut found)).collect();
    let settings = settings::read(&roots, &folder, zone, &mut found);
    let packs = pack::load(&settings.pack_dirs, &mut found);
    let named = settings.nagios.as_ref();
    let tree = named.and_then(|named| Tree::read(&named.config.value, named.notify, zone, &mut found));
    let folders = include_folders(&roots, &folder);
    let loaded = finish(&roots, settings, packs, tree.as_ref(), found)?;
    Ok(Loaded { folders: [folders, loaded.folders].concat(), ..loaded })
}

/// A Nagios configuration alone: everything of Stentor's own has its default, and its state stands where Nagios keeps
/// its own.
fn load_nagios(path: &Path, zone: &str) -> Result<Loaded, Diagnostics> {
    let mut found = Diagnostics::default();
    let Some(tree) = Tree::read(path, nagios::Notify::default(), zone, &mut found) else { return Err(found) };
    let folder =
        tree.settings().state_folder().unwrap_or_else(|| path.parent().map(Path::to_owned).unwrap_or_default());
    let settings = settings::read(&[], &folder, zone, &mut found);
    let packs = pack::load(&settings.pack_dirs, &mut found);
    finish(&[], settings, packs, Some(&tree), found)
}

fn finish(
    roots: &[Section<'_>],
    settings: Settings,
    packs: Vec<Pack>,
    tree: Option<&Tree>,
    mut found: Diagnostics,
) -> Result<Loaded, Diagnostics> {
    let catalog = objects::build(roots, &settings, &packs, tree, &mut found);
    traps::check(settings.traps.as_ref(), &catalog, &mut found);
    let own = traps::read_rules(roots, &mut found);
    let trap_rules = own.into_iter().chain(packs.iter().flat_map(|pack| pack.traps.iter().cloned())).collect();
    if found.errors() == 0 {
        design::warn(roots, &catalog, &mut found);
    }
    found.sort();
    if found.errors() > 0 {
        return Err(found);
    }
    let nagios = tree.map(Tree::settings);
    let folders = tree.map(Tree::folders).unwrap_or_default();
    Ok(Loaded { settings, catalog: Arc::new(catalog), nagios, packs, trap_rules, folders, warnings: found })
}

/// A main file and a pack file without any other: what the fuzzer feeds.
#[doc(hidden)]
pub fn read_alone(text: &str, packs: &[Pack]) -> Diagnostics {
    let mut found = Diagnostics::default();
    let (at, table) = read_file("fuzz.toml".into(), text.into(), &mut found);
    let roots = [Section::open("", &at, &table, &mut found)];
    let settings = settings::read(&roots, Path::new(""), DEFAULT_ZONE, &mut found);
    objects::build(&roots, &settings, packs, None, &mut found);
    let mut of_pack = Diagnostics::default();
    if let Some(pack) = pack::read_pack(vec![("fuzz.toml".into(), text.into())], &mut of_pack) {
        example::run_all(&[pack], &mut of_pack);
    }
    found.sort();
    found
}

fn read_file(path: PathBuf, text: Arc<str>, found: &mut Diagnostics) -> (Place, Table) {
    let place = Place { file: found.files.len(), span: 0..0 };
    let table = parse(path, text, found);
    (place, table)
}

/// The folders that `include` looks into, also where nothing is in them yet.
fn include_folders(roots: &[Section<'_>], folder: &Path) -> Vec<(PathBuf, watch::Depth)> {
    // What is wrong with the list has been said.
    let patterns = roots.first().map(|root| root.texts("include", &mut Diagnostics::default())).unwrap_or_default();
    let parent = |pattern: At<&str>| Some((folder.join(pattern.value).parent()?.to_owned(), watch::Depth::Here));
    patterns.into_iter().filter_map(parent).collect()
}

/// The files that `include` of the first file names; included files include nothing.
fn included(first: &(Place, Table), folder: &Path, found: &mut Diagnostics) -> Vec<(Place, Table)> {
    let mut quiet = Diagnostics::default();
    let root = Section::open("", &first.0, &first.1, &mut quiet);
    let mut files = Vec::new();
    for pattern in root.texts("include", found) {
        let whole = folder.join(pattern.value);
        let parent = whole.parent().map(Path::to_owned).unwrap_or_default();
        let name = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let paths = match files_matching(&parent, &name) {
            Ok(paths) => paths,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && name.contains('*') => Vec::new(),
            Err(cause) => {
                found.error(
                    "unreadable-folder",
                    &pattern.at,
                    format!("cannot read `{}`: {cause}", parent.display()),
                    "",
                );
                continue;
            }
        };
        if paths.is_empty() && !name.contains('*') {
            found.error("missing-file", &pattern.at, format!("there is no file `{}`", whole.display()), "");
        }
        for path in paths {
            match std::fs::read_to_string(&path) {
                Ok(text) => files.push(read_file(path, text.into(), found)),
                Err(cause) => {
                    let message = format!("cannot read `{}`: {cause}", path.display());
                    found.error("unreadable-file", &pattern.at, message, "");
                }
            }
        }
    }
    for (_, table) in &files {
        if let Some((key, _)) = table.iter().find(|(key, _)| key.value == "include") {
            found.error("nested-include", &key.at, "an included file cannot include others", "");
        }
    }
    files
}

/// The files of a folder whose name matches a pattern with `*`, sorted by name.
fn files_matching(folder: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if glob_matches(pattern, &entry.file_name().to_string_lossy()) && entry.path().is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The one table of that name in all files; a second one is an error.
fn single<'a>(roots: &[Section<'a>], key: &str, section: &'static str, found: &mut Diagnostics) -> Option<Section<'a>> {
    let mut first: Option<Section<'a>> = None;
    for root in roots {
        let Some(table) = root.section(key, section, found) else { continue };
        match &first {
            None => first = Some(table),
            Some(first) => {
                let message = format!("a second `{section}`; the first is at {}", found.location(&first.at));
                found.error("duplicate", &table.at, message, "");
            }
        }
    }
    first
}

/// The tables `[[key]]` of all files, in their order.
fn all<'a>(roots: &[Section<'a>], key: &str, section: &'static str, found: &mut Diagnostics) -> Vec<Section<'a>> {
    roots.iter().flat_map(|root| root.sections(key, section, found)).collect()
}

/// A file that the configuration names, relative to its folder; a missing one is a warning, for it may come later.
fn named_file(text: &At<&str>, folder: &Path, found: &mut Diagnostics) -> PathBuf {
    let path = folder.join(text.value);
    if !path.exists() {
        let message = format!("there is no file `{}` yet", path.display());
        found.warning("missing-file", &text.at, message, "create it, readable only by the user that runs stentor");
    }
    path
}

#[cfg(test)]
mod knowledge_tests;
#[cfg(test)]
mod platforms_tests;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod tests;

#[cfg(test)]
mod cells_tests;
#[cfg(test)]
mod cloudstack_tests;
#[cfg(test)]
mod runs_tests;
