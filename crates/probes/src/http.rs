//! `http`: status, body, certificate and the phases of one request.

use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use regex::bytes::Regex;
use serde::Deserialize;
use std::collections::BTreeMap;
use stentor_core::Timestamp;
use stentor_core::model::Observation;

use super::fetch::{Answer, BODY_BYTES_MAX, Exchange, Fetch, Fetched, Handshake, fetch};
use super::reach::{Port, closed, millis};
use super::tls::Trust;
use super::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

pub struct Http {
    env: ProbeEnv,
    config: Config,
    port: u16,
    method: Method,
    path: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    expect: Option<Regex>,
    trust: Option<Trust>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's: something that the host depends on.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    /// 80, or 443 with `tls`.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub tls: bool,
    /// Take any certificate.
    #[serde(default)]
    pub insecure: bool,
    /// PEM file to trust instead of the machine's root certificates.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    #[serde(default = "get")]
    pub method: String,
    #[serde(default = "slash")]
    pub path: String,
    /// `Host` header and name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Regular expression sought in the body.
    #[serde(default)]
    pub expect: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

fn slash() -> String {
    "/".to_owned()
}

impl Probe for Http {
    const KIND: &'static str = "http";
    const DOC: &'static str = include_str!("../../../docs/probes/http.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let refuse = |what: &str, why: String| BuildError { message: format!("{what} of probe `http`: {why}") };
        let port = config.port.unwrap_or(if config.tls { 443 } else { 80 });
        if port == 0 {
            return Err(refuse("port", "there is no port 0".into()));
        }
        if !config.path.starts_with('/') {
            return Err(refuse("path", "it must begin with /".into()));
        }
        let path = config.path.parse().map_err(|e| refuse("path", format!("{e}")))?;
        let method = Method::from_bytes(config.method.as_bytes()).map_err(|e| refuse("method", e.to_string()))?;
        let expect =
            config.expect.as_deref().map(Regex::new).transpose().map_err(|e| refuse("expect", e.to_string()))?;
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|e| refuse("headers", e.to_string()))?;
            headers.push((name, HeaderValue::try_from(value.as_str()).map_err(|e| refuse("headers", e.to_string()))?));
        }
        let trust = match (config.tls, config.insecure, &config.ca_file) {
            (false, _, _) => None,
            (true, true, _) => Some(Trust::everything()),
            (true, false, Some(path)) => Some(Trust::file(path).map_err(|e| refuse("ca_file", e.to_string()))?),
            (true, false, None) => Some(Trust::system().map_err(|e| refuse("tls", e.to_string()))?),
        };
        Ok(Http { env: env.clone(), port, method, path, headers, expect, trust, config })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let target = &target.at(self.config.address.as_ref());
        let fetched = fetch(
            Fetch {
                net: &self.env.net,
                target,
                port: self.port,
                tls: self.trust.as_ref(),
                server_name: self.config.host.as_deref(),
                request: self.request(target)?,
                body_bytes_max: BODY_BYTES_MAX,
            },
            deadline,
        )
        .await?;
        Ok(self.observe(&fetched))
    }
}

impl Http {
    fn request(&self, target: &Target) -> Result<Request<Empty<hyper::body::Bytes>>, ProbeError> {
        let name = match &self.config.host {
            Some(host) => host.clone(),
            None if target.address.contains(':') => format!("[{}]", target.address),
            None => target.address.to_string(),
        };
        let usual = if self.config.tls { 443 } else { 80 };
        let authority = if self.port == usual || name.contains("]:") { name } else { format!("{name}:{}", self.port) };
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.path.clone())
            .header(hyper::header::HOST, authority)
            .header(hyper::header::USER_AGENT, concat!("stentor/", env!("CARGO_PKG_VERSION")))
            .header(hyper::header::CONNECTION, "close");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Empty::new()).map_err(|e| ProbeError::Failed(format!("the request cannot be built: {e}")))
    }

    fn observe(&self, fetched: &Fetched) -> Observation {
        let attempt = &fetched.attempt;
        if attempt.port != Port::Open {
            let seen = closed(attempt);
            // A host that does not answer at all does not answer HTTP either; a refusal is an answer of the host.
            return if attempt.port == Port::Timeout { seen.fact("http", "timeout") } else { seen };
        }
        let at = format!("{}://{}{}", if self.config.tls { "https" } else { "http" }, attempt.addr, self.config.path);
        let mut seen = Observation::observed("").fact("port", "open").fact("connect_ms", millis(attempt.connect));
        seen = seen.measure("dns", attempt.resolve.as_secs_f64(), "s");
        seen = seen.measure("connect", attempt.connect.as_secs_f64(), "s");
        let mut parts = Vec::new();
        if let Some(tls) = &fetched.tls {
            seen = tls_facts(seen, tls, self.env.clock.now(), &mut parts);
        }
        let headline = match &fetched.exchange {
            None => {
                // Whoever wants a page over TLS does not get one; `tls_error` says why.
                let silent = fetched.tls.as_ref().is_some_and(|tls| tls.timed_out);
                seen = seen.fact("http", if silent { "timeout" } else { "invalid" });
                format!("{at}: no TLS connection")
            }
            Some(Exchange::Timeout) => {
                seen = seen.fact("http", "timeout");
                format!("{at}: connected, but no complete answer in time")
            }
            Some(Exchange::Broken(why)) => {
                seen = seen.fact("http", "invalid").fact("http_error", why.as_str());
                format!("{at}: no valid answer: {why}")
            }
            Some(Exchange::Answer(answer)) => {
                seen = self.answer_facts(seen, answer, &mut parts);
                format!("{at}: status {}, {} ms", answer.status, millis(fetched.total))
            }
        };
        if let Some(first_byte) = fetched.first_byte {
            seen = seen.fact("first_byte_ms", millis(first_byte)).measure("first_byte", first_byte.as_secs_f64(), "s");
        }
        parts.insert(0, headline);
        seen.text = parts.join("; ").into();
        seen.fact("total_ms", millis(fetched.total)).measure("time", fetched.total.as_secs_f64(), "s")
    }

    fn answer_facts(&self, mut seen: Observation, answer: &Answer, parts: &mut Vec<String>) -> Observation {
        seen = seen.fact("http", u32::from(answer.status)).fact("body_bytes", answer.body.len());
        seen = seen.measure("size", answer.body.len() as f64, "B");
        if let Some(location) = &answer.location {
            seen = seen.fact("location", location.as_str());
            parts.push(format!("points to {location}"));
        }
        if let Some(expect) = &self.expect {
            let matches = expect.is_match(&answer.body);
            seen = seen.fact("body_match", matches);
            if !matches {
                let cut = if answer.truncated { " in its first MiB" } else { "" };
                parts.push(format!("the body does not match `{}`{cut}", expect.as_str()));
            }
        }
        seen
    }
}

/// Beyond this a date says more than a number of days.
const TELLING_DAYS_MAX: i64 = 730;

fn tls_facts(mut seen: Observation, tls: &Handshake, now: Timestamp, parts: &mut Vec<String>) -> Observation {
    seen = seen.measure("tls", tls.took.as_secs_f64(), "s");
    if let Some(end) = tls.not_after {
        // Rounded down: the last day counts as day 0, the day after as -1.
        let days = end.since(now).as_millis().div_euclid(86_400_000);
        seen = seen.fact("tls_days_left", days).fact("tls_not_after", end.to_rfc3339());
        seen = seen.measure("tls_days_left", days as f64, "");
        let date = end.to_rfc3339();
        parts.push(if days > TELLING_DAYS_MAX {
            format!("certificate ends {}", date.get(..10).unwrap_or(&date))
        } else if days < 0 {
            format!("certificate ended {} days ago", -days)
        } else {
            format!("certificate ends in {days} days")
        });
    }
    if let Some(error) = &tls.error {
        parts.push(format!("TLS: {error}"));
        seen = seen.fact("tls_error", error.as_str());
    }
    seen
}

#[cfg(test)]
mod tests;
