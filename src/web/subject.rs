//! What the filter language may ask about a service, a host or an incident of a snapshot.

use std::sync::Arc;

use stentor_core::diagnosis::{Class, FailureType, Severity};
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::model::{Incident, ObjectKey, Phase, StateKind};
use stentor_core::snapshot::{Detail, Flags, Row, Snapshot};
use stentor_core::{Span, Timestamp};

use super::filter::{Fact, StateWord, Subject, TextField};
use super::parts::{Level, Mark};

/// A service or a host as a row of a list.
pub struct RowSubject<'a> {
    pub snapshot: &'a Snapshot,
    pub object: ObjectId,
    pub now: Timestamp,
}

impl<'a> RowSubject<'a> {
    fn row(&self) -> &'a Row {
        self.snapshot.row(self.object)
    }

    fn detail(&self) -> &'a Detail {
        self.snapshot.detail(self.object)
    }

    fn host(&self) -> HostId {
        match self.object {
            ObjectId::Host(host) => host,
            ObjectId::Service(service) => self.snapshot.catalog.services[service.index()].host,
        }
    }

    fn incident(&self) -> Option<&'a Arc<Incident>> {
        match self.row().incident {
            0 => None,
            number => self.snapshot.incidents.get(&number),
        }
    }

    pub fn mark(&self) -> Mark {
        match self.object {
            ObjectId::Host(_) => Mark::of_host(self.row()),
            ObjectId::Service(_) => Mark::of_service(self.row()),
        }
    }

    fn components(&self, hit: &mut dyn FnMut(&str) -> bool) -> bool {
        let catalog = &self.snapshot.catalog;
        match self.object {
            ObjectId::Service(service) => catalog.services[service.index()]
                .component
                .is_some_and(|component| hit(&catalog.components[component.index()].key)),
            ObjectId::Host(host) => {
                catalog.hosts[host.index()].components.iter().any(|c| hit(&catalog.components[c.index()].key))
            }
        }
    }
}

impl Subject for RowSubject<'_> {
    fn is_state(&self, word: StateWord) -> bool {
        let mark = self.mark();
        match word {
            StateWord::Ok => matches!(mark, Mark::Ok | Mark::Up),
            StateWord::Warning => mark == Mark::Warn,
            StateWord::Critical => mark == Mark::Crit,
            StateWord::Unknown => mark == Mark::Unk,
            StateWord::Pending => mark == Mark::Pend,
            StateWord::Problem => !matches!(mark, Mark::Ok | Mark::Up | Mark::Pend),
            StateWord::Up => mark == Mark::Up,
            StateWord::Down => mark == Mark::Down,
            StateWord::Unreachable => mark == Mark::Unr,
        }
    }

    fn level(&self) -> Level {
        self.incident().map_or(Level::NoImpact, |incident| Level::of(&incident.verdict))
    }

    fn any(&self, field: TextField, hit: &mut dyn FnMut(&str) -> bool) -> bool {
        let catalog = &self.snapshot.catalog;
        let host = &catalog.hosts[self.host().index()];
        match field {
            TextField::Host => hit(&host.name),
            TextField::Service => match self.object {
                ObjectId::Service(service) => hit(&catalog.services[service.index()].name),
                ObjectId::Host(_) => false,
            },
            TextField::Site => hit(&catalog.site),
            TextField::Zone => hit(&catalog.zones[host.zone.index()].name),
            TextField::Cloud => host.cloud.is_some_and(|cloud| hit(&catalog.clouds[cloud.index()].name)),
            TextField::Comp => self.components(hit),
            // No groups in this configuration language: a group term is about zones until there are some.
            TextField::Group => hit(&catalog.zones[host.zone.index()].name),
            TextField::Out => self
                .detail()
                .observation
                .as_ref()
                .is_some_and(|observation| hit(&observation.text) || hit(&observation.long_text)),
        }
    }

    fn has_type(&self, failure_type: FailureType) -> bool {
        self.incident().is_some_and(|incident| of_type(incident, failure_type))
    }

    fn is(&self, fact: Fact) -> bool {
        let row = self.row();
        match fact {
            Fact::Handled => self.is(Fact::Acked) || row.downtime_depth > 0,
            Fact::Acked => row.is_acknowledged() || self.incident().is_some_and(|incident| incident.ack.is_some()),
            Fact::Downtime => row.downtime_depth > 0,
            Fact::Flapping => row.flags.has(Flags::FLAPPING),
            Fact::Stale => row.is_stale(),
            Fact::Soft => row.kind == StateKind::Soft && row.state != 0,
            Fact::Effect => row.flags.has(Flags::EFFECT),
            Fact::Passive => self.snapshot.catalog.check_of(self.object).is_some_and(|check| check.probe.is_empty()),
            Fact::Open => row.incident != 0,
            Fact::Closed => row.incident == 0,
            Fact::Recovering => self.incident().is_some_and(|incident| incident.phase == Phase::Recovering),
        }
    }

    fn age(&self) -> Option<Span> {
        let since = self.row().last_state_change;
        (since != Timestamp::ZERO).then(|| self.now.since(since))
    }

    fn checked(&self) -> Option<Span> {
        let last = self.row().last_check;
        (last != Timestamp::ZERO).then(|| self.now.since(last))
    }

    fn owner(&self) -> Option<&str> {
        let own = self.detail().ack.as_ref().map(|ack| &*ack.by);
        own.or_else(|| self.incident().and_then(|incident| incident.owner.as_deref()))
    }

    fn perf(&self, label: &str) -> Option<f64> {
        let observation = self.detail().observation.as_ref()?;
        observation.measurements.iter().find(|measurement| &*measurement.label == label)?.value
    }

    fn free(&self, hit: &mut dyn FnMut(&str) -> bool) -> bool {
        self.any(TextField::Host, hit) || self.any(TextField::Service, hit) || self.any(TextField::Out, hit)
    }
}

/// An incident as a row of a list.
pub struct IncidentSubject<'a> {
    pub snapshot: &'a Snapshot,
    pub incident: &'a Incident,
    pub now: Timestamp,
}

fn of_type(incident: &Incident, failure_type: FailureType) -> bool {
    let column = incident.verdict.class.failure_type().map(FailureType::as_str);
    let by_cell = incident.verdict.cell.as_deref().and_then(|cell| cell.rsplit('/').next());
    column == Some(failure_type.as_str()) || by_cell == Some(failure_type.as_str())
}

/// Every problem of it is planned work.
pub fn in_downtime(snapshot: &Snapshot, incident: &Incident) -> bool {
    let planned =
        |key: &ObjectKey| snapshot.catalog.object_id(key).is_some_and(|object| snapshot.row(object).downtime_depth > 0);
    !incident.problems.is_empty() && incident.problems.iter().all(planned)
}

/// Somebody has it, it is planned, or it is the effect of another incident and worked on there.
pub fn is_handled(snapshot: &Snapshot, incident: &Incident) -> bool {
    incident.ack.is_some() || incident.root.is_some() || in_downtime(snapshot, incident)
}

/// True if the incident shows in that scope; incidents without a cloud show everywhere.
pub fn in_scope(incident: &Incident, cloud: Option<&str>) -> bool {
    match (cloud, incident.cloud.as_deref()) {
        (Some(scope), Some(cloud)) => scope == cloud,
        (None, _) | (_, None) => true,
    }
}

impl Subject for IncidentSubject<'_> {
    fn is_state(&self, word: StateWord) -> bool {
        let severity = self.incident.severity();
        match word {
            StateWord::Critical | StateWord::Down => matches!(severity, Severity::Critical | Severity::Major),
            StateWord::Warning => severity == Severity::Warning,
            StateWord::Unknown | StateWord::Unreachable => severity == Severity::Unknown,
            StateWord::Problem => severity > Severity::Info,
            StateWord::Ok | StateWord::Up => !self.incident.phase.is_live(),
            StateWord::Pending => severity == Severity::Info,
        }
    }

    fn level(&self) -> Level {
        Level::of(&self.incident.verdict)
    }

    fn any(&self, field: TextField, hit: &mut dyn FnMut(&str) -> bool) -> bool {
        let incident = self.incident;
        let mut maybe = |text: &Option<Arc<str>>| text.as_deref().is_some_and(&mut *hit);
        match field {
            TextField::Host => {
                maybe(&incident.verdict.target.host) || incident.problems.iter().any(|key| hit(&key.host))
            }
            TextField::Service => incident.problems.iter().any(|key| key.service.as_deref().is_some_and(&mut *hit)),
            TextField::Site => maybe(&incident.site),
            TextField::Zone | TextField::Group => maybe(&incident.zone),
            TextField::Cloud => maybe(&incident.cloud),
            TextField::Comp => maybe(&incident.verdict.target.component),
            TextField::Out => {
                hit(&incident.users_notice) || incident.verdict.evidence.iter().any(|evidence| hit(&evidence.value))
            }
        }
    }

    fn has_type(&self, failure_type: FailureType) -> bool {
        of_type(self.incident, failure_type)
    }

    fn is(&self, fact: Fact) -> bool {
        let incident = self.incident;
        match fact {
            Fact::Handled => is_handled(self.snapshot, incident),
            Fact::Acked => incident.ack.is_some(),
            Fact::Downtime => in_downtime(self.snapshot, incident),
            Fact::Flapping => incident.verdict.class == Class::Flapping,
            Fact::Stale | Fact::Soft | Fact::Passive => false,
            Fact::Effect => incident.root.is_some(),
            Fact::Open => incident.phase.is_live(),
            Fact::Closed => !incident.phase.is_live(),
            Fact::Recovering => incident.phase == Phase::Recovering,
        }
    }

    fn age(&self) -> Option<Span> {
        Some(self.now.since(self.incident.opened_at))
    }

    fn checked(&self) -> Option<Span> {
        None
    }

    fn owner(&self) -> Option<&str> {
        self.incident.ack.as_ref().map(|ack| &*ack.by).or(self.incident.owner.as_deref())
    }

    fn perf(&self, _label: &str) -> Option<f64> {
        None
    }

    fn free(&self, hit: &mut dyn FnMut(&str) -> bool) -> bool {
        hit(&self.incident.title)
            || hit(&format!("INC-{}", self.incident.number))
            || self.any(TextField::Host, hit)
            || self.any(TextField::Service, hit)
            || self.any(TextField::Out, hit)
    }
}

/// A service of a snapshot as the filter sees it.
pub fn service(snapshot: &Snapshot, id: ServiceId, now: Timestamp) -> RowSubject<'_> {
    RowSubject { snapshot, object: ObjectId::Service(id), now }
}

/// A host of a snapshot as the filter sees it.
pub fn host(snapshot: &Snapshot, id: HostId, now: Timestamp) -> RowSubject<'_> {
    RowSubject { snapshot, object: ObjectId::Host(id), now }
}
