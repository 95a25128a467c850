//! One classifier for each cloud that is asked again and again: it is told only what an assumption changes, and afterwards
//! that nothing was meant.

use super::sketch::{Said, Sketch};
use crate::Timestamp;
use crate::catalog::Catalog;
use crate::diagnosis::{Classifier, Diagnosis, Signal, Timing};

/// Everything about one host comes from one source: where nothing else is said, of the same number.
const SOURCE: u64 = 0;

/// The classifier of one cloud over the signals of the world before the assumption.
pub(super) struct Trial<'a> {
    classifier: Classifier,
    below: &'a Said,
    at: Timestamp,
    timing: Timing,
}

impl<'a> Trial<'a> {
    pub fn new(catalog: &Catalog, cloud: usize, below: &'a Said, at: Timestamp) -> Trial<'a> {
        let mut timing = Timing::default().at_pace(catalog.timing.pace);
        timing.fresh_floor = catalog.timing.fresh_floor;
        let mut classifier = Classifier::new(&catalog.clouds[cloud].topology);
        for (host, signals) in below {
            classifier.say(SOURCE, host.as_ref(), signals.iter().cloned());
        }
        Trial { classifier, below, at, timing }
    }

    /// What the sketch would mean.
    pub fn diagnose(&mut self, sketch: &Sketch<'_>) -> Diagnosis {
        self.say(sketch, |host| sketch.over.get(host).map_or(&[], Vec::as_slice));
        self.classifier.diagnose(self.at, &self.timing)
    }

    /// Nothing of it was meant.
    pub fn forget(&mut self, sketch: &Sketch<'_>) {
        let below = self.below;
        self.say(sketch, |host| below.get(host).map_or(&[], Vec::as_slice));
    }

    pub fn present(&mut self) -> Diagnosis {
        self.classifier.diagnose(self.at, &self.timing)
    }

    fn say<'s>(&mut self, sketch: &Sketch<'_>, of: impl Fn(&Option<std::sync::Arc<str>>) -> &'s [Signal]) {
        for host in sketch.over.keys() {
            self.classifier.say(SOURCE, host.as_ref(), of(host).iter().cloned());
        }
    }
}
