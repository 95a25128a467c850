//! The worker over a real store and notifiers that fail on demand.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use prometheus::Registry;
use stentor_core::Span;
use stentor_core::catalog::{Catalog, Platform, Runbook, Step, StepKind};
use stentor_core::model::{Delivery, DeliveryOutcome, Notification, Reason};
use tokio::sync::{Notify, mpsc};

use super::policy::{ChannelLimits, RetryPolicy};
use super::{Parts, Reports, Running, start};
use crate::clock::Clock;
use crate::engine::Refused;
use crate::notifiers::{Message, Notifier, Notifiers, Receipt, SendError};
use crate::store::conformance::{START, at, notification};
use crate::store::sqlite::SqliteStore;
use crate::store::{SharedStore, Store};

/// What a notifier does at its next attempt.
enum Script {
    Accept,
    Transient,
    Permanent,
    /// Never answers.
    Hang,
    Panic,
}

/// Sends what its script says and reports every attempt.
struct Scripted {
    channel: &'static str,
    script: Mutex<VecDeque<Script>>,
    attempts: mpsc::Sender<Message>,
}

#[async_trait]
impl Notifier for Scripted {
    fn channel(&self) -> &'static str {
        self.channel
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let next = self.script.lock().unwrap().pop_front().unwrap_or(Script::Accept);
        self.attempts.send(message.clone()).await.unwrap();
        match next {
            Script::Accept => Ok(Receipt("taken".into())),
            Script::Transient => Err(SendError::Transient { message: "busy".into(), retry_after: None }),
            Script::Permanent => Err(SendError::Permanent { message: "no such user".into() }),
            Script::Hang => std::future::pending().await,
            Script::Panic => panic!("scripted"),
        }
    }
}

struct Engine {
    told: mpsc::Sender<Delivery>,
}

#[async_trait]
impl Reports for Engine {
    fn catalog(&self) -> Arc<Catalog> {
        let step = |text: &str, command: Option<&str>| Step {
            command: command.map(str::to_owned),
            ..Step::manual(StepKind::Verify, text)
        };
        let steps =
            vec![step("Look", Some("systemctl status x")), step("Mend", None), step("3", None), step("4", None)];
        let runbook = Runbook::of_steps("rb-euca-clc-software", "CLC", steps);
        let platform = Platform {
            core: None,
            key: "eucalyptus".into(),
            version: "1".into(),
            components: vec![],
            cells: vec![],
            runbooks: vec![runbook],
        };
        Arc::new(Catalog {
            instance: "ECC".into(),
            url: "https://stentor.example/".into(),
            platforms: vec![Arc::new(platform)],
            ..Catalog::default()
        })
    }

    async fn report(&self, deliveries: Vec<Delivery>) -> Result<(), Refused> {
        for delivery in deliveries {
            self.told.send(delivery).await.map_err(|_| Refused::Stopping)?;
        }
        Ok(())
    }
}

/// A worker with its world; the channels `email` and `webhook` are scripted.
struct World {
    store: SharedStore,
    clock: Clock,
    bell: Arc<Notify>,
    registry: Arc<Registry>,
    unrecorded: mpsc::Sender<Notification>,
    attempts: BTreeMap<&'static str, mpsc::Receiver<Message>>,
    told: mpsc::Receiver<Delivery>,
    running: Running,
}

impl World {
    async fn new(dir: &Path, email: Vec<Script>) -> World {
        World::with_limits(dir, email, ChannelLimits::default()).await
    }

    async fn with_limits(dir: &Path, email: Vec<Script>, limits: ChannelLimits) -> World {
        let store: SharedStore = Arc::new(SqliteStore::open(&dir.join("s.db")).await.unwrap());
        World::over(store, email, limits)
    }

    fn over(store: SharedStore, email: Vec<Script>, limits: ChannelLimits) -> World {
        let clock = Clock::manual(START + Span::from_secs(100));
        let (bell, registry) = (Arc::new(Notify::new()), Arc::new(Registry::new()));
        let (unrecorded, receiver) = mpsc::channel(64);
        let (told_sender, told) = mpsc::channel(1024);
        let (mut notifiers, mut attempts) = (Notifiers::default(), BTreeMap::new());
        for (channel, script) in [("email", email), ("webhook", vec![])] {
            let (sender, receiver) = mpsc::channel(1024);
            notifiers = notifiers.with(Scripted { channel, script: Mutex::new(script.into()), attempts: sender });
            attempts.insert(channel, receiver);
        }
        let parts = Parts {
            store: Arc::clone(&store),
            notifiers,
            engine: Arc::new(Engine { told: told_sender }),
            clock: clock.clone(),
            registry: Arc::clone(&registry),
            outbox: Arc::clone(&bell),
            unrecorded: receiver,
            retry: RetryPolicy::default(),
            limits,
        };
        World { store, clock, bell, registry, unrecorded, attempts, told, running: start(parts).unwrap() }
    }

    async fn page(&self, pages: &[Notification]) {
        for page in pages {
            self.store.commit_turn(page.seq, &[], std::slice::from_ref(page)).await.unwrap();
        }
        self.bell.notify_one();
    }

    async fn attempt(&mut self, channel: &str) -> Message {
        let attempts = self.attempts.get_mut(channel).unwrap();
        tokio::time::timeout(PATIENCE, attempts.recv()).await.expect("an attempt is made").unwrap()
    }

    async fn told(&mut self) -> Delivery {
        tokio::time::timeout(PATIENCE, self.told.recv()).await.expect("the engine is told").unwrap()
    }

    /// Moves time past every back-off.
    fn later(&self, secs: i64) {
        self.clock.advance(Span::from_secs(secs));
        self.bell.notify_one();
    }

    /// Returns when the worker has looked at its queues after the last ring: a webhook sent after it has arrived.
    async fn page_rung(&mut self) {
        let number = 1_000_000 + self.clock.now().as_secs().unsigned_abs();
        self.unrecorded.send(page(number, "webhook")).await.unwrap();
        self.attempt("webhook").await;
    }

    fn count(&self, channel: &str, outcome: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "stentor_notifications_total");
        // Nothing counted yet: the registry leaves an empty family out.
        let Some(family) = family else { return 0.0 };
        let wanted = [("channel", channel), ("outcome", outcome)];
        let metric = family.get_metric().iter().find(|metric| {
            let has = |(name, value): &(&str, &str)| {
                metric.get_label().iter().any(|label| label.name() == *name && label.value() == *value)
            };
            wanted.iter().all(has)
        });
        metric.map_or(0.0, |metric| metric.get_counter().get_value())
    }
}

/// Every write to the outbox fails from here on; reads go on.
const BREAK: &str = "CREATE TRIGGER no_insert BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'lost'); END; \
     CREATE TRIGGER no_update BEFORE UPDATE ON outbox BEGIN SELECT RAISE(ABORT, 'lost'); END";
const MEND: &str = "DROP TRIGGER no_insert; DROP TRIGGER no_update";

/// Far longer than anything here takes; only a failure waits for it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

fn page(number: u64, channel: &str) -> Notification {
    notification(number, Reason::Problem, "noc", channel, number)
}

#[tokio::test]
async fn a_page_is_sent_recorded_and_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path(), vec![]).await;
    world.page(&[page(1, "email")]).await;
    let message = world.attempt("email").await;
    assert_eq!(message.notification, page(1, "email"));
    assert_eq!(message.steps, ["Look\n$ systemctl status x", "Mend", "3"]);
    assert_eq!((message.instance.as_str(), message.url.as_str()), ("ECC", "https://stentor.example/"));
    let told = world.told().await;
    assert_eq!(told.outcome, DeliveryOutcome::Accepted("taken".into()));
    assert_eq!((told.incident, &*told.key), (1, &*page(1, "email").key));
    let store = Arc::clone(&world.store);
    world.running.stop().await;
    assert_eq!(store.outbox_keys(None).await.unwrap()[0].1, "sent");
    assert_eq!(store.outbox_undelivered_outcomes().await.unwrap(), [], "marked as told");
    assert!(world.attempts.get_mut("email").unwrap().try_recv().is_err(), "one attempt only");
}

#[tokio::test]
async fn a_busy_receiver_is_tried_again_until_it_takes_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let script = vec![Script::Transient, Script::Panic, Script::Transient];
    let mut world = World::new(dir.path(), script).await;
    world.page(&[page(1, "email")]).await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(world.attempt("email").await.notification.key);
        while world.count("email", "retried") < keys.len().min(3) as f64 {
            tokio::task::yield_now().await;
        }
        world.later(600);
    }
    assert!(keys.iter().all(|key| *key == keys[0]), "the same key at every attempt");
    assert!(matches!(world.told().await.outcome, DeliveryOutcome::Accepted(_)));
    assert_eq!((world.count("email", "retried"), world.count("email", "sent")), (3.0, 1.0));
    world.running.stop().await;
}

#[tokio::test]
async fn a_refusal_ends_at_once_and_endless_trouble_ends_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path(), vec![Script::Permanent, Script::Transient]).await;
    world.page(&[page(1, "email")]).await;
    assert_eq!(world.told().await.outcome, DeliveryOutcome::Failed("no such user".into()));
    world.clock.advance(Span::from_hours(25));
    world.page(&[page(2, "email")]).await;
    let told = world.told().await.outcome;
    assert_eq!(told, DeliveryOutcome::Failed("given up after 1 attempts: busy".into()));
    assert_eq!(world.count("email", "failed"), 2.0);
    world.running.stop().await;
}

#[tokio::test]
async fn a_hanging_mail_server_does_not_hold_back_the_webhook() {
    let dir = tempfile::tempdir().unwrap();
    let script = (0..50).map(|_| Script::Hang).collect();
    let mut world = World::new(dir.path(), script).await;
    let mails: Vec<_> = (1..=50).map(|n| page(n, "email")).collect();
    world.page(&mails).await;
    for _ in 0..ChannelLimits::default().concurrency {
        world.attempt("email").await;
    }
    world.page(&[page(51, "webhook")]).await;
    assert_eq!(world.attempt("webhook").await.notification.incident.number, 51);
    assert_eq!(&*world.told().await.channel, "webhook");
    assert!(world.attempts.get_mut("email").unwrap().try_recv().is_err(), "no more at once than allowed");
}

#[tokio::test]
async fn the_rate_limit_holds_and_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let limits = ChannelLimits { concurrency: 2, messages: 3, window: Span::from_secs(60) };
    let mut world = World::with_limits(dir.path(), vec![], limits).await;
    let mails: Vec<_> = (1..=5).map(|n| page(n, "email")).collect();
    world.page(&mails).await;
    for _ in 0..3 {
        world.attempt("email").await;
        world.told().await;
    }
    world.page(&[page(6, "webhook")]).await;
    world.told().await;
    assert!(world.attempts.get_mut("email").unwrap().try_recv().is_err(), "three in a minute");
    world.later(61);
    world.attempt("email").await;
    world.attempt("email").await;
    world.running.stop().await;
}

#[tokio::test]
async fn a_recovery_follows_its_problem_under_the_same_thread() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path(), vec![Script::Transient]).await;
    let recovery = Notification { seq: 2, ..notification(1, Reason::Recovery, "noc", "email", 2) };
    world.page(&[page(1, "email"), recovery]).await;
    let first = world.attempt("email").await;
    while world.count("email", "retried") < 1.0 {
        tokio::task::yield_now().await;
    }
    world.later(600);
    let again = world.attempt("email").await;
    assert_eq!(first.notification.key, again.notification.key);
    let last = world.attempt("email").await;
    assert_eq!(last.notification.reason, Reason::Recovery);
    assert_eq!(last.thread, *first.notification.key);
    world.running.stop().await;
}

#[tokio::test]
async fn an_end_that_the_engine_may_not_know_is_told_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("s.db")).await.unwrap();
    let pages = [page(1, "email"), page(2, "email")];
    store.commit_turn(1, &[], &pages).await.unwrap();
    store.outbox_sent(&pages[0].key, at(5), "250 ok").await.unwrap();
    store.outbox_failed(&pages[1].key, at(5), "550 no").await.unwrap();
    let mut world = World::over(Arc::new(store), vec![], ChannelLimits::default());
    let told = [world.told().await.outcome, world.told().await.outcome];
    assert_eq!(told, [DeliveryOutcome::Accepted("250 ok".into()), DeliveryOutcome::Failed("550 no".into())]);
    let store = Arc::clone(&world.store);
    world.running.stop().await;
    assert_eq!(store.outbox_undelivered_outcomes().await.unwrap(), []);
}

#[tokio::test]
async fn a_channel_nobody_configured_fails_visibly() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path(), vec![]).await;
    world.clock.advance(Span::from_hours(25));
    world.page(&[page(1, "pigeon")]).await;
    match world.told().await.outcome {
        DeliveryOutcome::Failed(why) => assert!(why.contains("no [notifier.pigeon] is configured"), "{why}"),
        accepted => panic!("{accepted:?}"),
    }
    world.running.stop().await;
}

#[tokio::test]
async fn pages_leave_from_memory_while_the_store_is_lost_and_are_recorded_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("s.db")).await.unwrap();
    let writer = store.writer.clone();
    sqlx::raw_sql(BREAK).execute(&writer).await.unwrap();
    let mut world = World::over(Arc::new(store), vec![Script::Transient], ChannelLimits::default());
    let recovery = Notification { seq: 2, ..notification(1, Reason::Recovery, "noc", "email", 2) };
    world.unrecorded.send(page(1, "email")).await.unwrap();
    world.unrecorded.send(recovery).await.unwrap();
    let first = world.attempt("email").await;
    while world.count("email", "retried") < 1.0 {
        tokio::task::yield_now().await;
    }
    world.later(600);
    let second = world.attempt("email").await;
    assert_eq!(first.notification.key, second.notification.key);
    assert!(
        matches!(world.told().await.outcome, DeliveryOutcome::Accepted(_)),
        "the engine does not wait for the store"
    );
    assert_eq!(world.attempt("email").await.notification.reason, Reason::Recovery);
    world.told().await;
    assert_eq!(world.store.outbox_keys(None).await.unwrap(), []);

    sqlx::raw_sql(MEND).execute(&writer).await.unwrap();
    while world.store.outbox_keys(None).await.unwrap().iter().filter(|(_, outcome)| outcome == "sent").count() < 2 {
        world.later(10);
        tokio::task::yield_now().await;
    }
    let store = Arc::clone(&world.store);
    world.running.stop().await;
    assert!(world.attempts.get_mut("email").unwrap().try_recv().is_err(), "recorded, not sent again");
    let again = page(1, "email");
    store.commit_turn(again.seq, &[], &[again]).await.unwrap();
    assert_eq!(store.outbox_due(at(999_999), 9).await.unwrap().len(), 0, "the journal's redo does not page again");
}

#[tokio::test]
async fn an_accepted_page_is_not_sent_again_while_its_record_is_impossible() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("s.db")).await.unwrap();
    let writer = store.writer.clone();
    let mut world = World::over(Arc::new(store), vec![], ChannelLimits::default());
    world.store.commit_turn(1, &[], &[page(1, "email")]).await.unwrap();
    sqlx::raw_sql(BREAK).execute(&writer).await.unwrap();
    world.bell.notify_one();
    world.attempt("email").await;
    world.told().await;
    for _ in 0..20 {
        world.later(60);
        world.page_rung().await;
    }
    assert!(world.attempts.get_mut("email").unwrap().try_recv().is_err(), "one attempt");
    sqlx::raw_sql(MEND).execute(&writer).await.unwrap();
    world.running.stop().await;
    assert_eq!(world.store.outbox_keys(None).await.unwrap()[0].1, "sent", "recorded at the latest when stopping");
}

#[tokio::test]
async fn a_test_that_is_not_taken_fails_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path(), vec![Script::Transient]).await;
    let test = notification(0, Reason::Test, "noc", "email", 1);
    world.page(std::slice::from_ref(&test)).await;
    world.attempt("email").await;
    assert_eq!(world.told().await.outcome, DeliveryOutcome::Failed("busy".into()));
    let store = Arc::clone(&world.store);
    world.running.stop().await;
    let end = store.outbox_end(&test.key).await.unwrap().expect("it has ended");
    assert_eq!((end.sent, end.text.as_str()), (false, "busy"));
}
