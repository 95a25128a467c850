//! `lock_file`: the process id for programs that signal Nagios, and its lock, which Nagios and Naemon take as well. Two
//! engines on one tree would each empty half of the command pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

#[derive(Debug, thiserror::Error)]
#[error("`{path}` is held by process {pid}: another Nagios runs with this configuration. Stop it first")]
pub struct Held {
    pub path: PathBuf,
    pub pid: String,
}

/// Held as long as it lives; the file goes with it.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    // The lock is of the process and ends with any closing of the file: nobody else may open it here.
    _file: File,
}

impl LockFile {
    /// Takes the file without waiting. Where it cannot be had at all, monitoring goes on without it: Nagios itself only
    /// writes it as a daemon, and its folder is often made by the script that starts it.
    ///
    /// # Errors
    /// Another process holds it.
    pub fn take(path: &Path) -> Result<Option<LockFile>, Held> {
        let unusable = |cause: io::Error| {
            tracing::warn!(error = %cause, "`lock_file` {} cannot be written: nobody finds the process id there", path.display());
            None
        };
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(cause) => return Ok(unusable(cause)),
        };
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => {
                let mut pid = String::new();
                // Only for the message.
                let _ = Read::by_ref(&mut file).take(20).read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
                return Err(Held { path: path.to_owned(), pid });
            }
            Err(errno) => return Ok(unusable(errno.into())),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        if let Err(cause) = written {
            return Ok(unusable(cause));
        }
        Ok(Some(LockFile { path: path.to_owned(), _file: file }))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "`lock_file` {} cannot be removed", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_the_process_id_and_goes_with_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nagios.pid");
        std::fs::write(&path, "4294967295, left by one that was killed\n").unwrap();
        let lock = LockFile::take(&path).unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(lock);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_is_not_there_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        assert!(LockFile::take(&folder.path().join("run/nagios.pid")).unwrap().is_none());
    }
}
