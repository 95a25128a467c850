//! Messages that say they are a test: same outbox, same channels, no incident behind them.

use std::sync::Arc;

use crate::Timestamp;
use crate::catalog::Catalog;
use crate::engine::CommandError;
use crate::model::{Incident, Notification, Reason};

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
                incident: Arc::new(Incident::none(&catalog.site, self.at)),
                seq: self.seq,
                created_at: self.at,
                by: Some(Arc::clone(self.by)),
                comment: None,
                notice: None,
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
