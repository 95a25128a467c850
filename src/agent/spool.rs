//! Results that wait for the hub: bounded, in order, the oldest dropped first and counted.

use std::collections::VecDeque;

use super::hub::PushedResult;

/// Results of one batch: with outputs of full length it stays below the hub's limit of 8 MiB.
pub const BATCH_MAX: usize = 100;

#[derive(Debug)]
pub struct Spool {
    waiting: VecDeque<PushedResult>,
    max: usize,
    dropped: u64,
}

impl Spool {
    pub fn new(max: usize) -> Spool {
        Spool { waiting: VecDeque::new(), max: max.max(1), dropped: 0 }
    }

    pub fn add(&mut self, result: PushedResult) {
        if self.waiting.len() >= self.max {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(result);
    }

    /// The oldest results, at most a batch.
    pub fn take_batch(&mut self) -> Vec<PushedResult> {
        let n = self.waiting.len().min(BATCH_MAX);
        self.waiting.drain(..n).collect()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use stentor_core::Timestamp;
    use stentor_core::model::Observation;

    use super::*;

    fn result(n: i64) -> PushedResult {
        PushedResult {
            host: "h".into(),
            service: "s".into(),
            observed_at: Timestamp::from_secs(n),
            observation: Observation::observed("x"),
        }
    }

    #[test]
    fn a_full_spool_drops_its_oldest_and_counts_them() {
        let mut spool = Spool::new(150);
        for n in 0..200 {
            spool.add(result(n));
        }
        assert_eq!((spool.len(), spool.dropped()), (150, 50));
        let batch = spool.take_batch();
        assert_eq!((batch.len(), batch[0].observed_at), (BATCH_MAX, Timestamp::from_secs(50)));
        assert_eq!(spool.take_batch().len(), 50);
        assert!(spool.take_batch().is_empty() && spool.is_empty());
    }
}
