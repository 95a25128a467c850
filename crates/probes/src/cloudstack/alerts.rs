//! What CloudStack has alerted of: since the last look, and lately of one thing. It supports what others see, no more.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use stentor_core::model::{Observation, Value};
use stentor_core::{Span, Timestamp};
use stentor_wire::cloudstack::Alert;

use super::super::talk::shown;
use super::call::{ALERTS, Listing};

/// Alerts that one look asks for, the newest.
pub const NEWEST_MAX: u32 = 100;
/// Alerts in one fact.
const SHOWN_MAX: usize = 20;
/// An alert speaks for a failure of now for so long; CloudStack itself investigates for up to ten minutes.
const LATELY: Span = Span::from_mins(15);
/// Targets whose last look is remembered.
const LOOKS_MAX: usize = 256;

/// What each target was told at its last look.
#[derive(Default)]
pub struct Heard(Mutex<HashMap<Arc<str>, HashSet<String>>>);

impl Heard {
    /// Of these, what was not there at the last look; at a first look nobody knows what is new.
    fn since_last(&self, who: &Arc<str>, alerts: &[Alert]) -> Vec<Alert> {
        // The same alert is sent again under its old id.
        let mark = |alert: &Alert| format!("{} {}", alert.id, alert.sent);
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= LOOKS_MAX && !heard.contains_key(who) {
            heard.clear();
        }
        match heard.insert(Arc::clone(who), alerts.iter().map(mark).collect()) {
            Some(before) => alerts.iter().filter(|alert| !before.contains(&mark(alert))).cloned().collect(),
            None => Vec::new(),
        }
    }

    /// Facts `alerts` and `alerts_new`: nothing where the list did not come.
    pub fn of_cloud(&self, seen: Observation, listings: &[Listing], who: &Arc<str>) -> Observation {
        let Some(alerts) = read(listings) else { return seen };
        let new = self.since_last(who, &alerts);
        let record = |alert: &Alert| -> Value {
            let all = [("type", alert.kind()), ("description", &alert.description), ("sent", &alert.sent)];
            all.into_iter().map(|(name, value)| (name.to_owned(), Value::from(shown(value)))).collect()
        };
        let records: Vec<Value> = new.iter().take(SHOWN_MAX).map(record).collect();
        seen.fact("alerts_new", new.len()).fact("alerts", records)
    }
}

/// The fact `alert`: what was alerted of this thing lately, newest first; missing where there was nothing.
pub fn of_thing(seen: Observation, listings: &[Listing], names: &[&str], now: Timestamp) -> Observation {
    let Some(alerts) = read(listings) else { return seen };
    let lately = |alert: &&Alert| {
        let sent = Timestamp::from_rfc3339(&alert.sent).ok();
        sent.is_some_and(|sent| now.since(sent) <= LATELY && sent.since(now) <= LATELY)
    };
    let of_it = alerts.iter().filter(lately).filter(|alert| names.iter().any(|name| alert.names(name)));
    let told: Vec<String> = of_it
        .take(SHOWN_MAX)
        .map(|alert| shown(&format!("{} {}: {}", alert.kind(), alert.sent, alert.description)))
        .collect();
    if told.is_empty() { seen } else { seen.fact("alert", told) }
}

/// `None` where the list was refused.
fn read(listings: &[Listing]) -> Option<Vec<Alert>> {
    let listing = listings.iter().find(|one| one.command == ALERTS && one.refusal.is_none())?;
    Some(listing.items.iter().filter_map(Alert::read).collect())
}
