//! One HTTPS connection to a controller, kept for the length of a poll: handshakes are what costs a BMC most.

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::RedfishError;
use super::client::Access;
use crate::Network;

/// Longest body that is read: an expanded collection of several hundred sensors has about a million bytes.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Ends the task that drives the connection.
    _driver: AbortOnDropHandle<()>,
    /// Answers that came over it.
    answers: u32,
}

/// What to ask.
#[derive(Clone)]
pub(super) struct Ask {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Option<Vec<u8>>,
}

pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Connection {
    /// Connects and shakes hands.
    ///
    /// # Errors
    /// Nobody answers, or the certificate is not believed.
    pub async fn open(net: &Network, access: &Access, deadline: Instant) -> Result<Connection, RedfishError> {
        let stream = net.connect(access.addr, deadline).await.map_err(|error| of_connect(error, access))?;
        // Small requests must not wait for Nagle; a socket that refuses the option is merely slower.
        let _ = stream.set_nodelay(true);
        let name = ServerName::try_from(access.name.clone())
            .map_err(|_| RedfishError::Tls(format!("`{}` cannot be the name in a certificate", access.name)))?;
        let (config, _) = access.trust.client().map_err(|error| RedfishError::Tls(error.to_string()))?;
        let shaken = timeout_at(deadline, TlsConnector::from(config).connect(name, stream)).await;
        let stream = match shaken {
            Err(_) => return Err(RedfishError::Unreachable("it takes connections, but does not speak TLS".to_owned())),
            Ok(Err(error)) => return Err(of_handshake(&error)),
            Ok(Ok(stream)) => stream,
        };
        let (sender, driver) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| RedfishError::Broken { during: "the connection".to_owned(), why: error.to_string() })?;
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            // How the connection ends is told by the request.
            let _ = driver.await;
        }));
        Ok(Connection { sender, _driver: driver, answers: 0 })
    }

    /// Others' keep-alive ends without notice: a failure on a connection that has served before says nothing.
    pub fn has_served(&self) -> bool {
        self.answers > 0
    }

    /// One request and its whole answer.
    ///
    /// # Errors
    /// None comes in time, it is too long, or it is no HTTP.
    pub async fn exchange(&mut self, ask: &Ask, host: &str, deadline: Instant) -> Result<Answer, RedfishError> {
        let during = || format!("{} {}", ask.method, ask.path);
        let broken = |error: hyper::Error| RedfishError::Broken { during: during(), why: chain(&error) };
        let request = ask.request(host).map_err(|why| RedfishError::Broken { during: during(), why })?;
        let talk = async {
            self.sender.ready().await.map_err(broken)?;
            let response = self.sender.send_request(request).await.map_err(broken)?;
            read(response, &during()).await
        };
        let answer = timeout_at(deadline, talk).await.map_err(|_| RedfishError::NoAnswer { during: during() })??;
        self.answers += 1;
        Ok(answer)
    }
}

impl Ask {
    pub fn get(path: &str) -> Ask {
        Ask { method: Method::GET, path: path.to_owned(), headers: Vec::new(), body: None }
    }

    pub fn post(path: &str, body: &serde_json::Value) -> Ask {
        let body = Some(body.to_string().into_bytes());
        Ask { method: Method::POST, path: path.to_owned(), headers: Vec::new(), body }
    }

    pub fn delete(path: &str) -> Ask {
        Ask { method: Method::DELETE, ..Ask::get(path) }
    }

    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Ask {
        self.headers.push((name, value));
        self
    }

    fn request(&self, host: &str) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header(header::HOST, host)
            .header(header::ACCEPT, "application/json")
            .header("OData-Version", "4.0")
            .header(header::USER_AGENT, concat!("stentor/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::from(self.body.clone().unwrap_or_default())).map_err(|error| error.to_string())
    }
}

async fn read(response: Response<Incoming>, during: &str) -> Result<Answer, RedfishError> {
    let (head, mut rest) = response.into_parts();
    let mut body = Vec::new();
    let has_length = rest.size_hint().exact().is_some();
    while !rest.is_end_stream() {
        let Some(frame) = rest.frame().await else { break };
        let frame = match frame {
            Ok(frame) => frame,
            // HTTP/1.0 without a length, and TLS without a farewell: whether that was all, the JSON tells.
            Err(error) if !has_length && !body.is_empty() && is_end(&error) => break,
            Err(error) => return Err(RedfishError::Broken { during: during.to_owned(), why: chain(&error) }),
        };
        let Ok(data) = frame.into_data() else { continue };
        if body.len() + data.len() > BODY_BYTES_MAX {
            let why = format!("its answer is longer than {BODY_BYTES_MAX} bytes");
            return Err(RedfishError::Broken { during: during.to_owned(), why });
        }
        body.extend_from_slice(&data);
    }
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
}

/// The other end closed the connection.
fn is_end(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::UnexpectedEof)
}

/// Silence and refusals are the controller's; all else is ours.
fn of_connect(error: std::io::Error, access: &Access) -> RedfishError {
    use std::io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut,
    };
    match error.kind() {
        TimedOut => RedfishError::Unreachable("it does not answer".to_owned()),
        ConnectionRefused | ConnectionReset => {
            RedfishError::Unreachable(format!("it refuses connections to port {}", access.addr.port()))
        }
        HostUnreachable | NetworkUnreachable | NetworkDown => RedfishError::Unreachable(error.to_string()),
        _ => RedfishError::Network(std::sync::Arc::new(error)),
    }
}

fn of_handshake(error: &std::io::Error) -> RedfishError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(cause) => RedfishError::Tls(cause.to_string()),
        None => RedfishError::Unreachable("it closes connections before TLS is up".to_owned()),
    }
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
