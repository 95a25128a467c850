//! Configurations that nobody means: any bytes, any truncation, huge lines, deep and wide nesting. They end, in time
//! and with findings.

mod memory;

use std::time::{Duration, Instant};

use memory::{Memory, loaded};
use proptest::prelude::*;
use stentor_wire::nagios::load::{Loaded, load};
use stentor_wire::nagios::objects::dump;

/// Far more than any of them takes, even unoptimised on a busy machine; what is quadratic takes minutes.
const TIME_MAX: Duration = Duration::from_secs(30);

fn in_time(what: &str, text: &str) -> Loaded {
    let begun = Instant::now();
    let loaded = loaded("", text);
    assert!(begun.elapsed() < TIME_MAX, "{what} took {:?}", begun.elapsed());
    loaded
}

fn has(loaded: &Loaded, code: &str) -> bool {
    loaded.findings.iter().any(|finding| finding.code == code)
}

#[test]
fn huge_lines_end() {
    let long = "x".repeat(10 << 20);
    for text in [
        long.clone(),
        format!("define host {{\n host_name {long}\n}}\n"),
        format!("define host {{\n {long} a\n}}\n"),
        format!("define {long} {{\n}}\n"),
        format!("define host {{\n contacts {}\n}}\n", "a,".repeat(1 << 17)),
        format!("define host {{\n use {}\n}}\n", "a,".repeat(1 << 17)),
        format!("define host {{\n alias {}\n}}\n", "\\;".repeat(1 << 18)),
        format!("define host {{\n alias {}\n}}\n", "a\\\n".repeat(1 << 18)),
        format!("define timeperiod {{\n monday {}\n}}\n", "00:00-01:00,".repeat(1 << 18)),
        format!("define timeperiod {{\n {}\n}}\n", "monday ".repeat(1 << 18)),
        format!("define host {{\n 2d_coords {}\n}}\n", "1,".repeat(1 << 20)),
    ] {
        let loaded = in_time("a huge line", &text);
        assert!(loaded.findings.errors() > 0);
        assert!(loaded.findings.iter().all(|finding| finding.message.len() + finding.help.len() < 4000));
    }
}

#[test]
fn huge_lines_of_the_main_and_resource_files_end() {
    let long = "x".repeat(10 << 20);
    for (main, resource) in [
        (long.clone(), String::new()),
        (format!("{long}=1"), String::new()),
        (format!("interval_length={}", "9".repeat(10 << 20)), String::new()),
        (format!("cfg_file={long}"), String::new()),
        (String::new(), long.clone()),
        (String::new(), format!("${long}$=a")),
        (String::new(), format!("$USER{}$=a", "9".repeat(10 << 20))),
    ] {
        let main = format!("resource_file=r\n{main}\n");
        let begun = Instant::now();
        let loaded = load("n", &mut Memory::with(&[("n", &main), ("r", &resource)]));
        assert!(begun.elapsed() < TIME_MAX, "{:?}", begun.elapsed());
        assert!(loaded.findings.errors() > 0);
        assert!(loaded.findings.iter().all(|finding| finding.message.len() + finding.help.len() < 4000));
    }
}

#[test]
fn long_chains_and_wide_circles_end() {
    let chain = |count: usize, block: &dyn Fn(usize) -> String| (0..count).map(block).collect::<String>();
    let templates =
        chain(10_000, &|n| format!("define host {{\n name t{n}\n use t{}\n contacts +a\n register 0\n}}\n", n + 1));
    assert!(has(&in_time("templates", &templates), "deep-template"));
    let groups =
        chain(10_000, &|n| format!("define hostgroup {{\n hostgroup_name g{n}\n hostgroup_members g{}\n}}\n", n + 1));
    in_time("groups", &groups);
    let circle = chain(10_000, &|n| {
        format!("define host {{\n host_name h{n}\n max_check_attempts 1\n parents h{}\n}}\n", (n + 1) % 10_000)
    });
    let loaded = in_time("parents", &circle);
    assert_eq!(loaded.findings.iter().filter(|finding| finding.code == "circular-parents").count(), 1);
    let depends = chain(10_000, &|n| {
        let next = (n + 1) % 10_000;
        format!(
            "define host {{\n host_name h{n}\n max_check_attempts 1\n}}\n\
             define hostdependency {{\n host_name h{n}\n dependent_host_name h{next}\n\
             execution_failure_criteria d\n}}\n"
        )
    });
    let loaded = in_time("dependencies", &depends);
    assert_eq!(loaded.findings.iter().filter(|finding| finding.code == "circular-dependency").count(), 1);
    let doubles = chain(10_000, &|_| "define command {\n command_name c\n command_line x\n}\n".to_owned());
    assert!(has(&in_time("duplicates", &doubles), "duplicate-object"));
    let unknown = chain(10_000, &|n| format!("define host {{\n use no{n}\n host_name h{n}\n check_command c{n}\n}}\n"));
    assert!(in_time("unknown names", &unknown).findings.errors() > 20_000);
}

/// 100,000 hosts in a group, ten services of the group.
#[test]
fn a_million_services_are_read_in_time() {
    const HOSTS: usize = 100_000;
    let hosts: String = (0..HOSTS)
        .map(|n| format!("define host {{\n host_name h{n}\n hostgroups all\n max_check_attempts 1\n}}\n"))
        .collect();
    let services: String = (0..10)
        .map(|n| {
            format!(
                "define service {{\n hostgroup_name all\n service_description s{n}\n check_command c\n\
                 max_check_attempts 1\n}}\n"
            )
        })
        .collect();
    let rest = "define hostgroup {\n hostgroup_name all\n}\ndefine command {\n command_name c\n command_line x\n}\n";
    let begun = Instant::now();
    let loaded = loaded("", &format!("{rest}{hosts}{services}"));
    // Some seconds unoptimised; what is quadratic takes hours.
    assert!(begun.elapsed() < 10 * TIME_MAX, "{:?}", begun.elapsed());
    assert_eq!((loaded.findings.errors(), loaded.objects.services.len()), (0, 10 * HOSTS));
}

#[test]
fn a_few_lines_cannot_ask_for_billions() {
    let hosts: String =
        (0..10_000).map(|n| format!("define host {{\n host_name h{n}\n max_check_attempts 1\n}}\n")).collect();
    let rule = "define hostdependency {\n host_name *\n dependent_host_name *\n execution_failure_criteria d\n}\n";
    assert!(has(&in_time("a cross product", &format!("{hosts}{rule}")), "too-many-objects"));
}

#[test]
fn foreign_bytes_are_taken_and_named() {
    let mut files = Memory::default();
    files.0.insert("n".to_owned(), b"cfg_file=o\n".to_vec());
    files
        .0
        .insert("o".to_owned(), b"define host {\n host_name h\xf6st\n max_check_attempts 1\n alias a\0b\n}\n".to_vec());
    let loaded = load("n", &mut files);
    assert_eq!(&*loaded.objects.hosts[0].name, "h\u{f6}st");
    for (code, line) in [("not-utf-8", 2), ("nul-byte", 4)] {
        assert!(loaded.findings.iter().any(|f| f.code == code && f.place.line == line), "{:?}", loaded.findings);
    }
}

fn with_everything() -> String {
    let planted = include_str!("data/twelve_errors.cfg");
    let sample = include_str!("data/sample_objects.cache");
    let rules = "define serviceescalation {\n host_name *\n service_description *\n contacts +ann\n last_notification 0\n}\n\
                 define servicedependency {\n host_name *,!db1\n service_description Disk\n dependent_service_description Disk\n\
                 execution_failure_criteria w\n}\n\
                 define hostextinfo {\n hostgroup_name web\n 2d_coords 1,2\n}\n";
    format!("{sample}{rules}{planted}")
}

/// Nothing panics, neither while reading nor while printing what was understood.
fn swallow(main: &[u8], objects: &[u8]) {
    let mut files = Memory::default();
    files.0.insert("n".to_owned(), main.to_vec());
    files.0.insert("o".to_owned(), objects.to_vec());
    let loaded = load("n", &mut files);
    dump(&loaded.objects);
    for finding in &loaded.findings {
        assert!((finding.place.file as usize) < loaded.files.len());
    }
}

const MAIN: &[u8] = b"cfg_file=o\nuse_regexp_matching=1\nillegal_object_name_chars=!\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(main in prop::collection::vec(any::<u8>(), 0..200), objects in prop::collection::vec(any::<u8>(), 0..400)) {
        swallow(&main, &objects);
        swallow(MAIN, &objects);
    }

    #[test]
    fn any_truncation_is_read(cut in any::<prop::sample::Index>()) {
        let text = with_everything();
        swallow(MAIN, &text.as_bytes()[..cut.index(text.len() + 1)]);
    }

    #[test]
    fn any_lines_in_any_order_are_read(order in prop::collection::vec(any::<prop::sample::Index>(), 0..120)) {
        let text = with_everything();
        let lines: Vec<&str> = text.lines().collect();
        let mixed: String = order.iter().flat_map(|index| [lines[index.index(lines.len())], "\n"]).collect();
        swallow(MAIN, mixed.as_bytes());
    }
}
