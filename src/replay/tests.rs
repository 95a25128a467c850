//! Scenarios with golden answers, and what must hold for every recording.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::config;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn world() -> Arc<Catalog> {
    config::load(&folder().join("scenarios.toml")).unwrap_or_else(|found| panic!("{found}")).catalog
}

fn scenarios() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("the folder is in the repository");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    paths
}

fn run(events: &str, options: &Options) -> (bool, String) {
    let mut out = Vec::new();
    let clean = replay(&world(), events, options, &mut out).expect("memory never fails");
    (clean, String::from_utf8(out).expect("JSON is UTF-8"))
}

fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn every_scenario_gives_its_golden_answer() {
    let paths = scenarios();
    assert!(paths.len() >= 9, "{paths:?}");
    let mut wrong = String::new();
    for path in paths {
        let events = std::fs::read_to_string(&path).expect("readable");
        let last = lines(&events).pop().and_then(|line| line["at"].as_i64()).expect("a scenario has lines");
        let until = Some(Timestamp::from_secs(last + 600));
        let (_, answer) = run(&events, &Options { until, explain: Explain::Everything, ..Options::default() });
        let golden = path.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&golden, &answer).expect("writable");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if answer != expected {
            let differs = answer.lines().zip(expected.lines().chain(std::iter::repeat(""))).find(|(a, b)| a != b);
            writeln!(wrong, "{}: first difference {differs:#?}", golden.display()).expect("memory");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Number, class, subtype, target and severity of what was opened or changed, each once.
fn told(name: &str) -> Vec<(i64, String, String, String, String)> {
    let events = std::fs::read_to_string(folder().join(name)).expect("readable");
    let (clean, answer) = run(&events, &Options::default());
    assert!(clean, "{answer}");
    let lines = lines(&answer);
    let incidents = of(&lines, "incident");
    let word = |line: &Json, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = incidents
        .iter()
        .filter(|line| matches!(line["phase"].as_str(), Some("opened" | "changed")))
        .map(|line| {
            let host = word(&line["target"], "host");
            (
                line["id"].as_i64().expect("a number"),
                word(line, "class"),
                word(line, "subtype"),
                host,
                word(line, "severity"),
            )
        })
        .collect();
    all.dedup();
    all
}

#[test]
fn mains_lost_on_one_feed_and_the_battery_on_the_other_are_one_incident_with_one_clock() {
    let row = |id, class: &str, subtype: &str, host: &str, severity: &str| {
        (id, class.to_owned(), subtype.to_owned(), host.to_owned(), severity.to_owned())
    };
    let battery = |severity| row(1, "power_event", "on_battery", "ups1", severity);
    assert_eq!(told("mains-lost.jsonl"), [battery("major"), battery("critical")]);
    assert_eq!(told("feed-breaker.jsonl"), [row(1, "redundancy_lost", "psu_input", "A", "major")]);
    // A supply behind the battery has another trouble than the mains.
    let both = told("supply-behind-battery.jsonl");
    let brief: Vec<(&str, &str)> = both.iter().map(|row| (row.2.as_str(), row.3.as_str())).collect();
    assert_eq!(brief, [("psu_input", "node1"), ("on_battery", "ups1")], "{both:?}");
}

fn of<'a>(lines: &'a [Json], event: &str) -> Vec<&'a Json> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn scenario(name: &str) -> Vec<Json> {
    let events = std::fs::read_to_string(folder().join(name).with_extension("jsonl")).expect("readable");
    let last = lines(&events).pop().and_then(|line| line["at"].as_i64()).expect("lines");
    lines(&run(&events, &Options { until: Some(Timestamp::from_secs(last + 600)), ..Options::default() }).1)
}

#[test]
fn a_lost_power_supply_is_invisible_and_names_its_runbook() {
    let lines = scenario("psu-loss");
    let incidents = of(&lines, "incident");
    assert_eq!(incidents[0]["phase"], "opened");
    assert_eq!((&incidents[0]["class"], &incidents[0]["visibility"]), (&"redundancy_lost".into(), &"invisible".into()));
    assert_eq!(incidents.last().expect("incidents")["phase"], "resolved");
}

#[test]
fn a_host_without_power_is_one_incident_and_silence_does_not_mend_it() {
    let lines = scenario("power-off");
    let incidents = of(&lines, "incident");
    let opened: Vec<_> = incidents.iter().filter(|line| line["phase"] == "opened").collect();
    assert_eq!(opened.len(), 1, "{opened:#?}");
    assert_eq!((&opened[0]["failure_type"], &opened[0]["subtype"]), (&"server".into(), &"power_off".into()));
    assert_eq!(opened[0]["cells"][0], "eucalyptus/clc/server");
    let resolved = incidents.iter().find(|line| line["phase"] == "resolved").expect("it ends");
    assert!(resolved["at"].as_i64().expect("whole") >= 1_790_000_900, "{resolved}");
}

#[test]
fn a_downtime_withholds_the_page_until_it_ends() {
    let lines = scenario("downtime");
    let held = of(&lines, "suppressed");
    assert_eq!(held[0]["stage"], "downtime");
    let sent = of(&lines, "notification");
    assert_eq!((&sent[0]["notification"], &sent[0]["at"]), (&"PROBLEM".into(), &1_790_000_250.into()));
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    for path in scenarios() {
        let events = std::fs::read_to_string(&path).expect("readable");
        assert_eq!(run(&events, &Options::default()), run(&events, &Options::default()));
    }
}

#[test]
fn bad_lines_are_named_and_the_rest_counts() {
    let events = "{\"at\":10,\"result\":{\"host\":\"web01\",\"code\":0,\"output\":\"up\"}}\nnonsense\n\
        {\"at\":5,\"show\":true}\n{\"at\":11,\"result\":{\"host\":\"nobody\",\"code\":0}}\n\
        {\"at\":12,\"delivery\":{\"notification\":\"x\",\"outcome\":\"failed\"}}\n{\"at\":12.5,\"show\":true}\n";
    let (clean, text) = run(events, &Options::default());
    assert!(!clean);
    let lines = lines(&text);
    let numbers: Vec<_> = of(&lines, "error").iter().map(|line| line["line"].as_u64().expect("number")).collect();
    assert_eq!(numbers, [2, 3, 4, 5], "{text}");
    let shown = of(&lines, "object");
    assert_eq!((&shown[0]["at"], shown.len() > 2), (&12.5.into(), true), "{text}");
}

#[test]
fn quiet_time_is_jumped_over() {
    let up = r#"{"at":1790000000,"result":{"host":"web01","code":0,"output":"up"}}"#;
    let catalog = world();
    let mut print = |_: &Json| Ok(());
    let mut run = Run::new(BTreeSet::new(), &Explain::Nothing, &mut print);
    run.line(&catalog, 1, input::parse(up)).expect("memory");
    run.advance(Timestamp::from_secs(1_790_086_400), true).expect("memory");
    // A day has 86,400 seconds; only the ageing of signals is looked at, every ten of them.
    assert!(run.seq < 9_000, "{} ticks", run.seq);
}

#[test]
fn with_a_schedule_each_check_is_due_in_every_interval_and_none_runs() {
    let (start, length) = (Timestamp::from_secs(1_000_000), Span::from_mins(30));
    let events = format!("{{\"at\":{},\"show\":true}}", start.as_secs());
    let options = |schedule| Options { until: Some(start + length), schedule, ..Options::default() };
    let all = lines(&run(&events, &options(true)).1);
    let without = lines(&run(&events, &options(false)).1);
    let silent: Vec<_> = all.iter().filter(|line| line["event"] != "check_due").collect();
    assert_eq!(silent, without.iter().collect::<Vec<_>>(), "looking at the schedule changes nothing");
    let (catalog, mut seen) = (world(), 0);
    for id in 0..catalog.services.len() {
        let object = ObjectId::Service(ServiceId::from_index(id));
        let (key, check) = (catalog.object_key(object), catalog.check_of(object).unwrap());
        let due: Vec<f64> = of(&all, "check_due")
            .into_iter()
            .filter(|line| line["host"] == *key.host && line["service"] == *key.service.clone().unwrap())
            .map(|line| line["at"].as_f64().unwrap())
            .collect();
        if check.probe.is_empty() || check.host_side || check.every <= Span::ZERO {
            continue;
        }
        seen += 1;
        let every = check.every.as_secs_f64();
        assert!(due[0] <= start.as_secs() as f64 + 13.0, "{key:?} {due:?}");
        assert!(due.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= every), "{key:?} {due:?}");
        assert!(due.len() as f64 >= length.as_secs_f64() / every - 1.0, "{key:?} {due:?}");
    }
    assert!(seen > 0);
}
