//! `mount`: whether each file system answers. One on a dead server cannot block it: each is asked by a thread of its own
//! that may be left behind, one at most for each mount.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use stentor_core::model::Observation;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::local_view::{DATA_TYPES, Mount as Mounted, parse_mount, unescape};
use super::look::{Lane, ahead_of, look};
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

/// Threads left behind by this process, at most; beyond it nothing more is asked.
const STUCK_MAX: usize = 32;
/// Mounts asked at once.
const AT_ONCE: usize = 8;
/// `statvfs` needs little.
const STACK_BYTES: usize = 128 * 1024;

/// File systems whose server is elsewhere.
const NETWORK_TYPES: [&str; 15] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "glusterfs",
    "lustre",
    "9p",
    "afs",
    "beegfs",
    "gpfs",
    "orangefs",
    "coda",
    "fuseblk",
];
/// Desktop and container helpers that hold no data.
const IDLE_FUSE: [&str; 4] = ["fuse.gvfsd-fuse", "fuse.portal", "fuse.lxcfs", "fuse.snapfuse"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Mount points that must be mounted, besides those of /etc/fstab.
    pub mounts: Vec<String>,
    /// Mount points that are not asked.
    pub exclude: Vec<String>,
    /// What /etc/fstab mounts at boot must be mounted.
    pub fstab: bool,
    /// A file system that has not answered for so long hangs.
    pub answer_s: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config { mounts: Vec::new(), exclude: Vec::new(), fstab: true, answer_s: 3.0 }
    }
}

pub struct Mount {
    view: Arc<dyn HostView>,
    config: Config,
}

/// One host's mount point.
type Key = (usize, String);

/// The threads under way, with when they began. A thread that hangs stays here until the kernel lets it go.
static UNDER_WAY: Mutex<BTreeMap<Key, Instant>> = Mutex::new(BTreeMap::new());

fn under_way() -> MutexGuard<'static, BTreeMap<Key, Instant>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, PartialEq)]
enum Answer {
    /// And whether it takes no writes.
    Alive {
        read_only: bool,
    },
    /// For so many seconds.
    Hangs(f64),
    Failed(String),
    /// Not ours to see.
    Hidden,
    /// Too many hang already, or there was no time left.
    NotAsked,
}

/// A line of /etc/fstab that is mounted at boot.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub point: String,
    pub read_only: bool,
}

/// The mount points that fstab(5) demands: neither `noauto` nor `nofail`, no swap.
pub fn parse_fstab(text: &str) -> Vec<Wanted> {
    let wanted = |line: &str| {
        let mut fields = line.split_whitespace();
        let (_, point, fs_type) = (fields.next()?, fields.next()?, fields.next()?);
        let options: Vec<&str> = fields.next().unwrap_or("defaults").split(',').collect();
        let has = |option: &str| options.contains(&option);
        let optional = has("noauto") || has("nofail");
        let is_mounted = point.starts_with('/') && fs_type != "swap" && !optional;
        is_mounted.then(|| {
            let point = unescape(point);
            let trimmed = point.trim_end_matches('/');
            Wanted { point: if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }, read_only: has("ro") }
        })
    };
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter_map(wanted).collect()
}

impl Probe for Mount {
    const KIND: &'static str = "mount";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/mount.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if let Some(path) = config.mounts.iter().chain(&config.exclude).find(|path| !path.starts_with('/')) {
            return Err(BuildError { message: format!("`{path}` is not an absolute path") });
        }
        if !(config.answer_s >= 0.01 && config.answer_s <= 600.0) {
            return Err(BuildError { message: "`answer_s` is between 0.01 and 600".into() });
        }
        Ok(Mount { view: Arc::clone(&env.view), config })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let (mounted, fstab) = look(&self.view, Lane::Kernel, deadline, |view| {
            let mounted = view.read("/proc/self/mountinfo")?;
            // A host without the file demands nothing.
            Ok((mounted, view.read("/etc/fstab").unwrap_or_default()))
        })
        .await?;
        let mounted: Vec<Mounted> = mounted.lines().filter_map(parse_mount).collect();
        let mut wanted = if self.config.fstab { parse_fstab(&fstab) } else { Vec::new() };
        wanted.extend(self.config.mounts.iter().map(|point| Wanted { point: point.clone(), read_only: false }));
        wanted.retain(|one| !self.config.exclude.contains(&one.point));
        let points = self.asked(&mounted);
        let mut answers = Vec::new();
        for some in points.chunks(AT_ONCE) {
            let asked = some.iter().map(|point| self.ask(point, deadline));
            answers.extend(some.iter().cloned().zip(join_all(asked).await));
        }
        Ok(observe(&answers, &mounted, &wanted))
    }
}

impl Mount {
    /// Each point once: what is mounted over another hides it.
    fn asked(&self, mounted: &[Mounted]) -> Vec<String> {
        let holds_data = |kind: &str| {
            DATA_TYPES.contains(&kind)
                || NETWORK_TYPES.contains(&kind)
                || (kind.starts_with("fuse.") && !IDLE_FUSE.contains(&kind))
        };
        // An overlay that is not the root is a container's and shows its host's disk again.
        let is_asked = |mount: &&Mounted| {
            let named = self.config.mounts.contains(&mount.point);
            let nested = mount.fs_type == "overlay" && mount.point != "/";
            named || (holds_data(&mount.fs_type) && !nested && !self.config.exclude.contains(&mount.point))
        };
        mounted.iter().filter(is_asked).map(|mount| mount.point.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    async fn ask(&self, point: &str, deadline: Deadline) -> Answer {
        let begun = Instant::now();
        let limit = (begun + Duration::from_secs_f64(self.config.answer_s)).min(ahead_of(deadline));
        let key: Key = (Arc::as_ptr(&self.view).cast::<()>() as usize, point.to_owned());
        {
            let mut all = under_way();
            // An earlier run's thread still hangs there: it answers for this one, too.
            if let Some(since) = all.get(&key) {
                return Answer::Hangs(begun.duration_since(*since).as_secs_f64());
            }
            if all.len() >= STUCK_MAX || limit <= begun {
                return Answer::NotAsked;
            }
            all.insert(key.clone(), begun);
        }
        let (tx, answer) = oneshot::channel();
        let (view, wanted, own) = (Arc::clone(&self.view), vec![point.to_owned()], key.clone());
        let asks = move || {
            let seen = view.file_systems(&wanted);
            under_way().remove(&own);
            // Whoever does not wait any more has told that it hangs.
            drop(tx.send(seen));
        };
        let thread = std::thread::Builder::new().name("mount".to_owned()).stack_size(STACK_BYTES).spawn(asks);
        if let Err(error) = thread {
            under_way().remove(&key);
            return Answer::Failed(format!("no thread to ask it: {error}"));
        }
        match timeout_at(limit, answer).await {
            Err(_) => Answer::Hangs(begun.elapsed().as_secs_f64()),
            Ok(Err(_)) => {
                under_way().remove(&key);
                Answer::Failed("the look ended abnormally".to_owned())
            }
            Ok(Ok(Ok(seen))) => Answer::Alive { read_only: seen.iter().any(|fs| fs.read_only) },
            Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::PermissionDenied => Answer::Hidden,
            Ok(Ok(Err(error))) => Answer::Failed(error.to_string()),
        }
    }
}

fn observe(answers: &[(String, Answer)], mounted: &[Mounted], wanted: &[Wanted]) -> Observation {
    let with = |meant: &dyn Fn(&Answer) -> bool| -> Vec<String> {
        answers.iter().filter(|(_, answer)| meant(answer)).map(|(point, _)| point.clone()).collect()
    };
    let hung = with(&|answer| matches!(answer, Answer::Hangs(_)));
    let failed = with(&|answer| matches!(answer, Answer::Failed(_)));
    let not_asked = with(&|answer| *answer == Answer::NotAsked);
    let missing: BTreeSet<String> = wanted
        .iter()
        .filter(|one| !mounted.iter().any(|mount| mount.point == one.point))
        .map(|one| one.point.clone())
        .collect();
    let missing: Vec<String> = missing.into_iter().collect();
    // The kernel turns a broken file system read-only; one that ought to be so is fine.
    let turned = |point: &String| wanted.iter().any(|one| one.point == *point && !one.read_only);
    let mut read_only = with(&|answer| *answer == Answer::Alive { read_only: true });
    read_only.retain(turned);
    let longest = answers.iter().filter_map(|(_, answer)| match answer {
        Answer::Hangs(seconds) => Some(*seconds),
        _ => None,
    });
    let longest = longest.fold(0.0, f64::max);
    let mut parts = Vec::new();
    for (list, what) in [
        (&hung, "no answer"),
        (&failed, "fails"),
        (&missing, "not mounted"),
        (&read_only, "turned read-only"),
        (&not_asked, "not asked"),
    ] {
        if !list.is_empty() {
            parts.push(format!("{what}: {}", list.join(", ")));
        }
    }
    if parts.is_empty() {
        parts.push(format!("{} file systems answer", answers.len()));
    }
    let line = |(point, answer): &(String, Answer)| {
        let kind = mounted.iter().rev().find(|mount| mount.point == *point).map_or("", |mount| &mount.fs_type);
        let said = match answer {
            Answer::Alive { read_only: false } => "answers".to_owned(),
            Answer::Alive { read_only: true } => "answers, read-only".to_owned(),
            Answer::Hangs(seconds) => format!("NO ANSWER for {seconds:.0} s"),
            Answer::Failed(why) => format!("FAILS: {why}"),
            Answer::Hidden => "not ours to see".to_owned(),
            Answer::NotAsked => "not asked: too many hang, or no time was left".to_owned(),
        };
        format!("{point} ({kind}): {said}")
    };
    let lines: Vec<String> = answers.iter().map(line).collect();
    Observation::observed(parts.join("; "))
        .long(lines.join("\n"))
        .fact("mounts", answers.len())
        .measure("hung", hung.len() as f64, "")
        .fact("hung", hung)
        .fact("failed", failed)
        .fact("missing", missing)
        .fact("read_only", read_only)
        .fact("not_asked", not_asked)
        .fact("hung_s", longest.round())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use proptest::prelude::*;

    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{build, env, is_overrun, number, plain_env, target, text, within};
    use crate::view::{FsUsage, Process, Unit};

    const MOUNTS: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        30 27 0:40 / /nfs rw - nfs4 server:/export rw\n31 27 0:41 / /nfs2 rw - nfs4 server:/two rw\n\
        32 27 0:5 / /proc rw - proc proc rw\n33 27 0:6 / /run rw - tmpfs tmpfs rw\n";

    fn fs(mount: &str, read_only: bool) -> FsUsage {
        FsUsage {
            mount: mount.into(),
            fs_type: "ext4".into(),
            bytes_total: 10,
            bytes_free: 5,
            bytes_available: 5,
            inodes_total: 10,
            inodes_free: 5,
            read_only,
        }
    }

    /// A host on which looks at paths that begin with `/nfs` hang until the test ends, as on a dead server.
    struct Hanging {
        inner: SimView,
        asked: Mutex<Vec<String>>,
        until: Mutex<mpsc::Receiver<()>>,
    }

    impl HostView for Hanging {
        fn read(&self, path: &str) -> io::Result<String> {
            self.inner.read(path)
        }
        fn list(&self, path: &str) -> io::Result<Vec<String>> {
            self.inner.list(path)
        }
        fn file_systems(&self, mounts: &[String]) -> io::Result<Vec<FsUsage>> {
            self.asked.lock().expect("not poisoned").extend(mounts.iter().cloned());
            if mounts.iter().any(|mount| mount.starts_with("/nfs")) {
                let _ = self.until.lock().expect("not poisoned").recv();
            }
            self.inner.file_systems(mounts)
        }
        fn processes(&self) -> io::Result<Vec<Process>> {
            self.inner.processes()
        }
        fn unit(&self, name: &str) -> io::Result<Option<Unit>> {
            self.inner.unit(name)
        }
        fn uptime_s(&self) -> io::Result<f64> {
            self.inner.uptime_s()
        }
    }

    fn sim(mounts: &str, fstab: &str, file_systems: Vec<FsUsage>) -> SimView {
        let files = [("/proc/self/mountinfo", mounts), ("/etc/fstab", fstab)];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        SimView::of(SimHost { files, file_systems, ..SimHost::default() })
    }

    fn hanging(mounts: &str) -> (mpsc::Sender<()>, Arc<Hanging>) {
        let (release, until) = mpsc::channel();
        let inner = sim(mounts, "", vec![fs("/", false)]);
        (release, Arc::new(Hanging { inner, asked: Mutex::default(), until: Mutex::new(until) }))
    }

    #[tokio::test]
    async fn a_dead_server_hides_nothing_else_and_gets_one_thread_only() {
        let (release, view) = hanging(MOUNTS);
        let probe =
            build("mount", r#"{"answer_s":0.05}"#, &env(Arc::clone(&view) as Arc<dyn HostView>)).expect("built");
        for _ in 0..3 {
            let deadline = within(3000);
            let seen = probe.run(&target("h"), deadline).await.expect("observed");
            assert!(!is_overrun(deadline));
            assert_eq!((text(&seen, "hung"), number(&seen, "mounts")), ("[/nfs, /nfs2]".into(), 3.0));
            assert_eq!(text(&seen, "failed"), "[]");
        }
        let asked = view.asked.lock().expect("not poisoned").clone();
        let of = |point: &str| asked.iter().filter(|path| *path == point).count();
        assert_eq!((of("/nfs"), of("/nfs2"), of("/")), (1, 1, 3));
        drop(release);
    }

    #[tokio::test]
    async fn the_deadline_is_kept_by_many_dead_mounts() {
        let mounts: String = (0..40).map(|n| format!("3{n} 27 0:4{n} / /nfs{n} rw - nfs4 s:/e rw\n")).collect();
        let (release, view) = hanging(&mounts);
        let probe = build("mount", r#"{"answer_s":600}"#, &env(view)).expect("built");
        let deadline = within(300);
        let seen = probe.run(&target("h"), deadline).await.expect("observed");
        assert!(!is_overrun(deadline));
        assert!(!text(&seen, "hung").is_empty() && text(&seen, "not_asked").contains("/nfs9"), "{seen:?}");
        drop(release);
    }

    #[tokio::test]
    async fn what_fstab_demands_is_missed_and_what_turned_read_only_is_told() {
        let fstab = "# comment\nUUID=1 / ext4 errors=remount-ro 0 1\nserver:/e /nfs nfs defaults 0 0\n/dev/sdb /ro ext4 ro 0 2\n\
            /dev/sdc /opt noauto-is-no-type noauto 0 0\n/dev/sdd none swap sw 0 0\n/dev/sde /my\\040data/ xfs defaults 0 0\n";
        let mounts = "27 1 254:0 / / ro - ext4 /dev/vda ro\n28 27 8:1 / /ro ro - ext4 /dev/sdb ro\n";
        let view = Arc::new(sim(mounts, fstab, vec![fs("/", true), fs("/ro", true)]));
        let run = |params: &str| build("mount", params, &env(Arc::clone(&view) as Arc<dyn HostView>)).expect("built");
        let seen = run("{}").run(&target("h"), within(5000)).await.expect("observed");
        assert_eq!((text(&seen, "missing"), text(&seen, "read_only")), ("[/my data, /nfs]".into(), "[/]".into()));
        let seen = run(r#"{"fstab":false,"mounts":["/x"],"exclude":["/ro"]}"#).run(&target("h"), within(5000)).await;
        let seen = seen.expect("observed");
        assert_eq!((text(&seen, "missing"), number(&seen, "mounts")), ("[/x]".into(), 1.0));
    }

    #[tokio::test]
    async fn a_stale_handle_fails_and_is_not_taken_for_alive() {
        let view = Arc::new(sim(MOUNTS, "", Vec::new()));
        let seen =
            build("mount", "{}", &env(view)).expect("built").run(&target("h"), within(5000)).await.expect("observed");
        assert_eq!((text(&seen, "failed"), text(&seen, "hung")), ("[/, /nfs, /nfs2]".into(), "[]".into()));
    }

    #[test]
    fn only_absolute_paths_and_sane_times_are_taken() {
        for params in [r#"{"mounts":["x"]}"#, r#"{"answer_s":0}"#, r#"{"answer_s":1e9}"#] {
            assert!(build("mount", params, &plain_env()).is_err(), "{params}");
        }
    }

    proptest! {
        #[test]
        fn no_fstab_panics(text in "(/|#|\\\\[0-9]{0,3}| |\n|\t|swap|ro,|\\PC){0,40}") {
            let _ = parse_fstab(&text);
        }
    }
}
