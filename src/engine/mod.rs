//! The single writer: inbox, turn, journal, apply, publish. Exactly one task holds `&mut Engine`.

mod restore;
pub mod writer;

use std::sync::Arc;

use arc_swap::ArcSwap;
use stentor_core::Timestamp;
use stentor_core::catalog::Catalog;
use stentor_core::engine::{Command, CommandError, CommandInput, Event, Reply, ResultSource, Took};
use stentor_core::model::{Delivery, ObjectKey, Observation};
use stentor_core::snapshot::Snapshot;
use tokio::sync::{broadcast, mpsc, oneshot};

pub use writer::Aside;

/// Inputs that may wait for the writer; a full inbox pushes back on its senders.
pub const INBOX_MAX: usize = 65_536;

/// What is sent to the writer.
#[derive(Debug)]
pub enum Post {
    /// A result, and who waits for it to be durable.
    Result(KeyedResult, Option<oneshot::Sender<Receipt>>),
    AgentBatch(AgentBatch, oneshot::Sender<Result<Accepted, Refused>>),
    Command(CommandInput, oneshot::Sender<Result<Reply, Refused>>),
    Delivery(Delivery),
    /// The configuration on disk was refused, for this reason, or is in force again.
    Refused(Option<Arc<str>>),
    Catalog(Arc<Catalog>, oneshot::Sender<()>),
    /// Answered when everything posted before it is durable and in the snapshot.
    Flush(oneshot::Sender<u64>),
    /// Saves a checkpoint; answered with whether the store took it.
    Save(oneshot::Sender<bool>),
    Stop(oneshot::Sender<()>),
}

/// A result by name, as collectors, agents and passive submitters know it.
#[derive(Clone, Debug)]
pub struct KeyedResult {
    pub object: ObjectKey,
    pub observed_at: Timestamp,
    pub source: ResultSource,
    pub observation: Arc<Observation>,
    pub id: Option<Arc<str>>,
    pub took: Took,
}

/// One push of an agent.
#[derive(Clone, Debug)]
pub struct AgentBatch {
    /// Host name the agent watches.
    pub agent: Arc<str>,
    pub boot: Arc<str>,
    pub sequence: u64,
    /// The agent holds newer results: these may tell of what is over.
    pub has_more: bool,
    pub results: Vec<AgentResult>,
}

/// One result of a push.
#[derive(Clone, Debug)]
pub struct AgentResult {
    /// A push that is told again after a lost answer may hold more than before; what was taken is known by this.
    pub sequence: Option<u64>,
    pub result: KeyedResult,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    Applied,
    /// No such host or service in the catalog.
    UnknownObject,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub accepted: usize,
    /// True if this batch was seen before.
    pub repeated: bool,
    /// Names that the catalog does not know.
    pub unknown: Vec<ObjectKey>,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The writer is stopping or gone.
    #[error("the engine is stopping")]
    Stopping,
}

/// Told to everyone who watches, after a turn is durable.
#[derive(Clone, Debug)]
pub struct Published {
    pub seq: u64,
    pub events: Arc<Vec<Event>>,
}

/// How everyone else talks to the writer. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) inbox: mpsc::Sender<Post>,
    pub(crate) results: mpsc::Sender<KeyedResult>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) published: broadcast::Sender<Published>,
}

impl Handle {
    /// The newest read model; never waits.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Events of turns from now on; a slow reader loses the oldest and is told so.
    pub fn watch(&self) -> broadcast::Receiver<Published> {
        self.published.subscribe()
    }

    /// Hands in a result without waiting for its turn; waits only while the inbox is full. Its turn comes after what the
    /// same sender posted before.
    ///
    /// # Errors
    /// The writer has stopped.
    pub async fn post_result(&self, result: KeyedResult) -> Result<(), Refused> {
        self.inbox.send(Post::Result(result, None)).await.map_err(|_| Refused::Stopping)
    }

    /// Hands in what the collector saw: results that nobody waits for, and that share turns. Before what is posted later,
    /// in no order to what was posted before. Waits only while there is no room.
    ///
    /// # Errors
    /// The writer has stopped.
    pub async fn report(&self, result: KeyedResult) -> Result<(), Refused> {
        self.results.send(result).await.map_err(|_| Refused::Stopping)
    }

    /// As [`Handle::report`]; gives the result back instead of waiting. What comes after the writer has stopped is lost.
    ///
    /// # Errors
    /// There is no room.
    pub fn try_report(&self, result: KeyedResult) -> Result<(), KeyedResult> {
        match self.results.try_send(result) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(result)) => Err(result),
        }
    }

    /// Hands in a result and waits until it is durable.
    ///
    /// # Errors
    /// The writer has stopped.
    pub async fn submit(&self, result: KeyedResult) -> Result<Receipt, Refused> {
        let (tx, rx) = oneshot::channel();
        self.inbox.send(Post::Result(result, Some(tx))).await.map_err(|_| Refused::Stopping)?;
        rx.await.map_err(|_| Refused::Stopping)
    }

    /// Hands in an agent's push and waits until it is durable.
    ///
    /// # Errors
    /// The writer has stopped.
    pub async fn agent_batch(&self, batch: AgentBatch) -> Result<Accepted, Refused> {
        let (tx, rx) = oneshot::channel();
        self.inbox.send(Post::AgentBatch(batch, tx)).await.map_err(|_| Refused::Stopping)?;
        rx.await.map_err(|_| Refused::Stopping)?
    }

    /// Carries out a command; returns when it is durable and visible in the snapshot.
    /// A repeated `id` (idempotency key) answers [`Reply::Repeated`].
    ///
    /// # Errors
    /// The command was refused, or the writer has stopped.
    pub async fn command(&self, command: Command, id: Option<Arc<str>>) -> Result<Reply, Refused> {
        self.order(CommandInput { command, raw: None, id }).await
    }

    /// As [`Handle::command`], for a command with the words that asked for it.
    ///
    /// # Errors
    /// The command was refused, or the writer has stopped.
    pub async fn order(&self, input: CommandInput) -> Result<Reply, Refused> {
        self.post_order(input).await?.await.map_err(|_| Refused::Stopping)?
    }

    /// Hands in a command without waiting for its turn; the answer comes through what is returned.
    ///
    /// # Errors
    /// The writer has stopped.
    pub async fn post_order(&self, input: CommandInput) -> Result<oneshot::Receiver<Result<Reply, Refused>>, Refused> {
        let (tx, rx) = oneshot::channel();
        self.inbox.send(Post::Command(input, tx)).await.map_err(|_| Refused::Stopping)?;
        Ok(rx)
    }

    /// Saves a checkpoint of everything posted before; false if the store would not take it.
    ///
    /// # Errors
    /// The writer has stopped.
    pub async fn save(&self) -> Result<bool, Refused> {
        let (tx, rx) = oneshot::channel();
        self.inbox.send(Post::Save(tx)).await.map_err(|_| Refused::Stopping)?;
        rx.await.map_err(|_| Refused::Stopping)
    }

    /// Reports how a delivery ended.
    ///
    /// # Errors
    /// The writer has stopped.
    pub async fn delivery(&self, delivery: Delivery) -> Result<(), Refused> {
        self.inbox.send(Post::Delivery(delivery)).await.map_err(|_| Refused::Stopping)
    }

    /// Waits until everything posted before is durable and in the snapshot; returns its sequence.
    ///
    /// # Errors
    /// The writer has stopped.
    pub async fn flush(&self) -> Result<u64, Refused> {
        let (tx, rx) = oneshot::channel();
        self.inbox.send(Post::Flush(tx)).await.map_err(|_| Refused::Stopping)?;
        rx.await.map_err(|_| Refused::Stopping)
    }
}

#[cfg(test)]
mod tests;
