//! The spool through full disks, torn ends and restarts.

use super::*;

fn open(folder: Option<&Path>, bytes_max: u64) -> Spool {
    Spool::open(&SpoolConfig { folder: folder.map(Path::to_owned), bytes_max }).expect("opened")
}

fn fill(spool: &mut Spool, boot: &str, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        spool.add(&boot.into(), sequence, format!("{{\"n\":{sequence}}}").as_bytes());
    }
}

/// Takes everything; (boot, number in the result) in order.
fn drain(spool: &mut Spool) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    while let Some(batch) = spool.batch() {
        for json in &batch.results {
            let value: serde_json::Value = serde_json::from_slice(json).expect("JSON");
            all.push((batch.boot.to_string(), value["n"].as_u64().expect("number")));
        }
        assert_eq!(all.last().map(|(_, n)| *n), Some(batch.sequence));
        spool.taken(batch.number);
    }
    all
}

fn numbers(all: &[(String, u64)]) -> Vec<u64> {
    all.iter().map(|(_, n)| *n).collect()
}

#[test]
fn results_outlive_their_agent_in_order_and_those_taken_do_not_come_back() {
    let folder = tempfile::tempdir().expect("folder");
    let mut spool = open(Some(folder.path()), 1 << 20);
    fill(&mut spool, "first", 1..=250);
    let batch = spool.batch().expect("some wait");
    assert_eq!((batch.results.len(), batch.sequence), (BATCH_MAX, 100));
    spool.taken(batch.number);
    // Nothing is closed or synced: the process was killed.
    drop(spool);
    let mut spool = open(Some(folder.path()), 1 << 20);
    fill(&mut spool, "second", 1..=3);
    let batch = spool.batch().expect("some wait");
    assert_eq!((&*batch.boot, batch.sequence), ("first", 200), "boots are not mixed");
    let mut expected: Vec<(String, u64)> = (101..=250).map(|n| ("first".into(), n)).collect();
    expected.extend((1..=3).map(|n| ("second".into(), n)));
    assert_eq!(drain(&mut spool), expected);
    drop(spool);
    assert!(open(Some(folder.path()), 1 << 20).is_empty());
}

#[test]
fn a_full_spool_drops_its_oldest_counts_them_and_stays_within_its_bytes() {
    let folder = tempfile::tempdir().expect("folder");
    for folder in [None, Some(folder.path())] {
        let bytes_max = SEGMENT_BYTES_MIN * SEGMENTS_MIN;
        let mut spool = open(folder, bytes_max);
        fill(&mut spool, "b", 1..=10_000);
        let (kept, dropped) = (spool.len() as u64, spool.dropped());
        assert!(dropped > 0 && kept > 1000, "kept {kept}, dropped {dropped}");
        assert_eq!(kept + dropped, 10_000);
        if let Some(folder) = folder {
            let sizes = segment_numbers(folder).expect("listed").into_iter().map(|n| file_of(folder, n));
            let bytes: u64 = sizes.map(|path| path.metadata().expect("metadata").len()).sum();
            assert!(bytes <= bytes_max, "{bytes}");
        }
        assert_eq!(numbers(&drain(&mut spool)), (dropped + 1..=10_000).collect::<Vec<_>>());
    }
}

#[test]
fn a_torn_end_costs_only_what_was_torn_and_nothing_is_written_behind_it() {
    let folder = tempfile::tempdir().expect("folder");
    let mut spool = open(Some(folder.path()), 1 << 20);
    fill(&mut spool, "b", 1..=10);
    drop(spool);
    let newest = *segment_numbers(folder.path()).expect("listed").last().expect("a file");
    let path = file_of(folder.path(), newest);
    let bytes = std::fs::read(&path).expect("read");
    for cut in [1, 5, 20] {
        std::fs::write(&path, &bytes[..bytes.len() - cut]).expect("written");
        let mut spool = open(Some(folder.path()), 1 << 20);
        fill(&mut spool, "c", 1..=2);
        drop(spool);
        let mut spool = open(Some(folder.path()), 1 << 20);
        let all = drain(&mut spool);
        let mut expected: Vec<u64> = (1..=9).collect();
        expected.extend([1, 2]);
        assert_eq!(numbers(&all), expected, "cut {cut}");
        drop(spool);
        // As it was before.
        for number in segment_numbers(folder.path()).expect("listed") {
            std::fs::remove_file(file_of(folder.path(), number)).expect("removed");
        }
        std::fs::write(&path, &bytes).expect("written");
    }
}

#[test]
fn foreign_and_rotten_files_do_not_stop_it() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("README"), "x").expect("written");
    std::fs::write(file_of(folder.path(), 3), "not a spool").expect("written");
    let mut spool = open(Some(folder.path()), 1 << 20);
    assert!(spool.is_empty());
    fill(&mut spool, "b", 1..=2);
    assert_eq!(numbers(&drain(&mut spool)), [1, 2]);
}

#[test]
fn two_agents_do_not_share_a_folder() {
    let folder = tempfile::tempdir().expect("folder");
    let _first = open(Some(folder.path()), 1 << 20);
    let second = Spool::open(&SpoolConfig { folder: Some(folder.path().to_owned()), bytes_max: 1 << 20 });
    assert!(matches!(second, Err(SpoolError::Held { .. })), "{second:?}");
}

#[test]
fn a_healthy_spool_does_not_grow() {
    let folder = tempfile::tempdir().expect("folder");
    let mut spool = open(Some(folder.path()), SEGMENT_BYTES_MIN * SEGMENTS_MIN);
    for n in 1..=3000 {
        fill(&mut spool, "b", n..=n);
        assert_eq!(drain(&mut spool).len(), 1);
    }
    let files = segment_numbers(folder.path()).expect("listed");
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(file_of(folder.path(), files[0]).metadata().expect("metadata").len() <= SEGMENT_BYTES_MIN);
    assert_eq!(spool.dropped(), 0);
}

#[test]
fn files_of_a_spool_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let mut spool = open(Some(folder.path()), 1 << 20);
    fill(&mut spool, "b", 1..=1);
    for number in segment_numbers(folder.path()).expect("listed") {
        let mode = file_of(folder.path(), number).metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
}
