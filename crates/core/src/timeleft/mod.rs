//! How long until what is at risk fails, or what heals is well: told by the thing itself, or read from how its numbers
//! have moved. Where neither says, nothing is said.

mod samples;
mod told;
mod trend;

use std::sync::Arc;

use crate::Timestamp;
use crate::diagnosis::TargetKind;
use crate::id::{HostId, ServiceId};
use crate::model::Incident;
use crate::sight::{Seen, Sight};
use crate::snapshot::Snapshot;

pub use samples::{Samples, remember};

/// What ends.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum What {
    /// The battery of a UPS that carries the load.
    Ups,
    /// A file system is full.
    Disk,
    /// Logs of a database fill the room they have.
    DatabaseLog,
    Certificate,
    /// Signatures of a DNS zone.
    Signature,
    /// The spare cells of a solid-state disk, or its life.
    DiskWear,
    /// An array is whole again.
    Rebuild,
    /// A replica is whole again.
    Resync,
}

/// Whether one must be done before it, or waits for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ends {
    /// Something fails then.
    Failure,
    /// Something is well then.
    Relief,
}

impl Ends {
    pub const fn as_str(self) -> &'static str {
        match self {
            Ends::Failure => "failure",
            Ends::Relief => "relief",
        }
    }
}

impl What {
    pub const fn as_str(self) -> &'static str {
        match self {
            What::Ups => "ups",
            What::Disk => "disk",
            What::DatabaseLog => "database_log",
            What::Certificate => "certificate",
            What::Signature => "signature",
            What::DiskWear => "disk_wear",
            What::Rebuild => "rebuild",
            What::Resync => "resync",
        }
    }

    pub const fn ends(self) -> Ends {
        match self {
            What::Ups | What::Disk | What::DatabaseLog | What::Certificate | What::Signature | What::DiskWear => {
                Ends::Failure
            }
            What::Rebuild | What::Resync => Ends::Relief,
        }
    }

    /// Subtypes of verdicts (specification 10, section 1) that are about this, also where the check that knows the time
    /// is not the one that failed.
    const fn subtypes(self) -> &'static [&'static str] {
        match self {
            What::Ups => &["on_battery", "feed_lost", "psu_input"],
            What::Disk => &["disk", "capacity"],
            What::DatabaseLog => &["db", "disk", "capacity"],
            What::Certificate => &["cert"],
            What::Signature => &["dns"],
            What::DiskWear => &["smart"],
            What::Rebuild => &["raid_degraded", "raid_rebuilding", "raid_battery"],
            What::Resync => &["drbd", "drbd_disk", "drbd_connection"],
        }
    }
}

/// Who says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis {
    /// The thing itself: a date, or its own estimate.
    Told,
    /// How its numbers have moved.
    Trend,
}

impl Basis {
    pub const fn as_str(self) -> &'static str {
        match self {
            Basis::Told => "told",
            Basis::Trend => "trend",
        }
    }
}

/// One end in sight.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeLeft {
    pub what: What,
    /// Which one: `/var`, `md0`, `r0`.
    pub subject: String,
    pub at: Timestamp,
    pub basis: Basis,
    /// 0 to 1.
    pub confidence: f64,
    /// In words: `falls by 1.2 GB an hour, seen for 3 h`.
    pub why: String,
    pub service: ServiceId,
}

/// Services of an incident that are asked; an incident with more is no longer about one of them.
const SERVICES_MAX: usize = 64;
/// Hosts whose further checks are asked.
const HOSTS_MAX: usize = 8;

/// All ends that a fresh result and its history show, the soonest first.
pub fn of_service(sight: &Sight<'_>, service: ServiceId, samples: Option<&Samples>) -> Vec<TimeLeft> {
    let Some(seen) = sight.seen(service) else { return Vec::new() };
    if !knows_ends(&seen) {
        return Vec::new();
    }
    let mut left = told::read(sight, &seen);
    if let Some(samples) = samples {
        left.extend(trend::read(&seen, samples, &left));
    }
    left.sort_by_key(|left| left.at);
    left
}

/// What an incident has left, the most pressing first: what fails, the soonest first, then what heals, the latest first.
pub fn of_incident(snapshot: &Snapshot, incident: &Incident) -> Vec<TimeLeft> {
    if !incident.phase.is_live() {
        return Vec::new();
    }
    let sight = Sight::of(snapshot);
    let mut left: Vec<TimeLeft> = Vec::new();
    let named = incident.problems.iter().filter_map(|key| snapshot.service(&key.host, key.service.as_deref()?));
    let named: Vec<ServiceId> = named.take(SERVICES_MAX).collect();
    for service in &named {
        left.extend(of(snapshot, &sight, *service));
    }
    let subtype = &*incident.verdict.subtype;
    for host in hosts(&sight, incident) {
        for seen in sight.of_host(host).filter(|seen| !named.contains(&seen.service)).filter(knows_ends) {
            let of_subtype = of(snapshot, &sight, seen.service).into_iter();
            left.extend(of_subtype.filter(|left| left.what.subtypes().contains(&subtype)));
        }
    }
    left.sort_by(|a, b| {
        let rank = |left: &TimeLeft| match left.what.ends() {
            Ends::Failure => (0, left.at.as_millis()),
            Ends::Relief => (1, -left.at.as_millis()),
        };
        rank(a).cmp(&rank(b)).then_with(|| a.subject.cmp(&b.subject))
    });
    left.dedup_by(|a, b| a.what == b.what && a.subject == b.subject && a.service == b.service);
    left
}

/// When the first thing of an incident fails: what lists are sorted by after impact and severity.
pub fn deadline(snapshot: &Snapshot, incident: &Incident) -> Option<Timestamp> {
    of_incident(snapshot, incident).into_iter().find(|left| left.what.ends() == Ends::Failure).map(|left| left.at)
}

fn of(snapshot: &Snapshot, sight: &Sight<'_>, service: ServiceId) -> Vec<TimeLeft> {
    let samples = snapshot.service_details.get(service.index()).and_then(|detail| detail.samples.as_deref());
    of_service(sight, service, samples)
}

/// Most checks know of no end, and cost nothing here.
fn knows_ends(seen: &Seen<'_>) -> bool {
    samples::is_remembered(seen.probe) || told::may_tell(seen)
}

/// The hosts that an incident is about. A feed is as good as the UPS behind it.
fn hosts(sight: &Sight<'_>, incident: &Incident) -> Vec<HostId> {
    let target = &incident.verdict.target;
    let mut names: Vec<Arc<str>> = target.host.iter().cloned().collect();
    match target.kind {
        TargetKind::Power => {
            let feed = target.host.as_deref().and_then(|feed| sight.catalog.layout.source_of(feed));
            names.extend(feed.map(Arc::from));
        }
        TargetKind::Drbd => {
            let pairs = sight.catalog.clouds.iter().flat_map(|cloud| &cloud.topology.drbd);
            let resource = target.component.as_ref().or(target.host.as_ref());
            let pair = pairs.filter(|(name, _)| Some(*name) == resource).flat_map(|(_, hosts)| hosts);
            names.extend(pair.cloned());
        }
        TargetKind::Component
        | TargetKind::ComponentGroup
        | TargetKind::Host
        | TargetKind::Jvm
        | TargetKind::Hardware
        | TargetKind::Switch
        | TargetKind::Backend
        | TargetKind::Site
        | TargetKind::Service => {}
    }
    let mut hosts: Vec<HostId> = names.iter().filter_map(|name| sight.catalog.host_id(name)).take(HOSTS_MAX).collect();
    hosts.dedup();
    hosts
}

#[cfg(test)]
mod tests;
