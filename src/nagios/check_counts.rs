//! How many checks were done in the last 1, 5 and 15 minutes, as `status.dat` tells it: counted from one writing of the
//! file to the next, where an object that was checked more than once in between counts once.

use std::collections::VecDeque;
use std::sync::Arc;

use stentor_core::catalog::Catalog;
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::snapshot::Snapshot;
use stentor_core::{Span, Timestamp};

const MINUTES: [i64; 3] = [1, 5, 15];

/// Counts of the last 1, 5 and 15 minutes.
pub type Counts = [u32; 3];

#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    pub active_hosts: Counts,
    pub passive_hosts: Counts,
    pub active_services: Counts,
    pub passive_services: Counts,
}

impl Figures {
    /// By their names, in the order of the file. Checks on demand and results that served twice are not told apart here:
    /// they are among the active ones.
    pub fn named(&self) -> [(&'static str, Counts); 11] {
        let untold = Counts::default();
        [
            ("active_scheduled_host_check_stats", self.active_hosts),
            ("active_ondemand_host_check_stats", untold),
            ("passive_host_check_stats", self.passive_hosts),
            ("active_scheduled_service_check_stats", self.active_services),
            ("active_ondemand_service_check_stats", untold),
            ("passive_service_check_stats", self.passive_services),
            ("cached_host_check_stats", untold),
            ("cached_service_check_stats", untold),
            ("external_command_stats", untold),
            ("parallel_host_check_stats", self.active_hosts),
            ("serial_host_check_stats", untold),
        ]
    }
}

/// Looks at one snapshot after another.
#[derive(Debug, Default)]
pub struct CheckCounts {
    catalog: Option<Arc<Catalog>>,
    hosts: Vec<Timestamp>,
    services: Vec<Timestamp>,
    /// Newest last.
    taken: VecDeque<(Timestamp, [u32; 4])>,
}

impl CheckCounts {
    /// What was checked since the snapshot before is added; the first one only says from where to count.
    pub fn look(&mut self, snapshot: &Snapshot, now: Timestamp) -> Figures {
        let is_same = self.catalog.as_ref().is_some_and(|known| Arc::ptr_eq(known, &snapshot.catalog));
        if is_same {
            let mut counts = [0; 4];
            let hosts = snapshot.hosts.iter().zip(&self.hosts).enumerate();
            for (i, _) in hosts.filter(|(_, (row, before))| row.last_check > **before) {
                counts[usize::from(is_passive(snapshot, ObjectId::Host(HostId::from_index(i))))] += 1;
            }
            let services = snapshot.services.iter().zip(&self.services).enumerate();
            for (i, _) in services.filter(|(_, (row, before))| row.last_check > **before) {
                counts[2 + usize::from(is_passive(snapshot, ObjectId::Service(ServiceId::from_index(i))))] += 1;
            }
            self.taken.push_back((now, counts));
        }
        self.catalog = Some(Arc::clone(&snapshot.catalog));
        self.hosts = snapshot.hosts.iter().map(|row| row.last_check).collect();
        self.services = snapshot.services.iter().map(|row| row.last_check).collect();
        let kept = now - Span::from_mins(MINUTES[2]);
        while self.taken.front().is_some_and(|(at, _)| *at <= kept) {
            self.taken.pop_front();
        }
        self.figures(now)
    }

    fn figures(&self, now: Timestamp) -> Figures {
        let of = |which: usize| {
            MINUTES.map(|minutes| {
                let since = now - Span::from_mins(minutes);
                self.taken.iter().filter(|(at, _)| *at > since).map(|(_, counts)| counts[which]).sum()
            })
        };
        Figures { active_hosts: of(0), passive_hosts: of(1), active_services: of(2), passive_services: of(3) }
    }
}

fn is_passive(snapshot: &Snapshot, object: ObjectId) -> bool {
    snapshot.detail(object).run.passive
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nagios::status_dat::tests::world;

    #[test]
    fn checks_are_counted_from_one_look_to_the_next() {
        let mut snapshot = world();
        for i in [0, 1] {
            Arc::make_mut(&mut snapshot.host_details[i]).run.passive = true;
        }
        let mut counts = CheckCounts::default();
        let at = Timestamp::from_secs;
        assert_eq!(counts.look(&snapshot, at(1000)), Figures::default(), "the first look only begins");
        snapshot.hosts[0].last_check = at(1005);
        assert_eq!(counts.look(&snapshot, at(1010)).passive_hosts, [1, 1, 1]);
        assert_eq!(counts.look(&snapshot, at(1020)).passive_hosts, [1, 1, 1]);
        snapshot.hosts[0].last_check = at(1075);
        snapshot.hosts[1].last_check = at(1076);
        assert_eq!(counts.look(&snapshot, at(1080)).passive_hosts, [2, 3, 3]);
        assert_eq!(counts.look(&snapshot, at(1310)).passive_hosts, [0, 2, 3]);
        snapshot.hosts[2].last_check = at(1400);
        let figures = counts.look(&snapshot, at(1400));
        assert_eq!((figures.active_hosts, figures.passive_hosts), ([1, 1, 1], [0, 0, 3]));
        assert_eq!(counts.look(&snapshot, at(5000)), Figures::default());
    }
}
