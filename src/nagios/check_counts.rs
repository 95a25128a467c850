//! How many checks were done and commands taken in the last 1, 5 and 15 minutes, as `status.dat` tells it: counted from
//! one writing of the file to the next.

use std::collections::VecDeque;

use stentor_core::snapshot::{CheckCounters, Counters};
use stentor_core::{Span, Timestamp};

const MINUTES: [i64; 3] = [1, 5, 15];

/// Counts of the last 1, 5 and 15 minutes.
pub type Counts = [u64; 3];

/// What is counted, in the order of the file.
const NAMES: [&str; 9] = [
    "active_scheduled_host_check_stats",
    "active_ondemand_host_check_stats",
    "passive_host_check_stats",
    "active_scheduled_service_check_stats",
    "active_ondemand_service_check_stats",
    "passive_service_check_stats",
    "cached_host_check_stats",
    "cached_service_check_stats",
    "external_command_stats",
];

#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Figures([Counts; NAMES.len()]);

impl Figures {
    /// By their names, in the order of the file. Every host check is a process of its own beside others: none is serial.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, Counts)> {
        let [scheduled, on_demand, ..] = self.0;
        let parallel = [0, 1, 2].map(|i| scheduled[i] + on_demand[i]);
        let rest = [("parallel_host_check_stats", parallel), ("serial_host_check_stats", Counts::default())];
        NAMES.into_iter().zip(self.0).chain(rest)
    }
}

/// Since the engine began: what one look shows.
fn totals(counters: &Counters, commands: u64) -> [u64; NAMES.len()] {
    let Counters { host_checks: hosts, service_checks: services, .. } = counters;
    let of = |checks: &CheckCounters| [checks.scheduled, checks.on_demand, checks.passive];
    let ([a, b, c], [d, e, f]) = (of(hosts), of(services));
    [a, b, c, d, e, f, hosts.cached, services.cached, commands]
}

/// Looks at one snapshot after another.
#[derive(Debug, Default)]
pub struct CheckCounts {
    before: Option<[u64; NAMES.len()]>,
    /// Newest last.
    taken: VecDeque<(Timestamp, [u64; NAMES.len()])>,
}

impl CheckCounts {
    /// What was done since the look before is added; the first one only says from where to count.
    pub fn look(&mut self, counters: &Counters, commands: u64, now: Timestamp) -> Figures {
        let totals = totals(counters, commands);
        if let Some(before) = self.before.replace(totals) {
            let mut done = totals;
            for (count, before) in done.iter_mut().zip(before) {
                *count = count.saturating_sub(before);
            }
            self.taken.push_back((now, done));
        }
        let kept = now - Span::from_mins(MINUTES[2]);
        while self.taken.front().is_some_and(|(at, _)| *at <= kept) {
            self.taken.pop_front();
        }
        let mut figures = Figures::default();
        for (counts, minutes) in MINUTES.into_iter().enumerate() {
            let since = now - Span::from_mins(minutes);
            for (_, done) in self.taken.iter().filter(|(at, _)| *at > since) {
                figures.0.iter_mut().zip(done).for_each(|(figure, count)| figure[counts] += count);
            }
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(figures: Figures, name: &str) -> Counts {
        figures.named().find(|(known, _)| *known == name).unwrap().1
    }

    #[test]
    fn what_was_done_is_counted_from_one_look_to_the_next() {
        let (mut counters, mut counts) = (Counters::default(), CheckCounts::default());
        counters.host_checks.passive = 100;
        let at = Timestamp::from_secs;
        assert_eq!(counts.look(&counters, 7, at(1000)), Figures::default(), "the first look only begins");
        counters.host_checks.passive += 2;
        let mut look = |counters: &Counters, commands, now| found(counts.look(counters, commands, at(now)), PASSIVE);
        const PASSIVE: &str = "passive_host_check_stats";
        assert_eq!(look(&counters, 7, 1010), [2, 2, 2]);
        assert_eq!(look(&counters, 7, 1020), [2, 2, 2]);
        counters.host_checks.passive += 1;
        assert_eq!(look(&counters, 7, 1080), [1, 3, 3]);
        assert_eq!(look(&counters, 7, 1320), [0, 1, 3]);
        (counters.host_checks.scheduled, counters.host_checks.on_demand) = (4, 1);
        let figures = counts.look(&counters, 9, at(1400));
        assert_eq!(found(figures, "external_command_stats"), [2, 2, 2]);
        assert_eq!(found(figures, "parallel_host_check_stats"), [5, 5, 5]);
        assert_eq!(counts.look(&counters, 9, at(5000)), Figures::default());
    }
}
