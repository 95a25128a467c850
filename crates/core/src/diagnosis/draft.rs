//! Verdicts in the making: what the stages write on the board before severity, confidence and Core are known.

use std::sync::Arc;

use super::confidence::Plane;
use super::signal::Signal;
use super::verdict::{Class, Rejected, Severity, Suppressed, Target, TargetKind, Visibility};
use super::world::World;
use crate::Timestamp;

/// What the own signals of one component say.
pub(super) struct Finding<'a> {
    pub class: Class,
    pub subtype: &'static str,
    /// Confidence of the row of the truth table.
    pub base: f64,
    /// Independent planes that the row already counts.
    pub row_planes: usize,
    pub support: Vec<&'a Signal>,
    pub contradicted: bool,
    /// Why nothing else.
    pub rejected: Vec<Rejected>,
    /// How an upstream failure could explain it.
    pub explained_by: Explained,
    /// The resource is gone, not just scarce.
    pub critical: bool,
    /// The process itself is gone.
    pub absent: bool,
    /// Signals that could have told more, and went silent.
    pub missing: Vec<&'static str>,
    /// Of what flaps: what it is in its bad moments.
    pub flaps: Option<Class>,
    /// Of what flaps: this is a bad moment.
    pub is_down: bool,
}

impl Finding<'_> {
    /// Whether it is out of service at this moment.
    pub fn puts_out(&self) -> bool {
        puts_out(self.class) || self.is_down
    }
}

/// Which kind of upstream failure may explain a finding (specification 10, section 7).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Explained {
    /// A process that is really absent, a full disk: nothing upstream does that.
    Never,
    /// A lost controller, database or name service.
    Control,
    /// A lost store or data path.
    Storage,
    /// Anything upstream: NOTREADY or a failing probe with no cause of its own.
    Any,
}

/// One verdict in the making.
pub(super) struct Draft<'a> {
    pub target: Target,
    pub class: Class,
    pub subtype: &'static str,
    pub base: f64,
    pub row_planes: usize,
    pub support: Vec<&'a Signal>,
    pub contradicted: bool,
    pub rejected: Vec<Rejected>,
    /// Components that the failure takes out; they decide severity, cell and runbook.
    pub members: Vec<usize>,
    pub suppressed: Vec<Suppressed>,
    /// Where the stage knows better than the redundancy of the members.
    pub weight: Option<(Severity, Visibility)>,
    pub runbook: Option<Arc<str>>,
    pub redundancy: Option<(u32, u32)>,
    pub critical: bool,
    /// What would make it surer.
    pub missing: Vec<String>,
    /// Of what flaps: what it is in its bad moments.
    pub flaps: Option<Class>,
    /// Of what flaps: this is a bad moment.
    pub is_down: bool,
}

impl<'a> Draft<'a> {
    pub fn new(target: Target, class: Class, subtype: &'static str, base: f64) -> Self {
        Draft {
            target,
            class,
            subtype,
            base,
            row_planes: usize::MAX,
            support: Vec::new(),
            contradicted: false,
            rejected: Vec::new(),
            members: Vec::new(),
            suppressed: Vec::new(),
            weight: None,
            runbook: None,
            redundancy: None,
            critical: true,
            missing: Vec::new(),
            flaps: None,
            is_down: false,
        }
    }

    /// The class of the failure, whether it lasts or comes and goes.
    pub fn cause(&self) -> Class {
        self.flaps.unwrap_or(self.class)
    }

    pub fn weighing(mut self, severity: Severity, visibility: Visibility) -> Self {
        self.weight = Some((severity, visibility));
        self
    }

    pub fn with_runbook(mut self, runbook: &str) -> Self {
        self.runbook = Some(Arc::from(runbook));
        self
    }

    pub fn backed_by(mut self, support: impl IntoIterator<Item = &'a Signal>) -> Self {
        self.support.extend(support);
        self
    }

    pub fn not(mut self, class: Class, why: impl Into<String>) -> Self {
        self.rejected.push(reject(class, why));
        self
    }

    pub fn without(mut self, missing: impl IntoIterator<Item = String>) -> Self {
        self.missing.extend(missing);
        self
    }

    /// Oldest change among the failing facts behind it; `None` where no source knows.
    pub fn known_since(&self, world: &World) -> Option<Timestamp> {
        known_since(world, &self.support)
    }

    /// Lists what this explains; repetitions are removed at the end.
    pub fn hide(&mut self, host: &Arc<str>, component: Option<&Arc<str>>, class: Class) {
        self.suppressed.push(Suppressed { host: Some(host.clone()), component: component.cloned(), class });
    }
}

/// Oldest change among facts that tell trouble.
pub(super) fn known_since(world: &World, support: &[&Signal]) -> Option<Timestamp> {
    support
        .iter()
        .filter(|signal| Plane::tells_trouble(signal) && world.age_of_value(signal).is_some())
        .map(|signal| signal.changed_at)
        .min()
}

pub(super) fn reject(class: Class, why: impl Into<String>) -> Rejected {
    Rejected { class, subtype: None, why: why.into() }
}

pub(super) fn target(kind: TargetKind, host: &Arc<str>) -> Target {
    Target { kind, host: Some(host.clone()), component: None }
}

/// What became of a component.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    /// It is the target or a member of this draft.
    Root(usize),
    /// That draft explains it.
    Under(usize, Class),
}

/// Everything the stages have decided so far.
pub(super) struct Board<'a> {
    pub drafts: Vec<Draft<'a>>,
    /// The draft that explains why a host does not answer or is out of service.
    pub host_root: Vec<Option<usize>>,
    /// The host comes and goes, and a draft says so.
    pub host_flaps: Vec<bool>,
    pub findings: Vec<Option<Box<Finding<'a>>>>,
    pub fate: Vec<Fate>,
    /// DISABLED, and otherwise well: the passive half of a pair.
    pub passive: Vec<bool>,
}

impl<'a> Board<'a> {
    pub fn new(world: &'a World) -> Self {
        let comps = world.comps.len();
        Board {
            drafts: Vec::new(),
            host_root: vec![None; world.hosts.len()],
            host_flaps: vec![false; world.hosts.len()],
            findings: std::iter::repeat_with(|| None).take(comps).collect(),
            fate: vec![Fate::Fine; comps],
            passive: vec![false; comps],
        }
    }

    pub fn add(&mut self, draft: Draft<'a>) -> usize {
        self.drafts.push(draft);
        self.drafts.len() - 1
    }

    /// The draft that puts a component out of service, if any.
    pub fn out_by(&self, world: &World, comp: usize) -> Option<usize> {
        if let Some(root) = self.host_root[world.comps[comp].host] {
            return Some(root);
        }
        match self.fate[comp] {
            Fate::Fine => None,
            Fate::Root(draft) => (puts_out(self.drafts[draft].class) || self.drafts[draft].is_down).then_some(draft),
            Fate::Under(draft, class) => puts_out(class).then_some(draft),
        }
    }

    /// The draft that puts a component out of service, be it only again and again.
    pub fn troubled_by(&self, world: &World, comp: usize) -> Option<usize> {
        self.out_by(world, comp).or(match self.fate[comp] {
            Fate::Fine => None,
            Fate::Root(draft) => (self.drafts[draft].class == Class::Flapping).then_some(draft),
            Fate::Under(draft, class) => (class == Class::Flapping).then_some(draft),
        })
    }

    pub fn is_in_service(&self, world: &World, comp: usize) -> bool {
        self.out_by(world, comp).is_none()
    }
}

/// Whether a component in this class is out of service (specification 10, section 8).
pub(super) fn puts_out(class: Class) -> bool {
    match class {
        Class::SoftwareDown
        | Class::ServerDown
        | Class::ResourceUnavailable
        | Class::Network
        | Class::PowerEvent
        | Class::MonitorIsolated
        | Class::SiteDown
        | Class::AdminStopped
        | Class::Starting => true,
        Class::NetworkPath
        | Class::SplitBrain
        | Class::RedundancyLost
        | Class::ResourceAtRisk
        | Class::Flapping
        | Class::Unknown => false,
    }
}
