//! Time in which the process did not run counts for nothing: no silence, no hold, no recovery.

use stentor_core::Span;

use crate::world::Story;

const NIGHT: i64 = 8 * 3600;

#[test]
fn nobody_is_silent_while_nobody_listened() {
    let mut story = Story::new();
    story.all_well("web1").pass(60);
    story.sleep(NIGHT).pass(110);
    assert!(!story.service("web1", "disk").is_stale(), "three minutes of listening are not over");
    story.pass(20);
    assert!(story.service("web1", "disk").is_stale(), "and now they are");
}

#[test]
fn a_process_that_is_stopped_again_and_again_notices_silence_too() {
    let mut story = Story::new();
    story.all_well("web1");
    for _ in 0..40 {
        story.sleep(6).pass(5);
    }
    assert!(story.service("web1", "disk").is_stale(), "it listened for 200 s in all");
}

#[test]
fn without_a_gap_a_night_of_silence_is_one() {
    let mut story = Story::new();
    story.all_well("web1").pass(NIGHT);
    assert!(story.service("web1", "disk").is_stale());
}

#[test]
fn a_hold_goes_on_where_it_stood() {
    let mut story = Story::new();
    story.all_well("gw").all_well("web1");
    for _ in 0..3 {
        story.result("web1", None, 2).pass(1);
    }
    assert_eq!(story.host_word("web1"), "DOWN");
    story.sleep(NIGHT).pass(5);
    assert!(story.pages().is_empty(), "the hold is two minutes of watching");
    story.pass(120);
    assert_eq!(story.pages().len(), 1);
}

#[test]
fn a_recovery_is_watched_and_not_slept_through() {
    let mut story = Story::new();
    story.all_well("gw").all_well("web1").fail_hard("web1", "http");
    story.pages();
    story.result("web1", Some("http"), 0).pass(2);
    story.sleep(NIGHT).pass(2);
    assert!(story.pages().is_empty(), "thirty seconds of watching are not over");
    story.result("web1", Some("http"), 0).pass(40);
    assert_eq!(story.pages(), ["recovery oncall INC-1 http on web1"]);
}

#[test]
fn an_acknowledgement_outlives_a_gap() {
    let mut story = Story::new();
    story.all_well("gw").all_well("web1").result("web1", Some("disk"), 2).pass(5);
    story.ack_titled("disk on web1");
    story.sleep(NIGHT).pass(5);
    assert!(story.service("web1", "disk").is_acknowledged());
}

#[test]
fn a_downtime_ends_by_the_clock() {
    let mut story = Story::new();
    story.all_well("gw").all_well("web1").downtime("web1", None, Span::from_hours(1)).expect("scheduled");
    story.pass(5);
    assert_eq!(story.host("web1").downtime_depth, 1);
    story.sleep(NIGHT).pass(1);
    assert_eq!(story.host("web1").downtime_depth, 0);
}
