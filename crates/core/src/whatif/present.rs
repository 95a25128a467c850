//! The present world again from a snapshot: the signals of every newest observation, and the hard states.

use crate::Span;
use crate::availability::State;
use crate::availability::assess::Stands;
use crate::diagnosis::Signal;
use crate::engine::business::{of_host, of_service};
use crate::engine::judge_again;
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::Value;
use crate::signals::{Board, Contribution};
use crate::snapshot::{Row, Snapshot};

/// Hard states as a snapshot has them.
pub struct PresentWorld<'a> {
    snapshot: &'a Snapshot,
}

impl PresentWorld<'_> {
    pub fn row(&self, host: HostId) -> &Row {
        &self.snapshot.hosts[host.index()]
    }

    pub fn stands(&self, host: &str, service: Option<&str>) -> Stands {
        let unknown = Stands { state: State::Unknown, planned: false };
        let snapshot = self.snapshot;
        let Some(id) = snapshot.catalog.host_id(host) else { return unknown };
        let row = &snapshot.hosts[id.index()];
        match service {
            None => of_host(row),
            Some(name) => match snapshot.catalog.service_on(id, name) {
                Some(service) => of_service(&snapshot.services[service.index()], row),
                None => unknown,
            },
        }
    }
}

/// The signals of each cloud as its checks last told them. What was told directly (by a replay) is not in a snapshot.
pub fn present(snapshot: &Snapshot) -> (Vec<Vec<Signal>>, PresentWorld<'_>) {
    (signals_of(snapshot, &|_| true), PresentWorld { snapshot })
}

/// The same of some hosts alone: to judge every observation again takes its time where there are many.
pub fn signals_of(snapshot: &Snapshot, is_asked: &dyn Fn(HostId) -> bool) -> Vec<Vec<Signal>> {
    let catalog = &snapshot.catalog;
    let mut board = Board::new(catalog);
    let hosts = (0..catalog.hosts.len()).map(|i| ObjectId::Host(HostId::from_index(i)));
    let services = (0..catalog.services.len()).map(|i| ObjectId::Service(ServiceId::from_index(i)));
    for object in hosts.chain(services) {
        let (Some(check), row) = (catalog.check_of(object), snapshot.row(object)) else { continue };
        let host = match object {
            ObjectId::Host(id) => id,
            ObjectId::Service(id) => catalog.services[id.index()].host,
        };
        if row.is_pending() || check.signals.is_empty() || !is_asked(host) {
            continue;
        }
        if row.is_stale() {
            board.forget(object, check, snapshot.at);
            continue;
        }
        let Some(observation) = &snapshot.detail(object).observation else { continue };
        let judgement = judge_again(catalog, object, observation);
        let from = Contribution { object, observation, judgement: &judgement, observed_at: row.last_check };
        board.contribute(check, &from);
    }
    let mut signals: Vec<Vec<Signal>> =
        board.groups.iter().take(catalog.clouds.len()).map(|group| group.signals()).collect();
    for downtime in snapshot.downtimes.values().filter(|downtime| downtime.active && downtime.target.service.is_none())
    {
        let cloud = catalog.host_id(&downtime.target.host).and_then(|id| catalog.hosts[id.index()].cloud);
        let Some(of_cloud) = cloud.and_then(|cloud| signals.get_mut(cloud.index())) else { continue };
        of_cloud.push(Signal {
            host: Some(downtime.target.host.clone()),
            component: None,
            sig: "maintenance".into(),
            value: Value::Bool(true),
            vantage: None,
            observed_at: snapshot.at,
            changed_at: downtime.started_at.unwrap_or(downtime.start),
            every: Span::ZERO,
        });
    }
    signals
}
