//! Files of a Nagios configuration on disk.

use std::path::Path;

use stentor_wire::nagios::load::Files;

/// A file larger than this is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Folders in folders; more is a circle of links.
const DEEP_MAX: usize = 32;

/// Reads from the file system, folders in the order of names.
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let length = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
        if length > FILE_BYTES_MAX {
            return Err(format!("it has {length} bytes; {FILE_BYTES_MAX} are the most"));
        }
        std::fs::read(path).map_err(|e| e.to_string())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        walk(Path::new(folder), 0, &mut found)?;
        Ok(found)
    }
}

fn walk(folder: &Path, deep: usize, found: &mut Vec<String>) -> Result<(), String> {
    if deep > DEEP_MAX {
        return Err(format!("more than {DEEP_MAX} folders within each other; is a link a circle?"));
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| e.to_string())? {
        entries.push(entry.map_err(|e| e.to_string())?.path());
    }
    entries.sort();
    for path in entries {
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(&path, deep + 1, found)?;
        } else if name.ends_with(".cfg") {
            found.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
