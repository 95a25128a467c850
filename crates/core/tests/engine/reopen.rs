//! What comes back soon is told under its number; nobody is told of the same thing twice in between.

use stentor_core::model::Phase;

use super::world::Story;

/// The service fails for good while the rest of its host is heard.
fn fail(story: &mut Story) {
    for _ in 0..3 {
        story.pass(60).result("web1", Some("disk"), 0).result("web1", Some("http"), 2);
    }
    story.pass(2);
}

#[test]
fn a_service_that_comes_back_soon_is_told_under_its_old_number() {
    let mut story = Story::new();
    fail(story.all_well("web1"));
    story.result("web1", Some("http"), 0).pass(60);
    assert_eq!(story.pages(), ["problem oncall INC-1 http on web1", "recovery oncall INC-1 http on web1"]);
    fail(&mut story);
    assert_eq!(story.pages(), ["problem oncall INC-1 http on web1"], "a problem again, not a change of one");
    assert_eq!(story.engine.incident(1).map(|incident| incident.generation), Some(2));
    story.result("web1", Some("http"), 0).pass(60);
    assert_eq!(story.pages(), ["recovery oncall INC-1 http on web1"]);
    let mut keys = story.keys();
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all, "no key twice, or the second page would be taken for the first");
}

#[test]
fn who_had_it_does_not_have_it_when_it_comes_back() {
    let mut story = Story::new();
    fail(story.all_well("web1"));
    story.ack_titled("http on web1");
    story.result("web1", Some("http"), 0).pass(60);
    story.pages();
    fail(&mut story);
    assert_eq!(story.pages(), ["problem oncall INC-1 http on web1"]);
}

#[test]
fn later_it_is_another_incident_that_names_the_old_one() {
    let mut story = Story::new();
    fail(story.all_well("web1"));
    story.result("web1", Some("http"), 0).pass(60);
    for _ in 0..35 {
        story.pass(60).result("web1", Some("http"), 0).result("web1", Some("disk"), 0);
    }
    fail(&mut story);
    let (old, new) = (story.engine.incident(1).cloned(), story.engine.incident(2).cloned());
    let (old, new) = (old.expect("kept"), new.expect("a new one"));
    assert_eq!((old.phase, old.links.again, new.links.was), (Phase::Resolved, Some(2), Some(1)));
}

#[test]
fn a_restart_in_between_remembers_what_was_told() {
    let mut story = Story::new();
    fail(story.all_well("web1"));
    story.result("web1", Some("http"), 0).pass(60);
    story.restart();
    fail(&mut story);
    let keys = story.keys();
    assert!(keys.iter().any(|key| key.ends_with("INC-1/problem/3/oncall/email")), "{keys:?}");
}
