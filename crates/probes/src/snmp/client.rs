//! The SNMP client behind our own trait: one UDP socket per address family for all agents, one cache of SNMPv3 engines.
//!
//! Only this file names the library underneath (docs/adr/0007).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_snmp::{Auth, Client, Error, ErrorStatus, Retry, UdpHandle, UdpTransport, Value, Version, v3::ReportStatus};
use async_trait::async_trait;
use stentor_wire::snmp::walk::{Walk, WalkError};
use stentor_wire::snmp::{Oid, SnmpValue, VarBind};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{Darkness, Deadline};

use super::login::{AuthProtocol, Login, PrivProtocol};

/// The kernel's buffer for answers to all polls at once; it may give less (net.core.rmem_max).
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
/// Longest wait for one answer; a healthy agent needs milliseconds, a busy one a second.
const ATTEMPT_MAX: Duration = Duration::from_secs(2);
const ATTEMPT_MIN: Duration = Duration::from_millis(20);
/// SNMPv3 agents whose engine is remembered.
const ENGINES_MAX: usize = 20_000;
/// Logins whose derived keys are kept; deriving takes a megabyte of hashing.
const KEYS_MAX: usize = 256;

/// Who is asked, and how.
#[derive(Clone, Debug)]
pub struct Agent {
    pub addr: SocketAddr,
    pub login: Login,
    /// Further attempts after the first.
    pub retries: u32,
    /// Rows asked for at once in a walk.
    pub rows: u32,
    /// The agent answers from another address than it is asked at.
    pub any_source: bool,
}

/// Why an agent gave no answer that can be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SnmpError {
    /// Nothing came back. SNMPv1 and v2c agents are silent to a wrong community too.
    #[error("the agent does not answer")]
    Silent,
    /// It answered before, but not to this.
    #[error("the agent stopped answering during {during}")]
    NoAnswer { during: &'static str },
    /// It is alive and refuses the login.
    #[error("the agent does not take the login: {0}")]
    Login(&'static str),
    #[error("the agent refuses: {0}")]
    Refused(String),
    #[error("the agent's answer makes no sense: {0}")]
    Malformed(String),
    #[error("more than {0} rows")]
    TooMany(usize),
    #[error("{0}")]
    Setup(String),
    #[error("cannot use the network: {0}")]
    Network(String),
}

/// Asks SNMP agents. All of it ends by the deadline.
#[async_trait]
pub trait SnmpPoller: Send + Sync {
    /// The objects, in the order asked; [`SnmpValue::Missing`] for those the agent has not.
    async fn get(&self, agent: &Agent, oids: &[Oid], deadline: Deadline) -> Result<Vec<VarBind>, SnmpError>;

    /// Everything below `root`, at most `rows_max`.
    async fn walk(
        &self,
        agent: &Agent,
        root: &Oid,
        rows_max: usize,
        deadline: Deadline,
    ) -> Result<Vec<VarBind>, SnmpError>;

    /// Everything below each of `roots`, at most `rows_max` below each, several of them in one packet. In no order.
    async fn columns(
        &self,
        agent: &Agent,
        roots: &[Oid],
        rows_max: usize,
        deadline: Deadline,
    ) -> Result<Vec<VarBind>, SnmpError> {
        let mut found = Vec::new();
        for root in roots {
            found.extend(self.walk(agent, root, rows_max, deadline).await?);
        }
        Ok(found)
    }
}

/// The one client of the process.
#[derive(Default)]
pub struct SnmpClient {
    dark: Option<Darkness>,
    v4: OnceCell<UdpTransport>,
    v6: OnceCell<UdpTransport>,
    engines: OnceCell<Arc<async_snmp::EngineCache>>,
    /// Held for one look-up, never across an await.
    keys: Mutex<HashMap<Login, async_snmp::MasterKeys>>,
}

impl SnmpClient {
    /// A client whose packets to dark addresses vanish.
    pub fn new(dark: Option<Darkness>) -> SnmpClient {
        SnmpClient { dark, ..SnmpClient::default() }
    }

    async fn transport(&self, addr: SocketAddr) -> Result<&UdpTransport, SnmpError> {
        let (cell, any) = match addr {
            SocketAddr::V4(_) => (&self.v4, "0.0.0.0:0"),
            SocketAddr::V6(_) => (&self.v6, "[::]:0"),
        };
        let bind = || UdpTransport::builder().bind(any).recv_buffer_size(RECEIVE_BUFFER_BYTES).build();
        cell.get_or_try_init(bind).await.map_err(|error| SnmpError::Network(error.to_string()))
    }

    async fn client(&self, agent: &Agent, deadline: Deadline) -> Result<Client<UdpHandle>, SnmpError> {
        if self.dark.as_ref().is_some_and(|dark| dark(agent.addr.ip())) {
            sleep_until(deadline).await;
            return Err(SnmpError::Silent);
        }
        let auth = self.auth(&agent.login).await?;
        let transport = self.transport(agent.addr).await?;
        let cache = || async { Arc::new(async_snmp::EngineCache::new().with_max_capacity(ENGINES_MAX)) };
        let engines = self.engines.get_or_init(cache).await;
        let left = deadline.saturating_duration_since(Instant::now());
        let attempt = (left / (agent.retries + 1)).clamp(ATTEMPT_MIN, ATTEMPT_MAX);
        let setup = |error: String| SnmpError::Setup(error);
        let retry = Retry::fixed(agent.retries, Duration::ZERO).map_err(|error| setup(error.to_string()))?;
        Client::builder(agent.addr, auth)
            .request_timeout(attempt)
            .retry(retry)
            .strict_source(!agent.any_source)
            .engine_cache(Arc::clone(engines))
            .build_with(transport)
            .await
            .map_err(|error| setup(error.to_string()))
    }

    fn is_engine_known(&self, agent: &Agent) -> bool {
        self.engines.get().is_some_and(|engines| engines.get(&agent.addr).is_some())
    }

    /// What the silence of an SNMPv3 agent means. It says unsigned that a user or a password is wrong, and what is unsigned
    /// anybody may have said: the library does not listen. But whoever told us its engine a moment ago is there.
    fn heard<T>(&self, agent: &Agent, was_known: bool, answer: Result<T, SnmpError>) -> Result<T, SnmpError> {
        let is_silent = matches!(answer, Err(SnmpError::Silent)) && matches!(agent.login, Login::User(_));
        if !is_silent || !self.is_engine_known(agent) {
            return answer;
        }
        // It may have another engine, or a clock that went back: the next run asks anew.
        if let Some(engines) = self.engines.get() {
            engines.remove(&agent.addr);
        }
        if was_known {
            return answer;
        }
        const WHY: &str = "it is there, but silent to this user: unknown user, wrong password or protocol";
        Err(SnmpError::Login(WHY))
    }

    async fn auth(&self, login: &Login) -> Result<Auth, SnmpError> {
        let user = match login {
            Login::V1(community) => return Ok(Auth::v1(community.clone())),
            Login::V2c(community) => return Ok(Auth::v2c(community.clone())),
            Login::User(user) => user,
        };
        let config = async_snmp::UsmConfig::new(user.name.clone().into_bytes()).context_name(user.context.clone());
        let Some((auth, password)) = user.auth.clone() else { return Ok(Auth::from(config)) };
        let known = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(login).cloned();
        let keys = match known {
            Some(keys) => keys,
            None => {
                let privacy = user.privacy.clone();
                let derive = move || {
                    let keys = async_snmp::MasterKeys::new(auth_protocol(auth), &password)?;
                    match &privacy {
                        Some((protocol, password)) => keys.with_privacy(priv_protocol(*protocol), password),
                        None => Ok(keys),
                    }
                };
                // A megabyte of hashing for each password is too long for a thread that others wait for.
                let derived = tokio::task::spawn_blocking(derive).await;
                let derived = derived.map_err(|error| SnmpError::Setup(error.to_string()))?;
                let keys = derived.map_err(|error: async_snmp::CryptoError| SnmpError::Setup(error.to_string()))?;
                let mut kept = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() >= KEYS_MAX {
                    kept.clear();
                }
                kept.insert(login.clone(), keys.clone());
                keys
            }
        };
        config.with_master_keys(keys).map(Auth::from).map_err(|error| SnmpError::Setup(error.to_string()))
    }
}

pub(super) fn auth_protocol(protocol: AuthProtocol) -> async_snmp::AuthProtocol {
    match protocol {
        AuthProtocol::Sha1 => async_snmp::AuthProtocol::Sha1,
        AuthProtocol::Sha224 => async_snmp::AuthProtocol::Sha224,
        AuthProtocol::Sha256 => async_snmp::AuthProtocol::Sha256,
        AuthProtocol::Sha384 => async_snmp::AuthProtocol::Sha384,
        AuthProtocol::Sha512 => async_snmp::AuthProtocol::Sha512,
    }
}

pub(super) fn priv_protocol(protocol: PrivProtocol) -> async_snmp::PrivProtocol {
    match protocol {
        PrivProtocol::Aes128 => async_snmp::PrivProtocol::Aes128,
        PrivProtocol::Aes192 => async_snmp::PrivProtocol::Aes192Blumenthal,
        PrivProtocol::Aes256 => async_snmp::PrivProtocol::Aes256Blumenthal,
        PrivProtocol::Aes192Cisco => async_snmp::PrivProtocol::Aes192Reeder,
        PrivProtocol::Aes256Cisco => async_snmp::PrivProtocol::Aes256Reeder,
    }
}

#[async_trait]
impl SnmpPoller for SnmpClient {
    async fn get(&self, agent: &Agent, oids: &[Oid], deadline: Deadline) -> Result<Vec<VarBind>, SnmpError> {
        let work = async {
            let client = self.client(agent, deadline).await?;
            let wanted: Vec<async_snmp::Oid> = oids.iter().map(theirs).collect();
            match client.get_many(&wanted).await {
                Ok(response) => Ok(in_order(oids, response.varbinds)),
                // SNMPv1 refuses a whole request for one object that it has not: each is asked for alone.
                Err(error) if client.version() == Version::V1 && is_no_such_name(&error) => {
                    one_by_one(&client, oids, &wanted).await
                }
                Err(error) => Err(said(&error)),
            }
        };
        let was_known = self.is_engine_known(agent);
        let answer = timeout_at(deadline, work).await.unwrap_or(Err(SnmpError::Silent));
        self.heard(agent, was_known, answer)
    }

    async fn walk(
        &self,
        agent: &Agent,
        root: &Oid,
        rows_max: usize,
        deadline: Deadline,
    ) -> Result<Vec<VarBind>, SnmpError> {
        let mut found = Vec::new();
        let work = async {
            let client = self.client(agent, deadline).await?;
            let options = async_snmp::WalkOptions { max_repetitions: agent.rows, ..client.walk_options() };
            let mut walk = client.walk_with(theirs(root), options).map_err(|error| said(&error))?;
            while let Some(next) = walk.next().await {
                match next {
                    Ok(bind) if found.len() < rows_max => found.push(ours(bind)),
                    Ok(_) => return Err(SnmpError::TooMany(rows_max)),
                    // The end of the tree, as SNMPv1 says it.
                    Err(error) if client.version() == Version::V1 && is_no_such_name(&error) => break,
                    Err(error) => return Err(said(&error)),
                }
            }
            Ok(())
        };
        let was_known = self.is_engine_known(agent);
        let end = timeout_at(deadline, work).await.unwrap_or(Err(SnmpError::Silent));
        match end {
            Ok(()) => Ok(found),
            Err(SnmpError::Silent) if !found.is_empty() => Err(SnmpError::NoAnswer { during: "a walk" }),
            Err(error) => self.heard(agent, was_known, Err(error)),
        }
    }

    async fn columns(
        &self,
        agent: &Agent,
        roots: &[Oid],
        rows_max: usize,
        deadline: Deadline,
    ) -> Result<Vec<VarBind>, SnmpError> {
        // SNMPv1 has no GETBULK, and ends all columns with the first one that ends.
        if matches!(agent.login, Login::V1(_)) {
            let mut found = Vec::new();
            for root in roots {
                found.extend(self.walk(agent, root, rows_max, deadline).await?);
            }
            return Ok(found);
        }
        let mut walk = Walk::new(roots, rows_max, agent.rows);
        let work = async {
            let client = self.client(agent, deadline).await?;
            while let Some(ask) = walk.ask() {
                let oids: Vec<async_snmp::Oid> = ask.oids.iter().map(theirs).collect();
                match client.get_bulk(&oids, 0, ask.repetitions).await {
                    Ok(answer) => walk.take(answer.into_iter().map(ours).collect()).map_err(walked)?,
                    Err(error) if is_too_big(&error) && walk.ask_less() => {}
                    // It was there a moment ago: so much at once may be more than it can say, or say in time.
                    Err(error)
                        if is_timeout(&error)
                            && (walk.has_found() || self.is_engine_known(agent))
                            && walk.ask_less() => {}
                    Err(error) => return Err(said(&error)),
                }
            }
            Ok(())
        };
        let was_known = self.is_engine_known(agent);
        match timeout_at(deadline, work).await.unwrap_or(Err(SnmpError::Silent)) {
            Ok(()) => Ok(walk.into_found()),
            Err(SnmpError::Silent) if walk.has_found() => Err(SnmpError::NoAnswer { during: "a walk" }),
            Err(error) => self.heard(agent, was_known, Err(error)),
        }
    }
}

fn walked(error: WalkError) -> SnmpError {
    match error {
        WalkError::TooMany(rows) => SnmpError::TooMany(rows),
        WalkError::Backwards(..) | WalkError::Nothing => SnmpError::Malformed(error.to_string()),
    }
}

fn is_timeout(error: &Error) -> bool {
    matches!(innermost(error), Error::Timeout { .. })
}

fn is_too_big(error: &Error) -> bool {
    matches!(innermost(error), Error::Snmp { status: ErrorStatus::TooBig, .. })
}

async fn one_by_one(
    client: &Client<UdpHandle>,
    oids: &[Oid],
    wanted: &[async_snmp::Oid],
) -> Result<Vec<VarBind>, SnmpError> {
    let mut found = Vec::with_capacity(oids.len());
    for (oid, wanted) in oids.iter().zip(wanted) {
        match client.get(wanted).await {
            Ok(response) => found.extend(in_order(std::slice::from_ref(oid), response.varbinds)),
            Err(error) if is_no_such_name(&error) => {
                found.push(VarBind { oid: oid.clone(), value: SnmpValue::Missing });
            }
            Err(error) => return Err(said(&error)),
        }
    }
    Ok(found)
}

/// One answer for each object asked for, whatever the agent left out, doubled or added.
fn in_order(oids: &[Oid], binds: Vec<async_snmp::VarBind>) -> Vec<VarBind> {
    let mut answers: HashMap<Oid, SnmpValue> = binds.into_iter().map(ours).map(|bind| (bind.oid, bind.value)).collect();
    let answer = |oid: &Oid| {
        let value = answers.remove(oid).unwrap_or(SnmpValue::Missing);
        VarBind { oid: oid.clone(), value }
    };
    oids.iter().map(answer).collect()
}

fn theirs(oid: &Oid) -> async_snmp::Oid {
    async_snmp::Oid::from_slice(oid.arcs())
}

pub(super) fn ours(bind: async_snmp::VarBind) -> VarBind {
    VarBind { oid: Oid::new(bind.oid.arcs()), value: value(bind.value) }
}

fn value(value: Value) -> SnmpValue {
    match value {
        Value::Integer(number) => SnmpValue::Integer(number.into()),
        Value::OctetString(bytes) | Value::Nsap(bytes) => SnmpValue::Bytes(bytes.to_vec()),
        Value::ObjectIdentifier(oid) => SnmpValue::Oid(Oid::new(oid.arcs())),
        Value::IpAddress(ip) => SnmpValue::Ip(ip),
        Value::Counter32(number) => SnmpValue::Counter32(number),
        Value::Gauge32(number) | Value::UInteger32(number) => SnmpValue::Gauge(number.into()),
        Value::TimeTicks(ticks) => SnmpValue::Ticks(ticks),
        Value::Counter64(number) => SnmpValue::Counter64(number),
        Value::Opaque(_) => opaque(&value),
        Value::Unknown { data, .. } => SnmpValue::Bytes(data.to_vec()),
        Value::Null | Value::NoSuchObject | Value::NoSuchInstance | Value::EndOfMibView => SnmpValue::Missing,
        // The library may learn further types; until we do, they are not there.
        _ => SnmpValue::Missing,
    }
}

/// Net-SNMP wraps what SMIv2 has no type for.
fn opaque(value: &Value) -> SnmpValue {
    let float = value.as_opaque_float().map(f64::from).or_else(|| value.as_opaque_double());
    let float = float.map(SnmpValue::Float);
    let signed = || value.as_opaque_i64().map(SnmpValue::Integer);
    let unsigned = || value.as_opaque_u64().or_else(|| value.as_opaque_counter64()).map(SnmpValue::Gauge);
    let bytes = || SnmpValue::Bytes(value.as_bytes().map(<[u8]>::to_vec).unwrap_or_default());
    float.or_else(signed).or_else(unsigned).unwrap_or_else(bytes)
}

fn is_no_such_name(error: &Error) -> bool {
    matches!(innermost(error), Error::Snmp { status: ErrorStatus::NoSuchName, .. })
}

/// The failure itself, below what the library wraps around it.
fn innermost(error: &Error) -> &Error {
    match error {
        Error::SharedOperation { source } => innermost(source),
        Error::Exchange { source, .. } => innermost(source),
        other => other,
    }
}

fn said(error: &Error) -> SnmpError {
    match innermost(error) {
        Error::Timeout { .. } | Error::ConstructionTimeout { .. } => SnmpError::Silent,
        Error::Auth { .. } => SnmpError::Login("an answer is not signed with this password"),
        Error::Report { status, .. } => match status.as_ref() {
            ReportStatus::UnknownUserName { .. } => SnmpError::Login("it knows no such user"),
            ReportStatus::WrongDigest { .. } => SnmpError::Login("wrong password or authentication protocol"),
            ReportStatus::DecryptionError { .. } => SnmpError::Login("wrong privacy password or protocol"),
            ReportStatus::UnsupportedSecurityLevel { .. } => {
                SnmpError::Login("this user has no such security level there")
            }
            other => SnmpError::Refused(other.to_string()),
        },
        Error::Snmp { status, .. } => SnmpError::Refused(status.to_string()),
        Error::Network { source, .. } => SnmpError::Network(source.to_string()),
        Error::Closed { .. } => SnmpError::Network("the socket was closed".to_owned()),
        Error::Decode(why) => SnmpError::Malformed(why.to_string()),
        Error::MalformedResponse { .. } | Error::ResponseShape { .. } => {
            SnmpError::Malformed("it does not fit the question".to_owned())
        }
        Error::WalkAborted { reason, .. } => SnmpError::Malformed(reason.to_string()),
        other => SnmpError::Setup(other.to_string()),
    }
}
