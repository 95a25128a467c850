-- One row a turn of the writer. `batch` is the codec of src/journal/codec.rs; `checksum` covers seq, at and batch.
CREATE TABLE turn (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    batch    BLOB    NOT NULL,
    checksum BLOB    NOT NULL
) STRICT;

-- Catalogs are large and rarely change: kept once, named by the SHA-256 of `body`.
CREATE TABLE catalog (
    hash      BLOB PRIMARY KEY,
    body      BLOB    NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL
) STRICT;
