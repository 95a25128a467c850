//! Messages that say they are a test: same outbox, same channels, no incident behind them.

use std::sync::Arc;

use crate::Timestamp;
use crate::catalog::Catalog;
use crate::diagnosis::{Class, CoreState, Impact, Severity, Target, TargetKind, Verdict, Visibility};
use crate::engine::CommandError;
use crate::model::{Incident, Notification, Phase, Reason};

/// Number of the incident that a test message carries: none has it.
pub const NO_INCIDENT: u64 = 0;

/// What is common to the messages of one test.
pub struct Test<'a> {
    /// `None` = every channel of the contact.
    pub channel: Option<&'a Arc<str>>,
    pub by: &'a Arc<str>,
    pub at: Timestamp,
    pub seq: u64,
}

impl Test<'_> {
    /// One message a channel. `input` is the number of the input that asked, which makes the keys its own.
    ///
    /// # Errors
    /// There is no such contact, or it has no such channel.
    pub fn notifications(
        &self,
        catalog: &Catalog,
        contact: &Arc<str>,
        input: u64,
    ) -> Result<Vec<Notification>, CommandError> {
        let id = catalog.index.contact.get(contact).ok_or_else(|| CommandError::NoContact(Arc::clone(contact)))?;
        let contact = &catalog.contacts[id.index()];
        let wanted = |channel: &Arc<str>| self.channel.is_none_or(|wanted| wanted == channel);
        let sent: Vec<Notification> = contact
            .channels
            .iter()
            .filter(|(channel, _)| wanted(channel))
            .map(|(channel, address)| Notification {
                key: format!("{}/test/{}-{input}/{}/{channel}", catalog.instance, self.at.as_millis(), contact.name)
                    .into(),
                reason: Reason::Test,
                contact: Arc::clone(&contact.name),
                channel: Arc::clone(channel),
                address: Arc::clone(address),
                incident: Arc::new(nothing_wrong(catalog, self.at)),
                seq: self.seq,
                created_at: self.at,
                by: Some(Arc::clone(self.by)),
                comment: None,
            })
            .collect();
        match (sent.is_empty(), self.channel) {
            (false, _) => Ok(sent),
            (true, None) => Err(CommandError::Invalid(format!("contact `{}` has no channel", contact.name))),
            (true, Some(channel)) => {
                let known: Vec<&str> = contact.channels.keys().map(|name| &**name).collect();
                let text =
                    format!("contact `{}` has no channel `{channel}`; it has: {}", contact.name, known.join(", "));
                Err(CommandError::Invalid(text))
            }
        }
    }
}

/// Fills the place of the incident in a message that is about none.
fn nothing_wrong(catalog: &Catalog, at: Timestamp) -> Incident {
    Incident {
        number: NO_INCIDENT,
        phase: Phase::Closed,
        title: "This is a test; nothing is wrong".to_owned(),
        cloud: None,
        site: Some(Arc::clone(&catalog.site)),
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
    }
}
