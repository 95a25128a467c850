//! The probes `redfish` and `redfish_events`: health of a server or a storage array through its controller's Redfish
//! service, and the subscription to what that service tells of its own accord.

mod client;
mod connection;
mod control;
mod observe;
mod session;
mod subscribe;
#[cfg(test)]
mod tests;
mod walk;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use tokio::time::timeout_at;

use super::tls::Trust;
use super::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

pub use client::{Access, RedfishClient, Secret};
pub use control::switch;
pub use observe::{observation, unreachable};
pub use stentor_wire::redfish::event::context;
pub use subscribe::{RedfishEvents, Standing, Subscriber};
pub use walk::{LogNews, Poll, Store};

/// HTTPS.
const PORT: u16 = 443;
/// Longest password file read.
const SECRET_FILE_BYTES_MAX: usize = 1024;
/// Parts that could not be read are named up to this number.
const UNREAD_MAX: usize = 16;

/// Why a controller could not be polled. Only `Unreachable` speaks about the controller's health.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RedfishError {
    /// No Redfish service answers at all.
    #[error("controller is not reachable: {0}")]
    Unreachable(String),
    /// It answered before, but not to this.
    #[error("controller stopped answering during {during}")]
    NoAnswer { during: String },
    #[error("no TLS connection that can be trusted: {0}")]
    Tls(String),
    #[error("controller refuses the login: {0}")]
    Credentials(String),
    #[error("controller forbids: {0}")]
    Forbidden(String),
    #[error("controller has no free session: {0}")]
    NoFreeSession(String),
    #[error("this is no Redfish service: {0}")]
    NotRedfish(String),
    #[error("controller knows {found} systems, none of them `{wanted}`")]
    NoSystem { wanted: String, found: usize },
    /// The service does not offer it.
    #[error("there is no {0}")]
    Missing(String),
    #[error("{during} was answered with status {status} {text}")]
    Status { during: String, status: u16, text: String },
    #[error("{path} cannot be read: {why}")]
    NoResource { path: String, why: String },
    #[error("{during} was not answered: {why}")]
    Broken { during: String, why: String },
    #[error("one poll would take more requests than are allowed")]
    TooMuch,
    #[error("no time left while the controller was busy with an earlier poll")]
    Busy,
    #[error("Redfish client is stopping")]
    Stopped,
    #[error("cannot use the network: {0}")]
    Network(#[source] Arc<io::Error>),
}

impl RedfishError {
    /// What the service does not offer is no fault; what it refuses or garbles is noted; all else ends the poll.
    fn note(self, unread: &mut Vec<String>) -> Result<(), RedfishError> {
        match self {
            RedfishError::Missing(_) => Ok(()),
            RedfishError::Status { .. }
            | RedfishError::NoResource { .. }
            | RedfishError::Broken { .. }
            | RedfishError::Forbidden(_) => {
                if unread.len() < UNREAD_MAX {
                    unread.push(self.to_string());
                }
                Ok(())
            }
            RedfishError::Unreachable(_)
            | RedfishError::NoAnswer { .. }
            | RedfishError::Tls(_)
            | RedfishError::Credentials(_)
            | RedfishError::NoFreeSession(_)
            | RedfishError::NotRedfish(_)
            | RedfishError::NoSystem { .. }
            | RedfishError::TooMuch
            | RedfishError::Busy
            | RedfishError::Stopped
            | RedfishError::Network(_) => Err(self),
        }
    }
}

impl From<RedfishError> for ProbeError {
    fn from(error: RedfishError) -> ProbeError {
        match error {
            RedfishError::NoAnswer { .. } | RedfishError::Busy => ProbeError::Timeout(error.to_string()),
            other => ProbeError::Failed(other.to_string()),
        }
    }
}

/// Whom we take for the controller.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsChoice {
    /// Anybody.
    pub insecure: bool,
    /// Who has a certificate of this authority, or this very certificate.
    pub ca_file: Option<PathBuf>,
    /// Who has the certificate with this SHA-256, whatever it says of itself.
    pub fingerprint: Option<String>,
}

/// Parameters of the check. Address, user and password file are the host's (`bmc = { … }`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// 443 unless set.
    port: Option<u16>,
    ca_file: Option<PathBuf>,
    fingerprint: Option<String>,
    insecure: bool,
    /// HTTP basic authentication with each request instead of a session.
    basic: bool,
    /// Which system is the host, where the service knows several: id, name, serial number or UUID.
    system: Option<String>,
}

/// Parameters as built: how to get to the controller of any host.
struct Way {
    client: RedfishClient,
    net: Network,
    port: u16,
    basic: bool,
    system: Option<String>,
    tls: TlsChoice,
    trust: Arc<Trust>,
}

impl Way {
    fn build(kind: &str, config: Config, env: &ProbeEnv) -> Result<Way, BuildError> {
        let refuse = |why: String| BuildError { message: format!("probe `{kind}`: {why}") };
        let tls = TlsChoice { insecure: config.insecure, ca_file: config.ca_file, fingerprint: config.fingerprint };
        let chosen = [tls.insecure, tls.ca_file.is_some(), tls.fingerprint.is_some()];
        if chosen.iter().filter(|one| **one).count() > 1 {
            return Err(refuse("of `insecure`, `ca_file` and `fingerprint` only one can hold".into()));
        }
        let trust = match (&tls.ca_file, &tls.fingerprint) {
            _ if tls.insecure => Ok(Trust::everything()),
            (Some(path), _) => Trust::file(path),
            (_, Some(fingerprint)) => Trust::pinned(fingerprint),
            (None, None) => Trust::system(),
        };
        let trust = Arc::new(trust.map_err(|error| refuse(error.to_string()))?);
        let port = config.port.unwrap_or(PORT);
        if port == 0 {
            return Err(refuse("there is no port 0".into()));
        }
        let (client, net) = (env.net.redfish().clone(), env.net.clone());
        Ok(Way { client, net, port, basic: config.basic, system: config.system, tls, trust })
    }

    async fn access(&self, target: &Target, deadline: Deadline) -> Result<Access, ProbeError> {
        let failed = |text: String| ProbeError::Failed(text);
        let bmc = target.bmc.as_ref().ok_or_else(|| failed(format!("host {} has no `bmc`", target.host)))?;
        let addr = self.net.resolve(&bmc.address, self.port, deadline).await;
        let addr = addr.map_err(|error| failed(format!("cannot resolve BMC address {}: {error}", bmc.address)))?;
        let name = bmc.address.to_string();
        let shown = if name.contains(':') { format!("[{name}]") } else { name.clone() };
        let authority = if self.port == PORT { shown } else { format!("{shown}:{}", self.port) };
        let password = read_secret(&bmc.password_file, deadline).await?;
        Ok(Access {
            host: Arc::clone(&target.host),
            addr,
            name,
            authority,
            user: bmc.user.to_string(),
            password: Secret::new(password),
            basic: self.basic,
            trust: Arc::clone(&self.trust),
            tls: self.tls.clone(),
            system: self.system.clone(),
        })
    }
}

/// Polls the controller of a host.
pub struct Redfish {
    way: Way,
}

impl Probe for Redfish {
    const KIND: &'static str = "redfish";
    const DOC: &'static str = include_str!("../../../../docs/probes/redfish.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        Ok(Redfish { way: Way::build(Self::KIND, config, env)? })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let access = self.way.access(target, deadline).await?;
        match self.way.client.poll(&self.way.net, access, deadline).await {
            Ok(poll) => Ok(observation(&poll)),
            Err(RedfishError::Unreachable(why)) => Ok(unreachable(&why)),
            Err(error) => Err(error.into()),
        }
    }
}

/// The first line of a secret's file. It is read at each poll, so that a changed password needs no restart.
async fn read_secret(path: &str, deadline: Deadline) -> Result<String, ProbeError> {
    let content = match timeout_at(deadline, tokio::fs::read(path)).await {
        Ok(Ok(content)) => content,
        Ok(Err(error)) => return Err(ProbeError::Failed(format!("cannot read secret file `{path}`: {error}"))),
        Err(_) => return Err(ProbeError::Timeout(format!("reading secret file `{path}`"))),
    };
    if content.len() > SECRET_FILE_BYTES_MAX {
        return Err(ProbeError::Failed(format!("secret file `{path}` is longer than any password")));
    }
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    String::from_utf8(line.to_vec()).map_err(|_| ProbeError::Failed(format!("secret file `{path}` is not UTF-8")))
}
