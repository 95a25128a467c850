//! One installation over time: faults come and go, results arrive late and in any order. The classifier that remembers
//! must say at each moment what the one says that starts from nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::diagnosis::{Classifier, Signal, Timing, diagnose};
use stentor_core::{Span, Timestamp};

use super::chance::Chance;
use super::reality::Reality;
use super::shape::Shape;
use super::{checks, faults};

const STEPS: usize = 12;

/// Everything that is said at present, by its source.
struct Told {
    by: BTreeMap<u64, Signal>,
    numbers: BTreeMap<String, u64>,
}

impl Told {
    /// Each check of each thing is a source.
    fn number(&mut self, signal: &Signal) -> u64 {
        let thing: Vec<String> = ["id", "name", "vd", "res"]
            .iter()
            .filter_map(|key| signal.value.get(key).map(ToString::to_string))
            .collect();
        let name = format!("{:?} {:?} {} {:?} {thing:?}", signal.host, signal.component, signal.sig, signal.vantage);
        let next = self.numbers.len() as u64;
        *self.numbers.entry(name).or_insert(next)
    }
}

pub fn run(seed: u64) {
    let mut chance = Chance::new(seed ^ 0xA5A5);
    let shape = Shape::draw(&mut chance);
    let topology = shape.topology();
    let mut classifier = Classifier::new(&topology);
    let mut told = Told { by: BTreeMap::new(), numbers: BTreeMap::new() };
    let (mut now, timing) = (checks::NOW, Timing::default());
    for step in 0..STEPS {
        let struck = if chance.percent(70) { faults::draw(&shape, &mut chance) } else { Vec::new() };
        let truth = Reality::of(&shape, &struck);
        let clear = chance.percent(50);
        let share = chance.pick(&[3, 30, 100]);
        for mut signal in checks::watch(&shape, &truth, clear, &mut chance) {
            if !chance.percent(share) {
                continue;
            }
            let ago = |then: Timestamp| checks::NOW.since(then);
            signal.observed_at = now - ago(signal.observed_at);
            signal.changed_at = now - ago(signal.changed_at);
            let source = told.number(&signal);
            if chance.percent(3) {
                classifier.say(source, signal.host.as_ref(), []);
                told.by.remove(&source);
            } else {
                classifier.say(source, signal.host.as_ref(), [signal.clone()]);
                told.by.insert(source, signal);
            }
        }
        // Mostly on, at times not at all, rarely a clock that was set back.
        now = match chance.between(0, 9) {
            0 => now - Span::from_secs(chance.between(1, 400)),
            1 | 2 => now,
            3 => now + Span::from_millis(chance.between(0, 3)),
            _ => now + Span::from_secs(chance.between(1, 90)),
        };
        let signals: Vec<Signal> = told.by.values().cloned().collect();
        let (full, quick) = (diagnose(&topology, &signals, now, &timing), classifier.diagnose(now, &timing));
        assert_eq!(full, quick, "seed {seed} step {step} {struck:?}");
    }
    let nobody: Arc<str> = Arc::from("nobody");
    classifier.say(u64::MAX, Some(&nobody), []);
}
