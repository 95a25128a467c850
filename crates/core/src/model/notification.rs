//! The engine's intent to tell somebody something; deliveries carry it out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::model::incident::Incident;
use crate::model::notice::{Notice, NoticeKind};
use crate::schedule::stable_hash;

/// Why a notification exists.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A new incident.
    Problem,
    /// It became worse, or its cause was replaced.
    Changed,
    /// Still open and nobody has it.
    Renotify,
    Acknowledgement,
    Recovery,
    /// Sent on request to try a channel.
    Test,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Problem => "problem",
            Reason::Changed => "changed",
            Reason::Renotify => "renotify",
            Reason::Acknowledgement => "acknowledgement",
            Reason::Recovery => "recovery",
            Reason::Test => "test",
        }
    }
}

/// One message to one contact on one channel. `key` is derived, never random, so that a repeat can be recognised
/// (invariant 7): `INSTANCE/INC-17/problem/3/CONTACT/email`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    pub key: Arc<str>,
    pub reason: Reason,
    pub contact: Arc<str>,
    /// Notifier name: `email`, `webhook`.
    pub channel: Arc<str>,
    /// Address on that channel: mail address, URL.
    pub address: Arc<str>,
    /// The incident as it was when the decision fell.
    pub incident: Arc<Incident>,
    /// Journal sequence that caused it.
    pub seq: u64,
    pub created_at: Timestamp,
    /// Who acknowledged, for [`Reason::Acknowledgement`].
    pub by: Option<Arc<str>>,
    pub comment: Option<Arc<str>>,
    /// What is told in Nagios's way instead of an incident; its channel is [`COMMAND_CHANNEL`].
    pub notice: Option<Arc<Notice>>,
}

/// Channel of notices: the contact's own commands.
pub const COMMAND_CHANNEL: &str = "command";

impl Notification {
    /// A notice as a row of the outbox.
    pub fn of_notice(notice: Notice, site: &Arc<str>) -> Notification {
        let reason = match notice.kind {
            NoticeKind::Problem => Reason::Problem,
            NoticeKind::Recovery => Reason::Recovery,
            NoticeKind::Acknowledgement => Reason::Acknowledgement,
            NoticeKind::FlappingStart
            | NoticeKind::FlappingStop
            | NoticeKind::FlappingDisabled
            | NoticeKind::DowntimeStart
            | NoticeKind::DowntimeEnd
            | NoticeKind::DowntimeCancelled
            | NoticeKind::Custom => Reason::Changed,
        };
        let said = |text: &Arc<str>| (!text.is_empty()).then(|| Arc::clone(text));
        Notification {
            key: Arc::clone(&notice.key),
            reason,
            contact: Arc::clone(&notice.contact),
            channel: COMMAND_CHANNEL.into(),
            address: Arc::default(),
            incident: Arc::new(Incident::none(site, notice.created_at)),
            seq: notice.seq,
            created_at: notice.created_at,
            by: said(&notice.author),
            comment: said(&notice.comment),
            notice: Some(Arc::new(notice)),
        }
    }

    /// What messages of one contact on one channel are kept in order by: the incident, or for a notice its object, as a
    /// number below zero.
    pub fn thread_number(&self) -> i64 {
        match &self.notice {
            None => i64::try_from(self.incident.number).unwrap_or(i64::MAX),
            Some(notice) => {
                let hash = stable_hash(&notice.object.host, notice.object.service.as_deref());
                -1 - i64::try_from(hash >> 1).unwrap_or(i64::MAX - 1)
            }
        }
    }
}

/// How a delivery ended; comes back as an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    pub key: Arc<str>,
    pub incident: u64,
    pub contact: Arc<str>,
    pub channel: Arc<str>,
    pub reason: Reason,
    pub outcome: DeliveryOutcome,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// The receiver took it; the text is its receipt.
    Accepted(String),
    /// Given up after the retries; the text is the last error.
    Failed(String),
}

/// A notification that was not sent, and the stage that stopped it (invariant 6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Withheld {
    pub incident: u64,
    pub reason: Reason,
    pub contact: Option<Arc<str>>,
    /// `downtime`, `acknowledged`, `flapping`, `period`, `route`, `duplicate`, …
    pub stage: Arc<str>,
    pub why: String,
    pub at: Timestamp,
}
