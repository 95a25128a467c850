//! Notifications over time: the worked timelines of specification 03, section 12, escalations, periods, dependencies.

use stentor_core::catalog::nagios::{Dependency, Directives, Options};
use stentor_core::catalog::{Catalog, Timeperiod};
use stentor_core::engine::{Command, CustomOptions};
use stentor_core::id::{ContactId, HostId, ObjectId, TimeperiodId};
use stentor_core::model::{HostState, NoticeKind, ObjectKey, Observation};
use stentor_core::policy::notice::Decision;
use stentor_core::{Span, Timestamp};

use super::site::{Object, START, Site, Tree};

/// One service on a host that is UP, and what is told of it.
pub struct Story {
    pub site: Site,
    pub host: ObjectId,
    pub service: ObjectId,
}

/// What the stories start from: three attempts, told again every minute, contact `ann` wants everything.
pub struct Plan {
    pub tree: Tree,
    pub host: HostId,
    pub service: ObjectId,
}

impl Plan {
    pub fn new(change: impl FnOnce(&mut Object)) -> Plan {
        let mut tree = Tree::new();
        let ann = tree.contact("ann", Options::ALL, Options::ALL);
        let mut object = Object::service();
        object.directives.contacts = vec![ann];
        change(&mut object);
        let mut up = Object::host();
        up.directives.contacts = vec![ann];
        let host = tree.host("h", &up);
        let service = ObjectId::Service(tree.service(host, "s", &object));
        Plan { tree, host, service }
    }

    pub fn of(change: impl FnOnce(&mut Directives)) -> Plan {
        Plan::new(|object| change(&mut object.directives))
    }

    pub fn run(self) -> Story {
        let host = ObjectId::Host(self.host);
        let mut story = Story { site: Site::new(self.tree), host, service: self.service };
        story.site.active(host, 0, "up").notices();
        story.site.log();
        story
    }
}

pub fn key(service: Option<&str>) -> ObjectKey {
    ObjectKey { host: "h".into(), service: service.map(Into::into) }
}

impl Story {
    /// Results of the service, three seconds apart, by their first letters; `+90` lets 90 seconds pass. Each gives the
    /// contacts that are told, with the number and the state: `ann 1 CRITICAL`.
    pub fn play(&mut self, script: &str) -> Vec<String> {
        let mut told = Vec::new();
        for step in script.split(' ') {
            if let Some(secs) = step.strip_prefix('+') {
                self.site.pass(secs.parse().expect("seconds"));
                assert_eq!(self.notices(), "", "time alone tells nothing");
                continue;
            }
            let code = ["O", "W", "C", "U"].iter().position(|letter| *letter == step).expect("a state's letter");
            self.site.active(self.service, i32::try_from(code).expect("small"), "out");
            told.push(self.notices());
            self.site.pass(3);
        }
        told
    }

    /// `ann 1 CRITICAL` of each notice since the last call.
    pub fn notices(&mut self) -> String {
        let number = self.site.track(self.service).notice.number;
        let shown = |line: String| {
            let fields: Vec<&str> = line.split([':', ';']).collect();
            format!("{} {number} {}", fields[1], fields.last().expect("a state"))
        };
        let told: Vec<String> = self.site.notices().into_iter().map(shown).collect();
        told.join(", ")
    }

    pub fn command(&mut self, command: Command) {
        self.site.command(command).expect("the command is carried out");
    }
}

fn told(plan: Plan, script: &str) -> Vec<String> {
    plan.run().play(script)
}

fn check(plan: Plan, script: &str, expect: &[&str]) {
    assert_eq!(told(plan, script), expect, "{script}");
}

#[test]
fn worked_timelines_of_the_specification() {
    let plain = || Plan::of(|_| ());
    check(plain(), "O C C C C O", &["", "", "", "ann 1 CRITICAL", "", "ann 0 OK"]);
    check(plain(), "O C C C +60 C O", &["", "", "", "ann 1 CRITICAL", "ann 2 CRITICAL", "ann 0 OK"]);
    check(plain(), "O C O", &["", "", ""]);
    check(plain(), "O W C C O", &["", "", "", "ann 1 CRITICAL", "ann 0 OK"]);
    let each = ["", "", "", "ann 1 CRITICAL", "ann 2 WARNING", "ann 3 CRITICAL", "ann 4 UNKNOWN"];
    check(plain(), "O C C C W C U", &each);
    let once = || Plan::of(|directives| directives.notification_interval = Span::ZERO);
    check(once(), "O C C C +600 C W", &["", "", "", "ann 1 CRITICAL", "", "ann 2 WARNING"]);
    let at_once = || Plan::new(|object| object.attempts = 1);
    check(at_once(), "C O", &["ann 1 CRITICAL", "ann 0 OK"]);
    let critical = || Plan::of(|directives| directives.notification_options = Options::CRITICAL | Options::RECOVERY);
    check(critical(), "W W W C O", &["", "", "", "ann 1 CRITICAL", "ann 0 OK"]);
    let volatile = || {
        Plan::new(|object| {
            object.attempts = 2;
            object.directives.volatile = true;
        })
    };
    check(volatile(), "O C C C C", &["", "", "ann 1 CRITICAL", "ann 2 CRITICAL", "ann 3 CRITICAL"]);
}

#[test]
fn a_first_notification_waits_for_its_delay_and_a_short_problem_is_never_told() {
    let delayed = || {
        Plan::new(|object| {
            object.attempts = 1;
            object.directives.first_notification_delay = Span::from_mins(4);
        })
    };
    check(delayed(), "O C +177 C +177 C", &["", "", "", "ann 1 CRITICAL"]);
    check(delayed(), "O C +177 C O", &["", "", "", ""]);
}

#[test]
fn escalations_take_over_and_their_intervals_with_them() {
    let plan = || {
        let mut plan = Plan::new(|object| object.attempts = 1);
        let bob = plan.tree.contact("bob", Options::ALL, Options::ALL);
        let eve = plan.tree.contact("eve", Options::ALL, Options::ALL);
        let service = plan.service;
        plan.tree.escalation(service, 2, 3, bob).interval = Some(Span::from_secs(10));
        plan.tree.escalation(service, 3, 0, eve).interval = Some(Span::from_secs(30));
        plan
    };
    // From the second on every 10 s, from the third the smaller of two, from the fourth only eve's.
    let script = "O C C +54 C C +4 C C +4 C +4 C +20 C O";
    let expect = [
        "",
        "ann 1 CRITICAL",
        "",
        "bob 2 CRITICAL",
        "",
        "bob 3 CRITICAL, eve 3 CRITICAL",
        "",
        "eve 4 CRITICAL",
        "",
        "eve 5 CRITICAL",
        "eve 0 OK",
    ];
    let mut story = plan().run();
    assert_eq!(story.play(script), expect);
}

#[test]
fn the_number_moves_a_problem_along_its_escalations() {
    let mut plan = Plan::new(|object| object.attempts = 1);
    let bob = plan.tree.contact("bob", Options::ALL, Options::ALL);
    let service = plan.service;
    plan.tree.escalation(service, 5, 0, bob);
    let mut story = plan.run();
    assert_eq!(story.play("O C"), ["", "ann 1 CRITICAL"]);
    story.command(Command::SetNotificationNumber { object: key(Some("s")), number: 7 });
    assert_eq!(story.play("+60 C"), ["bob 8 CRITICAL"]);
    let until = story.site.at + Span::from_secs(200);
    story.command(Command::DelayNotification { object: key(Some("s")), until });
    assert_eq!(story.play("+100 C +90 C C C C"), ["", "", "", "", "bob 9 CRITICAL"]);
}

/// Every day from 8 to 18 o'clock; the stories start at midnight.
fn office(catalog: &mut Catalog) -> TimeperiodId {
    let weekly: [Vec<(u16, u16)>; 7] = std::array::from_fn(|_| vec![(8 * 60, 18 * 60)]);
    let (exceptions, exclude) = (Vec::new(), Vec::new());
    catalog.timeperiods.push(Timeperiod { name: "office".into(), zone: "UTC".into(), weekly, exceptions, exclude });
    TimeperiodId::from_index(catalog.timeperiods.len() - 1)
}

#[test]
fn outside_its_period_a_problem_and_its_end_wait_for_the_period() {
    let mut plan = Plan::new(|object| object.attempts = 1);
    let period = office(&mut plan.tree.catalog);
    for directives in &mut plan.tree.catalog.nagios.directives {
        directives.notification_period = Some(period);
    }
    let mut story = plan.run();
    assert_eq!(story.play("O C C"), ["", "", ""]);
    let held = story.site.held();
    assert!(held.iter().all(|held| held.stage == "period" && held.why == "outside timeperiod office"), "{held:?}");
    let opens = START + Span::from_hours(8);
    assert_eq!(story.site.track(story.service).notice.next, opens);
    let until_open = (opens - story.site.at).as_millis() / 1000;
    assert_eq!(story.play(&format!("+{} C", until_open - 1)), [""], "one second too early");
    assert_eq!(story.play("C"), ["ann 1 CRITICAL"]);
    let closes = START + Span::from_hours(18);
    let until_close = (closes - story.site.at).as_millis() / 1000;
    assert_eq!(story.play(&format!("+{until_close} O O")), ["", ""]);
    assert_eq!(story.play(&format!("+{} O O", 14 * 3600)), ["ann 0 OK", ""], "the end is owed, and told once");
}

#[test]
fn a_contact_hears_only_in_its_own_period_and_nobody_counts_as_told() {
    let mut plan = Plan::new(|object| object.attempts = 1);
    let period = office(&mut plan.tree.catalog);
    let ann = plan.tree.catalog.nagios.contacts[0].as_mut().expect("ann");
    ann.service.period = Some(period);
    let mut story = plan.run();
    assert_eq!(story.play("O C"), ["", ""]);
    let held = story.site.held();
    assert_eq!(held.last().map(|held| (held.stage, held.contact.as_deref())), Some(("contact_period", Some("ann"))));
    assert_eq!(story.site.track(story.service).notice.number, 0, "the number is taken back");
    assert_eq!(story.play(&format!("+{} C", 8 * 3600)), ["ann 1 CRITICAL"], "tried again at each result");
}

#[test]
fn a_master_that_fails_silences_until_it_is_well_again() {
    let mut plan = Plan::new(|object| object.attempts = 1);
    let host = plan.host;
    let master = Object::attempts(1).with(|directives| directives.switches.notifications = false);
    let master = ObjectId::Service(plan.tree.service(host, "m", &master));
    plan.tree.catalog.nagios.dependencies.push(Dependency {
        master,
        dependent: plan.service,
        execution: Options::NONE,
        notification: Options::CRITICAL,
        inherits_parent: false,
        period: None,
        redundancy: None,
    });
    let mut story = plan.run();
    story.site.active(master, 2, "out");
    assert_eq!(story.play("O C C"), ["", "", ""]);
    assert!(story.site.held().iter().any(|held| held.why == "it depends on service m on host h"));
    story.site.active(master, 0, "fine");
    assert_eq!(story.play("C"), ["ann 1 CRITICAL"]);
}

#[test]
fn a_service_hears_nothing_of_itself_while_the_services_it_leans_on_fail() {
    let mut plan = Plan::new(|object| object.attempts = 1);
    let host = plan.host;
    let [one, two] = ["one", "two"].map(|name| plan.tree.service(host, name, &Object::attempts(1)));
    let ObjectId::Service(id) = plan.service else { unreachable!("a service") };
    plan.tree.catalog.nagios.service_parents.insert(id, vec![one, two]);
    let mut story = plan.run();
    story.site.active(ObjectId::Service(one), 2, "out").active(ObjectId::Service(two), 1, "out");
    assert_eq!(story.play("O C"), ["", ""]);
    story.site.active(ObjectId::Service(two), 0, "fine");
    assert_eq!(story.play("C"), ["ann 1 CRITICAL"], "one of them is enough");
}

#[test]
fn a_child_behind_a_dead_parent_is_told_as_unreachable() {
    let mut tree = Tree::new();
    let ann = tree.contact("ann", Options::UNREACHABLE | Options::RECOVERY, Options::NONE);
    let parent = tree.host("p", &Object { attempts: 1, ..Object::host() });
    let mut child = Object::host();
    child.directives.contacts = vec![ann];
    child.parents = vec![parent];
    let child = ObjectId::Host(tree.host("c", &child));
    let mut site = Site::new(tree);
    site.active(ObjectId::Host(parent), 2, "dead");
    let mut shown = Vec::new();
    for _ in 0..3 {
        site.active(child, 2, "dead").pass(3);
        shown.push(site.shown(child));
    }
    assert_eq!(shown, ["UNREACHABLE;SOFT;1", "UNREACHABLE;SOFT;2", "UNREACHABLE;HARD;3"]);
    assert_eq!(site.notices(), ["HOST:ann;c;UNREACHABLE"]);
    site.active(ObjectId::Host(parent), 0, "up").active(child, 2, "dead");
    assert_eq!((site.shown(child), site.notices()), ("DOWN;HARD;3".to_owned(), vec![]), "ann does not want d");
    site.active(child, 0, "up");
    assert_eq!(site.notices(), ["HOST:ann;c;UP"]);
}

#[test]
fn a_passive_result_of_a_host_is_told_at_once() {
    let mut story = Plan::of(|_| ()).run();
    let host = story.host;
    let down = Observation::reported_host(HostState::Down, "gone");
    story.site.result(host, stentor_core::engine::ResultSource::Passive, down);
    assert_eq!(story.site.shown(host), "DOWN;HARD;1");
    assert_eq!(story.site.notices(), ["HOST:ann;h;DOWN"]);
}

#[test]
fn a_service_that_fails_again_tells_of_its_dead_host_again() {
    let mut story = Plan::new(|object| object.attempts = 1).run();
    let host = story.host;
    for _ in 0..3 {
        story.site.active(host, 2, "gone").pass(1);
    }
    assert_eq!(story.site.notices(), ["HOST:ann;h;DOWN"]);
    story.site.active(story.service, 2, "out").pass(61);
    story.site.active(story.service, 2, "out");
    assert_eq!(story.site.notices(), ["HOST:ann;h;DOWN"], "a minute later, by a result of the service alone");
}

#[test]
fn a_custom_notification_follows_its_option_bits() {
    let mut plan = Plan::of(|directives| directives.notification_options = Options::NONE);
    let bob = plan.tree.contact("bob", Options::NONE, Options::NONE);
    let service = plan.service;
    plan.tree.escalation(service, 9, 0, bob);
    let mut story = plan.run();
    story.play("O");
    story.site.log();
    let mut send = |options: CustomOptions| {
        let (author, comment) = ("joe".into(), "hello; all".into());
        story.command(Command::CustomNotification { object: key(Some("s")), options, author, comment });
        let told = story.notices();
        (told, story.site.log())
    };
    let (told, log) = send(CustomOptions::default());
    assert_eq!(told, "ann 0 CUSTOM (OK)");
    assert_eq!(log, ["SERVICE NOTIFICATION: ann;h;s;CUSTOM (OK);ns;out;joe;hello; all"]);
    let broadcast = CustomOptions { broadcast: true, ..CustomOptions::default() };
    assert_eq!(send(broadcast).0, "ann 0 CUSTOM (OK), bob 0 CUSTOM (OK)");
    let increment = CustomOptions { increment: true, ..CustomOptions::default() };
    assert_eq!(send(increment).0, "ann 1 CUSTOM (OK)");
}

#[test]
fn a_contact_with_two_commands_has_two_lines_and_one_notice() {
    let mut plan = Plan::new(|object| object.attempts = 1);
    let sms = plan.tree.command("sms", "/usr/bin/sms");
    let ann: ContactId = ContactId(0);
    let contact = plan.tree.catalog.nagios.contacts[ann.index()].as_mut().expect("ann");
    contact.service.commands.push(sms);
    let mut story = plan.run();
    story.play("O");
    story.site.log();
    assert_eq!(story.play("C"), ["ann 1 CRITICAL"]);
    let lines: Vec<_> = story.site.log().into_iter().filter(|line| line.contains("NOTIFICATION")).collect();
    let expect = ["ns", "sms"].map(|command| format!("SERVICE NOTIFICATION: ann;h;s;CRITICAL;{command};out"));
    assert_eq!(lines, expect);
}

#[test]
fn without_the_exact_way_or_without_the_log_switch_nothing_of_it_is_said() {
    let mut plan = Plan::new(|object| object.attempts = 1);
    plan.tree.program().notify_exact = false;
    let mut story = plan.run();
    assert_eq!(story.play("O C"), ["", ""]);
    assert_eq!(story.site.held(), []);
    let mut plan = Plan::new(|object| object.attempts = 1);
    plan.tree.program().log_notifications = false;
    let mut story = plan.run();
    assert_eq!(story.play("O C"), ["", "ann 1 CRITICAL"]);
    assert!(!story.site.log().iter().any(|line| line.contains("NOTIFICATION")));
}

#[test]
fn flapping_that_is_switched_off_tells_what_it_hid() {
    let mut plan = Plan::new(|object| {
        object.attempts = 1;
        object.directives.switches.flap_detection = true;
    });
    plan.tree.catalog.reindex();
    let mut calm = plan.tree.catalog.clone();
    calm.nagios.program.enable_flap_detection = false;
    calm.reindex();
    let mut story = plan.run();
    let told = story.play("O C O C O C O");
    let expect =
        ["", "ann 1 CRITICAL", "ann 0 OK", "ann 1 CRITICAL", "ann 0 OK", "ann 1 CRITICAL", "ann 1 FLAPPINGSTART (OK)"];
    assert_eq!(told, expect);
    let snapshot = story.site.engine.snapshot();
    let comment = snapshot.comments.values().next().expect("a comment says that it flaps");
    assert_eq!(comment.entry_type.code(), 3);
    story.site.apply(stentor_core::engine::Input::Catalog(calm.into()));
    story.site.log();
    assert_eq!(story.play("O"), ["ann 0 FLAPPINGDISABLED (OK), ann 0 OK"]);
    assert!(story.site.engine.snapshot().comments.is_empty());
}

#[test]
fn flapping_that_ends_in_another_state_tells_that_state() {
    let mut story = Plan::new(|object| {
        object.attempts = 1;
        object.directives.switches.flap_detection = true;
    })
    .run();
    story.play("O C O C O C O");
    let mut told = Vec::new();
    for _ in 0..40 {
        told.extend(story.play("C").into_iter().filter(|told| !told.is_empty()));
    }
    assert_eq!(told.first().map(String::as_str), Some("ann 2 FLAPPINGSTOP (CRITICAL), ann 2 CRITICAL"));
}

#[test]
fn an_explanation_names_each_stage_and_contact() {
    let mut story = Plan::new(|object| object.attempts = 1).run();
    story.play("O C");
    let snapshot = story.site.engine.snapshot();
    let why = snapshot.explain_notice(story.service, None).expect("an imported object");
    assert_eq!(why, story.site.engine.explain_notice(story.service, None).expect("the same of the engine"));
    assert_eq!((why.kind, why.number), (NoticeKind::Problem, 2));
    let holding: Vec<_> = why.stages.iter().filter(|step| step.decision == Decision::Holds).collect();
    assert_eq!(holding.iter().map(|step| step.stage).collect::<Vec<_>>(), ["interval"]);
    let next = Timestamp::to_rfc3339(START + Span::from_secs(63));
    assert_eq!(holding[0].why, format!("not again before {next}"));
    assert_eq!(why.contacts.len(), 1);
    assert!(why.contacts[0].stages.iter().all(|step| step.decision == Decision::Passes));
}
