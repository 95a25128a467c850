//! What journal and store share about SQL databases: kinds of trouble, deadlines, opening a SQLite file, migrations.

pub mod fault;
pub mod file;
pub mod lock;
pub mod migrations;

use std::future::Future;
use std::time::Duration;

use sha2::{Digest, Sha256};
use stentor_core::Timestamp;

pub use fault::{Fault, fault_of};
pub use file::{Access, Durability};
pub use lock::{LockError, StateLock};

/// Longest that one database operation may take. SQLite waits at most [`file::BUSY`] for a lock, PostgreSQL may have to
/// reconnect; what takes longer than this is a database that is gone.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Trouble with a database that is not an answer of the database itself.
#[derive(Debug, thiserror::Error)]
pub enum SqlTrouble {
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Deadline,
    #[error("the directory `{path}` cannot be made")]
    Directory {
        path: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("its schema is version {found}, this program knows versions up to {known}; run the newer program")]
    NewerSchema { found: i64, known: i64 },
    #[error("its migration {version} differs from the one this program carries; the file was not made by Stentor")]
    ForeignSchema { version: i64 },
    #[error("its migrations cannot be applied")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

/// An error on its way to the caller, with whatever caused it.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of a [`checksum`]: enough against bit rot, not meant against forgery.
pub const CHECKSUM_BYTES: usize = 8;

/// The first bytes of a SHA-256 over a row; its place and time are covered, so a row under a wrong number is found.
pub fn checksum(seq: u64, at: Timestamp, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sha = Sha256::new();
    sha.update(seq.to_le_bytes());
    sha.update(at.as_millis().to_le_bytes());
    sha.update(body);
    let digest: [u8; 32] = sha.finalize().into();
    let mut sum = [0; CHECKSUM_BYTES];
    for (to, from) in sum.iter_mut().zip(digest) {
        *to = from;
    }
    sum
}

/// Runs one database operation under [`DEADLINE`].
///
/// # Errors
/// The operation failed, or the deadline passed.
pub async fn within<T>(operation: impl Future<Output = Result<T, sqlx::Error>> + Send) -> Result<T, Cause> {
    match tokio::time::timeout(DEADLINE, operation).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Box::new(error)),
        Err(_) => Err(Box::new(SqlTrouble::Deadline)),
    }
}

/// A connection in a transaction, closed instead of reused unless the transaction ended well. SQLite rolls back by
/// itself when the disk is full, which leaves sqlx counting a transaction that is no more and refusing the next one.
#[derive(Debug)]
pub struct Guarded<DB: sqlx::Database>(Option<sqlx::pool::PoolConnection<DB>>);

impl<DB: sqlx::Database> Guarded<DB> {
    pub fn new(connection: sqlx::pool::PoolConnection<DB>) -> Self {
        Guarded(Some(connection))
    }

    /// The connection, to begin on.
    ///
    /// # Panics
    /// After [`Guarded::keep`], which takes the guard.
    pub fn connection(&mut self) -> &mut DB::Connection {
        self.0.as_mut().expect("only `keep` takes the connection, and it consumes the guard")
    }

    /// Gives the connection back to its pool: the transaction was committed or never begun.
    pub fn keep(mut self) {
        self.0.take();
    }
}

impl<DB: sqlx::Database> Drop for Guarded<DB> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}
