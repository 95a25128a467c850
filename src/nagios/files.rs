//! Files that other tools read: `status.dat` every `status_update_interval` and at the end, `retention.dat` every
//! `retention_update_interval`, on command and at the end, `objects.cache` at the start and at each reload. Each is
//! replaced whole: a reader sees the old one or the new one.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stentor_core::Timestamp;
use stentor_wire::nagios::objects::dump_to;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::check_counts::{CheckCounts, Figures};
use super::desk::{Desk, Seen};
use super::retention_dat;
use super::status_dat::{self, About};
use crate::clock::Clock;
use crate::config::NagiosSettings;
use crate::config::nagios::ObjectCache;
use crate::engine::Handle;

/// A disk that takes longer has the next turn.
const WRITE_WITHIN: Duration = Duration::from_secs(60);
/// Of a start there is more urgent work than to write what has not been looked at yet.
const FIRST_AFTER: Duration = Duration::from_secs(1);
const HEAD: &str = "########################################\n# Written by Stentor and replaced whole;\n\
                    # what is changed here is lost.\n########################################\n";
/// Added to the name of a `retention.dat` of somebody else before it is replaced.
const ASIDE: &str = ".nagios";

/// The running writers.
pub struct Files {
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Files {
    /// Writes what the settings name.
    pub fn start(settings: &NagiosSettings, engine: &Handle, clock: &Clock, desk: &Desk) -> Files {
        let stop = CancellationToken::new();
        let world = || World { engine: engine.clone(), clock: clock.clone(), started: clock.now() };
        let mut tasks = Vec::new();
        if let Some(path) = &settings.status_file {
            let every = settings.status_every.max(Duration::from_secs(1));
            let (seen, counts) = (desk.seen.clone(), CheckCounts::default());
            let status = Status { file: Whole::new(path), every, world: world(), seen, counts };
            tasks.push(tokio::spawn(status.serve(stop.clone())));
        }
        if let Some(path) = &settings.retention_file {
            let (every, asked) = (settings.retention_every, Arc::clone(&desk.save));
            let retention = Retention { file: Whole::new(path), every, world: world(), asked, is_ours: false };
            tasks.push(tokio::spawn(retention.serve(stop.clone())));
        }
        Files { tasks, stop }
    }

    /// Writes a last time: when the engine has stopped, how everything stood in the end.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a writer of status.dat or retention.dat did not stop cleanly");
            }
        }
    }
}

/// What is written about.
struct World {
    engine: Handle,
    clock: Clock,
    started: Timestamp,
}

impl World {
    fn about(&self, log_rotated: Timestamp, figures: Figures) -> About {
        About { pid: std::process::id(), started: self.started, now: self.clock.now(), log_rotated, figures }
    }
}

struct Status {
    file: Whole,
    every: Duration,
    world: World,
    seen: Seen,
    counts: CheckCounts,
}

impl Status {
    async fn serve(mut self, stop: CancellationToken) {
        // What comes before the first writing counts, too.
        let begun = self.world.engine.snapshot();
        self.counts.look(&begun.counters, self.seen.commands(), self.world.clock.now());
        drop(begun);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(FIRST_AFTER) => {}
        }
        loop {
            let is_last = stop.is_cancelled();
            let snapshot = self.world.engine.snapshot();
            let figures = self.counts.look(&snapshot.counters, self.seen.commands(), self.world.clock.now());
            let about = self.world.about(self.seen.log_rotated(), figures);
            self.file.replace(move |to| status_dat::write(&snapshot, &about, to)).await;
            if is_last {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }
}

/// So that an administrator can go back to Nagios at any time.
struct Retention {
    file: Whole,
    /// `None` = on command and at the end only.
    every: Option<Duration>,
    world: World,
    asked: Arc<Notify>,
    /// What lies there was written by this process.
    is_ours: bool,
}

impl Retention {
    async fn serve(mut self, stop: CancellationToken) {
        loop {
            let next = async {
                match self.every {
                    Some(every) => tokio::time::sleep(every).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.asked.notified() => {}
                () = next => {}
            }
            let is_last = stop.is_cancelled();
            let snapshot = self.world.engine.snapshot();
            let about = self.world.about(Timestamp::ZERO, Figures::default());
            let keep = (!std::mem::replace(&mut self.is_ours, true)).then(|| self.file.path.clone());
            let done = self.file.replace(move |to| {
                if let Some(path) = keep {
                    keep_of_others(&path)?;
                }
                retention_dat::write(&snapshot, &about, to)
            });
            done.await;
            if is_last {
                return;
            }
        }
    }
}

/// Whether a file was written by Stentor.
pub fn is_own(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(HEAD.len() as u64).read_to_end(&mut start)?;
    Ok(start == HEAD.as_bytes())
}

/// What Nagios left last is not lost: it is set aside before the first time that it is replaced.
fn keep_of_others(path: &Path) -> io::Result<()> {
    match is_own(path) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(ASIDE);
            let aside = path.with_file_name(name);
            tracing::info!("what Nagios left in {} is kept as {}", path.display(), aside.display());
            std::fs::rename(path, aside)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes `objects.cache`; trouble with it is logged and stops nobody.
pub async fn write_object_cache(cache: ObjectCache) {
    let ObjectCache { path, objects } = cache;
    Whole::new(&path).replace(move |to| dump_to(&objects, |piece| to.write_all(piece.as_bytes()))).await;
}

/// A file that is written again and again.
struct Whole {
    path: PathBuf,
    /// A disk that does not answer: nothing more is asked of it before it does.
    stuck: Option<JoinHandle<io::Result<()>>>,
    in_trouble: bool,
}

impl Whole {
    fn new(path: &Path) -> Whole {
        Whole { path: path.to_owned(), stuck: None, in_trouble: false }
    }

    /// Trouble with the file is logged once, and once when it is over.
    async fn replace(&mut self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) {
        let done = self.try_replace(fill).await;
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

    async fn try_replace(
        &mut self,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let slow = || io::Error::new(io::ErrorKind::TimedOut, "the disk does not take it");
        if self.stuck.as_ref().is_some_and(|stuck| !stuck.is_finished()) {
            return Err(slow());
        }
        self.stuck = None;
        let path = self.path.clone();
        // A large site takes a while, in which others want to go on.
        let mut writing = tokio::task::spawn_blocking(move || replace(&path, fill));
        match tokio::time::timeout(WRITE_WITHIN, &mut writing).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => Err(io::Error::other(error)),
            Err(_) => {
                self.stuck = Some(writing);
                Err(slow())
            }
        }
    }
}

/// Writes beside the file and moves it there: no reader sees half of it.
fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let write = || {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(HEAD.as_bytes())?;
        fill(&mut file)?;
        std::fs::rename(&beside, path)
    };
    let done = write();
    if done.is_err() {
        // What is left of it helps nobody; the first error is the one to tell.
        let _ = std::fs::remove_file(&beside);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("var/status.dat");
        for text in ["info {\n\t}\n", "b"] {
            replace(&path, |to| to.write_all(text.as_bytes())).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{HEAD}{text}"));
        }
        assert_eq!(std::fs::read_dir(folder.path().join("var")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.dat");
        std::fs::create_dir_all(path.join("inside")).unwrap();
        assert!(replace(&path, |to| to.write_all(b"x")).is_err());
        assert!(replace(&folder.path().join("new"), |_| Err(io::Error::other("no"))).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_retention_file_of_nagios_is_kept_and_one_of_ours_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("retention.dat");
        keep_of_others(&path).unwrap();
        std::fs::write(&path, "# of Nagios\ninfo {\n}\n").unwrap();
        keep_of_others(&path).unwrap();
        let kept = folder.path().join("retention.dat.nagios");
        replace(&path, |to| to.write_all(b"ours")).unwrap();
        keep_of_others(&path).unwrap();
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "# of Nagios\ninfo {\n}\n");
        assert!(is_own(&path).unwrap());
    }
}
