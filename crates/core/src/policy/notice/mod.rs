//! Who is told of a host or service in Nagios's way, and why not (specification 03, section 5).
//!
//! Lists of named stages in a fixed order; the first that holds decides, and `explain` shows them all with the same
//! tests. Everything a stage looks at stands in a case, filled in by [`facts`]; nothing here changes anything but the
//! bookkeeping in [`progress`].

pub mod contact;
pub mod dependency;
pub mod explain;
pub mod facts;
pub mod object;
pub mod progress;
pub mod recipients;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::model::NoticeKind;

/// A set of [`NoticeKind`]s.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Kinds(u16);

impl Kinds {
    pub const PROBLEM: Kinds = Kinds::of(NoticeKind::Problem);
    pub const RECOVERY: Kinds = Kinds::of(NoticeKind::Recovery);
    pub const ACKNOWLEDGEMENT: Kinds = Kinds::of(NoticeKind::Acknowledgement);
    pub const CUSTOM: Kinds = Kinds::of(NoticeKind::Custom);
    /// What Nagios calls a normal notification.
    pub const NORMAL: Kinds = Kinds(Kinds::PROBLEM.0 | Kinds::RECOVERY.0);
    pub const FLAPPING: Kinds = Kinds(
        Kinds::of(NoticeKind::FlappingStart).0
            | Kinds::of(NoticeKind::FlappingStop).0
            | Kinds::of(NoticeKind::FlappingDisabled).0,
    );
    pub const DOWNTIME: Kinds = Kinds(
        Kinds::of(NoticeKind::DowntimeStart).0
            | Kinds::of(NoticeKind::DowntimeEnd).0
            | Kinds::of(NoticeKind::DowntimeCancelled).0,
    );
    pub const ALL: Kinds = Kinds(u16::MAX);

    pub const fn of(kind: NoticeKind) -> Kinds {
        Kinds(1 << kind as u16)
    }

    pub const fn has(self, kind: NoticeKind) -> bool {
        self.0 & Kinds::of(kind).0 != 0
    }
}

/// A question that stages answer: about an object, or about one contact.
pub trait Case {
    fn kind(&self) -> NoticeKind;
    /// Passes every stage.
    fn forced(&self) -> bool;
}

/// One test, and the kinds of notices that it is made for. `holds` says why nothing is sent, `None` = go on.
pub struct Stage<C: Case> {
    pub name: &'static str,
    pub of: Kinds,
    pub holds: fn(&C) -> Option<String>,
}

/// The stage that stopped a notice, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hold {
    pub stage: &'static str,
    pub why: String,
}

/// What one stage says of a case.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Passes,
    Holds,
    /// Would hold, but the notice is forced.
    Forced,
}

/// One line of an explanation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    pub stage: &'static str,
    pub decision: Decision,
    /// Why it holds; empty where it does not.
    pub why: String,
}

/// The first stage that holds; `None` = it is sent.
pub fn first_hold<C: Case>(stages: &[Stage<C>], case: &C) -> Option<Hold> {
    if case.forced() {
        return None;
    }
    stages
        .iter()
        .filter(|stage| stage.of.has(case.kind()))
        .find_map(|stage| (stage.holds)(case).map(|why| Hold { stage: stage.name, why }))
}

/// What every stage that is made for this kind says, in order, also after the one that decides.
pub fn steps<C: Case>(stages: &[Stage<C>], case: &C) -> Vec<Step> {
    let made_for = stages.iter().filter(|stage| stage.of.has(case.kind()));
    made_for
        .map(|stage| match (stage.holds)(case) {
            None => Step { stage: stage.name, decision: Decision::Passes, why: String::new() },
            Some(why) if case.forced() => Step { stage: stage.name, decision: Decision::Forced, why },
            Some(why) => Step { stage: stage.name, decision: Decision::Holds, why },
        })
        .collect()
}

/// Whether now lies in a timeperiod, and where not, when it begins again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    pub name: Arc<str>,
    pub inside: bool,
    /// The next instant inside; `None` inside already, or never again.
    pub opens: Option<Timestamp>,
}

impl Window {
    fn holds(&self) -> Option<String> {
        (!self.inside).then(|| format!("outside timeperiod {}", self.name))
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.why)
    }
}
