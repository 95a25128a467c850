//! Entries of log services, and which of them are new since the last reading.

use std::collections::BTreeSet;

use super::{Health, Node};

/// Entries remembered as seen, for one log.
const SEEN_MAX: usize = 4096;

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: String,
    /// As the controller wrote it; its clock may be wrong.
    pub created: String,
    pub severity: Option<Health>,
    pub message: String,
    /// Somebody has declared it done.
    pub is_resolved: bool,
}

impl Entry {
    pub fn read(node: Node<'_>) -> Entry {
        let message = node.any(&["Message", "MessageId", "Name"]).owned();
        Entry {
            id: node.any(&["Id", "@odata.id"]).owned(),
            created: node.any(&["Created", "EventTimestamp"]).owned(),
            severity: node.any(&["Severity", "MessageSeverity"]).text().and_then(Health::parse),
            message: message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect(),
            is_resolved: node.get("Resolved").bool() == Some(true),
        }
    }

    /// FNV-1a over what makes an entry this one: ids are given anew once a log was cleared.
    fn key(&self) -> u64 {
        let bytes = [self.id.as_bytes(), self.created.as_bytes(), self.message.as_bytes()].join(&0xff);
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// What of a log has been seen. The first reading is history.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    seen: BTreeSet<u64>,
    is_begun: bool,
}

impl Journal {
    /// The entries that were not there before. `is_whole`: the log was read to its end.
    pub fn take(&mut self, entries: &[Entry], is_whole: bool) -> Vec<Entry> {
        let keys: BTreeSet<u64> = entries.iter().map(Entry::key).collect();
        let is_new = |entry: &&Entry| self.is_begun && !self.seen.contains(&entry.key());
        let new = entries.iter().filter(is_new).cloned().collect();
        if is_whole || self.seen.len() > SEEN_MAX {
            self.seen = keys;
        } else {
            self.seen.extend(keys);
        }
        self.is_begun = true;
        new
    }
}

/// Whether a log service tells of the hardware, not of who logged in.
pub fn is_of_hardware(id: &str) -> bool {
    let id = id.to_ascii_lowercase();
    ![
        "audit",
        "lclog",
        "lclogs",
        "access",
        "journal",
        "faultlist",
        "dump",
        "postcodes",
        "hostlogger",
        "diagnostic",
        "security",
    ]
    .iter()
    .any(|word| id.contains(word))
}
