//! Incidents: problems with one presumed cause. What a person is paged about, owns and closes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::diagnosis::{Class, CoreState, Impact, Severity, Target, TargetKind, Verdict, Visibility};

#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Open,
    /// The cause is gone, but not for long enough to believe it.
    Recovering,
    Resolved,
    /// Replaced by a wider cause; `root` names it.
    Closed,
}

impl Phase {
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Open => "open",
            Phase::Recovering => "recovering",
            Phase::Resolved => "resolved",
            Phase::Closed => "closed",
        }
    }

    /// Open or recovering: still somebody's work.
    pub const fn is_live(self) -> bool {
        matches!(self, Phase::Open | Phase::Recovering)
    }
}

/// Where a failure stands between its beginning and well, in the words of people; finer than [`Phase`].
#[derive(Copy, Clone, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    #[default]
    Failed,
    /// The passive half of the pair may still take over.
    FailingOver,
    /// It is up, and something is still going on: a start, cold caches, a resync, a rebuild.
    Recovering,
    Well,
    /// It was no failure of its own.
    Merged,
}

impl Stage {
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Failed => "failed",
            Stage::FailingOver => "failing_over",
            Stage::Recovering => "recovering",
            Stage::Well => "well",
            Stage::Merged => "merged",
        }
    }
}

/// Numbers of the incidents that this one has to do with; each link is there both ways.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Links {
    /// The same cause, too long ago to open that incident again.
    pub was: Option<u64>,
    /// The same cause, later.
    pub again: Option<u64>,
    /// It was taken for a part of that one.
    pub split_from: Option<u64>,
    /// These were taken for parts of it.
    pub split_off: Vec<u64>,
    /// These turned out to be the same failure and were closed into it.
    pub merged: Vec<u64>,
}

/// A host (`service` = `None`) or service by name: stable across reloads.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct ObjectKey {
    pub host: Arc<str>,
    pub service: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Spoken as INC-17.
    pub number: u64,
    pub phase: Phase,
    /// What failed and where, at most 60 characters where names allow.
    pub title: String,
    pub cloud: Option<Arc<str>>,
    pub site: Option<Arc<str>>,
    pub zone: Option<Arc<str>>,
    pub verdict: Verdict,
    /// The not-OK hosts and services that belong to it.
    pub problems: Vec<ObjectKey>,
    /// What users notice, from the cell; empty where unknown.
    pub users_notice: String,
    pub owner: Option<Arc<str>>,
    pub ack: Option<Ack>,
    pub opened_at: Timestamp,
    pub changed_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    /// Number of the incident that causes this one.
    pub root: Option<u64>,
    /// Rises with every change that people must be told of; part of the notification key.
    pub generation: u32,
    pub timeline: Vec<TimelineEntry>,
    #[serde(default)]
    pub stage: Stage,
    /// What fails over or recovers still, one sentence each.
    #[serde(default)]
    pub going_on: Vec<String>,
    #[serde(default)]
    pub links: Links,
    /// Business services that it takes down or degrades by itself; once it recovers, those it did.
    #[serde(default)]
    pub business: Vec<Arc<str>>,
}

impl Incident {
    /// Fills the place of the incident in a message that is about none; its number is 0, which no incident has.
    pub fn none(site: &Arc<str>, at: Timestamp) -> Incident {
        Incident {
            number: 0,
            phase: Phase::Closed,
            title: "This is a test; nothing is wrong".to_owned(),
            cloud: None,
            site: Some(Arc::clone(site)),
            zone: None,
            verdict: Verdict {
                target: Target { kind: TargetKind::Site, host: None, component: None },
                class: Class::Unknown,
                subtype: "".into(),
                severity: Severity::Info,
                visibility: Visibility::Invisible,
                impact: Impact::None,
                confidence: 0.0,
                core: CoreState::Unknown,
                cell: None,
                cells: Vec::new(),
                runbook: "none".into(),
                redundancy: None,
                suppressed: Vec::new(),
                evidence: Vec::new(),
                rejected: Vec::new(),
                since: at,
            },
            problems: Vec::new(),
            users_notice: String::new(),
            owner: None,
            ack: None,
            opened_at: at,
            changed_at: at,
            resolved_at: None,
            root: None,
            generation: 0,
            timeline: Vec::new(),
            stage: Stage::Well,
            going_on: Vec::new(),
            links: Links::default(),
            business: Vec::new(),
        }
    }

    pub fn severity(&self) -> Severity {
        self.verdict.severity
    }
}

/// Acknowledgement: a person has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ack {
    pub by: Arc<str>,
    pub comment: Arc<str>,
    pub at: Timestamp,
    /// When it ends by itself; `None` = at recovery.
    pub until: Option<Timestamp>,
    pub sticky: Sticky,
}

/// Sticky acknowledgements last until recovery, normal ones until the state changes.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    Yes,
    No,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimelineKind {
    Opened,
    Changed,
    Effect,
    Acknowledged,
    Unacknowledged,
    Note,
    Paged,
    PageFailed,
    Withheld,
    Recovering,
    Relapsed,
    Resolved,
    Closed,
    /// A fact that speaks for the cause came, changed or went.
    Evidence,
    /// Failing over, recovering, or neither any more.
    Stage,
    /// Another cause turned out to be the one.
    Replaced,
    /// The same cause is back soon after it was well.
    Reopened,
    /// What was taken for a part of it has a cause of its own.
    Split,
    /// Another incident turned out to be the same failure.
    Merged,
    /// Something happened in a run of its runbook.
    Runbook,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    pub at: Timestamp,
    pub kind: TimelineKind,
    /// Who did it; `None` = Stentor.
    pub by: Option<Arc<str>>,
    pub text: String,
}
