-- Keep-tags: those that we put in registries, until they are removed there. One that is not here is
-- somebody else's.
CREATE TABLE keep_tags (
    image   TEXT PRIMARY KEY,
    digest  TEXT NOT NULL,
    at      TEXT NOT NULL,
    phase   TEXT NOT NULL,
    refused TEXT,
    sum     BLOB NOT NULL
) STRICT;
