-- What makes the copy of a store a backup: which one it is, and the files that go with it.
CREATE TABLE backup (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    id       TEXT NOT NULL,
    made     TEXT NOT NULL,
    made_by  TEXT NOT NULL,
    contents BLOB NOT NULL,
    sum      BLOB NOT NULL
) STRICT;
CREATE TABLE backup_files (
    name    TEXT PRIMARY KEY,
    content BLOB NOT NULL
) STRICT;
