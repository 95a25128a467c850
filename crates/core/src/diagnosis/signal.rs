//! Signals: facts that checks contribute about a host or a component (specification 10, section 2).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Value;
use crate::{Span, Timestamp};

/// One fact, its origin and its age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Host, switch, UPS, resource or site name.
    pub host: Option<Arc<str>>,
    /// Component key on that host (`clc`), where the fact is about one component.
    pub component: Option<Arc<str>>,
    /// `ping`, `port`, `process`, `power`, …
    pub sig: Arc<str>,
    pub value: Value,
    /// Name of the observing site or collector; `None` = this one.
    pub vantage: Option<Arc<str>>,
    /// When the fact was last observed.
    pub observed_at: Timestamp,
    /// When the value last changed (equal to `observed_at` where unknown).
    pub changed_at: Timestamp,
    /// Interval of the check behind it; zero where unknown.
    pub every: Span,
}

impl Signal {
    /// Specification 10, section 2: older than the larger of 180 s and three intervals counts as missing.
    /// `floor` is those 180 s at the configured pace. What is said of a time that far ahead comes from a wrong clock:
    /// it would count for as long as that clock is ahead.
    pub fn is_fresh(&self, at: Timestamp, floor: Span) -> bool {
        let age = at.since(self.observed_at);
        age <= floor.max(self.every * 3) && self.observed_at.since(at) <= floor
    }
}
