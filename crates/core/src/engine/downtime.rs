//! Downtimes: planned, started, ended, cancelled, and told of in Nagios's way (specification 03, section 8).

use std::sync::Arc;

use super::Engine;
use super::comment::ENGINE;
use super::effect::{Effects, Event, EventKind};
use super::input::{CommandError, CommentRequest, DowntimeRequest, Reply, Spread};
use super::notify::By;
use crate::Span;
use crate::catalog::PlannedDowntime;
use crate::id::{HostId, ObjectId};
use crate::model::{CommentType, Covers, Downtime, DowntimeKind, NoticeKind, ObjectKey};
use crate::policy::notice::facts::Asked;

/// Author of windows that the configuration plans.
pub(super) const CONFIGURATION: &str = "configuration";

/// How a window ends.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Ending {
    RunOut,
    Cancelled,
}

impl Engine {
    pub(super) fn schedule_downtime(
        &mut self,
        request: &DowntimeRequest,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        let target = self.find(&request.target)?;
        if request.end <= request.start {
            return Err(CommandError::Invalid("the downtime ends before it starts".to_owned()));
        }
        if request.end <= self.at {
            return Err(CommandError::Invalid("the downtime ends in the past".to_owned()));
        }
        if let DowntimeKind::Flexible { duration } = request.kind
            && duration < Span::ZERO
        {
            return Err(CommandError::Invalid("the downtime would last less than no time".to_owned()));
        }
        let behind = self.behind(target, request)?;
        let id = self.plan(request, None);
        for host in behind {
            let target = self.catalog.object_key(ObjectId::Host(host));
            let triggered_by = match request.spread {
                Spread::TriggeredDescendants => Some(id),
                Spread::TargetOnly | Spread::Descendants => request.triggered_by,
            };
            self.plan(&DowntimeRequest { target, triggered_by, ..request.clone() }, None);
        }
        let text = format!("{}: {} until {}", request.author, request.comment, request.end);
        effects.events.push(Event::of_object(self.at, EventKind::DowntimeScheduled, request.target.clone(), text));
        self.turn_downtimes(effects);
        Ok(Reply::DowntimeScheduled(id))
    }

    /// Hosts that the request is planned for besides its target, each once.
    fn behind(&self, target: ObjectId, request: &DowntimeRequest) -> Result<Vec<HostId>, CommandError> {
        match (request.spread, target) {
            (Spread::TargetOnly, _) => Ok(Vec::new()),
            (Spread::Descendants | Spread::TriggeredDescendants, ObjectId::Host(host)) => Ok(self.descendants(host)),
            (Spread::Descendants | Spread::TriggeredDescendants, ObjectId::Service(_)) => {
                Err(CommandError::Invalid("only a host has other hosts behind it".to_owned()))
            }
        }
    }

    /// Every host that is reached through this one.
    fn descendants(&self, host: HostId) -> Vec<HostId> {
        let mut found = vec![host];
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            for &child in &self.catalog.index.children[at.index()] {
                if !found.contains(&child) {
                    found.push(child);
                }
            }
            next += 1;
        }
        found.split_off(1)
    }

    /// Enters a window and announces it by a comment.
    pub(super) fn plan(&mut self, request: &DowntimeRequest, recurring: Option<&Arc<str>>) -> u64 {
        self.downtimes_newest += 1;
        let id = self.downtimes_newest;
        let mut downtime = Downtime {
            id,
            target: request.target.clone(),
            covers: request.covers,
            kind: request.kind,
            triggered_by: request.triggered_by,
            start: request.start,
            end: request.end,
            author: Arc::clone(&request.author),
            comment: Arc::clone(&request.comment),
            entered_at: self.at,
            active: false,
            started_at: None,
            comment_id: 0,
            recurring: recurring.map(Arc::clone),
        };
        let announcement = CommentRequest {
            object: request.target.clone(),
            persistent: false,
            expires: None,
            author: ENGINE.into(),
            text: announcement(&downtime).into(),
        };
        downtime.comment_id = self.add_comment(CommentType::Downtime, &announcement);
        Arc::make_mut(&mut self.downtimes).insert(id, downtime);
        id
    }

    /// A window of the configuration that is not known yet.
    pub(super) fn plan_configured(&mut self, planned: &PlannedDowntime) {
        let known = self.downtimes.values().any(|downtime| {
            let same_times = downtime.start == planned.start && downtime.end == planned.end;
            downtime.target == planned.target && same_times && downtime.recurring.is_none()
        });
        if known || planned.end <= self.at {
            return;
        }
        self.plan(
            &DowntimeRequest {
                target: planned.target.clone(),
                covers: Covers::HostAndServices,
                kind: DowntimeKind::Fixed,
                triggered_by: None,
                spread: Spread::TargetOnly,
                start: planned.start,
                end: planned.end,
                author: CONFIGURATION.into(),
                comment: Arc::clone(&planned.comment),
            },
            None,
        );
    }

    pub(super) fn cancel_downtime(
        &mut self,
        id: u64,
        by: &Arc<str>,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        let Some(downtime) = self.downtimes.get(&id) else { return Err(CommandError::NoDowntime(id)) };
        let target = downtime.target.clone();
        self.finish(id, Ending::Cancelled, effects);
        effects.events.push(Event::of_object(self.at, EventKind::DowntimeCancelled, target, by.to_string()));
        Ok(Reply::Done)
    }

    /// Ends and starts downtimes whose time has come.
    pub(super) fn turn_downtimes(&mut self, effects: &mut Effects) {
        let at = self.at;
        let over: Vec<u64> = self.downtimes.values().filter(|d| d.is_over(at)).map(|d| d.id).collect();
        for id in over {
            self.finish(id, Ending::RunOut, effects);
        }
        let due: Vec<u64> = self.downtimes.values().filter(|d| self.is_due(d)).map(|d| d.id).collect();
        for id in due {
            self.begin(id, effects);
        }
    }

    fn is_due(&self, downtime: &Downtime) -> bool {
        let trigger = downtime.triggered_by.and_then(|id| self.downtimes.get(&id));
        let pulled = !downtime.active && trigger.is_some_and(|trigger| trigger.active);
        pulled || downtime.may_start(self.at, self.has_failed(&downtime.target))
    }

    fn has_failed(&self, target: &ObjectKey) -> bool {
        let row = self.catalog.object_id(target).map(|object| *self.row(object));
        row.is_some_and(|row| row.state != 0 && !row.is_pending())
    }

    /// The object's state changed: if it failed, flexible windows on it begin, soft as the failure may be.
    pub(super) fn start_flexible(&mut self, object: ObjectId, effects: &mut Effects) {
        if self.row(object).state != 0 && self.awaits_failure(object) {
            self.turn_downtimes(effects);
        }
    }

    fn awaits_failure(&self, object: ObjectId) -> bool {
        let waits = |d: &&Downtime| !d.active && !d.is_fixed() && d.triggered_by.is_none();
        let mut waiting = self.downtimes.values().filter(waits).peekable();
        if waiting.peek().is_none() {
            return false;
        }
        let key = self.catalog.object_key(object);
        waiting.any(|downtime| downtime.target == key)
    }

    /// Starts a window and everything that it triggers.
    fn begin(&mut self, id: u64, effects: &mut Effects) {
        let Some(downtime) = self.downtimes.get(&id).filter(|downtime| !downtime.active).cloned() else { return };
        if self.target_depth(&downtime) == Some(0) {
            self.tell_downtime(&downtime, NoticeKind::DowntimeStart, effects);
        }
        self.shift_depth(&downtime, true);
        let at = self.at;
        if let Some(kept) = Arc::make_mut(&mut self.downtimes).get_mut(&id) {
            kept.active = true;
            kept.started_at = Some(at);
        }
        let event = EventKind::DowntimeStarted;
        effects.events.push(Event::of_object(at, event, downtime.target.clone(), &*downtime.comment));
        for triggered in self.triggered_by(id) {
            self.begin(triggered, effects);
        }
    }

    /// Removes a window, and everything that it triggers, whether it was running or not.
    fn finish(&mut self, id: u64, how: Ending, effects: &mut Effects) {
        if !self.downtimes.contains_key(&id) {
            return;
        }
        let Some(downtime) = Arc::make_mut(&mut self.downtimes).remove(&id) else { return };
        if downtime.active {
            self.shift_depth(&downtime, false);
            let kind = match how {
                Ending::RunOut => NoticeKind::DowntimeEnd,
                Ending::Cancelled => NoticeKind::DowntimeCancelled,
            };
            if self.target_depth(&downtime) == Some(0) {
                self.tell_downtime(&downtime, kind, effects);
            }
            if how == Ending::RunOut {
                let event = EventKind::DowntimeEnded;
                effects.events.push(Event::of_object(self.at, event, downtime.target.clone(), &*downtime.comment));
            }
        }
        self.remove_comment(downtime.comment_id);
        self.plan_after(&downtime);
        for triggered in self.triggered_by(id) {
            self.finish(triggered, how, effects);
        }
    }

    fn triggered_by(&self, id: u64) -> Vec<u64> {
        self.downtimes.values().filter(|d| d.triggered_by == Some(id)).map(|d| d.id).collect()
    }

    /// Depth of the window's target; `None` where the catalog has no such object any more.
    fn target_depth(&self, downtime: &Downtime) -> Option<u16> {
        self.catalog.object_id(&downtime.target).map(|object| self.row(object).downtime_depth)
    }

    /// The log line of a downtime and its notice, of imported objects.
    fn tell_downtime(&mut self, downtime: &Downtime, kind: NoticeKind, effects: &mut Effects) {
        let Some(object) = self.catalog.object_id(&downtime.target) else { return };
        if self.directives(object).is_none() {
            return;
        }
        let noun = match object {
            ObjectId::Host(_) => "Host",
            ObjectId::Service(_) => "Service",
        };
        let what = match kind {
            NoticeKind::DowntimeStart => format!("STARTED; {noun} has entered a period of scheduled downtime"),
            NoticeKind::DowntimeCancelled => {
                format!("CANCELLED; Scheduled downtime for {} has been cancelled.", noun.to_lowercase())
            }
            NoticeKind::DowntimeEnd
            | NoticeKind::Problem
            | NoticeKind::Recovery
            | NoticeKind::Acknowledgement
            | NoticeKind::FlappingStart
            | NoticeKind::FlappingStop
            | NoticeKind::FlappingDisabled
            | NoticeKind::Custom => format!("STOPPED; {noun} has exited from a period of scheduled downtime"),
        };
        effects.log.push(self.line_of(object, "DOWNTIME ALERT", &what));
        let by = By { author: Arc::clone(&downtime.author), comment: Arc::clone(&downtime.comment) };
        self.tell(&Asked::of(object, kind), &by, effects);
    }

    /// Raises or lowers the depth of everything a window covers.
    fn shift_depth(&mut self, downtime: &Downtime, up: bool) {
        let at = self.at;
        for object in self.covered(downtime) {
            let row = self.row_mut(object);
            row.downtime_depth =
                if up { row.downtime_depth.saturating_add(1) } else { row.downtime_depth.saturating_sub(1) };
            row.changed = at;
        }
        for group in &mut self.board.groups {
            group.dirty = true;
        }
    }

    fn covered(&self, downtime: &Downtime) -> Vec<ObjectId> {
        let Some(target) = self.catalog.object_id(&downtime.target) else { return Vec::new() };
        let mut objects = vec![target];
        if let (ObjectId::Host(host), Covers::HostAndServices) = (target, downtime.covers) {
            let services = &self.catalog.hosts[host.index()].services;
            objects.extend(services.iter().map(|id| ObjectId::Service(*id)));
        }
        objects
    }

    /// Counts the depth of every row anew: a new catalog may have brought objects into running windows.
    pub(super) fn recount_depths(&mut self) {
        for row in self.hosts.iter_mut().chain(&mut self.services) {
            row.downtime_depth = 0;
        }
        let running: Vec<Downtime> = self.downtimes.values().filter(|downtime| downtime.active).cloned().collect();
        for downtime in running {
            for object in self.covered(&downtime) {
                let row = self.row_mut(object);
                row.downtime_depth = row.downtime_depth.saturating_add(1);
            }
        }
    }
}

fn announcement(downtime: &Downtime) -> String {
    let noun = if downtime.target.service.is_some() { "service" } else { "host" };
    let quiet = format!("Notifications for the {noun} will not be sent out during that time period.");
    let (start, end) = (downtime.start, downtime.end);
    match downtime.kind {
        DowntimeKind::Fixed => {
            format!("This {noun} has been scheduled for fixed downtime from {start} to {end}.  {quiet}")
        }
        DowntimeKind::Flexible { duration } => format!(
            "This {noun} has been scheduled for flexible downtime starting between {start} and {end} and lasting for a \
             period of {duration}.  {quiet}"
        ),
    }
}
