-- SPDX-License-Identifier: GPL-2.0-or-later
-- What hauberk keeps (src/store/store.h). Times are microseconds UTC, addresses 16 bytes with IPv4
-- mapped, lengths count bits of the family. Schema version 5; how an earlier one is brought up to date
-- is in schema_2.sql, and so on.
CREATE TABLE position (
    source TEXT PRIMARY KEY,
    mark INTEGER NOT NULL, done INTEGER NOT NULL, resume INTEGER NOT NULL,
    done_identity BLOB NOT NULL, resume_identity BLOB NOT NULL,
    lost INTEGER NOT NULL DEFAULT 0,
    read_until INTEGER NOT NULL DEFAULT 0, takes_over INTEGER NOT NULL DEFAULT 0,
    jails TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE TABLE counter (
    jail TEXT NOT NULL, address BLOB NOT NULL, length INTEGER NOT NULL, window INTEGER NOT NULL,
    weight INTEGER NOT NULL, own_weight INTEGER NOT NULL, failures INTEGER NOT NULL,
    noted INTEGER NOT NULL, unknown INTEGER NOT NULL, kept INTEGER NOT NULL, accounts BLOB NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, began INTEGER NOT NULL,
    attempts INTEGER NOT NULL, protocols INTEGER NOT NULL,
    PRIMARY KEY (jail, address, length, window)
) STRICT, WITHOUT ROWID;
CREATE TABLE burst (
    key BLOB PRIMARY KEY, bursts INTEGER NOT NULL, failures INTEGER NOT NULL,
    began INTEGER NOT NULL, last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
    key BLOB PRIMARY KEY, counted INTEGER NOT NULL, last INTEGER NOT NULL,
    databases INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE known (
    address BLOB NOT NULL, account INTEGER NOT NULL, kind INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, successes INTEGER NOT NULL,
    PRIMARY KEY (address, account, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE use (
    account TEXT NOT NULL, service TEXT NOT NULL,
    logins INTEGER NOT NULL, clear INTEGER NOT NULL, untold INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, clear_last INTEGER NOT NULL,
    PRIMARY KEY (account, service)
) STRICT, WITHOUT ROWID;
CREATE TABLE ban (
    jail TEXT NOT NULL, address BLOB NOT NULL, length INTEGER NOT NULL,
    number INTEGER NOT NULL, scope TEXT NOT NULL,
    since INTEGER NOT NULL, until INTEGER NOT NULL,
    failures INTEGER NOT NULL, returns INTEGER NOT NULL,
    after_ban INTEGER NOT NULL, after_kept INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (jail, address, length)
) STRICT, WITHOUT ROWID;
CREATE TABLE past (
    jail TEXT NOT NULL, address BLOB NOT NULL, length INTEGER NOT NULL,
    returns INTEGER NOT NULL, ended INTEGER NOT NULL,
    PRIMARY KEY (jail, address, length)
) STRICT, WITHOUT ROWID;
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL, ordinal INTEGER NOT NULL, jail TEXT NOT NULL,
    at INTEGER NOT NULL, address BLOB NOT NULL, account TEXT NOT NULL,
    verdict INTEGER NOT NULL, unknown INTEGER NOT NULL, text TEXT NOT NULL,
    UNIQUE (source, ordinal, jail)
) STRICT;
CREATE INDEX evidence_address ON evidence (address, at);
CREATE INDEX evidence_account ON evidence (account, at);
CREATE INDEX evidence_at ON evidence (at);
CREATE INDEX evidence_named ON evidence (at) WHERE unknown = 1 AND account <> '';
CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL, kind TEXT NOT NULL, jail TEXT NOT NULL,
    address BLOB NOT NULL, length INTEGER NOT NULL, until INTEGER NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE INDEX history_address ON history (address, at);
CREATE INDEX history_at ON history (at);
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
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 5;
