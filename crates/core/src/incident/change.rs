//! What is different about an open incident, as its timeline tells it: worse, another subtype, effects, evidence.

use std::collections::BTreeSet;

use super::{Outcome, Tracker, cause_words, notice, push_timeline, title, zone_of};
use crate::Timestamp;
use crate::catalog::Catalog;
use crate::diagnosis::{Class, Evidence, Suppressed, TIMER, Verdict};
use crate::engine::{Event, EventKind};
use crate::model::{Incident, Phase, Stage, TimelineEntry, TimelineKind};

/// Names in one line; a rack of four hundred is told by its number.
const NAMES_MAX: usize = 12;
/// Facts in one line.
const FACTS_MAX: usize = 6;

impl Tracker {
    /// The same cause as before, seen anew.
    pub(super) fn update(
        &mut self,
        catalog: &Catalog,
        number: u64,
        verdict: &Verdict,
        at: Timestamp,
        outcome: &mut Outcome,
    ) {
        let Some(old) = self.incidents.get(&number).cloned() else { return };
        let held = as_bad_as_it_was(&old.verdict, verdict);
        let verdict = held.as_ref().unwrap_or(verdict);
        let relapsed = old.phase == Phase::Recovering;
        if old.verdict == *verdict && !relapsed {
            return;
        }
        let words = words_of_change(catalog, &old, verdict);
        self.let_go_of_effects(&old, verdict, at);
        let worse = is_worse(verdict, &old.verdict);
        let is_told_anew = notice_may_differ(&old.verdict, verdict);
        let evidence = words_of_evidence(&old.verdict.evidence, &verdict.evidence);
        // Held on to, it would have to be copied.
        drop(old);
        self.edit(number, |incident| {
            incident.phase = Phase::Open;
            if relapsed {
                incident.stage = Stage::Failed;
                incident.going_on.clear();
            }
            incident.verdict = verdict.clone();
            incident.title = title::title(catalog, verdict);
            if is_told_anew {
                incident.users_notice = notice::of(catalog, verdict);
                incident.zone = zone_of(catalog, verdict);
            }
            if !words.is_empty() {
                incident.changed_at = at;
            }
            for (kind, text) in &words {
                push_timeline(incident, TimelineEntry { at, kind: *kind, by: None, text: text.clone() });
            }
            if worse {
                incident.generation += 1;
            }
            if let Some(text) = evidence {
                note_evidence(incident, at, text, catalog);
            }
        });
        if !words.is_empty() {
            let text = words.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; ");
            outcome.events.push(Event::of_incident(at, EventKind::IncidentChanged, number, text));
        }
        outcome.changed = true;
    }
}

/// Worse than people were told, or urgent by now.
pub(super) fn is_worse(new: &Verdict, old: &Verdict) -> bool {
    let is_urgent = |verdict: &Verdict| verdict.evidence.iter().any(|fact| fact.sig == TIMER);
    new.severity > old.severity || new.impact > old.impact || (is_urgent(new) && !is_urgent(old))
}

/// What comes and goes is as bad as it has been, also when its twin is there just now; it would else be worse at each turn.
fn as_bad_as_it_was(old: &Verdict, new: &Verdict) -> Option<Verdict> {
    let is_better = new.severity < old.severity || new.impact < old.impact;
    (old.class == Class::Flapping && new.class == Class::Flapping && is_better).then(|| Verdict {
        severity: new.severity.max(old.severity),
        visibility: new.visibility.min(old.visibility),
        impact: new.impact.max(old.impact),
        ..new.clone()
    })
}

fn notice_may_differ(old: &Verdict, new: &Verdict) -> bool {
    old.cell != new.cell || old.subtype != new.subtype || old.suppressed != new.suppressed
}

fn words_of_change(catalog: &Catalog, old: &Incident, new: &Verdict) -> Vec<(TimelineKind, String)> {
    let was = &old.verdict;
    let mut words = Vec::new();
    if old.phase == Phase::Recovering {
        words.push((TimelineKind::Relapsed, "The cause is back".to_owned()));
    } else if is_worse(new, was) || new.subtype != was.subtype {
        let text = format!(
            "{}: {}, {}, impact {}",
            title::title(catalog, new),
            cause_words(new),
            new.severity.as_str(),
            new.impact.as_str()
        );
        words.push((TimelineKind::Changed, text));
    }
    let (before, now): (BTreeSet<_>, BTreeSet<_>) = (was.suppressed.iter().collect(), new.suppressed.iter().collect());
    let joined: Vec<String> = now.difference(&before).map(|effect| effect_name(effect)).collect();
    let gone: Vec<String> = before.difference(&now).map(|effect| effect_name(effect)).collect();
    if !joined.is_empty() {
        let text = format!("Effects joined: {}; {} in all", listed(&joined, NAMES_MAX), new.suppressed.len());
        words.push((TimelineKind::Effect, text));
    }
    if !gone.is_empty() {
        let text = format!("Effects gone: {}; {} left", listed(&gone, NAMES_MAX), new.suppressed.len());
        words.push((TimelineKind::Effect, text));
    }
    words
}

/// `sc on sc1`
pub(super) fn effect_name(effect: &Suppressed) -> String {
    match (&effect.component, &effect.host) {
        (Some(component), Some(host)) => format!("{component} on {host}"),
        (Some(name), None) | (None, Some(name)) => name.to_string(),
        (None, None) => "everything".to_owned(),
    }
}

/// `a, b, c and 9 more`
pub(super) fn listed(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Facts that came, changed or went. A number that goes on counting is no news.
fn words_of_evidence(old: &[Evidence], new: &[Evidence]) -> Option<String> {
    let find = |list: &[Evidence], fact: &Evidence| -> Option<String> {
        list.iter().find(|other| other.sig == fact.sig && other.at == fact.at).map(|other| other.value.clone())
    };
    let mut facts = Vec::new();
    for fact in new {
        match find(old, fact) {
            Some(was) if without_numbers(&was) == without_numbers(&fact.value) => {}
            Some(was) => facts.push(format!("{} of {}: {}, was {was}", fact.sig, fact.at, fact.value)),
            None => facts.push(format!("{} of {}: {}", fact.sig, fact.at, fact.value)),
        }
    }
    facts.extend(old.iter().filter(|fact| find(new, fact).is_none()).map(|fact| {
        // It may be well or just not said any more: either way it does not speak for the cause now.
        format!("{} of {} ({}) does not count any more", fact.sig, fact.at, fact.value)
    }));
    if facts.is_empty() {
        return None;
    }
    let more = facts.len().saturating_sub(FACTS_MAX);
    facts.truncate(FACTS_MAX);
    let text = facts.join("; ");
    Some(if more == 0 { text } else { format!("{text}; and {more} more") })
}

fn without_numbers(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect()
}

/// A fact that flips every second fills no timeline: what follows at once replaces what was just said.
fn note_evidence(incident: &mut Incident, at: Timestamp, text: String, catalog: &Catalog) {
    let window = catalog.timing.collapse;
    match incident.timeline.last_mut() {
        Some(last) if last.kind == TimelineKind::Evidence && at.since(last.at) < window => last.text = text,
        Some(_) | None => {
            push_timeline(incident, TimelineEntry { at, kind: TimelineKind::Evidence, by: None, text });
        }
    }
}
