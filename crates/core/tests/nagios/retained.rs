//! What Nagios left, taken over once at the very first start (specification 03, section 11).

use std::sync::Arc;

use stentor_core::catalog::PlannedDowntime;
use stentor_core::catalog::nagios::Options;
use stentor_core::engine::retained::{Retained, RetainedObject, RetainedProgram, RetainedStatus};
use stentor_core::engine::switch::{Change, ProgramSwitch, Switch, modified};
use stentor_core::engine::track::Ids;
use stentor_core::engine::{Command, Input};
use stentor_core::id::ObjectId;
use stentor_core::model::{
    Comment, CommentSource, CommentType, Covers, Downtime, DowntimeKind, ObjectKey, Observation, ServiceState,
    StateKind, Sticky,
};
use stentor_core::status::flapping::FlapHistory;
use stentor_core::{Span, Timestamp};

use super::site::{Object, START, Site, Tree};

fn key(service: Option<&str>) -> ObjectKey {
    ObjectKey { host: "h".into(), service: service.map(Into::into) }
}

fn before(secs: i64) -> Timestamp {
    START - Span::from_secs(secs)
}

/// A CRITICAL service, hard at its third attempt, told twice.
fn critical() -> RetainedStatus {
    RetainedStatus {
        observation: Arc::new(Observation::reported(ServiceState::Critical, "DISK CRITICAL")),
        state: 2,
        last_state: 2,
        last_hard_state: 2,
        kind: StateKind::Hard,
        attempt: 3,
        last_check: before(30),
        last_state_change: before(300),
        last_hard_change: before(200),
        last_time_in: [before(300), Timestamp::ZERO, before(30), Timestamp::ZERO],
        event_id: 7,
        last_event_id: 6,
        problem_id: 5,
        last_problem_id: 4,
        acknowledged: None,
        last_notification: before(40),
        notification_number: 2,
        notification_id: 9,
        notified_on: Options::CRITICAL,
        flap: None,
        recovery_after_flapping: false,
        flapping_comment: 0,
    }
}

fn object(status: Option<RetainedStatus>) -> RetainedObject {
    let service = key(Some("s"));
    RetainedObject { object: service, status, modified_attributes: 0, switches: Vec::new(), changes: Vec::new() }
}

fn comment(id: u64, entry_type: CommentType, service: Option<&str>) -> Comment {
    Comment {
        id,
        object: key(service),
        source: CommentSource::External,
        persistent: false,
        entry_type,
        entered_at: before(100),
        expires: None,
        author: "mara".into(),
        text: "the fan".into(),
    }
}

fn window(id: u64, start: i64, end: i64) -> Downtime {
    Downtime {
        id,
        target: key(None),
        covers: Covers::ObjectOnly,
        kind: DowntimeKind::Fixed,
        triggered_by: None,
        start: START + Span::from_secs(start),
        end: START + Span::from_secs(end),
        author: "mara".into(),
        comment: "the fan".into(),
        entered_at: before(500),
        active: start <= 0,
        started_at: (start <= 0).then(|| START + Span::from_secs(start)),
        comment_id: 0,
        recurring: None,
    }
}

fn site(change: impl FnOnce(&mut Tree, &mut Object)) -> (Site, ObjectId, ObjectId) {
    let mut tree = Tree::new();
    let ann = tree.contact("ann", Options::ALL, Options::ALL);
    let mut object = Object::service().with(|directives| directives.contacts = vec![ann]);
    change(&mut tree, &mut object);
    let host = tree.host("h", &Object::host().with(|directives| directives.contacts = vec![ann]));
    let service = tree.service(host, "s", &object);
    (Site::new(tree), ObjectId::Host(host), ObjectId::Service(service))
}

fn taken(retained: Retained) -> (Site, ObjectId, ObjectId) {
    let (mut site, host, service) = site(|_, _| ());
    site.apply(Input::Retained(Arc::new(retained)));
    (site, host, service)
}

#[test]
fn a_problem_goes_on_where_it_stood() {
    let (mut site, _, service) = taken(Retained { objects: vec![object(Some(critical()))], ..Retained::default() });
    assert_eq!(site.shown(service), "CRITICAL;HARD;3");
    assert!(site.log().is_empty() && site.notices().is_empty(), "a takeover is no news");
    let track = site.track(service);
    assert_eq!((track.event_id, track.problem_id, track.notice.number, track.notice.id), (7, 5, 2, 9));
    assert_eq!(track.last_time_in[0], before(300));
    // The interval is 60 s, the last one was 40 s ago.
    site.pass(19).active(service, 2, "still");
    assert_eq!(site.notices(), [""; 0]);
    site.pass(1).active(service, 2, "still");
    assert_eq!(site.notices(), ["SERVICE:ann;h;s;CRITICAL"]);
    assert_eq!(site.track(service).notice.number, 3);
    site.active(service, 0, "fine");
    assert_eq!(site.notices(), ["SERVICE:ann;h;s;OK"]);
}

#[test]
fn a_soft_problem_keeps_its_attempt_and_becomes_hard_at_its_last() {
    let soft = RetainedStatus { kind: StateKind::Soft, attempt: 2, last_hard_state: 0, ..critical() };
    let (mut site, _, service) = taken(Retained { objects: vec![object(Some(soft))], ..Retained::default() });
    assert_eq!(site.shown(service), "CRITICAL;SOFT;2");
    site.active(service, 2, "o");
    assert_eq!(site.shown(service), "CRITICAL;HARD;3");
}

#[test]
fn a_clock_that_was_ahead_makes_no_new_result_old() {
    let ahead = RetainedStatus { last_check: START + Span::from_hours(5), ..critical() };
    let (mut site, _, service) = taken(Retained { objects: vec![object(Some(ahead))], ..Retained::default() });
    site.pass(1).active(service, 0, "fine");
    assert_eq!(site.shown(service), "OK;HARD;1");
}

#[test]
fn what_is_not_to_be_retained_is_not() {
    for (retain_status, retain_nonstatus) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut site, _, service) = site(|_, object| {
            object.directives.switches.retain_status = retain_status;
            object.directives.switches.retain_nonstatus = retain_nonstatus;
        });
        let mut changed = object(Some(critical()));
        changed.modified_attributes = modified::NOTIFICATIONS;
        changed.switches = vec![(Switch::Notifications, false), (Switch::ActiveChecks, true)];
        site.apply(Input::Retained(Arc::new(Retained { objects: vec![changed], ..Retained::default() })));
        let what = format!("status {retain_status}, nonstatus {retain_nonstatus}");
        assert_eq!(site.row(service).is_pending(), !retain_status, "{what}");
        let switches = site.engine.switches(service).unwrap();
        assert_eq!(switches.notifications, !retain_nonstatus, "{what}");
        assert!(!switches.active_checks, "its bit does not say that it was changed: {what}");
        let mask = if retain_nonstatus { modified::NOTIFICATIONS } else { 0 };
        assert_eq!(site.engine.modified_attributes(service), mask, "{what}");
    }
}

#[test]
fn changed_values_come_over_and_what_is_gone_follows_the_configuration() {
    let mut changed = object(Some(critical()));
    changed.modified_attributes = modified::MAX_ATTEMPTS | modified::CHECK_COMMAND | modified::CUSTOM_VAR;
    changed.changes = vec![
        Change::MaxAttempts(8),
        Change::CheckCommand("no_such_command!1".into()),
        Change::CustomVar { name: "GONE".into(), value: "x".into() },
        Change::CheckInterval(77.0),
    ];
    let (site, _, service) = taken(Retained { objects: vec![changed], ..Retained::default() });
    assert_eq!(site.engine.attempts_max(service), 8);
    assert_eq!(site.shown(service), "CRITICAL;HARD;8", "a hard problem stands at its last attempt");
    assert_eq!(site.engine.check_interval(service), Span::from_secs(5));
    assert_eq!(site.engine.modified_attributes(service), modified::MAX_ATTEMPTS);
}

#[test]
fn switches_of_the_program_come_over() {
    let program = RetainedProgram {
        modified_host_attributes: 1,
        modified_service_attributes: 1,
        switches: vec![(ProgramSwitch::Notifications, false)],
        handlers: Vec::new(),
    };
    let (site, ..) = taken(Retained { program: Some(program), ..Retained::default() });
    let state = site.engine.program_state();
    assert!(!state.in_force.enable_notifications);
    assert_eq!((state.modified_host_attributes, state.modified_service_attributes), (1, 1));
}

#[test]
fn an_acknowledgement_has_its_author_and_goes_with_the_problem() {
    let acked = RetainedStatus { acknowledged: Some(Sticky::Yes), ..critical() };
    let (mut site, _, service) = taken(Retained {
        objects: vec![object(Some(acked))],
        comments: vec![comment(3, CommentType::Acknowledgement, Some("s"))],
        ..Retained::default()
    });
    let ack = site.engine.detail(service).ack.clone().expect("it is acknowledged");
    assert_eq!((&*ack.by, &*ack.comment, ack.at, ack.sticky), ("mara", "the fan", before(100), Sticky::Yes));
    site.pass(100).active(service, 2, "still");
    assert_eq!(site.notices(), [""; 0], "it silences");
    site.active(service, 0, "fine");
    assert!(!site.row(service).is_acknowledged());
    assert!(site.engine.snapshot().comments.is_empty(), "its comment went with it");
}

#[test]
fn comments_whose_reason_is_gone_do_not_come_over() {
    let expired = Comment { expires: Some(before(1)), ..comment(5, CommentType::User, None) };
    let lost =
        Comment { object: ObjectKey { host: "gone".into(), service: None }, ..comment(6, CommentType::User, None) };
    let comments = vec![
        comment(1, CommentType::User, None),
        comment(2, CommentType::Acknowledgement, Some("s")),
        comment(3, CommentType::Downtime, None),
        comment(4, CommentType::Flapping, Some("s")),
        expired,
        lost,
    ];
    let (site, ..) = taken(Retained { comments, ..Retained::default() });
    assert_eq!(site.engine.snapshot().comments.keys().copied().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_running_downtime_goes_on_without_being_told_again() {
    let running = Downtime { comment_id: 8, ..window(4, -100, 50) };
    let triggered = Downtime { triggered_by: Some(4), target: key(Some("s")), ..window(5, -100, 50) };
    let over = window(6, -100, -1);
    let later = window(7, 20, 40);
    let (mut site, host, service) = taken(Retained {
        downtimes: vec![running, triggered, over, later],
        comments: vec![comment(8, CommentType::Downtime, None)],
        ..Retained::default()
    });
    assert_eq!((site.row(host).downtime_depth, site.row(service).downtime_depth), (1, 1));
    site.pass(1);
    assert_eq!((site.log(), site.notices()), (Vec::new(), Vec::new()));
    site.pass(20);
    assert_eq!(site.row(host).downtime_depth, 2);
    site.pass(29);
    assert_eq!((site.row(host).downtime_depth, site.row(service).downtime_depth), (0, 0));
    let line = "SERVICE DOWNTIME ALERT: h;s;STOPPED; Service has exited from a period of scheduled downtime";
    assert!(site.log().contains(&line.to_owned()));
    assert!(site.engine.snapshot().comments.is_empty());
}

#[test]
fn a_flexible_window_that_waits_starts_with_the_failure_and_one_that_runs_keeps_its_start() {
    let kind = DowntimeKind::Flexible { duration: Span::from_secs(60) };
    let waiting = Downtime { kind, active: false, started_at: None, ..window(1, -100, 500) };
    let runs = Downtime { kind, target: key(Some("s")), started_at: Some(before(50)), ..window(2, -100, 500) };
    let (mut site, host, service) = taken(Retained { downtimes: vec![waiting, runs], ..Retained::default() });
    assert_eq!((site.row(host).downtime_depth, site.row(service).downtime_depth), (0, 1));
    site.pass(10);
    assert_eq!(site.row(service).downtime_depth, 0, "50 of its 60 seconds were over");
    site.passive(host, 1, "down");
    assert_eq!(site.row(host).downtime_depth, 1);
}

#[test]
fn ids_go_on_and_windows_of_the_configuration_make_room() {
    let (mut site, ..) = site(|tree, _| {
        tree.catalog.downtimes.push(PlannedDowntime {
            target: key(None),
            start: START + Span::from_secs(1000),
            end: START + Span::from_secs(2000),
            comment: "planned".into(),
        });
    });
    let ids = Ids { event: 10, problem: 11, notification: 12, comment: 20 };
    let comments = vec![comment(1, CommentType::User, None)];
    let retained =
        Retained { ids, newest_downtime: 30, comments, downtimes: vec![window(1, 50, 60)], ..Retained::default() };
    site.apply(Input::Retained(Arc::new(retained)));
    let snapshot = site.engine.snapshot();
    assert_eq!(snapshot.downtimes.keys().copied().collect::<Vec<_>>(), [1, 31]);
    assert_eq!((&*snapshot.downtimes[&31].comment, snapshot.downtimes[&31].comment_id), ("planned", 21));
    assert_eq!(snapshot.comments.keys().copied().collect::<Vec<_>>(), [1, 21]);
    site.command(Command::CancelDowntime { id: 31, by: "mara".into() }).unwrap();
    assert!(!site.engine.snapshot().comments.contains_key(&21));
}

#[test]
fn flapping_goes_on_with_its_history() {
    let mut states = [0; 21];
    states.iter_mut().skip(1).step_by(2).for_each(|state| *state = 2);
    let flap = Some(FlapHistory::from_states(states, 0.0, true));
    let flapping = RetainedStatus { flap, state: 0, last_hard_state: 0, ..critical() };
    let (mut site, _, service) = site(|_, object| object.directives.switches.flap_detection = true);
    let comments = vec![comment(1, CommentType::Flapping, Some("s"))];
    site.apply(Input::Retained(Arc::new(Retained {
        objects: vec![object(Some(flapping))],
        comments,
        ..Retained::default()
    })));
    let track = site.track(service);
    assert!(track.flap.flapping && track.flap.percent > 99.0, "{:?}", track.flap);
    assert_eq!((site.log(), site.notices()), (Vec::new(), Vec::new()), "it is known");
    assert_eq!(site.engine.snapshot().comments.len(), 1);
    for _ in 0..20 {
        site.pass(1).active(service, 0, "o");
    }
    assert!(!site.track(service).flap.flapping);
}

#[test]
fn time_since_the_file_was_written_makes_nothing_stale() {
    let (mut site, _, service) = site(|_, object| {
        object.directives.switches.check_freshness = true;
        object.directives.freshness_threshold = Span::from_secs(100);
    });
    let old = RetainedStatus { last_check: before(3600), ..critical() };
    let retained = Retained { written_at: before(3580), objects: vec![object(Some(old))], ..Retained::default() };
    site.apply(Input::Retained(Arc::new(retained)));
    site.pass(75);
    assert!(site.checks().is_empty());
    site.pass(50);
    assert!(site.checks().iter().any(|check| check.object == service && check.forced));
}
