//! One child process from spawn to reaping: own group, both pipes drained, never past its deadline.
//!
//! A thread of the blocking pool owns each child: starting a process blocks the caller anyway, and a thread that then
//! polls costs far less than three registrations with the runtime for each short run (`stentor bench spawn`).
//!
//! Never `pre_exec`, `uid`, `gid` or a relative program here: each makes std fork this whole process instead of
//! `posix_spawn`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, kill_process_group, pidfd_open, prlimit, setrlimit,
};

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
pub struct Plan {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Arc<BTreeMap<OsString, OsString>>,
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
/// Dropping the future kills the group at once; its thread reaps the leader.
///
/// # Errors
/// The child could not be started.
pub async fn run(plan: Plan, deadline: Deadline) -> io::Result<Finished> {
    let leash = Arc::new(Leash::default());
    let _cancels_on_drop = Canceller(Arc::clone(&leash));
    let thread = tokio::task::spawn_blocking(move || run_here(&plan, deadline.into_std(), &leash));
    thread.await.unwrap_or_else(|e| Err(io::Error::other(e)))
}

fn run_here(plan: &Plan, deadline: Instant, leash: &Leash) -> io::Result<Finished> {
    let mut child = spawn(plan)?;
    let group = Group::of(&child);
    group.limit_descriptors();
    leash.tie(&group);
    let mut watch = Watch {
        stdout: Pipe::of(child.stdout.take()),
        stderr: Pipe::of(child.stderr.take()),
        exit_event: group.leader.and_then(|leader| pidfd_open(leader, PidfdFlags::empty()).ok()),
        exit: None,
        child,
        group,
    };

    let grace = (deadline.saturating_duration_since(Instant::now()) / 10).min(KILL_GRACE_MAX);
    watch.until(deadline.checked_sub(grace).unwrap_or(deadline), leash)?;
    let timed_out = watch.exit.is_none();
    if timed_out {
        watch.group.signal(Signal::TERM);
        watch.until(deadline.checked_sub(grace / 2).unwrap_or(deadline), leash)?;
        // Also when the leader obeyed: others of its group may not have.
        watch.group.signal(Signal::KILL);
        watch.until(deadline, leash)?;
    }
    Ok(watch.finish(timed_out))
}

fn spawn(plan: &Plan) -> io::Result<Child> {
    Command::new(&plan.program)
        .args(&plan.args)
        .env_clear()
        .envs(&*plan.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// A child with its pipes, looked at by one thread.
struct Watch {
    stdout: Pipe,
    stderr: Pipe,
    /// Readable once the child has ended; `None` where the system has no such thing.
    exit_event: Option<OwnedFd>,
    exit: Option<(ExitStatus, Instant)>,
    child: Child,
    group: Group,
}

impl Watch {
    /// Drains the pipes until the child has ended and they are closed, or until `limit`. After the end, open pipes are
    /// waited for no longer than [`PIPE_GRACE`].
    fn until(&mut self, limit: Instant, leash: &Leash) -> io::Result<()> {
        /// How often to ask for the end where nothing tells of it.
        const ASK_EVERY: Duration = Duration::from_millis(20);
        loop {
            let until = self.exit.map_or(limit, |(_, ended)| limit.min(ended + PIPE_GRACE));
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || (self.exit.is_some() && self.pipes_closed()) {
                return Ok(());
            }
            let asks = self.exit.is_none() && self.exit_event.is_none();
            let ended = self.wait_and_drain(if asks { left.min(ASK_EVERY) } else { left })?;
            if self.exit.is_none() && (ended || asks) {
                leash.untie();
                self.exit = self.child.try_wait()?.map(|status| (status, Instant::now()));
                if self.exit.is_none() {
                    leash.tie(&self.group);
                }
            }
        }
    }

    /// Waits for anything to happen and reads what is there; true if the child has ended.
    fn wait_and_drain(&mut self, left: Duration) -> io::Result<bool> {
        let exit_event = self.exit_event.as_ref().filter(|_| self.exit.is_none());
        let sources = [self.stdout.fd(), self.stderr.fd(), exit_event.map(AsFd::as_fd)];
        let mut fds: Vec<PollFd<'_>> =
            sources.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(e) => return Err(e.into()),
        }
        let mut events = fds.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>().into_iter();
        let mut next = |is_watched: bool| is_watched && events.next().unwrap_or(false);
        let ready = sources.map(|source| next(source.is_some()));
        let [stdout, stderr, ended] = ready;
        if stdout {
            self.stdout.read();
        }
        if stderr {
            self.stderr.read();
        }
        Ok(ended)
    }

    fn pipes_closed(&self) -> bool {
        self.stdout.file.is_none() && self.stderr.file.is_none()
    }

    fn finish(mut self, timed_out: bool) -> Finished {
        // A pipe still open is held by something left behind: then the group stays armed and dies when dropped.
        if self.pipes_closed() && self.exit.is_some() {
            self.group.release();
        }
        let end = match self.exit {
            Some((status, _)) if !timed_out => end_of(status),
            Some(_) | None => End::TimedOut,
        };
        if self.exit.is_none() {
            reap_later(self.child);
        }
        Finished { end, stdout: self.stdout.kept, stderr: self.stderr.kept }
    }
}

/// A child that even SIGKILL has not ended yet hangs in the kernel (a dead NFS server). A thread of its own waits for
/// it, because one of the runtime's would hold up the end of this process.
fn reap_later(mut child: Child) {
    let waits = move || drop(child.wait());
    if let Err(e) = std::thread::Builder::new().name("reap".to_owned()).spawn(waits) {
        tracing::warn!(error = %e, "a killed plugin stays a zombie");
    }
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        (None, None) => End::Signalled(0),
    }
}

/// One pipe, read until its end; the beginning is kept.
struct Pipe {
    file: Option<std::fs::File>,
    kept: Captured,
}

impl Pipe {
    fn of(pipe: Option<impl Into<OwnedFd>>) -> Pipe {
        Pipe { file: pipe.map(|pipe| std::fs::File::from(pipe.into())), kept: Captured::default() }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Reads once; never blocks after `poll` said that something is there. An error is an end: there is nobody to tell.
    fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        let Some(file) = &mut self.file else { return };
        match file.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => self.file = None,
            Ok(count) => {
                let room = PIPE_BYTES_MAX.saturating_sub(self.kept.bytes.len());
                self.kept.bytes.extend(buffer.iter().take(count.min(room)));
                self.kept.is_cut |= count > room;
            }
        }
    }
}

/// How the future that waits for a run reaches its child: the group's number while the leader is not reaped.
#[derive(Default)]
struct Leash {
    leader: AtomicI32,
}

impl Leash {
    const FREE: i32 = 0;
    const CANCELLED: i32 = -1;

    /// From here on a cancellation kills the group; one that came before does so now.
    fn tie(&self, group: &Group) {
        let leader = group.leader.map_or(Leash::FREE, |leader| leader.as_raw_nonzero().get());
        if self.leader.compare_exchange(Leash::FREE, leader, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            group.signal(Signal::KILL);
        }
    }

    /// Called before reaping, after which the number may mean somebody else.
    fn untie(&self) {
        let untied = |leader| (leader != Leash::CANCELLED).then_some(Leash::FREE);
        let _ = self.leader.fetch_update(Ordering::SeqCst, Ordering::SeqCst, untied);
    }
}

/// Kills the group of a run that nobody waits for any more.
struct Canceller(Arc<Leash>);

impl Drop for Canceller {
    fn drop(&mut self) {
        let leader = self.0.leader.swap(Leash::CANCELLED, Ordering::SeqCst);
        if leader > Leash::FREE
            && let Some(leader) = Pid::from_raw(leader)
        {
            let _ = kill_process_group(leader, Signal::KILL);
        }
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
        Group { leader: i32::try_from(child.id()).ok().and_then(Pid::from_raw) }
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
