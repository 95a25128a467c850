//! The journal in its own SQLite file: one row a turn, one synced commit a turn, readers on their own connections.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row};
use stentor_core::Timestamp;
use stentor_core::catalog::Catalog;

use super::codec::{self, CatalogHash, Encoded};
use super::{Journal, JournalError, JournalTrouble, Turn};
use crate::sql::file::{self, SqliteFile};
use crate::sql::{Access, Cause, Durability, Guarded, StateLock, checksum, migrations, within};

/// The journal's file inside the state directory.
pub const JOURNAL_FILE: &str = "journal.db";
/// Turns deleted per statement: between two such statements an append finds its way in.
const PRUNE_CHUNK: i64 = 500;

// A known sequence, or one that does not follow the newest, inserts nothing; an empty journal takes any.
const APPEND: &str = "INSERT INTO turn (seq, at, batch, checksum) \
     SELECT $1, $2, $3, $4 WHERE $1 = (SELECT COALESCE(MAX(seq) + 1, $1) FROM turn)";
const KEEP_CATALOG: &str = "INSERT INTO catalog (hash, body, first_seq, last_seq) VALUES ($1, $2, $3, $3) \
     ON CONFLICT (hash) DO UPDATE SET last_seq = excluded.last_seq";
const NEWEST: &str = "SELECT COALESCE(MAX(seq), 0) FROM turn";
const READ: &str = "SELECT seq, at, batch, checksum FROM turn WHERE seq > $1 ORDER BY seq LIMIT $2";
const CHECKSUM: &str = "SELECT checksum FROM turn WHERE seq = $1";
const CATALOG: &str = "SELECT body FROM catalog WHERE hash = $1";
const PRUNE: &str = "DELETE FROM turn WHERE seq IN (SELECT seq FROM turn WHERE seq <= $1 AND at < $2 \
     AND seq < (SELECT MAX(seq) FROM turn) ORDER BY seq LIMIT $3)";
// Oldest first: whatever is left after a crash is a journal without gaps.
const CLEAR: &str = "DELETE FROM turn WHERE seq IN (SELECT seq FROM turn ORDER BY seq LIMIT $1)";
const CLEAR_CATALOGS: &str = "DELETE FROM catalog WHERE NOT EXISTS (SELECT 1 FROM turn)";
const PRUNE_CATALOGS: &str = "DELETE FROM catalog WHERE last_seq < (SELECT COALESCE(MIN(seq), 0) FROM turn)";
const PAGES: &str = "SELECT (page_count - freelist_count) * page_size \
     FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";

/// See the module.
#[derive(Debug)]
pub struct SqliteJournal {
    path: PathBuf,
    file: SqliteFile,
    /// `None` for a journal opened for reading only.
    _lock: Option<StateLock>,
}

impl SqliteJournal {
    /// Opens (or makes) the journal of a state directory and locks the directory for this process.
    ///
    /// # Errors
    /// Another stentor holds the directory, it cannot be written, or the file is none of ours; `fault()` tells which.
    pub async fn open(dir: &Path) -> Result<SqliteJournal, JournalError> {
        let path = dir.join(JOURNAL_FILE);
        let failed = |cause: Cause| JournalError::new(format!("open the journal `{}`", path.display()), cause);
        std::fs::create_dir_all(dir).map_err(|cause| {
            failed(crate::sql::SqlTrouble::Directory { path: dir.display().to_string(), cause }.into())
        })?;
        let lock = StateLock::take(dir).map_err(|error| failed(error.into()))?;
        let file = file::open(&path, Access::ReadWrite(Durability::Commit)).await.map_err(failed)?;
        if let Err(error) = migrations::migrator(migrations::JOURNAL).run(&file.writer).await {
            return Err(failed(migrations::explain(error, migrations::JOURNAL)));
        }
        Ok(SqliteJournal { path, file, _lock: Some(lock) })
    }

    /// Opens an existing journal for reading, beside a running server or from a copy.
    ///
    /// # Errors
    /// There is no journal, or it cannot be read.
    pub async fn open_read_only(dir: &Path) -> Result<SqliteJournal, JournalError> {
        let path = dir.join(JOURNAL_FILE);
        let failed = |cause: Cause| JournalError::new(format!("read the journal `{}`", path.display()), cause);
        let file = file::open(&path, Access::ReadOnly).await.map_err(failed)?;
        Ok(SqliteJournal { path, file, _lock: None })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(test)]
    pub(super) fn file(&self) -> &SqliteFile {
        &self.file
    }

    /// A consistent copy into a file that does not exist yet.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub async fn backup(&self, to: &Path) -> Result<(), JournalError> {
        let doing = || format!("copy the journal to `{}`", to.display());
        file::copy(&self.path, to).await.map_err(|cause| JournalError::new(doing(), cause))
    }

    /// Waits for running statements and lets go of the file.
    pub async fn close(&self) {
        self.file.close().await;
    }

    async fn insert(&self, turn: &Turn, encoded: &Encoded, checksum: &[u8]) -> Result<bool, Cause> {
        let seq = turn.seq.cast_signed();
        let row = sqlx::query(APPEND).bind(seq).bind(turn.at.as_millis()).bind(&encoded.batch).bind(checksum);
        if encoded.catalogs.is_empty() {
            let done = within(row.execute(&self.file.writer)).await?;
            return Ok(done.rows_affected() == 1);
        }
        within(async {
            let mut guarded = Guarded::new(self.file.writer.acquire().await?);
            let mut transaction = guarded.connection().begin_with("BEGIN IMMEDIATE").await?;
            if row.execute(&mut *transaction).await?.rows_affected() != 1 {
                return Ok(false);
            }
            for (hash, body) in &encoded.catalogs {
                let keep = sqlx::query(KEEP_CATALOG).bind(hash.as_slice()).bind(body).bind(seq);
                keep.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            guarded.keep();
            Ok(true)
        })
        .await
    }

    /// The answer to an append that inserted nothing: fine if that very turn is there already (the answer to an
    /// earlier attempt was lost), else out of order.
    async fn already_there(&self, turn: &Turn, checksum: &[u8]) -> Result<(), Cause> {
        let found: Option<(Vec<u8>,)> =
            within(sqlx::query_as(CHECKSUM).bind(turn.seq.cast_signed()).fetch_optional(&self.file.writer)).await?;
        let (newest,): (i64,) = within(sqlx::query_as(NEWEST).fetch_one(&self.file.writer)).await?;
        let newest = newest.cast_unsigned();
        if newest == turn.seq && found.is_some_and(|(there,)| there == checksum) {
            return Ok(());
        }
        Err(JournalTrouble::OutOfOrder { seq: turn.seq, newest }.into())
    }

    async fn decode(&self, row: &SqliteRow, catalogs: &mut Catalogs) -> Result<Turn, Cause> {
        let seq = row.try_get::<i64, _>(0)?.cast_unsigned();
        let at = Timestamp::from_millis(row.try_get(1)?);
        let batch: &[u8] = row.try_get(2)?;
        let sum: &[u8] = row.try_get(3)?;
        let damaged = |what: String| JournalTrouble::Damaged { seq, what };
        if sum != checksum(seq, at, batch) {
            return Err(damaged("its checksum does not fit".to_owned()).into());
        }
        for hash in codec::catalogs_of(batch).map_err(|error| damaged(error_text(&error)))? {
            if let Entry::Vacant(place) = catalogs.entry(hash) {
                place.insert(Arc::new(self.catalog(&hash).await?.map_err(damaged)?));
            }
        }
        let inputs = codec::decode(batch, catalogs).map_err(|error| damaged(error_text(&error)))?;
        Ok(Turn { seq, at, inputs })
    }

    /// Outer error: the database; inner: the catalog is not what it should be.
    async fn catalog(&self, hash: &CatalogHash) -> Result<Result<Catalog, String>, Cause> {
        let row: Option<(Vec<u8>,)> =
            within(sqlx::query_as(CATALOG).bind(hash.as_slice()).fetch_optional(&self.file.reader)).await?;
        Ok(match row {
            None => Err(format!("its catalog {} is missing", codec::hex(hash))),
            Some((body,)) if codec::hash_of(&body) != *hash => {
                Err(format!("its catalog {} does not fit its hash", codec::hex(hash)))
            }
            Some((body,)) => codec::decode_catalog(&body).map_err(|error| error_text(&error)),
        })
    }
}

type Catalogs = BTreeMap<CatalogHash, Arc<Catalog>>;

fn error_text(error: &codec::CodecError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn append(&self, turn: &Turn) -> Result<(), JournalError> {
        let failed = |cause: Cause| JournalError::new(format!("append turn {} to the journal", turn.seq), cause);
        let encoded = codec::encode(&turn.inputs).map_err(|error| failed(error.into()))?;
        let bytes = encoded.batch.len();
        if bytes > codec::BATCH_BYTES_MAX {
            return Err(failed(JournalTrouble::TooLarge { seq: turn.seq, bytes }.into()));
        }
        let checksum = checksum(turn.seq, turn.at, &encoded.batch);
        if self.insert(turn, &encoded, &checksum).await.map_err(failed)? {
            return Ok(());
        }
        self.already_there(turn, &checksum).await.map_err(failed)
    }

    async fn newest(&self) -> Result<u64, JournalError> {
        let row: Result<(i64,), _> = within(sqlx::query_as(NEWEST).fetch_one(&self.file.reader)).await;
        row.map(|(seq,)| seq.cast_unsigned())
            .map_err(|cause| JournalError::new("read the journal's newest sequence", cause))
    }

    async fn read(&self, after: u64, limit: u32) -> Result<Vec<Turn>, JournalError> {
        let failed = |cause: Cause| JournalError::new(format!("read the journal after turn {after}"), cause);
        let query = sqlx::query(READ).bind(after.cast_signed()).bind(i64::from(limit));
        let rows = within(query.fetch_all(&self.file.reader)).await.map_err(failed)?;
        let mut catalogs = Catalogs::new();
        let mut turns: Vec<Turn> = Vec::with_capacity(rows.len());
        for row in &rows {
            let turn = self.decode(row, &mut catalogs).await.map_err(failed)?;
            let before = turns.last().map_or(after, |turn| turn.seq);
            if before != 0 && turn.seq != before + 1 {
                return Err(failed(JournalTrouble::Missing { seq: before + 1, found: turn.seq }.into()));
            }
            turns.push(turn);
        }
        Ok(turns)
    }

    async fn prune(&self, seq: u64, before: Timestamp) -> Result<u64, JournalError> {
        let failed = |cause: Cause| JournalError::new(format!("prune the journal up to turn {seq}"), cause);
        let mut pruned = 0;
        loop {
            let chunk = sqlx::query(PRUNE).bind(seq.cast_signed()).bind(before.as_millis()).bind(PRUNE_CHUNK);
            let done = within(chunk.execute(&self.file.writer)).await.map_err(failed)?;
            pruned += done.rows_affected();
            if done.rows_affected() < PRUNE_CHUNK.cast_unsigned() {
                break;
            }
        }
        if pruned > 0 {
            within(sqlx::query(PRUNE_CATALOGS).execute(&self.file.writer)).await.map_err(failed)?;
        }
        Ok(pruned)
    }

    async fn clear(&self) -> Result<(), JournalError> {
        let failed = |cause: Cause| JournalError::new("empty the journal", cause);
        loop {
            let done = within(sqlx::query(CLEAR).bind(PRUNE_CHUNK).execute(&self.file.writer)).await.map_err(failed)?;
            if done.rows_affected() < PRUNE_CHUNK.cast_unsigned() {
                break;
            }
        }
        within(sqlx::query(CLEAR_CATALOGS).execute(&self.file.writer)).await.map(drop).map_err(failed)
    }

    async fn bytes(&self) -> Result<u64, JournalError> {
        let row: Result<(i64,), _> = within(sqlx::query_as(PAGES).fetch_one(&self.file.reader)).await;
        row.map(|(bytes,)| bytes.cast_unsigned()).map_err(|cause| JournalError::new("measure the journal", cause))
    }
}
