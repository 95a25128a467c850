//! A whole Nagios configuration, from its main file on. The files themselves are someone else's: they come through
//! [`Files`], so that nothing here does I/O.

use std::collections::HashSet;

use super::finding::{Findings, Place, quoted};
use super::main_config::{MainConfig, MainInclude};
use super::objects::{ObjectFiles, ObjectReader, Objects, Step, resolve, text};
use super::resource::Resources;

/// Where files come from.
pub trait Files {
    /// The bytes of a file.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String>;

    /// The files `*.cfg` in a folder and all folders below it, without hidden ones, always in the same order.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    fn list(&mut self, folder: &str) -> Result<Vec<String>, String>;
}

/// A file that was read; its index is [`Place::file`].
#[derive(Clone, Debug, Default)]
pub struct ReadFile {
    pub path: String,
    /// Empty for resource files, whose values are secrets.
    pub text: String,
}

/// A configuration as far as it could be understood. It may only be used if there are no errors among the findings.
#[derive(Debug)]
pub struct Loaded {
    pub main: MainConfig,
    pub resources: Resources,
    pub objects: Objects,
    pub files: Vec<ReadFile>,
    pub findings: Findings,
}

/// A configuration whose files are read but whose objects are not yet resolved.
pub struct Unresolved {
    main: MainConfig,
    resources: Resources,
    objects: ObjectFiles,
    files: Vec<ReadFile>,
    findings: Findings,
}

/// Reads everything from the main file on, and resolves it.
pub fn load(path: &str, files: &mut dyn Files) -> Loaded {
    read(path, files).resolve()
}

/// Reads all files.
pub fn read(path: &str, files: &mut dyn Files) -> Unresolved {
    let mut loader = Loader {
        source: files,
        files: Vec::new(),
        seen: HashSet::new(),
        found: Findings::default(),
        objects: ObjectReader::default(),
    };
    let mut main = MainConfig::default();
    loader.main_files(path, &mut main);
    let resources = loader.resources(path, &main);
    loader.object_files(path, &main);
    Unresolved { main, resources, objects: loader.objects.finish(), files: loader.files, findings: loader.found }
}

impl Unresolved {
    pub fn resolve(self) -> Loaded {
        let Unresolved { main, resources, objects, mut files, findings } = self;
        let (resolved, mut findings) = resolve(&objects, &main.naming(), findings);
        check_commands(&main, &resolved, &mut findings);
        name_unserved(&main, &mut findings);
        findings.sort();
        for (file, text) in objects.into_texts() {
            if let Some(of_file) = files.get_mut(file as usize) {
                of_file.text = text;
            }
        }
        Loaded { main, resources, objects: resolved, files, findings }
    }
}

/// The commands that the main configuration names.
fn check_commands(main: &MainConfig, objects: &Objects, found: &mut Findings) {
    for (key, command) in [
        ("ocsp_command", &main.ocsp_command),
        ("ochp_command", &main.ochp_command),
        ("global_host_event_handler", &main.global_host_event_handler),
        ("global_service_event_handler", &main.global_service_event_handler),
        ("host_perfdata_command", &main.host_perfdata_command),
        ("service_perfdata_command", &main.service_perfdata_command),
        ("host_perfdata_file_processing_command", &main.host_perfdata_file_processing_command),
        ("service_perfdata_file_processing_command", &main.service_perfdata_file_processing_command),
    ] {
        let Some(call) = command else { continue };
        let name = call.split('!').next().unwrap_or_default();
        if objects.commands.binary_search_by(|command| command.name.as_ref().cmp(name)).is_err() {
            let help = found.suggest(name, objects.commands.iter().map(|command| &*command.name));
            let message = format!("`{key}` names no command: {}", quoted(name));
            let place = main.places.get(key).copied().unwrap_or_default();
            found.error("unknown-command", place, message, help);
        }
    }
}

/// What the main configuration asks for and nothing here does: it must not look as if it were there.
fn name_unserved(main: &MainConfig, found: &mut Findings) {
    const CODE: &str = "not-supported";
    for (module, place) in &main.broker_modules {
        let message = format!("the module {} is not loaded: it is made for the insides of Nagios", quoted(module));
        found.warning(CODE, *place, message, "status.dat, the API and /metrics tell other programs how things stand");
    }
    for (key, is_set) in [
        ("query_socket", main.query_socket.is_some()),
        ("global_host_notification_handler", main.global_host_notification_handler.is_some()),
        ("global_service_notification_handler", main.global_service_notification_handler.is_some()),
    ] {
        if is_set {
            let place = main.places.get(key).copied().unwrap_or_default();
            found.warning(CODE, place, format!("`{key}` has no effect here"), "remove the line");
        }
    }
}

/// A path as seen from the file that names it.
fn beside(file: &str, path: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) if !path.starts_with('/') => format!("{folder}/{path}"),
        _ => path.to_owned(),
    }
}

/// Files in files in files: more than anybody means.
const INCLUDES_DEEP_MAX: usize = 32;

struct Loader<'l> {
    source: &'l mut dyn Files,
    files: Vec<ReadFile>,
    seen: HashSet<String>,
    found: Findings,
    objects: ObjectReader,
}

impl Loader<'_> {
    /// Number and text of a file, unless it cannot or need not be read. `place` is where it is named.
    fn text(&mut self, path: &str, place: Option<Place>) -> Option<(u32, String)> {
        let named_at = place.unwrap_or(Place { file: 0, line: 1, column: 1 });
        if !self.seen.insert(path.to_owned()) {
            let message = format!("the file {} is read already", quoted(path));
            self.found.error(
                "file-read-twice",
                named_at,
                message,
                "name it once; it may also be in a folder that is read",
            );
            return None;
        }
        let number = self.files.len() as u32;
        match self.source.read(path) {
            Ok(bytes) => {
                self.files.push(ReadFile { path: path.to_owned(), text: String::new() });
                Some((number, text::decode(number, bytes, &mut self.found)))
            }
            Err(cause) => {
                if place.is_none() {
                    self.files.push(ReadFile { path: path.to_owned(), text: String::new() });
                }
                let message = format!("cannot read {}: {cause}", quoted(path));
                self.found.error("unreadable-file", named_at, message, "");
                None
            }
        }
    }

    fn list(&mut self, path: &str, place: Place) -> Vec<String> {
        match self.source.list(path) {
            Ok(paths) => paths,
            Err(cause) => {
                let message = format!("cannot read the folder {}: {cause}", quoted(path));
                self.found.error("unreadable-folder", place, message, "");
                Vec::new()
            }
        }
    }

    fn is_too_deep(&mut self, depth: usize, place: Place) -> bool {
        if depth == INCLUDES_DEEP_MAX {
            let message = format!("files include each other deeper than {INCLUDES_DEEP_MAX} levels");
            self.found.error("deep-include", place, message, "include fewer levels");
        }
        depth >= INCLUDES_DEEP_MAX
    }

    fn main_files(&mut self, first: &str, main: &mut MainConfig) {
        let mut waiting = vec![(first.to_owned(), None, 0)];
        while let Some((path, place, depth)) = waiting.pop() {
            let Some((number, text)) = self.text(&path, place) else { continue };
            let includes = main.read(number, &text, &mut self.found);
            self.files[number as usize].text = text;
            let mut next = Vec::new();
            for MainInclude { is_dir, path: named, place } in includes {
                if self.is_too_deep(depth, place) {
                    break;
                }
                let whole = beside(&path, &named);
                let paths = if is_dir { self.list(&whole, place) } else { vec![whole] };
                next.extend(paths.into_iter().map(|path| (path, Some(place), depth + 1)));
            }
            waiting.extend(next.into_iter().rev());
        }
    }

    fn resources(&mut self, main_path: &str, main: &MainConfig) -> Resources {
        let mut resources = Resources::default();
        for (path, place) in &main.resource_files {
            if let Some((number, text)) = self.text(&beside(main_path, path), Some(*place)) {
                resources.read(number, &text, &mut self.found);
            }
        }
        resources
    }

    fn object_files(&mut self, main_path: &str, main: &MainConfig) {
        for source in &main.objects {
            let path = beside(main_path, &source.path);
            let paths = if source.is_dir { self.list(&path, source.place) } else { vec![path] };
            for path in paths {
                self.object_file(path, source.place);
            }
        }
    }

    /// One file and what it includes, in the order of the definitions.
    fn object_file(&mut self, path: String, place: Place) {
        enum Todo {
            File(String, Place, usize),
            Step(Step, String, usize),
        }
        let mut waiting = vec![Todo::File(path, place, 0)];
        while let Some(todo) = waiting.pop() {
            match todo {
                Todo::File(path, place, depth) => {
                    let Some((number, text)) = self.text(&path, Some(place)) else { continue };
                    let steps = self.objects.read(number, text, &mut self.found);
                    waiting.extend(steps.into_iter().rev().map(|step| Todo::Step(step, path.clone(), depth)));
                }
                Todo::Step(Step::Blocks { file, blocks }, ..) => self.objects.take(file, blocks),
                Todo::Step(Step::Included { is_dir, path, place }, from, depth) => {
                    if self.is_too_deep(depth, place) {
                        continue;
                    }
                    let whole = beside(&from, &path);
                    let paths = if is_dir { self.list(&whole, place) } else { vec![whole] };
                    waiting.extend(paths.into_iter().rev().map(|path| Todo::File(path, place, depth + 1)));
                }
            }
        }
    }
}
