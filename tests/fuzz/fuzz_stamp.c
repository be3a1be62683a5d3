/* Foreign bytes as a line: where a stamp is found, it lies in the line, and the line without what
 * follows it gives the same.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/clock.h"
#include "match/stamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const int64_t nows_us[] = {0, INT64_C(1798760400000000), INT64_C(4102444800000000)};
    for (size_t i = 0; i < ELEMENTS_OF(nows_us); i++) {
        struct stamp stamp;
        struct stamp again;
        if (!stamp_read((struct span){(const char *)bytes, size}, nows_us[i], &stamp))
            continue;
        must(stamp.before <= 2 && stamp.end >= stamp.before + 15 && stamp.end <= size);
        must(stamp_read((struct span){(const char *)bytes, stamp.end}, nows_us[i], &again));
        must(again.at_us == stamp.at_us && again.before == stamp.before && again.end == stamp.end);
    }
    return 0;
}
