//! The configuration that Debian ships with Nagios: verified as it lies there, and run, its folders moved to where a
//! test may write. The plugins are Debian's as well; only the mail program is one of our own, which keeps what it is
//! given.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;

use stentor::clock::Clock;
use stentor_core::Timestamp;
use stentor_wire::nagios::retention::{Kind, parse};
use tempfile::TempDir;
use tokio::process::Command;

use crate::running::{Running, stentor, until};

const ETC: &str = "/etc/nagios4";
/// Services of the sample, and what their plugins' output begins with, whatever they find.
const SERVICES: [(&str, &[&str]); 8] = [
    ("Current Load", &["LOAD "]),
    ("Current Users", &["USERS "]),
    ("HTTP", &["HTTP ", "connect to address"]),
    ("PING", &["PING "]),
    ("Root Partition", &["DISK "]),
    ("SSH", &["SSH ", "connect to address"]),
    ("Swap Usage", &["SWAP "]),
    ("Total Processes", &["PROCS "]),
];
/// Where the main file, the objects and its resources go, and where the rest.
const MOVED: [(&str, &str); 5] = [
    ("/etc/nagios4", "etc"),
    ("/var/lib/nagios4", "var"),
    ("/var/log/nagios4", "log"),
    ("/var/run/nagios4", "run"),
    ("/usr/bin/mail", "mail"),
];
/// Keeps its arguments and its input, each mail in a file of its own.
const MAIL: &str = "#!/bin/sh\n{ printf '%s\\n' \"$@\"; cat; } > FOLDER/mails/$$.part\n\
                    mv FOLDER/mails/$$.part FOLDER/mails/$$.mail\n";

fn copy(from: &Path, to: &Path, change: &dyn Fn(&str) -> String) {
    fs::create_dir_all(to).unwrap();
    let entries = fs::read_dir(from).unwrap_or_else(|error| {
        panic!("{}: {error}; nagios4-common is installed by `scripts/test peers`", from.display())
    });
    for entry in entries {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target, change);
        } else {
            fs::write(target, change(&fs::read_to_string(&path).unwrap())).unwrap();
        }
    }
}

/// The sample with its folders below a new one.
fn moved() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display().to_string();
    let change =
        |text: &str| MOVED.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, &format!("{root}/{to}")));
    copy(Path::new(ETC), &folder.path().join("etc"), &change);
    for name in ["var/rw", "var/spool/checkresults", "log/archives", "run", "mails"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("mail"), MAIL.replace("FOLDER", &root)).unwrap();
    fs::set_permissions(folder.path().join("mail"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[tokio::test]
async fn the_sample_configuration_of_debian_verifies_without_a_warning() {
    let folder = moved();
    let main = folder.path().join("etc/nagios.cfg");
    // Switches, printers and Windows machines are there too, to be switched on.
    let all = fs::read_to_string(&main).unwrap().replace("\n#cfg_file=", "\ncfg_file=");
    let with_all = folder.path().join("etc/all.cfg");
    fs::write(&with_all, all).unwrap();
    for (path, hosts) in [(Path::new(ETC).join("nagios.cfg"), 1), (with_all, 4)] {
        let path = path.display().to_string();
        let verified = stentor(&["verify", "--config", &path], folder.path()).output().await.unwrap();
        let said = text(&verified);
        assert!(verified.status.success() && said.contains("Total Warnings: 0\nTotal Errors: 0\n"), "{path}: {said}");
        assert!(said.lines().any(|line| line.trim() == format!("{hosts} hosts")), "{path}: {said}");
    }
}

fn now() -> i64 {
    Clock::Machine.now().as_secs()
}

/// The mails so far, arguments first.
fn mails(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("mails")).unwrap().map(|entry| entry.unwrap().path());
    let whole = entries.filter(|path| path.extension().is_some_and(|extension| extension == "mail"));
    whole.map(|path| fs::read_to_string(path).unwrap()).collect()
}

async fn until_mail(folder: &Path, subject: &str) -> String {
    until(subject, async || {
        let mails = mails(folder);
        mails.iter().find(|mail| mail.contains(subject)).cloned().ok_or(mails)
    })
    .await
}

#[tokio::test]
async fn the_sample_configuration_of_debian_runs() {
    let folder = moved();
    let root = folder.path().to_owned();
    let stentor = Running::serve("[nagios]\nconfig = \"etc/nagios.cfg\"\n", folder).await;
    let lock = fs::read_to_string(root.join("run/nagios4.pid")).unwrap();
    assert!(Path::new("/proc").join(lock.trim()).exists(), "{lock}");

    let seen = until("every plugin has run", async || {
        let services = stentor.services().await;
        let pending = services.iter().filter(|service| service["state"] == "PENDING").count();
        if services.len() == SERVICES.len() && pending == 0 { Ok(services) } else { Err(services) }
    })
    .await;
    for (name, words) in SERVICES {
        let service = seen.iter().find(|service| service["service"] == name).unwrap_or_else(|| panic!("no {name}"));
        let output = service["output"].as_str().unwrap();
        assert!(words.iter().any(|word| output.starts_with(word)), "{name}: {output}");
    }
    until("status.dat shows them", async || {
        let file = parse(&fs::read(root.join("var/status.dat")).unwrap_or_default());
        let checked = file.of(Kind::Service).filter(|block| block.text("has_been_checked") == Some("1")).count();
        if checked == SERVICES.len() && file.complaints.is_empty() { Ok(()) } else { Err(checked) }
    })
    .await;

    // Four bad results in a row are a problem, and a real check ends it.
    let pipe = root.join("var/rw/nagios.cmd");
    let tell = |command: &str| fs::write(&pipe, format!("[{}] {command}\n", now())).unwrap();
    tell("DISABLE_SVC_CHECK;localhost;Current Users");
    // Commands have whole seconds: a result of the second of a check would be older than that.
    let checked = stentor.service("localhost", "Current Users").await["last_check"].as_str().unwrap().to_owned();
    let checked = Timestamp::from_rfc3339(&checked).unwrap();
    until("a second after its check", async || if now() > checked.as_secs() { Ok(()) } else { Err(now()) }).await;
    for attempt in 1..=4 {
        tell("PROCESS_SERVICE_CHECK_RESULT;localhost;Current Users;2;USERS CRITICAL - `many` of $them|users=4711;;;");
        until("an attempt more", async || {
            let seen = stentor.service("localhost", "Current Users").await;
            if seen["attempt"] == attempt && seen["state"] == "CRITICAL" { Ok(()) } else { Err(seen) }
        })
        .await;
    }
    let mail = until_mail(&root, "** PROBLEM Service Alert: localhost/Current Users is CRITICAL **").await;
    let wanted = ["nagios@localhost\n***** Nagios *****\n", "Notification Type: PROBLEM\n", "Address: 127.0.0.1\n"];
    for words in wanted.into_iter().chain(["Additional Info:\n\nUSERS CRITICAL - many of them\n"]) {
        assert!(mail.contains(words), "`{words}` is not in {mail}");
    }
    tell("SCHEDULE_FORCED_SVC_CHECK;localhost;Current Users;1");
    until_mail(&root, "** RECOVERY Service Alert: localhost/Current Users is OK **").await;
    assert_eq!(mails(&root).iter().filter(|mail| mail.contains("Current Users")).count(), 2);

    let second = second_one(&root).await;
    assert!(!second.status.success() && text(&second).contains(lock.trim()), "{}", text(&second));
    stentor.stop().await;
    assert!(!root.join("run/nagios4.pid").exists() && !pipe.exists());
}

/// Another service with a state of its own on the same tree.
async fn second_one(root: &Path) -> Output {
    let config = root.join("second.toml");
    let rest = "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\nurl = \"sqlite:second.db\"\njournal = \"second\"\n";
    fs::write(&config, format!("[nagios]\nconfig = \"etc/nagios.cfg\"\n{rest}")).unwrap();
    stentor(&["serve", "--config", &config.display().to_string()], root).output().await.unwrap()
}

/// Its state belongs to whom the configuration names, so it was that user's process which made it. Whether it can listen
/// where it would without a configuration of its own depends on the machine, and does not matter here.
#[tokio::test]
async fn started_as_root_it_goes_on_as_the_user_of_the_configuration() {
    let folder = moved();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("stentor");
    fs::hard_link(env!("CARGO_BIN_EXE_stentor"), &program)
        .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_stentor"), &program).map(drop))
        .unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let wanted = if is_root { owner_of_nobody().await } else { rustix::process::geteuid().as_raw() };
    let config = folder.path().join("nagios.cfg");
    let main = "cfg_file=etc/objects/commands.cfg\ncfg_file=etc/objects/contacts.cfg\n\
                cfg_file=etc/objects/timeperiods.cfg\ncfg_file=etc/objects/templates.cfg\n\
                cfg_file=etc/objects/localhost.cfg\ncfg_dir=/etc/nagios-plugins/config\nresource_file=etc/resource.cfg\nexecute_service_checks=0\n\
                execute_host_checks=0\nlog_file=state/nagios.log\nnagios_user=nobody\nnagios_group=nogroup\n";
    fs::write(&config, main).unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    let mut child = Command::new(&program);
    child.args(["serve", "--config"]).arg(&config).kill_on_drop(true);
    let mut child = child.spawn().unwrap();
    let journal: PathBuf = state.join("journal/lock");
    let owner = until("it has its journal", async || fs::metadata(&journal).map(|found| found.uid())).await;
    assert_eq!(owner, wanted);
    child.kill().await.unwrap();
}

async fn owner_of_nobody() -> u32 {
    let said = Command::new("id").args(["-u", "nobody"]).output().await.unwrap();
    String::from_utf8_lossy(&said.stdout).trim().parse().unwrap()
}
