//! `parity`: what files and packages of this host are like: told for the comparison with its partners, or compared here
//! with what was saved of a partner or in the backup.

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_core::parity::DIGESTS;
use stentor_wire::manifest::{Manifest, differences, parse};

use super::look::{Lane, from_io, look};
use super::tool::{Tool, missing, refusal};
use super::view::ToolRun;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Files and packages of one check; beyond that, several checks are the better way.
pub const NAMED_MAX: usize = 500;
/// Differences in the headline.
const SHOWN_MAX: usize = 3;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub files: Vec<String>,
    pub packages: Vec<String>,
    /// What `sha256sum` and `rpm -q` or `dpkg-query -W` print on the partner; empty = only tell what is here.
    pub saved: String,
    /// Before `sha256sum`: `["sudo", "-n"]`.
    pub prefix: Vec<String>,
}

pub struct Parity {
    view: Arc<dyn HostView>,
    config: Config,
    hash: Tool,
    rpm: Tool,
    dpkg: Tool,
}

impl Probe for Parity {
    const KIND: &'static str = "parity";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/parity.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |why: &str| Err(BuildError { message: format!("probe `parity`: {why}") });
        let absolute = |path: &String| path.starts_with('/');
        if !config.files.iter().all(absolute) || !(config.saved.is_empty() || absolute(&config.saved)) {
            return refuse("`files` and `saved` are absolute paths");
        }
        let odd = |name: &String| name.is_empty() || name.starts_with('-');
        if config.packages.iter().any(odd) || config.files.len() + config.packages.len() > NAMED_MAX {
            return refuse("`packages` are names, and no more than 500 with the files");
        }
        if config.files.is_empty() && config.packages.is_empty() {
            return refuse("it needs `files`, `packages`, or both");
        }
        let command: Vec<String> = match config.prefix.as_slice() {
            [] => Vec::new(),
            prefix => prefix.iter().cloned().chain(["sha256sum".to_owned()]).collect(),
        };
        let hash = Tool::new(&["sha256sum"], &command)?;
        let (rpm, dpkg) = (Tool::new(&["rpm"], &[])?, Tool::new(&["dpkg-query"], &[])?);
        Ok(Parity { view: Arc::clone(&env.view), config, hash, rpm, dpkg })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let saved = if self.config.saved.is_empty() { None } else { Some(self.saved(deadline).await?) };
        let mut here = Manifest::new();
        if !self.config.files.is_empty() {
            here.extend(self.files(deadline).await?);
        }
        if !self.config.packages.is_empty() {
            here.extend(self.packages(deadline).await?);
        }
        Ok(match saved {
            Some(saved) => observe(&here, &saved, &self.config),
            None => tell(&here, &self.config),
        })
    }
}

impl Parity {
    async fn saved(&self, deadline: Deadline) -> Result<Manifest, ProbeError> {
        let file = self.config.saved.clone();
        let saved = look(&self.view, Lane::FileSystems, deadline, move |view| Ok(view.read(&file))).await?;
        let saved = parse(&saved.map_err(|error| from_io(&error))?);
        if saved.is_empty() {
            return Err(ProbeError::Failed(format!("{} names no file and no package", self.config.saved)));
        }
        Ok(saved)
    }

    async fn files(&self, deadline: Deadline) -> Result<Manifest, ProbeError> {
        let mut args = vec!["--"];
        args.extend(self.config.files.iter().map(String::as_str));
        let Some(run) = self.hash.run(&self.view, &args, deadline).await? else {
            return Err(missing(&self.hash, "coreutils"));
        };
        // A file that is not there is a difference; one that may not be read is not known.
        let other = |line: &&str| !line.trim().is_empty() && !line.contains("No such file or directory");
        if run.stderr.lines().any(|line| other(&line)) {
            return Err(refusal(&self.hash, &run, "a file cannot be read"));
        }
        let here = parse(&run.stdout);
        // A name with blanks stands in quotes there.
        let gone = |file: &String| ["", "'"].map(|quote| format!("{file}{quote}: No such file"));
        let is_told =
            |file: &String| here.contains_key(file) || gone(file).iter().any(|gone| run.stderr.contains(gone.as_str()));
        match self.config.files.iter().find(|file| !is_told(file)) {
            Some(file) => Err(refusal(&self.hash, &run, &format!("nothing is said of {file}"))),
            None => Ok(here),
        }
    }

    async fn packages(&self, deadline: Deadline) -> Result<Manifest, ProbeError> {
        let names = self.config.packages.iter().map(String::as_str);
        let ask = |first: &[&'static str]| first.iter().copied().chain(names.clone()).collect::<Vec<&str>>();
        // A package that is not installed ends both tools with 1: that is a difference.
        let rpm = ["-q", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n", "--"];
        let by_rpm = match self.rpm.run(&self.view, &ask(&rpm), deadline).await? {
            Some(run) => Some(self.told_by(&self.rpm, &run, |name| format!("package {name} is not installed"))?),
            None => None,
        };
        // Of Debian rpm is a package like any other, and knows none.
        if let Some(found) = by_rpm.as_ref().filter(|found| !found.is_empty()) {
            return Ok(found.clone());
        }
        let dpkg = ["-W", "-f", "${db:Status-Status} ${Package} ${Version}\\n", "--"];
        match (self.dpkg.run(&self.view, &ask(&dpkg), deadline).await?, by_rpm) {
            (Some(run), _) => self.told_by(&self.dpkg, &run, |name| format!("no packages found matching {name}")),
            (None, Some(none)) => Ok(none),
            (None, None) => Err(missing(&self.rpm, "neither rpm nor dpkg-query")),
        }
    }

    /// What a package tool printed. Of each package it must have said something: a database that cannot be read is not a
    /// host without packages.
    fn told_by(&self, tool: &Tool, run: &ToolRun, not_there: impl Fn(&str) -> String) -> Result<Manifest, ProbeError> {
        let lines: Vec<&str> = run.stdout.lines().chain(run.stderr.lines()).collect();
        let here = parse(&run.stdout.lines().map(installed).collect::<Vec<_>>().join("\n"));
        let is_told = |name: &String| {
            let not_there = not_there(name);
            // Of a package that was removed dpkg tells in what state it is.
            let removed = |line: &str| line.split(' ').nth(1) == Some(name.as_str());
            here.contains_key(name) || lines.iter().any(|line| line.ends_with(&not_there) || removed(line))
        };
        match self.config.packages.iter().find(|name| !is_told(name)) {
            Some(name) => Err(refusal(tool, run, &format!("nothing is said of the package {name}"))),
            None => Ok(here),
        }
    }
}

/// Package and version of a line of `dpkg-query`, if it is installed. An old one does not know the state; rpm has none.
fn installed(line: &str) -> &str {
    const WHOLE: [&str; 3] = ["installed", "triggers-awaited", "triggers-pending"];
    const BROKEN: [&str; 5] = ["not-installed", "config-files", "half-installed", "unpacked", "half-configured"];
    match line.split_once(' ') {
        Some((state, rest)) if WHOLE.contains(&state) => rest,
        Some((state, _)) if BROKEN.contains(&state) => "",
        Some(_) | None => line,
    }
}

/// What is here, for whoever compares it with others.
fn tell(here: &Manifest, config: &Config) -> Observation {
    let names = || config.files.iter().chain(&config.packages);
    let value = |name: &String| here.get(name).map_or(Value::Null, |value| value.as_str().into());
    let digests: Value = names().map(|name| (name.clone(), value(name))).collect();
    let missing: Vec<&str> = names().filter(|name| !here.contains_key(*name)).map(String::as_str).collect();
    let text = match missing.as_slice() {
        [] => format!("{} files and packages were read", names().count()),
        missing => format!("{} files and packages were read, missing here: {}", names().count(), missing.join(", ")),
    };
    Observation::observed(text).fact(DIGESTS, digests).fact("missing", missing)
}

fn observe(here: &Manifest, saved: &Manifest, config: &Config) -> Observation {
    // The saved list may hold more than this check is about.
    let asked = |name: &String| config.files.contains(name) || config.packages.contains(name);
    let there: Manifest =
        saved.iter().filter(|(name, _)| asked(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    let drift = differences(here, &there);
    let compared = config.files.len() + config.packages.len();
    let text = match drift.as_slice() {
        [] => format!("{compared} files and packages are as saved"),
        drift => {
            let shown: Vec<&str> = drift.iter().take(SHOWN_MAX).map(String::as_str).collect();
            format!("{} of {compared} are not as saved: {}", drift.len(), shown.join(", "))
        }
    };
    Observation::observed(text)
        .long(drift.join("\n"))
        .fact("compared", compared)
        .fact("differences", drift.len())
        .fact("drift", drift.clone())
        .measure("differences", drift.len() as f64, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_view::LocalView;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{build, number, plain_env, run_on, text};

    const A: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const B: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    const PARAMS: &str = r#"{"files":["/etc/a","/etc/b"],"packages":["eucalyptus","drbd"],"saved":"/var/lib/partner"}"#;

    fn host(saved: &str, hashes: (i32, &str, &str)) -> Arc<SimView> {
        let run = |code, stdout: &str, stderr: &str| ToolRun {
            code: Some(code),
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        let rpm = "rpm -q --queryformat %{NAME} %{VERSION}-%{RELEASE}\\n -- eucalyptus drbd";
        let tools = [
            ("sha256sum -- /etc/a /etc/b".to_owned(), run(hashes.0, hashes.1, hashes.2)),
            (rpm.to_owned(), run(1, "eucalyptus 4.4.2-1.el7\npackage drbd is not installed\n", "")),
        ];
        let view = SimView::of(SimHost { tools: tools.into(), ..SimHost::default() });
        view.put("/var/lib/partner", saved);
        Arc::new(view)
    }

    #[tokio::test]
    async fn what_differs_from_the_partner_is_named() {
        let saved =
            format!("{A}  /etc/a\n{A}  /etc/b\neucalyptus-4.4.1-1.el7.x86_64\ndrbd-8.4-1.x86_64\n{A}  /etc/other\n");
        let here = (1, &*format!("{B}  /etc/a\n"), "sha256sum: /etc/b: No such file or directory\n");
        let seen = run_on("parity", PARAMS, host(&saved, here)).await.expect("observed");
        let told = "[/etc/a differs, /etc/b is missing here, drbd is missing here, eucalyptus differs]";
        assert_eq!((text(&seen, "drift"), number(&seen, "differences")), (told.into(), 4.0));
    }

    #[tokio::test]
    async fn without_a_saved_list_everything_is_told_also_what_is_missing() {
        let params = PARAMS.replace(r#","saved":"/var/lib/partner""#, "");
        let here = (1, &*format!("{B}  /etc/a\n"), "sha256sum: /etc/b: No such file or directory\n");
        let seen = run_on("parity", &params, host("", here)).await.expect("observed");
        let told = format!(r#"{{"/etc/a":"{B}","/etc/b":null,"drbd":null,"eucalyptus":"4.4.2-1.el7"}}"#);
        let digests = seen.facts.get(DIGESTS).expect("told");
        assert_eq!(serde_json::to_string(digests).expect("JSON"), told);
        assert_eq!(text(&seen, "missing"), "[/etc/b, drbd]");
    }

    #[tokio::test]
    async fn silence_of_a_tool_is_no_missing_package_and_no_missing_file() {
        let run = |stdout: &str, stderr: &str| ToolRun { code: Some(1), stdout: stdout.into(), stderr: stderr.into() };
        let rpm = "rpm -q --queryformat %{NAME} %{VERSION}-%{RELEASE}\\n -- drbd".to_owned();
        let dpkg = "dpkg-query -W -f ${db:Status-Status} ${Package} ${Version}\\n -- drbd".to_owned();
        let none = "package drbd is not installed\n";
        for (tools, wanted) in [
            (vec![(rpm.clone(), run("", "error: cannot open Packages database\n"))], None),
            (vec![(rpm.clone(), run(none, ""))], Some("null")),
            (vec![(rpm.clone(), run(none, "")), (dpkg.clone(), run("installed drbd 9-1\n", ""))], Some("9-1")),
            (vec![(dpkg.clone(), run("", "dpkg-query: no packages found matching drbd\n"))], Some("null")),
            (vec![(dpkg.clone(), run("config-files drbd 9-1\n", ""))], Some("null")),
            (vec![(dpkg.clone(), run(" drbd 8-1\n", ""))], Some("8-1")),
            (vec![(dpkg.clone(), run("triggers-awaited drbd 8-2\n", ""))], Some("8-2")),
            (vec![(dpkg, run("", "dpkg-query: error: cannot read\n"))], None),
        ] {
            let view = Arc::new(SimView::of(SimHost { tools: tools.iter().cloned().collect(), ..SimHost::default() }));
            let seen = run_on("parity", r#"{"packages":["drbd"]}"#, view).await;
            let told =
                seen.as_ref().ok().and_then(|seen| seen.facts.get(DIGESTS)?.get("drbd")).map(ToString::to_string);
            assert_eq!(told.as_deref(), wanted, "{tools:?}: {seen:?}");
        }
        let params = r#"{"files":["/etc/a","/etc/b"]}"#;
        assert!(run_on("parity", params, host("", (0, &format!("{A}  /etc/a\n"), ""))).await.is_err());
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_known() {
        let saved = format!("{A}  /etc/a\n");
        let denied = run_on("parity", PARAMS, host(&saved, (1, "", "sha256sum: /etc/a: Permission denied\n"))).await;
        assert!(matches!(denied, Err(ProbeError::MissingRight(_))), "{denied:?}");
        let empty = run_on("parity", PARAMS, host("nothing to see here\n", (0, "", ""))).await;
        assert!(empty.is_err(), "{empty:?}");
    }

    #[tokio::test]
    async fn the_real_tools_are_understood() {
        let folder = tempfile::tempdir().expect("folder");
        let (file, saved) = (folder.path().join("a.conf"), folder.path().join("saved"));
        std::fs::write(&file, "foo").expect("file");
        std::fs::write(&saved, format!("{B}  {}\n", file.display())).expect("file");
        let params = format!(r#"{{"files":["{}"],"saved":"{}"}}"#, file.display(), saved.display());
        let seen = run_on("parity", &params, Arc::new(LocalView::default())).await.expect("observed");
        assert_eq!(number(&seen, "differences"), 0.0, "{}", seen.text);
        std::fs::write(&file, "bar").expect("file");
        let seen = run_on("parity", &params, Arc::new(LocalView::default())).await.expect("observed");
        assert_eq!(number(&seen, "differences"), 1.0);
    }

    #[test]
    fn odd_parameters_are_refused() {
        for params in [
            r#"{"saved":"/s"}"#,
            r#"{"files":["a"],"saved":"/s"}"#,
            r#"{"files":["/a"],"saved":"s"}"#,
            r#"{"packages":["--root=/x"],"saved":"/s"}"#,
        ] {
            assert!(build("parity", params, &plain_env()).is_err(), "{params}");
        }
    }
}
