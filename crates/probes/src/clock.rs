//! The only reader of wall time. Everyone else is handed a [`Clock`] or a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use stentor_core::{Span, Timestamp};

/// Where "now" comes from: the machine, or a test.
#[derive(Clone, Debug)]
pub enum Clock {
    Machine,
    /// Moves only when told to.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock for tests that stands at `at`.
    pub fn manual(at: Timestamp) -> Clock {
        Clock::Manual(Arc::new(AtomicI64::new(at.as_millis())))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Clock::Machine => {
                // Before 1970 the machine's clock is plainly unset: zero says so.
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Clock::Manual(millis) => Timestamp::from_millis(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the machine's cannot be moved and stays.
    pub fn advance(&self, span: Span) {
        if let Clock::Manual(millis) = self {
            millis.fetch_add(span.as_millis(), Ordering::SeqCst);
        }
    }
}
