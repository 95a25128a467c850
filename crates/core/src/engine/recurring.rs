//! Recurring downtimes: the next occurrence of each is always planned as an ordinary window, so that everybody sees it
//! coming, may cancel it, and no process that slept loses it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Engine;
use super::downtime::CONFIGURATION;
use super::input::{DowntimeRequest, Spread};
use crate::catalog::{Catalog, Occurrence, Recurrence};
use crate::model::{Covers, Downtime, DowntimeKind, ObjectKey};
use crate::{Span, Timestamp};

/// A recurring downtime by its name, on one target.
pub(super) type Series = (Arc<str>, ObjectKey);

/// What ended is remembered this long after its recurring downtime left the configuration, in case that comes back.
const REMEMBERED: Span = Span::from_hours(24);

impl Engine {
    /// A window has ended or was cancelled: if it was an occurrence, it does not come back, and the next one is planned.
    pub(super) fn plan_after(&mut self, ended: &Downtime) {
        let Some(name) = &ended.recurring else { return };
        let series = (Arc::clone(name), ended.target.clone());
        let done = Occurrence { start: ended.start, end: ended.end };
        self.recurred.insert(series.clone(), done);
        let catalog = Arc::clone(&self.catalog);
        if let Some(recurrence) = recurrence(&catalog, &series) {
            self.plan_next(recurrence, &series);
        }
    }

    fn plan_next(&mut self, recurrence: &Recurrence, series: &Series) {
        let Some(next) = self.next_of(recurrence, series) else { return };
        let request = DowntimeRequest {
            target: series.1.clone(),
            covers: Covers::HostAndServices,
            kind: DowntimeKind::Fixed,
            triggered_by: None,
            spread: Spread::TargetOnly,
            start: next.start,
            end: next.end,
            author: CONFIGURATION.into(),
            comment: Arc::clone(&recurrence.comment),
        };
        self.plan(&request, Some(&recurrence.name));
    }

    fn next_of(&self, recurrence: &Recurrence, series: &Series) -> Option<Occurrence> {
        recurrence.next(&self.catalog.timeperiods, self.at, self.recurred.get(series).copied())
    }

    /// After a new catalog: what is planned and is not to come any more goes, what runs ends when it is to end now, and
    /// each series has its next occurrence. Nothing happens if nothing changed. What runs and left the configuration
    /// runs on, as other windows do.
    pub(super) fn fit_recurring(&mut self) {
        let catalog = Arc::clone(&self.catalog);
        let mut open: BTreeMap<Series, u64> = BTreeMap::new();
        let windows: Vec<Downtime> = self.downtimes.values().filter(|d| d.recurring.is_some()).cloned().collect();
        for window in windows {
            let Some(name) = &window.recurring else { continue };
            let series = (Arc::clone(name), window.target.clone());
            let recurrence = recurrence(&catalog, &series);
            if window.active {
                let end = recurrence.and_then(|r| r.end_of(&catalog.timeperiods, self.at, window.start));
                if let Some(end) = end.filter(|end| *end != window.end)
                    && let Some(kept) = Arc::make_mut(&mut self.downtimes).get_mut(&window.id)
                {
                    kept.end = end;
                }
                open.insert(series, window.id);
                continue;
            }
            let next = recurrence.and_then(|r| Some((r, self.next_of(r, &series)?)));
            if next.is_some_and(|(r, next)| r.comment == window.comment && is_same(next, &window, self.at)) {
                open.insert(series, window.id);
            } else {
                Arc::make_mut(&mut self.downtimes).remove(&window.id);
                self.remove_comment(window.comment_id);
            }
        }
        for recurrence in &catalog.recurring {
            for target in &recurrence.targets {
                let series = (Arc::clone(&recurrence.name), target.clone());
                if !open.contains_key(&series) {
                    self.plan_next(recurrence, &series);
                }
            }
        }
        let at = self.at;
        self.recurred.retain(|series, done| recurrence(&catalog, series).is_some() || done.end + REMEMBERED > at);
    }
}

/// Whether a planned window is that occurrence; one whose time has come may have begun without it.
fn is_same(next: Occurrence, window: &Downtime, at: Timestamp) -> bool {
    next.end == window.end && (next.start == window.start || (next.start <= at && window.start <= at))
}

fn recurrence<'a>(catalog: &'a Catalog, (name, target): &Series) -> Option<&'a Recurrence> {
    let named = catalog.recurring.iter().find(|recurrence| recurrence.name == *name);
    named.filter(|recurrence| recurrence.targets.binary_search(target).is_ok())
}
