/* Line sessions: see sessions.h.
 *
 * Bounded at SESSIONS_MAX: when full, the session whose last line is oldest goes, whatever it was
 * waiting for. Two thousand half-told connections within five minutes are a flood, and floods are
 * counted well enough by the lines that carry their address themselves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "match/sessions.h"

#define SWEEP_APART_US (30 * INT64_C(1000000))

struct session {
    struct digest key; /* of filter and id */
    uint64_t line_start;
    int64_t last_us;
    uint32_t failures; /* attempts the lines so far have told or named */
    bool has_address, is_pending, no_such_account;
    bool is_mixed; /* more than one name tried */
    bool is_void;  /* nothing of it is told */
    struct address address;
    uint16_t account_length, session_length;
    char account[sizeof(((struct wire_event *)0)->account.at)];
    char session[sizeof(((struct wire_event *)0)->session.at)];
};

struct sessions {
    struct table *table;
    int64_t oldest_us;  /* no session's last line is older */
    uint64_t first_line; /* start of the oldest line held, when that is known */
    bool is_first_known;
};

struct sessions *sessions_new(void) {
    struct sessions *sessions = calloc(1, sizeof(*sessions));
    must(sessions);
    sessions->table = table_new(sizeof(struct session), sizeof(struct digest), SESSIONS_MAX);
    sessions->oldest_us = INT64_MAX;
    return sessions;
}

struct sessions *sessions_free(struct sessions *sessions) {
    if (!sessions)
        return NULL;
    table_free(sessions->table);
    free(sessions);
    return NULL;
}

uint32_t sessions_count(const struct sessions *sessions) {
    return table_count(sessions->table);
}

static struct digest key_of(uint16_t filter, struct span id) {
    struct digest key = digest_keyed(id);
    key.at[0] ^= (uint8_t)filter;
    key.at[1] ^= (uint8_t)(filter >> 8);
    return key;
}

static void drop(struct sessions *sessions, struct session *session) {
    if (session->line_start == sessions->first_line)
        sessions->is_first_known = false;
    table_remove(sessions->table, session);
}

/* Its last line is too old: it has ended, whether it was swept or not. */
static bool is_over(const struct session *session, int64_t at_us) {
    return at_us - session->last_us > SESSION_LIFE_US;
}

static struct session *find(struct sessions *sessions, const struct digest *key, int64_t at_us) {
    struct session *session = table_find(sessions->table, key);
    if (!session || !is_over(session, at_us))
        return session;
    drop(sessions, session);
    return NULL;
}

static void drop_oldest(struct sessions *sessions) {
    struct session *oldest = NULL;
    uint32_t place = 0;
    for (struct session *one; (one = table_next(sessions->table, &place));)
        if (!oldest || one->last_us < oldest->last_us ||
            (one->last_us == oldest->last_us && one->line_start < oldest->line_start))
            oldest = one;
    if (oldest)
        drop(sessions, oldest);
}

static struct session *find_or_add(struct sessions *sessions, const struct digest *key,
                                   uint64_t line_start, int64_t at_us) {
    bool is_new;
    struct session *session = table_add(sessions->table, key, &is_new);
    if (session && !is_new && is_over(session, at_us)) {
        drop(sessions, session);
        session = table_add(sessions->table, key, &is_new);
    } else if (!session) {
        drop_oldest(sessions);
        session = table_add(sessions->table, key, &is_new);
    }
    if (!session)
        return NULL;
    if (is_new) {
        session->line_start = line_start;
        session->last_us = at_us;
        if (line_start < sessions->first_line)
            sessions->is_first_known = false;
        if (at_us < sessions->oldest_us)
            sessions->oldest_us = at_us;
    }
    if (at_us > session->last_us)
        session->last_us = at_us;
    return session;
}

/* What earlier lines said fills what this one leaves out, and the other way round. */
static void merge(struct session *session, struct wire_event *event) {
    if (event->has_address) {
        session->has_address = true;
        session->address = event->address;
    } else if (session->has_address) {
        event->has_address = true;
        event->address = session->address;
    }
    if (event->account.length) {
        if (session->account_length &&
            !span_equals((struct span){session->account, session->account_length},
                         wire_bytes(event->account)))
            session->is_mixed = true;
        session->account_length = event->account.length;
        memcpy(session->account, event->account.at, event->account.length);
    } else {
        wire_set_bytes(event->account,
                       ((struct span){session->account, session->account_length}));
    }
    if (event->session.length) {
        session->session_length = event->session.length;
        memcpy(session->session, event->session.at, event->session.length);
    } else {
        wire_set_bytes(event->session,
                       ((struct span){session->session, session->session_length}));
    }
    if (event->no_such_account)
        session->no_such_account = true;
    else if (session->no_such_account && !session->is_mixed)
        event->no_such_account = true;
}

/* Counts the attempts of a failure's line; true when it names one that no earlier line did. */
static bool count_failure(struct session *session, uint16_t attempts) {
    if (attempts == 0) {
        session->failures++;
        return true;
    }
    if (attempts <= session->failures)
        return false;
    session->failures = attempts;
    return true;
}

bool sessions_fold(struct sessions *sessions, uint16_t filter, const struct rule_match *match,
                   uint64_t line_start, struct wire_event *event) {
    struct digest key = key_of(filter, match->groups[GROUP_SESSION_LINE]);
    struct session *session = find_or_add(sessions, &key, line_start, event->at_us);
    if (!session)
        return event->has_address && !match->groups[GROUP_NOFAIL].length;
    bool has_gained = match->groups[GROUP_GAINED].length > 0;
    if (match->groups[GROUP_VOID].length)
        session->is_void = true;
    bool is_failure = !match->groups[GROUP_NOFAIL].length && !has_gained && !session->is_void &&
                      (!match->groups[GROUP_AGAIN].length || session->failures > 0);
    merge(session, event);
    if (has_gained && !session->is_mixed)
        session->is_pending = false;
    is_failure = is_failure && count_failure(session, event->attempts);
    bool tells = event->has_address && !session->is_void && (is_failure || session->is_pending);
    if (tells && session->is_pending) /* nothing was told before: this line stands for all */
        event->attempts = (uint16_t)(session->failures > 1000 ? 1000 : session->failures);
    if (tells)
        session->is_pending = false;
    else if (is_failure)
        session->is_pending = true;
    if (match->groups[GROUP_FORGET].length && !session->is_void)
        drop(sessions, session);
    return tells;
}

void sessions_complete(struct sessions *sessions, uint16_t filter, struct span id,
                       struct wire_event *event) {
    struct digest key = key_of(filter, id);
    struct session *session = find(sessions, &key, event->at_us);
    if (!session)
        return;
    bool is_named = event->account.length > 0;
    merge(session, event);
    if (session->is_mixed && !is_named)
        event->account.length = 0; /* nobody knows which of them came in */
    event->no_such_account = false;
    drop(sessions, session);
}

void sessions_end(struct sessions *sessions, uint16_t filter, struct span id) {
    struct digest key = key_of(filter, id);
    struct session *session = table_find(sessions->table, &key);
    if (session)
        drop(sessions, session);
}

/* Not for one session's sake: each walk takes what ended within half a minute. */
void sessions_sweep(struct sessions *sessions, int64_t log_time_us) {
    if (table_count(sessions->table) == 0 ||
        log_time_us - SESSION_LIFE_US - SWEEP_APART_US <= sessions->oldest_us)
        return;
    uint32_t place = 0;
    sessions->oldest_us = INT64_MAX;
    for (struct session *one; (one = table_next(sessions->table, &place));)
        if (log_time_us - one->last_us > SESSION_LIFE_US)
            drop(sessions, one);
        else if (one->last_us < sessions->oldest_us)
            sessions->oldest_us = one->last_us;
}

uint64_t sessions_oldest(struct sessions *sessions, uint64_t otherwise) {
    uint32_t place = 0;
    if (!sessions->is_first_known) {
        sessions->first_line = UINT64_MAX;
        for (struct session *one; (one = table_next(sessions->table, &place));)
            if (one->line_start < sessions->first_line)
                sessions->first_line = one->line_start;
        sessions->is_first_known = true;
    }
    return sessions->first_line < otherwise ? sessions->first_line : otherwise;
}
