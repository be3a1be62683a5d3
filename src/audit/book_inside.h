/* The files of the book's folder, for book.c, baseline.c and pace.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "audit/book.h"

must_use int book_read_file(const struct book *book, const char *name, struct text *text);
must_use int book_write_file(const struct book *book, const char *name, struct span bytes,
                             struct why *reterr_why);
