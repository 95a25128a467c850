//! What every store promises. Run on SQLite by the unit tests and on PostgreSQL by the integration tests.
//! Each function wants an empty store.

use std::sync::Arc;

use stentor::store::audit::Chain;
use stentor::store::{HistoryQuery, Session, SessionKind, Store, User};
use stentor_core::diagnosis::{Class, CoreState, Impact, Severity, Target, TargetKind, Verdict, Visibility};
use stentor_core::engine::{Event, EventKind};
use stentor_core::model::{Incident, Notification, ObjectKey, Phase, Reason};
use stentor_core::runbook::AuditEntry;
use stentor_core::{Span, Timestamp};

pub const START: Timestamp = Timestamp::from_secs(1_795_000_000);

pub fn at(secs: i64) -> Timestamp {
    START + Span::from_secs(secs)
}

pub fn incident(number: u64) -> Incident {
    Incident {
        number,
        phase: Phase::Open,
        title: "clc on clc1 is down".into(),
        cloud: Some("ECC".into()),
        site: Some("osl1".into()),
        zone: None,
        verdict: Verdict {
            target: Target { kind: TargetKind::Component, host: Some("clc1".into()), component: Some("clc".into()) },
            class: Class::SoftwareDown,
            subtype: "process_gone".into(),
            severity: Severity::Critical,
            visibility: Visibility::Visible,
            impact: Impact::Full,
            confidence: 0.9,
            core: CoreState::Degraded,
            cell: Some("eucalyptus/clc/software".into()),
            cells: vec![],
            runbook: "rb-euca-clc-software".into(),
            redundancy: Some((1, 2)),
            suppressed: vec![],
            evidence: vec![],
            rejected: vec![],
            since: START,
        },
        problems: vec![],
        users_notice: "No new instances".into(),
        owner: None,
        ack: None,
        opened_at: START,
        changed_at: START,
        resolved_at: None,
        root: None,
        generation: 1,
        stage: stentor_core::model::Stage::Failed,
        going_on: Vec::new(),
        business: Vec::new(),
        links: stentor_core::model::Links::default(),
        timeline: vec![],
    }
}

pub fn notification(number: u64, reason: Reason, contact: &str, channel: &str, seq: u64) -> Notification {
    Notification {
        key: format!("t/INC-{number}/{}/{seq}/{contact}/{channel}", reason.as_str()).into(),
        reason,
        contact: contact.into(),
        channel: channel.into(),
        address: "noc@example.org".into(),
        incident: Arc::new(incident(number)),
        seq,
        created_at: at(seq.cast_signed()),
        by: None,
        comment: None,
        notice: None,
    }
}

fn event(secs: i64, host: &str, service: Option<&str>, incident: Option<u64>) -> Event {
    Event {
        at: at(secs),
        kind: EventKind::ServiceState,
        object: Some(ObjectKey { host: host.into(), service: service.map(Arc::from) }),
        incident,
        text: format!("{host} at {secs}"),
    }
}

/// All of it, one after the other, each on a store of its own from `fresh`.
pub async fn all<F, S>(mut fresh: impl FnMut() -> F)
where
    F: Future<Output = S>,
    S: Store,
{
    a_turn_done_again_changes_nothing(&fresh().await).await;
    a_notification_ends_once(&fresh().await).await;
    a_recovery_waits_for_its_problem(&fresh().await).await;
    a_channel_does_not_hide_another(&fresh().await).await;
    ends_are_told_once(&fresh().await).await;
    threads_start_at_the_first_notification(&fresh().await).await;
    history_pages_by_key_and_filters(&fresh().await).await;
    a_large_turn_is_one_transaction(&fresh().await).await;
    text_that_databases_dislike_is_kept(&fresh().await).await;
    checkpoints_keep_the_newest(&fresh().await).await;
    users_and_sessions_are_kept(&fresh().await).await;
    pruning_spares_what_is_pending(&fresh().await).await;
    the_audit_is_one_chain_and_takes_nothing_twice(&fresh().await).await;
}

async fn keys(store: &dyn Store) -> Vec<(String, String)> {
    store.outbox_keys(None).await.unwrap()
}

async fn due(store: &dyn Store, secs: i64) -> Vec<String> {
    let rows = store.outbox_due(at(secs), 100).await.unwrap();
    rows.iter().map(|row| row.notification.key.to_string()).collect()
}

async fn a_turn_done_again_changes_nothing(store: &dyn Store) {
    let events = [event(1, "web01", None, None), event(1, "web01", Some("http"), Some(1))];
    let pages =
        [notification(1, Reason::Problem, "noc", "email", 1), notification(1, Reason::Problem, "ann", "email", 1)];
    store.commit_turn(1, &events, &pages).await.unwrap();
    store.outbox_sent(&pages[0].key, at(2), "250 ok").await.unwrap();
    store.commit_turn(1, &events, &pages).await.unwrap();

    assert_eq!(store.history(&HistoryQuery { limit: 10, ..Default::default() }).await.unwrap().len(), 2);
    let expected = [(pages[0].key.to_string(), "sent"), (pages[1].key.to_string(), "pending")];
    let mut found = keys(store).await;
    found.sort_by(|a, b| b.1.cmp(&a.1));
    assert_eq!(found, expected.map(|(key, outcome)| (key, outcome.to_owned())));
    let row = store.outbox_due(at(5), 10).await.unwrap().remove(0);
    assert_eq!(row.notification, pages[1], "the notification comes back as it was");
    store.commit_turn(2, &[], &[]).await.unwrap();
}

async fn a_notification_ends_once(store: &dyn Store) {
    let page = notification(1, Reason::Problem, "noc", "email", 1);
    store.commit_turn(1, &[], std::slice::from_ref(&page)).await.unwrap();
    assert_eq!(due(store, 0).await, Vec::<String>::new(), "not before its time");
    store.outbox_retry(&page.key, at(60), "421 busy").await.unwrap();
    assert_eq!(store.outbox_end(&page.key).await.unwrap(), None, "still to be sent");
    assert_eq!(due(store, 59).await, Vec::<String>::new());
    let row = store.outbox_due(at(60), 10).await.unwrap().remove(0);
    assert_eq!(row.attempts, 1);
    assert_eq!(store.outbox_pending().await.unwrap(), [("email".to_owned(), at(60))]);
    store.outbox_sent(&page.key, at(61), "250 ok").await.unwrap();
    store.outbox_failed(&page.key, at(62), "late").await.unwrap();
    store.outbox_retry(&page.key, at(62), "late").await.unwrap();
    assert_eq!(keys(store).await, [(page.key.to_string(), "sent".to_owned())]);
    assert_eq!(due(store, 999).await, Vec::<String>::new());
    assert_eq!(store.outbox_pending().await.unwrap(), []);
}

async fn a_recovery_waits_for_its_problem(store: &dyn Store) {
    let problem = notification(1, Reason::Problem, "noc", "email", 1);
    let recovery = notification(1, Reason::Recovery, "noc", "email", 2);
    let other = notification(1, Reason::Recovery, "ann", "email", 2);
    store.commit_turn(1, &[], std::slice::from_ref(&problem)).await.unwrap();
    store.commit_turn(2, &[], &[recovery.clone(), other.clone()]).await.unwrap();
    store.outbox_retry(&problem.key, at(50), "busy").await.unwrap();
    assert_eq!(due(store, 10).await, [other.key.to_string()], "another contact does not wait");
    assert_eq!(store.outbox_pending().await.unwrap(), [("email".to_owned(), at(2))]);
    store.outbox_failed(&problem.key, at(51), "gone").await.unwrap();
    assert_eq!(due(store, 51).await, [recovery.key.to_string(), other.key.to_string()]);
}

async fn a_channel_does_not_hide_another(store: &dyn Store) {
    let mails: Vec<_> = (0..200).map(|n| notification(n, Reason::Problem, "noc", "email", 1)).collect();
    store.commit_turn(1, &[], &mails).await.unwrap();
    let hook = notification(900, Reason::Problem, "noc", "webhook", 2);
    store.commit_turn(2, &[], std::slice::from_ref(&hook)).await.unwrap();
    let rows = store.outbox_due_on("webhook", at(10), 5).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].notification.key, hook.key);
    let rows = store.outbox_due_on("email", at(10), 5).await.unwrap();
    let first: Vec<_> = rows.iter().map(|row| row.notification.incident.number).collect();
    assert_eq!(first, [0, 1, 2, 3, 4], "oldest first");
    assert_eq!(store.outbox_due_on("sms", at(10), 5).await.unwrap().len(), 0);
}

async fn ends_are_told_once(store: &dyn Store) {
    let (a, b) = (notification(1, Reason::Problem, "a", "email", 1), notification(1, Reason::Problem, "b", "email", 1));
    store.commit_turn(1, &[], &[a.clone(), b.clone()]).await.unwrap();
    assert_eq!(store.outbox_undelivered_outcomes().await.unwrap(), []);
    store.outbox_sent(&a.key, at(3), "250 queued").await.unwrap();
    store.outbox_failed(&b.key, at(3), "550 no such user").await.unwrap();
    let ends = store.outbox_undelivered_outcomes().await.unwrap();
    let told: Vec<_> = ends.iter().map(|end| (&*end.notification.contact, end.sent, end.text.as_str())).collect();
    assert_eq!(told, [("a", true, "250 queued"), ("b", false, "550 no such user")]);
    let end = store.outbox_end(&b.key).await.unwrap().expect("it has ended");
    assert_eq!((end.sent, end.text.as_str()), (false, "550 no such user"));
    assert_eq!(store.outbox_end("no/such/key").await.unwrap(), None);
    store.outbox_outcome_told(&a.key).await.unwrap();
    let ends = store.outbox_undelivered_outcomes().await.unwrap();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].notification, b);
}

async fn threads_start_at_the_first_notification(store: &dyn Store) {
    let first = notification(7, Reason::Problem, "noc", "email", 1);
    let second = notification(7, Reason::Recovery, "noc", "email", 5);
    let other = notification(7, Reason::Recovery, "ann", "email", 5);
    store.commit_turn(1, &[], std::slice::from_ref(&first)).await.unwrap();
    store.outbox_sent(&first.key, at(1), "ok").await.unwrap();
    store.commit_turn(5, &[], &[second, other.clone()]).await.unwrap();
    let rows = store.outbox_due(at(9), 10).await.unwrap();
    let threads: Vec<_> = rows.iter().map(|row| row.thread.as_str()).collect();
    assert_eq!(threads, [&*first.key, &*other.key]);
}

async fn history_pages_by_key_and_filters(store: &dyn Store) {
    for seq in 1..=9u64 {
        let secs = seq.cast_signed();
        let host = if seq % 2 == 0 { "even" } else { "odd" };
        let events = [event(secs, host, None, None), event(secs, host, Some("http"), Some(seq / 4))];
        store.commit_turn(seq, &events, &[]).await.unwrap();
    }
    let ask = async |query: HistoryQuery| -> Vec<(u64, u32)> {
        let rows = store.history(&query).await.unwrap();
        rows.iter().map(|row| (row.seq, row.ordinal)).collect()
    };
    let all = || HistoryQuery { limit: 100, ..HistoryQuery::default() };
    assert_eq!(ask(all()).await.len(), 18);
    let page = ask(HistoryQuery { limit: 3, ..all() }).await;
    assert_eq!(page, [(9, 1), (9, 0), (8, 1)]);
    assert_eq!(ask(HistoryQuery { limit: 2, before: Some((8, 1)), ..all() }).await, [(8, 0), (7, 1)]);
    assert_eq!(ask(HistoryQuery { since: Some(at(9)), ..all() }).await, [(9, 1), (9, 0)]);
    assert_eq!(ask(HistoryQuery { host: Some("even".into()), ..all() }).await.len(), 8);
    let service = HistoryQuery { host: Some("even".into()), service: Some("http".into()), ..all() };
    assert_eq!(ask(service).await, [(8, 1), (6, 1), (4, 1), (2, 1)]);
    assert_eq!(ask(HistoryQuery { service: Some("http".into()), limit: 1, ..all() }).await, [(9, 1)]);
    assert_eq!(ask(HistoryQuery { incident: Some(2), ..all() }).await, [(9, 1), (8, 1)]);
    let both = HistoryQuery { incident: Some(2), host: Some("odd".into()), ..all() };
    assert_eq!(ask(both).await, [(9, 1)]);
    let told = Event { kind: EventKind::BusinessChanged, object: None, incident: None, ..event(10, "", None, None) };
    store.commit_turn(10, std::slice::from_ref(&told), &[]).await.unwrap();
    assert_eq!(ask(HistoryQuery { availability: true, ..all() }).await, [(10, 0)]);
    let row = store.history(&HistoryQuery { limit: 1, before: Some((10, 0)), ..all() }).await.unwrap().remove(0);
    assert_eq!(row.event, event(9, "odd", Some("http"), Some(2)));
    assert_eq!(store.prune_history(at(9)).await.unwrap(), 16);
    assert_eq!(ask(all()).await, [(10, 0), (9, 1), (9, 0)]);
}

async fn a_large_turn_is_one_transaction(store: &dyn Store) {
    let events: Vec<_> = (0..1300).map(|i| event(i, "h", Some("s"), None)).collect();
    store.commit_turn(1, &events, &[]).await.unwrap();
    let rows = store.history(&HistoryQuery { limit: 5000, ..Default::default() }).await.unwrap();
    assert_eq!(rows.len(), 1300);
    assert_eq!(rows[0].ordinal, 1299);
}

async fn text_that_databases_dislike_is_kept(store: &dyn Store) {
    let text = "NUL \0, quote ', emoji \u{1f525}, line\nend, % _ \\";
    let mut event = event(1, "h\0", None, None);
    event.text = text.into();
    let mut page = notification(1, Reason::Problem, "noc", "email", 1);
    page.comment = Some(text.into());
    store.commit_turn(1, &[event], std::slice::from_ref(&page)).await.unwrap();
    let row = store.history(&HistoryQuery { limit: 1, ..Default::default() }).await.unwrap().remove(0);
    assert_eq!(row.event.text, text.replace('\0', "\u{fffd}"));
    assert_eq!(store.outbox_due(at(9), 1).await.unwrap()[0].notification, page, "bodies are exact");
    store.outbox_failed(&page.key, at(9), text).await.unwrap();
}

async fn checkpoints_keep_the_newest(store: &dyn Store) {
    assert_eq!(store.latest_checkpoint().await.unwrap(), None);
    for seq in [10, 20, 30, 40, 50] {
        store.save_checkpoint(seq, at(1), &vec![seq as u8; 300_000]).await.unwrap();
    }
    assert_eq!(store.latest_checkpoint().await.unwrap(), Some((50, vec![50; 300_000])));
    store.save_checkpoint(50, at(2), b"again").await.unwrap();
    assert_eq!(store.latest_checkpoint().await.unwrap(), Some((50, b"again".to_vec())));
}

async fn users_and_sessions_are_kept(store: &dyn Store) {
    assert_eq!(store.user_count().await.unwrap(), 0);
    let mut mara = User { name: "mara".into(), password_hash: "$argon2id$x".into(), role: "operator".into() };
    store.put_user(&mara).await.unwrap();
    mara.role = "admin".into();
    store.put_user(&mara).await.unwrap();
    assert_eq!(store.user("mara").await.unwrap(), Some(mara));
    assert_eq!(store.user("nobody").await.unwrap(), None);
    assert_eq!(store.user_count().await.unwrap(), 1);

    let session = |n: u8, kind, expires_at| Session {
        secret_sha256: vec![n; 32],
        user: "mara".into(),
        kind,
        csrf: "c".into(),
        created_at: at(0),
        expires_at,
    };
    for (n, kind, ends) in
        [(1, SessionKind::Login, Some(at(10))), (2, SessionKind::Token, None), (3, SessionKind::Agent, None)]
    {
        store.put_session(&session(n, kind, ends)).await.unwrap();
        assert_eq!(store.session(&[n; 32]).await.unwrap(), Some(session(n, kind, ends)));
    }
    assert_eq!(store.prune_sessions(at(10)).await.unwrap(), 0);
    assert_eq!(store.prune_sessions(at(11)).await.unwrap(), 1);
    assert_eq!(store.session(&[1; 32]).await.unwrap(), None);
    store.delete_session(&[2; 32]).await.unwrap();
    assert_eq!(store.session(&[2; 32]).await.unwrap(), None);
    assert!(store.session(&[3; 32]).await.unwrap().is_some());
}

async fn pruning_spares_what_is_pending(store: &dyn Store) {
    let pages: Vec<_> = ["pending", "untold", "done"].map(|c| notification(1, Reason::Problem, c, "email", 1)).into();
    store.commit_turn(1, &[], &pages).await.unwrap();
    store.outbox_sent(&pages[1].key, at(2), "ok").await.unwrap();
    store.outbox_sent(&pages[2].key, at(2), "ok").await.unwrap();
    store.outbox_outcome_told(&pages[2].key).await.unwrap();
    store.prune_history(at(1000)).await.unwrap();
    let left: Vec<_> = keys(store).await.into_iter().map(|(key, _)| key).collect();
    let mut expected = vec![pages[0].key.to_string(), pages[1].key.to_string()];
    expected.sort();
    let mut left = left;
    left.sort();
    assert_eq!(left, expected);
}

async fn the_audit_is_one_chain_and_takes_nothing_twice(store: &dyn Store) {
    let entry = |text: &str| AuditEntry {
        at: at(1),
        who: "mara".into(),
        action: "begin".into(),
        run: Some(3),
        incident: Some(17),
        runbook: "rb-euca-clc-software".into(),
        step: Some(2),
        target: "clc on clc1".into(),
        done: true,
        text: text.into(),
    };
    let turns =
        [(7, vec![entry("a \0 b"), entry("same"), entry("same")]), (9, vec![entry("c")]), (9, vec![entry("other")])];
    for _ in 0..2 {
        for (seq, entries) in &turns {
            store.append_audit(*seq, entries).await.unwrap();
        }
    }
    let records = store.audit(0, 100).await.unwrap();
    let texts: Vec<&str> = records.iter().map(|record| &*record.entry.text).collect();
    // A turn number that came back with something else is news, and not a repetition.
    assert_eq!(texts, ["a \0 b", "same", "same", "c", "other"]);
    let mut chain = Chain::default();
    for record in &records {
        chain.take(record).unwrap();
    }
    assert_eq!(store.audit(3, 1).await.unwrap(), [records[3].clone()]);
}
