//! Nagios configuration on disk: recognises it, hands its files to the reader, gives findings the form of all others.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use stentor_wire::nagios::finding::Severity;
use stentor_wire::nagios::load::{self, Files, Loaded};
use stentor_wire::nagios::main_config;

use super::finding::{Diagnostics, Finding, Level, Place, SourceFile};

/// What a configuration file is written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Toml,
    /// A `nagios.cfg`.
    Nagios,
}

/// What a file is written in: by its name, else by its first line that says something.
///
/// # Errors
/// The file cannot be read.
pub fn kind_of(path: &Path) -> io::Result<Kind> {
    // A pipe can be read only once, and a Nagios configuration is a tree of files.
    if !fs::metadata(path)?.is_file() {
        return Ok(Kind::Toml);
    }
    Ok(kind_of_text(path, &String::from_utf8_lossy(&fs::read(path)?)))
}

/// The same for a text that is at hand.
pub fn kind_of_text(path: &Path, text: &str) -> Kind {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return Kind::Toml;
    }
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = lines.next() else { return Kind::Toml };
    if first.starts_with("define ") {
        return Kind::Nagios;
    }
    match first.split_once('=') {
        Some((key, _)) if main_config::is_key(key.trim_end()) => Kind::Nagios,
        // Of keys that are unknown to both, TOML's have blanks before the sign or a value that only TOML has.
        Some((key, value)) if !key.starts_with('[') && !key.ends_with([' ', '\t']) => {
            let value = value.trim_start();
            if value.starts_with(['"', '\'', '[', '{']) { Kind::Toml } else { Kind::Nagios }
        }
        _ => Kind::Toml,
    }
}

/// The files of this machine.
#[derive(Debug, Default)]
pub struct DiskFiles;

/// Folders below a `cfg_dir`: more than anybody nests, fewer than a circle of links makes.
const FOLDERS_DEEP_MAX: usize = 32;

impl Files for DiskFiles {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        // Reading a pipe or a terminal would wait for ever.
        let about = fs::metadata(path).map_err(|cause| cause.to_string())?;
        if !about.is_file() {
            return Err("it is not a file".to_owned());
        }
        fs::read(path).map_err(|cause| cause.to_string())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, String> {
        let mut paths = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting = vec![(PathBuf::from(folder), 0)];
        while let Some((folder, depth)) = waiting.pop() {
            let at = |cause: io::Error| format!("{}: {cause}", folder.display());
            // A link back to a folder above must not be walked again.
            if depth > FOLDERS_DEEP_MAX || !seen.insert(folder.canonicalize().map_err(at)?) {
                continue;
            }
            for entry in fs::read_dir(&folder).map_err(at)? {
                let path = entry.map_err(at)?.path();
                let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
                if name.starts_with('.') {
                    continue;
                }
                if path.is_dir() {
                    waiting.push((path, depth + 1));
                } else if name.ends_with(".cfg") {
                    let text = path.to_str().ok_or_else(|| format!("{}: the name is not UTF-8", path.display()))?;
                    paths.push(text.to_owned());
                }
            }
        }
        paths.sort();
        Ok(paths)
    }
}

/// Reads and resolves a Nagios configuration.
pub fn load(path: &Path) -> Loaded {
    load::load(&path.to_string_lossy(), &mut DiskFiles)
}

/// Finds lines and columns in the texts of a configuration.
pub struct Places<'a> {
    loaded: &'a Loaded,
    /// Where the lines of each file begin.
    starts: Vec<Vec<usize>>,
}

impl<'a> Places<'a> {
    pub fn of(loaded: &'a Loaded) -> Places<'a> {
        let line_starts = |file: &load::ReadFile| -> Vec<usize> {
            std::iter::once(0).chain(file.text.match_indices('\n').map(|(at, _)| at + 1)).collect()
        };
        Places { loaded, starts: loaded.files.iter().map(line_starts).collect() }
    }

    /// From there to the end of its line.
    pub fn find(&self, place: stentor_wire::nagios::finding::Place) -> Place {
        let of_file = self.starts.get(place.file as usize);
        let line = of_file.and_then(|starts| starts.get((place.line as usize).checked_sub(1)?)).copied();
        let start = line.unwrap_or_default() + (place.column as usize).saturating_sub(1);
        let text = self.loaded.files.get(place.file as usize).map_or("", |file| &file.text);
        let rest = text.get(start..).unwrap_or_default();
        let word = rest.find(['\n', '\r']).unwrap_or(rest.len());
        Place { file: place.file as usize, span: start..start + word }
    }
}

/// The findings with their texts, as the rest of the configuration has them.
pub fn diagnostics(loaded: &Loaded) -> Diagnostics {
    let source = |file: &load::ReadFile| SourceFile { path: file.path.clone().into(), text: file.text.as_str().into() };
    let places = Places::of(loaded);
    let finding = |finding: &stentor_wire::nagios::finding::Finding| Finding {
        level: match finding.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        },
        code: finding.code,
        place: places.find(finding.place),
        message: finding.message.clone(),
        help: finding.help.clone(),
    };
    Diagnostics {
        files: loaded.files.iter().map(source).collect(),
        findings: loaded.findings.iter().map(finding).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_says_something_decides() {
        for (text, kind) in [
            ("", Kind::Toml),
            ("# c\n\n[server]\n", Kind::Toml),
            ("[[host]]\n", Kind::Toml),
            ("include = [\"x\"]\n", Kind::Toml),
            ("include=[\"x\"]\n", Kind::Toml),
            ("# c\n\nlog_file=/var/log/nagios.log\n", Kind::Nagios),
            ("log_file = /var/log/nagios.log\n", Kind::Nagios),
            ("no_such_key=1\n", Kind::Nagios),
            ("no_such_key = 1\n", Kind::Toml),
            ("define host {\n", Kind::Nagios),
        ] {
            assert_eq!(kind_of_text(Path::new("x.cfg"), text), kind, "{text:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        fs::write(&path, "log_file=x\n").unwrap();
        assert_eq!(kind_of(&path).unwrap(), Kind::Toml);
        assert!(kind_of(&folder.path().join("none")).is_err());
    }

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    const HOST: &str = "define host {\n host_name h\n max_check_attempts 3\n}\n";
    const SERVICE: &str =
        "define service {\n host_name h\n service_description s\n max_check_attempts 3\n check_command c\n}\n";
    const COMMAND: &str = "define command {\n command_name c\n command_line $USER1$/x\n}\n";

    #[test]
    fn a_tree_is_read_with_relative_paths_and_without_hidden_files() {
        let tree = tree(&[
            ("nagios.cfg", "cfg_file=commands.cfg\ncfg_dir=conf.d\nresource_file=private/resource.cfg\n"),
            ("commands.cfg", COMMAND),
            ("conf.d/deep/er/hosts.cfg", HOST),
            ("conf.d/.hidden.cfg", "rubbish"),
            ("conf.d/.git/x.cfg", "rubbish"),
            ("conf.d/services.cfg~", "rubbish"),
            ("conf.d/b.cfg", "include_file=more/services.inc\n"),
            ("conf.d/more/services.inc", SERVICE),
            ("private/resource.cfg", "$USER1$=/usr/lib/plugins\n"),
        ]);
        // A circle of folders.
        std::os::unix::fs::symlink(tree.path().join("conf.d"), tree.path().join("conf.d/loop")).unwrap();
        let loaded = load(&tree.path().join("nagios.cfg"));
        assert_eq!(loaded.findings.errors(), 0, "{:?}", loaded.findings);
        assert_eq!((loaded.objects.hosts.len(), loaded.objects.services.len()), (1, 1));
        assert_eq!(loaded.resources.user(1), Some("/usr/lib/plugins"));
        let again = load(&tree.path().join("nagios.cfg"));
        let paths = |loaded: &Loaded| loaded.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(&loaded), paths(&again));
    }

    #[test]
    fn findings_take_the_common_form_with_the_same_place() {
        let tree = tree(&[("nagios.cfg", "cfg_file=o.cfg\ncfg_file=none.cfg\n"), ("o.cfg", "# é\ndefine hsot {\n}\n")]);
        let loaded = load(&tree.path().join("nagios.cfg"));
        let common = diagnostics(&loaded);
        assert_eq!((common.errors(), common.warnings()), (loaded.findings.errors(), loaded.findings.warnings()));
        for (ours, theirs) in common.findings.iter().zip(&loaded.findings) {
            let place = (theirs.place.line.max(1) as usize, theirs.place.column.max(1) as usize);
            assert_eq!((ours.code, common.line_column(&ours.place)), (theirs.code, place), "{theirs:?}");
        }
        let shown = common.to_string();
        assert!(shown.contains("o.cfg:2:8") && shown.contains("did you mean `host`?"), "{shown}");
        assert!(shown.contains("cannot read"), "{shown}");
    }
}
