//! What is still under way at something that failed: a fail-over, a start, a resync, a rebuild, cold caches.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use crate::Timestamp;
use crate::catalog::Check;
use crate::diagnosis::{Class, Signal, TargetKind, Timing};
use crate::id::{HostId, ObjectId};
use crate::incident::cover;
use crate::model::{Incident, Value};

/// More sentences than this are not read.
const SAID_MAX: usize = 12;
/// States of a DRBD connection in which data are on their way to the peer (drbd.conf(5), "Connection states").
const SYNCING: [&str; 10] = [
    "SyncSource",
    "SyncTarget",
    "PausedSyncS",
    "PausedSyncT",
    "StartingSyncS",
    "StartingSyncT",
    "WFBitMapS",
    "WFBitMapT",
    "WFSyncUUID",
    "Ahead",
];

impl Engine {
    /// Passive halves of what failed, as long as they may still become active.
    pub(super) fn halves_that_take_over(&self, incident: &Incident) -> Vec<String> {
        let verdict = &incident.verdict;
        let may = matches!(verdict.class, Class::SoftwareDown | Class::ServerDown | Class::ResourceUnavailable);
        let host = verdict.target.host.as_deref().and_then(|name| self.catalog.host_id(name));
        let (true, Some(host)) = (may && self.at.since(verdict.since) < self.clockwork().takeover, host) else {
            return Vec::new();
        };
        let row = &self.catalog.hosts[host.index()];
        let keys = row.components.iter().map(|id| &*self.catalog.components[id.index()].key);
        let of_target = |key: &&str| verdict.target.component.as_deref().is_none_or(|own| own == *key);
        keys.filter(of_target).filter_map(|key| self.passive_half(host, key)).take(SAID_MAX).collect()
    }

    fn passive_half(&self, failed: HostId, key: &str) -> Option<String> {
        let own = &self.catalog.hosts[failed.index()];
        let cloud = &self.catalog.clouds[own.cloud?.index()];
        let mut passive = None;
        for &peer in cloud.hosts.iter().filter(|peer| **peer != failed) {
            let row = &self.catalog.hosts[peer.index()];
            let has_it = row.components.iter().any(|id| *self.catalog.components[id.index()].key == *key);
            if !has_it || (cloud.topology.is_zonal(key) && row.zone != own.zone) {
                continue;
            }
            match self.service_state(peer, key).as_deref() {
                Some("ENABLED") => return None,
                Some("DISABLED") => {
                    passive.get_or_insert(format!("{key} of {} is passive and may take over", row.name));
                }
                Some(_) | None => {}
            }
        }
        passive
    }

    fn service_state(&self, host: HostId, key: &str) -> Option<String> {
        let mut state = None;
        self.each_said(host, |signal, value| {
            let is_fresh = signal.is_fresh(self.at, self.catalog.timing.fresh_floor);
            if &*signal.sig == "service_state" && signal.component.as_deref() == Some(key) && is_fresh {
                state = value.text().map(str::to_owned);
            }
        });
        state
    }

    /// What is up and not yet as it was. What was said last counts until something else is said: a resync of which
    /// nobody speaks any more is not a finished one.
    pub(super) fn still_under_way(&self, incident: &Incident, up_since: Timestamp) -> Vec<String> {
        let verdict = &incident.verdict;
        let mut going_on = BTreeSet::new();
        let hosts: BTreeSet<&str> = cover::hosts_of(verdict);
        self.starts_of(incident, &mut going_on);
        if self.at.since(up_since) < super::shared::BOOT.at_pace(self.catalog.timing.pace) {
            self.not_well_again(incident, &mut going_on);
        }
        let clockwork = self.clockwork();
        for host in hosts.iter().filter_map(|name| self.catalog.host_id(name)) {
            let name = &self.catalog.hosts[host.index()].name;
            self.each_said(host, |signal, value| {
                let said = match &*signal.sig {
                    "drbd" => resync(value),
                    "raid" => rebuild(value),
                    "probe" if signal.component.is_some() && signal.component == verdict.target.component => {
                        // Slow for longer than any start takes is how it is now, and has its own rules.
                        let may_be_cold = self.at.since(up_since) < clockwork.jvm_grace;
                        (may_be_cold && value.text() == Some("slow")).then(|| "answers slowly: caches are cold".into())
                    }
                    _ => None,
                };
                if let Some(said) = said {
                    going_on.insert(format!("{name}: {said}"));
                }
            });
        }
        going_on.into_iter().take(SAID_MAX).collect()
    }

    /// Checks that failed with their host and are not well since it is back: they have said nothing yet, or what they look at
    /// starts later than the host. That must not become a failure of its own at once.
    fn not_well_again(&self, incident: &Incident, going_on: &mut BTreeSet<String>) {
        let class = incident.verdict.class;
        if class != Class::ServerDown && !super::fold::is_shared(class) {
            return;
        }
        let mut open: BTreeMap<HostId, usize> = BTreeMap::new();
        for object in incident.problems.iter().filter_map(|key| self.catalog.object_id(key)) {
            let ObjectId::Service(id) = object else { continue };
            let host = self.catalog.services[id.index()].host;
            if self.hosts[host.index()].state == 0 && self.services[id.index()].state != 0 {
                *open.entry(host).or_default() += 1;
            }
        }
        for (host, checks) in open {
            let (name, plural) = (&self.catalog.hosts[host.index()].name, if checks == 1 { " is" } else { "s are" });
            going_on.insert(format!("{name}: {checks} check{plural} not well yet"));
        }
    }

    /// Components that start, of what failed or of what failed with it.
    fn starts_of(&self, incident: &Incident, going_on: &mut BTreeSet<String>) {
        let verdict = &incident.verdict;
        let effects: BTreeSet<&str> = verdict.suppressed.iter().filter_map(|effect| effect.host.as_deref()).collect();
        let starting = self.diagnoses().filter(|(cloud, _)| *cloud == incident.cloud);
        let starting = starting.flat_map(|(_, diagnosis)| &diagnosis.verdicts).filter(|v| v.class == Class::Starting);
        for start in starting {
            let (Some(host), component) = (start.target.host.as_deref(), start.target.component.as_deref()) else {
                continue;
            };
            let is_own = verdict.target.host.as_deref() == Some(host)
                && (verdict.target.kind != TargetKind::Component || verdict.target.component.as_deref() == component);
            if is_own || effects.contains(host) {
                let what = component.map_or_else(|| host.to_owned(), |key| format!("{key} on {host}"));
                going_on.insert(format!("{what} is starting"));
            }
        }
    }

    /// Everything that was said about a host, by its checks or directly.
    fn each_said(&self, host: HostId, mut hear: impl FnMut(&Signal, &Value)) {
        let row = &self.catalog.hosts[host.index()];
        let own = row.check.map(|check| (ObjectId::Host(host), check));
        let services = row.services.iter().map(|id| (ObjectId::Service(*id), self.catalog.services[id.index()].check));
        for (object, check) in own.into_iter().chain(services) {
            let check: &Check = &self.catalog.checks[check.index()];
            self.board.each_said_by(object, check, &mut hear);
        }
        for signal in self.board.told_about(&row.name) {
            hear(signal, &signal.value);
        }
    }

    fn clockwork(&self) -> Timing {
        Timing::default().at_pace(self.catalog.timing.pace)
    }
}

fn resync(value: &Value) -> Option<String> {
    let word = |key: &str| value.get(key).and_then(Value::text).unwrap_or_default().to_owned();
    let (resource, connection, disks) = (word("res"), word("cs"), word("ds"));
    let behind =
        disks.split('/').any(|disk| matches!(disk, "Inconsistent" | "Outdated" | "Consistent" | "Negotiating"));
    let syncs = SYNCING.contains(&&*connection) || (connection == "Connected" && behind);
    syncs.then(|| format!("{resource} resyncs ({connection}, {disks}{})", percent(value)))
}

fn rebuild(value: &Value) -> Option<String> {
    let name = value.get("vd").and_then(Value::text).unwrap_or("the array");
    let rebuilds = value.get("state").and_then(Value::text) == Some("Rbld")
        || value.get("rebuilding").and_then(Value::list).is_some_and(|disks| !disks.is_empty());
    rebuilds.then(|| format!("{name} rebuilds{}", percent(value)))
}

fn percent(value: &Value) -> String {
    let number = value.get("progress").or_else(|| value.get("percent")).and_then(Value::number);
    number.map_or_else(String::new, |done| format!(" {done:.0} %"))
}
