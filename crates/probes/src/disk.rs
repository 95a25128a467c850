//! `disk`: space, inodes and read-only state of file systems, seen from the host itself.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use futures_util::future::join_all;
use serde::Deserialize;
use stentor_core::model::{Measurement, Observation, Value};

use super::look::{Lane, look};
use super::view::FsUsage;
use super::{BuildError, Deadline, HostView, Probe, ProbeEnv, ProbeError, Target};

pub struct Disk {
    view: Arc<dyn HostView>,
    config: Config,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Mount points that must be mounted; one that is not is a fact of its own.
    pub mounts: Vec<String>,
    /// Any paths: the file system that holds each.
    pub paths: Vec<String>,
    /// Mount points to leave out of the default list.
    pub exclude: Vec<String>,
}

/// Paths looked at in one run; each may take a thread.
const PATHS_MAX: usize = 32;

/// What is known of the file systems after one run.
#[derive(Debug, Default)]
struct Seen {
    usages: Vec<FsUsage>,
    not_mounted: Vec<String>,
    /// Did not answer by the deadline: a dead server or disk.
    hung: Vec<String>,
}

impl Probe for Disk {
    const KIND: &'static str = "disk";
    const HOST_SIDE: bool = true;
    const DOC: &'static str = include_str!("../../../docs/probes/disk.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let named = config.mounts.iter().chain(&config.paths);
        if let Some(path) = named.clone().find(|path| !path.starts_with('/')) {
            return Err(BuildError { message: format!("`{path}` is not an absolute path") });
        }
        if named.count() > PATHS_MAX {
            return Err(BuildError { message: format!("more than {PATHS_MAX} paths in one check; make it several") });
        }
        Ok(Disk { view: Arc::clone(&env.view), config })
    }

    async fn run(&self, _: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let seen = if self.config.mounts.is_empty() && self.config.paths.is_empty() {
            let mut usages = look(&self.view, Lane::FileSystems, deadline, |view| view.file_systems(&[])).await?;
            usages.retain(|fs| !self.config.exclude.contains(&fs.mount));
            Seen { usages, ..Seen::default() }
        } else {
            self.named(deadline).await?
        };
        if seen.usages.is_empty() && seen.not_mounted.is_empty() && seen.hung.is_empty() {
            return Err(ProbeError::Failed("no file system that holds data was found".into()));
        }
        Ok(observe(&seen))
    }
}

impl Disk {
    /// Each path in its own look, so that one dead mount does not hide the others.
    async fn named(&self, deadline: Deadline) -> Result<Seen, ProbeError> {
        let looks = self
            .config
            .mounts
            .iter()
            .map(|path| (path, true))
            .chain(self.config.paths.iter().map(|path| (path, false)));
        let answers = join_all(looks.map(|(path, is_mount)| async move {
            let wanted = vec![path.clone()];
            let answer = look(&self.view, Lane::FileSystems, deadline, move |view| match view.file_systems(&wanted) {
                Ok(found) => Ok(found.into_iter().next()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            });
            (path, is_mount, answer.await)
        }))
        .await;
        let mut seen = Seen::default();
        for (path, is_mount, answer) in answers {
            match answer {
                Ok(Some(usage)) if is_mount && usage.mount != *path => seen.not_mounted.push(path.clone()),
                Ok(Some(usage)) => seen.usages.push(usage),
                Ok(None) => seen.not_mounted.push(path.clone()),
                Err(ProbeError::Timeout(_)) => seen.hung.push(path.clone()),
                Err(error) => return Err(error),
            }
        }
        let mut once = BTreeSet::new();
        seen.usages.retain(|fs| once.insert(fs.mount.clone()));
        Ok(seen)
    }
}

/// As `df` counts: what is reserved for root is neither used nor available.
fn used_pct(fs: &FsUsage) -> f64 {
    let used = fs.bytes_total.saturating_sub(fs.bytes_free) as f64;
    share(used, used + fs.bytes_available as f64)
}

fn inodes_pct(fs: &FsUsage) -> f64 {
    // File systems without fixed inodes (btrfs, vfat) say 0.
    share(fs.inodes_total.saturating_sub(fs.inodes_free) as f64, fs.inodes_total as f64)
}

fn share(part: f64, whole: f64) -> f64 {
    // Hundredths: more is noise, and would make every result differ from the one before.
    if whole > 0.0 { (part / whole * 1e4).round() / 100.0 } else { 0.0 }
}

/// The file system with the highest percentage.
fn fullest(usages: &[FsUsage], pct: fn(&FsUsage) -> f64) -> Option<(&FsUsage, f64)> {
    usages.iter().map(|fs| (fs, pct(fs))).max_by(|a, b| a.1.total_cmp(&b.1))
}

fn observe(seen: &Seen) -> Observation {
    let mut lines = Vec::new();
    for fs in &seen.usages {
        let state = if fs.read_only { ", READ-ONLY" } else { "" };
        lines.push(format!(
            "{} ({}): {:.1} % used, {} free, inodes {:.1} % used{state}",
            fs.mount,
            fs.fs_type,
            used_pct(fs),
            size(fs.bytes_available),
            inodes_pct(fs),
        ));
    }
    lines.extend(seen.not_mounted.iter().map(|path| format!("{path}: NOT MOUNTED")));
    lines.extend(seen.hung.iter().map(|path| format!("{path}: NO ANSWER (the file system hangs)")));
    let read_only: Vec<String> = seen.usages.iter().filter(|fs| fs.read_only).map(|fs| fs.mount.clone()).collect();
    let mut observation = Observation::observed(headline(seen, &read_only))
        .long(lines.join("\n"))
        .fact("file_systems", seen.usages.len())
        .fact("read_only", Value::from(read_only))
        .fact("not_mounted", Value::from(seen.not_mounted.clone()))
        .fact("hung", Value::from(seen.hung.clone()));
    if let Some((fs, pct)) = fullest(&seen.usages, used_pct) {
        observation = observation
            .fact("used_pct_max", pct)
            .fact("fullest", fs.mount.as_str())
            .fact("free_bytes", fs.bytes_available as f64);
    }
    if let Some((fs, pct)) = fullest(&seen.usages, inodes_pct) {
        observation = observation.fact("inodes_pct_max", pct).fact("inodes_fullest", fs.mount.as_str());
    }
    for fs in &seen.usages {
        let mount = &fs.mount;
        observation = observation.measure(&format!("used_pct {mount}"), used_pct(fs), "%");
        observation.measurements.push(Measurement {
            min: Some(0.0),
            max: Some(fs.bytes_total as f64),
            ..Measurement::new(&format!("free {mount}"), fs.bytes_available as f64, "B")
        });
        observation = observation.measure(&format!("inodes_pct {mount}"), inodes_pct(fs), "%");
    }
    observation
}

fn headline(seen: &Seen, read_only: &[String]) -> String {
    let mut parts = Vec::new();
    for (what, paths) in [("not mounted", &seen.not_mounted), ("hangs", &seen.hung)] {
        if !paths.is_empty() {
            parts.push(format!("{} {what}", paths.join(", ")));
        }
    }
    if !read_only.is_empty() {
        parts.push(format!("{} read-only", read_only.join(", ")));
    }
    if let Some((fs, pct)) = fullest(&seen.usages, used_pct) {
        parts.push(format!("{} {pct:.1} % used, {} free", fs.mount, size(fs.bytes_available)));
    }
    if let Some((fs, pct)) = fullest(&seen.usages, inodes_pct).filter(|(_, pct)| *pct >= 80.0) {
        parts.push(format!("{} {pct:.1} % of inodes used", fs.mount));
    }
    parts.join("; ")
}

fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{value:.1} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_view::{SimHost, SimView};
    use crate::testing::{build, env, is_overrun, number, plain_env, run_on, target, text, within};
    use crate::view::{Process, Unit};

    fn fs(mount: &str, free: u64) -> FsUsage {
        FsUsage {
            mount: mount.into(),
            fs_type: "ext4".into(),
            bytes_total: 1000,
            bytes_free: free + 50,
            bytes_available: free,
            inodes_total: 100,
            inodes_free: 40,
            read_only: mount == "/ro",
        }
    }

    fn host() -> Arc<SimView> {
        let file_systems = vec![fs("/", 500), fs("/var", 95), fs("/ro", 900)];
        Arc::new(SimView::of(SimHost { file_systems, ..SimHost::default() }))
    }

    #[tokio::test]
    async fn the_fullest_file_system_leads() {
        let seen = run_on("disk", "{}", host()).await.expect("observed");
        // 1000 - 145 used of 855 + 95: root's reserve counts on neither side, as in df.
        assert_eq!(number(&seen, "used_pct_max"), 90.0);
        assert_eq!(text(&seen, "fullest"), "/var");
        assert_eq!(number(&seen, "inodes_pct_max"), 60.0);
        assert_eq!(text(&seen, "read_only"), "[/ro]");
        assert_eq!(seen.measurements.len(), 9);
        assert_eq!(seen.long_text.lines().count(), 3);
    }

    #[tokio::test]
    async fn a_named_mount_that_is_only_a_folder_is_not_mounted() {
        let seen = run_on("disk", r#"{"mounts":["/var/lib/bukkits"]}"#, host()).await.expect("observed");
        assert_eq!(text(&seen, "not_mounted"), "[/var/lib/bukkits]");
        assert!(!seen.facts.contains_key("used_pct_max"), "the parent's usage would be a lie: {seen:?}");
        let seen = run_on("disk", r#"{"paths":["/var/lib/bukkits"]}"#, host()).await.expect("observed");
        assert_eq!(text(&seen, "fullest"), "/var");
    }

    #[tokio::test]
    async fn excluded_mounts_do_not_count() {
        let seen = run_on("disk", r#"{"exclude":["/var"]}"#, host()).await.expect("observed");
        assert_eq!(text(&seen, "fullest"), "/");
    }

    #[test]
    fn relative_paths_are_refused() {
        assert!(build("disk", r#"{"mounts":["var"]}"#, &plain_env()).is_err());
        assert!(build("disk", r#"{"mount":["/var"]}"#, &plain_env()).is_err(), "unknown key");
    }

    /// Like a host with a dead NFS server: looks at `/nfs` do not return until the test ends.
    struct Hanging {
        inner: Arc<SimView>,
        until: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
    }

    impl HostView for Hanging {
        fn read(&self, path: &str) -> io::Result<String> {
            self.inner.read(path)
        }
        fn list(&self, path: &str) -> io::Result<Vec<String>> {
            self.inner.list(path)
        }
        fn file_systems(&self, mounts: &[String]) -> io::Result<Vec<FsUsage>> {
            if mounts.iter().any(|mount| mount == "/nfs") {
                let _ = self.until.lock().expect("only this test locks").recv();
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

    #[tokio::test]
    async fn a_hung_mount_hides_no_other() {
        let (release, until) = std::sync::mpsc::channel();
        let view = Arc::new(Hanging { inner: host(), until: std::sync::Mutex::new(until) });
        let probe = build("disk", r#"{"mounts":["/nfs","/var"]}"#, &env(view)).expect("built");
        let deadline = within(300);
        let seen = probe.run(&target("h"), deadline).await.expect("observed");
        assert!(!is_overrun(deadline));
        assert_eq!(text(&seen, "hung"), "[/nfs]");
        assert_eq!(text(&seen, "fullest"), "/var");
        drop(release);
    }
}
