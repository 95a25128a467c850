//! Sequences that were run on Nagios Core 4.5.12, replayed step by step (data/scenarios.json).

use std::fmt::Write as _;

use serde_json::Value as Json;
use stentor_core::Span;
use stentor_core::catalog::nagios::{Dependency, Options};
use stentor_core::engine::switch::{Scope, Switch};
use stentor_core::engine::{Command, CustomOptions, DowntimeRequest, Notify, ResultSource, Spread};
use stentor_core::id::{ContactId, HostId, ObjectId};
use stentor_core::model::{Ack, Covers, DowntimeKind, ObjectKey, Observation, ServiceState, Sticky};

use super::site::{Object, Site, Tree};

/// Where Stentor does not follow Nagios 4.5 on purpose: sequence, step, what Nagios said, what Stentor says.
const DECIDED: &[(&str, usize, &str, &str)] = &[
    // The recovery goes to those who heard of the problem last, as the documentation promises.
    ("e01", 6, "c_e01", "esc1"),
];

/// The recorded states were read about this long after the actions of a step, its lines at its end.
const SHOWN_AFTER_SECS: i64 = 1;

/// Seconds between the actions of a step and those of the next.
const STEP_SECS: i64 = 3;

#[test]
fn recorded_sequences_of_nagios_give_the_same_states_and_lines() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scenarios.json"));
    let file: Json = serde_json::from_str(&text.expect("the sequences")).expect("JSON");
    let scenarios = file["scenarios"].as_array().expect("a list");
    assert_eq!(file["base"]["step_seconds"], STEP_SECS);
    assert!(scenarios.len() >= 44, "{} sequences", scenarios.len());
    let mut wrong = String::new();
    for scenario in scenarios {
        wrong.push_str(&replay(scenario));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn text_of(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

/// What differs, a line each.
fn replay(scenario: &Json) -> String {
    let id = text_of(&scenario["id"]);
    let mut site = Site::new(tree(scenario));
    let mut wrong = String::new();
    for (number, step) in scenario["steps"].as_array().expect("steps").iter().enumerate() {
        for action in step["actions"].as_array().expect("actions") {
            act(&mut site, id, action);
        }
        site.pass(SHOWN_AFTER_SECS);
        let mut differs = |what: &str, is: String, should: String| {
            if is != should {
                writeln!(wrong, "{id} step {number} {what}: {is}, Nagios {should}").expect("a string grows");
            }
        };
        let parents = step["parents"].as_object().into_iter().flatten();
        let hosts = parents.map(|(name, json)| (name.clone(), None, json));
        let own = [(id.to_owned(), None, &step["host"]), (id.to_owned(), Some("svc"), &step["service"])];
        for (host, service, json) in own.into_iter().chain(hosts) {
            let object = site.id(&host, service);
            differs(service.unwrap_or(&host), state(&site, object), recorded_state(json));
        }
        site.pass(STEP_SECS - SHOWN_AFTER_SECS - 1);
        let decided = |text: String| {
            let here = DECIDED.iter().filter(|(scenario, at, ..)| *scenario == id && *at == number);
            here.fold(text, |text, (_, _, nagios, stentor)| text.replace(nagios, stentor))
        };
        differs("log", sorted(site.log()), decided(sorted(lines(&step["log"]))));
        differs("notifications", sorted(site.notices()), decided(sorted(lines(&step["notifications"]))));
        site.pass(1);
    }
    wrong
}

fn state(site: &Site, object: ObjectId) -> String {
    let (row, track) = (site.row(object), site.track(object));
    let last_hard = match object {
        ObjectId::Host(_) => ["UP", "DOWN", "UNREACHABLE", "?"],
        ObjectId::Service(_) => ["OK", "WARNING", "CRITICAL", "UNKNOWN"],
    }[usize::from(row.last_hard_state)];
    format!(
        "{} last hard {last_hard}, {:.2}% {}, number {}, acknowledged {}, depth {}",
        site.shown(object),
        track.flap.percent,
        track.flap.flapping,
        track.notice.number,
        row.is_acknowledged(),
        row.downtime_depth
    )
}

fn recorded_state(json: &Json) -> String {
    let [state, kind, last_hard] = ["state", "type", "last_hard"].map(|name| text_of(&json[name]));
    let (attempt, percent) = (&json["attempt"], json["percent"].as_f64().expect("a number"));
    let [flapping, number, acknowledged, depth] =
        ["flapping", "notification_number", "acknowledged", "downtime_depth"].map(|name| &json[name]);
    format!(
        "{state};{kind};{attempt} last hard {last_hard}, {percent:.2}% {flapping}, number {number}, \
         acknowledged {acknowledged}, depth {depth}"
    )
}

fn lines(json: &Json) -> Vec<String> {
    json.as_array().expect("lines").iter().map(|line| text_of(line).to_owned()).collect()
}

fn sorted(mut lines: Vec<String>) -> String {
    lines.sort();
    format!("{lines:#?}")
}

fn options(letters: &str, host: bool) -> Options {
    letters.split(',').fold(Options::NONE, |all, letter| {
        all | match (letter, host) {
            ("o", _) => Options::OK,
            ("w", false) => Options::WARNING,
            ("d", true) => Options::DOWN,
            ("c", false) => Options::CRITICAL,
            ("u", true) => Options::UNREACHABLE,
            ("u", false) => Options::UNKNOWN,
            ("r", _) => Options::RECOVERY,
            ("f", _) => Options::FLAPPING,
            ("s", _) => Options::DOWNTIME,
            _ => panic!("option {letter}"),
        }
    })
}

fn configured(mut object: Object, overrides: &Json, host: bool) -> Object {
    let initial = ["o", "w", "c", "u"];
    for (name, value) in overrides.as_object().expect("directives") {
        let number = value.as_i64().unwrap_or(0);
        let directives = &mut object.directives;
        match name.as_str() {
            "max_check_attempts" => object.attempts = u16::try_from(number).expect("small"),
            "notification_interval" => directives.notification_interval = Span::from_secs(number),
            "notification_options" => directives.notification_options = options(text_of(value), host),
            "stalking_options" => directives.stalking = options(text_of(value), host),
            "flap_detection_enabled" => directives.switches.flap_detection = number == 1,
            "is_volatile" => directives.volatile = number == 1,
            "initial_state" => {
                let code = initial.iter().position(|letter| *letter == text_of(value)).expect("a state");
                directives.initial_state = u8::try_from(code).expect("small");
            }
            "parents" => {}
            _ => panic!("directive {name}"),
        }
    }
    object
}

/// The tree that `base`, the overrides and `extra_objects` of the file describe.
fn tree(scenario: &Json) -> Tree {
    let id = text_of(&scenario["id"]);
    let extra = text_of(&scenario["extra_objects"]);
    let mut tree = Tree::new();
    let all = Options::ALL;
    let contact = tree.contact(&format!("c_{id}"), all, all);
    let [esc1, esc2] = ["esc1", "esc2"].map(|name| tree.contact(name, all, all));
    let with = |mut object: Object, contacts: &[ContactId]| {
        object.directives.contacts = contacts.to_vec();
        object
    };
    let mut host = configured(with(Object::host(), &[contact]), &scenario["host_overrides"], true);
    let above = match extra {
        "p" => vec!["p"],
        "pq" => vec!["p", "q"],
        _ => vec![],
    };
    let plain = with(Object::host(), &[contact]);
    host.parents = above.iter().map(|name| tree.host(&format!("{id}_{name}"), &plain)).collect();
    let host: HostId = tree.host(id, &host);
    let mut contacts = vec![contact];
    if extra == "c2" {
        contacts.push(tree.contact("conly", all, Options::CRITICAL | Options::RECOVERY));
    }
    let service = configured(with(Object::service(), &contacts), &scenario["service_overrides"], false);
    let service = ObjectId::Service(tree.service(host, "svc", &service));
    match extra {
        "" | "p" | "pq" | "c2" => {}
        "esc20" => drop(tree.escalation(service, 2, 0, esc1)),
        "esc50" => drop(tree.escalation(service, 5, 0, esc1)),
        "hesc20" => drop(tree.escalation(ObjectId::Host(host), 2, 0, esc1)),
        "esc12_23" => {
            tree.escalation(service, 1, 2, esc1);
            tree.escalation(service, 2, 3, esc2);
        }
        "esc_int0" => tree.escalation(service, 2, 0, esc1).interval = Some(Span::ZERO),
        "esc_opt" => {
            tree.escalation(service, 1, 0, esc1).options = Options::CRITICAL | Options::RECOVERY;
        }
        "dep" => {
            let master = Object::attempts(1).with(|directives| directives.switches.notifications = false);
            let master = ObjectId::Service(tree.service(host, "m", &with(master, &[contact])));
            tree.catalog.nagios.dependencies.push(Dependency {
                master,
                dependent: service,
                execution: Options::NONE,
                notification: Options::CRITICAL | Options::UNKNOWN,
                inherits_parent: false,
                period: None,
                redundancy: None,
            });
        }
        _ => panic!("extra objects {extra}"),
    }
    tree
}

fn act(site: &mut Site, id: &str, action: &Json) {
    let (rc, output) = (action["rc"].as_i64().unwrap_or(0), text_of(&action["output"]));
    let target = action["target"].as_str();
    match text_of(&action["do"]) {
        "active_host_result" => {
            let host = site.id(target.unwrap_or(id), None);
            site.active(host, i32::try_from(rc).expect("a code"), output);
        }
        "active_service_result" => {
            let name = target.unwrap_or("svc");
            let service = site.id(id, Some(name));
            let observation = collected(rc, output, action["early_timeout"] == 1, id, name);
            site.result(service, ResultSource::Active, observation);
        }
        "passive_service" => {
            let service = site.id(id, Some("svc"));
            site.passive(service, i32::try_from(rc).expect("a code"), output);
        }
        "command" => {
            for command in commands(site, text_of(&action["line"])) {
                site.command(command).expect("the command is carried out");
            }
        }
        other => panic!("action {other}"),
    }
}

/// What the collector makes of a run (specification 01, section 2).
fn collected(rc: i64, output: &str, is_timeout: bool, host: &str, service: &str) -> Observation {
    let replaced = match rc {
        _ if is_timeout => "(Service check timed out after 0.00 seconds)".to_owned(),
        126 => "(Return code of 126 is out of bounds. Check if plugin is executable)".to_owned(),
        127 => "(Return code of 127 is out of bounds. Check if plugin exists)".to_owned(),
        0..=3 => output.split(['|', '\n']).next().unwrap_or_default().trim().to_owned(),
        _ => format!("(Return code of {rc} for service '{service}' on host '{host}' was out of bounds)"),
    };
    let state = i32::try_from(rc).ok().and_then(ServiceState::from_code).filter(|_| !is_timeout);
    Observation::reported(state.unwrap_or(ServiceState::Critical), replaced)
}

/// The command lines of the sequences in the engine's words.
fn commands(site: &Site, line: &str) -> Vec<Command> {
    let parts: Vec<&str> = line.split(';').collect();
    let key = |service: Option<&str>| ObjectKey { host: parts[1].into(), service: service.map(Into::into) };
    let time = |text: &str| {
        let offset = text.trim_matches(['{', '}']).trim_start_matches("now").trim_start_matches('+');
        site.at + Span::from_secs(offset.parse().unwrap_or(0))
    };
    let downtime = |target, at: usize| {
        let (start, end) = (time(parts[at]), time(parts[at + 1]));
        let (author, comment) = (parts[at + 5].into(), parts[at + 6].into());
        let kind = match parts[at + 2] {
            "1" => DowntimeKind::Fixed,
            _ => DowntimeKind::Flexible { duration: Span::from_secs(parts[at + 4].parse().expect("seconds")) },
        };
        let (covers, triggered_by, spread) = (Covers::ObjectOnly, None, Spread::TargetOnly);
        let request = DowntimeRequest { target, covers, kind, triggered_by, spread, start, end, author, comment };
        Command::ScheduleDowntime(request)
    };
    let ack = |object, at: usize| {
        let sticky = if parts[at] == "2" { Sticky::Yes } else { Sticky::No };
        let notify = if parts[at + 1] == "1" { Notify::Yes } else { Notify::No };
        let (by, comment) = (parts[at + 3].into(), parts[at + 4].into());
        let persistent = parts[at + 2] == "1";
        Command::AckObject { object, ack: Ack { by, comment, at: site.at, until: None, sticky }, notify, persistent }
    };
    match parts[0] {
        "ACKNOWLEDGE_HOST_PROBLEM" => vec![ack(key(None), 2)],
        "ACKNOWLEDGE_SVC_PROBLEM" => vec![ack(key(Some(parts[2])), 3)],
        "SCHEDULE_HOST_DOWNTIME" => vec![downtime(key(None), 2)],
        "SCHEDULE_HOST_SVC_DOWNTIME" => {
            let catalog = site.engine.catalog();
            let host = catalog.host_id(parts[1]).expect("a known host");
            let services = catalog.hosts[host.index()].services.iter();
            services.map(|id| downtime(catalog.object_key(ObjectId::Service(*id)), 2)).collect()
        }
        "SEND_CUSTOM_SVC_NOTIFICATION" => {
            let bits: u8 = parts[3].parse().expect("option bits");
            vec![Command::CustomNotification {
                object: key(Some(parts[2])),
                options: CustomOptions { broadcast: bits & 1 != 0, forced: bits & 2 != 0, increment: bits & 4 != 0 },
                author: parts[4].into(),
                comment: parts[5].into(),
            }]
        }
        "SCHEDULE_SVC_DOWNTIME" => vec![downtime(key(Some(parts[2])), 3)],
        "DEL_DOWNTIME_BY_HOST_NAME" => {
            let downtimes = site.engine.downtimes().values().filter(|d| *d.target.host == *parts[1]);
            downtimes.map(|d| Command::CancelDowntime { id: d.id, by: "joe".into() }).collect()
        }
        "DISABLE_HOST_SVC_NOTIFICATIONS" | "ENABLE_HOST_SVC_NOTIFICATIONS" => {
            let (scope, on) = (Scope::ServicesOf(parts[1].into()), parts[0].starts_with("ENABLE"));
            vec![Command::SetSwitch { scope, switch: Switch::Notifications, on }]
        }
        "DISABLE_PASSIVE_SVC_CHECKS" | "ENABLE_PASSIVE_SVC_CHECKS" => {
            let (scope, on) = (Scope::Object(key(Some(parts[2]))), parts[0].starts_with("ENABLE"));
            vec![Command::SetSwitch { scope, switch: Switch::PassiveChecks, on }]
        }
        "DEL_DOWNTIME_BY_START_TIME_COMMENT" => Vec::new(),
        other => panic!("command {other}"),
    }
}
