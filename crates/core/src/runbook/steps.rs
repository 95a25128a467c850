//! The transitions of a run: which step may start, who settles it, when the run is over. One function decides each.

use std::sync::Arc;

use super::order::{self, Order, RunOrder};
use super::refusal::RunError;
use super::request::{Asker, Right};
use super::{Run, RunPhase, StepRun, StepState, capped};
use crate::catalog::{Action, Catalog, Step, StepKind};
use crate::model::Observation;
use crate::{Span, Timestamp};

/// Deadline of a wait that names none.
pub const WAIT_WITHIN: Span = Span::from_mins(10);

/// What is known at the moment of a request.
pub struct Moment<'a> {
    pub at: Timestamp,
    pub catalog: &'a Catalog,
    /// Live facts of the target.
    pub facts: &'a Observation,
    /// How long the checks of a `check` step may take to answer.
    pub look_within: Span,
}

/// What a request did.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was done before: nothing changed.
    Repeated,
    /// The step waits for another person.
    Asked,
    /// Under way by a person.
    Started,
    /// Under way: its checks are to be asked for.
    Look,
    /// Under way: for the executor.
    Order(RunOrder),
    /// The step, or the run, is settled.
    Settled,
}

impl Run {
    /// Whether the next step need not wait for this one: escalation is for when nothing helps.
    pub(super) fn is_settled(&self, index: usize) -> bool {
        let escalates = self.runbook.steps.get(index).is_some_and(|step| step.kind == StepKind::Escalate);
        let untouched = |step: &StepRun| matches!(step.state, StepState::Waiting | StepState::Ready);
        self.steps.get(index).is_none_or(|step| step.state.is_settled() || (escalates && untouched(step)))
    }

    /// Says anew which steps are ready, and whether the verification counts.
    pub(super) fn settle(&mut self, at: Timestamp) {
        let mut open = true;
        for index in 0..self.steps.len() {
            let step = &mut self.steps[index];
            if matches!(step.state, StepState::Waiting | StepState::Ready) {
                step.state = if open { StepState::Ready } else { StepState::Waiting };
            }
            open &= self.is_settled(index);
        }
        match (self.phase, open) {
            (RunPhase::Running, true) => {
                self.phase = RunPhase::Verifying;
                self.verification.begin(at);
            }
            (RunPhase::Verifying | RunPhase::Reopened, false) => {
                self.phase = RunPhase::Running;
                self.verification.stop();
            }
            (RunPhase::Running, false)
            | (RunPhase::Verifying | RunPhase::Reopened, true)
            | (RunPhase::Finished | RunPhase::Aborted, _) => {}
        }
        self.changed = at;
    }

    fn live(&self) -> Result<(), RunError> {
        if self.phase.is_live() { Ok(()) } else { Err(RunError::Ended { run: self.number, phase: self.phase }) }
    }

    /// The step of that number, from 1.
    fn at_step(&self, number: u16) -> Result<(usize, Step, &StepRun), RunError> {
        let missing = RunError::NoStep { run: self.number, step: number };
        let index = usize::from(number).checked_sub(1).ok_or_else(|| missing.clone())?;
        match (self.runbook.steps.get(index), self.steps.get(index)) {
            (Some(step), Some(now)) => Ok((index, step.clone(), now)),
            (None, _) | (_, None) => Err(missing),
        }
    }

    /// The same, in a run that goes on, for somebody who may move it.
    fn own_step(&self, number: u16, by: &Asker) -> Result<(usize, Step, &StepRun), RunError> {
        self.live()?;
        let (index, step, state) = self.at_step(number)?;
        by.may(Right::of(&step.action))?;
        Ok((index, step, state))
    }

    /// Starts a step, or asks for the second person that it needs.
    ///
    /// # Errors
    /// It may not start now, its conditions do not hold, or it is not allowed.
    pub fn begin(
        &mut self,
        number: u16,
        attempt: Option<u32>,
        by: &Asker,
        now: &Moment<'_>,
    ) -> Result<Outcome, RunError> {
        let (index, step, state) = self.own_step(number, by)?;
        if attempt == Some(state.attempt) && state.attempt > 0 {
            return Ok(Outcome::Repeated);
        }
        if let Some(sent) = attempt.filter(|sent| *sent != state.attempt + 1) {
            return Err(RunError::Stale { step: number, sent, now: state.attempt });
        }
        let not_now = |why: &str| state.not_now(number, why);
        match state.state {
            StepState::Ready | StepState::Failed | StepState::RolledBack => {}
            StepState::Waiting => return Err(not_now("the steps before it are not settled")),
            StepState::Asked => return Err(not_now("another person must approve it")),
            StepState::Running => return Err(not_now("it was started already")),
            StepState::Done | StepState::Skipped if attempt.is_none() => {
                return Err(not_now("to do it again, name its next attempt"));
            }
            StepState::Done | StepState::Skipped => {}
        }
        let busy = |step: &StepRun| matches!(step.state, StepState::Running | StepState::Asked);
        if self.steps.iter().any(busy) {
            return Err(not_now("another step is under way"));
        }
        let order = self.ordered(number, state.attempt + 1, &step, now)?;
        let needs_second = now.catalog.runs.needs_second(&step);
        let state = &mut self.steps[index];
        *state =
            StepRun { attempt: state.attempt + 1, by: Some(Arc::clone(&by.name)), ..StepRun::new(StepState::Asked) };
        if needs_second {
            self.settle(now.at);
            return Ok(Outcome::Asked);
        }
        Ok(self.start(index, &step, order, now))
    }

    /// What the executor is to do, if it is to do something. Conditions on live facts come first: what is not known does not
    /// hold.
    fn ordered(&self, number: u16, attempt: u32, step: &Step, now: &Moment<'_>) -> Result<Option<Order>, RunError> {
        let why: Vec<String> = unmet(step, now.facts);
        if !why.is_empty() {
            return Err(RunError::Needs { step: number, why });
        }
        let ordered = order::order(self, step, now.catalog);
        let ordered = ordered.map_err(|why| RunError::NotAllowed { step: number, why })?;
        Ok(ordered.map(|(host, what, within)| Order { run: self.number, step: number, attempt, host, within, what }))
    }

    fn start(&mut self, index: usize, step: &Step, order: Option<Order>, now: &Moment<'_>) -> Outcome {
        let own = (step.within > Span::ZERO).then_some(step.within);
        let within = match &step.action {
            Action::Manual | Action::Approve => None,
            Action::Check { .. } => Some(own.unwrap_or(now.look_within)),
            Action::WaitFor { .. } => Some(own.unwrap_or(WAIT_WITHIN)),
            // The executor stops it at its deadline and tells; this is for when nobody tells.
            Action::Command { .. } | Action::Power { .. } => {
                order.as_ref().map(|order| order.within + Span::from_secs(30))
            }
        };
        let state = &mut self.steps[index];
        state.state = StepState::Running;
        state.started_at = Some(now.at);
        state.deadline = within.map(|within| now.at + within);
        self.settle(now.at);
        match (&step.action, order) {
            (_, Some(order)) => Outcome::Order(RunOrder::Do(order)),
            (Action::Check { .. } | Action::WaitFor { .. }, None) => Outcome::Look,
            (Action::Manual | Action::Approve | Action::Command { .. } | Action::Power { .. }, None) => {
                Outcome::Started
            }
        }
    }

    /// A second person agrees with what the first asked for.
    ///
    /// # Errors
    /// The same person, without the right, not asked for, or its conditions do not hold any more.
    pub fn approve(
        &mut self,
        number: u16,
        attempt: Option<u32>,
        by: &Asker,
        now: &Moment<'_>,
    ) -> Result<Outcome, RunError> {
        let (index, step, state) = self.own_step(number, by)?;
        state.meant(number, attempt)?;
        if state.state != StepState::Asked {
            if state.approved_by.as_ref() == Some(&by.name) {
                return Ok(Outcome::Repeated);
            }
            return Err(state.not_now(number, "nobody has asked for its approval"));
        }
        if state.by.as_ref() == Some(&by.name) {
            return Err(RunError::SamePerson(Arc::clone(&by.name)));
        }
        let attempt = state.attempt;
        if step.action == Action::Approve {
            self.close(index, StepState::Done, "", now.at);
            self.steps[index].approved_by = Some(Arc::clone(&by.name));
            return Ok(Outcome::Settled);
        }
        let order = self.ordered(number, attempt, &step, now)?;
        self.steps[index].approved_by = Some(Arc::clone(&by.name));
        Ok(self.start(index, &step, order, now))
    }

    /// A person did a manual step; straight from ready where nothing stands against its start.
    ///
    /// # Errors
    /// It is no manual step, was not started, or may not start.
    pub fn done(
        &mut self,
        number: u16,
        attempt: Option<u32>,
        note: &str,
        by: &Asker,
        now: &Moment<'_>,
    ) -> Result<Outcome, RunError> {
        let (index, step, state) = self.own_step(number, by)?;
        if step.action != Action::Manual {
            return Err(state.not_now(number, "Stentor does it itself: begin it, or skip it and say why"));
        }
        if state.state == StepState::Done && attempt == Some(state.attempt) {
            return Ok(Outcome::Repeated);
        }
        if state.state == StepState::Running {
            state.meant(number, attempt)?;
        } else {
            let now_at = state.attempt;
            match self.begin(number, attempt, by, now)? {
                Outcome::Asked => return Ok(Outcome::Asked),
                // That attempt ended otherwise: it is not done because somebody says so late.
                Outcome::Repeated => return Err(RunError::Stale { step: number, sent: now_at, now: now_at }),
                Outcome::Started | Outcome::Look | Outcome::Order(_) | Outcome::Settled => {}
            }
        }
        self.close(index, StepState::Done, note, now.at);
        Ok(Outcome::Settled)
    }

    /// What is under way did not work out; a program that still runs is stopped.
    ///
    /// # Errors
    /// It is not under way.
    pub fn fail(
        &mut self,
        number: u16,
        attempt: Option<u32>,
        note: &str,
        by: &Asker,
        at: Timestamp,
    ) -> Result<Outcome, RunError> {
        let (index, step, state) = self.own_step(number, by)?;
        state.meant(number, attempt)?;
        match state.state {
            StepState::Running | StepState::Asked | StepState::Ready => {}
            StepState::Failed => return Ok(Outcome::Repeated),
            StepState::Waiting | StepState::Done | StepState::Skipped | StepState::RolledBack => {
                return Err(state.not_now(number, "it is not under way"));
            }
        }
        let stops =
            state.state == StepState::Running && matches!(step.action, Action::Command { .. } | Action::Power { .. });
        self.close(index, StepState::Failed, note, at);
        Ok(if stops { Outcome::Order(RunOrder::Stop { run: self.number }) } else { Outcome::Settled })
    }

    /// # Errors
    /// No reason, an approval, or the step is not next.
    pub fn skip(&mut self, number: u16, reason: &str, by: &Asker, at: Timestamp) -> Result<Outcome, RunError> {
        self.live()?;
        by.may(Right::Operate)?;
        let (index, step, state) = self.at_step(number)?;
        if reason.trim().is_empty() {
            return Err(RunError::Invalid("say why the step is skipped".to_owned()));
        }
        let not_now = |why: &str| state.not_now(number, why);
        if step.action == Action::Approve {
            return Err(not_now("an approval cannot be skipped"));
        }
        match state.state {
            StepState::Ready | StepState::Asked | StepState::Failed | StepState::RolledBack => {}
            StepState::Waiting => return Err(not_now("the steps before it are not settled")),
            StepState::Running => return Err(not_now("it is under way")),
            StepState::Skipped => return Ok(Outcome::Repeated),
            StepState::Done => return Err(not_now("it is done")),
        }
        self.steps[index].by = Some(Arc::clone(&by.name));
        self.close(index, StepState::Skipped, reason.trim(), at);
        Ok(Outcome::Settled)
    }

    /// A person undid what the step did. The newest goes first.
    ///
    /// # Errors
    /// Nothing was done, nothing says how to undo it, or a later step still stands.
    pub fn roll_back(&mut self, number: u16, note: &str, by: &Asker, at: Timestamp) -> Result<Outcome, RunError> {
        let (index, step, state) = self.own_step(number, by)?;
        let not_now = |why: &str| state.not_now(number, why);
        match state.state {
            StepState::Done | StepState::Failed => {}
            StepState::RolledBack => return Ok(Outcome::Repeated),
            StepState::Waiting | StepState::Ready | StepState::Asked | StepState::Running | StepState::Skipped => {
                return Err(not_now("there is nothing to undo"));
            }
        }
        if step.rollback.is_none() {
            return Err(not_now("the runbook does not say how to undo it"));
        }
        let stands = |step: &StepRun| {
            matches!(step.state, StepState::Done | StepState::Failed | StepState::Running | StepState::Asked)
        };
        if self.steps.iter().skip(index + 1).any(stands) {
            return Err(not_now("later steps still stand: undo the newest first"));
        }
        self.steps[index].by = Some(Arc::clone(&by.name));
        self.close(index, StepState::RolledBack, note, at);
        Ok(Outcome::Settled)
    }

    /// How a command or power step ended.
    ///
    /// # Errors
    /// Another attempt is the newest, or it is not under way any more.
    pub fn report(
        &mut self,
        number: u16,
        attempt: u32,
        (well, output): (bool, &str),
        at: Timestamp,
    ) -> Result<Outcome, RunError> {
        let (index, _, state) = self.at_step(number)?;
        if state.attempt != attempt || state.state != StepState::Running || !self.phase.is_live() {
            return Err(RunError::Stale { step: number, sent: attempt, now: state.attempt });
        }
        self.told(index, (well, output), at);
        Ok(Outcome::Settled)
    }

    /// What a `check` or `wait_for` step found.
    pub fn found(&mut self, number: u16, (well, output): (bool, &str), at: Timestamp) {
        if let Ok((index, _, state)) = self.at_step(number)
            && state.state == StepState::Running
        {
            self.told(index, (well, output), at);
        }
    }

    fn told(&mut self, index: usize, (well, output): (bool, &str), at: Timestamp) {
        self.steps[index].output = capped(output);
        self.close(index, if well { StepState::Done } else { StepState::Failed }, "", at);
    }

    /// Fails what is under way for longer than it may; the number of the step, if there is one.
    pub fn expire(&mut self, at: Timestamp) -> Option<u16> {
        let late = |step: &StepRun| step.state == StepState::Running && step.deadline.is_some_and(|end| at >= end);
        let index = self.steps.iter().position(late)?;
        let acts = self
            .runbook
            .steps
            .get(index)
            .is_some_and(|step| matches!(step.action, Action::Command { .. } | Action::Power { .. }));
        let note = if acts {
            "timed out: nobody told how it ended, so whether it was done is not known"
        } else {
            "timed out: what it waits for did not come in time"
        };
        self.close(index, StepState::Failed, note, at);
        u16::try_from(index + 1).ok()
    }

    /// What stands against the end; `cause` = why the cause itself is not gone.
    pub fn missing(&self, cause: Vec<String>) -> Vec<String> {
        let mut missing = Vec::new();
        for (index, step) in self.steps.iter().enumerate().filter(|(index, _)| !self.is_settled(*index)) {
            missing.push(format!("step {} is {}", index + 1, step.state.as_str().replace('_', " ")));
        }
        missing.extend(cause);
        missing.extend(self.verification.missing());
        missing
    }

    /// # Errors
    /// Steps are open, the verification has not seen enough, or the cause is still there: all is in the text.
    pub fn finish(&mut self, cause: Vec<String>, by: &Asker, at: Timestamp) -> Result<Outcome, RunError> {
        if self.phase == RunPhase::Finished {
            return Ok(Outcome::Repeated);
        }
        self.live()?;
        by.may(Right::Operate)?;
        let missing = self.missing(cause);
        if !missing.is_empty() {
            return Err(RunError::Missing { run: self.number, missing });
        }
        self.end(RunPhase::Finished, &by.name, at);
        self.why = Arc::default();
        Ok(Outcome::Settled)
    }

    /// # Errors
    /// It is over, or no reason is given.
    pub fn abort(&mut self, why: &str, by: &Asker, at: Timestamp) -> Result<Outcome, RunError> {
        if self.phase == RunPhase::Aborted {
            return Ok(Outcome::Repeated);
        }
        self.live()?;
        by.may(Right::Operate)?;
        if why.trim().is_empty() {
            return Err(RunError::Invalid("say why the run is aborted".to_owned()));
        }
        for step in &mut self.steps {
            if matches!(step.state, StepState::Running | StepState::Asked) {
                step.state = StepState::Failed;
                step.ended_at = Some(at);
                step.note = "the run was aborted".into();
            }
        }
        self.end(RunPhase::Aborted, &by.name, at);
        self.why = why.trim().into();
        Ok(Outcome::Order(RunOrder::Stop { run: self.number }))
    }

    /// A check of the verification failed though the run was finished.
    pub fn reopen(&mut self, why: &str, at: Timestamp) {
        if self.phase == RunPhase::Finished {
            self.phase = RunPhase::Reopened;
            self.why = why.into();
            self.ended_at = None;
            self.ended_by = None;
            self.verification.begin(at);
            self.changed = at;
        }
    }

    fn end(&mut self, phase: RunPhase, by: &Arc<str>, at: Timestamp) {
        self.phase = phase;
        self.ended_at = Some(at);
        self.ended_by = Some(Arc::clone(by));
        self.changed = at;
    }

    fn close(&mut self, index: usize, state: StepState, note: &str, at: Timestamp) {
        let step = &mut self.steps[index];
        step.state = state;
        step.ended_at = Some(at);
        step.deadline = None;
        step.note = capped(note.trim());
        self.settle(at);
    }
}

impl StepRun {
    fn not_now(&self, step: u16, why: &str) -> RunError {
        RunError::NotNow { step, state: self.state, why: why.to_owned() }
    }

    /// Whoever names an attempt means the newest.
    fn meant(&self, step: u16, attempt: Option<u32>) -> Result<(), RunError> {
        match attempt {
            Some(sent) if sent != self.attempt => Err(RunError::Stale { step, sent, now: self.attempt }),
            Some(_) | None => Ok(()),
        }
    }
}

impl Asker {
    fn may(&self, needs: Right) -> Result<(), RunError> {
        if self.right >= needs {
            return Ok(());
        }
        Err(RunError::Forbidden { who: Arc::clone(&self.name), has: self.right, needs })
    }
}

/// Conditions of a step that do not hold, each with why.
pub fn unmet(step: &Step, facts: &Observation) -> Vec<String> {
    let unmet = step.needs.iter().filter_map(|need| match need.holds(facts) {
        Ok(true) => None,
        Ok(false) => Some(format!("`{}` does not hold", need.text)),
        Err(why) => Some(format!("whether `{}` holds is not known: {why}", need.text)),
    });
    unmet.collect()
}
