//! Series that fill, heal, jump and lie, and what may be read from them.

use super::samples::{POINTS_MAX, Toward};
use super::trend::end_of;
use super::*;
use crate::Span;
use crate::diagnosis::{Class, Severity};
use crate::model::{ObjectKey, Observation, Phase};
use crate::sight::testing::{World, json};

const NOW: i64 = 1_795_000_000;

fn points(step_s: i64, values: impl IntoIterator<Item = f64>) -> Vec<(Timestamp, f64)> {
    let values: Vec<f64> = values.into_iter().collect();
    let begin = NOW - step_s * (values.len() as i64 - 1);
    values.into_iter().enumerate().map(|(i, v)| (Timestamp::from_secs(begin + step_s * i as i64), v)).collect()
}

fn left_s(points: &[(Timestamp, f64)], toward: Toward) -> Option<f64> {
    end_of(points, toward).map(|end| end.at.since(Timestamp::from_secs(NOW)).as_secs_f64())
}

/// Numbers that look random and are the same each time.
fn noise(i: u64) -> f64 {
    let mixed = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)) % 2001) as f64 / 1000.0 - 1.0
}

#[test]
fn a_disk_that_fills_steadily_is_full_when_the_line_says() {
    let steady = points(60, (0..30).map(|i| 1000.0 - 10.0 * f64::from(i)));
    assert_eq!(left_s(&steady, Toward::Zero), Some(710.0 / 10.0 * 60.0));
    let rising = points(60, (0..30).map(f64::from));
    assert_eq!(left_s(&rising, Toward::Up(100.0)), Some(71.0 * 60.0));
}

#[test]
fn noise_and_a_few_wild_points_do_not_bend_it() {
    let noisy = points(60, (0..40).map(|i| 1000.0 - 10.0 * i as f64 + 4.0 * noise(i)));
    let left = left_s(&noisy, Toward::Zero).expect("a trend");
    assert!((left / 60.0 - 61.0).abs() < 4.0, "{left}");
    let mut wild = points(60, (0..40).map(|i| 1000.0 - 10.0 * f64::from(i)));
    for i in [3, 17, 25] {
        wild[i].1 -= 150.0;
    }
    let left = left_s(&wild, Toward::Zero).expect("a trend");
    assert!((left / 60.0 - 61.0).abs() < 4.0, "{left}");
}

#[test]
fn what_stands_still_shrinks_or_only_wobbles_has_no_end() {
    for (what, values) in [
        ("still", (0..40).map(|_| 500.0).collect::<Vec<_>>()),
        ("freed", (0..40).map(|i| 500.0 + f64::from(i)).collect()),
        ("wobbling", (0..40).map(|i| 500.0 + 5.0 * noise(i)).collect()),
        ("too few", vec![500.0, 400.0, 300.0]),
        ("one step long ago", (0..40).map(|i| if i < 10 { 500.0 } else { 480.0 }).collect()),
        ("none", Vec::new()),
    ] {
        assert_eq!(left_s(&points(60, values), Toward::Zero), None, "{what}");
    }
}

#[test]
fn a_clean_up_begins_a_new_trend() {
    // It filled fast, was emptied, and fills slowly since.
    let before = (0..20).map(|i| 1000.0 - 45.0 * f64::from(i));
    let after = (0..20).map(|i| 1000.0 - 5.0 * f64::from(i));
    let series = points(60, before.chain(after));
    assert_eq!(left_s(&series, Toward::Zero), Some(905.0 / 5.0 * 60.0));
    let just_freed = points(60, (0..20).map(|i| 1000.0 - 45.0 * f64::from(i)).chain([900.0, 890.0]));
    assert_eq!(left_s(&just_freed, Toward::Zero), None, "too early to tell");
    let second_rebuild = points(10, (0..20).map(|i| 5.0 * f64::from(i)).chain((0..10).map(|i| 2.0 * f64::from(i))));
    assert_eq!(left_s(&second_rebuild, Toward::Up(100.0)), Some(82.0 / 2.0 * 10.0));
}

#[test]
fn what_began_lately_is_not_drowned_in_quiet_days() {
    let quiet = (0..26).map(|i| 100_000.0 - f64::from(i));
    let sudden = (1..13).map(|i| 99_975.0 - 3000.0 * f64::from(i));
    let left = left_s(&points(60, quiet.chain(sudden)), Toward::Zero).expect("a trend");
    assert!((left / 60.0 - 21.3).abs() < 1.5, "{left}");
}

#[test]
fn a_short_look_does_not_promise_a_far_end() {
    let slow = points(60, (0..10).map(|i| 1_000_000.0 - f64::from(i)));
    assert_eq!(left_s(&slow, Toward::Zero), None, "nine minutes do not tell of two years");
    let near = end_of(&points(60, (0..10).map(|i| 20.0 - f64::from(i))), Toward::Zero).expect("near");
    let far = end_of(&points(60, (0..10).map(|i| 200.0 - f64::from(i))), Toward::Zero).expect("far");
    assert!(near.confidence > far.confidence && near.confidence <= 0.9 && far.confidence > 0.3, "{near:?} {far:?}");
}

#[test]
fn a_disk_that_is_full_is_full_now() {
    let full = points(60, (0..10).map(|i| f64::from(9 - i)));
    assert_eq!(left_s(&full, Toward::Zero), Some(0.0));
    assert_eq!(left_s(&points(60, [0.0; 10]), Toward::Zero), None, "it has no size at all");
}

fn told(probe: &str, observation: Observation) -> Vec<(What, String, f64)> {
    let mut world = World::new("p", &[]);
    let host = world.host("h", &[]);
    let id = world.sees(host, "x", probe, observation);
    let at = world.services[id.index()].last_check;
    let left = of_service(&world.sight(), id, None);
    left.into_iter().map(|left| (left.what, left.subject, left.at.since(at).as_secs_f64())).collect()
}

#[test]
fn things_that_know_their_end_are_believed() {
    let seen = || Observation::observed("");
    let ups = seen().fact("power", "battery").fact("ups", "rack3").fact("runtime_s", 900.0);
    assert_eq!(told("nut", ups), [(What::Ups, "rack3".to_owned(), 900.0)]);
    assert_eq!(told("nut", seen().fact("power", "online").fact("runtime_s", 900.0)), [], "the mains are there");
    let snmp = seen().fact("source", "battery").fact("on_battery", true).fact("minutes_left", 12.0);
    assert_eq!(told("snmp_ups", snmp)[0].2, 720.0);
    let md = |operation: &str| {
        seen().fact("operation", operation).fact("finish_min", 5.0).fact("raid", json(r#"{"vd":"md0"}"#))
    };
    assert_eq!(told("mdraid", md("recovery")), [(What::Rebuild, "md0".to_owned(), 300.0)]);
    assert_eq!(told("mdraid", md("check")), []);
    assert_eq!(told("drbd", seen().fact("resync_left_s", 60.0)), [(What::Resync, "replica".to_owned(), 60.0)]);
    assert_eq!(told("mysql", seen().fact("binlog_full_s", 7200.0))[0].0, What::DatabaseLog);
    let both = seen().fact("tls_days_left", 90.0).fact("chain_days_left", 9.0).fact("chain_first", "CN=ca");
    assert_eq!(told("tls", both), [(What::Certificate, "CN=ca".to_owned(), 9.0 * 86_400.0)]);
    let own = seen().fact("tls_days_left", 9.0).fact("tls_not_after", "1970-01-10T00:00:00Z");
    assert_eq!(told("http", own)[0].2, 9.0 * 86_400.0 - 1000.0, "the date is nearer than whole days");
    assert_eq!(told("http", seen().fact("tls_days_left", f64::NAN)), []);
    assert_eq!(told("ping", seen().fact("rtt", 1.0)), []);
}

/// A disk check with that history of free bytes, a minute apart, on a new host.
fn filling(world: &mut World, name: &str, free: impl Iterator<Item = f64>) -> (HostId, ServiceId) {
    let host = world.host(name, &[]);
    let mut samples = None;
    let mut id = None;
    for (i, free) in free.enumerate() {
        let at = Timestamp::from_secs(NOW + 60 * i as i64);
        let seen = Observation::observed("").measure("free /var", free, "B").measure("used_pct /var", 1.0, "%");
        remember(&mut samples, "disk", &seen, at);
        let service = *id.get_or_insert_with(|| world.sees(host, "disk", "disk", seen.clone()));
        world.services[service.index()].last_check = at;
        let detail = crate::snapshot::Detail { observation: Some(seen.into()), ..Default::default() };
        world.details[service.index()] = detail.into();
    }
    let id = id.expect("a history");
    std::sync::Arc::make_mut(&mut world.details[id.index()]).samples = samples;
    (host, id)
}

#[test]
fn a_check_remembers_enough_to_tell_its_end() {
    let mut world = World::new("p", &[]);
    let (_, id) = filling(&mut world, "h", (0..200).map(|i| 1e12 - 1e9 * f64::from(i)));
    let sight = world.sight();
    let left = of_service(&sight, id, world.details[id.index()].samples.as_deref());
    let [only] = &left[..] else { panic!("{left:?}") };
    assert_eq!((only.what, &*only.subject, only.basis), (What::Disk, "/var", Basis::Trend));
    let minutes = only.at.since(world.services[id.index()].last_check).as_secs_f64() / 60.0;
    assert!((minutes - 801.0).abs() < 2.0, "{minutes}");
    assert!(only.why.starts_with("falls by 60 GB an hour, seen for "), "{}", only.why);
    world.services[id.index()].flags.set(crate::snapshot::Flags::STALE, true);
    assert_eq!(
        of_service(&world.sight(), id, world.details[id.index()].samples.as_deref()),
        [],
        "nobody looks any more"
    );
}

#[test]
fn progress_without_a_rebuild_is_no_rebuild() {
    let mut world = World::new("p", &[]);
    let host = world.host("h", &[]);
    for (operation, expected) in [("recovery", 1), ("check", 0)] {
        let mut samples = None;
        let mut seen = Observation::observed("");
        for i in 0..POINTS_MAX as i64 {
            seen = Observation::observed("").fact("operation", operation).measure("progress md0", i as f64, "%");
            remember(&mut samples, "mdraid", &seen, Timestamp::from_secs(NOW + 10 * i));
        }
        let id = world.sees(host, operation, "mdraid", seen);
        world.services[id.index()].last_check = Timestamp::from_secs(NOW + 10 * POINTS_MAX as i64);
        assert_eq!(of_service(&world.sight(), id, samples.as_deref()).len(), expected, "{operation}");
    }
}

fn snapshot(world: World, incidents: Vec<Incident>) -> Snapshot {
    let engine = crate::engine::Engine::new();
    Snapshot {
        catalog: Arc::new(world.catalog),
        hosts: world.hosts,
        services: world.services,
        service_details: world.details,
        incidents: Arc::new(incidents.into_iter().map(|i| (i.number, Arc::new(i))).collect()),
        ..engine.snapshot()
    }
}

fn incident(number: u64, host: &str, service: Option<&str>, subtype: &str) -> Incident {
    let mut incident = Incident::none(&"site".into(), Timestamp::from_secs(NOW));
    incident.number = number;
    incident.phase = Phase::Open;
    incident.verdict.class = Class::ResourceAtRisk;
    incident.verdict.severity = Severity::Warning;
    incident.verdict.subtype = subtype.into();
    incident.verdict.target.kind = TargetKind::Host;
    incident.verdict.target.host = Some(host.into());
    incident.problems.extend(service.map(|service| ObjectKey { host: host.into(), service: Some(service.into()) }));
    incident
}

#[test]
fn incidents_of_one_weight_are_sorted_by_what_is_left() {
    let mut world = World::new("p", &[]);
    filling(&mut world, "slow", (0..40).map(|i| 1e11 - 1e9 * f64::from(i)));
    filling(&mut world, "fast", (0..40).map(|i| 5e10 - 1e9 * f64::from(i)));
    let all = vec![
        incident(1, "none", None, "disk"),
        incident(2, "slow", Some("disk"), "disk"),
        incident(3, "fast", None, "disk"),
        incident(4, "fast", None, "raid_degraded"),
    ];
    let snapshot = snapshot(world, all);
    let order: Vec<u64> = snapshot.live_incidents().iter().map(|incident| incident.number).collect();
    assert_eq!(order, [3, 2, 1, 4]);
    assert_eq!(of_incident(&snapshot, &snapshot.incidents[&4]), [], "a disk that fills is not what this one is about");
    let mut over = (*snapshot.incidents[&2]).clone();
    over.phase = Phase::Resolved;
    assert_eq!(of_incident(&snapshot, &over), [], "it is over");
}

#[test]
fn a_feed_has_as_long_as_the_ups_behind_it() {
    let mut world = World::new("p", &[]);
    let ups = world.host("ups1", &[]);
    let seen = Observation::observed("").fact("on_battery", true).fact("source", "battery").fact("minutes_left", 7.0);
    world.sees(ups, "ups", "snmp_ups", seen);
    world.catalog.layout.feeds = vec![crate::catalog::layout::Feed { name: "B".into(), source: "ups1".into() }];
    let mut on_battery = incident(1, "B", None, "on_battery");
    on_battery.verdict.class = Class::PowerEvent;
    on_battery.verdict.target.kind = TargetKind::Power;
    let snapshot = snapshot(world, vec![on_battery]);
    let left = of_incident(&snapshot, &snapshot.incidents[&1]);
    assert_eq!(left[0].at, Timestamp::from_secs(1000) + Span::from_mins(7));
}
