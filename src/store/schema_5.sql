-- SPDX-License-Identifier: GPL-2.0-or-later
-- From schema version 4 to 5: which jails had read a log, so that one of them can leave it alone.
ALTER TABLE position ADD COLUMN jails TEXT NOT NULL DEFAULT '';
PRAGMA user_version = 5;
