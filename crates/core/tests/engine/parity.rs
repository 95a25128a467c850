//! A comparison of two hosts: what one of them cannot tell is that host's trouble, a difference is its own.

use stentor_core::Span;
use stentor_core::engine::{Command, Reply};
use stentor_core::parity::{PAIR_PROBE, Pair};

use super::world::Story;

/// `load` of web1 compares web1 with the host behind; `disk` of web1 tells its part.
fn pair() -> Story {
    let mut story = Story::new();
    story.change_catalog(|catalog| {
        let pair = Pair {
            hosts: vec!["web1".into(), "behind".into()],
            service: "disk".into(),
            names: vec!["/etc/x".into()],
            fresh: Span::from_mins(10),
        };
        catalog.checks[3].probe = PAIR_PROBE.into();
        catalog.checks[3].params = pair.params();
    });
    story.all_well("gw").all_well("web1").all_well("behind");
    story
}

#[test]
fn an_unknown_comparison_belongs_to_the_host_that_is_down() {
    let mut story = pair();
    for _ in 0..3 {
        story.pass(20).result("behind", None, 2).result("web1", Some("load"), 3).result("web1", Some("disk"), 0);
    }
    for _ in 0..4 {
        story.pass(60).result("web1", Some("disk"), 0);
    }
    assert_eq!(story.pages(), ["problem oncall INC-1 Host behind does not answer"]);
    assert_eq!(story.engine.snapshot().incidents[&1].problems.len(), 2, "the host and the comparison");
}

#[test]
fn an_unknown_comparison_belongs_to_the_check_that_is_silent() {
    let mut story = pair();
    story.pass(190);
    for _ in 0..3 {
        story.pass(20).result("web1", Some("load"), 3);
    }
    story.pass(120);
    assert_eq!(story.pages(), ["problem oncall INC-1 disk on web1"]);
    assert_eq!(story.engine.snapshot().incidents[&1].problems.len(), 2, "the silent check and the comparison");
}

#[test]
fn a_difference_is_an_incident_of_its_own_but_not_while_one_of_the_hosts_is_worked_on() {
    let mut story = pair();
    story.downtime("behind", None, Span::from_mins(10)).expect("planned");
    for _ in 0..4 {
        story.pass(60).result("web1", Some("load"), 1).result("web1", Some("disk"), 0);
    }
    story.pass(60).result("web1", Some("disk"), 0);
    assert!(story.service("web1", "load").is_hard_problem(), "it is shown");
    assert_eq!(story.engine.snapshot().live_incidents().len(), 0);
    for _ in 0..8 {
        story.pass(60).result("web1", Some("load"), 1).result("web1", Some("disk"), 0);
    }
    assert_eq!(story.pages(), ["problem oncall INC-1 load on web1"]);
}

#[test]
fn a_drill_is_in_the_audit_and_in_history() {
    let mut story = Story::new();
    let drill = |of: &str| Command::RecordDrill { of: of.into(), by: "anna".into(), text: "passed".into() };
    assert_eq!(story.command(drill("eucalyptus/clc/server")), Ok(Reply::Done));
    assert_eq!(story.command(drill("rb-euca-full-recovery")), Ok(Reply::Done));
    let audit = story.audit();
    assert_eq!(audit.len(), 2, "{audit:#?}");
    assert!(audit.iter().all(|line| line == "anna drill done: passed"), "{audit:#?}");
    assert!(story.log().iter().any(|line| line.contains("anna: drill of rb-euca-full-recovery: passed")));
}
