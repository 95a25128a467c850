//! Sequences that were run on Nagios Core 4.5.12, through configuration files, replay and its printed lines.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value as Json, json};
use stentor::config;
use stentor::replay::{self, Options};

/// Sunday 2026-11-22 00:00 UTC.
const START: i64 = 1_795_305_600;

/// The recorded states were read about this long after the actions of a step.
const SHOWN_AFTER_SECS: i64 = 1;

/// Where Stentor does not follow Nagios 4.5 on purpose: sequence, step, what Nagios said, what Stentor says.
const DECIDED: &[(&str, usize, &str, &str)] = &[
    // The recovery goes to those who heard of the problem last, as the documentation promises.
    ("e01", 6, "c_e01", "esc1"),
];

/// A command that does nothing in Nagios, and of which Stentor says so.
const REFUSED: &[(&str, usize, &str)] = &[("x11", 6, "there is no such downtime")];

#[test]
fn recorded_sequences_of_nagios_give_the_same_lines_from_their_configuration_files() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/core/tests/data/scenarios.json");
    let file: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let base = &file["base"];
    let scenarios = file["scenarios"].as_array().unwrap();
    assert!(scenarios.len() >= 44, "{} sequences", scenarios.len());
    let mut failed = Vec::new();
    let mut wrong = String::new();
    for scenario in scenarios {
        let differs = compare(base, scenario);
        if !differs.is_empty() {
            failed.push(text_of(&scenario["id"]));
            wrong.push_str(&differs);
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ: {failed:?}\n{wrong}", failed.len(), scenarios.len());
}

fn text_of(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

/// What differs, a line each.
fn compare(base: &Json, scenario: &Json) -> String {
    let id = text_of(&scenario["id"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("nagios.cfg"), main_file(base)).unwrap();
    std::fs::write(folder.path().join("objects.cfg"), objects(base, scenario)).unwrap();
    let loaded = config::load(&folder.path().join("nagios.cfg")).unwrap_or_else(|found| panic!("{id}: {found}"));
    let step_secs = base["step_seconds"].as_i64().unwrap();
    let mut out = Vec::new();
    replay::replay(&loaded.catalog, &recording(scenario, step_secs), &Options::default(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut wrong = String::new();
    for (number, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        let start = START + number as i64 * step_secs;
        let of_step: Vec<&Json> =
            lines.iter().filter(|line| (start..start + step_secs).contains(&line["at"].as_i64().unwrap())).collect();
        wrong.push_str(&step_differs(id, number, step, &of_step));
    }
    wrong
}

fn step_differs(id: &str, number: usize, step: &Json, said: &[&Json]) -> String {
    let mut wrong = String::new();
    let mut differs = |what: &str, is: String, should: String| {
        if is != should {
            writeln!(wrong, "{id} step {number} {what}: {is}, Nagios {should}").unwrap();
        }
    };
    let of = |event: &'static str| said.iter().filter(move |line| line["event"] == event);
    let parents = step["parents"].as_object().into_iter().flatten();
    let hosts = parents.map(|(name, json)| (name.as_str(), Json::Null, json));
    for (host, service, recorded) in
        [(id, Json::Null, &step["host"]), (id, json!("svc"), &step["service"])].into_iter().chain(hosts)
    {
        let object = of("object").find(|line| line["host"] == host && line["service"] == service);
        let name = service.as_str().unwrap_or(host);
        differs(
            name,
            object.map_or_else(|| "missing".to_owned(), |line| shown(line, recorded)),
            recorded_state(recorded),
        );
    }
    let decided = |text: String| {
        let here = DECIDED.iter().filter(|(scenario, at, ..)| *scenario == id && *at == number);
        here.fold(text, |text, (_, _, nagios, stentor)| text.replace(nagios, stentor))
    };
    let log = of("log").map(|line| text_of(&line["line"]).to_owned()).collect();
    differs("log", sorted(log), decided(sorted(strings(&step["log"]))));
    let told = of("notification").map(|line| notice(line)).collect();
    differs("notifications", sorted(told), decided(sorted(strings(&step["notifications"]))));
    let refused = REFUSED.iter().filter(|(scenario, at, _)| *scenario == id && *at == number);
    let refused: Vec<String> = refused.map(|(_, _, why)| (*why).to_owned()).collect();
    let errors = of("error").map(|line| text_of(&line["message"]).to_owned()).collect();
    differs("errors", sorted(errors), sorted(refused));
    wrong
}

/// `SERVICE:contact;host;service;state`, as the notification commands of the recording wrote it.
fn notice(line: &Json) -> String {
    let (kind, state) = (text_of(&line["notification"]), text_of(&line["state"]));
    let state = if matches!(kind, "PROBLEM" | "RECOVERY") { state.to_owned() } else { format!("{kind} ({state})") };
    let (contact, host) = (text_of(&line["contact"]), text_of(&line["host"]));
    match line["service"].as_str() {
        Some(service) => format!("SERVICE:{contact};{host};{service};{state}"),
        None => format!("HOST:{contact};{host};{state}"),
    }
}

/// An object as printed; one without a result has the state that Nagios assumes.
fn shown(line: &Json, recorded: &Json) -> String {
    let state = match text_of(&line["state"]) {
        "PENDING" => text_of(&recorded["state"]),
        state => state,
    };
    let number = |key: &str| line[key].to_string();
    format!(
        "{state};{};{} last hard {}, {:.2}% {}, number {}, acknowledged {}, depth {}",
        text_of(&line["kind"]),
        number("attempt"),
        text_of(&line["last_hard_state"]),
        line["percent_state_change"].as_f64().unwrap_or(-1.0),
        number("flapping"),
        number("notification_number"),
        number("acknowledged"),
        number("downtime_depth"),
    )
}

fn recorded_state(json: &Json) -> String {
    let [state, kind, last_hard] = ["state", "type", "last_hard"].map(|name| text_of(&json[name]));
    let (attempt, percent) = (&json["attempt"], json["percent"].as_f64().unwrap());
    let [flapping, number, acknowledged, depth] =
        ["flapping", "notification_number", "acknowledged", "downtime_depth"].map(|name| &json[name]);
    format!(
        "{state};{kind};{attempt} last hard {last_hard}, {percent:.2}% {flapping}, number {number}, \
         acknowledged {acknowledged}, depth {depth}"
    )
}

fn strings(json: &Json) -> Vec<String> {
    json.as_array().unwrap().iter().map(|line| text_of(line).to_owned()).collect()
}

fn sorted(mut lines: Vec<String>) -> String {
    lines.sort();
    format!("{lines:#?}")
}

/// The actions of each step at its time, and a look at all objects where the recording looked.
fn recording(scenario: &Json, step_secs: i64) -> String {
    let id = text_of(&scenario["id"]);
    let mut lines = String::new();
    for (number, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
        let at = START + number as i64 * step_secs;
        for action in step["actions"].as_array().unwrap() {
            let mut line = input(id, at, action);
            line["at"] = at.into();
            writeln!(lines, "{line}").unwrap();
        }
        writeln!(lines, "{}", json!({ "at": at + SHOWN_AFTER_SECS, "show": true })).unwrap();
    }
    lines
}

fn input(id: &str, at: i64, action: &Json) -> Json {
    let (rc, output) = (&action["rc"], text_of(&action["output"]));
    let target = action["target"].as_str();
    match text_of(&action["do"]) {
        "active_host_result" => {
            json!({ "result": { "host": target.unwrap_or(id), "code": rc, "output": output, "active": true } })
        }
        "active_service_result" => {
            let mut result = json!({ "host": id, "service": target.unwrap_or("svc"), "code": rc, "output": output });
            result["early_timeout"] = (action["early_timeout"] == 1).into();
            json!({ "result": result })
        }
        "passive_service" => json!({ "command": format!("PROCESS_SERVICE_CHECK_RESULT;{id};svc;{rc};{output}") }),
        "command" => json!({ "command": timed(text_of(&action["line"]), at) }),
        other => panic!("action {other}"),
    }
}

/// `{now}` and `{now+13}` as epoch seconds.
fn timed(line: &str, at: i64) -> String {
    let parts = line.split(';').map(|part| match part.strip_prefix("{now").and_then(|rest| rest.strip_suffix('}')) {
        Some("") => at.to_string(),
        Some(offset) => (at + offset.parse::<i64>().unwrap()).to_string(),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(";")
}

fn main_file(base: &Json) -> String {
    let mut text = "cfg_file=objects.cfg\nlog_external_commands=0\nlog_passive_checks=0\n".to_owned();
    writeln!(text, "interval_length={}", base["interval_length"]).unwrap();
    for (name, value) in base["main"].as_object().unwrap() {
        writeln!(text, "{name}={value}").unwrap();
    }
    text
}

fn define(kind: &str, directives: &[(&str, &str)]) -> String {
    let lines = directives.iter().map(|(name, value)| format!("    {name} {value}\n"));
    format!("define {kind} {{\n{}}}\n", lines.collect::<String>())
}

fn contact(name: &str, service_options: &str) -> String {
    define(
        "contact",
        &[
            ("contact_name", name),
            ("host_notification_period", "24x7"),
            ("service_notification_period", "24x7"),
            ("host_notification_options", "d,u,r,f,s"),
            ("service_notification_options", service_options),
            ("host_notification_commands", "nh"),
            ("service_notification_commands", "ns"),
        ],
    )
}

/// Directives of the base with those of the sequence over them.
fn overridden(base: &Json, overrides: &Json) -> Vec<(String, String)> {
    let mut all = base.as_object().unwrap().clone();
    all.remove("description");
    all.extend(overrides.as_object().unwrap().clone());
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    all.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn object(kind: &str, names: &[(&str, &str)], directives: &[(String, String)]) -> String {
    let plain = directives.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let common = [("check_command", "ck"), ("check_period", "24x7"), ("notification_period", "24x7")];
    define(kind, &names.iter().copied().chain(common).chain(plain).collect::<Vec<_>>())
}

/// The objects that `base`, the overrides and `extra_objects` of the file describe.
fn objects(base: &Json, scenario: &Json) -> String {
    let (id, extra) = (text_of(&scenario["id"]), text_of(&scenario["extra_objects"]));
    let (all, own) = ("w,u,c,r,f,s", format!("c_{id}"));
    let every_day = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let mut period = vec![("timeperiod_name", "24x7"), ("alias", "always")];
    period.extend(every_day.map(|day| (day, "00:00-24:00")));
    let mut text = define("timeperiod", &period);
    for command in ["nh", "ns", "ck"] {
        text.push_str(&define("command", &[("command_name", command), ("command_line", "/bin/true")]));
    }
    text.push_str(&contact(&own, all));
    let none = json!({});
    for letter in ["p", "q"].iter().filter(|letter| matches!(extra, "p" | "pq") && extra.contains(**letter)) {
        let name = format!("{id}_{letter}");
        text.push_str(&object("host", &host_names(&name, &own), &overridden(&base["host"], &none)));
    }
    text.push_str(&object("host", &host_names(id, &own), &overridden(&base["host"], &scenario["host_overrides"])));
    let to = if extra == "c2" { format!("{own},conly") } else { own.clone() };
    let service = [("host_name", id), ("service_description", "svc"), ("contacts", &to)];
    text.push_str(&object("service", &service, &overridden(&base["service"], &scenario["service_overrides"])));
    text.push_str(&extras(base, id, extra));
    text
}

fn host_names<'a>(name: &'a str, contact: &'a str) -> [(&'a str, &'a str); 3] {
    [("host_name", name), ("address", "192.0.2.1"), ("contacts", contact)]
}

fn extras(base: &Json, id: &str, extra: &str) -> String {
    let escalation = |first: &str, last: &str, to: &str, more: &[(&str, &str)]| {
        let directives = [
            ("host_name", id),
            ("service_description", "svc"),
            ("contacts", to),
            ("first_notification", first),
            ("last_notification", last),
        ];
        define("serviceescalation", &directives.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let esc = ["esc1", "esc2"].map(|name| contact(name, "w,u,c,r,f,s"));
    match extra {
        "" | "p" | "pq" => String::new(),
        "c2" => contact("conly", "c,r"),
        "esc20" => [esc[0].clone(), escalation("2", "0", "esc1", &[])].concat(),
        "esc50" => [esc[0].clone(), escalation("5", "0", "esc1", &[])].concat(),
        "hesc20" => {
            let directives =
                [("host_name", id), ("contacts", "esc1"), ("first_notification", "2"), ("last_notification", "0")];
            [esc[0].clone(), define("hostescalation", &directives)].concat()
        }
        "esc12_23" => [esc.concat(), escalation("1", "2", "esc1", &[]), escalation("2", "3", "esc2", &[])].concat(),
        "esc_int0" => [esc[0].clone(), escalation("2", "0", "esc1", &[("notification_interval", "0")])].concat(),
        "esc_opt" => [esc[0].clone(), escalation("1", "0", "esc1", &[("escalation_options", "c,r")])].concat(),
        "dep" => {
            let master = json!({ "max_check_attempts": 1, "notifications_enabled": 0 });
            let contact = format!("c_{id}");
            let names = [("host_name", id), ("service_description", "m"), ("contacts", &contact)];
            let depends = define(
                "servicedependency",
                &[
                    ("host_name", id),
                    ("service_description", "m"),
                    ("dependent_host_name", id),
                    ("dependent_service_description", "svc"),
                    ("notification_failure_criteria", "c,u"),
                    ("execution_failure_criteria", "n"),
                ],
            );
            [object("service", &names, &overridden(&base["service"], &master)), depends].concat()
        }
        _ => panic!("extra objects {extra}"),
    }
}
