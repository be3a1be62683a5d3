/* Stamps, by hand rather than by regex: every candidate line pays for this. See stamp.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "match/stamp.h"

#include "base/clock.h"

/* Digits at `at`; negative when they are not all digits. The caller has checked the length. */
static int digit(const char *at) {
    return *at >= '0' && *at <= '9' ? *at - '0' : -1;
}

static int two_digits(const char *at) {
    int tens = digit(at);
    int ones = digit(at + 1);
    return (tens | ones) < 0 ? -1 : tens * 10 + ones;
}

static int four_digits(const char *at) {
    int hundreds = two_digits(at);
    int rest = two_digits(at + 2);
    return (hundreds | rest) < 0 ? -1 : hundreds * 100 + rest;
}

static bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool in_day(int hour, int minute, int second) {
    return hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59 && second >= 0 && second <= 60;
}

static bool is_leap(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool in_month(int year, int month, int day) {
    static const int8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] &&
           (month != 2 || day <= 28 || is_leap(year));
}

/* ".475286" → microseconds; moves *place past it. */
static int64_t read_fraction(struct span text, size_t *place) {
    if (*place >= text.length || (text.at[*place] != '.' && text.at[*place] != ','))
        return 0;
    size_t at = *place + 1;
    int64_t value = 0;
    unsigned count = 0;
    for (; at < text.length && (unsigned)(text.at[at] - '0') <= 9; at++)
        if (count < 6) {
            value = value * 10 + (text.at[at] - '0');
            count++;
        }
    if (count == 0)
        return 0;
    *place = at;
    for (; count < 6; count++)
        value *= 10;
    return value;
}

/* "Z", "+02:00", "-0500", "+02" → seconds east; moves *place past it. False: no zone here. */
static bool read_zone(struct span text, size_t *place, int64_t *ret_seconds) {
    if (*place >= text.length)
        return false;
    const char *at = text.at + *place;
    size_t left = text.length - *place;
    if (*at == 'Z') {
        *ret_seconds = 0;
        *place += 1;
        return true;
    }
    if ((*at != '+' && *at != '-') || left < 3)
        return false;
    int hours = two_digits(at + 1);
    int minutes = 0;
    size_t length = 3;
    if (left >= 6 && at[3] == ':' && two_digits(at + 4) >= 0) {
        minutes = two_digits(at + 4);
        length = 6;
    } else if (left >= 5 && two_digits(at + 3) >= 0) {
        minutes = two_digits(at + 3);
        length = 5;
    }
    if (hours < 0 || hours > 15 || minutes > 59)
        return false;
    *ret_seconds = (hours * 60 + minutes) * INT64_C(60) * (*at == '-' ? -1 : 1);
    *place += length;
    return true;
}

/* Behind a zone of its own: "Z-mail" and "+12.5" are something else. */
static bool ends_zone(struct span text, size_t end) {
    return end >= text.length || (text.at[end] && strchr(" \t])>:,;|", text.at[end]));
}

/* A zone at once behind the time or, where it stands alone, behind a blank. */
static bool find_zone(struct span text, size_t *place, int64_t *ret_seconds) {
    size_t end = *place + 1;
    if (read_zone(text, place, ret_seconds))
        return true;
    if (*place >= text.length || text.at[*place] != ' ' || !read_zone(text, &end, ret_seconds) ||
        !ends_zone(text, end))
        return false;
    *place = end;
    return true;
}

/* A time up to its seconds, which end at `place`: the fraction and the zone behind it, or none. */
static void finish(struct span text, size_t place, int year, int month, int day, int hour,
                   int minute, int second, struct stamp *stamp) {
    int64_t fraction = read_fraction(text, &place);
    int64_t east = 0;
    if (find_zone(text, &place, &east))
        stamp->at_us = clock_days(year, month, day) * DAY_US + hour * HOUR_US +
                       minute * MINUTE_US + (second - east) * SECOND_US;
    else
        stamp->at_us = clock_from_local(year, month, day, hour, minute, second);
    stamp->at_us += fraction;
    stamp->end = (uint32_t)place;
}

static bool read_iso(struct span text, struct stamp *stamp) {
    const char *at = text.at;
    if (text.length < 19 || (at[4] != '-' && at[4] != '/' && at[4] != '.') || at[7] != at[4] ||
        (at[10] != 'T' && at[10] != ' ') || at[13] != ':' || at[16] != ':')
        return false;
    int year = four_digits(at);
    int month = two_digits(at + 5);
    int day = two_digits(at + 8);
    int hour = two_digits(at + 11);
    int minute = two_digits(at + 14);
    int second = two_digits(at + 17);
    if (year < 1970 || year > 2200 || !in_month(year, month, day) ||
        !in_day(hour, minute, second))
        return false;
    finish(text, 19, year, month, day, hour, minute, second, stamp);
    return true;
}

static int read_month(const char *at) {
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    char low[3] = {(char)(at[0] | 0x20), (char)(at[1] | 0x20), (char)(at[2] | 0x20)};
    for (int month = 0; month < 12; month++)
        if (memcmp(names + (size_t)month * 3, low, 3) == 0)
            return month + 1;
    return 0;
}

/* "21-Nov-2026 03:22:55.123456 +0000": PHP's date in Roundcube's logs, with a zone or without. */
static bool read_day_first(struct span text, struct stamp *stamp) {
    const char *at = text.at;
    if (text.length < 20 || (at[2] != '-' && at[2] != '/') || at[6] != at[2] || at[11] != ' ' ||
        at[14] != ':' || at[17] != ':')
        return false;
    int day = two_digits(at);
    int month = read_month(at + 3);
    int year = four_digits(at + 7);
    int hour = two_digits(at + 12);
    int minute = two_digits(at + 15);
    int second = two_digits(at + 18);
    if (year < 1970 || year > 2200 || !in_month(year, month, day) ||
        !in_day(hour, minute, second))
        return false;
    finish(text, 20, year, month, day, hour, minute, second, stamp);
    return true;
}

static bool is_weekday(const char *at) {
    static const char names[] = "montuewedthufrisatsun";
    char low[3] = {(char)(at[0] | 0x20), (char)(at[1] | 0x20), (char)(at[2] | 0x20)};
    for (size_t day = 0; day < 7; day++)
        if (memcmp(names + day * 3, low, 3) == 0)
            return true;
    return false;
}

/* "Sat Nov 21 03:19:55.962074 2026": Apache's error log, in this machine's zone. */
static bool read_weekday_first(struct span text, struct stamp *stamp) {
    const char *at = text.at;
    if (text.length < 24 || at[3] != ' ' || at[7] != ' ' || at[10] != ' ' || at[13] != ':' ||
        at[16] != ':' || !is_weekday(at))
        return false;
    int month = read_month(at + 4);
    int day = at[8] == ' ' ? digit(at + 9) : two_digits(at + 8);
    int hour = two_digits(at + 11);
    int minute = two_digits(at + 14);
    int second = two_digits(at + 17);
    size_t place = 19;
    int64_t fraction = read_fraction(text, &place);
    if (text.length < place + 5 || at[place] != ' ')
        return false;
    int year = four_digits(at + place + 1);
    if (year < 1970 || year > 2200 || !in_month(year, month, day) ||
        !in_day(hour, minute, second))
        return false;
    stamp->at_us = clock_from_local(year, month, day, hour, minute, second) + fraction;
    stamp->end = (uint32_t)place + 5;
    return true;
}

static bool read_syslog(struct span text, int64_t now_us, struct stamp *stamp) {
    const char *at = text.at;
    if (text.length < 15 || at[3] != ' ' || at[6] != ' ' || at[9] != ':' || at[12] != ':')
        return false;
    int month = read_month(at);
    int day = at[4] == ' ' ? digit(at + 5) : two_digits(at + 4);
    int hour = two_digits(at + 7);
    int minute = two_digits(at + 10);
    int second = two_digits(at + 13);
    if (month == 0 || !in_day(hour, minute, second))
        return false;
    if (!in_month(2024, month, day)) /* a leap year */
        return false;
    size_t place = 15;
    int64_t fraction = read_fraction(text, &place);
    /* This year's, or last year's where that lies ahead; a 29th of February is the latest past. */
    int year = clock_local_year(now_us);
    for (bool is_last = false;; is_last = true, year--) {
        while (!in_month(year, month, day))
            year--;
        stamp->at_us = clock_from_local(year, month, day, hour, minute, second);
        if (is_last || stamp->at_us <= now_us + DAY_US)
            break;
    }
    stamp->at_us += fraction;
    stamp->end = (uint32_t)place;
    return true;
}

bool stamp_read(struct span line, int64_t now_us, struct stamp *ret_stamp) {
    struct stamp stamp = {0};
    while (stamp.before < 2 && stamp.before < line.length && !is_word(line.at[stamp.before]))
        stamp.before++;
    struct span text = span_skip(line, stamp.before);
    if (text.length == 0)
        return false;
    bool is_found = (unsigned)(text.at[0] - '0') <= 9
                        ? read_iso(text, &stamp) || read_day_first(text, &stamp)
                        : read_syslog(text, now_us, &stamp) || read_weekday_first(text, &stamp);
    if (!is_found || (stamp.end < text.length && is_word(text.at[stamp.end])))
        return false;
    stamp.end += stamp.before;
    *ret_stamp = stamp;
    return true;
}
