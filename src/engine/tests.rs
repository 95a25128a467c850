//! The writer over a real journal: what it tells the engine besides what it was told.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use stentor_core::catalog::{Catalog, Timing};
use stentor_core::engine::{CheckResult, Input, ResultSource, Took};
use stentor_core::id::ObjectId;
use stentor_core::model::{COMMAND_CHANNEL, HostState, Observation};
use stentor_core::{Span, Timestamp};
use tokio::sync::{Notify, mpsc};

use super::writer::{Parts, Running, start};
use crate::clock::Clock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal, Turn};
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

/// Longest wait for a fact; only a fault makes a test wait so long.
const PATIENCE: Duration = Duration::from_secs(120);
const NIGHT: Span = Span::from_hours(8);

/// A writer over a journal on disk, with a clock that only the test moves.
struct World {
    dir: tempfile::TempDir,
    clock: Clock,
    journal: Arc<SqliteJournal>,
    running: Running,
}

async fn writer(dir: &std::path::Path, clock: &Clock) -> (Arc<SqliteJournal>, Running) {
    let journal = Arc::new(SqliteJournal::open(&dir.join("journal")).await.unwrap());
    let parts = Parts {
        journal: Arc::clone(&journal) as Arc<dyn Journal>,
        store: Arc::new(SqliteStore::open(&dir.join("s.db")).await.unwrap()),
        clock: clock.clone(),
        registry: Arc::new(Registry::new()),
        outbox: Arc::new(Notify::new()),
        journal_keep: Span::from_hours(100),
        checkpoint_every: Span::from_hours(100),
        inbox: 16,
        turn_inputs: 16,
        unrecorded: mpsc::channel(1).0,
        retained: None,
        orders: None,
        aside: None,
    };
    let catalog = Catalog { timing: Timing { pace: 30.0, ..Timing::default() }, ..Catalog::default() };
    (journal, start(parts, Arc::new(catalog)).await.unwrap())
}

impl World {
    async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_secs(1_000_000));
        let (journal, running) = writer(dir.path(), &clock).await;
        World { dir, clock, journal, running }
    }

    /// Every gap the engine was told of, and whether a tick followed at once.
    async fn gaps(&self) -> Vec<(Span, bool)> {
        let turns = self.journal.read(0, 100_000).await.unwrap();
        let inputs: Vec<&Input> = turns.iter().flat_map(|turn| &turn.inputs).collect();
        let gap = |(i, input): (usize, &&Input)| match input {
            Input::Gap(gap) => Some((*gap, matches!(inputs.get(i + 1), Some(Input::Tick)))),
            _ => None,
        };
        inputs.iter().enumerate().filter_map(gap).collect()
    }

    async fn ticks(&self, more: u64) {
        let handle = &self.running.handle;
        let begun = handle.snapshot().seq;
        let ticked = async {
            while handle.snapshot().seq < begun + more {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ticked).await.expect("it ticks");
    }
}

#[tokio::test]
async fn time_that_passed_between_two_ticks_is_told_once_as_a_gap() {
    let world = World::new().await;
    world.ticks(3).await;
    assert_eq!(world.gaps().await, [], "a clock that stands still is no gap, and neither is a first start");
    world.clock.advance(NIGHT);
    world.ticks(5).await;
    world.clock.advance(Span::from_secs(4));
    world.ticks(5).await;
    // A few seconds are a slow machine.
    assert_eq!(world.gaps().await, [(NIGHT - Span::from_secs(5), true)]);
}

#[tokio::test]
async fn the_time_between_two_starts_is_a_gap() {
    let World { dir, clock, journal, running } = World::new().await;
    running.handle.stop().await;
    running.task.await.unwrap();
    journal.close().await;
    drop((journal, running.to_collector, running.handle));
    clock.advance(NIGHT);
    let (journal, running) = writer(dir.path(), &clock).await;
    let world = World { dir, clock, journal, running };
    world.ticks(1).await;
    assert_eq!(world.gaps().await.iter().map(|gap| gap.0).collect::<Vec<_>>(), [NIGHT - Span::from_secs(5)]);
}

const TREE: &str = "define command {\n command_name page\n command_line /bin/true\n}\n\
    define contact {\n contact_name ann\n host_notification_commands page\n service_notification_commands page\n\
    host_notification_options d,r\n service_notification_options c,r\n}\n\
    define host {\n host_name gate\n address 192.0.2.1\n max_check_attempts 1\n contacts ann\n}\n\
    define service {\n host_name gate\n service_description alive\n check_command page\n max_check_attempts 1\n\
    contacts ann\n}\n";

#[tokio::test]
async fn a_notice_that_the_database_missed_in_a_crash_is_in_the_outbox_after_the_restart() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("nagios.cfg");
    std::fs::write(&main, "cfg_file=objects.cfg\n").unwrap();
    std::fs::write(dir.path().join("objects.cfg"), TREE).unwrap();
    let catalog = crate::config::load(&main).unwrap_or_else(|found| panic!("{found}")).catalog;
    let at = Timestamp::from_secs(1_000_000);
    let down = CheckResult {
        object: ObjectId::Host(catalog.host_id("gate").unwrap()),
        observed_at: at,
        source: ResultSource::Passive,
        observation: Arc::new(Observation::reported_host(HostState::Down, "gone")),
        took: Took::default(),
        id: None,
    };
    // Recorded, and then the power failed.
    let journal = SqliteJournal::open(&dir.path().join("journal")).await.unwrap();
    let turn = Turn { seq: 1, at, inputs: vec![Input::Catalog(catalog), Input::Result(down)] };
    journal.append(&turn).await.unwrap();
    journal.close().await;
    drop(journal);
    let (journal, running) = writer(dir.path(), &Clock::manual(at)).await;
    running.handle.stop().await;
    running.task.await.unwrap();
    journal.close().await;
    drop((journal, running.to_collector, running.handle));
    let store = SqliteStore::open(&dir.path().join("s.db")).await.unwrap();
    let rows = store.outbox_due(at, 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (&*row.notification.contact, &*row.notification.channel)).collect();
    assert_eq!(told, [("ann", COMMAND_CHANNEL)]);
}
