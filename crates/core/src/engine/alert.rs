//! What Nagios does with a result besides the row: its memory, the ALERT line, and everyone else in their order
//! (specification 03, 2.4, 2.5 and 10).

use super::Engine;
use super::change::Change;
use super::effect::Effects;
use super::input::ResultSource;
use super::notify::Told;
use crate::catalog::nagios::Options;
use crate::id::ObjectId;
use crate::model::{Outcome, StateKind};
use crate::snapshot::Row;

impl Engine {
    /// An applied result of an object that has a track.
    pub(super) fn follow(&mut self, object: ObjectId, change: &Change, effects: &mut Effects) {
        if change.source == ResultSource::Passive && self.program().log_passive_checks {
            effects.log.push(self.passive_line(object));
        }
        self.remember(object, change);
        if change.transition.visible {
            // The retry interval of a soft problem runs out sooner.
            self.watch_freshness(object);
        }
        if change.transition.is_change() {
            self.note_state_change(object, change, effects);
        }
        let logged = self.deserves_alert(object, change);
        if logged {
            effects.log.push(self.alert_line(object));
        }
        self.record_flapping(object, effects);
        if let ObjectId::Service(id) = object {
            // Nagios 4.5 counts a result of any service as another look at the state of its host.
            self.record_flapping(ObjectId::Host(self.catalog.services[id.index()].host), effects);
        }
        if self.deserves_notice(object, change) {
            let told = self.notify_after_result(object, change, effects);
            if told == Told::Yes && !logged && self.stalks(object, Options::NOTIFIED) {
                effects.log.push(self.alert_line(object));
            }
        }
        self.obsess(object, effects);
        if change.transition.handle {
            self.handle_event(object, effects);
        }
        self.process_perfdata(object, effects);
    }

    /// Ids of events and problems, times in states, timers of notifications. Writes nothing where nothing changed: a
    /// track is shared with the snapshots.
    fn remember(&mut self, object: ObjectId, change: &Change) {
        let row = *self.row(object);
        let Some(track) = self.track(object) else { return };
        let host_was_down = match object {
            ObjectId::Host(_) => false,
            ObjectId::Service(_) if row.state == 0 => track.host_was_down,
            ObjectId::Service(id) => self.hosts[self.catalog.services[id.index()].host.index()].state != 0,
        };
        let before = change.before;
        let is_same = track.last_state == before.state && track.host_was_down == host_was_down;
        if is_same && !change.transition.is_change() {
            return;
        }
        let mut ids = self.ids;
        let Some(track) = self.track_mut(object) else { return };
        track.last_state = before.state;
        track.host_was_down = host_was_down;
        if change.transition.state_changed {
            if !before.is_pending() {
                track.last_time_in[usize::from(before.state & 3)] = before.last_check;
            }
            ids.event += 1;
            track.last_event_id = std::mem::replace(&mut track.event_id, ids.event);
            if before.state == 0 {
                ids.problem += 1;
                track.problem_id = ids.problem;
            } else if row.state == 0 {
                track.last_problem_id = std::mem::replace(&mut track.problem_id, 0);
            }
        }
        if change.transition.is_change() {
            let notice = &mut track.notice;
            (notice.last, notice.next, notice.no_more) = Default::default();
        }
        self.ids = ids;
    }

    fn stalks(&self, object: ObjectId, what: Options) -> bool {
        self.directives(object).is_some_and(|directives| directives.stalking.has(what))
    }

    fn deserves_alert(&self, object: ObjectId, change: &Change) -> bool {
        let row = self.row(object);
        let is_soft = row.kind == StateKind::Soft;
        let stalked = change.output_changed && self.stalks(object, Options::of_state(row.state));
        let worth = change.transition.alert || stalked;
        match object {
            ObjectId::Service(_) => worth && (!is_soft || self.program().log_service_retries),
            ObjectId::Host(_) => worth || (is_soft && self.program().log_host_retries),
        }
    }

    /// A recovery that could not be told is owed until it is.
    fn deserves_notice(&self, object: ObjectId, change: &Change) -> bool {
        let row = self.row(object);
        let is_owed = || self.track(object).is_some_and(|track| !track.notice.notified_on.is_empty());
        change.transition.notify || (row.state == 0 && row.kind == StateKind::Hard && is_owed())
    }

    /// `SERVICE ALERT: h;s;CRITICAL;SOFT;1;output`
    pub(super) fn alert_line(&self, object: ObjectId) -> String {
        self.line_of(object, "ALERT", &format!("{};{}", self.state_fields(object), self.short_output(object)))
    }

    fn passive_line(&self, object: ObjectId) -> String {
        let said = self.detail(object).observation.as_ref().map(|observation| observation.outcome);
        let code = match said {
            Some(Outcome::ReportedHost(state)) => state.code(),
            Some(Outcome::Reported(_) | Outcome::Observed | Outcome::Failed(_)) | None => self.row(object).state,
        };
        let name = self.name_fields(object);
        format!("PASSIVE {} CHECK: {name};{code};{}", kind_of(object), self.short_output(object))
    }

    /// `SERVICE <what>: h;s;<rest>`, or `HOST <what>: h;<rest>`.
    pub(super) fn line_of(&self, object: ObjectId, what: &str, rest: &str) -> String {
        format!("{} {what}: {};{rest}", kind_of(object), self.name_fields(object))
    }

    /// `host` or `host;service`.
    pub(super) fn name_fields(&self, object: ObjectId) -> String {
        match object {
            ObjectId::Host(id) => self.catalog.hosts[id.index()].name.to_string(),
            ObjectId::Service(id) => {
                let service = &self.catalog.services[id.index()];
                format!("{};{}", self.catalog.hosts[service.host.index()].name, service.name)
            }
        }
    }

    /// `CRITICAL;SOFT;1`
    pub(super) fn state_fields(&self, object: ObjectId) -> String {
        let row = self.row(object);
        format!("{};{};{}", state_word(object, row), row.kind.as_str(), row.attempt)
    }

    /// The first line of the newest output as lines of `nagios.log` hold it, whose fields end at semicolons.
    pub(super) fn short_output(&self, object: ObjectId) -> String {
        let text = self.detail(object).observation.as_ref().map_or("", |observation| &observation.text);
        text.replace(';', ":").replace(['\n', '\r'], " ")
    }
}

/// `HOST` or `SERVICE`.
pub(super) const fn kind_of(object: ObjectId) -> &'static str {
    match object {
        ObjectId::Host(_) => "HOST",
        ObjectId::Service(_) => "SERVICE",
    }
}

/// The state of a row in Nagios's word.
pub(super) fn state_word(object: ObjectId, row: &Row) -> &'static str {
    match object {
        ObjectId::Host(_) => row.host_state().as_str(),
        ObjectId::Service(_) => row.service_state().as_str(),
    }
}
