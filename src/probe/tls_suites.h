/* Cipher suites and groups of TLS: their names, and what they are worth by the yardstick of NCSC-NL
 * ("IT Security Guidelines for TLS", 2025-05), which internet.nl measures with.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_version { SSL_3 = 0x0300, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 };
const char *tls_version_name(unsigned version); /* "TLSv1.2" */

enum tls_worth { TLS_GOOD, TLS_SUFFICIENT, TLS_PHASE_OUT, TLS_INSUFFICIENT };

struct tls_suite {
    uint16_t number;
    const char *name;
};
extern const struct tls_suite tls_suites[];
extern const size_t tls_suite_count;

const struct tls_suite *tls_suite_find(unsigned number); /* NULL: none we know */
enum tls_worth tls_suite_worth(const struct tls_suite *suite);
/* Only for TLS 1.3, which has suites of its own. */
bool tls_suite_is_13(const struct tls_suite *suite);
/* What is weak in it; each may be asked of any suite. */
bool tls_suite_is_anonymous(const struct tls_suite *suite); /* nobody proves who he is */
bool tls_suite_is_broken(const struct tls_suite *suite); /* NULL, export, RC4, DES, 3DES, MD5 … */
bool tls_suite_is_static(const struct tls_suite *suite); /* exchanges keys by the certificate's */
bool tls_suite_is_dhe(const struct tls_suite *suite);
bool tls_suite_is_ecdhe(const struct tls_suite *suite);
bool tls_suite_is_cbc(const struct tls_suite *suite);

struct tls_group {
    uint16_t number;
    const char *name;
    enum tls_worth worth;
};
extern const struct tls_group tls_groups[];
extern const size_t tls_group_count;
const struct tls_group *tls_group_find(unsigned number);
