//! Groups problems by presumed cause and leads each group from candidate to open, recovering, resolved.
//!
//! Decides nothing about who is told: that is `policy`.

pub mod cover;
pub mod title;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Timing};
use crate::diagnosis::{Class, Target, Verdict};
use crate::engine::{Event, EventKind};
use crate::model::{Incident, ObjectKey, Phase, TimelineEntry, TimelineKind};
use crate::{Span, Timestamp};

/// Ended incidents that stay in the read model; older ones live in history only.
pub const ENDED_KEPT: usize = 500;
/// Entries of one timeline; when full, the oldest after the first is dropped.
pub const TIMELINE_MAX: usize = 200;
/// Specification 10, section 6: resource classes need this many recovery times clean (5 min against 30 s).
const RESOURCE_RECOVERY_FACTOR: i64 = 10;

/// What makes two verdicts the same failure: subtype and confidence may change, these may not.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct CauseKey {
    pub cloud: Option<Arc<str>>,
    pub target: Target,
    pub class: Class,
}

/// A cause that the present evidence supports.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub verdict: Verdict,
    /// Must hold this long before it is believed.
    pub hold: Span,
}

/// A cause on its way to an incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Candidate {
    pub since: Timestamp,
}

/// A live incident's bookkeeping that people need not see.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Live {
    pub number: u64,
    /// Since when the cause is not supported any more; `None` while it is.
    pub absent_since: Option<Timestamp>,
}

/// All candidates and incidents.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tracker {
    pub incidents: Arc<BTreeMap<u64, Arc<Incident>>>,
    newest: u64,
    candidates: BTreeMap<CauseKey, Candidate>,
    live: BTreeMap<CauseKey, Live>,
}

/// What a reconciliation did that others must react to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub events: Vec<Event>,
    /// New candidates: their hosts deserve an immediate look at every check.
    pub suspects: Vec<Target>,
    pub resolved: Vec<u64>,
    /// Anything about incidents differs from before.
    pub changed: bool,
}

/// What the rows of the checks say about causes.
pub trait Clearance {
    /// Whether the evidence that opened an incident is positively gone (absence is never recovery).
    fn is_clear(&self, incident: &Incident) -> bool;
    /// Whether everything that could contradict or explain a cause suspected at `since` was looked at again.
    fn is_looked_into(&self, want: &Wanted, since: Timestamp) -> bool;
    /// Whether the checks that spoke for a cause have done so again since.
    fn is_said_again(&self, want: &Wanted, since: Timestamp) -> bool;
}

impl Tracker {
    pub fn live(&self) -> impl Iterator<Item = (&CauseKey, &Live)> {
        self.live.iter()
    }

    /// Whether a hold or a recovery runs: the next tick may open or resolve something.
    pub fn is_waiting(&self) -> bool {
        let recovering = |live: &Live| self.incidents.get(&live.number).is_some_and(|i| i.phase == Phase::Recovering);
        !self.candidates.is_empty() || self.live.values().any(recovering)
    }

    /// Time that counts for no hold and no recovery: both go on where they stood.
    pub fn pass_over(&mut self, gap: Span, at: Timestamp) {
        for candidate in self.candidates.values_mut() {
            candidate.since = (candidate.since + gap).min(at);
        }
        for absent_since in self.live.values_mut().filter_map(|live| live.absent_since.as_mut()) {
            *absent_since = (*absent_since + gap).min(at);
        }
    }

    pub fn get(&self, number: u64) -> Option<&Arc<Incident>> {
        self.incidents.get(&number)
    }

    /// Changes one incident in place, copying it only if a snapshot still holds it.
    pub fn edit(&mut self, number: u64, change: impl FnOnce(&mut Incident)) {
        if let Some(incident) = Arc::make_mut(&mut self.incidents).get_mut(&number) {
            change(Arc::make_mut(incident));
        }
    }

    pub fn note(&mut self, number: u64, entry: TimelineEntry) {
        self.edit(number, |incident| push_timeline(incident, entry));
    }

    /// Compares what the evidence supports with what is open. Call with everything supported right now.
    pub fn reconcile(
        &mut self,
        catalog: &Catalog,
        wanted: &BTreeMap<CauseKey, Wanted>,
        clearance: &dyn Clearance,
        at: Timestamp,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        self.candidates.retain(|key, _| wanted.contains_key(key));
        for (key, want) in wanted {
            if let Some(live) = self.live.get_mut(key) {
                live.absent_since = None;
                let number = live.number;
                self.update(catalog, number, &want.verdict, at, &mut outcome);
                continue;
            }
            let candidate = self.candidates.entry(key.clone()).or_insert_with(|| {
                outcome.suspects.push(key.target.clone());
                Candidate { since: at }
            });
            let since = candidate.since;
            let is_known = !self.was_let_go(want, since) || clearance.is_said_again(want, since);
            if at.since(since) >= want.hold && is_known && clearance.is_looked_into(want, since) {
                self.candidates.remove(key);
                self.open(catalog, key, &want.verdict, since, at, &mut outcome);
            }
        }
        self.replace_explained(at, &mut outcome);
        self.recover(wanted, &catalog.timing, clearance, at, &mut outcome);
        outcome
    }

    /// A redundancy of hosts that another incident counted as its effect until now: the mains are back, and with them the
    /// input of each power supply, once each was asked.
    fn was_let_go(&self, want: &Wanted, since: Timestamp) -> bool {
        if want.verdict.class != Class::RedundancyLost {
            return false;
        }
        let hosts = cover::hosts_of(&want.verdict);
        self.incidents.values().any(|incident| {
            incident.resolved_at.is_none_or(|at| at >= since)
                && incident.verdict.target != want.verdict.target
                && incident
                    .verdict
                    .suppressed
                    .iter()
                    .any(|effect| effect.host.as_deref().is_some_and(|host| hosts.contains(host)))
        })
    }

    fn open(
        &mut self,
        catalog: &Catalog,
        key: &CauseKey,
        verdict: &Verdict,
        since: Timestamp,
        at: Timestamp,
        outcome: &mut Outcome,
    ) {
        self.newest += 1;
        let number = self.newest;
        let title = title::title(catalog, verdict);
        let zone = key.target.host.as_deref().and_then(|host| catalog.host_id(host)).map(|id| {
            let zone = catalog.hosts[id.index()].zone;
            Arc::clone(&catalog.zones[zone.index()].name)
        });
        let users_notice = verdict
            .cell
            .as_deref()
            .and_then(|cell| catalog.cell(cell))
            .map_or_else(String::new, |cell| cell.behaviour.clone());
        let mut incident = Incident {
            number,
            phase: Phase::Open,
            title: title.clone(),
            cloud: key.cloud.clone(),
            site: Some(Arc::clone(&catalog.site)),
            zone,
            verdict: verdict.clone(),
            problems: Vec::new(),
            users_notice,
            owner: None,
            ack: None,
            opened_at: at,
            changed_at: at,
            resolved_at: None,
            root: None,
            generation: 1,
            timeline: Vec::new(),
        };
        // Whole seconds: finer is noise of the tick.
        let held = Span::from_secs(at.since(since).as_millis() / 1000);
        let text = format!("{title}: {}, seen for {held}", cause_words(verdict));
        push_timeline(&mut incident, TimelineEntry { at, kind: TimelineKind::Opened, by: None, text: text.clone() });
        Arc::make_mut(&mut self.incidents).insert(number, Arc::new(incident));
        self.live.insert(key.clone(), Live { number, absent_since: None });
        outcome.events.push(Event::of_incident(at, EventKind::IncidentOpened, number, text));
        outcome.changed = true;
    }

    fn update(&mut self, catalog: &Catalog, number: u64, verdict: &Verdict, at: Timestamp, outcome: &mut Outcome) {
        let Some(old) = self.incidents.get(&number) else { return };
        let relapsed = old.phase == Phase::Recovering;
        if old.verdict == *verdict && !relapsed {
            return;
        }
        let worse = verdict.severity > old.verdict.severity || verdict.impact > old.verdict.impact;
        let other_subtype = verdict.subtype != old.verdict.subtype;
        let other_effects = verdict.suppressed != old.verdict.suppressed;
        let new_title = title::title(catalog, verdict);
        let words = if relapsed {
            Some((TimelineKind::Relapsed, "The cause is back".to_owned()))
        } else if worse || other_subtype {
            let text = format!(
                "{new_title}: {}, {}, impact {}",
                cause_words(verdict),
                verdict.severity.as_str(),
                verdict.impact.as_str()
            );
            Some((TimelineKind::Changed, text))
        } else if other_effects {
            Some((TimelineKind::Effect, format!("{} effects folded in", verdict.suppressed.len())))
        } else {
            None
        };
        self.edit(number, |incident| {
            incident.phase = Phase::Open;
            incident.verdict = verdict.clone();
            incident.title = new_title;
            if let Some((kind, text)) = &words {
                incident.changed_at = at;
                push_timeline(incident, TimelineEntry { at, kind: *kind, by: None, text: text.clone() });
            }
            if worse {
                incident.generation += 1;
            }
        });
        if let Some((_, text)) = words {
            outcome.events.push(Event::of_incident(at, EventKind::IncidentChanged, number, text));
        }
        outcome.changed = true;
    }

    /// A live incident whose target another live incident explains is closed as its effect.
    fn replace_explained(&mut self, at: Timestamp, outcome: &mut Outcome) {
        let gone: Vec<(&CauseKey, u64)> = self
            .live
            .iter()
            .filter(|(_, live)| live.absent_since.is_some())
            .map(|(key, live)| (key, live.number))
            .collect();
        if gone.is_empty() {
            return;
        }
        // Roots by the hosts they take with them: a storm must not compare every incident with every other.
        let mut roots: BTreeMap<&str, Vec<(&CauseKey, &Arc<Incident>)>> = BTreeMap::new();
        for (key, live) in self.live.iter().filter(|(_, live)| live.absent_since.is_none()) {
            let Some(incident) = self.incidents.get(&live.number) else { continue };
            for effect in &incident.verdict.suppressed {
                if let Some(host) = effect.host.as_deref() {
                    roots.entry(host).or_default().push((key, incident));
                }
            }
        }
        let explained: Vec<(CauseKey, u64, u64)> = gone
            .into_iter()
            .filter_map(|(key, number)| {
                let candidates = roots.get(key.target.host.as_deref()?)?;
                let root = candidates.iter().find(|(other, root)| {
                    *other != key && other.cloud == key.cloud && explains(&root.verdict, &key.target)
                })?;
                Some((key.clone(), number, root.1.number))
            })
            .collect();
        for (key, number, root) in explained {
            self.live.remove(&key);
            let text = format!("Caused by INC-{root}");
            self.edit(number, |incident| {
                incident.phase = Phase::Closed;
                incident.root = Some(root);
                incident.resolved_at = Some(at);
                incident.changed_at = at;
                push_timeline(incident, TimelineEntry { at, kind: TimelineKind::Closed, by: None, text: text.clone() });
            });
            outcome.events.push(Event::of_incident(at, EventKind::IncidentClosed, number, text));
            outcome.changed = true;
        }
    }

    fn recover(
        &mut self,
        wanted: &BTreeMap<CauseKey, Wanted>,
        timing: &Timing,
        clearance: &dyn Clearance,
        at: Timestamp,
        outcome: &mut Outcome,
    ) {
        let mut moves: Vec<(CauseKey, u64, Phase)> = Vec::new();
        for (key, live) in &mut self.live {
            if wanted.contains_key(key) {
                continue;
            }
            let Some(incident) = self.incidents.get(&live.number) else { continue };
            if !clearance.is_clear(incident) {
                // Not supported, but not disproved either: the signals are gone, not the failure.
                live.absent_since.get_or_insert(at);
                continue;
            }
            if incident.phase == Phase::Open {
                live.absent_since = Some(at);
                moves.push((key.clone(), live.number, Phase::Recovering));
                continue;
            }
            let wait = match key.class {
                Class::ResourceUnavailable | Class::ResourceAtRisk => timing.recovery * RESOURCE_RECOVERY_FACTOR,
                Class::SoftwareDown
                | Class::ServerDown
                | Class::Network
                | Class::PowerEvent
                | Class::NetworkPath
                | Class::MonitorIsolated
                | Class::SiteDown
                | Class::SplitBrain
                | Class::RedundancyLost
                | Class::AdminStopped
                | Class::Starting
                | Class::Flapping
                | Class::Unknown => timing.recovery,
            };
            if at.since(*live.absent_since.get_or_insert(at)) >= wait {
                moves.push((key.clone(), live.number, Phase::Resolved));
            }
        }
        for (key, number, phase) in moves {
            let resolved = phase == Phase::Resolved;
            let text = if resolved { "Verified well" } else { "The cause is gone; watching that it stays away" };
            let kind = if resolved { TimelineKind::Resolved } else { TimelineKind::Recovering };
            self.edit(number, |incident| {
                incident.phase = phase;
                incident.changed_at = at;
                incident.resolved_at = resolved.then_some(at);
                push_timeline(incident, TimelineEntry { at, kind, by: None, text: text.to_owned() });
            });
            if resolved {
                self.live.remove(&key);
                outcome.resolved.push(number);
                outcome.events.push(Event::of_incident(at, EventKind::IncidentResolved, number, text));
            } else {
                outcome.events.push(Event::of_incident(at, EventKind::IncidentChanged, number, text));
            }
            outcome.changed = true;
        }
        self.forget_old();
    }

    fn forget_old(&mut self) {
        let ended = self.incidents.len().saturating_sub(self.live.len());
        if ended <= ENDED_KEPT {
            return;
        }
        let incidents = Arc::make_mut(&mut self.incidents);
        let old: Vec<u64> = incidents
            .iter()
            .filter(|(_, incident)| !incident.phase.is_live())
            .take(ended - ENDED_KEPT)
            .map(|(number, _)| *number)
            .collect();
        for number in old {
            incidents.remove(&number);
        }
    }

    /// Sets which problems belong to a live incident.
    pub fn set_problems(&mut self, number: u64, problems: Vec<ObjectKey>) -> bool {
        let same = self.incidents.get(&number).is_none_or(|incident| incident.problems == problems);
        if !same {
            self.edit(number, |incident| incident.problems = problems);
        }
        !same
    }
}

/// Whether `verdict` names `target` among what it takes with it.
pub fn explains(verdict: &Verdict, target: &Target) -> bool {
    verdict.suppressed.iter().any(|effect| {
        effect.host == target.host && (effect.component.is_none() || effect.component == target.component)
    })
}

/// `resource unavailable (disk)`
fn cause_words(verdict: &Verdict) -> String {
    let class = verdict.class.as_str().replace('_', " ");
    match &*verdict.subtype {
        "" => class,
        subtype => format!("{class} ({})", subtype.replace('_', " ")),
    }
}

/// Adds an entry; a full timeline keeps its first entry and drops the next oldest.
pub fn push_timeline(incident: &mut Incident, entry: TimelineEntry) {
    if incident.timeline.len() >= TIMELINE_MAX {
        incident.timeline.remove(1);
    }
    incident.timeline.push(entry);
}
