//! Stories of the engine: results and commands in, states, incidents and pages out.

#[path = "engine/dependencies.rs"]
mod dependencies;
#[path = "engine/gap.rs"]
mod gap;
#[path = "engine/parity.rs"]
mod parity;
#[path = "engine/past.rs"]
mod past;
#[path = "engine/recurring.rs"]
mod recurring;
#[path = "engine/reopen.rs"]
mod reopen;
#[path = "engine/runs.rs"]
mod runs;
#[path = "engine/switches.rs"]
mod switches;
mod world;

use stentor_core::engine::{Command, CommandError, Engine, Notify};
use stentor_core::model::{Phase, Reason, ServiceState};
use stentor_core::{Span, Timestamp};

use world::{Story, ack, key};

#[test]
fn a_plain_service_opens_one_incident_when_hard_and_pages_once() {
    let mut story = Story::new();
    story.result("web1", Some("http"), 0);
    for _ in 0..2 {
        story.pass(60).result("web1", Some("http"), 2);
    }
    story.pass(5);
    assert_eq!(story.pages(), Vec::<String>::new(), "soft problems do not page");
    story.pass(60).result("web1", Some("http"), 2);
    story.pass(5);
    assert_eq!(story.pages(), ["problem oncall INC-1 http on web1"]);
    story.pass(300).result("web1", Some("http"), 2);
    story.pass(5);
    assert_eq!(story.pages(), Vec::<String>::new(), "no second page before re-notification");
    story.result("web1", Some("http"), 0);
    story.pass(60);
    assert_eq!(story.pages(), ["recovery oncall INC-1 http on web1"]);
}

#[test]
fn a_dead_host_is_one_incident_and_its_services_are_effects() {
    let mut story = Story::new();
    story.all_well("web1");
    for _ in 0..3 {
        story.pass(20).result("web1", None, 2).result("web1", Some("http"), 2).result("web1", Some("disk"), 3);
    }
    story.pass(200);
    assert_eq!(story.pages(), ["problem oncall INC-1 Host web1 does not answer"]);
    let snapshot = story.engine.snapshot();
    assert_eq!(snapshot.live_incidents().len(), 1);
    assert_eq!(snapshot.incidents[&1].problems.len(), 3, "host, http and disk belong to it");
}

#[test]
fn a_child_behind_a_dead_parent_is_unreachable_and_folds_into_the_parent() {
    let mut story = Story::new();
    story.all_well("gw").all_well("behind");
    for _ in 0..3 {
        story.pass(20).result("gw", None, 2).result("behind", None, 2);
    }
    story.pass(200);
    assert_eq!(story.host_word("behind"), "UNREACHABLE");
    assert_eq!(story.pages(), ["problem oncall INC-1 Host gw does not answer"]);
    assert_eq!(story.engine.snapshot().incidents[&1].problems.len(), 2);
}

#[test]
fn acknowledging_an_incident_ends_its_pages_and_is_told_once() {
    let mut story = Story::new();
    story.fail_hard("web1", "http");
    assert_eq!(story.pages(), ["problem oncall INC-1 http on web1"]);
    let command = Command::AckIncident { number: 1, ack: ack("mara"), notify: Notify::Yes };
    story.command(command).expect("acknowledged");
    assert_eq!(story.pages(), ["acknowledgement oncall INC-1 http on web1"]);
    story.pass(4 * 3600);
    assert_eq!(story.pages(), Vec::<String>::new());
    assert!(story.service("web1", "http").is_acknowledged());
    story.result("web1", Some("http"), 0);
    story.pass(60);
    assert_eq!(story.pages(), ["recovery oncall INC-1 http on web1"]);
    assert!(!story.service("web1", "http").is_acknowledged());
}

#[test]
fn an_unacknowledged_critical_is_paged_again_after_half_an_hour() {
    let mut story = Story::new();
    story.fail_hard("web1", "http");
    story.pages();
    story.pass(31 * 60);
    assert_eq!(story.pages(), ["renotify oncall INC-1 http on web1"]);
}

#[test]
fn a_downtime_withholds_the_page_and_its_end_releases_it() {
    let mut story = Story::new();
    story.result("web1", Some("http"), 0);
    story.downtime("web1", Some("http"), Span::from_mins(30)).expect("scheduled");
    for _ in 0..4 {
        story.pass(60).result("web1", Some("http"), 2);
    }
    story.pass(30);
    assert_eq!(story.pages(), Vec::<String>::new());
    assert!(story.log().iter().any(|line| line.contains("withheld") && line.contains("downtime")), "{:?}", story.log());
    story.pass(30 * 60);
    assert_eq!(story.pages(), ["problem oncall INC-1 http on web1"]);
}

#[test]
fn silence_makes_unknown_and_never_ok() {
    let mut story = Story::new();
    story.result("web1", Some("disk"), 0);
    story.pass(5 * 60);
    let row = story.service("web1", "disk");
    assert_eq!((row.service_state(), row.is_stale()), (ServiceState::Unknown, true));
    story.result("web1", Some("disk"), 0);
    assert!(!story.service("web1", "disk").is_stale());
}

#[test]
fn silence_does_not_resolve_an_incident() {
    let mut story = Story::new();
    story.fail_hard("web1", "disk");
    story.pass(3600);
    assert_eq!(story.engine.snapshot().incidents[&1].phase, Phase::Open);
}

#[test]
fn a_late_ok_does_not_close_a_newer_problem() {
    let mut story = Story::new();
    story.fail_hard("web1", "http");
    let earlier = story.at - Span::from_secs(90);
    story.result_at("web1", Some("http"), 0, earlier);
    story.pass(120);
    assert_eq!(story.service("web1", "http").service_state(), ServiceState::Critical);
    assert_eq!(story.engine.snapshot().counters.results_late, 1);
}

#[test]
fn a_repeated_result_id_counts_once() {
    let mut story = Story::new();
    story.result("web1", Some("http"), 0);
    for _ in 0..5 {
        story.pass(1).result_with_id("web1", "http", 2, "feeder-7");
    }
    assert_eq!(story.service("web1", "http").attempt, 1, "one soft attempt, however often it was sent");
}

#[test]
fn refused_commands_say_why() {
    let mut story = Story::new();
    let unknown = Command::AckIncident { number: 9, ack: ack("mara"), notify: Notify::No };
    assert_eq!(story.command(unknown), Err(CommandError::NoIncident(9)));
    let nobody = Command::CheckNow { object: key("nowhere", None), by: "mara".into() };
    let refused = story.command(nobody).expect_err("refused");
    assert_eq!(refused.to_string(), "there is no host nowhere");
    story.result("web1", Some("http"), 0);
    let fine = Command::AckObject {
        object: key("web1", Some("http")),
        ack: ack("mara"),
        notify: Notify::No,
        persistent: false,
    };
    assert_eq!(
        story.command(fine).expect_err("refused").to_string(),
        "service http on host web1 has no problem to acknowledge"
    );
}

#[test]
fn an_incident_that_no_route_wants_is_recorded_as_withheld() {
    let mut story = Story::new();
    story.change_catalog(|catalog| catalog.routes.clear());
    story.fail_hard("web1", "http");
    assert_eq!(story.pages(), Vec::<String>::new());
    assert!(story.log().iter().any(|line| line.contains("route")), "{:?}", story.log());
}

#[test]
fn a_reload_keeps_states_attempts_acks_and_downtimes() {
    let mut story = Story::new();
    story.fail_hard("web1", "http");
    story.command(Command::AckIncident { number: 1, ack: ack("mara"), notify: Notify::No }).expect("acknowledged");
    story.result("web1", Some("load"), 0).pass(60).result("web1", Some("load"), 1);
    story.downtime("gw", None, Span::from_hours(1)).expect("scheduled");
    story.pages();
    story.change_catalog(world::reverse_services);
    story.pass(10);
    assert_eq!(story.pages(), Vec::<String>::new(), "a reload pages nobody");
    let http = story.service("web1", "http");
    assert!(http.is_acknowledged() && http.is_hard_problem());
    let load = story.service("web1", "load");
    assert_eq!((load.attempt, load.kind.as_str()), (1, "SOFT"));
    assert_eq!(story.engine.snapshot().incidents[&1].phase, Phase::Open);
    assert_eq!(story.host("gw").downtime_depth, 1);
}

#[test]
fn every_page_has_its_own_key_and_a_replay_the_same() {
    let tell = || {
        let mut story = Story::new();
        story.fail_hard("web1", "http");
        story.pass(31 * 60);
        story.result("web1", Some("http"), 0);
        story.pass(60);
        story.keys()
    };
    let keys = tell();
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(distinct.len(), 3);
    assert_eq!(keys, tell());
}

#[test]
fn a_checkpoint_at_any_step_changes_nothing() {
    let steps: Vec<fn(&mut Story)> = vec![
        |s| {
            s.all_well("web1");
        },
        |s| {
            s.pass(60).result("web1", Some("http"), 2);
        },
        |s| {
            s.pass(60).result("web1", Some("http"), 2);
        },
        |s| {
            s.pass(60).result("web1", Some("http"), 2);
        },
        |s| {
            s.pass(7);
        },
        |s| {
            s.downtime("gw", None, Span::from_mins(10)).expect("scheduled");
        },
        |s| {
            s.fail_hard("web1", "disk");
        },
        |s| {
            s.ack_titled("http on web1");
        },
        |s| {
            s.pass(31 * 60);
        },
        |s| {
            s.result("web1", Some("http"), 0).pass(60);
        },
        |s| {
            s.pass(3600);
        },
    ];
    let mut straight = Story::new();
    for step in &steps {
        step(&mut straight);
    }
    for cut in 0..steps.len() {
        let mut story = Story::new();
        for (i, step) in steps.iter().enumerate() {
            if i == cut {
                let bytes = postcard::to_allocvec(&story.engine.checkpoint()).expect("encodes");
                story.engine = Engine::from_checkpoint(postcard::from_bytes(&bytes).expect("decodes"));
            }
            step(&mut story);
        }
        assert_eq!(story.keys(), straight.keys(), "cut before step {cut}");
        assert_eq!(story.log(), straight.log(), "cut before step {cut}");
        assert_eq!(story.engine.snapshot().services, straight.engine.snapshot().services, "cut before step {cut}");
    }
}

#[test]
fn time_never_runs_backwards() {
    let mut story = Story::new();
    story.fail_hard("web1", "http");
    let newest = story.engine.snapshot().at;
    story.at = Timestamp::from_secs(5);
    story.result("web1", Some("load"), 0);
    assert_eq!(story.engine.snapshot().at, newest);
}

#[test]
fn reasons_are_words_of_the_contract() {
    let words: Vec<_> = [Reason::Problem, Reason::Changed, Reason::Renotify, Reason::Acknowledgement, Reason::Recovery]
        .map(Reason::as_str)
        .to_vec();
    assert_eq!(words, ["problem", "changed", "renotify", "acknowledgement", "recovery"]);
}
