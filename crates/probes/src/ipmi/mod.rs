//! The probe `ipmi`: power, sensors, power-supply redundancy and event log of a server through its controller (BMC).

mod breaker;
mod client;
mod control;
mod conversation;
mod event_log;
mod last_good;
mod local;
mod observe;
mod particulars;
mod poll;
mod repository;
#[cfg(test)]
mod scripted;
mod session;
mod transport;

use std::io;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::ipmi::console::{Credentials, CredentialsError, SetupError, UserLookup};
use stentor_wire::ipmi::sel::PRE_INIT_MAX;
use stentor_wire::ipmi::setup::status;
use stentor_wire::ipmi::{Privilege, Suite, UnsupportedSuite, completion};
use tokio::time::timeout_at;

use super::clock::Clock;
use super::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

pub use client::{BmcClient, Look, SHARE_FOR};
pub use control::switch;
pub use event_log::{LogEntry, LogNews};
pub use last_good::{LastGood, unreachable_since};
pub use local::IpmiLocal;
pub use observe::{Style, facts, listing, measurements, observation, unreachable};
pub use particulars::Particulars;
pub use poll::{BmcPoll, RecordSeen, SensorSeen, SensorState};
pub use session::BmcAddress;

/// Longest password or key file read; both have at most 20 bytes and a line end.
const SECRET_FILE_BYTES_MAX: usize = 64;

/// Why a controller could not be polled. Only `Unreachable` speaks about the controller's health.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IpmiError {
    /// Nothing came back at all.
    #[error("controller does not answer")]
    Unreachable,
    /// It answered before, but not to this.
    #[error("controller stopped answering during {during}")]
    NoAnswer { during: &'static str },
    /// It answers; one behind it, by whose address a sensor is named, does not.
    #[error("controller {address:02x}h behind it does not answer")]
    SatelliteSilent { address: u8 },
    #[error("controller does not speak IPMI 2.0")]
    NotIpmi20,
    #[error("controller takes none of the cipher suites allowed")]
    NoSuite,
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("controller refuses {command}: {} ({code:#04x})", completion::text(*code))]
    Completion { command: &'static str, code: u8 },
    #[error("answer to {command} makes no sense")]
    Malformed { command: &'static str },
    #[error("no time left while the controller was busy with an earlier poll")]
    Busy,
    #[error("IPMI client is stopping")]
    Stopped,
    #[error("cannot use the network")]
    Network(#[source] Arc<io::Error>),
}

impl From<io::Error> for IpmiError {
    fn from(cause: io::Error) -> Self {
        IpmiError::Network(Arc::new(cause))
    }
}

impl IpmiError {
    /// Our side is set up wrongly: the controller is alive and says no.
    pub fn is_configuration(&self) -> bool {
        match self {
            IpmiError::Setup(error) => match error {
                SetupError::WrongPassword
                | SetupError::WrongKg
                | SetupError::UnknownUser
                | SetupError::PrivilegeRefused
                | SetupError::SuiteRefused(_) => true,
                SetupError::NoFreeSession | SetupError::Forgotten | SetupError::Mixed => false,
                SetupError::Refused(code) => *code == status::UNAUTHORIZED_GUID,
            },
            IpmiError::NotIpmi20 | IpmiError::NoSuite => true,
            IpmiError::Completion { code, .. } => *code == completion::INSUFFICIENT_PRIVILEGE,
            IpmiError::Unreachable
            | IpmiError::NoAnswer { .. }
            | IpmiError::SatelliteSilent { .. }
            | IpmiError::Malformed { .. }
            | IpmiError::Busy
            | IpmiError::Stopped
            | IpmiError::Network(_) => false,
        }
    }
}

/// Parameters of the check. Address, user, password file and suite are the host's (`bmc = { … }`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `user` (default), `operator` or `administrator`.
    privilege: Option<String>,
    /// File with the BMC key Kg, where one is set.
    kg_file: Option<String>,
    /// Long output lists every sensor as `ipmitool` or `freeipmi` prints it.
    listing: Option<Style>,
    /// `name` (default) or `privilege`: how the controller finds the user.
    lookup: Option<String>,
}

/// Polls the controller of a host.
pub struct Ipmi {
    client: BmcClient,
    net: Network,
    privilege: Privilege,
    lookup: UserLookup,
    kg_file: Option<String>,
    listing: Option<Style>,
    clock: Clock,
}

impl Probe for Ipmi {
    const KIND: &'static str = "ipmi";
    const DOC: &'static str = include_str!("../../../../docs/probes/ipmi.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        let privilege = match config.privilege.as_deref() {
            None | Some("user") => Privilege::User,
            Some("operator") => Privilege::Operator,
            Some("administrator") => Privilege::Administrator,
            Some(other) => {
                let message = format!("privilege `{other}` is not one of user, operator, administrator");
                return Err(BuildError { message });
            }
        };
        let lookup = match config.lookup.as_deref() {
            None | Some("name") => UserLookup::NameOnly,
            Some("privilege") => UserLookup::NameAndPrivilege,
            Some(other) => {
                return Err(BuildError { message: format!("lookup `{other}` is not one of name, privilege") });
            }
        };
        let (client, net) = (env.net.bmc_client().clone(), env.net.clone());
        let clock = env.clock.clone();
        Ok(Ipmi { client, net, privilege, lookup, kg_file: config.kg_file, listing: config.listing, clock })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let address = self.address(target, deadline).await?;
        let look = self.client.look(&address, deadline).await;
        match look.result {
            Ok(poll) => Ok(told_with(look.last_good, shown(&poll, self.listing, &self.clock))),
            Err(IpmiError::Unreachable) => Ok(unreachable_since(look.last_good.as_ref())),
            Err(error @ (IpmiError::NoAnswer { .. } | IpmiError::Busy)) => Err(ProbeError::Timeout(error.to_string())),
            Err(IpmiError::Network(cause)) => Err(ProbeError::Failed(format!("cannot use the network: {cause}"))),
            Err(error) => Err(ProbeError::Failed(error.to_string())),
        }
    }
}

/// The observation of a poll, as the check asks for it.
fn shown(poll: &BmcPoll, style: Option<Style>, clock: &Clock) -> Observation {
    let mut seen = observation(poll);
    if let Some(style) = style {
        seen.long_text = listing(poll, style).join("\n").into();
    }
    if let Some((_, log_seconds)) = poll.particulars.log_clock {
        seen.facts.insert("sel_clock_set".to_owned(), (log_seconds > PRE_INIT_MAX).into());
    }
    if let Some((read_at, log_seconds)) = poll.particulars.log_clock.filter(|(_, seconds)| *seconds > PRE_INIT_MAX) {
        let read_at = clock.now().as_millis() / 1000 - i64::try_from(read_at.elapsed().as_secs()).unwrap_or(0);
        let offset = i64::from(log_seconds) - read_at;
        seen.facts.insert("sel_clock_offset_s".to_owned(), (offset as f64).into());
    }
    seen
}

/// An observation that lacks something, with what was last read in full.
fn told_with(last: Option<LastGood>, observation: Observation) -> Observation {
    match last {
        Some(last) => last.tell(observation),
        None => observation,
    }
}

impl Ipmi {
    async fn address(&self, target: &Target, deadline: Deadline) -> Result<BmcAddress, ProbeError> {
        let failed = |text: String| ProbeError::Failed(text);
        let bmc = target.bmc.as_ref().ok_or_else(|| failed(format!("host {} has no `bmc`", target.host)))?;
        let suites = match bmc.suite.map(Suite::try_from).transpose() {
            Ok(Some(suite)) => vec![suite],
            Ok(None) => Suite::DEFAULT.to_vec(),
            Err(error @ UnsupportedSuite(_)) => return Err(failed(error.to_string())),
        };
        let addr = self.net.resolve(&bmc.address, bmc.port, deadline).await;
        let addr = addr.map_err(|error| failed(format!("cannot resolve BMC address {}: {error}", bmc.address)))?;
        let password = read_secret(&bmc.password_file, deadline).await?;
        let kg = match &self.kg_file {
            Some(path) => Some(read_secret(path, deadline).await?),
            None => None,
        };
        let credentials = Credentials::new(bmc.user.as_bytes(), &password, kg.as_deref())
            .map_err(|error: CredentialsError| failed(error.to_string()))?;
        let (privilege, lookup) = (self.privilege, self.lookup);
        Ok(BmcAddress { suites, privilege, lookup, ..BmcAddress::new(addr, credentials) })
    }
}

/// The first line of a secret's file. It is read at each poll, so that a changed password needs no restart.
async fn read_secret(path: &str, deadline: Deadline) -> Result<Vec<u8>, ProbeError> {
    let read = timeout_at(deadline, tokio::fs::read(path)).await;
    let content = match read {
        Ok(Ok(content)) => content,
        Ok(Err(error)) => return Err(ProbeError::Failed(format!("cannot read secret file `{path}`: {error}"))),
        Err(_) => return Err(ProbeError::Timeout(format!("reading secret file `{path}`"))),
    };
    if content.len() > SECRET_FILE_BYTES_MAX {
        return Err(ProbeError::Failed(format!("secret file `{path}` is longer than any IPMI password")));
    }
    Ok(content.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end().to_vec())
}
