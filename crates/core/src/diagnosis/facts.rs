//! What is known about one host, component or element: at most one fresh fact per source and kind.

use std::cmp::Ordering;
use std::sync::Arc;

use super::confidence::Plane;
use super::signal::Signal;
use crate::model::Value;
use crate::{Span, Timestamp};

/// One fact and who told it.
pub(super) struct Said {
    pub source: u64,
    pub signal: Arc<Signal>,
}

#[derive(Default)]
pub(super) struct Facts {
    fresh: Vec<Arc<Signal>>,
    /// Kinds of signals that were seen once and are too old now.
    pub stale: Vec<Arc<str>>,
}

impl Facts {
    /// Keeps one fact per (kind, vantage, thing); equal candidates are decided by value, so that order never matters.
    pub fn settle<'s>(said: impl Iterator<Item = &'s Arc<Signal>>, at: Timestamp, floor: Span) -> Facts {
        let mut facts = Facts::default();
        for signal in said {
            if signal.is_fresh(at, floor) {
                facts.fresh.push(Arc::clone(signal));
            } else {
                facts.stale.push(Arc::clone(&signal.sig));
            }
        }
        facts.fresh.sort_by(|a, b| {
            (&a.sig, &a.vantage)
                .cmp(&(&b.sig, &b.vantage))
                .then_with(|| thing(a).cmp(&thing(b)))
                .then_with(|| prefer(a, b, at))
                .then_with(|| b.observed_at.cmp(&a.observed_at))
                .then_with(|| b.value.to_string().cmp(&a.value.to_string()))
                .then_with(|| b.changed_at.cmp(&a.changed_at))
                .then_with(|| b.every.cmp(&a.every))
        });
        facts.fresh.dedup_by(|b, a| a.sig == b.sig && a.vantage == b.vantage && thing(a) == thing(b));
        facts.stale.sort_unstable();
        facts.stale.dedup();
        facts
    }

    /// Whether something of this kind was said once, and too long ago.
    pub fn has_stale(&self, sig: &str) -> bool {
        self.stale.iter().any(|stale| **stale == *sig)
    }

    /// Whether something of this kind was said once, and nothing of it in time.
    pub fn lost_sight_of(&self, sig: &str) -> bool {
        self.has_stale(sig) && self.newest(sig).is_none()
    }

    pub fn is_empty(&self) -> bool {
        self.fresh.is_empty()
    }

    pub fn everything(&self) -> impl Iterator<Item = &Arc<Signal>> {
        self.fresh.iter()
    }

    pub fn shared<'f>(&'f self, sig: &'f str) -> impl Iterator<Item = &'f Arc<Signal>> + 'f {
        self.fresh.iter().filter(move |signal| *signal.sig == *sig)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Signal> {
        self.fresh.iter().map(|signal| &**signal)
    }

    pub fn all<'f, 's>(&'f self, sig: &'s str) -> impl Iterator<Item = &'f Signal> + use<'f, 's> {
        self.fresh.iter().map(|signal| &**signal).filter(move |signal| *signal.sig == *sig)
    }

    /// The newest fact of a kind; this site's own view where two are equally new.
    pub fn newest(&self, sig: &str) -> Option<&Signal> {
        let mut best: Option<&Signal> = None;
        for signal in self.all(sig) {
            if best.is_none_or(|held| signal.observed_at > held.observed_at) {
                best = Some(signal);
            }
        }
        best
    }

    /// A fact of this kind with exactly this text.
    pub fn saying(&self, sig: &str, text: &str) -> Option<&Signal> {
        self.all(sig).find(|signal| signal.value.text().is_some_and(|value| value.eq_ignore_ascii_case(text)))
    }
}

/// Several checks may speak about one thing (two processes of one component). While all of them run, the choice must
/// not swing with whoever spoke last: a living network stack wins over silence, everywhere else trouble wins.
fn prefer(a: &Signal, b: &Signal, at: Timestamp) -> Ordering {
    let current = |signal: &Signal| signal.every > Span::ZERO && at.since(signal.observed_at) <= signal.every * 3;
    match (current(a), current(b)) {
        (true, true) => {
            let order = Plane::tells_trouble(b).cmp(&Plane::tells_trouble(a));
            if matches!(&*a.sig, "ping" | "ssh" | "port" | "agent") { order.reverse() } else { order }
        }
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => Ordering::Equal,
    }
}

/// What tells two facts of one kind apart: the disk, the power supply, the bond, the text of the log line.
fn thing(signal: &Signal) -> String {
    let member = |key: &str| signal.value.get(key).map(Value::to_string).unwrap_or_default();
    match &*signal.sig {
        "raid" => member("vd"),
        "psu" | "fan" | "temp" | "mem" | "smart" => {
            let id = member("id");
            if id.is_empty() { member("name") } else { id }
        }
        "bond" => member("name"),
        "path" => member("map"),
        "drbd" | "split_brain" => member("res"),
        "stack" => member("member"),
        "reports" => member("about"),
        // Two checks of one kind (two file systems) count side by side; a `name` ties the values of one check together.
        "resource" => {
            let name = member("name");
            let which = if name.is_empty() { member("detail") } else { name };
            format!("{}/{which}", member("kind"))
        }
        super::flapping::FLAPPING => member("sig"),
        "log" | "sel" | "fault" => signal.value.to_string(),
        _ => String::new(),
    }
}
