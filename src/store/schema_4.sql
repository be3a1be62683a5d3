-- SPDX-License-Identifier: GPL-2.0-or-later
-- From schema version 3 to 4: which account uses which service.
CREATE TABLE use (
    account TEXT NOT NULL, service TEXT NOT NULL,
    logins INTEGER NOT NULL, clear INTEGER NOT NULL, untold INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, clear_last INTEGER NOT NULL,
    PRIMARY KEY (account, service)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 4;
