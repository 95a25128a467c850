//! What is remembered of the numbers of a service: a few points of each series, dense where they are new and sparse where
//! they are old.

use serde::{Deserialize, Serialize};

use super::What;
use crate::Timestamp;
use crate::model::{Observation, Outcome};

/// Series of one service: a machine with more mounts is not remembered beyond them.
pub const SERIES_MAX: usize = 12;
/// Points of one series. At a point a minute the newer half is 20 minutes; each further halving reaches twice as far back.
pub const POINTS_MAX: usize = 40;
/// Points that are dropped when the series is full: every second of the older half.
const AGED: usize = POINTS_MAX / 2;
/// Older points say nothing of tomorrow.
const AGE_MAX_MS: i64 = 40 * 24 * 3_600_000;

/// The remembered numbers of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub label: String,
    /// Ascending in time.
    points: Vec<Point>,
}

/// Eight bytes instead of sixteen: a fleet has many of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    /// Tenths of a second since 1970-01-01, modulo 2^32 (13 years).
    tenths: u32,
    value: f32,
}

/// How a series runs, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Toward {
    /// Falls until nothing is left.
    Zero,
    /// Rises until this.
    Up(f64),
}

/// A kind of measurement that has an end: `free /var` of the probe `disk` runs to zero.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub probe: &'static str,
    /// Before the blank in the label.
    pub label: &'static str,
    pub what: What,
    pub toward: Toward,
}

pub const KINDS: [Kind; 8] = [
    Kind { probe: "disk", label: "free", what: What::Disk, toward: Toward::Zero },
    Kind { probe: "mdraid", label: "progress", what: What::Rebuild, toward: Toward::Up(100.0) },
    Kind { probe: "raid_controller", label: "progress", what: What::Rebuild, toward: Toward::Up(100.0) },
    Kind { probe: "drbd", label: "out_of_sync", what: What::Resync, toward: Toward::Zero },
    Kind { probe: "nut", label: "charge", what: What::Ups, toward: Toward::Zero },
    Kind { probe: "snmp_ups", label: "charge", what: What::Ups, toward: Toward::Zero },
    Kind { probe: "smart", label: "wear", what: What::DiskWear, toward: Toward::Up(100.0) },
    Kind { probe: "smart", label: "spare", what: What::DiskWear, toward: Toward::Zero },
];

pub fn is_remembered(probe: &str) -> bool {
    KINDS.iter().any(|kind| kind.probe == probe)
}

/// The kind of a measurement, and what it is of.
pub fn kind_of<'a>(probe: &str, label: &'a str) -> Option<(&'static Kind, &'a str)> {
    let (head, subject) = label.split_once(' ').unwrap_or((label, ""));
    KINDS.iter().find(|kind| kind.probe == probe && kind.label == head).map(|kind| (kind, subject))
}

/// Adds what an observation says of series that have an end. Results that say nothing leave everything as it is.
pub fn remember(samples: &mut Option<Box<Samples>>, probe: &str, observation: &Observation, at: Timestamp) {
    if observation.outcome != Outcome::Observed || !is_remembered(probe) {
        return;
    }
    for measured in &observation.measurements {
        let Some(value) = measured.value.filter(|value| value.is_finite()) else { continue };
        if kind_of(probe, &measured.label).is_some() {
            samples.get_or_insert_default().note(&measured.label, at, value);
        }
    }
}

impl Samples {
    pub fn series(&self, label: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.label == label)
    }

    fn note(&mut self, label: &str, at: Timestamp, value: f64) {
        if let Some(series) = self.series.iter_mut().find(|series| series.label == label) {
            series.push(at, value);
            return;
        }
        if self.series.len() >= SERIES_MAX {
            // A mount that came once and went must not keep others out for ever.
            let newest = |i: &usize| self.series[*i].newest(at).map(|(newest, _)| newest);
            let oldest = (0..self.series.len()).min_by_key(newest);
            let is_old = |i: &usize| newest(i).is_none_or(|newest| newest < at);
            let Some(oldest) = oldest.filter(is_old) else { return };
            self.series.remove(oldest);
        }
        let mut series = Series { label: label.to_owned(), points: Vec::new() };
        series.push(at, value);
        self.series.push(series);
    }
}

impl Series {
    fn push(&mut self, at: Timestamp, value: f64) {
        let newest = self.newest(at).map(|(newest, _)| newest);
        // Out of order, or the same instant again.
        if newest.is_some_and(|newest| at.as_millis() / 100 <= newest.as_millis() / 100) {
            return;
        }
        self.points.push(Point { tenths: (at.as_millis() / 100) as u32, value: value as f32 });
        let ages: Vec<i64> = self.points_at(at).map(|(then, _)| at.since(then).as_millis()).collect();
        let stale = ages.iter().take_while(|age| **age > AGE_MAX_MS).count();
        self.points.drain(..stale);
        if self.points.len() > POINTS_MAX {
            let mut place = 0;
            self.points.retain(|_| {
                place += 1;
                place > AGED || place % 2 == 1
            });
        }
    }

    /// The newest point, as seen at an instant not years away.
    pub fn newest(&self, now: Timestamp) -> Option<(Timestamp, f64)> {
        self.points.last().map(|point| (point.at(now), f64::from(point.value)))
    }

    /// All points, as seen at an instant not years away.
    pub fn points_at(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, f64)> + '_ {
        self.points.iter().map(move |point| (point.at(now), f64::from(point.value)))
    }
}

impl Point {
    /// The instant nearest to `near` that has these tenths.
    fn at(self, near: Timestamp) -> Timestamp {
        const ROUND: i64 = 1 << 32;
        let near_tenths = near.as_millis() / 100;
        let distance = (i64::from(self.tenths) - near_tenths).rem_euclid(ROUND);
        let distance = if distance > ROUND / 2 { distance - ROUND } else { distance };
        Timestamp::from_millis((near_tenths + distance) * 100)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_795_000_000_000;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_millis(START + s * 1000)
    }

    fn seen(label: &str, value: f64) -> Observation {
        Observation::observed("").measure(label, value, "B")
    }

    #[test]
    fn only_numbers_with_an_end_are_remembered() {
        let mut samples = None;
        remember(&mut samples, "disk", &seen("used_pct /", 3.0), at(0));
        remember(&mut samples, "http", &seen("free /", 3.0), at(0));
        remember(&mut samples, "disk", &seen("free /", f64::NAN), at(0));
        remember(&mut samples, "disk", &Observation::failed(crate::model::UnknownCause::Timeout, "x"), at(0));
        assert_eq!(samples, None);
        remember(&mut samples, "disk", &seen("free /var", 3.0), at(0));
        let series = samples.as_ref().and_then(|samples| samples.series("free /var")).expect("remembered");
        assert_eq!(series.newest(at(0)), Some((at(0), 3.0)));
    }

    #[test]
    fn a_full_series_keeps_its_newest_points_and_reaches_far_back() {
        let mut series = Series { label: "x".into(), points: Vec::new() };
        for i in 0..2000 {
            series.push(at(i * 60), i as f64);
        }
        let points: Vec<(Timestamp, f64)> = series.points_at(at(200_000)).collect();
        assert!(points.len() <= POINTS_MAX && points.len() > AGED, "{}", points.len());
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(
            points.iter().rev().take(AGED).zip((0..2000).rev()).all(|((_, v), i)| *v == f64::from(i)),
            "{points:?}"
        );
        assert!(points[0].1 < 200.0, "{points:?}");
        assert!(points.iter().all(|(then, v)| *then == at(*v as i64 * 60)));
    }

    #[test]
    fn what_comes_late_or_twice_or_after_weeks_changes_nothing_old() {
        let mut series = Series { label: "x".into(), points: Vec::new() };
        series.push(at(100), 1.0);
        series.push(at(50), 2.0);
        series.push(at(100), 3.0);
        assert_eq!(series.points_at(at(100)).collect::<Vec<_>>(), [(at(100), 1.0)]);
        series.push(at(41 * 24 * 3600), 4.0);
        assert_eq!(series.points.len(), 1, "forty days are enough");
    }

    #[test]
    fn a_series_that_ended_makes_room() {
        let mut samples = Samples::default();
        for i in 0..SERIES_MAX as i64 {
            samples.note(&format!("free /{i}"), at(i), 1.0);
        }
        samples.note("free /new", at(1000), 1.0);
        assert!(samples.series("free /0").is_none() && samples.series("free /new").is_some());
        assert_eq!(samples.series.len(), SERIES_MAX);
    }

    proptest! {
        #[test]
        fn points_stay_few_and_in_order(steps in proptest::collection::vec((-50i64..100_000, any::<f32>()), 0..300)) {
            let mut series = Series { label: "x".into(), points: Vec::new() };
            let mut now = START;
            for (step, value) in steps {
                now = (now + step * 100).max(0);
                series.push(Timestamp::from_millis(now), f64::from(value));
                let newest = series.newest(Timestamp::from_millis(now)).expect("one");
                let seen: Vec<_> = series.points_at(newest.0).map(|(at, _)| at).collect();
                prop_assert!(seen.len() <= POINTS_MAX);
                prop_assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", seen);
            }
        }
    }
}
