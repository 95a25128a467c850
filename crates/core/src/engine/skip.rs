//! A check that was not run for a dependency, a parent or a host that is down may give its object a state of the
//! configuration's choice (`*_skip_check_*_status`). As in Nagios that is all it does: no line, no handler, no message.

use std::sync::Arc;

use super::Engine;
use super::gate::SkipReason;
use super::input::{CommandError, Reply};
use crate::id::ObjectId;
use crate::model::{ObjectKey, Observation};

/// The highest code of a host: UNREACHABLE.
const HOST_STATE_MAX: u8 = 2;

impl SkipReason {
    /// What Nagios writes before the output of an object that got another state for it.
    pub const fn words(self, object: ObjectId) -> Option<&'static str> {
        match (self, object) {
            (SkipReason::Dependency(_), ObjectId::Service(_)) => Some("(service dependency check failed)"),
            (SkipReason::Dependency(_), ObjectId::Host(_)) => Some("(host dependency check failed)"),
            (SkipReason::Parent(_), _) => Some("(service parents failed)"),
            (SkipReason::HostDown, _) => Some("(host is down)"),
            (SkipReason::ProgramSwitchedOff | SkipReason::SwitchedOff | SkipReason::OutsidePeriod, _) => None,
        }
    }
}

impl Engine {
    pub(super) fn skip_check(&mut self, key: &ObjectKey, state: u8, why: &Arc<str>) -> Result<Reply, CommandError> {
        let object = self.find(key)?;
        if self.track(object).is_none() {
            return Err(CommandError::NotImported(super::command::describe(key)));
        }
        let before = *self.row(object);
        // One that was never looked at stays PENDING, whatever its state would be.
        if before.is_pending() {
            return Ok(Reply::Done);
        }
        let at = self.at;
        let detail = self.detail_mut(object);
        let shown = detail.observation.as_deref();
        if shown.is_none_or(|shown| !shown.text.contains(&**why)) {
            let text = match shown {
                Some(shown) => format!("{why} was: {}", shown.text),
                None => why.to_string(),
            };
            let observation = shown.cloned().unwrap_or_else(|| Observation::observed(""));
            detail.observation = Some(Arc::new(Observation { text: text.into(), ..observation }));
        }
        let row = self.row_mut(object);
        row.state = match object {
            ObjectId::Host(_) => state.min(HOST_STATE_MAX),
            ObjectId::Service(_) => state.min(3),
        };
        row.changed = at;
        let is_problem = row.is_hard_problem();
        if before.is_hard_problem() != is_problem {
            if is_problem {
                self.problems.insert(object);
            } else {
                self.problems.remove(&object);
            }
            self.problems_dirty = true;
        }
        Ok(Reply::Done)
    }
}
