//! Ends read from how a number has moved: the median of all slopes between two points (Theil and Sen), which a few wild
//! points do not bend, over what came after the last clean-up.

use super::samples::{Kind, Samples, Toward, kind_of};
use super::{Basis, TimeLeft, What};
use crate::model::Value;
use crate::sight::Seen;
use crate::{Span, Timestamp};

/// Fewer points are no trend.
const POINTS_MIN: usize = 6;
/// Newest points that are a trend of their own: what began an hour ago must not drown in quiet weeks.
const NEWEST: usize = 12;
/// A step against the trend by this share of what was left is a clean-up (or a new rebuild), and all before it is over.
const RESET_SHARE: f64 = 0.25;
/// Share of the slopes that must point the same way.
const AGREEMENT_MIN: f64 = 0.75;
/// A trend is told for at most so many times as long as it was seen.
const REACH: f64 = 24.0;
/// What a number alone promises at best.
const TRUST_MAX: f64 = 0.9;

/// Trends of what nobody told the end of.
pub(super) fn read(seen: &Seen<'_>, samples: &Samples, told: &[TimeLeft]) -> Vec<TimeLeft> {
    let is_told = |what: What| told.iter().any(|left| left.what == what);
    let kinds = seen.observation.measurements.iter().filter_map(|measured| {
        let (kind, subject) = kind_of(seen.probe, &measured.label)?;
        Some((kind, subject, samples.series(&measured.label)?))
    });
    let ends = kinds.filter(|(kind, ..)| !is_told(kind.what) && is_running(seen, kind)).filter_map(
        |(kind, subject, series)| {
            let points: Vec<(Timestamp, f64)> = series.points_at(seen.row.last_check).collect();
            let end = end_of(&points, kind.toward)?;
            let subject = if subject.is_empty() { seen.name.to_string() } else { subject.to_owned() };
            Some(TimeLeft {
                what: kind.what,
                subject,
                at: end.at,
                basis: Basis::Trend,
                confidence: end.confidence,
                why: words(kind, &end),
                service: seen.service,
            })
        },
    );
    ends.collect()
}

/// Whether the series means what it seems to: a charge that falls counts on battery only, progress only of a rebuild.
fn is_running(seen: &Seen<'_>, kind: &Kind) -> bool {
    match kind.what {
        What::Ups => {
            seen.text("power") == Some("battery") || seen.facts().get("on_battery").and_then(Value::bool) == Some(true)
        }
        What::Rebuild if seen.probe == "mdraid" => {
            matches!(seen.text("operation"), Some("recovery" | "reshape"))
        }
        What::Disk
        | What::DatabaseLog
        | What::Certificate
        | What::Signature
        | What::DiskWear
        | What::Rebuild
        | What::Resync => true,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct End {
    pub at: Timestamp,
    pub confidence: f64,
    /// Of the number a second, always toward the end.
    pub speed: f64,
    /// For how long the trend was seen.
    pub span: Span,
}

/// Where the points lead, the sooner of the long trend and the newest one.
pub(super) fn end_of(points: &[(Timestamp, f64)], toward: Toward) -> Option<End> {
    let (newest_at, newest) = *points.last()?;
    let left_now = left(newest, toward);
    if left_now <= 0.0 && toward == Toward::Zero && points.len() > 1 && left(points[0].1, toward) > 0.0 {
        return Some(End { at: newest_at, confidence: TRUST_MAX, speed: 0.0, span: newest_at.since(points[0].0) });
    }
    let run = after_reset(points, toward);
    let newest_points = &run[run.len().saturating_sub(NEWEST)..];
    let ends = [trend(run, toward), trend(newest_points, toward)];
    ends.into_iter().flatten().min_by_key(|end| end.at)
}

/// How much of it is left.
fn left(value: f64, toward: Toward) -> f64 {
    match toward {
        Toward::Zero => value,
        Toward::Up(end) => end - value,
    }
}

fn after_reset(points: &[(Timestamp, f64)], toward: Toward) -> &[(Timestamp, f64)] {
    let is_reset = |pair: &[(Timestamp, f64)]| {
        let (before, after) = (left(pair[0].1, toward), left(pair[1].1, toward));
        after - before > RESET_SHARE * before.max(f64::MIN_POSITIVE)
    };
    let last = points.windows(2).rposition(is_reset).map_or(0, |at| at + 1);
    &points[last..]
}

fn trend(points: &[(Timestamp, f64)], toward: Toward) -> Option<End> {
    if points.len() < POINTS_MIN {
        return None;
    }
    let ((first, _), (last, newest)) = (*points.first()?, *points.last()?);
    let span = last.since(first);
    let mut slopes: Vec<f64> = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    for (i, (then, was)) in points.iter().enumerate() {
        for (now, is) in &points[i + 1..] {
            let seconds = now.since(*then).as_secs_f64();
            if seconds > 0.0 {
                slopes.push((left(*was, toward) - left(*is, toward)) / seconds);
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    let speed = *slopes.get(slopes.len() / 2)?;
    if speed <= 0.0 {
        return None;
    }
    let agreement = slopes.iter().filter(|slope| **slope > 0.0).count() as f64 / slopes.len() as f64;
    let seconds = left(newest, toward).max(0.0) / speed;
    let reach = seconds / span.as_secs_f64();
    if agreement < AGREEMENT_MIN || !reach.is_finite() || reach > REACH {
        return None;
    }
    // The further it is read beyond what was seen, the less it is worth.
    let confidence = (agreement * (1.0 - 0.5 * reach / REACH)).min(TRUST_MAX);
    Some(End { at: last + Span::from_millis((seconds * 1000.0) as i64), confidence, speed, span })
}

/// `falls by 1.2 GB an hour, seen for 3h`
fn words(kind: &Kind, end: &End) -> String {
    let (verb, amount) = match kind.what {
        What::Disk | What::Resync => ("falls", bytes(end.speed * 3600.0)),
        What::Ups | What::DatabaseLog | What::Certificate | What::Signature | What::DiskWear | What::Rebuild => {
            let verb = if kind.toward == Toward::Zero { "falls" } else { "rises" };
            (verb, format!("{} %", round(end.speed * 3600.0)))
        }
    };
    // Whole seconds: finer is noise.
    let span = Span::from_secs(end.span.as_millis() / 1000);
    format!("{verb} by {amount} an hour, seen for {span}")
}

fn bytes(bytes: f64) -> String {
    const UNITS: [(&str, f64); 4] = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match UNITS.iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{} {unit}", round(bytes / size)),
        None => format!("{bytes:.0} B"),
    }
}

/// Two digits that count.
fn round(number: f64) -> String {
    if number >= 10.0 { format!("{number:.0}") } else { format!("{number:.1}") }
}
