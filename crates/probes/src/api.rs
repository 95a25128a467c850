//! JSON that a service shows over HTTP: one page after the other, each a value or the reason why there is none.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use serde_json::Value;

use super::fetch::{Answer, Exchange, Fetch, fetch};
use super::reach::{Port, closed};
use super::tls::Trust;
use super::{Deadline, Network, ProbeError, Target};

/// Lists of thousands of queues or streams have some megabytes.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Where the pages are.
pub struct Api<'a> {
    pub net: &'a Network,
    pub target: &'a Target,
    pub port: u16,
    pub tls: Option<&'a Trust>,
    pub server_name: Option<&'a str>,
    pub authorization: Option<HeaderValue>,
}

/// A page, or why there is none.
#[derive(Debug)]
pub enum Page {
    Json(u16, Value),
    /// `denied`, or the word for how the conversation failed; and why.
    Missing(&'static str, String),
}

impl Page {
    /// The value of a page that was found.
    pub fn found(self) -> Result<Value, (&'static str, String)> {
        match self {
            Page::Json(200, value) => Ok(value),
            Page::Json(status, _) => Err(("error", format!("status {status}"))),
            Page::Missing(word, why) => Err((word, why)),
        }
    }
}

impl Api<'_> {
    /// # Errors
    /// Only our own troubles.
    pub async fn get(&self, path: &'static str, deadline: Deadline) -> Result<Page, ProbeError> {
        let name = self.server_name.unwrap_or(&self.target.address);
        let name = if name.contains(':') && !name.starts_with('[') { format!("[{name}]") } else { name.to_owned() };
        let request = request(path, &format!("{name}:{}", self.port), self.authorization.as_ref())?;
        let fetched = fetch(
            Fetch {
                net: self.net,
                target: self.target,
                port: self.port,
                tls: self.tls,
                server_name: self.server_name,
                request,
                body_bytes_max: PAGE_BYTES_MAX,
            },
            deadline,
        )
        .await?;
        if fetched.attempt.port != Port::Open {
            return Ok(Page::Missing(fetched.attempt.port.word(), closed(&fetched.attempt).text.to_string()));
        }
        Ok(match fetched.exchange {
            Some(exchange) => page(exchange),
            None => {
                let why = fetched.tls.and_then(|tls| tls.error).unwrap_or_default();
                Page::Missing("tls", format!("no TLS connection: {why}"))
            }
        })
    }
}

/// # Errors
/// The path is none.
pub fn request(path: &str, host: &str, login: Option<&HeaderValue>) -> Result<Request<Empty<Bytes>>, ProbeError> {
    let uri: Uri = path.parse().map_err(|e| ProbeError::Failed(format!("`{path}` is no path: {e}")))?;
    let mut request = Request::get(uri)
        .header(HOST, host)
        .header(USER_AGENT, concat!("stentor/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json")
        .header(CONNECTION, "close");
    if let Some(login) = login {
        request = request.header(AUTHORIZATION, login);
    }
    request.body(Empty::new()).map_err(|e| ProbeError::Failed(format!("the request cannot be built: {e}")))
}

/// What an exchange brought.
pub fn page(exchange: Exchange) -> Page {
    match exchange {
        Exchange::Timeout => Page::Missing("timeout", "no complete answer in time".into()),
        Exchange::Broken(why) => Page::Missing("invalid", why),
        Exchange::Answer(Answer { status: status @ (401 | 403), .. }) => {
            Page::Missing("denied", format!("status {status}: wrong login, or a right is missing"))
        }
        Exchange::Answer(answer) if answer.truncated => {
            Page::Missing("invalid", format!("the page is longer than {PAGE_BYTES_MAX} bytes"))
        }
        Exchange::Answer(answer) => match serde_json::from_slice(&answer.body) {
            Ok(json) => Page::Json(answer.status, json),
            Err(error) if answer.status == 200 => Page::Missing("invalid", format!("the page is no JSON: {error}")),
            Err(_) => Page::Json(answer.status, Value::Null),
        },
    }
}

/// Reads a password; read at each look, so that it can change.
///
/// # Errors
/// The file cannot be read.
pub async fn secret(file: Option<&Path>) -> Result<Option<String>, ProbeError> {
    let Some(file) = file else { return Ok(None) };
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|e| ProbeError::Failed(format!("cannot read `{}`: {e}", file.display())))?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// HTTP's basic login.
pub fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).ok()?;
    value.set_sensitive(true);
    Some(value)
}
