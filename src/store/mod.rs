//! SQL: history, outbox, checkpoints, users. One trait, two back ends (SQLite, PostgreSQL), one conformance suite.

pub mod anchor;
pub mod audit;
pub mod postgres;
mod rows;
pub mod sqlite;
pub mod statements;

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
pub mod memory;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use stentor_core::Timestamp;
use stentor_core::engine::Event;
use stentor_core::model::Notification;
use stentor_core::runbook::AuditEntry;

use crate::sql::{Cause, Fault, fault_of};
use anchor::Anchor;
use audit::{AuditRecord, Chain};

/// A store operation failed; the text says what was being done to which database.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}")]
pub struct StoreError {
    pub doing: String,
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    pub(crate) fn new(doing: impl Into<String>, cause: impl Into<Cause>) -> Self {
        StoreError { doing: doing.into(), cause: cause.into() }
    }

    /// What is wrong, in the few kinds that lead to different actions.
    pub fn fault(&self) -> Fault {
        fault_of(&*self.cause)
    }
}

/// What a `[storage] url` may be.
#[derive(Debug, thiserror::Error)]
#[error("`{scheme}` is no database Stentor knows; write `sqlite:PATH` or `postgres://USER@HOST/DATABASE`")]
pub struct UnknownDatabase {
    scheme: String,
}

/// Opens the store that `url` names and brings its schema up to date. A relative SQLite path starts at `base_dir`. Who writes
/// the audit gives the place of its anchor.
///
/// # Errors
/// The URL is unknown, or the database cannot be opened; `fault()` tells why.
pub async fn open(url: &str, base_dir: &Path, anchor: Option<Anchor>) -> Result<SharedStore, StoreError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let store = sqlite::SqliteStore::open(&base_dir.join(path)).await?;
        return Ok(Arc::new(match anchor {
            Some(anchor) => store.anchored(anchor),
            None => store,
        }));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        let store = postgres::PostgresStore::open(url).await?;
        return Ok(Arc::new(match anchor {
            Some(anchor) => store.anchored(anchor),
            None => store,
        }));
    }
    // Only the scheme: the rest may hold a password.
    let scheme = url.split(':').next().unwrap_or_default().to_owned();
    Err(StoreError::new("open the store", Box::new(UnknownDatabase { scheme }) as Cause))
}

/// One row of the outbox, due now.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    pub notification: Notification,
    /// Key that opened the thread: the earliest key of this incident, contact and channel.
    pub thread: String,
    /// Attempts made before this one.
    pub attempts: u32,
}

/// An event as history keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    pub seq: u64,
    /// Position within the turn.
    pub ordinal: u32,
    pub event: Event,
}

#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    pub host: Option<String>,
    pub service: Option<String>,
    pub incident: Option<u64>,
    pub since: Option<Timestamp>,
    /// Only changes of Cores and business services, and times in which nobody looked.
    pub availability: bool,
    /// Rows before this (seq, ordinal), newest first: keyset paging.
    pub before: Option<(u64, u32)>,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    /// PHC string (argon2id).
    pub password_hash: String,
    /// `admin`, `operator`, `viewer`.
    pub role: String,
}

/// A login session or an API token, both stored as SHA-256 of the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub secret_sha256: Vec<u8>,
    pub user: String,
    pub kind: SessionKind,
    /// Token of forms of this session.
    pub csrf: String,
    pub created_at: Timestamp,
    /// `None` = does not expire (tokens).
    pub expires_at: Option<Timestamp>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SessionKind {
    Login,
    Token,
    Agent,
}

#[async_trait]
pub trait Store: Send + Sync {
    /// One transaction: outbox rows (a known key is left alone) and history (a known (seq, ordinal) is left alone),
    /// so that a turn that is done again after a crash changes nothing.
    async fn commit_turn(&self, seq: u64, events: &[Event], notifications: &[Notification]) -> Result<(), StoreError>;

    /// Keeps the newest few.
    async fn save_checkpoint(&self, seq: u64, at: Timestamp, state: &[u8]) -> Result<(), StoreError>;
    async fn latest_checkpoint(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError>;

    /// Rows that are due on any channel, oldest first; they stay until marked. A row waits while an earlier one of the
    /// same incident, contact and channel is pending: a recovery never arrives before its problem.
    async fn outbox_due(&self, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>, StoreError>;
    /// The same on one channel, so that a channel that is down cannot hide the rows of the others.
    async fn outbox_due_on(&self, channel: &str, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>, StoreError>;
    /// Per channel with pending rows, when the first of them is due.
    async fn outbox_pending(&self) -> Result<Vec<(String, Timestamp)>, StoreError>;
    async fn outbox_sent(&self, key: &str, at: Timestamp, receipt: &str) -> Result<(), StoreError>;
    async fn outbox_retry(&self, key: &str, due: Timestamp, error: &str) -> Result<(), StoreError>;
    async fn outbox_failed(&self, key: &str, at: Timestamp, error: &str) -> Result<(), StoreError>;
    /// All keys with their outcome (`pending`, `sent`, `failed`), for tests and the page.
    async fn outbox_keys(&self, incident: Option<u64>) -> Result<Vec<(String, String)>, StoreError>;
    /// How a row ended; `None` while it is pending, or if there is none of that key.
    async fn outbox_end(&self, key: &str) -> Result<Option<OutboxEnd>, StoreError>;
    /// Keys whose end (sent or failed) is recorded but may not have reached the engine before a crash.
    async fn outbox_undelivered_outcomes(&self) -> Result<Vec<OutboxEnd>, StoreError>;
    async fn outbox_outcome_told(&self, key: &str) -> Result<(), StoreError>;

    /// Appends what one turn adds to the audit, each to the chain of those before it. Entries of that turn that are there
    /// are left alone, so that a turn that is done again changes nothing.
    async fn append_audit(&self, seq: u64, entries: &[AuditEntry]) -> Result<(), StoreError>;
    /// Records after that number, oldest first.
    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;
    /// The newest record, as the end of a chain.
    async fn audit_head(&self) -> Result<Chain, StoreError>;
    /// What the end of the audit is told by; `None` = nobody anchors this one.
    fn audit_anchor(&self) -> Option<&Anchor>;

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>, StoreError>;
    /// Deletes history older than `before`, and outbox rows that ended before it; returns how many rows of history.
    async fn prune_history(&self, before: Timestamp) -> Result<u64, StoreError>;

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError>;
    async fn put_user(&self, user: &User) -> Result<(), StoreError>;
    async fn user_count(&self) -> Result<u64, StoreError>;
    async fn session(&self, secret_sha256: &[u8]) -> Result<Option<Session>, StoreError>;
    async fn put_session(&self, session: &Session) -> Result<(), StoreError>;
    async fn delete_session(&self, secret_sha256: &[u8]) -> Result<(), StoreError>;

    /// Deletes sessions that ended before `now`; returns how many.
    async fn prune_sessions(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// A consistent copy of the database into a file (SQLite) or a refusal that names pg_dump.
    async fn backup(&self, to: &std::path::Path) -> Result<(), StoreError>;
}

/// The end of an outbox row.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEnd {
    pub notification: Notification,
    pub sent: bool,
    pub text: String,
}

pub type SharedStore = Arc<dyn Store>;
