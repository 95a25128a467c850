//! A host seen from inside: files below /proc and /sys, file systems, processes, units.
//! The real machine and the demo's simulated hosts implement the same trait.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// One file system's space and inodes.
#[derive(Clone, Debug, PartialEq)]
pub struct FsUsage {
    pub mount: String,
    pub fs_type: String,
    pub bytes_total: u64,
    pub bytes_free: u64,
    /// Free for ordinary users.
    pub bytes_available: u64,
    pub inodes_total: u64,
    pub inodes_free: u64,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub pid: u32,
    /// `R`, `S`, `D`, `Z`, `T`.
    pub state: char,
    /// Name of the executable (comm).
    pub name: String,
    /// Full command line, arguments separated by blanks.
    pub command_line: String,
    pub user_id: u32,
    /// Seconds since it started.
    pub age_s: u64,
    pub rss_bytes: u64,
}

/// A service-manager unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unit {
    pub name: String,
    /// `loaded`, `not-found`, `masked`.
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    /// `running`, `dead`, `exited`, `auto-restart`, …
    pub sub: String,
    pub main_pid: Option<u32>,
    /// Status that its main process ended with; `None` while it runs, or if a signal ended it.
    pub exit_code: Option<i32>,
    /// Times that the service manager has started it again by itself.
    pub restarts: Option<u32>,
    /// Why it does not run: `exit-code`, `oom-kill`, `start-limit-hit`, …; `success` otherwise.
    pub result: String,
}

/// What a tool of the host (`smartctl`, `storcli64`) printed and how it ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolRun {
    /// Exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Where a host's tools are.
#[derive(Clone)]
pub enum Tools {
    /// On this machine.
    Here,
    /// The host only exists in memory: this is what the tool says there; `None` = it is not installed.
    Said(Option<ToolRun>),
    /// On another machine, that is reached by a program of this one.
    Remote(Arc<dyn RemoteTool>),
}

/// How tools of another machine are run.
pub trait RemoteTool: Send + Sync {
    /// Opens the way there; may block.
    ///
    /// # Errors
    /// The machine cannot be reached.
    fn prepare(&self) -> io::Result<()>;
    /// Program and arguments of this machine that run these words on the other one.
    fn command(&self, words: &[String]) -> (PathBuf, Vec<OsString>);
    /// Whether the way was lost, rather than the tool ended so.
    fn is_lost(&self, code: Option<i32>) -> bool;
    /// Whether there is no such tool.
    fn is_missing(&self, code: Option<i32>) -> bool;
}

/// Read-only, synchronous; callers run it on a blocking thread where it may hang (`file_systems`).
pub trait HostView: Send + Sync {
    /// Contents of a file, e.g. `/proc/mdstat`.
    fn read(&self, path: &str) -> io::Result<String>;
    /// Several files in one look; each with its own answer.
    fn read_many(&self, paths: &[String]) -> Vec<io::Result<String>> {
        paths.iter().map(|path| self.read(path)).collect()
    }
    /// Names in a directory, sorted, e.g. `/proc/net/bonding`.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    /// The mounted file systems that hold data (no pseudo file systems), or exactly those named.
    fn file_systems(&self, mounts: &[String]) -> io::Result<Vec<FsUsage>>;
    fn processes(&self) -> io::Result<Vec<Process>>;
    /// `Ok(None)` if there is no such unit.
    fn unit(&self, name: &str) -> io::Result<Option<Unit>>;
    /// Seconds since the host booted.
    fn uptime_s(&self) -> io::Result<f64>;
    /// Who runs `tool` with these arguments, or what it says.
    fn tools(&self, _tool: &str, _args: &[&str]) -> Tools {
        Tools::Said(None)
    }
    /// Looks go over a network and may take long: they must not take the seats of local ones.
    fn is_remote(&self) -> bool {
        false
    }
}

/// No host to look at: for probes that are only tried for their parameters, or never look from inside.
pub struct Blind;

impl HostView for Blind {
    fn read(&self, _: &str) -> io::Result<String> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn list(&self, _: &str) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn file_systems(&self, _: &[String]) -> io::Result<Vec<FsUsage>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn processes(&self) -> io::Result<Vec<Process>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn unit(&self, _: &str) -> io::Result<Option<Unit>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn uptime_s(&self) -> io::Result<f64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
