//! How many traps of one sender are listened to: a bucket of tokens for each. No time in here but what is handed in.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::time::Instant;

/// Traps of one sender at once: a switch that restarts sends one for each of its ports.
const BURST: f64 = 200.0;
/// Traps of one sender a second, for long.
const PER_SECOND: f64 = 20.0;
/// Senders that are told apart; more share the room of those not heard of for longest.
const SENDERS_MAX: usize = 8192;

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// What each sender has left.
#[derive(Default)]
pub(super) struct Limiter {
    buckets: HashMap<IpAddr, Bucket>,
}

impl Limiter {
    /// Takes one of the sender's tokens, if it has any.
    pub(super) fn take(&mut self, sender: IpAddr, now: Instant) -> bool {
        if self.buckets.len() >= SENDERS_MAX && !self.buckets.contains_key(&sender) {
            self.forget(now);
        }
        let bucket = self.buckets.entry(sender).or_insert(Bucket { tokens: BURST, at: now });
        let waited = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + waited * PER_SECOND).min(BURST);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    /// Those whose bucket is full again lose nothing by it. Where addresses are made up none is: then all begin anew.
    fn forget(&mut self, now: Instant) {
        self.buckets.retain(|_, bucket| {
            let waited = now.saturating_duration_since(bucket.at).as_secs_f64();
            bucket.tokens + waited * PER_SECOND < BURST
        });
        if self.buckets.len() >= SENDERS_MAX {
            self.buckets.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn sender(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn a_flood_is_cut_to_its_share_and_others_are_heard() {
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        let taken = (0..1000).filter(|_| limiter.take(sender(1), start)).count();
        assert_eq!(taken, BURST as usize);
        assert!(limiter.take(sender(2), start));
        let later = start + Duration::from_secs(2);
        let taken = (0..1000).filter(|_| limiter.take(sender(1), later)).count();
        assert_eq!(taken, (2.0 * PER_SECOND) as usize);
    }

    #[test]
    fn made_up_senders_do_not_fill_the_memory() {
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        for number in 0..3 * SENDERS_MAX as u32 {
            assert!(limiter.take(sender(number), start));
            assert!(limiter.buckets.len() <= SENDERS_MAX);
        }
    }
}
