//! The validated configured world: dense tables, immutable, versioned. Built by the shell's configuration reader,
//! recorded in the journal as one input, compared by key on reload.

pub mod diff;
pub mod layout;
pub mod nagios;
pub mod platform;
pub mod recurrence;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::availability::business::Business;
use crate::diagnosis::{Severity, Topology};
use crate::id::{CheckId, CloudId, ComponentId, ContactId, HostId, ObjectId, ServiceId, TimeperiodId, ZoneId};
use crate::model::{ObjectKey, Value};
use crate::rules::Rule;
use crate::runbook::RunPolicy;
use crate::timeperiod::DateRule;
use crate::{Span, Timestamp};

pub use diff::{Carried, CatalogDiff, diff};
pub use layout::Layout;
pub use nagios::Nagios;
pub use platform::{Action, Cell, CellKey, ComponentType, Platform, PowerAction, Runbook, Step, StepKind};
pub use recurrence::{Occurrence, Recurrence};

/// Everything that is configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Name of this installation; first part of notification keys.
    pub instance: Arc<str>,
    /// Base URL of the pages, for links in messages.
    pub url: Arc<str>,
    pub timing: Timing,
    pub site: Arc<str>,
    pub zones: Vec<Zone>,
    pub clouds: Vec<Cloud>,
    pub platforms: Vec<Arc<Platform>>,
    pub checks: Vec<Check>,
    pub hosts: Vec<Host>,
    pub services: Vec<Service>,
    pub components: Vec<Component>,
    pub timeperiods: Vec<Timeperiod>,
    pub contacts: Vec<Contact>,
    pub routes: Vec<Route>,
    /// Planned windows from the configuration (`[[downtime]]`).
    pub downtimes: Vec<PlannedDowntime>,
    /// What a Nagios object tree adds.
    pub nagios: Nagios,
    /// Windows that come back (`[[downtime]]` with `period`).
    pub recurring: Vec<Recurrence>,
    /// What people call a service (`[[business]]`).
    #[serde(default)]
    pub businesses: Vec<Business>,
    /// Cables, feeds and switches as declared.
    #[serde(default)]
    pub layout: Layout,
    /// What the hosts outside clouds hang on.
    #[serde(default)]
    pub outside: Topology,
    /// What runs of runbooks may do (`[runbook]`).
    #[serde(default)]
    pub runs: RunPolicy,
    #[serde(skip)]
    pub index: Index,
}

/// Equal tables have equal lookups.
impl PartialEq for Index {
    fn eq(&self, _: &Index) -> bool {
        true
    }
}

/// Lookups derived from the tables; rebuilt by [`Catalog::reindex`] after reading.
#[derive(Clone, Debug, Default)]
pub struct Index {
    pub host: HashMap<Arc<str>, HostId>,
    /// Per host: its services in the order of their names.
    pub service: Vec<Box<[ServiceId]>>,
    pub contact: HashMap<Arc<str>, ContactId>,
    /// The first host of each address.
    pub address: HashMap<Arc<str>, HostId>,
    /// Children of each host (reverse of `parents`).
    pub children: Vec<Vec<HostId>>,
}

/// Times that the engine and the classifier work with, already divided by `pace`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// What the configuration said; divides check intervals, hold-downs, graces, recovery and re-notification.
    pub pace: f64,
    /// A verdict about software or a resource must hold this long before it opens an incident.
    pub hold_software: Span,
    pub hold_server: Span,
    /// Extra wait for more members of a network or power group.
    pub hold_group: Span,
    /// A verdict of higher precedence within this time replaces earlier ones as their cause.
    pub collapse: Span,
    /// An incident resolves after its cause has been gone this long.
    pub recovery: Span,
    /// The same cause back within this time opens its incident again; zero = never.
    #[serde(default)]
    pub reopen: Span,
    pub renotify_critical: Span,
    pub renotify_major: Span,
    pub renotify_warning: Span,
    /// Floor of the freshness of a signal.
    pub fresh_floor: Span,
}

impl Default for Timing {
    /// Specification 10, section 6, at pace 1.
    fn default() -> Self {
        Timing {
            pace: 1.0,
            hold_software: Span::from_secs(30),
            hold_server: Span::from_secs(60),
            hold_group: Span::from_secs(20),
            collapse: Span::from_secs(30),
            recovery: Span::from_secs(30),
            reopen: Span::from_mins(30),
            renotify_critical: Span::from_mins(30),
            renotify_major: Span::from_hours(4),
            renotify_warning: Span::from_hours(24),
            fresh_floor: Span::from_secs(180),
        }
    }
}

impl Timing {
    /// The defaults divided by `pace`.
    pub fn at_pace(pace: f64) -> Self {
        let full = Timing::default();
        let fast = |span: Span| span.at_pace(pace);
        Timing {
            pace,
            hold_software: fast(full.hold_software),
            hold_server: fast(full.hold_server),
            hold_group: fast(full.hold_group),
            collapse: fast(full.collapse),
            recovery: fast(full.recovery),
            reopen: fast(full.reopen),
            renotify_critical: fast(full.renotify_critical),
            renotify_major: fast(full.renotify_major),
            renotify_warning: fast(full.renotify_warning),
            fresh_floor: fast(full.fresh_floor),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    pub name: Arc<str>,
    pub cloud: Option<CloudId>,
}

/// One private cloud with its topology for the classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cloud {
    pub name: Arc<str>,
    /// Platform key: `eucalyptus`.
    pub platform: Arc<str>,
    pub min_nc: u32,
    /// Built from hosts, components, zones, feeds and switches of this cloud.
    pub topology: Topology,
    pub hosts: Vec<HostId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    pub name: Arc<str>,
    /// Name for people; equal to `name` unless configured.
    pub display: Arc<str>,
    /// IP address or DNS name.
    pub address: Arc<str>,
    pub zone: ZoneId,
    pub cloud: Option<CloudId>,
    pub parents: Vec<HostId>,
    pub components: Vec<ComponentId>,
    /// The check that says whether the host is up (normally `ping`); `None` = assumed UP.
    pub check: Option<CheckId>,
    pub params: Value,
    /// Where its host-side checks run.
    pub view: View,
    pub bmc: Option<Bmc>,
    pub services: Vec<ServiceId>,
}

impl Host {
    /// A host that nothing is known of: nobody checks it, and its name is its address.
    pub fn bare(name: &str, zone: ZoneId) -> Host {
        let name: Arc<str> = name.into();
        Host {
            display: Arc::clone(&name),
            address: Arc::clone(&name),
            name,
            zone,
            cloud: None,
            parents: Vec::new(),
            components: Vec::new(),
            check: None,
            params: Value::Null,
            view: View::None,
            bmc: None,
            services: Vec::new(),
        }
    }
}

/// Where probes that look at a host from inside run.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// This is the machine that Stentor itself runs on.
    Local,
    /// An agent on the host pushes them.
    Agent,
    /// Nothing looks from inside.
    None,
    /// This process looks, over SSH.
    Ssh,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bmc {
    pub address: Arc<str>,
    pub port: u16,
    pub user: Arc<str>,
    /// File that holds the password; the password itself never enters the catalog.
    pub password_file: Arc<str>,
    /// Cipher suite; `None` = try 17, then 3.
    pub suite: Option<u8>,
}

/// A probe with its parameters, rules and cadence; shared by all services that use it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// `eucalyptus/clc/port`, `host/disk`, `custom/web01/http`.
    pub name: Arc<str>,
    /// Probe kind: `tcp`, `exec`, …; empty = passive only.
    pub probe: Arc<str>,
    /// Parameters of the probe; a map. A service's own params are laid over it.
    pub params: Value,
    /// Interval between checks in a hard state, already at pace.
    pub every: Span,
    /// Interval while retries are left, already at pace.
    pub retry: Span,
    /// Deadline of one run; never divided by pace.
    pub timeout: Span,
    /// Failures in a row until the state is hard (`max_check_attempts`).
    pub attempts: u16,
    pub rules: Vec<Rule>,
    pub signals: Vec<SignalSpec>,
    /// The probe must run on the host itself (agent or this machine).
    pub host_side: bool,
    /// No fresh result for this long makes the service UNKNOWN(Stale); zero = never.
    pub freshness: Span,
}

/// How a check's result becomes a signal for the classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalSpec {
    /// `port`, `process`, `resource`, …
    pub sig: Arc<str>,
    pub value: SignalValue,
    /// A host-level fact although the check belongs to a component (`ping`, `power`).
    pub of_host: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SignalValue {
    /// The fact of that name, as it is.
    Fact(Arc<str>),
    /// `{"kind", "level": ok/warn/crit from the judged state, "detail": output, "blocks_start"}`.
    Resource { kind: Arc<str>, blocks_start: bool },
    /// Text chosen by the judged state, in the order OK, WARNING, CRITICAL; UNKNOWN gives no signal.
    ByState([Arc<str>; 3]),
    /// One signal per element of the list fact of that name (power supplies, bonds, arrays).
    Each(Arc<str>),
    /// The fact's text translated word by word (`not_enabled` -> `NOTREADY`); a word without a translation gives no signal.
    Translated { fact: Arc<str>, words: BTreeMap<Arc<str>, Arc<str>> },
    /// What a controller says of others: one signal per element `{"host", "component"?, "value"}` of the list fact of that
    /// name, about that host (by name or address) of the same cloud.
    Elsewhere(Arc<str>),
}

/// A check bound to a host: the unit of state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    pub host: HostId,
    /// Unique on its host: `clc port`, `disk /`.
    pub name: Arc<str>,
    pub check: CheckId,
    /// Laid over the check's params; a map or null.
    pub params: Value,
    pub component: Option<ComponentId>,
}

/// One component on one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    pub host: HostId,
    /// `clc`
    pub key: Arc<str>,
    /// `eucalyptus`
    pub platform: Arc<str>,
    pub services: Vec<ServiceId>,
}

/// Weekly windows in a time zone, days by date that differ from them, and periods left out; see [`crate::timeperiod`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeperiod {
    pub name: Arc<str>,
    /// IANA zone name.
    pub zone: Arc<str>,
    /// Per weekday (0 = Monday): half-open ranges in minutes of the civil day, 0..=1440.
    pub weekly: [Vec<(u16, u16)>; 7],
    /// In the order of the configuration.
    pub exceptions: Vec<DateRule>,
    /// What is inside one of these is not inside here.
    pub exclude: Vec<TimeperiodId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    pub name: Arc<str>,
    pub display: Arc<str>,
    /// Channel name -> address (`email` -> `noc@example.org`).
    pub channels: BTreeMap<Arc<str>, Arc<str>>,
    pub period: Option<TimeperiodId>,
    /// Incidents below this severity are not sent.
    pub severity_min: Severity,
}

/// Which incidents reach whom. All matching routes apply; a contact is told once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    pub name: Arc<str>,
    pub matcher: RouteMatch,
    pub to: Vec<ContactId>,
    pub period: Option<TimeperiodId>,
}

/// Empty lists match everything; all given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteMatch {
    pub severity_min: Option<Severity>,
    pub clouds: Vec<Arc<str>>,
    pub zones: Vec<Arc<str>>,
    /// Globs over host names.
    pub hosts: Vec<Arc<str>>,
    /// Component keys.
    pub components: Vec<Arc<str>>,
    /// Class words.
    pub classes: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedDowntime {
    pub target: ObjectKey,
    pub start: Timestamp,
    pub end: Timestamp,
    pub comment: Arc<str>,
}

impl Catalog {
    /// Rebuilds the lookups; call after filling or reading the tables.
    pub fn reindex(&mut self) {
        let mut index = Index {
            host: HashMap::with_capacity(self.hosts.len()),
            service: Vec::new(),
            contact: HashMap::with_capacity(self.contacts.len()),
            address: HashMap::with_capacity(self.hosts.len()),
            children: vec![Vec::new(); self.hosts.len()],
        };
        for (i, host) in self.hosts.iter().enumerate() {
            let id = HostId::from_index(i);
            index.host.insert(Arc::clone(&host.name), id);
            index.address.entry(Arc::clone(&host.address)).or_insert(id);
            for parent in &host.parents {
                index.children[parent.index()].push(id);
            }
        }
        let mut services = vec![Vec::new(); self.hosts.len()];
        for (i, service) in self.services.iter().enumerate() {
            services[service.host.index()].push(ServiceId::from_index(i));
        }
        for mut of_host in services {
            of_host.sort_by(|a, b| self.services[a.index()].name.cmp(&self.services[b.index()].name));
            index.service.push(of_host.into());
        }
        for (i, contact) in self.contacts.iter().enumerate() {
            index.contact.insert(Arc::clone(&contact.name), ContactId::from_index(i));
        }
        self.index = index;
        self.nagios.reindex();
    }

    pub fn host_id(&self, name: &str) -> Option<HostId> {
        self.index.host.get(name).copied()
    }

    /// The first host of that address: what senders of passive results may name instead.
    pub fn host_by_address(&self, address: &str) -> Option<HostId> {
        self.index.address.get(address).copied()
    }

    pub fn service_id(&self, host: &str, service: &str) -> Option<ServiceId> {
        self.service_on(self.host_id(host)?, service)
    }

    /// The service of that name on a host.
    pub fn service_on(&self, host: HostId, name: &str) -> Option<ServiceId> {
        let of_host = self.index.service.get(host.index())?;
        let found = of_host.binary_search_by(|id| (*self.services[id.index()].name).cmp(name)).ok()?;
        of_host.get(found).copied()
    }

    /// Resolves a key; `None` if the catalog has no such object.
    pub fn object_id(&self, key: &ObjectKey) -> Option<ObjectId> {
        match &key.service {
            None => self.host_id(&key.host).map(ObjectId::Host),
            Some(service) => self.service_id(&key.host, service).map(ObjectId::Service),
        }
    }

    /// The stable name of an object of this catalog.
    pub fn object_key(&self, id: ObjectId) -> ObjectKey {
        match id {
            ObjectId::Host(id) => ObjectKey { host: Arc::clone(&self.hosts[id.index()].name), service: None },
            ObjectId::Service(id) => {
                let service = &self.services[id.index()];
                ObjectKey {
                    host: Arc::clone(&self.hosts[service.host.index()].name),
                    service: Some(Arc::clone(&service.name)),
                }
            }
        }
    }

    pub fn check_of(&self, id: ObjectId) -> Option<&Check> {
        let check = match id {
            ObjectId::Host(id) => self.hosts[id.index()].check?,
            ObjectId::Service(id) => self.services[id.index()].check,
        };
        Some(&self.checks[check.index()])
    }

    pub fn platform(&self, key: &str) -> Option<&Arc<Platform>> {
        self.platforms.iter().find(|platform| &*platform.key == key)
    }

    /// The runbook of that id in any platform.
    pub fn runbook(&self, id: &str) -> Option<&Runbook> {
        self.platforms.iter().find_map(|platform| platform.runbooks.iter().find(|runbook| &*runbook.id == id))
    }

    /// The cell written `eucalyptus/clc/software`.
    pub fn cell(&self, key: &str) -> Option<&Cell> {
        let platform = self.platform(key.split('/').next()?)?;
        platform.cells.iter().find(|cell| cell.key.to_string() == key)
    }
}
