//! `parity`: does the configuration of this host equal the one that was saved of its partner, or in the backup?

use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::manifest::{Manifest, differences, parse};

use super::look::{Lane, from_io, look};
use super::tool::{Tool, missing, refusal};
use super::view::ToolRun;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Files and packages of one check; beyond that, several checks are the better way.
const NAMED_MAX: usize = 500;
/// Differences in the headline.
const SHOWN_MAX: usize = 3;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub files: Vec<String>,
    pub packages: Vec<String>,
    /// What `sha256sum` and `rpm -q` or `dpkg-query -W` print on the partner.
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
        if !config.files.iter().all(absolute) || !absolute(&config.saved) {
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
        let file = self.config.saved.clone();
        let saved = look(&self.view, Lane::FileSystems, deadline, move |view| Ok(view.read(&file))).await?;
        let saved = parse(&saved.map_err(|error| from_io(&error))?);
        if saved.is_empty() {
            return Err(ProbeError::Failed(format!("{} names no file and no package", self.config.saved)));
        }
        let mut here = Manifest::new();
        if !self.config.files.is_empty() {
            here.extend(self.files(deadline).await?);
        }
        if !self.config.packages.is_empty() {
            here.extend(self.packages(deadline).await?);
        }
        Ok(observe(&here, &saved, &self.config))
    }
}

impl Parity {
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
        Ok(parse(&run.stdout))
    }

    async fn packages(&self, deadline: Deadline) -> Result<Manifest, ProbeError> {
        let names = self.config.packages.iter().map(String::as_str);
        let ask = |first: &[&'static str]| first.iter().copied().chain(names.clone()).collect::<Vec<&str>>();
        let read = |run: ToolRun| parse(&run.stdout);
        // A package that is not installed ends both tools with 1: that is a difference.
        let rpm = ["-q", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n", "--"];
        if let Some(run) = self.rpm.run(&self.view, &ask(&rpm), deadline).await? {
            return Ok(read(run));
        }
        let dpkg = ["-W", "-f", "${Package} ${Version}\\n", "--"];
        match self.dpkg.run(&self.view, &ask(&dpkg), deadline).await? {
            Some(run) => Ok(read(run)),
            None => Err(missing(&self.rpm, "neither rpm nor dpkg-query")),
        }
    }
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
            r#"{"files":["/a"]}"#,
            r#"{"packages":["--root=/x"],"saved":"/s"}"#,
        ] {
            assert!(build("parity", params, &plain_env()).is_err(), "{params}");
        }
    }
}
