//! Nagios's notifications: the places in the course of a result at which they are decided.

use super::Engine;
use super::change::{Change, FlapChange};
use super::effect::Effects;
use crate::id::ObjectId;

/// Whether a problem or recovery notification went out, for `stalking_options N`.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Told {
    Yes,
    No,
}

impl Engine {
    /// A state began, ended or was replaced by another: timers are reset already; flexible downtimes start here.
    pub(super) fn note_state_change(&mut self, _object: ObjectId, _change: &Change, _effects: &mut Effects) {}

    /// A result of an object with a track deserves a problem or recovery notification: a hard problem (new, changed or
    /// still there), a recovery from one, or a recovery that is still owed.
    pub(super) fn notify_after_result(&mut self, _object: ObjectId, _change: &Change, _effects: &mut Effects) -> Told {
        Told::No
    }

    /// A service failed again while its host is not UP: the host's problem may be told again.
    pub(super) fn notify_host_again(&mut self, _host: ObjectId, _effects: &mut Effects) {}

    /// Flapping started, stopped or was switched off. The track says so already; the comment is kept here.
    pub(super) fn notify_flapping(&mut self, _object: ObjectId, _kind: FlapChange, _effects: &mut Effects) {}
}
