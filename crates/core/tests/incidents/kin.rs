//! Which incidents are one failure, and which are two.

use stentor_core::Span;
use stentor_core::diagnosis::{Class, Severity};
use stentor_core::model::{Phase, Stage, TimelineKind};

use super::bench::{Bench, verdict, with_effects};

#[test]
fn the_same_failure_told_apart_better_keeps_its_number() {
    let mut bench = Bench::new();
    let guess = verdict(Class::SoftwareDown, "hung", "clc1", Some("clc"));
    let cause = verdict(Class::ResourceUnavailable, "db", "clc1", Some("clc"));
    bench.causes(&[guess]).believe().causes(&[cause]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open)]);
    let incident = bench.incident(1);
    assert_eq!(
        (incident.verdict.class, incident.generation),
        (Class::ResourceUnavailable, 1),
        "not worse: not told anew"
    );
    let replaced = bench.entries(1, TimelineKind::Replaced);
    assert!(
        replaced[0].contains("resource unavailable (db)") && replaced[0].contains("software down (hung)"),
        "{replaced:?}"
    );
}

#[test]
fn a_worse_cause_in_the_place_of_another_is_told() {
    let mut bench = Bench::new();
    let mut worse = verdict(Class::ServerDown, "power_off", "clc1", None);
    worse.severity = Severity::Critical;
    let part = with_effects(worse, &[("clc1", Some("clc"))]);
    bench.causes(&[verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc"))]).believe().causes(&[part]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open)]);
    assert_eq!(bench.incident(1).generation, 2);
}

#[test]
fn a_root_takes_the_number_of_the_eldest_and_the_others_are_closed_into_it() {
    let mut bench = Bench::new();
    let down = |host: &str| verdict(Class::ServerDown, "os_dead", host, None);
    let hosts = ["h1", "h2", "h3"];
    bench.causes(&hosts.map(down)).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open), (2, Phase::Open), (3, Phase::Open)]);
    let feed = with_effects(verdict(Class::PowerEvent, "feed_lost", "A", None), &hosts.map(|host| (host, None)));
    bench.causes(&[feed]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open), (2, Phase::Closed), (3, Phase::Closed)]);
    let root = bench.incident(1);
    assert_eq!((root.verdict.class, &root.links.merged), (Class::PowerEvent, &vec![2, 3]));
    assert_eq!((bench.incident(2).root, bench.incident(2).stage), (Some(1), Stage::Merged));
    assert!(bench.settled.contains(&2) && bench.settled.contains(&3), "what was told about them need not be kept");
}

#[test]
fn two_that_are_open_already_become_one_and_the_younger_is_closed() {
    let mut bench = Bench::new();
    let effect = verdict(Class::ResourceUnavailable, "dependency", "sc1", Some("sc"));
    let root = verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc"));
    bench.causes(std::slice::from_ref(&effect)).believe().causes(&[effect, root.clone()]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open), (2, Phase::Open)]);
    bench.causes(&[with_effects(root, &[("sc1", Some("sc"))])]).pass(2);
    assert_eq!(bench.numbers(), [(1, Phase::Open), (2, Phase::Closed)]);
    let (elder, younger) = (bench.incident(1), bench.incident(2));
    assert_eq!(elder.verdict.class, Class::SoftwareDown, "the elder is about the cause now");
    assert_eq!((elder.links.merged.as_slice(), younger.root), ([2].as_slice(), Some(1)), "linked both ways");
    bench.causes(&[]).clear("clc1").pass(40);
    assert_eq!(bench.incident(1).phase, Phase::Resolved, "the cause is followed under the elder's number");
}

#[test]
fn what_only_lost_its_spare_or_is_short_of_something_may_fail_for_another_reason() {
    let at_risk = verdict(Class::ResourceAtRisk, "cert", "clc1", Some("clc"));
    let crash = verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc"));
    let mut bench = Bench::new();
    bench.causes(std::slice::from_ref(&at_risk)).believe().causes(&[crash]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open), (2, Phase::Open)], "a certificate does not crash anything");
    let mut bench = Bench::new();
    let short = verdict(Class::ResourceAtRisk, "disk", "clc1", Some("clc"));
    let full = verdict(Class::ResourceUnavailable, "disk", "clc1", Some("clc"));
    bench.causes(&[short]).believe().causes(&[full]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open)], "what was short is used up: the same failure");
}

#[test]
fn two_parts_of_one_machine_are_two_failures_and_a_rebuild_is_none_of_its_own() {
    let mut bench = Bench::new();
    let hardware = |subtype| verdict(Class::RedundancyLost, subtype, "nc1", None);
    bench.causes(&[hardware("psu_failed"), hardware("raid_degraded")]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open), (2, Phase::Open)]);
    bench.causes(&[hardware("psu_failed"), hardware("raid_rebuilding")]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open), (2, Phase::Open)]);
    assert_eq!(&*bench.incident(2).verdict.subtype, "raid_rebuilding");
    assert_eq!(bench.incident(2).stage, Stage::Recovering, "the disk was replaced");
}

#[test]
fn a_check_that_belongs_to_a_wider_failure_gives_it_its_number() {
    let mut bench = Bench::new();
    let single = verdict(Class::Unknown, "insufficient", "web1", Some("http"));
    let host = verdict(Class::Unknown, "insufficient", "web1", None);
    bench.causes(std::slice::from_ref(&single)).believe();
    bench.causes(std::slice::from_ref(&host)).rooted(&single, &host).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open)]);
    assert_eq!(bench.incident(1).verdict.target.component, None);
}

#[test]
fn what_stays_broken_when_its_presumed_cause_is_gone_is_split_off() {
    let mut bench = Bench::new();
    let root = with_effects(verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc")), &[("sc1", Some("sc"))]);
    let own = verdict(Class::SoftwareDown, "crashed", "sc1", Some("sc"));
    let alone = with_effects(root.clone(), &[]);
    bench.causes(&[root]).believe().causes(&[alone, own]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open), (2, Phase::Open)]);
    assert_eq!(bench.incident(2).links.split_from, Some(1));
    assert_eq!(bench.incident(1).links.split_off, [2]);
    assert!(bench.entries(2, TimelineKind::Split)[0].contains("INC-1"));
    assert!(bench.entries(1, TimelineKind::Split)[0].contains("INC-2"));
}

#[test]
fn what_fails_long_after_it_was_an_effect_is_no_split() {
    let mut bench = Bench::new();
    let root = with_effects(verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc")), &[("sc1", Some("sc"))]);
    let own = verdict(Class::SoftwareDown, "crashed", "sc1", Some("sc"));
    bench.causes(&[root]).believe().causes(&[]).clear("clc1").pass(400).causes(&[own]).believe();
    assert_eq!(bench.incident(2).links.split_from, None);
}

#[test]
fn the_same_cause_soon_again_opens_its_number_and_later_another() {
    let mut bench = Bench::new();
    let cause = verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc"));
    bench.causes(std::slice::from_ref(&cause)).believe().causes(&[]).clear("clc1").pass(40);
    assert_eq!(bench.numbers(), [(1, Phase::Resolved)]);
    bench.pass(20 * 60).fails("clc1").causes(std::slice::from_ref(&cause)).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Open)]);
    let again = bench.incident(1);
    assert_eq!((again.generation, again.resolved_at, again.stage), (2, None, Stage::Failed));
    assert!(bench.entries(1, TimelineKind::Reopened)[0].contains("back after 20m"), "{:?}", again.timeline);
    bench.causes(&[]).clear("clc1").pass(40);
    assert!(bench.settled.is_empty());
    bench.pass(31 * 60);
    assert_eq!(bench.settled, [1]);
    bench.fails("clc1").causes(&[cause]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Resolved), (2, Phase::Open)]);
    assert_eq!((bench.incident(2).links.was, bench.incident(1).links.again), (Some(1), Some(2)));
}

#[test]
fn another_subtype_or_a_window_of_nothing_opens_no_old_number() {
    let mut bench = Bench::new();
    let crash = verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc"));
    let hang = verdict(Class::SoftwareDown, "hung", "clc1", Some("clc"));
    bench.causes(&[crash]).believe().causes(&[]).clear("clc1").pass(40).fails("clc1").causes(&[hang]).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Resolved), (2, Phase::Open)]);
    assert_eq!(bench.incident(2).links.was, Some(1));
    let mut bench = Bench::new();
    bench.catalog.timing.reopen = Span::ZERO;
    let crash = [verdict(Class::SoftwareDown, "crashed", "clc1", Some("clc"))];
    bench.causes(&crash).believe().causes(&[]).clear("clc1").pass(40).fails("clc1").causes(&crash).believe();
    assert_eq!(bench.numbers(), [(1, Phase::Resolved), (2, Phase::Open)]);
}
