-- SPDX-License-Identifier: GPL-2.0-or-later
-- From schema version 2 to 3: of a log it is known until when it was read, so that another can take over from it.
ALTER TABLE position ADD COLUMN read_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE position ADD COLUMN takes_over INTEGER NOT NULL DEFAULT 0;
-- Until then it was read at least as far as to the newest of its lines that told something.
UPDATE position SET read_until = coalesce(
    (SELECT min(max(at), CAST(strftime('%s', 'now') AS INTEGER) * 1000000) FROM evidence
     WHERE evidence.source = position.source), 0);
PRAGMA user_version = 3;
