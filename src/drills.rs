//! The file of drills: what recoveries were tried, one record a line, appended and never changed.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use stentor_core::Timestamp;
use stentor_wire::drill::{Drill, Records};

/// A name or note that is longer belongs in a ticket.
const TEXT_BYTES_MAX: usize = 4096;
/// A recovery that took longer, or lost more, is a mistake of units.
const LENGTH_MAX_S: u64 = 366 * 86_400;

/// A file of records, there or not yet.
#[derive(Clone, Debug)]
pub struct Book {
    path: PathBuf,
}

impl Book {
    pub fn new(path: impl Into<PathBuf>) -> Book {
        Book { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every record; none where nobody has written any yet.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(&self) -> io::Result<Records> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Records::parse(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Records::default()),
            Err(error) => Err(error),
        }
    }

    /// Adds a record, on the disk before anybody is told so; one that stands there already is left alone. A line that a
    /// crash tore off is ended first.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn append(&self, drill: &Drill) -> io::Result<()> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        if Records::parse(&String::from_utf8_lossy(&bytes)).drills.contains(drill) {
            return Ok(());
        }
        let torn = bytes.last().is_some_and(|last| *last != b'\n');
        let text = if torn { format!("\n{}", drill.line()) } else { drill.line() };
        let mut opened = OpenOptions::new().create(true).append(true).open(&self.path)?;
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    }
}

/// Why a record cannot be one.
///
/// # Errors
/// In words for whoever wanted to keep it.
pub fn refuse(drill: &Drill, now: Timestamp) -> Result<(), String> {
    let at = Timestamp::from_secs(drill.at_s);
    if at > now {
        return Err(format!("{} has not come yet", at.to_rfc3339()));
    }
    if drill.by.trim().is_empty() {
        return Err("it needs the name of who did it".to_owned());
    }
    if drill.by.len() > TEXT_BYTES_MAX || drill.note.len() > TEXT_BYTES_MAX {
        return Err(format!("a name or note has at most {TEXT_BYTES_MAX} bytes"));
    }
    if [drill.rto_s, drill.rpo_s].into_iter().flatten().any(|seconds| seconds > LENGTH_MAX_S) {
        return Err("a recovery of more than a year is a mistake of units: times are in seconds".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill(at_s: i64) -> Drill {
        let (of, by) = ("eucalyptus/clc/server".into(), "anna".into());
        Drill { of, at_s, by, passed: true, rto_s: Some(720), rpo_s: None, note: String::new() }
    }

    #[test]
    fn a_record_is_kept_once_and_after_a_torn_line() {
        let folder = tempfile::tempdir().expect("folder");
        let book = Book::new(folder.path().join("drills.jsonl"));
        assert_eq!(book.read().expect("nothing yet"), Records::default());
        book.append(&drill(1)).expect("kept");
        OpenOptions::new().append(true).open(book.path()).expect("there").write_all(b"{\"of\":").expect("torn");
        book.append(&drill(1)).expect("there already");
        book.append(&drill(2)).expect("kept");
        let read = book.read().expect("read");
        assert_eq!((read.drills, read.broken), (vec![drill(1), drill(2)], 1));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let now = Timestamp::from_secs(100);
        assert_eq!(refuse(&drill(100), now), Ok(()));
        for (bad, why) in [
            (drill(101), "not come yet"),
            (Drill { by: " ".into(), ..drill(1) }, "name"),
            (Drill { note: "x".repeat(5000), ..drill(1) }, "bytes"),
            (Drill { rto_s: Some(u64::MAX), ..drill(1) }, "units"),
        ] {
            assert!(refuse(&bad, now).expect_err(why).contains(why), "{bad:?}");
        }
    }
}
