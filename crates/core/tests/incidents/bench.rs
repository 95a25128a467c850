//! A tracker with virtual time: causes come and go by name, and their evidence is cleared by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stentor_core::catalog::Catalog;
use stentor_core::diagnosis::{
    Class, CoreState, Evidence, Impact, Severity, Suppressed, Target, TargetKind, Verdict, Visibility,
};
use stentor_core::engine::Event;
use stentor_core::incident::{CauseKey, Clearance, Supported, Tracker, Wanted};
use stentor_core::model::{Incident, Phase, TimelineKind};
use stentor_core::{Span, Timestamp};

/// Causes are believed after so long.
pub const HOLD: i64 = 30;

pub fn verdict(class: Class, subtype: &str, host: &str, component: Option<&str>) -> Verdict {
    let kind = match (class, component) {
        (Class::Unknown, Some(_)) => TargetKind::Service,
        (_, Some(_)) => TargetKind::Component,
        (Class::RedundancyLost, None) => TargetKind::Hardware,
        (Class::PowerEvent, None) => TargetKind::Power,
        (Class::Network, None) => TargetKind::Switch,
        (_, None) => TargetKind::Host,
    };
    let value = "refused".to_owned();
    Verdict {
        target: Target { kind, host: Some(host.into()), component: component.map(Into::into) },
        class,
        subtype: subtype.into(),
        severity: Severity::Major,
        visibility: Visibility::Visible,
        impact: Impact::Partial,
        confidence: 0.9,
        core: CoreState::Available,
        cell: None,
        cells: Vec::new(),
        runbook: "none".into(),
        redundancy: None,
        suppressed: Vec::new(),
        evidence: vec![Evidence { sig: "port".to_owned(), at: host.to_owned(), value }],
        rejected: Vec::new(),
        since: Timestamp::ZERO,
    }
}

pub fn with_effects(mut verdict: Verdict, effects: &[(&str, Option<&str>)]) -> Verdict {
    verdict.suppressed = effects
        .iter()
        .map(|(host, component)| Suppressed {
            host: Some((*host).into()),
            component: component.map(Into::into),
            class: Class::ResourceUnavailable,
        })
        .collect();
    verdict
}

/// What the rows of an engine would say.
#[derive(Default)]
pub struct Said {
    /// Hosts whose evidence is positively gone.
    pub clear: BTreeSet<String>,
    pub goes_on: Vec<String>,
    pub takes_over: Vec<String>,
}

impl Clearance for Said {
    fn is_clear(&self, incident: &Incident) -> bool {
        incident.verdict.target.host.as_deref().is_some_and(|host| self.clear.contains(host))
    }
    fn is_looked_into(&self, _: &Wanted, _: Timestamp) -> bool {
        true
    }
    fn is_said_again(&self, _: &Wanted, _: Timestamp) -> bool {
        true
    }
    fn takes_over(&self, _: &Incident) -> Vec<String> {
        self.takes_over.clone()
    }
    fn goes_on(&self, _: &Incident, _: Timestamp) -> Vec<String> {
        self.goes_on.clone()
    }
}

pub struct Bench {
    pub tracker: Tracker,
    pub catalog: Catalog,
    pub said: Said,
    pub at: Timestamp,
    supported: Supported,
    pub events: Vec<Event>,
    pub settled: Vec<u64>,
}

impl Bench {
    pub fn new() -> Bench {
        Bench {
            tracker: Tracker::default(),
            catalog: Catalog { site: "here".into(), ..Catalog::default() },
            said: Said::default(),
            at: Timestamp::from_secs(1_000_000),
            supported: Supported::default(),
            events: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// From now on exactly these causes are supported.
    pub fn causes(&mut self, verdicts: &[Verdict]) -> &mut Self {
        let want = |verdict: &Verdict| {
            let want = Wanted { verdict: verdict.clone(), hold: Span::from_secs(HOLD) };
            (CauseKey::of(Some("cloud".into()), verdict), want)
        };
        self.supported = Supported { causes: verdicts.iter().map(want).collect(), roots: BTreeMap::new() };
        self
    }

    /// The problem that was `single` alone belongs to `root` now.
    pub fn rooted(&mut self, single: &Verdict, root: &Verdict) -> &mut Self {
        let key = |verdict| CauseKey::of(Some("cloud".into()), verdict);
        self.supported.roots.insert(key(single), key(root));
        self
    }

    pub fn clear(&mut self, host: &str) -> &mut Self {
        self.said.clear.insert(host.to_owned());
        self
    }

    pub fn fails(&mut self, host: &str) -> &mut Self {
        self.said.clear.remove(host);
        self
    }

    pub fn pass(&mut self, secs: i64) -> &mut Self {
        let end = self.at + Span::from_secs(secs);
        while self.at < end {
            self.at += Span::from_secs(1);
            let outcome = self.tracker.reconcile(&self.catalog, &self.supported, &self.said, self.at);
            self.events.extend(outcome.events);
            self.settled.extend(outcome.settled);
        }
        self
    }

    /// Long enough for any cause to be believed.
    pub fn believe(&mut self) -> &mut Self {
        self.pass(HOLD + 2)
    }

    pub fn incident(&self, number: u64) -> &Arc<Incident> {
        self.tracker.get(number).unwrap()
    }

    pub fn numbers(&self) -> Vec<(u64, Phase)> {
        self.tracker.incidents.values().map(|incident| (incident.number, incident.phase)).collect()
    }

    pub fn entries(&self, number: u64, kind: TimelineKind) -> Vec<String> {
        let timeline = &self.incident(number).timeline;
        timeline.iter().filter(|entry| entry.kind == kind).map(|entry| entry.text.clone()).collect()
    }
}
