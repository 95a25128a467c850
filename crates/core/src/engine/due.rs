//! When time alone will next change something: lets virtual time jump over what is quiet.

use std::sync::Arc;

use super::Engine;
use crate::catalog::Catalog;
use crate::id::ObjectId;
use crate::model::{Downtime, Incident, Phase};
use crate::signals::REDIAGNOSE_AFTER;
use crate::snapshot::{Detail, Flags, Row};
use crate::{Span, Timestamp};

/// Timeperiods begin and end on full minutes.
const PERIOD_STEP: Span = Span::from_mins(1);

impl Engine {
    /// The earliest instant at which a tick may do anything, `at` itself where work is left from the newest input.
    /// It may be too early, never too late. `None` = time changes nothing any more.
    pub fn next_due(&self) -> Option<Timestamp> {
        let unsettled =
            self.problems_dirty || self.board.groups.iter().any(|group| group.dirty) || self.tracker.is_waiting();
        if unsettled {
            return Some(self.at);
        }
        let released = |object: &ObjectId| self.row(*object).flags.has(Flags::RELEASED);
        if self.problems.iter().any(released) {
            return Some(self.at);
        }
        let again = REDIAGNOSE_AFTER.at_pace(self.catalog.timing.pace);
        let groups =
            self.board.groups.iter().filter(|group| !group.is_silent()).map(|group| group.diagnosed_at + again);
        let windows = self.downtimes.values().map(|downtime| self.next_turn(downtime));
        let expiry = self.expiries.peek().map(|entry| entry.0.0);
        let ack = self.ack_ends.first().map(|(until, _)| *until);
        let comments = self.comments.values().filter_map(|comment| comment.expires);
        let planned = self.planned.values().map(|check| check.at);
        groups.chain(planned).chain(windows).chain(expiry).chain(ack).chain(comments).chain(self.next_page()).min()
    }

    /// When time alone next starts or ends a window; a failure may start it earlier.
    fn next_turn(&self, downtime: &Downtime) -> Timestamp {
        let starts = !downtime.active && downtime.triggered_by.is_none() && self.at < downtime.start;
        if starts || downtime.may_start(self.at, false) { downtime.start } else { downtime.over_at() }
    }

    /// When an open incident may next be told, or its acknowledgement end.
    fn next_page(&self) -> Option<Timestamp> {
        let live = self.tracker.live().filter_map(|(_, live)| self.tracker.get(live.number));
        let open: Vec<&Arc<Incident>> = live.filter(|incident| incident.phase == Phase::Open).collect();
        let acks = open.iter().filter_map(|incident| incident.ack.as_ref()?.until);
        let pages = open.iter().filter_map(|incident| self.ledger.next_renotify(&self.catalog, incident));
        let minute = has_periods(&self.catalog) && !open.is_empty();
        let period = minute.then(|| {
            let step = PERIOD_STEP.as_millis();
            Timestamp::from_millis((self.at.as_millis().div_euclid(step) + 1) * step)
        });
        acks.chain(pages).chain(period).min()
    }

    pub fn row(&self, object: ObjectId) -> &Row {
        match object {
            ObjectId::Host(id) => &self.hosts[id.index()],
            ObjectId::Service(id) => &self.services[id.index()],
        }
    }

    pub fn detail(&self, object: ObjectId) -> &Detail {
        match object {
            ObjectId::Host(id) => &self.host_details[id.index()],
            ObjectId::Service(id) => &self.service_details[id.index()],
        }
    }

    pub fn incident(&self, number: u64) -> Option<&Arc<Incident>> {
        self.tracker.get(number)
    }

    pub fn comments(&self) -> &std::collections::BTreeMap<u64, crate::model::Comment> {
        &self.comments
    }

    pub fn downtimes(&self) -> &std::collections::BTreeMap<u64, Downtime> {
        &self.downtimes
    }
}

fn has_periods(catalog: &Catalog) -> bool {
    catalog.contacts.iter().any(|contact| contact.period.is_some())
        || catalog.routes.iter().any(|route| route.period.is_some())
        || catalog.nagios.dependencies.iter().any(|dependency| dependency.period.is_some())
}
