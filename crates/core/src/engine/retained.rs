//! What another monitor of the same objects left when it stopped, taken over once before anything was seen here
//! (specification 03, section 11). Names, ids and times are that monitor's; what the catalog does not know is left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::effect::{Effects, Event, EventKind};
use super::switch::{Change, ContactChange, ProgramSwitch, Side, Switch, contact};
use super::track::{Ids, Track};
use crate::catalog::nagios::Options;
use crate::id::ObjectId;
use crate::model::{Ack, Comment, CommentType, Downtime, ObjectKey, Observation, StateKind, Sticky};
use crate::snapshot::Flags;
use crate::status::flapping::FlapHistory;
use crate::{Span, Timestamp};

/// A whole retention file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retained {
    /// When it was written; zero = unknown.
    pub written_at: Timestamp,
    pub ids: Ids,
    pub newest_downtime: u64,
    pub program: Option<RetainedProgram>,
    pub objects: Vec<RetainedObject>,
    pub contacts: Vec<RetainedContact>,
    pub comments: Vec<Comment>,
    pub downtimes: Vec<Downtime>,
}

/// What commands changed of the whole program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RetainedProgram {
    pub modified_host_attributes: u32,
    pub modified_service_attributes: u32,
    pub switches: Vec<(ProgramSwitch, bool)>,
    /// `name!argument!…`; empty = none.
    pub handlers: Vec<(Side, Arc<str>)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetainedObject {
    pub object: ObjectKey,
    /// `None` = it was never checked.
    pub status: Option<RetainedStatus>,
    /// What commands changed of it.
    pub modified_attributes: u32,
    pub switches: Vec<(Switch, bool)>,
    pub changes: Vec<Change>,
}

/// How an object stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetainedStatus {
    pub observation: Arc<Observation>,
    pub state: u8,
    pub last_state: u8,
    pub last_hard_state: u8,
    pub kind: StateKind,
    pub attempt: u16,
    pub last_check: Timestamp,
    pub last_state_change: Timestamp,
    pub last_hard_change: Timestamp,
    /// By state code; zero = never.
    pub last_time_in: [Timestamp; 4],
    pub event_id: u64,
    pub last_event_id: u64,
    pub problem_id: u64,
    pub last_problem_id: u64,
    /// `None` = not acknowledged.
    pub acknowledged: Option<Sticky>,
    pub last_notification: Timestamp,
    pub notification_number: u32,
    pub notification_id: u64,
    pub notified_on: Options,
    /// `None` = it is not known.
    pub flap: Option<FlapHistory>,
    pub recovery_after_flapping: bool,
    pub flapping_comment: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetainedContact {
    pub contact: Arc<str>,
    pub modified_attributes: u32,
    pub modified_host_attributes: u32,
    pub modified_service_attributes: u32,
    /// When it was told of a host and of a service; zero = never.
    pub last_told: [Timestamp; 2],
    pub enabled: Vec<(Side, bool)>,
    pub changes: Vec<ContactChange>,
}

/// How much of a file came over.
#[derive(Default)]
struct Tally {
    objects: usize,
    unknown: usize,
}

impl Engine {
    /// Takes a file over; nothing is told of it but what Nagios would tell after its own restart.
    pub(super) fn take_over_retained(&mut self, retained: &Retained, effects: &mut Effects) {
        if let Some(program) = &retained.program {
            self.retain_program(program, effects);
        }
        let mut tally = Tally::default();
        let mut taken = Vec::new();
        for object in &retained.objects {
            match self.catalog.object_id(&object.object).filter(|id| self.track(*id).is_some()) {
                Some(id) => {
                    self.retain_object(id, object);
                    taken.push((id, object.status.as_ref().and_then(|status| status.acknowledged)));
                    tally.objects += 1;
                }
                None => tally.unknown += 1,
            }
        }
        for contact in &retained.contacts {
            self.retain_contact(contact);
        }
        self.number_after(retained);
        self.retain_downtimes(&retained.downtimes);
        self.retain_comments(&retained.comments);
        self.name_acknowledgements(&taken);
        // Nobody could be heard since the file was written.
        let away = self.at.since(retained.written_at);
        if retained.written_at > Timestamp::ZERO && away > Span::ZERO {
            self.pass_over(away);
        }
        self.rederive();
        self.recount_depths();
        for (object, _) in taken {
            self.judge_flapping(object, effects);
        }
        effects.events.push(self.told_of(&tally));
    }

    fn told_of(&self, tally: &Tally) -> Event {
        let Tally { objects, unknown } = tally;
        let rest = if *unknown == 0 { String::new() } else { format!("; {unknown} are not configured any more") };
        let text = format!(
            "took over the state of {objects} hosts and services, {} downtimes and {} comments{rest}",
            self.downtimes.len(),
            self.comments.len()
        );
        Event { at: self.at, kind: EventKind::CatalogLoaded, object: None, incident: None, text }
    }

    fn retain_program(&mut self, retained: &RetainedProgram, effects: &mut Effects) {
        for (switch, on) in &retained.switches {
            // These are never refused.
            let _ = self.set_program_switch(*switch, *on, effects);
        }
        for (side, command) in &retained.handlers {
            // A command that is gone is one that was configured away.
            let _ = self.set_global_handler(*side, command);
        }
        let state = Arc::make_mut(&mut self.program);
        state.modified_host_attributes = retained.modified_host_attributes;
        state.modified_service_attributes = retained.modified_service_attributes;
    }

    fn retain_object(&mut self, id: ObjectId, retained: &RetainedObject) {
        let Some(configured) = self.directives(id).map(|directives| directives.switches) else { return };
        if configured.retain_nonstatus && retained.modified_attributes != 0 {
            self.retain_changes(id, retained.modified_attributes, &retained.switches, &retained.changes);
        }
        if let Some(status) = retained.status.as_ref().filter(|_| configured.retain_status) {
            self.retain_status(id, status);
        }
    }

    fn retain_status(&mut self, id: ObjectId, status: &RetainedStatus) {
        let (at, max) = (self.at, self.attempts_max(id));
        // A clock that was ahead must not make everything that comes look old.
        let past = |time: Timestamp| time.min(at);
        let row = self.row_mut(id);
        row.flags.set(Flags::CHECKED, true);
        row.flags.set(Flags::ACKNOWLEDGED, status.acknowledged.is_some() && status.state != 0);
        row.state = status.state;
        row.last_hard_state = status.last_hard_state;
        row.kind = status.kind;
        row.attempt = attempt(status, max);
        row.last_check = past(status.last_check);
        row.last_state_change = past(status.last_state_change);
        row.last_hard_change = past(status.last_hard_change);
        if row.last_hard_change == Timestamp::ZERO {
            row.last_hard_change = row.last_state_change;
        }
        row.changed = at;
        let flapping = status.flap.is_some_and(|flap| flap.flapping) && self.detects_flapping(id);
        self.row_mut(id).flags.set(Flags::FLAPPING, flapping);
        self.detail_mut(id).observation = Some(Arc::clone(&status.observation));
        let interval = self.directives(id).map_or(Span::ZERO, |directives| directives.notification_interval);
        let Some(track) = self.track_mut(id) else { return };
        track.last_state = status.last_state;
        track.last_time_in = status.last_time_in.map(past);
        (track.event_id, track.last_event_id) = (status.event_id, status.last_event_id);
        (track.problem_id, track.last_problem_id) = (status.problem_id, status.last_problem_id);
        track.flap = status.flap.unwrap_or_else(|| FlapHistory::steady(status.state));
        track.flap.percent = track.flap.change_percent() as f32;
        track.flap.flapping = flapping;
        retain_notice(track, status, interval, at);
    }

    fn retain_contact(&mut self, retained: &RetainedContact) {
        let Ok(id) = contact(&self.catalog, &retained.contact) else { return };
        self.retain_told(id, retained.last_told);
        let keeps = self.catalog.nagios.contacts.get(id.index()).and_then(Option::as_ref);
        if !keeps.is_some_and(|contact| contact.retain_nonstatus) {
            return;
        }
        for (side, on) in &retained.enabled {
            let scope = super::switch::ContactScope::Contact(Arc::clone(&retained.contact));
            // The contact is known.
            let _ = self.set_contact_switch(&scope, *side, *on);
        }
        for change in &retained.changes {
            // A period or variable that is gone was configured away.
            let _ = self.change_contact(&retained.contact, change);
        }
        let masks = [
            ContactChange::ModifiedAttributes(retained.modified_attributes),
            ContactChange::SideAttributes { side: Side::Hosts, mask: retained.modified_host_attributes },
            ContactChange::SideAttributes { side: Side::Services, mask: retained.modified_service_attributes },
        ];
        if retained.modified_attributes | retained.modified_host_attributes | retained.modified_service_attributes != 0
        {
            for mask in masks {
                let _ = self.change_contact(&retained.contact, &mask);
            }
        }
    }

    /// Ids go on after the file's. What this program entered itself until now (windows of the configuration) makes room.
    fn number_after(&mut self, retained: &Retained) {
        let newest = |ids: &mut dyn Iterator<Item = u64>| ids.max().unwrap_or(0);
        let comments = newest(&mut retained.comments.iter().map(|comment| comment.id)).max(retained.ids.comment);
        let downtimes = newest(&mut retained.downtimes.iter().map(|d| d.id)).max(retained.newest_downtime);
        self.ids = Ids {
            event: self.ids.event.max(retained.ids.event),
            problem: self.ids.problem.max(retained.ids.problem),
            notification: self.ids.notification.max(retained.ids.notification),
            comment: comments,
        };
        self.downtimes_newest = downtimes;
        let mut moved = BTreeMap::new();
        let own = std::mem::take(Arc::make_mut(&mut self.comments));
        for (id, comment) in own {
            self.ids.comment += 1;
            moved.insert(id, self.ids.comment);
            let comment = Comment { id: self.ids.comment, ..comment };
            Arc::make_mut(&mut self.comments).insert(comment.id, comment);
        }
        let own = std::mem::take(Arc::make_mut(&mut self.downtimes));
        for (_, downtime) in own {
            self.downtimes_newest += 1;
            let comment_id = moved.get(&downtime.comment_id).copied().unwrap_or(0);
            let downtime = Downtime { id: self.downtimes_newest, comment_id, ..downtime };
            Arc::make_mut(&mut self.downtimes).insert(downtime.id, downtime);
        }
    }

    /// Windows that ended meanwhile are gone; one that was in effect still is, and nobody is told again.
    fn retain_downtimes(&mut self, downtimes: &[Downtime]) {
        let known = |d: &&Downtime| self.catalog.object_id(&d.target).is_some() && !d.is_over(self.at);
        let kept: Vec<Downtime> = downtimes.iter().filter(known).cloned().collect();
        Arc::make_mut(&mut self.downtimes).extend(kept.into_iter().map(|downtime| (downtime.id, downtime)));
    }

    /// Those whose reason is gone are gone too.
    fn retain_comments(&mut self, comments: &[Comment]) {
        for comment in comments {
            let Some(id) = self.catalog.object_id(&comment.object) else { continue };
            let stands = match comment.entry_type {
                CommentType::User => true,
                CommentType::Acknowledgement => comment.persistent || self.row(id).is_acknowledged(),
                CommentType::Flapping => self.row(id).flags.has(Flags::FLAPPING),
                CommentType::Downtime => {
                    self.downtimes.values().any(|d| d.comment_id == comment.id && d.target == comment.object)
                }
            };
            if stands && comment.expires.is_none_or(|expires| expires > self.at) {
                Arc::make_mut(&mut self.comments).insert(comment.id, comment.clone());
            }
        }
    }

    /// Who acknowledged a problem stands in the newest comment of that acknowledgement, if it is still there.
    fn name_acknowledgements(&mut self, objects: &[(ObjectId, Option<Sticky>)]) {
        let comments = Arc::clone(&self.comments);
        let of_acks = comments.values().filter(|comment| comment.entry_type == CommentType::Acknowledgement);
        // By rising id: the newest of each object stays.
        let newest: BTreeMap<&ObjectKey, &Comment> = of_acks.map(|comment| (&comment.object, comment)).collect();
        for (id, sticky) in objects {
            let Some(sticky) = sticky.filter(|_| self.row(*id).is_acknowledged()) else { continue };
            let said = newest.get(&self.catalog.object_key(*id));
            let at = said.map_or(self.row(*id).last_state_change, |comment| comment.entered_at);
            let by = said.map_or_else(|| "unknown".into(), |comment| Arc::clone(&comment.author));
            let comment = said.map_or_else(Arc::default, |comment| Arc::clone(&comment.text));
            self.detail_mut(*id).ack = Some(Box::new(Ack { by, comment, at, until: None, sticky }));
        }
    }
}

/// A hard problem stands at its last attempt, whatever `max_check_attempts` was.
fn attempt(status: &RetainedStatus, max: u16) -> u16 {
    match status.kind {
        StateKind::Hard if status.state == 0 => 1,
        StateKind::Hard => max,
        StateKind::Soft => status.attempt.clamp(1, max),
    }
}

fn retain_notice(track: &mut Track, status: &RetainedStatus, interval: Span, at: Timestamp) {
    let last = status.last_notification.min(at);
    let notice = &mut track.notice;
    notice.id = status.notification_id;
    notice.flapping_comment = status.flapping_comment;
    notice.recovery_after_flapping = status.recovery_after_flapping;
    if status.state == 0 {
        return;
    }
    notice.number = status.notification_number;
    notice.notified_on = status.notified_on;
    notice.last = last;
    if last > Timestamp::ZERO {
        notice.next = last + interval;
        notice.no_more = interval <= Span::ZERO;
    }
}
