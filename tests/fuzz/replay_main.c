/* The plain main() of the fuzz bodies: replays tests/fuzz/corpus/NAME/, then seeded random inputs
 * and mutations, and says so in TAP. A crash ends the program, which the runner counts as a
 * failure.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <stdio.h>

#include "base/files.h"
#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUNDS = 3000, LONGEST = 4096 };

static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void mutate(struct text *text) {
    for (uint64_t i = 0; i < 1 + next_random() % 8 && text->length; i++)
        text->at[next_random() % text->length] = (char)next_random();
}

int main(int argc, char **argv) {
    (void)argc;
    hash_open();
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    char folder[512];
    unsigned files = 0;
    snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", SOURCE_ROOT, name);
    DIR *corpus = opendir(folder);
    for (struct dirent *entry; corpus && (entry = readdir(corpus));) {
        char path[800];
        cleanup_text struct text text = {0};
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (file_read(path, 1 << 20, &text) < 0)
            continue;
        files++;
        LLVMFuzzerTestOneInput((const uint8_t *)(text.at ? text.at : ""), text.length);
        for (int i = 0; i < 200; i++) {
            mutate(&text);
            LLVMFuzzerTestOneInput((const uint8_t *)(text.at ? text.at : ""), text.length);
        }
    }
    if (corpus)
        closedir(corpus);
    static uint8_t random_bytes[LONGEST];
    for (int round = 0; round < ROUNDS; round++) {
        size_t length = next_random() % LONGEST;
        for (size_t i = 0; i < length; i++)
            random_bytes[i] = (uint8_t)(next_random() >> 11);
        LLVMFuzzerTestOneInput(random_bytes, length);
    }
    printf("ok - %s: %u corpus files and their mutations, %d random inputs\n", name, files, ROUNDS);
    return 0;
}
