//! A new catalog: every row that both worlds know is carried over by its key; nothing is forgotten by a reload.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use super::effect::{Effects, Event, EventKind};
use super::nagios::carried_tracks;
use crate::Timestamp;
use crate::catalog::Catalog;
use crate::diagnosis::{CoreState, Diagnosis};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::signals::Board;
use crate::snapshot::{CloudStatus, Detail, Flags, Row};

impl Engine {
    pub(super) fn load(&mut self, catalog: &Arc<Catalog>, effects: &mut Effects) {
        let old = Arc::clone(&self.catalog);
        let blank = Arc::new(Detail::default());
        let mut hosts = vec![Row::default(); catalog.hosts.len()];
        let mut host_details = vec![Arc::clone(&blank); catalog.hosts.len()];
        for (i, host) in catalog.hosts.iter().enumerate() {
            if let Some(id) = old.host_id(&host.name) {
                hosts[i] = self.hosts[id.index()];
                host_details[i] = Arc::clone(&self.host_details[id.index()]);
            }
        }
        let mut services = vec![Row::default(); catalog.services.len()];
        let mut service_details = vec![blank; catalog.services.len()];
        for (i, service) in catalog.services.iter().enumerate() {
            if let Some(id) = old.service_id(&catalog.hosts[service.host.index()].name, &service.name) {
                services[i] = self.services[id.index()];
                service_details[i] = Arc::clone(&self.service_details[id.index()]);
            }
        }
        let host_tracks = carried_tracks(catalog.nagios.hosts.len(), &self.host_tracks, |i| {
            old.host_id(&catalog.hosts[i].name).map(HostId::index)
        });
        let service_tracks = carried_tracks(catalog.nagios.services.len(), &self.service_tracks, |i| {
            let service = &catalog.services[i];
            old.service_id(&catalog.hosts[service.host.index()].name, &service.name).map(ServiceId::index)
        });
        if self.started == Timestamp::ZERO {
            self.started = self.at;
        }
        let mut board = Board::new(catalog);
        board.carry_over(catalog, &self.board, &old);
        self.clouds = Arc::new(self.carried_clouds(catalog, &old));
        self.catalog = Arc::clone(catalog);
        self.board = board;
        (self.hosts, self.host_details) = (hosts, host_details);
        (self.services, self.service_details) = (services, service_details);
        (self.host_tracks, self.service_tracks) = (host_tracks, service_tracks);
        self.carry_program_over(&old, catalog);
        self.carry_overrides_over(&old, catalog);
        self.fit_attempts(&old);
        self.begin_in_initial_state();
        self.end_undetected_flapping(effects);
        self.rederive();
        self.prepare_services();
        self.recount_depths();
        self.forget_lost_comments();
        self.add_planned_downtimes();
        self.fit_recurring();
        let text = format!(
            "configuration with {} hosts, {} services, {} clouds",
            catalog.hosts.len(),
            catalog.services.len(),
            catalog.clouds.len()
        );
        let event = Event { at: self.at, kind: EventKind::CatalogLoaded, object: None, incident: None, text };
        effects.events.push(event);
    }

    /// A hard problem that stood at its last attempt still does when `max_check_attempts` changed; and only what has a
    /// track flaps.
    fn fit_attempts(&mut self, old: &Catalog) {
        let hosts = (0..self.hosts.len()).map(|i| ObjectId::Host(HostId::from_index(i)));
        let services = (0..self.services.len()).map(|i| ObjectId::Service(ServiceId::from_index(i)));
        for object in hosts.chain(services).collect::<Vec<_>>() {
            let (is_nagios, max) = (self.track(object).is_some(), self.attempts_max(object));
            let row = *self.row(object);
            if is_nagios {
                self.row_mut(object).flags.set(Flags::SWITCHED_OFF, false);
            }
            if !is_nagios && row.flags.has(Flags::FLAPPING) {
                self.row_mut(object).flags.set(Flags::FLAPPING, false);
            }
            if !row.is_hard_problem() || row.attempt == max {
                continue;
            }
            let was = old.object_id(&self.catalog.object_key(object)).and_then(|id| old.check_of(id));
            if was.is_some_and(|check| check.attempts.max(1) == row.attempt) {
                self.row_mut(object).attempt = max;
            }
        }
    }

    fn carried_clouds(&self, catalog: &Catalog, old: &Catalog) -> Vec<CloudStatus> {
        catalog
            .clouds
            .iter()
            .map(|cloud| {
                let known = old.clouds.iter().position(|was| was.name == cloud.name);
                known.and_then(|i| self.clouds.get(i)).cloned().unwrap_or_else(|| CloudStatus {
                    core: CoreState::Unknown,
                    core_since: self.at,
                    diagnosis: Diagnosis::nothing_known(),
                })
            })
            .collect()
    }

    /// Rebuilds what follows from rows and catalog: problems, expiries, counters.
    pub(super) fn rederive(&mut self) {
        let mut problems = BTreeSet::new();
        for (i, row) in self.hosts.iter().enumerate() {
            if row.is_hard_problem() {
                problems.insert(ObjectId::Host(HostId::from_index(i)));
            }
        }
        for (i, row) in self.services.iter().enumerate() {
            if row.is_hard_problem() {
                problems.insert(ObjectId::Service(ServiceId::from_index(i)));
            }
        }
        self.watch_all();
        self.shares = super::fold::Shares::of(&self.catalog);
        self.problems = problems;
        self.problems_dirty = true;
        self.recount_all();
        self.find_ack_ends();
    }

    /// Windows of the configuration that are not known yet.
    fn add_planned_downtimes(&mut self) {
        let catalog = Arc::clone(&self.catalog);
        for planned in &catalog.downtimes {
            self.plan_configured(planned);
        }
    }

    /// Comments on objects that are no more cannot be seen or deleted by anybody.
    fn forget_lost_comments(&mut self) {
        let catalog = Arc::clone(&self.catalog);
        if self.comments.values().any(|comment| catalog.object_id(&comment.object).is_none()) {
            Arc::make_mut(&mut self.comments).retain(|_, comment| catalog.object_id(&comment.object).is_some());
        }
    }
}
