//! The demo's mail server: takes every message and shows it, delivers none.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// Messages kept, the newest.
const MESSAGES_MAX: usize = 500;
/// A message longer than this is refused (RFC 5321 §4.5.3.1.7 asks for at least 64 KiB).
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Of one line, command or text; far above the 1,000 of RFC 5321 §4.5.3.1.6. More ends the session.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Of one message (RFC 5321 §4.5.3.1.8 asks for at least 100).
const RECIPIENTS_MAX: usize = 100;
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

/// Talks with one client until it is done.
///
/// # Errors
/// The client broke off, or sent a line without an end.
pub async fn session<S: AsyncRead + AsyncWrite + Unpin>(stream: S, mailbox: &Mailbox) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 demo.example ESMTP Stentor demo\r\n").await?;
    let mut to = Vec::new();
    let mut bytes = Vec::new();
    loop {
        if !next_line(&mut stream, &mut bytes).await? {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&bytes);
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-demo.example\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            "HELO" | "MAIL" | "NOOP" => "250 OK\r\n",
            "RSET" => {
                to.clear();
                "250 OK\r\n"
            }
            "RCPT" if to.len() >= RECIPIENTS_MAX => "452 Too many recipients\r\n",
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

/// The next line with its end; false where the client closed.
async fn next_line<S: AsyncBufRead + Unpin>(stream: &mut S, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = stream.take(LINE_BYTES_MAX).read_until(b'\n', line).await? as u64;
    if read == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end"));
    }
    Ok(read > 0)
}

async fn data<S: AsyncBufRead + Unpin>(stream: &mut S) -> io::Result<Option<String>> {
    let mut raw = String::new();
    let mut too_large = false;
    let mut line = Vec::new();
    loop {
        if !next_line(stream, &mut line).await? {
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn talk(said: &[u8]) -> (io::Result<()>, Mailbox) {
        let mailbox = Mailbox::default();
        let ended = session(tokio::io::join(said, tokio::io::sink()), &mailbox).await;
        (ended, mailbox)
    }

    #[tokio::test]
    async fn a_line_without_an_end_ends_the_session_instead_of_filling_the_memory() {
        let endless = vec![b'x'; 1 << 20];
        assert!(talk(&endless).await.0.is_err());
        let in_a_message = [b"DATA\r\n".as_slice(), &endless].concat();
        assert!(talk(&in_a_message).await.0.is_err());
    }

    #[tokio::test]
    async fn a_message_keeps_at_most_a_hundred_recipients() {
        let said = format!("{}DATA\r\nSubject: a\r\n b\r\n\r\n..x\r\n.\r\n", "RCPT TO:<a@b>\r\n".repeat(1000));
        let (ended, mailbox) = talk(said.as_bytes()).await;
        ended.expect("closed in order");
        let all = mailbox.all();
        assert_eq!((all.len(), all[0].to.len()), (1, RECIPIENTS_MAX));
        assert_eq!((all[0].subject.as_str(), all[0].raw.ends_with("\r\n.x\r\n")), ("a b", true));
    }
}
