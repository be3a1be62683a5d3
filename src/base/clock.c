/* The clock: see clock.h. Local times are looked up once per hour of log time: localtime_r() and
 * mktime() take a lock and walk the zone's table, and a log asks for the same hour a thousand
 * times.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/clock.h"

#include <stdbool.h>

#include <stdio.h>
#include <time.h>

static int64_t clock_read(clockid_t which) {
    struct timespec at;
    must(clock_gettime(which, &at) == 0);
    return (int64_t)at.tv_sec * SECOND_US + at.tv_nsec / 1000;
}

int64_t clock_now_us(void) {
    return clock_read(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void) {
    return clock_read(CLOCK_MONOTONIC);
}

static int64_t floor_divide(int64_t value, int64_t by) {
    return value / by - (value % by < 0);
}

static struct tm local_parts(int64_t at_us) {
    time_t seconds = (time_t)floor_divide(at_us, SECOND_US);
    struct tm parts = {0};
    localtime_r(&seconds, &parts);
    return parts;
}

const char *clock_format_utc(int64_t at_us, char into[CLOCK_TEXT_MAX]) {
    time_t seconds = (time_t)floor_divide(at_us, SECOND_US);
    struct tm parts = {0};
    gmtime_r(&seconds, &parts);
    strftime(into, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return into;
}

static const char *format_local(int64_t at_us, int64_t now_us, const char *today_format,
                                const char *other_format, char into[CLOCK_TEXT_MAX]) {
    struct tm parts = local_parts(at_us);
    struct tm today = local_parts(now_us);
    bool is_today = parts.tm_year == today.tm_year && parts.tm_yday == today.tm_yday;
    strftime(into, CLOCK_TEXT_MAX, is_today ? today_format : other_format, &parts);
    return into;
}

const char *clock_format_local(int64_t at_us, int64_t now_us, char into[CLOCK_TEXT_MAX]) {
    return format_local(at_us, now_us, "%H:%M:%S", "%e %b %H:%M:%S", into);
}

const char *clock_format_minute(int64_t at_us, int64_t now_us, char into[CLOCK_TEXT_MAX]) {
    return format_local(at_us, now_us, "%H:%M", "%e %b %H:%M", into);
}

int64_t clock_days(int year, int month, int day) {
    /* Years begin in March, so that the leap day is the last day of a year. */
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = floor_divide(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

int64_t clock_from_local(int year, int month, int day, int hour, int minute, int second) {
    static struct {
        int year, month, day, hour;
        int64_t at_us;
    } last = {.year = -1};
    if (last.year != year || last.month != month || last.day != day || last.hour != hour) {
        struct tm parts = {.tm_year = year - 1900,
                           .tm_mon = month - 1,
                           .tm_mday = day,
                           .tm_hour = hour,
                           .tm_isdst = -1};
        last.year = year;
        last.month = month;
        last.day = day;
        last.hour = hour;
        last.at_us = (int64_t)mktime(&parts) * SECOND_US;
    }
    return last.at_us + (minute * INT64_C(60) + second) * SECOND_US;
}

int clock_local_year(int64_t at_us) {
    static int64_t known_quarter = INT64_MIN; /* of an hour: midnight in Kathmandu is at 18:15 */
    static int known_year;
    int64_t quarter = floor_divide(at_us, 15 * MINUTE_US);
    if (quarter != known_quarter) {
        known_year = local_parts(at_us).tm_year + 1900;
        known_quarter = quarter;
    }
    return known_year;
}

bool clock_is_apart(int64_t *last_us, int64_t at_us, int64_t apart_us) {
    if (at_us - *last_us < apart_us && *last_us - at_us < apart_us)
        return false;
    *last_us = at_us;
    return true;
}
