//! Starting a process: in a group of its own, with nothing on standard input and a pipe on each output.
//!
//! Never `pre_exec`, `uid`, `gid` or a relative program here: each makes std fork this whole process instead of
//! `posix_spawn`.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, prlimit};

use super::child::Plan;

/// Descriptors of a child: `select`-based plugins cannot use numbers from FD_SETSIZE (1024) on.
const CHILD_DESCRIPTORS: u64 = 1024;

/// A process that has begun. Whoever has it must reap it.
pub struct Started {
    pub leader: Pid,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    /// Readable once it has ended; `None` where the system has no such thing (Linux before 5.3).
    pub exit_event: Option<OwnedFd>,
}

/// Starts the program; a script without `#!` is given to the shell, as by execvp and every other runner of plugins.
///
/// # Errors
/// It cannot be started.
pub fn start(plan: &Plan) -> io::Result<Started> {
    let no_exec = |e: &io::Error| e.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error());
    let mut command = Command::new(&plan.program);
    command.args(&plan.args);
    match begin(command, plan) {
        Err(e) if no_exec(&e) => {
            let mut shell = Command::new(Path::new("/bin/sh"));
            shell.arg(&plan.program).args(&plan.args);
            begin(shell, plan)
        }
        other => other,
    }
}

fn begin(mut command: Command, plan: &Plan) -> io::Result<Started> {
    let mut child = command
        .env_clear()
        .envs(&*plan.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (Some(leader), Some(stdout), Some(stderr)) = (leader, child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("the started process has no number or no pipes"));
    };
    limit_descriptors(leader);
    let exit_event = pidfd_open(leader, PidfdFlags::empty()).ok();
    Ok(Started { leader, stdout: stdout.into(), stderr: stderr.into(), exit_event })
}

/// Gives the child the usual limit if ours was raised. After the start, because before it would take a fork; a child
/// that asks within the first microseconds sees ours, which is harmless unless it opens 1024 files.
fn limit_descriptors(leader: Pid) {
    let ours = getrlimit(Resource::Nofile);
    if ours.current.is_none_or(|soft| soft > CHILD_DESCRIPTORS) {
        let limit = Rlimit { current: Some(CHILD_DESCRIPTORS), maximum: ours.maximum };
        // The child may have ended already, or have become another user's (setuid plugins such as check_icmp).
        let _ = prlimit(Some(leader), Resource::Nofile, limit);
    }
}
