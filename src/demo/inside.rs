//! What a simulated host looks like from inside: processes, file systems, bonds; as its faults have it.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::{Fault, Kind, Resource, resource_of};
use super::plan::{HostPlan, is_java};
use super::storage::{self, Wounds};
use crate::probes::sim_view::SimHost;
use crate::probes::view::{FsUsage, Process, Unit};

const GIB: u64 = 1 << 30;
/// A simulated host has been up for this long: past every start-up grace.
const UPTIME_S: f64 = 864_000.0;

/// The host under `faults`, `running_s` seconds after the demo started.
pub fn inside(plan: &HostPlan, faults: &BTreeSet<Fault>) -> SimHost {
    let (mut files, mut tools) = (files(plan, faults), BTreeMap::new());
    let wounds = Wounds {
        disk_failed: has(plan, faults, Kind::Raid),
        controller_lost: has(plan, faults, Kind::Path),
        paths_lost: has(plan, faults, Kind::Paths),
        peer_lost: has(plan, faults, Kind::Drbd),
        split_brain: has(plan, faults, Kind::SplitBrain),
    };
    storage::put(plan, wounds, &mut files, &mut tools);
    SimHost {
        tools,
        files,
        file_systems: file_systems(plan, faults),
        processes: processes(plan, faults),
        units: units(plan, faults),
        uptime_s: UPTIME_S,
    }
}

fn has(plan: &HostPlan, faults: &BTreeSet<Fault>, kind: Kind) -> bool {
    faults.iter().any(|fault| fault.host == plan.name && fault.kind == kind)
}

/// Whether a fault strikes that concerns all hosts.
pub fn is_active(faults: &BTreeSet<Fault>, kind: Kind) -> bool {
    faults.iter().any(|fault| fault.kind == kind)
}

/// Whether the component's own process was killed, alone or with its JVM.
pub fn is_killed(plan: &HostPlan, faults: &BTreeSet<Fault>, component: &str) -> bool {
    faults.iter().any(|fault| {
        fault.host == plan.name
            && match fault.kind {
                Kind::Software => fault.component == Some(component),
                Kind::Jvm => is_java(component),
                Kind::Hang | Kind::Resource | Kind::Server => false,
                Kind::Psu | Kind::Raid | Kind::Bond | Kind::Path | Kind::Paths => false,
                Kind::Drbd | Kind::SplitBrain | Kind::Stack | Kind::Feed | Kind::Ups | Kind::Rack => false,
            }
    })
}

/// The resource that was taken from a component, if any.
pub fn taken(plan: &HostPlan, faults: &BTreeSet<Fault>, component: &str) -> Option<Resource> {
    let hit = faults.iter().any(|f| f.host == plan.name && f.kind == Kind::Resource && f.component == Some(component));
    hit.then(|| resource_of(component))
}

/// (name, command line) of each component's processes.
fn programs(component: &str) -> &'static [(&'static str, &'static str)] {
    match component {
        "clc" => &[
            (
                "eucalyptus-clou",
                "/usr/sbin/eucalyptus-cloud -h / -u eucalyptus --pidfile /run/eucalyptus/eucalyptus-cloud.pid -f",
            ),
            ("java", "java -Xmx4g -Deuca.home=/ com.eucalyptus.bootstrap.SystemBootstrapper"),
            ("postgres", "/usr/bin/postgres -D /var/lib/eucalyptus/db/data -h0.0.0.0 -p8777"),
        ],
        "sc" => &[
            (
                "eucalyptus-clou",
                "/usr/sbin/eucalyptus-cloud -h / -u eucalyptus --pidfile /run/eucalyptus/eucalyptus-cloud.pid -f",
            ),
            ("java", "java -Xmx2g -Deuca.home=/ com.eucalyptus.bootstrap.SystemBootstrapper"),
            ("tgtd", "/usr/sbin/tgtd -f"),
        ],
        "ufs" | "walrus" | "vb" => &[
            (
                "eucalyptus-clou",
                "/usr/sbin/eucalyptus-cloud -h / -u eucalyptus --pidfile /run/eucalyptus/eucalyptus-cloud.pid -f",
            ),
            ("java", "java -Xmx2g -Deuca.home=/ com.eucalyptus.bootstrap.SystemBootstrapper"),
        ],
        "cc" => &[("httpd", "/usr/sbin/httpd -f /etc/eucalyptus/httpd-cc.conf")],
        "nc" => &[
            ("httpd", "/usr/sbin/httpd -f /etc/eucalyptus/httpd-nc.conf"),
            ("libvirtd", "/usr/sbin/libvirtd --listen"),
            ("eucanetd", "/usr/sbin/eucanetd -F"),
        ],
        "console" => &[
            ("gunicorn", "/usr/bin/python /usr/bin/eucaconsole -c /etc/eucaconsole/console.ini"),
            ("nginx", "nginx: master process /usr/sbin/nginx -c /etc/eucaconsole/nginx.conf"),
            ("memcached", "/usr/bin/memcached -s /run/eucaconsole/memcached.sock"),
        ],
        "iw" => &[("eucalyptus-imag", "/usr/bin/python /usr/bin/imaging-worker")],
        "elb" => &[
            ("load-balancer-s", "/usr/bin/python /usr/bin/load-balancer-servo"),
            ("haproxy", "/usr/sbin/haproxy -f /etc/load-balancer-servo/haproxy.conf"),
        ],
        _ => &[],
    }
}

fn processes(plan: &HostPlan, faults: &BTreeSet<Fault>) -> Vec<Process> {
    // The imaging worker has no port that could stay silent: hung, it waits for a disk that never answers.
    let stuck =
        |name: &str| name == "eucalyptus-imag" && faults.iter().any(|f| f.host == plan.name && f.kind == Kind::Hang);
    let mut lines: Vec<(&str, &str)> = vec![
        ("systemd", "/usr/lib/systemd/systemd --switched-root --system"),
        ("sshd", "/usr/sbin/sshd -D"),
        ("chronyd", "/usr/sbin/chronyd"),
        ("crond", "/usr/sbin/crond -n"),
    ];
    for component in plan.components {
        let lost = match taken(plan, faults, component) {
            Some(Resource::Process { name, .. }) => Some(name),
            Some(Resource::Port { process, .. }) => process,
            Some(Resource::Disk { .. } | Resource::Behind { .. }) | None => None,
        };
        let killed = is_killed(plan, faults, component);
        for (name, command) in programs(component) {
            // The database and the hypervisor outlive the component that uses them.
            let own = !matches!(*name, "postgres" | "libvirtd" | "eucanetd" | "memcached" | "tgtd");
            if (killed && own) || lost == Some(name) || lines.contains(&(name, command)) {
                continue;
            }
            lines.push((name, command));
        }
    }
    lines
        .into_iter()
        .enumerate()
        .map(|(i, (name, command))| Process {
            pid: if i == 0 { 1 } else { 1000 + u32::try_from(i).unwrap_or(0) * 37 },
            state: if stuck(name) { 'D' } else { 'S' },
            name: name.to_owned(),
            command_line: command.to_owned(),
            user_id: 0,
            age_s: UPTIME_S as u64 - 60,
            rss_bytes: 64 << 20,
        })
        .collect()
}

fn units(plan: &HostPlan, faults: &BTreeSet<Fault>) -> BTreeMap<String, Unit> {
    let mut units = BTreeMap::new();
    for component in plan.components {
        let name = match *component {
            "cc" => "eucalyptus-cluster.service",
            "nc" => "eucalyptus-node.service",
            "console" => "eucaconsole.service",
            key if is_java(key) => "eucalyptus-cloud.service",
            _ => continue,
        };
        let failed = is_killed(plan, faults, component);
        let (active, sub) = if failed { ("failed", "failed") } else { ("active", "running") };
        let unit = Unit {
            name: name.to_owned(),
            load: "loaded".to_owned(),
            active: active.to_owned(),
            sub: sub.to_owned(),
            main_pid: (!failed).then_some(1037),
            ..Unit::default()
        };
        units.insert(name.to_owned(), unit);
    }
    units
}

fn file_systems(plan: &HostPlan, faults: &BTreeSet<Fault>) -> Vec<FsUsage> {
    let mut mounts: Vec<(&str, u64)> = vec![("/", 40), ("/var", 60)];
    if plan.components.contains(&"clc") {
        mounts.push(("/var/lib/eucalyptus/db", 100));
    }
    if plan.components.contains(&"walrus") {
        mounts.push(("/var/lib/eucalyptus/bukkits", 2000));
    }
    if plan.components.contains(&"sc") {
        mounts.push(("/var/lib/eucalyptus/volumes", 1000));
    }
    if plan.components.contains(&"nc") {
        mounts.push(("/var/lib/eucalyptus/instances", 800));
    }
    let full: Vec<&str> = plan
        .components
        .iter()
        .filter_map(|component| match taken(plan, faults, component) {
            Some(Resource::Disk { mount }) => Some(mount),
            Some(Resource::Process { .. } | Resource::Port { .. } | Resource::Behind { .. }) | None => None,
        })
        .collect();
    mounts
        .into_iter()
        .map(|(mount, gib)| {
            let total = gib * GIB;
            let free = if full.contains(&mount) { total / 500 } else { total / 10 * 6 };
            FsUsage {
                mount: mount.to_owned(),
                fs_type: "xfs".to_owned(),
                bytes_total: total,
                bytes_free: free,
                bytes_available: free,
                inodes_total: gib * 500_000,
                inodes_free: gib * 450_000,
                read_only: false,
            }
        })
        .collect()
}

fn files(plan: &HostPlan, faults: &BTreeSet<Fault>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([
        ("/proc/loadavg".to_owned(), "0.42 0.38 0.35 1/212 4242\n".to_owned()),
        ("/proc/uptime".to_owned(), format!("{UPTIME_S} {UPTIME_S}\n")),
        ("/proc/meminfo".to_owned(), MEMINFO.to_owned()),
        (
            "/proc/stat".to_owned(),
            "cpu  4 0 2 90\ncpu0 1 0 1 22\ncpu1 1 0 1 22\ncpu2 1 0 0 23\ncpu3 1 0 0 23\n".to_owned(),
        ),
    ]);
    if plan.is_physical() {
        files.insert(
            "/proc/net/bonding/bond0".to_owned(),
            bond(has(plan, faults, Kind::Bond) || is_active(faults, Kind::Stack)),
        );
    }
    files
}

const MEMINFO: &str = "MemTotal:       16310000 kB\nMemFree:         9210000 kB\nMemAvailable:   11890000 kB\n\
                       Buffers:          210000 kB\nCached:          2480000 kB\nSwapTotal:       4194300 kB\n\
                       SwapFree:        4194300 kB\n";

fn bond(slave_down: bool) -> String {
    let ports = if slave_down { 1 } else { 2 };
    let mut text = format!(
        "Ethernet Channel Bonding Driver: v5.14.0\n\nBonding Mode: IEEE 802.3ad Dynamic link aggregation\n\
         Transmit Hash Policy: layer3+4 (1)\nMII Status: up\nMII Polling Interval (ms): 100\nUp Delay (ms): 0\n\
         Down Delay (ms): 0\n\n802.3ad info\nLACP rate: fast\nMin links: 0\n\
         Aggregator selection policy (ad_select): stable\nActive Aggregator Info:\n\tAggregator ID: 1\n\
         \tNumber of ports: {ports}\n\tActor Key: 15\n\tPartner Key: 15\n\
         \tPartner Mac Address: 52:54:00:00:00:02\n"
    );
    for (name, mac, down) in [("eth0", "52:54:00:00:00:10", false), ("eth1", "52:54:00:00:00:11", slave_down)] {
        let (mii, speed, aggregator) = if down { ("down", "Unknown", 2) } else { ("up", "10000 Mbps", 1) };
        let failures = u8::from(down);
        text.push_str(&format!(
            "\nSlave Interface: {name}\nMII Status: {mii}\nSpeed: {speed}\nDuplex: full\n\
             Link Failure Count: {failures}\nPermanent HW addr: {mac}\nSlave queue ID: 0\n\
             Aggregator ID: {aggregator}\nActor Churn State: none\nPartner Churn State: none\n\
             Actor Churned Count: 0\nPartner Churned Count: 0\n"
        ));
    }
    text
}
