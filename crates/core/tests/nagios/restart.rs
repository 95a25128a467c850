//! A restart from a checkpoint changes nothing, nor does a reload of the same configuration, at any instant.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use stentor_core::Span;
use stentor_core::catalog::Catalog;
use stentor_core::catalog::nagios::Options;
use stentor_core::engine::{CheckRequest, Engine, Input};
use stentor_core::id::ObjectId;

use super::site::{Object, Site, Tree};

/// What befalls the engine in the course of a history.
#[derive(Copy, Clone, Debug)]
enum Interruption {
    Restart,
    Reload,
    /// The same objects under other ids.
    Reorder,
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    let handler = tree.command("handle", "handle");
    let contact = tree.contact("joe", Options::ALL, Options::ALL);
    tree.program().global_service_event_handler = Some(handler.clone());
    tree.program().check_host_freshness = true;
    let restless = |object: Object| {
        object.with(|directives| {
            directives.event_handler = Some(handler.clone());
            directives.switches.flap_detection = true;
            directives.switches.active_checks = true;
            directives.switches.check_freshness = true;
            directives.freshness_threshold = Span::from_secs(90);
            directives.contacts = vec![contact];
            directives.notification_interval = Span::from_secs(45);
            directives.stalking = Options::OK | Options::CRITICAL;
        })
    };
    let parent = tree.host("p", &restless(Object { attempts: 2, ..Object::host() }));
    let host = tree.host("h", &restless(Object { parents: vec![parent], ..Object::host() }));
    for (name, attempts) in [("a", 1), ("b", 3)] {
        tree.service(host, name, &restless(Object::attempts(attempts)));
    }
    let volatile = restless(Object::attempts(2)).with(|directives| directives.volatile = true);
    tree.service(parent, "v", &volatile);
    tree
}

const OBJECTS: [(&str, Option<&str>); 5] =
    [("p", None), ("h", None), ("h", Some("a")), ("h", Some("b")), ("p", Some("v"))];

/// The services of the catalog the other way round.
fn reordered(catalog: &Catalog) -> Catalog {
    let mut catalog = catalog.clone();
    let last = catalog.services.len() - 1;
    catalog.services.reverse();
    catalog.nagios.services.reverse();
    for id in catalog.hosts.iter_mut().flat_map(|host| &mut host.services) {
        id.0 = u32::try_from(last).expect("few") - id.0;
    }
    catalog.reindex();
    catalog
}

fn interrupt(site: &mut Site, interruption: Interruption) {
    match interruption {
        Interruption::Restart => {
            let bytes = postcard::to_stdvec(&site.engine.checkpoint()).expect("a checkpoint is written");
            site.engine = Engine::from_checkpoint(postcard::from_bytes(&bytes).expect("and read"));
        }
        Interruption::Reload => {
            let catalog = Arc::clone(site.engine.catalog());
            site.apply(Input::Catalog(catalog));
        }
        Interruption::Reorder => {
            let catalog = reordered(site.engine.catalog());
            site.apply(Input::Catalog(Arc::new(catalog)));
        }
    }
}

/// Everything that anyone can see after each step.
fn history(steps: &[(usize, i32, bool, i64)], interruptions: &[(usize, Interruption)]) -> Vec<String> {
    let mut site = Site::new(tree());
    let mut seen = Vec::new();
    for (number, &(which, code, passive, secs)) in steps.iter().enumerate() {
        for (_, interruption) in interruptions.iter().filter(|(at, _)| *at == number) {
            interrupt(&mut site, *interruption);
        }
        let (host, service) = OBJECTS[which];
        let object = site.id(host, service);
        match (passive, object) {
            (true, ObjectId::Host(_)) => site.passive(object, code.min(2), "o"),
            (true, ObjectId::Service(_)) => site.passive(object, code, "o"),
            (false, _) => site.active(object, code, if code == 2 { "x" } else { "o" }),
        };
        // Without the checks that ticks ask for on behalf of incidents: a reload looks at those at once.
        let mut checks = site.checks();
        site.pass(secs);
        checks.extend(site.checks().into_iter().filter(|check| check.forced));
        let catalog = Arc::clone(site.engine.catalog());
        let named =
            |check: &CheckRequest| format!("{:?} {} {}", catalog.object_key(check.object), check.due, check.forced);
        let mut checks: Vec<String> = checks.iter().map(named).collect();
        checks.sort();
        // Lines of one instant have no order.
        let mut log = site.log();
        log.sort();
        let mut text = format!("{log:?} {:?} {:?} {checks:?}", site.runs(), site.notices());
        for (host, service) in OBJECTS {
            let object = site.id(host, service);
            // `incident` and `changed` are of the pages; a reload may touch them.
            let (row, track) = (site.row(object), site.track(object));
            text.push_str(&format!(
                "\n{host} {service:?} {} {} {} {} {:?} {track:?}",
                site.shown(object),
                row.last_hard_state,
                row.last_state_change,
                row.last_hard_change,
                row.flags.has(8),
            ));
        }
        seen.push(text);
    }
    seen
}

fn interruption() -> impl Strategy<Value = Interruption> {
    prop_oneof![Just(Interruption::Restart), Just(Interruption::Reload), Just(Interruption::Reorder)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn restarts_and_reloads_at_any_instant_change_nothing(
        steps in vec((0usize..OBJECTS.len(), 0i32..4, any::<bool>(), 0i64..40), 1..40),
        interruptions in vec((0usize..40, interruption()), 1..6),
    ) {
        let (quiet, disturbed) = (history(&steps, &[]), history(&steps, &interruptions));
        for (step, (quiet, disturbed)) in quiet.iter().zip(&disturbed).enumerate() {
            prop_assert_eq!(quiet, disturbed, "step {}", step);
        }
    }
}

#[test]
fn a_hard_problem_at_its_last_attempt_stays_there_when_the_attempts_change() {
    let mut site = Site::new(tree());
    let b = site.id("h", Some("b"));
    for _ in 0..3 {
        site.active(b, 2, "o");
    }
    let mut catalog = Catalog::clone(site.engine.catalog());
    catalog.checks.iter_mut().filter(|check| check.attempts == 3).for_each(|check| check.attempts = 5);
    catalog.reindex();
    site.apply(Input::Catalog(Arc::new(catalog)));
    assert_eq!(site.shown(b), "CRITICAL;HARD;5");
    site.log();
    site.active(b, 1, "o");
    assert_eq!(site.shown(b), "WARNING;HARD;5", "another hard problem, not a soft one");
}
