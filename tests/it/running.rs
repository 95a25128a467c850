//! The real binary as a child process, and what it says over HTTP. Facts are waited for, never durations.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fmt::Debug;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for one fact. Only a fault of the program, or a machine that stands still, makes a test wait so long.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks at a fact.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A running `stentor`; killed when dropped, with its state.
pub struct Running {
    pub url: String,
    pub token: String,
    client: Client,
    child: Child,
    /// Kept open: a program that writes to a closed pipe ends.
    _stdout: Lines<BufReader<ChildStdout>>,
    pub folder: TempDir,
}

/// `stentor` with these arguments, killed when the handle is dropped.
pub fn stentor(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stentor"));
    // A demo leaves a note of itself there.
    command.args(arguments).env("XDG_RUNTIME_DIR", folder).current_dir(folder);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Running {
    /// A demo on 127.NET.0.0/16.
    pub async fn demo(net: u8, pace: u32) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let (net, pace) = (net.to_string(), pace.to_string());
        // A relative folder, as people write it.
        let arguments =
            ["demo", "--json", "--listen", "127.0.0.1:0", "--net", &net, "--pace", &pace, "--state", "state"];
        let (child, mut stdout) = spawn(&arguments, folder.path());
        let line = next_line(&mut stdout).await.expect("a demo says that it is ready");
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["ready"], true, "{line}");
        let field = |key: &str| ready[key].as_str().unwrap_or_else(|| panic!("no {key} in {line}")).to_owned();
        Running { url: field("url"), token: field("token"), client: client(), child, _stdout: stdout, folder }
    }

    /// `stentor serve` with a configuration, in a folder that may hold files it names. It listens on a free port.
    pub async fn serve(config: &str, folder: TempDir) -> Running {
        Running::serve_as(config, "", folder, None).await
    }

    /// The same, with further lines of `[server]`; after its first start a service does not tell its token again.
    pub async fn serve_as(config: &str, server: &str, folder: TempDir, token: Option<String>) -> Running {
        let path = folder.path().join("stentor.toml");
        let head = format!(
            "[storage]\nurl = \"sqlite:stentor.db\"\njournal = \"journal\"\n[log]\nlevel = \"error\"\n\
             [server]\nlisten = \"127.0.0.1:0\"\n{server}\n"
        );
        std::fs::write(&path, format!("{config}\n{head}")).unwrap();
        Running::start(folder, token).await
    }

    /// The same service again, on what it kept.
    pub async fn restarted(self) -> Running {
        let token = self.token.clone();
        Running::start(self.stop_and_keep().await, Some(token)).await
    }

    /// Only the very first start tells a token.
    async fn start(folder: TempDir, mut token: Option<String>) -> Running {
        let path = folder.path().join("stentor.toml");
        let (child, mut stdout) = spawn(&["serve", "--config", &path.display().to_string()], folder.path());
        let mut url = None;
        while url.is_none() || token.is_none() {
            let line = next_line(&mut stdout).await.expect("the service starts");
            url = url.or_else(|| line.split_once("Pages: ").map(|(_, url)| url.trim().to_owned()));
            token = token.or_else(|| line.split_once("API token ").map(|(_, token)| token.trim().to_owned()));
        }
        Running { url: url.unwrap(), token: token.unwrap(), client: client(), child, _stdout: stdout, folder }
    }

    async fn send(&self, method: Method, path: &str) -> (StatusCode, String) {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        // Longer than the longest wait that the demo's control may take.
        let response = timeout(Duration::from_secs(330), request.send()).await.expect("an answer in time");
        let response = response.unwrap_or_else(|error| panic!("{path}: {error}"));
        (response.status(), response.text().await.unwrap())
    }

    /// The body of a page, with the API token.
    pub async fn text(&self, path: &str) -> String {
        let (status, body) = self.send(Method::GET, path).await;
        assert!(status.is_success(), "GET {path}: {status}\n{body}");
        body
    }

    pub async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    /// What a successful POST without a body answers; its problem otherwise.
    pub async fn post(&self, path: &str) -> Result<Value, String> {
        let (status, body) = self.send(Method::POST, path).await;
        if status.is_success() { Ok(serde_json::from_str(&body).unwrap()) } else { Err(format!("{status}: {body}")) }
    }

    /// What a POST of JSON answers, whatever that is.
    pub async fn send_json(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send_json_as(&self.token, path, body).await
    }

    /// The same, by whom this token was made for.
    pub async fn send_json_as(&self, token: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(token).json(body);
        let response = timeout(PATIENCE, request.send()).await.expect("an answer in time");
        let response = response.unwrap_or_else(|error| panic!("{path}: {error}"));
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Every incident there ever was, the oldest first.
    pub async fn incidents(&self) -> Vec<Value> {
        let mut incidents = items(self.get("api/v1/incidents?limit=1000").await);
        incidents.sort_by_key(number);
        incidents
    }

    pub async fn services(&self) -> Vec<Value> {
        items(self.get("api/v1/services?limit=1000").await)
    }

    pub async fn service(&self, host: &str, service: &str) -> Value {
        self.get(&format!("api/v1/hosts/{host}/services/{service}")).await
    }

    /// Waits until the incidents are as wanted: `look` says what of them, or why not yet.
    pub async fn until_incidents<T, E: Debug>(&self, what: &str, look: impl Fn(&[Value]) -> Result<T, E>) -> T {
        until(what, async || look(&self.incidents().await)).await
    }

    /// Waits until the process ends by itself, and takes its exit; its folder is left to look at.
    pub async fn ended(mut self) -> TempDir {
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("ends by itself").unwrap();
        assert!(ended.success(), "{ended}");
        self.folder
    }

    /// Ends the process as an administrator does, and takes its exit.
    pub async fn stop(self) {
        drop(self.stop_and_keep().await);
    }

    /// The same; its folder is left to look at.
    pub async fn stop_and_keep(mut self) -> TempDir {
        let pid = self.child.id().expect("still runs").to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        assert!(status.success());
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("ends on SIGTERM").unwrap();
        assert!(ended.success(), "{ended}");
        self.folder
    }
}

fn client() -> Client {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

fn spawn(arguments: &[&str], folder: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = stentor(arguments, folder).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().expect("piped");
    (child, BufReader::new(stdout).lines())
}

async fn next_line(stdout: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    timeout(PATIENCE, stdout.next_line()).await.expect("a line in time").unwrap()
}

fn items(list: Value) -> Vec<Value> {
    assert!(list["next"].is_null(), "the list has more pages than one");
    list["items"].as_array().unwrap_or_else(|| panic!("no list: {list}")).clone()
}

pub fn number(incident: &Value) -> u64 {
    incident["number"].as_u64().unwrap_or_else(|| panic!("no number: {incident}"))
}

pub fn is_live(incident: &Value) -> bool {
    !matches!(incident["phase"].as_str(), Some("resolved" | "closed"))
}

/// Number, title and what else matters of an incident, for messages of tests.
pub fn brief(incident: &Value) -> String {
    let text = |key: &str| incident[key].as_str().unwrap_or("-").to_owned();
    let head = ["phase", "class", "subtype", "cell", "runbook", "title"].map(text).join(" | ");
    format!("\n  INC-{} {head}\n    evidence {}", incident["number"], incident["evidence"])
}

/// Waits for a fact: `look` gives it, or says why it is not there yet.
pub async fn until<T, E: Debug>(what: &str, look: impl AsyncFnMut() -> Result<T, E>) -> T {
    within_patience(what, look).await.unwrap_or_else(|why| panic!("{why}"))
}

/// As [`until`], for whoever has more to say than the last reason why not.
pub async fn within_patience<T, E: Debug>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(why) if Instant::now() >= deadline => {
                return Err(format!("{what}: not within {PATIENCE:?}: {why:#?}"));
            }
            Err(_) => sleep(LOOK_EVERY).await,
        }
    }
}

/// One test at a time may fill the machine. Under nextest each has a process of its own and the group `heavy` of
/// `.config/nextest.toml` does this; `cargo test` runs all of them in one process, and here they queue.
pub async fn alone() -> MutexGuard<'static, ()> {
    static HEAVY: Mutex<()> = Mutex::const_new(());
    HEAVY.lock().await
}
