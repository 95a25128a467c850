//! Tables for each stage of an object: what it stops and what passes it.

use super::*;
use crate::policy::notice::{Decision, first_hold, steps};

/// A service with a hard problem that nothing keeps from being told.
fn problem() -> ObjectCase {
    ObjectCase {
        kind: NoticeKind::Problem,
        forced: false,
        at: Timestamp::from_secs(1000),
        program_on: true,
        defer_recovery: true,
        period: None,
        object: ObjectFacts {
            on: true,
            state: 2,
            state_kind: StateKind::Hard,
            acknowledged: false,
            flapping: false,
            downtime_depth: 0,
            hard_since: Timestamp::from_secs(900),
            options: Options::ALL,
            first_delay: Span::ZERO,
            volatile: false,
            number: 0,
            next: Timestamp::ZERO,
            notified_on: Options::NONE,
            no_more: false,
            failing_master: None,
            parents_bad: false,
        },
        host: Some(HostFacts {
            up: true,
            state_kind: StateKind::Hard,
            downtime_depth: 0,
            parents_down: false,
            failing_master: None,
        }),
    }
}

fn host_of(case: &mut ObjectCase) -> &mut HostFacts {
    case.host.as_mut().expect("a service has a host")
}

/// The same of another kind; a recovery is owed.
fn of(kind: NoticeKind) -> ObjectCase {
    let mut case = ObjectCase { kind, ..problem() };
    if kind == NoticeKind::Recovery {
        case.object.state = 0;
        case.object.notified_on = Options::CRITICAL;
        case.object.number = 1;
    }
    case
}

fn held(case: &ObjectCase) -> Option<&'static str> {
    first_hold(stages(case), case).map(|hold| hold.stage)
}

type Change = fn(&mut ObjectCase);

const EVERY_KIND: [NoticeKind; 10] = [
    NoticeKind::Problem,
    NoticeKind::Recovery,
    NoticeKind::Acknowledgement,
    NoticeKind::FlappingStart,
    NoticeKind::FlappingStop,
    NoticeKind::FlappingDisabled,
    NoticeKind::DowntimeStart,
    NoticeKind::DowntimeEnd,
    NoticeKind::DowntimeCancelled,
    NoticeKind::Custom,
];

/// What is wrong, the kinds that it stops (others pass), and the stage that says so. Both for hosts and services
/// unless it is about the host of a service.
const ROWS: &[(&str, Change, Kinds, &str)] = &[
    ("program off", |c| c.program_on = false, Kinds::ALL, "program"),
    ("object off", |c| c.object.on = false, Kinds::ALL, "disabled"),
    ("outside the period", |c| c.period = closed(), Kinds::ALL, "period"),
    ("soft", |c| c.object.state_kind = StateKind::Soft, Kinds::NORMAL, "soft"),
    ("acknowledged", |c| c.object.acknowledged = true, Kinds::PROBLEM, "acknowledged"),
    ("a master fails", |c| c.object.failing_master = Some("service m".to_owned()), Kinds::NORMAL, "dependency"),
    ("flapping", |c| c.object.flapping = true, Kinds::NORMAL, "flapping"),
    ("told once", |c| c.object.no_more = true, Kinds::NORMAL, "no_more"),
    ("told lately", |c| c.object.next = Timestamp::from_secs(1001), Kinds::PROBLEM, "interval"),
];

const SERVICE_ROWS: &[(&str, Change, Kinds, &str)] = &[
    ("service parents bad", |c| c.object.parents_bad = true, Kinds::ALL, "service_parents"),
    (
        "host's master fails",
        |c| host_of(c).failing_master = Some("host m".to_owned()),
        Kinds::NORMAL,
        "host_dependency",
    ),
    ("host down", |c| host_of(c).up = false, Kinds::NORMAL, "host_down"),
    ("host's parents down", |c| host_of(c).parents_down = true, Kinds::PROBLEM, "host_parents"),
];

fn closed() -> Option<Window> {
    Some(Window { name: "office".into(), inside: false, opens: None })
}

fn check_rows(rows: &[(&str, Change, Kinds, &str)], on_host: bool) {
    for (name, change, stops, stage) in rows {
        for kind in EVERY_KIND {
            let mut case = of(kind);
            if on_host {
                case.host = None;
            }
            assert_eq!(held(&case), None, "{kind:?} passes");
            change(&mut case);
            assert_eq!(held(&case), stops.has(kind).then_some(*stage), "{name}: {kind:?}");
            case.forced = true;
            assert_eq!(held(&case), None, "{name}: {kind:?}, forced");
        }
    }
}

#[test]
fn each_stage_stops_the_kinds_of_its_row_and_no_other() {
    check_rows(ROWS, false);
    check_rows(ROWS, true);
    check_rows(SERVICE_ROWS, false);
}

#[test]
fn downtime_stops_each_kind_in_its_own_way() {
    use NoticeKind::{Acknowledgement, Custom, DowntimeEnd, DowntimeStart, FlappingStop, Problem, Recovery};
    let table = [
        (Problem, Some("downtime"), Some("host_downtime")),
        (Recovery, Some("downtime"), Some("host_downtime")),
        (Custom, Some("downtime"), Some("downtime")),
        (FlappingStop, Some("downtime"), Some("downtime")),
        (DowntimeStart, Some("downtime"), None),
        (DowntimeEnd, Some("downtime"), None),
        (Acknowledgement, None, None),
    ];
    for (kind, own, of_host) in table {
        let mut case = of(kind);
        case.object.downtime_depth = 1;
        assert_eq!(held(&case), own, "{kind:?} in its own downtime");
        let mut case = of(kind);
        host_of(&mut case).downtime_depth = 1;
        assert_eq!(held(&case), of_host, "{kind:?} in the downtime of its host");
    }
}

#[test]
fn a_recovery_in_downtime_waits_only_where_it_is_told_to() {
    for (defer_recovery, expect) in [(true, Some("downtime")), (false, None)] {
        let mut case = ObjectCase { defer_recovery, ..of(NoticeKind::Recovery) };
        case.object.downtime_depth = 1;
        assert_eq!(held(&case), expect);
        case.kind = NoticeKind::Problem;
        case.object.state = 2;
        assert_eq!(held(&case), Some("downtime"), "a problem waits in any case");
    }
}

#[test]
fn the_letter_of_the_state_must_be_in_the_options() {
    let lacks = |option: Options| Options(Options::ALL.0 & !option.0);
    for (is_service, state, option) in [
        (true, 0, Options::RECOVERY),
        (true, 1, Options::WARNING),
        (true, 2, Options::CRITICAL),
        (true, 3, Options::UNKNOWN),
        (false, 0, Options::RECOVERY),
        (false, 1, Options::DOWN),
        (false, 2, Options::UNREACHABLE),
    ] {
        let mut case = of(if state == 0 { NoticeKind::Recovery } else { NoticeKind::Problem });
        case.object.state = state;
        if !is_service {
            case.host = None;
        }
        case.object.options = option;
        assert_eq!(held(&case), None, "service {is_service}, state {state}, its own letter");
        case.object.options = lacks(option);
        assert_eq!(held(&case), Some("options"), "service {is_service}, state {state}, every other letter");
    }
    for (kind, option) in
        [(NoticeKind::FlappingStart, Options::FLAPPING), (NoticeKind::DowntimeCancelled, Options::DOWNTIME)]
    {
        let mut case = of(kind);
        case.object.options = lacks(option);
        assert_eq!(held(&case), Some("options"), "{kind:?}");
    }
}

#[test]
fn what_recovered_cannot_be_acknowledged_and_what_was_not_told_does_not_recover() {
    let mut ack = of(NoticeKind::Acknowledgement);
    ack.object.state = 0;
    assert_eq!(held(&ack), Some("recovered"));
    let mut recovery = of(NoticeKind::Recovery);
    recovery.object.notified_on = Options::NONE;
    assert_eq!(held(&recovery), Some("nothing_sent"));
}

#[test]
fn the_first_notification_is_delayed_from_the_hard_change() {
    for (delay, number, expect) in
        [(100, 0, None), (101, 0, Some("first_delay")), (500, 0, Some("first_delay")), (500, 1, None)]
    {
        let mut case = problem();
        case.object.first_delay = Span::from_secs(delay);
        case.object.number = number;
        assert_eq!(held(&case), expect, "delay {delay}, number {number}");
    }
}

#[test]
fn a_volatile_service_is_told_again_at_once() {
    let mut case = problem();
    case.object.next = Timestamp::from_secs(5000);
    assert_eq!(held(&case), Some("interval"));
    case.object.volatile = true;
    assert_eq!(held(&case), None);
}

#[test]
fn only_a_hard_problem_of_the_host_holds_those_of_its_services() {
    for (kind, state_kind, expect) in [
        (NoticeKind::Problem, StateKind::Soft, None),
        (NoticeKind::Problem, StateKind::Hard, Some("host_down")),
        (NoticeKind::Recovery, StateKind::Soft, None),
        (NoticeKind::Recovery, StateKind::Hard, Some("host_down")),
    ] {
        let mut case = of(kind);
        *host_of(&mut case) = HostFacts { up: false, state_kind, ..problem().host.expect("a service has a host") };
        assert_eq!(held(&case), expect, "{kind:?}, host {state_kind:?}");
    }
}

#[test]
fn the_first_stage_in_order_decides_and_the_explanation_shows_all() {
    let mut case = problem();
    case.object.acknowledged = true;
    case.object.downtime_depth = 1;
    host_of(&mut case).up = false;
    assert_eq!(held(&case), Some("acknowledged"));
    let all = steps(stages(&case), &case);
    let holding: Vec<_> = all.iter().filter(|step| step.decision == Decision::Holds).map(|step| step.stage).collect();
    assert_eq!(holding, ["acknowledged", "downtime", "host_down"]);
    case.forced = true;
    let all = steps(stages(&case), &case);
    assert!(all.iter().all(|step| step.decision != Decision::Holds), "{all:?}");
}

#[test]
fn only_those_who_do_not_want_it_make_a_recovery_forgotten() {
    let hold = |stage| Hold { stage, why: String::new() };
    for stage in SERVICE.iter().filter(|stage| stage.of.has(NoticeKind::Recovery)) {
        let kept = !["options", "nothing_sent"].contains(&stage.name);
        assert_eq!(keeps_recovery(&hold(stage.name)), kept, "{}", stage.name);
    }
}
