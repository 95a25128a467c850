//! What time and results do to runs: looks that come in, deadlines, verification, opening again, starts without a person.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use super::effect::Effects;
use crate::catalog::Action;
use crate::id::ObjectId;
use crate::model::{Incident, Outcome as Seen, Phase};
use crate::rules::Expr;
use crate::runbook::facts;
use crate::runbook::steps::Outcome;
use crate::runbook::verification::{Heard, Seen as SeenResult, name_of};
use crate::runbook::{
    Asker, AuditEntry, Right, Run, RunAction, RunOrder, RunPhase, RunRequest, STENTOR, StepState, automatic,
};
use crate::snapshot::Flags;
use crate::{Span, Timestamp};

/// A `wait_for` asks its checks again this often.
const ASK_AGAIN: Span = Span::from_secs(10);
/// A failure so long after the end opens a run again; later it is another failure.
const REOPEN_WITHIN: Span = Span::from_mins(15);
/// Window of the limits of automatic starts.
const LIMIT_WINDOW: Span = Span::from_hours(1);
/// Characters of a check's output in a timeline.
const TEXT_CHARS_MAX: usize = 200;

impl Engine {
    /// A check gave a result: it may count for the verification of a run.
    pub(super) fn run_sees(&mut self, object: ObjectId, effects: &mut Effects) {
        if self.runs.watching.is_empty() {
            return;
        }
        let key = self.catalog.object_key(object);
        for number in self.runs.watching.clone() {
            let Some(run) = self.runs.get(number).filter(|run| run.phase.is_live() && run.verification.watches(&key))
            else {
                continue;
            };
            let mut run = (**run).clone();
            let row = *self.row(object);
            let text = self.text_of(object);
            let failed = self.observation_of(object).is_some_and(|seen| matches!(seen.outcome, Seen::Failed(_)));
            let apart = self.catalog.check_of(object).map_or(Span::ZERO, |check| check.every * 1 / 2);
            let was = run.verification.progress();
            let result = SeenResult {
                object: &key,
                observed_at: row.last_check,
                well: row.state == 0 && !failed,
                apart,
                text: &text,
            };
            let Some(heard) = run.verification.see(&result) else {
                self.runs.put(run);
                continue;
            };
            run.changed = self.at;
            let now = run.verification.progress();
            self.runs.put(run);
            if heard == Heard::Broke {
                let line = format!("verification failed: {}: {text}; counting anew", name_of(&key));
                self.tell_run(number, &STENTOR.into(), None, ("verify", &line), effects);
            } else if was.0 < was.1 && now.0 == now.1 {
                let line = format!("verified: every check was well {} times in a row", now.1);
                self.tell_run(number, &STENTOR.into(), None, ("verify", &line), effects);
            }
        }
    }

    /// Time has passed.
    pub(super) fn advance_runs(&mut self, effects: &mut Effects) {
        let live: Vec<u64> = self.runs.all.values().filter(|run| run.phase.is_live()).map(|run| run.number).collect();
        for number in live {
            self.advance_run(number, effects);
        }
        self.reopen_runs(effects);
        self.start_by_itself(effects);
    }

    fn advance_run(&mut self, number: u64, effects: &mut Effects) {
        let Some(run) = self.runs.get(number).cloned() else { return };
        let running = run.steps.iter().position(|step| step.state == StepState::Running);
        if let Some(step) = running.and_then(|index| u16::try_from(index + 1).ok()) {
            self.look(&run, step, effects);
        }
        let Some(now) = self.runs.get(number) else { return };
        let mut run = (**now).clone();
        if let Some(step) = run.expire(self.at) {
            let note = run.steps[usize::from(step) - 1].note.to_string();
            self.after_step(run, Some(step), &Outcome::Order(RunOrder::Stop { run: number }), effects);
            self.tell_run(
                number,
                &STENTOR.into(),
                Some(step),
                ("timeout", &format!("step {step} failed: {note}")),
                effects,
            );
        } else if matches!(run.phase, RunPhase::Verifying | RunPhase::Reopened) {
            // Problems that joined the incident since are part of it.
            let before = run.verification.watches.len();
            self.watch_cause(&mut run);
            if run.verification.watches.len() != before {
                self.runs.put(run);
            }
        }
        self.drive(number, effects);
    }

    /// Whether the checks of a `check` or `wait_for` step have said what it waits for.
    fn look(&mut self, run: &Arc<Run>, step: u16, effects: &mut Effects) {
        let index = usize::from(step) - 1;
        let Some((definition, state)) = run.runbook.steps.get(index).zip(run.steps.get(index)) else { return };
        let (patient, checks, until) = match &definition.action {
            Action::Check { checks, until } => (false, checks, until.as_ref()),
            Action::WaitFor { checks, until } => (true, checks, until.as_ref()),
            Action::Manual | Action::Command { .. } | Action::Power { .. } | Action::Approve => return,
        };
        let since = state.started_at.unwrap_or(run.started_at);
        let (asked_at, objects) = (state.asked_at, self.looked_at(run, step));
        let mut found = self.found(run, &objects, until, since);
        for name in checks.iter().filter(|name| facts::objects_of(&self.catalog, &run.target, name).is_empty()) {
            found.text = format!("{} has no check {name}\n{}", run.target, found.text);
            found.holds = Some(false);
        }
        let decided = match found.holds {
            Some(true) => Some(true),
            Some(false) if !patient => Some(false),
            Some(false) | None => None,
        };
        let mut moved = (**run).clone();
        if let Some(well) = decided {
            moved.found(step, (well, &found.text), self.at);
            self.after_step(moved, Some(step), &Outcome::Settled, effects);
            let word = if well { "done" } else { "failed" };
            let first: String = found.text.lines().next().unwrap_or_default().chars().take(TEXT_CHARS_MAX).collect();
            self.tell_run(
                run.number,
                &STENTOR.into(),
                Some(step),
                ("report", &format!("step {step} {word}: {first}")),
                effects,
            );
            return;
        }
        // What it saw so far is shown while it waits.
        moved.steps[index].output = found.text.into();
        let again = ASK_AGAIN.at_pace(self.catalog.timing.pace);
        if patient && asked_at.is_none_or(|asked| self.at.since(asked) >= again) {
            self.ask_checks(&mut moved, Some(step), effects);
        }
        self.runs.put(moved);
    }

    fn found(&self, run: &Run, objects: &[ObjectId], until: Option<&Expr>, since: Timestamp) -> Found {
        let mut lines = Vec::new();
        let mut holds = Some(true);
        for &object in objects {
            let row = self.row(object);
            let name = name_of(&self.catalog.object_key(object));
            if row.last_check < since {
                lines.push(format!("{name}: has not answered yet"));
                // What is known to fail already fails the whole.
                holds = holds.filter(|holds| !holds);
            } else {
                let word = match object {
                    ObjectId::Host(_) => row.host_state().as_str(),
                    ObjectId::Service(_) => row.service_state().as_str(),
                };
                lines.push(format!("{name}: {word}: {}", self.text_of(object)));
                if row.state != 0 {
                    holds = Some(false);
                }
            }
        }
        if let Some(until) = until {
            let facts = self.run_facts(run);
            match until.holds(&facts) {
                Ok(true) => lines.push(format!("{}: holds", until.text)),
                Ok(false) => {
                    lines.push(format!("{}: does not hold", until.text));
                    // Of checks that were asked for, the newest answers count.
                    holds = holds.map(|_| false);
                }
                Err(why) => {
                    lines.push(format!("{}: not known: {why}", until.text));
                    holds = holds.filter(|holds| !holds);
                }
            }
        }
        Found { holds, text: lines.join("\n") }
    }

    /// A finished run whose verification fails again soon after was not finished.
    fn reopen_runs(&mut self, effects: &mut Effects) {
        let within = REOPEN_WITHIN.at_pace(self.catalog.timing.pace);
        for number in self.runs.watching.clone() {
            let Some(run) = self.runs.get(number).filter(|run| run.phase == RunPhase::Finished).cloned() else {
                continue;
            };
            if run.ended_at.is_none_or(|ended| self.at.since(ended) > within) {
                self.runs.watching.remove(&number);
                continue;
            }
            let ended = run.ended_at.unwrap_or(self.at);
            let broken = run.verification.watches.iter().find_map(|watch| {
                let object = self.catalog.object_id(&watch.object)?;
                let row = self.row(object);
                (row.is_hard_problem() && row.last_check > ended)
                    .then(|| format!("{}: {}", name_of(&watch.object), self.text_of(object)))
            });
            if let Some(why) = broken {
                let mut again = (*run).clone();
                again.reopen(&why, self.at);
                self.runs.put(again);
                self.tell_run(number, &STENTOR.into(), None, ("reopen", &format!("opened again: {why}")), effects);
            }
        }
    }

    /// Leads a run that no person started: its next step, or its end.
    fn drive(&mut self, number: u64, effects: &mut Effects) {
        let Some(run) = self.runs.get(number).filter(|run| run.automatic && run.phase.is_live()).cloned() else {
            return;
        };
        let request = |action| RunRequest { by: own(), action };
        if run.phase != RunPhase::Running {
            if run.missing(self.not_yet_well(&run)).is_empty() {
                // It was just looked at: nothing is missing.
                let _ = self.apply_run(&request(RunAction::Finish { run: number }), effects);
            }
            return;
        }
        if self.sight().is_isolated() {
            // What is seen now may not be so: nothing is done by oneself until it is known again.
            if let Some(incident) = run.incident {
                self.tell_once(incident, &format!("{} waits: Stentor itself may be cut off", run.name()), effects);
            }
            return;
        }
        let Some(step) = run.next_step() else { return };
        let index = usize::from(step) - 1;
        let Some((definition, state)) = run.runbook.steps.get(index).zip(run.steps.get(index)) else { return };
        if state.state != StepState::Ready || !state.note.is_empty() {
            return;
        }
        let waits = match definition.action {
            Action::Manual => Some("it is a person's work".to_owned()),
            Action::Check { .. }
            | Action::WaitFor { .. }
            | Action::Command { .. }
            | Action::Power { .. }
            | Action::Approve => {
                let begin = RunAction::Begin { run: number, step, attempt: Some(state.attempt + 1) };
                self.apply_run(&request(begin), effects).err().map(|error| error.to_string())
            }
        };
        if let Some(why) = waits {
            let mut waiting = (**self.runs.get(number).unwrap_or(&run)).clone();
            waiting.steps[index].note = format!("waits for a person: {why}").into();
            self.runs.put(waiting);
            self.tell_run(
                number,
                &STENTOR.into(),
                Some(step),
                ("wait", &format!("step {step} waits for a person: {why}")),
                effects,
            );
        }
    }

    /// Starts runbooks that the pack and the administrator both allow to start by themselves.
    fn start_by_itself(&mut self, effects: &mut Effects) {
        let platforms = self.catalog.platforms.iter();
        let automatic: BTreeSet<Arc<str>> = platforms
            .flat_map(|platform| &platform.runbooks)
            .filter(|runbook| runbook.automatic)
            .map(|runbook| Arc::clone(&runbook.id))
            .collect();
        if automatic.is_empty() {
            return;
        }
        let live: Vec<Arc<Incident>> = self
            .tracker
            .live()
            .filter_map(|(_, live)| self.tracker.get(live.number))
            .filter(|incident| incident.phase == Phase::Open && automatic.contains(&incident.verdict.runbook))
            .cloned()
            .collect();
        let numbers: BTreeSet<u64> = live.iter().map(|incident| incident.number).collect();
        self.runs.told.retain(|number, _| numbers.contains(number));
        for incident in live {
            self.consider(&incident, effects);
        }
    }

    fn consider(&mut self, incident: &Arc<Incident>, effects: &mut Effects) {
        let number = incident.number;
        let Some(runbook) = self.catalog.runbook(&incident.verdict.runbook).cloned() else { return };
        // One attempt for an incident: what did not help is not tried again without a person.
        if self.runs.all.values().any(|run| run.incident == Some(number)) {
            return;
        }
        let host = incident.verdict.target.host.as_deref();
        let recent = |run: &&Arc<Run>| run.automatic && self.at.since(run.started_at) < LIMIT_WINDOW;
        let of_host = |run: &&Arc<Run>| run.target.host.as_deref() == host;
        let all = self.runs.all.values().filter(recent).count();
        let same = self.runs.all.values().filter(recent).filter(of_host).count();
        let flapping = incident.problems.iter().filter_map(|key| self.catalog.object_id(key));
        let is_flapping = flapping.into_iter().any(|object| self.row(object).flags.has(Flags::FLAPPING));
        let situation = automatic::Situation {
            incident,
            runbook: &runbook,
            policy: &self.catalog.runs,
            is_isolated: self.sight().is_isolated(),
            core: incident.cloud.as_deref().and_then(|name| self.sight().cloud(name)).map(|cloud| cloud.core),
            starts: (count(same), count(all)),
            is_flapping,
        };
        let decision = automatic::may_start(&situation);
        let started = decision.and_then(|()| {
            let request = RunRequest { by: own(), action: RunAction::StartByItself { incident: number } };
            self.apply_run(&request, effects).map(drop).map_err(|error| error.to_string())
        });
        if let Err(why) = started {
            self.tell_not_started(incident, &why, effects);
        }
    }

    /// A decision that stays the same is not told every second.
    fn tell_not_started(&mut self, incident: &Incident, why: &str, effects: &mut Effects) {
        let number = incident.number;
        let id = &incident.verdict.runbook;
        if !self.tell_once(number, &format!("runbook {id} does not start by itself: {why}"), effects) {
            return;
        }
        effects.audit.push(AuditEntry {
            at: self.at,
            who: STENTOR.into(),
            action: "start".into(),
            run: None,
            incident: Some(number),
            runbook: Arc::clone(id),
            step: None,
            target: incident.verdict.target.host.clone().unwrap_or_default(),
            done: false,
            text: why.into(),
        });
    }

    /// False = it was told last, too.
    fn tell_once(&mut self, incident: u64, text: &str, effects: &mut Effects) -> bool {
        if self.runs.told.get(&incident).is_some_and(|told| **told == *text) {
            return false;
        }
        self.runs.told.insert(incident, text.into());
        self.note_not_started(incident, text.to_owned(), effects);
        true
    }

    fn text_of(&self, object: ObjectId) -> String {
        let text = self.observation_of(object).map_or("", |seen| &seen.text);
        text.chars().take(TEXT_CHARS_MAX).collect()
    }

    fn observation_of(&self, object: ObjectId) -> Option<&crate::model::Observation> {
        let detail = match object {
            ObjectId::Host(id) => &self.host_details[id.index()],
            ObjectId::Service(id) => &self.service_details[id.index()],
        };
        detail.observation.as_deref()
    }
}

/// What the checks of a step have said.
struct Found {
    /// `None` = not known yet.
    holds: Option<bool>,
    text: String,
}

/// Stentor acting by itself may do what the administrator allowed runbooks to do.
fn own() -> Asker {
    Asker { name: STENTOR.into(), right: Right::Power }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
