//! SNMP traps and informs: heard, matched with rules, made results of services and reasons to look at once. Nothing that
//! comes in is lost in silence: what no rule takes is counted, logged and shown.

pub mod board;
pub mod facts;
pub mod hasty;
pub mod sources;
pub mod standing;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntCounterVec, Opts, Registry};
use stentor_core::engine::{Command, CommandInput, ResultSource, Took};
use stentor_core::model::{ObjectKey, Observation, ServiceState};
use stentor_core::snapshot::Snapshot;
use stentor_core::{Span, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::traps::{SERVICE, TrapRule, Traps};
use crate::engine::{Handle, KeyedResult, Refused};
use crate::probes::snmp::{Counts, Heard, Reason, ReceiverError, ReceiverSetup, Refusal, TrapReceiver, User};

use board::{Board, Fate, Seen, Told};
use facts::Facts;
use hasty::Hasty;
use sources::Sources;
use standing::{Said, Standing};

/// Traps that wait for the engine; informs beyond stay unanswered and come again.
const HEARD_MAX: usize = 1024;
/// How often what is over is looked for.
const TICK: Duration = Duration::from_secs(1);
/// How long a trap that no rule knows stands.
const UNMATCHED_LASTS: Span = Span::from_hours(1);
/// Longest secret that is read.
const SECRET_FILE_BYTES_MAX: u64 = 1024;
/// RFC 3414 §11.2: shorter passwords must be refused.
const PASSWORD_BYTES_MIN: usize = 8;
/// Who asked for a check, in the journal.
const BY: &str = "trap";

/// Why nobody listens.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("a secret of [traps] cannot be read")]
    Secret(#[source] SecretError),
    #[error(transparent)]
    Receiver(#[from] ReceiverError),
    #[error("the figures of traps cannot be kept")]
    Figures(#[source] prometheus::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read `{path}`")]
    Read {
        path: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("`{path}` {why}")]
    Unusable { path: String, why: &'static str },
}

/// What listening needs.
pub struct Parts<'a> {
    pub settings: &'a Traps,
    pub rules: watch::Receiver<Arc<[TrapRule]>>,
    pub engine: Handle,
    pub clock: Clock,
    pub registry: &'a Registry,
    pub board: Board,
    pub stop: CancellationToken,
}

/// Opens the socket and starts to listen.
///
/// # Errors
/// The address cannot be had, or a secret cannot be used.
pub async fn start(parts: Parts<'_>) -> Result<(SocketAddr, Vec<JoinHandle<()>>), StartError> {
    let setup = setup(parts.settings).await.map_err(StartError::Secret)?;
    let figures = Figures::new(parts.registry).map_err(StartError::Figures)?;
    let (to_worker, heard) = mpsc::channel(HEARD_MAX);
    let (receiver, refusals) = TrapReceiver::open(setup, to_worker).await?;
    let addr = receiver.local_addr();
    let worker = Worker {
        forwarders: parts.settings.forwarders.clone(),
        sources: Sources::new(parts.settings),
        rules: parts.rules,
        engine: parts.engine,
        clock: parts.clock,
        figures,
        counts: receiver.counts(),
        counted: HashMap::new(),
        board: parts.board,
        told: Told::default(),
        hasty: Hasty::default(),
        services: HashMap::new(),
        last: Timestamp::ZERO,
    };
    let stop = parts.stop;
    let receiver = tokio::spawn(receiver.run(stop.clone()));
    tracing::info!(%addr, "listening for SNMP traps");
    Ok((addr, vec![receiver, tokio::spawn(worker.run(heard, refusals, stop))]))
}

async fn setup(settings: &Traps) -> Result<ReceiverSetup, SecretError> {
    let mut communities = Vec::new();
    for path in &settings.community_files {
        communities.push(secret(path, 1).await?);
    }
    let mut users = Vec::new();
    for user in &settings.users {
        let mut login = User { name: user.name.clone(), context: String::new(), auth: None, privacy: None };
        if let Some((protocol, path)) = &user.auth {
            login.auth = Some((*protocol, secret(path, PASSWORD_BYTES_MIN).await?));
        }
        if let Some((protocol, path)) = &user.privacy {
            login.privacy = Some((*protocol, secret(path, PASSWORD_BYTES_MIN).await?));
        }
        users.push(login);
    }
    Ok(ReceiverSetup { listen: settings.listen, communities, users, engine_file: settings.engine_file.clone() })
}

/// The first line of a secret's file.
async fn secret(path: &Path, bytes_min: usize) -> Result<Vec<u8>, SecretError> {
    let failed = |cause| SecretError::Read { path: path.display().to_string(), cause };
    let unusable = |why| SecretError::Unusable { path: path.display().to_string(), why };
    if tokio::fs::metadata(path).await.map_err(failed)?.len() > SECRET_FILE_BYTES_MAX {
        return Err(unusable("is too long for a secret"));
    }
    let content = tokio::fs::read(path).await.map_err(failed)?;
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    if line.len() < bytes_min {
        return Err(unusable("is empty, or shorter than the 8 bytes that SNMPv3 asks of a password"));
    }
    Ok(line.to_vec())
}

/// What `/metrics` shows of traps.
struct Figures {
    received: IntCounterVec,
    fates: IntCounterVec,
    refused: IntCounterVec,
}

impl Figures {
    fn new(registry: &Registry) -> Result<Figures, prometheus::Error> {
        let counter = |name: &str, help: &str, label: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let figures = Figures {
            received: counter("stentor_traps_received_total", "SNMP traps and informs that were let in.", "version")?,
            fates: counter("stentor_traps_handled_total", "What became of SNMP traps that were let in.", "outcome")?,
            refused: counter("stentor_traps_refused_total", "Datagrams at the trap port not let in.", "reason")?,
        };
        // All are there from the start: an alarm on a series that is not there yet never rings.
        ["1", "2c", "3"].iter().for_each(|version| _ = figures.received.with_label_values(&[*version]));
        Fate::ALL.iter().filter(|fate| **fate != Fate::Refused).for_each(|fate| _ = figures.of(*fate));
        Reason::ALL.iter().for_each(|reason| _ = figures.refused.with_label_values(&[reason.word()]));
        Ok(figures)
    }

    fn of(&self, fate: Fate) -> prometheus::IntCounter {
        self.fates.with_label_values(&[fate.word()])
    }
}

/// The one task that knows what stands.
struct Worker {
    forwarders: Vec<IpAddr>,
    sources: Sources,
    rules: watch::Receiver<Arc<[TrapRule]>>,
    engine: Handle,
    clock: Clock,
    figures: Figures,
    counts: Arc<Counts>,
    /// What `counts` said when the figures were last brought up to it.
    counted: HashMap<Reason, u64>,
    board: Board,
    told: Told,
    hasty: Hasty,
    services: HashMap<ObjectKey, Kept>,
    /// Of the newest result: results of one instant would be taken for one.
    last: Timestamp,
}

/// What stands of one service.
#[derive(Default)]
struct Kept {
    standing: Standing,
    /// When we last said so.
    said_at: Timestamp,
}

impl Worker {
    async fn run(
        mut self,
        mut heard: mpsc::Receiver<Heard>,
        mut refusals: mpsc::Receiver<Refusal>,
        stop: CancellationToken,
    ) {
        self.remember();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                Some(heard) = heard.recv() => self.take(heard).await,
                Some(refusal) = refusals.recv() => {
                    self.note_refusal(refusal);
                    Ok(())
                }
                _ = ticks.tick() => self.tick().await,
            };
            // The engine stops before us only when the process ends.
            if done.is_err() {
                return;
            }
        }
    }

    /// What stood when the process ended stands on.
    fn remember(&mut self) {
        let snapshot = self.engine.snapshot();
        for (service, row) in snapshot.catalog.services.iter().enumerate() {
            let object = stentor_core::id::ObjectId::Service(stentor_core::id::ServiceId::from_index(service));
            if let Some(standing) = kept_in(&snapshot, object) {
                let host = Arc::clone(&snapshot.catalog.hosts[row.host.index()].name);
                let key = ObjectKey { host, service: Some(Arc::clone(&row.name)) };
                self.services.insert(key, Kept { standing, said_at: snapshot.row(object).last_check });
            }
        }
    }

    async fn take(&mut self, heard: Heard) -> Result<(), Refused> {
        let Heard { from, trap, .. } = heard;
        let version = if trap.version == 2 { "2c".to_owned() } else { trap.version.to_string() };
        self.figures.received.with_label_values(&[&version]).inc();
        let about = match trap.speaks_for() {
            Some(agent) if self.forwarders.contains(&from) => IpAddr::from(agent),
            _ => from,
        };
        let snapshot = self.engine.snapshot();
        let hosts = self.sources.hosts(about, &snapshot.catalog);
        let at = self.clock.now();
        let seen = |host: Option<&Arc<str>>, fate, rule, text| Seen {
            at,
            from: Some(from),
            host: host.cloned(),
            trap: trap.name(),
            fate,
            rule,
            text,
        };
        if hosts.is_empty() {
            let text = format!("no host and no BMC has the address {about}: name it in [[traps.source]]");
            self.note(seen(None, Fate::UnknownSource, None, text));
            return Ok(());
        }
        let facts = Facts::of(&trap, from);
        let rules = Arc::clone(&self.rules.borrow());
        let mut fates = Vec::new();
        for host in &hosts {
            let rule = rules.iter().find_map(|rule| Some((rule, facts.seen_by(rule, &trap, host)?)));
            let (fate, text) = match &rule {
                Some((rule, facts)) => self.obey(rule, facts, host, &snapshot).await?,
                None => self.unmatched(&trap.oid.to_string(), trap.binds.len(), host, &snapshot).await?,
            };
            fates.push(seen(Some(host), fate, rule.map(|(rule, _)| Arc::clone(&rule.name)), text));
        }
        fates.into_iter().for_each(|seen| self.note(seen));
        Ok(())
    }

    /// Does what a rule asks for.
    async fn obey(
        &mut self,
        rule: &TrapRule,
        facts: &Facts,
        host: &Arc<str>,
        snapshot: &Snapshot,
    ) -> Result<(Fate, String), Refused> {
        let text = facts.fill(&rule.text);
        let checks = hasty::wanted(&rule.check, host, &snapshot.catalog);
        let has_checks = !checks.is_empty();
        self.hurry(checks).await?;
        let Some(service) = &rule.service else {
            return Ok((if has_checks { Fate::Taken } else { Fate::Ignored }, text));
        };
        let object = ObjectKey { host: Arc::clone(host), service: Some(Arc::clone(service)) };
        if snapshot.catalog.object_id(&object).is_none() {
            let missing = format!("{text} (host `{host}` has no service `{service}`: add [host.checks.\"{service}\"])");
            return Ok((Fate::NoService, missing));
        }
        let Some(state) = rule.state else {
            self.report(object, facts.observation(&text)).await?;
            return Ok((Fate::Taken, text));
        };
        let said = Said { key: facts.fill(&rule.key), state, text: text.clone(), lasts: rule.lasts };
        let is_news = self.say(object, said, snapshot).await?;
        Ok((if is_news || has_checks { Fate::Taken } else { Fate::Repeated }, text))
    }

    /// A trap that no rule takes stands for a while, where the host has a service for that.
    async fn unmatched(
        &mut self,
        oid: &str,
        objects: usize,
        host: &Arc<str>,
        snapshot: &Snapshot,
    ) -> Result<(Fate, String), Refused> {
        let text = format!("no rule takes the trap {oid} ({objects} objects)");
        let object = ObjectKey { host: Arc::clone(host), service: Some(SERVICE.into()) };
        if snapshot.catalog.object_id(&object).is_some() {
            let (state, lasts) = (ServiceState::Warning, Some(UNMATCHED_LASTS));
            let said = Said { key: format!("unmatched {oid}"), state, text: text.clone(), lasts };
            self.say(object, said, snapshot).await?;
        }
        Ok((Fate::Unmatched, text))
    }

    /// False if it was no news.
    async fn say(&mut self, object: ObjectKey, said: Said, snapshot: &Snapshot) -> Result<bool, Refused> {
        let now = self.clock.now();
        let kept = self.services.entry(object.clone()).or_default();
        if was_overruled(kept.said_at, &object, snapshot) {
            kept.standing = Standing::default();
        }
        if !kept.standing.take(said, now) {
            return Ok(false);
        }
        let observation = kept.standing.observation();
        self.report(object, observation).await?;
        Ok(true)
    }

    async fn report(&mut self, object: ObjectKey, observation: Observation) -> Result<(), Refused> {
        let at = self.clock.now().max(self.last + Span::from_millis(1));
        self.last = at;
        if let Some(kept) = self.services.get_mut(&object) {
            kept.said_at = at;
        }
        let (source, took) = (ResultSource::Passive, Took::default());
        self.engine
            .post_result(KeyedResult {
                object,
                observed_at: at,
                source,
                observation: Arc::new(observation),
                id: None,
                took,
            })
            .await
    }

    /// Asks for checks at once.
    async fn hurry(&mut self, checks: Vec<ObjectKey>) -> Result<(), Refused> {
        let now = self.clock.now();
        let due: Vec<ObjectKey> = checks.into_iter().filter(|object| self.hasty.ask(object, now)).collect();
        self.ask_for(due).await
    }

    async fn ask_for(&self, due: Vec<ObjectKey>) -> Result<(), Refused> {
        let mut answers = Vec::new();
        for object in due {
            let command = Command::CheckNow { object: object.clone(), by: BY.into() };
            answers.push((object, self.engine.post_order(CommandInput { command, raw: None, id: None }).await?));
        }
        for (object, answer) in answers {
            // Of a host that a reload took away in between.
            if let Err(error) = answer.await.map_err(|_| Refused::Stopping)? {
                tracing::debug!(host.name = %object.host, %error, "a check that a trap asked for was refused");
            }
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), Refused> {
        for reason in Reason::ALL {
            let now = self.counts.of(reason);
            let before = self.counted.insert(reason, now).unwrap_or(0);
            self.figures.refused.with_label_values(&[reason.word()]).inc_by(now.saturating_sub(before));
        }
        let now = self.clock.now();
        let due = self.hasty.due(now);
        self.ask_for(due).await?;
        let snapshot = self.engine.snapshot();
        let mut over = Vec::new();
        self.services.retain(|object, kept| {
            if snapshot.catalog.object_id(object).is_none() || was_overruled(kept.said_at, object, &snapshot) {
                return false;
            }
            if kept.standing.age(now) {
                over.push((object.clone(), kept.standing.observation()));
            }
            true
        });
        for (object, observation) in over {
            self.report(object, observation).await?;
        }
        Ok(())
    }

    fn note_refusal(&mut self, refusal: Refusal) {
        let text = format!("{}: {}", refusal.reason.word(), refusal.why);
        let (host, rule, trap) = (None, None, String::new());
        self.note(Seen { at: self.clock.now(), from: refusal.from, host, trap, fate: Fate::Refused, rule, text });
    }

    fn note(&mut self, seen: Seen) {
        if seen.fate != Fate::Refused {
            self.figures.of(seen.fate).inc();
        }
        if seen.fate.is_lost()
            && let Some(silent) = self.told.ask(seen.at)
        {
            if silent > 0 {
                tracing::warn!(silent, "{silent} more SNMP traps did nothing");
            }
            let from = seen.from.map(tracing::field::display);
            tracing::warn!(from, trap = %seen.trap, outcome = seen.fate.word(), "an SNMP trap did nothing: {}", seen.text);
        }
        self.board.add(seen);
    }
}

/// Somebody else said something of the service since: an operator who cleared it, or a check of its own.
fn was_overruled(said_at: Timestamp, object: &ObjectKey, snapshot: &Snapshot) -> bool {
    let Some(id) = snapshot.catalog.object_id(object) else { return false };
    snapshot.row(id).last_check > said_at && kept_in(snapshot, id).is_none()
}

fn kept_in(snapshot: &Snapshot, object: stentor_core::id::ObjectId) -> Option<Standing> {
    Standing::read(snapshot.detail(object).observation.as_deref()?)
}
