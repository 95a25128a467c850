//! `stentor debug`, with what Nagios Core 4.5.12 answered about macros and timeperiods of configurations on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use clap::Parser;
use serde::Deserialize;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: DebugArgs,
}

fn ask(words: &[&str]) -> anyhow::Result<Value> {
    let cli = Cli::try_parse_from(["debug"].iter().chain(words)).expect("words are a command line");
    let mut out = Vec::new();
    run(&cli.args, &Clock::Machine, &mut &b""[..], &mut out)?;
    Ok(serde_json::from_slice(&out).expect("one JSON object"))
}

fn answer(words: &[&str], stdin: &str) -> (u8, String) {
    let cli = Cli::try_parse_from(["debug"].iter().chain(words)).expect("words are a command line");
    let mut out = Vec::new();
    let status = run(&cli.args, &Clock::Machine, &mut stdin.as_bytes(), &mut out).expect("memory never fails");
    (status, String::from_utf8(out).expect("JSON is UTF-8"))
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("write");
    path.to_str().expect("UTF-8").to_owned()
}

#[derive(Deserialize)]
struct Macros {
    object_config: String,
    main_config: String,
    resource_file: BTreeMap<String, String>,
    vectors: Vec<MacroVector>,
}

#[derive(Deserialize)]
struct MacroVector {
    id: String,
    context: String,
    strip_illegal: bool,
    check_command: Option<String>,
    template: String,
    expect: String,
    note: String,
}

const MACROS: &str = include_str!("../../../crates/core/tests/data/macros.json");

/// The tree of the recorded expansions: configuration and state file.
fn macro_tree(folder: &Path, vectors: &Macros) -> (String, String) {
    write(folder, "objects.cfg", &vectors.object_config);
    let users: String = vectors.resource_file.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    write(folder, "resource.cfg", &users);
    let of_files = |line: &&str| !line.starts_with("cfg_file=") && !line.starts_with("resource_file=");
    let mut main: String = vectors.main_config.lines().filter(of_files).map(|line| format!("{line}\n")).collect();
    main.push_str("cfg_file=objects.cfg\nresource_file=resource.cfg\n");
    // The vectors' own form: the state is one key of the file.
    (write(folder, "nagios.cfg", &main), write(folder, "state.json", MACROS))
}

#[test]
fn macros_are_filled_in_as_nagios_did() {
    let folder = tempfile::tempdir().expect("folder");
    let vectors: Macros = serde_json::from_str(MACROS).expect("the vectors are JSON");
    let (config, state) = macro_tree(folder.path(), &vectors);
    let mut wrong = Vec::new();
    for vector in &vectors.vectors {
        let mut words = vec!["macro", "--config", &config, "--state", &state];
        let has = |word| vector.context.split('+').any(|part| part == word);
        for (word, option, name) in
            [("host", "--host", "web1"), ("service", "--service", "HTTP"), ("contact", "--contact", "joe")]
        {
            if has(word) {
                words.extend([option, name]);
            }
        }
        words.extend(vector.check_command.iter().flat_map(|command| ["--check-command", command]));
        words.extend(vector.strip_illegal.then_some("--strip"));
        words.push(&vector.template);
        let answer = ask(&words).expect("an answer");
        let found = answer["text"].as_str().expect("a text");
        let set = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
        let same = found == vector.expect || (vector.note.contains("order free") && set(found) == set(&vector.expect));
        if !same {
            wrong.push(format!("{} {}: {found:?}, expected {:?}", vector.id, vector.template, vector.expect));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), vectors.vectors.len(), wrong.join("\n"));
}

#[test]
fn a_state_of_its_own_keys_is_what_the_macros_say() {
    let folder = tempfile::tempdir().expect("folder");
    let vectors: Macros = serde_json::from_str(MACROS).expect("the vectors are JSON");
    let (config, _) = macro_tree(folder.path(), &vectors);
    let state = r#"{
        "host web1": {"state": "UNREACHABLE", "last_check": 1700000000, "last_time_up": 17, "acknowledged": true},
        "service web1/Disk /": {"state": 3, "state_type": "SOFT", "attempt": 2, "last_state": "WARNING",
            "plugin_output": "a;b", "long_plugin_output": "x\ny", "perf_data": "u=1;2", "latency": 0.25,
            "execution_time": 1.5, "check_type": "passive", "percent_state_change": 12.5, "downtime_depth": 2}
    }"#;
    let state = write(folder.path(), "own.json", state);
    let words = ["macro", "--config", &config, "--state", &state, "--host", "web1", "--service", "Disk /"];
    for (text, expected) in [
        ("$HOSTSTATE$ $HOSTSTATEID$ $LASTHOSTUP$ $LASTHOSTCHECK$", "UNREACHABLE 2 17 1700000000"),
        ("$SERVICESTATE$ $SERVICESTATETYPE$ $SERVICEATTEMPT$ $LASTSERVICESTATE$", "UNKNOWN SOFT 2 WARNING"),
        ("$SERVICEOUTPUT$ $LONGSERVICEOUTPUT$ $SERVICEPERFDATA$", r"a:b x\ny u=1;2"),
        ("$SERVICELATENCY$ $SERVICEEXECUTIONTIME$ $SERVICECHECKTYPE$", "0.250 1.500 PASSIVE"),
        ("$SERVICEPERCENTCHANGE$ $SERVICEDOWNTIME$", "12.50 2"),
    ] {
        let answer = ask(&[&words[..], &[text]].concat()).expect("an answer");
        assert_eq!(answer["text"], expected, "{text}");
    }
}

#[test]
fn a_text_about_nothing_or_about_a_contact_alone_is_filled_in_too() {
    let folder = tempfile::tempdir().expect("folder");
    let vectors: Macros = serde_json::from_str(MACROS).expect("the vectors are JSON");
    let (config, _) = macro_tree(folder.path(), &vectors);
    let answer = ask(&["macro", "--config", &config, "$USER1$ $HOSTNAME$ $HOSTALIAS:web2$"]).expect("an answer");
    assert_eq!(answer["text"], "/usr/lib/plugins $HOSTNAME$ Web Two");
    let answer = ask(&["macro", "--config", &config, "--contact", "joe", "$CONTACTEMAIL$"]).expect("an answer");
    assert_eq!(answer["text"], "joe@example.com");
}

#[test]
fn a_state_that_says_nonsense_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("folder");
    let vectors: Macros = serde_json::from_str(MACROS).expect("the vectors are JSON");
    let (config, _) = macro_tree(folder.path(), &vectors);
    for (state, expected) in [
        (r#"{"host web9": {}}"#, "no host web9"),
        (r#"{"web1": {}}"#, "neither `host NAME`"),
        (r#"{"host web1": {"state": "WARNING"}}"#, "`state` is no state"),
        (r#"{"host web1": {"state": 3}}"#, "`state` is no state"),
        (r#"{"host web1": {"state_type": "SOGGY"}}"#, "SOFT or HARD"),
        (r#"{"host web1": {"attempt": -1}}"#, "whole number"),
        (r#"{"host web1": {"last_time_up/down": [1]}}"#, "2 numbers"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
    ] {
        let path = write(folder.path(), "state.json", state);
        let error = ask(&["macro", "--config", &config, "--state", &path, "--host", "web1", "x"]).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{state}: {error:#}");
    }
    let error = ask(&["macro", "--config", &config, "--host", "web3", "x"]).unwrap_err();
    assert!(error.to_string().contains("did you mean `web1`?"), "{error}");
}

#[derive(Deserialize)]
struct Timeperiods {
    definitions: BTreeMap<String, BTreeMap<String, String>>,
    vectors: Vec<TimeperiodVector>,
}

#[derive(Deserialize)]
struct TimeperiodVector {
    id: String,
    tp: String,
    tz: String,
    t: i64,
    valid: bool,
    next_valid: i64,
    portable: bool,
}

/// The timeperiods of the recorded answers as a tree.
fn timeperiod_tree(folder: &Path, main: &str, definitions: &BTreeMap<String, BTreeMap<String, String>>) -> String {
    let mut objects = String::new();
    for (name, lines) in definitions {
        let _ = writeln!(objects, "define timeperiod {{\n timeperiod_name {name}\n alias {name}");
        for (key, value) in lines {
            let _ = writeln!(objects, " {key} {value}");
        }
        objects.push_str("}\n");
    }
    objects.push_str(
        "define command {\n command_name c\n command_line x\n}\n\
         define host {\n host_name h\n max_check_attempts 1\n}\n\
         define service {\n host_name h\n service_description s\n max_check_attempts 1\n check_command c\n}\n",
    );
    write(folder, "objects.cfg", &objects);
    write(folder, "nagios.cfg", &format!("cfg_file=objects.cfg\n{main}"))
}

#[test]
fn timeperiods_answer_as_nagios_did() {
    let text = include_str!("../../../crates/core/tests/data/timeperiods.json");
    let vectors: Timeperiods = serde_json::from_str(text).expect("the vectors are JSON");
    let folder = tempfile::tempdir().expect("folder");
    let config = timeperiod_tree(folder.path(), "", &vectors.definitions);
    let mut asked = 0;
    for vector in vectors.vectors.iter().filter(|vector| vector.portable) {
        let at = vector.t.to_string();
        let words = ["timeperiod", "--config", &config, &vector.tp, "--at", &at, "--tz", &vector.tz];
        let answer = ask(&words).expect("an answer");
        let expected = json!({ "valid": vector.valid, "next_valid": vector.next_valid });
        assert_eq!(answer, expected, "{} {}", vector.id, vector.tp);
        asked += 1;
    }
    assert_eq!(asked, 72);
}

#[test]
fn the_zone_of_the_configuration_stands_above_the_one_asked_for() {
    let folder = tempfile::tempdir().expect("folder");
    let definitions =
        BTreeMap::from([("work".to_owned(), BTreeMap::from([("monday".to_owned(), "09:00-17:00".to_owned())]))]);
    // Monday 2027-05-03 07:30 UTC is 09:30 in Berlin.
    let words = |config| ["timeperiod", "--config", config, "work", "--at", "1809329400", "--tz", "Europe/Berlin"];
    let config = timeperiod_tree(folder.path(), "", &definitions);
    assert_eq!(ask(&words(&config)).expect("an answer")["valid"], true);
    let config = timeperiod_tree(folder.path(), "use_timezone=UTC\n", &definitions);
    let answer = ask(&words(&config)).expect("an answer");
    assert_eq!(answer, json!({ "valid": false, "next_valid": 1_809_334_800 }));
    let own = "[site]\nname = \"s\"\n[[timeperiod]]\nname = \"work\"\nwindows = [\"mon 09:00-17:00\"]\n";
    let config = write(folder.path(), "own.toml", own);
    assert_eq!(ask(&words(&config)).expect("an answer")["valid"], true);
    let config = write(folder.path(), "own.toml", &own.replace("\"s\"", "\"s\"\ntimezone = \"UTC\""));
    assert_eq!(ask(&words(&config)).expect("an answer")["valid"], false);
}

#[test]
fn a_period_that_never_comes_has_no_next_instant_and_an_unknown_one_no_answer() {
    let folder = tempfile::tempdir().expect("folder");
    let config = timeperiod_tree(folder.path(), "", &BTreeMap::from([("never".to_owned(), BTreeMap::new())]));
    let answer = ask(&["timeperiod", "--config", &config, "never", "--at", "0"]).expect("an answer");
    assert_eq!(answer, json!({ "valid": false, "next_valid": null }));
    let error = ask(&["timeperiod", "--config", &config, "nevr", "--at", "0"]).unwrap_err();
    assert!(error.to_string().contains("did you mean `never`?"), "{error}");
    let error = ask(&["timeperiod", "--config", &config, "never", "--at", "0", "--tz", "Mars/Base"]).unwrap_err();
    assert!(error.to_string().contains("no time zone"), "{error}");
}

#[test]
fn range_prints_the_contract() {
    for (words, expected) in [
        (["range", "10", "11"], r#"{"alert":true,"end":10,"inside":false,"start":0}"#),
        (["range", "~:-95.99", "-100"], r#"{"alert":false,"end":-95.99,"inside":false,"start":"-inf"}"#),
        (["range", "-7:", "-8"], r#"{"alert":true,"end":"inf","inside":false,"start":-7}"#),
        (["range", "@10:20", "20"], r#"{"alert":true,"end":20,"inside":true,"start":10}"#),
    ] {
        let (status, text) = answer(&words, "");
        let read = |text: &str| serde_json::from_str::<Value>(text).expect("one JSON object");
        assert_eq!((status, read(&text)), (DONE, read(expected)), "{words:?}");
    }
}

#[test]
fn a_range_that_is_none_exits_1_and_prints_nothing() {
    assert_eq!(answer(&["range", "2:1", "1"], ""), (INVALID, String::new()));
    assert_eq!(answer(&["range", "10", "nan"], ""), (INVALID, String::new()));
}

#[test]
fn output_prints_parts_and_items() {
    let (status, text) = answer(&["output"], "OK - fine|'a b'=1s;2\nlong\n");
    let read: Value = serde_json::from_str(&text).expect("one JSON object");
    assert_eq!(status, DONE);
    assert_eq!(
        read,
        json!({"output": "OK - fine", "long_output": "long", "perfdata": "'a b'=1s;2", "items": [
            {"label": "a b", "value": "1", "uom": "s", "warn": "2", "crit": "", "min": "", "max": ""}]})
    );
}

#[test]
fn items_are_null_where_a_strict_parser_refuses() {
    let (_, text) = answer(&["output"], "OK|a=1,5");
    assert!(serde_json::from_str::<Value>(&text).expect("one JSON object")["items"].is_null(), "{text}");
}
