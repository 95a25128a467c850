//! Where each live incident stands: failed, failing over, recovering; with what is still going on.

use super::{Clearance, Outcome, Tracker, push_timeline};
use crate::Timestamp;
use crate::engine::{Event, EventKind};
use crate::model::{Incident, Phase, Stage, TimelineEntry, TimelineKind};

impl Tracker {
    /// Looks at every live incident and writes down where it stands now.
    pub(super) fn restage(&mut self, clearance: &dyn Clearance, at: Timestamp, outcome: &mut Outcome) {
        let mut changes = Vec::new();
        for live in self.live.values() {
            let Some(incident) = self.incidents.get(&live.number) else { continue };
            let (stage, going_on) = standing(incident, live.absent_since.unwrap_or(at), clearance);
            if stage != incident.stage || going_on != incident.going_on {
                changes.push((live.number, stage, going_on));
            }
        }
        for (number, stage, going_on) in changes {
            let Some(old) = self.incidents.get(&number) else { continue };
            // A percentage that goes on counting is shown, and is no entry.
            let is_news = stage != old.stage || kinds(&going_on) != kinds(&old.going_on);
            // That it recovers was just said, with the reason.
            let is_said = stage == Stage::Recovering && going_on.is_empty() && old.phase == Phase::Recovering;
            let text = (is_news && !is_said).then(|| words(stage, old.stage, &going_on));
            self.edit(number, |incident| {
                incident.stage = stage;
                incident.going_on = going_on;
                if let Some(text) = &text {
                    incident.changed_at = at;
                    let entry = TimelineEntry { at, kind: TimelineKind::Stage, by: None, text: text.clone() };
                    push_timeline(incident, entry);
                }
            });
            if let Some(text) = text {
                outcome.events.push(Event::of_incident(at, EventKind::IncidentChanged, number, text));
            }
            outcome.changed = true;
        }
    }
}

fn standing(incident: &Incident, up_since: Timestamp, clearance: &dyn Clearance) -> (Stage, Vec<String>) {
    match incident.phase {
        Phase::Recovering => (Stage::Recovering, clearance.goes_on(incident, up_since)),
        Phase::Open => {
            // What was lost is back, and the copy is not whole yet: open, because another loss is one too many.
            if matches!(&*incident.verdict.subtype, "raid_rebuilding" | "drbd_disk" | "drbd_connection") {
                let going_on = clearance.goes_on(incident, up_since);
                if !going_on.is_empty() || &*incident.verdict.subtype == "raid_rebuilding" {
                    return (Stage::Recovering, going_on);
                }
            }
            let takes_over = clearance.takes_over(incident);
            let stage = if takes_over.is_empty() { Stage::Failed } else { Stage::FailingOver };
            (stage, takes_over)
        }
        Phase::Resolved => (Stage::Well, Vec::new()),
        Phase::Closed => (Stage::Merged, Vec::new()),
    }
}

fn kinds(going_on: &[String]) -> Vec<String> {
    going_on.iter().map(|text| text.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect()).collect()
}

fn words(stage: Stage, old: Stage, going_on: &[String]) -> String {
    let what = going_on.join("; ");
    match (stage, old) {
        (Stage::FailingOver, _) => format!("Failing over: {what}"),
        (Stage::Recovering, _) if what.is_empty() => "Recovering: nothing is left to wait for".to_owned(),
        (Stage::Recovering, _) => format!("Recovering: {what}"),
        (Stage::Failed, Stage::FailingOver) => "The time to fail over is over".to_owned(),
        (Stage::Failed, Stage::Recovering) => "It does not recover any more".to_owned(),
        (Stage::Failed | Stage::Well | Stage::Merged, _) => stage.as_str().replace('_', " "),
    }
}
