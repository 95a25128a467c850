//! The failure matrix of one cloud as of a snapshot: components, how many of them work, and the state of each cell.
//! Overview, matrix and cell pages and the metrics of the matrix all read this one answer.

use std::sync::Arc;

use stentor_core::catalog::{Cloud, ComponentType, Platform};
use stentor_core::diagnosis::{Class, FailureType, TargetKind};
use stentor_core::id::{CloudId, ComponentId};
use stentor_core::model::Incident;
use stentor_core::snapshot::Snapshot;

use super::parts::{Mark, Pips};

#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    pub cloud: Arc<str>,
    pub platform: Arc<str>,
    /// In the order of the pack.
    pub rows: Vec<BoardRow>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BoardRow {
    pub key: Arc<str>,
    pub name: Arc<str>,
    pub core: bool,
    /// `active_active`, `active_passive`, `single`, `many`.
    pub redundancy: Arc<str>,
    pub pips: Pips,
    /// Worst of its cells.
    pub mark: Mark,
    pub cells: [BoardCell; 3],
    pub instances: Vec<(ComponentId, Instance)>,
}

impl BoardRow {
    pub fn is_deployed(&self) -> bool {
        self.pips.total > 0
    }

    /// How many more may fail; negative when too few are left already.
    pub fn margin(&self) -> i64 {
        i64::from(self.pips.up) - i64::from(self.pips.need)
    }

    /// It has spares by design, none of them is left, and it still works.
    pub fn is_without_reserve(&self) -> bool {
        self.is_deployed() && self.pips.total > self.pips.need && self.margin() == 0
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct BoardCell {
    pub failure_type: FailureType,
    /// `None` = the component is not deployed here.
    pub mark: Option<Mark>,
    /// How many instances the problem holds for, of how many.
    pub affected: u32,
    pub total: u32,
    /// Live incidents in this cell, worst first.
    pub incidents: Vec<u64>,
}

/// Whether one component on one host does its work, as far as incidents and fresh results say.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Instance {
    Up,
    Down,
    Unknown,
    Pending,
}

impl Instance {
    pub const fn mark(self) -> Mark {
        match self {
            Instance::Up => Mark::Up,
            Instance::Down => Mark::Down,
            Instance::Unknown => Mark::Unk,
            Instance::Pending => Mark::Pend,
        }
    }
}

/// Live incidents of a cloud, worst first; incidents without a cloud are nobody's cell.
pub fn incidents_of<'a>(snapshot: &'a Snapshot, cloud: &str) -> Vec<&'a Arc<Incident>> {
    let mut live = snapshot.live_incidents();
    live.retain(|incident| incident.cloud.as_deref() == Some(cloud));
    live
}

pub fn board(snapshot: &Snapshot, cloud_id: CloudId) -> Option<Board> {
    let cloud = snapshot.catalog.clouds.get(cloud_id.index())?;
    let platform = snapshot.catalog.platform(&cloud.platform)?;
    let live = incidents_of(snapshot, &cloud.name);
    let view = View { snapshot, cloud_id, cloud, platform, live };
    let rows = platform.components.iter().map(|kind| view.row(kind)).collect();
    Some(Board { cloud: Arc::clone(&cloud.name), platform: Arc::clone(&platform.key), rows })
}

struct View<'a> {
    snapshot: &'a Snapshot,
    cloud_id: CloudId,
    cloud: &'a Cloud,
    platform: &'a Platform,
    live: Vec<&'a Arc<Incident>>,
}

impl View<'_> {
    fn row(&self, kind: &ComponentType) -> BoardRow {
        let instances: Vec<(ComponentId, Instance)> = self
            .snapshot
            .catalog
            .components
            .iter()
            .enumerate()
            .filter(|(_, component)| {
                let host = &self.snapshot.catalog.hosts[component.host.index()];
                component.key == kind.key
                    && component.platform == self.platform.key
                    && host.cloud == Some(self.cloud_id)
            })
            .map(|(i, _)| ComponentId::from_index(i))
            .map(|id| (id, self.instance(id)))
            .collect();
        let count = |wanted: &[Instance]| instances.iter().filter(|(_, state)| wanted.contains(state)).count() as u32;
        let need = if &*kind.key == "nc" && self.cloud.min_nc > 0 { self.cloud.min_nc } else { kind.redundancy_min };
        let total = instances.len() as u32;
        let pips = Pips {
            up: count(&[Instance::Up]),
            unknown: count(&[Instance::Unknown, Instance::Pending]),
            total,
            need: need.min(total),
        };
        let cells = FailureType::ALL.map(|failure_type| self.cell(kind, failure_type, &instances));
        let mark = cells.iter().filter_map(|cell| cell.mark).max().unwrap_or(Mark::Pend);
        BoardRow {
            key: Arc::clone(&kind.key),
            name: Arc::clone(&kind.name),
            core: kind.core,
            redundancy: Arc::clone(&kind.redundancy_kind),
            pips,
            mark,
            cells,
            instances,
        }
    }

    fn instance(&self, id: ComponentId) -> Instance {
        let catalog = &self.snapshot.catalog;
        let component = &catalog.components[id.index()];
        let host = &catalog.hosts[component.host.index()];
        for incident in &self.live {
            match self.covers(incident, &host.name, &component.key) {
                Some(Instance::Up) | None => {}
                Some(state) => return state,
            }
        }
        let unknown = self.snapshot.clouds.get(self.cloud_id.index()).is_some_and(|status| {
            status.diagnosis.unknown.iter().any(|missing| {
                missing.target.host.as_deref() == Some(&*host.name)
                    && missing.target.component.as_deref().is_none_or(|key| key == &*component.key)
            })
        });
        let rows = || component.services.iter().map(|service| &self.snapshot.services[service.index()]);
        if rows().len() > 0 && rows().all(|row| row.is_pending()) {
            Instance::Pending
        } else if unknown || (rows().len() > 0 && rows().all(|row| row.is_stale() || row.is_pending())) {
            Instance::Unknown
        } else {
            Instance::Up
        }
    }

    /// What an incident says about one component on one host; `None` = nothing.
    fn covers(&self, incident: &Incident, host: &str, key: &str) -> Option<Instance> {
        let verdict = &incident.verdict;
        let target = &verdict.target;
        let on_host = target.host.as_deref() == Some(host);
        let same_key = target.component.as_deref() == Some(key);
        let aimed = match target.kind {
            TargetKind::Component => on_host && same_key,
            TargetKind::ComponentGroup => {
                same_key && target.host.as_deref().is_none_or(|name| name == host || self.zone_of(host) == Some(name))
            }
            TargetKind::Jvm => on_host && self.cloud.topology.jvm.iter().any(|jvm| &**jvm == key),
            TargetKind::Host => on_host,
            TargetKind::Hardware
            | TargetKind::Switch
            | TargetKind::Power
            | TargetKind::Backend
            | TargetKind::Drbd
            | TargetKind::Site
            | TargetKind::Service => false,
        };
        if aimed {
            return Some(effect_of(verdict.class));
        }
        let suppressed = verdict.suppressed.iter().find(|suppressed| {
            suppressed.host.as_deref() == Some(host)
                && suppressed.component.as_deref().is_none_or(|component| component == key)
        });
        suppressed.map(|suppressed| effect_of(suppressed.class))
    }

    fn zone_of(&self, host: &str) -> Option<&str> {
        let catalog = &self.snapshot.catalog;
        let host = catalog.host_id(host)?;
        Some(&catalog.zones[catalog.hosts[host.index()].zone.index()].name)
    }

    fn cell(&self, kind: &ComponentType, failure_type: FailureType, all: &[(ComponentId, Instance)]) -> BoardCell {
        let total = all.len() as u32;
        let key = format!("{}/{}/{}", self.platform.key, kind.key, failure_type.as_str());
        let hits: Vec<&&Arc<Incident>> = self.live.iter().filter(|incident| in_cell(incident, &key)).collect();
        let mut cell = BoardCell { failure_type, mark: None, affected: 0, total, incidents: Vec::new() };
        if let Some(worst) = hits.first() {
            let mark = match Mark::of_severity(worst.severity()) {
                Mark::Pend => Mark::Warn,
                other => other,
            };
            let catalog = &self.snapshot.catalog;
            let affected = all.iter().filter(|(id, _)| {
                let component = &catalog.components[id.index()];
                let host = &catalog.hosts[component.host.index()].name;
                hits.iter().any(|incident| self.touches(incident, host, &component.key))
            });
            cell.affected = (affected.count() as u32).max(1).min(total.max(1));
            cell.mark = Some(mark);
            cell.incidents = hits.iter().map(|incident| incident.number).collect();
            return cell;
        }
        if total == 0 {
            return cell;
        }
        let unseen = all.iter().filter(|(id, state)| self.is_unseen(*id, *state, failure_type)).count() as u32;
        let pending = all.iter().all(|(_, state)| *state == Instance::Pending);
        cell.mark = Some(if pending {
            Mark::Pend
        } else if unseen > 0 {
            cell.affected = unseen;
            Mark::Unk
        } else {
            Mark::Ok
        });
        cell
    }

    fn touches(&self, incident: &Incident, host: &str, key: &str) -> bool {
        let names_host = || {
            incident.verdict.target.host.as_deref() == Some(host) || incident.problems.iter().any(|p| &*p.host == host)
        };
        self.covers(incident, host, key).is_some() || names_host()
    }

    fn is_unseen(&self, id: ComponentId, state: Instance, failure_type: FailureType) -> bool {
        let host = self.snapshot.catalog.components[id.index()].host;
        match failure_type {
            FailureType::Server => {
                let row = &self.snapshot.hosts[host.index()];
                matches!(Mark::of_host(row), Mark::Unr | Mark::Pend)
                    && self.snapshot.catalog.hosts[host.index()].check.is_some()
            }
            FailureType::Software | FailureType::Resource => matches!(state, Instance::Unknown | Instance::Pending),
        }
    }
}

/// True if the incident stands in that cell of the matrix.
pub fn in_cell(incident: &Incident, key: &str) -> bool {
    let verdict = &incident.verdict;
    verdict.cell.as_deref() == Some(key) || verdict.cells.iter().any(|cell| &**cell == key)
}

/// What a class means for the component it is about.
fn effect_of(class: Class) -> Instance {
    match class {
        Class::SoftwareDown
        | Class::ServerDown
        | Class::ResourceUnavailable
        | Class::Network
        | Class::PowerEvent
        | Class::SiteDown
        | Class::AdminStopped
        | Class::Starting => Instance::Down,
        Class::NetworkPath | Class::MonitorIsolated | Class::Unknown => Instance::Unknown,
        Class::SplitBrain | Class::RedundancyLost | Class::ResourceAtRisk | Class::Flapping => Instance::Up,
    }
}
