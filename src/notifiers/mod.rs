//! Notifiers: one file per channel. Sends one message, says whether trying again makes sense.
//!
//! A new notifier is one file and one line in the registry.

pub mod email;
pub mod webhook;
pub mod wording;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
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

/// The configured notifiers by channel.
#[derive(Clone, Default)]
pub struct Notifiers(BTreeMap<&'static str, Arc<dyn Notifier>>);

impl Notifiers {
    /// Adds one; a second of the same channel replaces the first.
    #[must_use]
    pub fn with(mut self, notifier: impl Notifier + 'static) -> Self {
        self.0.insert(notifier.channel(), Arc::new(notifier));
        self
    }

    pub fn get(&self, channel: &str) -> Option<&Arc<dyn Notifier>> {
        self.0.get(channel)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Notifier>> {
        self.0.values()
    }
}

/// Stands in for a channel that contacts name but the configuration does not have.
#[derive(Debug)]
pub struct Unconfigured;

#[async_trait]
impl Notifier for Unconfigured {
    fn channel(&self) -> &'static str {
        "unconfigured"
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let channel = &message.notification.channel;
        let message = format!("no [notifier.{channel}] is configured");
        Err(SendError::Transient { message, retry_after: None })
    }
}

/// A secret read from its file. Neither printed nor logged.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Reads the first line of a file.
    ///
    /// # Errors
    /// The file cannot be read or is empty.
    pub fn read(path: &std::path::Path) -> Result<Secret, SetupError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| SetupError::SecretFile { path: path.display().to_string(), cause })?;
        match text.lines().next().map(str::trim) {
            Some(secret) if !secret.is_empty() => Ok(Secret(secret.to_owned())),
            _ => Err(SetupError::EmptySecret { path: path.display().to_string() }),
        }
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A notifier cannot be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("cannot read the secret file `{path}`")]
    SecretFile {
        path: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("the secret file `{path}` is empty")]
    EmptySecret { path: String },
    #[error("cannot read the certificates in `{path}`: {why}")]
    CaFile { path: String, why: String },
    #[error("`{0}` is not a mail address")]
    Address(String),
    #[error("TLS cannot be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
    #[error("HTTP cannot be set up")]
    Http(#[source] reqwest::Error),
}

/// Longest piece of plugin output or other foreign text in a message.
pub const TEXT_BYTES_MAX: usize = 10 * 1024;

/// Cuts a text at a character and says so.
pub fn cut(text: &str, bytes_max: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= bytes_max {
        return text.into();
    }
    let end = text.floor_char_boundary(bytes_max);
    format!("{} [… {} bytes cut]", text.get(..end).unwrap_or_default(), text.len() - end).into()
}
