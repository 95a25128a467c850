//! Checks that a result of another object asks for (specification 03, 2.3 and 3).

use stentor_core::Span;
use stentor_core::catalog::nagios::{Dependency, Options};
use stentor_core::id::{HostId, ObjectId};

use super::site::{Object, Site, Tree};

/// Exit codes of one object in turn.
type Codes = &'static [i32];

/// Older than any cached result may be.
const LATER: i64 = 60;

fn active(object: Object) -> Object {
    object.with(|directives| directives.switches.active_checks = true)
}

fn pair(program: impl FnOnce(&mut Tree)) -> (Site, ObjectId, ObjectId) {
    let mut tree = Tree::new();
    let host = tree.host("h", &active(Object::host()));
    let service = tree.service(host, "s", &active(Object::attempts(3)));
    program(&mut tree);
    (Site::new(tree), ObjectId::Host(host), ObjectId::Service(service))
}

/// Names of the objects whose checks were asked for just now.
fn asked(site: &mut Site) -> Vec<String> {
    let now = site.at;
    let catalog = site.engine.catalog().clone();
    let due = site.checks().into_iter().filter(|check| check.due == now);
    let mut names: Vec<String> = due
        .map(|check| {
            let key = catalog.object_key(check.object);
            key.service.map_or_else(|| key.host.to_string(), |service| service.to_string())
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_service_result_asks_for_its_host_where_it_may_have_changed() {
    #[rustfmt::skip]
    let table: &[(&str, [Codes; 2], i64, i32, bool)] = &[
        // name, results of the host and of the service before, seconds since, result, is the host asked for
        ("never checked", [&[], &[]], 0, 0, true),
        ("well on both sides", [&[0], &[0]], LATER, 0, false),
        ("changed", [&[0], &[0]], LATER, 2, true),
        ("changed, host just seen", [&[0], &[0]], 5, 2, false),
        ("the same problem", [&[0], &[2]], LATER, 2, false),
        ("another problem", [&[0], &[1]], LATER, 2, true),
        ("well again", [&[0], &[2]], LATER, 0, false),
        ("well on a dead host", [&[2], &[0]], LATER, 0, true),
        ("well on a host that just died", [&[2], &[0]], 5, 0, false),
        ("failed on a dead host", [&[2], &[0]], LATER, 2, true),
        ("still failed on a dead host", [&[2], &[2]], LATER, 2, false),
    ];
    for (name, [of_host, of_service], age, code, expect) in table {
        let (mut site, host, service) = pair(|_| ());
        for (object, codes) in [(service, of_service), (host, of_host)] {
            for code in *codes {
                site.active(object, *code, "o");
            }
        }
        site.pass(*age).checks();
        site.active(service, *code, "o");
        assert_eq!(asked(&mut site).contains(&"h".to_owned()), *expect, "{name}");
    }
}

#[test]
fn nobody_asks_for_checks_that_are_switched_off() {
    for off in [true, false] {
        let (mut site, host, service) = pair(|tree| {
            tree.program().execute_host_checks = !off;
            tree.catalog.nagios.directives[0].switches.active_checks = off;
        });
        site.active(host, 0, "o").pass(LATER).checks();
        site.active(service, 2, "o");
        assert!(!asked(&mut site).contains(&"h".to_owned()));
    }
}

#[test]
fn a_host_that_changes_makes_its_neighbours_doubtful() {
    let mut tree = Tree::new();
    let up = tree.host("up-parent", &active(Object::host()));
    let down = tree.host("down-parent", &active(Object::host()));
    let host = tree.host("h", &Object { parents: vec![up, down], ..active(Object::host()) });
    let child =
        |tree: &mut Tree, name: &str| tree.host(name, &Object { parents: vec![host], ..active(Object::host()) });
    let well = child(&mut tree, "well-child");
    let lost = child(&mut tree, "lost-child");
    let mut site = Site::new(tree);
    let [up, down, host, well, lost] = [up, down, host, well, lost].map(ObjectId::Host);
    site.active(up, 0, "o").active(down, 2, "o").active(host, 2, "o").active(lost, 2, "o").active(host, 0, "o");
    site.active(well, 0, "o");
    assert_eq!(site.shown(lost), "UNREACHABLE;SOFT;1");
    site.pass(LATER).checks();
    site.active(host, 2, "o");
    assert_eq!(asked(&mut site), ["up-parent", "well-child"]);
    site.pass(LATER).active(host, 2, "o");
    assert_eq!(asked(&mut site), Vec::<String>::new(), "more of the same says nothing new");
    site.active(host, 0, "o");
    assert_eq!(asked(&mut site), ["down-parent", "lost-child"]);
}

#[test]
fn before_the_last_attempt_masters_are_looked_at() {
    let (mut site, host, service) = pair(|tree| {
        let master = tree.service(HostId(0), "master", &active(Object::attempts(1)));
        let dependent = ObjectId::Service(tree.service(HostId(0), "dependent", &active(Object::attempts(3))));
        tree.catalog.nagios.dependencies.push(Dependency {
            master: ObjectId::Service(master),
            dependent,
            execution: Options::NONE,
            notification: Options::CRITICAL,
            inherits_parent: false,
            period: None,
            redundancy: None,
        });
    });
    let dependent = site.id("h", Some("dependent"));
    site.active(host, 0, "o").active(service, 0, "o");
    let mut seen = Vec::new();
    for code in [0, 2, 2, 2, 2] {
        site.pass(LATER).active(host, 0, "o").checks();
        site.active(dependent, code, "o");
        seen.push(asked(&mut site).contains(&"master".to_owned()));
    }
    assert_eq!(seen, [false, false, true, false, false]);
}

#[test]
fn a_soft_problem_is_looked_at_again_after_the_retry_interval() {
    let (mut site, host, service) = pair(|_| ());
    site.active(host, 0, "o").checks();
    let due = |site: &mut Site, object| {
        let now = site.at;
        let later = site.checks().into_iter().find(|check| check.object == object && check.due > now);
        later.map(|check| check.due - now)
    };
    site.active(service, 2, "o");
    assert_eq!(due(&mut site, service), Some(Span::from_secs(1)));
    site.passive(service, 2, "o");
    assert_eq!(due(&mut site, service), None, "a passive result moves nothing");
    site.active(service, 2, "o");
    assert_eq!((site.shown(service).as_str(), due(&mut site, service)), ("CRITICAL;HARD;3", None));
    site.active(host, 2, "o");
    assert_eq!(due(&mut site, host), Some(Span::from_secs(1)));
    site.active(host, 0, "o");
    assert_eq!((site.shown(host).as_str(), due(&mut site, host)), ("UP;SOFT;1", None));
}
