//! May an active check run now (specification 03, 1.3), and do the dependencies of an object hold (5.5)?
//!
//! Pure over what a snapshot shows, so that the collector can ask without the engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::track::Track;
use crate::catalog::Catalog;
use crate::catalog::nagios::{Program, Switches};
use crate::id::{HostId, ObjectId, ServiceId};
use crate::model::StateKind;
use crate::policy::notice::dependency::{Failure, Judge, Purpose};
use crate::snapshot::{Flags, Row, Snapshot};
use crate::{Span, Timestamp};

/// A check that may not run, and is not repeated by itself, is asked about again after this.
const ASK_AGAIN: Span = Span::from_secs(300);

/// Whether whoever asks for the check overrules switches, periods and dependencies.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forced {
    Yes,
    No,
}

/// Why an active check does not run now.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Skip {
    pub why: SkipReason,
    /// When it may be tried again.
    pub again_at: Timestamp,
    /// State code that the object gets instead; `None` = it stays as it is.
    pub state: Option<u8>,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum SkipReason {
    /// `execute_service_checks` or `execute_host_checks` is off.
    ProgramSwitchedOff,
    /// `active_checks_enabled` of the object is off.
    SwitchedOff,
    OutsidePeriod,
    /// An execution dependency fails because of this master.
    Dependency(ObjectId),
    /// A service that it leans on is CRITICAL or UNKNOWN.
    Parent(ServiceId),
    HostDown,
}

/// Everything the questions need to see.
pub struct Gate<'a> {
    pub catalog: &'a Catalog,
    pub program: &'a Program,
    pub hosts: &'a [Row],
    pub services: &'a [Row],
    pub host_tracks: &'a [Arc<Track>],
    pub service_tracks: &'a [Arc<Track>],
    pub at: Timestamp,
}

impl Gate<'_> {
    /// Whether an active check of the object may run.
    ///
    /// # Errors
    /// Why not, and when to ask again. Objects of Stentor's own configuration have neither period nor parents.
    pub fn check_allowed(&self, object: ObjectId, forced: Forced) -> Result<(), Skip> {
        if forced == Forced::Yes {
            return Ok(());
        }
        let later = self.at + self.interval(object);
        let skip = |why, state| Err(Skip { why, again_at: later, state });
        let Some(switches) = self.switches(object) else {
            if self.row(object).flags.has(Flags::UNCHECKED) {
                return skip(SkipReason::SwitchedOff, None);
            }
            let failed = self.failed_master(object, Purpose::Execution);
            return failed.map_or(Ok(()), |master| skip(SkipReason::Dependency(master), None));
        };
        let (executes, dependency_state) = match object {
            ObjectId::Host(_) => (self.program.execute_host_checks, self.program.host_skip_dependency_state),
            ObjectId::Service(_) => (self.program.execute_service_checks, self.program.service_skip_dependency_state),
        };
        if !executes {
            return skip(SkipReason::ProgramSwitchedOff, None);
        }
        if !switches.active_checks {
            return skip(SkipReason::SwitchedOff, None);
        }
        if let Some(period) = self.check_period(object)
            && !self.catalog.in_period(period, self.at)
        {
            let again_at = self.catalog.next_valid(period, self.at).unwrap_or(later);
            return Err(Skip { why: SkipReason::OutsidePeriod, again_at, state: None });
        }
        if let Some(master) = self.failed_master(object, Purpose::Execution) {
            return skip(SkipReason::Dependency(master), dependency_state);
        }
        let ObjectId::Service(service) = object else { return Ok(()) };
        if let Some(parent) = self.bad_parent(service) {
            return skip(SkipReason::Parent(parent), self.program.service_skip_parent_state);
        }
        let host = self.catalog.services[service.index()].host;
        if self.program.host_down_disables_service_checks && self.hosts[host.index()].state != 0 {
            return skip(SkipReason::HostDown, self.program.service_skip_host_down_state);
        }
        Ok(())
    }

    /// A master in a state that its dependency does not bear; `None` = all dependencies hold.
    pub fn failed_master(&self, object: ObjectId, purpose: Purpose) -> Option<ObjectId> {
        self.failed_dependency(object, purpose).map(|failure| failure.master)
    }

    /// As [`Gate::failed_master`], with how its redundancy group stands.
    pub fn failed_dependency(&self, object: ObjectId, purpose: Purpose) -> Option<Failure> {
        let judge = Judge {
            catalog: self.catalog,
            purpose,
            soft_states: self.program.soft_state_dependencies,
            row: &|object| *self.row(object),
            inside: &|period| self.catalog.in_period(period, self.at),
        };
        judge.failing(object)
    }

    /// A service among those it leans on, directly or not, whose last hard state is CRITICAL or UNKNOWN.
    fn bad_parent(&self, service: ServiceId) -> Option<ServiceId> {
        let mut open = vec![service];
        let mut seen = BTreeSet::from([service]);
        while let Some(child) = open.pop() {
            for &parent in self.catalog.nagios.service_parents.get(&child).into_iter().flatten() {
                if self.services[parent.index()].last_hard_state >= 2 {
                    return Some(parent);
                }
                if seen.insert(parent) {
                    open.push(parent);
                }
            }
        }
        None
    }

    fn row(&self, object: ObjectId) -> &Row {
        match object {
            ObjectId::Host(HostId(id)) => &self.hosts[id as usize],
            ObjectId::Service(ServiceId(id)) => &self.services[id as usize],
        }
    }

    fn track(&self, object: ObjectId) -> Option<&Track> {
        match object {
            ObjectId::Host(id) => self.host_tracks.get(id.index()),
            ObjectId::Service(id) => self.service_tracks.get(id.index()),
        }
        .map(|track| &**track)
    }

    fn switches(&self, object: ObjectId) -> Option<Switches> {
        let configured = self.catalog.nagios.directives(object)?.switches;
        Some(self.track(object).and_then(|track| track.overrides.as_ref()?.switches).unwrap_or(configured))
    }

    fn check_period(&self, object: ObjectId) -> Option<crate::id::TimeperiodId> {
        let changed = self.track(object).and_then(|track| track.overrides.as_ref()?.check_period);
        changed.unwrap_or_else(|| self.catalog.nagios.directives(object)?.check_period)
    }

    /// How long a refused check waits.
    fn interval(&self, object: ObjectId) -> Span {
        let row = self.row(object);
        let is_soft_problem = row.kind == StateKind::Soft && row.state != 0;
        let overrides = self.track(object).and_then(|track| track.overrides.as_ref());
        let units = overrides.and_then(|o| if is_soft_problem { o.retry_interval } else { o.check_interval });
        let unit_ms = self.program.interval_length.as_millis() as f64;
        let interval = match (units, self.catalog.check_of(object)) {
            (Some(units), _) => Span::from_millis((units * unit_ms).round() as i64),
            (None, Some(check)) if is_soft_problem => check.retry,
            (None, Some(check)) => check.every,
            (None, None) => Span::ZERO,
        };
        if interval > Span::ZERO { interval } else { ASK_AGAIN }
    }
}

impl Engine {
    /// What decides about checks and dependencies, as it is now.
    pub fn gate(&self) -> Gate<'_> {
        Gate {
            catalog: &self.catalog,
            program: self.program(),
            hosts: &self.hosts,
            services: &self.services,
            host_tracks: &self.host_tracks,
            service_tracks: &self.service_tracks,
            at: self.at,
        }
    }

    /// See [`Gate::check_allowed`].
    ///
    /// # Errors
    /// Why the check may not run.
    pub fn check_allowed(&self, object: ObjectId, forced: Forced) -> Result<(), Skip> {
        self.gate().check_allowed(object, forced)
    }
}

impl Snapshot {
    /// What decides about checks and dependencies as this snapshot shows it, at that instant.
    pub fn gate(&self, at: Timestamp) -> Gate<'_> {
        Gate {
            catalog: &self.catalog,
            program: &self.program.in_force,
            hosts: &self.hosts,
            services: &self.services,
            host_tracks: &self.host_tracks,
            service_tracks: &self.service_tracks,
            at,
        }
    }
}
