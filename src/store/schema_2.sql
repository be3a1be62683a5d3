-- SPDX-License-Identifier: GPL-2.0-or-later
-- From schema version 1 to 2: counters have windows; bursts, notices and sight are kept. What known-good memory said
-- of accounts is asked for by other names now (ledger/account.h): those rows are of no use.
ALTER TABLE counter RENAME TO counter_1;
CREATE TABLE counter (
    jail TEXT NOT NULL, address BLOB NOT NULL, length INTEGER NOT NULL, window INTEGER NOT NULL,
    weight INTEGER NOT NULL, own_weight INTEGER NOT NULL, failures INTEGER NOT NULL,
    noted INTEGER NOT NULL, unknown INTEGER NOT NULL, kept INTEGER NOT NULL, accounts BLOB NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, began INTEGER NOT NULL,
    attempts INTEGER NOT NULL, protocols INTEGER NOT NULL,
    PRIMARY KEY (jail, address, length, window)
) STRICT, WITHOUT ROWID;
INSERT INTO counter SELECT jail, address, length, 0, weight, 0, failures, failures, 0, kept, x'',
    first, last, began, failures, 0 FROM counter_1;
DROP TABLE counter_1;
CREATE TABLE burst (
    key BLOB PRIMARY KEY, bursts INTEGER NOT NULL, failures INTEGER NOT NULL,
    began INTEGER NOT NULL, last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE position ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN databases INTEGER NOT NULL DEFAULT 0;
DELETE FROM known WHERE kind = 0;
CREATE TABLE notice (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, mailed INTEGER NOT NULL,
    kind INTEGER NOT NULL, state INTEGER NOT NULL,
    address BLOB NOT NULL, length INTEGER NOT NULL, about TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE INDEX notice_at ON notice (at);
CREATE TABLE sight (
    jail TEXT PRIMARY KEY, since INTEGER NOT NULL, failure INTEGER NOT NULL,
    success INTEGER NOT NULL, unmatched INTEGER NOT NULL, unmatched_since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE spared (
    address BLOB NOT NULL, length INTEGER NOT NULL, kind INTEGER NOT NULL,
    since INTEGER NOT NULL, until INTEGER NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY (address, length, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS evidence_named ON evidence (at) WHERE unknown = 1 AND account <> '';
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2;
