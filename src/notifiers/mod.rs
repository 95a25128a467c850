//! Notifiers: one file per channel. Sends one message, says whether trying again makes sense.
//!
//! A new notifier is one file and one line in the registry.

use std::time::Duration;

use async_trait::async_trait;
use stentor_core::model::Notification;

/// What one delivery attempt works on.
#[derive(Clone, Debug)]
pub struct Message {
    pub notification: Notification,
    /// Key of the first notification of the same incident to the same contact on the same channel; equal to
    /// `notification.key` for the first. Threads mails.
    pub thread: String,
    /// `https://stentor.example/` or empty.
    pub url: String,
    /// First runbook steps, already chosen.
    pub steps: Vec<String>,
    pub instance: String,
}

/// Proof that the receiver took it: SMTP answer, HTTP status, request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(pub String);

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Worth another try, not before `retry_after` if given.
    #[error("{message}")]
    Transient { message: String, retry_after: Option<Duration> },
    /// The receiver will never take this message.
    #[error("{message}")]
    Permanent { message: String },
}

#[async_trait]
pub trait Notifier: Send + Sync {
    /// `email`, `webhook`.
    fn channel(&self) -> &'static str;
    /// Sends once; obeys its own configured timeout.
    async fn send(&self, message: &Message) -> Result<Receipt, SendError>;
}
