//! The specification's vectors of the object configuration, run as data, and what must never happen to a parser.

mod memory;

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use stentor_wire::nagios::finding::Severity;
use stentor_wire::nagios::objects::dump;

use memory::loaded;

/// The blocks of a dump: type, directives.
fn blocks(text: &str) -> Vec<(String, HashMap<String, String>)> {
    let mut all = Vec::new();
    for block in text.split("define ").skip(1) {
        let (kind, body) = block.split_once(" {\n").expect("a block");
        let lines = body.lines().take_while(|line| line.trim() != "}");
        let pair = |line: &str| {
            let (key, value) = line.trim_start_matches('\t').split_once('\t').expect(line);
            (key.to_owned(), value.trim_end().to_owned())
        };
        all.push((kind.to_owned(), lines.map(pair).collect()));
    }
    all
}

fn same_list(found: Option<&String>, expected: &Value) -> bool {
    match (found, expected.as_str()) {
        (None, None) => true,
        (Some(found), Some(expected)) => {
            let set = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
            set(found) == set(expected)
        }
        _ => false,
    }
}

/// The expected values, in any order, are those of the objects that match.
fn check_expectation(expect: &Value, dumped: &[(String, HashMap<String, String>)], id: &str) {
    let matches = |object: &&HashMap<String, String>| {
        expect["where"]
            .as_object()
            .expect("where")
            .iter()
            .all(|(key, value)| object.get(key).map(String::as_str) == value.as_str())
    };
    let of_type = dumped.iter().filter(|(kind, _)| *kind == expect["type"].as_str().expect("type"));
    let mut objects: Vec<&HashMap<String, String>> = of_type.map(|(_, object)| object).filter(matches).collect();
    assert_eq!(objects.len() as u64, expect["count"].as_u64().expect("count"), "{id}: {expect}");
    for values in expect["values"].as_array().expect("values") {
        let values = values.as_object().expect("an object");
        let fits =
            |object: &&HashMap<String, String>| values.iter().all(|(key, value)| same_list(object.get(key), value));
        let at = objects.iter().position(fits).unwrap_or_else(|| panic!("{id}: no {values:?} among {objects:#?}"));
        objects.remove(at);
    }
}

/// Cases whose result Nagios and Naemon do not share; Nagios's is checked all the same, except for what the note leaves
/// open (`v40`: what the value falls back to).
const NOT_PORTABLE: [&str; 3] = ["c75", "v09", "v40"];

#[test]
fn all_vectors_of_the_specification_hold() {
    let all: Value = serde_json::from_str(include_str!("data/object_config.json")).expect("vectors are JSON");
    let illegal = all["illegal_object_name_chars"].as_str().expect("characters");
    let base = all["base_objects"].as_str().expect("objects");
    let cases = all["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 45);
    let not_portable: Vec<&str> =
        cases.iter().filter(|case| case["portable"] == false).filter_map(|case| case["id"].as_str()).collect();
    assert_eq!(not_portable, NOT_PORTABLE);
    for case in cases {
        let id = case["id"].as_str().expect("id");
        let main = format!("illegal_object_name_chars={illegal}\n{}", case["main"].as_str().expect("main"));
        let loaded = loaded(&main, &format!("{base}{}", case["objects"].as_str().expect("objects")));
        let found = &loaded.findings;
        assert_eq!(found.errors() == 0, case["valid"] == true, "{id}: {found:#?}");
        for (key, count) in [("errors", found.errors()), ("warnings", found.warnings())] {
            if let Some(expected) = case[key].as_u64() {
                assert_eq!(count as u64, expected, "{id} {key}: {found:#?}");
            }
        }
        let dumped = blocks(&dump(&loaded.objects));
        for expect in case["expect"].as_array().into_iter().flatten() {
            check_expectation(expect, &dumped, id);
        }
    }
}

/// What is printed is itself a configuration of the same objects.
#[test]
fn a_dump_read_again_gives_the_same_dump() {
    let sample = include_str!("data/sample_objects.cache");
    let first = loaded("", sample);
    assert_eq!(first.findings.errors(), 0, "{:#?}", first.findings);
    assert_eq!(dump(&first.objects).trim(), sample.trim());
}

/// (What is wrong, the line of it, finding, part of the message, part of the remedy)
const PLANTED: [(&str, u32, &str, &str, &str); 12] = [
    ("unknown directive", 4, "unknown-directive", "`adress`", "`address`"),
    ("unknown template", 10, "unknown-template", "`linux-sever`", "`linux-server`"),
    ("bad number", 13, "bad-value", "`-3`", "at least 0"),
    ("unknown command", 19, "unknown-command", "`chk_pong`", "`chk_ping`"),
    ("unknown timeperiod", 21, "unknown-timeperiod", "`24x8`", "`24x7`"),
    ("bad option", 22, "bad-value", "`d,q`", "a list of d, u, r, f, s"),
    ("parents in a circle", 23, "circular-parents", "`h3` -> `h4`", "remove one"),
    ("unknown type", 32, "unknown-type", "`hostgruop`", "`hostgroup`"),
    ("unknown host", 37, "unknown-host", "`h9`", "did you mean `h"),
    ("missing check_command", 42, "missing-directive", "check_command", "add `check_command`"),
    ("bad timeperiod line", 49, "bad-timeperiod-line", "mondey", "`monday`"),
    ("unclosed definition", 52, "unclosed-definition", "contact", "close it"),
];

#[test]
fn twelve_planted_errors_are_all_named_with_line_and_remedy() {
    let text = include_str!("data/twelve_errors.cfg");
    let loaded = loaded("", text);
    for (what, line, code, message, help) in PLANTED {
        let hit = loaded.findings.iter().find(|finding| {
            finding.place.line == line
                && finding.code == code
                && finding.message.contains(message)
                && finding.help.contains(help)
        });
        assert!(hit.is_some(), "{what}: {:#?}", loaded.findings);
        assert_eq!(loaded.files[hit.expect("found").place.file as usize].path, "/etc/n/objects.cfg");
    }
    assert_eq!(loaded.findings.errors(), PLANTED.len(), "{:#?}", loaded.findings);
}

/// Services `shop`, `ldap1` to `ldap3` on one host, and what `shop` depends on.
fn redundancy(dependencies: &[(&str, &str)]) -> (stentor_wire::nagios::objects::Objects, Vec<String>) {
    let service = |name: &str| {
        format!(
            "define service {{\n host_name h\n service_description {name}\n check_command c\n max_check_attempts 1\n \
             check_interval 1\n retry_interval 1\n check_period p\n notification_period p\n contacts a\n}}\n"
        )
    };
    let mut text =
        "define command {\n command_name c\n command_line x\n}\ndefine timeperiod {\n timeperiod_name p\n}\n\
        define contact {\n contact_name a\n host_notification_period p\n service_notification_period p\n \
        host_notification_commands c\n service_notification_commands c\n}\n\
        define host {\n host_name h\n address h\n max_check_attempts 1\n check_period p\n contacts a\n}\n"
            .to_owned();
    text.extend(["shop", "ldap1", "ldap2", "ldap3"].map(service));
    for (master, rest) in dependencies {
        text += &format!(
            "define servicedependency {{\n host_name h\n service_description {master}\n dependent_host_name h\n \
             dependent_service_description shop\n notification_failure_criteria c\n {rest}\n}}\n"
        );
    }
    let loaded = loaded("", &text);
    let errors = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let errors = errors.map(|finding| format!("{}: {}", finding.code, finding.message)).collect();
    (loaded.objects, errors)
}

#[test]
fn dependencies_of_one_group_are_read_with_the_number_they_need() {
    const TWO: &str = "redundancy_group ldap\n min_available 2";
    let (objects, errors) = redundancy(&[("ldap1", TWO), ("ldap2", TWO), ("ldap3", TWO), ("ldap1", "")]);
    assert_eq!(errors, Vec::<String>::new());
    let mut groups: Vec<_> = (objects.service_dependencies.iter())
        .map(|rule| rule.redundancy.as_ref().map(|group| (&*group.name, group.min_available)))
        .collect();
    groups.sort();
    assert_eq!(groups, [None, Some(("ldap", 2)), Some(("ldap", 2)), Some(("ldap", 2))]);
    let (objects, _) = redundancy(&[("ldap1", "redundancy_group ldap"), ("ldap2", "redundancy_group ldap")]);
    let group = objects.service_dependencies[0].redundancy.as_ref().expect("a group");
    assert_eq!(group.min_available, 1, "one is enough unless it is said");
}

#[test]
fn a_group_that_contradicts_itself_or_can_never_hold_is_refused() {
    const ONE: &str = "redundancy_group ldap";
    const TWO: &str = "redundancy_group ldap\n min_available 2";
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("ldap1", TWO)], "bad-redundancy: redundancy group `ldap` needs 2 and has 1"),
        (&[("ldap1", TWO), ("ldap1", TWO)], "bad-redundancy: redundancy group `ldap` needs 2 and has 1"),
        (&[("ldap1", TWO), ("ldap2", ONE)], "bad-redundancy: redundancy group `ldap` needs 2 elsewhere, and 1 here"),
        (&[("ldap1", "min_available 1")], "missing-directive: `min_available` is of a redundancy group"),
        (&[("ldap1", "redundancy_group ldap\n min_available 0")], "bad-value"),
    ];
    for (dependencies, expect) in table {
        let (_, errors) = redundancy(dependencies);
        assert!(errors.iter().any(|error| error.starts_with(expect)), "{expect}: {errors:?}");
    }
}
