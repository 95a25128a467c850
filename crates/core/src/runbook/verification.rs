//! What must be seen before a run is over: so many good results in a row of each check, all after the last step.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::ObjectKey;
use crate::{Span, Timestamp};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Good results in a row that each check owes.
    pub intervals: u16,
    /// Results observed after this count; `None` = steps are open.
    pub since: Option<Timestamp>,
    pub watches: Vec<Watch>,
    /// Checks that the runbook names and that the target does not have.
    pub unwatched: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    pub object: ObjectKey,
    /// Good results in a row.
    pub well: u16,
    /// When the newest counted result was observed.
    pub counted_at: Timestamp,
    /// What it said when it was last not well, after the last step.
    pub said: Arc<str>,
}

/// One result of a watched check.
pub struct Seen<'a> {
    pub object: &'a ObjectKey,
    pub observed_at: Timestamp,
    pub well: bool,
    /// Results closer than this are one look: asking three times in a second proves nothing.
    pub apart: Span,
    pub text: &'a str,
}

/// What a result did to the count.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Heard {
    Counted,
    /// It was well, and is not any more: the count begins anew.
    Broke,
}

impl Verification {
    /// Starts to count, from nothing.
    pub fn begin(&mut self, at: Timestamp) {
        self.since = Some(at);
        for watch in &mut self.watches {
            watch.well = 0;
            watch.counted_at = Timestamp::ZERO;
            watch.said = Arc::default();
        }
    }

    pub fn stop(&mut self) {
        self.since = None;
    }

    pub fn watch(&mut self, object: ObjectKey) {
        if !self.watches.iter().any(|watch| watch.object == object) {
            self.watches.push(Watch { object, well: 0, counted_at: Timestamp::ZERO, said: Arc::default() });
        }
    }

    pub fn watches(&self, object: &ObjectKey) -> bool {
        self.watches.iter().any(|watch| watch.object == *object)
    }

    /// Takes one result; `None` = it counts for nothing.
    pub fn see(&mut self, seen: &Seen<'_>) -> Option<Heard> {
        let since = self.since.filter(|since| seen.observed_at > *since)?;
        let watch = self.watches.iter_mut().find(|watch| watch.object == *seen.object)?;
        if !seen.well {
            let was = std::mem::replace(&mut watch.well, 0);
            watch.counted_at = seen.observed_at;
            watch.said = seen.text.into();
            return (was > 0).then_some(Heard::Broke);
        }
        let last = watch.counted_at.max(since);
        if watch.well > 0 && seen.observed_at.since(last) < seen.apart {
            return None;
        }
        watch.well = watch.well.saturating_add(1);
        watch.counted_at = seen.observed_at;
        Some(Heard::Counted)
    }

    /// Good results in a row of the check that has the fewest, and how many are needed.
    pub fn progress(&self) -> (u16, u16) {
        let fewest = self.watches.iter().map(|watch| watch.well.min(self.intervals)).min();
        match fewest {
            // Nothing is to be verified: nothing is called well.
            None => (0, 0),
            Some(fewest) => (if self.since.is_some() { fewest } else { 0 }, self.intervals),
        }
    }

    /// What has not been seen yet, in words.
    pub fn missing(&self) -> Vec<String> {
        if self.since.is_none() {
            return Vec::new();
        }
        let short = self.watches.iter().filter(|watch| watch.well < self.intervals);
        let mut missing: Vec<String> = short
            .map(|watch| {
                let name = name_of(&watch.object);
                let said =
                    if watch.said.is_empty() { String::new() } else { format!(" (last not well: {})", watch.said) };
                format!("verification: {name} was well {} of {} times in a row{said}", watch.well, self.intervals)
            })
            .collect();
        if self.watches.is_empty() && !self.unwatched.is_empty() {
            let names = self.unwatched.join(", ");
            missing.push(format!("verification: this target has none of the checks {names}"));
        }
        missing
    }
}

/// `clc1/clc port`
pub fn name_of(object: &ObjectKey) -> String {
    match &object.service {
        Some(service) => format!("{}/{service}", object.host),
        None => object.host.to_string(),
    }
}
