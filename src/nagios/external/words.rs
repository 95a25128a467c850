//! The parser's words in the engine's, one by one.

use std::sync::Arc;

use stentor_core::engine::Command;
use stentor_core::engine::switch::{Change, ContactChange, ContactScope, Forced, ProgramSwitch, Scope, Side, Switch};
use stentor_core::model::ObjectKey;
use stentor_wire::nagios::external_command as wire;

pub fn key_of(object: wire::Object) -> ObjectKey {
    ObjectKey { host: object.host.into(), service: object.service.map(Arc::from) }
}

/// `None` where the words mean the program or contacts.
pub fn scope_of(scope: wire::Scope) -> Option<Scope> {
    Some(match scope {
        wire::Scope::Object(object) => Scope::Object(key_of(object)),
        wire::Scope::ServicesOf(host) => Scope::ServicesOf(host.into()),
        wire::Scope::HostgroupHosts(group) => Scope::HostgroupHosts(group.into()),
        wire::Scope::HostgroupServices(group) => Scope::HostgroupServices(group.into()),
        wire::Scope::ServicegroupHosts(group) => Scope::ServicegroupHosts(group.into()),
        wire::Scope::ServicegroupServices(group) => Scope::ServicegroupServices(group.into()),
        wire::Scope::Beyond(host) => Scope::Beyond(host.into()),
        wire::Scope::HostAndChildren(host) => Scope::HostAndChildren(host.into()),
        wire::Scope::Program(_) | wire::Scope::Contact(..) | wire::Scope::Contactgroup(..) => return None,
    })
}

/// Words that name both sides where there can be but one.
pub const NO_SUCH_SWITCH: &str = "there is no such switch";

pub fn side_of(side: wire::Side) -> Option<Side> {
    match side {
        wire::Side::Hosts => Some(Side::Hosts),
        wire::Side::Services => Some(Side::Services),
        wire::Side::Both => None,
    }
}

pub fn forced_of(forced: wire::Forced) -> Forced {
    match forced {
        wire::Forced::Yes => Forced::Yes,
        wire::Forced::No => Forced::No,
    }
}

fn switch_of(switch: wire::Switch) -> Switch {
    match switch {
        wire::Switch::ActiveChecks => Switch::ActiveChecks,
        wire::Switch::PassiveChecks => Switch::PassiveChecks,
        wire::Switch::Notifications => Switch::Notifications,
        wire::Switch::EventHandler => Switch::EventHandler,
        wire::Switch::FlapDetection => Switch::FlapDetection,
        wire::Switch::Perfdata => Switch::Perfdata,
        wire::Switch::Obsess => Switch::Obsess,
        wire::Switch::Freshness => Switch::Freshness,
    }
}

fn program_switch_of(switch: wire::Switch, side: wire::Side) -> Option<ProgramSwitch> {
    Some(match (switch, side_of(side)) {
        (wire::Switch::Notifications, None) => ProgramSwitch::Notifications,
        (wire::Switch::EventHandler, None) => ProgramSwitch::EventHandlers,
        (wire::Switch::FlapDetection, None) => ProgramSwitch::FlapDetection,
        (wire::Switch::Perfdata, None) => ProgramSwitch::Perfdata,
        (wire::Switch::ActiveChecks, Some(side)) => ProgramSwitch::ActiveChecks(side),
        (wire::Switch::PassiveChecks, Some(side)) => ProgramSwitch::PassiveChecks(side),
        (wire::Switch::Obsess, Some(side)) => ProgramSwitch::Obsess(side),
        (wire::Switch::Freshness, Some(side)) => ProgramSwitch::Freshness(side),
        _ => return None,
    })
}

/// A switch of objects, of contacts or of the program.
pub fn switch(scope: wire::Scope, switch: wire::Switch, on: bool) -> Result<Command, String> {
    let contacts = |scope, side, on| {
        let side = side_of(side).ok_or_else(|| NO_SUCH_SWITCH.to_owned())?;
        Ok(Command::SetContactSwitch { scope, side, on })
    };
    match scope {
        wire::Scope::Program(side) => {
            let switch = program_switch_of(switch, side).ok_or_else(|| NO_SUCH_SWITCH.to_owned())?;
            Ok(Command::SetProgramSwitch { switch, on })
        }
        wire::Scope::Contact(name, side) => contacts(ContactScope::Contact(name.into()), side, on),
        wire::Scope::Contactgroup(name, side) => contacts(ContactScope::Group(name.into()), side, on),
        objects => {
            let scope = scope_of(objects).ok_or_else(|| NO_SUCH_SWITCH.to_owned())?;
            Ok(Command::SetSwitch { scope, switch: switch_of(switch), on })
        }
    }
}

pub fn change_of(change: wire::Change) -> Change {
    match change {
        wire::Change::CheckCommand(text) => Change::CheckCommand(text.into()),
        wire::Change::EventHandler(text) => Change::EventHandler(text.into()),
        wire::Change::CheckPeriod(name) => Change::CheckPeriod(name.into()),
        wire::Change::NotificationPeriod(name) => Change::NotificationPeriod(name.into()),
        wire::Change::EventHandlerPeriod(name) => Change::EventHandlerPeriod(name.into()),
        wire::Change::CheckInterval(units) => Change::CheckInterval(units),
        wire::Change::RetryInterval(units) => Change::RetryInterval(units),
        wire::Change::MaxAttempts(attempts) => Change::MaxAttempts(attempts),
        wire::Change::CustomVar { name, value } => Change::CustomVar { name: name.into(), value: value.into() },
        wire::Change::ModifiedAttributes(mask) => Change::ModifiedAttributes(mask),
    }
}

pub fn contact_change_of(change: wire::ContactChange) -> Result<ContactChange, String> {
    let one = |side| side_of(side).ok_or_else(|| NO_SUCH_SWITCH.to_owned());
    Ok(match change {
        wire::ContactChange::Period { side, period } => {
            ContactChange::Period { side: one(side)?, period: period.into() }
        }
        wire::ContactChange::CustomVar { name, value } => {
            ContactChange::CustomVar { name: name.into(), value: value.into() }
        }
        wire::ContactChange::ModifiedAttributes(mask) => ContactChange::ModifiedAttributes(mask),
        wire::ContactChange::SideAttributes { side, mask } => ContactChange::SideAttributes { side: one(side)?, mask },
    })
}
