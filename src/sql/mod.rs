//! What journal and store share about SQL databases: kinds of trouble, deadlines, opening a SQLite file, migrations.

pub mod fault;
pub mod file;
pub mod lock;
pub mod migrations;

use std::future::Future;
use std::time::Duration;

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
