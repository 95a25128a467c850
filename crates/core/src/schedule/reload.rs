//! A new plan takes over the queue of the old one: what waited waits on for the same time, what runs runs on. Only what
//! is new, or repeated at another interval, gets new times.

use std::cmp::Reverse;

use super::{EVERY_MIN, Entry, Schedule, Slot, State, Why};
use crate::{Span, Timestamp};

/// An entry of the new plan.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Carried {
    pub entry: Entry,
    /// The slot that the same check had in the old plan.
    pub was: Option<u32>,
}

impl Schedule {
    /// The queue of another plan. A check of both keeps its due time, its requests, its place among those that are
    /// caught up, and that it is being run; with another interval it runs when it was due, or at its new phase if that
    /// is earlier.
    pub fn reloaded(&self, carried: impl IntoIterator<Item = Carried>, at: Timestamp) -> Schedule {
        let mut next =
            Schedule { late_next_at: self.late_next_at, first_delay: self.first_delay, ..Schedule::default() };
        let mut first = Vec::new();
        let mut moved: Vec<Option<u32>> = vec![None; self.slots.len()];
        for Carried { entry, was } in carried {
            let known = was.and_then(|was| self.slots.get(was as usize)).filter(|old| old.state != State::Absent);
            let Some(old) = known else {
                next.add(&entry, at, &mut first);
                continue;
            };
            next.put(entry.slot, taken_over(old, &entry));
            if let Some(place) = was.and_then(|was| moved.get_mut(was as usize)) {
                *place = Some(entry.slot);
            }
        }
        let new_slot = |slot: u32| moved.get(slot as usize).copied().flatten();
        for &Reverse((due, was, ticket)) in &self.heap {
            if let (Some(why), Some(slot)) = (self.valid(was, ticket), new_slot(was)) {
                let due =
                    if self.configured(was) == next.configured(slot) { due } else { next.no_later(slot, due, why, at) };
                next.heap.push(Reverse((due, slot, ticket)));
            }
        }
        for &Reverse((order, due, was, ticket)) in &self.late {
            if let (Some(_), Some(slot)) = (self.valid(was, ticket), new_slot(was)) {
                next.late.push(Reverse((order, due, slot, ticket)));
            }
        }
        for &Reverse((due, hash, slot)) in &self.first {
            if let Some(slot) = new_slot(slot).filter(|_| self.waits_for_first(slot)) {
                next.first.push(Reverse((due, hash, slot)));
            }
        }
        next.spread(first, at);
        next
    }

    fn configured(&self, slot: u32) -> Option<Span> {
        self.slots.get(slot as usize).map(|place| place.configured)
    }

    /// When a check whose interval was changed runs: when it was due, or as the new interval wants if that is earlier.
    fn no_later(&self, slot: u32, due: Timestamp, why: Why, at: Timestamp) -> Timestamp {
        let Some(place) = self.slots.get(slot as usize) else { return due };
        match why {
            Why::Request => due.min(at + place.every.max(place.retry)),
            Why::Phase | Why::First | Why::CatchUp => due.min(self.next_phase(slot, at)),
        }
    }
}

fn taken_over(old: &Slot, entry: &Entry) -> Slot {
    let configured = entry.every.max(EVERY_MIN);
    let retry = entry.retry.max(EVERY_MIN);
    if old.configured == configured {
        return Slot { retry, ..old.clone() };
    }
    let phase = Span::from_millis((entry.hash % configured.as_millis().unsigned_abs()).cast_signed());
    Slot { configured, every: configured, retry, phase, ..old.clone() }
}
