//! One child process from its start to its reaping: own group, both pipes drained, never past its deadline. A state
//! machine that is told what happened and when; the [executor](super::executor) owns the threads and the waiting.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getrlimit, kill_process_group, setrlimit, waitpid,
};

use super::spawn::{Environment, Started};

/// Bytes of each pipe that are kept of a plugin; the rest is read and thrown away so that the child never blocks.
pub const PIPE_BYTES_MAX: usize = 64 * 1024;

/// From SIGTERM to the deadline, at most; a tenth of a shorter run.
const KILL_GRACE_MAX: Duration = Duration::from_secs(1);

/// How long a pipe may stay open after the plugin itself has ended: some process it left behind holds it.
const PIPE_GRACE: Duration = Duration::from_millis(250);

/// A child that lives shorter is looked at once, at its end: what it printed waits in its pipes. Also how often a child
/// is asked whether it has ended where nothing tells of it.
pub const SHORT_LIFE: Duration = Duration::from_millis(20);

/// When a child that prints without end is read again; others are served in between.
const READ_ON: Duration = Duration::from_millis(1);

/// Soft limit asked for this process: three a running check, and all sockets of native probes.
const OWN_DESCRIPTORS: u64 = 65_536;

/// Everything a start needs.
pub struct Plan {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Arc<Environment>,
    /// Bytes of each pipe that are kept.
    pub keep: usize,
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

/// Where a child stands.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Phase {
    /// Started just now: only its end is waited for.
    Young,
    Running,
    /// Sent SIGTERM.
    Asked,
    /// Sent SIGKILL.
    Killed,
    /// Ended, with a pipe still open.
    Lingering,
}

/// What is to be done with a child next.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Next {
    /// Look at it at this time, unless something happens before.
    At(Instant),
    /// As `At`, and from now on its pipes are to be listened to.
    Listen(Instant),
    /// It is over: [`Watch::finish`].
    Over,
}

/// A child with its pipes.
pub struct Watch {
    stdout: Pipe,
    stderr: Pipe,
    /// Readable once the child has ended; `None` where the system has no such thing.
    exit_event: Option<OwnedFd>,
    exit: Option<End>,
    group: Group,
    leader: Pid,
    leash: Arc<Leash>,
    phase: Phase,
    timed_out: bool,
    deadline: Instant,
    /// From asking it to end until the deadline.
    grace: Duration,
    /// A pipe had more than is read at once; nothing will tell of the rest.
    has_more: bool,
}

impl Watch {
    pub fn new(started: Started, keep: usize, leash: Arc<Leash>, deadline: Instant, now: Instant) -> Watch {
        let group = Group { leader: Some(started.leader) };
        leash.tie(&group);
        Watch {
            stdout: Pipe::of(started.stdout, keep),
            stderr: Pipe::of(started.stderr, keep),
            exit_event: started.exit_event,
            exit: None,
            group,
            leader: started.leader,
            leash,
            phase: Phase::Young,
            timed_out: false,
            deadline,
            grace: (deadline.saturating_duration_since(now) / 10).min(KILL_GRACE_MAX),
            has_more: false,
        }
    }

    pub fn exit_event(&self) -> Option<BorrowedFd<'_>> {
        self.exit_event.as_ref().map(AsFd::as_fd)
    }

    /// Nothing will tell of the end.
    pub fn ask_instead(&mut self) {
        self.exit_event = None;
    }

    /// Standard output and standard error, while they are open.
    pub fn pipes(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [self.stdout.fd(), self.stderr.fd()]
    }

    /// The first time to look at it.
    pub fn first(&self, now: Instant) -> Instant {
        self.term_at().min(now + SHORT_LIFE)
    }

    fn term_at(&self) -> Instant {
        self.deadline.checked_sub(self.grace).unwrap_or(self.deadline)
    }

    /// The child may have ended.
    pub fn ended(&mut self, now: Instant, buffer: &mut [u8]) -> Next {
        if self.exit.is_none() && !self.reaped() {
            // Told too early; it is not told again.
            self.exit_event = None;
            return Next::At(self.until_or_sooner(now));
        }
        if self.timed_out {
            // Also when the leader obeyed: others of its group may not have.
            self.group.signal(Signal::KILL);
        }
        self.drain(buffer);
        if self.pipes_closed() {
            return Next::Over;
        }
        let listened = self.phase != Phase::Young;
        let limit = if self.timed_out { self.deadline } else { self.term_at() };
        self.phase = Phase::Lingering;
        self.deadline = limit.min(now + PIPE_GRACE);
        let until = self.until_or_sooner(now);
        if listened { Next::At(until) } else { Next::Listen(until) }
    }

    /// A pipe has something to say. `None`: nothing changes by that.
    pub fn readable(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Next> {
        self.drain(buffer);
        if self.exit.is_some() && self.pipes_closed() {
            return Some(Next::Over);
        }
        self.has_more.then(|| Next::At(self.until_or_sooner(now)))
    }

    /// Its time has come.
    pub fn due(&mut self, now: Instant, buffer: &mut [u8]) -> Next {
        // An end that nothing told of.
        if self.phase != Phase::Lingering && self.exit_event.is_none() && self.reaped() {
            return self.ended(now, buffer);
        }
        if self.has_more {
            self.drain(buffer);
        }
        match self.phase {
            Phase::Lingering if now < self.until() && self.has_more => Next::At(self.until_or_sooner(now)),
            Phase::Lingering => Next::Over,
            Phase::Young if now < self.term_at() => {
                self.phase = Phase::Running;
                Next::Listen(self.until_or_sooner(now))
            }
            Phase::Running if now < self.term_at() => Next::At(self.until_or_sooner(now)),
            Phase::Young | Phase::Running => {
                let listened = self.phase == Phase::Running;
                self.timed_out = true;
                self.group.signal(Signal::TERM);
                self.phase = Phase::Asked;
                let until = self.until_or_sooner(now);
                if listened { Next::At(until) } else { Next::Listen(until) }
            }
            Phase::Asked if now < self.kill_at() => Next::At(self.until_or_sooner(now)),
            Phase::Asked => {
                self.group.signal(Signal::KILL);
                self.phase = Phase::Killed;
                Next::At(self.until_or_sooner(now))
            }
            Phase::Killed if now < self.deadline => Next::At(self.until_or_sooner(now)),
            Phase::Killed => Next::Over,
        }
    }

    fn kill_at(&self) -> Instant {
        self.deadline.checked_sub(self.grace / 2).unwrap_or(self.deadline)
    }

    /// The end of the present phase.
    fn until(&self) -> Instant {
        match self.phase {
            Phase::Young | Phase::Running => self.term_at(),
            Phase::Asked => self.kill_at(),
            Phase::Killed | Phase::Lingering => self.deadline,
        }
    }

    fn until_or_sooner(&self, now: Instant) -> Instant {
        match (self.has_more, &self.exit_event) {
            (true, _) => self.until().min(now + READ_ON),
            (false, None) => self.until().min(now + SHORT_LIFE),
            (false, Some(_)) => self.until(),
        }
    }

    /// Takes the child's end from the system, if it has ended.
    fn reaped(&mut self) -> bool {
        self.leash.untie();
        match waitpid(Some(self.leader), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => self.exit = Some(end_of(status)),
            // Somebody else took it: there is nothing to wait for, and nothing known.
            Err(rustix::io::Errno::CHILD) => self.exit = Some(End::Signalled(0)),
            Ok(None) | Err(_) => self.leash.tie(&self.group),
        }
        if self.exit.is_some() {
            // It would go on telling.
            self.exit_event = None;
        }
        self.exit.is_some()
    }

    /// Reads what is there, without waiting.
    fn drain(&mut self, buffer: &mut [u8]) {
        /// Reads in a row from pipes that are always full; others wait.
        const TURNS: usize = 16;
        for _ in 0..TURNS {
            let [stdout, stderr] = look(self.stdout.fd(), self.stderr.fd());
            self.has_more = self.stdout.take(stdout, buffer) | self.stderr.take(stderr, buffer);
            if !self.has_more {
                return;
            }
        }
    }

    fn pipes_closed(&self) -> bool {
        self.stdout.file.is_none() && self.stderr.file.is_none()
    }

    pub fn finish(mut self) -> Finished {
        // A pipe still open is held by something left behind: then the group stays armed and dies when dropped.
        if self.pipes_closed() && self.exit.is_some() {
            self.group.release();
        }
        let end = match self.exit {
            Some(end) if !self.timed_out => end,
            Some(_) | None => End::TimedOut,
        };
        if self.exit.is_none() {
            reap_later(self.leader);
        }
        Finished { end, stdout: self.stdout.kept, stderr: self.stderr.kept }
    }
}

/// A child that even SIGKILL has not ended yet hangs in the kernel (a dead NFS server). A thread of its own waits for
/// it, because one of the runtime's would hold up the end of this process.
fn reap_later(leader: Pid) {
    let waits = move || {
        // However it ends: its run has been told already.
        let _ = waitpid(Some(leader), WaitOptions::empty());
    };
    if let Err(e) = std::thread::Builder::new().name("reap".to_owned()).spawn(waits) {
        tracing::warn!(error = %e, "a killed plugin stays a zombie");
    }
}

fn end_of(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        (None, None) => End::Signalled(0),
    }
}

/// What a pipe has, without waiting.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Has {
    Nothing,
    Bytes,
    /// Bytes, and nobody is left who could write more.
    LastBytes,
    End,
}

impl Has {
    fn of(flags: PollFlags) -> Has {
        match (flags.contains(PollFlags::IN), flags.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)) {
            (true, false) => Has::Bytes,
            (true, true) => Has::LastBytes,
            (false, true) => Has::End,
            (false, false) => Has::Nothing,
        }
    }
}

fn look(stdout: Option<BorrowedFd<'_>>, stderr: Option<BorrowedFd<'_>>) -> [Has; 2] {
    let has = |fd: &PollFd<'_>| Has::of(fd.revents());
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let at = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    match (stdout.map(at), stderr.map(at)) {
        (None, None) => [Has::Nothing; 2],
        (Some(stdout), None) => {
            let mut fds = [stdout];
            // An error is as if nothing were there: the deadline ends it.
            let _ = poll(&mut fds, Some(&at_once));
            [has(&fds[0]), Has::Nothing]
        }
        (None, Some(stderr)) => {
            let mut fds = [stderr];
            let _ = poll(&mut fds, Some(&at_once));
            [Has::Nothing, has(&fds[0])]
        }
        (Some(stdout), Some(stderr)) => {
            let mut fds = [stdout, stderr];
            let _ = poll(&mut fds, Some(&at_once));
            [has(&fds[0]), has(&fds[1])]
        }
    }
}

/// One pipe, read until its end; the beginning is kept.
struct Pipe {
    file: Option<OwnedFd>,
    kept: Captured,
    /// Bytes that are kept at most.
    room: usize,
}

impl Pipe {
    fn of(pipe: OwnedFd, room: usize) -> Pipe {
        Pipe { file: Some(pipe), kept: Captured::default(), room }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Reads once what `poll` said is there; true if there may be more. An error is an end: there is nobody to tell.
    fn take(&mut self, has: Has, buffer: &mut [u8]) -> bool {
        if has == Has::End {
            self.file = None;
        }
        if has == Has::Nothing {
            return false;
        }
        let Some(file) = &self.file else { return false };
        match rustix::io::read(file, &mut *buffer) {
            Err(rustix::io::Errno::INTR) => true,
            Ok(0) | Err(_) => {
                self.file = None;
                false
            }
            Ok(count) => {
                let room = self.room.saturating_sub(self.kept.bytes.len());
                self.kept.bytes.extend_from_slice(buffer.get(..count.min(room)).unwrap_or_default());
                self.kept.is_cut |= count > room;
                let was_all = has == Has::LastBytes && count < buffer.len();
                if was_all {
                    self.file = None;
                }
                !was_all
            }
        }
    }
}

/// How the future that waits for a run reaches its child: the group's number while the leader is not reaped.
#[derive(Default)]
pub struct Leash {
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

    pub fn is_cancelled(&self) -> bool {
        self.leader.load(Ordering::SeqCst) == Leash::CANCELLED
    }
}

/// A run that somebody waits for: when dropped before its end, its group is killed at once.
pub struct Run(pub(super) Arc<Leash>);

impl Drop for Run {
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
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // ESRCH means that all of them are gone, which is what was wanted.
            let _ = kill_process_group(leader, signal);
        }
    }

    fn release(&mut self) {
        self.leader = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
