//! What people ask for: acknowledgements, downtimes, checks now, notes. Refusals say why.

use std::sync::Arc;

use super::Engine;
use super::effect::{CheckRequest, Effects, Event, EventKind};
use super::input::{Command, CommandError, CommandInput, DowntimeRequest, Notify, Reply};
use crate::id::{ObjectId, ServiceId};
use crate::model::{Ack, Covers, Downtime, ObjectKey, Reason, TimelineEntry, TimelineKind};
use crate::policy::{By, Test};
use crate::snapshot::Flags;

impl Engine {
    pub(super) fn apply_command(&mut self, input: &CommandInput, effects: &mut Effects) -> Result<Reply, CommandError> {
        if let Some(id) = &input.id
            && self.seen.contains(id)
        {
            return Ok(Reply::Repeated);
        }
        if let Some(raw) = &input.raw
            && self.program().log_external_commands
        {
            effects.log.push(format!("EXTERNAL COMMAND: {raw}"));
        }
        let reply = self.carry_out(&input.command, effects);
        if let (Some(raw), Err(_)) = (&input.raw, &reply) {
            effects.log.push(format!("Error: External command failed -> {raw}"));
        }
        let reply = reply?;
        // Only what was done is remembered: a refused command may be sent again once its reason is gone.
        if let Some(id) = &input.id {
            self.seen.insert(id);
        }
        Ok(reply)
    }

    fn carry_out(&mut self, command: &Command, effects: &mut Effects) -> Result<Reply, CommandError> {
        match command {
            Command::AckIncident { number, ack, notify } => self.ack_incident(*number, ack, *notify, effects),
            Command::UnackIncident { number, by } => self.unack_incident(*number, by, effects),
            Command::AckObject { object, ack, notify } => self.ack_object(object, ack, *notify, effects),
            Command::UnackObject { object, by } => self.unack_object(object, by, effects),
            Command::ScheduleDowntime(request) => self.schedule_downtime(request, effects),
            Command::CancelDowntime { id, by } => self.cancel_downtime(*id, by, effects),
            Command::CheckNow { object, .. } => {
                let id = self.find(object)?;
                effects.checks.push(CheckRequest::forced(id, self.at));
                Ok(Reply::Done)
            }
            Command::NoteIncident { number, by, text } => self.note_incident(*number, by, text, effects),
            Command::SetSwitch { scope, switch, on } => self.set_switch(scope, *switch, *on, effects),
            Command::SetProgramSwitch { switch, on } => self.set_program_switch(*switch, *on, effects),
            Command::SetContactSwitch { scope, side, on } => self.set_contact_switch(scope, *side, *on),
            Command::Change { object, change } => self.change(object, change, effects),
            Command::ChangeContact { contact, change } => self.change_contact(contact, change),
            Command::GlobalEventHandler { side, command } => self.set_global_handler(*side, command),
            Command::ClearFlapping { object } => self.clear_flapping(object, effects),
            Command::ScheduleChecks { scope, at, forced } => self.schedule_checks(scope, *at, *forced, effects),
            Command::Log { text } => {
                effects.log.push(text.to_string());
                Ok(Reply::Done)
            }
            Command::Nothing => Ok(Reply::Done),
            Command::TestContact { contact, channel, by } => {
                let test = Test { channel: channel.as_ref(), by, at: self.at, seq: self.seq };
                let sent = test.notifications(&self.catalog, contact, self.counters.inputs_applied)?;
                self.counters.notifications += sent.len() as u64;
                let keys = sent.iter().map(|notification| Arc::clone(&notification.key)).collect();
                effects.notifications.extend(sent);
                Ok(Reply::TestsSent(keys))
            }
        }
    }

    pub(super) fn find(&self, key: &ObjectKey) -> Result<ObjectId, CommandError> {
        self.catalog.object_id(key).ok_or_else(|| CommandError::NoObject(describe(key)))
    }

    fn live_incident(&self, number: u64) -> Result<(), CommandError> {
        let incident = self.tracker.get(number).ok_or(CommandError::NoIncident(number))?;
        if incident.phase.is_live() { Ok(()) } else { Err(CommandError::IncidentNotLive(number)) }
    }

    fn ack_incident(
        &mut self,
        number: u64,
        ack: &Ack,
        notify: Notify,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        self.live_incident(number)?;
        let ack = Ack { at: self.at, ..ack.clone() };
        if ack.until.is_some_and(|until| until <= self.at) {
            return Err(CommandError::Invalid("the acknowledgement would end in the past".to_owned()));
        }
        let text = if ack.comment.is_empty() { "Acknowledged".to_owned() } else { ack.comment.to_string() };
        let (at, by) = (self.at, Arc::clone(&ack.by));
        let kept = ack.clone();
        self.tracker.edit(number, |incident| {
            incident.owner = Some(Arc::clone(&kept.by));
            incident.ack = Some(kept);
            incident.changed_at = at;
        });
        let entry =
            TimelineEntry { at, kind: TimelineKind::Acknowledged, by: Some(Arc::clone(&by)), text: text.clone() };
        self.tracker.note(number, entry);
        let problems = self.tracker.get(number).map(|incident| incident.problems.clone()).unwrap_or_default();
        for id in problems.iter().filter_map(|key| self.catalog.object_id(key)).collect::<Vec<_>>() {
            self.set_ack(id, Some(ack.clone()));
        }
        effects.events.push(Event::of_incident(at, EventKind::Acknowledged, number, format!("{by}: {text}")));
        if notify == Notify::Yes
            && let Some(incident) = self.tracker.get(number).cloned()
        {
            let by = By { who: Arc::clone(&ack.by), comment: Arc::clone(&ack.comment) };
            let catalog = Arc::clone(&self.catalog);
            let decisions =
                self.ledger.follow_up(&catalog, &incident, Reason::Acknowledgement, Some(&by), at, self.seq);
            self.carry(decisions, effects);
        }
        Ok(Reply::Done)
    }

    fn unack_incident(&mut self, number: u64, by: &Arc<str>, effects: &mut Effects) -> Result<Reply, CommandError> {
        self.live_incident(number)?;
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
        let problems = self.tracker.get(number).map(|incident| incident.problems.clone()).unwrap_or_default();
        for id in problems.iter().filter_map(|key| self.catalog.object_id(key)).collect::<Vec<_>>() {
            self.set_ack(id, None);
        }
        effects.events.push(Event::of_incident(at, EventKind::Unacknowledged, number, format!("{by}: {text}")));
        Ok(Reply::Done)
    }

    fn ack_object(
        &mut self,
        key: &ObjectKey,
        ack: &Ack,
        notify: Notify,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        let id = self.find(key)?;
        let row = *self.row_mut(id);
        if row.state == 0 || row.is_pending() {
            return Err(CommandError::NoProblem(describe(key)));
        }
        if row.incident != 0 && self.live_incident(row.incident).is_ok() {
            // Whoever takes the problem takes its incident: that is what pages.
            return self.ack_incident(row.incident, ack, notify, effects);
        }
        self.set_ack(id, Some(Ack { at: self.at, ..ack.clone() }));
        let text = format!("{}: {}", ack.by, ack.comment);
        effects.events.push(Event::of_object(self.at, EventKind::Acknowledged, key.clone(), text));
        Ok(Reply::Done)
    }

    fn unack_object(&mut self, key: &ObjectKey, by: &Arc<str>, effects: &mut Effects) -> Result<Reply, CommandError> {
        let id = self.find(key)?;
        let incident = self.row_mut(id).incident;
        if incident != 0 && self.live_incident(incident).is_ok() {
            return self.unack_incident(incident, by, effects);
        }
        self.set_ack(id, None);
        effects.events.push(Event::of_object(self.at, EventKind::Unacknowledged, key.clone(), by.to_string()));
        Ok(Reply::Done)
    }

    pub(super) fn set_ack(&mut self, id: ObjectId, ack: Option<Ack>) {
        let at = self.at;
        let row = self.row_mut(id);
        row.flags.set(Flags::ACKNOWLEDGED, ack.is_some());
        row.changed = at;
        self.detail_mut(id).ack = ack.map(Box::new);
    }

    fn schedule_downtime(&mut self, request: &DowntimeRequest, effects: &mut Effects) -> Result<Reply, CommandError> {
        self.find(&request.target)?;
        if request.end <= request.start {
            return Err(CommandError::Invalid("the downtime ends before it starts".to_owned()));
        }
        if request.end <= self.at {
            return Err(CommandError::Invalid("the downtime ends in the past".to_owned()));
        }
        self.downtimes_newest += 1;
        let id = self.downtimes_newest;
        let downtime = Downtime {
            id,
            target: request.target.clone(),
            covers: request.covers,
            start: request.start,
            end: request.end,
            author: Arc::clone(&request.author),
            comment: Arc::clone(&request.comment),
            entered_at: self.at,
            active: false,
        };
        Arc::make_mut(&mut self.downtimes).insert(id, downtime);
        let text = format!("{}: {} until {}", request.author, request.comment, request.end);
        effects.events.push(Event::of_object(self.at, EventKind::DowntimeScheduled, request.target.clone(), text));
        self.turn_downtimes(effects);
        Ok(Reply::DowntimeScheduled(id))
    }

    fn cancel_downtime(&mut self, id: u64, by: &Arc<str>, effects: &mut Effects) -> Result<Reply, CommandError> {
        let Some(downtime) = Arc::make_mut(&mut self.downtimes).remove(&id) else {
            return Err(CommandError::NoDowntime(id));
        };
        if downtime.active {
            self.shift_depth(&downtime, false);
        }
        effects.events.push(Event::of_object(self.at, EventKind::DowntimeCancelled, downtime.target, by.to_string()));
        Ok(Reply::Done)
    }

    fn note_incident(
        &mut self,
        number: u64,
        by: &Arc<str>,
        text: &Arc<str>,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        if self.tracker.get(number).is_none() {
            return Err(CommandError::NoIncident(number));
        }
        let entry =
            TimelineEntry { at: self.at, kind: TimelineKind::Note, by: Some(Arc::clone(by)), text: text.to_string() };
        self.tracker.note(number, entry);
        effects.events.push(Event::of_incident(self.at, EventKind::Note, number, format!("{by}: {text}")));
        Ok(Reply::Done)
    }

    /// Starts and ends downtimes whose time has come.
    pub(super) fn turn_downtimes(&mut self, effects: &mut Effects) {
        let due: Vec<Downtime> = self
            .downtimes
            .values()
            .filter(|d| (!d.active && d.start <= self.at) || d.end <= self.at)
            .cloned()
            .collect();
        for downtime in due {
            if downtime.end <= self.at {
                if downtime.active {
                    self.shift_depth(&downtime, false);
                    let event = EventKind::DowntimeEnded;
                    effects.events.push(Event::of_object(self.at, event, downtime.target.clone(), &*downtime.comment));
                }
                Arc::make_mut(&mut self.downtimes).remove(&downtime.id);
            } else {
                self.shift_depth(&downtime, true);
                if let Some(kept) = Arc::make_mut(&mut self.downtimes).get_mut(&downtime.id) {
                    kept.active = true;
                }
                let event = EventKind::DowntimeStarted;
                effects.events.push(Event::of_object(self.at, event, downtime.target.clone(), &*downtime.comment));
            }
        }
    }

    /// Raises or lowers the depth of everything a window covers.
    pub(super) fn shift_depth(&mut self, downtime: &Downtime, up: bool) {
        let Some(target) = self.catalog.object_id(&downtime.target) else { return };
        let mut objects = vec![target];
        if let (ObjectId::Host(host), Covers::HostAndServices) = (target, downtime.covers) {
            let services: &[ServiceId] = &self.catalog.hosts[host.index()].services;
            objects.extend(services.iter().map(|id| ObjectId::Service(*id)));
        }
        let at = self.at;
        for object in objects {
            let row = self.row_mut(object);
            row.downtime_depth =
                if up { row.downtime_depth.saturating_add(1) } else { row.downtime_depth.saturating_sub(1) };
            row.changed = at;
        }
        for group in &mut self.board.groups {
            group.dirty = true;
        }
    }
}

pub(super) fn describe(key: &ObjectKey) -> String {
    match &key.service {
        Some(service) => format!("service {service} on host {}", key.host),
        None => format!("host {}", key.host),
    }
}
