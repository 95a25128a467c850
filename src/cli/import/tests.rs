//! Trees on disk to files that Stentor starts with.

use std::os::unix::fs::PermissionsExt;

use stentor_core::id::ObjectId;

use super::*;

const MAIN: &str = "cfg_file=objects.cfg\nresource_file=resource.cfg\ninterval_length=60\nuse_timezone=Europe/Berlin\n\
                    admin_email=root@example.org\nservice_check_timeout=20\nenable_flap_detection=1\n";

const OBJECTS: &str = r#"
define timeperiod {
  timeperiod_name work
  monday 09:00-12:00,13:00-17:00
  tuesday 09:00-12:00,13:00-17:00
  saturday 10:00-12:00
  sunday 00:00-00:00
  december 25 00:00-00:00
  friday -1 08:00-22:00
  exclude holidays
}
define timeperiod {
  timeperiod_name always
  monday 00:00-24:00
  tuesday 00:00-24:00
  wednesday 00:00-24:00
  thursday 00:00-24:00
  friday 00:00-24:00
  saturday 00:00-24:00
  sunday 00:00-24:00
}
define timeperiod {
  timeperiod_name holidays
  2027-05-03 - 2027-05-09 00:00-24:00
}
define command {
  command_name check-host-alive
  command_line $USER1$/check_ping -H $HOSTADDRESS$ -w 3000,80% -c 5000,100%
}
define command {
  command_name check_http
  command_line $USER1$/check_http -H $HOSTNAME$ -I $HOSTADDRESS$ -u "$ARG1$" -a $USER3$ -e '$$x' -k $_HOSTRACK$/$_SERVICEPORT$ $ARG9$
}
define command {
  command_name check_state
  command_line $USER1$/check_dummy $SERVICESTATEID$ $LASTSERVICECHECK$ $SERVICESTATEID$
}
define command {
  command_name check_args
  command_line $USER1$/check_dummy $ARG1$
}
define command {
  command_name notify-by-email
  command_line mail $CONTACTEMAIL$
}
define command {
  command_name page
  command_line page $CONTACTPAGER$
}
define contact {
  contact_name ann
  alias Ann B
  email ann@example.org
  pager 555
  host_notification_period work
  service_notification_period work
  host_notification_commands notify-by-email
  service_notification_commands notify-by-email,page
  host_notification_options d,u,r
  service_notification_options c,r
}
define contact {
  contact_name bob
  email bob
  host_notification_commands notify-by-email
  service_notification_commands notify-by-email
  host_notification_options d,u,r
  service_notification_options w,u,c,r
}
define contactgroup {
  contactgroup_name noc
  members ann
}
define host {
  host_name gate
  address 192.0.2.1
  check_command check-host-alive
  max_check_attempts 3
  check_interval 2
  retry_interval 1
  contact_groups noc
}
define host {
  host_name web1
  alias The "first" web
  display_name Web 1
  address web1.example.org
  parents gate
  max_check_attempts 3
  contacts bob
  notes rack 7
  _rack R7
}
define host {
  host_name bad
  address not an address
  max_check_attempts 3
  contacts bob
}
define service {
  host_name web1
  service_description http
  check_command check_http!/a b?x=$HOSTADDRESS$
  max_check_attempts 4
  check_interval 5
  retry_interval 0.5
  event_handler page
  check_period work
  notification_period always
  is_volatile 1
  _port 8080
}
define service {
  host_name web1
  service_description state
  check_command check_state
  max_check_attempts 4
}
define service {
  host_name web1
  service_description unused argument
  check_command check_args!1!$SERVICESTATE$
  max_check_attempts 4
}
define service {
  host_name web1
  service_description quotes
  check_command check_args!"unbalanced
  max_check_attempts 4
}
define service {
  host_name gate
  service_description traps
  check_command check_args!3
  active_checks_enabled 0
  check_freshness 1
  freshness_threshold 3600
  max_check_attempts 1
}
define service {
  host_name bad
  service_description any
  check_command check_args!0
  max_check_attempts 1
}
define serviceescalation {
  host_name web1
  service_description http
  first_notification 3
  last_notification 0
  contact_groups noc
}
define hostgroup {
  hostgroup_name webs
  members web1
}
"#;

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("nagios.cfg", MAIN),
        ("objects.cfg", OBJECTS),
        ("resource.cfg", "$USER1$=/usr/lib/nagios/plugins\n$USER3$=me:p@ss$word\n"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn import(from: &Path, to: &Path) -> anyhow::Result<String> {
    let mut out = Vec::new();
    run(&ImportArgs { from: from.to_owned(), to: to.to_owned() }, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn what_is_written_is_read_again_as_the_same_world() {
    let folder = tree();
    let to = folder.path().join("new");
    import(&folder.path().join("nagios.cfg"), &to).unwrap();
    let old = config::load(&folder.path().join("nagios.cfg")).unwrap().catalog;
    let loaded = config::load(&to.join("stentor.toml")).unwrap_or_else(|found| panic!("{found}"));
    let catalog = &loaded.catalog;
    let names: Vec<&str> = catalog.hosts.iter().map(|host| &*host.name).collect();
    assert_eq!(names, ["gate", "web1"]);
    let web1 = &catalog.hosts[catalog.host_id("web1").unwrap().index()];
    assert_eq!((&*web1.address, &*web1.display), ("web1.example.org", "Web 1"));
    assert_eq!(web1.parents, [catalog.host_id("gate").unwrap()]);
    assert!(web1.check.is_none(), "without a check_command a host is assumed to be UP");
    let of_gate = catalog.check_of(ObjectId::Host(catalog.host_id("gate").unwrap())).unwrap();
    assert_eq!((&*of_gate.probe, of_gate.every.to_string(), of_gate.attempts), ("ping", "2m".to_owned(), 3));
    let check = |host: &str, name: &str| {
        let id = catalog.service_id(host, name).unwrap_or_else(|| panic!("{host}/{name}"));
        catalog.check_of(ObjectId::Service(id)).unwrap()
    };
    let http = check("web1", "http");
    let command = http.params.map().unwrap()["command"].text().unwrap();
    assert_eq!(
        command,
        "/usr/lib/nagios/plugins/check_http -H $HOSTNAME$ -I $HOSTADDRESS$ -u \"/a b?x=$HOSTADDRESS$\" \
         -a me:p@ss$$word -e '$$x' -k R7/8080 "
    );
    assert_eq!((http.every.to_string(), http.retry.to_string(), http.attempts), ("5m".to_owned(), "30s".to_owned(), 4));
    assert_eq!(http.timeout.to_string(), "20s");
    assert_eq!(
        check("web1", "unused argument").params.map().unwrap()["command"].text(),
        Some("/usr/lib/nagios/plugins/check_dummy 1")
    );
    let traps = check("gate", "traps");
    assert_eq!((&*traps.probe, traps.freshness.to_string()), ("", "1h".to_owned()));
    assert_eq!(catalog.services.len(), 3);
    let period = |catalog: &stentor_core::catalog::Catalog, name: &str| {
        catalog.timeperiods.iter().find(|period| &*period.name == name).unwrap().clone()
    };
    for name in ["work", "holidays"] {
        let (new, old) = (period(catalog, name), period(&old, name));
        assert_eq!((new.zone, &new.exceptions), (old.zone, &old.exceptions), "{name}");
        for (new, old) in new.weekly.iter().zip(&old.weekly) {
            assert_eq!(*new, old.iter().copied().filter(|(start, end)| start < end).collect::<Vec<_>>(), "{name}");
        }
    }
    assert_eq!(period(catalog, "work").exclude.len(), 1);
    let ann = &catalog.contacts[catalog.index.contact["ann"].index()];
    assert_eq!((&*ann.display, ann.channels.get("email").map(|mail| &**mail)), ("Ann B", Some("ann@example.org")));
    let routes: Vec<_> = catalog.routes.iter().map(|route| (&*route.name, route.matcher.hosts.len())).collect();
    assert_eq!(routes, [("group noc", 1), ("contact bob", 1)]);
}

#[test]
fn what_has_no_equivalent_is_listed_and_stands_as_a_comment() {
    let folder = tree();
    let to = folder.path().join("new");
    let said = import(&folder.path().join("nagios.cfg"), &to).unwrap();
    let files = ["stentor.toml", "conf.d/hosts.toml", "conf.d/services.toml", "conf.d/people.toml"];
    let written: String = files.iter().map(|name| fs::read_to_string(to.join(name)).unwrap()).collect();
    assert!(!said.contains("notification_period always"), "a period that is always open is no loss: {said}");
    for (subject, what) in [
        ("the program", "enable_flap_detection"),
        ("host bad", "host bad: its name or its address not an address is refused"),
        ("host web1", "alias The \"first\" web"),
        ("host web1", "notes rack 7"),
        ("host web1", "_RACK R7"),
        ("service bad/any", "service bad/any: its host is not carried"),
        ("service web1/http", "event_handler page"),
        ("service web1/http", "is_volatile"),
        ("service web1/http", "check_period work"),
        (
            "service web1/state",
            "service web1/state with check_command check_state: its command needs $LASTSERVICECHECK$, $SERVICESTATEID$",
        ),
        ("contact ann", "pager or address 555"),
        ("contact ann", "service_notifications_options: only some states"),
        ("contact ann", "service_notification_commands page"),
        ("contact bob", "email bob: it is no mail address"),
        ("rules", "escalation of web1/http from 3 on: ann"),
        ("groups", "hostgroup webs"),
    ] {
        assert!(said.lines().any(|line| line == format!("not carried: {subject}: {what}")), "{what}\n{said}");
        assert!(written.lines().any(|line| line == format!("# not carried: {what}")), "{what}\n{written}");
    }
    assert!(said.lines().any(|line| line.starts_with("not carried: service web1/quotes")), "{said}");
    assert!(said.contains("2 of 3 hosts\n3 of 6 services\n3 of 3 timeperiods\n2 of 2 contacts\n"), "{said}");
}

#[test]
fn a_folder_with_anything_in_it_is_left_alone() {
    let folder = tree();
    let to = folder.path().join("new");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("mine"), "x").unwrap();
    let error = import(&folder.path().join("nagios.cfg"), &to).unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
}

#[test]
fn files_are_for_their_owner_only_and_an_empty_folder_will_do() {
    let folder = tree();
    let to = folder.path().join("new");
    fs::create_dir(&to).unwrap();
    import(&folder.path().join("nagios.cfg"), &to).unwrap();
    let mode = fs::metadata(to.join("conf.d/services.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_toml_file_or_a_wrong_tree_is_refused_and_nothing_is_written() {
    let folder = tree();
    let to = folder.path().join("new");
    fs::write(folder.path().join("x.toml"), "").unwrap();
    let error = import(&folder.path().join("x.toml"), &to).unwrap_err();
    assert!(error.to_string().contains("no Nagios configuration"), "{error}");
    fs::write(folder.path().join("objects.cfg"), OBJECTS.replace("parents gate", "parents gaet")).unwrap();
    let error = import(&folder.path().join("nagios.cfg"), &to).unwrap_err();
    assert!(error.to_string().contains("did you mean `gate`?"), "{error}");
    assert!(!to.exists());
}
