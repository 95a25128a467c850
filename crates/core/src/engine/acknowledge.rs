//! Acknowledgements of incidents and of objects: one kind for both, so that whoever has a problem has it everywhere.

use std::sync::Arc;

use super::Engine;
use super::effect::{Effects, Event, EventKind};
use super::input::{CommandError, CommentRequest, Notify, Reply};
use super::notify::By;
use crate::id::ObjectId;
use crate::model::{Ack, CommentType, NoticeKind, ObjectKey, Reason, Sticky, TimelineEntry, TimelineKind};
use crate::policy;
use crate::policy::notice::facts::Asked;
use crate::snapshot::{Flags, Row};

/// An acknowledgement as somebody asks for it.
#[derive(Copy, Clone)]
pub(super) struct Take<'a> {
    pub ack: &'a Ack,
    pub notify: Notify,
    /// Its comments stay when it ends.
    pub persistent: bool,
}

impl Engine {
    /// Takes an incident and every problem of it.
    pub(super) fn ack_incident(
        &mut self,
        number: u64,
        take: Take<'_>,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        self.live_incident(number)?;
        self.refuse_past(take.ack)?;
        for object in self.problems_of(number) {
            self.take_object(object, take, effects);
        }
        self.take_incident(number, take, effects);
        Ok(Reply::Done)
    }

    /// Takes one problem, and the incident that it belongs to: that is what pages. Other imported objects of the
    /// incident are not taken with it: Nagios acknowledges what is named.
    pub(super) fn ack_object(
        &mut self,
        key: &ObjectKey,
        take: Take<'_>,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        let id = self.find(key)?;
        let row = *self.row_mut(id);
        if row.state == 0 || row.is_pending() {
            return Err(CommandError::NoProblem(super::command::describe(key)));
        }
        self.refuse_past(take.ack)?;
        self.take_object(id, take, effects);
        let incident = row.incident;
        if incident != 0 && self.live_incident(incident).is_ok() {
            for object in self.problems_of(incident) {
                if object != id && self.directives(object).is_none() {
                    self.take_object(object, take, effects);
                }
            }
            self.take_incident(incident, take, effects);
            return Ok(Reply::Done);
        }
        let text = format!("{}: {}", take.ack.by, take.ack.comment);
        effects.events.push(Event::of_object(self.at, EventKind::Acknowledged, key.clone(), text));
        Ok(Reply::Done)
    }

    fn refuse_past(&self, ack: &Ack) -> Result<(), CommandError> {
        if ack.until.is_some_and(|until| until <= self.at) {
            return Err(CommandError::Invalid("the acknowledgement would end in the past".to_owned()));
        }
        Ok(())
    }

    fn problems_of(&self, incident: u64) -> Vec<ObjectId> {
        let keys = self.tracker.get(incident).map(|incident| incident.problems.clone()).unwrap_or_default();
        keys.iter().filter_map(|key| self.catalog.object_id(key)).collect()
    }

    /// The contacts of an imported object hear of it before it silences them.
    fn take_object(&mut self, object: ObjectId, take: Take<'_>, effects: &mut Effects) {
        let ack = Ack { at: self.at, ..take.ack.clone() };
        if self.directives(object).is_some() {
            if take.notify == Notify::Yes {
                let by = By { author: Arc::clone(&ack.by), comment: Arc::clone(&ack.comment) };
                self.tell(&Asked::of(object, NoticeKind::Acknowledgement), &by, effects);
            }
            let request = CommentRequest {
                object: self.catalog.object_key(object),
                persistent: take.persistent,
                expires: None,
                author: Arc::clone(&ack.by),
                text: Arc::clone(&ack.comment),
            };
            self.add_comment(CommentType::Acknowledgement, &request);
        }
        self.set_ack(object, Some(ack));
    }

    fn take_incident(&mut self, number: u64, take: Take<'_>, effects: &mut Effects) {
        let ack = Ack { at: self.at, ..take.ack.clone() };
        let text = if ack.comment.is_empty() { "Acknowledged".to_owned() } else { ack.comment.to_string() };
        let (at, by) = (self.at, Arc::clone(&ack.by));
        let who = policy::By { who: Arc::clone(&ack.by), comment: Arc::clone(&ack.comment) };
        self.tracker.edit(number, |incident| {
            incident.owner = Some(Arc::clone(&ack.by));
            incident.ack = Some(ack);
            incident.changed_at = at;
        });
        let entry =
            TimelineEntry { at, kind: TimelineKind::Acknowledged, by: Some(Arc::clone(&by)), text: text.clone() };
        self.tracker.note(number, entry);
        effects.events.push(Event::of_incident(at, EventKind::Acknowledged, number, format!("{by}: {text}")));
        if take.notify == Notify::Yes
            && let Some(incident) = self.tracker.get(number).cloned()
        {
            let catalog = Arc::clone(&self.catalog);
            let decisions =
                self.ledger.follow_up(&catalog, &incident, Reason::Acknowledgement, Some(&who), at, self.seq);
            self.carry(decisions, effects);
        }
    }

    pub(super) fn unack_incident(
        &mut self,
        number: u64,
        by: &Arc<str>,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        self.live_incident(number)?;
        for object in self.problems_of(number) {
            self.set_ack(object, None);
        }
        self.leave_incident(number, by, effects);
        Ok(Reply::Done)
    }

    pub(super) fn unack_object(
        &mut self,
        key: &ObjectKey,
        by: &Arc<str>,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        let id = self.find(key)?;
        self.set_ack(id, None);
        let incident = self.row_mut(id).incident;
        if incident != 0 && self.live_incident(incident).is_ok() {
            for object in self.problems_of(incident) {
                if self.directives(object).is_none() {
                    self.set_ack(object, None);
                }
            }
            self.leave_incident(incident, by, effects);
            return Ok(Reply::Done);
        }
        effects.events.push(Event::of_object(self.at, EventKind::Unacknowledged, key.clone(), by.to_string()));
        Ok(Reply::Done)
    }

    fn leave_incident(&mut self, number: u64, by: &Arc<str>, effects: &mut Effects) {
        let at = self.at;
        self.tracker.edit(number, |incident| {
            incident.ack = None;
            incident.owner = None;
            incident.changed_at = at;
        });
        let text = "Acknowledgement removed".to_owned();
        let entry =
            TimelineEntry { at, kind: TimelineKind::Unacknowledged, by: Some(Arc::clone(by)), text: text.clone() };
        self.tracker.note(number, entry);
        effects.events.push(Event::of_incident(at, EventKind::Unacknowledged, number, format!("{by}: {text}")));
    }

    /// Sets or removes the acknowledgement of a row; what was written for one that ends goes with it.
    pub(super) fn set_ack(&mut self, id: ObjectId, ack: Option<Ack>) {
        let at = self.at;
        if let Some(until) = ack.as_ref().and_then(|ack| ack.until) {
            self.ack_ends.insert((until, id));
        }
        let ends = ack.is_none() && self.row(id).is_acknowledged();
        let row = self.row_mut(id);
        row.flags.set(Flags::ACKNOWLEDGED, ack.is_some());
        row.changed = at;
        self.detail_mut(id).ack = ack.map(Box::new);
        if ends {
            self.remove_ack_comments(id);
        }
    }

    /// A new state: a recovery ends every acknowledgement, any change a normal one.
    pub(super) fn end_ack_on_change(&mut self, object: ObjectId, row: &Row) {
        if !row.is_acknowledged() {
            return;
        }
        let normal = self.detail(object).ack.as_ref().is_none_or(|ack| ack.sticky == Sticky::No);
        if row.state == 0 || normal {
            self.set_ack(object, None);
        }
    }

    /// Acknowledgements end at their own time.
    pub(super) fn end_acks(&mut self, effects: &mut Effects) {
        let ended: Vec<u64> = self
            .tracker
            .live()
            .filter_map(|(_, live)| self.tracker.get(live.number))
            .filter(|i| i.ack.as_ref().is_some_and(|ack| ack.until.is_some_and(|until| until <= self.at)))
            .map(|incident| incident.number)
            .collect();
        for number in ended {
            self.tracker.edit(number, |incident| {
                incident.ack = None;
                incident.owner = None;
            });
            let text = "The acknowledgement has run out".to_owned();
            let entry = TimelineEntry { at: self.at, kind: TimelineKind::Unacknowledged, by: None, text: text.clone() };
            self.tracker.note(number, entry);
            for id in self.problems_of(number) {
                // A problem may have been taken for longer than its incident, or by itself.
                if self.ack_has_run_out(id) {
                    self.set_ack(id, None);
                }
            }
            effects.events.push(Event::of_incident(self.at, EventKind::Unacknowledged, number, text));
        }
        while let Some(&(until, id)) = self.ack_ends.first()
            && until <= self.at
        {
            self.ack_ends.pop_first();
            if self.ack_has_run_out(id) {
                self.set_ack(id, None);
                let text = "the acknowledgement has run out";
                let key = self.catalog.object_key(id);
                effects.events.push(Event::of_object(self.at, EventKind::Unacknowledged, key, text));
            }
        }
    }

    fn ack_has_run_out(&self, id: ObjectId) -> bool {
        let ack = self.detail(id).ack.as_ref();
        ack.is_some_and(|ack| ack.until.is_some_and(|until| until <= self.at))
    }

    /// Finds the ends of acknowledgements anew, after rows were replaced.
    pub(super) fn find_ack_ends(&mut self) {
        use crate::id::{HostId, ServiceId};
        let hosts = self.host_details.iter().enumerate().map(|(i, d)| (ObjectId::Host(HostId::from_index(i)), d));
        let services =
            self.service_details.iter().enumerate().map(|(i, d)| (ObjectId::Service(ServiceId::from_index(i)), d));
        self.ack_ends = hosts.chain(services).filter_map(|(id, d)| Some((d.ack.as_ref()?.until?, id))).collect();
    }
}
