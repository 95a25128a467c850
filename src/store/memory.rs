//! A store in memory for tests of what stands above it. Keeps the promises of [`Store`] that such tests rely on.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use stentor_core::Timestamp;
use stentor_core::engine::Event;
use stentor_core::model::Notification;
use stentor_core::runbook::AuditEntry;

use super::anchor::Anchor;
use super::audit::{self, AuditRecord, Chain};
use super::{HistoryQuery, HistoryRow, OutboxEnd, OutboxRow, Session, Store, StoreError, User};

#[derive(Default)]
pub struct MemoryStore {
    all: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    users: BTreeMap<String, User>,
    sessions: BTreeMap<Vec<u8>, Session>,
    history: BTreeMap<(u64, u32), Event>,
    /// Key -> incident; nothing delivers them, so they stay pending.
    outbox: BTreeMap<String, u64>,
    audit: Vec<AuditRecord>,
    /// Every call fails, as if the database were gone.
    gone: bool,
}

impl MemoryStore {
    pub fn set_gone(&self, gone: bool) {
        self.all.lock().unwrap().gone = gone;
    }

    pub fn sessions(&self) -> Vec<Session> {
        self.all.lock().unwrap().sessions.values().cloned().collect()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Tables) -> T) -> Result<T, StoreError> {
        let mut all = self.all.lock().unwrap();
        if all.gone {
            return Err(StoreError { doing: "reach the store in memory".into(), cause: "it was told to fail".into() });
        }
        Ok(work(&mut all))
    }
}

fn not_kept(doing: &str) -> StoreError {
    StoreError { doing: doing.to_owned(), cause: "the store in memory has no outbox and no checkpoints".into() }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit_turn(&self, seq: u64, events: &[Event], sent: &[Notification]) -> Result<(), StoreError> {
        self.with(|all| {
            all.outbox.extend(sent.iter().map(|n| (n.key.to_string(), n.incident.number)));
            for (ordinal, event) in (0..).zip(events) {
                all.history.entry((seq, ordinal)).or_insert_with(|| event.clone());
            }
        })
    }

    async fn save_checkpoint(&self, _: u64, _: Timestamp, _: &[u8]) -> Result<(), StoreError> {
        Err(not_kept("save a checkpoint"))
    }
    async fn latest_checkpoint(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        Ok(None)
    }

    async fn outbox_due(&self, _: Timestamp, _: u32) -> Result<Vec<OutboxRow>, StoreError> {
        Ok(Vec::new())
    }
    async fn outbox_due_on(&self, _: &str, _: Timestamp, _: u32) -> Result<Vec<OutboxRow>, StoreError> {
        Ok(Vec::new())
    }
    async fn outbox_pending(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        Ok(Vec::new())
    }
    async fn prune_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.with(|all| {
            let count = all.sessions.len();
            all.sessions.retain(|_, session| session.expires_at.is_none_or(|end| end > now));
            (count - all.sessions.len()) as u64
        })
    }
    async fn outbox_sent(&self, _: &str, _: Timestamp, _: &str) -> Result<(), StoreError> {
        Err(not_kept("mark a notification sent"))
    }
    async fn outbox_retry(&self, _: &str, _: Timestamp, _: &str) -> Result<(), StoreError> {
        Err(not_kept("put a notification off"))
    }
    async fn outbox_failed(&self, _: &str, _: Timestamp, _: &str) -> Result<(), StoreError> {
        Err(not_kept("mark a notification failed"))
    }
    async fn outbox_keys(&self, incident: Option<u64>) -> Result<Vec<(String, String)>, StoreError> {
        self.with(|all| {
            let rows = all.outbox.iter().filter(|(_, number)| incident.is_none_or(|wanted| wanted == **number));
            rows.map(|(key, _)| (key.clone(), "pending".to_owned())).collect()
        })
    }
    async fn outbox_end(&self, _: &str) -> Result<Option<OutboxEnd>, StoreError> {
        Ok(None)
    }
    async fn outbox_undelivered_outcomes(&self) -> Result<Vec<OutboxEnd>, StoreError> {
        Ok(Vec::new())
    }
    async fn outbox_outcome_told(&self, _: &str) -> Result<(), StoreError> {
        Err(not_kept("mark an outcome told"))
    }

    async fn append_audit(&self, _: u64, entries: &[AuditEntry]) -> Result<(), StoreError> {
        self.with(|all| {
            for entry in entries {
                let number = all.audit.len() as u64 + 1;
                let previous = all.audit.last().map_or(audit::GENESIS, |record| record.hash);
                let hash = audit::hash_of(number, &previous, entry);
                all.audit.push(AuditRecord { number, entry: entry.clone(), previous, hash });
            }
        })
    }
    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.with(|all| {
            let records = all.audit.iter().filter(|record| record.number > after);
            records.take(limit as usize).cloned().collect()
        })
    }

    async fn audit_head(&self) -> Result<Chain, StoreError> {
        self.with(|all| {
            let newest = all.audit.last();
            newest.map_or_else(Chain::default, |record| Chain { newest: record.number, hash: record.hash })
        })
    }
    fn audit_anchor(&self) -> Option<&Anchor> {
        None
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>, StoreError> {
        let wanted = |key: (u64, u32), event: &Event| {
            let object = event.object.as_ref();
            query.before.is_none_or(|before| key < before)
                && (!query.availability || event.kind.is_of_availability())
                && query.since.is_none_or(|since| event.at >= since)
                && query.incident.is_none_or(|number| event.incident == Some(number))
                && query.host.as_deref().is_none_or(|host| object.is_some_and(|key| &*key.host == host))
                && (query.service.as_deref())
                    .is_none_or(|service| object.is_some_and(|key| key.service.as_deref() == Some(service)))
        };
        self.with(|all| {
            let rows = all.history.iter().rev().filter(|(key, event)| wanted(**key, event));
            let rows =
                rows.map(|((seq, ordinal), event)| HistoryRow { seq: *seq, ordinal: *ordinal, event: event.clone() });
            rows.take(query.limit as usize).collect()
        })
    }
    async fn prune_history(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.with(|all| {
            let count = all.history.len();
            all.history.retain(|_, event| event.at >= before);
            (count - all.history.len()) as u64
        })
    }

    async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.with(|all| all.users.get(name).cloned())
    }
    async fn put_user(&self, user: &User) -> Result<(), StoreError> {
        self.with(|all| {
            all.users.insert(user.name.clone(), user.clone());
        })
    }
    async fn user_count(&self) -> Result<u64, StoreError> {
        self.with(|all| all.users.len() as u64)
    }
    async fn session(&self, secret_sha256: &[u8]) -> Result<Option<Session>, StoreError> {
        self.with(|all| all.sessions.get(secret_sha256).cloned())
    }
    async fn put_session(&self, session: &Session) -> Result<(), StoreError> {
        self.with(|all| {
            all.sessions.insert(session.secret_sha256.clone(), session.clone());
        })
    }
    async fn delete_session(&self, secret_sha256: &[u8]) -> Result<(), StoreError> {
        self.with(|all| {
            all.sessions.remove(secret_sha256);
        })
    }

    async fn backup(&self, _: &std::path::Path) -> Result<(), StoreError> {
        Err(not_kept("back up"))
    }
}
