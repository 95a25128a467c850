//! `exec`: runs any Nagios plugin unchanged: own process group, deadline kills the group, output capped, no shell
//! unless the command line needs one. Never judges: the plugin's exit code is the state.

mod child;
mod command;
mod executor;
mod report;
mod spawn;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::Deserialize;
use stentor_core::macros::Held;
use stentor_core::model::{ObjectKey, Observation, UnknownCause};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};
use child::{Finished, PIPE_BYTES_MAX, Plan};
use spawn::Environment;

pub use child::{End, Run, raise_descriptor_limit};
#[doc(hidden)]
pub use command::CommandLine;
pub use report::{CUT_MARK, Ended, cut, observation, reported};

/// What plugins find as their search path; ours may hold anything.
const CHILD_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables of ours that plugins get too; everything else, secrets among it, stays here.
const INHERITED: [&str; 2] = ["HOME", "TZ"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A command line, or a list of words.
    pub command: Words,
    /// Added to the plugin's environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub timeout_state: TimeoutState,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Words {
    Line(String),
    List(Vec<String>),
}

/// The state of a plugin that did not finish (`service_check_timeout_state`).
#[derive(Copy, Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum TimeoutState {
    Ok,
    Warning,
    #[default]
    Critical,
    Unknown,
}

#[derive(Debug)]
pub struct Exec {
    command: CommandLine,
    env: Arc<Environment>,
    timeout_state: TimeoutState,
}

impl Probe for Exec {
    const KIND: &'static str = "exec";
    const DOC: &'static str = include_str!("../../../docs/probes/exec.md");
    type Config = Config;

    fn build(config: Config, _env: &ProbeEnv) -> Result<Self, BuildError> {
        let command = match &config.command {
            Words::Line(line) => CommandLine::parse(line),
            Words::List(words) => CommandLine::from_words(words),
        };
        let command = command.map_err(|e| BuildError { message: e.to_string() })?;
        Ok(Exec { command, env: Arc::new(environment(config.env)?), timeout_state: config.timeout_state })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let limit_s = deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        let args = self.command.args(target).map_err(|e| ProbeError::Failed(e.to_string()))?;
        let program = self.command.program();
        match start(
            Plan { program: program.to_owned(), args, env: Arc::clone(&self.env), keep: PIPE_BYTES_MAX },
            deadline,
        )
        .await
        {
            Ok(finished) => Ok(report::of_run(&finished, limit_s, self.timeout_state, None)),
            Err(e) => not_started(program, &e),
        }
    }
}

/// What a command line left that was run for its effect: a notification command, an event handler.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    pub end: End,
    /// The beginning of standard output, or of standard error if that is empty.
    pub said: String,
}

/// Runs a line whose macros are filled in, in a process group of its own that is killed after `timeout`.
///
/// # Errors
/// It cannot be started.
pub async fn run_line(line: &Held, env: &[(Arc<str>, Arc<str>)], timeout: Duration) -> io::Result<Ran> {
    let finished = start(plan_of(line, env)?, Instant::now() + timeout).await?;
    let blank = finished.stdout.bytes.iter().all(u8::is_ascii_whitespace);
    let said = if blank { &finished.stderr.bytes } else { &finished.stdout.bytes };
    Ok(Ran { end: finished.end, said: String::from_utf8_lossy(said).trim().to_owned() })
}

/// Runs the command of a Nagios check; `done` is called once, by a thread that must not be held up. Whatever comes of
/// it, it is a result. Dropping what is returned ends the run at once.
pub fn submit_plugin(
    line: &Held,
    env: &[(Arc<str>, Arc<str>)],
    timeout: Duration,
    asked: ObjectKey,
    done: impl FnOnce(Observation) + Send + 'static,
) -> Option<Run> {
    let (plan, deadline) = match plan_of(line, env) {
        Ok(plan) => (plan, std::time::Instant::now() + timeout),
        Err(e) => {
            done(report::of_missing(127, &e.to_string()));
            return None;
        }
    };
    let program = plan.program.clone();
    let judged = move |ended: io::Result<Finished>| {
        done(match ended {
            Ok(finished) => report::of_run(&finished, timeout.as_secs_f64(), TimeoutState::default(), Some(&asked)),
            Err(e) => not_started(&program, &e)
                .unwrap_or_else(|e| Observation::failed(UnknownCause::ProbeError, e.to_string())),
        });
    };
    match executor::submit(plan, deadline, Box::new(judged)) {
        Ok(run) => Some(run),
        Err(e) => {
            tracing::error!(error = %e, "no plugin can be run");
            None
        }
    }
}

/// What a line whose macros are filled in runs.
fn plan_of(line: &Held, env: &[(Arc<str>, Arc<str>)]) -> io::Result<Plan> {
    /// What all of them get that want nothing more.
    static PLAIN: LazyLock<Option<Arc<Environment>>> =
        LazyLock::new(|| Environment::new(&inherited()).ok().map(Arc::new));
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let (program, args) = CommandLine::from_held(line).map_err(|e| invalid(e.to_string()))?.into_parts();
    let env = match &*PLAIN {
        Some(plain) if env.is_empty() => Arc::clone(plain),
        _ => {
            let named = env.iter().map(|(name, value)| (name.to_string(), value.replace('\0', ""))).collect();
            Arc::new(environment(named).map_err(|e| invalid(e.message))?)
        }
    };
    Ok(Plan { program, args, env, keep: PIPE_BYTES_MAX })
}

/// What a tool of the system left.
#[derive(Debug)]
pub struct ToolEnd {
    pub end: End,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// It printed more than is kept.
    pub is_cut: bool,
}

/// Runs a tool of the system in the C locale, under the same rules as a plugin.
///
/// # Errors
/// It cannot be started.
pub async fn run_tool(program: &Path, args: Vec<OsString>, keep: usize, deadline: Deadline) -> io::Result<ToolEnd> {
    let env = environment(BTreeMap::from([("LC_ALL".to_owned(), "C".to_owned())])).map_err(io::Error::other)?;
    let plan = Plan { program: program.to_owned(), args, env: Arc::new(env), keep };
    let Finished { end, stdout, stderr } = start(plan, deadline).await?;
    Ok(ToolEnd { end, is_cut: stdout.is_cut, stdout: stdout.bytes, stderr: stderr.bytes })
}

/// Starts a program and waits for it.
async fn start(plan: Plan, deadline: Deadline) -> io::Result<Finished> {
    let (tx, ended) = oneshot::channel();
    // Whoever does not wait any more has let go of the run, too.
    let _run = executor::submit(plan, deadline.into_std(), Box::new(move |result| drop(tx.send(result))))?;
    ended.await.unwrap_or_else(|e| Err(io::Error::other(e)))
}

fn inherited() -> BTreeMap<OsString, OsString> {
    let mut env: BTreeMap<OsString, OsString> =
        [("PATH", CHILD_PATH), ("LANG", "C")].map(|(name, value)| (name.into(), value.into())).into();
    env.extend(INHERITED.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?))));
    env
}

fn environment(configured: BTreeMap<String, String>) -> Result<Environment, BuildError> {
    let mut env = inherited();
    for (name, value) in configured {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(BuildError { message: format!("`{name}` of `env` is no name or value of a variable") });
        }
        env.insert(name.into(), value.into());
    }
    Environment::new(&env).map_err(|e| BuildError { message: e.to_string() })
}

/// A missing or forbidden program is what a shell reports as 127 and 126; anything else is this machine's trouble.
fn not_started(program: &Path, error: &io::Error) -> Result<Observation, ProbeError> {
    let why = format!("{}: {error}", program.display());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(report::of_missing(127, &why)),
        io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory => Ok(report::of_missing(126, &why)),
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            Ok(report::of_missing(126, &why))
        }
        _ => Err(ProbeError::Failed(format!("cannot start {why}"))),
    }
}

#[cfg(test)]
mod tests;
