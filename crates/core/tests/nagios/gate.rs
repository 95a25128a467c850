//! Which active checks may run (specification 03, 1.3 and 5.5).

use stentor_core::Span;
use stentor_core::catalog::Timeperiod;
use stentor_core::catalog::nagios::{Dependency, Options};
use stentor_core::engine::gate::{Forced, SkipReason};
use stentor_core::engine::{Command, CommandInput, Input};
use stentor_core::id::{ObjectId, ServiceId, TimeperiodId};
use stentor_core::model::ObjectKey;
use stentor_core::policy::notice::dependency::Purpose;

use super::site::{Object, START, Site, Tree};

/// A checked service `a` with `b` and `c` beside it, all of which may be masters.
struct Trio {
    site: Site,
    host: ObjectId,
    services: [ObjectId; 3],
}

fn trio(configure: impl FnOnce(&mut Tree, [ObjectId; 3])) -> Trio {
    let mut tree = Tree::new();
    let active = |object: Object| object.with(|directives| directives.switches.active_checks = true);
    let host = tree.host("h", &active(Object::host()));
    let services =
        ["a", "b", "c"].map(|name| ObjectId::Service(tree.service(host, name, &active(Object::attempts(2)))));
    configure(&mut tree, services);
    let mut site = Site::new(tree);
    site.active(ObjectId::Host(host), 0, "o");
    Trio { site, host: ObjectId::Host(host), services }
}

impl Trio {
    /// Why a check of the object would not run.
    fn refusal(&self, object: ObjectId) -> Option<SkipReason> {
        let refused = |forced| self.site.engine.check_allowed(object, forced).err().map(|skip| skip.why);
        assert_eq!(refused(Forced::Yes), None, "a forced check always runs");
        let snapshot = self.site.engine.snapshot();
        let by_snapshot = snapshot.gate(self.site.at).check_allowed(object, Forced::No).err().map(|skip| skip.why);
        assert_eq!(by_snapshot, refused(Forced::No), "engine and snapshot agree");
        by_snapshot
    }
}

fn leans(dependent: ObjectId, master: ObjectId, execution: Options) -> Dependency {
    Dependency {
        master,
        dependent,
        execution,
        notification: Options::NONE,
        inherits_parent: false,
        period: None,
        redundancy: None,
    }
}

#[test]
fn switches_of_object_and_program_stop_checks() {
    let free = trio(|_, _| ());
    assert_eq!(free.refusal(free.services[0]), None);
    assert_eq!(free.refusal(free.host), None);
    let services_off = trio(|tree, _| tree.program().execute_service_checks = false);
    assert_eq!(services_off.refusal(services_off.services[0]), Some(SkipReason::ProgramSwitchedOff));
    assert_eq!(services_off.refusal(services_off.host), None);
    let hosts_off = trio(|tree, _| tree.program().execute_host_checks = false);
    assert_eq!(hosts_off.refusal(hosts_off.host), Some(SkipReason::ProgramSwitchedOff));
    let one_off = trio(|tree, _| tree.catalog.nagios.directives[1].switches.active_checks = false);
    assert_eq!(one_off.refusal(one_off.services[0]), Some(SkipReason::SwitchedOff));
    let skip = one_off.site.engine.check_allowed(one_off.services[0], Forced::No).expect_err("refused");
    assert_eq!(skip.again_at, one_off.site.at + Span::from_secs(5), "one interval later");
}

#[test]
fn a_check_outside_its_period_waits_for_the_next_instant_inside() {
    let mut trio = trio(|tree, _| {
        let weekly = std::array::from_fn(|_| vec![(10, 1440)]);
        let (name, zone) = ("later".into(), "UTC".into());
        let period = Timeperiod { name, zone, weekly, exceptions: Vec::new(), exclude: Vec::new() };
        tree.catalog.timeperiods.push(period);
        tree.catalog.nagios.directives[1].check_period = Some(TimeperiodId(0));
    });
    let [a, ..] = trio.services;
    assert_eq!(trio.refusal(a), Some(SkipReason::OutsidePeriod));
    let skip = trio.site.engine.check_allowed(a, Forced::No).expect_err("refused");
    assert_eq!(skip.again_at, START + Span::from_mins(10));
    trio.site.pass(600);
    assert_eq!(trio.refusal(a), None);
}

#[test]
fn a_dependency_stops_checks_while_its_master_is_in_a_state_of_its_criteria() {
    let mut trio = trio(|tree, [a, b, _]| {
        tree.catalog.nagios.dependencies.push(leans(a, b, Options::CRITICAL));
        tree.program().service_skip_dependency_state = Some(3);
    });
    let [a, b, _] = trio.services;
    for (code, fails) in [(0, false), (1, false), (1, false), (2, true), (2, true), (0, false)] {
        trio.site.active(b, code, "o");
        let expect = fails.then_some(SkipReason::Dependency(b));
        assert_eq!(trio.refusal(a), expect, "master {}", trio.site.shown(b));
    }
    trio.site.active(b, 2, "o");
    assert_eq!(trio.site.shown(b), "CRITICAL;SOFT;1");
    assert_eq!(trio.refusal(a), None, "a soft state does not count");
    trio.site.active(b, 2, "o");
    assert_eq!(trio.site.engine.check_allowed(a, Forced::No).expect_err("refused").state, Some(3));
}

#[test]
fn soft_states_of_masters_count_where_configured() {
    let mut trio = trio(|tree, [a, b, _]| {
        tree.catalog.nagios.dependencies.push(leans(a, b, Options::CRITICAL));
        tree.program().soft_state_dependencies = true;
    });
    let [a, b, _] = trio.services;
    trio.site.active(b, 2, "o");
    assert_eq!(trio.refusal(a), Some(SkipReason::Dependency(b)));
}

#[test]
fn dependencies_of_masters_count_where_they_are_inherited_and_may_run_in_a_circle() {
    for inherits_parent in [false, true] {
        let mut trio = trio(|tree, [a, b, c]| {
            let inherited = |dependency| Dependency { inherits_parent, ..dependency };
            let dependencies = &mut tree.catalog.nagios.dependencies;
            dependencies.push(inherited(leans(a, b, Options::CRITICAL)));
            dependencies.push(inherited(leans(b, c, Options::CRITICAL)));
            dependencies.push(inherited(leans(c, a, Options::CRITICAL)));
        });
        let [a, b, c] = trio.services;
        assert_eq!(trio.refusal(a), None);
        trio.site.active(c, 2, "o").active(c, 2, "o");
        assert_eq!(trio.refusal(a), inherits_parent.then_some(SkipReason::Dependency(c)));
        assert_eq!(trio.refusal(b), Some(SkipReason::Dependency(c)));
    }
}

#[test]
fn an_unmet_period_skips_its_own_dependency_alone() {
    let mut trio = trio(|tree, [a, b, c]| {
        let (name, zone) = ("never".into(), "UTC".into());
        let weekly = Default::default();
        let never = Timeperiod { name, zone, weekly, exceptions: Vec::new(), exclude: Vec::new() };
        tree.catalog.timeperiods.push(never);
        let unmet = Dependency { period: Some(TimeperiodId(0)), ..leans(a, b, Options::CRITICAL) };
        tree.catalog.nagios.dependencies.extend([unmet, leans(a, c, Options::CRITICAL)]);
    });
    let [a, b, c] = trio.services;
    trio.site.active(b, 2, "o").active(b, 2, "o");
    assert_eq!(trio.refusal(a), None);
    trio.site.active(c, 2, "o").active(c, 2, "o");
    assert_eq!(trio.refusal(a), Some(SkipReason::Dependency(c)));
}

#[test]
fn criteria_of_notifications_are_another_list() {
    let mut trio = trio(|tree, [a, b, _]| {
        let told = Dependency { notification: Options::WARNING, ..leans(a, b, Options::NONE) };
        tree.catalog.nagios.dependencies.push(told);
    });
    let [a, b, _] = trio.services;
    trio.site.active(b, 1, "o").active(b, 1, "o");
    assert_eq!(trio.refusal(a), None);
    assert_eq!(trio.site.engine.gate().failed_master(a, Purpose::Notification), Some(b));
}

#[test]
fn a_service_that_leans_on_a_failed_one_is_not_checked() {
    let mut trio = trio(|tree, services| {
        let [a, b, c] = services.map(|object| match object {
            ObjectId::Service(id) => id,
            ObjectId::Host(_) => ServiceId(u32::MAX),
        });
        tree.catalog.nagios.service_parents.extend([(a, vec![b]), (b, vec![c]), (c, vec![a])]);
        tree.program().service_skip_parent_state = Some(1);
    });
    let [a, _, c] = trio.services;
    assert_eq!(trio.refusal(a), None);
    trio.site.active(c, 1, "o").active(c, 1, "o");
    assert_eq!(trio.refusal(a), None, "a warning bears");
    trio.site.active(c, 3, "o");
    let ObjectId::Service(parent) = c else { panic!("a service") };
    assert_eq!(trio.refusal(a), Some(SkipReason::Parent(parent)));
    assert_eq!(trio.site.engine.check_allowed(a, Forced::No).expect_err("refused").state, Some(1));
}

#[test]
fn services_of_a_dead_host_are_checked_unless_configured_otherwise() {
    let mut on = trio(|_, _| ());
    on.site.active(on.host, 2, "o");
    assert_eq!(on.refusal(on.services[0]), None);
    let mut off = trio(|tree, _| {
        tree.program().host_down_disables_service_checks = true;
        tree.program().service_skip_host_down_state = Some(2);
    });
    off.site.active(off.host, 2, "o");
    assert_eq!(off.refusal(off.services[0]), Some(SkipReason::HostDown));
    assert_eq!(off.site.engine.check_allowed(off.services[0], Forced::No).expect_err("refused").state, Some(2));
    assert_eq!(off.refusal(off.host), None, "the host itself is");
}

#[test]
fn a_skipped_check_gives_the_configured_state_and_nothing_else() {
    let mut trio = trio(|tree, _| {
        tree.contact("ann", Options::ALL, Options::ALL);
    });
    let [a, b, _] = trio.services;
    for _ in 0..2 {
        trio.site.active(a, 2, "broken");
    }
    let skip = |state: u8, service: &str| {
        let object = ObjectKey { host: "h".into(), service: Some(service.into()) };
        Command::SkipCheck { object, state, why: "(host is down)".into() }
    };
    let before = *trio.site.engine.row(a);
    for _ in 0..2 {
        let effects = trio
            .site
            .engine
            .apply(trio.site.at, &Input::Command(CommandInput { command: skip(3, "a"), raw: None, id: None }));
        assert_eq!((effects.log.len(), effects.notifications.len(), effects.events.len()), (0, 0, 0));
    }
    let row = trio.site.engine.row(a);
    assert_eq!((row.state, row.attempt, row.last_check), (3, before.attempt, before.last_check));
    assert_eq!(&*trio.site.engine.detail(a).observation.as_ref().expect("seen").text, "(host is down) was: broken");
    // One that was never looked at stays so.
    let command = CommandInput { command: skip(2, "b"), raw: None, id: None };
    trio.site.engine.apply(trio.site.at, &Input::Command(command));
    assert!(trio.site.engine.row(b).is_pending());
    // The next result counts from the state it was given.
    trio.site.active(a, 0, "o");
    assert_eq!(trio.site.shown(a), "OK;HARD;1");
}
