//! Each command with sample arguments, each with one argument less, and what no line may do to the reader.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::read::unescape;
use super::*;

fn service(host: &str, service: &str) -> Object {
    Object { host: host.to_owned(), service: Some(service.to_owned()) }
}

fn host(host: &str) -> Object {
    Object { host: host.to_owned(), service: None }
}

fn check(line: &str, entered_at: Option<i64>, command: ExternalCommand) {
    assert_eq!(parse(line), Ok(Line { entered_at, command }), "{line}");
}

fn sample(argument: &Argument) -> &'static str {
    match argument.kind {
        Kind::Name | Kind::Text => "name",
        Kind::Rest => "text; and more",
        Kind::Whole => "1",
        Kind::Mask => "0x11",
        Kind::Decimal => "2.5",
        Kind::Time => "1700000000",
    }
}

fn line_of(row: &Row, arguments: usize) -> String {
    let samples: Vec<&str> = row.arguments.iter().take(arguments).map(sample).collect();
    if samples.is_empty() { row.name.to_owned() } else { format!("{};{}", row.name, samples.join(";")) }
}

#[test]
fn every_command_is_read_and_each_needed_argument_is_missed() {
    for row in COMMANDS {
        let whole = line_of(row, row.arguments.len());
        let read = parse(&format!("[1700000000] {whole}"));
        assert!(read.is_ok(), "{whole}: {read:?}");
        assert_eq!(parse(&whole.to_lowercase()).is_ok(), read.is_ok(), "names are read in any case: {whole}");
        let needed = row.arguments.iter().filter(|argument| argument.presence != Presence::MayBeAbsent).count();
        for count in 0..needed {
            let short = line_of(row, count);
            let message = parse(&short).expect_err(&short).to_string();
            assert!(message.starts_with(&format!("{} needs ", row.name)), "{short}: {message}");
        }
        for (i, argument) in row.arguments.iter().enumerate().filter(|(_, a)| a.presence == Presence::Needed) {
            let mut samples: Vec<&str> = row.arguments.iter().map(sample).collect();
            samples[i] = " ";
            let line = format!("{};{}", row.name, samples.join(";"));
            let expected = LineError::EmptyField { name: row.name, field: argument.name };
            assert_eq!(parse(&line), Err(expected), "{line}");
            if matches!(argument.kind, Kind::Whole | Kind::Mask | Kind::Decimal | Kind::Time) {
                samples[i] = "x7";
                let line = format!("{};{}", row.name, samples.join(";"));
                let message = parse(&line).expect_err(&line).to_string();
                assert!(message.contains(argument.name) && message.contains("x7"), "{line}: {message}");
            }
        }
    }
}

#[test]
fn the_table_holds_all_commands_of_both_and_each_once() {
    let names: BTreeSet<&str> = COMMANDS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), COMMANDS.len(), "a name is there twice");
    // 162 that Naemon reads, 6 more that Nagios reads, and one that only a number stands for.
    assert_eq!(names.len(), 169);
    for only in ["LOG", "ACKNOWLEDGE_SVC_PROBLEM_EXPIRE", "CLEAR_HOST_FLAPPING_STATE", "ENTER_STANDBY_MODE"] {
        assert!(names.contains(only), "{only}");
    }
}

#[test]
fn every_number_names_a_command_and_back() {
    assert!(NUMBERS.is_sorted_by(|a, b| a.0 < b.0), "numbers must rise");
    for (number, name) in NUMBERS {
        assert!(find(name).is_some(), "{number} names no command: {name}");
        assert_eq!((by_cmd_typ(*number), cmd_typ(name)), (Some(*name), Some(*number)));
    }
    for (number, name) in [(33, "ACKNOWLEDGE_HOST_PROBLEM"), (56, "SCHEDULE_SVC_DOWNTIME"), (7, "SCHEDULE_SVC_CHECK")] {
        assert_eq!(by_cmd_typ(number), Some(name));
    }
    assert_eq!((by_cmd_typ(0), by_cmd_typ(9999), cmd_typ("nothing")), (None, None, None));
    assert_eq!((cmd_typ("RESTART_PROGRAM"), cmd_typ("enter_standby_mode")), (Some(13), Some(11)));
}

#[test]
fn switches_say_what_and_of_what() {
    let of = |scope, switch, on| ExternalCommand::Switch { scope, switch, on };
    let group = || "linux".to_owned();
    for (line, command) in [
        ("ENABLE_HOST_CHECK;h", of(Scope::Object(host("h")), Switch::ActiveChecks, true)),
        ("DISABLE_SVC_NOTIFICATIONS;h;s", of(Scope::Object(service("h", "s")), Switch::Notifications, false)),
        ("DISABLE_HOST_SVC_CHECKS;h", of(Scope::ServicesOf("h".into()), Switch::ActiveChecks, false)),
        (
            "DISABLE_HOSTGROUP_PASSIVE_SVC_CHECKS;linux",
            of(Scope::HostgroupServices(group()), Switch::PassiveChecks, false),
        ),
        ("ENABLE_SERVICEGROUP_HOST_CHECKS;linux", of(Scope::ServicegroupHosts(group()), Switch::ActiveChecks, true)),
        ("DISABLE_ALL_NOTIFICATIONS_BEYOND_HOST;h", of(Scope::Beyond("h".into()), Switch::Notifications, false)),
        ("ENABLE_HOST_AND_CHILD_NOTIFICATIONS;h", of(Scope::HostAndChildren("h".into()), Switch::Notifications, true)),
        ("STOP_EXECUTING_SVC_CHECKS", of(Scope::Program(Side::Services), Switch::ActiveChecks, false)),
        ("ENTER_STANDBY_MODE", of(Scope::Program(Side::Both), Switch::Notifications, false)),
        ("ENABLE_HOST_FRESHNESS_CHECKS", of(Scope::Program(Side::Hosts), Switch::Freshness, true)),
        (
            "DISABLE_CONTACTGROUP_SVC_NOTIFICATIONS;linux",
            of(Scope::Contactgroup(group(), Side::Services), Switch::Notifications, false),
        ),
        ("ENABLE_HOST_CHECK;h;what else", of(Scope::Object(host("h")), Switch::ActiveChecks, true)),
    ] {
        check(line, None, command);
    }
}

#[test]
fn changes_carry_their_value() {
    let of = |change| ExternalCommand::Change { object: service("h", "s"), change };
    check("CHANGE_SVC_CHECK_COMMAND;h;s;check!1;2", None, of(Change::CheckCommand("check!1;2".into())));
    check("CHANGE_NORMAL_SVC_CHECK_INTERVAL;h;s;2.5 min", None, of(Change::CheckInterval(2.5)));
    check("CHANGE_MAX_SVC_CHECK_ATTEMPTS;h;s;7", None, of(Change::MaxAttempts(7)));
    check("CHANGE_SVC_MODATTR;h;s;0x10", None, of(Change::ModifiedAttributes(16)));
    let var = Change::CustomVar { name: "SITE".into(), value: "a;b".into() };
    check("CHANGE_CUSTOM_SVC_VAR;h;s;site;a;b", None, of(var));
    let change = ContactChange::SideAttributes { side: Side::Services, mask: 1 };
    check("CHANGE_CONTACT_MODSATTR;ann;1", None, ExternalCommand::ChangeContact { contact: "ann".into(), change });
    let command = "handle!x".to_owned();
    check(
        "CHANGE_GLOBAL_SVC_EVENT_HANDLER;handle!x",
        None,
        ExternalCommand::GlobalEventHandler { side: Side::Services, command },
    );
}

#[test]
fn acknowledgements_are_read() {
    let ack = |object, sticky, until| {
        ExternalCommand::Acknowledge(Acknowledge {
            object,
            sticky,
            notify: true,
            persistent: false,
            until,
            author: "ann".into(),
            comment: "on it; call me".into(),
        })
    };
    check(
        "[1700000000] ACKNOWLEDGE_SVC_PROBLEM;web 01;disk /;2;1;0;ann;on it; call me",
        Some(1_700_000_000),
        ack(service("web 01", "disk /"), true, None),
    );
    check("acknowledge_host_problem;web01;1;1;0;ann;on it; call me\n", None, ack(host("web01"), false, None));
    check(
        "ACKNOWLEDGE_HOST_PROBLEM_EXPIRE;web01;2;1;0;1700;ann;on it; call me",
        None,
        ack(host("web01"), true, Some(1700)),
    );
    check("[1] REMOVE_SVC_ACKNOWLEDGEMENT;h;s", Some(1), ExternalCommand::RemoveAcknowledgement(service("h", "s")));
    check("[1] REMOVE_HOST_ACKNOWLEDGEMENT;h", Some(1), ExternalCommand::RemoveAcknowledgement(host("h")));
}

#[test]
fn downtimes_are_read() {
    let of = |scope, fixed, trigger_id, duration| {
        ExternalCommand::ScheduleDowntime(ScheduleDowntime {
            scope,
            triggers_children: false,
            start: 100,
            end: 200,
            fixed,
            trigger_id,
            duration,
            author: "ann".into(),
            comment: "disk swap".into(),
        })
    };
    check("SCHEDULE_HOST_DOWNTIME;h;100;200;1;0;7200;ann;disk swap", None, of(Scope::Object(host("h")), true, 0, 7200));
    check(
        "SCHEDULE_SVC_DOWNTIME;h;s;100;200;0;9;60;ann;disk swap",
        None,
        of(Scope::Object(service("h", "s")), false, 9, 60),
    );
    check(
        "SCHEDULE_HOST_SVC_DOWNTIME;h;100;200;1;;;ann;disk swap",
        None,
        of(Scope::ServicesOf("h".into()), true, 0, 0),
    );
    check("DEL_HOST_DOWNTIME;17", None, ExternalCommand::DeleteDowntime { id: 17, of: Side::Hosts });
    check("DEL_SVC_DOWNTIME;18", None, ExternalCommand::DeleteDowntime { id: 18, of: Side::Services });
    let by = |host: &str, service: Option<&str>, start, comment: Option<&str>| {
        ExternalCommand::DeleteDowntimesBy(DowntimeFilter {
            hostgroup: None,
            host: Some(host.to_owned()).filter(|host| !host.is_empty()),
            service: service.map(str::to_owned),
            start,
            comment: comment.map(str::to_owned),
        })
    };
    check("DEL_DOWNTIME_BY_HOST_NAME;h", None, by("h", None, None, None));
    check("DEL_DOWNTIME_BY_HOST_NAME;h;;;swap; now", None, by("h", None, None, Some("swap; now")));
    check("DEL_DOWNTIME_BY_HOST_NAME;h;s;100", None, by("h", Some("s"), Some(100), None));
    check("DEL_DOWNTIME_BY_START_TIME_COMMENT;;swap", None, by("", None, None, Some("swap")));
}

#[test]
fn passive_results_keep_their_text() {
    let result = |object, code, output: &str| {
        ExternalCommand::ProcessResult(PassiveResult { object, code, output: output.into() })
    };
    check(
        r"PROCESS_SERVICE_CHECK_RESULT;h;s;2;bad; worse | a=1;2;3\nmore\\n",
        None,
        result(service("h", "s"), 2, "bad; worse | a=1;2;3\nmore\\n"),
    );
    check("PROCESS_SERVICE_CHECK_RESULT;h;s;0", None, result(service("h", "s"), 0, ""));
    check("PROCESS_SERVICE_CHECK_RESULT;h;s;99999999999;x", None, result(service("h", "s"), 3, "x"));
    check("PROCESS_SERVICE_CHECK_RESULT;h;s;1 ;x", None, result(service("h", "s"), 1, "x"));
    check("PROCESS_HOST_CHECK_RESULT;h;1;gone", None, result(host("h"), 1, "gone"));
    let long = "x".repeat(100_000);
    check(&format!("PROCESS_HOST_CHECK_RESULT;h;1;{long}"), None, result(host("h"), 1, &long));
}

#[test]
fn checks_are_scheduled_forced_or_not() {
    let of = |scope, at, forced, note| ExternalCommand::ScheduleCheck { scope, at, forced, note };
    let noted = Some(Note { author: "ann".into(), comment: "why; so".into() });
    check("SCHEDULE_FORCED_SVC_CHECK;h;s;5", None, of(Scope::Object(service("h", "s")), 5, Forced::Yes, None));
    check("SCHEDULE_FORCED_HOST_CHECK;h;-1", None, of(Scope::Object(host("h")), 0, Forced::Yes, None));
    check("SCHEDULE_HOST_CHECK;h;7;ann;why; so", None, of(Scope::Object(host("h")), 7, Forced::No, noted));
    check("SCHEDULE_HOST_SVC_CHECKS;h;7", None, of(Scope::ServicesOf("h".into()), 7, Forced::No, None));
}

#[test]
fn the_program_is_told_with_or_without_a_time() {
    let of = ExternalCommand::Program;
    check("RESTART_PROGRAM", None, of(ProgramCommand::Restart { at: None }));
    check("[9] SHUTDOWN_PROCESS;1700", Some(9), of(ProgramCommand::Shutdown { at: Some(1700) }));
    check("_OUR_OWN;a;b", None, ExternalCommand::Custom);
    check("LOG;hello; you", None, ExternalCommand::Log("hello; you".into()));
    let file = ExternalCommand::ProcessFile { path: "/var/lib/commands".into(), delete: true };
    check("PROCESS_FILE;/var/lib/commands;1", None, file);
}

#[test]
fn every_refusal_says_what_is_wrong() {
    for (line, words) in [
        ("", "empty"),
        ("[17] ", "empty"),
        ("[17]ACKNOWLEDGE_HOST_PROBLEM;h", "blank"),
        ("[x] DEL_SVC_DOWNTIME;1", "epoch seconds"),
        ("[-5] DEL_SVC_DOWNTIME;1", "epoch seconds"),
        ("MAKE_COFFEE;h", "`MAKE_COFFEE` is not a command"),
        ("ACKNOWLEDGE_SVC_PROBLEM;h;s", "needs host;service;sticky"),
        ("ACKNOWLEDGE_SVC_PROBLEM;;s;1;1;1;a;c", "`host` must not be empty"),
        ("ACKNOWLEDGE_SVC_PROBLEM;h;s;yes;1;1;a;c", "`sticky` must be a number, not `yes`"),
        ("DEL_SVC_DOWNTIME;-1", "`downtime_id` must be 0 or more"),
        ("DEL_DOWNTIME_BY_START_TIME_COMMENT;;", "a start or a comment"),
        ("PROCESS_HOST_CHECK_RESULT;h;3;x", "not 3"),
        ("SCHEDULE_HOST_DOWNTIME;h;1;2;0;0;0;a;c", "flexible"),
        ("CHANGE_MAX_HOST_CHECK_ATTEMPTS;h;0", "1 to 65535"),
        ("CHANGE_NORMAL_HOST_CHECK_INTERVAL;h;-3", "must be a number"),
        ("CHANGE_HOST_MODATTR;h;0x1ffffffff", "32 bits"),
    ] {
        let message = parse(line).expect_err(line).to_string();
        assert!(message.contains(words), "{line:?}: {message}");
    }
}

#[test]
fn control_characters_reach_nobody() {
    let line = "ADD_HOST_COMMENT;h;1;a\u{1b}nn;x\0y";
    let Ok(Line { command: ExternalCommand::AddComment { note, .. }, .. }) = parse(line) else { panic!() };
    assert_eq!((note.author.as_str(), note.comment.as_str()), ("a nn", "x y"));
}

proptest! {
    #[test]
    fn any_line_is_answered_without_panic(line in any::<String>()) {
        let _ = parse(&line);
    }

    #[test]
    fn any_arguments_of_any_command_are_answered(row in 0..COMMANDS.len(), arguments in "[-;0-9a-z. x]{0,40}") {
        let _ = parse(&format!("{};{arguments}", COMMANDS[row].name));
    }

    #[test]
    fn any_truncation_of_a_good_line_is_answered(row in 0..COMMANDS.len(), at in 0usize..150) {
        let line = format!("[1700000000] {}", line_of(&COMMANDS[row], COMMANDS[row].arguments.len()));
        let cut: String = line.chars().take(at).collect();
        let _ = parse(&cut);
    }

    #[test]
    fn times_stay_within_what_can_be_computed_with(at in any::<i64>()) {
        if let Ok(Line { command: ExternalCommand::ScheduleCheck { at, .. }, .. }) =
            parse(&format!("SCHEDULE_HOST_CHECK;h;{at}"))
        {
            prop_assert!((0..=253_402_300_799).contains(&at));
        }
    }

    #[test]
    fn names_and_comments_survive(host in "[^;\\p{Cc}]{0,8}[a-z]", service in "[^;\\p{Cc}]{0,8}[a-z]", comment in "[^\\p{Cc}]{0,20}") {
        let line = format!("[5] ACKNOWLEDGE_SVC_PROBLEM;{host};{service};2;1;1;me;{comment}");
        let Ok(Line { command: ExternalCommand::Acknowledge(ack), .. }) = parse(&line) else {
            panic!("{line}: {:?}", parse(&line));
        };
        prop_assert_eq!(&ack.object.host, host.trim());
        prop_assert_eq!(ack.object.service.as_deref(), Some(service.trim()));
        prop_assert_eq!(&ack.comment, comment.trim());
    }

    #[test]
    fn escaped_newlines_come_back(text in "[a-z\\\\\n]{0,20}") {
        let escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
        prop_assert_eq!(unescape(&escaped), text);
    }
}
