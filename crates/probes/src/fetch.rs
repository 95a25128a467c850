//! One HTTP/1.1 request with its phases: name, connection, TLS, first byte, all. Used by `http` and `heartbeat`.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use stentor_core::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::AbortOnDropHandle;

use super::look::ahead_of;
use super::reach::{Attempt, reach};
use super::tls::Trust;
use super::{Deadline, Network, ProbeError, Target};

/// Read of a body where nobody wants more; the rest is not looked at.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What to ask.
pub struct Fetch<'a, B = Empty<Bytes>> {
    pub net: &'a Network,
    pub target: &'a Target,
    pub port: u16,
    /// `None` = plain text.
    pub tls: Option<&'a Trust>,
    /// Name in the certificate and in `Host`; the target's address if `None`.
    pub server_name: Option<&'a str>,
    pub request: Request<B>,
    /// Read of the body; usually [`BODY_BYTES_MAX`].
    pub body_bytes_max: usize,
}

/// What came back, and when.
#[derive(Debug)]
pub struct Fetched {
    pub attempt: Attempt,
    pub tls: Option<Handshake>,
    /// `None` if the port did not open or TLS failed.
    pub exchange: Option<Exchange>,
    /// From the request to the first byte of the answer.
    pub first_byte: Option<Duration>,
    pub total: Duration,
}

#[derive(Debug)]
pub struct Handshake {
    pub took: Duration,
    /// End of the peer's certificate.
    pub not_after: Option<Timestamp>,
    /// SHA-256 of the peer's certificate, in hexadecimal.
    pub fingerprint: Option<String>,
    /// Why it failed, if it did; `timed_out` tells a silent peer from a bad one.
    pub error: Option<String>,
    pub timed_out: bool,
}

/// How the request went once the connection stood.
#[derive(Debug)]
pub enum Exchange {
    Answer(Answer),
    /// The peer took the connection but did not answer in full by the deadline.
    Timeout,
    /// The peer closed the connection or does not speak HTTP.
    Broken(String),
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The body was longer than what is read of it.
    pub truncated: bool,
}

/// A body that can be sent.
pub trait Sent: Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static {}
impl<B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static> Sent for B {}

/// Carries one request out, ending a little before the deadline.
///
/// # Errors
/// Only our own troubles; see [`reach`].
pub async fn fetch<B: Sent>(ask: Fetch<'_, B>, deadline: Deadline) -> Result<Fetched, ProbeError> {
    let begun = Instant::now();
    let deadline = ahead_of(deadline);
    let mut attempt = reach(ask.net, ask.target, ask.port, deadline).await?;
    let stream = attempt.stream.take();
    let mut fetched = Fetched { attempt, tls: None, exchange: None, first_byte: None, total: Duration::ZERO };
    if let Some(stream) = stream {
        // Small requests must not wait for Nagle; a socket that refuses the option is merely slower.
        let _ = stream.set_nodelay(true);
        let name = ask.server_name.unwrap_or(&ask.target.address);
        match ask.tls {
            None => fetched.talk(stream, ask.request, ask.body_bytes_max, deadline).await,
            Some(trust) => {
                if let Some(stream) = fetched.secure(stream, name, trust, deadline).await? {
                    fetched.talk(stream, ask.request, ask.body_bytes_max, deadline).await;
                }
            }
        }
    }
    fetched.total = begun.elapsed();
    Ok(fetched)
}

impl Fetched {
    /// The TLS handshake; `None` if it failed, which is an observation.
    async fn secure(
        &mut self,
        stream: TcpStream,
        name: &str,
        trust: &Trust,
        deadline: Deadline,
    ) -> Result<Option<TlsStream<TcpStream>>, ProbeError> {
        let begun = Instant::now();
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| ProbeError::Failed(format!("`{name}` cannot be the name in a certificate")))?;
        let (config, keeper) = trust.client().map_err(|e| ProbeError::Failed(format!("TLS cannot be set up: {e}")))?;
        let shaken = timeout_at(deadline, TlsConnector::from(config).connect(name, stream)).await;
        let (stream, error, timed_out) = match shaken {
            Ok(Ok(stream)) => (Some(stream), None, false),
            Ok(Err(error)) => (None, Some(error.to_string()), false),
            Err(_) => (None, Some("no TLS handshake in time".to_owned()), true),
        };
        let (not_after, fingerprint) = (keeper.not_after(), keeper.fingerprint());
        self.tls = Some(Handshake { took: begun.elapsed(), not_after, fingerprint, error, timed_out });
        Ok(stream)
    }

    async fn talk<S, B: Sent>(&mut self, stream: S, request: Request<B>, body_bytes_max: usize, deadline: Deadline)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (exchange, first_byte) = exchange(stream, request, body_bytes_max, deadline).await;
        self.exchange = Some(exchange);
        self.first_byte = first_byte;
    }
}

/// One request over an open connection, and the time to the first byte of its answer.
pub async fn exchange<S, B: Sent>(
    stream: S,
    request: Request<B>,
    body_bytes_max: usize,
    deadline: Deadline,
) -> (Exchange, Option<Duration>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let begun = Instant::now();
    match timeout_at(deadline, ask(stream, request)).await {
        Err(_) => (Exchange::Timeout, None),
        Ok(Err(error)) => (Exchange::Broken(chain(&error)), None),
        Ok(Ok((response, _driver))) => {
            let first_byte = Some(begun.elapsed());
            let exchange = match timeout_at(deadline, read(response, body_bytes_max)).await {
                Err(_) => Exchange::Timeout,
                Ok(Err(error)) => Exchange::Broken(chain(&error)),
                Ok(Ok(answer)) => Exchange::Answer(answer),
            };
            (exchange, first_byte)
        }
    }
}

/// Sends the request and waits for the head of the answer. The task that drives the connection ends with its handle.
async fn ask<S, B: Sent>(
    stream: S,
    request: Request<B>,
) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = AbortOnDropHandle::new(tokio::spawn(async move {
        // How the connection ends is told by the request and the body.
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await?;
    Ok((response, driver))
}

async fn read(response: Response<Incoming>, body_bytes_max: usize) -> Result<Answer, hyper::Error> {
    let status = response.status().as_u16();
    let location = response.headers().get(hyper::header::LOCATION);
    let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let headers = response.headers().clone();
    let mut answer = Answer { status, location, headers, body: Vec::new(), truncated: false };
    let mut body = response.into_body();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame?.into_data() else { continue };
        let room = body_bytes_max - answer.body.len();
        answer.body.extend(data.iter().take(room));
        if data.len() > room {
            answer.truncated = true;
            break;
        }
    }
    Ok(answer)
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
