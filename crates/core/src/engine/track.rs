//! What Nagios remembers of an object beyond its row: history of flapping, notifications, what was changed at run time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::catalog::nagios::{CommandCall, Options, Switches};
use crate::id::TimeperiodId;
use crate::snapshot::Row;
use crate::status::flapping::FlapHistory;

/// One object of a Nagios tree; parallel to its row. Objects of Stentor's own configuration have none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// State code of the result before the newest one (`$LASTSERVICESTATE$`).
    pub last_state: u8,
    /// When it was last seen in each state that it has left, by code; zero = never. See [`Track::seen_in`].
    pub last_time_in: [Timestamp; 4],
    /// `$SERVICEEVENTID$`, `$LASTSERVICEEVENTID$`, `$SERVICEPROBLEMID$`, `$LASTSERVICEPROBLEMID$`; 0 = none.
    pub event_id: u64,
    pub last_event_id: u64,
    pub problem_id: u64,
    pub last_problem_id: u64,
    /// The host was not UP when the problem was last seen (specification 03, 2.2).
    pub host_was_down: bool,
    pub flap: FlapHistory,
    /// When a check was last forced because its results were stale; zero = never.
    pub freshened_at: Timestamp,
    pub notice: NoticeState,
    pub overrides: Option<Box<Overrides>>,
}

impl Track {
    /// When the object was last seen in the state of that code; zero = never. Of the present state only its row knows,
    /// so that a result that changes nothing changes no track.
    pub fn seen_in(&self, row: &Row, code: u8) -> Timestamp {
        if row.state == code && !row.is_pending() {
            return row.last_check;
        }
        self.last_time_in.get(usize::from(code)).copied().unwrap_or(Timestamp::ZERO)
    }
}

/// Newest ids of each kind that were given away; 0 = none yet.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Ids {
    pub event: u64,
    pub problem: u64,
    pub notification: u64,
    pub comment: u64,
}

/// What was told about the present problem (specification 03, section 5).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoticeState {
    /// Problem notifications so far; 0 after the recovery is handled.
    pub number: u32,
    /// Id of the newest notification; 0 = none.
    pub id: u64,
    /// When the last problem notification went out; zero = not since the last state change.
    pub last: Timestamp,
    /// Not before; zero = at once.
    pub next: Timestamp,
    /// States notified about since the problem began.
    pub notified_on: Options,
    /// An interval of 0: silent until the state changes.
    pub no_more: bool,
    /// Flapping hid a recovery that must be told when it ends.
    pub recovery_after_flapping: bool,
    /// Comment that says it is flapping; 0 = none.
    pub flapping_comment: u64,
    /// Recipients of the newest problem notification: the recovery goes to them (decision 09).
    pub told: Vec<Arc<str>>,
}

/// Directives changed by an external command; the bit of `modified_attributes` says which (specification 03, 11).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overrides {
    pub modified_attributes: u32,
    pub switches: Option<Switches>,
    pub check_period: Option<Option<TimeperiodId>>,
    pub notification_period: Option<Option<TimeperiodId>>,
    pub event_handler_period: Option<Option<TimeperiodId>>,
    pub event_handler: Option<Option<CommandCall>>,
    pub check_command: Option<CommandCall>,
    /// In units of `interval_length`.
    pub check_interval: Option<f64>,
    pub retry_interval: Option<f64>,
    pub max_attempts: Option<u16>,
    pub vars: BTreeMap<Arc<str>, Arc<str>>,
}
