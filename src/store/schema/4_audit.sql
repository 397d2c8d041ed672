-- Who asked for what, what was done, and what became of it. Rows are added, never altered and never
-- taken out, whatever goes of the journal. sum: SHA-256 over the sum before and this row.
CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY,
    at       TEXT NOT NULL,
    rotation TEXT,
    site     TEXT,
    who      TEXT NOT NULL,
    way      TEXT NOT NULL,
    pid      INTEGER,
    kind     TEXT NOT NULL,
    body     TEXT NOT NULL,
    sum      BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_altered BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END;
