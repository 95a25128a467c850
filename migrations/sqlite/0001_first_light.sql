CREATE TABLE outbox (
    key        TEXT    PRIMARY KEY,
    thread     TEXT    NOT NULL,
    incident   INTEGER NOT NULL,
    contact    TEXT    NOT NULL,
    channel    TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    due        INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    outcome    TEXT    NOT NULL CHECK (outcome IN ('pending', 'sent', 'failed')),
    ended_at   INTEGER,
    answer     TEXT    NOT NULL,
    told       BOOLEAN NOT NULL,
    body       TEXT    NOT NULL
);
CREATE INDEX outbox_pending ON outbox (channel, due, seq, ordinal) WHERE outcome = 'pending';
CREATE INDEX outbox_untold ON outbox (seq, ordinal) WHERE outcome <> 'pending' AND NOT told;
CREATE INDEX outbox_thread ON outbox (incident, contact, channel, seq, ordinal);

CREATE TABLE history (
    seq      INTEGER NOT NULL,
    ordinal  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    host     TEXT,
    service  TEXT,
    incident INTEGER,
    text     TEXT    NOT NULL,
    PRIMARY KEY (seq, ordinal)
) WITHOUT ROWID;
CREATE INDEX history_object ON history (host, service, seq, ordinal) WHERE host IS NOT NULL;
CREATE INDEX history_incident ON history (incident, seq, ordinal) WHERE incident IS NOT NULL;
CREATE INDEX history_at ON history (at);

CREATE TABLE checkpoint (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    state    BLOB    NOT NULL,
    checksum BLOB    NOT NULL
);

CREATE TABLE account (
    name          TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'viewer'))
);

CREATE TABLE session (
    secret_sha256 BLOB    PRIMARY KEY,
    account       TEXT    NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('login', 'token', 'agent')),
    csrf          TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER
);
