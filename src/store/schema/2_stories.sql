-- What a rotation was told as when it ended: the configuration that it is told with goes then.
CREATE TABLE stories (
    rotation TEXT PRIMARY KEY,
    body     TEXT NOT NULL,
    sum      BLOB NOT NULL
) STRICT;
