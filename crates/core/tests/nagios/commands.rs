//! What external commands switch and change, of which objects, and what a reload keeps of it.

use std::sync::Arc;

use stentor_core::catalog::nagios::{CommandCall, Group, Options};
use stentor_core::catalog::{Catalog, Timeperiod};
use stentor_core::engine::program::ProgramState;
use stentor_core::engine::switch::{
    Change, ContactChange, ContactScope, Forced, ProgramSwitch, Scope, Side, Switch, modified,
};
use stentor_core::engine::{Command, CommandInput, Input, Reply};
use stentor_core::id::{ContactId, HostId, ObjectId, ServiceId, TimeperiodId};
use stentor_core::model::ObjectKey;
use stentor_core::snapshot::Flags;
use stentor_core::status::flapping::FlapHistory;
use stentor_core::{Span, Timestamp};

use super::site::{Object, START, Site, Tree};

/// A router, two hosts behind it and one behind these two; two services on each of the two.
fn tree() -> Tree {
    let mut tree = Tree::new();
    let router = tree.host("router", &Object::host());
    let behind = |parents: Vec<HostId>| Object { parents, ..Object::host() };
    let a = tree.host("a", &behind(vec![router]));
    let b = tree.host("b", &behind(vec![router]));
    tree.host("leaf", &behind(vec![a, b]));
    for host in [a, b] {
        tree.service(host, "web", &Object::service());
        tree.service(host, "disk", &Object::service());
    }
    let ann = tree.contact("ann", Options::ALL, Options::ALL);
    let bob = tree.contact("bob", Options::ALL, Options::ALL);
    tree.command("handle", "/bin/handle");
    tree.command("look", "/bin/look");
    let nagios = &mut tree.catalog.nagios;
    nagios.hostgroups.push(group("pair", vec![a, b]));
    nagios.servicegroups.push(group("webs", vec![ServiceId(0), ServiceId(1), ServiceId(2)]));
    nagios.contactgroups.push(group("people", vec![ann, bob]));
    nagios.appearances[0].vars.insert("SITE".into(), "here".into());
    for contact in nagios.contacts.iter_mut().flatten() {
        contact.vars.insert("SHIFT".into(), "day".into());
    }
    for name in ["always", "nights"] {
        let whole_week = [const { Vec::new() }; 7].map(|_: Vec<(u16, u16)>| vec![(0, 1440)]);
        let weekly = if name == "always" { whole_week } else { [const { Vec::new() }; 7] };
        tree.catalog.timeperiods.push(Timeperiod {
            name: name.into(),
            zone: "UTC".into(),
            weekly,
            exceptions: Vec::new(),
            exclude: Vec::new(),
        });
    }
    tree
}

fn group<I>(name: &str, members: Vec<I>) -> Group<I> {
    let blank = Arc::<str>::default;
    Group { name: name.into(), alias: blank(), members, notes: blank(), notes_url: blank(), action_url: blank() }
}

fn site() -> Site {
    Site::new(tree())
}

fn key(host: &str, service: Option<&str>) -> ObjectKey {
    ObjectKey { host: host.into(), service: service.map(Into::into) }
}

fn set(site: &mut Site, scope: Scope, switch: Switch, on: bool) {
    assert_eq!(site.command(Command::SetSwitch { scope, switch, on }), Ok(Reply::Done));
}

fn change(site: &mut Site, host: &str, service: Option<&str>, change: Change) -> Result<Reply, String> {
    site.command(Command::Change { object: key(host, service), change }).map_err(|e| e.to_string())
}

/// Names of the objects whose bit is set.
fn marked(site: &Site, bit: u32) -> Vec<String> {
    let catalog = site.engine.catalog();
    let hosts = (0..catalog.hosts.len()).map(|i| ObjectId::Host(HostId::from_index(i)));
    let services = (0..catalog.services.len()).map(|i| ObjectId::Service(ServiceId::from_index(i)));
    let marked = hosts.chain(services).filter(|id| site.engine.modified_attributes(*id) & bit != 0);
    let name = |key: ObjectKey| key.service.map_or(key.host.to_string(), |service| format!("{}/{service}", key.host));
    marked.map(|id| name(catalog.object_key(id))).collect()
}

#[test]
fn each_switch_of_an_object_is_set_with_its_bit_and_only_if_it_changes() {
    for switch in Switch::ALL {
        let mut site = site();
        let web = site.id("a", Some("web"));
        let mut before = site.engine.switches(web).expect("a service of the tree");
        let was = *switch.of(&mut before);
        set(&mut site, Scope::Object(key("a", Some("web"))), switch, was);
        assert_eq!(site.engine.modified_attributes(web), 0, "{switch:?} did not change");
        set(&mut site, Scope::Object(key("a", Some("web"))), switch, !was);
        let mut after = site.engine.switches(web).expect("a service of the tree");
        assert_eq!(*switch.of(&mut after), !was);
        *switch.of(&mut after) = was;
        assert_eq!(after, before, "{switch:?} changed something else");
        assert_eq!(site.engine.modified_attributes(web), switch.bit());
        assert_eq!(marked(&site, u32::MAX), ["a/web"]);
    }
}

#[test]
fn a_scope_means_the_objects_that_its_command_names() {
    for (scope, expect) in [
        (Scope::Object(key("a", None)), vec!["a"]),
        (Scope::ServicesOf("a".into()), vec!["a/web", "a/disk"]),
        (Scope::HostgroupHosts("pair".into()), vec!["a", "b"]),
        (Scope::HostgroupServices("pair".into()), vec!["a/web", "a/disk", "b/web", "b/disk"]),
        (Scope::ServicegroupHosts("webs".into()), vec!["a", "b"]),
        (Scope::ServicegroupServices("webs".into()), vec!["a/web", "a/disk", "b/web"]),
        (Scope::Beyond("router".into()), vec!["a", "b", "leaf", "a/web", "a/disk", "b/web", "b/disk"]),
        (Scope::HostAndChildren("router".into()), vec!["router", "a", "b", "leaf"]),
        (Scope::HostAndChildren("a".into()), vec!["a", "leaf"]),
    ] {
        let mut site = site();
        set(&mut site, scope.clone(), Switch::Notifications, false);
        assert_eq!(marked(&site, modified::NOTIFICATIONS), expect, "{scope:?}");
    }
}

#[test]
fn what_does_not_exist_is_refused_by_name_and_changes_nothing() {
    let mut site = site();
    for (scope, text) in [
        (Scope::Object(key("a", Some("mail"))), "there is no service mail on host a"),
        (Scope::ServicesOf("nowhere".into()), "there is no host nowhere"),
        (Scope::HostgroupHosts("trio".into()), "there is no host group `trio`"),
        (Scope::ServicegroupServices("mails".into()), "there is no service group `mails`"),
    ] {
        let refused = site.command(Command::SetSwitch { scope, switch: Switch::ActiveChecks, on: true });
        assert_eq!(refused.map_err(|e| e.to_string()), Err(text.to_owned()));
    }
    for (new, text) in [
        (Change::CheckCommand("absent!1".into()), "there is no command `absent`"),
        (Change::EventHandler("absent".into()), "there is no command `absent`"),
        (Change::CheckPeriod("days".into()), "there is no timeperiod `days`"),
        (Change::NotificationPeriod("days".into()), "there is no timeperiod `days`"),
        (
            Change::CustomVar { name: "FLOOR".into(), value: "2".into() },
            "there is no custom variable `_FLOOR` of service web on host a",
        ),
    ] {
        assert_eq!(change(&mut site, "a", Some("web"), new), Err(text.to_owned()));
    }
    let contact =
        site.command(Command::ChangeContact { contact: "cid".into(), change: ContactChange::ModifiedAttributes(0) });
    assert_eq!(contact.map_err(|e| e.to_string()), Err("there is no contact `cid`".to_owned()));
    assert_eq!(marked(&site, u32::MAX), Vec::<String>::new());
}

#[test]
fn enabling_checks_asks_for_one_now() {
    let mut site = site();
    set(&mut site, Scope::HostgroupServices("pair".into()), Switch::ActiveChecks, true);
    assert_eq!(site.checks().len(), 4);
    set(&mut site, Scope::HostgroupServices("pair".into()), Switch::ActiveChecks, true);
    assert_eq!(site.checks(), [], "they are on already");
}

#[test]
fn each_change_has_its_effect_and_its_bit() {
    let mut site = site();
    let web = site.id("a", Some("web"));
    for (new, bit) in [
        (Change::CheckCommand("look!1!2".into()), modified::CHECK_COMMAND),
        (Change::EventHandler("handle".into()), modified::EVENT_HANDLER_COMMAND),
        (Change::CheckPeriod("nights".into()), modified::CHECK_PERIOD),
        (Change::NotificationPeriod("always".into()), modified::NOTIFICATION_PERIOD),
        (Change::EventHandlerPeriod("nights".into()), modified::EVENT_HANDLER_PERIOD),
        (Change::CheckInterval(7.5), modified::CHECK_INTERVAL),
        (Change::RetryInterval(2.0), modified::RETRY_INTERVAL),
        (Change::MaxAttempts(9), modified::MAX_ATTEMPTS),
        (Change::CustomVar { name: "SITE".into(), value: "there".into() }, modified::CUSTOM_VAR),
    ] {
        let before = site.engine.modified_attributes(web);
        assert_eq!(change(&mut site, "a", Some("web"), new), Ok(Reply::Done));
        assert_eq!(site.engine.modified_attributes(web), before | bit);
    }
    let engine = &site.engine;
    assert_eq!(engine.changed_check_command(web).map(|call| &*call.text), Some("look!1!2"));
    assert_eq!(engine.event_handler(web).map(|call| &*call.text), Some("handle"));
    assert_eq!(engine.check_period(web), Some(TimeperiodId(1)));
    assert_eq!(engine.notification_period(web), Some(TimeperiodId(0)));
    assert_eq!(engine.event_handler_period(web), Some(TimeperiodId(1)));
    assert_eq!(engine.check_interval(web), Span::from_millis(7500), "the tree's interval_length is a second");
    assert_eq!((engine.retry_interval(web), engine.attempts_max(web)), (Span::from_secs(2), 9));
    assert_eq!(engine.custom_var(web, "SITE").map(|value| &**value), Some("there"));
    assert_eq!(engine.custom_var(site.id("a", None), "SITE").map(|value| &**value), Some("here"));
    assert_eq!(change(&mut site, "a", Some("web"), Change::EventHandler("".into())), Ok(Reply::Done));
    assert_eq!(site.engine.event_handler(web), None, "an empty handler takes it away");
}

#[test]
fn more_attempts_lift_the_attempt_of_a_hard_problem_only() {
    let mut site = site();
    let (web, disk) = (site.id("a", Some("web")), site.id("a", Some("disk")));
    for _ in 0..3 {
        site.pass(1);
        site.passive(web, 2, "bad");
    }
    site.passive(disk, 2, "bad");
    assert_eq!((site.shown(web), site.shown(disk)), ("CRITICAL;HARD;3".into(), "CRITICAL;SOFT;1".into()));
    for service in ["web", "disk"] {
        assert_eq!(change(&mut site, "a", Some(service), Change::MaxAttempts(5)), Ok(Reply::Done));
    }
    assert_eq!((site.shown(web), site.shown(disk)), ("CRITICAL;HARD;5".into(), "CRITICAL;SOFT;1".into()));
}

#[test]
fn passive_results_are_taken_only_where_program_and_object_take_them() {
    let mut site = site();
    let (web, host) = (site.id("a", Some("web")), site.id("a", None));
    let refused = |site: &Site| site.engine.snapshot().counters.results_refused;
    set(&mut site, Scope::Object(key("a", Some("web"))), Switch::PassiveChecks, false);
    site.passive(web, 2, "unheard");
    assert!(site.row(web).is_pending() && refused(&site) == 1);
    site.active(web, 1, "looked at");
    assert_eq!(site.row(web).state, 1, "an active one is no passive one");
    let program = |switch, on| Command::SetProgramSwitch { switch, on };
    for switch in [ProgramSwitch::PassiveChecks(Side::Hosts), ProgramSwitch::PassiveChecks(Side::Services)] {
        site.command(program(switch, false)).expect("done");
    }
    let disk = site.id("b", Some("disk"));
    site.passive(host, 1, "unheard").passive(disk, 1, "unheard");
    assert!(site.row(host).is_pending() && site.row(disk).is_pending() && refused(&site) == 3);
    site.command(program(ProgramSwitch::PassiveChecks(Side::Hosts), true)).expect("done");
    site.passive(host, 1, "heard");
    assert_eq!((site.row(host).state, refused(&site)), (1, 3));
}

#[test]
fn passive_results_are_logged_where_that_is_asked_for() {
    let mut tree = tree();
    tree.program().log_passive_checks = true;
    let mut site = Site::new(tree);
    let (web, host) = (site.id("a", Some("web")), site.id("a", None));
    site.log();
    site.passive(web, 0, "fine; so far").passive(host, 0, "up").active(host, 0, "up");
    let passive: Vec<String> = site.log().into_iter().filter(|line| line.starts_with("PASSIVE")).collect();
    assert_eq!(passive, ["PASSIVE SERVICE CHECK: a;web;0;fine: so far", "PASSIVE HOST CHECK: a;0;up"]);
}

#[test]
fn program_switches_mark_the_side_they_belong_to() {
    let mut site = site();
    let state = |site: &Site| ProgramState::clone(site.engine.program_state());
    assert!(state(&site).in_force.enable_notifications);
    let mut go = |switch, on| {
        assert_eq!(site.command(Command::SetProgramSwitch { switch, on }), Ok(Reply::Done));
        let now = state(&site);
        (now.modified_host_attributes, now.modified_service_attributes)
    };
    assert_eq!(go(ProgramSwitch::Notifications, true), (0, 0), "they are on already");
    assert_eq!(go(ProgramSwitch::Notifications, false), (1, 1));
    assert_eq!(go(ProgramSwitch::ActiveChecks(Side::Hosts), false), (3, 1));
    assert_eq!(go(ProgramSwitch::Obsess(Side::Services), true), (3, 1 | modified::OBSESS));
    let command = Command::GlobalEventHandler { side: Side::Hosts, command: "handle!x".into() };
    assert_eq!(site.command(command), Ok(Reply::Done));
    let now = state(&site);
    assert!(!now.in_force.enable_notifications && !now.in_force.execute_host_checks);
    assert!(now.in_force.execute_service_checks && now.in_force.obsess_over_services);
    assert_eq!(now.in_force.global_host_event_handler.map(|call| call.text), Some("handle!x".into()));
    assert_eq!(now.modified_host_attributes & modified::EVENT_HANDLER_COMMAND, modified::EVENT_HANDLER_COMMAND);
    assert!(site.engine.check_allowed(site.id("a", None), Forced::No).is_err(), "host checks do not run");
}

#[test]
fn contacts_are_switched_alone_and_by_group() {
    let mut site = site();
    let (ann, bob) = (ContactId(0), ContactId(1));
    let enabled = |site: &Site, id| {
        [Side::Hosts, Side::Services].map(|side| site.engine.contact_enabled(id, side).expect("a Nagios contact"))
    };
    let scope = ContactScope::Group("people".into());
    site.command(Command::SetContactSwitch { scope, side: Side::Services, on: false }).expect("done");
    let scope = ContactScope::Contact("ann".into());
    site.command(Command::SetContactSwitch { scope, side: Side::Hosts, on: false }).expect("done");
    assert_eq!((enabled(&site, ann), enabled(&site, bob)), ([false, false], [true, false]));
    let masks =
        |site: &Site| site.engine.contact_overrides(ann).map(|o| (o.host.modified_attributes, o.modified_attributes));
    assert_eq!(masks(&site), Some((1, 0)));
    let period = ContactChange::Period { side: Side::Hosts, period: "nights".into() };
    let var = ContactChange::CustomVar { name: "SHIFT".into(), value: "night".into() };
    for change in [period, var] {
        site.command(Command::ChangeContact { contact: "ann".into(), change }).expect("done");
    }
    assert_eq!(site.engine.contact_period(ann, Side::Hosts), Some(TimeperiodId(1)));
    assert_eq!(site.engine.contact_var(ann, "SHIFT").map(|value| &**value), Some("night"));
    assert_eq!(site.engine.contact_var(bob, "SHIFT").map(|value| &**value), Some("day"));
    assert_eq!(masks(&site), Some((1 | modified::NOTIFICATION_PERIOD, modified::CUSTOM_VAR)));
}

#[test]
fn checks_are_asked_for_at_their_time_the_earlier_first() {
    let mut site = site();
    let web = site.id("a", Some("web"));
    set(&mut site, Scope::Object(key("a", Some("web"))), Switch::ActiveChecks, true);
    site.checks();
    let ask = |site: &mut Site, at: Timestamp, forced| {
        let scope = Scope::Object(key("a", Some("web")));
        site.command(Command::ScheduleChecks { scope, at, forced }).expect("done");
    };
    ask(&mut site, Timestamp::ZERO, Forced::No);
    assert_eq!(site.checks().len(), 1, "the past is now");
    ask(&mut site, START + Span::from_secs(20), Forced::No);
    ask(&mut site, START + Span::from_secs(10), Forced::No);
    ask(&mut site, START + Span::from_secs(30), Forced::No);
    site.pass(9);
    assert_eq!(site.checks(), []);
    site.pass(1);
    assert_eq!(site.checks().iter().map(|check| check.object).collect::<Vec<_>>(), [web]);
    site.pass(30);
    assert_eq!(site.checks(), [], "later ones were dropped");
    let soon = site.at + Span::from_secs(5);
    ask(&mut site, soon, Forced::No);
    site.pass(1);
    site.active(web, 0, "looked at meanwhile").pass(10);
    assert_eq!(site.checks(), [], "a regular check came first");
}

#[test]
fn only_a_forced_check_runs_what_is_switched_off() {
    let mut site = site();
    let services = |forced| Command::ScheduleChecks { scope: Scope::ServicesOf("a".into()), at: START, forced };
    site.command(services(Forced::No)).expect("done");
    assert_eq!(site.checks(), [], "active checks of this tree are off");
    site.command(services(Forced::Yes)).expect("done");
    assert_eq!(site.checks().len(), 2);
    set(&mut site, Scope::ServicesOf("a".into()), Switch::ActiveChecks, true);
    assert_eq!(change(&mut site, "a", Some("web"), Change::CheckPeriod("nights".into())), Ok(Reply::Done));
    site.checks();
    site.command(services(Forced::No)).expect("done");
    assert_eq!(site.checks().len(), 1, "one of them is out of its period");
}

/// Soft problems are not recorded in the history of flapping: here every one is hard.
fn one_attempt(tree: &mut Tree) {
    for check in &mut tree.catalog.checks {
        check.attempts = 1;
    }
}

#[test]
fn cleared_flapping_forgets_its_history() {
    let mut tree = tree();
    for directives in &mut tree.catalog.nagios.directives {
        directives.switches.flap_detection = true;
    }
    one_attempt(&mut tree);
    let mut site = Site::new(tree);
    let web = site.id("a", Some("web"));
    for i in 0..12 {
        site.pass(60);
        site.passive(web, if i % 2 == 0 { 2 } else { 0 }, "to and fro");
    }
    assert!(site.track(web).flap.flapping && site.row(web).flags.has(Flags::FLAPPING));
    site.log();
    site.command(Command::ClearFlapping { object: key("a", Some("web")) }).expect("done");
    assert_eq!(site.track(web).flap, FlapHistory::steady(0));
    let line = site.log().concat();
    assert!(line.starts_with("SERVICE FLAPPING ALERT: a;web;STOPPED; Flapping state cleared for service. ("), "{line}");
    assert!(!site.row(web).flags.has(Flags::FLAPPING));
    let refused = site.command(Command::ClearFlapping { object: key("a", Some("mail")) });
    assert!(refused.is_err());
}

#[test]
fn flapping_ends_where_its_detection_is_switched_off() {
    let flapping = || {
        let mut tree = tree();
        for directives in &mut tree.catalog.nagios.directives {
            directives.switches.flap_detection = true;
        }
        one_attempt(&mut tree);
        let mut site = Site::new(tree);
        let web = site.id("a", Some("web"));
        for i in 0..12 {
            site.pass(60);
            site.passive(web, if i % 2 == 0 { 2 } else { 0 }, "to and fro");
        }
        site.log();
        (site, web)
    };
    let object =
        Command::SetSwitch { scope: Scope::Object(key("a", Some("web"))), switch: Switch::FlapDetection, on: false };
    let program = Command::SetProgramSwitch { switch: ProgramSwitch::FlapDetection, on: false };
    for command in [object, program] {
        let (mut site, web) = flapping();
        site.command(command.clone()).expect("done");
        assert!(!site.track(web).flap.flapping, "{command:?}");
        let lines = site.log();
        let line = "SERVICE FLAPPING ALERT: a;web;DISABLED; Flap detection has been disabled";
        assert!(lines.iter().any(|said| said == line), "{lines:?}");
    }
}

/// The tree after its configuration was edited: other ids, other defaults, one command and one period gone.
fn edited() -> Catalog {
    let mut first = Tree::new();
    let extra = first.host("aaa", &Object::host());
    first.service(extra, "web", &Object::service());
    let mut object = Object::service();
    object.directives.switches.notifications = false;
    object.attempts = 4;
    let a = first.host("a", &Object::host());
    first.service(a, "disk", &object);
    first.service(a, "web", &object);
    first.contact("zoe", Options::ALL, Options::ALL);
    first.contact("ann", Options::ALL, Options::ALL);
    first.command("other", "/bin/other");
    first.command("look", "/bin/look");
    first.program().obsess_over_hosts = true;
    for name in ["new", "nights"] {
        let weekly = [const { Vec::new() }; 7];
        first.catalog.timeperiods.push(Timeperiod {
            name: name.into(),
            zone: "UTC".into(),
            weekly,
            exceptions: Vec::new(),
            exclude: Vec::new(),
        });
    }
    first.catalog.timeperiods.swap(0, 1);
    first.catalog.reindex();
    first.catalog
}

#[test]
fn a_reload_keeps_what_was_changed_and_takes_the_rest_from_the_configuration() {
    let mut site = site();
    set(&mut site, Scope::ServicesOf("a".into()), Switch::PassiveChecks, false);
    for new in [
        Change::CheckCommand("look!9".into()),
        Change::EventHandler("handle".into()),
        Change::CheckPeriod("nights".into()),
        Change::NotificationPeriod("always".into()),
        Change::RetryInterval(3.0),
    ] {
        change(&mut site, "a", Some("web"), new).expect("done");
    }
    site.command(Command::SetProgramSwitch { switch: ProgramSwitch::Notifications, on: false }).expect("done");
    let scope = ContactScope::Group("people".into());
    site.command(Command::SetContactSwitch { scope, side: Side::Hosts, on: false }).expect("done");
    let scope = Scope::Object(key("a", Some("web")));
    let at = START + Span::from_secs(5);
    site.command(Command::ScheduleChecks { scope, at, forced: Forced::Yes }).expect("done");

    site.apply(Input::Catalog(Arc::new(edited())));
    let web = site.id("a", Some("web"));
    let engine = &site.engine;
    let switches = engine.switches(web).expect("a service of the tree");
    assert!(!switches.passive_checks, "changed by command");
    assert!(!switches.notifications, "changed by the new configuration");
    let look = CommandCall { command: engine.catalog().nagios.index.command["look"], text: "look!9".into() };
    assert_eq!(engine.changed_check_command(web), Some(&look));
    assert_eq!(engine.event_handler(web), None, "its command is gone");
    assert_eq!(engine.check_period(web), Some(TimeperiodId(0)), "the period moved in its table");
    assert_eq!(engine.notification_period(web), None, "the period is gone");
    assert_eq!((engine.retry_interval(web), engine.attempts_max(web)), (Span::from_secs(3), 4));
    let program = &engine.program_state().in_force;
    assert!(!program.enable_notifications && program.obsess_over_hosts);
    assert_eq!(engine.contact_enabled(ContactId(0), Side::Hosts), Some(true), "zoe is new");
    assert_eq!(engine.contact_enabled(ContactId(1), Side::Hosts), Some(false), "ann was switched off");
    site.checks();
    site.pass(6);
    assert_eq!(site.checks().iter().map(|check| check.object).collect::<Vec<_>>(), [web]);
}

#[test]
fn a_cleared_bit_gives_the_directive_back_to_the_configuration_at_the_reload() {
    let mut site = site();
    set(&mut site, Scope::Object(key("a", Some("web"))), Switch::PassiveChecks, false);
    change(&mut site, "a", Some("web"), Change::MaxAttempts(9)).expect("done");
    change(&mut site, "a", Some("web"), Change::ModifiedAttributes(modified::MAX_ATTEMPTS)).expect("done");
    let web = site.id("a", Some("web"));
    assert!(!site.engine.switches(web).expect("of the tree").passive_checks, "not before");
    let same = Arc::clone(site.engine.catalog());
    site.apply(Input::Catalog(same));
    assert!(site.engine.switches(web).expect("of the tree").passive_checks);
    assert_eq!(site.engine.attempts_max(web), 9);
}

#[test]
fn a_checkpoint_keeps_what_was_changed() {
    let mut site = site();
    set(&mut site, Scope::HostgroupHosts("pair".into()), Switch::Notifications, false);
    site.command(Command::SetProgramSwitch { switch: ProgramSwitch::Perfdata, on: true }).expect("done");
    let scope = ContactScope::Contact("ann".into());
    site.command(Command::SetContactSwitch { scope, side: Side::Hosts, on: false }).expect("done");
    let restored = stentor_core::engine::Engine::from_checkpoint(site.engine.checkpoint());
    assert_eq!(restored.program_state(), site.engine.program_state());
    assert_eq!(restored.contact_overrides(ContactId(0)), site.engine.contact_overrides(ContactId(0)));
    assert_eq!(restored.modified_attributes(site.id("b", None)), modified::NOTIFICATIONS);
}

#[test]
fn external_commands_are_logged_and_so_are_those_that_failed() {
    let mut site = site();
    site.log();
    let mut send = |command, raw: &str| {
        let input = CommandInput { command, raw: Some(raw.into()), id: None };
        let reply = site.apply(Input::Command(input)).expect("an answer");
        (reply.is_ok(), site.log())
    };
    let logged = |line: &str| vec![format!("EXTERNAL COMMAND: {line}")];
    assert_eq!(send(Command::Nothing, "_OURS;a;b"), (true, logged("_OURS;a;b")));
    let scope = Scope::ServicesOf("nowhere".into());
    let command = Command::SetSwitch { scope, switch: Switch::Notifications, on: true };
    let line = "ENABLE_HOST_SVC_NOTIFICATIONS;nowhere";
    let mut both = logged(line);
    both.push(format!("Error: External command failed -> {line}"));
    assert_eq!(send(command, line), (false, both));
    let command = Command::Log { text: "said by hand".into() };
    assert_eq!(send(command, "LOG;x"), (true, vec!["EXTERNAL COMMAND: LOG;x".into(), "said by hand".into()]));
}
