/* `hauberk selftest`: one made-up failure goes the whole way, and each step tells its time. Root's
 * command line writes the line into the log that only this is for (config/selftest.h); everything
 * from there on is what any line goes through, up to the kernel's answer for the element.
 *
 * A line nobody waits for is left out. What the test makes is no ban of the book: it is in no list,
 * is not stored, and is taken out of the kernel as soon as it was confirmed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bans/decider.h"
#include "config/selftest.h"

struct desk;
struct question;

#define SELFTEST_PATIENCE_US (5 * SECOND_US)

/* The one under way. Times are of the wall clock; 0: that did not come yet. */
struct selftest {
    uint64_t client; /* 0: none */
    char nonce[SELFTEST_NONCE_BYTES + 1];
    struct prefix prefix;
    int64_t matched_us, decided_us, kernel_us;
    struct watch *patience;
};

void desk_word_selftest(struct desk *desk, const struct question *question);

bool selftest_is_source(const struct desk *desk, uint16_t source);
/* True: it is a line of the test under way. `told_us`: when the sensor told of it. */
bool selftest_takes(struct desk *desk, const struct wire_event *event, int64_t told_us);
void selftest_was_decided(struct desk *desk);
void selftest_was_answered(struct desk *desk, const struct wire_receipt *receipt);
