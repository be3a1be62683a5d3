/* The authorities are those of ca-certificates' bundle, not the folder beside it: what lies in
 * /etc/ssl/certs by accident (a self-made certificate, Debian's snakeoil) is trusted by nobody
 * else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/certificate.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/files.h"

#define AUTHORITIES "/etc/ssl/certs/ca-certificates.crt"
enum { NAMES_MOST = 60, DAY_SECONDS = 86400, FILE_MOST_BYTES = 1 << 20 };

void certificate_fingerprint(X509 *certificate, char into[FINGERPRINT_MAX]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!X509_digest(certificate, EVP_sha256(), digest, &length))
        length = 0;
    for (unsigned i = 0; i < length && 2 * i + 2 < FINGERPRINT_MAX; i++) {
        into[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        into[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    into[2 * length] = '\0';
}

int certificate_fingerprint_of_file(const char *path, char into[FINGERPRINT_MAX]) {
    cleanup_text struct text text = {0};
    int error = file_read(path, FILE_MOST_BYTES, &text);
    if (error < 0)
        return error;
    BIO *memory = BIO_new_mem_buf(text.at ? text.at : "", (int)text.length);
    must(memory);
    X509 *certificate = PEM_read_bio_X509(memory, NULL, NULL, NULL);
    if (certificate)
        certificate_fingerprint(certificate, into);
    else
        error = -EBADMSG;
    ERR_clear_error();
    X509_free(certificate);
    BIO_free(memory);
    return error;
}

static void say_yes(struct look *look, const char *key, const char *subject, bool is_so) {
    look_say_text(look, key, subject, is_so ? "yes" : "no");
}

/* ---- names ---- */

static void say_names(struct look *look, const char *subject, X509 *certificate) {
    cleanup_text struct text names = {0};
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = all ? sk_GENERAL_NAME_num(all) : 0;
    for (int i = 0; i < count && i < NAMES_MOST; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type != GEN_DNS)
            continue;
        text_add_string(&names, names.length ? " " : "");
        text_add(&names, (struct span){(const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                       (size_t)ASN1_STRING_length(name->d.dNSName)});
    }
    GENERAL_NAMES_free(all);
    look_say(look, "names", subject, names.length ? text_span(&names) : SPAN("none"));
}

/* ---- time ---- */

static long days_between(const ASN1_TIME *from, const ASN1_TIME *to) {
    int days = 0;
    int seconds = 0;
    return ASN1_TIME_diff(&days, &seconds, from, to) ? days : 0;
}

static void say_time(struct look *look, const char *subject, X509 *certificate) {
    const ASN1_TIME *from = X509_get0_notBefore(certificate);
    const ASN1_TIME *until = X509_get0_notAfter(certificate);
    look_say_format(look, "lifetime_days", subject, "%ld", days_between(from, until));
    bool is_over = X509_cmp_current_time(until) < 0;
    bool is_early = X509_cmp_current_time(from) > 0;
    look_say_text(look, "expired", subject, is_over ? "yes" : is_early ? "not valid yet" : "no");
    look_say_format(look, "days_left", subject, "%ld", is_over ? 0 : days_between(NULL, until));
}

/* ---- key and signature ---- */

static void say_key(struct look *look, const char *subject, X509 *certificate) {
    char group[80] = "";
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    const char *kind = key ? EVP_PKEY_get0_type_name(key) : NULL;
    if (!kind) {
        look_say_text(look, "key", subject, "unknown");
        return;
    }
    (void)EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
    ERR_clear_error();
    look_say_text(look, "key", subject, kind);
    look_say_format(look, "key_bits", subject, "%d", EVP_PKEY_get_bits(key));
    if (group[0])
        look_say_text(look, "key_curve", subject, group);
}

static void say_signature(struct look *look, const char *subject, X509 *certificate) {
    int digest = NID_undef;
    int kind = NID_undef;
    (void)X509_get_signature_info(certificate, &digest, &kind, NULL, NULL);
    look_say_text(look, "hash", subject, OBJ_nid2sn(digest != NID_undef ? digest : kind));
}

/* ---- belief ---- */

/* OpenSSL's error, 0 when it believes; how deep in the chain goes to ret_depth. */
static int verify(X509_STORE *store, X509 *certificate, STACK_OF(X509) *chain, unsigned long flags,
                  int *ret_depth) {
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    must(context && X509_STORE_CTX_init(context, store, certificate, chain));
    X509_STORE_CTX_set_flags(context, flags);
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
    int error = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    *ret_depth = X509_STORE_CTX_get_error_depth(context);
    X509_STORE_CTX_free(context);
    ERR_clear_error();
    return error;
}

/* That the certificate itself has run out is said elsewhere; that a further one has, here. */
static void say_chain(struct look *look, const char *subject, X509 *certificate,
                      STACK_OF(X509) *chain) {
    X509_STORE *store = X509_STORE_new();
    int depth = 0;
    must(store);
    if (!X509_STORE_load_locations(store, AUTHORITIES, NULL)) {
        look_say_not(look, "chain", AUTHORITIES " cannot be read (package ca-certificates)");
    } else {
        int error = verify(store, certificate, chain, X509_V_FLAG_NO_CHECK_TIME, &depth);
        if (error == X509_V_OK) {
            error = verify(store, certificate, chain, 0, &depth);
            if (depth == 0)
                error = X509_V_OK;
        }
        look_say_text(look, "chain", subject,
                      error == X509_V_OK ? "good" : X509_verify_cert_error_string(error));
    }
    X509_STORE_free(store);
    ERR_clear_error();
}

void certificate_say(struct look *look, const char *subject, X509 *certificate,
                     STACK_OF(X509) *chain, const char *name) {
    char fingerprint[FINGERPRINT_MAX];
    certificate_fingerprint(certificate, fingerprint);
    look_say_text(look, "certificate", subject, fingerprint);
    say_names(look, subject, certificate);
    bool is_named = name && X509_check_host(certificate, name, strlen(name), 0, NULL) == 1;
    if (name)
        look_say_format(look, "named", subject, is_named ? "yes" : "no, it is not for %s", name);
    say_time(look, subject, certificate);
    say_key(look, subject, certificate);
    say_signature(look, subject, certificate);
    say_yes(look, "self_signed", subject, X509_self_signed(certificate, 0) == 1);
    say_chain(look, subject, certificate, chain);
}
