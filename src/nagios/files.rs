//! Files that other tools read: `status.dat` every `status_update_interval` and at the end, `objects.cache` at the start
//! and at each reload. Each is replaced whole: a reader sees the old one or the new one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stentor_core::Timestamp;
use tokio::fs;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::check_counts::CheckCounts;
use super::desk::Seen;
use super::status_dat::{self, About};
use crate::clock::Clock;
use crate::config::NagiosSettings;
use crate::engine::Handle;

/// A disk that takes longer has the next turn.
const WRITE_WITHIN: Duration = Duration::from_secs(60);
const HEAD: &str = "########################################\n# Written by Stentor and replaced whole;\n\
                    # what is changed here is lost.\n########################################\n";

/// The running writer of `status.dat`.
pub struct Files {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Files {
    /// `None` = no `status_file` is wanted.
    pub fn start(settings: &NagiosSettings, engine: Handle, clock: Clock, seen: Seen) -> Option<Files> {
        let stop = CancellationToken::new();
        let started = clock.now();
        let (path, every) = (settings.status_file.clone()?, settings.status_every.max(Duration::from_secs(1)));
        let counts = CheckCounts::default();
        let status = Status { path, every, engine, clock, started, counts, seen, in_trouble: false };
        Some(Files { task: tokio::spawn(status.serve(stop.clone())), stop })
    }

    /// Writes a last time: when the engine has stopped, how everything stood in the end.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the writer of status.dat did not stop cleanly");
        }
    }
}

struct Status {
    path: PathBuf,
    every: Duration,
    engine: Handle,
    clock: Clock,
    started: Timestamp,
    counts: CheckCounts,
    seen: Seen,
    in_trouble: bool,
}

impl Status {
    async fn serve(mut self, stop: CancellationToken) {
        loop {
            let is_last = stop.is_cancelled();
            self.write().await;
            if is_last {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }

    /// Trouble with the file is logged once, and once when it is over.
    async fn write(&mut self) {
        let (snapshot, now) = (self.engine.snapshot(), self.clock.now());
        let figures = self.counts.look(&snapshot.counters, self.seen.commands(), now);
        let log_rotated = self.seen.log_rotated();
        let about = About { pid: std::process::id(), started: self.started, now, log_rotated, figures };
        // A large site takes a while, in which others want to go on.
        let rendered = tokio::task::spawn_blocking(move || status_dat::render(&snapshot, &about)).await;
        let done = match rendered {
            Ok(text) => replace(&self.path, &text).await,
            Err(error) => Err(io::Error::other(error)),
        };
        let path = self.path.display();
        match done {
            Ok(()) if std::mem::take(&mut self.in_trouble) => tracing::info!("{path} can be written again"),
            Ok(()) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.in_trouble, true) {
                    tracing::error!(%error, "cannot write {path}: its readers see an old state until that is mended");
                }
            }
        }
    }
}

/// Writes `objects.cache`; trouble with it is logged and stops nobody.
pub async fn write_object_cache(settings: &NagiosSettings) {
    let Some(path) = &settings.object_cache else { return };
    if let Err(error) = replace(path, &settings.object_cache_text).await {
        tracing::error!(%error, "cannot write {}", path.display());
    }
}

/// Writes beside the file and moves it there: no reader sees half of it.
async fn replace(path: &Path, text: &str) -> io::Result<()> {
    let writing = async {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).await?;
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let beside = path.with_file_name(name);
        let written = async {
            let mut file = fs::File::create(&beside).await?;
            file.write_all(HEAD.as_bytes()).await?;
            file.write_all(text.as_bytes()).await?;
            file.flush().await?;
            fs::rename(&beside, path).await
        };
        let done = written.await;
        if done.is_err() {
            // What is left of it helps nobody; the first error is the one to tell.
            let _ = fs::remove_file(&beside).await;
        }
        done
    };
    match tokio::time::timeout(WRITE_WITHIN, writing).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the disk does not take it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("var/status.dat");
        for text in ["info {\n\t}\n", "b"] {
            replace(&path, text).await.unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{HEAD}{text}"));
        }
        assert_eq!(std::fs::read_dir(folder.path().join("var")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_cannot_be_replaced_stays_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.dat");
        std::fs::create_dir_all(path.join("inside")).unwrap();
        assert!(replace(&path, "x").await.is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
