//! The journal: inputs of the engine, exact and short-lived, written before they are applied.

pub mod bench;
pub mod codec;
pub mod sqlite;

use async_trait::async_trait;
use stentor_core::Timestamp;
use stentor_core::engine::Input;

use crate::sql::{Fault, fault_of};

pub use sqlite::SqliteJournal;

#[cfg(test)]
mod tests;

#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}")]
pub struct JournalError {
    pub doing: String,
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

impl JournalError {
    pub(crate) fn new(doing: impl Into<String>, cause: impl Into<crate::sql::Cause>) -> Self {
        JournalError { doing: doing.into(), cause: cause.into() }
    }

    /// What is wrong, in the few kinds that lead to different actions.
    pub fn fault(&self) -> Fault {
        match self.cause.downcast_ref::<JournalTrouble>() {
            Some(JournalTrouble::Damaged { .. } | JournalTrouble::Missing { .. }) => Fault::Damaged,
            Some(JournalTrouble::OutOfOrder { .. } | JournalTrouble::TooLarge { .. }) => Fault::Other,
            None => fault_of(&*self.cause),
        }
    }
}

/// Trouble that only a journal has.
#[derive(Debug, thiserror::Error)]
pub enum JournalTrouble {
    #[error("turn {seq} is damaged: {what}")]
    Damaged { seq: u64, what: String },
    #[error("turn {seq} is missing; the oldest kept turn after it is {found}")]
    Missing { seq: u64, found: u64 },
    #[error("turn {seq} does not follow turn {newest}")]
    OutOfOrder { seq: u64, newest: u64 },
    #[error("turn {seq} is {bytes} bytes long, more than {} allowed", codec::BATCH_BYTES_MAX)]
    TooLarge { seq: u64, bytes: usize },
}

/// One turn of the writer: inputs applied at one instant, in order.
#[derive(Clone, Debug)]
pub struct Turn {
    pub seq: u64,
    pub at: Timestamp,
    pub inputs: Vec<Input>,
}

#[async_trait]
pub trait Journal: Send + Sync {
    /// Durable when it returns. `turn.seq` must be the newest sequence + 1.
    async fn append(&self, turn: &Turn) -> Result<(), JournalError>;
    /// The newest sequence; 0 if empty.
    async fn newest(&self) -> Result<u64, JournalError>;
    /// Turns with sequence > `after`, in order, at most `limit`. A damaged row is an error that names the sequence, and
    /// so is a gap; after 0 reading starts at the oldest turn that is kept.
    async fn read(&self, after: u64, limit: u32) -> Result<Vec<Turn>, JournalError>;
    /// Forgets turns up to and including `seq` that are older than `before`; the newest turn always stays, it carries
    /// the sequence on. Returns how many.
    async fn prune(&self, seq: u64, before: Timestamp) -> Result<u64, JournalError>;
    /// Forgets everything, so that the next append may carry any sequence: for when a checkpoint holds turns that the
    /// journal missed.
    async fn clear(&self) -> Result<(), JournalError>;
    /// Size on disk, for the limit of the journal.
    async fn bytes(&self) -> Result<u64, JournalError>;
}
