//! Events that a service sends to a subscriber (DSP0268, Event).

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{Health, Node, Unreadable, parse};

/// Records of one delivery that are looked at.
pub const RECORDS_MAX: usize = 64;

/// The context token of a host: who knows it speaks for that host's controller and for no other.
pub fn context(secret: &[u8], host: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(b"stentor redfish events\0");
    mac.update(host.as_bytes());
    let mut text = "stentor-".to_owned();
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// One delivery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// What the subscriber gave at subscription, to know its own.
    pub context: String,
    pub records: Vec<Record>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    pub severity: Option<Health>,
    pub message: String,
    pub message_id: String,
    /// The resource that it is about.
    pub origin: Option<String>,
    pub at: String,
}

impl Event {
    /// # Errors
    /// It is no JSON object.
    pub fn parse(body: &[u8]) -> Result<Event, Unreadable> {
        let value: Value = parse(body)?;
        let node = Node::of(&value);
        let records = node.get("Events").items();
        let context = node.get("Context").text().or_else(|| records.iter().find_map(|one| one.get("Context").text()));
        Ok(Event {
            context: context.unwrap_or_default().to_owned(),
            records: records.into_iter().take(RECORDS_MAX).map(Record::read).collect(),
        })
    }

    /// The worst that it tells.
    pub fn worst(&self) -> Option<&Record> {
        self.records.iter().reduce(|worst, one| if one.severity > worst.severity { one } else { worst })
    }
}

impl Record {
    fn read(node: Node<'_>) -> Record {
        let message = node.any(&["Message", "MessageId", "EventType"]).owned();
        Record {
            severity: node.any(&["MessageSeverity", "Severity"]).text().and_then(Health::parse),
            message: message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect(),
            message_id: node.get("MessageId").owned(),
            origin: node.get("OriginOfCondition").link(),
            at: node.get("EventTimestamp").owned(),
        }
    }
}
