//! When each check is due: a deterministic queue in which every check keeps a phase of its own, so that neither a
//! restart nor a stall makes checks stampede. Knows no clock: the caller says what time it is.
//!
//! - A check runs at `phase + n * every`; the phase is a stable hash of its key.
//! - A new plan takes over what the old one knew ([`Schedule::reloaded`]): a reload moves no check.
//! - One that never ran does so within [`FIRST_WITHIN`], all of them evenly spread, then keeps its phase.
//! - One that missed its time by more than [`LATE_AFTER`] is caught up at a fifth of the steady rate while all others
//!   keep their phases: together at most 1.2 times the steady rate, and each is served within one interval at worst.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::{Span, Timestamp};

mod reload;

pub use reload::Carried;

/// First runs are spread over this long: 15 s are promised, two of them are left for running.
pub const FIRST_WITHIN: Span = Span::from_secs(13);

/// A check that starts later than this has missed its time.
pub const LATE_AFTER: Span = Span::from_secs(1);

/// Catch-up takes this part of the steady rate on top of it.
const CATCH_UP_PART: f64 = 0.2;

/// Catch-up never gets slower than this: with a handful of checks a fifth of the steady rate would take days, and one
/// run more in five seconds is no stampede.
const CATCH_UP_EVERY_MAX: Span = Span::from_secs(5);

/// The shortest interval; guards against a configuration that reaches zero.
const EVERY_MIN: Span = Span::from_millis(10);
/// What is not repeated by itself: longer than any process lives.
const NEVER: Span = Span::from_hours(24 * 3650);

/// What is scheduled, by position: the caller's dense number of the check.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Entry {
    pub slot: u32,
    /// [`stable_hash`] of the key.
    pub hash: u64,
    pub every: Span,
    /// Requests later than this (or than `every`) are taken for this long: no request switches a check off.
    pub retry: Span,
    /// When it last ran; `None` = never.
    pub last_run: Option<Timestamp>,
    /// When it runs for the first time; `None` = with all others that never ran, within [`FIRST_WITHIN`].
    pub first_at: Option<Timestamp>,
}

/// Why a check is due.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Why {
    /// It never ran.
    First,
    /// Its phase.
    Phase,
    /// Somebody asked: a retry, or a person.
    Request,
    /// Its time was missed earlier.
    CatchUp,
}

/// A check to run now. It stays out of the queue until [`Schedule::finish`] or [`Schedule::miss`].
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Due {
    pub slot: u32,
    /// When it should have started.
    pub due: Timestamp,
    pub why: Why,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum State {
    /// Not scheduled.
    Absent,
    /// In the heap, valid for one `ticket`.
    Queued { why: Why },
    /// Handed out; a request that came meanwhile.
    Running { requested: Option<Timestamp> },
}

#[derive(Clone, Debug)]
struct Slot {
    /// As configured, while `every` may have been changed by a command.
    configured: Span,
    every: Span,
    retry: Span,
    phase: Span,
    state: State,
    /// Entries of `heap` and `late` with another ticket are void.
    ticket: u32,
}

type Queued = Reverse<(Timestamp, u32, u32)>;

/// The queue. Time handed in must not run backwards; if it does, nothing is due until it has caught up.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    slots: Vec<Slot>,
    heap: BinaryHeap<Queued>,
    /// Missed ones; requests before phases, then the longest missed.
    late: BinaryHeap<Reverse<(bool, Timestamp, u32, u32)>>,
    late_next_at: Timestamp,
    /// Never ran: when each was meant to, its hash, its slot.
    first: BinaryHeap<Reverse<(Timestamp, u64, u32)>>,
    /// What stalls have put off first runs by: the gaps between them are the rate limit.
    first_delay: Span,
    /// Runs per millisecond if all goes well.
    steady_per_ms: f64,
}

/// A hash of a host and a service name that is the same on every machine and in every release (FNV-1a, then a mixer
/// so that names differing in the last letter are far apart).
pub fn stable_hash(host: &str, service: Option<&str>) -> u64 {
    let bytes = host.bytes().chain([0]).chain(service.unwrap_or_default().bytes());
    let fnv =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Probes of which one look at a host feeds all of its checks.
const ONE_LOOK: [&str; 1] = ["ipmi"];

/// The hash that gives a check its phase. Checks that one look feeds begin together: eight services of a controller are
/// one sweep over its sensors, not eight.
pub fn phase_hash(host: &str, service: Option<&str>, probe: &str) -> u64 {
    match service {
        Some(_) if ONE_LOOK.contains(&probe) => stable_hash(host, Some(probe)),
        _ => stable_hash(host, service),
    }
}

impl Schedule {
    /// A queue of `entries` that starts at `at`. Slots may have gaps; a slot given twice keeps the last.
    pub fn new(entries: impl IntoIterator<Item = Entry>, at: Timestamp) -> Schedule {
        let mut schedule = Schedule { late_next_at: at, ..Schedule::default() };
        let mut first = Vec::new();
        for entry in entries {
            schedule.add(&entry, at, &mut first);
        }
        schedule.spread(first, at);
        schedule
    }

    /// Takes in a check that no queue knows yet; one that never ran goes to `first` for [`Schedule::spread`].
    fn add(&mut self, entry: &Entry, at: Timestamp, first: &mut Vec<(u64, u32)>) {
        let every = entry.every.max(EVERY_MIN);
        let phase = Span::from_millis((entry.hash % every.as_millis().unsigned_abs()).cast_signed());
        let retry = entry.retry.max(EVERY_MIN);
        self.put(entry.slot, Slot { configured: every, every, retry, phase, ..Slot::absent() });
        match entry.last_run {
            None => match entry.first_at {
                None => first.push((entry.hash, entry.slot)),
                Some(due) => self.wait_for_first(entry.slot, entry.hash, due),
            },
            Some(last) => self.resume(entry.slot, last, at),
        }
    }

    fn put(&mut self, slot: u32, place: Slot) {
        let index = slot as usize;
        if self.slots.len() <= index {
            self.slots.resize(index + 1, Slot::absent());
        }
        self.steady_per_ms += 1.0 / place.every.as_millis() as f64;
        if let Some(old) = self.slots.get_mut(index) {
            *old = place;
        }
    }

    /// Gives those that never ran their times, evenly within [`FIRST_WITHIN`].
    fn spread(&mut self, mut first: Vec<(u64, u32)>, at: Timestamp) {
        first.sort_unstable();
        let gap_ms = FIRST_WITHIN.as_millis() as f64 / first.len().max(1) as f64;
        for (position, (hash, slot)) in first.into_iter().enumerate() {
            let due = at + Span::from_millis((gap_ms * position as f64) as i64);
            self.wait_for_first(slot, hash, due);
        }
    }

    fn wait_for_first(&mut self, slot: u32, hash: u64, due: Timestamp) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            place.state = State::Queued { why: Why::First };
            self.first.push(Reverse((due - self.first_delay, hash, slot)));
        }
    }

    /// A check that ran before: keeps its phase, and is caught up if a turn was missed, or would be because it had
    /// another phase when it last ran.
    fn resume(&mut self, slot: u32, last: Timestamp, at: Timestamp) {
        let due = self.next_phase(slot, at);
        self.queue(slot, due, Why::Phase);
        let Some(place) = self.slots.get(slot as usize) else { return };
        if last + place.every + LATE_AFTER < due {
            self.late.push(Reverse((true, last + place.every, slot, place.ticket)));
        }
    }

    /// Runs per second if nothing fails.
    pub fn steady_per_s(&self) -> f64 {
        self.steady_per_ms * 1000.0
    }

    /// The next check to run at `at`, if any is due.
    pub fn pop(&mut self, at: Timestamp) -> Option<Due> {
        // Looking at the queue may find missed ones, of which the first may run at once.
        self.pop_first(at).or_else(|| self.pop_late(at)).or_else(|| self.pop_queued(at)).or_else(|| self.pop_late(at))
    }

    fn pop_first(&mut self, at: Timestamp) -> Option<Due> {
        let (due, slot) = self.peek_first()?;
        if due > at {
            return None;
        }
        self.first.pop();
        // After a stall the spacing goes on from now.
        if at - due > LATE_AFTER {
            self.first_delay = self.first_delay + (at - due);
        }
        Some(self.hand_out(slot, due, Why::First))
    }

    /// The next first run, without those that were asked for and run meanwhile.
    fn peek_first(&mut self) -> Option<(Timestamp, u32)> {
        while let Some(&Reverse((planned, _, slot))) = self.first.peek() {
            if self.waits_for_first(slot) {
                return Some((planned + self.first_delay, slot));
            }
            self.first.pop();
        }
        None
    }

    fn waits_for_first(&self, slot: u32) -> bool {
        self.slots.get(slot as usize).is_some_and(|place| place.state == (State::Queued { why: Why::First }))
    }

    fn pop_late(&mut self, at: Timestamp) -> Option<Due> {
        if self.late_next_at > at {
            return None;
        }
        while let Some(&Reverse((_, due, slot, ticket))) = self.late.peek() {
            if due > at {
                return None;
            }
            self.late.pop();
            if self.valid(slot, ticket).is_some() {
                self.late_next_at = at + self.catch_up_gap();
                return Some(self.hand_out(slot, due, Why::CatchUp));
            }
        }
        None
    }

    fn pop_queued(&mut self, at: Timestamp) -> Option<Due> {
        while let Some(&Reverse((due, slot, ticket))) = self.heap.peek() {
            if due > at {
                return None;
            }
            self.heap.pop();
            let Some(why) = self.valid(slot, ticket) else { continue };
            if at - due > LATE_AFTER {
                self.put_off(slot, due, why, at);
                continue;
            }
            return Some(self.hand_out(slot, due, why));
        }
        None
    }

    /// When [`Schedule::pop`] may next give something; `None` if only `finish` or a request can change that.
    pub fn next_at(&mut self) -> Option<Timestamp> {
        while let Some(&Reverse((_, slot, ticket))) = self.heap.peek() {
            if self.valid(slot, ticket).is_some() {
                break;
            }
            self.heap.pop();
        }
        let queued = self.heap.peek().map(|&Reverse((due, _, _))| due);
        let first = self.peek_first().map(|(due, _)| due);
        let late = self.late.peek().map(|&Reverse((_, due, _, _))| due.max(self.late_next_at));
        [queued, first, late].into_iter().flatten().min()
    }

    /// The run of `slot` is over; its next is the request that came meanwhile, else its phase.
    pub fn finish(&mut self, slot: u32, at: Timestamp) {
        let Some(&Slot { state: State::Running { requested }, .. }) = self.slots.get(slot as usize) else { return };
        match requested {
            Some(due) => self.queue(slot, due.max(at), Why::Request),
            None => {
                let due = self.next_phase(slot, at);
                self.queue(slot, due, Why::Phase);
            }
        }
    }

    /// A check that was handed out must not run now, nor at its phase: it is asked for at `due`, however late that is.
    pub fn put_off_until(&mut self, slot: u32, due: Timestamp) {
        if let Some(Slot { state: State::Running { .. }, .. }) = self.slots.get(slot as usize) {
            self.queue(slot, due, Why::Request);
        }
    }

    /// Repeats `slot` at another interval from its next turn on; zero = not by itself any more.
    pub fn set_every(&mut self, slot: u32, every: Span) {
        let every = if every == Span::ZERO { NEVER } else { every.max(EVERY_MIN) };
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        if place.every == every || place.state == State::Absent {
            return;
        }
        self.steady_per_ms += 1.0 / every.as_millis() as f64 - 1.0 / place.every.as_millis() as f64;
        place.phase = Span::from_millis(place.phase.as_millis().rem_euclid(every.as_millis()));
        place.every = every;
    }

    /// A check that was handed out could not be started in time: it is caught up later.
    pub fn miss(&mut self, missed: Due, at: Timestamp) {
        let slot = missed.slot;
        match self.slots.get(slot as usize).map(|place| place.state) {
            Some(State::Running { requested: Some(due) }) => self.queue(slot, due.max(at), Why::Request),
            Some(State::Running { requested: None }) => self.put_off(slot, missed.due, missed.why, at),
            Some(State::Absent | State::Queued { .. }) | None => {}
        }
    }

    /// Runs `slot` at `due` instead of its phase; while it runs, the request waits for its end.
    pub fn request(&mut self, slot: u32, due: Timestamp, at: Timestamp) {
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        let due = due.max(at).min(at + place.every.max(place.retry));
        match &mut place.state {
            State::Absent => {}
            State::Running { requested } => *requested = Some(requested.map_or(due, |earlier| earlier.min(due))),
            State::Queued { .. } => self.queue(slot, due, Why::Request),
        }
    }

    /// `slot` is being run already, by a run that an older queue handed out and a plan between them did not know.
    pub fn mark_running(&mut self, slot: u32) {
        if let Some(place) = self.slots.get_mut(slot as usize)
            && place.is_queued()
        {
            place.start();
        }
    }

    fn hand_out(&mut self, slot: u32, due: Timestamp, why: Why) -> Due {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            place.start();
        }
        Due { slot, due, why }
    }

    /// Missed at `due`: runs at its next phase anyway, and earlier if catching up allows.
    fn put_off(&mut self, slot: u32, due: Timestamp, why: Why, at: Timestamp) {
        let next = self.next_phase(slot, at);
        self.queue(slot, next, Why::Phase);
        if let Some(place) = self.slots.get(slot as usize) {
            self.late.push(Reverse((why != Why::Request, due, slot, place.ticket)));
        }
    }

    fn queue(&mut self, slot: u32, due: Timestamp, why: Why) {
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        place.ticket = place.ticket.wrapping_add(1);
        place.state = State::Queued { why };
        self.heap.push(Reverse((due, slot, place.ticket)));
        self.drop_void_entries();
    }

    /// Keeps void entries from outnumbering the checks, however many requests come.
    fn drop_void_entries(&mut self) {
        const SPARE: usize = 1024;
        let slots = &self.slots;
        let is_valid = |slot: u32, ticket: u32| {
            slots.get(slot as usize).is_some_and(|place| place.is_queued() && place.ticket == ticket)
        };
        if self.heap.len() > 2 * slots.len() + SPARE {
            self.heap.retain(|&Reverse((_, slot, ticket))| is_valid(slot, ticket));
        }
        if self.late.len() > 2 * slots.len() + SPARE {
            self.late.retain(|&Reverse((_, _, slot, ticket))| is_valid(slot, ticket));
        }
    }

    fn valid(&self, slot: u32, ticket: u32) -> Option<Why> {
        match self.slots.get(slot as usize) {
            Some(&Slot { state: State::Queued { why }, ticket: current, .. }) if current == ticket => Some(why),
            Some(_) | None => None,
        }
    }

    /// The first instant of the check's phase after `at`.
    fn next_phase(&self, slot: u32, at: Timestamp) -> Timestamp {
        let Some(place) = self.slots.get(slot as usize) else { return at };
        let every = place.every.as_millis();
        let into = (at - place.phase).as_millis().rem_euclid(every);
        at + Span::from_millis(every - into)
    }

    fn catch_up_gap(&self) -> Span {
        let gap_ms = 1.0 / (self.steady_per_ms * CATCH_UP_PART).max(f64::MIN_POSITIVE);
        Span::from_millis(gap_ms.ceil().min(CATCH_UP_EVERY_MAX.as_millis() as f64) as i64)
    }
}

impl Slot {
    const fn absent() -> Slot {
        Slot {
            configured: EVERY_MIN,
            every: EVERY_MIN,
            retry: EVERY_MIN,
            phase: Span::ZERO,
            state: State::Absent,
            ticket: 0,
        }
    }

    const fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued { .. })
    }

    fn start(&mut self) {
        self.ticket = self.ticket.wrapping_add(1);
        self.state = State::Running { requested: None };
    }
}

#[cfg(test)]
mod tests;
