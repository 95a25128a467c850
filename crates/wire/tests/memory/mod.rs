//! Configurations in memory, for the tests of the Nagios configuration.

use std::collections::BTreeMap;

use stentor_wire::nagios::load::{Files, Loaded, load};

/// Files in memory.
#[derive(Clone, Default)]
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Memory {
    pub fn with(files: &[(&str, &str)]) -> Self {
        Memory(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect())
    }
}

impl Files for Memory {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, String> {
        let prefix = format!("{folder}/");
        let paths: Vec<String> =
            self.0.keys().filter(|path| path.starts_with(&prefix) && path.ends_with(".cfg")).cloned().collect();
        if paths.is_empty() { Err("no such folder".to_owned()) } else { Ok(paths) }
    }
}

/// One object file, and lines of the main file besides the one that names it.
pub fn loaded(main: &str, objects: &str) -> Loaded {
    let main = format!("cfg_file=objects.cfg\n{main}\n");
    load("/etc/n/nagios.cfg", &mut Memory::with(&[("/etc/n/nagios.cfg", &main), ("/etc/n/objects.cfg", objects)]))
}
