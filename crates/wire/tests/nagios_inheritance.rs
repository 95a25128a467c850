//! Rules of the object configuration beyond the vectors: inheritance, lists, duplicates, circles, each as a small
//! configuration.

mod memory;

use memory::{Memory, loaded};
use stentor_wire::nagios::load::{Loaded, load};
use stentor_wire::nagios::objects::{Concern, Host, Objects, Service};

const BASE: &str = "
define timeperiod {
 timeperiod_name always
 monday 00:00-24:00
}
define command {
 command_name c
 command_line /bin/true
}
define command {
 command_name d
 command_line /bin/true
}
define contact {
 contact_name ann
 host_notification_commands c
 service_notification_commands c
}
define contact {
 contact_name bob
 contactgroups ops
 host_notification_commands c
 service_notification_commands c
}
define contactgroup {
 contactgroup_name ops
}
define host {
 name t
 register 0
 max_check_attempts 3
}
define service {
 name s
 register 0
 max_check_attempts 3
 check_command c
}
";

/// Short form: blocks as `host: use t; host_name a`, one a line.
fn blocks(short: &str) -> String {
    let block = |line: &str| {
        let (kind, rest) = line.split_once(':').expect(line);
        let lines: String = rest.split(';').map(|part| format!(" {}\n", part.trim())).collect();
        format!("define {} {{\n{lines}}}\n", kind.trim())
    };
    short.lines().map(str::trim).filter(|line| !line.is_empty()).map(block).collect()
}

fn world(main: &str, short: &str) -> Loaded {
    loaded(main, &format!("{BASE}{}", blocks(short)))
}

fn good(short: &str) -> Objects {
    let loaded = world("", short);
    assert_eq!(loaded.findings.errors(), 0, "{:#?}", loaded.findings);
    loaded.objects
}

fn host<'o>(objects: &'o Objects, name: &str) -> &'o Host {
    objects.host(objects.find_host(name).expect(name)).expect(name)
}

fn service<'o>(objects: &'o Objects, host: &str, description: &str) -> &'o Service {
    let host = objects.find_host(host).expect(host);
    &objects.services[objects.find_service(host, description).expect(description) as usize]
}

fn contacts(objects: &Objects, ids: &[u32]) -> Vec<String> {
    ids.iter().map(|id| objects.contacts[*id as usize].name.to_string()).collect()
}

const H: &str = "host: use t; host_name h\nservice: use s; host_name h; service_description x\n";

#[test]
fn an_important_command_of_a_template_beats_the_services_own() {
    let objects = good(
        "host: use t; host_name h
         service: name i; register 0; check_command !d!arg; max_check_attempts 1
         service: name j; register 0; use i; check_command c
         service: use j; host_name h; service_description x; check_command c
         service: use s,i; host_name h; service_description y
         service: use i; host_name h; service_description z; check_command !c",
    );
    let command =
        |description| service(&objects, "h", description).settings.check_command.as_ref().unwrap().text.to_string();
    assert_eq!([command("x"), command("y"), command("z")], ["d!arg", "d!arg", "c"]);
}

#[test]
fn null_ends_inheritance_and_keeps_the_host_out() {
    let objects = good(
        "host: use t; host_name h; contacts ann; notification_period always; notification_interval 7
         service: use s; host_name h; service_description x; contacts null; notification_period null
         service: use s; host_name h; service_description y
         service: name n; use s; register 0; check_period always; notes N; check_interval 3
         service: use n; host_name h; service_description z; check_period null; notes null; check_interval null",
    );
    let (x, y, z) = (service(&objects, "h", "x"), service(&objects, "h", "y"), service(&objects, "h", "z"));
    assert_eq!(objects.recipients(x).contacts, [] as [u32; 0]);
    assert_eq!(objects.notification_period(x), None);
    assert_eq!(contacts(&objects, &objects.recipients(y).contacts), ["ann"]);
    assert_eq!((objects.notification_period(y), objects.notification_interval(y)), (Some(0), 7.0));
    assert_eq!((z.settings.check_period, z.settings.notes.clone(), z.settings.check_interval), (None, None, 5.0));
}

#[test]
fn lists_add_up_through_templates_and_within_one_definition() {
    let objects = good(
        "host: name a; register 0; max_check_attempts 1; contacts ann; hostgroups g1
         host: name b; register 0; use a; contacts +bob; hostgroups +g2
         host: use b; host_name h; hostgroups +g3; contacts +ann
         host: use b; host_name i; contacts bob
         hostgroup: hostgroup_name g1
         hostgroup: hostgroup_name g2; members i; members h
         hostgroup: hostgroup_name g3; hostgroup_members g1; members !i
         service: use s; host_name h; service_description x",
    );
    assert_eq!(contacts(&objects, host(&objects, "h").settings.contacts.as_deref().unwrap()), ["ann", "bob"]);
    assert_eq!(contacts(&objects, host(&objects, "i").settings.contacts.as_deref().unwrap()), ["bob"]);
    assert_eq!(*host(&objects, "h").groups, [0, 1, 2]);
    assert_eq!(*host(&objects, "i").groups, [0, 1]);
}

#[test]
fn variables_are_inherited_one_by_one() {
    let objects = good(
        "host: name a; register 0; max_check_attempts 1; _rack r1; _Site  the lab; _gone x
         host: use a; host_name h; _RACK r2; _gone null
         host: use a; host_name i
         service: use s; host_name h; service_description x; _v 1",
    );
    let variables = |name| {
        let all = host(&objects, name).settings.variables.iter();
        all.map(|variable| format!("{}={}", variable.name, variable.value)).collect::<Vec<_>>()
    };
    assert_eq!(variables("h"), ["RACK=r2", "SITE=the lab"]);
    assert_eq!(variables("i"), ["GONE=x", "RACK=r1", "SITE=the lab"]);
    assert_eq!(&*service(&objects, "h", "x").settings.variables[0].name, "V");
}

#[test]
fn a_named_host_beats_its_group_and_the_last_of_equals_counts() {
    let loaded = world(
        "",
        "host: use t; host_name h; hostgroups g
         host: use t; host_name i; hostgroups g
         hostgroup: hostgroup_name g
         service: use s; host_name h; service_description x; notes named
         service: use s; hostgroup_name g; service_description x; notes group
         service: use s; hostgroup_name g; service_description x; notes later",
    );
    let notes = |host| service(&loaded.objects, host, "x").settings.notes.clone().unwrap().to_string();
    assert_eq!((notes("h").as_str(), notes("i").as_str()), ("named", "later"));
    let doubles: Vec<_> = loaded.findings.iter().filter(|finding| finding.code == "duplicate-service").collect();
    assert_eq!(doubles.len(), 3, "{doubles:#?}");
    assert!(doubles[0].help.contains("on line "), "{doubles:#?}");
}

#[test]
fn service_groups_take_pairs_nested_groups_and_exclusions() {
    let objects = good(
        "host: use t; host_name h
         host: use t; host_name i
         service: use s; host_name *; service_description x; servicegroups sg1
         service: use s; host_name h; service_description y; parents x
         service: use s; host_name i; service_description z; parents h,x,h,y
         servicegroup: servicegroup_name sg1
         servicegroup: servicegroup_name sg2; members h,y,i,z; servicegroup_members sg1
         servicegroup: servicegroup_name sg3; members *,x,!i,x",
    );
    let members = |index: usize| objects.servicegroups[index].members.clone();
    assert_eq!((members(0), members(1), members(2)), (vec![0, 2], vec![0, 1, 2, 3], vec![0]));
    assert_eq!(*service(&objects, "h", "y").parents, [0]);
    assert_eq!(*service(&objects, "i", "z").parents, [0, 1]);
    assert_eq!(*service(&objects, "i", "x").groups, [0, 1]);
}

#[test]
fn escalations_inherit_add_and_replace() {
    let objects = good(
        "host: use t; host_name h; contacts ann; contact_groups ops; notification_interval 9
         service: use s; host_name h; service_description x
         serviceescalation: host_name h; service_description x; first_notification 1; last_notification 0; contacts +bob
         serviceescalation: host_name h; service_description x; first_notification 2; last_notification 3; contacts bob; notification_interval 1; escalation_period always; escalation_options w,r
         hostescalation: host_name h; first_notification 3; last_notification 5",
    );
    let told = |index: usize| objects.service_escalation(&objects.service_escalations[index]);
    let all = |index| {
        let told = told(index);
        (
            contacts(&objects, &told.recipients.contacts),
            told.recipients.contact_groups.len(),
            told.interval,
            told.period,
        )
    };
    assert_eq!(all(0), (vec!["ann".to_owned(), "bob".to_owned()], 1, 9.0, None));
    assert_eq!(all(1), (vec!["bob".to_owned()], 0, 1.0, Some(0)));
    let of_host = objects.host_escalation(&objects.host_escalations[0]);
    assert_eq!((of_host.recipients.contacts.len(), of_host.recipients.contact_groups.len()), (1, 1));
}

#[test]
fn dependencies_are_rules_of_one_concern_each() {
    let loaded = world(
        "",
        "host: use t; host_name h
         host: use t; host_name i; parents h
         service: use s; host_name *; service_description x
         service: use s; host_name *; service_description y
         hostdependency: host_name h; dependent_host_name i; execution_failure_criteria d; notification_failure_criteria d,u; inherits_parent 1; dependency_period always
         hostdependency: host_name h; dependent_host_name i
         servicedependency: host_name h; service_description x; dependent_host_name i; dependent_service_description *; notification_failure_criteria n",
    );
    assert_eq!(loaded.findings.errors(), 0, "{:#?}", loaded.findings);
    let objects = &loaded.objects;
    let concerns: Vec<_> = objects.host_dependencies.iter().map(|rule| rule.concern).collect();
    assert_eq!(concerns, [Concern::Notification, Concern::Execution]);
    assert!(objects.host_dependencies[0].inherits_parent && objects.host_dependencies[0].period == Some(0));
    let pairs: Vec<_> = objects.service_dependencies.iter().map(|rule| (rule.master, rule.dependent)).collect();
    assert_eq!(pairs, [(0, 2), (0, 3)]);
    assert!(loaded.findings.iter().any(|finding| finding.code == "pointless-dependency"));
}

#[test]
fn extended_information_fills_what_is_unset() {
    let loaded = world(
        "",
        "host: use t; host_name h; notes own
         host: use t; host_name i
         service: use s; host_name *; service_description x
         hostextinfo: host_name *; notes extra; gd2_image i.gd2; 2d_coords 1,2
         serviceextinfo: host_name i; service_description x; action_url http://x",
    );
    let objects = &loaded.objects;
    assert_eq!(host(objects, "h").settings.notes.as_deref(), Some("own"));
    assert_eq!(host(objects, "i").settings.notes.as_deref(), Some("extra"));
    assert_eq!(host(objects, "h").settings.coords_2d, Some([1.0, 2.0]));
    assert_eq!(service(objects, "h", "x").settings.action_url, None);
    assert_eq!(service(objects, "i", "x").settings.action_url.as_deref(), Some("http://x"));
    assert_eq!(loaded.findings.iter().filter(|finding| finding.code == "deprecated-type").count(), 2);
}

#[test]
fn timeperiods_inherit_days_they_do_not_name() {
    let objects = good(&format!(
        "{H}timeperiod: name base; register 0; monday 00:00-01:00; july 4 00:00-24:00; exclude always
         timeperiod: timeperiod_name p; use base; monday 02:00-03:00; july  4   00:00-00:00; day -1 05:00-06:00"
    ));
    let period = objects.timeperiods.iter().find(|period| &*period.name == "p").unwrap();
    let lines: Vec<&str> = period.lines.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, ["monday 02:00-03:00", "july  4   00:00-00:00", "day -1 05:00-06:00"]);
    assert_eq!(period.exclude, [0]);
}

/// (Lines of the main file, blocks, finding)
const BROKEN: &[(&str, &str, &str)] = &[
    ("", "host: name a; use b; register 0\nhost: name b; use a; register 0", "circular-template"),
    ("", "host: name a; use a; register 0", "circular-template"),
    ("", "host: name a; register 0\nhost: name a; register 0", "duplicate-template"),
    ("", "host: use t; host_name i; parents i", "circular-parents"),
    (
        "",
        "hostgroup: hostgroup_name a; hostgroup_members b\nhostgroup: hostgroup_name b; hostgroup_members a",
        "circular-group",
    ),
    ("", "timeperiod: timeperiod_name a; exclude b\ntimeperiod: timeperiod_name b; exclude a", "circular-timeperiod"),
    (
        "",
        "host: use t; host_name i\nhostdependency: host_name h; dependent_host_name i; execution_failure_criteria d\n\
         hostdependency: host_name i; dependent_host_name h; execution_failure_criteria d",
        "circular-dependency",
    ),
    (
        "",
        "service: use s; host_name h; service_description y\n\
         servicedependency: host_name h; service_description x,y; dependent_service_description x,y; notification_failure_criteria w",
        "circular-dependency",
    ),
    ("", "service: use s; host_name h; service_description y; parents y", "circular-parents"),
    ("", "host: use t; host_name h", "duplicate-object"),
    ("", "command: command_name c; command_line x", "duplicate-object"),
    ("", "command: command_name e", "missing-directive"),
    ("", "contact: contact_name e", "missing-directive"),
    ("", "host: use t", "missing-directive"),
    ("", "host: host_name i", "missing-directive"),
    ("", "host: use t; host_name i; contacts ann,joe", "unknown-contact"),
    ("", "host: use t; host_name i; contact_groups nobody", "unknown-contactgroup"),
    ("", "host: use t; host_name i; hostgroups none", "unknown-hostgroup"),
    ("", "service: use s; host_name h; service_description y; servicegroups none", "unknown-servicegroup"),
    ("", "servicegroup: servicegroup_name g; members h,none", "unknown-service"),
    ("", "serviceescalation: host_name h; service_description z; last_notification 0", "unknown-service"),
    ("", "service: use s; host_name h; service_description y; retry_interval 0", "bad-value"),
    ("illegal_object_name_chars=!\n", "host: use t; host_name a!b", "illegal-name"),
    (
        "allow_empty_hostgroup_assignment=0\n",
        "hostgroup: hostgroup_name g\nservice: use s; hostgroup_name g; service_description y",
        "empty-hostgroup",
    ),
    ("use_regexp_matching=1\n", "service: use s; host_name (*; service_description y", "bad-pattern"),
    ("ochp_command=nope\n", "", "unknown-command"),
];

#[test]
fn what_is_broken_is_found_and_nothing_else() {
    let clean = world("", H);
    assert_eq!(clean.findings.errors(), 0, "{:#?}", clean.findings);
    for (main, short, code) in BROKEN {
        let loaded = world(main, &format!("{H}{short}"));
        let errors: Vec<_> = loaded
            .findings
            .iter()
            .filter(|finding| finding.severity == stentor_wire::nagios::finding::Severity::Error)
            .map(|finding| finding.code)
            .collect();
        assert!(errors.contains(code), "{short}: {errors:?}");
        assert!(errors.iter().all(|other| other == code), "{short}: {:#?}", loaded.findings);
    }
}

#[test]
fn what_only_nagios_itself_can_do_is_named_and_stops_nobody() {
    let main = "broker_module=/usr/lib/livestatus.o /var/live\nquery_socket=/var/q\nbroker_module=/usr/lib/gearman.o\n";
    let loaded = world(main, H);
    let named: Vec<_> = loaded.findings.iter().filter(|f| f.code == "not-supported").map(|f| f.place.line).collect();
    assert_eq!((loaded.findings.errors(), named), (0, vec![2, 3, 4]), "{:#?}", loaded.findings);
}

#[test]
fn circles_of_dependencies_can_be_allowed() {
    let circle = "service: use s; host_name h; service_description y\n\
         servicedependency: host_name h; service_description x,y; dependent_service_description x,y; \
         notification_failure_criteria w";
    let loaded = world("allow_circular_dependencies=1\n", &format!("{H}{circle}"));
    let codes: Vec<_> = loaded.findings.iter().map(|finding| finding.code).collect();
    assert!(loaded.findings.errors() == 0 && codes.contains(&"circular-dependency"), "{codes:?}");
}

#[test]
fn files_are_read_in_their_order_and_each_once() {
    let service = |notes: &str| format!("service: use s; host_name h; service_description x; notes {notes}");
    let files = [
        ("/n/nagios.cfg", "cfg_file=a.cfg\ncfg_dir=/n/d\ncfg_file=a.cfg\ncfg_file=none.cfg\n".to_owned()),
        (
            "/n/a.cfg",
            format!("{BASE}include_file=sub/b.cfg\n{}{}", blocks("host: use t; host_name h"), blocks(&service("a"))),
        ),
        ("/n/sub/b.cfg", format!("include_file=c.cfg\n{}include_file=c.cfg\n", blocks(&service("b")))),
        ("/n/sub/c.cfg", format!("{}include_file=../a.cfg\n", blocks(&service("c")))),
        ("/n/d/1.cfg", blocks(&service("one"))),
        ("/n/d/2.cfg", blocks(&service("two"))),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let loaded = load("/n/nagios.cfg", &mut Memory::with(&files));
    let codes: Vec<_> =
        loaded.findings.iter().map(|finding| (finding.code, finding.place.file, finding.place.line)).collect();
    assert_eq!(loaded.objects.services.len(), 1, "{:#?}", loaded.findings);
    assert_eq!(loaded.objects.services[0].settings.notes.as_deref(), Some("two"));
    let paths: Vec<&str> = loaded.files.iter().map(|file| file.path.as_str()).collect();
    assert!(paths.starts_with(&["/n/nagios.cfg", "/n/a.cfg", "/n/sub/b.cfg", "/n/sub/c.cfg"]), "{paths:?}");
    for (code, file, line) in [("file-read-twice", 0, 3), ("unreadable-file", 0, 4), ("file-read-twice", 2, 8)] {
        assert!(codes.contains(&(code, file, line)), "{code}: {codes:?}");
    }
}
