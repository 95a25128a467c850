//! A host seen from inside through [`ssh`](super::ssh_link): its files, file systems, processes, units and tools, each look
//! one session in one connection. Probes do not notice; what cannot be asked is never told as absent.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::local_view::{UNIT_PROPERTIES, data_mounts, parse_mount, parse_unit};
use super::sim_view::holder;
use super::ssh_link::{Link, Said, Trust};
use super::view::{FsUsage, HostView, Process, RemoteTool, Tools, Unit};

/// As for local files: nothing a probe reads comes near it.
const FILE_BYTES_MAX: &str = "4194304";
/// Where remote programs are looked for, whatever the remote user's profile says.
const PATH: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin:/opt/MegaRAID/storcli:\
                    /opt/MegaRAID/perccli:/opt/MegaRAID/MegaCli:/opt/smartstorageadmin/ssacli/bin:/opt/hp/hpssacli/bld:\
                    /usr/StorMan:/opt/StorMan:/usr/Arcconf:/opt/bin";
/// `env` says so of a program that is not there, as shells do.
const NOT_FOUND: i32 = 127;

/// The host behind one [`Link`].
#[derive(Clone, Debug)]
pub struct SshView {
    link: Arc<Link>,
}

impl SshView {
    pub fn new(link: Arc<Link>) -> SshView {
        SshView { link }
    }

    /// What a program printed that ended well.
    fn ask(&self, about: &str, words: &[&str]) -> io::Result<String> {
        let said = self.run(words)?;
        if said.code == Some(0) {
            return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
        }
        Err(refusal(about, &said))
    }

    fn run(&self, words: &[&str]) -> io::Result<Said> {
        self.link.run(&[&["env", "LC_ALL=C", PATH], words].concat())
    }
}

/// What the host's own programs say in the C locale when a file is missing or closed to us.
fn refusal(about: &str, said: &Said) -> io::Error {
    let text = said.stderr.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
    let kind = if said.code == Some(NOT_FOUND) {
        io::ErrorKind::Unsupported
    } else if text.contains("No such file or directory") || text.contains("No such device") {
        io::ErrorKind::NotFound
    } else if text.contains("Permission denied") || text.contains("Operation not permitted") {
        io::ErrorKind::PermissionDenied
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, format!("{about}: {}", text.chars().filter(|c| !c.is_control()).take(200).collect::<String>()))
}

impl HostView for SshView {
    fn read(&self, path: &str) -> io::Result<String> {
        self.ask(path, &["head", "-c", FILE_BYTES_MAX, "--", path])
    }

    fn read_many(&self, paths: &[String]) -> Vec<io::Result<String>> {
        // Each line behind the name of its file; a file without a line is empty, unless something is said of it.
        let mut words = vec!["grep", "-H", "", "--"];
        words.extend(paths.iter().map(String::as_str));
        let said = match self.run(&words) {
            Ok(said) if said.code.is_some_and(|code| (0..=2).contains(&code)) => said,
            Ok(said) => return paths.iter().map(|path| Err(refusal(path, &said))).collect(),
            Err(error) => {
                return paths.iter().map(|_| Err(io::Error::new(error.kind(), error.to_string()))).collect();
            }
        };
        let text = String::from_utf8_lossy(&said.stdout);
        paths.iter().map(|path| part_of(path, &text, &said.stderr)).collect()
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let text = self.ask(path, &["ls", "-1A", "--", path])?;
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    fn file_systems(&self, mounts: &[String]) -> io::Result<Vec<FsUsage>> {
        let table = self.read("/proc/self/mountinfo")?;
        let mounted: Vec<_> = table.lines().filter_map(parse_mount).collect();
        let wanted: Vec<_> = if mounts.is_empty() {
            data_mounts(&mounted).into_iter().map(|mount| (mount.point.clone(), mount)).collect()
        } else {
            let found = mounts.iter().map(|path| {
                let mount = holder(&mounted, path, |mount| &mount.point);
                let mount = mount.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, path.clone()));
                mount.map(|mount| (path.clone(), mount))
            });
            found.collect::<io::Result<_>>()?
        };
        let mut usages = Vec::new();
        for (path, mount) in wanted {
            let text = match self.ask(&path, &["stat", "-f", "-c", "%S %b %f %a %c %d", "--", &path]) {
                // As on this machine: what is inside somebody's private folder is not ours to see.
                Err(error) if mounts.is_empty() && error.kind() == io::ErrorKind::PermissionDenied => continue,
                other => other?,
            };
            let usage =
                parse_stat(&text).ok_or_else(|| io::Error::other(format!("{path}: stat said `{}`", text.trim())))?;
            let (point, fs_type, read_only) = (mount.point.clone(), mount.fs_type.clone(), mount.read_only());
            usages.push(FsUsage { mount: point, fs_type, read_only, ..usage });
        }
        Ok(usages)
    }

    fn processes(&self) -> io::Result<Vec<Process>> {
        let names = self.ask("ps", &["ps", "-eo", "pid=,comm="])?;
        let names: BTreeMap<u32, &str> = names.lines().filter_map(pid_and_rest).collect();
        let table = self.ask("ps", &["ps", "-eww", "-o", "pid=,s=,uid=,etimes=,rss=,args="])?;
        Ok(table.lines().filter_map(|line| parse_process(line, &names)).collect())
    }

    fn unit(&self, name: &str) -> io::Result<Option<Unit>> {
        let properties = UNIT_PROPERTIES;
        let said = self.run(&["systemctl", "show", "--no-pager", properties, "--", name])?;
        match said.code {
            Some(0) => Ok(parse_unit(name, &String::from_utf8_lossy(&said.stdout))),
            Some(NOT_FOUND) => Ok(None),
            // systemctl(1) where another service manager runs.
            _ if said.stderr.contains("not been booted with systemd") => Ok(None),
            _ => Err(refusal("systemctl", &said)),
        }
    }

    fn uptime_s(&self) -> io::Result<f64> {
        let text = self.read("/proc/uptime")?;
        let first = text.split_whitespace().next().and_then(|first| first.parse().ok());
        first.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/uptime: not a number"))
    }

    fn tools(&self, _tool: &str, _args: &[&str]) -> Tools {
        Tools::Remote(Arc::new(RemoteView(self.clone())))
    }

    fn is_remote(&self) -> bool {
        true
    }
}

/// Tools of the host, run inside the connection.
#[derive(Debug)]
struct RemoteView(SshView);

impl RemoteTool for RemoteView {
    fn prepare(&self) -> io::Result<()> {
        self.0.link.ensure(Trust::Answer, std::time::Instant::now() + super::ssh_link::LOOK_MAX)
    }

    fn command(&self, words: &[String]) -> (std::path::PathBuf, Vec<std::ffi::OsString>) {
        let head = ["env", "LC_ALL=C", PATH].map(str::to_owned);
        self.0.link.command(&[&head, words].concat())
    }

    fn is_lost(&self, code: Option<i32>) -> bool {
        Link::is_lost(code)
    }

    fn is_missing(&self, code: Option<i32>) -> bool {
        code == Some(NOT_FOUND)
    }
}

/// The lines of one file out of what `grep -H` printed of many.
fn part_of(path: &str, text: &str, stderr: &str) -> io::Result<String> {
    let about = format!("{path}: ");
    if let Some(line) = stderr.lines().find(|line| line.contains(&about)) {
        return Err(refusal(path, &Said { code: Some(2), stdout: Vec::new(), stderr: line.to_owned() }));
    }
    let mark = format!("{path}:");
    let mut out = String::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(&mark)) {
        out.push_str(line);
        out.push('\n');
    }
    Ok(out)
}

/// `blocksize total free available inodes free`.
fn parse_stat(text: &str) -> Option<FsUsage> {
    let numbers: Option<Vec<u64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    let numbers = numbers?;
    let [block, total, free, available, inodes_total, inodes_free] = numbers.as_slice() else { return None };
    Some(FsUsage {
        mount: String::new(),
        fs_type: String::new(),
        bytes_total: total.saturating_mul(*block),
        bytes_free: free.saturating_mul(*block),
        bytes_available: available.saturating_mul(*block),
        inodes_total: *inodes_total,
        inodes_free: *inodes_free,
        read_only: false,
    })
}

fn pid_and_rest(line: &str) -> Option<(u32, &str)> {
    let (pid, rest) = line.trim().split_once(char::is_whitespace)?;
    Some((pid.parse().ok()?, rest.trim()))
}

fn parse_process(line: &str, names: &BTreeMap<u32, &str>) -> Option<Process> {
    let (pid, rest) = pid_and_rest(line)?;
    let mut fields = rest.splitn(2, char::is_whitespace);
    let state = fields.next()?.chars().next()?;
    let (user_id, rest) = pid_and_rest(fields.next()?)?;
    let (age_s, rest) = rest.split_once(char::is_whitespace)?;
    let (rss_kib, args) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim_start(), ""));
    // One that ended between the two tables has no name any more; its arguments begin with it.
    let fallback = || args.split_whitespace().next().unwrap_or_default().trim_matches(['[', ']']);
    let name = names.get(&pid).copied().unwrap_or_else(fallback);
    // Threads of the kernel and processes without arguments are shown as their name in brackets.
    let has_none = args.trim() == format!("[{name}]") || args.trim_start().starts_with(&format!("[{name}] <defunct>"));
    Some(Process {
        pid,
        state,
        name: name.trim_end_matches(" <defunct>").to_owned(),
        command_line: if has_none { String::new() } else { args.trim().to_owned() },
        user_id,
        age_s: age_s.parse().ok()?,
        rss_bytes: rss_kib.parse::<u64>().ok()?.saturating_mul(1024),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_process_table_reads_as_from_proc() {
        let names = "    1 systemd\n    2 kthreadd\n 812 Web Content\n 900 sleep <defunct>\n";
        let names: BTreeMap<u32, &str> = names.lines().filter_map(pid_and_rest).collect();
        let table = [
            ("    1 S     0  86400 12345 /sbin/init splash", (1, 'S', "systemd", "/sbin/init splash", 12_641_280)),
            ("    2 S     0  86400     0 [kthreadd]", (2, 'S', "kthreadd", "", 0)),
            (
                " 812 R  1000     12   100 /usr/lib/firefox -x y",
                (812, 'R', "Web Content", "/usr/lib/firefox -x y", 102_400),
            ),
            (" 900 Z  1000      1     0 [sleep] <defunct>", (900, 'Z', "sleep", "", 0)),
        ];
        for (line, (pid, state, name, command_line, rss)) in table {
            let seen = parse_process(line, &names).expect(line);
            let got = (seen.pid, seen.state, seen.name.as_str(), seen.command_line.as_str(), seen.rss_bytes);
            if state != 'Z' {
                assert_eq!(got, (pid, state, name, command_line, rss), "{line}");
            } else {
                assert_eq!((got.0, got.1, got.2), (pid, state, name), "{line}");
            }
        }
    }

    #[test]
    fn many_files_come_apart_again_and_missing_ones_are_told() {
        let text = "/sys/a:1\n/sys/ab:x:y\n/sys/ab:z\n";
        let stderr = "grep: /sys/c: No such file or directory\ngrep: /sys/d: Permission denied\ngrep: /sys/e: Invalid argument\n";
        let part = |path| part_of(path, text, stderr);
        assert_eq!(part("/sys/a").expect("read"), "1\n");
        assert_eq!(part("/sys/ab").expect("read"), "x:y\nz\n");
        assert_eq!(part("/sys/empty").expect("read"), "");
        let kinds = ["/sys/c", "/sys/d", "/sys/e"].map(|path| part(path).expect_err("told").kind());
        assert_eq!(kinds, [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied, io::ErrorKind::Other]);
    }

    #[test]
    fn space_is_counted_in_blocks() {
        let usage = parse_stat("4096 1000 400 300 50 20\n").expect("read");
        assert_eq!((usage.bytes_total, usage.bytes_available, usage.inodes_free), (4_096_000, 1_228_800, 20));
        for bad in ["", "1 2 3", "a b c d e f", "1 2 3 4 5 6 7"] {
            assert_eq!(parse_stat(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(text in "\\PC{0,200}", line in "[ 0-9a-zA-Z\\[\\]<>/-]{0,80}") {
            let names = BTreeMap::new();
            let _ = parse_process(&line, &names);
            let _ = parse_stat(&text);
            let _ = part_of("/a", &text, &line);
        }
    }
}
