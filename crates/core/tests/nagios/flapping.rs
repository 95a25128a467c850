//! Flapping: thresholds, options, start, stop, switched off (specification 03, section 4).

use stentor_core::catalog::nagios::Options;
use stentor_core::engine::Input;
use stentor_core::id::ObjectId;
use stentor_core::snapshot::Flags;

use super::site::{Object, Site, Tree};

fn site(host: Object, service: Object, program: impl FnOnce(&mut Tree)) -> (Site, ObjectId, ObjectId) {
    let mut tree = Tree::new();
    let host = tree.host("h", &host);
    let service = tree.service(host, "s", &service);
    program(&mut tree);
    (Site::new(tree), ObjectId::Host(host), ObjectId::Service(service))
}

fn flapping(attempts: u16) -> Object {
    Object::attempts(attempts).with(|directives| directives.switches.flap_detection = true)
}

fn flapping_lines(site: &mut Site) -> Vec<String> {
    site.log().into_iter().filter(|line| line.contains(" FLAPPING ALERT: ")).collect()
}

/// Results until the object flaps, and how many it took.
fn until_it_flaps(site: &mut Site, object: ObjectId) -> Option<usize> {
    for n in 0..40 {
        site.active(object, if n % 2 == 0 { 2 } else { 0 }, "o");
        if site.row(object).flags.has(Flags::FLAPPING) {
            return Some(n + 1);
        }
    }
    None
}

#[test]
fn a_service_starts_and_stops_flapping_with_the_lines_of_nagios() {
    let (mut site, _, service) = site(Object::host(), flapping(1), |_| ());
    assert_eq!(until_it_flaps(&mut site, service), Some(6));
    let started = "SERVICE FLAPPING ALERT: h;s;STARTED; Service appears to have started flapping \
                   (35.5% change >= 30.0% threshold)";
    assert_eq!(flapping_lines(&mut site), [started]);
    let mut calm = 0;
    while site.row(service).flags.has(Flags::FLAPPING) {
        site.active(service, 0, "o");
        calm += 1;
    }
    assert_eq!(calm, 16, "the changes must leave the history");
    let stopped = "SERVICE FLAPPING ALERT: h;s;STOPPED; Service appears to have stopped flapping (";
    let lines = flapping_lines(&mut site);
    assert!(lines.len() == 1 && lines[0].starts_with(stopped), "{lines:?}");
    assert!(lines[0].ends_with("% change < 20.0% threshold)"), "{lines:?}");
}

#[test]
fn a_host_writes_its_own_words_and_counts_soft_states() {
    let detect = |object: Object| object.with(|directives| directives.switches.flap_detection = true);
    let (mut site, host, _) = site(detect(Object::host()), Object::service(), |_| ());
    assert_eq!(until_it_flaps(&mut site, host), Some(6));
    let started =
        "HOST FLAPPING ALERT: h;STARTED; Host appears to have started flapping (35.5% change > 30.0% threshold)";
    assert_eq!(flapping_lines(&mut site), [started]);
}

#[test]
fn soft_problems_of_services_are_not_recorded_but_soft_recoveries_are() {
    let (mut site, _, service) = site(Object::host(), flapping(3), |_| ());
    for code in [2, 0, 2, 0, 2, 0, 2, 2, 0] {
        site.active(service, code, "o");
    }
    assert_eq!(site.track(service).flap.percent, 0.0, "an OK after an OK is no change");
    for code in [2, 2, 2] {
        site.active(service, code, "o");
    }
    assert!(site.track(service).flap.percent > 6.0);
}

#[test]
fn own_thresholds_come_before_the_program_s() {
    let sensitive = flapping(1).with(|directives| (directives.flap_low, directives.flap_high) = (5.0, 12.0));
    let (mut first, _, service) = site(Object::host(), sensitive, |_| ());
    assert_eq!(until_it_flaps(&mut first, service), Some(2));
    let dull = |tree: &mut Tree| tree.program().high_service_flap = 50.0;
    let (mut second, _, service) = site(Object::host(), flapping(1), dull);
    assert_eq!(until_it_flaps(&mut second, service), Some(9));
}

#[test]
fn states_without_their_option_are_not_recorded() {
    let problems_only = flapping(1).with(|directives| directives.flap_options = Options::CRITICAL);
    let (mut site, _, service) = site(Object::host(), problems_only, |_| ());
    assert_eq!(until_it_flaps(&mut site, service), None);
}

#[test]
fn where_detection_is_off_the_percentage_is_kept_and_nothing_flaps() {
    let off = |tree: &mut Tree| tree.program().enable_flap_detection = false;
    for (object, program) in [(Object::attempts(1), false), (flapping(1), true)] {
        let (mut site, _, service) = site(Object::host(), object, |tree| {
            if program {
                off(tree);
            }
        });
        assert_eq!(until_it_flaps(&mut site, service), None);
        assert!(site.track(service).flap.percent > 90.0);
    }
}

#[test]
fn flapping_ends_when_the_configuration_does_not_detect_it_any_more() {
    let (mut site, _, service) = site(Object::host(), flapping(1), |_| ());
    until_it_flaps(&mut site, service).expect("it flaps");
    flapping_lines(&mut site);
    let mut catalog = stentor_core::catalog::Catalog::clone(site.engine.catalog());
    catalog.nagios.program.enable_flap_detection = false;
    catalog.reindex();
    site.apply(Input::Catalog(catalog.into()));
    assert_eq!(flapping_lines(&mut site), ["SERVICE FLAPPING ALERT: h;s;DISABLED; Flap detection has been disabled"]);
    assert!(!site.row(service).flags.has(Flags::FLAPPING));
}

#[test]
fn a_result_of_a_service_is_another_look_at_the_state_of_its_host() {
    let (mut site, host, service) = site(Object::host(), Object::service(), |_| ());
    site.active(host, 2, "o");
    let before = site.track(host).flap.percent;
    site.active(service, 2, "o");
    let after = site.track(host).flap.percent;
    assert!(after < before, "the change grows older: {before} to {after}");
}
