//! Recurring downtimes: each occurrence once, whatever happens to the process, the configuration and the calendar.

use stentor_core::Span;
use stentor_core::catalog::{Catalog, Recurrence, Timeperiod};
use stentor_core::engine::{Command, Engine};
use stentor_core::id::TimeperiodId;
use stentor_core::model::Downtime;

use super::world::{self, Story, key};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

/// Every day 14:00 to 16:00 UTC on `http`; the story begins at 13:46:40.
fn nightly() -> Catalog {
    let mut catalog = world::catalog();
    catalog.timeperiods.push(Timeperiod {
        name: "patching".into(),
        zone: "UTC".into(),
        weekly: std::array::from_fn(|_| vec![(14 * 60, 16 * 60)]),
        exceptions: Vec::new(),
        exclude: Vec::new(),
    });
    catalog.recurring.push(Recurrence {
        name: "patches".into(),
        targets: vec![key("web1", Some("http"))],
        period: TimeperiodId(0),
        length: None,
        comment: "patches".into(),
    });
    catalog
}

fn story() -> Story {
    let mut story = Story::new();
    story.change_catalog(|catalog| *catalog = nightly());
    story.all_well("web1");
    story
}

fn only(story: &Story) -> Downtime {
    let all: Vec<Downtime> = story.engine.downtimes().values().cloned().collect();
    let [one] = &*all else { panic!("one window: {all:?}") };
    one.clone()
}

fn day(downtime: &Downtime) -> String {
    downtime.start.to_rfc3339().chars().take(16).collect()
}

fn depth(story: &Story) -> u16 {
    story.service("web1", "http").downtime_depth
}

/// How often a window began.
fn begun(story: &Story) -> usize {
    story.log().iter().filter(|line| line.starts_with("downtime_started")).count()
}

#[test]
fn the_next_occurrence_is_planned_begins_ends_and_the_one_after_it_is_planned() {
    let mut story = story();
    let planned = only(&story);
    assert_eq!((day(&planned).as_str(), planned.active), ("1970-01-12T14:00", false));
    assert_eq!((&*planned.author, planned.recurring.as_deref()), ("configuration", Some("patches")));
    story.pass(30 * MINUTE);
    assert_eq!((only(&story).active, depth(&story)), (true, 1));
    story.pass(2 * HOUR);
    let next = only(&story);
    assert_eq!((day(&next).as_str(), next.active, depth(&story)), ("1970-01-13T14:00", false, 0));
    story.pass(48 * HOUR);
    assert_eq!((begun(&story), day(&only(&story)).as_str()), (3, "1970-01-15T14:00"));
}

#[test]
fn a_process_that_was_away_opens_what_is_left_once_and_skips_what_is_over() {
    let mut story = story();
    story.sleep(HOUR).pass(10);
    let left = only(&story);
    assert!(left.active && depth(&story) == 1, "{left:?}");
    assert_eq!(left.end.to_rfc3339(), "1970-01-12T16:00:00.000Z");
    story.sleep(26 * HOUR).pass(10);
    assert_eq!((begun(&story), day(&only(&story)).as_str()), (1, "1970-01-14T14:00"), "the 13th was slept through");
    assert_eq!(depth(&story), 0);
}

#[test]
fn a_configuration_read_in_the_middle_opens_the_rest_and_reads_again_without_a_second_one() {
    let mut story = Story::new();
    story.pass(HOUR);
    story.change_catalog(|catalog| *catalog = nightly());
    story.pass(1);
    assert_eq!((only(&story).active, depth(&story)), (true, 1));
    for _ in 0..3 {
        let before = only(&story);
        story.change_catalog(|catalog| *catalog = nightly());
        assert_eq!(only(&story), before, "a reload is no reload");
        story.pass(60);
    }
    assert_eq!(begun(&story), 1);
}

#[test]
fn a_cancelled_occurrence_stays_cancelled_over_reloads_and_restarts() {
    for before_it in [true, false] {
        let mut story = story();
        if !before_it {
            story.pass(30 * MINUTE);
        }
        let id = only(&story).id;
        story.command(Command::CancelDowntime { id, by: "mara".into() }).expect("cancelled");
        assert_eq!((day(&only(&story)).as_str(), depth(&story)), ("1970-01-13T14:00", 0));
        story.engine = Engine::from_checkpoint(story.engine.checkpoint());
        story.change_catalog(|catalog| *catalog = nightly());
        story.pass(HOUR);
        // Somebody takes it out of the configuration for a while.
        story.change_catalog(|_| ());
        assert_eq!(story.engine.downtimes().len(), 0, "what has not begun goes with its reason");
        story.change_catalog(|catalog| *catalog = nightly());
        story.pass(30 * MINUTE);
        assert_eq!((day(&only(&story)).as_str(), depth(&story)), ("1970-01-13T14:00", 0), "before it: {before_it}");
        story.pass(24 * HOUR);
        assert_eq!(depth(&story), 1, "the next one comes");
    }
}

#[test]
fn a_restart_in_the_middle_changes_nothing() {
    let mut story = story();
    story.pass(30 * MINUTE);
    let before = story.engine.downtimes().clone();
    story.engine = Engine::from_checkpoint(story.engine.checkpoint());
    assert_eq!(*story.engine.downtimes(), before);
    story.sleep(MINUTE).pass(60);
    assert_eq!((only(&story).id, begun(&story)), (*before.keys().next().expect("one"), 1));
}

#[test]
fn other_times_move_what_is_planned_and_what_runs() {
    let with = |to: u16| {
        let mut catalog = nightly();
        catalog.timeperiods[0].weekly = std::array::from_fn(|_| vec![(14 * 60, to)]);
        catalog
    };
    let mut story = story();
    story.change_catalog(|catalog| *catalog = with(15 * 60));
    assert_eq!(only(&story).end.to_rfc3339(), "1970-01-12T15:00:00.000Z");
    story.pass(30 * MINUTE);
    story.change_catalog(|catalog| *catalog = with(17 * 60));
    let running = only(&story);
    assert_eq!((running.active, running.end.to_rfc3339().as_str()), (true, "1970-01-12T17:00:00.000Z"));
    story.change_catalog(|_| ());
    assert!(only(&story).active, "what runs runs on");
    story.pass(3 * HOUR);
    assert_eq!((story.engine.downtimes().len(), depth(&story)), (0, 0));
}

#[test]
fn virtual_time_knows_when_the_next_one_begins() {
    let story = story();
    let due = story.engine.next_due().expect("something is due");
    let begin = only(&story).start;
    assert!(due <= begin && begin - story.at < Span::from_hours(1), "{due} {begin}");
}
