//! How fast something grows that only ever grows until somebody clears it: logs of a database.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Growth is told over this time: bursts of a minute fill no disk.
const WINDOW: Duration = Duration::from_secs(3600);
/// Readings closer together are not kept; those of an hour are 120.
const STEP: Duration = Duration::from_secs(30);
/// A shorter time gives no rate.
const SPAN_MIN: Duration = Duration::from_secs(1);
/// Servers that one probe keeps readings of.
const KEPT_MAX: usize = 20_000;

/// Sizes of the last hour, of each server. A probe is shared by all hosts with equal parameters.
#[derive(Debug, Default)]
pub struct Growth {
    /// Held for one look-up, never across an await.
    kept: Mutex<HashMap<SocketAddr, VecDeque<(Instant, f64)>>>,
}

impl Growth {
    /// Notes a size; bytes in a second since the oldest one that is kept. What shrank was cleared and begins anew.
    pub fn note(&self, of: SocketAddr, at: Instant, bytes: f64) -> Option<f64> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Addresses that nobody asks any more; the others have a rate again at the run after next.
        if kept.len() >= KEPT_MAX && !kept.contains_key(&of) {
            kept.clear();
        }
        let sizes = kept.entry(of).or_default();
        if sizes.back().is_some_and(|(_, last)| bytes < *last) {
            sizes.clear();
        }
        while sizes.front().is_some_and(|(then, _)| at.saturating_duration_since(*then) > WINDOW) {
            sizes.pop_front();
        }
        let oldest = sizes.front().copied();
        if sizes.back().is_none_or(|(last, _)| at.saturating_duration_since(*last) >= STEP) {
            sizes.push_back((at, bytes));
        }
        let (then, was) = oldest?;
        let span = at.saturating_duration_since(then);
        (span >= SPAN_MIN).then(|| ((bytes - was) / span.as_secs_f64()).max(0.0))
    }
}

/// Seconds until there is no room; `None` if it does not grow.
pub fn full_in_s(room: f64, used: f64, growth: f64) -> Option<f64> {
    (growth > 0.0).then(|| ((room - used).max(0.0) / growth).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_that_of_the_last_hour_and_a_purge_begins_anew() {
        let growth = Growth::default();
        let at: SocketAddr = "192.0.2.1:3306".parse().expect("address");
        let begun = Instant::now();
        let note = |minute: u64, bytes: f64| growth.note(at, begun + Duration::from_secs(60 * minute), bytes);
        assert_eq!(note(0, 1000.0), None, "one reading is no growth");
        assert_eq!(note(10, 7000.0), Some(10.0));
        assert_eq!(note(60, 7000.0), Some(6000.0 / 3600.0));
        assert_eq!(note(61, 13_000.0), Some(6000.0 / 3060.0), "the first one is too old");
        assert_eq!(note(62, 500.0), None, "cleared");
        assert_eq!(note(63, 560.0), Some(1.0));
        let other = "192.0.2.2:3306".parse().expect("address");
        assert_eq!(growth.note(other, begun, 1.0), None, "each server has its own");
    }

    #[test]
    fn a_disk_that_does_not_fill_has_no_end() {
        assert_eq!(full_in_s(100.0, 40.0, 0.5), Some(120.0));
        assert_eq!(full_in_s(100.0, 140.0, 0.5), Some(0.0));
        assert_eq!(full_in_s(100.0, 40.0, 0.0), None);
    }
}
