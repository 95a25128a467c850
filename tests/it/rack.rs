//! A rack of twenty hosts with four hundred services loses its power or its switch: one incident, one page, whatever is
//! known about the hosts.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use stentor::config;
use stentor::replay::{self, Options};
use stentor_core::Timestamp;

const HOSTS: usize = 20;
const SERVICES: usize = 20;
/// Sunday 2026-11-22 00:00 UTC.
const START: i64 = 1_795_305_600;
/// The rack dies.
const DEATH: i64 = START + 100;

/// How a rack is known to the configuration.
struct Rack {
    name: &'static str,
    /// Keys of each of its hosts.
    keys: fn(usize) -> String,
    /// What else the configuration says.
    more: &'static str,
    /// What is told beside the checks, every minute after its death.
    told: fn(&dyn Fn(usize) -> bool) -> Vec<Json>,
    /// Class, subtype and name of the cause.
    cause: (&'static str, &'static str, &'static str),
}

const FEED: &str = "[[feed]]\nname = \"F7\"\nsource = \"mains\"\n";
const SWITCH: &str = "[[switch]]\nname = \"tor7\"\n";
const CLOUD: &str = "[[cloud]]\nname = \"ecc\"\nplatform = \"eucalyptus\"\n[[zone]]\nname = \"one\"\ncloud = \"ecc\"\n\
                     [[host]]\nname = \"clc1\"\naddress = \"192.0.2.9\"\nzone = \"one\"\n";

fn nothing(_: &dyn Fn(usize) -> bool) -> Vec<Json> {
    Vec::new()
}

/// The management switch lives, and sees the port of each BMC that has no standby power.
fn bmcs_without_power(is_dead: &dyn Fn(usize) -> bool) -> Vec<Json> {
    let of = |n: usize| {
        let (bmc, power) = if is_dead(n) { ("unreachable", "unknown") } else { ("ok", "on") };
        [json!({"host": host(n), "sig": "bmc", "value": bmc}), json!({"host": host(n), "sig": "power", "value": power})]
    };
    let mut told: Vec<Json> = (0..HOSTS).flat_map(of).collect();
    let down: Vec<String> = (0..HOSTS).filter(|n| is_dead(*n)).map(host).collect();
    told.push(json!({"host": "mgmt", "sig": "switch", "value": {"state": "up", "bmc_ports_down": down}}));
    told
}

/// Each BMC answers: there is power.
fn bmcs_with_power(_: &dyn Fn(usize) -> bool) -> Vec<Json> {
    let of = |name: String| {
        [json!({"host": name, "sig": "bmc", "value": "ok"}), json!({"host": name, "sig": "power", "value": "on"})]
    };
    (0..HOSTS).map(host).flat_map(of).collect()
}

/// By feed and switch, in no cloud, and nothing is told beside the checks.
const PLAIN: Rack = Rack {
    name: "in no cloud, by feed and switch, without management controllers",
    keys: |_| "psu_feeds = [\"F7\"]\nswitch_ports = [\"tor7/1\"]\n".to_owned(),
    more: "",
    told: nothing,
    cause: ("network", "switch", "tor7"),
};

fn racks() -> Vec<Rack> {
    let of_cloud = |n: usize| format!("zone = \"one\"\n{}", (PLAIN.keys)(n));
    vec![
        PLAIN,
        Rack {
            name: "in no cloud, by its feed alone",
            keys: |_| "psu_feeds = [\"F7\"]\n".to_owned(),
            cause: ("power_event", "feed_lost", "F7"),
            ..PLAIN
        },
        Rack {
            name: "in no cloud, by its switch alone",
            keys: |_| "switch_ports = [\"tor7/1\"]\n".to_owned(),
            ..PLAIN
        },
        Rack { name: "in no cloud, with power by every management controller", told: bmcs_with_power, ..PLAIN },
        Rack { name: "of a cloud, without management controllers", keys: of_cloud, more: CLOUD, ..PLAIN },
        Rack {
            name: "of a cloud, with a management switch that sees the controllers go",
            keys: of_cloud,
            more: "[[cloud]]\nname = \"ecc\"\nplatform = \"eucalyptus\"\n[[zone]]\nname = \"one\"\ncloud = \"ecc\"\n\
                   [[host]]\nname = \"clc1\"\naddress = \"192.0.2.9\"\nzone = \"one\"\n\
                   [[switch]]\nname = \"mgmt\"\nmanagement = true\n",
            told: bmcs_without_power,
            cause: ("power_event", "feed_lost", "F7"),
        },
        Rack {
            name: "half in a cloud and half in none",
            keys: |n| {
                let zone = if n % 2 == 0 { "zone = \"one\"\n" } else { "" };
                format!("{zone}{}", (PLAIN.keys)(n))
            },
            more: CLOUD,
            ..PLAIN
        },
    ]
}

fn host(n: usize) -> String {
    format!("r7h{n:02}")
}

fn toml(rack: &Rack) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{}{FEED}{SWITCH}\
         [[host]]\nname = \"gw\"\naddress = \"192.0.2.1\"\n\
         [[contact]]\nname = \"noc\"\nemail = \"noc@example.org\"\n[[route]]\nname = \"all\"\nto = [\"noc\"]\n",
        rack.more
    );
    for n in 0..HOSTS {
        let name = host(n);
        write!(text, "[[host]]\nname = \"{name}\"\naddress = \"198.51.100.{}\"\n{}", n + 1, (rack.keys)(n)).unwrap();
        text.push_str("[host.checks.ssh]\n");
        for s in 0..SERVICES {
            write!(text, "[[service]]\nhost = \"{name}\"\nname = \"s{s:02}\"\nprobe = \"\"\nattempts = 3\n").unwrap();
        }
    }
    text
}

/// The recording of a life of minutes: lines in the order of their time.
#[derive(Default)]
struct Recording(Vec<(i64, Json)>);

impl Recording {
    fn host(&mut self, at: i64, name: &str, ok: bool) {
        let facts = if ok { json!({"ping": "ok", "loss_pct": 0}) } else { json!({"ping": "fail", "loss_pct": 100}) };
        self.0.push((at, json!({"result": {"host": name, "output": "ping", "facts": facts}})));
        let port = if ok { "open" } else { "timeout" };
        let ssh = json!({"host": name, "service": "ssh", "output": "ssh", "facts": {"port": port}});
        self.0.push((at, json!({"result": ssh})));
    }

    fn services(&mut self, at: i64, name: &str, code: i32) {
        for s in 0..SERVICES {
            let service = format!("s{s:02}");
            let result = json!({"host": name, "service": service, "code": code, "output": "x", "active": false});
            self.0.push((at, json!({"result": result})));
        }
    }

    /// What stays well, asked every ten seconds.
    fn others(&mut self, names: &[&str], until: i64) {
        for at in (START..until).step_by(10) {
            for name in names {
                self.0.push((
                    at,
                    json!({"result": {"host": name, "output": "ping", "facts": {"ping": "ok", "loss_pct": 0}}}),
                ));
            }
        }
    }

    fn text(mut self) -> String {
        self.0.sort_by_key(|(at, _)| *at);
        let line = |(at, mut line): (i64, Json)| {
            line["at"] = at.into();
            line.to_string()
        };
        self.0.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// When a host is found dead, and when it is back: none of them at the same second.
fn recording(rack: &Rack, back: impl Fn(usize) -> Option<i64>, until: i64) -> String {
    let mut lines = Recording::default();
    let others: &[&str] = if rack.more.is_empty() { &["gw"] } else { &["gw", "clc1"] };
    lines.others(others, until);
    for n in 0..HOSTS {
        let name = host(n);
        let shift = (n as i64 * 7) % 10;
        let back = back(n);
        for at in (START + shift..until).step_by(10) {
            lines.host(at, &name, at < DEATH || back.is_some_and(|back| at >= back));
        }
        for at in (START + shift..until).step_by(120) {
            let ok = at < DEATH || back.is_some_and(|back| at >= back);
            lines.services(at, &name, if ok { 0 } else { 2 });
        }
    }
    for at in (START..until).step_by(30) {
        let is_dead = |n: usize| at >= DEATH && back(n).is_none_or(|back| at < back);
        lines.0.extend((rack.told)(&is_dead).into_iter().map(|signal| (at, json!({"signal": signal}))));
    }
    lines.text()
}

fn run(rack: &Rack, events: &str, until: i64) -> Vec<Json> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rack.toml");
    std::fs::write(&path, toml(rack)).unwrap();
    let loaded = config::load(&path).unwrap_or_else(|found| panic!("{}: {found}", rack.name));
    let services = loaded.catalog.services.iter().filter(|service| service.name.starts_with('s')).count();
    assert!(services >= HOSTS * SERVICES, "{services} services");
    replayed(&loaded.catalog, events, until)
}

fn replayed(catalog: &std::sync::Arc<stentor_core::catalog::Catalog>, events: &str, until: i64) -> Vec<Json> {
    let mut out = Vec::new();
    let options = Options { until: Some(Timestamp::from_secs(until)), ..Options::default() };
    assert!(replay::replay(catalog, events, &options, &mut out).unwrap(), "{}", String::from_utf8_lossy(&out));
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers(lines: &[Json]) -> BTreeSet<i64> {
    lines.iter().filter(|line| line["event"] == "incident").map(|line| line["id"].as_i64().unwrap()).collect()
}

fn pages(lines: &[Json]) -> Vec<&Json> {
    lines.iter().filter(|line| line["event"] == "notification").collect()
}

fn newest(lines: &[Json], number: i64) -> &Json {
    lines.iter().rfind(|line| line["event"] == "incident" && line["id"] == number).unwrap()
}

#[test]
fn a_dead_rack_is_one_incident_and_one_page() {
    for rack in racks() {
        let until = DEATH + 600;
        let lines = run(&rack, &recording(&rack, |_| None, until), until);
        let said =
            || lines.iter().filter(|l| l["event"] == "incident").map(Json::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(numbers(&lines), BTreeSet::from([1]), "{}:\n{}", rack.name, said());
        let pages = pages(&lines);
        assert_eq!(pages.len(), 1, "{}: {pages:?}\n{}", rack.name, said());
        let incident = newest(&lines, 1);
        let (class, subtype, name) = rack.cause;
        assert_eq!(
            (&incident["class"], &incident["subtype"]),
            (&json!(class), &json!(subtype)),
            "{}: {incident}",
            rack.name
        );
        assert_eq!(incident["target"]["host"], name, "{}: {incident}", rack.name);
        let effects: BTreeSet<&str> =
            incident["effects"].as_array().unwrap().iter().filter_map(|effect| effect["host"].as_str()).collect();
        let missing: Vec<String> = (0..HOSTS).map(host).filter(|name| !effects.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "{}: {missing:?} are no effects of {incident}", rack.name);
        let opened_after = lines.iter().find(|line| line["phase"] == "opened").unwrap()["at"].as_i64().unwrap() - DEATH;
        assert!(opened_after <= 180, "{}: told after {opened_after} s", rack.name);
    }
}

#[test]
fn a_rack_that_comes_back_one_host_after_the_other_is_still_one_incident() {
    for rack in [0, 5, 6].map(|n| racks().swap_remove(n)) {
        let until = DEATH + 1800;
        // The last one needs seven minutes.
        let back = |n: usize| Some(DEATH + 600 + n as i64 * 22);
        let lines = run(&rack, &recording(&rack, back, until), until);
        assert_eq!(numbers(&lines), BTreeSet::from([1]), "{}:\n{:#?}", rack.name, newest(&lines, 1));
        assert_eq!(newest(&lines, 1)["phase"], "resolved", "{}", rack.name);
        let kinds: Vec<_> = pages(&lines).iter().map(|page| page["notification"].clone()).collect();
        assert_eq!(kinds, ["PROBLEM", "RECOVERY"], "{}", rack.name);
    }
}

#[test]
fn a_host_that_does_not_come_back_with_its_rack_is_a_failure_of_its_own() {
    for rack in [0, 5].map(|n| racks().swap_remove(n)) {
        let until = DEATH + 2400;
        let back = |n: usize| (n != 3).then_some(DEATH + 600 + n as i64);
        let lines = run(&rack, &recording(&rack, back, until), until);
        assert_eq!(numbers(&lines), BTreeSet::from([1, 2]), "{}", rack.name);
        let own = newest(&lines, 2);
        assert_eq!(
            (&own["target"]["host"], &own["links"]["split_from"]),
            (&json!(host(3)), &json!(1)),
            "{}: {own}",
            rack.name
        );
        assert_eq!(newest(&lines, 1)["phase"], "resolved", "{}", rack.name);
    }
}

#[test]
fn two_hosts_of_a_rack_that_fail_alone_are_two_failures() {
    let rack = &racks()[0];
    let until = DEATH + 600;
    let lines = run(rack, &recording(rack, |n| (n > 1).then_some(DEATH), until), until);
    let of: BTreeSet<&str> = lines.iter().filter_map(|line| line["target"]["host"].as_str()).collect();
    let expected: BTreeSet<String> = [host(0), host(1)].into();
    assert_eq!(of, expected.iter().map(String::as_str).collect());
    assert_eq!(pages(&lines).len(), 2);
}

/// The same rack as a Nagios tree knows it: hosts with their switch as parent.
fn nagios_objects() -> String {
    let mut text = String::from(
        "define timeperiod {\n timeperiod_name 24x7\n alias always\n sunday 00:00-24:00\n monday 00:00-24:00\n tuesday 00:00-24:00\n \
         wednesday 00:00-24:00\n thursday 00:00-24:00\n friday 00:00-24:00\n saturday 00:00-24:00\n}\n\
         define command {\n command_name none\n command_line /bin/true\n}\n\
         define contact {\n contact_name noc\n host_notifications_enabled 1\n service_notifications_enabled 1\n \
         host_notification_period 24x7\n service_notification_period 24x7\n host_notification_options d,r\n \
         service_notification_options w,u,c,r\n host_notification_commands none\n service_notification_commands none\n}\n",
    );
    let object = |name: &str, parents: &str| {
        format!(
            "define host {{\n host_name {name}\n address 192.0.2.7\n check_command none\n max_check_attempts 3\n \
             check_interval 1\n retry_interval 1\n check_period 24x7\n notification_period 24x7\n \
             notification_interval 0\n notification_options d,u,r\n contacts noc\n{parents}}}\n"
        )
    };
    text.push_str(&object("gw", ""));
    text.push_str(&object("tor7", " parents gw\n"));
    for n in 0..HOSTS {
        let name = host(n);
        text.push_str(&object(&name, " parents tor7\n"));
        for s in 0..SERVICES {
            write!(
                text,
                "define service {{\n host_name {name}\n service_description s{s:02}\n check_command none\n \
                 max_check_attempts 3\n check_interval 1\n retry_interval 1\n check_period 24x7\n \
                 notification_period 24x7\n notification_interval 0\n notification_options w,u,c,r\n contacts noc\n}}\n"
            )
            .unwrap();
        }
    }
    text
}

#[test]
fn an_imported_rack_behind_its_switch_is_one_incident_and_one_notification() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("objects.cfg"), nagios_objects()).unwrap();
    std::fs::write(at("nagios.cfg"), "cfg_file=objects.cfg\n").unwrap();
    let loaded = config::load(&at("nagios.cfg")).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(loaded.catalog.services.len(), HOSTS * SERVICES);
    let until = DEATH + 900;
    let mut lines = Recording::default();
    let mut say = |at: i64, name: &str, service: Option<String>, code: i32| {
        lines.0.push((at, json!({"result": {"host": name, "service": service, "code": code, "output": "x"}})));
    };
    for round in (START..until).step_by(60) {
        let code = if round < DEATH { 0 } else { 2 };
        say(round, "gw", None, 0);
        say(round, "tor7", None, code);
        for n in 0..HOSTS {
            say(round, &host(n), None, code);
            for s in 0..SERVICES {
                say(round, &host(n), Some(format!("s{s:02}")), code);
            }
        }
    }
    let lines = replayed(&loaded.catalog, &lines.text(), until);
    let told: Vec<_> = pages(&lines).iter().map(|page| (page["host"].clone(), page["service"].clone())).collect();
    assert_eq!(told, [(json!("tor7"), Json::Null)], "the children are unreachable, and their services with them");
    assert_eq!(numbers(&lines), BTreeSet::from([1]));
    assert_eq!(newest(&lines, 1)["target"]["host"], "tor7");
}
