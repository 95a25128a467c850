//! What failed and where, in one line a person can say. Subject first, present tense.

use crate::catalog::Catalog;
use crate::diagnosis::{Class, TargetKind, Verdict};

/// Title of a verdict: `Cloud Controller stopped on clc1`.
pub fn title(catalog: &Catalog, verdict: &Verdict) -> String {
    let host = verdict.target.host.as_deref().unwrap_or("?");
    if verdict.target.kind == TargetKind::Service {
        return format!("{} on {host}", verdict.target.component.as_deref().unwrap_or("service"));
    }
    let subtype = &*verdict.subtype;
    match verdict.class {
        Class::SoftwareDown => software(catalog, verdict, host),
        Class::ServerDown => match subtype {
            "power_off" => format!("Server {host} is powered off"),
            "os_dead" => format!("Server {host} has power but does not answer"),
            "bmc_dark" => format!("Server {host} and its BMC are silent"),
            "rebooting" => format!("Server {host} is rebooting"),
            _ => format!("Server {host} is down"),
        },
        Class::ResourceUnavailable | Class::ResourceAtRisk => {
            let who =
                component_name(catalog, verdict).map_or_else(|| host.to_owned(), |name| format!("{name} on {host}"));
            let lost = if verdict.class == Class::ResourceAtRisk { "is short of" } else { "lost" };
            format!("{who} {lost} {}", resource(subtype))
        }
        Class::RedundancyLost => redundancy(subtype, host),
        Class::Network => format!("Network: {host} cuts hosts off"),
        Class::PowerEvent => match subtype {
            "on_battery" => format!("UPS {host} runs on battery"),
            _ => format!("Power feed {host} lost"),
        },
        Class::NetworkPath => format!("{host} is not seen from everywhere"),
        Class::MonitorIsolated => "This monitor is cut off".to_owned(),
        Class::SiteDown => format!("Site {host} is down"),
        Class::SplitBrain => format!("Split brain of {host}: its copies diverge"),
        Class::AdminStopped => format!("{host} is in maintenance"),
        Class::Starting => format!("{host} is starting"),
        Class::Flapping => {
            let who = component_name(catalog, verdict).map_or_else(String::new, |name| format!("{name} on "));
            format!("{who}{host} comes and goes")
        }
        Class::Unknown => match verdict.target.kind {
            TargetKind::Host => format!("Host {host} does not answer"),
            TargetKind::Component
            | TargetKind::ComponentGroup
            | TargetKind::Jvm
            | TargetKind::Hardware
            | TargetKind::Switch
            | TargetKind::Power
            | TargetKind::Backend
            | TargetKind::Drbd
            | TargetKind::Site
            | TargetKind::Service => format!("{host}: cause unknown"),
        },
    }
}

fn software(catalog: &Catalog, verdict: &Verdict, host: &str) -> String {
    if verdict.target.kind == TargetKind::Jvm {
        return format!("Java services stopped on {host}");
    }
    let name = component_name(catalog, verdict).unwrap_or_else(|| "Component".to_owned());
    match &*verdict.subtype {
        "hung" => format!("{name} hangs on {host}"),
        "child" => format!("{name} on {host} has lost its application process"),
        _ => format!("{name} stopped on {host}"),
    }
}

fn resource(subtype: &str) -> &str {
    match subtype {
        "disk" => "disk space or a file system",
        "db" => "its database",
        "backend" => "its backend",
        "san_path" => "its storage paths",
        "drbd" => "its replicated disk",
        "hypervisor" => "the hypervisor",
        "netagent" => "the network agent",
        "dns" => "name resolution",
        "ntp" => "clock synchronisation",
        "cert" => "a valid certificate",
        "keys" => "its keys",
        "membership" => "the cloud's membership",
        "config" => "a working configuration",
        "capacity" => "capacity",
        "dependency" => "something it depends on",
        "temperature" => "cooling",
        "memory_ecc" => "reliable memory",
        "smart" => "a healthy disk",
        other => other,
    }
}

fn redundancy(subtype: &str, host: &str) -> String {
    match subtype {
        "psu_input" => format!("A power supply of {host} lost its input"),
        "psu_failed" => format!("A power supply failed in {host}"),
        "fan" => format!("A fan failed in {host}"),
        "raid_degraded" => format!("RAID degraded on {host}"),
        "raid_rebuilding" => format!("RAID rebuilding on {host}"),
        "raid_battery" => format!("RAID cache battery failed on {host}"),
        "bond_slave" => format!("A bonded link is down on {host}"),
        "lacp_mismatch" => format!("Links of {host} are up but not aggregated"),
        "lacp_partner" => format!("No LACP partner on {host}"),
        "path" => format!("A storage path is lost on {host}"),
        "stack_member" => format!("A stack member is lost in {host}"),
        "uplink" => format!("An uplink is lost on {host}"),
        "drbd_disk" | "drbd_connection" => format!("Replication of {host} is interrupted"),
        "peer" => format!("The peer of {host} is gone"),
        "bmc_unreachable" => format!("BMC of {host} does not answer"),
        other => format!("Redundancy lost on {host}: {other}"),
    }
}

fn component_name(catalog: &Catalog, verdict: &Verdict) -> Option<String> {
    let key = verdict.target.component.as_deref()?;
    let platform = verdict.cell.as_deref().and_then(|cell| cell.split('/').next());
    let found = catalog
        .platforms
        .iter()
        .filter(|p| platform.is_none_or(|wanted| &*p.key == wanted))
        .flat_map(|p| &p.components)
        .find(|component| &*component.key == key);
    Some(found.map_or_else(|| key.to_owned(), |component| component.name.to_string()))
}
