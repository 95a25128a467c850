//! A conversation over TCP, plain or within TLS, that ends by its deadline: bounded lines, and what the peer did instead.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use stentor_core::Timestamp;
use stentor_core::model::Observation;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;

use super::clock::Clock;
use super::reach::{Attempt, millis, reach};
use super::tls::Trust;
use super::{BuildError, Deadline, Network, ProbeError, Target};

/// Longest line that a peer may send.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Letters of what a peer said that are shown.
const SHOWN_CHARS_MAX: usize = 200;

/// How a service is protected that can be asked for it.
#[derive(Copy, Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    #[default]
    None,
    Starttls,
    /// From the first byte.
    Implicit,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open connection.
pub struct Talk {
    stream: Box<dyn Stream>,
    /// Read and not yet looked at.
    unread: Vec<u8>,
    deadline: Deadline,
}

/// Why a conversation ended before its end. Each is something that the peer did.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Hitch {
    #[error("no answer in time")]
    Timeout,
    #[error("it closed the connection")]
    Closed,
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
    /// Neither side has a cipher of the other's.
    #[error("no TLS cipher in common")]
    NoCommonCipher,
    #[error("TLS: {0}")]
    Tls(String),
    #[error("{0}")]
    Invalid(String),
}

impl Hitch {
    /// The word of the fact that is named after the service.
    pub fn word(&self) -> &'static str {
        match self {
            Hitch::Timeout => "timeout",
            Hitch::Closed => "closed",
            Hitch::TooLong(_) | Hitch::Invalid(_) => "invalid",
            Hitch::NoCommonCipher => "no_common_cipher",
            Hitch::Tls(_) => "tls",
        }
    }

    fn of(error: &io::Error) -> Hitch {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Hitch::Closed,
            _ => Hitch::Invalid(error.to_string()),
        }
    }
}

/// Connects. No conversation comes back exactly where the port is not open; see [`reach`]. `deadline` lies
/// [`ahead_of`](super::look::ahead_of) the probe's.
///
/// # Errors
/// Only our own troubles.
pub async fn open(
    net: &Network,
    target: &Target,
    port: u16,
    deadline: Deadline,
) -> Result<(Attempt, Option<Talk>), ProbeError> {
    let mut attempt = reach(net, target, port, deadline).await?;
    let talk = attempt.stream.take().map(|stream| {
        // Small requests must not wait for Nagle; a socket that refuses the option is merely slower.
        let _ = stream.set_nodelay(true);
        Talk { stream: Box::new(stream), unread: Vec::new(), deadline }
    });
    Ok((attempt, talk))
}

/// The facts of a port that opened.
pub fn opened(attempt: &Attempt, text: String) -> Observation {
    let connect_ms = millis(attempt.connect);
    Observation::observed(text).fact("port", "open").fact("connect_ms", connect_ms).measure(
        "connect",
        attempt.connect.as_secs_f64(),
        "s",
    )
}

/// Whom the parameters `insecure` and `ca_file` of a probe trust.
///
/// # Errors
/// There is no root certificate.
pub fn trust(kind: &str, insecure: bool, ca_file: Option<&Path>) -> Result<Trust, BuildError> {
    let trust = match (insecure, ca_file) {
        (true, _) => Ok(Trust::everything()),
        (false, Some(path)) => Trust::file(path),
        (false, None) => Trust::system(),
    };
    trust.map_err(|e| unfit(kind, &e.to_string()))
}

/// A probe of this kind does not take its parameters.
pub fn unfit(kind: &str, why: &str) -> BuildError {
    BuildError { message: format!("probe `{kind}`: {why}") }
}

/// # Errors
/// The port is 0, on which nobody listens.
pub fn usable_port(kind: &str, port: Option<u16>) -> Result<(), BuildError> {
    if port == Some(0) { Err(unfit(kind, "there is no port 0")) } else { Ok(()) }
}

/// Whole days until a certificate ends, rounded down; negative once it has.
pub fn days_left(end: Timestamp, now: Timestamp) -> i64 {
    end.since(now).as_millis().div_euclid(86_400_000)
}

/// The facts of a certificate's end.
pub fn certificate(seen: Observation, end: Option<Timestamp>, now: Timestamp) -> Observation {
    let Some(end) = end else { return seen };
    let days = days_left(end, now);
    seen.fact("tls_days_left", days).fact("tls_not_after", end.to_rfc3339()).measure("tls_days_left", days as f64, "")
}

impl Talk {
    /// # Errors
    /// The peer does not take it.
    pub async fn say(&mut self, bytes: &[u8]) -> Result<(), Hitch> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout_at(self.deadline, sent).await.map_err(|_| Hitch::Timeout)?.map_err(|e| Hitch::of(&e))
    }

    /// The next line, without its end and with what is not UTF-8 replaced.
    ///
    /// # Errors
    /// None comes.
    pub async fn line(&mut self) -> Result<String, Hitch> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.unread.len() > LINE_BYTES_MAX {
                return Err(Hitch::TooLong(LINE_BYTES_MAX));
            }
            self.more().await?;
        }
    }

    /// The next `count` bytes; the caller bounds them.
    ///
    /// # Errors
    /// They do not come.
    pub async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Hitch> {
        while self.unread.len() < count {
            self.more().await?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    async fn more(&mut self) -> Result<(), Hitch> {
        let mut part = [0; 4096];
        let read = timeout_at(self.deadline, self.stream.read(&mut part)).await.map_err(|_| Hitch::Timeout)?;
        match read.map_err(|e| Hitch::of(&e))? {
            0 => Err(Hitch::Closed),
            count => {
                self.unread.extend(part.iter().take(count));
                Ok(())
            }
        }
    }

    /// Goes on within TLS; the end of the certificate comes back even if it was not believed. What the peer said in clear
    /// text and nobody read is forgotten: it must not pass for protected.
    async fn shake(self, trust: &Trust, name: &str) -> Result<(Result<Talk, Hitch>, Option<Timestamp>), ProbeError> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| ProbeError::Failed(format!("`{name}` cannot be the name in a certificate")))?;
        let (config, keeper) = trust.client().map_err(|e| ProbeError::Failed(format!("TLS cannot be set up: {e}")))?;
        let shaken =
            timeout_at(self.deadline, TlsConnector::from(Arc::clone(&config)).connect(name, self.stream)).await;
        let talk = match shaken {
            Err(_) => Err(Hitch::Timeout),
            Ok(Err(error)) => Err(of_handshake(&error)),
            Ok(Ok(stream)) => Ok(Talk { stream: Box::new(stream), unread: Vec::new(), deadline: self.deadline }),
        };
        Ok((talk, keeper.not_after()))
    }
}

/// Whom a conversation goes on with within TLS.
pub struct Secure<'a> {
    pub trust: &'a Trust,
    /// What the certificate must be for.
    pub name: &'a str,
    pub clock: &'a Clock,
}

impl Secure<'_> {
    /// Goes on within TLS, and notes the end of the certificate, also of one that was not believed.
    ///
    /// # Errors
    /// Only our own troubles.
    pub async fn talk(&self, talk: Talk, seen: &mut Observation) -> Result<Result<Talk, Hitch>, ProbeError> {
        let (secured, not_after) = talk.shake(self.trust, self.name).await?;
        *seen = certificate(seen.clone(), not_after, self.clock.now());
        Ok(secured)
    }
}

/// Why a service does not serve us: the conversation, or what the server says (`E`).
#[derive(Clone, Debug)]
pub enum Refusal<E> {
    Hitch(Hitch),
    Server(E),
}

impl<E> From<Hitch> for Refusal<E> {
    fn from(hitch: Hitch) -> Self {
        Refusal::Hitch(hitch)
    }
}

fn of_handshake(error: &io::Error) -> Hitch {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure)) => Hitch::NoCommonCipher,
        Some(cause) => Hitch::Tls(cause.to_string()),
        None => match Hitch::of(error) {
            Hitch::Closed => Hitch::Tls("it closed the connection".to_owned()),
            other => other,
        },
    }
}

/// What a peer said as one harmless line of bounded length.
pub fn shown(text: &str) -> String {
    let clean = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(SHOWN_CHARS_MAX).collect()
}
