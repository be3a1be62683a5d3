/* Foreign bytes as a configuration file: read, and every value expanded and read as every type of
 * setting. Nothing on disk is touched: there are no folders, so includes are errors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void read_as_everything(struct keep *keep, const char *section, struct ini_lines lines) {
    struct setting_text text = {.where = section, .lines = lines};
    for (size_t i = 0; i < jail_setting_count; i++) {
        struct setting_value value;
        struct why why = {0};
        if (setting_read(&jail_settings[i], &text, keep, &value, &why) < 0)
            must(why.text[0]);
        (void)setting_show(&jail_settings[i], &lines, keep);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    cleanup_keep struct keep keep = {0};
    struct why why = {0};
    struct ini *ini = ini_open(&keep, NULL, 0, NULL, NULL, NULL);
    ini_add_builtin(ini, "known", "%(known/known)s");
    unsigned budget = 64; /* values; expansions may be large */
    if (ini_read_bytes(ini, "fuzz.conf", (struct span){(const char *)bytes, size}, &why) < 0)
        must(why.text[0]);
    for (const struct ini_section *s = ini_first(ini); s; s = s->next)
        for (const struct ini_value *v = s->first; v && budget > 0; v = v->next, budget--) {
            struct ini_lines lines;
            ini_note_references(ini, s->name, v);
            if (ini_expand(ini, s->name, v, &lines, &why) >= 0)
                read_as_everything(&keep, s->name, lines);
            else
                must(why.text[0] && why.line > 0);
        }
    return 0;
}
