//! The demo's mail server: takes every message and shows it, delivers none.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Messages kept, the newest.
const MESSAGES_MAX: usize = 500;
/// A message longer than this is refused (RFC 5321 §4.5.3.1.7 asks for at least 64 KiB).
const MESSAGE_BYTES_MAX: usize = 1 << 20;
const IDLE: Duration = Duration::from_secs(60);

/// One message as received.
#[derive(Clone, Debug, Serialize)]
pub struct Mail {
    /// Counts from 1 in order of arrival.
    pub number: u64,
    pub to: Vec<String>,
    pub message_id: String,
    pub references: String,
    pub subject: String,
    /// As its sender dated it.
    pub date: String,
    /// Headers and body, as sent.
    pub raw: String,
}

/// What has arrived, the oldest first.
#[derive(Clone, Default)]
pub struct Mailbox(Arc<ArcSwap<VecDeque<Arc<Mail>>>>);

impl Mailbox {
    pub fn all(&self) -> Arc<VecDeque<Arc<Mail>>> {
        self.0.load_full()
    }

    fn put(&self, mail: Mail) {
        self.0.rcu(|old| {
            let mut all = VecDeque::clone(old);
            let number = all.back().map_or(1, |last| last.number + 1);
            let mail = Arc::new(Mail { number, ..mail.clone() });
            if all.len() >= MESSAGES_MAX {
                all.pop_front();
            }
            all.push_back(mail);
            all
        });
    }
}

/// The running server; dropping it ends it.
pub struct Running {
    pub addr: SocketAddr,
    pub mailbox: Mailbox,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens on a free port of 127.0.0.1.
///
/// # Errors
/// No port can be had.
pub async fn start() -> io::Result<Running> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let addr = listener.local_addr()?;
    let mailbox = Mailbox::default();
    let kept = mailbox.clone();
    let task = tokio::spawn(async move {
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = sessions.join_next() => {}
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let mailbox = kept.clone();
                    sessions.spawn(async move {
                        // A client that breaks off has not handed anything over.
                        let _ = tokio::time::timeout(IDLE, session(stream, &mailbox)).await;
                    });
                }
            }
        }
    });
    Ok(Running { addr, mailbox, task })
}

async fn session(stream: TcpStream, mailbox: &Mailbox) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 demo.example ESMTP Stentor demo\r\n").await?;
    let mut to = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-demo.example\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            "HELO" | "MAIL" | "NOOP" => "250 OK\r\n",
            "RSET" => {
                to.clear();
                "250 OK\r\n"
            }
            "RCPT" => {
                to.push(address_of(&line));
                "250 OK\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 End with a dot\r\n").await?;
                match data(&mut stream).await? {
                    Some(raw) => {
                        mailbox.put(read(std::mem::take(&mut to), raw));
                        "250 Kept for the demo\r\n"
                    }
                    None => "552 Message too large\r\n",
                }
            }
            "QUIT" => {
                stream.write_all(b"221 Bye\r\n").await?;
                return Ok(());
            }
            _ => "502 Not here\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

async fn data(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut raw = String::new();
    let mut too_large = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" || line == b".\n" {
            return Ok((!too_large).then_some(raw));
        }
        // RFC 5321 §4.5.2: a leading dot was doubled by the sender.
        let text = if line.starts_with(b"..") { line.get(1..).unwrap_or_default() } else { &line };
        too_large |= raw.len() + text.len() > MESSAGE_BYTES_MAX;
        if !too_large {
            raw.push_str(&String::from_utf8_lossy(text));
        }
    }
}

fn address_of(line: &str) -> String {
    line.split('<').nth(1).and_then(|rest| rest.split('>').next()).unwrap_or_default().to_owned()
}

fn read(to: Vec<String>, raw: String) -> Mail {
    let header = |name: &str| {
        let mut found: Option<String> = None;
        for line in raw.lines().take_while(|line| !line.is_empty()) {
            match &mut found {
                // RFC 5322 §2.2.3: a folded header goes on after white space.
                Some(value) if line.starts_with([' ', '\t']) => value.push_str(line),
                Some(_) => break,
                None => {
                    found = line
                        .split_once(':')
                        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                        .map(|(_, value)| value.trim().to_owned());
                }
            }
        }
        found.unwrap_or_default()
    };
    Mail {
        number: 0,
        to,
        message_id: header("Message-ID"),
        references: header("References"),
        subject: header("Subject"),
        date: header("Date"),
        raw,
    }
}
