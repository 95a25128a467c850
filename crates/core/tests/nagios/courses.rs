//! Courses of results: the state after each, the line that is logged, the handler that runs (specification 03, 2 and 3).

use stentor_core::catalog::nagios::Options;
use stentor_core::engine::ResultSource;
use stentor_core::engine::switch::Side;
use stentor_core::engine::{Command, Notify};
use stentor_core::id::ObjectId;
use stentor_core::model::{Ack, HostState, ObjectKey, Observation, ServiceState, Sticky, UnknownCause};
use stentor_core::{Span, Timestamp};

use super::site::{Object, Site, Tree};

/// Exit codes of one object in turn.
type Codes = &'static [i32];

/// A service under test on its host, with event handlers on both.
struct Pair {
    site: Site,
    host: ObjectId,
    service: ObjectId,
}

fn pair(host: Object, service: Object, program: impl FnOnce(&mut Tree)) -> Pair {
    let mut tree = Tree::new();
    let handler = tree.command("handle", "handle $HOSTNAME$ $SERVICESTATE$ $SERVICESTATETYPE$ $SERVICEATTEMPT$");
    let with = |object: Object| object.with(|directives| directives.event_handler = Some(handler.clone()));
    let host = tree.host("h", &with(host));
    let service = tree.service(host, "s", &with(service));
    program(&mut tree);
    Pair { site: Site::new(tree), host: ObjectId::Host(host), service: ObjectId::Service(service) }
}

/// `CRITICAL;SOFT;1`, with ` A` if that was logged as an alert and ` H` if a handler ran for it; where line or handler
/// show something else than the state after the result, what they show.
fn told(site: &mut Site, object: ObjectId) -> String {
    let shown = site.shown(object);
    let mut text = shown.clone();
    for line in site.log() {
        let (what, fields) = line.split_once(": ").expect("a line has a kind");
        let fields = fields.trim_start_matches("h;").trim_start_matches("s;");
        let (mark, fields) = match what.rsplit(' ').next() {
            Some("ALERT") => ("A", fields.rsplit_once(';').expect("an output").0),
            Some("HANDLER") => ("H", fields.strip_suffix(";handle").expect("the handler's name")),
            _ => panic!("{line}"),
        };
        let more = if fields == shown { format!(" {mark}") } else { format!(" {mark}={fields}") };
        text.push_str(&more);
    }
    let handlers = text.matches(" H").count();
    assert_eq!(site.runs().len(), handlers, "what is logged is run: {text}");
    text
}

/// Applies results of an object one after the other, a second apart.
fn course(site: &mut Site, object: ObjectId, codes: &[i32]) -> Vec<String> {
    let mut seen = Vec::new();
    for code in codes {
        site.pass(1).active(object, *code, "o");
        seen.push(told(site, object));
    }
    seen
}

#[test]
fn services_of_a_host_that_is_up_go_from_soft_to_hard() {
    #[rustfmt::skip]
    let table: &[(&str, u16, &[i32], &[&str])] = &[
        ("well", 3, &[0, 0], &["OK;HARD;1", "OK;HARD;1"]),
        ("first result bad", 3, &[2], &["CRITICAL;SOFT;1 A H"]),
        ("one attempt", 1, &[0, 2, 2, 0], &["OK;HARD;1", "CRITICAL;HARD;1 A H", "CRITICAL;HARD;1", "OK;HARD;1 A H"]),
        ("one attempt, another problem", 1, &[1, 2], &["WARNING;HARD;1 A H", "CRITICAL;HARD;1 A H"]),
        ("to hard and back", 3, &[0, 2, 2, 2, 2, 0], &["OK;HARD;1", "CRITICAL;SOFT;1 A H", "CRITICAL;SOFT;2 A H",
            "CRITICAL;HARD;3 A H", "CRITICAL;HARD;3", "OK;HARD;1 A H"]),
        ("soft recovery", 3, &[0, 2, 0, 0], &["OK;HARD;1", "CRITICAL;SOFT;1 A H", "OK;HARD;1 A=OK;SOFT;2 H=OK;SOFT;2",
            "OK;HARD;1"]),
        ("late soft recovery", 3, &[2, 2, 0], &["CRITICAL;SOFT;1 A H", "CRITICAL;SOFT;2 A H",
            "OK;HARD;1 A=OK;SOFT;3 H=OK;SOFT;3"]),
        ("counting goes on", 3, &[1, 2, 3], &["WARNING;SOFT;1 A H", "CRITICAL;SOFT;2 A H", "UNKNOWN;HARD;3 A H"]),
        ("hard changes", 3, &[2, 2, 2, 1, 2, 3], &["CRITICAL;SOFT;1 A H", "CRITICAL;SOFT;2 A H",
            "CRITICAL;HARD;3 A H", "WARNING;HARD;3 A H", "CRITICAL;HARD;3 A H", "UNKNOWN;HARD;3 A H"]),
    ];
    for (name, attempts, codes, expect) in table {
        let mut pair = pair(Object::host(), Object::attempts(*attempts), |_| ());
        pair.site.active(pair.host, 0, "o");
        assert_eq!(course(&mut pair.site, pair.service, codes), *expect, "{name}");
    }
}

#[test]
fn services_of_a_host_that_is_not_up_are_hard_at_once() {
    #[rustfmt::skip]
    let table: &[(&str, [Codes; 3], &[&str])] = &[
        // name, results of the service before, then of the host, then of the service
        ("first bad", [&[0], &[2], &[2, 2, 0]], &["CRITICAL;HARD;1 A H", "CRITICAL;HARD;1", "OK;HARD;1 A H"]),
        ("first bad, host hard", [&[0], &[2, 2, 2], &[2, 2]], &["CRITICAL;HARD;1 A H", "CRITICAL;HARD;1"]),
        ("another bad", [&[0], &[2], &[2, 1]], &["CRITICAL;HARD;1 A H", "WARNING;HARD;3 A H"]),
        ("soft before", [&[0, 2], &[2], &[2, 2]], &["CRITICAL;HARD;3 A H", "CRITICAL;HARD;3"]),
        ("hard before", [&[2, 2, 2], &[2], &[2, 0]], &["CRITICAL;HARD;3", "OK;HARD;1 A H"]),
        ("soft before, then well", [&[0, 2], &[2], &[0]], &["OK;HARD;1 A=OK;SOFT;2 H=OK;SOFT;2"]),
        ("well all along", [&[0], &[2], &[0]], &["OK;HARD;1"]),
        // s25: the host is up again, the service is not.
        ("after it", [&[0], &[2], &[2]], &["CRITICAL;HARD;1 A H"]),
    ];
    for (name, [before, of_host, of_service], expect) in table {
        let mut pair = pair(Object::host(), Object::attempts(3), |_| ());
        pair.site.active(pair.host, 0, "o");
        course(&mut pair.site, pair.service, before);
        course(&mut pair.site, pair.host, of_host);
        assert_eq!(course(&mut pair.site, pair.service, of_service), *expect, "{name}");
    }
}

#[test]
fn a_problem_that_outlived_its_host_s_stays_hard_and_may_only_change_softly() {
    let mut pair = pair(Object::host(), Object::attempts(3), |_| ());
    pair.site
        .active(pair.host, 0, "o")
        .active(pair.host, 2, "o")
        .active(pair.service, 2, "o")
        .active(pair.host, 0, "o");
    pair.site.log();
    pair.site.runs();
    let seen = course(&mut pair.site, pair.service, &[2, 1, 1, 1]);
    assert_eq!(seen, ["CRITICAL;HARD;1", "WARNING;SOFT;1 A H", "WARNING;SOFT;2 A H", "WARNING;HARD;3 A H"]);
}

#[test]
fn hosts_go_from_soft_to_hard_by_their_own_table() {
    #[rustfmt::skip]
    let table: &[(&str, u16, &[i32], &[&str])] = &[
        ("well", 3, &[0, 0], &["UP;HARD;1", "UP;HARD;1"]),
        ("to hard and back", 3, &[0, 2, 2, 2, 2, 0], &["UP;HARD;1", "DOWN;SOFT;1 A H", "DOWN;SOFT;2 A H",
            "DOWN;HARD;3 A H", "DOWN;HARD;3", "UP;HARD;1 A H"]),
        ("soft recovery", 3, &[2, 2, 0, 0], &["DOWN;SOFT;1 A H", "DOWN;SOFT;2 A H", "UP;SOFT;1 A H", "UP;HARD;1"]),
        ("soft recovery that does not last", 3, &[2, 0, 2, 2, 2], &["DOWN;SOFT;1 A H", "UP;SOFT;1 A H",
            "DOWN;SOFT;1 A H", "DOWN;SOFT;2 A H", "DOWN;HARD;3 A H"]),
        ("one attempt", 1, &[2, 2, 0], &["DOWN;HARD;1 A H", "DOWN;HARD;1", "UP;HARD;1 A H"]),
        ("warnings are up", 3, &[1, 1], &["UP;HARD;1", "UP;HARD;1"]),
        ("unknown is down", 2, &[3, 3], &["DOWN;SOFT;1 A H", "DOWN;HARD;2 A H"]),
    ];
    for (name, attempts, codes, expect) in table {
        let mut pair = pair(Object { attempts: *attempts, ..Object::host() }, Object::service(), |_| ());
        assert_eq!(course(&mut pair.site, pair.host, codes), *expect, "{name}");
    }
}

#[test]
fn aggressive_checking_takes_a_warning_of_a_host_for_down() {
    let aggressive = |tree: &mut Tree| tree.program().aggressive_host_checking = true;
    let mut pair = pair(Object::host(), Object::service(), aggressive);
    assert_eq!(course(&mut pair.site, pair.host, &[1]), ["DOWN;SOFT;1 A H"]);
}

#[test]
fn a_host_behind_dead_parents_is_unreachable_and_that_is_another_problem() {
    let mut tree = Tree::new();
    let [p, q] = ["p", "q"].map(|name| tree.host(name, &Object::host()));
    let child = ObjectId::Host(tree.host("h", &Object { parents: vec![p, q], ..Object::host() }));
    let mut site = Site::new(tree);
    let [p, q] = [p, q].map(ObjectId::Host);
    let mut seen = Vec::new();
    for (parent, code) in [(p, 0), (q, 0), (p, 2), (q, 2), (q, 0), (p, 0), (p, 2), (q, 2)] {
        site.active(parent, code, "o").active(child, 2, "o");
        seen.push(site.shown(child));
    }
    // One parent that is UP is enough; soft states of parents count.
    let expect = ["DOWN;SOFT;1", "DOWN;SOFT;2", "DOWN;HARD;3", "UNREACHABLE;HARD;3", "DOWN;HARD;3", "DOWN;HARD;3"];
    assert_eq!(seen[..6], expect);
    assert_eq!(seen[7], "UNREACHABLE;HARD;3");
    let lines = site.log();
    let alerts: Vec<_> = lines.iter().filter(|line| line.contains(": h;") && line.contains(";HARD;")).collect();
    assert_eq!(alerts.len(), 4, "DOWN, UNREACHABLE, DOWN, UNREACHABLE: {alerts:?}");
}

#[test]
fn passive_results_of_hosts_are_hard_at_once_and_taken_at_their_word() {
    let mut tree = Tree::new();
    let parent = tree.host("p", &Object::host());
    let host = ObjectId::Host(tree.host("h", &Object { parents: vec![parent], ..Object::host() }));
    let mut site = Site::new(tree);
    let mut seen = Vec::new();
    for code in [0, 1, 1, 2, 0] {
        site.passive(host, code, "o");
        seen.push(format!("{} {}", site.shown(host), site.log().len()));
    }
    assert_eq!(seen, ["UP;HARD;1 0", "DOWN;HARD;1 1", "DOWN;HARD;1 0", "UNREACHABLE;HARD;1 1", "UP;HARD;1 1"]);
    // A soft problem that a submitter confirms is hard.
    site.active(host, 2, "o");
    assert_eq!(site.shown(host), "DOWN;SOFT;1");
    site.log();
    site.passive(host, 1, "o");
    assert_eq!((site.shown(host).as_str(), site.log().len()), ("DOWN;HARD;1", 1));
}

#[test]
fn passive_results_of_hosts_can_be_soft_and_translated() {
    let mut tree = Tree::new();
    tree.program().passive_host_checks_are_soft = true;
    tree.program().translate_passive_host_checks = true;
    let parent = tree.host("p", &Object::host());
    let host = ObjectId::Host(tree.host("h", &Object { parents: vec![parent], ..Object::host() }));
    let mut site = Site::new(tree);
    let parent = ObjectId::Host(parent);
    site.passive(host, 2, "o");
    assert_eq!(site.shown(host), "DOWN;SOFT;1", "its parent is up");
    site.passive(parent, 1, "o").passive(host, 1, "o");
    assert_eq!(site.shown(host), "UNREACHABLE;SOFT;2");
}

#[test]
fn a_host_that_fell_back_to_soft_becomes_hard_in_the_end() {
    // Nagios leaves it soft for ever: its hard state was DOWN before.
    let mut tree = Tree::new();
    let parent = tree.host("p", &Object::host());
    let host = ObjectId::Host(tree.host("h", &Object { parents: vec![parent], ..Object::host() }));
    let mut site = Site::new(tree);
    site.passive(host, 1, "o").active(ObjectId::Host(parent), 2, "o").active(host, 2, "o");
    assert_eq!(site.shown(host), "UNREACHABLE;SOFT;1");
    site.active(ObjectId::Host(parent), 0, "o").active(host, 2, "o").active(host, 2, "o");
    assert_eq!(site.shown(host), "DOWN;HARD;3");
}

#[test]
fn soft_lines_need_their_switch_and_soft_changes_of_hosts_do_not() {
    let quiet = |tree: &mut Tree| {
        tree.program().log_service_retries = false;
        tree.program().log_host_retries = false;
    };
    let mut pair = pair(Object::host(), Object::attempts(3), quiet);
    let host = course(&mut pair.site, pair.host, &[0, 2, 2, 0, 0]);
    assert_eq!(host, ["UP;HARD;1", "DOWN;SOFT;1 A H", "DOWN;SOFT;2 H", "UP;SOFT;1 A H", "UP;HARD;1"]);
    let service = course(&mut pair.site, pair.service, &[0, 2, 0, 2, 2, 2]);
    let expect = [
        "OK;HARD;1",
        "CRITICAL;SOFT;1 H",
        "OK;HARD;1 H=OK;SOFT;2",
        "CRITICAL;SOFT;1 H",
        "CRITICAL;SOFT;2 H",
        "CRITICAL;HARD;3 A H",
    ];
    assert_eq!(service, expect);
}

#[test]
fn every_hard_problem_of_a_volatile_service_is_logged_and_handled() {
    let volatile = Object::attempts(2).with(|directives| directives.volatile = true);
    let mut pair = pair(Object::host(), volatile, |_| ());
    pair.site.active(pair.host, 0, "o");
    let seen = course(&mut pair.site, pair.service, &[0, 2, 2, 2, 2, 0, 0]);
    let hard = "CRITICAL;HARD;2 A H";
    assert_eq!(seen, ["OK;HARD;1", "CRITICAL;SOFT;1 A H", hard, hard, hard, "OK;HARD;1 A H", "OK;HARD;1"]);
}

#[test]
fn a_stalked_state_is_logged_when_its_output_changes() {
    let options = Options::OK | Options::CRITICAL;
    let stalked = Object::attempts(3).with(|directives| directives.stalking = options);
    let mut pair = pair(Object::host(), stalked, |_| ());
    pair.site.active(pair.host, 0, "o");
    let mut alerts = Vec::new();
    let results = [(0, "a"), (0, "a"), (0, "b"), (1, "x"), (1, "y"), (2, "y"), (2, "y"), (2, "z"), (2, "z")];
    for (code, output) in results {
        pair.site.active(pair.service, code, output);
        alerts.push(pair.site.log().iter().filter(|line| line.starts_with("SERVICE ALERT")).count());
    }
    // A soft problem is logged anyway; a hard one only because it is stalked.
    assert_eq!(alerts, [1, 0, 1, 1, 1, 1, 0, 1, 0]);
    assert_eq!(pair.site.shown(pair.service), "CRITICAL;HARD;3");
}

#[test]
fn an_object_begins_in_its_initial_state() {
    let unknown = Object::attempts(3).with(|directives| directives.initial_state = 3);
    let down = Object::host().with(|directives| directives.initial_state = 1);
    let mut pair = pair(down, unknown, |_| ());
    assert_eq!(pair.site.shown(pair.service), "UNKNOWN;HARD;3");
    assert_eq!(pair.site.shown(pair.host), "DOWN;HARD;3");
    assert!(pair.site.row(pair.service).is_pending());
    assert_eq!(course(&mut pair.site, pair.host, &[2, 0]), ["DOWN;HARD;3", "UP;HARD;1 A H"]);
    assert_eq!(course(&mut pair.site, pair.service, &[3, 0]), ["UNKNOWN;HARD;3", "OK;HARD;1 A H"]);
}

#[test]
fn a_timeout_gives_the_state_that_is_configured_for_it() {
    for (code, state) in [(2, "CRITICAL"), (1, "WARNING"), (3, "UNKNOWN"), (0, "OK")] {
        let configure = |tree: &mut Tree| tree.program().service_check_timeout_state = code;
        let mut pair = pair(Object::host(), Object::attempts(1), configure);
        let late = Observation::failed(UnknownCause::Timeout, "(Service check timed out after 60.00 seconds)");
        pair.site.result(pair.service, ResultSource::Active, late);
        assert_eq!(pair.site.shown(pair.service), format!("{state};HARD;1"));
    }
}

#[test]
fn lines_hold_their_fields_apart() {
    let mut pair = pair(Object::host(), Object::attempts(1), |tree| tree.program().log_passive_checks = true);
    pair.site.passive(pair.service, 2, "a;b\nc").passive(pair.host, 2, "x;y");
    let log = pair.site.log();
    for line in [
        "PASSIVE SERVICE CHECK: h;s;2;a:b c",
        "SERVICE ALERT: h;s;CRITICAL;HARD;1;a:b c",
        "SERVICE EVENT HANDLER: h;s;CRITICAL;HARD;1;handle",
        "PASSIVE HOST CHECK: h;2;x:y",
        "HOST ALERT: h;UNREACHABLE;HARD;1;x:y",
    ] {
        assert!(log.contains(&line.to_owned()), "{line} is not among {log:#?}");
    }
}

#[test]
fn passive_results_are_refused_where_they_are_switched_off() {
    let deaf = Object::attempts(1).with(|directives| directives.switches.passive_checks = false);
    let mut one = pair(Object::host(), deaf, |_| ());
    one.site.passive(one.service, 2, "p");
    assert!(one.site.row(one.service).is_pending());
    one.site.active(one.service, 2, "a");
    assert_eq!(one.site.shown(one.service), "CRITICAL;HARD;1");
    let all = |tree: &mut Tree| tree.program().accept_passive_service_checks = false;
    let mut all = pair(Object::host(), Object::attempts(1), all);
    all.site.passive(all.service, 2, "p").passive(all.host, 1, "p");
    assert!(all.site.row(all.service).is_pending());
    assert_eq!(all.site.shown(all.host), "DOWN;HARD;1");
}

#[test]
fn handlers_see_the_state_as_it_is_logged() {
    let mut pair = pair(Object::host(), Object::attempts(3), |_| ());
    pair.site.active(pair.service, 2, "o").active(pair.service, 0, "o");
    let lines: Vec<String> = pair.site.runs().iter().map(|run| run.line.to_string()).collect();
    assert_eq!(lines, ["handle h CRITICAL SOFT 1", "handle h OK SOFT 2"]);
}

#[test]
fn handlers_run_where_they_are_on_the_global_one_first() {
    let global = |tree: &mut Tree| {
        tree.program().global_service_event_handler = Some(tree.command("all", "all"));
    };
    let mut both = pair(Object::host(), Object::attempts(1), global);
    both.site.active(both.service, 2, "o");
    let names: Vec<String> = both.site.runs().iter().map(|run| run.name.to_string()).collect();
    assert_eq!(names, ["all", "handle"]);
    assert!(both.site.log().contains(&"GLOBAL SERVICE EVENT HANDLER: h;s;CRITICAL;HARD;1;all".to_owned()));

    let off = Object::attempts(1).with(|directives| directives.switches.event_handler = false);
    let mut off = pair(Object::host(), off, global);
    off.site.active(off.service, 2, "o");
    assert_eq!(off.site.runs().len(), 1, "the global one alone");

    let mut none = pair(Object::host(), Object::attempts(1), |tree| {
        global(tree);
        tree.program().enable_event_handlers = false;
    });
    none.site.active(none.service, 2, "o");
    assert!(none.site.runs().is_empty());

    let mut silent = pair(Object::host(), Object::attempts(1), |tree| tree.program().log_event_handlers = false);
    silent.site.active(silent.service, 2, "o");
    assert_eq!((silent.site.runs().len(), silent.site.log().len()), (1, 1), "run, and the alert alone is logged");
}

#[test]
fn obsessive_and_perfdata_commands_hear_of_every_result() {
    let configure = |tree: &mut Tree| {
        let calls = ["ocsp", "ochp", "perf"].map(|name| Some(tree.command(name, name)));
        let program = tree.program();
        [program.ocsp_command, program.ochp_command, program.service_perfdata_command] = calls;
        (program.obsess_over_services, program.obsess_over_hosts) = (true, true);
        program.process_performance_data = true;
        program.service_perfdata_process_empty_results = false;
    };
    let mut pair = pair(Object::host(), Object::attempts(1), configure);
    let names = |site: &mut Site| site.runs().iter().map(|run| run.name.to_string()).collect::<Vec<_>>();
    pair.site.active(pair.host, 0, "o");
    assert_eq!(names(&mut pair.site), ["ochp"]);
    pair.site.active(pair.service, 0, "o");
    assert_eq!(names(&mut pair.site), ["ocsp"], "there is no performance data");
    let measured = Observation::reported(ServiceState::Ok, "o").measure("t", 1.0, "s");
    pair.site.result(pair.service, ResultSource::Active, measured);
    assert_eq!(names(&mut pair.site), ["ocsp", "perf"]);
}

#[test]
fn the_line_of_a_perfdata_file_tells_each_result_as_it_is() {
    let configure = |tree: &mut Tree| {
        let program = tree.program();
        program.process_performance_data = true;
        program.illegal_macro_output_chars = "`$".into();
        program.host_perfdata_template = Some("$TIMET$\t$HOSTNAME$\t$HOSTOUTPUT$\t$HOSTPERFDATA$".into());
        program.service_perfdata_template = Some("$SERVICEDESC$ $SERVICEOUTPUT$|$SERVICEPERFDATA$".into());
        program.host_perfdata_process_empty_results = false;
    };
    let mut pair = pair(Object::host(), Object::attempts(1), configure);
    pair.site.active(pair.host, 0, "o");
    assert!(pair.site.perfdata().is_empty(), "empty ones are not wanted of hosts");
    pair.site.active(pair.service, 0, "costs 3`$");
    let measured = Observation::reported(ServiceState::Ok, "o").measure("t", 1.0, "s");
    pair.site.result(pair.service, ResultSource::Active, measured);
    let lines = pair.site.perfdata();
    assert_eq!(lines, [(Side::Services, "s costs 3`$|".to_owned()), (Side::Services, "s o|t=1s".to_owned())]);
}

#[test]
fn ids_and_times_follow_the_changes() {
    let mut pair = pair(Object::host(), Object::attempts(2), |_| ());
    let mut seen = Vec::new();
    for code in [0, 0, 2, 2, 1, 0, 2] {
        pair.site.pass(10).active(pair.service, code, "o");
        let track = pair.site.track(pair.service);
        seen.push((track.last_event_id, track.event_id, track.last_problem_id, track.problem_id, track.last_state));
    }
    let expect = [
        (0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0),
        (0, 1, 0, 1, 0),
        (0, 1, 0, 1, 2),
        (1, 2, 0, 1, 2),
        (2, 3, 1, 0, 1),
        (3, 4, 1, 2, 0),
    ];
    assert_eq!(seen, expect);
    let (row, track) = (pair.site.row(pair.service), pair.site.track(pair.service));
    let ago = |state| (pair.site.at - track.seen_in(&row, state)).as_millis() / 1000;
    assert_eq!([ago(0), ago(1), ago(2)], [10, 20, 0]);
    assert_eq!(track.seen_in(&row, 3), Timestamp::ZERO, "never");
}

#[test]
fn a_change_starts_the_timers_of_notifications_anew() {
    let mut pair = pair(Object::host(), Object::attempts(2), |_| ());
    pair.site.active(pair.service, 2, "o").active(pair.service, 2, "o");
    let changes = |pair: &Pair| pair.site.row(pair.service).last_hard_change;
    let hard = changes(&pair);
    pair.site.pass(10).active(pair.service, 2, "o");
    assert_eq!(changes(&pair), hard, "more of the same");
    pair.site.pass(10).active(pair.service, 1, "o");
    assert_eq!(changes(&pair), hard + Span::from_secs(20));
}

#[test]
fn acknowledgements_end_as_their_kind_says() {
    for (sticky, until_change, until_ok) in [(Sticky::Yes, true, false), (Sticky::No, false, false)] {
        let mut pair = pair(Object::host(), Object::attempts(1), |_| ());
        pair.site.active(pair.service, 1, "o");
        let object = ObjectKey { host: "h".into(), service: Some("s".into()) };
        let ack = Ack { by: "joe".into(), comment: "on it".into(), at: pair.site.at, until: None, sticky };
        pair.site.command(Command::AckObject { object, ack, notify: Notify::No, persistent: false }).expect("taken");
        let mut acknowledged = Vec::new();
        for code in [1, 2, 0] {
            pair.site.active(pair.service, code, "o");
            acknowledged.push(pair.site.row(pair.service).is_acknowledged());
        }
        assert_eq!(acknowledged, [true, until_change, until_ok], "{sticky:?}");
    }
}

#[test]
fn a_host_result_that_reports_a_state_is_judged_without_a_tree_too() {
    let mut pair = pair(Object::host(), Object::service(), |tree| tree.catalog.nagios.hosts.clear());
    let down = Observation::reported_host(HostState::Unreachable, "o");
    pair.site.result(pair.host, ResultSource::Passive, down);
    assert_eq!(pair.site.shown(pair.host), "DOWN;SOFT;1", "soft, and no parent makes it unreachable");
    assert!(pair.site.log().is_empty(), "no lines for objects of Stentor's own");
}
