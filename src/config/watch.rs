//! Whether the files of a configuration have changed: looks at names, sizes and times every few seconds, which works on
//! every file system, network ones too. Reads no contents and decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Diagnostics, Loaded};

/// Files that are looked at; a tree with more is watched in part.
const FILES_MAX: usize = 200_000;
/// Folders below a watched one: more than anybody nests, fewer than a circle of links makes.
const DEPTH_MAX: usize = 32;

/// How far below a folder new files count.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Depth {
    Here,
    Below,
}

/// What a configuration was read from, and where files may join it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sources {
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<(PathBuf, Depth)>,
}

impl Sources {
    /// Of a configuration that is good.
    pub fn of(loaded: &Loaded) -> Sources {
        let mut sources = Sources::of_bad(&loaded.warnings);
        sources.folders.extend(loaded.folders.iter().cloned());
        let packs = loaded.settings.pack_dirs.iter().map(|dir| (dir.value.clone(), Depth::Below));
        sources.folders.extend(packs);
        sources
    }

    /// Of one that is not: the files that were read before that was clear.
    pub fn of_bad(found: &Diagnostics) -> Sources {
        // Packs that came with the program have names that are nowhere on this disk, or nothing to do with it.
        let files: BTreeSet<PathBuf> =
            found.files.iter().map(|file| file.path.clone()).filter(|path| !path.starts_with("checks")).collect();
        let folder = |path: &PathBuf| (path.parent().map(Path::to_owned).unwrap_or_default(), Depth::Here);
        let folders = files.iter().map(folder).collect();
        Sources { files, folders }
    }

    /// With the file that the configuration begins in.
    pub fn with(mut self, main: &Path) -> Sources {
        self.folders.insert((main.parent().map(Path::to_owned).unwrap_or_default(), Depth::Here));
        self.files.insert(main.to_owned());
        self
    }

    /// Both together.
    pub fn and(mut self, other: &Sources) -> Sources {
        self.files.extend(other.files.iter().cloned());
        self.folders.extend(other.folders.iter().cloned());
        self
    }

    /// How everything looks now.
    pub fn look(&self) -> Looks {
        let mut looks = Looks::default();
        for file in &self.files {
            looks.0.insert(file.clone(), fs::metadata(file).ok().map(|about| Look::of(&about)));
        }
        for (folder, depth) in &self.folders {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            looks.add_folder(folder, *depth);
        }
        looks
    }
}

/// Size, times and identity of a file.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
struct Look {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// A copy may bring its old time of modification along.
    changed: (i64, i64),
}

impl Look {
    fn of(about: &Metadata) -> Look {
        Look {
            inode: about.ino(),
            bytes: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}

/// All files at one time; `None` = there is no such file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Looks(BTreeMap<PathBuf, Option<Look>>);

impl Looks {
    fn add_folder(&mut self, folder: &Path, depth: Depth) {
        let mut waiting = vec![(folder.to_owned(), 0)];
        while let Some((folder, level)) = waiting.pop() {
            // One that cannot be read has nothing that could be configured.
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let (path, name) = (entry.path(), entry.file_name());
                let name = name.to_string_lossy();
                if name.starts_with('.') || self.0.len() >= FILES_MAX {
                    continue;
                }
                let is_configuration = name.ends_with(".cfg") || name.ends_with(".toml");
                let Ok(about) = fs::metadata(&path) else { continue };
                if about.is_file() && is_configuration {
                    self.0.insert(path, Some(Look::of(&about)));
                } else if about.is_dir() && depth == Depth::Below && level < DEPTH_MAX {
                    waiting.push((path, level + 1));
                }
            }
        }
    }
}

/// Tells when a change is complete: something is different, and the same as at the look before.
#[derive(Debug)]
pub struct Watcher {
    sources: Sources,
    /// As it was when the configuration was read.
    read: Looks,
    last: Option<Looks>,
}

impl Watcher {
    /// The configuration has been read from `sources`; `before` is how it looked before that.
    pub fn new(sources: Sources, before: &Looks) -> Watcher {
        let mut read = sources.look();
        // What changed while it was read must be seen as a change.
        for (path, look) in &mut read.0 {
            if let Some(before) = before.0.get(path) {
                *look = *before;
            }
        }
        Watcher { sources, read, last: None }
    }

    /// Looks once. True if the configuration should be read again; said once for each change.
    pub fn look(&mut self) -> bool {
        let now = self.sources.look();
        if now == self.read {
            self.last = None;
            return false;
        }
        if self.last.as_ref() != Some(&now) {
            // Somebody may still be writing.
            self.last = Some(now);
            return false;
        }
        self.last = None;
        self.read = now;
        true
    }

    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "include = [\"conf.d/*.toml\"]\n[[zone]]\nname = \"here\"\n";

    struct World {
        folder: tempfile::TempDir,
        watcher: Watcher,
    }

    impl World {
        fn new() -> World {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("stentor.toml");
            fs::write(&path, MAIN).unwrap();
            let loaded = crate::config::load(&path).expect("good");
            let watcher = Watcher::new(Sources::of(&loaded), &Looks::default());
            World { folder, watcher }
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn looks(&mut self, times: usize) -> Vec<bool> {
            (0..times).map(|_| self.watcher.look()).collect()
        }
    }

    #[test]
    fn a_change_is_told_once_when_it_is_complete() {
        let mut world = World::new();
        assert_eq!(world.looks(2), [false, false]);
        world.write("stentor.toml", &format!("{MAIN}# one\n"));
        assert_eq!(world.looks(1), [false], "somebody may still be writing");
        world.write("stentor.toml", &format!("{MAIN}# two and more\n"));
        assert_eq!(world.looks(4), [false, true, false, false]);
    }

    #[test]
    fn files_that_join_and_leave_are_changes_and_others_are_none() {
        let mut world = World::new();
        world.write("conf.d/a.toml", "");
        assert_eq!(world.looks(3), [false, true, false]);
        for name in ["conf.d/.a.toml.swp", "stentor.db", "conf.d/a.toml~"] {
            world.write(name, "x");
        }
        assert_eq!(world.looks(2), [false, false]);
        fs::remove_file(world.folder.path().join("conf.d/a.toml")).unwrap();
        assert_eq!(world.looks(3), [false, true, false]);
    }

    #[test]
    fn a_copy_with_size_and_time_of_the_old_file_is_a_change() {
        let mut world = World::new();
        let path = world.folder.path().join("stentor.toml");
        let old = fs::metadata(&path).unwrap().modified().unwrap();
        world.write("new", &MAIN.replace("here", "away"));
        fs::File::open(world.folder.path().join("new")).unwrap().set_modified(old).unwrap();
        fs::rename(world.folder.path().join("new"), path).unwrap();
        assert_eq!(world.looks(2), [false, true]);
    }

    #[test]
    fn what_changes_while_it_is_read_is_read_again() {
        let mut world = World::new();
        let before = world.watcher.sources().look();
        world.write("stentor.toml", &format!("{MAIN}# later\n"));
        world.watcher = Watcher::new(world.watcher.sources().clone(), &before);
        assert_eq!(world.looks(2), [false, true]);
    }

    #[test]
    fn a_new_file_deep_in_a_cfg_dir_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nagios.cfg");
        fs::create_dir_all(folder.path().join("objects/web")).unwrap();
        fs::write(&path, "cfg_dir=objects\nlog_file=nagios.log\n").unwrap();
        let objects = "define timeperiod {\n timeperiod_name always\n alias x\n monday 00:00-24:00\n}\n\
             define command {\n command_name ok\n command_line /bin/true\n}\n\
             define contact {\n contact_name root\n host_notification_period always\n\
              service_notification_period always\n host_notification_commands ok\n service_notification_commands ok\n}\n\
             define host {\n host_name h\n address 192.0.2.1\n max_check_attempts 3\n contacts root\n\
              check_command ok\n check_period always\n notification_period always\n}\n\
             define service {\n host_name h\n service_description s\n check_command ok\n max_check_attempts 3\n\
              contacts root\n check_period always\n notification_period always\n}\n";
        fs::write(folder.path().join("objects/all.cfg"), objects).unwrap();
        let loaded = crate::config::load(&path).unwrap_or_else(|found| panic!("{found}"));
        let mut watcher = Watcher::new(Sources::of(&loaded), &Looks::default());
        assert!(!watcher.look() && !watcher.look());
        fs::write(folder.path().join("objects/web/new.cfg"), "").unwrap();
        assert!(!watcher.look() && watcher.look());
    }
}
