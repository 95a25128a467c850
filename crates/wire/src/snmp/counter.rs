//! Counters to rates: what two readings of a counter say, and when they say nothing.
//!
//! A rate that is not known is left out. A wrong one pages people, or hides that they should have been paged.

use super::SnmpValue;

/// A reading of a counter, with its width.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counter {
    Bits32(u32),
    Bits64(u64),
}

impl Counter {
    /// The counter in a value; gauges and integers count as counters of their width, as some agents type them so.
    pub fn of(value: &SnmpValue) -> Option<Counter> {
        match value {
            SnmpValue::Counter32(value) => Some(Counter::Bits32(*value)),
            SnmpValue::Counter64(value) => Some(Counter::Bits64(*value)),
            SnmpValue::Gauge(value) => Some(Counter::Bits64(*value)),
            SnmpValue::Integer(value) => u64::try_from(*value).ok().map(Counter::Bits64),
            SnmpValue::Ticks(_)
            | SnmpValue::Float(_)
            | SnmpValue::Bytes(_)
            | SnmpValue::Oid(_)
            | SnmpValue::Ip(_)
            | SnmpValue::Missing => None,
        }
    }
}

/// Values of a 32-bit counter.
const TURN_32: f64 = 4_294_967_296.0;
/// More than the medium can carry by so much is still taken: clocks and speeds are rounded.
const TOLERANCE: f64 = 1.25;

/// Counts a second between two readings. `rate_max` is the most that the medium can do, where it is known.
///
/// `None`: a reset, another width, no time between them, or a 32-bit counter that may have gone round more than once.
pub fn rate(before: Counter, after: Counter, seconds: f64, rate_max: Option<f64>) -> Option<f64> {
    if !(seconds.is_finite() && seconds > 0.0) {
        return None;
    }
    let limit = rate_max.filter(|max| max.is_finite() && *max > 0.0).map(|max| max * TOLERANCE);
    let grown = match (before, after) {
        // 2^64 octets take 4 years at 1 Tb/s: one that went back was reset. What it grew by, it grew by, whatever speed the
        // agent claims: that of virtual interfaces is often made up.
        (Counter::Bits64(before), Counter::Bits64(after)) => {
            return Some(after.checked_sub(before)? as f64 / seconds).filter(|rate| rate.is_finite());
        }
        (Counter::Bits32(before), Counter::Bits32(after)) => {
            // Where it can go round twice between readings, no difference means anything.
            if rate_max.is_some_and(|max| max * seconds >= TURN_32) {
                return None;
            }
            let is_round = after < before;
            // Without knowing what is possible, going round and starting anew look the same.
            if is_round && limit.is_none() {
                return None;
            }
            f64::from(after.wrapping_sub(before))
        }
        (Counter::Bits32(_), Counter::Bits64(_)) | (Counter::Bits64(_), Counter::Bits32(_)) => return None,
    };
    Some(grown / seconds).filter(|rate| rate.is_finite() && limit.is_none_or(|limit| *rate <= limit))
}

/// Ticks of sysUpTime in a full turn: it starts anew every 497 days.
const TURN_TICKS: f64 = TURN_32;
/// Ticks that the agent's clock and ours may disagree by: agents answer late, and cache.
const TICKS_SLACK: f64 = 6_000.0;

/// Whether the agent started anew between two readings of its uptime, `seconds` apart by our clock.
pub fn has_restarted(before_ticks: u32, after_ticks: u32, seconds: f64) -> bool {
    if after_ticks >= before_ticks {
        return false;
    }
    let expected = f64::from(before_ticks) + seconds * 100.0;
    let turned = f64::from(after_ticks) + TURN_TICKS;
    // Clocks of agents run a little wrong: a thousandth of the time between the readings is allowed on top.
    (turned - expected).abs() > TICKS_SLACK + seconds * 0.1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Counter::{Bits32, Bits64};

    #[test]
    fn rates_are_told_only_where_they_are_known() {
        const GIGABIT: Option<f64> = Some(125e6);
        const FAST: Option<f64> = Some(12.5e6);
        for (before, after, seconds, rate_max, wanted, why) in [
            (Bits64(100), Bits64(1100), 10.0, None, Some(100.0), "plain"),
            (Bits64(5), Bits64(5), 10.0, GIGABIT, Some(0.0), "idle"),
            (Bits64(1 << 40), Bits64(10), 10.0, GIGABIT, None, "reset"),
            (Bits64(0), Bits64(2_000_000_000), 10.0, GIGABIT, Some(2e8), "the speed that agents claim may be wrong"),
            (Bits32(u32::MAX - 99), Bits32(900), 10.0, FAST, Some(100.0), "went round once"),
            (Bits32(4_000_000), Bits32(10), 10.0, FAST, None, "a reset is no turn: 429 MB/s on 100 Mb/s"),
            (Bits32(4_000_000), Bits32(10), 10.0, None, None, "round or reset: not known"),
            (Bits32(10), Bits32(110), 10.0, None, Some(10.0), "grown"),
            (Bits32(10), Bits32(110), 60.0, GIGABIT, None, "it may have gone round"),
            (Bits32(10), Bits64(110), 10.0, GIGABIT, None, "another width"),
            (Bits64(10), Bits64(110), 0.0, None, None, "no time"),
            (Bits64(10), Bits64(110), -1.0, None, None, "time ran back"),
            (Bits64(10), Bits64(110), f64::NAN, None, None, "no time at all"),
            (Bits64(10), Bits64(110), 10.0, Some(0.0), Some(10.0), "a speed of 0 says nothing"),
        ] {
            assert_eq!(rate(before, after, seconds, rate_max), wanted, "{why}");
        }
    }

    #[test]
    fn a_restart_is_told_from_an_uptime_that_turns_over() {
        for (before, after, seconds, wanted, why) in [
            (1000, 7000, 60.0, false, "it ran on"),
            (1000, 1000, 0.0, false, "the same reading"),
            (900_000, 500, 60.0, true, "restarted"),
            (u32::MAX - 1000, 4999, 60.0, false, "497 days are over"),
            (u32::MAX - 1000, 500_000, 60.0, true, "restarted near the turn"),
            (u32::MAX, 0, 86_400.0, true, "a day without readings, then a restart"),
        ] {
            assert_eq!(has_restarted(before, after, seconds), wanted, "{why}");
        }
    }

    proptest! {
        #[test]
        fn a_true_rate_below_the_line_is_found_again(start in any::<u32>(), per_second in 0u32..12_000_000, seconds in 1u32..300) {
            let after = start.wrapping_add(per_second.wrapping_mul(seconds));
            let seen = rate(Bits32(start), Bits32(after), f64::from(seconds), Some(12.5e6));
            prop_assert_eq!(seen.map(|rate| (rate - f64::from(per_second)).abs() < 0.01), Some(true));
        }

        #[test]
        fn no_rate_is_negative_or_infinite(before in any::<u64>(), after in any::<u64>(), seconds in any::<f64>(), max in any::<Option<f64>>()) {
            for (before, after) in [(Bits64(before), Bits64(after)), (Bits32(before as u32), Bits32(after as u32))] {
                prop_assert!(rate(before, after, seconds, max).is_none_or(|rate| rate >= 0.0 && rate.is_finite()));
            }
        }
    }
}
