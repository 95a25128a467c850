//! Flapping of Nagios objects: history, start, stop, lines (specification 03, section 4).

use super::Engine;
use super::change::FlapChange;
use super::effect::Effects;
use crate::catalog::nagios::Options;
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::StateKind;
use crate::snapshot::Flags;

/// Percent of change at which flapping ends and starts.
struct Thresholds {
    low: f32,
    high: f32,
}

impl Engine {
    /// Takes the present state into the history and judges it. A service's soft problems are not recorded.
    pub(super) fn record_flapping(&mut self, object: ObjectId, effects: &mut Effects) {
        let row = *self.row(object);
        let is_soft_problem = row.kind == StateKind::Soft && row.state != 0;
        if matches!(object, ObjectId::Service(_)) && is_soft_problem {
            return;
        }
        let Some(track) = self.track(object) else { return };
        let mut flap = track.flap;
        if self.directives(object).is_some_and(|d| d.flap_options.has(Options::of_state(row.state))) {
            flap.record(row.state);
        }
        if flap != track.flap
            && let Some(track) = self.track_mut(object)
        {
            track.flap = flap;
        }
        if flap.flapping || flap.percent > 0.0 {
            self.judge_flapping(object, effects);
        }
    }

    /// Starts, stops or ends flapping by the history as it is; also after detection was switched.
    pub(super) fn judge_flapping(&mut self, object: ObjectId, effects: &mut Effects) {
        let Some(track) = self.track(object) else { return };
        let flap = track.flap;
        if !self.detects_flapping(object) {
            if flap.flapping {
                self.turn_flapping(object, FlapChange::Disabled, effects);
            }
            return;
        }
        let Some(Thresholds { low, high }) = self.flap_thresholds(object) else { return };
        let exact = flap.change_percent();
        let percent = flap.percent;
        // What lies between the two, or on both sides of swapped ones, changes nothing.
        if exact <= f64::from(low) {
            if flap.flapping {
                self.turn_flapping(object, FlapChange::Stopped { percent, threshold: low }, effects);
            }
        } else if exact >= f64::from(high) && !flap.flapping {
            self.turn_flapping(object, FlapChange::Started { percent, threshold: high }, effects);
        }
    }

    /// Detection was switched off in the program or in the configuration: nothing can end its flapping any more.
    pub(super) fn end_undetected_flapping(&mut self, effects: &mut Effects) {
        let hosts = (0..self.host_tracks.len()).map(|i| ObjectId::Host(HostId::from_index(i)));
        let services = (0..self.service_tracks.len()).map(|i| ObjectId::Service(ServiceId::from_index(i)));
        let flaps = |object: &ObjectId| self.track(*object).is_some_and(|track| track.flap.flapping);
        let undetected = hosts.chain(services).filter(flaps).filter(|object| !self.detects_flapping(*object));
        for object in undetected.collect::<Vec<_>>() {
            self.turn_flapping(object, FlapChange::Disabled, effects);
        }
    }

    pub(super) fn detects_flapping(&self, object: ObjectId) -> bool {
        self.program().enable_flap_detection && self.switches(object).is_some_and(|switches| switches.flap_detection)
    }

    fn flap_thresholds(&self, object: ObjectId) -> Option<Thresholds> {
        let (directives, program) = (self.directives(object)?, self.program());
        let (low, high) = match object {
            ObjectId::Host(_) => (program.low_host_flap, program.high_host_flap),
            ObjectId::Service(_) => (program.low_service_flap, program.high_service_flap),
        };
        let or = |own: f32, global: f32| if own > 0.0 { own } else { global };
        Some(Thresholds { low: or(directives.flap_low, low), high: or(directives.flap_high, high) })
    }

    fn turn_flapping(&mut self, object: ObjectId, kind: FlapChange, effects: &mut Effects) {
        let starts = matches!(kind, FlapChange::Started { .. });
        let at = self.at;
        if let Some(track) = self.track_mut(object) {
            track.flap.flapping = starts;
            if starts {
                track.notice.recovery_after_flapping = track.notice.number > 0;
            }
        }
        let row = self.row_mut(object);
        row.flags.set(Flags::FLAPPING, starts);
        row.changed = at;
        effects.log.push(self.flapping_line(object, kind));
        self.notify_flapping(object, kind, effects);
        if !starts && let Some(track) = self.track_mut(object) {
            track.notice.recovery_after_flapping = false;
        }
    }

    fn flapping_line(&self, object: ObjectId, kind: FlapChange) -> String {
        let (what, reached) = match object {
            ObjectId::Host(_) => ("Host", ">"),
            ObjectId::Service(_) => ("Service", ">="),
        };
        let rest = match kind {
            FlapChange::Started { percent, threshold } => format!(
                "STARTED; {what} appears to have started flapping ({percent:.1}% change {reached} {threshold:.1}% threshold)"
            ),
            FlapChange::Stopped { percent, threshold } => format!(
                "STOPPED; {what} appears to have stopped flapping ({percent:.1}% change < {threshold:.1}% threshold)"
            ),
            FlapChange::Disabled => "DISABLED; Flap detection has been disabled".to_owned(),
        };
        self.line_of(object, "FLAPPING ALERT", &rest)
    }
}
