CREATE TABLE migrations (
    version INTEGER PRIMARY KEY,
    name    TEXT NOT NULL
) STRICT;

-- One row each: whose store this is; where the journal ends; where its pruned part ended.
CREATE TABLE identity (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    fleet  TEXT NOT NULL,
    holder TEXT NOT NULL,
    sum    BLOB NOT NULL
) STRICT;
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    sum BLOB NOT NULL
) STRICT;
CREATE TABLE cut (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    sum BLOB NOT NULL
) STRICT;

-- The journal. sum: SHA-256 over the sum before and this row.
CREATE TABLE records (
    seq      INTEGER PRIMARY KEY,
    rotation TEXT,
    at       TEXT NOT NULL,
    kind     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    body     TEXT NOT NULL,
    sum      BLOB NOT NULL
) STRICT;
CREATE INDEX records_by_rotation ON records (rotation, seq) WHERE rotation IS NOT NULL;

-- The state after record seq, so that replay need not begin at the first record.
CREATE TABLE snapshot (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    seq     INTEGER NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    sum     BLOB NOT NULL
) STRICT;

-- site.toml, playbook, Compose and env files of rotations that have not ended.
CREATE TABLE config (
    rotation TEXT NOT NULL,
    path     BLOB NOT NULL,
    content  BLOB NOT NULL,
    sum      BLOB NOT NULL,
    PRIMARY KEY (rotation, path)
) STRICT;

CREATE TABLE evidence (
    id       INTEGER PRIMARY KEY,
    rotation TEXT NOT NULL,
    site     TEXT NOT NULL,
    host     TEXT NOT NULL,
    body     TEXT NOT NULL,
    sum      BLOB NOT NULL,
    UNIQUE (rotation, site, host, sum)
) STRICT;

-- How long steps took, for the time left.
CREATE TABLE durations (
    id     INTEGER PRIMARY KEY,
    site   TEXT NOT NULL,
    step   TEXT NOT NULL,
    millis INTEGER NOT NULL
) STRICT;
CREATE INDEX durations_by_step ON durations (site, step, id);

-- The TTLs that were seen, and when.
CREATE TABLE ttls (
    record   TEXT NOT NULL,
    ttl      INTEGER NOT NULL,
    first_at TEXT NOT NULL,
    last_at  TEXT NOT NULL,
    sum      BLOB NOT NULL,
    PRIMARY KEY (record, ttl)
) STRICT;
