//! Which incidents are one failure and which are two: cause replaced, merged, split off, opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::is_worse;
use super::{
    Beginning, CauseKey, Live, Outcome, Supported, Tracker, cause_words, explains, notice, push_timeline, title,
    zone_of,
};
use crate::catalog::{Catalog, Timing};
use crate::diagnosis::{Class, Target, TargetKind, Verdict};
use crate::engine::{Event, EventKind};
use crate::model::{Incident, Links, ObjectKey, Phase, Stage, TimelineEntry, TimelineKind};
use crate::{Span, Timestamp};

/// What was let go of is remembered for this many collapse windows: its checks must first say again that it fails.
const LEFT_WINDOWS: i64 = 4;
/// Things let go of that are remembered; more than a large cloud has hosts means that nobody could read the links anyway.
const LEFT_MAX: usize = 4096;

/// How an incident of a cause ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    pub number: u64,
    pub at: Timestamp,
    subtype: Arc<str>,
    /// It can not be opened again any more.
    is_settled: bool,
}

/// A host, or a component or service on it.
type Thing = (Arc<str>, Option<Arc<str>>);

/// Effects and problems that incidents let go of, with the number of the incident.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Left(BTreeMap<Thing, (u64, Timestamp)>);

impl Left {
    pub fn pass_over(&mut self, gap: Span, at: Timestamp) {
        for (_, left_at) in self.0.values_mut() {
            *left_at = (*left_at + gap).min(at);
        }
    }

    fn put(&mut self, host: &Arc<str>, part: Option<&Arc<str>>, number: u64, at: Timestamp) {
        if self.0.len() < LEFT_MAX {
            self.0.insert((Arc::clone(host), part.map(Arc::clone)), (number, at));
        }
    }

    /// The incident that counted `target` among its effects until just before `since`.
    pub fn root_of(&self, target: &Target, since: Timestamp, collapse: Span) -> Option<u64> {
        let key = (Arc::clone(target.host.as_ref()?), target.component.clone());
        let (number, left_at) = self.0.get(&key)?;
        (since.since(*left_at) <= collapse * LEFT_WINDOWS).then_some(*number)
    }

    fn forget(&mut self, at: Timestamp, collapse: Span) {
        self.0.retain(|_, (_, left_at)| at.since(*left_at) <= collapse * (LEFT_WINDOWS * 2));
    }
}

/// A live incident and the cause that it has been filed under.
#[derive(Clone, Debug)]
pub(super) struct Filed {
    key: CauseKey,
    number: u64,
}

/// Live incidents without support, by the host they are about and by the wider cause that took their problems over.
#[derive(Debug, Default)]
pub(super) struct Gone {
    by_host: BTreeMap<Arc<str>, Vec<Filed>>,
    by_root: BTreeMap<CauseKey, Vec<Filed>>,
}

impl Tracker {
    /// Live incidents whose cause the evidence does not support any more.
    pub(super) fn gone(&self, supported: &Supported) -> Gone {
        let mut gone = Gone::default();
        for (key, live) in self.live.iter().filter(|(key, _)| !supported.causes.contains_key(*key)) {
            let filed = Filed { key: key.clone(), number: live.number };
            if let Some(root) = supported.roots.get(key) {
                gone.by_root.entry(root.clone()).or_default().push(filed.clone());
            }
            if let Some(host) = &key.target.host {
                gone.by_host.entry(Arc::clone(host)).or_default().push(filed);
            }
        }
        gone
    }

    /// The eldest of them that turns out to be what begins now: the same thing told apart better, or a part of it.
    pub(super) fn replaceable(&self, gone: &Gone, new: &Beginning<'_>) -> Option<Filed> {
        let hosts = new.verdict.suppressed.iter().filter_map(|effect| effect.host.as_ref());
        let hosts: BTreeSet<&Arc<str>> = hosts.chain(&new.verdict.target.host).collect();
        let near = hosts.into_iter().filter_map(|host| gone.by_host.get(host)).flatten().filter(|filed| {
            let incident = self.incidents.get(&filed.number);
            incident.is_some_and(|incident| is_part_of(&filed.key, incident, new))
        });
        let of_root = gone.by_root.get(new.key).into_iter().flatten().filter(|filed| filed.key.cloud == new.key.cloud);
        let is_still_gone = |filed: &&Filed| self.live.get(&filed.key).is_some_and(|live| live.number == filed.number);
        near.chain(of_root).filter(is_still_gone).min_by_key(|filed| filed.number).cloned()
    }

    /// The incident keeps its number, its owner and its timeline, and gets another cause.
    pub(super) fn replace(&mut self, catalog: &Catalog, old: &Filed, new: &Beginning<'_>, outcome: &mut Outcome) {
        self.live.remove(&old.key);
        self.live.insert(new.key.clone(), Live { number: old.number, absent_since: None });
        let Some(was) = self.incidents.get(&old.number) else { return };
        let text = words_of_replacement(catalog, was, new.verdict);
        let worse = is_worse(new.verdict, &was.verdict);
        self.edit(old.number, |incident| {
            take_cause(catalog, incident, new.verdict, new.at);
            incident.generation += u32::from(worse);
            let entry = TimelineEntry { at: new.at, kind: TimelineKind::Replaced, by: None, text: text.clone() };
            push_timeline(incident, entry);
        });
        outcome.events.push(Event::of_incident(new.at, EventKind::IncidentChanged, old.number, text));
        outcome.changed = true;
    }

    /// Live incidents that turn out to be one failure: the younger is closed into the older.
    pub(super) fn merge(&mut self, catalog: &Catalog, supported: &Supported, at: Timestamp, outcome: &mut Outcome) {
        let gone = self.live.iter().filter(|(_, live)| live.absent_since.is_some());
        let mut gone: Vec<Filed> = gone.map(|(key, live)| Filed { key: key.clone(), number: live.number }).collect();
        if gone.is_empty() {
            return;
        }
        gone.sort_unstable_by_key(|filed| filed.number);
        let roots: Vec<Option<CauseKey>> = {
            let by_host = self.roots_by_host(supported);
            gone.iter().map(|filed| self.root_among(&by_host, supported, filed)).collect()
        };
        for (filed, root) in gone.iter().zip(roots) {
            if let Some(root) = root {
                self.merge_two(catalog, filed, &root, at, outcome);
            }
        }
    }

    /// Roots by the hosts they are about or take with them: a storm must not compare every incident with every other.
    fn roots_by_host(&self, supported: &Supported) -> BTreeMap<&str, Vec<(&CauseKey, &Arc<Incident>)>> {
        let mut roots: BTreeMap<&str, Vec<(&CauseKey, &Arc<Incident>)>> = BTreeMap::new();
        for (key, live) in self.live.iter().filter(|(key, _)| supported.causes.contains_key(*key)) {
            let Some(incident) = self.incidents.get(&live.number) else { continue };
            let own = key.target.host.as_deref();
            let of_effects = incident.verdict.suppressed.iter().filter_map(|effect| effect.host.as_deref());
            for host in own.into_iter().chain(of_effects).collect::<BTreeSet<_>>() {
                roots.entry(host).or_default().push((key, incident));
            }
        }
        roots
    }

    fn root_among(
        &self,
        by_host: &BTreeMap<&str, Vec<(&CauseKey, &Arc<Incident>)>>,
        supported: &Supported,
        filed: &Filed,
    ) -> Option<CauseKey> {
        if let Some(root) = supported.roots.get(&filed.key)
            && self.live.contains_key(root)
        {
            return Some(root.clone());
        }
        let incident = self.incidents.get(&filed.number)?;
        let candidates = by_host.get(filed.key.target.host.as_deref()?)?;
        let root = candidates.iter().find(|(key, root)| {
            key.cloud == filed.key.cloud
                && (explains(&root.verdict, &filed.key.target)
                    || (incident.phase == Phase::Open && is_same_thing(&incident.verdict, &root.verdict)))
        })?;
        Some(root.0.clone())
    }

    fn merge_two(
        &mut self,
        catalog: &Catalog,
        effect: &Filed,
        root_key: &CauseKey,
        at: Timestamp,
        outcome: &mut Outcome,
    ) {
        let Some(root) = self.live.get(root_key).map(|live| live.number).filter(|root| *root != effect.number) else {
            return;
        };
        self.live.remove(&effect.key);
        let is_open = self.incidents.get(&effect.number).is_some_and(|incident| incident.phase == Phase::Open);
        if effect.number > root || !is_open {
            self.close_into(effect.number, root, at, outcome);
            return;
        }
        // The elder stays: that is the number that people have been talking about.
        let Some(younger) = self.incidents.get(&root).cloned() else { return };
        if let Some(live) = self.live.get_mut(root_key) {
            live.number = effect.number;
        }
        let Some(was) = self.incidents.get(&effect.number) else { return };
        let text = words_of_replacement(catalog, was, &younger.verdict);
        self.edit(effect.number, |incident| {
            take_cause(catalog, incident, &younger.verdict, at);
            incident.ack = incident.ack.take().or_else(|| younger.ack.clone());
            incident.owner = incident.owner.take().or_else(|| younger.owner.clone());
            let entry = TimelineEntry { at, kind: TimelineKind::Replaced, by: None, text: text.clone() };
            push_timeline(incident, entry);
        });
        outcome.events.push(Event::of_incident(at, EventKind::IncidentChanged, effect.number, text));
        self.close_into(root, effect.number, at, outcome);
    }

    fn close_into(&mut self, number: u64, root: u64, at: Timestamp, outcome: &mut Outcome) {
        let text = format!("Caused by INC-{root}");
        self.edit(number, |incident| {
            incident.phase = Phase::Closed;
            incident.stage = Stage::Merged;
            incident.going_on.clear();
            incident.root = Some(root);
            incident.resolved_at = Some(at);
            incident.changed_at = at;
            push_timeline(incident, TimelineEntry { at, kind: TimelineKind::Closed, by: None, text: text.clone() });
        });
        let what = self.incidents.get(&number).map_or_else(String::new, |incident| incident.title.clone());
        self.edit(root, |incident| {
            incident.links.merged.push(number);
            let text = format!("INC-{number} turned out to be a part of this: {what}");
            push_timeline(incident, TimelineEntry { at, kind: TimelineKind::Merged, by: None, text });
        });
        outcome.events.push(Event::of_incident(at, EventKind::IncidentClosed, number, text));
        outcome.settled.push(number);
        outcome.changed = true;
    }

    /// The ended incident of the very same failure, if that was not long ago.
    pub(super) fn reopenable(&self, timing: &Timing, new: &Beginning<'_>) -> Option<Filed> {
        let is_soon = |ended: &Ended| timing.reopen > Span::ZERO && new.at.since(ended.at) <= timing.reopen;
        let is_it = |ended: &Ended| is_soon(ended) && !ended.is_settled && *ended.subtype == *new.verdict.subtype;
        if let Some(ended) = self.ended.get(new.key).filter(|ended| is_it(ended)) {
            return Some(Filed { key: new.key.clone(), number: ended.number });
        }
        // What turns out to flap was told as a failure before.
        let was_told = |key: &CauseKey, ended: &Ended| {
            key.cloud == new.key.cloud
                && key.target == new.key.target
                && self.incidents.get(&ended.number).is_some_and(|was| is_same_thing(&was.verdict, new.verdict))
        };
        let ended = self.ended.iter().filter(|_| new.key.class == Class::Flapping);
        let mut ended = ended.filter(|(key, ended)| is_soon(ended) && !ended.is_settled && was_told(key, ended));
        ended.next().map(|(key, ended)| Filed { key: key.clone(), number: ended.number })
    }

    pub(super) fn reopen(&mut self, catalog: &Catalog, old: &Filed, new: &Beginning<'_>, outcome: &mut Outcome) {
        let number = old.number;
        let ended = self.ended.remove(&old.key);
        self.live.insert(new.key.clone(), Live { number, absent_since: None });
        let at = new.at;
        let away = Span::from_secs(ended.map_or(0, |ended| at.since(ended.at).as_millis() / 1000));
        let title = title::title(catalog, new.verdict);
        let text = format!("{title}: back after {away}, {}", cause_words(new.verdict));
        self.edit(number, |incident| {
            take_cause(catalog, incident, new.verdict, at);
            incident.resolved_at = None;
            incident.generation += 1;
            // Whoever had it brought it to its end; this is another time.
            incident.ack = None;
            incident.owner = None;
            let entry = TimelineEntry { at, kind: TimelineKind::Reopened, by: None, text: text.clone() };
            push_timeline(incident, entry);
        });
        outcome.events.push(Event::of_incident(at, EventKind::IncidentOpened, number, text));
        outcome.changed = true;
    }

    /// Writes down on the other side what a new incident says of its past.
    pub(super) fn link(&mut self, number: u64, links: &Links, at: Timestamp) {
        if let Some(old) = links.was {
            let text = format!("The same cause as INC-{old}");
            self.note(number, TimelineEntry { at, kind: TimelineKind::Note, by: None, text });
            self.edit(old, |incident| {
                incident.links.again = Some(number);
                let text = format!("The same cause again: INC-{number}");
                push_timeline(incident, TimelineEntry { at, kind: TimelineKind::Note, by: None, text });
            });
        }
        if let Some(root) = links.split_from {
            let text = format!("Was taken for an effect of INC-{root}, and has a cause of its own");
            self.note(number, TimelineEntry { at, kind: TimelineKind::Split, by: None, text });
            self.edit(root, |incident| {
                incident.links.split_off.push(number);
                let text = format!("INC-{number} was taken for an effect of this, and has a cause of its own");
                push_timeline(incident, TimelineEntry { at, kind: TimelineKind::Split, by: None, text });
            });
        }
    }

    /// An incident is over; what it covered is on its own from now on.
    pub(super) fn end(&mut self, key: &CauseKey, number: u64, at: Timestamp, outcome: &mut Outcome) {
        self.live.remove(key);
        let Some(incident) = self.incidents.get(&number) else { return };
        let ended = Ended { number, at, subtype: Arc::clone(&incident.verdict.subtype), is_settled: false };
        if let Some(older) = self.ended.insert(key.clone(), ended)
            && older.number != number
            && !older.is_settled
        {
            outcome.settled.push(older.number);
        }
        for effect in &incident.verdict.suppressed {
            if let Some(host) = &effect.host {
                self.left.put(host, effect.component.as_ref(), number, at);
            }
        }
        for problem in &incident.problems {
            self.left.put(&problem.host, problem.service.as_ref(), number, at);
        }
    }

    pub(super) fn let_go_of_effects(&mut self, old: &Incident, new: &Verdict, at: Timestamp) {
        if old.verdict.suppressed == new.suppressed {
            return;
        }
        let kept: BTreeSet<_> = new.suppressed.iter().map(|effect| (&effect.host, &effect.component)).collect();
        for effect in &old.verdict.suppressed {
            if let Some(host) = effect.host.as_ref().filter(|_| !kept.contains(&(&effect.host, &effect.component))) {
                self.left.put(host, effect.component.as_ref(), old.number, at);
            }
        }
    }

    pub(super) fn let_go_of_problems(&mut self, number: u64, kept: &[ObjectKey], at: Timestamp) {
        let Some(incident) = self.incidents.get(&number) else { return };
        let kept: BTreeSet<&ObjectKey> = kept.iter().collect();
        for problem in incident.problems.iter().filter(|problem| !kept.contains(problem)) {
            self.left.put(&problem.host, problem.service.as_ref(), number, at);
        }
    }

    /// What ended so long ago that it will not be opened again.
    pub(super) fn settle(&mut self, timing: &Timing, at: Timestamp, outcome: &mut Outcome) {
        for ended in self.ended.values_mut().filter(|ended| !ended.is_settled) {
            if at.since(ended.at) > timing.reopen {
                ended.is_settled = true;
                outcome.settled.push(ended.number);
            }
        }
        self.left.forget(at, timing.collapse);
    }
}

fn is_part_of(key: &CauseKey, incident: &Incident, new: &Beginning<'_>) -> bool {
    key.cloud == new.key.cloud
        && (is_same_thing(&incident.verdict, new.verdict)
            // What recovers had a cause of its own, which is gone.
            || (incident.phase == Phase::Open && explains(new.verdict, &key.target)))
}

/// Whether two verdicts are about the same thing, so that one of them must be wrong or overtaken. What is at risk, what has
/// lost its spare and what flaps may fail for another reason: then only the same kind of trouble is the same failure.
fn is_same_thing(old: &Verdict, new: &Verdict) -> bool {
    let (a, b) = (&old.target, &new.target);
    let same_target = a.host.is_some() && a.host == b.host && a.component == b.component;
    let hardware = |target: &Target| target.kind == TargetKind::Hardware;
    let is_lasting =
        |verdict: &Verdict| matches!(verdict.class, Class::ResourceAtRisk | Class::RedundancyLost | Class::Flapping);
    // A server that comes and goes is told by no more than its power.
    let of_server = |verdict: &Verdict| verdict.target.kind == TargetKind::Host && verdict.class == Class::ServerDown;
    let flaps = |verdict: &Verdict| verdict.class == Class::Flapping;
    let is_server = flaps(old) && of_server(new) || of_server(old) && flaps(new);
    let same_kind = old.subtype == new.subtype || is_server;
    if hardware(a) != hardware(b) || !same_target {
        return false;
    }
    if hardware(a) {
        return super::part_of(&old.subtype) == super::part_of(&new.subtype);
    }
    same_kind || !(is_lasting(old) || is_lasting(new))
}

fn take_cause(catalog: &Catalog, incident: &mut Incident, verdict: &Verdict, at: Timestamp) {
    incident.phase = Phase::Open;
    incident.stage = Stage::Failed;
    incident.going_on.clear();
    incident.title = title::title(catalog, verdict);
    incident.users_notice = notice::of(catalog, verdict);
    incident.zone = zone_of(catalog, verdict);
    incident.verdict = verdict.clone();
    incident.changed_at = at;
}

fn words_of_replacement(catalog: &Catalog, was: &Incident, verdict: &Verdict) -> String {
    format!(
        "Cause replaced: {}, {}; before: {}, {}",
        title::title(catalog, verdict),
        cause_words(verdict),
        was.title,
        cause_words(&was.verdict)
    )
}
