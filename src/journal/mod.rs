//! The journal: inputs of the engine, exact and short-lived, written before they are applied.

use async_trait::async_trait;
use stentor_core::Timestamp;
use stentor_core::engine::Input;

#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}")]
pub struct JournalError {
    pub doing: String,
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
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
    /// Turns with sequence > `after`, in order, at most `limit`. A damaged row is an error that names the sequence.
    async fn read(&self, after: u64, limit: u32) -> Result<Vec<Turn>, JournalError>;
    /// Forgets turns up to and including `seq` that are older than `before`.
    async fn prune(&self, seq: u64, before: Timestamp) -> Result<u64, JournalError>;
}
