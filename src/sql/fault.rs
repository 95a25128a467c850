//! Kinds of trouble a database can be in, so that the writer knows whether to degrade, wait or give up.

use std::error::Error;
use std::io;

use super::{LockError, SqlTrouble};

/// What is wrong, in the few kinds that lead to different actions.
#[derive(Copy, Clone, Debug, Eq, Hash, PartialEq)]
pub enum Fault {
    /// No space left, or a quota or size limit was reached. Goes away when somebody makes room.
    DiskFull,
    /// The file or its file system may not be written.
    ReadOnly,
    /// The server or the file is not there, does not answer or lost the connection. Goes away by itself.
    Unavailable,
    /// Another process holds it.
    Locked,
    /// Bytes are not what was written.
    Damaged,
    /// Made by a newer program, or by another one.
    WrongSchema,
    /// User, password or rights.
    Refused,
    /// The call itself was wrong (a bug, or a row that cannot be).
    Other,
}

impl Fault {
    pub const fn as_str(self) -> &'static str {
        match self {
            Fault::DiskFull => "disk full",
            Fault::ReadOnly => "read-only",
            Fault::Unavailable => "unavailable",
            Fault::Locked => "locked by another process",
            Fault::Damaged => "damaged",
            Fault::WrongSchema => "wrong schema version",
            Fault::Refused => "access refused",
            Fault::Other => "internal error",
        }
    }

    /// What a person can do about a database that cannot be opened, to follow what is wrong.
    pub const fn remedy(self) -> &'static str {
        match self {
            Fault::DiskFull => "; make room on its disk",
            Fault::ReadOnly | Fault::Refused => "; the user that runs Stentor must be able to write there",
            Fault::Unavailable => "; it must be there, and the user that runs Stentor must be able to write there",
            Fault::Damaged => "; `stentor restore` puts a backup back",
            Fault::Locked | Fault::WrongSchema | Fault::Other => "",
        }
    }

    /// Whether the same operation may succeed later without anybody changing a program or a file.
    pub const fn may_pass(self) -> bool {
        match self {
            Fault::DiskFull | Fault::ReadOnly | Fault::Unavailable | Fault::Locked => true,
            Fault::Damaged | Fault::WrongSchema | Fault::Refused | Fault::Other => false,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Finds the kind of trouble anywhere in the chain of an error.
pub fn fault_of(error: &(dyn Error + 'static)) -> Fault {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = fault_here(error) {
            return fault;
        }
        next = error.source();
    }
    Fault::Other
}

fn fault_here(error: &(dyn Error + 'static)) -> Option<Fault> {
    if let Some(error) = error.downcast_ref::<sqlx::Error>() {
        return fault_of_sqlx(error);
    }
    if let Some(error) = error.downcast_ref::<SqlTrouble>() {
        return match error {
            SqlTrouble::Deadline => Some(Fault::Unavailable),
            SqlTrouble::NewerSchema { .. } | SqlTrouble::ForeignSchema { .. } => Some(Fault::WrongSchema),
            // The cause says more.
            SqlTrouble::Directory { .. } | SqlTrouble::Migration(_) => None,
        };
    }
    if let Some(error) = error.downcast_ref::<LockError>() {
        return match error {
            LockError::Held { .. } => Some(Fault::Locked),
            LockError::Io { .. } => None,
        };
    }
    error.downcast_ref::<io::Error>().and_then(fault_of_io)
}

fn fault_of_io(error: &io::Error) -> Option<Fault> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Some(Fault::DiskFull)
        }
        io::ErrorKind::ReadOnlyFilesystem => Some(Fault::ReadOnly),
        io::ErrorKind::PermissionDenied => Some(Fault::Refused),
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => Some(Fault::Unavailable),
        _ => None,
    }
}

fn fault_of_sqlx(error: &sqlx::Error) -> Option<Fault> {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code()?;
            if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                fault_of_sqlite(code.parse().ok()?)
            } else {
                fault_of_sqlstate(&code)
            }
        }
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Tls(_) => {
            Some(Fault::Unavailable)
        }
        sqlx::Error::Io(error) => Some(fault_of_io(error).unwrap_or(Fault::Unavailable)),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Some(Fault::Damaged),
        _ => None,
    }
}

/// <https://sqlite.org/rescode.html>: the low byte is the primary code, the rest says more.
fn fault_of_sqlite(extended: i32) -> Option<Fault> {
    const IOERR: i32 = 10;
    const IOERR_WRITE: i32 = IOERR | (3 << 8);
    const IOERR_FSYNC: i32 = IOERR | (4 << 8);
    const IOERR_TRUNCATE: i32 = IOERR | (6 << 8);
    const IOERR_SHMSIZE: i32 = IOERR | (19 << 8);
    match extended {
        // A full disk shows as SQLITE_FULL on the database and as a failed write or a failed growth of the
        // shared-memory file on the WAL: the action, make room, is the same.
        IOERR_WRITE | IOERR_FSYNC | IOERR_TRUNCATE | IOERR_SHMSIZE => return Some(Fault::DiskFull),
        _ => {}
    }
    match extended & 0xff {
        5 | 6 => Some(Fault::Locked),
        8 => Some(Fault::ReadOnly),
        IOERR | 14 => Some(Fault::Unavailable),
        11 | 26 => Some(Fault::Damaged),
        13 => Some(Fault::DiskFull),
        3 | 23 => Some(Fault::Refused),
        _ => None,
    }
}

/// PostgreSQL, appendix A: the first two characters are the class.
fn fault_of_sqlstate(code: &str) -> Option<Fault> {
    match code {
        "53100" => return Some(Fault::DiskFull),
        "25006" => return Some(Fault::ReadOnly),
        "55P03" | "40P01" | "40001" => return Some(Fault::Locked),
        // query_canceled comes from statement_timeout.
        "57014" => return Some(Fault::Unavailable),
        "42501" => return Some(Fault::Refused),
        "3D000" => return Some(Fault::Unavailable),
        _ => {}
    }
    match code.get(..2)? {
        "08" | "53" | "57" | "58" => Some(Fault::Unavailable),
        "28" => Some(Fault::Refused),
        "XX" => Some(Fault::Damaged),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_have_their_kind() {
        for (code, fault) in [
            (13, Some(Fault::DiskFull)),
            (778, Some(Fault::DiskFull)),
            (4874, Some(Fault::DiskFull)),
            (8, Some(Fault::ReadOnly)),
            (264, Some(Fault::ReadOnly)),
            (5, Some(Fault::Locked)),
            (517, Some(Fault::Locked)),
            (14, Some(Fault::Unavailable)),
            (266, Some(Fault::Unavailable)),
            (11, Some(Fault::Damaged)),
            (26, Some(Fault::Damaged)),
            (1, None),
        ] {
            assert_eq!(fault_of_sqlite(code), fault, "SQLite {code}");
        }
        for (code, fault) in [
            ("53100", Some(Fault::DiskFull)),
            ("25006", Some(Fault::ReadOnly)),
            ("57P01", Some(Fault::Unavailable)),
            ("08006", Some(Fault::Unavailable)),
            ("28P01", Some(Fault::Refused)),
            ("XX001", Some(Fault::Damaged)),
            ("23505", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(fault_of_sqlstate(code), fault, "PostgreSQL {code}");
        }
    }
}
