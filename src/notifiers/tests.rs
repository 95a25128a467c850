//! The conformance suite on the webhook, and what only HTTP can do wrong. Mail has its own in the integration tests.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stentor_core::model::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::conformance::{self, Answer, Bench, SECRET, TIMEOUT, message};
use super::webhook::{WebhookNotifier, WebhookSetup, body};
use super::{Notifier, Secret, SendError, cut};

#[derive(Default)]
struct Seen {
    reply: String,
    silent: bool,
    requests: Vec<String>,
}

/// An HTTP peer that says what it is told; requests are kept whole, headers and body.
struct Peer {
    seen: Arc<Mutex<Seen>>,
    address: String,
    notifier: WebhookNotifier,
    _dir: tempfile::TempDir,
}

fn secret(dir: &tempfile::TempDir) -> Secret {
    let path = dir.path().join("secret");
    let mut file = std::fs::File::create(&path).unwrap();
    writeln!(file, "{SECRET}").unwrap();
    Secret::read(&path).unwrap()
}

impl Peer {
    async fn start() -> Peer {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/hook?t=person", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let server = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&server)));
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let setup = WebhookSetup {
            url: Some(address.clone()),
            token: Some(secret(&dir)),
            secret: Some(secret(&dir)),
            timeout: TIMEOUT,
        };
        Peer { seen, address, notifier: WebhookNotifier::new(setup).unwrap(), _dir: dir }
    }

    fn reply(&self, head: &str) {
        let mut seen = self.seen.lock().unwrap();
        seen.silent = false;
        seen.reply = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
    }

    async fn send(&self) -> Result<super::Receipt, SendError> {
        self.notifier.send(&message(Reason::Problem, &self.address)).await
    }
}

async fn serve(mut socket: TcpStream, seen: Arc<Mutex<Seen>>) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 65_536];
        let Ok(read @ 1..) = socket.read(&mut chunk).await else { return };
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if rest.len() < length.unwrap_or(0) {
            continue;
        }
        let (reply, silent) = {
            let mut seen = seen.lock().unwrap();
            seen.requests.push(text.replace("\r\n", "\n"));
            (seen.reply.clone(), seen.silent)
        };
        if silent {
            std::future::pending::<()>().await;
        }
        bytes.clear();
        if socket.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Bench for Peer {
    fn notifier(&self) -> &dyn Notifier {
        &self.notifier
    }
    fn answer(&self, answer: Answer) {
        match answer {
            Answer::Accept => self.reply("202 Accepted"),
            Answer::Busy => self.reply("429 Too Many Requests"),
            Answer::Away => self.reply("503 Service Unavailable"),
            Answer::Refuse => self.reply("400 Bad Request"),
            Answer::Silent => self.seen.lock().unwrap().silent = true,
        }
    }
    fn arrived(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }
    fn address(&self) -> String {
        self.address.clone()
    }
}

#[tokio::test]
async fn the_webhook_keeps_every_promise_of_a_notifier() {
    let peer = Peer::start().await;
    conformance::all(&peer).await;
    assert!(!format!("{:?} {:?}", peer.notifier, secret(&peer._dir)).contains(SECRET));
}

#[tokio::test]
async fn a_request_carries_token_signature_and_key() {
    let peer = Peer::start().await;
    peer.answer(Answer::Accept);
    peer.send().await.unwrap();
    let request = peer.arrived().pop().unwrap();
    let (head, sent) = request.split_once("\n\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /hook?t=person http/1.1"), "{head}");
    assert!(head.contains(&format!("authorization: bearer {SECRET}")), "{head}");
    assert!(head.contains("idempotency-key: ecc/inc-17/problem/1/noc/x"), "{head}");
    let mac = {
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(sent.as_bytes());
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert!(head.contains(&format!("x-stentor-signature: sha256={mac}")), "{head}");
    let json: serde_json::Value = serde_json::from_str(sent).unwrap();
    assert_eq!(json["incident"]["failure_type"], "software");
    assert_eq!(json["incident"]["opened_at"], "2026-11-21T02:02:11.000Z");
    assert_eq!(json["url"], "https://stentor.example/i/17");
}

#[tokio::test]
async fn retry_after_is_read_as_seconds_and_as_a_date() {
    let peer = Peer::start().await;
    for (head, expected) in [
        ("429 Slow\r\nRetry-After: 120", Some(120)),
        ("503 Away\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nRetry-After: Sat, 21 Nov 2026 10:01:30 GMT", Some(90)),
        ("503 Away\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nRetry-After: Sat, 21 Nov 2026 09:00:00 GMT", None),
        ("503 Away\r\nRetry-After: soon", None),
        ("500 Oops", None),
    ] {
        peer.reply(head);
        match peer.send().await {
            Err(SendError::Transient { retry_after, .. }) => {
                assert_eq!(retry_after, expected.map(Duration::from_secs), "{head}");
            }
            other => panic!("{head} gave {other:?}"),
        }
    }
}

#[tokio::test]
async fn redirects_are_not_followed_and_other_refusals_are_final() {
    let peer = Peer::start().await;
    for head in ["302 Found\r\nLocation: /elsewhere", "401 Unauthorized", "404 Not Found", "410 Gone", "422 No"] {
        peer.reply(head);
        let before = peer.arrived().len();
        match peer.send().await {
            Err(SendError::Permanent { .. }) => {}
            other => panic!("{head} gave {other:?}"),
        }
        assert_eq!(peer.arrived().len(), before + 1, "{head}: one request");
    }
}

#[tokio::test]
async fn nobody_listening_is_tried_again() {
    let peer = Peer::start().await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/person", listener.local_addr().unwrap())
    };
    match peer.notifier.send(&message(Reason::Problem, &gone)).await {
        Err(SendError::Transient { message, .. }) => assert!(!message.contains("person"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_body_survives_hostile_text() {
    let mut hostile = message(Reason::Problem, "");
    let mut incident = (*hostile.notification.incident).clone();
    incident.title = "a\"}\r\n\u{2028}{\u{1}".into();
    hostile.notification.incident = Arc::new(incident);
    let text = body(&hostile).to_string();
    let back: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(back["incident"]["title"], "a\"}   { ".trim_end());
}

#[test]
fn a_message_names_the_services_that_people_know() {
    let message = message(Reason::Problem, "");
    let words = super::wording::wording(&message);
    let services = words.rows.iter().find(|(name, _)| *name == "Services").map(|(_, text)| text.as_str());
    assert_eq!(services, Some("self-service"));
    assert_eq!(body(&message)["incident"]["business"], serde_json::json!(["self-service"]));
    let mut nobody = message;
    Arc::make_mut(&mut nobody.notification.incident).business.clear();
    assert!(super::wording::wording(&nobody).rows.iter().all(|(name, _)| *name != "Services"));
}

#[test]
fn texts_are_cut_at_a_character() {
    assert_eq!(cut("abc", 3), "abc");
    assert_eq!(cut("äöü", 3), "ä [… 4 bytes cut]");
}

#[test]
fn secrets_come_from_the_first_line_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    assert!(Secret::read(&path).is_err());
    std::fs::write(&path, "\n").unwrap();
    assert!(Secret::read(&path).is_err());
    std::fs::write(&path, " a b \r\nsecond").unwrap();
    assert_eq!(Secret::read(&path).unwrap().expose(), "a b");
}
