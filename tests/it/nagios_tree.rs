//! A Nagios tree, run by the real service: plugins, notification commands and event handlers of contacts and objects,
//! `nagios.log`, the command pipe, and a reload in the middle of a problem.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::running::{Running, until};

pub const MAIN: &str = "cfg_dir=objects\nresource_file=resource.cfg\ninterval_length=1\nlog_file=var/nagios.log\n\
                    command_file=var/nagios.cmd\ncheck_external_commands=1\nenable_event_handlers=1\n\
                    illegal_macro_output_chars=`~$&|'\"<>\nlog_service_retries=1\n";

/// Objects with commands that work inside of FOLDER.
const OBJECTS: &str = r#"
define command {
  command_name check_switch
  command_line $USER1$/check_switch $HOSTADDRESS$ "$ARG1$"
}
define command {
  command_name page
  command_line /usr/bin/printf "%s\n" "$NOTIFICATIONTYPE$ $HOSTNAME$/$SERVICEDESC$ $SERVICESTATE$ $CONTACTPAGER$ $SERVICEOUTPUT$" >> FOLDER/var/pages
}
define command {
  command_name handle
  command_line /usr/bin/printf "%s\n" "$SERVICESTATE$ $SERVICESTATETYPE$ $SERVICEATTEMPT$ $_HOSTRACK$" >> FOLDER/var/handled
}
define contact {
  contact_name ann
  pager 555
  host_notification_commands page
  service_notification_commands page
  host_notification_options d,u,r
  service_notification_options w,u,c,r
}
define host {
  host_name web1
  address 127.0.0.1
  max_check_attempts 2
  contacts ann
  _rack R7
}
define service {
  host_name web1
  service_description switch
  check_command check_switch!is $HOSTNAME$ on?
  max_check_attempts 2
  check_interval 1
  retry_interval 1
  notification_interval 0
  event_handler handle
}
define service {
  host_name web1
  service_description passive
  check_command check_switch
  active_checks_enabled 0
  max_check_attempts 3
  notification_interval 0
}
"#;

/// CRITICAL while a file `broken` lies beside it. What it prints must stay what it is: output.
const PLUGIN: &str = "#!/bin/sh\nif [ -e \"$(dirname \"$0\")/broken\" ]; then\n\
                      echo \"off \\$(touch pwned); \\`id\\` $1 $2 | level=3;5;9\"\nexit 2\nfi\necho \"on | level=7\"\n";

pub fn tree() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["objects", "plugins", "var"] {
        fs::create_dir(at(name)).unwrap();
    }
    let root = folder.path().display().to_string();
    fs::write(at("nagios.cfg"), MAIN).unwrap();
    fs::write(at("resource.cfg"), format!("$USER1$={root}/plugins\n")).unwrap();
    fs::write(at("objects/all.cfg"), OBJECTS.replace("FOLDER", &root)).unwrap();
    fs::write(at("plugins/check_switch"), PLUGIN).unwrap();
    fs::set_permissions(at("plugins/check_switch"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Lines of a file that is written meanwhile, without their times.
pub fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| line.split_once("] ").map_or(line, |(_, rest)| rest).to_owned()).collect()
}

pub async fn until_line(path: &Path, wanted: &str) {
    until(wanted, async || {
        let seen = lines(path);
        if seen.iter().any(|line| line.contains(wanted)) { Ok(()) } else { Err(seen) }
    })
    .await;
}

pub fn tell(folder: &Path, command: &str) {
    fs::write(folder.join("var/nagios.cmd"), format!("[1] {command}\n")).unwrap();
}

#[tokio::test]
async fn a_nagios_configuration_runs_unchanged() {
    let folder = tree();
    let root = folder.path().to_owned();
    let (log, pages) = (root.join("var/nagios.log"), root.join("var/pages"));
    let stentor = Running::serve("[nagios]\nconfig = \"nagios.cfg\"\n", folder).await;
    let state = async |service: &str, wanted: &str| {
        until(wanted, async || {
            let all = stentor.services().await;
            let seen =
                all.into_iter().find(|seen| seen["service"] == service).ok_or_else(|| Value::from("none yet"))?;
            if seen["state"] == wanted && seen["kind"] == "HARD" { Ok(seen) } else { Err(seen) }
        })
        .await
    };
    let seen = state("switch", "OK").await;
    assert_eq!(seen["perfdata"][0]["value"], 7.0, "{seen}");

    fs::write(root.join("plugins/broken"), "").unwrap();
    let seen = state("switch", "CRITICAL").await;
    assert_eq!(seen["output"], "off $(touch pwned); `id` 127.0.0.1 is web1 on?", "arguments came as one word each");
    // What the configuration calls illegal in output is left out of commands, and the rest is only text there.
    let told = "PROBLEM web1/switch CRITICAL 555 off (touch pwned): id 127.0.0.1 is web1 on?";
    until_line(&pages, told).await;
    until_line(&root.join("var/handled"), "CRITICAL SOFT 1 R7").await;
    until_line(&root.join("var/handled"), "CRITICAL HARD 2 R7").await;
    let alert = "SERVICE ALERT: web1;switch;CRITICAL;HARD;2;off $(touch pwned): `id` 127.0.0.1 is web1 on?";
    until_line(&log, alert).await;
    assert!(!root.join("pwned").exists() && !root.join("var/pwned").exists());

    // Why nobody is told again, by the stages themselves.
    let why = stentor.get("api/v1/hosts/web1/services/switch/notifications").await;
    let held = why["items"][0]["stages"].as_array().unwrap().iter().find(|stage| stage["decision"] == "hold");
    let reason = held.unwrap_or_else(|| panic!("{why}"))["reason"].as_str().unwrap();
    let page = stentor.text("h/web1/switch").await;
    assert!(page.contains("Nobody would be told") && page.contains(reason), "`{reason}` is not on the page");

    // One attempt of a passive service, then a reload: the attempts go on where they stood.
    tell(&root, "PROCESS_SERVICE_CHECK_RESULT;web1;passive;2;bad");
    until_line(&log, "SERVICE ALERT: web1;passive;CRITICAL;SOFT;1;bad").await;
    let objects = fs::read_to_string(root.join("objects/all.cfg")).unwrap();
    let more = "define service {\n host_name web1\n service_description later\n check_command check_switch\n\
                \n max_check_attempts 1\n check_interval 1\n}\n";
    fs::write(root.join("objects/all.cfg"), objects + more).unwrap();
    tell(&root, "RESTART_PROCESS");
    state("later", "CRITICAL").await;
    tell(&root, "PROCESS_SERVICE_CHECK_RESULT;web1;passive;2;bad");
    until_line(&log, "SERVICE ALERT: web1;passive;CRITICAL;SOFT;2;bad").await;

    fs::remove_file(root.join("plugins/broken")).unwrap();
    state("switch", "OK").await;
    until_line(&pages, "RECOVERY web1/switch OK 555 on").await;
    let of_switch = lines(&pages).into_iter().filter(|line| line.contains("web1/switch")).count();
    assert_eq!(of_switch, 2, "told once, and once that it is over: {:?}", lines(&pages));
    stentor.stop().await;
}

/// What Nagios left: `passive` failed for the second time of three, and somebody commented on its host.
const RETENTION: &str = "info {\ncreated=1\n}\nprogram {\nnext_comment_id=8\n}\n\
    service {\nhost_name=web1\nservice_description=passive\nhas_been_checked=1\ncurrent_state=2\nlast_hard_state=0\n\
    state_type=0\ncurrent_attempt=2\nplugin_output=bad before\nlast_check=1\nlast_state_change=1\n}\n\
    hostcomment {\nhost_name=web1\nentry_type=1\ncomment_id=7\nsource=1\npersistent=1\nentry_time=1\nauthor=joe\n\
    comment_data=rack moves\n}\n";

#[tokio::test]
async fn what_nagios_left_is_taken_over_once_and_its_files_go_on() {
    use stentor_wire::nagios::retention::{Kind, parse};
    let folder = tree();
    let root = folder.path().to_owned();
    let (log, status) = (root.join("var/nagios.log"), root.join("var/status.dat"));
    let files = "status_file=var/status.dat\nstatus_update_interval=1\nobject_cache_file=var/objects.cache\n\
                 state_retention_file=var/retention.dat\nretain_state_information=1\nlog_initial_states=1\n";
    fs::write(root.join("nagios.cfg"), format!("{MAIN}{files}")).unwrap();
    fs::write(root.join("var/retention.dat"), RETENTION).unwrap();
    // The block of the passive service, once it says so.
    let written = async |wanted: &str| {
        until(wanted, async || {
            let file = parse(&fs::read(&status).unwrap_or_default());
            let passive = file.of(Kind::Service).find(|block| block.text("service_description") == Some("passive"));
            let is_so = passive.is_some_and(|block| block.text("plugin_output") == Some(wanted));
            if is_so { Ok(file) } else { Err(file.complaints) }
        })
        .await
    };

    let stentor = Running::serve("[nagios]\nconfig = \"nagios.cfg\"\n", folder).await;
    let file = written("bad before").await;
    assert_eq!(file.complaints, []);
    assert_eq!(file.of(Kind::HostComment).next().unwrap().text("comment_data"), Some("rack moves"));
    assert!(fs::read_to_string(root.join("var/objects.cache")).unwrap().contains("\tservice_description\tpassive"));
    until_line(&log, "INITIAL SERVICE STATE: web1;passive;CRITICAL;SOFT;2;bad before").await;
    let first = lines(&log);
    assert!(first[0].starts_with("Stentor ") && first[0].contains(" starting... (PID="), "{first:?}");
    tell(&root, "PROCESS_SERVICE_CHECK_RESULT;web1;passive;2;bad again");
    until_line(&log, "SERVICE ALERT: web1;passive;CRITICAL;HARD;3;bad again").await;
    tell(&root, "DEL_HOST_COMMENT;7");
    until("the comment is gone", async || {
        let file = parse(&fs::read(&status).unwrap_or_default());
        if file.of(Kind::HostComment).next().is_none() { Ok(()) } else { Err("it is there") }
    })
    .await;
    tell(&root, "SHUTDOWN_PROCESS");
    let folder = stentor.ended().await;
    assert!(lines(&log).last().unwrap().starts_with("Successfully shutdown... (PID="), "{:?}", lines(&log).last());

    fs::remove_file(&status).unwrap();
    let config = root.join("stentor.toml").display().to_string();
    let mut again = crate::running::stentor(&["serve", "--config", &config], folder.path()).spawn().unwrap();
    let file = written("bad again").await;
    assert!(file.of(Kind::HostComment).next().is_none(), "taken over a second time");
    again.kill().await.unwrap();
}
