//! Results that other programs leave in `check_result_path`: files `c??????` with a companion `.ok` when they are whole.
//! Each is handed in, made durable, and deleted; one that is wrong is set aside with a warning.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stentor_core::engine::{ResultSource, Took};
use stentor_core::model::{ObjectKey, Observation};
use stentor_core::{Span, Timestamp};
use stentor_wire::nagios::retention::unescape;
use tokio::fs;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::passive;
use crate::clock::Clock;
use crate::config::NagiosSettings;
use crate::engine::{Handle, KeyedResult, Refused};

/// `c` and six letters, as mkstemp(3) makes them.
const NAME_LENGTH: usize = 7;
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Ends the name of a file that is set aside.
const ASIDE: &str = "bad";

/// The folder and who is told.
#[derive(Clone)]
pub struct Spool {
    folder: PathBuf,
    age_max: Duration,
    engine: Handle,
    clock: Clock,
}

/// One result of a file.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    object: ObjectKey,
    source: ResultSource,
    observed_at: Timestamp,
    observation: Observation,
    took: Took,
}

impl Spool {
    /// `None` = no `check_result_path` is configured.
    pub fn start(
        settings: &NagiosSettings,
        engine: Handle,
        clock: Clock,
        stop: CancellationToken,
    ) -> Option<JoinHandle<()>> {
        let (folder, age_max) = (settings.check_result_path.clone()?, settings.check_result_age_max);
        let every = settings.check_result_every;
        let spool = Spool { folder, age_max, engine, clock };
        Some(tokio::spawn(async move {
            let mut in_trouble = false;
            loop {
                match spool.look().await {
                    Ok(()) => in_trouble = false,
                    Err(Trouble::Stopping) => return,
                    // The folder is made by whoever leaves files in it.
                    Err(Trouble::Disk(error)) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(Trouble::Disk(error)) => {
                        if !std::mem::replace(&mut in_trouble, true) {
                            tracing::error!(%error, "results in `{}` cannot be read", spool.folder.display());
                        }
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(every) => {}
                }
            }
        }))
    }

    /// Takes every whole file that is there now, the oldest name first.
    async fn look(&self) -> Result<(), Trouble> {
        let mut names = Vec::new();
        let mut entries = fs::read_dir(&self.folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.len() == NAME_LENGTH && name.starts_with('c') && !name.contains('.') {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            let path = self.folder.join(&name);
            let companion = path.with_extension("ok");
            if fs::try_exists(&companion).await? {
                self.take(&name, &path).await?;
                // The companion last: without it a file that is left is not read again.
                fs::remove_file(&companion).await?;
            }
        }
        Ok(())
    }

    async fn take(&self, name: &str, path: &Path) -> Result<(), Trouble> {
        let about = fs::symlink_metadata(path).await?;
        let shown = path.display();
        if !about.is_file() || about.len() > FILE_BYTES_MAX {
            return self.set_aside(path, "it is no plain file of a possible size").await;
        }
        let written = about.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = self.clock.now();
        let age = now.as_millis().saturating_sub(i64::try_from(written.as_millis()).unwrap_or(i64::MAX));
        if !self.age_max.is_zero() && i128::from(age) > i128::try_from(self.age_max.as_millis()).unwrap_or(i128::MAX) {
            tracing::warn!("results in {shown} are older than max_check_result_file_age and are dropped");
            return Ok(fs::remove_file(path).await?);
        }
        let found = match read(&String::from_utf8_lossy(&fs::read(path).await?), now) {
            Ok(found) => found,
            Err(why) => return self.set_aside(path, &why).await,
        };
        for (i, one) in found.into_iter().enumerate() {
            // A file that could not be deleted is not applied twice.
            let id = Some(format!("spool/{name}/{}/{i}", written.as_millis()).into());
            let Found { object, source, observed_at, observation, took } = one;
            let observation = Arc::new(observation);
            self.engine.post_result(KeyedResult { object, observed_at, source, observation, id, took }).await?;
        }
        self.engine.flush().await?;
        Ok(fs::remove_file(path).await?)
    }

    async fn set_aside(&self, path: &Path, why: &str) -> Result<(), Trouble> {
        let aside = path.with_extension(ASIDE);
        tracing::warn!("results in {} cannot be used ({why}): set aside as {}", path.display(), aside.display());
        Ok(fs::rename(path, aside).await?)
    }
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error("the engine is stopping")]
    Stopping,
}

impl From<Refused> for Trouble {
    fn from(_: Refused) -> Trouble {
        Trouble::Stopping
    }
}

/// Results of a file, separated by empty lines. One that is wrong makes all of it wrong: nobody knows what it meant.
fn read(text: &str, now: Timestamp) -> Result<Vec<Found>, String> {
    let mut all = Vec::new();
    let mut fields: Vec<(&str, &str)> = Vec::new();
    for (at, line) in text.lines().chain([""]).enumerate() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            let one = std::mem::take(&mut fields);
            if one.iter().any(|(key, _)| *key == "host_name") {
                all.push(result(&one, now).map_err(|why| format!("before line {}: {why}", at + 1))?);
            }
            continue;
        }
        let pair = line.split_once('=').ok_or_else(|| format!("line {} is no `key=value`", at + 1))?;
        fields.push(pair);
    }
    if all.is_empty() { Err("it holds no result".to_owned()) } else { Ok(all) }
}

fn result(fields: &[(&str, &str)], now: Timestamp) -> Result<Found, String> {
    let text = |key: &str| fields.iter().rev().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let flag = |key: &str, or: bool| text(key).map_or(or, |value| value.trim() != "0");
    let host = text("host_name").filter(|name| !name.is_empty()).ok_or("no host_name")?;
    let service = text("service_description").filter(|name| !name.is_empty());
    let code = text("return_code").and_then(|code| code.trim().parse::<i32>().ok()).ok_or("no return_code")?;
    let output = unescape(text("output").unwrap_or_default());
    let is_passive = flag("check_type", false);
    let ended = flag("exited_ok", true) && !flag("early_timeout", false);
    // Nagios: a check that did not end well is CRITICAL, a host DOWN.
    let code = if ended {
        code
    } else if service.is_none() && is_passive {
        1
    } else {
        2
    };
    let observation = if service.is_none() && is_passive {
        passive::of_host(code, &output).ok_or_else(|| format!("{code} is no state of a host"))?
    } else {
        passive::of_service(code, &output)
    };
    // A day is more than any run or wait.
    let seconds = |key: &str| text(key)?.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    let span = |seconds: f64| Span::from_millis((seconds.clamp(0.0, 86_400.0) * 1000.0) as i64);
    let run = seconds("finish_time").zip(seconds("start_time")).map_or(0.0, |(finish, start)| finish - start);
    let took = Took { latency: seconds("latency").map_or(Span::ZERO, span), run: span(run) };
    let seen = seconds("finish_time").or_else(|| seconds("start_time"));
    let observed_at = seen.map_or(now, |at| Timestamp::from_millis((at * 1000.0) as i64));
    Ok(Found {
        object: ObjectKey { host: host.into(), service: service.map(Into::into) },
        source: if is_passive { ResultSource::Passive } else { ResultSource::Active },
        observed_at: observed_at.min(now),
        observation,
        took,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stentor_core::model::{HostState, Outcome, ServiceState};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(2000);
    const FILE: &str = "### Active Check Result File ###\nfile_time=1000\n\n### Nagios Service Check Result ###\n\
        host_name=web1\nservice_description=Disk\ncheck_type=1\nlatency=0.1\nstart_time=1000.25\nfinish_time=1001.5\n\
        early_timeout=0\nexited_ok=1\nreturn_code=1\noutput=DISK WARNING|a=1\\nlong=line\n\nhost_name=web1\ncheck_type=1\n\
        return_code=1\noutput=gone\n\nhost_name=web1\nservice_description=Disk\ncheck_type=0\nexited_ok=0\nreturn_code=0\n\
        finish_time=9999999\noutput=\n";

    #[test]
    fn a_file_holds_several_results() {
        let found = read(FILE, NOW).unwrap();
        let outcomes: Vec<_> = found.iter().map(|one| (one.source, one.observation.outcome)).collect();
        assert_eq!(
            outcomes,
            [
                (ResultSource::Passive, Outcome::Reported(ServiceState::Warning)),
                (ResultSource::Passive, Outcome::ReportedHost(HostState::Down)),
                (ResultSource::Active, Outcome::Reported(ServiceState::Critical)),
            ]
        );
        assert_eq!((&*found[0].observation.text, &*found[0].observation.long_text), ("DISK WARNING", "long=line"));
        assert_eq!(found[0].took, Took { latency: Span::from_millis(100), run: Span::from_millis(1250) });
        let times: Vec<_> = found.iter().map(|one| one.observed_at.as_millis()).collect();
        assert_eq!(times, [1_001_500, 2_000_000, 2_000_000], "nothing was seen in the future");
    }

    #[test]
    fn a_file_that_is_wrong_is_wrong_as_a_whole() {
        for (text, why) in [
            ("", "it holds no result"),
            ("file_time=1\n", "it holds no result"),
            ("host_name=a\nrubbish\n", "line 2 is no `key=value`"),
            ("host_name=a\noutput=x\n", "before line 3: no return_code"),
            ("host_name=a\ncheck_type=1\nreturn_code=7\n", "before line 4: 7 is no state of a host"),
        ] {
            assert_eq!(read(text, NOW), Err(why.to_owned()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|([a-z_]{1,12}=[0-9.e+-]{0,20}\\n)*", cut in 0..FILE.len()) {
            let _ = read(&text, NOW);
            let _ = read(FILE.get(..cut).unwrap_or_default(), NOW);
        }
    }
}
