//! What an agent tells late: history with its own times, and no page for what is over.

use stentor_core::Span;

use super::world::Story;

#[test]
fn a_failure_that_was_over_before_it_could_be_told_pages_nobody() {
    let mut story = Story::new();
    story.all_well("web1").pass(2);
    let start = story.at;
    story.sleep(170);
    let ago = |story: &Story, secs: i64| story.at - Span::from_secs(secs);
    // Two pushes with a tick between them: the first ends with the failure.
    let failed = ago(&story, 120);
    story.push("web1", 1, true, &[("disk", 2, failed)]).pass(3);
    assert_eq!(story.service("web1", "disk").state, 2, "it is shown as it is known");
    let recovered = ago(&story, 60);
    story.push("web1", 2, false, &[("disk", 0, recovered)]).pass(30);
    assert_eq!(story.pages(), Vec::<String>::new());
    assert!(story.engine.snapshot().incidents.is_empty());
    let states: Vec<(i64, String)> =
        story.dated(start).into_iter().filter(|(_, text)| text.starts_with("service_state")).collect();
    let told: Vec<i64> = states.iter().map(|(secs, _)| *secs).filter(|secs| *secs > 0).collect();
    assert_eq!(told, [50, 113], "{states:?}");
    assert_eq!(story.service("web1", "disk").last_state_change, recovered);
}

#[test]
fn a_failure_that_lasts_is_told_when_the_agent_has_told_all() {
    let mut story = Story::new();
    story.all_well("web1").pass(2).sleep(170);
    let failed = story.at - Span::from_secs(120);
    story.push("web1", 1, true, &[("disk", 2, failed)]).pass(3);
    assert_eq!(story.pages(), Vec::<String>::new());
    let now = story.at;
    story.push("web1", 2, false, &[("disk", 2, now)]).pass(3);
    assert_eq!(story.pages(), ["problem oncall INC-1 disk on web1"]);
    assert_eq!(story.service("web1", "disk").last_state_change, failed);
}

#[test]
fn an_agent_that_never_catches_up_or_falls_silent_hides_nothing() {
    let mut story = Story::new();
    story.all_well("web1").pass(2);
    let mut sequence = 0;
    let begun = story.at;
    while story.pages().is_empty() {
        sequence += 1;
        let now = story.at;
        story.push("web1", sequence, true, &[("disk", 2, now)]).pass(5);
        assert!(story.at.since(begun) < Span::from_mins(12), "silenced for ever");
    }
    assert!(story.at.since(begun) >= Span::from_mins(10));

    let mut story = Story::new();
    story.all_well("web1").pass(2);
    let now = story.at;
    story.push("web1", 1, true, &[("disk", 2, now)]).pass(40);
    assert_eq!(story.pages(), ["problem oncall INC-1 disk on web1"]);
}

#[test]
fn what_one_agent_has_yet_to_tell_holds_back_no_other_host() {
    let mut story = Story::new();
    story.all_well("web1").pass(2);
    let now = story.at;
    story.push("gw", 1, true, &[]).push("web1", 1, false, &[("disk", 2, now)]).pass(3);
    assert_eq!(story.pages(), ["problem oncall INC-1 disk on web1"]);
}
