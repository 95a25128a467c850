//! One record of the audit: who asked for what in which run, and whether it was done or refused. The store chains them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub who: Arc<str>,
    /// `start`, `begin`, `approve`, …
    pub action: Arc<str>,
    pub run: Option<u64>,
    pub incident: Option<u64>,
    pub runbook: Arc<str>,
    pub step: Option<u16>,
    pub target: Arc<str>,
    pub done: bool,
    /// What was done, or why not.
    pub text: Arc<str>,
}

impl AuditEntry {
    /// The bytes that are hashed: every field with its length before it, so that no two records share them.
    pub fn canonical(&self) -> Vec<u8> {
        let number = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        let (at, done) = (self.at.as_millis().to_string(), if self.done { "done" } else { "refused" });
        let (run, incident, step) = (number(self.run), number(self.incident), number(self.step.map(u64::from)));
        let fields =
            [&*at, &self.who, &self.action, &run, &incident, &self.runbook, &step, &self.target, done, &self.text];
        let mut bytes = Vec::new();
        for field in fields {
            bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
            bytes.extend_from_slice(field.as_bytes());
        }
        bytes
    }
}
