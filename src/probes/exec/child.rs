//! One child process from spawn to reaping: own group, both pipes drained, never past its deadline.
//!
//! Never `pre_exec`, `uid`, `gid` or a relative program here: each makes std fork this whole process instead of
//! `posix_spawn`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, prlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

use crate::probes::Deadline;

/// Bytes of each pipe that are kept; the rest is read and thrown away so that the child never blocks.
pub const PIPE_BYTES_MAX: usize = 64 * 1024;

/// From SIGTERM to the deadline, at most; a tenth of a shorter run.
const KILL_GRACE_MAX: Duration = Duration::from_secs(1);

/// How long a pipe may stay open after the plugin itself has ended: some process it left behind holds it.
const PIPE_GRACE: Duration = Duration::from_millis(250);

/// Descriptors of a child: `select`-based plugins cannot use numbers from FD_SETSIZE (1024) on.
const CHILD_DESCRIPTORS: u64 = 1024;

/// Soft limit asked for this process: three a running check, and all sockets of native probes.
const OWN_DESCRIPTORS: u64 = 65_536;

/// Everything a spawn needs.
pub struct Plan<'a> {
    pub program: &'a Path,
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: &'a BTreeMap<OsString, OsString>,
}

/// What a child left.
#[derive(Debug)]
pub struct Finished {
    pub end: End,
    pub stdout: Captured,
    pub stderr: Captured,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum End {
    Exited(i32),
    Signalled(i32),
    /// Killed by us.
    TimedOut,
}

/// The beginning of what came through one pipe.
#[derive(Debug, Default)]
pub struct Captured {
    pub bytes: Vec<u8>,
    /// More came than is kept.
    pub is_cut: bool,
}

/// Raises our own soft limit of descriptors as far as the hard limit allows; call once at start. Returns the result.
pub fn raise_descriptor_limit() -> Option<u64> {
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(OWN_DESCRIPTORS, |hard| hard.min(OWN_DESCRIPTORS));
    if now.current.is_none_or(|soft| soft >= wanted) {
        return now.current;
    }
    let raised = Rlimit { current: Some(wanted), maximum: now.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => Some(wanted),
        Err(_) => now.current,
    }
}

/// Runs a child until it has ended, or kills its group so that all is over by `deadline`.
///
/// Dropping the future kills the group at once; the runtime reaps the leader.
///
/// # Errors
/// The child could not be started.
pub async fn run(plan: Plan<'_>, deadline: Deadline) -> io::Result<Finished> {
    let mut child = spawn(&plan)?;
    let mut group = Group::of(&child);
    group.limit_descriptors();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut kept_out, mut kept_err) = (Captured::default(), Captured::default());

    let grace = (deadline.saturating_duration_since(Instant::now()) / 10).min(KILL_GRACE_MAX);
    let terminate_at = deadline.checked_sub(grace).unwrap_or(deadline);
    let end = {
        let drained = async { tokio::join!(drain(stdout, &mut kept_out), drain(stderr, &mut kept_err)) };
        let mut pipes = std::pin::pin!(drained);
        let mut pipes_open = true;
        let mut exit = exit_of(&mut child, pipes.as_mut(), &mut pipes_open, terminate_at).await;
        let timed_out = exit.is_none();
        if timed_out {
            group.signal(Signal::TERM);
            let kill_at = deadline.checked_sub(grace / 2).unwrap_or(deadline);
            exit = exit_of(&mut child, pipes.as_mut(), &mut pipes_open, kill_at).await;
            // Also when the leader obeyed: others of its group may not have.
            group.signal(Signal::KILL);
            if exit.is_none() {
                exit_of(&mut child, pipes.as_mut(), &mut pipes_open, deadline).await;
            }
        } else if pipes_open {
            let until = terminate_at.min(Instant::now() + PIPE_GRACE);
            pipes_open = timeout_at(until, pipes.as_mut()).await.is_err();
        }
        // A pipe still open here is held by something left behind: the group stays armed and dies below.
        if !pipes_open || timed_out {
            group.release();
        }
        match exit {
            Some(status) if !timed_out => end_of(status?),
            Some(_) | None => End::TimedOut,
        }
    };
    Ok(Finished { end, stdout: kept_out, stderr: kept_err })
}

fn spawn(plan: &Plan<'_>) -> io::Result<Child> {
    Command::new(plan.program)
        .args(&plan.args)
        .env_clear()
        .envs(plan.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Waits for the exit while the pipes are drained; `None` at `until`.
async fn exit_of(
    child: &mut Child,
    mut pipes: std::pin::Pin<&mut impl Future>,
    pipes_open: &mut bool,
    until: Deadline,
) -> Option<io::Result<ExitStatus>> {
    let exit = async {
        loop {
            tokio::select! {
                biased;
                _ = pipes.as_mut(), if *pipes_open => *pipes_open = false,
                status = child.wait() => return status,
            }
        }
    };
    timeout_at(until, exit).await.ok()
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        (None, None) => End::Signalled(0),
    }
}

/// Reads to the end, keeping the beginning. A read error is an end: there is nobody to tell.
async fn drain(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Captured) {
    /// First read; plugin output is nearly always shorter.
    const FIRST_READ: usize = 2 * 1024;
    let Some(mut pipe) = pipe else { return };
    kept.bytes.reserve(FIRST_READ);
    while kept.bytes.len() < PIPE_BYTES_MAX {
        let room = (PIPE_BYTES_MAX - kept.bytes.len()) as u64;
        match (&mut pipe).take(room).read_buf(&mut kept.bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) if kept.bytes.len() == kept.bytes.capacity() => kept.bytes.reserve(kept.bytes.len()),
            Ok(_) => {}
        }
    }
    let mut rest = Vec::with_capacity(PIPE_BYTES_MAX);
    while matches!(pipe.read_buf(&mut rest).await, Ok(1..)) {
        kept.is_cut = true;
        rest.clear();
    }
}

/// The process group that a child leads. Killed when dropped, unless released: a cancelled run leaves nothing behind.
///
/// After the leader is reaped the group's number stays taken while members live; with none left, the system would
/// have to hand out every other number first before ours could mean somebody else.
struct Group {
    leader: Option<Pid>,
}

impl Group {
    fn of(child: &Child) -> Group {
        Group { leader: child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) }
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // ESRCH means that all of them are gone, which is what was wanted.
            let _ = kill_process_group(leader, signal);
        }
    }

    fn release(&mut self) {
        self.leader = None;
    }

    /// Gives the child the usual limit if ours was raised. After the spawn, because before it would take a fork; a
    /// child that asks within the first microseconds sees ours, which is harmless unless it opens 1024 files.
    fn limit_descriptors(&self) {
        let ours = getrlimit(Resource::Nofile);
        if let Some(leader) = self.leader
            && ours.current.is_none_or(|soft| soft > CHILD_DESCRIPTORS)
        {
            let limit = Rlimit { current: Some(CHILD_DESCRIPTORS), maximum: ours.maximum };
            // The child may have ended already, or have become another user's (setuid plugins such as check_icmp).
            let _ = prlimit(Some(leader), Resource::Nofile, limit);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
