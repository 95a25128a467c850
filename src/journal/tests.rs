//! What a journal promises, held against the SQLite one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use stentor_core::catalog::{Catalog, Contact, Host, Timeperiod, Zone};
use stentor_core::diagnosis::Severity;
use stentor_core::engine::input::{AgentSeen, CheckResult, CommandInput, DowntimeRequest, Spread};
use stentor_core::engine::{Command, Input, ResultSource, Took};
use stentor_core::id::{HostId, ObjectId, ServiceId, ZoneId};
use stentor_core::model::{
    Covers, Delivery, DeliveryOutcome, DowntimeKind, ObjectKey, Observation, Reason, ServiceState, Value,
};
use stentor_core::{Span, Timestamp};

use super::codec;
use super::sqlite::{JOURNAL_FILE, SqliteJournal};
use super::{Journal, JournalTrouble, Turn};
use crate::sql::{Fault, checksum};

fn catalog(hosts: usize) -> Catalog {
    let mut catalog = Catalog {
        instance: "t".into(),
        zones: vec![Zone { name: "z1".into(), cloud: None }],
        contacts: vec![Contact {
            name: "noc".into(),
            display: "NOC".into(),
            channels: BTreeMap::from([("email".into(), "noc@example.org".into())]),
            period: None,
            severity_min: Severity::Warning,
        }],
        timeperiods: vec![Timeperiod {
            name: "always".into(),
            zone: "UTC".into(),
            weekly: Default::default(),
            exceptions: vec![],
            exclude: vec![],
        }],
        ..Catalog::default()
    };
    for i in 0..hosts {
        catalog.hosts.push(Host {
            parents: if i == 0 { vec![] } else { vec![HostId(0)] },
            params: [("port", Value::Number(8773.0)), ("tags", Value::from(vec!["a", "b"]))].into_iter().collect(),
            ..Host::bare(&format!("host{i}"), ZoneId(0))
        });
    }
    catalog.reindex();
    catalog
}

fn result(service: u32, text: &str) -> Input {
    let observation = Observation::reported(ServiceState::Critical, text)
        .fact("port", "refused")
        .fact("nested", vec![1.5, -2.0])
        .measure("time", 0.25, "s");
    Input::Result(CheckResult {
        object: ObjectId::Service(ServiceId(service)),
        observed_at: Timestamp::from_millis(1_795_226_531_250),
        source: ResultSource::Active,
        observation: Arc::new(observation),
        id: None,
        took: Took { latency: Span::from_millis(40), run: Span::from_millis(1250) },
    })
}

fn one_of_each() -> Vec<Input> {
    let key = ObjectKey { host: "host0".into(), service: Some("disk /".into()) };
    vec![
        Input::Catalog(Arc::new(catalog(2))),
        result(7, "DISK CRITICAL - 3 % free"),
        Input::Command(CommandInput {
            raw: None,
            command: Command::ScheduleDowntime(DowntimeRequest {
                target: key,
                covers: Covers::ObjectOnly,
                kind: DowntimeKind::Fixed,
                triggered_by: None,
                spread: Spread::TargetOnly,
                start: Timestamp::from_secs(1),
                end: Timestamp::from_secs(2),
                author: "mara".into(),
                comment: "fan".into(),
            }),
            id: Some("c-1".into()),
        }),
        Input::Delivery(Delivery {
            key: "t/INC-1/problem/1/noc/email".into(),
            incident: 1,
            contact: "noc".into(),
            channel: "email".into(),
            reason: Reason::Problem,
            outcome: DeliveryOutcome::Accepted("250 ok".into()),
        }),
        Input::AgentSeen(AgentSeen { agent: "host0".into(), boot: "b".into(), sequence: u64::MAX }),
        Input::Tick,
    ]
}

fn turn(seq: u64) -> Turn {
    let at = Timestamp::from_secs(1_795_000_000 + seq.cast_signed());
    Turn { seq, at, inputs: vec![result(seq as u32, "ok"), Input::Tick] }
}

async fn journal_with(dir: &Path, turns: u64) -> SqliteJournal {
    let journal = SqliteJournal::open(dir).await.unwrap();
    for seq in 1..=turns {
        journal.append(&turn(seq)).await.unwrap();
    }
    journal
}

/// Inputs have no equality (catalogs carry lookups), so their text stands for them.
fn told(turns: &[Turn]) -> Vec<String> {
    turns.iter().map(|turn| format!("{} {:?} {:?}", turn.seq, turn.at, turn.inputs)).collect()
}

async fn sql(path: &Path, statement: &'static str) {
    use sqlx::Connection;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn every_kind_of_input_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let written = Turn { seq: 1, at: Timestamp::from_secs(5), inputs: one_of_each() };
    {
        let journal = SqliteJournal::open(dir.path()).await.unwrap();
        journal.append(&written).await.unwrap();
        journal.close().await;
    }
    let journal = SqliteJournal::open(dir.path()).await.unwrap();
    let read = journal.read(0, 10).await.unwrap();
    // Debug of a HashMap is unordered, so the catalog is compared by its bytes and its lookups by use.
    let (Input::Catalog(was), Input::Catalog(is)) = (&written.inputs[0], &read[0].inputs[0]) else {
        panic!("the first input is no catalog: {:?}", read[0].inputs)
    };
    assert_eq!(codec::encode_catalog(was).unwrap(), codec::encode_catalog(is).unwrap());
    assert_eq!(is.host_id("host1"), Some(HostId(1)));
    assert_eq!(is.index.children[0], vec![HostId(1)]);
    let rest = |turn: &Turn| format!("{:?}", &turn.inputs[1..]);
    assert_eq!(rest(&read[0]), rest(&written));
    assert_eq!(journal.newest().await.unwrap(), 1);
}

#[tokio::test]
async fn a_catalog_is_stored_once_however_often_it_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(dir.path()).await.unwrap();
    let big = Arc::new(catalog(2000));
    for seq in 1..=20 {
        let inputs = vec![Input::Catalog(Arc::clone(&big))];
        journal.append(&Turn { seq, at: Timestamp::from_secs(1), inputs }).await.unwrap();
    }
    let body = codec::encode_catalog(&big).unwrap().len() as u64;
    let size = journal.bytes().await.unwrap();
    assert!(size < 2 * body + 100_000, "20 loads of a catalog of {body} bytes take {size}");
    let read = journal.read(0, 100).await.unwrap();
    assert_eq!(read.len(), 20);
}

#[tokio::test]
async fn turns_come_back_in_order_and_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal_with(dir.path(), 7).await;
    let written: Vec<Turn> = (1..=7).map(turn).collect();
    let mut read = Vec::new();
    loop {
        let page = journal.read(read.last().map_or(0, |turn: &Turn| turn.seq), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(told(&read), told(&written));
}

#[tokio::test]
async fn a_turn_out_of_order_is_refused_and_a_repeated_one_is_taken_as_done() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal_with(dir.path(), 3).await;
    journal.append(&turn(3)).await.expect("the same turn again: its first answer may have been lost");
    for seq in [1, 2, 5] {
        let error = journal.append(&turn(seq)).await.unwrap_err();
        match error.cause.downcast_ref::<JournalTrouble>() {
            Some(JournalTrouble::OutOfOrder { newest: 3, .. }) => {}
            other => panic!("turn {seq} gave {other:?}"),
        }
    }
    let other = Turn { inputs: vec![Input::Tick, Input::Tick], ..turn(3) };
    journal.append(&other).await.expect_err("another turn under a known number");
    assert_eq!(journal.newest().await.unwrap(), 3);
}

#[tokio::test]
async fn a_journal_that_was_lost_goes_on_at_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal_with(dir.path(), 3).await;
    journal.append(&turn(501)).await.expect_err("turns between are missing");
    journal.clear().await.unwrap();
    assert_eq!(journal.newest().await.unwrap(), 0);
    journal.append(&turn(501)).await.unwrap();
    journal.append(&turn(502)).await.unwrap();
    assert_eq!(journal.read(500, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_damaged_row_is_named_and_rows_before_it_are_readable() {
    for (statement, what) in [
        ("UPDATE turn SET batch = x'0102' WHERE seq = 4", "a changed batch"),
        ("UPDATE turn SET at = at + 1 WHERE seq = 4", "a changed time"),
        ("UPDATE turn SET checksum = x'' WHERE seq = 4", "a lost checksum"),
        ("DELETE FROM turn WHERE seq = 4", "a lost row"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        journal_with(dir.path(), 6).await.close().await;
        sql(&dir.path().join(JOURNAL_FILE), statement).await;
        let journal = SqliteJournal::open(dir.path()).await.unwrap();
        assert_eq!(journal.read(0, 3).await.unwrap().len(), 3, "{what}");
        let error = journal.read(2, 10).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Damaged, "{what}: {:?}", error);
        assert!(error.cause.to_string().contains("turn 4"), "{what}: {}", error.cause);
    }
}

#[tokio::test]
async fn a_damaged_catalog_is_named_with_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(dir.path()).await.unwrap();
    journal.append(&Turn { seq: 1, at: Timestamp::ZERO, inputs: one_of_each() }).await.unwrap();
    journal.close().await;
    drop(journal);
    sql(&dir.path().join(JOURNAL_FILE), "UPDATE catalog SET body = x'01ff'").await;
    let journal = SqliteJournal::open(dir.path()).await.unwrap();
    let error = journal.read(0, 1).await.unwrap_err();
    assert!(error.cause.to_string().contains("turn 1 is damaged: its catalog"), "{}", error.cause);
}

#[tokio::test]
async fn a_torn_tail_loses_nothing_that_was_acknowledged_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal_with(dir.path(), 5).await;
    let wal = |dir: &Path| dir.join(format!("{JOURNAL_FILE}-wal"));
    // A copy taken while the journal is open is what a loss of power leaves: database file and WAL.
    let copy = tempfile::tempdir().unwrap();
    let whole = std::fs::metadata(wal(dir.path())).unwrap().len();
    journal.append(&turn(6)).await.unwrap();
    std::fs::copy(dir.path().join(JOURNAL_FILE), copy.path().join(JOURNAL_FILE)).unwrap();
    std::fs::copy(wal(dir.path()), wal(copy.path())).unwrap();
    let torn = std::fs::metadata(wal(copy.path())).unwrap().len() - 100;
    assert!(torn > whole, "turn 6 must be cut in its middle");
    std::fs::File::options().write(true).open(wal(copy.path())).unwrap().set_len(torn).unwrap();

    let after = SqliteJournal::open(copy.path()).await.unwrap();
    assert_eq!(after.newest().await.unwrap(), 5);
    after.append(&turn(6)).await.unwrap();
    assert_eq!(told(&after.read(0, 10).await.unwrap()), told(&journal.read(0, 10).await.unwrap()));
}

#[tokio::test]
async fn readers_do_not_wait_for_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal_with(dir.path(), 3).await;
    let path = dir.path().join(JOURNAL_FILE);
    use sqlx::Connection;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut rival = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE; DELETE FROM turn").execute(&mut rival).await.unwrap();
    assert_eq!(journal.read(0, 10).await.unwrap().len(), 3, "an open write transaction is not seen");
    assert_eq!(SqliteJournal::open_read_only(dir.path()).await.unwrap().newest().await.unwrap(), 3);
    sqlx::raw_sql("ROLLBACK").execute(&mut rival).await.unwrap();
}

#[tokio::test]
async fn pruning_keeps_the_newest_turn_and_the_catalogs_still_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(dir.path()).await.unwrap();
    for seq in 1..=1200 {
        let mut turn = turn(seq);
        if seq % 400 == 0 {
            turn.inputs.push(Input::Catalog(Arc::new(catalog(seq as usize / 400))));
        }
        journal.append(&turn).await.unwrap();
    }
    assert_eq!(journal.prune(1100, turn(1051).at).await.unwrap(), 1050, "both limits hold");
    let rest = journal.read(0, 2000).await.unwrap();
    assert_eq!(rest.first().map(|turn| turn.seq), Some(1051));
    assert_eq!(rest.len(), 150);
    let error = journal.read(900, 10).await.unwrap_err();
    assert!(error.cause.to_string().contains("turn 901 is missing"), "{}", error.cause);

    assert_eq!(journal.prune(u64::MAX >> 1, Timestamp::from_secs(9_000_000_000)).await.unwrap(), 149);
    assert_eq!(journal.newest().await.unwrap(), 1200);
    journal.append(&turn(1201)).await.unwrap();
    assert_eq!(journal.read(1199, 10).await.unwrap().len(), 2, "turn 1200 still finds its catalog");
}

#[tokio::test]
async fn trouble_at_the_door_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("not/yet/there");
    let first = SqliteJournal::open(&deep).await.expect("a missing directory is made");
    let second = SqliteJournal::open(&deep).await.unwrap_err();
    assert_eq!(second.fault(), Fault::Locked, "{second:?}");
    first.close().await;
    drop(first);

    sql(&deep.join(JOURNAL_FILE), "INSERT INTO _sqlx_migrations VALUES (99, 'later', 0, 1, x'00', 0)").await;
    let newer = SqliteJournal::open(&deep).await.unwrap_err();
    assert_eq!(newer.fault(), Fault::WrongSchema);
    assert!(newer.cause.to_string().contains("version 99"), "{}", newer.cause);

    let garbage = tempfile::tempdir().unwrap();
    std::fs::write(garbage.path().join(JOURNAL_FILE), vec![0x55; 8192]).unwrap();
    assert_eq!(SqliteJournal::open(garbage.path()).await.unwrap_err().fault(), Fault::Damaged);

    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    assert_eq!(SqliteJournal::open(&file.join("state")).await.unwrap_err().fault(), Fault::Unavailable);

    let nothing = tempfile::tempdir().unwrap();
    let absent = SqliteJournal::open_read_only(nothing.path()).await.unwrap_err();
    assert_eq!(absent.fault(), Fault::Unavailable, "{absent:?}");
}

#[tokio::test]
async fn a_full_disk_is_told_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal_with(dir.path(), 1).await;
    // SQLite's own limit stands for the disk: the same SQLITE_FULL, without a file system of the test's own.
    sqlx::query("PRAGMA max_page_count = 1").execute(&journal.file().writer).await.unwrap();
    let big = Turn { seq: 2, at: Timestamp::ZERO, inputs: vec![result(1, &"x".repeat(100_000))] };
    let error = journal.append(&big).await.unwrap_err();
    assert_eq!(error.fault(), Fault::DiskFull, "{error:?}");
    let mut reload = big.clone();
    reload.inputs = vec![Input::Catalog(Arc::new(catalog(2000)))];
    let error = journal.append(&reload).await.unwrap_err();
    assert_eq!(error.fault(), Fault::DiskFull, "{error:?}");
    sqlx::query("PRAGMA max_page_count = 1000000").execute(&journal.file().writer).await.unwrap();
    journal.append(&reload).await.expect("room was made");
    assert_eq!(journal.newest().await.unwrap(), 2);
}

#[tokio::test]
async fn a_copy_holds_the_same_turns() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal_with(dir.path(), 5).await;
    let copy = tempfile::tempdir().unwrap();
    journal.backup(&copy.path().join(JOURNAL_FILE)).await.unwrap();
    let read = SqliteJournal::open(copy.path()).await.unwrap().read(0, 10).await.unwrap();
    assert_eq!(told(&read), told(&journal.read(0, 10).await.unwrap()));
}

#[tokio::test]
async fn the_bench_reads_back_what_it_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let figures = super::bench::run(dir.path()).await.unwrap();
    assert!(figures.iter().all(|figure| figure.turns_per_second > 0.0 && figure.read_inputs_per_second > 0.0));
}

#[test]
fn the_layout_of_format_5_is_frozen() {
    let inputs = &one_of_each()[1..];
    let batch = codec::encode(inputs).unwrap().batch;
    assert_eq!(codec::FORMAT, 5, "write a golden for the new format beside this one");
    assert_eq!(
        codec::hex(&batch),
        GOLDEN,
        "the layout of Input changed: old journals would be misread. Raise codec::FORMAT and keep a reader for 5"
    );
    let mut older = batch;
    older[0] = 4;
    let refused = codec::decode(&older, &BTreeMap::new());
    assert!(matches!(refused, Err(codec::CodecError::Format(4))), "an older layout is refused, never misread");
}

const GOLDEN: &str = "050501010107e4d6b7bdbf68000102184449534b20435249544943414c202d20332025206672656\
50002066e6573746564040202000000000000f83f0200000000000000c004706f7274030772656675736564010474696d65010000000000\
00d03f0173000000000050c41301020405686f73743001066469736b202f00000000d00fa01f046d6172610366616e000103632d3101031\
b742f494e432d312f70726f626c656d2f312f6e6f632f656d61696c01036e6f6305656d61696c000006323530206f6b010405686f737430\
0162ffffffffffffffffff010105";

#[test]
fn an_unchanged_result_is_small() {
    let input = Input::Result(CheckResult {
        object: ObjectId::Service(ServiceId(90_000)),
        observed_at: Timestamp::from_millis(1_795_226_531_250),
        source: ResultSource::Active,
        observation: Arc::new(Observation::observed("")),
        id: None,
        took: Took::default(),
    });
    let bytes = codec::encode(&vec![input; 1024]).unwrap().batch.len() / 1024;
    assert!(bytes <= 24, "{bytes} bytes beside the text");
}

proptest! {
    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = codec::decode(&bytes, &BTreeMap::new());
        let mut known = vec![codec::FORMAT];
        known.extend(&bytes);
        let _ = codec::decode(&known, &BTreeMap::new());
    }

    #[test]
    fn a_flipped_bit_is_found(at in 0usize..10_000, bit in 0u8..8) {
        let mut batch = codec::encode(&one_of_each()).unwrap().batch;
        let time = Timestamp::from_secs(1);
        let sum = checksum(1, time, &batch);
        let at = at % batch.len();
        batch[at] ^= 1 << bit;
        prop_assert_ne!(checksum(1, time, &batch), sum);
        let _ = codec::decode(&batch, &BTreeMap::new());
    }
}

#[test]
fn every_truncation_is_refused() {
    let encoded = codec::encode(&one_of_each()).unwrap();
    let catalogs: BTreeMap<_, _> =
        encoded.catalogs.iter().map(|(hash, body)| (*hash, Arc::new(codec::decode_catalog(body).unwrap()))).collect();
    codec::decode(&encoded.batch, &catalogs).unwrap();
    for end in 0..encoded.batch.len() {
        assert!(codec::decode(&encoded.batch[..end], &catalogs).is_err(), "cut at {end}");
    }
    for body in encoded.catalogs.values() {
        for end in 0..body.len() {
            assert!(codec::decode_catalog(&body[..end]).is_err(), "catalog cut at {end}");
        }
    }
}
