//! The probe against a fake balancer with management servers behind it: with and without persistence, and half broken.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::testing::{build, number, plain_env, run_at, text};

/// How the balancer chooses a server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stick {
    /// By a cookie of its own.
    Cookie,
    /// By the address of who asks.
    Source,
    /// In turn: sessions are lost.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Servers {
    Well,
    /// The balancer's own page.
    Gone,
    /// They know no login.
    NoLogin,
    /// The first answers fail after the login.
    Failing,
}

const SERVERS: usize = 2;

/// Sessions that each server has opened.
#[derive(Default)]
struct World {
    turn: AtomicUsize,
    sessions: Mutex<BTreeSet<(usize, String)>>,
}

fn respond(world: &World, stick: Stick, servers: Servers, asked: &str) -> String {
    let answer = |status: &str, headers: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    if servers == Servers::Gone {
        return answer("503 Service Unavailable", "", "<html><body><h1>503 Service Unavailable</h1>");
    }
    let cookies = asked.lines().find(|line| line.to_ascii_lowercase().starts_with("cookie:"));
    let cookies = cookies.unwrap_or_default();
    let cookie = |name: &str| {
        let rest = cookies.split(&format!("{name}=")).nth(1)?;
        Some(rest.split([';', ' ']).next().unwrap_or_default().to_owned())
    };
    let turn = world.turn.fetch_add(1, Ordering::SeqCst) % SERVERS;
    let server = match stick {
        Stick::Cookie => cookie("SERVERID").and_then(|id| id.parse().ok()).unwrap_or(turn),
        Stick::Source => 0,
        Stick::Never => turn,
    };
    let set = if stick == Stick::Cookie { format!("Set-Cookie: SERVERID={server}; path=/\r\n") } else { String::new() };
    let mut sessions = world.sessions.lock().expect("no panic");
    if asked.starts_with("POST /client/api ") {
        let is_known = asked.contains("username=a%20user&password=p%26ss&domain=%2F");
        if servers == Servers::NoLogin || !is_known {
            return answer(
                "531 x",
                &set,
                r#"{"loginresponse":{"errorcode":531,"errortext":"Failed to authenticate user"}}"#,
            );
        }
        let id = format!("node0{server}x{}", sessions.len());
        sessions.insert((server, id.clone()));
        let set = format!("{set}Set-Cookie: JSESSIONID={id};Path=/client;HttpOnly\r\n");
        return answer("200 OK", &set, r#"{"loginresponse":{"timeout":1800,"sessionkey":"k+/="}}"#);
    }
    if asked.starts_with("GET /client/api?") {
        let known = cookie("JSESSIONID").is_some_and(|id| sessions.contains(&(server, id)));
        let keyed = asked.contains("sessionkey=k%2B%2F%3D");
        return match (servers, known && keyed) {
            (Servers::Failing, _) => answer("504 Gateway Timeout", &set, ""),
            (_, true) => answer("200 OK", &set, r#"{"listcapabilitiesresponse":{"capability":{}}}"#),
            (_, false) => answer("401 x", &set, r#"{"listcapabilitiesresponse":{"errorcode":401}}"#),
        };
    }
    answer("200 OK", &set, "<!DOCTYPE html><title>Apache CloudStack</title>")
}

async fn balancer(stick: Stick, servers: Servers) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    let world = Arc::new(World::default());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let mut asked = Vec::new();
                let mut some = [0; 4096];
                // Head and body may come apart.
                while !is_whole(&asked) {
                    match stream.read(&mut some).await {
                        Ok(read) if read > 0 => asked.extend_from_slice(&some[..read]),
                        _ => return,
                    }
                }
                let answer = respond(&world, stick, servers, &String::from_utf8_lossy(&asked));
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    port
}

fn is_whole(asked: &[u8]) -> bool {
    let text = String::from_utf8_lossy(asked).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// Listens as the agents' port does, with a certificate for each server in turn.
async fn agents(certificates: usize) -> u16 {
    let acceptors: Vec<TlsAcceptor> = (0..certificates).map(|_| acceptor()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        for acceptor in acceptors.iter().cycle() {
            let Ok((stream, _)) = listener.accept().await else { break };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let _ = acceptor.accept(stream).await;
            });
        }
    });
    port
}

fn acceptor() -> TlsAcceptor {
    let key = KeyPair::generate().expect("a key");
    let cert = CertificateParams::new(vec!["ms".into()]).expect("a name").self_signed(&key).expect("a certificate");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("the certificate fits");
    TlsAcceptor::from(Arc::new(config))
}

fn login(folder: &TempDir, port: u16, agents: u16) -> String {
    let file = folder.path().join("password");
    std::fs::write(&file, "p&ss\n").expect("written");
    let file = file.display();
    format!(r#"{{"port":{port},"agents_port":{agents},"user":"a user","password_file":"{file}"}}"#)
}

#[tokio::test]
async fn persistence_is_what_sessions_see() {
    let folder = TempDir::new().expect("a folder");
    for (stick, persistent, cookies) in
        [(Stick::Cookie, "true", "[SERVERID]"), (Stick::Source, "true", "[]"), (Stick::Never, "false", "[]")]
    {
        let port = balancer(stick, Servers::Well).await;
        let seen = run_at("cloudstack_vip", &login(&folder, port, 0), 5000).await.expect("observed");
        assert_eq!(text(&seen, "ui_persistent"), persistent, "{stick:?}: {seen:?}");
        assert_eq!((text(&seen, "lb_cookies").as_str(), text(&seen, "vip").as_str()), (cookies, "ok"));
        assert_eq!(number(&seen, "ui_sessions"), 3.0);
    }
}

#[tokio::test]
async fn what_was_not_tried_is_not_claimed() {
    let folder = TempDir::new().expect("a folder");
    for (servers, vip, ui) in
        [(Servers::Gone, "error", ""), (Servers::NoLogin, "ok", "denied"), (Servers::Failing, "ok", "broken")]
    {
        let port = balancer(Stick::Source, servers).await;
        let seen = run_at("cloudstack_vip", &login(&folder, port, 0), 5000).await.expect("observed");
        assert_eq!((text(&seen, "vip").as_str(), text(&seen, "ui").as_str()), (vip, ui), "{servers:?}: {seen:?}");
        assert!(!seen.facts.contains_key("ui_persistent"), "{servers:?}: {seen:?}");
    }
    let port = balancer(Stick::Never, Servers::Well).await;
    let seen =
        run_at("cloudstack_vip", &format!(r#"{{"port":{port},"agents_port":0}}"#), 5000).await.expect("observed");
    assert!(!seen.facts.contains_key("ui"), "without a login nobody knows: {seen:?}");
}

#[tokio::test]
async fn agents_that_meet_one_certificate_are_kept() {
    let port = balancer(Stick::Source, Servers::Well).await;
    for (certificates, persistent) in [(1, "true"), (2, "false")] {
        let agents = agents(certificates).await;
        let params = format!(r#"{{"port":{port},"agents_port":{agents}}}"#);
        let seen = run_at("cloudstack_vip", &params, 5000).await.expect("observed");
        assert_eq!(text(&seen, "agents_persistent"), persistent, "{seen:?}");
        assert_eq!(number(&seen, "agents_backends"), certificates as f64);
    }
    // A port that is closed, and one that speaks no TLS.
    for (params, word) in
        [(format!(r#"{{"port":{port},"agents_port":{port}}}"#), "open"), (closed_port(port).await, "refused")]
    {
        let seen = run_at("cloudstack_vip", &params, 5000).await.expect("observed");
        assert_eq!(text(&seen, "agents_port"), word, "{seen:?}");
        assert!(!seen.facts.contains_key("agents_persistent"), "{seen:?}");
    }
}

async fn closed_port(port: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let closed = listener.local_addr().expect("address").port();
    format!(r#"{{"port":{port},"agents_port":{closed}}}"#)
}

#[tokio::test]
async fn passwords_are_never_shown() {
    let folder = TempDir::new().expect("a folder");
    let port = balancer(Stick::Source, Servers::NoLogin).await;
    let seen = run_at("cloudstack_vip", &login(&folder, port, 0), 5000).await.expect("observed");
    assert!(!format!("{seen:?}").contains("p&ss"), "{seen:?}");
}

#[test]
fn impossible_parameters_are_refused() {
    for params in [
        r#"{"port":0}"#,
        r#"{"user":"x"}"#,
        r#"{"path":"client"}"#,
        r#"{"sessions":0}"#,
        r#"{"requests":51}"#,
        r#"{"agents_tries":1}"#,
    ] {
        assert!(build("cloudstack_vip", params, &plain_env()).is_err(), "{params}");
    }
}
