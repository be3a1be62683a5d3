/* What a suite is worth follows from its name, so that the table needs no column a slip could be
 * in: whatever the guidelines do not list is insufficient.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/tls_suites.h"

#include <string.h>

#include "base/compiler.h"

const struct tls_suite tls_suites[] = {
#define SUITE(number, name) {number, name},
#include "probe/tls_suites.def"
#undef SUITE
};
const size_t tls_suite_count = ELEMENTS_OF(tls_suites);

/* IANA's registry "TLS Supported Groups". */
const struct tls_group tls_groups[] = {
    {0x11ec, "X25519MLKEM768", TLS_GOOD},
    {0x11eb, "SecP256r1MLKEM768", TLS_GOOD},
    {0x11ed, "SecP384r1MLKEM1024", TLS_GOOD},
    {29, "X25519", TLS_GOOD},
    {23, "P-256", TLS_GOOD},
    {24, "P-384", TLS_GOOD},
    {25, "P-521", TLS_GOOD},
    {30, "X448", TLS_GOOD},
    {26, "brainpoolP256r1", TLS_GOOD},
    {27, "brainpoolP384r1", TLS_GOOD},
    {28, "brainpoolP512r1", TLS_GOOD},
    {31, "brainpoolP256r1tls13", TLS_GOOD},
    {32, "brainpoolP384r1tls13", TLS_GOOD},
    {33, "brainpoolP512r1tls13", TLS_GOOD},
    {256, "ffdhe2048", TLS_INSUFFICIENT},
    {257, "ffdhe3072", TLS_PHASE_OUT},
    {258, "ffdhe4096", TLS_PHASE_OUT},
    {259, "ffdhe6144", TLS_PHASE_OUT},
    {260, "ffdhe8192", TLS_PHASE_OUT},
    {21, "P-224", TLS_PHASE_OUT},
    {22, "secp256k1", TLS_INSUFFICIENT},
    {20, "secp224k1", TLS_INSUFFICIENT},
    {19, "P-192", TLS_INSUFFICIENT},
    {18, "secp192k1", TLS_INSUFFICIENT},
    {17, "secp160r2", TLS_INSUFFICIENT},
    {16, "secp160r1", TLS_INSUFFICIENT},
    {15, "secp160k1", TLS_INSUFFICIENT},
    {14, "sect571r1", TLS_INSUFFICIENT},
    {13, "sect571k1", TLS_INSUFFICIENT},
    {12, "sect409r1", TLS_INSUFFICIENT},
    {11, "sect409k1", TLS_INSUFFICIENT},
    {10, "sect283r1", TLS_INSUFFICIENT},
    {9, "sect283k1", TLS_INSUFFICIENT},
    {8, "sect239k1", TLS_INSUFFICIENT},
    {7, "sect233r1", TLS_INSUFFICIENT},
    {6, "sect233k1", TLS_INSUFFICIENT},
    {5, "sect193r2", TLS_INSUFFICIENT},
    {4, "sect193r1", TLS_INSUFFICIENT},
    {3, "sect163r2", TLS_INSUFFICIENT},
    {2, "sect163r1", TLS_INSUFFICIENT},
    {1, "sect163k1", TLS_INSUFFICIENT},
};
const size_t tls_group_count = ELEMENTS_OF(tls_groups);

const char *tls_version_name(unsigned version) {
    static const char *const names[] = {"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
    return version >= SSL_3 && version <= TLS_1_3 ? names[version - SSL_3] : "unknown";
}

const struct tls_suite *tls_suite_find(unsigned number) {
    for (size_t i = 0; i < tls_suite_count; i++)
        if (tls_suites[i].number == number)
            return &tls_suites[i];
    return NULL;
}

const struct tls_group *tls_group_find(unsigned number) {
    for (size_t i = 0; i < tls_group_count; i++)
        if (tls_groups[i].number == number)
            return &tls_groups[i];
    return NULL;
}

static bool has(const struct tls_suite *suite, const char *part) {
    return strstr(suite->name, part) != NULL;
}

static bool starts(const struct tls_suite *suite, const char *head) {
    return strncmp(suite->name, head, strlen(head)) == 0;
}

static bool ends(const struct tls_suite *suite, const char *tail) {
    size_t length = strlen(suite->name);
    size_t own = strlen(tail);
    return length >= own && strcmp(suite->name + length - own, tail) == 0;
}

bool tls_suite_is_13(const struct tls_suite *suite) {
    return starts(suite, "TLS_");
}

bool tls_suite_is_anonymous(const struct tls_suite *suite) {
    return has(suite, "ADH-") || has(suite, "AECDH-");
}

bool tls_suite_is_broken(const struct tls_suite *suite) {
    return has(suite, "NULL") || starts(suite, "EXP") || has(suite, "RC4") ||
           has(suite, "DES-CBC") || has(suite, "DES-CBC3") || has(suite, "IDEA") ||
           has(suite, "RC2") || has(suite, "SEED") || ends(suite, "-MD5");
}

bool tls_suite_is_ecdhe(const struct tls_suite *suite) {
    return starts(suite, "ECDHE-") || starts(suite, "AECDH-");
}

bool tls_suite_is_dhe(const struct tls_suite *suite) {
    return !tls_suite_is_ecdhe(suite) && (has(suite, "DHE-") || has(suite, "ADH-"));
}

bool tls_suite_is_static(const struct tls_suite *suite) {
    return !tls_suite_is_13(suite) && !tls_suite_is_ecdhe(suite) && !tls_suite_is_dhe(suite);
}

static bool is_aead(const struct tls_suite *suite) {
    return has(suite, "GCM") || has(suite, "CCM") || has(suite, "CHACHA20");
}

bool tls_suite_is_cbc(const struct tls_suite *suite) {
    return !is_aead(suite) && !has(suite, "NULL") && !has(suite, "RC4");
}

enum tls_worth tls_suite_worth(const struct tls_suite *suite) {
    bool is_short_tag = ends(suite, "CCM8") || has(suite, "CCM_8");
    bool is_sha1 = ends(suite, "-SHA");
    if (tls_suite_is_13(suite))
        return is_short_tag                                                     ? TLS_INSUFFICIENT
               : has(suite, "AES_256") || has(suite, "CHACHA20") ? TLS_GOOD
                                                                              : TLS_SUFFICIENT;
    if (is_short_tag || is_sha1 || tls_suite_is_broken(suite) || tls_suite_is_anonymous(suite) ||
        tls_suite_is_static(suite) || has(suite, "-DSS-"))
        return TLS_INSUFFICIENT;
    bool is_odd = has(suite, "CAMELLIA") || has(suite, "ARIA");
    return tls_suite_is_ecdhe(suite) && is_aead(suite) && !is_odd ? TLS_SUFFICIENT : TLS_PHASE_OUT;
}
