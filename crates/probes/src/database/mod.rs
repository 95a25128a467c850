//! What the probes of databases share: parameters, a session, the question of one's own, and what is said of a peer.

pub mod growth;
pub mod mysql;
pub mod postgres;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::Observation;
use stentor_wire::sql::{Broken, Failure, Table, number};
use tokio::time::Instant;

use crate::api::secret;
use crate::look::ahead_of;
use crate::reach::{Attempt, closed, millis};
use crate::talk::{self, Hitch, Secure, Talk, open, opened, shown, trust, unfit, usable_port};
use crate::tls::Trust;
use crate::{BuildError, Deadline, Probe, ProbeEnv, ProbeError, Target};

use growth::{Growth, full_in_s};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default = "stentor")]
    pub user: String,
    /// File with the password; read at each look, so that it can change.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    #[serde(default)]
    pub database: Option<String>,
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub insecure: bool,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Name in the certificate; the target's address if missing.
    #[serde(default)]
    pub host: Option<String>,
    /// Asked in a transaction that may only read; the first value of the first row is the fact `value`.
    #[serde(default)]
    pub query: Option<String>,
    /// Address of the other half of a pair.
    #[serde(default)]
    pub peer: Option<Arc<str>>,
    #[serde(default)]
    pub peer_port: Option<u16>,
    /// Bytes that the logs of replication may take on their disk.
    #[serde(default)]
    pub log_room_bytes: Option<u64>,
}

fn stentor() -> String {
    "stentor".to_owned()
}

/// Parameters that were checked, and what is kept between looks.
pub struct Base {
    env: ProbeEnv,
    config: Config,
    port: u16,
    trust: Option<Trust>,
    growth: Growth,
}

/// Why there is no answer.
pub type Refusal = talk::Refusal<Failure>;

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Self {
        Refusal::Hitch(Hitch::Invalid(broken.to_string()))
    }
}

impl Refusal {
    fn invalid(what: impl ToString) -> Refusal {
        Refusal::Hitch(Hitch::Invalid(what.to_string()))
    }

    fn text(&self) -> String {
        match self {
            Refusal::Hitch(hitch) => hitch.to_string(),
            Refusal::Server(failure) => format!("it says {} ({})", shown(&failure.message), shown(&failure.code)),
        }
    }
}

/// One kind of database.
pub trait Session: Sized + Send {
    /// Logs in on a fresh connection. TLS, where wanted, is asked for in each protocol's own way; the observation takes
    /// what is seen of the certificate.
    fn login(
        talk: Talk,
        login: &Login<'_>,
        seen: &mut Observation,
    ) -> impl Future<Output = Result<Result<Self, Refusal>, ProbeError>> + Send;

    fn ask(&mut self, sql: &str) -> impl Future<Output = Result<Table, Refusal>> + Send;

    fn bye(self) -> impl Future<Output = ()> + Send;

    /// The word of the fact that is named after the service.
    fn word(failure: &Failure) -> &'static str;
}

/// What is asked of one kind of database, and how the halves of a pair compare.
trait Look: Probe {
    type Session: Session;
    /// What of one half is compared with the other.
    type Half: Send + Sync;

    fn base(&self) -> &Base;

    fn look(
        &self,
        seen: Observation,
        attempt: &Attempt,
        session: &mut Self::Session,
        deadline: Deadline,
    ) -> impl Future<Output = Result<(Found, Self::Half), Refusal>> + Send;

    fn with_peer(found: Found, own: &Self::Half, door: Door<Self::Session>) -> impl Future<Output = Found> + Send;
}

/// One look at a database, and at its peer if it has one.
async fn run<L: Look>(one: &L, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
    let (base, deadline) = (one.base(), ahead_of(deadline));
    let target = &target.at(base.config.address.as_ref());
    let password = secret(base.config.password_file.as_deref()).await?.unwrap_or_default();
    let (seen, attempt, mut session) = match base.open::<L::Session>(target, base.port, &password, deadline).await? {
        Door::Closed(attempt) => return Ok(closed(&attempt)),
        Door::Refused(seen, refusal) => return Ok(refused::<L::Session>(seen, L::KIND, &refusal)),
        Door::Open(seen, attempt, session) => (seen, attempt, session),
    };
    let (mut found, own) = match one.look(seen.clone(), &attempt, &mut session, deadline).await {
        Ok(found) => found,
        Err(refusal) => return Ok(refused::<L::Session>(seen, L::KIND, &refusal)),
    };
    session.bye().await;
    // After our own half: what the peer has copied in the meantime must not look like a write that it lacks.
    if let Some((peer, port)) = base.peer(target) {
        let door = base.open(&peer, port, &password, deadline).await?;
        found = L::with_peer(found, &own, door).await;
    }
    Ok(found.finish())
}

/// Who logs in, and how.
pub struct Login<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub database: Option<&'a str>,
    pub tls: Option<Secure<'a>>,
    pub deadline: Deadline,
}

/// How far a look came.
pub enum Door<S> {
    Closed(Attempt),
    Refused(Observation, Refusal),
    Open(Observation, Attempt, S),
}

impl Base {
    fn build(kind: &str, config: Config, port: u16, env: &ProbeEnv) -> Result<Base, BuildError> {
        let refuse = |why: &str| Err(unfit(kind, why));
        for port in [config.port, config.peer_port] {
            usable_port(kind, port)?;
        }
        let port = config.port.unwrap_or(port);
        if config.peer_port.is_some() && config.peer.is_none() {
            return refuse("a `peer_port` has a `peer`");
        }
        if [Some(&config.user), config.query.as_ref(), config.database.as_ref()].iter().flatten().any(|t| t.is_empty())
        {
            return refuse("`user`, `database` and `query` are not empty");
        }
        let trust = config.tls.then(|| trust(kind, config.insecure, config.ca_file.as_deref())).transpose()?;
        Ok(Base { env: env.clone(), config, port, trust, growth: Growth::default() })
    }

    async fn open<S: Session>(
        &self,
        target: &Target,
        port: u16,
        password: &str,
        deadline: Deadline,
    ) -> Result<Door<S>, ProbeError> {
        let (attempt, talk) = open(&self.env.net, target, port, deadline).await?;
        let Some(talk) = talk else { return Ok(Door::Closed(attempt)) };
        let mut seen = opened(&attempt, attempt.addr.to_string());
        let name = self.config.host.as_deref().unwrap_or(&target.address);
        let login = Login {
            user: &self.config.user,
            password,
            database: self.config.database.as_deref(),
            tls: self.trust.as_ref().map(|trust| Secure { trust, name, clock: &self.env.clock }),
            deadline,
        };
        Ok(match S::login(talk, &login, &mut seen).await? {
            Ok(session) => Door::Open(seen, attempt, session),
            Err(refusal) => Door::Refused(seen, refusal),
        })
    }

    /// Where the other half of the pair is, if one was named.
    fn peer(&self, target: &Target) -> Option<(Target, u16)> {
        let peer = self.config.peer.as_ref()?;
        Some((target.at(Some(peer)), self.config.peer_port.unwrap_or(self.port)))
    }

    /// Facts of logs that grow until somebody clears them: `NAME_bytes`, `NAME_growth_bps`, `NAME_full_s`.
    fn log(&self, mut found: Found, name: &str, attempt: &Attempt, bytes: f64) -> Found {
        let growth = self.growth.note(attempt.addr, Instant::now(), bytes);
        found = found.fact(&format!("{name}_bytes"), bytes).measure(name, bytes, "B");
        let Some(growth) = growth else { return found };
        found = found.fact(&format!("{name}_growth_bps"), growth.round());
        found = found.measure(&format!("{name}_growth"), growth.round(), "");
        let room = self.config.log_room_bytes.map(|room| room as f64);
        match room.and_then(|room| full_in_s(room, bytes, growth)) {
            None => found,
            Some(left) => {
                found.parts.push(format!("{name} fills its room in {:.1} h", left / 3600.0));
                found.fact(&format!("{name}_full_s"), left).measure(&format!("{name}_full"), left, "s")
            }
        }
    }
}

/// An observation that grows, with the parts of its text and what could not be looked at.
pub struct Found {
    seen: Observation,
    parts: Vec<String>,
    unseen: Vec<String>,
}

impl Found {
    fn new(seen: Observation, headline: String) -> Found {
        Found { seen, parts: vec![headline], unseen: Vec::new() }
    }

    fn fact(mut self, name: &str, value: impl Into<stentor_core::model::Value>) -> Found {
        self.seen = self.seen.fact(name, value);
        self
    }

    fn measure(mut self, label: &str, value: f64, unit: &str) -> Found {
        self.seen = self.seen.measure(label, value, unit);
        self
    }

    fn part(mut self, text: impl Into<String>) -> Found {
        self.parts.push(text.into());
        self
    }

    /// A table that may be forbidden to us: then it is named among what is unseen.
    async fn try_ask<S: Session>(&mut self, session: &mut S, name: &str, sql: &str) -> Result<Option<Table>, Refusal> {
        match session.ask(sql).await {
            Ok(table) => Ok(Some(table)),
            Err(Refusal::Server(failure)) => {
                self.unseen.push(name.to_owned());
                self.parts.push(format!("{name}: {}", shown(&failure.message)));
                Ok(None)
            }
            Err(hitch) => Err(hitch),
        }
    }

    fn connections(self, used: Option<f64>, most: Option<f64>) -> Found {
        let Some(used) = used else { return self };
        let found = self.fact("connections", used).measure("connections", used, "");
        let Some(most) = most.filter(|most| *most > 0.0) else { return found };
        let pct = (used / most * 1000.0).round() / 10.0;
        let found = found.fact("connections_max", most).fact("connections_pct", pct);
        found.measure("connections_pct", pct, "%").part(format!("{used} of {most} connections"))
    }

    /// The question of one's own.
    async fn query<S: Session>(mut self, session: &mut S, begin: &[String], sql: &str) -> Result<Found, Refusal> {
        for order in begin {
            session.ask(order).await?;
        }
        let begun = Instant::now();
        let answer = session.ask(sql).await;
        let took = begun.elapsed();
        let rolled = session.ask("ROLLBACK").await;
        self = self.fact("query_ms", millis(took)).measure("query", took.as_secs_f64(), "s");
        let table = match answer {
            Ok(table) => table,
            Err(Refusal::Server(failure)) => {
                let code = shown(&failure.code);
                self = self.part(format!("the query fails: {} ({code})", shown(&failure.message)));
                return Ok(self.fact("query", "error").fact("query_error", code));
            }
            Err(hitch) => return Err(hitch),
        };
        rolled?;
        self = self.fact("query_rows", table.rows.len());
        Ok(match table.first().and_then(|row| row.value()) {
            None => self.fact("query", "empty").part("the query finds nothing"),
            Some(text) => {
                let text = shown(text);
                let found = self.fact("query", "ok").fact("value_text", text.as_str()).part(format!("value {text}"));
                match number(&text) {
                    Some(value) => found.fact("value", value).measure("value", value, ""),
                    None => found,
                }
            }
        })
    }

    fn finish(self) -> Observation {
        let seen = self.seen.fact("unseen", self.unseen);
        let text = format!("{}: {}", seen.text, self.parts.join(", "));
        Observation { text: text.into(), ..seen }
    }
}

/// A database that did not let us in, or stopped answering.
fn refused<S: Session>(seen: Observation, kind: &str, refusal: &Refusal) -> Observation {
    let word = match refusal {
        Refusal::Hitch(hitch) => hitch.word(),
        Refusal::Server(failure) => S::word(failure),
    };
    let text = format!("{}: no answer of {kind}: {}", seen.text, refusal.text());
    Observation { text: text.into(), ..seen }.fact(kind, word)
}

/// What is said of a peer that could not be asked: its word, and why.
fn absent_peer<S: Session>(door: &Door<S>) -> Option<(&'static str, String)> {
    match door {
        Door::Open(..) => None,
        Door::Closed(attempt) => Some((attempt.port.word(), closed(attempt).text.to_string())),
        Door::Refused(seen, refusal) => {
            let word = match refusal {
                Refusal::Hitch(hitch) => hitch.word(),
                Refusal::Server(failure) => S::word(failure),
            };
            Some((word, format!("{}: {}", seen.text, refusal.text())))
        }
    }
}
