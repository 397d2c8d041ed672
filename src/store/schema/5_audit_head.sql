-- Where the audit ends; no sum: before its first row.
ALTER TABLE head ADD COLUMN audit_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE head ADD COLUMN audit_sum BLOB;
