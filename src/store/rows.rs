//! The store over sqlx, written once: both databases speak the same statements and differ only in how they are opened.

use std::borrow::Cow;
use std::sync::Arc;

use stentor_core::Timestamp;
use stentor_core::engine::{Event, EventKind};
use stentor_core::model::{Notification, ObjectKey};

use super::{HistoryQuery, HistoryRow, OutboxEnd, OutboxRow, Session, SessionKind, statements};
use crate::sql::Cause;

/// Checkpoints kept: a damaged one falls back to the one before.
pub const CHECKPOINTS_KEPT: i64 = 3;
/// Rows per INSERT: 500 rows of 8 values stay far below SQLite's 32,766 and PostgreSQL's 65,535 parameters.
pub const HISTORY_CHUNK: usize = 500;

/// A row as [`statements::OUTBOX_DUE`] gives it: key, thread, attempts, body.
pub type DueColumns = (String, String, i64, String);
/// Key, outcome, answer, body.
pub type UntoldColumns = (String, String, String, String);
pub type HistoryColumns = (i64, i64, i64, String, Option<String>, Option<String>, Option<i64>, String);
pub type SessionColumns = (Vec<u8>, String, String, String, i64, Option<i64>);

/// A row that this program cannot read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error("checkpoints are there, but none of them is whole")]
    NoWholeCheckpoint,
    #[error("the session has the unknown kind `{0}`")]
    SessionKind(String),
    #[error("history row {seq}/{ordinal} has the unknown kind `{kind}`")]
    EventKind { seq: i64, ordinal: i64, kind: String },
    #[error("audit record {number} cannot be read: {why}")]
    Audit { number: i64, why: String },
}

/// PostgreSQL keeps no NUL in text, and a plugin that prints one must not stop all paging.
pub fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

pub fn body_of(notification: &Notification) -> Result<String, Cause> {
    Ok(serde_json::to_string(notification)?)
}

/// Rows that can be read, and the keys of those that cannot (with why): one bad row must not stop the others.
pub fn due_rows(columns: Vec<DueColumns>) -> (Vec<OutboxRow>, Vec<(String, String)>) {
    let (mut rows, mut unreadable) = (Vec::with_capacity(columns.len()), Vec::new());
    for (key, thread, attempts, body) in columns {
        match serde_json::from_str(&body) {
            Ok(notification) => {
                rows.push(OutboxRow { notification, thread, attempts: u32::try_from(attempts).unwrap_or(u32::MAX) });
            }
            Err(error) => unreadable.push((key, format!("the outbox row cannot be read: {error}"))),
        }
    }
    (rows, unreadable)
}

pub fn ends(columns: Vec<UntoldColumns>) -> (Vec<OutboxEnd>, Vec<(String, String)>) {
    let (mut ends, mut unreadable) = (Vec::with_capacity(columns.len()), Vec::new());
    for (key, outcome, text, body) in columns {
        match serde_json::from_str(&body) {
            Ok(notification) => ends.push(OutboxEnd { notification, sent: outcome == "sent", text }),
            Err(error) => unreadable.push((key, error.to_string())),
        }
    }
    (ends, unreadable)
}

pub fn history_rows(columns: Vec<HistoryColumns>) -> Result<Vec<HistoryRow>, RowError> {
    columns.into_iter().map(history_row).collect()
}

fn history_row(
    (seq, ordinal, at, kind, host, service, incident, text): HistoryColumns,
) -> Result<HistoryRow, RowError> {
    let kind: EventKind = serde_json::from_value(serde_json::Value::String(kind.clone()))
        .map_err(|_| RowError::EventKind { seq, ordinal, kind })?;
    let object = host.map(|host| ObjectKey { host: host.into(), service: service.map(Arc::from) });
    let incident = incident.map(i64::cast_unsigned);
    let event = Event { at: Timestamp::from_millis(at), kind, object, incident, text };
    Ok(HistoryRow { seq: seq.cast_unsigned(), ordinal: u32::try_from(ordinal).unwrap_or(u32::MAX), event })
}

/// The statement whose first condition has an index.
pub fn history_statement(query: &HistoryQuery) -> &'static str {
    if query.availability {
        return statements::HISTORY_OF_AVAILABILITY;
    }
    match (&query.incident, &query.host, &query.service) {
        (Some(_), _, _) => statements::HISTORY_OF_INCIDENT,
        (None, Some(_), Some(_)) => statements::HISTORY_OF_SERVICE,
        (None, Some(_), None) => statements::HISTORY_OF_HOST,
        (None, None, _) => statements::HISTORY_OF_ALL,
    }
}

pub const fn kind_word(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Login => "login",
        SessionKind::Token => "token",
        SessionKind::Agent => "agent",
    }
}

pub fn session_row(columns: SessionColumns) -> Result<Session, RowError> {
    let (secret_sha256, user, kind, csrf, created_at, expires_at) = columns;
    let kind = match kind.as_str() {
        "login" => SessionKind::Login,
        "token" => SessionKind::Token,
        "agent" => SessionKind::Agent,
        _ => return Err(RowError::SessionKind(kind)),
    };
    Ok(Session {
        secret_sha256,
        user,
        kind,
        csrf,
        created_at: Timestamp::from_millis(created_at),
        expires_at: expires_at.map(Timestamp::from_millis),
    })
}

/// Implements [`super::Store`] for `$store { writer, reader }` over the sqlx database `$db`. A macro and not a generic
/// function: sqlx's bounds for "any database with these types" are longer than the code.
macro_rules! sql_store {
    ($store:ty, $db:ty, $begin:literal) => {
        impl $store {
            async fn end(&self, key: &str, outcome: &'static str, at: Timestamp, answer: &str) -> Result<(), StoreError> {
                let query = sqlx::query(statements::OUTBOX_END).bind(key).bind(outcome).bind(at.as_millis());
                let done = within(query.bind(rows::storable(answer)).execute(&self.writer)).await;
                done.map(drop).map_err(|cause| StoreError::new(format!("record that `{key}` is {outcome}"), cause))
            }

            async fn readable(
                &self,
                columns: Vec<rows::DueColumns>,
                now: Timestamp,
            ) -> Result<Vec<OutboxRow>, StoreError> {
                let (rows, unreadable) = rows::due_rows(columns);
                for (key, why) in unreadable {
                    tracing::error!(notification.key = %key, "notification `{key}` cannot be sent: {why}");
                    self.end(&key, "failed", now, &why).await?;
                    self.outbox_outcome_told(&key).await?;
                }
                Ok(rows)
            }

            async fn insert_turn(
                &self,
                seq: i64,
                events: &[Event],
                notifications: &[Notification],
            ) -> Result<(), Cause> {
                let bodies = notifications.iter().map(rows::body_of).collect::<Result<Vec<_>, _>>()?;
                within(async {
                    let mut guarded = Guarded::new(self.writer.acquire().await?);
                    let mut transaction = guarded.connection().begin_with($begin).await?;
                    for (ordinal, (notification, body)) in (0i64..).zip(notifications.iter().zip(&bodies)) {
                        sqlx::query(statements::OUTBOX_ADD)
                            .bind(&*notification.key)
                            .bind(notification.thread_number())
                            .bind(&*notification.contact)
                            .bind(&*notification.channel)
                            .bind(notification.reason.as_str())
                            .bind(notification.seq.cast_signed())
                            .bind(ordinal)
                            .bind(notification.created_at.as_millis())
                            .bind(body)
                            .execute(&mut *transaction)
                            .await?;
                    }
                    let numbered: Vec<(i64, &Event)> = (0i64..).zip(events).collect();
                    for chunk in numbered.chunks(rows::HISTORY_CHUNK) {
                        let mut insert = sqlx::QueryBuilder::<$db>::new(statements::HISTORY_ADD);
                        insert.push_values(chunk, |mut row, (ordinal, event)| {
                            let object = event.object.as_ref();
                            let service = object.and_then(|key| key.service.as_deref());
                            row.push_bind(seq).push_bind(*ordinal).push_bind(event.at.as_millis());
                            row.push_bind(event.kind.as_str());
                            row.push_bind(object.map(|key| rows::storable(&key.host).into_owned()));
                            row.push_bind(service.map(|name| rows::storable(name).into_owned()));
                            row.push_bind(event.incident.map(u64::cast_signed));
                            row.push_bind(rows::storable(&event.text).into_owned());
                        });
                        insert.push(statements::HISTORY_ADD_END);
                        insert.build().execute(&mut *transaction).await?;
                    }
                    transaction.commit().await?;
                    guarded.keep();
                    Ok(())
                })
                .await
            }
        }

        impl $store {
            /// The head of the chain before and after.
            async fn insert_audit(&self, seq: u64, entries: &[AuditEntry]) -> Result<(Chain, Chain), Cause> {
                let bodies = entries.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
                within(async {
                    let mut guarded = Guarded::new(self.writer.acquire().await?);
                    let mut transaction = guarded.connection().begin_with($begin).await?;
                    let newest: Option<audit::HeadColumns> =
                        sqlx::query_as(statements::AUDIT_NEWEST).fetch_optional(&mut *transaction).await?;
                    let before = audit::head(newest);
                    let mut after = before.clone();
                    for (ordinal, (entry, body)) in (0u32..).zip(entries.iter().zip(&bodies)) {
                        let token = audit::token_of(seq, ordinal, entry);
                        let known: Option<(i64,)> = sqlx::query_as(statements::AUDIT_KNOWN)
                            .bind(token.as_slice())
                            .fetch_optional(&mut *transaction)
                            .await?;
                        if known.is_some() {
                            continue;
                        }
                        let number = after.newest + 1;
                        let hash = audit::hash_of(number, &after.hash, entry);
                        sqlx::query(statements::AUDIT_ADD)
                            .bind(number.cast_signed())
                            .bind(token.as_slice())
                            .bind(entry.at.as_millis())
                            .bind(body)
                            .bind(after.hash.as_slice())
                            .bind(hash.as_slice())
                            .execute(&mut *transaction)
                            .await?;
                        after = Chain { newest: number, hash };
                    }
                    transaction.commit().await?;
                    guarded.keep();
                    Ok((before, after))
                })
                .await
            }
        }

        #[async_trait]
        impl Store for $store {
            async fn append_audit(&self, seq: u64, entries: &[AuditEntry]) -> Result<(), StoreError> {
                if entries.is_empty() {
                    return Ok(());
                }
                let done = self.insert_audit(seq, entries).await;
                let (before, after) =
                    done.map_err(|cause| StoreError::new(format!("write the audit of turn {seq}"), cause))?;
                if let Some(anchor) = self.anchor.as_ref().filter(|_| before != after) {
                    anchor.follow(&before, &after).await;
                }
                Ok(())
            }

            async fn audit_head(&self) -> Result<Chain, StoreError> {
                let query = sqlx::query_as(statements::AUDIT_NEWEST);
                let newest: Option<audit::HeadColumns> = within(query.fetch_optional(&self.reader))
                    .await
                    .map_err(|cause| StoreError::new("read the newest record of the audit", cause))?;
                Ok(audit::head(newest))
            }

            fn audit_anchor(&self) -> Option<&Anchor> {
                self.anchor.as_ref()
            }

            async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
                let failed = |cause: Cause| StoreError::new("read the audit", cause);
                let query = sqlx::query_as(statements::AUDIT).bind(after.cast_signed()).bind(i64::from(limit));
                let columns: Vec<audit::AuditColumns> =
                    within(query.fetch_all(&self.reader)).await.map_err(failed)?;
                let records: Result<_, _> = columns.into_iter().map(audit::record).collect();
                records.map_err(|error: rows::RowError| failed(error.into()))
            }

            async fn commit_turn(
                &self,
                seq: u64,
                events: &[Event],
                notifications: &[Notification],
            ) -> Result<(), StoreError> {
                if events.is_empty() && notifications.is_empty() {
                    return Ok(());
                }
                let done = self.insert_turn(seq.cast_signed(), events, notifications).await;
                done.map_err(|cause| StoreError::new(format!("write history and outbox of turn {seq}"), cause))
            }

            async fn save_checkpoint(&self, seq: u64, at: Timestamp, state: &[u8]) -> Result<(), StoreError> {
                let sum = checksum(seq, at, state);
                let query = sqlx::query(statements::CHECKPOINT_ADD).bind(seq.cast_signed()).bind(at.as_millis());
                let saved = within(async {
                    let mut guarded = Guarded::new(self.writer.acquire().await?);
                    let mut transaction = guarded.connection().begin_with($begin).await?;
                    query.bind(state).bind(sum.as_slice()).execute(&mut *transaction).await?;
                    let prune = sqlx::query(statements::CHECKPOINT_PRUNE).bind(rows::CHECKPOINTS_KEPT);
                    prune.execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    guarded.keep();
                    Ok(())
                });
                saved.await.map_err(|cause| StoreError::new(format!("save the checkpoint of turn {seq}"), cause))
            }

            async fn latest_checkpoint(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
                let failed = |cause: Cause| StoreError::new("read the newest checkpoint", cause);
                let mut below = i64::MAX;
                loop {
                    let query = sqlx::query_as(statements::CHECKPOINT_NEWEST).bind(below);
                    let row: Option<(i64, i64, Vec<u8>, Vec<u8>)> =
                        within(query.fetch_optional(&self.reader)).await.map_err(failed)?;
                    let Some((seq, at, state, sum)) = row else {
                        if below == i64::MAX {
                            return Ok(None);
                        }
                        return Err(failed(rows::RowError::NoWholeCheckpoint.into()));
                    };
                    if sum == checksum(seq.cast_unsigned(), Timestamp::from_millis(at), &state) {
                        return Ok(Some((seq.cast_unsigned(), state)));
                    }
                    tracing::error!(seq, "the checkpoint of turn {seq} is damaged; using the one before");
                    below = seq;
                }
            }

            async fn outbox_due(&self, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
                let query = sqlx::query_as(statements::OUTBOX_DUE).bind(now.as_millis()).bind(i64::from(limit));
                let columns = within(query.fetch_all(&self.reader)).await;
                let columns = columns.map_err(|cause| StoreError::new("read the outbox", cause))?;
                self.readable(columns, now).await
            }

            async fn outbox_due_on(
                &self,
                channel: &str,
                now: Timestamp,
                limit: u32,
            ) -> Result<Vec<OutboxRow>, StoreError> {
                let query = sqlx::query_as(statements::OUTBOX_DUE_ON).bind(now.as_millis()).bind(i64::from(limit));
                let columns = within(query.bind(channel).fetch_all(&self.reader)).await;
                let doing = || format!("read the outbox of `{channel}`");
                self.readable(columns.map_err(|cause| StoreError::new(doing(), cause))?, now).await
            }

            async fn outbox_pending(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
                let rows: Result<Vec<(String, i64)>, _> =
                    within(sqlx::query_as(statements::OUTBOX_PENDING).fetch_all(&self.reader)).await;
                let rows = rows.map_err(|cause| StoreError::new("look what is pending in the outbox", cause))?;
                Ok(rows.into_iter().map(|(channel, due)| (channel, Timestamp::from_millis(due))).collect())
            }

            async fn outbox_sent(&self, key: &str, at: Timestamp, receipt: &str) -> Result<(), StoreError> {
                self.end(key, "sent", at, receipt).await
            }

            async fn outbox_retry(&self, key: &str, due: Timestamp, error: &str) -> Result<(), StoreError> {
                let query = sqlx::query(statements::OUTBOX_RETRY).bind(key).bind(due.as_millis());
                let done = within(query.bind(rows::storable(error)).execute(&self.writer)).await;
                done.map(drop).map_err(|cause| StoreError::new(format!("record a failed attempt at `{key}`"), cause))
            }

            async fn outbox_failed(&self, key: &str, at: Timestamp, error: &str) -> Result<(), StoreError> {
                self.end(key, "failed", at, error).await
            }

            async fn outbox_keys(&self, incident: Option<u64>) -> Result<Vec<(String, String)>, StoreError> {
                let query = sqlx::query_as(statements::OUTBOX_KEYS).bind(incident.map(u64::cast_signed));
                let keys = within(query.fetch_all(&self.reader)).await;
                keys.map_err(|cause| StoreError::new("read the keys of the outbox", cause))
            }

            async fn outbox_end(&self, key: &str) -> Result<Option<OutboxEnd>, StoreError> {
                let columns = within(sqlx::query_as(statements::OUTBOX_ENDED).bind(key).fetch_all(&self.reader)).await;
                let columns = columns.map_err(|cause| StoreError::new(format!("read the end of `{key}`"), cause))?;
                Ok(rows::ends(columns).0.pop())
            }

            async fn outbox_undelivered_outcomes(&self) -> Result<Vec<OutboxEnd>, StoreError> {
                let columns = within(sqlx::query_as(statements::OUTBOX_UNTOLD).fetch_all(&self.reader)).await;
                let columns = columns.map_err(|cause| StoreError::new("read ended outbox rows", cause))?;
                let (ends, unreadable) = rows::ends(columns);
                for (key, why) in unreadable {
                    tracing::error!(notification.key = %key, "the end of `{key}` cannot be told: {why}");
                    self.outbox_outcome_told(&key).await?;
                }
                Ok(ends)
            }

            async fn outbox_outcome_told(&self, key: &str) -> Result<(), StoreError> {
                let done = within(sqlx::query(statements::OUTBOX_TOLD).bind(key).execute(&self.writer)).await;
                done.map(drop).map_err(|cause| StoreError::new(format!("mark the end of `{key}` as told"), cause))
            }

            async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>, StoreError> {
                let failed = |cause: Cause| StoreError::new("read history", cause);
                let before = query.before.map(|(seq, ordinal)| (seq.cast_signed(), i64::from(ordinal)));
                let (seq, ordinal) = before.unwrap_or((i64::MAX, i64::MAX));
                let rows = sqlx::query_as(rows::history_statement(query))
                    .bind(query.since.map_or(i64::MIN, Timestamp::as_millis))
                    .bind(seq)
                    .bind(ordinal)
                    .bind(i64::from(query.limit))
                    .bind(query.host.as_deref())
                    .bind(query.service.as_deref())
                    .bind(query.incident.map(u64::cast_signed));
                let columns = within(rows.fetch_all(&self.reader)).await.map_err(failed)?;
                rows::history_rows(columns).map_err(|error| failed(error.into()))
            }

            async fn prune_history(&self, before: Timestamp) -> Result<u64, StoreError> {
                let failed = |cause: Cause| StoreError::new("prune history", cause);
                let pruned = sqlx::query(statements::HISTORY_PRUNE).bind(before.as_millis());
                let pruned = within(pruned.execute(&self.writer)).await.map_err(failed)?;
                let outbox = sqlx::query(statements::OUTBOX_PRUNE).bind(before.as_millis());
                within(outbox.execute(&self.writer)).await.map_err(failed)?;
                Ok(pruned.rows_affected())
            }

            async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
                let row: Result<Option<(String, String, String)>, _> =
                    within(sqlx::query_as(statements::ACCOUNT).bind(name).fetch_optional(&self.reader)).await;
                let row = row.map_err(|cause| StoreError::new(format!("read the user `{name}`"), cause))?;
                Ok(row.map(|(name, password_hash, role)| User { name, password_hash, role }))
            }

            async fn put_user(&self, user: &User) -> Result<(), StoreError> {
                let query = sqlx::query(statements::ACCOUNT_PUT).bind(&user.name).bind(&user.password_hash);
                let done = within(query.bind(&user.role).execute(&self.writer)).await;
                done.map(drop).map_err(|cause| StoreError::new(format!("keep the user `{}`", user.name), cause))
            }

            async fn user_count(&self) -> Result<u64, StoreError> {
                let row: Result<(i64,), _> =
                    within(sqlx::query_as(statements::ACCOUNT_COUNT).fetch_one(&self.reader)).await;
                row.map(|(count,)| count.cast_unsigned()).map_err(|cause| StoreError::new("count the users", cause))
            }

            async fn session(&self, secret_sha256: &[u8]) -> Result<Option<Session>, StoreError> {
                let failed = |cause: Cause| StoreError::new("read a session", cause);
                let query = sqlx::query_as(statements::SESSION).bind(secret_sha256);
                let row = within(query.fetch_optional(&self.reader)).await.map_err(failed)?;
                row.map(rows::session_row).transpose().map_err(|error| failed(error.into()))
            }

            async fn put_session(&self, session: &Session) -> Result<(), StoreError> {
                let query = sqlx::query(statements::SESSION_PUT)
                    .bind(&session.secret_sha256)
                    .bind(&session.user)
                    .bind(rows::kind_word(session.kind))
                    .bind(&session.csrf)
                    .bind(session.created_at.as_millis())
                    .bind(session.expires_at.map(Timestamp::as_millis));
                let done = within(query.execute(&self.writer)).await;
                done.map(drop).map_err(|cause| StoreError::new("keep a session", cause))
            }

            async fn delete_session(&self, secret_sha256: &[u8]) -> Result<(), StoreError> {
                let query = sqlx::query(statements::SESSION_DELETE).bind(secret_sha256);
                let done = within(query.execute(&self.writer)).await;
                done.map(drop).map_err(|cause| StoreError::new("end a session", cause))
            }

            async fn prune_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
                let query = sqlx::query(statements::SESSION_PRUNE).bind(now.as_millis());
                let done = within(query.execute(&self.writer)).await;
                done.map(|done| done.rows_affected()).map_err(|cause| StoreError::new("end old sessions", cause))
            }

            async fn backup(&self, to: &Path) -> Result<(), StoreError> {
                let copied = self.copy(to).await;
                copied.map_err(|cause| StoreError::new(format!("copy the store to `{}`", to.display()), cause))
            }
        }
    };
}

pub(crate) use sql_store;
