//! Whether what a check says comes and goes: its last 21 words as well or amiss, by the weights and thresholds of Nagios
//! (specification 10, section 6).

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::diagnosis::{FLAPPING, Signal, tells_trouble};
use crate::model::Value;
use crate::status::flapping::FlapHistory;

/// Percent of change at which flapping begins, and at which it is over.
const START: f64 = 20.0;
const STOP: f64 = 5.0;
/// Codes of the history: Nagios's OK and CRITICAL.
const WELL: u8 = 0;
const AMISS: u8 = 2;

/// One voice that did not always say the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flips {
    history: FlapHistory,
    /// What it said last when it told trouble.
    bad: Value,
    /// When it began to flap; means nothing while it does not.
    since: Timestamp,
}

impl Flips {
    pub fn is_flapping(&self) -> bool {
        self.history.flapping
    }

    /// What the classifier hears of it, beside the word of the moment.
    pub fn signal(&self, template: &Signal) -> Signal {
        let told = [("sig", Value::from(&*template.sig)), ("value", self.bad.clone())];
        Signal { sig: FLAPPING.into(), value: told.into_iter().collect(), changed_at: self.since, ..template.clone() }
    }

    /// Nothing of the last 21 words differs any more.
    fn is_at_rest(&self) -> bool {
        self.history.percent == 0.0 && !self.history.flapping
    }

    fn record(&mut self, bad: Option<&Value>, at: Timestamp) {
        self.history.record(if bad.is_some() { AMISS } else { WELL });
        if let Some(bad) = bad {
            self.bad.clone_from(bad);
        }
        let percent = self.history.change_percent();
        if percent <= STOP {
            self.history.flapping = false;
        } else if percent >= START && bad.is_some() && !self.history.flapping {
            // Not with the end of a failure: whoever has just mended it twice is not told that it is broken.
            self.history.flapping = true;
            self.since = at;
        }
    }
}

/// Takes the newest words of a voice into its history; true if it began or ceased to flap. One that never changes has none.
pub(super) fn note(flips: &mut Option<Box<Flips>>, template: &Signal, old: Option<&[Value]>, new: &[Value]) -> bool {
    let bad = |values: &[Value]| values.iter().find(|value| tells_trouble(&template.sig, value)).cloned();
    let (Some(old), now) = (old, bad(new)) else { return false };
    let at = template.observed_at;
    let kept = match flips {
        Some(kept) => kept,
        None => {
            let was = bad(old);
            if was.is_some() == now.is_some() {
                return false;
            }
            let history = FlapHistory::steady(if was.is_some() { AMISS } else { WELL });
            let told = was.or_else(|| now.clone()).unwrap_or(Value::Null);
            flips.insert(Box::new(Flips { history, bad: told, since: at }))
        }
    };
    let before = kept.is_flapping();
    kept.record(now.as_ref(), at);
    let turned = before != kept.is_flapping();
    if kept.is_at_rest() {
        *flips = None;
    }
    turned
}

/// What was told, and that it flaps if it does.
pub(super) fn with(said: &Signal, flips: Option<&Flips>) -> impl Iterator<Item = Signal> {
    let flapping = flips.filter(|flips| flips.is_flapping()).map(|flips| flips.signal(said));
    std::iter::once(said.clone()).chain(flapping)
}
