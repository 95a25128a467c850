//! What can be switched and changed at run time, and of which objects: the words of the commands that do it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use super::gate::Forced;
use super::input::CommandError;
use crate::catalog::Catalog;
use crate::catalog::nagios::Switches;
use crate::id::{ContactId, HostId, ObjectId};
use crate::model::ObjectKey;

/// Objects that a command means; looked up when it is applied.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Scope {
    Object(ObjectKey),
    /// All services of the host, not the host.
    ServicesOf(Arc<str>),
    HostgroupHosts(Arc<str>),
    /// All services of all member hosts.
    HostgroupServices(Arc<str>),
    /// The hosts of all member services, each once.
    ServicegroupHosts(Arc<str>),
    ServicegroupServices(Arc<str>),
    /// All hosts below the host, and their services.
    Beyond(Arc<str>),
    /// The host and all hosts below it, no services.
    HostAndChildren(Arc<str>),
}

/// Contacts that a command means.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ContactScope {
    Contact(Arc<str>),
    Group(Arc<str>),
}

/// Hosts or services.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Hosts,
    Services,
}

impl Side {
    pub const fn of(object: ObjectId) -> Side {
        match object {
            ObjectId::Host(_) => Side::Hosts,
            ObjectId::Service(_) => Side::Services,
        }
    }
}

/// What an object can be told to do or leave.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    ActiveChecks,
    PassiveChecks,
    Notifications,
    EventHandler,
    FlapDetection,
    Perfdata,
    Obsess,
    Freshness,
}

/// A switch of the whole program.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramSwitch {
    Notifications,
    EventHandlers,
    FlapDetection,
    Perfdata,
    ActiveChecks(Side),
    PassiveChecks(Side),
    Obsess(Side),
    Freshness(Side),
}

/// Bits of `modified_attributes` (specification 03, section 11).
pub mod modified {
    pub const NOTIFICATIONS: u32 = 1;
    pub const ACTIVE_CHECKS: u32 = 2;
    pub const PASSIVE_CHECKS: u32 = 4;
    pub const EVENT_HANDLER: u32 = 8;
    pub const FLAP_DETECTION: u32 = 16;
    pub const PERFDATA: u32 = 64;
    pub const OBSESS: u32 = 128;
    pub const EVENT_HANDLER_COMMAND: u32 = 256;
    pub const CHECK_COMMAND: u32 = 512;
    pub const CHECK_INTERVAL: u32 = 1024;
    pub const RETRY_INTERVAL: u32 = 2048;
    pub const MAX_ATTEMPTS: u32 = 4096;
    pub const FRESHNESS: u32 = 8192;
    pub const CHECK_PERIOD: u32 = 16_384;
    pub const CUSTOM_VAR: u32 = 32_768;
    pub const NOTIFICATION_PERIOD: u32 = 65_536;
    pub const EVENT_HANDLER_PERIOD: u32 = 131_072;
}

impl Switch {
    pub const ALL: [Switch; 8] = [
        Switch::ActiveChecks,
        Switch::PassiveChecks,
        Switch::Notifications,
        Switch::EventHandler,
        Switch::FlapDetection,
        Switch::Perfdata,
        Switch::Obsess,
        Switch::Freshness,
    ];

    /// Its bit of `modified_attributes`.
    pub const fn bit(self) -> u32 {
        match self {
            Switch::ActiveChecks => modified::ACTIVE_CHECKS,
            Switch::PassiveChecks => modified::PASSIVE_CHECKS,
            Switch::Notifications => modified::NOTIFICATIONS,
            Switch::EventHandler => modified::EVENT_HANDLER,
            Switch::FlapDetection => modified::FLAP_DETECTION,
            Switch::Perfdata => modified::PERFDATA,
            Switch::Obsess => modified::OBSESS,
            Switch::Freshness => modified::FRESHNESS,
        }
    }

    /// Its place in an object's switches.
    pub const fn of(self, switches: &mut Switches) -> &mut bool {
        match self {
            Switch::ActiveChecks => &mut switches.active_checks,
            Switch::PassiveChecks => &mut switches.passive_checks,
            Switch::Notifications => &mut switches.notifications,
            Switch::EventHandler => &mut switches.event_handler,
            Switch::FlapDetection => &mut switches.flap_detection,
            Switch::Perfdata => &mut switches.perfdata,
            Switch::Obsess => &mut switches.obsess,
            Switch::Freshness => &mut switches.check_freshness,
        }
    }
}

/// Another value of an object's directive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// `name!argument!…` of a configured command.
    CheckCommand(Arc<str>),
    /// Empty = none.
    EventHandler(Arc<str>),
    CheckPeriod(Arc<str>),
    NotificationPeriod(Arc<str>),
    EventHandlerPeriod(Arc<str>),
    /// In units of `interval_length`.
    CheckInterval(f64),
    RetryInterval(f64),
    MaxAttempts(u16),
    /// The name in capitals, without the leading `_`.
    CustomVar {
        name: Arc<str>,
        value: Arc<str>,
    },
    ModifiedAttributes(u32),
}

impl Change {
    /// The bit of `modified_attributes` that says so; a mask of bits has all of its own.
    pub const fn bit(&self) -> u32 {
        match self {
            Change::CheckCommand(_) => modified::CHECK_COMMAND,
            Change::EventHandler(_) => modified::EVENT_HANDLER_COMMAND,
            Change::CheckPeriod(_) => modified::CHECK_PERIOD,
            Change::NotificationPeriod(_) => modified::NOTIFICATION_PERIOD,
            Change::EventHandlerPeriod(_) => modified::EVENT_HANDLER_PERIOD,
            Change::CheckInterval(_) => modified::CHECK_INTERVAL,
            Change::RetryInterval(_) => modified::RETRY_INTERVAL,
            Change::MaxAttempts(_) => modified::MAX_ATTEMPTS,
            Change::CustomVar { .. } => modified::CUSTOM_VAR,
            Change::ModifiedAttributes(mask) => *mask,
        }
    }
}

/// Another value of a contact's directive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ContactChange {
    Period { side: Side, period: Arc<str> },
    CustomVar { name: Arc<str>, value: Arc<str> },
    ModifiedAttributes(u32),
    SideAttributes { side: Side, mask: u32 },
}

impl Scope {
    /// The objects meant, in the order of the catalog or of the group.
    ///
    /// # Errors
    /// There is no such object or group.
    pub fn objects(&self, catalog: &Catalog) -> Result<Vec<ObjectId>, CommandError> {
        let services_of = |host: &HostId| catalog.hosts[host.index()].services.iter().map(|id| ObjectId::Service(*id));
        Ok(match self {
            Scope::Object(key) => {
                vec![catalog.object_id(key).ok_or_else(|| CommandError::NoObject(super::command::describe(key)))?]
            }
            Scope::ServicesOf(name) => services_of(&host(catalog, name)?).collect(),
            Scope::HostgroupHosts(name) => hostgroup(catalog, name)?.iter().map(|id| ObjectId::Host(*id)).collect(),
            Scope::HostgroupServices(name) => hostgroup(catalog, name)?.iter().flat_map(services_of).collect(),
            Scope::ServicegroupHosts(name) => {
                let mut seen = BTreeSet::new();
                let hosts = servicegroup(catalog, name)?.iter().map(|id| catalog.services[id.index()].host);
                hosts.filter(|host| seen.insert(*host)).map(ObjectId::Host).collect()
            }
            Scope::ServicegroupServices(name) => {
                servicegroup(catalog, name)?.iter().map(|id| ObjectId::Service(*id)).collect()
            }
            Scope::Beyond(name) => below(catalog, host(catalog, name)?)
                .iter()
                .flat_map(|host| std::iter::once(ObjectId::Host(*host)).chain(services_of(host)))
                .collect(),
            Scope::HostAndChildren(name) => {
                let top = host(catalog, name)?;
                std::iter::once(top).chain(below(catalog, top)).map(ObjectId::Host).collect()
            }
        })
    }
}

impl ContactScope {
    /// # Errors
    /// There is no such contact or group.
    pub fn contacts(&self, catalog: &Catalog) -> Result<Vec<ContactId>, CommandError> {
        match self {
            ContactScope::Contact(name) => Ok(vec![contact(catalog, name)?]),
            ContactScope::Group(name) => {
                let id = catalog.nagios.index.contactgroup.get(name);
                let id = id.ok_or_else(|| CommandError::NoObject(format!("contact group `{name}`")))?;
                Ok(catalog.nagios.contactgroups[id.index()].members.clone())
            }
        }
    }
}

/// A contact that is notified in Nagios's way; others have no such switches.
pub(super) fn contact(catalog: &Catalog, name: &Arc<str>) -> Result<ContactId, CommandError> {
    let id = catalog.index.contact.get(name).copied();
    id.filter(|id| catalog.nagios.contacts.get(id.index()).is_some_and(Option::is_some))
        .ok_or_else(|| CommandError::NoContact(Arc::clone(name)))
}

fn host(catalog: &Catalog, name: &Arc<str>) -> Result<HostId, CommandError> {
    catalog.host_id(name).ok_or_else(|| CommandError::NoObject(format!("host {name}")))
}

fn hostgroup<'a>(catalog: &'a Catalog, name: &Arc<str>) -> Result<&'a [HostId], CommandError> {
    let id = catalog.nagios.index.hostgroup.get(name);
    let id = id.ok_or_else(|| CommandError::NoObject(format!("host group `{name}`")))?;
    Ok(&catalog.nagios.hostgroups[id.index()].members)
}

fn servicegroup<'a>(catalog: &'a Catalog, name: &Arc<str>) -> Result<&'a [crate::id::ServiceId], CommandError> {
    let id = catalog.nagios.index.servicegroup.get(name);
    let id = id.ok_or_else(|| CommandError::NoObject(format!("service group `{name}`")))?;
    Ok(&catalog.nagios.servicegroups[id.index()].members)
}

/// All hosts below `top`, each once, nearest first; a host that is reached on two ways counts once, and a ring ends.
fn below(catalog: &Catalog, top: HostId) -> Vec<HostId> {
    let mut seen = BTreeSet::from([top]);
    let mut found = Vec::new();
    let mut next = vec![top];
    while !next.is_empty() {
        let children = next.iter().flat_map(|host| &catalog.index.children[host.index()]);
        let new: Vec<HostId> = children.copied().filter(|child| seen.insert(*child)).collect();
        found.extend_from_slice(&new);
        next = new;
    }
    found
}
