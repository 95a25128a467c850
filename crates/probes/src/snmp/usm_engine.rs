//! Who we are to senders of SNMPv3 informs: an engine identifier, and how often we started. Both must outlive the process
//! (RFC 3414 §2.2), else an inform that was recorded could be played again.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use async_snmp::AuthoritativeEngine;
use async_snmp::v3::{PersistedAuthoritativeEngine, generate_engine_id};

/// A file with an identifier of 32 bytes and a number is shorter.
const FILE_BYTES_MAX: u64 = 256;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the file `{path}` of the SNMPv3 engine cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("`{path}` does not hold an SNMPv3 engine: remove it, and informs are asked for anew")]
    Strange { path: PathBuf },
    #[error("the SNMPv3 engine cannot start: {0}")]
    Start(String),
}

/// The engine that `path` holds, started once more; a new one if there is none.
pub(super) fn start(path: &Path) -> Result<AuthoritativeEngine, EngineError> {
    let kept = read(path)?;
    let keep = {
        let path = path.to_owned();
        move |state: &PersistedAuthoritativeEngine| write(&path, state)
    };
    let started = match kept {
        Some((id, boots)) => {
            let strange = || EngineError::Strange { path: path.to_owned() };
            let previous = PersistedAuthoritativeEngine::new(id, boots).map_err(|_| strange())?;
            AuthoritativeEngine::restart(previous, keep)
        }
        None => generate_engine_id().and_then(|id| AuthoritativeEngine::install(id, keep)),
    };
    started.map_err(|error| EngineError::Start(chain(&*error)))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

fn read(path: &Path) -> Result<Option<(Vec<u8>, u32)>, EngineError> {
    let failed = |cause| EngineError::Read { path: path.to_owned(), cause };
    match std::fs::metadata(path) {
        Ok(found) if found.len() > FILE_BYTES_MAX => return Err(EngineError::Strange { path: path.to_owned() }),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    parse(&text).map(Some).ok_or_else(|| EngineError::Strange { path: path.to_owned() })
}

/// The identifier in hexadecimal digits, a blank, the number of starts.
fn parse(text: &str) -> Option<(Vec<u8>, u32)> {
    let (id, boots) = text.trim().split_once(' ')?;
    let digits: Vec<u8> =
        id.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    rest.is_empty().then_some(())?;
    Some((bytes, boots.parse().ok()?))
}

/// Whole or not at all, and on the disk before it counts.
fn write(path: &Path, state: &PersistedAuthoritativeEngine) -> io::Result<()> {
    let id: String = state.engine_id().iter().map(|byte| format!("{byte:02x}")).collect();
    let new = path.with_extension("new");
    let mut file = std::fs::File::create(&new)?;
    file.write_all(format!("{id} {}\n", state.engine_boots()).as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_keeps_its_name_and_counts_its_starts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine");
        let first = start(&path).unwrap();
        let (id, boots) = (first.engine_id().to_vec(), first.engine_boots());
        drop(first);
        let second = start(&path).unwrap();
        assert_eq!((second.engine_id(), second.engine_boots()), (id.as_slice(), boots + 1));
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_a_new_engine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine");
        for text in ["", "80001f88 x", "80001f8 1", "zz 1", "00 1", &"8".repeat(1000)] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(start(&path), Err(EngineError::Strange { .. })), "{text}");
        }
        assert!(matches!(start(&folder.path().join("no/such/folder/engine")), Err(EngineError::Start(_))));
    }
}
