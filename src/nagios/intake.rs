//! Lines of external commands from those who may send everything: the command pipe, and files that it names. Lines are
//! carried out in their order; one that is wrong is counted and logged, and nothing else is disturbed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntCounter, Registry};
use stentor_core::engine::{Command, CommandInput, ResultSource, Took};
use stentor_core::{Span, Timestamp};
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use super::desk::Desk;
use super::external::{self, Order, World, describe};
use super::lines::{Completed, Lines};
use crate::clock::Clock;
use crate::engine::{Handle, KeyedResult, Refused};

/// A file of commands may name another one, but not for ever.
const FILES_DEEP_MAX: usize = 4;
/// More is no file of commands.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
const FILE_READ_BYTES: usize = 64 * 1024;
/// A file that gives nothing for so long is given up: it may be a pipe that nobody writes.
const FILE_READ_WITHIN: Duration = Duration::from_secs(10);
/// Refusals that are logged each; of more only their number is, until this span is over.
const TOLD_MAX: u32 = 10;
const TOLD_SPAN: Span = Span::from_secs(10);
/// Of a wrong line no more than this is logged.
const SHOWN_CHARS_MAX: usize = 200;

/// Who carries lines out.
pub struct Intake {
    engine: Handle,
    clock: Clock,
    desk: Desk,
    nobody: Arc<str>,
    taken: IntCounter,
    results: IntCounter,
    refused: IntCounter,
    told: Told,
}

/// Keeps a flood of wrong lines from becoming a flood of log lines.
#[derive(Debug, Default)]
struct Told {
    since: Timestamp,
    count: u32,
    silent: u64,
}

/// The answer that a line of this batch waits for.
struct Waiting {
    line: Arc<str>,
    answer: oneshot::Receiver<Result<stentor_core::engine::Reply, Refused>>,
}

impl Intake {
    /// # Errors
    /// A figure of that name is registered already.
    pub fn new(engine: Handle, clock: Clock, desk: Desk, registry: &Registry) -> Result<Intake, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Intake {
            engine,
            clock,
            desk,
            nobody: Arc::default(),
            taken: counter("stentor_nagios_commands_total", "External commands taken from the command pipe.")?,
            results: counter("stentor_nagios_passive_results_total", "Passive results taken from the command pipe.")?,
            refused: counter("stentor_nagios_commands_refused_total", "Lines of the command pipe that were refused.")?,
            told: Told::default(),
        })
    }

    /// Carries out what a piece of input completed; returns when all of it is done.
    ///
    /// # Errors
    /// The engine is stopping.
    pub async fn take(&mut self, done: Completed) -> Result<(), Refused> {
        for _ in 0..done.too_long {
            self.refuse("", "the line is too long").await;
        }
        self.carry_out(done.lines, 0).await
    }

    async fn carry_out(&mut self, lines: Vec<String>, deep: usize) -> Result<(), Refused> {
        let mut waiting = Vec::new();
        let mut snapshot = self.engine.snapshot();
        for line in lines {
            // Only here: who sends lines by another way has no need to say when.
            if !line.starts_with('[') {
                self.refuse(&line, "a line begins with `[`, epoch seconds, `]` and a blank").await;
                continue;
            }
            self.desk.seen.count_command();
            let world = World {
                catalog: &snapshot.catalog,
                downtimes: &snapshot.downtimes,
                comments: &snapshot.comments,
                now: self.clock.now(),
                user: &self.nobody,
            };
            match external::order(&line, &world) {
                Ok(Order::Result { object, observed_at, observation }) => {
                    if snapshot.catalog.object_id(&object).is_none() {
                        self.refuse(&line, &format!("there is no {}", describe(&object))).await;
                        continue;
                    }
                    let observation = Arc::new(observation);
                    let source = ResultSource::Passive;
                    self.engine
                        .post_result(KeyedResult {
                            object,
                            observed_at,
                            source,
                            observation,
                            id: None,
                            took: Took::default(),
                        })
                        .await?;
                    self.results.inc();
                }
                Ok(Order::Commands(commands)) => self.post(&line, commands, &mut waiting).await?,
                Ok(Order::Program(command)) => {
                    self.log(&line).await?;
                    match self.desk.carry_out(command, &self.engine).await {
                        Ok(()) => self.taken.inc(),
                        Err(why) => self.refuse(&line, &why).await,
                    }
                }
                Ok(Order::File { path, delete }) => {
                    self.log(&line).await?;
                    self.answered(&mut waiting).await?;
                    match self.file(Path::new(&path), delete, deep).await? {
                        Ok(()) => self.taken.inc(),
                        Err(why) => self.refuse(&line, &why).await,
                    }
                    snapshot = self.engine.snapshot();
                }
                Err(why) => self.refuse(&line, &why).await,
            }
        }
        self.answered(&mut waiting).await
    }

    /// The first command of a line carries its words, so that it is logged once.
    async fn post(&self, line: &str, commands: Vec<Command>, waiting: &mut Vec<Waiting>) -> Result<(), Refused> {
        let words = external::words_of(line);
        for (i, command) in commands.into_iter().enumerate() {
            let raw = (i == 0).then(|| Arc::clone(&words));
            let answer = self.engine.post_order(CommandInput { command, raw, id: None }).await?;
            waiting.push(Waiting { line: Arc::clone(&words), answer });
        }
        Ok(())
    }

    /// Logs a line that the engine has no part in.
    async fn log(&self, line: &str) -> Result<(), Refused> {
        let raw = Some(external::words_of(line));
        drop(self.engine.post_order(CommandInput { command: Command::Nothing, raw, id: None }).await?);
        Ok(())
    }

    async fn answered(&mut self, waiting: &mut Vec<Waiting>) -> Result<(), Refused> {
        for Waiting { line, answer } in waiting.drain(..) {
            match answer.await.map_err(|_| Refused::Stopping)? {
                Ok(_) => self.taken.inc(),
                Err(Refused::Stopping) => return Err(Refused::Stopping),
                // The engine has logged the line itself.
                Err(Refused::Command(why)) => {
                    self.refused.inc();
                    self.tell(&line, &why.to_string());
                }
            }
        }
        Ok(())
    }

    /// The commands of a file; `Ok(Err)` says why it was not read.
    async fn file(&mut self, path: &Path, delete: bool, deep: usize) -> Result<Result<(), String>, Refused> {
        if deep >= FILES_DEEP_MAX {
            return Ok(Err("files of commands name one another".to_owned()));
        }
        let mut file = match open_plain(path).await {
            Ok(file) => file,
            Err(error) => return Ok(Err(format!("`{}` cannot be read: {error}", path.display()))),
        };
        let mut lines = Lines::default();
        let mut bytes = vec![0; FILE_READ_BYTES];
        loop {
            let read = match tokio::time::timeout(FILE_READ_WITHIN, file.read(&mut bytes)).await {
                Ok(Ok(read)) => read,
                Ok(Err(error)) => return Ok(Err(format!("`{}` cannot be read: {error}", path.display()))),
                Err(_) => return Ok(Err(format!("`{}` gives nothing", path.display()))),
            };
            let done = if read == 0 { lines.end() } else { lines.push(bytes.get(..read).unwrap_or_default()) };
            for _ in 0..done.too_long {
                self.refuse("", "a line of the file is too long").await;
            }
            Box::pin(self.carry_out(done.lines, deep + 1)).await?;
            if read == 0 {
                break;
            }
        }
        if delete && let Err(error) = tokio::fs::remove_file(path).await {
            return Ok(Err(format!("`{}` cannot be removed: {error}", path.display())));
        }
        Ok(Ok(()))
    }

    /// Counts a wrong line, and says so as far as the log bears it: to operators, and where Nagios says it.
    async fn refuse(&mut self, line: &str, why: &str) {
        self.refused.inc();
        if self.tell(line, why) {
            let text = format!("Error: External command failed -> {}", shown(&external::words_of(line))).into();
            let input = CommandInput { command: Command::Log { text }, raw: None, id: None };
            // An engine that stops logs no more.
            let _ = self.engine.post_order(input).await;
        }
    }

    fn tell(&mut self, line: &str, why: &str) -> bool {
        let silent = match self.told.ask(self.clock.now()) {
            Some(silent) => silent,
            None => return false,
        };
        if silent > 0 {
            tracing::warn!(refused = silent, "{silent} more external commands were refused");
        }
        tracing::warn!(line = %shown(line), "external command refused: {why}");
        true
    }
}

impl Told {
    /// `Some` if one more may be told now, with the number of those that were not.
    fn ask(&mut self, at: Timestamp) -> Option<u64> {
        if at.since(self.since) >= TOLD_SPAN || at < self.since {
            self.since = at;
            self.count = 0;
        }
        if self.count >= TOLD_MAX {
            self.silent += 1;
            return None;
        }
        self.count += 1;
        Some(std::mem::take(&mut self.silent))
    }
}

/// A pipe or device could block or never end: only plain files are read.
async fn open_plain(path: &Path) -> std::io::Result<tokio::fs::File> {
    use std::io::{Error, ErrorKind};
    let found = tokio::fs::metadata(path).await?;
    if !found.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no plain file"));
    }
    if found.len() > FILE_BYTES_MAX {
        return Err(Error::new(ErrorKind::FileTooLarge, "it is too large for a file of commands"));
    }
    tokio::fs::File::open(path).await
}

fn shown(line: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut out: String = line.chars().map(visible).take(SHOWN_CHARS_MAX).collect();
    if line.chars().nth(SHOWN_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_told_by_its_number() {
        let mut told = Told::default();
        let start = Timestamp::from_secs(1000);
        let asked: Vec<Option<u64>> = (0..15).map(|_| told.ask(start)).collect();
        assert_eq!(asked.iter().filter(|one| one.is_some()).count(), TOLD_MAX as usize);
        assert_eq!(told.ask(start + TOLD_SPAN), Some(5));
        assert_eq!(told.ask(start + TOLD_SPAN), Some(0));
    }

    #[test]
    fn what_is_logged_of_a_line_is_short_and_harmless() {
        assert_eq!(shown("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
        assert_eq!(shown(&"ü".repeat(1000)).chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
