-- Who said of which digest that it is good. Rows are added, never altered.
CREATE TABLE approvals (
    id     INTEGER PRIMARY KEY,
    at     TEXT NOT NULL,
    digest TEXT NOT NULL,
    who    TEXT NOT NULL,
    way    TEXT NOT NULL,
    reason TEXT NOT NULL,
    sum    BLOB NOT NULL
) STRICT;

-- Promotions that wait for their time: one a tag.
CREATE TABLE scheduled (
    tag  TEXT PRIMARY KEY,
    at   TEXT NOT NULL,
    due  TEXT NOT NULL,
    who  TEXT NOT NULL,
    way  TEXT NOT NULL,
    body TEXT NOT NULL,
    sum  BLOB NOT NULL
) STRICT;
