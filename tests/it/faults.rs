//! Disks that fail: what is lost, what goes on, what the person at the console reads.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::serve::{Receiver, Server, Site, until};

/// A clean stop takes no longer, on a machine with far too much to do either; it waits for no peer and no probe.
const STOP_MAX: Duration = Duration::from_secs(60);

fn config(receiver: &Receiver) -> String {
    format!(
        "[[zone]]\nname = \"z\"\n[[host]]\nname = \"a\"\naddress = \"127.0.0.1\"\nzone = \"z\"\ncheck = \"none\"\n\
         [[service]]\nhost = \"a\"\nname = \"one\"\nprobe = \"\"\nattempts = 1\n\
         [[service]]\nhost = \"a\"\nname = \"two\"\nprobe = \"\"\nattempts = 1\n\
         [[service]]\nhost = \"a\"\nname = \"three\"\nprobe = \"\"\nattempts = 1\n\
         [[contact]]\nname = \"noc\"\nwebhook = \"{}\"\nseverity_min = \"info\"\n\
         [[route]]\nname = \"all\"\nto = [\"noc\"]\n[notifier.webhook]\n",
        receiver.url
    )
}

async fn site() -> (Receiver, Site) {
    let receiver = Receiver::start().await;
    let site = Site::new(&config(&receiver));
    (receiver, site)
}

fn page(incident: u64) -> String {
    format!("test/INC-{incident}/problem/1/noc/webhook")
}

/// Opens incident number `incident` and waits for its page.
async fn fail(site: &Site, receiver: &Receiver, service: &str, incident: u64) {
    site.result("a", service, 2).await;
    receiver.has(&page(incident)).await;
}

/// What a restart must not change.
async fn seen(site: &Site) -> Vec<Value> {
    let services = site.get("/api/v1/services").await;
    let incidents = site.get("/api/v1/incidents").await;
    let downtimes = site.get("/api/v1/downtimes").await;
    let keys = ["host", "service", "state", "kind", "attempt", "acknowledged", "downtime_depth", "incident", "output"];
    let mut seen: Vec<Value> = services["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| keys.iter().map(|key| item[*key].clone()).collect())
        .collect();
    let incidents = incidents["items"].as_array().unwrap().iter();
    seen.extend(incidents.map(|incident| {
        ["number", "phase", "title", "opened_at", "ack"].iter().map(|key| incident[*key].clone()).collect()
    }));
    seen.extend(downtimes["items"].as_array().unwrap().clone());
    seen
}

/// The outbox has recorded that everything was sent, and the engine knows.
async fn told(site: &Site, incident: u64) {
    until("the delivery is on the timeline", async || {
        // The page may be quicker than the next snapshot: then there is no such incident yet.
        let (_, incident) = site.send("GET", &format!("/api/v1/incidents/{incident}"), None, None).await.ok()?;
        incident["timeline"].as_array()?.iter().any(|entry| entry["kind"] == "paged").then_some(())
    })
    .await;
}

async fn refused(site: &Site, server: &mut Server, words: &[&str]) {
    let status = server.ended().await;
    let log = site.log();
    assert_eq!(status.code(), Some(1), "{log}");
    for word in words {
        assert!(log.contains(word), "`{word}` is missing in\n{log}");
    }
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_stops_within_seconds_and_keeps_the_state() {
    let (receiver, site) = site().await;
    let server = site.start().await;
    fail(&site, &receiver, "one", 1).await;
    site.ask("POST", "/api/v1/incidents/1/ack", Some(&serde_json::json!({"comment": "mine"}))).await;
    told(&site, 1).await;
    let before = seen(&site).await;
    let (status, took) = server.stop().await;
    assert!(status.success() && took < STOP_MAX, "{status} after {took:?}:\n{}", site.log());
    let _server = site.start().await;
    assert_eq!(seen(&site).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_silences_nobody_and_passes_by_itself() {
    let (receiver, site) = site().await;
    // A process that ignores SIGXFSZ sees a file-size limit as a write error, as it does a full disk.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_stentor")]);
    let mut server = site.spawn_as(&mut shell);
    site.answers(&mut server).await;
    fail(&site, &receiver, "one", 1).await;
    told(&site, 1).await;
    assert_eq!(site.metric("stentor_engine_degraded").await, Some(0.0));

    let room = prlimit(Some(server.pid()), Resource::Fsize, Rlimit { current: Some(0), maximum: None }).unwrap();
    fail(&site, &receiver, "two", 2).await;
    until("the metric says degraded", async || {
        (site.metric("stentor_engine_degraded").await == Some(1.0)).then_some(())
    })
    .await;
    let (status, ready) = site.send("GET", "/readyz", None, None).await.unwrap();
    assert_eq!((status.as_u16(), &ready["ready"]), (503, &Value::Bool(false)), "{ready}");
    let (_, overview) = site.send("GET", "/", None, None).await.unwrap();
    assert!(overview.as_str().unwrap().contains("journal lost"), "every page says so:\n{overview}");
    fail(&site, &receiver, "three", 3).await;

    prlimit(Some(server.pid()), Resource::Fsize, room).unwrap();
    until("the engine is whole again", async || {
        (site.metric("stentor_engine_degraded").await == Some(0.0)).then_some(())
    })
    .await;
    let (status, ready) = site.send("GET", "/readyz", None, None).await.unwrap();
    assert_eq!(status.as_u16(), 200, "{ready}");
    site.result("a", "one", 0).await;
    receiver.has("test/INC-1/recovery/2/noc/webhook").await;
    told(&site, 3).await;
    // A page may be quicker than the snapshot that shows why.
    until("the recovery shows", async || {
        let incident = site.get("/api/v1/incidents/1").await;
        (incident["phase"] == "resolved").then_some(())
    })
    .await;
    let before = seen(&site).await;
    server.kill();
    let _server = site.start().await;
    assert_eq!(seen(&site).await, before);
    site.result("a", "two", 0).await;
    receiver.has("test/INC-2/recovery/2/noc/webhook").await;
    let keys = receiver.keys();
    assert_eq!((keys.len(), keys.values().max()), (5, Some(&1)), "each page once: {keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_is_made_anew_from_the_journal_and_pages_nobody_again() {
    let (receiver, site) = site().await;
    let mut server = site.start().await;
    fail(&site, &receiver, "one", 1).await;
    told(&site, 1).await;
    let before = seen(&site).await;
    server.kill();
    for name in ["stentor.db", "stentor.db-wal", "stentor.db-shm"] {
        std::fs::remove_file(site.dir().join(name)).unwrap();
    }
    site.forget_token();
    let _server = site.start().await;
    assert_eq!(seen(&site).await, before);
    let log = site.log();
    assert!(log.contains("holds no checkpoint") && log.contains("made anew from the journal"), "{log}");
    site.result("a", "one", 0).await;
    receiver.has("test/INC-1/recovery/2/noc/webhook").await;
    assert_eq!(receiver.keys().get(&page(1)), Some(&1), "a page of before is not sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_journal_goes_on_from_the_checkpoint_and_says_so() {
    let (receiver, site) = site().await;
    let server = site.start().await;
    fail(&site, &receiver, "one", 1).await;
    told(&site, 1).await;
    let before = seen(&site).await;
    server.stop().await;
    std::fs::remove_dir_all(site.dir().join("journal")).unwrap();
    let mut server = site.start().await;
    assert_eq!(seen(&site).await, before);
    assert!(site.log().contains("going on from the checkpoint"), "{}", site.log());
    // And the new journal holds what comes after it.
    fail(&site, &receiver, "two", 2).await;
    told(&site, 2).await;
    let before = seen(&site).await;
    server.kill();
    let _server = site.start().await;
    assert_eq!(seen(&site).await, before);
}

async fn sql(path: &Path, statement: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
    let done = sqlx::query(statement).execute(&mut connection).await.unwrap();
    assert!(done.rows_affected() == 1);
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_damaged_in_the_middle_is_refused_by_its_sequence_and_its_remedy() {
    let (receiver, site) = site().await;
    let mut server = site.start().await;
    fail(&site, &receiver, "one", 1).await;
    server.kill();
    sql(&site.dir().join("journal/journal.db"), "UPDATE turn SET batch = x'00' WHERE seq = 3").await;
    let mut server = site.spawn();
    refused(&site, &mut server, &["turn 3 is damaged", "stentor restore"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_torn_at_its_end_starts() {
    let (receiver, site) = site().await;
    let mut server = site.start().await;
    fail(&site, &receiver, "one", 1).await;
    told(&site, 1).await;
    server.kill();
    let wal = site.dir().join("journal/journal.db-wal");
    let length = std::fs::metadata(&wal).unwrap().len();
    std::fs::File::options().write(true).open(&wal).unwrap().set_len(length - 100).unwrap();
    let _server = site.start().await;
    site.hard("a", "one", "CRITICAL").await;
    assert_eq!(receiver.keys().get(&page(1)), Some(&1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_state_is_refused_and_the_first_goes_on() {
    let (receiver, site) = site().await;
    let server = site.start().await;
    let mut second = site.spawn();
    refused(&site, &mut second, &["is held by another stentor", &server.child.id().to_string()]).await;
    fail(&site, &receiver, "one", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named() {
    let (_receiver, site) = site().await;
    let _taken = std::net::TcpListener::bind(("127.0.0.1", site.port)).unwrap();
    let mut server = site.spawn();
    refused(&site, &mut server, &["cannot listen on 127.0.0.1:", "is another Stentor running?"]).await;
}

/// Root writes wherever it wants; a read-only mount stops root too, permissions stop everybody else.
struct ReadOnly {
    dir: std::path::PathBuf,
    mounted: bool,
}

impl ReadOnly {
    fn new(dir: &Path) -> ReadOnly {
        let mounted = rustix::process::geteuid().is_root();
        if mounted {
            let mount = |args: &[&str]| {
                let status = Command::new("mount").args(args).arg(dir).status();
                status.is_ok_and(|status| status.success())
            };
            let dir = dir.to_str().unwrap();
            if mount(&["--bind", dir]) && mount(&["-o", "remount,bind,ro"]) {
                return ReadOnly { dir: dir.into(), mounted };
            }
        }
        set_mode(dir, 0o555);
        ReadOnly { dir: dir.to_owned(), mounted: false }
    }
}

/// The server as a user whom permissions bind, in a folder that is that user's except for what is read-only.
fn as_nobody(site: &Site) -> Command {
    use std::os::unix::fs::chown;
    use std::os::unix::process::CommandExt;
    /// `nobody` of every distribution.
    const NOBODY: u32 = 65_534;
    let program = site.dir().join("stentor");
    if !program.exists() {
        // Where it was built that user may have no way to it.
        std::fs::copy(env!("CARGO_BIN_EXE_stentor"), &program).unwrap();
    }
    for path in [site.dir().to_owned(), site.config(), site.dir().join("db"), site.dir().join("journal")] {
        if path.exists() && std::fs::metadata(&path).unwrap().permissions().mode() & 0o777 != 0o555 {
            chown(&path, Some(NOBODY), Some(NOBODY)).expect("root can neither mount nor give files away here");
        }
    }
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY);
    command
}

fn set_mode(dir: &Path, mode: u32) {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(mode)).unwrap();
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.dir).status();
        }
        set_mode(&self.dir, 0o755);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_state_folder_is_named_with_its_remedy() {
    let (receiver, site) = site().await;
    site.configure(&format!("{}[storage]\nurl = \"sqlite:db/stentor.db\"\n", config(&receiver)));
    for name in ["journal", "db"] {
        let dir = site.dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        let read_only = ReadOnly::new(&dir);
        let mut server = if !read_only.mounted && rustix::process::geteuid().is_root() {
            // Permissions do not bind root, and this sandbox does not let it mount.
            site.spawn_as(&mut as_nobody(&site))
        } else {
            site.spawn()
        };
        refused(&site, &mut server, &[dir.to_str().unwrap(), "must be able to write"]).await;
        std::fs::remove_file(site.dir().join("stderr")).unwrap();
    }
}
