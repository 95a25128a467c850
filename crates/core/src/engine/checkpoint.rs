//! The engine's state as one value that a codec can write and read: restart = checkpoint + journal suffix.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::track::{Ids, Track};
use super::{AgentState, Engine};
use crate::catalog::Catalog;
use crate::diagnosis::{CoreState, Diagnosis};
use crate::incident::Tracker;
use crate::model::{Comment, Downtime};
use crate::policy::Ledger;
use crate::seen::Seen;
use crate::signals::{Board, Said};
use crate::snapshot::{CloudStatus, Counters, Detail, Row};
use crate::{Span, Timestamp};

/// Rises when the shape changes; an older checkpoint is then read by its own version or refused by name.
pub const CHECKPOINT_VERSION: u32 = 9;

/// Everything that cannot be derived.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    pub version: u32,
    pub seq: u64,
    at: Timestamp,
    catalog: Arc<Catalog>,
    hosts: Vec<Row>,
    host_details: Vec<Arc<Detail>>,
    services: Vec<Row>,
    service_details: Vec<Arc<Detail>>,
    host_tracks: Vec<Arc<Track>>,
    service_tracks: Vec<Arc<Track>>,
    ids: Ids,
    program: Arc<super::program::ProgramState>,
    contact_overrides: Arc<BTreeMap<Arc<str>, super::program::ContactOverrides>>,
    planned: BTreeMap<crate::id::ObjectId, super::attributes::PlannedCheck>,
    started: Timestamp,
    said: Vec<Vec<Said>>,
    told: Vec<Vec<crate::diagnosis::Signal>>,
    told_flips: Vec<BTreeMap<usize, Box<crate::signals::Flips>>>,
    diagnosed_at: Vec<Timestamp>,
    dirty: Vec<bool>,
    clouds: Vec<(CoreState, Timestamp, Diagnosis)>,
    outside: Diagnosis,
    tracker: Tracker,
    ledger: Ledger,
    downtimes: BTreeMap<u64, Downtime>,
    downtimes_newest: u64,
    comments: BTreeMap<u64, Comment>,
    agents: BTreeMap<Arc<str>, AgentState>,
    seen: Seen,
    counters: Counters,
    gaps: VecDeque<(Timestamp, Span)>,
    recurred: BTreeMap<super::recurring::Series, crate::catalog::Occurrence>,
    behind: BTreeMap<Arc<str>, super::Behind>,
    #[serde(default)]
    runs: super::runs::Runs,
    #[serde(default)]
    services_known: super::business::Services,
}

impl Engine {
    /// A copy of everything that cannot be derived.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            version: CHECKPOINT_VERSION,
            seq: self.seq,
            at: self.at,
            catalog: Arc::clone(&self.catalog),
            hosts: self.hosts.clone(),
            host_details: self.host_details.clone(),
            services: self.services.clone(),
            service_details: self.service_details.clone(),
            host_tracks: self.host_tracks.clone(),
            service_tracks: self.service_tracks.clone(),
            ids: self.ids,
            program: Arc::clone(&self.program),
            contact_overrides: Arc::clone(&self.contact_overrides),
            planned: self.planned.clone(),
            started: self.started,
            said: self.board.said(),
            told: self.board.told(),
            told_flips: self.board.told_flips(),
            diagnosed_at: self.board.groups.iter().map(|group| group.diagnosed_at).collect(),
            dirty: self.board.groups.iter().map(|group| group.dirty).collect(),
            clouds: self.clouds.iter().map(|c| (c.core, c.core_since, c.diagnosis.clone())).collect(),
            outside: self.outside.clone(),
            tracker: self.tracker.clone(),
            ledger: self.ledger.clone(),
            downtimes: (*self.downtimes).clone(),
            downtimes_newest: self.downtimes_newest,
            comments: (*self.comments).clone(),
            agents: (*self.agents).clone(),
            seen: self.seen.clone(),
            counters: self.counters,
            gaps: self.gaps.clone(),
            recurred: self.recurred.clone(),
            behind: self.behind.clone(),
            runs: self.runs.clone(),
            services_known: (*self.services_known).clone(),
        }
    }

    /// Takes an equal catalog in the place of its own: one that was just read shares its texts, one from a checkpoint
    /// has each anew.
    pub fn adopt(&mut self, equal: Arc<Catalog>) {
        self.catalog = equal;
    }

    /// The engine as it was at the checkpoint.
    pub fn from_checkpoint(checkpoint: Checkpoint) -> Engine {
        let mut catalog = checkpoint.catalog;
        Arc::make_mut(&mut catalog).reindex();
        let mut board = Board::new(&catalog);
        board.restore(checkpoint.said);
        for (group, told) in board.groups.iter_mut().zip(checkpoint.told) {
            group.told = told;
        }
        for (group, flips) in board.groups.iter_mut().zip(checkpoint.told_flips) {
            group.told_flips = flips;
        }
        let marks = checkpoint.diagnosed_at.iter().zip(&checkpoint.dirty);
        for (group, (diagnosed_at, dirty)) in board.groups.iter_mut().zip(marks) {
            group.diagnosed_at = *diagnosed_at;
            group.dirty = *dirty;
        }
        let clouds = checkpoint
            .clouds
            .into_iter()
            .map(|(core, core_since, diagnosis)| CloudStatus { core, core_since, diagnosis })
            .collect();
        let mut engine = Engine {
            catalog,
            at: checkpoint.at,
            seq: checkpoint.seq,
            hosts: checkpoint.hosts,
            host_details: shared(checkpoint.host_details),
            services: checkpoint.services,
            service_details: shared(checkpoint.service_details),
            host_tracks: shared(checkpoint.host_tracks),
            service_tracks: shared(checkpoint.service_tracks),
            ids: checkpoint.ids,
            program: checkpoint.program,
            contact_overrides: checkpoint.contact_overrides,
            planned: checkpoint.planned,
            started: checkpoint.started,
            board,
            clouds: Arc::new(clouds),
            outside: checkpoint.outside,
            tracker: checkpoint.tracker,
            ledger: checkpoint.ledger,
            downtimes: Arc::new(checkpoint.downtimes),
            downtimes_newest: checkpoint.downtimes_newest,
            comments: Arc::new(checkpoint.comments),
            agents: Arc::new(checkpoint.agents),
            seen: checkpoint.seen,
            counters: checkpoint.counters,
            gaps: checkpoint.gaps,
            recurred: checkpoint.recurred,
            behind: checkpoint.behind,
            runs: checkpoint.runs,
            services_known: Arc::new(checkpoint.services_known),
            ..Engine::default()
        };
        engine.rederive();
        engine.prepare_services();
        engine
    }
}

/// Rows that are alike share what they say, as before the checkpoint was written: most objects have never had a problem.
fn shared<T: PartialEq>(mut rows: Vec<Arc<T>>) -> Vec<Arc<T>> {
    let mut kept: Option<Arc<T>> = None;
    for row in &mut rows {
        match &kept {
            Some(kept) if **kept == **row => *row = Arc::clone(kept),
            _ => kept = Some(Arc::clone(row)),
        }
    }
    rows
}
