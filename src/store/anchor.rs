//! The anchor of the audit: number and hash of its newest record, kept outside the database. A chain does not tell by itself
//! that its end was cut off; a head that is behind its anchor does.
//!
//! A record is committed first, its anchor written after it. Between the two the anchor is behind, which is no finding; and a
//! record that is missing only because the journal's turn was not done yet comes back, with the same hash, before anybody asks.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use stentor_core::Timestamp;
use stentor_core::runbook::AuditEntry;

use super::audit::{Broken, Chain, LOST, hex, unhex};
use super::{Store, StoreError};

/// Beside the journal: in another file than the store, and on another machine than a store in PostgreSQL.
pub const ANCHOR_FILE: &str = "audit.anchor";
/// A number, a space, a hash; whatever is longer is none of ours.
const BYTES_MAX: u64 = 128;

#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    #[error("cannot read the anchor of the audit, `{path}`")]
    Read {
        path: String,
        #[source]
        cause: io::Error,
    },
    #[error("the anchor of the audit, `{path}`, is damaged: it is not the number and the hash of a record")]
    Damaged { path: String },
    #[error("cannot write the anchor of the audit, `{path}`")]
    Write {
        path: String,
        #[source]
        cause: io::Error,
    },
}

/// Where the anchor is.
#[derive(Clone, Debug)]
pub struct Anchor {
    path: PathBuf,
}

/// What becomes of the anchor when records were added.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It moves to the new head.
    Move,
    /// It stays: what is added was there before, and is being added again.
    Stay,
    /// It stays, since it tells what is missing.
    Tell(Broken),
}

/// `before` and `after` are the head before and after records were added.
fn next(anchored: Option<&Chain>, before: &Chain, after: &Chain) -> Next {
    let Some(anchored) = anchored else { return Next::Move };
    if before.newest > anchored.newest || before == anchored {
        return Next::Move;
    }
    // The end was behind the anchor, or is another one.
    if after.newest < anchored.newest || after == anchored {
        return Next::Stay;
    }
    let end = Broken::End { from: before.newest + 1, to: anchored.newest };
    Next::Tell(if before.newest < anchored.newest { end } else { Broken::Replaced { number: anchored.newest } })
}

impl Anchor {
    /// The one in the folder of the journal.
    pub fn in_folder(folder: &Path) -> Anchor {
        Anchor { path: folder.join(ANCHOR_FILE) }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// # Errors
    /// It cannot be read, or is damaged. `None` = there is none.
    pub async fn read(&self) -> Result<Option<Chain>, AnchorError> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            io::Read::read_to_string(&mut io::Read::take(fs::File::open(path)?, BYTES_MAX), &mut text).map(|_| text)
        });
        match read.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(text) => parse(&text).map(Some).ok_or_else(|| AnchorError::Damaged { path: self.name() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(AnchorError::Damaged { path: self.name() }),
            Err(cause) => Err(AnchorError::Read { path: self.name(), cause }),
        }
    }

    /// Keeps `head`; it is on the disk when this returns, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn keep(&self, head: &Chain) -> Result<(), AnchorError> {
        let (path, line) = (self.path.clone(), format!("{} {}\n", head.newest, hex(&head.hash)));
        let written = tokio::task::spawn_blocking(move || replace(&path, &line)).await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|cause| AnchorError::Write { path: self.name(), cause })
    }

    /// Follows the chain after records were added. What goes wrong is told in the log: the records are safe.
    pub(super) async fn follow(&self, before: &Chain, after: &Chain) {
        let anchored = match self.read().await {
            Ok(anchored) => anchored,
            Err(error) => return tell(&error),
        };
        match next(anchored.as_ref(), before, after) {
            Next::Stay => {}
            Next::Move => {
                if let Err(error) = self.keep(after).await {
                    tell(&error);
                }
            }
            Next::Tell(broken) => tracing::error!("the audit is not whole: {broken}"),
        }
    }
}

fn tell(error: &AnchorError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(cause, "{error}: if the end of the audit is cut off now, nothing tells");
}

fn parse(text: &str) -> Option<Chain> {
    let (number, hash) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(Chain { newest: number.parse().ok()?, hash: unhex(hash)? })
}

/// Written beside and renamed: a process that dies leaves the old one or the new one.
fn replace(path: &Path, line: &str) -> io::Result<()> {
    let fresh = path.with_extension("anchor.new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Looks at the end of the audit once the journal's turns are done again. Records that are missing are told in the log and
/// by a record of their own, so that the loss stays in the chain; then the anchor follows the chain as it is.
///
/// # Errors
/// The store cannot be read or written.
pub async fn look(store: &dyn Store, seq: u64, at: Timestamp) -> Result<Option<Broken>, StoreError> {
    let Some(anchor) = store.audit_anchor() else { return Ok(None) };
    let head = store.audit_head().await?;
    let anchored = match anchor.read().await {
        Ok(Some(anchored)) => anchored,
        Ok(None) => {
            if head.newest > 0 {
                tracing::warn!(
                    "the audit has no anchor: that its end is whole is known from record {} on",
                    head.newest
                );
            }
            keep(anchor, &head).await;
            return Ok(None);
        }
        Err(error) => {
            tell(&error);
            if matches!(error, AnchorError::Damaged { .. }) {
                keep(anchor, &head).await;
            }
            return Ok(None);
        }
    };
    let at_anchor = store.audit(anchored.newest.saturating_sub(1), 1).await?;
    let found = at_anchor.first().filter(|record| record.number == anchored.newest).map(|record| record.hash);
    let Err(broken) = head.reaches(&anchored, found) else {
        if head != anchored {
            keep(anchor, &head).await;
        }
        return Ok(None);
    };
    let newest = store.audit(head.newest.saturating_sub(1), 1).await?;
    // A process that died right after the record below did not come to move the anchor.
    let told = |entry: &AuditEntry| &*entry.action == LOST && entry.text.contains(&hex(&anchored.hash));
    if !newest.iter().any(|record| told(&record.entry)) {
        tracing::error!("the audit is not whole: {broken}");
        store.append_audit(seq, &[loss(at, &broken, &anchored)]).await?;
    }
    keep(anchor, &store.audit_head().await?).await;
    Ok(Some(broken))
}

async fn keep(anchor: &Anchor, head: &Chain) {
    if let Err(error) = anchor.keep(head).await {
        tell(&error);
    }
}

fn loss(at: Timestamp, broken: &Broken, anchored: &Chain) -> AuditEntry {
    AuditEntry {
        at,
        who: "stentor".into(),
        action: LOST.into(),
        run: None,
        incident: None,
        runbook: "".into(),
        step: None,
        target: "audit".into(),
        done: true,
        text: format!("{broken} (the anchor was record {}, {})", anchored.newest, hex(&anchored.hash)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::audit::tests::entry;
    use super::super::sqlite::SqliteStore;
    use super::*;

    fn head(newest: u64, byte: u8) -> Chain {
        Chain { newest, hash: [byte; 32] }
    }

    #[test]
    fn the_anchor_moves_with_the_chain_and_never_over_what_it_tells() {
        let end = |from, to| Next::Tell(Broken::End { from, to });
        let cases = [
            ("the first record", None, head(0, 0), head(1, 1), Next::Move),
            ("the next record", Some(head(1, 1)), head(1, 1), head(2, 2), Next::Move),
            ("killed after a record, before its anchor", Some(head(1, 1)), head(2, 2), head(3, 3), Next::Move),
            ("done again from the journal", Some(head(3, 3)), head(1, 1), head(2, 2), Next::Stay),
            ("done again up to the anchor", Some(head(3, 3)), head(2, 2), head(3, 3), Next::Stay),
            ("cut off, and something else came", Some(head(3, 3)), head(2, 2), head(3, 9), end(3, 3)),
            ("cut off, and more came than was there", Some(head(3, 3)), head(0, 0), head(5, 5), end(1, 3)),
            ("another end", Some(head(3, 3)), head(3, 9), head(4, 4), Next::Tell(Broken::Replaced { number: 3 })),
        ];
        for (what, anchored, before, after, expected) in cases {
            assert_eq!(next(anchored.as_ref(), &before, &after), expected, "{what}");
        }
    }

    #[tokio::test]
    async fn an_anchor_is_read_as_it_was_kept_and_anything_else_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let anchor = Anchor::in_folder(folder.path());
        assert_eq!(anchor.read().await.unwrap(), None);
        for head in [head(0, 0), head(43, 0xA5), head(u64::MAX, 0xFF)] {
            anchor.keep(&head).await.unwrap();
            assert_eq!(anchor.read().await.unwrap(), Some(head));
        }
        let good = fs::read_to_string(folder.path().join(ANCHOR_FILE)).unwrap();
        let torn: Vec<&[u8]> = (0..good.len()).map(|end| &good.as_bytes()[..end]).collect();
        for bad in torn.into_iter().chain([b"x y\n".as_slice(), b"\xff", &[b'1'; 4096]]) {
            fs::write(folder.path().join(ANCHOR_FILE), bad).unwrap();
            assert!(matches!(anchor.read().await, Err(AnchorError::Damaged { .. })), "{bad:?}");
        }
    }

    async fn open(folder: &Path) -> SqliteStore {
        SqliteStore::open(&folder.join("s.db")).await.unwrap().anchored(Anchor::in_folder(folder))
    }

    async fn add(store: &SqliteStore, seq: u64) {
        store.append_audit(seq, &[entry(&format!("turn {seq}"))]).await.unwrap();
    }

    /// What somebody does who has the file: the triggers are no hindrance.
    async fn cut_after(folder: &Path, number: i64) {
        let store = SqliteStore::open(&folder.join("s.db")).await.unwrap();
        sqlx::query("DROP TRIGGER IF EXISTS audit_is_not_shortened").execute(&store.writer).await.unwrap();
        let cut = sqlx::query("DELETE FROM audit WHERE number > $1").bind(number).execute(&store.writer).await.unwrap();
        assert!(cut.rows_affected() > 0);
        store.close().await;
    }

    async fn looked(folder: &Path, again: &[u64]) -> (Option<Broken>, Vec<String>) {
        let store = open(folder).await;
        for seq in again {
            add(&store, *seq).await;
        }
        let found = look(&store, 99, Timestamp::from_secs(1_795_000_100)).await.unwrap();
        let records = store.audit(0, 100).await.unwrap();
        let mut chain = Chain::default();
        records.iter().try_for_each(|record| chain.take(record)).unwrap();
        assert_eq!(store.audit_anchor().unwrap().read().await.unwrap(), Some(chain), "the anchor is at the head");
        store.close().await;
        let lost = records.iter().filter(|record| &*record.entry.action == LOST);
        (found, lost.map(|record| record.entry.text.to_string()).collect())
    }

    #[tokio::test]
    async fn an_end_that_was_cut_off_is_told_once_and_stays_in_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        for seq in 1..=6 {
            add(&store, seq).await;
        }
        store.close().await;
        assert_eq!(looked(folder.path(), &[]).await, (None, vec![]), "a whole chain");
        cut_after(folder.path(), 3).await;
        let (found, lost) = looked(folder.path(), &[]).await;
        assert_eq!(found, Some(Broken::End { from: 4, to: 6 }));
        assert!(lost.len() == 1 && lost[0].starts_with("records 4..6 are missing at the end"), "{lost:?}");
        assert_eq!(looked(folder.path(), &[]).await, (None, lost.clone()), "told, and not again");
        cut_after(folder.path(), 3).await;
        let (found, lost) = looked(folder.path(), &[]).await;
        assert_eq!((found, lost.len()), (Some(Broken::End { from: 4, to: 4 }), 1), "who cuts that off is told too");
    }

    #[tokio::test]
    async fn a_kill_between_record_and_anchor_is_no_finding() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        for seq in 1..=3 {
            add(&store, seq).await;
        }
        let anchor = store.audit_anchor().unwrap().clone();
        let before = anchor.read().await.unwrap().unwrap();
        add(&store, 4).await;
        let after = anchor.read().await.unwrap().unwrap();
        store.close().await;
        // The record is there, its anchor is not.
        anchor.keep(&before).await.unwrap();
        assert_eq!(looked(folder.path(), &[]).await, (None, vec![]));
        // The anchor is there, and the record comes back with its turn of the journal.
        anchor.keep(&after).await.unwrap();
        cut_after(folder.path(), 2).await;
        assert_eq!(looked(folder.path(), &[3, 4]).await, (None, vec![]));
        // Killed while the loss was being told: told once.
        cut_after(folder.path(), 2).await;
        let (_, lost) = looked(folder.path(), &[]).await;
        anchor.keep(&after).await.unwrap();
        assert_eq!(looked(folder.path(), &[]).await, (Some(Broken::End { from: 4, to: 4 }), lost));
    }
}
