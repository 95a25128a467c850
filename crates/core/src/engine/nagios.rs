//! What the engine knows of an object of a Nagios tree: its track, and its directives as they are in force now.
//!
//! A directive that an external command can change is asked for here and nowhere else.

use std::sync::Arc;

use super::Engine;
use super::track::Track;
use crate::Span;
use crate::catalog::Catalog;
use crate::catalog::nagios::{CommandCall, Directives, Program, Switches};
use crate::id::{HostId, ObjectId, ServiceId, TimeperiodId};
use crate::snapshot::Row;

impl Engine {
    /// `None` for an object of Stentor's own configuration.
    pub fn track(&self, object: ObjectId) -> Option<&Track> {
        match object {
            ObjectId::Host(id) => self.host_tracks.get(id.index()),
            ObjectId::Service(id) => self.service_tracks.get(id.index()),
        }
        .map(|track| &**track)
    }

    pub(super) fn track_mut(&mut self, object: ObjectId) -> Option<&mut Track> {
        match object {
            ObjectId::Host(id) => self.host_tracks.get_mut(id.index()),
            ObjectId::Service(id) => self.service_tracks.get_mut(id.index()),
        }
        .map(Arc::make_mut)
    }

    /// The program's switches as they are now.
    pub(super) fn program(&self) -> &Program {
        &self.program.in_force
    }

    pub(super) fn directives(&self, object: ObjectId) -> Option<&Directives> {
        self.catalog.nagios.directives(object)
    }

    /// The object's switches as they are now.
    pub fn switches(&self, object: ObjectId) -> Option<Switches> {
        let configured = self.directives(object)?.switches;
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.switches);
        Some(changed.unwrap_or(configured))
    }

    pub fn check_period(&self, object: ObjectId) -> Option<TimeperiodId> {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.check_period);
        changed.unwrap_or_else(|| self.directives(object)?.check_period)
    }

    pub fn event_handler(&self, object: ObjectId) -> Option<&CommandCall> {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.event_handler.as_ref());
        changed.map_or_else(|| self.directives(object)?.event_handler.as_ref(), Option::as_ref)
    }

    pub fn event_handler_period(&self, object: ObjectId) -> Option<TimeperiodId> {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.event_handler_period);
        changed.unwrap_or_else(|| self.directives(object)?.event_handler_period)
    }

    /// `max_check_attempts`; at least 1.
    pub fn attempts_max(&self, object: ObjectId) -> u16 {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.max_attempts);
        let configured = || self.catalog.check_of(object).map_or(1, |check| check.attempts);
        changed.unwrap_or_else(configured).max(1)
    }

    /// `check_interval`; zero = not repeated.
    pub fn check_interval(&self, object: ObjectId) -> Span {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.check_interval);
        let configured = || self.catalog.check_of(object).map_or(Span::ZERO, |check| check.every);
        changed.map_or_else(configured, |units| self.units(units))
    }

    /// `retry_interval`.
    pub fn retry_interval(&self, object: ObjectId) -> Span {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.retry_interval);
        let configured = || self.catalog.check_of(object).map_or(Span::ZERO, |check| check.retry);
        changed.map_or_else(configured, |units| self.units(units))
    }

    /// A length given in units of `interval_length`.
    fn units(&self, units: f64) -> Span {
        Span::from_millis((units * self.program().interval_length.as_millis() as f64).round() as i64)
    }

    /// Whether now is inside the period; no period is always.
    pub(super) fn is_within(&self, period: Option<TimeperiodId>) -> bool {
        period.is_none_or(|id| self.catalog.in_period(id, self.at))
    }
}

/// Tracks of a new catalog: those that both worlds know are carried over by the name of their object.
pub(super) fn carried_tracks(
    members: usize,
    old: &[Arc<Track>],
    was: impl Fn(usize) -> Option<usize>,
) -> Vec<Arc<Track>> {
    let blank = Arc::new(Track::default());
    let carried = |i| was(i).and_then(|i| old.get(i)).map_or_else(|| Arc::clone(&blank), Arc::clone);
    (0..members).map(carried).collect()
}

impl Engine {
    /// An object that was never checked is in its `initial_state`, hard (specification 03, section 2).
    pub(super) fn begin_in_initial_state(&mut self) {
        let catalog = Arc::clone(&self.catalog);
        for i in 0..self.host_tracks.len() {
            let id = HostId::from_index(i);
            let max = self.attempts_max(ObjectId::Host(id));
            enter_initial(&catalog, ObjectId::Host(id), max, &mut self.hosts[i]);
        }
        for i in 0..self.service_tracks.len() {
            let id = ServiceId::from_index(i);
            let max = self.attempts_max(ObjectId::Service(id));
            enter_initial(&catalog, ObjectId::Service(id), max, &mut self.services[i]);
        }
    }
}

fn enter_initial(catalog: &Catalog, object: ObjectId, attempts_max: u16, row: &mut Row) {
    let Some(directives) = catalog.nagios.directives(object) else { return };
    if row.is_pending() {
        row.state = directives.initial_state;
        row.last_hard_state = directives.initial_state;
        row.attempt = if directives.initial_state == 0 { 1 } else { attempts_max };
    }
}
