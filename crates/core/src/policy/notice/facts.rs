//! Fills in the cases of the stages from the catalog, the rows and the tracks, of the engine or of a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contact::{ContactCase, Of};
use super::dependency::{Judge, Purpose};
use super::object::{HostFacts, ObjectCase, ObjectFacts};
use super::recipients::{self, Ask, Recipients};
use super::{Hold, Window, first_hold, object};
use crate::catalog::Catalog;
use crate::catalog::nagios::{ContactSide, Directives, NagiosContact, Program, Switches};
use crate::engine::program::ContactOverrides;
use crate::engine::track::Track;
use crate::id::{ContactId, HostId, ObjectId, ServiceId, TimeperiodId};
use crate::model::NoticeKind;
use crate::snapshot::Row;
use crate::{Span, Timestamp};

/// The monitored world as the stages see it.
#[derive(Copy, Clone)]
pub struct World<'a> {
    pub catalog: &'a Catalog,
    /// The program's switches as they are now.
    pub program: &'a Program,
    pub at: Timestamp,
    /// When the program began: first notifications are delayed from here where no change is known.
    pub started: Timestamp,
    pub hosts: &'a [Row],
    pub services: &'a [Row],
    pub host_tracks: &'a [Arc<Track>],
    pub service_tracks: &'a [Arc<Track>],
    /// What commands changed of contacts, by name.
    pub contact_overrides: &'a BTreeMap<Arc<str>, ContactOverrides>,
}

/// A notice that may go out.
#[derive(Copy, Clone, Debug)]
pub struct Asked {
    pub object: ObjectId,
    pub kind: NoticeKind,
    pub forced: bool,
    pub broadcast: bool,
    /// Counts as a notification of the problem although it is none.
    pub increment: bool,
}

impl Asked {
    pub const fn of(object: ObjectId, kind: NoticeKind) -> Asked {
        Asked { object, kind, forced: false, broadcast: false, increment: false }
    }

    /// Whether it raises the number of notifications.
    pub const fn counts(&self) -> bool {
        matches!(self.kind, NoticeKind::Problem) || self.increment
    }
}

/// What becomes of a notice.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nobody is told.
    Held(Hold),
    Sent(Sending),
}

/// A notice that passed the stages of its object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sending {
    /// Its number, counted already.
    pub number: u32,
    pub escalated: bool,
    /// Everyone it is meant for.
    pub recipients: Vec<ContactId>,
    /// Those of them who are told.
    pub tell: Vec<ContactId>,
    /// Those who are not.
    pub held: Vec<(ContactId, Hold)>,
    /// From this one to the next.
    pub interval: Span,
}

impl<'a> World<'a> {
    pub fn row(&self, object: ObjectId) -> Row {
        match object {
            ObjectId::Host(id) => self.hosts[id.index()],
            ObjectId::Service(id) => self.services[id.index()],
        }
    }

    pub fn track(&self, object: ObjectId) -> Option<&'a Track> {
        match object {
            ObjectId::Host(id) => self.host_tracks.get(id.index()),
            ObjectId::Service(id) => self.service_tracks.get(id.index()),
        }
        .map(|track| &**track)
    }

    pub fn directives(&self, object: ObjectId) -> Option<&'a Directives> {
        self.catalog.nagios.directives(object)
    }

    fn switches(&self, object: ObjectId, configured: &Directives) -> Switches {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.switches);
        changed.unwrap_or(configured.switches)
    }

    fn notification_period(&self, object: ObjectId) -> Option<TimeperiodId> {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.notification_period);
        changed.unwrap_or_else(|| self.directives(object)?.notification_period)
    }

    pub fn is_inside(&self, period: TimeperiodId) -> bool {
        self.catalog.in_period(period, self.at)
    }

    fn window(&self, period: TimeperiodId) -> Option<Window> {
        let name = Arc::clone(&self.catalog.timeperiods.get(period.index())?.name);
        let inside = self.is_inside(period);
        let opens = if inside { None } else { self.catalog.next_valid(period, self.at) };
        Some(Window { name, inside, opens })
    }

    /// The contact and the side of it that hears of this object; `None` for a contact of Stentor's own routes.
    pub fn contact(&self, contact: ContactId, object: ObjectId) -> Option<(&'a NagiosContact, &'a ContactSide)> {
        let contact = self.catalog.nagios.contacts.get(contact.index())?.as_ref()?;
        let side = match object {
            ObjectId::Host(_) => &contact.host,
            ObjectId::Service(_) => &contact.service,
        };
        Some((contact, side))
    }

    fn failing_master(&self, object: ObjectId) -> Option<String> {
        if self.catalog.nagios.dependencies.is_empty() {
            return None;
        }
        let judge = Judge {
            catalog: self.catalog,
            purpose: Purpose::Notification,
            soft_states: self.program.soft_state_dependencies,
            row: &|object| self.row(object),
            inside: &|period| self.is_inside(period),
        };
        Some(judge.failing(object)?.describe(self.catalog))
    }

    /// The case of an imported object; `None` for one of Stentor's own configuration, whose incidents notify.
    pub fn object_case(&self, asked: &Asked) -> Option<ObjectCase> {
        let object = asked.object;
        let period = self.notification_period(object).or_else(|| match object {
            ObjectId::Host(_) => None,
            ObjectId::Service(id) => self.notification_period(ObjectId::Host(self.host_of(id))),
        });
        Some(ObjectCase {
            kind: asked.kind,
            forced: asked.forced,
            at: self.at,
            program_on: self.program.enable_notifications,
            defer_recovery: self.program.defer_recovery,
            period: period.and_then(|period| self.window(period)),
            object: self.object_facts(object)?,
            host: match object {
                ObjectId::Host(_) => None,
                ObjectId::Service(id) => Some(self.host_facts(self.host_of(id))),
            },
        })
    }

    fn host_of(&self, service: ServiceId) -> HostId {
        self.catalog.services[service.index()].host
    }

    fn object_facts(&self, object: ObjectId) -> Option<ObjectFacts> {
        let (directives, track, row) = (self.directives(object)?, self.track(object)?, self.row(object));
        let notice = &track.notice;
        let hard_since = if row.last_hard_change == Timestamp::ZERO { self.started } else { row.last_hard_change };
        Some(ObjectFacts {
            on: self.switches(object, directives).notifications,
            state: row.state,
            state_kind: row.kind,
            acknowledged: row.is_acknowledged(),
            flapping: track.flap.flapping,
            downtime_depth: row.downtime_depth,
            hard_since,
            options: directives.notification_options,
            first_delay: directives.first_notification_delay,
            volatile: directives.volatile,
            number: notice.number,
            next: notice.next,
            notified_on: notice.notified_on,
            no_more: notice.no_more,
            failing_master: self.failing_master(object),
            parents_bad: self.parents_bad(object),
        })
    }

    fn parents_bad(&self, object: ObjectId) -> bool {
        let ObjectId::Service(id) = object else { return false };
        let parents = self.catalog.nagios.service_parents.get(&id).map_or(&[][..], Vec::as_slice);
        !parents.is_empty() && parents.iter().all(|parent| self.services[parent.index()].state != 0)
    }

    fn host_facts(&self, host: HostId) -> HostFacts {
        let row = self.hosts[host.index()];
        let parents = &self.catalog.hosts[host.index()].parents;
        HostFacts {
            up: row.state == 0,
            state_kind: row.kind,
            downtime_depth: row.downtime_depth,
            parents_down: !parents.is_empty() && parents.iter().all(|id| self.hosts[id.index()].state != 0),
            failing_master: self.failing_master(ObjectId::Host(host)),
        }
    }

    /// `None` for a contact of Stentor's own routes.
    pub fn contact_case(&self, asked: &Asked, contact: ContactId) -> Option<ContactCase> {
        let (nagios, side) = self.contact(contact, asked.object)?;
        let changed = self.contact_overrides.get(&self.catalog.contacts[contact.index()].name);
        let changed = changed.map(|changed| match asked.object {
            ObjectId::Host(_) => changed.host.clone(),
            ObjectId::Service(_) => changed.service.clone(),
        });
        let changed = changed.unwrap_or_default();
        Some(ContactCase {
            kind: asked.kind,
            forced: asked.forced,
            of: match asked.object {
                ObjectId::Host(_) => Of::Host,
                ObjectId::Service(_) => Of::Service,
            },
            state: self.row(asked.object).state,
            notified_on: self.track(asked.object)?.notice.notified_on,
            importance: self.importance(asked.object),
            minimum_importance: nagios.minimum_importance,
            on: changed.enabled.unwrap_or(side.enabled),
            period: changed.period.or(side.period).and_then(|period| self.window(period)),
            options: side.options,
        })
    }

    fn importance(&self, object: ObjectId) -> u64 {
        let own = |object| self.directives(object).map_or(0, |directives| u64::from(directives.importance));
        match object {
            ObjectId::Service(_) => own(object),
            ObjectId::Host(id) => {
                let services = &self.catalog.hosts[id.index()].services;
                own(object) + services.iter().map(|id| own(ObjectId::Service(*id))).sum::<u64>()
            }
        }
    }

    /// Whom a notice of that number is meant for. A recovery is meant for those whom the last problem notification was
    /// meant for (decision 09).
    pub fn recipients(&self, asked: &Asked, number: u32) -> Recipients {
        let inside = |period| self.is_inside(period);
        let nagios = &self.catalog.nagios;
        let ask = Ask { object: asked.object, state: self.row(asked.object).state, number, broadcast: asked.broadcast };
        let told = self.track(asked.object).map_or(&[][..], |track| track.notice.told.as_slice());
        if asked.kind != NoticeKind::Recovery || told.is_empty() {
            return recipients::recipients(nagios, &ask, &inside);
        }
        let contacts = told.iter().filter_map(|name| self.catalog.index.contact.get(name).copied()).collect();
        let escalated = !recipients::valid_escalations(nagios, &ask, &inside).is_empty();
        Recipients { contacts, escalated }
    }

    /// The whole decision; `None` for an object of Stentor's own configuration.
    pub fn decide(&self, asked: &Asked) -> Option<Verdict> {
        let case = self.object_case(asked)?;
        if let Some(hold) = first_hold(object::stages(&case), &case) {
            return Some(Verdict::Held(hold));
        }
        let number = case.object.number.saturating_add(u32::from(asked.counts()));
        let found = self.recipients(asked, number);
        let mut sending =
            Sending { number, escalated: found.escalated, recipients: found.contacts, ..Sending::default() };
        for &id in &sending.recipients {
            let Some(case) = self.contact_case(asked, id) else { continue };
            match first_hold(super::contact::CONTACT, &case) {
                Some(hold) => sending.held.push((id, hold)),
                None => sending.tell.push(id),
            }
        }
        sending.interval = self.interval(asked, number);
        Some(Verdict::Sent(sending))
    }

    fn interval(&self, asked: &Asked, number: u32) -> Span {
        let own = self.directives(asked.object).map_or(Span::ZERO, |directives| directives.notification_interval);
        let ask = Ask { object: asked.object, state: self.row(asked.object).state, number, broadcast: false };
        let valid = recipients::valid_escalations(&self.catalog.nagios, &ask, &|period| self.is_inside(period));
        recipients::interval(own, &valid)
    }

    /// What a result would tell of the object as it is now.
    pub fn kind_now(&self, object: ObjectId) -> NoticeKind {
        if self.row(object).state == 0 { NoticeKind::Recovery } else { NoticeKind::Problem }
    }
}
