//! Directives of objects as commands change them: switches, values, checks asked for. Refusals say why.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::effect::{CheckRequest, Effects};
use super::input::{CommandError, Reply};
use super::program::{call_of, maybe_call_of, period_of, recalled, same_period};
use super::switch::{Change, Forced, Scope, Switch, modified};
use super::track::{Overrides, Track};
use crate::Timestamp;
use crate::catalog::nagios::CommandCall;
use crate::catalog::{Catalog, View};
use crate::id::{ObjectId, TimeperiodId};
use crate::model::{ObjectKey, StateKind};
use crate::snapshot::Flags;

/// A check that a command asked for at a later time.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedCheck {
    pub at: Timestamp,
    pub forced: Forced,
    /// A regular check since then has done its work.
    pub asked_at: Timestamp,
}

impl Engine {
    pub(super) fn set_switch(
        &mut self,
        scope: &Scope,
        switch: Switch,
        on: bool,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        let catalog = Arc::clone(&self.catalog);
        let objects = scope.objects(&catalog)?;
        // Of many, those that have no such switch are left as they are.
        if let (Scope::Object(_), [object]) = (scope, &*objects) {
            self.has_switch(*object, switch)?;
        }
        for object in objects {
            if self.track(object).is_some() {
                self.switch_object(object, switch, on, effects);
            } else if let Ok(flag) = self.has_switch(object, switch) {
                self.switch_own(object, flag, on, effects);
            }
        }
        Ok(Reply::Done)
    }

    /// Which flag of an object of Stentor's own configuration is that switch; 0 of an imported one, which has them all.
    ///
    /// # Errors
    /// It has no such switch.
    fn has_switch(&self, object: ObjectId, switch: Switch) -> Result<u16, CommandError> {
        if self.track(object).is_some() {
            return Ok(0);
        }
        let check = self.catalog.check_of(object).filter(|check| !check.probe.is_empty());
        let host = match object {
            ObjectId::Host(id) => id,
            ObjectId::Service(id) => self.catalog.services[id.index()].host,
        };
        let by_agent = self.catalog.hosts[host.index()].view == View::Agent;
        let why = match switch {
            Switch::ActiveChecks if check.is_none() => "has no check of its own: its results come from outside",
            Switch::ActiveChecks if by_agent && check.is_some_and(|check| check.host_side) => {
                "is checked by the agent on its host: stop it there, or in the configuration"
            }
            Switch::ActiveChecks => return Ok(Flags::UNCHECKED),
            Switch::PassiveChecks => return Ok(Flags::NO_PASSIVE),
            Switch::Notifications => return Ok(Flags::UNTOLD),
            Switch::EventHandler => "has no event handler: it is not of a Nagios configuration",
            Switch::FlapDetection => "is not watched for flapping: it is not of a Nagios configuration",
            Switch::Perfdata => "has no perfdata command; its measurements are always kept",
            Switch::Obsess => "has no obsessive command: it is not of a Nagios configuration",
            Switch::Freshness => "has its `freshness` in the configuration: change it there",
        };
        let key = super::command::describe(&self.catalog.object_key(object));
        Err(CommandError::Invalid(format!("{key} {why}")))
    }

    fn switch_own(&mut self, object: ObjectId, off: u16, on: bool, effects: &mut Effects) {
        let at = self.at;
        let row = self.row_mut(object);
        if row.flags.has(off) != on {
            return;
        }
        row.flags.set(off, !on);
        row.changed = at;
        // Whom to tell may be another matter now.
        self.problems_dirty = true;
        if off == Flags::UNCHECKED && on {
            effects.checks.push(CheckRequest::at(object, at));
        }
    }

    /// Whether a command said to tell nobody of the object.
    pub(super) fn is_untold(&self, object: ObjectId) -> bool {
        self.row(object).flags.has(Flags::UNTOLD)
            || self.track(object).is_some_and(|track| {
                let switches = track.overrides.as_ref().and_then(|overrides| overrides.switches);
                switches.is_some_and(|switches| !switches.notifications)
            })
    }

    /// Only objects of a Nagios tree have directives to change.
    pub(super) fn imported(&self, object: ObjectId) -> Result<(), CommandError> {
        if self.track(object).is_some() {
            return Ok(());
        }
        let key = super::command::describe(&self.catalog.object_key(object));
        Err(CommandError::Invalid(format!("{key} is not of a Nagios configuration: change it in its own")))
    }

    /// Nagios marks a switch as changed only when it changes.
    fn switch_object(&mut self, object: ObjectId, switch: Switch, on: bool, effects: &mut Effects) {
        let Some(mut switches) = self.switches(object) else { return };
        if *switch.of(&mut switches) == on {
            return;
        }
        *switch.of(&mut switches) = on;
        let Some(overrides) = self.overrides_mut(object) else { return };
        overrides.switches = Some(switches);
        overrides.modified_attributes |= switch.bit();
        if switch == Switch::ActiveChecks && on && self.may_run_now(object) {
            effects.checks.push(CheckRequest::at(object, self.at));
        }
        if switch == Switch::FlapDetection {
            self.judge_flapping(object, effects);
        }
    }

    /// What commands changed of an object; made if there is nothing yet. Whoever asks for it changes it.
    fn overrides_mut(&mut self, object: ObjectId) -> Option<&mut Overrides> {
        let at = self.at;
        self.row_mut(object).changed = at;
        Some(self.track_mut(object)?.overrides.get_or_insert_default())
    }

    pub(super) fn change(
        &mut self,
        key: &ObjectKey,
        change: &Change,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        let catalog = Arc::clone(&self.catalog);
        let object = self.find(key)?;
        self.imported(object)?;
        let rested = self.check_interval(object) == crate::Span::ZERO;
        if let Change::CustomVar { name, .. } = change
            && self.custom_var(object, name).is_none()
        {
            let of = super::command::describe(key);
            return Err(CommandError::NoObject(format!("custom variable `_{name}` of {of}")));
        }
        // Looked up before anything changes: a refused command changes nothing.
        let new = Resolved::of(&catalog, change)?;
        let Some(overrides) = self.overrides_mut(object) else { return Ok(Reply::Done) };
        overrides.modified_attributes |= new.apply(overrides);
        match change {
            Change::MaxAttempts(attempts) => {
                let row = self.row_mut(object);
                if row.kind == StateKind::Hard && row.state != 0 && row.attempt > 1 {
                    row.attempt = *attempts;
                }
            }
            Change::CheckInterval(interval) if rested && *interval > 0.0 && self.may_run_now(object) => {
                effects.checks.push(CheckRequest::at(object, self.at));
            }
            Change::CheckInterval(_)
            | Change::RetryInterval(_)
            | Change::CheckCommand(_)
            | Change::EventHandler(_)
            | Change::CheckPeriod(_)
            | Change::NotificationPeriod(_)
            | Change::EventHandlerPeriod(_)
            | Change::CustomVar { .. }
            | Change::ModifiedAttributes(_) => {}
        }
        Ok(Reply::Done)
    }

    /// What commands changed before this program took over. What cannot be looked up any more follows the configuration,
    /// as does a value without its bit.
    pub(super) fn retain_changes(&mut self, object: ObjectId, mask: u32, on: &[(Switch, bool)], changes: &[Change]) {
        let catalog = Arc::clone(&self.catalog);
        let Some(mut switches) = self.switches(object) else { return };
        let mut kept = 0;
        for (switch, on) in on.iter().filter(|(switch, _)| mask & switch.bit() != 0) {
            *switch.of(&mut switches) = *on;
            kept |= switch.bit();
        }
        let has_var = |change: &Change| match change {
            Change::CustomVar { name, .. } => self.custom_var(object, name).is_some(),
            _ => true,
        };
        let changes: Vec<&Change> = changes.iter().filter(|change| has_var(change)).collect();
        let Some(overrides) = self.overrides_mut(object) else { return };
        overrides.switches = (kept != 0).then_some(switches);
        for change in changes {
            if mask & change.bit() != 0
                && let Ok(new) = Resolved::of(&catalog, change)
            {
                kept |= new.apply(overrides);
            }
        }
        overrides.modified_attributes = kept;
    }

    /// Checks at a time: one that lies in the past is meant now.
    pub(super) fn schedule_checks(
        &mut self,
        scope: &Scope,
        at: Timestamp,
        forced: Forced,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        let catalog = Arc::clone(&self.catalog);
        for object in scope.objects(&catalog)? {
            let new = PlannedCheck { at: at.max(self.at), forced, asked_at: self.at };
            if new.at <= self.at {
                self.ask_for_check(object, forced, effects);
                continue;
            }
            // The earlier of two wins, but a forced one is not lost to one that may not run.
            let kept = self.planned.get(&object).filter(|old| match (old.forced, forced) {
                (Forced::Yes, Forced::No) => true,
                (Forced::No, Forced::Yes) => false,
                (Forced::Yes, Forced::Yes) | (Forced::No, Forced::No) => old.at <= new.at,
            });
            if kept.is_none() {
                self.planned.insert(object, new);
            }
        }
        Ok(Reply::Done)
    }

    /// Checks whose asked-for time has come.
    pub(super) fn run_planned(&mut self, effects: &mut Effects) {
        let due: Vec<(ObjectId, PlannedCheck)> =
            self.planned.iter().filter(|(_, check)| check.at <= self.at).map(|(id, check)| (*id, *check)).collect();
        for (object, check) in due {
            self.planned.remove(&object);
            if check.forced == Forced::Yes || self.row_mut(object).last_check < check.asked_at {
                self.ask_for_check(object, check.forced, effects);
            }
        }
    }

    fn ask_for_check(&self, object: ObjectId, forced: Forced, effects: &mut Effects) {
        match forced {
            Forced::Yes => effects.checks.push(CheckRequest::forced(object, self.at)),
            Forced::No if self.may_run_now(object) => effects.checks.push(CheckRequest::at(object, self.at)),
            Forced::No => {}
        }
    }

    fn may_run_now(&self, object: ObjectId) -> bool {
        self.check_allowed(object, Forced::No).is_ok()
    }

    pub fn notification_period(&self, object: ObjectId) -> Option<TimeperiodId> {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.notification_period);
        changed.unwrap_or_else(|| self.directives(object)?.notification_period)
    }

    /// The check command that a command set; `None` = as configured.
    pub fn changed_check_command(&self, object: ObjectId) -> Option<&CommandCall> {
        self.track(object)?.overrides.as_ref()?.check_command.as_ref()
    }

    /// A custom variable, its name in capitals without `_`.
    pub fn custom_var(&self, object: ObjectId, name: &str) -> Option<&Arc<str>> {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.vars.get(name));
        changed.or_else(|| self.catalog.nagios.appearance(object)?.vars.get(name))
    }

    /// Bits of what commands changed (specification 03, section 11).
    pub fn modified_attributes(&self, object: ObjectId) -> u32 {
        if self.track(object).is_none() {
            let off = |flag, bit| if self.row(object).flags.has(flag) { bit } else { 0 };
            return off(Flags::UNCHECKED, modified::ACTIVE_CHECKS)
                | off(Flags::NO_PASSIVE, modified::PASSIVE_CHECKS)
                | off(Flags::UNTOLD, modified::NOTIFICATIONS);
        }
        self.track(object).and_then(|track| track.overrides.as_ref()).map_or(0, |changed| changed.modified_attributes)
    }

    /// What commands changed and asked for, under another configuration. The tracks are those of the new one already.
    pub(super) fn carry_overrides_over(&mut self, old: &Catalog, new: &Catalog) {
        let carry = |tracks: &mut [Arc<Track>], id: fn(usize) -> ObjectId| {
            for (i, track) in tracks.iter_mut().enumerate().filter(|(_, track)| track.overrides.is_some()) {
                let configured = new.nagios.directives(id(i)).map(|directives| directives.switches);
                let track = Arc::make_mut(track);
                if let Some(overrides) = &mut track.overrides {
                    carried(overrides, configured, old, new);
                }
            }
        };
        carry(&mut self.host_tracks, |i| ObjectId::Host(crate::id::HostId::from_index(i)));
        carry(&mut self.service_tracks, |i| ObjectId::Service(crate::id::ServiceId::from_index(i)));
        let planned = std::mem::take(&mut self.planned);
        let known = planned.into_iter().filter_map(|(id, check)| Some((new.object_id(&old.object_key(id))?, check)));
        self.planned = known.collect();
    }
}

/// A change with its names looked up.
enum Resolved<'a> {
    CheckCommand(CommandCall),
    EventHandler(Option<CommandCall>),
    CheckPeriod(TimeperiodId),
    NotificationPeriod(TimeperiodId),
    EventHandlerPeriod(TimeperiodId),
    Plain(&'a Change),
}

impl<'a> Resolved<'a> {
    fn of(catalog: &Catalog, change: &'a Change) -> Result<Resolved<'a>, CommandError> {
        Ok(match change {
            Change::CheckCommand(text) => Resolved::CheckCommand(call_of(catalog, text)?),
            Change::EventHandler(text) => Resolved::EventHandler(maybe_call_of(catalog, text)?),
            Change::CheckPeriod(name) => Resolved::CheckPeriod(period_of(catalog, name)?),
            Change::NotificationPeriod(name) => Resolved::NotificationPeriod(period_of(catalog, name)?),
            Change::EventHandlerPeriod(name) => Resolved::EventHandlerPeriod(period_of(catalog, name)?),
            Change::CheckInterval(_)
            | Change::RetryInterval(_)
            | Change::MaxAttempts(_)
            | Change::CustomVar { .. }
            | Change::ModifiedAttributes(_) => Resolved::Plain(change),
        })
    }

    /// The bit that says what was changed.
    fn apply(self, overrides: &mut Overrides) -> u32 {
        match self {
            Resolved::CheckCommand(call) => {
                overrides.check_command = Some(call);
                modified::CHECK_COMMAND
            }
            Resolved::EventHandler(call) => {
                overrides.event_handler = Some(call);
                modified::EVENT_HANDLER_COMMAND
            }
            Resolved::CheckPeriod(period) => {
                overrides.check_period = Some(Some(period));
                modified::CHECK_PERIOD
            }
            Resolved::NotificationPeriod(period) => {
                overrides.notification_period = Some(Some(period));
                modified::NOTIFICATION_PERIOD
            }
            Resolved::EventHandlerPeriod(period) => {
                overrides.event_handler_period = Some(Some(period));
                modified::EVENT_HANDLER_PERIOD
            }
            Resolved::Plain(change) => apply_plain(change, overrides),
        }
    }
}

fn apply_plain(change: &Change, overrides: &mut Overrides) -> u32 {
    match change {
        Change::CheckInterval(units) => {
            overrides.check_interval = Some(*units);
            modified::CHECK_INTERVAL
        }
        Change::RetryInterval(units) => {
            overrides.retry_interval = Some(*units);
            modified::RETRY_INTERVAL
        }
        Change::MaxAttempts(attempts) => {
            overrides.max_attempts = Some(*attempts);
            modified::MAX_ATTEMPTS
        }
        Change::CustomVar { name, value } => {
            overrides.vars.insert(Arc::clone(name), Arc::clone(value));
            modified::CUSTOM_VAR
        }
        Change::ModifiedAttributes(mask) => {
            // Only says what a reload keeps; the values stay as they are until then, as in Nagios.
            overrides.modified_attributes = *mask;
            *mask
        }
        Change::CheckCommand(_)
        | Change::EventHandler(_)
        | Change::CheckPeriod(_)
        | Change::NotificationPeriod(_)
        | Change::EventHandlerPeriod(_) => 0,
    }
}

/// Keeps what its bit marks as changed, with ids of the new catalog; what is gone from that follows the configuration.
fn carried(
    overrides: &mut Overrides,
    configured: Option<crate::catalog::nagios::Switches>,
    old: &Catalog,
    new: &Catalog,
) {
    let mask = overrides.modified_attributes;
    let keeps = |bit: u32| mask & bit != 0;
    if let (Some(changed), Some(mut switches)) = (overrides.switches, configured) {
        let mut changed = changed;
        for switch in Switch::ALL.into_iter().filter(|switch| keeps(switch.bit())) {
            *switch.of(&mut switches) = *switch.of(&mut changed);
        }
        overrides.switches = Some(switches);
    }
    let period = |changed: Option<Option<TimeperiodId>>, bit| {
        let id = changed.filter(|_| keeps(bit))??;
        same_period(old, new, id).map(Some)
    };
    overrides.check_period = period(overrides.check_period, modified::CHECK_PERIOD);
    overrides.notification_period = period(overrides.notification_period, modified::NOTIFICATION_PERIOD);
    overrides.event_handler_period = period(overrides.event_handler_period, modified::EVENT_HANDLER_PERIOD);
    let handler = overrides.event_handler.take().filter(|_| keeps(modified::EVENT_HANDLER_COMMAND));
    overrides.event_handler = handler.and_then(|call| match call {
        Some(call) => recalled(new, &call).map(Some),
        None => Some(None),
    });
    let command = overrides.check_command.take().filter(|_| keeps(modified::CHECK_COMMAND));
    overrides.check_command = command.and_then(|call| recalled(new, &call));
    overrides.check_interval = overrides.check_interval.filter(|_| keeps(modified::CHECK_INTERVAL));
    overrides.retry_interval = overrides.retry_interval.filter(|_| keeps(modified::RETRY_INTERVAL));
    overrides.max_attempts = overrides.max_attempts.filter(|_| keeps(modified::MAX_ATTEMPTS));
    if !keeps(modified::CUSTOM_VAR) {
        overrides.vars.clear();
    }
}
