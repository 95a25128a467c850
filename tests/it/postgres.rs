//! The store on a real PostgreSQL from Debian's packages, started here on a socket in a temporary directory.

#[path = "../../src/store/conformance.rs"]
mod conformance;

use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use conformance::notification;
use sqlx::{Connection, Executor, PgConnection, SqlSafeStr};
use stentor::sql::Fault;
use stentor::store::postgres::PostgresStore;
use stentor::store::{Store, statements};
use stentor_core::model::Reason;

const REMEDY: &str = "this test needs PostgreSQL's server programs: apt-get install --no-install-recommends postgresql";

/// A server of the test's own. PostgreSQL refuses to run as root, so root runs it as `postgres`.
struct Server {
    dir: tempfile::TempDir,
    bin: PathBuf,
    user: Option<(u32, u32)>,
    child: Option<Child>,
    databases: Cell<u32>,
}

impl Server {
    fn start() -> Server {
        let bin = newest_bin().expect(REMEDY);
        let dir = tempfile::Builder::new().prefix("stentor-pg").tempdir_in("/tmp").unwrap();
        let user = rustix::process::geteuid().is_root().then(|| ids_of("postgres").expect(REMEDY));
        if let Some((uid, gid)) = user {
            chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        let mut server = Server { dir, bin, user, child: None, databases: Cell::new(0) };
        let output = server
            .program("initdb")
            .args(["--auth=trust", "--username=stentor", "--no-sync", "--encoding=UTF8", "--pgdata"])
            .arg(server.data())
            .output()
            .unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        server.run();
        server
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(self.dir.path()).stdin(Stdio::null()).env_clear().env("LC_ALL", "C");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Returns when the server says that it is ready.
    fn run(&mut self) {
        let mut child = self
            .program("postgres")
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.dir.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        while !text.contains("ready to accept connections") {
            let before = text.len();
            log.read_line(&mut text).unwrap();
            assert!(text.len() > before, "postgres ended: {text}");
        }
        // The rest of the log must be read, or the server would wait for us.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        self.child = Some(child);
    }

    /// Ends the server without goodbye, as a crash does.
    fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
            child.wait().unwrap();
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=stentor", self.dir.path().display())
    }

    async fn fresh_url(&self) -> String {
        self.databases.set(self.databases.get() + 1);
        let name = format!("t{}", self.databases.get());
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        self.url(&name)
    }

    async fn fresh(&self) -> PostgresStore {
        PostgresStore::open(&self.fresh_url().await).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}

fn newest_bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut bins: Vec<PathBuf> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    bins.retain(|bin| bin.join("initdb").exists() && bin.join("postgres").exists());
    bins.sort();
    bins.pop()
}

fn ids_of(user: &str) -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, ..] = fields.as_slice() else { return None };
        if *name != user {
            return None;
        }
        Some((uid.parse().ok()?, gid.parse().ok()?))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_keeps_every_promise_of_a_store() {
    let server = Server::start();
    conformance::all(|| server.fresh()).await;
}

#[tokio::test]
async fn every_statement_prepares_on_postgresql() {
    let server = Server::start();
    let url = server.fresh_url().await;
    PostgresStore::open(&url).await.unwrap().close().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for &statement in statements::ALL {
        if let Err(error) = (&mut connection).prepare(statement.into_sql_str()).await {
            panic!("{statement}\n{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_told_and_found_again() {
    let mut server = Server::start();
    let url = server.fresh_url().await;
    let store = PostgresStore::open(&url).await.unwrap();
    let page = notification(1, Reason::Problem, "noc", "email", 1);
    store.commit_turn(1, &[], std::slice::from_ref(&page)).await.unwrap();
    server.crash();
    let error = store.commit_turn(2, &[], &[notification(2, Reason::Problem, "noc", "email", 2)]).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Unavailable, "{error:?}");
    assert!(error.fault().may_pass());
    server.run();
    store.commit_turn(2, &[], &[notification(2, Reason::Problem, "noc", "email", 2)]).await.unwrap();
    assert_eq!(store.outbox_keys(None).await.unwrap().len(), 2);

    let refused = store.backup(Path::new("/nowhere")).await.unwrap_err();
    assert!(refused.cause.to_string().contains("pg_dump"), "{}", refused.cause);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let server = Server::start();
    let url = server.fresh_url().await;
    PostgresStore::open(&url).await.unwrap().close().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let later = "INSERT INTO _sqlx_migrations VALUES (99, 'later', now(), true, '\\x00', 0)";
    sqlx::raw_sql(later).execute(&mut connection).await.unwrap();
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert_eq!(error.fault(), Fault::WrongSchema, "{error:?}");
}
