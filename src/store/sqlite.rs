//! The store in one SQLite file: WAL, one writer connection, every commit synced, because the outbox is in it.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqlx::{Connection, SqlitePool};
use stentor_core::Timestamp;
use stentor_core::engine::Event;
use stentor_core::model::Notification;
use stentor_core::runbook::AuditEntry;

use super::anchor::Anchor;
use super::audit::{self, AuditRecord, Chain};
use super::rows::{self, sql_store};
use super::{HistoryQuery, HistoryRow, OutboxEnd, OutboxRow, Session, Store, StoreError, User, statements};
use crate::sql::{Access, Cause, Durability, Guarded, checksum, file, migrations, within};

/// See the module.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    pub(crate) writer: SqlitePool,
    reader: SqlitePool,
    anchor: Option<Anchor>,
}

impl SqliteStore {
    /// Opens (or makes) the file and brings its schema up to date.
    ///
    /// # Errors
    /// The file cannot be written or is none of ours; `fault()` tells which.
    pub async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        let failed = |cause: Cause| StoreError::new(format!("open the store `{}`", path.display()), cause);
        let file = file::open(path, Access::ReadWrite(Durability::Commit)).await.map_err(failed)?;
        if let Err(error) = migrations::migrator(migrations::STORE_SQLITE).run(&file.writer).await {
            return Err(failed(migrations::explain(error, migrations::STORE_SQLITE)));
        }
        Ok(SqliteStore { path: path.to_owned(), writer: file.writer, reader: file.reader, anchor: None })
    }

    /// From here on the end of the audit is kept there too.
    #[must_use]
    pub fn anchored(mut self, anchor: Anchor) -> Self {
        self.anchor = Some(anchor);
        self
    }

    /// Waits for running statements and lets go of the file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    async fn copy(&self, to: &Path) -> Result<(), Cause> {
        file::copy(&self.path, to).await
    }
}

sql_store!(SqliteStore, sqlx::Sqlite, "BEGIN IMMEDIATE");
