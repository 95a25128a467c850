//! The engine over recorded inputs with virtual time: what a service would have said, without clock, disk or network.

mod due;
pub mod expect;
mod input;
pub mod output;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::Value as Json;
use stentor_core::catalog::Catalog;
use stentor_core::engine::{CheckResult, CommandInput, Effects, Engine, Event, EventKind, Input, ResultSource, Took};
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::model::{
    Delivery, DeliveryOutcome, Incident, Notification, ObjectKey, Observation, Outcome, ServiceState, StateKind,
};
use stentor_core::{Span, Timestamp};

use crate::nagios::external::{self, Order, World, describe};
use crate::probes::exec::{Ended, reported};
use due::Due;
use input::{Refusal, Said, Step, What};

/// As the running service ticks: once a second at pace 1, never closer than this.
const TICK: Span = Span::from_secs(1);
const TICK_MIN: Span = Span::from_millis(50);

/// What to print beside the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Explain {
    #[default]
    Nothing,
    Everything,
    /// Only what concerns this host or service.
    About(ObjectKey),
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Virtual time goes on to here after the last input.
    pub until: Option<Timestamp>,
    pub explain: Explain,
    /// Print each check that the service would start.
    pub schedule: bool,
}

/// Replays all lines of a recording; true if every line was understood.
///
/// # Errors
/// The output cannot be written.
pub fn replay(catalog: &Arc<Catalog>, events: &str, options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    let lines: Vec<(usize, Result<Step, Refusal>)> = events
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| (index + 1, input::parse(line)))
        .collect();
    let told = lines.iter().filter_map(|(_, step)| match &step.as_ref().ok()?.what {
        What::Delivery { key, .. } => Some(key.clone()),
        What::Result { .. } | What::Command(_) | What::Signal(_) | What::Show => None,
    });
    let mut print = |line: &Json| writeln!(out, "{line}");
    let mut run = Run::new(told.collect(), &options.explain, &mut print);
    run.schedules = options.schedule;
    for (number, step) in lines {
        run.line(catalog, number, step)?;
    }
    if let Some(now) = run.now {
        run.advance(options.until.unwrap_or(now).max(now), true)?;
    }
    let clean = run.clean;
    out.flush()?;
    Ok(clean)
}

/// Whether what is due at the very instant belongs to it.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Before {
    Including,
    Excluding,
}

/// Where lines go as they are said.
type Print<'a> = &'a mut dyn FnMut(&Json) -> io::Result<()>;

struct Run<'a> {
    engine: Engine,
    /// Virtual time; `None` before the first input.
    now: Option<Timestamp>,
    ticked: Option<Timestamp>,
    /// Inputs came since the last tick.
    fresh: bool,
    seq: u64,
    /// Notifications whose outcome the recording tells; all others are accepted at once.
    outcomes: BTreeSet<String>,
    /// State, kind and attempt as last printed.
    shown: BTreeMap<ObjectId, (u8, StateKind, u16)>,
    sent: BTreeMap<Arc<str>, Notification>,
    /// Messages so far by incident, contact and channel.
    counts: BTreeMap<(u64, Arc<str>, Arc<str>), u32>,
    explain: &'a Explain,
    schedules: bool,
    due: Option<Due>,
    clean: bool,
    out: Print<'a>,
}

impl<'a> Run<'a> {
    fn new(outcomes: BTreeSet<String>, explain: &'a Explain, out: Print<'a>) -> Run<'a> {
        Run {
            engine: Engine::new(),
            now: None,
            ticked: None,
            fresh: false,
            seq: 0,
            outcomes,
            shown: BTreeMap::new(),
            sent: BTreeMap::new(),
            counts: BTreeMap::new(),
            explain,
            schedules: false,
            due: None,
            clean: true,
            out,
        }
    }
}

impl Run<'_> {
    fn line(&mut self, catalog: &Arc<Catalog>, number: usize, step: Result<Step, Refusal>) -> io::Result<()> {
        let step = match step {
            Ok(step) => step,
            Err((at, message)) => {
                return self.complain(at.or(self.now).unwrap_or(Timestamp::ZERO), number, &message);
            }
        };
        if let Some(now) = self.now
            && step.at < now
        {
            return self.complain(now, number, "`at` lies before the line above: time never runs backwards");
        }
        self.begin(catalog, step.at)?;
        // An input comes before what is due at the same instant; a look comes after it.
        self.advance(step.at, step.what == What::Show)?;
        self.now = Some(step.at);
        if let Err(message) = self.step(step)? {
            let now = self.now.unwrap_or(Timestamp::ZERO);
            self.complain(now, number, &message)?;
        }
        Ok(())
    }

    /// Before anything else the engine learns what there is to watch.
    fn begin(&mut self, catalog: &Arc<Catalog>, at: Timestamp) -> io::Result<()> {
        if self.now.is_some() {
            return Ok(());
        }
        self.now = Some(at);
        self.due = self.schedules.then(|| Due::new(catalog, at));
        self.apply(at, &Input::Catalog(Arc::clone(catalog)))
    }

    fn complain(&mut self, at: Timestamp, number: usize, message: &str) -> io::Result<()> {
        self.clean = false;
        self.print(output::error(at, number, message))
    }

    /// Keys in alphabetical order: whether JSON objects remember another one depends on how the program was built.
    fn print(&mut self, mut line: Json) -> io::Result<()> {
        line.sort_all_objects();
        (self.out)(&line)
    }

    /// Ticks at every instant at which time alone may do something.
    fn advance(&mut self, to: Timestamp, inclusive: bool) -> io::Result<()> {
        while let Some(due) = self.next_tick()
            && (due < to || (inclusive && due == to))
        {
            self.checks_due(due, Before::Including)?;
            self.apply(due, &Input::Tick)?;
            self.ticked = Some(due);
            self.fresh = false;
        }
        self.checks_due(to, if inclusive { Before::Including } else { Before::Excluding })?;
        self.now = Some(self.now.unwrap_or(to).max(to));
        Ok(())
    }

    /// Prints the checks that start until then, each at its time.
    fn checks_due(&mut self, to: Timestamp, before: Before) -> io::Result<()> {
        let Some(mut due) = self.due.take() else { return Ok(()) };
        let mut done = Ok(());
        while done.is_ok()
            && let Some(at) = due.next_at()
            && (at < to || (before == Before::Including && at == to))
        {
            while done.is_ok()
                && let Some(object) = due.pop(&self.engine, at)
            {
                done = self.print(output::check_due(at, self.engine.catalog(), object));
            }
        }
        self.due = Some(due);
        done
    }

    fn next_tick(&self) -> Option<Timestamp> {
        let step = TICK.at_pace(self.engine.catalog().timing.pace).max(TICK_MIN);
        let due = if self.fresh { self.now? } else { self.engine.next_due()?.max(self.ticked? + step) };
        let (due, step) = (due.as_millis(), step.as_millis());
        Some(Timestamp::from_millis(due.div_euclid(step) * step + if due.rem_euclid(step) == 0 { 0 } else { step }))
    }

    fn step(&mut self, step: Step) -> io::Result<Result<(), String>> {
        let at = step.at;
        match step.what {
            What::Show => {
                self.show(at)?;
                return Ok(Ok(()));
            }
            What::Signal(signal) => self.apply(at, &Input::Signal(signal))?,
            What::Result { object, active, said } => {
                let source = if active { ResultSource::Active } else { ResultSource::Passive };
                let observation = self.observation(&object, said);
                return self.result(at, &object, at, source, Arc::new(observation));
            }
            What::Delivery { key, accepted } => {
                let Some(sent) = self.sent.get(key.as_str()) else {
                    return Ok(Err(format!("there was no notification `{key}`")));
                };
                let outcome = if accepted {
                    DeliveryOutcome::Accepted("accepted".to_owned())
                } else {
                    DeliveryOutcome::Failed("failed".to_owned())
                };
                let delivery = delivery(sent, outcome);
                self.apply(at, &Input::Delivery(delivery))?;
            }
            What::Command(line) => return self.command(at, &line),
        }
        Ok(Ok(()))
    }

    fn command(&mut self, at: Timestamp, line: &str) -> io::Result<Result<(), String>> {
        let catalog = Arc::clone(self.engine.catalog());
        let nobody: Arc<str> = "".into();
        let world = World {
            catalog: &catalog,
            downtimes: self.engine.downtimes(),
            comments: self.engine.comments(),
            now: at,
            user: &nobody,
        };
        let commands = match external::order(line, &world) {
            Ok(Order::Commands(commands)) => commands,
            Ok(Order::Result { object, observed_at, observation }) => {
                return self.result(at, &object, observed_at, ResultSource::Passive, Arc::new(observation));
            }
            Ok(Order::Program(_) | Order::File { .. }) => {
                return Ok(Err("a replay has no process and no files".to_owned()));
            }
            Err(why) => return Ok(Err(why)),
        };
        for command in commands {
            let effects = self.engine_apply(at, &Input::Command(CommandInput { command, raw: None, id: None }));
            let refused = match &effects.reply {
                Some(Err(error)) => Some(error.to_string()),
                Some(Ok(_)) | None => None,
            };
            self.tell(at, effects)?;
            if let Some(why) = refused {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    fn result(
        &mut self,
        at: Timestamp,
        key: &ObjectKey,
        observed_at: Timestamp,
        source: ResultSource,
        observation: Arc<Observation>,
    ) -> io::Result<Result<(), String>> {
        let Some(object) = self.engine.catalog().object_id(key) else {
            return Ok(Err(format!("there is no {}", describe(key))));
        };
        let result = CheckResult { object, observed_at, source, observation, id: None, took: Took::default() };
        let effects = self.engine_apply(at, &Input::Result(result));
        self.state(at, object)?;
        self.tell(at, effects)?;
        Ok(Ok(()))
    }

    /// What a plugin said of an object of a Nagios tree is read as Nagios reads it.
    fn observation(&self, object: &ObjectKey, said: Said) -> Observation {
        let (ended, printed) = match said {
            Said::Seen(observation) => return observation,
            Said::Plugin { ended, printed } => (ended, printed),
        };
        let catalog = self.engine.catalog();
        let is_nagios = catalog.object_id(object).is_some_and(|id| catalog.nagios.member(id).is_some());
        let seen = reported(ended, printed.as_bytes(), is_nagios.then_some(object));
        match ended {
            // As the `exec` probe says it unless it is configured.
            Ended::TimedOut(_) if !is_nagios => {
                Observation { outcome: Outcome::Reported(ServiceState::Critical), ..seen }
            }
            Ended::TimedOut(_) | Ended::Exited(_) | Ended::Abnormally => seen,
        }
    }

    fn apply(&mut self, at: Timestamp, input: &Input) -> io::Result<()> {
        let effects = self.engine_apply(at, input);
        self.tell(at, effects)
    }

    fn engine_apply(&mut self, at: Timestamp, input: &Input) -> Effects {
        self.seq += 1;
        self.fresh = true;
        self.engine.begin_turn(self.seq);
        self.engine.apply(at, input)
    }

    fn tell(&mut self, at: Timestamp, effects: Effects) -> io::Result<()> {
        if let Some(due) = &mut self.due {
            due.request(&effects.checks, at);
        }
        for event in &effects.events {
            self.event(at, event)?;
        }
        for held in &effects.withheld {
            let incident = self.engine.incident(held.incident).cloned();
            let explain = incident.as_ref().is_some_and(|incident| self.explains(incident));
            self.print(output::suppressed(at, held, incident.as_ref(), explain))?;
        }
        for text in &effects.log {
            self.print(output::log(at, text))?;
        }
        for held in &effects.held_notices {
            let explain = self.explains_object(&held.object);
            self.print(output::held_notice(at, held, explain))?;
        }
        for notice in effects.notices {
            let explain = self.explains_object(&notice.object);
            self.print(output::notice(at, &notice, explain))?;
            let site = Arc::clone(&self.engine.catalog().site);
            self.sent.insert(Arc::clone(&notice.key), Notification::of_notice(notice, &site));
        }
        for sent in effects.notifications {
            let slot = (sent.incident.number, Arc::clone(&sent.contact), Arc::clone(&sent.channel));
            let number = self.counts.entry(slot).and_modify(|count| *count += 1).or_insert(1);
            let line = output::notification(at, &sent, *number, self.explains(&sent.incident));
            self.print(line)?;
            if !self.outcomes.contains(&*sent.key) {
                let accepted = delivery(&sent, DeliveryOutcome::Accepted("accepted".to_owned()));
                self.engine_apply(at, &Input::Delivery(accepted));
            }
            self.sent.insert(Arc::clone(&sent.key), sent);
        }
        Ok(())
    }

    fn event(&mut self, at: Timestamp, event: &Event) -> io::Result<()> {
        let phase = match event.kind {
            EventKind::ServiceState | EventKind::HostState => {
                let object = event.object.as_ref().and_then(|key| self.engine.catalog().object_id(key));
                return object.map_or(Ok(()), |object| self.state(at, object));
            }
            EventKind::IncidentOpened => "opened",
            EventKind::IncidentChanged => "changed",
            EventKind::IncidentResolved => "resolved",
            EventKind::IncidentClosed => "closed",
            EventKind::Acknowledged
            | EventKind::Unacknowledged
            | EventKind::DowntimeStarted
            | EventKind::DowntimeEnded
            | EventKind::DowntimeScheduled
            | EventKind::DowntimeCancelled
            | EventKind::Notified
            | EventKind::NotificationFailed
            | EventKind::Withheld
            | EventKind::CoreChanged
            | EventKind::BusinessChanged
            | EventKind::Unwatched
            | EventKind::CatalogLoaded
            | EventKind::Note
            | EventKind::Runbook => return Ok(()),
        };
        let incident = event.incident.and_then(|number| self.engine.incident(number)).cloned();
        incident.map_or(Ok(()), |incident| self.print(output::incident(at, phase, &event.text, &incident)))
    }

    /// Prints an object's state if it differs from what was printed last.
    fn state(&mut self, at: Timestamp, object: ObjectId) -> io::Result<()> {
        let row = *self.engine.row(object);
        let seen = (row.state, row.kind, row.attempt);
        if row.is_pending() || self.shown.insert(object, seen) == Some(seen) {
            return Ok(());
        }
        self.print(output::state(at, &self.engine, object))
    }

    /// Every object, each host before its services.
    fn show(&mut self, at: Timestamp) -> io::Result<()> {
        let catalog = Arc::clone(self.engine.catalog());
        for (index, host) in catalog.hosts.iter().enumerate() {
            self.print(output::object(at, &self.engine, ObjectId::Host(HostId::from_index(index))))?;
            let mut services: Vec<ServiceId> = host.services.clone();
            services.sort_by_key(|id| Arc::clone(&catalog.services[id.index()].name));
            for id in services {
                self.print(output::object(at, &self.engine, ObjectId::Service(id)))?;
            }
        }
        Ok(())
    }

    fn explains_object(&self, object: &ObjectKey) -> bool {
        match self.explain {
            Explain::Nothing => false,
            Explain::Everything => true,
            Explain::About(about) => {
                about.host == object.host && (about.service.is_none() || about.service == object.service)
            }
        }
    }

    fn explains(&self, incident: &Incident) -> bool {
        let about = match self.explain {
            Explain::Nothing => return false,
            Explain::Everything => return true,
            Explain::About(key) => key,
        };
        let target = &incident.verdict.target;
        let of_target = target.host.as_deref() == Some(&*about.host)
            && (about.service.is_none() || about.service == target.component);
        let concerned =
            |key: &ObjectKey| key.host == about.host && (about.service.is_none() || key.service == about.service);
        of_target || incident.problems.iter().any(concerned)
    }
}

fn delivery(sent: &Notification, outcome: DeliveryOutcome) -> Delivery {
    Delivery {
        key: Arc::clone(&sent.key),
        incident: sent.incident.number,
        contact: Arc::clone(&sent.contact),
        channel: Arc::clone(&sent.channel),
        reason: sent.reason,
        outcome,
    }
}

#[cfg(test)]
mod tests;
