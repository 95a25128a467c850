//! The conformance suite on SQLite, and what only a file can suffer.

use sqlx::Executor;
use stentor_core::model::Reason;

use super::conformance::{self, at, notification};
use super::sqlite::SqliteStore;
use super::{Store, open, statements};
use crate::sql::Fault;

#[tokio::test]
async fn sqlite_keeps_every_promise_of_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut count = 0;
    conformance::all(|| {
        count += 1;
        let path = dir.path().join(format!("deep/{count}.db"));
        async move { SqliteStore::open(&path).await.unwrap() }
    })
    .await;
}

#[tokio::test]
async fn every_statement_prepares_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("s.db")).await.unwrap();
    for &statement in statements::ALL {
        use sqlx::SqlSafeStr;
        if let Err(error) = (&store.writer).prepare(statement.into_sql_str()).await {
            panic!("{statement}\n{error}");
        }
    }
}

#[tokio::test]
async fn the_url_chooses_the_database_and_passwords_stay_out_of_errors() {
    let dir = tempfile::tempdir().unwrap();
    for url in ["sqlite:stentor.db", "sqlite://stentor.db"] {
        open(url, dir.path(), None).await.map(drop).unwrap();
    }
    assert!(dir.path().join("stentor.db").exists());
    let unknown = open("mysql://u:hunter2@h/d", dir.path(), None).await.map(drop).unwrap_err();
    assert!(unknown.cause.to_string().starts_with("`mysql` is no database"), "{}", unknown.cause);
    let absent = open("postgres://u:hunter2@127.0.0.1:1/d", dir.path(), None).await.map(drop).unwrap_err();
    assert_eq!(absent.fault(), Fault::Unavailable, "{absent:?}");
    for error in [unknown, absent] {
        assert!(!format!("{error:?} {error} {}", error.cause).contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let page = notification(1, Reason::Problem, "noc", "email", 1);
    let store = SqliteStore::open(&path).await.unwrap();
    store.commit_turn(1, &[], std::slice::from_ref(&page)).await.unwrap();
    store.close().await;
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.outbox_due(at(1), 9).await.unwrap()[0].notification, page);
}

#[tokio::test]
async fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("s.db")).await.unwrap();
    store.save_checkpoint(10, at(1), b"ten").await.unwrap();
    store.save_checkpoint(20, at(2), b"twenty").await.unwrap();
    sqlx::query("UPDATE checkpoint SET state = x'00' WHERE seq = 20").execute(&store.writer).await.unwrap();
    assert_eq!(store.latest_checkpoint().await.unwrap(), Some((10, b"ten".to_vec())));
    sqlx::query("UPDATE checkpoint SET state = x'00'").execute(&store.writer).await.unwrap();
    store.latest_checkpoint().await.expect_err("starting empty would forget acknowledgements and downtimes");
}

#[tokio::test]
async fn one_unreadable_notification_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("s.db")).await.unwrap();
    let pages = [notification(1, Reason::Problem, "a", "email", 1), notification(2, Reason::Problem, "b", "email", 1)];
    store.commit_turn(1, &[], &pages).await.unwrap();
    sqlx::query("UPDATE outbox SET body = '{' WHERE incident = 1").execute(&store.writer).await.unwrap();
    let due = store.outbox_due(at(9), 9).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].notification, pages[1]);
    assert_eq!(store.outbox_keys(Some(1)).await.unwrap()[0].1, "failed");
    assert_eq!(store.outbox_undelivered_outcomes().await.unwrap(), []);
}

#[tokio::test]
async fn trouble_is_typed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let page = notification(1, Reason::Problem, "noc", "email", 1);

    sqlx::query("PRAGMA max_page_count = 1").execute(&store.writer).await.unwrap();
    let error = store.save_checkpoint(1, at(0), &vec![7; 200_000]).await.unwrap_err();
    assert_eq!(error.fault(), Fault::DiskFull, "{error:?}");
    assert!(error.fault().may_pass());
    sqlx::query("PRAGMA max_page_count = 1000000").execute(&store.writer).await.unwrap();
    store.commit_turn(1, &[], std::slice::from_ref(&page)).await.expect("it heals when room is made");

    sqlx::query("PRAGMA query_only = 1").execute(&store.writer).await.unwrap();
    let error = store.outbox_sent(&page.key, at(1), "ok").await.unwrap_err();
    assert_eq!(error.fault(), Fault::ReadOnly, "{error:?}");
    store.close().await;
    let error = store.outbox_due(at(1), 1).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Unavailable, "{error:?}");

    std::fs::write(&path, "this is not a database, it only has the same name").unwrap();
    std::fs::remove_file(dir.path().join("s.db-wal")).ok();
    assert_eq!(SqliteStore::open(&path).await.unwrap_err().fault(), Fault::Damaged);
}

#[tokio::test]
async fn a_copy_is_consistent_and_refuses_to_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("s.db")).await.unwrap();
    let page = notification(1, Reason::Problem, "noc", "email", 1);
    store.commit_turn(1, &[], std::slice::from_ref(&page)).await.unwrap();
    let to = dir.path().join("copy.db");
    store.backup(&to).await.unwrap();
    store.backup(&to).await.expect_err("the file exists");
    let copy = SqliteStore::open(&to).await.unwrap();
    assert_eq!(copy.outbox_keys(None).await.unwrap(), store.outbox_keys(None).await.unwrap());
}
