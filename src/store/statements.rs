//! Every statement of the store, in SQL that SQLite and PostgreSQL both speak; a test prepares each on both.

pub const OUTBOX_ADD: &str = "INSERT INTO outbox (key, thread, incident, contact, channel, reason, seq, ordinal, \
     created_at, due, attempts, outcome, answer, told, body) \
     VALUES ($1, COALESCE((SELECT thread FROM outbox WHERE incident = $2 AND contact = $3 AND channel = $4 \
     ORDER BY seq, ordinal LIMIT 1), $1), $2, $3, $4, $5, $6, $7, $8, $8, 0, 'pending', '', FALSE, $9) \
     ON CONFLICT (key) DO NOTHING";

pub const OUTBOX_DUE: &str = "SELECT key, thread, attempts, body FROM outbox AS o \
     WHERE outcome = 'pending' AND due <= $1 AND NOT EXISTS (SELECT 1 FROM outbox AS e \
     WHERE e.incident = o.incident AND e.contact = o.contact AND e.channel = o.channel AND e.outcome = 'pending' \
     AND (e.seq, e.ordinal) < (o.seq, o.ordinal)) ORDER BY seq, ordinal LIMIT $2";

pub const OUTBOX_DUE_ON: &str = "SELECT key, thread, attempts, body FROM outbox AS o \
     WHERE channel = $3 AND outcome = 'pending' AND due <= $1 AND NOT EXISTS (SELECT 1 FROM outbox AS e \
     WHERE e.incident = o.incident AND e.contact = o.contact AND e.channel = o.channel AND e.outcome = 'pending' \
     AND (e.seq, e.ordinal) < (o.seq, o.ordinal)) ORDER BY seq, ordinal LIMIT $2";

/// Rows that wait for an earlier one have no time of their own.
pub const OUTBOX_PENDING: &str = "SELECT channel, MIN(due) FROM outbox AS o \
     WHERE outcome = 'pending' AND NOT EXISTS (SELECT 1 FROM outbox AS e \
     WHERE e.incident = o.incident AND e.contact = o.contact AND e.channel = o.channel AND e.outcome = 'pending' \
     AND (e.seq, e.ordinal) < (o.seq, o.ordinal)) GROUP BY channel ORDER BY channel";

/// An end is never changed: a late failure cannot take back a delivery.
pub const OUTBOX_END: &str = "UPDATE outbox SET outcome = $2, ended_at = $3, answer = $4, attempts = attempts + 1 \
     WHERE key = $1 AND outcome = 'pending'";

pub const OUTBOX_RETRY: &str =
    "UPDATE outbox SET due = $2, answer = $3, attempts = attempts + 1 WHERE key = $1 AND outcome = 'pending'";

pub const OUTBOX_KEYS: &str =
    "SELECT key, outcome FROM outbox WHERE CAST($1 AS BIGINT) IS NULL OR incident = $1 ORDER BY seq, ordinal, key";

pub const OUTBOX_UNTOLD: &str = "SELECT key, outcome, answer, body FROM outbox \
     WHERE outcome <> 'pending' AND NOT told ORDER BY seq, ordinal";

pub const OUTBOX_ENDED: &str = "SELECT key, outcome, answer, body FROM outbox WHERE key = $1 AND outcome <> 'pending'";

pub const OUTBOX_TOLD: &str = "UPDATE outbox SET told = TRUE WHERE key = $1";

pub const OUTBOX_PRUNE: &str = "DELETE FROM outbox WHERE outcome <> 'pending' AND told AND ended_at < $1";

/// Completed by the back end with rows of eight values.
pub const HISTORY_ADD: &str = "INSERT INTO history (seq, ordinal, at, kind, host, service, incident, text) ";
pub const HISTORY_ADD_END: &str = " ON CONFLICT (seq, ordinal) DO NOTHING";

macro_rules! history {
    ($first:literal) => {
        concat!(
            "SELECT seq, ordinal, at, kind, host, service, incident, text FROM history WHERE ",
            $first,
            " AND (CAST($5 AS TEXT) IS NULL OR host = $5) AND (CAST($6 AS TEXT) IS NULL OR service = $6)",
            " AND (CAST($7 AS BIGINT) IS NULL OR incident = $7)",
            " AND at >= $1 AND (seq, ordinal) < ($2, $3) ORDER BY seq DESC, ordinal DESC LIMIT $4"
        )
    };
}

// One statement for each index: a planner cannot choose one for `$5 IS NULL OR host = $5`.
pub const HISTORY_OF_ALL: &str = history!("TRUE");
pub const HISTORY_OF_HOST: &str = history!("host = $5");
pub const HISTORY_OF_SERVICE: &str = history!("host = $5 AND service = $6");
pub const HISTORY_OF_INCIDENT: &str = history!("incident = $7");

/// The same words as in the condition of the index.
pub const HISTORY_OF_AVAILABILITY: &str = history!("kind IN ('core_changed', 'business_changed', 'unwatched')");

pub const HISTORY_PRUNE: &str = "DELETE FROM history WHERE at < $1";

pub const CHECKPOINT_ADD: &str = "INSERT INTO checkpoint (seq, at, state, checksum) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (seq) DO UPDATE SET at = excluded.at, state = excluded.state, checksum = excluded.checksum";
pub const CHECKPOINT_PRUNE: &str =
    "DELETE FROM checkpoint WHERE seq NOT IN (SELECT seq FROM checkpoint ORDER BY seq DESC LIMIT $1)";
pub const CHECKPOINT_NEWEST: &str =
    "SELECT seq, at, state, checksum FROM checkpoint WHERE seq < $1 ORDER BY seq DESC LIMIT 1";

pub const ACCOUNT: &str = "SELECT name, password_hash, role FROM account WHERE name = $1";
pub const ACCOUNT_PUT: &str = "INSERT INTO account (name, password_hash, role) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash, role = excluded.role";
pub const ACCOUNT_COUNT: &str = "SELECT COUNT(*) FROM account";

pub const SESSION: &str =
    "SELECT secret_sha256, account, kind, csrf, created_at, expires_at FROM session WHERE secret_sha256 = $1";
pub const SESSION_PUT: &str = "INSERT INTO session (secret_sha256, account, kind, csrf, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (secret_sha256) DO UPDATE SET account = excluded.account, \
     kind = excluded.kind, csrf = excluded.csrf, created_at = excluded.created_at, expires_at = excluded.expires_at";
pub const SESSION_DELETE: &str = "DELETE FROM session WHERE secret_sha256 = $1";
pub const SESSION_PRUNE: &str = "DELETE FROM session WHERE expires_at IS NOT NULL AND expires_at < $1";

pub const AUDIT_KNOWN: &str = "SELECT number FROM audit WHERE token = $1";
pub const AUDIT_NEWEST: &str = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1";
pub const AUDIT_ADD: &str =
    "INSERT INTO audit (number, token, at, body, previous, hash) VALUES ($1, $2, $3, $4, $5, $6)";
pub const AUDIT: &str = "SELECT number, body, previous, hash FROM audit WHERE number > $1 ORDER BY number LIMIT $2";

/// All of them, for the test that prepares each on each database.
pub const ALL: &[&str] = &[
    OUTBOX_ADD,
    OUTBOX_DUE,
    OUTBOX_DUE_ON,
    OUTBOX_PENDING,
    OUTBOX_END,
    OUTBOX_RETRY,
    OUTBOX_KEYS,
    OUTBOX_UNTOLD,
    OUTBOX_ENDED,
    OUTBOX_TOLD,
    OUTBOX_PRUNE,
    HISTORY_OF_ALL,
    HISTORY_OF_HOST,
    HISTORY_OF_SERVICE,
    HISTORY_OF_INCIDENT,
    HISTORY_OF_AVAILABILITY,
    HISTORY_PRUNE,
    CHECKPOINT_ADD,
    CHECKPOINT_PRUNE,
    CHECKPOINT_NEWEST,
    ACCOUNT,
    ACCOUNT_PUT,
    ACCOUNT_COUNT,
    SESSION,
    SESSION_PUT,
    SESSION_DELETE,
    SESSION_PRUNE,
    AUDIT_KNOWN,
    AUDIT_NEWEST,
    AUDIT_ADD,
    AUDIT,
];
