//! What people ask for: each command to who carries it out, checks now and notes here. Refusals say why.

use std::sync::Arc;

use super::Engine;
use super::acknowledge::Take;
use super::effect::{CheckRequest, Effects, Event, EventKind};
use super::input::{Command, CommandError, CommandInput, Reply};
use super::notify::By;
use crate::id::ObjectId;
use crate::model::{ObjectKey, TimelineEntry, TimelineKind};
use crate::policy::Test;
use crate::runbook::AuditEntry;

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
            Command::AckIncident { number, ack, notify } => {
                self.ack_incident(*number, Take { ack, notify: *notify, persistent: false }, effects)
            }
            Command::UnackIncident { number, by } => self.unack_incident(*number, by, effects),
            Command::AckObject { object, ack, notify, persistent } => {
                self.ack_object(object, Take { ack, notify: *notify, persistent: *persistent }, effects)
            }
            Command::UnackObject { object, by } => self.unack_object(object, by, effects),
            Command::ScheduleDowntime(request) => self.schedule_downtime(request, effects),
            Command::CancelDowntime { id, by } => self.cancel_downtime(*id, by, effects),
            Command::CheckNow { object, .. } => {
                let id = self.find(object)?;
                effects.checks.push(CheckRequest::forced(id, self.at));
                Ok(Reply::Done)
            }
            Command::AddComment(request) => self.comment(request, effects),
            Command::DeleteComment { id, .. } => self.delete_comment(*id),
            Command::DeleteAllComments { object, .. } => self.delete_all_comments(object),
            Command::CustomNotification { object, options, author, comment } => {
                let by = By { author: Arc::clone(author), comment: Arc::clone(comment) };
                self.custom_notification(object, *options, &by, effects)
            }
            Command::DelayNotification { object, until } => self.set_notice(object, |notice| notice.next = *until),
            Command::SetNotificationNumber { object, number } => {
                self.set_notice(object, |notice| notice.number = *number)
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
            Command::Run(request) => self.apply_run(request, effects),
            Command::RecordDrill { of, by, text } => {
                self.tell_drill(of, by, text, effects);
                Ok(Reply::Done)
            }
            Command::SkipCheck { object, state, why } => self.skip_check(object, *state, why),
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

    /// What was recovered; of a runbook also what was carried out.
    fn tell_drill(&self, of: &Arc<str>, by: &Arc<str>, text: &Arc<str>, effects: &mut Effects) {
        let runbook = if of.contains('/') { Arc::default() } else { Arc::clone(of) };
        effects.audit.push(AuditEntry {
            at: self.at,
            who: Arc::clone(by),
            action: "drill".into(),
            run: None,
            incident: None,
            runbook,
            step: None,
            target: Arc::clone(of),
            done: true,
            text: Arc::clone(text),
        });
        let text = format!("{by}: drill of {of}: {text}");
        effects.events.push(Event { at: self.at, kind: EventKind::Runbook, object: None, incident: None, text });
    }

    pub(super) fn find(&self, key: &ObjectKey) -> Result<ObjectId, CommandError> {
        self.catalog.object_id(key).ok_or_else(|| CommandError::NoObject(describe(key)))
    }

    pub(super) fn live_incident(&self, number: u64) -> Result<(), CommandError> {
        let incident = self.tracker.get(number).ok_or(CommandError::NoIncident(number))?;
        if incident.phase.is_live() { Ok(()) } else { Err(CommandError::IncidentNotLive(number)) }
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
}

pub(super) fn describe(key: &ObjectKey) -> String {
    match &key.service {
        Some(service) => format!("service {service} on host {}", key.host),
        None => format!("host {}", key.host),
    }
}
