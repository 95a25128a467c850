//! The command pipe: a FIFO that programs write external commands into, a line each. Made at the start, gone at the
//! stop. Reading never ends because a writer went away; a full engine makes writers wait, and loses nothing.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{OpenOptions, Receiver};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::intake::Intake;
use super::lines::Lines;

/// Its owner and group may write: the group is the web server's and the agents' (as with Nagios).
const MODE: u32 = 0o660;
/// What is read at once: all that a pipe holds unless it was told otherwise (pipe(7)).
const READ_BYTES: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    #[error("the command pipe `{path}` cannot be made")]
    Make {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("`{path}` is there and is no pipe: remove it or name another `command_file`")]
    NoPipe { path: PathBuf },
    #[error("the command pipe `{path}` cannot be opened")]
    Open {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// The pipe, there and open.
#[derive(Debug)]
pub struct Pipe {
    path: PathBuf,
    receiver: Receiver,
}

impl Pipe {
    /// Makes the FIFO, or takes over one that a process left behind that did not end well.
    ///
    /// # Errors
    /// Something else has that name, or its folder is missing or closed to us.
    pub fn open(path: &Path) -> Result<Pipe, PipeError> {
        let make = |cause| PipeError::Make { path: path.to_owned(), cause };
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_fifo() => {}
            Ok(_) => return Err(PipeError::NoPipe { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
                    .map_err(|error| make(error.into()))?;
            }
            Err(error) => return Err(make(error)),
        }
        // Not at creation: the umask would take the group's right away.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE)).map_err(make)?;
        // For writing too: so the pipe has a writer always, and reading never ends.
        let receiver = OpenOptions::new()
            .read_write(true)
            .open_receiver(path)
            .map_err(|cause| PipeError::Open { path: path.to_owned(), cause })?;
        Ok(Pipe { path: path.to_owned(), receiver })
    }

    /// Reads until it is stopped or the engine is gone, and removes the FIFO.
    pub fn start(self, intake: Intake, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(self.serve(intake, stop))
    }

    async fn serve(mut self, mut intake: Intake, stop: CancellationToken) {
        let mut bytes = vec![0; READ_BYTES];
        let mut lines = Lines::default();
        loop {
            let read = tokio::select! {
                () = stop.cancelled() => break,
                read = self.receiver.read(&mut bytes) => read,
            };
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    tracing::error!(%error, "the command pipe cannot be read any more");
                    break;
                }
            };
            let done = lines.push(bytes.get(..read).unwrap_or_default());
            if intake.take(done).await.is_err() {
                break;
            }
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, "the command pipe `{}` cannot be removed", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pipe_is_made_for_its_group_and_one_left_behind_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nagios.cmd");
        for _ in 0..2 {
            let pipe = Pipe::open(&path).unwrap();
            let found = std::fs::metadata(&path).unwrap();
            assert!(found.file_type().is_fifo());
            assert_eq!(found.permissions().mode() & 0o777, MODE);
            drop(pipe);
        }
    }

    #[tokio::test]
    async fn what_is_no_pipe_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nagios.cmd");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(Pipe::open(&path), Err(PipeError::NoPipe { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        let missing = folder.path().join("no/such/folder");
        assert!(matches!(Pipe::open(&missing), Err(PipeError::Make { .. })));
    }
}
