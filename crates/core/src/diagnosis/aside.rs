//! What the cloud says besides of a host: whether its guests would be started elsewhere (`healing`), and of what it has
//! alerted (`alert`). Neither makes a verdict or a confidence: the first raises the severity, both stand in the evidence.

use super::draft::Draft;
use super::signal::Signal;
use super::verdict::{Class, Severity};
use super::world::World;

pub(super) struct Aside<'a> {
    /// Says that nobody would start the guests of this host elsewhere.
    unhealed: Option<&'a Signal>,
    alerts: Vec<&'a Signal>,
}

/// What is said of the host of this verdict, where it is a failure or comes before one.
pub(super) fn heard<'a>(world: &'a World, draft: &Draft<'a>) -> Aside<'a> {
    let nothing = Aside { unhealed: None, alerts: Vec::new() };
    let Some(host) = draft.target.host.as_deref().and_then(|name| world.host(name)) else { return nothing };
    if !may_take_guests_along(draft.class) {
        return nothing;
    }
    let topology = &world.topology;
    let comps = &world.comps[world.hosts[host].comps.clone()];
    let carries = comps.iter().any(|comp| topology.carries_guests(&comp.kind));
    let is_unhealed = |signal: &&Signal| {
        signal.value.text().is_some_and(|word| topology.knowledge.unhealed.iter().any(|known| **known == *word))
    };
    let healing = comps.iter().filter_map(|comp| comp.facts.newest("healing"));
    let unhealed = healing.filter(|_| carries).find(is_unhealed);
    Aside { unhealed, alerts: comps.iter().flat_map(|comp| comp.facts.all("alert")).collect() }
}

const fn may_take_guests_along(class: Class) -> bool {
    match class {
        Class::SoftwareDown
        | Class::ServerDown
        | Class::ResourceUnavailable
        | Class::ResourceAtRisk
        | Class::RedundancyLost
        | Class::Network => true,
        Class::PowerEvent
        | Class::SiteDown
        | Class::SplitBrain
        | Class::NetworkPath
        | Class::MonitorIsolated
        | Class::AdminStopped
        | Class::Starting
        | Class::Flapping
        | Class::Unknown => false,
    }
}

impl<'a> Aside<'a> {
    /// A warning is one because others carry on. Nobody does here. It stays below critical: users notice nothing yet.
    pub fn weigh(&self, severity: Severity) -> Severity {
        if self.unhealed.is_some() && severity == Severity::Warning { Severity::Major } else { severity }
    }

    /// Evidence with what is said besides.
    pub fn beside(&self, support: &[&'a Signal]) -> Vec<&'a Signal> {
        support.iter().copied().chain(self.unhealed).chain(self.alerts.iter().copied()).collect()
    }
}
