//! Groups problems by presumed cause and leads each group from candidate to open, recovering, resolved.
//!
//! Decides nothing about who is told: that is `policy`.

mod change;
pub mod cover;
mod lineage;
pub mod notice;
mod stage;
pub mod title;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Timing};
use crate::diagnosis::{Class, Target, TargetKind, Verdict};
use crate::engine::{Event, EventKind};
use crate::model::{Incident, Links, ObjectKey, Phase, Stage, TimelineEntry, TimelineKind};
use crate::{Span, Timestamp};

use lineage::{Ended, Gone, Left};

/// Ended incidents that stay in the read model; older ones live in history only.
pub const ENDED_KEPT: usize = 500;
/// Entries of one timeline; when full, the oldest after the first is dropped.
pub const TIMELINE_MAX: usize = 200;
/// Specification 10, section 6: resource classes need this many recovery times clean (5 min against 30 s).
const RESOURCE_RECOVERY_FACTOR: i64 = 10;

/// Doublings of the time that an incident which was opened again has to be well; the first time is free.
const RELAPSES_MAX: usize = 4;

/// What makes two verdicts the same failure: subtype and confidence may change, these may not.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct CauseKey {
    pub cloud: Option<Arc<str>>,
    pub target: Target,
    pub class: Class,
    /// Of a machine's hardware: which part of it. A failed power supply and a failed disk are two failures.
    pub part: Option<Arc<str>>,
}

impl CauseKey {
    pub fn of(cloud: Option<Arc<str>>, verdict: &Verdict) -> CauseKey {
        let part = (verdict.target.kind == TargetKind::Hardware).then(|| part_of(&verdict.subtype).into());
        CauseKey { cloud, target: verdict.target.clone(), class: verdict.class, part }
    }
}

/// A rebuild is the second half of a lost disk, and links that do not aggregate of a lost link: one failure each.
fn part_of(subtype: &str) -> &str {
    match subtype {
        "raid_degraded" | "raid_rebuilding" => "raid",
        "bond_slave" | "lacp_mismatch" | "lacp_partner" => "bond",
        other => other,
    }
}

/// A cause that the present evidence supports.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub verdict: Verdict,
    /// Must hold this long before it is believed.
    pub hold: Span,
}

/// Everything that the present evidence says about causes.
#[derive(Clone, Debug, Default)]
pub struct Supported {
    pub causes: BTreeMap<CauseKey, Wanted>,
    /// Live incidents of single checks and hosts that belong to a wider cause now.
    pub roots: BTreeMap<CauseKey, CauseKey>,
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
    /// The newest ended incident of each cause.
    ended: BTreeMap<CauseKey, Ended>,
    /// What incidents let go of lately: it may turn out to be a failure of its own.
    left: Left,
}

/// What a reconciliation did that others must react to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub events: Vec<Event>,
    /// New candidates: their hosts deserve an immediate look at every check.
    pub suspects: Vec<Target>,
    pub resolved: Vec<u64>,
    /// Ended, and too long ago to be opened again: what was told about them need not be known any more.
    pub settled: Vec<u64>,
    /// Anything about incidents differs from before.
    pub changed: bool,
}

/// What the rows of the checks say about causes.
pub trait Clearance {
    /// Whether the evidence that opened an incident is positively gone (absence is never recovery).
    fn is_clear(&self, incident: &Incident) -> bool;
    /// Whether everything that could contradict or explain a cause suspected at `since` was looked at again.
    fn is_looked_into(&self, want: &Wanted, since: Timestamp) -> bool;
    /// Whether the checks that spoke for a cause have done so again since, in their turn.
    fn is_said_again(&self, want: &Wanted, since: Timestamp) -> bool;
    /// Who may still take over for what failed.
    fn takes_over(&self, incident: &Incident) -> Vec<String>;
    /// What is still going on at what failed, though it is up: starts, resyncs, rebuilds.
    fn goes_on(&self, incident: &Incident, up_since: Timestamp) -> Vec<String>;
}

impl Tracker {
    pub fn live(&self) -> impl Iterator<Item = (&CauseKey, &Live)> {
        self.live.iter()
    }

    pub fn is_live(&self, key: &CauseKey) -> bool {
        self.live.contains_key(key)
    }

    /// Whether a hold or a recovery runs: the next tick may open or resolve something.
    pub fn is_waiting(&self) -> bool {
        let waits = |i: &Arc<Incident>| i.phase == Phase::Recovering || i.stage == Stage::FailingOver;
        !self.candidates.is_empty()
            || self.live.values().any(|live| self.incidents.get(&live.number).is_some_and(waits))
    }

    /// Time that counts for no hold and no recovery: both go on where they stood.
    pub fn pass_over(&mut self, gap: Span, at: Timestamp) {
        for candidate in self.candidates.values_mut() {
            candidate.since = (candidate.since + gap).min(at);
        }
        for absent_since in self.live.values_mut().filter_map(|live| live.absent_since.as_mut()) {
            *absent_since = (*absent_since + gap).min(at);
        }
        self.left.pass_over(gap, at);
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
        supported: &Supported,
        clearance: &dyn Clearance,
        at: Timestamp,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let wanted = &supported.causes;
        self.candidates.retain(|key, _| wanted.contains_key(key));
        let mut begin: Vec<(&CauseKey, &Verdict, Timestamp)> = Vec::new();
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
                begin.push((key, &want.verdict, since));
            }
        }
        let gone = if begin.is_empty() { Gone::default() } else { self.gone(supported) };
        for (key, verdict, since) in begin {
            self.begin(catalog, &gone, Beginning { key, verdict, since, at }, &mut outcome);
        }
        self.merge(catalog, supported, at, &mut outcome);
        self.recover(wanted, &catalog.timing, clearance, at, &mut outcome);
        self.restage(clearance, at, &mut outcome);
        self.settle(&catalog.timing, at, &mut outcome);
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

    /// A cause is believed: it is what an open incident really is, an old one again, or a new one.
    fn begin(&mut self, catalog: &Catalog, gone: &Gone, new: Beginning<'_>, outcome: &mut Outcome) {
        if let Some(old) = self.replaceable(gone, &new) {
            self.replace(catalog, &old, &new, outcome);
        } else if let Some(old) = self.reopenable(&catalog.timing, &new) {
            self.reopen(catalog, &old, &new, outcome);
        } else {
            self.open(catalog, &new, outcome);
        }
    }

    fn open(&mut self, catalog: &Catalog, new: &Beginning<'_>, outcome: &mut Outcome) {
        let Beginning { key, verdict, since, at } = *new;
        self.newest += 1;
        let number = self.newest;
        let title = title::title(catalog, verdict);
        let links = Links {
            was: self.ended.get(key).map(|ended| ended.number),
            split_from: self.left.root_of(&verdict.target, since, catalog.timing.collapse),
            ..Links::default()
        };
        let mut incident = Incident {
            number,
            phase: Phase::Open,
            title: title.clone(),
            cloud: key.cloud.clone(),
            site: Some(Arc::clone(&catalog.site)),
            zone: zone_of(catalog, verdict),
            verdict: verdict.clone(),
            problems: Vec::new(),
            users_notice: notice::of(catalog, verdict),
            owner: None,
            ack: None,
            opened_at: at,
            changed_at: at,
            resolved_at: None,
            root: None,
            generation: 1,
            timeline: Vec::new(),
            stage: Stage::Failed,
            going_on: Vec::new(),
            business: Vec::new(),
            links: links.clone(),
        };
        // Whole seconds: finer is noise of the tick.
        let held = Span::from_secs(at.since(since).as_millis() / 1000);
        let text = format!("{title}: {}, seen for {held}", cause_words(verdict));
        push_timeline(&mut incident, TimelineEntry { at, kind: TimelineKind::Opened, by: None, text: text.clone() });
        Arc::make_mut(&mut self.incidents).insert(number, Arc::new(incident));
        self.live.insert(key.clone(), Live { number, absent_since: None });
        outcome.events.push(Event::of_incident(at, EventKind::IncidentOpened, number, text));
        outcome.changed = true;
        self.link(number, &links, at);
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
            let up_since = *live.absent_since.get_or_insert(at);
            if at.since(up_since) >= recovery_of(key.class, timing) * relapses(incident)
                && clearance.goes_on(incident, up_since).is_empty()
            {
                moves.push((key.clone(), live.number, Phase::Resolved));
            }
        }
        for (key, number, phase) in moves {
            let resolved = phase == Phase::Resolved;
            let text = if resolved { "Verified well" } else { "The cause is gone; watching that it stays away" };
            let kind = if resolved { TimelineKind::Resolved } else { TimelineKind::Recovering };
            self.edit(number, |incident| {
                incident.phase = phase;
                incident.stage = if resolved { Stage::Well } else { Stage::Recovering };
                incident.going_on.clear();
                incident.changed_at = at;
                incident.resolved_at = resolved.then_some(at);
                push_timeline(incident, TimelineEntry { at, kind, by: None, text: text.to_owned() });
            });
            if resolved {
                self.end(&key, number, at, outcome);
                outcome.resolved.push(number);
                outcome.events.push(Event::of_incident(at, EventKind::IncidentResolved, number, text));
            } else {
                outcome.events.push(Event::of_incident(at, EventKind::IncidentChanged, number, text));
            }
            outcome.changed = true;
        }
        self.forget_old(outcome);
    }

    fn forget_old(&mut self, outcome: &mut Outcome) {
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
        for number in &old {
            incidents.remove(number);
        }
        self.ended.retain(|_, ended| incidents.contains_key(&ended.number));
        outcome.settled.extend(old);
    }

    /// Sets which problems belong to a live incident.
    pub fn set_problems(&mut self, number: u64, problems: Vec<ObjectKey>, at: Timestamp) -> bool {
        let same = self.incidents.get(&number).is_none_or(|incident| incident.problems == problems);
        if !same {
            self.let_go_of_problems(number, &problems, at);
            self.edit(number, |incident| incident.problems = problems);
        }
        !same
    }
}

/// A cause that is believed from now on.
#[derive(Copy, Clone)]
struct Beginning<'a> {
    key: &'a CauseKey,
    verdict: &'a Verdict,
    since: Timestamp,
    at: Timestamp,
}

/// What comes back again after it was resolved is believed each time later: whatever flaps too slowly to be called so must
/// not be told at each turn.
fn relapses(incident: &Incident) -> i64 {
    let reopened = incident.timeline.iter().filter(|entry| entry.kind == TimelineKind::Reopened).count();
    1 << reopened.saturating_sub(1).min(RELAPSES_MAX)
}

/// How long a cause must be gone before it is believed.
fn recovery_of(class: Class, timing: &Timing) -> Span {
    match class {
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
    }
}

/// The zone of what failed.
fn zone_of(catalog: &Catalog, verdict: &Verdict) -> Option<Arc<str>> {
    let host = catalog.host_id(verdict.target.host.as_deref()?)?;
    let zone = catalog.hosts[host.index()].zone;
    Some(Arc::clone(&catalog.zones[zone.index()].name))
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
