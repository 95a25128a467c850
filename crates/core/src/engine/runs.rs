//! Runs of runbooks inside the engine: what is asked for, done, refused, and told in timeline and audit.
//!
//! Decides nothing about steps: that is `runbook`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::effect::{CheckRequest, Effects, Event, EventKind};
use super::input::{CommandError, DowntimeRequest, Reply, Spread};
use crate::Span;
use crate::catalog::{Action, Runbook};
use crate::id::ObjectId;
use crate::incident::Clearance;
use crate::model::{Covers, DowntimeKind, Incident, ObjectKey, Observation, TimelineEntry, TimelineKind};
use crate::runbook::facts::{self, Sight};
use crate::runbook::steps::{Moment, Outcome};
use crate::runbook::{
    Asker, AuditEntry, ENDED_KEPT, NewRun, Right, Run, RunAction, RunError, RunPhase, RunRequest, RunTarget, STENTOR,
};

/// A check that was asked for answers within this, however short its interval.
const LOOK_MIN: Span = Span::from_secs(60);
/// Beyond interval and deadline of a check, for the way through an agent.
const LOOK_SLACK: Span = Span::from_secs(10);

/// All runs, and what is remembered about them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Runs {
    /// By number: live ones and the most recently ended.
    pub all: Arc<BTreeMap<u64, Arc<Run>>>,
    newest: u64,
    /// Runs whose verification counts results, or that a failure may open again.
    pub(super) watching: BTreeSet<u64>,
    /// Per incident: why its runbook did not start by itself, as told last.
    pub(super) told: BTreeMap<u64, Arc<str>>,
}

impl Runs {
    pub fn get(&self, number: u64) -> Option<&Arc<Run>> {
        self.all.get(&number)
    }

    /// Puts a run (back), and lets go of the oldest that are over.
    pub(super) fn put(&mut self, run: Run) {
        match run.phase {
            RunPhase::Verifying | RunPhase::Reopened | RunPhase::Finished => self.watching.insert(run.number),
            RunPhase::Running | RunPhase::Aborted => self.watching.remove(&run.number),
        };
        let all = Arc::make_mut(&mut self.all);
        all.insert(run.number, Arc::new(run));
        let ended: Vec<u64> = all.values().filter(|run| !run.phase.is_live()).map(|run| run.number).collect();
        for number in ended.iter().take(ended.len().saturating_sub(ENDED_KEPT)) {
            all.remove(number);
            self.watching.remove(number);
        }
    }
}

/// A run to be made.
struct Start {
    runbook: Arc<Runbook>,
    incident: Option<Arc<Incident>>,
    target: RunTarget,
    by: Arc<str>,
    automatic: bool,
}

impl Engine {
    /// A request about a run: carried out or refused, and told either way.
    pub(super) fn apply_run(&mut self, request: &RunRequest, effects: &mut Effects) -> Result<Reply, CommandError> {
        let incident = match &request.action {
            RunAction::Start { incident } | RunAction::StartByItself { incident } => Some(*incident),
            other => other.run().and_then(|run| self.runs.get(run)?.incident),
        };
        match self.ask_run(request, effects) {
            Ok((run, outcome)) => {
                let text = said(&request.action, &outcome, self.runs.get(run).map(|run| &**run));
                self.tell_run(run, &request.by.name, request.action.step(), (request.action.word(), &text), effects);
                Ok(if outcome == Outcome::Repeated { Reply::Repeated } else { Reply::Run(run) })
            }
            Err(error) => {
                let run = request.action.run();
                let known =
                    run.and_then(|run| self.runs.get(run)).map(|run| (run.runbook.id.clone(), run.target.to_string()));
                let (runbook, target) = known.unwrap_or_default();
                effects.audit.push(AuditEntry {
                    at: self.at,
                    who: Arc::clone(&request.by.name),
                    action: request.action.word().into(),
                    run,
                    incident,
                    runbook,
                    step: request.action.step(),
                    target: target.into(),
                    done: false,
                    text: error.to_string().into(),
                });
                Err(error)
            }
        }
    }

    fn ask_run(&mut self, request: &RunRequest, effects: &mut Effects) -> Result<(u64, Outcome), CommandError> {
        let by = &request.by;
        let number = match &request.action {
            RunAction::Start { incident } | RunAction::StartByItself { incident } => {
                operates(by)?;
                let automatic = matches!(request.action, RunAction::StartByItself { .. });
                let start = Start { automatic, ..self.start_of(*incident, by)? };
                return Ok((self.start_run(start, effects), Outcome::Settled));
            }
            RunAction::StartProcedure { runbook, host, component } => {
                operates(by)?;
                let start = self.procedure(runbook, host, component.as_ref(), by)?;
                return Ok((self.start_run(start, effects), Outcome::Settled));
            }
            RunAction::Begin { run, .. }
            | RunAction::Done { run, .. }
            | RunAction::Fail { run, .. }
            | RunAction::Skip { run, .. }
            | RunAction::Approve { run, .. }
            | RunAction::RollBack { run, .. }
            | RunAction::Finish { run }
            | RunAction::Abort { run, .. }
            | RunAction::Report { run, .. } => *run,
        };
        let mut run = (**self.runs.get(number).ok_or(RunError::NoRun(number))?).clone();
        let outcome = self.ask_step(&mut run, request)?;
        if outcome != Outcome::Repeated {
            self.after_step(run, request.action.step(), &outcome, effects);
        }
        Ok((number, outcome))
    }

    fn ask_step(&self, run: &mut Run, request: &RunRequest) -> Result<Outcome, RunError> {
        let by = &request.by;
        let facts = self.run_facts(run);
        let look_within = request.action.step().map_or(LOOK_MIN, |step| self.look_within(run, step));
        let now = Moment { at: self.at, catalog: &self.catalog, facts: &facts, look_within };
        match &request.action {
            RunAction::Begin { step, attempt, .. } => run.begin(*step, *attempt, by, &now),
            RunAction::Done { step, attempt, note, .. } => run.done(*step, *attempt, note, by, &now),
            RunAction::Fail { step, attempt, note, .. } => run.fail(*step, *attempt, note, by, self.at),
            RunAction::Skip { step, reason, .. } => run.skip(*step, reason, by, self.at),
            RunAction::Approve { step, attempt, .. } => run.approve(*step, *attempt, by, &now),
            RunAction::RollBack { step, note, .. } => run.roll_back(*step, note, by, self.at),
            RunAction::Report { step, attempt, well, output, .. } => {
                run.report(*step, *attempt, (*well, output), self.at)
            }
            RunAction::Finish { .. } => {
                let missing = self.not_yet_well(run);
                run.finish(missing, by, self.at)
            }
            RunAction::Abort { why, .. } => run.abort(why, by, self.at),
            RunAction::Start { .. } | RunAction::StartByItself { .. } | RunAction::StartProcedure { .. } => {
                Ok(Outcome::Repeated)
            }
        }
    }

    /// What follows from a step that moved: checks asked for, orders given, verification begun, downtime closed.
    pub(super) fn after_step(&mut self, mut run: Run, step: Option<u16>, outcome: &Outcome, effects: &mut Effects) {
        let was = self.runs.get(run.number).map(|run| run.phase);
        match outcome {
            Outcome::Look => self.ask_checks(&mut run, step, effects),
            Outcome::Order(order) => effects.orders.push(order.clone()),
            Outcome::Repeated | Outcome::Asked | Outcome::Started | Outcome::Settled => {}
        }
        if run.phase == RunPhase::Verifying && was != Some(RunPhase::Verifying) {
            self.watch_cause(&mut run);
            // Asked for at once: the first of the results need not wait for its turn.
            let watched = run.verification.watches.iter().filter_map(|watch| self.catalog.object_id(&watch.object));
            effects.checks.extend(watched.map(|object| CheckRequest::forced(object, self.at)));
        }
        let downtime = run.downtime.filter(|_| !run.phase.is_live());
        self.runs.put(run);
        if let Some(id) = downtime {
            // It may have run out, or somebody may have cancelled it.
            let _ = self.cancel_downtime(id, &STENTOR.into(), effects);
        }
    }

    fn start_of(&self, number: u64, by: &Asker) -> Result<Start, CommandError> {
        self.live_incident(number)?;
        let incident = self.tracker.get(number).ok_or(CommandError::NoIncident(number))?;
        let id = &incident.verdict.runbook;
        let runbook = self.catalog.runbook(id).ok_or(RunError::NothingToRun(number))?;
        let mut live = self.runs.all.values().filter(|run| run.phase.is_live());
        if let Some(run) = live.find(|run| run.incident == Some(number)) {
            return Err(under_way(run, format!("INC-{number}")).into());
        }
        Ok(Start {
            runbook: Arc::new(runbook.clone()),
            target: facts::target_of(&self.catalog, incident),
            incident: Some(Arc::clone(incident)),
            by: Arc::clone(&by.name),
            automatic: false,
        })
    }

    fn procedure(
        &self,
        id: &Arc<str>,
        host: &Arc<str>,
        component: Option<&Arc<str>>,
        by: &Asker,
    ) -> Result<Start, CommandError> {
        let (runbook, target) = facts::procedure(&self.catalog, id, host, component.map(|key| &**key))?;
        let mut live = self.runs.all.values().filter(|run| run.phase.is_live());
        if let Some(run) = live.find(|run| run.runbook.id == *id && run.target == target) {
            return Err(under_way(run, target.to_string()).into());
        }
        let runbook = Arc::new(runbook.clone());
        Ok(Start { runbook, incident: None, target, by: Arc::clone(&by.name), automatic: false })
    }

    fn start_run(&mut self, start: Start, effects: &mut Effects) -> u64 {
        self.runs.newest += 1;
        let number = self.runs.newest;
        let verification =
            facts::verification_of(&self.sight(), &start.runbook, &start.target, start.incident.as_deref());
        let mut run = Run::new(NewRun {
            number,
            runbook: start.runbook,
            incident: start.incident.as_ref().map(|incident| incident.number),
            target: start.target,
            automatic: start.automatic,
            by: start.by,
            at: self.at,
            verification,
        });
        run.downtime = self.open_downtime(&run, effects);
        self.runs.put(run);
        number
    }

    fn open_downtime(&mut self, run: &Run, effects: &mut Effects) -> Option<u64> {
        let host = run.target.host.as_ref().filter(|_| run.runbook.downtime > Span::ZERO)?;
        let id = self.plan(
            &DowntimeRequest {
                target: ObjectKey { host: Arc::clone(host), service: None },
                covers: Covers::HostAndServices,
                kind: DowntimeKind::Fixed,
                triggered_by: None,
                spread: Spread::TargetOnly,
                start: self.at,
                end: self.at + run.runbook.downtime,
                author: Arc::clone(&run.started_by),
                comment: format!("{} of {}", run.name(), run.runbook.id).into(),
            },
            None,
        );
        self.turn_downtimes(effects);
        Some(id)
    }

    /// Adds the checks that speak for the incident to what the verification watches.
    pub(super) fn watch_cause(&self, run: &mut Run) {
        let Some(incident) = run.incident.and_then(|number| self.tracker.get(number)) else { return };
        facts::watch_cause(&self.sight(), &run.target, incident, &mut run.verification);
    }

    /// Why the cause of a run is not gone for sure, beside what its verification counts.
    pub(super) fn not_yet_well(&self, run: &Run) -> Vec<String> {
        facts::not_yet_well(&self.sight(), run, |incident| self.is_clear(incident))
    }

    pub(super) fn run_facts(&self, run: &Run) -> Observation {
        let incident = run.incident.and_then(|number| self.tracker.get(number));
        facts::live(&self.sight(), &run.target, incident.map(|incident| &**incident))
    }

    pub(super) fn sight(&self) -> Sight<'_> {
        Sight {
            catalog: &self.catalog,
            hosts: &self.hosts,
            host_details: &self.host_details,
            services: &self.services,
            service_details: &self.service_details,
            clouds: &self.clouds,
            incidents: &self.tracker.incidents,
            at: self.at,
        }
    }

    /// The objects that a `check` or `wait_for` step looks at.
    pub(super) fn looked_at(&self, run: &Run, step: u16) -> Vec<ObjectId> {
        let step = usize::from(step).checked_sub(1).and_then(|index| run.runbook.steps.get(index));
        let checks = match step.map(|step| &step.action) {
            Some(Action::Check { checks, .. } | Action::WaitFor { checks, .. }) => checks.as_slice(),
            Some(Action::Manual | Action::Command { .. } | Action::Power { .. } | Action::Approve) | None => &[],
        };
        checks.iter().flat_map(|name| facts::objects_of(&self.catalog, &run.target, name)).collect()
    }

    fn look_within(&self, run: &Run, step: u16) -> Span {
        let looked = self.looked_at(run, step);
        let checks = looked.iter().filter_map(|object| self.catalog.check_of(*object));
        checks.map(|check| check.every + check.timeout + LOOK_SLACK).fold(LOOK_MIN, Span::max)
    }

    pub(super) fn ask_checks(&self, run: &mut Run, step: Option<u16>, effects: &mut Effects) {
        let Some(number) = step else { return };
        let objects = self.looked_at(run, number);
        effects.checks.extend(objects.into_iter().map(|object| CheckRequest::forced(object, self.at)));
        if let Some(step) = usize::from(number).checked_sub(1).and_then(|index| run.steps.get_mut(index)) {
            step.asked_at = Some(self.at);
        }
    }

    /// What happened in a run: into the incident's timeline, history and audit.
    pub(super) fn tell_run(
        &mut self,
        number: u64,
        who: &Arc<str>,
        step: Option<u16>,
        (action, text): (&str, &str),
        effects: &mut Effects,
    ) {
        let Some(run) = self.runs.get(number).cloned() else { return };
        let line = format!("{}: {text}", run.name());
        effects.audit.push(AuditEntry {
            at: self.at,
            who: Arc::clone(who),
            action: action.into(),
            run: Some(number),
            incident: run.incident,
            runbook: Arc::clone(&run.runbook.id),
            step,
            target: run.target.to_string().into(),
            done: true,
            text: text.into(),
        });
        self.note_run(&run, who, line, effects);
    }

    pub(super) fn note_run(&mut self, run: &Run, who: &Arc<str>, line: String, effects: &mut Effects) {
        let by = (**who != *STENTOR).then(|| Arc::clone(who));
        if let Some(incident) = run.incident {
            let entry = TimelineEntry { at: self.at, kind: TimelineKind::Runbook, by, text: line.clone() };
            self.tracker.note(incident, entry);
        }
        let object = run.target.host.as_ref().map(|host| ObjectKey { host: Arc::clone(host), service: None });
        let text = format!("{who}: {line}");
        effects.events.push(Event { at: self.at, kind: EventKind::Runbook, object, incident: run.incident, text });
    }
}

impl Engine {
    pub(super) fn note_not_started(&mut self, incident: u64, text: String, effects: &mut Effects) {
        let entry = TimelineEntry { at: self.at, kind: TimelineKind::Runbook, by: None, text: text.clone() };
        self.tracker.note(incident, entry);
        effects.events.push(Event::of_incident(self.at, EventKind::Runbook, incident, text));
    }
}

fn operates(by: &Asker) -> Result<(), RunError> {
    if by.right >= Right::Operate {
        return Ok(());
    }
    Err(RunError::Forbidden { who: Arc::clone(&by.name), has: by.right, needs: Right::Operate })
}

fn under_way(run: &Run, what: String) -> RunError {
    RunError::UnderWay { run: run.number, runbook: Arc::clone(&run.runbook.id), what }
}

/// What a request did, in words for the timeline.
fn said(action: &RunAction, outcome: &Outcome, run: Option<&Run>) -> String {
    let step = action.step().unwrap_or_default();
    if *outcome == Outcome::Repeated {
        return format!("{} came again and changed nothing", action.word());
    }
    let id = run.map_or("", |run| &run.runbook.id);
    let with = |note: &str| if note.is_empty() { String::new() } else { format!(": {note}") };
    match action {
        RunAction::Start { .. } | RunAction::StartByItself { .. } | RunAction::StartProcedure { .. } => {
            let unwatched = run.map_or_else(String::new, |run| run.verification.unwatched.join(", "));
            let none =
                if unwatched.is_empty() { unwatched } else { format!("; not there to verify with: {unwatched}") };
            let is_automatic = run.is_some_and(|run| run.automatic);
            let by_itself = if is_automatic { " by itself: its pack and the administrator allow it" } else { "" };
            let target = run.map(|run| run.target.to_string()).unwrap_or_default();
            format!("runbook {id} started for {target}{by_itself}{none}")
        }
        RunAction::Begin { .. } if *outcome == Outcome::Asked => format!("step {step} asks for a second person"),
        RunAction::Begin { .. } => format!("step {step} begun"),
        RunAction::Done { .. } if *outcome == Outcome::Asked => format!("step {step} asks for a second person"),
        RunAction::Done { note, .. } => format!("step {step} done{}", with(note)),
        RunAction::Fail { note, .. } => format!("step {step} failed{}", with(note)),
        RunAction::Skip { reason, .. } => format!("step {step} skipped: {reason}"),
        RunAction::Approve { .. } => format!("step {step} approved"),
        RunAction::RollBack { note, .. } => format!("step {step} rolled back{}", with(note)),
        RunAction::Finish { .. } => {
            let (well, of) = run.map_or((0, 0), |run| run.verification.progress());
            if of == 0 {
                "finished; nothing was to be verified".to_owned()
            } else {
                format!("finished, verification {well} of {of} well")
            }
        }
        RunAction::Abort { why, .. } => format!("aborted: {why}"),
        RunAction::Report { well, output, .. } => {
            let first: String = output.lines().next().unwrap_or_default().chars().take(200).collect();
            format!("step {step} {}{}", if *well { "done" } else { "failed" }, with(&first))
        }
    }
}
