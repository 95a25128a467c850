//! When the checks of a Nagios tree run for the first time: `*_inter_check_delay_method`, `service_interleave_factor` and
//! `max_*_check_spread` (specification 03, 1.1).

use std::collections::BTreeMap;

use stentor_core::catalog::Catalog;
use stentor_core::id::{HostId, ObjectId, ServiceId};
use stentor_core::schedule::stable_hash;
use stentor_core::{Span, Timestamp};

/// `smart` on a small site would take a whole interval for a handful of checks; so many a second harm nobody.
const SMART_DELAY_MAX_MS: f64 = 50.0;

/// `*_inter_check_delay_method`.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub enum Delay {
    #[default]
    Smart,
    None,
    Dumb,
    Seconds(f64),
}

/// What a Nagios tree says about the times of its checks. The default is Nagios's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Imported {
    pub service_delay: Delay,
    pub host_delay: Delay,
    /// `None` = smart.
    pub interleave: Option<u32>,
    pub service_spread_max: Span,
    pub host_spread_max: Span,
    pub orphaned_services: bool,
    pub orphaned_hosts: bool,
}

impl Default for Imported {
    fn default() -> Self {
        Imported {
            service_delay: Delay::Smart,
            host_delay: Delay::Smart,
            interleave: None,
            service_spread_max: Span::from_mins(30),
            host_spread_max: Span::from_mins(30),
            orphaned_services: true,
            orphaned_hosts: true,
        }
    }
}

/// When a check runs first.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct First {
    pub at: Timestamp,
    /// Whether its later runs follow at its interval from there, as under Nagios; else it has a phase of its own, because
    /// first runs so close together must not come together for ever.
    pub keeps_pace: bool,
}

/// First runs of all imported objects that are checked by themselves, if the first of them ran at `now`.
pub fn first_runs(catalog: &Catalog, imported: &Imported, now: Timestamp) -> BTreeMap<ObjectId, First> {
    let scheduled = |object: ObjectId| {
        let directives = catalog.nagios.directives(object)?;
        let every = catalog.check_of(object)?.every;
        (directives.switches.active_checks && every > Span::ZERO).then_some((object, every))
    };
    let hosts: Vec<_> =
        (0..catalog.hosts.len()).filter_map(|i| scheduled(ObjectId::Host(HostId::from_index(i)))).collect();
    let mut services: Vec<_> =
        (0..catalog.services.len()).filter_map(|i| scheduled(ObjectId::Service(ServiceId::from_index(i)))).collect();
    let host_of = |object: ObjectId| match object {
        ObjectId::Host(id) => id,
        ObjectId::Service(id) => catalog.services[id.index()].host,
    };
    // Interleaving takes those of one host apart, so they must stand together.
    services.sort_by_key(|(object, _)| (host_of(*object), *object));
    let used: std::collections::BTreeSet<HostId> = services.iter().map(|(object, _)| host_of(*object)).collect();
    let per_host = services.len().div_ceil(used.len().max(1)).max(1);
    let factor = imported.interleave.map_or(per_host, |factor| (factor as usize).max(1));
    let service_slots = interleaved(services.len(), factor);
    let mut first = BTreeMap::new();
    let mut place = |objects: &[(ObjectId, Span)], slots: &[usize], pace: Pace| {
        for ((object, every), slot) in objects.iter().zip(slots) {
            let after = Span::from_millis((pace.delay_ms * *slot as f64) as i64);
            first.insert(*object, pace.first(catalog, (*object, *every), after, now));
        }
    };
    place(&services, &service_slots, Pace::of(&services, imported.service_delay, imported.service_spread_max));
    let in_turn: Vec<usize> = (0..hosts.len()).collect();
    place(&hosts, &in_turn, Pace::of(&hosts, imported.host_delay, imported.host_spread_max));
    first
}

/// Nagios's slots: of each block of `factor` services, the n-th goes into the n-th round.
fn interleaved(count: usize, factor: usize) -> Vec<usize> {
    let blocks = count.div_ceil(factor);
    (0..count).map(|i| i / factor + (i % factor) * blocks).collect()
}

/// How far apart the first runs of one kind are.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Pace {
    delay_ms: f64,
    /// Closer together than their intervals want.
    is_hurried: bool,
}

impl Pace {
    fn of(objects: &[(ObjectId, Span)], method: Delay, spread_max: Span) -> Pace {
        let count = objects.len().max(1) as f64;
        let sum_ms: f64 = objects.iter().map(|(_, every)| every.as_millis() as f64).sum();
        let even_ms = sum_ms / count / count;
        let delay_ms = match method {
            Delay::None => 0.0,
            Delay::Dumb => 1000.0,
            Delay::Seconds(seconds) => seconds.max(0.0) * 1000.0,
            Delay::Smart => even_ms.min(spread_max.as_millis() as f64 / count).min(SMART_DELAY_MAX_MS),
        };
        Pace { delay_ms, is_hurried: delay_ms < even_ms * 0.999 }
    }

    fn first(self, catalog: &Catalog, (object, every): (ObjectId, Span), after: Span, now: Timestamp) -> First {
        if after <= every {
            return First { at: now + after, keeps_pace: !self.is_hurried };
        }
        // Nobody waits for longer than an interval: some point inside it, as Nagios does.
        let key = catalog.object_key(object);
        let some = stable_hash(&key.host, key.service.as_deref()) % every.as_millis().max(1).unsigned_abs();
        First { at: now + Span::from_millis(some.cast_signed()), keeps_pace: true }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    /// `hosts` hosts with `per_host` services each, every 5 minutes, read from a tree as an administrator writes it.
    fn tree(hosts: usize, per_host: usize) -> std::sync::Arc<Catalog> {
        let folder = tempfile::tempdir().unwrap();
        let mut text = String::from(
            "define timeperiod {\n timeperiod_name always\n alias always\n monday 00:00-24:00\n}\n\
             define command {\n command_name ok\n command_line /bin/true\n}\n\
             define contact {\n contact_name root\n host_notifications_enabled 0\n service_notifications_enabled 0\n\
              host_notification_period always\n service_notification_period always\n\
              host_notification_commands ok\n service_notification_commands ok\n}\n",
        );
        for host in 0..hosts {
            text.push_str(&format!(
                "define host {{\n host_name h{host:03}\n address 192.0.2.1\n check_command ok\n check_interval 5\n\
                  max_check_attempts 3\n contacts root\n check_period always\n notification_period always\n}}\n"
            ));
            for service in 0..per_host {
                text.push_str(&format!(
                    "define service {{\n host_name h{host:03}\n service_description s{service}\n check_command ok\n\
                      check_interval 5\n retry_interval 1\n max_check_attempts 3\n contacts root\n\
                      check_period always\n notification_period always\n}}\n"
                ));
            }
        }
        std::fs::write(folder.path().join("objects.cfg"), text).unwrap();
        let path = folder.path().join("nagios.cfg");
        std::fs::write(&path, "cfg_file=objects.cfg\nlog_file=nagios.log\n").unwrap();
        crate::config::load(&path).unwrap_or_else(|found| panic!("{found}")).catalog
    }

    fn service_offsets(catalog: &Catalog, imported: &Imported) -> Vec<(u32, i64)> {
        let first = first_runs(catalog, imported, NOW);
        let of_service = |(object, first): (&ObjectId, &First)| match object {
            ObjectId::Service(id) => Some((catalog.services[id.index()].host.0, (first.at - NOW).as_millis())),
            ObjectId::Host(_) => None,
        };
        let mut offsets: Vec<_> = first.iter().filter_map(of_service).collect();
        offsets.sort_by_key(|(_, offset)| *offset);
        offsets
    }

    #[test]
    fn slots_are_those_of_nagios() {
        // Three blocks of two, then a short one.
        assert_eq!(interleaved(7, 2), [0, 4, 1, 5, 2, 6, 3]);
        assert_eq!(interleaved(4, 1), [0, 1, 2, 3]);
        for (count, factor) in [(100, 7), (1, 30), (0, 3), (64, 64)] {
            let slots: BTreeSet<usize> = interleaved(count, factor).into_iter().collect();
            assert_eq!(slots.len(), count, "two checks in one slot");
        }
    }

    #[test]
    fn the_methods_put_first_checks_as_far_apart_as_they_say() {
        let catalog = tree(4, 3);
        let table = [
            (Delay::None, 0),
            (Delay::Dumb, 11_000),
            (Delay::Seconds(0.25), 2_750),
            // 300 s / 12 would be 25 s: a small site does not wait for that.
            (Delay::Smart, 550),
        ];
        for (service_delay, last) in table {
            let imported = Imported { service_delay, ..Imported::default() };
            let offsets = service_offsets(&catalog, &imported);
            assert_eq!((offsets.len(), offsets[11].1), (12, last), "{service_delay:?}");
        }
    }

    #[test]
    fn interleaving_takes_the_services_of_one_host_apart() {
        let catalog = tree(4, 3);
        let dumb = Imported { service_delay: Delay::Dumb, ..Imported::default() };
        let hosts = |imported: &Imported| -> Vec<u32> {
            service_offsets(&catalog, imported).iter().map(|(host, _)| *host).collect()
        };
        assert_eq!(hosts(&dumb), [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(hosts(&Imported { interleave: Some(1), ..dumb }), [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    }

    #[test]
    fn smart_spreads_a_large_site_over_its_interval_or_the_longest_spread() {
        let catalog = tree(200, 50);
        let offsets = service_offsets(&catalog, &Imported::default());
        let last = offsets.last().expect("many").1;
        assert!((299_000..300_000).contains(&last), "{last}: 10,000 checks every 5 minutes are 33 a second");
        let first = first_runs(&catalog, &Imported::default(), NOW);
        assert!(first.values().filter(|first| first.keeps_pace).count() >= 10_000);
        let mut per_second = BTreeMap::<i64, usize>::new();
        for (_, offset) in &offsets {
            *per_second.entry(offset / 1000).or_default() += 1;
        }
        assert!(per_second.values().all(|count| *count <= 40), "never more than 1.2 x 33 a second");
        let narrow = Imported { service_spread_max: Span::from_mins(1), ..Imported::default() };
        assert!(service_offsets(&catalog, &narrow).last().is_some_and(|(_, last)| *last < 60_000));
    }

    #[test]
    fn nobody_waits_for_longer_than_an_interval() {
        let catalog = tree(10, 4);
        let slow = Imported { service_delay: Delay::Seconds(60.0), ..Imported::default() };
        assert!(service_offsets(&catalog, &slow).iter().all(|(_, offset)| *offset <= 300_000));
    }
}
