//! How long a service was in which state: from its changes, through windows of time, to availability and error budget.

use super::State;
use crate::{Span, Timestamp};

/// What a change is about.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    Core,
    Business,
}

/// From then on, so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    pub at: Timestamp,
    pub state: State,
    /// Planned work alone makes it so.
    pub planned: bool,
    pub because: String,
}

const PLANNED: &str = " (planned)";

impl Subject {
    fn opening(self, name: &str) -> String {
        match self {
            Subject::Core => format!("Core of {name} is "),
            Subject::Business => format!("Business service {name} is "),
        }
    }
}

impl Change {
    /// The one line that history keeps.
    pub fn text(&self, subject: Subject, name: &str) -> String {
        let planned = if self.planned { PLANNED } else { "" };
        let because = if self.because.is_empty() { String::new() } else { format!(": {}", self.because) };
        format!("{}{}{planned}{because}", subject.opening(name), self.state.as_str())
    }

    /// Reads such a line, if it is about this subject.
    pub fn read(at: Timestamp, text: &str, subject: Subject, name: &str) -> Option<Change> {
        let rest = text.strip_prefix(&subject.opening(name))?;
        let (head, because) = rest.split_once(": ").unwrap_or((rest, ""));
        let (word, planned) = head.strip_suffix(PLANNED).map_or((head, false), |word| (word, true));
        Some(Change { at, state: State::read(word)?, planned, because: because.to_owned() })
    }
}

const UNWATCHED: &str = "nobody looked for ";

/// The line about time in which Stentor did not run; it ends when the line was written.
pub fn unwatched_text(gap: Span) -> String {
    format!("{UNWATCHED}{} ms", gap.as_millis())
}

/// The span of such a line.
pub fn read_unwatched(text: &str) -> Option<Span> {
    let millis = text.strip_prefix(UNWATCHED)?.strip_suffix(" ms")?;
    millis.parse::<i64>().ok().filter(|millis| *millis >= 0).map(Span::from_millis)
}

/// A stretch of one state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stretch {
    pub from: Timestamp,
    pub to: Timestamp,
    pub state: State,
    pub planned: bool,
    pub because: String,
}

/// The changes as stretches of `from..to`, without holes: what came before the first change is unknown, and so is the time
/// in which nobody looked. Changes and gaps may come in any order.
pub fn stretches(
    changes: &[Change],
    unwatched: &[(Timestamp, Timestamp)],
    from: Timestamp,
    to: Timestamp,
) -> Vec<Stretch> {
    let mut ordered: Vec<&Change> = changes.iter().collect();
    ordered.sort_by_key(|change| change.at);
    let mut edges: Vec<Timestamp> = vec![from, to];
    edges.extend(ordered.iter().map(|change| change.at));
    edges.extend(unwatched.iter().flat_map(|(a, b)| [*a, *b]));
    edges.retain(|edge| (from..=to).contains(edge));
    edges.sort_unstable();
    edges.dedup();
    let mut found: Vec<Stretch> = Vec::new();
    for pair in edges.windows(2) {
        let &[start, end] = pair else { continue };
        let dark = unwatched.iter().any(|(a, b)| *a <= start && end <= *b);
        let known = ordered.partition_point(|change| change.at <= start).checked_sub(1).map(|last| ordered[last]);
        let (state, planned, because) = match known.filter(|_| !dark) {
            Some(change) => (change.state, change.planned, change.because.as_str()),
            None => (State::Unknown, false, if dark { "nobody looked" } else { "" }),
        };
        match found.last_mut() {
            Some(last) if (last.state, last.planned, last.because.as_str()) == (state, planned, because) => {
                last.to = end
            }
            _ => found.push(Stretch { from: start, to: end, state, planned, because: because.to_owned() }),
        }
    }
    found
}

/// Time by state.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Times {
    pub available: Span,
    pub degraded: Span,
    pub unavailable: Span,
    /// Of that, by planned work.
    pub planned: Span,
    pub unknown: Span,
}

impl Times {
    pub fn of(stretches: &[Stretch]) -> Times {
        let mut times = Times::default();
        for stretch in stretches {
            let length = stretch.to.since(stretch.from);
            match stretch.state {
                State::Available => times.available = times.available + length,
                State::Degraded => times.degraded = times.degraded + length,
                State::Unavailable => {
                    times.unavailable = times.unavailable + length;
                    if stretch.planned {
                        times.planned = times.planned + length;
                    }
                }
                State::Unknown => times.unknown = times.unknown + length,
            }
        }
        times
    }

    /// Percent of the known time in which the service was there, degraded or not; `None` if nothing is known. With
    /// `Downtimes::LeftOut` planned outages are not asked about.
    pub fn percent(&self, downtimes: Downtimes) -> Option<f64> {
        let bad = self.bad(downtimes);
        let known = self.available + self.degraded + bad;
        let known_ms = known.as_millis() as f64;
        (known_ms > 0.0).then(|| 100.0 * (1.0 - bad.as_millis() as f64 / known_ms))
    }

    fn bad(&self, downtimes: Downtimes) -> Span {
        match downtimes {
            Downtimes::Count => self.unavailable,
            Downtimes::LeftOut => self.unavailable - self.planned,
        }
    }

    /// The error budget of a window of this length.
    pub fn budget(&self, slo: f64, window: Span, downtimes: Downtimes) -> Budget {
        let allowed = Span::from_millis((window.as_millis() as f64 * (100.0 - slo).clamp(0.0, 100.0) / 100.0) as i64);
        let used = self.bad(downtimes);
        Budget { allowed, used }
    }
}

/// What planned outages count as.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Downtimes {
    Count,
    LeftOut,
}

/// How long a service may be gone within a window, and was.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Budget {
    pub allowed: Span,
    pub used: Span,
}

impl Budget {
    /// Negative when overdrawn.
    pub fn left_ms(&self) -> i64 {
        self.allowed.as_millis() - self.used.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_secs(minute * 60)
    }

    fn change(minute: i64, state: State, planned: bool) -> Change {
        Change { at: at(minute), state, planned, because: String::new() }
    }

    #[test]
    fn a_line_of_history_reads_back() {
        for (planned, because) in [(false, ""), (true, ""), (false, "no clc in service: really"), (true, "zone a: x")] {
            for state in State::ALL {
                for (subject, name) in [(Subject::Core, "a is unavailable"), (Subject::Business, "shop: x")] {
                    let change = Change { at: at(1), state, planned, because: because.to_owned() };
                    assert_eq!(Change::read(at(1), &change.text(subject, name), subject, name), Some(change));
                }
            }
        }
        assert_eq!(Change::read(at(1), "Core of a is well", Subject::Core, "a"), None);
        assert_eq!(read_unwatched(&unwatched_text(Span::from_secs(90))), Some(Span::from_secs(90)));
        assert_eq!(read_unwatched("nobody looked for -1 ms"), None);
    }

    #[test]
    fn availability_counts_only_what_was_seen() {
        let changes = [
            change(10, State::Available, false),
            change(60, State::Unavailable, false),
            change(70, State::Available, false),
            change(80, State::Unavailable, true),
            change(90, State::Degraded, false),
        ];
        let found = stretches(&changes, &[(at(20), at(30))], at(0), at(110));
        let times = Times::of(&found);
        assert_eq!(times.unknown, Span::from_mins(20), "before the first change, and while nobody looked");
        assert_eq!((times.available, times.degraded), (Span::from_mins(50), Span::from_mins(20)));
        assert_eq!((times.unavailable, times.planned), (Span::from_mins(20), Span::from_mins(10)));
        let percent = |downtimes| times.percent(downtimes).map(|percent| (percent * 100.0).round() / 100.0);
        assert_eq!(percent(Downtimes::Count), Some(77.78));
        assert_eq!(percent(Downtimes::LeftOut), Some(87.5));
        assert_eq!(Times::default().percent(Downtimes::Count), None);
        let budget = times.budget(90.0, Span::from_mins(110), Downtimes::LeftOut);
        assert_eq!((budget.allowed, budget.used), (Span::from_mins(11), Span::from_mins(10)));
        assert_eq!(budget.left_ms(), 60_000);
    }

    #[test]
    fn stretches_leave_no_hole_and_do_not_overlap() {
        let changes: Vec<Change> =
            (0..40).map(|i| change((i * 37) % 100, State::ALL[(i % 4) as usize], i % 3 == 0)).collect();
        for (from, to) in [(0, 100), (15, 16), (50, 50), (99, 200)] {
            let found = stretches(&changes, &[(at(5), at(17)), (at(60), at(61))], at(from), at(to));
            let mut next = at(from);
            for stretch in &found {
                assert_eq!(stretch.from, next);
                assert!(stretch.to > stretch.from);
                next = stretch.to;
            }
            assert!(next == at(to) || from == to, "{from}..{to}");
        }
    }
}
