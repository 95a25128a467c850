//! Ends that the thing itself tells: a date, a run time, its own estimate.

use super::{Basis, TimeLeft, What};
use crate::model::Value;
use crate::sight::{Seen, Sight};
use crate::{Span, Timestamp};

/// A UPS guesses from its load of this moment.
const UPS_TRUST: f64 = 0.8;
/// A driver knows its speed of the last seconds, not the load of the next.
const COPY_TRUST: f64 = 0.7;
/// Growth of the last hour.
const GROWTH_TRUST: f64 = 0.7;
/// A date is a date.
const CERTAIN: f64 = 1.0;
/// Further away than this nobody is at work on it (10 years): a nonsense of the device.
const FAR_S: f64 = 10.0 * 366.0 * 86_400.0;

/// Facts that tell an end.
const FACTS: [&str; 12] = [
    "outage_s",
    "minutes_left",
    "runtime_s",
    "finish_min",
    "resync_left_s",
    "left_s",
    "binlog_full_s",
    "wal_full_s",
    "tls_days_left",
    "chain_days_left",
    "signature_left_s",
    "recovery_left_s",
];

pub(super) fn may_tell(seen: &Seen<'_>) -> bool {
    FACTS.iter().any(|fact| seen.facts().contains_key(fact))
}

pub(super) fn read(sight: &Sight<'_>, seen: &Seen<'_>) -> Vec<TimeLeft> {
    let mut left = Vec::new();
    left.extend(ups(sight, seen));
    left.extend(copies(seen));
    for (fact, log) in [("binlog_full_s", "binary log"), ("wal_full_s", "write-ahead log")] {
        let why = "grows as in the last hour".to_owned();
        left.extend(after(seen, What::DatabaseLog, log, seen.number(fact), GROWTH_TRUST, why));
    }
    left.extend(certificate(seen));
    let zone = seen.number("signature_left_s");
    left.extend(after(seen, What::Signature, "DNSSEC", zone, CERTAIN, "the first signature ends then".to_owned()));
    left
}

/// The battery, while it carries the load.
fn ups(sight: &Sight<'_>, seen: &Seen<'_>) -> Option<TimeLeft> {
    let on_battery = seen.text("power") == Some("battery")
        || seen.facts().get("on_battery").and_then(Value::bool) == Some(true)
        || seen.text("source") == Some("battery");
    if !on_battery {
        return None;
    }
    let minutes = seen.number("minutes_left").map(|minutes| minutes * 60.0);
    let seconds = seen.number("outage_s").or_else(|| seen.number("runtime_s")).or(minutes);
    let name = seen.text("ups").unwrap_or(&sight.host(seen.host).name);
    after(seen, What::Ups, name, seconds, UPS_TRUST, "on battery; the UPS says how long".to_owned())
}

/// Arrays and replicas that are being filled, by the estimate of who fills them.
fn copies(seen: &Seen<'_>) -> Option<TimeLeft> {
    let (what, seconds, subject) = match seen.probe {
        // A check or a first resync endangers nothing.
        "mdraid" if matches!(seen.text("operation"), Some("recovery" | "reshape")) => {
            let array = seen.facts().get("raid").and_then(|raid| raid.get("vd")).and_then(Value::text);
            (What::Rebuild, seen.number("finish_min").map(|minutes| minutes * 60.0), array.unwrap_or("array"))
        }
        "zfs" => (What::Rebuild, seen.number("left_s"), "pool"),
        "ceph" => (What::Rebuild, seen.number("recovery_left_s"), "placement groups"),
        "drbd" => (What::Resync, seen.number("resync_left_s"), "replica"),
        _ => return None,
    };
    after(seen, what, subject, seconds, COPY_TRUST, "its own estimate".to_owned())
}

/// The server's certificate, or one above it that ends earlier.
fn certificate(seen: &Seen<'_>) -> Option<TimeLeft> {
    const DAY_S: f64 = 86_400.0;
    let end = seen.text("tls_not_after").and_then(|text| Timestamp::from_rfc3339(text).ok());
    let own = end.map(|end| end.since(seen.row.last_check).as_secs_f64());
    let own = own.or_else(|| seen.number("tls_days_left").map(|days| days * DAY_S));
    let chain = seen.number("chain_days_left").map(|days| days * DAY_S);
    let subject = seen.text("subject").unwrap_or("certificate");
    match (own, chain) {
        // Days are whole: only a day's difference tells another certificate.
        (Some(own), Some(chain)) if chain + DAY_S < own => {
            let first = seen.text("chain_first").unwrap_or("chain");
            after(seen, What::Certificate, first, Some(chain), CERTAIN, "it ends first in the chain".to_owned())
        }
        (own, chain) => after(seen, What::Certificate, subject, own.or(chain), CERTAIN, "its own date".to_owned()),
    }
}

fn after(
    seen: &Seen<'_>,
    what: What,
    subject: &str,
    seconds: Option<f64>,
    confidence: f64,
    why: String,
) -> Option<TimeLeft> {
    // What ended is told with its own date, so a few days back are let in.
    let seconds = seconds.filter(|seconds| seconds.is_finite() && seconds.abs() < FAR_S)?;
    let at = seen.row.last_check + Span::from_millis((seconds * 1000.0) as i64);
    Some(TimeLeft { what, subject: subject.to_owned(), at, basis: Basis::Told, confidence, why, service: seen.service })
}
