/* A disk with faults, under SQLite: every file of a database lies on it once it was made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

/* Becomes SQLite's disk for the rest of this process; as good as the real one at first. */
void make_disk(void);

/* While the gate is shut, whoever writes stands still before it; `fails_with` is what writing then
 * comes to: one of SQLite's codes, 0 for success. */
void set_gate(bool is_shut, int fails_with);
bool is_waited_at_the_gate(void);
