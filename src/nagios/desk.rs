//! What external commands ask of the process itself: handed to whoever runs it, which does it when it sees fit.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use stentor_core::Timestamp;
use stentor_wire::nagios::external_command::ProgramCommand;
use tokio::sync::{Notify, mpsc};

use crate::engine::Handle;

/// Orders that may wait; whoever runs the process takes them at once, and a second restart adds nothing to the first.
const ORDERS_MAX: usize = 16;

/// For whoever runs the process; `at` = not before.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum ProgramOrder {
    /// Read the configuration again; nothing that runs is interrupted.
    Restart {
        at: Option<Timestamp>,
    },
    Shutdown {
        at: Option<Timestamp>,
    },
}

impl ProgramOrder {
    pub fn at(self) -> Option<Timestamp> {
        match self {
            ProgramOrder::Restart { at } | ProgramOrder::Shutdown { at } => at,
        }
    }
}

/// What the process has seen of Nagios's world that no engine knows; all of it since the start. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Facts>);

#[derive(Debug, Default)]
struct Facts {
    commands: AtomicU64,
    /// Epoch milliseconds.
    log_rotated: AtomicI64,
}

impl Seen {
    /// One external command came in.
    pub fn count_command(&self) {
        self.0.commands.fetch_add(1, Ordering::Relaxed);
    }

    pub fn commands(&self) -> u64 {
        self.0.commands.load(Ordering::Relaxed)
    }

    pub fn note_rotation(&self, at: Timestamp) {
        self.0.log_rotated.store(at.as_millis(), Ordering::Relaxed);
    }

    /// Zero = not yet.
    pub fn log_rotated(&self) -> Timestamp {
        Timestamp::from_millis(self.0.log_rotated.load(Ordering::Relaxed))
    }
}

/// Where such orders are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk {
    orders: mpsc::Sender<ProgramOrder>,
    pub seen: Seen,
    /// Asked to write `retention.dat` now.
    pub save: Arc<Notify>,
}

impl Desk {
    pub fn new() -> (Desk, mpsc::Receiver<ProgramOrder>) {
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        (Desk { orders, seen: Seen::default(), save: Arc::default() }, taken)
    }

    /// Carries out what concerns the process.
    ///
    /// # Errors
    /// Nobody takes such orders here, or the state could not be saved.
    pub async fn carry_out(&self, command: ProgramCommand, engine: &Handle) -> Result<(), String> {
        let at = |at: Option<i64>| at.map(Timestamp::from_secs);
        match command {
            ProgramCommand::Restart { at: when } => self.hand_in(ProgramOrder::Restart { at: at(when) }),
            ProgramCommand::Shutdown { at: when } => self.hand_in(ProgramOrder::Shutdown { at: at(when) }),
            ProgramCommand::SaveState => match engine.save().await {
                Ok(true) => {
                    self.save.notify_one();
                    Ok(())
                }
                Ok(false) => Err("the state could not be saved; the log says why".to_owned()),
                Err(stopping) => Err(stopping.to_string()),
            },
            // There is no older state to read back: what runs is what is kept.
            ProgramCommand::ReadState => Ok(()),
        }
    }

    fn hand_in(&self, order: ProgramOrder) -> Result<(), String> {
        match self.orders.try_send(order) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err("too many orders wait already".to_owned()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err("nobody here takes orders for the process".to_owned()),
        }
    }
}
