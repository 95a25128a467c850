//! Commands by the agents of hosts: what each says it takes, and the orders that wait for it. An order is taken once, by
//! one start of the agent, and answered once.
//!
//! Kept in memory only: what was under way when Stentor ended has failed ([`super::start`]), and the ids of this start
//! mean nothing to the next one, so that no order outlives it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use stentor_core::runbook::order::{fits, shown};
use stentor_core::runbook::{Order, capped};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::Ended;
use super::command::printable;

/// An agent speaks every 2 s, and at least every 10 s when it has trouble with us.
const SILENT_AFTER: Duration = Duration::from_secs(15);
/// An order that no agent has taken by then is taken back. With [`ANSWER_WITHIN`] less than what the engine allows
/// beyond the time limit of a step (30 s), so that it hears from us why.
const TAKEN_WITHIN: Duration = Duration::from_secs(12);
/// Beyond its time limit, for the way back.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Orders of one host that wait or are under way.
const ORDERS_MAX: usize = 8;
/// What is kept of an agent's list: it refuses longer ones itself.
pub const ENTRIES_MAX: usize = 256;
pub const WORDS_MAX: usize = 64;
pub const WORD_BYTES_MAX: usize = 4096;
/// An order says at most so many things: that it begins, and how it ended.
const TOLD_MAX: usize = 4;

/// Words of commands, as an allow-list has them.
pub type Entries = Vec<Vec<Arc<str>>>;

/// What an agent says of itself with each push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It does not know orders.
    Old,
    /// It shows a token that is good for other hosts too, or a person's: what such a one says of a command proves nothing.
    Foreign,
    /// Empty = its host has not opted in.
    These { start: Arc<str>, entries: Entries },
}

impl Takes {
    /// What an agent says, without what is beyond the limits.
    pub fn these(start: Arc<str>, entries: Entries) -> Takes {
        let small =
            |entry: &Vec<Arc<str>>| entry.len() <= WORDS_MAX && entry.iter().all(|word| word.len() <= WORD_BYTES_MAX);
        Takes::These { start, entries: entries.into_iter().filter(small).take(ENTRIES_MAX).collect() }
    }

    /// Why it takes none, and what helps.
    fn objection(&self, host: &str) -> Option<String> {
        const ELSE: &str = "or do it by hand and skip the step with a note";
        match self {
            Takes::Old => Some(format!(
                "the agent of `{host}` is too old to take commands: bring it up to date and start it with `--commands FILE` \
                 (docs/agent.md), {ELSE}"
            )),
            Takes::Foreign => Some(format!(
                "the agent of `{host}` shows a token that is not its own: commands need one of `stentor user token --agent \
                 {host}`, or a certificate that names it; {ELSE}"
            )),
            Takes::These { entries, .. } if entries.is_empty() => Some(format!(
                "the agent of `{host}` takes no commands: start it with `--commands FILE` (docs/agent.md), {ELSE}"
            )),
            Takes::These { .. } => None,
        }
    }
}

/// An order as the agent of its host reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offered {
    pub id: Arc<str>,
    pub run: u64,
    pub step: u16,
    pub attempt: u32,
    pub argv: Vec<Arc<str>>,
    pub within_ms: i64,
}

/// For an agent, in the answer to its push.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub orders: Vec<Offered>,
    /// Taken by it, and not wanted any more.
    pub stop: Vec<Arc<str>>,
}

/// What an agent tells of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tale {
    /// May it? Nothing was run yet.
    Begun,
    /// It was not and will not be run.
    Refused(String),
    Ended(Ended),
}

/// Why what an agent tells changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("there is no such order, or not any more")]
    Unknown,
    #[error("the order was taken back")]
    TakenBack,
    #[error("the order was taken by another start of this agent")]
    Another,
    #[error("the order was not begun")]
    NotBegun,
    #[error("the order was begun")]
    Begun,
}

#[derive(Debug)]
enum State {
    Offered,
    /// By that start of the agent.
    Taken(Arc<str>),
    /// Taken, and nobody waits for it any more; forgotten at that time.
    TakenBack(Arc<str>, Instant),
}

#[derive(Debug)]
struct Waiting {
    offered: Offered,
    state: State,
    told: mpsc::Sender<Told>,
}

/// What the executor hears of its order.
#[derive(Debug)]
enum Told {
    Begun,
    Over(Ended),
}

#[derive(Debug, Default)]
struct Desk {
    heard: Option<(Instant, Takes)>,
    orders: Vec<Waiting>,
}

impl Desk {
    /// The newest of what its agent says, unless that is old.
    fn takes(&self) -> Option<&Takes> {
        self.heard.as_ref().filter(|(at, _)| at.elapsed() < SILENT_AFTER).map(|(_, takes)| takes)
    }

    fn end(&mut self, id: &str, ended: Ended) {
        if let Some(index) = self.orders.iter().position(|waiting| *waiting.offered.id == *id) {
            // Who has gone does not want to know.
            let _ = self.orders.swap_remove(index).told.try_send(Told::Over(ended));
        }
    }
}

/// The desks of all hosts.
#[derive(Debug)]
pub struct Agents {
    /// Random, so that ids of this start mean nothing to another.
    start: u64,
    newest: AtomicU64,
    desks: Mutex<BTreeMap<Arc<str>, Desk>>,
}

impl Agents {
    /// `start` = a random number.
    pub fn of_start(start: u64) -> Agents {
        Agents { start, newest: AtomicU64::new(0), desks: Mutex::default() }
    }

    fn desks(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Desk>> {
        // Nothing panics while it is held.
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent of a host pushed. What it is to do, if it takes commands at all.
    pub fn heard(&self, host: &str, takes: Takes) -> Answer {
        let mut desks = self.desks();
        let desk = desks.entry(host.into()).or_default();
        // Whoever may speak for all hosts must not talk over the host's own agent.
        let is_foreign = takes == Takes::Foreign;
        if is_foreign && matches!(desk.takes(), Some(Takes::Old | Takes::These { .. })) {
            return Answer::default();
        }
        let objection = takes.objection(host);
        let now_start = if let Takes::These { start, .. } = &takes { Some(Arc::clone(start)) } else { None };
        desk.heard = Some((Instant::now(), takes));
        let mut over = Vec::new();
        for waiting in &desk.orders {
            let id = Arc::clone(&waiting.offered.id);
            match (&waiting.state, &objection) {
                (State::Offered, Some(why)) => over.push((id, Ended::failed(why.clone()))),
                (State::Taken(start) | State::TakenBack(start, _), _)
                    if !is_foreign && now_start.as_ref() != Some(start) =>
                {
                    let why = "the agent was restarted meanwhile: whether it was done is not known";
                    over.push((id, Ended::failed(why)));
                }
                (State::TakenBack(_, until), _) if *until <= Instant::now() => over.push((id, Ended::failed(""))),
                (State::Offered | State::Taken(_) | State::TakenBack(..), _) => {}
            }
        }
        over.into_iter().for_each(|(id, ended)| desk.end(&id, ended));
        if objection.is_some() {
            return Answer::default();
        }
        let mut answer = Answer::default();
        for waiting in &desk.orders {
            match waiting.state {
                State::Offered => answer.orders.push(waiting.offered.clone()),
                State::Taken(_) => {}
                State::TakenBack(..) => answer.stop.push(Arc::clone(&waiting.offered.id)),
            }
        }
        answer
    }

    /// The agent of `host`, in its start `start`, tells of an order. The same told again changes nothing.
    ///
    /// # Errors
    /// The order is not there, or not this start's to take or to end.
    pub fn tells(&self, host: &str, id: &str, start: &Arc<str>, tale: Tale) -> Result<(), Rejected> {
        let mut desks = self.desks();
        let desk = desks.get_mut(host).ok_or(Rejected::Unknown)?;
        let waiting = desk.orders.iter_mut().find(|waiting| *waiting.offered.id == *id).ok_or(Rejected::Unknown)?;
        match (&waiting.state, tale) {
            (State::Offered, Tale::Begun) => {
                waiting.state = State::Taken(Arc::clone(start));
                let _ = waiting.told.try_send(Told::Begun);
            }
            // The answer to the first may have been lost.
            (State::Taken(by), Tale::Begun) if by == start => {}
            (State::Offered, Tale::Refused(why)) => {
                let why = printable(&capped(&why));
                desk.end(id, Ended::failed(format!("the agent of `{host}` refused: {why}")));
            }
            (State::Offered, Tale::Ended(_)) => return Err(Rejected::NotBegun),
            (State::Taken(by) | State::TakenBack(by, _), Tale::Ended(Ended { well, output })) if by == start => {
                desk.end(id, Ended { well, output: printable(&capped(&output)) });
            }
            (State::Taken(by) | State::TakenBack(by, _), Tale::Ended(_) | Tale::Refused(_) | Tale::Begun)
                if by != start =>
            {
                return Err(Rejected::Another);
            }
            (State::TakenBack(..), Tale::Begun) => return Err(Rejected::TakenBack),
            (State::Taken(_) | State::TakenBack(..), Tale::Refused(_) | Tale::Begun | Tale::Ended(_)) => {
                return Err(Rejected::Begun);
            }
        }
        Ok(())
    }

    /// Why a command would not be run by the agent of `host`, as far as is known now.
    pub fn objection(&self, host: &str, words: &[Arc<str>]) -> Option<String> {
        let desks = self.desks();
        let Some(takes) = desks.get(host).and_then(Desk::takes) else { return Some(silent(host)) };
        if let Takes::These { entries, .. } = takes
            && !entries.is_empty()
            && !entries.iter().any(|entry| fits(entry, words, |allowed, word| allowed == word))
        {
            return Some(format!("the agent of `{host}` does not allow {} in its `--commands` file", shown(words)));
        }
        takes.objection(host)
    }

    /// Has the agent of the host do it. Dropped = taken back, and stopped if it was begun.
    pub async fn carry_out(self: &Arc<Self>, order: &Order, words: &[Arc<str>]) -> Ended {
        let host = &order.host;
        let (ticket, mut told) = match self.offer(order, words) {
            Ok(offered) => offered,
            Err(why) => return Ended::failed(why),
        };
        match timeout(TAKEN_WITHIN, told.recv()).await {
            Ok(Some(Told::Over(ended))) => return ended,
            Ok(Some(Told::Begun)) => {}
            // Taken at the last moment counts.
            Ok(None) | Err(_) => {
                if ticket.take_back_unless_begun() {
                    return Ended::failed(self.why_not_taken(host));
                }
            }
        }
        let until = Instant::now() + order.within.to_std() + ANSWER_WITHIN;
        loop {
            match timeout_at(until, told.recv()).await {
                Ok(Some(Told::Begun)) => {}
                Ok(Some(Told::Over(ended))) => return ended,
                Ok(None) | Err(_) => {
                    let why = "the agent of the host has not told how it ended: whether it was done is not known";
                    return Ended::failed(why);
                }
            }
        }
    }

    fn offer(self: &Arc<Self>, order: &Order, words: &[Arc<str>]) -> Result<(Ticket, mpsc::Receiver<Told>), String> {
        let mut desks = self.desks();
        let desk = desks.entry(Arc::clone(&order.host)).or_default();
        if let Some(why) = desk.takes().and_then(|takes| takes.objection(&order.host)) {
            return Err(why);
        }
        if desk.orders.len() >= ORDERS_MAX {
            return Err(format!("{ORDERS_MAX} commands wait for the agent of `{}` already", order.host));
        }
        let number = self.newest.fetch_add(1, Ordering::Relaxed) + 1;
        let id: Arc<str> = format!("{:016x}-{number}", self.start).into();
        let offered = Offered {
            id: Arc::clone(&id),
            run: order.run,
            step: order.step,
            attempt: order.attempt,
            argv: words.to_vec(),
            within_ms: order.within.as_millis(),
        };
        let (tell, told) = mpsc::channel(TOLD_MAX);
        desk.orders.push(Waiting { offered, state: State::Offered, told: tell });
        Ok((
            Ticket { agents: Arc::clone(self), host: Arc::clone(&order.host), id, within: order.within.to_std() },
            told,
        ))
    }

    fn why_not_taken(&self, host: &str) -> String {
        let desks = self.desks();
        let desk = desks.get(host);
        if desk.and_then(Desk::takes).is_none() {
            return silent(host);
        }
        let busy = desk.is_some_and(|desk| desk.orders.iter().any(|other| !matches!(other.state, State::Offered)));
        if busy {
            return format!("it was not begun: the agent of `{host}` is busy with another command; try again then");
        }
        format!("it was not begun: the agent of `{host}` did not take it within {} s", TAKEN_WITHIN.as_secs())
    }
}

fn silent(host: &str) -> String {
    format!(
        "the agent of `{host}` is silent: see that `stentor agent` runs there and reaches Stentor, or do it by hand and skip \
         the step with a note"
    )
}

/// Somebody waits for that order.
struct Ticket {
    agents: Arc<Agents>,
    host: Arc<str>,
    id: Arc<str>,
    within: Duration,
}

impl Ticket {
    /// `false` = the agent has begun it.
    fn take_back_unless_begun(&self) -> bool {
        let mut desks = self.agents.desks();
        let Some(desk) = desks.get_mut(&self.host) else { return true };
        let begun = |waiting: &Waiting| waiting.offered.id == self.id && !matches!(waiting.state, State::Offered);
        if desk.orders.iter().any(begun) {
            return false;
        }
        desk.orders.retain(|waiting| waiting.offered.id != self.id);
        true
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.take_back_unless_begun() {
            return;
        }
        let mut desks = self.agents.desks();
        let orders = desks.get_mut(&self.host).into_iter().flat_map(|desk| &mut desk.orders);
        for waiting in orders.filter(|waiting| waiting.offered.id == self.id) {
            if let State::Taken(start) = &waiting.state {
                // By then it has ended by its own time limit.
                waiting.state = State::TakenBack(Arc::clone(start), Instant::now() + self.within + SILENT_AFTER);
            }
        }
    }
}

#[cfg(test)]
mod tests;
