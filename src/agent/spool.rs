//! Results that wait for the hub: in order, bounded in bytes, the oldest dropped first and counted; on disk, where there is a
//! folder for them.
//!
//! A result is written (not yet synced) before it is sent, so the end of the agent, however it ends, loses none. While results
//! wait, files are synced every [`SYNC_EVERY`]: a power cut costs what was seen since. Trouble with the disk is told once;
//! what cannot be written waits in memory, within the same bound.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::segment::{self, MAGIC, Record};

/// Results of one push: with outputs of full length it stays below the hub's limit of 8 MiB.
pub const BATCH_MAX: usize = 100;
/// Bytes of one push.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// While results wait: how much a power cut may cost.
pub const SYNC_EVERY: Duration = Duration::from_secs(5);
/// A spool has at least this many files, so that dropping the oldest does not drop everything.
const SEGMENTS_MIN: u64 = 8;
const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;
const SEGMENT_BYTES_MIN: u64 = 16 * 1024;
const EXTENSION: &str = "spool";

/// Where results wait, and how many bytes of them at most.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// `None` = in memory: they end with the agent.
    pub folder: Option<PathBuf>,
    pub bytes_max: u64,
}

/// The spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("cannot use the spool folder `{path}`: {cause}")]
    Io {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("another agent uses the spool folder `{path}`")]
    Held { path: PathBuf },
}

/// One result that waits.
#[derive(Debug)]
struct Entry {
    number: u64,
    sequence: u64,
    boot: Arc<str>,
    bytes: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Box<[u8]>),
    Disk { segment: u64, offset: u64, length: usize },
}

/// Results of one boot that go to the hub together.
#[derive(Debug)]
pub struct Batch {
    pub boot: Arc<str>,
    /// Of the newest.
    pub sequence: u64,
    /// To be told to [`Spool::taken`].
    pub number: u64,
    /// Each as JSON.
    pub results: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub struct Spool {
    waiting: VecDeque<Entry>,
    bytes_max: u64,
    memory_bytes: u64,
    /// Of the next entry.
    number: u64,
    dropped: u64,
    disk: Option<Disk>,
}

#[derive(Debug)]
struct Disk {
    folder: PathBuf,
    /// Files by their numbers with their sizes; the newest is the one that is written.
    segments: BTreeMap<u64, u64>,
    current: File,
    segment_bytes_max: u64,
    synced_at: Instant,
    is_dirty: bool,
    is_failing: bool,
    _lock: File,
}

impl Spool {
    /// Opens the spool and takes up what an earlier agent left there.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(config: &SpoolConfig) -> Result<Spool, SpoolError> {
        let bytes_max = config.bytes_max.max(SEGMENT_BYTES_MIN * SEGMENTS_MIN);
        let mut spool =
            Spool { waiting: VecDeque::new(), bytes_max, memory_bytes: 0, number: 1, dropped: 0, disk: None };
        if let Some(folder) = &config.folder {
            let trouble = |cause| SpoolError::Io { path: folder.clone(), cause };
            std::fs::create_dir_all(folder).map_err(trouble)?;
            let lock = private().open(folder.join("lock")).map_err(trouble)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(SpoolError::Held { path: folder.clone() }),
                Err(TryLockError::Error(cause)) => return Err(trouble(cause)),
            }
            spool.take_up(folder, lock).map_err(trouble)?;
        }
        Ok(spool)
    }

    fn take_up(&mut self, folder: &Path, lock: File) -> io::Result<()> {
        let mut segments = BTreeMap::new();
        let (mut taken, mut torn_bytes) = (0, 0);
        for number in segment_numbers(folder)? {
            let bytes = std::fs::read(file_of(folder, number))?;
            let (records, torn) = segment::scan(&bytes);
            torn_bytes += torn;
            for (offset, length, record) in records {
                match record {
                    Record::Taken { number } => taken = taken.max(number),
                    Record::Result { number: of, sequence, boot, .. } => {
                        let place = Place::Disk { segment: number, offset: offset as u64, length };
                        let boot = self
                            .waiting
                            .back()
                            .map(|last| Arc::clone(&last.boot))
                            .filter(|last| **last == *boot)
                            .unwrap_or_else(|| boot.into());
                        self.waiting.push_back(Entry { number: of, sequence, boot, bytes: length as u64, place });
                        self.number = self.number.max(of + 1);
                    }
                }
            }
            segments.insert(number, bytes.len() as u64);
        }
        self.number = self.number.max(taken + 1);
        self.waiting.retain(|entry| entry.number > taken);
        let next = segments.keys().next_back().map_or(1, |newest| newest + 1);
        if torn_bytes > 0 {
            warn!(bytes = torn_bytes, "the end of the spool was torn and is left out");
        }
        if !self.waiting.is_empty() {
            info!(results = self.waiting.len(), "results of an earlier start wait for the hub");
        }
        let current = begin_segment(folder, next)?;
        segments.insert(next, MAGIC.len() as u64);
        let segment_bytes_max = (self.bytes_max / SEGMENTS_MIN).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let folder = folder.to_owned();
        let (synced_at, is_dirty, is_failing) = (Instant::now(), false, false);
        self.disk =
            Some(Disk { folder, segments, current, segment_bytes_max, synced_at, is_dirty, is_failing, _lock: lock });
        self.drop_empty_segments();
        Ok(())
    }

    /// Keeps a result; the oldest make room for it where there is none.
    pub fn add(&mut self, boot: &Arc<str>, sequence: u64, json: &[u8]) {
        let number = self.number;
        self.number += 1;
        let record = segment::encode(&Record::Result { number, sequence, boot, json });
        let bytes = record.len() as u64;
        let place = match self.append(&record) {
            Some((segment, offset)) => Place::Disk { segment, offset, length: record.len() },
            None => {
                self.memory_bytes += bytes;
                Place::Memory(json.into())
            }
        };
        self.waiting.push_back(Entry { number, sequence, boot: Arc::clone(boot), bytes, place });
        self.make_room();
    }

    /// Appends to the newest file; `None` if there is no disk, or it does not work.
    fn append(&mut self, record: &[u8]) -> Option<(u64, u64)> {
        let disk = self.disk.as_mut()?;
        match disk.append(record) {
            Ok(place) => {
                if disk.is_failing {
                    info!("the spool can be written again");
                }
                disk.is_failing = false;
                Some(place)
            }
            Err(error) => {
                if !disk.is_failing {
                    warn!(error = %error, "the spool cannot be written: results wait in memory");
                }
                disk.is_failing = true;
                None
            }
        }
    }

    fn make_room(&mut self) {
        while self.memory_bytes > self.bytes_max {
            self.drop_oldest();
        }
        while let Some(disk) = &self.disk
            && disk.bytes() > self.bytes_max
            && disk.segments.len() > 1
        {
            let Some(oldest) = disk.segments.keys().next().copied() else { return };
            while self.waiting.front().is_some_and(|entry| entry.is_in_or_before(oldest)) {
                self.drop_oldest();
            }
            self.remove_segment(oldest);
        }
    }

    fn drop_oldest(&mut self) {
        let Some(entry) = self.waiting.pop_front() else { return };
        if matches!(entry.place, Place::Memory(_)) {
            self.memory_bytes = self.memory_bytes.saturating_sub(entry.bytes);
        }
        if self.dropped == 0 {
            warn!("the spool is full: the oldest results are dropped");
        }
        self.dropped += 1;
    }

    /// The oldest results of one boot, at most a batch; `None` if none waits. They stay until they are taken.
    pub fn batch(&mut self) -> Option<Batch> {
        loop {
            let boot = Arc::clone(&self.waiting.front()?.boot);
            let mut batch = Batch { boot, sequence: 0, number: 0, results: Vec::new() };
            let mut bytes = 0;
            let mut lost = None;
            for entry in self.waiting.iter().take(BATCH_MAX).take_while(|entry| entry.boot == batch.boot) {
                let Some(json) = self.json(entry) else {
                    lost = Some(entry.number);
                    break;
                };
                bytes += json.len();
                if bytes > BATCH_BYTES_MAX && !batch.results.is_empty() {
                    break;
                }
                batch.results.push(json);
                (batch.sequence, batch.number) = (entry.sequence, entry.number);
            }
            if !batch.results.is_empty() {
                return Some(batch);
            }
            // The first one cannot be read back.
            let number = lost?;
            warn!(number, "a result in the spool cannot be read and is dropped");
            self.drop_oldest();
        }
    }

    fn json(&self, entry: &Entry) -> Option<Vec<u8>> {
        match &entry.place {
            Place::Memory(json) => Some(json.to_vec()),
            Place::Disk { segment, offset, length } => {
                let mut bytes = vec![0; *length];
                let file = File::open(file_of(&self.disk.as_ref()?.folder, *segment)).ok()?;
                file.read_exact_at(&mut bytes, *offset).ok()?;
                match segment::decode(&bytes)? {
                    (Record::Result { number, json, .. }, _) if number == entry.number => Some(json.to_vec()),
                    _ => None,
                }
            }
        }
    }

    /// The hub has every result up to this number.
    pub fn taken(&mut self, number: u64) {
        while self.waiting.front().is_some_and(|entry| entry.number <= number) {
            if let Some(entry) = self.waiting.pop_front()
                && matches!(entry.place, Place::Memory(_))
            {
                self.memory_bytes = self.memory_bytes.saturating_sub(entry.bytes);
            }
        }
        if self.disk.is_some() {
            let _ = self.append(&segment::encode(&Record::Taken { number }));
            self.drop_empty_segments();
        }
    }

    /// Removes files that hold nothing which waits, and begins a new one in place of one that was filled and emptied.
    fn drop_empty_segments(&mut self) {
        let first = self.waiting.iter().find_map(|entry| match entry.place {
            Place::Disk { segment, .. } => Some(segment),
            Place::Memory(_) => None,
        });
        let Some(disk) = &mut self.disk else { return };
        let newest = disk.newest();
        if first.is_none() && disk.segments.get(&newest).is_some_and(|bytes| *bytes > disk.segment_bytes_max / 2) {
            // Where a new one cannot be begun, the old one is as good.
            let _ = disk.rotate();
        }
        let keep = first.unwrap_or(u64::MAX).min(disk.newest());
        let old: Vec<u64> = disk.segments.range(..keep).map(|(number, _)| *number).collect();
        for number in old {
            self.remove_segment(number);
        }
    }

    fn remove_segment(&mut self, number: u64) {
        let Some(disk) = &mut self.disk else { return };
        disk.segments.remove(&number);
        if let Err(error) = std::fs::remove_file(file_of(&disk.folder, number)) {
            warn!(error = %error, "a file of the spool cannot be removed");
        }
    }

    /// Syncs what was written, if it is time and something waits.
    pub fn sync_if_due(&mut self) {
        let waits = !self.waiting.is_empty();
        if let Some(disk) = &mut self.disk
            && waits
            && disk.is_dirty
            && disk.synced_at.elapsed() >= SYNC_EVERY
        {
            disk.sync();
        }
    }

    /// Syncs what was written: the agent stops.
    pub fn close(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.sync();
        }
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Entry {
    fn is_in_or_before(&self, number: u64) -> bool {
        match self.place {
            Place::Disk { segment, .. } => segment <= number,
            Place::Memory(_) => true,
        }
    }
}

impl Disk {
    fn bytes(&self) -> u64 {
        self.segments.values().sum()
    }

    fn newest(&self) -> u64 {
        self.segments.keys().next_back().copied().unwrap_or(0)
    }

    fn append(&mut self, record: &[u8]) -> io::Result<(u64, u64)> {
        let mut newest = self.newest();
        if self.segments.get(&newest).is_some_and(|bytes| *bytes >= self.segment_bytes_max) {
            newest = self.rotate()?;
        }
        if let Err(error) = self.current.write_all(record) {
            // What was written of it is a torn end, behind which nothing may stand.
            self.rotate()?;
            return Err(error);
        }
        let size = self.segments.entry(newest).or_insert(0);
        let offset = *size;
        *size += record.len() as u64;
        self.is_dirty = true;
        Ok((newest, offset))
    }

    fn rotate(&mut self) -> io::Result<u64> {
        let next = self.newest() + 1;
        let fresh = begin_segment(&self.folder, next)?;
        self.sync();
        self.current = fresh;
        self.segments.insert(next, MAGIC.len() as u64);
        Ok(next)
    }

    fn sync(&mut self) {
        if let Err(error) = self.current.sync_data() {
            warn!(error = %error, "the spool cannot be synced");
        }
        self.is_dirty = false;
        self.synced_at = Instant::now();
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    // What checks saw may not be for everybody on the host.
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn begin_segment(folder: &Path, number: u64) -> io::Result<File> {
    let mut file = private().create_new(true).open(file_of(folder, number))?;
    file.write_all(MAGIC)?;
    Ok(file)
}

fn file_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.{EXTENSION}"))
}

/// Numbers of the files of a spool, the oldest first.
fn segment_numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION)
            && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests;
