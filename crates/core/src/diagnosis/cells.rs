//! Which cell of the failure matrix and which runbook a verdict belongs to (specification 10, section 1).

use std::sync::Arc;

use super::draft::Draft;
use super::verdict::{Class, FailureType};
use super::world::World;

/// Order in which a host or JVM verdict looks for the component that names its cell.
const ORDER: [&str; 10] = ["clc", "ufs", "walrus", "cc", "sc", "vb", "nc", "console", "elb", "iw"];

/// Types of the members, the naming one first, each once.
pub(super) fn kinds<'a>(world: &World<'a>, draft: &Draft<'a>) -> Vec<&'a str> {
    let mut kinds: Vec<&'a str> = Vec::new();
    let mut members: Vec<usize> = draft.members.clone();
    members.sort_by_key(|comp| {
        let kind = world.comps[*comp].kind;
        (ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len()), *comp)
    });
    for comp in members {
        if !kinds.contains(&world.comps[comp].kind) {
            kinds.push(world.comps[comp].kind);
        }
    }
    kinds
}

/// The cells of a verdict, its own first.
pub(super) fn cells(world: &World<'_>, draft: &Draft<'_>) -> Vec<Arc<str>> {
    let Some(column) = draft.class.failure_type() else { return Vec::new() };
    let platform = &world.topology.platform;
    let name = |kind: &&str| Arc::from(format!("{platform}/{kind}/{}", column.as_str()));
    kinds(world, draft).iter().map(name).collect()
}

pub(super) fn runbook(world: &World<'_>, draft: &Draft<'_>) -> Arc<str> {
    if let Some(runbook) = &draft.runbook {
        return runbook.clone();
    }
    let column = match draft.class {
        Class::SoftwareDown => FailureType::Software,
        Class::ServerDown => FailureType::Server,
        Class::ResourceUnavailable | Class::ResourceAtRisk => FailureType::Resource,
        Class::AdminStopped | Class::Starting => return Arc::from("none"),
        Class::Network | Class::NetworkPath => return Arc::from("rb-mon-path"),
        Class::PowerEvent => return Arc::from("RB-H05"),
        Class::MonitorIsolated => return Arc::from("rb-mon-isolated"),
        Class::SiteDown => return Arc::from("rb-mon-site"),
        Class::SplitBrain => return Arc::from("rb-mon-dual-active"),
        Class::RedundancyLost | Class::Flapping | Class::Unknown => return Arc::from("rb-mon-check"),
    };
    match kinds(world, draft).first() {
        Some(kind) => of_cell(&world.topology.platform, kind, column),
        // A host without components has no cell; what is known about any silent server helps.
        None if column == FailureType::Server => Arc::from("RB-H42"),
        None => Arc::from("rb-mon-check"),
    }
}

fn of_cell(platform: &str, kind: &str, column: FailureType) -> Arc<str> {
    match platform {
        "cloudstack" => Arc::from(match kind {
            "lb" => "cs-4.2",
            "usage" => "cs-4.3",
            "mysql" | "mysql_replica" => "cs-4.4",
            "kvm_agent" => "cs-4.5",
            "ssvm" => "cs-4.6",
            "cpvm" => "cs-4.7",
            "vr" => "cs-4.8",
            "primary" => "cs-4.9",
            "secondary" => "cs-4.10",
            _ => "cs-4.1",
        }),
        "openstack" => Arc::from(match kind {
            "galera" => "RB-OS-galera",
            "rabbitmq" => "RB-OS-rabbit",
            "nova_compute" => "RB-OS-compute",
            kind if kind.starts_with("neutron") => "RB-OS-neutron",
            kind if kind.starts_with("ceph") => "RB-CEPH",
            _ => "RB-OS-controller",
        }),
        "proxmox" => Arc::from(match kind {
            "pmxcfs" | "pve_cluster" => "RB-PVE-pmxcfs",
            "zfs" => "RB-PVE-zfs",
            _ => "RB-PVE-quorum",
        }),
        "eucalyptus" => Arc::from(format!("rb-euca-{kind}-{}", column.as_str())),
        other => Arc::from(format!("rb-{other}-{kind}-{}", column.as_str())),
    }
}
