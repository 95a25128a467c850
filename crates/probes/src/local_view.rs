//! The machine this process runs on, seen through /proc, /sys, statvfs and systemctl.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::sim_view::holder;
use super::view::{FsUsage, HostView, Process, Tools, Unit};

/// A file below /proc or /sys larger than this is cut: nothing a probe reads comes near it.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// `systemctl show` answers in milliseconds; a hung service manager must not hold a thread.
const SYSTEMCTL_MS_MAX: u64 = 3000;
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];

/// Types of file systems that hold data on this host. Network file systems are looked at only when named: their server's
/// fullness is not this host's, and they hang when it is gone.
pub(super) const DATA_TYPES: [&str; 16] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "nilfs2", "bcachefs", "vfat", "exfat",
    "ocfs2", "gfs2", "overlay",
];

/// The local machine, or (in tests) a copy of its /proc and /sys below another root.
#[derive(Clone, Debug)]
pub struct LocalView {
    pub root: PathBuf,
    /// Processes to leave out of the table: a one-shot check whose own command line carries the pattern it looks for, and
    /// those that started it (`sh -c`, `sudo`, `timeout`).
    pub without: Vec<u32>,
}

impl Default for LocalView {
    fn default() -> Self {
        LocalView { root: PathBuf::from("/"), without: Vec::new() }
    }
}

/// One row of /proc/self/mountinfo.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mount {
    pub point: String,
    pub fs_type: String,
    source: String,
    read_only: bool,
}

impl Mount {
    pub(super) fn read_only(&self) -> bool {
        self.read_only
    }
}

impl LocalView {
    /// This process and those above it whose command line holds `words`.
    pub fn family(&self, words: &str) -> Vec<u32> {
        /// Deeper than any real chain of wrappers, in case the table changes under us.
        const GENERATIONS_MAX: usize = 32;
        let mut family = vec![std::process::id()];
        let mut pid = std::process::id();
        for _ in 0..GENERATIONS_MAX {
            let parent = self.read(&format!("/proc/{pid}/stat")).ok().and_then(|stat| parse_parent(&stat));
            let Some(parent) = parent.filter(|parent| *parent > 1) else { break };
            let command_line = self.read(&format!("/proc/{parent}/cmdline")).unwrap_or_default();
            if command_line.replace('\0', " ").contains(words) {
                family.push(parent);
            }
            pid = parent;
        }
        family
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn mounts(&self) -> io::Result<Vec<Mount>> {
        Ok(self.read("/proc/self/mountinfo")?.lines().filter_map(parse_mount).collect())
    }

    fn usage(&self, mount: &Mount) -> io::Result<FsUsage> {
        let stat = rustix::fs::statvfs(self.path(&mount.point)).map_err(|errno| named(&mount.point, errno.into()))?;
        Ok(FsUsage {
            mount: mount.point.clone(),
            fs_type: mount.fs_type.clone(),
            bytes_total: stat.f_blocks.saturating_mul(stat.f_frsize),
            bytes_free: stat.f_bfree.saturating_mul(stat.f_frsize),
            bytes_available: stat.f_bavail.saturating_mul(stat.f_frsize),
            inodes_total: stat.f_files,
            inodes_free: stat.f_ffree,
            read_only: mount.read_only || stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
    }

    fn process(&self, pid: u32, clock: &ProcessClock) -> Option<Process> {
        // A process may end between listing and reading: it is then simply not there.
        let stat = self.read(&format!("/proc/{pid}/stat")).ok()?;
        let raw = parse_stat(&stat)?;
        let command_line = self.read(&format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let status = self.read(&format!("/proc/{pid}/status")).unwrap_or_default();
        let user_id = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:"))
            .and_then(|ids| ids.split_whitespace().nth(1))
            .and_then(|id| id.parse().ok())
            .unwrap_or(0);
        Some(Process {
            pid,
            state: raw.state,
            name: raw.name,
            command_line: command_line.replace('\0', " ").trim().to_owned(),
            user_id,
            age_s: (clock.uptime_s - raw.start_ticks as f64 / clock.ticks_per_s as f64).max(0.0) as u64,
            rss_bytes: raw.rss_pages.saturating_mul(clock.page_bytes),
        })
    }
}

/// What turns ticks and pages of /proc/PID/stat into seconds and bytes.
struct ProcessClock {
    uptime_s: f64,
    ticks_per_s: u64,
    page_bytes: u64,
}

impl HostView for LocalView {
    fn read(&self, path: &str) -> io::Result<String> {
        let file = std::fs::File::open(self.path(path)).map_err(|error| named(path, error))?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| named(path, error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.path(path)).map_err(|error| named(path, error))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn file_systems(&self, mounts: &[String]) -> io::Result<Vec<FsUsage>> {
        let mounted = self.mounts()?;
        if mounts.is_empty() {
            let usages = data_mounts(&mounted).into_iter().map(|mount| self.usage(mount));
            // A mount point inside somebody's private folder is not ours to see; every other error is told.
            let hidden = |usage: &io::Result<FsUsage>| {
                usage.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
            };
            return usages.filter(|usage| !hidden(usage)).collect();
        }
        mounts
            .iter()
            .map(|path| {
                let mount = holder(&mounted, path, |mount| &mount.point)
                    .ok_or_else(|| named(path, io::ErrorKind::NotFound.into()))?;
                // A path that does not exist has no file system, even though one would hold it.
                std::fs::symlink_metadata(self.path(path)).map_err(|error| named(path, error))?;
                self.usage(mount)
            })
            .collect()
    }

    fn processes(&self) -> io::Result<Vec<Process>> {
        let clock = ProcessClock {
            uptime_s: self.uptime_s()?,
            ticks_per_s: rustix::param::clock_ticks_per_second().max(1),
            page_bytes: rustix::param::page_size() as u64,
        };
        let mut pids: Vec<u32> = self.list("/proc")?.iter().filter_map(|name| name.parse().ok()).collect();
        pids.sort_unstable();
        pids.retain(|pid| !self.without.contains(pid));
        Ok(pids.into_iter().filter_map(|pid| self.process(pid, &clock)).collect())
    }

    fn unit(&self, name: &str) -> io::Result<Option<Unit>> {
        // sd_booted(3): this folder exists exactly where systemd is the service manager.
        if !self.path("/run/systemd/system").is_dir() {
            return Ok(None);
        }
        let Some(program) = SYSTEMCTL.iter().find(|program| self.path(program).exists()) else { return Ok(None) };
        let mut command = Command::new(program);
        command.args(["show", "--no-pager", UNIT_PROPERTIES, "--", name]);
        command.env_clear().env("LANG", "C").env("PATH", "/usr/bin:/bin");
        let text = run_briefly(command, Duration::from_millis(SYSTEMCTL_MS_MAX))?;
        Ok(parse_unit(name, &text))
    }

    fn tools(&self, _tool: &str, _args: &[&str]) -> Tools {
        Tools::Here
    }

    fn uptime_s(&self) -> io::Result<f64> {
        let text = self.read("/proc/uptime")?;
        text.split_whitespace()
            .next()
            .and_then(|first| first.parse().ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/uptime: not a number"))
    }
}

/// Puts the path in front of the system's words.
fn named(path: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

/// Runs a program that prints little, and kills it at the limit.
fn run_briefly(mut command: Command, limit: Duration) -> io::Result<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let Some(mut pipe) = child.stdout.take() else { return Err(io::Error::other("no pipe to the program")) };
    // The reader ends when the pipe closes: at the program's end, or when it is killed.
    let (done, finished) = std::sync::mpsc::sync_channel(1);
    let reader = std::thread::Builder::new().name("systemctl".into()).spawn(move || {
        let mut bytes = Vec::new();
        let read = (&mut pipe).take(64 * 1024).read_to_end(&mut bytes);
        let _ = done.send(read.map(|_| bytes));
    })?;
    let received = finished.recv_timeout(limit);
    if received.is_err() {
        child.kill()?;
    }
    child.wait()?;
    let text = match received {
        Ok(bytes) => String::from_utf8_lossy(&bytes?).into_owned(),
        Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "systemctl did not answer")),
    };
    let _ = reader.join();
    Ok(text)
}

/// What is asked of a unit.
pub(super) const UNIT_PROPERTIES: &str =
    "--property=Id,LoadState,ActiveState,SubState,MainPID,ExecMainCode,ExecMainStatus,NRestarts,Result";

/// `CLD_EXITED` of waitid(2): the process ended by itself.
const EXITED: &str = "1";

/// `None` if the service manager knows no such unit.
pub(super) fn parse_unit(name: &str, text: &str) -> Option<Unit> {
    let value = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default().to_owned()
    };
    let load = value("LoadState");
    if load.is_empty() || load == "not-found" {
        return None;
    }
    Some(Unit {
        name: name.to_owned(),
        load,
        active: value("ActiveState"),
        sub: value("SubState"),
        main_pid: value("MainPID").parse().ok().filter(|pid| *pid != 0),
        exit_code: value("ExecMainStatus").parse().ok().filter(|_| value("ExecMainCode") == EXITED),
        restarts: value("NRestarts").parse().ok(),
        result: value("Result"),
    })
}

/// `36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda1 rw` (proc(5)).
pub(super) fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(4);
    let point = unescape(left.next()?);
    let options = left.next()?;
    let mut right = right.split(' ');
    let fs_type = right.next()?.to_owned();
    let source = unescape(right.next()?);
    let super_options = right.next().unwrap_or_default();
    let read_only = [options, super_options].iter().any(|options| options.split(',').any(|option| option == "ro"));
    Some(Mount { point, fs_type, source, read_only })
}

/// The kernel writes blanks, tabs, newlines and backslashes in paths as three octal digits.
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Data file systems, each device once (bind mounts show it again) and the last mount on each point.
pub(super) fn data_mounts(mounted: &[Mount]) -> Vec<&Mount> {
    let mut kept: Vec<&Mount> = Vec::new();
    for mount in mounted.iter().filter(|mount| DATA_TYPES.contains(&mount.fs_type.as_str())) {
        // An overlay that is not the root is a container's and shows its host's disk again.
        if mount.fs_type == "overlay" && mount.point != "/" {
            continue;
        }
        kept.retain(|other| other.point != mount.point);
        if !kept.iter().any(|other| other.source == mount.source) {
            kept.push(mount);
        }
    }
    kept.sort_by(|a, b| a.point.cmp(&b.point));
    kept
}

#[derive(Debug, PartialEq)]
struct RawStat {
    name: String,
    state: char,
    start_ticks: u64,
    rss_pages: u64,
}

/// /proc/PID/stat; the name stands in parentheses and may hold blanks and parentheses itself.
fn parse_stat(text: &str) -> Option<RawStat> {
    let (_, after) = text.split_once('(')?;
    let (name, rest) = after.rsplit_once(')')?;
    // proc(5): state is field 3, starttime 22, rss 24; `rest` begins at field 3.
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(RawStat {
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        start_ticks: fields.get(19)?.parse().ok()?,
        rss_pages: fields.get(21)?.parse().unwrap_or(0),
    })
}

/// Field 4 of /proc/PID/stat.
fn parse_parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Every parser of this file over the same text, for the fuzzer.
#[doc(hidden)]
pub fn read_tables(text: &str) {
    let mounts: Vec<Mount> = text.lines().filter_map(parse_mount).collect();
    let _ = data_mounts(&mounts);
    let _ = (parse_stat(text), parse_parent(text), parse_unit("unit", text));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_machine_shows_itself() {
        let view = LocalView::default();
        let processes = view.processes().expect("process table");
        let me = processes.iter().find(|process| process.pid == std::process::id()).expect("this test");
        assert!(me.rss_bytes > 0 && "RSD".contains(me.state), "{me:?}");
        assert!(view.uptime_s().expect("uptime") > 0.0);
        let root = view.file_systems(&["/".into()]).expect("root file system");
        assert!(root[0].bytes_total > 0 && root[0].mount == "/", "{root:?}");
    }

    #[test]
    fn a_process_can_be_left_out() {
        let view = LocalView { without: vec![std::process::id()], ..LocalView::default() };
        assert!(view.processes().expect("table").iter().all(|process| process.pid != std::process::id()));
    }

    #[test]
    fn a_one_shot_check_knows_itself_and_only_wrappers_that_carry_its_words() {
        let view = LocalView::default();
        assert_eq!(view.family("words that nobody was started with"), [std::process::id()]);
    }

    #[test]
    fn a_root_prefix_redirects_every_file() {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::create_dir_all(dir.path().join("proc/net/bonding")).expect("folder");
        std::fs::write(dir.path().join("proc/net/bonding/bond1"), "x").expect("file");
        std::fs::write(dir.path().join("proc/uptime"), "12.5 3.0\n").expect("file");
        let view = LocalView { root: dir.path().into(), without: Vec::new() };
        assert_eq!(view.list("/proc/net/bonding").expect("listed"), ["bond1"]);
        assert_eq!(view.uptime_s().expect("uptime"), 12.5);
        assert_eq!(view.unit("sshd.service").expect("no systemd there"), None);
        let missing = view.read("/proc/mdstat").expect_err("absent");
        assert!(missing.to_string().contains("/proc/mdstat"), "{missing}");
    }

    #[test]
    fn bind_mounts_pseudo_and_network_file_systems_are_not_data() {
        let table = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            28 27 254:0 /x /bind rw - ext4 /dev/vda rw\n\
            29 27 0:40 / /mnt/nfs rw - nfs4 filer:/v rw\n\
            30 27 8:1 / /srv/my\\040data ro,noatime master:1 - xfs /dev/sdb1 rw\n\
            31 27 0:9 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw\n";
        let mounts: Vec<Mount> = table.lines().filter_map(parse_mount).collect();
        let kept = data_mounts(&mounts);
        let points: Vec<&str> = kept.iter().map(|mount| mount.point.as_str()).collect();
        assert_eq!(points, ["/", "/srv/my data"]);
        assert!(kept[1].read_only);
    }

    #[test]
    fn names_with_parentheses_do_not_shift_the_fields() {
        let stat = "7 (a) b (c) D 1 7 7 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 4242 1000 77 1844 1 1 0";
        let expected = RawStat { name: "a) b (c".into(), state: 'D', start_ticks: 4242, rss_pages: 77 };
        assert_eq!(parse_stat(stat), Some(expected));
        assert_eq!(parse_parent(stat), Some(1));
    }

    #[test]
    fn systemctl_show_reads_into_a_unit() {
        let text = "Id=nginx.service\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\nMainPID=0\n";
        let unit = parse_unit("nginx", text).expect("known");
        assert_eq!((unit.active.as_str(), unit.sub.as_str(), unit.main_pid), ("activating", "auto-restart", None));
        assert_eq!((unit.exit_code, unit.restarts, unit.result.as_str()), (None, None, ""));
        let text = "LoadState=loaded\nActiveState=failed\nSubState=failed\nMainPID=0\nExecMainCode=1\nExecMainStatus=219\n\
            NRestarts=3\nResult=exit-code\n";
        let unit = parse_unit("x", text).expect("known");
        assert_eq!((unit.exit_code, unit.restarts, unit.result.as_str()), (Some(219), Some(3), "exit-code"));
        let killed = parse_unit("x", &text.replace("ExecMainCode=1", "ExecMainCode=2")).expect("known");
        assert_eq!(killed.exit_code, None, "the number of a signal is no exit status");
        assert_eq!(parse_unit("x", "Id=x.service\nLoadState=not-found\nActiveState=inactive\n"), None);
        assert_eq!(parse_unit("x", ""), None);
    }

    #[test]
    fn a_program_that_hangs_is_killed_at_the_limit() {
        let mut command = Command::new("/bin/sleep");
        command.arg("600");
        let error = run_briefly(command, Duration::from_millis(50)).expect_err("killed");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    proptest! {
        #[test]
        fn kernel_tables_never_panic(line in "\\PC{0,200}") {
            let _ = (parse_mount(&line), parse_stat(&line), parse_unit("u", &line), unescape(&line));
        }

        #[test]
        fn truncated_rows_never_panic(cut in 0usize..90) {
            let row = "30 27 8:1 / /srv/my\\040data ro,noatime master:1 - xfs /dev/sdb1 rw";
            let _ = parse_mount(row.get(..cut.min(row.len())).unwrap_or(row));
        }
    }
}
