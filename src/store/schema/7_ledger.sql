-- Acts that move tags: what is to be moved, and how far it came. At most one is open.
CREATE TABLE acts (
    id      INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    who     TEXT NOT NULL,
    way     TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    body    TEXT NOT NULL,
    sum     BLOB NOT NULL
) STRICT;

-- Tags that moved: by us, and by others as far as it was seen. Rows are added, never altered.
CREATE TABLE moves (
    id     INTEGER PRIMARY KEY,
    at     TEXT NOT NULL,
    image  TEXT NOT NULL,
    old    TEXT,
    new    TEXT NOT NULL,
    cause  TEXT NOT NULL,
    who    TEXT NOT NULL,
    way    TEXT NOT NULL,
    act    INTEGER,
    reason TEXT,
    sum    BLOB NOT NULL
) STRICT;
CREATE INDEX moves_by_image ON moves (image, id);

-- With which digest of which image each site passed its visits.
CREATE TABLE passed (
    site     TEXT NOT NULL,
    image    TEXT NOT NULL,
    digest   TEXT NOT NULL,
    first_at TEXT NOT NULL,
    last_at  TEXT NOT NULL,
    visits   INTEGER NOT NULL,
    rotation TEXT,
    sum      BLOB NOT NULL,
    PRIMARY KEY (site, image, digest)
) STRICT;
