/* Time. Everything in hauberk counts microseconds since 1970 UTC in an int64_t. Whoever decides
 * takes `now` as an argument; only the programs' loops ask this clock, and nobody asks the libc's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US (60 * MINUTE_US)
#define DAY_US (24 * HOUR_US)

int64_t clock_now_us(void);      /* wall clock */
int64_t clock_monotonic_us(void); /* for intervals only */

/* "2026-11-21T12:33:51Z" (RFC 3339, UTC, whole seconds). */
#define CLOCK_TEXT_MAX 32
const char *clock_format_utc(int64_t at_us, char into[CLOCK_TEXT_MAX]);

/* "12:33:51" today, "20 Nov 12:33:51" on other days, in local time. */
const char *clock_format_local(int64_t at_us, int64_t now_us, char into[CLOCK_TEXT_MAX]);

/* The same without seconds: "14:32", "20 Nov 14:32". */
const char *clock_format_minute(int64_t at_us, int64_t now_us, char into[CLOCK_TEXT_MAX]);

/* Days since 1970-01-01 of a Gregorian date; month 1-12, day 1-31, not checked. */
int64_t clock_days(int year, int month, int day);

/* A broken-down local time to microseconds, by the zone of this machine. */
int64_t clock_from_local(int year, int month, int day, int hour, int minute, int second);

/* The year of an instant in local time (for stamps that carry none). */
int clock_local_year(int64_t at_us);

/* True, and *last_us is at_us then, when they are at least that far apart, whichever is later. */
bool clock_is_apart(int64_t *last_us, int64_t at_us, int64_t apart_us);
