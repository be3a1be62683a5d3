/* What a served certificate says, and whether this machine's list of authorities would believe it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <openssl/x509.h>

#include "probe/probe.h"

enum { FINGERPRINT_MAX = 65 }; /* SHA-256 in hexadecimal, with its NUL */

void certificate_fingerprint(X509 *certificate, char into[FINGERPRINT_MAX]);
/* The first certificate of a PEM file. -errno; -EBADMSG: there is none in it. */
must_use int certificate_fingerprint_of_file(const char *path, char into[FINGERPRINT_MAX]);

/* Says all of it. `chain` is what the server sent with it; `name` is what clients call the host
 * (NULL: nobody knows). */
void certificate_say(struct look *look, const char *subject, X509 *certificate,
                     STACK_OF(X509) *chain, const char *name);
