//! `stentor serve` as its users start it: the real program in a folder of its own, its API, a receiver of pages.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

/// Longest wait for any fact: everything takes milliseconds, the rest is patience for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks at a fact.
const LOOK: Duration = Duration::from_millis(10);
const BINARY: &str = env!("CARGO_BIN_EXE_stentor");

/// Waits for a fact, however long it takes within [`PATIENCE`].
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(fact) = look().await {
            return fact;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {} s for: {what}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
}

/// Ports that the kernel gives to nobody who did not ask for them (`ip_local_port_range` begins at 32768): one that a
/// server leaves free for a moment is not taken by some other test's connection meanwhile.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A port that was free a moment ago, and that no other test process is likely to look at.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    let first = std::process::id().wrapping_mul(61);
    for _ in 0..count {
        let offset = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(offset).expect("less than the range is long");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// The folder of one installation.
pub struct Site {
    dir: TempDir,
    pub port: u16,
    http: reqwest::Client,
    token: Mutex<Option<String>>,
}

impl Site {
    /// Everything that happens only with time happens at once here; `more` says what is watched and who is told.
    pub fn new(more: &str) -> Site {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let site = Site {
            dir,
            port,
            http: reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build().unwrap(),
            token: Mutex::new(None),
        };
        site.configure(more);
        site
    }

    pub fn configure(&self, more: &str) {
        let text = format!(
            "instance = \"test\"\n[server]\nlisten = \"127.0.0.1:{}\"\n\
             [timing]\npace = 20\nhold_software = \"0s\"\nhold_server = \"0s\"\nhold_group = \"0s\"\nreopen = \"0s\"\n\
             collapse = \"0s\"\nrecovery = \"0s\"\nrenotify_critical = \"900d\"\nrenotify_major = \"900d\"\n\
             renotify_warning = \"900d\"\n{more}\n",
            self.port
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> PathBuf {
        self.dir().join("stentor.toml")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join("stderr")).unwrap_or_default()
    }

    /// Starts the server; it may not answer yet. Its log goes on in the same file.
    pub fn spawn(&self) -> Server {
        self.spawn_as(&mut Command::new(BINARY))
    }

    /// As [`Site::spawn`], with `command` (a shell that ends in `exec "$@"`, say) before the program's arguments.
    pub fn spawn_as(&self, command: &mut Command) -> Server {
        let append = |name: &str| File::options().create(true).append(true).open(self.dir().join(name)).unwrap();
        let child = command
            .args(["serve", "--config"])
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(append("stdout"))
            .stderr(append("stderr"))
            .spawn()
            .unwrap();
        Server { child }
    }

    /// Starts the server and waits until it answers; the first time it learns the administrator's token.
    pub async fn start(&self) -> Server {
        let mut server = self.spawn();
        self.answers(&mut server).await;
        server
    }

    pub async fn answers(&self, server: &mut Server) {
        until("the server answers", async || {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            self.http.get(self.url("/healthz")).send().await.ok().filter(|answer| answer.status().is_success())
        })
        .await;
        if self.token.lock().unwrap().is_none() {
            let token = until("the first start tells a token", async || {
                let said = std::fs::read_to_string(self.dir().join("stdout")).unwrap();
                said.lines().find_map(|line| line.trim().strip_prefix("API token ")).map(str::to_owned)
            })
            .await;
            *self.token.lock().unwrap() = Some(token.trim().to_owned());
        }
    }

    pub fn forget_token(&self) {
        *self.token.lock().unwrap() = None;
        std::fs::write(self.dir().join("stdout"), "").unwrap();
    }

    /// For a server that has the users of another.
    pub fn share_token(&self, other: &Site) {
        self.token.lock().unwrap().clone_from(&other.token.lock().unwrap());
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// One request; `Err` if no answer came.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<(StatusCode, Value), reqwest::Error> {
        let mut request = self.http.request(method.parse().unwrap(), self.url(path));
        if let Some(token) = self.token.lock().unwrap().as_deref() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await?;
        let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// A request that must be answered well.
    pub async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.send(method, path, body, None).await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, None).await
    }

    /// A passive result, seen now.
    pub async fn result(&self, host: &str, service: &str, code: i32) {
        let result = serde_json::json!([{"host": host, "service": service, "code": code, "output": "told by a test"}]);
        let answer = self.ask("POST", "/api/v1/results", Some(&result)).await;
        assert_eq!(answer["accepted"], 1, "{answer}");
    }

    /// Waits for a service to be as wanted, hard.
    pub async fn hard(&self, host: &str, service: &str, state: &str) {
        let path = format!("/api/v1/hosts/{host}/services/{service}");
        until(&format!("{host}/{service} is {state}"), async || {
            let seen = self.get(&path).await;
            (seen["state"] == state && seen["kind"] == "HARD").then_some(())
        })
        .await;
    }

    /// Value of a metric without labels.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.send("GET", "/metrics", None, None).await.ok()?;
        let line = text.as_str()?.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// Runs another subcommand to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        Command::new(BINARY).args(args).arg("--config").arg(self.config()).stdin(Stdio::null()).output().unwrap()
    }
}

/// A running server, killed when the test ends.
pub struct Server {
    pub child: Child,
}

impl Server {
    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// SIGKILL; returns when the process is gone and its port and lock are free.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM and the time until the end.
    pub async fn stop(mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.signal(rustix::process::Signal::TERM);
        let status = self.ended().await;
        (status, begun.elapsed())
    }

    pub async fn ended(&mut self) -> ExitStatus {
        until("the server ends", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone)]
struct Inbox {
    pages: Arc<Mutex<Vec<String>>>,
    count: watch::Sender<usize>,
}

/// A webhook that keeps the keys of what it takes.
pub struct Receiver {
    pub url: String,
    inbox: Inbox,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let inbox = Inbox { pages: Arc::default(), count: watch::channel(0).0 };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(take)).with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Receiver { url, inbox }
    }

    /// Number of pages taken so far, to wait for the next.
    pub fn watch(&self) -> watch::Receiver<usize> {
        self.inbox.count.subscribe()
    }

    /// The key of each page, in the order of arrival.
    pub fn pages(&self) -> Vec<String> {
        self.inbox.pages.lock().unwrap().clone()
    }

    /// Distinct keys, each with how often it came.
    pub fn keys(&self) -> BTreeMap<String, usize> {
        let mut keys = BTreeMap::new();
        for key in self.pages() {
            *keys.entry(key).or_default() += 1;
        }
        keys
    }

    pub async fn has(&self, key: &str) {
        until(&format!("the page {key}"), async || self.keys().contains_key(key).then_some(())).await;
    }
}

async fn take(State(inbox): State<Inbox>, headers: HeaderMap, body: String) -> StatusCode {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["key"], *key);
    inbox.pages.lock().unwrap().push(key);
    inbox.count.send_modify(|count| *count += 1);
    StatusCode::OK
}
