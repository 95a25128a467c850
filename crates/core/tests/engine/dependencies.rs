//! Dependencies of objects of Stentor's own configuration: redundancy groups, their incidents and their checks.

use stentor_core::catalog::Catalog;
use stentor_core::catalog::nagios::{Dependency, Options, Redundancy};
use stentor_core::engine::gate::{Forced, SkipReason};
use stentor_core::id::ObjectId;
use stentor_core::model::Phase;

use super::world::{self, Story};

/// `http` needs one of `disk` and `load`; for its pages, or for its checks too.
fn leaning(stops_checks: bool) -> Catalog {
    let mut catalog = world::catalog();
    let id = |service| ObjectId::Service(catalog.service_id("web1", service).expect("a service of the world"));
    let criteria = Options::CRITICAL | Options::UNKNOWN;
    let lean = |master| Dependency {
        master,
        dependent: id("http"),
        execution: if stops_checks { criteria } else { Options::NONE },
        notification: criteria,
        inherits_parent: false,
        period: None,
        redundancy: Some(Redundancy { name: "store".into(), min_available: 1 }),
    };
    let dependencies = vec![lean(id("disk")), lean(id("load"))];
    catalog.nagios.dependencies = dependencies;
    // Only what is looked at can be told not to.
    catalog.checks[2].probe = "tcp".into();
    catalog.reindex();
    catalog
}

fn story(catalog: Catalog) -> Story {
    let mut story = Story::new();
    story.change_catalog(|known| *known = catalog);
    story.all_well("web1");
    story
}

#[test]
fn an_incident_is_withheld_while_a_whole_group_has_failed_and_told_afterwards() {
    let mut story = story(leaning(false));
    for _ in 0..3 {
        story.pass(60).result("web1", Some("load"), 2).result("web1", Some("disk"), 2);
    }
    story.pass(60);
    story.pages();
    for _ in 0..3 {
        story.pass(60).result("web1", Some("http"), 2).result("web1", Some("disk"), 2);
    }
    story.pass(60);
    assert_eq!(story.pages(), Vec::<String>::new());
    let told = "withheld dependency: it depends on redundancy group store: 0 of 2 available, 1 needed; one that \
                failed: service disk on host web1";
    assert!(story.log().iter().any(|line| line.contains(told)), "{:?}", story.log());
    let open = || story.engine.snapshot().live_incidents().iter().filter(|i| i.phase == Phase::Open).count();
    assert_eq!(open(), 3, "it is recorded all the same");
    story.result("web1", Some("load"), 0);
    story.pass(5);
    let pages = story.pages();
    assert!(pages.iter().any(|page| page.starts_with("problem oncall") && page.ends_with("http on web1")), "{pages:?}");
}

#[test]
fn a_group_with_one_left_withholds_nothing() {
    let mut story = story(leaning(false));
    for _ in 0..3 {
        story.pass(60).result("web1", Some("load"), 2).result("web1", Some("http"), 2).result("web1", Some("disk"), 0);
    }
    story.pass(60);
    let pages = story.pages();
    assert!(pages.iter().any(|page| page.ends_with("http on web1")), "{pages:?}");
}

#[test]
fn a_check_that_leans_on_a_failed_group_waits_unless_it_is_forced() {
    let mut story = story(leaning(true));
    let id = |service| ObjectId::Service(story.engine.snapshot().catalog.service_id("web1", service).expect("known"));
    let (http, disk) = (id("http"), id("disk"));
    assert_eq!(story.engine.check_allowed(http, Forced::No), Ok(()));
    for _ in 0..3 {
        story.pass(30).result("web1", Some("load"), 2).result("web1", Some("disk"), 2);
    }
    let refused = |forced| story.engine.check_allowed(http, forced).map_err(|skip| skip.why);
    assert_eq!(refused(Forced::No), Err(SkipReason::Dependency(disk)));
    assert_eq!(refused(Forced::Yes), Ok(()));
}

#[test]
fn what_may_not_be_looked_at_does_not_go_stale_and_has_its_time_again_afterwards() {
    let mut catalog = leaning(true);
    // The one whose results run out leans on the others.
    let id = |service| ObjectId::Service(catalog.service_id("web1", service).expect("a service of the world"));
    let (disk, http) = (id("disk"), id("http"));
    for dependency in &mut catalog.nagios.dependencies {
        (dependency.master, dependency.dependent) = (http, disk);
    }
    catalog.reindex();
    let mut story = story(catalog);
    for _ in 0..3 {
        story.pass(20).result("web1", Some("http"), 2);
    }
    let stale = |story: &Story| story.service("web1", "disk").is_stale();
    story.pass(3600);
    assert!(!stale(&story), "nobody looked, as configured");
    story.result("web1", Some("http"), 0);
    story.pass(120);
    assert!(!stale(&story), "its check has its whole time");
    story.pass(400);
    assert!(stale(&story), "now nobody looks although somebody may");
}
