//! A Nagios configuration (`nagios.cfg` and all it names) as part of the watched world.

mod convert;
mod program;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stentor_core::Span;
use stentor_wire::nagios::finding::Severity;
use stentor_wire::nagios::load::{Loaded, load};
use stentor_wire::nagios::main_config;

use super::finding::{Diagnostics, Level};
use super::nagios_files::DiskFiles;
use super::objects::Builder;

pub use convert::{COMMAND_PARAM, COMMAND_PROBE};
pub use program::NagiosSettings;

/// How contacts of the tree are told.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum Notify {
    /// As Nagios would, about hosts and services, by the contacts' commands.
    #[default]
    Exact,
    /// Not at all: Stentor's routes tell of incidents.
    Incidents,
}

/// A tree that was read without an error.
pub struct Tree {
    loaded: Loaded,
    path: PathBuf,
    notify: Notify,
}

impl Tree {
    /// Reads a main file with everything that it names. What is wrong is reported; with errors there is no tree.
    pub fn read(path: &Path, notify: Notify, found: &mut Diagnostics) -> Option<Tree> {
        let loaded = load(&path.to_string_lossy(), &mut DiskFiles);
        let first = found.files.len();
        for file in &loaded.files {
            found.files.push(super::finding::SourceFile { path: (&file.path).into(), text: file.text.as_str().into() });
        }
        for finding in &loaded.findings {
            let level = match finding.severity {
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warning,
            };
            found.found_at(level, finding, first);
        }
        (loaded.findings.errors() == 0).then(|| Tree { loaded, path: path.to_owned(), notify })
    }

    /// Adds its objects to a catalog in the making.
    pub(super) fn seed(&self, builder: &mut Builder<'_>) {
        let Loaded { main, resources, objects, .. } = &self.loaded;
        let limits = convert::Limits {
            interval_length: Span::from_secs(main.interval_length.into()),
            service_check_timeout: Span::from_secs(main.service_check_timeout.into()),
            host_check_timeout: Span::from_secs(main.host_check_timeout.into()),
            zone: program::zone(main).into(),
        };
        let mut program = program::program(main, objects, resources, self.notify);
        let path: Arc<str> = self.path.to_string_lossy().into();
        program.files.insert("MAINCONFIGFILE".into(), path);
        convert::seed(objects, &limits, program, builder);
    }

    /// What the shell does for it.
    pub fn settings(&self) -> NagiosSettings {
        program::settings(&self.loaded.main, self.path.parent().unwrap_or(Path::new("")))
    }
}

/// Whether a file is a `nagios.cfg` and no TOML: its name, or else the first line that says something.
pub fn is_main_file(path: &Path, text: &str) -> bool {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return false;
    }
    let says = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let Some(line) = text.lines().map(str::trim).find(says) else { return false };
    line.split_once('=').is_some_and(|(key, value)| {
        let is_toml_value = value.starts_with(' ') && key.ends_with(' ');
        !line.starts_with('[') && !is_toml_value && main_config::is_key(key.trim())
    })
}

#[cfg(test)]
mod tests;
