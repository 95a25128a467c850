//! Files of performance data, a line for each result, for the tools that draw graphs: `host_perfdata_file`,
//! `service_perfdata_file` and the commands that take them away. Each file has a task of its own: one that hangs costs
//! its own lines and holds up nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use prometheus::{IntCounter, Registry};
use stentor_core::engine::switch::Side;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Interval, interval};

use crate::clock::Clock;
use crate::config::nagios::{PerfdataFile, PerfdataMode, PerfdataSettings};
use crate::engine::Handle;
use crate::probes::exec::{End, run_line};

/// Lines of one file that may wait: half a minute of a large site while a command takes the file away.
const LINES_MAX: usize = 65_536;
/// Lines that are written together.
const BATCH_MAX: usize = 1024;
/// A disk that takes longer loses what it was given meanwhile.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// What the writers need of the world.
pub struct Parts<'a> {
    pub engine: Handle,
    pub clock: Clock,
    pub registry: &'a Registry,
}

/// The writers of both files.
pub struct Perfdata {
    hosts: mpsc::Sender<String>,
    services: mpsc::Sender<String>,
    dropped: IntCounter,
    tasks: [JoinHandle<()>; 2],
}

impl Perfdata {
    /// `settings` may change while it runs: a reload.
    ///
    /// # Errors
    /// The metric has been registered before.
    pub fn start(parts: &Parts<'_>, settings: &watch::Receiver<PerfdataSettings>) -> prometheus::Result<Perfdata> {
        let dropped = IntCounter::new(
            "stentor_nagios_perfdata_dropped_total",
            "Lines that a file of performance data could not take.",
        )?;
        parts.registry.register(Box::new(dropped.clone()))?;
        let writer = |side: Side| {
            let (lines, inbox) = mpsc::channel(LINES_MAX);
            let writer = Writer {
                side,
                settings: settings.clone(),
                engine: parts.engine.clone(),
                clock: parts.clock.clone(),
                dropped: dropped.clone(),
                file: None,
                next: None,
                stuck: None,
                in_trouble: false,
            };
            (lines, tokio::spawn(writer.serve(inbox)))
        };
        let ((hosts, of_hosts), (services, of_services)) = (writer(Side::Hosts), writer(Side::Services));
        Ok(Perfdata { hosts, services, dropped, tasks: [of_hosts, of_services] })
    }

    /// Hands lines over; never waits.
    pub fn take(&self, lines: Vec<(Side, String)>) {
        for (side, line) in lines {
            let to = match side {
                Side::Hosts => &self.hosts,
                Side::Services => &self.services,
            };
            if to.try_send(line).is_err() {
                self.dropped.inc();
            }
        }
    }

    /// Returns when what was handed over is written, or cannot be.
    pub async fn stop(self) {
        drop((self.hosts, self.services));
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a writer of performance data did not stop cleanly");
            }
        }
    }
}

/// The writer of one file.
struct Writer {
    side: Side,
    settings: watch::Receiver<PerfdataSettings>,
    engine: Handle,
    clock: Clock,
    dropped: IntCounter,
    file: Option<Output>,
    /// When the command takes the file away.
    next: Option<Interval>,
    /// A disk that does not answer: nothing more is asked of it before it does.
    stuck: Option<JoinHandle<io::Result<Output>>>,
    in_trouble: bool,
}

impl Writer {
    async fn serve(mut self, mut inbox: mpsc::Receiver<String>) {
        let mut wanted = self.wanted();
        let mut lines = Vec::with_capacity(BATCH_MAX);
        self.begin(wanted.as_ref()).await;
        loop {
            tokio::select! {
                biased;
                () = turn(&mut self.next) => {
                    if let Some(file) = &wanted {
                        self.process(file).await;
                    }
                }
                Ok(()) = self.settings.changed() => {
                    let now = self.wanted();
                    if now != wanted {
                        wanted = now;
                        self.file = None;
                        self.begin(wanted.as_ref()).await;
                    }
                }
                count = inbox.recv_many(&mut lines, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                    if let Some(file) = &wanted {
                        self.write(file, &lines).await;
                    }
                    lines.clear();
                }
            }
        }
    }

    fn wanted(&mut self) -> Option<PerfdataFile> {
        let settings = self.settings.borrow_and_update();
        match self.side {
            Side::Hosts => settings.hosts.clone(),
            Side::Services => settings.services.clone(),
        }
    }

    /// Opens the file at once: whoever takes it away must find it, though nothing was written yet.
    async fn begin(&mut self, wanted: Option<&PerfdataFile>) {
        self.next = wanted.and_then(|file| file.process_every).map(|every| {
            // The first turn comes after the first interval.
            let mut turns = interval(every);
            turns.reset();
            turns
        });
        if let Some(file) = wanted {
            self.write(file, &[]).await;
        }
    }

    async fn write(&mut self, wanted: &PerfdataFile, lines: &[String]) {
        let text = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
        let done = self.try_write(wanted, text).await;
        let path = wanted.path.display();
        match done {
            Ok(0) if std::mem::take(&mut self.in_trouble) => tracing::info!("{path} takes performance data again"),
            Ok(0) => {}
            Ok(lost) => {
                self.dropped.inc_by(lost);
                self.tell(|| tracing::warn!("nobody reads {path}: performance data are dropped until somebody does"));
            }
            Err(error) => {
                self.dropped.inc_by(lines.len() as u64);
                self.tell(
                    || tracing::error!(%error, "{path} takes no performance data: they are dropped until it does"),
                );
            }
        }
    }

    /// Trouble is logged once, and once when it is over.
    fn tell(&mut self, say: impl FnOnce()) {
        if !std::mem::replace(&mut self.in_trouble, true) {
            say();
        }
    }

    /// How many lines nobody took.
    async fn try_write(&mut self, wanted: &PerfdataFile, text: String) -> io::Result<u64> {
        if self.stuck.as_ref().is_some_and(|stuck| !stuck.is_finished()) {
            return Err(slow());
        }
        self.stuck = None;
        let (open, wanted) = (self.file.take(), wanted.clone());
        let mut writing = tokio::task::spawn_blocking(move || {
            let mut file = match open {
                Some(file) => file,
                None => Output::open(&wanted.path, wanted.mode)?,
            };
            file.write(&text)?;
            Ok(file)
        });
        match tokio::time::timeout(WRITE_WITHIN, &mut writing).await {
            Ok(Ok(Ok(mut file))) => {
                let lost = std::mem::take(&mut file.lost);
                self.file = Some(file);
                Ok(lost)
            }
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(error)) => Err(io::Error::other(error)),
            Err(_) => {
                self.stuck = Some(writing);
                Err(slow())
            }
        }
    }

    /// Closes the file, runs the command that takes it away, and opens what is there then.
    async fn process(&mut self, wanted: &PerfdataFile) {
        if let Some(turns) = &mut self.next {
            turns.reset();
        }
        let run = {
            let snapshot = self.engine.snapshot();
            let program = &snapshot.program.in_force;
            let call = match self.side {
                Side::Hosts => &program.host_perfdata_file_command,
                Side::Services => &program.service_perfdata_file_command,
            };
            let Some(call) = call else { return };
            snapshot.macros(self.clock.now()).program_command(call)
        };
        self.file = None;
        match run {
            Ok(run) => {
                let (name, timeout) = (&run.name, self.settings.borrow().command_timeout);
                match run_line(&run.line, &run.environment, timeout).await {
                    Ok(ran) if ran.end == End::Exited(0) => {}
                    Ok(ran) => tracing::warn!(command = %name, end = ?ran.end, said = %ran.said,
                        "{name} did not take the performance data in {} away", wanted.path.display()),
                    Err(error) => tracing::warn!(command = %name, %error, "{name} cannot be run: {error}"),
                }
            }
            Err(error) => tracing::warn!(%error, "the command that processes performance data was not run: {error}"),
        }
        self.write(wanted, &[]).await;
    }
}

fn slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
}

async fn turn(next: &mut Option<Interval>) {
    match next {
        Some(turns) => {
            turns.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// An open file or pipe.
struct Output {
    file: File,
    is_pipe: bool,
    /// What a full pipe left of a line that it had begun to take.
    rest: Vec<u8>,
    /// Lines that a full pipe did not take.
    lost: u64,
}

impl Output {
    fn open(path: &Path, mode: PerfdataMode) -> io::Result<Output> {
        let mut options = OpenOptions::new();
        match mode {
            PerfdataMode::Append => options.create(true).append(true),
            PerfdataMode::Write => options.create(true).write(true).truncate(true),
            // For reading too: so opening needs no reader, and losing the last one is no error.
            PerfdataMode::Pipe => options.read(true).write(true).custom_flags(NONBLOCK),
        };
        if mode != PerfdataMode::Pipe
            && let Some(folder) = path.parent()
        {
            std::fs::create_dir_all(folder)?;
        }
        let file = options.open(path)?;
        Ok(Output { file, is_pipe: mode == PerfdataMode::Pipe, rest: Vec::new(), lost: 0 })
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if !self.is_pipe {
            return self.file.write_all(text.as_bytes());
        }
        for line in text.split_inclusive('\n') {
            let line = line.as_bytes();
            if !self.finish()? {
                self.lost += 1;
                continue;
            }
            match self.file.write(line) {
                Ok(taken) => self.rest = line.get(taken..).unwrap_or_default().to_vec(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.lost += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// False = a line that was begun is still not taken to its end.
    fn finish(&mut self) -> io::Result<bool> {
        if self.rest.is_empty() {
            return Ok(true);
        }
        match self.file.write(&self.rest) {
            Ok(taken) => {
                self.rest.drain(..taken);
                Ok(self.rest.is_empty())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// `O_NONBLOCK` as the standard library wants it.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn pipe(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("perfdata");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        path
    }

    #[test]
    fn a_pipe_without_reader_takes_what_it_holds_and_whole_lines_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(folder.path());
        let mut output = Output::open(&path, PerfdataMode::Pipe).unwrap();
        let line = format!("{}\n", "x".repeat(5000));
        let count = 40;
        output.write(&line.repeat(count)).unwrap();
        assert!(output.lost > 0 && output.lost < count as u64, "{} lost", output.lost);
        let mut reader = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(&path).unwrap();
        let mut taken = vec![0; 1 << 20];
        let mut seen = Vec::new();
        let mut read = |seen: &mut Vec<u8>| {
            while let Ok(count) = reader.read(&mut taken) {
                seen.extend_from_slice(&taken[..count]);
            }
        };
        read(&mut seen);
        output.write("last\n").unwrap();
        read(&mut seen);
        let text = String::from_utf8(seen).unwrap();
        let wrong: Vec<_> = text.lines().filter(|seen| seen.len() != 5000 && *seen != "last").collect();
        assert_eq!(wrong, [""; 0]);
        assert_eq!(text.lines().count() as u64, count as u64 - output.lost + 1);
    }

    #[test]
    fn a_file_is_added_to_or_begun_anew_as_its_mode_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("var/perfdata");
        for (mode, wanted) in
            [(PerfdataMode::Append, "a\n"), (PerfdataMode::Append, "a\na\n"), (PerfdataMode::Write, "a\n")]
        {
            Output::open(&path, mode).unwrap().write("a\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), wanted, "{mode:?}");
        }
        assert!(Output::open(&folder.path().join("none"), PerfdataMode::Pipe).is_err(), "a pipe is not made");
    }
}
