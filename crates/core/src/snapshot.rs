//! The read model at one journal sequence: what pages, API, metrics and SSE see. Immutable, shared by `Arc`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::diagnosis::{CoreState, Diagnosis};
use crate::engine::business::Services;
use crate::engine::program::{ContactOverrides, ProgramState};
use crate::engine::switch::Switch;
use crate::engine::track::{Ids, Track};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::{
    Ack, Comment, Downtime, HostState, Incident, NoticeKind, Observation, ServiceState, StateKind, UnknownCause,
};
use crate::policy::notice::explain::{Explanation, explain};
use crate::policy::notice::facts::{Asked, World};
use crate::runbook::Run;
use crate::timeleft::{self, Samples};
use crate::{Span, Timestamp};

#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Journal sequence it reflects.
    pub seq: u64,
    /// Time of the newest input in it.
    pub at: Timestamp,
    /// When the first catalog came.
    pub started: Timestamp,
    pub catalog: Arc<Catalog>,
    /// Parallel to `catalog.hosts`.
    pub hosts: Vec<Row>,
    pub host_details: Vec<Arc<Detail>>,
    /// Parallel to `catalog.services`.
    pub services: Vec<Row>,
    pub service_details: Vec<Arc<Detail>>,
    /// Parallel to `catalog.nagios.hosts`: hosts of Stentor's own configuration have none.
    pub host_tracks: Vec<Arc<Track>>,
    /// Parallel to `catalog.nagios.services`.
    pub service_tracks: Vec<Arc<Track>>,
    /// Newest ids that were given away.
    pub ids: Ids,
    pub newest_downtime: u64,
    /// The program as it is now.
    pub program: Arc<ProgramState>,
    /// What commands changed of contacts, by name.
    pub contact_overrides: Arc<BTreeMap<Arc<str>, ContactOverrides>>,
    /// Live ones and the most recently ended, by number.
    pub incidents: Arc<BTreeMap<u64, Arc<Incident>>>,
    pub downtimes: Arc<BTreeMap<u64, Downtime>>,
    /// On hosts and services, by id.
    pub comments: Arc<BTreeMap<u64, Comment>>,
    /// Parallel to `catalog.clouds`.
    pub clouds: Arc<Vec<CloudStatus>>,
    /// Runs of runbooks: live ones and the most recently ended, by number.
    pub runs: Arc<BTreeMap<u64, Arc<Run>>>,
    /// Business services, and what incidents do to them.
    pub services_known: Arc<Services>,
    /// Agents by name and when they were last heard.
    pub agents: Arc<BTreeMap<Arc<str>, Timestamp>>,
    pub counters: Counters,
    /// Set by the shell when persistence is lost (invariant 11): shown on every page.
    pub degraded: Option<Arc<str>>,
    /// Set by the shell while the configuration on disk is refused and an older one is in force: shown on every page.
    pub refused: Option<Arc<str>>,
}

/// Hot state of one host or service; 64 bytes.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Observation time of the newest applied result; zero = never checked (PENDING).
    pub last_check: Timestamp,
    pub last_state_change: Timestamp,
    pub last_hard_change: Timestamp,
    /// Newest time anything about the row changed: drives live updates.
    pub changed: Timestamp,
    /// Service: [`ServiceState`] code; host: [`HostState`] code.
    pub state: u8,
    pub last_hard_state: u8,
    pub kind: StateKind,
    pub flags: Flags,
    pub attempt: u16,
    pub downtime_depth: u16,
    /// Number of the live incident it belongs to; 0 = none.
    pub incident: u64,
}

/// Yes-or-no facts of a row.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(pub u16);

impl Flags {
    pub const CHECKED: u16 = 1;
    pub const ACKNOWLEDGED: u16 = 2;
    pub const STALE: u16 = 4;
    pub const FLAPPING: u16 = 8;
    /// Explained by a host or parent that is down: not a problem of its own.
    pub const EFFECT: u16 = 16;
    /// What another object showed asked for a check of this one, whose result has not come yet.
    pub const ASKED: u16 = 32;
    /// Its incident let go of it at `changed`, and it was not looked at since: what it says may be over with the cause.
    pub const RELEASED: u16 = 128;
    /// Of an object of Stentor's own configuration: a command switched its active checks off.
    pub const UNCHECKED: u16 = 256;
    /// As above: results from outside are refused.
    pub const NO_PASSIVE: u16 = 512;
    /// As above: nobody is told of it.
    pub const UNTOLD: u16 = 1024;
    /// All that a command can switch off of such an object.
    pub const SWITCHED_OFF: u16 = Flags::UNCHECKED | Flags::NO_PASSIVE | Flags::UNTOLD;

    pub const fn has(self, flag: u16) -> bool {
        self.0 & flag != 0
    }

    pub fn set(&mut self, flag: u16, on: bool) {
        if on {
            self.0 |= flag;
        } else {
            self.0 &= !flag;
        }
    }
}

impl Default for Row {
    fn default() -> Self {
        Row {
            last_check: Timestamp::ZERO,
            last_state_change: Timestamp::ZERO,
            last_hard_change: Timestamp::ZERO,
            changed: Timestamp::ZERO,
            state: 0,
            last_hard_state: 0,
            kind: StateKind::Hard,
            flags: Flags::default(),
            attempt: 1,
            downtime_depth: 0,
            incident: 0,
        }
    }
}

impl Row {
    pub fn service_state(&self) -> ServiceState {
        ServiceState::from_code(i32::from(self.state)).unwrap_or(ServiceState::Unknown)
    }

    pub fn host_state(&self) -> HostState {
        HostState::from_code(i32::from(self.state)).unwrap_or(HostState::Down)
    }

    pub fn is_pending(&self) -> bool {
        !self.flags.has(Flags::CHECKED)
    }

    /// Hard and not OK (not UP).
    pub fn is_hard_problem(&self) -> bool {
        self.state != 0 && self.kind == StateKind::Hard && !self.is_pending()
    }

    pub fn is_acknowledged(&self) -> bool {
        self.flags.has(Flags::ACKNOWLEDGED)
    }

    pub fn is_stale(&self) -> bool {
        self.flags.has(Flags::STALE)
    }

    /// Something looked at `observed_at`, and saw `state`: after a release that is news, before it is not.
    pub fn looked_at(&mut self, observed_at: Timestamp, state: u8) {
        if observed_at >= self.changed || state == 0 {
            self.flags.set(Flags::RELEASED, false);
        }
    }
}

/// The wide part of a row, shared until it changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// The newest applied observation; `None` = never checked.
    pub observation: Option<Arc<Observation>>,
    pub unknown_cause: Option<UnknownCause>,
    /// Which rule decided, in words; empty for plugins.
    pub because: Arc<str>,
    pub ack: Option<Box<Ack>>,
    /// About the run that gave the observation.
    pub run: RunFacts,
    /// How its numbers have moved, of checks whose numbers have an end.
    #[serde(default)]
    pub samples: Option<Box<Samples>>,
}

/// What is known of the run of a check, beside what it saw.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// From when it was due to its start.
    pub latency: Span,
    /// From its start to its end.
    pub took: Span,
    /// The result was submitted from outside.
    pub passive: bool,
}

/// A cloud as the classifier last saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudStatus {
    pub core: CoreState,
    pub core_since: Timestamp,
    pub diagnosis: Diagnosis,
}

/// Counts kept by state change, never by scanning at page load.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Services by state code, soft states under the last hard state; index 4 = pending.
    pub services: [u32; 5],
    /// Hosts UP, DOWN, UNREACHABLE, pending.
    pub hosts: [u32; 4],
    pub inputs_applied: u64,
    pub results_applied: u64,
    /// Older than the newest applied one: kept as history only (invariant 5).
    pub results_late: u64,
    /// Dropped because their id was seen before.
    pub results_repeated: u64,
    /// Passive ones of objects that take none now.
    pub results_refused: u64,
    pub notifications: u64,
    pub withheld: u64,
    pub host_checks: CheckCounters,
    pub service_checks: CheckCounters,
}

/// Checks by why they were made.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct CheckCounters {
    pub scheduled: u64,
    /// Asked for by what another object showed.
    pub on_demand: u64,
    pub passive: u64,
    /// Asked for, but the last result was young enough.
    pub cached: u64,
}

impl Counters {
    pub fn checks_mut(&mut self, object: ObjectId) -> &mut CheckCounters {
        match object {
            ObjectId::Host(_) => &mut self.host_checks,
            ObjectId::Service(_) => &mut self.service_checks,
        }
    }
}

impl Snapshot {
    pub fn row(&self, object: ObjectId) -> &Row {
        match object {
            ObjectId::Host(id) => &self.hosts[id.index()],
            ObjectId::Service(id) => &self.services[id.index()],
        }
    }

    pub fn detail(&self, object: ObjectId) -> &Arc<Detail> {
        match object {
            ObjectId::Host(id) => &self.host_details[id.index()],
            ObjectId::Service(id) => &self.service_details[id.index()],
        }
    }

    /// What Nagios remembers of it; `None` for an object of Stentor's own configuration.
    pub fn track(&self, object: ObjectId) -> Option<&Arc<Track>> {
        match object {
            ObjectId::Host(id) => self.host_tracks.get(id.index()),
            ObjectId::Service(id) => self.service_tracks.get(id.index()),
        }
    }

    /// What the stages of notices look at, as it is here.
    pub fn notice_world(&self) -> World<'_> {
        World {
            catalog: &self.catalog,
            program: &self.program.in_force,
            at: self.at,
            started: self.started,
            hosts: &self.hosts,
            services: &self.services,
            host_tracks: &self.host_tracks,
            service_tracks: &self.service_tracks,
            contact_overrides: &self.contact_overrides,
        }
    }

    /// Why the contacts of an imported object are told of it, or not; `kind` = `None`: of what a result would tell now.
    /// `None` for an object of Stentor's own configuration: its incidents notify.
    pub fn explain_notice(&self, object: ObjectId, kind: Option<NoticeKind>) -> Option<Explanation> {
        let world = self.notice_world();
        explain(&world, &Asked::of(object, kind.unwrap_or_else(|| world.kind_now(object))))
    }

    /// What commands switched off of an object, of active checks, passive results and notifications.
    pub fn switched_off(&self, object: ObjectId) -> Vec<Switch> {
        let flags = self.row(object).flags;
        let changed = self.track(object).and_then(|track| track.overrides.as_ref());
        let is_off = |(switch, flag): &(Switch, u16)| {
            let imported = changed.filter(|changed| changed.modified_attributes & switch.bit() != 0);
            let imported = imported.and_then(|changed| changed.switches);
            flags.has(*flag) || imported.is_some_and(|mut switches| !*switch.of(&mut switches))
        };
        let all = [
            (Switch::ActiveChecks, Flags::UNCHECKED),
            (Switch::PassiveChecks, Flags::NO_PASSIVE),
            (Switch::Notifications, Flags::UNTOLD),
        ];
        all.into_iter().filter(is_off).map(|(switch, _)| switch).collect()
    }

    /// How often its active check is repeated: as configured, or as a command changed it; zero = not by itself.
    pub fn check_interval(&self, object: ObjectId) -> Span {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.check_interval);
        let unit_ms = self.program.in_force.interval_length.as_millis() as f64;
        let configured = || self.catalog.check_of(object).map_or(Span::ZERO, |check| check.every);
        changed.map_or_else(configured, |units| Span::from_millis((units * unit_ms).round() as i64))
    }

    pub fn host(&self, name: &str) -> Option<HostId> {
        self.catalog.host_id(name)
    }

    pub fn service(&self, host: &str, service: &str) -> Option<ServiceId> {
        self.catalog.service_id(host, service)
    }

    /// Live incidents, worst first, then those with the least time left, then oldest first.
    pub fn live_incidents(&self) -> Vec<&Arc<Incident>> {
        let mut live: Vec<_> = self.incidents.values().filter(|incident| incident.phase.is_live()).collect();
        live.sort_by_cached_key(|i| {
            let deadline = timeleft::deadline(self, i);
            let weight = (std::cmp::Reverse(i.verdict.impact), std::cmp::Reverse(i.severity()));
            (weight, deadline.is_none(), deadline, i.number)
        });
        live
    }
}
