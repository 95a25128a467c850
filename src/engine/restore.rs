//! What the disk holds becomes an engine again: the newest checkpoint, then the journal through the same `apply`.

use stentor_core::engine::checkpoint::{CHECKPOINT_VERSION, Checkpoint};
use stentor_core::engine::{Engine, Input};
use stentor_core::model::{DeliveryOutcome, Notification};

use super::writer::{Chain, Parts};
use crate::journal::{JournalError, Turn};
use crate::store::StoreError;

/// Turns read at a time.
const REPLAY_BATCH: u32 = 1000;

/// Could not start from what the disk holds.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "cannot read the journal; put back a backup (`stentor restore`), or move the journal away: the state is then \
         that of the newest checkpoint"
    )]
    Journal(#[source] JournalError),
    #[error("cannot read the newest checkpoint")]
    Store(#[source] StoreError),
    #[error("cannot look at the end of the audit")]
    Audit(#[source] StoreError),
    #[error("cannot write to the database while doing the journal's turns again")]
    Replay(#[source] StoreError),
    #[error("the checkpoint at sequence {seq} is damaged or of another version: {why}")]
    Checkpoint { seq: u64, why: String },
}

/// An engine as it was before the process ended.
pub(super) struct Restored {
    pub engine: Engine,
    /// Turns of the journal that were done again.
    pub replayed: u64,
}

/// # Errors
/// Checkpoint or journal cannot be read, or the store cannot be written.
pub(super) async fn restore(parts: &Parts) -> Result<Restored, StartError> {
    let checkpoint = parts.store.latest_checkpoint().await.map_err(StartError::Store)?;
    let fresh = checkpoint.is_none();
    let mut engine = match checkpoint {
        None => Engine::new(),
        Some((seq, bytes)) => from_checkpoint(seq, &bytes)?,
    };
    let newest = parts.journal.newest().await.map_err(StartError::Journal)?;
    let mut replayed = 0;
    if newest < engine.seq() {
        // Turns were applied while the journal was lost, or its file was taken away. The checkpoint holds more.
        tracing::warn!(
            checkpoint = engine.seq(),
            journal = newest,
            "the journal ends at turn {newest}, before the checkpoint of turn {}: going on from the checkpoint with an \
             empty journal; what came after the checkpoint is lost",
            engine.seq()
        );
        if let Err(error) = parts.journal.clear().await {
            // The writer tries again, and says so on every page until it works.
            tracing::error!(error = %Chain(&error), "the outdated journal cannot be emptied");
        }
        return Ok(Restored { engine, replayed });
    }
    loop {
        let turns = parts.journal.read(engine.seq(), REPLAY_BATCH).await.map_err(StartError::Journal)?;
        let Some(first) = turns.first() else { return Ok(Restored { engine, replayed }) };
        if fresh && replayed == 0 {
            tell_fresh(first.seq, newest);
        }
        for turn in turns {
            again(parts, &mut engine, &turn).await.map_err(StartError::Replay)?;
            replayed += 1;
        }
    }
}

fn from_checkpoint(seq: u64, bytes: &[u8]) -> Result<Engine, StartError> {
    let damaged = |why: String| StartError::Checkpoint { seq, why };
    let checkpoint: Checkpoint = postcard::from_bytes(bytes).map_err(|error| damaged(error.to_string()))?;
    if checkpoint.version != CHECKPOINT_VERSION {
        return Err(damaged(format!("version {}", checkpoint.version)));
    }
    Ok(Engine::from_checkpoint(checkpoint))
}

/// A journal without any checkpoint: normal after a crash soon after the first start, else the database is gone.
fn tell_fresh(first: u64, newest: u64) {
    if first > 1 {
        tracing::error!(
            first,
            newest,
            "the database holds no checkpoint and the journal begins at turn {first}: what happened before is lost, \
             states begin anew; a backup brings them back (`stentor restore`)"
        );
    } else {
        tracing::warn!(
            newest,
            "the database holds no checkpoint: states, incidents, history and outbox are made anew from the journal's \
             turns 1 to {newest}"
        );
    }
}

/// Does one turn again. What was committed before the crash is recognised by its keys and changes nothing.
async fn again(parts: &Parts, engine: &mut Engine, turn: &Turn) -> Result<(), StoreError> {
    engine.begin_turn(turn.seq);
    let (mut events, mut notifications, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
    let mut audit = Vec::new();
    for input in &turn.inputs {
        if let Input::Delivery(delivery) = input {
            deliveries.push(delivery);
        }
        let effects = engine.apply(turn.at, input);
        events.extend(effects.events);
        audit.extend(effects.audit);
        notifications.extend(effects.notifications);
        let site = &engine.catalog().site;
        notifications.extend(effects.notices.into_iter().map(|notice| Notification::of_notice(notice, site)));
    }
    if !events.is_empty() || !notifications.is_empty() {
        parts.store.commit_turn(turn.seq, &events, &notifications).await?;
    }
    parts.store.append_audit(turn.seq, &audit).await?;
    // An outbox that was made anew must not send again what the journal knows to be sent.
    for delivery in deliveries {
        match &delivery.outcome {
            DeliveryOutcome::Accepted(receipt) => parts.store.outbox_sent(&delivery.key, turn.at, receipt).await?,
            DeliveryOutcome::Failed(error) => parts.store.outbox_failed(&delivery.key, turn.at, error).await?,
        }
        parts.store.outbox_outcome_told(&delivery.key).await?;
    }
    Ok(())
}
