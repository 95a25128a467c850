//! What one result did to an object: the common ground of those who log, tell and handle it.

use super::input::ResultSource;
use crate::Timestamp;
use crate::snapshot::Row;
use crate::status::Transition;

/// One applied result. The row of the object still shows the result as it is logged and told: a service that recovered
/// while SOFT is OK and SOFT until everything was told, and HARD after that.
#[derive(Copy, Clone, Debug)]
pub struct Change {
    /// The row before the result.
    pub before: Row,
    pub transition: Transition,
    pub source: ResultSource,
    /// The short output differs from that of the result before; told of stalked objects only.
    pub output_changed: bool,
    /// When it came to be, for history: earlier than now where an agent tells what it saw while we were away.
    pub seen_at: Timestamp,
}

/// What happened to the flapping of an object.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum FlapChange {
    /// `percent` of change reached the `threshold`, both in percent.
    Started {
        percent: f32,
        threshold: f32,
    },
    Stopped {
        percent: f32,
        threshold: f32,
    },
    /// Detection was switched off while it was flapping.
    Disabled,
}
