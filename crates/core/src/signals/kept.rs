//! The classifier of one group, kept from one look to the next and told only what was said in between.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Group, flips};
use crate::diagnosis::{Classifier, Diagnosis, Signal, Timing};
use crate::model::Value;
use crate::{Span, Timestamp};

/// Sources of the classifier: voices by their number, then what was told directly, then downtimes.
const TOLD: u64 = 1 << 40;
const DOWNTIME: u64 = 1 << 41;

/// Hosts in downtime, each with the beginnings of its downtimes.
pub type Maintained = BTreeMap<Arc<str>, Vec<Timestamp>>;

/// Not part of what a group is: a copy of the group starts from nothing and says the same.
#[derive(Default)]
pub(super) struct Kept {
    classifier: Option<Classifier>,
    /// Voices that spoke since the last look, each once.
    pub voices: Vec<u32>,
    pub told: Vec<usize>,
    /// Hosts in downtime as the classifier knows them, and when it was told.
    maintained: BTreeMap<Arc<str>, (Vec<Timestamp>, Timestamp)>,
}

impl Kept {
    /// Everything may have changed.
    pub fn forget(&mut self) {
        *self = Kept::default();
    }
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        Kept::default()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("is_built", &self.classifier.is_some()).finish_non_exhaustive()
    }
}

impl Group {
    /// What the signals mean at present.
    pub fn diagnose(&mut self, at: Timestamp, timing: &Timing, maintained: &Maintained) -> Diagnosis {
        let Kept { classifier, voices, told, maintained: known } = &mut self.kept;
        if classifier.is_none() {
            *voices = (0..self.voices.len() as u32).collect();
            *told = (0..self.told.len()).collect();
        }
        let classifier = classifier.get_or_insert_with(|| Classifier::new(&self.topology));
        for voice in voices.drain(..) {
            let Some(speaker) = self.voices.get_mut(voice as usize) else { continue };
            speaker.is_news = false;
            classifier.say(voice.into(), speaker.template.host.as_ref(), speaker.signals());
        }
        for index in told.drain(..) {
            if let Some(said) = self.told.get(index) {
                let words = flips::with(said, self.told_flips.get(&index).map(Box::as_ref));
                classifier.say(TOLD + index as u64, said.host.as_ref(), words);
            }
        }
        known.retain(|host, _| {
            let stays = maintained.contains_key(host);
            if !stays {
                classifier.say(DOWNTIME, Some(host), []);
            }
            stays
        });
        for (host, since) in maintained.iter().filter(|(host, _)| self.topology.hosts.contains_key(*host)) {
            // It is said again before it could be taken for old.
            let is_known = known.get(host).is_some_and(|(held, said)| {
                held == since && *said <= at && at.since(*said) * 2 < timing.ageing.min(timing.fresh_floor)
            });
            if !is_known {
                classifier.say(DOWNTIME, Some(host), since.iter().map(|since| downtime(host, *since, at)));
                known.insert(Arc::clone(host), (since.clone(), at));
            }
        }
        classifier.diagnose(at, timing)
    }
}

fn downtime(host: &Arc<str>, since: Timestamp, at: Timestamp) -> Signal {
    Signal {
        host: Some(Arc::clone(host)),
        component: None,
        sig: "maintenance".into(),
        value: Value::Bool(true),
        vantage: None,
        observed_at: at,
        changed_at: since,
        every: Span::ZERO,
    }
}
