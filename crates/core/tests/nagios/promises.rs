//! What must hold whatever happens: no notice twice, explanations that agree, time that can be jumped over.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use stentor_core::catalog::Catalog;
use stentor_core::catalog::nagios::{Dependency, Options};
use stentor_core::engine::{
    CheckResult, Command, CommandInput, CommentRequest, CustomOptions, DowntimeRequest, Engine, Input, Notify,
    ResultSource, Spread, Took,
};
use stentor_core::id::ObjectId;
use stentor_core::model::{Ack, Covers, DowntimeKind, NoticeKind, Observation, ServiceState, Sticky};
use stentor_core::policy::notice::facts::{Asked, Verdict};
use stentor_core::policy::notice::{Decision, Step};
use stentor_core::{Span, Timestamp};

use super::site::{Object, START, Tree};

const KINDS: [NoticeKind; 10] = [
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

/// Two hosts, one behind the other, three services that depend on each other, escalations, flapping.
fn catalog() -> Arc<Catalog> {
    let mut tree = Tree::new();
    let ann = tree.contact("ann", Options::ALL, Options::ALL);
    let bob = tree.contact("bob", Options::DOWN | Options::RECOVERY, Options::CRITICAL | Options::RECOVERY);
    let with = |mut object: Object, interval: i64| {
        object.attempts = 2;
        object.directives.contacts = vec![ann, bob];
        object.directives.notification_interval = Span::from_secs(interval);
        object.directives.switches.flap_detection = true;
        object
    };
    let top = tree.host("top", &with(Object::host(), 20));
    let below = tree.host("below", &Object { parents: vec![top], ..with(Object::host(), 0) });
    let one = ObjectId::Service(tree.service(top, "one", &with(Object::service(), 10)));
    let two = ObjectId::Service(tree.service(top, "two", &with(Object::service(), 0)));
    let mut volatile = with(Object::service(), 30);
    volatile.directives.volatile = true;
    volatile.directives.first_notification_delay = Span::from_secs(15);
    tree.service(below, "three", &volatile);
    tree.escalation(one, 2, 0, bob).interval = Some(Span::from_secs(5));
    tree.catalog.nagios.dependencies.push(Dependency {
        master: one,
        dependent: two,
        execution: Options::NONE,
        notification: Options::CRITICAL,
        inherits_parent: false,
        period: None,
        redundancy: None,
    });
    tree.catalog.reindex();
    Arc::new(tree.catalog)
}

#[derive(Clone, Debug)]
enum Move {
    Wait(i64),
    Result(usize, i32),
    Ack(usize, bool, Option<i64>),
    Unack(usize),
    Downtime { on: usize, from: i64, length: i64, flexible: Option<i64>, triggered_by: Option<u64> },
    Cancel(u64),
    Custom(usize, u8),
    Delay(usize, i64),
    Number(usize, u32),
    Comment(usize, i64),
    Reload,
}

fn any_move() -> impl Strategy<Value = Move> {
    let on = 0..5usize;
    prop_oneof![
        4 => (1..20i64).prop_map(Move::Wait),
        12 => (on.clone(), prop_oneof![3 => Just(2), 2 => Just(0), 1 => Just(1), 1 => Just(3)])
            .prop_map(|(on, code)| Move::Result(on, code)),
        2 => (on.clone(), any::<bool>(), proptest::option::of(1..40i64))
            .prop_map(|(on, sticky, until)| Move::Ack(on, sticky, until)),
        1 => on.clone().prop_map(Move::Unack),
        3 => (on.clone(), 0..20i64, 1..30i64, proptest::option::of(1..20i64), proptest::option::of(1..8u64)).prop_map(
            |(on, from, length, flexible, triggered_by)| Move::Downtime { on, from, length, flexible, triggered_by }
        ),
        1 => (1..8u64).prop_map(Move::Cancel),
        1 => (on.clone(), 0..8u8).prop_map(|(on, bits)| Move::Custom(on, bits)),
        1 => (on.clone(), 0..40i64).prop_map(|(on, secs)| Move::Delay(on, secs)),
        1 => (on.clone(), 0..4u32).prop_map(|(on, number)| Move::Number(on, number)),
        1 => (on, 1..40i64).prop_map(|(on, secs)| Move::Comment(on, secs)),
        1 => Just(Move::Reload),
    ]
}

fn objects(catalog: &Catalog) -> Vec<ObjectId> {
    let hosts = (0..catalog.hosts.len()).map(|i| ObjectId::Host(stentor_core::id::HostId::from_index(i)));
    let services = (0..catalog.services.len()).map(|i| ObjectId::Service(stentor_core::id::ServiceId::from_index(i)));
    hosts.chain(services).collect()
}

/// What a move asks of the engine at an instant; `None` = only time passes.
fn input(next: &Move, catalog: &Arc<Catalog>, at: Timestamp) -> Option<Input> {
    let objects = objects(catalog);
    let key = |on: usize| catalog.object_key(objects[on]);
    let after = |secs: i64| at + Span::from_secs(secs);
    let command = match *next {
        Move::Wait(_) => return None,
        Move::Reload => return Some(Input::Catalog(Arc::clone(catalog))),
        Move::Result(on, code) => {
            let observation = Observation::reported(ServiceState::from_code(code).expect("a state"), "out");
            let (source, observation) = (ResultSource::Active, Arc::new(observation));
            let object = objects[on];
            return Some(Input::Result(CheckResult {
                object,
                observed_at: at,
                source,
                observation,
                id: None,
                took: Took::default(),
            }));
        }
        Move::Ack(on, sticky, until) => Command::AckObject {
            object: key(on),
            ack: Ack {
                by: "joe".into(),
                comment: "mine".into(),
                at,
                until: until.map(after),
                sticky: if sticky { Sticky::Yes } else { Sticky::No },
            },
            notify: Notify::Yes,
            persistent: false,
        },
        Move::Unack(on) => Command::UnackObject { object: key(on), by: "joe".into() },
        Move::Downtime { on, from, length, flexible, triggered_by } => Command::ScheduleDowntime(DowntimeRequest {
            target: key(on),
            covers: Covers::ObjectOnly,
            kind: flexible
                .map_or(DowntimeKind::Fixed, |secs| DowntimeKind::Flexible { duration: Span::from_secs(secs) }),
            triggered_by,
            spread: Spread::TargetOnly,
            start: after(from),
            end: after(from + length),
            author: "joe".into(),
            comment: "fan".into(),
        }),
        Move::Cancel(id) => Command::CancelDowntime { id, by: "joe".into() },
        Move::Custom(on, bits) => Command::CustomNotification {
            object: key(on),
            options: CustomOptions { broadcast: bits & 1 != 0, forced: bits & 2 != 0, increment: bits & 4 != 0 },
            author: "joe".into(),
            comment: "hello".into(),
        },
        Move::Delay(on, secs) => Command::DelayNotification { object: key(on), until: after(secs) },
        Move::Number(on, number) => Command::SetNotificationNumber { object: key(on), number },
        Move::Comment(on, secs) => Command::AddComment(CommentRequest {
            object: key(on),
            persistent: false,
            expires: Some(after(secs)),
            author: "joe".into(),
            text: "seen".into(),
        }),
    };
    Some(Input::Command(CommandInput { command, id: None, raw: None }))
}

/// How time passes between inputs.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Clock {
    EverySecond,
    /// Only when the engine says that something is due.
    Jumps,
}

/// Everything said of imported objects, each with its time, and the keys of all notices.
fn run(moves: &[Move], clock: Clock, mut look: impl FnMut(&mut Engine)) -> (Vec<String>, Vec<Arc<str>>) {
    let catalog = catalog();
    let mut engine = Engine::new();
    let (mut said, mut keys) = (Vec::new(), Vec::new());
    let mut at = START;
    let mut apply = |engine: &mut Engine, at: Timestamp, input: &Input| {
        let effects = engine.apply(at, input);
        said.extend(effects.log.iter().map(|line| format!("{} {line}", at.as_millis())));
        keys.extend(effects.notices.iter().map(|notice| Arc::clone(&notice.key)));
    };
    apply(&mut engine, at, &Input::Catalog(Arc::clone(&catalog)));
    for next in moves {
        let until = match next {
            Move::Wait(secs) => at + Span::from_secs(*secs),
            _ => at + Span::from_secs(1),
        };
        if let Some(input) = input(next, &catalog, at) {
            apply(&mut engine, at, &input);
        }
        look(&mut engine);
        let mut now = at;
        while now < until {
            now = match clock {
                Clock::EverySecond => now + Span::from_secs(1),
                Clock::Jumps => {
                    let due = engine.next_due().unwrap_or(until).max(now + Span::from_secs(1));
                    // Ticks fall on whole seconds, as live.
                    whole_second(due).min(until)
                }
            };
            apply(&mut engine, now, &Input::Tick);
        }
        at = until;
    }
    (said, keys)
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_secs((at + Span::from_millis(999)).as_secs())
}

/// What decides on a list of stages: the first that holds.
fn first_hold(steps: &[Step]) -> Option<&'static str> {
    steps.iter().find(|step| step.decision == Decision::Holds).map(|step| step.stage)
}

fn explanations_agree(engine: &mut Engine) {
    let snapshot = engine.snapshot();
    let world = snapshot.notice_world();
    for object in objects(&snapshot.catalog) {
        for kind in KINDS {
            let asked = Asked::of(object, kind);
            let why = snapshot.explain_notice(object, Some(kind)).expect("an imported object");
            match world.decide(&asked).expect("an imported object") {
                Verdict::Held(hold) => assert_eq!(first_hold(&why.stages), Some(hold.stage), "{kind:?}"),
                Verdict::Sent(sending) => {
                    assert_eq!(first_hold(&why.stages), None, "{kind:?}");
                    assert_eq!(why.number, sending.number);
                    let name = |id: &stentor_core::id::ContactId| &snapshot.catalog.contacts[id.index()].name;
                    let told: Vec<_> = sending.tell.iter().map(name).collect();
                    let passing = why.contacts.iter().filter(|contact| first_hold(&contact.stages).is_none());
                    assert_eq!(told, passing.map(|contact| &contact.contact).collect::<Vec<_>>());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_notice_has_the_key_of_another(moves in vec(any_move(), 1..80)) {
        let (_, keys) = run(&moves, Clock::EverySecond, |_| ());
        let distinct: BTreeSet<_> = keys.iter().collect();
        prop_assert_eq!(distinct.len(), keys.len(), "{:?}", keys);
    }

    #[test]
    fn what_explains_and_what_decides_are_the_same(moves in vec(any_move(), 1..40)) {
        run(&moves, Clock::EverySecond, explanations_agree);
    }

    #[test]
    fn quiet_time_can_be_jumped_over(moves in vec(any_move(), 1..60)) {
        let slow = run(&moves, Clock::EverySecond, |_| ());
        let fast = run(&moves, Clock::Jumps, |_| ());
        prop_assert_eq!(slow, fast);
    }

    #[test]
    fn a_restart_at_any_moment_changes_nothing(moves in vec(any_move(), 1..40)) {
        let straight = run(&moves, Clock::EverySecond, |_| ());
        let restarted = run(&moves, Clock::EverySecond, |engine| {
            *engine = Engine::from_checkpoint(engine.checkpoint());
        });
        prop_assert_eq!(straight, restarted);
    }
}
