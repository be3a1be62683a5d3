/* Following the journal: see journal.h.
 *
 * The phases:
 *
 *   IDLE      not started
 *   COUNTING  first sight: walking back from the newest entry, to know how many bytes of lines lie
 *             before the mark
 *   SIGHTING  waiting for the mark to be committed
 *   READING   reading what is there and what comes
 *
 * Files. journald writes one file and sets it aside when it is full, so a journal is a row of
 * files, whose descriptors are asked for one by one: of the list, those changed since the place we
 * are at. When files came or were renamed, the row is asked for again; the old one is read to its
 * end before it is let go, for vacuuming may have deleted what we still hold.
 *
 * New entries. journald tells readers (by ftruncate, which inotify sees) 250 ms after it wrote.
 * While the services we read are talking, their entries are looked for every 20 ms instead; a look
 * reads one counter in shared memory per file.
 *
 * What is gone. Whether the entry read last still exists tells after a start whether some between
 * it and the oldest one may have been vacuumed unread. A service can be silent for longer than the
 * journal is kept, so now and then the place moves to the journal's newest entry, of whatever
 * service: for that the ordinal grows by one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/journal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "sources/entry.h"
#include "sources/place.h"
#include "sources/row.h"

enum phase { PHASE_IDLE, PHASE_COUNTING, PHASE_SIGHTING, PHASE_READING };
enum { TURN_ENTRIES = 1024, PLACES_KEPT = 512, PLACES_MAX = PLACES_KEPT + TURN_ENTRIES + 2,
       RELISTS_MAX = 8, MEMORY_BYTES = 64 << 20 };
#define MEMORY_US (30 * DAY_US)         /* how far back the first sight looks */
#define CLOCK_SLACK_US HOUR_US          /* a file's time and its entries' may differ that much */
#define TALK_US (10 * SECOND_US)        /* after an entry, more are expected for so long */
#define LOOK_EVERY_US (20 * INT64_C(1000))
#define RETRY_MOST_US (5 * SECOND_US)
#define ANCHOR_EVERY_US (6 * HOUR_US)

struct journal_source {
    struct source_calls calls;
    void *context;
    char name[257];
    enum phase phase;
    uint64_t mark;

    struct row row;               /* being read */
    struct row coming;            /* being opened */
    bool is_asking, ask_again;    /* a list or its files are on their way; … are out of date */
    bool has_coming;              /* `coming` is whole and waits for its turn */
    struct wire_sibling siblings[SIBLINGS_MAX];
    uint32_t sibling_count, asked, relists;
    uint32_t ticket;

    struct place done;            /* at the start: what was committed … */
    uint64_t known_done;
    bool has_passed_done;         /* … and whether reading has come behind it */
    struct place skip_to;         /* entries up to this one were told */
    bool skips;
    bool is_at_end;               /* of what there was at the last look */
    int64_t talked_us;            /* monotonic: when an entry was last found */
    int64_t retry_us, retry_at_us; /* a file half made is asked for again; monotonic, 0 never */

    struct place anchor;          /* the newest entry, to move to when all before is read */
    bool has_anchor, wants_anchor;
    int64_t anchored_us;          /* when it was last looked for */

    uint64_t counted;             /* first sight: bytes up to the mark */

    /* Places told, oldest first: of this turn all, of earlier ones some. */
    struct place places[PLACES_MAX];
    uint32_t place_count, turn_first;
    uint64_t lost;
    size_t filled;
    uint64_t filled_from; /* ordinal of the buffer's first byte */
    char buffer[SOURCE_TURN_BYTES];
};

struct journal_source *journal_source_new(struct span name, const struct source_calls *calls,
                                          void *context) {
    struct journal_source *journal = calloc(1, sizeof(*journal));
    must(journal && name.length < sizeof(journal->name));
    memcpy(journal->name, name.at, name.length);
    journal->calls = *calls;
    journal->context = context;
    return journal;
}

struct journal_source *journal_source_free(struct journal_source *journal) {
    if (!journal)
        return NULL;
    row_close(&journal->row);
    row_close(&journal->coming);
    free(journal);
    return NULL;
}

/* ---- places ---- */

static struct place *last_place(struct journal_source *journal) {
    must(journal->place_count > 0 && journal->place_count <= PLACES_MAX);
    return &journal->places[journal->place_count - 1];
}

uint64_t journal_source_done(const struct journal_source *journal) {
    return journal->place_count ? journal->places[journal->place_count - 1].ordinal
                                : journal->known_done;
}

static void add_place(struct journal_source *journal, const struct place *place) {
    must(journal->place_count < PLACES_MAX);
    journal->places[journal->place_count++] = *place;
}

static void begin_places(struct journal_source *journal, const struct place *first) {
    journal->place_count = journal->turn_first = 0;
    add_place(journal, first);
}

/* Of the turn before only its end is kept, and when those become many, every other one: a session
 * then resumes a little earlier than it must. */
static void thin_places(struct journal_source *journal) {
    if (journal->place_count > journal->turn_first) {
        journal->places[journal->turn_first] = *last_place(journal);
        journal->place_count = journal->turn_first + 1;
    }
    if (journal->place_count >= PLACES_KEPT) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < journal->place_count; i++)
            if (i % 2 == 0 || i + 1 == journal->place_count)
                journal->places[kept++] = journal->places[i];
        journal->place_count = kept;
    }
    journal->turn_first = journal->place_count;
}

static uint32_t place_index(const struct journal_source *journal, uint64_t ordinal) {
    uint32_t low = 0;
    uint32_t high = journal->place_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (journal->places[middle].ordinal <= ordinal)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct span journal_source_identity_at(const struct journal_source *journal, uint64_t ordinal) {
    if (journal->place_count == 0)
        return (struct span){NULL, 0};
    const struct place *place = &journal->places[place_index(journal, ordinal)];
    return (struct span){(const char *)place, sizeof(*place)};
}

void journal_source_committed(struct journal_source *journal, uint64_t ordinal) {
    if (journal->place_count == 0)
        return;
    uint32_t gone = place_index(journal, ordinal);
    if (gone > journal->turn_first)
        gone = journal->turn_first;
    memmove(journal->places, journal->places + gone,
            (journal->place_count - gone) * sizeof(*journal->places));
    journal->place_count -= gone;
    journal->turn_first -= gone;
}

/* ---- seeking ---- */

/* The journal's entries of all services from here on, or only ours again. */
static void see_all(struct journal_source *journal) {
    sd_journal_flush_matches(journal->row.reader);
}

static void see_ours(struct journal_source *journal) {
    if (row_match(&journal->row, journal->name) < 0)
        log_warning("the journal does not take the match %s", journal->name);
}

static void seek_behind(struct journal_source *journal, const struct place *place) {
    journal->skips = place->cursor_length > 0;
    journal->skip_to = *place;
    int error = journal->skips ? sd_journal_seek_cursor(journal->row.reader, place->cursor)
                               : sd_journal_seek_head(journal->row.reader);
    if (error < 0)
        log_warning("no place can be found in the journal: %s", strerror(-error));
    journal->is_at_end = false;
}

/* Is the entry still there? If not, *ret_next is the first one behind it, if there is any. */
static bool still_exists(struct journal_source *journal, const struct place *place,
                         struct place *ret_next) {
    struct place here = {0};
    if (place->cursor_length == 0)
        return true;
    see_all(journal);
    bool is_there = sd_journal_seek_cursor(journal->row.reader, place->cursor) >= 0 &&
                    sd_journal_next(journal->row.reader) > 0 &&
                    place_take(journal->row.reader, &here) >= 0;
    see_ours(journal);
    *ret_next = here;
    return is_there && place_is_same(&here, place);
}

static void count_gap(struct journal_source *journal, const struct place *next) {
    uint64_t gone = next->cursor_length ? place_distance(&journal->done, next) : 1;
    journal->lost += gone;
    journal->wants_anchor = true;
    log_warning("%s: the entry read last is gone; up to %llu entries were deleted unread",
                journal->name, (unsigned long long)gone);
}

/* After a start: from where the oldest session began, or else from where everything was done. */
static void seek_first(struct journal_source *journal) {
    struct place next;
    struct place *resume = &journal->places[0];
    if (!still_exists(journal, &journal->done, &next))
        count_gap(journal, &next);
    if (!still_exists(journal, resume, &next)) {
        struct place from = journal->done;
        from.ordinal = journal->known_done;
        begin_places(journal, &from);
    }
    seek_behind(journal, &journal->places[0]);
}

/* ---- first sight ---- */

static bool step_back(struct journal_source *journal, struct place *here) {
    return sd_journal_previous(journal->row.reader) > 0 &&
           place_take(journal->row.reader, here) >= 0;
}

static void tell_sight(struct journal_source *journal, const struct place *start) {
    /* Ordinals begin at the time: should a jail come back to the journal after months with a file,
     * they are not those of lines told before. */
    struct place first = *start;
    first.ordinal = (uint64_t)clock_now_us();
    begin_places(journal, &first);
    journal->phase = PHASE_SIGHTING;
    journal->mark = first.ordinal + journal->counted;
    journal->calls.tell_sight(journal->context, journal->mark, first.ordinal,
                              (struct span){(const char *)&first, sizeof(first)});
}

static bool find_newest(struct journal_source *journal, struct place *newest) {
    return sd_journal_seek_tail(journal->row.reader) >= 0 && step_back(journal, newest);
}

static void begin_counting(struct journal_source *journal) {
    struct place newest = {.version = PLACE_VERSION};
    journal->phase = PHASE_COUNTING;
    journal->counted = 0;
    if (!journal->row.reader) {
        tell_sight(journal, &newest);
        return;
    }
    if (!find_newest(journal, &newest)) { /* none of ours yet: all behind the newest will count */
        see_all(journal);
        (void)find_newest(journal, &newest);
        see_ours(journal);
        tell_sight(journal, &newest);
        return;
    }
    journal->skip_to = newest; /* nothing behind it belongs before the mark */
    journal->done.sight_us = newest.at_us;
    (void)sd_journal_seek_tail(journal->row.reader);
}

/* Walks back a turn; true: and there is more. */
static bool count_turn(struct journal_source *journal) {
    int64_t oldest_us = clock_now_us() - MEMORY_US;
    struct place here = {.version = PLACE_VERSION};
    for (uint32_t i = 0; i < TURN_ENTRIES; i++) {
        bool is_there = step_back(journal, &here);
        if (!is_there || here.at_us < oldest_us || journal->counted > MEMORY_BYTES) {
            if (!is_there)
                here = (struct place){.version = PLACE_VERSION};
            here.sight_us = journal->done.sight_us;
            tell_sight(journal, &here);
            return false;
        }
        if (place_is_after(&here, &journal->skip_to))
            continue; /* came while we look */
        int length = entry_render(journal->row.reader, here.at_us, journal->buffer);
        journal->counted += length > 0 ? (uint64_t)length : 0;
    }
    return true;
}

void journal_sighted(struct journal_source *journal) {
    if (journal->phase != PHASE_SIGHTING)
        return;
    journal->done = journal->places[0];
    journal->known_done = journal->done.ordinal;
    journal->has_passed_done = true;
    journal->phase = PHASE_READING;
    if (journal->row.reader)
        seek_behind(journal, &journal->places[0]);
}

/* ---- the row of files ---- */

static void ask_list(struct journal_source *journal) {
    if (journal->is_asking) {
        journal->ask_again = true;
        return;
    }
    journal->is_asking = true;
    journal->calls.ask_list(journal->context);
}

void journal_files_changed(struct journal_source *journal) {
    if (journal->phase != PHASE_IDLE || journal->is_asking)
        ask_list(journal);
}

void journal_source_start(struct journal_source *journal, const struct wire_position *position) {
    if (position->is_known) {
        struct place resume = place_from(wire_bytes(position->resume_identity));
        journal->done = place_from(wire_bytes(position->done_identity));
        journal->known_done = position->done;
        journal->mark = position->mark;
        if (resume.version == 0 || resume.ordinal > position->done)
            resume = journal->done;
        resume.version = PLACE_VERSION;
        begin_places(journal, &resume);
        journal->phase = PHASE_READING;
    }
    ask_list(journal);
}

/* The oldest time that is still of interest: files not changed since then need not be read. */
static int64_t needed_since_us(const struct journal_source *journal) {
    if (journal->place_count == 0 || journal->places[0].cursor_length == 0)
        return clock_now_us() - MEMORY_US;
    const struct place *from = journal->row.reader ? &journal->places[journal->place_count - 1]
                                                   : &journal->places[0];
    return from->at_us - CLOCK_SLACK_US;
}

static void use_coming(struct journal_source *journal) {
    bool is_first = !journal->row.reader;
    row_close(&journal->row);
    journal->row = journal->coming;
    journal->coming = (struct row){0};
    journal->has_coming = false;
    if (journal->phase == PHASE_IDLE || journal->phase == PHASE_COUNTING)
        begin_counting(journal);
    else if (journal->row.reader && journal->phase == PHASE_READING && is_first &&
             !journal->has_passed_done)
        seek_first(journal);
    else if (journal->row.reader && journal->phase == PHASE_READING)
        seek_behind(journal, last_place(journal));
}

static void asking_is_over(struct journal_source *journal) {
    journal->is_asking = false;
    if (journal->ask_again) {
        journal->ask_again = false;
        row_close(&journal->coming);
        ask_list(journal);
        return;
    }
    int error = row_open(&journal->coming, journal->name);
    if (error < 0) {
        log_error("the journal cannot be read: %s", strerror(-error));
        row_close(&journal->coming);
    }
    journal->has_coming = true;
    journal->relists = 0;
    journal->retry_us = !journal->coming.lacks_live ? 0
                        : journal->retry_us == 0    ? LOOK_EVERY_US
                        : journal->retry_us < RETRY_MOST_US ? 2 * journal->retry_us
                                                            : RETRY_MOST_US;
    journal->retry_at_us = journal->retry_us ? clock_monotonic_us() + journal->retry_us : 0;
    if (journal->phase != PHASE_READING || !journal->row.reader)
        use_coming(journal); /* else the present row is first read to its end */
}

/* Those set aside have an @ in their names. */
static bool is_being_written(const struct wire_sibling *sibling) {
    struct span path = wire_bytes(sibling->path);
    return path.length > 0 && !memchr(path.at, '@', path.length);
}

/* The next of the list. One that is being written is needed whatever the clock says. */
static bool is_needed(const struct journal_source *journal, int64_t since_us) {
    const struct wire_sibling *sibling = &journal->siblings[journal->asked];
    return sibling->modified_us >= since_us || is_being_written(sibling);
}

static void ask_next_file(struct journal_source *journal) {
    int64_t since_us = needed_since_us(journal);
    while (journal->asked < journal->sibling_count && !is_needed(journal, since_us))
        journal->asked++;
    if (journal->asked == journal->sibling_count) {
        asking_is_over(journal);
        return;
    }
    journal->calls.ask_open(journal->context, (uint16_t)++journal->asked, ++journal->ticket);
}

void journal_listed(struct journal_source *journal, const struct wire_sibling *siblings,
                    uint32_t count) {
    if (!journal->is_asking)
        return;
    row_close(&journal->coming);
    journal->has_coming = false;
    journal->sibling_count = count < SIBLINGS_MAX ? count : SIBLINGS_MAX;
    memcpy(journal->siblings, siblings, journal->sibling_count * sizeof(*siblings));
    journal->asked = 0;
    ask_next_file(journal);
}

void journal_opened(struct journal_source *journal, const struct wire_opened *opened, int fd) {
    if (!journal->is_asking || opened->ticket != journal->ticket || journal->asked == 0) {
        cleanup_close_fd(&fd);
        return;
    }
    const struct wire_sibling *sibling = &journal->siblings[journal->asked - 1];
    bool was_renamed = fd < 0 || opened->inode != sibling->inode ||
                       opened->device != sibling->device;
    if (was_renamed && journal->relists < RELISTS_MAX) { /* rotated under our hands: list again */
        cleanup_close_fd(&fd);
        journal->relists++;
        journal->calls.ask_list(journal->context);
        return;
    }
    if (fd >= 0 && is_being_written(sibling))
        journal->coming.live_fd = fd;
    if (fd >= 0)
        journal->coming.fds[journal->coming.count++] = fd;
    ask_next_file(journal);
}

/* ---- reading ---- */

static void flush_lines(struct journal_source *journal) {
    if (journal->filled == 0)
        return;
    journal->calls.tell_lines(journal->context, (struct span){journal->buffer, journal->filled},
                              journal->filled_from);
    journal->filled = 0;
}

/* Where the line of that length begins. Ordinals that were given out stay what they were, also when
 * files are gone from which they had been counted: what lies before `done` ends there at the
 * latest, and the first entry behind `done`, and the first behind the mark, set them right. */
static uint64_t line_start(struct journal_source *journal, const struct place *here,
                           uint64_t length) {
    const struct place *last = last_place(journal);
    uint64_t start = last->ordinal;
    if (!journal->has_passed_done && place_is_after(here, &journal->done)) {
        journal->has_passed_done = true;
        start = journal->known_done;
    }
    if (start < journal->mark && last->sight_us && here->at_us > last->sight_us)
        start = journal->mark;
    if (!journal->has_passed_done && start + length > journal->known_done)
        start = journal->known_done > length ? journal->known_done - length : 0;
    return start;
}

/* The entry the journal stands at. */
static void take_entry(struct journal_source *journal) {
    static char line[ENTRY_LINE_MAX];
    struct place here = *last_place(journal);
    int error = place_take(journal->row.reader, &here);
    if (error < 0 || (journal->skips && !place_is_after(&here, &journal->skip_to)))
        return;
    journal->skips = false;
    int length = entry_render(journal->row.reader, here.at_us, line);
    if (length < 0) {
        log_warning("an entry of the journal cannot be read: %s", strerror(-length));
        journal->lost += journal->has_passed_done;
        length = 0;
    }
    uint64_t start = line_start(journal, &here, (uint64_t)length);
    if (start != journal->filled_from + journal->filled)
        flush_lines(journal);
    if (journal->filled == 0)
        journal->filled_from = start;
    memcpy(journal->buffer + journal->filled, line, (size_t)length);
    journal->filled += (size_t)length;
    here.ordinal = start + (uint64_t)length;
    add_place(journal, &here);
}

static bool read_entries(struct journal_source *journal) {
    for (uint32_t i = 0; i < TURN_ENTRIES; i++) {
        if (journal->filled + ENTRY_LINE_MAX > sizeof(journal->buffer))
            return true;
        int result = sd_journal_next(journal->row.reader);
        if (result < 0)
            log_warning("the journal cannot be read any further: %s", strerror(-result));
        if (result <= 0)
            return false;
        take_entry(journal);
    }
    return true;
}

/* Everything of ours is read. Should the place move on to the journal's newest entry? */
static bool look_for_anchor(struct journal_source *journal) {
    struct place newest = {0};
    int64_t now_us = clock_now_us();
    bool is_old = last_place(journal)->at_us < now_us - ANCHOR_EVERY_US &&
                  (journal->anchored_us < now_us - ANCHOR_EVERY_US / 6 ||
                   journal->anchored_us > now_us);
    if (journal->has_anchor || !journal->has_passed_done || (!is_old && !journal->wants_anchor))
        return false;
    journal->anchored_us = now_us;
    journal->wants_anchor = false;
    see_all(journal);
    bool is_there = find_newest(journal, &newest);
    see_ours(journal);
    seek_behind(journal, last_place(journal)); /* ours may have come before the newest one did */
    journal->anchor = newest;
    journal->has_anchor = is_there && place_is_after(&newest, last_place(journal));
    return true;
}

static void move_to_anchor(struct journal_source *journal) {
    struct place place = *last_place(journal);
    journal->has_anchor = false;
    if (!place_is_after(&journal->anchor, &place))
        return;
    place.ordinal++;
    place.at_us = journal->anchor.at_us;
    place.cursor_length = journal->anchor.cursor_length;
    memcpy(place.cursor, journal->anchor.cursor, sizeof(place.cursor));
    add_place(journal, &place);
    journal->calls.tell_turn(journal->context);
}

/* At the end of what the files held: new ones, if there are, then the anchor. True: read on. */
static bool at_end(struct journal_source *journal) {
    if (journal->has_coming) {
        use_coming(journal);
        return journal->row.reader != NULL;
    }
    /* After a start nothing may have come behind `done`: what is gone is known all the same. */
    if (!journal->has_passed_done) {
        journal->has_passed_done = true;
        if (journal_source_done(journal) != journal->known_done) {
            struct place place = journal->done;
            place.ordinal = journal->known_done;
            add_place(journal, &place);
        }
    }
    if (look_for_anchor(journal))
        return true;
    if (journal->has_anchor)
        move_to_anchor(journal);
    return false;
}

bool journal_source_turn(struct journal_source *journal) {
    if (journal->retry_at_us && clock_monotonic_us() >= journal->retry_at_us) {
        journal->retry_at_us = 0;
        ask_list(journal);
    }
    if (journal->phase == PHASE_COUNTING)
        return count_turn(journal);
    if (journal->phase != PHASE_READING || !journal->row.reader)
        return false;
    thin_places(journal);
    uint32_t before = journal->place_count;
    bool more = read_entries(journal);
    journal->is_at_end = !more;
    flush_lines(journal);
    if (journal->place_count > before) {
        journal->talked_us = clock_monotonic_us();
        journal->calls.tell_turn(journal->context);
    }
    return more || at_end(journal);
}

int64_t journal_source_patience_us(const struct journal_source *journal,
                                   int64_t now_monotonic_us) {
    bool is_talking = journal->phase == PHASE_READING && journal->row.reader &&
                      journal->talked_us && now_monotonic_us - journal->talked_us < TALK_US;
    int64_t left_us = journal->retry_at_us - now_monotonic_us;
    if (is_talking || (journal->retry_at_us && left_us < LOOK_EVERY_US))
        return LOOK_EVERY_US;
    return journal->retry_at_us ? left_us : -1;
}

uint64_t journal_source_take_lost(struct journal_source *journal) {
    uint64_t lost = journal->lost;
    journal->lost = 0;
    return lost;
}

uint64_t journal_source_lag(const struct journal_source *journal) {
    return journal->row.reader && !journal->is_at_end;
}

enum source_state_kind journal_source_state(const struct journal_source *journal) {
    return journal->row.reader || journal->phase == PHASE_IDLE ? SOURCE_READING : SOURCE_WAITING;
}
