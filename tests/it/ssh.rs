//! Hosts seen from inside over a real `sshd`: the same as from here, in one connection, and blind rather than wrong without it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use stentor::clock::Clock;
use stentor::probes::local_view::LocalView;
use stentor::probes::ssh_link::{Link, Ssh, SshSettings};
use stentor::probes::ssh_view::SshView;
use stentor::probes::{HostView, Network, ProbeEnv, ProbeError, Target, find};
use stentor_core::model::{Observation, Value};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::running::{Running, until};

/// A server with a key of its own that lets this user in by key.
struct Server {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

fn path(name: &str) -> PathBuf {
    ["/usr/sbin", "/usr/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed: apt-get install openssh-server (scripts/test does)"))
}

async fn keygen(file: &Path) {
    let made = Command::new(path("ssh-keygen")).args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status().await;
    assert!(made.unwrap().success());
}

impl Server {
    async fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let at = |name: &str| folder.path().join(name);
        for key in ["host", "user", "stranger"] {
            keygen(&at(key)).await;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        let host_key = fs::read_to_string(at("host.pub")).unwrap();
        fs::write(at("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\n",
            at("host").display(),
            at("authorized").display()
        );
        fs::write(at("sshd_config"), config).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let mut server = Server { folder, port, child: None };
        server.serve().await;
        server
    }

    async fn serve(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut sshd = Command::new(path("sshd"));
        sshd.args(["-D", "-e", "-f"]).arg(self.folder.path().join("sshd_config")).stdin(Stdio::null()).stderr(log);
        self.child = Some(sshd.kill_on_drop(true).spawn().unwrap());
        let port = self.port;
        until("sshd listens", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await).await;
    }

    /// The listener and every connection end, as when the host loses its power.
    async fn die(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = child.id().unwrap().to_string();
        let sessions = Command::new("ps").args(["-o", "pid=", "--ppid", &pid]).output().await.unwrap();
        child.kill().await.unwrap();
        for session in String::from_utf8_lossy(&sessions.stdout).split_whitespace() {
            Command::new("kill").args(["-9", session]).status().await.unwrap();
        }
    }

    fn settings(&self) -> SshSettings {
        let at = |name: &str| Some(self.folder.path().join(name));
        SshSettings {
            port: Some(self.port),
            identity_file: at("user"),
            known_hosts: at("known_hosts"),
            config_file: Some("/dev/null".into()),
            ..SshSettings::default()
        }
    }

    /// Connections that proved who they are, as the server counts them.
    fn accepted(&self) -> usize {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        log.matches("Accepted publickey").count()
    }
}

fn link(settings: SshSettings) -> (Ssh, Arc<Link>) {
    let ssh = Ssh::new(settings).unwrap();
    let link = ssh.link(&"127.0.0.1".into());
    (ssh, link)
}

async fn look(kind: &str, params: &str, view: Arc<dyn HostView>) -> Result<Observation, ProbeError> {
    let env = ProbeEnv { net: Network::real(), view, clock: Clock::Machine };
    let params: Value = serde_json::from_str(params).unwrap();
    let probe = (find(kind).unwrap().build)(&params, &env).unwrap();
    let target = Target { host: "h".into(), address: "127.0.0.1".into(), bmc: None };
    probe.run(&target, Instant::now() + Duration::from_secs(20)).await
}

/// What does not change between two looks.
fn lasting(seen: &Observation) -> Vec<String> {
    let mut all: Vec<String> =
        seen.measurements.iter().map(|m| format!("{} {} {:?}", m.label, m.unit, m.max)).collect();
    all.extend(seen.facts.iter().map(|(name, _)| format!("fact {name}")));
    all.sort();
    all
}

/// Facts without ages, which go on between two looks.
fn timeless(seen: &Observation) -> Vec<(String, Value)> {
    let facts = seen.facts.iter().filter(|(name, _)| !name.ends_with("_s"));
    facts.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_see_over_ssh_what_they_see_here_in_one_connection() {
    let server = Server::start().await;
    let (_ssh, link) = link(server.settings());
    let there: Arc<dyn HostView> = Arc::new(SshView::new(Arc::clone(&link)));
    let here: Arc<dyn HostView> = Arc::new(LocalView::default());
    let _marker = Command::new("tail").args(["-f", "/dev/null", "--pid=1"]).kill_on_drop(true).spawn().unwrap();
    for (kind, params) in [
        ("load", "{}"),
        ("memory", "{}"),
        ("disk", "{}"),
        ("uptime", "{}"),
        ("process", r#"{"pattern": "^tail -f /dev/null --pid=1$"}"#),
        ("mdraid", "{}"),
        ("bond", "{}"),
        ("systemd_unit", r#"{"unit": "cron.service"}"#),
        ("multipath", "{}"),
    ] {
        let (local, remote) =
            (look(kind, params, Arc::clone(&here)).await, look(kind, params, Arc::clone(&there)).await);
        match (local, remote) {
            (Ok(local), Ok(remote)) => {
                assert_eq!(lasting(&local), lasting(&remote), "{kind}");
                if matches!(kind, "process" | "systemd_unit" | "mdraid" | "bond") {
                    assert_eq!(timeless(&local), timeless(&remote), "{kind}");
                }
            }
            (Err(local), Err(remote)) => assert_eq!(local.cause(), remote.cause(), "{kind}: {local} / {remote}"),
            (local, remote) => panic!("{kind}: {local:?} / {remote:?}"),
        }
    }
    // Eight at once, as the collector may.
    let looks = (0..8).map(|_| look("load", "{}", Arc::clone(&there)));
    for seen in futures_util::future::join_all(looks).await {
        seen.unwrap();
    }
    assert_eq!((server.accepted(), link.opened()), (1, 1), "every look shares one connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_tools_and_odd_names_arrive_as_they_are() {
    let server = Server::start().await;
    let (_ssh, link) = link(server.settings());
    let view = SshView::new(Arc::clone(&link));
    let odd = server.folder.path().join("an odd $(reboot); 'name'");
    fs::write(&odd, "first\nsecond").unwrap();
    let (odd, folder) = (odd.display().to_string(), server.folder.path().display().to_string());
    let seen = tokio::task::spawn_blocking(move || {
        let missing = format!("{odd}.not");
        let read = view.read(&odd);
        let kinds = [view.read(&missing), view.read("/proc/1/mem")].map(|read| read.err().map(|error| error.kind()));
        let many = view.read_many(&[odd.clone(), missing]);
        (read.unwrap(), kinds[0], view.list(&folder).unwrap().len(), many)
    })
    .await
    .unwrap();
    let (read, missing, names, many) = seen;
    assert_eq!(read, "first\nsecond");
    assert_eq!(missing, Some(std::io::ErrorKind::NotFound));
    assert_eq!(names, fs::read_dir(server.folder.path()).unwrap().count());
    assert_eq!(many[0].as_ref().unwrap(), "first\nsecond\n");
    assert_eq!(many[1].as_ref().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    // A tool that is there and one that is not.
    let there: Arc<dyn HostView> = Arc::new(SshView::new(Arc::clone(&link)));
    use stentor::probes::tool::Tool;
    let deadline = || Instant::now() + Duration::from_secs(20);
    let printf = Tool::new(&["no-such-tool", "printf"], &[]).unwrap();
    let run = printf.run(&there, &["%s|", "a b", "$(id)", "it's"], deadline()).await.unwrap().unwrap();
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "a b|$(id)|it's|"));
    let none = Tool::new(&["no-such-tool"], &[]).unwrap();
    assert_eq!(none.run(&there, &[], deadline()).await.unwrap(), None);
    assert_eq!(server.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_blindness_with_its_cause_and_comes_back() {
    let mut server = Server::start().await;
    let (_ssh, link) = link(server.settings());
    let view: Arc<dyn HostView> = Arc::new(SshView::new(Arc::clone(&link)));
    look("load", "{}", Arc::clone(&view)).await.unwrap();
    server.die().await;
    for (kind, params) in [("load", "{}"), ("process", r#"{"pattern": "sshd"}"#), ("bond", "{}"), ("mdraid", "{}")] {
        let blind = look(kind, params, Arc::clone(&view)).await.expect_err("nothing can be seen");
        assert!(blind.to_string().contains("ssh to 127.0.0.1: "), "{kind}: {blind}");
    }
    let said = look("multipath", "{}", Arc::clone(&view)).await.expect_err("nothing can be seen").to_string();
    assert!(!said.contains("not installed"), "{said}");
    server.serve().await;
    until("it is seen again", async || look("load", "{}", Arc::clone(&view)).await).await;
    assert_eq!((server.accepted(), link.opened()), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_on_both_sides() {
    let server = Server::start().await;
    let at = |name: &str| Some(server.folder.path().join(name));
    fs::write(at("empty").unwrap(), "").unwrap();
    let wrong_key = fs::read_to_string(at("stranger.pub").unwrap()).unwrap();
    fs::write(at("changed").unwrap(), format!("[127.0.0.1]:{} {wrong_key}", server.port)).unwrap();
    for (settings, words) in [
        (SshSettings { known_hosts: at("empty"), ..server.settings() }, "Host key verification failed"),
        (SshSettings { known_hosts: at("changed"), ..server.settings() }, "Host key verification failed"),
        (SshSettings { identity_file: at("stranger"), ..server.settings() }, "Permission denied (publickey)"),
    ] {
        let (_ssh, link) = link(settings);
        let view: Arc<dyn HostView> = Arc::new(SshView::new(link));
        let refused = look("load", "{}", view).await.expect_err("refused");
        assert!(refused.to_string().contains(words), "{refused}");
        assert!(matches!(refused, ProbeError::Failed(_)), "{refused:?}");
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_checks_a_host_over_ssh_as_if_an_agent_were_there() {
    let server = Server::start().await;
    let set = server.settings();
    let file = |path: &Option<PathBuf>| path.as_ref().unwrap().display().to_string();
    let config = format!(
        "[timing]\npace = 10\n[ssh]\nport = {}\nidentity_file = \"{}\"\nknown_hosts = \"{}\"\nconfig_file = \"/dev/null\"\n\
         [[host]]\nname = \"far\"\naddress = \"127.0.0.1\"\ncheck = \"none\"\nview = \"ssh\"\n[host.checks.mdraid]\n",
        server.port,
        file(&set.identity_file),
        file(&set.known_hosts)
    );
    let hub = Running::serve(&config, tempfile::tempdir().unwrap()).await;
    until("everything from inside is seen", async || {
        let services = hub.services().await;
        let unseen: Vec<_> =
            services.iter().filter(|s| s["last_check"].is_null() || s["state"] == "UNKNOWN").cloned().collect();
        let names: Vec<_> = services.iter().filter_map(|s| s["service"].as_str()).collect();
        let wanted = ["disk", "load", "memory", "processes", "uptime", "mdraid"];
        if unseen.is_empty() && wanted.iter().all(|name| names.contains(name)) { Ok(()) } else { Err(services) }
    })
    .await;
    assert_eq!(server.accepted(), 1, "six checks, one connection");
    hub.stop().await;
}

const PROCEDURE: &str = r#"
[pack]
platform = "works"
version = "1"
schema = 1
[[runbook]]
id = "rb-far"
title = "On the other side"
procedure = true
steps = [
  { kind = "fix", text = "Data.", do = "command", run = ["printf", "%s|", "a b", "$(id)", "it's {host}"] },
  { kind = "fix", text = "It hangs.", do = "command", run = ["sleep", "76543"], within = "2s" },
]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runbook_runs_its_commands_over_ssh_and_a_hung_one_dies_there() {
    let server = Server::start().await;
    let set = server.settings();
    let file = |path: &Option<PathBuf>| path.as_ref().unwrap().display().to_string();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("packs/works")).unwrap();
    fs::write(folder.path().join("packs/works/pack.toml"), PROCEDURE).unwrap();
    let config = format!(
        "[packs]\ndirs = [\"packs\"]\n[ssh]\nport = {}\nidentity_file = \"{}\"\nknown_hosts = \"{}\"\nconfig_file = \"/dev/null\"\n\
         [runbook]\ncommands = [[\"printf\", \"*\", \"*\", \"*\", \"*\"], [\"sleep\", \"76543\"]]\n\
         [[host]]\nname = \"far\"\naddress = \"127.0.0.1\"\ncheck = \"none\"\nview = \"ssh\"\n",
        server.port,
        file(&set.identity_file),
        file(&set.known_hosts)
    );
    let hub = Running::serve(&config, folder).await;
    let client = reqwest::Client::new();
    let post = async |path: &str, body: serde_json::Value| {
        let request = client.post(format!("{}api/v1{path}", hub.url)).bearer_auth(&hub.token).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    };
    let ended = async |step: usize| {
        until("the step ends", async || {
            let step = hub.get("api/v1/runs/1").await["steps"][step - 1].clone();
            if step["state"] == "running" { Err(step) } else { Ok(step) }
        })
        .await
    };
    post("/runbooks/rb-far/run", serde_json::json!({"host": "far"})).await;
    post("/runs/1/steps/1/begin", serde_json::json!({})).await;
    let printed = ended(1).await;
    assert_eq!(printed["output"], "exited 0\na b|$(id)|it's far|", "{printed}");
    post("/runs/1/steps/2/begin", serde_json::json!({})).await;
    let hung = ended(2).await;
    assert_eq!(hung["state"], "failed", "{hung}");
    assert!(hung["output"].as_str().unwrap().contains("did not end in time"), "{hung}");
    until("it is gone there", async || {
        let alive = Command::new("pgrep").args(["-fx", "sleep 76543"]).status().await.unwrap();
        if alive.success() { Err("it still sleeps") } else { Ok(()) }
    })
    .await;
    hub.stop().await;
}
