//! Running the host's own tools for host-side probes: found in the usual places, in the C locale, with deadline and cap.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::exec::{End, run_tool};
use super::look::{ahead_of, from_io};
use super::view::{ToolRun, Tools};
use super::{BuildError, Deadline, HostView, ProbeError};

/// What a tool may print; more than any real one does, and a document that is cut is told.
const STDOUT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Where tools are: the system's, and where vendors of RAID controllers put theirs.
const FOLDERS: [&str; 16] = [
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/opt/MegaRAID/storcli",
    "/opt/MegaRAID/perccli",
    "/opt/MegaRAID/MegaCli",
    "/opt/smartstorageadmin/ssacli/bin",
    "/opt/hp/hpssacli/bld",
    "/opt/compaq/hpacucli/bld",
    "/usr/StorMan",
    "/opt/StorMan",
    "/usr/Arcconf",
    "/opt/bin",
];

/// A tool under the names it is known by.
#[derive(Clone, Debug)]
pub struct Tool {
    names: &'static [&'static str],
    /// Replaces the search: program and first arguments, `["sudo", "-n", "/usr/sbin/smartctl"]`.
    command: Vec<String>,
}

impl Tool {
    /// # Errors
    /// `command` is given and does not begin with an absolute path or the name of a program.
    pub fn new(names: &'static [&'static str], command: &[String]) -> Result<Tool, BuildError> {
        if let Some(first) = command.first()
            && (first.is_empty() || (first.contains('/') && !first.starts_with('/')))
        {
            return Err(BuildError { message: format!("`{first}` of `command` is no absolute path") });
        }
        if command.iter().any(|word| word.contains('\0')) {
            return Err(BuildError { message: "`command` holds a NUL byte".into() });
        }
        Ok(Tool { names, command: command.to_vec() })
    }

    /// Its name for people.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// Runs it; `Ok(None)` = it is not installed.
    ///
    /// # Errors
    /// It does not end in time, cannot be started, or printed more than can be kept.
    pub async fn run(
        &self,
        view: &Arc<dyn HostView>,
        args: &[&str],
        deadline: Deadline,
    ) -> Result<Option<ToolRun>, ProbeError> {
        match view.tools(self.name(), args) {
            Tools::Said(run) => Ok(run),
            Tools::Here => match self.found() {
                Some(program) => self.start(&program, args, deadline).await.map(Some),
                None => Ok(None),
            },
        }
    }

    /// The program and its first arguments, where it is installed.
    pub(super) fn command_line(&self) -> Option<(PathBuf, impl Iterator<Item = &String>)> {
        Some((self.found()?, self.command.iter().skip(1)))
    }

    fn found(&self) -> Option<PathBuf> {
        let in_folders = |name: &str| FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|p| p.is_file());
        match self.command.first() {
            Some(first) if first.starts_with('/') => Some(PathBuf::from(first)),
            Some(first) => in_folders(first),
            None => self.names.iter().find_map(|name| in_folders(name)),
        }
    }

    async fn start(&self, program: &Path, args: &[&str], deadline: Deadline) -> Result<ToolRun, ProbeError> {
        let own = self.command.iter().skip(1).map(OsString::from);
        let args = own.chain(args.iter().map(OsString::from)).collect();
        let told = |what: &str| format!("{}: {what}", program.display());
        let ended = run_tool(program, args, STDOUT_BYTES_MAX, ahead_of(deadline)).await.map_err(|e| {
            let said = std::io::Error::new(e.kind(), told(&e.to_string()));
            from_io(&said)
        })?;
        let code = match ended.end {
            End::TimedOut => return Err(ProbeError::Timeout(told("did not end in time and was killed"))),
            End::Exited(code) => Some(code),
            End::Signalled(_) => None,
        };
        if ended.is_cut {
            return Err(ProbeError::Failed(told("printed more than can be kept")));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(ToolRun { code, stdout: text(&ended.stdout), stderr: text(&ended.stderr) })
    }
}

/// Why a run is of no use: what the tool itself said about it.
pub fn refusal(tool: &Tool, run: &ToolRun, why: &str) -> ProbeError {
    const HINTS: [&str; 6] =
        ["permission denied", "not permitted", "must be root", "root privileges", "as root", "a password is required"];
    let said = format!("{}\n{}", run.stderr, run.stdout);
    let lower = said.to_lowercase();
    let first = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing");
    let first: String = first.chars().filter(|c| !c.is_control()).take(160).collect();
    let text = format!("{}: {why} (it said: {first})", tool.name());
    if HINTS.iter().any(|hint| lower.contains(hint)) {
        return ProbeError::MissingRight(format!("{text}; run the agent as root, or set `command` to use sudo -n"));
    }
    ProbeError::Failed(text)
}

/// The tool that a check needs is not there.
pub fn missing(tool: &Tool, package: &str) -> ProbeError {
    ProbeError::Failed(format!("{} is not installed on this host ({package})", tool.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_view::LocalView;
    use crate::testing::within;

    fn tool(command: &[&str]) -> Result<Tool, BuildError> {
        Tool::new(&["no-such-tool"], &command.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn a_tool_runs_in_the_c_locale_with_its_prefix() {
        let view: Arc<dyn HostView> = Arc::new(LocalView::default());
        let run = tool(&["env"]).expect("built").run(&view, &[], within(5000)).await.expect("ran").expect("found");
        assert!(run.stdout.lines().any(|line| line == "LC_ALL=C"), "{}", run.stdout);
        let run = tool(&["/bin/sh", "-c"]).expect("built").run(&view, &["echo no >&2; exit 3"], within(5000)).await;
        let run = run.expect("ran").expect("found");
        assert_eq!((run.code, run.stderr.as_str()), (Some(3), "no\n"));
    }

    #[tokio::test]
    async fn what_hangs_is_killed_and_what_is_not_there_is_told() {
        let view: Arc<dyn HostView> = Arc::new(LocalView::default());
        let hangs = tool(&["/bin/sleep"]).expect("built").run(&view, &["600"], within(300)).await;
        assert!(matches!(hangs, Err(ProbeError::Timeout(_))), "{hangs:?}");
        assert_eq!(tool(&[]).expect("built").run(&view, &[], within(5000)).await.expect("looked"), None);
        assert!(tool(&["bin/x"]).is_err() && tool(&["a\0"]).is_err());
    }

    #[test]
    fn a_missing_right_is_named() {
        let tool = tool(&[]).expect("built");
        let run = |stderr: &str| ToolRun { stderr: stderr.into(), ..ToolRun::default() };
        assert!(matches!(refusal(&tool, &run("sudo: a password is required"), "x"), ProbeError::MissingRight(_)));
        assert!(matches!(refusal(&tool, &run("boom"), "x"), ProbeError::Failed(_)));
    }
}
