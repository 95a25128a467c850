//! The engine against a second writing of the documented rules, over random cases.

use std::sync::Arc;

use stentor_core::Span;
use stentor_core::catalog::nagios::{Dependency, Options};
use stentor_core::engine::switch::{Scope, Switch};
use stentor_core::engine::{Command, CustomOptions, DowntimeRequest, Notify, Spread};
use stentor_core::id::{ObjectId, ServiceId};
use stentor_core::model::{Ack, Covers, DowntimeKind, ObjectKey, Sticky};

mod generator;
mod rules;
#[path = "../nagios/site.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod site;

use generator::{Action, Case, Object, Role, STEP_SECS, STEPS};
use rules::{Model, Seen};
use site::{Site, Tree};

/// Cases unless `STENTOR_SEEDS` says how many.
const SEEDS: u64 = 5000;

#[test]
fn the_engine_follows_the_documented_rules_in_random_cases() {
    let seeds = std::env::var("STENTOR_SEEDS").map_or(SEEDS, |text| text.parse().expect("STENTOR_SEEDS is a number"));
    let mut told = 0;
    for seed in 1..=seeds {
        told += check(&Case::new(seed));
    }
    assert!(told > seeds, "{told} notifications in {seeds} cases: the cases say next to nothing");
}

/// Compares step by step: the first one that differs ends the shortest failing prefix. Counts what was told.
fn check(case: &Case) -> u64 {
    let mut site = Site::new(tree(case));
    let mut model = Model::new(case);
    let mut told = 0;
    for number in 0..STEPS {
        let expect = model.step(number);
        let seen = run(&mut site, case, number);
        told += seen.told.len() as u64;
        if seen != expect {
            let steps: Vec<String> =
                case.steps[..=number].iter().enumerate().map(|(number, step)| format!("{number}: {step:?}")).collect();
            panic!(
                "seed {} differs in step {number}\n{}\n{}\nengine {seen:#?}\nrules {expect:#?}",
                case.seed,
                case.objects.iter().map(|object| format!("{object:?}")).collect::<Vec<_>>().join("\n"),
                steps.join("\n")
            );
        }
    }
    told
}

/// The same case under the engine.
fn run(site: &mut Site, case: &Case, number: usize) -> Seen {
    for second in 0..STEP_SECS {
        match &case.steps[number] {
            Some(action @ Action::Result { active: true, .. }) if second == 1 => act(site, case, action),
            Some(Action::Result { active: true, .. }) | None => {}
            Some(action) if second == 0 => act(site, case, action),
            Some(_) => {}
        }
        site.pass(1);
    }
    let objects = (0..case.objects.len()).map(|place| shown(site, case, place)).collect();
    let fields = |line: String| line.split_once(':').map(|(_, fields)| fields.to_owned()).unwrap_or_default();
    let mut told: Vec<String> = site.notices().into_iter().map(fields).collect();
    let alert = |line: String| {
        let (kind, fields) = line.split_once(": ")?;
        let is_alert = matches!(kind, "HOST ALERT" | "SERVICE ALERT");
        fields.rsplit_once(';').filter(|_| is_alert).map(|(fields, _)| fields.to_owned())
    };
    let mut alerts: Vec<String> = site.log().into_iter().filter_map(alert).collect();
    told.sort();
    alerts.sort();
    Seen { objects, told, alerts }
}

fn key(case: &Case, place: usize) -> ObjectKey {
    ObjectKey { host: case.host_name(place).into(), service: case.service_name(place).map(Into::into) }
}

fn shown(site: &Site, case: &Case, place: usize) -> String {
    let key = key(case, place);
    let object = site.id(&key.host, key.service.as_deref());
    let (row, track) = (site.row(object), site.track(object));
    let service = key.service.map(|name| format!(";{name}")).unwrap_or_default();
    format!(
        "{}{service} {} last hard {}, {:.2}% {}, number {}, acknowledged {}, depth {}",
        key.host,
        site.shown(object),
        row.last_hard_state,
        track.flap.percent,
        track.flap.flapping,
        track.notice.number,
        row.is_acknowledged(),
        row.downtime_depth
    )
}

fn act(site: &mut Site, case: &Case, action: &Action) {
    let by: Arc<str> = "joe".into();
    if let Action::CancelDowntimes { object } = *action {
        return cancel(site, case, object);
    }
    let command = match *action {
        Action::Result { object, code, active } => {
            let key = key(case, object);
            let id = site.id(&key.host, key.service.as_deref());
            // A plugin of a host says CRITICAL when the host is down.
            let code = if key.service.is_none() && code != 0 { 2 } else { code };
            if active {
                site.active(id, i32::from(code), "o");
            } else {
                site.passive(id, i32::from(code), "o");
            }
            return;
        }
        Action::Acknowledge { object, sticky, notify } => {
            let sticky = if sticky { Sticky::Yes } else { Sticky::No };
            let ack = Ack { by, comment: "ack".into(), at: site.at, until: None, sticky };
            let notify = if notify { Notify::Yes } else { Notify::No };
            Command::AckObject { object: key(case, object), ack, notify, persistent: false }
        }
        Action::Unacknowledge { object } => Command::UnackObject { object: key(case, object), by },
        Action::Downtime { object, secs } => Command::ScheduleDowntime(DowntimeRequest {
            target: key(case, object),
            covers: Covers::ObjectOnly,
            kind: DowntimeKind::Fixed,
            triggered_by: None,
            spread: Spread::TargetOnly,
            start: site.at,
            end: site.at + Span::from_secs(secs),
            author: by,
            comment: "dt".into(),
        }),
        Action::CancelDowntimes { .. } => return,
        Action::Notifications { object, on } => {
            let scope = Scope::Object(key(case, object));
            Command::SetSwitch { scope, switch: Switch::Notifications, on }
        }
        Action::Custom { object, forced } => Command::CustomNotification {
            object: key(case, object),
            options: CustomOptions { broadcast: false, forced, increment: false },
            author: by,
            comment: "hello".into(),
        },
    };
    let answer = site.command(command);
    let may_be_refused = matches!(action, Action::Acknowledge { .. });
    assert!(answer.is_ok() || may_be_refused, "{action:?}: {answer:?}");
}

/// The newest first; of a host those of its services too.
fn cancel(site: &mut Site, case: &Case, object: usize) {
    let key = key(case, object);
    let of = |target: &ObjectKey| target.host == key.host && (key.service.is_none() || target.service == key.service);
    let downtimes: Vec<u64> = site.engine.downtimes().values().filter(|d| of(&d.target)).map(|d| d.id).collect();
    for id in downtimes.into_iter().rev() {
        site.command(Command::CancelDowntime { id, by: "joe".into() }).expect("it is there");
    }
}

fn options(letters: &str, role: Role) -> Options {
    letters.split(',').fold(Options::NONE, |all, letter| {
        all | match (letter, role) {
            ("w", _) => Options::WARNING,
            ("c", _) => Options::CRITICAL,
            ("d", _) => Options::DOWN,
            ("u", Role::Service) => Options::UNKNOWN,
            ("u", _) => Options::UNREACHABLE,
            ("r", _) => Options::RECOVERY,
            ("f", _) => Options::FLAPPING,
            ("s", _) => Options::DOWNTIME,
            _ => panic!("option {letter}"),
        }
    })
}

fn tree(case: &Case) -> Tree {
    let mut tree = Tree::new();
    let escalated = ["esc1", "esc2"].map(|name| tree.contact(name, Options::ALL, Options::ALL));
    let mut hosts = Vec::new();
    for (place, conf) in case.objects.iter().enumerate() {
        let letters = options(conf.contact_options, conf.role);
        let contact = tree.contact(&case.contact(place), letters, letters);
        let mut object = configured(conf);
        object.directives.contacts = vec![contact];
        let id = match case.service_name(place) {
            Some(name) => ObjectId::Service(tree.service(hosts[case.host()], &name, &object)),
            None => {
                object.parents.clone_from(&hosts);
                hosts.push(tree.host(&case.host_name(place), &object));
                ObjectId::Host(hosts[place])
            }
        };
        for escalation in &conf.escalations {
            let added = tree.escalation(id, escalation.first, escalation.last, escalated[escalation.to]);
            added.interval = escalation.interval.map(Span::from_secs);
        }
    }
    if case.depends {
        let service = |place: usize| ObjectId::Service(ServiceId::from_index(place - case.host() - 1));
        tree.catalog.nagios.dependencies.push(Dependency {
            master: service(case.objects.len() - 2),
            dependent: service(case.objects.len() - 1),
            execution: Options::NONE,
            notification: Options::CRITICAL | Options::UNKNOWN,
            inherits_parent: false,
            period: None,
            redundancy: None,
        });
    }
    tree
}

fn configured(conf: &Object) -> site::Object {
    let base = if conf.role == Role::Service { site::Object::service() } else { site::Object::host() };
    let mut object = site::Object { attempts: conf.attempts, ..base };
    let directives = &mut object.directives;
    directives.notification_interval = Span::from_secs(conf.notification_interval);
    directives.first_notification_delay = Span::from_secs(conf.first_delay);
    directives.notification_options = options(conf.options, conf.role);
    directives.volatile = conf.volatile;
    directives.switches.flap_detection = conf.flap_detection;
    object
}
