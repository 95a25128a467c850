//! One page of a service by HTTP, for probes that read what stands on it: settings that they share, and why there is no page.

use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Uri};
use serde::Deserialize;
use stentor_core::model::Observation;

use super::fetch::{Exchange, Fetch, fetch};
use super::reach::{Port, closed, millis};
use super::talk::trust;
use super::tls::Trust;
use super::{BuildError, Deadline, ProbeEnv, ProbeError, Target};

/// Pages of big clusters have some megabytes.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a service is reached; each probe has its own port where none is given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reach {
    /// Another address than the host's.
    pub address: Option<Arc<str>>,
    pub port: Option<u16>,
    pub tls: bool,
    /// Take any certificate.
    pub insecure: bool,
    /// PEM file to trust instead of the machine's root certificates.
    pub ca_file: Option<PathBuf>,
}

/// A service that has pages.
pub struct Pages {
    env: ProbeEnv,
    address: Option<Arc<str>>,
    port: u16,
    trust: Option<Trust>,
}

/// What came of asking for a page.
pub enum Asked {
    /// The port did not open; this is all there is to say.
    Closed(Observation),
    /// What was seen so far, the word for it and why there is no page.
    None {
        seen: Observation,
        word: &'static str,
        why: String,
    },
    Page {
        seen: Observation,
        status: u16,
        body: Vec<u8>,
    },
}

impl Pages {
    /// # Errors
    /// A parameter is impossible.
    pub fn new(kind: &str, reach: &Reach, usual_port: u16, env: &ProbeEnv) -> Result<Pages, BuildError> {
        let port = reach.port.unwrap_or(usual_port);
        if port == 0 {
            return Err(BuildError { message: format!("port of probe `{kind}`: there is no port 0") });
        }
        let trust = reach.tls.then(|| trust(kind, reach.insecure, reach.ca_file.as_deref())).transpose()?;
        Ok(Pages { env: env.clone(), address: reach.address.clone(), port, trust })
    }

    /// Asks for one page.
    ///
    /// # Errors
    /// Only our own troubles.
    pub async fn ask(&self, target: &Target, path: &'static str, deadline: Deadline) -> Result<Asked, ProbeError> {
        let target = &target.at(self.address.as_ref());
        let ask = Fetch {
            net: &self.env.net,
            target,
            port: self.port,
            tls: self.trust.as_ref(),
            server_name: None,
            request: self.request(target, path)?,
            body_bytes_max: PAGE_BYTES_MAX,
        };
        let fetched = fetch(ask, deadline).await?;
        if fetched.attempt.port != Port::Open {
            return Ok(Asked::Closed(closed(&fetched.attempt)));
        }
        let total = fetched.total;
        let seen = Observation::observed("").fact("port", "open").fact("total_ms", millis(total));
        let seen = seen.measure("time", total.as_secs_f64(), "s");
        let (word, why) = match fetched.exchange {
            None => match &fetched.tls {
                Some(tls) if tls.timed_out => ("timeout", "no TLS handshake in time".to_owned()),
                tls => ("tls", tls.as_ref().and_then(|tls| tls.error.clone()).unwrap_or_else(|| "no TLS".to_owned())),
            },
            Some(Exchange::Timeout) => ("timeout", "no complete answer in time".to_owned()),
            Some(Exchange::Broken(why)) => ("invalid", format!("no valid answer: {why}")),
            Some(Exchange::Answer(answer)) if answer.truncated => {
                ("invalid", format!("the page is longer than {} MiB", PAGE_BYTES_MAX >> 20))
            }
            Some(Exchange::Answer(answer)) => {
                return Ok(Asked::Page { seen, status: answer.status, body: answer.body });
            }
        };
        let why = format!("{}{path}: {why}", fetched.attempt.addr);
        Ok(Asked::None { seen, word, why })
    }

    fn request(&self, target: &Target, path: &'static str) -> Result<Request<Empty<Bytes>>, ProbeError> {
        let name = if target.address.contains(':') {
            format!("[{}]:{}", target.address, self.port)
        } else {
            format!("{}:{}", target.address, self.port)
        };
        Request::get(Uri::from_static(path))
            .header(HOST, name)
            .header(USER_AGENT, concat!("stentor/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(Empty::new())
            .map_err(|e| ProbeError::Failed(format!("the request cannot be built: {e}")))
    }
}
