//! From a management controller written by others to a mailbox: `stentor serve` beside OpenIPMI's `ipmi_sim`, a machine
//! that can go dark, and an SMTP server.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ipmi::simulator::{PASSWORD, PSU_2, Simulator, USER};
use crate::running::{Running, alone, brief, is_live, until};
use crate::smtp::{Mail, Protection, SmtpServer};

/// Offset 1 of a power supply: failure detected (IPMI 2.0, table 42-3).
const PSU_FAILED: u8 = 1;

/// A port of a machine that may go dark: then nothing answers, not even the kernel refuses.
struct Port {
    listener: Arc<TcpListener>,
    answer: &'static str,
    accepting: JoinHandle<()>,
    /// Connections that fill the queue which nobody accepts from: the kernel drops whoever comes next.
    plugs: Vec<TcpStream>,
}

impl Port {
    /// Sends `answer` to whoever connects.
    fn open(answer: &'static str) -> Port {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = Arc::new(socket.listen(1).unwrap());
        let accepting = tokio::spawn(accept(Arc::clone(&listener), answer));
        Port { listener, answer, accepting, plugs: Vec::new() }
    }

    fn number(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    async fn go_dark(&mut self) {
        self.accepting.abort();
        let ended = (&mut self.accepting).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
        // On loopback a connection is made at once or not at all.
        let connect = || timeout(Duration::from_millis(500), TcpStream::connect(("127.0.0.1", self.number())));
        let mut plugs = Vec::new();
        while let Ok(plug) = connect().await {
            plugs.push(plug.unwrap());
        }
        self.plugs = plugs;
    }

    fn come_back(&mut self) {
        self.plugs.clear();
        self.accepting = tokio::spawn(accept(Arc::clone(&self.listener), self.answer));
    }
}

async fn accept(listener: Arc<TcpListener>, answer: &'static str) {
    while let Ok((mut peer, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0; 1024];
            if answer.starts_with("HTTP") {
                let _ = peer.read(&mut request).await;
            }
            // A probe that only knocks has gone already.
            let _ = peer.write_all(answer.as_bytes()).await;
        });
    }
}

const HEARTBEAT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    name=eucalyptus           enabled=true       local=true       initialized=true      \n";

fn config(bmc: SocketAddr, ports: &[u16; 3], smtp: SocketAddr) -> String {
    let [ssh, web, database] = ports;
    format!(
        r#"
instance = "bmc"
[timing]
pace = 20
[[zone]]
name = "front"
cloud = "euca"
[[cloud]]
name = "euca"
platform = "eucalyptus"
[[host]]
name = "clc1"
address = "127.0.0.1"
zone = "front"
# Loopback answers pings for the dead: this host lives by its ports alone.
check = "none"
components = ["eucalyptus/clc"]
[host.bmc]
address = "127.0.0.1"
port = {bmc}
user = "{USER}"
password_file = "bmc.password"
suite = 3
[host.checks.ssh]
params = {{ port = {ssh} }}
[host.checks."clc port"]
params = {{ port = {web} }}
[host.checks."clc heartbeat"]
params = {{ port = {web} }}
[host.checks."clc db"]
params = {{ port = {database} }}
[[contact]]
name = "noc"
email = "noc@example.org"
[[route]]
to = ["noc"]
[notifier.email]
host = "127.0.0.1"
port = {smtp}
tls = "none"
from = "stentor@example.org"
"#,
        bmc = bmc.port(),
        smtp = smtp.port(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_supply_and_a_power_off_are_told_once_each_and_their_ends_in_their_threads() {
    let _alone = alone().await;
    let bmc = Simulator::start().await;
    let smtp = SmtpServer::start(Protection::None, false).await;
    let mut ports = [Port::open("SSH-2.0-Test\r\n"), Port::open(HEARTBEAT), Port::open("")];
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bmc.password"), PASSWORD).unwrap();
    let numbers = [0, 1, 2].map(|i: usize| ports[i].number());
    let stentor = Running::serve(&config(bmc.address, &numbers, smtp.address), folder).await;
    until("all is well at first", async || well(&stentor).await).await;
    assert!(smtp.mails().is_empty(), "nothing to tell yet");

    bmc.set_bit(PSU_2, PSU_FAILED, 1).await;
    let incident = only_live(&stentor, 1).await;
    assert_eq!(class(&incident), ["redundancy_lost", "psu_failed", "-", "invisible"], "{}", brief(&incident));
    bmc.set_bit(PSU_2, PSU_FAILED, 0).await;
    until("the supply is mended", async || well(&stentor).await).await;

    bmc.set_power(false);
    for port in &mut ports {
        port.go_dark().await;
    }
    let incident = only_live(&stentor, 2).await;
    let expect = ["server_down", "power_off", "eucalyptus/clc/server", "visible"];
    assert_eq!(class(&incident), expect, "{}", brief(&incident));
    bmc.set_power(true);
    ports.iter_mut().for_each(Port::come_back);
    until("the server is back", async || well(&stentor).await).await;

    let mails = until("four mails", async || {
        let mails = smtp.mails();
        if mails.len() >= 4 { Ok(mails) } else { Err(mails.len()) }
    })
    .await;
    let incidents = stentor.incidents().await;
    assert_eq!(incidents.len(), 2, "{:?}", incidents.iter().map(brief).collect::<Vec<_>>());
    stentor.stop().await;
    assert_eq!(smtp.mails().len(), 4, "each exactly once");
    threads(&mails);
}

/// The mails come in the order of the story: problem and recovery of the one, then of the other.
fn threads(mails: &[Mail]) {
    let id = |mail: &Mail| mail.header("Message-ID").expect("a Message-ID");
    for (pair, incident) in mails.chunks(2).zip(["INC-1", "INC-2"]) {
        let [problem, recovery] = pair else { panic!("{} mails", mails.len()) };
        let keys = [problem, recovery].map(|mail| mail.header("X-Stentor-Key").expect("a key"));
        assert!(keys[0].contains(&format!("/{incident}/problem/")), "{keys:?}");
        assert!(keys[1].contains(&format!("/{incident}/recovery/")), "{keys:?}");
        assert!(problem.header("References").is_none());
        assert_eq!(recovery.header("References"), Some(id(problem)));
        assert_eq!(recovery.header("In-Reply-To"), Some(id(problem)));
        assert_ne!(id(problem), id(recovery));
        assert_eq!(problem.to, ["noc@example.org"]);
    }
    let told = format!("{}{}", mails[0].text(), mails[2].text());
    for words in ["at risk", "clc1", "powered off"] {
        assert!(told.contains(words), "no `{words}` in\n{told}");
    }
}

async fn well(stentor: &Running) -> Result<(), String> {
    let live: Vec<String> = stentor.incidents().await.iter().filter(|incident| is_live(incident)).map(brief).collect();
    let services = stentor.services().await;
    let bad = services.iter().filter(|service| service["state"] != "OK");
    let bad: Vec<String> = bad.map(|s| format!("{} {} {}", s["service"], s["state"], s["output"])).collect();
    if live.is_empty() && bad.is_empty() && !services.is_empty() { Ok(()) } else { Err(format!("{live:?} {bad:?}")) }
}

/// Waits for incident `number`; there must be no other live one.
async fn only_live(stentor: &Running, number: u64) -> Value {
    let what = format!("incident {number}");
    stentor
        .until_incidents(&what, |incidents| {
            let live: Vec<&Value> = incidents.iter().filter(|incident| is_live(incident)).collect();
            match live.as_slice() {
                [only] if only["number"] == number => Ok((*only).clone()),
                others => Err(others.iter().map(|incident| brief(incident)).collect::<Vec<_>>()),
            }
        })
        .await
}

fn class(incident: &Value) -> [&str; 4] {
    ["class", "subtype", "cell", "visibility"].map(|key| incident[key].as_str().unwrap_or("-"))
}
