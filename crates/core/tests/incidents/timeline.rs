//! What the timeline of an incident tells: every fact, by its name, and not more often than it changes.

use stentor_core::diagnosis::{Class, Evidence, Severity};
use stentor_core::model::{Phase, Stage, TimelineKind};

use super::bench::{Bench, verdict, with_effects};

#[test]
fn effects_that_join_and_leave_are_named() {
    let mut bench = Bench::new();
    let cause = || verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc"));
    bench.causes(&[with_effects(cause(), &[("sc1", Some("sc"))])]).believe();
    bench.causes(&[with_effects(cause(), &[("sc1", Some("sc")), ("ufs1", Some("ufs"))])]).pass(1);
    bench.causes(&[with_effects(cause(), &[("ufs1", Some("ufs"))])]).pass(1);
    assert_eq!(
        bench.entries(1, TimelineKind::Effect),
        ["Effects joined: ufs on ufs1; 2 in all", "Effects gone: sc on sc1; 1 left"]
    );
    let events: Vec<&str> = bench.events.iter().map(|event| event.text.as_str()).collect();
    assert!(events.contains(&"Effects joined: ufs on ufs1; 2 in all"), "{events:?}");
}

#[test]
fn four_hundred_effects_are_one_line() {
    let mut bench = Bench::new();
    let cause = || verdict(Class::PowerEvent, "feed_lost", "A", None);
    let names: Vec<String> = (0..400).map(|n| format!("h{n:03}")).collect();
    let all: Vec<(&str, Option<&str>)> = names.iter().map(|name| (name.as_str(), None)).collect();
    bench.causes(&[cause()]).believe().causes(&[with_effects(cause(), &all)]).pass(3);
    let said = bench.entries(1, TimelineKind::Effect);
    assert_eq!(said.len(), 1);
    assert!(said[0].ends_with("and 388 more; 400 in all") && said[0].len() < 300, "{said:?}");
}

#[test]
fn evidence_that_changes_is_told_and_a_number_that_counts_is_not() {
    let mut bench = Bench::new();
    let with = |sig: &str, value: &str| {
        let mut cause = verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc"));
        cause.evidence.push(Evidence { sig: sig.to_owned(), at: "clc1/clc".to_owned(), value: value.to_owned() });
        cause
    };
    bench.causes(&[with("process", "absent for 10 s")]).believe();
    for secs in 11..40 {
        bench.causes(&[with("process", &format!("absent for {secs} s"))]).pass(1);
    }
    assert!(bench.entries(1, TimelineKind::Evidence).is_empty());
    bench.causes(&[with("process", "running")]).pass(60);
    bench.causes(&[with("heartbeat", "none")]).pass(60);
    assert_eq!(
        bench.entries(1, TimelineKind::Evidence),
        [
            "process of clc1/clc: running, was absent for 39 s",
            "heartbeat of clc1/clc: none; process of clc1/clc (running) does not count any more"
        ]
    );
}

#[test]
fn a_fact_that_flips_every_second_leaves_the_rest_of_the_timeline_alone() {
    let mut bench = Bench::new();
    let cause = verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc"));
    bench.causes(std::slice::from_ref(&cause)).believe();
    for n in 0..900 {
        let mut flipped = cause.clone();
        flipped.evidence[0].value = if n % 2 == 0 { "timeout" } else { "refused" }.to_owned();
        bench.causes(&[flipped]).pass(1);
    }
    let flips = bench.entries(1, TimelineKind::Evidence).len();
    assert!((1..=31).contains(&flips), "{flips} entries in 900 s, a collapse window of 30 s each");
    assert_eq!(bench.incident(1).timeline[0].kind, TimelineKind::Opened);
}

#[test]
fn an_incident_is_not_well_while_something_goes_on() {
    let mut bench = Bench::new();
    bench.causes(&[verdict(Class::SplitBrain, "drbd", "r0", None)]).believe();
    bench.said.goes_on = vec!["walrus1: r0 resyncs 3 %".to_owned()];
    bench.causes(&[]).clear("r0").pass(5);
    for percent in 4..90 {
        bench.said.goes_on = vec![format!("walrus1: r0 resyncs {percent} %")];
        bench.pass(10);
    }
    let incident = bench.incident(1);
    assert_eq!((incident.phase, incident.stage), (Phase::Recovering, Stage::Recovering));
    assert_eq!(incident.going_on, ["walrus1: r0 resyncs 89 %"]);
    assert_eq!(bench.entries(1, TimelineKind::Stage), ["Recovering: walrus1: r0 resyncs 3 %"], "counting is no news");
    bench.said.goes_on.clear();
    bench.pass(3);
    assert_eq!((bench.incident(1).phase, bench.incident(1).stage), (Phase::Resolved, Stage::Well));
}

#[test]
fn silence_resolves_nothing_however_long_it_lasts() {
    let mut bench = Bench::new();
    bench.causes(&[verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc"))]).believe().causes(&[]).pass(7200);
    assert_eq!(bench.numbers(), [(1, Phase::Open)]);
}

#[test]
fn failing_over_is_told_with_its_end() {
    let mut bench = Bench::new();
    let mut cause = verdict(Class::ServerDown, "power_off", "walrus1", None);
    cause.severity = Severity::Major;
    bench.said.takes_over = vec!["walrus of walrus2 is passive and may take over".to_owned()];
    bench.causes(&[cause]).believe();
    assert_eq!(bench.incident(1).stage, Stage::FailingOver);
    bench.said.takes_over.clear();
    bench.pass(2);
    assert_eq!(bench.incident(1).stage, Stage::Failed);
    let said = bench.entries(1, TimelineKind::Stage);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("Failing over: walrus of walrus2"), "{said:?}");
}
