//! One persistent connection to a host through the system's `ssh`: opened once, shared by every look, opened again when it is
//! lost. Whatever cannot be asked fails with its cause, and a host that refuses is not asked again at once.
//!
//! The first look opens a master (`ControlMaster`), the others are sessions inside it. They must never open a connection of
//! their own: a `ProxyCommand` that fails stands where `ssh` would fall back to one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Seconds to reach the host and prove who we are.
const CONNECT_S: u64 = 8;
/// The master asks so often whether the host is there, and gives up after so many silences.
const ALIVE_S: u64 = 5;
const ALIVE_MAX: u32 = 2;
/// An unused master ends by itself: also that of a process that was killed.
const PERSIST_S: u64 = 600;
/// One look; checks have their own deadlines, this is when the thread comes back.
pub const LOOK_MAX: Duration = Duration::from_secs(10);
/// After a failure to connect the host is left alone for so long.
const PAUSE: Duration = Duration::from_secs(10);
/// What a look may print.
const OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;
const ERRORS_BYTES_MAX: u64 = 16 * 1024;
/// What `ssh` says when not the remote program but the connection failed.
const SSH_FAILED: i32 = 255;

/// How hosts are reached; the rest is in `ssh_config(5)`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SshSettings {
    /// `None` = `/usr/bin/ssh`.
    pub program: Option<PathBuf>,
    /// Read instead of the user's own.
    pub config_file: Option<PathBuf>,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub identity_file: Option<PathBuf>,
    /// Keys of hosts; a host whose key is not in there is refused.
    pub known_hosts: Option<PathBuf>,
}

/// All connections of this process.
#[derive(Debug)]
pub struct Ssh {
    settings: SshSettings,
    /// For the sockets of masters: short, and ours alone.
    folder: PathBuf,
    links: Mutex<BTreeMap<Arc<str>, Arc<Link>>>,
}

/// The connection to one host.
#[derive(Debug)]
pub struct Link {
    settings: SshSettings,
    address: Arc<str>,
    socket: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Masters opened in the life of this link.
    opened: u64,
    /// Why the last attempt failed, and when.
    failed: Option<(Instant, String)>,
}

/// What is taken for an open connection.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Trust {
    /// That there is a socket: its master removes it when it ends in order.
    Socket,
    /// That the master answers.
    Answer,
}

/// What a remote program printed and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ssh {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// The machine gives no random numbers.
    pub fn new(settings: SshSettings) -> io::Result<Ssh> {
        // A socket's path has at most 107 bytes: the state folder may be too deep for it.
        let folder = std::env::temp_dir().join(format!("stentor-ssh-{}-{:08x}", std::process::id(), getrandom::u32()?));
        Ok(Ssh { settings, folder, links: Mutex::default() })
    }

    /// The connection to a host, opened at its first use.
    pub fn link(&self, address: &Arc<str>) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let number = links.len();
        let link = links.entry(Arc::clone(address)).or_insert_with(|| {
            let (settings, address) = (self.settings.clone(), Arc::clone(address));
            Arc::new(Link { settings, address, socket: self.folder.join(format!("{number}")), state: Mutex::default() })
        });
        Arc::clone(link)
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        let links = std::mem::take(&mut *self.links.lock().unwrap_or_else(PoisonError::into_inner));
        for link in links.values() {
            link.close();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Makes a folder for ourselves alone; one that somebody else made is refused.
fn make_private(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = std::fs::symlink_metadata(folder)?;
            let is_ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
            if is_ours && found.mode() & 0o077 == 0 { Ok(()) } else { Err(error) }
        }
        other => other,
    }
}

/// A word for the remote user's shell, which SSH always puts between us and the program.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Link {
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Masters opened so far.
    pub fn opened(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).opened
    }

    /// Program and arguments that run words on the host inside the connection.
    pub fn command(&self, words: &[String]) -> (PathBuf, Vec<OsString>) {
        let mut args = self.options();
        args.extend(["-o", "ControlMaster=no", "-o", "ProxyCommand=/bin/false", "--"].map(OsString::from));
        args.push(self.address.as_ref().into());
        args.push(words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ").into());
        (self.program(), args)
    }

    /// Runs words on the host; opens the connection if there is none, and once more if it was lost meanwhile.
    ///
    /// # Errors
    /// The host cannot be reached, or the look took too long. A program that fails is no error.
    pub fn run(&self, words: &[&str]) -> io::Result<Said> {
        let until = Instant::now() + LOOK_MAX;
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut last = String::new();
        for trust in [Trust::Socket, Trust::Answer] {
            self.ensure(trust, until)?;
            let (program, args) = self.command(&words);
            let said = run(Command::new(program).args(args), until)?;
            if said.code != Some(SSH_FAILED) {
                return Ok(said);
            }
            last = said.stderr;
        }
        Err(self.lost(&last))
    }

    /// Whether an exit status may be that of `ssh` itself.
    pub fn is_lost(code: Option<i32>) -> bool {
        code == Some(SSH_FAILED)
    }

    /// Opens the master if there is none. One at a time: who comes second finds it open.
    ///
    /// # Errors
    /// The host cannot be reached, or was just tried in vain.
    pub fn ensure(&self, trust: Trust, until: Instant) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.socket.exists() {
            if trust == Trust::Socket || self.is_alive(until) {
                return Ok(());
            }
            // One that was killed leaves its socket behind.
            std::fs::remove_file(&self.socket)?;
        }
        if let Some((at, why)) = &state.failed
            && at.elapsed() < PAUSE
        {
            return Err(self.lost(&format!("{why} (tried {} s ago)", at.elapsed().as_secs())));
        }
        match self.open(until) {
            Ok(()) => {
                state.opened += 1;
                state.failed = None;
                Ok(())
            }
            Err(why) => {
                let error = self.lost(&why);
                state.failed = Some((Instant::now(), why));
                Err(error)
            }
        }
    }

    fn open(&self, until: Instant) -> Result<(), String> {
        let folder = self.socket.parent().unwrap_or(Path::new("/"));
        make_private(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        // The master keeps its standard error: a pipe would never end.
        let errors = self.socket.with_extension("err");
        let file = std::fs::File::create(&errors).map_err(|error| format!("{}: {error}", errors.display()))?;
        let mut command = Command::new(self.program());
        command.args(self.options());
        command.args(["-o", "ControlMaster=yes", "-o"]).arg(format!("ControlPersist={PERSIST_S}"));
        // `-N -f`: in the background once we are let in, without a program.
        command.args(["-N", "-f", "--"]).arg(self.address.as_ref());
        let child = quiet(&mut command).stdout(Stdio::null()).stderr(file).spawn();
        let mut child = child.map_err(|error| format!("ssh cannot be started: {error}"))?;
        let ended = wait(&mut child, until.min(Instant::now() + Duration::from_secs(CONNECT_S + 1)));
        let said = || first_line(&std::fs::read_to_string(&errors).unwrap_or_default());
        match ended {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => Err(format!("{} ({status})", said())),
            Ok(None) => Err("no connection in time".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn is_alive(&self, until: Instant) -> bool {
        let mut command = Command::new(self.program());
        command.args(self.options()).args(["-O", "check", "--"]).arg(self.address.as_ref());
        run(&mut command, until).is_ok_and(|said| said.code == Some(0))
    }

    /// Ends the master.
    fn close(&self) {
        if !self.socket.exists() {
            return;
        }
        let mut command = Command::new(self.program());
        command.args(self.options()).args(["-O", "exit", "--"]).arg(self.address.as_ref());
        let _ = run(&mut command, Instant::now() + Duration::from_secs(1));
    }

    /// Never a kind that says something of the host's files.
    fn lost(&self, why: &str) -> io::Error {
        let why = first_line(why);
        io::Error::new(io::ErrorKind::NotConnected, format!("ssh to {}: {why}", self.address))
    }

    fn program(&self) -> PathBuf {
        self.settings.program.clone().unwrap_or_else(|| PathBuf::from("/usr/bin/ssh"))
    }

    fn options(&self) -> Vec<OsString> {
        let mut options: Vec<OsString> = Vec::new();
        let set = &self.settings;
        if let Some(file) = &set.config_file {
            options.extend([OsStr::new("-F"), file.as_os_str()].map(OsString::from));
        }
        options.extend(["-T", "-a", "-x"].map(OsString::from));
        let mut option = |text: String| options.extend([OsString::from("-o"), OsString::from(text)]);
        for fixed in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            "ClearAllForwardings=yes",
            "PermitLocalCommand=no",
            "LogLevel=ERROR",
        ] {
            option(fixed.to_owned());
        }
        option(format!("ConnectTimeout={CONNECT_S}"));
        option(format!("ServerAliveInterval={ALIVE_S}"));
        option(format!("ServerAliveCountMax={ALIVE_MAX}"));
        option(format!("ControlPath={}", escaped(&self.socket)));
        if let Some(file) = &set.known_hosts {
            option(format!("UserKnownHostsFile={}", escaped(file)));
            option("GlobalKnownHostsFile=/dev/null".to_owned());
        }
        if let Some(file) = &set.identity_file {
            option(format!("IdentityFile={}", escaped(file)));
            option("IdentitiesOnly=yes".to_owned());
        }
        if let Some(user) = &set.user {
            option(format!("User={user}"));
        }
        if let Some(port) = set.port {
            option(format!("Port={port}"));
        }
        options
    }
}

/// A path as `ssh_config(5)` reads it: quoted, and without its `%` tokens.
fn escaped(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it did not say why");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn quiet(command: &mut Command) -> &mut Command {
    let home = std::env::var_os("HOME");
    let agent = std::env::var_os("SSH_AUTH_SOCK");
    command.stdin(Stdio::null()).env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin");
    if let Some(home) = home {
        command.env("HOME", home);
    }
    if let Some(agent) = agent {
        command.env("SSH_AUTH_SOCK", agent);
    }
    command
}

/// Waits for the end of a child, and kills it at the limit; `None` = killed.
fn wait(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    let ended = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn reader(pipe: impl Read + Send + 'static, most: u64) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is what there is.
        let _ = pipe.take(most).read_to_end(&mut bytes);
        bytes
    })
}

fn run(command: &mut Command, until: Instant) -> io::Result<Said> {
    let mut child = quiet(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("no pipes to ssh"));
    };
    let (out, err) = (reader(out, OUTPUT_BYTES_MAX), reader(err, ERRORS_BYTES_MAX));
    let ended = wait(&mut child, until)?;
    let broke = |_| io::Error::other("a reader of ssh's output broke");
    let (stdout, stderr) = (out.join().map_err(broke)?, err.join().map_err(broke)?);
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    match ended {
        Some(status) => Ok(Said { code: status.code(), stdout, stderr }),
        None => Err(io::Error::new(io::ErrorKind::TimedOut, "the host did not answer over ssh in time")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn words_reach_a_shell_as_they_are() {
        for (word, quoted) in [
            ("/proc/mdstat", "/proc/mdstat"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$(reboot);`x`\n", "'$(reboot);`x`\n'"),
            ("~root", "'~root'"),
        ] {
            assert_eq!(quote(word), quoted);
            let said = Command::new("/bin/sh").args(["-c", &format!("printf %s {quoted}")]).output().expect("ran");
            assert_eq!(String::from_utf8_lossy(&said.stdout), word);
        }
    }

    /// An `ssh` that does what the script says.
    fn fake(folder: &Path, script: &str) -> Ssh {
        let program = folder.join("ssh");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
        Ssh::new(SshSettings { program: Some(program), ..SshSettings::default() }).expect("made")
    }

    #[test]
    fn a_refusal_is_told_with_its_cause_and_not_asked_for_again_at_once() {
        let folder = tempfile::tempdir().expect("folder");
        let log = folder.path().join("log");
        let ssh = fake(
            folder.path(),
            &format!("echo x >> {}\necho 'Host key verification failed.' >&2\nexit 255", log.display()),
        );
        let link = ssh.link(&"192.0.2.7".into());
        for _ in 0..3 {
            let error = link.run(&["true"]).expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::NotConnected);
            let text = error.to_string();
            assert!(text.contains("192.0.2.7") && text.contains("Host key verification failed."), "{text}");
        }
        assert_eq!(std::fs::read_to_string(log).expect("log").lines().count(), 1, "asked again at once");
        assert_eq!(link.opened(), 0);
    }

    #[test]
    fn sockets_are_for_their_owner_and_go_with_the_process() {
        let ssh = Ssh::new(SshSettings::default()).expect("made");
        let folder = ssh.folder.clone();
        assert!(!folder.exists(), "nothing was asked for yet");
        make_private(&folder).expect("made");
        make_private(&folder).expect("there already");
        assert_eq!(folder.metadata().expect("made").permissions().mode() & 0o777, 0o700);
        drop(ssh);
        assert!(!folder.exists());
    }
}
