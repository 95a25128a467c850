//! Starting a process: in a group of its own, with nothing on standard input and a pipe on each output.
//!
//! Unsafe code, as nowhere else in the service but in one line of `memory`. Every plugin is started here, thousands a second, and what the standard library
//! offers costs a third more: glibc's `posix_spawn` asks for and sets each of 60 signals in each child, maps and unmaps
//! a stack, and opens `/dev/null` anew (`docs/performance.md`, `stentor bench spawn`). So this is `vfork` by hand, with
//! its rules kept: the child runs on a stack of its own in our memory while the thread that made it stands still; it
//! makes system calls on what was prepared before, and nothing else: no allocation, no lock, no panic.

#![expect(unsafe_code, reason = "see the module")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Resource, WaitOptions, getrlimit, waitpid};

use super::child::Plan;

/// Descriptors of a child: `select`-based plugins cannot use numbers from FD_SETSIZE (1024) on.
const CHILD_DESCRIPTORS: u64 = 1024;

/// What the child calls between its birth and its program needs some hundred bytes.
const STACK_BYTES: usize = 64 * 1024;

/// Signals that this process catches or ignores, or that its libraries might: a new program begins without.
const RESET: [c_int; 12] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCHLD,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
];

/// A process that has begun. Whoever has it must reap it.
pub struct Started {
    pub leader: Pid,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    /// Readable once it has ended; `None` where the system has no such thing (Linux before 5.2).
    pub exit_event: Option<OwnedFd>,
}

/// All variables of a new process, as the system wants them.
#[derive(Debug)]
pub struct Environment(Vec<CString>);

impl Environment {
    /// # Errors
    /// A NUL byte in a name or value.
    pub fn new(variables: &BTreeMap<OsString, OsString>) -> io::Result<Environment> {
        let line = |(name, value): (&OsString, &OsString)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat());
        variables.iter().map(line).collect::<io::Result<_>>().map(Environment)
    }
}

fn text(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
}

/// Starts the program; a script without `#!` is given to the shell, as by execvp and every other runner of plugins.
///
/// # Errors
/// It cannot be started.
pub fn start(plan: &Plan) -> io::Result<Started> {
    let no_exec = |e: &io::Error| e.raw_os_error() == Some(libc::ENOEXEC);
    let args = plan.args.iter().map(OsString::as_os_str);
    match begin(&plan.program, args.clone(), &plan.env) {
        Err(e) if no_exec(&e) => {
            begin(Path::new("/bin/sh"), std::iter::once(plan.program.as_os_str()).chain(args), &plan.env)
        }
        other => other,
    }
}

/// What the child works with; it lives in the frame of the thread that stands still meanwhile.
struct Orders {
    argv: *const *const c_char,
    envp: *const *const c_char,
    stdin: RawFd,
    stdout: RawFd,
    stderr: RawFd,
    limit: libc::rlimit,
    /// What the child could not do: the error of the system.
    error: c_int,
}

fn begin<'a>(program: &'a Path, args: impl Iterator<Item = &'a OsStr>, env: &Environment) -> io::Result<Started> {
    let program = program.as_os_str();
    let argv = std::iter::once(program).chain(args).map(|word| text(word.as_bytes()));
    let argv = argv.collect::<io::Result<Vec<CString>>>()?;
    let pointers = |texts: &[CString]| -> Vec<*const c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(&argv), pointers(&env.0));
    let (stdout, child_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, child_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(libc::RLIM_INFINITY);
    let mut orders = Orders {
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        stdin: nothing()?,
        stdout: child_stdout.as_raw_fd(),
        stderr: child_stderr.as_raw_fd(),
        limit: libc::rlimit { rlim_cur: CHILD_DESCRIPTORS.min(hard), rlim_max: hard },
        error: 0,
    };
    let (leader, exit_event) = born(&mut orders)?;
    if orders.error != 0 {
        // Over already: this does not wait.
        let _ = waitpid(Some(leader), WaitOptions::empty());
        return Err(io::Error::from_raw_os_error(orders.error));
    }
    Ok(Started { leader, stdout, stderr, exit_event })
}

/// `/dev/null`, opened once.
fn nothing() -> io::Result<RawFd> {
    static NOTHING: OnceLock<File> = OnceLock::new();
    if let Some(file) = NOTHING.get() {
        return Ok(file.as_raw_fd());
    }
    let file = File::open("/dev/null")?;
    Ok(NOTHING.get_or_init(|| file).as_raw_fd())
}

/// Makes the child and returns when it has loaded its program or given up.
fn born(orders: &mut Orders) -> io::Result<(Pid, Option<OwnedFd>)> {
    thread_local! {
        static STACK: RefCell<Vec<u8>> = RefCell::new(vec![0; STACK_BYTES]);
    }
    STACK.with_borrow_mut(|stack| {
        let mut exit_event: c_int = -1;
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
        // SAFETY: the sets are initialised by the calls they are given to. The stack is ours alone, large enough, and
        // its top is aligned; `orders` and the stack outlive the child's use of them, because CLONE_VFORK returns only
        // after it has left this memory. No handler runs in the child: all signals are blocked until it has reset them.
        let (pid, error) = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            let end = stack.as_mut_ptr().add(stack.len());
            let top = end.sub(end.addr() % 16).cast::<c_void>();
            let pid = libc::clone(live, top, flags, ptr::from_mut(orders).cast(), &raw mut exit_event);
            let error = io::Error::last_os_error();
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
            (pid, error)
        };
        let leader = Pid::from_raw(pid).filter(|_| pid > 0).ok_or(error)?;
        // SAFETY: the system has just made this descriptor for us.
        let exit_event = (exit_event >= 0).then(|| unsafe { OwnedFd::from_raw_fd(exit_event) });
        Ok((leader, exit_event))
    })
}

/// The child's life until its program begins.
extern "C" fn live(orders: *mut c_void) -> c_int {
    // SAFETY: `born` gave a pointer to orders that nobody else touches while this runs. Only functions that are safe in
    // a signal handler are called, on values prepared by the parent.
    unsafe {
        let orders = &mut *orders.cast::<Orders>();
        let fails = |result: c_int| result < 0;
        let default = libc::sigaction { sa_sigaction: libc::SIG_DFL, ..std::mem::zeroed() };
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        for signal in RESET {
            libc::sigaction(signal, &raw const default, ptr::null_mut());
        }
        let not_ready = fails(libc::setpgid(0, 0))
            || fails(libc::dup2(orders.stdin, 0))
            || fails(libc::dup2(orders.stdout, 1))
            || fails(libc::dup2(orders.stderr, 2))
            || fails(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const orders.limit))
            || fails(libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()));
        if !not_ready {
            libc::execve(*orders.argv, orders.argv, orders.envp);
        }
        orders.error = *libc::__errno_location();
        libc::_exit(127)
    }
}
