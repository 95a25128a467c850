//! Files of a Nagios tree that other tools read or leave: performance data, results, what Nagios itself would read when
//! it comes back. Written and read by the real service.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use stentor_wire::nagios::retention::{Block, File, Kind, parse};

use crate::nagios_tree::{MAIN, lines, tell, tree, until_line};
use crate::running::{Running, until};

const TOML: &str = "[nagios]\nconfig = \"nagios.cfg\"\n";

/// A tree whose `nagios.cfg` and objects say more.
fn tree_with(main: &str, objects: &str) -> tempfile::TempDir {
    let folder = tree();
    let root = folder.path().display().to_string();
    fs::write(folder.path().join("nagios.cfg"), format!("{MAIN}{}", main.replace("FOLDER", &root))).unwrap();
    fs::write(folder.path().join("objects/more.cfg"), objects.replace("FOLDER", &root)).unwrap();
    folder
}

/// What a command took away so far, and what still lies there.
fn rotated(spool: &Path, live: &Path) -> (usize, Vec<String>) {
    let mut names: Vec<_> = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().path()).collect();
    // `x.~2~` is the second of that second; the one without a number is the newest.
    names.sort_by_key(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (stem, number) = name
            .split_once(".~")
            .map_or((name.as_str(), u32::MAX), |(stem, number)| (stem, number.trim_end_matches('~').parse().unwrap()));
        (stem.to_owned(), number)
    });
    let text: String = names.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let live = fs::read_to_string(live).unwrap_or_default();
    (names.len(), text.lines().chain(live.lines()).map(str::to_owned).collect())
}

#[tokio::test]
async fn performance_data_are_rotated_by_their_command_and_none_is_lost() {
    let folder = tree_with(
        "process_performance_data=1\nservice_perfdata_file=var/service-perfdata\n\
         service_perfdata_file_template=$SERVICEDESC$\\t$SERVICEOUTPUT$\\t$SERVICEPERFDATA$\n\
         service_perfdata_file_processing_interval=1\nservice_perfdata_file_processing_command=take-away\n\
         service_perfdata_process_empty_results=0\nhost_perfdata_file=var/host-perfdata\nhost_perfdata_file_mode=p\n\
         host_perfdata_file_template=$HOSTNAME$ $HOSTPERFDATA$\n",
        "define command {\n command_name take-away\n command_line /bin/mv --backup=numbered \
         FOLDER/var/service-perfdata FOLDER/var/spool/perf.$TIMET$\n}\n",
    );
    let root = folder.path().to_owned();
    fs::create_dir(root.join("var/spool")).unwrap();
    // A pipe that nobody reads.
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, root.join("var/host-perfdata"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let stentor = Running::serve(TOML, folder).await;
    let (spool, live) = (root.join("var/spool"), root.join("var/service-perfdata"));
    let of_passive = || {
        let (files, all) = rotated(&spool, &live);
        (files, all.into_iter().filter(|line| line.starts_with("passive\t")).collect::<Vec<_>>())
    };
    let mut wanted = Vec::new();
    for round in 0..3 {
        let (before, _) = of_passive();
        for i in 0..100 {
            let number = round * 100 + i;
            // More than a pipe holds, so that its writer would stand still.
            tell(&root, &format!("PROCESS_HOST_CHECK_RESULT;web1;0;up|{}=1", "x".repeat(400)));
            tell(&root, &format!("PROCESS_SERVICE_CHECK_RESULT;web1;passive;0;costs 3$ `a`|n={number};5"));
            wanted.push(format!("passive\tcosts 3$ `a`\tn={number};5"));
        }
        tell(&root, "PROCESS_SERVICE_CHECK_RESULT;web1;passive;0;nothing measured");
        until("all is written, and taken away once more", async || {
            let (files, seen) = of_passive();
            if seen == wanted && files > before { Ok(()) } else { Err((files, seen.len(), seen.last().cloned())) }
        })
        .await;
    }
    // What the pipe holds are whole lines.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let pipe = fs::OpenOptions::new().read(true).custom_flags(flags).open(root.join("var/host-perfdata")).unwrap();
    let mut held = vec![0; 1 << 20];
    let count = std::io::Read::read(&mut &pipe, &mut held).unwrap();
    let held = String::from_utf8_lossy(&held[..count]).into_owned();
    assert!(held.lines().count() > 100 && held.lines().all(|line| line == format!("web1 {}=1", "x".repeat(400))));
    drop(stentor);
}

/// Files and switches that both programs understand, in FOLDER.
const SHARED: &str = "object_cache_file=FOLDER/var/objects.cache\nstatus_file=FOLDER/var/status.dat\n\
    status_update_interval=1\nlog_file=FOLDER/var/nagios.log\ncommand_file=FOLDER/var/nagios.cmd\n\
    check_external_commands=1\ninterval_length=1\ncfg_dir=FOLDER/objects\nresource_file=FOLDER/resource.cfg\n\
    check_result_path=FOLDER/var/spool\ncheck_result_reaper_frequency=1\nmax_check_result_file_age=60\n\
    lock_file=FOLDER/nagios.lock\ntemp_file=FOLDER/nagios.tmp\ntemp_path=FOLDER\nquery_socket=FOLDER/nagios.qh\n\
    state_retention_file=FOLDER/var/retention.dat\nretain_state_information=1\nretention_update_interval=60\n\
    use_retained_program_state=1\nlog_rotation_method=n\nenable_flap_detection=1\ncheck_workers=1\n";

/// Further objects: a service and a host whose checks are put aside, and another command for them.
const MORE: &str = "define command {\n command_name other\n command_line /bin/echo other $ARG1$ $HOSTNAME$\n}\n\
    define host {\n host_name web2\n address 127.0.0.1\n check_command check_switch!is\n check_interval 1\n\
    max_check_attempts 2\n}\n";

fn shared_tree(objects: &str) -> tempfile::TempDir {
    let folder = tree_with("", objects);
    let root = folder.path().display().to_string();
    // Nagios becomes somebody else unless it is told not to.
    let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let main = format!("{SHARED}nagios_user={user}\nnagios_group={group}\n");
    fs::write(folder.path().join("nagios.cfg"), main.replace("FOLDER", &root)).unwrap();
    fs::create_dir(folder.path().join("var/spool")).unwrap();
    folder
}

/// The block of an object in a file that is written meanwhile.
fn block(path: &Path, host: &str, service: Option<&str>) -> Option<Block> {
    let file = parse(&fs::read(path).unwrap_or_default());
    let kind = if service.is_some() { Kind::Service } else { Kind::Host };
    let is_it = |block: &&Block| block.text("host_name") == Some(host) && block.text("service_description") == service;
    file.of(kind).find(is_it).cloned()
}

async fn until_field(path: &Path, (host, service): (&str, Option<&str>), key: &str, wanted: &str) -> Block {
    until(wanted, async || {
        let found = block(path, host, service).ok_or_else(|| "no such block".to_owned())?;
        if found.text(key) == Some(wanted) { Ok(found) } else { Err(format!("{found:?}")) }
    })
    .await
}

/// A child that is ended with the test.
struct Child(std::process::Child);

impl Child {
    fn end(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.0.id().cast_signed()).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// The same tree under the Nagios of the distribution.
fn nagios(root: &Path) -> Child {
    let out = fs::File::create(root.join("out")).unwrap();
    let started = std::process::Command::new("nagios4").arg(root.join("nagios.cfg")).stdout(out).spawn();
    Child(started.expect("nagios4 is installed (Debian package nagios4-core)"))
}

#[tokio::test]
async fn an_administrator_can_go_back_to_nagios_and_finds_everything() {
    let folder = shared_tree("");
    let root = folder.path().to_owned();
    let objects = fs::read_to_string(root.join("objects/all.cfg")).unwrap();
    let checked = "  check_command check_switch\n  active_checks_enabled 0\n  _rack R7\n";
    fs::write(root.join("objects/all.cfg"), objects.replacen("  _rack R7\n", checked, 1)).unwrap();
    let (status, kept) = (root.join("var/status.dat"), root.join("var/retention.dat"));
    fs::write(&kept, "# of Nagios\n").unwrap();
    let passive = ("web1", Some("passive"));
    let stentor = Running::serve(TOML, folder).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    tell(&root, "PROCESS_HOST_CHECK_RESULT;web1;0;up: and running|rta=1ms");
    for attempt in 1..=4 {
        tell(&root, &format!("PROCESS_SERVICE_CHECK_RESULT;web1;passive;2;bad; {attempt}|n=1\\nlong a\\nlong b"));
    }
    until_field(&status, passive, "plugin_output", "bad: 4").await;
    for command in [
        "ACKNOWLEDGE_SVC_PROBLEM;web1;passive;2;0;1;joe;on it",
        &format!("SCHEDULE_HOST_DOWNTIME;web1;{now};{};1;0;0;joe;new disk", now + 3600),
        "ADD_SVC_COMMENT;web1;passive;1;ann;a remark; with more",
        "DISABLE_SVC_NOTIFICATIONS;web1;passive",
        "CHANGE_MAX_SVC_CHECK_ATTEMPTS;web1;switch;7",
        "CHANGE_CUSTOM_HOST_VAR;web1;RACK;R8",
        "STOP_EXECUTING_SVC_CHECKS",
        "SAVE_STATE_INFORMATION",
    ] {
        tell(&root, command);
    }
    until(
        "it is saved on command",
        async || if block(&kept, "web1", None).is_some() { Ok(()) } else { Err("not yet") },
    )
    .await;
    until_field(&status, ("web1", None), "scheduled_downtime_depth", "1").await;
    let kept_of_nagios = root.join("var/retention.dat.nagios");
    assert_eq!(fs::read_to_string(kept_of_nagios).unwrap(), "# of Nagios\n");
    let stats = std::process::Command::new("nagios4stats")
        .args(["-c", &root.join("nagios.cfg").display().to_string(), "--mrtg"])
        .args(["--data=NUMPSVSVCCHECKS15M,NUMPSVHSTCHECKS15M,NUMSVCCRIT,NUMHSTUP,NUMHSTDOWNTIME,NUMEXTCMDS15M"])
        .output()
        .expect("nagios4stats is installed (Debian package nagios4-core)");
    let stats = String::from_utf8_lossy(&stats.stdout).into_owned();
    let figures: Vec<u64> = stats.lines().filter_map(|line| line.parse().ok()).collect();
    // The file is of the second before, in which the last commands may be missing.
    assert_eq!(figures[..5], [4, 1, 1, 1, 1], "{stats}");
    assert!((5..=13).contains(&figures[5]), "{stats}");
    let folder = stentor.stop_and_keep().await;

    let log = lines(&root.join("var/nagios.log"));
    let [.., caught, done] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!(caught, "Caught SIGTERM, shutting down...");
    assert!(done.starts_with("Successfully shutdown... (PID="), "{done}");
    let ours = parse(&fs::read(&kept).unwrap());
    fs::remove_file(&status).unwrap();
    let mut theirs = nagios(&root);
    until_field(&status, passive, "plugin_output", "bad: 4").await;
    // Nagios enters the window again in its first second.
    until_field(&status, ("web1", None), "scheduled_downtime_depth", "1").await;
    let theirs_now = parse(&fs::read(&status).unwrap());
    theirs.end();
    same_in_both(&ours, &theirs_now);
    // And what Nagios keeps of it is what it was given.
    same_in_both(&parse(&fs::read(&kept).unwrap()), &theirs_now);
    drop(folder);
}

/// Every field that an administrator looks at.
fn same_in_both(ours: &File, theirs: &File) {
    let fields = "current_state last_hard_state plugin_output long_plugin_output performance_data last_check \
        current_attempt max_attempts state_type last_state_change last_notification current_notification_number \
        notifications_enabled problem_has_been_acknowledged acknowledgement_type modified_attributes is_flapping \
        current_problem_id current_event_id _RACK active_service_checks_enabled enable_notifications author comment \
        comment_data entry_time start_time end_time fixed triggered_by is_in_effect persistent entry_type source \
        last_host_notification last_service_notification downtime_id next_downtime_id \
        next_problem_id";
    let mut compared = 0;
    for kind in [
        Kind::Program,
        Kind::Host,
        Kind::Service,
        Kind::Contact,
        Kind::HostComment,
        Kind::ServiceComment,
        Kind::HostDowntime,
    ] {
        let name = |block: &Block| {
            let text = |key: &str| block.text(key).map(str::to_owned);
            (text("host_name"), text("service_description"))
        };
        // Nagios enters the comment of a downtime anew when it reads the downtime.
        let is_kept = |block: &&Block| block.text("entry_type") != Some("2");
        assert_eq!(ours.of(kind).filter(is_kept).count(), theirs.of(kind).filter(is_kept).count(), "{kind:?}");
        for mine in ours.of(kind).filter(is_kept) {
            let is_it =
                |block: &&Block| name(block) == name(mine) && block.text("comment_data") == mine.text("comment_data");
            let other = theirs.of(kind).filter(is_kept).find(is_it);
            let other = other.unwrap_or_else(|| panic!("nobody took over {mine:?}"));
            let whose = name(mine);
            for key in fields.split_whitespace() {
                if let (Some(mine), Some(other)) = (mine.text(key), other.text(key)) {
                    assert_eq!(mine, other, "{key} of {kind:?} {whose:?}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 80, "{compared}");
}

#[tokio::test]
async fn results_that_other_programs_leave_are_taken_in_and_wrong_ones_set_aside() {
    let folder = shared_tree("");
    let root = folder.path().to_owned();
    let (spool, status) = (root.join("var/spool"), root.join("var/status.dat"));
    let leave = |name: &str, text: &str| {
        fs::write(spool.join(name), text).unwrap();
        fs::write(spool.join(name).with_extension("ok"), "").unwrap();
    };
    let result = |output: &str| {
        format!(
            "file_time=1\n\nhost_name=web1\nservice_description=passive\ncheck_type=1\nreturn_code=1\noutput={output}\n\n"
        )
    };
    let stentor = Running::serve(TOML, folder).await;
    // Not whole yet, too old, garbage, and last, by its name, a good one.
    fs::write(spool.join("cAAAAA0"), result("is not whole")).unwrap();
    leave("cAAAAA1", &result("too old"));
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(120);
    fs::File::options().write(true).open(spool.join("cAAAAA1")).unwrap().set_modified(old).unwrap();
    leave("cAAAAA2", "\0\u{1b}garbage\n");
    leave("cAAAAA3", &result("good\\nand long|n=1"));
    until_field(&status, ("web1", Some("passive")), "plugin_output", "good").await;
    until("all but two are gone", async || {
        let mut left: Vec<_> = fs::read_dir(&spool).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        if left == ["cAAAAA0", "cAAAAA2.bad"] { Ok(()) } else { Err(left) }
    })
    .await;
    let log = fs::read_to_string(root.join("var/nagios.log")).unwrap();
    assert!(!log.contains("too old") && !log.contains("is not whole"), "{log}");
    fs::write(spool.join("cAAAAA0.ok"), "").unwrap();
    until_field(&status, ("web1", Some("passive")), "plugin_output", "is not whole").await;
    drop(stentor);
}

#[tokio::test]
async fn a_changed_check_command_is_what_runs_and_stays_over_a_restart() {
    let folder = shared_tree(MORE);
    let root = folder.path().to_owned();
    let status = root.join("var/status.dat");
    let (service, host) = (("web1", Some("switch")), ("web2", None));
    let stentor = Running::serve(TOML, folder).await;
    until_field(&status, service, "plugin_output", "on").await;
    until_field(&status, host, "plugin_output", "on").await;
    tell(&root, "CHANGE_SVC_CHECK_COMMAND;web1;switch;other!one");
    tell(&root, "CHANGE_HOST_CHECK_COMMAND;web2;other!two");
    tell(&root, "CHANGE_SVC_CHECK_COMMAND;web1;switch;nowhere!x");
    let changed = async || {
        let of_service = until_field(&status, service, "plugin_output", "other one web1").await;
        assert_eq!(of_service.text("check_command"), Some("other!one"));
        assert_eq!(of_service.text("modified_attributes"), Some("512"));
        let of_host = until_field(&status, host, "plugin_output", "other two web2").await;
        assert_eq!(of_host.text("check_command"), Some("other!two"));
        assert_eq!(of_host.text("modified_attributes"), Some("512"));
        of_service.value::<i64>("last_check").unwrap()
    };
    let before = changed().await;
    until_line(
        &root.join("var/nagios.log"),
        "External command failed -> CHANGE_SVC_CHECK_COMMAND;web1;switch;nowhere!x",
    )
    .await;
    let folder = stentor.stop_and_keep().await;
    fs::remove_file(&status).unwrap();
    let config = root.join("stentor.toml").display().to_string();
    let mut again = crate::running::stentor(&["serve", "--config", &config], folder.path()).spawn().unwrap();
    until("it runs after the restart", async || {
        let last = changed().await;
        if last > before + 1 { Ok(()) } else { Err(last) }
    })
    .await;
    again.kill().await.unwrap();
}
