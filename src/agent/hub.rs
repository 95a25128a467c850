//! The hub as the agent sees it: which checks are there, take this batch, and what became of an order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stentor_core::Timestamp;
use stentor_core::model::{Observation, Value};
use tracing::warn;

use super::AgentConfig;
use super::order::{self, Order, Orders};
use super::trust::{HubTls, HubTlsError};

/// One check to run here.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct CheckItem {
    pub service: Arc<str>,
    pub probe: String,
    #[serde(default)]
    pub params: Value,
    pub every_ms: u64,
    pub timeout_ms: u64,
}

#[derive(Debug, Deserialize)]
struct CheckList {
    items: Vec<CheckItem>,
}

/// One result as it is pushed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PushedResult {
    /// Given by the pusher, rising within a boot.
    pub sequence: u64,
    pub host: Arc<str>,
    pub service: Arc<str>,
    /// RFC 3339.
    #[serde(serialize_with = "as_rfc3339")]
    pub observed_at: Timestamp,
    pub observation: Observation,
}

fn as_rfc3339<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339())
}

/// One push: results of one boot, or none as a sign of life.
#[derive(Debug)]
pub struct Push<'a> {
    /// This start; the results may be of an earlier one.
    pub start: &'a str,
    pub boot: &'a str,
    pub sequence: u64,
    /// Results that are held back for later.
    pub waiting: u64,
    pub dropped: u64,
    /// Each as JSON.
    pub results: &'a [Vec<u8>],
}

#[derive(Serialize)]
struct PushHead<'a> {
    agent: &'a str,
    boot: &'a str,
    sequence: u64,
    waiting: u64,
    dropped: u64,
    commands: PushCommands<'a>,
}

/// Said with each push, also that there are none: the hub then knows what to tell people.
#[derive(Serialize)]
struct PushCommands<'a> {
    start: &'a str,
    allow: &'a [Vec<Arc<str>>],
}

/// What is told of an order.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// May it begin?
    Begun,
    Refused,
    Done,
    Failed,
}

#[derive(Serialize)]
struct OrderTold<'a> {
    agent: &'a str,
    start: &'a str,
    state: OrderState,
    output: &'a str,
}

/// Why a request to the hub did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("`{0}` is not a http:// or https:// URL")]
    Url(String),
    #[error(transparent)]
    Tls(#[from] HubTlsError),
    #[error("{0}")]
    Unreachable(String),
    /// Only a person can mend that.
    #[error("{words} ({status}: {text})")]
    Refused { words: &'static str, status: u16, text: String },
    /// It may work later: the hub restarts, is overloaded, does not know the host or the token yet.
    #[error("the hub answers {status}: {text}")]
    NotNow { status: u16, text: String },
    /// These bytes will never be taken.
    #[error("the hub refuses this batch with {status}: {text}")]
    Never { status: u16, text: String },
    #[error("the hub's answer cannot be read: {0}")]
    Answer(String),
}

impl HubError {
    /// Asking again changes nothing about this order.
    pub fn is_final(&self) -> bool {
        match self {
            HubError::Refused { .. } | HubError::Never { .. } => true,
            HubError::NotNow { status, .. } => *status == 409,
            HubError::Url(_) | HubError::Tls(_) | HubError::Unreachable(_) | HubError::Answer(_) => false,
        }
    }
}

/// Letters of a refusal that are kept for the log.
const REFUSAL_CHARS_MAX: usize = 300;
/// Bytes of an answer that are read: a list of some thousand checks.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A client of one hub for one host; cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    client: reqwest::Client,
    checks_url: reqwest::Url,
    results_url: reqwest::Url,
    orders_url: reqwest::Url,
    config: AgentConfig,
}

impl Hub {
    /// # Errors
    /// The URL is none, or TLS cannot be set up.
    pub fn new(config: &AgentConfig) -> Result<Hub, HubError> {
        let url = |path: &str| {
            let url = reqwest::Url::parse(&format!("{}{path}", config.hub)).ok();
            url.filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(|| HubError::Url(config.hub.clone()))
        };
        let mut checks_url = url("/api/v1/agent/checks")?;
        let tls = if checks_url.scheme() == "https" { config.tls.client()? } else { HubTls::unused()? };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(config.request_timeout)
            // A token must not follow a redirect to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            // Through a proxy of the environment the hub would see the proxy, and the proxy the token.
            .no_proxy()
            .build()
            .map_err(|error| HubError::Unreachable(chain(&error)))?;
        checks_url.query_pairs_mut().append_pair("host", &config.host);
        let (results_url, orders_url) = (url("/api/v1/agent/results")?, url("/api/v1/agent/orders/")?);
        Ok(Hub { client, checks_url, results_url, orders_url, config: config.clone() })
    }

    /// The checks of this host.
    ///
    /// # Errors
    /// No usable answer came.
    pub async fn checks(&self) -> Result<Vec<CheckItem>, HubError> {
        let body = answer(self.signed(self.client.get(self.checks_url.clone()))).await?;
        let list: CheckList = serde_json::from_slice(&body).map_err(|error| HubError::Answer(error.to_string()))?;
        Ok(list.items)
    }

    /// Delivers one batch, and what the hub asks for in return; `body` comes from [`Hub::body`].
    ///
    /// # Errors
    /// It was not acknowledged.
    pub async fn push(&self, body: Arc<[u8]>) -> Result<Orders, HubError> {
        let request = self
            .signed(self.client.post(self.results_url.clone()))
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body.to_vec());
        let taken = answer(request).await?;
        Ok(order::read(&taken).unwrap_or_else(|why| {
            warn!(why, "the hub took the results, but its orders cannot be read");
            Orders::default()
        }))
    }

    /// Tells of an order; that it is taken is the hub's leave to begin.
    ///
    /// # Errors
    /// It was not taken.
    pub async fn tell(&self, order: &Order, start: &str, state: OrderState, output: &str) -> Result<(), HubError> {
        let told = OrderTold { agent: &self.config.host, start, state, output };
        // Ids are plain ([`order::read`]): they stay one part of the path.
        let url = self.orders_url.join(&order.id).map_err(|error| HubError::Answer(error.to_string()))?;
        let body = serde_json::to_vec(&told).map_err(|error| HubError::Answer(error.to_string()))?;
        let request = self.signed(self.client.post(url));
        answer(request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body)).await.map(drop)
    }

    fn signed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.config.token {
            Some(token) => request.bearer_auth(token.expose()),
            // The certificate of the connection says who we are.
            None => request,
        }
    }

    /// The bytes of a push.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn body(&self, push: &Push<'_>) -> Result<Arc<[u8]>, HubError> {
        let Push { start, boot, sequence, waiting, dropped, results } = *push;
        let commands = PushCommands { start, allow: self.config.allow.entries() };
        let head = PushHead { agent: &self.config.host, boot, sequence, waiting, dropped, commands };
        let mut body = serde_json::to_vec(&head).map_err(|error| HubError::Answer(error.to_string()))?;
        // Results are JSON already, as the spool keeps them.
        body.pop();
        body.extend_from_slice(b",\"results\":[");
        body.extend_from_slice(&results.join(&b','));
        body.extend_from_slice(b"]}");
        Ok(body.into())
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Vec<u8>, HubError> {
    let mut response = request.send().await.map_err(|error| HubError::Unreachable(chain(&error)))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| HubError::Unreachable(chain(&error)))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(HubError::Answer(format!("longer than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    let text: String = String::from_utf8_lossy(&body).chars().take(REFUSAL_CHARS_MAX).collect();
    let status = status.as_u16();
    // What is wrong with the bytes stays wrong. 401, 403, 404 may be cured in the hub's configuration.
    Err(match status {
        400 | 413 | 415 | 422 => HubError::Never { status, text },
        401 => {
            HubError::Refused { words: "the hub does not know the token or certificate of this agent", status, text }
        }
        403 => HubError::Refused {
            words: "the token or certificate of this agent is not good for this host",
            status,
            text,
        },
        404 => HubError::Refused { words: "the hub knows no such host or order", status, text },
        _ => HubError::NotNow { status, text },
    })
}

/// What refusals of TLS mean, in words; what rustls says of them stays behind it.
const HANDSHAKES: &[(&str, &str)] = &[
    ("UnknownCA", "the hub does not trust the certificate of this agent"),
    ("BadCertificate", "the hub does not take the certificate of this agent"),
    ("CertificateExpired", "the certificate of this agent has expired"),
    ("DecryptError", "the hub does not take the certificate of this agent"),
    ("UnknownIssuer", "the hub shows a certificate of an authority that is not trusted here (--ca-file)"),
    ("ApplicationVerificationFailure", "the hub shows another certificate than the pinned one (--pin)"),
    ("NotValidForName", "the hub's certificate is for another name"),
    ("Expired", "the hub's certificate has expired"),
];

/// The error and its causes in one line, without the URL.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    match HANDSHAKES.iter().find(|(sign, _)| text.contains(sign)) {
        Some((_, words)) => format!("{words}: {text}"),
        None => text,
    }
}
