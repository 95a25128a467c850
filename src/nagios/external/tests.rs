//! Every command of the table, with arguments that name something, against a small world.

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_core::Timestamp;
use stentor_core::catalog::nagios::Group;
use stentor_core::catalog::{Catalog, Check, Host, Service, Zone};
use stentor_core::engine::{Command, input};
use stentor_core::id::{CheckId, HostId, ServiceId, ZoneId};
use stentor_core::model::{
    Comment, CommentSource, CommentType, Covers, Downtime, DowntimeKind, ObjectKey, Outcome, ServiceState, Value,
};
use stentor_wire::nagios::external_command::{COMMANDS, Presence, ProgramCommand};

use super::{Order, World, order, words_of};

const NOW: Timestamp = Timestamp::from_secs(1_795_305_600);

fn catalog() -> Catalog {
    let check = Check {
        name: "c".into(),
        probe: "".into(),
        params: Value::Null,
        every: stentor_core::Span::from_secs(60),
        retry: stentor_core::Span::from_secs(60),
        timeout: stentor_core::Span::from_secs(10),
        attempts: 1,
        rules: Vec::new(),
        signals: Vec::new(),
        host_side: false,
        freshness: stentor_core::Span::ZERO,
    };
    let host =
        Host { address: "192.0.2.7".into(), services: vec![ServiceId(0), ServiceId(1)], ..Host::bare("h", ZoneId(0)) };
    let service = |name: &str| Service {
        host: HostId(0),
        name: name.into(),
        check: CheckId(0),
        params: Value::Null,
        component: None,
    };
    let mut catalog = Catalog {
        zones: vec![Zone { name: "z".into(), cloud: None }],
        checks: vec![check],
        hosts: vec![host],
        services: vec![service("s"), service("t")],
        ..Catalog::default()
    };
    catalog.nagios.hostgroups.push(group("hg", vec![HostId(0)]));
    catalog.nagios.servicegroups.push(group("sg", vec![ServiceId(0), ServiceId(1)]));
    catalog.reindex();
    catalog
}

fn group<I>(name: &str, members: Vec<I>) -> Group<I> {
    let blank = Arc::<str>::default;
    Group { name: name.into(), alias: blank(), members, notes: blank(), notes_url: blank(), action_url: blank() }
}

fn key(service: Option<&str>) -> ObjectKey {
    ObjectKey { host: "h".into(), service: service.map(Into::into) }
}

fn downtime(id: u64, service: Option<&str>) -> Downtime {
    Downtime {
        id,
        target: key(service),
        covers: Covers::ObjectOnly,
        kind: DowntimeKind::Fixed,
        triggered_by: None,
        start: NOW,
        end: NOW + stentor_core::Span::from_secs(600),
        author: "ann".into(),
        comment: "text".into(),
        entered_at: NOW,
        active: true,
        started_at: Some(NOW),
        comment_id: 0,
        recurring: None,
    }
}

fn comment(id: u64, service: Option<&str>) -> Comment {
    Comment {
        id,
        object: key(service),
        source: CommentSource::External,
        persistent: true,
        entry_type: CommentType::User,
        entered_at: NOW,
        expires: None,
        author: "ann".into(),
        text: "text".into(),
    }
}

/// Host entries are number 1, service entries number 2.
fn read(line: &str) -> Result<Order, String> {
    let catalog = catalog();
    let downtimes = BTreeMap::from([(1, downtime(1, None)), (2, downtime(2, Some("s")))]);
    let comments = BTreeMap::from([(1, comment(1, None)), (2, comment(2, Some("s")))]);
    let user: Arc<str> = Arc::default();
    order(line, &World { catalog: &catalog, downtimes: &downtimes, comments: &comments, now: NOW, user: &user })
}

fn commands(line: &str) -> Vec<Command> {
    match read(line) {
        Ok(Order::Commands(commands)) => commands,
        other => panic!("{line}: {other:?}"),
    }
}

fn sample(command: &str, argument: &str) -> String {
    let of_service = command.contains("SVC");
    match argument {
        "host" => "h".to_owned(),
        "service" => "s".to_owned(),
        "hostgroup" => "hg".to_owned(),
        "servicegroup" => "sg".to_owned(),
        "start" if command.starts_with("DEL_") => NOW.as_secs().to_string(),
        "start" => (NOW.as_secs() + 1).to_string(),
        "end" | "time" => (NOW.as_secs() + 60).to_string(),
        "comment_id" | "downtime_id" => if of_service { "2" } else { "1" }.to_owned(),
        "comment" | "text" => "text".to_owned(),
        "author" => "ann".to_owned(),
        _ => "1".to_owned(),
    }
}

#[test]
fn every_command_of_the_table_is_an_order() {
    for row in COMMANDS {
        let all: Vec<String> = row.arguments.iter().map(|argument| sample(row.name, argument.name)).collect();
        let line = format!("{};{}", row.name, all.join(";"));
        let read_order = read(&line);
        let empty = matches!(&read_order, Ok(Order::Commands(commands)) if commands.is_empty());
        assert!(read_order.is_ok() && !empty, "{line}: {read_order:?}");
        let needed = row.arguments.iter().filter(|argument| argument.presence == Presence::Needed).count();
        if needed > 0 {
            assert!(read(row.name).is_err(), "{} without arguments", row.name);
        }
    }
}

#[test]
fn a_line_for_many_becomes_one_window_or_delay_for_each() {
    let (start, end) = (NOW.as_secs(), NOW.as_secs() + 600);
    for (name, windows) in [
        ("SCHEDULE_HOST_SVC_DOWNTIME;h", 2),
        ("SCHEDULE_HOSTGROUP_HOST_DOWNTIME;hg", 1),
        ("SCHEDULE_HOSTGROUP_SVC_DOWNTIME;hg", 2),
        ("SCHEDULE_SERVICEGROUP_HOST_DOWNTIME;sg", 1),
        ("SCHEDULE_SERVICEGROUP_SVC_DOWNTIME;sg", 2),
        ("SCHEDULE_AND_PROPAGATE_HOST_DOWNTIME;h", 1),
    ] {
        let asked = commands(&format!("{name};{start};{end};0;0;60;ann;disks"));
        assert_eq!(asked.len(), windows, "{name}");
        for command in asked {
            let Command::ScheduleDowntime(window) = command else { panic!("{name}: {command:?}") };
            assert!(matches!(window.kind, DowntimeKind::Flexible { .. }), "{name}");
        }
    }
    let triggered = commands(&format!("SCHEDULE_AND_PROPAGATE_TRIGGERED_HOST_DOWNTIME;h;{start};{end};1;0;0;a;c"));
    let [Command::ScheduleDowntime(window)] = &*triggered else { panic!("{triggered:?}") };
    assert_eq!(window.spread, input::Spread::TriggeredDescendants);
    assert_eq!(commands("DELAY_HOST_SVC_NOTIFICATIONS;h;1795305700").len(), 2);
    assert_eq!(commands("SCHEDULE_HOST_CHECK;h;1795305700;ann;why").len(), 2, "a check and a comment");
}

#[test]
fn downtimes_are_found_by_what_is_given_of_them() {
    let start = NOW.as_secs();
    for (line, found) in [
        ("DEL_DOWNTIME_BY_HOST_NAME;h".to_owned(), 2),
        ("DEL_DOWNTIME_BY_HOST_NAME;h;s".to_owned(), 1),
        (format!("DEL_DOWNTIME_BY_HOST_NAME;h;;{start};text"), 2),
        ("DEL_DOWNTIME_BY_HOSTGROUP_NAME;hg;;s".to_owned(), 1),
        (format!("DEL_DOWNTIME_BY_START_TIME_COMMENT;{start}"), 2),
    ] {
        assert_eq!(commands(&line).len(), found, "{line}");
    }
    for line in ["DEL_DOWNTIME_BY_HOST_NAME;g", "DEL_DOWNTIME_BY_START_TIME_COMMENT;;other"] {
        assert_eq!(read(line), Err("there is no such downtime".to_owned()), "{line}");
    }
    assert!(read("DEL_DOWNTIME_BY_HOSTGROUP_NAME;trio").unwrap_err().contains("`trio`"));
}

#[test]
fn an_id_of_the_other_kind_is_refused() {
    for (line, why) in [
        ("DEL_SVC_DOWNTIME;1", "downtime 1 is on host `h`"),
        ("DEL_HOST_DOWNTIME;2", "downtime 2 is on service `s` on host `h`"),
        ("DEL_SVC_COMMENT;1", "comment 1 is on host `h`"),
        ("DEL_HOST_COMMENT;2", "comment 2 is on service `s` on host `h`"),
    ] {
        assert_eq!(read(line), Err(why.to_owned()), "{line}");
    }
}

#[test]
fn results_are_of_their_second_and_never_of_the_future() {
    let at = |line: &str| match read(line) {
        Ok(Order::Result { observed_at, observation, object }) => (observed_at, observation.outcome, object.host),
        other => panic!("{other:?}"),
    };
    let second = NOW.as_secs();
    let unknown = Outcome::Reported(ServiceState::Unknown);
    let line = format!("[{}] PROCESS_SERVICE_CHECK_RESULT;192.0.2.7;s;9;x", second - 10);
    let end_of_second = Timestamp::from_millis((second - 10) * 1000 + 999);
    assert_eq!(at(&line), (end_of_second, unknown, "h".into()), "found by address");
    let line = format!("[{}] PROCESS_SERVICE_CHECK_RESULT;h;s;9;x", second + 3600);
    assert_eq!(at(&line).0, NOW);
}

#[test]
fn what_concerns_the_process_is_no_command_of_the_engine() {
    assert_eq!(read("RESTART_PROGRAM"), Ok(Order::Program(ProgramCommand::Restart { at: None })));
    assert_eq!(read("PROCESS_FILE;/x;1"), Ok(Order::File { path: "/x".into(), delete: true }));
    assert_eq!(commands("_OURS;x"), [Command::Nothing]);
    assert_eq!(&*words_of("[17] LOG;a\u{1b}b\n"), "LOG;a b");
}
