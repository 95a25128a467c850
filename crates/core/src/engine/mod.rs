//! `Engine::apply`: one input at one instant, through status, reach, problem, diagnosis, incident and policy, to effects.
//!
//! Composes the modules around it and owns no policy of its own. Total and deterministic: the same inputs give the
//! same effects on every machine.

mod acknowledge;
mod alert;
mod attributes;
mod behind;
pub mod business;
pub mod change;
pub mod checkpoint;
mod clearance;
mod command;
mod comment;
mod downtime;
mod due;
pub mod effect;
mod flapping;
pub(crate) mod fold;
mod freshness;
pub mod gate;
mod handlers;
pub mod input;
mod nagios;
mod notify;
mod ondemand;
pub mod program;
mod recurring;
mod reload;
mod result;
pub mod retained;
mod run_watch;
mod runs;
mod shared;
mod skip;
pub mod switch;
pub mod tick;
pub mod track;
mod underway;
mod unflap;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use crate::availability::assess::Prepared;
use crate::catalog::Catalog;
use crate::diagnosis::Diagnosis;
use crate::id::ObjectId;
use crate::incident::Tracker;
use crate::model::{Comment, DeliveryOutcome, Downtime, TimelineEntry, TimelineKind};
use crate::policy::Ledger;
use crate::seen::Seen;
use crate::signals::Board;
use crate::snapshot::{CloudStatus, Counters, Detail, Row, Snapshot};
use crate::{Span, Timestamp};
use behind::Behind;
use track::{Ids, Track};

pub use result::judge_again;

pub use effect::{CheckRequest, Effects, Event, EventKind};
pub use input::{
    AgentSeen, CheckResult, Command, CommandError, CommandInput, CommentRequest, CustomOptions, DowntimeRequest, Input,
    Notify, Reply, ResultSource, Spread, Took,
};

/// An agent as last heard.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct AgentState {
    pub boot: Arc<str>,
    pub sequence: u64,
    pub seen_at: Timestamp,
}

/// The whole state of the monitored world. Exactly one task holds it mutably.
#[derive(Debug)]
pub struct Engine {
    catalog: Arc<Catalog>,
    at: Timestamp,
    seq: u64,
    hosts: Vec<Row>,
    host_details: Vec<Arc<Detail>>,
    services: Vec<Row>,
    service_details: Vec<Arc<Detail>>,
    /// Parallel to `catalog.nagios.hosts` and `services`: objects of Stentor's own configuration have none.
    host_tracks: Vec<Arc<Track>>,
    service_tracks: Vec<Arc<Track>>,
    ids: Ids,
    /// What commands changed of the whole program and of contacts, by name.
    program: Arc<program::ProgramState>,
    contact_overrides: Arc<BTreeMap<Arc<str>, program::ContactOverrides>>,
    /// Checks that commands asked for at a later time.
    planned: BTreeMap<ObjectId, attributes::PlannedCheck>,
    /// When the first catalog came: freshness and first notifications count from here where nothing else is known.
    started: Timestamp,
    board: Board,
    clouds: Arc<Vec<CloudStatus>>,
    /// What the classifier says about the hosts outside clouds.
    outside: Diagnosis,
    /// Follows from the catalog.
    shares: fold::Shares,
    tracker: Tracker,
    ledger: Ledger,
    downtimes: Arc<BTreeMap<u64, Downtime>>,
    downtimes_newest: u64,
    /// On hosts and services, by id.
    comments: Arc<BTreeMap<u64, Comment>>,
    /// When acknowledgements of objects end; an entry is looked at, not trusted.
    ack_ends: BTreeSet<(Timestamp, ObjectId)>,
    /// Hosts and services in a hard not-OK state.
    problems: BTreeSet<ObjectId>,
    problems_dirty: bool,
    /// When an object would become stale if nothing more came; an entry is looked at, not trusted.
    expiries: BinaryHeap<std::cmp::Reverse<(Timestamp, ObjectId)>>,
    /// Times in which nobody could be heard, the newest last: when each ended, and how long it was.
    gaps: VecDeque<(Timestamp, Span)>,
    /// The newest occurrence of each recurring downtime that has ended or was cancelled.
    recurred: BTreeMap<recurring::Series, crate::catalog::Occurrence>,
    /// When the live entry in `expiries` of each object with a track is due; zero = it has none.
    watched: freshness::Watched,
    agents: Arc<BTreeMap<Arc<str>, AgentState>>,
    /// Hosts whose agents have more to tell than they have told.
    behind: BTreeMap<Arc<str>, Behind>,
    runs: runs::Runs,
    seen: Seen,
    counters: Counters,
    /// The expressions of the catalog on its topologies.
    prepared: Arc<Prepared>,
    services_known: Arc<business::Services>,
    /// What the newest look at them saw.
    services_seen: Option<business::Glance>,
}

impl Default for Engine {
    fn default() -> Self {
        let mut engine = Engine {
            catalog: Arc::new(Catalog::default()),
            at: Timestamp::ZERO,
            seq: 0,
            hosts: Vec::new(),
            host_details: Vec::new(),
            services: Vec::new(),
            service_details: Vec::new(),
            host_tracks: Vec::new(),
            service_tracks: Vec::new(),
            ids: Ids::default(),
            program: Arc::default(),
            contact_overrides: Arc::default(),
            planned: BTreeMap::new(),
            started: Timestamp::ZERO,
            board: Board::default(),
            clouds: Arc::default(),
            outside: Diagnosis::nothing_known(),
            shares: fold::Shares::default(),
            tracker: Tracker::default(),
            ledger: Ledger::default(),
            downtimes: Arc::default(),
            downtimes_newest: 0,
            comments: Arc::default(),
            ack_ends: BTreeSet::new(),
            problems: BTreeSet::new(),
            problems_dirty: false,
            expiries: BinaryHeap::new(),
            gaps: VecDeque::new(),
            recurred: BTreeMap::new(),
            watched: freshness::Watched::default(),
            agents: Arc::default(),
            behind: BTreeMap::new(),
            runs: runs::Runs::default(),
            seen: Seen::default(),
            counters: Counters::default(),
            prepared: Arc::default(),
            services_known: Arc::default(),
            services_seen: None,
        };
        engine.board = Board::new(&engine.catalog);
        engine
    }
}

impl Engine {
    /// An engine that knows nothing; its first input is a catalog.
    pub fn new() -> Engine {
        Engine::default()
    }

    /// Sequence of the turn whose inputs are applied next; notifications carry it.
    pub fn begin_turn(&mut self, seq: u64) {
        self.seq = seq;
    }

    /// The newest turn begun.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Time of the newest input; zero before the first.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Applies one input. Time never runs backwards here: an `at` before the newest one counts as the newest one.
    pub fn apply(&mut self, at: Timestamp, input: &Input) -> Effects {
        self.at = self.at.max(at);
        self.counters.inputs_applied += 1;
        let mut effects = Effects::default();
        match input {
            Input::Catalog(catalog) => self.load(catalog, &mut effects),
            Input::Result(result) => self.apply_result(result, &mut effects),
            Input::Command(command) => effects.reply = Some(self.apply_command(command, &mut effects)),
            Input::Delivery(delivery) => self.apply_delivery(delivery, &mut effects),
            Input::AgentSeen(seen) => self.apply_agent(seen, &mut effects),
            Input::Tick => self.tick(&mut effects),
            Input::Signal(signal) => self.board.tell(&self.catalog, signal),
            Input::Gap(gap) => {
                self.pass_over(*gap);
                self.tell_unwatched(*gap, &mut effects);
            }
            Input::AgentBehind(agent) => self.agent_is_behind(agent),
            Input::Retained(retained) => self.take_over_retained(retained, &mut effects),
        }
        effects
    }

    /// Whether an agent's push was applied before, so that its results must not be handed in again.
    pub fn is_repeated_push(&self, agent: &str, boot: &str, sequence: u64) -> bool {
        self.agents.get(agent).is_some_and(|known| *known.boot == *boot && sequence <= known.sequence)
    }

    /// Whether an input with this sender's id was applied before.
    pub fn has_seen(&self, id: &str) -> bool {
        self.seen.contains(id)
    }

    fn row_mut(&mut self, object: ObjectId) -> &mut Row {
        match object {
            ObjectId::Host(id) => &mut self.hosts[id.index()],
            ObjectId::Service(id) => &mut self.services[id.index()],
        }
    }

    fn detail_mut(&mut self, object: ObjectId) -> &mut Detail {
        let detail = match object {
            ObjectId::Host(id) => &mut self.host_details[id.index()],
            ObjectId::Service(id) => &mut self.service_details[id.index()],
        };
        Arc::make_mut(detail)
    }

    fn apply_delivery(&mut self, delivery: &crate::model::Delivery, effects: &mut Effects) {
        // The worker tells an outcome again if it does not know whether the first telling was durable.
        if !self.seen.insert(&format!("delivery/{}", delivery.key).into()) {
            return;
        }
        let (kind, event, text) = match &delivery.outcome {
            DeliveryOutcome::Accepted(receipt) => (TimelineKind::Paged, EventKind::Notified, receipt),
            DeliveryOutcome::Failed(error) => (TimelineKind::PageFailed, EventKind::NotificationFailed, error),
        };
        let text = format!("{} to {} by {}: {text}", delivery.reason.as_str(), delivery.contact, delivery.channel);
        // Tests and notices are about no incident.
        if delivery.incident == 0 {
            effects.events.push(Event { at: self.at, kind: event, object: None, incident: None, text });
            return;
        }
        let entry = TimelineEntry { at: self.at, kind, by: None, text: text.clone() };
        self.tracker.note(delivery.incident, entry);
        effects.events.push(Event::of_incident(self.at, event, delivery.incident, text));
    }

    /// The read model at this moment. Copies the two columns of rows; everything wide is shared.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            seq: self.seq,
            at: self.at,
            started: self.started,
            catalog: Arc::clone(&self.catalog),
            hosts: self.hosts.clone(),
            host_details: self.host_details.clone(),
            services: self.services.clone(),
            service_details: self.service_details.clone(),
            host_tracks: self.host_tracks.clone(),
            service_tracks: self.service_tracks.clone(),
            ids: self.ids,
            newest_downtime: self.downtimes_newest,
            program: Arc::clone(&self.program),
            contact_overrides: Arc::clone(&self.contact_overrides),
            incidents: Arc::clone(&self.tracker.incidents),
            downtimes: Arc::clone(&self.downtimes),
            comments: Arc::clone(&self.comments),
            clouds: Arc::clone(&self.clouds),
            runs: Arc::clone(&self.runs.all),
            services_known: Arc::clone(&self.services_known),
            agents: Arc::new(self.agents.iter().map(|(name, agent)| (Arc::clone(name), agent.seen_at)).collect()),
            counters: self.counters,
            degraded: None,
            refused: None,
        }
    }
}
