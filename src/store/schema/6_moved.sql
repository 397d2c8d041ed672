-- From which backup this store was made, where it was made from one.
CREATE TABLE moved (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    backup TEXT NOT NULL,
    made   TEXT NOT NULL,
    holder TEXT NOT NULL,
    at     TEXT NOT NULL,
    sum    BLOB NOT NULL
) STRICT;
