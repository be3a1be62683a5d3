/* Entries as lines: see entry.h. Field names are those of systemd.journal-fields(7).
 *
 * One walk over the fields instead of a question for each: journald keeps no index within an entry,
 * so every question is a walk. What a field holds is good until the next call only, so it is
 * copied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "sources/entry.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/span.h"

enum field { HOST, IDENTIFIER, COMMAND, SENDER_PID, TRUE_PID, TRANSPORT, CONTAINER, FIELDS };

static const char *const names[FIELDS] = {
    [HOST] = "_HOSTNAME=",       [IDENTIFIER] = "SYSLOG_IDENTIFIER=", [COMMAND] = "_COMM=",
    [SENDER_PID] = "SYSLOG_PID=", [TRUE_PID] = "_PID=",               [TRANSPORT] = "_TRANSPORT=",
    [CONTAINER] = "CONTAINER_NAME=",
};

struct fields {
    char text[FIELDS][72];
    bool is_there[FIELDS];
    bool has_message;
};

/* What would end the line, or hide its end, becomes one harmless byte. */
static size_t copy_clean(char *into, struct span from, size_t most) {
    size_t length = from.length < most ? from.length : most;
    for (size_t i = 0; i < length; i++)
        into[i] = from.at[i] == '\n' || from.at[i] == '\r' || from.at[i] == '\0' ? '?' : from.at[i];
    return length;
}

static void take_field(struct fields *fields, struct span data, char *message,
                       size_t *message_length) {
    if (!fields->has_message && span_starts_with(data, SPAN("MESSAGE="))) {
        fields->has_message = true;
        *message_length = copy_clean(message, span_skip(data, 8), ENTRY_MESSAGE_MAX);
        return;
    }
    for (unsigned field = 0; field < FIELDS; field++) {
        struct span name = span_of(names[field]);
        if (fields->is_there[field] || !span_starts_with(data, name))
            continue;
        size_t length = copy_clean(fields->text[field], span_skip(data, name.length),
                                   sizeof(fields->text[field]) - 1);
        fields->text[field][length] = '\0';
        fields->is_there[field] = true;
        return;
    }
}

/* What a syslog daemon would print: the number the program gave, if it gave one. Programs that do
 * not speak syslog give none, and have the one the kernel told. */
static const char *pid_of(const struct fields *fields) {
    if (fields->is_there[SENDER_PID])
        return fields->text[SENDER_PID];
    bool is_syslog = strcmp(fields->text[TRANSPORT], "syslog") == 0;
    return is_syslog ? "" : fields->text[TRUE_PID];
}

static bool has_form(struct span text, const char *form) {
    for (size_t i = 0; form[i]; i++) {
        bool is_digit = i < text.length && text.at[i] >= '0' && text.at[i] <= '9';
        if (i >= text.length ||
            (form[i] == '0' ? !is_digit : form[i] != '?' && form[i] != text.at[i]))
            return false;
    }
    return true;
}

/* A container's output that is a log has lines with stamps of their own, often of another time
 * zone: what stands behind the stamp, the blank with it, is the line. 0: there is no stamp. */
static size_t stamp_length(struct span message) {
    if (has_form(message, "??? ?0 00:00:00 "))
        return sizeof("Nov 21 12:00:00") - 1;
    const char *blank = has_form(message, "0000-00-00T00:00:00")
                            ? memchr(message.at, ' ', message.length < 40 ? message.length : 40)
                            : NULL;
    return blank ? (size_t)(blank - message.at) : 0;
}

int entry_render(sd_journal *journal, int64_t at_us, char *into) {
    static char message[ENTRY_MESSAGE_MAX];
    struct fields fields = {0};
    size_t message_length = 0;
    const void *data = NULL;
    size_t length = 0;
    int result;
    sd_journal_restart_data(journal);
    while ((result = sd_journal_enumerate_data(journal, &data, &length)) > 0)
        take_field(&fields, (struct span){data, length}, message, &message_length);
    if (result < 0)
        return result;
    char stamp[CLOCK_TEXT_MAX];
    clock_format_utc(at_us, stamp);
    stamp[strcspn(stamp, "Z")] = '\0';
    const char *pid = pid_of(&fields);
    size_t skipped = fields.is_there[CONTAINER]
                         ? stamp_length((struct span){message, message_length})
                         : 0;
    int head = skipped
                   ? snprintf(into, ENTRY_LINE_MAX, "%s.%06u+00:00", stamp,
                              (unsigned)(at_us % SECOND_US))
                   : snprintf(into, ENTRY_LINE_MAX - ENTRY_MESSAGE_MAX - 1,
                              "%s.%06u+00:00 %s %s%s%s%s: ", stamp, (unsigned)(at_us % SECOND_US),
                              fields.is_there[HOST] ? fields.text[HOST] : "localhost",
                              fields.text[fields.is_there[IDENTIFIER] ? IDENTIFIER : COMMAND],
                              pid[0] ? "[" : "", pid, pid[0] ? "]" : "");
    must(head > 0 && head < ENTRY_LINE_MAX - ENTRY_MESSAGE_MAX - 1);
    memcpy(into + head, message + skipped, message_length - skipped);
    into[(size_t)head + message_length - skipped] = '\n';
    return head + (int)(message_length - skipped) + 1;
}
