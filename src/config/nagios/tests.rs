//! Trees on disk to the catalog.

use std::path::Path;

use stentor_core::catalog::nagios::Options;
use stentor_core::id::{ContactId, ObjectId};
use stentor_core::macros::view::{COMMAND_PARAM, COMMAND_PROBE};
use stentor_core::model::Value;

use super::*;
use crate::config::{Loaded, load};

const MAIN: &str = "cfg_dir=objects\nresource_file=resource.cfg\nenable_flap_detection=1\ninterval_length=1\n\
                    use_timezone=:Europe/Amsterdam\nlog_file=var/nagios.log\nstate_retention_file=var/retention.dat\n\
                    retain_state_information=1\nservice_check_timeout=20\n";

const OBJECTS: &str = r"
define timeperiod {
  timeperiod_name work
  monday 09:00-17:00
  december 25 00:00-00:00
  exclude never
}
define timeperiod {
  timeperiod_name never
}
define command {
  command_name check_ping
  command_line $USER1$/check_ping -H $HOSTADDRESS$ -w $ARG1$
}
define command {
  command_name page
  command_line /bin/true $CONTACTPAGER$
}
define contact {
  contact_name ann
  pager 555
  host_notification_period work
  service_notification_period work
  host_notification_commands page
  service_notification_commands page
  host_notification_options d,u,r
  service_notification_options c,r
}
define contactgroup {
  contactgroup_name noc
  members ann
}
define host {
  name generic
  register 0
  check_command check_ping!100,20%
  max_check_attempts 3
  check_interval 60
  retry_interval 10
  contact_groups noc
  notification_period work
  notification_interval 300
}
define host {
  use generic
  host_name gate
  address 192.0.2.1
}
define host {
  use generic
  host_name web1
  address 192.0.2.10
  parents gate
  _rack R7
}
define service {
  host_name web1
  service_description ping
  check_command check_ping!200,40%
  max_check_attempts 2
  check_interval 30
  retry_interval 5
  is_volatile 1
}
define servicedependency {
  host_name web1
  service_description ping
  dependent_host_name web1
  dependent_service_description ssh
  notification_failure_criteria c,u
}
define service {
  host_name web1
  service_description ssh
  check_command check_ping
  max_check_attempts 2
  contacts ann
}
define serviceescalation {
  host_name web1
  service_description ssh
  first_notification 2
  last_notification 0
  contacts ann
  escalation_options c
}
define hostgroup {
  hostgroup_name webs
  members web1
}
";

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("objects")).unwrap();
    let common =
        [("nagios.cfg", MAIN), ("resource.cfg", "$USER1$=/usr/lib/nagios/plugins\n"), ("objects/a.cfg", OBJECTS)];
    for (name, text) in common.iter().chain(files) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn loaded(path: &Path) -> Loaded {
    load(path).unwrap_or_else(|found| panic!("{found}"))
}

const REDUNDANT: &str = r"
define servicedependency {
  host_name gate
  service_description alive
  dependent_host_name web1
  dependent_service_description ssh
  notification_failure_criteria c,u
  execution_failure_criteria c
  redundancy_group ways
  min_available 1
}
define servicedependency {
  host_name web1
  service_description alive
  dependent_host_name web1
  dependent_service_description ssh
  notification_failure_criteria c,u
  execution_failure_criteria c
  redundancy_group ways
  min_available 1
}
define service {
  host_name gate,web1
  service_description alive
  check_command check_ping
  max_check_attempts 2
  contacts ann
}
";

#[test]
fn a_redundancy_group_of_a_tree_is_one_dependency_of_its_export_and_reads_back() {
    let folder = tree(&[("objects/b.cfg", REDUNDANT)]);
    let loaded = loaded(&folder.path().join("nagios.cfg"));
    let groups = |catalog: &stentor_core::catalog::Catalog| -> Vec<String> {
        let rules = catalog.nagios.dependencies.iter().filter_map(|rule| Some((rule, rule.redundancy.as_ref()?)));
        let mut all: Vec<String> = rules
            .map(|(rule, group)| {
                let (on, of) = (catalog.object_key(rule.master), catalog.object_key(rule.dependent));
                format!(
                    "{} {} {on:?} {of:?} {:?} {:?}",
                    group.name, group.min_available, rule.execution, rule.notification
                )
            })
            .collect();
        all.sort();
        all
    };
    assert_eq!(groups(&loaded.catalog).len(), 4, "two masters, for checks and for notifications");
    let export = export::export(&loaded.catalog, "nagios.cfg");
    assert!(!export.lost.iter().any(|lost| lost.contains("dependency")), "{:?}", export.lost);
    let to = tempfile::tempdir().unwrap();
    std::fs::create_dir(to.path().join("conf.d")).unwrap();
    for (name, text) in &export.files {
        std::fs::write(to.path().join(name), text).unwrap();
    }
    let people = &export.files.iter().find(|(name, _)| name.ends_with("people.toml")).unwrap().1;
    assert_eq!(people.matches("min_available = 1").count(), 2, "{people}");
    let read = self::loaded(&to.path().join("stentor.toml"));
    assert_eq!(groups(&read.catalog), groups(&loaded.catalog));
}

#[test]
fn a_tree_becomes_hosts_services_and_their_directives() {
    let folder = tree(&[]);
    let loaded = loaded(&folder.path().join("nagios.cfg"));
    let catalog = &loaded.catalog;
    let web1 = catalog.host_id("web1").unwrap();
    let ping = catalog.service_id("web1", "ping").unwrap();
    assert_eq!(catalog.hosts[web1.index()].parents, [catalog.host_id("gate").unwrap()]);
    let check = catalog.check_of(ObjectId::Service(ping)).unwrap();
    assert_eq!((check.every, check.retry, check.attempts), (Span::from_secs(30), Span::from_secs(5), 2));
    assert_eq!((&*check.probe, check.timeout), (COMMAND_PROBE, Span::from_secs(20)));
    assert_eq!(check.params.map().unwrap().get(COMMAND_PARAM).and_then(Value::text), Some("check_ping!200,40%"));
    let directives = catalog.nagios.directives(ObjectId::Service(ping)).unwrap();
    assert!(directives.volatile);
    assert_eq!(directives.contacts, [ContactId(0)], "recipients of the host");
    assert_eq!(directives.notification_interval, Span::from_secs(300), "interval of the host");
    assert_eq!(catalog.nagios.appearance(ObjectId::Host(web1)).unwrap().vars["RACK"], "R7".into());
    let ann = catalog.nagios.contacts[0].as_ref().unwrap();
    assert_eq!(ann.service.options, Options::OK | Options::CRITICAL | Options::RECOVERY);
    assert_eq!(ann.host.options, Options::OK | Options::DOWN | Options::UNREACHABLE | Options::RECOVERY);
    assert_eq!(catalog.timeperiods[0].name, "never".into());
    assert_eq!((catalog.timeperiods[1].exceptions.len(), catalog.timeperiods[1].exclude.len()), (1, 1));
    assert_eq!(&*catalog.timeperiods[1].zone, "Europe/Amsterdam");
    assert_eq!(catalog.nagios.program.user_macros[&1], "/usr/lib/nagios/plugins".into());
    assert!(catalog.nagios.program.enable_flap_detection);
}

#[test]
fn a_tree_in_latin_1_is_read_as_such_from_its_main_file_on() {
    let folder = tree(&[]);
    let main = folder.path().join("nagios.cfg");
    let text = ["# f\u{fc}r Z\u{fc}rich\n", MAIN, "admin_email=r\u{fc}t@example.net\n"].concat();
    std::fs::write(&main, text.chars().map(|c| c as u8).collect::<Vec<_>>()).unwrap();
    let loaded = loaded(&main);
    assert_eq!(&*loaded.catalog.nagios.program.admin_email, "r\u{fc}t@example.net");
    assert!(loaded.warnings.to_string().contains("Latin-1"), "{}", loaded.warnings);
    std::fs::write(&main, b"[server]\nlisten = \"\xff\"\n").unwrap();
    assert!(load(&main).unwrap_err().to_string().contains("it is not UTF-8"));
}

#[test]
fn rules_and_groups_are_found_by_their_objects() {
    let folder = tree(&[]);
    let loaded = loaded(&folder.path().join("nagios.cfg"));
    let nagios = &loaded.catalog.nagios;
    let ssh = ObjectId::Service(loaded.catalog.service_id("web1", "ssh").unwrap());
    let ping = ObjectId::Service(loaded.catalog.service_id("web1", "ping").unwrap());
    let rule = &nagios.dependencies[nagios.index.dependencies[&ssh][0] as usize];
    assert_eq!((rule.master, rule.notification), (ping, Options::CRITICAL | Options::UNKNOWN));
    assert!(rule.execution.is_empty());
    let escalation = &nagios.escalations[nagios.index.escalations[&ssh][0] as usize];
    assert_eq!((escalation.first, escalation.last, escalation.options), (2, 0, Options::CRITICAL));
    assert_eq!(escalation.contacts, [ContactId(0)]);
    assert_eq!(nagios.index.groups_of_host[&loaded.catalog.host_id("web1").unwrap()].len(), 1);
}

#[test]
fn the_shell_finds_its_files_beside_the_main_file() {
    let folder = tree(&[]);
    let loaded = loaded(&folder.path().join("nagios.cfg"));
    let settings = loaded.nagios.unwrap();
    assert_eq!(settings.log_file, Some(folder.path().join("var/nagios.log")));
    assert_eq!(settings.state_folder(), Some(folder.path().join("var")));
    assert!(loaded.settings.storage.url.ends_with("var/stentor.db"), "{}", loaded.settings.storage.url);
}

#[test]
fn both_worlds_mix() {
    let toml = r#"
        [nagios]
        config = "nagios.cfg"
        notify = "incidents"
        [[host]]
        name = "db1"
        address = "192.0.2.20"
        parents = ["gate"]
        [[service]]
        host = "web1"
        name = "true"
        probe = "exec"
        params = { command = "/bin/true" }
        [[contact]]
        name = "boss"
        email = "boss@example.org"
        period = "work"
        [[route]]
        to = ["boss", "ann"]
        [notifier.email]
        host = "localhost"
        from = "stentor@example.org"
    "#;
    let folder = tree(&[("stentor.toml", toml)]);
    let loaded = loaded(&folder.path().join("stentor.toml"));
    let catalog = &loaded.catalog;
    let own = catalog.service_id("web1", "true").unwrap();
    assert_eq!(catalog.nagios.member(ObjectId::Service(own)), None);
    let db1 = catalog.host_id("db1").unwrap();
    assert_eq!(catalog.nagios.member(ObjectId::Host(db1)), None);
    assert_eq!(catalog.hosts[db1.index()].parents, [catalog.host_id("gate").unwrap()]);
    assert_eq!(catalog.contacts[1].period, Some(stentor_core::id::TimeperiodId(1)));
    assert_eq!(catalog.routes[0].to, [ContactId(1), ContactId(0)]);
    assert!(!catalog.nagios.program.notify_exact);
}

#[test]
fn what_is_wrong_in_a_tree_is_shown_with_its_place() {
    let wrong = "define host {\n  use generic\n  host_name web2\n  parents gaet\n}\n";
    let folder = tree(&[("objects/b.cfg", wrong)]);
    let found = load(&folder.path().join("nagios.cfg")).unwrap_err();
    let line = found.json_lines().into_iter().find(|line| line.contains("\"level\":\"error\"")).unwrap();
    assert!(line.contains("b.cfg") && line.contains("\"line\":4") && line.contains("did you mean `gate`?"), "{line}");
}

const CLOUD: &str = r#"
    [nagios]
    config = "nagios.cfg"
    [[cloud]]
    name = "euca"
    platform = "eucalyptus"
    min_nc = 1
    [[zone]]
    name = "one"
    cloud = "euca"
"#;

const CLOUD_HOSTS: &str = r"
define host {
  use generic
  host_name clc1
  address 192.0.2.30
  _STENTOR_COMPONENTS eucalyptus/clc, eucalyptus/walrus
  _STENTOR_CLOUD euca
}
define host {
  use generic
  host_name cc1
  address 192.0.2.31
  _STENTOR_COMPONENTS eucalyptus/cc
  _STENTOR_ZONE one
}
define service {
  host_name clc1
  service_description clc port
  check_command check_ping
  max_check_attempts 2
}
";

#[test]
fn imported_hosts_name_their_components_and_get_the_checks_of_the_packs() {
    let toml = format!(
        "{CLOUD}\n[[host]]\nname = \"nc1\"\naddress = \"192.0.2.40\"\nzone = \"one\"\ncomponents = [\"eucalyptus/nc\"]\n\
         [[service]]\nhost = [\"clc1\", \"nc1\"]\nname = \"own\"\ncommand = \"check_ping!100!200\"\nevery = \"30s\"\n"
    );
    let folder = tree(&[("stentor.toml", &toml), ("objects/cloud.cfg", CLOUD_HOSTS)]);
    let loaded = loaded(&folder.path().join("stentor.toml"));
    let catalog = &loaded.catalog;
    let host = |name: &str| &catalog.hosts[catalog.host_id(name).unwrap().index()];
    let names = |name: &str| -> Vec<&str> {
        host(name).services.iter().map(|id| &*catalog.services[id.index()].name).collect()
    };
    assert_eq!(names("clc1"), ["clc port", "clc heartbeat", "clc db", "walrus port", "walrus heartbeat", "own"]);
    assert_eq!(&names("cc1")[..1], ["cc port"]);
    assert!(names("nc1").contains(&"nc port"), "{:?}", names("nc1"));
    let imported = catalog.service_id("clc1", "clc port").unwrap();
    assert!(catalog.nagios.member(ObjectId::Service(imported)).is_some(), "a service of that name stays its own");
    let found = loaded.warnings.json_lines().into_iter().find(|line| line.contains("\"duplicate\"")).unwrap();
    assert!(found.contains("cloud.cfg") && found.contains("clc port"), "{found}");
    let heartbeat = catalog.service_id("clc1", "clc heartbeat").unwrap();
    assert_eq!(catalog.nagios.member(ObjectId::Service(heartbeat)), None, "the pack's is Stentor's own");
    assert_eq!(&*catalog.zones[host("cc1").zone.index()].name, "one");
    let topology = &catalog.clouds[0].topology;
    assert_eq!(topology.hosts["clc1"], ["clc".into(), "walrus".into()]);
    assert_eq!(topology.zones["one"], ["cc1".into(), "nc1".into()]);
    assert_eq!(catalog.clouds[0].hosts.len(), 3);
    let of_host = catalog.check_of(ObjectId::Host(catalog.host_id("clc1").unwrap())).unwrap();
    assert_eq!(of_host.signals.iter().map(|signal| &*signal.sig).collect::<Vec<_>>(), ["ping"]);
    let elsewhere = catalog.check_of(ObjectId::Host(catalog.host_id("gate").unwrap())).unwrap();
    assert!(elsewhere.signals.is_empty(), "a host of no cloud tells no classifier");
}

#[test]
fn a_service_of_toml_may_use_a_nagios_command() {
    let toml = "[nagios]\nconfig = \"nagios.cfg\"\n[[host]]\nname = \"db1\"\n\
                [[service]]\nhost = \"db1\"\nname = \"own\"\ncommand = \"check_ping!100!200\"\nattempts = 2\n";
    let folder = tree(&[("stentor.toml", toml)]);
    let loaded = loaded(&folder.path().join("stentor.toml"));
    let own = loaded.catalog.service_id("db1", "own").unwrap();
    let check = loaded.catalog.check_of(ObjectId::Service(own)).unwrap();
    assert_eq!((&*check.probe, &*check.name, check.attempts), (COMMAND_PROBE, "check_ping!100!200", 2));
    assert_eq!(check.params.map().unwrap().get(COMMAND_PARAM).and_then(Value::text), Some("check_ping!100!200"));
}

#[test]
fn a_component_zone_cloud_or_command_that_does_not_exist_is_shown_with_its_place() {
    for (from, to, place, message) in [
        ("eucalyptus/walrus", "eucalyptus/warlus", ("cloud.cfg", 6, 3), "unknown component `eucalyptus/warlus`"),
        ("_STENTOR_CLOUD euca", "_STENTOR_CLOUD uca", ("cloud.cfg", 7, 3), "unknown cloud `uca`"),
        ("_STENTOR_ZONE one", "_STENTOR_ZONE two", ("cloud.cfg", 14, 3), "unknown zone `two`"),
        ("eucalyptus/cc", "eucalyptus/cc,eucalyptus/cc", ("cloud.cfg", 13, 3), "twice on one host"),
        ("!100!200", "_!100", ("stentor.toml", 16, 11), "unknown command `check_ping_`"),
    ] {
        let toml =
            format!("{CLOUD}[[service]]\nhost = \"clc1\"\nname = \"own\"\n\n\ncommand = \"check_ping!100!200\"\n");
        let folder =
            tree(&[("stentor.toml", &toml.replace(from, to)), ("objects/cloud.cfg", &CLOUD_HOSTS.replace(from, to))]);
        let found = load(&folder.path().join("stentor.toml")).unwrap_err();
        assert_eq!(found.errors(), 1, "{found}");
        let finding = found.findings.iter().find(|finding| finding.level == crate::config::Level::Error).unwrap();
        assert!(finding.message.contains(message), "{found}");
        let (line, column) = found.line_column(&finding.place);
        let file = found.files[finding.place.file].path.file_name().unwrap().to_str().unwrap();
        assert_eq!((file, line, column), place, "{found}");
    }
}
