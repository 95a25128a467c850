//! What came in lately and what became of it: the newest traps with their fate, for whoever asks why one did nothing.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use stentor_core::{Span, Timestamp};

/// Traps that are kept to be looked at.
const SEEN_MAX: usize = 200;
/// Lines of the log of what did nothing; of more only the number is logged, until this span is over.
const TOLD_MAX: u32 = 10;
const TOLD_SPAN: Span = Span::from_secs(60);

/// What became of a trap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It became a result, or checks were asked for.
    Taken,
    /// A rule takes it and asks for nothing.
    Ignored,
    /// It says what stands already.
    Repeated,
    /// No rule is for it.
    Unmatched,
    /// No host has the address it came from.
    UnknownSource,
    /// The host does not have the service of the rule.
    NoService,
    /// Not let in.
    Refused,
}

impl Fate {
    pub const ALL: [Fate; 7] = [
        Fate::Taken,
        Fate::Ignored,
        Fate::Repeated,
        Fate::Unmatched,
        Fate::UnknownSource,
        Fate::NoService,
        Fate::Refused,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Fate::Taken => "taken",
            Fate::Ignored => "ignored",
            Fate::Repeated => "repeated",
            Fate::Unmatched => "unmatched",
            Fate::UnknownSource => "unknown_source",
            Fate::NoService => "no_service",
            Fate::Refused => "refused",
        }
    }

    /// Somebody should know that it did nothing.
    pub const fn is_lost(self) -> bool {
        matches!(self, Fate::Unmatched | Fate::UnknownSource | Fate::NoService | Fate::Refused)
    }
}

/// One trap, or something that was not let in.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub at: Timestamp,
    pub from: Option<IpAddr>,
    /// Whom it was about.
    pub host: Option<Arc<str>>,
    /// Its name or numbers; empty for what could not be read.
    pub trap: String,
    pub fate: Fate,
    pub rule: Option<Arc<str>>,
    /// For people: what was said, or what is wrong.
    pub text: String,
}

/// The newest first. Cheap to clone; the service writes, pages read.
#[derive(Clone, Default)]
pub struct Board {
    seen: Arc<ArcSwap<VecDeque<Arc<Seen>>>>,
}

impl Board {
    pub fn newest(&self) -> Arc<VecDeque<Arc<Seen>>> {
        self.seen.load_full()
    }

    /// For the one task that fills it.
    pub fn add(&self, seen: Seen) {
        let mut all = VecDeque::clone(&self.seen.load());
        all.truncate(SEEN_MAX - 1);
        all.push_front(Arc::new(seen));
        self.seen.store(Arc::new(all));
    }
}

/// Keeps a flood of lost traps from becoming a flood of log lines.
#[derive(Debug, Default)]
pub(super) struct Told {
    since: Timestamp,
    count: u32,
    silent: u64,
}

impl Told {
    /// `Some` if one more may be told now, with the number of those that were not.
    pub(super) fn ask(&mut self, at: Timestamp) -> Option<u64> {
        if at.since(self.since) >= TOLD_SPAN || at < self.since {
            self.since = at;
            self.count = 0;
        }
        if self.count >= TOLD_MAX {
            self.silent += 1;
            return None;
        }
        self.count += 1;
        Some(std::mem::take(&mut self.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_keeps_the_newest() {
        let board = Board::default();
        for number in 0..SEEN_MAX + 5 {
            let text = number.to_string();
            let (host, rule) = (None, None);
            board.add(Seen {
                at: Timestamp::ZERO,
                from: None,
                host,
                trap: String::new(),
                fate: Fate::Refused,
                rule,
                text,
            });
        }
        let seen = board.newest();
        assert_eq!((seen.len(), seen[0].text.as_str()), (SEEN_MAX, "204"));
    }

    #[test]
    fn a_flood_is_told_by_its_number() {
        let (mut told, start) = (Told::default(), Timestamp::from_secs(1000));
        let asked = (0..25).filter(|_| told.ask(start).is_some()).count();
        assert_eq!(asked, TOLD_MAX as usize);
        assert_eq!(told.ask(start + TOLD_SPAN), Some(15));
    }
}
