//! A host that exists only in memory: the demo's simulated servers and the tests of host-side probes.
//!
//! Readers take an `Arc` of one immutable world; a change builds the next world and swaps it in. So there is no lock to hold
//! across a look and no half-changed host is ever seen. Writers retry when they race, which only the demo's injections do.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::view::{FsUsage, HostView, Process, ToolRun, Tools, Unit};

/// Everything that can be seen of a simulated host.
#[derive(Clone, Debug, Default)]
pub struct SimHost {
    /// Path -> contents, e.g. `/proc/loadavg`.
    pub files: BTreeMap<String, String>,
    pub file_systems: Vec<FsUsage>,
    pub processes: Vec<Process>,
    pub units: BTreeMap<String, Unit>,
    /// What tools say, by their command lines (`smartctl --scan --json=c`); others are not installed.
    pub tools: BTreeMap<String, ToolRun>,
    pub uptime_s: f64,
}

/// A mutable simulated host.
#[derive(Debug, Default)]
pub struct SimView {
    host: ArcSwap<SimHost>,
}

impl SimView {
    pub fn new() -> SimView {
        SimView::default()
    }

    pub fn of(host: SimHost) -> SimView {
        SimView { host: ArcSwap::from_pointee(host) }
    }

    /// The host as it is now.
    pub fn host(&self) -> Arc<SimHost> {
        self.host.load_full()
    }

    /// Changes the host in one step; `change` may run again if somebody else changed it meanwhile.
    pub fn change(&self, mut change: impl FnMut(&mut SimHost)) {
        self.host.rcu(|host| {
            let mut next = SimHost::clone(host);
            change(&mut next);
            next
        });
    }

    /// Sets or replaces one file.
    pub fn put(&self, path: &str, contents: &str) {
        self.change(|host| {
            host.files.insert(path.to_owned(), contents.to_owned());
        });
    }
}

fn not_found(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{what}: no such file or directory"))
}

impl HostView for SimView {
    fn read(&self, path: &str) -> io::Result<String> {
        self.host.load().files.get(path).cloned().ok_or_else(|| not_found(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let folder = format!("{}/", path.trim_end_matches('/'));
        let host = self.host.load();
        let mut names: Vec<String> = host
            .files
            .range(folder.clone()..)
            .map_while(|(file, _)| file.strip_prefix(&folder))
            .filter_map(|rest| rest.split('/').next())
            .map(str::to_owned)
            .collect();
        names.dedup();
        if names.is_empty() { Err(not_found(path)) } else { Ok(names) }
    }

    fn file_systems(&self, mounts: &[String]) -> io::Result<Vec<FsUsage>> {
        let host = self.host.load();
        if mounts.is_empty() {
            return Ok(host.file_systems.clone());
        }
        mounts
            .iter()
            .map(|path| holder(&host.file_systems, path, |fs| &fs.mount).cloned().ok_or_else(|| not_found(path)))
            .collect()
    }

    fn processes(&self) -> io::Result<Vec<Process>> {
        Ok(self.host.load().processes.clone())
    }

    fn unit(&self, name: &str) -> io::Result<Option<Unit>> {
        Ok(self.host.load().units.get(name).cloned())
    }

    fn uptime_s(&self) -> io::Result<f64> {
        Ok(self.host.load().uptime_s)
    }

    fn tools(&self, tool: &str, args: &[&str]) -> Tools {
        let line = [&[tool], args].concat().join(" ");
        Tools::Said(self.host.load().tools.get(&line).cloned())
    }
}

/// The file system that holds `path`: the one with the longest mount point above it, the last mounted of equals.
pub(super) fn holder<'a, T>(mounted: &'a [T], path: &str, mount: impl Fn(&T) -> &String) -> Option<&'a T> {
    mounted
        .iter()
        .filter(|item| {
            let point = mount(item).trim_end_matches('/');
            path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .max_by_key(|item| mount(item).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lists_its_direct_names_once() {
        let view = SimView::new();
        view.put("/sys/block/md0/md/degraded", "0");
        view.put("/sys/block/md0/md/array_state", "clean");
        view.put("/sys/block/md1/md/degraded", "0");
        view.put("/sys/blocks", "");
        assert_eq!(view.list("/sys/block").expect("listed"), ["md0", "md1"]);
        assert!(view.list("/proc/net/bonding").is_err());
    }

    #[test]
    fn the_longest_mount_point_holds_a_path() {
        let mounts: Vec<String> = ["/", "/var", "/var/lib/x"].map(str::to_owned).to_vec();
        for (path, mount) in [("/", "/"), ("/variable", "/"), ("/var", "/var"), ("/var/lib/x/y", "/var/lib/x")] {
            assert_eq!(holder(&mounts, path, |m| m).map(String::as_str), Some(mount), "{path}");
        }
    }
}
