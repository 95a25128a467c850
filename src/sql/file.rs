//! Opens a SQLite file the one way Stentor does: WAL, one writer connection, a few readers that never wait for it.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::{Cause, SqlTrouble, within};

/// How long a statement waits for a lock that another process (a backup, a `sqlite3` shell) holds.
pub const BUSY: Duration = Duration::from_secs(5);
/// Each SQLite connection is an OS thread; pages read snapshots, so few readers are enough.
const READERS: u32 = 3;

/// What survives a loss of power.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Durability {
    /// Every commit is on the disk when it returns (`synchronous=FULL`).
    Commit,
    /// Everything up to the last WAL checkpoint; newer commits survive a crash of the process only.
    Checkpoint,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Access {
    ReadWrite(Durability),
    ReadOnly,
}

/// One SQLite file: `writer` has exactly one connection, so `BEGIN IMMEDIATE` never meets a rival in this process.
#[derive(Clone, Debug)]
pub struct SqliteFile {
    pub writer: SqlitePool,
    pub reader: SqlitePool,
}

/// Opens `path`, making the file and its directory if they are missing.
///
/// # Errors
/// The directory cannot be made, or the file cannot be opened as a database.
pub async fn open(path: &Path, access: Access) -> Result<SqliteFile, Cause> {
    if let (Access::ReadWrite(_), Some(dir)) = (access, path.parent())
        && !dir.as_os_str().is_empty()
    {
        std::fs::create_dir_all(dir)
            .map_err(|cause| SqlTrouble::Directory { path: dir.display().to_string(), cause })?;
    }
    let options =
        SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).foreign_keys(true).optimize_on_close(false, None);
    let (writing, reading) = match access {
        Access::ReadWrite(durability) => {
            let synchronous = match durability {
                Durability::Commit => SqliteSynchronous::Full,
                Durability::Checkpoint => SqliteSynchronous::Normal,
            };
            let writing =
                options.clone().create_if_missing(true).journal_mode(SqliteJournalMode::Wal).synchronous(synchronous);
            // `query_only`, not a read-only open: a WAL reader needs to write the shared-memory file.
            (writing, options.pragma("query_only", "1"))
        }
        Access::ReadOnly => {
            let reading = options.read_only(true);
            (reading.clone(), reading)
        }
    };
    if matches!(access, Access::ReadWrite(_)) {
        make_private(path);
    }
    let writer = within(pool(1).connect_with(writing)).await?;
    let reader = pool(READERS).connect_lazy_with(reading);
    Ok(SqliteFile { writer, reader })
}

/// A new database is for its owner alone: it holds hashes of passwords. What SQLite writes beside it gets the same rights.
/// Trouble is told by SQLite, in its own words.
fn make_private(path: &Path) {
    let _ = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
}

impl SqliteFile {
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(super::DEADLINE)
        .idle_timeout(None)
        .max_lifetime(None)
        // A local file needs no ping before each use.
        .test_before_acquire(false)
}

/// A consistent copy of a whole database into a file that does not exist yet; its writers go on meanwhile.
///
/// # Errors
/// The source cannot be read, or the target exists, is not writable, or its disk is full.
pub async fn copy(from: &Path, to: &Path) -> Result<(), Cause> {
    let name = to.to_str().ok_or_else(|| format!("the path `{}` is not UTF-8", to.display()))?;
    // A connection of its own: `query_only` refuses VACUUM INTO, and the writer must not wait for a copy.
    let options = SqliteConnectOptions::new().filename(from).busy_timeout(BUSY).optimize_on_close(false, None);
    let mut connection = within(sqlx::SqliteConnection::connect_with(&options)).await?;
    // Not under DEADLINE: gigabytes take their time, and a person is watching.
    sqlx::query("VACUUM INTO $1").bind(name).execute(&mut connection).await?;
    within(connection.close()).await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn what_is_made_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.db");
        let file = open(&path, Access::ReadWrite(Durability::Commit)).await.unwrap();
        sqlx::query("CREATE TABLE t (x)").execute(&file.writer).await.unwrap();
        let mut seen = 0;
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{:?} is {mode:o}", entry.file_name());
            seen += 1;
        }
        assert!(seen >= 2, "the log of writing is there, too");
        file.close().await;
    }
}
