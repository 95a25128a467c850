//! The command pipe of a running Stentor: a flood of results with garbage in it, commands, and a stop asked for there.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use stentor::clock::Clock;

use super::running::{Running, alone, stentor, until};

const HOSTS: usize = 20;
const RESULTS: usize = 50_000;
/// One line of garbage after this many results.
const GARBAGE_EVERY: usize = 100;
/// Services that every host with an agent has: nobody looks at them here but those who write to the pipe.
const SERVICES: [&str; 5] = ["disk", "load", "memory", "processes", "uptime"];

fn config() -> String {
    let mut config = String::from("[nagios]\ncommand_file = \"nagios.cmd\"\n");
    for i in 0..HOSTS {
        let host = format!("name = \"h{i}\"\naddress = \"192.0.2.{i}\"\nview = \"agent\"\ncheck = \"none\"");
        writeln!(config, "[[host]]\n{host}").unwrap();
    }
    config
}

fn now() -> i64 {
    Clock::Machine.now().as_secs()
}

/// What no sane program writes, and what sane ones get wrong.
fn garbage(i: usize) -> Vec<u8> {
    match i % 7 {
        0 => b"\xff\xfe\x00\x1b[2J\x80garbage\n".to_vec(),
        1 => format!("[{}] MAKE_COFFEE;h1;now\n", now()).into_bytes(),
        2 => format!("[{}] PROCESS_SERVICE_CHECK_RESULT;nowhere;disk;0;x\n", now()).into_bytes(),
        3 => format!("[{}] PROCESS_SERVICE_CHECK_RESULT;h1\n", now()).into_bytes(),
        4 => [vec![b'x'; 300_000], b"\n".to_vec()].concat(),
        5 => b"PROCESS_SERVICE_CHECK_RESULT;h1;disk;2;without its time\n".to_vec(),
        _ => format!("[{}] PROCESS_FILE;/nowhere/at/all;0\n", now()).into_bytes(),
    }
}

/// Writes as many lines at once as programs do, in pieces that end anywhere.
fn flood(pipe: &Path) {
    let mut pipe = OpenOptions::new().write(true).open(pipe).unwrap();
    let mut bytes = Vec::new();
    for i in 0..RESULTS {
        let (host, service) = (i % HOSTS, SERVICES[(i / HOSTS) % SERVICES.len()]);
        let name = if i % 3 == 0 { format!("192.0.2.{host}") } else { format!("h{host}") };
        let line =
            format!("[{}] PROCESS_SERVICE_CHECK_RESULT;{name};{service};0;fine; number {i}|n={i}\\nmore\n", now());
        bytes.extend_from_slice(line.as_bytes());
        if i % GARBAGE_EVERY == GARBAGE_EVERY - 1 {
            bytes.extend_from_slice(&garbage(i / GARBAGE_EVERY));
        }
        if bytes.len() > 64 * 1024 {
            pipe.write_all(&bytes).unwrap();
            bytes.clear();
        }
    }
    pipe.write_all(&bytes).unwrap();
}

fn say(pipe: &Path, command: &str) {
    let mut pipe = OpenOptions::new().write(true).open(pipe).unwrap();
    pipe.write_all(format!("[{}] {command}\n", now()).as_bytes()).unwrap();
}

async fn figure(stentor: &Running, name: &str) -> u64 {
    let text = stentor.text("metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or_else(|| panic!("no {name}")) as u64
}

#[tokio::test]
async fn a_flooded_pipe_loses_no_result_and_garbage_disturbs_nothing() {
    let _alone = alone().await;
    let stentor = Running::serve(&config(), tempfile::tempdir().unwrap()).await;
    let pipe: PathBuf = stentor.folder.path().join("nagios.cmd");
    let found = std::fs::metadata(&pipe).unwrap();
    assert!(found.file_type().is_fifo());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);

    let begun = Instant::now();
    let writer = tokio::task::spawn_blocking({
        let pipe = pipe.clone();
        move || flood(&pipe)
    });
    let refused = (RESULTS / GARBAGE_EVERY) as u64;
    until("every line is taken or refused", async || {
        let taken = figure(&stentor, "stentor_nagios_passive_results_total").await;
        let wrong = figure(&stentor, "stentor_nagios_commands_refused_total").await;
        if (taken, wrong) == (RESULTS as u64, refused) { Ok(()) } else { Err((taken, wrong)) }
    })
    .await;
    println!("{RESULTS} results in {:.2} s", begun.elapsed().as_secs_f64());
    writer.await.unwrap();

    let last = RESULTS - 1;
    let (host, service) = (format!("h{}", last % HOSTS), SERVICES[(last / HOSTS) % SERVICES.len()]);
    until("the last result is applied", async || {
        let seen = stentor.service(&host, service).await;
        if seen["output"] == format!("fine; number {last}") { Ok(()) } else { Err(seen) }
    })
    .await;
    assert_eq!(stentor.services().await.iter().filter(|seen| seen["state"] == "OK").count(), HOSTS * SERVICES.len());

    say(&pipe, &format!("SCHEDULE_HOST_DOWNTIME;h3;{};{};1;0;0;ann;new disks", now(), now() + 3600));
    until("a downtime is planned", async || {
        let text = stentor.text("api/v1/downtimes").await;
        if text.contains("new disks") { Ok(()) } else { Err(text) }
    })
    .await;

    let commands = stentor.folder.path().join("commands");
    std::fs::write(&commands, format!("[{}] PROCESS_SERVICE_CHECK_RESULT;h4;disk;2;from a file", now())).unwrap();
    say(&pipe, &format!("PROCESS_FILE;{};1", commands.display()));
    until("a file of commands is read and removed", async || {
        let seen = stentor.service("h4", "disk").await;
        if seen["output"] == "from a file" && !commands.exists() { Ok(()) } else { Err(seen) }
    })
    .await;

    say(&pipe, "SHUTDOWN_PROGRAM");
    let folder = stentor.ended().await;
    assert!(!pipe.exists(), "the pipe is gone with the program");
    drop(folder);
}

/// The files that a failed start leaves alone may be those of a Nagios that runs.
#[tokio::test]
async fn where_the_pipe_cannot_be_made_nothing_is_written_for_other_tools() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let main = "cfg_file=o.cfg\nstatus_file=status.dat\nlog_file=nagios.log\ncommand_file=no/such/folder/nagios.cmd\n";
    let objects = "define command {\n command_name c\n command_line true\n}\n\
                   define host {\n host_name h\n max_check_attempts 1\n}\n\
                   define service {\n host_name h\n service_description s\n check_command c\n max_check_attempts 1\n}\n";
    std::fs::write(at("nagios.cfg"), main).unwrap();
    std::fs::write(at("o.cfg"), objects).unwrap();
    let config = "[nagios]\nconfig = \"nagios.cfg\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
                  [storage]\nurl = \"sqlite:stentor.db\"\njournal = \"journal\"\n";
    std::fs::write(at("stentor.toml"), config).unwrap();
    let ended = stentor(&["serve", "--config", "stentor.toml"], folder.path()).output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("no/such/folder/nagios.cmd"), "{said}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let others = left.iter().any(|name| name.to_string_lossy().starts_with("status.dat") || name == "nagios.log");
    assert!(!others, "{left:?}");
}
