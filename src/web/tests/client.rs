//! The operator's client against the service on a real socket, with and without TLS.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use stentor_core::engine::Command;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::world::{ODD_HOST, World};
use crate::cli::client::{Client, ClientArgs};
use crate::cli::{ack, comment, downtime, status, user};
use crate::store::{SharedStore, Store};
use crate::web::auth::Role;
use crate::web::serve;

/// The world, listening.
struct Server {
    world: World,
    args: ClientArgs,
    stop: CancellationToken,
    task: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start(role: Role) -> Server {
        Server::start_with(role, false).await
    }

    async fn start_with(role: Role, with_tls: bool) -> Server {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let token = world.bearer(role).await.trim_start_matches("Bearer ").to_owned();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, format!("{token}\n")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tls, ca_file, scheme) = if with_tls {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
            std::fs::write(&cert, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            (Some(serve::tls(&cert, &key, None).unwrap()), Some(cert), "https://localhost")
        } else {
            (None, None, "http://127.0.0.1")
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve::serve(listener, tls, world.router.clone(), stop.clone()));
        let args = ClientArgs { url: format!("{scheme}:{port}/"), token_file: Some(token_file), ca_file };
        Server { world, args, stop, task, folder }
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(std::time::Duration::from_secs(20), self.task).await.expect("it stops").unwrap();
    }
}

#[derive(Parser)]
struct AckLine {
    #[command(flatten)]
    args: ack::AckArgs,
}

#[derive(Parser)]
struct DowntimeLine {
    #[command(flatten)]
    args: downtime::DowntimeArgs,
}

fn with(server: &Server, words: &[&str]) -> Vec<String> {
    let mut line: Vec<String> = std::iter::once("x").chain(words.iter().copied()).map(str::to_owned).collect();
    line.extend(["--url".into(), server.args.url.clone(), "--token-file".into()]);
    line.push(server.args.token_file.as_ref().unwrap().display().to_string());
    line
}

async fn run_ack(server: &Server, words: &[&str]) -> anyhow::Result<String> {
    let args = AckLine::parse_from(with(server, words)).args;
    let mut out = Vec::new();
    ack::run(&args, &server.world.clock, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

async fn run_downtime(server: &Server, words: &[&str]) -> anyhow::Result<String> {
    let args = DowntimeLine::parse_from(with(server, words)).args;
    let mut out = Vec::new();
    downtime::run(&args, &server.world.clock, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn status_tells_the_core_and_the_open_incidents() {
    let server = Server::start(Role::Viewer).await;
    let mut args = status::StatusArgs { client: server.args.clone(), json: false, filter: Vec::new() };
    let mut out = Vec::new();
    assert_eq!(status::run(&args, &mut out).await.unwrap(), 0);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("Core prod: degraded, no spare left: clc has no instance"), "{text}");
    assert!(
        text.contains("Open incidents: 1\n  INC-17  critical  clc software down on clc1  (nobody has it"),
        "{text}"
    );
    args.json = true;
    args.filter = vec!["state:crit".into()];
    let mut out = Vec::new();
    status::run(&args, &mut out).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        (&answer["incidents"][0]["number"], &answer["services"][0]["service"]),
        (&17.into(), &"clc port".into())
    );
    server.end().await;
}

#[tokio::test]
async fn incidents_and_objects_are_acknowledged_by_name() {
    let server = Server::start(Role::Operator).await;
    let said = run_ack(&server, &["INC-17", "--comment", "on it", "--until", "2h", "--sticky"]).await.unwrap();
    assert_eq!(said, "INC-17 acknowledged by its-operator until 2026-09-21T16:13:20.000Z\n");
    let said = run_ack(&server, &["clc1/clc port"]).await.unwrap();
    assert_eq!(said, "clc1/clc port acknowledged by its-operator until recovery\n");
    run_ack(&server, &[ODD_HOST]).await.unwrap();
    let commands = &server.world.seen.lock().unwrap().commands;
    let Command::AckObject { object, .. } = &commands[2] else { panic!("{commands:?}") };
    assert_eq!(&*object.host, ODD_HOST, "a slash in a host's name is no separator");
}

#[tokio::test]
async fn refusals_name_the_remedy() {
    let server = Server::start(Role::Viewer).await;
    for (words, expected) in [
        (&["INC-99"][..], "needs operator"),
        (&["none/x"], "there is no host or service `none/x`"),
        (&["INC-17", "--until", "soon"], "neither a length such as 2h"),
    ] {
        let error = run_ack(&server, words).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut wrong = server.args.clone();
    let other = server.folder.path().join("other");
    std::fs::write(&other, "AAAA").unwrap();
    wrong.token_file = Some(other);
    let error = Client::new(&wrong).unwrap().get("/core").await.unwrap_err().to_string();
    assert!(error.contains("is not accepted") && error.contains("stentor user token"), "{error}");
    wrong.token_file = Some(PathBuf::from("/nonexistent/token"));
    assert!(Client::new(&wrong).err().unwrap().to_string().contains("/nonexistent/token"));
    wrong.token_file = None;
    assert!(Client::new(&wrong).err().unwrap().to_string().contains("STENTOR_TOKEN_FILE"));
    let client = Client::new(&server.args).unwrap();
    server.end().await;
    let error = client.get("/core").await.unwrap_err().to_string();
    assert!(error.contains("cannot reach Stentor at") && error.contains("--url"), "{error}");
}

#[tokio::test]
async fn downtimes_are_planned_listed_and_cancelled_by_hand() {
    let server = Server::start(Role::Operator).await;
    let said = run_downtime(&server, &["clc1/disk /", "--for", "2h", "--comment", "swap"]).await.unwrap();
    assert!(
        said.starts_with("downtime 2 on clc1/disk / from 2026-09-21T14:13:20.000Z to 2026-09-21T16:13:20"),
        "{said}"
    );
    let mut line = with(&server, &[]);
    line.insert(1, "list".into());
    let args = DowntimeLine::parse_from(line).args;
    let mut out = Vec::new();
    downtime::run(&args, &server.world.clock, &mut out).await.unwrap();
    let listed = String::from_utf8(out).unwrap();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("clc1/disk /  its-operator: swap"), "{listed}");
    let mut line = with(&server, &["2"]);
    line.insert(1, "cancel".into());
    let args = DowntimeLine::parse_from(line).args;
    let mut out = Vec::new();
    downtime::run(&args, &server.world.clock, &mut out).await.unwrap();
    let error = downtime::run(&args, &server.world.clock, &mut out).await.unwrap_err().to_string();
    assert!(error.contains("there is no downtime 2"), "{error}");
    assert!(run_downtime(&server, &["clc1", "--for", "soon"]).await.is_err());
}

#[tokio::test]
async fn a_note_lands_in_the_timeline_over_tls() {
    let server = Server::start_with(Role::Operator, true).await;
    let args = comment::CommentArgs {
        incident: "INC-17".into(),
        text: vec!["called".into(), "vendor".into()],
        client: server.args.clone(),
    };
    let mut out = Vec::new();
    comment::run(&args, &mut out).await.unwrap_or_else(|error| panic!("{error:#}"));
    let incident = Client::new(&server.args).unwrap().get("/incidents/17").await.unwrap();
    assert_eq!(incident["timeline"][1]["text"], "called vendor");
    let mut untrusting = server.args.clone();
    untrusting.ca_file = None;
    assert!(Client::new(&untrusting).unwrap().get("/core").await.is_err(), "an unknown certificate is not trusted");
    server.end().await;
}

#[tokio::test]
async fn a_listener_that_is_told_to_stop_lets_streams_go() {
    let demo = axum::Router::new().route(
        "/endless",
        axum::routing::get(|| async {
            let never = futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
            axum::body::Body::from_stream(never)
        }),
    );
    let world = World::build(false, Some(demo));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/demo/endless", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve::serve(listener, None, world.router.clone(), stop.clone()));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let response = reqwest::get(&url).await.unwrap();
    assert!(response.status().is_success());
    stop.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(20), task).await.expect("it stops").unwrap();
}

#[tokio::test]
async fn users_are_added_and_a_new_password_works_at_once() {
    let world = World::new();
    let store: SharedStore = Arc::clone(&world.store) as _;
    let run = async |command: user::UserCommand, stdin: &str| {
        let mut out = Vec::new();
        let done = user::act(&command, &store, &world.clock, &mut stdin.as_bytes(), &mut out).await;
        (done, String::from_utf8(out).unwrap())
    };
    let add = |name: &str, password_stdin| user::UserCommand::Add {
        name: name.into(),
        role: user::RoleName::Operator,
        password_stdin,
    };
    let (done, said) = run(add("bob", false), "").await;
    done.unwrap();
    assert!(said.contains("user `bob` added as operator\npassword: "), "{said}");
    assert!(run(add("bob", false), "").await.0.unwrap_err().to_string().contains("there is a user `bob`"));
    assert!(run(add("b o b", false), "").await.0.is_err());
    assert!(run(add("eve", true), "short\n").await.0.unwrap_err().to_string().contains("at least 8"));
    let set = user::UserCommand::Password { name: "bob".into(), password_stdin: true };
    let (done, said) = run(set, "correct horse\n").await;
    done.unwrap();
    assert!(!said.contains("correct horse"));
    let stored = world.store.user("bob").await.unwrap().unwrap();
    assert!(crate::web::auth::password::verify("correct horse", Some(&stored.password_hash)).await.unwrap());
    let token = user::UserCommand::Token { name: Some("bob".into()), agent: None };
    let (_, token) = run(token, "").await;
    assert_eq!(world.get(&format!("Bearer {}", token.trim()), "/api/v1/core").await.status, 200);
    let agent = user::UserCommand::Token { name: None, agent: Some("clc1".into()) };
    let (_, token) = run(agent, "").await;
    let checks = world.get(&format!("Bearer {}", token.trim()), "/api/v1/agent/checks?host=clc1").await;
    assert_eq!(checks.status, 200);
}
