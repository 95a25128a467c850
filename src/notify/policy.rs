//! When to try again, when to give up, how fast to send. Pure: times and seeds come in.

use std::collections::VecDeque;
use std::time::Duration;

use stentor_core::{Span, Timestamp};

/// How a delivery is tried again.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Wait after the first failure; doubles with each further one.
    pub first: Span,
    pub longest: Span,
    /// Attempts until it is given up.
    pub attempts_max: u32,
    /// Age of the notification at which it is given up.
    pub age_max: Span,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            first: Span::from_secs(15),
            longest: Span::from_mins(15),
            attempts_max: 120,
            age_max: Span::from_hours(24),
        }
    }
}

/// Longest `Retry-After` that is obeyed: a receiver must not be able to silence a page for a day.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

impl RetryPolicy {
    /// When to try again after `attempts` attempts, or `None` to give up.
    pub fn next(&self, retry: &Retry<'_>) -> Option<Timestamp> {
        if retry.attempts >= self.attempts_max {
            return None;
        }
        let doublings = retry.attempts.saturating_sub(1).min(20);
        let wait = self.first.as_millis().saturating_mul(1 << doublings).min(self.longest.as_millis());
        // From 80 % to 120 %, so that a server that comes back is not met by everything at once.
        let jitter = i64::try_from(seed(retry.key, retry.attempts) % 401).unwrap_or(200);
        let wait = Span::from_millis((wait / 1000).saturating_mul(800 + jitter).max(1));
        let asked = retry.retry_after.map_or(Span::ZERO, |asked| Span::from(asked.min(RETRY_AFTER_MAX)));
        let due = retry.now + wait.max(asked);
        (due <= retry.created_at + self.age_max).then_some(due)
    }
}

/// One failed attempt.
#[derive(Clone, Debug)]
pub struct Retry<'a> {
    pub key: &'a str,
    /// Attempts made, with the one that just failed.
    pub attempts: u32,
    pub created_at: Timestamp,
    pub now: Timestamp,
    pub retry_after: Option<Duration>,
}

/// FNV-1a: the same key and attempt give the same jitter in every process.
fn seed(key: &str, attempt: u32) -> u64 {
    let bytes = key.bytes().chain(attempt.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// How many messages one channel may send, and how many at once.
#[derive(Clone, Debug)]
pub struct ChannelLimits {
    pub concurrency: usize,
    /// Messages in any `window`.
    pub messages: usize,
    pub window: Span,
}

impl Default for ChannelLimits {
    fn default() -> Self {
        ChannelLimits { concurrency: 4, messages: 120, window: Span::from_mins(1) }
    }
}

/// The send times of the last window.
#[derive(Debug)]
pub struct RateLimiter {
    messages: usize,
    window: Span,
    sent: VecDeque<Timestamp>,
}

impl RateLimiter {
    pub fn new(limits: &ChannelLimits) -> Self {
        RateLimiter { messages: limits.messages.max(1), window: limits.window, sent: VecDeque::new() }
    }

    /// How many may be sent now.
    pub fn room(&mut self, now: Timestamp) -> usize {
        // A clock that went back must not lock the channel: what seems to be in the future does not count.
        while self.sent.front().is_some_and(|&at| at + self.window <= now || at > now) {
            self.sent.pop_front();
        }
        self.messages.saturating_sub(self.sent.len())
    }

    pub fn take(&mut self, now: Timestamp) {
        self.sent.push_back(now);
    }

    /// When there is room again.
    pub fn free_at(&self, now: Timestamp) -> Timestamp {
        if self.sent.len() < self.messages { now } else { self.sent.front().map_or(now, |&at| at + self.window) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(attempts: u32, now: i64) -> Retry<'static> {
        Retry {
            key: "t/INC-1/problem/1/noc/email",
            attempts,
            created_at: Timestamp::ZERO,
            now: Timestamp::from_secs(now),
            retry_after: None,
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_stay_within_a_fifth() {
        let policy = RetryPolicy::default();
        for (attempts, secs) in [(1, 15), (2, 30), (3, 60), (6, 480), (7, 900), (30, 900)] {
            let wait = policy.next(&retry(attempts, 0)).unwrap().since(Timestamp::ZERO).as_millis();
            assert!((secs * 800..=secs * 1200).contains(&wait), "after {attempts}: {wait} ms, expected about {secs} s");
            assert_eq!(policy.next(&retry(attempts, 0)), policy.next(&retry(attempts, 0)), "jitter is derived");
        }
        let other = Retry { key: "t/INC-2/problem/1/noc/email", ..retry(5, 0) };
        assert_ne!(policy.next(&other), policy.next(&retry(5, 0)), "two messages do not come back together");
    }

    #[test]
    fn every_retry_has_an_end() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.next(&retry(policy.attempts_max, 0)), None);
        assert_eq!(policy.next(&retry(2, 24 * 3600 - 1)), None);
        assert!(policy.next(&retry(2, 23 * 3600)).is_some());
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_silence() {
        let policy = RetryPolicy::default();
        let ask = |secs| Retry { retry_after: Some(Duration::from_secs(secs)), ..retry(1, 0) };
        assert_eq!(policy.next(&ask(120)), Some(Timestamp::from_secs(120)));
        assert_eq!(policy.next(&ask(1)), policy.next(&retry(1, 0)), "less than our own wait changes nothing");
        assert_eq!(policy.next(&ask(86_000)), Some(Timestamp::from_secs(3600)));
    }

    #[test]
    fn no_window_holds_more_than_its_messages() {
        let limits = ChannelLimits { concurrency: 1, messages: 3, window: Span::from_secs(10) };
        let mut rate = RateLimiter::new(&limits);
        for secs in [0, 1, 2] {
            assert!(rate.room(Timestamp::from_secs(secs)) > 0);
            rate.take(Timestamp::from_secs(secs));
        }
        let now = Timestamp::from_secs(5);
        assert_eq!((rate.room(now), rate.free_at(now)), (0, Timestamp::from_secs(10)));
        assert_eq!(rate.room(Timestamp::from_secs(10)), 1);
        assert_eq!(rate.room(Timestamp::from_secs(-60)), 3, "a clock that went back");
    }
}
