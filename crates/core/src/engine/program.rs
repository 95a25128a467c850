//! The program's own switches and the contacts' as they are in force: configured values with what commands changed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::effect::Effects;
use super::input::{CommandError, Reply};
use super::switch::{ContactChange, ContactScope, ProgramSwitch, Side, contact, modified};
use crate::Timestamp;
use crate::catalog::Catalog;
use crate::catalog::nagios::{CommandCall, ContactSide, NagiosContact, Program};
use crate::id::{ContactId, TimeperiodId};

/// The program as it is now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgramState {
    /// Which switches commands changed; the others follow the configuration.
    pub modified_host_attributes: u32,
    pub modified_service_attributes: u32,
    pub in_force: Program,
}

/// Directives of a contact that commands changed (`None` = as configured), and when it was told last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContactOverrides {
    pub modified_attributes: u32,
    pub host: SideOverrides,
    pub service: SideOverrides,
    pub vars: std::collections::BTreeMap<Arc<str>, Arc<str>>,
}

/// How a contact is told of hosts or of services, as far as commands changed it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideOverrides {
    pub modified_attributes: u32,
    pub enabled: Option<bool>,
    pub period: Option<TimeperiodId>,
    /// When the newest notification went to it; zero = never.
    pub last_told: Timestamp,
}

impl ProgramSwitch {
    fn bit(self) -> u32 {
        match self {
            ProgramSwitch::Notifications => modified::NOTIFICATIONS,
            ProgramSwitch::EventHandlers => modified::EVENT_HANDLER,
            ProgramSwitch::FlapDetection => modified::FLAP_DETECTION,
            ProgramSwitch::Perfdata => modified::PERFDATA,
            ProgramSwitch::ActiveChecks(_) => modified::ACTIVE_CHECKS,
            ProgramSwitch::PassiveChecks(_) => modified::PASSIVE_CHECKS,
            ProgramSwitch::Obsess(_) => modified::OBSESS,
            ProgramSwitch::Freshness(_) => modified::FRESHNESS,
        }
    }

    /// The side whose attributes it belongs to; `None` = both.
    fn side(self) -> Option<Side> {
        match self {
            ProgramSwitch::Notifications
            | ProgramSwitch::EventHandlers
            | ProgramSwitch::FlapDetection
            | ProgramSwitch::Perfdata => None,
            ProgramSwitch::ActiveChecks(side)
            | ProgramSwitch::PassiveChecks(side)
            | ProgramSwitch::Obsess(side)
            | ProgramSwitch::Freshness(side) => Some(side),
        }
    }

    /// Its place in the program's directives.
    pub fn of(self, program: &mut Program) -> &mut bool {
        match self {
            ProgramSwitch::Notifications => &mut program.enable_notifications,
            ProgramSwitch::EventHandlers => &mut program.enable_event_handlers,
            ProgramSwitch::FlapDetection => &mut program.enable_flap_detection,
            ProgramSwitch::Perfdata => &mut program.process_performance_data,
            ProgramSwitch::ActiveChecks(Side::Hosts) => &mut program.execute_host_checks,
            ProgramSwitch::ActiveChecks(Side::Services) => &mut program.execute_service_checks,
            ProgramSwitch::PassiveChecks(Side::Hosts) => &mut program.accept_passive_host_checks,
            ProgramSwitch::PassiveChecks(Side::Services) => &mut program.accept_passive_service_checks,
            ProgramSwitch::Obsess(Side::Hosts) => &mut program.obsess_over_hosts,
            ProgramSwitch::Obsess(Side::Services) => &mut program.obsess_over_services,
            ProgramSwitch::Freshness(Side::Hosts) => &mut program.check_host_freshness,
            ProgramSwitch::Freshness(Side::Services) => &mut program.check_service_freshness,
        }
    }

    const ALL: [ProgramSwitch; 12] = [
        ProgramSwitch::Notifications,
        ProgramSwitch::EventHandlers,
        ProgramSwitch::FlapDetection,
        ProgramSwitch::Perfdata,
        ProgramSwitch::ActiveChecks(Side::Hosts),
        ProgramSwitch::ActiveChecks(Side::Services),
        ProgramSwitch::PassiveChecks(Side::Hosts),
        ProgramSwitch::PassiveChecks(Side::Services),
        ProgramSwitch::Obsess(Side::Hosts),
        ProgramSwitch::Obsess(Side::Services),
        ProgramSwitch::Freshness(Side::Hosts),
        ProgramSwitch::Freshness(Side::Services),
    ];
}

impl ProgramState {
    fn is_modified(&self, side: Option<Side>, bit: u32) -> bool {
        match side {
            Some(Side::Hosts) => self.modified_host_attributes & bit != 0,
            Some(Side::Services) => self.modified_service_attributes & bit != 0,
            None => (self.modified_host_attributes | self.modified_service_attributes) & bit != 0,
        }
    }

    fn mark(&mut self, side: Option<Side>, bit: u32) {
        if side != Some(Side::Services) {
            self.modified_host_attributes |= bit;
        }
        if side != Some(Side::Hosts) {
            self.modified_service_attributes |= bit;
        }
    }

    /// The state under another configuration: what commands changed stays, the rest follows.
    pub(super) fn carried(&self, catalog: &Catalog) -> ProgramState {
        let mut state = ProgramState { in_force: catalog.nagios.program.clone(), ..self.clone() };
        let mut old = self.in_force.clone();
        for switch in ProgramSwitch::ALL {
            if self.is_modified(switch.side(), switch.bit()) {
                *switch.of(&mut state.in_force) = *switch.of(&mut old);
            }
        }
        for side in [Side::Hosts, Side::Services] {
            if self.is_modified(Some(side), modified::EVENT_HANDLER_COMMAND) {
                let changed = global_handler(&mut old, side).take();
                *global_handler(&mut state.in_force, side) = changed.and_then(|call| recalled(catalog, &call));
            }
        }
        state
    }
}

fn global_handler(program: &mut Program, side: Side) -> &mut Option<CommandCall> {
    match side {
        Side::Hosts => &mut program.global_host_event_handler,
        Side::Services => &mut program.global_service_event_handler,
    }
}

/// The same call in another catalog; `None` if its command is gone.
pub(super) fn recalled(catalog: &Catalog, call: &CommandCall) -> Option<CommandCall> {
    call_of(catalog, &call.text).ok()
}

/// `name!argument!…` of a configured command.
pub(super) fn call_of(catalog: &Catalog, text: &Arc<str>) -> Result<CommandCall, CommandError> {
    let name = text.split('!').next().unwrap_or("").trim();
    match catalog.nagios.index.command.get(name) {
        Some(command) => Ok(CommandCall { command: *command, text: Arc::clone(text) }),
        None => Err(CommandError::NoObject(format!("command `{name}`"))),
    }
}

/// As [`call_of`]; an empty text means none.
pub(super) fn maybe_call_of(catalog: &Catalog, text: &Arc<str>) -> Result<Option<CommandCall>, CommandError> {
    if text.trim().is_empty() { Ok(None) } else { call_of(catalog, text).map(Some) }
}

pub(super) fn period_of(catalog: &Catalog, name: &str) -> Result<TimeperiodId, CommandError> {
    let at = catalog.timeperiods.iter().position(|period| *period.name == *name);
    at.map(TimeperiodId::from_index).ok_or_else(|| CommandError::NoObject(format!("timeperiod `{name}`")))
}

/// The same period in another catalog, by its name.
pub(super) fn same_period(old: &Catalog, new: &Catalog, id: TimeperiodId) -> Option<TimeperiodId> {
    old.timeperiods.get(id.index()).and_then(|period| period_of(new, &period.name).ok())
}

impl Engine {
    /// The program as it is now, with what commands changed.
    pub fn program_state(&self) -> &Arc<ProgramState> {
        &self.program
    }

    pub(super) fn set_program_switch(
        &mut self,
        switch: ProgramSwitch,
        on: bool,
        effects: &mut Effects,
    ) -> Result<Reply, CommandError> {
        let state = Arc::make_mut(&mut self.program);
        let place = switch.of(&mut state.in_force);
        // Nagios marks a switch as changed only when it changes.
        if *place != on {
            *place = on;
            state.mark(switch.side(), switch.bit());
            if switch == ProgramSwitch::FlapDetection {
                self.judge_flapping_of_all(effects);
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn set_global_handler(&mut self, side: Side, text: &Arc<str>) -> Result<Reply, CommandError> {
        let call = maybe_call_of(&self.catalog, text)?;
        let state = Arc::make_mut(&mut self.program);
        *global_handler(&mut state.in_force, side) = call;
        state.mark(Some(side), modified::EVENT_HANDLER_COMMAND);
        Ok(Reply::Done)
    }

    pub(super) fn set_contact_switch(
        &mut self,
        scope: &ContactScope,
        side: Side,
        on: bool,
    ) -> Result<Reply, CommandError> {
        for id in scope.contacts(&self.catalog)? {
            if self.contact_enabled(id, side) == Some(!on) {
                let changed = self.contact_overrides_mut(id).side_mut(side);
                changed.enabled = Some(on);
                changed.modified_attributes |= modified::NOTIFICATIONS;
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn change_contact(&mut self, name: &Arc<str>, change: &ContactChange) -> Result<Reply, CommandError> {
        let id = contact(&self.catalog, name)?;
        match change {
            ContactChange::Period { side, period } => {
                let period = period_of(&self.catalog, period)?;
                let changed = self.contact_overrides_mut(id).side_mut(*side);
                changed.period = Some(period);
                changed.modified_attributes |= modified::NOTIFICATION_PERIOD;
            }
            ContactChange::CustomVar { name: var, value } => {
                let known = self.nagios_contact(id).is_some_and(|contact| contact.vars.contains_key(var));
                if !known {
                    return Err(CommandError::NoObject(format!("custom variable `_{var}` of contact `{name}`")));
                }
                let changed = self.contact_overrides_mut(id);
                changed.vars.insert(Arc::clone(var), Arc::clone(value));
                changed.modified_attributes |= modified::CUSTOM_VAR;
            }
            ContactChange::ModifiedAttributes(mask) => self.contact_overrides_mut(id).modified_attributes = *mask,
            ContactChange::SideAttributes { side, mask } => {
                self.contact_overrides_mut(id).side_mut(*side).modified_attributes = *mask;
            }
        }
        Ok(Reply::Done)
    }

    fn nagios_contact(&self, id: ContactId) -> Option<&NagiosContact> {
        self.catalog.nagios.contacts.get(id.index())?.as_ref()
    }

    /// A notification about a host or a service goes to this contact now.
    pub(super) fn note_told(&mut self, id: ContactId, side: Side) {
        let at = self.at;
        self.contact_overrides_mut(id).side_mut(side).last_told = at;
    }

    /// As another monitor left it: hosts, services.
    pub(super) fn retain_told(&mut self, id: ContactId, last_told: [Timestamp; 2]) {
        let at = self.at;
        for (side, told) in [Side::Hosts, Side::Services].into_iter().zip(last_told) {
            if told > Timestamp::ZERO {
                self.contact_overrides_mut(id).side_mut(side).last_told = told.min(at);
            }
        }
    }

    fn contact_overrides_mut(&mut self, id: ContactId) -> &mut ContactOverrides {
        let name = Arc::clone(&self.catalog.contacts[id.index()].name);
        Arc::make_mut(&mut self.contact_overrides).entry(name).or_default()
    }

    /// What commands changed of a contact; `None` = nothing.
    pub fn contact_overrides(&self, id: ContactId) -> Option<&ContactOverrides> {
        self.contact_overrides.get(&self.catalog.contacts.get(id.index())?.name)
    }

    fn contact_side(&self, id: ContactId, side: Side) -> Option<&ContactSide> {
        let contact = self.nagios_contact(id)?;
        Some(match side {
            Side::Hosts => &contact.host,
            Side::Services => &contact.service,
        })
    }

    /// Whether a contact is told of hosts or of services; `None` for a contact of Stentor's own routes.
    pub fn contact_enabled(&self, id: ContactId, side: Side) -> Option<bool> {
        let configured = self.contact_side(id, side)?.enabled;
        Some(self.contact_overrides(id).and_then(|changed| changed.side(side).enabled).unwrap_or(configured))
    }

    /// When a contact is told of hosts or of services; `None` = always.
    pub fn contact_period(&self, id: ContactId, side: Side) -> Option<TimeperiodId> {
        let changed = self.contact_overrides(id).and_then(|changed| changed.side(side).period);
        changed.or_else(|| self.contact_side(id, side)?.period)
    }

    /// A contact's custom variable, its name in capitals without `_`.
    pub fn contact_var(&self, id: ContactId, name: &str) -> Option<&Arc<str>> {
        let changed = self.contact_overrides(id).and_then(|changed| changed.vars.get(name));
        changed.or_else(|| self.nagios_contact(id)?.vars.get(name))
    }

    /// What commands changed, under another configuration.
    pub(super) fn carry_program_over(&mut self, old: &Catalog, new: &Catalog) {
        self.program = Arc::new(self.program.carried(new));
        let mut carried = (*self.contact_overrides).clone();
        carried.retain(|name, _| contact(new, name).is_ok());
        for changed in carried.values_mut() {
            if changed.modified_attributes & modified::CUSTOM_VAR == 0 {
                changed.vars.clear();
            }
            for side in [&mut changed.host, &mut changed.service] {
                let keeps = |bit| side.modified_attributes & bit != 0;
                side.enabled = side.enabled.filter(|_| keeps(modified::NOTIFICATIONS));
                side.period = side.period.filter(|_| keeps(modified::NOTIFICATION_PERIOD));
                side.period = side.period.and_then(|id| same_period(old, new, id));
            }
        }
        self.contact_overrides = Arc::new(carried);
    }
}

impl ContactOverrides {
    pub fn side(&self, side: Side) -> &SideOverrides {
        match side {
            Side::Hosts => &self.host,
            Side::Services => &self.service,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut SideOverrides {
        match side {
            Side::Hosts => &mut self.host,
            Side::Services => &mut self.service,
        }
    }
}
