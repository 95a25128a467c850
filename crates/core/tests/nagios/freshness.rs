//! Stale results of Nagios objects: when, the line, the forced check (specification 03, 1.4).

use stentor_core::Span;
use stentor_core::catalog::Timeperiod;
use stentor_core::engine::Input;
use stentor_core::id::{ObjectId, TimeperiodId};

use super::site::{Object, Site, Tree};

fn fresh(threshold: i64) -> Object {
    Object { check_interval: Span::from_secs(300), ..Object::attempts(1) }.with(|directives| {
        directives.switches.check_freshness = true;
        directives.freshness_threshold = Span::from_secs(threshold);
    })
}

fn site(object: Object, program: impl FnOnce(&mut Tree)) -> (Site, ObjectId, ObjectId) {
    let mut tree = Tree::new();
    let host = tree.host("h", &object);
    let service = tree.service(host, "s", &object);
    program(&mut tree);
    (Site::new(tree), ObjectId::Host(host), ObjectId::Service(service))
}

/// Seconds until a check is forced, at most `most`.
fn forced_after(site: &mut Site, object: ObjectId, most: i64) -> Option<i64> {
    (1..=most).find(|_| site.pass(1).checks().iter().any(|check| check.object == object && check.forced))
}

#[test]
fn a_stale_service_is_checked_by_force_and_said_to_be_stale() {
    let (mut site, _, service) = site(fresh(100), |_| ());
    site.passive(service, 0, "o");
    assert_eq!(forced_after(&mut site, service, 200), Some(101));
    let line = "Warning: The results of service 's' on host 'h' are stale by 0d 0h 0m 1s (threshold=0d 0h 1m 40s).  \
                I'm forcing an immediate check of the service.";
    assert_eq!(site.log(), [line]);
    assert_eq!(site.shown(service), "OK;HARD;1", "the forced check will say what it is");
    assert_eq!(forced_after(&mut site, service, 200), Some(100), "and again while nothing comes");
    site.passive(service, 0, "o");
    assert_eq!(forced_after(&mut site, service, 100), None, "it is fresh again");
}

#[test]
fn without_a_threshold_the_interval_counts_the_retry_interval_while_soft() {
    let automatic = Object { attempts: 3, retry_interval: Span::from_secs(60), ..fresh(0) };
    let (mut site, _, service) = site(automatic, |_| ());
    site.active(service, 0, "o");
    assert_eq!(forced_after(&mut site, service, 400), Some(300 + 15 + 1));
    site.active(service, 2, "o");
    assert_eq!(forced_after(&mut site, service, 400), Some(60 + 15 + 1));
    site.active(service, 2, "o").active(service, 2, "o");
    assert_eq!(forced_after(&mut site, service, 400), Some(300 + 15 + 1));
}

#[test]
fn an_object_that_was_never_checked_counts_from_the_start() {
    let (mut site, _, service) = site(fresh(100), |_| ());
    assert_eq!(forced_after(&mut site, service, 200), Some(101));
}

#[test]
fn hosts_are_watched_where_the_program_says_so() {
    let (mut off, host, _) = site(fresh(100), |_| ());
    assert_eq!(forced_after(&mut off, host, 200), None);
    let (mut on, host, _) = site(fresh(100), |tree| tree.program().check_host_freshness = true);
    assert_eq!(forced_after(&mut on, host, 200), Some(101));
    let line = "Warning: The results of host 'h' are stale by 0d 0h 0m 1s (threshold=0d 0h 1m 40s).  \
                I'm forcing an immediate check of the host.";
    assert!(on.log().contains(&line.to_owned()));
}

#[test]
fn nobody_is_stale_who_is_not_watched_or_cannot_be_heard() {
    let unwatched = fresh(100).with(|directives| directives.switches.check_freshness = false);
    let deaf = fresh(100).with(|directives| directives.switches.passive_checks = false);
    let once = Object { check_interval: Span::ZERO, ..fresh(0) };
    for object in [unwatched, deaf, once] {
        let (mut site, _, service) = site(object.clone(), |_| ());
        site.active(service, 0, "o");
        assert_eq!(forced_after(&mut site, service, 1000), None, "{object:?}");
    }
    let (mut site, _, service) = site(fresh(100), |tree| tree.program().check_service_freshness = false);
    assert_eq!(forced_after(&mut site, service, 1000), None);
}

#[test]
fn outside_its_check_period_nobody_is_forced() {
    // The site starts on a Sunday at midnight; the period opens at 00:10 of each day.
    let period = fresh(100).with(|directives| directives.check_period = Some(TimeperiodId(0)));
    let (mut site, _, service) = site(period, |tree| {
        let weekly = std::array::from_fn(|_| vec![(10, 1440)]);
        tree.catalog.timeperiods.push(Timeperiod {
            name: "later".into(),
            zone: "UTC".into(),
            weekly,
            exceptions: Vec::new(),
            exclude: Vec::new(),
        });
    });
    site.passive(service, 0, "o");
    assert_eq!(forced_after(&mut site, service, 1000), Some(600));
}

#[test]
fn time_in_which_nobody_could_be_heard_does_not_count() {
    let (mut site, _, service) = site(fresh(100), |_| ());
    site.passive(service, 0, "o").pass(50);
    site.at += Span::from_hours(8);
    site.apply(Input::Gap(Span::from_hours(8)));
    assert_eq!(forced_after(&mut site, service, 200), Some(51), "its time goes on where it stood");
}
