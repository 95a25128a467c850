//! The advisory lock of a state directory: two servers on one journal would each write half of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Name of the lock file inside the state directory.
pub const LOCK_FILE: &str = "lock";

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("`{path}` is held by another stentor (process {pid}); stop it, or give this one its own [storage] journal")]
    Held { path: PathBuf, pid: String },
    #[error("cannot lock `{path}`")]
    Io {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// Held as long as it lives; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes `<dir>/lock` without waiting.
    ///
    /// # Errors
    /// Another process holds it, or the file cannot be made.
    pub fn take(dir: &Path) -> Result<StateLock, LockError> {
        let path = dir.join(LOCK_FILE);
        let trouble = |cause: io::Error| LockError::Io { path: path.clone(), cause };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(trouble)?;
        if let Err(errno) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if errno != rustix::io::Errno::WOULDBLOCK {
                return Err(trouble(errno.into()));
            }
            let mut pid = String::new();
            // Only for the message; an unreadable pid is no reason for another error.
            let _ = Read::by_ref(&mut file).take(20).read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
            return Err(LockError::Held { path, pid });
        }
        // A full disk must not keep the server from starting in degraded mode: the pid is a courtesy.
        let _ = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(StateLock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_has_one_server_and_is_free_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateLock::take(dir.path()).unwrap();
        match StateLock::take(dir.path()) {
            Err(LockError::Held { pid, .. }) => assert_eq!(pid, std::process::id().to_string()),
            other => panic!("a second lock gave {other:?}"),
        }
        drop(first);
        StateLock::take(dir.path()).unwrap();
    }
}
