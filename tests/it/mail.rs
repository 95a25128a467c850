//! Mail end to end: notifier and worker against a real SMTP dialogue, with encryption, login and faults.

#[path = "../../src/notifiers/conformance.rs"]
mod conformance;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use conformance::{Answer, Bench, TIMEOUT, message};
use prometheus::Registry;
use stentor::clock::Clock;
use stentor::engine::Refused;
use stentor::notifiers::email::{EmailNotifier, EmailSetup, MailTls};
use stentor::notifiers::{Notifier, Notifiers, Secret, SendError};
use stentor::notify::policy::{ChannelLimits, RetryPolicy};
use stentor::notify::{Parts, Reports, start};
use stentor::store::SharedStore;
use stentor::store::sqlite::SqliteStore;
use stentor_core::catalog::Catalog;
use stentor_core::model::{Delivery, DeliveryOutcome, Notification, Reason};
use stentor_core::{Span, Timestamp};
use tokio::sync::{Notify, mpsc};

use crate::smtp::{Fault, PASSWORD, Protection, SmtpServer, USER};

const NOC: &str = "noc@example.org";

fn secret(dir: &Path, text: &str) -> Secret {
    let path = dir.join("password");
    std::fs::write(&path, text).unwrap();
    Secret::read(&path).unwrap()
}

fn setup(server: &SmtpServer, protection: Protection, dir: &Path) -> EmailSetup {
    EmailSetup {
        host: "localhost".into(),
        port: server.address.port(),
        tls: match protection {
            Protection::None => MailTls::None,
            Protection::StartTls => MailTls::StartTls,
            Protection::Implicit => MailTls::Implicit,
        },
        user: Some(USER.into()),
        password: Some(secret(dir, PASSWORD)),
        from: "Stentor <stentor@ecc.example>".into(),
        timeout: TIMEOUT,
        hello_name: None,
        ca_file: Some(server.ca_file.clone()),
    }
}

struct MailBench {
    server: SmtpServer,
    notifier: EmailNotifier,
}

impl Bench for MailBench {
    fn notifier(&self) -> &dyn Notifier {
        &self.notifier
    }
    fn answer(&self, answer: Answer) {
        self.server.fault(match answer {
            Answer::Accept => Fault::None,
            Answer::Busy => Fault::Data("451 4.3.0 try later"),
            Answer::Away => Fault::Data("421 4.3.2 shutting down"),
            Answer::Refuse => Fault::Recipient("550 5.1.1 no such user"),
            Answer::Silent => Fault::Silent,
        });
    }
    fn arrived(&self) -> Vec<String> {
        self.server.mails().iter().map(crate::smtp::Mail::text).collect()
    }
    fn address(&self) -> String {
        NOC.into()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_keeps_every_promise_of_a_notifier() {
    let dir = tempfile::tempdir().unwrap();
    let server = SmtpServer::start(Protection::StartTls, true).await;
    let notifier = EmailNotifier::new(setup(&server, Protection::StartTls, dir.path())).unwrap();
    assert!(!format!("{notifier:?} {:?}", setup(&server, Protection::StartTls, dir.path())).contains(PASSWORD));
    conformance::all(&MailBench { server, notifier }).await;
}

#[tokio::test]
async fn each_protection_delivers_and_logs_in() {
    for protection in [Protection::None, Protection::StartTls, Protection::Implicit] {
        let dir = tempfile::tempdir().unwrap();
        let server = SmtpServer::start(protection, true).await;
        let notifier = EmailNotifier::new(setup(&server, protection, dir.path())).unwrap();
        let receipt = notifier.send(&message(Reason::Problem, NOC)).await.unwrap();
        assert!(receipt.0.contains("250") && receipt.0.contains("queued as 4711"), "{receipt:?}");
        let mail = server.mails().remove(0);
        assert_eq!(mail.encrypted, protection != Protection::None);
        assert_eq!(mail.login.as_deref(), Some(USER));
        assert_eq!((mail.from.as_str(), mail.to), ("stentor@ecc.example", vec![NOC.to_owned()]));
        assert_eq!(mail.hello, "ecc.example");
    }
}

#[tokio::test]
async fn encryption_that_was_asked_for_is_never_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let plain = SmtpServer::start(Protection::None, false).await;
    let notifier = EmailNotifier::new(setup(&plain, Protection::StartTls, dir.path())).unwrap();
    let downgraded = notifier.send(&message(Reason::Problem, NOC)).await.unwrap_err();
    assert!(matches!(downgraded, SendError::Transient { .. }), "{downgraded:?}");

    let server = SmtpServer::start(Protection::StartTls, false).await;
    let stranger = EmailSetup { ca_file: None, ..setup(&server, Protection::StartTls, dir.path()) };
    let refused = EmailNotifier::new(stranger).unwrap().send(&message(Reason::Problem, NOC)).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    assert_eq!((plain.attempts(), server.attempts()), (0, 0), "no envelope was shown");
}

#[tokio::test]
async fn a_refused_login_is_tried_again_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let server = SmtpServer::start(Protection::StartTls, true).await;
    let wrong =
        EmailSetup { password: Some(secret(dir.path(), "wrong")), ..setup(&server, Protection::StartTls, dir.path()) };
    for setup in [wrong, EmailSetup { user: None, ..setup(&server, Protection::StartTls, dir.path()) }] {
        match EmailNotifier::new(setup).unwrap().send(&message(Reason::Problem, NOC)).await {
            Err(SendError::Transient { message, .. }) => assert!(message.contains("53"), "{message}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_mail_reads_as_designed() {
    let dir = tempfile::tempdir().unwrap();
    let server = SmtpServer::start(Protection::StartTls, false).await;
    let notifier = EmailNotifier::new(setup(&server, Protection::StartTls, dir.path())).unwrap();
    notifier.send(&message(Reason::Problem, NOC)).await.unwrap();
    notifier.send(&message(Reason::Recovery, NOC)).await.unwrap();
    let [problem, recovery] = <[_; 2]>::try_from(server.mails()).unwrap();

    let subject = problem.header("Subject").unwrap();
    assert_eq!(subject, "[Stentor ECC] CRITICAL, degraded: Cloud controller on clc1 is down (INC-17)");
    assert_eq!(problem.header("Date").unwrap(), "Sat, 21 Nov 2026 02:02:20 +0000");
    assert_eq!(problem.header("Auto-Submitted").unwrap(), "auto-generated");
    assert_eq!(problem.header("In-Reply-To"), None);
    for part in [problem.part("text/plain"), problem.part("text/html")] {
        for needed in [
            "clc on clc1",
            "software down, process_gone (cell eucalyptus/clc/software)",
            "New instances do not start",
            "clc1/clc port: refused",
            "1 folded in: cc on cc1",
            "Sat 21 Nov 2026 02:02:11 UTC",
            "systemctl status eucalyptus-cloud",
            "https://stentor.example/i/17/ack",
            "https://stentor.example/i/17",
            "You get this because a new incident reaches the contact noc.",
            "full, Core degraded, 1 of 2 left",
        ] {
            assert!(part.contains(needed), "`{needed}` is missing in\n{part}");
        }
    }

    let subject = recovery.header("Subject").unwrap();
    assert_eq!(subject, "[Stentor ECC] RESTORED after 26 min: Cloud controller on clc1 is down (INC-17)");
    assert_eq!(recovery.header("In-Reply-To"), problem.header("Message-ID"));
    assert_eq!(recovery.header("References"), problem.header("Message-ID"));
    assert_ne!(recovery.header("Message-ID"), problem.header("Message-ID"));
    assert!(recovery.part("text/plain").contains("port 8773 answers again"));
    assert!(!recovery.part("text/plain").contains("Acknowledge:"), "nothing is left to acknowledge");
}

#[tokio::test]
async fn no_name_can_add_a_header_or_markup() {
    let dir = tempfile::tempdir().unwrap();
    let server = SmtpServer::start(Protection::StartTls, false).await;
    let notifier = EmailNotifier::new(setup(&server, Protection::StartTls, dir.path())).unwrap();
    let evil = "x\r\nBcc: evil@example.org\r\n\r\n.\r\n<script>alert(1)</script>";
    let mut hostile = message(Reason::Acknowledgement, NOC);
    let mut incident = (*hostile.notification.incident).clone();
    incident.title = evil.into();
    incident.cloud = Some(evil.into());
    incident.users_notice = evil.into();
    incident.verdict.evidence[0].value = evil.into();
    hostile.notification = Notification {
        key: format!("key{evil}").into(),
        contact: evil.into(),
        by: Some(evil.into()),
        comment: Some(evil.into()),
        incident: Arc::new(incident),
        ..hostile.notification
    };
    hostile.thread = evil.into();
    hostile.steps = vec![evil.into()];
    notifier.send(&hostile).await.unwrap();
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(mail.to, [NOC]);
    assert_eq!(mail.header("Bcc"), None);
    assert!(!mail.part("text/html").contains("<script>"), "{}", mail.part("text/html"));
    let head = mail.raw.split("\n\n").next().unwrap();
    assert!(head.contains("MIME-Version"), "the headers were not ended early:\n{head}");
}

struct Engine {
    told: mpsc::Sender<Delivery>,
}

#[async_trait]
impl Reports for Engine {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::new(Catalog { url: "https://stentor.example".into(), instance: "ECC".into(), ..Catalog::default() })
    }
    async fn report(&self, deliveries: Vec<Delivery>) -> Result<(), Refused> {
        for delivery in deliveries {
            self.told.send(delivery).await.map_err(|_| Refused::Stopping)?;
        }
        Ok(())
    }
}

/// From the outbox to the mailbox through each fault: the mail arrives, and every copy of it has one Message-ID.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outbox_reaches_the_mailbox_through_every_fault() {
    let dir = tempfile::tempdir().unwrap();
    let server = SmtpServer::start(Protection::StartTls, true).await;
    let store: SharedStore = Arc::new(SqliteStore::open(&dir.path().join("s.db")).await.unwrap());
    let clock = Clock::manual(Timestamp::from_secs(1_795_226_600));
    let (bell, (told_tx, mut told)) = (Arc::new(Notify::new()), mpsc::channel(16));
    let (_unrecorded, unrecorded) = mpsc::channel(16);
    let running = start(Parts {
        store: Arc::clone(&store),
        notifiers: Notifiers::default()
            .with(EmailNotifier::new(setup(&server, Protection::StartTls, dir.path())).unwrap()),
        engine: Arc::new(Engine { told: told_tx }),
        clock: clock.clone(),
        registry: Arc::new(Registry::new()),
        outbox: Arc::clone(&bell),
        unrecorded,
        retry: RetryPolicy::default(),
        limits: ChannelLimits::default(),
    })
    .unwrap();

    let faults = [Fault::Data("451 4.3.0 busy"), Fault::Silent, Fault::RefuseLogin, Fault::DropAfterData];
    let (mut copies, mut seq) = (0, 0);
    for fault in faults {
        seq += 1;
        copies += 1 + usize::from(fault == Fault::DropAfterData);
        let page = Notification {
            key: format!("ECC/INC-{seq}/problem/1/noc/email").into(),
            seq,
            created_at: clock.now(),
            ..message(Reason::Problem, NOC).notification
        };
        server.fault(fault.clone());
        store.commit_turn(seq, &[], std::slice::from_ref(&page)).await.unwrap();
        bell.notify_one();
        // The failed attempt is on record: the row is due later.
        while store.outbox_pending().await.unwrap().iter().all(|(_, due)| *due <= clock.now()) {
            tokio::task::yield_now().await;
        }
        server.fault(Fault::None);
        clock.advance(Span::from_mins(5));
        bell.notify_one();
        let delivery = tokio::time::timeout(Duration::from_secs(240), told.recv()).await.unwrap().unwrap();
        assert_eq!(delivery.key, page.key, "{fault:?}");
        assert!(matches!(&delivery.outcome, DeliveryOutcome::Accepted(receipt) if receipt.contains("4711")));
    }
    running.stop().await;
    let mails = server.mails();
    let ids: BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID").unwrap()).collect();
    assert_eq!((mails.len(), ids.len()), (copies, faults_len(seq)), "a repeat has the Message-ID of the first");
    assert!(store.outbox_keys(None).await.unwrap().iter().all(|(_, outcome)| outcome == "sent"));
}

fn faults_len(seq: u64) -> usize {
    usize::try_from(seq).unwrap()
}

const SINK: &str = r#"
import sys, time
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
import ssl
class Sink:
    async def handle_DATA(self, server, session, envelope):
        sys.stdout.write("MAIL tls=%s user=%s\n" % (bool(session.ssl), session.auth_data.login.decode()))
        sys.stdout.write(envelope.content.decode() + "\nEND\n")
        sys.stdout.flush()
        return "250 2.0.0 aiosmtpd took it"
def auth(server, session, envelope, mechanism, data):
    return AuthResult(success=data.login == b"stentor" and data.password == sys.argv[3].encode(), auth_data=data)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
controller = Controller(Sink(), hostname="127.0.0.1", port=int(sys.argv[4]), tls_context=context,
                        authenticator=auth, auth_required=True, auth_require_tls=True)
controller.start()
print("READY", flush=True)
sys.stdin.read()
"#;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Python that has aiosmtpd: the virtual environment under target/, else the first on the path, else Debian's own.
fn python() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python3");
    for python in [venv, PathBuf::from("python3"), PathBuf::from("/usr/bin/python3")] {
        let found = Command::new(&python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        if found.is_ok_and(|status| status.success()) {
            return python;
        }
    }
    panic!(
        "this test needs Python's aiosmtpd: python3 -m venv target/venv && target/venv/bin/pip install aiosmtpd \
         (Debian: apt-get install python3-aiosmtpd; scripts/test does)"
    );
}

#[tokio::test]
async fn a_mail_server_of_another_make_takes_the_mail() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let python = python();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(file("cert.pem"), certified.cert.pem()).unwrap();
    std::fs::write(file("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    std::fs::File::create(file("sink.py")).unwrap().write_all(SINK.as_bytes()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(python)
        .arg(file("sink.py"))
        .args([file("cert.pem"), file("key.pem")])
        .args([PASSWORD, &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let mut said = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(said.next().as_deref(), Some("READY"));

    let notifier = EmailNotifier::new(EmailSetup {
        host: "localhost".into(),
        port,
        tls: MailTls::StartTls,
        user: Some(USER.into()),
        password: Some(secret(dir.path(), PASSWORD)),
        from: "stentor@ecc.example".into(),
        timeout: Duration::from_secs(20),
        hello_name: Some("monitor.ecc.example".into()),
        ca_file: Some(file("cert.pem")),
    })
    .unwrap();
    let receipt = notifier.send(&message(Reason::Problem, NOC)).await.unwrap();
    assert!(receipt.0.contains("aiosmtpd took it"), "{receipt:?}");
    let mail: Vec<String> = said.by_ref().take_while(|line| line != "END").collect();
    assert_eq!(mail[0], "MAIL tls=True user=stentor");
    let mail = mail.join("\n");
    assert!(mail.contains("Subject: [Stentor ECC] CRITICAL, degraded: Cloud controller on clc1 is down"), "{mail}");
    let id = notifier.message_id(&message(Reason::Problem, NOC).notification.key);
    assert!(mail.contains(&format!("Message-ID: {id}")), "{mail}");
}
