//! Business services and Cores as the engine keeps them: evaluated on a tick, their changes become events, and live
//! incidents learn which services they take down.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::effect::{Effects, Event, EventKind};
use crate::Timestamp;
use crate::availability::assess::{self, Prepared, Seen, Stands, Status};
use crate::availability::history::{Change, Subject};
use crate::availability::{Piece, PieceKind, State};
use crate::catalog::Catalog;
use crate::diagnosis::{CoreState, Diagnosis};
use crate::model::{Incident, Phase, ServiceState, TimelineEntry, TimelineKind};
use crate::snapshot::Row;

/// What is kept of services as people know them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Services {
    /// Parallel to `catalog.businesses`; empty before the first tick.
    pub businesses: Vec<Status>,
    /// Clouds whose Core is down by planned work alone.
    pub planned_cores: Vec<Arc<str>>,
    /// Business services that each live incident takes down or degrades.
    pub hit: BTreeMap<u64, Vec<Arc<str>>>,
}

/// All that services depend on besides the diagnoses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Glance {
    stands: Vec<Stands>,
    live: Vec<u64>,
}

/// What history is told when this process could not look for a while.
const UNWATCHED_MIN: crate::Span = crate::Span::from_secs(60);

impl Engine {
    pub(super) fn prepare_services(&mut self) {
        self.prepared = Arc::new(Prepared::new(&self.catalog));
        self.services_seen = None;
    }

    fn glance(&self) -> Glance {
        let asked = |piece: &&Piece| matches!(piece.kind, PieceKind::Host | PieceKind::Service);
        let pieces = self.prepared.businesses.iter().flat_map(|grounded| &grounded.pieces).filter(asked);
        Glance {
            stands: pieces.map(|piece| self.stands(&piece.name, piece.part.as_deref())).collect(),
            live: self.tracker.live().map(|(_, live)| live.number).collect(),
        }
    }

    /// Nobody looked from `at - gap` to `at`: neither up nor down.
    pub(super) fn tell_unwatched(&self, gap: crate::Span, effects: &mut Effects) {
        if gap >= UNWATCHED_MIN {
            effects.events.push(Event {
                at: self.at,
                kind: EventKind::Unwatched,
                object: None,
                incident: None,
                text: crate::availability::history::unwatched_text(gap),
            });
        }
    }

    /// Looks again, if anything that could make a difference changed; `diagnosed` = a diagnosis is new.
    pub(super) fn assess_services(&mut self, diagnosed: bool, effects: &mut Effects) {
        let glance = self.glance();
        if !diagnosed && self.services_seen.as_ref() == Some(&glance) {
            return;
        }
        self.services_seen = Some(glance);
        let catalog = Arc::clone(&self.catalog);
        let prepared = Arc::clone(&self.prepared);
        self.note_planned_cores(&catalog, &prepared, effects);
        if catalog.businesses.is_empty() {
            if !self.services_known.businesses.is_empty() {
                self.tell_incidents(&BTreeMap::new());
                let known = Arc::make_mut(&mut self.services_known);
                (known.businesses, known.hit) = (Vec::new(), BTreeMap::new());
            }
            return;
        }
        let diagnoses: Vec<&Diagnosis> = self.clouds.iter().map(|status| &status.diagnosis).collect();
        let object = |host: &str, service: Option<&str>| self.stands(host, service);
        let mut now = assess::businesses(&prepared, &catalog, &Seen::new(&diagnoses, &object), self.at);
        let old: BTreeMap<&str, &Status> = self.services_known.businesses.iter().map(|s| (&*s.name, s)).collect();
        for status in &mut now {
            match old.get(&*status.name).filter(|was| (was.state, was.planned) == (status.state, status.planned)) {
                Some(was) => status.since = was.since,
                None => effects.events.push(change_event(self.at, Subject::Business, status)),
            }
        }
        let hit = self.hit_by_incidents(&catalog, &prepared, &diagnoses);
        self.tell_incidents(&hit);
        let known = Arc::make_mut(&mut self.services_known);
        (known.businesses, known.hit) = (now, hit);
    }

    /// A Core that is down because of planned work alone is told apart in history.
    fn note_planned_cores(&mut self, catalog: &Catalog, prepared: &Prepared, effects: &mut Effects) {
        let mut planned: Vec<Arc<str>> = Vec::new();
        for (i, (cloud, status)) in catalog.clouds.iter().zip(self.clouds.iter()).enumerate() {
            if status.core == CoreState::Unavailable
                && assess::core_look(prepared, i, &status.diagnosis).is_some_and(|(_, planned)| planned)
            {
                planned.push(Arc::clone(&cloud.name));
            }
            let (was, is) = (self.services_known.planned_cores.contains(&cloud.name), planned.contains(&cloud.name));
            if was != is && status.core == CoreState::Unavailable {
                let because = status.diagnosis.core_because.first().cloned().unwrap_or_default();
                let change = Change { at: self.at, state: State::Unavailable, planned: is, because };
                let text = change.text(Subject::Core, &cloud.name);
                let kind = EventKind::CoreChanged;
                effects.events.push(Event { at: self.at, kind, object: None, incident: None, text });
            }
        }
        if self.services_known.planned_cores != planned {
            Arc::make_mut(&mut self.services_known).planned_cores = planned;
        }
    }

    fn hit_by_incidents(
        &self,
        catalog: &Catalog,
        prepared: &Prepared,
        diagnoses: &[&Diagnosis],
    ) -> BTreeMap<u64, Vec<Arc<str>>> {
        let live = self.tracker.incidents.values().filter(|incident| incident.phase.is_live());
        let of_one = |incident: &Arc<Incident>| {
            let object = |host: &str, service: Option<&str>| {
                let ours = |key: &crate::model::ObjectKey| *key.host == *host && key.service.as_deref() == service;
                if incident.problems.iter().any(ours) { self.stands(host, service) } else { Stands::WELL }
            };
            let seen = Seen::only(prepared, diagnoses, &incident.verdict.target, &object);
            let alone = assess::businesses(prepared, catalog, &seen, self.at);
            let hit = alone.into_iter().filter(|status| status.state < State::Available).map(|status| status.name);
            (incident.number, hit.collect::<Vec<_>>())
        };
        live.map(of_one).filter(|(_, hit)| !hit.is_empty()).collect()
    }

    /// Each service once in the timeline of each incident, and all of them in it while it is open.
    fn tell_incidents(&mut self, hit: &BTreeMap<u64, Vec<Arc<str>>>) {
        let open = self.tracker.incidents.values().filter(|incident| incident.phase == Phase::Open);
        let now = |incident: &Incident| hit.get(&incident.number).map_or(&[][..], Vec::as_slice);
        let changed: Vec<u64> =
            open.filter(|incident| incident.business != now(incident)).map(|incident| incident.number).collect();
        for number in changed {
            self.tracker.edit(number, |incident| incident.business = now(incident).to_vec());
        }
        let known = Arc::clone(&self.services_known);
        for (number, names) in hit {
            let before = known.hit.get(number).map_or(&[][..], Vec::as_slice);
            for name in names.iter().filter(|name| !before.contains(name)) {
                let text = format!("business service {name} is affected");
                let entry = TimelineEntry { at: self.at, kind: TimelineKind::Effect, by: None, text };
                self.tracker.note(*number, entry);
            }
        }
    }

    fn stands(&self, host: &str, service: Option<&str>) -> Stands {
        let Some(id) = self.catalog.host_id(host) else {
            return Stands { state: State::Unknown, planned: false };
        };
        match service {
            None => of_host(&self.hosts[id.index()]),
            Some(name) => match self.catalog.service_on(id, name) {
                Some(service) => of_service(&self.services[service.index()], &self.hosts[id.index()]),
                None => Stands { state: State::Unknown, planned: false },
            },
        }
    }
}

/// A host by its hard state.
pub fn of_host(row: &Row) -> Stands {
    let state = match (row.is_pending(), row.last_hard_state) {
        (true, _) => State::Unknown,
        (false, 0) => State::Available,
        (false, _) => State::Unavailable,
    };
    Stands { state, planned: row.downtime_depth > 0 }
}

/// A service by its hard state.
pub fn of_service(row: &Row, host: &Row) -> Stands {
    let state = match ServiceState::from_code(i32::from(row.last_hard_state)) {
        _ if row.is_pending() => State::Unknown,
        Some(ServiceState::Ok) => State::Available,
        Some(ServiceState::Warning) => State::Degraded,
        Some(ServiceState::Critical) => State::Unavailable,
        Some(ServiceState::Unknown) | None => State::Unknown,
    };
    Stands { state, planned: row.downtime_depth > 0 || host.downtime_depth > 0 }
}

fn change_event(at: Timestamp, subject: Subject, status: &Status) -> Event {
    let because = status.words.first().cloned().unwrap_or_default();
    let change = Change { at, state: status.state, planned: status.planned, because };
    let text = change.text(subject, &status.name);
    Event { at, kind: EventKind::BusinessChanged, object: None, incident: None, text }
}
