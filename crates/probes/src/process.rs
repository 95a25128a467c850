//! `process`: is a program running on the host, how many of it, and does it still move.

use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;
use stentor_core::Span;
use stentor_core::model::Observation;

use super::look::{Lane, look};
use super::view;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

pub struct Process {
    view: Arc<dyn HostView>,
    pattern: Regex,
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Regular expression, sought in the command line, or in the name where there is none.
    pub pattern: String,
    /// Only processes of this user: a name of /etc/passwd or a number.
    #[serde(default)]
    pub user: Option<String>,
    /// Fewer than this are too few.
    #[serde(default = "one")]
    pub min: usize,
    /// More than this are too many.
    #[serde(default)]
    pub max: Option<usize>,
}

fn one() -> usize {
    1
}

/// Processes named in the long text.
const LISTED_MAX: usize = 50;
/// Letters of a command line that are shown.
const COMMAND_CHARS_MAX: usize = 160;

impl Probe for Process {
    const KIND: &'static str = "process";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/process.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let pattern = Regex::new(&config.pattern)
            .map_err(|e| BuildError { message: format!("pattern of probe `process`: {e}") })?;
        if config.max.is_some_and(|max| max < config.min) {
            return Err(BuildError { message: "probe `process`: max is below min".into() });
        }
        Ok(Process { view: Arc::clone(&env.view), pattern, config })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let names_needed = self.config.user.as_deref().is_some_and(|user| user.parse::<u32>().is_err());
        let (processes, passwd) = look(&self.view, Lane::Kernel, deadline, move |view| {
            let passwd = if names_needed { view.read("/etc/passwd")? } else { String::new() };
            Ok((view.processes()?, passwd))
        })
        .await?;
        let user_id = match &self.config.user {
            None => None,
            Some(user) => Some(
                user_id(user, &passwd)
                    .ok_or_else(|| ProbeError::Failed(format!("there is no user `{user}` on this host")))?,
            ),
        };
        let found: Vec<&view::Process> = processes
            .iter()
            // A zombie has ended; only its entry is left.
            .filter(|process| !matches!(process.state, 'Z' | 'X'))
            .filter(|process| user_id.is_none_or(|id| process.user_id == id))
            .filter(|process| self.matches(process))
            .collect();
        Ok(self.observe(&found))
    }
}

impl Process {
    fn matches(&self, process: &view::Process) -> bool {
        // Kernel threads have no command line.
        let line = if process.command_line.is_empty() { &process.name } else { &process.command_line };
        self.pattern.is_match(line)
    }

    fn observe(&self, found: &[&view::Process]) -> Observation {
        let count = found.len();
        // Uninterruptible or stopped, every one of them: it holds its port but will not answer.
        let stuck = found.iter().filter(|process| matches!(process.state, 'D' | 'T' | 't')).count();
        let word = match count {
            0 => "absent",
            _ if stuck == count => "hung",
            _ => "running",
        };
        let within = count >= self.config.min && self.config.max.is_none_or(|max| count <= max);
        let pattern = &self.config.pattern;
        let text = match word {
            "absent" => format!("no process matches `{pattern}`"),
            "hung" => format!("all {count} processes of `{pattern}` are blocked or stopped"),
            _ if !within => format!("{count} processes match `{pattern}`, wanted {}", self.wanted()),
            _ if count == 1 => format!("1 process matches `{pattern}`"),
            _ => format!("{count} processes match `{pattern}`"),
        };
        let listed = found.iter().take(LISTED_MAX).map(|process| {
            let shown: String = process.command_line.chars().take(COMMAND_CHARS_MAX).collect();
            let age = Span::from_secs(i64::try_from(process.age_s).unwrap_or(i64::MAX));
            format!("{} {} {} for {age}: {shown}", process.pid, process.name, process.state)
        });
        let rss: u64 = found.iter().map(|process| process.rss_bytes).fold(0, u64::saturating_add);
        let mut seen = Observation::observed(text)
            .long(listed.collect::<Vec<_>>().join("\n"))
            .fact("process", word)
            .fact("count", count)
            .fact("stuck", stuck)
            .fact("within", within)
            .measure("count", count as f64, "")
            .measure("rss", rss as f64, "B");
        let ages = found.iter().map(|process| process.age_s);
        if let (Some(youngest), Some(oldest)) = (ages.clone().min(), ages.max()) {
            seen = seen.fact("youngest_s", youngest as f64).fact("oldest_s", oldest as f64);
        }
        seen
    }

    fn wanted(&self) -> String {
        match self.config.max {
            Some(max) => format!("{} to {max}", self.config.min),
            None => format!("at least {}", self.config.min),
        }
    }
}

/// A number as it is, a name by `name:x:uid:…` of passwd(5).
fn user_id(user: &str, passwd: &str) -> Option<u32> {
    if let Ok(id) = user.parse() {
        return Some(id);
    }
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(user) {
            return None;
        }
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{build, number, plain_env, run_on, text};

    /// State, command line, user, age.
    type Row = (char, &'static str, u32, u64);

    fn host(processes: &[Row]) -> Arc<SimView> {
        let processes = processes
            .iter()
            .zip(100..)
            .map(|((state, command_line, user_id, age_s), pid)| view::Process {
                pid,
                state: *state,
                name: "java".into(),
                command_line: (*command_line).into(),
                user_id: *user_id,
                age_s: *age_s,
                rss_bytes: 4096,
            })
            .collect();
        let files =
            [("/etc/passwd".to_owned(), "root:x:0:0::/root:/bin/sh\neuca:x:107:107::/:/bin/false\n".to_owned())];
        Arc::new(SimView::of(SimHost { processes, files: files.into(), ..SimHost::default() }))
    }

    #[tokio::test]
    async fn a_process_runs_is_absent_or_hangs() {
        let table: &[(&[Row], &str, f64)] = &[
            (&[('S', "eucalyptus-cloud --x", 107, 50)], "running", 1.0),
            (&[('D', "eucalyptus-cloud", 107, 50), ('S', "eucalyptus-cloud", 107, 5)], "running", 2.0),
            (&[('D', "eucalyptus-cloud", 107, 50), ('T', "eucalyptus-cloud", 107, 5)], "hung", 2.0),
            (&[('Z', "eucalyptus-cloud", 107, 50)], "absent", 0.0),
            (&[('S', "nginx", 107, 50)], "absent", 0.0),
            (&[('S', "eucalyptus-cloud", 0, 50)], "absent", 0.0),
        ];
        for (processes, word, count) in table {
            let params = r#"{"pattern":"^eucalyptus-cloud\\b","user":"euca"}"#;
            let seen = run_on("process", params, host(processes)).await.expect("observed");
            assert_eq!(text(&seen, "process"), *word, "{processes:?}");
            assert_eq!(number(&seen, "count"), *count, "{processes:?}");
        }
    }

    #[tokio::test]
    async fn ages_and_counts_are_facts() {
        let view = host(&[('S', "worker 1", 0, 900), ('R', "worker 2", 0, 20), ('R', "worker 3", 0, 30)]);
        let seen = run_on("process", r#"{"pattern":"worker","max":2}"#, view).await.expect("observed");
        assert_eq!((number(&seen, "youngest_s"), number(&seen, "oldest_s")), (20.0, 900.0));
        assert_eq!(text(&seen, "within"), "false");
        assert!(seen.text.contains("wanted 1 to 2"), "{}", seen.text);
    }

    #[tokio::test]
    async fn an_unknown_user_is_unknown_not_absent() {
        let seen = run_on("process", r#"{"pattern":"x","user":"nobody9"}"#, host(&[])).await;
        assert!(matches!(seen, Err(ProbeError::Failed(_))), "{seen:?}");
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for params in [r#"{"pattern":"("}"#, r#"{"pattern":"x","min":3,"max":2}"#, "{}", r#"{"pattern":"x","nim":1}"#] {
            assert!(build("process", params, &plain_env()).is_err(), "{params}");
        }
    }
}
