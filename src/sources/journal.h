/* The entries of the systemd journal that match some fields, as a source: followed through
 * rotation, vacuuming and restarts, with positions that are exact.
 *
 * The verbs are those of source.h. The name is "journal: FIELD=VALUE … + FIELD=VALUE …": values of
 * one field are alternatives, different fields must all match, "+" parts groups of which one must.
 *
 * Ordinals. Each entry is one line (entry.h), and ordinals count the bytes of these lines, from the
 * first that was ever read here. Reading again from a place gives the same ones; should the
 * journal's files have changed behind us, they are set right at the entry that was `done`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "sources/source.h"

struct journal_source;

struct journal_source *journal_source_new(struct span name, const struct source_calls *calls,
                                          void *context);
struct journal_source *journal_source_free(struct journal_source *journal);

void journal_source_start(struct journal_source *journal, const struct wire_position *position);
void journal_opened(struct journal_source *journal, const struct wire_opened *opened, int fd);
void journal_listed(struct journal_source *journal, const struct wire_sibling *siblings,
                    uint32_t count);
void journal_sighted(struct journal_source *journal);
void journal_files_changed(struct journal_source *journal); /* some came, went, were renamed */

bool journal_source_turn(struct journal_source *journal);
int64_t journal_source_patience_us(const struct journal_source *journal, int64_t now_monotonic_us);
struct span journal_source_identity_at(const struct journal_source *journal, uint64_t ordinal);
void journal_source_committed(struct journal_source *journal, uint64_t ordinal);
uint64_t journal_source_take_lost(struct journal_source *journal); /* entries, of all services */
uint64_t journal_source_lag(const struct journal_source *journal);
enum source_state_kind journal_source_state(const struct journal_source *journal);
uint64_t journal_source_done(const struct journal_source *journal);
