//! Nagios's notifications: the places in the course of a result at which they are decided, and what goes out then.
//!
//! The decision itself is [`World::decide`]; here it becomes notices, log lines and bookkeeping.

use std::sync::Arc;

use super::Engine;
use super::alert::{kind_of, state_word};
use super::change::{Change, FlapChange};
use super::comment::ENGINE;
use super::effect::Effects;
use super::input::{CommandError, CommentRequest, CustomOptions, Reply};
use super::switch::Side;
use super::track::NoticeState;
use crate::id::{ContactId, ObjectId};
use crate::macros::facts::NotificationFacts;
use crate::macros::view::Subject;
use crate::model::{CommentType, HeldNotice, Notice, NoticeKind, ObjectKey, StateKind};
use crate::policy::notice::explain::{Explanation, FORCED, explain};
use crate::policy::notice::facts::{Asked, Sending, Verdict, World};
use crate::policy::notice::object::{self, keeps_recovery};
use crate::policy::notice::progress::ProblemSent;
use crate::policy::notice::{Hold, Kinds};

/// Whether a problem or recovery notification went out, for `stalking_options N`.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Told {
    Yes,
    No,
}

/// Who causes a notice, where somebody does.
#[derive(Clone, Debug, Default)]
pub(super) struct By {
    pub author: Arc<str>,
    pub comment: Arc<str>,
}

impl Engine {
    /// A state began, ended or was replaced by another: timers are reset already; flexible downtimes start here.
    pub(super) fn note_state_change(&mut self, object: ObjectId, _change: &Change, effects: &mut Effects) {
        self.start_flexible(object, effects);
    }

    /// A result of an object with a track deserves a problem or recovery notification: a hard problem (new, changed or
    /// still there), a recovery from one, or a recovery that is still owed.
    pub(super) fn notify_after_result(&mut self, object: ObjectId, _change: &Change, effects: &mut Effects) -> Told {
        let kind = self.notice_world().kind_now(object);
        self.tell(&Asked::of(object, kind), &By::default(), effects)
    }

    /// A service failed again while its host is not UP: the host's problem may be told again.
    pub(super) fn notify_host_again(&mut self, host: ObjectId, effects: &mut Effects) {
        let row = self.row(host);
        if row.state != 0 && row.kind == StateKind::Hard {
            self.tell(&Asked::of(host, NoticeKind::Problem), &By::default(), effects);
        }
    }

    /// Flapping started, stopped or was switched off. The track says so already; the comment is kept here.
    pub(super) fn notify_flapping(&mut self, object: ObjectId, change: FlapChange, effects: &mut Effects) {
        match change {
            FlapChange::Started { percent, threshold } => {
                self.comment_on_flapping(object, percent, threshold);
                self.tell(&Asked::of(object, NoticeKind::FlappingStart), &By::default(), effects);
            }
            FlapChange::Stopped { .. } => {
                self.uncomment_flapping(object);
                self.tell(&Asked::of(object, NoticeKind::FlappingStop), &By::default(), effects);
            }
            FlapChange::Disabled => {
                self.uncomment_flapping(object);
                self.tell(&Asked::of(object, NoticeKind::FlappingDisabled), &By::default(), effects);
                self.tell_net_change(object, effects);
            }
        }
    }

    /// Flapping has ended without a result: what it hid is told now (decision 09).
    pub(super) fn tell_net_change(&mut self, object: ObjectId, effects: &mut Effects) {
        let row = *self.row(object);
        let Some(track) = self.track(object) else { return };
        let is_owed = match row.state {
            0 => !track.notice.notified_on.is_empty(),
            // A volatile service tells each result: the next one will do.
            _ => !self.directives(object).is_some_and(|directives| directives.volatile),
        };
        if is_owed && row.kind == StateKind::Hard && !row.is_pending() {
            let kind = self.notice_world().kind_now(object);
            self.tell(&Asked::of(object, kind), &By::default(), effects);
        }
    }

    fn comment_on_flapping(&mut self, object: ObjectId, percent: f32, threshold: f32) {
        let noun = match object {
            ObjectId::Host(_) => "host",
            ObjectId::Service(_) => "service",
        };
        let text = format!(
            "Notifications for this {noun} are being suppressed because it was detected as having been flapping between \
             different states ({percent:.1}% change >= {threshold:.1}% threshold).  When the {noun} state stabilizes and \
             the flapping stops, notifications will be re-enabled."
        );
        let request = CommentRequest {
            object: self.catalog.object_key(object),
            persistent: false,
            expires: None,
            author: ENGINE.into(),
            text: text.into(),
        };
        let id = self.add_comment(CommentType::Flapping, &request);
        if let Some(track) = self.track_mut(object) {
            track.notice.flapping_comment = id;
        }
    }

    fn uncomment_flapping(&mut self, object: ObjectId) {
        let Some(track) = self.track_mut(object) else { return };
        let id = std::mem::take(&mut track.notice.flapping_comment);
        if id != 0 {
            self.remove_comment(id);
        }
    }

    fn notice_world(&self) -> World<'_> {
        World {
            catalog: &self.catalog,
            program: self.program(),
            at: self.at,
            started: self.started,
            hosts: &self.hosts,
            services: &self.services,
            host_tracks: &self.host_tracks,
            service_tracks: &self.service_tracks,
            contact_overrides: &self.contact_overrides,
        }
    }

    /// Every stage of a notice about an object and what it says now; `kind` = `None`: of what a result would tell.
    /// `None` for an object of Stentor's own configuration: its incidents notify.
    pub fn explain_notice(&self, object: ObjectId, kind: Option<NoticeKind>) -> Option<Explanation> {
        let world = self.notice_world();
        let kind = kind.unwrap_or_else(|| world.kind_now(object));
        explain(&world, &Asked::of(object, kind))
    }

    /// Decides one notice and carries the decision out. An object of Stentor's own configuration has none.
    pub(super) fn tell(&mut self, asked: &Asked, by: &By, effects: &mut Effects) -> Told {
        if !self.program().notify_exact {
            return Told::No;
        }
        let Some(verdict) = self.notice_world().decide(asked) else { return Told::No };
        let told = match &verdict {
            Verdict::Held(hold) => {
                self.hold(asked, None, hold, effects);
                self.note_period(asked, hold);
                Told::No
            }
            Verdict::Sent(sending) => self.send(asked, by, sending, effects),
        };
        let is_settled = match &verdict {
            Verdict::Held(hold) => !keeps_recovery(hold),
            Verdict::Sent(_) => true,
        };
        if asked.kind == NoticeKind::Recovery && is_settled {
            self.edit_notice(asked.object, NoticeState::recovery_handled);
        }
        told
    }

    /// Outside its period a problem is told when the period begins again, not before.
    fn note_period(&mut self, asked: &Asked, hold: &Hold) {
        if hold.stage != "period" || !Kinds::NORMAL.has(asked.kind) {
            return;
        }
        let opens = self.notice_world().object_case(asked).and_then(|case| case.period?.opens);
        if let Some(opens) = opens {
            self.edit_notice(asked.object, |notice| notice.next = opens);
        }
    }

    /// Changes the bookkeeping of an object, and copies its shared track only if something differs.
    fn edit_notice(&mut self, object: ObjectId, change: impl FnOnce(&mut NoticeState)) {
        let Some(before) = self.track(object).map(|track| track.notice.clone()) else { return };
        let mut after = before.clone();
        change(&mut after);
        if after != before
            && let Some(track) = self.track_mut(object)
        {
            track.notice = after;
        }
    }

    fn send(&mut self, asked: &Asked, by: &By, sending: &Sending, effects: &mut Effects) -> Told {
        for (contact, hold) in &sending.held {
            self.hold(asked, Some(*contact), hold, effects);
        }
        if sending.tell.is_empty() {
            if sending.held.is_empty() {
                let hold = Hold { stage: "contacts", why: "it has no contacts to tell".to_owned() };
                self.hold(asked, None, &hold, effects);
            }
            return Told::No;
        }
        self.ids.notification += 1;
        let id = self.ids.notification;
        self.count(asked, sending, id);
        for &contact in &sending.tell {
            let notice = self.notice(asked, by, sending, contact, &mut effects.log);
            self.log_notice(asked.object, &notice, effects);
            self.note_told(contact, Side::of(asked.object));
            effects.notices.push(notice);
        }
        Told::Yes
    }

    fn count(&mut self, asked: &Asked, sending: &Sending, id: u64) {
        let (at, state) = (self.at, self.row(asked.object).state);
        let volatile = self.directives(asked.object).is_some_and(|directives| directives.volatile);
        let name = |id: &ContactId| Arc::clone(&self.catalog.contacts[id.index()].name);
        let recipients = sending.recipients.iter().map(name).collect();
        let sent = ProblemSent { at, state, interval: sending.interval, volatile, recipients };
        let (kind, number) = (asked.kind, sending.number);
        self.edit_notice(asked.object, |notice| {
            notice.id = id;
            notice.number = number;
            if kind == NoticeKind::Problem {
                notice.problem_sent(sent);
            } else if kind == NoticeKind::Recovery {
                notice.last = at;
            }
        });
    }

    fn notice(&self, asked: &Asked, by: &By, sending: &Sending, contact: ContactId, log: &mut Vec<String>) -> Notice {
        let object = self.catalog.object_key(asked.object);
        let name = Arc::clone(&self.catalog.contacts[contact.index()].name);
        let id = self.ids.notification;
        let service = object.service.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
        let instance = &self.catalog.instance;
        let key = format!("{instance}/{}{service}/{id}/{}/{name}", object.host, asked.kind.as_str());
        let side = self.notice_world().contact(contact, asked.object).map(|(_, side)| side);
        let calls = side.map_or(&[][..], |side| side.commands.as_slice());
        let names = sending.tell.iter().map(|id| &*self.catalog.contacts[id.index()].name);
        let recipients = names.collect::<Vec<_>>().join(",");
        let view = self.macros();
        let facts = NotificationFacts {
            kind: asked.kind.as_str(),
            number: sending.number,
            is_escalated: sending.escalated,
            recipients: &recipients,
            remark: view.remark(&by.author, &by.comment),
        };
        let subject = Subject { object: asked.object, contact: Some(contact), notification: Some(facts) };
        Notice {
            key: key.into(),
            id,
            kind: asked.kind,
            contact: name,
            state: state_word(asked.object, self.row(asked.object)).into(),
            number: sending.number,
            escalated: sending.escalated,
            output: self.output_of(asked.object),
            author: Arc::clone(&by.author),
            comment: Arc::clone(&by.comment),
            commands: calls.iter().filter_map(|call| self.command_run(call, subject, log)).collect(),
            because: self.passed(asked),
            seq: self.seq,
            created_at: self.at,
            object,
        }
    }

    fn output_of(&self, object: ObjectId) -> Arc<str> {
        let observation = self.detail(object).observation.as_ref();
        observation.map_or_else(Arc::default, |observation| Arc::clone(&observation.text))
    }

    /// Names of the stages that let it pass.
    fn passed(&self, asked: &Asked) -> Arc<str> {
        if asked.forced {
            return FORCED.into();
        }
        let list = match asked.object {
            ObjectId::Host(_) => object::HOST,
            ObjectId::Service(_) => object::SERVICE,
        };
        let names: Vec<&str> = list.iter().filter(|s| s.of.has(asked.kind)).map(|s| s.name).collect();
        format!("passed {}", names.join(", ")).into()
    }

    /// One line for the contact and each of its commands.
    fn log_notice(&self, object: ObjectId, notice: &Notice, effects: &mut Effects) {
        if !self.program().log_notifications {
            return;
        }
        let said = match notice.kind {
            NoticeKind::Acknowledgement | NoticeKind::Custom => format!(";{};{}", notice.author, notice.comment),
            NoticeKind::Problem
            | NoticeKind::Recovery
            | NoticeKind::FlappingStart
            | NoticeKind::FlappingStop
            | NoticeKind::FlappingDisabled
            | NoticeKind::DowntimeStart
            | NoticeKind::DowntimeEnd
            | NoticeKind::DowntimeCancelled => String::new(),
        };
        let (kind, contact, name) = (kind_of(object), &notice.contact, self.name_fields(object));
        let (state, output) = (notice.shown_state(), self.short_output(object));
        for command in &notice.commands {
            let command = &command.name;
            effects.log.push(format!("{kind} NOTIFICATION: {contact};{name};{state};{command};{output}{said}"));
        }
    }

    fn hold(&self, asked: &Asked, contact: Option<ContactId>, hold: &Hold, effects: &mut Effects) {
        effects.held_notices.push(HeldNotice {
            kind: asked.kind,
            object: self.catalog.object_key(asked.object),
            contact: contact.map(|id| Arc::clone(&self.catalog.contacts[id.index()].name)),
            state: state_word(asked.object, self.row(asked.object)).into(),
            number: self.track(asked.object).map_or(0, |track| track.notice.number),
            stage: hold.stage,
            why: hold.why.clone(),
            at: self.at,
        });
    }

    pub(super) fn custom_notification(
        &mut self,
        key: &ObjectKey,
        options: CustomOptions,
        by: &By,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        let object = self.find_imported(key)?;
        let asked = Asked {
            object,
            kind: NoticeKind::Custom,
            forced: options.forced,
            broadcast: options.broadcast,
            increment: options.increment,
        };
        self.tell(&asked, by, effects);
        Ok(Reply::Done)
    }

    pub(super) fn set_notice(
        &mut self,
        key: &ObjectKey,
        change: impl FnOnce(&mut NoticeState),
    ) -> Result<Reply, CommandError> {
        let object = self.find_imported(key)?;
        self.edit_notice(object, change);
        Ok(Reply::Done)
    }

    fn find_imported(&self, key: &ObjectKey) -> Result<ObjectId, CommandError> {
        let object = self.find(key)?;
        match self.directives(object) {
            Some(_) => Ok(object),
            None => Err(CommandError::NotImported(super::command::describe(key))),
        }
    }
}
