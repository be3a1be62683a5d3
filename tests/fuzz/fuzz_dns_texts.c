/* Foreign bytes as what the DNS says: each kind of record, and their text as SPF, DMARC, a DKIM key,
 * MTA-STS and its policy, a list of keys. Whatever is refused says why.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/dns_records.h"
#include "probe/keys.h"
#include "probe/mail_keys.h"
#include "probe/sender_policy.h"
#include "probe/tags.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void read_record(struct span record) {
    cleanup_text struct text text = {0};
    char name[DNS_NAME_MAX] = "";
    unsigned preference;
    struct address address;
    struct tlsa tlsa;
    if (record_name(record, 0, name))
        must(name[0] && strlen(name) < sizeof(name));
    (void)record_mx(record, &preference, name);
    (void)record_address(record, &address);
    if (record_tlsa(record, &tlsa))
        (void)tlsa_is_usable(&tlsa);
    (void)record_caa(record, &text);
    (void)record_txt(record, &text);
}

static void read_text(struct span text) {
    static struct spf spf;
    static struct dkim dkim;
    static struct sts_policy policy;
    static struct mail_names names;
    struct dmarc dmarc;
    struct why why = {0};
    char receiver[256];
    if (spf_read(text, &spf, &why) < 0)
        must(why.text[0]);
    must(spf.count <= SPF_TERMS_MOST);
    (void)spf_all(&spf);
    why.text[0] = '\0';
    if (dmarc_read(text, &dmarc, &why) < 0)
        must(why.text[0]);
    for (struct span list = text; report_domain(&list, receiver);)
        must(strlen(receiver) < sizeof(receiver));
    if (dkim_read(text, &dkim, &why) >= 0)
        must(key_bits(dkim.key, dkim.key_length, dkim.type.length == 7) != 0);
    why.text[0] = '\0';
    if (sts_read(text, &why) < 0 || tls_reports_read(text, &why) < 0)
        must(why.text[0]);
    if (sts_read_policy(text, &policy, &why) >= 0)
        (void)sts_covers(&policy, "mail.example.org");
    names.key_count = 0;
    mail_keys_of_rspamd(text, &names);
    mail_keys_of_opendkim(text, &names);
    must(names.key_count <= MAIL_KEYS_MOST);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char *const heads[] = {"", "v=spf1 ", "v=DMARC1; p=none; ", "v=DKIM1; p=",
                                        "version: STSv1\nmode: enforce\nmax_age: 1\n"};
    struct span given = {(const char *)bytes, size};
    read_record(given);
    for (size_t i = 0; i < ELEMENTS_OF(heads); i++) {
        cleanup_text struct text text = {0};
        text_add_string(&text, heads[i]);
        text_add(&text, given);
        if (text.length > 0)
            read_text(text_span(&text));
    }
    return 0;
}
