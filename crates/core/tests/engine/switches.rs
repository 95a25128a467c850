//! Switches of objects of Stentor's own configuration: what can be switched, what that does, and what is refused.

use stentor_core::engine::gate::{Forced, SkipReason};
use stentor_core::engine::switch::{Scope, Switch};
use stentor_core::engine::{Command, CommandError};
use stentor_core::id::ObjectId;

use super::world::{Story, key};

fn story() -> Story {
    let mut story = Story::new();
    // Looked at by Stentor itself; `http` is fed from outside.
    story.change_catalog(|catalog| {
        catalog.checks[2].probe = "tcp".into();
        catalog.checks[2].freshness = stentor_core::Span::from_hours(2);
    });
    story.all_well("web1");
    story
}

fn switch(service: Option<&str>, switch: Switch, on: bool) -> Command {
    Command::SetSwitch { scope: Scope::Object(key("web1", service)), switch, on }
}

fn id(story: &Story, service: Option<&str>) -> ObjectId {
    story.engine.catalog().object_id(&key("web1", service)).expect("known")
}

#[test]
fn active_checks_that_are_off_do_not_run_and_make_nothing_stale() {
    let mut story = story();
    let disk = id(&story, Some("disk"));
    story.command(switch(Some("disk"), Switch::ActiveChecks, false)).expect("done");
    let refused = |story: &Story, forced| story.engine.check_allowed(disk, forced).err().map(|skip| skip.why);
    assert_eq!(refused(&story, Forced::No), Some(SkipReason::SwitchedOff));
    assert_eq!(refused(&story, Forced::Yes), None, "a person may still look");
    assert_eq!(story.engine.modified_attributes(disk), 2);
    story.pass(3 * 3600);
    assert!(!story.service("web1", "disk").is_stale());
    story.change_catalog(|catalog| catalog.checks[2].probe = "tcp".into());
    assert_eq!(refused(&story, Forced::No), Some(SkipReason::SwitchedOff), "a reload forgets no switch");
    story.command(switch(Some("disk"), Switch::ActiveChecks, true)).expect("done");
    assert_eq!((refused(&story, Forced::No), story.engine.modified_attributes(disk)), (None, 0));
    let host = id(&story, None);
    story.change_catalog(|catalog| catalog.checks[0].probe = "ping".into());
    story.command(switch(None, Switch::ActiveChecks, false)).expect("done");
    assert!(story.engine.check_allowed(host, Forced::No).is_err());
}

#[test]
fn passive_results_are_refused_while_they_are_off() {
    let mut story = story();
    story.command(switch(Some("http"), Switch::PassiveChecks, false)).expect("done");
    story.pass(10).result("web1", Some("http"), 2);
    assert_eq!(story.service("web1", "http").state, 0);
    assert_eq!(story.engine.snapshot().counters.results_refused, 1);
    story.command(switch(Some("http"), Switch::PassiveChecks, true)).expect("done");
    story.pass(10).result("web1", Some("http"), 2);
    assert_eq!(story.service("web1", "http").state, 2);
}

#[test]
fn nobody_is_told_while_notifications_are_off_and_everybody_afterwards() {
    let mut story = story();
    story.command(switch(Some("http"), Switch::Notifications, false)).expect("done");
    story.fail_hard("web1", "http");
    story.pass(600);
    assert_eq!(story.pages(), Vec::<String>::new());
    let told = "withheld disabled: its notifications are switched off";
    assert!(story.log().iter().any(|line| line.contains(told)), "{:?}", story.log());
    story.command(switch(Some("http"), Switch::Notifications, true)).expect("done");
    story.pass(2);
    assert_eq!(story.pages(), ["problem oncall INC-1 http on web1"]);
}

#[test]
fn a_switch_of_many_objects_means_those_that_have_it() {
    let mut story = story();
    let all = Command::SetSwitch { scope: Scope::ServicesOf("web1".into()), switch: Switch::ActiveChecks, on: false };
    story.command(all).expect("done");
    let changed = ["disk", "http", "load"].map(|service| story.engine.modified_attributes(id(&story, Some(service))));
    assert_eq!(changed, [2, 0, 0], "only `disk` is looked at");
}

#[test]
fn a_switch_that_an_object_does_not_have_is_refused_with_the_reason() {
    let mut story = story();
    for (what, expect) in [
        (Switch::EventHandler, "has no event handler"),
        (Switch::FlapDetection, "is not watched for flapping"),
        (Switch::Perfdata, "measurements are always kept"),
        (Switch::Obsess, "has no obsessive command"),
        (Switch::Freshness, "change it there"),
        (Switch::ActiveChecks, "its results come from outside"),
    ] {
        let refused = story.command(switch(Some("http"), what, false)).expect_err("refused");
        assert!(matches!(&refused, CommandError::Invalid(why) if why.contains(expect)), "{refused}");
        assert!(refused.to_string().contains("http"), "{refused}");
    }
}
