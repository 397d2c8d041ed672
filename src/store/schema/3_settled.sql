-- Up to which planned instant the runs of each schedule are settled: begun, missed or frozen.
CREATE TABLE settled (
    playbook TEXT PRIMARY KEY,
    schedule TEXT NOT NULL,
    until    TEXT NOT NULL,
    sum      BLOB NOT NULL
) STRICT;
