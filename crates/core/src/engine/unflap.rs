//! Flapping that ends by command: its state cleared, or its detection switched off here or in the whole program.

use super::Engine;
use super::change::FlapChange;
use super::effect::Effects;
use super::input::{CommandError, Reply};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::ObjectKey;
use crate::snapshot::Flags;
use crate::status::flapping::FlapHistory;

impl Engine {
    /// Forgets the history of changes, and that it flaps. Nothing happens where flapping is not detected.
    pub(super) fn clear_flapping(&mut self, key: &ObjectKey, effects: &mut Effects) -> Result<Reply, CommandError> {
        let object = self.find(key)?;
        self.imported(object)?;
        let detects = self.program().enable_flap_detection
            && self.switches(object).is_some_and(|switches| switches.flap_detection);
        if !detects {
            return Ok(Reply::Done);
        }
        let Some(flap) = self.track(object).map(|track| track.flap) else { return Ok(Reply::Done) };
        if flap.flapping {
            let (word, threshold) = (word_of(object), self.flap_low(object));
            let of = word.to_lowercase();
            let text =
                format!("Flapping state cleared for {of}. ({:.1}% change < {threshold:.1}% threshold)", flap.percent);
            effects.log.push(format!("{word} FLAPPING ALERT: {};STOPPED; {text}", names(key)));
            self.row_mut(object).flags.set(Flags::FLAPPING, false);
            if let Some(track) = self.track_mut(object) {
                track.flap.flapping = false;
            }
            self.notify_flapping(object, FlapChange::Stopped { percent: flap.percent, threshold }, effects);
            self.tell_net_change(object, effects);
        }
        if let Some(track) = self.track_mut(object) {
            track.flap = FlapHistory::steady(0);
            track.notice.recovery_after_flapping = false;
        }
        let at = self.at;
        self.row_mut(object).changed = at;
        Ok(Reply::Done)
    }

    /// Detection was switched on or off in the whole program.
    pub(super) fn judge_flapping_of_all(&mut self, effects: &mut Effects) {
        for i in 0..self.host_tracks.len() {
            self.judge_flapping(ObjectId::Host(HostId::from_index(i)), effects);
        }
        for i in 0..self.service_tracks.len() {
            self.judge_flapping(ObjectId::Service(ServiceId::from_index(i)), effects);
        }
    }

    fn flap_low(&self, object: ObjectId) -> f32 {
        let program = self.program();
        let of_all = match object {
            ObjectId::Host(_) => program.low_host_flap,
            ObjectId::Service(_) => program.low_service_flap,
        };
        self.directives(object).map(|directives| directives.flap_low).filter(|own| *own > 0.0).unwrap_or(of_all)
    }
}

fn word_of(object: ObjectId) -> &'static str {
    match object {
        ObjectId::Host(_) => "HOST",
        ObjectId::Service(_) => "SERVICE",
    }
}

/// `host` or `host;service`, as log lines name objects.
fn names(key: &ObjectKey) -> String {
    match &key.service {
        Some(service) => format!("{};{service}", key.host),
        None => key.host.to_string(),
    }
}
