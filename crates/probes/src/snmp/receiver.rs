//! Hears SNMP traps and informs of all versions on one socket, and answers informs. What is not let in is counted and
//! told, never dropped in silence.
//!
//! The protocol is the library's (docs/adr/0007). It says only to its log what it cannot read or verify, so its log is
//! heard here, within its own calls; there a flood of garbage would be a flood of lines.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_snmp::notification::{
    InformAckOutcome, Notification, NotificationAcceptance, NotificationEnvelope, NotificationReceiver,
};
use async_snmp::{Community, SecurityLevel};
use stentor_wire::snmp::Oid;
use stentor_wire::snmp::trap::{BINDS_MAX, Trap};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, field, span};

use super::client::{auth_protocol, ours, priv_protocol};
use super::limit::Limiter;
use super::login::User;
use super::usm_engine::{self, EngineError};

/// The target of everything that the library's receiver logs.
const LIBRARY: &str = "async_snmp::notification";
/// An answer to an inform goes into the socket's buffer; more time means that the machine stands still.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// After an error of the socket: it may come back at once.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Refusals that wait to be told; of more only the number is kept.
const REFUSALS_MAX: usize = 256;
const SHOWN_CHARS_MAX: usize = 200;

/// Where and whom to listen to.
#[derive(Clone)]
pub struct ReceiverSetup {
    pub listen: SocketAddr,
    /// Communities of versions 1 and 2c that are let in; none = neither version is.
    pub communities: Vec<Vec<u8>>,
    /// Users of version 3; a message must be protected as well as its user can.
    pub users: Vec<User>,
    /// Keeps the identity that senders of informs know us by; needed where there are users.
    pub engine_file: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    #[error("cannot listen for SNMP traps on {listen}: {why}")]
    Listen { listen: SocketAddr, why: String },
    #[error("user `{user}` of SNMPv3 cannot be used: {why}")]
    User { user: String, why: String },
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A notification that was let in.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub from: IpAddr,
    pub trap: Trap,
    /// Of an inform: whether its answer was sent.
    pub is_answered: Option<bool>,
}

/// Why something was not let in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// Bytes that are no SNMP message, or one that contradicts itself.
    Malformed,
    /// SNMPv3: unknown user, wrong signature, old clock, cannot be decrypted.
    Unauthentic,
    Community,
    /// SNMPv3, less protected than its user can.
    Level,
    /// More of one sender than is listened to.
    TooMany,
    /// We are behind.
    Busy,
}

impl Reason {
    pub const ALL: [Reason; 6] =
        [Reason::Malformed, Reason::Unauthentic, Reason::Community, Reason::Level, Reason::TooMany, Reason::Busy];

    /// One word, for figures.
    pub const fn word(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::Unauthentic => "unauthentic",
            Reason::Community => "community",
            Reason::Level => "level",
            Reason::TooMany => "rate",
            Reason::Busy => "busy",
        }
    }
}

/// Something that was not let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub from: Option<IpAddr>,
    pub reason: Reason,
    pub why: String,
}

/// How often each [`Reason`] occurred since the start.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; Reason::ALL.len()]);

impl Counts {
    pub fn of(&self, reason: Reason) -> u64 {
        self.slot(reason).load(Ordering::Relaxed)
    }

    fn slot(&self, reason: Reason) -> &AtomicU64 {
        let [malformed, unauthentic, community, level, too_many, busy] = &self.0;
        match reason {
            Reason::Malformed => malformed,
            Reason::Unauthentic => unauthentic,
            Reason::Community => community,
            Reason::Level => level,
            Reason::TooMany => too_many,
            Reason::Busy => busy,
        }
    }
}

/// Counts refusals and hands them on.
struct Door {
    counts: Arc<Counts>,
    refusals: mpsc::Sender<Refusal>,
}

impl Door {
    fn refuse(&self, from: Option<IpAddr>, reason: Reason, why: impl Into<String>) {
        self.counts.slot(reason).fetch_add(1, Ordering::Relaxed);
        // A full queue loses the words, not the number.
        let _ = self.refusals.try_send(Refusal { from, reason, why: why.into() });
    }
}

/// The open socket; it hears nothing until it is run.
pub struct TrapReceiver {
    library: NotificationReceiver,
    door: Arc<Door>,
    log: Dispatch,
    heard: mpsc::Sender<Heard>,
}

impl fmt::Debug for TrapReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrapReceiver on {}", self.library.local_addr())
    }
}

impl TrapReceiver {
    /// Opens the socket. What is let in goes to `heard`; while that is full informs stay unanswered, so that they come
    /// again.
    ///
    /// # Errors
    /// The address is taken or ours to take, a user's passwords cannot be used, or the engine's file cannot.
    pub async fn open(
        setup: ReceiverSetup,
        heard: mpsc::Sender<Heard>,
    ) -> Result<(TrapReceiver, mpsc::Receiver<Refusal>), ReceiverError> {
        let (refusals, told) = mpsc::channel(REFUSALS_MAX);
        let door = Arc::new(Door { counts: Arc::default(), refusals });
        let listen = setup.listen;
        let gate = Gate {
            communities: setup.communities.into_iter().map(Community::from).collect(),
            levels: setup.users.iter().map(|user| (user.name.clone().into_bytes(), level(user))).collect(),
            limiter: Mutex::default(),
            room: heard.clone(),
            door: Arc::clone(&door),
        };
        let mut builder = NotificationReceiver::builder().bind(listen.to_string()).response_send_timeout(ANSWER_WITHIN);
        if !setup.users.is_empty() {
            let path = setup.engine_file;
            let started = tokio::task::spawn_blocking(move || usm_engine::start(&path)).await;
            let started = started.map_err(|error| EngineError::Start(error.to_string()))?;
            builder = builder.authoritative_engine(started?);
        }
        for user in setup.users {
            let name = user.name.clone();
            // A megabyte of hashing for each password is too long for a thread that others wait for.
            let keys = tokio::task::spawn_blocking(move || master_keys(&user)).await;
            let keys = keys.map_err(|error| error.to_string()).and_then(|keys| keys.map_err(|e| e.to_string()));
            let keys = keys.map_err(|why| ReceiverError::User { user: name.clone(), why })?;
            let with_keys = |user: async_snmp::v3::UsmUser| match keys {
                Some(keys) => user.with_master_keys(keys),
                None => Ok(user),
            };
            builder = builder
                .usm_user(name.clone().into_bytes(), with_keys)
                .map_err(|error| ReceiverError::User { user: name, why: error.to_string() })?;
        }
        let library = builder.acceptance_policy(move |notification| gate.admit(notification)).build().await;
        let library = library.map_err(|error| ReceiverError::Listen { listen, why: error.to_string() })?;
        let log = Dispatch::new(LibraryLog { door: Arc::clone(&door), is_told: AtomicBool::new(false) });
        Ok((TrapReceiver { library, door, log, heard }, told))
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.library.local_addr()
    }

    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.door.counts)
    }

    /// Hears until it is stopped or nobody takes what was heard.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let next = self.library.recv().with_subscriber(self.log.clone());
            let next = tokio::select! {
                () = stop.cancelled() => return,
                next = next => next,
            };
            let received = match next {
                Ok(received) => received,
                Err(error) => {
                    tracing::warn!(%error, "the socket for SNMP traps failed; it is tried again");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(AGAIN_AFTER) => continue,
                    }
                }
            };
            let from = received.source.ip().to_canonical();
            let is_answered = received.inform_ack.map(|outcome| matches!(outcome, InformAckOutcome::Sent));
            match read(&received.notification) {
                // The gate saw that there is room, and nobody else fills it.
                Some(trap) => match self.heard.try_send(Heard { from, trap, is_answered }) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(_)) => self.door.refuse(Some(from), Reason::Busy, "no room"),
                    Err(mpsc::error::TrySendError::Closed(_)) => return,
                },
                None => self.door.refuse(Some(from), Reason::Malformed, "a trap of version 1 with a negative number"),
            }
        }
    }
}

fn level(user: &User) -> SecurityLevel {
    match (&user.auth, &user.privacy) {
        (Some(_), Some(_)) => SecurityLevel::AuthPriv,
        (Some(_), None) => SecurityLevel::AuthNoPriv,
        (None, _) => SecurityLevel::NoAuthNoPriv,
    }
}

fn master_keys(user: &User) -> Result<Option<async_snmp::MasterKeys>, async_snmp::CryptoError> {
    let Some((auth, password)) = &user.auth else { return Ok(None) };
    let keys = async_snmp::MasterKeys::new(auth_protocol(*auth), password)?;
    Ok(Some(match &user.privacy {
        Some((protocol, password)) => keys.with_privacy(priv_protocol(*protocol), password)?,
        None => keys,
    }))
}

fn read(notification: &Notification) -> Option<Trap> {
    let agent = match notification {
        Notification::TrapV1 { trap, .. } => Some(trap.agent_addr()),
        _ => None,
    };
    let version = match notification.version() {
        async_snmp::Version::V1 => 1,
        async_snmp::Version::V2c => 2,
        // There is no fourth.
        _ => 3,
    };
    Some(Trap {
        version,
        is_inform: notification.is_confirmed(),
        oid: Oid::new(notification.trap_oid().ok()?.arcs()),
        up_time: notification.uptime(),
        agent,
        binds: notification.varbinds().iter().take(BINDS_MAX).cloned().map(ours).collect(),
    })
}

/// Whom to let in.
struct Gate {
    communities: Vec<Community>,
    /// How well each user's messages must be protected.
    levels: HashMap<Vec<u8>, SecurityLevel>,
    /// Held for one look-up, never across an await.
    limiter: Mutex<Limiter>,
    room: mpsc::Sender<Heard>,
    door: Arc<Door>,
}

impl Gate {
    fn admit(&self, notification: &NotificationEnvelope<'_>) -> NotificationAcceptance {
        let from = notification.source.ip().to_canonical();
        match self.obstacle(notification, from) {
            None => NotificationAcceptance::Accept,
            Some((reason, why)) => {
                self.door.refuse(Some(from), reason, why);
                NotificationAcceptance::Reject
            }
        }
    }

    fn obstacle(&self, notification: &NotificationEnvelope<'_>, from: IpAddr) -> Option<(Reason, &'static str)> {
        if let Some(community) = notification.community
            && !self.communities.iter().any(|known| known.matches(community.as_bytes()))
        {
            return Some((Reason::Community, "a community that is not listened to"));
        }
        if let Some(user) = notification.username
            && self.levels.get(user).is_none_or(|wanted| notification.security_level < Some(*wanted))
        {
            return Some((Reason::Level, "an SNMPv3 message that is less protected than its user can"));
        }
        // Only of those who got so far: others could use up the share of somebody whose address they write.
        if !self.limiter.lock().unwrap_or_else(PoisonError::into_inner).take(from, Instant::now()) {
            return Some((Reason::TooMany, "more traps of one sender than are listened to"));
        }
        (self.room.capacity() == 0).then_some((Reason::Busy, "no room for another trap"))
    }
}

/// Takes what the library logs while it receives.
struct LibraryLog {
    door: Arc<Door>,
    /// The next line says once more what the last one said.
    is_told: AtomicBool,
}

impl LibraryLog {
    fn take(&self, line: Line) {
        let reason = match line.message.as_str() {
            "USM processing failed for inbound message" => {
                // How a sender of informs finds out who we are (RFC 3414 §4) is no failure.
                if line.failure == "UnknownEngineIds" {
                    return;
                }
                let is_told = matches!(&*line.failure, "WrongDigests" | "NotInTimeWindows" | "DecryptionErrors");
                self.is_told.store(is_told, Ordering::Relaxed);
                return self.door.refuse(line.from, Reason::Unauthentic, format!("SNMPv3: {}", line.failure));
            }
            "failed to parse notification" if self.is_told.swap(false, Ordering::Relaxed) => return,
            "failed to parse notification" if !line.error.starts_with("authentication failed") => Reason::Malformed,
            "failed to parse notification" | "dropped v3 Inform localized to a foreign authoritative engine ID" => {
                Reason::Unauthentic
            }
            "returning transient UDP receive error to caller" | "returning fatal UDP receive error to caller" => return,
            _ => Reason::Malformed,
        };
        let why = if line.error.is_empty() { line.message } else { line.error };
        self.door.refuse(line.from, reason, why);
    }
}

impl Subscriber for LibraryLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN && metadata.target() == LIBRARY
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.take(line);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What matters of one line of the library's log.
#[derive(Default)]
struct Line {
    message: String,
    error: String,
    failure: String,
    from: Option<IpAddr>,
}

impl field::Visit for Line {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        let text =
            || format!("{value:?}").chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect::<String>();
        match field.name() {
            "message" => self.message = text(),
            "error" => self.error = text(),
            "snmp.failure" => self.failure = text(),
            "snmp.source" => self.from = text().parse().ok().map(|from: SocketAddr| from.ip().to_canonical()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
