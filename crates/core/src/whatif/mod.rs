//! What if X is off: the same classifier over a healthy world, or the present one, with the signals of a dead X laid over it.
//!
//! Pure and total; nothing here touches what is really known.

pub mod element;
mod physics;
mod present;
mod sketch;
mod together;
mod trial;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use element::{Element, Mode, UnknownElement};
pub use present::{PresentWorld, present, signals_of};

use crate::Timestamp;
use crate::availability::assess::{self, Prepared, Seen, Stands, Status};
use crate::availability::{Redundancy, State};
use crate::catalog::Catalog;
use crate::diagnosis::{
    Class, CoreState, Diagnosis, Impact, Severity, Signal, Suppressed, Target, Verdict, Visibility,
};
use crate::engine::fold::Shares;
use crate::engine::tick::opens;
use physics::Dark;
use sketch::{Kinds, Said, Sketch};
use trial::Trial;

/// The world before the assumption.
pub struct World<'a> {
    pub catalog: &'a Catalog,
    pub prepared: Prepared,
    pub at: Timestamp,
    /// Parallel to `catalog.clouds`.
    signals: Vec<Said>,
    before: Vec<Diagnosis>,
    /// Incidents of each cloud before the assumption, folded as the engine folds them.
    known: Vec<Vec<Verdict>>,
    shares: Shares,
    /// Hard states of hosts and services of the present world; `None` = all well.
    objects: Option<PresentWorld<'a>>,
}

/// What an assumption comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub assumed: Vec<Element>,
    /// Hosts and switches that go dark with it.
    pub dark: Vec<Arc<str>>,
    pub clouds: Vec<CloudAnswer>,
    /// New incidents that are of no cloud alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Expected>,
    /// Business services that are not as before.
    pub business: Vec<BusinessAnswer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloudAnswer {
    pub cloud: Arc<str>,
    pub before: CoreAnswer,
    pub after: CoreAnswer,
    /// New verdicts that are incidents, worst first.
    pub incidents: Vec<Expected>,
    /// Components that are out and were not.
    pub out_of_service: Vec<String>,
}

/// A verdict without what only a real failure has: evidence and time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    pub target: Target,
    pub class: Class,
    pub subtype: Arc<str>,
    pub severity: Severity,
    pub visibility: Visibility,
    pub impact: Impact,
    pub confidence: f64,
    pub cell: Option<Arc<str>>,
    pub runbook: Arc<str>,
    /// What is told as its effects.
    pub suppressed: Vec<Suppressed>,
}

impl From<&Verdict> for Expected {
    fn from(verdict: &Verdict) -> Expected {
        Expected {
            target: verdict.target.clone(),
            class: verdict.class,
            subtype: Arc::clone(&verdict.subtype),
            severity: verdict.severity,
            visibility: verdict.visibility,
            impact: verdict.impact,
            confidence: verdict.confidence,
            cell: verdict.cell.clone(),
            runbook: Arc::clone(&verdict.runbook),
            suppressed: verdict.suppressed.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreAnswer {
    pub state: CoreState,
    pub because: Vec<String>,
    pub redundancy: Option<Redundancy>,
    pub redundancy_lost: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BusinessAnswer {
    pub name: Arc<str>,
    pub before: Brief,
    pub after: Brief,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    pub state: State,
    pub because: Vec<String>,
    pub redundancy: Option<Redundancy>,
}

impl From<&Status> for Brief {
    fn from(status: &Status) -> Brief {
        Brief { state: status.state, because: status.because.clone(), redundancy: status.redundancy }
    }
}

impl<'a> World<'a> {
    /// Everything answers well.
    pub fn healthy(catalog: &'a Catalog, at: Timestamp) -> World<'a> {
        let sketch = |cloud: &'a crate::catalog::Cloud| Sketch::healthy(catalog, &cloud.topology, at).over;
        let signals = catalog.clouds.iter().map(sketch).collect();
        World::of(catalog, at, signals, None)
    }

    /// As it is now.
    pub fn present(snapshot: &'a crate::snapshot::Snapshot) -> World<'a> {
        let (signals, objects) = present(snapshot);
        let by_host = |signals: Vec<Signal>| {
            let mut said = Said::new();
            signals.into_iter().for_each(|signal| said.entry(signal.host.clone()).or_default().push(signal));
            said
        };
        World::of(&snapshot.catalog, snapshot.at, signals.into_iter().map(by_host).collect(), Some(objects))
    }

    fn of(catalog: &'a Catalog, at: Timestamp, signals: Vec<Said>, objects: Option<PresentWorld<'a>>) -> World<'a> {
        let prepared = Prepared::new(catalog);
        let (before, known, shares) = (Vec::new(), Vec::new(), Shares::of(catalog));
        let mut world = World { catalog, prepared, at, signals, before, known, shares, objects };
        world.before = world.trials().iter_mut().map(|(trial, _)| trial.present()).collect();
        world.known = together::incidents(&world, &world.before, &Dark::default()).of_clouds;
        world
    }

    /// What an assumption is tried on, cloud by cloud.
    fn trials(&self) -> Vec<(Trial<'_>, Kinds<'_>)> {
        let trial = |cloud: usize| {
            let kinds = Kinds::of(&self.catalog.clouds[cloud].topology);
            (Trial::new(self.catalog, cloud, &self.signals[cloud], self.at), kinds)
        };
        (0..self.signals.len()).map(trial).collect()
    }

    pub fn diagnoses(&self) -> &[Diagnosis] {
        &self.before
    }

    /// What if all of these fail at once.
    ///
    /// # Errors
    /// The configuration has no such thing.
    pub fn ask(&self, assumed: &[Element]) -> Result<Answer, UnknownElement> {
        assumed.iter().try_for_each(|element| element.check(self.catalog))?;
        Ok(self.try_out(assumed, &mut self.trials()))
    }

    fn try_out(&self, assumed: &[Element], trials: &mut [(Trial<'_>, Kinds<'_>)]) -> Answer {
        let dark = physics::follow(self.catalog, assumed);
        let each = trials.iter_mut().enumerate();
        let after: Vec<Diagnosis> =
            each.map(|(cloud, (trial, kinds))| self.after(cloud, assumed, &dark, (trial, kinds))).collect();
        let found = together::incidents(self, &after, &dark);
        let clouds = (0..after.len()).map(|cloud| self.cloud(cloud, &after[cloud], &found.of_clouds[cloud])).collect();
        let mut named: BTreeSet<Arc<str>> = dark.hosts().cloned().collect();
        named.extend(dark.switches.iter().cloned());
        Answer {
            assumed: assumed.to_vec(),
            dark: named.into_iter().collect(),
            clouds,
            elsewhere: found.elsewhere.iter().map(Expected::from).collect(),
            business: self.business(&after, &dark),
        }
    }

    fn after(
        &self,
        cloud: usize,
        assumed: &[Element],
        dark: &Dark,
        (trial, kinds): (&mut Trial<'_>, &Kinds<'_>),
    ) -> Diagnosis {
        let topology = &self.catalog.clouds[cloud].topology;
        let mut sketch = Sketch::of(self.catalog, topology, Some(&self.signals[cloud]), self.at);
        sketch.darken(dark);
        assumed.iter().for_each(|element| sketch.fail(element));
        let first = trial.diagnose(&sketch);
        let out: BTreeSet<(&Arc<str>, &Arc<str>)> = first
            .standing
            .iter()
            .filter(|one| !one.footing.is_in_service())
            .filter_map(|one| Some((&one.host, one.component.as_ref()?)))
            .collect();
        sketch.pass_on(kinds, &out);
        let after = trial.diagnose(&sketch);
        trial.forget(&sketch);
        after
    }

    fn core(&self, cloud: usize, diagnosis: &Diagnosis) -> CoreAnswer {
        CoreAnswer {
            state: diagnosis.core,
            because: diagnosis.core_because.clone(),
            redundancy: assess::core_look(&self.prepared, cloud, diagnosis).and_then(|(look, _)| look.redundancy),
            redundancy_lost: diagnosis.redundancy_lost,
        }
    }

    fn cloud(&self, cloud: usize, after: &Diagnosis, found: &[Verdict]) -> CloudAnswer {
        let before = &self.before[cloud];
        let is_new = |verdict: &&Verdict| {
            let known = self.known.get(cloud).into_iter().flatten();
            !known.into_iter().any(|old| (&old.target, old.class) == (&verdict.target, verdict.class))
        };
        let incidents = found.iter().filter(is_new);
        let served = |one: &&crate::diagnosis::Standing| {
            let was = before.standing.iter().find(|old| (&old.host, &old.component) == (&one.host, &one.component));
            !one.footing.is_in_service() && was.is_none_or(|was| was.footing.is_in_service())
        };
        let out = after.standing.iter().filter(|one| one.component.is_some()).filter(served);
        CloudAnswer {
            cloud: Arc::clone(&self.catalog.clouds[cloud].name),
            before: self.core(cloud, before),
            after: self.core(cloud, after),
            incidents: incidents.map(Expected::from).collect(),
            out_of_service: out
                .map(|one| format!("{}/{}", one.host, one.component.as_deref().unwrap_or_default()))
                .collect(),
        }
    }

    fn business(&self, after: &[Diagnosis], dark: &Dark) -> Vec<BusinessAnswer> {
        let now = |host: &str, service: Option<&str>| match &self.objects {
            Some(objects) => objects.stands(host, service),
            None => Stands::WELL,
        };
        let then = |host: &str, service: Option<&str>| {
            if dark.is_dark(host) { Stands { state: State::Unavailable, planned: false } } else { now(host, service) }
        };
        let before: Vec<&Diagnosis> = self.before.iter().collect();
        let before = assess::businesses(&self.prepared, self.catalog, &Seen::new(&before, &now), self.at);
        let after: Vec<&Diagnosis> = after.iter().collect();
        let after = assess::businesses(&self.prepared, self.catalog, &Seen::new(&after, &then), self.at);
        let pairs = before.iter().zip(&after).filter(|(b, a)| (b.state, b.redundancy) != (a.state, a.redundancy));
        pairs.map(|(b, a)| BusinessAnswer { name: Arc::clone(&a.name), before: b.into(), after: a.into() }).collect()
    }

    /// Every single element, the worst first.
    pub fn ask_all(&self) -> Vec<Answer> {
        let mut trials = self.trials();
        let all = Element::all(self.catalog);
        let mut answers: Vec<Answer> =
            all.iter().map(|one| self.try_out(std::slice::from_ref(one), &mut trials)).collect();
        answers.sort_by(|a, b| b.weight().cmp(&a.weight()).then_with(|| a.assumed.cmp(&b.assumed)));
        answers
    }
}

/// How bad an answer is: later fields decide only between equals.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Weight {
    /// Clouds and business services that are gone and were not.
    pub gone: usize,
    /// Those that are degraded and were not.
    pub degraded: usize,
    pub impact: Impact,
    pub severity: Severity,
    /// Components that are out and were not.
    pub out: usize,
    /// Spare that is gone.
    pub spare: u32,
}

impl Answer {
    pub fn incidents(&self) -> impl Iterator<Item = &Expected> {
        self.clouds.iter().flat_map(|cloud| &cloud.incidents).chain(&self.elsewhere)
    }

    /// Takes a Core or a business service away all alone.
    pub fn is_single_point(&self) -> bool {
        self.assumed.len() == 1 && self.weight().gone > 0
    }

    pub fn weight(&self) -> Weight {
        let cores = self.clouds.iter().map(|cloud| (State::from(cloud.before.state), State::from(cloud.after.state)));
        let services = self.business.iter().map(|one| (one.before.state, one.after.state));
        let changes: Vec<(State, State)> = cores.chain(services).collect();
        // Stentor may take itself for cut off when everything is dark: gone all the same.
        let gone = changes.iter().filter(|(was, is)| *is <= State::Unknown && *was > State::Unknown).count();
        let degraded = changes.iter().filter(|(was, is)| *is == State::Degraded && *was > *is).count();
        let spare = |before: Option<Redundancy>, after: Option<Redundancy>| {
            before.map_or(0, |r| r.left).saturating_sub(after.map_or(0, |r| r.left))
        };
        let of_cores = self.clouds.iter().map(|cloud| spare(cloud.before.redundancy, cloud.after.redundancy));
        let of_services = self.business.iter().map(|one| spare(one.before.redundancy, one.after.redundancy));
        Weight {
            gone,
            degraded,
            impact: self.incidents().map(|verdict| verdict.impact).max().unwrap_or(Impact::None),
            severity: self.incidents().map(|verdict| verdict.severity).max().unwrap_or(Severity::Info),
            out: self.clouds.iter().map(|cloud| cloud.out_of_service.len()).sum(),
            spare: of_cores.chain(of_services).sum(),
        }
    }

    /// The first incident, as a person would say it: what it is about and its class.
    pub fn headline(&self) -> String {
        match self.incidents().next() {
            Some(verdict) => {
                let place = verdict.target.host.as_deref().unwrap_or("self");
                let part = verdict.target.component.as_ref().map_or_else(String::new, |part| format!("/{part}"));
                format!("{}/{} on {place}{part}", verdict.class.as_str(), verdict.subtype)
            }
            None => "no incident".to_owned(),
        }
    }

    /// Classes of the incidents, for tests and tables.
    pub fn classes(&self) -> Vec<Class> {
        self.incidents().map(|verdict| verdict.class).collect()
    }
}
