//! The store in PostgreSQL.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use stentor_core::Timestamp;
use stentor_core::engine::Event;
use stentor_core::model::Notification;
use stentor_core::runbook::AuditEntry;

use super::anchor::Anchor;
use super::audit::{self, AuditRecord, Chain};
use super::rows::{self, sql_store};
use super::{HistoryQuery, HistoryRow, OutboxEnd, OutboxRow, Session, Store, StoreError, User, statements};
use crate::sql::{Cause, Guarded, checksum, migrations, within};

/// One for the writer task, the rest for pages, notifications and log-ins.
const CONNECTIONS: u32 = 6;
/// Longest wait for a connection; a server that is gone must not hold the writer's turn for long.
const CONNECT: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct PostgresStore {
    writer: PgPool,
    reader: PgPool,
    anchor: Option<Anchor>,
}

/// A copy of a server's database is the server's business.
#[derive(Debug, thiserror::Error)]
#[error("the store is in PostgreSQL; copy it with `pg_dump --format=custom` and bring it back with `pg_restore`")]
pub struct UsePgDump;

impl PostgresStore {
    /// Connects and brings the schema up to date.
    ///
    /// # Errors
    /// The server does not answer or refuses, or the schema is none of ours; `fault()` tells which.
    pub async fn open(url: &str) -> Result<PostgresStore, StoreError> {
        let unreadable = |error: sqlx::Error| StoreError::new("read the store's postgres:// URL", error);
        let options = PgConnectOptions::from_str(url)
            .map_err(unreadable)?
            .application_name("stentor")
            // The server gives up a little before our own deadline, so that it says why.
            .options([("statement_timeout", "25s"), ("lock_timeout", "10s")]);
        let name = format!("{}@{}:{}", options.get_username(), options.get_host(), options.get_port());
        let failed = |cause: Cause| StoreError::new(format!("open the PostgreSQL store {name}"), cause);
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECT);
        let pool = within(pool.connect_with(options)).await.map_err(failed)?;
        if let Err(error) = migrations::migrator(migrations::STORE_POSTGRES).run(&pool).await {
            return Err(failed(migrations::explain(error, migrations::STORE_POSTGRES)));
        }
        Ok(PostgresStore { writer: pool.clone(), reader: pool, anchor: None })
    }

    /// From here on the end of the audit is kept there too.
    #[must_use]
    pub fn anchored(mut self, anchor: Anchor) -> Self {
        self.anchor = Some(anchor);
        self
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.writer.close().await;
    }

    async fn copy(&self, _to: &Path) -> Result<(), Cause> {
        Err(UsePgDump.into())
    }
}

sql_store!(PostgresStore, sqlx::Postgres, "BEGIN");
