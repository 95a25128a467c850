//! Downtimes: fixed, flexible, triggered, nested, spread over the hosts behind one, across a reload.

use stentor_core::engine::{Command, CommandError, DowntimeRequest, Input, Reply, Spread};
use stentor_core::id::ObjectId;
use stentor_core::model::{Covers, DowntimeKind, ObjectKey};
use stentor_core::{Span, Timestamp};

use super::notices::{Plan, Story, key};
use super::site::{Object, Site, Tree};

const FIVE: DowntimeKind = DowntimeKind::Flexible { duration: Span::from_secs(5) };

fn request(site: &Site, target: ObjectKey, from: i64, to: i64) -> DowntimeRequest {
    DowntimeRequest {
        target,
        covers: Covers::ObjectOnly,
        kind: DowntimeKind::Fixed,
        triggered_by: None,
        spread: Spread::TargetOnly,
        start: site.at + Span::from_secs(from),
        end: site.at + Span::from_secs(to),
        author: "joe".into(),
        comment: "fan".into(),
    }
}

fn schedule(site: &mut Site, request: DowntimeRequest) -> u64 {
    match site.command(Command::ScheduleDowntime(request)) {
        Ok(Reply::DowntimeScheduled(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn cancel(site: &mut Site, id: u64) {
    site.command(Command::CancelDowntime { id, by: "joe".into() }).expect("there is such a downtime");
}

fn depth(site: &Site, object: ObjectId) -> u16 {
    site.row(object).downtime_depth
}

fn service() -> Story {
    let mut story = Plan::new(|object| object.attempts = 1).run();
    story.play("O");
    story.site.log();
    story
}

/// Log lines since the last call without those of notifications and states.
fn lines(site: &mut Site) -> Vec<String> {
    site.log().into_iter().filter(|line| line.contains("DOWNTIME ALERT")).collect()
}

#[test]
fn a_window_starts_and_ends_by_its_own_times_with_lines_notices_and_a_comment() {
    let mut story = service();
    let wanted = request(&story.site, key(Some("s")), 10, 20);
    schedule(&mut story.site, wanted);
    let comments: Vec<_> = story.site.engine.snapshot().comments.values().cloned().collect();
    assert_eq!(comments.len(), 1);
    assert_eq!((comments[0].entry_type.code(), comments[0].source.code(), comments[0].persistent), (2, 0, false));
    story.site.pass(9);
    assert_eq!((depth(&story.site, story.service), lines(&mut story.site)), (0, vec![]));
    story.site.pass(1);
    let started = "SERVICE DOWNTIME ALERT: h;s;STARTED; Service has entered a period of scheduled downtime";
    assert_eq!((depth(&story.site, story.service), lines(&mut story.site)), (1, vec![started.to_owned()]));
    assert_eq!(story.notices(), "ann 0 DOWNTIMESTART (OK)");
    story.site.pass(10);
    let stopped = "SERVICE DOWNTIME ALERT: h;s;STOPPED; Service has exited from a period of scheduled downtime";
    assert_eq!((depth(&story.site, story.service), lines(&mut story.site)), (0, vec![stopped.to_owned()]));
    assert_eq!(story.notices(), "ann 0 DOWNTIMEEND (OK)");
    assert!(story.site.engine.snapshot().comments.is_empty() && story.site.engine.downtimes().is_empty());
}

#[test]
fn of_windows_that_overlap_only_the_first_start_and_the_last_end_are_told() {
    let mut story = service();
    for (from, to) in [(1, 10), (5, 15)] {
        let wanted = request(&story.site, key(Some("s")), from, to);
        schedule(&mut story.site, wanted);
    }
    let mut told = Vec::new();
    for _ in 0..20 {
        story.site.pass(1);
        told.push((depth(&story.site, story.service), story.notices()));
    }
    told.dedup();
    let text = |depth: u16, what: &str| (depth, what.to_owned());
    let expect = [
        text(1, "ann 0 DOWNTIMESTART (OK)"),
        text(1, ""),
        text(2, ""),
        text(1, ""),
        text(0, "ann 0 DOWNTIMEEND (OK)"),
        text(0, ""),
    ];
    assert_eq!(told, expect);
    assert_eq!(lines(&mut story.site).len(), 2);
}

#[test]
fn windows_that_meet_are_two() {
    let mut story = service();
    for (from, to) in [(1, 10), (10, 15)] {
        let wanted = request(&story.site, key(Some("s")), from, to);
        schedule(&mut story.site, wanted);
    }
    story.site.pass(12);
    assert_eq!(lines(&mut story.site).len(), 3, "started, stopped, started");
    assert_eq!(depth(&story.site, story.service), 1);
}

#[test]
fn a_flexible_window_starts_with_a_failure_and_lasts_from_then() {
    let mut story = Plan::of(|_| ()).run();
    story.play("O");
    let wanted = DowntimeRequest { kind: FIVE, ..request(&story.site, key(Some("s")), 0, 100) };
    let id = schedule(&mut story.site, wanted);
    story.site.pass(10);
    assert_eq!(depth(&story.site, story.service), 0);
    story.site.active(story.service, 1, "out");
    assert_eq!(depth(&story.site, story.service), 1, "soft as the failure is");
    let downtime = &story.site.engine.downtimes()[&id];
    assert_eq!((downtime.active, downtime.until()), (true, story.site.at + Span::from_secs(5)));
    story.site.active(story.service, 0, "fine").pass(4);
    assert_eq!(depth(&story.site, story.service), 1, "a recovery does not end it");
    story.site.pass(1);
    assert_eq!(depth(&story.site, story.service), 0);
    assert!(story.site.engine.downtimes().is_empty(), "used once");
}

#[test]
fn a_flexible_window_finds_a_failure_that_was_there_before_it() {
    let mut story = Plan::of(|_| ()).run();
    story.play("C");
    let wanted = DowntimeRequest { kind: FIVE, ..request(&story.site, key(Some("s")), 10, 100) };
    schedule(&mut story.site, wanted);
    story.site.pass(9);
    assert_eq!(depth(&story.site, story.service), 0);
    story.site.pass(1);
    assert_eq!(depth(&story.site, story.service), 1);
    story.site.pass(5);
    assert_eq!(depth(&story.site, story.service), 0);
}

#[test]
fn a_flexible_window_that_nothing_starts_goes_a_second_after_its_end() {
    let mut story = service();
    let wanted = DowntimeRequest { kind: FIVE, ..request(&story.site, key(Some("s")), 0, 10) };
    schedule(&mut story.site, wanted);
    story.site.pass(10);
    assert_eq!(story.site.engine.downtimes().len(), 1);
    story.site.active(story.service, 2, "out");
    assert_eq!(depth(&story.site, story.service), 0, "too late");
    story.site.pass(1);
    assert_eq!((story.site.engine.downtimes().len(), lines(&mut story.site)), (0, vec![]));
}

#[test]
fn what_is_triggered_starts_ends_and_is_cancelled_with_its_trigger() {
    for cancelled in [false, true] {
        let mut story = service();
        let first = request(&story.site, key(None), 10, 20);
        let first = schedule(&mut story.site, first);
        // Its own times say nothing about its start.
        let with =
            |site: &Site, id| DowntimeRequest { triggered_by: Some(id), ..request(site, key(Some("s")), 1000, 2000) };
        let wanted = with(&story.site, first);
        let second = schedule(&mut story.site, wanted);
        let unknown = with(&story.site, 99);
        schedule(&mut story.site, unknown);
        story.site.pass(9);
        assert_eq!(depth(&story.site, story.service), 0);
        story.site.pass(1);
        assert_eq!((depth(&story.site, story.host), depth(&story.site, story.service)), (1, 1));
        assert!(story.site.engine.downtimes()[&second].active);
        story.site.log();
        if cancelled {
            cancel(&mut story.site, first);
        } else {
            story.site.pass(10);
        }
        assert_eq!((depth(&story.site, story.host), depth(&story.site, story.service)), (0, 0));
        let word = if cancelled { "CANCELLED" } else { "STOPPED" };
        assert!(lines(&mut story.site).iter().filter(|line| line.contains(word)).count() == 2);
        let left: Vec<_> = story.site.engine.downtimes().values().map(|d| d.triggered_by).collect();
        assert_eq!(left, [Some(99)], "the one whose trigger never comes stays until its own end");
        story.site.pass(2000);
        assert!(story.site.engine.downtimes().is_empty());
    }
}

#[test]
fn cancelling_takes_only_the_one_that_is_named() {
    let mut story = service();
    let [first, second] = [(0, 50), (0, 60)].map(|(from, to)| {
        let wanted = request(&story.site, key(Some("s")), from, to);
        schedule(&mut story.site, wanted)
    });
    story.notices();
    story.site.log();
    cancel(&mut story.site, first);
    assert_eq!((depth(&story.site, story.service), lines(&mut story.site)), (1, vec![]), "the other one runs");
    cancel(&mut story.site, second);
    let line = "SERVICE DOWNTIME ALERT: h;s;CANCELLED; Scheduled downtime for service has been cancelled.";
    assert_eq!(lines(&mut story.site), [line]);
    assert_eq!(story.notices(), "ann 0 DOWNTIMECANCELLED (OK)");
    let gone = story.site.command(Command::CancelDowntime { id: first, by: "joe".into() });
    assert_eq!(gone, Err(CommandError::NoDowntime(first)));
}

#[test]
fn one_that_has_not_begun_is_cancelled_in_silence() {
    let mut story = service();
    let wanted = request(&story.site, key(Some("s")), 10, 20);
    let id = schedule(&mut story.site, wanted);
    cancel(&mut story.site, id);
    assert_eq!((lines(&mut story.site), story.notices()), (vec![], String::new()));
    assert!(story.site.engine.snapshot().comments.is_empty());
}

#[test]
fn a_hosts_window_can_be_spread_over_the_hosts_behind_it() {
    for (spread, triggered) in [(Spread::Descendants, false), (Spread::TriggeredDescendants, true)] {
        let mut tree = Tree::new();
        let top = tree.host("h", &Object::host());
        let [left, right] =
            ["left", "right"].map(|name| tree.host(name, &Object { parents: vec![top], ..Object::host() }));
        // Reached on two ways, planned once.
        let bottom = tree.host("bottom", &Object { parents: vec![left, right], ..Object::host() });
        let aside = tree.host("aside", &Object::host());
        let mut site = Site::new(tree);
        let wanted = DowntimeRequest { spread, ..request(&site, key(None), 0, 60) };
        let id = schedule(&mut site, wanted);
        let depths = [top, left, right, bottom, aside].map(|host| depth(&site, ObjectId::Host(host)));
        assert_eq!(depths, [1, 1, 1, 1, 0]);
        assert_eq!(site.engine.downtimes().len(), 4);
        let others = site.engine.downtimes().values().filter(|downtime| downtime.id != id);
        assert!(others.into_iter().all(|downtime| downtime.triggered_by.is_some() == triggered));
        cancel(&mut site, id);
        assert_eq!(site.engine.downtimes().len(), if triggered { 0 } else { 3 });
    }
}

#[test]
fn windows_that_cannot_be_are_refused() {
    let mut story = service();
    let good = request(&story.site, key(Some("s")), 0, 60);
    let past = Timestamp::from_secs(10);
    for (bad, words) in [
        (DowntimeRequest { end: good.start, ..good.clone() }, "ends before it starts"),
        (DowntimeRequest { start: past, end: past + Span::from_secs(1), ..good.clone() }, "ends in the past"),
        (
            DowntimeRequest { kind: DowntimeKind::Flexible { duration: Span::from_secs(-1) }, ..good.clone() },
            "less than no time",
        ),
        (DowntimeRequest { spread: Spread::Descendants, ..good.clone() }, "only a host"),
        (DowntimeRequest { target: key(Some("none")), ..good.clone() }, "there is no service none"),
    ] {
        let refused = story.site.command(Command::ScheduleDowntime(bad)).expect_err("refused").to_string();
        assert!(refused.contains(words), "{refused}");
    }
    assert!(story.site.engine.downtimes().is_empty() && story.site.engine.snapshot().comments.is_empty());
}

#[test]
fn a_reload_or_a_restart_enters_no_window_twice() {
    let plan = Plan::new(|object| object.attempts = 1);
    let mut catalog = plan.tree.catalog.clone();
    catalog.reindex();
    let mut story = plan.run();
    let wanted = request(&story.site, key(Some("s")), 0, 60);
    schedule(&mut story.site, wanted);
    assert_eq!(story.notices(), "ann 0 DOWNTIMESTART (OK)");
    story.site.apply(Input::Catalog(catalog.into()));
    story.site.pass(5);
    story.site.engine = stentor_core::engine::Engine::from_checkpoint(story.site.engine.checkpoint());
    story.site.pass(5);
    assert_eq!((depth(&story.site, story.service), story.notices()), (1, String::new()));
    story.site.pass(60);
    assert_eq!(depth(&story.site, story.service), 0);
}

#[test]
fn what_a_reload_adds_to_a_host_in_downtime_is_in_it_too() {
    let plan = Plan::of(|_| ());
    let mut more = Plan::of(|_| ());
    let host = more.host;
    let added = ObjectId::Service(more.tree.service(host, "new", &Object::service()));
    more.tree.catalog.reindex();
    let mut story = plan.run();
    let wanted = DowntimeRequest { covers: Covers::HostAndServices, ..request(&story.site, key(None), 0, 60) };
    schedule(&mut story.site, wanted);
    story.site.apply(Input::Catalog(more.tree.catalog.into()));
    assert_eq!((depth(&story.site, added), depth(&story.site, story.service)), (1, 1));
    story.site.pass(60);
    assert_eq!((depth(&story.site, added), depth(&story.site, story.service)), (0, 0));
}
