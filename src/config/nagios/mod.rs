//! A Nagios configuration (`nagios.cfg` and all it names) as part of the watched world.

mod convert;
pub mod export;
mod program;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stentor_core::Span;
use stentor_wire::nagios::load::Loaded;
use stentor_wire::nagios::objects::Objects;

use super::finding::{Diagnostics, Place};
use super::nagios_files;
use super::objects::Builder;
use super::watch::Depth;

pub use program::{
    CheckTimes, Masks, NagiosSettings, ObjectCache, PerfdataFile, PerfdataMode, PerfdataSettings, Retention,
};
pub use stentor_core::macros::view::{COMMAND_PARAM, COMMAND_PROBE};

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
    /// Taken out of what was loaded: they are needed once more when all else is forgotten.
    objects: Arc<Objects>,
    path: PathBuf,
    notify: Notify,
    /// Number of its first file among all that were read.
    first_file: usize,
}

impl Tree {
    /// Reads a main file with everything that it names, in `zone` if it names none. What is wrong is reported; with
    /// errors there is no tree.
    pub fn read(path: &Path, notify: Notify, zone: &str, found: &mut Diagnostics) -> Option<Tree> {
        let mut loaded = nagios_files::load(path);
        loaded.main.use_timezone.get_or_insert_with(|| zone.to_owned());
        let first_file = found.files.len();
        found.append(nagios_files::diagnostics(&loaded));
        let objects = Arc::new(std::mem::take(&mut loaded.objects));
        let tree = Tree { loaded, objects, path: path.to_owned(), notify, first_file };
        (tree.loaded.findings.errors() == 0).then_some(tree)
    }

    /// Adds its objects to a catalog in the making.
    pub(super) fn seed(&self, builder: &mut Builder<'_>, found: &mut Diagnostics) {
        let (Loaded { main, resources, .. }, objects) = (&self.loaded, &*self.objects);
        let limits = convert::Limits {
            interval_length: Span::from_secs(main.interval_length.into()),
            service_check_timeout: Span::from_secs(main.service_check_timeout.into()),
            host_check_timeout: Span::from_secs(main.host_check_timeout.into()),
            zone: program::zone(main).into(),
        };
        let mut program = program::program(main, objects, resources, self.notify);
        let path: Arc<str> = self.path.to_string_lossy().into();
        program.files.insert("MAINCONFIGFILE".into(), path);
        let places = nagios_files::Places::of(&self.loaded);
        let place_of = |place| {
            let Place { file, span } = places.find(place);
            Place { file: self.first_file + file, span }
        };
        convert::seed(objects, &limits, program, &place_of, builder, found);
    }

    /// Its folders of object files.
    pub(super) fn folders(&self) -> Vec<(PathBuf, Depth)> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let folders = self.loaded.main.objects.iter().filter(|source| source.is_dir);
        folders.map(|source| (folder.join(&source.path), Depth::Below)).collect()
    }

    /// What the shell does for it.
    pub fn settings(&self) -> NagiosSettings {
        program::settings(&self.loaded.main, &self.objects, self.path.parent().unwrap_or(Path::new("")))
    }
}

#[cfg(test)]
mod tests;
