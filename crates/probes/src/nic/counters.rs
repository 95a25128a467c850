//! Counters of an interface (linux/if_link.h), and what they grew by between two looks.

use std::collections::BTreeMap;

/// Files below `statistics/` that are read.
pub(super) const STATISTICS: [&str; 14] = [
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "rx_crc_errors",
    "rx_frame_errors",
    "rx_missed_errors",
    "rx_fifo_errors",
    "tx_fifo_errors",
    "tx_carrier_errors",
    "tx_window_errors",
    "collisions",
];

pub(super) type Statistics = BTreeMap<&'static str, u64>;

/// What happened between two looks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Growth {
    pub flaps: u64,
    pub errors_per_min: f64,
    pub drops_per_min: f64,
    /// The kind of error that grew most.
    pub most_of: &'static str,
    pub rx_bytes_s: f64,
    pub tx_bytes_s: f64,
    crc: u64,
    late_collisions: u64,
}

/// `None`: no time between them, or a counter that went back: the driver was loaded anew, and nothing can be said.
pub(super) fn growth(
    before: &Statistics,
    after: &Statistics,
    carrier_changes: (Option<u64>, Option<u64>),
    seconds: f64,
) -> Option<Growth> {
    if !(seconds.is_finite() && seconds > 0.0) {
        return None;
    }
    let mut grown: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (name, now) in after {
        if let Some(was) = before.get(name) {
            grown.insert(name, now.checked_sub(*was)?);
        }
    }
    let by = |name: &str| grown.get(name).copied().unwrap_or(0);
    let per_min = |count: u64| count as f64 * 60.0 / seconds;
    let details =
        STATISTICS.iter().filter(|name| name.ends_with("_errors") && !matches!(**name, "rx_errors" | "tx_errors"));
    let most_of = details.max_by_key(|name| by(name)).filter(|name| by(name) > 0).copied().unwrap_or("rx or tx errors");
    // One change is a link that came or went and stays so; a flap is there and back again.
    let changes = match carrier_changes {
        (Some(was), Some(now)) => now.saturating_sub(was),
        _ => 0,
    };
    Some(Growth {
        flaps: changes / 2,
        errors_per_min: per_min(by("rx_errors").saturating_add(by("tx_errors"))),
        drops_per_min: per_min(by("rx_dropped").saturating_add(by("tx_dropped"))),
        most_of,
        rx_bytes_s: by("rx_bytes") as f64 / seconds,
        tx_bytes_s: by("tx_bytes") as f64 / seconds,
        crc: by("rx_crc_errors").saturating_add(by("rx_frame_errors")),
        late_collisions: by("tx_window_errors").saturating_add(by("collisions")),
    })
}

impl Growth {
    /// The marks that a duplex mismatch leaves: the half side sees collisions where there can be none, the full side
    /// frames that were cut by them.
    pub(super) fn duplex_hint(&self) -> Option<&'static str> {
        if self.late_collisions > 0 {
            return Some("collisions, which a full-duplex link cannot have: does the other side run half duplex?");
        }
        (self.crc > 0).then_some("broken frames: cable, transceiver, or the other side runs another duplex")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(pairs: &[(&'static str, u64)]) -> Statistics {
        pairs.iter().copied().collect()
    }

    #[test]
    fn rates_are_by_the_minute_and_a_reset_tells_none() {
        let before = counters(&[("rx_errors", 10), ("rx_crc_errors", 10), ("rx_bytes", 1000), ("tx_dropped", 0)]);
        let after = counters(&[("rx_errors", 40), ("rx_crc_errors", 35), ("rx_bytes", 31_000), ("tx_dropped", 15)]);
        let grown = growth(&before, &after, (Some(2), Some(7)), 30.0).expect("grown");
        assert_eq!((grown.errors_per_min, grown.drops_per_min, grown.flaps), (60.0, 30.0, 2));
        assert_eq!((grown.rx_bytes_s, grown.most_of), (1000.0, "rx_crc_errors"));
        assert!(grown.duplex_hint().is_some());
        assert_eq!(growth(&after, &before, (None, None), 30.0), None, "counters went back");
        for seconds in [0.0, -1.0, f64::NAN] {
            assert_eq!(growth(&before, &after, (None, None), seconds), None);
        }
    }
}
