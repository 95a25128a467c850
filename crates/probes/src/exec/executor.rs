//! Runs children for everyone in this process: a few threads that start them, one that watches them all.
//!
//! Starting a process blocks its caller until the program is loaded, and one on a dead file server blocks for ever: so
//! starting is apart from watching, and a starter that is stuck gets company. The watcher never blocks on anything but
//! its events, and sleeps through the short life of most plugins: it looks at one once, when it has ended.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

use super::child::{Finished, Leash, Next, Plan, Run, SHORT_LIFE, Watch};
use super::spawn;

/// Starters that are stuck at once, at most; with all of them stuck, nothing starts any more.
const STARTERS_MAX: usize = 64;
/// Starters are stuck if for this long none of them has started anything although something waits.
const STUCK_AFTER: Duration = Duration::from_millis(100);
/// A starter beyond the usual number that had nothing to do for so long ends.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// The watcher looks at least so often while there is anything to watch, so that nobody need wake it for a timer.
const LOOK_EVERY: Duration = SHORT_LIFE;
/// So long after a beginning the watcher expects another one.
const BUSY: Duration = Duration::from_secs(1);
/// Events taken at once.
const EVENTS_MAX: usize = 128;
/// Bytes read from a pipe at once: what a pipe can hold.
const READ_BYTES: usize = 64 * 1024;

/// Called once, by a thread that must not be held up: with what a child left, or why it could not be started.
pub type Done = Box<dyn FnOnce(io::Result<Finished>) + Send>;

struct Job {
    plan: Plan,
    deadline: Instant,
    leash: Arc<Leash>,
    done: Done,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    starters: usize,
    idle: usize,
    /// When a starter last came back for work.
    moved: Option<Instant>,
}

/// What an event is about.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Source {
    Wake,
    Exit(u64),
    Pipe(u64),
}

impl Source {
    fn data(self) -> epoll::EventData {
        epoll::EventData::new_u64(match self {
            Source::Wake => 0,
            Source::Exit(id) => id << 1,
            Source::Pipe(id) => id << 1 | 1,
        })
    }

    fn of(data: u64) -> Source {
        match data {
            0 => Source::Wake,
            _ if data & 1 == 0 => Source::Exit(data >> 1),
            _ => Source::Pipe(data >> 1),
        }
    }
}

struct Child {
    watch: Watch,
    done: Done,
    /// Its entry among the timers.
    next: Instant,
}

#[derive(Default)]
struct Children {
    by_id: HashMap<u64, Child>,
    timers: BTreeSet<(Instant, u64)>,
    newest: u64,
    /// While children begin often the watcher wakes by itself, so that beginners need not wake it.
    busy_until: Option<Instant>,
    /// Until when the watcher sleeps; `None` = until it is woken.
    sleeps_until: Option<Instant>,
}

/// See the module.
pub struct Executor {
    queue: Mutex<Queue>,
    work: Condvar,
    children: Mutex<Children>,
    events: OwnedFd,
    wake: OwnedFd,
    /// Starters as long as none is stuck.
    usual: usize,
}

/// A panic of a callback is caught, and nothing else panics while a lock is held: what is inside is whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a child until it has ended, or kills its group so that all is over by `deadline`. Dropping what is returned
/// kills the group at once; `done` is called either way.
///
/// # Errors
/// The executor cannot be set up.
pub fn submit(plan: Plan, deadline: Instant, done: Done) -> io::Result<Run> {
    static SHARED: OnceLock<Result<Arc<Executor>, String>> = OnceLock::new();
    let made = || Executor::start().map_err(|e| format!("cannot set up the execution of plugins: {e}"));
    match SHARED.get_or_init(made) {
        Ok(executor) => Ok(executor.submit(plan, deadline, done)),
        Err(why) => Err(io::Error::other(why.clone())),
    }
}

impl Executor {
    fn start() -> io::Result<Arc<Executor>> {
        let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&events, &wake, Source::Wake.data(), epoll::EventFlags::IN)?;
        let executor = Arc::new(Executor {
            queue: Mutex::default(),
            work: Condvar::new(),
            children: Mutex::default(),
            events,
            wake,
            usual: std::thread::available_parallelism().map_or(2, NonZeroUsize::get).clamp(2, 8),
        });
        let watcher = Arc::clone(&executor);
        std::thread::Builder::new().name("exec-watch".to_owned()).spawn(move || watcher.watch())?;
        Ok(executor)
    }

    fn submit(self: &Arc<Self>, plan: Plan, deadline: Instant, done: Done) -> Run {
        let leash = Arc::new(Leash::default());
        let job = Job { plan, deadline, leash: Arc::clone(&leash), done };
        let mut queue = locked(&self.queue);
        queue.jobs.push_back(job);
        if queue.idle > 0 {
            drop(queue);
            self.work.notify_one();
        } else if queue.starters < self.usual {
            self.add_starter(&mut queue);
        } else {
            drop(queue);
            // Somebody must notice if all starters are stuck.
            let now = Instant::now();
            self.wake_by(locked(&self.children).sleeps_until, now + STUCK_AFTER);
        }
        Run(leash)
    }

    fn add_starter(self: &Arc<Self>, queue: &mut Queue) {
        let starter = Arc::clone(self);
        match std::thread::Builder::new().name("exec-start".to_owned()).spawn(move || starter.serve()) {
            Ok(_) => queue.starters += 1,
            // Those that are there do it, later.
            Err(e) => tracing::warn!(error = %e, starters = queue.starters, "no further thread can be started"),
        }
    }

    /// A starter's life.
    fn serve(self: Arc<Self>) {
        loop {
            let mut queue = locked(&self.queue);
            queue.moved = Some(Instant::now());
            let job = loop {
                if let Some(job) = queue.jobs.pop_front() {
                    break job;
                }
                queue.idle += 1;
                let waited = self.work.wait_timeout(queue, IDLE_MAX);
                let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                queue = woken;
                queue.idle -= 1;
                if timeout.timed_out() && queue.jobs.is_empty() && queue.starters > self.usual {
                    queue.starters -= 1;
                    return;
                }
            };
            drop(queue);
            self.begin(job);
        }
    }

    fn begin(&self, job: Job) {
        if job.leash.is_cancelled() {
            return call(job.done, Err(io::Error::other("the run was cancelled before it began")));
        }
        let started = match spawn::start(&job.plan) {
            Ok(started) => started,
            Err(e) => return call(job.done, Err(e)),
        };
        let now = Instant::now();
        let mut watch = Watch::new(started, job.plan.keep, job.leash, job.deadline, now);
        let next = watch.first(now);
        let mut children = locked(&self.children);
        children.newest += 1;
        children.busy_until = Some(now + BUSY);
        let id = children.newest;
        if let Some(Err(e)) = watch.exit_event().map(|fd| self.listen(fd, Source::Exit(id))) {
            tracing::warn!(error = %e, "the end of a plugin cannot be listened to: it is asked for instead");
            watch.ask_instead();
        }
        children.timers.insert((next, id));
        children.by_id.insert(id, Child { watch, done: job.done, next });
        let sleeps_until = children.sleeps_until;
        drop(children);
        self.wake_by(sleeps_until, next + LOOK_EVERY);
    }

    /// Only changes are told: a descriptor that we have closed lives on in each process that is being started, until it
    /// has loaded its program, and would tell of the same end all that time.
    fn listen(&self, fd: BorrowedFd<'_>, source: Source) -> io::Result<()> {
        Ok(epoll::add(&self.events, fd, source.data(), epoll::EventFlags::IN | epoll::EventFlags::ET)?)
    }

    /// Makes the watcher look before `by` if it would not.
    fn wake_by(&self, sleeps_until: Option<Instant>, by: Instant) {
        if sleeps_until.is_none_or(|until| until > by) {
            // A full counter wakes as well.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// The watcher's life.
    fn watch(self: Arc<Self>) {
        let mut buffer = vec![0; READ_BYTES];
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS_MAX);
        loop {
            let timeout = self.next_look();
            events.clear();
            if let Err(e) = epoll::wait(&self.events, spare_capacity(&mut events), timeout.as_ref())
                && e != rustix::io::Errno::INTR
            {
                tracing::error!(error = %e, "the watcher of plugins cannot wait for events");
                std::thread::park_timeout(LOOK_EVERY);
            }
            let over = self.look(&events, &mut buffer);
            for (done, finished) in over {
                call(done, Ok(finished));
            }
            self.help_if_stuck();
        }
    }

    /// How long to sleep: until the first timer, never long while there is anything to watch, else until woken.
    fn next_look(&self) -> Option<Timespec> {
        let waits = !locked(&self.queue).jobs.is_empty();
        let mut children = locked(&self.children);
        let now = Instant::now();
        let timer = children.timers.first().map(|(at, _)| *at);
        let queued = waits.then_some(now + LOOK_EVERY);
        let busy = children.busy_until.filter(|until| *until > now).map(|_| now + LOOK_EVERY);
        let until = timer.into_iter().chain(queued).chain(busy).min().map(|at| at.max(now));
        children.sleeps_until = until;
        Timespec::try_from(until?.saturating_duration_since(now)).ok()
    }

    /// Looks at every child that something happened to or whose time has come; returns those that are over.
    fn look(&self, events: &[epoll::Event], buffer: &mut [u8]) -> Vec<(Done, Finished)> {
        let mut over = Vec::new();
        let mut children = locked(&self.children);
        // Awake: nobody need wake it.
        let now = Instant::now();
        children.sleeps_until = Some(now);
        for event in events {
            let data = event.data;
            let (id, next) = match Source::of(data.u64()) {
                Source::Wake => {
                    let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
                    continue;
                }
                Source::Exit(id) => (id, children.by_id.get_mut(&id).map(|child| child.watch.ended(now, buffer))),
                Source::Pipe(id) => {
                    (id, children.by_id.get_mut(&id).and_then(|child| child.watch.readable(now, buffer)))
                }
            };
            if let Some(next) = next {
                over.extend(self.go_on(&mut children, id, next));
            }
        }
        while let Some(&(at, id)) = children.timers.first()
            && at <= now
        {
            let Some(child) = children.by_id.get_mut(&id) else {
                children.timers.pop_first();
                continue;
            };
            let next = child.watch.due(now, buffer);
            over.extend(self.go_on(&mut children, id, next));
        }
        over
    }

    fn go_on(&self, children: &mut Children, id: u64, next: Next) -> Option<(Done, Finished)> {
        let child = children.by_id.get_mut(&id)?;
        children.timers.remove(&(child.next, id));
        let (Next::At(at) | Next::Listen(at)) = next else {
            let child = children.by_id.remove(&id)?;
            return Some((child.done, child.watch.finish()));
        };
        child.next = at;
        children.timers.insert((at, id));
        if matches!(next, Next::Listen(_)) {
            for fd in child.watch.pipes().into_iter().flatten() {
                if let Err(e) = self.listen(fd, Source::Pipe(id)) {
                    tracing::warn!(error = %e, "the output of a plugin cannot be listened to");
                }
            }
        }
        None
    }

    fn help_if_stuck(self: &Arc<Self>) {
        let mut queue = locked(&self.queue);
        let is_stuck = !queue.jobs.is_empty()
            && queue.idle == 0
            && queue.starters < STARTERS_MAX
            && queue.moved.is_some_and(|moved| moved.elapsed() > STUCK_AFTER);
        if is_stuck {
            tracing::warn!(starters = queue.starters, "starting a plugin blocks: another thread starts the others");
            self.add_starter(&mut queue);
        }
    }
}

fn call(done: Done, finished: io::Result<Finished>) {
    if catch_unwind(AssertUnwindSafe(|| done(finished))).is_err() {
        tracing::error!("what takes the result of a plugin panicked: the result is lost");
    }
}
