//! Planned windows in which nobody is told of problems (specification 03, section 8).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::incident::ObjectKey;
use crate::{Span, Timestamp};

/// A flexible window that nothing started is kept this long past its end, as Nagios does: a result of the last second
/// may still be on its way.
const UNUSED_KEPT: Span = Span::from_secs(1);

/// A planned window on a host, a service or everything on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Downtime {
    pub id: u64,
    pub target: ObjectKey,
    /// A host downtime may cover the host's services too.
    pub covers: Covers,
    pub kind: DowntimeKind,
    /// Starts with that downtime instead of by its own times, and ends with it.
    pub triggered_by: Option<u64>,
    pub start: Timestamp,
    pub end: Timestamp,
    pub author: Arc<str>,
    pub comment: Arc<str>,
    pub entered_at: Timestamp,
    /// True from its start to its end, once the engine has raised the depth.
    pub active: bool,
    /// When it became active; `None` before that.
    pub started_at: Option<Timestamp>,
    /// The comment on the target that announces it; 0 = none.
    pub comment_id: u64,
    /// Name of the recurring downtime that it is an occurrence of.
    pub recurring: Option<Arc<str>>,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DowntimeKind {
    /// From its start to its end.
    Fixed,
    /// Starts when the target fails between start and end, and lasts `duration` from then.
    Flexible { duration: Span },
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Covers {
    ObjectOnly,
    HostAndServices,
}

impl Downtime {
    pub const fn is_fixed(&self) -> bool {
        matches!(self.kind, DowntimeKind::Fixed)
    }

    /// How long it lasts once it has started.
    pub fn length(&self) -> Span {
        match self.kind {
            DowntimeKind::Fixed => self.end.since(self.start),
            DowntimeKind::Flexible { duration } => duration,
        }
    }

    /// When it ends if nothing happens: a flexible one that runs counts from its start, one that waits for a failure
    /// ends with its window.
    pub fn until(&self) -> Timestamp {
        match (self.kind, self.started_at) {
            (DowntimeKind::Flexible { duration }, Some(started)) => started + duration,
            (DowntimeKind::Flexible { .. }, None) | (DowntimeKind::Fixed, _) => self.end,
        }
    }

    /// Whether its time has come at `at`. `failed`: the target is not OK (not UP) now, soft or hard.
    /// A triggered one starts with its trigger, whatever its own times say.
    pub fn may_start(&self, at: Timestamp, failed: bool) -> bool {
        let inside = self.start <= at && at < self.end;
        !self.active
            && self.triggered_by.is_none()
            && match self.kind {
                DowntimeKind::Fixed => inside,
                DowntimeKind::Flexible { .. } => inside && failed,
            }
    }

    /// Whether it is to be removed at `at`: run out, or never started.
    pub fn is_over(&self, at: Timestamp) -> bool {
        at >= self.over_at()
    }

    /// The instant at which [`Downtime::is_over`] becomes true by itself.
    pub fn over_at(&self) -> Timestamp {
        let waits = !self.active && (self.triggered_by.is_some() || !self.is_fixed());
        if waits { self.end + UNUSED_KEPT } else { self.until() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kind: DowntimeKind, triggered_by: Option<u64>) -> Downtime {
        Downtime {
            id: 1,
            target: ObjectKey { host: "h".into(), service: None },
            covers: Covers::ObjectOnly,
            kind,
            triggered_by,
            start: Timestamp::from_secs(100),
            end: Timestamp::from_secs(200),
            author: "a".into(),
            comment: "c".into(),
            entered_at: Timestamp::ZERO,
            active: false,
            started_at: None,
            comment_id: 0,
            recurring: None,
        }
    }

    const FLEXIBLE: DowntimeKind = DowntimeKind::Flexible { duration: Span::from_secs(500) };

    #[test]
    fn when_a_window_starts() {
        let table = [
            ("fixed before", DowntimeKind::Fixed, None, 99, true, false),
            ("fixed at its start", DowntimeKind::Fixed, None, 100, false, true),
            ("fixed in its last second", DowntimeKind::Fixed, None, 199, false, true),
            ("fixed at its end", DowntimeKind::Fixed, None, 200, true, false),
            ("flexible without failure", FLEXIBLE, None, 150, false, false),
            ("flexible with failure", FLEXIBLE, None, 150, true, true),
            ("flexible already failed at its start", FLEXIBLE, None, 100, true, true),
            ("flexible failed too late", FLEXIBLE, None, 200, true, false),
            ("triggered waits for its trigger", DowntimeKind::Fixed, Some(9), 150, true, false),
        ];
        for (name, kind, triggered_by, at, failed, starts) in table {
            assert_eq!(window(kind, triggered_by).may_start(Timestamp::from_secs(at), failed), starts, "{name}");
        }
    }

    #[test]
    fn when_a_window_is_over() {
        let mut running = window(FLEXIBLE, None);
        running.active = true;
        running.started_at = Some(Timestamp::from_secs(190));
        for (name, downtime, over_at) in [
            ("fixed", window(DowntimeKind::Fixed, None), 200),
            ("flexible that nothing started", window(FLEXIBLE, None), 201),
            ("triggered whose trigger never came", window(DowntimeKind::Fixed, Some(9)), 201),
            ("flexible that runs past its window", running, 690),
        ] {
            assert!(!downtime.is_over(Timestamp::from_secs(over_at - 1)), "{name} is over too early");
            assert!(downtime.is_over(Timestamp::from_secs(over_at)), "{name} is not over at {over_at}");
        }
    }
}
