//! `backup`: the newest artifact of a backup, or the mark it leaves: is there one, how old is it, how large, did it fail.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::backup::{Artifact, LISTING, Mark, median, parse_listing, parse_mark};

use super::clock::Clock;
use super::look::{Lane, from_io, look};
use super::tool::{Tool, missing, refusal};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Artifacts before the newest whose sizes are usual.
const PREVIOUS_MAX: usize = 10;
/// Folders below the named one that are looked into, at most.
const DEPTH_MAX: u8 = 16;

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    File,
    Directory,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of the artifacts.
    #[serde(default)]
    pub path: Option<String>,
    /// Their names, with `*`.
    #[serde(default = "any")]
    pub name: String,
    #[serde(default = "one")]
    pub depth: u8,
    #[serde(default)]
    pub artifact: Kind,
    /// File that the backup writes when it ends.
    #[serde(default)]
    pub mark: Option<String>,
    /// Program that prints such a mark.
    #[serde(default)]
    pub command: Vec<String>,
    /// Before `find`: `["sudo", "-n"]`.
    #[serde(default)]
    pub prefix: Vec<String>,
}

fn any() -> String {
    "*".to_owned()
}

fn one() -> u8 {
    1
}

/// Where the word of a backup comes from.
enum Source {
    Listing { find: Tool, args: Vec<String> },
    Mark(String),
    Command(Tool),
}

pub struct Backup {
    view: Arc<dyn HostView>,
    clock: Clock,
    source: Source,
}

impl Probe for Backup {
    const KIND: &'static str = "backup";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/backup.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| BuildError { message: format!("probe `backup`: {why}") };
        let absolute = |path: &String| path.starts_with('/') && !path.contains('\0');
        let source = match (&config.path, &config.mark, config.command.is_empty()) {
            (Some(path), None, true) if absolute(path) => {
                if config.depth == 0 || config.depth > DEPTH_MAX || config.name.is_empty() {
                    return Err(refuse("`depth` is from 1 to 16, `name` is not empty"));
                }
                Source::Listing { find: find(&config)?, args: arguments(path, &config) }
            }
            // The packs name a folder; who has a mark need not take that away.
            (_, Some(mark), true) if absolute(mark) => Source::Mark(mark.clone()),
            (_, None, false) => Source::Command(Tool::new(&["backup command"], &config.command)?),
            (_, _, _) => return Err(refuse("it needs one of `path`, `mark` (absolute) and `command`")),
        };
        Ok(Backup { view: Arc::clone(&env.view), clock: env.clock.clone(), source })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let now_s = self.clock.now().as_millis() as f64 / 1000.0;
        match &self.source {
            Source::Listing { find, args } => {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let Some(run) = find.run(&self.view, &args, deadline).await? else {
                    return Err(missing(find, "findutils"));
                };
                if run.stderr.contains("No such file or directory") && run.stdout.is_empty() {
                    return Ok(absent("missing", "the folder of the backup does not exist"));
                }
                if run.code != Some(0) {
                    return Err(refusal(find, &run, "the folder cannot be listed"));
                }
                Ok(of_artifacts(&parse_listing(&run.stdout), now_s))
            }
            Source::Mark(path) => {
                let file = path.clone();
                let read = look(&self.view, Lane::FileSystems, deadline, move |view| Ok(view.read(&file))).await?;
                match read {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        Ok(absent("never", "no backup has left its mark yet"))
                    }
                    Err(error) => Err(from_io(&error)),
                    Ok(text) => of_mark(parse_mark(&text), now_s),
                }
            }
            Source::Command(tool) => match tool.run(&self.view, &[], deadline).await? {
                None => Err(missing(tool, "the `command` of this check")),
                Some(run) if run.code == Some(0) => of_mark(parse_mark(&run.stdout), now_s),
                Some(run) => Err(refusal(tool, &run, "it failed")),
            },
        }
    }
}

fn find(config: &Config) -> Result<Tool, BuildError> {
    let command: Vec<String> = match config.prefix.as_slice() {
        [] => Vec::new(),
        prefix => prefix.iter().cloned().chain(["find".to_owned()]).collect(),
    };
    Tool::new(&["find"], &command)
}

fn arguments(path: &str, config: &Config) -> Vec<String> {
    let kind = if config.artifact == Kind::Directory { "d" } else { "f" };
    let depth = config.depth.to_string();
    let words = [path, "-mindepth", "1", "-maxdepth", &depth, "-type", kind, "-name", &config.name, "-printf", LISTING];
    words.map(str::to_owned).to_vec()
}

/// There is none: `never` = nothing was ever made, `missing` = the place for it is not there.
fn absent(word: &str, text: &str) -> Observation {
    Observation::observed(text).fact("backup", word)
}

fn hours(age_s: f64) -> String {
    if age_s < 2.0 * 3600.0 { format!("{:.0} min", age_s / 60.0) } else { format!("{:.1} h", age_s / 3600.0) }
}

fn of_artifacts(artifacts: &[Artifact], now_s: f64) -> Observation {
    let Some(newest) = artifacts.first() else {
        return absent("never", "no backup has been made yet");
    };
    let age_s = now_s - newest.at_s;
    let usual = median(artifacts.iter().skip(1).take(PREVIOUS_MAX).map(|artifact| artifact.bytes).collect());
    let text = format!("{} is {} old, {} bytes, of {}", newest.name, hours(age_s), newest.bytes, artifacts.len());
    let seen = Observation::observed(text)
        .fact("backup", "done")
        .fact("newest", newest.name.as_str())
        .fact("artifacts", artifacts.len());
    measured(seen, age_s, Some(newest.bytes), usual)
}

fn of_mark(mark: Option<Mark>, now_s: f64) -> Result<Observation, ProbeError> {
    let Some(mark) = mark else {
        return Err(ProbeError::Failed("it is no mark of a backup: neither `status=` nor `at=`".into()));
    };
    let word = if mark.is_failed() { "failed" } else { "done" };
    let age_s = mark.at_s.map(|at_s| now_s - at_s);
    let age = age_s.map_or("at a time it does not say".to_owned(), |age_s| format!("{} ago", hours(age_s)));
    let note = if mark.message.is_empty() { String::new() } else { format!(": {}", mark.message) };
    let ended = if word == "failed" { "the last backup failed" } else { "the last backup ended well" };
    let seen = Observation::observed(format!("{ended} {age}{note}")).fact("backup", word);
    Ok(match age_s {
        Some(age_s) => measured(seen, age_s, mark.bytes, None),
        None => seen,
    })
}

fn measured(seen: Observation, age_s: f64, bytes: Option<u64>, usual: Option<u64>) -> Observation {
    let mut seen = seen.fact("age_h", age_s / 3600.0).measure("age", age_s, "s");
    if let Some(bytes) = bytes {
        seen = seen.fact("bytes", bytes as f64).measure("size", bytes as f64, "B");
    }
    if let (Some(bytes), Some(usual)) = (bytes, usual.filter(|usual| *usual > 0)) {
        let change = (bytes as f64 / usual as f64 - 1.0) * 100.0;
        seen = seen.fact("usual_bytes", usual as f64).fact("size_change_pct", change.abs());
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{NOW_S, build, number, plain_env, run_on, run_on_files, text};
    use crate::view::ToolRun;

    const PARAMS: &str = r#"{"path":"/backup/db","name":"*.sql"}"#;
    const LINE: &str = "find /backup/db -mindepth 1 -maxdepth 1 -type f -name *.sql -printf %T@ %s %f\\0";

    async fn found(code: i32, stdout: &str, stderr: &str) -> Result<Observation, ProbeError> {
        let run = ToolRun { code: Some(code), stdout: stdout.into(), stderr: stderr.into() };
        let view = SimView::of(SimHost { tools: [(LINE.to_owned(), run)].into(), ..SimHost::default() });
        run_on("backup", PARAMS, Arc::new(view)).await
    }

    fn listing(rows: &[(i64, u64)]) -> String {
        rows.iter().map(|(hours, bytes)| format!("{}.0 {bytes} d{hours}.sql\0", NOW_S - hours * 3600)).collect()
    }

    #[tokio::test]
    async fn the_newest_artifact_has_an_age_and_a_usual_size() {
        let seen = found(0, &listing(&[(50, 100), (2, 40), (26, 110), (74, 90)]), "").await.expect("observed");
        assert_eq!((text(&seen, "backup"), text(&seen, "newest")), ("done".into(), "d2.sql".into()));
        assert_eq!((number(&seen, "age_h"), number(&seen, "usual_bytes")), (2.0, 100.0));
        assert_eq!(number(&seen, "size_change_pct").round(), 60.0);
    }

    #[tokio::test]
    async fn never_is_not_missing_and_neither_is_a_refusal() {
        assert_eq!(text(&found(0, "", "").await.expect("observed"), "backup"), "never");
        let none = found(1, "", "find: '/backup/db': No such file or directory\n").await.expect("observed");
        assert_eq!(text(&none, "backup"), "missing");
        let refused = found(1, "", "find: '/backup/db': Permission denied\n").await;
        assert!(matches!(refused, Err(ProbeError::MissingRight(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn a_mark_says_whether_it_failed() {
        let params = r#"{"mark":"/var/lib/backup/last"}"#;
        let mark = format!("status=failed\nat={}\nmessage=no space\n", NOW_S - 7200);
        let seen = run_on_files("backup", params, &[("/var/lib/backup/last", &mark)]).await.expect("observed");
        assert_eq!((text(&seen, "backup"), number(&seen, "age_h")), ("failed".into(), 2.0));
        assert!(seen.text.contains("no space"), "{}", seen.text);
        let never = run_on_files("backup", params, &[]).await.expect("observed");
        assert_eq!(text(&never, "backup"), "never");
        assert!(run_on_files("backup", params, &[("/var/lib/backup/last", "half a line")]).await.is_err());
    }

    #[test]
    fn one_source_and_no_other_parameters() {
        for params in [
            "{}",
            r#"{"path":"backup"}"#,
            r#"{"command":["c"],"mark":"/m"}"#,
            r#"{"mark":"m"}"#,
            r#"{"path":"/b","depth":0}"#,
            r#"{"path":"/b","dir":"x"}"#,
        ] {
            assert!(build("backup", params, &plain_env()).is_err(), "{params}");
        }
    }

    /// The real `find` over real files, through the view of this machine.
    #[tokio::test]
    async fn the_real_find_is_understood() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("a b.sql"), "12345").expect("file");
        std::fs::write(folder.path().join("other.txt"), "x").expect("file");
        let params = format!(r#"{{"path":"{}","name":"*.sql"}}"#, folder.path().display());
        let seen =
            run_on("backup", &params, Arc::new(crate::local_view::LocalView::default())).await.expect("observed");
        assert_eq!((text(&seen, "newest"), number(&seen, "bytes")), ("a b.sql".into(), 5.0));
        let gone = format!(r#"{{"path":"{}/gone"}}"#, folder.path().display());
        let seen = run_on("backup", &gone, Arc::new(crate::local_view::LocalView::default())).await.expect("observed");
        assert_eq!(text(&seen, "backup"), "missing");
    }
}
