//! The log of a controller in memory, read again and again while it is cleared, goes round, or has its clock set back.

use std::sync::{Arc, Mutex};

use stentor_wire::ipmi::command::{chassis, storage};
use stentor_wire::ipmi::{completion, netfn};
use tokio::time::Duration;

use super::*;
use crate::ipmi::scripted::{Heard, Scripted};

/// What the controller has in its log, and says about it.
#[derive(Clone, Default)]
struct Log {
    records: Vec<SelRecord>,
    last_erase: u32,
    has_overflowed: bool,
    free_bytes: u16,
    /// Minutes; absent where the command is unknown.
    utc_offset: Option<i16>,
}

type Shared = Arc<Mutex<Log>>;

fn answer(log: &Log, heard: &Heard<'_>) -> Vec<u8> {
    match (heard.netfn, heard.command) {
        (netfn::STORAGE, storage::SEL_UTC_OFFSET) => match log.utc_offset {
            Some(minutes) => [&[0][..], &minutes.to_le_bytes()].concat(),
            None => vec![completion::INVALID_COMMAND],
        },
        (netfn::STORAGE, storage::SEL_INFO) => {
            let mut data = vec![0, 0x51];
            data.extend((log.records.len() as u16).to_le_bytes());
            data.extend(log.free_bytes.to_le_bytes());
            // An addition without end: each poll looks.
            data.extend(log.records.iter().map(|record| u32::from(record.id)).sum::<u32>().to_le_bytes());
            data.extend(log.last_erase.to_le_bytes());
            data.push(if log.has_overflowed { 0x82 } else { 0x02 });
            data
        }
        (netfn::STORAGE, storage::SEL_GET) => {
            let &[_, _, low, high, ..] = heard.data else { return vec![completion::LENGTH_INVALID] };
            let wanted = u16::from_le_bytes([low, high]);
            let at = if wanted == FIRST_RECORD { Some(0) } else { log.records.iter().position(|r| r.id == wanted) };
            let Some(at) = at else { return vec![completion::NOT_PRESENT] };
            let next = log.records.get(at + 1).map_or(LAST_RECORD, |record| record.id);
            [&[0][..], &next.to_le_bytes(), &log.records[at].encode()].concat()
        }
        _ => vec![completion::INVALID_COMMAND],
    }
}

fn controller(log: &Shared) -> Scripted<impl FnMut(Heard<'_>) -> Option<Vec<u8>> + Send + use<>> {
    let log = Arc::clone(log);
    Scripted(move |heard: Heard<'_>| Some(answer(&log.lock().unwrap(), &heard)))
}

fn entry(id: u16, timestamp: u32) -> SelRecord {
    let event = SelEvent {
        timestamp,
        generator: 0x20,
        sensor_type: 8,
        sensor_number: 1,
        event_type: 0x6F,
        is_assertion: true,
        data: [1, 0xFF, 0xFF],
    };
    SelRecord { id, body: SelBody::Event(event) }
}

const NOON: u32 = 0x6900_0000;

async fn read(place: &mut EventLog, log: &Shared) -> LogNews {
    let deadline = Instant::now() + Duration::from_secs(60);
    place.refresh(&mut controller(log), &Repository::default(), deadline).await.unwrap()
}

fn ids(news: &LogNews) -> Vec<u16> {
    news.new.iter().map(|entry| entry.id).collect()
}

#[tokio::test]
async fn only_what_is_new_is_told_and_once() {
    let log = Shared::default();
    log.lock().unwrap().records = vec![entry(1, NOON), entry(2, NOON + 1)];
    let mut place = EventLog::default();
    let news = read(&mut place, &log).await;
    assert_eq!((ids(&news), news.is_history), (vec![1, 2], true));
    log.lock().unwrap().records.push(entry(3, NOON + 2));
    let news = read(&mut place, &log).await;
    assert_eq!((ids(&news), news.is_history, news.clock_stepped_back), (vec![3], false, false));
    assert_eq!(ids(&read(&mut place, &log).await), [0; 0]);
}

#[tokio::test]
async fn a_cleared_log_and_one_that_went_round_are_told_apart() {
    let log = Shared::default();
    log.lock().unwrap().records = (1..=4).map(|id| entry(id, NOON + u32::from(id))).collect();
    let mut place = EventLog::default();
    read(&mut place, &log).await;
    // As many entries as before, and ours is not among them: newer ones took their places.
    log.lock().unwrap().records = (5..=8).map(|id| entry(id, NOON + u32::from(id))).collect();
    let news = read(&mut place, &log).await;
    assert_eq!((news.was_overwritten, news.was_cleared, ids(&news)), (true, false, vec![5, 6, 7, 8]));
    // Fewer, and the controller keeps no time of erasures.
    log.lock().unwrap().records = vec![entry(1, NOON + 60)];
    let news = read(&mut place, &log).await;
    assert_eq!((news.was_overwritten, news.was_cleared, ids(&news)), (false, true, vec![1]));
    // The same id, another entry, another time of erasure.
    *log.lock().unwrap() = Log { records: vec![entry(1, NOON + 90)], last_erase: NOON + 80, ..Log::default() };
    let news = read(&mut place, &log).await;
    assert_eq!((news.was_overwritten, news.was_cleared, ids(&news)), (false, true, vec![1]));
    // Emptied.
    *log.lock().unwrap() = Log { last_erase: NOON + 99, ..Log::default() };
    let news = read(&mut place, &log).await;
    assert!(news.was_cleared && news.newest_serious.is_none());
}

#[tokio::test]
async fn a_clock_that_steps_back_is_told_and_loses_nothing() {
    let log = Shared::default();
    log.lock().unwrap().records = vec![entry(1, NOON)];
    let mut place = EventLog::default();
    read(&mut place, &log).await;
    log.lock().unwrap().records.extend([entry(2, NOON - 3600), entry(3, NOON - 3599), entry(4, 17)]);
    let news = read(&mut place, &log).await;
    assert_eq!((ids(&news), news.clock_stepped_back), (vec![2, 3, 4], true));
    assert_eq!(news.new[2].at, None, "seconds since the controller started are no date");
    log.lock().unwrap().records.push(entry(5, NOON));
    assert!(!read(&mut place, &log).await.clock_stepped_back, "told once");
}

#[tokio::test]
async fn times_are_utc_and_fullness_is_told() {
    let log = Shared::default();
    *log.lock().unwrap() = Log {
        records: vec![entry(1, NOON)],
        has_overflowed: true,
        free_bytes: 48,
        utc_offset: Some(60),
        ..Log::default()
    };
    let news = read(&mut EventLog::default(), &log).await;
    assert_eq!((news.new[0].at, news.has_overflowed, news.used_pct), (Some(NOON - 3600), true, 25.0));
    log.lock().unwrap().utc_offset = None;
    assert_eq!(read(&mut EventLog::default(), &log).await.new[0].at, Some(NOON));
    // Not a command of the log at all: nothing here depends on it.
    assert_eq!(answer(&Log::default(), &Heard { netfn: 0, command: chassis::STATUS, data: &[], behind: None }), [0xC1]);
}
