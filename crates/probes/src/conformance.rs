//! What every network probe must bear: silent, slow, lying and vanishing peers, always within the deadline.

use std::sync::Arc;
use std::time::Duration;

use stentor_core::model::Observation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::interval;

use super::testing::{build, is_overrun, plain_env, target, text, within};
use super::{Network, ProbeError, REGISTRY};

/// How a peer behaves after it accepted a connection.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Peer {
    /// Reads, never writes.
    Silent,
    /// A byte now and then, each valid so far, never the end.
    Slow,
    /// Closes at once.
    Closing,
    /// Sends bytes that belong to no protocol.
    Lying,
    /// Sends garbage without end.
    Flooding,
}

const PEERS: [Peer; 5] = [Peer::Silent, Peer::Slow, Peer::Closing, Peer::Lying, Peer::Flooding];

async fn behave(peer: Peer, mut stream: TcpStream) {
    let mut asked = [0; 1024];
    match peer {
        Peer::Closing => {}
        Peer::Silent => while stream.read(&mut asked).await.is_ok_and(|n| n > 0) {},
        Peer::Slow => {
            let mut pace = interval(Duration::from_millis(20));
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'x')) {
                pace.tick().await;
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
        }
        Peer::Lying => {
            let _ = stream.write_all(&[0xff, 0x00, 0x16, 0x03, 0x01, 0x80, b'\n', 0xfe, b'\r', b'\n', 0, 0]).await;
            let _ = stream.read(&mut asked).await;
        }
        Peer::Flooding => while stream.write_all(&[0xa5; 1024]).await.is_ok() {},
    }
}

async fn listen(peer: Peer) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(peer, stream));
        }
    });
    port
}

/// Kind and parameters of every probe that talks TCP; `PORT` is replaced.
const TALKERS: &[(&str, &str)] = &[
    ("tls", r#"{"port":PORT}"#),
    ("tcp", r#"{"port":PORT,"send":"HELLO\\r\\n","expect":"^220 "}"#),
    ("http", r#"{"port":PORT,"expect":"welcome"}"#),
    ("http", r#"{"port":PORT,"tls":true,"insecure":true}"#),
    ("http_journey", r#"{"port":PORT,"steps":[{"path":"/"}]}"#),
    ("http_journey", r#"{"port":PORT,"tls":true,"insecure":true,"steps":[{"path":"/"}]}"#),
    ("heartbeat", r#"{"port":PORT,"component":"eucalyptus"}"#),
    ("ceph", r#"{"port":PORT}"#),
    ("ceph", r#"{"port":PORT,"tls":true,"insecure":true}"#),
    ("cloudstack", r#"{"port":PORT}"#),
    ("cloudstack", r#"{"port":PORT,"ask":"host","tls":true,"insecure":true}"#),
    ("cloudstack_vip", r#"{"port":PORT,"agents_port":PORT}"#),
    ("cloudstack_vip", r#"{"port":PORT,"agents_port":0,"tls":true,"insecure":true}"#),
    ("riak", r#"{"port":PORT}"#),
    ("ldap", r#"{"port":PORT}"#),
    ("ldap", r#"{"port":PORT,"tls":"starttls","insecure":true}"#),
    ("mysql", r#"{"port":PORT,"peer":"127.0.0.1"}"#),
    ("mysql", r#"{"port":PORT,"tls":true,"insecure":true}"#),
    ("nats", r#"{"port":PORT,"monitor_port":PORT}"#),
    ("nrpe", r#"{"port":PORT,"command":"check_load","tls":false}"#),
    ("nrpe", r#"{"port":PORT,"command":"check_load","insecure":true}"#),
    ("nut", r#"{"port":PORT}"#),
    ("nut", r#"{"port":PORT,"ups":"rack3"}"#),
    (
        "openstack",
        r#"{"url":"http://127.0.0.1:PORT/v3","user":"u","project":"p","password_file":"/dev/null","service":"compute"}"#,
    ),
    (
        "openstack",
        r#"{"url":"https://127.0.0.1:PORT/v3","application_credential_id":"a","secret_file":"/dev/null","insecure":true}"#,
    ),
    ("postgres", r#"{"port":PORT,"peer":"127.0.0.1"}"#),
    ("postgres", r#"{"port":PORT,"tls":true,"insecure":true}"#),
    ("prometheus", r#"{"port":PORT,"expr":"up"}"#),
    ("proxmox", r#"{"port":PORT,"token_id":"a@pve!b","token_file":"/dev/null","tls":false}"#),
    ("proxmox", r#"{"port":PORT,"token_id":"a@pve!b","token_file":"/dev/null","insecure":true,"look":"ha"}"#),
    ("rabbitmq", r#"{"port":PORT}"#),
    ("rabbitmq", r#"{"port":PORT,"tls":true,"insecure":true}"#),
    ("redis", r#"{"port":PORT}"#),
    ("redis", r#"{"port":PORT,"tls":true,"insecure":true}"#),
    ("ssh", r#"{"port":PORT}"#),
    ("smtp", r#"{"port":PORT,"tls":"starttls","insecure":true}"#),
    ("imap", r#"{"port":PORT}"#),
    ("imap", r#"{"port":PORT,"tls":"implicit","insecure":true}"#),
];

/// Kinds that ask by datagrams.
const DATAGRAMS: [(&str, &str); 3] =
    [("dns", r#"{"name":"www.example.org"}"#), ("dns_zone", r#"{"zone":"example.org"}"#), ("ntp", "{}")];

/// A server of datagrams that answers each with bytes of no protocol is none.
#[tokio::test]
async fn lying_datagrams_are_no_answer() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let port = socket.local_addr().expect("address").port();
    tokio::spawn(async move {
        let mut asked = [0; 1024];
        while let Ok((_, from)) = socket.recv_from(&mut asked).await {
            let _ = socket.send_to(&[0xff, 0x84, 0, 1, 0xff, 0xff, 0, 0, 0xc0, 0xc0], from).await;
        }
    });
    for (kind, params) in DATAGRAMS {
        let params = params.replacen('{', &format!(r#"{{"port":{port},"#), 1).replace(",}", "}");
        let seen = run(kind, &params, Network::real()).await.expect("observed");
        assert_eq!(text(&seen, kind), "invalid", "{kind}: {seen:?}");
    }
}

/// Kinds that say in a fact of this name how the conversation went, with their words for one that went well.
const TOLD_BY: &[(&str, &str, &[&str])] = &[
    ("ceph", "ceph", &["ok"]),
    ("cloudstack", "api", &["ok"]),
    ("cloudstack_vip", "vip", &["ok"]),
    ("http_journey", "journey", &["ok"]),
    ("imap", "imap", &["ok"]),
    ("ldap", "ldap", &["ok"]),
    ("mysql", "mysql", &["ok"]),
    ("nats", "nats", &["ok"]),
    ("nrpe", "nrpe", &["answered"]),
    ("nut", "nut", &["ok"]),
    ("openstack", "openstack", &["ok"]),
    ("postgres", "postgres", &["ok"]),
    ("prometheus", "metrics", &["ok", "no_value"]),
    ("proxmox", "proxmox", &["ok"]),
    ("rabbitmq", "rabbitmq", &["ok"]),
    ("redis", "redis", &["ok"]),
    ("riak", "riak", &["ok"]),
    ("smtp", "smtp", &["ok"]),
    ("ssh", "ssh", &["ok"]),
    ("tls", "tls", &["ok"]),
];

const DEADLINE_MS: u64 = 400;

async fn run(kind: &str, params: &str, net: Network) -> Result<Observation, ProbeError> {
    let mut env = plain_env();
    env.net = net;
    let probe = build(kind, params, &env).expect("parameters fit");
    let deadline = within(DEADLINE_MS);
    let seen = probe.run(&target("127.0.0.1"), deadline).await;
    assert!(!is_overrun(deadline), "{kind} {params} overran its deadline");
    seen
}

/// What a misbehaving peer must never be taken for.
fn assert_no_success(kind: &str, peer: Peer, seen: &Observation) {
    let context = format!("{kind} against a {peer:?} peer: {seen:?}");
    assert_eq!(text(seen, "port"), "open", "{context}");
    match kind {
        "tcp" => assert_eq!(text(seen, "banner_match"), "false", "{context}"),
        "heartbeat" => assert_eq!(text(seen, "heartbeat"), "none", "{context}"),
        kind if kind != "http" => {
            let told = TOLD_BY.iter().find(|(own, ..)| *own == kind);
            let (_, fact, good) = told.unwrap_or_else(|| panic!("`{kind}` has no line in TOLD_BY"));
            let word = text(seen, fact);
            assert!(!word.is_empty() && !good.contains(&word.as_str()), "{context}");
        }
        _ => {
            let word = text(seen, "http");
            let has_tls_error = !text(seen, "tls_error").is_empty();
            let expected: &[&str] = match peer {
                Peer::Silent | Peer::Slow => &["timeout"],
                Peer::Closing | Peer::Lying | Peer::Flooding => &["invalid"],
            };
            assert!(expected.contains(&word.as_str()) || has_tls_error, "{context}");
        }
    }
    assert!(!seen.text.is_empty() && !seen.text.contains('\n'), "{context}");
}

#[tokio::test]
async fn misbehaving_peers_are_observed_within_the_deadline() {
    for peer in PEERS {
        let port = listen(peer).await;
        for &(kind, params) in TALKERS {
            let params = params.replace("PORT", &port.to_string());
            match run(kind, &params, Network::real()).await {
                Ok(seen) => assert_no_success(kind, peer, &seen),
                Err(error) => panic!("{kind} blames itself for a {peer:?} peer: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn a_dark_host_is_silence_to_every_probe() {
    let port = listen(Peer::Silent).await;
    let dark = Network::with_darkness(Arc::new(|_| true));
    for &(kind, params) in TALKERS {
        let seen = run(kind, &params.replace("PORT", &port.to_string()), dark.clone()).await.expect("observed");
        assert_eq!(text(&seen, "port"), "timeout", "{kind}");
    }
    for (kind, params) in DATAGRAMS {
        let seen = run(kind, params, dark.clone()).await.expect("observed");
        assert_eq!(text(&seen, kind), "timeout", "{kind}");
    }
    match run("ping", "{}", dark).await {
        Ok(seen) => assert_eq!(text(&seen, "ping"), "fail"),
        // Where the process may not send ICMP the darkness does not matter.
        Err(error) => assert!(matches!(error, ProbeError::MissingRight(_)), "{error}"),
    }
}

#[tokio::test]
async fn a_name_that_cannot_resolve_is_never_a_failed_target() {
    for (kind, params) in TALKERS.iter().copied().chain([("ping", "{}")]) {
        // Some have the address in their parameters.
        let params = params.replace("PORT", "9").replace("//127.0.0.1", "//no-such-host.invalid");
        let probe = build(kind, &params, &plain_env()).expect("built");
        let seen = probe.run(&target("no-such-host.invalid"), within(5000)).await;
        assert!(seen.is_err(), "{kind}: {seen:?}");
    }
}

#[test]
fn kinds_are_unique_and_documented() {
    let mut kinds: Vec<&str> = REGISTRY.iter().map(|entry| entry.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), REGISTRY.len());
    for entry in REGISTRY {
        let title = entry.doc.lines().next().unwrap_or_default();
        assert!(title.starts_with("# ") && title.contains(entry.kind), "docs of {}: {title}", entry.kind);
    }
}

#[test]
fn unknown_parameters_are_refused_by_every_probe() {
    for entry in REGISTRY {
        let params = serde_json::from_str(r#"{"no_such_parameter":1}"#).expect("JSON");
        assert!((entry.build)(&params, &plain_env()).is_err(), "{} took it", entry.kind);
    }
}
